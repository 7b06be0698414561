"""httpcore's pools as a shape that scallion's transports can take: for packages that patch or inspect those.

httpx sends through httpcore, so tools patch `httpcore.ConnectionPool.handle_request` and mean httpx (respx does by
default), or look at `transport._pool` (pytest-httpx). While scallion stands in for httpx:

- `transport._pool` is a real `httpcore.ConnectionPool`, or `HTTPProxy`, whose one connection is the transport's core;
- as long as somebody has patched these classes, requests go through that pool, and so through the patch. What the
  patch lets pass reaches the network by scallion's own core.

httpcore is never imported here: where nobody has, nobody can have patched it.
"""

from __future__ import annotations

import sys
from functools import cache
from types import FunctionType, ModuleType
from typing import Any
from weakref import ref

from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import run
from scallion.pipeline.streams import AsyncByteStream, SyncByteStream
from scallion.pipeline.urls import URL
from scallion.transports import http, network_stream

from .httpcore_errors import be_httpcores_too, map_httpcore_exceptions
from .httpcore_streams import AsyncResponseStream, ResponseStream

__all__ = ["disable", "enable"]


def enable() -> None:
    http.stand_in = _Shapes()
    network_stream.on_error = be_httpcores_too


def disable() -> None:
    http.stand_in = None
    network_stream.on_error = None


class _Shapes(http.StandIn):
    """Asked by transports; see there."""

    def pool(self, transport: Any) -> Any:
        httpcore = sys.modules.get("httpcore")
        return None if httpcore is None else _pool_of(transport, httpcore)

    def patched_pool(self, transport: Any) -> _Sender | None:
        httpcore = sys.modules.get("httpcore")
        if httpcore is None:
            return None
        blocking = isinstance(transport, http.HTTPTransport)
        kind = _kind(transport, httpcore)
        if not _is_patched(kind, "handle_request" if blocking else "handle_async_request"):
            return None
        return _Sender(_pool_of(transport, httpcore), httpcore)


def _is_patched(kind: type, method: str) -> bool:
    """Whether a method is another than the one that httpcore's module defines."""
    function = getattr(kind, method)
    if type(function) is not FunctionType:
        return True
    home = sys.modules.get(f"httpcore.{'_async' if 'async' in method else '_sync'}.connection_pool")
    return home is None or function.__globals__ is not home.__dict__


class _Sender:
    """Sends a request through a pool of httpcore's."""

    def __init__(self, pool: Any, httpcore: ModuleType) -> None:
        self._pool = pool
        self._httpcore = httpcore

    def handle_request(self, request: Request) -> Response:
        with map_httpcore_exceptions():
            answer = self._pool.handle_request(_theirs(request, self._httpcore))
        return _response(answer, ResponseStream(answer.stream))

    async def handle_async_request(self, request: Request) -> Response:
        with map_httpcore_exceptions():
            answer = await self._pool.handle_async_request(_theirs(request, self._httpcore))
        return _response(answer, AsyncResponseStream(answer.stream))


def _response(answer: Any, stream: Any) -> Response:
    return Response(
        answer.status, headers=answer.headers, stream=stream, extensions=answer.extensions
    )


def _theirs(request: Request, httpcore: ModuleType) -> Any:
    """A request as httpcore's; it remembers the one that it was made of."""
    url = request.url
    theirs = httpcore.Request(
        method=request.method,
        url=httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        ),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )
    theirs.ours = request
    return theirs


def _ours(theirs: Any, kind: type, wrapper: Any) -> Request:
    """The request to send for one that came through a pool: with the body that a patch may have read meanwhile."""
    ours: Request | None = getattr(theirs, "ours", None)
    if ours is None:
        url = URL(
            scheme=theirs.url.scheme.decode("ascii"),
            host=theirs.url.host.decode("ascii"),
            port=theirs.url.port,
            raw_path=theirs.url.target,
        )
        method = theirs.method.decode("ascii")
        ours = Request(method, url, headers=theirs.headers, extensions=theirs.extensions)
    stream: Any = theirs.stream
    if not isinstance(stream, kind):
        stream = wrapper(stream)
    ours.stream = stream
    return ours


