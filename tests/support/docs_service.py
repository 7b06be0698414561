"""The service that the documents' examples call: a real server on loopback, and the way to it.

Every request to a host below `.example`, or to example.org, goes to this server, in both colours,
over the real transport. Its `Host` header and the URL that the program sees stay as they are.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.transports.http import AsyncHTTPTransport, HTTPTransport

__all__ = ["DocsService"]

STOCK = {"/stock/apple": 12, "/stock/pear": 3}
# By the last event that the caller has.
EVENTS = {
    None: b'retry: 1000\nid: 1\nevent: stock\ndata: {"apple": 12}\n\nid: 2\nevent: stock\ndata: {"apple": 11}\n\n',
    "2": b"id: 3\nevent: closing\ndata: {}\n\n",
}


class DocsService:
    """The server; `running` starts and stops it.

    - `/stock/apple` and `/stock/pear` answer with what is left.
    - `/flaky` answers 503 twice, then 200, and so on; it asks to wait no time.
    - `/moved` redirects to `/stock/apple`.
    - `/lines` answers with three lines of text.
    - `/events` streams two events, then a third to whoever has the second, and then says that it is all.
    - `/missing` is not there, and `/slow` does not answer.
    - All else tells what was asked.
    """

    def __init__(self) -> None:
        self._statuses = itertools.cycle([503, 503, 200])
        self._released = threading.Event()

    def answer(self, path: str, told: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for `path`."""
        match path.partition("?")[0]:
            case "/flaky":
                return next(self._statuses), {"Retry-After": "0"}, b""
            case "/moved":
                return 308, {"Location": "/stock/apple"}, b""
            case "/lines":
                return 200, {"Content-Type": "text/plain; charset=utf-8"}, b"one\ntwo\nthree\n"
            case "/events":
                events = EVENTS.get(told["headers"].get("last-event-id"))
                if events is None:
                    return 204, {}, b""
                return 200, {"Content-Type": "text/event-stream"}, events
            case "/missing":
                return 404, {}, b""
            case "/slow":
                self._released.wait()
                return 200, {}, b""
            case stocked if stocked in STOCK:
                told = {"item": stocked.rpartition("/")[2], "left": STOCK[stocked]}
        return 200, {"Content-Type": "application/json"}, json.dumps(told).encode()

    @contextmanager
    def running(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Serve, with the way of all transports leading here, until the `with` ends."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        # The clients of examples keep connections open, whose threads nobody waits for.
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with monkeypatch.context() as patched:
            _lead_to(server.server_address[1], patched)
            try:
                yield
            finally:
                self._released.set()
                server.shutdown()
                server.server_close()


def _handler(service: DocsService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def respond(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self._body(headers).decode("latin-1")
            told = {
                "method": self.command,
                "path": self.path,
                "headers": headers,
                "body": body,
            }
            status, extra, content = service.answer(self.path, told)
            try:
                self.send_response(status)
                for name, value in {**extra, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)
            except ConnectionError:
                # Whoever asked for /slow has gone.
                self.close_connection = True

        def _body(self, headers: dict[str, str]) -> bytes:
            if headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(headers.get("content-length", 0)))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = respond

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _lead_to(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patch the public seams of both transports, so that what is meant for the service gets there."""
    handle, handle_async = HTTPTransport.handle_request, AsyncHTTPTransport.handle_async_request

    @contextmanager
    def led(request: Request) -> Iterator[None]:
        written = request.url
        if not (written.host.endswith(".example") or written.host == "example.org"):
            yield
            return
        request.url = written.copy_with(scheme="http", host="127.0.0.1", port=port)
        try:
            yield
        finally:
            request.url = written

    def handle_request(self: HTTPTransport, request: Request) -> Response:
        with led(request):
            return handle(self, request)

    async def handle_async_request(self: AsyncHTTPTransport, request: Request) -> Response:
        with led(request):
            return await handle_async(self, request)

    monkeypatch.setattr(HTTPTransport, "handle_request", handle_request)
    monkeypatch.setattr(AsyncHTTPTransport, "handle_async_request", handle_async_request)
