"""Hedging over real connections: the loser's is closed, its thread ends, and the pool's books are right."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

import scallion
from scallion.middlewares.hedging import Hedging
from scallion.pipeline.abandoning import Abandoned
from support.asgi_apps import Receive, Send, body, start
from support.certificates import Authority, serving
from support.colours import Drive
from support.http2_server import HTTP2Server
from support.servers import (
    Answer,
    HTTPServer,
    Received,
    ScriptedServer,
    expect,
    pause,
    respond,
    send,
    wait_for_close,
)

SILENT = [wait_for_close]
QUICK = [expect(), respond(b"quick")]


@pytest.fixture
def ask(drive: Drive) -> Callable[..., tuple[scallion.Response, Any]]:
    """One GET through a client of the colour; the response, and the pool afterwards."""

    def ask(url: str, layer: Any, **settings: Any) -> tuple[scallion.Response, Any]:
        settings = {"timeout": 5.0, "middlewares": [layer], **settings}
        if drive.blocking:
            with scallion.Client(**settings) as client:
                response = client.get(url)
                settled()
                return response, client.pool

        async def scenario() -> tuple[scallion.Response, Any]:
            async with scallion.AsyncClient(**settings) as client:
                return await client.get(url), client.pool

        return drive(scenario)

    return ask


def hedging(**settings: Any) -> Hedging:
    return Hedging(**{"delay": 0.02, **settings})


def settled() -> None:
    """Wait until no thread is busy with a sending."""
    from scallion.pipeline import runtime_threads

    crew = runtime_threads._crew
    for _ in range(500):
        if len(crew.idle) == crew.count:
            return
        time.sleep(0.01)
    raise AssertionError(f"{crew.count - len(crew.idle)} threads are still busy")


def test_a_losers_connection_is_closed(ask: Any) -> None:
    """
    The server sees it, and nothing waits for the answer that never comes.
    """
    with ScriptedServer(SILENT, QUICK) as server:
        response, pool = ask(server.url, hedging())
        assert b"quick" == response.content
        server.connections[0].gone.wait(5)
        settled()
    assert 1 == response.extensions["hedges"]
    assert (0, 1) == (pool.active, pool.idle)


def test_a_losers_tls_connection_is_closed(ask: Any) -> None:
    authority = Authority()
    context = serving(authority.issue("localhost"))
    with ScriptedServer(SILENT, QUICK, tls=context) as server:
        verify = scallion.create_ssl_context(trust_env=False)
        verify.load_verify_locations(cadata=authority.pem.decode())
        response, pool = ask(server.url, hedging(delay=0.3), verify=verify)
        assert b"quick" == response.content
        server.connections[0].gone.wait(5)
        settled()
    assert 0 == pool.active


def test_a_reused_connection_is_not_taken_for_a_stale_one(drive: Drive) -> None:
    """
    A loser on a connection that was idle before is not sent once more on a new one.
    """
    first = [expect(), respond(b"warm"), expect(), wait_for_close]

    with ScriptedServer(first, QUICK) as server:
        if drive.blocking:
            with scallion.Client(middlewares=[hedging()]) as client:
                answers = [client.get(server.url).content for _ in range(2)]
        else:

            async def scenario() -> list[bytes]:
                async with scallion.AsyncClient(middlewares=[hedging()]) as client:
                    return [(await client.get(server.url)).content for _ in range(2)]

            answers = drive(scenario)
        settled()
        assert 2 == len(server.connections)

    assert [b"warm", b"quick"] == answers


def test_a_loser_that_waits_for_a_connection_stops_waiting() -> None:
    """
    The only connection is the other copy's; the thread does not stay for the pool's timeout.
    """
    begin, end = threading.Event(), threading.Event()
    script = [
        *(expect(), pause(begin), send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl")),
        *(pause(end), send(b"ow"), expect(), respond(b"more")),
    ]
    timeout = scallion.Timeout(5.0, pool=60.0)
    settings: dict[str, Any] = {"limits": scallion.Limits(max_connections=1), "timeout": timeout}
    with ScriptedServer(script) as server:
        with scallion.Client(middlewares=[hedging()], **settings) as client:
            request = client.build_request("GET", server.url)
            # The hedge waits; then the first copy is answered, and keeps the connection for its body.
            request.observers = (lambda event, fields: event == "pool.wait" and begin.set(),)
            response = client.send(request, stream=True)
            settled()
            assert 0 == client.pool.waiting
            end.set()
            assert b"slow" == response.read()
            assert b"more" == client.get(server.url).content


def test_what_a_loser_raises_is_a_cancellation() -> None:
    """
    Layers further in do not take it for a failure of the server's.
    """
    ends: list[BaseException] = []

    async def watching(request: scallion.Request, call_next: scallion.Next) -> scallion.Response:
        try:
            return await call_next(request)
        except BaseException as error:
            ends.append(error)
            raise

    pipeline = scallion.compatible().per_call(hedging()).per_attempt(watching)
    with ScriptedServer(SILENT, QUICK) as server:
        with scallion.Client(pipeline=pipeline) as client:
            assert b"quick" == client.get(server.url).content
        settled()

    assert [Abandoned] == [type(error) for error in ends]


@pytest.mark.parametrize("winner", [1, 3])
def test_over_http2_the_losers_stream_is_reset(drive: Drive, winner: int) -> None:
    """
    Its connection is shared, and goes on. In threads one reads for both, the loser or the winner.
    """
    calls: dict[int, Any] = {}

    def answer(session: Any, call: Any) -> None:
        calls[call.stream] = call
        if call.stream == 3:
            session.respond(calls[winner], b"quick")
        elif call.stream > 3:
            session.respond(call, b"quick")

    settings: dict[str, Any] = {"http1": False, "http2": True, "middlewares": [hedging()]}
    timeout = scallion.Timeout(60.0)
    contents: list[bytes] = []
    with HTTP2Server(answer) as server:
        if drive.blocking:
            with scallion.Client(timeout=timeout, **settings) as client:
                contents.append(client.get(server.url).content)
                settled()
                contents.append(client.get(server.url).content)
        else:

            async def scenario() -> None:
                async with scallion.AsyncClient(timeout=timeout, **settings) as client:
                    contents.extend([(await client.get(server.url)).content for _ in range(2)])

            drive(scenario)
        server.until("reset", 4 - winner)
        assert 1 == len(server.connections)

    assert [b"quick", b"quick"] == contents


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_an_application_in_this_process_is_disconnected(colour: Any) -> None:
    """
    A response that was begun in the copy's task is read in the caller's.
    """
    calls: list[str] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        calls.append("asked")
        if len(calls) == 1:
            try:
                await anyio.sleep(60)
            finally:
                calls.append("ended")
        await send(start())
        await send(body(b"one", more=True))
        await send(body(b"two"))

    async def scenario() -> bytes:
        transport = scallion.ASGITransport(app)
        async with scallion.AsyncClient(transport=transport, middlewares=[hedging()]) as client:
            return (await client.get("http://testserver/")).content

    assert b"onetwo" == Drive(colour)(scenario)
    assert ["asked", "asked", "ended"] == calls


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_call_closes_all_connections(colour: Any) -> None:
    with ScriptedServer(SILENT, SILENT) as server:

        async def scenario() -> Any:
            async with scallion.AsyncClient(middlewares=[hedging()]) as client:
                with anyio.move_on_after(0.3):
                    await client.get(server.url)
                assert 2 == len(server.connections)
                return client.pool

        pool = Drive(colour)(scenario)
        server.wait_until_gone(0, 1)

    assert (0, 0) == (pool.active, pool.idle)


def test_no_task_is_left() -> None:
    """
    When the call has returned, the caller's task is the only one.
    """
    with ScriptedServer(SILENT, QUICK) as server:

        async def scenario() -> set[Any]:
            async with scallion.AsyncClient(middlewares=[hedging()]) as client:
                await client.get(server.url)
                return asyncio.all_tasks() - {asyncio.current_task()}

        assert set() == asyncio.run(scenario())


def test_a_call_that_is_interrupted_ends_both() -> None:
    """
    Ctrl+C arrives in the thread that waits for the copies.
    """
    layer = hedging(delay=0.01)
    with ScriptedServer(SILENT, SILENT) as server:
        request = scallion.Request("GET", server.url)

        def interrupt(event: str, fields: dict[str, Any]) -> None:
            if event == "hedge.sent":
                raise KeyboardInterrupt

        request.observers = (interrupt,)
        with scallion.Client(middlewares=[layer]) as client:
            with pytest.raises(KeyboardInterrupt):
                client.send(request)
            server.wait_until_gone(0, 1)
            settled()
            assert 0 == client.pool.active


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_threads_that_hedge_get_their_own_answers(http2: bool) -> None:
    """
    Whatever is given up just as it is answered: no connection is closed under somebody else, and none is lost.
    """
    dice = random.Random(7)

    def path_of(request: Received) -> Answer:
        time.sleep(dice.random() * 0.004)
        return Answer(body=request.target.encode())

    def answer(session: Any, call: Any) -> None:
        time.sleep(dice.random() * 0.002)
        session.respond(call, call.path.encode())

    server = HTTP2Server(answer) if http2 else HTTPServer(path_of)
    layer = Hedging(delay=0.002, most_load=4.0)
    settings: dict[str, Any] = {"http1": not http2, "http2": http2, "middlewares": [layer]}
    wrong: list[object] = []
    with server, scallion.Client(timeout=10.0, **settings) as client:

        def caller(name: int) -> None:
            for number in range(30):
                path = f"/{name}-{number}"
                try:
                    response = client.get(f"{server.url}{path}")
                    if path.encode() != response.content:
                        wrong.append((path, response.content))
                except Exception as error:
                    wrong.append(error)

        threads = [threading.Thread(target=caller, args=(name,)) for name in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        settled()
        active = client.pool.active

    assert [] == wrong
    assert 0 == active
