"""What h2 makes of a server's frames, in the words of scallion's own codec: the other side of a comparison.

`Oracle` has the same small interface as `Recorder`, which wraps scallion's codec; what both note is compared. h2 is taught
the few things that a client needs otherwise, and that scallion's codec does: streams go on after GOAWAY (RFC 9113
section 6.8); a malformed response costs its stream (8.1.1); what arrives for a stream that was reset is ignored (5.1); a
frame that is too large is refused at its header (4.2).
"""

from __future__ import annotations

from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    PingAckReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import (
    FrameTooLargeError,
    ProtocolError,
    StreamClosedError,
    StreamIDTooLowError,
)
from h2.settings import SettingCodes, Settings
from h2.stream import StreamClosedBy, StreamState
from hpack import HPACKError
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, GoAwayFrame, RstStreamFrame

from scallion.transports.http2_codec import Codec
from scallion.transports.http2_fields import Malformed, Received, RequestHead, received
from scallion.transports.http2_frames import ConnectionFault, ErrorCode
from scallion.transports.http2_sending import (
    CONNECTION_WINDOW,
    MAX_HEADER_LIST,
    STREAM_WINDOW,
)
from scallion.transports.http2_sending import (
    StreamState as Known,
)

__all__ = ["Notes", "Oracle", "Recorder", "answers_in"]

PREFACE = 24


class Notes:
    """What was heard. A stream's data is one piece, however it came.

    Attributes:
        streams: By identifier, what happened to each, in order.
        others: What concerns all of them.
        fault: The code of the error that ended the connection; None if it goes on.
    """

    def __init__(self) -> None:
        self.streams: dict[int, list[tuple[Any, ...]]] = {}
        self.others: list[tuple[Any, ...]] = []
        self.fault: int | None = None

    def note(self, stream_id: int, *event: Any) -> None:
        events = self.streams.setdefault(stream_id, [])
        if event[0] == "data" and events and events[-1][0] == "data":
            events[-1] = ("data", events[-1][1] + event[1])
        elif event != ("data", b""):
            events.append(event)


class Recorder(Notes):
    """scallion's codec, and what it tells."""

    def __init__(self) -> None:
        super().__init__()
        self.codec = Codec(self)
        self.sent = b""
        self._sent: set[int] = set()

    def request(self, *, end: bool) -> None:
        stream = Known(self.codec.last_id + 2)
        head = RequestHead("GET", b"http", b"example.test", [(b"x-one", b"1")])
        self.codec.begin(stream, head, b"/", end=end)
        if end:
            self._sent.add(stream.id)

    def cancel(self, stream_id: int) -> None:
        stream = self.codec.streams.get(stream_id)
        if stream is not None and not stream.closed and not stream.over:
            self.codec.reset(stream, ErrorCode.CANCEL)

    def feed(self, data: bytes) -> None:
        if self.fault is None:
            try:
                self.codec.receive(data)
            except ConnectionFault as fault:
                self.fault = fault.code
            self.sent += self.codec.take()

    def credit(self, stream_id: int) -> int | None:
        stream = self.codec.streams.get(stream_id)
        return None if stream is None or stream.closed else self.codec.credit(stream)

    # What the codec calls.

    def on_settings(self, changed: set[int]) -> None:
        self.others.append(("settings", frozenset(changed)))

    def on_window(self, stream: Known | None) -> None:
        pass

    def on_interim(self, stream: Known) -> None:
        self.note(stream.id, "interim")

    def on_head(self, stream: Known, head: Received) -> None:
        self.note(stream.id, "head", head.status, list(head.fields))

    def on_data(self, stream: Known, data: bytes, counts: int) -> None:
        self.note(stream.id, "data", data)
        self.codec.grant(stream, counts)

    def on_trailers(self, stream: Known, trailers: Received) -> None:
        self.note(stream.id, "trailers", list(trailers.fields))

    def on_end(self, stream: Known) -> None:
        self.note(stream.id, "end")
        # As soon as both sides have ended, the connection forgets a stream.
        if stream.id in self._sent:
            del self.codec.streams[stream.id]

    def on_reset(self, stream: Known, code: int) -> None:
        self.note(stream.id, "reset", code)

    def on_malformed(
        self, stream: Known, how: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR
    ) -> None:
        assert how
        self.note(stream.id, "malformed")
        self.codec.reset(stream, code)

    def on_goaway(self, code: int, last_stream_id: int) -> None:
        self.others.append(("goaway", code, last_stream_id))

    def on_pong(self, data: bytes) -> None:
        self.others.append(("pong", data))


