"""What may happen to a fleet: one event after the other, at random, from a seed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException

from .fleet import Fleet, Server
from .house import Behaviour

__all__ = ["EVENTS", "happen"]

Event = Callable[[Fleet, Server, random.Random], object]


def _behaves(make: Callable[[random.Random], Behaviour]) -> Event:
    def event(fleet: Fleet, server: Server, rng: random.Random) -> None:
        behaviour = make(rng)
        if server.alive and not server.stopped:
            # It may have killed itself just now, as it was told before.
            with suppress(OSError, HTTPException):
                server.behave(behaviour)

    return event


def _heal(fleet: Fleet, server: Server, rng: random.Random) -> None:
    for each in (server, rng.choice(fleet.servers)):
        each.heal()


def _crash(fleet: Fleet, server: Server, rng: random.Random) -> None:
    server.kill()
    server.start()


def _roll(fleet: Fleet, server: Server, rng: random.Random) -> None:
    """One after the other is replaced, in good order."""
    for each in fleet.servers:
        each.replace()
        time.sleep(rng.random() * 0.3)


def _all_down(fleet: Fleet, server: Server, rng: random.Random) -> None:
    fleet.kill()
    time.sleep(0.2 + rng.random())
    fleet.start()


def _all_stopped(fleet: Fleet, server: Server, rng: random.Random) -> None:
    for each in fleet.servers:
        each.stop()
    time.sleep(0.2 + 2 * rng.random())
    for each in fleet.servers:
        each.go_on()


EVENTS: dict[str, Event] = {
    "kill": lambda fleet, server, rng: server.kill(),
    "kill and start": _crash,
    "stop": lambda fleet, server, rng: server.stop(),
    "go on": lambda fleet, server, rng: server.go_on(),
    "replace": lambda fleet, server, rng: server.replace(),
    "replace all": _roll,
    "all down": _all_down,
    "all stopped": _all_stopped,
    "heal": _heal,
    "heal again": _heal,
    "slow": _behaves(lambda rng: Behaviour(rng.random(), slow=rng.choice((0.1, 0.5, 1.5)))),
    "503": _behaves(lambda rng: Behaviour(rng.random(), status=503)),
    "503, later": _behaves(lambda rng: Behaviour(rng.random(), status=503, retry_after="1")),
    "cut at the head": _behaves(lambda rng: Behaviour(rng.random(), cut="head")),
    "cut in the body": _behaves(lambda rng: Behaviour(rng.random(), cut="body")),
    "cut when applied": _behaves(lambda rng: Behaviour(rng.random(), cut="applied")),
    "cut in the answer": _behaves(lambda rng: Behaviour(rng.random(), cut="answer")),
    "refuse": _behaves(lambda rng: Behaviour(rng.random(), cut="refuse")),
    "die in the answer": _behaves(lambda rng: Behaviour(0.1, cut="answer", die=True)),
    "die when applied": _behaves(lambda rng: Behaviour(0.1, cut="applied", die=True)),
    "close idle connections": _behaves(lambda rng: Behaviour(keep_alive=rng.random() * 0.2)),
}


def happen(fleet: Fleet, rng: random.Random) -> str:
    """Let something happen; its name."""
    name = rng.choice(list(EVENTS))
    server = rng.choice(fleet.servers)
    EVENTS[name](fleet, server, rng)
    return f"{server.name}: {name}"
