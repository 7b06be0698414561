"""What layers cost that have nothing special to do."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from itertools import repeat
from statistics import median
from typing import Any

from cases import Case
from clients import Adapter
from endpoint import Endpoint
from measures.idle_layers import LAYERS, UNDER
from measures.sample import Budget, Sample

__all__ = ["layer", "layers", "stack"]

EXTRA = 10
# Of a pipeline in a row. The first twenty or so cost more, as the processor fetches anew what the other pipelines have
# displaced: so many that these do not count, and so few that all pipelines are seen in the same weather.
REQUESTS = 1000
# Of each pipeline, before all are made anew.
ROUNDS = 3
# Of each pipeline in all.
LEAST = 10
URL = "http://example.org/"


async def idle(request: Any, call_next: Any) -> Any:
    return await call_next(request)


def layer(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:  # noqa: ARG001
    """One more layer that does nothing at all."""
    import scallion

    bare = scallion.Pipeline()
    both = {"": bare, "ten": bare.per_call(*[idle] * EXTRA)}
    (ten,) = costs(case, lambda: both, budget.seconds * 3)
    cost = max(0.0, ten / EXTRA)
    return Sample(1, cost, cost)


def layers(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:  # noqa: ARG001
    """Each layer of `LAYERS` alone. The cost is that of the dearest, the further figures are all of them, in µs."""
    import scallion

    def made() -> dict[str, Any]:
        bare = scallion.Pipeline()
        single = {name: make() for name, make in LAYERS.items()}
        outer = {name: [single[UNDER[name]]] if name in UNDER else [] for name in single}
        return {"": bare} | {
            name: bare.per_call(*outer[name], each) for name, each in single.items()
        }

    found = dict(zip(LAYERS, costs(case, made, budget.seconds * 20, UNDER), strict=True))
    cost = max(found.values())
    return Sample(1, cost, cost, extra={name: each * 1e6 for name, each in found.items()})


def stack(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:  # noqa: ARG001
    """The whole stack for services; and of a client as it comes, in µs."""
    import scallion

    def made() -> dict[str, Any]:
        return {
            "": scallion.Pipeline(),
            "service_stack()": scallion.service_stack(),
            "compatible()": scallion.compatible(),
        }

    cost, compatible = costs(case, made, budget.seconds * 3)
    return Sample(1, cost, cost, extra={"compatible()": compatible * 1e6})


def costs(
    case: Case,
    make: Callable[[], dict[str, Any]],
    seconds: float,
    over: Mapping[str, str] | None = None,
) -> list[float]:
    """CPU seconds of a request with each of the pipelines but the first, over that with the first, medians.

    Args:
        make: Makes the pipelines, by name. It is asked again and again, as where a client's objects happen to lie in memory
            makes some tenths of a microsecond.
        over: For some of them, the name of another than the first.
    """
    rounds: dict[str, list[float]] = {}
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(rounds[""]) < LEAST:
        pipelines = make()
        # In another order each time, as who comes after whom makes a difference too.
        shuffled = dict(sorted(pipelines.items(), key=lambda _: random.random()))
        seen = _sync(shuffled) if case.colour == "sync" else asyncio.run(_asyncio(shuffled))
        for name in pipelines:
            rounds.setdefault(name, []).extend(seen[name])
    over = over or {}
    first, *others = rounds
    return [
        # Of what was measured side by side, as what else runs on the machine changes.
        median(
            mine - theirs
            for mine, theirs in zip(rounds[name], rounds[over.get(name, first)], strict=True)
        )
        for name in others
    ]


def _looked_at(request: Any) -> None:
    """Every transport asks where a request goes and what it says: what a first look costs is no layer's doing."""
    assert request.url.origin_key
    assert request.headers.raw


def _sync(pipelines: dict[str, Any]) -> dict[str, list[float]]:
    import scallion

    def answer(request: Any) -> Any:
        _looked_at(request)
        return scallion.Response(200)

    transport = scallion.MockTransport(answer)
    clients = {
        name: scallion.Client(transport=transport, pipeline=pipeline)
        for name, pipeline in pipelines.items()
    }
    rounds: dict[str, list[float]] = {name: [] for name in clients}
    for _ in range(ROUNDS):
        for name, client in clients.items():
            get = client.get
            began = time.process_time()
            for _ in repeat(None, REQUESTS):
                get(URL)
            rounds[name].append((time.process_time() - began) / REQUESTS)
    return rounds


async def _asyncio(pipelines: dict[str, Any]) -> dict[str, list[float]]:
    import scallion

    async def answer(request: Any) -> Any:
        _looked_at(request)
        # A request that waits makes all layers suspend and resume.
        await asyncio.sleep(0)
        return scallion.Response(200)

    transport = scallion.MockTransport(answer)
    clients = {
        name: scallion.AsyncClient(transport=transport, pipeline=pipeline)
        for name, pipeline in pipelines.items()
    }
    rounds: dict[str, list[float]] = {name: [] for name in clients}
    for _ in range(ROUNDS):
        for name, client in clients.items():
            get = client.get
            began = time.process_time()
            for _ in repeat(None, REQUESTS):
                await get(URL)
            rounds[name].append((time.process_time() - began) / REQUESTS)
    return rounds
