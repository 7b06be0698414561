"""One slow replica among ten: how much of it callers notice, by how they choose, eject and hedge.

The slow one answers everything, ten times as slowly as the others. It has enough workers to bear its tenth of the load, so
that it is slow and not overloaded: the worst case for whatever looks for failures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulation.ledger import percentile
from simulation.servers import Server, lognormal
from simulation.world import BARE, World, play, settings_of

__all__ = ["VARIANTS", "Setting", "run", "slow_replica"]

HEDGING = {"hedging": {"least": 0.0}}
IMPATIENT = {"timeouts": {"attempt": 0.15}, "retries": {"attempts": 3}, "budget": True}
EJECTION = {"endpoints": {"eject": True}}


def choosing(choice: str) -> Mapping[str, Any]:
    return {"endpoints": {"choice": choice}}


# With the default floor of 50 ms a hedge would come long after the 95th percentile, which is here some 40 ms.
VARIANTS: dict[str, tuple[Mapping[str, Any], ...]] = {
    "round robin": (choosing("round_robin"),),
    "least pending": (choosing("least_pending"),),
    "power of two": (choosing("power_of_two"),),
    "round robin, ejection": (choosing("round_robin"), EJECTION),
    "round robin, attempt timeout": (choosing("round_robin"), IMPATIENT),
    "round robin, attempt timeout, ejection": (choosing("round_robin"), IMPATIENT, EJECTION),
    "round robin, hedging": (choosing("round_robin"), HEDGING),
    "round robin, hedging 15 %": (
        choosing("round_robin"),
        {"hedging": {"least": 0.0, "most_load": 0.15, "percentile": 0.85}},
    ),
    "power of two, hedging": (choosing("power_of_two"), HEDGING),
    "power of two, hedging, ejection": (choosing("power_of_two"), HEDGING, IMPATIENT, EJECTION),
}


@dataclass(frozen=True)
class Setting:
    """Sizes. Ten servers with 16 workers; a median of 15 ms and a 99th percentile of 60 ms; each gets 60 calls a second.

    Attributes:
        sound: Variants that are played without the slow one too, for comparison.
    """

    processes: int = 20
    rate: float = 600.0
    seconds: int = 60
    warm: int = 10
    slowness: float = 10.0
    only: tuple[str, ...] = field(default_factory=lambda: tuple(VARIANTS))
    sound: tuple[str, ...] = ("round robin", "power of two")


def slow_replica(
    seed: int, parts: tuple[Mapping[str, Any], ...], setting: Setting, *, slow: bool = True
) -> dict[str, Any]:
    """Play it, and tell its figures; times are in seconds."""
    names = [f"replica-{number}" for number in range(10)]
    places: dict[str, Server] = {}

    async def scene(world: World) -> None:
        random = world.random
        places.update(
            {name: Server(world.loop, 16, lognormal(random, 0.015, 0.6)) for name in names}
        )
        places[names[0]].slowness = setting.slowness if slow else 1.0
        endpoints = {
            "base_url": "http://orders",
            "endpoints": {"addresses": [f"http://{name}" for name in names], "eject": False},
        }
        settings = settings_of(BARE, endpoints, *parts)
        world.connect(places, setting.processes, settings)
        world.offer(setting.rate, "http://orders/", setting.seconds)
        await world.pass_time(setting.seconds + 5)

    ledger = play(scene, seed).ledger
    calls = ledger.between(setting.warm, setting.seconds)
    took = [call.took for call in calls]
    work = sum(server.started for server in places.values())
    return {
        "p50": percentile(took, 0.5),
        "p99": percentile(took, 0.99),
        "p99.9": percentile(took, 0.999),
        "load": ledger.amplification(setting.warm, setting.seconds),
        "share of the slow one": places[names[0]].started / work,
        "failed": sum(not call.good for call in calls) / len(calls),
    }


def run(seed: int, setting: Setting | None = None) -> dict[str, Any]:
    setting = setting or Setting()
    found = {name: slow_replica(seed, VARIANTS[name], setting) for name in setting.only}
    for name in setting.sound:
        found[f"{name}, none slow"] = slow_replica(seed, VARIANTS[name], setting, slow=False)
    return found
