"""Figures that layers have at any moment: who is under way and who waits, what is left, what is out of use.

They are read when metrics are collected, of the layers of every client that is watched; requests pay nothing for them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

from scallion.pipeline.runtime import BlockingRuntime

from .per_origin import origin_name

__all__ = ["FIGURES", "Figure", "figures_of"]

Reading: TypeAlias = tuple[str | None, dict[str, str], float]
"""An origin's name, or None; further attributes; the number."""


class Figure(NamedTuple):
    """What is made of a meter, and where its numbers come from.

    Attributes:
        read: Gives what one layer knows; nothing of a layer that it is not about.
        merge: What becomes of two numbers with the same attributes, of two layers.
    """

    kind: Literal["gauge", "up_down_counter"]
    unit: str
    description: str
    read: Callable[[Any], Iterable[Reading]]
    merge: Callable[[float, float], float]


def _add(one: float, other: float) -> float:
    return one + other


# Layers are imported when figures are asked for: a program that has none of them need not pay for it.


def _gates(kind: str, attribute: str) -> Callable[[Any], Iterator[Reading]]:
    def read(layer: Any) -> Iterator[Reading]:
        from .adaptive_concurrency import AdaptiveConcurrency
        from .bulkhead import Bulkhead

        wanted: type[Any] = Bulkhead if kind == "bulkhead" else AdaptiveConcurrency
        if isinstance(layer, wanted):
            for origin, stats in layer.known().items():
                yield origin, {}, getattr(stats, attribute)

    return read


def _balances(budget: Any) -> Iterator[Reading]:
    from .retry_budget import RetryBudget

    if isinstance(budget, RetryBudget):
        for origin, balance in budget.balances(BlockingRuntime.clock()).items():
            yield origin_name(origin), {}, balance


def _breakers(number: Callable[[Any], int]) -> Callable[[Any], Iterator[Reading]]:
    def read(layer: Any) -> Iterator[Reading]:
        from .circuit_breaker import CircuitBreaker

        if isinstance(layer, CircuitBreaker):
            for origin, state in layer.states().items():
                yield origin, {}, number(state)

    return read


_PHASES = {"closed": 0, "half-open": 1, "open": 2}


def _endpoints(layer: Any) -> Iterator[Reading]:
    from .endpoints import Endpoints

    if not isinstance(layer, Endpoints):
        return
    for service in layer.services:
        known = {"in_use": 0, "paused": 0, "ejected": 0}
        for each in layer.state(service).endpoints:
            # Cases: it is out of use; it asked to be left alone; neither.
            kind = "in_use" if each.paused_for is None else "paused"
            known["ejected" if each.returns_in is not None else kind] += 1
        for kind, count in known.items():
            yield None, {"scallion.service": service, "scallion.state": kind}, count


FIGURES: dict[str, Figure] = {
    "scallion.bulkhead.active": Figure(
        "up_down_counter",
        "{request}",
        "Requests that have a slot.",
        _gates("bulkhead", "active"),
        _add,
    ),
    "scallion.bulkhead.waiting": Figure(
        "up_down_counter",
        "{request}",
        "Requests in line for a slot.",
        _gates("bulkhead", "waiting"),
        _add,
    ),
    "scallion.concurrency.active": Figure(
        "up_down_counter",
        "{request}",
        "Requests that adaptive concurrency has let pass.",
        _gates("concurrency", "active"),
        _add,
    ),
    "scallion.concurrency.waiting": Figure(
        "up_down_counter",
        "{request}",
        "Requests in line there.",
        _gates("concurrency", "waiting"),
        _add,
    ),
    "scallion.budget.balance": Figure(
        "gauge", "{attempt}", "Further attempts that the retry budget would allow.", _balances, _add
    ),
    "scallion.breaker.state": Figure(
        "gauge",
        "1",
        "0 closed, 1 half open, 2 open.",
        _breakers(lambda state: _PHASES[state.phase]),
        max,
    ),
    "scallion.breaker.forced": Figure(
        "gauge",
        "1",
        "1 while a circuit breaker is held in its state by hand, else 0.",
        _breakers(lambda state: int(state.forced)),
        max,
    ),
    "scallion.endpoint.count": Figure(
        "up_down_counter", "{endpoint}", "Endpoints, by their condition.", _endpoints, _add
    ),
}
"""By their names."""


def figures_of(
    figure: Figure, pipelines: Iterable[Iterable[Any]]
) -> Iterator[tuple[str | None, dict[str, str], float]]:
    """What the layers of all pipelines have of one figure: each layer once, however many pipelines it is in."""
    parts: dict[int, Any] = {}
    for pipeline in pipelines:
        for layer in pipeline:
            parts[id(layer)] = layer
            # Of retries and hedging, which may have the same.
            budget = getattr(layer, "budget", None)
            if budget is not None:
                parts[id(budget)] = budget
    found: dict[Hashable, Reading] = {}
    for part in parts.values():
        for origin, attributes, number in figure.read(part):
            key = (origin, *sorted(attributes.items()))
            before = found.get(key)
            merged = number if before is None else figure.merge(before[2], number)
            found[key] = (origin, attributes, merged)
    yield from found.values()
