"""The pool's books: a state machine over everything that callers may do, and the rules one by one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Hashable
from math import inf
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from scallion.pipeline.runtime import BlockingRuntime, run
from scallion.pipeline.settings import Limits
from scallion.transports.pool import Pool, PoolStats, Taken, Waiter
from support.worlds import RecordingRuntime

LONG = 5.0


class Conn:
    """A connection that can only be told apart."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.idle_limit = inf
        self.retires_at = inf
        self.closed = False

    def close(self) -> None:
        self.closed = True


def pool_of(
    size: int | None = None,
    keep: int | None = None,
    expiry: float | None = 5.0,
    host: int | None = None,
    age: float | None = None,
) -> tuple[Pool[Conn], RecordingRuntime]:
    """A pool whose connections all draw the middle of the ages that they may draw."""
    runtime = RecordingRuntime()
    limits = Limits(
        max_connections=size,
        max_keepalive_connections=keep,
        keepalive_expiry=expiry,
        max_connections_per_host=host,
        max_connection_age=age,
    )
    return Pool(limits, runtime, lambda: 0.5), runtime


def use(pool: Pool[Conn], key: str = "a") -> Conn:
    """Take a slot and open a connection."""
    taken = pool.take(key)
    assert taken.connection is None
    assert taken.waiter is None
    connection = Conn(key)
    pool.opened(connection)
    return connection


def waiter_of(taken: Taken[Conn]) -> Waiter[Conn]:
    assert taken.waiter is not None
    assert taken.connection is None
    return taken.waiter


