"""A dead dependency: requests go there, and nothing ever comes back; what that costs those who call it.

Tasks that wait are memory, connections, and places of whoever waits for them in turn. Little's law says how many there are:
calls a second times the seconds that each takes (L = lambda W), and so how long one waits decides all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from simulation.ledger import percentile
from simulation.servers import Balancer, Health, Server, exponential
from simulation.world import BARE, World, play, settings_of

__all__ = ["VARIANTS", "Setting", "dead_dependency", "run"]

SHORT = {"timeouts": {"attempt": 1.0}}
TOTAL = {"timeouts": {"total": 2.0}}
RETRIES = {"retries": {"attempts": 3}, "budget": True}
# A place for each call that is under way on an ordinary day, and as many more.
BULKHEAD = {"bulkhead": {"limit": 10, "queue": 10, "patience": 0.5}}

VARIANTS: dict[str, tuple[tuple[Mapping[str, Any], ...], Health]] = {
    "nothing": ((BARE,), Health.SILENT),
    "read timeout of 5 s": ((BARE, {"timeouts": {"read": 5.0}}), Health.SILENT),
    "attempt timeout of 1 s": ((BARE, SHORT), Health.SILENT),
    "attempt timeout, retries": ((BARE, SHORT, RETRIES), Health.SILENT),
    "the same, total of 2 s": ((BARE, SHORT, RETRIES, TOTAL), Health.SILENT),
    "read timeout of 5 s, bulkhead of 10": (
        (BARE, {"timeouts": {"read": 5.0}}, BULKHEAD),
        Health.SILENT,
    ),
    "attempt timeout, breaker": ((BARE, SHORT, {"breaker": True}), Health.SILENT),
    "service stack as it is": ((), Health.SILENT),
    "service stack, attempt 1 s, total 2 s": ((SHORT, TOTAL), Health.SILENT),
    "service stack as it is, connects to nobody": ((), Health.UNREACHABLE),
}


@dataclass(frozen=True)
class Setting:
    """Sizes. It is dead from `dies` to `revives`, and the figures are of the last half of that."""

    processes: int = 20
    rate: float = 400.0
    dies: int = 20
    revives: int = 80
    seconds: int = 140
    only: tuple[str, ...] = field(default_factory=lambda: tuple(VARIANTS))


def dead_dependency(
    seed: int, parts: tuple[Mapping[str, Any], ...], death: Health, setting: Setting
) -> dict[str, Any]:
    """Play it, and tell its figures; times are in seconds."""
    since, until = (setting.dies + setting.revives) // 2, setting.revives

    async def scene(world: World) -> None:
        servers = [Server(world.loop, 8, exponential(world.random, 0.02)) for _ in range(5)]
        world.connect({"stock": Balancer(servers)}, setting.processes, settings_of(*parts))
        world.ledger.watch(setting.seconds)
        for server in servers:
            world.at(setting.dies, partial(server.become, death))
            world.at(setting.revives, partial(server.become, Health.UP))
        world.offer(setting.rate, "http://stock/", setting.seconds)
        await world.pass_time(setting.seconds)

    ledger = play(scene, seed).ledger
    calls = ledger.between(since, until)
    took = [call.took for call in calls]
    begun = sum(ledger.begun[second] for second in range(since, until))
    held = sum(ledger.held[since:until]) / (until - since)
    mean = sum(took) / len(took) if took else None
    recovered = ledger.recovered_at(setting.revives, setting.seconds)
    return {
        "held": held,
        "most held": max(ledger.held),
        "mean": mean,
        "p50": percentile(took, 0.5) if took else None,
        "p99": percentile(took, 0.99) if took else None,
        "little": None if mean is None else begun / (until - since) * mean,
        "amplification": ledger.amplification(since, until),
        "recovered after": None if recovered is None else recovered - setting.revives,
        "held by second": ledger.held,
    }


def run(seed: int, setting: Setting | None = None) -> dict[str, Any]:
    setting = setting or Setting()
    return {name: dead_dependency(seed, *VARIANTS[name], setting) for name in setting.only}
