"""Sharing HTTP/2 connections: who opens, who waits, what is sent again, and what a cancellation leaves behind."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any

import anyio
import pytest
import trustme
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from scallion.pipeline.errors import (
    ConnectError,
    PoolTimeout,
    ReadError,
    RemoteProtocolError,
)
from scallion.pipeline.settings import Limits
from scallion.transports.http import HTTPTransport
from scallion.transports.http2_sending import LAST_STREAM_ID
from support.colours import Drive
from support.http2_server import Call, HTTP2Server, Session
from support.together import together
from support.wire import Wire, request

STREAMS = SettingCodes.MAX_CONCURRENT_STREAMS
IDLE = "<Pool 0 active, 1 idle, 0 waiting of 100>"


def knowing(drive: Drive, **settings: Any) -> Wire:
    """A transport that speaks HTTP/2 over cleartext."""
    return Wire(drive, http1=False, http2=True, **settings)


@pytest.fixture
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def server_tls(authority: trustme.CA, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


# Which protocol.


@pytest.mark.parametrize(
    ("protocols", "http2", "expected"),
    [
        (("h2", "http/1.1"), True, "HTTP/2"),
        (("http/1.1",), True, "HTTP/1.1"),
        ((), True, "HTTP/1.1"),
        (("h2", "http/1.1"), False, "HTTP/1.1"),
    ],
)
def test_tls_negotiates(
    drive: Drive,
    authority: trustme.CA,
    client_tls: ssl.SSLContext,
    protocols: tuple[str, ...],
    http2: bool,
    expected: str,
) -> None:
    """
    A server that can speaks HTTP/2, one that cannot HTTP/1.1; who does not ask for it never gets it.
    """
    with HTTP2Server(tls=server_tls(authority, *protocols)) as server:

        async def scenario() -> None:
            async with Wire(drive, http2=http2, verify=client_tls) as wire:
                for _ in range(3):
                    response = await wire.open("GET", server.url)
                    await wire.read(response)
                    assert expected == response.http_version
                assert IDLE == wire.pool

        drive(scenario)
    assert 1 == len(server.connections)


def test_bodies_over_tls(drive: Drive, authority: trustme.CA, client_tls: ssl.SSLContext) -> None:
    """
    Encryption changes nothing: large bodies in both directions at once, on one connection.
    """
    size = 3_000_000

    def answer(session: Session, call: Call) -> None:
        session.respond(call, end=False)
        session.echo.add(call.stream)

    with HTTP2Server(answer, early=True, tls=server_tls(authority, "h2")) as server:

        async def scenario() -> None:
            async with Wire(drive, http2=True, verify=client_tls) as wire:

                async def echoed() -> int:
                    return len(
                        await wire.read(await wire.open("POST", server.url, content=b"x" * size))
                    )

                assert [size] * 3 == await together(drive, *[echoed] * 3)
                assert IDLE == wire.pool

        drive(scenario)
    assert 1 == len(server.connections)


def test_cleartext_is_http11_unless_known_better(drive: Drive) -> None:
    """
    Over http:// HTTP/2 is spoken only where HTTP/1.1 is switched off.
    """
    from support.servers import HTTPServer

    with HTTPServer() as server:

        async def scenario() -> None:
            async with Wire(drive, http2=True) as wire:
                response = await wire.open("GET", server.url)
                assert b"ok" == await wire.read(response)
                assert "HTTP/1.1" == response.http_version

        drive(scenario)


def test_some_protocol_must_be_spoken() -> None:
    """
    Both switched off is refused at once.
    """
    with pytest.raises(ValueError, match="http1=False and http2=False"):
        HTTPTransport(http1=False)


def test_followers_of_a_server_that_speaks_http11_open_their_own(
    drive: Drive, authority: trustme.CA, client_tls: ssl.SSLContext
) -> None:
    """
    All wait for the first connection; once it is known what the origin speaks, nobody waits for another's.
    """
    with HTTP2Server(tls=server_tls(authority, "http/1.1")) as server:

        async def scenario() -> None:
            async with Wire(drive, http2=True, verify=client_tls) as wire:
                results = await together(drive, *[lambda: wire.get(server.url)] * 6)
                assert [b"one"] * 6 == results
                assert wire.pool.startswith("<Pool 0 active,")

        drive(scenario)
    assert 6 == len(server.plain)


# How many connections.


def test_one_opens_and_the_others_follow(
    drive: Drive, authority: trustme.CA, client_tls: ssl.SSLContext
) -> None:
    """
    Concurrent first requests to an origin share one connection.
    """
    with HTTP2Server(tls=server_tls(authority, "h2", "http/1.1")) as server:

        async def scenario() -> None:
            async with Wire(drive, http2=True, verify=client_tls) as wire:
                results = await together(drive, *[lambda: wire.get(server.url)] * 15)
                assert [b"ok"] * 15 == results
                assert IDLE == wire.pool

        drive(scenario)
    assert 1 == len(server.connections)


def open_ended(session: Session, call: Call) -> None:
    """Answers whose bodies do not end by themselves."""
    if call.path == "/hold":
        session.respond(call, b"some", end=False)
    else:
        session.respond(call, b"ok")


def test_the_servers_limit_is_kept(drive: Drive) -> None:
    """
    With two streams a connection, five responses that are held take three connections.
    """
    with HTTP2Server(open_ended, settings={STREAMS: 2}) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                held = [await wire.open("GET", server.url + "/hold") for _ in range(5)]
                assert "<Pool 3 active, 0 idle, 0 waiting of 100>" == wire.pool
                for response in held:
                    await wire.close(response)
                assert "<Pool 0 active, 3 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
    assert 3 == len(server.connections)
    assert 0 == server.count("broken")


def test_who_finds_no_room_waits(drive: Drive) -> None:
    """
    At the pool's limit requests wait for a stream to end, in order; too long, and they are told so.
    """
    with HTTP2Server(open_ended, settings={STREAMS: 2}) as server:

        async def scenario() -> None:
            async with knowing(drive, limits=Limits(max_connections=1)) as wire:
                held = [await wire.open("GET", server.url + "/hold") for _ in range(2)]
                with pytest.raises(PoolTimeout, match="1 active, 0 idle, 1 waiting of 1"):
                    await wire.get(server.url, timeout={"pool": 0.05})

                async def free() -> None:
                    while "3 waiting" not in wire.pool:
                        await drive.runtime().sleep(0.005)
                    await wire.close(held.pop())

                results = await together(
                    drive,
                    *[lambda: wire.get(server.url)] * 3,
                    free,  # type: ignore[list-item]
                )
                assert [b"ok"] * 3 == results[:3]
                await wire.close(held.pop())
                assert "<Pool 0 active, 1 idle, 0 waiting of 1>" == wire.pool

        drive(scenario)
    assert 1 == len(server.connections)


def test_another_origin_takes_the_place_of_an_idle_connection(drive: Drive) -> None:
    """
    A shared connection that nobody uses is idle like any other.
    """
    with HTTP2Server() as one, HTTP2Server() as other:

        async def scenario() -> None:
            async with knowing(drive, limits=Limits(max_connections=1)) as wire:
                for server in (one, other, one):
                    assert b"ok" == await wire.get(server.url)
                assert "<Pool 0 active, 1 idle, 0 waiting of 1>" == wire.pool

        drive(scenario)
    assert (2, 1) == (len(one.connections), len(other.connections))


def test_followers_of_an_opening_that_fails(drive: Drive) -> None:
    """
    Each tries for himself, and each gets an error of his own.
    """
    with HTTP2Server() as server:
        url = server.url

    async def scenario() -> None:
        async with knowing(drive) as wire:
            results = await together(drive, *[lambda: wire.get(url)] * 5)
            assert {ConnectError} == {type(result) for result in results}
            assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

    drive(scenario)


def test_a_connection_lost_while_idle_is_not_used(drive: Drive) -> None:
    """
    What a server said or did meanwhile is taken in before the next request begins.
    """

    def answer(session: Session, call: Call) -> None:
        session.respond(call, b"ok")
        if call.path == "/goaway":
            session.codec.close_connection()
        if call.path == "/hangup":
            session.hang_up()

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                for path in ("/goaway", "/hangup", "/"):
                    response = await wire.open("POST", server.url + path)
                    assert b"ok" == await wire.read(response)
                    await drive.runtime().sleep(0.02)

        drive(scenario)
    assert 3 == len(server.connections)


def test_stream_identifiers_run_out(drive: Drive) -> None:
    """
    After the last one the next request opens another connection.
    """
    with HTTP2Server() as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                first = await wire.open("GET", server.url)
                await wire.read(first)
                core = wire.transport._core
                connection = next(iter(core.pool._ages))
                connection._codec.last_id = LAST_STREAM_ID - 2
                for stream_id in (LAST_STREAM_ID, 1, 3):
                    response = await wire.open("GET", server.url)
                    assert b"ok" == await wire.read(response)
                    assert stream_id == response.extensions["stream_id"]

        drive(scenario)
    assert 2 == len(server.connections)


# What is sent again.


def test_goaway_drains_the_connection(drive: Drive) -> None:
    """
    Streams that the server serves end in peace, those beyond are sent again elsewhere, whatever their method.
    """

    def answer(session: Session, call: Call) -> None:
        if session.number or len(session.calls) < 6:
            if session.number:
                session.respond(call, b"second " + call.body)
            return
        session.codec.send_headers(1, [(":status", "200")])
        # h2 would close: the frames are made by hand.
        session.flush()
        session.raw(b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + (5).to_bytes(4, "big") + bytes(4))
        for stream in (1, 3, 5):
            if stream > 1:
                session.codec.send_headers(stream, [(":status", "200")])
            session.say(stream, b"first", end=True)

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:

                async def post() -> bytes:
                    response = await wire.open("POST", server.url, content=b"x" * 10)
                    return await wire.read(response)

                results = await together(drive, *[post] * 6)
                assert [b"first"] * 3 + [b"second xxxxxxxxxx"] * 3 == sorted(
                    results, key=lambda result: result if isinstance(result, bytes) else b""
                )
                assert IDLE == wire.pool

        drive(scenario)
    assert 2 == len(server.connections)


@pytest.mark.parametrize("times", [1, 2])
def test_a_refused_stream_is_sent_again_once(drive: Drive, times: int) -> None:
    """
    REFUSED_STREAM says that nothing was done; twice, and the caller is told.
    """

    def answer(session: Session, call: Call) -> None:
        if call.path == "/refused" and sum(c.path == "/refused" for c in server.calls) <= times:
            session.codec.reset_stream(call.stream, ErrorCodes.REFUSED_STREAM)
        else:
            session.respond(call, bytes(call.body))

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                await wire.get(server.url)
                sent = request("POST", server.url + "/refused", content=b"body")
                if times == 1:
                    assert b"body" == await wire.read(await wire.send(sent))
                else:
                    with pytest.raises(RemoteProtocolError, match="REFUSED_STREAM"):
                        await wire.send(sent)
                assert IDLE == wire.pool

        drive(scenario)
    assert 1 == len(server.connections)


@pytest.mark.parametrize(("method", "again"), [("GET", True), ("POST", False)])
def test_a_connection_lost_before_anything_came(drive: Drive, method: str, again: bool) -> None:
    """
    On one that was used before, what is idempotent is sent again; nothing else is.
    """

    def answer(session: Session, call: Call) -> None:
        if call.path == "/lose" and session.number == 0:
            session.hang_up()
        else:
            session.respond(call, b"ok")

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                await wire.get(server.url)
                # Once more, so that everything the server says unasked has been heard.
                await wire.get(server.url)
                sent = request(method, server.url + "/lose")
                if again:
                    assert b"ok" == await wire.read(await wire.send(sent))
                else:
                    with pytest.raises((ReadError, RemoteProtocolError)):
                        await wire.send(sent)

        drive(scenario)


# Cancellation.


@coroutine
def cancelled_at(work: Coroutine[Any, Any, Any], wait: int) -> Generator[Any, Any, bool]:
    """Drive `work`, and cancel it when it waits for the `wait`th time, from 0; whether it came that far."""
    count = 0
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            awaited = work.send(value) if error is None else work.throw(error)
        except StopIteration:
            return False
        except asyncio.CancelledError:
            if count > wait:
                return True
            raise
        value = error = None
        if count == wait:
            error = asyncio.CancelledError()
            if awaited is not None:
                awaited._asyncio_future_blocking = False
            count += 1
            continue
        count += 1
        try:
            value = yield awaited
        except BaseException as thrown:
            error = thrown


@pytest.mark.parametrize("path", ["/hold", "/large", "/"])
@pytest.mark.parametrize("bystander", [False, True])
def test_cancelled_at_every_wait(path: str, bystander: bool) -> None:
    """
    Wherever a call is cancelled, the pool has nothing active afterwards, and the next call is served.
    """

    def answer(session: Session, call: Call) -> None:
        if call.path == "/hold":
            session.respond(call, b"some", end=False)
            session.say(call.stream, b"more", end=True)
        elif call.path == "/large":
            session.respond(call, b"d" * 3_000_000)
        else:
            session.respond(call, b"ok")

    drive = Drive("asyncio")
    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            wait, reached = 0, True
            while reached and wait < 60:
                async with knowing(drive) as wire:

                    async def call() -> None:
                        content = b"u" * 200_000 if path == "/large" else b"small"
                        response = await wire.open("POST", server.url + path, content=content)
                        try:
                            await wire.read(response)
                        finally:
                            await wire.close(response)

                    async def other() -> None:
                        assert b"ok" == await wire.get(server.url)

                    async with anyio.create_task_group() as group:
                        if bystander:
                            group.start_soon(other)
                            await anyio.sleep(0)
                        reached = await cancelled_at(call(), wait)
                        if bystander:
                            group.start_soon(other)
                    stats = wire.transport.pool
                    assert (0, 0) == (stats.active, stats.waiting), f"after wait {wait}"
                    assert b"ok" == await wire.get(server.url)
                wait += 1
            assert wait >= 3

        drive(scenario)


def test_many_cancelled_among_many(drive: Drive) -> None:
    """
    Half of the tasks are cancelled at some moment; the other half get their answers, on the same connection.
    """
    if drive.blocking:
        pytest.skip("threads are not cancelled")

    def answer(session: Session, call: Call) -> None:
        if call.path != "/never":
            session.respond(call, call.path.encode() * 20_000)

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                results: list[bytes] = []
                await wire.get(server.url)

                async def impatient(steps: int) -> None:
                    with anyio.move_on_after(0.002 * steps):
                        await wire.get(server.url + "/never")

                async def patient(number: int) -> None:
                    for _ in range(3):
                        body = await wire.get(f"{server.url}/{number % 10}")
                        results.append(body)

                async with anyio.create_task_group() as group:
                    for number in range(20):
                        group.start_soon(impatient, number)
                        group.start_soon(patient, number)
                assert 60 == len(results)
                assert {40_000} == set(map(len, results))
                assert IDLE == wire.pool

        drive(scenario)
    assert 1 == len(server.connections)
