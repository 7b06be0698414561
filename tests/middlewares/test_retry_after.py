"""Retry-After: all forms of RFC 9110, and what is none."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.middlewares.retry_after import http_date, refuses_retries, retry_after

# Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 section 5.6.7.
THEN = 784_111_777.0


def at(now: float) -> float | None:
    return retry_after("Sun, 06 Nov 1994 08:49:37 GMT", lambda: now)


@pytest.mark.parametrize(
    ("value", "seconds"), [("0", 0.0), ("120", 120.0), (" 7 ", 7.0), ("9" * 5000, math.inf)]
)
def test_seconds(value: str, seconds: float) -> None:
    """
    A number of seconds is taken as it is; one beyond all bounds is infinite.
    """
    assert seconds == retry_after(value, lambda: 0.0)


@pytest.mark.parametrize(
    "date",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ],
)
def test_all_three_forms_of_a_date(date: str) -> None:
    """
    The date counts from now on the wall clock.
    """
    assert 30.0 == retry_after(date, lambda: THEN - 30)


def test_a_date_in_the_past_asks_for_no_wait() -> None:
    """
    It is 0, not a negative wait.
    """
    assert 0.0 == at(THEN + 3600)
    assert 0.0 == at(THEN)


@pytest.mark.parametrize(
    ("this_year", "digits", "year"),
    [
        (2023, "94", 1994),
        (2023, "73", 2073),
        (2023, "74", 1974),
        (1994, "05", 2005),
        (2096, "30", 2130),
        (2000, "00", 2000),
    ],
)
def test_two_digits_mean_a_year_at_most_50_ahead(this_year: int, digits: str, year: int) -> None:
    """
    What would lie further ahead is in the past.
    """
    now = http_date(f"Mon, 01 Jun {this_year} 00:00:00 GMT", lambda: 0.0)
    assert now is not None
    expected = http_date(f"Mon, 01 Jan {year} 00:00:00 GMT", lambda: 0.0)

    assert expected == http_date(f"Monday, 01-Jan-{digits} 00:00:00 GMT", lambda: now)


def test_a_leap_second_is_a_second() -> None:
    """
    The 60th second counts as the 59th.
    """
    dates = (f"Sat, 31 Dec 2016 23:59:{second} GMT" for second in (59, 60))
    first, second = (http_date(date, lambda: 0.0) for date in dates)
    assert first == second is not None


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        "-1",
        "1.5",
        "1e3",
        "2, 3",
        "\u0663",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 0000 08:49:37 GMT",
    ],
)
def test_what_is_malformed_is_ignored(value: str | None) -> None:
    """
    It does not count as a wait of any length.
    """
    assert retry_after(value, lambda: THEN) is None


@given(st.text("0123456789 ,-:GMTSunNov", max_size=32))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_a_wait_or_nothing(value: str) -> None:
    """
    No header makes it fail.
    """
    seconds = retry_after(value, lambda: THEN)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize("value", ["false", "FALSE", "no", " No ", "-1", "-250"])
def test_a_refusal_of_retries(value: str) -> None:
    """
    In words, or by a negative number.
    """
    assert refuses_retries(value)


@pytest.mark.parametrize("value", [None, "", "true", "yes", "0", "100", "-", "--1", "-1.5", "-²"])
def test_no_refusal_of_retries(value: str | None) -> None:
    """
    Nobody guesses at what is malformed.
    """
    assert not refuses_retries(value)
