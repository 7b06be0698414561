"""The shared pool's books: what holds whatever happens in whatever order."""

from __future__ import annotations

from math import inf

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import booleans, data, integers, sampled_from

from scallion.pipeline.runtime import BlockingRuntime
from scallion.pipeline.settings import Limits
from scallion.transports.pool import Waiter
from scallion.transports.shared_pool import SharedPool

KEYS = ("a", "b", "plain")


class Connection:
    """What the pool knows of one; `closed` once somebody closed it."""

    def __init__(self, key: str, protocol: str) -> None:
        self.key = key
        self.idle_limit = inf
        self.retires_at = inf
        self.protocol = protocol
        self.greeted = False
        self.most = 1
        self.alive = True
        self.closed = False

    @property
    def room(self) -> int:
        return self.most if self.alive and not self.closed else 0

    def close(self) -> None:
        self.closed = True


def shareable(key: str) -> bool:
    return key != "plain"


class Books(RuleBasedStateMachine):
    """Callers that take, wait, open, fail, leave and give back, against a model that only counts."""

    limit = 3
    host: int | None = None

    def __init__(self) -> None:
        super().__init__()
        limits = Limits(
            max_connections=self.limit,
            max_keepalive_connections=2,
            max_connections_per_host=self.host,
        )
        self.pool = SharedPool(limits, BlockingRuntime(), shareable)
        self.waiting: list[Waiter[Connection]] = []
        self.opening: list[str] = []
        self.using: list[Connection] = []
        self.all: list[Connection] = []

    def close(self, connections: list[Connection]) -> None:
        for connection in connections:
            assert connection not in self.using, "a connection in use was closed"
            connection.close()
        self.collect()

    def collect(self) -> None:
        """Waiters that were served go on."""
        for waiter in [waiter for waiter in self.waiting if waiter.granted]:
            assert waiter.event.is_set()
            self.waiting.remove(waiter)
            self.got(waiter.connection, str(waiter.key))

    def got(self, connection: Connection | None, key: str) -> None:
        if connection is None:
            self.opening.append(key)
        else:
            assert key == connection.key
            assert not connection.closed
            self.using.append(connection)

    @rule(key=sampled_from(KEYS))
    def take(self, key: str) -> None:
        taken = self.pool.take(key)
        self.close(taken.close)
        if taken.waiter is not None:
            self.waiting.append(taken.waiter)
        else:
            self.got(taken.connection, key)

    @precondition(lambda self: self.opening)
    @rule(pick=data(), shared=booleans())
    def opened(self, pick: object, shared: bool) -> None:
        key = self.opening.pop(pick.draw(integers(0, len(self.opening) - 1)))  # type: ignore[attr-defined]
        connection = Connection(key, "HTTP/2" if shared and shareable(key) else "HTTP/1.1")
        self.all.append(connection)
        self.using.append(connection)
        self.close(self.pool.opened(connection))

    @precondition(lambda self: self.opening)
    @rule(failed=booleans())
    def gave_up(self, failed: bool) -> None:
        self.close(self.pool.gave_up(self.opening.pop(0), failed=failed))

    @precondition(lambda self: self.waiting)
    @rule(pick=data())
    def leave(self, pick: object) -> None:
        at = pick.draw(integers(0, len(self.waiting) - 1))  # type: ignore[attr-defined]
        self.close(self.pool.leave(self.waiting.pop(at)))

    @precondition(lambda self: self.using)
    @rule(pick=data(), reusable=booleans(), abandoned=booleans())
    def give_back(self, pick: object, reusable: bool, abandoned: bool) -> None:
        connection = self.using.pop(pick.draw(integers(0, len(self.using) - 1)))  # type: ignore[attr-defined]
        if abandoned:
            self.pool.abandoned.append(connection)
            self.close(self.pool.reclaim())
        else:
            self.close(self.pool.release(connection, reusable=reusable))

    @precondition(lambda self: self.all)
    @rule(pick=data(), most=integers(1, 4))
    def changed(self, pick: object, most: int) -> None:
        connection = pick.draw(sampled_from(self.all))  # type: ignore[attr-defined]
        if connection.protocol == "HTTP/2" and not connection.closed:
            connection.greeted = True
            connection.most = most
            self.close(self.pool.changed(connection))

    @precondition(lambda self: self.using)
    @rule(pick=data())
    def dies(self, pick: object) -> None:
        pick.draw(sampled_from(self.using)).alive = False  # type: ignore[attr-defined]

    @invariant()
    def slots_are_counted(self) -> None:
        held = len({id(connection) for connection in self.using}) + len(self.opening)
        stats = self.pool.stats()
        assert held == stats.active
        assert len(self.waiting) == stats.waiting
        assert stats.active + stats.idle <= self.limit
        assert stats.idle <= 2

    def count(self, key: object) -> int:
        busy = [c.key for c in {id(c): c for c in self.using}.values()]
        return [*self.opening, *busy, *(c.key for c in self.pool._ages)].count(str(key))

    @invariant()
    def nobody_waits_for_what_is_there(self) -> None:
        stats = self.pool.stats()
        following = len(self.pool._following)
        for key in KEYS:
            assert self.host is None or self.count(key) <= self.host
        for waiter in self.waiting:
            full = self.host is not None and self.count(waiter.key) == self.host
            assert waiter in self.pool._following or full or stats.active == self.limit
        for waiter in self.waiting:
            for connection in self.using:
                if connection.key == waiter.key and connection.protocol == "HTTP/2":
                    # What became roomy by itself is found when something happens to the connection.
                    users = sum(other is connection for other in self.using)
                    assert users >= connection.room or connection.most > 1
        assert not following or self.opening or any(not c.greeted for c in self.using)

    def teardown(self) -> None:
        """Once everybody has gone, nothing is held and nobody waits."""
        while self.opening or self.using or self.waiting:
            if self.opening:
                self.gave_up(failed=False)
            elif self.using:
                self.close(self.pool.release(self.using.pop(), reusable=False))
            else:
                raise AssertionError(f"{len(self.waiting)} wait for ever: {self.pool!r}")
        stats = self.pool.stats()
        assert (0, 0) == (stats.active, stats.waiting)


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


