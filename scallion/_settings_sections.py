"""The sections of `ServiceSettings`, one for each layer of the service stack, their defaults being its preset.

A section's fields are arguments of its layer, by their names. Durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, ClassVar

from ._settings_reading import Seconds, brief, kind_of

__all__ = [
    "SECTIONS",
    "BreakerSettings",
    "BudgetSettings",
    "BulkheadSettings",
    "CoalescingSettings",
    "ConcurrencySettings",
    "ConnectionSettings",
    "DeadlinePropagationSettings",
    "EndpointSettings",
    "FaultSettings",
    "HedgingSettings",
    "IdempotencyKeySettings",
    "LoggingSettings",
    "MetricsSettings",
    "RateLimitSettings",
    "RedirectSettings",
    "RequestIdSettings",
    "RetrySettings",
    "Section",
    "TimeoutSettings",
    "TracingSettings",
]


@dataclass(frozen=True, kw_only=True, repr=False)
class Section:
    """The settings of one layer, of kinds that a file can hold.

    Raises:
        TypeError: a value is of the wrong kind.
        ValueError: it is a text that cannot be read.
    """

    key: ClassVar[str]
    # Whether there is no stack without it.
    required: ClassVar[bool] = False
    # Modules and names of the layers that it is about; the first is made of its values.
    layers: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for one in fields(self):
            where = f"{self.key}.{one.name}"
            value = kind_of(one).of(getattr(self, one.name), text=False, where=where)
            object.__setattr__(self, one.name, value)

    def make(self, **more: Any) -> Any:
        """The layer.

        Raises:
            TypeError, ValueError: it does not accept a value.
        """
        return self.kind()(**self.values(), **more)

    @classmethod
    def kind(cls, which: int = 0) -> Any:
        """The class of one of its layers."""
        home, _, name = cls.layers[which].rpartition(".")
        return getattr(import_module(f"scallion.middlewares.{home}"), name)

    def __repr__(self) -> str:
        """What is not the default."""
        usual = {one.name: one.default for one in fields(self)}
        told = [f"{n}={brief(v)}" for n, v in self.values().items() if v != usual[n]]
        return f"{type(self).__name__}({', '.join(told)})"

    def values(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}


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

    key = "timeouts"
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
        ping_after: Silence after which HTTP/2 asks whether the other side lives.
    """

    key = "connections"
    required = True

    max: int | None = 100
    idle: int | None = 100
    per_origin: int | None = None
    idle_for: Seconds | None = 5.0
    age: Seconds | None = 300.0
    ping_after: Seconds | None = None


@dataclass(frozen=True, kw_only=True, repr=False)
class RedirectSettings(Section):
    """`Redirects`. Off, a redirect is an answer.

    Attributes:
        limit: How many in a row.
    """

    key = "redirects"
    layers = ("redirects.Redirects",)

    limit: int = 20

    def make(self, **more: Any) -> Any:
        return super().make(follow=True, **more)


@dataclass(frozen=True, kw_only=True, repr=False)
class RetrySettings(Section):
    """`Retries`, with full jitter.

    Attributes:
        attempts: Tries in all, the first included.
        base: Upper bound of the first wait; it doubles with each attempt.
        cap: Upper bound of any wait.
        statuses: Of transient failures.
        methods: Of requests that may be sent twice.
        retry_after_cap: The longest `Retry-After` that is waited for.
        retry_unsent: Whether failures to get a connection are retried whatever the method.
        attempt_header: Tells the server the number of the try, from the second on.
        veto_header: Of a response, that forbids the next try.
    """

    key = "retries"
    layers = ("retries.Retries",)

    attempts: int = 3
    base: Seconds = 0.1
    cap: Seconds = 2.0
    statuses: tuple[int, ...] = (429, 502, 503, 504)
    methods: tuple[str, ...] = ("DELETE", "GET", "HEAD", "OPTIONS", "PUT", "QUERY", "TRACE")
    retry_after_cap: Seconds = 30.0
    retry_unsent: bool = True
    attempt_header: str | None = "X-Request-Attempt"
    veto_header: str | None = "X-Should-Retry"

    def make(self, **more: Any) -> Any:
        from scallion.middlewares.retries import Retries
        from scallion.middlewares.retry_state import FullJitter

        values = self.values()
        wait = FullJitter(values.pop("base"), values.pop("cap"))
        return Retries(wait=wait, **values, **more)


@dataclass(frozen=True, kw_only=True, repr=False)
class TracingSettings(Section):
    """`Tracing` and `AttemptTracing`."""

    key = "tracing"
    layers = ("tracing.Tracing", "tracing.AttemptTracing")


@dataclass(frozen=True, kw_only=True, repr=False)
class MetricsSettings(Section):
    """`Metrics` and `AttemptMetrics`."""

    key = "metrics"
    layers = ("metrics.Metrics", "metrics.AttemptMetrics")


