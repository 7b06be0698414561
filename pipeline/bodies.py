"""What a caller hands over as a body (bytes, text, forms, JSON, files, iterables), as a stream and its headers."""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from json import JSONEncoder
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from .errors import StreamClosed, StreamConsumed
from .streams import AsyncByteStream, ByteStream, SyncByteStream

if TYPE_CHECKING:
    from .types import RequestContent, RequestData, RequestFiles, ResponseContent

__all__ = [
    "CHUNK_SIZE",
    "EMPTY",
    "AsyncIteratorByteStream",
    "Encoded",
    "IteratorByteStream",
    "UnattachedStream",
    "chunks_of",
    "encode_content",
    "encode_request",
    "encode_response",
    "extent",
    "form_value",
]

# Bytes read from a file at a time.
CHUNK_SIZE = 65_536

# The body of a request that has none; shared, as it holds nothing.
EMPTY = ByteStream(b"")

Chunk = TypeVar("Chunk", bound="bytes | str")
Encoded: TypeAlias = tuple[dict[str, str], SyncByteStream | AsyncByteStream]

# RFC 8259 section 6 has no NaN and no infinities.
_to_json = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encode_request(
    content: RequestContent | None = None,
    data: RequestData | RequestContent | None = None,
    files: RequestFiles | None = None,
    json: Any = None,
    boundary: bytes | None = None,
) -> Encoded:
    """The headers that a request's body asks for, and the body as a stream.

    The first that is given wins: `content`, `files` (with `data` as its plain fields), `data`, `json`.
    A length known beforehand becomes `Content-Length`; any other body is `Transfer-Encoding: chunked`.

    Args:
        boundary: Between the parts of a multipart body; None for a random one.

    Raises:
        TypeError: the content is of no type that a body can be made of.
        ValueError: JSON with NaN or infinities, or a multipart part that would break the framing.
    """
    # A dict is known at sight; asking the abstract class costs more.
    if data is not None and not isinstance(data, (dict, Mapping)):
        return _content_given_as_data(data)
    if content is not None:
        return encode_content(content)
    if files:
        from .multipart import MultipartStream

        multipart = MultipartStream(data or {}, files, boundary)
        return multipart.get_headers(), multipart
    if data:
        return _typed(_form(data), "application/x-www-form-urlencoded")
    if json is not None:
        return _typed(_to_json(json).encode("utf-8"), "application/json")
    return {}, EMPTY


def encode_response(
    content: ResponseContent | None = None,
    text: str | None = None,
    html: str | None = None,
    json: Any = None,
) -> Encoded:
    """The same for a response made by hand. The first that is given wins, in the order of the arguments."""
    if content is not None:
        return encode_content(content)
    if text is not None:
        return _typed(text.encode("utf-8"), "text/plain; charset=utf-8")
    if html is not None:
        return _typed(html.encode("utf-8"), "text/html; charset=utf-8")
    if json is not None:
        return _typed(_to_json(json).encode("utf-8"), "application/json")
    return {}, EMPTY


def encode_content(content: RequestContent) -> Encoded:
    """Raw content; text is sent as UTF-8.

    Files and other iterables are streamed: a file from where it stands, in pieces of 64 KiB.
    """
    if isinstance(content, str):
        content = content.encode("utf-8")
    elif isinstance(content, (bytearray, memoryview)):
        # They are iterables of numbers; what is meant is their bytes.
        content = bytes(content)
    if isinstance(content, bytes):
        return (
            ({"Content-Length": str(len(content))}, ByteStream(content)) if content else ({}, EMPTY)
        )
    if isinstance(content, io.TextIOBase):
        raise TypeError(
            "'content' is a file in text mode, whose pieces are no bytes: open it in binary mode, "
            "open(path, 'rb'), or use io.BytesIO"
        )
    # A dict iterates over its keys, which nobody means.
    if isinstance(content, Iterable) and not isinstance(content, dict):
        stream = IteratorByteStream(content)
        if stream.length is None:
            return {"Transfer-Encoding": "chunked"}, stream
        return {"Content-Length": str(stream.length)}, stream
    if isinstance(content, AsyncIterable):
        return {"Transfer-Encoding": "chunked"}, AsyncIteratorByteStream(content)
    raise TypeError(
        f"Unexpected type for 'content', {type(content)!r}: expected bytes, str or an iterable of bytes; "
        "forms go to 'data', other values to 'json'"
    )


