"""The fast lane of HTTP/1.1: ordinary messages, by strict patterns, in a tenth of h11's time.

Rules:

- The lane takes a message only if one strict pattern matches its head entirely and its framing is plain; it then gives
  what h11 would give. Anything else, whatever it is, goes to h11 from the message's first byte, and h11 decides:
  what is unusual, what is malformed, a head that arrives in pieces, interim responses.
- A chunked body is read chunk by chunk as long as the chunks' lines are plain; from the first that is not, such as
  trailers, h11 goes on. Nothing that h11 got is read by the lane afterwards.
- That the two agree on every message that the lane takes is held by a differential test over arbitrary bytes
  and splits; it is the condition for having this file.
- The patterns never go back (`++`, `*+`), so that they are linear in time, whatever they are given.
- A head's fields are kept as they came until somebody asks for them: see `Headers.from_block`.
- Requests on one connection resemble each other: fields that were sent last time are not looked at again.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from scallion.pipeline.errors import LocalProtocolError, RemoteProtocolError
from scallion.pipeline.headers import Headers

from .fast_chunks import FastChunks, Unusual
from .messages import END, Head, RawHeaders, cut_short

if TYPE_CHECKING:
    from .codec import H11Codec

__all__ = ["Block", "FastLane", "request_block"]

# RFC 9110 section 5.6.2 and 5.5: names, and values without leading, trailing or control characters.
_TOKEN = rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]++"
_FIELDS = rb"(?:%s: (?![\t ])[\t -~\x80-\xff]++(?<![\t ])\r\n)*+" % _TOKEN

_NAME = re.compile(_TOKEN)
_TARGET = re.compile(rb"[!-~]++")
_BLOCK = re.compile(_FIELDS)
# The line break before the fields is theirs: each of them then stands between two.
_HEAD = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) ([!-~]++(?: [!-~]++)*+)(\r\n%s)\r\n" % _FIELDS)
# RFC 9112 section 6: the fields that say where a message ends, and whether another may follow. In lower case.
_FRAMING = re.compile(
    rb"\r\n(content-length|transfer-encoding|connection|keep-alive|upgrade): ([^\r]++)"
)
# h11 spells the coding in lower case, whatever the server does; so what is not spelt like this is h11's.
_CODING = re.compile(rb"\r\n[Tt]ransfer-[Ee]ncoding: chunked\r\n")
# Fifteen digits are a petabyte; h11 knows where the rest ends.
_MOST_DIGITS = 15

_METHODS = frozenset({b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"PATCH", b"OPTIONS"})

# What a header means to framing. Names are remembered as they are spelt, up to a bound.
_PLAIN, _HOST, _CONTENT_LENGTH, _TRANSFER_ENCODING, _CONNECTION, _OTHER, _KEEP_ALIVE = range(7)
_MEANINGS = {
    b"host": _HOST,
    b"content-length": _CONTENT_LENGTH,
    b"transfer-encoding": _TRANSFER_ENCODING,
    b"connection": _CONNECTION,
    b"keep-alive": _KEEP_ALIVE,
    b"upgrade": _OTHER,
    b"expect": _OTHER,
}
_known: dict[bytes, int] = {}
_MOST_KNOWN = 1024

_CHUNKED = -1
_UNKNOWN = -2
"""Instead of a number of bytes still to be sent."""


def _meaning(name: bytes) -> int:
    meaning = _MEANINGS.get(name.lower(), _PLAIN) if _NAME.fullmatch(name) else _OTHER
    if len(_known) < _MOST_KNOWN and len(name) <= 64:
        _known[name] = meaning
    return meaning


class Block(NamedTuple):
    """A request's fields, looked at.

    Attributes:
        octets: As they are sent.
        length: How many bytes of body they announce, or _CHUNKED; 0 where they say nothing.
        keep: Whether the connection is to be kept.
    """

    octets: bytes
    length: int
    keep: bool


def request_block(fields: RawHeaders) -> Block | None:
    """The block that these fields are; None where h11 must decide."""
    host = False
    length: int | None = None
    keep = True
    for index, (name, value) in enumerate(fields):
        meaning = _known.get(name)
        if meaning is None:
            meaning = _meaning(name)
        if meaning == _PLAIN:
            continue
        if meaning == _HOST and index == 0:
            host = True
        elif meaning == _CONTENT_LENGTH and length is None and _is_length(value):
            length = int(value)
        elif meaning == _TRANSFER_ENCODING and length is None and value == b"chunked":
            length = _CHUNKED
        elif meaning == _CONNECTION and value == b"close":
            keep = False
        elif meaning != _KEEP_ALIVE and (meaning != _CONNECTION or value != b"keep-alive"):
            return None
    octets = b"".join([b"%s: %s\r\n" % field for field in fields])
    # One line break for each: none lies within a value, which would be two fields then.
    if not host or octets.count(b"\r\n") != len(fields) or not _BLOCK.fullmatch(octets):
        return None
    return Block(octets, length or 0, keep)


def _is_length(value: bytes) -> bool:
    return value.isdigit() and len(value) <= _MOST_DIGITS


class FastLane:
    """One connection's conversation, with the interface of `H11Codec`.

    Attributes:
        trailers: The fields after a chunked body, once `body` has returned END; else None.
        received: Whether any byte of the current response has arrived.
        content: The body, if all of it came with the head; then `body` need not be asked. Else None.
        keep_alive: What the server said last in the field Keep-Alive; None for nothing.
    """

    __slots__ = (
        "_block",
        "_bodiless",
        "_buffer",
        "_chunks",
        "_complete",
        "_expected",
        "_fields",
        "_h11",
        "_head",
        "_keep",
        "_left",
        "_line",
        "_pieces",
        "_sent",
        "_surplus",
        "_unsent",
        "content",
        "keep_alive",
        "received",
    )

    def __init__(self) -> None:
        # Once h11 has the exchange, it has all of it.
        self._h11: H11Codec | None = None
        # The request: its line and its fields, and what these come to.
        self._line = (b"", b"")
        self._fields: RawHeaders = []
        self._block: Block | None = None
        # The request's body: bytes sent, and still to be sent, or _CHUNKED.
        self._sent = 0
        self._unsent = 0
        # Whether the request's end has been reached, by `start` or `finish`.
        self._complete = False
        self._keep = False
        self._bodiless = False
        self._buffer = b""
        # The response's body, if it is counted: its length, what is still to be given out, what is here.
        self._expected = 0
        self._left = -1
        self._pieces: deque[bytes] = deque()
        # If it is not: its chunks, and the head, for h11 if that must go on.
        self._chunks: FastChunks | None = None
        self._head = b""
        # Of what h11 gives, bytes that are not the server's.
        self._surplus = 0
        self.received = False
        self.content: bytes | None = None
        self.keep_alive: bytes | None = None

    # Sending

    def start(self, method: bytes, target: bytes, headers: RawHeaders, body: bytes | None) -> bytes:
        """As `H11Codec.start`."""
        self._h11 = self._chunks = self.content = None
        self._buffer = b""
        self._left = -1
        self.received = False
        if self._pieces:
            self._pieces.clear()
        block = self._block
        if block is None or headers != self._fields:
            block = self._block = request_block(headers)
            self._fields = headers
        size = 0 if body is None else len(body)
        if (
            block is None
            or method not in _METHODS
            or not _TARGET.fullmatch(target)
            or (body is not None and block.length not in (size, _CHUNKED))
        ):
            self._unsent = _UNKNOWN
            return self._fall_back().start(method, target, headers, body)
        octets, length, self._keep = block
        self._line = (method, target)
        self._bodiless = method == b"HEAD"
        self._sent = size
        if body is None:
            self._complete = False
            self._unsent = length
            return b"%s %s HTTP/1.1\r\n%s\r\n" % (method, target, octets)
        self._complete = True
        self._unsent = 0
        if length == _CHUNKED:
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (size, body) if body else b"0\r\n\r\n"
        return b"%s %s HTTP/1.1\r\n%s\r\n%s" % (method, target, octets, body)

    @property
    def plain(self) -> bool:
        """Whether the request's body is sent as it is, in pieces that may be views of bytes."""
        return self._h11 is None and self._unsent != _CHUNKED

    def data(self, chunk: bytes) -> bytes:
        """As `H11Codec.data`."""
        size = len(chunk)
        if self._h11 is not None:
            framed = self._h11.data(chunk)
            if self._unsent > 0:
                self._unsent -= size
            return framed
        self._sent += size
        if self._unsent == _CHUNKED:
            return b"%x\r\n%s\r\n" % (size, chunk) if size else b""
        if size > self._unsent:
            raise LocalProtocolError(
                "The request's body does not fit its head: it is longer than its Content-Length"
            )
        self._unsent -= size
        return chunk

    def settle(self) -> None:
        """After an early answer: if all of the announced length was sent, the request was whole."""
        if self._h11 is not None and self._unsent == 0 and not self._complete:
            self._complete = True
            self._h11.finish()

    def finish(self) -> bytes:
        """As `H11Codec.finish`."""
        if self._h11 is not None:
            return self._h11.finish()
        chunked = self._unsent == _CHUNKED
        if self._unsent and not chunked:
            raise LocalProtocolError(
                "The request's body does not fit its head: it is shorter than its Content-Length"
            )
        self._unsent = 0
        self._complete = True
        return b"0\r\n\r\n" if chunked else b""

    # Receiving

    @property
    def left(self) -> int:
        """As `H11Codec.left`."""
        return self._left if self._h11 is None else self._h11.left

    @property
    def trailers(self) -> RawHeaders | None:
        return None if self._h11 is None else self._h11.trailers

    def feed(self, data: bytes) -> None:
        """As `H11Codec.feed`."""
        if data:
            self.received = True
        if self._h11 is not None:
            self._h11.feed(data)
        elif self._left >= 0:
            self._pieces.append(data)
        elif self._chunks is not None:
            self._chunks.feed(data)
        elif data and not self._buffer:
            self._buffer = data
        else:
            self._replay().feed(data)

    def took(self, size: int) -> None:
        """As `H11Codec.took`."""
        if self._h11 is not None:
            self._h11.took(size)
        else:
            self._left -= size

    def head(self) -> Head | None:
        """As `H11Codec.head`."""
        if self._h11 is not None:
            return self._heed(self._h11.head())
        buffer = self._buffer
        if not buffer:
            return None
        match = _HEAD.match(buffer)
        if match is not None and not self._unsent:
            digits, reason, fields = match.groups()
            status = int(digits)
            lower = fields.lower()
            if self._frame(status, lower, match.end()):
                return Head(status, reason, b"HTTP/1.1", Headers.from_block(fields, lower))
        return self._heed(self._replay().head())

    def _heed(self, head: Head | None) -> Head | None:
        """Note what h11's head says of the connection's life."""
        if head is not None:
            self.keep_alive = head.fields.get_raw(b"keep-alive") or self.keep_alive
        return head

    def _frame(self, status: int, fields: bytes, end: int) -> bool:
        """Find out where the body ends (RFC 9112 section 6.3); False where h11 must decide.

        Args:
            fields: In lower case.
            end: Where the body begins in the buffer.
        """
        length: int | None = None
        keep = self._keep
        for name, value in _FRAMING.findall(fields):
            if name == b"content-length" and length is None and _is_length(value):
                length = int(value)
            elif name == b"connection" and value == b"keep-alive":
                continue
            elif name == b"connection" and value == b"close":
                keep = False
            elif name == b"keep-alive":
                self.keep_alive = value
            elif name == b"transfer-encoding" and length is None:
                if not _CODING.search(self._buffer, 0, end):
                    return False
                length = _CHUNKED
            else:
                return False
        if self._bodiless or status in (204, 304):
            length = 0
        if length is None:
            return False
        buffer, self._buffer = self._buffer, b""
        self._keep = keep
        if length == _CHUNKED:
            self._head = buffer[:end]
            self._chunks = FastChunks(buffer, end)
            return True
        if len(buffer) == end + length:
            self.content = buffer[end:]
            self._left = 0
            return True
        self._left = self._expected = length
        if len(buffer) > end:
            self._pieces.append(buffer[end:])
        return True

    def body(self) -> bytes | None:
        """As `H11Codec.body`."""
        if self._chunks is not None:
            return self._chunk(self._chunks)
        if self._h11 is not None:
            return self._past_surplus(self._h11)
        left = self._left
        if left == 0:
            content, self.content = self.content, None
            return content or END
        if not self._pieces:
            return None
        piece = self._pieces.popleft()
        if not piece:
            raise RemoteProtocolError(cut_short(self._expected - left, self._expected))
        if len(piece) > left:
            # Bytes after the message: the connection cannot be trusted with another exchange.
            self._keep = False
            piece = piece[:left]
        self._left = left - len(piece)
        return piece

    def _chunk(self, chunks: FastChunks) -> bytes | None:
        try:
            piece = chunks.next()
        except Unusual:
            parts, self._surplus, ended = chunks.rest()
            h11 = self._replay()
            h11.feed(self._head)
            h11.head()
            for part in parts:
                if part:
                    h11.feed(part)
            if ended:
                h11.feed(END)
            return self._past_surplus(h11)
        if piece == END:
            self._left = 0
            self._keep = self._keep and not chunks.over
            self._chunks = None
        return piece

    def _past_surplus(self, h11: H11Codec) -> bytes | None:
        while self._surplus:
            piece = h11.body()
            if not piece:
                return piece
            self._surplus -= len(piece)
        return h11.body()

    # Afterwards

    def reusable(self) -> bool:
        """As `H11Codec.reusable`."""
        if self._h11 is not None:
            return self._h11.reusable()
        return self._keep and not (self._left or self._pieces or self._unsent)

    def leftover(self) -> bytes:
        """As `H11Codec.leftover`."""
        return self._h11.leftover() if self._h11 is not None else b""

    # h11

    def _fall_back(self) -> H11Codec:
        from .codec import H11Codec

        self._h11 = H11Codec()
        return self._h11

    def _replay(self) -> H11Codec:
        """Hand the exchange over to h11, as far as it has come."""
        buffer, self._buffer = self._buffer, b""
        self._chunks = None
        h11 = self._fall_back()
        h11.resume(*self._line, self._fields, sent=self._sent, complete=self._complete)
        if buffer:
            h11.feed(buffer)
        return h11
