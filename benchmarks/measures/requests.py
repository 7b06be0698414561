"""The cost of doing the same thing again and again."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from itertools import repeat

from cases import Case
from clients import Adapter, Job
from endpoint import Endpoint
from measures.running import at_once, job_of, run
from measures.sample import Budget, Sample, Watch

__all__ = ["gather", "made", "one_shot", "requests", "threads"]


class Wrong(Exception):
    """An answer is not what the server sent."""


def check(size: int, endpoint: Endpoint) -> None:
    if size != endpoint.size:
        raise Wrong(f"{endpoint.url} has {endpoint.size} bytes, and {size} were read")


def requests(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:
    """Requests of one client, one after the other or so many at once."""
    assert endpoint is not None
    job = job_of(case, endpoint)
    if case.colour == "sync":
        with adapter.sync(job) as once:
            return repeated(lambda: check(once(), endpoint), once, budget)
    return run(case, _async_requests(adapter, case, endpoint, job, budget))


def repeated(first: Callable[[], object], once: Callable[[], object], budget: Budget) -> Sample:
    """What it costs to call `once`, after `first` and others that warm up."""
    began = time.perf_counter()
    first()
    tried, took = 1, time.perf_counter() - began
    if budget.warming:
        # The first one opens a connection, imports this and that: it says nothing of the others.
        tried, began = 0, time.perf_counter()
        while (took := time.perf_counter() - began) < budget.warming:
            once()
            tried += 1
    operations = budget.operations(tried, took)
    gc.collect()
    watch = Watch()
    for _ in repeat(None, operations):
        once()
    return watch.sample(operations)


async def _async_requests(
    adapter: Adapter, case: Case, endpoint: Endpoint, job: Job, budget: Budget
) -> Sample:
    opened = adapter.trio(job) if case.colour == "trio" else adapter.asyncio(job)
    async with opened as once:
        began = time.perf_counter()
        check(await once(), endpoint)
        tried, took = 1, time.perf_counter() - began
        if budget.warming:
            # This opens all connections, and says how many requests fill the budget.
            tried, began = 0, time.perf_counter()
            until = began + budget.warming

            async def try_out() -> None:
                nonlocal tried
                while time.perf_counter() < until:
                    await once()
                    tried += 1

            await at_once(case, try_out)
            took = time.perf_counter() - began
        each = max(1, budget.operations(tried, took) // case.at_once)

        async def work() -> None:
            for _ in repeat(None, each):
                await once()

        latencies: list[float] = []

        async def timed_work() -> None:
            for _ in repeat(None, each):
                start = time.perf_counter()
                await once()
                latencies.append(time.perf_counter() - start)

        gc.collect()
        watch = Watch()
        await at_once(case, timed_work if case.latencies else work)
        sample = watch.sample(each * case.at_once)
        sample.extra = quantiles(latencies)
        return sample


def quantiles(latencies: list[float]) -> dict[str, float]:
    """The median and the slowest hundredth, in milliseconds."""
    if not latencies:
        return {}
    ordered = sorted(latencies)
    return {
        name: ordered[int(part * len(ordered))] * 1e3
        for name, part in (("p50 ms", 0.5), ("p99 ms", 0.99))
    }


def gather(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:
    """As many requests as connections, all at once, again and again."""
    assert endpoint is not None
    job, width = job_of(case, endpoint), case.connections

    async def scenario() -> Sample:
        async with adapter.asyncio(job) as once:
            # The first ones open the connections.
            for _ in range(2):
                for size in await asyncio.gather(*(once() for _ in range(width))):
                    check(size, endpoint)
            began = time.perf_counter()
            await asyncio.gather(*(once() for _ in range(width)))
            operations = budget.operations(1, time.perf_counter() - began)
            gc.collect()
            watch = Watch()
            for _ in repeat(None, operations):
                await asyncio.gather(*(once() for _ in range(width)))
            return watch.sample(operations)

    return run(case, scenario())


def threads(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:
    """Requests of one client that so many threads share."""
    assert endpoint is not None
    with adapter.sync(job_of(case, endpoint)) as once:
        check(once(), endpoint)
        tried, began = 0, time.perf_counter()
        until = began + budget.warming

        def try_out() -> None:
            nonlocal tried
            while time.perf_counter() < until:
                once()
                tried += 1

        _in_threads(case.at_once, try_out)
        each = max(1, budget.operations(tried, time.perf_counter() - began) // case.at_once)

        def work() -> None:
            for _ in repeat(None, each):
                once()

        gc.collect()
        watch = Watch()
        _in_threads(case.at_once, work)
        return watch.sample(each * case.at_once)


def _in_threads(number: int, work: Callable[[], None]) -> None:
    started = [threading.Thread(target=work) for _ in range(number)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


def made(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:  # noqa: ARG001
    """Clients made and closed, one after the other."""
    return repeated(adapter.made, adapter.made, budget)


def one_shot(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:  # noqa: ARG001
    """Requests without a client, each on a connection of its own."""
    assert endpoint is not None
    url = endpoint.url
    return repeated(
        lambda: check(adapter.one_shot(url), endpoint), lambda: adapter.one_shot(url), budget
    )
