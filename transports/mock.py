"""A transport that asks a function instead of the network: for unit tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.streams import ByteStream

from .base import AsyncBaseTransport, BaseTransport

__all__ = ["MockTransport", "aread_body", "read_body"]

SyncHandler: TypeAlias = Callable[[Request], Response]
AsyncHandler: TypeAlias = Callable[[Request], Awaitable[Response]]


class MockTransport(BaseTransport, AsyncBaseTransport):
    """Answers with what `handler(request)` returns, in `Client` and `AsyncClient`.

    The request's body has been read when the handler sees it, so `request.content` is there.

    Args:
        handler: Takes the `Request`, returns a `Response` or raises what a transport would raise.
            An `async def` serves an `AsyncClient` only.

    Raises:
        TypeError: `handler` cannot be called.
    """

    def __init__(self, handler: SyncHandler | AsyncHandler) -> None:
        if not callable(handler):
            raise TypeError(
                f"MockTransport needs a function that takes a Request and returns a Response, not {handler!r}"
            )
        self.handler = handler

    def handle_request(self, request: Request) -> Response:
        """Ask the handler.

        Raises:
            TypeError: it returned something else than a Response, or is asynchronous.
        """
        read_body(request)
        response = self._ask(request)
        if hasattr(response, "__await__"):
            if hasattr(response, "close"):
                response.close()
            raise TypeError(
                "Cannot use an async handler in a sync Client: make it `def`, or use an AsyncClient"
            )
        return _checked(response)

    async def handle_async_request(self, request: Request) -> Response:
        """Ask the handler, awaiting its answer if it is asynchronous; errors as `handle_request`."""
        await aread_body(request)
        response: Any = self._ask(request)
        if hasattr(response, "__await__"):
            response = await response
        return _checked(response)

    def _ask(self, request: Request) -> Any:
        try:
            return self.handler(request)
        except StopIteration as error:
            # Python would call it an error of a coroutine that nobody has written.
            raise RuntimeError(
                f"The handler of {self!r} raised StopIteration: it has no more answers"
            ) from error

    def __repr__(self) -> str:
        return f"MockTransport({getattr(self.handler, '__name__', self.handler)!s})"


def read_body(request: Request) -> None:
    """Read a request's body, as a mock does before it answers; the request is no more replayable than before."""
    replayable = request.replayable
    request.read()
    _keep(request, replayable)


async def aread_body(request: Request) -> None:
    """The same, for bodies of async clients."""
    replayable = request.replayable
    await request.aread()
    _keep(request, replayable)


def _keep(request: Request, replayable: bool) -> None:
    """Reading a body makes it replayable; on a network it would not be, and layers shall behave alike."""
    if not replayable and request.replayable:
        stream = ByteStream(request.content)
        stream.replayable = False
        request.stream = stream


def _checked(response: Any) -> Response:
    if not isinstance(response, Response):
        raise TypeError(
            f"The mock's handler returned {response!r}: it must return a Response, for example Response(200)"
        )
    return response
