"""Server-sent events at the face: `EventSource`, and the context managers that `client.sse()` returns.

`client.sse(url, ...)` makes a `Subscription(client, method, url, ...)`, all other arguments by name; nothing is sent before
that is entered, and what is wrong with the arguments is told at once.

Reading and connecting again are written once, in `_Events` and `_sse_requests`; the colours differ in `Blocking` and
`Suspending`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from scallion.pipeline.errors import (
    HTTPStatusError,
    SSEError,
    StreamClosed,
    StreamConsumed,
    TransportError,
)
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import run
from scallion.pipeline.sse import (
    DEFAULT_MAX_EVENT_SIZE,
    EventStreamDecoder,
    Reconnect,
    ServerSentEvent,
)

from ._sse_requests import MEDIA_TYPE, Blocking, Colour, Requests, Suspending

if TYPE_CHECKING:
    from scallion.pipeline.types import HeaderTypes, URLTypes

    from ._async_client import AsyncClient
    from ._client import Client

__all__ = ["AsyncSubscription", "EventSource", "Subscription"]


class EventSource:
    """The events of a response: `for event in source`, or `async for` with an `AsyncClient`.

    It is iterated once, unless the response was read before. Leaving the `with` of `client.sse()` closes the response,
    however the loop ended.

    Args:
        response: Streaming, or read; whoever made it closes it.
        max_event_size: The most bytes of one event; None for no bound.

    Iterating raises:
        SSEError: the response is no event stream, or an event is too large; the response is closed.
        StreamConsumed, StreamClosed: it was iterated or closed before.
        RequestError: receiving or decoding failed; the response is closed.
    """

    def __init__(
        self, response: Response, max_event_size: int | None = DEFAULT_MAX_EVENT_SIZE
    ) -> None:
        self._response = response
        self._max_event_size = max_event_size
        self._decoder = EventStreamDecoder(max_event_size)
        # Present where the source connects again.
        self._requests: Requests | None = None
        self._is_closed = False
        self._is_consumed = False

    @property
    def response(self) -> Response:
        """The response that events come from: the latest, where the source connects again."""
        return self._response

    @property
    def last_event_id(self) -> str:
        """The id of the last event that was given out, "" for none.

        Where the source connects again it begins with what the request's own Last-Event-ID says.
        """
        return self._decoder.last_event_id

    def __iter__(self) -> Iterator[ServerSentEvent]:
        return _SyncEvents(self, Blocking())

    def __aiter__(self) -> AsyncIterator[ServerSentEvent]:
        return _AsyncEvents(self, Suspending())

    def iter_sse(self) -> Iterator[ServerSentEvent]:
        """The same as iterating over the source: httpx-sse's spelling."""
        return iter(self)

    def aiter_sse(self) -> AsyncIterator[ServerSentEvent]:
        """The same for async clients."""
        return aiter(self)

    def __repr__(self) -> str:
        return f"<EventSource of {self._response!r}, last event id {self.last_event_id!r}>"


class _Events:
    """One iteration over a source.

    What a lost connection had brought of an event, its id included, is dropped: the server sends that event again.
    """

    def __init__(self, source: EventSource, colour: Colour) -> None:
        self._source = source
        self._colour = colour
        self._pieces: Any = None
        self._ended = False

    async def _step(self) -> ServerSentEvent | None:
        """The next event; None when no more will come."""
        if self._ended:
            return None
        try:
            event = await self._next()
        except BaseException:
            self._ended = True
            raise
        self._ended = event is None
        return event

    async def _next(self) -> ServerSentEvent | None:
        source, requests = self._source, self._source._requests
        if source._is_closed:
            raise StreamClosed
        if self._pieces is None:
            self._claim()
        while self._pieces is not None or await self._begin():
            failure = None
            last_event_id = source.last_event_id
            try:
                event = await self._read()
            except TransportError as error:
                if requests is None:
                    raise
                failure, event = error, None
            # Cases: an event; the end; the end of one connection.
            if event is not None:
                if requests is not None and not _is_bare_retry(event, last_event_id):
                    requests.succeeded()
                return event
            if requests is None or not (failure or requests.replayable):
                break
            await self._connect(requests, failure)
        return None

    def _claim(self) -> None:
        """Be the one iteration of a source that connects again; any other's response sees to that itself."""
        source = self._source
        if source._requests is None:
            source._decoder = EventStreamDecoder(source._max_event_size)
        elif source._is_consumed:
            raise StreamConsumed
        source._is_consumed = True

    async def _begin(self) -> bool:
        """Look at the answer's head. False if it says that no more events will come."""
        response, requests = self._source._response, self._source._requests
        if requests is not None and response.status_code == 204:
            await self._colour.close(response)
            return False
        refusal = _refusal(response, ok_only=requests is not None)
        if refusal is not None:
            if requests is not None:
                requests.annotate(refusal)
            await self._colour.close(response)
            raise refusal
        self._pieces = self._colour.pieces(response)
        return True

    async def _read(self) -> ServerSentEvent | None:
        """The next event of this connection; None at its end."""
        decoder = self._source._decoder
        try:
            while (event := decoder.next_event()) is None:
                piece = await self._colour.pull(self._pieces)
                if piece is None:
                    return None
                decoder.feed(piece)
        except SSEError as error:
            error._request = self._source._response._request
            await self._colour.close(self._source._response)
            raise
        return event

    async def _connect(self, requests: Requests, failure: TransportError | None) -> None:
        source, decoder = self._source, self._source._decoder
        assert requests.policy is not None
        # The connection goes back to the pool before the wait, not after it.
        await self._colour.close(source._response)
        self._pieces = None
        decoder.restart()
        source._response = await requests.again(
            requests.policy, failure, decoder.last_event_id, decoder.retry
        )

    async def _stop(self) -> None:
        self._ended = True
        await self._colour.close(self._source._response)


