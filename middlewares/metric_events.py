"""Which instrument counts which event: one table, so that a layer is measured by telling what it does.

A layer says `request.note("breaker.opened", origin=...)`, and `Metrics` finds the event here. What is not here is not
measured. An attribute's values come from few: a field that turns out to have many is cut off at `MOST_VALUES`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["EVENTS", "INSTRUMENTS", "MOST_VALUES", "OTHER", "SECONDS", "Instrument", "Rule"]

MOST_VALUES = 32
"""Different values of one field; what comes after them is "_OTHER"."""

OTHER = "_OTHER"

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""The bucket boundaries that the HTTP semantic conventions advise for durations."""


class Instrument(NamedTuple):
    """What is made of a meter, by OpenTelemetry's names of kinds."""

    kind: Literal["counter", "gauge", "histogram", "up_down_counter"]
    unit: str
    description: str
    boundaries: tuple[float, ...] | None = None


class Rule(NamedTuple):
    """What one event does to one instrument.

    Attributes:
        instrument: Its name in `INSTRUMENTS`.
        value: The field that has the number; None for 1. An event without it does nothing.
        fields: Those that become attributes, "scallion.<name>", where the event has them.
        attributes: What the attributes are besides, whatever the event says.
    """

    instrument: str
    value: str | None = None
    fields: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()


def _counter(unit: str, description: str) -> Instrument:
    return Instrument("counter", unit, description)


def _seconds(description: str) -> Instrument:
    return Instrument("histogram", "s", description, SECONDS)


INSTRUMENTS: dict[str, Instrument] = {
    "scallion.retry.count": _counter("{retry}", "Attempts after the first of their call."),
    "scallion.retry.wait": _seconds("Waits before these."),
    "scallion.retry.end": _counter("{call}", "Calls whose answer is a transient failure."),
    "scallion.budget.exhausted": _counter("{attempt}", "What the retry budget did not allow."),
    "scallion.breaker.transitions": _counter("{transition}", "Circuit breakers changing state."),
    "scallion.breaker.probes_given_back": _counter("{request}", "Probes that came to no result."),
    "scallion.breaker.refused": _counter("{request}", "Requests that an open breaker refused."),
    "scallion.bulkhead.queued": _counter("{request}", "Requests that waited for a slot."),
    "scallion.bulkhead.wait": _seconds("How long they waited."),
    "scallion.bulkhead.refused": _counter("{request}", "Requests that a full bulkhead refused."),
    "scallion.concurrency.limit": Instrument(
        "gauge", "{request}", "Requests at once that adaptive concurrency allows."
    ),
    "scallion.concurrency.queued": _counter("{request}", "Requests that waited for a place in it."),
    "scallion.concurrency.wait": _seconds("How long they waited."),
    "scallion.concurrency.refused": _counter("{request}", "Requests that this limit refused."),
    "scallion.rate_limit.waits": _counter("{request}", "Requests that waited for the rate limit."),
    "scallion.rate_limit.wait": _seconds("How long those of them waited whose turn came."),
    "scallion.rate_limit.refused": _counter("{request}", "Requests that it refused."),
    "scallion.rate_limit.storage_failures": _counter(
        "{failure}", "Times its storage could not be asked."
    ),
    "scallion.hedge.count": _counter("{request}", "Hedges, by what became of them."),
    "scallion.endpoint.choices": _counter("{attempt}", "Attempts for which one was chosen."),
    "scallion.endpoint.ejections": _counter("{ejection}", "Endpoints taken out of the balance."),
    "scallion.endpoint.returns": _counter("{endpoint}", "Endpoints taken in again."),
    "scallion.endpoint.events": _counter("{event}", "What else endpoints went through."),
    "scallion.deadline.sent": _counter("{attempt}", "Attempts that told how much time is left."),
    "scallion.deadline.incoming": _counter(
        "{call}", "Calls bounded by the request that is being served."
    ),
    "scallion.deadline.refused": _counter(
        "{attempt}", "Attempts not sent, as their time was over."
    ),
    "scallion.request_ids": _counter("{call}", "Calls by the source of their id."),
    "scallion.idempotency_keys": _counter("{call}", "Calls that were given a key."),
    "scallion.faults": _counter("{fault}", "Faults that were injected."),
    "scallion.coalesced": _counter("{request}", "Requests answered by another's answer."),
    "scallion.coalesced.wait": _seconds("How long requests waited for another's answer."),
    "scallion.timeouts": _counter("{timeout}", "Timeouts of calls and of attempts."),
    "scallion.redirects": _counter("{redirect}", "Redirects followed."),
    "scallion.pool.waits": _counter("{request}", "Requests that waited for a connection."),
    "scallion.connections": _counter("{connection}", "Connections, by what became of them."),
    "scallion.auth.failures": _counter("{failure}", "Logins that failed."),
}


