"""The onion's innermost step: hand a request to a transport of either colour, and adopt its response."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from sys import modules
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Protocol
from weakref import ref

from scallion.pipeline.errors import RequestError, TotalTimeout
from scallion.pipeline.onion import Send
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.streams import AsyncByteStream, ByteStream, SyncByteStream
from scallion.pipeline.urls import URL

from ._base import ClientState

if TYPE_CHECKING:
    from scallion.pipeline.keeping import Kept

__all__ = ["async_seam", "sync_seam"]

_CLOSED = ClientState.CLOSED


class Router(Protocol):
    """A client. It is asked anew for each request, so that a patch of its method takes effect.

    What sends holds it weakly: a client that nobody has any more is gone at once, and with it its connections, without
    waiting for the garbage collector. While it sends, it is there.
    """

    _state: ClientState

    def _transport_for_url(self, url: URL) -> Any: ...


def sync_seam(router: Router, default_encoding: Any) -> Send:
    """What sends a request through the `BaseTransport` that `router` chooses for its URL."""
    client = ref(router)

    async def send(request: Request) -> Response:
        router = client()
        if router is None or router._state is _CLOSED:
            raise _gone(router)
        started = perf_counter()
        try:
            transport = router._transport_for_url(request.url)
            if _is_ours(transport, "handle_request"):
                response = await transport._handle(request)
            else:
                response = transport.handle_request(request)
        except RequestError as error:
            if error._request is None:
                error.request = request
            raise
        if not isinstance(response, Response):
            raise _no_response(response)
        if type(response.stream) is not ByteStream:
            if not isinstance(response.stream, SyncByteStream):
                raise TypeError(
                    f"The transport's response has a stream of type {type(response.stream).__name__}: "
                    "a Client needs a SyncByteStream"
                )
            response.stream = _SyncBound(response.stream, response, request, started)
        return _adopt(response, request, started, default_encoding)

    return send


def async_seam(router: Router, default_encoding: Any) -> Send:
    """What sends a request through the `AsyncBaseTransport` that `router` chooses for its URL."""
    client = ref(router)

    async def send(request: Request) -> Response:
        router = client()
        if router is None or router._state is _CLOSED:
            raise _gone(router)
        started = perf_counter()
        try:
            transport = router._transport_for_url(request.url)
            if _is_ours(transport, "handle_async_request"):
                response = await transport._handle(request)
            else:
                response = await transport.handle_async_request(request)
        except RequestError as error:
            if error._request is None:
                error.request = request
            raise
        if not isinstance(response, Response):
            raise _no_response(response)
        if type(response.stream) is not ByteStream:
            if not isinstance(response.stream, AsyncByteStream):
                raise TypeError(
                    f"The transport's response has a stream of type {type(response.stream).__name__}: "
                    "an AsyncClient needs an AsyncByteStream"
                )
            response.stream = _AsyncBound(response.stream, response, request, started)
        return _adopt(response, request, started, default_encoding)

    return send


def _is_ours(transport: Any, method: str) -> bool:
    """Whether this is one of our network transports, that nobody patched: it needs no coroutine but the seam's to run in."""
    http = modules.get("scallion.transports.http")
    return (
        http is not None
        # What wraps the method may look like it in every way but this.
        and getattr(type(transport), method, None) is http.OWN[method]
        and method not in transport.__dict__
    )


def _gone(router: Router | None) -> RuntimeError:
    # A layer that sends again, or goes on in the background.
    if router is not None:
        return RuntimeError(
            "The client was closed while this request was under way, and sends nothing more"
        )
    return RuntimeError(
        "The client of this request is gone: keep it until the last of its requests is answered"
    )


def _no_response(returned: object) -> TypeError:
    kind = type(returned)
    return TypeError(
        f"The transport returned a {kind.__module__}.{kind.__qualname__}: it must return a scallion.Response; "
        "a transport written for httpx changes its import too"
    )


def _adopt(response: Response, request: Request, started: float, default_encoding: Any) -> Response:
    response._started = started
    if type(response.stream) is ByteStream:
        response._whole_after = perf_counter() - started
    response.request = request
    response.default_encoding = default_encoding
    # Nobody who has not imported logging can be listening.
    if "logging" in modules and (_enabled is None or _enabled(_INFO)):
        _log(request, response)
    return response


