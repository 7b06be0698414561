"""The reference over HTTP/2: h2 does the framing, a thread carries out each request's plan."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import H2Error, ProtocolError

from .gates import Gate
from .protocol import Fault, Fields, Plan, Wait, gate_of, is_deaf, is_early, plan

if TYPE_CHECKING:
    from .serving import Peer, Server

__all__ = ["Session"]

LONG = 30.0
WINDOW = 1024 * 1024

# RFC 9113 section 6.1: DATA on stream 0 is a connection error, whatever else it is.
_NO_FRAME = b"\x00\x00\x04\x00\x00\x00\x00\x00\x00what"
# A HEADERS frame on stream 1 that announces more than comes.
_HALF_A_FRAME = b"\x00\x00\x40\x01\x04\x00\x00\x00\x01\x88"


class Call:
    """One stream: its request as it comes, and whether its client has given it up."""

    def __init__(self, headers: Any) -> None:
        fields: list[tuple[bytes, bytes]] = [(bytes(name), bytes(value)) for name, value in headers]
        pseudo = dict(fields)
        self.method = pseudo[b":method"].decode("latin-1")
        self.target = pseudo[b":path"]
        host = pseudo.get(b":authority")
        rest = [field for field in fields if not field[0].startswith(b":")]
        self.headers: Fields = tuple([(b"host", host), *rest] if host is not None else rest)
        self.pieces: queue.Queue[bytes | None] = queue.Queue()
        self.gone = False

    def listens(self) -> bool:
        """Whether the client still wants its answer."""
        return not self.gone


class Session:
    """One connection. Its own thread receives; whoever sends holds the lock."""

    def __init__(self, server: Server, peer: Peer) -> None:
        self._server = server
        self._peer = peer
        self._codec = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._calls: dict[int, Call] = {}
        self._room = threading.Condition()
        self._threads: list[threading.Thread] = []

    def serve(self) -> None:
        with self._room:
            self._codec.initiate_connection()
            self._codec.increment_flow_control_window(WINDOW)
            self._flush()
        data = self._peer.take(len(self._peer.buffer)) or self._receive()
        while data and self._hear(data):
            data = self._receive()
        with self._room:
            self._peer.gone = True
            for call in self._calls.values():
                call.gone = True
                call.pieces.put(None)
            self._room.notify_all()
        for thread in self._threads:
            thread.join(LONG)

    def _receive(self) -> bytes:
        data = self._peer.receive()
        self._peer.buffer.clear()
        return data

    def _hear(self, data: bytes) -> bool:
        with self._room:
            try:
                events = self._codec.receive_data(data)
            except H2Error:
                self._flush()
                return False
            for event in events:
                self._on(event)
            self._flush()
            self._room.notify_all()
        return True

    def _on(self, event: Any) -> None:
        if isinstance(event, RequestReceived):
            call = self._calls[event.stream_id] = Call(event.headers)
            thread = threading.Thread(target=self._play, args=(event.stream_id, call), daemon=True)
            self._threads.append(thread)
            thread.start()
        elif isinstance(event, DataReceived):
            call = self._calls[event.stream_id]
            # Who is deaf gives no credit either (RFC 9113 section 5.2).
            deaf = is_deaf(call.target) or is_early(call.target)
            if event.flow_controlled_length and not deaf:
                self._codec.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            call.pieces.put(event.data)
        elif isinstance(event, StreamEnded):
            self._calls[event.stream_id].pieces.put(None)
        elif isinstance(event, StreamReset):
            call = self._calls[event.stream_id]
            call.gone = True
            call.pieces.put(None)

    def _flush(self) -> None:
        data = self._codec.data_to_send()
        if data:
            self._peer.send(data)

    # In a stream's own thread.

    def _play(self, stream: int, call: Call) -> None:
        gate = self._server.gates.get(gate_of(call.target))
        gate.arrive()
        parts: list[bytes] = []
        if not (is_deaf(call.target) or is_early(call.target)):
            while (piece := call.pieces.get()) is not None:
                gate.received += len(piece)
                parts.append(piece)
        answer = plan(call.method, call.target, call.headers, b"".join(parts))
        with contextlib.suppress(ProtocolError):
            self._answer(stream, call, gate, answer)

    def _answer(self, stream: int, call: Call, gate: Gate, answer: Plan) -> None:
        if answer.before is not None:
            self._wait(call, gate, answer.before)
        if call.gone:
            return
        if answer.fault in (Fault.NO_HEAD, Fault.HALF_A_HEAD, Fault.GARBAGE):
            self._break_off(answer.fault)
            return
        bare = answer.bodiless or call.method == "HEAD"
        with self._room:
            if answer.interim is not None:
                self._codec.send_headers(stream, [(b":status", b"103"), *_lowered(answer.interim)])
            self._codec.send_headers(stream, _fields(answer), end_stream=bare)
            self._flush()
        if bare:
            return
        for step in answer.steps:
            if isinstance(step, Wait):
                self._wait(call, gate, step)
            else:
                self._send(stream, call, step)
            if not call.listens():
                return
        with self._room:
            if answer.fault is not None or Wait.FOR_EVER in answer.steps:
                self._codec.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
            elif answer.trailers:
                self._codec.send_headers(stream, _lowered(answer.trailers), end_stream=True)
            else:
                self._codec.end_stream(stream)
                if is_early(call.target):
                    # RFC 9113 section 8.1: the rest of the body is not wanted.
                    self._codec.reset_stream(stream, ErrorCodes.NO_ERROR)
            self._flush()

    def _send(self, stream: int, call: Call, data: bytes) -> None:
        """Send as the client's windows allow (RFC 9113 section 5.2)."""
        while data:
            with self._room:
                self._room.wait_for(
                    lambda: call.gone or self._codec.local_flow_control_window(stream) > 0, LONG
                )
                if call.gone:
                    return
                window = self._codec.local_flow_control_window(stream)
                room = min(window, self._codec.max_outbound_frame_size)
                self._codec.send_data(stream, data[:room])
                data = data[room:]
                self._flush()

    def _wait(self, call: Call, gate: Gate, step: Wait) -> None:
        if step is Wait.GATE:
            gate.wait()
            return
        end = time.monotonic() + LONG
        while not (self._server.closing.is_set() or call.gone or gate.wait(0.005)):
            if time.monotonic() > end:
                return

    def _break_off(self, fault: Fault) -> None:
        with self._room:
            if fault is Fault.GARBAGE:
                self._peer.send(_NO_FRAME)
            elif fault is Fault.HALF_A_HEAD:
                self._peer.send(_HALF_A_FRAME)
            with contextlib.suppress(OSError):
                # Not closed: its own thread still reads from it.
                self._peer.sock.shutdown(2)


def _lowered(headers: Fields) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in headers if name != b"Connection"]


def _fields(answer: Plan) -> list[tuple[bytes, bytes]]:
    length = [] if answer.length is None else [(b"content-length", b"%d" % answer.length)]
    return [(b":status", b"%d" % answer.status), *_lowered(answer.headers), *length]
