"""requests, and niquests, which has its interface and an async one."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from clients.job import Adapter, AsyncOnce, Job, Once

__all__ = ["make"]

_CHUNK = 65536


def make(name: str) -> Adapter:
    return RequestsLike(importlib.import_module(name))


class RequestsLike(Adapter):
    def __init__(self, module: Any) -> None:
        self.module = module

    @contextmanager
    def sync(self, job: Job) -> Iterator[Once]:
        with self.module.Session() as session:
            if job.connections > 1:
                adapter = self.module.adapters.HTTPAdapter(pool_maxsize=job.connections)
                session.mount("http://", adapter)
            session.verify = job.ca or True
            url, body = job.url, job.body

            def download() -> int:
                with session.get(url, stream=True) as response:
                    return sum(map(len, response.iter_content(_CHUNK)))

            yield {
                "get": lambda: len(session.get(url).content),
                "download": download,
                "upload": lambda: len(session.post(url, data=body).content),
            }[job.action]

    @asynccontextmanager
    async def asyncio(self, job: Job) -> AsyncIterator[AsyncOnce]:
        connections = max(10, job.connections)
        async with self.module.AsyncSession(pool_maxsize=connections) as session:
            session.verify = job.ca or True
            url, body = job.url, job.body

            async def get() -> int:
                return len((await session.get(url)).content)

            async def download() -> int:
                size = 0
                response = await session.get(url, stream=True)
                async for chunk in await response.iter_content(_CHUNK):
                    size += len(chunk)
                await response.close()
                return size

            async def upload() -> int:
                return len((await session.post(url, data=body)).content)

            yield {"get": get, "download": download, "upload": upload}[job.action]

    def made(self) -> None:
        self.module.Session().close()

    def one_shot(self, url: str) -> int:
        return len(self.module.get(url).content)
