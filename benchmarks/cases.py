"""The cases, and how each client sends the same requests in them.

A scenario is given the URL and the case, and yields a function that sends some requests and returns
when all their bodies have been read.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

__all__ = ["CASES", "CLIENTS", "Case", "Sample", "Unavailable", "measure"]

Colour = Literal["sync", "asyncio", "trio"]


@dataclass(frozen=True)
class Case:
    """Small GETs over kept connections, some number of them at once."""

    colour: Colour
    at_once: int

    @property
    def name(self) -> str:
        return self.colour if self.colour == "sync" else f"{self.colour}-{self.at_once}"


CASES = {
    case.name: case
    for case in (
        Case("sync", 1),
        Case("asyncio", 1),
        Case("asyncio", 16),
        Case("asyncio", 100),
        Case("trio", 1),
        Case("trio", 16),
    )
}

# The first is what the others are compared with.
CLIENTS: dict[str, frozenset[Colour]] = {
    "httpx": frozenset({"sync", "asyncio", "trio"}),
    "scallion": frozenset({"sync", "asyncio", "trio"}),
    "httpx2": frozenset({"sync", "asyncio", "trio"}),
    "aiohttp": frozenset({"asyncio"}),
    "requests": frozenset({"sync"}),
    "urllib3": frozenset({"sync"}),
}


class Unavailable(Exception):
    """The client is not installed, or lacks what the case needs."""


class Sample(NamedTuple):
    """What a run of some requests cost."""

    cpu_us: float
    per_second: float


class Watch:
    """CPU time of this process and time on the wall, from its making until `sample`."""

    def __init__(self) -> None:
        self.cpu = time.process_time()
        self.wall = time.perf_counter()

    def sample(self, requests: int) -> Sample:
        cpu = time.process_time() - self.cpu
        wall = time.perf_counter() - self.wall
        return Sample(cpu / requests * 1e6, requests / wall)


def measure(client: str, case: Case, url: str, requests: int, warm_up: int) -> Sample:
    """Send `warm_up` requests unmeasured, then `requests`, and say what these cost.

    Raises:
        Unavailable: the client cannot do this here.
    """
    try:
        module = importlib.import_module(client)
    except ImportError as error:
        raise Unavailable(f"cannot be imported ({error})") from error
    if case.colour == "sync":
        return _measure_sync(module, client, url, requests, warm_up)
    scenario = _measure_async(module, client, case, url, requests, warm_up)
    if case.colour == "asyncio":
        return asyncio.run(scenario)
    import trio

    async def main() -> Sample:
        return await scenario

    return trio.run(main)


def _attribute(module: Any, name: str) -> Any:
    try:
        return getattr(module, name)
    except AttributeError:
        raise Unavailable(f"has no {name}") from None


# One request at a time, without an event loop.


def _measure_sync(module: Any, client: str, url: str, requests: int, warm_up: int) -> Sample:
    for get in _getters(module, client, url):
        for _ in range(warm_up):
            get()
        watch = Watch()
        for _ in range(requests):
            get()
        return watch.sample(requests)
    raise AssertionError


def _getters(module: Any, client: str, url: str) -> Iterator[Callable[[], bytes]]:
    """A function that gets `url` once and returns the body; its client is closed when it is done with."""
    if client == "requests":
        with module.Session() as session:
            yield lambda: session.get(url).content
    elif client == "urllib3":
        with module.PoolManager() as pool:
            yield lambda: pool.request("GET", url).data
    else:
        with _attribute(module, "Client")() as httpx_like:
            yield lambda: httpx_like.get(url).content


# Several at once: so many tasks, each sending one request after the other.


async def _measure_async(
    module: Any, client: str, case: Case, url: str, requests: int, warm_up: int
) -> Sample:
    async with AsyncExitStack() as stack:
        get = await _async_getter(module, client, case, url, stack)
        each = max(1, requests // case.at_once)
        await _at_once(case, get, max(1, warm_up // case.at_once))
        watch = Watch()
        await _at_once(case, get, each)
        return watch.sample(each * case.at_once)


async def _async_getter(
    module: Any, client: str, case: Case, url: str, stack: AsyncExitStack
) -> Callable[[], Awaitable[bytes]]:
    if client == "aiohttp":
        connector = module.TCPConnector(limit=case.at_once)
        session = await stack.enter_async_context(module.ClientSession(connector=connector))

        async def get_with_aiohttp() -> bytes:
            async with session.get(url) as response:
                body: bytes = await response.read()
                return body

        return get_with_aiohttp

    # As many connections as requests at once, or those beyond the default 20 would be opened anew.
    limits = _attribute(module, "Limits")(
        max_connections=case.at_once, max_keepalive_connections=case.at_once
    )
    httpx_like = await stack.enter_async_context(_attribute(module, "AsyncClient")(limits=limits))

    async def get() -> bytes:
        body: bytes = (await httpx_like.get(url)).content
        return body

    return get


async def _at_once(case: Case, get: Callable[[], Awaitable[bytes]], each: int) -> None:
    async def work() -> None:
        for _ in range(each):
            await get()

    if case.colour == "asyncio":
        await asyncio.gather(*(work() for _ in range(case.at_once)))
        return
    import trio

    async with trio.open_nursery() as nursery:
        for _ in range(case.at_once):
            nursery.start_soon(work)
