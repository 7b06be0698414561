"""--verbose: what went over the wire, on standard error, secrets hidden."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.http2_server import HTTP2Server
from support.servers import Answer, HTTPServer, ProxyServer, Received

Serve = Callable[..., HTTPServer]


def told(result: Any, server: Any) -> list[str]:
    """The lines on standard error, without what differs from run to run."""
    text = result.stderr.replace(str(server.port), "PORT")
    text = re.sub(r"python-scallion/[\d.]+", "program", text)
    text = re.sub(r"[\d.]+ ms", "T ms", text)
    return re.sub(r"[\d.]+ s in all", "T s in all", text).splitlines()


def answer(request: Received) -> Answer:
    if request.target.startswith("/moved"):
        where = "http://u:p@127.0.0.1/json?token=abc&x=1"
        return Answer(302, b"", [("Location", "/json?token=abc&x=1"), ("Content-Location", where)])
    cookie = ("Set-Cookie", "sid=very-secret; Path=/")
    return Answer(200, b"{}", [cookie, ("X-Auth-Token", "very-secret"), ("ETag", '"1"')])


def test_each_hop_is_shown_without_its_secrets(serve: Serve, run: Any) -> None:
    """
    Connection, requests as sent, answers, and the redirect between them; standard output has the body alone.
    """
    server = serve(answer)
    secrets = ["--auth", "user", "very-secret", "--cookies", "a", "very-secret"]
    secrets += [
        "-h",
        "X-Api-Key",
        "very-secret",
        "-h",
        "Referer",
        "http://u:very-secret@h/?key=very-secret",
    ]
    result = run(f"{server.url}/moved?api_key=very-secret", "-L", "-v", *secrets)

    assert (0, b"{}") == (result.exit_code, result.stdout_bytes)
    common = [
        "> Host: 127.0.0.1:PORT",
        "> Accept: */*",
        "> Accept-Encoding: gzip, deflate, br, zstd",
        "> Connection: keep-alive",
        "> User-Agent: program",
        "> X-Api-Key: [hidden]",
        "> Referer: http://REDACTED:REDACTED@h/?key=REDACTED",
    ]
    assert [
        "* Connecting to 127.0.0.1 port PORT",
        "* Connected to 127.0.0.1 port PORT",
        "> GET /moved?api_key=REDACTED HTTP/1.1",
        *common,
        "> Cookie: a=[hidden]",
        "> Authorization: Basic [hidden]",
        ">",
        "< HTTP/1.1 302 X",
        "< Location: /json?token=REDACTED&x=1",
        "< Content-Location: http://REDACTED:REDACTED@127.0.0.1/json?token=REDACTED&x=1",
        "< Content-Length: 0",
        "<",
        "* Following the redirect to http://127.0.0.1:PORT/json?token=REDACTED&x=1",
        "* Request 2 on this connection",
        "> GET /json?token=REDACTED&x=1 HTTP/1.1",
        *common,
        "> Authorization: Basic [hidden]",
        ">",
        "< HTTP/1.1 200 X",
        "< Set-Cookie: sid=[hidden]; Path=/",
        "< X-Auth-Token: [hidden]",
        '< ETag: "1"',
        "< Content-Length: 2",
        "<",
        "* 2 bytes of body, T s in all",
        "* The last exchange: queue T ms, sent T ms, first byte T ms, body T ms, total T ms",
    ] == told(result, server)
    assert "very-secret" not in result.stderr


def test_secrets_are_shown_when_asked_for(serve: Serve, run: Any) -> None:
    """
    As they were sent.
    """
    server = serve(answer)
    result = run(f"{server.url}/?token=abc", "-v", "--show-secrets", "--auth", "user", "pass")

    assert "> GET /?token=abc HTTP/1.1\n" in result.stderr
    assert "> Authorization: Basic dXNlcjpwYXNz\n" in result.stderr
    assert "< Set-Cookie: sid=very-secret; Path=/\n" in result.stderr


def test_on_a_terminal_each_head_is_shown_once(serve: Serve, look: Any) -> None:
    """
    On standard error, so not on standard output as well.
    """
    seen = look(serve(answer).url, "-v")

    assert 1 == seen.text.count("200 X")
    assert 1 == seen.text.count("{")


def test_tls_and_http2_are_told(run: Any, server_tls: ssl.SSLContext, trusted: str) -> None:
    """
    Version, cipher, protocol, and whom the certificate names.
    """
    with HTTP2Server(tls=server_tls) as server:
        result = run(f"https://localhost:{server.port}/x", "-v", "--http2", "--cacert", trusted)
        lines = told(result, server)

    assert 0 == result.exit_code
    assert re.search(r"^\* TLSv1\.3, TLS_\w+, ALPN h2$", result.stderr, re.MULTILINE)
    assert re.search(r"^\* Certificate: .*; for localhost$", result.stderr, re.MULTILINE)
    assert re.search(r"^\* Certificate: issued by .*; valid until ", result.stderr, re.MULTILINE)
    assert "> GET /x HTTP/2" in lines
    assert "> user-agent: program" in lines
    assert "< HTTP/2 200 OK" in lines


def test_an_unverified_certificate_is_told(
    serve: Serve, run: Any, server_tls: ssl.SSLContext
) -> None:
    """
    With --no-verify nobody knows whose it is.
    """
    server = serve(tls=server_tls)
    result = run(server.url, "-v", "--no-verify")

    assert 0 == result.exit_code
    assert "* Certificate: not verified\n" in result.stderr


def test_a_proxy_is_told(serve: Serve, run: Any) -> None:
    """
    That there is one, and the target as the proxy gets it; its login is nowhere.
    """
    proxy = serve(answer)
    result = run(
        "http://example.org/x", "-v", "--proxy", f"http://user:very-secret@127.0.0.1:{proxy.port}"
    )

    assert 0 == result.exit_code
    lines = told(result, proxy)
    assert [
        "* Connecting to 127.0.0.1 port PORT",
        "* Connected to 127.0.0.1 port PORT",
        "* Through a proxy to http://example.org:80",
        "> GET http://example.org/x HTTP/1.1",
    ] == lines[:4]
    assert "very-secret" not in result.stderr


def test_a_tunnel_is_told(run: Any, serve: Serve, server_tls: ssl.SSLContext, trusted: str) -> None:
    """
    Inside it there is TLS with the server itself.
    """
    server = serve(tls=server_tls)
    with ProxyServer() as proxy:
        result = run(server.url, "-v", "--proxy", proxy.url, "--cacert", trusted)

    assert 0 == result.exit_code
    assert f"* Connecting to 127.0.0.1 port {proxy.port}\n" in result.stderr
    assert f"> CONNECT localhost:{server.port} HTTP/1.1\n" in result.stderr
    assert "< HTTP/1.1 200 Connection established\n" in result.stderr
    assert "; for localhost\n" in result.stderr
    assert "> GET / HTTP/1.1\n" in result.stderr
    assert f"* Through a proxy to https://localhost:{server.port}\n" in result.stderr


def test_retries_are_told(serve: Serve, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Each attempt, and why there is another.
    """
    from scallion.pipeline.runtime import BlockingRuntime

    async def no_sleep(runtime: object, seconds: float) -> None:
        pass

    monkeypatch.setattr(BlockingRuntime, "sleep", no_sleep)
    statuses = iter([503, 200, 503, 503])
    server = serve(lambda request: Answer(next(statuses), b"x"))

    result = run(server.url, "--retry", "2", "-v")
    assert (0, b"x", 2) == (result.exit_code, result.stdout_bytes, len(server.requests))
    assert re.search(r"^\* Attempt 2 in \d\.\d s, after: .*503", result.stderr, re.MULTILINE)

    result = run(server.url, "--retry", "1", "-v")
    assert (1, 4) == (result.exit_code, len(server.requests))
    assert "* Not trying again: no attempts left\n" in result.stderr


def test_what_a_server_sends_commands_no_terminal(serve: Serve, run: Any) -> None:
    """
    Standard error may be one, or be shown on one later.
    """
    server = serve(lambda request: Answer(200, b"", [("X-Evil", "\x1b[2J")]))

    assert "< X-Evil: \u241b[2J\n" in run(server.url, "-v").stderr


def test_a_failed_step_is_told(run: Any, tmp_path: Path) -> None:
    """
    Before the line that says how it ended.
    """
    result = run("http://127.0.0.1:1", "-v")

    assert 7 == result.exit_code
    assert "* Connecting to 127.0.0.1 port 1\n* Failed: " in result.stderr