class PoolMachine(RuleBasedStateMachine):
    """Callers take, open, wait, give back, leave, forget; the model knows who holds what."""

    @initialize(
        size=st.integers(1, 4) | st.none(),
        keep=st.integers(0, 3) | st.none(),
        expiry=st.sampled_from([None, 0.0, 5.0]),
        host=st.integers(1, 2) | st.none(),
        age=st.sampled_from([None, 8.0]),
    )
    def begin(
        self,
        size: int | None,
        keep: int | None,
        expiry: float | None,
        host: int | None,
        age: float | None,
    ) -> None:
        self.pool, self.runtime = pool_of(size, keep, expiry, host, age)
        self.size, self.keep, self.expiry, self.host = size, keep, expiry, host
        self.all: list[Conn] = []
        self.opening: list[str] = []
        self.using: list[Conn] = []
        self.forgotten: list[Conn] = []
        self.waiters: list[Waiter[Conn]] = []
        self.served: set[Waiter[Conn]] = set()
        # In use when the pool was drained.
        self.doomed: set[Conn] = set()
        # Idle connections as the caller may know them: until when, in the order of their coming.
        self.idle_until: dict[Conn, float] = {}

    def closed(self, connections: list[Conn]) -> None:
        for connection in connections:
            assert not connection.closed or connection in self.doomed, "closed twice"
            connection.close()
            self.idle_until.pop(connection, None)
            if connection in self.forgotten:
                self.forgotten.remove(connection)

    def find_idle(self) -> set[Conn]:
        held = {*self.using, *self.forgotten, *(w.connection for w in self.waiters if w.granted)}
        return {c for c in self.all if not c.closed and c not in held}

    def note_idle(self) -> None:
        now = self.runtime.now
        for connection in self.find_idle() - set(self.idle_until):
            limit = min(inf if self.expiry is None else self.expiry, connection.idle_limit)
            self.idle_until[connection] = min(now + limit, connection.retires_at)

    def usable(self, key: str) -> list[Conn]:
        now = self.runtime.now
        return [c for c, until in self.idle_until.items() if c.key == key and now < until]

    def count(self, key: Hashable) -> int:
        """How many connections there are to an origin, those being opened included."""
        busy = [*self.using, *self.forgotten, *self.find_idle()]
        granted = [w.key for w in self.waiters if w.granted]
        return [*self.opening, *granted, *(c.key for c in busy)].count(key)

    def is_full(self, key: Hashable) -> bool:
        return self.host is not None and self.count(key) >= self.host

    # What callers do.

    @rule(key=st.sampled_from("aabc"))
    def take(self, key: str) -> None:
        usable = self.usable(key)
        waiting = [w for w in self.waiters if not w.granted]
        forgotten = list(self.forgotten)
        taken = self.pool.take(key)
        self.closed(taken.close)
        assert not self.forgotten, "what finalisers left is settled by the next operation"
        if taken.connection is not None:
            assert taken.waiter is None
            assert key == taken.connection.key
            assert taken.connection is usable[-1], "last in, first out"
            del self.idle_until[taken.connection]
            self.using.append(taken.connection)
        elif taken.waiter is not None:
            self.waiters.append(taken.waiter)
            assert self.size is not None or self.is_full(key)
        else:
            assert not [c for c in self.find_idle() if c.key == key]
            self.opening.append(key)
        if self.idle_until and self.expiry != 0.0:
            assert next(iter(self.idle_until.values())) > self.runtime.now, "expired ones are gone"
        if taken.waiter is None and not forgotten:
            assert all(w.key != key and self.is_full(w.key) for w in waiting), "nobody overtakes"

    @precondition(lambda self: self.opening)
    @rule(data=st.data(), succeeds=st.sampled_from([True, True, True, False]))
    def open(self, data: Any, succeeds: bool) -> None:
        key = self.opening.pop(data.draw(st.integers(0, len(self.opening) - 1)))
        if succeeds:
            connection = Conn(key)
            self.pool.opened(connection)
            self.all.append(connection)
            self.using.append(connection)
        else:
            self.closed(self.pool.gave_up(key, failed=True))

    @precondition(lambda self: self.using)
    @rule(data=st.data(), reusable=st.booleans(), hint=st.sampled_from([inf, inf, 3.0]))
    def release(self, data: Any, reusable: bool, hint: float) -> None:
        connection = self.using.pop(data.draw(st.integers(0, len(self.using) - 1)))
        connection.idle_limit = hint
        close = self.pool.release(connection, reusable=reusable)
        assert connection in close or (reusable and self.runtime.now < connection.retires_at)
        self.closed(close)

    @rule(data=st.data(), kind=st.sampled_from(["again", "stale", "forget", "leave", "drain"]))
    def mishap(self, data: Any, kind: str) -> None:
        """What happens less often than the rest."""
        if kind == "drain":
            self.drain()
        elif kind == "leave" and self.waiters:
            self.leave(data)
        elif self.using:
            unusual = {"again": self.release_again, "stale": self.find_stale}
            unusual.get(kind, self.forget)(data)

    def release_again(self, data: Any) -> None:
        connection = self.using.pop(data.draw(st.integers(0, len(self.using) - 1)))
        self.closed(self.pool.release(connection, reusable=False))
        stats = self.pool.stats()
        assert [] == self.pool.release(connection, reusable=True)
        assert stats == self.pool.stats()

    def find_stale(self, data: Any) -> None:
        stale = self.using.pop(data.draw(st.integers(0, len(self.using) - 1)))
        usable = self.usable(stale.key)
        taken = self.pool.retake(stale)
        stale.close()
        self.closed(taken.close)
        assert (usable[-1] if usable else None) is taken.connection
        if taken.connection is None:
            self.opening.append(stale.key)
        else:
            del self.idle_until[taken.connection]
            self.using.append(taken.connection)

    def forget(self, data: Any) -> None:
        connection = self.using.pop(data.draw(st.integers(0, len(self.using) - 1)))
        self.forgotten.append(connection)
        self.pool.abandoned.append(connection)
        if data.draw(st.booleans()):
            self.closed(self.pool.reclaim())
            assert not self.forgotten

    def leave(self, data: Any) -> None:
        waiter = self.waiters.pop(data.draw(st.integers(0, len(self.waiters) - 1)))
        self.closed(self.pool.leave(waiter))

    @precondition(lambda self: any(w.granted for w in self.waiters))
    @rule()
    def go_on(self) -> None:
        waiter = next(w for w in self.waiters if w.granted)
        self.waiters.remove(waiter)
        assert waiter.event.is_set()
        if waiter.connection is None:
            self.opening.append(waiter.key)  # type: ignore[arg-type]
        else:
            self.using.append(waiter.connection)

    @rule(seconds=st.sampled_from([1.0, 3.0, 4.9, 8.0]))
    def time_passes(self, seconds: float) -> None:
        self.runtime.now += seconds

    def drain(self) -> None:
        held = {*self.using, *(w.connection for w in self.waiters if w.connection)}
        close = self.pool.drain()
        assert held <= set(close)
        self.closed([connection for connection in close if connection not in held])
        self.doomed |= held
        turned_away = [w for w in self.waiters if not w.granted]
        assert all(w.closed and w.event.is_set() for w in turned_away)
        self.waiters = [w for w in self.waiters if w.granted]
        assert not self.find_idle()

    # What holds at any time.

    @invariant()
    def books_are_right(self) -> None:
        if not hasattr(self, "pool"):
            return
        self.note_idle()
        granted = [w for w in self.waiters if w.granted]
        active = len(self.opening) + len(self.using) + len(granted) + len(self.forgotten)
        waiting = len(self.waiters) - len(granted)
        idle = len(self.find_idle())
        assert PoolStats(active, idle, waiting, self.size) == self.pool.stats()
        assert self.size is None or active + idle <= self.size
        assert self.keep is None or idle <= self.keep
        for key in "abc":
            assert self.host is None or self.count(key) <= self.host
        for w in self.waiters:
            if w.granted:
                continue
            blocked = idle == 0 and active == self.size
            full = self.is_full(w.key) and all(c.key != w.key for c in self.find_idle())
            assert blocked or full, "nobody waits for what is there"
        self.grants_are_fair(granted)

    def grants_are_fair(self, granted: list[Waiter[Conn]]) -> None:
        """Whoever was served since the last step had waited longest of those who could be."""
        for w in granted:
            if w in self.served:
                continue
            self.served.add(w)
            assert w.connection is None or w.key == w.connection.key
            assert w.connection is None or self.runtime.now < w.connection.retires_at
            for earlier in self.waiters[: self.waiters.index(w)]:
                assert earlier.granted or (earlier.key != w.key and self.is_full(earlier.key))

    def teardown(self) -> None:
        if not hasattr(self, "pool"):
            return
        for waiter in self.waiters:
            self.closed(self.pool.leave(waiter))
        for key in self.opening:
            self.closed(self.pool.gave_up(key, failed=True))
        for connection in self.using:
            self.closed(self.pool.release(connection, reusable=False))
        self.using, self.opening, self.waiters = [], [], []
        self.closed(self.pool.drain())
        assert PoolStats(0, 0, 0, self.size) == self.pool.stats()
        assert all(connection.closed for connection in self.all)


PoolMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
test_the_books = PoolMachine.TestCase


def test_reuse_is_last_in_first_out() -> None:
    """
    The connection that came last goes first, so that surplus ones grow old.
    """
    pool, _ = pool_of()
    first, second = use(pool), use(pool)
    pool.release(first, reusable=True)
    pool.release(second, reusable=True)
    assert second is pool.take("a").connection
    assert first is pool.take("a").connection


@pytest.mark.parametrize("book", ["_ages", "_idle"])
def test_a_step_that_a_signal_cut_in_two_fails_nobody_later(book: str) -> None:
    """
    A handler that raises may come between two books; who comes next finds a connection in one of them.
    """
    pool, _ = pool_of()
    for _ in range(3):
        first, second = use(pool), use(pool)
        pool.release(first, reusable=True)
        pool.release(second, reusable=True)
        getattr(pool, book).clear()

        for connection in (pool.reuse("a"), pool.take("a").connection):
            if connection is not None:
                pool.release(connection, reusable=False)
        pool.drain()

        assert (0, 0) == (pool.stats().idle, len(pool._ages))


def test_another_origin_gets_no_connection_of_this() -> None:
    pool, _ = pool_of()
    pool.release(use(pool, "a"), reusable=True)
    taken = pool.take("b")
    assert taken.connection is None
    assert taken.waiter is None
    assert "<Pool 1 active, 1 idle, 0 waiting of no limit>" == repr(pool)


