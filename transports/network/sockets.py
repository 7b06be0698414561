"""A channel over a non-blocking socket: try, and where the kernel says "not yet", wait.

Who waits, and how, is a parameter: the blocking network polls, trio suspends the task. No state is shared
between the two directions, so one thread may read while another writes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
from typing import TYPE_CHECKING, Any, Protocol

from .carrying import Carrying
from .faults import (
    read_closed,
    read_failed,
    read_timed_out,
    write_closed,
    write_failed,
    write_timed_out,
)

if TYPE_CHECKING:
    import socket

__all__ = ["SocketChannel", "Waits", "poll_now", "readable_now", "socket_info"]


class Waits(Protocol):
    """How one socket is waited for. All raise `OSError` if the socket is closed meanwhile."""

    async def readable(self, timeout: float | None) -> bool:
        """Whether there is something to receive (the end counts) within `timeout` seconds."""

    async def writable(self, timeout: float | None) -> bool:
        """Whether something can be sent within `timeout` seconds."""

    async def either(self, timeout: float | None) -> tuple[bool, bool]:
        """As soon as one is true: is it readable, is it writable."""

    def readable_now(self) -> bool:
        """`readable`, without waiting; only while nobody reads."""

    def closing(self) -> bool:
        """The socket is about to be closed: wake whoever waits for it. Returns False if who waits closes it."""


class SocketChannel(Carrying):
    """One connection. Owns the socket."""

    __slots__ = ("_closed", "_sock", "_waits")

    def __init__(self, sock: socket.socket, waits: Waits) -> None:
        self._sock = sock
        self._waits = waits
        self._closed = False

    async def read(self, max_bytes: int, timeout: float | None) -> bytes:
        # Waiting comes first: an answer is hardly ever there when it is asked for, and a refused
        # recv costs more than the poll that it would save.
        while not self._closed:
            try:
                if not await self._waits.readable(timeout):
                    raise read_timed_out(timeout)
                return self._sock.recv(max_bytes)
            except BlockingIOError:
                continue
            except OSError as exc:
                raise read_failed(exc) from exc
        raise read_closed()

    async def read_into(self, buffer: memoryview, timeout: float | None, least: int = 1) -> int:
        filled = 0
        while not self._closed:
            try:
                if not await self._waits.readable(timeout):
                    raise read_timed_out(timeout)
                with buffer[filled:] as rest:
                    got = self._sock.recv_into(rest)
            except BlockingIOError:
                continue
            except OSError as exc:
                raise read_failed(exc) from exc
            filled += got
            if filled >= least or not got:
                return filled
        raise read_closed()

    def read_nowait(self, max_bytes: int) -> bytes | None:
        try:
            return self._sock.recv(max_bytes)
        except BlockingIOError:
            return None
        except OSError as exc:
            raise read_failed(exc) from exc

    async def write(self, data: bytes, timeout: float | None) -> None:
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            raise write_failed(exc) from exc
        if sent == len(data):
            return
        rest = memoryview(data)[sent:]
        while rest:
            try:
                if not await self._waits.writable(timeout):
                    raise write_timed_out(timeout)
            except OSError as exc:
                raise write_failed(exc) from exc
            rest = rest[self._send(rest) :]

    async def write_some(self, data: memoryview, timeout: float | None) -> int:
        while not self._closed:
            try:
                readable, writable = await self._waits.either(timeout)
            except OSError as exc:
                raise write_failed(exc) from exc
            if readable:
                return 0
            if not writable:
                raise write_timed_out(timeout)
            try:
                return self._sock.send(data)
            except BlockingIOError:
                continue
            except OSError as exc:
                # If the peer has just gone, reading tells whether it answered before.
                if self._waits.readable_now():
                    return 0
                raise write_failed(exc) from exc
        raise write_closed()

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError as exc:
            raise write_failed(exc) from exc

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._waits.closing():
            # Where close fails, the descriptor is released all the same.
            with contextlib.suppress(OSError):
                self._sock.close()

    async def aclose(self) -> None:
        self.close()

    def answered(self) -> bool:
        return self._closed or self._waits.readable_now()

    def stale(self) -> bool:
        return self._closed or self._waits.readable_now()

    def info(self, name: str) -> Any:
        if name == "socket":
            return self._sock
        if name == "is_readable":
            return self._closed or readable_now(self._sock)
        return socket_info(self._sock, name)


def socket_info(sock: Any, name: str) -> Any:
    """`"client_addr"` and `"server_addr"`; None for anything else, or once the socket is closed."""
    try:
        if name == "client_addr":
            return sock.getsockname()
        if name == "server_addr":
            return sock.getpeername()
    except OSError:
        pass
    return None


def readable_now(sock: Any) -> bool:
    """Whether a socket has something to receive, its end included."""
    return poll_now(sock)[0]


def poll_now(sock: Any) -> tuple[bool, bool]:
    """Whether a socket can be read, whether it can be written; by a poll of its own, without waiting.

    Raises:
        OSError: it is closed.
    """
    if sock.fileno() < 0:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    if not hasattr(select, "poll"):  # pragma: no cover  (Windows)
        readable, writable, _ = select.select([sock], [sock], [], 0)
        return bool(readable), bool(writable)
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLOUT)
    events = sum(events for _, events in poll.poll(0))
    # Events that nobody asks for, hanging up and errors, are for the reader.
    return bool(events & ~select.POLLOUT), bool(events & select.POLLOUT)
