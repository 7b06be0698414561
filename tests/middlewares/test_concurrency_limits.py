"""The two ways to find a limit: their arithmetic, their bounds, and what they find for a server in a model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.middlewares.concurrency_limits import (
    AIMD,
    FIRST_WINDOWS,
    LEAST_SAMPLES,
    MEASURED,
    PAUSE,
    ROUNDS,
    Gradient,
    Limiter,
    LimiterRules,
)

DEFAULTS: dict[str, Any] = {
    "initial": 20,
    "minimum": 1,
    "maximum": 200,
    "backoff": 0.9,
    "too_slow": 5.0,
    "tolerance": 1.5,
    "headroom": 4.0,
    "smoothing": 0.2,
    "window": 1.0,
    "memory": 60,
}


def aimd(**changes: Any) -> AIMD:
    return AIMD(LimiterRules(**{**DEFAULTS, **changes}))


def gradient(**changes: Any) -> Gradient:
    """On a wall clock that says that it measures next in half a minute."""
    return Gradient(LimiterRules(**{**DEFAULTS, **changes}), lambda: 30.0)


def unmeasured(**changes: Any) -> Gradient:
    """One that does not measure before the end of all tests."""
    limiter = gradient(**changes)
    limiter._due = 1e9
    return limiter


class Server:
    """It works on `width` requests at a time, each for `seconds`; the others wait."""

    def __init__(self, width: int, seconds: float = 0.1) -> None:
        self.width = width
        self.seconds = seconds
        self.now = 1000.0

    def serve(self, limiter: Any, rounds: int) -> list[int]:
        """As many at a time as the limiter allows, again and again; the limits that it found."""
        limits = []
        for _ in range(rounds):
            active = int(limiter.limit)
            began = self.now
            self.now += self.seconds * max(1.0, active / self.width)
            for _ in range(active):
                answered(limiter, began, self.now, active)
            limits.append(int(limiter.limit))
        return limits


def answered(limiter: Limiter, began: float, now: float, active: int) -> None:
    """As the layer does it, which does not tell all of what is only to be counted."""
    if not limiter.noted(began, now, active):
        limiter.answered(began, now, active)


# AIMD


def test_a_round_of_successes_adds_one() -> None:
    """
    As many successes as the limit is large make it one larger, or nearly so.
    """
    limiter = aimd()
    for _ in range(20):
        answered(limiter, 1000.0, 1000.1, 20)

    assert 20.97 < limiter.limit <= 21.0


def test_a_sign_of_overload_takes_a_share() -> None:
    limiter = aimd()
    limiter.overloaded(1000.0, 1000.1)

    assert 18.0 == limiter.limit


@pytest.mark.parametrize("make", [aimd, gradient])
def test_one_overload_is_counted_once(make: Any) -> None:
    """
    However many of the requests tell of it that were under way at the same time; later ones tell something new.
    """
    limiter = make()
    for _ in range(20):
        limiter.overloaded(1000.0, 1000.1)
    assert 18.0 == limiter.limit

    limiter.overloaded(1000.2, 1000.3)
    assert 16.2 == pytest.approx(limiter.limit)


def test_a_slow_answer_is_a_sign_of_overload() -> None:
    limiter = aimd()
    answered(limiter, 1000.0, 1005.0, 20)
    assert limiter.limit > 20

    answered(limiter, 1000.0, 1005.1, 20)
    assert limiter.limit < 20


@pytest.mark.parametrize(("active", "grows"), [(9, False), (10, True)])
def test_what_is_not_used_does_not_grow(active: int, grows: bool) -> None:
    """
    Half of the limit must be in use.
    """
    limiter = aimd()
    answered(limiter, 1000.0, 1000.1, active)

    assert grows == (limiter.limit > 20)


# Gradient


def look(limiter: Gradient, seconds: float, active: int, at: float) -> None:
    """One window of answers that each took so long."""
    for _ in range(LEAST_SAMPLES - 1):
        answered(limiter, at - seconds, at, active)
    answered(limiter, at + 1.0 - seconds, at + 1.0, active)


def test_usual_answers_leave_room_for_more() -> None:
    """
    The limit goes a part of the way to the headroom above it, once for each window.
    """
    limiter = gradient()
    look(limiter, 0.1, 20, 1000.0)
    assert 20.8 == pytest.approx(limiter.limit)

    for _ in range(5):
        answered(limiter, 1000.9, 1001.0, 20)
    assert 20.8 == pytest.approx(limiter.limit)


def test_slower_answers_shrink_it() -> None:
    """
    By how much slower they are than what is tolerated, and never to less than half at once.
    """
    limiter = unmeasured(smoothing=1.0)
    for number in range(FIRST_WINDOWS - 2):
        look(limiter, 0.1, 20, 1000.0 + 2 * number)
    limiter._usual, limiter._is_measured = 0.1, True
    limiter._set(100.0)
    look(limiter, 0.2, 100, 2000.0)
    assert 100 * 1.5 * 0.1 / 0.2 + 4 == pytest.approx(limiter.limit, rel=0.01)

    limiter._set(100.0)
    look(limiter, 9.0, 100, 2010.0)
    assert 54.0 == limiter.limit


def test_a_limit_that_is_not_used_stays() -> None:
    """
    Neither fast nor slow answers say anything of it.
    """
    limiter = unmeasured()
    look(limiter, 0.1, 9, 1000.0)
    look(limiter, 9.0, 9, 1010.0)

    assert 20.0 == limiter.limit


def test_few_answers_make_no_window() -> None:
    """
    It lasts until there are enough.
    """
    limiter = unmeasured()
    for number in range(LEAST_SAMPLES - 1):
        answered(limiter, 1000.0 + 10 * number, 1000.1 + 10 * number, 20)
    assert 20.0 == limiter.limit

    answered(limiter, 2000.0, 2000.1, 20)
    assert limiter.limit > 20


def test_after_an_overload_it_grows_back() -> None:
    """
    By one for each round of successes that use it, to what was found before and no further within the window.
    """
    limiter = gradient()
    answered(limiter, 1000.0, 1000.1, 20)
    limiter.overloaded(1000.0, 1000.2)
    assert 18.0 == limiter.limit

    answered(limiter, 1000.2, 1000.3, 3)
    assert 18.0 == limiter.limit, "little of it was used"
    for _ in range(18):
        answered(limiter, 1000.2, 1000.3, 18)
    assert 18.9 < limiter.limit < 19.0
    for _ in range(100):
        answered(limiter, 1000.2, 1000.3, 19)
    assert 20.0 == limiter.limit


@pytest.mark.parametrize(("seconds", "lowers"), [(0.1, False), (0.3, True)])
def test_what_is_learnt_while_it_grows_back(seconds: float, lowers: bool) -> None:
    """
    Usual answers do not raise what was found, as it was not reached; slow ones lower it.
    """
    limiter = gradient()
    for at in (1000.0, 1001.0):
        look(limiter, 0.1, 1, at)
    limiter.overloaded(1002.0, 1002.1)
    limiter.overloaded(1002.2, 1002.3)
    low = limiter.limit
    assert 16.2 == pytest.approx(low)
    look(limiter, seconds, 16, 1002.4)

    for _ in range(400):
        answered(limiter, 1003.5 - seconds, 1003.5, 20)

    assert limiter.limit < 18 if lowers else 20.0 == limiter.limit


def test_single_failures_do_not_hold_it_down() -> None:
    """
    One in a hundred says nothing of the load: the limit stays about where it was.
    """
    limiter, now = gradient(), 1000.0
    lowest = limiter.limit
    for number in range(20_000):
        now += 0.001
        if number % 100 == 0:
            limiter.overloaded(now - 0.025, now)
        else:
            answered(limiter, now - 0.025, now, int(limiter.limit))
        lowest = min(lowest, limiter.limit)

    # Half of it while it measures.
    assert lowest > 4
    assert limiter.limit > 20


def test_answers_without_any_time_are_no_trouble() -> None:
    """
    A clock may be coarse.
    """
    limiter = unmeasured(window=0.0)
    for _ in range(LEAST_SAMPLES):
        answered(limiter, 1000.0, 1000.0, 20)

    assert 20.8 == pytest.approx(limiter.limit)


def test_it_finds_what_a_server_can_bear_and_follows() -> None:
    """
    Around what it works on at a time, give or take what is tolerated; less when the server becomes smaller.
    """
    server = Server(50)
    limiter = Gradient(LimiterRules(**DEFAULTS), lambda: server.now)

    before = sorted(server.serve(limiter, 1000)[-400:])
    # But for a measurement.
    assert 50 <= before[40]
    assert before[-1] <= 100

    server.width = 10
    after = server.serve(limiter, 400)
    assert after[-1] < 40


def test_a_bad_time_that_is_over_is_forgotten() -> None:
    """
    What was usual in it does not stay so.
    """
    limiter = gradient()
    for number in range(20):
        look(limiter, 5.0, 20, 1000.0 + 10 * number)
    for number in range(120):
        look(limiter, 0.1, 4, 2000.0 + 2 * number)

    assert 0.1 == pytest.approx(limiter._usual)


# Measuring what is usual


def until_measuring(limiter: Gradient, seconds: float = 0.1, active: int = 20) -> float:
    """Windows until a measurement has begun; when that is."""
    now = 1000.0
    while limiter._set_aside is None:
        look(limiter, seconds, active, now)
        now += 1.2
    return now


def test_a_measurement_takes_half_of_what_would_keep_the_server_busy() -> None:
    """
    The limit comes back when enough is known; what was sent before says nothing.
    """
    limiter = gradient()
    now = until_measuring(limiter)
    before = limiter._set_aside
    assert before is not None
    assert (before - 4.0) / 1.5 / 2 == pytest.approx(limiter.limit)

    for _ in range(100):
        answered(limiter, now - 15.0, now + PAUSE, 20)
    assert limiter._set_aside == before
    for _ in range(MEASURED):
        answered(limiter, now + PAUSE - 0.05, now + PAUSE, 5)
    assert (before, 0.05) == (limiter.limit, pytest.approx(limiter._usual))


def test_a_measurement_lasts_for_a_while() -> None:
    """
    However many answers come: others may begin theirs a little later.
    """
    limiter = gradient()
    now = until_measuring(limiter)
    for _ in range(500):
        answered(limiter, now, now + 0.05, 5)
    assert limiter._set_aside is not None

    answered(limiter, now + PAUSE, now + PAUSE + 0.05, 5)
    assert limiter._set_aside is None


def test_a_measurement_takes_rounds_of_answers() -> None:
    """
    The first answers are those of the fastest requests.
    """
    limiter = gradient()
    now = until_measuring(limiter) + PAUSE
    for _ in range(ROUNDS * 8 - 1):
        answered(limiter, now, now + 0.05, 8)
    assert limiter._set_aside is not None

    answered(limiter, now, now + 0.05, 8)
    assert limiter._set_aside is None


def test_a_limit_that_is_not_used_falls_to_what_is() -> None:
    """
    So nobody waits; what is usual is measured all the same, even if it is more than it was.
    """
    limiter = gradient()
    now = until_measuring(limiter, active=7)
    assert 7.0 == limiter.limit

    for _ in range(ROUNDS * 7):
        answered(limiter, now + PAUSE, now + PAUSE + 0.3, 7)
    assert (20.0, 0.3) == (limiter.limit, pytest.approx(limiter._usual))


def test_an_overload_in_a_measurement_shrinks_the_limit_that_comes_after_it() -> None:
    """
    The measurement goes on, or a server that refuses now and then would never be measured.
    """
    limiter = gradient()
    now = until_measuring(limiter)
    before, measuring = limiter._set_aside, limiter.limit
    assert before is not None
    limiter.overloaded(now, now + 0.1)
    assert (before * 0.9, measuring) == (pytest.approx(limiter._set_aside), limiter.limit)

    for _ in range(100):
        limiter.overloaded(now + 1.0, now + 1.1)
        now += 0.2
    assert 1.0 == limiter._set_aside == limiter.limit


def test_measurements_come_by_the_wall_clock() -> None:
    """
    When the seconds since 1970 are a multiple of the period, so that all programs measure together.
    """
    began = 1000.0

    def measured_at(offset: float) -> list[float]:
        """The wall clock's times of the measurements of a program whose own clock differs from it by so much."""
        limiter = Gradient(LimiterRules(**DEFAULTS), lambda: now + offset)
        found, now = [], began
        for _ in range(3000):
            now += 0.1
            was = limiter._set_aside is not None
            answered(limiter, now - 0.05, now, 10)
            if limiter._set_aside is not None and not was:
                found.append(now + offset)
        return found

    for offset in (0.0, 17.0, 1e9 + 41.3):
        first, *later = measured_at(offset)
        assert first <= began + offset + FIRST_WINDOWS + 0.3
        assert len(later) >= 4
        assert all(at % 60.0 <= 0.2 for at in later)


