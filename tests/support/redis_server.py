"""A real Redis for tests: on a port of its own, with a password, stopped and started again at will."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from .peers import PATIENCE, _end, _listens, found, free_port

__all__ = ["PASSWORD", "RedisServer", "redis_server"]

PASSWORD = "correct-horse"


class RedisServer:
    """One Redis, which keeps nothing on disk.

    Attributes:
        port: Where it listens, on 127.0.0.1, each time that it is started.
        url: Where it is found, password and all.
    """

    def __init__(self, folder: Path) -> None:
        self._program = found("redis-server", "redis-server")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [self._program, "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--requirepass", PASSWORD, "--save", "", "--appendonly", "no"]
        output = self._folder / "output"
        with output.open("ab") as sink:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=self._folder
            )
        if not _listens(self._process, self.port):
            pytest.fail(f"it does not start:\n{output.read_text(errors='replace')}")

    def kill(self) -> None:
        """As a crash does it: nobody is told."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It accepts connections, and does not answer."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def end(self) -> None:
        if self._process is not None:
            _end(self._process)
            self._process = None


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """One that runs, until the `with` ends."""
    with TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.end()
