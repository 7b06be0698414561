"""The body of an HTTP/2 response while it arrives, and how its stream ends."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from scallion.pipeline.request import Request
from scallion.pipeline.runtime import run

from .arriving import Arriving
from .http2_streams import GOODBYE
from .messages import END
from .trace import Step, Trace

if TYPE_CHECKING:
    from .http2_streams import Limits, Stream, Upload

__all__ = ["Body"]


class Connection(Protocol):
    """What a body needs of its connection."""

    async def receive(self, body: Body) -> bytes: ...

    async def leave(self, stream: Stream, limit: float) -> None: ...

    def give_back(self) -> None: ...

    def abandon(self, stream: Stream) -> None: ...


class Body(Arriving):
    """A body that is still arriving. Iterate it once, in the client's colour.

    What the server lets the request's own body wait for is sent while this is read. Closing it early resets
    the stream; the connection goes on.

    Attributes:
        trace: Told of reading and closing; None for nobody.
    """

    # For one that was never made: a signal's handler may raise in the midst of it.
    _connection: Connection | None = None

    def __init__(
        self,
        connection: Connection,
        stream: Stream,
        request: Request,
        upload: Upload | None,
        extensions: dict[str, Any],
    ) -> None:
        self._connection = connection
        self.stream = stream
        self.request = request
        self.upload = upload
        self.extensions = extensions
        self.timeout: Limits = request.extensions.get("timeout") or {}
        self.trace: Trace | None = None
        self._told = False

    def receive(self) -> Coroutine[Any, Any, bytes]:
        """To be awaited for the next piece, END at the end."""
        return self._receive() if self.trace is None else self._traced(self.trace)

    async def _traced(self, trace: Trace) -> bytes:
        """The same, told: the first piece begins a step, which the end completes."""
        if not self._told:
            self._told = True
            details = {"request": self.request, "stream_id": self.stream.id}
            await trace("http2.receive_response_body.started", details)
        try:
            piece = await self._receive()
        except BaseException as error:
            await trace("http2.receive_response_body.failed", {"exception": error})
            raise
        if not piece:
            await trace("http2.receive_response_body.complete", {"return_value": None})
        return piece

    async def _receive(self) -> bytes:
        connection = self._connection
        if connection is None:
            return END
        try:
            piece = await connection.receive(self)
        except BaseException:
            await self._stop(0.0)
            raise
        if not piece:
            await self._stop(0.0)
        return piece

    async def _stop(self, limit: float) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.leave(self.stream, limit)
                if self.upload is not None:
                    await self.upload.close()
            finally:
                connection.give_back()

    def close(self) -> None:
        run(self.aclose())

    async def aclose(self) -> None:
        trace, self.trace = self.trace, None
        async with Step(trace, "http2.response_closed", {"stream_id": self.stream.id}):
            await self._stop(GOODBYE)

    def __del__(self) -> None:
        connection = self._connection
        if connection is not None:
            connection.abandon(self.stream)
