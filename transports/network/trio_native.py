"""The trio network: the sockets of the blocking one, and tasks that trio suspends until they are ready."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Any

import trio

from .base import ByteChannel, SocketOption
from .connecting import Address, as_addresses, dial_tcp, dial_unix, look_up
from .sockets import poll_now, readable_now
from .trio_alarm import alarm_of_this_run
from .trio_channel import TrioChannel

__all__ = ["TrioNetwork"]


class TrioWaits:
    """Waits for one socket. Every wait is a checkpoint."""

    __slots__ = ("_alarm", "_closing", "_poll", "_rung", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._alarm = alarm_of_this_run()
        self._rung = False
        self._closing = False
        # For looking whether an idle connection is still good.
        self._poll: select.poll | None = None

    async def readable(self, timeout: float | None) -> bool:
        try:
            if timeout is None:
                await trio.lowlevel.wait_readable(self._sock)
                return True
            self._rung = False
            self._alarm.set(self, timeout)
            try:
                await trio.lowlevel.wait_readable(self._sock)
            finally:
                self._alarm.waiting.pop(self, None)
        except trio.ClosedResourceError as exc:
            # Cases: the alarm rang; the socket is being closed.
            if self._rung and not self._closing:
                return False
            raise _bad_descriptor() from exc
        return True

    def ring(self) -> None:
        """End the wait of who reads, who has waited long enough."""
        if self._closing:
            return
        self._rung = True
        # The one way to end another task's wait for a socket. A writer is woken too, and tries once more.
        trio.lowlevel.notify_closing(self._sock)

    async def writable(self, timeout: float | None) -> bool:
        with trio.move_on_after(inf if timeout is None else max(0.0, timeout)) as scope:
            try:
                await trio.lowlevel.wait_writable(self._sock)
            except trio.ClosedResourceError as exc:
                if self._closing:
                    raise _bad_descriptor() from exc
        return not scope.cancelled_caught

    async def either(self, timeout: float | None) -> tuple[bool, bool]:
        await trio.lowlevel.checkpoint()
        # Most of the time the socket takes more, and no tasks are needed to find that out.
        readable, writable = poll_now(self._sock)
        if readable or writable:
            return readable, writable
        with trio.move_on_after(inf if timeout is None else max(0.0, timeout)):
            await _first_of_both(self._sock)
        return poll_now(self._sock)

    def readable_now(self) -> bool:
        if self._poll is None:
            if not hasattr(select, "poll"):  # pragma: no cover  (Windows)
                return readable_now(self._sock)
            self._poll = select.poll()
            self._poll.register(self._sock, select.POLLIN)
        return bool(self._poll.poll(0))

    def closing(self) -> bool:
        self._closing = True
        try:
            trio.lowlevel.notify_closing(self._sock)
        except (RuntimeError, OSError):
            # Not on trio's thread, or trio is over: then no task waits for this socket here.
            pass
        return True


def _bad_descriptor() -> OSError:
    return OSError(errno.EBADF, os.strerror(errno.EBADF))


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
        return TrioChannel(sock, TrioWaits(sock))

    async def connect_unix(
        self, path: str | bytes, timeout: float | None, socket_options: Sequence[SocketOption] = ()
    ) -> ByteChannel:
        sock = await dial_unix(self._dialer, path, timeout, socket_options)
        return TrioChannel(sock, TrioWaits(sock))
