"""A rate limit: no more requests in a time than were agreed on, by this process or by all that share a Redis."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from math import inf, nextafter
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from scallion.pipeline.errors import RateLimited
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.redaction import redact_url
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime

from .per_origin import origin_name
from .rate_limit_memory import memory_on
from .rate_limit_queue import Queues
from .rate_limit_storage import MEMORY, Strategy, Windows, check_storage, item_of, storage_of
from .remade import remade
from .validation import check_number

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.storage import Storage

__all__ = ["RateLimit", "RateLimitOption"]

_OPTION = "scallion.RateLimit"


@dataclass(frozen=True, slots=True)
class RateLimitOption:
    """What one request asks of `RateLimit`; see `RateLimit.option_for`."""

    enabled: bool = True
    wait: bool | None = None
    patience: float | None = None

    def __post_init__(self) -> None:
        _check_patience("RateLimit.option_for patience", self.patience)


class _Gate:
    """What one layer knows: its counts, who waits, and whether its storage can be asked."""

    def __init__(self, layer: RateLimit) -> None:
        self.item = item_of(layer.rate)
        check_storage(layer.storage)
        self.remote = layer.storage != MEMORY
        self.queues = Queues()
        self._layer = layer
        self._lock = threading.Lock()
        self._here: dict[Callable[[], float], Windows] = {}
        self._there: Windows | None = None
        # While the storage fails: until when it is left alone, and the name of its error. Not the error itself,
        # whose tracebacks know the password.
        self._down_until = -inf
        self.failure: str | None = None

    def windows(self, clock: Callable[[], float]) -> Windows:
        """The counts for clients that live by `clock`; a server's are the same for all."""
        known = self._there if self.remote else self._here.get(clock)
        if known is not None:
            return known
        layer = self._layer
        with self._lock:
            if self.remote:
                given = layer.storage
                storage = (
                    storage_of(given, layer.storage_timeout) if isinstance(given, str) else given
                )
                self._there = self._there or Windows(self.item, layer.strategy, storage, None)
                return self._there
            made = Windows(self.item, layer.strategy, memory_on(clock), clock)
            return self._here.setdefault(clock, made)

    def left_alone(self, now: float) -> float:
        """For how many seconds the storage is not to be asked; 0 for who shall ask it."""
        with self._lock:
            if now < self._down_until:
                return self._down_until - now
            if self.failure is not None:
                # One tries whether it is back; the others need not wait for what comes of it.
                self._down_until = now + self._layer.storage_pause
            return 0.0

    def failed(self, error: Exception, now: float) -> None:
        with self._lock:
            self.failure = type(error).__name__
            self._down_until = now + self._layer.storage_pause

    def answered(self) -> None:
        if self.failure is not None:
            with self._lock:
                self.failure, self._down_until = None, -inf


@dataclass(frozen=True, repr=False)
class RateLimit(Layer):
    """Let no more requests pass than `rate` allows; the others wait for their turn, or are refused.

    Who waits does so in order, one queue for each key, and is not begun if it cannot end before `patience` and
    `request.deadline`. What a request has taken is not given back, whatever becomes of it.

    In memory the limit is this layer's, shared by all clients that have it. With the URL of a Redis it is shared by all
    layers in all processes that set the same rate for the same key there, whose machines' clocks must agree for the
    moving window. A Redis that cannot be asked is left alone for `storage_pause` seconds at a time.

    Observers are told `rate_limit.waiting`, with `limit`, `wait` (seconds until the first in the queue may go) and
    `ahead` (how many are before this one); `rate_limit.refused`, with `limit`, `reason` ("does not wait", "patience",
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

    Order: inside retries, hedging and the choice of an endpoint, so that each attempt counts, and for the origin it goes
    to; outside authentication and the attempt's timeout, which begin when its turn has come. Outside retries, three
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
    _gate: _Gate = field(init=False, repr=False, compare=False)

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
        object.__setattr__(self, "_gate", _Gate(self))

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
        gate, key, runtime = self._gate, self.key, call_next.runtime
        # Nothing is opened before the first request.
        here = None if gate.remote else gate.windows(runtime.clock)

        def through(request: Request) -> Awaitable[Response]:
            option = request.extensions.get(_OPTION)
            if option is not None:
                if not isinstance(option, RateLimitOption):
                    raise TypeError(f"Expected RateLimit.option_for(...), not {option!r}")
                if not option.enabled:
                    return send(request)
            if key is None:
                name = origin_name(request.url.origin_key)
            elif isinstance(key, str):
                name = key
            else:
                given = key(request)
                if given is None:
                    return send(request)
                name = given
            if here is not None and not gate.queues:
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
        if wait is None and not self._gate.queues.waits(queue):
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
        gate, clock = self._gate, runtime.clock
        until, reason = self._until(request, option, clock())
        place = gate.queues.join(queue, runtime)
        told = False
        try:
            if place.event is not None:
                # In each window as many go as the rate says, at most.
                turns = place.ahead // gate.item.amount * gate.item.get_expiry()
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
        finally:
            gate.queues.leave(place)

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
        gate, clock = self._gate, runtime.clock
        windows = gate.windows(clock)
        if not gate.remote:
            return windows.take(name)
        left = gate.left_alone(clock())
        if not left:
            try:
                wait = await runtime.offload(partial(windows.take, name))
            except windows.failures as error:
                left = self.storage_pause
                gate.failed(error, clock())
            else:
                gate.answered()
                return wait
        failure = gate.failure
        if request.observers:
            request.note("rate_limit.storage_failed", error=failure, then=self.on_failure)
        if self.on_failure == "open":
            return None
        raise self._refusal(request, "storage", left)

    def _note_waiting(self, request: Request, wait: float, ahead: int) -> None:
        if request.observers:
            request.note("rate_limit.waiting", limit=str(self._gate.item), wait=wait, ahead=ahead)

    def _refusal(self, request: Request, reason: str, retry_after: float) -> RateLimited:
        limit = str(self._gate.item)
        if request.observers:
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
            f"The rate limit of {what} cannot be kept: its storage failed ({self._gate.failure})"
            if reason == "storage"
            else f"The rate limit of {what}, {limit}, is reached for {round(retry_after, 3):g} s, and {told[reason]}"
        )
        return RateLimited(message, request=request, retry_after=retry_after)

    def __reduce__(self) -> tuple[Any, ...]:
        return remade(self)

    def __repr__(self) -> str:
        key = "<origin>" if self.key is None else _named(self.key)
        storage = self.storage
        where = repr(redact_url(storage)) if isinstance(storage, str) else _kind(storage)
        parts = [f"{str(self._gate.item)!r}", f"key={key}", f"wait={self.wait}"]
        if self.wait:
            parts.append(f"patience={self.patience}")
        parts += [f"strategy={self.strategy!r}", f"storage={where}"]
        if self._gate.remote:
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
