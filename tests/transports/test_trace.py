"""The request extension `trace`: the same steps, in the same order, as httpx tells."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import httpx
import pytest

import scallion
from scallion.pipeline.errors import ConnectError, ReadError, RemoteProtocolError
from support.colours import Drive
from support.http2_server import Call, HTTP2Server, Session
from support.servers import (
    Answer,
    HTTPServer,
    ProxyServer,
    ScriptedServer,
    close,
    expect,
    respond,
    send,
)
from support.wire import Wire

Told = list[tuple[str, list[str]]]


def told_by(module: Any, url: str, *, http2: bool = False, **settings: Any) -> Told:
    """What a blocking client's callback hears of two requests."""
    told: Told = []

    def trace(name: str, info: dict[str, Any]) -> None:
        told.append((name, sorted(info)))

    with module.Client(trust_env=False, http1=not http2, http2=http2) as client:
        for _ in range(2):
            client.request(url=url, extensions={"trace": trace}, **settings)
    return told


@pytest.mark.parametrize("settings", [{"method": "GET"}, {"method": "POST", "content": b"x"}])
def test_steps_are_httpx_s(settings: dict[str, Any]) -> None:
    """
    Names, order and the keys of the details; the body comes with the head here, and later below.
    """
    with HTTPServer() as server:
        assert told_by(httpx, server.url, **settings) == told_by(scallion, server.url, **settings)


@pytest.mark.parametrize("settings", [{"method": "GET"}, {"method": "POST", "content": b"x"}])
def test_steps_over_http2_are_httpx_s(settings: dict[str, Any]) -> None:
    """
    But for the server's settings: whoever reads takes them in, and it need not be the request that is traced.
    """
    with HTTP2Server() as server:
        httpx_s = told_by(httpx, server.url, http2=True, **settings)
        ours = told_by(scallion, server.url, http2=True, **settings)
    assert [step for step in httpx_s if "remote_settings" not in step[0]] == ours


def collector(drive: Drive, told: list[str]) -> Any:
    def trace(name: str, info: dict[str, Any]) -> None:
        told.append(name)

    async def async_trace(name: str, info: dict[str, Any]) -> None:
        told.append(name)

    return trace if drive.blocking else async_trace


