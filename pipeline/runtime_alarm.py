"""Many deadlines in an asyncio loop, and one timer: a timer of the loop's for each costs many times as much.

A wait leaves its deadline here and takes it back at its end, as nearly all do. The timer is armed for the earliest
deadline that was heard of; when it fires, most of those it knew are over, and it is set for the earliest that is left.
"""

from __future__ import annotations

from asyncio import current_task
from math import inf
from threading import get_ident
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task, TimerHandle
    from collections.abc import Callable

__all__ = ["Alarm", "Sleeper"]

# Loops count milliseconds and wake up to half of one early.
_TICK = 0.0005
# Seconds between two looks at least: where thousands are overdue one after the other, each look is at all of them.
_PAUSE = 0.005


class Sleeper(Protocol):
    """Who waits."""

    def ring(self) -> None:
        """The deadline has passed."""


class Alarm:
    """The deadlines of one loop, in whose thread it is made.

    Args:
        loop: Its clock is asked for nothing: that takes longer than all the rest.
        clock: What deadlines are counted on, in seconds.

    Attributes:
        loop: Whose they are.
        clock: As given.
        waiting: Who waits, and until when on the clock. Who is done waiting takes himself out.
        looks_before: A deadline before this one needs the timer to be armed for it.
    """

    __slots__ = ("_looks_at", "_thread", "_timer", "clock", "looks_before", "loop", "waiting")

    def __init__(self, loop: AbstractEventLoop, clock: Callable[[], float]) -> None:
        self.loop = loop
        self.clock = clock
        self.waiting: dict[Sleeper, float] = {}
        self._thread = get_ident()
        self._timer: TimerHandle | None = None
        # When it fires.
        self._looks_at = self.looks_before = inf

    def task(self) -> Task[Any] | None:
        """The loop's task that asks this; None where another loop may run."""
        # A loop's current task says nothing in other threads. To ask for the running loop takes longer, and before
        # Python 3.12 a system call.
        return current_task(self.loop) if get_ident() == self._thread else None

    def set(self, sleeper: Sleeper, deadline: float) -> None:
        """Ring for `sleeper` at `deadline`, unless he is done by then."""
        self.waiting[sleeper] = deadline
        if deadline < self.looks_before:
            self.arm(deadline)

    def arm(self, when: float) -> None:
        """Have a look at that moment, in the place of the one that was to come."""
        if self._timer is not None:
            self._timer.cancel()
        self._looks_at = when
        self.looks_before = when - _TICK
        self._timer = self.loop.call_later(max(0.0, when - self.clock()), self._look)

    def _look(self) -> None:
        self._timer = None
        # A loop in whose time nothing has to be waited for is right as well, whatever the clock says.
        now = max(self.clock(), self._looks_at)
        self._looks_at = self.looks_before = inf
        for sleeper, deadline in tuple(self.waiting.items()):
            if deadline <= now + _TICK:
                del self.waiting[sleeper]
                sleeper.ring()
        if self.waiting:
            self.arm(max(min(self.waiting.values()), now + _PAUSE))
