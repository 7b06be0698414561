"""The answer: byte for byte for programs, readable and harmless on a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from support.servers import Answer, HTTPServer, Received, ScriptedServer, expect, send

Serve = Callable[..., HTTPServer]

JSON = b'{"a":1.10,"b":["x"]}'
EVIL = b"hi \x1b[31mred\x1b]0;t\x07 \xc2\x9b"


def answer(request: Received) -> Answer:
    types = {
        "/json": ("application/json", JSON),
        "/problem": ("application/problem+json", JSON),
        "/evil": ("text/plain", EVIL),
        "/evil.json": ("application/json", EVIL),
        "/html": ("text/html", b"<b>bold</b>"),
        "/binary": ("image/png", b"\x89PNG\x00\x01\x02"),
        "/latin": ("text/plain; charset=latin-1", b"caf\xe9"),
        "/odd": ("text/plain; charset=zlib", b"text"),
        "/utf-16": ("text/plain; charset=utf-16", "né".encode("utf-16-le")),
        "/large": ("application/json", b'["' + b"x" * 1_100_000 + b'"]'),
        "/moved": ("text/plain", b""),
    }
    kind, body = types.get(request.target, ("", b""))
    headers = [("Content-Type", kind)] if kind else []
    if request.target == "/moved":
        return Answer(302, b"", [("Location", "/json")])
    return Answer(
        200, body, [*headers, ("X-Evil", "\x1b[2J")] if "evil" in request.target else headers
    )


def plain(text: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[\d;]*m", "", text)


@pytest.mark.parametrize("path", ["/json", "/evil", "/binary", "/latin", "/html", "/large"])
def test_programs_get_the_bytes(serve: Serve, run: Any, path: str) -> None:
    """
    Nothing but the body, as it is.
    """
    server = serve(answer)
    result = run(server.url + path)

    assert (0, "") == (result.exit_code, result.stderr)
    assert answer(server.requests[0]).body == result.stdout_bytes


def test_programs_get_the_head_when_asked_for(serve: Serve, run: Any) -> None:
    """
    That of each answer, as with a redirect, and before the body.
    """
    server = serve(answer)
    result = run(server.url + "/moved", "-i", "-L")

    assert (
        b"HTTP/1.1 302 X\nLocation: /json\nContent-Length: 0\n\n"
        b"HTTP/1.1 200 X\nContent-Type: application/json\nContent-Length: 20\n\n"
        + JSON
        == result.stdout_bytes
    )


@pytest.mark.parametrize("path", ["/json", "/problem"])
def test_people_get_head_and_indented_body(serve: Serve, look: Any, path: str) -> None:
    """
    In colours.
    """
    seen = look(serve(answer).url + path)

    assert 0 == seen.code
    assert "\x1b[" in seen.text
    head, _, body = plain(seen.text).partition("\n\n")
    assert head.startswith("HTTP/1.1 200 X\nContent-Type: application/")
    assert '{\n    "a": 1.10,\n    "b": [\n        "x"\n    ]\n}\n' == body


@pytest.mark.parametrize("path", ["/evil", "/evil.json"])
def test_what_a_server_sends_commands_no_terminal(serve: Serve, look: Any, path: str) -> None:
    """
    Neither by its body nor by its head.
    """
    seen = look(serve(answer).url + path)

    assert "\x1b" not in plain(seen.text)
    assert "hi \u241b[31mred\u241b]0;t\u2407 \\x9b\n" in plain(seen.text)
    assert "X-Evil: \u241b[2J\n" in plain(seen.text)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (
            "/binary",
            "<7 bytes of binary data: save with --output FILE, or --output - shows it anyway>\n",
        ),
        ("/latin", "café\n"),
        ("/odd", "text\n"),
        ("/utf-16", "né\n"),
        ("/html", "<b>bold</b>\n"),
        ("/empty", ""),
    ],
)
def test_people_get_what_can_be_shown(serve: Serve, look: Any, path: str, shown: str) -> None:
    """
    Text in its encoding; of binary data that there is some.
    """
    seen = look(serve(answer).url + path)

    assert (0, shown) == (seen.code, plain(seen.text).partition("\n\n")[2])


def test_what_is_large_is_shown_as_it_arrives(serve: Serve, look: Any) -> None:
    """
    Only so much is held back for formatting.
    """
    seen = look(serve(answer).url + "/large")

    assert '["' + "x" * 1_100_000 + '"]\n' == plain(seen.text).partition("\n\n")[2]


def test_events_are_shown_one_by_one(look: Any) -> None:
    """
    A server that never ends is watched live; so is anything with --stream.
    """
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\n"
    scripts = [
        [expect(), send(head % kind, b'{"n":1}'), lambda peer: peer.sock.close()]
        for kind in (b"text/event-stream", b"application/json")
    ]
    with ScriptedServer(*scripts) as server:
        events = look(server.url)
        stream = look(server.url, "-N")

    # The answers break off, and what came before was shown.
    for seen in (events, stream):
        assert 8 == seen.code
        assert '\n\n{"n":1}' in plain(seen.text)


@pytest.mark.parametrize(
    ("args", "environment"),
    [
        (["--no-color"], {}),
        ([], {"NO_COLOR": "1"}),
        ([], {"TERM": "dumb"}),
        (["--no-color"], {"FORCE_COLOR": "1"}),
        ([], {"NO_COLOR": "1", "FORCE_COLOR": "1"}),
    ],
)
def test_colours_can_be_refused(
    serve: Serve,
    look: Any,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    environment: dict[str, str],
) -> None:
    """
    The form stays.
    """
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    seen = look(serve(answer).url + "/json", "-v", *args)

    assert '{\n    "a": 1.10' in seen.text
    assert "\x1b" not in seen.text


def test_colours_can_be_wanted(serve: Serve, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    In a pipe, to a pager for example; binary data passes.
    """
    monkeypatch.setenv("FORCE_COLOR", "1")
    server = serve(answer)
    result = run(server.url + "/json", "-i")

    assert "\x1b[" in result.stdout
    assert '\n\n{\n    "a": 1.10' in plain(result.stdout)
    assert b"\x89PNG\x00\x01\x02" == run(server.url + "/binary").stdout_bytes
    monkeypatch.setenv("NO_COLOR", "1")
    assert JSON == run(server.url + "/json").stdout_bytes
