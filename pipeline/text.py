"""From bytes to text: the charset of a Content-Type, incremental decoding, lines and chunks.

The classes are stages (see `stages`): whatever way a body is cut into pieces, their answers, put
together, are the same.
"""

from __future__ import annotations

import codecs
import re
import sys
from functools import lru_cache
from typing import AnyStr, Generic

__all__ = ["Chunker", "LineDecoder", "TextDecoder", "charset", "is_known_encoding", "parse_links"]

_QUOTED = r'"(?:[^"\\]|\\.)*"'

# Patterns, compiled when the first header wants them.
# RFC 9110 section 5.6.6. The first group may follow nothing at all: some servers send only "charset=utf-8".
_PARAMETER = rf"(?:^|;)\s*([^=;\s]+)\s*=\s*({_QUOTED}|[^;]*)"

# RFC 8288 section 3: a target between angle brackets, then parameters up to a comma outside quotes.
_LINK = rf'<([^>]*)>((?:[^,"]|{_QUOTED})*)'


@lru_cache(maxsize=256)
def is_known_encoding(encoding: str) -> bool:
    """Whether Python has a codec of this name that turns any bytes into text.

    Codecs between bytes and bytes ("zlib", "hex") are none: a server that names one would inflate
    or break the text.
    """
    try:
        b"\xff".decode(encoding, "replace")
    except (LookupError, ValueError):
        return False
    return True


@lru_cache(maxsize=256)
def charset(content_type: str) -> str | None:
    """The charset parameter of a Content-Type, in lower case (RFC 9110 section 8.3.2), or None."""
    for match in re.finditer(_PARAMETER, content_type):
        if match[1].lower() == "charset":
            return _unquoted(match[2]).lower()
    # As in httpx, a name without a value is an empty charset.
    return "" if re.search(r"(?i);\s*charset\s*(?:;|$)", content_type) else None


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value


class TextDecoder:
    """Bytes to text; what is no text in that encoding becomes U+FFFD.

    Raises:
        LookupError: Python has no such encoding.
    """

    __slots__ = ("_decoder", "_encoding")

    def __init__(self, encoding: str = "utf-8") -> None:
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")

    def feed(self, data: bytes) -> list[str]:
        return self._decode(data, final=False)

    def finish(self) -> list[str]:
        return self._decode(b"", final=True)

    def _decode(self, data: bytes, *, final: bool) -> list[str]:
        try:
            text = self._decoder.decode(data, final)
        except UnicodeError:
            # UTF-16 or UTF-32 without a byte order mark: as in `bytes.decode`, this machine's order.
            family = codecs.lookup(self._encoding).name
            if family not in ("utf-16", "utf-32"):
                raise
            held: bytes = self._decoder.getstate()[0]
            self._decoder = codecs.getincrementaldecoder(f"{family}-{sys.byteorder[0]}e")("replace")
            text = self._decoder.decode(held + data, final)
        return [text] if text else []


class LineDecoder:
    """Text to lines without their ends, exactly as `str.splitlines` would cut the whole.

    A carriage return at the end of a piece waits for the next one, which may begin with its newline.
    """

    __slots__ = ("_held", "_open")

    def __init__(self) -> None:
        self._open: list[str] = []  # the parts of a line whose end has not come
        self._held = False  # the last piece ended in a carriage return

    def feed(self, text: str) -> list[str]:
        if self._held:
            text = "\r" + text
        self._held = text.endswith("\r")
        if self._held:
            text = text[:-1]
        # With a mark behind the text, the last line is always the unfinished one, the mark included.
        lines = (text + "|").splitlines()
        rest = lines.pop()[:-1]
        if lines and self._open:
            lines[0] = "".join((*self._open, lines[0]))
            self._open.clear()
        if rest:
            self._open.append(rest)
        return lines

    def finish(self) -> list[str]:
        last = ["".join(self._open)] if self._open or self._held else []
        self._open.clear()
        self._held = False
        return last


class Chunker(Generic[AnyStr]):
    """Pieces of any length to pieces of `size`, the last one shorter.

    Raises:
        ValueError: `size` is less than 1.
    """

    __slots__ = ("_length", "_parts", "_size")

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(
                f"chunk_size must be at least 1, or None for pieces as they come: {size!r}"
            )
        self._size = size
        self._parts: list[AnyStr] = []
        self._length = 0

    def feed(self, data: AnyStr) -> list[AnyStr]:
        # Joined only when a chunk is full, so that many small pieces cost their length, not its square.
        self._parts.append(data)
        self._length += len(data)
        size = self._size
        if self._length < size:
            return []
        whole = data[:0].join(self._parts)
        self._length = len(whole) % size
        end = len(whole) - self._length
        self._parts = [whole[end:]] if self._length else []
        return [whole[start : start + size] for start in range(0, end, size)]

    def finish(self) -> list[AnyStr]:
        parts, self._parts, self._length = self._parts, [], 0
        return [parts[0][:0].join(parts)] if parts else []


def parse_links(header: str) -> list[dict[str, str]]:
    """The links of a Link header (RFC 8288): each its parameters, and its target as "url"."""
    return [
        {
            "url": target.strip(" '\""),
            **{
                name: _unquoted(value).strip(" '")
                for name, value in re.findall(_PARAMETER, parameters)
            },
        }
        for target, parameters in re.findall(_LINK, header)
    ]
