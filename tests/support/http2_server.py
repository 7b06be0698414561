"""A server for HTTP/2 on loopback, by threads: h2 does the framing, a handler decides what is said and when.

`HTTP2Server(handler)` calls `handler(session, call)` once a request is complete, in its connection's thread; by default
each gets `200 ok`. With `early=True` it is called as soon as the head is here. `greet(session)` is called first of all, `hear(session, event)` for each event. The handler answers by
`session.respond`, at once or later from another request's handler, or plays with `session.codec`.
What a client did lies in `server.seen`, and `server.until` waits for it.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    PingAckReceived,
    RequestReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import H2Error, ProtocolError

from .servers import Answer, Peer, ScriptedServer, answer_bytes, read_request

__all__ = ["Call", "HTTP2Server", "Session"]

PATIENCE = 10.0
Handler = Callable[["Session", "Call"], object]


@dataclass
class Call:
    """One request: its pseudo-header fields and fields as received, and its body so far."""

    stream: int
    headers: list[tuple[str, str]]
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False

    def get(self, name: str) -> str | None:
        return dict(self.headers).get(name)

    @property
    def path(self) -> str:
        return self.get(":path") or ""


def _texts(fields: Any) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in fields]


def ok(session: Session, call: Call) -> None:
    session.respond(call, b"ok")


@dataclass
class Outgoing:
    data: bytes
    trailers: list[tuple[str, str]] | None
    end: bool


class Session:
    """One connection, in its own thread.

    Attributes:
        number: Of the connection, from 0.
        calls: The requests, by stream.
        echo: Streams whose data is sent back as it comes.
        generous: Whether the client's data is credited when it arrives.
    """

    def __init__(
        self, server: HTTP2Server, peer: Peer, number: int, settings: dict[Any, int]
    ) -> None:
        self.server = server
        self.peer = peer
        self.number = number
        self.calls: dict[int, Call] = {}
        self.echo: set[int] = set()
        self.generous = True
        self.codec = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
        self.codec.local_settings.update(settings)
        self.codec.local_settings.acknowledge()
        self._outgoing: dict[int, Outgoing] = {}
        self._open = True

    def serve(self) -> None:
        self.codec.initiate_connection()
        self.flush()
        while self._open and (data := self.peer.receive()):
            try:
                events = self.codec.receive_data(data)
            except H2Error as error:
                self.server.note("broken", repr(error))
                self.flush()
                return
            for event in events:
                self._on(event)
                if self.server.hear is not None:
                    self.server.hear(self, event)
            self.pump()
            self.flush()

    def _on(self, event: Any) -> None:
        note = self.server.note
        if isinstance(event, RequestReceived):
            call = self.calls[event.stream_id] = Call(event.stream_id, _texts(event.headers))
            self.server.calls.append(call)
            note("request", self.number, event.stream_id)
            if self.server.early:
                self.server.handler(self, call)
        elif isinstance(event, DataReceived):
            if self.generous:
                self.credit(event.flow_controlled_length, event.stream_id)
            self.calls[event.stream_id].body += event.data
            if event.stream_id in self.echo:
                self.say(event.stream_id, event.data)
        elif isinstance(event, StreamEnded):
            call = self.calls[event.stream_id]
            call.ended = True
            if event.stream_id in self.echo:
                self.say(event.stream_id, b"", end=True)
            elif not self.server.early:
                self.server.handler(self, call)
        elif isinstance(event, StreamReset):
            self._outgoing.pop(event.stream_id, None)
            note("reset", event.stream_id, int(event.error_code))
        elif isinstance(event, WindowUpdated):
            note("window", event.stream_id, event.delta)
        elif isinstance(event, PingAckReceived):
            note("pong", bytes(event.ping_data))
        elif isinstance(event, SettingsAcknowledged):
            note("acknowledged")
        elif isinstance(event, ConnectionTerminated):
            note("goaway", int(event.error_code or 0))

    def credit(self, size: int, stream: int) -> None:
        if size:
            self.codec.acknowledge_received_data(size, stream)

    def respond(
        self,
        call: Call,
        body: bytes = b"",
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (),
        trailers: list[tuple[str, str]] | None = None,
        *,
        end: bool = True,
    ) -> None:
        """Send the head now, and the body as the client's windows allow."""
        fields = [(":status", str(status)), *headers]
        bare = end and not body and not trailers
        try:
            self.codec.send_headers(call.stream, fields, end_stream=bare)
        except ProtocolError:
            return  # The client has gone off it already.
        if not bare:
            self.say(call.stream, body, trailers, end=end)

    def say(
        self,
        stream: int,
        data: bytes,
        trailers: list[tuple[str, str]] | None = None,
        *,
        end: bool = False,
    ) -> None:
        out = self._outgoing.setdefault(stream, Outgoing(b"", None, False))
        out.data += data
        out.trailers = trailers
        out.end = end
        self.pump()

    def pump(self) -> None:
        for stream, out in list(self._outgoing.items()):
            try:
                self._pump(stream, out)
            except ProtocolError:
                del self._outgoing[stream]

    def _pump(self, stream: int, out: Outgoing) -> None:
        codec = self.codec
        while out.data:
            room = min(codec.local_flow_control_window(stream), codec.max_outbound_frame_size)
            if room <= 0:
                return
            frame, out.data = out.data[:room], out.data[room:]
            last = out.end and not out.data and not out.trailers
            codec.send_data(stream, frame, end_stream=last)
            if last:
                del self._outgoing[stream]
                return
        if out.trailers:
            codec.send_headers(stream, out.trailers, end_stream=True)
            del self._outgoing[stream]
        elif out.end:
            codec.end_stream(stream)
            del self._outgoing[stream]

    def flush(self) -> None:
        data = self.codec.data_to_send()
        if data:
            try:
                self.peer.sock.sendall(data)
            except ConnectionError:
                self._open = False

    def raw(self, frames: bytes) -> None:
        """Send what h2 would not."""
        self.flush()
        self.peer.sock.sendall(frames)

    def hang_up(self) -> None:
        """Send what is to be sent, and close."""
        self.flush()
        self._open = False


