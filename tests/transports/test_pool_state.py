"""What a pool shows of itself: by origin, in every state a connection can have, from any thread and in any loop."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
from h2.settings import SettingCodes

from scallion.pipeline.runtime import BlockingRuntime, Runtime
from scallion.pipeline.settings import Limits, Proxy
from scallion.transports.http import AsyncHTTPTransport, HTTPTransport
from scallion.transports.pool import Pool, PoolStats
from scallion.transports.pool_state import (
    ConnectionState,
    OriginState,
    PoolState,
    combined,
    loops_named,
    state_of,
    summed,
)
from support.colours import Drive
from support.http2_server import Call, HTTP2Server, Session
from support.servers import Answer, HTTPServer, ProxyServer, Received
from support.together import together
from support.wire import Wire, request


def answer(received: Received) -> Answer:
    """More than arrives together with a head, for /held."""
    return Answer(body=b"x" * (4_000_000 if received.target == "/held" else 2))


def seen(wire: Wire) -> PoolState:
    state: PoolState = wire.transport.pool
    return state


def test_nothing(drive: Drive) -> None:
    """
    An unused transport has no connections, and says how many there may be.
    """

    async def scenario() -> None:
        async with Wire(drive) as wire:
            assert () == seen(wire).origins
            assert "0 active, 0 idle, 0 waiting" in str(seen(wire))

    drive(scenario)


def test_connections_by_origin(drive: Drive) -> None:
    """
    One in use, one idle, and what each did.
    """
    with HTTPServer(answer) as one, HTTPServer(answer) as other:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                for _ in range(3):
                    await wire.get(one.url)
                held = await wire.open("GET", f"{other.url}/held")
                state = seen(wire)
                await wire.close(held)
            assert PoolStats(1, 1, 0, 100) == state
            origins = {origin.origin: origin for origin in state.origins}
            (idle,) = origins[one.url].connections
            (active,) = origins[other.url].connections
            assert ("HTTP/1.1", "idle", 0, 1, 3) == (
                idle.protocol,
                idle.state,
                idle.streams,
                idle.room,
                idle.exchanges,
            )
            assert idle.idle is not None
            assert 0 <= idle.idle <= idle.age
            assert ("127.0.0.1", one.port) == idle.peer
            assert ("active", 1, 1, None) == (
                active.state,
                active.streams,
                active.exchanges,
                active.idle,
            )
            assert [0, 0] == [origin.waiting for origin in state.origins]

        drive(scenario)


def test_streams_of_a_shared_connection(drive: Drive) -> None:
    """
    How many are under way, of how many the server allows.
    """

    def handle(session: Session, call: Call) -> None:
        session.respond(call, b"begun", end=call.path != "/held")

    with HTTP2Server(handle, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 7}) as server:

        async def scenario() -> None:
            async with Wire(drive, http1=False, http2=True) as wire:
                await wire.get(server.url)
                held = [await wire.open("GET", f"{server.url}/held") for _ in range(3)]
                (connection,) = seen(wire).origins[0].connections
                assert ("HTTP/2", "active", 3, 7, 4) == (
                    connection.protocol,
                    connection.state,
                    connection.streams,
                    connection.room,
                    connection.exchanges,
                )
                assert "3 of 7" in str(seen(wire))
                for response in held:
                    await wire.close(response)
                (connection,) = seen(wire).origins[0].connections
                assert ("idle", 0) == (connection.state, connection.streams)
                assert connection.idle is not None

        drive(scenario)


def test_a_server_without_a_limit(drive: Drive) -> None:
    """
    Any number of streams is no number.
    """
    with HTTP2Server(settings={SettingCodes.MAX_CONCURRENT_STREAMS: 2**31}) as server:

        async def scenario() -> None:
            async with Wire(drive, http1=False, http2=True) as wire:
                await wire.get(server.url)
                assert None is seen(wire).origins[0].connections[0].room

        drive(scenario)


def test_a_connection_that_takes_nothing_new(drive: Drive) -> None:
    """
    After GOAWAY it ends what it has begun.
    """

    def handle(session: Session, call: Call) -> None:
        session.respond(call, b"begun", end=False)
        if call.path == "/last":
            session.codec.close_connection(last_stream_id=call.stream)

    with HTTP2Server(handle) as server:

        async def scenario() -> None:
            async with Wire(drive, http1=False, http2=True) as wire:
                held = await wire.open("GET", f"{server.url}/held")
                last = await wire.open("GET", f"{server.url}/last")
                (connection,) = seen(wire).origins[0].connections
                assert ("draining", 2, 0) == (
                    connection.state,
                    connection.streams,
                    connection.room,
                )
                await wire.close(held)
                await wire.close(last)
                assert () == seen(wire).origins

        drive(scenario)


@pytest.mark.parametrize("http2", [False, True])
def test_who_waits(drive: Drive, runtime: Runtime, http2: bool) -> None:
    """
    Counted with the origin that is waited for, whether for a connection or a stream.
    """

    def handle(session: Session, call: Call) -> None:
        session.respond(call, b"begun", end=call.path != "/held")

    settings: dict[str, Any] = {"limits": Limits(max_connections=1)}
    server: Any
    if http2:
        server = HTTP2Server(handle, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1})
        settings |= {"http1": False, "http2": True}
    else:
        server = HTTPServer(answer)
    with server:

        async def scenario() -> None:
            async with Wire(drive, **settings) as wire:
                held = await wire.open("GET", f"{server.url}/held")
                waits = runtime.event()

                def note(name: str, fields: dict[str, Any]) -> None:
                    if name == "pool.wait":
                        waits.set()

                async def wait() -> None:
                    sent = request("GET", server.url)
                    sent.observers = (note,)
                    await wire.read(await wire.send(sent))

                async def look() -> None:
                    assert await waits.wait(5.0)
                    states.append(seen(wire))
                    await wire.close(held)

                states: list[PoolState] = []
                assert [None, None] == await together(drive, wait, look)
                (origin,) = states[0].origins
                assert (server.url, 1, 1) == (origin.origin, origin.waiting, states[0].waiting)
                assert "1 waiting" in str(states[0]).splitlines()[-1]

        drive(scenario)


def test_through_a_proxy(drive: Drive) -> None:
    """
    The origin is the server's, the peer the proxy's.
    """
    with HTTPServer() as server, ProxyServer() as proxy:

        async def scenario() -> None:
            login = proxy.url.replace("http://", "http://user:s3cret@")
            async with Wire(drive, proxy=Proxy(login)) as wire:
                await wire.get(server.url)
                state = seen(wire)
            (origin,) = state.origins
            assert server.url == origin.origin
            assert (("127.0.0.1", proxy.port), proxy.url) == (
                origin.connections[0].peer,
                origin.connections[0].proxy,
            )
            assert str(state).endswith(f"127.0.0.1:{proxy.port} (proxy)")
            assert "s3cret" not in str(state)

        drive(scenario)


def test_another_server_name_is_another_origin(drive: Drive, tmp_path: Path) -> None:
    """
    A connection whose certificate was checked for one name is none for another.
    """
    path = str(tmp_path / "socket")
    with HTTPServer(path=path):

        async def scenario() -> None:
            async with Wire(drive, uds=path) as wire:
                await wire.get("http://service/", extensions={"sni_hostname": "other.example"})
                await wire.get("http://[fe80::1]/")
                state = seen(wire)
            assert ["http://service:80 as other.example", "http://[fe80::1]:80"] == [
                origin.origin for origin in state.origins
            ]
            assert [path, path] == [origin.connections[0].peer for origin in state.origins]

        drive(scenario)


# Books of which no server is needed.


def test_a_connection_that_is_being_opened() -> None:
    """
    It has a slot, and is no connection yet.
    """
    pool: Pool[Any] = Pool(Limits(max_connections=2), BlockingRuntime())
    pool.take(("http", "a", 80))
    pool.take(("http", "a", 80))
    pool.take(("http", "b", 80))
    state = state_of(pool)

    assert (2, 2, 1) == (state.active, state.opening, state.waiting)
    assert (OriginState("http://b:80", (), 1),) == state.origins
    assert "2 being opened" == str(state).splitlines()[-1]


def test_several_pools_together() -> None:
    """
    Totals are sums, a limit that one has not is none; one alone stays itself.
    """
    one = PoolState(1, 2, 3, 4, opening=1, origins=[OriginState("http://a:80", (), 3)])
    two = PoolState(10, 20, 30, 40, origins=[OriginState("http://b:80", (), 30)])
    both = combined({"one": one, "two": two}, summed([one.limit, two.limit]))

    assert one is combined({"one": one}, 0)
    assert PoolStats(11, 22, 33, 44) == both
    assert (1, {"one": one, "two": two}) == (both.opening, both.parts)
    assert ["http://a:80", "http://b:80"] == [origin.origin for origin in both.origins]
    assert None is summed([4, None])
    assert 0 == summed([])


def test_the_table() -> None:
    """
    One line a connection, in columns; the origin is named once.
    """
    busy = ConnectionState("HTTP/2", "active", 3, 100, 57, 12.14, None, ("192.0.2.1", 443), None)
    idle = ConnectionState("HTTP/1.1", "idle", 0, 1, 8, 3.0, 0.52, ("192.0.2.2", 80), None)
    origins = [
        OriginState("https://api.example:443", (busy, idle), 2),
        OriginState("http://b.example:80", (idle,), 0),
    ]
    part = PoolState(1, 2, 2, 3, opening=0, origins=origins)

    assert """<Pool 1 active, 2 idle, 2 waiting of 3>
