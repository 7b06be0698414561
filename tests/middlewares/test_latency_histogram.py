"""A percentile of the latest answers, from a few counters."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.middlewares.latency_histogram import LEAST, SIZE, LatencyHistogram


def test_little_is_nothing() -> None:
    """
    Before enough answers are known there is no percentile; then there is one at once.
    """
    histogram = LatencyHistogram(0.95)
    for _ in range(LEAST - 1):
        histogram.add(0.1)
    assert histogram.value is None

    histogram.add(0.1)
    assert 0.1 == pytest.approx(histogram.value, rel=0.1)


@settings(max_examples=100)
@given(
    st.lists(st.floats(min_value=0.0002, max_value=200.0), min_size=64, max_size=200),
    st.sampled_from([0.5, 0.9, 0.95, 0.99]),
)
def test_it_is_right_but_for_a_tenth(answers: list[float], percentile: float) -> None:
    """
    Against the sorted list, whenever it has just been looked for.
    """
    answers = answers[: LEAST + (len(answers) - LEAST) // 16 * 16]
    histogram = LatencyHistogram(percentile)
    for seconds in answers:
        histogram.add(seconds)

    exact = sorted(answers)[math.ceil(percentile * len(answers)) - 1]
    assert histogram.value is not None
    assert exact * 0.999 <= histogram.value <= exact * 1.11


def test_what_is_long_ago_is_forgotten() -> None:
    """
    An origin that has become slower is known as such, after two generations at most.
    """
    histogram = LatencyHistogram(0.5)
    for _ in range(SIZE):
        histogram.add(0.01)
    for _ in range(2 * SIZE):
        histogram.add(1.0)

    assert 1.0 == pytest.approx(histogram.value, rel=0.1)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e9])
def test_extremes_are_counted(seconds: float) -> None:
    """
    In the first bucket or the last: a clock may stand still, and a debugger hold everything up.
    """
    histogram = LatencyHistogram(0.5)
    for _ in range(LEAST):
        histogram.add(seconds)

    assert histogram.value is not None
    assert (histogram.value <= 1e-4) == (seconds < 1)
