"""An ASGI application's startup and shutdown, in a task of its own: the lifespan protocol, version 2.0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scallion.pipeline.runtime import Runtime

from .asgi_call import ASGIApp, Call, Message, Scope

__all__ = ["Lifespan"]

GRACE = 1.0
"""Seconds that an app has for returning after its shutdown is complete."""


class Lifespan:
    """One run of an app from startup to shutdown.

    An app that raises, or returns, before it says anything about its startup does not know the protocol, which
    is no error. Otherwise what it raises is raised by `shut_down`.

    Attributes:
        state: What the app put there at its startup, for the scopes of requests; None if it has no lifespan.
    """

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        self.state: dict[str, Any] | None = {}
        self._runtime = runtime
        self._started = False
        self._failure: str | None = None
        self._asked = False
        self._stopping = False
        self._stopped = False
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self.state}
        self._call = Call(runtime)

        async def run() -> None:
            await app(scope, self._receive, self._send)

        self._call.begin(run)

    async def ready(self, left: Callable[[], float | None] = lambda: None) -> None:
        """Wait for the end of the startup.

        Args:
            left: The seconds that remain, None for no limit; raises when there are none.

        Raises:
            RuntimeError: the app said that its startup failed.
        """
        call = self._call
        await call.until(lambda: self._started or self._failure is not None or call.over, left)
        if self._failure is not None:
            # What it raises after saying so is the cause; it does so at once, or not at all.
            await call.stop()
            raise RuntimeError(f"The app's startup failed: {self._failure}") from call.error
        if not self._started:
            self.state = None
            if call.error is not None and not isinstance(call.error, Exception):
                raise call.error

    async def shut_down(self) -> None:
        """Ask the app to shut down, and wait until it has.

        Raises:
            RuntimeError: the app said that its shutdown failed.
        """
        call = self._call
        try:
            if self._started and not call.over:
                self._stopping = True
                call.tell()
                await call.until(lambda: self._stopped or self._failure is not None or call.over)
                end = self._runtime.clock() + GRACE
                left: Callable[[], float] = lambda: max(0.0, end - self._runtime.clock())  # noqa: E731
                await call.until(lambda: call.over or not left(), left)
        finally:
            await call.stop()
        if not self._started:
            return
        if self._failure is not None:
            raise RuntimeError(f"The app's shutdown failed: {self._failure}") from call.error
        if call.error is not None:
            raise call.error

    def abandon(self) -> None:
        """Cancel the app without waiting, from anywhere."""
        self._call.cancel()

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "lifespan.startup"}
        await self._call.until(lambda: self._stopping)
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        match message["type"]:
            case "lifespan.startup.complete":
                self._started = True
            case "lifespan.shutdown.complete":
                self._stopped = True
            case "lifespan.startup.failed" | "lifespan.shutdown.failed":
                self._failure = message.get("message") or "it gave no reason"
        self._call.tell()
