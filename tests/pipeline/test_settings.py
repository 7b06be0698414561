"""Timeouts, limits and proxies, held against httpx's."""

from __future__ import annotations

import math
import pickle
import ssl
from typing import Any

import httpx
import pytest

from scallion.pipeline.headers import Headers
from scallion.pipeline.settings import (
    DEFAULT_LIMITS,
    DEFAULT_MAX_REDIRECTS,
    DEFAULT_TIMEOUT,
    Limits,
    Proxy,
    Timeout,
)
from scallion.pipeline.urls import URL

# Timeout

NAMES = ("connect", "read", "write", "pool")

SAME_TIMEOUTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "seconds": ((5.0,), {}),
    "an int": ((5,), {}),
    "zero": ((0,), {}),
    "none": ((None,), {}),
    "a pair": (((1.0, 2.0),), {}),
    "a triple": (((1.0, 2.0, 3.0),), {}),
    "a tuple": (((1.0, 2.0, 3.0, 4.0),), {}),
    "a tuple of none": (((None, None, None, None),), {}),
    "a default and one": ((5.0,), {"connect": 60.0}),
    "none and one": ((None,), {"connect": 60.0}),
    "a default and none": ((5.0,), {"read": None}),
    "all four": ((), {"connect": 1, "read": 2, "write": 3, "pool": 4}),
    "all four alike": ((), {"connect": 1, "read": 1, "write": 1, "pool": 1}),
    "by keyword": ((), {"timeout": 5.0}),
    "infinite": ((math.inf,), {}),
}


@pytest.mark.parametrize("case", SAME_TIMEOUTS)
def test_timeouts_are_httpx_s(case: str) -> None:
    """
    The same arguments give the same limits, dict and repr.
    """
    args, kwargs = SAME_TIMEOUTS[case]
    ours, theirs = Timeout(*args, **kwargs), httpx.Timeout(*args, **kwargs)

    assert [getattr(theirs, name) for name in NAMES] == [getattr(ours, name) for name in NAMES]
    assert theirs.as_dict() == ours.as_dict()
    assert repr(theirs) == repr(ours)
    assert ours.total is None


@pytest.mark.parametrize("case", SAME_TIMEOUTS)
def test_a_timeout_of_a_timeout_is_equal(case: str) -> None:
    """
    Copies are equal, through pickle as well.
    """
    args, kwargs = SAME_TIMEOUTS[case]
    timeout = Timeout(*args, **kwargs)

    assert timeout == Timeout(timeout)
    assert timeout == pickle.loads(pickle.dumps(timeout))


@pytest.mark.parametrize("kwargs", [{}, {"connect": 1}, {"connect": 1, "read": 1, "write": 1}])
def test_a_timeout_needs_a_default_or_all_four(kwargs: dict[str, Any]) -> None:
    """
    As in httpx, the rest is not guessed.
    """
    with pytest.raises(ValueError):
        httpx.Timeout(**kwargs)
    with pytest.raises(
        ValueError, match="either a default, or all of connect, read, write and pool"
    ):
        Timeout(**kwargs)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Timeout(-1),
            ValueError,
            "connect must be at least 0 seconds, or None for no limit: -1",
        ),
        (lambda: Timeout(math.nan), ValueError, "connect must be at least 0 seconds"),
        (lambda: Timeout(5, read=-0.1), ValueError, "read must be at least 0 seconds"),
        (lambda: Timeout(5, total=-1), ValueError, "total must be at least 0 seconds"),
        (lambda: Timeout("5"), TypeError, "connect must be seconds or None, not '5'"),
        (lambda: Timeout(True), TypeError, "connect must be seconds or None, not True"),
        (lambda: Timeout(5, pool="1"), TypeError, "pool must be seconds or None"),
        (lambda: Timeout([1, 2]), TypeError, r"connect must be seconds or None, not \[1, 2\]"),
        (lambda: Timeout({"read": 1}), TypeError, "connect must be seconds or None"),
        (lambda: Timeout((1,)), ValueError, r"A timeout tuple is \(connect, read, write, pool\)"),
        (lambda: Timeout((1, 2, 3, 4, 5)), ValueError, "A timeout tuple is"),
    ],
)
def test_wrong_timeouts_are_refused(make: Any, error: type[Exception], message: str) -> None:
    """
    httpx takes whatever it is given; here a wrong limit is refused when it is made.
    differences: "settings are validated".
    """
    with pytest.raises(error, match=message):
        make()


