"""Expected values against actual ones, in depth."""

from __future__ import annotations

import re
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.testing import ABSENT, ANY, containing, exactly
from scallion.testing.comparing import MISSING, Difference, compare


class Even:
    """A matcher of another library: it compares."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int) and other % 2 == 0

    __hash__ = None  # type: ignore[assignment]


FITS: list[tuple[Any, Any]] = [
    ({"a": 1, "b": [True, None]}, {"b": [True, None], "a": 1}),
    (1, 1.0),
    (ANY, None),
    (mock.ANY, {"a": 1}),
    ({"a": ANY}, {"a": [1]}),
    ({"a": ABSENT}, {}),
    (re.compile(r"^\d+$"), "42"),
    (re.compile(rb"\d"), b"42"),
    ({"a": str, "b": int}, {"a": "x", "b": 1}),
    (bool, True),
    (object, True),
    ({"a": lambda value: value > 3}, {"a": 4}),
    ([Even(), 2], [4, 2]),
    (containing({"a": {"b": 1}}), {"a": {"b": 1, "c": 2}, "d": 3}),
    (containing([2, 1]), [1, 2, 3]),
    (containing({"a": [{"b": 1}]}), {"a": [{"b": 0}, {"b": 1, "c": 2}]}),
    ({"a": containing([1])}, {"a": [1, 2]}),
    (containing({"a": exactly({"b": 1})}), {"a": {"b": 1}, "c": 2}),
    ((1, 2), [1, 2]),
]
DIFFERS: list[tuple[Any, Any, list[Difference]]] = [
    ({"a": 1}, {"a": 2}, [Difference(("a",), 1, 2)]),
    ({"a": 1}, {}, [Difference(("a",), 1, MISSING)]),
    ({}, {"a": 1}, [Difference(("a",), MISSING, 1)]),
    ({"a": ABSENT}, {"a": None}, [Difference(("a",), ABSENT, None)]),
    ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, [Difference(("a", 1, "b"), 2, 3)]),
    ([1], [1, 2], [Difference((1,), MISSING, 2)]),
    ([1, 2], [1], [Difference((1,), 2, MISSING)]),
    (True, 1, [Difference((), True, 1)]),
    (0, False, [Difference((), 0, False)]),
    (int, True, [Difference((), int, True)]),
    ("1", 1, [Difference((), "1", 1)]),
    ({"a": 1}, [1], [Difference((), {"a": 1}, [1])]),
    (ANY, MISSING, [Difference((), ANY, MISSING)]),
    (containing({"a": exactly({"b": 1})}), {"a": {"b": 1, "c": 1}}, [Difference(("a", "c"), MISSING, 1)]),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "actual"), FITS)
def test_what_fits(expected: Any, actual: Any) -> None:
    assert [] == list(compare(expected, actual))


@pytest.mark.parametrize(("expected", "actual", "differences"), DIFFERS)
def test_what_differs(expected: Any, actual: Any, differences: list[Difference]) -> None:
    """
    Each place is told, with what was there.
    """
    assert differences == list(compare(expected, actual))


def test_a_regular_expression_and_no_text() -> None:
    """
    A number does not fit, and is no error.
    """
    (difference,) = compare(re.compile("4"), 42)

    assert 42 == difference.actual


def test_an_item_counts_once() -> None:
    """
    Two expected items need two actual ones.
    """
    (difference,) = compare(containing([1, 1]), [1, 2])

    assert ((1,), 1) == (difference.path, difference.expected)
    assert "none such in [1, 2]" == repr(difference.actual)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=100)
@given(JSON, JSON)
def test_json_is_equal_or_differs_somewhere(one: Any, other: Any) -> None:
    """
    What differs nowhere is equal, as JSON has it; a value fits itself, and is contained in itself.
    """
    assert [] == list(compare(one, one))
    assert [] == list(compare(containing(one), one))
    if not list(compare(one, other)):
        assert one == other
