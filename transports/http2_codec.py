"""HTTP/2 as a sans-IO codec (RFC 9113): h2 frames and decides, set up as a client that shares one connection needs it.

Where this departs from h2's defaults, and why:

- After GOAWAY the streams that the server still serves go on (section 6.8); h2 would take nothing more.
- A malformed response costs its own stream, not the connection (section 8.1.1). So fields are checked here,
  which with regular expressions is also several times faster than h2's loops over single characters.
- What the server sends on a stream before it has read that we reset it is ignored (section 5.1). h2 would answer each
  frame with another reset, and servers close connections on which many come.
- A frame that is larger than allowed is refused at its header (section 4.2); h2 would wait for its payload, which may
  never come.
- Outgoing fields come checked, in lower case and without those of HTTP/1.1's connections; h2 need not do it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, Event
from h2.exceptions import (
    FrameTooLargeError,
    InvalidBodyLengthError,
    ProtocolError,
    StreamClosedError,
    StreamIDTooLowError,
)
from h2.settings import SettingCodes, Settings
from h2.stream import StreamClosedBy, StreamState
from hpack import HPACKError, NeverIndexedHeaderTuple
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, RstStreamFrame

from scallion.pipeline.errors import LocalProtocolError
from scallion.pipeline.request import Request

from .messages import RawHeaders, given_target

__all__ = [
    "CONNECTION_WINDOW",
    "LAST_STREAM_ID",
    "MAX_HEADER_LIST",
    "STREAM_WINDOW",
    "Codec",
    "Malformed",
    "Spoilt",
    "content_length",
    "error_name",
    "new_codec",
    "redacted",
    "request_fields",
    "response_head",
    "trailer_fields",
]

STREAM_WINDOW = 1024 * 1024
"""Bytes of one response that may lie here unread."""
CONNECTION_WINDOW = 16 * 1024 * 1024
"""Bytes of all responses that may be on their way."""
MAX_HEADER_LIST = 100 * 1024
"""Size of a response's fields, counted as RFC 9113 section 6.5.2 does."""
LAST_STREAM_ID = 2**31 - 1
"""A client's stream identifiers are odd and end here (section 5.1.1)."""

# RFC 9113 section 8.2.2: what is about HTTP/1.1's connections. Host becomes :authority (section 8.3.1).
_OF_CONNECTIONS = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
_DROPPED = _OF_CONNECTIONS | {b"host", b"http2-settings"}
# RFC 7541 section 7.1.3: what must not be guessed from how well it compresses; a long cookie cannot be.
_SECRET = frozenset({b"authorization", b"proxy-authorization"})
_SHORT_COOKIE = 20

_NAME = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-z]+")  # RFC 9110 section 5.6.2, token; no capitals
_METHOD = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_BAD_VALUE = re.compile(rb"[\x00\r\n]|\A[ \t]|[ \t]\Z")  # RFC 9113 section 8.2.1
_STATUS = re.compile(rb"[1-9][0-9][0-9]")


class Malformed(Exception):
    """A response that breaks the rules for messages; its text says how, without values."""


class Spoilt(Event):
    """A response breaks the rules for its stream, which was reset.

    Attributes:
        stream_id: Which.
        how: What is wrong, without values.
        flow_controlled_length: How much of it counts for the connection.
    """

    def __init__(self, stream_id: int, how: str, flow_controlled_length: int) -> None:
        self.stream_id = stream_id
        self.how = how
        self.flow_controlled_length = flow_controlled_length


