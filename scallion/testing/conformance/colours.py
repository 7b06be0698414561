"""One rule, three colours: driven without a loop, by asyncio, by trio; in a thread that may hang."""

from __future__ import annotations

import contextvars
import gc
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias, TypeVar

import anyio
import anyio.lowlevel

from scallion.pipeline.runtime import AsyncRuntime, BlockingRuntime, Runtime, run

from .rules import holds

__all__ = ["COLOURS", "Colour", "drive", "runtime_of", "tasks", "together"]

T = TypeVar("T")
Colour: TypeAlias = Literal["sync", "asyncio", "trio"]
Work: TypeAlias = Callable[[], Coroutine[Any, Any, T]]

COLOURS: tuple[Colour, ...] = (
    ("sync", "asyncio", "trio") if find_spec("trio") else ("sync", "asyncio")
)


def runtime_of(colour: str) -> Runtime:
    """The runtime that a client of this colour has."""
    return BlockingRuntime() if colour == "sync" else AsyncRuntime()


def drive(colour: str, work: Work[T], patience: float) -> T:
    """Run `work()` in `colour`, in a thread of its own, and return its result.

    Raises:
        AssertionError: it has not ended after `patience` seconds. The thread is left to itself.
        BaseException: what it raised.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    async def bounded() -> T:
        with anyio.fail_after(patience):
            return await work()

    def play() -> None:
        try:
            if colour == "sync":
                results.append(run(work()))
            else:
                results.append(anyio.run(bounded, backend=colour))
        except BaseException as error:  # noqa: BLE001  # it is raised again, in the caller's thread
            errors.append(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(play,), daemon=True)
    thread.start()
    # A loop that is not blocked ends by itself, and says where it hung.
    thread.join(patience if colour == "sync" else patience + 2)
    if thread.is_alive() or any(isinstance(error, TimeoutError) for error in errors):
        raise AssertionError(f"it has not ended after {patience:g} seconds")
    for error in errors:
        raise error
    return results[0]


async def together(colour: str, works: Sequence[Work[T]], patience: float) -> list[T]:
    """The results of all `works` at once, in their order: in threads, or in tasks of this loop.

    Raises:
        Exception: the first one that a work raised.
    """
    results: list[Any] = [None] * len(works)
    errors: list[BaseException] = []

    async def play(index: int) -> None:
        try:
            results[index] = await works[index]()
        except Exception as error:  # noqa: BLE001  # the first is raised again below
            errors.append(error)

    if colour == "sync":
        threads = [
            threading.Thread(target=lambda index=index: run(play(index)), daemon=True)
            for index in range(len(works))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(patience)
            holds(not thread.is_alive(), f"one of {len(works)} threads at once hangs")
    else:
        async with anyio.create_task_group() as group:
            for index in range(len(works)):
                group.start_soon(play, index)
    for error in errors:
        raise error
    return results


async def tasks(colour: str) -> int:
    """How many tasks live in this loop, or threads in this process, once those that are ending have ended."""
    if colour == "sync":
        return threading.active_count()
    for _ in range(5):
        await anyio.lowlevel.checkpoint()
    if colour == "trio":
        import trio

        from scallion.transports.network.trio_alarm import alarm_of_this_run

        # The one that all time limits of this run have in common is no transport's.
        return trio.lowlevel.current_statistics().tasks_living - alarm_of_this_run().awake
    import asyncio

    return len(asyncio.all_tasks())


async def eventually(
    condition: Callable[[], bool], colour: str, patience: float, message: str
) -> None:
    """Wait until `condition()`, which something outside this loop brings about; fail with `message` if it does not."""
    runtime = runtime_of(colour)
    end = runtime.clock() + patience
    collected = False
    while not condition():
        if not collected and runtime.clock() > end - patience / 2:
            # What only a circle holds is gone late, but is gone.
            gc.collect()
            collected = True
        holds(runtime.clock() < end, message)
        await runtime.sleep(0.002)


async def aclosing_all(closings: Sequence[Callable[[], Awaitable[object]]]) -> None:
    """Call all, and raise the first error after the last."""
    errors: list[Exception] = []
    for closing in closings:
        try:
            await closing()
        except Exception as error:  # noqa: BLE001  # the first is raised again below
            errors.append(error)
    if errors:
        raise errors[0]
