"""Outlier ejection: an endpoint that fails again and again is left out for a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scallion.pipeline.errors import PoolTimeout, Rejected
from scallion.pipeline.response import Response

from ..transient import Transient, check_classifier, is_certificate_failure  # noqa: TID252  (relative within a room)
from ..validation import check_count, check_number  # noqa: TID252  (relative within a room)
from .members import Member

__all__ = ["Ejection", "speaks_against"]

_TRANSIENT = Transient()


@dataclass(frozen=True)
class Ejection:
    """When an endpoint is left out, and for how long. The numbers are Envoy's (`outlier_detection.proto`).

    Attributes:
        failures: In a row, after which an endpoint is ejected; at least 1.
        base: Seconds of the first ejection, more than 0; the n-th lasts n times as long.
        cap: The longest ejection, in seconds.
        share: Of the service's endpoints that may be ejected at once, above 0 and at most 1. One may always be, and
            the last one that is left never is.
        forgiven_after: Seconds in service for which one earlier ejection is no longer counted (the interval of
            gRPC's A50).
        failed: Whether an outcome is a failure: by default the classifier of `Retries`. A certificate that was
            refused always is one; what this side refused, and waiting for a free connection, never are.

    Raises:
        TypeError, ValueError: a setting is of the wrong kind, or out of its range.
    """

    failures: int = 5
    base: float = 30.0
    cap: float = 300.0
    share: float = 0.1
    forgiven_after: float = 10.0
    failed: Callable[[Response | Exception], bool] = _TRANSIENT

    def __post_init__(self) -> None:
        check_count("Ejection failures", self.failures, 1)
        check_number("Ejection base", self.base, 0, above=True)
        check_number("Ejection cap", self.cap, self.base)
        check_number("Ejection share", self.share, 0, 1, above=True)
        check_number("Ejection forgiven_after", self.forgiven_after, 0, above=True)
        check_classifier("Ejection failed", self.failed)

    def seconds_for(self, member: Member, members: Sequence[Member], now: float) -> float | None:
        """How long `member` is to be left out after its latest failure; None if it is not. Counts the ejection."""
        if member.out or member.failures < self.failures:
            return None
        out = sum(each.out for each in members)
        most = min(max(1, int(len(members) * self.share)), len(members) - 1)
        if out >= most:
            return None
        forgiven = int((now - member.in_since) / self.forgiven_after)
        member.ejections = max(0, member.ejections - forgiven) + 1
        return min(self.cap, self.base * member.ejections)


def speaks_against(
    outcome: Response | Exception, failed: Callable[[Response | Exception], bool] = _TRANSIENT
) -> bool | None:
    """Whether an attempt failed its endpoint; None if it says nothing of it."""
    # Cases: our own doing, or nobody's; an identity that is not what it should be; the classifier's.
    if isinstance(outcome, (PoolTimeout, Rejected)):
        return None
    if isinstance(outcome, Exception):
        if is_certificate_failure(outcome) or failed(outcome):
            return True
        # Not a success either: a mistake of this side, the call's deadline, a bug further in.
        return None
    return failed(outcome)
