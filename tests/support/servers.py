"""Servers on loopback, in threads: one that plays a script, one that speaks HTTP, one that is a proxy.

Each is a context manager. `ScriptedServer` plays one script per connection, byte by byte, and so can break
every rule; what it received is in `connections`. `HTTPServer` answers each request by a function and keeps
`requests`. `ProxyServer` forwards and tunnels. At the end all threads have ended, and none had an error.
"""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import urlsplit

__all__ = [
    "Answer",
    "HTTPServer",
    "Peer",
    "ProxyServer",
    "Received",
    "ScriptedServer",
    "Step",
    "answer_bytes",
    "close",
    "drip",
    "expect",
    "expect_bytes",
    "half_close",
    "pause",
    "read_request",
    "reset",
    "respond",
    "send",
    "wait_for_close",
]

PATIENCE = 10.0
"""Seconds after which a server takes a silent client for a mistake in the test."""


class Peer:
    """A client's connection, seen from the server.

    Attributes:
        received: All bytes that came so far.
        gone: Set when the client closed or reset the connection.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = bytearray()
        self.gone = threading.Event()
        self._seen = 0

    def receive(self) -> bytes:
        """What comes next; nothing at the end, a reset included."""
        try:
            data = self.sock.recv(65_536)
        except (ConnectionError, ssl.SSLError):
            data = b""
        self.received += data
        if not data:
            self.gone.set()
        return data

    def until(self, marker: bytes) -> bytes:
        """Up to and including `marker`; what follows is left for later."""
        while (at := self.received.find(marker, self._seen)) < 0:
            if not self.receive():
                raise EOFError(
                    f"The client left before it sent {marker!r}: {bytes(self.received)!r}"
                )
        return self._consume(at + len(marker) - self._seen)

    def exactly(self, size: int) -> bytes:
        while len(self.received) - self._seen < size:
            if not self.receive():
                raise EOFError(f"The client left before it sent {size} bytes")
        return self._consume(size)

    def _consume(self, size: int) -> bytes:
        data = bytes(self.received[self._seen : self._seen + size])
        self._seen += size
        return data

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Step: TypeAlias = Callable[[Peer], object]


def expect(marker: bytes = b"\r\n\r\n") -> Step:
    """Receive up to `marker`, by default a request's head."""
    return lambda peer: peer.until(marker)


def expect_bytes(size: int) -> Step:
    return lambda peer: peer.exactly(size)


def send(*pieces: bytes) -> Step:
    """Send each piece in a packet of its own, if the client still listens."""

    def step(peer: Peer) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            for piece in pieces:
                peer.sock.sendall(piece)

    return step


def respond(body: bytes = b"ok", status: bytes = b"200 OK", headers: bytes = b"") -> Step:
    """Send a response of announced length; `headers` are whole lines."""
    return send(
        b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, headers, len(body), body)
    )


def drip(data: bytes, every: float) -> Step:
    """Send one byte every so many seconds, until the client has had enough."""

    def step(peer: Peer) -> None:
        for index in range(len(data)):
            readable, _, _ = select.select([peer.sock], [], [], every)
            if readable and not peer.receive():
                return
            send(data[index : index + 1])(peer)

    return step


def pause(until: threading.Event) -> Step:
    def step(_: Peer) -> None:
        assert until.wait(PATIENCE), "nobody ended the pause"

    return step


def close(peer: Peer) -> None:
    peer.sock.close()


def half_close(peer: Peer) -> None:
    """Send the end of the stream; go on receiving."""
    peer.sock.shutdown(socket.SHUT_WR)


def reset(peer: Peer) -> None:
    peer.reset()


def wait_for_close(peer: Peer) -> None:
    """Receive until the client closes; each script ends so by itself, if it has not closed."""
    while peer.receive():
        pass


