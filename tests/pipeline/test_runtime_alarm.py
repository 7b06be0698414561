"""Many deadlines, one timer: who is rung for, when, and what the loop is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scallion.pipeline.runtime_alarm import Alarm


class Timer:
    """What `call_later` gave."""

    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """An event loop as far as time goes; the test moves it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asked = 0
        self.timers: list[Timer] = []

    def clock(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        self.asked += 1
        self.timers.append(Timer(self.now + seconds, callback))
        return self.timers[-1]

    def pending(self) -> list[float]:
        return [timer.when for timer in self.timers if not timer.cancelled]

    def go_to(self, moment: float) -> None:
        """Let every timer fire that is due until then."""
        while due := [t for t in self.timers if not t.cancelled and t.when <= moment]:
            timer = min(due, key=lambda each: each.when)
            self.timers.remove(timer)
            self.now = max(self.now, timer.when)
            timer.callback()
        self.now = moment


class Sleeper:
    """Notes when it was rung for."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.rung: list[float] = []

    def ring(self) -> None:
        self.rung.append(self.loop.now)


def made() -> tuple[Loop, Any, list[Sleeper]]:
    loop = Loop()
    return loop, Alarm(loop, loop.clock), [Sleeper(loop) for _ in range(3)]  # type: ignore[arg-type]


def test_each_is_rung_for_once_at_its_deadline() -> None:
    """
    In whichever order the deadlines were set.
    """
    loop, alarm, (first, second, third) = made()
    alarm.set(second, 102)
    alarm.set(third, 103)
    alarm.set(first, 101)

    loop.go_to(110)

    assert [[101], [102], [103]] == [first.rung, second.rung, third.rung]
    assert {} == alarm.waiting
    assert [] == loop.pending()


def test_who_has_left_is_not_rung_for() -> None:
    """
    And the timer that was armed for him finds the next.
    """
    loop, alarm, (first, second, _) = made()
    alarm.set(first, 101)
    alarm.set(second, 102)
    del alarm.waiting[first]

    loop.go_to(110)

    assert [] == first.rung
    assert [102] == second.rung


def test_waits_that_follow_each_other_share_a_timer() -> None:
    """
    As long as it has not fired, none is armed and none is cancelled.
    """
    loop, alarm, (first, *_) = made()
    for _ in range(100):
        loop.now += 0.001
        alarm.set(first, loop.now + 5)
        del alarm.waiting[first]

    assert 1 == len(loop.timers)
    loop.go_to(110)
    assert [] == loop.timers
    assert [] == first.rung


def test_an_earlier_deadline_takes_the_timer() -> None:
    """
    There is never more than one.
    """
    loop, alarm, (first, second, _) = made()
    alarm.set(second, 150)
    alarm.set(first, 101)

    assert [101] == loop.pending()


def test_deadlines_close_to_each_other_do_not_make_it_look_all_the_time() -> None:
    """
    Where thousands are overdue one after the other, they are rung for in batches.
    """
    loop, alarm, _ = made()
    sleepers = [Sleeper(loop) for _ in range(1000)]
    for number, sleeper in enumerate(sleepers):
        alarm.set(sleeper, 101 + number * 0.00001)
    before = loop.asked

    loop.go_to(110)

    assert loop.asked - before <= 4
    assert all(len(sleeper.rung) == 1 and sleeper.rung[0] <= 101.02 for sleeper in sleepers)


def test_who_sets_a_deadline_while_others_are_rung_for() -> None:
    """
    His is heeded like any other.
    """
    loop, alarm, (first, second, _) = made()
    first.ring = lambda: alarm.set(second, 102)  # type: ignore[method-assign]
    alarm.set(first, 101)

    loop.go_to(110)

    assert [102] == second.rung


def test_a_loop_in_whose_time_nothing_has_to_be_waited_for() -> None:
    """
    It fires at once, and is right, though the clock stands still: it is not asked again and again.
    """
    loop, _, (first, second, _) = made()
    alarm = Alarm(loop, lambda: 100.0)  # type: ignore[arg-type]
    alarm.set(first, 103.0)
    alarm.set(second, 150.0)

    loop.go_to(110)

    assert [103.0] == first.rung
    assert [] == second.rung
    assert loop.asked <= 2
