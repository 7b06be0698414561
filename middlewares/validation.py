"""Checks that several layers make of their settings: the message says what was given and what is allowed."""

from __future__ import annotations

from collections.abc import Collection
from math import inf, isnan
from typing import Any

__all__ = ["check_callable", "check_count", "check_errors", "check_number", "check_statuses"]


def check_count(name: str, given: object, least: int) -> None:
    """Refuse what is no whole number from `least` on."""
    if not isinstance(given, int) or isinstance(given, bool):
        raise TypeError(f"{name} must be a whole number: {given!r}")
    if given < least:
        raise ValueError(f"{name} must be at least {least}: {given!r}")


def check_number(
    name: str, given: object, least: float, most: float = inf, *, above: bool = False
) -> None:
    """Refuse what is no number from `least` (or `above` it) to `most`."""
    if not isinstance(given, (int, float)) or isinstance(given, bool):
        raise TypeError(f"{name} must be a number: {given!r}")
    if isnan(given) or given < least or given > most or (above and given == least):
        bound = f"more than {least:g}" if above else f"at least {least:g}"
        and_most = "" if most == inf else f", and at most {most:g}"
        raise ValueError(f"{name} must be {bound}{and_most}: {given!r}")


def check_statuses(name: str, given: Any) -> frozenset[int]:
    """`given` as a set of HTTP status codes."""
    if not isinstance(given, Collection) or isinstance(given, (str, bytes)):
        raise TypeError(f"{name} must be a collection of HTTP status codes: {given!r}")
    if not all(isinstance(status, int) and 100 <= status <= 599 for status in given):
        raise ValueError(f"{name} must be HTTP status codes, 100 to 599: {given!r}")
    return frozenset(given)


def check_errors(name: str, given: Any) -> tuple[type[Exception], ...]:
    """`given`, one exception class or a tuple of them, as a tuple."""
    errors = given if isinstance(given, tuple) else (given,)
    if not all(isinstance(error, type) and issubclass(error, Exception) for error in errors):
        raise TypeError(f"{name} must be a tuple of exception classes: {given!r}")
    return errors


def check_callable(name: str, given: object) -> None:
    """Refuse what cannot be called."""
    if not callable(given):
        raise TypeError(f"{name} must be callable: {given!r}")
