"""What layers cost that have nothing special to do."""

from __future__ import annotations

import asyncio
import time
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
# So few that all of them are seen in the same weather.
REQUESTS = 100
URL = "http://example.org/"


async def idle(request: Any, call_next: Any) -> Any:
    return await call_next(request)


def layer(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:  # noqa: ARG001
    """One more layer that does nothing at all."""
    import scallion

    bare = scallion.Pipeline()
    (ten,) = costs(case, {"": bare, "ten": bare.per_call(*[idle] * EXTRA)}, budget.seconds * 3)
    cost = max(0.0, ten / EXTRA)
    return Sample(1, cost, cost)


def layers(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:  # noqa: ARG001
    """Each layer of `LAYERS` alone. The cost is that of the dearest, the further figures are all of them, in µs."""
    import scallion

    bare = scallion.Pipeline()
    made = {name: make() for name, make in LAYERS.items()}
    pipelines = {"": bare}
    for name, single in made.items():
        outer = UNDER.get(name)
        pipelines[name] = bare.per_call(*([made[outer]] if outer else []), single)
    found = dict(zip(made, costs(case, pipelines, budget.seconds * 20, UNDER), strict=True))
    cost = max(found.values())
    return Sample(1, cost, cost, extra={name: each * 1e6 for name, each in found.items()})


def stack(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:  # noqa: ARG001
    """The whole stack for services; and of a client as it comes, in µs."""
    import scallion

    pipelines = {
        "": scallion.Pipeline(),
        "service_stack()": scallion.service_stack(),
        "compatible()": scallion.compatible(),
    }
    cost, compatible = costs(case, pipelines, budget.seconds * 3)
    return Sample(1, cost, cost, extra={"compatible()": compatible * 1e6})


def costs(case: Case, pipelines: dict[str, Any], seconds: float, over: Any = None) -> list[float]:
    """CPU seconds of a request with each of the pipelines but the first, over that with the first, medians.

    Args:
        over: For some of them, the name of another than the first.
    """
    if case.colour == "sync":
        rounds = _sync(pipelines, seconds)
    else:
        rounds = asyncio.run(_asyncio(pipelines, seconds))
    over = over or {}
    first, *others = pipelines
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


def _sync(pipelines: dict[str, Any], seconds: float) -> dict[str, list[float]]:
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
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(rounds[""]) < 5:
        for name, client in clients.items():
            get = client.get
            began = time.process_time()
            for _ in repeat(None, REQUESTS):
                get(URL)
            rounds[name].append((time.process_time() - began) / REQUESTS)
    return rounds


async def _asyncio(pipelines: dict[str, Any], seconds: float) -> dict[str, list[float]]:
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
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(rounds[""]) < 5:
        for name, client in clients.items():
            get = client.get
            began = time.process_time()
            for _ in repeat(None, REQUESTS):
                await get(URL)
            rounds[name].append((time.process_time() - began) / REQUESTS)
    return rounds
