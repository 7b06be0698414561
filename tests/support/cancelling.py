"""Cancellation at every point where a coroutine waits, one after the other."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import sniffio
import trio

__all__ = ["cancelled_at", "cancelled_everywhere"]

Work = Callable[[], Coroutine[Any, Any, object]]


@types.coroutine
def _watched(
    work: Coroutine[Any, Any, object], number: int, cancel: Callable[[], object]
) -> Generator[Any, Any, bool]:
    """Drive `work`; as it suspends for the `number`-th time (from 0), call `cancel`. Whether it came to that."""
    seen = 0
    step: Callable[[], Any] = lambda: work.send(None)  # noqa: E731
    while True:
        try:
            trap = step()
        except StopIteration:
            return seen > number
        if seen == number:
            cancel()
        seen += 1
        try:
            value = yield trap
        except BaseException as error:
            step = lambda error=error: work.throw(error)  # type: ignore[misc]  # noqa: E731
        else:
            step = lambda value=value: work.send(value)  # type: ignore[misc]  # noqa: E731


async def cancelled_at(number: int, work: Work) -> bool:
    """Run `work` and cancel it at its `number`-th suspension; False if it ended before.

    Args:
        number: Counted from 0.
        work: Makes the coroutine.
    """
    if sniffio.current_async_library() == "trio":
        with trio.CancelScope() as scope:
            return await _watched(work(), number, scope.cancel)
        return True

    async def watch() -> bool:
        task = asyncio.current_task()
        assert task is not None
        return await _watched(work(), number, task.cancel)

    try:
        return await asyncio.create_task(watch())
    except asyncio.CancelledError:
        return True


async def cancelled_everywhere(work: Work, check: Callable[[], Awaitable[object]]) -> int:
    """Cancel `work` at its first suspension, then at its second, ..., and `check` after each; how many there were."""
    number = 0
    while await cancelled_at(number, work):
        await check()
        number += 1
        assert number < 1000, "it never ends"
    await check()
    return number
