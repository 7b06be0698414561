"""Hedging: where an answer takes longer than it mostly does, ask once more, and take whichever answer comes first."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime
from scallion.pipeline.streams import ByteStream

from .hedging_race import Copy, Here, Race, close, hedge_of
from .idempotency_keys import has_idempotency_key
from .latency_histogram import LatencyHistogram
from .per_origin import PerOrigin
from .retries import IDEMPOTENT
from .transient import Classifier, Transient, check_classifier, failing_statuses
from .validation import check_count, check_number

if TYPE_CHECKING:
    from scallion.pipeline.runtime_alarm import Alarm

__all__ = ["Budget", "Hedging", "HedgingOption", "hedge_of"]

_OPTION = "scallion.Hedging"
MOST_HEDGES = 4
BURST = 5.0
"""Hedges that an origin has in hand at first, and saves up at most."""


class Budget(Protocol):
    """What a `RetryBudget` does; share it with `Retries`."""

    def deposit(self, request: Request, now: float) -> None: ...

    def withdraw(self, request: Request, now: float) -> bool: ...


@dataclass(frozen=True, slots=True)
class HedgingOption:
    """What one request asks of `Hedging`; see `Hedging.option_for`."""

    delay: float | None = None
    idempotent: bool | None = None
    enabled: bool = True

    def __post_init__(self) -> None:
        _check_delay(self.delay)


@dataclass(frozen=True, repr=False)
class Hedging(Layer):
    """Send a request again while the first sending is still under way, and return the first good answer.

    A hedge is sent `delay` seconds after the request, or after the `percentile` of its origin's latest answers, and further
    ones after as long again. Good is what is no transient failure, as `Retries` judges it; such a failure, or
    an error, waits for the copies that are under way, and is the answer if they fail too, the last one. No hedge is sent
    once nothing is under way: to send again after a failure is up to `Retries`.

    What may be sent twice is what `Retries` may send twice, if its body is in memory. Each copy is a request of its own, with
    the headers copied; the deadline, the observers and the memory are shared. `response.request` is the copy that was answered.

    The others are cancelled, and have ended when the call returns; so have all, if the caller is cancelled. In asyncio the
    first copy is sent in the caller's own task, and costs hardly more than a request that is not hedged; if it loses that
    task is cancelled, and the cancellation taken back. In a
    `Client` each copy has a thread, whose wait ends as its connection is closed, or its stream of HTTP/2 reset. What cannot
    be ended so, a connection being opened, other transports, goes on in its thread within its
    own timeouts, and what it gets is closed.

    Observers are told `hedge.sent`, with `number` (from 1) and `after`, the seconds since the first; `hedge.won`, with
    `number` and `after`, if the answer is a hedge's; `hedge.refused`, with `reason`, "load", "budget" or "threads". A response has the
    number of hedges that were sent in `extensions["hedges"]`, if there were any.

    Attributes:
        delay: Seconds until a hedge is sent, at least 0; None for the percentile, for which there are no hedges until 50
            answers of the origin are known.
        percentile: Of the latest 1,000 to 2,000 answers; more than 0 and less than 1.
        least: Seconds that the percentile is taken for at least.
        most_load: Hedges for each call to an origin, on average; more than 0. It may save up 5, and begins with them.
        hedges: Copies beside the first, at most; 1 to 4.
        budget: A `RetryBudget`, best the one of `Retries`; None for no other limit than `most_load`.
        methods: Those of requests that may be sent twice.
        transient: What is not a good answer.

    Request extension `"scallion.Hedging"`: a `HedgingOption`, made by `option_for`.

    Raises:
        TypeError, ValueError: a setting is of the wrong kind, or out of its range.

    Order: inside retries, which begin anew when all copies have failed, and outside whatever chooses an endpoint, signs in, or counts
    attempts, so that a hedge may go elsewhere and each copy counts. Outside retries each copy would be retried by itself.
    """

    option: ClassVar[str | None] = _OPTION

    delay: float | None = None
    percentile: float = 0.95
    least: float = 0.05
    most_load: float = 0.05
    hedges: int = 1
    budget: Budget | None = None
    methods: Collection[str] = IDEMPOTENT
    transient: Classifier = Transient()  # noqa: RUF009  # it is frozen
    _origins: PerOrigin[_Origin] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_delay(self.delay)
        check_number("Hedging percentile", self.percentile, 0, 1, above=True)
        if self.percentile == 1:
            raise ValueError("Hedging percentile must be less than 1: 1")
        check_number("Hedging least", self.least, 0)
        check_number("Hedging most_load", self.most_load, 0, MOST_HEDGES, above=True)
        check_count("Hedging hedges", self.hedges, 1)
        if self.hedges > MOST_HEDGES:
            raise ValueError(f"Hedging hedges must be at most {MOST_HEDGES}: {self.hedges}")
        for name in ("deposit", "withdraw"):
            if self.budget is not None and not callable(getattr(self.budget, name, None)):
                raise TypeError(f"Hedging budget must be a RetryBudget, or None: {self.budget!r}")
        if isinstance(self.methods, str) or not all(isinstance(name, str) for name in self.methods):
            raise TypeError(
                f"Hedging methods must be a collection of method names: {self.methods!r}"
            )
        check_classifier("Hedging transient", self.transient)
        object.__setattr__(self, "methods", frozenset(name.upper() for name in self.methods))
        self._begin()

    def _begin(self) -> None:
        percentile = self.percentile
        object.__setattr__(self, "_origins", PerOrigin(lambda _: _Origin(percentile)))

    def __getstate__(self) -> dict[str, Any]:
        # What is known of the origins stays with the process that learnt it.
        return {name: value for name, value in self.__dict__.items() if name != "_origins"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    @staticmethod
    def option_for(
        *, delay: float | None = None, idempotent: bool | None = None, enabled: bool = True
    ) -> dict[str, Any]:
        """The request extension for one request.

        Args:
            delay: In the place of the layer's, in seconds.
            idempotent: True if the request may be sent twice whatever its method, False if it may not.
            enabled: False to send it once.

        Raises:
            TypeError, ValueError: `delay` is no number, or negative.
        """
        return {_OPTION: HedgingOption(delay, idempotent, enabled)}

    def bind(self, send: Bound, call_next: Next) -> Bound:
        runtime, origins, budget = call_next.runtime, self._origins, self.budget
        clock, most_load = runtime.clock, self.most_load
        failing, is_failure = failing_statuses(self.transient), self.transient

        async def once(request: Request, origin: _Origin, now: float) -> Response:
            response = await send(request)
            failed = is_failure(response) if failing is None else response.status_code in failing
            if not failed:
                origin.latencies.add(clock() - now)
            return response

        def through(request: Request) -> Awaitable[Response]:
            option = request.extensions.get(_OPTION)
            if option is not None and not isinstance(option, HedgingOption):
                raise TypeError(f"Expected Hedging.option_for(...), not {option!r}")
            if not self._may_repeat(request, option):
                return send(request)
            origin = origins.of(request)
            now = clock()
            if origin.hand < BURST:
                origin.deposit(most_load)
            if budget is not None:
                budget.deposit(request, now)
            delay = self._delay(option, origin)
            deadline = request.deadline
            # Cases: it is not known yet how long is long; the deadline comes first; a hedge may follow.
            if delay is None or (deadline is not None and now + delay >= deadline):
                return once(request, origin, now)
            # Not all have one: a test's, that lives in a time of its own.
            alarm = getattr(runtime, "alarm", None)
            here = None if alarm is None else alarm()
            if here is None:
                return self._send_beside(request, send, runtime, origin, delay, now)
            return self._send_here(request, send, runtime, origin, delay, now, *here)

        return through

    def _may_repeat(self, request: Request, option: HedgingOption | None) -> bool:
        # A file can be sent again, but not twice at once.
        if not isinstance(request.stream, ByteStream):
            return False
        if option is not None:
            if not option.enabled:
                return False
            if option.idempotent is not None:
                return option.idempotent
        return request.method in self.methods or has_idempotency_key(request)

    def _delay(self, option: HedgingOption | None, origin: _Origin) -> float | None:
        """Seconds until a hedge is due; None if it is not known yet how long is long."""
        delay = self.delay if option is None or option.delay is None else option.delay
        if delay is not None:
            return delay
        observed = origin.latencies.value
        return None if observed is None else max(self.least, observed)

    async def _send_beside(
        self,
        request: Request,
        send: Bound,
        runtime: Runtime,
        origin: _Origin,
        delay: float,
        now: float,
    ) -> Response:
        """With each copy in a task or a thread of its own."""
        race = Race(request, send, runtime)
        if not race.begin():
            _refuse(request, "threads")
            return await send(request)
        winner = await self._winner(race, request, runtime, origin, delay, now)
        return _answer(winner, request, race.number - 1, runtime.clock() - now)

    async def _send_here(
        self,
        request: Request,
        send: Bound,
        runtime: Runtime,
        origin: _Origin,
        delay: float,
        now: float,
        alarm: Alarm,
        task: object,
    ) -> Response:
        """With the first copy in the caller's own task: most are answered before any other is due."""
        here = Here(task, request, now, self._compete, (send, runtime, origin, delay))
        failed: BaseException | None = None
        alarm.set(here, now + delay)
        try:
            response = here.response = await send(here.request)
        except BaseException as error:
            if here.task is None:
                _restore(error, here, request)
                raise
            failed = error
        else:
            if here.task is None:
                if not self.transient(response):
                    origin.latencies.add(runtime.clock() - now)
                return response
        finally:
            alarm.waiting.pop(here, None)
        try:
            winner = await here.won(failed)
        finally:
            # No circle of the error, its traceback and this frame.
            failed = None
        return _answer(winner, request, here.hedges, runtime.clock() - now)

    async def _compete(
        self,
        first: Here,
        request: Request,
        send: Bound,
        runtime: Runtime,
        origin: _Origin,
        delay: float,
    ) -> Copy:
        race = first.race = Race(request, send, runtime)
        race.admit(first)
        try:
            return await self._winner(race, request, runtime, origin, delay, first.started)
        finally:
            # No circle: the race has the copy.
            first.race = None
            first.hedges = race.number - 1

    async def _winner(
        self,
        race: Race,
        request: Request,
        runtime: Runtime,
        origin: _Origin,
        delay: float,
        started: float,
    ) -> Copy:
        """The copy that has won, when all others have ended."""
        winner = None
        try:
            winner = await self._run(race, request, origin, runtime, delay, started)
            for loser in race.running:
                # It took at least so long; without it, the percentile would fall with each hedge.
                origin.latencies.add(runtime.clock() - loser.started)
        except BaseException:
            await race.over()
            raise
        try:
            await race.over()
        except BaseException:
            await close(winner, blocking=runtime.blocking)
            raise
        return winner

    async def _run(
        self,
        race: Race,
        request: Request,
        origin: _Origin,
        runtime: Runtime,
        delay: float,
        started: float,
    ) -> Copy:
        """Until there is a good answer, or no other can come: the copy that has it."""
        due: float | None = started + delay
        while True:
            copy = await race.next(None if due is None else max(0.0, due - runtime.clock()))
            if copy is None:
                due = self._hedge(race, request, origin, runtime, started, delay)
                continue
            response, error = copy.response, copy.error
            if response is not None and not self.transient(response):
                origin.latencies.add(runtime.clock() - copy.started)
                return copy
            # What is no Exception is a cancellation of some kind, and no other copy's answer makes up for it.
            if not race.running or (response is None and not isinstance(error, Exception)):
                return copy
            # Only what is still to come can be better. Its connection may be wanted by the next hedge.
            if response is not None:
                await response.aclose()

    def _hedge(
        self,
        race: Race,
        request: Request,
        origin: _Origin,
        runtime: Runtime,
        started: float,
        delay: float,
    ) -> float | None:
        """Send another copy, if that is allowed; when the next is due, or None for never."""
        now = runtime.clock()
        if not origin.withdraw():
            _refuse(request, "load")
            return None
        if self.budget is not None and not self.budget.withdraw(request, now):
            origin.deposit(1.0)
            _refuse(request, "budget")
            return None
        number = race.number
        if not race.begin():
            origin.deposit(1.0)
            _refuse(request, "threads")
            return None
        request.note("hedge.sent", number=number, after=now - started)
        return now + delay if number < self.hedges else None

    def __repr__(self) -> str:
        when = (
            f"percentile={self.percentile}, least={self.least}"
            if self.delay is None
            else f"delay={self.delay}"
        )
        parts = [when, f"most_load={self.most_load}", f"hedges={self.hedges}"]
        parts.append(f"budget={self.budget!r}")
        if self.methods != IDEMPOTENT:
            parts.append(f"methods={{{', '.join(map(repr, sorted(self.methods)))}}}")
        if self.transient != Transient():
            parts.append(f"transient={self.transient!r}")
        return f"Hedging({', '.join(parts)})"


