"""What asyncio's channel does in its own way: the reader's next step, the loop's one buffer, the lazy timer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest
import uvloop

from scallion.pipeline.errors import ReadTimeout
from scallion.transports.network.asyncio_channel import AsyncioChannel
from scallion.transports.network.base import Network
from support.channels import LONG, Loop, Servers, echo

NAME: ContextVar[str] = ContextVar("NAME", default="nobody")


class Transport(asyncio.Transport):
    """Keeps nothing, and sends nothing."""

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        """There is nothing to break off."""


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.socket() as made:
        yield made


def opened(sock: socket.socket) -> AsyncioChannel:
    channel = AsyncioChannel(asyncio.get_running_loop(), sock)
    channel.connection_made(Transport())
    return channel


def arrive(channel: AsyncioChannel, data: bytes) -> None:
    """As the loop does it."""
    channel.get_buffer(-1)[: len(data)] = data
    channel.buffer_updated(len(data))


async def in_a_callback(do: Callable[[], object]) -> None:
    """Call it as the loop calls a connection: in no task."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: done.set_result(do()))
    await done


def test_a_reader_goes_on_as_soon_as_bytes_arrive(sock: socket.socket) -> None:
    """
    Within the loop's call, in its own context and as its own task; not a turn later.
    """
    seen: list[object] = []

    async def scenario() -> None:
        channel = opened(sock)

        async def read() -> None:
            NAME.set("reader")
            data = await channel.read(100, LONG)
            seen.extend((data, NAME.get(), asyncio.current_task() is reader))

        def call() -> None:
            arrive(channel, b"hello")
            seen.append(reader.done())
            seen.append(NAME.get())

        reader = asyncio.create_task(read())
        await asyncio.sleep(0)
        await in_a_callback(call)
        await reader
        channel.close()

    asyncio.run(scenario())
    assert [b"hello", "reader", True, True, "nobody"] == seen


def test_a_reader_that_others_watch_is_woken_in_the_usual_way(sock: socket.socket) -> None:
    """
    Who else looks at the future is told as well.
    """
    told = []

    async def scenario() -> None:
        channel = opened(sock)
        reader = asyncio.create_task(channel.read(100, LONG))
        await asyncio.sleep(0)
        assert channel._reader is not None
        channel._reader.add_done_callback(told.append)
        await in_a_callback(lambda: arrive(channel, b"hello"))
        assert b"hello" == await reader
        channel.close()

    asyncio.run(scenario())
    assert 1 == len(told)


def test_bytes_for_a_reader_that_is_being_cancelled_are_kept(sock: socket.socket) -> None:
    """
    They arrive between the cancellation and the task's next step.
    """

    async def scenario() -> None:
        channel = opened(sock)
        reader = asyncio.create_task(channel.read(100, LONG))
        await asyncio.sleep(0)

        def call() -> None:
            reader.cancel()
            arrive(channel, b"hello")

        await in_a_callback(call)
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert b"hello" == await channel.read(100, LONG)
        channel.close()

    asyncio.run(scenario())


def test_a_reader_that_closes_what_it_reads_from(sock: socket.socket) -> None:
    """
    The call that wakes it finds the channel closed when it goes on.
    """

    async def scenario() -> None:
        channel = opened(sock)

        async def read() -> bytes:
            data = await channel.read(2, LONG)
            channel.close()
            return data

        reader = asyncio.create_task(read())
        await asyncio.sleep(0)
        await in_a_callback(lambda: arrive(channel, b"hello"))
        assert b"he" == await reader
        await in_a_callback(lambda: arrive(channel, b"more"))
        assert channel.stale() is True

    asyncio.run(scenario())


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_ends_the_program_ends_it(
    serve: Servers, loop: str, error: type[BaseException]
) -> None:
    """
    A task may raise it in the very step that an answer wakes it for; the loop does not swallow it.
    """
    address = serve(echo)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await channel.write(b"x", LONG)
        try:
            await channel.read(1, LONG)
            raise error
        finally:
            channel.close()

    with pytest.raises(error):
        Loop(loop)(scenario)


def test_the_deadline_of_a_wait_that_is_over_ends_nothing(sock: socket.socket) -> None:
    """
    The timer fires for it, finds the reader gone, and is not set again.
    """

    async def scenario() -> None:
        channel: Any = opened(sock)
        reader = asyncio.create_task(channel.read(100, 0.01))
        await asyncio.sleep(0)
        await in_a_callback(lambda: arrive(channel, b"hello"))
        assert b"hello" == await reader
        channel._tick()
        assert channel._timer is None
        with pytest.raises(ReadTimeout):
            await channel.read(100, 0)
        channel.close()

    asyncio.run(scenario())


# Memory.


@pytest.mark.parametrize("make", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_connections_of_a_loop_share_its_buffer(make: Any, sock: socket.socket) -> None:
    """
    What arrives is copied out before the loop fills it again; another loop has another one.
    """
    loops = [make(), make()]
    try:
        one, two, other = (AsyncioChannel(loop, sock) for loop in (*loops[:1] * 2, loops[1]))
    finally:
        for loop in loops:
            loop.close()

    assert one.get_buffer(-1) is two.get_buffer(-1)
    assert one.get_buffer(-1) is not other.get_buffer(-1)


def test_connections_of_unknown_loops_have_buffers_of_their_own(sock: socket.socket) -> None:
    """
    Such a loop may ask for one long before it fills it.
    """

    class Unknown(asyncio.AbstractEventLoop):
        """A loop that nobody knows."""

    loop = Unknown()
    one, two = AsyncioChannel(loop, sock), AsyncioChannel(loop, sock)

    assert one.get_buffer(-1) is not two.get_buffer(-1)
