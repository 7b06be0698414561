"""HTTP/2 over one connection that many requests share, from tasks or threads (RFC 9113).

This file says what an exchange is. Who reads and writes on behalf of all of them is `http2_link`'s business, what
arriving frames mean `http2_arrivals`'s, and what they look like `http2_codec`'s.

Finalisers run anywhere, so `abandon` and `close` take no lock.
"""

from __future__ import annotations

from collections.abc import Coroutine, Hashable
from functools import partial
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any

from scallion.pipeline.abandoning import handle_of
from scallion.pipeline.errors import (
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    TotalTimeout,
    TransportError,
    WriteTimeout,
)
from scallion.pipeline.headers import Headers
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime, run
from scallion.pipeline.streams import ByteStream

from .connection_info import ConnectionInfo, Link, Steps
from .http2_body import Body
from .http2_fields import RequestHead, check_target
from .http2_leaving import Leaving, Owner
from .http2_sending import LAST_STREAM_ID, STREAM_WINDOW
from .http2_streams import GOODBYE, Brief, Limits, Patience, Stream, Unprocessed, Upload
from .messages import END, given_target
from .trace import Step, Trace, debugging, tell_closed

if TYPE_CHECKING:
    from .network.base import Carrier

__all__ = ["HTTP2Connection"]

_ARE_YOU_THERE = b"scallop?"
_MOST_HEADS = 64


