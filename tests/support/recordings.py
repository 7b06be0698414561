"""Clients of each colour around a recorder, and HAR files as tests look at them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import scallion
from scallion.pipeline.streams import AsyncByteStream, SyncByteStream, Unsuspended

from .colours import Drive

__all__ = ["Asking", "Pieces", "entries_of"]


class Asking:
    """A client of `drive`'s colour: `async with Asking(drive, transport) as asking`."""

    def __init__(self, drive: Drive, transport: Any, **settings: Any) -> None:
        self.blocking = drive.blocking
        kind: Any = scallion.Client if self.blocking else scallion.AsyncClient
        self.client: Any = kind(transport=transport, **settings)

    async def request(self, method: str, url: str, **settings: Any) -> scallion.Response:
        response: scallion.Response
        if self.blocking:
            response = self.client.request(method, url, **settings)
        else:
            response = await self.client.request(method, url, **settings)
        return response

    async def get(self, url: str, **settings: Any) -> scallion.Response:
        return await self.request("GET", url, **settings)

    async def open(self, method: str, url: str, **settings: Any) -> scallion.Response:
        """The response, its body unread."""
        return await self.send(self.client.build_request(method, url, **settings), stream=True)

    async def send(self, request: scallion.Request, **settings: Any) -> scallion.Response:
        response: scallion.Response
        if self.blocking:
            response = self.client.send(request, **settings)
        else:
            response = await self.client.send(request, **settings)
        return response

    async def raw(self, response: scallion.Response, most: int = 1000) -> list[bytes]:
        """The pieces of a body as they come, `most` of them; then the response is closed."""
        found: list[bytes] = []
        if self.blocking:
            pieces = response.iter_raw()
            while len(found) < most and (piece := next(pieces, None)) is not None:
                found.append(piece)
            response.close()
        else:
            arriving = response.aiter_raw()
            while len(found) < most and (piece := await anext(arriving, None)) is not None:
                found.append(piece)
            await response.aclose()
        return found

    async def __aenter__(self) -> Self:
        if self.blocking:
            self.client.__enter__()
        else:
            await self.client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.blocking:
            self.client.__exit__(kind, error, traceback)
        else:
            await self.client.__aexit__(kind, error, traceback)


class Pieces(SyncByteStream, AsyncByteStream):
    """A body in these pieces, each made when it is asked for; an exception among them is raised in its place."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = pieces
        self.given = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.given += 1
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def __aiter__(self) -> AsyncIterator[bytes]:
        return Unsuspended(self).__aiter__()


def entries_of(path: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(path.read_bytes())["log"]["entries"]
    return entries
