"""A relay in front of an HTTP/2 server that says GOAWAY after so many streams, as a server that is being replaced does."""

from __future__ import annotations

import contextlib
import select
import socket

from hyperframe.frame import Frame, GoAwayFrame, HeadersFrame

from .servers import PATIENCE, Peer, _Server

__all__ = ["GoawayRelay"]

PREFACE = 24


class GoawayRelay(_Server):
    """Passes HTTP/2 in cleartext on to `port`; each connection serves `each` streams, and the server sees no more.

    Attributes:
        refused: How many streams came too late, on all connections.
    """

    def __init__(self, port: int, each: int) -> None:
        super().__init__(backlog=1024)
        self._upstream = port
        self._each = each
        self.refused = 0

    def play(self, peer: Peer, number: int) -> None:
        with socket.create_connection(("127.0.0.1", self._upstream), PATIENCE) as server:
            with contextlib.suppress(ConnectionError):
                _Passing(self, peer.sock, server).run()
        peer.gone.set()


class _Passing:
    """One connection: frames from the client are looked at, frames from the server are kept whole."""

    def __init__(self, relay: GoawayRelay, client: socket.socket, server: socket.socket) -> None:
        self._relay = relay
        self._client = client
        self._server = server
        self._sent = self._answered = b""
        self._preface = False
        self._streams = 0
        self._last: int | None = None

    def run(self) -> None:
        while True:
            ready = select.select([self._client, self._server], [], [], PATIENCE)[0]
            if not ready:
                return
            for source in ready:
                data = source.recv(65_536)
                if not data:
                    return
                if source is self._client:
                    self._server.sendall(self._upwards(data))
                else:
                    self._client.sendall(self._downwards(data))

    def _upwards(self, data: bytes) -> bytes:
        self._sent += data
        passed = b""
        if not self._preface:
            if len(self._sent) < PREFACE:
                return b""
            passed, self._sent, self._preface = self._sent[:PREFACE], self._sent[PREFACE:], True
        while (frame := _first(self._sent)) is not None:
            header, whole = frame
            self._sent = self._sent[len(whole) :]
            new = isinstance(header, HeadersFrame)
            if self._last is not None and header.stream_id > self._last:
                self._relay.refused += new
                continue
            passed += whole
            self._streams += new
            if new and self._streams == self._relay._each:
                self._last = header.stream_id
                self._client.sendall(self._downwards(b"", farewell=True))
        return passed

    def _downwards(self, data: bytes, *, farewell: bool = False) -> bytes:
        """Whole frames only, so that a farewell can stand between them."""
        self._answered += data
        passed = b""
        while (frame := _first(self._answered)) is not None:
            passed += frame[1]
            self._answered = self._answered[len(frame[1]) :]
        if farewell and self._last is not None:
            passed += GoAwayFrame(0, last_stream_id=self._last, error_code=0).serialize()
        return passed


def _first(buffer: bytes) -> tuple[Frame, bytes] | None:
    if len(buffer) < 9:
        return None
    header, length = Frame.parse_frame_header(memoryview(buffer[:9]))
    return (header, buffer[: 9 + length]) if len(buffer) >= 9 + length else None