def test_total_is_ours() -> None:
    """
    The limit of the whole call is copied, printed, compared, and only named where it is set.
    differences: "total".
    """
    timeout = Timeout(5.0, total=30)

    assert 30 == timeout.total
    assert {
        "connect": 5.0,
        "read": 5.0,
        "write": 5.0,
        "pool": 5.0,
        "total": 30,
    } == timeout.as_dict()
    assert "Timeout(timeout=5.0, total=30)" == repr(timeout)
    assert timeout != Timeout(5.0)
    assert 30 == Timeout(timeout).total
    assert 10 == Timeout(timeout, total=10).total
    assert Timeout(timeout, total=None).total is None
    assert "total" not in Timeout(5.0).as_dict()


def test_single_limits_win() -> None:
    """
    Over a tuple's and another timeout's, where httpx ignores or refuses them.
    differences: "single timeouts win".
    """
    assert (1, 9, 3, 4) == _limits(Timeout((1, 2, 3, 4), read=9))
    assert (1, 2, 3, 9) == _limits(Timeout(Timeout((1, 2, 3, 4)), pool=9))


def _limits(timeout: Timeout) -> tuple[Any, ...]:
    return tuple(getattr(timeout, name) for name in NAMES)


# Limits

SAME_LIMITS: list[dict[str, Any]] = [
    {},
    {"max_connections": 10},
    {"max_keepalive_connections": 0},
    {"max_connections": 10, "max_keepalive_connections": 5, "keepalive_expiry": 1.5},
    {"max_connections": None, "max_keepalive_connections": None, "keepalive_expiry": None},
    {"keepalive_expiry": 0},
]


@pytest.mark.parametrize("kwargs", SAME_LIMITS)
def test_limits_are_httpx_s(kwargs: dict[str, Any]) -> None:
    """
    Values, defaults and repr.
    """
    ours, theirs = Limits(**kwargs), httpx.Limits(**kwargs)

    for name in ("max_connections", "max_keepalive_connections", "keepalive_expiry"):
        assert getattr(theirs, name) == getattr(ours, name)
    assert repr(theirs) == repr(ours)
    assert ours == Limits(**kwargs) == pickle.loads(pickle.dumps(ours))


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"max_connections": 0}, ValueError, "max_connections must be at least 1, or None"),
        ({"max_connections": -5}, ValueError, "max_connections must be at least 1, or None"),
        (
            {"max_keepalive_connections": -1},
            ValueError,
            "max_keepalive_connections must be at least 0",
        ),
        ({"keepalive_expiry": -0.5}, ValueError, "keepalive_expiry must be at least 0"),
        ({"keepalive_expiry": math.nan}, ValueError, "keepalive_expiry must be at least 0"),
        (
            {"max_connections": "10"},
            TypeError,
            "max_connections must be a whole number or None, not '10'",
        ),
        (
            {"max_connections": True},
            TypeError,
            "max_connections must be a whole number or None, not True",
        ),
        (
            {"keepalive_expiry": "5"},
            TypeError,
            "keepalive_expiry must be a number or None, not '5'",
        ),
        ({"max_connections": 1.5}, TypeError, "max_connections must be a whole number or None"),
        ({"max_connections_per_host": 0}, ValueError, "per_host must be at least 1, or None"),
        ({"max_connections_per_host": 1.5}, TypeError, "per_host must be a whole number or None"),
        ({"max_connection_age": -1}, ValueError, "max_connection_age must be at least 0"),
        ({"max_connection_age": "5"}, TypeError, "max_connection_age must be a number or None"),
        ({"ping_after": math.nan}, ValueError, "ping_after must be at least 0, or None"),
    ],
)
def test_wrong_limits_are_refused(
    kwargs: dict[str, Any], error: type[Exception], message: str
) -> None:
    """
    Each names the limit and what it may be.
    differences: "settings are validated".
    """
    with pytest.raises(error, match=message):
        Limits(**kwargs)


