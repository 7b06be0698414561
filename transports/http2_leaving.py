"""How a stream ends on this side: forgotten, and reset if it is not over."""

from __future__ import annotations

from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from scallion.pipeline.errors import TransportError
from scallion.pipeline.runtime import Runtime

from .http2_arrivals import Arrivals
from .http2_frames import ErrorCode
from .http2_streams import Brief, Stream

if TYPE_CHECKING:
    from .network.base import Carrier

__all__ = ["Leaving", "Owner"]


class Owner(Protocol):
    """Who shares the connection out."""

    def release(self, connection: Any, *, reusable: bool) -> None:
        """An exchange is over; called once for each."""

    def abandon(self, connection: Any) -> None:
        """The same, fit for a finaliser: takes no lock, closes nothing now."""

    def changed(self, connection: Any) -> None:
        """`room` is another one now."""


class Leaving(Arrivals):
    """A link whose streams can be left at any moment, by finalisers too.

    Attributes:
        used_at: When the connection was opened, or an exchange last ended, on `time.perf_counter`'s clock.
    """

    def __init__(self, channel: Carrier, runtime: Runtime, owner: Owner) -> None:
        super().__init__(channel, runtime)
        self.used_at = perf_counter()
        self._owner = owner
        # Left by finalisers, which take no lock.
        self._abandoned: deque[Stream] = deque()

    async def leave(self, stream: Stream, limit: float) -> None:
        """Forget a stream, and reset it if it is not over; telling the server so may take `limit` seconds."""
        if self._leaves_word(stream):
            await self._say(limit)

    def _leaves_word(self, stream: Stream) -> bool:
        """Forget a stream. Whether there is something to write then."""
        with self._lock:
            return self._forget(stream) or bool(self._outbox)

    async def _say(self, limit: float) -> None:
        try:
            await self._flush(Brief(limit))
        except TransportError:
            pass

    def _forget_abandoned(self) -> None:
        while self._abandoned:
            self._forget(self._abandoned.popleft())

    def _forget(self, stream: Stream) -> bool:
        """Whether the server has to be told."""
        self._followers.pop(stream, None)
        if self._streams.pop(stream.id, None) is None or (stream.ended and stream.sent):
            return False
        if stream.closed or self._lost:
            return False
        if self._mute:
            # The server goes on with it, and others may still be answered.
            self._codec.abandon(stream)
            return False
        self._codec.reset(stream, ErrorCode.CANCEL)
        self._linger()
        return True

    def _changed(self) -> None:
        self._owner.changed(self)

    def give_back(self) -> None:
        self.used_at = perf_counter()
        self._owner.release(self, reusable=True)

    def abandon(self, stream: Stream) -> None:
        self._abandoned.append(stream)
        self._owner.abandon(self)