class _Server:
    """Accepts connections, each in a thread of its own.

    Attributes:
        connections: All of them, in the order of their acceptance.
        errors: What went wrong in the threads.
        address: Where it listens: (host, port), or a path.
    """

    scheme = "http"

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        path: str | None = None,
        host: str = "127.0.0.1",
        backlog: int = 128,
    ) -> None:
        self._tls = tls
        family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind(path or (host, 0))
        self._listener.listen(backlog)
        self.address: Any = self._listener.getsockname()
        self.connections: list[Peer] = []
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._arrival = threading.Condition()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    @property
    def port(self) -> int:
        return int(self.address[1])

    @property
    def url(self) -> str:
        """Its root; for TLS it bears the name that certificates of these tests are for."""
        return f"https://localhost:{self.port}" if self._tls else f"http://127.0.0.1:{self.port}"

    def play(self, peer: Peer, number: int) -> None:
        """Serve connection `number`, counted from 0."""
        raise NotImplementedError

    def wait_until_gone(self, *numbers: int) -> None:
        """Wait until the client has closed these connections; none named: all of them."""
        with self._arrival:
            self._arrival.wait_for(
                lambda: len(self.connections) > max(numbers, default=-1), PATIENCE
            )
        for number in numbers or range(len(self.connections)):
            assert self.connections[number].gone.wait(PATIENCE), f"connection {number} is open"

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        # Closing a listener does not wake who accepts; a visitor does.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(PATIENCE)
        self._listener.close()
        if exc_value is not None:
            for peer in self.connections:
                with contextlib.suppress(OSError):
                    peer.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        if exc_value is None:
            assert not any(thread.is_alive() for thread in self._threads), "a connection is open"
            assert self.errors == []

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = Peer(sock)
            with self._arrival:
                number = len(self.connections)
                self.connections.append(peer)
                self._arrival.notify_all()
            thread = threading.Thread(target=self._serve, args=(peer, number), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: Peer, number: int) -> None:
        try:
            if self._tls is not None:
                try:
                    peer.sock = self._tls.wrap_socket(peer.sock, server_side=True)
                except (OSError, ValueError):
                    peer.gone.set()
                    return
            self.play(peer, number)
        except BaseException as error:
            self.errors.append(error)
        finally:
            peer.sock.close()