class Oracle(Notes):
    """h2, and what it tells. It is to be fed whole frames, one at a time: it forgets what came before an error."""

    def __init__(self) -> None:
        super().__init__()
        silence: Any = _Silence()
        self.codec = _H2(
            H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
                logger=silence,
            )
        )
        self.codec.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST,
            },
        )
        self.codec.decoder.max_header_list_size = MAX_HEADER_LIST
        self.codec.initiate_connection()
        self.codec.increment_flow_control_window(
            CONNECTION_WINDOW - self.codec.inbound_flow_control_window
        )
        self.sent = b""

    def request(self, *, end: bool) -> None:
        fields = [
            (":method", "GET"),
            (":authority", "example.test"),
            (":scheme", "http"),
            (":path", "/"),
            ("x-one", "1"),
        ]
        self.codec.send_headers(self.codec.get_next_available_stream_id(), fields, end_stream=end)

    def cancel(self, stream_id: int) -> None:
        stream = self.codec.streams.get(stream_id)
        if stream is not None and stream.open and not _remotely_ended(stream):
            self.codec.reset_stream(stream_id, ErrorCodes.CANCEL)

    def feed(self, data: bytes) -> None:
        if self.fault is not None:
            return
        try:
            for event in self.codec.receive_data(data):
                self._hear(event)
            self.codec.check_next_frame()
        except ProtocolError as error:
            self.fault = int(error.error_code)
            # h2 does not tell broken compression from other faults (section 4.3).
            if str(error).startswith("Error decoding header block"):
                self.fault = ErrorCode.COMPRESSION_ERROR
        self.sent += self.codec.data_to_send()

    def credit(self, stream_id: int) -> int | None:
        stream = self.codec.streams.get(stream_id)
        if stream is None or stream.closed:
            return None
        return min(self.codec.outbound_flow_control_window, stream.outbound_flow_control_window)

    def _hear(self, event: Any) -> None:
        stream = getattr(event, "stream_id", None) or 0
        # Cases: fields, which h2 was told not to check; the rest of a stream; what concerns all.
        if isinstance(event, ResponseReceived | InformationalResponseReceived | TrailersReceived):
            self._hear_fields(stream, event)
        elif isinstance(event, DataReceived):
            self.codec.acknowledge_received_data(event.flow_controlled_length or 0, stream)
            self.note(stream, "data", event.data)
        elif isinstance(event, StreamEnded) and not self._is_malformed(stream):
            self.note(stream, "end")
        elif isinstance(event, StreamReset):
            here = event.remote_reset
            self.note(stream, *(("reset", int(event.error_code or 0)) if here else ("malformed",)))
        elif isinstance(event, _Spoilt):
            self.note(stream, "malformed")
        elif isinstance(event, ConnectionTerminated):
            self.others.append(("goaway", event.error_code, event.last_stream_id))
        elif isinstance(event, PingAckReceived):
            self.others.append(("pong", bytes(event.ping_data or b"")))
        elif type(event).__name__ == "RemoteSettingsChanged":
            changed = frozenset(int(code) for code in event.changed_settings)
            self.others.append(("settings", changed))

    def _hear_fields(self, stream: int, event: Any) -> None:
        try:
            found = received([(bytes(name), bytes(value)) for name, value in event.headers])
            if isinstance(event, TrailersReceived) and found.status:
                raise Malformed(":status")
            if not isinstance(event, TrailersReceived) and not found.status:
                raise Malformed("no :status")
        except Malformed:
            self.note(stream, "malformed")
            self.codec.give_up(stream)
            return
        if isinstance(event, ResponseReceived):
            self.note(stream, "head", found.status, found.fields)
        elif isinstance(event, TrailersReceived):
            self.note(stream, "trailers", found.fields)
        else:
            self.note(stream, "interim")

    def _is_malformed(self, stream: int) -> bool:
        return ("malformed",) in self.streams.get(stream, [])


