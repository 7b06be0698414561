"""The servers that the tour calls: an echo, a forward proxy, and an echo in HTTP/2."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
from typing import Self

import h2.config
import h2.connection
import h2.events
from service import Answer, Service

LARGE = 1 << 20
TEXT = {"Content-Type": "text/plain; charset=utf-8"}


class Echo(Service):
    """Tells what it was asked; some places do more."""

    large = LARGE

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        match path:
            case "/redirect":
                return Answer(302, b"", {"Location": "/get"})
            case "/slow":
                threading.Event().wait(0.2)
            case "/large":
                return Answer(200, bytes(LARGE))
            case "/text":
                return Answer(200, "Grüße".encode(), TEXT)
            case "/latin":
                return Answer(200, "Grüße".encode("latin-1"), {"Content-Type": "text/plain"})
            case "/lines":
                return Answer(200, b"one\ntwo\r\nthree", TEXT)
            case "/gzip":
                return Answer(200, gzip.compress(b"packed"), {"Content-Encoding": "gzip"})
            case "/cookies/set":
                return Answer(200, b"", {"Set-Cookie": "chocolate=chip; Path=/"})
        told = {"method": method, "path": path, "headers": headers, "body": body.decode("latin-1")}
        return Answer(200, {**told, "peer": threading.get_ident()})


class ForwardProxy(Service):
    """Fetches what it is asked for by whole URL, and counts."""

    requests = 0

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.requests += 1
        origin, _, rest = path.removeprefix("http://").partition("/")
        connection = http.client.HTTPConnection(origin)
        try:
            passed = {name: value for name, value in headers.items() if name != "connection"}
            connection.request(method, f"/{rest}", body or None, passed)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()


class HTTP2Echo:
    """HTTP/2 in cleartext, for clients that know beforehand (RFC 9113 section 3.3)."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.close()

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self._listener.getsockname())

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        with peer:
            peer.sendall(connection.data_to_send())
            while data := peer.recv(65536):
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.StreamEnded):
                        assert event.stream_id is not None
                        connection.send_headers(event.stream_id, [(":status", "200")])
                        payload = json.dumps({"stream": event.stream_id}).encode()
                        connection.send_data(event.stream_id, payload, end_stream=True)
                peer.sendall(connection.data_to_send())
