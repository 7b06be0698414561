"""A circuit breaker: an origin that keeps failing is left alone for a while, then tried with one request."""

from __future__ import annotations

import random
import threading
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

from scallion.pipeline.errors import CircuitOpen
from scallion.pipeline.forking import renewed_in_children
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import BlockingRuntime
from scallion.pipeline.streams import ByteStream
from scallion.pipeline.urls import URL

from .circuit_state import Circuit, CircuitRules, CircuitState
from .held import held
from .outcomes import speaks_against_origin
from .per_origin import OriginKey, PerOrigin, origin_name
from .remade import remade
from .transient import (
    FAILURES,
    TRANSIENT,
    Classifier,
    Transient,
    check_classifier,
    failing_statuses,
)
from .validation import check_callable, check_count, check_errors, check_number, check_statuses

__all__ = ["CircuitBreaker", "CircuitBreakerOption", "CircuitState"]

_OPTION = "scallion.CircuitBreaker"


@dataclass(frozen=True, slots=True)
class CircuitBreakerOption:
    """What one request asks of `CircuitBreaker`; see `CircuitBreaker.option_for`."""

    enabled: bool = True


class _Circuits:
    """The circuits of one layer, and the clock that it was bound to last."""

    def __init__(self, rules: CircuitRules) -> None:
        self.clock: Callable[[], float] = BlockingRuntime.clock
        self._rules = rules
        self._lock = threading.Lock()
        # Not to be forgotten, however many origins there are.
        self._forced: dict[OriginKey, Circuit] = {}
        self._known: PerOrigin[Circuit] = PerOrigin(
            self._make, in_use=lambda circuit: circuit.probing > 0, renewed=Circuit.renew
        )
        self.of = self._known.of
        self.at = self._known.at
        renewed_in_children(self)

    def renew(self) -> None:
        """After a fork, in the child; see `pipeline/forking.py`."""
        self._lock = threading.Lock()
        # `_known` may have forgotten these.
        for circuit in self._forced.values():
            circuit.renew()

    def _make(self, origin: OriginKey) -> Circuit:
        return self._forced.get(origin) or Circuit(origin_name(origin), self._rules)

    def known(self) -> dict[OriginKey, Circuit]:
        with self._lock:
            return {**self._known.known(), **self._forced}

    def force(self, origin: OriginKey, phase: Literal["open", "closed"]) -> None:
        with self._lock:
            circuit = self._forced[origin] = self.at(origin)
            circuit.force(phase)

    def release(self, origin: OriginKey) -> None:
        with self._lock:
            circuit = self._forced.pop(origin, None)
            if circuit is not None:
                circuit.release()