class IteratorByteStream(SyncByteStream):
    """A body from an iterable of bytes or a binary file.

    A file that can seek is sent from where it stood when it was handed over to where it then ended,
    and goes back there each time. It is read while it is being sent, so not by two senders at once,
    and never closed.

    Attributes:
        length: Bytes in all, or None where that is unknown.
        replayable: True for files that can seek, and for iterables that are not iterators.

    Iterating again over anything else raises `StreamConsumed`.
    """

    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream: Any = stream
        self._start, end = extent(stream)
        self.length: int | None = None if end is None else end - (self._start or 0)
        self._consumed = False
        # Cases: can go back; declares it itself; a file that cannot go back; any other iterable.
        declared = getattr(stream, "replayable", None)
        if self._start is not None:
            self.replayable = True
        elif isinstance(declared, bool):
            self.replayable = declared
        else:
            self.replayable = not (hasattr(stream, "read") or hasattr(stream, "__next__"))

    def __iter__(self) -> Iterator[bytes]:
        if self._consumed and not self.replayable:
            raise StreamConsumed
        self._consumed = True
        if self._start is not None:
            self._stream.seek(self._start)
        if hasattr(self._stream, "read"):
            return chunks_of(self._stream.read, self.length)
        return iter(self._stream)


class AsyncIteratorByteStream(AsyncByteStream):
    """A body from an async iterable of bytes, or from an object with `async aread(size)`.

    Attributes:
        replayable: True for async iterables that are not async iterators.

    Iterating again over anything else raises `StreamConsumed`.
    """

    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self._stream: Any = stream
        self._consumed = False
        declared = getattr(stream, "replayable", None)
        if isinstance(declared, bool):
            self.replayable = declared
        else:
            self.replayable = not (hasattr(stream, "aread") or hasattr(stream, "__anext__"))

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self._consumed and not self.replayable:
            raise StreamConsumed
        self._consumed = True
        if hasattr(self._stream, "aread"):
            return _AsyncChunks(self._stream.aread)
        iterator: AsyncIterator[bytes] = self._stream.__aiter__()
        return iterator


class UnattachedStream(AsyncByteStream, SyncByteStream):
    """The body of a message that was pickled before it was read: it stayed where it was.

    Iterating over it raises `StreamClosed`.
    """

    def __iter__(self) -> Iterator[bytes]:
        raise StreamClosed

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise StreamClosed


class _AsyncChunks:
    """Pieces of 64 KiB from `aread`, until it returns nothing."""

    __slots__ = ("_aread",)

    def __init__(self, aread: Callable[[int], Any]) -> None:
        self._aread = aread

    def __aiter__(self) -> _AsyncChunks:
        return self

    async def __anext__(self) -> bytes:
        chunk: bytes = await self._aread(CHUNK_SIZE)
        if not chunk:
            raise StopAsyncIteration
        return chunk


def chunks_of(read: Callable[[int], Chunk], limit: int | None) -> Iterator[Chunk]:
    """Pieces of at most 64 KiB from `read`, at most `limit` bytes in all (None: until the end).

    The limit is what was promised as the length: a file that grows meanwhile must not break it.
    """
    left = limit
    while left is None or left > 0:
        chunk = read(CHUNK_SIZE if left is None else min(CHUNK_SIZE, left))
        if not chunk:
            return
        yield chunk
        if left is not None:
            left -= len(chunk)


def extent(file: Any) -> tuple[int | None, int | None]:
    """Where `file` stands and where it ends, in bytes from its start; None for what it cannot tell.

    A position is told only by files that can go back to it. Nothing is read, and the position stays.
    """
    # Seeking comes first: a GzipFile's descriptor tells another size than what reading it yields.
    try:
        start = file.tell()
        file.seek(0, os.SEEK_END)
        end = file.tell()
        file.seek(start)
    except (AttributeError, OSError):
        pass
    else:
        return start, max(start, end)
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, OSError):
        return None, None
    # Pipes and sockets have descriptors too, and claim a size of 0.
    return None, status.st_size if stat.S_ISREG(status.st_mode) else None


def form_value(value: Any) -> str:
    """A form field's value as text: `true` and `false` as in JSON, None as nothing, else `str(value)`."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None:
        return ""
    return str(value)


def _typed(body: bytes, content_type: str) -> Encoded:
    return {"Content-Length": str(len(body)), "Content-Type": content_type}, ByteStream(body)


def _form(data: RequestData) -> bytes:
    """The form as `application/x-www-form-urlencoded`; a list or tuple repeats its field."""
    fields: list[tuple[Any, str | bytes]] = []
    for name, value in data.items():
        values = value if isinstance(value, (list, tuple)) else (value,)
        fields += [(name, item if isinstance(item, bytes) else form_value(item)) for item in values]
    from urllib.parse import urlencode

    return urlencode(fields).encode("ascii")


def _content_given_as_data(data: Any) -> Encoded:
    if isinstance(data, (list, tuple)) and data and isinstance(data[0], tuple):
        raise TypeError(
            "'data' takes a mapping, and lists repeat a field: data={'tag': ['a', 'b']}, not a list of pairs"
        )
    # Three frames up: past encode_request and Request(), at who made the request.
    warnings.warn(
        "Use 'content=<...>' to upload raw bytes/text content.", DeprecationWarning, stacklevel=4
    )
    return encode_content(data)
