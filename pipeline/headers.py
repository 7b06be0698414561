"""HTTP header fields: a case-insensitive multi-dict over the byte pairs that travel on the wire."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, MutableMapping, ValuesView
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from .types import HeaderTypes

__all__ = ["SENSITIVE_HEADERS", "Headers"]

T = TypeVar("T")

# Lower-case names whose values appear in no repr and no log.
SENSITIVE_HEADERS = frozenset(
    {
        *("authentication", "authorization", "cookie", "proxy-authorization", "set-cookie"),
        *("x-api-key", "x-auth-token", "x-csrf", "x-csrf-token", "x-csrftoken", "x-xsrf-token"),
    }
)


class Headers(MutableMapping[str, str]):
    """Header fields that keep their order and spelling and are found in any case.

    Several fields of one name are one item whose values are joined with ", " (RFC 9110 section 5.3);
    `get_list`, `multi_items` and `raw` tell them apart. `len` counts fields, not names.

    Line breaks and other forbidden octets are refused where a request is serialised, not here.

    Not locked: one thread or task at a time may change it; any number may read.

    Args:
        headers: Another `Headers`, a mapping, or a sequence of pairs; names and values are str or bytes.
        encoding: How str become bytes and bytes str, any codec that contains ASCII. None: str given
            here must be ASCII, and what is read is decoded by the narrowest of ASCII, UTF-8 and
            ISO-8859-1 that fits all fields.

    Raises:
        TypeError: a name or value is neither str nor bytes.
        UnicodeEncodeError: a str does not fit the encoding.
    """

    # `_list` is the truth. `_index` maps lower-case names, in the order of their first fields, to joined
    # values; it is None until the first lookup, and from then on kept in step with the list.
    # Requests of one client share theirs (`_shared`) until they change it.
    # What a parser gives as a block has no list until it is asked for (`_made` is None); `_folded` is the block in lower
    # case, and answers in the list's stead whether there is a field, as long as there is no index.
    __slots__ = ("__weakref__", "_block", "_encoding", "_folded", "_index", "_made", "_shared")

    _made: list[tuple[bytes, bytes]] | None
    _index: dict[bytes, bytes] | None
    _encoding: str | None
    _block: bytes
    _folded: bytes | None
    _shared: bool

    def __init__(self, headers: HeaderTypes | None = None, encoding: str | None = None) -> None:
        self._made = [] if headers is None else _pairs(headers, encoding or "ascii")
        self._index = self._folded = None
        self._shared = False
        self._encoding = encoding

    # For the inside of the house: bytes in, bytes out, nothing decoded.

    @classmethod
    def from_raw(cls, raw: list[tuple[bytes, bytes]]) -> Headers:
        """Wrap the pairs of a parser, names in any case, without copying or checking them.

        The list belongs to the new object: the caller must not touch it any more.
        """
        self = cls.__new__(cls)
        self._made = raw
        self._index = self._encoding = self._folded = None
        self._shared = False
        return self

    @classmethod
    def like(cls, other: Headers) -> Headers:
        """A copy of `other`, which is not changed any more and has no encoding, that needs no looking at."""
        self = cls.__new__(cls)
        # No further calls here: every request of a client's is made by it.
        made, index = other._made, other._index
        self._made = (other._list if made is None else made)[:]
        self._index = other._indexed() if index is None else index
        self._shared = True
        self._encoding = self._folded = None
        return self

    @classmethod
    def from_block(cls, block: bytes, folded: bytes) -> Headers:
        """Wrap what a parser has seen to be fields, one `name: value` a line, without looking at it now.

        Args:
            block: A line break, and the lines, each with its own.
            folded: The same in lower case.
        """
        self = cls.__new__(cls)
        self._block = block
        self._folded = folded
        self._made = self._index = self._encoding = None
        self._shared = False
        return self

    @property
    def _list(self) -> list[tuple[bytes, bytes]]:
        made = self._made
        if made is None:
            lines = self._block[2:-2].split(b"\r\n") if len(self._block) > 2 else []
            made = self._made = [line.partition(b": ")[::2] for line in lines]
        return made

    def get_raw(self, lower_name: bytes) -> bytes | None:
        """The value, or the values joined with b", ", of a name that is given in lower case."""
        index = self._index
        if index is None:
            if self._folded is not None and b"\r\n%s: " % lower_name not in self._folded:
                return None
            index = self._indexed()
        return index.get(lower_name)

    def has(self, lower_name: bytes) -> bool:
        """Whether there is a field of this name, which is given in lower case."""
        index = self._index
        if index is None:
            if self._folded is not None:
                return b"\r\n%s: " % lower_name in self._folded
            index = self._indexed()
        return lower_name in index

    @property
    def by_name(self) -> Mapping[bytes, bytes]:
        """The values by their names in lower case, several joined with b", "."""
        index = self._index
        return self._indexed() if index is None else index

    def snapshot(self) -> Mapping[bytes, bytes]:
        """The same as `by_name`, as it is now: it stays so when these headers change."""
        # Whoever changes them makes an index of his own.
        self._shared = True
        index = self._index
        return self._indexed() if index is None else index

    def set_raw(self, name: bytes, lower_name: bytes, value: bytes) -> None:
        """Set the only value of a name, as `headers[name] = value` does."""
        index = self._index
        if index is None:
            index = self._indexed()
        elif self._shared:
            index = self._index = index.copy()
            self._shared = False
        fields = self._made
        if fields is None:
            fields = self._list
        if lower_name not in index:
            fields.append((name, value))
        else:
            first = next(at for at, field in enumerate(fields) if field[0].lower() == lower_name)
            later = [field for field in fields[first + 1 :] if field[0].lower() != lower_name]
            fields[first:] = [(name, value), *later]
        index[lower_name] = value

    def _indexed(self) -> dict[bytes, bytes]:
        index = self._index
        if index is None:
            index = {name.lower(): value for name, value in self._list}
            # Fewer names than fields: some name occurs twice, and its values are to be joined.
            if len(index) != len(self._list):
                grouped: dict[bytes, list[bytes]] = {}
                for name, value in self._list:
                    grouped.setdefault(name.lower(), []).append(value)
                index = {name: b", ".join(values) for name, values in grouped.items()}
            self._index = index
        return index

    # Encoding.

    @property
    def encoding(self) -> str:
        """The encoding that was set; else "ascii", "utf-8" or "iso-8859-1", whichever fits first."""
        if self._encoding is not None:
            return self._encoding
        # The blanks keep the end of one part and the start of the next from making up a character.
        octets = b" ".join([part for pair in self._list for part in pair])
        if octets.isascii():
            return "ascii"
        try:
            octets.decode("utf-8")
        except UnicodeDecodeError:
            return "iso-8859-1"
        return "utf-8"

    @encoding.setter
    def encoding(self, encoding: str) -> None:
        self._encoding = encoding

    def _lower(self, name: str) -> bytes:
        """The index's key for a name as a program spells it."""
        try:
            if self._encoding is None:
                return _ascii_lower(name)
            return name.encode(self._encoding).lower()
        except UnicodeEncodeError:
            return self._encode(name).lower()
        except AttributeError:
            raise TypeError(f"Header name must be str, not {type(name)}") from None

    def _encode(self, text: str) -> bytes:
        # Cases: plain text; an encoding that was asked for; text that the present fields' encoding cannot hold.
        if self._encoding is None and text.isascii():
            return text.encode("ascii")
        try:
            return text.encode("utf-8" if self.encoding == "ascii" else self.encoding)
        except UnicodeEncodeError:
            return text.encode("utf-8")

    def _decode(self, octets: bytes) -> str:
        if self._encoding is None and octets.isascii():
            return octets.decode("ascii")
        return octets.decode(self.encoding)

    # Reading.

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """The fields as they go over the wire, in a list of their own."""
        made = self._made
        return (self._list if made is None else made)[:]

    def multi_items(self) -> list[tuple[str, str]]:
        """One pair for each field, with the name in lower case."""
        encoding = self.encoding
        return [
            (name.lower().decode(encoding), value.decode(encoding)) for name, value in self._list
        ]

    def _merged(self) -> dict[str, str]:
        encoding = self.encoding
        return {
            name.decode(encoding): value.decode(encoding) for name, value in self._indexed().items()
        }

    def keys(self) -> KeysView[str]:
        """The names, in lower case, each once."""
        return self._merged().keys()

    def values(self) -> ValuesView[str]:
        """The values, those of one name joined with ", "."""
        return self._merged().values()

    def items(self) -> ItemsView[str, str]:
        """The names, in lower case, each once, with their values joined with ", "."""
        return self._merged().items()

    @overload
    def get(self, key: str) -> str | None: ...
    @overload
    def get(self, key: str, default: str) -> str: ...
    @overload
    def get(self, key: str, default: T) -> str | T: ...
    def get(self, key: str, default: Any = None) -> Any:
        """The value, several joined with ", ", or `default`."""
        index = self._index
        value = (self._indexed() if index is None else index).get(self._lower(key))
        return default if value is None else self._decode(value)

    def get_list(self, key: str, split_commas: bool = False) -> list[str]:
        """All values of a name; with `split_commas`, each split at its commas and stripped.

        Splitting does not know quoted strings: a comma within quotes splits too.
        """
        lower = self._lower(key)
        if lower not in self._indexed():
            return []
        encoding = self.encoding
        values = [value.decode(encoding) for name, value in self._list if name.lower() == lower]
        if split_commas:
            return [item.strip() for value in values for item in value.split(",")]
        return values

    def __getitem__(self, key: str) -> str:
        index = self._index
        value = (self._indexed() if index is None else index).get(self._lower(key))
        if value is None:
            raise KeyError(key)
        return self._decode(value)

    def __contains__(self, key: object) -> bool:
        index = self._index
        return self._lower(key) in (self._indexed() if index is None else index)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._list)

    def __eq__(self, other: object) -> bool:
        # Cases: of the same kind; what headers can be made of; anything else.
        if not isinstance(other, Headers):
            try:
                other = Headers(other)  # type: ignore[arg-type]
            except (TypeError, ValueError):
                return NotImplemented
        return self._list == other._list or self._sorted() == other._sorted()

    __hash__ = None  # type: ignore[assignment]  # Mutable.

    def _sorted(self) -> list[tuple[bytes, bytes]]:
        return sorted([(name.lower(), value) for name, value in self._list])

    def __repr__(self) -> str:
        shown = [
            (name, "[secure]" if name in SENSITIVE_HEADERS else value)
            for name, value in self.multi_items()
        ]
        single = dict(shown)
        fields = single if len(single) == len(shown) else shown
        encoding = self.encoding
        suffix = "" if encoding == "ascii" else f", encoding={encoding!r}"
        return f"{type(self).__name__}({fields!r}{suffix})"

    # Changing.

    def __setitem__(self, key: str, value: str) -> None:
        """Set the only value of `key`, in the place of its first field, or at the end."""
        name = self._encoded("name", key)
        self.set_raw(name, name.lower(), self._encoded("value", value))

    def _encoded(self, what: str, text: str | bytes) -> bytes:
        # Without a chosen encoding, the first text beyond ASCII makes it UTF-8.
        if isinstance(text, str):
            return self._encode(text) if self._encoding is None else text.encode(self._encoding)
        return _octets(what, text, "ascii")

    def __delitem__(self, key: str) -> None:
        lower = self._lower(key)
        index = self._indexed()
        if lower not in index:
            raise KeyError(key)
        self._made = [field for field in self._list if field[0].lower() != lower]
        self._index = {name: value for name, value in index.items() if name != lower}
        self._shared = False

    def update(self, headers: HeaderTypes | None = None) -> None:  # type: ignore[override]
        """Put the fields of `headers` at the end, in place of all fields of the same names."""
        new = headers if isinstance(headers, Headers) else Headers(headers)
        theirs, mine = new._indexed(), self._indexed()
        kept = self._list
        if not mine.keys().isdisjoint(theirs):
            kept = [field for field in kept if field[0].lower() not in theirs]
            mine = {name: value for name, value in mine.items() if name not in theirs}
        self._made = kept + new._list
        self._index = mine | theirs
        self._shared = False

    def copy(self) -> Headers:
        """Headers that are equal, and independent of these."""
        made = self._made
        copied = Headers.from_raw((self._list if made is None else made)[:])
        copied._encoding = self._encoding
        if self._index is not None:
            # Whoever is changed first makes one of his own.
            copied._index = self._index
            copied._shared = self._shared = True
        return copied

    def __or__(self, other: HeaderTypes) -> Headers:
        if not isinstance(other, Mapping):
            return NotImplemented
        merged = self.copy()
        merged.update(other)
        return merged

    def __ror__(self, other: HeaderTypes) -> Headers:
        if not isinstance(other, Mapping):
            return NotImplemented
        merged = Headers(other)
        merged.update(self)
        return merged

    def __ior__(self, other: HeaderTypes) -> Headers:  # noqa: PYI034
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._list, self._encoding)


def _pairs(headers: HeaderTypes, encoding: str) -> list[tuple[bytes, bytes]]:
    items: Any = headers
    # The first case spares plain dicts the slow questions to abstract base classes.
    if type(headers) is dict:
        items = headers.items()
    elif isinstance(headers, Headers):
        return headers._list[:]
    elif isinstance(headers, Mapping):
        items = headers.items()
    return [(_octets("name", n, encoding), _octets("value", v, encoding)) for n, v in items]


def _octets(what: str, text: str | bytes, encoding: str) -> bytes:
    if isinstance(text, str):
        return text.encode(encoding)
    if isinstance(text, bytes):
        return text
    raise TypeError(f"Header {what} must be str or bytes, not {type(text)}")


# Names come from the program's text, so there are few of them.
@lru_cache(maxsize=1024)
def _ascii_lower(name: str) -> bytes:
    return name.encode("ascii").lower()
