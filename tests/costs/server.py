"""The other end of the gates: answers small requests over HTTP/1.1 and HTTP/2, in a process of its own.

Run as `server.py [CERTIFICATE KEY]`; prints its port, and ends when its standard input does. Paths: `/500` fails,
`/redirect` leads to `/`, `/cookie` sets one, `/chunked` is chunked, `/gzip` compressed, `/drop` closes the connection
without an answer; all others are a small JSON text.
"""

from __future__ import annotations

import asyncio
import gzip
import ssl
import sys

BODY = b'{"id": 4711, "name": "scallion", "tags": [%s]}' % b", ".join(
    b'"tag-%04d"' % number for number in range(12)
)
FIELDS = {
    b"server": b"gates",
    b"date": b"Mon, 01 Jan 2024 00:00:00 GMT",
    b"content-type": b"application/json",
    b"cache-control": b"no-cache",
    b"etag": b'"65920080-c8"',
}
PREFACE = b"PRI * HTTP/2.0"


def answer(path: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    if path == b"/500":
        return 500, FIELDS, BODY
    if path == b"/redirect":
        return 302, {**FIELDS, b"location": b"/"}, b""
    if path == b"/cookie":
        return 200, {**FIELDS, b"set-cookie": b"flavour=plain; Path=/"}, BODY
    if path == b"/gzip":
        return 200, {**FIELDS, b"content-encoding": b"gzip"}, gzip.compress(BODY, mtime=0)
    return 200, FIELDS, BODY


def written(path: bytes) -> bytes:
    """The whole answer in HTTP/1.1."""
    status, fields, body = answer(path)
    head = b"HTTP/1.1 %d X\r\n" % status
    head += b"".join(b"%s: %s\r\n" % field for field in fields.items())
    if path == b"/chunked":
        return head + b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return head + b"content-length: %d\r\n\r\n%s" % (len(body), body)


class Answering(asyncio.Protocol):
    """Answers each end of a head; there are no requests with bodies here."""

    def __init__(self) -> None:
        self._unfinished = b""
        self._http2: Streams | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._http2 is None and not self._unfinished and data.startswith(PREFACE):
            self._http2 = Streams()
        if self._http2 is not None:
            self._transport.write(self._http2.receive(data))
            return
        *heads, self._unfinished = (self._unfinished + data).split(b"\r\n\r\n")
        for head in heads:
            path = head.split(b" ", 2)[1]
            if path == b"/drop":
                self._transport.close()
                return
            self._transport.write(written(path))


class Streams:
    """HTTP/2, by h2."""

    def __init__(self) -> None:
        from h2.config import H2Configuration
        from h2.connection import H2Connection

        self._codec = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._codec.initiate_connection()

    def receive(self, data: bytes) -> bytes:
        from h2.events import RequestReceived

        for event in self._codec.receive_data(data):
            if isinstance(event, RequestReceived):
                status, fields, body = answer(dict(event.headers)[b":path"])
                head = [(b":status", b"%d" % status), *fields.items()]
                self._codec.send_headers(event.stream_id, head, end_stream=not body)
                if body:
                    self._codec.send_data(event.stream_id, body, end_stream=True)
        return self._codec.data_to_send()


async def serve(*certificate: str) -> None:
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
        context.set_alpn_protocols(["h2", "http/1.1"])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=1024, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
