"""Cookies: what clients send, what responses set, and what goes back where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compat.comparing import Case, case, each_of
from compat.stage import OK, reply

RFC = "cookies by RFC 6265"

SENT = [
    case("c.get(at('/'), cookies={'a': '1', 'b': '2'})"),
    case("c.get(at('/'), cookies=[('a', '1'), ('b', '2')])"),
    case("c.get(at('/'), cookies=Cookies({'a': '1'}))"),
    case("c.get(at('/'), cookies={})"),
    case("c.get(at('/'), cookies=None)"),
    case("c.get(at('/'), cookies={'a': 'x y; z'})"),
    case("c.get(at('/'), cookies={'a': '\"quoted\"'})"),
    case("c.get(at('/'), cookies={'a': ''})"),
    case("c.get(at('/'), cookies={'a': 'caf\\xe9'})", differs=RFC),
    case("c.get(at('/'), cookies={'a': '1'}, headers={'Cookie': 'b=2'})"),
    case("c.get(at('/'))", settings="cookies={'a': '1', 'b': '2'}"),
    case("c.get(at('/'), cookies={'a': '2', 'c': '3'})", settings="cookies={'a': '1', 'b': '2'}"),
    case("c.get(at('/'), headers={'Cookie': 'own=1'})", settings="cookies={'a': '1'}"),
    case("c.get(at('/'))", settings="headers={'Cookie': 'own=1'}"),
    case("c.post(at('/'), data={'a': 'b'})", settings="cookies={'a': '1'}"),
    case("c.get(at('/x'))", settings="cookies={'b': '1', 'a': '2', 'c': '3'}"),
]

# One Set-Cookie line, then a request to the same host at another path.
LINES = [
    "a=1",
    "a=1; Path=/",
    "a=1; Path=/deep",
    "a=1; Path=/deep/",
    "a=1; path=/other",
    "a=1; Path=",
    "a=1; Secure",
    "a=1; HttpOnly",
    "a=1; SameSite=Lax",
    "a=1; Max-Age=100",
    "a=1; Max-Age=0",
    "a=1; Max-Age=-1",
    "a=1; Expires=Wed, 21 Oct 2099 07:28:00 GMT",
    "a=1; Expires=Wed, 21-Oct-2099 07:28:00 GMT",
    "a=1; expires=Wednesday, 21-Oct-99 07:28:00 GMT",
    "a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT",
    "a=1; Expires=0",
    "a=1; Expires=junk",
    "a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Max-Age=100",
    "a=1; Max-Age=0; Expires=Wed, 21 Oct 2099 07:28:00 GMT",
    "a=1; Domain=other.example",
    "a=1; Unknown=x; b=2",
    "a=1;",
    "a=1;;",
    "a=1 ; Path=/ ; Secure",
    "  a  =  1  ",
    "a=",
    "a=b=c",
    "a=1, b=2",
    'a="quoted value"',
    'a="x; y"',
    "a=%20%3B",
    "a=x y",
    "a=1; PATH=/DEEP",
    "a=1; Path=/deep%20x",
    "A=1",
    "a.b-c_d=1",
    "$a=1",
    "a[1]=2",
]


def _turns(*paths: str) -> Callable[[Any], Any]:
    async def call(c: Any) -> Any:
        return [await c.get(c.at(path)) for path in paths], c.client.cookies

    return call


LINES_BY_RFC = [
    "a=1; Path=relative",
    "a=1; Path",
    "a=1; Max-Age=x",
    "a=1; Domain=127.0.0.1",
    "a=1; Domain=",
    "a=1; Version=1",
    "a=1; Path=/deep; Path=/",
]
RECEIVED = [
    case(
        _turns("/deep/page", "/deep/next", "/", "/other"),
        reply(200, f"Set-Cookie: {line}"),
        OK,
        name=line,
        differs=differs,
    )
    for lines, differs in ((LINES, None), (LINES_BY_RFC, RFC))
    for line in lines
]

SEVERAL = [
    case(
        _turns("/x", "/y"),
        reply(200, "Set-Cookie: a=1", "Set-Cookie: b=2; Path=/y"),
        OK,
        name="two",
    ),
    case(
        _turns("/x", "/x"),
        reply(200, "Set-Cookie: a=1", "Set-Cookie: a=2"),
        OK,
        name="the later wins",
    ),
    case(
        _turns("/x/y", "/x/y"),
        reply(200, "Set-Cookie: a=1; Path=/", "Set-Cookie: a=2; Path=/x"),
        OK,
        name="longer paths first",
    ),
    case(
        _turns("/", "/", "/"),
        reply(200, "Set-Cookie: a=1"),
        reply(200, "Set-Cookie: a=; Max-Age=0"),
        OK,
        name="deletion",
    ),
    case(
        _turns("/", "/", "/"),
        reply(200, "Set-Cookie: a=1; Path=/"),
        reply(200, "Set-Cookie: a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"),
        OK,
        name="deletion by date",
    ),
    case(
        _turns("/", "/", "/"),
        reply(200, "Set-Cookie: a=1"),
        reply(200, "Set-Cookie: a=2"),
        OK,
        name="replaced",
    ),
    case(
        _turns("/", "/"),
        reply(200, "Set-Cookie: a=1"),
        OK,
        name="beside the client's",
        settings="cookies={'b': '2', 'a': '0'}",
    ),
    case(_turns("/", "/"), reply(404, "Set-Cookie: a=1"), OK, name="of an error"),
    case(
        _turns("/", "/"),
        reply("304 Not Modified", "Set-Cookie: a=1", body=b""),
        OK,
        name="of a 304",
    ),
    case(
        _turns("/"),
        reply(200, "Set-Cookie: a=1", "set-cookie: b=2", "SET-COOKIE: c=3"),
        name="any case",
    ),
]

VALUES = [
    case("c.get(at('/'))", reply(200, "Set-Cookie: a=1; Path=/x; Secure; HttpOnly")),
    case(
        "c.get('http://a.example/')",
        settings="transport=served({'http://a.example/': (200, [('Set-Cookie', 'a=1; Domain=a.example'), ('Set-Cookie', 'b=2')])})",
    ),
    case(
        "c.get('http://a.example/')",
        settings="transport=served({'http://a.example/': (200, [('Set-Cookie', 'a=1; Domain=.a.example')])})",
    ),
]


def _over(jar: str, *urls: str) -> Callable[[Any], Any]:
    async def call(c: Any) -> Any:
        c.client.cookies.set(**eval(jar))
        return [await c.get(url) for url in urls], c.client.cookies

    return call


_URLS = (
    "http://a.example/",
    "http://b.a.example/x",
    "http://other.example/",
    "https://a.example/x/y",
)
DOMAINS = [
    case(_over(jar, *_URLS), settings="transport=served({})", name=jar)
    for jar in (
        "dict(name='a', value='1')",
        "dict(name='a', value='1', domain='a.example')",
        "dict(name='a', value='1', domain='.a.example')",
        "dict(name='a', value='1', domain='a.example', path='/x')",
        "dict(name='a', value='1', path='/x')",
        "dict(name='a', value='1', domain='example')",
    )
]

_LINE_URLS = (
    "http://a.b.example/",
    "http://a.b.example:8080/",
    "https://a.b.example/",
    "http://b.example/",
    "http://x.b.example/",
    "http://c.a.b.example/",
    "http://a.b.example/",
)


def _set_by(line: str) -> Callable[[Any], Any]:
    async def call(c: Any) -> Any:
        return [await c.get(url) for url in _LINE_URLS], c.client.cookies

    call.__name__ = line
    return call


SET_FOR_DOMAINS = [
    case(
        _set_by(line),
        settings=f"transport=served({{'http://a.b.example/': (200, {{'Set-Cookie': {line!r}}})}})",
        name=line,
        differs=differs,
    )
    for line, differs in (
        ("a=1; Domain=b.example", None),
        ("a=1; Domain=.b.example", None),
        ("a=1; Domain=B.Example", None),
        ("a=1; Domain=a.b.example", None),
        ("a=1; Domain=x.b.example", None),
        ("a=1; Domain=other.example", None),
        ("a=1; Domain=ample", None),
        ("a=1; Domain=.example", None),
        ("a=1; Domain=c.a.b.example", None),
        ("a=1; Domain=b.example; Path=/x", None),
        ("a=1; Domain=b.example; Secure", None),
        ("a=1", RFC),
        ("a=1; Secure", None),
        ("__Host-a=1; Path=/", RFC),
        ("__Secure-a=1", RFC),
    )
]

ALL = {
    "domains by lines": SET_FOR_DOMAINS,
    "sent": SENT,
    "received": RECEIVED,
    "several": SEVERAL,
    "values": VALUES,
    "domains": DOMAINS,
}


@each_of(ALL)
def test_cookies_travel_as_with_httpx(
    case: Case, colour: str, compare: Callable[[Case, str], None]
) -> None:
    """
    What is sent, kept and sent back is httpx's.

    differences: "cookies by RFC 6265".
    """
    compare(case, colour)
