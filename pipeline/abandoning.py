"""Giving up an attempt that another thread is making: what a cancellation is for tasks.

Nothing can end a thread from outside; but what it waits for can be taken away. Whoever may give an attempt up puts a
`Handle` among its request's observers. The transport holds on to it what the attempt waits for, and lets go before
anybody else may use that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Abandoned", "Handle", "Held", "check", "handle_of", "hold"]


class Abandoned(BaseException):
    """Who began this attempt has given it up: like a cancellation neither a success nor a failure."""


class Handle:
    """One attempt's. As an observer it listens to nothing."""

    __slots__ = ("_end", "_lock", "is_abandoned")

    def __init__(self) -> None:
        self.is_abandoned = False
        self._end: Callable[[], object] | None = None
        # A finaliser may give a connection back in the midst of this.
        self._lock = threading.RLock()

    def __call__(self, event: str, fields: dict[str, Any]) -> None:
        pass

    def hold(self, end: Callable[[], object]) -> None:
        """From now on, `end` is what ends the wait; it does not wait itself.

        Raises:
            Abandoned: the attempt has been given up already.
        """
        with self._lock:
            self.check()
            self._end = end

    def let_go(self) -> None:
        """From now on there is nothing that might be ended."""
        with self._lock:
            self._end = None

    def abandon(self) -> None:
        """End what the attempt waits for, now and whatever it will wait for. From any thread."""
        # Under the lock: what has been let go of belongs to somebody else.
        with self._lock:
            self.is_abandoned = True
            end, self._end = self._end, None
            if end is not None:
                end()

    def check(self) -> None:
        """Go on only if the attempt was not given up.

        Raises:
            Abandoned: it was.
        """
        if self.is_abandoned:
            raise Abandoned


class Observed(Protocol):
    @property
    def observers(self) -> tuple[Any, ...]: ...


class Held(Protocol):
    """A connection that an attempt has for itself.

    Attributes:
        handle: What it is held on to; whoever takes the connection back lets go and sets this to None.
    """

    handle: Handle | None

    def close(self) -> None: ...


def handle_of(request: Observed) -> Handle | None:
    """The handle of the innermost attempt that `request` belongs to; None where nobody gives it up."""
    for observer in reversed(request.observers):
        if type(observer) is Handle:
            return observer
    return None


def hold(connection: Held, request: Observed) -> None:
    """Let `connection` be closed by whoever gives up the attempt.

    Raises:
        Abandoned: somebody has.
    """
    handle = handle_of(request)
    if handle is not None:
        handle.hold(connection.close)
        connection.handle = handle


def check(request: Observed) -> None:
    """Raise what an attempt that was given up ends with, whatever it met because of that.

    Raises:
        Abandoned: it was.
    """
    handle = handle_of(request)
    if handle is not None:
        handle.check()
