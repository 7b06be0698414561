"""What a pool shows of itself: each connection, by origin, at one moment. `print(client.pool)` makes a table of it.

It is taken while others work: the books are copied under the pool's lock, which nobody holds for long, and read
afterwards. What a connection says of itself may be younger than the books by a few microseconds.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scallion.pipeline.runtime import loop_ended

from .connection_info import named_address
from .pool import Pool, PoolStats

__all__ = [
    "ConnectionState",
    "OriginState",
    "PoolState",
    "combined",
    "loops_named",
    "state_of",
    "summed",
]

# Who sets no limit to HTTP/2's streams allows some thousand millions.
_NO_LIMIT = 1_000_000
_HEADINGS = ("origin", "protocol", "state", "streams", "served", "age", "idle", "peer")


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """One connection.

    Attributes:
        protocol: "HTTP/1.1" or "HTTP/2".
        state: "active", "idle", or "draining": it ends what it has begun and takes nothing new, since the server said
            GOAWAY, say, or the client was closed.
        streams: Exchanges under way.
        room: How many there may be at once; None for any number. 1 in HTTP/1.1.
        exchanges: How many there have been, those under way included.
        age: Seconds since it was opened.
        idle: Seconds since it became idle; None while it is not.
        peer: Where it leads to: (address, port), or a Unix socket's path. With a proxy that is the proxy.
        proxy: The URL of the proxy that it goes through, without the login.
    """

    protocol: str
    state: Literal["active", "idle", "draining"]
    streams: int
    room: int | None
    exchanges: int
    age: float
    idle: float | None
    peer: tuple[str, int] | str | bytes | None
    proxy: str | None

    def _cells(self) -> tuple[str, ...]:
        streams = str(self.streams) if self.room is None else f"{self.streams} of {self.room}"
        idle = "" if self.idle is None else f"{self.idle:.1f} s"
        peer = named_address(self.peer)
        return (
            self.protocol,
            self.state,
            streams if self.protocol == "HTTP/2" else "",
            str(self.exchanges),
            f"{self.age:.1f} s",
            idle,
            peer if self.proxy is None else f"{peer} (proxy)",
        )


@dataclass(frozen=True, slots=True)
class OriginState:
    """The connections to one origin, and who waits for one.

    Attributes:
        origin: Scheme, host and port: "https://example.org:443".
        connections: Those in use first, then the idle ones, longest idle first.
        waiting: Requests that wait for a connection or a stream.
    """

    origin: str
    connections: tuple[ConnectionState, ...]
    waiting: int

    def _rows(self) -> list[tuple[str, ...]]:
        rows = [connection._cells() for connection in self.connections]
        if self.waiting:
            rows.append((f"{self.waiting} waiting", *("",) * 6))
        return [(self.origin if index == 0 else "", *cells) for index, cells in enumerate(rows)]


class PoolState(PoolStats):
    """What a pool, or several together, held at one moment. Equal to another one if their totals are.

    `repr` is one line, `str` a table.

    Attributes:
        active: Connections in use or being opened.
        idle: Connections kept for reuse.
        waiting: Requests that wait for one.
        limit: How many connections there may be; None for any number.
        opening: Those of the active ones that are being opened.
        origins: Each origin that has connections or is waited for.
        parts: The same of each pool by its name, if these are several: a client's transports by their mounts, an async
            transport's event loops.
    """

    __slots__ = ("opening", "origins", "parts")

    def __init__(
        self,
        active: int = 0,
        idle: int = 0,
        waiting: int = 0,
        limit: int | None = 0,
        *,
        opening: int = 0,
        origins: Iterable[OriginState] = (),
        parts: Mapping[str, PoolState] | None = None,
    ) -> None:
        super().__init__(active, idle, waiting, limit)
        self.opening = opening
        self.origins = tuple(origins)
        self.parts = dict(parts or {})

    def __str__(self) -> str:
        lines = [repr(self)]
        if self.parts:
            for name, part in self.parts.items():
                first, *rest = str(part).splitlines()
                lines += [f"{name}: {first}", *(f"  {line}" for line in rest)]
        elif self.origins:
            lines += _table([_HEADINGS, *(row for one in self.origins for row in one._rows())])
        if self.opening and not self.parts:
            lines.append(f"{self.opening} being opened")
        return "\n".join(lines)


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def state_of(pool: Pool[Any]) -> PoolState:
    """The state of one pool. From any thread; it waits for nothing but the pool's lock."""
    books = pool.books()
    now = time.perf_counter()
    connections: dict[Hashable, list[ConnectionState]] = {key: [] for key in books.queue}
    for connection, streams in books.in_use.items():
        seen = _seen(connection, now, streams, leaving=connection in books.doomed)
        connections.setdefault(connection.key, []).append(seen)
    for connection in books.idle:
        connections.setdefault(connection.key, []).append(_seen(connection, now, 0, leaving=False))
    stats = books.stats
    return PoolState(
        stats.active,
        stats.idle,
        stats.waiting,
        stats.limit,
        opening=max(0, stats.active - len(books.in_use)),
        origins=[
            OriginState(_named(key), tuple(found), books.queue.count(key))
            for key, found in connections.items()
        ],
    )


def loops_named(keys: Iterable[Hashable]) -> list[str]:
    """Names for event loops, by the runtime's keys: "asyncio loop 1", "trio loop 2"."""
    names = []
    for number, key in enumerate(keys, 1):
        kind = type(key).__module__.partition(".")[0]
        names.append(f"{kind} loop {number}{' (ended)' if loop_ended(key) else ''}")
    return names


def summed(limits: Iterable[int | None]) -> int | None:
    """The limit of several pools together."""
    every = list(limits)
    return None if None in every else sum(limit for limit in every if limit is not None)


def combined(parts: Mapping[str, PoolState], limit: int | None) -> PoolState:
    """Several pools together, each under its name. One alone is given as it is.

    Args:
        parts: The pools' states.
        limit: How many connections there may be in all of them.
    """
    states = list(parts.values())
    if len(states) == 1:
        return states[0]
    return PoolState(
        sum(state.active for state in states),
        sum(state.idle for state in states),
        sum(state.waiting for state in states),
        limit,
        opening=sum(state.opening for state in states),
        origins=[origin for state in states for origin in state.origins],
        parts=parts,
    )


def _seen(connection: Any, now: float, streams: int, *, leaving: bool) -> ConnectionState:
    link = connection.link
    shared = connection.protocol == "HTTP/2"
    room: int | None = connection.room if shared else 1
    state: Literal["active", "idle", "draining"] = "active" if streams else "idle"
    # A shared connection without room takes nothing new; what it has begun, it ends.
    if leaving or room == 0:
        state = "draining"
    return ConnectionState(
        protocol=connection.protocol,
        state=state,
        streams=streams,
        room=None if room is not None and room > _NO_LIMIT else room,
        exchanges=connection.exchanges,
        age=now - link.opened,
        idle=None if streams else max(0.0, now - connection.used_at),
        peer=link.peer,
        proxy=link.proxy,
    )


def _named(key: Any) -> str:
    """An origin's key as people write it; with the TLS server name, where a request gave another."""
    scheme, host, port, *names = key
    origin = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
    return f"{origin} as {names[0]}" if names else origin