def test_no_window_is_no_trouble() -> None:
    """
    Each ten answers are a look, and it measures after as many seconds as it would after windows of one.
    """
    limiter = gradient(window=0.0)
    now = 1000.0
    for _ in range(4000):
        now += 0.05
        answered(limiter, now - 0.05, now, int(limiter.limit))

    assert limiter.limit > 100


def test_a_small_limit_has_little_headroom() -> None:
    """
    No more than its root: fifty programs with a limit of 1 shall not add four each.
    """
    limiter = gradient(initial=1, smoothing=1.0)
    look(limiter, 0.1, 1, 1000.0)

    assert 2.0 == limiter.limit


# Both


@settings(max_examples=150, deadline=None)
@given(
    make=st.sampled_from([aimd, gradient]),
    bounds=st.lists(st.integers(1, 60), min_size=3, max_size=3).map(sorted),
    outcomes=st.lists(
        st.tuples(st.booleans(), st.floats(0.0, 8.0), st.integers(1, 80)), max_size=150
    ),
)
def test_the_limit_stays_within_its_bounds(
    make: Any, bounds: list[int], outcomes: list[tuple[bool, float, int]]
) -> None:
    """
    Whatever comes; and a sign of overload never raises it.
    """
    minimum, initial, maximum = bounds
    limiter = make(minimum=minimum, initial=initial, maximum=maximum, window=0.5)
    now = 1000.0
    for overloaded, seconds, active in outcomes:
        now += 0.1
        before = limiter.limit
        if overloaded:
            limiter.overloaded(now - seconds, now)
            assert limiter.limit <= before
        else:
            answered(limiter, now - seconds, now, active)
        assert minimum <= limiter.limit <= maximum


