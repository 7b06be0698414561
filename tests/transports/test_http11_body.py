"""Bodies of HTTP/1.1 responses, kept as a whole and streamed: what arrives, what it costs, and how it fails, in each colour."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any

import anyio
import pytest
import uvloop

import scallion
from scallion.pipeline.errors import (
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    StreamConsumed,
    TotalTimeout,
)
from scallion.pipeline.keeping import STEP
from scallion.pipeline.streams import AsyncByteStream, SyncByteStream
from support.cancelling import cancelled_everywhere
from support.colours import Drive
from support.servers import (
    Answer,
    HTTPServer,
    Peer,
    ScriptedServer,
    Step,
    close,
    drip,
    expect,
    pause,
    send,
)
from support.servers import reset as reset_connection
from support.wire import Wire, request

SHORT = 0.02
LARGE = 2 * STEP + 123
MANY = 64 * 1024 * 1024
BLOCK = b"x" * 65536


def announced(size: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size


def octets(size: int) -> bytes:
    return Random(size).randbytes(size)


def chunked(body: bytes, sizes: Random) -> bytes:
    """`body` in chunks of all sorts of sizes."""
    parts = []
    while body:
        size = sizes.choice((1, 10, 1000, 70_000))
        part, body = body[:size], body[size:]
        parts.append(b"%x\r\n%s\r\n" % (len(part), part))
    return b"".join(parts)


def split(data: bytes, sizes: Random) -> list[bytes]:
    parts = []
    while data:
        size = sizes.choice((1, 500, 65_536, 300_000))
        parts.append(data[:size])
        data = data[size:]
    return parts


def again_and_again(block: bytes, times: int) -> Step:
    """Send `block` so many times, from the same memory."""

    def step(peer: Peer) -> None:
        for _ in range(times):
            peer.sock.sendall(block)

    return step


def swallow(size: int) -> Step:
    """Receive a body of so many bytes, into the same memory."""

    def step(peer: Peer) -> None:
        left = size - len(peer.received) + peer.received.index(b"\r\n\r\n") + 4
        buffer = bytearray(65_536)
        while left:
            left -= peer.sock.recv_into(buffer)

    return step


class Upload(SyncByteStream, AsyncByteStream):
    """So many blocks, for each colour."""

    def __init__(self, times: int) -> None:
        self._left = times

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            self._left -= 1
            yield BLOCK

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        self._left -= 1
        return BLOCK


async def stream(wire: Wire, response: Any) -> int:
    """Iterate over the body; its length."""
    size = 0
    if wire.blocking:
        for piece in response.iter_bytes():
            size += len(piece)
    else:
        async for piece in response.aiter_bytes():
            size += len(piece)
    return size


# Kept.


@pytest.mark.parametrize("size", [70_000, STEP, LARGE])
def test_a_body_of_known_length_is_kept(drive: Drive, size: int) -> None:
    """
    However it is cut on its way, the content is what was sent, and the connection is used again.
    """
    body = octets(size)
    scripts = [
        [expect(), send(*split(announced(size) + body, Random(seed))), expect(), send(announced(0))]
        for seed in range(3)
    ]
    with ScriptedServer(*scripts) as server:

        async def scenario() -> None:
            for _ in scripts:
                async with Wire(drive) as wire:
                    response = await wire.open("GET", server.url)
                    assert body == await wire.read(response)
                    assert bytes is type(response.content)
                    assert size == response.num_bytes_downloaded
                    assert response.is_closed
                    assert b"" == await wire.get(server.url)

        drive(scenario)
        assert len(scripts) == len(server.connections)


@pytest.mark.parametrize("trailers", [False, True])
def test_a_chunked_body_is_kept(drive: Drive, trailers: bool) -> None:
    """
    Chunks of any size, cut anywhere, make up the content; trailers are told.
    """
    body = octets(500_000)
    sizes = Random(1)
    end = b"0\r\nSum: 7\r\n\r\n" if trailers else b"0\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, sizes) + end
    with ScriptedServer(
        [expect(), send(*split(answer, sizes)), expect(), send(announced(0))]
    ) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.open("GET", server.url)
                assert body == await wire.read(response)
                assert len(body) == response.num_bytes_downloaded
                assert ("7" if trailers else None) == (response.trailers or {}).get("sum")
                assert b"" == await wire.get(server.url)

        drive(scenario)


def test_a_length_that_lies_costs_nothing(drive: Drive) -> None:
    """
    A petabyte that is announced is not made room for; what came, and what should have, is told.
    """
    sent = 300_000
    with ScriptedServer([expect(), send(announced(10**15), b"x" * sent), close]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.open("GET", server.url)
                tracemalloc.start()
                try:
                    with pytest.raises(
                        RemoteProtocolError, match=f"received {sent} bytes, expected {10**15}"
                    ):
                        await wire.read(response)
                    _, most = tracemalloc.get_traced_memory()
                finally:
                    tracemalloc.stop()
                assert most < 4 * STEP
                assert sent == response.num_bytes_downloaded
                assert response.is_closed
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


def test_more_than_announced_is_nobodys(drive: Drive) -> None:
    """
    Bytes after a kept body are not its own, and are not taken for the next answer.
    """
    body = octets(LARGE)
    with ScriptedServer(
        [expect(), send(announced(LARGE), body + b"HTTP/1.1 200 OK\r\n\r\n"), lambda _: None],
        [expect(), send(announced(2), b"ok")],
    ) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                assert body == await wire.get(server.url)
                # The loop hears of what came since.
                if not drive.blocking:
                    await anyio.sleep(0.01)
                assert b"ok" == await wire.get(server.url)

        drive(scenario)


def test_silence_in_the_midst_of_a_kept_body(drive: Drive) -> None:
    """
    The read timeout counts from the bytes before; the connection is closed then.
    """
    go = threading.Event()
    with ScriptedServer([expect(), send(announced(LARGE), b"x" * 500_000), pause(go)]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.open("GET", server.url, timeout={"read": 0.2})
                with pytest.raises(ReadTimeout, match=r"nothing arrived within 0\.2 s"):
                    await wire.read(response)
                assert response.is_closed
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool
                go.set()

        drive(scenario)


def test_a_slow_body_is_not_silent(drive: Drive) -> None:
    """
    A body whose every piece comes in time is kept, however long all of them take.
    """
    with ScriptedServer([expect(), send(announced(5)), drip(b"hello", 0.1)]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.open("GET", server.url, timeout={"read": 0.35})
                assert b"hello" == await wire.read(response)

        drive(scenario)


def test_the_deadline_in_the_midst_of_a_kept_body(drive: Drive) -> None:
    """
    A total deadline holds while bytes keep coming.
    """

    def on_and_on(peer: Peer) -> None:
        try:
            while True:
                peer.sock.sendall(b"x" * 100)
                time.sleep(0.005)
        except OSError:
            pass

    with ScriptedServer([expect(), send(announced(LARGE)), on_and_on]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.send(
                    request("GET", server.url, deadline=time.monotonic() + 0.2)
                )
                with pytest.raises(TotalTimeout, match="reading the response's body"):
                    await wire.read(response)
                assert response.is_closed

        drive(scenario)


def test_a_reset_in_the_midst_of_a_kept_body(drive: Drive) -> None:
    """
    A connection that breaks fails the reading, and is not kept.
    """
    with ScriptedServer([expect(), send(announced(LARGE), b"x"), reset_connection]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                with pytest.raises((ReadError, RemoteProtocolError)):
                    await wire.get(server.url)
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


def test_what_was_streamed_is_not_kept(drive: Drive) -> None:
    """
    A body whose beginning somebody took cannot be read as a whole.
    """
    with ScriptedServer([expect(), send(announced(LARGE), octets(LARGE))]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.open("GET", server.url)
                if wire.blocking:
                    next(response.iter_bytes())
                else:
                    pieces = response.aiter_bytes()
                    await anext(pieces)
                with pytest.raises(StreamConsumed):
                    await wire.read(response)
                await wire.close(response)

        drive(scenario)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_cancelled_while_a_body_is_being_kept(colour: str) -> None:
    """
    Wherever the wait for a body is cancelled, no slot is lost, and the next request is answered.
    """
    drive = Drive(colour)  # type: ignore[arg-type]
    body = octets(200_000)
    with HTTPServer(lambda _: Answer(body=body)) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:

                async def work() -> None:
                    assert body == await wire.get(server.url)

                async def check() -> None:
                    assert wire.pool.startswith("<Pool 0 active,"), wire.pool

                await cancelled_everywhere(work, check)
                assert body == await wire.get(server.url)

        drive(scenario)


# In constant memory.


@pytest.mark.parametrize("framing", ["counted", "chunked"])
def test_a_large_download_is_streamed(drive: Drive, framing: str) -> None:
    """
    What is handed on is not kept.
    """
    times = MANY // len(BLOCK)
    if framing == "counted":
        answer = [send(announced(MANY)), again_and_again(BLOCK, times)]
    else:
        answer = [
            send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            again_and_again(b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK), times),
            send(b"0\r\n\r\n"),
        ]
    with ScriptedServer([expect(), *answer]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.open("GET", server.url)
                tracemalloc.start()
                try:
                    assert MANY == await stream(wire, response)
                    _, most = tracemalloc.get_traced_memory()
                finally:
                    tracemalloc.stop()
                assert most < 2 * STEP

        drive(scenario)


@pytest.mark.parametrize("framing", ["counted", "chunked"])
def test_a_large_upload_is_streamed(drive: Drive, framing: str) -> None:
    """
    What is sent is not kept, however slow the server is.
    """
    times = MANY // len(BLOCK)
    line = b"%x\r\n" % len(BLOCK)
    if framing == "counted":
        headers, size = {"Host": "x", "Content-Length": str(MANY)}, MANY
    else:
        headers = {"Host": "x", "Transfer-Encoding": "chunked"}
        size = times * (len(line) + len(BLOCK) + 2) + 5

    with ScriptedServer([expect(), swallow(size), send(announced(2), b"ok")]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                sent = request("POST", server.url, headers=headers, stream=Upload(times))
                tracemalloc.start()
                try:
                    response = await wire.send(sent)
                    _, most = tracemalloc.get_traced_memory()
                finally:
                    tracemalloc.stop()
                assert b"ok" == await wire.read(response)
                assert most < 4 * STEP

        drive(scenario)


def test_a_large_upload_of_bytes_is_not_copied(drive: Drive) -> None:
    """
    Bytes that are here already leave as they are.
    """
    body = bytes(16 * STEP)
    with ScriptedServer([expect(), swallow(len(body)), send(announced(2), b"ok")]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                sent = request("POST", server.url, content=body)
                tracemalloc.start()
                try:
                    response = await wire.send(sent)
                    _, most = tracemalloc.get_traced_memory()
                finally:
                    tracemalloc.stop()
                assert b"ok" == await wire.read(response)
                assert most < 4 * STEP

        drive(scenario)


def test_a_generator_may_fill_its_buffer_anew() -> None:
    """
    What it gave before is sent as it was then, however late the loop's transport comes to sending it.
    """
    pieces = [bytes([65 + number]) * 200_000 for number in range(20)]
    given = threading.Event()
    received = bytearray()

    async def refill() -> AsyncIterator[Any]:
        buffer = bytearray(200_000)
        for number, piece in enumerate(pieces):
            buffer[:] = piece
            if number == 3:
                # The server has not read a byte; from here on it reads.
                given.set()
            yield buffer
        buffer[:] = bytes(200_000)

    def serve(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        with sock:
            given.wait(10)
            while (
                b"\r\n\r\n" not in received or len(received.partition(b"\r\n\r\n")[2]) < 4_000_000
            ):
                data = sock.recv(65_536)
                if not data:
                    return
                received.extend(data)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def main(port: int) -> None:
        async with scallion.AsyncClient() as client:
            await client.post(
                f"http://127.0.0.1:{port}/", content=refill(), headers={"Content-Length": "4000000"}
            )

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main(listener.getsockname()[1]))
        server.join(10)

    assert b"".join(pieces) == received.partition(b"\r\n\r\n")[2]