def _remotely_ended(stream: Any) -> bool:
    machine = stream.state_machine
    # h2 closes a stream on any error as well.
    by_end = (StreamClosedBy.RECV_END_STREAM, StreamClosedBy.SEND_END_STREAM)
    return machine.state == StreamState.HALF_CLOSED_REMOTE or machine.stream_closed_by in by_end


def answers_in(sent: bytes) -> list[tuple[Any, ...]]:
    """The frames that a client sent after its first ones, but for credit, which is a matter of policy."""
    answers: list[tuple[Any, ...]] = []
    at = PREFACE if sent.startswith(b"PRI") else 0
    while at < len(sent):
        header, length = Frame.parse_frame_header(memoryview(sent[at : at + 9]))
        header.parse_body(memoryview(sent[at + 9 : at + 9 + length]))
        at += 9 + length
        kind = type(header).__name__
        if kind == "RstStreamFrame":
            answers.append((kind, header.stream_id, int(getattr(header, "error_code", 0))))
        elif kind == "GoAwayFrame":
            answers.append((kind,))
        elif kind in ("PingFrame", "SettingsFrame"):
            answers.append((kind, sorted(header.flags), getattr(header, "opaque_data", None)))
    return answers


class _Spoilt(Event):
    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id


class _Silence:
    def debug(self, *args: object) -> None:
        pass

    trace = debug


class _H2(H2Connection):
    """h2's connection, with the changes of behaviour that the module names."""

    _ended = False

    def check_next_frame(self) -> None:
        buffer: Any = self.incoming_buffer
        begun: bytearray | bytes = getattr(buffer, "_data", b"") or getattr(buffer, "data", b"")
        length = int.from_bytes(begun[:3], "big") if len(begun) >= 3 else 0
        if length > self.max_inbound_frame_size:
            self._terminate_connection(ErrorCodes.FRAME_SIZE_ERROR)
            raise FrameTooLargeError("too large")

    def give_up(self, stream_id: int) -> None:
        """Reset a stream by hand, whatever h2 thinks of its state."""
        reset = RstStreamFrame(stream_id)
        reset.error_code = ErrorCodes.PROTOCOL_ERROR
        self._prepare_for_sending([reset])
        stream = self.streams.get(stream_id)
        if stream is not None:
            stream.state_machine.state = StreamState.CLOSED
            stream.state_machine.stream_closed_by = StreamClosedBy.SEND_RST_STREAM
        else:
            self._closed_streams[stream_id] = StreamClosedBy.SEND_RST_STREAM

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        event = ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        return [], [event]

    def _handle_data_on_closed_stream(
        self, events: list[Event], exc: StreamClosedError, frame: DataFrame
    ) -> tuple[list[Frame], list[Event]]:
        # h2 resets a stream whose server side has ended; scallion's codec takes it for the connection's error.
        if self._ended or not self._stream_is_closed_by_reset(exc.stream_id):
            raise exc
        frames, events = super()._handle_data_on_closed_stream(events, exc, frame)
        return [answer for answer in frames if not isinstance(answer, RstStreamFrame)], events

    def _receive_frame(self, frame: Frame) -> list[Event]:
        if isinstance(frame, ContinuationFrame):
            # Section 6.10: an error of the connection's.
            raise ProtocolError("CONTINUATION without a field block")
        stream = self.streams.get(frame.stream_id)
        ended = self._ended = stream is not None and _remotely_ended(stream)
        try:
            frames, events = self._frame_dispatch_table[frame.__class__](frame)
        except (StreamClosedError, StreamIDTooLowError) as error:
            if self._stream_is_closed_by_reset(error.stream_id) and not ended:
                return list(getattr(error, "_events", ()))
            if ended:
                raise StreamClosedError(error.stream_id) from error
            if self._stream_is_closed_by_end(error.stream_id):
                raise StreamClosedError(error.stream_id) from error
            raise
        except ProtocolError as error:
            if type(error) is not ProtocolError or isinstance(error.__cause__, HPACKError):
                raise
            if frame.stream_id not in self.streams:
                raise
            if self._stream_is_closed_by_reset(frame.stream_id):
                return []
            if ended:
                # Section 5.1: whatever it is that h2 does not like about it.
                raise StreamClosedError(frame.stream_id) from error
            self.give_up(frame.stream_id)
            return [_Spoilt(frame.stream_id)]
        self._prepare_for_sending(frames)
        found: list[Event] = events
        return found
