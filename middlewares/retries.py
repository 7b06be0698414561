"""Retries: send again what is safe to send again, while the failure looks transient.

tenacity's waits, stops and predicates are the vocabulary; the loop is our own, so that a request
that succeeds at once pays for none of it, and so that waiting goes through the runtime.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, ClassVar

from scallion.pipeline.errors import (
    ConnectError,
    ConnectTimeout,
    InvalidURL,
    LocalProtocolError,
    NetworkError,
    PoolTimeout,
    RemoteProtocolError,
    TimeoutException,
    TotalTimeout,
    UnsupportedProtocol,
)
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime

from .retry_after import retry_after
from .retry_state import ATTEMPT_KEY, Attempt, FullJitter, RetryState, attempt_of

__all__ = ["Attempt", "FullJitter", "Retries", "RetriesOption", "RetryState", "attempt_of"]

_OPTION = "scallion.Retries"

# RFC 9110 section 9.2.2: the intended effect of several identical requests is that of one. QUERY is
# safe as well (draft-ietf-httpbis-safe-method-w-body).
IDEMPOTENT = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "QUERY", "TRACE"})
# Not 500: that is more often a bug than a moment's trouble.
TRANSIENT = frozenset({429, 502, 503, 504})
FAILURES: tuple[type[Exception], ...] = (NetworkError, TimeoutException, RemoteProtocolError)
# Sent again they would fail again, or there is no time left.
_FINAL = (TotalTimeout, LocalProtocolError, UnsupportedProtocol, InvalidURL)
# They come before the first byte is sent.
_UNSENT = (ConnectError, ConnectTimeout, PoolTimeout)
_FULL_JITTER = FullJitter()


@dataclass(frozen=True, slots=True)
class RetriesOption:
    """What one request asks of `Retries`; see `Retries.option_for`."""

    attempts: int | None = None
    idempotent: bool | None = None
    enabled: bool = True

    def __post_init__(self) -> None:
        _check_attempts(self.attempts)


@dataclass(frozen=True, repr=False)
class Retries(Layer):
    """Send a request again while its failure is transient, and sending it again is safe.

    It is safe if the method is one of `methods`, or the request has an `Idempotency-Key`, or says so
    by its option; or if no byte of it can have reached the server. A body that cannot be sent twice
    never is. A certificate that was refused, a `TotalTimeout` and mistakes of this side end the call.

    A response is closed before the wait. No wait goes beyond `request.deadline`: the last response or
    error is then the answer. An error carries a note on each earlier try; a response has them all
    in `response.extensions["attempts"]`, a tuple of `Attempt`, if there was more than one.

    Observers are told `retry` before each wait, with `attempt` (the number of the coming one), `wait`
    and `reason`, and `retry.end`, with `reason`, when a transient failure becomes the answer.

    Attributes:
        attempts: Tries in all, the first included; at least 1. By default 3, or as many as `stop`
            allows where one is given; None stands for the latter.
        wait: Seconds to wait, from a `RetryState`: any of tenacity's waits; by default full jitter.
        stop: Whether to give up, likewise: any of tenacity's stops. It is asked after each failure.
        retry: Whether an outcome is a failure, likewise: any of tenacity's predicates, in the place of
            `statuses` and `on`. What is not safe to send again still is not.
        statuses: Those of transient failures.
        methods: Those of requests that may be sent twice.
        on: The errors that are transient failures.
        retry_after_cap: The longest `Retry-After` that is waited for, in seconds; a response that asks
            for more is the answer. Shorter ones set the least wait.
        retry_unsent: Whether failures to get a connection are retried whatever the method.
        wall_clock: Seconds since 1970, for a `Retry-After` that is a date.

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

    def __post_init__(self) -> None:
        _check_attempts(self.attempts)
        if self.attempts is None and self.stop is None:
            object.__setattr__(self, "attempts", 3)
        for name in ("wait", "stop", "retry"):
            _check_callable(name, getattr(self, name))
        if not self.retry_after_cap >= 0:
            raise ValueError(
                f"Retries retry_after_cap must be at least 0 seconds: {self.retry_after_cap!r}"
            )
        object.__setattr__(self, "statuses", _statuses(self.statuses))
        object.__setattr__(self, "methods", _methods(self.methods))
        object.__setattr__(self, "on", _errors(self.on))

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
        state: RetryState | None = None
        extensions = request.extensions
        if ATTEMPT_KEY in extensions:
            # Left by an earlier call, in a `response.next_request` for example.
            extensions = {key: value for key, value in extensions.items() if key != ATTEMPT_KEY}
            request.extensions = extensions
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
                    if (
                        state is None
                        and self.retry is None
                        and response.status_code not in self.statuses
                    ):
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
        finally:
            if state is not None:
                request.extensions = extensions

    def _again(self, state: RetryState, attempts: int | None, option: RetriesOption | None) -> bool:
        """Whether to try again, after `state.upcoming_sleep`. Pure, but for that and the observers."""
        if not self._is_transient(state):
            return False
        request = state.args[0]
        refusal = self._refusal(state, attempts, option) or self._no_wait(state)
        if refusal is not None:
            request.note("retry.end", attempt=state.attempt_number, reason=refusal)
        return refusal is None

    def _is_transient(self, state: RetryState) -> bool:
        outcome = state.ended_with
        if isinstance(outcome, Exception) and (
            isinstance(outcome, _FINAL) or _is_certificate_failure(outcome)
        ):
            return False
        if self.retry is not None:
            return bool(self.retry(state))
        if isinstance(outcome, Exception):
            return isinstance(outcome, self.on)
        return outcome.status_code in self.statuses

    def _refusal(
        self, state: RetryState, attempts: int | None, option: RetriesOption | None
    ) -> str | None:
        """Why the request must not be sent again, or None."""
        request = state.args[0]
        if attempts is not None and state.attempt_number >= attempts:
            return "no attempts left"
        if not self._may_repeat(request, option) and not (
            self.retry_unsent and _is_unsent(state.ended_with, request)
        ):
            return "not idempotent"
        if not request.replayable:
            return "the body cannot be sent again"
        return None

    def _may_repeat(self, request: Request, option: RetriesOption | None) -> bool:
        if option is not None and option.idempotent is not None:
            return option.idempotent
        return request.method in self.methods or "idempotency-key" in request.headers

    def _no_wait(self, state: RetryState) -> str | None:
        """Decide on `state.upcoming_sleep`, or say why there is no acceptable one."""
        outcome = state.ended_with
        wait = max(0.0, float(self.wait(state)))
        if not isinstance(outcome, Exception):
            asked = retry_after(outcome.headers.get("retry-after"), self.wall_clock)
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

    def __repr__(self) -> str:
        parts = [f"attempts={self.attempts}", f"wait={_shown(self.wait)}"]
        parts += [
            f"{name}={_shown(value)}"
            for name in ("stop", "retry")
            if (value := getattr(self, name)) is not None
        ]
        parts.append(f"statuses={{{', '.join(map(str, sorted(self.statuses)))}}}")
        if self.methods != IDEMPOTENT:
            parts.append(f"methods={{{', '.join(map(repr, sorted(self.methods)))}}}")
        if self.on != FAILURES:
            parts.append(f"on=({', '.join(error.__name__ for error in self.on)},)")
        parts += [f"retry_after_cap={self.retry_after_cap}", f"retry_unsent={self.retry_unsent}"]
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
    for attempt in state.history()[:-1]:
        error.add_note(str(attempt))


