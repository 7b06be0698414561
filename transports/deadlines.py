"""How long one operation of a transport may take, and what it means that it took longer."""

from __future__ import annotations

from scallion.pipeline.errors import TimeoutException, TotalTimeout
from scallion.pipeline.request import Request
from scallion.pipeline.runtime import Runtime

__all__ = ["overdue", "remaining"]

TICK = 0.002
"""Event loops may wake up so many seconds before the moment that they were asked for."""


def remaining(limit: float | None, request: Request, runtime: Runtime, doing: str) -> float | None:
    """Seconds that an operation may take: its own limit, and what is left of the call's deadline.

    Raises:
        TotalTimeout: nothing is left.
    """
    deadline = request.deadline
    if deadline is None:
        return limit
    left = deadline - runtime.clock()
    if left <= 0:
        raise TotalTimeout(f"The call's deadline passed while {doing}", request=request)
    return left if limit is None or left < limit else limit


def overdue(
    error: TimeoutException, request: Request, runtime: Runtime, doing: str
) -> TimeoutException:
    """What a timeout means: the operation's own limit, or the call's deadline."""
    if request.deadline is not None and runtime.clock() + TICK >= request.deadline:
        return TotalTimeout(f"The call's deadline passed while {doing}", request=request)
    return error