class _Connection:
    """The one connection of a pool in httpcore's shape: it serves all requests at once, by a transport's core."""

    def __init__(self, transport: Any, httpcore: ModuleType) -> None:
        # The transport has the pool, which has this.
        self._transport = ref(transport)
        self._httpcore = httpcore

    def handle_request(self, request: Any) -> Any:
        ours = _ours(request, SyncByteStream, ResponseStream)
        return self._answer(run(self._core.handle(ours)))

    async def handle_async_request(self, request: Any) -> Any:
        ours = _ours(request, AsyncByteStream, AsyncResponseStream)
        return self._answer(await self._core.handle(ours))

    @property
    def _core(self) -> Any:
        transport = self._transport()
        assert transport is not None, "the transport sends, so it lives"
        return transport._core

    def _answer(self, response: Response) -> Any:
        return self._httpcore.Response(
            status=response.status_code,
            headers=response.headers.raw,
            content=response.stream,
            extensions=response.extensions,
        )

    def can_handle_request(self, origin: Any) -> bool:  # noqa: ARG002
        return True

    def is_available(self) -> bool:
        return True

    def has_expired(self) -> bool:
        return False

    def is_idle(self) -> bool:
        return False

    def is_closed(self) -> bool:
        return False

    def info(self) -> str:
        return "scallion"

    def close(self) -> None:
        """The transport closes what it opened."""

    async def aclose(self) -> None:
        """The transport closes what it opened."""


def _kind(transport: Any, httpcore: ModuleType) -> type:
    """Which of httpcore's classes a transport's pool would be."""
    proxy = transport._connector._proxy
    forward = proxy is not None and proxy.url.scheme in {"http", "https"}
    prefix = "" if isinstance(transport, http.HTTPTransport) else "Async"
    kind: type = getattr(httpcore, f"{prefix}{'HTTPProxy' if forward else 'ConnectionPool'}")
    return kind


def _pool_of(transport: Any, httpcore: ModuleType) -> Any:
    pool = transport.__dict__.get("_httpcore_pool")
    if pool is None:
        kind = _kind(transport, httpcore)
        pool = transport._httpcore_pool = _shape(kind)(transport, httpcore)
    return pool


@cache
def _shape(kind: Any) -> type:
    """A subclass of a pool's class of httpcore's."""

    class Pool(kind):  # type: ignore[misc]
        def __init__(self, transport: Any, httpcore: ModuleType) -> None:
            super().__init__(**_settings(transport, httpcore))
            self._transport = ref(transport)
            self._httpcore = httpcore

        def create_connection(self, origin: Any) -> _Connection:  # noqa: ARG002
            return _Connection(self._transport(), self._httpcore)

    Pool.__name__ = Pool.__qualname__ = kind.__name__
    return Pool


def _settings(transport: Any, httpcore: ModuleType) -> dict[str, Any]:
    """What the pool says when it is looked at. Its limits do not hold: those of the core do."""
    connector, limits = transport._connector, transport._limits
    settings: dict[str, Any] = {
        "max_connections": limits.max_connections,
        "max_keepalive_connections": limits.max_keepalive_connections,
        "keepalive_expiry": limits.keepalive_expiry,
        "http1": connector._http1,
        "http2": connector._http2,
        "retries": connector._retries,
        "local_address": connector._local_address,
        "uds": connector._uds,
    }
    proxy = connector._proxy
    if proxy is not None and proxy.url.scheme in {"http", "https"}:
        url = proxy.url
        settings["proxy_url"] = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        settings["proxy_auth"] = proxy.raw_auth
        settings["proxy_headers"] = proxy.headers.raw
    return settings