origin                   protocol   state   streams   served  age     idle   peer
https://api.example:443  HTTP/2     active  3 of 100  57      12.1 s         192.0.2.1:443
                         HTTP/1.1   idle              8       3.0 s   0.5 s  192.0.2.2:80
                         2 waiting
http://b.example:80      HTTP/1.1   idle              8       3.0 s   0.5 s  192.0.2.2:80""" == str(
        part
    )
    lines = str(PoolState(1, 2, 2, None, parts={"default": part})).splitlines()
    assert "<Pool 1 active, 2 idle, 2 waiting of no limit>" == lines[0]
    assert "default: <Pool 1 active, 2 idle, 2 waiting of 3>" == lines[1]
    assert "  origin " == lines[2][:9]
    assert "<Pool 1 active, 2 idle, 2 waiting of 3>" == repr(part)


# Several loops, several threads.


def test_loops_are_told_apart() -> None:
    """
    Totals of all, and each by the kind of its loop; one that has ended says so.
    """
    with HTTPServer() as server:
        transport = AsyncHTTPTransport()

        async def fetch() -> str:
            await (await transport.handle_async_request(request("GET", server.url))).aread()
            return str(transport.pool)

        async def fetch_and_close() -> str:
            try:
                await fetch()
                state = transport.pool
                assert PoolStats(0, 2, 0, 100) == state
                assert ["asyncio loop 1", "trio loop 2"] == list(state.parts)
                assert [1, 1] == [part.idle for part in state.parts.values()]
                return str(state)
            finally:
                await transport.aclose()

        loop = asyncio.new_event_loop()
        alone = loop.run_until_complete(fetch())
        assert {} == transport.pool.parts
        assert alone.startswith("<Pool 0 active, 1 idle, 0 waiting of 100>\norigin")
        both = anyio.run(fetch_and_close, backend="trio")
        # The other loop's connection was closed from here, which it notices when it runs.
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        assert ["asyncio loop 1 (ended)"] == loops_named([loop])
        assert "asyncio loop 1: <Pool 0 active, 1 idle, 0 waiting of 100>" in both
        assert PoolStats(0, 0, 0, 100) == transport.pool


def test_it_is_taken_while_others_work() -> None:
    """
    From another thread, at any moment; what it says fits together.
    """
    with HTTPServer() as server, HTTPTransport(limits=Limits(max_connections=2)) as transport:
        over = threading.Event()
        wrong: list[str] = []

        def watch() -> None:
            while not over.is_set():
                state = transport.pool
                listed = sum(len(origin.connections) for origin in state.origins)
                if listed + state.opening != state.active + state.idle or listed > 2:
                    wrong.append(str(state))

        watcher = threading.Thread(target=watch)
        watcher.start()

        def work() -> None:
            for _ in range(30):
                transport.handle_request(request("GET", server.url)).read()

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        over.set()
        watcher.join()

        assert [] == wrong
        assert 2 >= transport.pool.idle > 0
        assert 120 == sum(
            connection.exchanges
            for origin in transport.pool.origins
            for connection in origin.connections
        )