def test_the_longest_idle_of_any_origin_makes_room() -> None:
    """
    At the limit an idle connection of another origin is closed, the oldest one.
    """
    pool, _ = pool_of(2)
    old, young = use(pool, "a"), use(pool, "b")
    pool.release(old, reusable=True)
    pool.release(young, reusable=True)
    taken = pool.take("c")
    assert [old] == taken.close
    assert taken.waiter is None
    assert "<Pool 1 active, 1 idle, 0 waiting of 2>" == repr(pool)


@pytest.mark.parametrize(("seconds", "kept"), [(4.9, True), (5.0, False)])
def test_idle_connections_expire(seconds: float, kept: bool) -> None:
    pool, runtime = pool_of()
    connection = use(pool)
    pool.release(connection, reusable=True)
    runtime.now += seconds
    taken = pool.take("a")
    assert (connection if kept else None) is taken.connection
    assert ([] if kept else [connection]) == taken.close


def test_without_expiry_connections_stay() -> None:
    pool, runtime = pool_of(expiry=None)
    connection = use(pool)
    pool.release(connection, reusable=True)
    runtime.now += 1e9
    assert connection is pool.take("a").connection


@pytest.mark.parametrize("limits", [{"keep": 0}, {"expiry": 0.0}])
def test_no_keepalive(limits: dict[str, Any]) -> None:
    """
    With none to keep, or no time to keep it, each connection is closed after use.
    """
    pool, _ = pool_of(**limits)
    connection = use(pool)
    assert [connection] == pool.release(connection, reusable=True)
    assert "<Pool 0 active, 0 idle, 0 waiting of no limit>" == repr(pool)


def test_an_origin_has_no_more_than_its_share() -> None:
    """
    Who wants more of a full origin waits for it alone; the others go on, and pass him.
    """
    pool, _ = pool_of(10, host=1)
    first = use(pool, "a")
    waiter = waiter_of(pool.take("a"))
    assert "max_connections_per_host" == pool.holding(waiter)

    other = use(pool, "b")
    assert [] == pool.release(other, reusable=True)

    assert not waiter.granted
    assert "<Pool 1 active, 1 idle, 1 waiting of 10>" == repr(pool)
    assert [] == pool.release(first, reusable=True)
    assert first is waiter.connection


def test_who_waits_for_a_full_origin_keeps_nobody_behind_him_waiting() -> None:
    """
    At the front of the queue for any slot, he steps aside, and has his turn when his own origin has room.
    """
    pool, _ = pool_of(2, host=1)
    of_a, of_b = use(pool, "a"), use(pool, "b")
    of_c, again_a, of_d = (waiter_of(pool.take(key)) for key in "cad")
    assert ["max_connections"] == [pool.holding(of_c)]

    # Both wait for the slot of "b": the second cannot use it.
    assert [of_b] == pool.release(of_b, reusable=False)
    pool.opened(opened_c := Conn("c"))
    assert [of_c.granted, again_a.granted, of_d.granted] == [True, False, False]
    assert [opened_c] == pool.release(opened_c, reusable=False)
    assert [again_a.granted, of_d.granted] == [False, True]
    assert [] == pool.release(of_a, reusable=True)
    assert of_a is again_a.connection


