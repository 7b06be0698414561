"""One exchange on an HTTP/2 connection: what has arrived for it, what is still to be sent, its limits."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeAlias

from scallion.pipeline.errors import (
    LocalProtocolError,
    ReadTimeout,
    TimeoutException,
    TransportError,
    WriteTimeout,
)
from scallion.pipeline.request import Request
from scallion.pipeline.runtime import Event, Runtime
from scallion.pipeline.streams import ByteStream

from .deadlines import TICK, overdue, remaining
from .http2_fields import Received
from .http2_sending import Sending, StreamState
from .messages import RawHeaders

__all__ = ["GOODBYE", "Brief", "Limits", "Parting", "Patience", "Stream", "Unprocessed", "Upload"]

Limits: TypeAlias = dict[str, float | None]
"""A request's timeouts, as `Timeout.as_dict` gives them."""

PIECE = 256 * 1024
"""Bytes of a body that leave in one write."""
TINY = 256
JOINED = 4096
"""A piece that is received in frames smaller than the one is joined up to the other, in bytes."""
GOODBYE = 1.0
"""Seconds that telling the server of an early end may take when the connection is congested."""
_MOST_TURNS = 64
"""How often who waits for nothing more writes or reads before he goes: some megabytes."""


class Unprocessed(
    Exception
):  # it says that a request may be sent again, and never leaves this room
    """An exchange failed in a way that lets its request be sent again.

    Attributes:
        error: What to raise if it is not.
        certain: Whether the server certainly did nothing for it (RFC 9113 section 8.7); else the
            connection was lost before anything came back.
        begun: Whether a stream was opened for it.
        spent: Whether a piece of its body was taken.
    """

    def __init__(
        self,
        error: TransportError,
        *,
        certain: bool = True,
        begun: bool = True,
        spent: bool = False,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.certain = certain
        self.begun = begun
        self.spent = spent


class Stream(StreamState):
    """What the connection knows of one exchange. Changed under the connection's lock.

    Attributes:
        number: Which exchange of the connection it is, counted from 1.
        head: Status and fields of the final response, once received.
        pieces: The body as far as it is here and unread, with what each counts in flow control.
        ended: Whether the response is complete.
        trailers: The fields after the body.
        error: Why nothing more will come.
        refused: Whether the server certainly did not process the request.
        sent: Whether the request has been handed to the codec to its end.
        started_at: How often the connection had received something when the stream began.
        waits_since: The same when it began to wait for what it waits for now.
        decides: Whether its deadline, passed in silence, decides that the connection is dead.
        event: What its task waits for while another one reads.
    """

    __slots__ = (
        "decides",
        "ended",
        "error",
        "event",
        "expected",
        "head",
        "interim",
        "number",
        "owed",
        "pieces",
        "received",
        "refused",
        "sent",
        "started_at",
        "trailers",
        "waits_since",
        "without_body",
    )

    def __init__(self, stream_id: int, started_at: int, method: str) -> None:
        super().__init__(stream_id)
        self.number = 0
        self.head: Received | None = None
        self.pieces: deque[tuple[bytes | bytearray, int]] = deque()
        self.ended = False
        self.trailers: RawHeaders | None = None
        self.error: TransportError | None = None
        self.refused = False
        self.sent = False
        self.started_at = self.waits_since = started_at
        self.decides = False
        self.event: Event | None = None
        self.interim = 0
        self.owed = 0
        self.received = 0
        self.expected: int | None = None
        self.without_body = method == "HEAD"

    def keep(self, data: bytes, counts: int) -> None:
        """Keep a piece of the body. Tiny ones are joined: each alone would take a hundred times its size."""
        pieces = self.pieces
        if len(data) < TINY and pieces and len(pieces[-1][0]) < JOINED:
            last, counted = pieces[-1]
            joined = last if isinstance(last, bytearray) else bytearray(last)
            joined += data
            pieces[-1] = (joined, counted + counts)
        else:
            pieces.append((data, counts))

    def answered(self) -> bool:
        """Whether the final response's head is here, or none will come."""
        return self.head is not None or self.error is not None

    def satisfied(self) -> bool:
        """Whether the server wants no more of the request: a 2xx may, other answers and complete ones do not."""
        if self.error is not None or self.ended:
            return True
        return self.head is not None and self.head.status >= 300

    def readable(self) -> bool:
        """Whether there is something of the body, or its end, or nothing will come."""
        return bool(self.pieces) or self.ended or self.error is not None


class Patience:
    """How long one operation may wait: its own limit from now on, and the call's deadline."""

    __slots__ = ("_doing", "_end", "_kind", "_limit", "_request", "_runtime")

    def __init__(
        self,
        kind: type[ReadTimeout | WriteTimeout],
        limit: float | None,
        request: Request,
        runtime: Runtime,
        doing: str,
    ) -> None:
        self._kind = kind
        self._limit = limit
        self._request = request
        self._runtime = runtime
        self._doing = doing
        self._end = None if limit is None else runtime.clock() + limit

    def left(self) -> float | None:
        """Seconds.

        Raises:
            TimeoutException: none are left.
        """
        now = self._runtime.clock()
        left = None if self._end is None else self._end - now
        if left is not None and left <= 0:
            raise self.over()
        deadline = self._request.deadline
        if deadline is None or (left is not None and now + left <= deadline):
            return left
        return remaining(left, self._request, self._runtime, self._doing)

    def outlived(self) -> bool:
        """Whether the call's deadline has passed. Under an event loop that may show as a cancellation."""
        deadline = self._request.deadline
        return deadline is not None and self._runtime.clock() + TICK >= deadline

    def over(self) -> TimeoutException:
        """The error to raise when the time is up."""
        limit = "the time left" if self._limit is None else f"{self._limit:g} s"
        what = "arrived" if self._kind is ReadTimeout else "could be sent"
        error = self._kind(f"timed out: nothing {what} within {limit}")
        return overdue(error, self._request, self._runtime, self._doing)


class Brief:
    """The patience of who only says goodbye: `limit` seconds, whatever the request's own limits are."""

    __slots__ = ("_limit",)

    def __init__(self, limit: float) -> None:
        self._limit = limit

    def left(self) -> float:
        return self._limit

    def over(self) -> TimeoutException:
        return WriteTimeout(f"timed out: nothing could be sent within {self._limit:g} s")


class Parting:
    """The patience of who writes and listens: another one's, and once `ready()`, `GOODBYE` seconds and some turns.

    So long a server is heard that may be unable to read before it has been heard.
    """

    __slots__ = ("_end", "_patience", "_ready", "_runtime", "_turns")

    def __init__(self, patience: Patience, ready: Callable[[], bool], runtime: Runtime) -> None:
        self._patience = patience
        self._ready = ready
        self._runtime = runtime
        self._turns = _MOST_TURNS
        self._end: float | None = None

    def left(self) -> float | None:
        """Seconds.

        Raises:
            TimeoutException: none are left.
        """
        if not self._ready():
            return self._patience.left()
        now = self._runtime.clock()
        if self._end is None:
            self._end = now + GOODBYE
        self._turns -= 1
        if now >= self._end or not self._turns:
            raise self.over()
        return self._end - now

    def over(self) -> TimeoutException:
        return self._patience.over()


class Upload:
    """What is still to be sent of a request's body.

    Attributes:
        done: Whether all of it has been handed to the codec, the end included; at once if it is empty.
        spent: Whether a piece was taken from a stream that yields each once.
    """

    done = False
    spent = False
    _handed = 0
    _here: bytes | memoryview = b""
    _source: Iterator[bytes] | AsyncIterator[bytes] | None = None
    _body: Any = None

    def __init__(self, request: Request, announced: int | None, runtime: Runtime) -> None:
        stream = request.stream
        self._blocking = runtime.blocking
        self._announced = announced
        if type(stream) is ByteStream:
            body = stream._stream
            self._check(len(body), last=True)
            self._here = memoryview(body) if len(body) > PIECE else body
            self.done = not body
        else:
            self._body = stream

    @property
    def _ended(self) -> bool:
        return self._body is None

    def hungry(self) -> bool:
        """Whether the next piece has to be pulled before anything can be filled in."""
        return not self.done and not self._here and not self._ended

    async def pull(self) -> None:
        """Take the next piece from the caller's stream.

        Raises:
            LocalProtocolError: the body does not fit its Content-Length.
        """
        self.spent = True
        if self._source is None:
            self._source = iter(self._body) if self._blocking else aiter(self._body)
        source: Any = self._source
        chunk: bytes | None
        if self._blocking:
            chunk = next(source, None)
        else:
            try:
                chunk = await source.__anext__()
            except StopAsyncIteration:
                chunk = None
        if chunk is None:
            self._source = self._body = None
            self._check(0, last=True)
        else:
            self._check(len(chunk), last=False)
            self._here = memoryview(chunk) if len(chunk) > PIECE else chunk

    @property
    def begun(self) -> bool:
        """Whether a piece was asked for, and more might be: `close` has something to do."""
        return self._source is not None

    async def close(self) -> None:
        """Ask for no further piece. A generator is ended here, not by the garbage collector."""
        source: Any = self._source
        if source is None or source is self._body:
            return
        self._source = None
        if self._blocking and hasattr(source, "close"):
            source.close()
        elif not self._blocking and hasattr(source, "aclose"):
            await source.aclose()

    def _check(self, size: int, *, last: bool) -> None:
        self._handed += size
        announced = self._announced
        if (
            announced is None
            or self._handed == announced
            or (self._handed < announced and not last)
        ):
            return
        raise LocalProtocolError(
            f"The request's body does not fit its head: Content-Length announces {announced} bytes, "
            f"and {'only ' if self._handed < announced else ''}{self._handed} came"
        )

    def fill(self, codec: Sending, stream: Stream) -> bool:
        """Hand the codec as much as it may send now, at most one write's worth. Under the connection's lock."""
        room = min(PIECE, codec.credit(stream))
        filled = False
        while self._here and room > 0:
            size = min(room, codec.largest)
            frame, self._here = self._here[:size], self._here[size:]
            room -= len(frame)
            self.done = not self._here and self._ended
            codec.send_data(stream, frame, end=self.done)
            filled = True
        if not self._here and self._ended and not self.done:
            codec.send_data(stream, b"", end=True)
            self.done = filled = True
        return filled
