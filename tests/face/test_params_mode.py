"""`params_mode`: params replace a URL's query, as in httpx, or merge with it."""

from __future__ import annotations

from typing import Any

import pytest

import scallion
import scallion._api
from face.conftest import Driven, Face
from scallion import Request, Response
from scallion._merging import merge_query
from scallion.pipeline.queryparams import QueryParams
from scallion.pipeline.urls import URL

BASE = "http://h/api?key=1&z=%2F"


def merged(url: str, params: Any = None, base: str = "") -> str:
    return str(merge_query(URL(base), url, QueryParams(params)))


@pytest.mark.parametrize(
    ("url", "params", "expected"),
    [
        ("http://h/?a=1", {"b": 2}, "http://h/?a=1&b=2"),
        ("http://h/?a=1", {"a": 2}, "http://h/?a=2"),
        ("http://h/?a=1&b=1&a=2", {"a": [3, 4, 5]}, "http://h/?a=3&a=4&a=5&b=1"),
        ("http://h/?a=1", None, "http://h/?a=1"),
        ("http://h/?a=1", {}, "http://h/?a=1"),
        ("http://h/?a=1", "", "http://h/?a=1"),
        ("http://h/?a=1&b=2", {"a": []}, "http://h/?b=2"),
        ("http://h/?a=1", {"a": []}, "http://h/"),
        ("http://h/?a=1", {"a": None}, "http://h/?a="),
        ("http://h/", {"a": "ü &"}, "http://h/?a=%C3%BC+%26"),
        ("http://h/?a", {"b": 1}, "http://h/?a&b=1"),
        ("http://h/?%61=1", {"a": 2}, "http://h/?a=2"),
        ("http://h/?sig=a%2Fb%7E+c", {"b": 1}, "http://h/?sig=a%2Fb%7E+c&b=1"),
        ("http://h/?", None, "http://h/?"),
        ("http://h/#f", {"a": 1}, "http://h/?a=1#f"),
    ],
)
def test_a_given_param_sets_its_key(url: str, params: Any, expected: str) -> None:
    """
    The rest of the query stays, as it was written.
    """
    assert expected == merged(url, params)


@pytest.mark.parametrize(
    ("url", "params", "expected"),
    [
        ("users", None, "http://h/api/users?key=1&z=%2F"),
        ("/users", None, "http://h/api/users?key=1&z=%2F"),
        ("", None, "http://h/api/?key=1&z=%2F"),
        ("users?x=1&key=9&key=8", None, "http://h/api/users?z=%2F&x=1&key=9&key=8"),
        ("users?x=%7E", {"x": 2}, "http://h/api/users?key=1&z=%2F&x=2"),
        ("users", {"key": 2}, "http://h/api/users?key=2&z=%2F"),
        ("http://other/?x=1", {"y": 2}, "http://other/?x=1&y=2"),
        ("http://other/", None, "http://other/"),
    ],
)
def test_a_base_url_s_query_is_kept(url: str, params: Any, expected: str) -> None:
    """
    For URLs that are relative to it.
    """
    assert expected == merged(url, params, BASE)


def test_it_is_what_a_url_does() -> None:
    """
    Where nothing is escaped in more than one way.
    """
    url = URL("http://h/?a=1&b=2&a=3")

    assert url.copy_merge_params({"a": 4, "c": [5, 6]}) == merged(str(url), {"a": 4, "c": [5, 6]})


def seen(request: Request) -> Response:
    return Response(200, text=str(request.url))


VERBS = ["get", "options", "head", "delete", "post", "put", "patch", "query"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_it(face: Face, verb: str) -> None:
    """
    For one call, instead of the client's setting.
    """

    async def scenario(client: Driven) -> list[str]:
        call = getattr(client, verb)
        responses = [
            await call("http://h/?a=1", params={"b": 2}),
            await call("http://h/?a=1", params={"b": 2}, params_mode="merge"),
        ]
        client.params_mode = "merge"
        responses += [
            await call("http://h/?a=1", params={"b": 2}),
            await call("http://h/?a=1", params={"b": 2}, params_mode="replace"),
        ]
        return [str(response.url) for response in responses]

    replaced, both = "http://h/?b=2", "http://h/?a=1&b=2"
    assert [replaced, both, both, replaced] == face(scenario, seen)


def test_requests_and_streams_take_it(face: Face) -> None:
    """
    Each with the client's params among those given.
    """

    async def scenario(client: Driven) -> None:
        expected = "http://h/?a=1&c=3&b=2"
        asked: dict[str, Any] = {"params": {"b": 2}, "params_mode": "merge"}
        assert expected == client.build_request("GET", "http://h/?a=1", **asked).url
        assert expected == (await client.request("GET", "http://h/?a=1", **asked)).text
        async with client.stream("GET", "http://h/?a=1", **asked) as response:
            assert expected == response.url

    face(scenario, seen, params={"c": 3})


def test_the_client_s_mode_is_replace(face: Face) -> None:
    """
    As httpx has it; a base URL's query then gives way, too.
    """

    async def scenario(client: Driven) -> list[str]:
        assert "replace" == client.params_mode
        plain = (await client.get("users", params={"b": 2})).text
        client.params_mode = "merge"
        return [plain, (await client.get("users", params={"b": 2})).text]

    assert ["http://h/api/users?b=2", "http://h/api/users?b=2"] == face(
        scenario, seen, base_url="http://h/api"
    )


def test_a_base_url_set_later_counts(face: Face) -> None:
    """
    With its query.
    """

    async def scenario(client: Driven) -> str:
        client.base_url = "http://h/v2?key=1"
        text: str = (await client.get("users", params={"b": 2})).text
        return text

    assert "http://h/v2/users?key=1&b=2" == face(
        scenario, seen, base_url="http://h/api", params_mode="merge"
    )


@pytest.mark.parametrize("function", [*VERBS, "request", "stream"])
def test_functions_take_it(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    """
    Each passes it on.
    """
    client = scallion._api.Client
    monkeypatch.setattr(
        scallion._api,
        "Client",
        lambda **settings: client(transport=scallion.MockTransport(seen)),
    )
    call = getattr(scallion, function)
    method = ["GET"] if function in ("request", "stream") else []

    made = call(*method, "http://h/?a=1", params={"b": 2}, params_mode="merge")
    if function == "stream":
        with made as response:
            assert "http://h/?a=1&b=2" == response.url
    else:
        assert "http://h/?a=1&b=2" == made.url


@pytest.mark.parametrize("mode", ["Merge", "", None, True])
def test_another_mode_is_refused(face: Face, mode: Any) -> None:
    """
    The error names both.
    """
    message = r"params_mode= is 'replace' or 'merge', not"
    with pytest.raises(ValueError, match=message):
        scallion.Client(params_mode=mode)

    async def scenario(client: Driven) -> None:
        with pytest.raises(ValueError, match=message):
            await client.get("http://h/", params_mode=mode)
        with pytest.raises(ValueError, match=message):
            client.params_mode = mode

    face(scenario, seen)