def _is_unsent(outcome: object, request: Request) -> bool:
    """Whether the request provably never reached a server."""
    if not isinstance(outcome, _UNSENT):
        return False
    # A redirect inside this layer: what failed to connect is the next hop, and the first was served.
    failed = getattr(outcome, "_request", None)
    return failed is None or failed is request


def _is_certificate_failure(error: BaseException) -> bool:
    """Whether the server's certificate was refused, which no repetition changes."""
    ssl = sys.modules.get("ssl")
    cause: BaseException | None = error
    while ssl is not None and cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return False


# Validation


def _check_attempts(attempts: object) -> None:
    if attempts is not None and (
        not isinstance(attempts, int) or isinstance(attempts, bool) or attempts < 1
    ):
        raise ValueError(
            f"Retries attempts counts the first try, so it must be 1 or more: {attempts!r}"
        )


def _check_callable(name: str, given: object) -> None:
    if given is None and name != "wait":
        return
    if not callable(given) or isinstance(given, type):
        raise TypeError(
            f"Retries {name} must be a callable such as tenacity's, taking the state: {given!r}"
        )
    if iscoroutinefunction(given) or iscoroutinefunction(type(given).__call__):
        raise ValueError(
            f"Retries {name} decides and does not wait, so it cannot be async: {given!r}"
        )


def _statuses(given: object) -> frozenset[int]:
    if not isinstance(given, Collection) or isinstance(given, (str, bytes)):
        raise TypeError(f"Retries statuses must be a collection of HTTP status codes: {given!r}")
    if not all(isinstance(status, int) and 100 <= status <= 599 for status in given):
        raise ValueError(f"Retries statuses must be HTTP status codes, 100 to 599: {given!r}")
    return frozenset(given)


def _methods(given: Any) -> frozenset[str]:
    if isinstance(given, str) or not all(isinstance(method, str) for method in given):
        raise TypeError(f"Retries methods must be a collection of method names: {given!r}")
    return frozenset(method.upper() for method in given)


def _errors(given: Any) -> tuple[type[Exception], ...]:
    errors = given if isinstance(given, tuple) else (given,)
    if not all(isinstance(error, type) and issubclass(error, Exception) for error in errors):
        raise TypeError(f"Retries on must be a tuple of exception classes: {given!r}")
    return errors


def _shown(strategy: Any) -> str:
    """A strategy's repr, or for tenacity's, which have none, one like a constructor call."""
    if isinstance(strategy, tuple):
        return f"({', '.join(map(_shown, strategy))},)"
    if getattr(type(strategy), "__repr__", None) is not object.__repr__:
        return getattr(strategy, "__qualname__", None) or repr(strategy)
    values = vars(strategy).items()
    settings = (f"{name}={_shown(value)}" for name, value in values if not callable(value))
    return f"{type(strategy).__name__}({', '.join(settings)})"
