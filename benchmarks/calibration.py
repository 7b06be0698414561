"""A fixed piece of work, timed beside every measurement: how fast the machine is just now.

It does what clients do: byte strings, dictionaries, calls, and a byte through a socket.
"""

from __future__ import annotations

import socket

from machine import cpu_seconds

__all__ = ["REFERENCE", "calibrate"]

# CPU seconds of one calibration on the machine of docs/benchmarks.md when little else runs. Costs are
# multiplied by this, and divided by what the calibration took beside them.
REFERENCE = 0.030

_HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: benchmark\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
    b"Content-Type: application/json\r\nContent-Length: 200\r\nConnection: keep-alive\r\n\r\n"
)
_ROUNDS = 8000


def calibrate() -> float:
    """CPU seconds that the work takes now."""
    here, there = socket.socketpair()
    with here, there:
        began = cpu_seconds()
        for _ in range(_ROUNDS):
            here.send(_HEAD)
            _parsed(there.recv(4096))
        return cpu_seconds() - began


def _parsed(head: bytes) -> dict[str, str]:
    fields = {}
    for line in head.rstrip().split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        fields[name.decode("ascii").lower()] = value.strip().decode("latin-1")
    return fields
