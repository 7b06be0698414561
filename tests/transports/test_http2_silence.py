"""HTTP/2 connections on which nothing arrives any more: what shows that one is dead, and what does not."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import scallion
from scallion.middlewares.retries import Retries
from scallion.pipeline.errors import ReadTimeout, TotalTimeout, WriteTimeout
from support.colours import Drive
from support.http2_server import Call, HTTP2Server, Session
from support.together import together
from support.wire import Wire

SOON = {"read": 0.05, "write": 0.05}
NOTHING = "<Pool 0 active, 0 idle, 0 waiting of 100>"
IDLE = "<Pool 0 active, 1 idle, 0 waiting of 100>"


def knowing(drive: Drive, **settings: Any) -> Wire:
    """A transport that speaks HTTP/2 over cleartext."""
    return Wire(drive, http1=False, http2=True, **settings)


def fall_silent(session: Session, call: Call) -> None:
    """The first connection's first request is answered, or begins to be; then nothing is sent on it."""
    if session.number:
        session.respond(call, b"second")
    elif call.stream == 1:
        session.respond(call, b"first", end=call.path != "/begin")
        session.flush()
        session.flush = lambda: session.codec.data_to_send()  # type: ignore[method-assign,assignment,return-value]


async def asked(drive: Drive, server: HTTP2Server, requests: int) -> None:
    """Wait until the server has so many."""
    while server.count("request") < requests:
        await drive.runtime().sleep(0.005)


def test_a_read_timeout_in_silence_ends_a_connection(drive: Drive) -> None:
    """
    The one that waited in vain gets its error, and the next request a connection that works.
    """
    with HTTP2Server(fall_silent) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                assert b"first" == await wire.get(server.url)
                with pytest.raises(ReadTimeout):
                    await wire.get(server.url, timeout=SOON)
                assert NOTHING == wire.pool
                await wire.gone(server, 0)
                for _ in range(2):
                    assert b"second" == await wire.get(server.url)
                assert IDLE == wire.pool

        drive(scenario)
    assert 2 == len(server.connections)


def test_one_that_never_spoke(drive: Drive) -> None:
    """
    Those who wait for the settings of a server that sends none go their own ways once that is clear.
    """

    def greet(session: Session) -> None:
        if not session.number:
            while session.peer.receive():
                pass
            raise EOFError

    with HTTP2Server(greet=greet) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                results = await together(
                    drive, *[lambda: wire.get(server.url, timeout={"read": 0.25})] * 4
                )
                assert [b"ok"] * 3 == [each for each in results if isinstance(each, bytes)]
                assert [ReadTimeout] == [type(each) for each in results if each != b"ok"]
                assert wire.pool.startswith("<Pool 0 active,")

        drive(scenario)
        server.errors.clear()


def test_a_read_timeout_in_the_body(drive: Drive) -> None:
    """
    It is the same, whatever had arrived before that wait.
    """
    with HTTP2Server(fall_silent) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                response = await wire.open("GET", server.url + "/begin", timeout=SOON)
                with pytest.raises(ReadTimeout):
                    await wire.read(response)
                assert NOTHING == wire.pool
                assert b"second" == await wire.get(server.url)

        drive(scenario)


def test_an_upload_that_gets_no_credit_in_silence(drive: Drive) -> None:
    """
    The wait for credit is one for the server as well.
    """
    with HTTP2Server(fall_silent) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                assert b"first" == await wire.get(server.url)
                with pytest.raises(WriteTimeout):
                    await wire.open("POST", server.url, content=b"x" * 70_000, timeout=SOON)
                assert NOTHING == wire.pool
                assert b"second" == await wire.get(server.url)

        drive(scenario)


