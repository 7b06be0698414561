"""Time limits of waits on trio: one sleeping task for all of them, where a cancel scope each would cost a tenth of a request.

A wait leaves its deadline here and takes it back at its end. The task sleeps until the earliest deadline that it has
heard of; when it wakes, most of the waits that it knew are over, and it goes to sleep for the earliest of those that are
left. It ends when none is left.
"""

from __future__ import annotations

from math import inf
from typing import Protocol

import trio

__all__ = ["Alarm", "Sleeper", "alarm_of_this_run"]

# Seconds between two looks at least: where thousands time out one after the other, each look is at all of them.
_PAUSE = 0.005


class Sleeper(Protocol):
    """Who waits."""

    def ring(self) -> None:
        """The deadline has passed."""


class Alarm:
    """The deadlines of one run of trio.

    Attributes:
        waiting: Who waits, and until when on trio's clock. Who is done waiting takes himself out.
    """

    def __init__(self) -> None:
        self.waiting: dict[Sleeper, float] = {}
        self._scope: trio.CancelScope | None = None
        # When the task looks next; inf if there is none.
        self._looks_at = inf

    @property
    def awake(self) -> bool:
        """Whether the task is there."""
        return self._scope is not None

    def set(self, sleeper: Sleeper, seconds: float) -> None:
        """Ring for `sleeper` in so many seconds, unless he is done by then."""
        deadline = self.waiting[sleeper] = trio.current_time() + seconds
        if deadline < self._looks_at:
            self._looks_at = deadline
            if self._scope is None:
                self._scope = trio.CancelScope()
                trio.lowlevel.spawn_system_task(self._watch)
            self._scope.deadline = deadline

    async def _watch(self) -> None:
        try:
            while self._scope is not None:
                with self._scope:
                    await trio.sleep_forever()
                self._ring()
        finally:
            self._scope = None
            self._looks_at = inf

    def _ring(self) -> None:
        now = trio.current_time()
        for sleeper, deadline in tuple(self.waiting.items()):
            if deadline <= now:
                del self.waiting[sleeper]
                sleeper.ring()
        self._looks_at = max(min(self.waiting.values(), default=inf), now + _PAUSE)
        self._scope = trio.CancelScope(deadline=self._looks_at) if self.waiting else None


_alarm: trio.lowlevel.RunVar[Alarm] = trio.lowlevel.RunVar("scallion's alarm")


def alarm_of_this_run() -> Alarm:
    """The alarm of the run of trio that this is called in."""
    try:
        return _alarm.get()
    except LookupError:
        alarm = Alarm()
        _alarm.set(alarm)
        return alarm
