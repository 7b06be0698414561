"""multipart/form-data (RFC 7578): forms with files, streamed and never held in memory as a whole."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from .bodies import CHUNK_SIZE, chunks_of, extent, form_value
from .errors import StreamConsumed
from .streams import AsyncByteStream, SyncByteStream, _Once

if TYPE_CHECKING:
    from .types import RequestData, RequestFiles

__all__ = ["MultipartStream", "boundary_of"]

# RFC 2046 section 5.1.1: 1 to 70 of these, the last one no space.
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
# RFC 9110 section 5.6.6: a parameter is a token, or else quoted.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BREAKS = re.compile(r"[\r\n\0]")

# HTML's rules for names and filenames percent-encode quotes and line breaks; like httpx and unlike
# HTML, so do these all control characters but escape, and backslashes are doubled.
_ESCAPES = {code: f"%{code:02X}" for code in range(0x20) if code != 0x1B} | {
    ord('"'): "%22",
    ord("\\"): "\\\\",
}


class MultipartStream(SyncByteStream, AsyncByteStream):
    """A form's fields and files as one body; both colours.

    A file is a binary file object, bytes, text or a path, alone or in a tuple `(filename, content)`,
    `(filename, content, content_type)` or `(filename, content, content_type, headers)`. Several files
    under one name are a list in a mapping, or pairs of the same name in a list of pairs.

    File objects are sent from their beginning, wherever they stand, and stay open; while one is being
    sent nobody else may read it. Paths are opened when their turn comes and closed after it. Reading
    blocks, under an async client as well.

    Attributes:
        boundary: What stands between the parts.
        content_type: The value of the `Content-Type` header, boundary included.
        replayable: True if every file can be sent again: no file object that cannot seek.

    Iterating again over a body that is not replayable raises `StreamConsumed`.

    Raises:
        TypeError: a field's or file's name or value is of no type that can be sent.
        ValueError: a line break in a part's headers, or a boundary that RFC 2046 does not allow.
        OSError: a path cannot be examined.
    """

    def __init__(
        self, data: RequestData, files: RequestFiles, boundary: bytes | None = None
    ) -> None:
        if boundary is None:
            boundary = os.urandom(16).hex().encode("ascii")
        elif not _BOUNDARY.fullmatch(boundary):
            raise ValueError(
                f"Invalid multipart boundary {boundary!r}: expected 1 to 70 letters, digits or '()+_,-./:=? "
                "and no space at the end (RFC 2046 section 5.1.1)"
            )
        self.boundary = boundary
        text = boundary.decode("ascii")
        self.content_type = (
            f"multipart/form-data; boundary={text if _TOKEN.fullmatch(text) else _quoted(text)}"
        )
        self._pieces = _joined(_framed(b"--" + boundary, (*_fields(data), *_files(files))))
        self.replayable = all(
            piece.replayable for piece in self._pieces if isinstance(piece, _File)
        )
        self._consumed = False

    def get_content_length(self) -> int | None:
        """Bytes in all, or None if a file cannot tell its size."""
        total = 0
        for piece in self._pieces:
            length = piece.length if isinstance(piece, _File) else len(piece)
            if length is None:
                return None
            total += length
        return total

    def get_headers(self) -> dict[str, str]:
        """The headers that this body needs: its framing and its type."""
        length = self.get_content_length()
        if length is None:
            return {"Transfer-Encoding": "chunked", "Content-Type": self.content_type}
        return {"Content-Length": str(length), "Content-Type": self.content_type}

    def __iter__(self) -> Iterator[bytes]:
        if self._consumed and not self.replayable:
            raise StreamConsumed
        self._consumed = True
        return self._chunks()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Once(iter(self))

    def close(self) -> None:
        """Close the paths that are open; file objects belong to the caller. It can be sent again."""
        for piece in self._pieces:
            if isinstance(piece, _File):
                piece.close()

    async def aclose(self) -> None:
        self.close()

    def _chunks(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, _File):
                yield from piece.chunks()
            else:
                yield piece


def boundary_of(content_type: str | None) -> bytes | None:
    """The boundary that a `Content-Type` of multipart/form-data names; None if there is none."""
    kind, _, parameters = (content_type or "").partition(";")
    if kind.strip().lower() != "multipart/form-data":
        return None
    for parameter in parameters.split(";"):
        name, equals, value = parameter.strip().partition("=")
        if equals and name.lower() == "boundary":
            return value.strip('"').encode("utf-8")
    return None


class _File:
    """One file's bytes, read while they are sent.

    Attributes:
        length: Bytes, or None where that is unknown.
        replayable: Whether it can go back to its beginning.
    """

    __slots__ = ("_file", "_opened", "_path", "length", "replayable")

    def __init__(self, file: Any) -> None:
        self._opened: set[IO[bytes]] = set()
        self._path: str | bytes | None = None
        self._file = file
        if isinstance(file, os.PathLike):
            self._path = os.fspath(file)
            status = os.stat(self._path)  # noqa: PTH116 - pathlib need not be loaded for this.
            regular = stat.S_ISREG(status.st_mode)
            self.length = status.st_size if regular else None
            self.replayable = regular
        else:
            start, self.length = extent(file)
            self.replayable = start is not None

    def chunks(self) -> Iterator[bytes]:
        if self._path is not None:
            with open(self._path, "rb") as file:  # noqa: PTH123
                self._opened.add(file)
                try:
                    yield from chunks_of(file.read, self.length)
                finally:
                    self._opened.discard(file)
            return
        if self.replayable:
            self._file.seek(0)
        for chunk in chunks_of(self._file.read, self.length):
            yield chunk.encode("utf-8") if isinstance(chunk, str) else chunk

    def close(self) -> None:
        """Close what this has opened."""
        while self._opened:
            self._opened.pop().close()


def _framed(
    delimiter: bytes, parts: Iterable[tuple[bytes, bytes | _File]]
) -> Iterator[bytes | _File]:
    for head, body in parts:
        yield delimiter + b"\r\n" + head + b"\r\n\r\n"
        yield body
        yield b"\r\n"
    yield delimiter + b"--\r\n"


def _joined(pieces: Iterable[bytes | _File]) -> list[bytes | _File]:
    """The same with short neighbours joined, so that a small form goes out in one write."""
    joined: list[bytes | _File] = []
    short: list[bytes] = []
    size = 0
    for piece in pieces:
        if isinstance(piece, bytes) and size + len(piece) <= CHUNK_SIZE:
            short.append(piece)
            size += len(piece)
        else:
            # A long piece stays as it is: joining it would copy it.
            joined += (b"".join(short), piece)
            short, size = [], 0
    joined.append(b"".join(short))
    return [piece for piece in joined if piece != b""]


def _fields(data: RequestData) -> Iterator[tuple[bytes, bytes]]:
    """Head and body of each plain field; a list or tuple repeats its field."""
    for name, value in data.items():
        disposition = _disposition(name)
        for item in value if isinstance(value, (list, tuple)) else (value,):
            # The value stays out of the message: forms carry passwords.
            if item is not None and not isinstance(item, (str, bytes, int, float)):
                raise TypeError(
                    f"Invalid type for value of the field {name!r}: expected str, bytes, int, float, bool or "
                    f"None, got {type(item)!r}"
                )
            yield disposition, item if isinstance(item, bytes) else form_value(item).encode("utf-8")


def _files(files: RequestFiles) -> Iterator[tuple[bytes, bytes | _File]]:
    """Head and body of each file."""
    pairs: Iterable[tuple[str, Any]] = files.items() if isinstance(files, Mapping) else files
    for name, value in pairs:
        # A tuple describes one file; only a list holds several.
        for item in value if isinstance(value, list) else (value,):
            yield _file(name, item)


def _file(name: str, value: Any) -> tuple[bytes, bytes | _File]:
    filename, content, content_type, headers = _unpacked(name, value)
    lines = [_disposition(name, filename)]
    lines += [_header(name, key, text) for key, text in headers.items()]
    # A type in the headers wins over the one given beside them.
    if not any(key.lower() == "content-type" for key in headers):
        if content_type is None:
            content_type = _guessed_type(filename)
        if content_type is not None:
            lines.append(_header(name, "Content-Type", content_type))
    return b"\r\n".join(lines), _content(name, content)


def _unpacked(name: str, value: Any) -> tuple[str | None, Any, str | None, Mapping[str, str]]:
    # Cases: content without a name; a file that has one; a tuple of two to four.
    if not isinstance(value, tuple):
        name_of_file = getattr(value, "name", None)
        if name_of_file is None:
            return "upload", value, None, {}
        from pathlib import PurePath

        return PurePath(str(name_of_file)).name, value, None, {}
    if not 2 <= len(value) <= 4:
        raise ValueError(
            f"The file {name!r} is a tuple of {len(value)}: expected (filename, content), "
            "(filename, content, content_type) or (filename, content, content_type, headers)"
        )
    filename, content, content_type, headers = (*value, None, None)[:4]
    return filename, content, content_type, headers or {}


def _content(name: str, content: Any) -> bytes | _File:
    if isinstance(content, str):
        return content.encode("utf-8")
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    if isinstance(content, os.PathLike):
        return _File(content)
    # Named temporary files wrap what they are in `.file`.
    for file in (content, getattr(content, "file", None)):
        if isinstance(file, io.StringIO):
            raise TypeError(
                f"The file {name!r} is an io.StringIO: multipart uploads need an io.BytesIO"
            )
        if isinstance(file, io.TextIOBase):
            raise TypeError(
                f"The file {name!r} is open in text mode: multipart uploads need binary mode, open(path, 'rb')"
            )
    read = getattr(content, "read", None)
    if not callable(read):
        raise TypeError(
            f"Invalid type for the file {name!r}: expected a binary file, bytes, str or a path, "
            f"got {type(content)!r}"
        )
    # CO_COROUTINE: `await upload.read()` is wanted, and this reader cannot wait.
    if getattr(getattr(read, "__code__", None), "co_flags", 0) & 0x80:
        raise TypeError(
            f"The file {name!r} reads asynchronously: pass the plain file inside it (often `.file`), or its bytes"
        )
    return _File(content)


def _disposition(name: Any, filename: Any = None) -> bytes:
    if not isinstance(name, str):
        raise TypeError(
            f"Invalid type for name of a form field: expected str, got {type(name)!r}: {name!r}"
        )
    line = f'Content-Disposition: form-data; name="{name.translate(_ESCAPES)}"'
    if filename:
        if not isinstance(filename, str):
            raise TypeError(
                f"Invalid type for filename of {name!r}: expected str, got {type(filename)!r}"
            )
        line += f'; filename="{filename.translate(_ESCAPES)}"'
    return line.encode("utf-8")


def _header(name: str, key: Any, value: Any) -> bytes:
    """One header line of the file `name`; nothing in it may end the line or the head."""
    if not (isinstance(key, str) and isinstance(value, str)):
        raise TypeError(f"Headers of the file {name!r} must be str: {key!r} is {type(value)!r}")
    if not _TOKEN.fullmatch(key):
        raise ValueError(f"Invalid header name {key!r} for the file {name!r}")
    if _BREAKS.search(value):
        raise ValueError(f"Line break in the header {key!r} of the file {name!r}")
    return f"{key}: {value}".encode()


def _guessed_type(filename: str | None) -> str | None:
    if not filename:
        return None
    import mimetypes

    return mimetypes.guess_type(filename)[0] or "application/octet-stream"


def _quoted(text: str) -> str:
    # A boundary holds neither quotes nor backslashes.
    return f'"{text}"'
