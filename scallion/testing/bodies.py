"""The body of an answer that comes in pieces: with pauses between them, and perhaps an error in their midst."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, cast

from scallion.pipeline.errors import ReadTimeout, TotalTimeout
from scallion.pipeline.request import Request
from scallion.transports.arriving import Arriving
from scallion.transports.deadlines import remaining

if TYPE_CHECKING:
    from scallion.pipeline.runtime import Runtime

__all__ = ["Chunk", "Chunks", "Pause", "Pieces", "Time", "Timekeeper", "fresh", "waiting"]


@dataclass(frozen=True)
class Pause:
    """Among the chunks of a body: so many seconds pass before the next.

    Raises:
        ValueError: they are negative.
    """

    seconds: float

    def __post_init__(self) -> None:
        if not self.seconds >= 0:
            raise ValueError(f"A pause is at least 0 seconds: {self.seconds!r}")


Chunk: TypeAlias = bytes | str | Pause | Exception | type[Exception]
Chunks: TypeAlias = (
    Iterable[Chunk]
    | AsyncIterable[Chunk]
    | Callable[[], Iterable[Chunk]]
    | Callable[[], AsyncIterable[Chunk]]
)


def fresh(error: Exception) -> Exception:
    """A copy to raise, so that each has a traceback, notes and a request of its own; itself if it cannot be copied."""
    try:
        made = copy(error)
    except Exception:  # noqa: BLE001  # its constructor takes something else than its arguments
        return error
    if type(made) is not type(error):
        return error
    notes = error.__dict__.get("__notes__")
    if notes is not None:
        made.__notes__ = [*notes]
    made.__cause__ = error.__cause__
    return made


class Timekeeper(Protocol):
    """What a router asks of its `runtime=`."""

    def clock(self) -> float:
        """Seconds on the clock that `request.deadline` is counted on."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""


class Time(NamedTuple):
    """Time in the colour of a client.

    Attributes:
        blocking: Whether nothing may suspend.
        clock: See `Timekeeper`.
        sleep: See `Timekeeper`.
    """

    blocking: bool
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


async def waiting(seconds: float, request: Request, time: Time) -> None:
    """Let time pass before the next byte, as a slow server would.

    Raises:
        ReadTimeout: it is more than the request's read timeout, which has passed now.
        TotalTimeout: it is more than is left until the request's deadline, which has passed now.
    """
    doing = "waiting for the mock's answer"
    limit = (request.extensions.get("timeout") or {}).get("read")
    allowed = remaining(limit, request, cast("Runtime", time), doing)
    # Cases: there is time enough; the read timeout comes first; the deadline does.
    if allowed is None or seconds <= allowed:
        await time.sleep(seconds)
        return
    await time.sleep(allowed)
    if limit is not None and allowed == limit:
        raise ReadTimeout(
            f"nothing arrived within {limit:.3g} s: the mock lets {seconds:.3g} s pass",
            request=request,
        )
    raise TotalTimeout(f"The call's deadline passed while {doing}", request=request)


class Pieces(Arriving):
    """A body made of chunks.

    Args:
        chunks: What to send; an asynchronous iterable, or a function that makes one, is for an `AsyncClient` only.
        request: Its timeouts hold for the pauses.
        time: Lets it pass.

    Raises:
        TypeError: the chunks are asynchronous, and the client is not.
    """

    def __init__(self, chunks: Chunks, request: Request, time: Time) -> None:
        source: Any = chunks() if callable(chunks) else chunks
        self._iterator: Iterator[Chunk] | None = None
        self._async_iterator: AsyncIterator[Chunk] | None = None
        if not isinstance(source, AsyncIterable):
            self._iterator = iter(source)
        elif time.blocking:
            raise TypeError(
                "These chunks are asynchronous, and the client is not: give an iterable, or use an AsyncClient"
            )
        else:
            self._async_iterator = aiter(source)
        self._request = request
        self._time = time
        self._ended = False

    async def receive(self) -> bytes:
        while not self._ended:
            chunk = await self._next()
            # Cases: the end, time, an error, an empty piece (which would be taken for the end), a piece.
            if chunk is None:
                self._ended = True
            elif isinstance(chunk, Pause):
                await waiting(chunk.seconds, self._request, self._time)
            elif isinstance(chunk, Exception):
                raise fresh(chunk)
            elif isinstance(chunk, type) and issubclass(chunk, Exception):
                raise chunk(f"{chunk.__name__} in the midst of the mock's body")
            elif not isinstance(chunk, (bytes, str)):
                raise TypeError(
                    f"A chunk is bytes, text, a Pause or an exception, not {type(chunk).__name__}"
                )
            elif chunk:
                return chunk.encode() if isinstance(chunk, str) else chunk
        return b""

    async def _next(self) -> Chunk | None:
        if self._iterator is not None:
            return next(self._iterator, None)
        assert self._async_iterator is not None
        return await anext(self._async_iterator, None)

    def close(self) -> None:
        self._ended = True
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()

    async def aclose(self) -> None:
        self.close()
        aclose = getattr(self._async_iterator, "aclose", None)
        if aclose is not None:
            await aclose()