@dataclass(frozen=True, repr=False)
class CircuitBreaker(Layer):
    """Refuse requests to an origin that has failed too often of late, and probe it after a break.

    Attempts are counted in a rolling window per origin, each with what came of it when its response's headers are here.
    Failures are those of `Retries`: `statuses`, and the errors `on`; a success becomes a failure if its body breaks off
    by such an error. Nothing is said of the origin, and so is not counted, by the caller's own cancellation, by what came before it was asked (a `Rejected` further in, a
    `PoolTimeout`, mistakes of this side), by a certificate that was refused, and by errors of other kinds.

    When the window holds `minimum` attempts, and `ratio` of them failed, the circuit opens: requests raise
    `CircuitOpen` for the time of the break. Then `probes` requests may pass, and if they succeed the circuit closes;
    if one fails the next break is longer. See `middlewares/circuit_state.py` for the rules.

    Observers are told, with `origin`, a string:
    `breaker.opened` with `failures`, `requests`, `seconds` (of the break) and `breaks` (in a row, this included);
    `breaker.half_open` and `breaker.closed` with `after`, the seconds since the circuit first opened;
    `breaker.refused` with `phase` and `retry_after`; `breaker.probe_given_back`, of a probe that came to no result;
    `breaker.forced_open`, `breaker.forced_closed` and `breaker.released`, with the next request after that was done.

    Attributes:
        ratio: The share of failures that opens the circuit, more than 0, at most 1.
        minimum: Attempts in the window below which it stays closed.
        window: Seconds that are looked back on.
        break_for: Seconds of the first break, at most.
        growth: By what each further break is longer; at least 1.
        longest: Seconds of any break, at most.
        jitter: By which share of itself a break may be shorter, at random.
        probes: Requests that are let through, at the same time or after each other, and must succeed.
        statuses: Those of failures.
        on: The errors that are failures.
        deadline_counts_after: Seconds that an attempt must have had for it to be a failure that the call's own
            deadline came first; None if it never is one.
        transient: Says whether an outcome is a failure, in the place of `statuses` and `on`: a `Transient`, the same
            that `Retries` has, or a function.
        random: Gives a number in [0, 1).

    Request extension `"scallion.CircuitBreaker"`: a `CircuitBreakerOption`, made by `option_for`.

    Raises:
        TypeError, ValueError: a setting is of the wrong kind, or out of its range.
        CircuitOpen: from a call. Nothing was sent; `retry_after` is what is left of the break, None while it is probed
            or was forced open.

    Order: inside retries, hedging and authentication, so that each attempt counts, and a token's request for its own
    origin; inside the choice of an endpoint, so that it is the endpoint's circuit; outside rate limits and the attempt's
    timeout, which a refused request must not cost, and whose timeouts must count. Outside retries a call that failed
    three times would count once.
    """

    option: ClassVar[str | None] = _OPTION

    ratio: float = 0.5
    minimum: int = 20
    window: float = 30.0
    break_for: float = 5.0
    growth: float = 2.0
    longest: float = 60.0
    jitter: float = 0.1
    probes: int = 1
    statuses: Collection[int] = TRANSIENT
    on: tuple[type[Exception], ...] = FAILURES
    deadline_counts_after: float | None = 1.0
    transient: Classifier | None = None
    random: Callable[[], float] = field(default=random.random, compare=False)
    _circuits: _Circuits = field(init=False, compare=False)
    _classify: Classifier = field(init=False, compare=False)
    # Statuses that are failures; None to ask the classifier.
    _failing: Collection[int] | None = field(init=False, compare=False)

    def __post_init__(self) -> None:
        check_number("CircuitBreaker ratio", self.ratio, 0, 1, above=True)
        check_count("CircuitBreaker minimum", self.minimum, 1)
        check_number("CircuitBreaker window", self.window, 0, above=True)
        check_number("CircuitBreaker break_for", self.break_for, 0, above=True)
        check_number("CircuitBreaker growth", self.growth, 1)
        check_number("CircuitBreaker longest", self.longest, self.break_for)
        check_number("CircuitBreaker jitter", self.jitter, 0, 1)
        check_count("CircuitBreaker probes", self.probes, 1)
        if self.deadline_counts_after is not None:
            check_number("CircuitBreaker deadline_counts_after", self.deadline_counts_after, 0)
        check_callable("CircuitBreaker random", self.random)
        statuses = check_statuses("CircuitBreaker statuses", self.statuses)
        object.__setattr__(self, "statuses", statuses)
        object.__setattr__(self, "on", check_errors("CircuitBreaker on", self.on))
        self._set_classifier()
        rules = CircuitRules(*[getattr(self, rule.name) for rule in fields(CircuitRules)])
        object.__setattr__(self, "_circuits", _Circuits(rules))

    def _set_classifier(self) -> None:
        """Find out who classifies: `transient`, or `statuses` and `on`."""
        classify = self.transient
        if classify is None:
            classify = Transient(self.statuses, self.on)
        else:
            check_classifier("CircuitBreaker transient", classify)
            if (self.statuses, self.on) != (TRANSIENT, FAILURES):
                raise ValueError(
                    "CircuitBreaker transient says what is a failure, and so do statuses and on: give one of them"
                )
        object.__setattr__(self, "_classify", classify)
        object.__setattr__(self, "_failing", failing_statuses(classify))

    @staticmethod
    def option_for(*, enabled: bool = True) -> dict[str, Any]:
        """The request extension for one request.

        Args:
            enabled: False to send it whatever the circuit's state, and not to count it: a health check, say.
        """
        return {_OPTION: CircuitBreakerOption(enabled)}

    def bind(self, send: Bound, call_next: Next) -> Bound:
        clock = self._circuits.clock = call_next.runtime.clock

        def through(request: Request) -> Awaitable[Response]:
            option = request.extensions.get(_OPTION)
            if option is not None:
                if not isinstance(option, CircuitBreakerOption):
                    raise TypeError(f"Expected CircuitBreaker.option_for(...), not {option!r}")
                if not option.enabled:
                    return send(request)
            return self._send(request, send, clock)

        return through

    async def _send(self, request: Request, send: Bound, clock: Callable[[], float]) -> Response:
        circuit = self._circuits.of(request)
        if circuit.news and request.observers:
            circuit.tell_news(request.note)
        since = clock()
        number = circuit.passing
        if number is None:
            number = circuit.enter(since, request.note)
            if number is None:
                raise self._refusal(circuit, request, since)
        # Said in any case, a classifier's mistake included: a probe that is not given back would be the last.
        ok: bool | None = None
        try:
            try:
                response = await send(request)
            except BaseException as error:
                if speaks_against_origin(
                    error,
                    request,
                    self._classify,
                    since=since,
                    now=clock(),
                    deadline_after=self.deadline_counts_after,
                ):
                    ok = False
                raise
            failing = self._failing
            if failing is not None:
                ok = response.status_code not in failing
            else:
                ok = await self._judged(response)
        finally:
            now = clock()
            if not ok or not circuit.succeeded(number, now):
                circuit.leave(number, now, ok, request.note)
        if ok and type(response.stream) is not ByteStream:
            body = _Body(self._classify, clock, request, circuit, number, now)
            response.stream = held(response.stream, body)
        return response

    async def _judged(self, response: Response) -> bool:
        try:
            return not self._classify(response)
        except BaseException:
            # A classifier's mistake loses no connection.
            await response.aclose()
            raise

    def _refusal(self, circuit: Circuit, request: Request, now: float) -> CircuitOpen:
        state = circuit.state(now)
        request.note(
            "breaker.refused",
            origin=circuit.origin,
            phase=state.phase,
            retry_after=state.retry_after,
        )
        failed = f"{state.failures} of {state.requests} requests within {self.window:g} s failed"
        # Cases: by hand; during a break; while it is probed.
        if state.forced:
            why = "is open: it was forced open, until it is released"
        elif state.retry_after is not None:
            why = f"is open: {failed}; it will be tried again in {state.retry_after:.3g} s"
        else:
            why = f"is half-open: {failed}, and it is being tried with another request"
        return CircuitOpen(
            f"The circuit to {circuit.origin} {why}",
            request=request,
            retry_after=state.retry_after,
        )

    # Looking at it, and taking it in hand.

    def state(self, url: URL | str) -> CircuitState:
        """The circuit of the URL's origin; one that has not been asked yet is closed."""
        circuits = self._circuits
        origin = URL(url).origin_key
        circuit = circuits.known().get(origin) or circuits._make(origin)
        return circuit.state(circuits.clock())

    def states(self) -> dict[str, CircuitState]:
        """All circuits, by their origins' names."""
        now = self._circuits.clock()
        known = self._circuits.known().values()
        return {circuit.origin: circuit.state(now) for circuit in known}

    def force_open(self, url: URL | str) -> None:
        """Refuse all requests to the URL's origin from now on, until `force_closed` or `release`."""
        self._circuits.force(URL(url).origin_key, "open")

    def force_closed(self, url: URL | str) -> None:
        """Let all requests to the URL's origin pass from now on, until `force_open` or `release`."""
        self._circuits.force(URL(url).origin_key, "closed")

    def release(self, url: URL | str) -> None:
        """End what `force_open` and `force_closed` began: the circuit is closed, and judges for itself again."""
        self._circuits.release(URL(url).origin_key)

    def __reduce__(self) -> tuple[Any, ...]:
        return remade(self)

    def __repr__(self) -> str:
        names = ["ratio", "minimum", "window", "break_for", "growth", "longest", "jitter", "probes"]
        parts = [f"{name}={getattr(self, name)!r}" for name in names]
        if self.transient is not None:
            parts.append(f"transient={self.transient!r}")
        else:
            parts.append(f"statuses={{{', '.join(map(str, sorted(self.statuses)))}}}")
        if self.on != FAILURES:
            parts.append(f"on=({', '.join(error.__name__ for error in self.on)},)")
        parts.append(f"deadline_counts_after={self.deadline_counts_after}")
        return f"CircuitBreaker({', '.join(parts)})"


