"""The other end of the benchmarks: one small JSON answer to every request, as cheaply as Python can.

Run as `server.py CORE`; prints its port, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys

from machine import pin

BODY = b'{"id": 4711, "name": "scallion", "tags": ["%s"], "price": 1.25}' % b'", "'.join(
    b"tag-%04d" % number for number in range(12)
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: benchmark\r\n"
    b"Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
    b"Content-Type: application/json\r\n"
    b"Content-Length: %d\r\n"
    b"Connection: keep-alive\r\n"
    b"Cache-Control: no-cache\r\n"
    b'ETag: "65920080-c8"\r\n'
    b"\r\n%s"
) % (len(BODY), BODY)
END_OF_HEAD = b"\r\n\r\n"


class Answering(asyncio.BufferedProtocol):
    """Answers each end of a request head; there are no request bodies here."""

    def __init__(self) -> None:
        self.buffer = bytearray(65536)
        self.unfinished = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.write = transport.write

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = self.unfinished + self.buffer[:nbytes]
        heads, _, self.unfinished = data.rpartition(END_OF_HEAD)
        if heads:
            self.write(ANSWER * (heads.count(END_OF_HEAD) + 1))


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    pin(int(sys.argv[1]))
    asyncio.run(serve())
