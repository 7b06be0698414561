"""One request and its response on their way through a WSGI application.

Rules, all of PEP 3333:

- `start_response` is called before the first piece that is not empty, at the latest while that is made. Until
  then the head can be replaced, with `exc_info`; from then on `exc_info` is raised.
- What the app writes by `write` comes before the pieces of its iterable. It waits in memory, as nobody can read
  before the app returns.
- The iterable's `close` is called once, however the response ends.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from scallion.pipeline.errors import RemoteProtocolError
from scallion.pipeline.headers import Headers
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.streams import ByteStream, SyncByteStream

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["Exchange", "Upload"]

ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)

_STATUS = re.compile(r"[0-9]{3}(?: .*)?", re.DOTALL)


class Exchange:
    """A request that an app answers.

    Args:
        stream: The request's body.
        raises: Whether what the app raises reaches the caller; else it becomes a 500, or a response cut short.

    Attributes:
        input: The request's body as the file that the app reads.

    Raises:
        StreamConsumed: the request's body was sent before, and cannot be sent again.
    """

    def __init__(self, request: Request, stream: SyncByteStream, *, raises: bool = True) -> None:
        self._request = request
        self._upload = Upload(iter(stream))
        self.input: BinaryIO = io.BufferedReader(self._upload)
        self._raises = raises
        self._head: tuple[int, Headers] | None = None
        self._failure: BaseException | None = None
        # Whether the head has gone to the caller, and may not be replaced any more.
        self._sent = False
        self._written: list[bytes] = []
        self._pieces: Iterator[Any] = iter(())
        self._close: Callable[[], object] | None = None
        self._received = 0

    def begin(self, app: WSGIApplication, environ: dict[str, Any]) -> Response:
        """Call the app until the head of its response is final.

        Raises:
            RemoteProtocolError: it ended without one.
        """
        try:
            result = app(environ, self._start_response)
            self._close = getattr(result, "close", None)
            self._pieces = _pieces_of(result)
            first = self._next()
            if self._failure is not None and self._raises:
                raise self._failure
        except BaseException as error:
            self._abort(error)
            if self._shows(error):
                raise
            self._settle()
            return Response(500, headers=Headers(), stream=ByteStream(b""))
        if self._head is None:
            silent = RemoteProtocolError(
                "The app did not answer: it has to call start_response", request=self._request
            )
            self._abort(silent)
            raise silent
        self._sent = True
        status, headers = self._head
        return Response(status, headers=headers, stream=_Body(self, first), extensions={})

    # What the app calls.

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        if exc_info is not None and exc_info[1] is not None:
            failure = exc_info[1]
            if self._sent:
                raise failure.with_traceback(exc_info[2])
            self._failure = failure
        elif exc_info is None and self._head is not None:
            raise RuntimeError("The app called start_response twice, and without exc_info")
        self._head = _status(status), _headers(headers)
        return self._write

    def _write(self, data: bytes) -> None:
        self._written.append(_checked(data))

    # What the client calls.

    def pieces(self, first: bytes) -> Iterator[bytes]:
        """The body, `first` included. Closes the app's iterable at the end, and where it fails.

        Raises:
            RemoteProtocolError: the app failed, and its errors are not raised.
        """
        try:
            piece = first
            while piece:
                self._received += len(piece)
                if self._request.method != "HEAD":
                    yield piece
                piece = self._next()
        except BaseException as error:
            self._abort(error)
            if self._shows(error):
                raise
            self._settle()
            raise RemoteProtocolError(
                f"The app failed before its response was complete: received {self._received} bytes of its body",
                request=self._request,
            ) from error
        self.close()

    def close(self) -> None:
        """Close the app's iterable and the request's body, if that was not done.

        Raises:
            Exception: what the iterable's `close` raised, or the request's body, if the app kept that to itself.
        """
        try:
            self._release()
        except Exception as error:
            # The response is complete, or not wanted: there is nothing that the error could be turned into.
            if self._shows(error):
                raise
        self._settle()

    def _release(self) -> None:
        close, self._close = self._close, None
        self._pieces = iter(())
        try:
            if close is not None:
                close()
        finally:
            self._upload.end()

    def _abort(self, error: BaseException) -> None:
        try:
            self._release()
        except Exception as failed:  # noqa: BLE001  # the first error is the one that matters
            error.add_note(f"Closing the app's iterable failed too: {failed!r}")

    def _shows(self, error: BaseException) -> bool:
        """Whether the error is for the caller to see: the app's by choice, the request's own body's always."""
        # As elsewhere, what is no Exception (KeyboardInterrupt, say) is never turned into an answer.
        if error is self._upload.error or self._raises or not isinstance(error, Exception):
            self._upload.error = None
            return True
        return False

    def _settle(self) -> None:
        """Raise what the request's body raised, if nobody has seen it."""
        error, self._upload.error = self._upload.error, None
        if error is not None:
            raise error

    def _next(self) -> bytes:
        """The next piece that is not empty, or b"" at the end."""
        while True:
            if self._written:
                data = b"".join(self._written)
                self._written.clear()
                if data:
                    return data
            try:
                piece = _checked(next(self._pieces))
            except StopIteration:
                if any(self._written):
                    continue
                return b""
            if piece and self._written:
                # `write` was called meanwhile, and comes first.
                self._written.append(piece)
            elif piece:
                return piece


def _pieces_of(result: object) -> Iterator[object]:
    if not isinstance(result, Iterable):
        raise TypeError(f"A WSGI app returns an iterable of bytes, not {result!r}")
    return iter(result)


def _checked(piece: object) -> bytes:
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, (bytearray, memoryview)):
        return bytes(piece)
    raise TypeError(f"A WSGI app's response is made of bytes, not {type(piece).__name__}")


def _status(status: object) -> int:
    if not isinstance(status, str):
        raise TypeError(f"start_response needs a str as status, '200 OK', not {status!r}")
    if not _STATUS.fullmatch(status):
        raise ValueError(f"start_response needs a status such as '200 OK', not {status!r}")
    return int(status[:3])


def _headers(headers: object) -> Headers:
    if not isinstance(headers, (list, tuple)):
        raise TypeError(f"start_response needs a list of headers, not {type(headers).__name__}")
    raw = []
    for pair in headers:
        if not (isinstance(pair, (list, tuple)) and len(pair) == 2):
            raise TypeError(f"start_response needs pairs of str as headers, not {pair!r}")
        name, value = pair
        if not (isinstance(name, str) and isinstance(value, str)):
            raise TypeError(f"start_response needs str as headers' names and values, not {pair!r}")
        raw.append((name.encode("latin-1"), value.encode("latin-1")))
    return Headers.from_raw(raw)


class Upload(io.RawIOBase):
    """A request's body as a file, pulled as it is read.

    Attributes:
        error: What the body raised; None for nothing.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.error: Exception | None = None
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._left:
            try:
                self._left = memoryview(next(self._pieces))
            except StopIteration:
                return 0
            except Exception as error:
                self.error = error
                raise
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def end(self) -> None:
        """A generator that was not asked to its end is ended here, not when it is collected."""
        pieces, self._pieces = self._pieces, iter(())
        if isinstance(pieces, Generator):
            pieces.close()


class _Body(SyncByteStream):
    """The client's hold on the exchange, and the response's body. Let go of, it closes the app's iterable."""

    def __init__(self, exchange: Exchange, first: bytes) -> None:
        self._exchange = exchange
        self._pieces = exchange.pieces(first)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        self._exchange.close()

    def __del__(self) -> None:
        self._exchange.close()
