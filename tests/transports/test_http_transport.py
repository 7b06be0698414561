"""The plain transports: the pool at work, failing to connect, TLS, cancellation, many callers at once."""

from __future__ import annotations

import gc
import os
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from scallion.pipeline.errors import (
    ConnectError,
    ConnectTimeout,
    LocalProtocolError,
    PoolTimeout,
    ReadError,
    TotalTimeout,
    UnsupportedProtocol,
)
from scallion.pipeline.runtime import Runtime, run
from scallion.pipeline.settings import Limits
from scallion.transports.http import AsyncHTTPTransport, HTTPTransport
from support.cancelling import cancelled_everywhere
from support.colours import Drive
from support.servers import (
    Answer,
    HTTPServer,
    Peer,
    Received,
    ScriptedServer,
    expect,
    pause,
    read_request,
    respond,
    send,
)
from support.wire import Wire, request

SHORT = 0.02
BIG = 8 * 1024 * 1024
ONE = Limits(max_connections=1)
UNREAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nsome"


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "other.test").configure_cert(context)
    return context


@pytest.fixture(params=["asyncio", "trio"])
def async_drive(request: pytest.FixtureRequest) -> Drive:
    return Drive(request.param)


# The pool.


def test_nobody_gets_a_connection_beyond_the_limit(drive: Drive) -> None:
    """
    The error says how long was waited, what the pool looks like, and what to look for.
    """
    with ScriptedServer([expect(), send(UNREAD)]) as server:

        async def scenario() -> None:
            async with Wire(drive, limits=ONE) as wire:
                response = await wire.open("GET", server.url)
                with pytest.raises(PoolTimeout) as caught:
                    await wire.get(server.url, timeout={"pool": SHORT})
                assert (
                    "No connection came free within 0.02 seconds: <Pool 1 active, 0 idle, 1 waiting of 1>. "
                    "Are responses read or closed, and is Limits(max_connections=1) high enough?"
                ) == str(caught.value)
                assert "<Pool 1 active, 0 idle, 0 waiting of 1>" == wire.pool
                await wire.close(response)

        drive(scenario)


@pytest.mark.parametrize("limit", [None, 60.0])
def test_waiting_for_a_connection_ends_with_the_deadline(
    drive: Drive, runtime: Runtime, limit: float | None
) -> None:
    with ScriptedServer([expect(), send(UNREAD)]) as server:

        async def scenario() -> None:
            async with Wire(drive, limits=ONE) as wire:
                response = await wire.open("GET", server.url)
                with pytest.raises(TotalTimeout, match="waiting for a free connection"):
                    await wire.get(
                        server.url, timeout={"pool": limit}, deadline=runtime.clock() + 0.0107
                    )
                assert "<Pool 1 active, 0 idle, 0 waiting of 1>" == wire.pool
                await wire.close(response)

        drive(scenario)


def test_who_waits_is_served_in_order(async_drive: Drive) -> None:
    """
    First come, first served, over one and the same connection.
    """
    with HTTPServer(lambda received: Answer(body=b"x" * 300_000)) as server:

        async def scenario() -> None:
            async with Wire(async_drive, limits=ONE) as wire:
                response = await wire.open("GET", server.url)
                async with anyio.create_task_group() as group:
                    for number in range(5):
                        group.start_soon(wire.get, f"{server.url}/{number}")
                        await anyio.wait_all_tasks_blocked()
                    assert "<Pool 1 active, 0 idle, 5 waiting of 1>" == wire.pool
                    await wire.read(response)

        async_drive(scenario)
        assert [f"/{number}" for number in range(5)] == [r.target for r in server.requests[1:]]
        assert 1 == len(server.connections)


def test_another_origin_makes_room(drive: Drive) -> None:
    """
    At the limit, an idle connection to elsewhere is closed for a new one.
    """
    with HTTPServer() as one, HTTPServer() as two:

        async def scenario() -> None:
            async with Wire(drive, limits=ONE) as wire:
                await wire.get(one.url)
                await wire.get(two.url)
                await wire.gone(one, 0)
                assert "<Pool 0 active, 1 idle, 0 waiting of 1>" == wire.pool

        drive(scenario)


