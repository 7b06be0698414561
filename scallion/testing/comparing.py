"""What was expected against what came: values compared in depth, and where they differ.

An expected value, at any depth, is one of:

- `ANY`: whatever is there; `ABSENT`: nothing may be there;
- a regular expression, found anywhere in a text;
- a type, of which the value is an instance;
- a function that says whether the value will do;
- `containing(...)`: mappings may have more names, lists more items, in any order; all the way down;
- `exactly(...)`: nothing more than what is named; the opposite, where the former is the rule;
- anything else, to which the value is equal. `True` is not 1, as it is not in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

__all__ = [
    "ABSENT",
    "ANY",
    "MISSING",
    "Containing",
    "Difference",
    "Exactly",
    "NoneIn",
    "Words",
    "compare",
    "containing",
    "exactly",
    "is_plain",
]


class _Any:
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash(_Any)

    def __repr__(self) -> str:
        return "ANY"


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


ANY: Final[Any] = _Any()
"""Expected: something, whatever it is. Equal to everything."""

ABSENT: Final[Any] = _Absent()
"""Expected: no header, parameter, cookie, field or key of the name."""

MISSING: Final = _Missing()
"""Actual: there is none. Expected: none was foreseen."""


@dataclass(frozen=True)
class Containing:
    """See `containing`."""

    value: Any

    def __repr__(self) -> str:
        return f"containing({self.value!r})"


@dataclass(frozen=True)
class Exactly:
    """See `exactly`."""

    value: Any

    def __repr__(self) -> str:
        return f"exactly({self.value!r})"


@dataclass(frozen=True)
class NoneIn:
    """Actual: a list, and the item that was expected is not in it."""

    value: Any

    def __repr__(self) -> str:
        return f"none such in {self.value!r}"


def containing(value: Any) -> Any:
    """Expected: at least this. For `json`, `data` and what is in them, where equality is the rule.

    Of a mapping each name must be there with its value, of a list each item, in any order; and so in what they contain.
    """
    return Containing(value)


def exactly(value: Any) -> Any:
    """Expected: this and nothing more. For `params`, `headers` and `cookies`, where more may come."""
    return Exactly(value)


class Words(str):
    """An actual value that is told rather than shown: "no JSON", say."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Difference(NamedTuple):
    """One place where the two differ.

    Attributes:
        path: Names and indices that lead there from the outside.
        expected: `MISSING` where nothing was.
        actual: `MISSING` where nothing is.
    """

    path: tuple[str | int, ...]
    expected: Any
    actual: Any


def is_plain(value: object) -> bool:
    """Whether it stands for itself, and has a text, rather than for a rule."""
    return value is None or type(value) in {str, int, float, bool, bytes}


def compare(
    expected: Any, actual: Any, path: tuple[str | int, ...] = (), *, partial: bool = False
) -> Iterator[Difference]:
    """Each place where `actual` is not what was expected.

    Args:
        expected: See the module's docstring.
        actual: Plain values, lists and dicts, or `MISSING`.
        path: Where in something larger this stands.
        partial: Whether mappings and lists may have more than what is named.
    """
    if isinstance(expected, Containing):
        yield from compare(expected.value, actual, path, partial=True)
    elif isinstance(expected, Exactly):
        yield from compare(expected.value, actual, path)
    elif expected is ABSENT or actual is MISSING:
        if (expected is ABSENT) != (actual is MISSING):
            yield Difference(path, expected, actual)
    elif isinstance(expected, Mapping) and isinstance(actual, Mapping):
        yield from _mappings(expected, actual, path, partial=partial)
    elif isinstance(expected, (list, tuple)) and isinstance(actual, (list, tuple)):
        if partial:
            yield from _contained(expected, actual, path)
        else:
            yield from _lists(expected, actual, path)
    elif not _fits(expected, actual):
        yield Difference(path, expected, actual)


def _fits(expected: Any, actual: Any) -> bool:
    # Cases: a regular expression, a type, a function, a value.
    if isinstance(expected, re.Pattern):
        try:
            return expected.search(actual) is not None
        except TypeError:
            # A number, or bytes where it is one for text.
            return False
    if isinstance(expected, type):
        # Some libraries' matchers are classes that compare.
        return _is_a(expected, actual) or bool(expected == actual)
    if callable(expected):
        return bool(expected(actual))
    if isinstance(expected, bool) != isinstance(actual, bool) and is_plain(expected):
        return False
    return bool(expected == actual)


def _is_a(expected: type, actual: Any) -> bool:
    if isinstance(actual, bool):
        return issubclass(bool, expected) and expected is not int
    return isinstance(actual, expected)


def _mappings(
    expected: Mapping[Any, Any],
    actual: Mapping[Any, Any],
    path: tuple[str | int, ...],
    *,
    partial: bool,
) -> Iterator[Difference]:
    for name, value in expected.items():
        yield from compare(value, actual.get(name, MISSING), (*path, name), partial=partial)
    if not partial:
        for name, value in actual.items():
            if name not in expected:
                yield Difference((*path, name), MISSING, value)


def _lists(expected: Any, actual: Any, path: tuple[str | int, ...]) -> Iterator[Difference]:
    for index in range(max(len(expected), len(actual))):
        here = (*path, index)
        if index >= len(expected):
            yield Difference(here, MISSING, actual[index])
        else:
            there = actual[index] if index < len(actual) else MISSING
            yield from compare(expected[index], there, here)


def _contained(expected: Any, actual: Any, path: tuple[str | int, ...]) -> Iterator[Difference]:
    """Each expected item needs an actual one of its own."""
    left = list(actual)
    for index, item in enumerate(expected):
        found = next(
            (
                at
                for at, there in enumerate(left)
                if next(compare(item, there, partial=True), None) is None
            ),
            None,
        )
        if found is None:
            yield Difference((*path, index), item, NoneIn(list(actual)))
        else:
            del left[found]
