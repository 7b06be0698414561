"""Simulated servers: so many workers, a queue before them, times that are drawn, and the ways in which servers fail."""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from math import inf
from random import Random
from typing import TypeAlias

from .clockwork import VirtualLoop

__all__ = ["Balancer", "Health", "Job", "Server", "exponential", "lognormal", "with_tail"]

Times: TypeAlias = Callable[[], float]
"""Draws how long a piece of work takes, in seconds."""


def exponential(random: Random, mean: float) -> Times:
    return lambda: random.expovariate(1.0 / mean)


def lognormal(random: Random, median: float, sigma: float) -> Times:
    """Most near the median, few much longer. The 99th percentile is `median * exp(2.33 * sigma)`."""
    from math import log

    mu = log(median)
    return lambda: random.lognormvariate(mu, sigma)


def with_tail(random: Random, usual: Times, share: float, tail: Times) -> Times:
    """`usual`, but `tail` for a share of all."""
    return lambda: tail() if random.random() < share else usual()


class Health(Enum):
    """What a server does with who comes."""

    UP = "works"
    STALLED = "takes requests, and works on none until it is up again"
    REFUSING = "refuses connections"
    SILENT = "takes requests, and never answers: they are lost"
    UNREACHABLE = "connections to it are never made"


class Job:
    """One request at a server.

    Attributes:
        answer: The status, once there is one. Who waits may have left, and cancelled it.
        expires: When its sender will not wait any longer, as its header said; `inf` if it said nothing.
    """

    __slots__ = ("answer", "expires")

    def __init__(self, answer: Future[int], expires: float = inf) -> None:
        self.answer = answer
        self.expires = expires

    def reply(self, status: int) -> None:
        if not self.answer.done():
            self.answer.set_result(status)


class Server:
    """`workers` that serve one queue, first come, first served.

    It works on for callers that have left, as most servers do: they notice only when they write the answer.

    Args:
        loop: Its time.
        workers: Requests that are worked on at once.
        times: How long one takes.
        room: Requests that may wait; those beyond are answered 503 at once.
        heeds_deadlines: Whether it reads the deadline header, and drops what has expired when its turn comes.

    Attributes:
        health: What it does with who comes; see `become`.
        slowness: By what its times are multiplied.
        started: Requests that were worked on.
        wasted: Those of which the caller had left when they were done.
        dropped: Those that had expired when their turn came.
        refused: Those for which there was no room.
        busy: Workers at work.
        area: Requests there (waiting or worked on), summed over time: their mean number times the seconds.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        workers: int,
        times: Times,
        *,
        room: float = inf,
        heeds_deadlines: bool = False,
    ) -> None:
        self.health = Health.UP
        self.slowness = 1.0
        self.started = self.wasted = self.dropped = self.refused = self.busy = 0
        self.area = 0.0
        self._loop = loop
        self._workers = workers
        self._times = times
        self._room = room
        self._heeds = heeds_deadlines
        self._queue: deque[Job] = deque()
        self._changed = loop.time()

    def __len__(self) -> int:
        return len(self._queue) + self.busy

    def become(self, health: Health) -> None:
        self.health = health
        if health is Health.UP:
            while self._queue and self.busy < self._workers:
                self._next()

    def submit(self, job: Job) -> None:
        """A request has arrived."""
        self._count()
        # Cases: it is lost; it is begun at once; it waits; there is no room.
        if self.health is Health.SILENT:
            return
        if self.busy < self._workers and self.health is Health.UP:
            self._begin(job)
        elif len(self._queue) < self._room:
            self._queue.append(job)
        else:
            self.refused += 1
            job.reply(503)

    def _begin(self, job: Job) -> None:
        self.busy += 1
        self.started += 1
        self._loop.call_later(self._times() * self.slowness, self._end, job)

    def _end(self, job: Job) -> None:
        self._count()
        self.busy -= 1
        self.wasted += job.answer.done()
        job.reply(200)
        if self._queue and self.health is not Health.STALLED:
            self._next()

    def _next(self) -> None:
        """Begin what has waited longest."""
        now = self._loop.now
        self._count()
        while self._queue:
            job = self._queue.popleft()
            if not self._heeds or now < job.expires:
                self._begin(job)
                return
            self.dropped += 1
            job.reply(504)

    def _count(self) -> None:
        now = self._loop.now
        self.area += len(self) * (now - self._changed)
        self._changed = now


class Balancer:
    """Several servers behind one address, each in its turn, as an L4 balancer has it that knows nothing of them."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.servers = servers
        self._turn = 0

    def next(self) -> Server:
        self._turn += 1
        return self.servers[self._turn % len(self.servers)]
