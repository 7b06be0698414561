"""Generated calls over the wire: paths, params, bodies, redirects, cookies, answers whole and broken."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from compat.comparing import COLOURS, LIBRARIES, case, perform
from compat.plain import differences
from compat.stage import OK, Stage, raw, redirect, reply
from compat.strategies import (
    bodies,
    lines,
    params,
    texts,
)

# Each example is a call by both libraries in both colours, and some are chains of calls.
WIRE = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def wired(stage: Stage, runner: asyncio.Runner, made: Any) -> None:
    for colour in COLOURS:
        theirs, ours = (perform(made, lib, colour, stage, runner) for lib in LIBRARIES)
        assert [] == differences(theirs, ours)


@WIRE
@given(st.sampled_from(["GET", "POST", "DELETE"]), texts, st.none() | params, bodies)
def test_calls_send_the_same_bytes(
    stage: Stage, runner: asyncio.Runner, method: str, path: str, params: Any, body: dict[str, Any]
) -> None:
    """
    Any path, params and body.
    """

    async def call(c: Any) -> Any:
        return await c.request(method, c.at("/" + path), params=params, **body)

    wired(stage, runner, case(call))


# Neither a scheme nor an authority: those are tables in `test_redirect_calls`.
locations = st.text("ab./?#=&;,%20+!'()*~-_[]{}|^`<>\" ", max_size=12).filter(
    lambda text: not text.strip().startswith("//")
)


@WIRE
@given(
    st.lists(
        st.tuples(st.sampled_from([301, 302, 303, 307, 308]), locations), min_size=1, max_size=4
    ),
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    st.booleans(),
)
def test_chains_of_redirects_are_the_same(
    stage: Stage, runner: asyncio.Runner, chain: list[tuple[int, str]], method: str, follow: bool
) -> None:
    """
    Each hop's bytes, the history, and where it ends.
    """
    answers = [redirect(status, location) for status, location in chain]

    async def call(c: Any) -> Any:
        body = {"content": b"body"} if method in ("POST", "PUT") else {}
        return await c.request(method, c.at("/a/b?c"), follow_redirects=follow, **body)

    wired(stage, runner, case(call, *answers, OK))


@WIRE
@given(st.lists(lines, min_size=1, max_size=3))
def test_cookies_travel_alike(
    stage: Stage, runner: asyncio.Runner, answers: list[list[str]]
) -> None:
    """
    Several answers in a row, to one client.
    """

    async def call(c: Any) -> Any:
        paths = ("/deep/page", "/deep/er/page", "/", "/deep/page")
        return [await c.get(c.at(path)) for path in paths], c.client.cookies

    played = [reply(200, *(f"Set-Cookie: {line}" for line in lines)) for lines in answers]
    wired(stage, runner, case(call, *played))


@WIRE
@given(
    st.sampled_from(["200 OK", "404 Not Found", "500 X", "299 "]),
    st.lists(
        st.tuples(st.sampled_from(["X", "x-y", "Link", "ETag"]), st.text('ab,;=<> "', max_size=8)),
        max_size=4,
    ),
    st.binary(max_size=40),
    st.sampled_from([None, "text/plain; charset=latin-1", "application/json"]),
)
def test_answers_are_understood_alike(
    stage: Stage, runner: asyncio.Runner, status: str, fields: Any, body: bytes, kind: str | None
) -> None:
    """
    Any header fields and any body.

    differences: "links by RFC 8288".
    """
    assume(not any(name == "Link" for name, _ in fields))
    lines = [f"{name}: {value}" for name, value in fields]
    lines += [f"Content-Type: {kind}"] if kind else []

    async def call(c: Any) -> Any:
        return await c.get(c.at("/"))

    wired(stage, runner, case(call, reply(status, *lines, body=body)))


_ANSWER = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n5\r\nhello\r\n3;x=y\r\n!!!\r\n0\r\nT: u\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nX-A: b\r\nx-a: c\r\n\r\nhello",
    b"HTTP/1.0 301 Moved\r\nAge: 1\r\nServer: a=1; b\r\n\r\nuntil the end",
    b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 None\r\nServer: x\r\n\r\n",
)


edits = st.tuples(
    st.integers(0, 150),
    st.integers(0, 3),
    st.sampled_from(
        [
            b"",
            b"\r\n",
            b"\n",
            b"\r",
            b" ",
            b":",
            b"\x00",
            b"\xff",
            b"\t",
            b"9",
            b"-",
            b"A",
            b";",
            b",",
            b"\r\n ",
        ]
    ),
)


@WIRE
@given(st.sampled_from(_ANSWER), st.lists(edits, min_size=1, max_size=2))
def test_broken_answers_are_understood_or_refused_alike(
    stage: Stage, runner: asyncio.Runner, answer: bytes, edits: list[tuple[int, int, bytes]]
) -> None:
    """
    A byte more, less or other, anywhere: the same response, or the same class of error.
    """
    for at, length, new in edits:
        answer = answer[:at] + new + answer[at + length :]

    async def call(c: Any) -> Any:
        return await c.get(c.at("/"))

    wired(stage, runner, case(call, raw(answer)))
