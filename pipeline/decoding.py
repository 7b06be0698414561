"""Content codings (RFC 9110 section 8.4.1): what a server compressed, inflated piece by piece.

Rules, the same for every coding:

- One step gives at most `MAX_STEP` bytes, whatever the input: a small body that inflates without end
  costs its reader time, never memory that was not asked for.
- No input at all is an empty body: an answer to HEAD, a 304. Input that ends too early is an error.
- Whatever a library raises leaves here as `DecodingError`.
- brotli and zstd are imported when the first body needs them; to offer them, it is enough to know that
  they could be.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from .errors import DecodingError

__all__ = ["DECODERS", "MAX_CODINGS", "MAX_STEP", "Decoder", "accept_encoding", "decoders"]

MAX_STEP = 256 * 1024
"""The most bytes that one step of one decoder produces."""

MAX_CODINGS = 5
"""The most codings undone for one body: each may multiply its length by a thousand and more."""

# zlib copies what it has not consumed at every step: in slices this stays linear.
_SLICE = 64 * 1024


class Decoder(Protocol):
    """A stage from coded to plain bytes, in pieces of at most `MAX_STEP`.

    Raises:
        DecodingError: the content is malformed (`feed`), or ends too early (`finish`).
    """

    def feed(self, data: bytes, /) -> Iterator[bytes]: ...

    def finish(self) -> tuple[()]: ...


def decoders(content_encoding: str) -> list[Decoder]:
    """The stages that undo the codings of a Content-Encoding header, the last applied first.

    "identity", unknown codings, and those whose library is not installed are passed through.

    Raises:
        DecodingError: more than `MAX_CODINGS`.
    """
    names = [name.strip().lower() for name in content_encoding.split(",")]
    known = [name for name in names if name in DECODERS and _installed(name)]
    if len(known) > MAX_CODINGS:
        raise DecodingError(
            f"The content is encoded {len(known)} times over; at most {MAX_CODINGS} codings are undone"
        )
    return [DECODERS[name]() for name in reversed(known)]


@cache
def accept_encoding() -> str:
    """The codings that this process can undo, as an Accept-Encoding header names them."""
    return ", ".join(name for name in ("gzip", "deflate", "br", "zstd") if _installed(name))


def _malformed(coding: str, why: object) -> DecodingError:
    return DecodingError(f"Malformed {coding} content: {why}")


def _truncated(coding: str) -> DecodingError:
    return DecodingError(f"Truncated {coding} content: it ends before its last byte")


def _slices(data: bytes, size: int = _SLICE) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


# gzip and deflate


def _inflate(coding: str, inflater: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """What `data` adds, up to the end of the deflate stream; beyond it lies `inflater.unused_data`."""
    while True:
        try:
            piece = inflater.decompress(data, MAX_STEP)
        except zlib.error as exc:
            raise _malformed(coding, exc) from exc
        if piece:
            yield piece
        data = inflater.unconsumed_tail
        # A piece of full length may have left more inside, though all input was consumed.
        if inflater.eof or (not data and len(piece) < MAX_STEP):
            return


class Gzip:
    """RFC 1952. Several members in a row are one body; what else follows a member is ignored."""

    def __init__(self) -> None:
        self._inflater: zlib._Decompress | None = None
        self._between = b""  # what came after a member, until it can be told from another member
        self._over = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        for piece in _slices(data):
            rest = piece
            while rest and not self._over:
                inflater = self._member(rest)
                if inflater is None:
                    break
                rest, self._between = self._between + rest, b""
                yield from _inflate("gzip", inflater, rest)
                rest = inflater.unused_data

    def _member(self, data: bytes) -> zlib._Decompress | None:
        # Cases: the first member, which must be one; inside a member; after one.
        if self._inflater is None:
            self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        elif self._inflater.eof:
            start = (self._between + data[:2])[:2]
            if start == b"\x1f\x8b":
                self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
            elif start == b"\x1f":
                self._between = start
                return None
            else:
                self._over = True
                return None
        return self._inflater

    def finish(self) -> tuple[()]:
        if self._inflater is not None and not self._inflater.eof:
            raise _truncated("gzip")
        return ()


class Deflate:
    """zlib's format (RFC 1950), and the bare deflate stream (RFC 1951) that some servers send instead."""

    def __init__(self) -> None:
        self._inflater: zlib._Decompress | None = None
        self._start = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        for piece in _slices(data):
            rest = piece
            if self._inflater is None:
                # Two bytes tell the formats apart: RFC 1950 section 2.2, CM and FCHECK.
                rest = self._start = self._start + rest
                if len(rest) < 2:
                    continue
                wrapped = rest[0] & 0x0F == 8 and int.from_bytes(rest[:2], "big") % 31 == 0
                self._inflater = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
            if not self._inflater.eof:
                yield from _inflate("deflate", self._inflater, rest)

    def finish(self) -> tuple[()]:
        if self._start and (self._inflater is None or not self._inflater.eof):
            raise _truncated("deflate")
        return ()


