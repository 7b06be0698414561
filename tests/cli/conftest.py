"""The command line in this process: as a program would run it, or in front of a terminal."""

from __future__ import annotations

import os
import pty
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import trustme
from click.testing import CliRunner

from scallion._cli import main
from support.servers import HTTPServer

Run = Callable[..., Any]


class Seen(NamedTuple):
    """What a person saw, and the exit status."""

    code: int
    text: str


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wishes for colours but a test's own."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def run() -> Run:
    """`run(*args, input=b"")`: the result, with `exit_code`, `stdout_bytes`, `stdout` and `stderr`."""

    def run(*args: str, input: bytes | None = None) -> Any:
        return CliRunner(catch_exceptions=False).invoke(main, list(args), input=input)

    return run


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Seen]:
    """`look(*args, at=("stdout", "stderr"))`: the same with these streams on a terminal, and what appears on it."""

    def look(*args: str, at: tuple[str, ...] = ("stdout", "stderr")) -> Seen:
        ours, theirs = pty.openpty()
        shown = bytearray()

        def watch() -> None:
            while True:
                try:
                    data = os.read(ours, 65_536)
                except OSError:
                    return
                if not data:
                    return
                shown.extend(data)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            with (
                os.fdopen(theirs, "w", encoding="utf-8", buffering=1) as terminal,
                monkeypatch.context() as patched,
            ):
                for name in at:
                    patched.setattr(sys, name, terminal)
                code = main(args, standalone_mode=False)
        finally:
            watcher.join(10)
            os.close(ours)
        return Seen(code, shown.decode().replace("\r\n", "\n"))

    return look


@pytest.fixture
def serve() -> Iterator[Callable[..., HTTPServer]]:
    """`serve(handler)`: a server that answers by it."""
    servers: list[HTTPServer] = []

    def serve(*args: Any, **settings: Any) -> HTTPServer:
        servers.append(HTTPServer(*args, **settings).__enter__())
        return servers[-1]

    yield serve
    for server in servers:
        server.__exit__(None, None, None)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@pytest.fixture(scope="session")
def trusted(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("trusted") / "ca.pem"
    path.write_bytes(authority.cert_pem.bytes())
    return str(path)
