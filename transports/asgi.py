"""A transport that calls an ASGI application in the same process, with no network between them."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Any, Self

from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import AsyncRuntime, loop_ended
from scallion.pipeline.streams import AsyncByteStream

from .asgi_call import ASGIApp, Scope
from .asgi_exchange import Exchange
from .asgi_lifespan import Lifespan
from .base import AsyncBaseTransport
from .deadlines import remaining

__all__ = ["ASGITransport"]


class ASGITransport(AsyncBaseTransport):
    """Sends requests to an ASGI application, version 3, on asyncio and trio.

    Both bodies are streamed: the app's `receive` pulls the request's, and its `send` waits until the client has taken
    the piece before. A response is returned when the app starts it; its body ends when the app has ended, so
    what the app does in the background afterwards is done by then. Closing a response early is a disconnect.

    Any number of requests at once. The app sees the context variables of whoever sends, and what it sets in them
    stays with it. Of the timeouts the total one holds; there is no network, so the others have no meaning.

    Args:
        app: Called as `await app(scope, receive, send)`.
        raise_app_exceptions: Whether what the app raises comes out of the request, or of its response's body if
            that has begun. If not, the answer is a 500, and a body that has begun ends in `RemoteProtocolError`.
        root_path: Where the app is mounted, for its scope.
        client: Host and port of the client, for its scope.
        lifespan: Whether the app's startup and shutdown are run: the startup when the transport is entered or
            sends its first request, in each event loop, the shutdown when it is closed. An app without them is fine.
        grace: Seconds that an app has for ending by itself after a disconnect; then it is cancelled.

    Raises:
        TypeError: `app` cannot be called.
        ValueError: `grace` is negative.
    """

    def __init__(
        self,
        app: ASGIApp,
        raise_app_exceptions: bool = True,
        root_path: str = "",
        client: tuple[str, int] = ("127.0.0.1", 123),
        *,
        lifespan: bool = False,
        grace: float = 1.0,
    ) -> None:
        if not callable(app):
            raise TypeError(
                f"ASGITransport needs an ASGI application, which is called, not {app!r}"
            )
        if not grace >= 0:
            raise ValueError(f"grace must be at least 0 seconds: {grace!r}")
        self.app = app
        self.raise_app_exceptions = raise_app_exceptions
        self.root_path = root_path
        self.client = client
        self._lifespan = lifespan
        self._grace = grace
        self._runtime = AsyncRuntime()
        self._lock = threading.Lock()
        # By event loop.
        self._lifespans: dict[Hashable, Lifespan] = {}
        # An event loop does not keep its tasks alive; this does.
        self._exchanges: dict[Exchange, Hashable] = {}

    async def handle_async_request(self, request: Request) -> Response:
        """Call the app and wait for the head of its response.

        Raises:
            RemoteProtocolError: the app ended without answering.
            TotalTimeout: the call's deadline passed before.
            RuntimeError: the app's startup failed.
            BaseException: what the app raised.
        """
        stream = request.stream
        if not isinstance(stream, AsyncByteStream):
            raise RuntimeError(
                "Attempted to send an sync request with an AsyncClient instance: its body is a plain iterator or "
                "file; give bytes or an async iterator"
            )
        scope = self._scope(request)
        if self._lifespan:
            state = await self._start_up(request)
            if state is not None:
                scope["state"] = state.copy()
        exchange = Exchange(
            request, stream, self._runtime, raises=self.raise_app_exceptions, grace=self._grace
        )
        self._exchanges[exchange] = self._runtime.key
        return await exchange.begin(self.app, scope, lambda: self._exchanges.pop(exchange, None))

    def _scope(self, request: Request) -> Scope:
        url = request.url
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "server": (url.host, url.port),
            "client": self.client,
            "root_path": self.root_path,
        }

    async def _start_up(self, request: Request | None = None) -> dict[str, Any] | None:
        """The state of the app's lifespan in this loop, which is begun if it is the first time."""
        key = self._runtime.key
        with self._lock:
            for loop in tuple(self._lifespans):
                if loop_ended(loop):
                    del self._lifespans[loop]
            lifespan = self._lifespans.get(key)
            if lifespan is None:
                lifespan = self._lifespans[key] = Lifespan(self.app, self._runtime)
        if request is None:
            await lifespan.ready()
        else:
            doing = "waiting for the app's startup"
            await lifespan.ready(lambda: remaining(None, request, self._runtime, doing))
        return lifespan.state

    async def __aenter__(self) -> Self:
        if self._lifespan:
            await self._start_up()
        return self

    async def aclose(self) -> None:
        """Cancel what is still running, and shut the app down. The transport may be used again afterwards.

        Raises:
            RuntimeError: the app's shutdown failed.
            BaseException: what the app raised in its lifespan.
        """
        here = self._runtime.key
        with self._lock:
            lifespans, self._lifespans = self._lifespans, {}
        own = lifespans.pop(here, None)
        for lifespan in lifespans.values():
            # Other loops' apps cannot be waited for here.
            lifespan.abandon()
        try:
            for exchange, loop in tuple(self._exchanges.items()):
                if loop == here:
                    await exchange.stop()
                else:
                    exchange.abandon()
        finally:
            if own is not None:
                await own.shut_down()

    def __repr__(self) -> str:
        return f"ASGITransport({getattr(self.app, '__name__', self.app)!s})"