# br


class Brotli:
    """RFC 7932, by `brotli` or `brotlicffi`.

    Before their versions 1.2 neither can bound its output; input then goes in by small slices, which
    bounds what ordinary content inflates to, but not what is made to inflate.
    """

    def __init__(self) -> None:
        library = _library("br")
        self._brotli = library.Decompressor()
        self._error: type[Exception] = library.error
        self._bounded = hasattr(self._brotli, "can_accept_more_data")
        self._fed = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._fed = True
        for piece in _slices(data, _SLICE if self._bounded else 1024):
            yield from (
                self._steps(piece) if self._bounded else _slices(self._process(piece), MAX_STEP)
            )

    def _steps(self, data: bytes) -> Iterator[bytes]:
        # The library stops where its buffers, 32, 64 and 128 KiB long, have passed the limit together.
        limit = MAX_STEP // 2
        while True:
            piece = self._process(data, output_buffer_limit=limit)
            if piece:
                yield piece
            # `can_accept_more_data()` does not tell: it is also true while output waits inside.
            if len(piece) < limit:
                return
            data = b""

    def _process(self, data: bytes, **limit: int) -> bytes:
        if data and self._brotli.is_finished():
            raise _malformed("br", "data follows its end")
        try:
            piece: bytes = self._brotli.process(data, **limit)
        except self._error as exc:
            raise _malformed("br", exc) from exc
        return piece

    def finish(self) -> tuple[()]:
        if self._fed and not self._brotli.is_finished():
            raise _truncated("br")
        return ()


# zstd


class Zstd:
    """RFC 8878, several frames in a row included, by `compression.zstd` or its backport."""

    def __init__(self) -> None:
        self._library = _library("zstd")
        self._frame: Any = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        for piece in _slices(data):
            rest = piece
            while rest:
                if self._frame is None or self._frame.eof:
                    self._frame = self._library.ZstdDecompressor()
                yield from self._steps(rest)
                rest = self._frame.unused_data

    def _steps(self, data: bytes) -> Iterator[bytes]:
        frame = self._frame
        while True:
            try:
                piece = frame.decompress(data, MAX_STEP)
            except self._library.ZstdError as exc:
                raise _malformed("zstd", exc) from exc
            if piece:
                yield piece
            if frame.eof or frame.needs_input:
                return
            data = b""

    def finish(self) -> tuple[()]:
        if self._frame is not None and not self._frame.eof:
            raise _truncated("zstd")
        return ()


