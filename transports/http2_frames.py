"""HTTP/2's frames as bytes (RFC 9113 sections 4, 6 and 7): types, flags, error codes, settings, and how each is written."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

__all__ = [
    "ACK",
    "CONTINUATION",
    "DATA",
    "END_HEADERS",
    "END_STREAM",
    "FRAME_HEADER",
    "GOAWAY",
    "HEADERS",
    "HEADER_SIZE",
    "LARGEST_FRAME",
    "LARGEST_WINDOW",
    "PADDED",
    "PING",
    "PREFACE",
    "PRIORITISED",
    "PRIORITY",
    "PUSH_PROMISE",
    "RST_STREAM",
    "SETTING",
    "SETTINGS",
    "STREAM_ID",
    "WINDOW_UPDATE",
    "ConnectionFault",
    "ErrorCode",
    "Setting",
    "error_name",
    "frame",
    "goaway",
    "header_frames",
    "rst_stream",
    "settings",
    "window_update",
]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # Section 3.4.

# Section 6.
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
END_STREAM = ACK = 0x01
END_HEADERS = 0x04
PADDED = 0x08
PRIORITISED = 0x20

HEADER_SIZE = 9
FRAME_HEADER = Struct(">HBBBL")
"""Section 4.1: length (in two parts), type, flags, and the stream's identifier with its reserved bit."""
STREAM_ID = 0x7FFF_FFFF
SETTING = Struct(">HL")
_NUMBER = Struct(">L")
_TWO_NUMBERS = Struct(">LL")

LARGEST_FRAME = 16_384
"""Bytes of payload that each side takes unless it says otherwise (section 4.2)."""
LARGEST_WINDOW = 2**31 - 1


class ErrorCode(IntEnum):
    """Why a stream or a connection ends (section 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class Setting(IntEnum):
    """What a side tells of itself (section 6.5.2)."""

    HEADER_TABLE_SIZE = 0x1
    ENABLE_PUSH = 0x2
    MAX_CONCURRENT_STREAMS = 0x3
    INITIAL_WINDOW_SIZE = 0x4
    MAX_FRAME_SIZE = 0x5
    MAX_HEADER_LIST_SIZE = 0x6


class ConnectionFault(Exception):
    """The server broke a rule that all streams depend on (section 5.4.1); the text says which, without values.

    Attributes:
        code: What GOAWAY tells the server.
    """

    def __init__(self, code: ErrorCode, how: str) -> None:
        super().__init__(how)
        self.code = code


def error_name(code: int) -> str:
    """What an error code is called in section 7."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"code {code}"


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """One frame."""
    size = len(payload)
    return FRAME_HEADER.pack(size >> 8, size & 0xFF, kind, flags, stream_id) + payload


def header_frames(stream_id: int, block: bytes, largest: int, *, end_stream: bool) -> bytes:
    """A field block as HEADERS, and CONTINUATION where it is larger than a frame may be (section 6.10)."""
    flags = END_STREAM if end_stream else 0
    if len(block) <= largest:
        return frame(HEADERS, flags | END_HEADERS, stream_id, block)
    frames = [frame(HEADERS, flags, stream_id, block[:largest])]
    for start in range(largest, len(block), largest):
        last = END_HEADERS if start + largest >= len(block) else 0
        frames.append(frame(CONTINUATION, last, stream_id, block[start : start + largest]))
    return b"".join(frames)


def settings(values: dict[Setting, int]) -> bytes:
    payload = b"".join([SETTING.pack(setting, value) for setting, value in values.items()])
    return frame(SETTINGS, 0, 0, payload)


def window_update(stream_id: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream_id, _NUMBER.pack(increment))


def rst_stream(stream_id: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream_id, _NUMBER.pack(code))


def goaway(code: int, last_stream_id: int = 0) -> bytes:
    return frame(GOAWAY, 0, 0, _TWO_NUMBERS.pack(last_stream_id, code))
