"""What programs send through clients that a test cannot reach: taken where they would go on the network.

`HTTPTransport.handle_request` and `AsyncHTTPTransport.handle_async_request` are what all clients without a transport
of their own send through, those made before included. While something intercepts, both are replaced; otherwise
nothing is, and it costs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.transports.http import AsyncHTTPTransport, HTTPTransport

__all__ = ["bypassing", "intercepted", "intercepting"]

T = TypeVar("T")

_lock = threading.Lock()
# The innermost is the last. For all threads, as a program's threads do not inherit context variables.
_interceptors: list[Any] = []
_bypassed: ContextVar[bool] = ContextVar("scallion_bypassed", default=False)
_intercepted: ContextVar[HTTPTransport | AsyncHTTPTransport | None] = ContextVar(
    "scallion_intercepted", default=None
)


@contextmanager
def intercepting(transport: T) -> Iterator[T]:
    """Let `transport` answer what clients would send over the network, until the `with` ends.

    That concerns every `HTTPTransport` and `AsyncHTTPTransport` in this process, whenever and by whomever it was made,
    in all threads. Transports of other kinds, `MockTransport` and `ASGITransport` among them, are left alone. Where
    several intercept, the one that began last does.

    Args:
        transport: For both colours, or for that of the clients.
    """
    with _lock:
        if not _interceptors:
            _install()
        _interceptors.append(transport)
    try:
        yield transport
    finally:
        with _lock:
            # By identity: a transport may compare as it likes.
            at = next(
                i for i in reversed(range(len(_interceptors))) if _interceptors[i] is transport
            )
            del _interceptors[at]
            if not _interceptors:
                _uninstall()


@contextmanager
def bypassing() -> Iterator[None]:
    """Let what is sent within go over the network although something intercepts. For this thread or task."""
    token = _bypassed.set(True)
    try:
        yield
    finally:
        _bypassed.reset(token)


def intercepted() -> HTTPTransport | AsyncHTTPTransport | None:
    """While an interceptor answers: the transport that the client would have used."""
    return _intercepted.get()


_originals: tuple[Any, Any] | None = None
_replacements: tuple[Any, Any] | None = None


def _install() -> None:
    global _originals, _replacements
    send, send_async = HTTPTransport.handle_request, AsyncHTTPTransport.handle_async_request

    @wraps(send)
    def handle_request(self: HTTPTransport, request: Request) -> Response:
        if _bypassed.get() or not _interceptors:
            return send(self, request)
        token = _intercepted.set(self)
        try:
            response: Response = _interceptors[-1].handle_request(request)
            return response
        finally:
            _intercepted.reset(token)

    @wraps(send_async)
    async def handle_async_request(self: AsyncHTTPTransport, request: Request) -> Response:
        if _bypassed.get() or not _interceptors:
            return await send_async(self, request)
        token = _intercepted.set(self)
        try:
            response: Response = await _interceptors[-1].handle_async_request(request)
            return response
        finally:
            _intercepted.reset(token)

    _originals = send, send_async
    _replacements = handle_request, handle_async_request
    _set(*_replacements)


def _uninstall() -> None:
    """Unless somebody else has replaced them since; ours, found below, then let everything pass."""
    assert _originals is not None
    current = HTTPTransport.handle_request, AsyncHTTPTransport.handle_async_request
    if current == _replacements:
        _set(*_originals)


def _set(send: Any, send_async: Any) -> None:
    HTTPTransport.handle_request = send  # type: ignore[method-assign]
    AsyncHTTPTransport.handle_async_request = send_async  # type: ignore[method-assign]
