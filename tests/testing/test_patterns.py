"""The URLs that a route is for: holes, wildcards, origins, base URLs, regular expressions."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.pipeline.percent import escape
from scallion.pipeline.urls import URL
from scallion.testing.patterns import URLPattern

MATCHES: list[tuple[Any, str, dict[str, Any]]] = [
    ("https://host/a", "https://host/a", {}),
    ("https://host/a", "https://host/a?b=1#c", {}),
    ("https://host", "https://host/", {}),
    ("HTTPS://Host/a", "https://HOST/a", {}),
    ("https://host:443/a", "https://host/a", {}),
    ("https://host/a", "https://host:443/a", {}),
    ("https://host:8443/a", "https://host:8443/a", {}),
    ("https://host:*/a", "https://host:8443/a", {}),
    ("https://[2001:DB8::1]/a", "https://[2001:db8::1]/a", {}),
    ("https://bücher.example/", "https://xn--bcher-kva.example/", {}),
    ("all://host/a", "http://host/a", {}),
    ("//host/a", "https://host/a", {}),
    ("/a", "http://any.example/a", {}),
    ("a", "http://any.example/a", {}),
    ("https://host/%7euser/a%2fb", "https://host/~user/a%2Fb", {}),
    ("https://host/ä", "https://host/%C3%A4", {}),
    ("https://host/a+b", "https://host/a+b", {}),
    ("/stock/{item}", "http://x/stock/apple", {"item": "apple"}),
    ("/stock/{item}", "http://x/stock/a%2Fb%20c", {"item": "a/b c"}),
    ("/stock/{item}.json", "http://x/stock/apple.json", {"item": "apple"}),
    ("/orders/{number:int}", "http://x/orders/0042", {"number": 42}),
    ("/{a}/{b}", "http://x/1/2", {"a": "1", "b": "2"}),
    ("/files/{rest:path}", "http://x/files/a/b", {"rest": "a/b"}),
    ("/files/{rest:path}", "http://x/files/", {"rest": ""}),
    ("/files/*", "http://x/files/a/b", {}),
    ("*/end", "http://x/a/b/end", {}),
    ("https://*/a", "https://any.example/a", {}),
    ("https://*.example/a", "https://any.one.example/a", {}),
    ("https://{tenant}.example/a", "https://acme.example/a", {"tenant": "acme"}),
    (URL("https://host/{a}*"), "https://host/%7Ba%7D*", {}),
    (None, "ftp://any/where", {}),
    (re.compile(r"/v(?P<version>\d+)/"), "https://host/v2/x", {"version": "2"}),
    (re.compile(r"\?a=1$"), "https://host/x?a=1#f", {}),
]
DIFFERS: list[tuple[Any, str, str]] = [
    ("https://host/a", "http://host/a", "scheme"),
    ("https://host/a", "https://other/a", "host"),
    ("https://host/a", "https://host:8443/a", "port"),
    ("https://host:8443/a", "https://host/a", "port"),
    ("https://host/a", "https://host/A", "path"),
    ("https://host/a", "https://host/a/", "path"),
    ("https://host/a", "https://host/a/b", "path"),
    ("https://host/a%2Fb", "https://host/a/b", "path"),
    ("https://host/a.b", "https://host/axb", "path"),
    ("/stock/{item}", "http://x/stock/", "path"),
    ("/stock/{item}", "http://x/stock/a/b", "path"),
    ("/orders/{number:int}", "http://x/orders/four", "path"),
    ("https://*.example/a", "https://example/a", "host"),
    ("https://{tenant}.example/a", "https://a.b.example/a", "host"),
]


@pytest.mark.parametrize(("pattern", "url", "values"), MATCHES)
def test_what_matches(pattern: Any, url: str, values: dict[str, Any]) -> None:
    """
    And what the holes stand for.
    """
    assert values == URLPattern(pattern).match(URL(url))


@pytest.mark.parametrize(("pattern", "url", "part"), DIFFERS)
def test_what_differs(pattern: Any, url: str, part: str) -> None:
    """
    The part of the URL that does is named.
    """
    made = URLPattern(pattern)

    assert made.match(URL(url)) is None
    assert [(part,)] == [difference.path for difference in made.differences(URL(url))]


@pytest.mark.parametrize(
    ("base", "pattern", "url"),
    [
        ("https://host/v1", "/a", "https://host/v1/a"),
        ("https://host/v1/", "a", "https://host/v1/a"),
        ("https://host/v1", "?b=1", "https://host/v1?b=1"),
        ("https://host/v1", None, "https://host/v1"),
        ("https://host/v1.0", None, "https://host/v1.0/a/b"),
        ("https://host", None, "https://host/"),
        ("https://host/v1", "https://other/a", "https://other/a"),
        ("https://host/v1", "//other/a", "http://other/a"),
        ("/v1", "/a", "http://any/v1/a"),
    ],
)
def test_base_urls(base: str, pattern: str | None, url: str) -> None:
    """
    What has no host is appended; nothing is everything below.
    """
    assert {} == URLPattern(pattern, base).match(URL(url))


def test_beside_a_base_url() -> None:
    """
    A longer name is not below it.
    """
    pattern = URLPattern(None, "https://host/v1.0")

    assert pattern.match(URL("https://host/v1.0x")) is None
    assert pattern.match(URL("https://host/v1x0/a")) is None


def test_a_query_is_kept_apart() -> None:
    """
    Conditions on parameters are made of it.
    """
    assert "b=1&c={x}" == URLPattern("https://host/a?b=1&c={x}").query


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        ("/a/{}", ValueError, "No hole"),
        ("/a/{b:float}", ValueError, "No hole"),
        ("/a/{b c}", ValueError, "No hole"),
        ("/a/{b", ValueError, "A brace that is no hole"),
        ("/{a}/{a}", ValueError, "Two holes of one name"),
        ("https://user:secret@host/a", ValueError, "no user name or password"),
        (b"/a", TypeError, "A route's URL is a string"),
        (3, TypeError, "A route's URL is a string"),
    ],
)
def test_what_is_refused(pattern: Any, error: type[Exception], message: str) -> None:
    """
    With what to write instead, and without secrets.
    """
    with pytest.raises(error, match=message) as raised:
        URLPattern(pattern)
    assert "secret" not in str(raised.value)


@settings(max_examples=100)
@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4))
def test_holes_give_back_what_was_written(segments: list[str]) -> None:
    """
    Any text, escaped into a segment, comes out of a hole as it was.
    """
    try:
        written = [escape(re.compile(r"[^a-z]+"), segment) for segment in segments]
    except UnicodeEncodeError:
        return
    names = [f"s{number}" for number in range(len(segments))]
    pattern = URLPattern("/" + "/".join(f"{{{name}}}" for name in names))

    found = pattern.match(URL(f"http://x/{'/'.join(written)}"))

    assert dict(zip(names, segments, strict=True)) == found


def test_repr_hides_secrets() -> None:
    assert "URLPattern('https://host/a?token=REDACTED')" == repr(
        URLPattern("https://host/a?token=abc")
    )
