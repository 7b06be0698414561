"""HTTP/2 as a sans-IO codec for a client (RFC 9113): bytes in, calls of a listener out.

Rules:

- The server's frames are of four kinds: good ones, which the listener hears of; what is wrong with one response, which
  it hears of as `on_malformed` and which costs that stream (section 5.4.2); what is wrong with all, a `ConnectionFault`,
  for which GOAWAY waits to be sent; and what the server sent before it had read that we reset the stream, which is
  ignored (section 5.1): to answer each such frame with another reset would make servers close the connection.
- Everything the server may repeat without end is bounded: a frame's size at its header, the frames of a field block and
  the bytes of its fields, answers to PING and SETTINGS that nobody takes, streams that were reset and are remembered.
- DATA is handed on as it arrives: parts of frames, and what several frames in a row bring, in one piece, copied once. Its credit for the connection is returned at once,
  in large steps; a stream's when the listener says so.
- After GOAWAY the streams that the server still serves go on (section 6.8).
"""

from __future__ import annotations

from .http2_blocks import FieldBlocks
from .http2_control import Control, Listener, fault, wrong_size
from .http2_fields import Malformed
from .http2_frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEADER,
    GOAWAY,
    HEADER_SIZE,
    HEADERS,
    LARGEST_FRAME,
    PADDED,
    PING,
    PRIORITISED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_ID,
    WINDOW_UPDATE,
    ConnectionFault,
    ErrorCode,
    window_update,
)
from .http2_sending import CONNECTION_WINDOW, MAX_HEADER_LIST, StreamState

__all__ = ["Codec"]

_MOST_CONTINUATIONS = 64