class HTTP2Server(ScriptedServer):
    """Serves HTTP/2; over TLS also HTTP/1.1, as the client wishes.

    Attributes:
        calls: All requests.
        seen: What happened, in order: ("request", connection, stream), ("reset", stream, code),
            ("window", stream, increment), ("pong", data), ("acknowledged",), ("goaway", code), ("broken", why).
    """

    def __init__(
        self,
        handler: Handler = ok,
        *,
        early: bool = False,
        settings: dict[Any, int] | None = None,
        greet: Callable[[Session], object] | None = None,
        hear: Callable[[Session, Any], object] | None = None,
        tls: ssl.SSLContext | None = None,
        **more: Any,
    ) -> None:
        super().__init__(tls=tls, **more)
        self.handler = handler
        self.early = early
        self.calls: list[Call] = []
        self.seen: list[tuple[Any, ...]] = []
        self.plain: list[str] = []
        self._settings = settings or {}
        self._greet = greet
        self.hear = hear
        self._news = threading.Condition()

    def play(self, peer: Peer, number: int) -> None:
        sock = peer.sock
        if isinstance(sock, ssl.SSLSocket) and sock.selected_alpn_protocol() != "h2":
            while (request := read_request(peer, number)) is not None:
                self.plain.append(request.target)
                sock.sendall(answer_bytes(Answer(body=b"one"), request.method))
            return
        session = Session(self, peer, number, self._settings)
        if self._greet is not None:
            self._greet(session)
        session.serve()

    def note(self, *event: Any) -> None:
        with self._news:
            self.seen.append(event)
            self._news.notify_all()

    def until(self, *event: Any) -> None:
        """Wait until an event that begins like this has been seen."""
        with self._news:
            found = self._news.wait_for(
                lambda: any(seen[: len(event)] == event for seen in self.seen), PATIENCE
            )
        assert found, f"{event} did not happen: {self.seen}"

    def count(self, *event: Any) -> int:
        with self._news:
            return sum(seen[: len(event)] == event for seen in self.seen)
