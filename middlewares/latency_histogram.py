"""How long an origin's answers take: a small histogram, and one percentile of it.

Rules:

- Buckets grow by a tenth each, from a tenth of a millisecond to some minutes; what is told is a bucket's upper bound, so
  it is at most a tenth too high.
- Two generations are counted, the current one and the one before; a full generation replaces the other. So between
  `SIZE` and twice that many answers count, the latest.
- The percentile is looked for anew after each `EVERY` answers, and known from the first `LEAST` on.
"""

from __future__ import annotations

import threading
from bisect import bisect_left

__all__ = ["LEAST", "LatencyHistogram"]

LEAST = 50
SIZE = 1000
EVERY = 16

_FIRST = 1e-4
_GROWTH = 1.1
_BUCKETS = 160
# The last bucket has no upper bound.
_BOUNDS = [_FIRST * _GROWTH**bucket for bucket in range(_BUCKETS - 1)]


class LatencyHistogram:
    """Safe to share between threads and tasks.

    Args:
        percentile: More than 0 and less than 1.

    Attributes:
        value: The percentile, in seconds; None as long as too few answers are known.
    """

    __slots__ = (
        "_before",
        "_count",
        "_counts",
        "_lock",
        "_look_at",
        "_percentile",
        "_replaced",
        "value",
    )

    def __init__(self, percentile: float) -> None:
        self.value: float | None = None
        self._percentile = percentile
        self._lock = threading.Lock()
        self._counts = [0] * _BUCKETS
        self._before = [0] * _BUCKETS
        self._count = 0
        self._replaced = False
        # The count at which to look next.
        self._look_at = LEAST

    def add(self, seconds: float) -> None:
        """Count an answer that took so long."""
        # Without the lock, which would cost as much as all the rest: CPython lets no other thread in between, and where
        # one gets in, an answer in a thousand that is not counted does not matter.
        self._counts[bisect_left(_BOUNDS, seconds)] += 1
        self._count += 1
        if self._count >= self._look_at:
            with self._lock:
                self._look()

    def _look(self) -> None:
        count = self._count
        # A generation that was replaced was full.
        total = count + (SIZE if self._replaced else 0)
        if total >= LEAST:
            self._find(total)
        if count >= SIZE:
            self._before, self._counts = self._counts, [0] * _BUCKETS
            self._count = count = 0
            self._replaced = True
        self._look_at = min(count + EVERY, SIZE)

    def _find(self, total: int) -> None:
        rank = self._percentile * total
        seen = 0
        for bucket, (old, new) in enumerate(zip(self._before, self._counts, strict=True)):
            seen += old + new
            if seen >= rank:
                self.value = _FIRST * _GROWTH**bucket
                return
