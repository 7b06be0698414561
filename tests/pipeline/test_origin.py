"""Origins: which URLs lead to one server, and how it is written."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import httpx2
import pytest

from scallion.pipeline.origin import Origin
from scallion.pipeline.urls import URL

CASES: dict[str, tuple[str, str, str, int | None]] = {
    "https://Example.org/x?y#z": ("https://example.org", "https", "example.org", 443),
    "http://h:80/": ("http://h", "http", "h", 80),
    "http://h:8080": ("http://h:8080", "http", "h", 8080),
    "https://user:s3cret@h/": ("https://h", "https", "h", 443),
    "http://[::1]/": ("http://[::1]", "http", "::1", 80),
    "http://bücher.de/": ("http://xn--bcher-kva.de", "http", "bücher.de", 80),
    "http://127.0.0.1:1/": ("http://127.0.0.1:1", "http", "127.0.0.1", 1),
    "ws://a": ("ws://a", "ws", "a", 80),
    "foo://a": ("foo://a", "foo", "a", None),
    "foo://a:1": ("foo://a:1", "foo", "a", 1),
    "http://[fe80::1%25eth0]:1/": ("http://[fe80::1%25eth0]:1", "http", "fe80::1%eth0", 1),
}


@pytest.mark.parametrize("url", CASES)
def test_an_origin_is_scheme_host_and_port(url: str) -> None:
    """
    And its text the URL of the server, in ASCII, without a default port.
    """
    origin = Origin(url)

    assert CASES[url] == (str(origin), origin.scheme, origin.host, origin.port)


@pytest.mark.parametrize("url", [url for url in CASES if "%25" not in url])
def test_it_is_httpx2_s(url: str) -> None:
    """
    Attributes and repr. A zone is what it is in `URL.host`.
    """
    theirs: Any = httpx2.Origin(url)
    ours = Origin(url)

    assert (theirs.scheme, theirs.host, theirs.port) == (ours.scheme, ours.host, ours.port)
    assert repr(theirs) == repr(ours)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("http://h", "http://user:pass@H:80/path?a#b", True),
        ("https://bücher.de", "https://xn--bcher-kva.de:443", True),
        ("http://[FE80::1]", "http://[fe80::1]", True),
        ("foo://a:1", "foo://a:1/x", True),
        ("http://h", "https://h", False),
        ("http://h", "http://h:81", False),
        ("http://h", "http://h.", False),
        ("http://h:443", "https://h:80", False),
    ],
)
def test_origins_are_equal_where_one_server_answers(one: str, other: str, equal: bool) -> None:
    """
    Equal ones have one hash.
    """
    assert equal == (Origin(one) == Origin(other))
    assert equal == (len({Origin(one), Origin(other)}) == 1)


def test_it_is_no_text() -> None:
    """
    Unlike a URL, which says so in httpx.
    """
    assert Origin("http://h") != "http://h"


def test_urls_have_one() -> None:
    """
    As `URL.origin`; also of a URL without a user's help.
    """
    assert Origin("https://h") == URL("https://h:443/x").origin
    assert Origin(URL("https://h/x")) == Origin("https://h")


@pytest.mark.parametrize("url", ["", "/path", "//h/path", "http:path"])
def test_a_relative_url_has_none(url: str) -> None:
    """
    It leads nowhere by itself.
    """
    with pytest.raises(ValueError, match="Only an absolute URL has an origin"):
        Origin(url)
    with pytest.raises(ValueError, match="Only an absolute URL has an origin"):
        _ = URL(url).origin


def test_the_type_is_checked() -> None:
    """
    As by URL.
    """
    with pytest.raises(TypeError, match="Invalid type for url"):
        Origin(b"http://h")  # type: ignore[arg-type]


def test_it_is_frozen() -> None:
    """
    A key of dictionaries must not change.
    """
    origin: Any = Origin("http://h")

    with pytest.raises(FrozenInstanceError, match="cannot set 'host'"):
        origin.host = "other"
    with pytest.raises(FrozenInstanceError, match="cannot delete 'host'"):
        del origin.host


@pytest.mark.parametrize("url", CASES)
def test_it_travels(url: str) -> None:
    """
    Through pickles and copies.
    """
    origin = Origin(url)

    assert origin == pickle.loads(pickle.dumps(origin))
    assert repr(origin) == repr(copy.copy(origin)) == repr(copy.deepcopy(origin))
