"""The error for requests that nobody foresaw."""

from __future__ import annotations

import pickle
import re
from typing import Any

import pytest

import scallion
from face.conftest import Driven, Face
from scallion.testing import Router, UnforeseenRequest, containing
from testing.conftest import Send


@pytest.fixture
def router() -> Router:
    return Router(base_url="https://shop.example")


def refused(send: Send, router: Router, method: str, url: str, **arguments: Any) -> str:
    with pytest.raises(UnforeseenRequest) as raised:
        send(router, method, url, **arguments)
    return str(raised.value)


def test_the_message(router: Router, send: Send) -> None:
    """
    What was asked, the nearest route, what of it differs, and the routes there are.
    """
    router.get("/stock/{item}", params={"page": 1})
    router.post("/orders", json={"item": "apple", "count": 2}, headers={"X-Shop": "1"})
    send(router, "GET", "https://shop.example/stock/apple?page=1")

    assert (
        "No route takes this request:\n"
        "\n"
        "    POST https://shop.example/orders\n"
        "    {'item': 'apple', 'count': 3}\n"
        "\n"
        "The nearest route is\n"
        "\n"
        "    POST https://shop.example/orders with headers, json\n"
        "\n"
        "    method   as expected\n"
        "    url      as expected\n"
        "    headers  x-shop: expected '1', got nothing\n"
        "    json     count: expected 2, got 3\n"
        "\n"
        "The routes are:\n"
        "    GET https://shop.example/stock/{item} with params  (called once)\n"
        "    POST https://shop.example/orders with headers, json  (never called)"
    ) == refused(
        send, router, "POST", "https://shop.example/orders", json={"item": "apple", "count": 3}
    )


@pytest.mark.parametrize(
    ("method", "url", "nearest", "told"),
    [
        ("GET", "https://shop.example/stok/apple", "GET /stock/{item}", "path: expected '/stock/{item}', got '/stok/apple'"),
        ("GET", "http://shop.example/orders", "GET /orders", "scheme: expected 'https', got 'http'"),
        ("GET", "https://shop.test/orders", "GET /orders", "host: expected 'shop.example', got 'shop.test'"),
        ("GET", "https://shop.example:81/orders", "GET /orders", "port: expected 'the default', got '81'"),
        ("PUT", "https://shop.example/stock/apple", "GET /stock/{item}", "expected GET, got PUT"),
        ("POST", "https://shop.example/orders", "POST /orders", "expected {'a': 1}, got no body"),
        ("DELETE", "https://shop.example/stock/apple/old", "GET /stock/{item}", "got '/stock/apple/old'"),
    ],
)  # fmt: skip
def test_the_nearest_route(
    router: Router, send: Send, method: str, url: str, nearest: str, told: str
) -> None:
    """
    By URL first, then by method, then by the rest.
    """
    router.get("/stock/{item}")
    router.get("/orders")
    router.post("/orders", json={"a": 1})

    message = refused(send, router, method, url)

    named, _, path = nearest.partition(" ")
    assert f"\n    {named} https://shop.example{path}" in message.partition("The routes are")[0]
    assert told in message


def test_secrets_are_left_out(router: Router, send: Send) -> None:
    """
    In URL, headers, cookies and bodies, expected ones too.
    """
    router.post(
        "/login?api_key=expected-secret",
        headers={"Authorization": "Bearer expected-secret"},
        cookies={"visit": "expected-secret"},
        json={"user": "ann", "password": "expected-secret", "tokens": ["a"]},
    )
    message = refused(
        send,
        router,
        "POST",
        "https://ann:secret@shop.example/login?api_key=secret",
        headers={"Cookie": "visit=secret"},
        json={"user": "ann", "password": "secret", "nested": [{"token": "secret"}]},
    )

    assert "secret" not in message
    assert "headers  authorization: expected REDACTED, got another value" in message
    assert "cookies  visit: expected its value, got another value" in message
    assert "password: expected REDACTED, got another value" in message
    assert "api_key: expected REDACTED, got another value" in message
    assert "'nested': [{'token': REDACTED}]" in message


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"data": {"a": "1", "password": "secret", "b": ["2", "3"]}}, "{'a': '1', 'password': REDACTED, 'b': ['2', '3']}"),
        ({"content": b"secret"}, "<6 bytes of no declared type>"),
        ({"content": b"secret", "headers": {"Content-Type": "text/plain; a=b"}}, "<6 bytes of text/plain>"),
        ({"content": b"{secret", "headers": {"Content-Type": "application/json"}}, "<7 bytes of application/json>"),
        ({"files": {"f": b"\x00"}, "data": {"token": "secret"}}, "{'token': REDACTED, 'f': <1 byte>}"),
        ({"json": ["x" * 500]}, "['" + "x" * 298 + "…"),
    ],
)  # fmt: skip
def test_bodies(router: Router, send: Send, arguments: Any, shown: str) -> None:
    """
    JSON and forms are shown, without secrets and not at length; of others, how long they are.
    """
    message = refused(send, router, "POST", "https://shop.example/", **arguments)

    assert f"    {shown}\n" in message
    assert "secret" not in message


