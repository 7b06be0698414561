"""The sections of `ServiceSettings`, one for each layer of the service stack, their defaults being its preset.

A section's fields are arguments of its layer, by their names. Durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ._settings_endpoints import EndpointSettings
from ._settings_limits import (
    BulkheadSettings,
    ConcurrencySettings,
    ConnectionSettings,
    RateLimitSettings,
    TimeoutSettings,
)
from ._settings_reading import Seconds, quoted
from ._settings_section import Section

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
class RedirectSettings(Section):
    """`Redirects`. Off, a redirect is an answer.

    Attributes:
        limit: How many in a row.
        sensitive: Headers that do not go with one to another origin; nor does `Cookie`.
    """

    section = "redirects"
    layers = ("redirects.Redirects",)

    limit: int = 20
    sensitive: tuple[str, ...] = ("authorization", "proxy-authorization", "x-api-key")

    def make(self, **more: Any) -> Any:
        return super().make(**{"follow": True} | more)


@dataclass(frozen=True, kw_only=True, repr=False)
class RetrySettings(Section):
    """`Retries`, with full jitter.

    Attributes:
        attempts: Tries in all, the first included.
        base: Upper bound of the first wait; it doubles with each attempt.
        cap: Upper bound of any wait.
        statuses: Of transient failures.
        idle_408: Whether a 408 on a connection that the server closes is one, too: it has waited for a request in vain.
        on: The errors that are, by the names of their classes: "NetworkError".
        methods: Of requests that may be sent twice.
        retry_after_cap: The longest `Retry-After` that is waited for.
        retry_unsent: Whether failures to get a connection are retried whatever the method.
        attempt_header: Tells the server the number of the try, from the second on.
        veto_header: Of a response, that forbids the next try.
    """

    section = "retries"
    layers = ("retries.Retries",)

    attempts: int = 3
    base: Seconds = 0.1
    cap: Seconds = 2.0
    statuses: tuple[int, ...] = (429, 502, 503, 504)
    idle_408: bool = True
    on: tuple[str, ...] = ("NetworkError", "TimeoutException", "RemoteProtocolError")
    methods: tuple[str, ...] = ("DELETE", "GET", "HEAD", "OPTIONS", "PUT", "QUERY", "TRACE")
    retry_after_cap: Seconds = 30.0
    retry_unsent: bool = True
    attempt_header: str | None = "X-Request-Attempt"
    veto_header: str | None = "X-Should-Retry"

    def make(self, **more: Any) -> Any:
        from scallion.middlewares.retries import Retries
        from scallion.middlewares.retry_state import FullJitter
        from scallion.middlewares.transient import Transient, idle_timeout

        values = self.values()
        wait = FullJitter(values.pop("base"), values.pop("cap"))
        values["transient"] = Transient(
            values.pop("statuses"),
            tuple(map(_error, values.pop("on"))),
            idle_timeout if values.pop("idle_408") else None,
        )
        return Retries(wait=wait, **values, **more)


@dataclass(frozen=True, kw_only=True, repr=False)
class TracingSettings(Section):
    """`Tracing` and `AttemptTracing`.

    Attributes:
        secrets: Query parameters whose values are not shown, beside those that are known for it.
    """

    section = "tracing"
    layers = ("tracing.Tracing", "tracing.AttemptTracing")

    secrets: tuple[str, ...] = ()

    def arguments(self) -> dict[str, Any]:
        return {"secrets": _with_known(self.secrets)}


@dataclass(frozen=True, kw_only=True, repr=False)
class MetricsSettings(Section):
    """`Metrics` and `AttemptMetrics`."""

    section = "metrics"
    layers = ("metrics.Metrics", "metrics.AttemptMetrics")


@dataclass(frozen=True, kw_only=True, repr=False)
class LoggingSettings(Section):
    """`Logging`.

    Attributes:
        headers: Names of headers that are logged; none that carry credentials.
        secrets: Query parameters whose values are not shown, beside those that are known for it.
        decisions: Whether what the layers decide is logged as well.
    """

    section = "logging"
    layers = ("logging.Logging",)

    headers: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    decisions: bool = True

    def arguments(self) -> dict[str, Any]:
        return self.values() | {"secrets": _with_known(self.secrets)}


@dataclass(frozen=True, kw_only=True, repr=False)
class BudgetSettings(Section):
    """`RetryBudget`, shared by retries and hedging. Off, nothing bounds them together.

    Attributes:
        share: Retries for each first attempt.
        window: How long these count.
        floor: Retries a second beside them.
    """

    section = "budget"
    layers = ("retry_budget.RetryBudget",)

    share: float = 0.2
    window: Seconds = 10.0
    floor: float = 10.0


@dataclass(frozen=True, kw_only=True, repr=False)
class BreakerSettings(Section):
    """`CircuitBreaker`."""

    section = "breaker"
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

    section = "deadline_propagation"
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

    section = "idempotency_keys"
    layers = ("idempotency_keys.IdempotencyKeys",)

    header: str = "Idempotency-Key"
    methods: tuple[str, ...] = ("PATCH", "POST")


@dataclass(frozen=True, kw_only=True, repr=False)
class RequestIdSettings(Section):
    """`RequestId`.

    Attributes:
        header: That bears the id.
    """

    section = "request_id"
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

    section = "hedging"
    layers = ("hedging.Hedging",)

    delay: Seconds | None = None
    percentile: float = 0.95
    least: Seconds = 0.05
    most_load: float = 0.05
    hedges: int = 1
    methods: tuple[str, ...] = ("DELETE", "GET", "HEAD", "OPTIONS", "PUT", "QUERY", "TRACE")


@dataclass(frozen=True, kw_only=True, repr=False)
class FaultSettings(Section):
    """`FaultInjection` with one rule, for drills.

    Attributes:
        rate: The share of the requests; all of them, unless less is said.
        latency: Before all else.
        status: Of a response that the server never gave.
        error: In its place: "refused", "connect_timeout", "reset", "timeout" or "disconnected".
        after: Whether the request is sent first.
        methods: Of the requests; none for all.
        path: Theirs, as a pattern: "/stock/*".
        seed: Of the die.
    """

    section = "faults"
    layers = ("fault_injection.FaultInjection",)

    rate: float = 1.0
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

    def check(self) -> None:
        (replace(self, status=503) if self.lack() else self).make()

    def lack(self) -> str | None:
        if self.latency is None and self.status is None and self.error is None:
            return "needs a latency, a status or an error"
        return None


@dataclass(frozen=True, kw_only=True, repr=False)
class CoalescingSettings(Section):
    """`Coalescing`.

    Attributes:
        most_bytes: The longest body that is shared.
        ignore: Headers that may differ; so may that of `request_id`.
    """

    section = "coalescing"
    layers = ("coalescing.Coalescing",)

    most_bytes: int = 1024 * 1024
    ignore: tuple[str, ...] = ("baggage", "traceparent", "tracestate", "x-request-id")

    def make(self, request_id: str | None = None, **more: Any) -> Any:
        """The layer.

        Args:
            request_id: The header that bears the request's id, if one does.
        """
        own = () if request_id is None else (request_id,)
        return super().make(ignore=(*self.ignore, *own), **more)


def _error(name: str) -> type[Exception]:
    from scallion.pipeline import errors

    found = getattr(errors, name, None) if name in errors.__all__ else None
    if not (isinstance(found, type) and issubclass(found, errors.RequestError)):
        raise ValueError(
            f"on has names of errors, such as 'NetworkError', and {quoted(name)} is none"
        )
    if issubclass(found, errors.TotalTimeout):
        raise ValueError(f"on has errors after which another attempt may help, and {name} is none")
    return found


def _with_known(secrets: tuple[str, ...]) -> Any:
    from scallion.pipeline.redaction import SECRET_NAMES, secret_names

    return SECRET_NAMES | secret_names(secrets) if secrets else SECRET_NAMES


SECTIONS: dict[str, type[Section]] = {
    kind.section: kind
    for kind in (
        TimeoutSettings,
        ConnectionSettings,
        RedirectSettings,
        RetrySettings,
        TracingSettings,
        MetricsSettings,
        LoggingSettings,
        BudgetSettings,
        BreakerSettings,
        DeadlinePropagationSettings,
        IdempotencyKeySettings,
        BulkheadSettings,
        RateLimitSettings,
        RequestIdSettings,
        HedgingSettings,
        EndpointSettings,
        ConcurrencySettings,
        FaultSettings,
        CoalescingSettings,
    )
}
"""By their keys."""
