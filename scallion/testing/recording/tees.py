"""Bodies on their way: copied while they are sent or read, consumed where nothing is sent, played back.

A program's streaming stays streaming: a piece passes at once, and nothing is read ahead.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from scallion.pipeline.errors import RequestError
from scallion.pipeline.streams import AsyncByteStream, SyncByteStream

__all__ = ["AsyncTee", "Playback", "SyncTee", "Taken", "taken"]


class Taken:
    """What has gone by of a body.

    Attributes:
        pieces: The body so far; emptied once it is longer than `limit`.
        size: Its length in bytes so far.
        whole: Whether it came to its end.
        limit: The most bytes that are kept; None for all.
        error: What broke it off.
    """

    def __init__(self, limit: int | None) -> None:
        self.pieces: list[bytes] = []
        self.size = 0
        self.whole = False
        self.error: RequestError | None = None
        self.limit = limit

    @property
    def over(self) -> bool:
        """Whether it is longer than what is kept."""
        return self.limit is not None and self.size > self.limit

    def restart(self) -> None:
        """The body is iterated over, perhaps once more."""
        self.pieces = []
        self.size = 0
        self.whole = False

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.over:
            self.pieces = []
        else:
            self.pieces.append(piece)


def taken(body: bytes, limit: int | None) -> Taken:
    """The same of a body that is all here."""
    whole = Taken(limit)
    whole.add(body)
    whole.whole = True
    return whole


class _Tee:
    """Attributes:
    replayable: As the stream's own.
    """

    def __init__(self, stream: Any, taken: Taken, ended: Callable[[], None] | None = None) -> None:
        self._stream = stream
        self._taken = taken
        self._ended = ended
        self.replayable = bool(getattr(stream, "replayable", False))

    def _end(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()


class SyncTee(_Tee, SyncByteStream):
    """Passes the pieces of `stream` on and gives a copy to `taken`; calls `ended` once, at its end or when it is closed."""

    def __iter__(self) -> Iterator[bytes]:
        self._taken.restart()
        try:
            for piece in self._stream:
                self._taken.add(piece)
                yield piece
        except RequestError as error:
            self._taken.error = error
            raise
        self._taken.whole = True
        self._end()

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._end()


class AsyncTee(_Tee, AsyncByteStream):
    """The same for an async client."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._taken.restart()
        return _Copying(self, self._stream.__aiter__())

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._end()


class _Copying:
    __slots__ = ("_iterator", "_tee")

    def __init__(self, tee: AsyncTee, iterator: AsyncIterator[bytes]) -> None:
        self._tee = tee
        self._iterator = iterator

    def __aiter__(self) -> _Copying:
        return self

    async def __anext__(self) -> bytes:
        taken = self._tee._taken
        try:
            piece = await self._iterator.__anext__()
        except StopAsyncIteration:
            taken.whole = True
            self._tee._end()
            raise
        except RequestError as error:
            taken.error = error
            raise
        taken.add(piece)
        return piece

    async def aclose(self) -> None:
        """Of an async generator, end it here and not when it is collected."""
        aclose = getattr(self._iterator, "aclose", None)
        if aclose is not None:
            await aclose()


class Playback(SyncByteStream, AsyncByteStream):
    """A recorded body, in its pieces. Nothing suspends.

    Args:
        ended: Called at its end; may raise what the program is to get there.
    """

    def __init__(self, pieces: list[bytes], ended: Callable[[], None]) -> None:
        self._pieces = pieces
        self._ended = ended

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        self._ended()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Played(iter(self))

    def close(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


class _Played:
    __slots__ = ("_iterator",)

    def __init__(self, iterator: Iterator[bytes]) -> None:
        self._iterator = iterator

    def __aiter__(self) -> _Played:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._iterator:
            return piece
        raise StopAsyncIteration
