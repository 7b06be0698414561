"""The transport that is recorded: in both colours, made when it is first needed, entered and closed with its recorder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import AsyncRuntime, BlockingRuntime, Runtime
from scallion.pipeline.streams import AsyncByteStream, SyncByteStream
from scallion.transports.base import AsyncBaseTransport, BaseTransport

from .tees import AsyncTee, SyncTee, Taken

__all__ = ["Blocking", "Raised", "Suspending", "Way"]

Raised = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


class Way(Protocol):
    """What differs between the colours.

    Attributes:
        stream: What a body must be an instance of.
        wrong: What to say of a request whose body is none.
        entered: How many `with` blocks are open.
    """

    runtime: Runtime
    stream: type[Any]
    wrong: str
    entered: int

    async def send(self, request: Request) -> Response: ...

    async def consume(self, stream: Any, taken: Taken) -> None:
        """Read a body that is sent nowhere."""

    def tee(self, stream: Any, taken: Taken, ended: Callable[[], None] | None = None) -> Any: ...

    async def enter(self) -> None: ...

    async def close(self, raised: Raised | None) -> None:
        """Close the transport; `raised` is what the end of a `with` gets, None for a plain close."""


class Blocking:
    """For a `Client`."""

    runtime: Runtime = BlockingRuntime()
    stream: type[Any] = SyncByteStream
    wrong = (
        "Attempted to send an async request with a sync Client instance: its body is an async iterator; "
        "give bytes or a plain iterator"
    )

    def __init__(self, given: object) -> None:
        self.entered = 0
        self._given = given
        self._own: BaseTransport | None = None
        self._lock = threading.Lock()

    async def send(self, request: Request) -> Response:
        return self._transport().handle_request(request)

    def _transport(self) -> BaseTransport:
        if isinstance(self._given, BaseTransport):
            return self._given
        if self._given is not None:
            raise TypeError(f"{self._given!r} is for an AsyncClient, and so is a Recorder of it")
        with self._lock:
            if self._own is None:
                from scallion.transports.http import HTTPTransport

                self._own = HTTPTransport()
            return self._own

    async def consume(self, stream: SyncByteStream, taken: Taken) -> None:
        for piece in stream:
            taken.add(piece)
        taken.whole = True

    def tee(
        self, stream: Any, taken: Taken, ended: Callable[[], None] | None = None
    ) -> SyncByteStream:
        return SyncTee(stream, taken, ended)

    async def enter(self) -> None:
        if isinstance(self._given, BaseTransport):
            self._given.__enter__()

    async def close(self, raised: Raised | None) -> None:
        # Cases: the one made here; a given one, whose `with` ends or not.
        with self._lock:
            own, self._own = self._own, None
        if own is not None:
            own.close()
        elif isinstance(self._given, BaseTransport):
            if raised is None:
                self._given.close()
            else:
                self._given.__exit__(*raised)


class Suspending:
    """For an `AsyncClient`."""

    runtime: Runtime = AsyncRuntime()
    stream: type[Any] = AsyncByteStream
    wrong = (
        "Attempted to send an sync request with an AsyncClient instance: its body is a plain iterator or "
        "file; give bytes or an async iterator"
    )

    def __init__(self, given: object) -> None:
        self.entered = 0
        self._given = given
        self._own: AsyncBaseTransport | None = None
        self._lock = threading.Lock()

    async def send(self, request: Request) -> Response:
        return await self._transport().handle_async_request(request)

    def _transport(self) -> AsyncBaseTransport:
        if isinstance(self._given, AsyncBaseTransport):
            return self._given
        if self._given is not None:
            raise TypeError(f"{self._given!r} is for a Client, and so is a Recorder of it")
        with self._lock:
            if self._own is None:
                from scallion.transports.http import AsyncHTTPTransport

                self._own = AsyncHTTPTransport()
            return self._own

    async def consume(self, stream: AsyncByteStream, taken: Taken) -> None:
        async for piece in stream:
            taken.add(piece)
        taken.whole = True

    def tee(
        self, stream: Any, taken: Taken, ended: Callable[[], None] | None = None
    ) -> AsyncByteStream:
        return AsyncTee(stream, taken, ended)

    async def enter(self) -> None:
        if isinstance(self._given, AsyncBaseTransport):
            await self._given.__aenter__()

    async def close(self, raised: Raised | None) -> None:
        with self._lock:
            own, self._own = self._own, None
        if own is not None:
            await own.aclose()
        elif isinstance(self._given, AsyncBaseTransport):
            if raised is None:
                await self._given.aclose()
            else:
                await self._given.__aexit__(*raised)
