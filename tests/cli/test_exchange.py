"""What reaches the client: logins, certificates, protocols and limits."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from scallion import Client
from support.http2_server import HTTP2Server
from support.servers import Answer, HTTPServer, Received

Serve = Callable[..., HTTPServer]


def test_a_login_by_digest(serve: Serve, run: Any) -> None:
    """
    The challenge is answered, and the password is not sent.
    """

    def answer(request: Received) -> Answer:
        if request.get("authorization") is None:
            challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256'
            return Answer(401, b"", [("WWW-Authenticate", challenge)])
        return Answer()

    server = serve(answer)
    assert 0 == run(server.url, "--auth", "user", "pass", "--digest").exit_code
    login = server.requests[1].get("authorization") or ""
    assert login.startswith('Digest username="user"')


@pytest.mark.parametrize("apart", [False, True])
def test_a_client_certificate_is_shown(
    run: Any, serve: Serve, authority: trustme.CA, trusted: str, tmp_path: Path, apart: bool
) -> None:
    """
    From one file, or with the key in another.
    """
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.verify_mode = ssl.CERT_REQUIRED
    authority.issue_cert("localhost").configure_cert(tls)
    authority.configure_trust(tls)
    own = authority.issue_cert("client.example")
    cert, key, both = (tmp_path / name for name in ("cert", "key", "both"))
    cert.write_bytes(own.cert_chain_pems[0].bytes())
    key.write_bytes(own.private_key_pem.bytes())
    both.write_bytes(own.private_key_and_cert_chain_pem.bytes())
    server = serve(tls=tls)

    args = ["--cert", str(cert), "--key", str(key)] if apart else ["--cert", str(both)]
    assert (0, b"ok") == (
        (result := run(server.url, "--cacert", trusted, *args)).exit_code,
        result.stdout_bytes,
    )


def test_http2_is_spoken_unasked(run: Any) -> None:
    """
    Over http:// too, where nobody can negotiate it.
    """
    with HTTP2Server() as server:
        result = run(f"http://127.0.0.1:{server.port}", "--http2-prior-knowledge", "-i")

    assert result.stdout.startswith("HTTP/2 200 OK\n")


@pytest.mark.parametrize(
    ("args", "limits"),
    [
        ([], {"connect": 5.0, "read": 5.0}),
        (["--timeout", "2"], {"connect": 2.0, "read": 2.0}),
        (["--timeout", "none"], {"connect": None, "read": None}),
        (["--connect-timeout", "1"], {"connect": 1.0, "read": 5.0}),
        (["--max-time", "9", "--timeout", "inf"], {"connect": None, "read": None, "total": 9.0}),
    ],
)
def test_limits_are_those_asked_for(
    serve: Serve,
    run: Any,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    limits: dict[str, float | None],
) -> None:
    """
    Each option sets its own.
    """
    seen: list[dict[str, float | None]] = []
    send = Client.send

    def sending(self: Client, request: Any, **settings: Any) -> Any:
        seen.append(request.extensions["timeout"])
        return send(self, request, **settings)

    monkeypatch.setattr(Client, "send", sending)
    assert 0 == run(serve().url, *args).exit_code

    expected = {"write": limits["read"], "pool": limits["read"], **limits}
    assert [expected] == seen
