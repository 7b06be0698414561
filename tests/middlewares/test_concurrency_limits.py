"""The two ways to find a limit: their arithmetic, their bounds, and what they find for a server in a model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.middlewares.concurrency_limits import (
    AIMD,
    LEAST_SAMPLES,
    Gradient,
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
    "memory": 600,
}


def aimd(**changes: Any) -> AIMD:
    return AIMD(LimiterRules(**{**DEFAULTS, **changes}))


def gradient(**changes: Any) -> Gradient:
    return Gradient(LimiterRules(**{**DEFAULTS, **changes}))


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
                limiter.answered(began, self.now, active)
            limits.append(int(limiter.limit))
        return limits


# AIMD


def test_a_round_of_successes_adds_one() -> None:
    """
    As many successes as the limit is large make it one larger, or nearly so.
    """
    limiter = aimd()
    for _ in range(20):
        limiter.answered(1000.0, 1000.1, 20)

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
    limiter.answered(1000.0, 1005.0, 20)
    assert limiter.limit > 20

    limiter.answered(1000.0, 1005.1, 20)
    assert limiter.limit < 20


@pytest.mark.parametrize(("active", "grows"), [(9, False), (10, True)])
def test_what_is_not_used_does_not_grow(active: int, grows: bool) -> None:
    """
    Half of the limit must be in use.
    """
    limiter = aimd()
    limiter.answered(1000.0, 1000.1, active)

    assert grows == (limiter.limit > 20)


# Gradient


def look(limiter: Gradient, seconds: float, active: int, at: float) -> None:
    """One window of answers that each took so long."""
    for _ in range(LEAST_SAMPLES - 1):
        limiter.answered(at - seconds, at, active)
    limiter.answered(at + 1.0 - seconds, at + 1.0, active)


def test_usual_answers_leave_room_for_more() -> None:
    """
    The limit goes a part of the way to the headroom above it, once for each window.
    """
    limiter = gradient()
    look(limiter, 0.1, 20, 1000.0)
    assert 20.8 == pytest.approx(limiter.limit)

    for _ in range(5):
        limiter.answered(1000.9, 1001.0, 20)
    assert 20.8 == pytest.approx(limiter.limit)


def test_slower_answers_shrink_it() -> None:
    """
    By how much slower they are than what is tolerated, and never to less than half at once.
    """
    limiter = gradient(smoothing=1.0, memory=10_000)
    for number in range(50):
        look(limiter, 0.1, 20, 1000.0 + 2 * number)
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
    limiter = gradient()
    look(limiter, 0.1, 9, 1000.0)
    look(limiter, 9.0, 9, 1010.0)

    assert 20.0 == limiter.limit


def test_few_answers_make_no_window() -> None:
    """
    It lasts until there are enough.
    """
    limiter = gradient()
    for number in range(LEAST_SAMPLES - 1):
        limiter.answered(1000.0 + 10 * number, 1000.1 + 10 * number, 20)
    assert 20.0 == limiter.limit

    limiter.answered(2000.0, 2000.1, 20)
    assert limiter.limit > 20


def test_an_overload_begins_a_new_window() -> None:
    limiter = gradient()
    for _ in range(LEAST_SAMPLES):
        limiter.answered(1000.0, 1000.1, 20)
    limiter.overloaded(1000.0, 1000.2)
    limiter.answered(1001.0, 1001.2, 20)

    assert 18.0 == limiter.limit


def test_answers_without_any_time_are_no_trouble() -> None:
    """
    A clock may be coarse.
    """
    limiter = gradient(window=0.0)
    for _ in range(LEAST_SAMPLES):
        limiter.answered(1000.0, 1000.0, 20)

    assert 20.8 == pytest.approx(limiter.limit)


def test_it_finds_what_a_server_can_bear_and_follows() -> None:
    """
    Around what it works on at a time, give or take what is tolerated; less when the server becomes smaller.
    """
    limiter, server = gradient(), Server(50)

    before = server.serve(limiter, 1000)[-400:]
    assert 50 <= min(before)
    assert max(before) <= 100

    server.width = 10
    after = server.serve(limiter, 100)
    assert after[-1] < 40


def test_a_bad_time_that_is_over_is_forgotten() -> None:
    """
    What was usual in it does not stay so.
    """
    limiter = gradient()
    for number in range(20):
        look(limiter, 5.0, 20, 1000.0 + 10 * number)
    for number in range(60):
        look(limiter, 0.1, 200, 2000.0 + 2 * number)

    assert limiter._usual < 0.5


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
            limiter.answered(now - seconds, now, active)
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
            limiter.answered(began, now, active)
        if overloaded or now - began > 5.0:
            if began >= shrank_at:
                expected, shrank_at = max(1.0, expected * 0.9), now
        elif active >= int(expected) / 2:
            expected = min(200.0, expected + 1 / expected)
        assert expected == limiter.limit
