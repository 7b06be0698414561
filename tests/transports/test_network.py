"""Networks: one body for blocking sockets, asyncio (the standard loop and uvloop) and trio, over loopback."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
import trustme
import uvloop

from scallion.pipeline.errors import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    WriteError,
    WriteTimeout,
)
from scallion.pipeline.runtime import run
from scallion.transports.network import async_network, blocking_network
from scallion.transports.network.base import ByteChannel, Network
from scallion.transports.network.connecting import Address, dial_tcp

LONG = 5.0
SHORT = 0.02
BIG = 16 * 1024 * 1024

Scenario = Callable[[Network], Awaitable[Any]]
Handler = Callable[[socket.socket], None]


class Colour:
    """Plays a scenario in one of the colours."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, scenario: Scenario) -> Any:
        async def whole() -> Any:
            return await scenario(blocking_network() if self.name == "sync" else async_network())

        if self.name == "sync":
            return run(whole())
        if self.name == "trio":
            return trio.run(whole)
        factory = uvloop.new_event_loop if self.name == "uvloop" else None
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(whole())

    async def settle(self) -> None:
        """Let the loop notice what the kernel already knows."""
        for _ in range(8):
            if self.name in ("asyncio", "uvloop"):
                await asyncio.sleep(0)


@pytest.fixture(params=["sync", "asyncio", "uvloop", "trio"])
def play(request: pytest.FixtureRequest) -> Colour:
    return Colour(request.param)


@pytest.fixture(params=["asyncio", "uvloop", "trio"])
def play_async(request: pytest.FixtureRequest) -> Colour:
    return Colour(request.param)


class Servers:
    """Starts servers for one connection each, in a thread; at the end they must have ended without errors."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._stack = ExitStack()

    def __call__(self, handler: Handler, family: int = socket.AF_INET, at: Any = None) -> Any:
        """Where it listens."""
        listener = self._stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listener.bind(at if at is not None else ("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(LONG)
                    handler(connection)
            except BaseException as exc:
                self.errors.append(exc)

        thread = threading.Thread(target=serve)
        thread.start()
        self._threads.append(thread)
        return listener.getsockname()

    def close(self) -> None:
        for thread in self._threads:
            thread.join(LONG)
            assert not thread.is_alive()
        self._stack.close()
        # What nobody closed is found now, and warnings are errors.
        gc.collect()
        assert [] == self.errors


@pytest.fixture
def serve() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1", "inner.test").configure_cert(context)
    context.set_alpn_protocols(["http/1.1"])
    return context


@pytest.fixture(scope="session")
def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_alpn_protocols(["http/1.1"])
    return context


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def until_closed(connection: socket.socket) -> None:
    """Read and ignore, until the client closes, in whatever way."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def reset_when_spoken_to(connection: socket.socket) -> None:
    connection.recv(1)
    reset(connection)


