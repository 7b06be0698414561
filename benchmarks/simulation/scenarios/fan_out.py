"""Fan-out: one page asks a hundred servers, and is as slow as the slowest of them; what hedging does to that.

Answers take 5 ms, but a small share takes a second or more, at random: collections of garbage, compactions, queues on
the way. Workers are plenty, so that nobody waits for anybody else's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scallion import URL
from simulation.ledger import percentile
from simulation.servers import Balancer, Server, exponential, lognormal, with_tail
from simulation.world import BARE, Process, World, outcome_of, play, settings_of

__all__ = ["VARIANTS", "Setting", "fan_out", "run"]


def hedging(hedges: int) -> Mapping[str, Any]:
    return {"hedging": {"delay": 0.01, "hedges": hedges, "most_load": 0.05}}


# The share of the answers that take a second, and the settings.
VARIANTS: dict[str, tuple[float, Mapping[str, Any]]] = {
    "1 % slow, no hedging": (0.01, {}),
    "1 % slow, a hedge after 10 ms": (0.01, hedging(1)),
    "1 % slow, two hedges": (0.01, hedging(2)),
    "0.1 % slow, no hedging": (0.001, {}),
    "0.1 % slow, a hedge after 10 ms": (0.001, hedging(1)),
}


@dataclass(frozen=True)
class Setting:
    """Sizes. Each shard has three replicas behind one address."""

    shards: int = 100
    pages: int = 1500
    rate: float = 20.0
    processes: int = 5
    only: tuple[str, ...] = field(default_factory=lambda: tuple(VARIANTS))


def fan_out(seed: int, share: float, part: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
    """Play it, and tell its figures; times are in seconds."""
    single: list[float] = []
    pages: list[float] = []
    attempts: list[int] = []

    async def ask(world: World, process: Process, url: URL) -> None:
        began = world.loop.now
        outcome = await outcome_of(process, url)
        assert outcome == "200", outcome
        single.append(world.loop.now - began)

    async def page(world: World, process: Process, urls: list[URL]) -> None:
        began = world.loop.now
        async with asyncio.TaskGroup() as group:
            for url in urls:
                group.create_task(ask(world, process, url))
        pages.append(world.loop.now - began)

    async def scene(world: World) -> None:
        random = world.random
        slow = exponential(random, 0.2)
        times = with_tail(random, lognormal(random, 0.005, 0.3), share, lambda: 1.0 + slow())
        names = [f"shard-{number}" for number in range(setting.shards)]
        places = {
            name: Balancer([Server(world.loop, 64, times) for _ in range(3)]) for name in names
        }
        world.connect(places, setting.processes, settings_of(BARE, part))
        urls = [URL(f"http://{name}/") for name in names]
        async with asyncio.TaskGroup() as group:
            for number in range(setting.pages):
                process = world.processes[number % len(world.processes)]
                group.create_task(page(world, process, urls))
                await world.pass_time(random.expovariate(setting.rate))
        attempts.append(sum(world.ledger.attempts.values()))

    play(scene, seed)
    return {
        "one p50": percentile(single, 0.5),
        "one p99": percentile(single, 0.99),
        "one p99.9": percentile(single, 0.999),
        "page p50": percentile(pages, 0.5),
        "page p99": percentile(pages, 0.99),
        "page p99.9": percentile(pages, 0.999),
        "pages over 1 s": sum(took >= 1.0 for took in pages) / len(pages),
        "load": attempts[0] / len(single),
    }


def run(seed: int, setting: Setting | None = None) -> dict[str, Any]:
    setting = setting or Setting()
    return {name: fan_out(seed, *VARIANTS[name], setting) for name in setting.only}
