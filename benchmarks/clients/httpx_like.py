"""httpx, and the clients with its interface: httpx2 and scallion."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from clients.job import Adapter, AsyncOnce, Job, Once, Unavailable

__all__ = ["make"]


def make(name: str) -> Adapter:
    module = importlib.import_module("scallion" if name == "scallion-speed" else name)
    for needed in ("Client", "AsyncClient"):
        if not hasattr(module, needed):
            raise Unavailable(f"has no {needed}")
    return HttpxLike(module)


class HttpxLike(Adapter):
    def __init__(self, module: Any) -> None:
        self.module = module

    @contextmanager
    def sync(self, job: Job) -> Iterator[Once]:
        with self.module.Client(**self.settings(job)) as client:
            url, body, get, post, stream = job.url, job.body, client.get, client.post, client.stream

            def download() -> int:
                with stream("GET", url) as response:
                    return sum(map(len, response.iter_bytes()))

            yield {
                "get": lambda: len(get(url).content),
                "download": download,
                "upload": lambda: len(post(url, content=body).content),
                "stream": lambda: len(post(url, content=job.pieces()).content),
            }[job.action]

    @asynccontextmanager
    async def asyncio(self, job: Job) -> AsyncIterator[AsyncOnce]:
        async with self.module.AsyncClient(**self.settings(job)) as client:
            url, body, get, post, stream = job.url, job.body, client.get, client.post, client.stream

            async def get_once() -> int:
                return len((await get(url)).content)

            async def download() -> int:
                size = 0
                async with stream("GET", url) as response:
                    async for chunk in response.aiter_bytes():
                        size += len(chunk)
                return size

            async def upload() -> int:
                return len((await post(url, content=body)).content)

            async def stream_up() -> int:
                return len((await post(url, content=job.async_pieces())).content)

            yield {
                "get": get_once,
                "download": download,
                "upload": upload,
                "stream": stream_up,
            }[job.action]

    trio = asyncio

    def made(self) -> None:
        self.module.Client().close()

    def one_shot(self, url: str) -> int:
        return len(self.module.get(url).content)

    def settings(self, job: Job) -> dict[str, Any]:
        """Defaults, but for what the case is about."""
        settings: dict[str, Any] = {}
        if job.ca:
            settings["verify"] = job.context()
        if job.http2:
            settings["http2"] = True
        if job.connections > 1 or job.http2:
            # As many as needed, or those beyond the default 20 would not be kept; and one for HTTP/2.
            settings["limits"] = self.module.Limits(
                max_connections=job.connections,
                max_keepalive_connections=job.connections,
                keepalive_expiry=None if job.patient else 5.0,
            )
        if job.patient:
            settings["timeout"] = None
        elif job.queueing:
            # Waiting for a connection may take httpx longer than its limit.
            settings["timeout"] = self.module.Timeout(5.0, pool=None)
        return settings
