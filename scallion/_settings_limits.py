"""The sections of `ServiceSettings` that bound something: time, connections, requests at once, requests in a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ._settings_reading import Seconds
from ._settings_section import Section

__all__ = [
    "BulkheadSettings",
    "ConcurrencySettings",
    "ConnectionSettings",
    "RateLimitSettings",
    "TimeoutSettings",
]


@dataclass(frozen=True, kw_only=True, repr=False)
class TimeoutSettings(Section):
    """`Timeout` of the client, `AttemptTimeouts` and `Deadlines`; each may be none.

    Attributes:
        connect: Until a connection stands, TLS included.
        read: Between two received pieces.
        write: Until a piece is handed to the network.
        pool: Waiting for a connection.
        attempt: One attempt, up to its response's headers.
        total: The whole call: waits, retries, redirects and body included.
    """

    section = "timeouts"
    required = True
    layers = ("timeouts.Deadlines", "timeouts.AttemptTimeouts")

    connect: Seconds | None = 2.0
    read: Seconds | None = 10.0
    write: Seconds | None = 10.0
    pool: Seconds | None = 2.0
    attempt: Seconds | None = 10.0
    total: Seconds | None = 30.0

    def make(self, **more: Any) -> Any:
        self.kind(1)(self.attempt)
        return self.kind()(self.total, **more)


@dataclass(frozen=True, kw_only=True, repr=False)
class ConnectionSettings(Section):
    """`Limits` of the client's pool.

    Attributes:
        max: Connections at once.
        idle: Of these, kept for reuse.
        per_origin: Connections at once to one origin.
        idle_for: How long one is kept, or less where the server says so.
        age: After which one takes no further request.
        ping_after: Silence after which HTTP/2, `http2=True`, asks whether the other side lives.
    """

    section = "connections"
    required = True

    max: int | None = 100
    idle: int | None = 100
    per_origin: int | None = None
    idle_for: Seconds | None = 5.0
    age: Seconds | None = 300.0
    ping_after: Seconds | None = None


@dataclass(frozen=True, kw_only=True, repr=False)
class BulkheadSettings(Section):
    """`Bulkhead`, for each origin.

    Attributes:
        limit: Calls under way.
        queue: Calls that wait; 0 to refuse at once.
        patience: How long they wait.
    """

    section = "bulkhead"
    layers = ("bulkhead.Bulkhead",)

    limit: int = 100
    queue: int = 100
    patience: Seconds = 2.0


@dataclass(frozen=True, kw_only=True, repr=False)
class RateLimitSettings(Section):
    """`RateLimit`. Off unless a rate is given.

    Attributes:
        rate: "100/second", "5000 per hour".
        key: What requests are counted by: "service", all of its endpoints together; "origin", each of them by itself;
            "header:X-Tenant", the values of a header, for the service. Requests to other hosts count for their origins.
        wait: Whether requests wait for their turn, or are refused.
        patience: How long they wait.
        strategy: "moving", "fixed" or "sliding".
        storage: Where counts are kept: "memory://", or a Redis URL, to share them.
        on_failure: What holds while that storage is gone: "open", or "closed".
        storage_timeout: How long it is waited for.
        storage_pause: How long it is not asked after it failed.
    """

    section = "rate_limit"
    layers = ("rate_limit.RateLimit",)

    rate: str | None = None
    key: str = "service"
    wait: bool = True
    patience: Seconds | None = 30.0
    strategy: str = "moving"
    storage: str = "memory://"
    on_failure: str = "open"
    storage_timeout: Seconds = 0.25
    storage_pause: Seconds = 1.0

    def make(self, service: str | None = None, **more: Any) -> Any:
        """The layer.

        Args:
            service: What requests to the service's endpoints are counted by; None where there are none.
        """
        from scallion.middlewares.rate_limit_keys import key_of

        return super().make(key=key_of(self.key, service), **more)

    def check(self) -> None:
        replace(self, rate=self.rate or "1/second").make()

    def lack(self) -> str | None:
        return None if self.rate else 'needs a rate, such as rate = "100/second"'


@dataclass(frozen=True, kw_only=True, repr=False)
class ConcurrencySettings(Section):
    """`AdaptiveConcurrency`, for each origin; what each number does is said there.

    Attributes:
        algorithm: "gradient" or "aimd".
        initial: Requests at a time, to begin with.
        minimum: Of them.
        maximum: Of them.
        queue: Requests that wait for a place; 0 to refuse at once.
        patience: How long they wait.
        backoff: By what the limit is multiplied at a sign of overload.
        too_slow: An answer that takes longer is such a sign ("aimd").
        tolerance: How many times as long as usual answers may take ("gradient").
        headroom: Requests that may queue at the server ("gradient").
        smoothing: Of the limit's steps ("gradient").
        window: Between two looks ("gradient").
        memory: Looks after which what is usual is measured anew ("gradient").
        deadline_counts_after: What an attempt must have had for its deadline to be a sign.
    """

    section = "concurrency"
    layers = ("adaptive_concurrency.AdaptiveConcurrency",)

    algorithm: str = "gradient"
    initial: int = 20
    minimum: int = 1
    maximum: int = 200
    queue: int = 100
    patience: Seconds = 2.0
    backoff: float = 0.9
    too_slow: Seconds = 5.0
    tolerance: float = 1.5
    headroom: float = 4.0
    smoothing: float = 0.2
    window: Seconds = 1.0
    memory: int = 60
    deadline_counts_after: Seconds | None = 1.0