def test_an_idle_connection_counts_for_its_origin() -> None:
    """
    It is what the next one of this origin gets, so none is opened beside it.
    """
    pool, _ = pool_of(10, host=1)
    connection = use(pool)
    pool.release(connection, reusable=True)
    assert connection is pool.take("a").connection
    waiter_of(pool.take("a"))


def test_a_failed_opening_makes_room_for_its_origin() -> None:
    pool, _ = pool_of(10, host=1)
    pool.take("a")
    waiter = waiter_of(pool.take("a"))
    assert [] == pool.gave_up("a", failed=True)
    assert waiter.granted
    assert waiter.connection is None


@pytest.mark.parametrize(("seconds", "kept"), [(9.4, True), (9.5, False)])
def test_a_connection_past_its_age_is_not_reused(seconds: float, kept: bool) -> None:
    """
    It is closed when it comes back, and not before. Ages lie between nine tenths of the most and all of it.
    """
    pool, runtime = pool_of(age=10.0)
    connection = use(pool)
    runtime.now += seconds
    assert ([] if kept else [connection]) == pool.release(connection, reusable=True)


def test_an_idle_connection_grows_too_old() -> None:
    pool, runtime = pool_of(age=10.0)
    connection = use(pool)
    runtime.now += 9.0
    assert [] == pool.release(connection, reusable=True)
    runtime.now += 0.5
    taken = pool.take("a")
    assert taken.connection is None
    assert [connection] == taken.close


def test_a_connection_past_its_age_serves_nobody_who_waits() -> None:
    """
    Its slot goes to the next in the queue, who opens a new one.
    """
    pool, runtime = pool_of(1, age=10.0)
    connection = use(pool)
    waiter = waiter_of(pool.take("a"))
    runtime.now += 10.0
    assert [connection] == pool.release(connection, reusable=True)
    assert waiter.granted
    assert waiter.connection is None


@pytest.mark.parametrize("expiry", [5.0, None])
@pytest.mark.parametrize(("seconds", "kept"), [(2.9, True), (3.0, False)])
def test_a_server_that_waits_for_less_long(
    expiry: float | None, seconds: float, kept: bool
) -> None:
    """
    What the server's side allows bounds what ours does, behind others that may stay longer as well.
    """
    pool, runtime = pool_of(expiry=expiry)
    patient, impatient = use(pool, "b"), use(pool)
    impatient.idle_limit = 3.0
    pool.release(patient, reusable=True)
    pool.release(impatient, reusable=True)
    runtime.now += seconds
    taken = pool.take("a")
    assert (impatient if kept else None) is taken.connection
    assert ([] if kept else [impatient]) == taken.close
    assert patient is pool.take("b").connection


def test_a_server_cannot_make_us_wait_longer() -> None:
    pool, runtime = pool_of()
    connection = use(pool)
    connection.idle_limit = 60.0
    pool.release(connection, reusable=True)
    runtime.now += 5.0
    assert [connection] == pool.take("a").close


def test_no_keepalive_still_serves_who_waits() -> None:
    """
    A connection that goes to the next in the queue was never idle.
    """
    pool, _ = pool_of(1, keep=0)
    connection = use(pool)
    waiter = waiter_of(pool.take("a"))
    assert [] == pool.release(connection, reusable=True)
    assert connection is waiter.connection


def test_surplus_idle_connections_are_closed_oldest_first() -> None:
    pool, _ = pool_of(keep=1)
    first, second = use(pool), use(pool)
    assert [] == pool.release(first, reusable=True)
    assert [first] == pool.release(second, reusable=True)


def test_the_queue_is_served_in_order() -> None:
    """
    A slot that comes free goes to the longest waiting; whoever left is passed over.
    """
    pool, _ = pool_of(1)
    connection = use(pool)
    gone, first, second = (waiter_of(pool.take("a")) for _ in range(3))
    assert [] == pool.leave(gone)
    assert [] == pool.leave(gone)
    pool.release(connection, reusable=True)
    assert [True, False] == [first.event.is_set(), second.event.is_set()]
    assert first.connection is connection
    assert [connection] == pool.release(connection, reusable=False)
    assert second.granted
    assert second.connection is None


