"""What a body is while it moves: byte streams, sync, async or both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

__all__ = ["AsyncByteStream", "ByteStream", "SyncByteStream", "Unsuspended"]


class SyncByteStream:
    """A body in pieces for a sync client: iterate once, then `close()`.

    Attributes:
        replayable: Whether a second iteration yields the same bytes; a class or instance that can
            promise it sets True, and retries, redirects and auth may then send it again.
    """

    replayable: bool = False

    def __iter__(self) -> Iterator[bytes]:
        raise NotImplementedError("The '__iter__' method must be implemented.")

    def close(self) -> None:
        """Release what the stream holds; called once, whatever happened. Does nothing by default."""


class AsyncByteStream:
    """The same for an async client: `async for` once, then `aclose()`."""

    replayable: bool = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise NotImplementedError("The '__aiter__' method must be implemented.")

    async def aclose(self) -> None:
        """Release what the stream holds; called once, whatever happened. Does nothing by default."""


class _Once:
    """An async iterator over what is already here."""

    __slots__ = ("_iterator",)

    def __init__(self, iterator: Iterator[bytes]) -> None:
        self._iterator = iterator

    def __aiter__(self) -> _Once:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self._iterator:
            return chunk
        raise StopAsyncIteration


class Unsuspended(SyncByteStream, AsyncByteStream):
    """A sync stream under a `Client` that layers may await as well: it blocks, and nothing suspends."""

    def __init__(self, stream: SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Once(iter(self._stream))

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        self._stream.close()


class ByteStream(SyncByteStream, AsyncByteStream):
    """Bytes that are all here: both colours, any number of times."""

    replayable = True

    def __init__(self, stream: bytes) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield self._stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Once(iter((self._stream,)))
