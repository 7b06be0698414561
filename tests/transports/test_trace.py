"""The request extension `trace`: the same steps, in the same order, as httpx tells."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

import scallion
from scallion.pipeline.errors import ConnectError, ReadError, RemoteProtocolError
from support.colours import Drive
from support.servers import HTTPServer, ScriptedServer, close, expect, respond, send
from support.wire import Wire

Told = list[tuple[str, list[str]]]


def told_by(module: Any, url: str, **settings: Any) -> Told:
    """What a blocking client's callback hears of one request."""
    told: Told = []

    def trace(name: str, info: dict[str, Any]) -> None:
        told.append((name, sorted(info)))

    with module.Client(trust_env=False) as client:
        client.request(url=url, extensions={"trace": trace}, **settings)
    return told


@pytest.mark.parametrize("settings", [{"method": "GET"}, {"method": "POST", "content": b"x"}])
def test_steps_are_httpx_s(settings: dict[str, Any]) -> None:
    """
    Names, order and the keys of the details; the body comes with the head here, and later below.
    """
    with HTTPServer() as server:
        assert told_by(httpx, server.url, **settings) == told_by(scallion, server.url, **settings)


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


def test_what_fails_is_told(drive: Drive) -> None:
    """
    A connection that is refused, a server that hangs up: `failed`, and nothing after it.
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

    assert "http11.receive_response_headers.failed" == told[-3]
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
