"""Retries: send again what is safe to send again, while the failure looks transient.

tenacity's waits, stops and predicates are the vocabulary; the loop is our own, so that a request
that succeeds at once pays for none of it, and so that waiting goes through the runtime.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scallion.pipeline.errors import Rejected
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime

from .idempotency_keys import has_idempotency_key
from .pauses import pause_after
from .per_origin import origin_name
from .retry_after import refuses_retries, retry_after
from .retry_budget import BUDGET_KEY, RetryBudget
from .retry_settings import (
    IDEMPOTENT,
    RetriesOption,
    check_attempts,
    check_header,
    check_strategy,
    methods_of,
    shown,
)
from .retry_state import ATTEMPT_KEY, Attempt, FullJitter, RetryState, attempt_of
from .timeouts import tell_attempts
from .transient import (
    FAILURES,
    TRANSIENT,
    Classifier,
    Transient,
    check_classifier,
    failing_statuses,
    idle_timeout,
    is_final,
    is_unsent,
)
from .validation import check_errors, check_statuses

__all__ = [
    "FAILURES",
    "IDEMPOTENT",
    "TRANSIENT",
    "Attempt",
    "FullJitter",
    "Retries",
    "RetriesOption",
    "RetryState",
    "Transient",
    "attempt_of",
]

_OPTION = "scallion.Retries"
_FULL_JITTER = FullJitter()
_VETO = "X-Should-Retry"


@dataclass(frozen=True, repr=False)
class Retries(Layer):
    """Send a request again while its failure is transient, and sending it again is safe.

    It is safe if the method is one of `methods`, or the request has an `Idempotency-Key`, or says so
    by its option; or if no byte of it can have reached the server. A body that cannot be sent twice
    never is. A certificate that was refused, a `TotalTimeout` and mistakes of this side end the call.

    A response is closed before the wait. No wait goes beyond `request.deadline`: the last response or
    error is then the answer. If there was more than one try, a tuple of `Attempt` tells them all: in
    `response.extensions["attempts"]`, or as the attribute `attempts` of the error, which carries a note on
    each earlier try as well.

    With a budget, the first request of a call is free, and so is one more after a failure that came before a
    byte was sent; all others need the budget's leave.

    Observers are told `retry` before each wait, with `attempt` (the number of the coming one), `wait`
    and `reason`; `retry.end`, with `attempt` and `reason`, when a transient failure becomes the answer; and before
    it, if the budget is the reason, `retry.budget_exhausted`, with `attempt` (the number of the last one)
    and `origin`.

    Attributes:
        attempts: Tries in all, the first included; at least 1. By default 3, or as many as `stop`
            allows where one is given; None stands for the latter.
        wait: Seconds to wait, from a `RetryState`: any of tenacity's waits; by default full jitter.
        stop: Whether to give up, likewise: any of tenacity's stops. It is asked after each failure.
        retry: Whether an outcome is a failure, likewise: any of tenacity's predicates, in the place of
            `statuses` and `on`. What is not safe to send again still is not.
        transient: The same as a classifier: a `Transient`, to be shared with other layers, or a function of the
            response or the error.
        statuses: Those of transient failures.
        methods: Those of requests that may be sent twice.
        on: The errors that are transient failures.
        retry_after_cap: The longest `Retry-After` that is waited for, in seconds; a response that asks
            for more is the answer. Shorter ones set the least wait. So does the `retry_after` of a `Rejected`.
        retry_unsent: Whether failures to get a connection are retried whatever the method.
        wall_clock: Seconds since 1970, for a `Retry-After` that is a date.
        budget: What limits the retries of all calls together; None for no limit. One that `Hedging` has
            as well is used up by both.
        attempt_header: The name of a header that tells the server the number of the try, from the second on;
            None for none.
        veto_header: The name of a response header that ends the call by the value "false", "no", or a negative
            number; None to heed none.

    Request extension `"scallion.Retries"`: a `RetriesOption`, made by `option_for`.

    Raises:
        TypeError, ValueError: a setting is of the wrong kind, or out of its range.

    Order: outside authentication, breakers and the attempt's timeout, so that every attempt is a new
    one to them; inside the total deadline and redirects, so that waiting counts and a hop is retried
    alone. Outside redirects, a failure at the last hop would begin again at the first.
    """

    option: ClassVar[str | None] = _OPTION

    attempts: int | None = None
    wait: Callable[[Any], float] = _FULL_JITTER
    stop: Callable[[Any], bool] | None = None
    retry: Callable[[Any], bool] | None = None
    statuses: Collection[int] = TRANSIENT
    methods: Collection[str] = IDEMPOTENT
    on: tuple[type[Exception], ...] = FAILURES
    retry_after_cap: float = 30.0
    retry_unsent: bool = True
    wall_clock: Callable[[], float] = time.time
    transient: Classifier | None = None
    budget: RetryBudget | None = None
    attempt_header: str | None = None
    veto_header: str | None = _VETO
    _classify: Classifier = field(init=False, compare=False)
    # Of statuses that are not in here nothing needs to be asked; None if all are to be.
    _asked: Collection[int] | None = field(init=False, compare=False)

    def __post_init__(self) -> None:
        check_attempts(self.attempts)
        if self.attempts is None and self.stop is None:
            object.__setattr__(self, "attempts", 3)
        for name in ("wait", "stop", "retry"):
            check_strategy(name, getattr(self, name))
        if not self.retry_after_cap >= 0:
            raise ValueError(
                f"Retries retry_after_cap must be at least 0 seconds: {self.retry_after_cap!r}"
            )
        statuses = check_statuses("Retries statuses", self.statuses)
        object.__setattr__(self, "statuses", statuses)
        object.__setattr__(self, "methods", methods_of(self.methods))
        object.__setattr__(self, "on", check_errors("Retries on", self.on))
        self._set_classifier()
        if self.budget is not None and not isinstance(self.budget, RetryBudget):
            raise TypeError(f"Retries budget must be a RetryBudget, or None: {self.budget!r}")
        for name in ("attempt_header", "veto_header"):
            check_header(name, getattr(self, name))

    def _set_classifier(self) -> None:
        """Find out who classifies: `retry`, `transient`, or `statuses` and `on`; no two of them at once."""
        classify = self.transient
        if classify is None:
            classify = Transient(self.statuses, self.on)
        else:
            check_classifier("Retries transient", classify)
            if self.retry is not None or (self.statuses, self.on) != (TRANSIENT, FAILURES):
                raise ValueError(
                    "Retries transient says what is a failure, and so do retry, statuses and on: give one of them, "
                    "Retries(transient=Transient(statuses=..., on=...)) for example"
                )
        asked = None
        if self.retry is None and type(classify) is Transient:
            asked = failing_statuses(classify)
            if classify.also is idle_timeout:
                asked = frozenset({*classify.statuses, 408})
        object.__setattr__(self, "_classify", classify)
        object.__setattr__(self, "_asked", asked)

    @staticmethod
    def option_for(
        *, attempts: int | None = None, idempotent: bool | None = None, enabled: bool = True
    ) -> dict[str, Any]:
        """The request extension for one request.

        Args:
            attempts: In the place of the layer's; `stop` is asked all the same.
            idempotent: True if the request may be sent twice whatever its method, False if it may not.
            enabled: False to send it once.

        Raises:
            ValueError: `attempts` is less than 1.
        """
        return {_OPTION: RetriesOption(attempts, idempotent, enabled)}

    def bind(self, send: Bound, call_next: Next) -> Bound:
        def through(request: Request) -> Awaitable[Response]:
            attempts = self.attempts
            option = request.extensions.get(_OPTION)
            if option is not None:
                if not isinstance(option, RetriesOption):
                    raise TypeError(f"Expected Retries.option_for(...), not {option!r}")
                attempts = option.attempts or attempts
                if not option.enabled:
                    return send(request)
            if attempts == 1:
                return send(request)
            return self._send(request, send, call_next.runtime, attempts, option)

        return through

    async def _send(
        self,
        request: Request,
        send: Bound,
        runtime: Runtime,
        attempts: int | None,
        option: RetriesOption | None,
    ) -> Response:
        clock = runtime.clock
        started = clock()
        asked, budget = self._asked, self.budget
        state: RetryState | None = None
        extensions = request.extensions
        if ATTEMPT_KEY in extensions:
            # Left by an earlier call, in a `response.next_request` for example.
            extensions = {key: value for key, value in extensions.items() if key != ATTEMPT_KEY}
            request.extensions = extensions
        memory: dict[str, Any] = {}
        deposited = None
        if budget is not None:
            budget.deposit(request, started)
            memory = request.memory
            deposited = memory.get(BUDGET_KEY)
            memory[BUDGET_KEY] = budget
        try:
            while True:
                try:
                    response = await send(request)
                except Exception as error:
                    state = state or RetryState(self, request, started)
                    state.end(error, clock())
                    if not self._again(state, attempts, option):
                        _annotate(error, state)
                        raise
                else:
                    if state is None and asked is not None and response.status_code not in asked:
                        # Nothing needs to be decided or told.
                        return response
                    state = state or RetryState(self, request, started)
                    state.end(response, clock())
                    # The connection goes back to the pool before the wait, not after it.
                    if not await _closing(response, self._again, state, attempts, option):
                        if state.attempt_number > 1:
                            response.extensions["attempts"] = state.history()
                        return response
                wait, reason = state.upcoming_sleep, state.what()
                state.waiting()
                request.note("retry", attempt=state.attempt_number, wait=wait, reason=reason)
                await runtime.sleep(wait)
                # A dict of its own: requests may share theirs.
                request.extensions = {**extensions, ATTEMPT_KEY: state.attempt_number}
                if self.attempt_header is not None:
                    state.tell(self.attempt_header)
        except BaseException as error:
            if state is not None and not isinstance(error, Exception):
                # By the call's deadline, perhaps, and then it is `Deadlines` that raises the last error.
                tell_attempts(request, state.cut_short())
            raise
        finally:
            if budget is not None:
                memory[BUDGET_KEY] = deposited
            if state is not None:
                request.extensions = extensions
                state.untell()

    def _again(self, state: RetryState, attempts: int | None, option: RetriesOption | None) -> bool:
        """Whether to try again, after `state.upcoming_sleep`. If so, the budget has been charged."""
        if not self._is_transient(state):
            return False
        request = state.args[0]
        refusal = (
            self._refusal(state, attempts, option)
            or self._no_wait(state)
            or self._over_budget(state)
        )
        if refusal is not None:
            request.note("retry.end", attempt=state.attempt_number, reason=refusal)
        return refusal is None

    def _is_transient(self, state: RetryState) -> bool:
        outcome = state.ended_with
        if isinstance(outcome, Exception) and is_final(outcome):
            return False
        return bool(self._classify(outcome) if self.retry is None else self.retry(state))

    def _refusal(
        self, state: RetryState, attempts: int | None, option: RetriesOption | None
    ) -> str | None:
        """Why the request must not be sent again, or None."""
        request = state.args[0]
        if attempts is not None and state.attempt_number >= attempts:
            return "no attempts left"
        if self._is_vetoed(state.ended_with):
            return "the server asks for no other attempt"
        if not self._may_repeat(request, option) and not (
            self.retry_unsent and is_unsent(state.ended_with, request)
        ):
            return "not idempotent"
        if not request.replayable:
            return "the body cannot be sent again"
        return None

    def _may_repeat(self, request: Request, option: RetriesOption | None) -> bool:
        if option is not None and option.idempotent is not None:
            return option.idempotent
        return request.method in self.methods or has_idempotency_key(request)

    def _is_vetoed(self, outcome: Response | Exception) -> bool:
        if self.veto_header is None or isinstance(outcome, Exception):
            return False
        return refuses_retries(outcome.headers.get(self.veto_header))

    def _no_wait(self, state: RetryState) -> str | None:
        """Decide on `state.upcoming_sleep`, or say why there is no acceptable one."""
        outcome = state.ended_with
        wait = max(0.0, float(self.wait(state)))
        asked: float | None = None
        if isinstance(outcome, Rejected):
            asked = outcome.retry_after
        elif not isinstance(outcome, Exception):
            asked = retry_after(outcome.headers.get("retry-after"), self.wall_clock)
            if asked is not None:
                # The pause may be one server's, and the next attempt go to another.
                asked = pause_after(outcome, asked)
        if asked is not None:
            if asked > self.retry_after_cap:
                return f"Retry-After is longer than {self.retry_after_cap:g} s"
            wait = max(wait, asked)
        state.upcoming_sleep = wait
        if self.stop is not None and self.stop(state):
            return "stopped"
        deadline = state.args[0].deadline
        if deadline is not None and state.outcome_timestamp + wait >= deadline:
            return "the deadline comes first"
        return None

    def _over_budget(self, state: RetryState) -> str | None:
        """Charge the budget for the next try, or say why there is none."""
        if self.budget is None:
            return None
        request = state.args[0]
        # What never left does not multiply a server's load. Once only: connecting again and again does.
        if not state.resent_unsent and is_unsent(state.ended_with, request):
            state.resent_unsent = True
            return None
        if self.budget.withdraw(request, state.outcome_timestamp):
            return None
        origin = origin_name(request.url.origin_key)
        request.note("retry.budget_exhausted", attempt=state.attempt_number, origin=origin)
        return "the retry budget is exhausted"

    def __repr__(self) -> str:
        parts = [f"attempts={self.attempts}", f"wait={shown(self.wait)}"]
        parts += [
            f"{name}={shown(value)}"
            for name in ("stop", "retry")
            if (value := getattr(self, name)) is not None
        ]
        if self.transient is None:
            parts.append(f"statuses={{{', '.join(map(str, sorted(self.statuses)))}}}")
        else:
            parts.append(f"transient={shown(self.transient)}")
        if self.methods != IDEMPOTENT:
            parts.append(f"methods={{{', '.join(map(repr, sorted(self.methods)))}}}")
        if self.on != FAILURES:
            parts.append(f"on=({', '.join(error.__name__ for error in self.on)},)")
        parts += [f"retry_after_cap={self.retry_after_cap}", f"retry_unsent={self.retry_unsent}"]
        if self.budget is not None:
            parts.append(f"budget={self.budget!r}")
        if self.attempt_header is not None:
            parts.append(f"attempt_header={self.attempt_header!r}")
        if self.veto_header != _VETO:
            parts.append(f"veto_header={self.veto_header!r}")
        return f"Retries({', '.join(parts)})"


async def _closing(response: Response, decide: Callable[..., bool], *args: Any) -> bool:
    """What `decide` says; `response` is closed if that is yes, or if `decide` fails."""
    try:
        again = decide(*args)
    except BaseException:
        await response.aclose()
        raise
    if again:
        await response.aclose()
    return again


def _annotate(error: Exception, state: RetryState) -> None:
    history = state.history()
    if len(history) > 1:
        vars(error)["attempts"] = history
    for attempt in history[:-1]:
        error.add_note(str(attempt))
