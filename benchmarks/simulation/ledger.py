"""What happened in a simulated world: calls, their attempts, how long they took, how many were under way."""

from __future__ import annotations

from collections import Counter
from math import ceil
from typing import NamedTuple

from scallion.pipeline.request import Request

from .clockwork import BEGINNING, VirtualLoop

__all__ = ["Call", "Ledger", "percentile"]


class Call(NamedTuple):
    """One that has ended.

    Attributes:
        began: Seconds since the beginning.
        took: Seconds.
        outcome: A status, or the name of an error.
    """

    began: float
    took: float
    outcome: str

    @property
    def good(self) -> bool:
        return self.outcome == "200"


class Ledger:
    """Counts by seconds since the beginning.

    Args:
        loop: Its time.

    Attributes:
        calls: Those that have ended, in the order of their ends.
        begun: Calls that began, by second.
        attempts: Attempts that reached the transport, by second.
        held: Calls under way at the end of each second, once `watch` was called.
        under_way: Calls under way now.
    """

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.calls: list[Call] = []
        self.begun: Counter[int] = Counter()
        self.attempts: Counter[int] = Counter()
        self.held: list[int] = []
        self.under_way = 0

    @property
    def now(self) -> float:
        return self._loop.now - BEGINNING

    def attempt(self, request: Request) -> None:  # noqa: ARG002  # all count alike
        self.attempts[int(self.now)] += 1

    def begin(self) -> float:
        self.begun[int(self.now)] += 1
        self.under_way += 1
        return self.now

    def end(self, began: float, outcome: str) -> None:
        self.under_way -= 1
        self.calls.append(Call(began, self.now - began, outcome))

    def watch(self, seconds: int) -> None:
        """Look every second how many calls are under way."""
        for second in range(1, seconds + 1):
            self._loop.call_at(BEGINNING + second, self._look)

    def _look(self) -> None:
        self.held.append(self.under_way)

    # Asking

    def between(self, since: float, until: float) -> list[Call]:
        """Calls that began then, and have ended."""
        return [call for call in self.calls if since <= call.began < until]

    def good_by_second(self, seconds: int) -> list[int]:
        """Good answers, by when they came."""
        counts = Counter(int(call.began + call.took) for call in self.calls if call.good)
        return [counts[second] for second in range(seconds)]

    def amplification(self, since: int, until: int) -> float:
        """Attempts for each call that began meanwhile."""
        span = range(since, until)
        calls = sum(self.begun[second] for second in span)
        return sum(self.attempts[second] for second in span) / calls if calls else 0.0

    def recovered_at(
        self, after: int, until: int, share: float = 0.99, steady: int = 3
    ) -> int | None:
        """From which second on `share` of the calls that begin are answered well, for `steady` seconds at least.

        Args:
            after: Not before.
            until: When the world ended; calls that have not ended by then have failed.

        Returns:
            The second; None if there is none.
        """
        good = Counter(int(call.began) for call in self.calls if call.good)
        row = 0
        for second in range(after, until):
            row = row + 1 if good[second] >= share * self.begun[second] else 0
            if row == steady:
                return second - steady + 1
        return None


def percentile(values: list[float], share: float) -> float:
    """The least value that at least `share` of all do not exceed (nearest rank); 0 if there is none."""
    if not values:
        return 0.0
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]