def test_a_body_that_arrives_later_is_told_as_it_is_read(drive: Drive) -> None:
    """
    Reading begins a step and the end completes it; closing is the last.
    """
    told: list[str] = []
    late = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"
    with ScriptedServer([expect(), send(late), send(b"cde")]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                extensions = {"trace": collector(drive, told)}
                response = await wire.open("GET", server.url, extensions=extensions)
                assert b"abcde" == await wire.read(response)

        drive(scenario)

    assert [
        "http11.receive_response_body.started",
        "http11.receive_response_body.complete",
        "http11.response_closed.started",
        "http11.response_closed.complete",
    ] == told[-4:]


def test_a_body_that_arrives_later_over_http2(drive: Drive) -> None:
    """
    The same steps, and a stream that fails in its body says so.
    """
    told: list[str] = []

    def answer(session: Session, call: Call) -> None:
        session.respond(call, b"ab", end=False)
        session.codec.reset_stream(call.stream)

    def echo(session: Session, call: Call) -> None:
        session.respond(call, end=False)
        session.echo.add(call.stream)

    extensions = {"trace": collector(drive, told)}
    with HTTP2Server(echo, early=True) as server:

        async def scenario() -> None:
            async with Wire(drive, http1=False, http2=True) as wire:
                sent = b"abcde" * 20_000
                response = await wire.open("POST", server.url, content=sent, extensions=extensions)
                assert sent == await wire.read(response)

        drive(scenario)
    assert [
        "http2.receive_response_headers.complete",
        "http2.receive_response_body.started",
        "http2.receive_response_body.complete",
        "http2.response_closed.started",
        "http2.response_closed.complete",
    ] == told[-5:]

    with HTTP2Server(answer) as server:

        async def failing() -> None:
            async with Wire(drive, http1=False, http2=True) as wire:
                with pytest.raises(RemoteProtocolError):
                    await wire.get(server.url, extensions=extensions)

        drive(failing)
    assert "http2.receive_response_body.failed" in told


def test_what_fails_is_told(drive: Drive) -> None:
    """
    A connection that is refused, a server that hangs up: `failed`, and at most the closing after it.
    """
    told: list[str] = []
    with ScriptedServer([expect(), close]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                extensions = {"trace": collector(drive, told)}
                with pytest.raises((RemoteProtocolError, ReadError)):
                    await wire.get(server.url, extensions=extensions)
                with pytest.raises(ConnectError):
                    await wire.get("http://127.0.0.1:1/", extensions=extensions)

        drive(scenario)

    assert [
        "http11.receive_response_headers.failed",
        "http11.response_closed.started",
        "http11.response_closed.complete",
    ] == told[-5:-2]
    assert ["connection.connect_tcp.started", "connection.connect_tcp.failed"] == told[-2:]


def test_a_callback_of_the_other_colour_is_refused(drive: Drive) -> None:
    """
    A plain function under an event loop, a coroutine function without one.
    """
    with ScriptedServer([expect(), respond()]) as server:

        async def plain_or_not(name: str, info: dict[str, Any]) -> None:
            raise AssertionError("never awaited")

        def plain(name: str, info: dict[str, Any]) -> None:
            return None

        async def scenario() -> None:
            async with Wire(drive) as wire:
                extensions = {"trace": plain_or_not if drive.blocking else plain}
                with pytest.raises(TypeError, match="'trace' of a"):
                    await wire.get(server.url, extensions=extensions)
                assert "0 active" in wire.pool

        drive(scenario)


def test_a_callback_that_raises_costs_the_connection_once(drive: Drive) -> None:
    """
    Whichever step it raises at: the slot is free afterwards, and the transport is usable.
    """
    with HTTPServer() as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                for last in range(1, 20):
                    seen: list[str] = []

                    def trace(
                        name: str, info: dict[str, Any], seen: list[str] = seen, last: int = last
                    ) -> None:
                        seen.append(name)
                        if len(seen) == last:
                            raise ZeroDivisionError

                    async def async_trace(name: str, info: dict[str, Any]) -> None:
                        trace(name, info)

                    extensions = {"trace": trace if drive.blocking else async_trace}
                    try:
                        await wire.get(server.url, extensions=extensions)
                    except ZeroDivisionError:
                        assert "0 active" in wire.pool
                    else:
                        break
                    assert b"ok" == await wire.get(server.url)
                assert "0 active" in wire.pool

        drive(scenario)


# The log.


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Listens to everything that scallion logs."""
    caplog.set_level(logging.DEBUG, "scallion")
    return caplog


def test_steps_are_logged(drive: Drive, lines: pytest.LogCaptureFixture) -> None:
    """
    The first word is the step; the logger's name is what stands before it in a trace. The closing of a connection is
    the last line.
    """
    with HTTPServer() as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                assert b"ok" == await wire.get(server.url)

        drive(scenario)

    found = [f"{line.name} {line.getMessage().partition(' ')[0]}" for line in lines.records]
    steps = ["send_request_headers", "send_request_body", "receive_response_headers"]
    steps += ["receive_response_body", "response_closed"]
    assert [
        "scallion.connection connect_tcp.started",
        "scallion.connection connect_tcp.complete",
        *(f"scallion.http11 {step}.{end}" for step in steps for end in ("started", "complete")),
        "scallion.connection close.complete",
    ] == found
    assert f"close.complete origin={server.url}" == lines.messages[-1]


def test_steps_over_http2_are_logged(drive: Drive, lines: pytest.LogCaptureFixture) -> None:
    """
    By the logger scallion.http2.
    """
    with HTTP2Server() as server:

        async def scenario() -> None:
            async with Wire(drive, http1=False, http2=True) as wire:
                await wire.get(server.url)

        drive(scenario)

    assert "send_request_headers.complete" in [
        line.getMessage() for line in lines.records if line.name == "scallion.http2"
    ]
    assert 1 == sum("close.complete" in message for message in lines.messages)


def test_one_logger_may_be_listened_to(drive: Drive, caplog: pytest.LogCaptureFixture) -> None:
    """
    scallion.connection alone tells of connections and of nothing else; at INFO nothing is told.
    """
    caplog.set_level(logging.INFO, "scallion")
    caplog.set_level(logging.DEBUG, "scallion.connection")
    with HTTPServer() as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                await wire.get(server.url)

        drive(scenario)

    assert {"scallion.connection"} == {line.name for line in caplog.records}


def test_the_lines_hold_no_secrets(drive: Drive, lines: pytest.LogCaptureFixture) -> None:
    """
    Not of the URL, not of the headers of either side, not of a proxy's login; what is no secret is there.
    """
    answer = Answer(
        headers=[
            ("Set-Cookie", "session=hidden"),
            ("Location", "http://user:hidden@a.example/?token=hidden&page=7"),
        ]
    )
    url = "/?access_token=hidden&page=8"
    headers = {"Authorization": "Bearer hidden", "Cookie": "a=hidden", "X-Api-Key": "hidden"}
    with (
        HTTPServer(lambda request: answer) as server,
        ProxyServer(login=("user", "hidden"), refuse=403) as proxy,
    ):

        async def scenario() -> None:
            async with Wire(drive) as wire:
                await wire.get(server.url + url, headers=headers)
            login = f"http://user:hidden@127.0.0.1:{proxy.port}"
            async with Wire(drive, proxy=scallion.Proxy(login)) as wire:
                with pytest.raises(scallion.ProxyError):
                    await wire.get("https://a.example" + url, headers=headers)

        drive(scenario)

    assert "hidden" not in lines.text
    for shown in ("page=7", "page=8", "403", "CONNECT", "set-cookie"):
        assert shown in lines.text


def test_the_log_and_a_callback_are_told_alike(
    drive: Drive, lines: pytest.LogCaptureFixture
) -> None:
    """
    Listening to the log takes nothing from a trace.
    """
    told: list[str] = []
    with HTTPServer() as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                extensions = {"trace": collector(drive, told)}
                await wire.get(server.url, extensions=extensions)

        drive(scenario)

    assert (
        told
        == [
            f"{line.name.removeprefix('scallion.')}.{line.getMessage().partition(' ')[0]}"
            for line in lines.records
        ][:-1]
    )


def test_nobody_imports_logging_for_nothing() -> None:
    """
    A program that logs nothing does not load the module for a request.
    """
    program = (
        "import sys, scallion; from scallion.transports.trace import debugging;"
        "print(debugging('http11'), 'logging' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert b"False False" == done.stdout.strip()
