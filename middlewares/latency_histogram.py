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
from math import ceil, log

__all__ = ["LEAST", "LatencyHistogram"]

LEAST = 50
SIZE = 1000
EVERY = 16

_FIRST = 1e-4
_GROWTH = 1.1
_BUCKETS = 160
_SCALE = 1 / log(_GROWTH)


class LatencyHistogram:
    """Safe to share between threads and tasks.

    Args:
        percentile: More than 0 and less than 1.

    Attributes:
        value: The percentile, in seconds; None as long as too few answers are known.
    """

    __slots__ = ("_before", "_count", "_counts", "_lock", "_percentile", "_since", "value")

    def __init__(self, percentile: float) -> None:
        self.value: float | None = None
        self._percentile = percentile
        self._lock = threading.Lock()
        self._counts = [0] * _BUCKETS
        self._before = [0] * _BUCKETS
        self._count = 0
        self._since = 0

    def add(self, seconds: float) -> None:
        """Count an answer that took so long."""
        bucket = 0
        if seconds > _FIRST:
            bucket = min(_BUCKETS - 1, ceil(log(seconds / _FIRST) * _SCALE))
        with self._lock:
            self._counts[bucket] += 1
            self._count += 1
            self._since += 1
            if self._since >= EVERY or self.value is None:
                self._look()
            if self._count >= SIZE:
                self._before, self._counts, self._count = self._counts, [0] * _BUCKETS, 0

    def _look(self) -> None:
        self._since = 0
        counts = [old + new for old, new in zip(self._before, self._counts, strict=True)]
        total = sum(counts)
        if total < LEAST:
            return
        rank = self._percentile * total
        seen = 0
        for bucket, count in enumerate(counts):
            seen += count
            if seen >= rank:
                self.value = _FIRST * _GROWTH**bucket
                return
