"""The bodies of httpcore's responses as streams of scallion's."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any

from scallion.pipeline.streams import AsyncByteStream, SyncByteStream

from .httpcore_errors import map_httpcore_exceptions

__all__ = ["AsyncResponseStream", "ResponseStream"]


class ResponseStream(SyncByteStream):
    """Of a blocking pool."""

    def __init__(self, httpcore_stream: Iterable[bytes]) -> None:
        self._httpcore_stream = httpcore_stream

    def __iter__(self) -> Iterator[bytes]:
        with map_httpcore_exceptions():
            yield from self._httpcore_stream

    def close(self) -> None:
        close: Any = getattr(self._httpcore_stream, "close", None)
        if close is not None:
            close()


class AsyncResponseStream(AsyncByteStream):
    """Of an asynchronous pool."""

    def __init__(self, httpcore_stream: AsyncIterable[bytes]) -> None:
        self._httpcore_stream = httpcore_stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Mapped(self._httpcore_stream.__aiter__())

    async def aclose(self) -> None:
        aclose: Any = getattr(self._httpcore_stream, "aclose", None)
        if aclose is not None:
            await aclose()


class _Mapped:
    __slots__ = ("_iterator",)

    def __init__(self, iterator: AsyncIterator[bytes]) -> None:
        self._iterator = iterator

    def __aiter__(self) -> _Mapped:
        return self

    async def __anext__(self) -> bytes:
        with map_httpcore_exceptions():
            return await self._iterator.__anext__()
