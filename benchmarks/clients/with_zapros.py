"""zapros."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from clients.job import Adapter, AsyncOnce, Colour, Job, Once

__all__ = ["make"]

_TRANSPORTS = {"sync": "SyncTransport", "asyncio": "AsyncIOTransport", "trio": "TrioTransport"}


def make(name: str) -> Adapter:
    return Zapros(importlib.import_module(name))


class Zapros(Adapter):
    def __init__(self, module: Any) -> None:
        self.module = module

    @contextmanager
    def sync(self, job: Job) -> Iterator[Once]:
        with self.module.Client(self._handler(job, "sync")) as client:
            url, body = job.url, job.body

            def download() -> int:
                with client.stream("GET", url) as response:
                    return sum(map(len, response.iter_bytes()))

            yield {
                "get": lambda: len(client.get(url).read()),
                "download": download,
                "upload": lambda: len(client.post(url, body=body).read()),
            }[job.action]

    def asyncio(self, job: Job) -> Any:
        return self._async(job, "asyncio")

    def trio(self, job: Job) -> Any:
        return self._async(job, "trio")

    @asynccontextmanager
    async def _async(self, job: Job, colour: Colour) -> AsyncIterator[AsyncOnce]:
        async with self.module.AsyncClient(self._handler(job, colour)) as client:
            url, body = job.url, job.body

            async def get() -> int:
                return len(await (await client.get(url)).aread())

            async def download() -> int:
                size = 0
                async with client.stream("GET", url) as response:
                    async for chunk in response.async_iter_bytes():
                        size += len(chunk)
                return size

            async def upload() -> int:
                return len(await (await client.post(url, body=body)).aread())

            yield {"get": get, "download": download, "upload": upload}[job.action]

    def _handler(self, job: Job, colour: Colour) -> Any:
        sync = colour == "sync"
        handler = self.module.StdNetworkHandler if sync else self.module.AsyncStdNetworkHandler
        # As many connections as needed; no fewer than by default.
        connections = max(10, job.connections)
        limits = {
            "max_connections_per_host": connections,
            "max_idle_connections_per_host": connections,
        }
        settings: dict[str, Any] = {}
        if job.ca:
            transport = getattr(self.module, _TRANSPORTS[colour])
            settings["transport"] = transport(ssl_context=job.context())
        return handler(http1=False if job.http2 else limits, http2=job.http2, **settings)

    def made(self) -> None:
        self.module.Client().close()
