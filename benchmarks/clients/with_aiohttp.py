"""aiohttp."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from clients.job import Adapter, AsyncOnce, Job

__all__ = ["make"]


def make(name: str) -> Adapter:  # noqa: ARG001
    return Aiohttp()


class Aiohttp(Adapter):
    @asynccontextmanager
    async def asyncio(self, job: Job) -> AsyncIterator[AsyncOnce]:
        settings: dict[str, Any] = {"timeout": aiohttp.ClientTimeout()} if job.patient else {}
        tls: dict[str, Any] = {"ssl": job.context()} if job.ca else {}
        connector = aiohttp.TCPConnector(
            limit=job.connections, keepalive_timeout=3600.0 if job.patient else 15.0, **tls
        )
        async with aiohttp.ClientSession(connector=connector, **settings) as session:
            url, body = job.url, job.body

            async def get() -> int:
                async with session.get(url) as response:
                    return len(await response.read())

            async def download() -> int:
                size = 0
                async with session.get(url) as response:
                    async for chunk in response.content.iter_any():
                        size += len(chunk)
                return size

            async def upload() -> int:
                async with session.post(url, data=body) as response:
                    return len(await response.read())

            yield {"get": get, "download": download, "upload": upload}[job.action]