def _state(state: str) -> tuple[Rule, ...]:
    return _named("scallion.breaker.transitions", "state", state)


def _named(instrument: str, key: str, value: str, *fields: str) -> tuple[Rule, ...]:
    return (Rule(instrument, fields=fields, attributes=((f"scallion.{key}", value),)),)


def _endpoint(event: str) -> tuple[Rule, ...]:
    return _named("scallion.endpoint.events", "event", event, "service")


EVENTS: dict[str, tuple[Rule, ...]] = {
    "retry": (
        Rule("scallion.retry.count", fields=("reason",)),
        Rule("scallion.retry.wait", value="wait"),
    ),
    "retry.end": (Rule("scallion.retry.end", fields=("reason",)),),
    "retry.budget_exhausted": (Rule("scallion.budget.exhausted"),),
    "breaker.opened": _state("open"),
    "breaker.half_open": _state("half_open"),
    "breaker.closed": _state("closed"),
    "breaker.forced_open": _state("forced_open"),
    "breaker.forced_closed": _state("forced_closed"),
    "breaker.released": _state("released"),
    "breaker.probe_given_back": (Rule("scallion.breaker.probes_given_back"),),
    "breaker.refused": (Rule("scallion.breaker.refused"),),
    "bulkhead.queued": (Rule("scallion.bulkhead.queued"),),
    "bulkhead.admitted": (Rule("scallion.bulkhead.wait", value="waited"),),
    "bulkhead.refused": (Rule("scallion.bulkhead.refused"),),
    "concurrency.limit": (Rule("scallion.concurrency.limit", value="new"),),
    "concurrency.queued": (Rule("scallion.concurrency.queued"),),
    "concurrency.admitted": (Rule("scallion.concurrency.wait", value="waited"),),
    "concurrency.refused": (Rule("scallion.concurrency.refused"),),
    "rate_limit.waiting": (Rule("scallion.rate_limit.waits"),),
    "rate_limit.admitted": (Rule("scallion.rate_limit.wait", value="waited"),),
    "rate_limit.refused": (Rule("scallion.rate_limit.refused", fields=("reason",)),),
    "rate_limit.storage_failed": (Rule("scallion.rate_limit.storage_failures"),),
    "hedge.sent": _named("scallion.hedge.count", "outcome", "sent"),
    "hedge.won": _named("scallion.hedge.count", "outcome", "won"),
    "hedge.refused": _named("scallion.hedge.count", "outcome", "refused", "reason"),
    # Not by endpoint: there may be any number of them, and each would be a series for ever.
    "endpoint.chosen": (Rule("scallion.endpoint.choices", fields=("service", "panic")),),
    "endpoint.ejected": (Rule("scallion.endpoint.ejections", fields=("service", "reason")),),
    "endpoint.returned": (Rule("scallion.endpoint.returns", fields=("service",)),),
    "endpoint.paused": _endpoint("paused"),
    "endpoint.refused": _endpoint("refused"),
    "endpoint.resolved": _endpoint("resolved"),
    "endpoint.resolve_failed": _endpoint("resolve_failed"),
    "deadline.sent": (Rule("scallion.deadline.sent"),),
    "deadline.incoming": (Rule("scallion.deadline.incoming"),),
    "deadline.passed": (Rule("scallion.deadline.refused"),),
    "request_id": (Rule("scallion.request_ids", fields=("source",)),),
    "idempotency_key.made": (Rule("scallion.idempotency_keys"),),
    "fault.injected": (Rule("scallion.faults", fields=("kind",)),),
    "coalesced": (
        Rule("scallion.coalesced", fields=("outcome",)),
        Rule("scallion.coalesced.wait", value="waited"),
    ),
    "coalesced.alone": (Rule("scallion.coalesced.wait", value="waited"),),
    "coalesced.leads": (Rule("scallion.coalesced.wait", value="waited"),),
    "total_timeout": _named("scallion.timeouts", "kind", "total"),
    "attempt_timeout": _named("scallion.timeouts", "kind", "attempt"),
    "redirect": (Rule("scallion.redirects"),),
    "pool.wait": (Rule("scallion.pool.waits"),),
    "connection.opened": _named("scallion.connections", "event", "opened"),
    "connection.reused": _named("scallion.connections", "event", "reused"),
    "connection.stale": _named("scallion.connections", "event", "stale"),
    "connection.refused": _named("scallion.connections", "event", "refused"),
    "connection.dead": _named("scallion.connections", "event", "dead"),
    "connection.retry": _named("scallion.connections", "event", "retry"),
    "auth.not_replayable": _named("scallion.auth.failures", "error", "not_replayable"),
    "auth.refresh_failed": (Rule("scallion.auth.failures", fields=("error",)),),
}
