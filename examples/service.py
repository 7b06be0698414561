"""A small HTTP/1.1 server for the examples: the standard library's, keep-alive, JSON in and out."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self


class Answer(NamedTuple):
    status: int
    content: Any
    headers: dict[str, str] = {}  # noqa: RUF012


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Callers come fifty at once; the default queue of five would make most of them wait for a second.
    request_queue_size = 128


class Service:
    """Subclass it and write `answer`."""

    def __init__(self) -> None:
        self._server: ThreadingHTTPServer | None = None

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """What to answer. Header names come in lower case. Called by several threads at once."""
        raise NotImplementedError

    def start(self, port: int = 0) -> int:
        """Listen on loopback, in threads of its own; returns the port."""
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def respond(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, content, extra = service.answer(self.command, self.path, headers, body)
                payload = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                extra = {
                    "Content-Type": "application/json",
                    **extra,
                    "Content-Length": str(len(payload)),
                }
                for name, value in extra.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(payload)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = respond

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nothing: the caller tells the story."""

        self._server = _Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return int(self._server.server_address[1])

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        assert self._server is not None
        return "http://{}:{}".format(*self._server.server_address[:2])