@dataclass(frozen=True, kw_only=True, repr=False)
class LoggingSettings(Section):
    """`Logging`.

    Attributes:
        headers: Names of headers that are logged; none that carry credentials.
        decisions: Whether what the layers decide is logged as well.
    """

    key = "logging"
    layers = ("logging.Logging",)

    headers: tuple[str, ...] = ()
    decisions: bool = True


@dataclass(frozen=True, kw_only=True, repr=False)
class BudgetSettings(Section):
    """`RetryBudget`, shared by retries and hedging. Off, nothing bounds them together.

    Attributes:
        share: Retries for each first attempt.
        window: How long these count.
        floor: Retries a second beside them.
    """

    key = "budget"
    layers = ("retry_budget.RetryBudget",)

    share: float = 0.2
    window: Seconds = 10.0
    floor: float = 10.0


@dataclass(frozen=True, kw_only=True, repr=False)
class BreakerSettings(Section):
    """`CircuitBreaker`."""

    key = "breaker"
    layers = ("circuit_breaker.CircuitBreaker",)

    ratio: float = 0.5
    minimum: int = 20
    window: Seconds = 30.0
    break_for: Seconds = 5.0
    growth: float = 2.0
    longest: Seconds = 60.0
    jitter: float = 0.1
    probes: int = 1
    statuses: tuple[int, ...] = (429, 502, 503, 504)
    deadline_counts_after: Seconds | None = 1.0


@dataclass(frozen=True, kw_only=True, repr=False)
class DeadlinePropagationSettings(Section):
    """`DeadlinePropagation`.

    Attributes:
        header: That tells how much time is left.
        form: "seconds", "milliseconds" or "grpc".
    """

    key = "deadline_propagation"
    layers = ("deadline_propagation.DeadlinePropagation",)

    header: str = "X-Request-Timeout"
    form: str = "seconds"


@dataclass(frozen=True, kw_only=True, repr=False)
class IdempotencyKeySettings(Section):
    """`IdempotencyKeys`. Switch it on for servers that heed the header.

    Attributes:
        header: That bears the key.
        methods: Of requests that get one.
    """

    key = "idempotency_keys"
    layers = ("idempotency_keys.IdempotencyKeys",)

    header: str = "Idempotency-Key"
    methods: tuple[str, ...] = ("PATCH", "POST")


@dataclass(frozen=True, kw_only=True, repr=False)
class BulkheadSettings(Section):
    """`Bulkhead`, for each origin.

    Attributes:
        limit: Calls under way.
        queue: Calls that wait; 0 to refuse at once.
        patience: How long they wait.
    """

    key = "bulkhead"
    layers = ("bulkhead.Bulkhead",)

    limit: int = 100
    queue: int = 100
    patience: Seconds = 2.0


@dataclass(frozen=True, kw_only=True, repr=False)
class RateLimitSettings(Section):
    """`RateLimit`, for each origin. Off unless a rate is given.

    Attributes:
        rate: "100/second", "5000 per hour".
        wait: Whether requests wait for their turn, or are refused.
        patience: How long they wait.
        strategy: "moving", "fixed" or "sliding".
        storage: Where counts are kept: "memory://", or a Redis URL, to share them.
        on_failure: What holds while that storage is gone: "open", or "closed".
        storage_timeout: How long it is waited for.
        storage_pause: How long it is not asked after it failed.
    """

    key = "rate_limit"
    layers = ("rate_limit.RateLimit",)

    rate: str | None = None
    wait: bool = True
    patience: Seconds | None = 30.0
    strategy: str = "moving"
    storage: str = "memory://"
    on_failure: str = "open"
    storage_timeout: Seconds = 0.25
    storage_pause: Seconds = 1.0

    def make(self, **more: Any) -> Any:
        if self.rate is None:
            raise ValueError('it needs a rate, such as rate = "100/second"')
        return super().make(**more)


@dataclass(frozen=True, kw_only=True, repr=False)
class RequestIdSettings(Section):
    """`RequestId`.

    Attributes:
        header: That bears the id.
    """

    key = "request_id"
    layers = ("request_id.RequestId",)

    header: str = "X-Request-Id"


@dataclass(frozen=True, kw_only=True, repr=False)
class HedgingSettings(Section):
    """`Hedging`, from the budget of the retries.

    Attributes:
        delay: Until a hedge is sent; none for the percentile.
        percentile: Of the origin's latest answers.
        least: What it is taken for at least.
        most_load: Hedges for each call, on average.
        hedges: Copies beside the first.
        methods: Of requests that may be sent twice.
    """

    key = "hedging"
    layers = ("hedging.Hedging",)

    delay: Seconds | None = None
    percentile: float = 0.95
    least: Seconds = 0.05
    most_load: float = 0.05
    hedges: int = 1
    methods: tuple[str, ...] = ("DELETE", "GET", "HEAD", "OPTIONS", "PUT", "QUERY", "TRACE")


