"""Connect to a name: resolve it, try its addresses, keep the first connection (Happy Eyeballs, RFC 8305).

The addresses are tried in the resolver's order with the families interleaved. The next one starts when the
one before has failed, or has kept silent for a quarter of a second; whichever answers first is kept, and the others are
closed. The algorithm is the same for all networks: they differ only in how they resolve and how they wait.

RFC 8305 sections 3 and 6 do not apply: the system's resolver asks for both families itself, answers when it has both,
and sorts them (section 4, RFC 6724).
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain, zip_longest
from typing import Any, NamedTuple, Protocol

from .base import SocketOption
from .faults import connect_failed, connect_timed_out, place, unresolved

__all__ = ["Address", "Dialer", "as_addresses", "dial_tcp", "dial_unix", "is_address", "look_up"]

# RFC 8305 section 5 recommends 250 ms for the Connection Attempt Delay.
_STAGGER = 0.25
# How often an unanswered question of TCP's keep-alive is put again, before the connection is given up.
_PROBES = 5
# Linux takes no longer ones.
_LONGEST_KEEPALIVE = 32_767
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
    *,
    addresses: Sequence[tuple[str, int]] | None = None,
    keepalive: float | None = None,
) -> socket.socket:
    """A connected, non-blocking socket.

    Raises:
        ConnectTimeout, ConnectError: as `Network.connect_tcp`.
    """
    where = place(host, port)
    deadline = _deadline(timeout)
    if addresses is not None:
        found = [_given(where, each) for each in addresses]
    elif not (found := _literal(host, port)):
        found = await _resolve(dialer, host, port, timeout)
    options = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *socket_options)
    race = _Race(_interleaved(found), (host, port), local_address, options, keepalive)
    return await _won(race, dialer, where, timeout, deadline)


async def look_up(dialer: Dialer, host: str, port: int, timeout: float | None) -> list[str]:
    """The IP addresses of a name, as `Network.resolve`."""
    found = await _resolve(dialer, host, port, timeout)
    return list(dict.fromkeys(map(_text, found)))


async def _resolve(dialer: Dialer, host: str, port: int, timeout: float | None) -> list[Address]:
    where = place(host, port)
    try:
        return await dialer.resolve(host, port, timeout)
    except TimeoutError as exc:
        raise connect_timed_out(where, timeout) from exc
    # A label that is empty or too long is a UnicodeError; a port out of range may be an OverflowError.
    except (OSError, ValueError, OverflowError) as exc:
        raise unresolved(where, exc) from exc


async def dial_unix(
    dialer: Dialer,
    path: str | bytes,
    timeout: float | None,
    socket_options: Sequence[SocketOption] = (),
) -> socket.socket:
    """A connected, non-blocking socket.

    Raises:
        ConnectTimeout, ConnectError: as `Network.connect_unix`.
    """
    shown = os.fsdecode(path)
    # An abstract socket's name begins with a null, which tools show as an @.
    where = f"@{shown[1:]}" if shown.startswith("\0") else shown
    if not hasattr(socket, "AF_UNIX"):  # pragma: no cover  (Windows)
        raise connect_failed(where, [("", OSError("there are no Unix sockets on this system"))])
    race = _Race([Address(socket.AF_UNIX, path)], None, None, socket_options)
    return await _won(race, dialer, where, timeout, _deadline(timeout))


async def _won(
    race: _Race, dialer: Dialer, where: str, timeout: float | None, deadline: float | None
) -> socket.socket:
    try:
        while True:
            if not race.running and not race.start_next():
                raise connect_failed(where, race.failures) from race.last_failure()
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            # Several more addresses: wait for this one a moment only. The last one: wait to the end.
            patience = (
                left if not race.waiting else _STAGGER if left is None else min(_STAGGER, left)
            )
            done = await dialer.finished(race.running, patience)
            if (winner := race.judge(done)) is not None:
                return winner
            if not done and _passed(deadline):
                raise connect_timed_out(where, timeout, race.failures, race.silent())
            race.start_next()
    finally:
        race.call_off()


class _Race:
    """The attempts at one name's addresses: which run, which wait, which failed and why.

    Attributes:
        failures: Each address that failed, as it is to be named, and why.
    """

    __slots__ = (
        "_asked",
        "_keepalive",
        "_local",
        "_names",
        "_options",
        "failures",
        "running",
        "waiting",
    )

    def __init__(
        self,
        addresses: list[Address],
        asked: tuple[str, int] | None,
        local: str | None,
        options: Sequence[SocketOption],
        keepalive: float | None = None,
    ) -> None:
        self.waiting = addresses
        self.running: list[socket.socket] = []
        self.failures: list[tuple[str, Exception]] = []
        self._names: dict[socket.socket, str] = {}
        self._asked = asked
        self._local = local
        self._options = options
        self._keepalive = keepalive

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
                self.failures.append((self._name(target), exc))
                if sock is not None:
                    sock.close()
                continue
            except BaseException:
                if sock is not None:
                    sock.close()
                raise
            self.running.append(sock)
            self._names[sock] = self._name(target)
            return True
        return False

    def _start(self, sock: socket.socket, target: Any) -> None:
        sock.setblocking(False)
        if self._keepalive is not None:
            _keep_alive(sock, self._keepalive)
        # After it, so that the caller's own word is the last.
        for option in self._options:
            sock.setsockopt(*option)
        if self._local is not None:
            _bind(sock, self._local)
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
            self.failures.append((self._names.pop(sock), _os_error(code)))
        return None

    def silent(self) -> list[str]:
        """The addresses that have been tried and have not answered."""
        return [self._names[sock] for sock in self.running]

    def last_failure(self) -> Exception | None:
        return self.failures[-1][1] if self.failures else None

    def _name(self, target: Any) -> str:
        """How an address is named in an error: not at all if it is what was asked for."""
        if self._asked is None or target[:2] == self._asked:
            return ""
        host, port = target[:2]
        return str(host) if port == self._asked[1] else place(host, port)

    def call_off(self) -> None:
        while self.running:
            self.running.pop().close()


def _literal(host: str, port: int) -> list[Address]:
    """The address that an IP address means by itself: no resolver is asked, and no thread is needed."""
    # Scoped IPv6 addresses (fe80::1%eth0) are left to the resolver; what is plainly a name costs no exception.
    target: Any
    if ":" in host:
        family, target = socket.AF_INET6, (host, port, 0, 0)
    elif host[-1:].isdecimal():
        family, target = socket.AF_INET, (host, port)
    else:
        return []
    try:
        socket.inet_pton(family, host)
    except (OSError, ValueError):
        return []
    return [Address(family, target)]


def is_address(host: str) -> bool:
    """Whether this is an IP address itself, and no name for which a resolver has to be asked."""
    return bool(_literal(host, 0)) or (":" in host and "%" in host)


def _given(where: str, found: tuple[str, int]) -> Address:
    """An address that a resolver gave, IPv6 with or without a zone.

    Raises:
        ConnectError: it is none.
    """
    host, port = found
    known = _literal(host, port)
    if known:
        return known[0]
    try:
        # Nobody is asked: the zone of an address has a number.
        return as_addresses(
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        )[0]
    except (OSError, ValueError, OverflowError) as exc:
        reason = ValueError(f"its resolver gave {host!r}, which is no IP address")
        raise connect_failed(where, [("", reason)]) from exc


def _text(address: Address) -> str:
    """The address alone, with its zone if it has one."""
    host: str = address.target[0]
    if address.family == socket.AF_INET6 and "%" not in host and address.target[3]:
        return f"{host}%{address.target[3]}"
    return host


def _keep_alive(sock: socket.socket, seconds: float) -> None:
    """Let TCP ask after so much silence, and again and again (RFC 9293 section 3.8.4)."""
    # Where one is not to be had, that is no reason not to connect.
    with suppress(OSError):
        for option in _keep_alive_options(seconds):
            sock.setsockopt(*option)


@lru_cache(maxsize=16)
def _keep_alive_options(seconds: float) -> tuple[SocketOption, ...]:
    span = min(max(1, round(seconds)), _LONGEST_KEEPALIVE)
    # Linux and Windows call it IDLE, macOS ALIVE.
    idle = "TCP_KEEPIDLE" if hasattr(socket, "TCP_KEEPIDLE") else "TCP_KEEPALIVE"
    wanted = ((idle, span), ("TCP_KEEPINTVL", span), ("TCP_KEEPCNT", _PROBES))
    known = ((name, value) for name, value in wanted if hasattr(socket, name))
    return (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        *((socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in known),
    )


def _bind(sock: socket.socket, local: str) -> None:
    """Let the connection come from an address.

    Raises:
        OSError: there is no such address here, or it is not of the other end's family.
    """
    known = _literal(local, 0)
    if known and known[0].family != sock.family:
        raise OSError(f"local_address {local!r} is of the other family")
    try:
        sock.bind((local, 0))
    except OSError as exc:
        raise OSError(f"local_address {local!r}: {exc.strerror or exc}") from exc


def _interleaved(addresses: list[Address]) -> list[Address]:
    """The first family, the other, the first again … (RFC 8305 section 4)."""
    if len(addresses) < 2:
        return addresses
    first = addresses[0].family
    ours = [address for address in addresses if address.family == first]
    theirs = [address for address in addresses if address.family != first]
    return [address for address in chain(*zip_longest(ours, theirs)) if address is not None]


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _passed(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _os_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
