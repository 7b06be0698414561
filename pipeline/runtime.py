"""What a layer may ask of the world besides sending a request: time, waiting, and being waited for.

`run` drives a coroutine over the blocking runtime: its operations block instead of suspending, so the
coroutine finishes in one step. Under asyncio and trio the very same coroutine is awaited.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Coroutine, Hashable
from typing import Any, Protocol, TypeVar

__all__ = ["AsyncRuntime", "BlockingRuntime", "Event", "Runtime", "run"]

T = TypeVar("T")


class Event(Protocol):
    """A flag that is raised once and can be waited for."""

    def set(self) -> None:
        """Raise the flag and wake who waits. From any thread under the blocking runtime; else from the same loop."""

    def is_set(self) -> bool: ...

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait at most `timeout` seconds, None for ever; whether the flag is up."""


class Runtime(Protocol):
    """Time and waiting, in one of the two colours."""

    @property
    def blocking(self) -> bool:
        """True where operations block the thread; False where they suspend the task."""

    @property
    def key(self) -> Hashable:
        """Who may share events: equal for callers that do, different for another event loop."""

    def clock(self) -> float:
        """Seconds on a monotonic clock, the one that deadlines are counted on."""

    async def sleep(self, seconds: float) -> None: ...

    def event(self) -> Event: ...

    async def bounded(self, work: Awaitable[T], deadline: float) -> T:
        """Await `work` until `deadline` on `clock`.

        Blocking work cannot be interrupted: there only the operations inside keep the deadline.

        Raises:
            TimeoutError: the deadline passed first; `work` was cancelled and has ended.
        """


class _BlockingEvent:
    __slots__ = ("_event", "is_set", "set")

    def __init__(self) -> None:
        self._event = threading.Event()
        self.set = self._event.set
        self.is_set = self._event.is_set

    async def wait(self, timeout: float | None = None) -> bool:
        return self._event.wait(timeout)


class BlockingRuntime:
    """For `Client`: everything blocks the calling thread. Safe to share between threads."""

    blocking = True
    key: Hashable = "blocking"
    clock = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def event(self) -> Event:
        return _BlockingEvent()

    async def bounded(self, work: Awaitable[T], deadline: float) -> T:  # noqa: ARG002
        return await work


class _AnyioEvent:
    __slots__ = ("_event", "is_set", "set")

    def __init__(self) -> None:
        import anyio

        self._event = anyio.Event()
        self.set = self._event.set
        self.is_set = self._event.is_set

    async def wait(self, timeout: float | None = None) -> bool:
        import anyio

        if timeout is None:
            await self._event.wait()
        else:
            with anyio.move_on_after(timeout):
                await self._event.wait()
        return self._event.is_set()


class AsyncRuntime:
    """For `AsyncClient`: asyncio, trio, and what else anyio runs on."""

    blocking = False
    # asyncio and trio each have their own clock; a deadline must mean the same to all, so it is this one.
    clock = staticmethod(time.monotonic)

    @property
    def key(self) -> Hashable:
        from anyio.lowlevel import current_token

        return current_token()

    async def sleep(self, seconds: float) -> None:
        import anyio

        await anyio.sleep(seconds)

    def event(self) -> Event:
        return _AnyioEvent()

    async def bounded(self, work: Awaitable[T], deadline: float) -> T:
        import anyio

        with anyio.fail_after(max(0.0, deadline - self.clock())):
            return await work


def run(coro: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends and return its result.

    Raises:
        RuntimeError: it suspended, so something in it needs an event loop; it belongs in an
            `AsyncClient`.
    """
    try:
        awaited = coro.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    culprit = _innermost(coro)
    coro.close()
    raise RuntimeError(
        f"{culprit} suspended (it awaits {awaited!r}): it needs an event loop, so it belongs in an "
        "AsyncClient; in a Client, wait through call_next.runtime"
    )


def _innermost(coro: Coroutine[Any, Any, Any]) -> str:
    """The name of the coroutine at the bottom of the chain, the one that suspended."""
    inner: Any = coro
    while (awaited := getattr(inner, "cr_await", None)) is not None and hasattr(awaited, "cr_code"):
        inner = awaited
    return getattr(inner, "__qualname__", repr(inner))
