"""What a server writes down: a line for each step of each request, before the step is taken.

Lines are appended unbuffered, so those of a killed process survive it. Each begins with the line's break: what a kill
cut short then stands alone, and spoils no other line.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Ledger", "Line", "read"]


@dataclass(frozen=True, slots=True)
class Line:
    """One step of one request.

    Attributes:
        event: "head" (its head is here), "refused" (HTTP/2's REFUSED_STREAM, or a GOAWAY below it: not processed),
            "arrived" (all of it is here), "applied", "replayed" (its key was known), "answering" and "answered".
        call: The caller's name for the call.
        method: Of the request.
        attempt: Which try of its call it says that it is; the first is 1.
        key: Its idempotency key, or None.
        answer: The name of the answer, unique in the fleet, or None.
        status: The answer's, or None.
        server: Whose line it is.
        pid: Of the process.
        at: Seconds on the machine's monotonic clock.
    """

    event: str
    call: str
    method: str
    attempt: int = 1
    key: str | None = None
    answer: str | None = None
    status: int | None = None
    server: str = ""
    pid: int = 0
    at: float = 0.0


class Ledger:
    """The lines of one server, in a file that it alone appends to."""

    def __init__(self, path: Path, server: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._server = server
        self._pid = os.getpid()

    def note(self, line: Line) -> None:
        told = asdict(line) | {"server": self._server, "pid": self._pid, "at": time.monotonic()}
        os.write(self._file, b"\n" + json.dumps(told).encode())


def read(path: Path, since: int = 0) -> Iterator[Line]:
    """The whole lines of a ledger, from an offset in bytes on."""
    with path.open("rb") as file:
        file.seek(since)
        for text in file.read().split(b"\n"):
            try:
                told = json.loads(text)
            except ValueError:
                # Cut short by a kill, or the beginning of the file.
                continue
            yield Line(**told)
