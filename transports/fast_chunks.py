"""The fast lane's chunked bodies (RFC 9112 section 7.1): plain chunks by one pattern, the rest for h11."""

from __future__ import annotations

import re

from .messages import END

__all__ = ["FastChunks", "Unusual"]

_LINE = re.compile(rb"([0-9a-fA-F]{1,8})\r\n")
# What may still become such a line; and what follows the last one, if there are no trailers.
_BEGINNING = re.compile(rb"[0-9a-fA-F]{1,8}\r?")
_CRLF = b"\r\n"


class Unusual(Exception):
    """A chunk line, or what follows a chunk, that h11 must read."""


class FastChunks:
    """A body's chunks: `feed` what arrives, ask `next` for what it holds.

    Attributes:
        over: Whether bytes came after the end.
    """

    __slots__ = ("_at", "_buffer", "_ended", "_footer", "_left", "over")

    def __init__(self, data: bytes, at: int) -> None:
        self._buffer = data
        self._at = at
        # Of the chunk that is being read: bytes still to come, and whether its line break is.
        self._left = 0
        self._footer = False
        self._ended = False
        self.over = False

    def feed(self, data: bytes) -> None:
        """Take what the network gave; END at the end of the stream."""
        if not data:
            self._ended = True
        elif self._at == len(self._buffer):
            self._buffer, self._at = data, 0
        else:
            self._buffer, self._at = self._buffer[self._at :] + data, 0

    def next(self) -> bytes | None:
        """The next piece; END when the body is complete; None while more bytes are needed.

        Raises:
            Unusual: h11 must go on with `rest`.
        """
        buffer = self._buffer
        if self._footer:
            if not buffer.startswith(_CRLF, self._at):
                self._more(short=_CRLF.startswith(buffer[self._at : self._at + 2]))
                return None
            self._at += 2
            self._footer = False
        if not self._left:
            line = _LINE.match(buffer, self._at)
            if line is None:
                rest = buffer[self._at : self._at + 10]
                self._more(short=not rest or _BEGINNING.fullmatch(rest) is not None)
                return None
            size = int(line[1], 16)
            if size == 0:
                return self._last(line.end())
            self._left = size
            self._at = line.end()
        return self._piece()

    def _piece(self) -> bytes | None:
        at, buffer = self._at, self._buffer
        end = at + self._left
        piece = buffer if at == 0 and end >= len(buffer) else buffer[at:end]
        if not piece:
            self._more(short=True)
            return None
        self._at = at + len(piece)
        self._left -= len(piece)
        self._footer = not self._left
        return piece

    def _last(self, end: int) -> bytes | None:
        """After the chunk of size 0: nothing, or trailers."""
        rest = self._buffer[end : end + 2]
        if rest != _CRLF:
            self._more(short=rest in (b"", b"\r"))
            return None
        self.over = len(self._buffer) > end + 2
        return END

    def _more(self, *, short: bool) -> None:
        """More is needed; or, unless this is too short to tell, it is unusual."""
        # Cases: what is here may go on as it should; it may not, or nothing will come any more.
        if not short or self._ended:
            raise Unusual

    def rest(self) -> tuple[list[bytes], int, bool]:
        """What brings a codec that has read the head to where this one is.

        Returns:
            What to feed it; how many bytes of the body that it makes of that are nobody's; whether the stream ended then.
        """
        here = self._buffer[self._at :]
        # Cases: at the end of a chunk, before its line break; within one; before a chunk's line.
        if self._footer:
            return [b"1\r\nx", here], 1, self._ended
        if self._left:
            return [b"%x\r\n" % self._left, here], 0, self._ended
        return [here], 0, self._ended
