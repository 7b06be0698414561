"""Closing and cancelling: from any state, thread and loop, without a leak and without a word."""

from __future__ import annotations

import asyncio
import gc
import select
import socket
import threading
from typing import Any

import pytest
import trio
import trio.testing

from scallion.pipeline.errors import (
    ReadError,
    WriteError,
    WriteTimeout,
)
from scallion.pipeline.runtime import run
from scallion.transports.network import async_network, asyncio_channel, blocking_network
from scallion.transports.network.base import Network
from support.channels import (
    BIG,
    LONG,
    SHORT,
    Loop,
    Servers,
    cancelled,
    echo,
    read_exactly,
    until_closed,
)


def test_a_closed_channel_refuses_everything(play: Loop, serve: Servers) -> None:
    """
    Closing is idempotent, and what is asked of a closed channel is refused with our errors.
    """
    address = serve(until_closed)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        channel.close()
        channel.close()
        await channel.aclose()
        with pytest.raises(ReadError):
            await channel.read(1, LONG)
        with pytest.raises(WriteError):
            await channel.write(b"x", LONG)
        with pytest.raises(WriteError):
            await channel.write_or_answer(b"x", LONG)
        assert channel.stale() is True

    play(scenario)


def test_an_orderly_close_delivers_what_was_written(play: Loop, serve: Servers) -> None:
    """
    Closing does not cut off what a slow peer has yet to read.
    """
    total = []
    address = serve(lambda connection: total.append(_count(connection)))

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await channel.write(bytes(BIG + 1), LONG)
        await channel.aclose()
        if play.name in ("asyncio", "uvloop"):
            while channel._transport is not None:  # type: ignore[attr-defined]
                await asyncio.sleep(0)

    play(scenario)
    serve.close()
    assert [BIG + 1] == total


def _count(connection: socket.socket) -> int:
    size = 0
    while data := connection.recv(262_144):
        size += len(data)
    return size


def test_an_orderly_close_sends_the_backlog(
    serve: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    On asyncio what the transport still holds goes out after the close, and no piece is cut.
    """
    go, total = threading.Event(), []
    address = serve(lambda connection: go.wait(LONG) and total.append(_count(connection)))

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        with pytest.raises(WriteTimeout):
            await channel.write(bytes(BIG), SHORT)
        await channel.aclose()
        await channel.aclose()
        go.set()
        while channel._transport is not None:  # type: ignore[attr-defined]
            await asyncio.sleep(0)

    Loop("asyncio")(scenario)
    serve.close()
    assert 0 < total[0] < BIG
    assert 0 == total[0] % 65536


def test_an_orderly_close_does_not_wait_for_ever(
    serve: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A peer that does not read does not keep a closed connection alive.
    """
    monkeypatch.setattr(asyncio_channel, "_LINGER", SHORT)
    done = threading.Event()
    address = serve(lambda connection: done.wait(LONG) and None)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        with pytest.raises(WriteTimeout):
            await channel.write(bytes(BIG), SHORT)
        await channel.aclose()
        while channel._transport is not None:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        done.set()

    Loop("asyncio")(scenario)


def test_closing_wakes_a_thread_that_reads(serve: Servers) -> None:
    """
    A blocked reader ends with an error when another thread closes the channel.
    """
    address = serve(until_closed)
    channel = run(blocking_network().connect_tcp(*address, LONG))
    errors = []

    def read() -> None:
        try:
            data = run(channel.read(1, LONG))
            errors.append(data)
        except ReadError as exc:
            errors.append(exc)

    reader = threading.Thread(target=read)
    reader.start()
    while not channel._waits._waiting_in:  # type: ignore[attr-defined]
        pass
    channel.close()
    reader.join(LONG)

    assert not reader.is_alive()
    assert 1 == len(errors)


def test_closing_between_a_readers_look_and_its_wait(serve: Servers) -> None:
    """
    A thread that begins to wait when another has begun to close does not wait for what nobody will wake.
    """
    channel: Any = run(blocking_network().connect_tcp(*serve(until_closed), LONG))

    assert channel._waits.closing()

    for wait in (channel._waits.readable, channel._waits.writable, channel._waits.either):
        with pytest.raises(OSError, match="Bad file descriptor"):
            run(wait(LONG))


def test_a_descriptor_that_a_thread_waits_for_stays_its_own(serve: Servers) -> None:
    """
    Its number could otherwise be another connection's by the time the thread polls it.
    """
    channel: Any = run(blocking_network().connect_tcp(*serve(until_closed), LONG))
    seen = []

    class Poll:
        def poll(self, timeout: float | None) -> list[Any]:
            channel.close()
            seen.append(channel._sock.fileno())
            return [(seen[0], select.POLLHUP)]

    channel._waits._poll_in = Poll()
    with pytest.raises(ReadError):
        run(channel.read(1, LONG))

    assert seen[0] >= 0
    assert -1 == channel._sock.fileno()


def test_one_thread_reads_while_another_writes(serve: Servers) -> None:
    """
    The two directions have timeouts of their own and do not disturb each other.
    """
    address = serve(echo)
    channel = run(blocking_network().connect_tcp(*address, LONG))
    payload = bytes(range(256)) * 16_384
    writer = threading.Thread(target=lambda: run(channel.write(payload, LONG)))
    writer.start()

    assert payload == run(read_exactly(channel, len(payload)))
    writer.join(LONG)
    channel.close()


def test_closing_wakes_a_task_that_reads(play_async: Loop, serve: Servers) -> None:
    """
    A suspended reader ends with an error when another task closes the channel.
    """
    address = serve(until_closed)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)

        async def read() -> None:
            with pytest.raises(ReadError):
                await channel.read(1, LONG)

        if play_async.name == "trio":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                await trio.testing.wait_all_tasks_blocked()
                channel.close()
        else:
            reader = asyncio.create_task(read())
            await asyncio.sleep(0)
            channel.close()
            await reader

    play_async(scenario)


