"""Runs the coroutine of a case as its colour asks."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from cases import Case
from clients import Job, Unavailable
from endpoint import Endpoint

__all__ = ["at_once", "job_of", "run"]

T = TypeVar("T")


def job_of(case: Case, endpoint: Endpoint) -> Job:
    return Job(
        endpoint.url,
        case.action,
        endpoint.ca,
        case.http2,
        connections=case.connections or case.at_once,
        queueing=0 < case.connections < case.at_once and not case.http2,
        body=bytes(case.upload) if case.action == "upload" else b"",
        size=case.upload,
    )


def run(case: Case, scenario: Coroutine[Any, Any, T]) -> T:
    """What `scenario` returns."""
    if case.colour == "trio":
        trio = importlib.import_module("trio")

        async def main() -> T:
            return await scenario

        result: T = trio.run(main)
        return result
    if case.uvloop:
        try:
            uvloop = importlib.import_module("uvloop")
        except ImportError as error:
            scenario.close()
            raise Unavailable(f"lacks uvloop ({error})") from error
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(scenario)
    return asyncio.run(scenario)


async def at_once(case: Case, work: Callable[[], Awaitable[None]]) -> None:
    """As many of `work` as the case has at once."""
    if case.at_once == 1:
        await work()
    elif case.colour == "asyncio":
        await asyncio.gather(*(work() for _ in range(case.at_once)))
    else:
        trio = importlib.import_module("trio")
        async with trio.open_nursery() as nursery:
            for _ in range(case.at_once):
                nursery.start_soon(work)
