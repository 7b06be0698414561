"""The trio network: the sockets of the blocking one, and tasks that trio suspends until they are ready."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Any

import trio

from .base import ByteChannel, SocketOption
from .connecting import Address, as_addresses, dial_tcp, dial_unix, look_up
from .sockets import SocketChannel, poll_now, readable_now

__all__ = ["TrioNetwork"]


class TrioWaits:
    """Waits for one socket. Every wait is a checkpoint."""

    __slots__ = ("_sock",)

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def readable(self, timeout: float | None) -> bool:
        return await _within(timeout, trio.lowlevel.wait_readable, self._sock)

    async def writable(self, timeout: float | None) -> bool:
        return await _within(timeout, trio.lowlevel.wait_writable, self._sock)

    async def either(self, timeout: float | None) -> tuple[bool, bool]:
        await trio.lowlevel.checkpoint()
        # Most of the time the socket takes more, and no tasks are needed to find that out.
        readable, writable = poll_now(self._sock)
        if readable or writable:
            return readable, writable
        await _within(timeout, _first_of_both, self._sock)
        return poll_now(self._sock)

    def readable_now(self) -> bool:
        return readable_now(self._sock)

    def closing(self) -> bool:
        try:
            trio.lowlevel.notify_closing(self._sock)
        except (RuntimeError, OSError):
            # Not on trio's thread, or trio is over: then no task waits for this socket here.
            pass
        return True


async def _within(
    timeout: float | None, wait: Callable[[Any], Awaitable[None]], subject: Any
) -> bool:
    """Whether `wait` came to its end in time."""
    try:
        if timeout is None:
            await wait(subject)
            return True
        with trio.move_on_after(max(0.0, timeout)) as scope:
            await wait(subject)
    except trio.ClosedResourceError as exc:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from exc
    else:
        return not scope.cancelled_caught


async def _first_of_both(sock: socket.socket) -> None:
    async with trio.open_nursery() as nursery:

        async def watch(wait: Callable[[Any], Awaitable[None]]) -> None:
            try:
                await wait(sock)
            except trio.ClosedResourceError:
                # The next attempt to use the socket says so.
                pass
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch, trio.lowlevel.wait_readable)
        nursery.start_soon(watch, trio.lowlevel.wait_writable)


class TrioDialer:
    """Resolves in trio's threads; waits with one task per socket."""

    async def resolve(self, host: str, port: int, timeout: float | None) -> list[Address]:
        with trio.move_on_after(inf if timeout is None else max(0.0, timeout)):
            return as_addresses(await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        raise TimeoutError

    async def finished(
        self, sockets: Sequence[socket.socket], timeout: float | None
    ) -> Sequence[socket.socket]:
        done: list[socket.socket] = []
        with trio.move_on_after(inf if timeout is None else max(0.0, timeout)):
            if len(sockets) == 1:
                await trio.lowlevel.wait_writable(sockets[0])
                return sockets
            async with trio.open_nursery() as nursery:

                async def watch(sock: socket.socket) -> None:
                    await trio.lowlevel.wait_writable(sock)
                    done.append(sock)
                    nursery.cancel_scope.cancel()

                for sock in sockets:
                    nursery.start_soon(watch, sock)
        return done


class TrioNetwork:
    """Connections whose operations suspend a trio task."""

    _dialer = TrioDialer()

    async def resolve(self, host: str, port: int, timeout: float | None) -> list[str]:
        return await look_up(self._dialer, host, port, timeout)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None,
        local_address: str | None = None,
        socket_options: Sequence[SocketOption] = (),
        *,
        addresses: Sequence[tuple[str, int]] | None = None,
        keepalive: float | None = None,
    ) -> ByteChannel:
        sock = await dial_tcp(
            self._dialer,
            host,
            port,
            timeout,
            local_address,
            socket_options,
            addresses=addresses,
            keepalive=keepalive,
        )
        return SocketChannel(sock, TrioWaits(sock))

    async def connect_unix(
        self, path: str | bytes, timeout: float | None, socket_options: Sequence[SocketOption] = ()
    ) -> ByteChannel:
        sock = await dial_unix(self._dialer, path, timeout, socket_options)
        return SocketChannel(sock, TrioWaits(sock))
