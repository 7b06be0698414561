"""Services as processes: started on ports of loopback, waited for, stopped, killed, and all gone in the end."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from scallion import AsyncClient, RequestError

__all__ = ["DidNotStart", "Service", "free_ports"]

# What `services` is a module in.
_ROOT = Path(__file__).resolve().parent.parent

# Below those that connections begin from, so that the port of a service that was killed is still free when it returns.
_PORTS = range(20_000, 30_000)


class DidNotStart(Exception):
    """A service did not come up; the message has all that it said."""


class Service:
    """One process: `hypercorn services.<module>:app`.

    Attributes:
        name: "stock-1", for example.
        url: Where it serves, when it is ready.
    """

    def __init__(
        self, name: str, module: str, port: int, folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", "hypercorn", f"services.{module}:app"]
        # In the very process, without a master; connections stay open for as long as the callers want them.
        self._command += ["--workers", "0", "--keep-alive", "60", "--graceful-timeout", "1"]
        self._command += ["--bind", f"127.0.0.1:{port}"]
        self._said = folder / f"{name}.output"
        # Without proxies, which would stand between services of one machine, and others' settings for stock.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().endswith("_PROXY") and not name.startswith("STOCK_")
        }
        self._environment = inherited | {
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")])
            ),
            "OTEL_SERVICE_NAME": name,
            "SPANS": str(folder / f"{name}.spans"),
            "LEDGER": str(folder / f"{name}.ledger"),
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._said.open("ab") as output:
            # In a session of its own: Ctrl-C is for who started it, and ends it from there.
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def ready(self, client: AsyncClient, within: float = 30.0) -> None:
        """Wait until it answers, be it with 404.

        Raises:
            DidNotStart: it has ended, or does not answer `within` so many seconds.
        """
        assert self._process is not None
        until = asyncio.get_running_loop().time() + within
        while asyncio.get_running_loop().time() < until:
            if self._process.poll() is not None:
                why = f"ended with code {self._process.returncode}"
                break
            try:
                await client.get(f"{self.url}/ready", timeout=1.0)
            except RequestError:
                await asyncio.sleep(0.05)
            else:
                return
        else:
            why = f"has not answered for {within:g} s"
        said = self._said.read_text(errors="replace").strip() or "nothing"
        raise DidNotStart(f"{self.name} {why}, and said:\n{said}")

    def hang(self) -> None:
        """It holds its connections, and does nothing."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """It is gone at once, in the middle of whatever it does."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def ask_to_end(self) -> None:
        # One that was stopped has to hear of it.
        self.go_on()
        self._signal(signal.SIGTERM)

    def gone(self) -> None:
        """Wait until it has ended; kill it if it takes too long."""
        if self._process is not None:
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()

    def _signal(self, number: signal.Signals) -> None:
        # One that has ended is left alone: its number may be another's by now.
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


def free_ports(many: int) -> list[int]:
    """So many ports of loopback that nobody listens at."""
    found: list[int] = []
    for port in random.sample(_PORTS, 2_000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == many:
            return found
    raise OSError(f"There are no {many} free ports from {_PORTS.start} to {_PORTS.stop}")
