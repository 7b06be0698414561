"""Networks: one body for blocking sockets, asyncio (the standard loop and uvloop) and trio, over loopback."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from types import ModuleType
from typing import Any

import pytest

from scallion.pipeline.errors import (
    ReadError,
    ReadTimeout,
    WriteError,
    WriteTimeout,
)
from scallion.pipeline.runtime import run
from scallion.transports.network import async_network
from scallion.transports.network.asyncio_channel import AsyncioChannel
from scallion.transports.network.base import ByteChannel, Network
from scallion.transports.network.blocking import PollWaits
from scallion.transports.network.sockets import SocketChannel
from support.channels import (
    BIG,
    LONG,
    SHORT,
    Loop,
    Servers,
    echo,
    read_all,
    read_exactly,
    reset,
    reset_when_spoken_to,
    until_closed,
)

# Reading and writing.


def test_read_timeout_leaves_the_channel_usable(play: Loop, serve: Servers) -> None:
    """
    A read that timed out has lost nothing: the next one gets what came later.
    """
    go = threading.Event()

    def late(connection: socket.socket) -> None:
        assert go.wait(LONG)
        connection.sendall(b"late")

    address = serve(late)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        with pytest.raises(ReadTimeout, match=r"within 0\.02 s"):
            await channel.read(100, SHORT)
        with pytest.raises(ReadTimeout):
            await channel.read(100, 0)
        go.set()
        assert b"late" == await read_exactly(channel, 4)
        channel.close()

    play(scenario)


def test_a_shorter_timeout_after_a_longer_one(play: Loop, serve: Servers) -> None:
    """
    The timer set for a long wait does not keep a later, shorter one waiting.
    """
    address = serve(echo)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await channel.write(b"x", 1000)
        assert b"x" == await channel.read(1, 1000)
        with pytest.raises(ReadTimeout):
            await channel.read(1, SHORT)
        with pytest.raises(ReadTimeout):
            await channel.read(1, SHORT)
        channel.close()

    play(scenario)


def test_reads_are_bounded(play: Loop, serve: Servers) -> None:
    """
    No read returns more than was asked for, and what remains comes next.
    """
    address = serve(lambda connection: connection.sendall(b"abcdefgh"))

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        parts = []
        while data := await channel.read(3, LONG):
            assert len(data) <= 3
            parts.append(data)
        assert b"abcdefgh" == b"".join(parts)
        channel.close()

    play(scenario)


def test_the_peer_half_closes(play: Loop, serve: Servers) -> None:
    """
    After the peer's end of stream, this side can still send.
    """
    received = []

    def half(connection: socket.socket) -> None:
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)
        while data := connection.recv(100):
            received.append(data)

    address = serve(half)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        assert b"bye" == await read_all(channel)
        assert channel.answered() is True
        assert 0 == await channel.write_or_answer(b"upload", LONG)
        await channel.write(b"more", LONG)
        await channel.aclose()

    play(scenario)
    serve.close()
    assert [b"more"] == received


async def write_for_ever(channel: ByteChannel) -> None:
    while True:
        await channel.write(b"x", LONG)


def test_the_peer_resets(play: Loop, serve: Servers) -> None:
    """
    A reset is an error for the reader, and then for the writer.
    """
    address = serve(reset_when_spoken_to)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await channel.write(b"x", LONG)
        with pytest.raises(ReadError, match=r"receiving failed: \[Errno \d+\] Connection reset"):
            await channel.read(100, LONG)
        with pytest.raises(WriteError, match="sending failed"):
            await write_for_ever(channel)
        channel.close()

    play(scenario)


def test_writing_to_a_peer_that_does_not_read(play: Loop, serve: Servers) -> None:
    """
    The write ends with its timeout when nothing can be sent any more.
    """
    done = threading.Event()
    address = serve(lambda connection: done.wait(LONG) and None)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        with pytest.raises(WriteTimeout, match=r"within 0\.02 s"):
            await channel.write(bytes(BIG), SHORT)
        channel.close()
        again = await network.connect_tcp(*serve(lambda connection: done.wait(LONG) and None), LONG)
        with pytest.raises(WriteTimeout):
            await again.write_or_answer(bytes(BIG), SHORT)
        again.close()
        done.set()

    play(scenario)


def test_a_slow_reader_is_no_timeout(play: Loop, serve: Servers) -> None:
    """
    The write timeout counts from the last progress, not from the beginning.
    """
    pace = threading.Event()

    def slow(connection: socket.socket) -> None:
        left = BIG
        while left:
            pace.wait(0.0001)
            received = connection.recv(min(left, 262_144))
            if not received:
                # Closing waits for what is still to be sent, but not for ever.
                return
            left -= len(received)

    address = serve(slow)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await channel.write(bytes(BIG), 0.5)
        await channel.aclose()

    play(scenario)


def test_the_write_timeout_starts_anew_as_long_as_the_backlog_shrinks() -> None:
    """
    On asyncio the loop sends in the background: three looks see progress, the fourth does not.
    """
    backlog = [4, 3, 2, 1, 1]

    class Transport(asyncio.Transport):
        def get_write_buffer_size(self) -> int:
            return backlog.pop(0)

        def is_closing(self) -> bool:
            return False

        def write(self, data: Any) -> None:
            channel.pause_writing()

        def abort(self) -> None:
            channel.connection_lost(None)

    async def scenario() -> None:
        nonlocal channel
        channel = AsyncioChannel(asyncio.get_running_loop(), sock)
        channel.connection_made(Transport())
        with pytest.raises(WriteTimeout):
            await channel.write(b"x", 0)
        channel.close()

    channel: Any = None
    with socket.socket() as sock:
        asyncio.run(scenario())
    assert [] == backlog


def test_large_transfers_both_ways(play: Loop, serve: Servers) -> None:
    """
    16 MB up, then 16 MB down, unchanged.
    """
    payload = bytes(range(256)) * (BIG // 256)

    def store(connection: socket.socket) -> None:
        parts, left = [], BIG
        while left:
            parts.append(connection.recv(min(left, 262_144)))
            left -= len(parts[-1])
        connection.sendall(b"".join(parts))

    address = serve(store)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await channel.write(payload, LONG)
        assert payload == await read_exactly(channel, BIG)
        channel.close()

    play(scenario)


def test_what_is_not_read_is_not_buffered(play: Loop, serve: Servers) -> None:
    """
    While nobody reads, the peer is held back by the kernel, not by our memory.
    """
    blocked = threading.Event()

    def flood(connection: socket.socket) -> None:
        connection.settimeout(SHORT)
        sent = 0
        try:
            while sent < 4 * BIG:
                sent += connection.send(bytes(65536))
        except TimeoutError:
            blocked.set()
        connection.settimeout(LONG)
        until_closed(connection)

    address = serve(flood)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await channel.read(1, LONG)
        while not blocked.is_set():
            await play.settle()
        assert 0 < len(await channel.read(65536, LONG))
        channel.close()

    play(scenario)


def test_an_early_answer_stops_an_upload(play: Loop, serve: Servers) -> None:
    """
    The peer answers and stops reading: the upload ends, and the answer is there to be read.
    """
    done = threading.Event()

    def refuse(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"413 too large")
        done.wait(LONG)

    address = serve(refuse)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        assert channel.answered() is False
        assert 0 <= await channel.write_or_answer(bytes(BIG), LONG) < BIG
        assert channel.answered() is True
        assert b"413 too large" == await read_exactly(channel, 13)
        channel.close()
        done.set()

    play(scenario)


def test_an_early_answer_stops_a_stream_of_small_pieces(play: Loop, serve: Servers) -> None:
    """
    Pieces that the socket swallows whole do not keep the answer unheard.
    """

    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"no")
        until_closed(connection)

    address = serve(refuse)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        while await channel.write_or_answer(bytes(8192), LONG):
            pass
        assert b"no" == await read_exactly(channel, 2)
        channel.close()

    play(scenario)


def test_an_answer_before_a_reset_is_not_lost(play: Loop, serve: Servers) -> None:
    """
    A server that answers and closes on an unread upload resets it; what it said arrives all the same.
    """
    closed = threading.Event()

    def rude(connection: socket.socket) -> None:
        connection.recv(10)
        connection.sendall(b"go away")
        connection.close()
        closed.set()

    address = serve(rude)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await channel.write(bytes(65536), LONG)
        assert closed.wait(LONG)
        if play.name != "uvloop":  # which reads nothing any more once sending has failed
            try:
                while await channel.write_or_answer(bytes(65536), LONG):
                    pass
            except WriteError:
                pass
            assert b"go away" == await read_exactly(channel, 7)
        channel.close()

    play(scenario)


@pytest.mark.parametrize("readable", [True, False])
def test_sending_fails_where_it_seemed_possible(readable: bool) -> None:
    """
    If there is something to read, that says more; else it is an error, and no reason to try for ever.
    """

    class Refusing(socket.socket):
        def send(self, *args: Any) -> int:
            raise PermissionError(1, "Operation not permitted")

    class Willing(PollWaits):
        async def either(self, timeout: float | None) -> tuple[bool, bool]:
            return False, True

        def readable_now(self) -> bool:
            return readable

    with Refusing() as sock:
        channel = SocketChannel(sock, Willing(sock))
        if readable:
            assert 0 == run(channel.write_or_answer(b"x", LONG))
        else:
            with pytest.raises(WriteError, match="not permitted"):
                run(channel.write_or_answer(b"x", LONG))


def test_an_upload_without_an_answer_is_sent_whole(play: Loop, serve: Servers) -> None:
    """
    Nothing comes back: all of it is sent.
    """
    sizes = []

    def count(connection: socket.socket) -> None:
        left = BIG
        while left:
            left -= len(connection.recv(min(left, 262_144)))
        sizes.append(BIG - left)
        connection.sendall(b"ok")

    address = serve(count)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        assert BIG == await channel.write_or_answer(bytes(BIG), LONG)
        assert b"ok" == await read_exactly(channel, 2)
        channel.close()

    play(scenario)
    assert [BIG] == sizes


# Staleness.


@pytest.mark.parametrize("end", ["close", "reset", "speak"])
def test_stale(play: Loop, serve: Servers, end: str) -> None:
    """
    An idle connection is fresh until the peer closes, resets, or speaks unasked.
    """
    go, gone, done = threading.Event(), threading.Event(), threading.Event()

    def handle(connection: socket.socket) -> None:
        connection.sendall(connection.recv(10))
        assert go.wait(LONG)
        if end == "close":
            connection.close()
        elif end == "reset":
            reset(connection)
        else:
            connection.sendall(b"unasked")
        gone.set()
        done.wait(LONG)

    address = serve(handle)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await channel.write(b"hello", LONG)
        assert b"hello" == await read_exactly(channel, 5)
        await play.settle()
        assert channel.stale() is False
        go.set()
        assert gone.wait(LONG)
        await play.settle()
        assert channel.stale() is True
        assert channel.info("is_readable") is True
        channel.close()
        assert channel.stale() is True
        done.set()

    play(scenario)


# Imports.


def test_a_synchronous_program_imports_no_event_loop() -> None:
    """
    Importing and using the blocking network loads neither asyncio, trio, anyio nor ssl.
    """
    program = (
        "import sys; from scallion.transports.network import blocking_network; blocking_network();"
        "print([m for m in ('asyncio', 'trio', 'anyio', 'ssl') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert b"[]" == done.stdout.strip()


def test_trio_that_another_thread_is_importing_has_no_network_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    It is among the modules before it has its own.
    """
    monkeypatch.setitem(sys.modules, "trio", ModuleType("trio"))

    async def scenario() -> Network:
        return async_network()

    assert "AsyncioNetwork" == type(asyncio.run(scenario())).__name__
