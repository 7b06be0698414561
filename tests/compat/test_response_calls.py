"""Responses as they come over the wire: heads, framing, connections, and what is malformed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compat.comparing import Case, case, each_of
from compat.stage import raw, reply

GET = "c.get(at('/'))"
TEXT = "Content-Type: text/plain"

STATUSES = [
    *(
        case(GET, raw(b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\nok" % line), name=repr(line))
        for line in (
            b"200 OK",
            b"200 Fine Indeed",
            b"200 ",
            b"200",
            b"201 Created",
            b"202 Accepted",
            b"299 X",
            b"300 Multiple Choices",
            b"399 X",
            b"400 Bad Request",
            b"404 Not Found",
            b"418 I'm a teapot",
            b"499 X",
            b"500 Internal Server Error",
            b"599 X",
            b"600 X",
            b"999 X",
            b"200 caf\xe9",
            b"200 \xe2\x82\xac",
            b"200 tab\there",
            b"099 X",
            b"20 X",
            b"2000 X",
            b"abc X",
            b"-200 X",
            b"200  two",
        )
    ),
    case(GET, raw(b"HTTP/1.1 204 No Content\r\n\r\n", "keep")),
    case(GET, raw(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "keep")),
    case(GET, raw(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", "keep")),
    case(GET, raw(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", "keep")),
    case(
        GET,
        raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "keep"),
    ),
    case(
        GET,
        raw(
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "keep",
        ),
    ),
    case(
        GET,
        raw(
            b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 X\r\n\r\nHTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
            "keep",
        ),
    ),
    case(
        GET, raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    ),
    case("c.head(at('/'))", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "keep")),
    case("c.head(at('/'))", raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "keep")),
    case(
        "c.head(at('/'))",
        raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n", "keep"),
    ),
    case("c.request('CONNECT', at('/'))", reply()),
]

FRAMING = [
    case(GET, raw(data), name=repr(data)[:90])
    for data in (
        b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;ext=1\r\nok\r\n1\r\n!\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokXX0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-Mixed-Case: Yes\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: a\r\nX: b\r\nx: c\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX:no-space\r\nY:   many   \r\nZ:\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: caf\xe9\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \xe2\x82\xac\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: folded\r\n  line\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: y\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX(y): a\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"ICY 200 OK\r\n\r\n",
        b"<html>not http</html>\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 30_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 120_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
        b"HTTP/1.1 200",
        b"\x00\x01\x02",
        b"",
    )
]

CONNECTIONS = [
    case(call, *answers, name=name)
    for name, call, answers in (
        ("kept", "twice(c)", (reply(),)),
        ("closed by header", "twice(c)", (reply(200, "Connection: close", end="close"), reply())),
        ("http/1.0", "twice(c)", (raw(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), reply())),
        (
            "1.0 kept",
            "twice(c)",
            (
                raw(
                    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
                    "close",
                ),
                reply(),
            ),
        ),
        ("closed at once", "twice(c)", (raw(b""),)),
        ("reset", GET, (raw(b"", "reset"),)),
        (
            "reset in the body",
            GET,
            (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "close"),),
        ),
        ("after 404", "twice(c)", (reply(404), reply())),
        (
            "after HEAD",
            "twice(c, 'HEAD')",
            (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "keep"),),
        ),
    )
]


def _twice(method: str = "GET") -> Callable[[Any], Any]:
    async def call(c: Any) -> Any:
        return [await c.request(method, c.at("/")) for _ in range(2)]

    return call


CONNECTIONS = [
    case(
        (_twice("HEAD") if "HEAD" in str(each.call) else _twice())
        if str(each.call).startswith("twice")
        else each.call,
        *each.answers,
        name=each.name,
    )
    for each in CONNECTIONS
]

ERRORS = [
    case("c.get('http://127.0.0.1:1/')"),
    case("c.get('http://nowhere.invalid/')"),
    case("c.get(at('/').replace('http', 'https'))"),
    case("c.get(at('/'), timeout=0.05)", raw(b"", "wait")),
    case(
        "c.get(at('/'), timeout=0.05)",
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "wait"),
    ),
    case("c.get(at('/'))", raw(b"", "wait"), settings="timeout=0.05"),
    case("c.get(at('/'))", raw(b"", "wait"), settings="timeout=Timeout(5, read=0.05)"),
    case("c.get(at('/'), extensions={'timeout': {'read': 0.05}})", raw(b"", "wait")),
    case("c.post(at('/'), content=b'x' * 3, headers={'Content-Length': '9'})"),
    case("c.post(at('/'), content=b'x' * 9, headers={'Content-Length': '3'})"),
    case("c.get(at('/'), timeout='x')"),
    case("c.get(at('/'), timeout=(1, 2))"),
    case("c.get(at('/'), bogus=1)"),
    case("c.get(at('/'), auth='user')"),
    case("c.get(at('/'), auth=1)"),
    case("c.get(at('/'), auth=('a', 'b', 'c'))", differs="wrong types"),
    case("c.get(at('/'), cookies='a')", differs="wrong types"),
    case("c.post(at('/'), files='a')"),
    case("c.post(at('/'), files=[b'a'])"),
]


async def _pool_timeout(c: Any) -> Any:
    held = await c.sent("GET", c.at("/"))
    try:
        return await c.get(c.at("/"), timeout=c.lib.Timeout(5, pool=0.02))
    finally:
        await c.got(held.close() if c.blocking else held.aclose())


async def _after_close(c: Any) -> Any:
    await c.got(c.client.close() if c.blocking else c.client.aclose())
    return await c.get(c.at("/"))


async def _send_twice(c: Any) -> Any:
    request = c.build_request("GET", c.at("/"))
    return [await c.send(request), await c.send(request)]


CLIENTS = [
    case(
        _pool_timeout,
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "wait"),
        settings="limits=Limits(max_connections=1)",
    ),
    case(
        _pool_timeout,
        reply(),
        settings="limits=Limits(max_connections=1)",
        differs="bodies that are there already",
    ),
    case(_after_close),
    case(_send_twice),
]

ALL = {
    "statuses": STATUSES,
    "framing": FRAMING,
    "connections": CONNECTIONS,
    "errors": ERRORS,
    "clients": CLIENTS,
}


@each_of(ALL)
def test_responses_are_read_as_by_httpx(
    case: Case, colour: str, compare: Callable[[Case, str], None]
) -> None:
    """
    What a server's bytes become, value or error, is what httpx makes of them.

    differences: "bodies that are there already", differences: "wrong types".
    """
    compare(case, colour)