class ZstdByBlocks:
    """The same by `zstandard`, which cannot bound its output.

    So its input is cut where the format bounds it: no block inflates to more than 128 KiB (RFC 8878
    section 3.1.1.2).
    """

    def __init__(self) -> None:
        self._library = _library("zstd")
        self._frame: Any = None
        self._blocks = _ZstdBlocks()

    def feed(self, data: bytes) -> Iterator[bytes]:
        for piece in self._blocks.cut(data):
            rest = piece
            while rest:
                if self._frame is None or self._frame.eof:
                    self._frame = self._library.ZstdDecompressor().decompressobj()
                try:
                    plain = self._frame.decompress(rest)
                except self._library.ZstdError as exc:
                    raise _malformed("zstd", exc) from exc
                if plain:
                    yield plain
                rest = self._frame.unused_data

    def finish(self) -> tuple[()]:
        if self._frame is not None and not self._frame.eof:
            raise _truncated("zstd")
        return ()


class _ZstdBlocks:
    """Cuts zstd data so that no piece reaches beyond the end of one block."""

    def __init__(self) -> None:
        self._fields = _zstd_fields()
        self._asked = self._left = next(self._fields)
        self._field = b""

    def cut(self, data: bytes) -> Iterator[bytes]:
        start = position = 0
        while position < len(data):
            taken = min(self._left, len(data) - position)
            content = self._asked < 0
            if not content:
                self._field += data[position : position + taken]
            position += taken
            self._left -= taken
            if not self._left:
                self._advance()
                if content:
                    yield data[start:position]
                    start = position
        if start < position:
            yield data[start:]

    def _advance(self) -> None:
        while not self._left:
            self._asked = self._fields.send(self._field)
            self._left = abs(self._asked)
            self._field = b""


def _zstd_fields() -> Generator[int, bytes, None]:
    """The format as a dialogue: the length of each field in turn, its bytes as the answer.

    A negative length is content, which nobody needs to see: a block, a checksum, a skippable frame.
    """
    while True:
        magic = int.from_bytes((yield 4), "little")
        if magic & ~0xF == 0x184D2A50:
            yield -int.from_bytes((yield 4), "little")
            continue
        if magic != 0xFD2FB528:
            raise _malformed("zstd", f"no frame begins with {magic:#010x}")
        descriptor = (yield 1)[0]
        single_segment = descriptor >> 5 & 1
        size_bytes = (single_segment, 2, 4, 8)[descriptor >> 6]
        yield (1 - single_segment) + (0, 1, 2, 4)[descriptor & 3] + size_bytes
        last = 0
        while not last:
            block = int.from_bytes((yield 3), "little")
            last, kind, length = block & 1, block >> 1 & 3, block >> 3
            yield -(1 if kind == 1 else length)
        if descriptor & 4:
            yield -4


# What is installed


_LIBRARIES = {
    "br": (("brotli", "brotli"), ("brotlicffi", "brotlicffi")),
    # Each with the module whose presence proves it: Python can be built without its own.
    "zstd": (
        ("_zstd", "compression.zstd"),
        ("backports.zstd", "backports.zstd"),
        ("zstandard", "zstandard"),
    ),
}


@cache
def _library_name(coding: str) -> str | None:
    """The first installed library for a coding; looks, but imports nothing."""
    for proof, name in _LIBRARIES[coding]:
        try:
            if find_spec(proof) is not None:
                return name
        except ModuleNotFoundError:  # the package around it is missing
            continue
    return None


def _library(coding: str) -> Any:
    name = _library_name(coding)
    assert name is not None, f"no library for {coding} is installed"
    return import_module(name)


def _installed(coding: str) -> bool:
    return coding not in _LIBRARIES or _library_name(coding) is not None


def _zstd() -> Decoder:
    return ZstdByBlocks() if _library_name("zstd") == "zstandard" else Zstd()


DECODERS: dict[str, Callable[[], Decoder]] = {
    "gzip": Gzip,
    "x-gzip": Gzip,  # RFC 9110 section 8.4.1.3: the same by an older name
    "deflate": Deflate,
    "br": Brotli,
    "zstd": _zstd,
}
"""What undoes each coding, by its name in lower case; add to it to support another one."""