@settings(max_examples=150, deadline=None)
@given(
    outcomes=st.lists(
        st.tuples(st.booleans(), st.floats(0.0, 8.0), st.integers(1, 80)), max_size=150
    )
)
def test_aimd_against_a_plain_model(outcomes: list[tuple[bool, float, int]]) -> None:
    """
    The same number, found anew from the rules.
    """
    limiter = aimd()
    expected, now, shrank_at = 20.0, 1000.0, 0.0
    for overloaded, seconds, active in outcomes:
        now += 0.1
        began = now - seconds
        if overloaded:
            limiter.overloaded(began, now)
        else:
            answered(limiter, began, now, active)
        if overloaded or now - began > 5.0:
            if began >= shrank_at:
                expected, shrank_at = max(1.0, expected * 0.9), now
        elif active >= int(expected) / 2:
            expected = min(200.0, expected + 1 / expected)
        assert expected == limiter.limit


@settings(max_examples=150, deadline=None)
@given(
    outcomes=st.lists(
        st.tuples(
            st.sampled_from([False, False, False, True]),
            st.floats(0.0, 8.0),
            st.integers(1, 80),
            st.sampled_from([0.01, 0.01, 0.3, 2.0]),
        ),
        max_size=250,
    ),
    make=st.sampled_from([aimd, gradient]),
)
def test_what_is_only_counted_comes_to_the_same(
    outcomes: list[tuple[bool, float, int, float]], make: Any
) -> None:
    """
    Whether or not one asks first if a request has to be told of.
    """
    limiter, told_all = make(window=0.5, memory=4), make(window=0.5, memory=4)
    now = 1000.0
    for overloaded, seconds, active, pause in outcomes:
        now += pause
        if overloaded:
            limiter.overloaded(now - seconds, now)
            told_all.overloaded(now - seconds, now)
        else:
            answered(limiter, now - seconds, now, active)
            told_all.answered(now - seconds, now, active)
        assert limiter.limit == told_all.limit