_INFO = 20
_info: Callable[..., None] | None = None
_enabled: Callable[[int], bool] | None = None


def _log(request: Request, response: Response) -> None:
    """One line per exchange at level INFO, in httpx's form, without the URL's secrets."""
    global _info, _enabled
    if _enabled is None:
        import logging

        logger = logging.getLogger("scallion")
        _info, _enabled = logger.info, logger.isEnabledFor
    if _enabled(_INFO):
        from scallion.pipeline.redaction import redact_url

        assert _info is not None
        _info(
            'HTTP Request: %s %s "%s %d %s"',
            request.method,
            redact_url(request.url),
            response.http_version,
            response.status_code,
            response.reason_phrase,
        )


class _Bound:
    """A response's stream that knows its request: errors name it, the deadline holds, the end is timed."""

    def __init__(self, stream: Any, response: Response, request: Request, started: float) -> None:
        self._stream = stream
        # Not the response itself: a circle would keep a forgotten response, and its connection, until the
        # garbage collector comes.
        self._response = ref(response)
        self._request = request
        self._started = started

    def _check(self) -> None:
        deadline = self._request.deadline
        if deadline is not None and monotonic() >= deadline:
            raise TotalTimeout(
                "The call's deadline passed while reading the response's body",
                request=self._request,
            )

    def _name(self, error: RequestError) -> None:
        if error._request is None:
            error.request = self._request

    def _time(self) -> None:
        response = self._response()
        if response is not None:
            response._elapsed = perf_counter() - self._started


class _SyncBound(_Bound, SyncByteStream, AsyncByteStream):
    """For a Client. It is of both colours, so that a layer may `await response.aclose()`; nothing suspends."""

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._stream:
                yield chunk
                self._check()
        except RequestError as error:
            self._name(error)
            raise

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Unsuspended(iter(self))

    @property
    def gather(self) -> Callable[[Kept], None] | None:
        """The stream's own way to receive all of itself; None where it has none."""
        return self._gather if hasattr(self._stream, "gather") else None

    def _gather(self, kept: Kept) -> None:
        try:
            self._stream.gather(kept)
        except RequestError as error:
            self._name(error)
            raise

    @property
    def agather(self) -> Callable[[Kept], Awaitable[None]] | None:
        return self._agather if hasattr(self._stream, "gather") else None

    async def _agather(self, kept: Kept) -> None:
        self._gather(kept)

    def close(self) -> None:
        self._time()
        self._stream.close()

    async def aclose(self) -> None:
        self.close()


class _Unsuspended:
    __slots__ = ("_iterator",)

    def __init__(self, iterator: Iterator[bytes]) -> None:
        self._iterator = iterator

    def __aiter__(self) -> _Unsuspended:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self._iterator:
            return chunk
        raise StopAsyncIteration


class _AsyncBound(_Bound, AsyncByteStream):
    def __aiter__(self) -> AsyncIterator[bytes]:
        return _AsyncChunks(self, self._stream.__aiter__())

    @property
    def agather(self) -> Callable[[Kept], Awaitable[None]] | None:
        """The stream's own way to receive all of itself; None where it has none."""
        return self._agather if hasattr(self._stream, "agather") else None

    async def _agather(self, kept: Kept) -> None:
        try:
            await self._stream.agather(kept)
        except RequestError as error:
            self._name(error)
            raise

    async def aclose(self) -> None:
        self._time()
        await self._stream.aclose()


class _AsyncChunks:
    __slots__ = ("_began", "_bound", "_iterator")

    def __init__(self, bound: _AsyncBound, iterator: Any) -> None:
        self._bound = bound
        self._iterator = iterator
        self._began = False

    def __aiter__(self) -> _AsyncChunks:
        return self

    async def __anext__(self) -> bytes:
        if self._began:
            self._bound._check()
        self._began = True
        try:
            chunk: bytes = await self._iterator.__anext__()
        except RequestError as error:
            self._bound._name(error)
            raise
        return chunk
