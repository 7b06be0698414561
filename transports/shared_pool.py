"""The pool's book-keeping where a connection may serve many at once (HTTP/2), and it is not known before which do.

Rules, beyond `pool`'s:

- A shared connection has one slot and a number of *users*, never more than its `room`. With its last user
  it becomes idle like any other.
- While somebody opens a connection that may come to be shared, who wants the same origin *follows*: he waits for
  that connection and not for a slot. Once it tells its room, as many of them as fit get a share, and the next one opens
  another. If it turns out to be for one at a time, or fails, each goes his own way.
- Room that arises goes to who waits for the same origin, in order; slots go to all in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from scallion.pipeline.runtime import Runtime
from scallion.pipeline.settings import Limits

from .pool import Books, Pool, Taken, Waiter

__all__ = ["SharedPool"]

_MOST_REMEMBERED = 4096


class SharedPool(Pool[Any]):
    """The books of one transport's connections, of either protocol. Safe to share between threads and tasks.

    Args:
        may_share: Whether connections with this key may turn out to speak HTTP/2.
    """

    def __init__(self, limits: Limits, runtime: Runtime, may_share: Callable[[Any], bool]) -> None:
        super().__init__(limits, runtime)
        self._may_share = may_share
        self._users: dict[Any, int] = {}
        # Shared connections believed to have room; looked at again before they are used.
        self._roomy: dict[Hashable, dict[Any, None]] = {}
        # Those that have not told their room yet, and by key who follows their opening.
        self._ungreeted: set[Any] = set()
        self._opening: dict[Hashable, deque[Waiter[Any]]] = {}
        self._following: set[Waiter[Any]] = set()
        # Those in the queue for slots to whom a share would do as well.
        self._queued: dict[Hashable, dict[Waiter[Any], None]] = {}
        # Keys whose connections are for one at a time.
        self._alone: set[Hashable] = set()

    def opened(self, connection: Any) -> list[Any]:
        with self._lock:
            self._begin(connection)
            key = connection.key
            if connection.protocol == "HTTP/2":
                self._alone.discard(key)
                return self._start_sharing(connection)
            if len(self._alone) >= _MOST_REMEMBERED:
                self._alone.clear()
            self._alone.add(key)
            return self._scatter(key)

    def gave_up(self, key: Hashable, *, failed: bool) -> list[Any]:
        with self._lock:
            close = self._settle(key, None, reusable=False)
            return close + (self._scatter(key) if failed else self._promote(key))

    def changed(self, connection: Any) -> list[Any]:
        """Tell that a shared connection's room is known, or another one. Returns what the caller must close."""
        with self._lock:
            if connection not in self._users:
                return []
            self._serve(connection)
            if connection not in self._ungreeted or not connection.greeted:
                return []
            self._ungreeted.discard(connection)
            return self._promote(connection.key)

    def release(self, connection: Any, *, reusable: bool) -> list[Any]:
        with self._lock:
            if connection in self._users:
                return self._give_back(connection)
        return super().release(connection, reusable=reusable)

    def leave(self, waiter: Waiter[Any]) -> list[Any]:
        with self._lock:
            if waiter in self._following:
                self._following.discard(waiter)
                return []
            self._unqueue(waiter)
            if waiter.granted and waiter.connection is None:
                close = self._settle(waiter.key, None, reusable=False)
                return close + self._promote(waiter.key)
            if waiter.connection in self._users:
                return self._give_back(waiter.connection)
        return super().leave(waiter)

    def books(self) -> Books[Any]:
        with self._lock:
            books = super().books()
            books.in_use.update(self._users)
            return books

    # All below runs under the lock.

    def _take(
        self, key: Hashable, close: list[Any], waiter: Waiter[Any] | None = None
    ) -> Taken[Any]:
        if not self._may_share(key):
            return super()._take(key, close, waiter)
        connection = self._with_room(key)
        if connection is not None:
            self._users[connection] += 1
            return Taken(connection, None, close)
        if key in self._opening:
            waiter = Waiter(key, self._runtime.event())
            self._follow(waiter)
            return Taken(None, waiter, close)
        taken = super()._take(key, close)
        if taken.waiter is not None:
            self._queue(taken.waiter)
        elif taken.connection is not None:
            close += self._start_sharing(taken.connection)
        else:
            self._start_opening(key)
        return taken

    def _tidy(self) -> list[Any]:
        close: list[Any] = []
        others: list[Any] = []
        while self.abandoned:
            connection = self.abandoned.popleft()
            if connection in self._users:
                close += self._give_back(connection)
            else:
                others.append(connection)
        self.abandoned.extend(others)
        return close + super()._tidy()

    def _heir(self, key: Hashable) -> Waiter[Any] | None:
        while (heir := super()._heir(key)) is not None:
            self._unqueue(heir)
            if heir.key not in self._opening:
                break
            # Who could share what is being opened waits for that instead.
            self._follow(heir)
        return heir

    def _hand_over(self, heir: Waiter[Any], connection: Any | None) -> list[Any]:
        close = super()._hand_over(heir, connection)
        if connection is not None:
            close += self._start_sharing(connection)
        elif self._may_share(heir.key):
            self._start_opening(heir.key)
        return close

    def _turn_away(self) -> None:
        super()._turn_away()
        self._queued.clear()
        for waiter in self._following:
            waiter.closed = True
            waiter.event.set()
        self._following.clear()

    def _waiting(self) -> int:
        return super()._waiting() + len(self._following)

    def _wanted(self) -> list[Hashable]:
        return super()._wanted() + [waiter.key for waiter in self._following]

    # Sharing.

    def _start_sharing(self, connection: Any) -> list[Any]:
        if connection.protocol != "HTTP/2":
            return []
        self._users[connection] = 1
        if not connection.greeted:
            self._ungreeted.add(connection)
            self._start_opening(connection.key)
            return []
        self._serve(connection)
        return []

    def _give_back(self, connection: Any) -> list[Any]:
        left = self._users[connection] = self._users[connection] - 1
        if left or self._queued or self._opening:
            self._serve(connection)
            if self._users[connection]:
                return []
        del self._users[connection]
        self._active.pop(connection, None)
        alive = bool(connection.room)
        close = self._settle(connection.key, connection, reusable=alive)
        if connection in self._ungreeted and connection not in self._users:
            self._ungreeted.discard(connection)
            key = connection.key
            close += self._promote(key) if alive else self._scatter(key)
        return close

    def _serve(self, connection: Any) -> None:
        """Give the room of a connection to who waits for it."""
        key = connection.key
        room = connection.room
        while self._users[connection] < room:
            waiter = self._next(key) if self._queued or self._opening else None
            if waiter is None:
                self._roomy.setdefault(key, {})[connection] = None
                return
            self._users[connection] += 1
            self._grant(waiter, connection)

    def _next(self, key: Hashable) -> Waiter[Any] | None:
        """Who has waited longest for a share, no longer waiting."""
        queued = self._queued.get(key)
        if queued:
            waiter = next(iter(queued))
            self._unqueue(waiter)
            self._unwait(waiter)
            return waiter
        return self._next_follower(self._opening.get(key))

    def _next_follower(self, followers: deque[Waiter[Any]] | None) -> Waiter[Any] | None:
        while followers:
            waiter = followers.popleft()
            if waiter in self._following:
                self._following.discard(waiter)
                return waiter
        return None

    def _grant(self, waiter: Waiter[Any], connection: Any | None) -> None:
        waiter.granted = True
        waiter.connection = connection
        waiter.event.set()

    def _with_room(self, key: Hashable) -> Any | None:
        roomy = self._roomy.get(key, {})
        while roomy:
            connection = next(iter(roomy))
            users = self._users.get(connection)
            if users is not None and users < connection.room:
                return connection
            del roomy[connection]
        self._roomy.pop(key, None)
        return None

    # Opening.

    def _start_opening(self, key: Hashable) -> None:
        if key not in self._alone:
            self._opening.setdefault(key, deque())

    def _follow(self, waiter: Waiter[Any]) -> None:
        self._opening[waiter.key].append(waiter)
        self._following.add(waiter)

    def _scatter(self, key: Hashable) -> list[Any]:
        """Let each follower go his own way."""
        followers = self._opening.pop(key, None)
        close: list[Any] = []
        while (waiter := self._next_follower(followers)) is not None:
            self._place(waiter, close)
        return close

    def _promote(self, key: Hashable) -> list[Any]:
        """Let the first follower open the next connection, and the others follow him."""
        followers = self._opening.pop(key, None)
        close: list[Any] = []
        while (waiter := self._next_follower(followers)) is not None:
            self._place(waiter, close)
            if waiter.granted and waiter.connection is None:
                assert followers is not None
                self._opening[key] = followers
                break
        return close

    def _place(self, waiter: Waiter[Any], close: list[Any]) -> None:
        """What `take` would do for who waits already."""
        connection = self._with_room(waiter.key)
        if connection is not None:
            self._users[connection] += 1
            self._grant(waiter, connection)
            return
        taken = super()._take(waiter.key, close, waiter)
        if taken.waiter is not None:
            self._queue(waiter)
            return
        if taken.connection is not None:
            close += self._start_sharing(taken.connection)
        self._grant(waiter, taken.connection)

    def _queue(self, waiter: Waiter[Any]) -> None:
        if waiter.key not in self._alone:
            self._queued.setdefault(waiter.key, {})[waiter] = None

    def _unqueue(self, waiter: Waiter[Any]) -> None:
        queued = self._queued.get(waiter.key)
        if queued is not None:
            queued.pop(waiter, None)
            if not queued:
                del self._queued[waiter.key]