class _Body:
    """Waits for the body of a response that was counted as a success."""

    __slots__ = ("_circuit", "_classify", "_clock", "_number", "_observers", "_request", "_then")

    def __init__(
        self,
        classify: Classifier,
        clock: Callable[[], float],
        request: Request,
        circuit: Circuit,
        number: int,
        then: float,
    ) -> None:
        self._classify = classify
        self._clock = clock
        self._request = request
        # By the time that the body ends, layers further out may have taken theirs off the request.
        self._observers = request.observers
        self._circuit: Circuit | None = circuit
        self._number = number
        self._then = then

    def ended(self, error: Exception | None) -> None:
        circuit = self._circuit
        if error is None or circuit is None:
            return
        # Once, however often the body is asked for.
        self._circuit = None
        now = self._clock()
        # The call's deadline says nothing here: it may have passed while the caller did other things.
        if speaks_against_origin(
            error, self._request, self._classify, since=self._then, now=now, deadline_after=None
        ):
            circuit.spoil(self._number, self._then, now, self._tell)

    def lost(self) -> None:
        """A body that nobody reads to its end says nothing."""

    def _tell(self, event: str, **fields: Any) -> None:
        request = self._request
        now, request.observers = request.observers, self._observers
        try:
            request.note(event, **fields)
        finally:
            request.observers = now
