"""A rate limit: no more requests in a time than were agreed on, by this process or by all that share a Redis."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf, nextafter
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from scallion.pipeline.errors import RateLimited, TotalTimeout
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.redaction import redact_login
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime

from .outcomes import mark_ended_in_line
from .per_origin import MOST_ORIGINS, origin_name
from .rate_limit_counts import Counts, Question
from .rate_limit_storage import MEMORY, Strategy
from .remade import remade
from .validation import check_number

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.storage import Storage

__all__ = ["RateLimit", "RateLimitOption"]

_OPTION = "scallion.RateLimit"

_TIMEOUTS = 4
"""How many times `storage_timeout` a question may last: it may connect and ask, twice."""

_origin_name = lru_cache(maxsize=MOST_ORIGINS)(origin_name)


@dataclass(frozen=True, slots=True)
class RateLimitOption:
    """What one request asks of `RateLimit`; see `RateLimit.option_for`."""

    enabled: bool = True
    wait: bool | None = None
    patience: float | None = None

    def __post_init__(self) -> None:
        _check_patience("RateLimit.option_for patience", self.patience)


@dataclass(frozen=True, repr=False)
class RateLimit(Layer):
    """Let no more requests pass than `rate` allows; the others wait for their turn, or are refused.

    Who waits does so in order, one queue for each key, and is not begun if it cannot end before `patience` and
    `request.deadline`. What a request has taken is not given back, whatever becomes of it.

    In memory the limit is this layer's, shared by all clients that have it. With the URL of a Redis it is shared by all
    layers in all processes that set the same rate for the same key there, whose machines' clocks must agree for the
    moving window. A Redis that cannot be asked is left alone for `storage_pause` seconds at a time.

    Observers are told `rate_limit.waiting`, with `limit`, `wait` (seconds until the first in the queue may go) and
    `ahead` (how many are before this one); `rate_limit.admitted`, with `limit` and `waited`, the seconds that it has been
    waiting; `rate_limit.refused`, with `limit`, `reason` ("does not wait", "patience",
    "deadline" or "storage") and `retry_after`; and `rate_limit.storage_failed`, with `error`, the name of its class,
    and `then`, which is `on_failure`.

    Attributes:
        rate: As "10/second" or "100 per 5 minutes", or a `limits.RateLimitItem`, which may have a namespace.
        key: What requests are counted by: None for their origin, a name for all alike, or a function of the request
            that returns a name, or None for a request that is not limited.
        wait: False to refuse at once.
        patience: Seconds that a request waits, at most; None for as long as its deadline allows.
        strategy: "moving": exact, and remembers each request. "sliding": two counters, approximately as exact.
            "fixed": one counter, and up to twice the rate where two windows meet.
        storage: "memory://", a URL (redis, rediss, redis+unix, valkey, valkeys, valkey+unix), or a storage of `limits`.
        on_failure: "open" to let requests pass while the storage cannot be asked, "closed" to refuse them.
        storage_timeout: Seconds for connecting to the server of a URL, and for each of its answers.
        storage_pause: Seconds that a storage is left alone after it failed.

    Request extension `"scallion.RateLimit"`: a `RateLimitOption`, made by `option_for`.

    Raises:
        TypeError, ValueError: a setting is of the wrong kind, or out of its range.
        ImportError: `limits`, or the client for the server, is not installed.
        RateLimited: from a call. Nothing was sent; `retry_after` is when it may be worth another try.
        TotalTimeout: from a call, as its deadline passed before the storage answered. Nothing was sent.

    Order: inside retries, hedging and the choice of an endpoint, so that each attempt counts, and for the origin it goes
    to; inside authentication, so that a login's own requests count; outside adaptive concurrency, which would take
    the wait for the server's, and the attempt's timeout, which begins when its turn has come. Outside retries, three
    attempts would count as one request.
    """

    option: ClassVar[str | None] = _OPTION

    rate: str | RateLimitItem
    key: str | Callable[[Request], str | None] | None = None
    wait: bool = True
    patience: float | None = 30.0
    strategy: Strategy = "moving"
    storage: str | Storage = MEMORY
    on_failure: Literal["open", "closed"] = "open"
    storage_timeout: float = 0.25
    storage_pause: float = 1.0
    _counts: Counts = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (self.key is None or callable(self.key) or (self.key and type(self.key) is str)):
            raise TypeError(
                f"RateLimit key must be None for the origin, a name, or a function of the request: {self.key!r}"
            )
        _check_patience("RateLimit patience", self.patience)
        _check_choice("strategy", self.strategy, ("moving", "fixed", "sliding"))
        _check_choice("on_failure", self.on_failure, ("open", "closed"))
        check_number("RateLimit storage_timeout", self.storage_timeout, 0, above=True)
        check_number("RateLimit storage_pause", self.storage_pause, 0)
        object.__setattr__(self, "_counts", Counts(self))

    @staticmethod
    def option_for(
        *, enabled: bool = True, wait: bool | None = None, patience: float | None = None
    ) -> dict[str, Any]:
        """The request extension for one request.

        Args:
            enabled: False to send it whatever the rate, and not to count it.
            wait: In the place of the layer's.
            patience: Likewise; None for the layer's.

        Raises:
            TypeError, ValueError: `patience` is no number from 0 on.
        """
        return {_OPTION: RateLimitOption(enabled, wait, patience)}

    def bind(self, send: Bound, call_next: Next) -> Bound:
        counts, key, runtime = self._counts, self.key, call_next.runtime
        # Nothing is opened before the first request.
        here = None if counts.remote else counts.windows(runtime.clock)

        def through(request: Request) -> Awaitable[Response]:
            option = request.extensions.get(_OPTION)
            if option is not None:
                if not isinstance(option, RateLimitOption):
                    raise TypeError(f"Expected RateLimit.option_for(...), not {option!r}")
                if not option.enabled:
                    return send(request)
            if key is None:
                name = _origin_name(request.url.origin_key)
            elif isinstance(key, str):
                name = key
            else:
                given = key(request)
                if given is None:
                    return send(request)
                name = given
            if here is not None and not counts.queues:
                wait = here.take(name)
                if wait is None:
                    return send(request)
                return self._send(request, send, runtime, name, option, wait)
            return self._send(request, send, runtime, name, option, None)

        return through

    async def _send(
        self,
        request: Request,
        send: Bound,
        runtime: Runtime,
        name: str,
        option: RateLimitOption | None,
        wait: float | None,
    ) -> Response:
        """Send `request` when its turn has come.

        Args:
            wait: Seconds, if it has been asked already; None if not.
        """
        # Cases: it was told to wait; nobody waits, so it may go at once; it comes after those who wait.
        queue = (runtime.key, name)
        if wait is None and not self._counts.queues.waits(queue):
            wait = await self._ask(request, runtime, name)
            if wait is None:
                return await send(request)
        await self._wait_in(queue, request, runtime, name, option, wait)
        return await send(request)

    async def _wait_in(
        self,
        queue: Hashable,
        request: Request,
        runtime: Runtime,
        name: str,
        option: RateLimitOption | None,
        wait: float | None,
    ) -> None:
        counts, clock = self._counts, runtime.clock
        came = clock()
        until, reason = self._until(request, option, came)
        place = counts.queues.join(queue, runtime)
        told = False
        try:
            if place.event is not None:
                # In each window as many go as the rate says, at most.
                turns = place.ahead // counts.item.amount * counts.item.get_expiry()
                now = clock()
                wait = max(0.0, place.queue.ready_at - now) + turns
                if now + wait > until:
                    raise self._refusal(request, reason, wait)
                self._note_waiting(request, wait, place.ahead)
                told = True
                if not await place.event.wait(None if until == inf else until - now):
                    left = max(0.0, place.queue.ready_at - clock())
                    raise self._refusal(request, reason, left)
                wait = None
            while True:
                if wait is None:
                    wait = await self._ask(request, runtime, name)
                    if wait is None:
                        if told:
                            waited = clock() - came
                            request.note(
                                "rate_limit.admitted", limit=str(counts.item), waited=waited
                            )
                        return
                now = clock()
                place.queue.ready_at = now + wait
                if now + wait > until:
                    raise self._refusal(request, reason, wait)
                if not told:
                    self._note_waiting(request, wait, 0)
                    told = True
                await runtime.sleep(wait)
                wait = None
        except BaseException as error:
            mark_ended_in_line(error)
            raise
        finally:
            counts.queues.leave(place)

    def _until(
        self, request: Request, option: RateLimitOption | None, now: float
    ) -> tuple[float, str]:
        """How long this request can wait, and what sets that."""
        wait, patience = self.wait, self.patience
        if option is not None:
            wait = wait if option.wait is None else option.wait
            patience = patience if option.patience is None else option.patience
        if not wait:
            return now, "does not wait"
        until = inf if patience is None else now + patience
        deadline = request.deadline
        if deadline is not None and deadline <= until:
            # What may go at the very deadline goes too late.
            return nextafter(deadline, -inf), "deadline"
        return until, "patience"

    async def _ask(self, request: Request, runtime: Runtime, name: str) -> float | None:
        """None if the request may go, else in how many seconds to ask again.

        Raises:
            RateLimited: the storage cannot be asked, and that is to refuse.
        """
        counts, clock = self._counts, runtime.clock
        windows = counts.windows(clock)
        if not counts.remote:
            return windows.take(name)
        left = counts.left_alone(clock())
        if not left:
            question = Question(counts, windows, name, clock)
            await self._put(question, request, runtime)
            if not question.has_failed:
                return question.wait
            left = self.storage_pause
        failure = counts.failure
        request.note("rate_limit.storage_failed", error=failure, then=self.on_failure)
        if self.on_failure == "open":
            return None
        raise self._refusal(request, "storage", left)

    async def _put(self, question: Question, request: Request, runtime: Runtime) -> None:
        """Have the storage asked, until the call's deadline.

        Raises:
            TotalTimeout: it has passed; the request must not be sent.
        """
        counts, clock, deadline = self._counts, runtime.clock, request.deadline
        until = deadline
        if deadline is not None and isinstance(self.storage, str):
            # Most questions end by themselves before that, and a thread costs as much as they do.
            longest = _TIMEOUTS * self.storage_timeout
            until = deadline if clock() + longest > deadline else None
        try:
            if until is None:
                await runtime.offload(question)
            else:
                await runtime.offload(question, until)
        except TimeoutError:
            counts.left(question, clock())
        except BaseException:
            counts.left(question, clock())
            raise
        if deadline is not None and clock() >= deadline:
            raise TotalTimeout(
                "The call's deadline passed while the rate limit's storage was asked",
                request=request,
            )

    def _note_waiting(self, request: Request, wait: float, ahead: int) -> None:
        request.note("rate_limit.waiting", limit=str(self._counts.item), wait=wait, ahead=ahead)

    def _refusal(self, request: Request, reason: str, retry_after: float) -> RateLimited:
        limit = str(self._counts.item)
        request.note("rate_limit.refused", limit=limit, reason=reason, retry_after=retry_after)
        what = origin_name(request.url.origin_key)
        if isinstance(self.key, str):
            what = f"{self.key!r}, asked for {what}"
        elif self.key is not None:
            what = f"requests like this one to {what}"
        told = {
            "does not wait": "the request does not wait",
            "patience": "the request would wait longer than its patience",
            "deadline": "the request's deadline comes first",
        }
        message = (
            f"The rate limit of {what} cannot be kept: its storage failed ({self._counts.failure})"
            if reason == "storage"
            else f"The rate limit of {what}, {limit}, is reached for {round(retry_after, 3):g} s, and {told[reason]}"
        )
        return RateLimited(message, request=request, retry_after=retry_after)

    def __reduce__(self) -> tuple[Any, ...]:
        return remade(self)

    def __repr__(self) -> str:
        key = "<origin>" if self.key is None else _named(self.key)
        storage = self.storage
        where = repr(redact_login(storage)) if isinstance(storage, str) else _kind(storage)
        parts = [f"{str(self._counts.item)!r}", f"key={key}", f"wait={self.wait}"]
        if self.wait:
            parts.append(f"patience={self.patience}")
        parts += [f"strategy={self.strategy!r}", f"storage={where}"]
        if self._counts.remote:
            parts.append(f"on_failure={self.on_failure!r}")
            parts += [f"{name}={getattr(self, name)}" for name in _OF_SERVERS]
        return f"RateLimit({', '.join(parts)})"


_OF_SERVERS = ("storage_timeout", "storage_pause")


def _named(key: object) -> str:
    return repr(key) if isinstance(key, str) else getattr(key, "__name__", _kind(key))


def _kind(given: object) -> str:
    return f"<{type(given).__name__}>"


def _check_patience(name: str, given: object) -> None:
    if given is not None:
        check_number(name, given, 0)


def _check_choice(name: str, given: object, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        raise ValueError(f"RateLimit {name} must be {' or '.join(map(repr, allowed))}: {given!r}")
