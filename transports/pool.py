"""The pool's book-keeping: who may open a connection, who gets which idle one, which must go.

Rules:

- Every decision is synchronous and O(1): it changes the books under a lock that is held for no wait, and returns
  what to open and what to close. Opening and closing are the caller's.
- A *slot* is the right to one connection. It is either with a caller (opening or using its connection)
  or with an idle connection; slots never exceed `max_connections`, nor those of one origin `max_connections_per_host`.
- A slot that comes free goes to who has waited longest of those who can use it, together with its connection if that
  leads to the right origin, else the connection is closed.
- There is one queue for slots of any kind, and one for each origin that has all it may have. While the one is
  not empty nothing is idle; while one of the others is not, its origin is full, and none of its connections is idle.
  Whoever reaches the front of the one and finds his origin full goes on to the other; so everybody there has waited
  longer than anybody in the one, and each moves once: that is O(1) for each who waits.
- Idle connections are reused last in, first out, so that surplus ones expire; over all origins
  the longest idle goes first when room is needed.
- A connection past its age is not reused. One in use is never closed for that: its user gives it back.
- A finaliser may run anywhere, even inside a pool operation of the same thread: it only appends to
  `abandoned`, and the next operation does the work.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from math import inf
from typing import Generic, NamedTuple, Protocol, TypeVar

from scallion.pipeline.runtime import Event, Runtime
from scallion.pipeline.settings import Limits

__all__ = ["Pool", "PoolStats", "Poolable", "Taken", "Waiter"]


_YOUNGEST = 0.9
"""Of `max_connection_age`, what a connection lasts at least."""
_LOOK_AGAIN = 1.0
"""Seconds after which idle connections of uneven patience are looked at again."""


class Poolable(Protocol):
    """What the pool keeps: it knows its key, and can be closed without waiting.

    Attributes:
        idle_limit: Seconds that it may be idle, as far as the other side is concerned; inf for any time.
        retires_at: When it is too old to be used again, on the runtime's clock. The pool sets it.
    """

    idle_limit: float
    retires_at: float

    @property
    def key(self) -> Hashable: ...

    def close(self) -> None: ...


C = TypeVar("C", bound=Poolable)


class Waiter(Generic[C]):
    """One caller in the queue.

    Attributes:
        granted: Whether a slot was handed over.
        closed: Whether the pool was closed meanwhile.
        connection: The connection that came with the slot; None to open one.
    """

    __slots__ = ("closed", "connection", "event", "granted", "key")

    def __init__(self, key: Hashable, event: Event) -> None:
        self.key = key
        self.event = event
        self.connection: C | None = None
        self.granted = False
        self.closed = False


class Taken(Generic[C]):
    """The answer to `take`: a connection to use, or a waiter to wait on, or neither: open one.

    Attributes:
        close: Connections that the caller must close now.
    """

    __slots__ = ("close", "connection", "waiter")

    def __init__(self, connection: C | None, waiter: Waiter[C] | None, close: list[C]) -> None:
        self.connection = connection
        self.waiter = waiter
        self.close = close


class PoolStats:
    """How many slots are in use, idle and waited for, of how many; None is no limit."""

    __slots__ = ("active", "idle", "limit", "waiting")

    def __init__(self, active: int, idle: int, waiting: int, limit: int | None) -> None:
        self.active = active
        self.idle = idle
        self.waiting = waiting
        self.limit = limit

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PoolStats) and all(
            getattr(self, name) == getattr(other, name) for name in PoolStats.__slots__
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        limit = "no limit" if self.limit is None else self.limit
        return f"<Pool {self.active} active, {self.idle} idle, {self.waiting} waiting of {limit}>"


class Books(NamedTuple, Generic[C]):
    """What a pool holds at one moment.

    Attributes:
        stats: How many of what.
        in_use: The connections in use, and how many exchanges each carries.
        doomed: Those of them that will not be used again.
        idle: The idle ones, longest idle first.
        queue: For what each who waits is waiting.
    """

    stats: PoolStats
    in_use: dict[C, int]
    doomed: set[C]
    idle: list[C]
    queue: list[Hashable]


class Pool(Generic[C]):
    """The books of one transport's connections. Safe to share between threads and tasks.

    Args:
        random: Between 0 and 1, for the connections' ages; `random.random` by default.
    """

    def __init__(
        self, limits: Limits, runtime: Runtime, random: Callable[[], float] | None = None
    ) -> None:
        self._limit = limits.max_connections
        # httpx's own Limits, which a program may still have at hand, do not know the others.
        self._host_limit: int | None = getattr(limits, "max_connections_per_host", None)
        self._max_age: float | None = getattr(limits, "max_connection_age", None)
        self._keep = limits.max_keepalive_connections
        self._expiry = inf if limits.keepalive_expiry is None else limits.keepalive_expiry
        self._keeps = self._keep != 0 and self._expiry != 0
        self._runtime = runtime
        self._clock = runtime.clock
        self._random = random
        # Re-entrant only so that it can be asked whose it is.
        self._lock = threading.RLock()
        self._active: dict[C, None] = {}
        self._slots = 0
        self._idle: dict[Hashable, dict[C, None]] = {}
        # All idle connections, longest idle first, with the moment until which each may be used.
        self._ages: OrderedDict[C, float] = OrderedDict()
        # Whether some of these may be used for less long than others; before when none of them need be looked for.
        self._uneven = False
        self._soonest = inf
        # Connections to each origin, busy and idle, if they are limited.
        self._counts: dict[Hashable, int] = {}
        self._waiters: OrderedDict[Waiter[C], None] = OrderedDict()
        self._held: dict[Hashable, OrderedDict[Waiter[C], None]] = {}
        self.abandoned: deque[C] = deque()
        self._doomed: set[C] = set()

    def reuse(self, key: Hashable) -> C | None:
        """The common case of `take`: a slot with an idle connection, and nothing to close. None: ask `take`."""
        with self._lock:
            idle = self._idle.get(key)
            if not idle or self._waiters or self.abandoned or self._clock() >= self._soonest:
                return None
            connection, _ = idle.popitem()
            if self._uneven and self._clock() >= self._ages.get(connection, -inf):
                idle[connection] = None
                return None
            if not idle:
                del self._idle[key]
            # A signal's handler that raised may have come between the two books.
            self._ages.pop(connection, None)
            self._slots += 1
            self._active[connection] = None
            return connection

    def take(self, key: Hashable) -> Taken[C]:
        """Claim a slot for `key`, with an idle connection if there is one."""
        with self._lock:
            due = self.abandoned or self._clock() >= self._soonest
            taken = self._take(key, self._tidy() if due else [])
            if self._uneven:
                # The one that was taken may have lasted longer than those behind it.
                self._soonest = -inf
                taken.close += self._tidy()
            return taken

    def retake(self, stale: C) -> Taken[C]:
        """Trade a connection that turned out to be stale for another idle one, keeping the slot; None: open one.

        The caller closes `stale`, too.
        """
        with self._lock:
            self._active.pop(stale, None)
            self._doomed.discard(stale)
            taken: Taken[C] = Taken(None, None, [])
            taken.connection = self._pop_idle(stale.key, taken.close)
            if taken.connection is not None:
                self._uncount(stale.key)
                self._active[taken.connection] = None
            return taken

    def opened(self, connection: C) -> list[C]:
        """Tell that a slot's holder has opened its connection. Returns what the caller must close."""
        with self._lock:
            self._begin(connection)
            return []

    def gave_up(self, key: Hashable, *, failed: bool) -> list[C]:  # noqa: ARG002  (sharing tells them apart)
        """Give back the slot of who was opening a connection and failed, or was cancelled."""
        with self._lock:
            close = self._settle(key, None, reusable=False)
        return close + self.reclaim() if self.abandoned else close

    def release(self, connection: C, *, reusable: bool) -> list[C]:
        """Give a slot back, with its connection. Returns what the caller must close.

        A connection that was given back already is left alone.
        """
        lock = self._lock
        if lock._is_owned():  # type: ignore[attr-defined]
            # Garbage collection has struck inside the pool, and closes a body that somebody stopped to iterate.
            self.abandoned.append(connection)
            return []
        with lock:
            if connection not in self._active:
                return [] if reusable else [connection]
            del self._active[connection]
            close = self._settle(connection.key, connection, reusable=reusable)
        return close + self.reclaim() if self.abandoned else close

    def leave(self, waiter: Waiter[C]) -> list[C]:
        """Stop waiting; a slot that was granted meanwhile goes to the next. Returns what the caller must close."""
        with self._lock:
            if not waiter.granted:
                self._unwait(waiter)
                return []
            connection, waiter.connection = waiter.connection, None
            if connection is not None:
                self._active.pop(connection, None)
            close = self._settle(waiter.key, connection, reusable=connection is not None)
        return close + self.reclaim() if self.abandoned else close

    def holding(self, waiter: Waiter[C]) -> str | None:
        """The name of the limit that keeps somebody waiting; None if it is no limit."""
        with self._lock:
            if self._is_full(waiter.key):
                return "max_connections_per_host"
            return "max_connections" if waiter in self._waiters else None

    def drain(self) -> list[C]:
        """Forget all idle connections, turn away who waits, and return these and those in use for closing."""
        with self._lock:
            self._turn_away()
            close = self._tidy()
            while self._ages:
                close.append(self._pop_oldest())
            close.extend(self._active)
            # Closed while in use: none of them may become idle.
            self._doomed.update(self._active)
            return close

    def inherited(self) -> list[C]:
        """In a child process: the idle connections, which are the parent's. Takes no lock, for it may be held."""
        return list(self._ages)

    def reclaim(self) -> list[C]:
        """Settle what finalisers left, unless the lock is taken: then its holder's successor will."""
        close: list[C] = []
        if self._lock._is_owned():  # type: ignore[attr-defined]
            return close
        # Again, if a finaliser came while the lock was held here: it found it taken, and went.
        while self.abandoned and self._lock.acquire(blocking=False):
            try:
                close += self._tidy()
            finally:
                self._lock.release()
        return close

    def stats(self) -> PoolStats:
        with self._lock:
            return PoolStats(self._slots, len(self._ages), self._waiting(), self._limit)

    def books(self) -> Books[C]:
        """A copy of all that is known, for who looks at it: see `pool_state`."""
        with self._lock:
            in_use = dict.fromkeys(self._active, 1)
            return Books(self.stats(), in_use, set(self._doomed), list(self._ages), self._wanted())

    def __repr__(self) -> str:
        return repr(self.stats())

    # All below runs under the lock.

    def _begin(self, connection: C) -> None:
        self._active[connection] = None
        if self._max_age is not None:
            if self._random is None:
                from random import random

                self._random = random
            share = _YOUNGEST + (1 - _YOUNGEST) * self._random()
            connection.retires_at = self._clock() + self._max_age * share

    def _take(self, key: Hashable, close: list[C], waiter: Waiter[C] | None = None) -> Taken[C]:
        """Claim a slot, or queue: as `waiter`, if there is one already."""
        if not self._waiters:
            connection = self._pop_idle(key, close)
            if connection is not None:
                self._slots += 1
                self._active[connection] = None
                return Taken(connection, None, close)
            if self._host_limit is None or not self._is_full(key):
                if self._limit is None or self._slots + len(self._ages) < self._limit:
                    self._slots += 1
                    self._count(key)
                    return Taken(None, None, close)
                if self._ages:
                    close.append(self._pop_oldest())
                    self._slots += 1
                    self._count(key)
                    return Taken(None, None, close)
        waiter = waiter or Waiter(key, self._runtime.event())
        # Behind those who came before: some of them may have to wait for this very origin.
        if self._waiters or not self._is_full(key):
            self._waiters[waiter] = None
        else:
            self._held.setdefault(key, OrderedDict())[waiter] = None
        return Taken(None, waiter, close)

    def _tidy(self) -> list[C]:
        close: list[C] = []
        while self.abandoned:
            connection = self.abandoned.popleft()
            if connection in self._active:
                del self._active[connection]
                close += self._settle(connection.key, connection, reusable=False)
        if self._soonest != inf:
            now = self._clock()
            while (until := next(iter(self._ages.values()), inf)) <= now:
                close.append(self._pop_oldest())
            # Behind the first others may have less time left.
            self._soonest = min(until, now + _LOOK_AGAIN) if self._uneven and self._ages else until
        return close

    def _settle(self, key: Hashable, connection: C | None, *, reusable: bool) -> list[C]:
        """Pass a slot on, with its connection if it has one and that is `reusable`."""
        if self._doomed and connection in self._doomed:
            self._doomed.discard(connection)
            reusable = False
        if self._max_age is not None and reusable and connection is not None:
            reusable = self._clock() < connection.retires_at
        if self._waiters or self._held:
            heir = self._heir(key)
            if heir is not None:
                if connection is None or not reusable or key != heir.key:
                    self._uncount(key)
                    self._count(heir.key)
                    close = [] if connection is None else [connection]
                    return close + self._hand_over(heir, None)
                return self._hand_over(heir, connection)
        self._slots -= 1
        if connection is None or not (reusable and self._keeps):
            self._uncount(key)
            return [] if connection is None else [connection]
        idle = self._idle.get(key)
        if idle is None:
            self._idle[key] = {connection: None}
        else:
            idle[connection] = None
        now = self._clock()
        until = now + self._expiry
        if connection.idle_limit < self._expiry or connection.retires_at < until:
            self._uneven = True
            until = min(now + connection.idle_limit, connection.retires_at, until)
        self._ages[connection] = until
        self._soonest = min(self._soonest, until)
        if self._keep is not None and len(self._ages) > self._keep:
            return [self._pop_oldest()]
        return []

    def _pop_idle(self, key: Hashable, close: list[C]) -> C | None:
        """The latest that is idle and good; those found to be no longer are to be closed."""
        idle = self._idle.get(key)
        while idle:
            connection, _ = idle.popitem()
            if not idle:
                del self._idle[key]
            until = self._ages.pop(connection, -inf)
            if not self._uneven or self._clock() < until:
                return connection
            self._uncount(key)
            close.append(connection)
        return None

    def _pop_oldest(self) -> C:
        connection, _ = self._ages.popitem(last=False)
        idle = self._idle.get(connection.key, {})
        idle.pop(connection, None)
        if not idle:
            self._idle.pop(connection.key, None)
        self._uncount(connection.key)
        return connection

    # Who waits.

    def _heir(self, key: Hashable) -> Waiter[C] | None:
        """Who gets a slot of `key` that is free: the longest waiting who can use it, no longer waiting."""
        held = self._held.get(key)
        if held:
            heir, _ = held.popitem(last=False)
            if not held:
                del self._held[key]
            return heir
        while self._waiters:
            heir, _ = self._waiters.popitem(last=False)
            if heir.key == key or not self._is_full(heir.key):
                return heir
            self._held.setdefault(heir.key, OrderedDict())[heir] = None
        return None

    def _hand_over(self, heir: Waiter[C], connection: C | None) -> list[C]:
        """Give a slot to who no longer waits."""
        heir.connection = connection
        if connection is not None:
            self._active[connection] = None
        # Last, as a waiter whose time is up reads this without the lock.
        heir.granted = True
        heir.event.set()
        return []

    def _unwait(self, waiter: Waiter[C]) -> None:
        """Forget one who waits, if he does."""
        if self._waiters and waiter in self._waiters:
            del self._waiters[waiter]
            return
        held = self._held.get(waiter.key)
        if held is not None and waiter in held:
            del held[waiter]
            if not held:
                del self._held[waiter.key]

    def _turn_away(self) -> None:
        """Wake all who wait; they get nothing."""
        queues = [self._waiters, *self._held.values()]
        self._waiters, self._held = OrderedDict(), {}
        for queue in queues:
            for waiter in queue:
                waiter.closed = True
                waiter.event.set()

    def _waiting(self) -> int:
        return len(self._waiters) + sum(map(len, self._held.values()))

    def _wanted(self) -> list[Hashable]:
        return [waiter.key for queue in (self._waiters, *self._held.values()) for waiter in queue]

    # What each origin has.

    def _is_full(self, key: Hashable) -> bool:
        return self._host_limit is not None and self._counts.get(key, 0) >= self._host_limit

    def _count(self, key: Hashable) -> None:
        if self._host_limit is not None:
            self._counts[key] = self._counts.get(key, 0) + 1

    def _uncount(self, key: Hashable) -> None:
        if self._host_limit is not None:
            left = self._counts[key] - 1
            if left:
                self._counts[key] = left
            else:
                del self._counts[key]
