"""The body of an HTTP/1.1 response while it arrives, and how its connection comes back."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from scallion.pipeline.errors import StreamClosed, TimeoutException
from scallion.pipeline.headers import Headers
from scallion.pipeline.request import Request
from scallion.pipeline.runtime import run

from .arriving import Arriving
from .messages import END
from .trace import Step, Trace

if TYPE_CHECKING:
    from scallion.pipeline.keeping import Kept

    from .http11 import HTTP11Connection

__all__ = ["Body"]

READING = "reading the response's body"

LEAST = 64 * 1024
MOST = 128 * 1024
"""How much is read at a time: at first, and once so much has been there again and again."""

DRAIN_SIZE = 64 * 1024
DRAIN_TIME = 0.05
"""What a body closed early may cost to save its connection: bytes still to come, and seconds."""


class Body(Arriving):
    """A body that is still arriving. Iterate it once, in the client's colour; it owns the connection.

    At its end the connection goes back to the pool; an error or an early close closes it.

    Attributes:
        trace: Told of reading and closing; None for nobody.
    """

    # For one that was never made: a signal's handler may raise in the midst of it.
    _connection: HTTP11Connection | None = None

    def __init__(
        self,
        connection: HTTP11Connection,
        request: Request,
        pieces: list[bytes],
        extensions: dict[str, Any],
        *,
        ended: bool,
    ) -> None:
        self._connection = connection
        self._request = request
        self._timeout: dict[str, float | None] = request.extensions.get("timeout") or {}
        # The first is the last one.
        self._pieces = pieces[::-1]
        self._size = LEAST
        self._extensions = extensions
        self._ended = ended
        self.trace: Trace | None = None
        self._told = False

    async def receive(self) -> bytes:
        """The next piece, END at the end. Closes the connection when anything goes wrong, cancellation included.

        Raises:
            StreamClosed: it was closed, or failed, before its end.
        """
        if self.trace is not None:
            return await self._traced()
        return await self._receive()

    async def _traced(self) -> bytes:
        """The same, told: the first piece begins a step, which the end completes."""
        trace = self.trace
        assert trace is not None
        if not self._told:
            self._told = True
            await trace("http11.receive_response_body.started", {"request": self._request})
        try:
            piece = await self._receive()
        except BaseException as error:
            await trace("http11.receive_response_body.failed", {"exception": error})
            raise
        if not piece:
            await trace("http11.receive_response_body.complete", {"return_value": None})
        return piece

    async def _receive(self) -> bytes:
        if self._pieces:
            return self._pieces.pop()
        if self._ended:
            return END
        connection = self._connection
        if connection is None:
            raise StreamClosed
        codec = connection._codec
        try:
            while (piece := codec.body()) is None:
                codec.feed(await self._arrival(connection))
            if not piece:
                self._end(connection)
        except BaseException:
            self._give_back(reusable=False)
            raise
        return piece

    async def _arrival(self, connection: HTTP11Connection) -> bytes:
        """What arrives next. Who sends much at a time is read from in larger pieces."""
        size = self._size
        data = await connection._read(self._request, self._timeout, size, READING)
        if len(data) == size < MOST:
            self._size = size * 2
        return data

    def _end(self, connection: HTTP11Connection) -> None:
        """All has been received."""
        self._ended = True
        trailers = connection._codec.trailers
        if trailers is not None:
            self._extensions["trailers"] = Headers.from_raw(trailers)
        self._give_back(reusable=connection._reusable())

    # As a whole

    def gather(self, kept: Kept) -> None:
        """Receive all that is still to come, in a Client.

        Raises:
            As `receive`; what had arrived is in `kept` then.
        """
        run(self.agather(kept))

    async def agather(self, kept: Kept) -> None:
        """`gather` for an AsyncClient."""
        connection = self._connection
        if self.trace is not None or connection is None or self._ended:
            while piece := await self.receive():
                kept.add(piece)
            return
        while self._pieces:
            kept.add(self._pieces.pop())
        codec = connection._codec
        try:
            while True:
                # Cases: a piece is here; all were here; the next ones go straight to where they are kept, or not.
                while chunk := codec.body():
                    kept.add(chunk)
                if chunk is not None:
                    self._end(connection)
                    return
                left = codec.left
                if left <= 0:
                    codec.feed(await self._arrival(connection))
                elif count := await self._receive_into(connection, kept.room(left)):
                    kept.took(count)
                    codec.took(count)
                else:
                    # It says how much is missing.
                    codec.feed(END)
        except BaseException:
            self._give_back(reusable=False)
            raise

    async def _receive_into(self, connection: HTTP11Connection, room: memoryview) -> int:
        request = self._request
        limit = connection._limit("read", request, self._timeout, READING)
        # The time that is left is measured anew whenever something has arrived.
        least = len(room) if request.deadline is None else 1
        try:
            return await connection.channel.read_into(room, limit, least)
        except TimeoutException as error:
            connection._overdue(error, request, READING)
            raise

    def _give_back(self, *, reusable: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.used_at = perf_counter()
            connection._owner.release(connection, reusable=reusable)

    def close(self) -> None:
        if self._connection is None or self._connection._runtime.blocking:
            run(self.aclose())
        else:
            self._give_back(reusable=False)

    async def aclose(self) -> None:
        """Give the connection back: whole, if the rest of the body is small and at hand, else closed."""
        trace, self.trace = self.trace, None
        async with Step(trace, "http11.response_closed", {}):
            await self._close()

    async def _close(self) -> None:
        self._pieces.clear()
        if self._connection is not None:
            try:
                await self._drain(self._connection)
            except Exception:  # noqa: BLE001  (whatever it is: the caller has done with this body)
                self._give_back(reusable=False)
            finally:
                self._give_back(reusable=False)

    async def _drain(self, connection: HTTP11Connection) -> None:
        """Read a small rest of known length, which is often in flight already, for `DRAIN_TIME` at most."""
        codec = connection._codec
        until = connection._runtime.clock() + DRAIN_TIME
        while (piece := codec.body()) != END:
            if piece is not None:
                continue
            wait = until - connection._runtime.clock()
            if not 0 < codec.left <= DRAIN_SIZE or wait <= 0:
                return
            codec.feed(await connection.channel.read(LEAST, wait))
        self._give_back(reusable=connection._reusable())

    def __del__(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection._owner.abandon(connection)
