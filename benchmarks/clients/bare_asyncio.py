"""A bare `asyncio.Protocol`: prepared bytes out, and a look for the end of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from clients.bare_socket import prepared, size_of
from clients.job import Adapter, AsyncOnce, Job

__all__ = ["make"]

_CHUNK = 65536


def make(name: str) -> Adapter:  # noqa: ARG001
    return BareAsyncio()


class Exchange(asyncio.BufferedProtocol):
    """One connection and the answer that is awaited on it.

    It reads into memory of its own again and again, and a body that is kept into its place.
    """

    transport: asyncio.Transport
    answered: asyncio.Future[int]

    def __init__(self, *, keeps: bool) -> None:
        self.keeps = keeps
        self.loop = asyncio.get_running_loop()
        self.buffer = memoryview(bytearray(_CHUNK))
        self.rest: memoryview | None = None
        self.filled = self.size = self.missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is no `asyncio.Transport` by inheritance.
        self.transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes) -> asyncio.Future[int]:
        self.answered = self.loop.create_future()
        self.transport.write(request)
        return self.answered

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self.buffer[self.filled :] if self.rest is None else self.rest

    def buffer_updated(self, nbytes: int) -> None:
        if self.missing:
            self.missing -= nbytes
            if self.rest is not None:
                self.rest = self.rest[nbytes:]
        else:
            self.filled += nbytes
            head = bytes(self.buffer[: self.filled])
            begins, self.size = size_of(head)
            if not begins:
                return
            self.missing = self.size - (self.filled - begins)
            self.filled = 0
            if self.missing and self.keeps:
                self.rest = memoryview(bytearray(self.size))[self.size - self.missing :]
        if not self.missing:
            self.rest = None
            self.answered.set_result(self.size)


class BareAsyncio(Adapter):
    @asynccontextmanager
    async def asyncio(self, job: Job) -> AsyncIterator[AsyncOnce]:
        request = prepared(job)
        context = job.context() if job.ca else None
        loop = asyncio.get_running_loop()
        idle: list[Exchange] = []

        async def connect() -> Exchange:
            _, exchange = await loop.create_connection(
                lambda: Exchange(keeps=job.action == "get"), *job.host, ssl=context
            )
            return exchange

        async def fresh() -> int:
            exchange = await connect()
            try:
                return await exchange.send(request)
            finally:
                exchange.transport.close()

        async def kept() -> int:
            exchange = idle.pop() if idle else await connect()
            size = await exchange.send(request)
            idle.append(exchange)
            return size

        async def queued() -> int:
            async with turn:
                return await kept()

        turn = asyncio.Semaphore(job.connections)
        try:
            yield fresh if "/close" in job.target else queued if job.queueing else kept
        finally:
            for exchange in idle:
                exchange.transport.close()