@dataclass(frozen=True, kw_only=True, repr=False)
class EndpointSettings(Section):
    """`Endpoints` of the service, from one of four sources.

    Attributes:
        addresses: A list: "http://10.0.0.7:8080".
        file: One that is watched.
        dns: A name whose addresses they are, "orders.internal:8080".
        srv: A name that has SRV records, "_http._tcp.orders.internal".
        refresh: How often the last three are asked again; none for what suits each.
        choice: "power_of_two", "least_pending", "round_robin" or "consistent_hash".
        hash_by: For the last, the header that a request's key is in.
        slow_start: In which the share of a new endpoint grows to its own.
        eject: Whether endpoints that fail are left out for a while.
        failures: How many in a row, for that.
        ejected_for: How long at first.
        longest: How long at most.
        share: Of all endpoints, that may be left out.
        tls_name: The name for TLS; "{service}", "{endpoint}".
        host: The Host header, likewise.
    """

    key = "endpoints"
    layers = ("endpoints.layer.Endpoints",)

    addresses: tuple[str, ...] = ()
    file: str | None = None
    dns: str | None = None
    srv: str | None = None
    refresh: Seconds | None = None
    choice: str = "power_of_two"
    hash_by: str | None = None
    slow_start: Seconds = 0.0
    eject: bool = True
    failures: int = 5
    ejected_for: Seconds = 30.0
    longest: Seconds = 300.0
    share: float = 0.1
    tls_name: str = "{service}"
    host: str = "{service}"

    def make(self, **more: Any) -> Any:
        from scallion.middlewares.endpoints.choices import ConsistentHash
        from scallion.middlewares.endpoints.ejection import Ejection

        ejection = Ejection(
            failures=self.failures, base=self.ejected_for, cap=self.longest, share=self.share
        )
        choice = ConsistentHash(self.hash_by) if self.choice == "consistent_hash" else self.choice
        return self.kind()(
            {more.pop("service", "service"): self._source()},
            choice=choice,
            ejection=ejection if self.eject else None,
            slow_start=self.slow_start,
            tls_name=self.tls_name,
            host=self.host,
            **more,
        )

    def _source(self) -> Any:
        from scallion.middlewares.endpoints import sources

        given = [name for name in ("addresses", "file", "dns", "srv") if getattr(self, name)]
        if len(given) != 1:
            told = " and ".join(given) or "none"
            raise ValueError(f"it needs one of addresses, file, dns and srv, and has {told}")
        interval: dict[str, Any] = {} if self.refresh is None else {"interval": self.refresh}
        if self.file is not None:
            return sources.WatchedFile(self.file, **interval)
        if self.srv is not None:
            return sources.SRV(self.srv, **interval)
        if self.dns is not None:
            name, _, port = self.dns.partition(":")
            if port and not port.isdecimal():
                raise ValueError(f"dns must be a name, or name:port, not {self.dns!r}")
            return sources.DNS(name, int(port) if port else None, **interval)
        return sources.Static(self.addresses)


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
        memory: Looks that "usual" goes back ("gradient").
        deadline_counts_after: What an attempt must have had for its deadline to be a sign.
    """

    key = "concurrency"
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
    memory: int = 600
    deadline_counts_after: Seconds | None = 1.0


@dataclass(frozen=True, kw_only=True, repr=False)
class FaultSettings(Section):
    """`FaultInjection` with one rule, for drills.

    Attributes:
        rate: The share of the requests.
        latency: Before all else.
        status: Of a response that the server never gave.
        error: In its place: "refused", "connect_timeout", "reset", "timeout" or "disconnected".
        after: Whether the request is sent first.
        methods: Of the requests; none for all.
        path: Theirs, as a pattern: "/stock/*".
        seed: Of the die.
    """

    key = "faults"
    layers = ("fault_injection.FaultInjection",)

    rate: float = 0.0
    latency: Seconds | None = None
    status: int | None = None
    error: str | None = None
    after: bool = False
    methods: tuple[str, ...] | None = None
    path: str | None = None
    seed: int | None = None

    def make(self, **more: Any) -> Any:
        from scallion.middlewares.fault_injection import Fault

        values = self.values()
        seed = values.pop("seed")
        return self.kind()((Fault(**values),), seed, **more)


@dataclass(frozen=True, kw_only=True, repr=False)
class CoalescingSettings(Section):
    """`Coalescing`.

    Attributes:
        most_bytes: The longest body that is shared.
    """

    key = "coalescing"
    layers = ("coalescing.Coalescing",)

    most_bytes: int = 1024 * 1024


SECTIONS: dict[str, type[Section]] = {section.key: section for section in Section.__subclasses__()}
"""By their keys."""
