"""The layers whose idle cost is bounded, each as it works on every request with nothing special to do.

Idle does not mean that it does nothing: it counts, looks, and writes what it does for every request. But nothing fails,
nobody waits, nobody listens, and nobody else asks for the same. Nothing of scallion is imported before a layer is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

__all__ = ["AT_WORK", "LAYERS", "UNDER"]


def _made(name: str, **settings: Any) -> Any:
    """What `name`, a module of `middlewares` and a class, makes of the settings."""
    home, _, kind = name.rpartition(".")
    return getattr(import_module(f"scallion.middlewares.{home}"), kind)(**settings)


def _budgeted(name: str) -> Any:
    return _made(name, budget=_made("retry_budget.RetryBudget"))


def _hedging_at_first() -> Any:
    """As it is before it knows how long answers take: for ever, in the place of fifty requests."""
    layer = _budgeted("hedging.Hedging")
    layer._origins.at(("http", "example.org", 80)).latencies._count = -(10**12)
    return layer


def _endpoints(service: str) -> Any:
    return _made(
        "endpoints.layer.Endpoints", services={service: ["http://10.0.0.1", "http://10.0.0.2"]}
    )


def _faults() -> Any:
    return _made(
        "fault_injection.FaultInjection", rules=[_made("fault_injection.Fault", status=503, rate=0)]
    )


LAYERS: Mapping[str, Callable[[], Any]] = {
    "Tracing": partial(_made, "tracing.Tracing"),
    "Metrics": partial(_made, "metrics.Metrics"),
    "Logging": partial(_made, "logging.Logging"),
    "RequestId": partial(_made, "request_id.RequestId"),
    "Bulkhead": partial(_made, "bulkhead.Bulkhead"),
    "Deadlines": partial(_made, "timeouts.Deadlines", total=30.0),
    "Coalescing": partial(_made, "coalescing.Coalescing"),
    "Redirects": partial(_made, "redirects.Redirects"),
    "IdempotencyKeys": partial(_made, "idempotency_keys.IdempotencyKeys"),
    "IdempotencyKeys, a key made": partial(
        _made, "idempotency_keys.IdempotencyKeys", methods={"GET"}
    ),
    "Retries": partial(_made, "retries.Retries"),
    "Retries with a budget": partial(_budgeted, "retries.Retries"),
    "Hedging, what is sent once": partial(_made, "hedging.Hedging", methods={"PUT"}),
    "Hedging, nothing known yet": _hedging_at_first,
    "Hedging, armed": partial(_budgeted, "hedging.Hedging"),
    "Endpoints, another host": partial(_endpoints, "orders"),
    "Endpoints, one chosen": partial(_endpoints, "example.org"),
    "CircuitBreaker": partial(_made, "circuit_breaker.CircuitBreaker"),
    "AdaptiveConcurrency, gradient": partial(_made, "adaptive_concurrency.AdaptiveConcurrency"),
    "AdaptiveConcurrency, AIMD": partial(
        _made, "adaptive_concurrency.AdaptiveConcurrency", algorithm="aimd"
    ),
    "RateLimit": partial(_made, "rate_limit.RateLimit", rate="1000000/second"),
    "Authentication": partial(_made, "auth.Authentication"),
    "AttemptTimeouts": partial(_made, "timeouts.AttemptTimeouts"),
    "DeadlinePropagation": partial(_made, "deadline_propagation.DeadlinePropagation"),
    "AttemptTracing": partial(_made, "tracing.AttemptTracing"),
    "AttemptMetrics": partial(_made, "metrics.AttemptMetrics"),
    "FaultInjection": _faults,
}
"""How each is made, by what tables call it, in the order of the stack for services."""

AT_WORK = frozenset({"Endpoints, one chosen", "Hedging, armed", "IdempotencyKeys, a key made"})
"""Not idle: they do what they are for, and have no goal."""

UNDER: Mapping[str, str] = {"DeadlinePropagation": "Deadlines"}
"""What lies outside a layer that would have nothing to do without it; that one's own cost is not counted."""
