"""Receiving into the caller's memory: each network, and TLS over it, gives what `read` would give, and no byte elsewhere."""

from __future__ import annotations

import socket
import ssl
import threading

import pytest
import trustme

from scallion.pipeline.errors import ReadError, ReadTimeout
from scallion.transports.network.base import ByteChannel, Network
from support.channels import (
    LONG,
    SHORT,
    Loop,
    Servers,
    cancelled,
    reset_when_spoken_to,
    until_closed,
)

BODY = bytes(range(256)) * 2000


def sends_body(connection: socket.socket) -> None:
    for start in range(0, len(BODY), 70_001):
        connection.sendall(BODY[start : start + 70_001])


async def filled(channel: ByteChannel, least: int) -> bytes:
    """All that comes, received in pieces of 100,000 bytes, of which `least` are waited for."""
    parts = []
    while True:
        memory = bytearray(100_000)
        count = await channel.read_into(memoryview(memory), LONG, min(least, len(memory)))
        assert not any(memory[count:])
        if not count:
            return b"".join(parts)
        parts.append(bytes(memory[:count]))


@pytest.mark.parametrize("least", [1, 50_000, 100_000])
def test_all_of_it_in_its_order(play: Loop, serve: Servers, least: int) -> None:
    """
    The memory is filled from its beginning; 0 is the end of the stream, and stays it.
    """
    address = serve(sends_body)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        assert BODY == await filled(channel, least)
        assert 0 == await channel.read_into(memoryview(bytearray(1)), LONG)
        channel.close()

    play(scenario)


def test_what_has_arrived_comes_first(play: Loop, serve: Servers) -> None:
    """
    Bytes that came before anybody asked are not overtaken, and `read` goes on where this ends.
    """

    def digits(connection: socket.socket) -> None:
        connection.sendall(b"0123456789")
        until_closed(connection)

    address = serve(digits)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        assert b"0" == await channel.read(1, LONG)
        memory = bytearray(4)
        assert 4 == await channel.read_into(memoryview(memory), LONG, 4)
        assert b"1234" == memory
        assert b"56" == await channel.read(2, LONG)
        channel.close()

    play(scenario)


def test_silence(play: Loop, serve: Servers) -> None:
    """
    A part of what was asked for does not end the wait; the memory is the caller's again afterwards.
    """
    go = threading.Event()

    def part(connection: socket.socket) -> None:
        connection.sendall(b"part")
        assert go.wait(LONG)
        connection.sendall(b"more")
        until_closed(connection)

    address = serve(part)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        memory = bytearray(100)
        with pytest.raises(ReadTimeout, match=r"within 0\.02 s"):
            await channel.read_into(memoryview(memory), SHORT, 100)
        go.set()
        rest = b""
        while not rest.endswith(b"more"):
            rest += await channel.read(100, LONG)
        assert not any(memory[4:])
        # Nobody holds it: it may grow.
        memory.append(1)
        channel.close()

    play(scenario)


def test_a_reset(play: Loop, serve: Servers) -> None:
    """
    A connection that breaks is no end of the stream.
    """
    address = serve(reset_when_spoken_to)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await channel.write(b"x", LONG)
        with pytest.raises(ReadError, match="receiving failed"):
            await channel.read_into(memoryview(bytearray(10)), LONG, 10)
        channel.close()
        with pytest.raises(ReadError, match="is closed"):
            await channel.read_into(memoryview(bytearray(10)), LONG, 10)

    play(scenario)


def test_cancelled(play_async: Loop, serve: Servers) -> None:
    """
    After a cancelled wait nothing is written to the memory, and what comes later is for the next read.
    """
    go = threading.Event()

    def late(connection: socket.socket) -> None:
        assert go.wait(LONG)
        connection.sendall(b"late")
        until_closed(connection)

    address = serve(late)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        memory = bytearray(10)

        async def work() -> None:
            await channel.read_into(memoryview(memory), LONG, 10)

        await cancelled(play_async, work)
        go.set()
        assert b"late" == await channel.read(100, LONG)
        assert bytes(10) == memory
        memory.append(1)
        channel.close()

    play_async(scenario)


def test_through_tls(
    play: Loop, serve: Servers, authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    """
    Over TLS it is the same.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)

    def secretly(connection: socket.socket) -> None:
        with server.wrap_socket(connection, server_side=True) as encrypted:
            sends_body(encrypted)

    address = serve(secretly)

    async def scenario(network: Network) -> None:
        carrier = await network.connect_tcp(*address, LONG)
        channel = await carrier.start_tls(client_context, "localhost", LONG)
        memory = bytearray(len(BODY))
        assert len(BODY) == await channel.read_into(memoryview(memory), LONG, len(BODY))
        assert BODY == memory
        await channel.aclose()

    play(scenario)