def test_a_slot_for_another_origin_comes_without_a_connection() -> None:
    pool, _ = pool_of(1)
    connection = use(pool, "a")
    waiter = waiter_of(pool.take("b"))
    assert [connection] == pool.release(connection, reusable=True)
    assert waiter.granted
    assert waiter.connection is None


def test_leaving_with_a_connection_passes_it_on() -> None:
    """
    A caller that gives up just as its connection comes does not lose it.
    """
    pool, _ = pool_of(1)
    connection = use(pool)
    first, second = waiter_of(pool.take("a")), waiter_of(pool.take("a"))
    pool.release(connection, reusable=True)
    assert [] == pool.leave(first)
    assert second.connection is connection
    assert [] == pool.leave(second)
    assert "<Pool 0 active, 1 idle, 0 waiting of 1>" == repr(pool)


def test_draining_closes_what_is_in_use_too() -> None:
    """
    Connections in use are closed, and their slots come back when their users notice.
    """
    pool, _ = pool_of(3)
    busy, idle = use(pool), use(pool)
    pool.release(idle, reusable=True)
    assert {busy, idle} == set(pool.drain())
    assert "<Pool 1 active, 0 idle, 0 waiting of 3>" == repr(pool)
    pool.release(busy, reusable=False)
    assert "<Pool 0 active, 0 idle, 0 waiting of 3>" == repr(pool)


def test_a_finaliser_inside_an_operation_waits_for_no_lock() -> None:
    """
    While the lock is held, even by this thread, a finaliser only leaves a note; the holder settles it.
    """
    pool, _ = pool_of(1)
    forgotten = use(pool)
    waiter = waiter_of(pool.take("b"))
    with pool._lock:
        pool.abandoned.append(forgotten)
        assert [] == pool.reclaim()
    assert [forgotten] == pool.reclaim()
    assert waiter.granted


def test_a_finaliser_during_a_release_is_not_overlooked() -> None:
    """
    The one who held the lock looks again afterwards, or somebody would wait for ever.
    """
    pool, _ = pool_of(2)
    released, forgotten = use(pool, "a"), use(pool, "a")
    first, second = waiter_of(pool.take("b")), waiter_of(pool.take("b"))
    settle = first.event.set

    def collected_meanwhile() -> None:
        settle()
        pool.abandoned.append(forgotten)
        assert [] == pool.reclaim()

    first.event.set = collected_meanwhile  # type: ignore[method-assign]
    assert [released, forgotten] == pool.release(released, reusable=True)
    assert first.granted
    assert second.granted


@pytest.mark.parametrize("line", range(8))
def test_a_finaliser_may_wake_the_very_event_that_is_being_waited_on(line: int) -> None:
    """
    Garbage is collected anywhere, at each line of an event's wait as well.
    """
    event = BlockingRuntime().event()
    lines = iter(range(1000))

    class Finaliser:
        def __del__(self) -> None:
            event.set()

    def trace(frame: Any, what: str, arg: Any) -> Any:
        if next(lines) == line:
            Finaliser()
        return trace

    def wait() -> None:
        sys.settrace(trace)
        try:
            run(event.wait(0.05))
        finally:
            sys.settrace(None)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(LONG)
    assert not thread.is_alive(), "deadlock"


def test_stats_compare_and_show() -> None:
    assert PoolStats(1, 2, 3, 4) == PoolStats(1, 2, 3, 4)
    assert PoolStats(1, 2, 3, 4) != PoolStats(1, 2, 3, None)
    assert "<Pool 1 active, 2 idle, 3 waiting of 4>" == repr(PoolStats(1, 2, 3, 4))
