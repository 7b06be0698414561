"""A storm: a fleet, clients of all colours and both protocols under load, events, the calm after them, the reconciliation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.colours import COLOURS

from .fleet import Fleet
from .load import Load
from .reconcile import Policy, Report, reconcile

__all__ = [
    "ENDPOINTS",
    "SETTINGS",
    "Storm",
    "no_files_left",
    "no_threads_left",
    "policy_of",
    "storm",
]

PATIENCE = 30.0
"""Seconds in which a client must recover, or come to rest."""

SETTINGS: dict[str, Any] = {
    "timeouts": {"connect": 1.0, "read": 2.0, "pool": 2.0, "attempt": 0.8, "total": 6.0},
    "connections": {"idle_for": 2.0},
    "retries": {"attempts": 4, "base": 0.02, "cap": 0.2},
    "budget": {"share": 0.2, "window": 2.0, "floor": 20.0},
    "breaker": {"minimum": 10, "window": 3.0, "break_for": 0.3, "longest": 1.0},
    "idempotency_keys": True,
}
"""The service stack, in a hurry: what takes half a minute there takes half a second here."""

ENDPOINTS: dict[str, Any] = {
    # The slower of two comes back only as its latency is forgotten, which takes seconds.
    "choice": "round_robin",
    "failures": 5,
    "ejected_for": 0.5,
    "longest": 1.0,
    "share": 0.34,
}


def policy_of(settings: Mapping[str, Any], **more: Any) -> Policy:
    """What clients with such settings promise."""
    budget = settings["budget"] or {}
    return Policy(**{"total": settings["timeouts"]["total"], **budget, **more})


class Storm:
    """The clients of one fleet.

    Args:
        fleet: The servers.
        settings: Of all clients.
        protocols: "h1" and "h2": a client of each colour for each.
        load: More arguments of each `Load`.
    """

    def __init__(
        self,
        fleet: Fleet,
        settings: Mapping[str, Any],
        protocols: tuple[str, ...] = ("h1", "h2"),
        **load: Any,
    ) -> None:
        self.fleet = fleet
        addresses = [server.url for server in fleet.servers]
        given = settings.get("endpoints", {})
        endpoints = {"addresses": addresses, **ENDPOINTS, **given}
        if not given.get("eject", True):
            # Its numbers would be heeded by nothing.
            endpoints = {"addresses": addresses, "choice": ENDPOINTS["choice"], **given}
        settings = {**settings, "endpoints": endpoints}
        self.loads = [
            Load(colour, settings | ({"http1": False, "http2": True} if p == "h2" else {}), **load)
            for p in protocols
            for colour in COLOURS
        ]
        self._began = 0.0

    def start(self) -> None:
        self._began = time.monotonic()
        for load in self.loads:
            load.start()

    def calm(self) -> list[str]:
        """Heal the servers, go on until all is as before, and rest: what is not as before."""
        self.fleet.heal()
        until = time.monotonic() + PATIENCE
        while True:
            # A circuit closes by a request that succeeds, and whoever was ejected comes back for one.
            while time.monotonic() < until and not self._recovered():
                time.sleep(0.05)
            awake = [load.label for load in self.loads if not load.rest(PATIENCE)]
            if awake:
                return [f"{label} does not come to rest" for label in awake]
            if time.monotonic() >= until or self._recovered():
                return [fault for load in self.loads for fault in load.leaks()]
            # What was sent before the servers were well has failed since.
            for load in self.loads:
                load.go_on()

    def _recovered(self) -> bool:
        return all(load.recovered() for load in self.loads)

    def settle(self, policy: Policy) -> Report:
        """The reconciliation of all that was done since the last one, all clients being at rest."""
        seconds = time.monotonic() - self._began
        calls = [call for load in self.loads for call in load.take()]
        lines = self.fleet.settled()
        return reconcile(
            calls,
            lines,
            policy,
            seconds=seconds,
            killed=self.fleet.killed,
            keys=self.fleet.keys(),
        )

    def go_on(self) -> None:
        self._began = time.monotonic()
        for load in self.loads:
            load.go_on()

    def end(self) -> list[str]:
        begun = [load for load in self.loads if load.begun]
        late = [f"{load.label} does not end" for load in begun if not load.end(PATIENCE)]
        return late + [f"{load.label}: {load.fault!r}" for load in begun if load.fault]


Script = Callable[[Fleet], object]


def storm(
    fleet: Fleet,
    script: Script,
    settings: Mapping[str, Any] | None = None,
    *,
    protocols: tuple[str, ...] = ("h1", "h2"),
    promise: Mapping[str, Any] | None = None,
    **load: Any,
) -> Report:
    """Play one: `script` does to the fleet what is to be survived, while the clients call.

    Args:
        fleet: It may be in any state, and is well afterwards.
        script: Called with the fleet; it may sleep.
        settings: Sections, over `SETTINGS`.
        protocols: Of the clients.
        promise: More of the `Policy`.
        load: More arguments of each `Load`.
    """
    settings = {**SETTINGS, **(settings or {})}
    fleet.heal()
    fleet.settled()
    with no_threads_left(), no_files_left():
        whole = Storm(fleet, settings, protocols, **load)
        try:
            whole.start()
            script(fleet)
            faults = whole.calm()
            report = whole.settle(policy_of(settings, **(promise or {})))
        finally:
            late = whole.end()
        report.faults += faults + late
    return report


@contextmanager
def no_threads_left() -> Iterator[None]:
    """None of the client's."""
    before = set(threading.enumerate())
    yield
    # Who asks where the endpoints are may be about to end.
    until = time.monotonic() + 5.0
    while (left := _new_threads(before)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left, f"threads are left: {left}"


@contextmanager
def no_files_left() -> Iterator[None]:
    """Sockets, of loops and of connections, are closed; a hedge's thread may take a moment."""
    before = _files()
    yield
    until = time.monotonic() + 5.0
    while _files() > before and time.monotonic() < until:
        time.sleep(0.05)
    assert _files() <= before, f"{_files()} files are open, and {before} were"


def _new_threads(before: set[threading.Thread]) -> list[str]:
    new = set(threading.enumerate()) - before
    names = [thread.name for thread in new]
    # Those that wait for the next hedge, or for trio's next piece of work.
    return [name for name in names if not name.startswith(("scallion sends", "Trio thread"))]


def _files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
