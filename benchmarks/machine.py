"""What the benchmarks ask of the machine: cores, CPU time, memory, what it is."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

__all__ = ["cores", "cpu_seconds", "description", "last_line", "pin", "resident"]


def cores() -> tuple[int, int]:
    """The cores of client and server: the first and the last that this process may use."""
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    return usable[0], usable[-1]


def pin(core: int) -> None:
    """Stay on one core, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def cpu_seconds() -> float:
    """CPU time of this process so far, user and system, its children not included."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident(what: str = "VmRSS") -> int:
    """Memory of this process in bytes: resident now, or `VmHWM`, the most there ever was."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/self/status has no {what}")


def description() -> str:
    """The interpreter and the machine, in a line."""
    client, server = cores()
    shared = "; client and server share a core" if client == server else ""
    return (
        f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores{shared}"
    )


def last_line(text: str) -> str:
    """What a program complained of at last, in so many characters."""
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else "killed"
