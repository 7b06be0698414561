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

from scallion.pipeline.abandoning import Handle
from scallion.pipeline.errors import (
    TimeoutException,
    WriteError,
)
from scallion.pipeline.headers import Headers
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime
from scallion.pipeline.streams import ByteStream

from .connection_info import ConnectionInfo, Link, Steps
from .deadlines import remaining
from .http11_body import Body
from .http11_sending import AWAITING, READ_SIZE, SENDING, SMALL, Limits, Sending
from .keep_alive import idle_limit
from .messages import Head, RawHeaders, given_target
from .network.base import ByteChannel
from .trace import Step, Trace, debugging, tell_closed

__all__ = ["HTTP11Connection", "Owner"]


class Owner(Protocol):
    """Who gets the connection back."""

    def release(self, connection: HTTP11Connection, *, reusable: bool) -> None: ...

    def abandon(self, connection: HTTP11Connection) -> None:
        """Like release, but fit for a finaliser: takes no lock, closes nothing now."""


class HTTP11Connection(Sending):
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
        handle: What ends the exchange from another thread; None where nobody might.
    """

    protocol = "HTTP/1.1"
    handle: Handle | None = None
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
        super().__init__(channel, runtime)
        self.key = key
        self.by_proxy = by_proxy
        self.extra_headers = extra_headers
        self.exchanges = 0
        self.link = Link(channel, self.protocol)
        self.used_at = self.link.opened
        self._owner = owner
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
        extensions = request.extensions
        timeout: Limits = extensions.get("timeout") or {}
        if "trace" in extensions or debugging("http11"):
            return await self._told(request, timeout, steps)
        steps.began = perf_counter()
        data, whole = self._opening(request)
        bounded = request.deadline is not None
        head = None
        limit = timeout.get("write")
        if bounded:
            limit = remaining(limit, request, self._runtime, SENDING)
        try:
            await self.channel.write(data, limit)
        except (TimeoutException, WriteError) as error:
            head = await self._unsent(error, request, timeout, SENDING)
        if not whole and head is None:
            head = await self._send_body(request, timeout)
        steps.sent = perf_counter()
        codec = self._codec
        limit = timeout.get("read")
        while head is None:
            if bounded:
                limit = remaining(timeout.get("read"), request, self._runtime, AWAITING)
            try:
                codec.feed(await self.channel.read(READ_SIZE, limit))
            except TimeoutException as error:
                self._overdue(error, request, AWAITING)
                raise
            head = codec.head()
        self.used_at = steps.answered = perf_counter()
        response = self._respond(request, head, steps)
        if type(response.stream) is ByteStream:
            # Last, for from here on another thread may have the connection.
            self._owner.release(self, reusable=self._reusable())
        return response

    async def _told(self, request: Request, timeout: Limits, steps: Steps) -> Response:
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
        timeout: Limits,
        trace: Trace | None,
        steps: Steps,
    ) -> Response:
        details = {"request": request}
        steps.began = perf_counter()
        async with Step(trace, "http11.send_request_headers", details):
            data, whole = self._opening(request)
            head = await self._write(data, request, timeout, SENDING)
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

    def _opening(self, request: Request) -> tuple[bytes, bool]:
        """The head, with a small body; and whether that is the whole request."""
        stream = request.stream
        body = stream._stream if type(stream) is ByteStream else None
        whole = body is not None and len(body) <= SMALL
        # What is not ASCII is refused by the codec, with an explanation.
        method = request.method.encode("utf-8")
        fields = request.headers.raw
        if self.extra_headers:
            fields = self._with_extra(fields, request)
        target = request.url.target
        if self.by_proxy or "target" in request.extensions:
            target = self._target(request)
        return self._codec.start(method, target, fields, body if whole else None), whole

    def _target(self, request: Request) -> bytes:
        target = request.extensions.get("target")
        if target is not None:
            return given_target(target)
        url = request.url
        if self.by_proxy:
            return b"%s://%s%s" % (url.raw_scheme, url.host_header, url.target)
        return url.target

    def _with_extra(self, raw: RawHeaders, request: Request) -> RawHeaders:
        # What the request says to the proxy itself wins; a field twice would say neither. After Host, which comes
        # first (RFC 9110 section 7.2).
        headers = request.headers
        extra = [field for field in self.extra_headers or () if not headers.has(field[0].lower())]
        first = 1 if raw and raw[0][0].lower() == b"host" else 0
        return [*raw[:first], *extra, *raw[first:]]

    # Receiving

    async def _receive_head(self, request: Request, timeout: Limits) -> Head:
        codec = self._codec
        while True:
            codec.feed(await self._read(request, timeout, READ_SIZE, AWAITING))
            head = codec.head()
            if head is not None:
                return head

    def _reusable(self) -> bool:
        """Whether another exchange may follow, now that the response has ended."""
        hint = self._codec.keep_alive
        if hint is not None:
            self.idle_limit = idle_limit(hint)
        return not self._unfinished and self._codec.reusable() and self.idle_limit > 0

    def _respond(self, request: Request, head: Head, steps: Steps) -> Response:
        status = head.status
        codec = self._codec
        extensions: dict[str, Any] = {
            "http_version": head.version,
            "reason_phrase": head.reason,
            "network_stream": self._stream or self.network_stream,
            "connection": ConnectionInfo(self.link, self.exchanges, None, steps),
        }
        # Cases: the proxy's own answer; a switched protocol; a body that is all here; one that arrives.
        if status == 407 and self.by_proxy:
            from .proxy import login_wanted

            # RFC 9110 section 15.5.8: the proxy's own answer, not the origin's.
            raise login_wanted(head.reason, self.link.proxy)
        switched = status == 101 or (request.method == "CONNECT" and 200 <= status < 300)
        if switched:
            if codec.leftover():
                self.network_stream.unread(codec.leftover())
            body = Body(self, request, [], extensions, ended=True)
            return Response(status, headers=head.fields, stream=body, extensions=extensions)
        content, codec.content = codec.content, None
        pieces: list[bytes] = []
        if content is None:
            while piece := codec.body():
                pieces.append(piece)
            if piece is None:
                body = Body(self, request, pieces, extensions, ended=False)
                return Response(status, headers=head.fields, stream=body, extensions=extensions)
            content = b"".join(pieces)
            if codec.trailers is not None:
                extensions["trailers"] = Headers.from_raw(codec.trailers)
        return Response(
            status, headers=head.fields, stream=ByteStream(content), extensions=extensions
        )

    @property
    def network_stream(self) -> Any:
        """What `response.extensions["network_stream"]` gives: made once a connection."""
        if self._stream is None:
            from .network_stream import stream_over

            self._stream = stream_over(self.channel, self._runtime)
        return self._stream
