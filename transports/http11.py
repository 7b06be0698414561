"""HTTP/1.1 over one connection: send a request, read its response (RFC 9112).

Rules:

- A head and a small body leave in one write; a larger body follows piece by piece.
- While a body is being sent the server may answer already. The answer is read, the rest of the body is not sent,
  and the connection is closed afterwards (RFC 9112 section 9.5).
- A response whose body is all here when its head is read gives its connection back before the
  caller sees it; else the body gives it back at its end. A body closed early closes the connection.
- `request.deadline` bounds every single wait, those of the body too.
"""

from __future__ import annotations

from collections.abc import Hashable
from math import inf
from time import perf_counter
from typing import Any, Protocol

from scallion.pipeline.errors import (
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    TimeoutException,
    WriteError,
)
from scallion.pipeline.headers import Headers
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime
from scallion.pipeline.streams import AsyncByteStream, ByteStream, SyncByteStream

from .connection_info import ConnectionInfo, Link, Steps
from .deadlines import overdue, remaining
from .fast_lane import FastLane
from .http11_body import Body
from .keep_alive import idle_limit
from .messages import Head, RawHeaders, given_target
from .network.base import ByteChannel
from .trace import Step, Trace, debugging, tell_closed

__all__ = ["HTTP11Connection", "Owner"]

SMALL = 64 * 1024
"""A body up to this size leaves in one write with its head; larger ones are sent in pieces of this size."""
READ_SIZE = 64 * 1024


class Owner(Protocol):
    """Who gets the connection back."""

    def release(self, connection: HTTP11Connection, *, reusable: bool) -> None: ...

    def abandon(self, connection: HTTP11Connection) -> None:
        """Like release, but fit for a finaliser: takes no lock, closes nothing now."""


