"""A threaded loopback server whose answers are a function of the request; for cases that talk over sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["HANG_UP", "Answer", "Received", "Server", "multipart", "serve"]

HANG_UP = object()
"""Instead of an answer: the connection is closed without one."""


@dataclass
class Received:
    """One request as it arrived. `query` maps a name to its values."""

    method: str
    target: str
    headers: Message
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)


@dataclass
class Answer:
    """What is sent back; a body that is no bytes is sent chunk by chunk."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""


@dataclass
class Server:
    url: str
    received: list[Received]


@contextmanager
def serve(answer: Callable[[Received], Any]) -> Iterator[Server]:
    """A server on a free port, until the block ends; what arrives is kept in order."""
    received: list[Received] = []

    class Handler(_Handler):
        def respond(self, request: Received) -> Any:
            received.append(request)
            return answer(request)

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}", received)
    finally:
        server.shutdown()
        server.server_close()
        server.hang_up()
        thread.join()


class _Server(ThreadingHTTPServer):
    """Connections that clients kept open end with the server."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    # Head and body are two writes, and the client may be waiting for the second.
    disable_nagle_algorithm = True

    def respond(self, request: Received) -> Any:
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def _answer(self) -> None:
        request = Received(self.command, self.path, self.headers, self._body())
        answer = self.respond(request)
        if answer is HANG_UP:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        whole = isinstance(answer.body, bytes)
        if whole:
            self.send_header("Content-Length", str(len(answer.body)))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command == "HEAD":
            return
        if whole:
            self.wfile.write(answer.body)
        else:
            for chunk in answer.body:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


def multipart(request: Received) -> dict[str, tuple[str | None, bytes]]:
    """The parts of a multipart form: name to (file's name, content)."""
    from email import message_from_bytes

    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    parts: dict[str, tuple[str | None, bytes]] = {}
    for part in message_from_bytes(head + request.body).get_payload():
        name = part.get_param("name", header="Content-Disposition")
        parts[name] = (part.get_filename(), part.get_payload(decode=True))
    return parts
