"""What arrives on an HTTP/2 connection, and what it means to its streams: one method for each kind of event.

Credit for the connection is returned when bytes arrive, credit for a stream when they are read: who reads slowly
holds up nobody else, and holds no more than one stream's window.

A stream that this side reset counts against the server's limit until a PING sent after it is answered: the server may
take a while to clear it away, and servers close connections on which too many are begun meanwhile. While nobody reads
the answer is not seen, so that there is always room for one more then, who will read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scallion.pipeline.errors import RemoteProtocolError
from scallion.pipeline.runtime import Runtime

from .http2_codec import Codec
from .http2_fields import Received
from .http2_frames import ConnectionFault, ErrorCode, Setting, error_name
from .http2_link import Link
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
        self._codec = Codec(self)
        self._streams: dict[int, Any] = self._codec.streams
        self.greeted = False
        self.progressed = False
        self._heard_at = runtime.clock()
        self._goaway: str | None = None
        self._most = 1
        self._room_changed = False
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
        broken: ConnectionFault | None = None
        with self._lock:
            self._received += 1
            self._heard_at = self._runtime.clock()
            try:
                self._codec.receive(data)
            except ConnectionFault as fault:
                broken = fault
            changed, self._room_changed = self._room_changed, False
        if broken is not None:
            # Not mute: GOAWAY tells the server why, if it still listens.
            how = f"The server broke HTTP/2's rules: {broken}"
            self._lose(RemoteProtocolError(how), mute=False)
        elif changed:
            self._changed()

    # All below runs under the lock.

    def on_settings(self, changed: set[int]) -> None:
        if Setting.MAX_CONCURRENT_STREAMS in changed or not self.greeted:
            self._greet()
        if Setting.INITIAL_WINDOW_SIZE in changed:
            self._touch_uploads()

    def _greet(self) -> None:
        self.greeted = True
        self._most = self._codec.most
        self._room_changed = True

    def on_window(self, stream: Any) -> None:
        if stream is None:
            self._touch_uploads()
        else:
            self._touch(stream)

    def _touch_uploads(self) -> None:
        for stream in self._streams.values():
            if not stream.sent:
                self._touch(stream)

    def on_interim(self, stream: Any) -> None:
        stream.interim += 1
        if stream.interim > MAX_INTERIM:
            self.on_malformed(
                stream, f"it sent over {MAX_INTERIM} interim responses and no final one"
            )

    def on_head(self, stream: Any, head: Received) -> None:
        if not self.greeted:
            self._greet()
        stream.head = head
        if stream.without_body:
            stream.expected = 0
        elif head.status not in (204, 304):
            stream.expected = head.length
        self._touch(stream)

    def on_data(self, stream: Any, data: bytes, counts: int) -> None:
        stream.received += len(data)
        if stream.expected is not None and stream.received > stream.expected:
            self.on_malformed(
                stream, "the body does not have the length that Content-Length announced"
            )
            return
        stream.keep(data, counts)
        self._touch(stream)

    def _linger(self) -> None:
        """Count a stream that was reset, until the server has shown that it knows."""
        self._lingering += 1
        if not self._probed:
            self._probe()

    def _probe(self) -> None:
        self._probed = self._lingering
        self._codec.ping(_PROBE)

    def on_pong(self, data: bytes) -> None:
        if data != _PROBE:
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

    def on_trailers(self, stream: Any, trailers: Received) -> None:
        stream.trailers = trailers.fields.copy()

    def on_end(self, stream: Any) -> None:
        if stream.expected is not None and stream.expected != stream.received:
            self.on_malformed(stream, f"it sent {stream.received} bytes of {stream.expected}")
            return
        stream.ended = True
        self._touch(stream)

    def on_malformed(
        self, stream: Any, how: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR
    ) -> None:
        """End one exchange whose response breaks the rules."""
        stream.error = RemoteProtocolError(f"The server broke HTTP/2's rules: {how}")
        if not stream.closed:
            self._codec.reset(stream, code)
            self._linger()
        self._touch(stream)

    def on_reset(self, stream: Any, code: int) -> None:
        # After a complete response it only means that the rest of the request is not wanted (section 8.1).
        if stream.error is None and not stream.ended:
            stream.refused = code == ErrorCode.REFUSED_STREAM and stream.head is None
            stream.error = RemoteProtocolError(f"The server reset the stream: {error_name(code)}")
        self._touch(stream)

    def on_goaway(self, code: int, last_stream_id: int) -> None:
        """RFC 9113 section 6.8: streams above the one that is named were not and will not be processed."""
        self._goaway = error_name(code)
        self.progressed = bool(last_stream_id)
        for stream in self._streams.values():
            if stream.id > last_stream_id and not stream.answered():
                stream.refused = True
                stream.error = RemoteProtocolError(
                    f"The server did not process the request: it is closing the connection (GOAWAY, {self._goaway})"
                )
                self._touch(stream)
