"""What layers cost that have nothing to do."""

from __future__ import annotations

import asyncio
import time
from itertools import repeat
from statistics import median
from typing import Any

from cases import Case
from clients import Adapter
from endpoint import Endpoint
from measures.sample import Budget, Sample

__all__ = ["layer"]

EXTRA = 10
REQUESTS = 300


async def idle(request: Any, call_next: Any) -> Any:
    return await call_next(request)


def layer(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:  # noqa: ARG001
    """One more layer over a transport that answers by itself; and each of the stack for services, alone."""
    import scallion
    from scallion.pipeline.pipeline import Slot

    bare = scallion.Pipeline()
    stacks = {"": bare.per_call(*[idle] * EXTRA)}
    for each in scallion.service_stack():
        if not isinstance(each, Slot):
            stacks[type(each).__name__] = bare.per_call(each)
    timed = Timed(case.colour == "sync", [bare, *stacks.values()])
    without, ten, *single = timed.costs(budget.seconds)
    extra = {
        name: (cost - without) * 1e6 for name, cost in zip(list(stacks)[1:], single, strict=True)
    }
    cost = max(0.0, (ten - without) / EXTRA)
    return Sample(1, cost, cost, extra=extra)


class Timed:
    """Clients with different pipelines, timed in turn."""

    def __init__(self, sync: bool, pipelines: list[Any]) -> None:
        self.sync = sync
        self.pipelines = pipelines

    def costs(self, seconds: float) -> list[float]:
        """CPU seconds of a request with each of the pipelines, medians."""
        if self.sync:
            return self._sync(seconds)
        return asyncio.run(self._asyncio(seconds))

    def _sync(self, seconds: float) -> list[float]:
        import scallion

        transport = scallion.MockTransport(lambda request: scallion.Response(200))  # noqa: ARG005
        clients = [
            scallion.Client(transport=transport, pipeline=pipeline) for pipeline in self.pipelines
        ]
        rounds: list[list[float]] = [[] for _ in clients]
        until = time.perf_counter() + seconds * 3
        while time.perf_counter() < until or len(rounds[0]) < 5:
            for client, costs in zip(clients, rounds, strict=True):
                began = time.thread_time()
                for _ in repeat(None, REQUESTS):
                    client.get("http://example.org/")
                costs.append((time.thread_time() - began) / REQUESTS)
        return [median(costs) for costs in rounds]

    async def _asyncio(self, seconds: float) -> list[float]:
        import scallion

        async def answer(request: Any) -> Any:  # noqa: ARG001
            # A request that waits makes all layers suspend and resume.
            await asyncio.sleep(0)
            return scallion.Response(200)

        transport = scallion.MockTransport(answer)
        clients = [
            scallion.AsyncClient(transport=transport, pipeline=pipeline)
            for pipeline in self.pipelines
        ]
        rounds: list[list[float]] = [[] for _ in clients]
        until = time.perf_counter() + seconds * 3
        while time.perf_counter() < until or len(rounds[0]) < 5:
            for client, costs in zip(clients, rounds, strict=True):
                began = time.thread_time()
                for _ in repeat(None, REQUESTS):
                    await client.get("http://example.org/")
                costs.append((time.thread_time() - began) / REQUESTS)
        return [median(costs) for costs in rounds]