@pytest.mark.parametrize(
    ("kwargs", "shown"),
    [
        ({"max_connections_per_host": 5}, "max_connections_per_host=5"),
        ({"max_connection_age": 300.0}, "max_connection_age=300.0"),
        ({"ping_after": 30}, "ping_after=30"),
    ],
)
def test_limits_beyond_httpx_s(kwargs: dict[str, Any], shown: str) -> None:
    """
    They are shown and compared where they are set.
    """
    limits = Limits(**kwargs)
    assert f"{repr(Limits())[:-1]}, {shown})" == repr(limits)
    assert limits != Limits()
    assert limits == pickle.loads(pickle.dumps(limits))


def test_the_defaults_are_httpx_s() -> None:
    """
    5 seconds, 100 and 20 connections, 20 redirects.
    """
    client = httpx.Client()

    assert repr(client.timeout) == repr(DEFAULT_TIMEOUT)
    assert repr(httpx._config.DEFAULT_LIMITS) == repr(DEFAULT_LIMITS)
    assert client.max_redirects == DEFAULT_MAX_REDIRECTS


# Proxy

SAME_PROXIES: list[tuple[Any, dict[str, Any]]] = [
    ("http://localhost:3128", {}),
    ("https://localhost", {}),
    ("socks5://localhost:1080", {}),
    ("socks5h://localhost:1080", {}),
    ("http://user:secret@localhost:3128", {}),
    ("http://user@localhost:3128", {}),
    ("http://us%40er:p%3Ass@localhost", {}),
    ("http://localhost", {"auth": ("user", "secret")}),
    ("http://localhost", {"headers": {"X-Proxy": "1"}}),
    ("http://localhost", {"headers": {"Proxy-Authorization": "Basic c2VjcmV0"}}),
]


@pytest.mark.parametrize(("url", "kwargs"), SAME_PROXIES)
def test_proxies_are_httpx_s(url: str, kwargs: dict[str, Any]) -> None:
    """
    URL, credentials, headers and, where httpx's hides what it should, repr.
    """
    ours, theirs = Proxy(url, **kwargs), httpx.Proxy(url, **kwargs)

    assert str(theirs.url) == str(ours.url)
    assert theirs.auth == ours.auth
    assert theirs.raw_auth == ours.raw_auth
    assert theirs.headers.raw == ours.headers.raw
    assert ours.ssl_context is None
    if not ours.headers:
        assert repr(theirs) == repr(ours)


@pytest.mark.parametrize(("url", "kwargs"), SAME_PROXIES)
def test_proxies_never_tell_passwords(url: str, kwargs: dict[str, Any]) -> None:
    """
    Neither the repr nor the URL shows one.
    differences: "proxy headers are masked".
    """
    proxy = Proxy(url, **kwargs)

    for shown in (repr(proxy), str(proxy), str(proxy.url), repr(proxy.url)):
        assert "secret" not in shown
        assert "p%3Ass" not in shown
        assert "c2VjcmV0" not in shown


def test_a_url_makes_a_proxy() -> None:
    """
    Text or URL; a context for TLS to the proxy is kept.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    proxy = Proxy(URL("https://localhost"), ssl_context=context)

    assert context is proxy.ssl_context
    assert Headers() == proxy.headers


@pytest.mark.parametrize(
    "url", ["ftp://user:secret@localhost", "localhost:3128", "//localhost", ""]
)
def test_unknown_schemes_are_refused(url: str) -> None:
    """
    The message says what is expected, and keeps the password.
    """
    with pytest.raises(ValueError):
        httpx.Proxy(url)
    with pytest.raises(
        ValueError, match="expected http, https, socks5 or socks5h, for example"
    ) as info:
        Proxy(url)

    assert "secret" not in str(info.value)


# All three


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(Timeout(1), httpx.Timeout(1)), (Limits(), httpx.Limits())],
)
def test_values_are_unhashable(ours: Any, theirs: Any) -> None:
    """
    As in httpx: they can be changed.
    """
    for value in (ours, theirs):
        with pytest.raises(TypeError, match="unhashable"):
            hash(value)


def test_values_equal_their_like_only() -> None:
    """
    Another library's setting is not ours.
    """
    assert Timeout(1) != httpx.Timeout(1)
    assert Limits() != httpx.Limits()
    assert Timeout(1) != 1
    assert Timeout(1) != Timeout(2)
    assert Limits(max_connections=1) != Limits(max_connections=2)
