"""primp and httpr, Rust both, with nearly the same interface."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from clients.job import Adapter, AsyncOnce, Job, Once

__all__ = ["make"]


def make(name: str) -> Adapter:
    return PrimpLike(importlib.import_module(name))


class PrimpLike(Adapter):
    def __init__(self, module: Any) -> None:
        self.module = module

    @contextmanager
    def sync(self, job: Job) -> Iterator[Once]:
        with self.module.Client(ca_cert_file=job.ca) as client:
            url, body = job.url, job.body

            def download() -> int:
                if hasattr(client, "stream"):
                    with client.stream("GET", url) as response:
                        return sum(map(len, response.iter_bytes()))
                with client.get(url, stream=True) as response:
                    return sum(map(len, response.iter_bytes()))

            yield {
                "get": lambda: len(client.get(url).content),
                "download": download,
                "upload": lambda: len(client.post(url, content=body).content),
            }[job.action]

    @asynccontextmanager
    async def asyncio(self, job: Job) -> AsyncIterator[AsyncOnce]:
        async with self.module.AsyncClient(ca_cert_file=job.ca) as client:
            url, body = job.url, job.body

            async def get() -> int:
                return len((await client.get(url)).content)

            async def download() -> int:
                size = 0
                async with await client.get(url, stream=True) as response:
                    async for chunk in response.aiter_bytes():
                        size += len(chunk)
                return size

            async def upload() -> int:
                return len((await client.post(url, content=body)).content)

            yield {"get": get, "download": download, "upload": upload}[job.action]

    def made(self) -> None:
        with self.module.Client():
            pass

    def one_shot(self, url: str) -> int:
        return len(self.module.get(url).content)
