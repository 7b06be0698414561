"""Reaching the server: settings of the way there, limits per host, ages, and one transport in several event loops."""

from __future__ import annotations

import gc
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from h2.settings import SettingCodes

from scallion.pipeline.errors import ConnectError, ConnectTimeout, PoolTimeout
from scallion.pipeline.runtime import AsyncRuntime, BlockingRuntime
from scallion.pipeline.settings import Limits
from scallion.transports.http import AsyncHTTPTransport, HTTPTransport
from support.colours import Drive
from support.http2_server import Call, HTTP2Server, Session
from support.servers import HTTPServer, ScriptedServer, expect, respond, send
from support.together import together
from support.wire import Wire, request

SHORT = 0.02
UNREAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nsome"
STREAMS = SettingCodes.MAX_CONCURRENT_STREAMS
linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux has these")


def knowing(drive: Drive, **settings: Any) -> Wire:
    """A transport that speaks HTTP/2 over cleartext."""
    return Wire(drive, http1=False, http2=True, **settings)


class Clock:
    """The runtimes' clock, which can be set forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for runtime in (BlockingRuntime, AsyncRuntime):
        monkeypatch.setattr(runtime, "clock", staticmethod(made))
    return made


# Limits per host.


def test_an_origin_gets_no_more_than_its_share(drive: Drive) -> None:
    """
    The error names the host and the limit that held; other hosts are served meanwhile.
    """
    limits = Limits(max_connections=10, max_connections_per_host=1)
    with ScriptedServer([expect(), send(UNREAD)]) as full, HTTPServer() as other:

        async def scenario() -> None:
            async with Wire(drive, limits=limits) as wire:
                response = await wire.open("GET", full.url)
                with pytest.raises(PoolTimeout) as caught:
                    await wire.get(full.url, timeout={"pool": SHORT})
                assert (
                    f"No connection to {full.url} came free within 0.02 seconds: "
                    "<Pool 1 active, 0 idle, 1 waiting of 10>. Are responses read or closed, "
                    "and is Limits(max_connections_per_host=1) high enough?"
                ) == str(caught.value)
                assert b"ok" == await wire.get(other.url)
                await wire.close(response)

        drive(scenario)


def test_many_to_few_hosts(drive: Drive) -> None:
    """
    Everybody is served, and no server sees more connections than it should.
    """
    limits = Limits(max_connections=5, max_connections_per_host=2)
    with HTTPServer() as one, HTTPServer() as two, HTTPServer() as three:
        servers = (one, two, three)

        async def scenario() -> None:
            async with Wire(drive, limits=limits) as wire:
                work = [lambda url=servers[n % 3].url: wire.get(url) for n in range(30)]
                assert [b"ok"] * 30 == await together(drive, *work)
                assert wire.pool.startswith("<Pool 0 active,")

        drive(scenario)
    assert all(len(server.connections) <= 10 for server in servers)


def test_streams_beyond_what_one_shared_connection_takes(drive: Drive) -> None:
    """
    With one connection to a host they wait for each other's streams, and all are served by it.
    """

    limits = Limits(max_connections=10, max_connections_per_host=1)
    with HTTP2Server(settings={STREAMS: 2}) as server:

        async def scenario() -> None:
            async with knowing(drive, limits=limits) as wire:
                results = await together(drive, *[lambda: wire.get(server.url)] * 10)
                assert [b"ok"] * 10 == results
                assert "<Pool 0 active, 1 idle, 0 waiting of 10>" == wire.pool

        drive(scenario)
    assert 1 == len(server.connections)


# Ages.


def test_a_connection_past_its_age_is_replaced(drive: Drive, clock: Clock) -> None:
    limits = Limits(keepalive_expiry=None, max_connection_age=100.0)
    with HTTPServer() as server:

        async def scenario() -> None:
            async with Wire(drive, limits=limits) as wire:
                for seconds, number in ((0, 1), (89, 1), (12, 2), (0, 2)):
                    clock.ahead += seconds
                    assert b"ok" == await wire.get(server.url)
                    assert number == len(server.connections)

        drive(scenario)


def test_an_exchange_is_never_broken_off_for_its_connections_age(
    drive: Drive, clock: Clock
) -> None:
    """
    The connection is closed when its response has been read.
    """
    with HTTPServer(lambda _: _long()) as server:

        async def scenario() -> None:
            async with Wire(drive, limits=Limits(max_connection_age=100.0)) as wire:
                response = await wire.open("GET", server.url)
                clock.ahead += 1000
                assert 300_000 == len(await wire.read(response))
                assert "<Pool 0 active, 0 idle, 0 waiting of no limit>" == wire.pool

        drive(scenario)


def _long() -> Any:
    from support.servers import Answer

    return Answer(body=b"x" * 300_000)


def test_a_shared_connection_past_its_age_is_drained(drive: Drive, clock: Clock) -> None:
    """
    What began on it ends there; what comes next gets another one, and the last to leave closes it.
    """
    waiting: list[tuple[Session, Call]] = []

    def answer(session: Session, call: Call) -> None:
        if call.path == "/slow":
            session.respond(call, end=False)
            waiting.append((session, call))
        else:
            session.respond(call, b"%d" % session.number)
            for earlier, slow in waiting:
                earlier.say(slow.stream, b"slow", end=True)
                earlier.flush()
            waiting.clear()

    limits = Limits(max_connections=10, max_connection_age=100.0)
    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive, limits=limits) as wire:
                assert b"0" == await wire.get(server.url)
                slow = await wire.open("GET", server.url + "/slow")
                clock.ahead += 100
                assert b"1" == await wire.get(server.url)
                assert "<Pool 1 active, 1 idle, 0 waiting of 10>" == wire.pool
                assert b"slow" == await wire.read(slow)
                assert "<Pool 0 active, 1 idle, 0 waiting of 10>" == wire.pool
                assert b"1" == await wire.get(server.url)

        drive(scenario)
    assert 2 == len(server.connections)


# PING as a liveness check.


def test_a_silent_connection_is_asked_before_it_is_used(drive: Drive, clock: Clock) -> None:
    """
    By PING, once it has been silent for long; the answer makes it as good as new.
    """
    pings: list[Any] = []

    def hear(session: Session, event: Any) -> None:
        if type(event).__name__ == "PingReceived":
            pings.append(event)

    limits = Limits(keepalive_expiry=None, ping_after=30.0)
    with HTTP2Server(hear=hear) as server:

        async def scenario() -> None:
            async with knowing(drive, limits=limits) as wire:
                for seconds, asked in ((0, 0), (29, 0), (30, 1), (0, 1), (31, 2)):
                    clock.ahead += seconds
                    assert b"ok" == await wire.get(server.url)
                    assert asked == len(pings)

        drive(scenario)
    assert 1 == len(server.connections)


def test_the_answer_is_heard_while_another_one_reads(
    drive: Drive, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A request that waits for long reads on behalf of all; it wakes who has asked.
    """
    monkeypatch.setattr("scallion.transports.sharing.PING_PATIENCE", 60.0)
    slow: list[tuple[Session, Call]] = []

    def answer(session: Session, call: Call) -> None:
        if call.path == "/slow":
            slow.append((session, call))
        else:
            session.respond(call, b"ok")
            for earlier, waiting in slow:
                earlier.respond(waiting, b"slow")

    limits = Limits(keepalive_expiry=None, ping_after=30.0)
    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive, limits=limits) as wire:
                assert b"ok" == await wire.get(server.url)

                async def waits() -> bytes:
                    return await wire.get(server.url + "/slow", timeout={"read": 600.0})

                async def asks() -> bytes:
                    while not slow:
                        await drive.runtime().sleep(0.001)
                    clock.ahead += 30
                    return await wire.get(server.url, timeout={"read": 60.0})

                assert [b"slow", b"ok"] == await together(drive, waits, asks)

        drive(scenario)
    assert 1 == len(server.connections)


