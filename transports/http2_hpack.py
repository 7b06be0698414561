"""HPACK's encoder (RFC 7541): it chooses representations that are quick to make, and a table that does not change.

- What is sent again is indexed, so that from the second request on a block of such fields is the same bytes each time.
  Fields that differ from request to request (`:path`, `content-length`, ...) leave the table alone.
- A `Secret` field is a literal that no party may ever index (section 7.1.3).
- Literals are sent as they are: Huffman's code would save a quarter of their bytes, and cost more than all the rest.

As long as `version` is the same, equal fields are equal bytes: what was encoded once may be used again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TypeAlias

from hpack.table import HeaderTable

__all__ = ["FIRST_DYNAMIC", "OVERHEAD", "STATIC", "TABLE_SIZE", "Encoder", "Field", "Secret"]

Field: TypeAlias = tuple[bytes, bytes]

TABLE_SIZE = 4096
"""Bytes of the dynamic table in either direction (RFC 9113 section 6.5.2); this side never uses more."""
OVERHEAD = 32
"""An entry's size beyond its octets (section 4.1)."""

# Fields that differ from request to request: indexed, they would push the others out.
_CHANGING = frozenset(
    {
        *(b":path", b"content-length", b"range", b"if-match", b"if-none-match", b"if-range"),
        *(b"if-modified-since", b"if-unmodified-since", b"date", b"idempotency-key"),
        *(b"traceparent", b"x-request-id", b"x-correlation-id"),
    }
)

STATIC: tuple[Field, ...] = ((b"", b""), *HeaderTable.STATIC_TABLE)
FIRST_DYNAMIC = len(STATIC)
_STATIC_FIELDS = {field: index for index, field in reversed(list(enumerate(STATIC))) if index}
_STATIC_NAMES = {name: index for index, (name, _) in reversed(list(enumerate(STATIC))) if index}


class Secret(tuple[bytes, bytes]):
    """A field that is never indexed, here or by anyone it passes."""

    __slots__ = ()


class Encoder:
    """Encodes the fields that one side of a connection sends.

    Attributes:
        version: Another one whenever the dynamic table is.
    """

    def __init__(self) -> None:
        self.version = 0
        self._limit = TABLE_SIZE
        self._size = 0
        # Entries are counted as they are inserted, so that no number changes when others come.
        self._inserted = 0
        self._entries: deque[Field] = deque()
        self._fields: dict[Field, int] = {}
        self._names: dict[bytes, int] = {}
        # The smallest limit since the last block, to be told before the present one (section 4.2).
        self._lowest: int | None = None

    def resize(self, limit: int) -> None:
        """The other side's table may be so large from now on."""
        limit = min(limit, TABLE_SIZE)
        if limit == self._limit and self._lowest is None:
            return
        self._lowest = limit if self._lowest is None else min(self._lowest, limit)
        self._limit = limit
        self.version += 1
        self._shrink(limit)

    def encode(self, fields: Iterable[Field]) -> bytes:
        """The next block, or part of one."""
        parts = [] if self._lowest is None else [self._told_limit()]
        for field in fields:
            index = _STATIC_FIELDS.get(field)
            if index is None:
                inserted = self._fields.get(field)
                index = 0 if inserted is None else FIRST_DYNAMIC + self._inserted - inserted
            if index and type(field) is not Secret:
                # Section 6.1.
                parts.append(_INDEXED[index] if index < 127 else _number(0x80, 7, index))
            else:
                parts.append(self._literal(field))
        return b"".join(parts)

    def _literal(self, field: Field) -> bytes:
        name, value = field
        index = _STATIC_NAMES.get(name, 0)
        if not index and name in self._names:
            index = FIRST_DYNAMIC + self._inserted - self._names[name]
        size = len(name) + len(value) + OVERHEAD
        # Cases: never indexed (section 6.2.3); not here (6.2.2), which a large field would fill alone; from now on (6.2.1).
        if type(field) is Secret:
            head = _number(0x10, 4, index)
        elif name in _CHANGING or size > self._limit // 2:
            head = _number(0x00, 4, index)
        else:
            head = _number(0x40, 6, index)
            self._insert(field, size)
        if not index:
            head += _number(0, 7, len(name)) + name
        return head + _number(0, 7, len(value)) + value

    def _insert(self, field: Field, size: int) -> None:
        self.version += 1
        self._shrink(self._limit - size)
        self._inserted += 1
        self._entries.append(field)
        self._fields[field] = self._names[field[0]] = self._inserted
        self._size += size

    def _shrink(self, size: int) -> None:
        while self._size > size:
            field = self._entries.popleft()
            oldest = self._fields.pop(field)
            if self._names[field[0]] == oldest:
                del self._names[field[0]]
            self._size -= len(field[0]) + len(field[1]) + OVERHEAD

    def _told_limit(self) -> bytes:
        """Section 6.3: a block begins with the table's new size; with two, if it was smaller in between."""
        assert self._lowest is not None
        told = _number(0x20, 5, self._lowest)
        if self._lowest != self._limit:
            told += _number(0x20, 5, self._limit)
        self._lowest = None
        self.version += 1
        return told


def _number(bits: int, prefix: int, number: int) -> bytes:
    """An integer in the lower `prefix` bits of an octet whose others are `bits`, and in further ones (section 5.1)."""
    most = (1 << prefix) - 1
    if number < most:
        return bytes((bits | number,))
    octets = bytearray((bits | most,))
    number -= most
    while number > 0x7F:
        octets.append(0x80 | number & 0x7F)
        number >>= 7
    octets.append(number)
    return bytes(octets)


_INDEXED = tuple(_number(0x80, 7, index) for index in range(127))
