"""The pool's book-keeping: who may open a connection, who gets which idle one, which must go.

Rules:

- Every decision is synchronous and O(1): it changes the books under a lock that is held for no wait, and returns
  what to open and what to close. Opening and closing are the caller's.
- A *slot* is the right to one connection. It is either with a caller (opening or using its connection)
  or with an idle connection; slots never exceed `max_connections`.
- While somebody waits nothing is idle: a slot that comes free goes to the longest waiting, together with its
  connection if that leads to the right origin, else the connection is closed.
- Idle connections are reused last in, first out, so that surplus ones expire; over all origins
  the longest idle goes first when room is needed.
- A finaliser may run anywhere, even inside a pool operation of the same thread: it only appends to
  `abandoned`, and the next operation does the work.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from scallion.pipeline.runtime import Event, Runtime
from scallion.pipeline.settings import Limits

__all__ = ["Pool", "PoolStats", "Poolable", "Taken", "Waiter"]


class Poolable(Protocol):
    """What the pool keeps: it knows its key, and can be closed without waiting."""

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

    __slots__ = ("closed", "connection", "event", "granted", "key", "left")

    def __init__(self, key: Hashable, event: Event) -> None:
        self.key = key
        self.event = event
        self.connection: C | None = None
        self.granted = False
        self.left = False
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
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        limit = "no limit" if self.limit is None else self.limit
        return f"<Pool {self.active} active, {self.idle} idle, {self.waiting} waiting of {limit}>"


class Pool(Generic[C]):
    """The books of one transport's connections. Safe to share between threads and tasks."""

    def __init__(self, limits: Limits, runtime: Runtime) -> None:
        self._limit = limits.max_connections
        self._keep = limits.max_keepalive_connections
        self._expiry = limits.keepalive_expiry
        self._runtime = runtime
        # Re-entrant only so that it can be asked whose it is.
        self._lock = threading.RLock()
        self._active: dict[C, None] = {}
        self._slots = 0
        self._idle: dict[Hashable, dict[C, None]] = {}
        # All idle connections, longest idle first, with the moment at which each expires.
        self._ages: OrderedDict[C, float] = OrderedDict()
        self._waiters: deque[Waiter[C]] = deque()
        self._waiting = 0
        self.abandoned: deque[C] = deque()
        self._doomed: set[C] = set()

    def take(self, key: Hashable) -> Taken[C]:
        """Claim a slot for `key`, with an idle connection if there is one."""
        with self._lock:
            return self._take(key, self._tidy())

    def retake(self, stale: C) -> C | None:
        """Trade a connection that turned out to be stale for another idle one, keeping the slot; None: open one.

        The caller closes `stale`.
        """
        with self._lock:
            self._active.pop(stale, None)
            self._doomed.discard(stale)
            connection = self._pop_idle(stale.key)
            if connection is not None:
                self._active[connection] = None
            return connection

    def opened(self, connection: C) -> list[C]:
        """Tell that a slot's holder has opened its connection. Returns what the caller must close."""
        with self._lock:
            self._active[connection] = None
            return []

    def release(self, connection: C | None, *, reusable: bool) -> list[C]:
        """Give a slot back, with its connection if it has one. Returns what the caller must close.

        A connection that was given back already is left alone.
        """
        if connection is not None and self._lock._is_owned():  # type: ignore[attr-defined]
            # Garbage collection has struck inside the pool, and closes a body that somebody stopped to iterate.
            self.abandoned.append(connection)
            return []
        with self._lock:
            if connection is not None:
                if connection not in self._active:
                    return [] if reusable else [connection]
                del self._active[connection]
            close = self._settle(connection, reusable=reusable)
        return close + self.reclaim() if self.abandoned else close

    def leave(self, waiter: Waiter[C]) -> list[C]:
        """Stop waiting; a slot that was granted meanwhile goes to the next. Returns what the caller must close."""
        with self._lock:
            if not waiter.granted:
                if not waiter.left:
                    waiter.left = True
                    self._waiting -= 1
                return []
            connection, waiter.connection = waiter.connection, None
            if connection is not None:
                self._active.pop(connection, None)
            close = self._settle(connection, reusable=connection is not None)
        return close + self.reclaim() if self.abandoned else close

    def drain(self) -> list[C]:
        """Forget all idle connections, turn away who waits, and return these and those in use for closing."""
        with self._lock:
            self._turn_away()
            close = self._tidy()
            close.extend(self._ages)
            self._ages.clear()
            self._idle.clear()
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
            return PoolStats(self._slots, len(self._ages), self._waiting, self._limit)

    def __repr__(self) -> str:
        return repr(self.stats())

    # All below runs under the lock.

    def _turn_away(self) -> None:
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if not waiter.left:
                self._waiting -= 1
            waiter.left = waiter.closed = True
            waiter.event.set()

    def _take(self, key: Hashable, close: list[C]) -> Taken[C]:
        if not self._waiting:
            connection = self._pop_idle(key)
            if connection is not None:
                self._slots += 1
                self._active[connection] = None
                return Taken(connection, None, close)
            if self._limit is None or self._slots + len(self._ages) < self._limit:
                self._slots += 1
                return Taken(None, None, close)
            if self._ages:
                close.append(self._pop_oldest())
                self._slots += 1
                return Taken(None, None, close)
        waiter: Waiter[C] = Waiter(key, self._runtime.event())
        self._waiters.append(waiter)
        self._waiting += 1
        return Taken(None, waiter, close)

    def _tidy(self) -> list[C]:
        close: list[C] = []
        while self.abandoned:
            connection = self.abandoned.popleft()
            if connection in self._active:
                del self._active[connection]
                close += self._settle(connection, reusable=False)
        if self._ages and self._expiry is not None:
            now = self._runtime.clock()
            while self._ages and next(iter(self._ages.values())) <= now:
                close.append(self._pop_oldest())
        return close

    def _settle(self, connection: C | None, *, reusable: bool) -> list[C]:
        if self._doomed and connection in self._doomed:
            self._doomed.discard(connection)
            reusable = False
        while self._waiters:
            waiter = self._waiters.popleft()
            if waiter.left:
                continue
            self._waiting -= 1
            fits = reusable and connection is not None and connection.key == waiter.key
            if fits:
                assert connection is not None
                waiter.connection = connection
                self._active[connection] = None
            # Last, as a waiter whose time is up reads this without the lock.
            waiter.granted = True
            waiter.event.set()
            return [] if fits or connection is None else [connection]
        self._slots -= 1
        if connection is None:
            return []
        if not reusable or self._keep == 0 or self._expiry == 0:
            return [connection]
        self._idle.setdefault(connection.key, {})[connection] = None
        self._ages[connection] = (
            0.0 if self._expiry is None else self._runtime.clock() + self._expiry
        )
        if self._keep is not None and len(self._ages) > self._keep:
            return [self._pop_oldest()]
        return []

    def _pop_idle(self, key: Hashable) -> C | None:
        idle = self._idle.get(key)
        if not idle:
            return None
        connection, _ = idle.popitem()
        if not idle:
            del self._idle[key]
        del self._ages[connection]
        return connection

    def _pop_oldest(self) -> C:
        connection, _ = self._ages.popitem(last=False)
        idle = self._idle[connection.key]
        del idle[connection]
        if not idle:
            del self._idle[connection.key]
        return connection
