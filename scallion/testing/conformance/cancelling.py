"""Cancellation at every point where a coroutine waits, one after the other, on asyncio and trio."""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeAlias

__all__ = ["cancelled_at", "cancelled_everywhere"]

Work: TypeAlias = Callable[[], Coroutine[Any, Any, object]]

MOST = 1000
"""Suspensions after which a work is taken for one that never ends."""


@types.coroutine
def _watched(
    work: Coroutine[Any, Any, object], number: int, cancel: Callable[[], object]
) -> Generator[Any, Any, tuple[bool, bool]]:
    """Drive `work`; as it suspends for the `number`-th time, from 0, call `cancel`.

    Returns whether it came to that, and True, as `work` returned; a cancellation that goes out is raised.
    """
    seen = 0
    step: Callable[[], Any] = lambda: work.send(None)  # noqa: E731
    while True:
        try:
            trap = step()
        except StopIteration:
            return seen > number, True
        if seen == number:
            cancel()
        seen += 1
        try:
            value = yield trap
        except BaseException as error:  # noqa: BLE001  # it is thrown into the work
            step = lambda error=error: work.throw(error)  # type: ignore[misc]  # noqa: E731
        else:
            step = lambda value=value: work.send(value)  # type: ignore[misc]  # noqa: E731


async def cancelled_at(colour: str, number: int, work: Work) -> tuple[bool, bool]:
    """Run `work()` and cancel it at its `number`-th suspension, from 0.

    Returns:
        Whether it came to that, and whether `work` returned instead of being cancelled.
    """
    if colour == "trio":
        import trio

        with trio.CancelScope() as scope:
            return await _watched(work(), number, scope.cancel)
        return True, False

    import asyncio

    async def watch() -> tuple[bool, bool]:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("There is no task to cancel")
        return await _watched(work(), number, task.cancel)

    try:
        return await asyncio.create_task(watch())
    except asyncio.CancelledError:
        return True, False


async def cancelled_everywhere(
    colour: str, work: Work, check: Callable[[int, bool], Awaitable[object]]
) -> int:
    """Cancel `work` at its first suspension, then at its second, ..., until it ends before.

    Args:
        check: Awaited after each with the suspension's number and whether the work returned all the same.

    Returns:
        How many suspensions there were.

    Raises:
        AssertionError: there is no end of them.
    """
    for number in range(MOST):
        came, returned = await cancelled_at(colour, number, work)
        if not came:
            return number
        await check(number, returned)
    raise AssertionError(f"it suspends more than {MOST} times, so it seems never to end")
