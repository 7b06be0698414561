"""`Member`: what is known of one endpoint, and what it costs to ask it. Guarded by the service's lock.

What it costs, rules:

- The latency is Finagle's peak EWMA: a worse one counts at once, a better one by and by.
- A failure is no answer, however quick: it counts as at least the latency that is usual elsewhere, and it doubles the cost.
  Each further one doubles it again, so that load, however high, does not flow to who fails at once.
- Each success takes a fifth of that away; an endpoint that fails once in a hundred times is hardly dearer than others.
- Latency and failures fade with the time that has passed, asked or not, so whoever has recovered is found again.
"""

from __future__ import annotations

from math import exp, inf

from scallion.pipeline.hosts import bracketed
from scallion.pipeline.urls import URL, at_origin

from .endpoint import Endpoint

__all__ = ["LEAST_RAMP", "Member"]

LEAST_RAMP = 0.1
"""The share of its weight with which an endpoint begins its slow start (Envoy's `min_weight_percent`)."""

# Dearer than anything measured: an endpoint that has been sent a request, and has not answered any yet.
_UNKNOWN_COST = 1e9

# Doublings, at most: a thousandfold cost is never, in practice, and fades within some four `decay`.
_MOST_BLAME = 10.0
# What a success leaves of it, and what is too little to matter: a cost of seven in a hundred more.
_LEFT_BY_SUCCESS = 0.8
_FORGOTTEN = 0.1

# The schemes of an endpoint, where the request is for a WebSocket (RFC 6455 section 3).
_SOCKETS = {"http": "ws", "https": "wss"}
_SECURE = frozenset({"https", "wss"})
_MOST_PLACES = 64


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
        blame: How often its cost is doubled for failures, at `blamed_at`.
        paused_until: Until when it is left alone, as it asked for that; 0 for not at all.
        asks_until: Until when it asked to be left alone, however far that is.
    """

    __slots__ = (
        "_places",
        "asks_until",
        "blame",
        "blamed_at",
        "ejected_until",
        "ejections",
        "endpoint",
        "failed",
        "failures",
        "in_since",
        "latency",
        "measured_at",
        "paused_until",
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
        self.blame = 0.0
        self.blamed_at = now
        self.paused_until = self.asks_until = 0.0
        # By the origin of the URL that was to lead here.
        self._places: dict[tuple[str, str, int], tuple[URL, str, bool]] = {}

    def at(self, url: URL) -> tuple[URL, str, bool]:
        """`url`, leading here; this one's origin, in words; and whether it is reached by TLS."""
        place, name, by_tls = self._places.get(url.origin_key) or self._place(url)
        return at_origin(url, place), name, by_tls

    def _place(self, url: URL) -> tuple[URL, str, bool]:
        # Cases: the endpoint says nothing of its scheme; it does, for a WebSocket or not, and the port is then its own.
        endpoint = self.endpoint
        scheme, port = endpoint.scheme, endpoint.port
        if scheme is None:
            place = url.copy_with(host=endpoint.host, port=url.port if port is None else port)
        else:
            if url.scheme in _SOCKETS.values():
                scheme = _SOCKETS[scheme]
            place = url.copy_with(scheme=scheme, host=endpoint.host, port=port)
        if len(self._places) >= _MOST_PLACES:
            self._places.clear()
        scheme, host, number = place.origin_key
        name = f"{scheme}://{bracketed(host)}:{number}"
        found = self._places[url.origin_key] = place, name, scheme in _SECURE
        return found

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
        age = now - self.measured_at
        share = exp(-age / decay) if age > 0.0 else 1.0
        known = self.latency * share
        self.latency = seconds if seconds > known else known + seconds * (1.0 - share)
        self.measured_at = now

    def faded(self, now: float, decay: float) -> float:
        """The average, as the time that has passed without a measurement lessens it."""
        latency, age = self.latency, now - self.measured_at
        # A thread may come with a moment that is a little older than the last one's.
        return latency * exp(-age / decay) if latency and age > 0.0 else latency

    def blamed(self, now: float, decay: float) -> None:
        """It has failed."""
        self.blame = min(_MOST_BLAME, self._blame(now, decay) + 1.0)
        self.blamed_at = now

    def forgiven(self, now: float, decay: float) -> None:
        """It has answered."""
        self.blame = self._blame(now, decay) * _LEFT_BY_SUCCESS
        self.blamed_at = now

    def _blame(self, now: float, decay: float) -> float:
        return self.blame * exp(-max(0.0, now - self.blamed_at) / decay)

    def penalty(self, now: float, decay: float) -> float:
        """By what its failures make it dearer; 1 for nothing."""
        if not self.blame:
            return 1.0
        blame = self._blame(now, decay)
        if blame < _FORGOTTEN:
            self.blame = 0.0
            return 1.0
        return float(2.0**blame)

    def load(self, now: float, decay: float) -> float:
        """Finagle's cost: the latency that is expected of it, times the requests there would be; and the penalty."""
        latency, pending, age = self.latency, self.pending, now - self.measured_at
        # `faded`, without the call: this is done twice for each request.
        if age > 0.0 and latency:
            latency *= exp(-age / decay)
        # It may have faded to nothing.
        if latency:
            cost = latency * (pending + 1)
        else:
            cost = _UNKNOWN_COST + pending if pending else 0.0
        return cost * self.penalty(now, decay) if self.blame else cost

    @property
    def out(self) -> bool:
        """Whether it is ejected."""
        return self.ejected_until is not None

    def returns_in(self, now: float) -> float:
        """Seconds until it returns."""
        return max(0.0, (self.ejected_until or -inf) - now)
