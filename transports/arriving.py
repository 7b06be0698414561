"""A response's body that is still arriving: what those of HTTP/1.1 and HTTP/2 have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from scallion.pipeline.runtime import run
from scallion.pipeline.streams import AsyncByteStream, SyncByteStream

__all__ = ["Arriving"]


class Arriving(SyncByteStream, AsyncByteStream):
    """A body of both colours. Iterate it once, in the client's colour."""

    async def receive(self) -> bytes:
        """The next piece, empty at the end."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[bytes]:
        while chunk := run(self.receive()):
            yield chunk

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Pieces(self)


class _Pieces:
    __slots__ = ("_body",)

    def __init__(self, body: Arriving) -> None:
        self._body = body

    def __aiter__(self) -> _Pieces:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._body.receive()
        if not chunk:
            raise StopAsyncIteration
        return chunk
