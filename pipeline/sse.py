"""Server-sent events, sans I/O: the event, the decoder of event streams, and when to connect again.

From the WHATWG's HTML standard, sections "Parsing an event stream" and "Interpreting an event stream". Rules
of the decoder:

- A stream is UTF-8 whatever the charset says; what is malformed becomes U+FFFD; a BOM at its start is dropped.
- CR, LF and CR LF end a line. A CR ends it at once: nobody waits for an LF that may follow.
- Only a blank line ends an event. What stands after the last one is dropped, its `id` included.
- A block without `data` is an event too, as in httpx2 and httpx-sse; a browser would not show it. One that holds
  comments and unknown fields only is none.
- The same bytes give the same events and the same error, however they are split, in linear time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .errors import SSEError

__all__ = ["DEFAULT_MAX_EVENT_SIZE", "EventStreamDecoder", "Reconnect", "ServerSentEvent"]

DEFAULT_MAX_EVENT_SIZE = 1024 * 1024
"""In bytes."""

_BOM = b"\xef\xbb\xbf"
# Longer ones are no number of milliseconds that anybody means, and Python bounds what it converts.
_RETRY_DIGITS = 15
# Where nothing is to be waited for, failures still need some distance; in seconds.
_LEAST_STEP = 0.1


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event.

    Attributes:
        event: Its type.
        data: Its payload, lines joined by LF.
        id: The last event id of the stream, set by this event or an earlier one.
        retry: Milliseconds to wait before connecting again, if this event says so.
    """

    event: str = "message"
    data: str = ""
    id: str = ""
    retry: int | None = None

    def json(self) -> Any:
        """`data`, parsed as JSON."""
        from json import loads

        return loads(self.data)


class EventStreamDecoder:
    """Bytes in, events out: `feed` it, then ask for `next_event` until that is None.

    Args:
        max_event_size: The most bytes that one event's lines may have in all, line ends and finished comments not
            counted, the line that is still arriving included; None for no bound.
        last_event_id: The one that an earlier connection left off with.

    Attributes:
        last_event_id: Of the last event that was given out.
        retry: What the stream last said of when to connect again, in milliseconds, or None.

    Raises:
        TypeError, ValueError: `max_event_size` is no number of bytes of at least 1.
    """

    def __init__(
        self, max_event_size: int | None = DEFAULT_MAX_EVENT_SIZE, last_event_id: str = ""
    ) -> None:
        _check_limit(max_event_size)
        self._limit = max_event_size
        self.last_event_id = last_event_id
        self.retry: int | None = None
        self.restart()

    def restart(self) -> None:
        """Begin with another stream, on a new connection: what was fed and not given out is dropped."""
        self._lines: deque[bytes] = deque()  # complete, not interpreted yet
        self._partial: list[bytes] = []  # pieces of the line that is arriving
        self._partial_size = 0
        self._after_cr = False
        self._is_first_line = True
        # The event that is being read.
        self._size = 0
        self._pending = False
        self._id = self.last_event_id
        self._type = ""
        self._data: list[str] = []
        self._event_retry: int | None = None

    def feed(self, data: bytes) -> None:
        """Take the next piece of the stream."""
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if not data:
            return
        # Of bytes, unlike of text, this knows no other line ends than the three.
        lines = data.splitlines()
        last = data[-1:]
        rest = b"" if last in b"\r\n" else lines.pop()
        self._after_cr = last == b"\r"
        if lines:
            if self._partial:
                lines[0] = b"".join([*self._partial, lines[0]])
                self._partial.clear()
                self._partial_size = 0
            self._lines += lines
        if rest:
            self._partial.append(rest)
            self._partial_size += len(rest)

    def next_event(self) -> ServerSentEvent | None:
        """The next event of what was fed; None if more is needed.

        Raises:
            SSEError: it is larger than `max_event_size`.
        """
        lines = self._lines
        while lines:
            # It leaves the queue after the check, so that the error, once raised, is raised again.
            line = lines[0]
            self._check(len(line))
            lines.popleft()
            if self._is_first_line:
                self._is_first_line = False
                line = line.removeprefix(_BOM)
            if line:
                self._interpret(line)
                continue
            self._size = 0
            if self._pending:
                return self._dispatch()
        self._check(self._partial_size)
        return None

    def _check(self, line_size: int) -> None:
        if self._limit is not None and self._size + line_size > self._limit:
            raise SSEError(
                f"A server-sent event is larger than max_event_size, {self._limit} bytes"
            )

    def _interpret(self, line: bytes) -> None:
        name, _, raw = line.partition(b":")
        if not name:
            return  # a comment
        self._size += len(line)
        value = raw.removeprefix(b" ").decode("utf-8", "replace")
        # Cases: the four fields; any other, which means nothing.
        match name:
            case b"data":
                self._data.append(value)
            case b"event":
                self._type = value
            case b"id" if "\0" not in value:
                self._id = value
            case b"retry" if value.isascii() and value.isdigit() and len(value) <= _RETRY_DIGITS:
                self.retry = self._event_retry = int(value)
            case _:
                return
        self._pending = True

    def _dispatch(self) -> ServerSentEvent:
        event = ServerSentEvent(
            self._type or "message", "\n".join(self._data), self._id, self._event_retry
        )
        self.last_event_id = self._id
        self._pending = False
        self._type = ""
        self._data = []
        self._event_retry = None
        return event


def _check_limit(size: object) -> None:
    """Refuse what is neither None nor a number of bytes."""
    if size is None:
        return
    if not isinstance(size, int) or isinstance(size, bool):
        raise TypeError(f"max_event_size is a number of bytes, or None for no bound, not {size!r}")
    if size < 1:
        raise ValueError(f"max_event_size is at least 1 byte, or None for no bound, not {size}")


@dataclass(frozen=True)
class Reconnect:
    """When an event source connects again, and when it gives up.

    A wait is at least what the server asked for (`retry:`), or else `wait`, and at most half as much again, so that
    many clients do not come back all at once. That upper bound doubles with each failure in a row. No wait is
    longer than `cap`, even where the server asks for more.

    Attributes:
        attempts: Connections in a row that bring no event, or nothing but `retry`; after the last of them its error
            is raised. At least 1; None for no bound.
        wait: Seconds to wait where the server does not say how long.
        cap: Upper bound of any wait, in seconds.
        random: Gives a number in [0, 1); `random.random` if None.

    Raises:
        ValueError: a setting is out of its range.
    """

    attempts: int | None = 5
    wait: float = 3.0
    cap: float = 30.0
    random: Callable[[], float] | None = None

    def __post_init__(self) -> None:
        if self.attempts is not None and self.attempts < 1:
            raise ValueError(f"Reconnect attempts must be at least 1, or None: {self.attempts!r}")
        if not 0 <= self.wait <= self.cap:
            raise ValueError(f"Reconnect expects 0 <= wait <= cap, in seconds: {self!r}")

    def seconds(self, failures: int, retry: int | None) -> float:
        """How long to wait.

        Args:
            failures: Connections in a row that brought no event.
            retry: What the server asked for, in milliseconds.
        """
        if self.random is None:
            from random import random
        else:
            random = self.random
        least = self.wait if retry is None else min(retry / 1000, self.cap)
        step = max(least, _LEAST_STEP) if failures else least
        # The exponent is bounded, for a float would overflow after a thousand failures.
        most = 1.5 * step * 2.0 ** min(failures, 64)
        return min(self.cap, least + (most - least) * random())