class HTTP11Connection:
    """One connection that speaks HTTP/1.1; one exchange at a time.

    Attributes:
        key: The origin (and route) it leads to; the pool's key.
        exchanges: How many have begun; more than one means that the connection was reused.
        link: What is told of it to those who look at it.
        used_at: When it was opened, or its last exchange ended, on `time.perf_counter`'s clock.
        idle_limit: Seconds that it may be idle, as the server says; inf if it says nothing.
        retires_at: When it is too old to be used again, on the runtime's clock. The pool sets it.
        by_proxy: Whether requests name their whole URL, as a forward proxy wants them (RFC 9112 section 3.2.2).
        extra_headers: Sent with every request, for the proxy.
    """

    protocol = "HTTP/1.1"
    idle_limit = inf
    retires_at = inf

    def __init__(
        self,
        channel: ByteChannel,
        runtime: Runtime,
        key: Hashable,
        owner: Owner,
        *,
        by_proxy: bool = False,
        extra_headers: RawHeaders | None = None,
    ) -> None:
        self.channel = channel
        self.key = key
        self.by_proxy = by_proxy
        self.extra_headers = extra_headers
        self.exchanges = 0
        self.link = Link(channel, self.protocol)
        self.used_at = self.link.opened
        self._runtime = runtime
        self._owner = owner
        self._codec = FastLane()
        # Whether a part of a request was not sent: what is sent next would be taken for it.
        self._unfinished = False
        self._closed = False
        self._stream: Any = None

    def stale(self) -> bool:
        """Whether this idle connection must not be used again."""
        return self.channel.stale()

    def close(self) -> None:
        self.channel.close()
        self._tell_closed()

    async def aclose(self) -> None:
        await self.channel.aclose()
        self._tell_closed()

    def _tell_closed(self) -> None:
        if not self._closed:
            self._closed = True
            tell_closed(self.key)

    @property
    def untouched(self) -> bool:
        """Whether no byte of the current exchange's response has arrived."""
        return not self._codec.received

    async def exchange(self, request: Request, steps: Steps | None = None) -> Response:
        """Send `request`; return its response, which owns this connection until its body has ended or was closed.

        Args:
            request: What to send.
            steps: Where to note when what happened.

        Raises:
            TransportError: one of its kinds; the caller then closes and releases the connection.
        """
        self.exchanges += 1
        if steps is None:
            steps = Steps()
        timeout = request.extensions.get("timeout") or {}
        if "trace" in request.extensions or debugging("http11"):
            return await self._told(request, timeout, steps)
        steps.began = perf_counter()
        head, whole = await self._send_head(request, timeout)
        if head is None and not whole:
            head = await self._send_body(request, timeout)
        steps.sent = perf_counter()
        if head is None:
            head = await self._receive_head(request, timeout)
        steps.answered = perf_counter()
        response = self._respond(request, head, steps)
        if type(response.stream) is ByteStream:
            self.used_at = steps.answered
            # Last, for from here on another thread may have the connection.
            self._owner.release(self, reusable=self._reusable())
        return response

    async def _told(
        self, request: Request, timeout: dict[str, float | None], steps: Steps
    ) -> Response:
        """The same, told step by step."""
        trace = Trace.of(request, self._runtime, "http11")
        try:
            return await self._traced(request, timeout, trace, steps)
        except Exception:
            async with Step(trace, "http11.response_closed", {}):
                """What is left to do is the owner's."""
            raise

    async def _traced(
        self,
        request: Request,
        timeout: dict[str, float | None],
        trace: Trace | None,
        steps: Steps,
    ) -> Response:
        details = {"request": request}
        steps.began = perf_counter()
        async with Step(trace, "http11.send_request_headers", details):
            head, whole = await self._send_head(request, timeout)
        async with Step(trace, "http11.send_request_body", details):
            if head is None and not whole:
                head = await self._send_body(request, timeout)
        steps.sent = perf_counter()
        async with Step(trace, "http11.receive_response_headers", details) as step:
            if head is None:
                head = await self._receive_head(request, timeout)
            step.returned = (head.version, head.status, head.reason, head.headers)
        steps.answered = perf_counter()
        response = self._respond(request, head, steps)
        if isinstance(response.stream, Body):
            response.stream.trace = trace
            return response
        async with Step(trace, "http11.receive_response_body", details):
            """It is all here already."""
        async with Step(trace, "http11.response_closed", {}):
            """And its connection is free."""
        self.used_at = steps.answered
        self._owner.release(self, reusable=self._reusable())
        return response

    # Sending

    async def _send_head(
        self, request: Request, timeout: dict[str, float | None]
    ) -> tuple[Head | None, bool]:
        """Send the head, with a small body; whether that was the whole request.

        The response's head comes back if the server answered and hung up.
        """
        stream = request.stream
        body = stream._stream if type(stream) is ByteStream else None
        whole = body is not None and len(body) <= SMALL
        # What is not ASCII is refused by the codec, with an explanation.
        method = request.method.encode("utf-8")
        data = self._codec.start(
            method, self._target(request), self._headers(request), body if whole else None
        )
        return await self._write(data, request, timeout, "sending the request"), whole

    async def _send_body(self, request: Request, timeout: dict[str, float | None]) -> Head | None:
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

    async def _send_chunk(
        self, chunk: bytes, request: Request, timeout: dict[str, float | None]
    ) -> Head | None:
        view = memoryview(chunk)
        for start in range(0, len(chunk), SMALL):
            data = self._codec.data(
                bytes(view[start : start + SMALL]) if len(chunk) > SMALL else chunk
            )
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
                data = data[sent:]
        return None

    async def _upload(
        self, data: bytes, request: Request, timeout: dict[str, float | None]
    ) -> tuple[int, Head | None]:
        """Send `data` until the server speaks: how much of it; or the head of what it said before it hung up."""
        doing = "sending the body"
        limit = remaining(timeout.get("write"), request, self._runtime, doing)
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
        self, data: bytes, request: Request, timeout: dict[str, float | None], doing: str
    ) -> Head | None:
        """Send all of `data`; or return the head of what the server said before it hung up."""
        limit = remaining(timeout.get("write"), request, self._runtime, doing)
        try:
            await self.channel.write(data, limit)
        except TimeoutException as error:
            self._overdue(error, request, doing)
            raise
        except WriteError:
            head = await self._last_words(request, timeout)
            if head is None:
                raise
            return head
        return None

    async def _last_words(self, request: Request, timeout: dict[str, float | None]) -> Head | None:
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

    def _target(self, request: Request) -> bytes:
        target = request.extensions.get("target")
        if target is not None:
            return given_target(target)
        url = request.url
        if self.by_proxy:
            return b"%s://%s%s" % (url.raw_scheme, url.host_header, url.target)
        return url.target

    def _headers(self, request: Request) -> RawHeaders:
        raw = request.headers.raw
        if not self.extra_headers:
            return raw
        # What the request says to the proxy itself wins; a field twice would say neither. After Host, which comes
        # first (RFC 9110 section 7.2).
        headers = request.headers
        extra = [field for field in self.extra_headers if not headers.has(field[0].lower())]
        first = 1 if raw and raw[0][0].lower() == b"host" else 0
        return [*raw[:first], *extra, *raw[first:]]

    # Receiving

    async def _receive_head(self, request: Request, timeout: dict[str, float | None]) -> Head:
        codec = self._codec
        while True:
            codec.feed(await self._read(request, timeout, READ_SIZE, "waiting for the response"))
            head = codec.head()
            if head is not None:
                return head

    async def _read(
        self, request: Request, timeout: dict[str, float | None], size: int, doing: str
    ) -> bytes:
        limit = timeout.get("read")
        if request.deadline is not None:
            limit = remaining(limit, request, self._runtime, doing)
        try:
            return await self.channel.read(size, limit)
        except TimeoutException as error:
            self._overdue(error, request, doing)
            raise

    def _reusable(self) -> bool:
        """Whether another exchange may follow, now that the response has ended."""
        hint = self._codec.keep_alive
        if hint is not None:
            self.idle_limit = idle_limit(hint)
        return not self._unfinished and self._codec.reusable() and self.idle_limit > 0

    def _respond(self, request: Request, head: Head, steps: Steps) -> Response:
        if head.status == 407 and self.by_proxy:
            from .proxy import login_wanted

            # RFC 9110 section 15.5.8: the proxy's own answer, not the origin's.
            raise login_wanted(head.reason, self.link.proxy)
        codec = self._codec
        extensions: dict[str, Any] = {
            "http_version": head.version,
            "reason_phrase": head.reason,
            "network_stream": self.network_stream,
            "connection": ConnectionInfo(self.link, self.exchanges, None, steps),
        }
        switched = head.status == 101 or (request.method == "CONNECT" and 200 <= head.status < 300)
        pieces: list[bytes] = []
        while not switched:
            piece = codec.body()
            if piece:
                pieces.append(piece)
                continue
            if piece is None:
                break
            # The body is all here.
            if codec.trailers is not None:
                extensions["trailers"] = Headers.from_raw(codec.trailers)
            return Response(
                head.status,
                headers=Headers.from_raw(head.headers),
                stream=ByteStream(pieces[0] if len(pieces) == 1 else b"".join(pieces)),
                extensions=extensions,
            )
        if switched and codec.leftover():
            self.network_stream.unread(codec.leftover())
        return Response(
            head.status,
            headers=Headers.from_raw(head.headers),
            stream=Body(self, request, pieces, extensions, ended=switched),
            extensions=extensions,
        )

    @property
    def network_stream(self) -> Any:
        """What `response.extensions["network_stream"]` gives: made once a connection."""
        if self._stream is None:
            from .network_stream import stream_over

            self._stream = stream_over(self.channel, self._runtime)
        return self._stream