class Codec(Control):
    """A client's side of one connection. One thread or task at a time may use it."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        self._blocks = FieldBlocks(MAX_HEADER_LIST)
        self._owed = 0  # received and not credited to the connection yet
        # What was received of a frame that has not ended; DATA's parts are told at once instead.
        self._rest = b""
        # What is gathered of the stream whose DATA came last, and how much of its frame is still to come.
        self._filling: StreamState | None = None
        self._parts: list[memoryview] = []
        self._missing = 0
        self._ends = False
        # A field block that has not ended: its first frame's flags and stream, and its parts.
        self._block: list[bytes] = []
        self._block_flags = self._block_stream = 0

    def receive(self, data: bytes) -> None:
        """Take what arrived, and tell the listener what it means.

        Raises:
            ConnectionFault: the connection can go on no longer; GOAWAY waits to be sent.
        """
        try:
            self._receive(data)
        except ConnectionFault as error:
            self.say_goodbye(error.code)
            raise
        finally:
            self._hand_on()
            if self._owed >= CONNECTION_WINDOW // 2:
                self._out.append(window_update(0, self._owed))
                self._owed = 0

    def _receive(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at, end = 0, len(data)
        view = memoryview(data)
        if self._missing:
            at = self._fill(view, 0, end)
        while end - at >= HEADER_SIZE:
            high, low, kind, flags, stream_id = FRAME_HEADER.unpack_from(data, at)
            size = high << 8 | low
            if size > LARGEST_FRAME:
                raise _too_large(size)
            stream_id &= STREAM_ID
            if self._block and (kind != CONTINUATION or stream_id != self._block_stream):
                raise fault("a field block was interrupted by another frame")
            start = at + HEADER_SIZE
            if kind == DATA and not flags & PADDED:
                stop = start + size
                stream = self._filling
                if (
                    not flags
                    and stop <= end
                    and stream is not None
                    and stream.id == stream_id
                    and size <= stream.incoming
                    and not (stream.closed or stream.over)
                ):
                    # Most of a large body: one more whole frame of the same stream.
                    stream.incoming -= size
                    self._owed += size
                    self._parts.append(view[start:stop])
                    at = stop
                    continue
                self._begin_data(stream_id, size, size, ends=bool(flags & END_STREAM))
                at = self._fill(view, start, end) if size else start
                continue
            if start + size > end:
                break
            at = start + size
            handler = _HANDLERS.get(kind)
            # What is of no kind that is known is ignored (section 5.5).
            if handler is not None:
                if self._parts:
                    self._hand_on()
                handler(self, flags, stream_id, data[start:at])
        if at < end:
            self._rest = data[at:]
            size = int.from_bytes(self._rest[:3], "big")
            if size > LARGEST_FRAME and end - at >= 3:
                raise _too_large(size)

    # DATA (section 6.1).

    def _begin_data(self, stream_id: int, size: int, length: int, *, ends: bool) -> None:
        """The header of a frame is here: `size` bytes of the credit, of which `length` are data."""
        # The connection's credit is returned whatever becomes of the data; so it never gets scarce, and is not counted.
        self._owed += size
        stream = self._stream(stream_id, ended=False)
        if self._parts and stream is not self._filling:
            self._hand_on()
        if stream is not None:
            stream.incoming -= size
            if stream.incoming < 0:
                raise ConnectionFault(
                    ErrorCode.FLOW_CONTROL_ERROR, "more bytes of a body came than were granted"
                )
            if not stream.headed:
                self._listener.on_malformed(stream, "a body came before its head")
                stream = None
            elif size > length:
                # What padding takes is granted again with the first byte that is read.
                self._listener.on_data(stream, b"", size - length)
        self._filling, self._missing, self._ends = stream, length, ends
        if not length:
            self._end_data()

    def _fill(self, view: memoryview, start: int, end: int) -> int:
        """Gather what is here of the frame's data; where it ends."""
        stop = min(start + self._missing, end)
        self._missing -= stop - start
        if self._filling is not None and stop > start:
            self._parts.append(view[start:stop])
        if not self._missing:
            self._end_data()
        return stop

    def _hand_on(self) -> None:
        """What has been gathered, of one frame or several, in one piece: the only copy that is made here."""
        parts, stream = self._parts, self._filling
        if parts:
            data = b"".join(parts)
            parts.clear()
            if stream is not None and not stream.closed:
                self._listener.on_data(stream, data, len(data))

    def _end_data(self) -> None:
        if self._ends:
            self._hand_on()
            stream, self._filling = self._filling, None
            if stream is not None and not stream.closed:
                self._end(stream)

    def _end(self, stream: StreamState) -> None:
        stream.over = True
        self._listener.on_end(stream)

    def _on_padded_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            raise fault("DATA came for no stream")
        data = _without_padding(flags, payload)
        self._begin_data(stream_id, len(payload), len(data), ends=bool(flags & END_STREAM))
        if data:
            self._fill(memoryview(data), 0, len(data))

    # Fields (sections 6.2 and 6.10).

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            raise fault("HEADERS came for no stream")
        if flags & (PADDED | PRIORITISED):
            payload = _without_padding(flags, payload)
            if flags & PRIORITISED:
                if len(payload) < 5:
                    raise wrong_size("HEADERS")
                payload = payload[5:]
        if flags & END_HEADERS:
            self._take_block(stream_id, payload, ends=bool(flags & END_STREAM))
        else:
            self._block_flags, self._block_stream, self._block = flags, stream_id, [payload]

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not self._block:
            raise fault("CONTINUATION came without a field block")
        self._block.append(payload)
        if flags & END_HEADERS:
            block, self._block = b"".join(self._block), []
            self._take_block(stream_id, block, ends=bool(self._block_flags & END_STREAM))
        elif len(self._block) > _MOST_CONTINUATIONS:
            raise ConnectionFault(
                ErrorCode.ENHANCE_YOUR_CALM, f"a field block of over {_MOST_CONTINUATIONS} frames"
            )

    def _take_block(self, stream_id: int, block: bytes, *, ends: bool) -> None:
        # Whatever it is for: the table must stay the server's.
        try:
            fields = self._blocks.read(block)
        except Malformed as error:
            how: str | None = str(error)
        else:
            how = None
        stream = self._stream(stream_id, ended=False)
        if stream is None:
            return
        listener = self._listener
        # Cases: malformed; the final response's head, or an interim one (section 8.1); trailers.
        if how is not None:
            where = "trailers" if stream.headed else "head"
            listener.on_malformed(stream, f"in the response's {where} {how}")
        elif not stream.headed:
            if fields.status >= 200:
                stream.headed = True
                listener.on_head(stream, fields)
            elif not fields.status:
                listener.on_malformed(
                    stream, "in the response's head it has no :status of three digits"
                )
            elif ends:
                listener.on_malformed(stream, "an interim response ended the stream")
            else:
                listener.on_interim(stream)
        elif fields.status:
            listener.on_malformed(stream, "in the response's trailers there is a :status")
        elif not ends:
            listener.on_malformed(stream, "the response's trailers did not end it")
        else:
            listener.on_trailers(stream, fields)
        if ends and not stream.closed:
            self._end(stream)


_HANDLERS = {
    DATA: Codec._on_padded_data,
    HEADERS: Codec._on_headers,
    PRIORITY: Codec._on_priority,
    RST_STREAM: Codec._on_rst_stream,
    SETTINGS: Codec._on_settings,
    PUSH_PROMISE: Codec._on_push_promise,
    PING: Codec._on_ping,
    GOAWAY: Codec._on_goaway,
    WINDOW_UPDATE: Codec._on_window_update,
    CONTINUATION: Codec._on_continuation,
}


def _without_padding(flags: int, payload: bytes) -> bytes:
    """Section 6.1: the first octet says how many at the end are padding."""
    if not flags & PADDED:
        return payload
    if not payload:
        raise wrong_size("a padded frame")
    if payload[0] >= len(payload):
        raise fault("a frame's padding is longer than the frame")
    return payload[1 : len(payload) - payload[0]]


def _too_large(size: int) -> ConnectionFault:
    how = f"a frame of {size} bytes, and {LARGEST_FRAME} are allowed"
    return ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, how)
