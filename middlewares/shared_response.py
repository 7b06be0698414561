"""A response that is read ahead, to be given to several."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from time import perf_counter
from typing import Any

from scallion.pipeline.headers import Headers
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import run
from scallion.pipeline.streams import AsyncByteStream, ByteStream, SyncByteStream

__all__ = ["SharedResponse", "read_ahead"]

# What is told of the exchange; the rest of the extensions is the connection, which is the leader's.
_TOLD = ("attempts", "http_version", "reason_phrase", "trailers")


async def read_ahead(response: Response, most: int, *, blocking: bool) -> bytes | None:
    """The body as it came over the wire, if it is of `most` bytes at most; `response` can be read as before.

    Raises:
        Exception: what the stream raises; the response is closed then.
    """
    known: bytes | None = response.__dict__.get("_content")
    if known is not None:
        # A layer further in has read it; what was coded is so no longer.
        coded = response.headers.has(b"content-encoding")
        return None if coded or len(known) > most else known
    if response.is_stream_consumed or response.is_closed:
        return None
    stream: Any = response.stream
    if type(stream) is ByteStream:
        whole = b"".join(stream)
        return whole if len(whole) <= most else None
    pieces: list[bytes] = []
    size = 0
    source = stream.__aiter__()
    try:
        while size <= most:
            try:
                piece = await source.__anext__()
            except StopAsyncIteration:
                break
            pieces.append(piece)
            size += len(piece)
        else:
            kind = _ResumedHere if blocking else _Resumed
            response.stream = kind(pieces, source, stream)
            return None
        await stream.aclose()
    except BaseException:
        await response.aclose()
        raise
    whole = b"".join(pieces)
    response.stream = ByteStream(whole)
    return whole


class SharedResponse:
    """What a leader gives to its followers.

    Args:
        response: The leader's, with its request.
        asked: The request that the leader was given, which a redirect may have led away from.
        body: As it came over the wire.
    """

    def __init__(self, response: Response, asked: Request, body: bytes) -> None:
        self._status = response.status_code
        self._headers = response.headers.raw
        self._body = body
        self._extensions = {
            name: response.extensions[name] for name in _TOLD if name in response.extensions
        }
        self._history = list(response.history)
        self._encoding = response.default_encoding
        answered = response._request
        self._elsewhere = None if answered is None or answered is asked else answered
        self._next = response.next_request

    def copy_for(self, request: Request, started: float) -> Response:
        """A response of its own, to `request`.

        Args:
            started: When it was asked for, on `time.perf_counter`'s clock.
        """
        if self._elsewhere is not None:
            # The end of a chain of redirects.
            request = _hop(self._elsewhere, request)
        response = Response(
            self._status,
            headers=Headers.from_raw(list(self._headers)),
            stream=ByteStream(self._body),
            request=request,
            extensions={**self._extensions, "coalesced": True},
            history=self._history,
            default_encoding=self._encoding,
        )
        if self._next is not None:
            response.next_request = _hop(self._next, request)
        response._started = started
        response._whole_after = perf_counter() - started
        return response


def _hop(led: Request, request: Request) -> Request:
    """Where the leader was led, as the call of `request` has it."""
    hop = Request.bodiless(led.method, led.url, led.headers.copy(), request.extensions)
    hop.inherit(request)
    return hop


class _Resumed(AsyncByteStream):
    """What has been read ahead, and then the rest."""

    def __init__(self, pieces: list[bytes], source: Any, stream: Any) -> None:
        self._pieces = pieces
        self._source = source
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        piece: bytes = await self._source.__anext__()
        return piece

    async def aclose(self) -> None:
        # Where the stream is an async generator's, that ends first.
        close = None if self._source is self._stream else getattr(self._source, "aclose", None)
        try:
            if close is not None:
                await close()
        finally:
            await self._stream.aclose()


class _ResumedHere(_Resumed, SyncByteStream):
    """The same under a `Client`, where nothing suspends."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            try:
                yield run(self.__anext__())
            except StopAsyncIteration:
                return

    def close(self) -> None:
        run(self.aclose())
