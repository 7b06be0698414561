"""A server in a process of its own, and measures taken in others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from support.peers import Certificate

from .processes import environment

HERE = Path(__file__).parent
Measure = Callable[..., Any]


def run(*command: Any) -> str:
    """What a program prints; its complaint is the test's failure."""
    done = subprocess.run(
        [str(part) for part in command],
        check=False,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of the server, without TLS."""
    yield from _serving("http://127.0.0.1")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Certificate, Path]:
    """The secure server's, and its authority's."""
    folder = tmp_path_factory.mktemp("authority")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    return Certificate.issue(authority, folder), folder / "authority.pem"


@pytest.fixture(scope="session")
def secure_server(certificate: tuple[Certificate, Path]) -> Iterator[str]:
    """The URL of the server with TLS, which offers HTTP/2."""
    chain, key = certificate[0].chain, certificate[0].key
    yield from _serving("https://localhost", str(chain), str(key))


def _serving(root: str, *arguments: str) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, HERE / "server.py", *arguments],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield f"{root}:{process.stdout.readline().strip()}/"
    process.communicate(timeout=20)


@pytest.fixture(scope="session")
def measure() -> Measure:
    """`measure(what, colour, url, **settings)`: see measure.py."""

    def measured(what: str, colour: str, url: str, **settings: Any) -> Any:
        return json.loads(
            run(sys.executable, HERE / "measure.py", what, colour, url, json.dumps(settings))
        )

    return measured