def test_a_forgotten_response_gives_its_slot_back(drive: Drive) -> None:
    """
    Collected unread, its connection is closed and its slot free for the next operation.
    """
    with ScriptedServer([expect(), send(UNREAD)], [expect(), respond()]) as server:

        async def scenario() -> None:
            async with Wire(drive, limits=ONE) as wire:
                response = await wire.open("GET", server.url)
                del response
                gc.collect()
                assert b"ok" == await wire.get(server.url)
                await wire.gone(server, 0)

        drive(scenario)


def test_a_response_forgotten_while_somebody_waits(async_drive: Drive) -> None:
    """
    At the latest when his time is up, the one who waits gets what finalisers left.
    """
    with ScriptedServer([expect(), send(UNREAD)], [expect(), respond()]) as server:

        async def scenario() -> None:
            async with Wire(async_drive, limits=ONE) as wire:
                kept = [await wire.open("GET", server.url)]
                results: list[bytes] = []

                async def get() -> None:
                    results.append(await wire.get(server.url, timeout={"pool": SHORT}))

                async with anyio.create_task_group() as group:
                    group.start_soon(get)
                    await anyio.wait_all_tasks_blocked()
                    kept.clear()
                    gc.collect()
                assert [b"ok"] == results

        async_drive(scenario)


def test_a_response_forgotten_while_a_thread_waits() -> None:
    """
    Whichever thread collects it wakes the one that waits.
    """
    with ScriptedServer([expect(), send(UNREAD)], [expect(), respond()]) as server:
        with HTTPTransport(limits=ONE) as transport:
            kept = [transport.handle_request(request("GET", server.url))]
            results: list[bytes] = []
            thread = threading.Thread(
                target=lambda: results.append(
                    transport.handle_request(request("GET", server.url)).read()
                )
            )
            thread.start()
            while not transport.pool.waiting:
                pass
            kept.clear()
            gc.collect()
            thread.join(5)
            assert [b"ok"] == results


def test_a_finaliser_while_the_pool_is_locked() -> None:
    """
    Garbage collection strikes inside the pool: no deadlock, and the next operation tidies up.
    """
    with ScriptedServer([expect(), send(UNREAD)], [expect(), respond()]) as server:
        with HTTPTransport(limits=ONE) as transport:
            kept = [transport.handle_request(request("GET", server.url))]
            with transport._core.pool._lock:
                kept.clear()
                gc.collect()
            assert b"ok" == transport.handle_request(request("GET", server.url)).read()
            assert "<Pool 0 active, 1 idle, 0 waiting of 1>" == repr(transport.pool)


def test_a_closed_transport_opens_again(drive: Drive) -> None:
    """
    Closing closes what is idle and what is in use, and is not the end.
    """
    with ScriptedServer(
        [expect(), respond()], [expect(), send(UNREAD)], [expect(), respond()]
    ) as server:

        async def scenario() -> None:
            wire = Wire(drive, limits=Limits(max_connections=2))
            await wire.get(server.url)
            await wire.aclose()
            response = await wire.open("GET", server.url)
            await wire.aclose()
            await wire.gone(server, 0, 1)
            with pytest.raises(ReadError, match="closed"):
                await wire.read(response)
            assert b"ok" == await wire.get(server.url)
            assert "<Pool 0 active, 1 idle, 0 waiting of 2>" == wire.pool
            await wire.aclose()
            assert "<Pool 0 active, 0 idle, 0 waiting of 2>" == wire.pool
            assert wire.pool in repr(wire.transport)

        drive(scenario)


# Connecting.


def unheard_port() -> int:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port: int = unheard.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        (f"http://127.0.0.1:{unheard_port()}/", ConnectError, "127.0.0.1:.*Connection refused"),
        ("http://nowhere.invalid/", ConnectError, "nowhere.invalid:80: the name does not resolve"),
        ("ftp://x/", UnsupportedProtocol, "unsupported protocol 'ftp://'"),
        ("/x", UnsupportedProtocol, "missing an 'http://' or 'https://' protocol"),
        ("http:///x", LocalProtocolError, "no host"),
    ],
)
def test_where_nobody_can_be_reached(
    drive: Drive, url: str, error: type[Exception], message: str
) -> None:
    """
    The error says who could not be reached and why; no slot is lost.
    """

    async def scenario() -> None:
        async with Wire(drive) as wire:
            with pytest.raises(error, match=message):
                await wire.get(url)
            assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

    drive(scenario)


