"""`RetryBudget`: how much may be sent beyond what callers asked for, so that retries do not become the outage.

Rules, for one origin and any moment `now`:

- A deposit is the first request of a call, a withdrawal a request beyond it: a retry, or a hedge.
- A withdrawal is granted if, with it, the withdrawals are at most `share` times the deposits, plus `floor` times `window`.
- Both are counted by tenths of the window. Deposits count for the tenth that is running and the nine before it,
  withdrawals for one tenth more. What is counted is therefore never more generous than an exact window: within any
  `window` seconds there are no more withdrawals than the deposits of these seconds, and the floor, allow.
- A new origin has made none of either, and so begins with `floor * window` withdrawals in hand.
- What was withdrawn is spent, even if its request is cancelled before it was sent; its tenth forgets it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

from scallion.pipeline.request import Request

from .per_origin import OriginKey, PerOrigin
from .remade import remade

__all__ = ["BUDGET_KEY", "RetryBudget"]

BUDGET_KEY = "_scallion.budget"
"""Stands in the memory of a request whose call has been deposited: the budget in which."""

_TENTHS = 10
_SLOTS = _TENTHS + 1
# A third of three is a whole, whatever floats say.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class RetryBudget:
    """At most `share` retries for each first attempt of the last `window` seconds, and `floor` a second beside them.

    First attempts are free. Share one budget between all layers that send requests again, so that together they do
    not exceed it. Counts are kept for each origin, for 1,024 at most. Safe to share between threads, tasks and clients.

    Attributes:
        share: Retries for each first attempt; at least 0. 0.2 lets the load of an origin grow by a fifth.
        window: Seconds after which first attempts and retries are forgotten; more than 0.
        floor: Retries a second that need no first attempts, for origins that are seldom asked; at least 0. They
            come out of `floor * window` for each window, and need not be spread over it.

    The numbers are those of Finagle's budget.

    Raises:
        TypeError, ValueError: a number is no number, or out of its range.
    """

    share: float = 0.2
    window: float = 10.0
    floor: float = 10.0
    _accounts: PerOrigin[_Account] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("share", "window", "floor"):
            _check(name, getattr(self, name))
        if self.window == 0:
            raise ValueError("RetryBudget window must be more than 0 seconds: 0")
        object.__setattr__(self, "_accounts", PerOrigin(lambda _origin: _Account(self.window)))

    def deposit(self, request: Request, now: float) -> None:
        """Count the first request of a call. Nothing is counted if a layer further out has done so for this call.

        Args:
            request: Tells the origin.
            now: On the runtime's clock.
        """
        memory = request._memory
        if memory is None or memory.get(BUDGET_KEY) is not self:
            account = self._accounts.of(request)
            if now >= account.until:
                with account.lock:
                    account.move(now)
            # Without the lock, which would cost as much as all the rest: CPython lets no other thread in between, and
            # where one gets in, the deposit that may be lost would have allowed more, not less.
            account.deposits[account.slot] += 1

    def withdraw(self, request: Request, now: float) -> bool:
        """Whether a request may be sent beyond the first of its call; if so, it is counted.

        Args:
            request: Tells the origin.
            now: On the runtime's clock.
        """
        account = self._accounts.of(request)
        with account.lock:
            account.move(now)
            granted = self._left(account) >= 1 - _ROUNDING
            account.withdrawals[account.slot] += granted
        return granted

    def balance(self, request: Request, now: float) -> float:
        """How many withdrawals from its origin would be granted now, in fractions too; at least 0."""
        return self._balance(self._accounts.of(request), now)

    def balances(self, now: float) -> dict[OriginKey, float]:
        """The same for all origins that are remembered."""
        known = self._accounts.known()
        return {origin: self._balance(account, now) for origin, account in known.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy counts for itself, here or in another process.
        return remade(self)

    def _balance(self, account: _Account, now: float) -> float:
        with account.lock:
            account.move(now)
            return max(0.0, self._left(account))

    def _left(self, account: _Account) -> float:
        deposits, withdrawals = account.counted()
        return self.share * deposits + self.floor * self.window - withdrawals


class _Account:
    """What one origin was sent: a ring of counts, one for each tenth of the window. `lock` guards all but deposits.

    Args:
        window: In seconds.

    Attributes:
        slot: Where the newest tenth is counted.
        until: When it ends.
    """

    __slots__ = ("_tick", "_window", "deposits", "lock", "slot", "until", "withdrawals")

    def __init__(self, window: float) -> None:
        self.lock = threading.Lock()
        self.deposits = [0] * _SLOTS
        self.withdrawals = [0] * _SLOTS
        self.slot = 0
        self.until = -inf
        self._window = window
        # The newest tenth, counted from the clock's beginning.
        self._tick = 0

    def move(self, now: float) -> None:
        """Go on to the tenth of `now`; those that are too old by then are emptied."""
        tick = int(now / self._window * _TENTHS)
        # A thread that read the clock before another one, and comes after it, counts in the newest tenth.
        if tick > self._tick:
            for passed in range(max(self._tick, tick - _SLOTS) + 1, tick + 1):
                self.deposits[passed % _SLOTS] = self.withdrawals[passed % _SLOTS] = 0
            self._tick = tick
            self.slot = tick % _SLOTS
        self.until = (self._tick + 1) / _TENTHS * self._window

    def counted(self) -> tuple[int, int]:
        """Deposits and withdrawals that count."""
        oldest = (self._tick + 1) % _SLOTS
        return sum(self.deposits) - self.deposits[oldest], sum(self.withdrawals)


def _check(name: str, number: object) -> None:
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise TypeError(f"RetryBudget {name} must be a number: {number!r}")
    if not (isfinite(number) and number >= 0):
        raise ValueError(f"RetryBudget {name} must be a finite number, at least 0: {number!r}")