class HTTP2Connection(Leaving):
    """One connection that speaks HTTP/2; as many exchanges at a time as there is `room` for.

    Attributes:
        key: The origin it leads to; the pool's key.
        exchanges: How many have begun.
        idle_limit: Seconds that it may be idle, as the server says; HTTP/2 has no way to.
        retires_at: When no exchange should begin here any more, on the runtime's clock. The pool sets it.
        link: What is told of it to those who look at it.
    """

    protocol = "HTTP/2"
    idle_limit = inf
    retires_at = inf

    def __init__(self, channel: Carrier, runtime: Runtime, key: Hashable, owner: Owner) -> None:
        super().__init__(channel, runtime, owner)
        self.key = key
        self.exchanges = 0
        self.link = Link(channel, self.protocol)
        # Heads of requests, by what they are made of.
        self._heads: dict[Hashable, RequestHead] = {}
        self._network_stream: Any = None

    @property
    def room(self) -> int:
        """How many exchanges there may be at once; 0 if none should begin here any more."""
        if self._closed or self._lost or self._mute or self._dead or self._goaway is not None:
            return 0
        # However short its life is to be: it was opened for an exchange.
        if self.retires_at != inf and self.exchanges and self._runtime.clock() >= self.retires_at:
            return 0
        if self._codec.last_id >= LAST_STREAM_ID or not self._most:
            return 0
        return self._capacity()

    def stale(self) -> bool:
        """Whether no exchange should begin here; takes in what arrived while nobody was reading."""
        self._hear(self.channel.stale)
        return not self.room

    @property
    def silence(self) -> float:
        """Seconds since anything arrived."""
        return self._runtime.clock() - self._heard_at

    async def lives(self, patience: Patience) -> bool:
        """Whether the server answers a PING, or says anything else, in time (RFC 9113 section 6.7).

        Raises:
            TotalTimeout: the call's deadline passed.
        """
        asker = Stream(0, self._received, "PING")
        try:
            with self._lock:
                self._codec.ping(_ARE_YOU_THERE)
            await self._flush(patience)
            await self._until(
                asker, lambda: self._lost or self._received > asker.started_at, patience
            )
        except TotalTimeout:
            raise
        except TransportError:
            return False
        return bool(self.room)

    def close(self) -> None:
        """Release the socket at once. Whoever uses the connection learns it by reading."""
        closed, self._closed = self._closed, True
        self.channel.close()
        if not closed:
            tell_closed(self.key)

    async def aclose(self) -> None:
        """Say goodbye, and close."""
        with self._lock:
            closed, self._closed = self._closed, True
            self._codec.say_goodbye()
        try:
            await self._flush(Brief(0.1))
        except TransportError:
            pass
        finally:
            await self.channel.aclose()
            if not closed:
                tell_closed(self.key)

    # One exchange.

    async def exchange(self, request: Request, steps: Steps | None = None) -> Response:
        """Send `request`; return its response, whose body holds this exchange's share until its end or its close.

        Args:
            request: What to send.
            steps: Where to note when what happened.

        Raises:
            Unprocessed: it may be sent again.
            TransportError: one of its kinds.
        """
        if steps is None:
            steps = Steps()
        timeout = request.extensions.get("timeout") or {}
        steps.began = perf_counter()
        head = self._head(request)
        upload = Upload(request, head.length, self._runtime)
        stream = self._begin(request, head, upload)
        told = "trace" in request.extensions or debugging("http2")
        trace = Trace.of(request, self._runtime, "http2") if told else None
        try:
            if request.observers and (handle := handle_of(request)) is not None:
                handle.hold(partial(self._give_up, stream))
            if trace is not None:
                await self._traced(trace, stream, upload, request, timeout, steps)
            else:
                await self._send_head(request, timeout)
                if not upload.done:
                    await self._upload(stream, upload, request, timeout, stream.answered)
                steps.sent = perf_counter()
                if not stream.answered():
                    await self._answer(stream, request, timeout)
            if stream.head is None:
                raise self._failure(stream, upload)
            steps.answered = perf_counter()
            # Another one may read its end at any moment.
            ended = stream.ended
            # A 2xx may want the rest of the request, other answers and complete ones do not.
            wanted = not upload.done and not ended and stream.head[0] < 300
            if not wanted and upload.begun:
                await upload.close()
            if trace is not None and ended:
                await self._tell_body(trace, stream, request)
        except BaseException as error:
            try:
                if trace is not None and isinstance(error, Exception):
                    await self._tell_closing(trace, stream)
            finally:
                try:
                    await self.leave(stream, 0.0)
                finally:
                    await upload.close()
            raise
        if ended and self._leaves_word(stream):
            await self._say(GOODBYE)
        response = self._respond(request, stream, upload if wanted else None, steps, ended=ended)
        if trace is not None and not ended:
            response.stream.trace = trace  # type: ignore[union-attr]  # a Body
        return response

    def _give_up(self, stream: Stream) -> None:
        """End an exchange that is not answered yet, from another thread."""
        with self._lock:
            if stream.id not in self._streams or stream.answered():
                return
            stream.error = ReadError("The exchange was given up")
            self._touch(stream)
            if self._reading:
                # It may be this very stream's thread that reads for all: the server's answer wakes it.
                self._codec.ping(_ARE_YOU_THERE)
        run(self._say(GOODBYE))

    def _send_head(self, request: Request, timeout: Limits) -> Coroutine[Any, Any, None]:
        patience = self._patience(WriteTimeout, timeout, request, "sending the request")
        # While nobody reads there are no others, or they read.
        if self._reading and not self._runtime.blocking:
            return self._send_off(patience)
        return self._flush(patience)

    def _answer(
        self, stream: Stream, request: Request, timeout: Limits
    ) -> Coroutine[Any, Any, None]:
        patience = self._patience(ReadTimeout, timeout, request, "waiting for the response")
        return self._until(stream, stream.answered, patience)

    async def _traced(
        self,
        trace: Trace,
        stream: Stream,
        upload: Upload,
        request: Request,
        timeout: Limits,
        steps: Steps,
    ) -> None:
        """Send and wait, told step by step."""
        details = {"request": request, "stream_id": stream.id}
        if stream.id == 1:
            async with Step(trace, "http2.send_connection_init", {"request": request}):
                """It leaves with the first head."""
        async with Step(trace, "http2.send_request_headers", details):
            await self._send_head(request, timeout)
        async with Step(trace, "http2.send_request_body", details):
            if not upload.done:
                await self._upload(stream, upload, request, timeout, stream.answered)
        steps.sent = perf_counter()
        try:
            async with Step(trace, "http2.receive_response_headers", details) as step:
                if not stream.answered():
                    await self._answer(stream, request, timeout)
                if stream.head is None and stream.error is not None:
                    raise stream.error
                if stream.head is not None:
                    step.returned = stream.head.status, stream.head.fields.copy()
        except TransportError as error:
            # What the end of a stream means is the caller's to say.
            if error is not stream.error:
                raise

    async def _tell_body(self, trace: Trace, stream: Stream, request: Request) -> None:
        """Tell of a body that is all here; before its share is given back, for a callback may raise."""
        details = {"request": request, "stream_id": stream.id}
        async with Step(trace, "http2.receive_response_body", details):
            """It is all here already."""
        await self._tell_closing(trace, stream)

    async def _tell_closing(self, trace: Trace, stream: Stream) -> None:
        async with Step(trace, "http2.response_closed", {"stream_id": stream.id}):
            """Nothing is left to close, or it follows."""

    def _head(self, request: Request) -> RequestHead:
        """The request's head but for its path; made once for all requests whose fields are the same.

        Raises:
            LocalProtocolError: a field holds what HTTP does not allow.
        """
        url = request.url
        raw = request.headers.raw
        key = (request.method, url.scheme, url.host_header, *raw)
        head = self._heads.get(key)
        if head is None:
            head = RequestHead(request.method, url.raw_scheme, url.host_header, raw)
            if not head.secret:
                if len(self._heads) >= _MOST_HEADS:
                    self._heads.clear()
                self._heads[key] = head
        return head

    def _begin(self, request: Request, head: RequestHead, upload: Upload) -> Stream:
        """Open a stream, and hand the codec the head and what it may send of the body."""
        target = request.extensions.get("target")
        path = request.url.target if target is None else given_target(target)
        check_target(path)
        codec = self._codec
        with self._lock:
            self._forget_abandoned()
            if not self.room:
                raise Unprocessed(ReadError("the connection was closed meanwhile"), begun=False)
            if len(self._streams) >= codec.most:
                refusal = RemoteProtocolError(
                    f"No stream can be opened: the server allows {codec.most} at once"
                )
                raise Unprocessed(refusal, begun=False)
            self.exchanges += 1
            stream = Stream(codec.last_id + 2, self._received, request.method)
            stream.number = self.exchanges
            stream.decides = not self._streams or self._silent_at == self._received
            codec.begin(stream, head, path, end=upload.done)
            if not upload.done and not upload.hungry():
                upload.fill(codec, stream)
            stream.sent = upload.done
            self._unwritten.append(stream)
            return stream

    def _failure(self, stream: Stream, upload: Upload) -> Exception:
        """What to raise for an exchange that got no response."""
        error = stream.error
        assert error is not None
        # RFC 9113 section 8.7: refused, or beyond what GOAWAY names. Else, as with HTTP/1.1, a connection
        # that had been used before and is lost before anything came back.
        if stream.refused:
            return Unprocessed(error, spent=upload.spent)
        if self._lost and stream.id > 1 and stream.started_at == self._received:
            return Unprocessed(error, certain=False, spent=upload.spent)
        return error

    def _respond(
        self,
        request: Request,
        stream: Stream,
        upload: Upload | None,
        steps: Steps,
        *,
        ended: bool,
    ) -> Response:
        assert stream.head is not None
        status, fields, _ = stream.head
        # No reason phrase: HTTP/2 has none, and `Response` knows the registered ones.
        extensions: dict[str, Any] = {
            "http_version": b"HTTP/2",
            "stream_id": stream.id,
            "network_stream": self.network_stream,
            "connection": ConnectionInfo(self.link, stream.number, stream.id, steps),
        }
        body: ByteStream | Body
        if ended:
            if stream.trailers is not None:
                extensions["trailers"] = Headers.from_raw(stream.trailers)
            self.give_back()
            body = ByteStream(b"".join([piece for piece, _ in stream.pieces]))
        else:
            body = Body(self, stream, request, upload, extensions)
        return Response(
            status, headers=Headers.from_raw(fields.copy()), stream=body, extensions=extensions
        )

    @property
    def network_stream(self) -> Any:
        """What `response.extensions["network_stream"]` gives: made once a connection."""
        if self._network_stream is None:
            from .network_stream import stream_over

            self._network_stream = stream_over(self.channel, self._runtime)
        return self._network_stream

    async def receive(self, body: Body) -> bytes:
        """The next piece of a body, END at its end. Meanwhile the rest of the request's body is sent."""
        stream, upload = body.stream, body.upload
        while True:
            if stream.pieces:
                with self._lock:
                    piece, size = stream.pieces.popleft()
                stream.owed += size
                if stream.owed >= STREAM_WINDOW // 2:
                    await self._grant(body)
                if piece:
                    return piece if isinstance(piece, bytes) else bytes(piece)
            elif stream.error is not None:
                raise stream.error
            elif stream.ended:
                if stream.trailers is not None:
                    body.extensions["trailers"] = Headers.from_raw(stream.trailers)
                return END
            elif upload is not None and not upload.done:
                await self._upload(stream, upload, body.request, body.timeout, stream.readable)
            else:
                doing = "reading the response's body"
                stream.waits_since = self._received
                patience = self._patience(ReadTimeout, body.timeout, body.request, doing)
                await self._until(stream, stream.readable, patience)

    async def _grant(self, body: Body) -> None:
        """Let the server send more of this body."""
        stream = body.stream
        with self._lock:
            owed, stream.owed = stream.owed, 0
            if stream.ended or stream.closed or self._lost:
                return
            self._codec.grant(stream, owed)
        doing = "reading the response's body"
        await self._flush(self._patience(WriteTimeout, body.timeout, body.request, doing))
