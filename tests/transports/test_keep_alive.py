"""The field Keep-Alive: what servers say in it, and what becomes of the connection."""

from __future__ import annotations

from math import inf

import pytest

from scallion.transports.keep_alive import idle_limit
from support.colours import Drive
from support.servers import Answer, HTTPServer
from support.wire import Wire


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"timeout=5", 4.0),
        (b"timeout=5, max=100", 4.0),
        (b"max=100, timeout=65", 64.0),
        (b'Timeout = "15"', 14.0),
        (b"timeout=2", 1.0),
        (b"timeout=1", 0.0),
        (b"timeout=0", 0.0),
        (b"max=0, timeout=5", 0.0),
        (b"max=1", inf),
        (b"300", inf),
        (b"", inf),
        (b"timeout=", inf),
        (b"timeout=-5", inf),
        (b"mytimeout=5", inf),
        (b"timeout=\xb2", inf),
        (b"timeout=99999999999999999999", 999999998.0),
    ],
)
def test_what_a_server_says(value: bytes, seconds: float) -> None:
    """
    Its time less a second; no time is left of a second or less, nor where no request may follow.
    """
    assert seconds == idle_limit(value)


def limits_of(wire: Wire) -> list[float]:
    """What the idle connections keep to."""
    return [connection.idle_limit for connection in wire.transport._core.pool._ages]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("folded", [False, True])
def test_a_server_tells_how_long_it_waits(drive: Drive, chunked: bool, folded: bool) -> None:
    """
    In whichever spelling, and whichever codec reads it: the fast lane leaves folded fields to h11.
    """
    headers = [("Connection", "keep-alive"), ("KEEP-alive", "timeout=3")]
    headers += [("X-Folded", "one\r\n two")] * folded

    with HTTPServer(lambda _: Answer(headers=headers, chunked=chunked)) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                await wire.get(server.url)
                assert [2.0] == limits_of(wire)
                await wire.get(server.url)

        drive(scenario)
    assert 1 == len(server.connections)


@pytest.mark.parametrize("value", ["timeout=1", "timeout=60, max=0"])
def test_a_server_that_hardly_waits(drive: Drive, value: str) -> None:
    """
    Its connections are not used again.
    """
    with HTTPServer(lambda _: Answer(headers=[("Keep-Alive", value)])) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                for _ in range(2):
                    assert b"ok" == await wire.get(server.url)
                    assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
    assert 2 == len(server.connections)


def test_the_requests_field_means_nothing(drive: Drive) -> None:
    """
    Some programs send one; it is theirs.
    """
    with HTTPServer() as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                await wire.read(
                    await wire.open("GET", server.url, headers={"Keep-Alive": "timeout=1"})
                )
                assert [inf] == limits_of(wire)

        drive(scenario)
    assert "timeout=1" == server.requests[0].get("keep-alive")