def test_streams_under_way_may_still_end(drive: Drive) -> None:
    """
    The connection takes no new streams; it is closed when its last one has ended.
    """
    sessions: list[tuple[Session, Call]] = []

    def answer(session: Session, call: Call) -> None:
        if call.path == "/slow":
            sessions.append((session, call))
        elif call.path == "/go":
            slow, waiting = sessions[0]
            slow.respond(waiting, b"slow")
            slow.flush()
        if call.path in ("/", "/go"):
            session.respond(call, b"ok")

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                await wire.get(server.url)

                async def slow() -> bytes:
                    return await wire.get(server.url + "/slow")

                async def others() -> bytes:
                    await asked(drive, server, 2)
                    with pytest.raises(ReadTimeout):
                        await wire.get(server.url + "/never", timeout=SOON)
                    assert "<Pool 1 active, 0 idle, 0 waiting of 100>" == wire.pool
                    return await wire.get(server.url + "/go")

                assert [b"slow", b"ok"] == await together(drive, slow, others)
                await wire.gone(server, 0)
                assert IDLE == wire.pool

        drive(scenario)
    assert 2 == len(server.connections)


def test_a_deadline_in_silence(drive: Drive) -> None:
    """
    For one that began alone it ends the connection; among others it takes two, one after the other.
    """
    with HTTP2Server(fall_silent) as server:

        async def scenario() -> None:
            runtime = drive.runtime()
            async with knowing(drive) as wire:

                async def hasty() -> None:
                    with pytest.raises(TotalTimeout):
                        await wire.get(server.url, deadline=runtime.clock() + 0.05)

                assert b"first" == await wire.get(server.url)
                await hasty()
                assert NOTHING == wire.pool
                assert 1 == server.count("request", 0, 3)
                assert b"second" == await wire.get(server.url)

        drive(scenario)
    assert 2 == len(server.connections)


def test_a_deadline_in_silence_among_others(drive: Drive) -> None:
    """
    One that passes may have been too close; a second one that begins after it and passes decides.
    """
    with HTTP2Server(fall_silent) as server:

        async def scenario() -> None:
            runtime = drive.runtime()
            async with knowing(drive) as wire:

                async def neighbour() -> None:
                    await wire.get(server.url, timeout={"read": 1.0})

                async def others() -> bytes:
                    await asked(drive, server, 2)
                    for stream in (5, 7):
                        with pytest.raises(TotalTimeout):
                            await wire.get(server.url, deadline=runtime.clock() + 0.05)
                        server.until("request", 0, stream)
                    return await wire.get(server.url)

                assert b"first" == await wire.get(server.url)
                results = await together(drive, neighbour, others)
                assert (ReadTimeout, b"second") == (type(results[0]), results[1])
                assert IDLE == wire.pool

        drive(scenario)
    assert 2 == len(server.connections)


def test_a_cancellation_shows_nothing(drive: Drive) -> None:
    """
    Whoever gives up by himself may have been in a hurry.
    """
    if drive.blocking:
        pytest.skip("threads are not cancelled")

    def answer(session: Session, call: Call) -> None:
        if call.path != "/never":
            session.respond(call, b"ok")

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                await wire.get(server.url)
                with anyio.move_on_after(0.05):
                    await wire.get(server.url + "/never")
                assert b"ok" == await wire.get(server.url)

        drive(scenario)
    assert 1 == len(server.connections)


@pytest.mark.parametrize("stack", ["retries", "service"])
def test_a_retry_finds_another_connection(drive: Drive, stack: str) -> None:
    """
    Through the whole client: by the read timeout, and by the limit of an attempt.
    """
    settings: dict[str, Any] = {"http1": False, "http2": True, "trust_env": False}
    if stack == "retries":
        settings |= {"middlewares": [Retries(wait=lambda state: 0.0)], "timeout": 0.25}
    else:
        settings["pipeline"] = scallion.service_stack(attempt=0.25)

    with HTTP2Server(fall_silent) as server:

        async def scenario() -> None:
            if drive.blocking:
                with scallion.Client(**settings) as client:
                    texts = [client.get(server.url).text for _ in range(3)]
            else:
                async with scallion.AsyncClient(**settings) as async_client:
                    texts = [(await async_client.get(server.url)).text for _ in range(3)]
            assert ["first", "second", "second"] == texts

        drive(scenario)
    assert 2 == len(server.connections)
    assert 4 == server.count("request")
