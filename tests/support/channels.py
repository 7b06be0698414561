"""Channels against real servers on loopback, in each colour, uvloop included."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import pytest
import trio
import trio.testing
import uvloop

from scallion.pipeline.runtime import run
from scallion.transports.network import async_network, blocking_network
from scallion.transports.network.base import ByteChannel, Network

LONG = 5.0
SHORT = 0.02
BIG = 16 * 1024 * 1024

Scenario = Callable[[Network], Awaitable[Any]]
Handler = Callable[[socket.socket], None]


class Loop:
    """Plays a scenario in one of the colours."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, scenario: Scenario) -> Any:
        async def whole() -> Any:
            return await scenario(blocking_network() if self.name == "sync" else async_network())

        if self.name == "sync":
            return run(whole())
        if self.name == "trio":
            return trio.run(whole)
        factory = uvloop.new_event_loop if self.name == "uvloop" else None
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(whole())

    async def settle(self) -> None:
        """Let the loop notice what the kernel already knows."""
        for _ in range(8):
            if self.name in ("asyncio", "uvloop"):
                await asyncio.sleep(0)


class Servers:
    """Starts servers for one connection each, in a thread; at the end they must have ended without errors."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._stack = ExitStack()

    def __call__(self, handler: Handler, family: int = socket.AF_INET, at: Any = None) -> Any:
        """Where it listens."""
        listener = self._stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listener.bind(at if at is not None else ("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(LONG)
                    handler(connection)
            except BaseException as exc:
                self.errors.append(exc)

        thread = threading.Thread(target=serve)
        thread.start()
        self._threads.append(thread)
        return listener.getsockname()

    def close(self) -> None:
        for thread in self._threads:
            thread.join(LONG)
            assert not thread.is_alive()
        self._stack.close()
        # What nobody closed is found now, and warnings are errors.
        gc.collect()
        assert [] == self.errors


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def until_closed(connection: socket.socket) -> None:
    """Read and ignore, until the client closes, in whatever way."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def reset_when_spoken_to(connection: socket.socket) -> None:
    connection.recv(1)
    reset(connection)


async def read_exactly(channel: ByteChannel, size: int) -> bytes:
    parts = []
    while size and (data := await channel.read(65536, LONG)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


async def read_all(channel: ByteChannel) -> bytes:
    parts = []
    while data := await channel.read(65536, LONG):
        parts.append(data)
    return b"".join(parts)


async def cancelled(loop: Loop, work: Callable[[], Awaitable[Any]]) -> None:
    """Start `work`, let it block, cancel it."""
    if loop.name == "trio":
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    else:
        task = asyncio.ensure_future(work())
        await loop.settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
