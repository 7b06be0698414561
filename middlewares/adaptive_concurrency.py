"""Adaptive concurrency: as many requests at a time as an origin can bear, found out from its answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from scallion.pipeline.errors import TimeoutException
from scallion.pipeline.layer import Bound
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime

from .concurrency_limits import AIMD, Algorithm, Gradient, Limiter, LimiterRules
from .gate import Gate, hold, wait_in_line
from .gated import Gated, GateOption
from .outcomes import speaks_against_origin
from .per_origin import OriginKey, PerOrigin, origin_name
from .transient import Classifier, Transient, check_classifier, failing_statuses
from .validation import check_callable, check_count, check_number

__all__ = ["OVERLOADED", "AdaptiveConcurrency", "AdaptiveConcurrencyOption"]

_OPTION = "scallion.AdaptiveConcurrency"

OVERLOADED = Transient(statuses=frozenset({429, 503}), on=(TimeoutException,))
"""Outcomes that are signs of overload."""


@dataclass(frozen=True, slots=True)
class AdaptiveConcurrencyOption(GateOption):
    """What one request asks of `AdaptiveConcurrency`; see `AdaptiveConcurrency.option_for`."""

    layer = "AdaptiveConcurrency"


class _Limit:
    """One origin's: a gate, and what finds out how wide it should be.

    Attributes:
        limiter: What finds it out; who calls more of it than `noted` has the lock.
    """

    def __init__(self, origin: str, gate: Gate, limiter: Limiter) -> None:
        self.origin = origin
        self.gate = gate
        self.limiter = limiter
        self._lock = threading.Lock()

    def learn(
        self, request: Request, began: float, now: float, active: int, overloaded: bool
    ) -> None:
        limiter = self.limiter
        with self._lock:
            before = limiter.limit
            if overloaded:
                limiter.overloaded(began, now)
            else:
                limiter.answered(began, now, active)
            if limiter.limit == before:
                return
            old, new = int(before), int(limiter.limit)
            if new != old:
                self.gate.resize(new)
        if new != old and request.observers:
            request.note("concurrency.limit", origin=self.origin, old=old, new=new)


@dataclass(frozen=True, repr=False)
class AdaptiveConcurrency(Gated):
    """A `Bulkhead` whose limit follows what the origin can bear.

    The limit grows while answers take about as long as they do without a crowd, and shrinks when they take longer, or
    when there are signs of overload: by default timeouts, 429 and 503. Those above it wait in line, and those for whom there is
    no room in the line are refused, as in `Bulkhead`. A request is under way until its response's body has ended
    or was closed; the time that counts is that up to the headers, of responses below 500.

    Observers are told `concurrency.limit` with `origin`, `old` and `new` when it changes; and, as by `Bulkhead`,
    `concurrency.queued`, `concurrency.admitted` and `concurrency.refused`.

    Attributes:
        algorithm: "gradient" judges by how long answers take; "aimd" by signs of overload alone, of which answers
            that are `too_slow` are one. See `middlewares/concurrency_limits.py`.
        initial: Requests at a time, to begin with.
        minimum: Requests at a time, at least; 1 or more.
        maximum: Requests at a time, at most.
        queue: Requests that wait for a place; 0 to refuse at once.
        patience: Seconds that one waits at most, 0 to refuse at once. The request's deadline bounds it too.
        backoff: By what the limit is multiplied at a sign of overload, more than 0 and less than 1.
        too_slow: Seconds ("aimd"); a slower answer is a sign of overload.
        tolerance: How many times as long as usual answers may take ("gradient") before the limit shrinks.
        headroom: Requests that may queue at the server ("gradient"): by this much the limit is aimed higher, and by no
            more than its root.
        smoothing: How much of the way to where it aims the limit goes at each look ("gradient").
        window: Seconds between two looks ("gradient"), or longer, until ten answers have come.
        memory: Windows after which it is measured anew how long answers usually take ("gradient"), with less than half as
            many requests under way, for some tens of answers. All that call the server with the same `window` and
            `memory` do so at the same moments.
        overloaded: Says which outcomes are signs of overload: a `Transient`, or a function.
        deadline_counts_after: Seconds that an attempt must have had for it to be a sign of overload that the call's
            own deadline came first; None if it never is one.
        wall_clock: Seconds since 1970 ("gradient"); it says when to measure.

    Request extension `"scallion.AdaptiveConcurrency"`: an `AdaptiveConcurrencyOption`, made by `option_for`.

    Raises:
        TypeError, ValueError: a setting is of the wrong kind, or out of its range.
        BulkheadFull: from a call. Nothing was sent; the message has the numbers.
        TotalTimeout: from a call, as its deadline passed in line.

    Order: inside retries, the circuit breaker and rate limits, so that it measures attempts, and none of their waits; outside the
    attempt's timeout, which waiting in line must not use up, and whose timeouts must show. Outside retries it would
    take the waits between attempts for a slow server.
    """

    option = _OPTION
    _option_class = AdaptiveConcurrencyOption

    algorithm: Algorithm = "gradient"
    initial: int = 20
    minimum: int = 1
    maximum: int = 200
    queue: int = 100
    patience: float = 2.0
    backoff: float = 0.9
    too_slow: float = 5.0
    tolerance: float = 1.5
    headroom: float = 4.0
    smoothing: float = 0.2
    window: float = 1.0
    memory: int = 60
    overloaded: Classifier = OVERLOADED
    deadline_counts_after: float | None = 1.0
    wall_clock: Callable[[], float] = field(default=time.time, compare=False)
    _limits: PerOrigin[_Limit] = field(init=False, compare=False)
    # Statuses that are signs; None to ask the classifier.
    _signs: Collection[int] | None = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if self.algorithm not in ("aimd", "gradient"):
            raise ValueError(
                f"AdaptiveConcurrency algorithm must be 'gradient' or 'aimd': {self.algorithm!r}"
            )
        name = "AdaptiveConcurrency"
        check_count(f"{name} minimum", self.minimum, 1)
        check_count(f"{name} maximum", self.maximum, self.minimum)
        check_count(f"{name} initial", self.initial, self.minimum)
        check_number(f"{name} initial", self.initial, self.minimum, self.maximum)
        check_count(f"{name} queue", self.queue, 0)
        check_number(f"{name} patience", self.patience, 0)
        check_number(f"{name} backoff", self.backoff, 0, 1, above=True)
        if self.backoff == 1:
            raise ValueError(f"{name} backoff must be less than 1: {self.backoff!r}")
        check_number(f"{name} too_slow", self.too_slow, 0, above=True)
        check_number(f"{name} tolerance", self.tolerance, 1)
        check_number(f"{name} headroom", self.headroom, 0, above=True)
        check_number(f"{name} smoothing", self.smoothing, 0, 1, above=True)
        check_number(f"{name} window", self.window, 0)
        check_count(f"{name} memory", self.memory, 1)
        check_classifier(f"{name} overloaded", self.overloaded)
        if self.deadline_counts_after is not None:
            check_number(f"{name} deadline_counts_after", self.deadline_counts_after, 0)
        check_callable(f"{name} wall_clock", self.wall_clock)
        limits = PerOrigin(self._make, in_use=lambda limit: limit.gate.active > 0)
        object.__setattr__(self, "_limits", limits)
        object.__setattr__(self, "_signs", failing_statuses(self.overloaded))

    def _make(self, origin: OriginKey) -> _Limit:
        rules = LimiterRules(*[getattr(self, rule.name) for rule in fields(LimiterRules)])
        is_aimd = self.algorithm == "aimd"
        limiter: Limiter = AIMD(rules) if is_aimd else Gradient(rules, self.wall_clock)
        return _Limit(origin_name(origin), self._new_gate(), limiter)

    @staticmethod
    def option_for(*, patience: float | None = None, enabled: bool = True) -> dict[str, Any]:
        """The request extension for one request.

        Args:
            patience: In the place of the layer's.
            enabled: False to send it at once, neither counted nor learned from: one that is known to take long, say.

        Raises:
            ValueError: `patience` is negative.
        """
        return {_OPTION: AdaptiveConcurrencyOption(patience, enabled)}

    async def _send(
        self, request: Request, send: Bound, runtime: Runtime, patience: float
    ) -> Response:
        limit = self._limits.of(request)
        gate = limit.gate
        if not gate.enter():
            await wait_in_line(gate, request, runtime, patience, "concurrency")
        clock = runtime.clock
        active = gate.active
        began = clock()
        try:
            response = await send(request)
            signs, status = self._signs, response.status_code
            overloaded = await self._judged(response) if signs is None else status in signs
            # A server that fails fast is not a fast server.
            if overloaded:
                limit.learn(request, began, clock(), active, True)
            elif status < 500:
                now = clock()
                if not limit.limiter.noted(began, now, active):
                    limit.learn(request, began, now, active, False)
        except BaseException as error:
            gate.release()
            self._failed(limit, request, error, began, clock(), active)
            raise
        hold(response, gate, blocking=runtime.blocking)
        return response

    async def _judged(self, response: Response) -> bool:
        try:
            return bool(self.overloaded(response))
        except BaseException:
            await response.aclose()
            raise

    def _failed(
        self,
        limit: _Limit,
        request: Request,
        error: BaseException,
        began: float,
        now: float,
        active: int,
    ) -> None:
        after = self.deadline_counts_after
        if speaks_against_origin(
            error, request, self.overloaded, since=began, now=now, deadline_after=after
        ):
            limit.learn(request, began, now, active, True)

    def _known_gates(self) -> Mapping[OriginKey, Gate]:
        return {origin: limit.gate for origin, limit in self._limits.known().items()}

    def _new_gate(self) -> Gate:
        return Gate(self.initial, self.queue)

    def __repr__(self) -> str:
        names = ["algorithm", "initial", "minimum", "maximum", "queue", "patience", "backoff"]
        if self.algorithm == "aimd":
            names.append("too_slow")
        else:
            names += ["tolerance", "headroom", "smoothing", "window", "memory"]
        names += ["overloaded", "deadline_counts_after"]
        return (
            f"AdaptiveConcurrency({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"
        )
