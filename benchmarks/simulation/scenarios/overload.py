"""Overload: more calls than the servers can answer, and how many answers still come in time.

Servers take their requests in the order of arrival, and work on each, whether or not anybody waits for it. Beyond what
they can do the queue grows until all that comes out of it is too late: they work at their full rate, for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, NamedTuple

from scallion import AdaptiveConcurrency, Pipeline
from simulation.ledger import Ledger, percentile
from simulation.servers import Balancer, Server, exponential
from simulation.world import BARE, Edit, World, play, settings_of

__all__ = ["VARIANTS", "WATCHED", "Setting", "Variant", "figures", "overload", "run", "saturated"]

DEADLINE = 2.0
PATIENT = {"timeouts": {"total": DEADLINE}}
CAPACITY = 200.0
"""Answers a second, of ten servers with two workers of 100 ms each."""


class Variant(NamedTuple):
    """One way of calling, and of serving.

    Attributes:
        parts: The settings, laid over each other.
        heed: Whether servers drop what has expired, as the deadline header tells them.
        room: How many requests may wait at a server.
        processes: If not as many as the setting says.
    """

    parts: tuple[Mapping[str, Any], ...]
    heed: bool = False
    room: float = inf
    processes: int | None = None


# Where no deadline comes first, there is no sign of overload but the answers' times; refused at once, calls do not wait either.
UNLIMITED = {"timeouts": {"total": 60.0}}
AT_ONCE = {"queue": 0}


def adaptive(algorithm: str, **more: Any) -> Mapping[str, Any]:
    waits = {} if more.get("queue") == 0 else {"patience": 1.0}
    return {"concurrency": {"algorithm": algorithm, **waits, **more}}


VARIANTS = {
    "no limits": Variant((BARE, PATIENT)),
    "bulkhead of 100": Variant((BARE, PATIENT, {"bulkhead": True})),
    "bulkhead of 5": Variant(
        (BARE, PATIENT, {"bulkhead": {"limit": 5, "queue": 10, "patience": 1.0}})
    ),
    "AIMD": Variant((BARE, PATIENT, adaptive("aimd", too_slow=0.5))),
    "gradient": Variant((BARE, PATIENT, adaptive("gradient"))),
    "deadlines heeded": Variant((BARE, PATIENT, {"deadline_propagation": True}), heed=True),
    "gradient, deadlines heeded": Variant(
        (BARE, PATIENT, adaptive("gradient"), {"deadline_propagation": True}), heed=True
    ),
    "servers with short queues": Variant((BARE, PATIENT), room=5),
}
WATCHED = {
    "AIMD": Variant((BARE, UNLIMITED, adaptive("aimd", too_slow=0.5, **AT_ONCE))),
    "gradient": Variant((BARE, UNLIMITED, adaptive("gradient", **AT_ONCE))),
    "gradient, deadlines of 2 s": Variant((BARE, PATIENT, adaptive("gradient", **AT_ONCE))),
    "gradient, one process": Variant(
        (BARE, UNLIMITED, adaptive("gradient", **AT_ONCE)), processes=1
    ),
}
"""Limits that are watched for minutes."""


@dataclass(frozen=True)
class Setting:
    """Sizes.

    Attributes:
        loads: Calls a second, in shares of what the servers can do.
        minutes: How long the limits are watched at twice of it, after one at half of it.
    """

    processes: int = 10
    loads: tuple[float, ...] = (0.5, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0)
    seconds: int = 50
    warm: int = 20
    minutes: int = 10
    only: tuple[str, ...] = field(default_factory=lambda: tuple(VARIANTS))
    watched: tuple[str, ...] = field(default_factory=lambda: tuple(WATCHED))


def overload(
    seed: int,
    variant: Variant,
    phases: Sequence[tuple[float, int]],
    setting: Setting,
) -> tuple[Ledger, list[float]]:
    """Play it: what happened, and the mean limit of all processes by second, where they have limits.

    Args:
        phases: Loads, and how many seconds each lasts.
    """
    limits: list[float] = []

    async def scene(world: World) -> None:
        times = exponential(world.random, 0.1)
        servers = [
            Server(world.loop, 2, times, room=variant.room, heeds_deadlines=variant.heed)
            for _ in range(10)
        ]
        places = {"orders": Balancer(servers)}
        processes = variant.processes or setting.processes
        clocked = by_the_clock(world.loop.time)
        world.connect(places, processes, settings_of(*variant.parts), clocked)
        found = [process.pipeline.find(AdaptiveConcurrency) for process in world.processes]
        layers = [layer for layer in found if layer is not None]
        for load, seconds in phases:
            world.offer(load * CAPACITY, "http://orders/", seconds)
            for _ in range(seconds):
                await world.pass_time(1.0)
                now = [layer.stats("http://orders/").limit for layer in layers]
                limits.append(sum(now) / max(1, len(now)))
        # Calls that have begun end.
        await world.pass_time(DEADLINE)

    return play(scene, seed).ledger, limits if any(limits) else []


def by_the_clock(clock: Callable[[], float]) -> Edit:
    """Let adaptive concurrency measure by this wall clock, which all processes have in common."""

    def edit(pipeline: Pipeline) -> Pipeline:
        layer = pipeline.find(AdaptiveConcurrency)
        if layer is None:
            return pipeline
        return pipeline.replace(AdaptiveConcurrency, replace(layer, wall_clock=clock))

    return edit


def figures(ledger: Ledger, since: int, until: int) -> dict[str, Any]:
    """Goodput is in shares of what the servers can do."""
    calls = ledger.between(since, until)
    good = [call.took for call in calls if call.good and call.took <= DEADLINE]
    return {
        "goodput": len(good) / (until - since) / CAPACITY,
        "p50": percentile(good, 0.5),
        "p99": percentile(good, 0.99),
    }


def saturated(seed: int, variant: Variant, setting: Setting) -> dict[str, Any]:
    """A minute at half of what the servers can do, then some at twice of it."""
    phases = [(0.5, 60), (2.0, setting.minutes * 60)]
    ledger, limits = overload(seed, variant, phases, setting)
    by_minute = [figures(ledger, at, at + 60) for at in range(0, len(limits), 60)]
    return {"limit by second": [round(limit, 2) for limit in limits], "by minute": by_minute}


def run(seed: int, setting: Setting | None = None) -> dict[str, Any]:
    setting = setting or Setting()
    by_load: dict[str, Any] = {}
    for name in setting.only:
        by_load[name] = {}
        for load in setting.loads:
            phases = [(load, setting.seconds)]
            ledger, _ = overload(seed, VARIANTS[name], phases, setting)
            by_load[name][f"{load:g}"] = figures(ledger, setting.warm, setting.seconds)
    return {
        "loads": by_load,
        "saturated": {name: saturated(seed, WATCHED[name], setting) for name in setting.watched},
    }
