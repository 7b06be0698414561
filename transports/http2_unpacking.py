"""HPACK's decoder (RFC 7541), in Python, or compiled where jh2 is installed (`scallion[speed]`): chosen at import.

As long as a decoder's `version` is the same, equal bytes are equal fields: what a block was found to say may be used again.
"""

from __future__ import annotations

import re
from collections import deque
from functools import lru_cache
from importlib import import_module
from typing import Any, Protocol, TypeAlias

from hpack.huffman_table import (
    HUFFMAN_COMPLETE,
    HUFFMAN_EMIT_SYMBOL,
    HUFFMAN_FAIL,
    HUFFMAN_TABLE,
)

from .http2_hpack import FIRST_DYNAMIC, OVERHEAD, STATIC, TABLE_SIZE, Field
from .messages import RawHeaders

__all__ = [
    "DECODER",
    "CompiledDecoder",
    "CompressionFault",
    "Decoder",
    "Oversized",
    "PlainDecoder",
]

# Numbers are octets with seven bits each after the first; five reach beyond every length that is allowed.
_LAST_SHIFT = 28


class CompressionFault(Exception):
    """A block that cannot be decoded: the table's state is lost, and the connection with it (section 4.3)."""


class Oversized(Exception):
    """A block whose fields take more than is allowed; decoding was given up in its midst."""


class Decoder(Protocol):
    """Decodes the fields that one side of a connection receives.

    Attributes:
        version: Another one whenever the dynamic table may be.
    """

    version: int

    def __init__(self, most: int) -> None:
        """`most`: bytes of a block's fields, counted as RFC 9113 section 6.5.2 does."""

    def decode(self, block: bytes) -> RawHeaders:
        """The fields of a block.

        Raises:
            CompressionFault: it cannot be decoded.
            Oversized: the fields take more than is allowed.
        """


class PlainDecoder:
    """The decoder in Python."""

    def __init__(self, most: int) -> None:
        self.version = 0
        self._most = most
        self._limit = TABLE_SIZE
        self._size = 0
        self._entries: deque[Field] = deque()  # The newest first.

    def decode(self, block: bytes) -> RawHeaders:
        try:
            return self._decode(block)
        except IndexError as error:
            raise CompressionFault("a block ends early, or refers to no entry") from error

    def _decode(self, block: bytes) -> RawHeaders:
        fields: RawHeaders = []
        at, end, size = 0, len(block), 0
        while at < end:
            octet = block[at]
            # Cases: an indexed field (section 6.1), a literal one (6.2), the table's new size (6.3).
            if octet & 0x80:
                index = octet & 0x7F
                if index == 0x7F:
                    index, at = _read_number(block, at, 0x7F)
                else:
                    at += 1
                field = self._entry(index)
            elif octet & 0x60 != 0x20:
                field, at = self._read_literal(block, at)
            else:
                if fields:
                    raise CompressionFault("a block changes the table's size in its midst")
                limit, at = _read_number(block, at, 0x1F)
                self._resize(limit)
                continue
            fields.append(field)
            size += len(field[0]) + len(field[1]) + OVERHEAD
            if size > self._most:
                raise Oversized(f"more than {self._most} bytes of header fields")
        return fields

    def _entry(self, index: int) -> Field:
        if index < FIRST_DYNAMIC:
            if not index:
                raise CompressionFault("a field refers to entry 0")
            return STATIC[index]
        return self._entries[index - FIRST_DYNAMIC]

    def _read_literal(self, block: bytes, at: int) -> tuple[Field, int]:
        indexed = block[at] & 0x40
        index, at = _read_number(block, at, 0x3F if indexed else 0x0F)
        if index:
            name = self._entry(index)[0]
        else:
            name, at = _read_string(block, at)
        value, at = _read_string(block, at)
        if indexed:
            self._insert((name, value))
        return (name, value), at

    def _insert(self, field: Field) -> None:
        size = len(field[0]) + len(field[1]) + OVERHEAD
        # What is larger than the table empties it (section 4.4).
        self._shrink(max(self._limit - size, 0))
        if size <= self._limit:
            self._entries.appendleft(field)
            self._size += size
            self.version += 1

    def _resize(self, limit: int) -> None:
        if limit > TABLE_SIZE:
            raise CompressionFault("the table is to be larger than allowed")
        if limit != self._limit:
            self._limit = limit
            self.version += 1
        self._shrink(limit)

    def _shrink(self, size: int) -> None:
        while self._size > size:
            name, value = self._entries.pop()
            self._size -= len(name) + len(value) + OVERHEAD
            self.version += 1


