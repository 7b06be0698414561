"""Clients and functions: settings that change, extensions, what is logged and traced, and limits that pass."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest

from compat.comparing import LIBRARIES, Case, case, each_of, perform
from compat.stage import OK, Stage, raw, redirect, reply

FUNCTIONS = [
    case(call, *answers, colours=("sync",))
    for call, answers in (
        ("lib.get(at('/'))", (OK,)),
        (
            "lib.get(at('/'), params={'a': '1'}, headers={'b': '2'}, cookies={'c': '3'}, auth=('u', 'p'))",
            (OK,),
        ),
        ("lib.get(at('/'), follow_redirects=True)", (redirect(302, "/x"), OK)),
        ("lib.get(at('/'), timeout=3, trust_env=False, verify=False)", (OK,)),
        ("lib.options(at('/'))", (OK,)),
        ("lib.head(at('/'))", (reply(body=""),)),
        ("lib.post(at('/'), json={'a': 1})", (OK,)),
        ("lib.put(at('/'), content=b'x')", (OK,)),
        ("lib.patch(at('/'), data={'a': '1'})", (OK,)),
        ("lib.delete(at('/'))", (OK,)),
        ("lib.request('PROPFIND', at('/'), files={'f': b'x'})", (OK,)),
        ("lib.get('/relative')", (OK,)),
        ("lib.get('ftp://a/')", (OK,)),
        ("lib.get(at('/'), json={})", (OK,)),
        ("lib.delete(at('/'), content=b'x')", (OK,)),
    )
]


def _stream_function(lib: Any, url: str) -> Any:
    with lib.stream("GET", url) as response:
        return list(response.iter_lines()), response


def _changed(name: str, value: str) -> Callable[[Any], Any]:
    """One call before and one after a setting of the client is changed."""

    async def call(c: Any) -> Any:
        before = await c.get(c.at("/a?b=c"))
        setattr(c.client, name, eval(value, {"lib": c.lib, "base": c.base}))
        after = await c.get("/x") if name == "base_url" else await c.get(c.at("/a?b=c"))
        return (
            before,
            after,
            str(getattr(c.client, name)) if name in ("base_url", "params") else None,
        )

    return call


SETTINGS = [
    case(_changed(name, value), *answers, name=f"{name} = {value}", settings=settings)
    for name, value, settings, answers in (
        ("headers", "{'a': '1', 'accept': 'x'}", "", (OK,)),
        ("headers", "{}", "headers={'a': '1'}", (OK,)),
        ("headers", "lib.Headers([('a', '1'), ('a', '2')])", "", (OK,)),
        ("params", "{'k': '1'}", "", (OK,)),
        ("params", "None", "params={'k': '1'}", (OK,)),
        ("cookies", "{'a': '1'}", "cookies={'b': '2'}", (OK,)),
        ("cookies", "lib.Cookies()", "", (reply(200, "Set-Cookie: a=1"), OK)),
        ("auth", "('u', 'p')", "", (OK,)),
        ("auth", "None", "auth=('u', 'p')", (OK,)),
        ("base_url", "base + '/api'", "", (OK,)),
        ("base_url", "lib.URL(base)", "base_url='http://elsewhere/'", (OK,)),
        ("timeout", "3", "", (OK,)),
        ("timeout", "lib.Timeout(5, read=0.05)", "", (OK, raw(b"", "wait"))),
        ("follow_redirects", "True", "", (redirect(302, "/x"), redirect(302, "/x"), OK)),
        (
            "max_redirects",
            "1",
            "follow_redirects=True",
            (redirect(302, "/x"), redirect(302, "/y"), redirect(302, "/z"), OK),
        ),
    )
]

EXTENSIONS = [
    case("c.get(at('/x'), extensions={'target': b'/other?y'})"),
    case("c.get(at('/x'), extensions={'target': b'*'})"),
    case("c.options(at('/x'), extensions={'target': b'*'})"),
    case(
        "c.get(at('/x'), extensions={'timeout': {'connect': 3, 'read': 3, 'write': 3, 'pool': 3}})"
    ),
    case("c.get(at('/x'), extensions={})"),
    case("c.get(at('/x'), timeout=None)"),
    case("c.get(at('/x'), timeout=Timeout(None, read=4))"),
    case("c.get(at('/x'), timeout=(1, 2, 3, 4))"),
]


def _traced(*paths: str) -> Callable[[Any], Any]:
    """The names of the events that `trace` was told."""

    async def call(c: Any) -> Any:
        events: list[str] = []

        def trace(name: str, info: dict[str, Any]) -> None:
            events.append(name)

        async def async_trace(name: str, info: dict[str, Any]) -> None:
            events.append(name)

        for path in paths:
            told = {"trace": trace if c.blocking else async_trace}
            await c.post(c.at(path), content=b"body", extensions=told)
        return events

    return call


TRACES = [
    case(_traced("/"), OK, name="one"),
    case(_traced("/", "/"), OK, name="a connection kept"),
    case(
        _traced("/", "/"),
        reply(200, "Connection: close", end="close"),
        OK,
        name="a connection closed",
    ),
]


LIMITS = [
    case(
        "c.get(at('/'), headers={'x': 'y'}, timeout=Timeout(5, read=0.05))",
        raw(b"HTTP/1.1 200", "wait"),
    )
]

ALL = {
    "functions": FUNCTIONS,
    "settings": SETTINGS,
    "extensions": EXTENSIONS,
    "traces": TRACES,
    "limits": LIMITS,
}


@each_of(ALL)
def test_clients_behave_alike(
    case: Case, colour: str, compare: Callable[[Case, str], None]
) -> None:
    """
    Whatever is set, on the client or for one call.
    """
    compare(case, colour)


@pytest.mark.parametrize("lib", LIBRARIES)
def test_stream_as_a_function(lib: Any, stage: Stage) -> None:
    """
    Lines, and then a response that is closed.
    """
    with stage.scene([reply(body="one\ntwo")]):
        lines, response = _stream_function(lib, stage.url + "/")

    assert ["one", "two"] == lines
    assert response.is_closed


@pytest.mark.parametrize("lib", LIBRARIES)
def test_a_write_that_takes_too_long(lib: Any) -> None:
    """
    WriteTimeout, of a server that receives nothing.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(lib.WriteTimeout):
            lib.post(url, content=b"x" * 50_000_000, timeout=lib.Timeout(5, write=0.05))


@pytest.mark.parametrize("lib", LIBRARIES)
def test_a_connection_that_takes_too_long(lib: Any) -> None:
    """
    ConnectTimeout, of a server whose queue is full.
    """
    with socket.socket() as listener, socket.socket() as first:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        first.connect(listener.getsockname())
        with pytest.raises(lib.ConnectTimeout):
            lib.get(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.1)


def test_one_line_is_logged_for_each_exchange(
    stage: Stage, runner: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """
    httpx's words, under another name.

    differences: "log".
    """
    made = case("c.get(at('/a?b=c'), follow_redirects=True)", redirect(302, "/x"), OK)
    lines = []
    with caplog.at_level(logging.INFO):
        for lib in LIBRARIES:
            caplog.clear()
            perform(made, lib, "sync", stage, runner)
            lines.append(
                [(r.levelname, r.getMessage()) for r in caplog.records if r.name == lib.__name__]
            )

    assert 2 == len(lines[0])
    assert lines[0] == lines[1]