def test_content_is_told_by_its_place(router: Router, send: Send) -> None:
    router.post("/a", content=b"abcd secret")

    message = refused(send, router, "POST", "https://shop.example/a", content=b"abxd")

    assert (
        "content  expected 11 in length, got 4 in length, different from position 2 on" in message
    )


def test_rules_have_names(router: Router, send: Send) -> None:
    """
    A function that does not hold is called by its name.
    """

    def is_urgent(request: scallion.Request) -> bool:
        return "urgent" in request.headers["X-Flags"]

    router.post("/a", where=is_urgent, json={"a": int})
    url = "https://shop.example/a"

    message = refused(send, router, "POST", url, json={"a": "b"}, headers={"X-Flags": "x"})
    assert "where   expected is_urgent, got not so" in message
    assert "json    a: expected int, got 'b'" in message
    message = refused(send, router, "POST", url, json={"a": 1})
    assert "where   expected is_urgent, got KeyError from it" in message


def test_used_up_routes_say_so(router: Router, send: Send) -> None:
    router.get("/a", times=1, name="once only")
    send(router, "GET", "https://shop.example/a")

    message = refused(send, router, "GET", "https://shop.example/a")

    assert "It is used up: called once." in message
    assert "once only: GET https://shop.example/a" in message


def test_no_routes(router: Router, send: Send) -> None:
    assert refused(send, router, "GET", "https://shop.example/").endswith(
        "The router has no routes."
    )


def test_it_is_no_error_of_the_network(router: Router, face: Face) -> None:
    """
    So neither retries nor a program's handler of HTTP errors hide it; and it is remembered.
    """

    async def scenario(client: Driven) -> None:
        try:
            await client.get("https://shop.example/a")
        except scallion.HTTPError:
            pytest.fail("taken for a failure")

    with pytest.raises(UnforeseenRequest) as raised:
        face(scenario, transport=router, pipeline=scallion.service_stack(attempts=3))

    assert not issubclass(UnforeseenRequest, scallion.HTTPError)
    assert "GET" == raised.value.request.method
    assert raised.value.nearest is None
    assert [raised.value] == router.unforeseen
    assert router.calls.last.error is raised.value
    assert router.calls.last.route is None


def test_it_crosses_processes(router: Router, send: Send) -> None:
    router.get("/b")
    with pytest.raises(UnforeseenRequest) as raised:
        send(router, "GET", "https://shop.example/a")

    copied = pickle.loads(pickle.dumps(raised.value))

    assert (str(raised.value), "/a", None) == (str(copied), copied.request.url.path, copied.nearest)


def test_what_is_contained_is_told_without_secrets(router: Router, send: Send) -> None:
    """
    An item that is missing, and the list in which it is.
    """
    router.post("/a", json=containing({"lines": [{"item": "pear", "token": "mine"}]}))

    message = refused(
        send, router, "POST", "https://shop.example/a", json={"lines": [{"token": "secret"}]}
    )

    assert (
        "lines[0]: expected {'item': 'pear', 'token': REDACTED}, got none such in [{'token': REDACTED}]"
    ) in message


def test_regular_expressions(router: Router, send: Send) -> None:
    """
    Are shown as they are; the URL that they do not match without secrets.
    """
    router.get(re.compile(r"/v\d/"))
    router.get("/{rest:path}", headers={"Authorization": re.compile("^Basic secret")})

    message = refused(send, router, "GET", "https://shop.example/?token=secret")
    assert "secret" not in message
    assert "authorization: expected REDACTED, got nothing" in message
    assert r"GET /\/v\d\//" in message or r"GET //v\d//" in message
