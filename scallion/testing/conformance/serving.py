"""The reference over loopback: a listener, a thread for each connection, and HTTP/1.1.

One port speaks HTTP/1.1, and HTTP/2 to whoever begins with its preface (RFC 9113 section 3.4) or agrees to it by
ALPN. A server that is closed has no thread left.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .gates import Gate, Gates
from .protocol import PIECE, Fault, Fields, Plan, Wait, gate_of, is_deaf, is_early, plan

if TYPE_CHECKING:
    import ssl

    from .encrypted import Encrypted

__all__ = ["Peer", "Server"]

PREFACE = b"PRI * HTTP/2.0"
_QUICK: int | None = getattr(socket, "TCP_QUICKACK", None)
LONG = 30.0
"""Seconds after which a silent client is given up; rules end long before."""


class Peer:
    """A client's connection, with what was received and not yet used.

    Attributes:
        gone: Whether the client has closed it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock: socket.socket | Encrypted = sock
        self.buffer = bytearray()
        self.gone = False

    def receive(self) -> bytes:
        """What comes next; nothing at the end, however it comes about."""
        try:
            data = self.sock.recv(262_144)
            if _QUICK is not None and self.sock.family == socket.AF_INET:
                # Who sends a head and a body apart, as proxies do, would wait for it.
                self.sock.setsockopt(socket.IPPROTO_TCP, _QUICK, 1)
        except OSError:
            data = b""
        self.gone = self.gone or not data
        self.buffer += data
        return data

    def send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except OSError:
            self.gone = True

    def listens(self) -> bool:
        """Whether the client is still there, as far as is known."""
        return not self.gone

    def left(self, seconds: float) -> bool:
        """Whether the client has gone; wait so long for it to go."""
        try:
            readable = select.select([self.sock], [], [], seconds)[0]
        except (OSError, ValueError):
            return True
        return bool(readable and not self.receive()) or self.gone

    def until(self, marker: bytes) -> bytes:
        while (at := self.buffer.find(marker)) < 0:
            if not self.receive():
                raise EOFError
        return self.take(at + len(marker))

    def take(self, size: int) -> bytes:
        """At most `size` bytes of what is here."""
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data


class Server:
    """Serves the reference's plans on a port of its own, or at a Unix socket's path.

    Attributes:
        address: (host, port), or the path.
        connections: How many are open.
        accepted: How many there were.
    """

    def __init__(
        self, gates: Gates, *, tls: ssl.SSLContext | None = None, path: str | None = None
    ) -> None:
        self.gates = gates
        self._tls = tls
        self._listener = socket.socket(
            socket.AF_INET if path is None else socket.AF_UNIX, socket.SOCK_STREAM
        )
        self._listener.bind(path or ("127.0.0.1", 0))
        self._listener.listen(256)
        self.address: Any = self._listener.getsockname()
        self.closing = threading.Event()
        self.accepted = 0
        self._lock = threading.Lock()
        self._peers: dict[Peer, threading.Thread] = {}
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def connections(self) -> int:
        with self._lock:
            return sum(not peer.gone for peer in self._peers)

    def hang_up(self) -> None:
        """Close all connections."""
        with self._lock:
            left = dict(self._peers)
        for peer, thread in left.items():
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
            thread.join(LONG)

    def close(self) -> None:
        """Stop listening, and end all connections and threads."""
        self.closing.set()
        with contextlib.suppress(OSError):
            # Closing a listener does not wake who accepts.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(LONG)
        self._listener.close()
        self.hang_up()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(LONG)
            if sock.family != getattr(socket, "AF_UNIX", None):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = Peer(sock)
            thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
            with self._lock:
                self.accepted += 1
                self._peers[peer] = thread
            thread.start()

    def _serve(self, peer: Peer) -> None:
        try:
            protocol = self._agree(peer)
            if protocol == "h2":
                from .serving_http2 import Session

                Session(self, peer).serve()
            elif protocol is not None:
                _converse(self, peer)
        except EOFError:
            pass
        finally:
            peer.gone = True
            peer.sock.close()
            with self._lock:
                self._peers.pop(peer, None)

    def _agree(self, peer: Peer) -> str | None:
        """The protocol that the client speaks; None if there is no coming together."""
        if self._tls is not None and isinstance(peer.sock, socket.socket):
            from .encrypted import Encrypted

            try:
                peer.sock = encrypted = Encrypted(peer.sock, self._tls)
            except OSError:
                return None
            return encrypted.selected_alpn_protocol() or "http/1.1"
        while len(peer.buffer) < len(PREFACE) and PREFACE.startswith(bytes(peer.buffer)):
            if not peer.receive():
                return None
        return "h2" if peer.buffer.startswith(PREFACE) else "http/1.1"

    def hang(self, peer: Peer, gate: Gate, *, listening: bool) -> None:
        """Wait until the client has gone, or the gate is open."""
        end = time.monotonic() + LONG
        while not (self.closing.is_set() or gate.is_open or (listening and peer.left(0.005))):
            if not listening:
                gate.wait(0.005)
            if time.monotonic() > end:
                return

    def wait(self, peer: Peer, gate: Gate, step: Wait) -> None:
        if step is Wait.GATE:
            gate.wait()
        else:
            # Listening takes bytes off the wire.
            self.hang(peer, gate, listening=step is not Wait.DEAF)


