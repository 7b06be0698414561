"""The servers that are measured against, each on the core that the client leaves free.

nginx answers all there is over HTTP/1.1, TLS and HTTP/2; nghttpd reads uploads over HTTP/2; server.py beside this file reads
those over HTTP/1.1, and stands in for nginx, without HTTP/2, where that is missing.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from endpoint import Endpoint
from machine import cores
from server import JSON

__all__ = ["Servers", "servers"]

PATIENCE = 20.0
HERE = Path(__file__).parent
SIZES = {"1mb": 10**6, "100mb": 10**8, "1gb": 10**9}

NGINX = """
daemon off; master_process off; worker_processes 1; worker_rlimit_nofile {files};
pid {folder}/pid; error_log {folder}/error.log warn;
events {{ worker_connections {connections}; multi_accept on; }}
http {{
    access_log off; sendfile on; tcp_nodelay on; default_type application/json;
    keepalive_requests 100000000; keepalive_timeout 600s; reset_timedout_connection on;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/chain.pem; ssl_certificate_key {folder}/key.pem;
    ssl_session_cache shared:all:10m; http2_max_concurrent_streams 256; http2_recv_buffer_size 256k;
    server {{
        listen 127.0.0.1:{http} backlog=4096;
        listen 127.0.0.1:{tls} ssl backlog=4096;
        root {folder};
        location = /json {{ return 200 '{json}'; }}
        location = /close {{ keepalive_timeout 0; return 200 '{json}'; }}
    }}
    server {{
        listen 127.0.0.1:{http2} ssl http2 backlog=4096;
        root {folder};
        # Who speaks something else here is found out by the size of the answer.
        if ($server_protocol != "HTTP/2.0") {{ return 505; }}
        location = /json {{ return 200 '{json}'; }}
    }}
}}
"""


@dataclass
class Servers:
    """What runs: an endpoint for each name, and why others are missing."""

    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


@contextmanager
def servers() -> Iterator[Servers]:
    """Start whatever there is; stop it afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        running = Servers()
        ca = _certify(folder, running)
        _python(stack, folder, ca, running)
        _nginx(stack, folder, ca, running)
        _nghttpd(stack, folder, ca, running)
        yield running


def _certify(folder: Path, running: Servers) -> str | None:
    """Certificates for 127.0.0.1, and the path of what makes them trusted."""
    try:
        import trustme
    except ImportError:
        running.missing.append("trustme is not installed: nothing is measured over TLS")
        return None
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    (folder / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return str(folder / "ca.pem")


def _python(stack: ExitStack, folder: Path, ca: str | None, running: Servers) -> None:
    certificate = [str(folder / "chain.pem"), str(folder / "key.pem")] if ca else []
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, str(HERE / "server.py"), str(cores()[1]), *certificate],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stack.callback(process.stdin.close)
    http, *tls = process.stdout.readline().split()
    plain = f"http://127.0.0.1:{http}"
    running.endpoints |= {
        "json": Endpoint(f"{plain}/json", len(JSON)),
        "upload": Endpoint(f"{plain}/upload", len(JSON)),
        "together": Endpoint(f"{plain}/together", len(JSON)),
        **{name: Endpoint(f"{plain}/bytes/{size}", size) for name, size in SIZES.items()},
    }
    if tls:
        over_tls = f"https://127.0.0.1:{tls[0]}"
        running.endpoints["json-tls"] = Endpoint(f"{over_tls}/json", len(JSON), ca)
        running.endpoints["close-tls"] = Endpoint(f"{over_tls}/close", len(JSON), ca)


def _nginx(stack: ExitStack, folder: Path, ca: str | None, running: Servers) -> None:
    program = _found("nginx")
    if program is None or ca is None:
        running.missing.append("nginx (apt-get install nginx-light): no HTTP/2, and slower bodies")
        return
    _write_bodies(folder)
    http, tls, http2 = _free_ports(3)
    files = _raise_limit()
    (folder / "nginx.conf").write_text(
        NGINX.format(
            folder=folder,
            http=http,
            tls=tls,
            http2=http2,
            json=JSON.decode(),
            files=files,
            connections=files - 100,
        )
    )
    configured = ["-p", str(folder), "-c", str(folder / "nginx.conf")]
    _start(stack, [program, *configured, "-e", str(folder / "error.log")], http)
    plain, over_tls, over_http2 = (
        f"http://127.0.0.1:{http}",
        f"https://127.0.0.1:{tls}",
        f"https://127.0.0.1:{http2}",
    )
    running.endpoints |= {
        "json": Endpoint(f"{plain}/json", len(JSON)),
        "json-tls": Endpoint(f"{over_tls}/json", len(JSON), ca),
        "close-tls": Endpoint(f"{over_tls}/close", len(JSON), ca),
        "json-h2": Endpoint(f"{over_http2}/json", len(JSON), ca),
        "100mb-h2": Endpoint(f"{over_http2}/100mb", SIZES["100mb"], ca),
        **{name: Endpoint(f"{plain}/{name}", size) for name, size in SIZES.items()},
    }
    running.versions["nginx"] = _version(program, "-v")


def _write_bodies(folder: Path) -> None:
    """Files of each size. The largest, where only memory is measured, is a hole, lest it fills the disk."""
    piece = os.urandom(10**6)
    for name, size in SIZES.items():
        with (folder / name).open("wb") as file:
            if size <= 10**8:
                for _ in range(size // len(piece)):
                    file.write(piece)
            file.truncate(size)


def _nghttpd(stack: ExitStack, folder: Path, ca: str | None, running: Servers) -> None:
    program = _found("nghttpd")
    if program is None or ca is None:
        running.missing.append("nghttpd (apt-get install nghttp2-server): no uploads over HTTP/2")
        return
    (port,) = _free_ports(1)
    (folder / "json").write_bytes(JSON)
    certificate = [str(folder / "key.pem"), str(folder / "chain.pem")]
    root = ["-a", "127.0.0.1", "-d", str(folder)]
    # Windows of 1 MB, so that it is not the round trips that are measured.
    _start(stack, [program, *root, "-w", "20", "-W", "20", str(port), *certificate], port)
    running.endpoints["upload-h2"] = Endpoint(f"https://127.0.0.1:{port}/json", len(JSON), ca)
    running.versions["nghttpd"] = _version(program, "--version")


def _start(stack: ExitStack, command: Sequence[str], port: int) -> None:
    """Run `command` on the server's core until the stack unwinds; wait until it listens on `port`."""
    taskset = shutil.which("taskset")
    pinned = [taskset, "-c", str(cores()[1])] if taskset else []
    process = subprocess.Popen(
        [*pinned, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    stack.callback(_end, process)
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise SystemExit(f"{command[0]} does not start")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _found(program: str) -> str | None:
    return shutil.which(program) or shutil.which(
        program, path="/usr/sbin:/sbin:/usr/local/sbin:/usr/local/bin"
    )


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _raise_limit() -> int:
    """Let this process and its children open as many files as they may; how many."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(most, 65536) if most != resource.RLIM_INFINITY else 65536
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def _version(program: str, option: str) -> str:
    said = subprocess.run([program, option], capture_output=True, text=True, check=False)
    return (said.stdout + said.stderr).strip().partition("\n")[0].rpartition("/")[2]
