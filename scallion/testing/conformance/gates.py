"""Gates: how a rule says "go on" to the reference, and learns what has reached it."""

from __future__ import annotations

import itertools
import threading

__all__ = ["Gate", "Gates"]


class Gate:
    """One conversation's signals. Both sides may be in any thread.

    Attributes:
        name: What a request's query names, as `?gate=NAME`.
        received: Bytes of the request's body that have reached the reference.
        requests: How often the request has.
        late: Whether somebody waited for the gate longer than its patience: what should have come did not.
    """

    def __init__(self, name: str, patience: float) -> None:
        self.name = name
        self.patience = patience
        self.received = 0
        self.requests = 0
        self.late = False
        self._open = threading.Event()
        self._lock = threading.Lock()

    def arrive(self) -> None:
        """Count a request that has reached the reference, in whichever thread."""
        with self._lock:
            self.requests += 1

    def open(self) -> None:
        """Let the reference go on."""
        self._open.set()

    @property
    def is_open(self) -> bool:
        return self._open.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Block until the gate is open, at most `seconds`, or as long as its patience lasts; whether it is."""
        if self._open.wait(self.patience if seconds is None else seconds):
            return True
        self.late = self.late or seconds is None
        return False


class Gates:
    """All gates of a reference, by name."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._gates: dict[str, Gate] = {}
        self._numbers = itertools.count(1)

    def new(self) -> Gate:
        name = f"g{next(self._numbers)}"
        gate = self._gates[name] = Gate(name, self.patience)
        return gate

    def get(self, name: str | None) -> Gate:
        """The gate of that name; one that nobody opens where there is none."""
        gate = None if name is None else self._gates.get(name)
        return Gate("", self.patience) if gate is None else gate

    def open_all(self) -> None:
        """Let everybody go on who still waits."""
        for gate in tuple(self._gates.values()):
            gate.open()
