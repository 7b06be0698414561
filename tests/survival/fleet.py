"""The servers as processes: started, killed, stopped, continued, replaced, and told how to behave."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from .house import CONTROL, Behaviour
from .ledger import Line, read

__all__ = ["Fleet", "Server", "running"]

PATIENCE = 30.0
"""Seconds after which a server that does not start, end or obey is a mistake of these tests."""

_TESTS = Path(__file__).resolve().parents[1]
_taken: set[int] = set()


def quiet_port() -> int:
    """A free port that the system gives to no outgoing connection: while its server is dead nobody else gets it.

    A client that connects to a dead port of that range may even be connected to itself.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(10_000, lowest)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            if port not in _taken:
                _taken.add(port)
                return port


class Server:
    """One of them, over all its lives.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        url: The same, as clients name their endpoints.
        killed: The ids of the processes that were given no time to end.
        stopped: Whether it is.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.port = quiet_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.killed: set[int] = set()
        self.stopped = False
        self.ledger = folder / f"{name}.ledger"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin a life, and return when it listens."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Begin a life."""
        run = "from survival.ledger_server import main; main()"
        given = ["--name", self.name, "--port", str(self.port), "--folder", str(self._folder)]
        with (self._folder / f"{self.name}.output").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", run, *given],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONPATH": str(_TESTS)},
            )

    def wait(self) -> None:
        """Until it listens."""
        assert self._process is not None
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"{self.name} does not start:\n{self.said()}")

    def said(self) -> str:
        return (self._folder / f"{self.name}.output").read_text(errors="replace")

    @property
    def alive(self) -> bool:
        """Whether it has a process; one that killed itself has none."""
        process = self._process
        if process is not None and process.poll() is not None:
            if process.returncode == -signal.SIGKILL:
                self.killed.add(process.pid)
            self._process = None
        return self._process is not None

    def _signal(self, number: signal.Signals) -> None:
        if self.alive:
            assert self._process is not None
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        """As a crash does it: nobody is told."""
        if self.alive:
            assert self._process is not None
            self.killed.add(self._process.pid)
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None
            self.stopped = False

    def stop(self) -> None:
        """From now on connections are accepted, by the kernel, and nothing answers."""
        self._signal(signal.SIGSTOP)
        self.stopped = self.alive

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)
        self.stopped = False

    def end(self) -> None:
        """In good order: what was begun is answered."""
        self.go_on()
        if not self.alive:
            return
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self.kill()
        # It may have killed itself before.
        assert not self.alive

    def replace(self) -> None:
        """As a deployment does it: the old one answers what it has begun, and a new one comes."""
        self.end()
        self.start()

    def behave(self, behaviour: Behaviour) -> None:
        self._control(json.dumps(asdict(behaviour)))

    def busy(self) -> int:
        """How many requests it carries out."""
        return self._control("")

    def _control(self, body: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("PUT", CONTROL, body)
            busy: int = json.loads(connection.getresponse().read())
            return busy
        finally:
            connection.close()

    def heal(self) -> None:
        """Whatever was done to it: it lives, and behaves."""
        until = time.monotonic() + PATIENCE
        while True:
            self.go_on()
            if not self.alive:
                self.start()
            try:
                self.behave(Behaviour())
            except (OSError, http.client.HTTPException):
                # It was about to kill itself.
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
            else:
                return

    def written(self) -> int:
        """How long its ledger is, in bytes."""
        return self.ledger.stat().st_size


class Fleet:
    """Several servers with one folder, and so one store of idempotency keys."""

    def __init__(self, folder: Path, many: int) -> None:
        self.folder = folder
        self.servers = [Server(name, folder) for name in "abcdefgh"[:many]]
        self._read = {server.name: 0 for server in self.servers}

    def __getitem__(self, index: int) -> Server:
        return self.servers[index]

    def heal(self) -> None:
        for server in self.servers:
            server.heal()

    def start(self) -> None:
        """All that are dead."""
        born = [server for server in self.servers if not server.alive]
        for server in born:
            server.launch()
        for server in born:
            server.wait()

    def kill(self) -> None:
        for server in self.servers:
            server.kill()

    @property
    def killed(self) -> set[int]:
        return {pid for server in self.servers for pid in server.killed}

    def settled(self) -> list[Line]:
        """All lines since it was last asked, once nothing more comes. Servers must be well."""
        sizes: list[int] = []
        while sizes != (sizes := [server.written() for server in self.servers]) or any(
            server.busy() for server in self.servers
        ):
            time.sleep(0.15)
        lines: list[Line] = []
        for server in self.servers:
            size = server.written()
            lines += read(server.ledger, self._read[server.name])
            self._read[server.name] = size
        return lines

    def keys(self) -> dict[str, str]:
        """Each idempotency key, and for which call it was used."""
        return {path.name: str(path.readlink()) for path in (self.folder / "keys").iterdir()}


@contextmanager
def running(many: int = 3) -> Iterator[Fleet]:
    """A fleet, until the `with` ends."""
    with TemporaryDirectory(prefix="survival-") as folder:
        fleet = Fleet(Path(folder), many)
        try:
            fleet.start()
            yield fleet
        finally:
            fleet.kill()
