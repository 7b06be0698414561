"""How much memory bodies and connections take."""

from __future__ import annotations

import asyncio
import gc
import resource
from dataclasses import replace
from pathlib import Path

from cases import Case
from clients import Adapter, Unavailable
from endpoint import Endpoint
from machine import resident
from measures.requests import check
from measures.running import job_of, run
from measures.sample import Budget, Sample

__all__ = ["idle", "streamed"]


def streamed(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:  # noqa: ARG001
    """By how many megabytes the most memory that was ever resident grew during one long body."""
    assert endpoint is not None
    job = job_of(case, endpoint)
    before = _from_here()
    if case.colour == "sync":
        with adapter.sync(job) as once:
            check(once(), endpoint)
    else:

        async def scenario() -> None:
            async with adapter.asyncio(job) as once:
                check(await once(), endpoint)

        run(case, scenario())
    return Sample(1, value=(resident("VmHWM") - before) / 1e6)


def _from_here() -> int:
    """Forget what was the most memory; what is resident now."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return resident()
    except OSError as error:
        raise Unavailable(f"cannot be measured here ({error})") from error


def idle(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:  # noqa: ARG001
    """Kilobytes for each connection that is kept and has nothing to do."""
    assert endpoint is not None
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    number = case.connections
    if 0 < most < number + 100:
        raise Unavailable(f"may not open more than {most} files (ulimit -n)")
    # The server answers when all have asked, so that none of the connections can serve twice.
    job = replace(job_of(case, endpoint), url=f"{endpoint.url}/{number}", patient=True)

    async def scenario() -> Sample:
        async with adapter.asyncio(job) as once:
            gc.collect()
            before = resident()
            for size in await asyncio.gather(*(once() for _ in range(number))):
                check(size, endpoint)
            gc.collect()
            return Sample(number, value=(resident() - before) / number / 1e3)

    return run(case, scenario())
