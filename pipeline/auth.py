"""The base of all authentication schemes: a generator that yields requests and receives responses.

One flow serves both colours. `auth_flow` does no I/O; what it needs read is read for it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from types import TracebackType
from typing import Any

from .request import Request
from .response import Response

__all__ = ["Auth", "AuthFlow", "SteppedFlow"]


class Auth:
    """Base of authentication schemes. Override one of these, the first that fits:

    - `auth_flow(request)`, a generator without I/O: `response = yield request` sends a request, any
      number of times and not only the given one; returning makes the last response the answer.
      It serves both clients.
    - `around(request, call_next)`, `async def` as in a middleware and with a middleware's rules of
      ownership: for schemes that wait, through `call_next.runtime`. It serves both clients; the class
      has it only if you write it, and it then goes before flows that the class inherits.
    - `sync_auth_flow` and `async_auth_flow`, for schemes with I/O of one colour: `Client` drives the
      one, `AsyncClient` the other. An async generator is closed as soon as its flow ends.

    An instance may serve several clients, threads and tasks at once.

    Attributes:
        requires_request_body: Read the request before the flow starts, so that it finds `.content`.
        requires_response_body: Read each response before the flow receives it.
    """

    requires_request_body: bool = False
    requires_response_body: bool = False

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        """Yield requests to send and receive their responses; by default `request`, as it is."""
        yield request

    def sync_auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        """The flow for `Client`; by default `auth_flow` with bodies read."""
        if self._reads_request(request, None):
            request.read()
        flow = self.auth_flow(request)
        try:
            outgoing = next(flow, None)
            while outgoing is not None:
                response = yield outgoing
                if self.requires_response_body:
                    response.read()
                if self._reads_request(request, response):
                    request.read()
                try:
                    outgoing = flow.send(response)
                except StopIteration:
                    return
        finally:
            flow.close()

    def async_auth_flow(self, request: Request) -> AsyncGenerator[Request, Response]:
        """The flow for `AsyncClient`; by default `auth_flow` with bodies read."""
        return AuthFlow(self, request)

    def _reads_request(self, request: Request, response: Response | None) -> bool:  # noqa: ARG002
        """Whether the flow's next step needs `request.content`; asked before each step."""
        return self.requires_request_body and response is None


class SteppedFlow(AsyncGenerator[Request, Response]):
    """A plain generator, stepped as if it were an async one. It suspends nowhere."""

    __slots__ = ("_flow",)

    def __init__(self, flow: Generator[Request, Response, None]) -> None:
        self._flow = flow

    async def asend(self, value: Response | None) -> Request:
        try:
            return self._flow.send(value)  # type: ignore[arg-type]  # None starts a generator
        except StopIteration:
            raise StopAsyncIteration from None

    async def athrow(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
    ) -> Request:
        error: Any = typ if val is None else val
        if tb is not None and isinstance(error, BaseException):
            error = error.with_traceback(tb)
        try:
            return self._flow.throw(error)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        self._flow.close()


class AuthFlow(SteppedFlow):
    """The `auth_flow` of `auth`, with bodies read for it.

    Args:
        auth: The scheme.
        request: What its flow is about.
        blocking: Whether the request's body is read as a `Client`'s is; see `Runtime.blocking`.
    """

    __slots__ = ("_auth", "_blocking", "_request")

    def __init__(self, auth: Auth, request: Request, *, blocking: bool = False) -> None:
        super().__init__(auth.auth_flow(request))
        self._auth = auth
        self._blocking = blocking
        self._request = request

    async def asend(self, value: Response | None) -> Request:
        if value is not None and self._auth.requires_response_body:
            await value.aread()
        if self._auth._reads_request(self._request, value):
            if self._blocking:
                self._request.read()
            else:
                await self._request.aread()
        return await super().asend(value)
