"""The requests of an event source: the first one, those that connect again, and the decision to send them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from scallion.pipeline.errors import (
    LocalProtocolError,
    SSEError,
    TotalTimeout,
    TransportError,
    UnsupportedProtocol,
)
from scallion.pipeline.headers import Headers
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.sse import Reconnect

if TYPE_CHECKING:
    from scallion.pipeline.types import HeaderTypes, URLTypes

    from ._async_client import AsyncClient
    from ._client import Client

__all__ = ["MEDIA_TYPE", "Blocking", "Colour", "Requests", "Suspending"]

MEDIA_TYPE = "text/event-stream"

_LAST_EVENT_ID = "Last-Event-ID"
# The arguments of a call that describe its body, those that are of sending, and the headers that go with a body.
_BODY = frozenset({"content", "data", "files", "json"})
_SENDING = frozenset({"auth", "follow_redirects", "allow_redirects", "middlewares"})
_FRAMING = ("Content-Type", "Content-Length", "Transfer-Encoding")
# The next connection would end as this one did, or there is no time left.
_FINAL = (LocalProtocolError, SSEError, TotalTimeout, UnsupportedProtocol)


class Colour(Protocol):
    """What clients and responses do in one of the two colours."""

    def pieces(self, response: Response) -> Any: ...

    async def pull(self, pieces: Any) -> bytes | None:
        """The next piece; None at the end."""

    async def send(self, client: Any, request: Request, options: dict[str, Any]) -> Response: ...

    async def close(self, response: Response) -> None: ...


class Blocking:
    def pieces(self, response: Response) -> Iterator[bytes]:
        return response.iter_bytes()

    async def pull(self, pieces: Iterator[bytes]) -> bytes | None:
        return next(pieces, None)

    async def send(self, client: Client, request: Request, options: dict[str, Any]) -> Response:
        return client.send(request, stream=True, **options)

    async def close(self, response: Response) -> None:
        response.close()


class Suspending:
    def pieces(self, response: Response) -> AsyncIterator[bytes]:
        return response.aiter_bytes()

    async def pull(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        return await anext(pieces, None)

    async def send(
        self, client: AsyncClient, request: Request, options: dict[str, Any]
    ) -> Response:
        return await client.send(request, stream=True, **options)

    async def close(self, response: Response) -> None:
        await response.aclose()


class Requests:
    """The requests of one source. A connection counts as failed until it has brought an event.

    Attributes:
        policy: When to connect again; None for never.
        last_event_id: What the caller's own header says.
    """

    def __init__(
        self,
        client: Client | AsyncClient,
        colour: Colour,
        method: str,
        url: URLTypes,
        *,
        reconnect: bool | Reconnect | None,
        headers: HeaderTypes | None,
        **settings: Any,
    ) -> None:
        self.policy = _policy(reconnect)
        self._client = client
        self._colour = colour
        self._options = {name: settings.pop(name) for name in _SENDING & settings.keys()}
        self._headers = Headers({"Accept": MEDIA_TYPE, "Cache-Control": "no-store"})
        self._headers.update(headers)
        self.last_event_id = self._headers.get(_LAST_EVENT_ID, "")
        self._first = first = client.build_request(
            method=method, url=url, headers=self._headers, **settings
        )
        self._method, self._url = method, url
        self._settings = {name: settings[name] for name in settings.keys() - _BODY}
        # Of the body, as it is now: layers may change the request that is sent.
        self._has_body = any(settings.get(name) is not None for name in _BODY)
        self._stream = first.stream
        self._framing = {name: first.headers[name] for name in _FRAMING if name in first.headers}
        # On the runtime's clock: a total bounds all connections and the waits between them.
        self._deadline: float | None = None
        self._failures = 0
        self._history: list[str] = []

    @property
    def replayable(self) -> bool:
        """Whether the request can be sent again."""
        return bool(getattr(self._stream, "replayable", False))

    async def first(self) -> Response:
        """The first response; a failure to connect is handled as `again` does it.

        Raises:
            HTTPError: one of its kinds.
        """
        total = (self._first.extensions.get("timeout") or {}).get("total")
        if total is not None:
            self._deadline = self._client._runtime.clock() + total
        try:
            return await self._send(self._first)
        except TransportError as error:
            if self.policy is None:
                raise
            failure = error
        return await self.again(self.policy, failure, self.last_event_id, None)

    async def again(
        self,
        policy: Reconnect,
        failure: TransportError | None,
        last_event_id: str,
        retry: int | None,
    ) -> Response:
        """Wait and connect, until that succeeds.

        Args:
            policy: When to.
            failure: How the last connection ended; None if the stream just ended.
            last_event_id: Sent along, unless it is empty.
            retry: How long the server asked to wait, in milliseconds.

        Raises:
            TransportError: connecting again is of no use, or was not, often enough: the last failure, with notes on
                those before it.
        """
        while True:
            await self._wait(policy, failure, retry)
            try:
                return await self._send(self._next(last_event_id))
            except TransportError as error:
                failure = error

    def succeeded(self) -> None:
        """Note that the connection has brought an event."""
        self._failures = -1
        self._history.clear()

    def annotate(self, error: Exception) -> None:
        """Tell on `error` of the failed connections before it."""
        for line in self._history:
            error.add_note(line)

    async def _send(self, request: Request) -> Response:
        if self._deadline is not None:
            request.deadline = self._deadline
        response = await self._colour.send(self._client, request, self._options)
        if self._deadline is None and request.deadline is not None:
            # A layer of the client bounds its calls.
            self._deadline = float(request.deadline)
        return response

    async def _wait(
        self, policy: Reconnect, failure: TransportError | None, retry: int | None
    ) -> None:
        self._failures += 1
        # Cases: no connection would do; enough of them brought nothing; the body is gone; another one may do.
        if isinstance(failure, _FINAL):
            self._give_up(failure)
        if policy.attempts is not None and self._failures >= policy.attempts:
            self._give_up(failure or self._nothing_came())
        if failure is not None and not self.replayable:
            failure.add_note("Not connected again, as the request's body cannot be sent twice")
            self._give_up(failure)
        wait = policy.seconds(self._failures, retry)
        if self._failures:
            what = "it ended" if failure is None else f"{type(failure).__name__}: {failure}"
            self._history.append(f"Connection {self._failures}: {what}; waited {wait:.3g} s")
        runtime = self._client._runtime
        left = None if self._deadline is None else self._deadline - runtime.clock()
        if left is not None and left <= wait:
            await runtime.sleep(max(left, 0.0))
            self._give_up(
                TotalTimeout(
                    "The call's deadline passed while waiting to connect again", request=self._first
                )
            )
        await runtime.sleep(wait)

    def _nothing_came(self) -> SSEError:
        times = f"{self._failures} times in a row" if self._failures > 1 else "once"
        return SSEError(
            f"The event stream ended without an event, {times}: Reconnect(attempts=...) says how often it may",
            request=self._first,
        )

    def _give_up(self, error: TransportError) -> NoReturn:
        self.annotate(error)
        raise error

    def _next(self, last_event_id: str) -> Request:
        """A request like the first one, with the headers and cookies that the client has by now."""
        headers = self._headers.copy()
        headers.pop(_LAST_EVENT_ID, None)
        if last_event_id:
            # It is UTF-8 (HTML standard), whatever else the headers are.
            headers.update([(_LAST_EVENT_ID.encode(), last_event_id.encode())])
        request = self._client.build_request(
            method=self._method, url=self._url, headers=headers, **self._settings
        )
        if not self._has_body:
            return request
        for name in _FRAMING:
            request.headers.pop(name, None)
        request.headers.update(self._framing)
        return Request(
            request.method,
            request.url,
            headers=request.headers,
            stream=self._stream,
            extensions=request.extensions,
        )


def _policy(reconnect: object) -> Reconnect | None:
    # Cases: not; by default settings; by the caller's; a mistake.
    if reconnect is None or reconnect is False:
        return None
    if reconnect is True:
        return Reconnect()
    if isinstance(reconnect, Reconnect):
        return reconnect
    raise TypeError(f"reconnect= takes True or Reconnect(...), not {reconnect!r}")
