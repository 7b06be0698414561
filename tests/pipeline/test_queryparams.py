"""Query parameters: behaviour by example, and side by side with httpx."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.pipeline.queryparams import QueryParams

SOURCES = [
    "a=123&a=456&b=789",
    b"a=123&a=456&b=789",
    {"a": ["123", "456"], "b": 789},
    {"a": ("123", "456"), "b": 789},
    MappingProxyType({"a": ["123", "456"], "b": 789}),
    [("a", "123"), ("a", "456"), ("b", "789")],
    (("a", "123"), ("a", "456"), ("b", "789")),
    QueryParams("a=123&a=456&b=789"),
]


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_the_same_parameters(source: Any) -> None:
    """
    Text, bytes, mappings and pairs are ways to say one thing.
    """
    params = QueryParams(source)

    assert "a" in params
    assert "A" not in params
    assert "123" == params["a"] == params.get("a")
    assert params.get("c") is None
    assert "x" == params.get("c", "x")
    assert ["123", "456"] == params.get_list("a")
    assert [] == params.get_list("c")
    assert ["a", "b"] == list(params) == list(params.keys())
    assert ["123", "789"] == list(params.values())
    assert [("a", "123"), ("b", "789")] == list(params.items())
    assert [("a", "123"), ("a", "456"), ("b", "789")] == params.multi_items()
    assert 2 == len(params)
    assert {"a": "123", "b": "789"} == dict(params)
    assert "a=123&a=456&b=789" == str(params)
    assert "QueryParams('a=123&a=456&b=789')" == repr(params)
    assert isinstance(params, Mapping)


@pytest.mark.parametrize(
    ("value", "sent"),
    [(True, "true"), (False, "false"), (None, ""), (7, "7"), (1.5, "1.5"), ("x y", "x+y")],
)
def test_values_are_spelled_for_the_wire(value: object, sent: str) -> None:
    """
    Booleans as in JSON, None as nothing, the rest as text; from every way to give them.
    """
    for params in (
        QueryParams({"a": value}),
        QueryParams([("a", value)]),
        QueryParams(a=value),
        QueryParams().set("a", value),
        QueryParams().add("a", value),
        QueryParams().merge({"a": value}),
    ):
        assert f"a={sent}" == str(params)


def test_values_of_one_name_stand_together() -> None:
    """
    Names keep the order of their first occurrence, values that of theirs.
    """
    assert "a=1&a=3&b=2" == str(QueryParams("a=1&b=2&a=3"))


def test_edits_are_copies() -> None:
    """
    set, add, remove and merge leave the original alone.
    """
    params = QueryParams("a=1&b=2&a=3")

    assert "a=9&b=2" == str(params.set("a", 9))
    assert "a=1&a=3&a=9&b=2" == str(params.add("a", 9))
    assert "b=2" == str(params.remove("a"))
    assert params == params.remove("z") == params.merge() == params.merge({})
    assert "a=1&a=3&b=8&c=9" == str(params.merge("b=8&c=9"))
    assert "a=1&a=3" == str(params.merge({"b": []}))
    assert "a=1&a=3&b=2" == str(params)


def test_parameters_cannot_be_changed() -> None:
    """
    The mutable dict's methods say what to call instead.
    """
    params = QueryParams("a=1")

    with pytest.raises(RuntimeError, match=r"immutable.*q\.merge"):
        params.update({"a": 2})
    with pytest.raises(RuntimeError, match=r"immutable.*q\.set"):
        params["a"] = "2"
    with pytest.raises(AttributeError):
        params.extra = 1  # type: ignore[attr-defined]


def test_order_does_not_matter_to_equality_and_hash() -> None:
    """
    Equal parameters have equal hashes, which httpx's have not.
    """
    one, other = QueryParams("a=1&b=2&a=3"), QueryParams("b=2&a=3&a=1")

    assert one == other
    assert hash(one) == hash(other)
    assert one != QueryParams("a=1&b=2")
    assert one != "a=1&b=2&a=3"


def test_a_name_without_values_is_absent() -> None:
    """
    An empty list is no value; it only hides the name's other values in a merge.
    """
    params = QueryParams({"a": [], "b": 1})

    assert "b=1" == str(params)
    assert "a" not in params
    assert ["b"] == list(params)
    assert 1 == len(params)
    assert params.get("a") is None
    with pytest.raises(KeyError, match="a"):
        params["a"]


def test_parameters_survive_copying_and_pickling() -> None:
    """
    They cross process boundaries, computed text or not.
    """
    params = QueryParams("a=1&a=2")

    assert params == copy.copy(params) == copy.deepcopy(params)
    assert params == pickle.loads(pickle.dumps(params))
    assert str(params) == str(pickle.loads(pickle.dumps(params)))


@pytest.mark.parametrize(
    ("args", "kwargs"), [((5,), {}), (("a=1",), {"b": 2}), (("a=1", "b=2"), {}), ((object(),), {})]
)
def test_anything_else_is_refused(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """
    The error says what is accepted.
    """
    with pytest.raises(TypeError, match=r"must be a mapping|either one argument or keywords"):
        QueryParams(*args, **kwargs)


PIECES = ["a", "b", "é", "☃", " ", "+", "%", "%20", "%C3%A9", "%ff", "&", "=", ";", "/", "?", "#"]
TEXT = st.lists(st.sampled_from(PIECES), max_size=5).map("".join) | st.text(max_size=4)
NAME = st.sampled_from("abé") | TEXT
VALUE = TEXT | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False)
SOURCE = st.one_of(
    st.lists(st.builds("{}={}".format, NAME, TEXT) | TEXT, max_size=5).map("&".join),
    st.dictionaries(NAME, VALUE | st.lists(VALUE, min_size=1, max_size=3), max_size=4),
    st.lists(st.tuples(NAME, VALUE), max_size=4),
    st.lists(st.tuples(NAME, VALUE), max_size=4).map(tuple),
    st.none(),
)
EDIT = st.one_of(
    st.tuples(st.just("set"), NAME, VALUE),
    st.tuples(st.just("add"), NAME, VALUE),
    st.tuples(st.just("remove"), NAME),
    st.tuples(st.just("merge"), SOURCE),
)


def facts(params: Any) -> list[object]:
    return [
        str(params),
        repr(params),
        params.multi_items(),
        list(params.keys()),
        list(params.values()),
        list(params.items()),
        len(params),
        bool(params),
        [(name in params, params[name], params.get_list(name)) for name in params],
    ]


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(SOURCE, st.lists(EDIT, max_size=3))
def test_parameters_are_those_of_httpx(source: Any, edits: list[tuple[Any, ...]]) -> None:
    """
    Built from the same source and edited alike, both are the same.
    """
    ours, theirs = QueryParams(source), httpx.QueryParams(source)
    assert facts(theirs) == facts(ours)
    for method, *args in edits:
        ours, theirs = getattr(ours, method)(*args), getattr(theirs, method)(*args)
        assert facts(theirs) == facts(ours)


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(SOURCE, SOURCE)
def test_equality_is_that_of_httpx(one: Any, other: Any) -> None:
    """
    Equal in one library, equal in the other; and equal ones have equal hashes.
    """
    assert (httpx.QueryParams(one) == httpx.QueryParams(other)) == (
        QueryParams(one) == QueryParams(other)
    )
    if QueryParams(one) == QueryParams(other):
        assert hash(QueryParams(one)) == hash(QueryParams(other))
