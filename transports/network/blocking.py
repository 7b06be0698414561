"""The blocking network: sockets that never block, and a poll where the thread has to wait.

Timeouts are arguments of the poll and not a property of the socket, so that a thread that reads and one
that writes do not disturb each other, and the common exchange costs three system calls: send, poll, recv.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
from collections.abc import Sequence

from .base import ByteChannel, SocketOption
from .connecting import Address, as_addresses, dial_tcp, dial_unix, look_up
from .faults import read_closed, read_failed, read_timed_out
from .sockets import SocketChannel, readable_now

__all__ = ["BlockingNetwork"]

# A poll counts milliseconds in a C int; what exceeds eleven days is for ever.
_LONGEST = 1_000_000.0


def _milliseconds(timeout: float | None) -> float | None:
    if timeout is None or timeout > _LONGEST:
        return None
    return timeout * 1000 if timeout > 0 else 0


class PollWaits:
    """Waits for one socket with poll objects made once. One thread per direction."""

    __slots__ = (
        "_closing",
        "_poll_either",
        "_poll_in",
        "_poll_out",
        "_sock",
        "_waiting_in",
        "_waiting_out",
    )

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        # A poll object must not be used by two threads at once: the first is the reader's, the others,
        # made when they are needed, are the writer's.
        self._poll_in = _poll(sock, select.POLLIN)
        self._poll_out: select.poll | None = None
        self._poll_either: select.poll | None = None
        self._waiting_in = False
        self._waiting_out = False
        self._closing = False

    async def readable(self, timeout: float | None) -> bool:
        self._waiting_in = True
        try:
            if self._closing:
                raise _closed()
            return bool(self._poll_in.poll(_milliseconds(timeout)))
        finally:
            self._waiting_in = False
            if self._closing:
                self._leave()

    async def writable(self, timeout: float | None) -> bool:
        if self._poll_out is None:
            self._poll_out = _poll(self._sock, select.POLLOUT)
        return bool(self._wait_out(self._poll_out, timeout))

    async def either(self, timeout: float | None) -> tuple[bool, bool]:
        if self._poll_either is None:
            self._poll_either = _poll(self._sock, select.POLLIN | select.POLLOUT)
        events = self._wait_out(self._poll_either, timeout)
        # POLLHUP and POLLERR, which nobody asks for, mean that the peer is gone: that is for the reader.
        return bool(events & ~select.POLLOUT), bool(events & select.POLLOUT)

    def _wait_out(self, poll: select.poll, timeout: float | None) -> int:
        self._waiting_out = True
        try:
            if self._closing:
                raise _closed()
            for _, events in poll.poll(_milliseconds(timeout)):
                return events
            return 0
        finally:
            self._waiting_out = False
            if self._closing:
                self._leave()

    def readable_now(self) -> bool:
        return bool(self._poll_in.poll(0))

    def closing(self) -> bool:
        # A thread that waits says so first and looks whether the socket is being closed then; a thread that closes
        # does it the other way round. So one of the two sees the other.
        self._closing = True
        if not (self._waiting_in or self._waiting_out):
            return True
        # Closing a descriptor does not wake the thread that polls it; shutting the connection down does.
        # Only then, for after a fork it would cut the parent's connection.
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        # The descriptor's number may soon be another socket's, and the thread may be just about to poll it.
        return False

    def _leave(self) -> None:
        """The last to wait closes the socket."""
        if not (self._waiting_in or self._waiting_out):
            self._sock.close()


class PollChannel(SocketChannel):
    """A connection on which one poll, and one call, is what reading costs."""

    __slots__ = ()

    _waits: PollWaits

    async def read(self, max_bytes: int, timeout: float | None) -> bytes:
        # As in the base class, and as `PollWaits.readable`, without the calls between.
        waits = self._waits
        while not self._closed:
            waits._waiting_in = True
            try:
                if waits._closing:
                    raise _closed()
                arrived = waits._poll_in.poll(_milliseconds(timeout))
                if waits._closing:
                    raise _closed()
                if not arrived:
                    raise read_timed_out(timeout)
                return self._sock.recv(max_bytes)
            except BlockingIOError:
                continue
            except OSError as exc:
                raise read_failed(exc) from exc
            finally:
                waits._waiting_in = False
                if waits._closing:
                    waits._leave()
        raise read_closed()

    def stale(self) -> bool:
        return self._closed or bool(self._waits._poll_in.poll(0))


class SelectWaits:  # pragma: no cover  (Windows has no poll)
    """Waits for one socket with `select`. One thread per direction."""

    __slots__ = ("_sock",)

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def readable(self, timeout: float | None) -> bool:
        return bool(select.select([self._sock], [], [], timeout)[0])

    async def writable(self, timeout: float | None) -> bool:
        return bool(select.select([], [self._sock], [], timeout)[1])

    async def either(self, timeout: float | None) -> tuple[bool, bool]:
        readable, writable, _ = select.select([self._sock], [self._sock], [], timeout)
        return bool(readable), bool(writable)

    def readable_now(self) -> bool:
        return readable_now(self._sock)

    def closing(self) -> bool:
        # Windows wakes a select whose socket is closed.
        return True


class PollDialer:
    """Resolves and waits by blocking the thread."""

    async def resolve(self, host: str, port: int, timeout: float | None) -> list[Address]:
        if timeout is None:
            return as_addresses(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        # The system's resolver knows no timeout and cannot be interrupted. A thread of its own can be left
        # behind; it ends with the resolver's own patience, and does not keep the program alive.
        lookup = _Lookup(host, port)
        lookup.start()
        lookup.join(timeout)
        return lookup.addresses()

    async def finished(
        self, sockets: Sequence[socket.socket], timeout: float | None
    ) -> Sequence[socket.socket]:
        if not hasattr(select, "poll"):  # pragma: no cover  (Windows: a failure is exceptional)
            _, connected, failed = select.select([], sockets, sockets, timeout)
            return [*connected, *failed]
        poll = select.poll()
        for sock in sockets:
            poll.register(sock, select.POLLOUT)
        ready = {descriptor for descriptor, _ in poll.poll(_milliseconds(timeout))}
        return [sock for sock in sockets if sock.fileno() in ready]


class _Lookup(threading.Thread):
    """One question to the system's resolver."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(name=f"scallion resolves {host}", daemon=True)
        self._question = (host, port)
        self._found: list[Address] | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            self._found = as_addresses(socket.getaddrinfo(*self._question, type=socket.SOCK_STREAM))
        except Exception as exc:  # noqa: BLE001  (it is raised where it was asked for)
            self._error = exc

    def addresses(self) -> list[Address]:
        if self._error is not None:
            raise self._error
        if self._found is None:
            raise TimeoutError("the name has not been resolved")
        return self._found


class BlockingNetwork:
    """Connections whose operations block the calling thread. Safe to share between threads."""

    _dialer = PollDialer()

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
        return _channel(sock)

    async def connect_unix(
        self, path: str | bytes, timeout: float | None, socket_options: Sequence[SocketOption] = ()
    ) -> ByteChannel:
        return _channel(await dial_unix(self._dialer, path, timeout, socket_options))


def _channel(sock: socket.socket) -> SocketChannel:
    if hasattr(select, "poll"):
        return PollChannel(sock, PollWaits(sock))
    return SocketChannel(sock, SelectWaits(sock))  # pragma: no cover  (Windows)


def _poll(sock: socket.socket, mask: int) -> select.poll:
    descriptor = sock.fileno()
    if descriptor < 0:
        raise _closed()
    poll = select.poll()
    poll.register(descriptor, mask)
    return poll


def _closed() -> OSError:
    return OSError(errno.EBADF, os.strerror(errno.EBADF))
