"""How many requests at a time are good for a server: two ways to find out, from what came of each request.

`Gradient` compares how long answers take now with how long they take when little is under way: while they are about the
same there is room for more, and when they take longer the server is queueing. Its steps are those of Gradient2, from Netflix's
concurrency-limits; what answers usually take is not a long mean as there, which a server that is kept busy for minutes drags
along, until the limit runs away. It is measured anew from time to time, with a part of the limit, as Envoy's adaptive concurrency
does it. `AIMD` is TCP's way: one more for each round of successes, a share less for each sign of overload (additive
increase, multiplicative decrease; Chiu and Jain, 1989).

Rules of both:

- A sign of overload shrinks the limit at once, but those requests that were sent before it last shrank say nothing new.
- The limit does not grow while less than half of it is used: nothing is known of what was not tried.
- It stays within its bounds.

Rules of the gradient:

- What is usual is the mean of the first windows, then that of the last measurement.
- A measurement is due after the first windows, and then every `memory` windows *by the wall clock*: when the seconds since
  1970 are a multiple of them. Whoever measures while others keep the server's queue full measures their queue, takes
  it for usual, and adds to it: with ten programs that each measure at a time of their own (Envoy adds jitter) answers take twice
  as long every few minutes. All together they see the server without a queue, as their clocks agree to a second or so.
- For a measurement the limit falls to half of what would keep the server busy if what is usual were right, for `PAUSE`
  windows at least. If it was too much by half or less, nobody queues then; if by more, the measurement is still lower, and
  the next one lower again.
- Only answers to what was sent meanwhile count, `MEASURED` of them or `ROUNDS` full limits; then the limit is what it was.
- A limit that is little used falls no lower than what is used: hardly anybody queues.
- After a sign of overload the limit grows back as TCP's does, one for each round of successes, to what was found before: a
  failure in a hundred, which says nothing of the load, must not hold it down. Meanwhile slow answers may lower what was
  found, and fast ones raise it only if it was reached in their window, as otherwise it was not tried.
- A sign of overload in a measurement shrinks the limit that comes after it.
- The headroom is no more than the root of the limit: fifty small programs that each add 4 to a limit of 2 are a long queue.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, sqrt
from typing import Literal, Protocol, TypeAlias

__all__ = ["AIMD", "Algorithm", "Gradient", "Limiter", "LimiterRules"]

Algorithm: TypeAlias = Literal["aimd", "gradient"]

LEAST_SAMPLES = 10
"""Answers that a window needs for its mean to mean something."""

FIRST_WINDOWS = 10
"""Windows whose plain mean is what is usual, until it is measured; they last no longer than one measures by the wall clock."""

MEASURED = 20
"""Answers that make a measurement, at least."""

ROUNDS = 4
"""Answers that it takes for each request that may be under way: the first to come are the fastest, not the usual."""

PAUSE = 3
"""Windows that a measurement lasts, at least: programs with little to send, and those whose clocks are late, are still at it."""


@dataclass(frozen=True, slots=True)
class LimiterRules:
    """A limiter's numbers; see `AdaptiveConcurrency`."""

    initial: int
    minimum: int
    maximum: int
    backoff: float
    too_slow: float
    tolerance: float
    headroom: float
    smoothing: float
    window: float
    memory: int


class Limiter(Protocol):
    """What finds the limit. Not safe to share: its user holds a lock.

    Attributes:
        limit: What it found so far; its whole part counts.
    """

    limit: float

    def noted(self, began: float, now: float, active: int) -> bool:
        """Take note of a request that went well, if that is all; if not, `answered` has to be told. It needs no lock.

        Args: As of `answered`.
        """

    def answered(self, began: float, now: float, active: int) -> None:
        """A request went well.

        Args:
            began: When it was sent.
            now: When its response's headers were here.
            active: How many were under way as it was sent, itself included.
        """

    def overloaded(self, began: float, now: float) -> None:
        """A request met a sign of overload."""


class _Limiter:
    def __init__(self, rules: LimiterRules) -> None:
        self.rules = rules
        self.limit = float(rules.initial)
        self._shrank_at = -inf

    def _set(self, limit: float) -> None:
        self.limit = max(float(self.rules.minimum), min(float(self.rules.maximum), limit))

    def _uses_little(self, active: int) -> bool:
        return active * 2 < int(self.limit)

    def overloaded(self, began: float, now: float) -> None:
        if began >= self._shrank_at:
            self._shrank_at = now
            self._set(self.limit * self.rules.backoff)


class AIMD(_Limiter):
    """One more for each round of successes, a share less for each sign of overload; slow answers are such a sign."""

    def noted(self, began: float, now: float, active: int) -> bool:
        return active * 2 + 1 <= self.limit and now - began <= self.rules.too_slow

    def answered(self, began: float, now: float, active: int) -> None:
        if now - began > self.rules.too_slow:
            self.overloaded(began, now)
        elif not self._uses_little(active):
            self._set(self.limit + 1.0 / self.limit)