class Codec(H2Connection):
    """h2's connection, with the changes of behaviour that the module's rules name."""

    def check_next_frame(self) -> None:
        """Look at the header of the frame that is still arriving.

        Raises:
            FrameTooLargeError: it announces more than our SETTINGS_MAX_FRAME_SIZE; GOAWAY waits to be sent.
        """
        buffer: Any = self.incoming_buffer
        # Older releases of h2 call it `data`.
        begun: bytearray | bytes = getattr(buffer, "_data", b"") or getattr(buffer, "data", b"")
        length = int.from_bytes(begun[:3], "big") if len(begun) >= 3 else 0
        if length > self.max_inbound_frame_size:
            self._terminate_connection(ErrorCodes.FRAME_SIZE_ERROR)
            raise FrameTooLargeError(
                f"a frame of {length} bytes, and {self.max_inbound_frame_size} are allowed"
            )

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        event = ConnectionTerminated()
        event.error_code = _error_code(frame.error_code)
        event.last_stream_id = frame.last_stream_id
        return [], [event]

    def _handle_data_on_closed_stream(
        self, events: list[Event], exc: StreamClosedError, frame: DataFrame
    ) -> tuple[list[Frame], list[Event]]:
        frames, events = super()._handle_data_on_closed_stream(events, exc, frame)
        if self._stream_is_closed_by_reset(exc.stream_id):
            frames = [answer for answer in frames if not isinstance(answer, RstStreamFrame)]
        return frames, events

    def _spoil(self, frame: Frame, how: str) -> list[Event]:
        """Reset a stream on which the server broke the rules; by hand, as h2 has given it up itself."""
        reset = RstStreamFrame(frame.stream_id)
        reset.error_code = ErrorCodes.PROTOCOL_ERROR
        self._prepare_for_sending([reset])
        machine = self.streams[frame.stream_id].state_machine
        machine.state = StreamState.CLOSED
        machine.stream_closed_by = StreamClosedBy.SEND_RST_STREAM
        length = frame.flow_controlled_length if isinstance(frame, DataFrame) else 0
        return [Spoilt(frame.stream_id, how, length)]

    def _receive_frame(self, frame: Frame) -> list[Event]:
        # Instead of h2's, not around it: that would answer, and it writes each frame out for its log.
        try:
            frames, events = self._frame_dispatch_table[frame.__class__](frame)
        except InvalidBodyLengthError:
            return self._spoil(
                frame, "the body does not have the length that Content-Length announced"
            )
        except (StreamClosedError, StreamIDTooLowError) as error:
            # Cases: closed by a reset, where the frame was under way; by its end; never opened.
            if self._stream_is_closed_by_reset(error.stream_id):
                return list(getattr(error, "_events", ()))
            if self._stream_is_closed_by_end(error.stream_id):
                raise StreamClosedError(error.stream_id) from error
            raise
        except ProtocolError as error:
            # Cases: about one stream, such as a body before its head; about all of them.
            if type(error) is not ProtocolError or isinstance(error.__cause__, HPACKError):
                raise
            if frame.stream_id not in self.streams:
                raise
            return self._spoil(frame, redacted(error))
        self._prepare_for_sending(frames)
        found: list[Event] = events
        return found


class _Silence:
    """Instead of h2's logger, which is asked two dozen times a request."""

    def debug(self, *args: object) -> None:
        pass

    trace = debug


