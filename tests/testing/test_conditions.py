"""What a route asks of a request besides method and URL."""

from __future__ import annotations

import re
from typing import Any

import pytest

from scallion import QueryParams, Request
from scallion.testing import ABSENT, ANY, Router, containing, exactly
from scallion.testing.seen import Seen

URL = "http://host/a"


def takes(request: Request, **conditions: Any) -> bool:
    return Router().route(None, None, **conditions).take(Seen(request)) is not None


@pytest.mark.parametrize(
    ("method", "matches"),
    [(None, True), ("POST", True), ("post", True), (["GET", "POST"], True), ("GET", False)],
)
def test_methods(method: Any, matches: bool) -> None:
    """
    One, several, or all; in any case.
    """
    route = Router().route(method)

    assert matches == (route.take(Seen(Request("POST", URL))) is not None)


@pytest.mark.parametrize(
    ("params", "query", "matches"),
    [
        ({"a": 1}, "a=1&b=2", True),
        ({"a": 1, "b": True}, "a=1&b=true", True),
        ({"a": "1"}, "a=2", False),
        ({"a": "1"}, "", False),
        ({"a": "1"}, "a=1&a=2", False),
        ({"a": ["1", 2]}, "a=1&a=2", True),
        ({"a": ["2", "1"]}, "a=1&a=2", False),
        ({"a": containing(["2"])}, "a=1&a=2", True),
        ({"a": ANY}, "a=1&a=2", True),
        ({"a": ANY}, "b=1", False),
        ({"a": None}, "a=", True),
        ({"a": ABSENT}, "b=1", True),
        ({"a": ABSENT}, "a=1", False),
        ({"a": re.compile("^x")}, "a=xy", True),
        ({"a": lambda value: value.isdigit()}, "a=5", True),
        ("a=1&a=2", "b=3&a=1&a=2", True),
        ([("a", "1")], "a=1", True),
        (QueryParams(a="1"), "a=1", True),
        (exactly({"a": 1}), "a=1", True),
        (exactly({"a": 1}), "a=1&b=2", False),
        (exactly({}), "a=1", False),
        (exactly({}), "", True),
    ],
)
def test_params(params: Any, query: str, matches: bool) -> None:
    """
    Those that are named, unless exactly they.
    """
    assert matches == takes(Request("GET", f"{URL}?{query}"), params=params)


def test_a_query_in_the_url_is_a_condition_on_parameters() -> None:
    """
    Whatever their order; and `params` adds to it.
    """
    route = Router().get("http://host/a?b=1&c=2", params={"d": 3})

    assert {} == route.take(Seen(Request("GET", f"{URL}?d=3&c=2&b=1&e=5")))
    assert route.take(Seen(Request("GET", f"{URL}?c=2&d=3"))) is None


@pytest.mark.parametrize(
    ("headers", "matches"),
    [
        ({"x-a": "1"}, True),
        ({"X-A": 1}, True),
        ({"X-A": "2"}, False),
        ({"X-Several": "a, b"}, True),
        ({"X-Several": ["a", "b"]}, True),
        ({"X-Several": ["a"]}, False),
        ({"X-A": re.compile(r"\d")}, True),
        ({"X-A": ANY, "X-B": ABSENT}, True),
        ({"X-A": ABSENT}, False),
        (exactly({"Host": "host", "X-A": "1"}), False),
        (exactly({"Host": "host", "X-A": "1", "X-Several": ANY}), True),
    ],
)
def test_headers(headers: Any, matches: bool) -> None:
    """
    Names in any case; others may come; several fields joined, or as a list.
    """
    sent = [("X-A", "1"), ("x-several", "a"), ("X-Several", "b")]

    assert matches == takes(Request("GET", URL, headers=sent), headers=headers)


@pytest.mark.parametrize(
    ("cookies", "matches"),
    [({"a": "1"}, True), ({"a": "2"}, False), ({"c": ABSENT}, True), (exactly({"a": "1"}), False)],
)
def test_cookies(cookies: Any, matches: bool) -> None:
    request = Request("GET", URL, headers={"Cookie": "a=1; b=x=y"})

    assert matches == takes(request, cookies=cookies)
    assert {"a": ["1"], "b": ["x=y"]} == Seen(request).cookies


