"""Blocks of fields that a server sends: decoded and checked, or known from before."""

from __future__ import annotations

from .http2_fields import Received, received
from .http2_frames import ConnectionFault, ErrorCode
from .http2_unpacking import DECODER, CompressionFault, Oversized

__all__ = ["FieldBlocks"]

_MOST_KEPT = 32
_LARGEST_KEPT = 1024


class FieldBlocks:
    """Reads the blocks of one connection, each of them, in order: the compression's table must stay the server's.

    As long as the table is the same, equal bytes are equal fields: what was found in a block is kept for the next one
    like it. A server's answers are mostly alike.

    Args:
        most: Bytes of one block's fields, counted as RFC 9113 section 6.5.2 does.
    """

    def __init__(self, most: int) -> None:
        self._decoder = DECODER(most)
        self._version = self._decoder.version
        self._kept: dict[bytes, Received] = {}

    def read(self, block: bytes) -> Received:
        """What a block says. What is returned belongs to others as well: its list is not to be changed.

        Raises:
            Malformed: the fields break the rules for messages.
            ConnectionFault: the block breaks those for the connection.
        """
        decoder = self._decoder
        if decoder.version != self._version:
            self._kept.clear()
            self._version = decoder.version
        known = self._kept.get(block)
        if known is not None:
            return known
        try:
            found = received(decoder.decode(block))
        except CompressionFault as fault:
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, str(fault)) from fault
        except Oversized as fault:
            how = f"an oversized head: {fault}"
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, how) from fault
        unchanged = decoder.version == self._version
        if unchanged and len(block) <= _LARGEST_KEPT and len(self._kept) < _MOST_KEPT:
            self._kept[block] = found
        return found
