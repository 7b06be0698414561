"""What arrives on an HTTP/2 connection, and what it means to its streams: one method for each kind of event.

Credit for the connection is returned when bytes arrive, credit for a stream when they are read: who reads slowly
holds up nobody else, and holds no more than one stream's window.

A stream that this side reset counts against the server's limit until a PING sent after it is answered: the server may
take a while to clear it away, and servers close connections on which too many are begun meanwhile. While nobody reads
the answer is not seen, so that there is always room for one more then, who will read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    InformationalResponseReceived,
    PingAckReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes

from scallion.pipeline.errors import RemoteProtocolError
from scallion.pipeline.runtime import Runtime

from .http2_codec import (
    CONNECTION_WINDOW,
    Malformed,
    Spoilt,
    content_length,
    error_name,
    redacted,
    response_head,
    trailer_fields,
)
from .http2_link import Link
from .http2_streams import Stream
from .messages import MAX_INTERIM

if TYPE_CHECKING:
    from .network.base import Carrier

__all__ = ["Arrivals"]

_PROBE = b"scallion"


class Arrivals(Link):
    """A link that understands what it receives.

    Attributes:
        greeted: Whether the server's settings are known; until then there is room for one exchange.
        progressed: Whether a server that is closing the connection has processed any of its streams.
    """

    def __init__(self, channel: Carrier, runtime: Runtime) -> None:
        super().__init__(channel, runtime)
        self.greeted = False
        self.progressed = False
        self._heard_at = runtime.clock()
        self._goaway: str | None = None
        self._most = 1
        self._room_changed = False
        # Received and not credited to the connection yet, in bytes.
        self._owed = 0
        # Streams that were reset, and how many of them the PING under way will show to be cleared away.
        self._lingering = 0
        self._probed = 0

    def _changed(self) -> None:
        """There may be room for more exchanges now. Called without the lock."""

    def _receive(self, data: bytes) -> None:
        """Take what arrived, and tell the streams; the reader's business alone."""
        if not data:
            farewell = f" (GOAWAY, {self._goaway})" if self._goaway is not None else ""
            self._lose(RemoteProtocolError(f"The server closed the connection{farewell}."))
            return
        broken: H2Error | None = None
        with self._lock:
            self._received += 1
            self._heard_at = self._runtime.clock()
            try:
                for event in self._codec.receive_data(data):
                    handler = _HANDLERS.get(type(event))
                    if handler is not None:
                        handler(self, event)
                self._codec.check_next_frame()
            except H2Error as error:
                broken = error
            changed, self._room_changed = self._room_changed, False
        if broken is not None:
            # Not mute: GOAWAY tells the server why, if it still listens.
            how = f"The server broke HTTP/2's rules: {redacted(broken)}"
            self._lose(RemoteProtocolError(how), mute=False)
        elif changed:
            self._changed()

    # All below runs under the lock.

    def _on_settings(self, event: RemoteSettingsChanged) -> None:
        if SettingCodes.MAX_CONCURRENT_STREAMS in event.changed_settings or not self.greeted:
            self._greet()
        if SettingCodes.INITIAL_WINDOW_SIZE in event.changed_settings:
            self._touch_uploads()

    def _greet(self) -> None:
        self.greeted = True
        self._most = int(self._codec.remote_settings.max_concurrent_streams)
        self._room_changed = True

    def _on_window(self, event: WindowUpdated) -> None:
        stream = self._streams.get(event.stream_id or 0)
        if stream is not None:
            self._touch(stream)
        elif not event.stream_id:
            self._touch_uploads()

    def _touch_uploads(self) -> None:
        for stream in self._streams.values():
            if not stream.sent:
                self._touch(stream)

    def _on_interim(self, event: InformationalResponseReceived) -> None:
        stream = self._streams.get(event.stream_id or 0)
        if stream is not None:
            stream.interim += 1
            if stream.interim > MAX_INTERIM:
                self._spoil(
                    stream, f"it sent over {MAX_INTERIM} interim responses and no final one"
                )

    def _on_head(self, event: ResponseReceived) -> None:
        if not self.greeted:
            self._greet()
        stream = self._streams.get(event.stream_id or 0)
        if stream is None:
            return
        try:
            stream.head = status, fields = response_head(event.headers or ())
        except Malformed as error:
            self._spoil(stream, f"in the response's head {error}")
            return
        if not stream.without_body and status not in (204, 304):
            stream.expected = content_length(fields)
        self._touch(stream)

    def _on_data(self, event: DataReceived) -> None:
        length = event.flow_controlled_length or 0
        self._credit(length)
        stream = self._streams.get(event.stream_id or 0)
        if stream is not None and length:
            data = event.data or b""
            stream.received += len(data)
            stream.keep(data, length)
            self._touch(stream)

    def _credit(self, length: int) -> None:
        """Let the server send as much again on the connection; told in large steps."""
        self._owed += length
        if self._owed >= CONNECTION_WINDOW // 2:
            self._codec.increment_flow_control_window(self._owed)
            self._owed = 0

    def _linger(self) -> None:
        """Count a stream that was reset, until the server has shown that it knows."""
        self._lingering += 1
        if not self._probed:
            self._probe()

    def _probe(self) -> None:
        self._probed = self._lingering
        self._codec.ping(_PROBE)

    def _on_pong(self, event: PingAckReceived) -> None:
        if event.ping_data != _PROBE:
            # Who asked whether the connection lives knows it now.
            for stream in [each for each in self._followers if not each.id]:
                self._touch(stream)
            return
        self._lingering = self._lingering - self._probed
        self._probed = 0
        self._room_changed = True
        if self._lingering:
            self._probe()

    def _stop_reading(self) -> None:
        super()._stop_reading()
        if self._lingering and not self._reading:
            self._changed()

    def _capacity(self) -> int:
        """How many streams there may be at once, as long as there may be any."""
        room = self._most - self._lingering
        if self._reading:
            return max(room, 1)
        return max(room, min(self._most, len(self._streams) + 1))

    def _on_trailers(self, event: TrailersReceived) -> None:
        stream = self._streams.get(event.stream_id or 0)
        if stream is not None:
            try:
                stream.trailers = trailer_fields(event.headers or ())
            except Malformed as error:
                self._spoil(stream, f"in the response's trailers {error}")

    def _on_end(self, event: StreamEnded) -> None:
        stream = self._streams.get(event.stream_id or 0)
        if stream is None or stream.error is not None:
            return
        if stream.expected is not None and stream.expected != stream.received:
            self._spoil(stream, f"it sent {stream.received} bytes of {stream.expected}")
            return
        stream.ended = True
        self._touch(stream)

    def _on_spoilt(self, event: Spoilt) -> None:
        self._credit(event.flow_controlled_length)
        self._linger()
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.closed = True
            self._spoil(stream, event.how)

    def _spoil(self, stream: Stream, how: str) -> None:
        """End one exchange whose response breaks the rules."""
        stream.error = RemoteProtocolError(f"The server broke HTTP/2's rules: {how}")
        if not stream.closed:
            stream.closed = True
            try:
                self._codec.reset_stream(stream.id, ErrorCodes.PROTOCOL_ERROR)
                self._linger()
            except H2Error:
                pass
        self._touch(stream)

    def _on_reset(self, event: StreamReset) -> None:
        stream = self._streams.get(event.stream_id or 0)
        if stream is None:
            return
        stream.closed = True
        # After a complete response it only means that the rest of the request is not wanted (section 8.1).
        if stream.error is None and not stream.ended:
            code = event.error_code
            stream.refused = code == ErrorCodes.REFUSED_STREAM and stream.head is None
            stream.error = RemoteProtocolError(f"The server reset the stream: {error_name(code)}")
        self._touch(stream)

    def _on_goaway(self, event: ConnectionTerminated) -> None:
        """RFC 9113 section 6.8: streams above the one that is named were not and will not be processed."""
        self._goaway = error_name(event.error_code)
        self.progressed = bool(event.last_stream_id)
        for stream in self._streams.values():
            if stream.id > (event.last_stream_id or 0) and not stream.answered():
                stream.refused = True
                stream.error = RemoteProtocolError(
                    f"The server did not process the request: it is closing the connection (GOAWAY, {self._goaway})"
                )
                self._touch(stream)


_HANDLERS: dict[type, Callable[[Arrivals, Any], None]] = {
    ConnectionTerminated: Arrivals._on_goaway,
    DataReceived: Arrivals._on_data,
    InformationalResponseReceived: Arrivals._on_interim,
    PingAckReceived: Arrivals._on_pong,
    RemoteSettingsChanged: Arrivals._on_settings,
    ResponseReceived: Arrivals._on_head,
    Spoilt: Arrivals._on_spoilt,
    StreamEnded: Arrivals._on_end,
    StreamReset: Arrivals._on_reset,
    TrailersReceived: Arrivals._on_trailers,
    WindowUpdated: Arrivals._on_window,
}
