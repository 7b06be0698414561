"""The fields of HTTP/2's messages (RFC 9113 section 8): a request's are made fit to be sent, a response's are checked.

A connection's requests are mostly alike, and so are a server's answers: what is made here of either depends on nothing
else, may be kept, and is made once for all that are equal.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from scallion.pipeline.errors import LocalProtocolError

from .http2_hpack import Secret
from .messages import RawHeaders

__all__ = ["Malformed", "Received", "RequestHead", "check_target", "received"]

# Section 8.2.2: what is about HTTP/1.1's connections. Host becomes :authority (section 8.3.1).
_OF_CONNECTIONS = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
_SHORT_COOKIE = 20

# What a request's field means here. Names are remembered as they are spelt, up to a bound.
_PLAIN, _DROPPED, _HOST, _CONNECTION, _CONTENT_LENGTH, _SECRET, _COOKIE, _TE = range(8)
_MEANINGS = {
    **dict.fromkeys(_OF_CONNECTIONS, _DROPPED),
    b"http2-settings": _DROPPED,
    b"host": _HOST,
    b"connection": _CONNECTION,
    b"content-length": _CONTENT_LENGTH,
    # RFC 7541 section 7.1.3: what must not be guessed from how well it compresses; a long cookie cannot be.
    b"authorization": _SECRET,
    b"proxy-authorization": _SECRET,
    b"cookie": _COOKIE,
    b"te": _TE,
}
_known: dict[bytes, tuple[bytes, int]] = {}
_MOST_KNOWN = 1024

_TOKEN = rb"[-!#$%&'*+.^_`|~0-9a-z]+"  # RFC 9110 section 5.6.2; no capitals
_NAME = re.compile(_TOKEN)
_NAMES = re.compile(rb"(?:%s\x00)*" % _TOKEN)
_METHOD = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_BAD_VALUE = re.compile(rb"[\x00\r\n]|\A[ \t]|[ \t]\Z")  # Section 8.2.1.
# The same for values in a row, a NUL before and after each.
_BAD_IN_VALUES = (b"\n", b"\r", b" \x00", b"\x00 ", b"\t\x00", b"\x00\t")
_STATUS = re.compile(rb"[1-9][0-9][0-9]")


class Malformed(Exception):
    """A response that breaks the rules for messages (section 8.1.1); its text says how, without values."""


# Sending


class RequestHead:
    """A request's pseudo-header fields and fields but for its `:path`, ready to be encoded.

    Attributes:
        before: What stands before the path.
        after: What stands after it.
        pathless: Whether there is no `:path`, as with CONNECT (section 8.5).
        length: What Content-Length announces; None if there is none.
        secret: Whether a field is not to be kept beyond its request.
        version: Of the encoder's table for which `first` and `rest` are the fields' encoding.
    """

    __slots__ = (
        "after",
        "before",
        "first",
        "length",
        "pathless",
        "rest",
        "secret",
        "version",
    )

    def __init__(self, method: str, scheme: bytes, authority: bytes, raw: RawHeaders) -> None:
        """Check the fields, and leave out what is not HTTP/2's.

        Raises:
            LocalProtocolError: one holds what HTTP does not allow; the message names it, never its value.
        """
        self.version = -1
        self.first = self.rest = b""
        self.length: int | None = None
        self.secret = False
        self.after: RawHeaders = []
        spelt = method.encode("ascii")
        if not _METHOD.fullmatch(spelt):
            raise LocalProtocolError(
                f"{spelt!r} is no HTTP method: it may hold letters, digits and !#$%&'*+-.^_`|~ only"
            )
        hosts = self._add(raw)
        authority = b", ".join(hosts) or authority
        if _BAD_VALUE.search(authority):
            raise LocalProtocolError(_bad_value(b"host", authority))
        self.before: RawHeaders = [(b":method", spelt), (b":authority", authority)]
        self.pathless = spelt == b"CONNECT"
        if not self.pathless:
            self.before.append((b":scheme", scheme))

    def _add(self, raw: RawHeaders) -> list[bytes]:
        """Keep what HTTP/2 sends of these fields. Returns the hosts, which are sent otherwise."""
        after = self.after
        hosts = []
        named: set[bytes] = set()
        for name, value in raw:
            lower, meaning = _known.get(name) or _meaning(name)
            if meaning == _PLAIN:
                after.append((lower, value))
            elif meaning == _HOST:
                hosts.append(value)
            elif meaning == _CONTENT_LENGTH:
                if not value.isdigit():
                    raise LocalProtocolError(
                        "The value of header 'content-length' is no number of bytes"
                    )
                self.length = int(value) if self.length is None else self.length
                after.append((lower, value))
            elif meaning == _SECRET or (meaning == _COOKIE and len(value) < _SHORT_COOKIE):
                self.secret = True
                after.append(Secret((lower, value)))
            elif meaning == _COOKIE or (meaning == _TE and value.lower() == b"trailers"):
                # TE: section 8.2.2.
                after.append((lower, value))
            elif meaning == _CONNECTION and value not in (b"keep-alive", b"close"):
                # RFC 9110 section 7.6.1: what Connection names is for this connection only, too.
                named.update(each.strip().lower() for each in value.split(b","))
        if named:
            after = self.after = [field for field in after if field[0] not in named]
            hosts = [] if b"host" in named else hosts
        if not _are_good([value for _, value in after]):
            raise LocalProtocolError(
                next(_bad_value(name, value) for name, value in after if _BAD_VALUE.search(value))
            )
        return hosts


def _meaning(name: bytes) -> tuple[bytes, int]:
    """How a field's name is sent, and what it means.

    Raises:
        LocalProtocolError: it is no name.
    """
    lower = name.lower()
    if not _NAME.fullmatch(lower):
        raise LocalProtocolError(
            f"{lower!r} is no header name: it may hold letters, digits and !#$%&'*+-.^_`|~ only"
        )
    known = lower, _MEANINGS.get(lower, _PLAIN)
    if len(_known) < _MOST_KNOWN:
        _known[name] = known
    return known


def _are_good(values: list[bytes]) -> bool:
    """Whether fields may have these values, looked at in a row."""
    row = b"\x00".join([b"", *values, b""])
    for bad in _BAD_IN_VALUES:
        if bad in row:
            return False
    return row.count(0) == len(values) + 1


def check_target(target: bytes) -> None:
    """Raises:
    LocalProtocolError: it is not fit for `:path`.
    """
    if not _TARGET.fullmatch(target):
        raise LocalProtocolError(
            "The request target holds a blank, a control character or a non-ASCII one: percent-encode it"
        )


def _bad_value(name: bytes, value: bytes) -> str:
    shown = name.decode("ascii")
    if value.strip(b" \t") != value:
        return f"The value of header {shown!r} begins or ends with a blank (RFC 9110 section 5.5): strip it"
    return (
        f"The value of header {shown!r} holds a line break or NUL (RFC 9110 section 5.5): remove it"
    )


# Receiving


class Received(NamedTuple):
    """A block of fields that a server sent, checked.

    Attributes:
        status: Of a response's head; 0 if these are trailers.
        fields: Without `:status`.
        length: What Content-Length announces; None if there is none.
    """

    status: int
    fields: RawHeaders
    length: int | None


def received(fields: RawHeaders) -> Received:
    """What a block's fields say (sections 8.2 and 8.3.2).

    Raises:
        Malformed: they break the rules.
    """
    status = 0
    if fields and fields[0][0] == b":status":
        if not _STATUS.fullmatch(fields[0][1]):
            raise Malformed("it has no :status of three digits")
        status = int(fields[0][1])
        fields = fields[1:]
    if not fields:
        return Received(status, fields, None)
    names = [name for name, _ in fields]
    if (
        not _NAMES.fullmatch(b"\x00".join(names) + b"\x00")
        or not _OF_CONNECTIONS.isdisjoint(names)
        or not _are_good([value for _, value in fields])
    ):
        raise Malformed(_fault(fields))
    length = None
    if b"content-length" in names:
        length = _length([value for name, value in fields if name == b"content-length"])
    return Received(status, fields, length)


def _fault(fields: RawHeaders) -> str:
    """What is wrong with fields of which something is."""
    for name, value in fields:
        if not _NAME.fullmatch(name):
            return f"{name[:100]!r} is no field name here"
        if name in _OF_CONNECTIONS:
            return f"{name!r} belongs to HTTP/1.1"
        if _BAD_VALUE.search(value):
            return f"the value of {name!r} holds characters that it must not"
    raise AssertionError("the patterns for one field and for many differ")


def _length(values: list[bytes]) -> int:
    """RFC 9110 section 8.6: a number of bytes, if need be several times."""
    if len(set(values)) > 1 or not values[0].isdigit() or len(values[0]) > 18:
        raise Malformed("Content-Length is not one number of bytes")
    return int(values[0])