def _read_number(block: bytes, at: int, most: int) -> tuple[int, int]:
    """The integer at `at`, in the bits of `most` and further octets; and where it ends (section 5.1)."""
    number = block[at] & most
    at += 1
    if number < most:
        return number, at
    shift = 0
    while True:
        octet = block[at]
        at += 1
        number += (octet & 0x7F) << shift
        if octet < 0x80:
            return number, at
        shift += 7
        if shift > _LAST_SHIFT:
            raise CompressionFault("a number is too long")


def _read_string(block: bytes, at: int) -> tuple[bytes, int]:
    """The string at `at`, and where it ends (section 5.2)."""
    coded = block[at] & 0x80
    size, at = _read_number(block, at, 0x7F)
    end = at + size
    text = block[at:end]
    if len(text) < size:
        raise CompressionFault("a string ends early")
    if coded:
        # Dates and lengths, which come in many answers, are short; secrets mostly are not.
        text = _short_text(text) if size <= _SHORT else _text(text)
    return text, end


_SHORT = 24


def _text(coded: bytes) -> bytes:
    """A string in Huffman's code (section 5.2), octet by octet: the state after one, and what it completes, is remembered."""
    parts = []
    state = 0
    whole = True
    for octet in coded:
        step = _steps.get(state << 8 | octet) or _step(state, octet)
        state, text, whole = step
        parts.append(text)
    if not whole:
        raise CompressionFault("a string is not in Huffman's code")
    return b"".join(parts)


_short_text = lru_cache(1024)(_text)

_Step: TypeAlias = tuple[int, bytes, bool]
_steps: dict[int, _Step] = {}
_MOST_STEPS = 16_384


def _step(state: int, octet: int) -> _Step:
    """The next state, the text that came to be, and whether a string may end here; by hpack's table for four bits."""
    key = state << 8 | octet
    text = b""
    flags = 0
    for nibble in (octet >> 4, octet & 0x0F):
        state, flags, symbol = HUFFMAN_TABLE[(state << 4) + nibble]
        if flags & HUFFMAN_FAIL:
            raise CompressionFault("a string is not in Huffman's code")
        if flags & HUFFMAN_EMIT_SYMBOL:
            text += bytes((symbol,))
    step = (state, text, bool(flags & HUFFMAN_COMPLETE))
    if len(_steps) < _MOST_STEPS:
        _steps[key] = step
    return step


class CompiledDecoder:
    """jh2's decoder. It does not tell what it does to its table, so that is seen from the block."""

    def __init__(self, most: int) -> None:
        self.version = 0
        self._limit = TABLE_SIZE
        decoder = _jh2.Decoder(most)
        decoder.max_allowed_table_size = TABLE_SIZE
        self._decode = decoder.decode

    def decode(self, block: bytes) -> RawHeaders:
        try:
            if not _ALL_INDEXED(block) and self._changes(block):
                self.version += 1
            return [(name, value) for name, value, _ in self._decode(block, True)]
        except IndexError as error:
            raise CompressionFault("a block ends early") from error
        except _jh2.OversizedHeaderListError as error:
            raise Oversized("more bytes of header fields than are allowed") from error
        except _jh2.HPACKError as error:
            raise CompressionFault("a block is not in the compression's form") from error

    def _changes(self, block: bytes) -> bool:
        """Whether decoding the block may leave another table than there is. Steps from field to field."""
        changes = begun = False
        at, end = 0, len(block)
        while at < end:
            octet = block[at]
            if octet & 0x80:
                _, at = _read_number(block, at, 0x7F)
                begun = True
            elif octet & 0x60 == 0x20:
                if begun:
                    raise CompressionFault("a block changes the table's size in its midst")
                limit, at = _read_number(block, at, 0x1F)
                changes = changes or limit != self._limit
                self._limit = limit
            else:
                # Nothing fits into a table of no size.
                changes = changes or bool(octet & 0x40 and self._limit >= OVERHEAD)
                index, at = _read_number(block, at, 0x3F if octet & 0x40 else 0x0F)
                for _ in range(1 if index else 2):
                    size, at = _read_number(block, at, 0x7F)
                    at += size
                begun = True
        return changes


_ALL_INDEXED = re.compile(rb"[\x81-\xfe]*\Z").match


def _compiled() -> Any:
    """The module with jh2's compiled parts; None where it is missing."""
    try:
        return import_module("jh2._hazmat")
    except ImportError:
        return None


_jh2 = _compiled()
DECODER: type[Decoder] = PlainDecoder if _jh2 is None else CompiledDecoder
