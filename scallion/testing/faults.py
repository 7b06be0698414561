"""What networks do to requests, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from scallion.pipeline.errors import (
    ConnectError,
    ConnectTimeout,
    PoolTimeout,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    WriteError,
    WriteTimeout,
)

from .replies import Reply

__all__ = ["FAULTS", "FaultName"]


def _fault(kind: type[Exception], message: str) -> Callable[[], Exception]:
    return lambda: kind(message)


FaultName: TypeAlias = Literal[
    "connect_error",
    "connect_timeout",
    "pool_timeout",
    "write_timeout",
    "write_error",
    "read_timeout",
    "read_error",
    "disconnected",
    "body_reset",
    "body_timeout",
    "body_cut",
]

_BEGUN = b"The first half, and then"
FAULTS: Mapping[str, Callable[[], Exception] | Reply] = {
    "connect_error": _fault(ConnectError, "cannot connect: Connection refused"),
    "connect_timeout": _fault(ConnectTimeout, "cannot connect: no connection in the time allowed"),
    "pool_timeout": _fault(PoolTimeout, "no connection came free in the time allowed"),
    "write_timeout": _fault(WriteTimeout, "nothing could be sent within the time allowed"),
    "write_error": _fault(WriteError, "sending failed: Broken pipe"),
    "read_timeout": _fault(ReadTimeout, "nothing arrived within the time allowed"),
    "read_error": _fault(ReadError, "receiving failed: Connection reset by peer"),
    "disconnected": _fault(RemoteProtocolError, "Server disconnected without sending a response."),
    "body_reset": Reply(
        headers={"Content-Length": "100"},
        chunks=[_BEGUN, ReadError("receiving failed: Connection reset by peer")],
    ),
    "body_timeout": Reply(
        headers={"Content-Length": "100"},
        chunks=[_BEGUN, ReadTimeout("nothing arrived within the time allowed")],
    ),
    "body_cut": Reply(
        headers={"Content-Length": "100"},
        chunks=[
            _BEGUN,
            RemoteProtocolError("peer closed connection without sending complete message body"),
        ],
    ),
}
"""What networks do, by name. Those of the body begin with a 200 and some bytes."""