@pytest.mark.parametrize("total", [True, False])
def test_connecting_takes_too_long(drive: Drive, runtime: Runtime, total: bool) -> None:
    """
    A listener whose queue is full does not answer: the connect timeout ends it, or the deadline.
    """
    with socket.socket() as listener, ExitStack() as clients:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

        async def scenario() -> None:
            async with Wire(drive) as wire:
                if total:
                    with pytest.raises(TotalTimeout, match="while connecting"):
                        await wire.get(url, deadline=runtime.clock() + SHORT)
                else:
                    with pytest.raises(ConnectTimeout, match=r"within 0\.02 s"):
                        await wire.get(url, timeout={"connect": SHORT})
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


def slept_by(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Records the transport's sleeps instead of sleeping."""
    slept: list[float] = []

    class Recording(type(wire.transport._core._runtime)):  # type: ignore[misc]
        async def sleep(self, seconds: float) -> None:
            slept.append(seconds)

    monkeypatch.setattr(wire.transport._core, "_runtime", Recording())
    return slept


def test_connecting_is_tried_again(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    At once, then with waits that double; each is told, and the last error is raised.
    """
    noted: list[tuple[str, Any]] = []

    async def scenario() -> None:
        async with Wire(drive, retries=4) as wire:
            slept = slept_by(wire, monkeypatch)
            sent = request("GET", f"http://127.0.0.1:{unheard_port()}/")
            sent.observers = (lambda name, fields: noted.append((name, fields["wait"])),)
            with pytest.raises(ConnectError, match="refused"):
                await wire.send(sent)
            assert [0.0, 0.5, 1.0, 2.0] == slept
            assert [("connection.retry", wait) for wait in slept] == noted
            assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

    drive(scenario)


def test_no_retry_beyond_the_deadline(
    drive: Drive, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A wait that would outlast the call is not begun.
    """

    async def scenario() -> None:
        async with Wire(drive, retries=4) as wire:
            slept = slept_by(wire, monkeypatch)
            url = f"http://127.0.0.1:{unheard_port()}/"
            with pytest.raises(ConnectError, match="refused"):
                await wire.get(url, deadline=runtime.clock() + 0.9)
            assert [0.0, 0.5] == slept

    drive(scenario)


def test_a_retry_that_succeeds(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The server comes up between two tries.
    """
    port = unheard_port()
    servers: list[socket.socket] = []

    async def scenario() -> None:
        async with Wire(drive, retries=2) as wire:
            slept = slept_by(wire, monkeypatch)

            def come_up(name: str, fields: dict[str, Any]) -> None:
                if name == "connection.retry":
                    listener = socket.create_server(("127.0.0.1", port))
                    servers.append(listener)
                    threading.Thread(target=serve, args=(listener,), daemon=True).start()

            def serve(listener: socket.socket) -> None:
                sock, _ = listener.accept()
                with sock, listener:
                    peer = Peer(sock)
                    peer.until(b"\r\n\r\n")
                    respond()(peer)

            sent = request("GET", f"http://127.0.0.1:{port}/")
            sent.observers = (come_up,)
            assert b"ok" == await wire.read(await wire.send(sent))
            assert [0.0] == slept

    drive(scenario)


def test_unix_socket(drive: Drive, tmp_path: Path) -> None:
    """
    The connection goes to the path, whatever the URL's host; the host is named all the same.
    """
    path = str(tmp_path / "s")
    with HTTPServer(path=path) as server:

        async def scenario() -> None:
            async with Wire(drive, uds=path) as wire:
                assert b"ok" == await wire.get("http://service/x")
                assert b"ok" == await wire.get("http://service/y")

        drive(scenario)
        assert ["service", "service"] == [received.get("host") for received in server.requests]
        assert 1 == len(server.connections)


def test_local_address_and_socket_options(drive: Drive) -> None:
    option = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with HTTPServer() as server:

        async def scenario() -> None:
            settings: dict[str, Any] = {"local_address": "127.0.0.2", "socket_options": [option]}
            async with Wire(drive, **settings) as wire:
                response = await wire.open("GET", server.url)
                stream = response.extensions["network_stream"]
                assert "127.0.0.2" == stream.get_extra_info("client_addr")[0]
                assert stream.get_extra_info("socket").getsockopt(*option[:2])

        drive(scenario)


def test_a_stream_of_the_wrong_colour() -> None:
    """
    The error is httpx's; nothing is sent.
    """

    async def body() -> Any:
        yield b"x"

    with HTTPTransport() as transport, pytest.raises(RuntimeError, match="async request"):
        transport.handle_request(request("POST", "http://x/", content=body()))

    async def scenario() -> None:
        async with AsyncHTTPTransport() as transport:
            with pytest.raises(RuntimeError, match="sync request"):
                await transport.handle_async_request(
                    request("POST", "http://x/", content=iter([b"x"]))
                )

    anyio.run(scenario)


# TLS.


def test_tls(drive: Drive, server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
    """
    Large bodies both ways, several on one connection.
    """
    with HTTPServer(lambda received: Answer(body=received.body), tls=server_context) as server:

        async def scenario() -> None:
            async with Wire(drive, verify=client_context) as wire:
                for size in (0, 10, 1_000_000):
                    response = await wire.open("POST", server.url, content=b"x" * size)
                    assert b"x" * size == await wire.read(response)
                stream = response.extensions["network_stream"]
                assert stream.get_extra_info("ssl_object").version().startswith("TLS")

        drive(scenario)
        assert 1 == len(server.connections)


def test_tls_with_an_unknown_authority(drive: Drive, server_context: ssl.SSLContext) -> None:
    with HTTPServer(tls=server_context) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                with pytest.raises(ConnectError, match="certificate verify failed"):
                    await wire.get(server.url)
                await wire.gone(server, 0)
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool
            async with Wire(drive, verify=False) as trusting:
                assert b"ok" == await trusting.get(server.url)

        drive(scenario)


def test_tls_to_a_server_that_speaks_none(drive: Drive, client_context: ssl.SSLContext) -> None:
    """
    The handshake's failure is a failure to connect.
    """
    with ScriptedServer([Peer.receive, respond(b"what?")]) as server:

        async def scenario() -> None:
            async with Wire(drive, verify=client_context) as wire:
                with pytest.raises(ConnectError, match="TLS with localhost failed"):
                    await wire.get(server.url.replace("http://127.0.0.1", "https://localhost"))
                await wire.gone(server, 0)

        drive(scenario)


def test_plain_http_to_a_tls_port(drive: Drive, server_context: ssl.SSLContext) -> None:
    """
    The server answers with an alert, or not at all: our error either way.
    """
    with HTTPServer(tls=server_context) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                with pytest.raises((ReadError, Exception), match=r"HTTP/1\.1|disconnected|reset"):
                    await wire.get(f"http://127.0.0.1:{server.port}/")

        drive(scenario)


def test_the_sni_hostname(
    drive: Drive, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    Another name is asked for and checked than the one that is connected to.
    """
    names: list[str | None] = []
    server_context.sni_callback = lambda sock, name, context: names.append(name)
    with HTTPServer(tls=server_context) as server:

        async def scenario() -> None:
            async with Wire(drive, verify=client_context) as wire:
                url = f"https://127.0.0.1:{server.port}/"
                with pytest.raises(ConnectError, match=r"not valid for '127\.0\.0\.1'"):
                    await wire.get(url)
                assert b"ok" == await wire.get(url, extensions={"sni_hostname": "other.test"})

        drive(scenario)
        server_context.sni_callback = None
        assert "other.test" == names[-1]


def test_interim_responses_interrupt_no_upload_over_tls(
    drive: Drive, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    The server does not read until its interim response was; then half a record goes out first.
    """
    early = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    sizes: list[int] = []

    def store(peer: Peer) -> None:
        # The client's buffers are full by now, or soon.
        for _ in range(20):
            send(early)(peer)
            peer.exactly(BIG // 40)
        peer._seen = 0
        received = read_request(peer, 0)
        assert received is not None
        sizes.append(len(received.body))

    script = [store, respond(), expect(), respond(b"next")]
    with ScriptedServer(script, tls=server_context) as server:

        async def scenario() -> None:
            async with Wire(drive, verify=client_context) as wire:
                response = await wire.open("POST", server.url, content=b"x" * BIG)
                assert b"ok" == await wire.read(response)
                assert b"next" == await wire.get(server.url)

        drive(scenario)
        assert [BIG] == sizes


def test_an_early_answer_over_tls(
    drive: Drive, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    Its body may come late: the reader does not wait for the rest of the upload to be taken.
    """
    read, late = threading.Event(), b"x" * 1000
    head = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 1000\r\n\r\n"
    script = [expect(), send(head), pause(read), send(late)]
    with ScriptedServer(script, tls=server_context) as server:

        async def scenario() -> None:
            async with Wire(drive, verify=client_context) as wire:
                response = await wire.open("POST", server.url, content=bytes(4 * BIG))
                assert 413 == response.status_code
                read.set()
                assert late == await wire.read(response)
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


# Cancellation.

NONE_IDLE = Limits(max_connections=2, max_keepalive_connections=0)


def large(received: Received) -> Answer:
    return Answer(body=b"x" * 300_000, chunked=received.target == "/chunked")


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("how", ["get", "chunked", "upload", "close"])
def test_cancellation_anywhere(
    async_drive: Drive,
    how: str,
    encrypted: bool,
    server_context: ssl.SSLContext,
    client_context: ssl.SSLContext,
) -> None:
    """
    While connecting, sending, waiting, reading: no slot is lost, no socket is left, the next call works.
    """
    with HTTPServer(large, tls=server_context if encrypted else None) as server:

        async def scenario() -> int:
            async with Wire(async_drive, limits=NONE_IDLE, verify=client_context) as wire:

                async def work() -> None:
                    if how == "upload":
                        headers = {"Host": "x", "Transfer-Encoding": "chunked"}
                        content = pieces()
                        response = await wire.open(
                            "POST", server.url, content=content, headers=headers
                        )
                        await wire.read(response)
                    elif how == "close":
                        await wire.close(await wire.open("GET", server.url))
                    else:
                        await wire.get(f"{server.url}/{how}")

                async def check() -> None:
                    gc.collect()
                    await settle()
                    stats = wire.transport.pool
                    if stats.active:
                        # The response was on its way to its reader when he was cancelled; nobody has it.
                        await wire.aclose()
                    assert "<Pool 0 active, 0 idle, 0 waiting of 2>" == wire.pool
                    await wire.gone(server)

                found = await cancelled_everywhere(work, check)
                assert 300_000 == len(await wire.get(server.url))
                return found

        assert async_drive(scenario) >= 1


async def pieces() -> Any:
    for _ in range(20):
        yield bytes(50_000)


async def settle() -> None:
    for _ in range(5):
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("granted", [False, True])
def test_cancellation_while_waiting_for_a_connection(async_drive: Drive, granted: bool) -> None:
    """
    The one who waits leaves; if a connection came at that very moment, it is not lost.
    """
    with HTTPServer() as server:

        async def scenario() -> None:
            async with Wire(async_drive, limits=ONE) as wire:
                pool = wire.transport._core.pool
                await wire.get(server.url)
                taken = pool.take(request("GET", server.url).url.origin_key)
                assert taken.connection is not None
                async with anyio.create_task_group() as group:
                    group.start_soon(wire.get, server.url)
                    await anyio.wait_all_tasks_blocked()
                    assert "<Pool 1 active, 0 idle, 1 waiting of 1>" == wire.pool
                    if granted:
                        pool.release(taken.connection, reusable=True)
                    group.cancel_scope.cancel()
                if not granted:
                    assert "<Pool 1 active, 0 idle, 0 waiting of 1>" == wire.pool
                    pool.release(taken.connection, reusable=True)
                assert wire.pool.startswith("<Pool 0 active, ")
                assert b"ok" == await wire.get(server.url)
                assert "<Pool 0 active, 1 idle, 0 waiting of 1>" == wire.pool

        async_drive(scenario)


# Many callers.


def echo(received: Received) -> Answer:
    return Answer(body=received.target.encode())


def test_many_threads_share_few_connections() -> None:
    """
    16 threads, 4 connections: each gets its own answers, and all slots come back.
    """
    wrong: list[Any] = []
    with HTTPServer(echo) as server, HTTPTransport(limits=Limits(max_connections=4)) as transport:

        def work(number: int) -> None:
            try:
                for index in range(200):
                    target = f"/{number}/{index}"
                    body = transport.handle_request(request("GET", server.url + target)).read()
                    if body != target.encode():
                        wrong.append((target, body))
            except Exception as error:
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(50)
        assert [] == wrong
        assert 4 >= len(server.connections)
        assert 3200 == len(server.requests)
        assert repr(transport.pool).startswith("<Pool 0 active, ")
        assert repr(transport.pool).endswith(" 0 waiting of 4>")


def test_threads_that_misbehave() -> None:
    """
    Some read, some close early, some forget, some fail: the pool is whole in the end.
    """
    wrong: list[Any] = []
    rounds = 40

    def answer(received: Received) -> Answer:
        headers = [("Connection", "close")] if received.target.endswith("3") else []
        return Answer(body=b"x" * 200_000, headers=headers)

    with HTTPServer(answer) as server, HTTPTransport(limits=Limits(max_connections=3)) as transport:

        def use(index: int) -> None:
            response = transport.handle_request(request("GET", f"{server.url}/{index}"))
            if index % 4 == 0:
                response.close()
            elif index % 4 == 1:
                del response
            else:
                assert 200_000 == len(response.read())

        def work() -> None:
            try:
                for index in range(rounds):
                    use(index)
            except Exception as error:
                wrong.append(error)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(50)
        gc.collect()
        assert [] == wrong
        transport.handle_request(request("GET", server.url)).read()
        assert repr(transport.pool).startswith("<Pool 0 active, ")


def test_many_tasks_share_few_connections(async_drive: Drive) -> None:
    """
    200 tasks, 4 connections.
    """
    with HTTPServer(echo) as server:

        async def scenario() -> None:
            async with Wire(async_drive, limits=Limits(max_connections=4)) as wire:

                async def work(number: int) -> None:
                    for index in range(3):
                        target = f"/{number}/{index}"
                        assert target.encode() == await wire.get(server.url + target)

                async with anyio.create_task_group() as group:
                    for number in range(200):
                        group.start_soon(work, number)
                assert "<Pool 0 active, 4 idle, 0 waiting of 4>" == wire.pool

        async_drive(scenario)
        assert 4 == len(server.connections)
        assert 600 == len(server.requests)


def test_tasks_that_are_cancelled_while_they_wait(async_drive: Drive) -> None:
    """
    Time limits strike wherever they strike; no slot is lost.
    """
    with HTTPServer(echo) as server:

        async def scenario() -> None:
            async with Wire(async_drive, limits=Limits(max_connections=2)) as wire:

                async def work(number: int) -> None:
                    with anyio.move_on_after(0.0005 * (number % 20)):
                        await wire.get(server.url)

                async with anyio.create_task_group() as group:
                    for number in range(200):
                        group.start_soon(work, number)
                await settle()
                assert wire.pool.startswith("<Pool 0 active, ")
                assert wire.pool.endswith(" 0 waiting of 2>")
                assert b"/" == await wire.get(server.url)

        async_drive(scenario)


def test_one_transport_for_two_threads_that_wait() -> None:
    """
    A slot given back in one thread wakes the other.
    """
    with ScriptedServer([expect(), send(UNREAD)], [expect(), respond()]) as server:
        with HTTPTransport(limits=ONE) as transport:
            first = transport.handle_request(request("GET", server.url))
            results: list[bytes] = []
            waiting: Callable[[], None] = lambda: results.append(  # noqa: E731
                run(read(transport, server.url))
            )
            thread = threading.Thread(target=waiting)
            thread.start()
            while not transport.pool.waiting:
                pass
            first.close()
            thread.join(5)
            assert [b"ok"] == results


async def read(transport: HTTPTransport, url: str) -> bytes:
    return transport.handle_request(request("GET", url)).read()


def test_a_forgotten_iterator_while_the_pool_is_locked() -> None:
    """
    The same for a body whose iteration was given up: its generator closes it when it is collected.
    """
    with ScriptedServer([expect(), send(UNREAD)], [expect(), respond()]) as server:
        with HTTPTransport(limits=ONE) as transport:
            kept = [iter(transport.handle_request(request("GET", server.url)).iter_raw())]
            next(kept[0])
            with transport._core.pool._lock:
                kept.clear()
                gc.collect()
            assert b"ok" == transport.handle_request(request("GET", server.url)).read()
            assert "<Pool 0 active, 1 idle, 0 waiting of 1>" == repr(transport.pool)


def test_one_transport_serves_one_loop_after_another() -> None:
    """
    Each loop has a pool of its own; what an ended loop left is closed when the next one comes.
    """
    with HTTPServer() as server:
        transport = AsyncHTTPTransport(limits=ONE)

        async def scenario() -> None:
            for _ in range(2):
                response = await transport.handle_async_request(request("GET", server.url))
                await response.aread()
            assert "<Pool 0 active, 1 idle, 0 waiting of 1>" == repr(transport.pool)

        for backend in ("asyncio", "trio", "asyncio", "trio"):
            anyio.run(scenario, backend=backend)

        anyio.run(transport.aclose)
        assert "<Pool 0 active, 0 idle, 0 waiting of 1>" == repr(transport.pool)


def test_loops_in_threads_do_not_share_connections() -> None:
    """
    Two loops at once, one transport: each request comes back in its own loop.
    """
    with HTTPServer() as server:
        transport = AsyncHTTPTransport()

        async def scenario() -> None:
            for _ in range(20):
                response = await transport.handle_async_request(request("GET", server.url))
                assert b"ok" == await response.aread()

        threads = [
            threading.Thread(target=anyio.run, args=(scenario,), kwargs={"backend": backend})
            for backend in ("asyncio", "trio", "asyncio")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        anyio.run(transport.aclose)


def test_closing_turns_away_who_waits(async_drive: Drive) -> None:
    """
    A request that waits for a connection without a limit does not wait for ever, nor is it sent.
    """
    with HTTPServer() as server:

        async def scenario() -> None:
            wire = Wire(async_drive, limits=ONE)
            taken = wire.transport._core.pool.take(request("GET", server.url).url.origin_key)
            assert taken.waiter is None
            refused: list[str] = []

            async def waits() -> None:
                with pytest.raises(RuntimeError, match="client was closed") as caught:
                    await wire.get(server.url, timeout={"pool": None})
                refused.append(str(caught.value))

            async with anyio.create_task_group() as group:
                group.start_soon(waits)
                await anyio.wait_all_tasks_blocked()
                await wire.transport.aclose()
            assert 1 == len(refused)

        async_drive(scenario)
        assert [] == server.requests


def test_another_server_name_needs_another_connection(drive: Drive) -> None:
    """
    A certificate that was checked for one name says nothing of the next.
    """
    with HTTPServer() as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                await wire.get(server.url)
                await wire.get(server.url, extensions={"sni_hostname": "other.test"})
                assert "<Pool 0 active, 2 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_has_connections_of_its_own() -> None:
    """
    After a fork parent and child do not read each other's answers.
    """
    with HTTPServer() as server, HTTPTransport() as transport:
        assert b"ok" == transport.handle_request(request("GET", server.url)).read()
        assert 1 == transport.pool.idle
        child = os.fork()
        if child == 0:
            code = 1
            try:
                fresh = transport.pool.idle == 0
                answered = transport.handle_request(request("GET", server.url)).read() == b"ok"
                code = 0 if fresh and answered else 2
            finally:
                os._exit(code)
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert 1 == transport.pool.idle
        assert b"ok" == transport.handle_request(request("GET", server.url)).read()