@pytest.mark.parametrize("way", ["write", "write_or_answer"])
def test_closing_wakes_a_task_that_writes(play_async: Loop, serve: Servers, way: str) -> None:
    """
    A suspended writer ends with an error when another task closes the channel.
    """
    done = threading.Event()
    address = serve(lambda connection: done.wait(LONG) and None)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)

        async def write() -> None:
            with pytest.raises(WriteError, match="sending failed"):
                await getattr(channel, way)(bytes(BIG), LONG)

        if play_async.name == "trio":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(write)
                await trio.testing.wait_all_tasks_blocked()
                channel.close()
        else:
            writer = asyncio.create_task(write())
            await play_async.settle()
            channel.close()
            await writer
        done.set()

    play_async(scenario)


@pytest.mark.parametrize("timeout", [None, LONG])
def test_a_cancelled_read_loses_nothing(
    play_async: Loop, serve: Servers, timeout: float | None
) -> None:
    """
    After a read was cancelled, the channel works as before.
    """
    address = serve(echo)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await cancelled(play_async, lambda: channel.read(10, timeout))
        await channel.write(b"hello", LONG)
        assert b"hello" == await read_exactly(channel, 5)
        channel.close()

    play_async(scenario)


def test_a_cancelled_write_leaves_a_channel_that_closes(play_async: Loop, serve: Servers) -> None:
    """
    A writer may be cancelled while it waits; closing is all that is left to do.
    """
    done = threading.Event()
    address = serve(lambda connection: done.wait(LONG) and None)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await cancelled(play_async, lambda: channel.write(bytes(BIG), LONG))
        channel.close()
        done.set()

    play_async(scenario)


def test_closing_after_the_loop_was_closed(serve: Servers) -> None:
    """
    A channel that outlives its loop is closed without a word.
    """
    address = serve(until_closed)
    loop = asyncio.new_event_loop()
    channel = loop.run_until_complete(async_network().connect_tcp(*address, LONG))
    loop.close()

    channel.close()
    channel.close()
    del channel
    gc.collect()


def test_closing_while_the_loop_stands_still(serve: Servers) -> None:
    """
    Between two runs of the loop a channel can be closed as well.
    """
    address = serve(until_closed)
    loop = asyncio.new_event_loop()
    channel = loop.run_until_complete(async_network().connect_tcp(*address, LONG))

    channel.close()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    del channel
    gc.collect()


def test_closing_from_another_thread(play_async: Loop, serve: Servers) -> None:
    """
    A finaliser may run anywhere; the loop that owns the channel does the rest.
    """
    address = serve(until_closed)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        thread = threading.Thread(target=channel.close)
        thread.start()
        thread.join(LONG)
        with pytest.raises(ReadError):
            await channel.read(1, LONG)
        await play_async.settle()

    play_async(scenario)
