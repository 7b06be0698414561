"""Deadlines: how long a whole call may take, and how long one attempt.

Both set `request.deadline`, which transports keep on each wait; under an event loop they also end
whatever else runs inside when it passes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

from scallion.pipeline.errors import AttemptTimeout, TotalTimeout
from scallion.pipeline.incoming import current_deadline, live_deadline
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.redaction import redact_value
from scallion.pipeline.request import Observer, Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Ending, Runtime

__all__ = [
    "AttemptTimeouts",
    "AttemptTimeoutsOption",
    "Deadlines",
    "DeadlinesOption",
    "tell_attempts",
]

_TOTAL = "scallion.Deadlines"
_ATTEMPT = "scallion.AttemptTimeouts"

_INCOMING = "the incoming request's deadline"

_NOTHING: tuple[str, dict[str, Any]] = ("", {})

# Timers of event loops run on clocks of their own and may fire this much early, in seconds.
_EARLY = 0.05


@dataclass(frozen=True, slots=True)
class DeadlinesOption:
    """What one request asks of `Deadlines`; see `Deadlines.option_for`."""

    total: float | None

    def __post_init__(self) -> None:
        _check("Deadlines total", self.total)


@dataclass(frozen=True, slots=True)
class AttemptTimeoutsOption:
    """What one request asks of `AttemptTimeouts`; see `AttemptTimeouts.option_for`."""

    seconds: float | None

    def __post_init__(self) -> None:
        _check("AttemptTimeouts seconds", self.seconds)


class _CallDeadline(float):
    """A deadline that knows whether its call is over, and what was under way last: it is the request's `progress`.

    A response's body is read after the call has returned, and must still end in time; so the deadline
    stays on the request, and on those that inherited it. When one of them is sent anew, it no longer counts.

    Attributes:
        outer: The deadline that the request brought along, or None.
        is_over: Whether the call has returned.
        total: The total timeout, in seconds, if it is that; else None.
        is_incoming: Whether it is the incoming request's.
        attempts: The tries of the call that was ended when it passed; unset if nobody told.
        last: The last event and its fields.
        above: What was the request's progress before; it is told too.
    """

    __slots__ = ("above", "attempts", "is_incoming", "is_over", "last", "outer", "total")

    outer: float | None
    is_over: bool
    total: float | None
    is_incoming: bool
    attempts: tuple[object, ...]
    last: tuple[str, dict[str, Any]]
    above: Observer | None

    def __call__(self, event: str, fields: dict[str, Any]) -> None:
        # It becomes a text where somebody wants to know.
        if not self.is_over:
            self.last = event, fields
        if self.above is not None:
            self.above(event, fields)

    def __str__(self) -> str:
        if self.total is not None:
            return f"its total timeout of {self.total:g} seconds"
        return _INCOMING if self.is_incoming else "the request's deadline"


@dataclass(frozen=True)
class Deadlines(Layer):
    """Bound a whole call: waiting for a connection, redirects, retries, their waits, and the body.

    The deadline is the earliest of `request.deadline`, if the request brings one, of the clock plus the
    total, and of the deadline of the request that this program is serving (`current_deadline`); without any the
    layer costs nothing. Under an event loop all that runs inside is ended
    when it passes. In a `Client` nothing can be ended from outside, so it holds for what keeps
    `request.deadline`: the transport, and the waits of the other layers. A call whose deadline has passed is not sent.

    Observers are told `total_timeout`, with `total`, when it passes; `deadline.incoming`, with the seconds
    `left`, where the incoming request's deadline is the earliest; and `deadline.passed`, with `late`, the seconds
    since, of a call that is not sent.

    Attributes:
        total: Seconds for a call that names none, more than 0; None for no limit.

    Request extensions: `"scallion.Deadlines"`, made by `option_for`; else `"timeout"`, whose `total`
    counts, and which lifts the limit if it sets none at all (`timeout=None`).

    Raises:
        ValueError: `total` is not a positive number.
        TotalTimeout: from a call; its message or a note tells the seconds and what was under way last. From
            reading the body: what was being read.

    Order: outside everything that may wait or send again. Inside retries it would bound one attempt.
    """

    option: ClassVar[str | None] = _TOTAL

    total: float | None = None

    def __post_init__(self) -> None:
        _check("Deadlines total", self.total)

    @staticmethod
    def option_for(*, total: float | None) -> dict[str, Any]:
        """The request extension for one request: its total in seconds, or None for no limit.

        Raises:
            ValueError: `total` is not a positive number.
        """
        return {_TOTAL: DeadlinesOption(total)}

    def bind(self, send: Bound, call_next: Next) -> Bound:
        runtime = call_next.runtime
        # Only asyncio's has one.
        begin = getattr(runtime, "ending", None)

        def through(request: Request) -> Awaitable[Response]:
            outer = request.deadline
            if outer is not None:
                while isinstance(outer, _CallDeadline) and outer.is_over:
                    request.deadline = outer = outer.outer
            total = self._total(request)
            incoming = current_deadline.get()
            if incoming is not None:
                incoming = live_deadline()
            if total is None and outer is None and incoming is None:
                return send(request)
            now = runtime.clock()
            deadline = _earliest(outer, now, total, incoming)
            if now >= deadline:
                raise _overdue(request, deadline, now)
            if deadline.is_incoming and request.observers:
                request.note("deadline.incoming", left=deadline - now)
            return self._send(request, send, runtime, deadline, begin)

        return through

    def _total(self, request: Request) -> float | None:
        # Cases: the option; a total in the timeout; a timeout without any limit; one without a total.
        extensions = request.extensions
        option = extensions.get(_TOTAL)
        if option is not None:
            if not isinstance(option, DeadlinesOption):
                raise TypeError(f"Expected Deadlines.option_for(...), not {option!r}")
            return option.total
        timeout = extensions.get("timeout")
        if not timeout:
            return self.total
        total: float | None = timeout.get("total")
        if total is not None:
            return total
        for limit in timeout.values():
            if limit is not None:
                return self.total
        return None

    async def _send(
        self,
        request: Request,
        send: Bound,
        runtime: Runtime,
        deadline: _CallDeadline,
        begin: Callable[[float], Ending | None] | None,
    ) -> Response:
        above = request.progress
        if above is not None:
            # Left by an earlier call, as the request's deadline is.
            while isinstance(above, _CallDeadline) and above.is_over:
                above = above.above
        deadline.above = above
        request.deadline = request.progress = deadline
        try:
            ending = None if begin is None else begin(deadline)
            if ending is None:
                if runtime.blocking:
                    return await send(request)
                return await runtime.bounded(send(request), deadline)
            # As `bounded` does it, without a coroutine more.
            try:
                return await send(request)
            except BaseException as error:
                ending.judge(error)
                raise
            finally:
                ending.done()
        except (TimeoutError, TotalTimeout) as error:
            if runtime.clock() < deadline - _EARLY:
                raise
            told = _told(deadline)
            request.note("total_timeout", total=deadline.total)
            if isinstance(error, TotalTimeout):
                # The transport kept the deadline; it does not know the total.
                error.add_note(told)
                raise
            raise _with_attempts(TotalTimeout(told, request=request), deadline) from error
        finally:
            deadline.is_over = True
            deadline.last = _NOTHING
            request.progress = above


@dataclass(frozen=True)
class AttemptTimeouts(Layer):
    """Bound one attempt, from its start to its response's headers.

    The body is not bound by it, only by the transport's own timeouts and the call's deadline. Where the
    call's deadline comes first, or there is no limit, the layer costs nothing. What cannot be ended in
    a `Client` is told at `Deadlines`.

    Observers are told `attempt_timeout`, with `seconds`, when it passes.

    Attributes:
        seconds: For each attempt, more than 0; None for no limit.

    Request extension `"scallion.AttemptTimeouts"`, made by `option_for`.

    Raises:
        ValueError: `seconds` is not a positive number.
        AttemptTimeout: from a call. `Retries` tries again.

    Order: inside retries, authentication and rate limits, so that each attempt has its own time and
    waiting for a permission does not use it up. Outside retries it would bound them all together.
    """

    option: ClassVar[str | None] = _ATTEMPT

    seconds: float | None = 10.0

    def __post_init__(self) -> None:
        _check("AttemptTimeouts seconds", self.seconds)

    @staticmethod
    def option_for(*, seconds: float | None) -> dict[str, Any]:
        """The request extension for one request: seconds for each attempt, or None for no limit.

        Raises:
            ValueError: `seconds` is not a positive number.
        """
        return {_ATTEMPT: AttemptTimeoutsOption(seconds)}

    def bind(self, send: Bound, call_next: Next) -> Bound:
        runtime = call_next.runtime
        begin = getattr(runtime, "ending", None)

        def through(request: Request) -> Awaitable[Response]:
            seconds = self.seconds
            option = request.extensions.get(_ATTEMPT)
            if option is not None:
                if not isinstance(option, AttemptTimeoutsOption):
                    raise TypeError(f"Expected AttemptTimeouts.option_for(...), not {option!r}")
                seconds = option.seconds
            if seconds is None:
                return send(request)
            deadline = runtime.clock() + seconds
            outer = request.deadline
            if outer is not None and outer <= deadline:
                return send(request)
            return self._send(request, send, runtime, seconds, deadline, begin)

        return through

    async def _send(
        self,
        request: Request,
        send: Bound,
        runtime: Runtime,
        seconds: float,
        deadline: float,
        begin: Callable[[float], Ending | None] | None,
    ) -> Response:
        outer = request.deadline
        request.deadline = deadline
        try:
            ending = None if begin is None else begin(deadline)
            if ending is None:
                if runtime.blocking:
                    return await send(request)
                return await runtime.bounded(send(request), deadline)
            # As in `Deadlines`.
            try:
                return await send(request)
            except BaseException as error:
                ending.judge(error)
                raise
            finally:
                ending.done()
        except (TimeoutError, TotalTimeout) as error:
            # Cases: somebody else's timeout; the call's own deadline, meanwhile; this attempt's.
            now = runtime.clock()
            if now < deadline - _EARLY or (outer is not None and outer <= now):
                raise
            request.note("attempt_timeout", seconds=seconds)
            raise AttemptTimeout(
                f"The attempt outlasted its {seconds:g} seconds without a response", request=request
            ) from error
        finally:
            request.deadline = outer


def _earliest(
    outer: float | None, now: float, total: float | None, incoming: float | None
) -> _CallDeadline:
    """The deadline that counts."""
    at = inf if total is None else now + total
    is_incoming = False
    if outer is not None and outer <= at:
        at, total = outer, None
    if incoming is not None and incoming < at:
        at, total, is_incoming = incoming, None, True
    deadline = _CallDeadline(at)
    deadline.outer = outer
    deadline.is_over = False
    deadline.last = _NOTHING
    deadline.total = total
    deadline.is_incoming = is_incoming
    return deadline


def tell_attempts(request: Request, attempts: tuple[object, ...]) -> None:
    """Say what was tried in a call that an event loop is ending, for the error that the caller will get.

    Args:
        request: The call's.
        attempts: The tries, the one that is cut short included.
    """
    if isinstance(request.deadline, _CallDeadline):
        request.deadline.attempts = attempts


def _with_attempts(error: TotalTimeout, deadline: _CallDeadline) -> TotalTimeout:
    attempts = getattr(deadline, "attempts", ())
    if len(attempts) > 1:
        vars(error)["attempts"] = attempts
    for attempt in attempts[:-1]:
        error.add_note(str(attempt))
    return error


def _overdue(request: Request, deadline: _CallDeadline, now: float) -> TotalTimeout:
    if request.observers:
        request.note("deadline.passed", late=now - deadline)
    whose = _INCOMING if deadline.is_incoming else "the call's deadline"
    return TotalTimeout(
        f"{whose.capitalize()} had passed before the request could be sent", request=request
    )


def _told(deadline: _CallDeadline) -> str:
    event, fields = deadline.last
    shown = ", ".join([f"{name}={redact_value(value)}" for name, value in fields.items()])
    last = f"; the last event was: {event}" if event else ""
    return f"The call outlasted {deadline}{last}{f' ({shown})' if shown else ''}"


def _check(name: str, seconds: object) -> None:
    if seconds is not None and (
        isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0
    ):
        raise ValueError(f"{name} must be more than 0 seconds, or None for no limit: {seconds!r}")