class _Origin:
    """What is known of one: how long its answers take, and how many hedges it may be sent.

    Attributes:
        hand: These, in fractions too.
    """

    __slots__ = ("_lock", "hand", "latencies")

    def __init__(self, percentile: float) -> None:
        self.latencies = LatencyHistogram(percentile)
        self.hand = BURST
        self._lock = threading.Lock()

    def deposit(self, share: float) -> None:
        # Without the lock, which would cost as much as all the rest: CPython lets no other thread in between, and where
        # one gets in, it is a hedge more or less.
        hand = self.hand + share
        self.hand = hand if hand < BURST else BURST  # noqa: FURB136  # a call of min() takes twice as long

    def withdraw(self) -> bool:
        with self._lock:
            # Twenty twentieths are a whole, whatever floats say.
            if self.hand < 1 - 1e-9:
                return False
            self.hand -= 1
            return True


def _answer(copy: Copy, request: Request, hedges: int, after: float) -> Response:
    """What the winner got: its response, or its error raised."""
    response = copy.response
    if response is None:
        error, copy.error = copy.error, None
        if error is None:
            raise RuntimeError("The attempt was cancelled, and not by its caller")
        _restore(error, copy, request)
        try:
            raise error
        finally:
            # No circle of the error, its traceback and this frame.
            error = None
    if hedges:
        response.extensions["hedges"] = hedges
    if copy.number:
        request.note("hedge.won", number=copy.number, after=after)
    return response


def _restore(error: BaseException, copy: Copy, request: Request) -> None:
    """An error's request is the caller's, not a copy that nobody else knows."""
    if getattr(error, "_request", None) is copy.request:
        error.request = request  # type: ignore[attr-defined]  # it is a RequestError


def _refuse(request: Request, reason: str) -> None:
    request.note("hedge.refused", reason=reason)


def _check_delay(delay: object) -> None:
    if delay is not None:
        check_number("Hedging delay", delay, 0)
