"""A simulated world: processes with a stack each, calls that come whether or not the last ones have ended, and time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

from scallion import (
    URL,
    Headers,
    Pipeline,
    Request,
    RequestError,
    Response,
    ServiceSettings,
    Timeout,
    service_stack,
)

from .clockwork import BEGINNING, VirtualLoop, VirtualTime, run
from .ledger import Ledger
from .network import Network
from .servers import Balancer, Health, Server

__all__ = ["BARE", "Edit", "Process", "World", "outcome_of", "play", "settings_of"]

Edit: TypeAlias = Callable[[Pipeline], Pipeline]

BARE: Mapping[str, Any] = {
    "tracing": False,
    "metrics": False,
    "logging": False,
    "request_id": False,
    "bulkhead": False,
    "retries": False,
    "budget": False,
    "breaker": False,
    "deadline_propagation": False,
    "timeouts": {"connect": None, "read": None, "attempt": None, "total": None},
}
"""The service stack with everything off that can be: what scenarios switch layers on in."""


def settings_of(*parts: Mapping[str, Any]) -> ServiceSettings:
    """The service preset with `parts` laid over it, the last one uppermost."""
    settings = ServiceSettings()
    for part in parts:
        settings = settings.updated(part)
    return settings


class Process:
    """One program that calls: an onion of its own, and so budgets, breakers and views of its own.

    Args:
        loop: Its time.
        network: Where its attempts go.
        settings: Of its stack.
        edit: What is changed of it, where settings do not reach.
    """

    def __init__(
        self, loop: VirtualLoop, network: Network, settings: ServiceSettings, edit: Edit | None
    ) -> None:
        pipeline = service_stack(settings)
        self.pipeline = pipeline if edit is None else edit(pipeline)
        runtime = VirtualTime(loop)
        self._send = self.pipeline.compose(network.transport(runtime), runtime)
        own = settings.timeouts
        # As a client puts its `timeout` on a request.
        self._timeout = Timeout(
            connect=own.connect, read=own.read, write=own.write, pool=own.pool
        ).as_dict()

    async def get(self, url: URL) -> Response:
        extensions = {"timeout": self._timeout}
        return await self._send(Request.bodiless("GET", url, Headers(), extensions))


class World:
    """Servers, processes that call them, and a ledger of what happens.

    Args:
        loop: Its time.
        seed: Of all that is drawn. Arrivals and service times are drawn apart from what layers draw, so that two stacks
            meet the same calls.

    Attributes:
        random: For what servers draw.
    """

    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        # What layers draw by default.
        random.seed(seed)
        self.loop = loop
        self.ledger = Ledger(loop)
        self.random = random.Random(f"{seed} servers")
        self.processes: list[Process] = []
        self._arrivals = random.Random(f"{seed} arrivals")
        self._tasks: set[asyncio.Task[None]] = set()
        self._until = 0.0

    def connect(
        self,
        places: Mapping[str, Server | Balancer],
        processes: int,
        settings: ServiceSettings,
        edit: Edit | None = None,
    ) -> None:
        """Make so many processes, each with a stack of its own."""
        network = Network(self.loop, places, self.ledger)
        self.processes = [Process(self.loop, network, settings, edit) for _ in range(processes)]

    def at(self, second: float, what: Callable[[], object]) -> None:
        """Have something done so many seconds after the beginning."""
        self.loop.call_at(BEGINNING + second, what)

    def offer(self, rate: float, url: str, seconds: float) -> None:
        """From now on so many calls a second, at random moments (Poisson), from processes at random.

        They come whether or not earlier ones were answered, as users do who know nothing of each other.
        """
        self._until = max(self._until, self.loop.now + seconds)
        self._arrive(rate, URL(url), self.loop.now + seconds, first=True)

    def _arrive(self, rate: float, url: URL, until: float, *, first: bool = False) -> None:
        if not first:
            arrivals = self._arrivals
            process = self.processes[int(arrivals.random() * len(self.processes))]
            self.start(self._call(process, url))
        following = self.loop.now + self._arrivals.expovariate(rate)
        if following < until:
            self.loop.call_at(following, self._arrive, rate, url, until)

    def start(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, process: Process, url: URL) -> None:
        began = self.ledger.begin()
        self.ledger.end(began, await outcome_of(process, url))

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def outcome_of(process: Process, url: URL) -> str:
    """What came of a call: a status, or the name of an error."""
    try:
        response = await process.get(url)
    except RequestError as error:
        return type(error).__name__
    return str(response.status_code)


def play(scene: Callable[[World], Any], seed: int) -> World:
    """Make a world, let `scene` (a coroutine function) happen in it, and return it as it is then."""
    _rehearse()
    return _play(scene, seed)


def _play(scene: Callable[[World], Any], seed: int) -> World:
    async def program(loop: VirtualLoop) -> World:
        world = World(loop, seed)
        await scene(world)
        return world

    before = random.getstate()
    try:
        return run(program)
    finally:
        # It is the whole program's.
        random.setstate(before)


@cache
def _rehearse() -> None:
    """Let everything be imported that a call imports when it first needs it: some packages draw random numbers then."""

    async def scene(world: World) -> None:
        server = Server(world.loop, 1, lambda: 0.0)
        world.connect({"rehearsal": server}, 1, settings_of({"hedging": True}))
        for health in (Health.UP, Health.REFUSING):
            server.become(health)
            await outcome_of(world.processes[0], URL("http://rehearsal/"))

    _play(scene, 0)
