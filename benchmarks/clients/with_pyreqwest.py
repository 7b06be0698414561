"""pyreqwest: reqwest (Rust) for Python."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from clients.job import Adapter, AsyncOnce, Job, Once

__all__ = ["make"]


def make(name: str) -> Adapter:  # noqa: ARG001
    return Pyreqwest(importlib.import_module("pyreqwest.client"))


class Pyreqwest(Adapter):
    def __init__(self, module: Any) -> None:
        self.module = module

    @contextmanager
    def sync(self, job: Job) -> Iterator[Once]:
        with self._built(self.module.SyncClientBuilder(), job) as client:
            url, body = job.url, job.body

            def download() -> int:
                size = 0
                with client.get(url).build_streamed() as response:
                    while (chunk := response.body_reader.read_chunk()) is not None:
                        size += len(chunk)
                return size

            yield {
                "get": lambda: len(client.get(url).build().send().bytes()),
                "download": download,
                "upload": lambda: len(client.post(url).body_bytes(body).build().send().bytes()),
            }[job.action]

    @asynccontextmanager
    async def asyncio(self, job: Job) -> AsyncIterator[AsyncOnce]:
        async with self._built(self.module.ClientBuilder(), job) as client:
            url, body = job.url, job.body

            async def get() -> int:
                return len(await (await client.get(url).build().send()).bytes())

            async def download() -> int:
                size = 0
                async with client.get(url).build_streamed() as response:
                    while (chunk := await response.body_reader.read_chunk()) is not None:
                        size += len(chunk)
                return size

            async def upload() -> int:
                response = await client.post(url).body_bytes(body).build().send()
                return len(await response.bytes())

            yield {"get": get, "download": download, "upload": upload}[job.action]

    def _built(self, builder: Any, job: Job) -> Any:
        if job.ca:
            builder = builder.add_root_certificate_pem(Path(job.ca).read_bytes())
        if job.http2:
            builder = builder.http2(True)
        if job.queueing:
            builder = builder.max_connections(job.connections)
        return builder.build()

    def made(self) -> None:
        self.module.SyncClientBuilder().build().close()

    def one_shot(self, url: str) -> int:
        simple = importlib.import_module("pyreqwest.simple.sync_request")
        return len(simple.pyreqwest_get(url).send().bytes())
