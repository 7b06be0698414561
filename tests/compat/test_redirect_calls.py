"""Redirects: on the wire, and across hosts over a transport that answers by URL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compat.comparing import Case, case, each_of
from compat.stage import OK, raw, redirect, reply

STATUSES = (300, 301, 302, 303, 304, 305, 306, 307, 308, 399)
METHODS = [
    case(
        f"c.request({method!r}, at('/a'), {body}follow_redirects={follow})",
        redirect(status, "/b"),
        OK,
        name=f"{status} {method} {body}{follow}",
    )
    for status in STATUSES
    for method, body in (
        ("GET", ""),
        ("HEAD", ""),
        ("POST", "content=b'body', headers={'X': '1'}, "),
        ("POST", "json={'a': 1}, "),
        ("PUT", "data={'a': '1'}, "),
        ("DELETE", ""),
        ("PATCH", "files={'f': b'x'}, "),
        ("OPTIONS", ""),
        ("PROPFIND", "content=gen(b'once'), ")
        if status not in (307, 308) and status != 301
        else ("PROPFIND", "content=[b'again', b'again'], "),
    )
    for follow in (True, False)
    # The answer to HEAD has no body, and a 304 neither.
    if not (method == "HEAD" or status == 304)
] + [
    case(
        f"c.head(at('/a'), follow_redirects={follow})",
        raw(b"HTTP/1.1 %d X\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n" % status, "keep"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "keep"),
        name=f"{status} HEAD {follow}",
    )
    for status in STATUSES
    for follow in (True, False)
]

LOCATIONS = [
    case(
        f"c.get(at('/a/b?c=d#e'), follow_redirects={follow})",
        redirect(302, location),
        OK,
        name=f"{location!r} {follow}",
    )
    for follow in (True, False)
    for location in (
        "/x",
        "x",
        "x/y?z",
        "../x",
        "./x",
        "../../../x",
        "",
        "?q=1",
        "#frag",
        "?q#f",
        "/x#own",
        "/",
        "//127.0.0.1:{port}/p",
        "http://127.0.0.1:{port}/abs",
        "HTTP://127.0.0.1:{port}/abs",
        "http://127.0.0.1:{port}",
        "http:///nohost",
        "/x y",
        "/x%20y",
        "/%zz",
        "/caf\xe9",
        "/\xe2\x82\xac",
        "/a/../b/./c",
        "/x?a=b c",
        "/x?a=%C3%A9&b=+",
        "/x;p=1",
        "/[x]{y}|",
        "   /padded  ",
        "http://user@127.0.0.1:{port}/login",
        "/x, /y",
        "http://user:pass@127.0.0.1:{port}/login",
        "/x?y=http://z",
        "\t/tab",
    )
]

MALFORMED = [
    case(
        "c.get(at('/a'), follow_redirects=True)",
        redirect(302, location),
        OK,
        name=repr(location),
        differs=differs,
    )
    for location, differs in (
        ("http://:99999999/", "ports over 65535"),
        ("http:relative", "a location that is no URL"),
        ("http://[::1", None),
        ("https://a b/", None),
        ("http://exa mple.org:x/", None),
        ("x:y:z://", "a location that is no URL"),
        ("mailto:a@b", "a location that is no URL"),
        ("ftp://127.0.0.1/x", None),
        ("/\x01", None),
        ("//", None),
        (":", None),
    )
] + [
    case(
        "c.get(at('/a'), follow_redirects=False)",
        redirect(302, location),
        name=repr(location),
        differs=differs,
    )
    for location, differs in (
        ("http://[::1", "a location that is no URL"),
        ("http://a:x/", "a location that is no URL"),
        ("http://1.2.3.999/", "a location that is no URL"),
        ("mailto:a@b", "a location that is no URL"),
        ("http:relative", "a location that is no URL"),
        ("ftp://127.0.0.1/x", None),
    )
]

CHAINS = [
    case(
        "c.get(at('/1'), follow_redirects=True)",
        redirect(302, "/2"),
        redirect(301, "/3"),
        redirect(307, "/4"),
        OK,
    ),
    case(
        "c.post(at('/1'), content=b'x', follow_redirects=True)",
        redirect(307, "/2"),
        redirect(308, "/3"),
        redirect(303, "/4"),
        OK,
    ),
    case("c.get(at('/1'), follow_redirects=True)", redirect(302, "/2"), reply(404)),
    case(
        "c.get(at('/1'), follow_redirects=True)",
        redirect(302, "/2"),
        redirect(302, "/3"),
        redirect(302, "/4"),
        redirect(302, "/5"),
        settings="max_redirects=3",
        differs="too many redirects",
    ),
    case(
        "c.get(at('/1'), follow_redirects=True)",
        redirect(302, "/2"),
        OK,
        settings="max_redirects=1",
    ),
    case("c.get(at('/1'))", redirect(302, "/2"), OK, settings="follow_redirects=True"),
    case(
        "c.get(at('/1'), follow_redirects=False)",
        redirect(302, "/2"),
        OK,
        settings="follow_redirects=True",
    ),
    case("c.get(at('/1'))", redirect(302, "/2"), OK),
    case("c.get(at('/1'), follow_redirects=True)", reply(302), OK),
    case("c.get(at('/1'), follow_redirects=True)", reply(302, "Location: /a", "Location: /b"), OK),
    case(
        "c.get(at('/1'), follow_redirects=True)",
        redirect(302, "/2", "Set-Cookie: a=1"),
        redirect(302, "/3", "Set-Cookie: b=2; Path=/3"),
        OK,
    ),
    case(
        "c.get(at('/1'), follow_redirects=True)",
        redirect(302, "/2", "Set-Cookie: a=; Max-Age=0"),
        OK,
        settings="cookies={'a': 'x', 'b': 'y'}",
    ),
    case(
        "c.get(at('/1'), headers={'Cookie': 'own=1'}, follow_redirects=True)",
        redirect(302, "/2"),
        OK,
    ),
    case(
        "c.get(at('/1'), headers={'Cookie': 'own=1'}, follow_redirects=True)",
        redirect(302, "/2", "Set-Cookie: a=1"),
        OK,
    ),
    case(
        "c.get(at('/1'), headers={'Authorization': 'x', 'Host': 'named'}, follow_redirects=True)",
        redirect(302, "/2"),
        OK,
    ),
    case(
        "c.get(at('/1'), headers={'Authorization': 'x'}, follow_redirects=True)",
        redirect(302, "http://localhost:{port}/2"),
        OK,
    ),
    case(
        "c.get(at('/1'), headers={'Proxy-Authorization': 'x'}, follow_redirects=True)",
        redirect(302, "http://localhost:{port}/2"),
        OK,
        differs="proxy-authorization across origins",
    ),
    case("c.get(at('/1'), params={'a': '1'}, follow_redirects=True)", redirect(302, "/2"), OK),
    case(
        "c.get(at('/1'), follow_redirects=True)",
        redirect(302, "/2"),
        OK,
        settings="params={'k': '1'}, headers={'h': '2'}",
    ),
    case(
        "c.get('1', follow_redirects=True)",
        redirect(302, "/2"),
        OK,
        settings="base_url=base + '/api'",
    ),
    case("c.get(at('/1'), auth=('u', 'p'), follow_redirects=True)", redirect(302, "/2"), OK),
    case(
        "c.get(at('/1'), auth=('u', 'p'), follow_redirects=True)",
        redirect(302, "http://localhost:{port}/2"),
        OK,
    ),
    case(
        "c.get(at('/1'), follow_redirects=True)",
        redirect(302, "http://localhost:{port}/2"),
        redirect(302, "http://127.0.0.1:{port}/3"),
        OK,
        settings="auth=('u', 'p')",
    ),
    case("c.get(at('/1'), timeout=3, follow_redirects=True)", redirect(302, "/2"), OK),
    case(
        "c.request('QUERY', at('/1'), content=b'x', follow_redirects=True)",
        redirect(302, "/2"),
        OK,
        differs="QUERY",
    ),
    case(
        "c.post(at('/1'), content=gen(b'x'), follow_redirects=True)",
        redirect(303, "/2"),
        OK,
        colours=("sync",),
    ),
    case(
        "c.post(at('/1'), content=agen(b'x'), follow_redirects=True)",
        redirect(303, "/2"),
        OK,
        colours=("asyncio",),
    ),
    case(
        "c.post(at('/1'), content=gen(b'x'), follow_redirects=True)",
        redirect(307, "/2"),
        OK,
        colours=("sync",),
        differs="a body that cannot be sent again",
    ),
    case(
        "c.post(at('/1'), content=agen(b'x'), follow_redirects=True)",
        redirect(307, "/2"),
        OK,
        colours=("asyncio",),
        differs="a body that cannot be sent again",
    ),
    case(
        "c.post(at('/1'), content=io.BytesIO(b'file'), follow_redirects=True)",
        redirect(307, "/2"),
        OK,
        colours=("sync",),
        differs="a body that cannot be sent again",
    ),
]


async def _next_requests_by_hand(c: Any) -> Any:
    response = await c.get(c.at("/1"))
    found = [response]
    while response.next_request is not None:
        response = await c.send(response.next_request)
        found.append(response)
    return found


async def _a_stream_that_follows(c: Any) -> Any:
    return await c.streamed(
        "GET", c.at("/1"), lambda r, a: getattr(r, a + "read")(), follow_redirects=True
    )


BY_HAND = [
    case(_next_requests_by_hand, redirect(302, "/2"), redirect(307, "/3?x#y"), OK),
    case(
        _next_requests_by_hand,
        redirect(302, "/2", "Set-Cookie: a=1"),
        OK,
        settings="auth=('u', 'p')",
    ),
    case(_a_stream_that_follows, redirect(302, "/2"), OK),
]

_AUTH = "headers={'Authorization': 'secret', 'X': '1'}"
ACROSS = [
    case(
        f"c.{method}({start!r}, follow_redirects=True, {_AUTH}{body})",
        settings=f"transport=served({{{start!r}: ({status}, {{'Location': {location!r}}})}})",
        name=f"{method} {start} {status} {location}",
    )
    for method, body, status in (
        ("get", "", 302),
        ("post", ", content=b'x'", 307),
        ("post", ", content=b'x'", 303),
    )
    for start, location in (
        ("http://example.org/", "https://example.org/"),
        ("http://example.org/", "http://www.example.org/"),
        ("http://example.org/", "http://example.org:8080/"),
        ("http://example.org:80/", "https://example.org:443/x"),
        ("http://example.org:8080/", "https://example.org/"),
        ("http://example.org/", "https://example.org:8443/"),
        ("https://example.org/", "http://example.org/"),
        ("https://example.org/", "//other.example/x"),
        ("https://example.org/a", "HTTPS://EXAMPLE.ORG/b"),
        ("https://example.org/a", "https:///b"),
        ("https://example.org/a", "https://user:pw@example.org/b"),
        ("https://user:pw@example.org/a", "/b"),
        ("https://user:pw@example.org/a", "https://other.example/b"),
        ("http://[::1]/a", "http://[::1]:80/b"),
        ("http://[::1]/a", "http://[::0:1]/b"),
        ("https://xn--mnchen-3ya.example/", "https://m\\xfcnchen.example/"),
        ("https://example.org/#frag", "https://other.example/"),
        ("https://example.org/#frag", "https://other.example/#own"),
        ("ws://example.org/", "http://example.org/"),
    )
]

ALL = {
    "methods": METHODS,
    "locations": LOCATIONS,
    "malformed": MALFORMED,
    "chains": CHAINS,
    "by hand": BY_HAND,
    "across": ACROSS,
}


@each_of(ALL)
def test_redirects_are_followed_as_httpx_does(
    case: Case, colour: str, compare: Callable[[Case, str], None]
) -> None:
    """
    Methods, bodies, headers, cookies, history and `next_request` are httpx's.

    differences: "QUERY", differences: "a body that cannot be sent again",
    differences: "a location that is no URL", differences: "ports over 65535",
    differences: "proxy-authorization across origins", differences: "too many redirects".
    """
    compare(case, colour)
