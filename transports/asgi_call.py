"""An ASGI application that is being called, in a task of its own beside the client's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from scallion.pipeline.runtime import Event, Runtime
from scallion.pipeline.runtime_tasks import Task, start

__all__ = ["ASGIApp", "Call", "Message", "Receive", "Scope", "Send"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Call:
    """One call of an app, and the changes in it that both sides wait for.

    Everything happens in one event loop, so between two awaits nothing changes.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._changed: Event | None = None
        self._task: Task | None = None

    def begin(
        self, work: Callable[[], Awaitable[None]], ended: Callable[[], object] = lambda: None
    ) -> None:
        """Start `work`; `ended` is called when it is over."""

        def over() -> None:
            self.tell()
            ended()

        self._task = start(work, over)

    @property
    def over(self) -> bool:
        """Whether the app has ended."""
        return self._task is not None and self._task.done

    @property
    def error(self) -> BaseException | None:
        """What it raised."""
        return None if self._task is None else self._task.error

    def tell(self) -> None:
        """Something changed: wake everybody who waits."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def until(
        self, ready: Callable[[], bool], left: Callable[[], float | None] = lambda: None
    ) -> None:
        """Wait until `ready()`.

        Args:
            left: The seconds that remain, None for no limit; raises when there are none.
        """
        while not ready():
            if self._changed is None:
                self._changed = self.runtime.event()
            await self._changed.wait(left())

    def cancel(self) -> None:
        """Ask the app to end, from anywhere."""
        assert self._task is not None
        self._task.cancel()

    async def stop(self) -> None:
        """Cancel the app and wait until it has ended."""
        assert self._task is not None
        if not self._task.done:
            self._task.cancel()
            await self._task.join()
