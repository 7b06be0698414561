"""What a noisy machine cannot blur: calls of Python functions, system calls, objects for the garbage collector."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from itertools import repeat
from pathlib import Path
from types import FrameType

from cases import Case
from clients import Adapter, Unavailable
from endpoint import Endpoint
from machine import last_line
from measures.running import job_of, run
from measures.sample import Budget, Sample

__all__ = ["calls", "cycles", "syscalls"]

WARM_UP = 20
REQUESTS = 200
HERE = Path(__file__).parent
OURS = str(HERE.parent)


def calls(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:  # noqa: ARG001
    """Python functions called per request, as `sys.setprofile` sees them; a coroutine resumed counts."""
    python = c = 0

    def count(frame: FrameType, event: str, argument: object) -> None:  # noqa: ARG001
        nonlocal python, c
        # The adapter's own functions are not what is counted.
        if event == "call":
            python += not frame.f_code.co_filename.startswith(OURS)
        elif event == "c_call":
            c += not frame.f_code.co_filename.startswith(OURS)

    _between(adapter, case, endpoint, lambda: sys.setprofile(count), lambda: sys.setprofile(None))
    return Sample(REQUESTS, value=python / REQUESTS, extra={"in C": c / REQUESTS})


def cycles(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:  # noqa: ARG001
    """Objects per request that only the garbage collector frees."""
    found = 0

    def start() -> None:
        gc.collect()
        gc.disable()

    def stop() -> None:
        nonlocal found
        found = gc.collect()

    _between(adapter, case, endpoint, start, stop)
    return Sample(REQUESTS, value=found / REQUESTS)


def _between(
    adapter: Adapter,
    case: Case,
    endpoint: Endpoint | None,
    start: Callable[[], None],
    stop: Callable[[], None],
) -> None:
    """Call `start`, do some requests, call `stop`; warmed up, and without a wait before `stop`."""
    assert endpoint is not None
    job = job_of(case, endpoint)
    if case.colour == "sync":
        with adapter.sync(job) as once:
            for _ in range(WARM_UP):
                once()
            start()
            for _ in repeat(None, REQUESTS):
                once()
            stop()
        return

    async def scenario() -> None:
        async with adapter.asyncio(job) as once:
            await _several(once, WARM_UP)
            start()
            await _several(once, REQUESTS)
            stop()

    run(case, scenario())


async def _several(once: Callable[[], Awaitable[int]], times: int) -> None:
    for _ in repeat(None, times):
        await once()


def syscalls(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:  # noqa: ARG001
    """System calls per request: the difference of two processes with different numbers of requests."""
    assert endpoint is not None
    strace = shutil.which("strace")
    if strace is None:
        raise Unavailable("cannot be counted without strace (apt-get install strace)")
    few, many = 50, 50 + REQUESTS
    difference = _traced(strace, endpoint, many) - _traced(strace, endpoint, few)
    return Sample(REQUESTS, value=difference / REQUESTS)


def _traced(strace: str, endpoint: Endpoint, requests: int) -> int:
    """System calls of a process that does what this one was asked for, with so many requests."""
    client, case = sys.argv[2:4]
    program = [sys.executable, str(HERE.parent / "several.py"), client, case, endpoint.url]
    with tempfile.NamedTemporaryFile("r") as summary:
        tracing = [strace, "-f", "-c", "-o", summary.name]
        ran = subprocess.run(
            [*tracing, *program, str(endpoint.size), str(requests)],
            capture_output=True,
            text=True,
            check=False,
        )
        # How it ends does not matter: a client in Rust may abort when the interpreter does.
        if ran.stdout.strip() != "done":
            raise Unavailable(f"failed under strace ({last_line(ran.stderr)})")
        # % time, seconds, usecs/call, calls, perhaps errors, "total"
        total = next(line for line in summary.read().splitlines() if line.endswith("total"))
        return int(total.split()[3])
