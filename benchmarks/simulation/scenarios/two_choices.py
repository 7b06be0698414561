"""Power of two choices: queues at many servers, by how each request chooses one, beside what theory says.

Requests arrive at random, work takes a random time (exponential), each server does one at a time: Mitzenmacher's
supermarket model. Seen by one process that sends everything, and by many that each see their own requests alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scallion import Endpoints, Pipeline
from scallion.middlewares.endpoints import Choice, Draw, LeastPending, PowerOfTwo
from scallion.middlewares.endpoints.members import Member
from simulation.servers import Server, exponential
from simulation.world import BARE, World, play, settings_of

__all__ = ["CHOICES", "AtRandom", "Setting", "run", "theory_queues", "theory_time", "two_choices"]

MEAN = 0.1
"""Seconds that a piece of work takes."""


class AtRandom(Choice):
    """Any of them."""

    def pick(self, draw: Draw) -> Member:
        return draw.among[int(draw.random() * len(draw.among))]


# With so short a memory for latencies, nothing but the number of pending requests is left of the measure.
CHOICES: dict[str, Choice] = {
    "random": AtRandom(),
    "least of two": PowerOfTwo(decay=1e-9),
    "power of two, peak EWMA": PowerOfTwo(),
    "least pending": LeastPending(),
}


@dataclass(frozen=True)
class Setting:
    """Sizes.

    Attributes:
        loads: Shares of what the servers can do.
        at: The load at which calls are spread over more processes.
        many: Over how many.
    """

    servers: int = 50
    requests: int = 50_000
    loads: tuple[float, ...] = (0.5, 0.7, 0.8, 0.9)
    at: float = 0.9
    many: tuple[int, ...] = (5, 50, 500)
    choices: tuple[str, ...] = tuple(CHOICES)


def theory_time(load: float, choices: int) -> float:
    """Mean time at a server, in service times: `1 / (1 - load)` for one choice, for d the sum of load^((d^i - d)/(d - 1))."""
    if choices == 1:
        return 1.0 / (1.0 - load)
    total, i = 0.0, 1
    while True:
        term: float = load ** ((choices**i - choices) / (choices - 1))
        total += term
        if term < 1e-12:
            return total
        i += 1


def theory_queues(load: float, choices: int, most: int) -> list[float]:
    """The shares of servers that have at least 1, 2, ... requests: load^i, or load^((d^i - 1)/(d - 1))."""
    if choices == 1:
        return [load**i for i in range(1, most + 1)]
    return [load ** ((choices**i - 1) / (choices - 1)) for i in range(1, most + 1)]


def two_choices(
    seed: int, choice: Choice, load: float, setting: Setting, processes: int = 1
) -> dict[str, Any]:
    """Play it: the mean time at a server in service times, and the shares of servers with at least so many requests."""
    rate = load * setting.servers / MEAN
    seconds = setting.requests / rate
    warm = seconds / 4
    names = [f"server-{number}" for number in range(setting.servers)]
    seen = [0] * 8
    looks = 0

    def edit(pipeline: Pipeline) -> Pipeline:
        endpoints = Endpoints(
            {"servers": [f"http://{name}" for name in names]}, choice, ejection=None
        )
        return pipeline.per_attempt(endpoints)

    async def scene(world: World) -> None:
        nonlocal looks
        places = {name: Server(world.loop, 1, exponential(world.random, MEAN)) for name in names}
        world.connect(places, processes, settings_of(BARE), edit)
        world.offer(rate, "http://servers/", seconds)
        await world.pass_time(warm)
        while world.ledger.now < seconds:
            looks += 1
            for server in places.values():
                for many in range(min(len(server), len(seen))):
                    seen[many] += 1
            await world.pass_time(MEAN)

    ledger = play(scene, seed).ledger
    took = [call.took for call in ledger.between(warm, seconds * 0.95)]
    return {
        "mean": sum(took) / len(took) / MEAN,
        "at least": [many / looks / setting.servers for many in seen],
    }


def run(seed: int, setting: Setting | None = None) -> dict[str, Any]:
    setting = setting or Setting()
    by_load = {
        f"{load:g}": {
            "theory, one": theory_time(load, 1),
            "theory, two": theory_time(load, 2),
            **{name: two_choices(seed, CHOICES[name], load, setting) for name in setting.choices},
        }
        for load in setting.loads
    }
    by_processes = {
        str(many): {
            name: two_choices(seed, CHOICES[name], setting.at, setting, many)
            for name in setting.choices
            if name != "random"
        }
        for many in setting.many
    }
    return {
        "at": setting.at,
        "loads": by_load,
        "processes": by_processes,
        "theory, queues": {str(d): theory_queues(setting.at, d, 8) for d in (1, 2)},
    }