@pytest.mark.parametrize("http2", [False, True])
def test_an_age_of_nothing(drive: Drive, http2: bool) -> None:
    """
    Each connection serves what it was opened for, and nothing more.
    """
    server: Any = HTTP2Server() if http2 else HTTPServer()
    with server:

        async def scenario() -> None:
            settings = {"http1": not http2, "http2": http2}
            async with Wire(drive, limits=Limits(max_connection_age=0), **settings) as wire:
                for _ in range(3):
                    assert b"ok" == await wire.get(server.url)
                assert "<Pool 0 active, 0 idle, 0 waiting of no limit>" == wire.pool

        drive(scenario)
    assert 3 == len(server.connections)


def test_a_connection_that_does_not_answer_is_replaced(
    drive: Drive, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The request is sent once, on another one; whatever its method.
    """
    monkeypatch.setattr("scallion.transports.sharing.PING_PATIENCE", SHORT)
    noted: list[str] = []

    def answer(session: Session, call: Call) -> None:
        session.respond(call, b"%d" % session.number)
        session.flush()
        if session.number == 0:
            while session.peer.receive():
                pass
            raise EOFError

    limits = Limits(max_connections=10, keepalive_expiry=None, ping_after=30.0)
    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive, limits=limits) as wire:
                assert b"0" == await wire.get(server.url)
                clock.ahead += 30
                sent = request("POST", server.url, content=b"once")
                sent.observers = (lambda event, fields: noted.append(event),)
                assert b"1" == await wire.read(await wire.send(sent))
                assert "<Pool 0 active, 1 idle, 0 waiting of 10>" == wire.pool

        drive(scenario)
        server.errors.clear()
    assert "connection.dead" in noted
    assert 2 == len(server.connections)


# The way there.


@linux
def test_an_abstract_unix_socket(drive: Drive) -> None:
    """
    Its name begins with a null, and is shown with an @.
    """
    name = f"\0scallion-{os.getpid()}-{drive.colour}"
    with HTTPServer(path=name) as server:

        async def scenario() -> None:
            async with Wire(drive, uds=name) as wire:
                assert b"ok" == await wire.get("http://service/")
            async with Wire(drive, uds="\0nobody") as wire:
                with pytest.raises(ConnectError, match=r"to @nobody: .*Connection refused"):
                    await wire.get("http://service/")

        drive(scenario)
    assert 1 == len(server.connections)


@pytest.mark.parametrize("kind", [str, Path, os.fsencode])
def test_paths_of_all_kinds(drive: Drive, tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "s"
    with HTTPServer(path=str(path)):

        async def scenario() -> None:
            async with Wire(drive, uds=kind(path)) as wire:
                assert b"ok" == await wire.get("http://service/")

        drive(scenario)


def test_a_missing_unix_socket_is_named(drive: Drive, tmp_path: Path) -> None:
    path = tmp_path / "missing"

    async def scenario() -> None:
        async with Wire(drive, uds=path) as wire:
            with pytest.raises(ConnectError) as caught:
                await wire.get("http://service/")
            assert str(caught.value).startswith(f"cannot connect to {path}: ")
            assert str(caught.value).endswith("No such file or directory")

    drive(scenario)


@pytest.mark.parametrize("http2", [False, True])
def test_tls_over_a_unix_socket(
    drive: Drive, authority: trustme.CA, tmp_path: Path, http2: bool
) -> None:
    """
    The certificate is checked for the URL's name; HTTP/2 is negotiated as anywhere.
    """
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("service.internal").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    path = str(tmp_path / "s")
    if http2:
        serving.set_alpn_protocols(["h2"])
    server: Any = (HTTP2Server if http2 else HTTPServer)(tls=serving, path=path)
    with server:

        async def scenario() -> None:
            async with Wire(drive, uds=path, verify=trusting, http2=http2) as wire:
                response = await wire.open("GET", "https://service.internal/")
                assert b"ok" == await wire.read(response)
                version = b"HTTP/2" if http2 else b"HTTP/1.1"
                assert version == response.extensions["http_version"]

        drive(scenario)


@pytest.mark.parametrize("kind", [HTTPTransport, AsyncHTTPTransport])
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"uds": ""}, ValueError, "uds='' names no Unix socket"),
        ({"uds": 5}, TypeError, "uds= takes the path of a Unix socket, not 5"),
        ({"tcp_keepalive": 0}, ValueError, "tcp_keepalive must be more than 0 seconds"),
        ({"tcp_keepalive": True}, TypeError, "tcp_keepalive must be seconds"),
        ({"tcp_keepalive": "60"}, TypeError, "tcp_keepalive must be seconds"),
        ({"resolver": 5}, TypeError, "resolver= takes an object"),
    ],
)
def test_bad_settings(
    kind: Any, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        kind(**settings)
    assert message in str(caught.value)


@linux
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (1, 60, 60, 5)),
        ({"tcp_keepalive": 15}, (1, 15, 15, 5)),
        ({"tcp_keepalive": 0.2}, (1, 1, 1, 5)),
        ({"tcp_keepalive": 1e9}, (1, 32767, 32767, 5)),
        ({"socket_options": [(socket.IPPROTO_TCP, 4, 7)]}, (1, 7, 60, 5)),
    ],
)
def test_tcp_keepalive(drive: Drive, settings: dict[str, Any], expected: tuple[int, ...]) -> None:
    """
    On by default; what the caller sets himself wins.
    """
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE)] + [
        (socket.IPPROTO_TCP, getattr(socket, f"TCP_KEEP{name}"))
        for name in ("IDLE", "INTVL", "CNT")
    ]
    with HTTPServer() as server:

        async def scenario() -> None:
            async with Wire(drive, **settings) as wire:
                response = await wire.open("GET", server.url)
                sock = response.extensions["network_stream"].get_extra_info("socket")
                assert expected == tuple(sock.getsockopt(*option) for option in options)

        drive(scenario)


def test_no_tcp_keepalive(drive: Drive) -> None:
    with HTTPServer() as server:

        async def scenario() -> None:
            async with Wire(drive, tcp_keepalive=None) as wire:
                response = await wire.open("GET", server.url)
                sock = response.extensions["network_stream"].get_extra_info("socket")
                assert 0 == sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

        drive(scenario)


@pytest.mark.parametrize(
    ("local", "message"),
    [
        ("::1", "local_address '::1' is of the other family"),
        ("192.0.2.1", "local_address '192.0.2.1': .*Cannot assign requested address"),
    ],
)
def test_a_local_address_that_cannot_be(drive: Drive, local: str, message: str) -> None:
    with HTTPServer() as server:

        async def scenario() -> None:
            async with Wire(drive, local_address=local) as wire:
                with pytest.raises(ConnectError, match=message):
                    await wire.get(server.url)

        drive(scenario)


def test_a_local_address_chooses_the_family(drive: Drive) -> None:
    """
    Addresses of the other one are passed over.
    """
    with HTTPServer() as server:

        async def scenario() -> None:
            table = {"service.internal": [("::1", server.port), ("127.0.0.1", server.port)]}
            async with Wire(drive, resolver=table, local_address="127.0.0.3") as wire:
                response = await wire.open("GET", "http://service.internal/")
                stream = response.extensions["network_stream"]
                assert "127.0.0.3" == stream.get_extra_info("client_addr")[0]
                await wire.close(response)

        drive(scenario)


class BlackHoles:
    """Listeners on loopback that answer no connection, as their queues are full."""

    def __init__(self, number: int) -> None:
        self._sockets: list[socket.socket] = []
        self.addresses: list[tuple[str, int]] = []
        for _ in range(number):
            listener = self._keep(socket.socket())
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            self.addresses.append(listener.getsockname())
            for _ in range(3):
                filler = self._keep(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())

    def _keep(self, sock: socket.socket) -> socket.socket:
        self._sockets.append(sock)
        return sock

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()


@pytest.fixture
def black_holes() -> Iterator[BlackHoles]:
    holes = BlackHoles(2)
    yield holes
    holes.close()


def open_sockets() -> set[str]:
    """This process's sockets, as the kernel has them."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            target = str(entry.readlink())
            if target.startswith("socket:"):
                found.add(target)
    return found


@linux
def test_addresses_that_do_not_answer_hold_nobody_up(
    drive: Drive, black_holes: BlackHoles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The next address is tried meanwhile, and the sockets of the others are closed.
    """
    monkeypatch.setattr("scallion.transports.network.connecting._STAGGER", 0.01)
    with HTTPServer() as server:

        async def scenario() -> None:
            addresses = [*black_holes.addresses, ("127.0.0.1", server.port)]
            async with Wire(drive, resolver={"service.internal": addresses}) as wire:
                before = open_sockets()
                assert b"ok" == await wire.get("http://service.internal/")
                # Ours, and the server's end of it.
                assert settled(lambda: 2 >= len(open_sockets() - before))

        drive(scenario)


def test_time_runs_out_among_addresses(
    drive: Drive, black_holes: BlackHoles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The error tells of each address what became of it.
    """
    monkeypatch.setattr("scallion.transports.network.connecting._STAGGER", 0.01)
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        refusing = unheard.getsockname()

        async def scenario() -> None:
            addresses = [refusing, *black_holes.addresses]
            async with Wire(drive, resolver={"service.internal": addresses}) as wire:
                with pytest.raises(ConnectTimeout) as caught:
                    await wire.get("http://service.internal/", timeout={"connect": 0.1})
            refused, first, second = (f"127.0.0.1:{port}" for _, port in addresses)
            message = str(caught.value)
            assert message.startswith(
                "cannot connect to service.internal:80: no connection within "
            )
            assert message.endswith(
                f"Connection refused ({refused}); no answer ({first}, {second})"
            )

        drive(scenario)


# Several event loops.


def settled(holds: Callable[[], bool]) -> bool:
    """Whether `holds` within 5 s: the server's threads close their ends a moment after they saw ours closed."""
    end = time.monotonic() + 5.0
    while not holds() and time.monotonic() < end:
        time.sleep(0.005)
    return holds()


@linux
@pytest.mark.parametrize("http2", [False, True])
def test_sockets_of_dead_loops_are_closed(http2: bool) -> None:
    """
    A loop that ended without closing the client leaves sockets; the next loop closes them, whichever it is.
    """
    server = HTTP2Server() if http2 else HTTPServer()
    with server:
        before = open_sockets()
        transport = AsyncHTTPTransport(http1=not http2, http2=http2)

        async def scenario() -> None:
            response = await transport.handle_async_request(request("GET", server.url))
            assert b"ok" == await response.aread()

        for number, backend in enumerate(["asyncio", "asyncio", "trio", "trio", "asyncio"]):
            anyio.run(scenario, backend=backend)
            if number:
                server.wait_until_gone(*range(number))
            assert settled(lambda: 2 >= len(open_sockets() - before))
        anyio.run(transport.aclose)
        server.wait_until_gone()
        assert settled(lambda: open_sockets() <= before)
    gc.collect()


@linux
def test_a_loop_that_died_in_the_middle() -> None:
    """
    With a response half read, and a request that waited for a connection.
    """
    limits = Limits(max_connections=1)
    with ScriptedServer([expect(), send(UNREAD)], [expect(), respond()]) as server:
        before = open_sockets()
        transport = AsyncHTTPTransport(limits=limits)
        kept: list[Any] = []

        async def dies() -> None:
            kept.append(await transport.handle_async_request(request("GET", server.url)))
            with anyio.move_on_after(0.01):
                await transport.handle_async_request(request("GET", server.url))

        async def lives() -> None:
            response = await transport.handle_async_request(request("GET", server.url))
            assert b"ok" == await response.aread()
            await transport.aclose()

        anyio.run(dies)
        anyio.run(lives)
        server.wait_until_gone()
        assert settled(lambda: open_sockets() <= before)
        kept.clear()
        gc.collect()


def test_loops_in_threads_at_once() -> None:
    """
    Each has a pool of its own, and they are closed wherever they are.
    """
    with HTTPServer() as server:
        transport = AsyncHTTPTransport(limits=Limits(max_connections_per_host=2))
        ready, errors = threading.Barrier(3), []

        async def scenario() -> None:
            await anyio.to_thread.run_sync(ready.wait)
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(one)

        async def one() -> None:
            response = await transport.handle_async_request(request("GET", server.url))
            assert b"ok" == await response.aread()

        def run(backend: str) -> None:
            try:
                anyio.run(scenario, backend=backend)
            except BaseException as error:  # the test raises it
                errors.append(error)

        threads = [
            threading.Thread(target=run, args=(backend,))
            for backend in ("asyncio", "trio", "asyncio")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert [] == errors
        anyio.run(transport.aclose)
    assert len(server.connections) <= 6
    assert 30 == len(server.requests)
