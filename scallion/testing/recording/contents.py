"""A message's body as a HAR file holds it: without its content codings, as text where it is text, else in base64.

Rules:

- Text is what its charset (UTF-8, if none is named) decodes and encodes again to the very same bytes. What says it is
  no text is taken for it all the same if it is UTF-8 without control characters.
- Codings are undone for the file and applied again for the program, which so sees the `Content-Encoding` that it
  saw. The coded bytes may differ from the server's, as compressors do; what they decode to does not.
- What cannot be decoded is stored as it came, marked `_coded`.
"""

from __future__ import annotations

import gzip
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from scallion.pipeline.decoding import DECODERS, decoders
from scallion.pipeline.text import charset, is_known_encoding

__all__ = ["bytes_of", "coded", "cut", "decoded", "pieces_of", "stored"]

_TEXTUAL = re.compile(
    r"text/|.*[/+](json|xml|x-www-form-urlencoded|javascript|ecmascript|graphql|x-ndjson|jsonlines|yaml|x-yaml)\b",
    re.IGNORECASE,
)
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MOST_PIECES = 1000


def _charset(content_type: str) -> str:
    named = charset(content_type)
    return named if named is not None and is_known_encoding(named) else "utf-8"


def stored(body: bytes, content_type: str) -> dict[str, Any]:
    """`text`, and `encoding` if the text is base64."""
    encoding = _charset(content_type)
    try:
        text = body.decode(encoding)
        same = text.encode(encoding) == body
    except ValueError:
        same = False
    if same and (_TEXTUAL.match(content_type) or not _CONTROLS.search(text)):
        return {"text": text}
    return {"text": b64encode(body).decode("ascii"), "encoding": "base64"}


def bytes_of(content: dict[str, Any], content_type: str) -> bytes:
    """The bytes that `stored` made this of; for a browser's recording, those that its text stands for.

    Raises:
        ValueError: the base64 is malformed.
    """
    text = content.get("text") or ""
    if (content.get("encoding") or content.get("_encoding")) == "base64":
        return b64decode(text)
    try:
        return bytes(text.encode(_charset(content_type)))
    except UnicodeEncodeError:
        return bytes(text.encode("utf-8", "surrogatepass"))


def decoded(body: bytes, content_encoding: str, limit: int | None, *, whole: bool) -> bytes | None:
    """`body` without its codings; None if it is longer than `limit` bytes then.

    Args:
        whole: Whether the body came to its end; else its beginning is decoded.

    Raises:
        DecodingError: it is malformed.
    """
    pieces = [body]
    for stage in decoders(content_encoding) if content_encoding and body else ():
        size = 0
        plain: list[bytes] = []
        for piece in pieces:
            for part in stage.feed(piece):
                size += len(part)
                if limit is not None and size > limit:
                    return None
                plain.append(part)
        if whole:
            stage.finish()
        pieces = plain
    return b"".join(pieces)


def coded(body: bytes, content_encoding: str) -> bytes | None:
    """`body` with the codings that a reader will undo; None if this process cannot apply one of them."""
    if not body:
        return body
    for name in (name.strip().lower() for name in content_encoding.split(",")):
        # What cannot be undone here passes undone, there and here.
        if name not in DECODERS or not _undone(name):
            continue
        encode = _ENCODERS.get(name)
        if encode is None:
            return None
        body = encode(body)
    return body


def _undone(coding: str) -> bool:
    return bool(decoders(coding))


def _brotli(body: bytes) -> bytes:
    for name in ("brotli", "brotlicffi"):
        try:
            library = import_module(name)
        except ImportError:
            continue
        compressed: bytes = library.compress(body)
        return compressed
    raise AssertionError("no library for br, though it can be undone")


def _zstd(body: bytes) -> bytes:
    for name in ("compression.zstd", "backports.zstd", "zstandard"):
        try:
            library = import_module(name)
        except ImportError:
            continue
        compressed: bytes = library.compress(body)
        return compressed
    raise AssertionError("no library for zstd, though it can be undone")


def _gzip(body: bytes) -> bytes:
    # No time in it: what is replayed is the same each time.
    return gzip.compress(body, mtime=0)


_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": zlib.compress,
    "br": _brotli,
    "zstd": _zstd,
}


def pieces_of(lengths: Sequence[int]) -> str | None:
    """How a body came in pieces, as the file says it: their lengths; None where it is not worth a word."""
    if 1 < len(lengths) <= _MOST_PIECES:
        return " ".join(map(str, lengths))
    return None


def cut(body: bytes, lengths: Any) -> list[bytes]:
    """`body` in the pieces that `pieces_of` told of, or in one if they are not this body's."""
    try:
        sizes = [int(length) for length in lengths.split()]
    except (AttributeError, ValueError):
        sizes = []
    if sum(sizes) != len(body) or any(size <= 0 for size in sizes):
        return [body] if body else []
    pieces = []
    start = 0
    for size in sizes:
        pieces.append(body[start : start + size])
        start += size
    return pieces
