"""The fast lane of HTTP/1.1: ordinary messages, by strict patterns, in a tenth of h11's time.

Rules:

- The lane takes a message only if one strict pattern matches its head entirely and its framing is plain; it then gives
  what h11 would give. Anything else, whatever it is, goes to h11 from the message's first byte, and h11 decides:
  what is unusual, what is malformed, a head that arrives in pieces, interim responses, trailers.
- A decision is made once a message. Nothing of a message that h11 got is read by the lane.
- That the two agree on every message that the lane takes is held by a differential test over arbitrary bytes
  and splits; it is the condition for having this file.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING

from scallion.pipeline.errors import LocalProtocolError, RemoteProtocolError

from .messages import END, Head, RawHeaders, cut_short

if TYPE_CHECKING:
    from .codec import H11Codec

__all__ = ["FastLane"]

# RFC 9110 section 5.6.2 and 5.5: names, and values without leading, trailing or control characters.
_TOKEN = rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+"
_VALUE = rb"[!-~\x80-\xff]+(?:[ \t]+[!-~\x80-\xff]+)*"

_NAME = re.compile(_TOKEN)
_TARGET = re.compile(rb"[!-~]+")
_VALUES = re.compile(rb"%s(?:\x00%s)*" % (_VALUE, _VALUE))
_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9][0-9]) ([!-~]+(?: [!-~]+)*)\r\n((?:%s: %s\r\n)*)\r\n" % (_TOKEN, _VALUE)
)
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})\r\n")
# Fifteen digits are a petabyte; h11 knows where the rest ends.
_LENGTH = re.compile(rb"[0-9]{1,15}")

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


class FastLane:
    """One connection's conversation, with the interface of `H11Codec`.

    Attributes:
        trailers: The fields after a chunked body, once `body` has returned END; else None.
        received: Whether any byte of the current response has arrived.
        keep_alive: What the server said last in the field Keep-Alive; None for nothing.
    """

    __slots__ = (
        "_bodiless",
        "_buffer",
        "_complete",
        "_expected",
        "_h11",
        "_keep",
        "_left",
        "_pieces",
        "_request",
        "_sent",
        "_unsent",
        "keep_alive",
        "received",
    )

    def __init__(self) -> None:
        # Once h11 has the exchange, it has all of it.
        self._h11: H11Codec | None = None
        self._request: tuple[bytes, bytes, RawHeaders] = (b"", b"", [])
        # The request's body: bytes sent, and still to be sent, or _CHUNKED.
        self._sent = 0
        self._unsent = 0
        # Whether the request's end has been reached, by `start` or `finish`.
        self._complete = False
        self._keep = False
        self._bodiless = False
        self._buffer = b""
        # The response's body: its length, what is still to be given out, what is here.
        self._expected = 0
        self._left = -1
        self._pieces: deque[bytes] = deque()
        self.received = False
        self.keep_alive: bytes | None = None

    # Sending

    def start(self, method: bytes, target: bytes, headers: RawHeaders, body: bytes | None) -> bytes:
        """As `H11Codec.start`."""
        self._h11 = None
        self._buffer = b""
        self._left = -1
        self.received = False
        unsent = self._takes(method, target, headers, body)
        if unsent is None:
            self._unsent = _UNKNOWN
            return self._fall_back().start(method, target, headers, body)
        self._request = (method, target, headers)
        self._bodiless = method == b"HEAD"
        self._sent = 0 if body is None else len(body)
        self._complete = body is not None
        head = b"%s %s HTTP/1.1\r\n%s\r\n" % (
            method,
            target,
            b"".join([b"%s: %s\r\n" % field for field in headers]),
        )
        if body is None:
            self._unsent = unsent
            return head
        self._unsent = 0
        if unsent == _CHUNKED:
            return head + (b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n")
        return head + body if body else head

    def _takes(
        self, method: bytes, target: bytes, headers: RawHeaders, body: bytes | None
    ) -> int | None:
        """How many bytes of body the request announces, or _CHUNKED; None where h11 must decide."""
        if method not in _METHODS or not _TARGET.fullmatch(target):
            return None
        seen_host = False
        length: int | None = None
        keep = True
        for index, (name, value) in enumerate(headers):
            meaning = _known.get(name)
            if meaning is None:
                meaning = _meaning(name)
            if meaning == _PLAIN:
                continue
            if meaning == _HOST and index == 0:
                seen_host = True
            elif meaning == _CONTENT_LENGTH and length is None and _LENGTH.fullmatch(value):
                length = int(value)
            elif meaning == _TRANSFER_ENCODING and length is None and value == b"chunked":
                length = _CHUNKED
            elif meaning == _CONNECTION and value == b"close":
                keep = False
            elif meaning != _KEEP_ALIVE and (meaning != _CONNECTION or value != b"keep-alive"):
                return None
        values = b"\x00".join([value for _, value in headers])
        if (
            not seen_host
            or values.count(b"\x00") != len(headers) - 1
            or not _VALUES.fullmatch(values)
        ):
            return None
        self._keep = keep
        if length is None:
            length = 0
        if body is not None and length != _CHUNKED and length != len(body):
            return None
        return length

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
        elif data and not self._buffer:
            self._buffer = data
        else:
            self._replay().feed(data)

    def head(self) -> Head | None:
        """As `H11Codec.head`."""
        if self._h11 is not None:
            return self._heed(self._h11.head())
        buffer = self._buffer
        if not buffer:
            return None
        match = _HEAD.match(buffer)
        if match is not None and self._unsent == 0:
            headers: RawHeaders = [
                line.partition(b": ")[::2] for line in match[3].split(b"\r\n")[:-1]
            ]
            status = int(match[1])
            if self._frame(status, headers, match.end()):
                return Head(status, match[2], b"HTTP/1.1", headers)
        return self._heed(self._replay().head())

    def _heed(self, head: Head | None) -> Head | None:
        """Note what h11's head says of the connection's life."""
        for name, value in head.headers if head is not None else ():
            if len(name) == 10 and name.lower() == b"keep-alive":
                self.keep_alive = value
        return head

    def _frame(self, status: int, headers: RawHeaders, end: int) -> bool:
        """Find out where the body ends (RFC 9112 section 6.3); False where h11 must decide."""
        length: int | None = None
        keep = self._keep
        for name, value in headers:
            meaning = _known.get(name)
            if meaning is None:
                meaning = _meaning(name)
            if meaning in (_PLAIN, _HOST):
                continue
            if meaning == _CONTENT_LENGTH and length is None and _LENGTH.fullmatch(value):
                length = int(value)
            elif meaning == _TRANSFER_ENCODING and length is None and value == b"chunked":
                length = _CHUNKED
            elif meaning == _CONNECTION and value == b"close":
                keep = False
            elif meaning == _KEEP_ALIVE:
                self.keep_alive = value
            elif meaning != _CONNECTION or value not in (b"keep-alive", b"Keep-Alive"):
                return False
        if self._bodiless or status in (204, 304):
            length = 0
        if length is None:
            return False
        pieces: list[bytes] = []
        buffer = self._buffer
        if length == _CHUNKED:
            chunks = _whole_chunks(buffer, end)
            if chunks is None:
                return False
            pieces, end = chunks
            length = sum(map(len, pieces))
            if len(buffer) > end:
                keep = False
        elif len(buffer) > end:
            pieces = [buffer[end:]]
        self._pieces = deque(pieces)
        self._left = self._expected = length
        self._keep = keep
        self._buffer = b""
        return True

    def body(self) -> bytes | None:
        """As `H11Codec.body`."""
        if self._h11 is not None:
            return self._h11.body()
        left = self._left
        if left == 0:
            return END
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

    # Afterwards

    def reusable(self) -> bool:
        """As `H11Codec.reusable`."""
        if self._h11 is not None:
            return self._h11.reusable()
        return self._keep and not self._left and not self._pieces and not self._unsent

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
        h11 = self._fall_back()
        h11.resume(*self._request, sent=self._sent, complete=self._complete)
        if buffer:
            h11.feed(buffer)
        return h11


def _whole_chunks(buffer: bytes, start: int) -> tuple[list[bytes], int] | None:
    """The chunks of a body that is all here, and where it ends; None where it is not, or not plain."""
    pieces: list[bytes] = []
    while (match := _CHUNK.match(buffer, start)) is not None:
        size = int(match[1], 16)
        begin = match.end()
        start = begin + size + 2
        if buffer[begin + size : start] != b"\r\n":
            return None
        if size == 0:
            return pieces, start
        pieces.append(buffer[begin : begin + size])
    return None
