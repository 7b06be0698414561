"""The sending half of an HTTP/1.1 connection: a request's body, piece by piece, with an ear for what the server says.

A server may answer before it has read all of it (RFC 9112 section 9.5), and may hang up then: what it said tells more than
that it did.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from scallion.pipeline.errors import (
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    TimeoutException,
    WriteError,
)
from scallion.pipeline.request import Request
from scallion.pipeline.runtime import Runtime
from scallion.pipeline.streams import AsyncByteStream, SyncByteStream

from .deadlines import overdue, remaining
from .fast_lane import FastLane
from .messages import Head
from .network.base import ByteChannel

__all__ = ["AWAITING", "LARGE", "READ_SIZE", "SENDING", "SMALL", "Limits", "Sending"]

Limits: TypeAlias = dict[str, float | None]

SENDING = "sending the request"
AWAITING = "waiting for the response"
SMALL = 64 * 1024
"""A body up to this size leaves in one write with its head; larger ones are sent in pieces of this size."""
LARGE = 1024 * 1024
"""The size of these pieces where they are sent as they are."""
READ_SIZE = 64 * 1024


class Sending:
    """A channel and its codec, with what sends a body through them."""

    def __init__(self, channel: ByteChannel, runtime: Runtime) -> None:
        self.channel = channel
        self._runtime = runtime
        self._codec = FastLane()
        # Whether a part of a request was not sent: what is sent next would be taken for it.
        self._unfinished = False

    async def _send_body(self, request: Request, timeout: Limits) -> Head | None:
        stream = request.stream
        if self._runtime.blocking:
            assert isinstance(stream, SyncByteStream)
            chunks: Any = iter(stream)
            try:
                for chunk in chunks:
                    head = await self._send_chunk(chunk, request, timeout)
                    if head is not None:
                        return head
            finally:
                # A generator that is not asked to its end is ended here, not by the garbage collector.
                if chunks is not stream and hasattr(chunks, "close"):
                    chunks.close()
        else:
            assert isinstance(stream, AsyncByteStream)
            pieces: Any = aiter(stream)
            try:
                async for chunk in pieces:
                    head = await self._send_chunk(chunk, request, timeout)
                    if head is not None:
                        return head
            finally:
                if pieces is not stream and hasattr(pieces, "aclose"):
                    await pieces.aclose()
        end = self._codec.finish()
        return await self._write(end, request, timeout, "sending the body") if end else None

    async def _send_chunk(self, chunk: bytes, request: Request, timeout: Limits) -> Head | None:
        if type(chunk) is not bytes:
            # Its owner may fill it anew while a loop's transport still has what was not sent at once.
            chunk = bytes(chunk)
        for piece in self._cut(chunk, request):
            data: Any = self._codec.data(piece)
            while data:
                sent, head = await self._upload(data, request, timeout)
                if head is None and sent >= 0 and (sent < len(data) or self.channel.answered()):
                    # The server spoke: an interim response lets the upload go on, a final one ends it.
                    self._codec.feed(
                        await self._read(request, timeout, READ_SIZE, "sending the body")
                    )
                    head = self._codec.head()
                if head is not None:
                    # If all of this piece was sent, the codec knows whether more was to come.
                    self._unfinished |= sent != len(data)
                    self._codec.settle()
                    return head
                data = memoryview(data)[sent:]
        return None

    def _cut(self, chunk: bytes, request: Request) -> Iterator[Any]:
        """Pieces of `chunk` that are sent at once; views of it, where that is what is sent."""
        size = len(chunk)
        if size <= SMALL:
            yield chunk
            return
        # What is left of a total deadline is asked for each piece.
        plain = self._codec.plain
        step = LARGE if plain and request.deadline is None else SMALL
        view = memoryview(chunk)
        for start in range(0, size, step):
            piece = view[start : start + step]
            yield piece if plain else bytes(piece)

    async def _upload(
        self, data: bytes, request: Request, timeout: Limits
    ) -> tuple[int, Head | None]:
        """Send `data` until the server speaks: how much of it; or the head of what it said before it hung up."""
        doing = "sending the body"
        limit = self._limit("write", request, timeout, doing)
        try:
            sent = await self.channel.write_or_answer(data, limit)
            if sent < 0:
                raise WriteError(
                    "The server spoke while the body was being sent, and how much of it arrived is unknown"
                )
        except TimeoutException as error:
            self._overdue(error, request, doing)
            raise
        except WriteError:
            head = await self._last_words(request, timeout)
            if head is None:
                raise
            return 0, head
        return sent, None

    async def _write(
        self, data: bytes, request: Request, timeout: Limits, doing: str
    ) -> Head | None:
        """Send all of `data`; or return the head of what the server said before it hung up."""
        try:
            await self.channel.write(data, self._limit("write", request, timeout, doing))
        except (TimeoutException, WriteError) as error:
            return await self._unsent(error, request, timeout, doing)
        return None

    async def _unsent(
        self, error: TimeoutException | WriteError, request: Request, timeout: Limits, doing: str
    ) -> Head:
        """What the server said before it hung up; if nothing, raise what the failure means."""
        if isinstance(error, TimeoutException):
            self._overdue(error, request, doing)
            raise error
        head = await self._last_words(request, timeout)
        if head is None:
            raise error
        return head

    def _limit(self, name: str, request: Request, timeout: Limits, doing: str) -> float | None:
        """How long an operation may take; see `remaining`."""
        limit = timeout.get(name)
        return (
            limit if request.deadline is None else remaining(limit, request, self._runtime, doing)
        )

    async def _last_words(self, request: Request, timeout: Limits) -> Head | None:
        """What the server answered before it stopped listening, which says more than that it did."""
        self._unfinished = True
        try:
            while True:
                self._codec.feed(
                    await self._read(request, timeout, READ_SIZE, "sending the request")
                )
                head = self._codec.head()
                if head is not None:
                    return head
        except (ReadError, ReadTimeout, RemoteProtocolError):
            return None

    def _overdue(self, error: TimeoutException, request: Request, doing: str) -> None:
        """Raise TotalTimeout if `error` means that."""
        meant = overdue(error, request, self._runtime, doing)
        if meant is not error:
            raise meant from error

    async def _read(self, request: Request, timeout: Limits, size: int, doing: str) -> bytes:
        limit = self._limit("read", request, timeout, doing)
        try:
            return await self.channel.read(size, limit)
        except TimeoutException as error:
            self._overdue(error, request, doing)
            raise