@pytest.mark.parametrize(
    ("expected", "matches"),
    [
        ({"item": "apple", "tags": [1, 2]}, True),
        ({"item": "apple"}, False),
        (containing({"item": "apple"}), True),
        (containing({"tags": [2]}), True),
        ({"item": str, "tags": ANY}, True),
        ([], False),
        (None, False),
    ],
)
def test_json(expected: Any, matches: bool) -> None:
    """
    In whole, unless it is to be contained.
    """
    request = Request("POST", URL, json={"item": "apple", "tags": [1, 2]})

    assert matches == takes(request, json=expected)


def test_json_null_is_asked_for() -> None:
    """
    It is not the same as no condition.
    """
    assert takes(Request("POST", URL, content=b"null"), json=None)
    assert not takes(Request("POST", URL, content=b"0"), json=None)
    assert not takes(Request("POST", URL), json=None)


@pytest.mark.parametrize(
    ("data", "matches"),
    [
        ({"a": 1, "b": ["x", "y z"]}, True),
        ({"a": "1"}, False),
        (containing({"a": "1"}), True),
        ({"a": ANY, "b": ANY}, True),
    ],
)
def test_forms(data: Any, matches: bool) -> None:
    request = Request("POST", URL, data={"a": "1", "b": ["x", "y z"]})

    assert matches == takes(request, data=data)


def test_multipart_forms() -> None:
    """
    Files are bytes, whatever is in them.
    """
    content = b"\r\n--\r\n\x00\xff\r\n"
    request = Request("POST", URL, data={"a": "ä"}, files={"f": ("n.bin", content)})
    request.read()

    assert {"a": ["ä"], "f": [content]} == Seen(request).form
    assert takes(request, data={"a": "ä", "f": content})
    assert not takes(request, data={"a": "ä"})


def test_what_is_no_form() -> None:
    assert {} == Seen(Request("POST", URL, json={"a": 1})).form
    assert {} == Seen(Request("POST", URL, headers={"Content-Type": "multipart/form-data"})).form
    assert not takes(Request("POST", URL, json={"a": 1}), data={"a": "1"})


@pytest.mark.parametrize(
    ("content", "matches"),
    [
        (b"b\xc3\xb6dy", True),
        ("bödy", True),
        ("body", False),
        (re.compile("^bö"), True),
        (re.compile(rb"dy$"), True),
        (lambda content: len(content) == 5, True),
    ],
)
def test_content(content: Any, matches: bool) -> None:
    """
    As bytes, or as text where text is asked for.
    """
    assert matches == takes(Request("POST", URL, content="bödy"), content=content)


def test_predicates() -> None:
    """
    All of them hold, or the route is another's. One that fails on a request of another kind does not hold.
    """
    request = Request("POST", URL, json={"a": 1})

    assert takes(request, where=lambda request: b"a" in request.content)
    assert not takes(request, where=[lambda request: True, lambda request: None])
    assert not takes(request, where=lambda request: request.headers["nothing"])


def test_an_async_predicate() -> None:
    """
    It would always hold, so it is refused.
    """

    async def late(request: Request) -> bool:
        return False

    with pytest.raises(TypeError, match="late is async"):
        takes(Request("GET", URL), where=late)


def test_conditions_are_combined() -> None:
    """
    Each must hold.
    """
    conditions: dict[str, Any] = {"params": {"q": "1"}, "headers": {"x": "y"}, "json": {"a": 1}}

    assert takes(Request("POST", f"{URL}?q=1", headers={"X": "y"}, json={"a": 1}), **conditions)
    assert not takes(Request("POST", f"{URL}?q=1", json={"a": 1}), **conditions)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"header": {}}, "knows no condition 'header': it has params, headers"),
        ({"headers": [("a", "b")]}, "headers= of a route takes a mapping, not list"),
        ({"json_": 1, "body": 2}, "no condition 'body', 'json_'"),
        ({"where": [1]}, "where= takes functions of a request, not 1"),
        ({"params": 3}, "mapping"),
    ],
)
def test_what_is_refused(conditions: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Router().get("/", **conditions)


def test_a_method_that_is_none() -> None:
    with pytest.raises(TypeError, match="A method is a string such as 'GET', not 3"):
        Router().route([3])  # type: ignore[list-item]
