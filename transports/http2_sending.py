"""The sending half of HTTP/2's codec for a client (RFC 9113): requests to bytes, within the credit that the server gives.

A request's head whose encoding is known, the table being the same, is not encoded again.
"""

from __future__ import annotations

from .http2_fields import RequestHead
from .http2_frames import (
    DATA,
    END_STREAM,
    FRAME_HEADER,
    LARGEST_FRAME,
    PING,
    PREFACE,
    ErrorCode,
    Setting,
    frame,
    goaway,
    header_frames,
    rst_stream,
    settings,
    window_update,
)
from .http2_hpack import Encoder

__all__ = [
    "CONNECTION_WINDOW",
    "LAST_STREAM_ID",
    "MAX_HEADER_LIST",
    "STREAM_WINDOW",
    "Sending",
    "StreamState",
]

STREAM_WINDOW = 1024 * 1024
"""Bytes of one response that may lie here unread."""
CONNECTION_WINDOW = 16 * 1024 * 1024
"""Bytes of all responses that may be on their way."""
MAX_HEADER_LIST = 100 * 1024
"""Size of a response's fields, counted as RFC 9113 section 6.5.2 does."""
LAST_STREAM_ID = 2**31 - 1
"""A client's stream identifiers are odd and end here (section 5.1.1)."""

_DEFAULT_WINDOW = 65_535
_MOST_RESETS = 4096


class StreamState:
    """What the codec knows of one stream.

    Attributes:
        id: Its identifier.
        outgoing: Bytes that may be sent on it; below 0 if the server took credit back (section 6.9.2).
        incoming: Bytes that the server may send on it.
        headed: Whether the final response's head is here.
        over: Whether the server has ended its side.
        closed: Whether it was reset, by either side.
    """

    __slots__ = ("closed", "headed", "id", "incoming", "outgoing", "over")

    def __init__(self, stream_id: int) -> None:
        self.id = stream_id
        self.outgoing = 0
        self.incoming = STREAM_WINDOW
        self.headed = False
        self.over = False
        self.closed = False


class Sending:
    """What a client sends. Its preface waits to be sent from the beginning.

    Attributes:
        streams: Those under way, by identifier, until they are forgotten.
        last_id: The identifier of the last one that was begun; -1 before.
        largest: The largest payload that the server takes.
        most: How many streams at once the server allows.
    """

    def __init__(self) -> None:
        self.streams: dict[int, StreamState] = {}
        self.last_id = -1
        self.largest = LARGEST_FRAME
        self.most = 2**32
        self._encoder = Encoder()
        self._window = _DEFAULT_WINDOW  # what a stream may send at first
        self._outgoing = _DEFAULT_WINDOW  # what all may
        # Streams that were reset, by either side; the last of them.
        self._resets: dict[int, None] = {}
        self._answers = 0  # to PING and SETTINGS, not taken yet
        ours = {
            Setting.ENABLE_PUSH: 0,
            Setting.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            Setting.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST,
        }
        credit = window_update(0, CONNECTION_WINDOW - _DEFAULT_WINDOW)
        self._out: list[bytes | memoryview] = [PREFACE, settings(ours), credit]

    @property
    def pending(self) -> bool:
        """Whether something is to be sent."""
        return bool(self._out)

    def take(self) -> bytes:
        """What is to be sent now."""
        out = self._out
        if not out:
            return b""
        data = b"".join(out)
        out.clear()
        self._answers = 0
        return data

    def begin(self, stream: StreamState, head: RequestHead, path: bytes, *, end: bool) -> None:
        """Send a request's head on a new stream, whose identifier is `last_id + 2`."""
        self.last_id = stream.id
        stream.outgoing = self._window
        self.streams[stream.id] = stream
        block = self._encoded(head, path)
        self._out.append(header_frames(stream.id, block, self.largest, end_stream=end))

    def _encoded(self, head: RequestHead, path: bytes) -> bytes:
        encoder = self._encoder
        version = encoder.version
        middle = None if head.pathless else (b":path", path)
        if head.version == version and middle is not None:
            return head.first + encoder.encode((middle,)) + head.rest
        first = encoder.encode(head.before)
        between = b"" if middle is None else encoder.encode((middle,))
        rest = encoder.encode(head.after)
        if encoder.version == version:
            head.first, head.rest, head.version = first, rest, version
        return first + between + rest

    def credit(self, stream: StreamState) -> int:
        """How many bytes may be sent on `stream` now; below 1 for none."""
        return min(stream.outgoing, self._outgoing)

    def send_data(self, stream: StreamState, data: bytes | memoryview, *, end: bool) -> None:
        """Send a piece of a body, at most `largest` and `credit(stream)` bytes."""
        size = len(data)
        stream.outgoing -= size
        self._outgoing -= size
        flags = END_STREAM if end else 0
        self._out.append(FRAME_HEADER.pack(size >> 8, size & 0xFF, DATA, flags, stream.id))
        if size:
            self._out.append(data)

    def grant(self, stream: StreamState, size: int) -> None:
        """Let the server send so much more on `stream`."""
        stream.incoming += size
        self._out.append(window_update(stream.id, size))

    def reset(self, stream: StreamState, code: int) -> None:
        """Give a stream up (section 5.4.2). What still arrives for it is ignored."""
        self._out.append(rst_stream(stream.id, code))
        self.abandon(stream)

    def abandon(self, stream: StreamState) -> None:
        """Ignore what still arrives for a stream, without a word: the server reset it, or nothing can be sent."""
        stream.closed = True
        self._resets[stream.id] = None
        if len(self._resets) > _MOST_RESETS:
            del self._resets[next(iter(self._resets))]

    def ping(self, data: bytes) -> None:
        """Ask for a sign of life with eight bytes (section 6.7)."""
        self._out.append(frame(PING, 0, 0, data))

    def say_goodbye(self, code: int = ErrorCode.NO_ERROR) -> None:
        # No stream of the server's was ever accepted.
        self._out.append(goaway(code))
