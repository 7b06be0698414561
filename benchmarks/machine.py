"""What the benchmarks ask of the machine: a core for the client and another for the server."""

from __future__ import annotations

import os
import platform

__all__ = ["cores", "description", "pin"]


def cores() -> tuple[int, int]:
    """The cores of client and server: the first and the last that this process may use."""
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    return usable[0], usable[-1]


def pin(core: int) -> None:
    """Stay on one core, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def description() -> str:
    """The interpreter and the machine, in a line."""
    client, server = cores()
    shared = "; client and server share a core" if client == server else ""
    return (
        f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores{shared}"
    )
