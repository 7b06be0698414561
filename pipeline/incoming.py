"""The deadline of the request that this program is serving, which bounds the calls that it makes meanwhile.

`Deadlines` reads it. A server-side middleware of `scallion.incoming` sets it, or `within` around any other work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["IncomingDeadline", "current_deadline", "live_deadline", "unbounded", "within"]


class IncomingDeadline(float):
    """A moment on the monotonic clock, which counts for as long as somebody waits for the answer.

    Tasks and threads that were started meanwhile have a copy of the context, and so this very object: what they do
    after the answer has been given is not bound any more.

    Attributes:
        is_over: Whether the answer has been given.
    """

    __slots__ = ("is_over",)

    def __init__(self, at: float) -> None:  # noqa: ARG002  # it is what `float.__new__` took
        self.is_over = False

    @property
    def live(self) -> float | None:
        """The moment, or None once it counts no longer."""
        return None if self.is_over else self


current_deadline: ContextVar[float | None] = ContextVar("scallion.current_deadline", default=None)
"""When the answer to the incoming request is due, in seconds on `time.monotonic`; None for never.

Plain numbers are fine too; they count until the variable is reset.
"""


def live_deadline() -> float | None:
    """What `current_deadline` says, if it still counts."""
    deadline = current_deadline.get()
    return deadline.live if isinstance(deadline, IncomingDeadline) else deadline


@contextmanager
def within(seconds: float, clock: Callable[[], float] = time.monotonic) -> Iterator[float]:
    """Bound every call that is made inside, as if a request were served that waits so long.

    One that is set already still counts, if it comes first.

    Args:
        seconds: From now on; 0 for nothing left.
        clock: The runtime's, monotonic.

    Raises:
        ValueError: `seconds` is negative, or no number.
    """
    if not seconds >= 0:
        raise ValueError(f"within() expects 0 seconds or more: {seconds!r}")
    mine = IncomingDeadline(_earlier(clock() + seconds))
    token = current_deadline.set(mine)
    try:
        yield mine
    finally:
        mine.is_over = True
        current_deadline.reset(token)


@contextmanager
def unbounded() -> Iterator[None]:
    """Lift the incoming request's deadline from the calls inside: for what must be done whoever waits."""
    token = current_deadline.set(None)
    try:
        yield
    finally:
        current_deadline.reset(token)


def _earlier(at: float) -> float:
    outer = live_deadline()
    return at if outer is None or at < outer else outer
