"""Mounts and proxies of the environment: which transport serves which URL, next to httpx."""

from __future__ import annotations

import sys
from typing import Any

import httpx
import pytest
from httpx._utils import URLPattern as TheirPattern

import scallion
from face.conftest import Driven, Face
from scallion import MockTransport, Response
from scallion._mounts import URLPattern, environment_proxies

PATTERNS = [
    "",
    "all://",
    "http://",
    "https://",
    "ws://",
    "all://*",
    "http://*",
    "all://example.com",
    "all://EXAMPLE.com",
    "http://example.com",
    "http://example.com:80",
    "all://example.com:8080",
    "https://example.com:1234",
    "http://example.com/path",
    "all://*.example.com",
    "all://*example.com",
    "https://*.example.com:443",
    "all://.example.com",
    "all://*.com",
    "all://localhost",
    "all://127.0.0.1",
    "all://192.168.0.0/16",
    "all://[::1]",
    "http://[::1]:80",
    "all://bücher.example",
    "all://:8080",
]
URLS = [
    "http://example.com",
    "https://example.com",
    "https://example.com:1234",
    "http://EXAMPLE.COM/path",
    "http://www.example.com/",
    "http://wwwexample.com",
    "http://a.b.example.com:8080",
    "http://example.com:8080/",
    "http://localhost",
    "http://localhost:8080/",
    "http://127.0.0.1",
    "http://192.168.0.0/",
    "http://192.168.1.1/",
    "http://[::1]/",
    "http://[::1]:8080/",
    "http://bücher.example",
    "http://www.bücher.example",
    "ws://example.com",
    "http://com",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_match_as_httpx_s(pattern: str) -> None:
    """
    Scheme, host with its wildcards, and port; and how specific a pattern is.
    """
    ours, theirs = URLPattern(pattern), TheirPattern(pattern)

    assert [theirs.matches(httpx.URL(url)) for url in URLS] == [
        ours.matches(scallion.URL(url)) for url in URLS
    ]
    assert theirs.priority == ours.priority


@pytest.mark.parametrize("reverse", [False, True])
def test_patterns_sort_as_httpx_s(reverse: bool) -> None:
    """
    The most specific first.
    """
    patterns = PATTERNS[::-1] if reverse else PATTERNS

    assert [p.pattern for p in sorted(map(TheirPattern, patterns))] == [
        p.pattern for p in sorted(map(URLPattern, patterns))
    ]


@pytest.mark.parametrize("pattern", ["http", "all", "*", "example.com"])
def test_a_pattern_is_a_url(pattern: str) -> None:
    """
    A bare scheme or host is refused with what to write, as in httpx.
    """
    with pytest.raises(ValueError, match="proper URL forms"):
        TheirPattern(pattern)
    with pytest.raises(ValueError, match=f"use '.*{pattern.replace('*', '.')}://'"):
        scallion.Client(mounts={pattern: None})


def test_patterns_are_values() -> None:
    """
    Equal by their text, hashable, printable.
    """
    assert URLPattern("http://x") == URLPattern("http://x")
    assert URLPattern("http://x") != URLPattern("http://y")
    assert URLPattern("http://x") != "http://x"
    assert 1 == len({URLPattern("http://x"), URLPattern("http://x")})
    assert "URLPattern('http://x')" == repr(URLPattern("http://x"))


def named(name: str) -> MockTransport:
    return MockTransport(lambda request: Response(200, text=name))


def test_requests_go_where_they_are_mounted(face: Face) -> None:
    """
    The most specific mount serves, whatever their order; None is the client's own transport.
    """

    async def scenario(client: Driven) -> list[str]:
        urls = [
            "http://a/",
            "https://a/",
            "http://b.a/",
            "http://a:8080/",
            "http://free.a/",
            "http://other/",
        ]
        return [(await client.get(url)).text for url in urls]

    assert ["a", "https", "sub", "port", "own", "own"] == face(
        scenario,
        transport=named("own"),
        mounts={
            "https://": named("https"),
            "all://*.a": named("sub"),
            "http://a": named("a"),
            "http://free.a": None,
            "all://a:8080": named("port"),
        },
    )


def test_each_hop_is_routed(face: Face) -> None:
    """
    A redirect to another host takes that host's transport.
    """

    def redirect(request: Any) -> Response:
        return Response(302, headers={"Location": "http://b/"})

    async def scenario(client: Driven) -> str:
        text: str = (await client.get("http://a/", follow_redirects=True)).text
        return text

    assert "b" == face(
        scenario,
        transport=named("own"),
        mounts={"http://a": MockTransport(redirect), "http://b": named("b")},
    )


# Proxies


def proxies_of(client: Any) -> dict[str, str | None]:
    """The patterns of a client in their order, with the proxy of each."""
    found: dict[str, str | None] = {}
    for pattern, transport in client._mounts.items():
        url = None if transport is None else transport._connector._proxy.url
        found[pattern.pattern] = None if url is None else f"{url.scheme}://{url.host}:{url.port}"
    return found


ENVIRONMENTS: dict[str, dict[str, str]] = {
    "nothing": {},
    "http": {"HTTP_PROXY": "http://proxy:3128"},
    "lower case": {"http_proxy": "http://proxy:3128"},
    "https": {"HTTPS_PROXY": "http://proxy:3128"},
    "all": {"ALL_PROXY": "http://proxy:3128"},
    "each": {"HTTP_PROXY": "http://a:1", "HTTPS_PROXY": "http://b:2", "ALL_PROXY": "http://c:3"},
    "without a scheme": {"HTTP_PROXY": "proxy:3128"},
    "empty": {"HTTP_PROXY": ""},
    "others": {"TRAVIS_APT_PROXY": "http://proxy:3128", "FTP_PROXY": "http://proxy:1"},
    "bypassed": {
        "ALL_PROXY": "http://proxy:3128",
        "NO_PROXY": "example.com, .sub.example.com,localhost,LOCALHOST,127.0.0.1,::1,http://plain.example,192.168.0.0/16,,",
    },
    "all bypassed": {"ALL_PROXY": "http://proxy:3128", "NO_PROXY": "example.com,*"},
    "only bypassed": {"NO_PROXY": "example.com"},
    "with a port": {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "example.com:8080"},
}


@pytest.mark.skipif(
    sys.platform in ("darwin", "win32"), reason="there the system has settings besides"
)
@pytest.mark.parametrize("case", ENVIRONMENTS)
def test_the_environment_s_proxies_are_httpx_s(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The same mounts, in the same order.
    """
    for name, value in ENVIRONMENTS[case].items():
        monkeypatch.setenv(name, value)

    theirs = httpx._utils.get_environment_proxies()
    assert theirs == environment_proxies()
    expected = [pattern.pattern for pattern in httpx.Client(verify=False)._mounts]
    for client in (scallion.Client(), scallion.AsyncClient()):
        assert expected == [pattern.pattern for pattern in client._mounts]


@pytest.mark.parametrize(
    "settings",
    [
        {"trust_env": False},
        {"transport": named("own")},
        {"proxy": "http://other:1"},
    ],
)
def test_who_does_not_ask_the_environment(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A client that shall not trust it, has a transport of its own, or a proxy.
    """
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "example.com")

    patterns = [pattern.pattern for pattern in scallion.Client(**settings)._mounts]
    assert (["all://"] if "proxy" in settings else []) == patterns


def test_older_and_newer_spelling_mean_the_same() -> None:
    """
    `proxies` is `proxy`, and may map patterns to proxies, None to none.
    """
    assert {"all://": "http://proxy:1"} == proxies_of(scallion.Client(proxy="http://proxy:1"))
    assert {"all://": "http://proxy:1"} == proxies_of(scallion.Client(proxies="http://proxy:1"))
    assert {"http://x": None, "http://": "http://a:1", "all://": "http://b:2"} == proxies_of(
        scallion.Client(
            proxies={
                "all://": scallion.Proxy("http://b:2"),
                "http://": "http://a:1",
                "http://x": None,
            }
        )
    )
    assert {} == proxies_of(scallion.Client(proxies={}))


def test_mounts_go_before_proxies() -> None:
    """
    Of one pattern the mount counts.
    """
    own = named("own")
    client = scallion.Client(proxy="http://proxy:1", mounts={"all://": own})

    assert own is client._transport_for_url(scallion.URL("http://example.org/"))


def test_a_wrong_proxy_keeps_its_password() -> None:
    """
    The error shows none.
    """
    with pytest.raises(ValueError, match="Unknown scheme for proxy URL") as info:
        scallion.Client(proxy="ftp://user:secret@proxy")

    assert "secret" not in str(info.value)


def test_printing_a_client_shows_no_proxy_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Neither its own nor the environment's.
    """
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy:3128")

    for client in (scallion.Client(), scallion.Client(proxy="http://user:secret@proxy:1")):
        shown = repr(client) + repr(client._mounts) + repr(vars(client))
        assert "secret" not in shown
