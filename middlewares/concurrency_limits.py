"""How many requests at a time are good for a server: two ways to find out, from what came of each request.

`Gradient` compares how long answers take now with how long they take in the long run: while they are about the same
there is room for more, and when they take longer the server is queueing. It follows the algorithm that Netflix's
concurrency-limits calls Gradient2. `AIMD` is TCP's way: one more for each round of successes, a share less for each
sign of overload (additive increase, multiplicative decrease; Chiu and Jain, 1989).

Rules of both:

- A sign of overload shrinks the limit at once, but those requests that were sent before it last shrank say nothing new.
- The limit does not grow while less than half of it is used: nothing is known of what was not tried.
- It stays within its bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal, Protocol, TypeAlias

__all__ = ["AIMD", "Algorithm", "Gradient", "Limiter", "LimiterRules"]

Algorithm: TypeAlias = Literal["aimd", "gradient"]

LEAST_SAMPLES = 10
"""Answers that a window needs for its mean to mean something."""


FIRST_WINDOWS = 10
"""Windows whose plain mean is what is usual."""


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

    def answered(self, began: float, now: float, active: int) -> None:
        if now - began > self.rules.too_slow:
            self.overloaded(began, now)
        elif not self._uses_little(active):
            self._set(self.limit + 1.0 / self.limit)


class Gradient(_Limiter):
    """By the ratio of how long answers take in the long run to how long they take now."""

    def __init__(self, rules: LimiterRules) -> None:
        super().__init__(rules)
        # Mean seconds of the windows so far, and how many there were.
        self._usual = 0.0
        self._windows = 0
        self._clear(None)

    def _clear(self, since: float | None) -> None:
        self._since = since
        self._count = 0
        self._seconds = 0.0
        self._most = 0

    def answered(self, began: float, now: float, active: int) -> None:
        since = self._since
        if since is None:
            since = self._since = now
        self._count += 1
        self._seconds += now - began
        if active > self._most:  # noqa: PLR1730  # a call of max() would be a tenth of what this layer may cost
            self._most = active
        if now - since >= self.rules.window and self._count >= LEAST_SAMPLES:
            self._look(self._seconds / self._count, self._most)
            self._clear(now)

    def overloaded(self, began: float, now: float) -> None:
        super().overloaded(began, now)
        # What went well before says nothing of the smaller limit.
        self._clear(None)

    def _look(self, seconds: float, most: int) -> None:
        rules = self.rules
        self._windows += 1
        # The plain mean of the first windows, then one that follows slowly: a server that is kept busy must not
        # soon be taken for one that is slow by nature.
        few = self._windows <= FIRST_WINDOWS
        share = 1.0 / self._windows if few else 2.0 / (rules.memory + 1)
        self._usual += (seconds - self._usual) * min(1.0, share)
        if self._usual > 2 * seconds:
            # A bad time that is over is not to be held against the good one for long.
            self._usual *= 0.95
        if self._uses_little(most):
            return
        gradient = 1.0
        if seconds > 0:
            gradient = max(0.5, min(1.0, rules.tolerance * self._usual / seconds))
        aim = self.limit * gradient + rules.headroom
        self._set(self.limit + rules.smoothing * (aim - self.limit))
