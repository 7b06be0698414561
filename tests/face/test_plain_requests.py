"""Requests that add nothing to the client's settings are made the short way; the long way makes the same."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

import scallion

SETTINGS: list[dict[str, Any]] = [
    {},
    {"headers": {"X-A": "1", "Host": "other.example"}},
    {"headers": {"host": "other.example"}},
    {"headers": scallion.Headers({"X-A": "\xe9"}, encoding="latin-1")},
    {"params": {"a": 1}},
    {"params": {"a": 1}, "params_mode": "merge"},
    {"cookies": {"a": "b"}},
    {"timeout": None},
    {"timeout": scallion.Timeout(1.0, total=2.0)},
]
BASES = ["", "http://h.example", "http://h.example:81/api/?k=v", "http://h.example/api?k=v#f"]
URLS = ["", "u", "/u?a=2", "http://x.example", "http://x.example:80/y?b#c", "http://\xe9.example/"]
MODES: list[Any] = ["merge", "replace"]


def outcome(client: scallion.Client, method: str, url: str) -> Any:
    try:
        request = client.build_request(method, url)
    except scallion.InvalidURL as error:
        return str(error)
    return (
        request.method,
        str(request.url),
        request.headers.raw,
        request.headers.encoding,
        request.content,
        request.extensions,
    )


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_both_ways_make_the_same(settings: dict[str, Any], mode: Any) -> None:
    """
    Whatever the client's settings are, its params mode included; and again, when the first has been remembered.
    """

    class Long(scallion.Client):
        def _merge_headers(self, headers: Any) -> scallion.Headers:
            return super()._merge_headers(headers)

    for base in BASES:
        given = {"params_mode": mode, **settings, "base_url": base}
        with scallion.Client(**given) as client, Long(**given) as long:
            assert not long._merges_plainly
            for method, url, _ in product(("GET", "POST", "QUERY"), URLS, range(2)):
                assert outcome(long, method, url) == outcome(client, method, url), (base, url)


def test_a_mode_that_there_is_not() -> None:
    """
    It is refused, where there is nothing to merge as well.
    """
    with pytest.raises(ValueError, match="params_mode= is 'replace' or 'merge'"):
        scallion.Client().build_request("GET", "http://h/", params_mode="bogus")  # type: ignore[arg-type]


def test_headers_of_a_subclass_need_not_be_headers() -> None:
    """
    A property that gives a dict, say.
    """

    class Own(scallion.Client):
        @property
        def headers(self) -> Any:
            return {"X-A": "1"}

        @headers.setter
        def headers(self, headers: Any) -> None:
            """It has its own."""

    request = Own().build_request("GET", "http://h/")

    assert [(b"Host", b"h"), (b"X-A", b"1")] == request.headers.raw
