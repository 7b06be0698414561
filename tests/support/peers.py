"""Real servers and proxies for tests: nginx, nghttpd, hypercorn, squid, microsocks, each on a port of its own.

They come from Debian or the registry. Where one is missing, its tests skip and say what to install; in CI that is an
error (see conftest.py). Each is started in the foreground as a child of the tests, and ended by its process id.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme

__all__ = [
    "Certificate",
    "Running",
    "free_port",
    "hypercorn",
    "microsocks",
    "nghttpd",
    "nginx",
    "squid",
]

PATIENCE = 20.0


@dataclass(frozen=True)
class Certificate:
    """Files that servers are given: a chain and its key, for localhost and 127.0.0.1."""

    chain: Path
    key: Path

    @classmethod
    def issue(cls, authority: trustme.CA, folder: Path) -> Certificate:
        issued = authority.issue_cert("localhost", "127.0.0.1", "::1")
        made = cls(folder / "chain.pem", folder / "key.pem")
        made.chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(made.key)
        return made


@dataclass(frozen=True)
class Running:
    """A server that runs.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        log: What it prints, and more where it keeps a log of its own.
        folder: What it serves, and where its files lie.
    """

    port: int
    log: Path
    folder: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def found(program: str, package: str) -> str:
    """The path of `program`; skips the test if it is not there."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip(f"{program} is missing: install it (apt-get install {package})")
    return path


@contextmanager
def started(
    command: Callable[[int], Sequence[str]], folder: Path, log: str = "log"
) -> Iterator[Running]:
    """Run what `command` makes of a port, until it accepts connections; end it afterwards."""
    output = folder / "output"
    for _ in range(5):
        port = free_port()
        with output.open("wb") as sink, ExitStack() as stack:
            process = subprocess.Popen(
                command(port), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=folder
            )
            stack.callback(_end, process)
            if _listens(process, port):
                yield Running(port, output if log == "log" else folder / log, folder)
                return
    pytest.fail(f"it does not start:\n{output.read_text(errors='replace')}")


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return True
        time.sleep(0.02)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def nginx(
    folder: Path, server: str, *, certificate: Certificate | None = None, http: str = ""
) -> Iterator[Running]:
    """nginx with `server` in its server block and `http` around it; over TLS, with HTTP/2 offered, if certified.

    Args:
        folder: For its files; `folder / "www"` is what it serves.
        server: Directives of the server block.
        certificate: Makes it listen with TLS.
        http: Directives of the http block.
    """
    program = found("nginx", "nginx-light")
    (folder / "www").mkdir(exist_ok=True)

    def command(port: int) -> list[str]:
        listen, tls = f"127.0.0.1:{port}", ""
        if certificate is not None:
            listen += " ssl http2"
            tls = f"ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};"
        paths = " ".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"""
            daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log info;
            events {{ worker_connections 4096; }}
            http {{
                access_log {folder}/access.log; {paths} {http}
                server {{ listen {listen} backlog=4096; {tls} root {folder}/www; {server} }}
            }}
            """
        )
        return [
            program,
            "-p",
            str(folder),
            "-c",
            str(folder / "nginx.conf"),
            "-e",
            str(folder / "error.log"),
        ]

    with started(command, folder, "access.log") as running:
        yield running


@contextmanager
def nghttpd(
    folder: Path, *options: str, certificate: Certificate | None = None
) -> Iterator[Running]:
    """nghttp2's server, which speaks HTTP/2 only; in cleartext unless certified. It serves `folder / "www"`."""
    program = found("nghttpd", "nghttp2-server")
    (folder / "www").mkdir(exist_ok=True)

    def command(port: int) -> list[str]:
        tls = (
            ["--no-tls", str(port)]
            if certificate is None
            else [str(port), str(certificate.key), str(certificate.chain)]
        )
        return [program, "-a", "127.0.0.1", "-d", str(folder / "www"), *options, *tls]

    with started(command, folder) as running:
        yield running


@contextmanager
def hypercorn(
    folder: Path, application: str, *options: str, certificate: Certificate | None = None
) -> Iterator[Running]:
    """hypercorn serving the ASGI application named `application`, which lies in the tests' path."""
    if importlib.util.find_spec("hypercorn") is None:
        pytest.skip("hypercorn is missing: install it (pip install hypercorn)")
    tests = str(Path(__file__).resolve().parents[1])

    def command(port: int) -> list[str]:
        tls = (
            []
            if certificate is None
            else ["--certfile", str(certificate.chain), "--keyfile", str(certificate.key)]
        )
        run = f"import sys; sys.path.insert(0, {tests!r}); from hypercorn.__main__ import main; sys.exit(main())"
        return [sys.executable, "-c", run, "-b", f"127.0.0.1:{port}", *tls, *options, application]

    with started(command, folder) as running:
        yield running


@contextmanager
def squid(*, login: tuple[str, str] | None = None) -> Iterator[Running]:
    """squid as a forward proxy and for CONNECT, open to this machine alone; with a Basic login if one is given."""
    program = found("squid", "squid")
    # Started by root it runs as another user, which must be able to write here and to start the helper.
    folder = Path(tempfile.mkdtemp(prefix="squid-"))
    folder.chmod(0o777)
    rules = "http_access allow all"
    if login is not None:
        helper = folder / "login.sh"
        # It reads "user password" lines, percent-encoded, and answers OK or ERR.
        known = " ".join(quote(part, safe="") for part in login)
        helper.write_text(
            "#!/bin/sh\nwhile read -r line; do\n"
            f"  if [ \"$line\" = '{known}' ]; then echo OK; else echo ERR; fi\ndone\n"
        )
        helper.chmod(0o755)
        rules = (
            f"auth_param basic program {helper}\nauth_param basic children 2\nauth_param basic realm tests\n"
            "acl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all"
        )
    user = "cache_effective_user proxy\n" if os.geteuid() == 0 else ""

    def command(port: int) -> list[str]:
        (folder / "squid.conf").write_text(
            f"http_port 127.0.0.1:{port}\n{rules}\ncache deny all\npid_filename none\n"
            f"access_log stdio:{folder}/access.log\ncache_log {folder}/cache.log\ncoredump_dir {folder}\n"
            f"visible_hostname localhost\n{user}shutdown_lifetime 0 seconds\n"
            "server_persistent_connections off\npinger_enable off\nnetdb_filename none\n"
        )
        return [program, "-N", "-n", f"tests{port}", "-f", str(folder / "squid.conf")]

    try:
        with started(command, folder, "access.log") as running:
            yield running
    finally:
        shutil.rmtree(folder)


@contextmanager
def microsocks(folder: Path, *, login: tuple[str, str] | None = None) -> Iterator[Running]:
    """A SOCKS5 proxy (RFC 1928), with a login (RFC 1929) if one is given."""
    program = found("microsocks", "microsocks")
    options = [] if login is None else ["-u", login[0], "-P", login[1]]
    with started(
        lambda port: [program, "-i", "127.0.0.1", "-p", str(port), *options], folder
    ) as running:
        yield running