class BooksPerHost(Books):
    """The same where two connections to one origin are the most."""

    limit = 4
    host = 2


TestBooksPerHost = BooksPerHost.TestCase
TestBooksPerHost.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_a_waiter_for_a_full_origin_shares_what_comes_to_have_room() -> None:
    """
    He waits for a connection to end, and room on one that stays does as well.
    """
    limits = Limits(max_connections=10, max_connections_per_host=1)
    pool = SharedPool(limits, BlockingRuntime(), shareable)
    pool.take("a")
    connection = Connection("a", "HTTP/2")
    connection.greeted = True
    pool.opened(connection)
    waiter = pool.take("a").waiter
    assert waiter is not None
    assert "max_connections_per_host" == pool.holding(waiter)

    connection.most = 2
    assert [] == pool.changed(connection)

    assert connection is waiter.connection
    assert "<Pool 1 active, 0 idle, 0 waiting of 10>" == repr(pool)


def test_who_follows_an_opening_is_held_by_no_limit() -> None:
    pool = SharedPool(Limits(max_connections=10), BlockingRuntime(), shareable)
    pool.take("a")
    follower = pool.take("a").waiter
    assert follower is not None
    assert pool.holding(follower) is None


def test_followers_share_what_the_first_one_opens() -> None:
    """
    Up to its room, once that is known; the next one opens another connection.
    """
    pool = SharedPool(Limits(max_connections=10), BlockingRuntime(), shareable)
    assert pool.take("a").connection is None
    waiters = [waiter for _ in range(4) if (waiter := pool.take("a").waiter) is not None]
    connection = Connection("a", "HTTP/2")

    assert [] == pool.opened(connection)
    assert [False] * 4 == [waiter.granted for waiter in waiters]
    connection.greeted, connection.most = True, 3
    assert [] == pool.changed(connection)

    assert [connection, connection, None, None] == [waiter.connection for waiter in waiters]
    assert [True, True, True, False] == [waiter.granted for waiter in waiters]
    assert "<Pool 2 active, 0 idle, 1 waiting of 10>" == repr(pool)


def test_an_origin_known_to_speak_http11_is_not_followed() -> None:
    """
    Once a connection to it turned out to be for one at a time, each opens his own at once.
    """
    pool = SharedPool(Limits(max_connections=10), BlockingRuntime(), shareable)
    pool.take("a")
    follower = pool.take("a").waiter
    assert follower is not None
    pool.opened(Connection("a", "HTTP/1.1"))

    assert follower.granted
    assert follower.connection is None
    assert pool.take("a").waiter is None
    assert "<Pool 3 active, 0 idle, 0 waiting of 10>" == repr(pool)