class _SyncEvents(_Events):
    def __iter__(self) -> Iterator[ServerSentEvent]:
        return self

    def __next__(self) -> ServerSentEvent:
        event = run(self._step())
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        """End the iteration, and close the response."""
        run(self._stop())


class _AsyncEvents(_Events):
    def __aiter__(self) -> AsyncIterator[ServerSentEvent]:
        return self

    async def __anext__(self) -> ServerSentEvent:
        event = await self._step()
        if event is None:
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """End the iteration, and close the response."""
        await self._stop()


def _is_bare_retry(event: ServerSentEvent, last_event_id: str) -> bool:
    """Whether a block sets nothing but `retry`: servers begin each connection by it, and it is no news."""
    return event == ServerSentEvent(id=last_event_id, retry=event.retry) and event.retry is not None


def _refusal(response: Response, *, ok_only: bool) -> SSEError | None:
    """What is wrong with an answer's head, or None; a status that is an error is the cause of the error.

    Args:
        response: The answer.
        ok_only: Whether another status than 200 is wrong, as the HTML standard has it; else only the media type is
            looked at, as httpx's users expect.
    """
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == MEDIA_TYPE and (response.status_code == 200 or not ok_only):
        return None
    error = SSEError(
        f"Expected an event stream, of media type {MEDIA_TYPE!r}, but got {media_type!r} "
        f"with status {response.status_code} {response.reason_phrase}".rstrip(),
        request=response._request,
    )
    if response._request is not None:
        try:
            response.raise_for_status()
        except HTTPStatusError as status:
            error.__cause__ = status
    return error


class _Subscribing:
    """What `client.sse()` returns: entered, it connects, and gives the source; left, it closes the response."""

    def __init__(
        self,
        client: Client | AsyncClient,
        colour: Colour,
        method: str,
        url: URLTypes,
        *,
        max_event_size: int | None = DEFAULT_MAX_EVENT_SIZE,
        reconnect: bool | Reconnect = False,
        headers: HeaderTypes | None = None,
        **settings: Any,
    ) -> None:
        # It refuses sizes that are none.
        EventStreamDecoder(max_event_size)
        self._max_event_size = max_event_size
        self._colour = colour
        self._requests = Requests(
            client, colour, method, url, reconnect=reconnect, headers=headers, **settings
        )
        self._source: EventSource | None = None

    async def _enter(self) -> EventSource:
        requests = self._requests
        self._source = source = EventSource(await requests.first(), self._max_event_size)
        if requests.policy is not None:
            source._requests = requests
            source._decoder = EventStreamDecoder(self._max_event_size, requests.last_event_id)
        return source

    async def _leave(self) -> None:
        assert self._source is not None
        self._source._is_closed = True
        await self._colour.close(self._source._response)


class Subscription(_Subscribing):
    """For a `Client`."""

    def __init__(self, client: Client, method: str, url: URLTypes, **settings: Any) -> None:
        super().__init__(client, Blocking(), method, url, **settings)

    def __enter__(self) -> EventSource:
        return run(self._enter())

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run(self._leave())


class AsyncSubscription(_Subscribing):
    """For an `AsyncClient`."""

    def __init__(self, client: AsyncClient, method: str, url: URLTypes, **settings: Any) -> None:
        super().__init__(client, Suspending(), method, url, **settings)

    async def __aenter__(self) -> EventSource:
        return await self._enter()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._leave()
