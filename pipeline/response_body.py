"""A response's body: read as a whole, streamed, or closed, in both colours.

It reaches the caller through one chain of stages (`stages`): decoders, text decoder, lines or chunks.
Only the loop that pulls pieces from the stream exists twice, `_iterate` and `_AsyncIteration`. Rules
of both loops:

- The stream is iterated once and closed once: at its end, at an error before the caller sees it, and
  when the consumer stops early.
- Cancellation of an async loop passes through untouched; closing is then its owner's, by `aclose()`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .decoding import decoders
from .errors import RequestError, ResponseNotRead, StreamClosed, StreamConsumed
from .headers import Headers
from .stages import Chain, Stage
from .streams import AsyncByteStream, ByteStream, SyncByteStream
from .text import Chunker, LineDecoder, TextDecoder

if TYPE_CHECKING:
    from .keeping import Kept
    from .request import Request

__all__ = ["ResponseBody"]

_Form: TypeAlias = Literal["raw", "bytes", "text", "lines"]


class ResponseBody:
    """The half of `Response` that moves bytes.

    Attributes:
        headers: The header fields; Content-Encoding is what matters here.
        stream: The body as it comes from the transport.
        is_closed: Whether the connection was released.
        is_stream_consumed: Whether somebody began to iterate over the stream.
    """

    headers: Headers
    stream: SyncByteStream | AsyncByteStream
    is_closed: bool = False
    is_stream_consumed: bool = False
    _request: Request | None
    _content: bytes  # present once it was read
    _num_bytes_downloaded: int = 0

    @property
    def encoding(self) -> str | None:
        """What turns the content into text."""
        raise NotImplementedError

    @property
    def num_bytes_downloaded(self) -> int:
        """How much of the body came so far, as it was encoded on the wire."""
        return self._num_bytes_downloaded

    @property
    def content(self) -> bytes:
        """The decoded body.

        Raises:
            ResponseNotRead: the response is streamed, and nobody called `read()` or `aread()`.
        """
        try:
            return self._content
        except AttributeError:
            raise ResponseNotRead from None

    def read(self) -> bytes:
        """Read the body to its end, if that was not done, and return its content.

        Raises:
            StreamConsumed, StreamClosed: it was streamed or closed before.
            RequestError: receiving or decoding failed; the response is closed.
        """
        content = self._at_hand()
        if content is None:
            from .keeping import Kept  # most bodies come with their head

            kept = Kept()
            gather = self._gatherer("gather")
            if gather is None:
                for piece in self.iter_bytes():
                    kept.add(piece)
            else:
                self._gather(gather, kept)
            content = self._content = kept.content()
        return content

    async def aread(self) -> bytes:
        """The same, for async clients."""
        content = self._at_hand()
        if content is None:
            from .keeping import Kept

            kept = Kept()
            gather = self._gatherer("agather")
            if gather is None:
                async for piece in self.aiter_bytes():
                    kept.add(piece)
            else:
                await self._agather(gather, kept)
            content = self._content = kept.content()
        return content

    def _at_hand(self) -> bytes | None:
        """The content, if it needs no fetching and no decoding."""
        # Cases: all bytes there and plain (a subclass may have something to do in `close`); read before; neither.
        stream = self.stream
        if (
            type(stream) is ByteStream
            and not self.is_stream_consumed
            and not self.is_closed
            and not self.headers.has(b"content-encoding")
        ):
            content = self._content = stream._stream
            self._num_bytes_downloaded = len(content)
            self.is_stream_consumed = self.is_closed = True
            return content
        read: bytes | None = self.__dict__.get("_content")
        return read

    # A stream may know how to receive all of itself at less expense than in pieces.

    def _gatherer(self, name: str) -> Callable[[Kept], Any] | None:
        """What receives the whole stream; None where it comes in pieces, or is coded."""
        gather: Callable[[Kept], Any] | None = getattr(self.stream, name, None)
        if gather is None or self.headers.get_raw(b"content-encoding") is not None:
            return None
        return gather

    def _gather(self, gather: Callable[[Kept], Any], kept: Kept) -> None:
        self._check_streamable()
        try:
            self.is_stream_consumed = True
            try:
                gather(kept)
            finally:
                self._num_bytes_downloaded = kept.size
            self.close()
        except BaseException as exc:
            self._fail(exc)
            raise

    async def _agather(self, gather: Callable[[Kept], Any], kept: Kept) -> None:
        self._check_streamable()
        try:
            self.is_stream_consumed = True
            try:
                await gather(kept)
            finally:
                self._num_bytes_downloaded = kept.size
            await self.aclose()
        except BaseException as exc:
            await self._afail(exc, self.aclose)
            raise

    def _fail(self, error: BaseException) -> None:
        self._name_request(error)
        try:
            self.close()
        except Exception as failed:  # noqa: BLE001  # the first error is the one that matters
            error.add_note(f"Closing the response failed too: {failed!r}")

    async def _afail(self, error: BaseException, close: Callable[[], Awaitable[None]]) -> None:
        self._name_request(error)
        # Cancellation is no error of the stream's, and while it lasts nothing else can be awaited.
        if not isinstance(error, Exception):
            return
        try:
            await close()
        except Exception as failed:  # noqa: BLE001  # the first error is the one that matters
            error.add_note(f"Closing the response failed too: {failed!r}")

    def iter_raw(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The body as it comes over the wire, in pieces of `chunk_size` bytes; None for pieces as they come."""
        return self._iterate("raw", chunk_size)

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The decoded body. A response that was read can be iterated again, except by `iter_raw`.

        Raises:
            StreamConsumed, StreamClosed: it was streamed or closed before.
            RequestError: receiving or decoding failed; the response is closed.
        """
        return self._iterate("bytes", chunk_size)

    def iter_text(self, chunk_size: int | None = None) -> Iterator[str]:
        """The body as text, in pieces of `chunk_size` characters; errors as `iter_bytes`."""
        return self._iterate("text", chunk_size)

    def iter_lines(self) -> Iterator[str]:
        """The body's lines as `str.splitlines` gives them, without their ends; errors as `iter_bytes`."""
        return self._iterate("lines", None)

    def aiter_raw(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """`iter_raw` for async clients. `aclose()` on the iterator stops it early and closes the response."""
        return _AsyncIteration(self, "raw", chunk_size)

    def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """`iter_bytes` for async clients."""
        return _AsyncIteration(self, "bytes", chunk_size)

    def aiter_text(self, chunk_size: int | None = None) -> AsyncIterator[str]:
        """`iter_text` for async clients."""
        return _AsyncIteration(self, "text", chunk_size)

    def aiter_lines(self) -> AsyncIterator[str]:
        """`iter_lines` for async clients."""
        return _AsyncIteration(self, "lines", None)

    def _iterate(self, form: _Form, chunk_size: int | None) -> Iterator[Any]:
        content = self._whole(form)
        if content is not None:
            yield from self._chain(form, chunk_size, decoded=True).whole(content)
            return
        stream = self.stream
        self._check_streamable()
        if not isinstance(stream, SyncByteStream):
            raise RuntimeError(  # it is the state that is wrong, not an argument's type
                "Attempted to call a sync iterator on an async stream. "
                "Use the async methods of the response: aread(), aiter_bytes() and the like."
            )
        try:
            chain = self._chain(form, chunk_size)
            self.is_stream_consumed = True
            self._num_bytes_downloaded = 0
            for raw in stream:
                self._num_bytes_downloaded += len(raw)
                yield from chain.feed(raw)
            self.close()
            yield from chain.finish()
        except BaseException as exc:
            self._fail(exc)
            raise

    def _whole(self, form: _Form) -> bytes | None:
        return None if form == "raw" else self.__dict__.get("_content")

    def _check_streamable(self) -> None:
        if self.is_stream_consumed:
            raise StreamConsumed
        if self.is_closed:
            raise StreamClosed

    def _chain(self, form: _Form, chunk_size: int | None, *, decoded: bool = False) -> Chain:
        """From the wire, or from the content if it is `decoded`, to what the caller asked for."""
        stages: list[Stage[Any, Any]] = []
        if form != "raw" and not decoded:
            codings = self.headers.get("content-encoding")
            if codings:
                stages += decoders(codings)
        if form in ("text", "lines"):
            stages.append(TextDecoder(self.encoding or "utf-8"))
        if form == "lines":
            stages.append(LineDecoder())
        if chunk_size is not None:
            stages.append(Chunker(chunk_size))
        return Chain(stages)

    def _name_request(self, error: BaseException) -> None:
        if self._request is not None and isinstance(error, RequestError):
            error.request = self._request

    # Closing.

    def close(self) -> None:
        """Release the connection, once; happens by itself when the body was read to its end.

        Raises:
            RuntimeError: the stream is async.
        """
        stream = self.stream
        if not isinstance(stream, SyncByteStream):
            raise RuntimeError(  # it is the state that is wrong, not an argument's type
                "Attempted to call an sync close on an async stream. Use `await response.aclose()`."
            )
        if not self.is_closed:
            self.is_closed = True
            try:
                stream.close()
            except RequestError as exc:
                self._name_request(exc)
                raise

    async def aclose(self) -> None:
        """The same, for async clients.

        Raises:
            RuntimeError: the stream is sync.
        """
        stream = self.stream
        if not isinstance(stream, AsyncByteStream):
            raise RuntimeError(  # it is the state that is wrong, not an argument's type
                "Attempted to call an async close on an sync stream. Use `response.close()`."
            )
        if not self.is_closed:
            self.is_closed = True
            try:
                await stream.aclose()
            except RequestError as exc:
                self._name_request(exc)
                raise


class _AsyncIteration(AsyncIterator[Any]):
    """The async loop: a class, as an async generator's clean-up is left to chance."""

    __slots__ = ("_chain", "_open", "_ready", "_response", "_source")

    def __init__(self, response: ResponseBody, form: _Form, chunk_size: int | None) -> None:
        self._response = response
        self._open: tuple[_Form, int | None] | None = (form, chunk_size)  # until the first step
        self._chain = Chain(())
        self._source: AsyncIterator[bytes] | None = None  # where pieces come from, until its end
        self._ready: Iterator[Any] = iter(())  # what the last piece gives

    async def __anext__(self) -> Any:
        if self._open is not None:
            await self._begin(*self._open)
        try:
            while True:
                for item in self._ready:
                    return item
                if self._source is None:
                    break
                await self._pull(self._source)
        except BaseException as exc:
            await self._abandon(exc)
            raise
        raise StopAsyncIteration

    async def _begin(self, form: _Form, chunk_size: int | None) -> None:
        response = self._response
        content = response._whole(form)
        if content is not None:
            self._open = None
            self._ready = response._chain(form, chunk_size, decoded=True).whole(content)
            return
        stream = response.stream
        response._check_streamable()
        if not isinstance(stream, AsyncByteStream):
            raise RuntimeError(  # it is the state that is wrong, not an argument's type
                "Attempted to call an async iterator on an sync stream. "
                "Use the sync methods of the response: read(), iter_bytes() and the like."
            )
        self._open = None
        try:
            self._chain = response._chain(form, chunk_size)
            response.is_stream_consumed = True
            response._num_bytes_downloaded = 0
            self._source = stream.__aiter__()
        except BaseException as exc:
            await self._abandon(exc)
            raise

    async def _pull(self, source: AsyncIterator[bytes]) -> None:
        """Wait for one piece, or for the end."""
        try:
            raw = await source.__anext__()
        except StopAsyncIteration:
            self._source = None
            await self._response.aclose()
            self._ready = self._chain.finish()
        else:
            self._response._num_bytes_downloaded += len(raw)
            self._ready = self._chain.feed(raw)

    async def _abandon(self, error: BaseException) -> None:
        source = self._stop()
        await self._response._afail(error, partial(self._close, source))

    async def aclose(self) -> None:
        """Stop early, and close the response if this was streaming it."""
        source = self._stop()
        if source is not None:
            await self._close(source)

    def _stop(self) -> AsyncIterator[bytes] | None:
        source, self._source = self._source, None
        self._open = None
        self._ready = iter(())
        return source

    async def _close(self, source: object) -> None:
        # Where the stream is an async generator's, that ends first, and here, not when it is collected.
        response = self._response
        aclose = None if source is response.stream else getattr(source, "aclose", None)
        try:
            if aclose is not None:
                await aclose()
        finally:
            await response.aclose()
