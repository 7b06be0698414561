"""The Python end of the benchmarks, for what nginx has no words for, and where nginx is missing.

Run as `server.py CORE [CHAIN KEY]`; prints its port, and one with TLS when given a certificate, and ends when
its standard input does. Its paths:

    /json       a small document
    /close      the same, and the connection is closed
    /bytes/N    N bytes
    /upload     reads what is posted, however much, then answers
    /together/N answers when N such requests wait, and all of them at once
"""

from __future__ import annotations

import asyncio
import ssl
import sys

from machine import pin

JSON = b'{"id": 4711, "name": "scallion", "tags": ["%s"], "price": 1.25}' % b'", "'.join(
    b"tag-%04d" % number for number in range(12)
)
HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: benchmark\r\n"
    b"Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
    b"Content-Type: application/json\r\n"
    b"Content-Length: %d\r\n"
    b"Connection: %s\r\n"
    b"\r\n"
)
ANSWER = HEAD % (len(JSON), b"keep-alive") + JSON
CLOSING = HEAD % (len(JSON), b"close") + JSON
END_OF_HEAD = b"\r\n\r\n"
PIECE = bytes(262144)

waiting: list[asyncio.Transport] = []


class Answering(asyncio.BufferedProtocol):
    """One request after the other; a body is counted and thrown away."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.buffer = bytearray(262144)
        self.unfinished = b""
        self.body = 0
        # The last bytes of an upload of unknown length: its last chunk is what ends it.
        self.tail: bytes | None = None
        self.may_write = asyncio.Event()
        self.may_write.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def pause_writing(self) -> None:
        self.may_write.clear()

    def resume_writing(self) -> None:
        self.may_write.set()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self.may_write.set()

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.tail is not None:
            self.chunks(bytes(self.buffer[max(0, nbytes - 5) : nbytes]))
            return
        if self.body:
            self.body -= nbytes
            if not self.body:
                self.transport.write(ANSWER)
            return
        data = self.unfinished + self.buffer[:nbytes]
        head, end, self.unfinished = data.partition(END_OF_HEAD)
        if not end:
            self.unfinished = head
            return
        self.answer(head)

    def answer(self, head: bytes) -> None:
        target = head.split(b" ", 2)[1]
        if target == b"/json":
            self.transport.write(ANSWER)
        elif target == b"/close":
            self.transport.write(CLOSING)
            self.transport.close()
        elif target == b"/upload":
            self.upload(head.lower())
        elif target.startswith(b"/bytes/"):
            self.sending = asyncio.ensure_future(self.send(int(target[7:])))
        else:
            waiting.append(self.transport)
            if len(waiting) == int(target.rpartition(b"/")[2]):
                for transport in waiting:
                    transport.write(ANSWER)
                waiting.clear()

    def upload(self, head: bytes) -> None:
        if b"\r\nexpect:" in head:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        begun, self.unfinished = self.unfinished, b""
        if b"chunked" in head:
            self.tail = b""
            self.chunks(begun)
            return
        self.body = int(head.partition(b"content-length:")[2].split()[0]) - len(begun)
        if not self.body:
            self.transport.write(ANSWER)

    def chunks(self, data: bytes) -> None:
        assert self.tail is not None
        self.tail = (self.tail + data)[-5:]
        if self.tail == b"0\r\n\r\n":
            self.tail = None
            self.transport.write(ANSWER)

    async def send(self, size: int) -> None:
        self.transport.write(HEAD % (size, b"keep-alive"))
        while size and not self.transport.is_closing():
            self.transport.write(PIECE[:size])
            size -= min(size, len(PIECE))
            await self.may_write.wait()


async def serve(certificate: list[str]) -> None:
    loop = asyncio.get_running_loop()
    contexts: list[ssl.SSLContext | None] = [None]
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
        contexts.append(context)
    servers = [
        await loop.create_server(Answering, "127.0.0.1", 0, backlog=4096, ssl=context)
        for context in contexts
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    pin(int(sys.argv[1]))
    asyncio.run(serve(sys.argv[2:]))
