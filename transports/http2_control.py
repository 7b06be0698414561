"""The frames that are not a message: settings, credit, resets, signs of life, farewells (RFC 9113 section 6)."""

from __future__ import annotations

from typing import Protocol

from .http2_fields import Received
from .http2_frames import (
    ACK,
    LARGEST_FRAME,
    LARGEST_WINDOW,
    PING,
    SETTING,
    SETTINGS,
    STREAM_ID,
    ConnectionFault,
    ErrorCode,
    Setting,
    frame,
)
from .http2_sending import Sending, StreamState

__all__ = ["Control", "Listener", "fault", "wrong_size"]

_LARGEST_POSSIBLE_FRAME = 2**24 - 1
_MOST_ANSWERS = 10_000


class Listener(Protocol):
    """Who is told what a server's frames mean. `stream` is one of the codec's streams."""

    def on_settings(self, changed: set[int]) -> None: ...

    def on_window(self, stream: StreamState | None) -> None:
        """There is more credit: for one stream, or for the connection."""

    def on_interim(self, stream: StreamState) -> None: ...

    def on_head(self, stream: StreamState, head: Received) -> None: ...

    def on_data(self, stream: StreamState, data: bytes, counts: int) -> None:
        """A part of the body. `counts`: what it takes of the stream's credit, padding included."""

    def on_trailers(self, stream: StreamState, trailers: Received) -> None: ...

    def on_end(self, stream: StreamState) -> None: ...

    def on_reset(self, stream: StreamState, code: int) -> None: ...

    def on_malformed(
        self, stream: StreamState, how: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR
    ) -> None:
        """The response breaks the rules: reset it with this code."""

    def on_goaway(self, code: int, last_stream_id: int) -> None: ...

    def on_pong(self, data: bytes) -> None: ...


class Control(Sending):
    """What a server says beside its answers: one method for each type of frame, given flags, stream and payload."""

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener

    def _stream(self, stream_id: int, *, ended: bool = True) -> StreamState | None:
        """The stream that a frame is for; None if the frame is to be ignored.

        Args:
            stream_id: Which.
            ended: Whether the frame may come after the end of the server's side, or of the stream.

        Raises:
            ConnectionFault: there never was such a stream, or it has ended.
        """
        stream = self.streams.get(stream_id)
        if stream is not None and not stream.closed:
            if stream.over and not ended:
                raise ConnectionFault(ErrorCode.STREAM_CLOSED, "a frame came after a stream's end")
            return stream
        if not stream_id or stream_id % 2 == 0 or stream_id > self.last_id:
            raise fault("a frame came for a stream that was never begun")
        if not ended and stream_id not in self._resets:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, "a frame came after a stream's end")
        return None

    def _on_priority(self, flags: int, stream_id: int, payload: bytes) -> None:  # noqa: ARG002
        """Section 6.3: deprecated, and good for nothing."""
        if not stream_id:
            raise fault("PRIORITY came for no stream")
        if len(payload) != 5:
            raise wrong_size("PRIORITY")

    def _on_rst_stream(self, flags: int, stream_id: int, payload: bytes) -> None:  # noqa: ARG002
        if len(payload) != 4:
            raise wrong_size("RST_STREAM")
        stream = self._stream(stream_id)
        if stream is not None:
            self.abandon(stream)
            self._listener.on_reset(stream, int.from_bytes(payload, "big"))

    def _on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise fault("SETTINGS came for one stream")
        if len(payload) % 6 or (flags & ACK and payload):
            raise wrong_size("SETTINGS")
        if flags & ACK:
            return
        # In their order (section 6.5.3): what a setting was for a moment may matter, too.
        values = list(SETTING.iter_unpack(payload))
        for setting, value in values:
            self._apply(setting, value)
        self._answer(frame(SETTINGS, ACK, 0))
        self._listener.on_settings({setting for setting, _ in values})

    def _apply(self, setting: int, value: int) -> None:
        """Section 6.5.2; settings that are not known are ignored."""
        if setting == Setting.INITIAL_WINDOW_SIZE:
            if value > LARGEST_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window beyond 2^31-1 bytes")
            change, self._window = value - self._window, value
            for stream in self.streams.values():
                stream.outgoing += change
                if stream.outgoing > LARGEST_WINDOW:
                    raise ConnectionFault(
                        ErrorCode.FLOW_CONTROL_ERROR, "a window beyond 2^31-1 bytes"
                    )
        elif setting == Setting.MAX_CONCURRENT_STREAMS:
            self.most = value
        elif setting == Setting.MAX_FRAME_SIZE:
            if not LARGEST_FRAME <= value <= _LARGEST_POSSIBLE_FRAME:
                raise fault("SETTINGS_MAX_FRAME_SIZE is out of its range")
            self.largest = value
        elif setting == Setting.HEADER_TABLE_SIZE:
            self._encoder.resize(value)
        elif setting == Setting.ENABLE_PUSH and value:
            raise fault("SETTINGS_ENABLE_PUSH is no server's to set")

    def _on_push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:  # noqa: ARG002
        raise fault("PUSH_PROMISE came, and push is disabled")

    def _on_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise fault("PING came for one stream")
        if len(payload) != 8:
            raise wrong_size("PING")
        if flags & ACK:
            self._listener.on_pong(payload)
        else:
            self._answer(frame(PING, ACK, 0, payload))

    def _answer(self, data: bytes) -> None:
        self._answers += 1
        if self._answers > _MOST_ANSWERS:
            raise ConnectionFault(
                ErrorCode.ENHANCE_YOUR_CALM, "PING and SETTINGS came faster than answers can leave"
            )
        self._out.append(data)

    def _on_goaway(self, flags: int, stream_id: int, payload: bytes) -> None:  # noqa: ARG002
        if stream_id:
            raise fault("GOAWAY came for one stream")
        if len(payload) < 8:
            raise wrong_size("GOAWAY")
        last = int.from_bytes(payload[:4], "big") & STREAM_ID
        self._listener.on_goaway(int.from_bytes(payload[4:8], "big"), last)

    def _on_window_update(self, flags: int, stream_id: int, payload: bytes) -> None:  # noqa: ARG002
        if len(payload) != 4:
            raise wrong_size("WINDOW_UPDATE")
        increment = int.from_bytes(payload, "big") & STREAM_ID
        if not increment:
            raise fault("WINDOW_UPDATE granted nothing")
        if not stream_id:
            self._outgoing += increment
            if self._outgoing > LARGEST_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window beyond 2^31-1 bytes")
            self._listener.on_window(None)
            return
        stream = self._stream(stream_id)
        if stream is None:
            return
        if stream.outgoing + increment > LARGEST_WINDOW:
            how = "it granted a window beyond 2^31-1 bytes"
            self._listener.on_malformed(stream, how, ErrorCode.FLOW_CONTROL_ERROR)
        else:
            stream.outgoing += increment
            self._listener.on_window(stream)


def fault(how: str) -> ConnectionFault:
    return ConnectionFault(ErrorCode.PROTOCOL_ERROR, how)


def wrong_size(what: str) -> ConnectionFault:
    return ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"{what} has a wrong size")
