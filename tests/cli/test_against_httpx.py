"""The same command line by httpx and by scallion: the server receives the same bytes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from scallion._cli import main
from support.servers import Answer, HTTPServer, Received

CASES: dict[str, list[str]] = {
    "plain": ["/"],
    "path": ["/a%20b/ü;x=1/../{}#part"],
    "method": ["/", "-m", "DELETE"],
    "long method": ["/", "--method", "PUT"],
    "method in small letters": ["/", "-m", "patch"],
    "head": ["/", "-m", "HEAD"],
    "param": ["/", "-p", "a", "1"],
    "params": ["/", "-p", "a", "1", "-p", "a", "2", "--params", "b c", "ü&="],
    "content": ["/", "-c", "text, ü"],
    "content and method": ["/", "--content", "x", "-m", "PUT"],
    "content and type": ["/", "-c", "<a/>", "-h", "Content-Type", "text/xml"],
    "content with dashes": ["/", "-c", "--x"],
    "form": ["/", "-d", "a", "1", "--data", "b", "x y&ü"],
    "file": ["/", "-f", "up", "{file}"],
    "files": ["/", "-f", "up", "{file}", "--files", "down", "{file}"],
    "file and form": ["/", "-f", "up", "{file}", "-d", "a", "1"],
    "json": ["/", "-j", '{"a": [1, 2.5, null, true], "ü": "\\u00e9"}'],
    "json list": ["/", "--json", "[1]", "-m", "PATCH"],
    "json text": ["/", "-j", '"x"'],
    "header": ["/", "-h", "X-A", "1"],
    "headers": ["/", "-h", "X-A", "1", "-h", "X-A", "2", "--headers", "accept", "text/html"],
    "user agent": ["/", "-h", "User-Agent", "me"],
    "host": ["/", "-h", "Host", "example.org"],
    "cookie": ["/", "--cookies", "a", "1"],
    "cookies": ["/", "--cookies", "a", "1", "--cookies", "b", "2", "--cookies", "a", "3"],
    "auth": ["/", "--auth", "user", "pass:word"],
    "auth with dashes": ["/", "--auth", "-u", "--p"],
    "timeout": ["/", "--timeout", "3.5"],
    "http2 over http": ["/", "--http2"],
    "no verification": ["/", "--no-verify"],
    "verbose": ["/", "-v"],
    "redirect": ["/to/302"],
    "redirect followed": ["/to/302", "--follow-redirects"],
    "redirect with body": ["/to/302", "--follow-redirects", "-c", "x", "-h", "X-A", "1"],
    "redirect 307": ["/to/307", "--follow-redirects", "-d", "a", "1"],
    "redirect 303": ["/to/303", "--follow-redirects", "-m", "PUT", "-j", "1"],
    "redirect with login": [
        "/to/301",
        "--follow-redirects",
        "--auth",
        "u",
        "p",
        "--cookies",
        "a",
        "1",
    ],
    "download": ["/", "--download", "{download}"],
    "error": ["/status/404"],
    "no content": ["/status/204"],
}


def answer(request: Received) -> Answer:
    if request.target.startswith("/to/"):
        return Answer(
            int(request.target[4:7]), b"", [("Location", "/there?x=1"), ("Set-Cookie", "s=1")]
        )
    if request.target.startswith("/status/"):
        return Answer(int(request.target[8:11]), b"")
    return Answer(200, b'{"ok": true}', [("Content-Type", "application/json")])


def sent(server: HTTPServer, command: Any, args: list[str]) -> tuple[int, list[bytes]]:
    """The exit status, and the bytes of each connection, made comparable."""
    before = len(server.connections)
    result = CliRunner(catch_exceptions=False).invoke(command, args)
    server.wait_until_gone(*range(before, len(server.connections)))
    return result.exit_code, [
        comparable(bytes(peer.received)) for peer in server.connections[before:]
    ]


def comparable(data: bytes) -> bytes:
    """Without the names of the programs, and with one boundary for all."""
    data = re.sub(rb"python-(httpx|scallion)/[\d.]+", b"program", data)
    for boundary in re.findall(rb"boundary=([0-9a-f]+)", data):
        data = data.replace(boundary, b"b" * len(boundary))
    return data


@pytest.mark.parametrize("name", CASES)
def test_sends_what_httpx_sends(name: str, tmp_path: Path) -> None:
    """
    For the options that both have, requests and exit status are the same.
    """
    file = tmp_path / "file.txt"
    file.write_bytes(b"content\r\n\x00")
    args = [
        arg.format(file=file, download=tmp_path / "out") if arg.startswith(("{f", "{d")) else arg
        for arg in CASES[name]
    ]

    with HTTPServer(answer) as server:
        args[0] = server.url + args[0]
        expected = sent(server, httpx.main, args)
        found = sent(server, main, args)

    assert expected == found


@pytest.mark.parametrize("login", ["", "user:pass@"])
def test_sends_to_a_proxy_what_httpx_sends(login: str) -> None:
    """
    So it does through a proxy, which gets its login.
    """
    with HTTPServer(answer) as proxy:
        args = ["http://example.org/x", "--proxy", f"http://{login}127.0.0.1:{proxy.port}"]
        expected = sent(proxy, httpx.main, args)
        found = sent(proxy, main, args)

    # Where among the headers the login stands is the transport's affair.
    lines = [[sorted(data.split(b"\r\n")) for data in sent] for _, sent in (expected, found)]
    assert lines[0] == lines[1]
    assert expected[0] == found[0]


def test_a_login_in_the_url_is_used_as_httpx_does() -> None:
    """
    User and password of the URL become a Basic login.
    """
    with HTTPServer(answer) as server:
        args = [server.url.replace("://", "://us%20er:pa:ss@")]
        expected = sent(server, httpx.main, args)
        found = sent(server, main, args)

    assert expected == found


# What differs on purpose.


def received(server: HTTPServer, *args: str) -> Received:
    assert (
        0
        == CliRunner(catch_exceptions=False)
        .invoke(main, [server.url + args[0], *args[1:]])
        .exit_code
    )
    return server.requests[-1]


def test_the_query_of_the_url_is_kept() -> None:
    """
    httpx's command drops the URL's own query; here parameters join it.
    """
    with HTTPServer(answer) as server:
        assert "/?a=1" == received(server, "/?a=1").target
        assert (
            "/?a=%41&b=2&b=3" == received(server, "/?a=%41", "-p", "b", "2", "-p", "b", "3").target
        )


def test_a_field_given_twice_is_sent_twice() -> None:
    """
    httpx's command sends the last one only.
    """
    with HTTPServer(answer) as server:
        assert (
            b"a=1&a=2&a=3&b=4"
            == received(
                server, "/", "-d", "a", "1", "-d", "a", "2", "-d", "a", "3", "-d", "b", "4"
            ).body
        )


@pytest.mark.parametrize("value", ["{}", "0", "null", "false"])
def test_any_json_is_a_body(value: str) -> None:
    """
    httpx's command sends a GET for values that are false, and no body for null.
    """
    with HTTPServer(answer) as server:
        request = received(server, "/", "-j", value)

    assert ("POST", value.encode(), "application/json") == (
        request.method,
        request.body,
        request.get("content-type"),
    )