class Gradient(_Limiter):
    """By the ratio of how long answers take with little under way to how long they take now.

    Args:
        wall_clock: Seconds since 1970.
    """

    def __init__(self, rules: LimiterRules, wall_clock: Callable[[], float] = time.time) -> None:
        super().__init__(rules)
        self._wall_clock = wall_clock
        # Windows may be as short as their answers allow; those that are counted are not.
        self._window = rules.window or 1.0
        self._period = rules.memory * self._window
        # Mean seconds of the first windows, then of the last measurement.
        self._usual = 0.0
        self._windows = 0
        self._is_measured = False
        # When the next measurement is due; inf before the first answer.
        self._due = inf
        # What the limit will be after the measurement that is under way, if one is, and what it is to be meanwhile.
        self._set_aside: float | None = None
        self._planned = self.limit
        # What was found; the limit is less after a sign of overload, until it has grown back.
        self._found = self.limit
        self._clear(None)

    def _clear(self, since: float | None) -> None:
        self._since = since
        self._count = 0
        self._seconds = 0.0
        self._most = 0
        self._was_reached = False
        self._plan()

    def _plan(self) -> None:
        """Say until when answers are only counted."""
        self._look_at = -inf
        if self._since is not None and self._set_aside is None and self.limit >= self._found:
            self._look_at = min(self._since + self.rules.window, self._due)

    def noted(self, began: float, now: float, active: int) -> bool:
        if now >= self._look_at:
            return False
        # CPython lets no other thread in between; where one gets in, an answer is not counted.
        self._count += 1
        self._seconds += now - began
        if active > self._most:  # noqa: PLR1730  # a call of max() would be a tenth of what this layer may cost
            self._most = active
        return True

    def answered(self, began: float, now: float, active: int) -> None:
        since = self._since
        if since is None:
            since = now
            if self._due == inf:
                first = now + FIRST_WINDOWS * self._window
                self._due = min(first, self._after(now))
            self._clear(now)
        if self._set_aside is not None and began < since:
            # It was sent before the measurement.
            return
        self._count += 1
        self._seconds += now - began
        if active > self._most:  # noqa: PLR1730  # a call of max() would be a tenth of what this layer may cost
            self._most = active
        self._grow_back(active)
        if now >= self._due:
            self._measure(now, since)
        elif now - since >= self.rules.window and self._count >= LEAST_SAMPLES:
            self._look(self._seconds / self._count, self._most)
            self._clear(now)

    def overloaded(self, began: float, now: float) -> None:
        if began < self._shrank_at:
            return
        if self._set_aside is None:
            super().overloaded(began, now)
            self._plan()
            return
        self.limit = self._set_aside
        super().overloaded(began, now)
        self._set_aside = self.limit
        self._set(min(self._planned, self.limit))

    def _grow_back(self, active: int) -> None:
        """After a sign of overload; `active` as of `answered`."""
        aside = self._set_aside
        if aside is not None:
            if aside < self._found:
                self._set_aside = aside = min(self._found, aside + 1.0 / aside)
                self._set(min(self._planned, aside))
        elif self.limit < self._found and not self._uses_little(active):
            self._set(min(self._found, self.limit + 1.0 / self.limit))
            self._was_reached = self._was_reached or self.limit >= self._found
            self._plan()

    def _look(self, seconds: float, most: int) -> None:
        self._windows += 1
        if not self._is_measured:
            self._usual += (seconds - self._usual) / self._windows
        if self._uses_little(most):
            return
        rules = self.rules
        gradient = 1.0
        if seconds > 0:
            gradient = max(0.5, min(1.0, rules.tolerance * self._usual / seconds))
        if self.limit < self._found and gradient >= 1.0:
            if self._was_reached:
                raised = self._found + rules.smoothing * self._headroom()
                self._found = min(float(rules.maximum), raised)
            return
        aim = self.limit * gradient + self._headroom()
        self._set(self.limit + rules.smoothing * (aim - self.limit))
        self._found = self.limit

    def _headroom(self) -> float:
        return min(self.rules.headroom, sqrt(self.limit))

    def _measure(self, now: float, since: float) -> None:
        """Begin a measurement that is due, or end one that has seen enough."""
        if self._set_aside is None:
            self._set_aside = self.limit
            busy = (self.limit - self._headroom()) / self.rules.tolerance
            used = self._most if self._uses_little(self._most) else 0
            self._set(min(self.limit, max(used, busy / 2)))
            self._planned = self.limit
            self._clear(now)
        elif (
            now - since >= PAUSE * self._window
            and self._count >= MEASURED
            and self._count >= ROUNDS * self._most
        ):
            self._usual = self._seconds / self._count
            self._is_measured = True
            self._set(self._set_aside)
            self._set_aside = None
            self._due = self._after(now)
            self._clear(now)

    def _after(self, now: float) -> float:
        """When one measures next."""
        return now + self._period - self._wall_clock() % self._period
