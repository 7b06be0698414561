"""Checks of settings: what they refuse, and how they say it."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from scallion.middlewares.validation import (
    check_callable,
    check_count,
    check_errors,
    check_number,
    check_statuses,
)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (0, ValueError, "N must be at least 1: 0"),
        (True, TypeError, "N must be a whole number: True"),
        (1.0, TypeError, "N must be a whole number: 1.0"),
    ],
)
def test_counts(given: Any, error: type[Exception], message: str) -> None:
    """
    Whole numbers, from the least on.
    """
    check_count("N", 1, 1)
    with pytest.raises(error, match=message):
        check_count("N", given, 1)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (0, ValueError, "N must be more than 0, and at most 1: 0"),
        (1.5, ValueError, "N must be more than 0, and at most 1: 1.5"),
        (nan, ValueError, "more than 0"),
        (inf, ValueError, "more than 0"),
        ("1", TypeError, "N must be a number: '1'"),
        (True, TypeError, "N must be a number: True"),
    ],
)
def test_numbers(given: Any, error: type[Exception], message: str) -> None:
    """
    Within their bounds, one of which may not count itself.
    """
    check_number("N", 1, 0, 1, above=True)
    with pytest.raises(error, match=message):
        check_number("N", given, 0, 1, above=True)


def test_numbers_without_an_upper_bound() -> None:
    """
    Any number from the least on, infinity included.
    """
    check_number("N", inf, 1)
    check_number("N", 1, 1)
    with pytest.raises(ValueError, match=r"N must be at least 1: 0\.5\Z"):
        check_number("N", 0.5, 1)


def test_statuses() -> None:
    """
    Any collection of them becomes a set.
    """
    assert frozenset({500, 503}) == check_statuses("N", [500, 503, 500])
    with pytest.raises(TypeError, match="N must be a collection of HTTP status codes: 503"):
        check_statuses("N", 503)
    with pytest.raises(TypeError, match="collection"):
        check_statuses("N", "503")
    with pytest.raises(ValueError, match="100 to 599"):
        check_statuses("N", [600])


def test_errors() -> None:
    """
    One class stands for a tuple of one.
    """
    assert (OSError,) == check_errors("N", OSError)
    assert (OSError, KeyError) == check_errors("N", (OSError, KeyError))
    for wrong in ("OSError", (OSError, 1), KeyboardInterrupt):
        with pytest.raises(TypeError, match="N must be a tuple of exception classes"):
            check_errors("N", wrong)


def test_callables() -> None:
    check_callable("N", print)
    with pytest.raises(TypeError, match="N must be callable: 1"):
        check_callable("N", 1)