class ScriptedServer(_Server):
    """Plays a script for each connection, the next for the next; one more connection is an error.

    After its last step a connection that is still open waits for the client to close it.
    """

    def __init__(self, *scripts: Sequence[Step], repeat: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self._scripts = scripts
        self._repeat = repeat

    def play(self, peer: Peer, number: int) -> None:
        assert self._repeat or number < len(self._scripts), f"nobody expected connection {number}"
        for step in self._scripts[min(number, len(self._scripts) - 1)]:
            step(peer)
        if peer.sock.fileno() >= 0:
            wait_for_close(peer)


@dataclass
class Received:
    """A request as it arrived: the raw head's parts, and the number of its connection."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int

    def get(self, name: str) -> str | None:
        """The header's values, joined."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None


@dataclass
class Answer:
    status: int = 200
    body: bytes = b"ok"
    headers: Iterable[tuple[str, str]] = field(default_factory=tuple)
    chunked: bool = False


class HTTPServer(_Server):
    """An ordinary server with keep-alive: `handler(request)` answers; `requests` are kept in their order."""

    def __init__(
        self, handler: Callable[[Received], Answer] = lambda request: Answer(), **settings: Any
    ) -> None:
        super().__init__(**settings)
        self._handler = handler
        self.requests: list[Received] = []

    def play(self, peer: Peer, number: int) -> None:
        while (request := read_request(peer, number)) is not None:
            self.requests.append(request)
            answer = self._handler(request)
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                peer.sock.sendall(answer_bytes(answer, request.method))
            if request.get("connection") == "close":
                return


def read_request(peer: Peer, number: int) -> Received | None:
    """The next request, or None when the client has closed."""
    try:
        head = peer.until(b"\r\n\r\n").decode("latin-1")
    except EOFError:
        return None
    start, *lines = head[:-4].split("\r\n")
    method, target, _ = start.split(" ")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    request = Received(method, target, headers, b"", number)
    try:
        if request.get("transfer-encoding") == "chunked":
            request.body = _read_chunks(peer)
        else:
            request.body = peer.exactly(int(request.get("content-length") or 0))
    except EOFError:
        return None
    return request


def _read_chunks(peer: Peer) -> bytes:
    parts = []
    while size := int(peer.until(b"\r\n"), 16):
        parts.append(peer.exactly(size))
        peer.until(b"\r\n")
    peer.until(b"\r\n")
    return b"".join(parts)


def answer_bytes(answer: Answer, method: str = "GET") -> bytes:
    lines = [f"HTTP/1.1 {answer.status} X", *(f"{name}: {value}" for name, value in answer.headers)]
    if answer.chunked:
        lines.append("Transfer-Encoding: chunked")
        body = b"%x\r\n%s\r\n" % (len(answer.body), answer.body) if answer.body else b""
        body += b"0\r\n\r\n"
    else:
        lines.append(f"Content-Length: {len(answer.body)}")
        body = answer.body
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head if method == "HEAD" else head + body


class ProxyServer(HTTPServer):
    """Forwards requests in absolute form, and opens tunnels. Its own `requests` are what it was sent.

    Args:
        login: (user, password) that it wants, or None.
        refuse: A status with which it refuses every tunnel.
    """

    def __init__(
        self, login: tuple[str, str] | None = None, refuse: int | None = None, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self._login = login
        self._refuse = refuse

    def play(self, peer: Peer, number: int) -> None:
        try:
            self._converse(peer, number)
        except (ConnectionError, ssl.SSLError):
            # Only a client that left makes sending fail.
            peer.gone.set()

    def _converse(self, peer: Peer, number: int) -> None:
        while (request := read_request(peer, number)) is not None:
            self.requests.append(request)
            if not self._welcome(request):
                headers = [("Proxy-Authenticate", 'Basic realm="proxy"')]
                peer.sock.sendall(answer_bytes(Answer(407, b"login", headers)))
            elif request.method == "CONNECT":
                if self._refuse is not None:
                    peer.sock.sendall(answer_bytes(Answer(self._refuse, b"no")))
                    continue
                self._tunnel(peer, request.target)
                return
            else:
                peer.sock.sendall(_forwarded(request))

    def _welcome(self, request: Received) -> bool:
        if self._login is None:
            return True
        token = base64.b64encode(":".join(self._login).encode()).decode()
        return request.get("proxy-authorization") == f"Basic {token}"

    def _tunnel(self, peer: Peer, target: str) -> None:
        host, _, port = target.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), PATIENCE) as origin:
            peer.sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _pump(peer.sock, origin)
        peer.gone.set()


def _pump(client: socket.socket, origin: socket.socket) -> None:
    """Carry bytes both ways until one side ends; by one thread, as TLS sockets bear no more."""
    with contextlib.suppress(OSError):
        while True:
            pending = isinstance(client, ssl.SSLSocket) and client.pending()
            ready = [client] if pending else select.select([client, origin], [], [], PATIENCE)[0]
            if not ready:
                return
            for source in ready:
                data = source.recv(65_536)
                if not data:
                    return
                (origin if source is client else client).sendall(data)


def _forwarded(request: Received) -> bytes:
    """The origin's answer to the request, sent in origin form and without what is the proxy's."""
    url = urlsplit(request.target)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    headers = [field for field in request.headers if not field[0].lower().startswith("proxy-")]
    lines = [f"{request.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
    with socket.create_connection((url.hostname, url.port or 80), PATIENCE) as origin:
        origin.sendall(head + request.body)
        parts = []
        while data := origin.recv(65_536):
            parts.append(data)
    return b"".join(parts)