def _converse(server: Server, peer: Peer) -> None:
    """Serve HTTP/1.1 until the client has closed, or the plan is to break off."""
    while not server.closing.is_set():
        head = peer.until(b"\r\n\r\n")
        start, *lines = head[:-4].split(b"\r\n")
        method, target, _ = start.split(b" ")
        headers = tuple(
            (name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)
        )
        gate = server.gates.get(gate_of(target))
        gate.arrive()
        if _value(headers, b"expect").lower() == b"100-continue":
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b""
        early, deaf = is_early(target), is_deaf(target)
        if not (early or deaf):
            parts = []
            for piece in _body(peer, headers):
                gate.received += len(piece)
                parts.append(piece)
            body = b"".join(parts)
        if not _answer(
            server, peer, gate, plan(method.decode("latin-1"), target, headers, body), method
        ):
            return
        if deaf:
            return
        if early:
            # Closing now would take the answer back, where the client still sends (RFC 9112 section 9.6).
            while peer.receive():
                peer.buffer.clear()
            return
        if _value(headers, b"connection").lower() == b"close":
            return


def _value(headers: Fields, name: bytes) -> bytes:
    return b", ".join(value for key, value in headers if key.lower() == name)


def _body(peer: Peer, headers: Fields) -> Iterator[bytes]:
    """The request's body, in pieces as they come (RFC 9112 section 6)."""
    if _value(headers, b"transfer-encoding").lower() == b"chunked":
        while size := int(peer.until(b"\r\n").partition(b";")[0], 16):
            yield from _exactly(peer, size)
            peer.until(b"\r\n")
        while peer.until(b"\r\n") != b"\r\n":
            pass
    else:
        yield from _exactly(peer, int(_value(headers, b"content-length") or 0))


def _exactly(peer: Peer, size: int) -> Iterator[bytes]:
    while size:
        if not peer.buffer and not peer.receive():
            raise EOFError
        data = peer.take(size)
        size -= len(data)
        yield data


def _answer(server: Server, peer: Peer, gate: Gate, answer: Plan, method: bytes) -> bool:
    """Carry out the plan; whether the connection can go on."""
    if answer.before is not None:
        server.wait(peer, gate, answer.before)
    match answer.fault:
        case Fault.NO_HEAD:
            return False
        case Fault.HALF_A_HEAD:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Len")
            return False
        case Fault.GARBAGE:
            peer.send(b"\x00\x01 this is no status line\r\n\r\n")
            return False
    out = b""
    if answer.interim is not None:
        out = b"HTTP/1.1 103 Early Hints\r\n" + _lines(answer.interim) + b"\r\n"
    bodiless = answer.bodiless or method == b"HEAD"
    chunked = answer.length is None and not answer.bodiless
    out += _head(answer, chunked=chunked)
    for step in () if bodiless else answer.steps:
        # What belongs together goes out together, or a proxy in between waits for an acknowledgement.
        if isinstance(step, Wait):
            peer.send(out)
            out = b""
            server.wait(peer, gate, step)
        else:
            out += b"%x\r\n%s\r\n" % (len(step), step) if chunked else step
            if len(out) > PIECE:
                peer.send(out)
                out = b""
        if peer.gone:
            return False
    whole = answer.fault is None and Wait.FOR_EVER not in answer.steps
    if whole and chunked and not bodiless:
        out += b"0\r\n" + _lines(answer.trailers) + b"\r\n"
    peer.send(out)
    return whole and peer.listens()


def _head(answer: Plan, *, chunked: bool) -> bytes:
    framing: Fields = ()
    if chunked:
        framing = ((b"Transfer-Encoding", b"chunked"),)
    elif answer.length is not None:
        framing = ((b"Content-Length", b"%d" % answer.length),)
    start = b"HTTP/1.1 %d %s\r\n" % (answer.status, answer.reason or b"X")
    return start + _lines(answer.headers) + _lines(framing) + b"\r\n"


def _lines(headers: Fields) -> bytes:
    return b"".join(b"%s: %s\r\n" % (name, value) for name, value in headers)
