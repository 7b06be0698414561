"""Subclasses of clients that override settings, and methods, as programs written for httpx do."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

import scallion

KINDS = [scallion.Client, scallion.AsyncClient]


@pytest.mark.parametrize("kind", KINDS)
def test_overridden_properties_are_what_requests_are_made_of(kind: Any) -> None:
    """
    Headers, cookies, params, base URL and timeout come from the properties.
    """

    class Own(kind):  # type: ignore[misc]
        @property
        def headers(self) -> scallion.Headers:
            return scallion.Headers({**super().headers, "Authorization": "Bearer t"})

        @headers.setter
        def headers(self, headers: Any) -> None:
            kind.headers.fset(self, headers)

        @property
        def cookies(self) -> scallion.Cookies:
            return scallion.Cookies({"a": "b"})

        @property
        def params(self) -> scallion.QueryParams:
            return scallion.QueryParams({"page": 1})

        @property
        def base_url(self) -> scallion.URL:
            return scallion.URL("http://own.example/v1/")

        @base_url.setter
        def base_url(self, url: Any) -> None:
            """Not kept."""

        @property
        def timeout(self) -> scallion.Timeout:
            return scallion.Timeout(0.5)

    client = Own()
    request = client.build_request("GET", "item")
    assert "http://own.example/v1/item?page=1" == str(request.url)
    merged = client.build_request("GET", "item", params={"a": 1}, params_mode="merge")
    assert "http://own.example/v1/item?page=1&a=1" == str(merged.url)
    assert "Bearer t" == request.headers["Authorization"]
    assert "a=b" == request.headers["Cookie"]
    assert 0.5 == request.extensions["timeout"]["read"]


def test_a_patched_property_takes_effect() -> None:
    """
    So does one that a test replaces.
    """
    with mock.patch.object(scallion.Client, "timeout", new_callable=mock.PropertyMock) as timeout:
        timeout.return_value = scallion.Timeout(7)
        request = scallion.Client().build_request("GET", "http://a/")
    assert 7 == request.extensions["timeout"]["connect"]


def test_build_request_is_called_by_keywords() -> None:
    """
    An override that takes keywords alone gets all of them.
    """
    seen: list[dict[str, Any]] = []

    class Own(scallion.Client):
        def build_request(self, **settings: Any) -> scallion.Request:  # type: ignore[override]
            seen.append(settings)
            return super().build_request(**settings)

    with Own(transport=scallion.MockTransport(lambda request: scallion.Response(200))) as client:
        client.get("http://a/")
        with client.stream("POST", "http://b/", content=b"x"):
            pass
    assert [("GET", "http://a/"), ("POST", "http://b/")] == [
        (settings["method"], settings["url"]) for settings in seen
    ]


def test_allow_redirects_of_a_client_is_follow_redirects() -> None:
    """
    The older spelling is an attribute too.
    """
    client = scallion.Client(allow_redirects=True)
    assert client.allow_redirects is client.follow_redirects is True
    client.allow_redirects = False
    assert client.follow_redirects is False


def test_subclasses_may_have_a_pool_of_their_own() -> None:
    """
    httpx's clients have no attribute of the name.
    """

    class Own(scallion.Client):
        def __init__(self) -> None:
            super().__init__()
            self.pool = "theirs"  # type: ignore[assignment]

    assert "theirs" == Own().pool
    assert "<Pool 0 active" in repr(scallion.Client().pool)
