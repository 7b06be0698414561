"""Memory of a reader's own, lent to a channel that receives into it."""

from __future__ import annotations

from math import inf

__all__ = ["Room"]


class Room:
    """A buffer that is being filled.

    Attributes:
        rest: What of it is still empty.
        filled: How many bytes are in it.
        least: How many the reader waits for.
        patience: Seconds that he waits for the next ones.
    """

    __slots__ = ("filled", "least", "patience", "rest")

    def __init__(self, buffer: memoryview, least: int, timeout: float | None) -> None:
        self.rest = buffer[:]
        self.filled = 0
        self.least = least
        self.patience = inf if timeout is None else timeout

    def put(self, data: bytes | memoryview) -> None:
        """Copy `data` into it, which must fit."""
        size = len(data)
        self.rest[:size] = data
        self.took(size)

    def took(self, size: int) -> None:
        """So many bytes were written to `rest`."""
        before, self.rest = self.rest, self.rest[size:]
        # The owner of the memory cannot move it as long as anybody looks at it.
        before.release()
        self.filled += size

    def close(self) -> None:
        """Nothing more is written to it."""
        self.rest.release()
