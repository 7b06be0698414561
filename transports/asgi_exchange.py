"""One request and its response on their way through an ASGI application, both streamed.

Rules:

- The app runs in a task of its own. It holds the exchange by `receive` and `send`, the client by a `Body`.
- At most one piece of the response waits to be taken; `send` waits for room for the next.
- The client gets the head as soon as the app sends it, and the body's end once the app has ended: what it does
  after its response has been done, and what it raises is the client's.
- Whoever stops early disconnects: `receive` says so, `send` drops what it gets, and an app that does not end by
  itself is cancelled. No way out leaves the app running.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from scallion.pipeline.errors import ReadError, RemoteProtocolError
from scallion.pipeline.headers import Headers
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime
from scallion.pipeline.streams import AsyncByteStream, ByteStream

from .asgi_call import ASGIApp, Call, Message, Scope
from .deadlines import remaining
from .messages import END

__all__ = ["Exchange"]

MAX_DROPPED = 100
"""Messages that an app may send after the disconnect before it is cancelled: it does not notice."""

_DISCONNECT = "http.disconnect"


class Exchange:
    """A request that an app answers.

    Args:
        stream: The request's body.
        raises: Whether what the app raises reaches the caller; else it becomes a 500, or a response cut short.
        grace: Seconds that the app has for ending by itself after a disconnect.

    Raises:
        StreamConsumed: the request's body was sent before, and cannot be sent again.
    """

    def __init__(
        self,
        request: Request,
        stream: AsyncByteStream,
        runtime: Runtime,
        *,
        raises: bool = True,
        grace: float = 1.0,
    ) -> None:
        self._request = request
        self._runtime = runtime
        self._call = Call(runtime)
        self._raises = raises
        self._grace = grace
        # The request's body: None at its end, and while it is being pulled nobody else may.
        self._source: AsyncIterator[bytes] | None = aiter(stream)
        self._pulling = False
        self._upload_error: Exception | None = None
        # The response.
        self._head: tuple[int, Headers] | None = None
        self._piece = END
        self._complete = False
        self._received = 0
        # The client has gone, and how many messages came since.
        self._gone = False
        self._dropped = 0
        self._told = False

    async def begin(self, app: ASGIApp, scope: Scope, ended: Callable[[], object]) -> Response:
        """Call the app and wait for the head of its response.

        Raises:
            RemoteProtocolError: it ended without one.
            TotalTimeout: the call's deadline passed before.
        """
        self._call.begin(lambda: self._run(app, scope), ended)
        try:
            await self._until(lambda: self._head is not None or self._call.over, "app to answer")
        except BaseException as error:
            await self.stop(error)
            raise
        # An error behind a response that is all here comes first, as no client shall act upon that response; one
        # that cuts the response short comes after what was sent of it.
        if self._call.over and (self._head is None or self._complete):
            self._settle()
        if self._head is None:
            return self._no_answer()
        status, headers = self._head
        return Response(status, headers=headers, stream=_Body(self), extensions={})

    def _no_answer(self) -> Response:
        if self._call.error is not None:
            return Response(500, headers=Headers(), stream=ByteStream(b""))
        raise RemoteProtocolError(
            "The app ended without answering: it has to send http.response.start",
            request=self._request,
        )

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._send)
        finally:
            # Where the body is an async generator that was not read to its end, it ends here, not when it is collected.
            source: object = self._source
            aclose = getattr(source, "aclose", None)
            if aclose is not None and source is not self._request.stream and not self._pulling:
                await aclose()

    # What the app calls.

    async def _receive(self) -> Message:
        # An app may listen for the disconnect in one task while it reads the body in another.
        await self._call.until(lambda: self._gone or not self._pulling)
        if self._source is None:
            await self._call.until(lambda: self._gone or self._complete)
            return {"type": _DISCONNECT}
        if self._gone:
            return {"type": _DISCONNECT}
        self._pulling = True
        try:
            body = await self._source.__anext__()
        except StopAsyncIteration:
            self._source = None
            return {"type": "http.request", "body": b"", "more_body": False}
        except Exception as error:
            self._upload_error = error
            raise
        finally:
            self._pulling = False
            self._call.tell()
        return {"type": "http.request", "body": body, "more_body": True}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self._start(message)
        elif kind == "http.response.body":
            await self._body(message)
        # Others belong to extensions of ASGI that are not offered in the scope.

    def _start(self, message: Message) -> None:
        if self._head is not None:
            raise RuntimeError("The app sent http.response.start twice")
        status = message["status"]
        if not isinstance(status, int):
            raise TypeError(f"http.response.start needs an int as status, not {status!r}")
        self._head = int(status), Headers(list(message.get("headers", ())))
        self._call.tell()

    async def _body(self, message: Message) -> None:
        if self._head is None:
            raise RuntimeError("The app sent http.response.body before http.response.start")
        if self._complete:
            raise RuntimeError("The app sent http.response.body after the end of its response")
        piece = message.get("body", b"")
        if not isinstance(piece, (bytes, bytearray, memoryview)):
            raise TypeError(f"http.response.body needs bytes as body, not {type(piece).__name__}")
        if piece and self._request.method != "HEAD":
            await self._call.until(lambda: self._gone or not self._piece)
            if not self._gone:
                self._piece = bytes(piece)
        if not message.get("more_body", False):
            self._complete = True
        self._call.tell()
        if self._gone:
            await self._drop()

    async def _drop(self) -> None:
        self._dropped += 1
        if self._dropped >= MAX_DROPPED:
            self._call.tell()
            # Until it is cancelled.
            await self._call.until(lambda: False)
        await self._runtime.sleep(0)

    # What the client calls.

    async def piece(self) -> bytes:
        """The next piece of the body; END when it is complete and the app has ended.

        Raises:
            RemoteProtocolError: the app ended before its response was complete.
            TotalTimeout: the call's deadline passed.
        """
        try:
            await self._until(
                lambda: bool(self._piece) or self._complete or self._call.over, "app's next piece"
            )
            if self._piece:
                piece, self._piece = self._piece, END
                self._received += len(piece)
                self._call.tell()
                return piece
            await self._until(lambda: self._call.over, "app to end")
        except BaseException as error:
            await self.stop(error)
            raise
        self._settle()
        if self._complete:
            return END
        if self._gone:
            raise ReadError(
                "The response was closed while it was being read", request=self._request
            )
        raise RemoteProtocolError(
            f"The app ended before its response was complete: received {self._received} bytes of its body",
            request=self._request,
        ) from self._call.error

    async def leave(self) -> None:
        """The response is closed: let the app end, or make it.

        An app that has sent all of its response is waited for, however long it takes.
        """
        try:
            if self._complete:
                await self._until(lambda: self._call.over, "app to end")
            elif not self._call.over:
                await self._disconnect()
        except BaseException as error:
            await self.stop(error)
            raise
        await self._call.stop()
        self._settle()

    async def _disconnect(self) -> None:
        self._gone = True
        self._call.tell()
        end = self._runtime.clock() + self._grace

        def left() -> float:
            return max(0.0, end - self._runtime.clock())

        await self._call.until(
            lambda: self._call.over or self._dropped >= MAX_DROPPED or not left(), left
        )

    async def stop(self, reason: BaseException | None = None) -> None:
        """Cancel the app and wait for its end. What it raises meanwhile is noted on `reason`."""
        self._gone = True
        await self._call.stop()
        error = self._call.error
        if reason is not None and error is not None and not self._told:
            self._told = True
            reason.add_note(f"The app failed as it was stopped: {error!r}")

    def abandon(self) -> None:
        """The same without waiting, from anywhere."""
        self._call.cancel()

    @property
    def over(self) -> bool:
        """Whether the app has ended."""
        return self._call.over

    async def _until(self, ready: Callable[[], bool], what: str) -> None:
        doing = f"waiting for the {what}"
        await self._call.until(ready, lambda: remaining(None, self._request, self._runtime, doing))

    def _settle(self) -> None:
        """Raise what is the caller's to see, once: what the app raised, or before it the request's own body."""
        error = self._call.error
        # As elsewhere, what is no Exception (KeyboardInterrupt, say) is never turned into an answer.
        if error is None or not (self._raises or not isinstance(error, Exception)):
            error = self._upload_error
        if error is not None and not self._told:
            self._told = True
            raise error


class _Body(AsyncByteStream):
    """The client's hold on the exchange, and the response's body. Let go of, it cancels the app."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._exchange.piece()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        await self._exchange.leave()

    def __del__(self) -> None:
        if not self._exchange.over:
            self._exchange.abandon()