async def read_exactly(channel: ByteChannel, size: int) -> bytes:
    parts = []
    while size and (data := await channel.read(65536, LONG)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


async def read_all(channel: ByteChannel) -> bytes:
    parts = []
    while data := await channel.read(65536, LONG):
        parts.append(data)
    return b"".join(parts)


# Connecting.


def test_what_is_written_can_be_read_back(play: Colour, serve: Servers) -> None:
    """
    Bytes go out and come in, and the end of the stream is an empty read, again and again.
    """
    address = serve(lambda connection: connection.sendall(connection.recv(100)))

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await channel.write(b"hello", LONG)
        assert b"hello" == await read_exactly(channel, 5)
        assert b"" == await channel.read(100, LONG)
        assert b"" == await channel.read(100, LONG)
        await channel.aclose()

    play(scenario)


def test_a_name_is_resolved(play: Colour, serve: Servers) -> None:
    """
    Each address of a name is tried: the server listens on one of localhost's.
    """
    host, port = serve(echo)
    assert "127.0.0.1" == host

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp("localhost", port, LONG)
        await channel.write(b"x", None)
        assert b"x" == await channel.read(1, None)
        channel.close()

    play(scenario)


def test_nobody_listens(play: Colour) -> None:
    """
    The error names host, port and the system's reason.
    """
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]

        async def scenario(network: Network) -> None:
            with pytest.raises(ConnectError, match=f"127.0.0.1:{port}: Connection refused"):
                await network.connect_tcp("127.0.0.1", port, LONG)

        play(scenario)


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        UnicodeError("label empty or too long"),
        OverflowError("port must be 0-65535"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_name_that_does_not_resolve(
    play: Colour, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Names that the resolver does not know, or that are no names, say so.
    """
    monkeypatch.setattr(socket, "getaddrinfo", _raiser(error))

    async def scenario(network: Network) -> None:
        with pytest.raises(
            ConnectError, match=f"nothing.test:80: the name does not resolve: .*{_text(error)}"
        ):
            await network.connect_tcp("nothing.test", 80, LONG)

    if play.name != "uvloop":  # whose resolver is its own
        play(scenario)


def _text(error: Exception) -> str:
    return str(error.args[-1])


def _raiser(error: Exception) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    return fail


def test_connecting_takes_too_long(play: Colour) -> None:
    """
    A listener whose queue is full does not answer; the deadline ends the wait.
    """
    with socket.socket() as listener, ExitStack() as clients:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())

        async def scenario(network: Network) -> None:
            with pytest.raises(ConnectTimeout, match="no connection within 0.02 s"):
                await network.connect_tcp(*listener.getsockname(), SHORT)

        play(scenario)


def test_local_address_and_socket_options(play: Colour, serve: Servers) -> None:
    """
    The connection comes from the address asked for, and the socket has the options.
    """
    address = serve(echo)
    option = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG, "127.0.0.2", [option])
        assert "127.0.0.2" == channel.info("client_addr")[0]
        assert address == channel.info("server_addr")
        sock = channel.info("socket")
        assert sock.getsockopt(*option[:2])
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert channel.info("is_readable") is False
        assert channel.info("ssl_object") is None
        channel.close()
        assert channel.info("client_addr") is None or play.name in ("asyncio", "uvloop")

    play(scenario)


def test_unix_socket(play: Colour, serve: Servers, tmp_path: Path) -> None:
    """
    A Unix socket is a channel like any other; a missing one is refused by name.
    """
    path = serve(echo, socket.AF_UNIX, str(tmp_path / "s"))

    async def scenario(network: Network) -> None:
        channel = await network.connect_unix(path, LONG)
        await channel.write(b"hello", LONG)
        assert b"hello" == await read_exactly(channel, 5)
        channel.close()
        with pytest.raises(ConnectError, match="missing: No such file"):
            await network.connect_unix(str(tmp_path / "missing"), LONG)

    play(scenario)


# Happy Eyeballs.


class Scripted:
    """Resolves as told, and reports as finished what is told; remembers how long it was asked to wait."""

    def __init__(self, addresses: list[Address], answers: list[Any]) -> None:
        self.addresses = addresses
        self.answers = answers
        self.waits: list[float | None] = []

    async def resolve(self, host: str, port: int, timeout: float | None) -> list[Address]:
        return self.addresses

    async def finished(self, sockets: Any, timeout: float | None) -> Any:
        self.waits.append(timeout)
        return [sockets[i] for i in self.answers.pop(0)]


def test_the_next_address_starts_when_one_is_silent() -> None:
    """
    A quarter of a second for each address but the last; the first that connects wins.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = Address(socket.AF_INET, listener.getsockname())
        dialer = Scripted([address] * 3, [[], [], [2]])

        winner = run(dial_tcp(dialer, "several", 80, None))

        assert [0.25, 0.25, None] == dialer.waits
        with winner:
            assert listener.getsockname() == winner.getpeername()


def test_families_take_turns_and_each_reason_is_told() -> None:
    """
    Addresses that fail at once give way at once; the error tells each different reason, once.
    """
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        refused = Address(socket.AF_INET, unheard.getsockname())
        wrong = Address(socket.AF_INET, ("127.0.0.1", 70000))
        dialer = Scripted([refused, refused, wrong], [[0], [0]])

        with pytest.raises(ConnectError) as caught:
            run(dial_tcp(dialer, "several", 80, LONG))

    message = str(caught.value)
    assert message.startswith("cannot connect to several:80: Connection refused; ")
    assert 1 == message.count("refused")
    assert "port must be" in message


def test_two_addresses_race(play: Colour, serve: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    In each colour the second address is tried when the first is refused.
    """
    address = serve(echo)
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", unheard.getsockname()),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", address),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found)

        async def scenario(network: Network) -> None:
            host = "localhost" if play.name == "uvloop" else "two.test"  # its resolver is its own
            channel = await network.connect_tcp(host, address[1], LONG)
            assert address == channel.info("server_addr")
            channel.close()

        play(scenario)


# Reading and writing.


def test_read_timeout_leaves_the_channel_usable(play: Colour, serve: Servers) -> None:
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
        with pytest.raises(ReadTimeout, match="within 0.02 s"):
            await channel.read(100, SHORT)
        with pytest.raises(ReadTimeout):
            await channel.read(100, 0)
        go.set()
        assert b"late" == await read_exactly(channel, 4)
        channel.close()

    play(scenario)


def test_a_shorter_timeout_after_a_longer_one(play: Colour, serve: Servers) -> None:
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


def test_reads_are_bounded(play: Colour, serve: Servers) -> None:
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


def test_the_peer_half_closes(play: Colour, serve: Servers) -> None:
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
        await channel.write(b"more", LONG)
        await channel.aclose()

    play(scenario)
    serve.close()
    assert [b"more"] == received


def test_the_peer_resets(play: Colour, serve: Servers) -> None:
    """
    A reset is an error for the reader and then for the writer, in whatever order they come.
    """
    address = serve(reset_when_spoken_to)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await channel.write(b"x", LONG)
        with pytest.raises(ReadError, match="receiving failed: Connection reset"):
            await channel.read(100, LONG)
        with pytest.raises(WriteError, match="sending failed"):
            while True:
                await channel.write(b"x", LONG)
        with pytest.raises(WriteError):
            while await channel.write_or_answer(b"x", LONG):
                pass
            raise WriteError("the end was reported")
        channel.close()

    play(scenario)


def test_writing_to_a_peer_that_does_not_read(play: Colour, serve: Servers) -> None:
    """
    The write ends with its timeout when nothing can be sent any more.
    """
    done = threading.Event()
    address = serve(lambda connection: done.wait(LONG) and None)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        with pytest.raises(WriteTimeout, match="within 0.02 s"):
            await channel.write(bytes(BIG), SHORT)
        channel.close()
        again = await network.connect_tcp(*serve(lambda connection: done.wait(LONG) and None), LONG)
        with pytest.raises(WriteTimeout):
            await again.write_or_answer(bytes(BIG), SHORT)
        again.close()
        done.set()

    play(scenario)


def test_a_slow_reader_is_no_timeout(play: Colour, serve: Servers) -> None:
    """
    The write timeout counts from the last progress, not from the beginning.
    """
    pace = threading.Event()

    def slow(connection: socket.socket) -> None:
        left = BIG
        while left:
            pace.wait(0.0001)
            left -= len(connection.recv(min(left, 262_144)))

    address = serve(slow)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await channel.write(bytes(BIG), 0.5)
        await channel.aclose()

    play(scenario)


def test_large_transfers_both_ways(play: Colour, serve: Servers) -> None:
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


def test_what_is_not_read_is_not_buffered(play: Colour, serve: Servers) -> None:
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


def test_an_early_answer_stops_an_upload(play: Colour, serve: Servers) -> None:
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
        assert False is await channel.write_or_answer(bytes(BIG), LONG)
        assert b"413 too large" == await read_exactly(channel, 13)
        channel.close()
        done.set()

    play(scenario)


def test_an_early_answer_stops_a_stream_of_small_pieces(play: Colour, serve: Servers) -> None:
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


def test_an_answer_before_a_reset_is_not_lost(play: Colour, serve: Servers) -> None:
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


def test_an_upload_without_an_answer_is_sent_whole(play: Colour, serve: Servers) -> None:
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
        assert True is await channel.write_or_answer(bytes(BIG), LONG)
        assert b"ok" == await read_exactly(channel, 2)
        channel.close()

    play(scenario)
    assert [BIG] == sizes


# Staleness.


@pytest.mark.parametrize("end", ["close", "reset", "speak"])
def test_stale(play: Colour, serve: Servers, end: str) -> None:
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


# Closing.


def test_a_closed_channel_refuses_everything(play: Colour, serve: Servers) -> None:
    """
    Closing is idempotent, and what is asked of a closed channel is refused with our errors.
    """
    address = serve(until_closed)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        channel.close()
        channel.close()
        await channel.aclose()
        with pytest.raises(ReadError):
            await channel.read(1, LONG)
        with pytest.raises(WriteError):
            await channel.write(b"x", LONG)
        with pytest.raises(WriteError):
            await channel.write_or_answer(b"x", LONG)
        assert channel.stale() is True

    play(scenario)


def test_an_orderly_close_delivers_what_was_written(play: Colour, serve: Servers) -> None:
    """
    Closing does not cut off what a slow peer has yet to read.
    """
    total = []
    address = serve(lambda connection: total.append(_count(connection)))

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await channel.write(bytes(BIG + 1), LONG)
        await channel.aclose()
        if play.name in ("asyncio", "uvloop"):
            while channel._transport is not None:  # type: ignore[attr-defined]
                await asyncio.sleep(0)

    play(scenario)
    serve.close()
    assert [BIG + 1] == total


def _count(connection: socket.socket) -> int:
    size = 0
    while data := connection.recv(262_144):
        size += len(data)
    return size


def test_closing_wakes_a_thread_that_reads(serve: Servers) -> None:
    """
    A blocked reader ends with an error when another thread closes the channel.
    """
    address = serve(until_closed)
    channel = run(blocking_network().connect_tcp(*address, LONG))
    errors = []

    def read() -> None:
        try:
            data = run(channel.read(1, LONG))
            errors.append(data)
        except ReadError as exc:
            errors.append(exc)

    reader = threading.Thread(target=read)
    reader.start()
    while not channel._waits._waiting_in:  # type: ignore[attr-defined]
        pass
    channel.close()
    reader.join(LONG)

    assert not reader.is_alive()
    assert 1 == len(errors)


def test_one_thread_reads_while_another_writes(serve: Servers) -> None:
    """
    The two directions have timeouts of their own and do not disturb each other.
    """
    address = serve(echo)
    channel = run(blocking_network().connect_tcp(*address, LONG))
    payload = bytes(range(256)) * 16_384
    writer = threading.Thread(target=lambda: run(channel.write(payload, LONG)))
    writer.start()

    assert payload == run(read_exactly(channel, len(payload)))
    writer.join(LONG)
    channel.close()


def test_closing_wakes_a_task_that_reads(play_async: Colour, serve: Servers) -> None:
    """
    A suspended reader ends with an error when another task closes the channel.
    """
    address = serve(until_closed)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)

        async def read() -> None:
            with pytest.raises(ReadError):
                await channel.read(1, LONG)

        if play_async.name == "trio":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                await trio.testing.wait_all_tasks_blocked()
                channel.close()
        else:
            reader = asyncio.create_task(read())
            await asyncio.sleep(0)
            channel.close()
            await reader

    play_async(scenario)


async def _cancelled(colour: Colour, work: Callable[[], Awaitable[Any]]) -> None:
    """Start `work`, let it block, cancel it."""
    if colour.name == "trio":
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    else:
        task = asyncio.ensure_future(work())
        await colour.settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("timeout", [None, LONG])
def test_a_cancelled_read_loses_nothing(
    play_async: Colour, serve: Servers, timeout: float | None
) -> None:
    """
    After a read was cancelled, the channel works as before.
    """
    address = serve(echo)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await _cancelled(play_async, lambda: channel.read(10, timeout))
        await channel.write(b"hello", LONG)
        assert b"hello" == await read_exactly(channel, 5)
        channel.close()

    play_async(scenario)


def test_a_cancelled_write_leaves_a_channel_that_closes(
    play_async: Colour, serve: Servers
) -> None:
    """
    A writer may be cancelled while it waits; closing is all that is left to do.
    """
    done = threading.Event()
    address = serve(lambda connection: done.wait(LONG) and None)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await _cancelled(play_async, lambda: channel.write(bytes(BIG), LONG))
        channel.close()
        done.set()

    play_async(scenario)


def test_a_cancelled_connect_leaks_nothing(play_async: Colour) -> None:
    """
    The sockets of an unfinished connect are closed.
    """
    with socket.socket() as listener, ExitStack() as clients:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())

        async def scenario(network: Network) -> None:
            address = listener.getsockname()
            await _cancelled(play_async, lambda: network.connect_tcp(*address, LONG))

        play_async(scenario)
        gc.collect()


def test_closing_after_the_loop_was_closed(serve: Servers) -> None:
    """
    A channel that outlives its loop is closed without a word.
    """
    address = serve(until_closed)
    loop = asyncio.new_event_loop()
    channel = loop.run_until_complete(async_network().connect_tcp(*address, LONG))
    loop.close()

    channel.close()
    channel.close()
    del channel
    gc.collect()


def test_closing_while_the_loop_stands_still(serve: Servers) -> None:
    """
    Between two runs of the loop a channel can be closed as well.
    """
    address = serve(until_closed)
    loop = asyncio.new_event_loop()
    channel = loop.run_until_complete(async_network().connect_tcp(*address, LONG))

    channel.close()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    del channel
    gc.collect()


def test_closing_from_another_thread(play_async: Colour, serve: Servers) -> None:
    """
    A finaliser may run anywhere; the loop that owns the channel does the rest.
    """
    address = serve(until_closed)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        thread = threading.Thread(target=channel.close)
        thread.start()
        thread.join(LONG)
        with pytest.raises(ReadError):
            await channel.read(1, LONG)
        await play_async.settle()

    play_async(scenario)


# TLS.


def wrapped(context: ssl.SSLContext, handler: Handler) -> Handler:
    """A handler over TLS; the client may break off the handshake."""

    def handle(connection: socket.socket) -> None:
        try:
            secure = context.wrap_socket(connection, server_side=True)
        except OSError:
            return
        with secure:
            handler(secure)

    return handle


def test_tls_carries_bytes(
    play: Colour, serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    16 MB there and back through TLS; the negotiated protocol is known; the goodbye is sent.
    """
    ends = []

    def handle(connection: socket.socket) -> None:
        left = BIG
        parts = []
        while left:
            parts.append(connection.recv(min(left, 262_144)))
            left -= len(parts[-1])
        connection.sendall(b"".join(parts))
        ends.append(connection.recv(1))

    address = serve(wrapped(server_context, handle))
    payload = bytes(range(256)) * (BIG // 256)

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client_context, "localhost", LONG)
        assert "http/1.1" == channel.info("ssl_object").selected_alpn_protocol()
        assert address == channel.info("server_addr")
        await channel.write(payload, LONG)
        assert payload == await read_exactly(channel, BIG)
        await play.settle()
        assert channel.stale() is False
        assert channel.info("is_readable") is False
        with pytest.raises(ReadTimeout):
            await channel.read(1, SHORT)
        await channel.aclose()
        await channel.aclose()

    play(scenario)
    serve.close()
    # Not a ragged end, which would be an SSLEOFError in the handler.
    assert [b""] == ends


def test_session_tickets_do_not_make_a_connection_stale(
    play: Colour, serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    A TLS 1.3 server sends tickets after the handshake; they are nobody's answer.
    """
    shaken = threading.Event()

    def handle(connection: socket.socket) -> None:
        shaken.set()
        echo(connection)

    address = serve(wrapped(server_context, handle))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client_context, "localhost", LONG)
        assert "TLSv1.3" == channel.info("ssl_object").version()
        assert shaken.wait(LONG)
        await play.settle()
        assert plain.stale() is True
        assert channel.stale() is False
        assert True is await channel.write_or_answer(b"hello", LONG)
        assert b"hello" == await read_exactly(channel, 5)
        channel.close()

    play(scenario)


def test_tls_tells_of_an_early_answer(
    play: Colour, serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    An encrypted answer stops an encrypted upload, session tickets do not.
    """
    done = threading.Event()

    def refuse(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"413 too large")
        done.wait(LONG)

    address = serve(wrapped(server_context, refuse))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client_context, "localhost", LONG)
        assert False is await channel.write_or_answer(bytes(BIG), LONG)
        assert b"413" == await channel.read(3, LONG)
        assert b" too large" == await read_exactly(channel, 10)
        channel.close()
        done.set()

    play(scenario)


@pytest.mark.parametrize("end", ["close", "ragged", "speak"])
def test_tls_stale(
    play: Colour,
    serve: Servers,
    server_context: ssl.SSLContext,
    client_context: ssl.SSLContext,
    end: str,
) -> None:
    """
    An idle encrypted connection is stale after a goodbye, a mere end, or bytes unasked for.
    """
    go, gone, done = threading.Event(), threading.Event(), threading.Event()

    def handle(connection: socket.socket) -> None:
        connection.sendall(connection.recv(10))
        assert go.wait(LONG)
        if end == "close":
            connection.setblocking(False)
            with pytest.raises(ssl.SSLWantReadError):
                connection.unwrap()  # type: ignore[attr-defined]
        elif end == "ragged":
            connection.close()
        else:
            connection.sendall(b"unasked")
        gone.set()
        done.wait(LONG)

    address = serve(wrapped(server_context, handle))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client_context, "localhost", LONG)
        await channel.write(b"hello", LONG)
        assert b"hello" == await read_exactly(channel, 5)
        await play.settle()
        assert channel.stale() is False
        go.set()
        assert gone.wait(LONG)
        await play.settle()
        assert channel.stale() is True
        assert channel.stale() is True
        if end == "speak":
            assert b"unasked" == await read_exactly(channel, 7)
        else:
            assert b"" == await channel.read(1, LONG)
            assert b"" == await channel.read(1, LONG)
        channel.close()
        done.set()

    play(scenario)


def test_an_unknown_authority_is_refused(
    play: Colour, serve: Servers, server_context: ssl.SSLContext
) -> None:
    """
    The error carries OpenSSL's reason, and the socket is closed.
    """
    address = serve(wrapped(server_context, until_closed))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        with pytest.raises(ConnectError, match="localhost .*certificate verify failed: .*issuer"):
            await plain.start_tls(ssl.create_default_context(), "localhost", LONG)
        assert plain.stale() is True

    play(scenario)


def test_the_wrong_host_is_refused(
    play: Colour, serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    A certificate for another name is no certificate.
    """
    address = serve(wrapped(server_context, until_closed))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        with pytest.raises(ConnectError, match="not valid for 'other.test'"):
            await plain.start_tls(client_context, "other.test", LONG)

    play(scenario)


def test_a_context_that_checks_names_needs_one(
    play: Colour, serve: Servers, client_context: ssl.SSLContext
) -> None:
    """
    Without a server name the handshake is refused before it starts, and the socket is closed.
    """
    address = serve(until_closed)

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        with pytest.raises(ConnectError, match="server_hostname"):
            await plain.start_tls(client_context, None, LONG)
        assert plain.stale() is True

    play(scenario)


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ConnectError, "wrong version number"),
        (b"", ConnectError, "eof"),
        (None, ConnectTimeout, "longer than 0.02 s"),
    ],
)
def test_a_server_that_speaks_no_tls(
    play: Colour,
    serve: Servers,
    client_context: ssl.SSLContext,
    answer: bytes | None,
    error: type[Exception],
    reason: str,
) -> None:
    """
    Plain text, an end, or silence instead of a handshake.
    """

    def handle(connection: socket.socket) -> None:
        if answer is None:
            until_closed(connection)
        else:
            connection.recv(1000)
            connection.sendall(answer)

    address = serve(handle)

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        timeout = SHORT if answer is None else LONG
        with pytest.raises(error, match=reason):
            await plain.start_tls(client_context, "localhost", timeout)

    play(scenario)


def test_a_cancelled_handshake_closes_the_socket(
    play_async: Colour, serve: Servers, client_context: ssl.SSLContext
) -> None:
    """
    Cancelled in the middle, the handshake leaves no socket behind.
    """
    address = serve(until_closed)

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        await _cancelled(play_async, lambda: plain.start_tls(client_context, "localhost", LONG))
        assert plain.stale() is True

    play_async(scenario)


def test_closing_in_a_cancelled_scope(
    serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    An orderly close that may not wait still releases the socket.
    """
    address = serve(wrapped(server_context, until_closed))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client_context, "localhost", LONG)
        with trio.CancelScope() as scope:
            scope.cancel()
            await channel.aclose()
        assert plain.stale() is True
        assert -1 == plain.info("socket").fileno()

    Colour("trio")(scenario)


def test_one_thread_reads_tls_while_another_writes(
    serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    Two threads may share an encrypted connection, one for each direction.
    """
    address = serve(wrapped(server_context, echo))
    plain = run(blocking_network().connect_tcp(*address, LONG))
    channel = run(plain.start_tls(client_context, "localhost", LONG))
    payload = bytes(range(256)) * 16_384
    writer = threading.Thread(target=lambda: run(channel.write(payload, LONG)))
    writer.start()

    assert payload == run(read_exactly(channel, len(payload)))
    writer.join(LONG)
    run(channel.aclose())


def relayed(outer: ssl.SSLContext, inner: Handler) -> Handler:
    """A proxy: TLS to it, and what comes through it is handled by `inner`."""

    def handle(connection: socket.socket) -> None:
        with outer.wrap_socket(connection, server_side=True) as secure:
            secure.settimeout(LONG)
            near, far = socket.socketpair()
            far.settimeout(LONG)
            thread = threading.Thread(target=lambda: inner(far))
            thread.start()
            secure.setblocking(False)
            near.setblocking(False)
            _pump(secure, near)
            near.close()
            thread.join(LONG)
            far.close()

    return handle


def _pump(secure: ssl.SSLSocket, near: socket.socket) -> None:
    """Carry bytes both ways in one thread, since one TLS connection bears no two."""
    import select

    waiting: dict[Any, bytes] = {secure: b"", near: b""}
    while True:
        # Backlogs wait for room; a small nap of the kernel's is enough for a test.
        select.select([s for s in (secure, near) if not waiting[s]], [], [], 0.001)
        for source, target in ((secure, near), (near, secure)):
            if not waiting[target]:
                try:
                    waiting[target] = source.recv(65536)
                except (ssl.SSLWantReadError, BlockingIOError):
                    continue
                except OSError:
                    return
                if not waiting[target]:
                    return
            try:
                waiting[target] = waiting[target][target.send(waiting[target]) :]
            except (ssl.SSLWantWriteError, BlockingIOError):
                continue
            except OSError:
                return


def test_tls_within_tls(
    play: Colour, serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    Through an HTTPS proxy: TLS to it, and TLS through it; closing ends both.
    """
    address = serve(relayed(server_context, wrapped(server_context, echo)))
    payload = bytes(range(256)) * 1024

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        outer = await plain.start_tls(client_context, "localhost", LONG)
        channel = await outer.start_tls(client_context, "inner.test", LONG)
        assert "inner.test" == channel.info("ssl_object").server_hostname
        await channel.write(payload, LONG)
        assert payload == await read_exactly(channel, len(payload))
        assert True is await channel.write_or_answer(b"hello", LONG)
        assert b"hello" == await read_exactly(channel, 5)
        await play.settle()
        assert channel.stale() is False
        await channel.aclose()
        assert plain.stale() is True

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
