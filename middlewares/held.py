"""A response's body that tells how it has ended: to whom holds something for it, or judges by it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from scallion.pipeline.streams import AsyncByteStream, SyncByteStream

if TYPE_CHECKING:
    from scallion.pipeline.keeping import Kept

__all__ = ["Holder", "held"]


class Holder(Protocol):
    """Who is told."""

    def ended(self, error: Exception | None) -> None:
        """The body was read or closed, or reading it failed. Told at least once."""

    def lost(self) -> None:
        """The response was forgotten. A finaliser says so: nothing may be waited for, not even a lock."""


def held(stream: SyncByteStream | AsyncByteStream, holder: Holder) -> Any:
    """`stream`, telling `holder` when it has ended. It is of the same colours."""
    kind = _Both if isinstance(stream, SyncByteStream) else _AsyncHeld
    return kind(stream, holder)


class _Held:
    def __init__(self, stream: Any, holder: Holder) -> None:
        self._stream = stream
        self._holder = holder
        self._closed = False

    def __del__(self) -> None:
        if not self._closed:
            self._holder.lost()


class _AsyncHeld(_Held, AsyncByteStream):
    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Chunks(self._stream.__aiter__(), self._holder)

    @property
    def agather(self) -> Callable[[Kept], Awaitable[None]] | None:
        """The stream's own way to receive all of itself; None where it has none."""
        return None if getattr(self._stream, "agather", None) is None else self._agather

    async def _agather(self, kept: Kept) -> None:
        try:
            await self._stream.agather(kept)
        except Exception as error:
            self._holder.ended(error)
            raise
        self._holder.ended(None)

    async def aclose(self) -> None:
        self._closed = True
        try:
            await self._stream.aclose()
        finally:
            self._holder.ended(None)


class _Both(_AsyncHeld, SyncByteStream):
    """For a `Client`, whose layers may await what blocks."""

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except Exception as error:
            self._holder.ended(error)
            raise
        self._holder.ended(None)

    @property
    def gather(self) -> Callable[[Kept], None] | None:
        return None if getattr(self._stream, "gather", None) is None else self._gather

    def _gather(self, kept: Kept) -> None:
        try:
            self._stream.gather(kept)
        except Exception as error:
            self._holder.ended(error)
            raise
        self._holder.ended(None)

    def close(self) -> None:
        self._closed = True
        try:
            self._stream.close()
        finally:
            self._holder.ended(None)


class _Chunks:
    __slots__ = ("_holder", "_iterator")

    def __init__(self, iterator: Any, holder: Holder) -> None:
        self._iterator = iterator
        self._holder = holder

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk: bytes = await self._iterator.__anext__()
        except StopAsyncIteration:
            self._holder.ended(None)
            raise
        except Exception as error:
            self._holder.ended(error)
            raise
        return chunk

    async def aclose(self) -> None:
        aclose = getattr(self._iterator, "aclose", None)
        if aclose is not None:
            await aclose()
