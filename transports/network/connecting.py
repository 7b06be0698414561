"""Connect to a name: resolve it, try its addresses, keep the first connection (Happy Eyeballs, RFC 8305).

The addresses are tried in the resolver's order with the families interleaved. The next one starts when the
one before has failed, or has kept silent for a quarter of a second; whichever answers first is kept. The
algorithm is the same for all networks: they differ only in how they resolve and how they wait.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any, NamedTuple, Protocol

from .base import SocketOption
from .faults import connect_failed, connect_timed_out, place, unresolved

__all__ = ["Address", "Dialer", "as_addresses", "dial_tcp", "dial_unix"]

# RFC 8305 section 5 recommends 250 ms for the Connection Attempt Delay.
_STAGGER = 0.25
_UNDERWAY = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR})


class Address(NamedTuple):
    """What `socket.socket` and its `connect` need."""

    family: int
    target: Any


class Dialer(Protocol):
    """How one network resolves and waits."""

    async def resolve(self, host: str, port: int, timeout: float | None) -> list[Address]:
        """The addresses of a name, best first.

        Raises:
            TimeoutError: not within `timeout`.
            OSError, ValueError, OverflowError: the name does not resolve.
        """

    async def finished(
        self, sockets: Sequence[socket.socket], timeout: float | None
    ) -> Sequence[socket.socket]:
        """Wait until some of these have connected or failed; none of them once `timeout` is over."""


def as_addresses(found: Iterable[tuple[Any, ...]]) -> list[Address]:
    """What `getaddrinfo` found."""
    return [Address(family, target) for family, _, _, _, target in found]


async def dial_tcp(
    dialer: Dialer,
    host: str,
    port: int,
    timeout: float | None,
    local_address: str | None = None,
    socket_options: Sequence[SocketOption] = (),
) -> socket.socket:
    """A connected, non-blocking socket.

    Raises:
        ConnectTimeout, ConnectError: as `Network.connect_tcp`.
    """
    where = place(host, port)
    deadline = _deadline(timeout)
    addresses = _literal(host, port)
    if not addresses:
        try:
            addresses = _interleaved(await dialer.resolve(host, port, timeout))
        except TimeoutError as exc:
            raise connect_timed_out(where, timeout) from exc
        # A label that is empty or too long is a UnicodeError; a port out of range may be an OverflowError.
        except (OSError, ValueError, OverflowError) as exc:
            raise unresolved(where, exc) from exc
    options = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *socket_options)
    race = _Race(addresses, local_address, options)
    return await _won(race, dialer, where, timeout, deadline)


async def dial_unix(
    dialer: Dialer,
    path: str,
    timeout: float | None,
    socket_options: Sequence[SocketOption] = (),
) -> socket.socket:
    """A connected, non-blocking socket.

    Raises:
        ConnectTimeout, ConnectError: as `Network.connect_unix`.
    """
    race = _Race([Address(socket.AF_UNIX, path)], None, socket_options)
    return await _won(race, dialer, path, timeout, _deadline(timeout))


async def _won(
    race: _Race, dialer: Dialer, where: str, timeout: float | None, deadline: float | None
) -> socket.socket:
    try:
        while True:
            if not race.running and not race.start_next():
                raise connect_failed(where, race.failures) from _last(race.failures)
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            # Several more addresses: wait for this one a moment only. The last one: wait to the end.
            patience = (
                left if not race.waiting else _STAGGER if left is None else min(_STAGGER, left)
            )
            done = await dialer.finished(race.running, patience)
            if (winner := race.judge(done)) is not None:
                return winner
            if not done and _passed(deadline):
                raise connect_timed_out(where, timeout)
            race.start_next()
    finally:
        race.call_off()


class _Race:
    """The attempts at one name's addresses: which run, which wait, which failed and why."""

    __slots__ = ("_local", "_options", "failures", "running", "waiting")

    def __init__(
        self, addresses: list[Address], local: str | None, options: Sequence[SocketOption]
    ) -> None:
        self.waiting = addresses
        self.running: list[socket.socket] = []
        self.failures: list[Exception] = []
        self._local = local
        self._options = options

    def start_next(self) -> bool:
        """Start the next address that can be started at all; False if none is left."""
        while self.waiting:
            family, target = self.waiting.pop(0)
            sock = None
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
                self._start(sock, target)
            # An address out of range is an OverflowError; a null in a path, a ValueError.
            except (OSError, OverflowError, ValueError) as exc:
                self.failures.append(exc)
                if sock is not None:
                    sock.close()
                continue
            self.running.append(sock)
            return True
        return False

    def _start(self, sock: socket.socket, target: Any) -> None:
        sock.setblocking(False)
        for option in self._options:
            sock.setsockopt(*option)
        if self._local is not None:
            sock.bind((self._local, 0))
        code = sock.connect_ex(target)
        if code not in _UNDERWAY:
            raise _os_error(code)

    def judge(self, done: Iterable[socket.socket]) -> socket.socket | None:
        """The first of these that has connected; those that have failed are closed."""
        for sock in done:
            self.running.remove(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                return sock
            sock.close()
            self.failures.append(_os_error(code))
        return None

    def call_off(self) -> None:
        while self.running:
            self.running.pop().close()


def _literal(host: str, port: int) -> list[Address]:
    """The address that an IP address means by itself: no resolver is asked, and no thread is needed."""
    # Scoped IPv6 addresses (fe80::1%eth0) are left to the resolver.
    for family, target in (
        (socket.AF_INET, (host, port)),
        (socket.AF_INET6, (host, port, 0, 0)),
    ):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return [Address(family, target)]
    return []


def _interleaved(addresses: list[Address]) -> list[Address]:
    """The first family, the other, the first again … (RFC 8305 section 4)."""
    if not addresses:
        return []
    first = addresses[0].family
    ours = [address for address in addresses if address.family == first]
    theirs = [address for address in addresses if address.family != first]
    return [address for address in chain(*zip_longest(ours, theirs)) if address is not None]


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _passed(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _last(failures: list[Exception]) -> Exception | None:
    return failures[-1] if failures else None


def _os_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
