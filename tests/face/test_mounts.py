"""Mounts and proxies of the environment: which transport serves which URL, next to httpx."""

from __future__ import annotations

from typing import Any

import httpx
import httpx2
import pytest
from httpx._utils import URLPattern as TheirPattern

import scallion
from face.conftest import Driven, Face
from scallion import MockTransport, Response
from scallion._mounts import Routing, URLPattern
from scallion.transports.connecting import Connector
from support.servers import HTTPServer, ProxyServer, ScriptedServer, close, expect, respond

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
    Scheme, host with its wildcards, and port.
    """
    ours, theirs = URLPattern(pattern), TheirPattern(pattern)

    assert [theirs.matches(httpx.URL(url)) for url in URLS] == [
        ours.matches(scallion.URL(url)) for url in URLS
    ]
    assert (theirs.scheme, theirs.host, theirs.port) == (ours.scheme, ours.host, ours.port)


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


@pytest.mark.parametrize("reverse", [False, True])
def test_networks_come_after_hosts(reverse: bool) -> None:
    """
    The smaller before the larger, both before patterns without a host; as httpx2 has it.
    """
    networks = ["all://[fd00::]/8", "all://0.0.0.0/0", "all://10.1.0.0/16", "http://10.0.0.0/8"]
    patterns = [*networks[:2], *PATTERNS, *networks[2:]]
    patterns = patterns[::-1] if reverse else patterns

    assert [p.pattern for p in sorted(map(httpx2._utils.URLPattern, patterns))] == [
        p.pattern for p in sorted(map(URLPattern, patterns))
    ]


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("all://10.0.0.0/8", "10.0.0.0 10.255.0.1"),
        ("all://10.1.0.0/8", "10.0.0.0 10.255.0.1"),
        ("http://10.0.0.0/8", "10.0.0.0 10.255.0.1"),
        ("https://10.0.0.0/8", ""),
        ("all://10.0.0.0:80/8", "10.0.0.0 10.255.0.1"),
        ("all://10.0.0.0:81/8", ""),
        ("all://10.0.0.0/32", "10.0.0.0"),
        ("all://[fd00::]/8", "[fd00::1] [fdff::1]"),
        ("all://[::]/0", "[fd00::1] [fdff::1] [::ffff:10.1.2.3]"),
    ],
)
def test_a_pattern_may_be_a_network(pattern: str, matched: str) -> None:
    """
    In CIDR notation, with a port or without; it matches addresses, never names.
    """
    hosts = (
        "10.0.0.0 10.255.0.1 11.0.0.1 [fd00::1] [fdff::1] [::ffff:10.1.2.3] localhost 10.example"
    )
    found = [
        host
        for host in hosts.split()
        if URLPattern(pattern).matches(scallion.URL(f"http://{host}/"))
    ]

    if "10.0.0.0 10.255" in matched:
        matched += " [::ffff:10.1.2.3]"
    assert matched.split() == found


@pytest.mark.parametrize(
    "pattern",
    [
        "all://10.0.0.0/33",
        "all://10.0.0.0/x",
        "all://10.0.0.0/8?x",
        "all://[::1]/-1",
        "all://[::1]/129",
    ],
)
def test_a_bad_network_is_refused(pattern: str) -> None:
    """
    With the pattern in the message. httpx takes the address and forgets the rest.
    """
    with pytest.raises(scallion.InvalidURL, match="Invalid network in 'all"):
        scallion.Client(mounts={pattern: None})


def test_mounts_are_patterns_and_transports() -> None:
    """
    Anything else is refused when the client is made.
    """
    with pytest.raises(TypeError, match=r"mapping of patterns to transports, not list"):
        scallion.Client(mounts=[])  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match=r"pattern is a string such as 'all://example.org', not int"
    ):
        scallion.Client(mounts={1: None})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match=r"no transport for 'all://' but str: .*HTTPTransport"):
        scallion.Client(mounts={"all://": "http://proxy:1"})  # type: ignore[dict-item]
    with pytest.raises(scallion.InvalidURL):
        scallion.Client(mounts={"all://x:port": None})


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


def mounts_of(*names: str) -> dict[URLPattern, Any]:
    return {URLPattern(f"all://{name}"): name for name in names}


def test_a_route_is_looked_for_once() -> None:
    """
    For each scheme, host and port, whatever the path; a miss is remembered as well.
    """
    asked: list[str] = []

    class Pattern(URLPattern):
        def matches(self, other: scallion.URL) -> bool:
            asked.append(str(other))
            return super().matches(other)

    mounts = {Pattern("all://a"): "a"}
    routing = Routing()
    found = [
        routing.find(mounts, scallion.URL(url))
        for url in (
            "http://a/1",
            "http://a/2",
            "http://b/",
            "http://b/2",
            "https://a/",
            "http://a:81/",
        )
    ]

    assert ["a", "a", None, None, "a", "a"] == found
    assert ["http://a/1", "http://b/", "https://a/", "http://a:81/"] == asked


def test_changed_mounts_are_noticed() -> None:
    """
    Tools replace a client's mounts, add to them and wrap what is in them.
    """
    routing, url = Routing(), scallion.URL("http://a/")
    mounts = mounts_of("a")
    assert "a" == routing.find(mounts, url)
    mounts[URLPattern("all://a")] = "wrapped"
    assert "wrapped" == routing.find(mounts, url)
    del mounts[URLPattern("all://a")]
    mounts[URLPattern("all://*")] = "other"
    assert "other" == routing.find(mounts, url)
    mounts.clear()
    assert None is routing.find(mounts, url)
    assert "a" == routing.find(mounts_of("a", "b"), url)


def test_routes_are_remembered_in_bounds() -> None:
    """
    A crawler's million hosts are not kept.
    """
    routing, mounts = Routing(), mounts_of("h1")
    for number in range(3000):
        routing.find(mounts, scallion.URL(f"http://h{number}/"))

    assert len(routing._known) <= 1024
    assert "h1" == routing.find(mounts, scallion.URL("http://h1/"))


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


# Through real ones.


def test_the_environment_s_proxy_is_used(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With the login of its URL; but not for exempted hosts, nor without trust_env.
    """
    origin = ScriptedServer([expect(), respond(), close], repeat=True)
    with origin as server, ProxyServer(login=("user", "p@ss")) as proxy:
        monkeypatch.setenv("http_proxy", f"user:p%40ss@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "[::1], 127.0.0.0/9, *.localhost")

        async def scenario(client: Driven) -> list[int]:
            urls = [f"http://localhost:{server.port}/", server.url]
            return [(await client.get(url)).status_code for url in urls]

        assert [200, 200] == face(scenario)
        assert [f"http://localhost:{server.port}/"] == [
            request.target for request in proxy.requests
        ]
        assert [200, 200] == face(scenario, trust_env=False)
        assert 1 == len(proxy.requests)


def test_a_proxy_that_cannot_be_used_hurts_only_who_needs_it(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    In the list of differences: "proxies of the environment". A client is made, and its exempted hosts are reached; the error for the
    others names the variable.
    """
    monkeypatch.setattr(Connector, "__init__", refusing(Connector.__init__))
    monkeypatch.setenv("ALL_PROXY", "socks5://user:secret@127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    async def scenario(client: Driven) -> str:
        assert 200 == (await client.get(server.url)).status_code
        with pytest.raises(scallion.UnsupportedProtocol, match="ALL_PROXY") as info:
            await client.get("http://example.com/")
        assert "example.com" == info.value.request.url.host
        return f"{info.value} {client._mounts}"

    with HTTPServer() as server:
        assert "secret" not in face(scenario)
        with pytest.raises(scallion.UnsupportedProtocol):
            face.client(proxy="socks5://127.0.0.1:1")


def refusing(original: Any) -> Any:
    """A connector for which no SOCKS proxy will do, whatever is installed."""

    def __init__(self: Any, **settings: Any) -> None:
        proxy = settings.get("proxy")
        if proxy is not None and proxy.url.scheme.startswith("socks"):
            raise scallion.UnsupportedProtocol("Proxies of scheme 'socks5' are not supported")
        original(self, **settings)

    return __init__
