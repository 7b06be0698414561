"""`Member`: what is known of one endpoint, and the use that one attempt makes of it. Guarded by the service's lock."""

from __future__ import annotations

from math import exp, inf

from .endpoint import Endpoint

__all__ = ["LEAST_RAMP", "Member"]

LEAST_RAMP = 0.1
"""The share of its weight with which an endpoint begins its slow start (Envoy's `min_weight_percent`)."""

# Dearer than anything measured: an endpoint that has been sent a request, and has not answered any yet.
_UNKNOWN_COST = 1e9


class Member:
    """One endpoint of a service, as the balancing sees it.

    Attributes:
        endpoint: Which one.
        pending: Attempts under way there, bodies included.
        latency: The peak-sensitive moving average of the seconds until a response's head, at `measured_at`.
        failures: In a row, up to now.
        ejections: How many times it was ejected, less those that are forgiven.
        ejected_until: When it returns; None while it is in use.
        warm_from: When its slow start began; None if it is at its full weight.
        in_since: When it last came, or came back.
        turn: What a round robin has in hand for it.
        sent: Attempts in all.
        failed: Failed ones in all.
    """

    __slots__ = (
        "ejected_until",
        "ejections",
        "endpoint",
        "failed",
        "failures",
        "in_since",
        "latency",
        "measured_at",
        "pending",
        "sent",
        "turn",
        "warm_from",
    )

    def __init__(self, endpoint: Endpoint, now: float, turn: float) -> None:
        self.endpoint = endpoint
        self.pending = 0
        self.latency = 0.0
        self.measured_at = now
        self.failures = 0
        self.ejections = 0
        self.ejected_until: float | None = None
        self.warm_from: float | None = None
        self.in_since = now
        self.turn = turn
        self.sent = 0
        self.failed = 0

    def ramp(self, now: float, slow_start: float) -> float:
        """How far its slow start has come, from `LEAST_RAMP` to 1."""
        began = self.warm_from
        if began is None:
            return 1.0
        share = (now - began) / slow_start if slow_start else 1.0
        if share >= 1.0:
            self.warm_from = None
            return 1.0
        return max(LEAST_RAMP, share)

    def observe(self, seconds: float, now: float, decay: float) -> None:
        """Take a measured latency into the average: a worse one at once, a better one by and by."""
        known = self.faded(now, decay)
        if seconds > known:
            self.latency = seconds
        else:
            share = exp(-max(0.0, now - self.measured_at) / decay)
            self.latency = self.latency * share + seconds * (1.0 - share)
        self.measured_at = now

    def faded(self, now: float, decay: float) -> float:
        """The average, as the time that has passed without a measurement lessens it."""
        latency = self.latency
        return latency and latency * exp(-max(0.0, now - self.measured_at) / decay)

    def load(self, now: float, decay: float) -> float:
        """Finagle's cost: the latency that is expected of it, times the requests there would be."""
        latency = self.faded(now, decay)
        if latency:
            return latency * (self.pending + 1)
        return _UNKNOWN_COST + self.pending if self.pending else 0.0

    @property
    def out(self) -> bool:
        """Whether it is ejected."""
        return self.ejected_until is not None

    def returns_in(self, now: float) -> float:
        """Seconds until it returns."""
        return max(0.0, (self.ejected_until or -inf) - now)