def new_codec() -> Codec:
    """A client's side of a new connection; its preface waits to be sent."""
    silence: Any = _Silence()
    codec = Codec(
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
    codec.local_settings = Settings(
        client=True,
        initial_values={
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST,
        },
    )
    codec.decoder.max_header_list_size = MAX_HEADER_LIST
    codec.initiate_connection()
    codec.increment_flow_control_window(CONNECTION_WINDOW - codec.inbound_flow_control_window)
    return codec


def _error_code(code: int) -> ErrorCodes:
    try:
        return ErrorCodes(code)
    except ValueError:
        # RFC 9113 section 7: unknown codes mean no more than this.
        return ErrorCodes.INTERNAL_ERROR


def error_name(code: ErrorCodes | int | None) -> str:
    """What an error code is called in RFC 9113 section 7."""
    return code.name if isinstance(code, ErrorCodes) else f"code {code}"


def redacted(error: Exception) -> str:
    """h2's words, up to where they quote what was received."""
    return re.split(r"b['\"]", str(error), maxsplit=1)[0].strip() or type(error).__name__


# Sending


def request_fields(request: Request) -> RawHeaders:
    """A request's pseudo-header fields and fields (RFC 9113 section 8.3.1), ready to be sent.

    Raises:
        LocalProtocolError: one of them holds what HTTP does not allow; the message names it, never its value.
    """
    url = request.url
    headers = request.headers
    method = request.method.encode("ascii")
    target = request.extensions.get("target")
    path = url.target if target is None else given_target(target)
    fields: RawHeaders = [
        (b":method", method),
        (b":authority", headers.get_raw(b"host") or url.host_header),
    ]
    if method != b"CONNECT":  # RFC 9113 section 8.5
        fields += [(b":scheme", url.raw_scheme), (b":path", path)]
    _check_line(method, path, fields[1][1])
    dropped = _DROPPED
    nominated = headers.get_raw(b"connection")
    if nominated is not None and nominated not in (b"keep-alive", b"close"):
        # RFC 9110 section 7.6.1: what Connection names is for this connection only, too.
        dropped = dropped | {name.strip().lower() for name in nominated.split(b",")}
    for name, value in headers.raw:
        lower = name.lower()
        if lower in dropped:
            continue
        if not _NAME.fullmatch(lower):
            raise LocalProtocolError(
                f"{name!r} is no header name: it may hold letters, digits and !#$%&'*+-.^_`|~ only"
            )
        if _BAD_VALUE.search(value):
            raise LocalProtocolError(_bad_value(lower, value))
        if lower == b"content-length" and not value.isdigit():
            raise LocalProtocolError("The value of header 'content-length' is no number of bytes")
        if lower in _SECRET or (lower == b"cookie" and len(value) < _SHORT_COOKIE):
            fields.append(NeverIndexedHeaderTuple(lower, value))
        elif lower != b"te" or value.lower() == b"trailers":  # RFC 9113 section 8.2.2
            fields.append((lower, value))
    return fields


def _check_line(method: bytes, path: bytes, authority: bytes) -> None:
    if not _METHOD.fullmatch(method):
        raise LocalProtocolError(
            f"{method!r} is no HTTP method: it may hold letters, digits and !#$%&'*+-.^_`|~ only"
        )
    if not _TARGET.fullmatch(path):
        raise LocalProtocolError(
            "The request target holds a blank, a control character or a non-ASCII one: percent-encode it"
        )
    if _BAD_VALUE.search(authority):
        raise LocalProtocolError(_bad_value(b"host", authority))


def _bad_value(name: bytes, value: bytes) -> str:
    shown = name.decode("ascii")
    if value.strip(b" \t") != value:
        return f"The value of header {shown!r} begins or ends with a blank (RFC 9110 section 5.5): strip it"
    return (
        f"The value of header {shown!r} holds a line break or NUL (RFC 9110 section 5.5): remove it"
    )


# Receiving


def response_head(fields: Iterable[tuple[bytes, bytes]]) -> tuple[int, RawHeaders]:
    """The status and the fields of a response (RFC 9113 section 8.3.2).

    Raises:
        Malformed: they break the rules.
    """
    iterator = iter(fields)
    name, status = next(iterator, (b"", b""))
    if name != b":status" or not _STATUS.fullmatch(status):
        raise Malformed("it has no :status of three digits")
    return int(status), trailer_fields(iterator)


def trailer_fields(fields: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """Fields as they came, checked (RFC 9113 section 8.2).

    Raises:
        Malformed: they break the rules.
    """
    checked: RawHeaders = []
    for name, value in fields:
        if not _NAME.fullmatch(name):
            raise Malformed(f"{name[:100]!r} is no field name here")
        if name in _OF_CONNECTIONS:
            raise Malformed(f"{name!r} belongs to HTTP/1.1")
        if _BAD_VALUE.search(value):
            raise Malformed(f"the value of {name!r} holds characters that it must not")
        checked.append((name, value))
    return checked


def content_length(fields: RawHeaders) -> int | None:
    """What Content-Length announces, which has been seen to be a number; None if there is none."""
    for name, value in fields:
        if name == b"content-length":
            return int(value)
    return None
