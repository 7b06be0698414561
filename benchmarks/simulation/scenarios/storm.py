"""Retry storm: all servers stand still for a while, and the retries of that time keep them from coming back.

The servers take requests meanwhile and work on none (a pause, a failover of what they depend on). When they go on, their
queues hold what nobody waits for any longer. A client that gives up after a second and sends again adds more of that than
it takes away. That is a metastable failure (Bronson, Aghayev, Charapko and Zhu, HotOS 2021): what began it is over, and it stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from simulation.servers import Balancer, Health, Server, exponential
from simulation.world import BARE, World, play, settings_of

__all__ = ["VARIANTS", "Setting", "Variant", "run", "storm"]

TIMES = {"timeouts": {"attempt": 1.0, "total": 10.0}}
THREE = {"retries": {"attempts": 3}}
IMMEDIATE = {"retries": {"attempts": 3, "base": 0.0, "cap": 0.0}}
BUDGET = {"budget": True}
BREAKER = {"breaker": True}


def floor(number: float) -> Mapping[str, Any]:
    return {"budget": {"floor": number}}


@dataclass(frozen=True)
class Variant:
    """One way of calling.

    Attributes:
        parts: The settings, laid over each other.
        processes: Over which the calls are spread.
        heed: Whether servers drop what has expired, as the deadline header tells them.
        outage: What the servers do meanwhile.
    """

    parts: tuple[Mapping[str, Any], ...]
    processes: int = 5
    heed: bool = False
    outage: Health = Health.STALLED


VARIANTS = {
    "no retries": Variant((BARE, TIMES)),
    "naive retries": Variant((BARE, TIMES, IMMEDIATE)),
    "jitter": Variant((BARE, TIMES, THREE)),
    "jitter, budget": Variant((BARE, TIMES, THREE, BUDGET)),
    "jitter, breaker": Variant((BARE, TIMES, THREE, BREAKER)),
    "jitter, budget, breaker": Variant((BARE, TIMES, THREE, BUDGET, BREAKER)),
    "service stack": Variant((TIMES,)),
    "service stack, servers heed deadlines": Variant((TIMES,), heed=True),
    # The same calls, from more and smaller processes.
    "jitter, budget: 50 processes": Variant((BARE, TIMES, THREE, BUDGET), 50),
    "jitter, budget, floor 1: 50 processes": Variant((BARE, TIMES, THREE, floor(1.0)), 50),
    "service stack: 50 processes": Variant((TIMES,), 50),
    "jitter, budget: 2,000 processes": Variant((BARE, TIMES, THREE, BUDGET), 2000),
    "jitter, budget, floor 0: 2,000 processes": Variant((BARE, TIMES, THREE, floor(0.0)), 2000),
    "service stack: 2,000 processes": Variant((TIMES,), 2000),
    "service stack, heeding: 2,000 processes": Variant((TIMES,), 2000, heed=True),
    # An outage that tells at once, and leaves no queue behind.
    "naive retries, refused": Variant((BARE, TIMES, IMMEDIATE), outage=Health.REFUSING),
    "jitter, budget, refused": Variant((BARE, TIMES, THREE, BUDGET), outage=Health.REFUSING),
    "service stack, refused": Variant((TIMES,), outage=Health.REFUSING),
}


@dataclass(frozen=True)
class Setting:
    """Sizes, in seconds and calls a second. 20 servers with 2 workers of 80 ms each bear 500 calls a second.

    Attributes:
        again: Variants whose recovery is a matter of luck too, and that are played with so many seeds.
    """

    servers: int = 20
    rate: float = 300.0
    stall_at: int = 20
    stall: int = 10
    seconds: int = 100
    only: tuple[str, ...] = field(default_factory=lambda: tuple(VARIANTS))
    again: tuple[str, ...] = (
        "no retries",
        "jitter, budget",
        "jitter, breaker",
        "jitter, budget, breaker",
        "service stack",
        "service stack, servers heed deadlines",
    )
    seeds: int = 4


def storm(seed: int, variant: Variant, setting: Setting) -> dict[str, Any]:
    """Play it, and tell its figures."""
    over = setting.stall_at + setting.stall
    fleet: list[Server] = []

    async def scene(world: World) -> None:
        fleet.extend(
            Server(world.loop, 2, exponential(world.random, 0.08), heeds_deadlines=variant.heed)
            for _ in range(setting.servers)
        )
        places = {"orders": Balancer(fleet)}
        world.connect(places, variant.processes, settings_of(*variant.parts))
        world.ledger.watch(setting.seconds)
        for server in fleet:
            world.at(setting.stall_at, partial(server.become, variant.outage))
            world.at(over, partial(server.become, Health.UP))
        world.offer(setting.rate, "http://orders/", setting.seconds)
        await world.pass_time(setting.seconds)

    ledger = play(scene, seed).ledger
    seconds = range(setting.seconds)
    recovered = ledger.recovered_at(over, setting.seconds)
    later = ledger.between(setting.stall_at, setting.seconds - 10)
    calls = sum(ledger.begun[second] for second in range(setting.stall_at, setting.seconds - 10))
    worked = sum(server.started for server in fleet)
    return {
        "amplification": ledger.amplification(setting.stall_at, over),
        "amplification after": ledger.amplification(over, over + 20),
        "amplification at the end": ledger.amplification(setting.seconds - 20, setting.seconds),
        "recovered after": None if recovered is None else recovered - over,
        "good": sum(call.good for call in later) / calls,
        "wasted": sum(server.wasted for server in fleet) / worked,
        "most held": max(ledger.held),
        "attempts by second": [ledger.attempts[second] for second in seconds],
        "good by second": ledger.good_by_second(setting.seconds),
    }


def run(seed: int, setting: Setting | None = None) -> dict[str, Any]:
    """All variants; `recovered after` is a list, for each seed, where there are several."""
    setting = setting or Setting()
    found = {name: storm(seed, VARIANTS[name], setting) for name in setting.only}
    for name in set(setting.again) & set(setting.only):
        more = range(seed + 1, seed + setting.seeds)
        others = [storm(each, VARIANTS[name], setting)["recovered after"] for each in more]
        found[name]["recovered after"] = [found[name]["recovered after"], *others]
    return found
