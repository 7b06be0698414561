"""What a built-in layer costs a request that it has nothing to do with: one call, one or two tests."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from scallion._stacks import compatible, service_stack
from scallion.middlewares.adaptive_concurrency import AdaptiveConcurrency
from scallion.middlewares.auth import Authentication
from scallion.middlewares.bulkhead import Bulkhead
from scallion.middlewares.circuit_breaker import CircuitBreaker
from scallion.middlewares.coalescing import Coalescing
from scallion.middlewares.cookies import CookiePersistence
from scallion.middlewares.hedging import Hedging
from scallion.middlewares.hooks import EventHooks
from scallion.middlewares.logging import Logging
from scallion.middlewares.metrics import AttemptMetrics, Metrics
from scallion.middlewares.rate_limit import RateLimit
from scallion.middlewares.redirects import Redirects
from scallion.middlewares.retries import Retries
from scallion.middlewares.retry_budget import RetryBudget
from scallion.middlewares.timeouts import AttemptTimeouts, Deadlines
from scallion.middlewares.tracing import AttemptTracing, Tracing
from scallion.pipeline.headers import Headers
from scallion.pipeline.layer import Layer
from scallion.pipeline.onion import Next, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import BlockingRuntime, run
from scallion.pipeline.streams import ByteStream
from scallion.testing.conformance.worlds import VirtualRuntime


class Silent:
    """A logger that wants nothing."""

    def is_enabled_for(self, level: int) -> bool:
        return False


# Nothing is left to do after the call, or ever.
PASSED_BY: list[Layer] = [
    AttemptTimeouts(None),
    AttemptMetrics(),
    AttemptTracing(),
    Authentication(),
    Deadlines(),
    EventHooks(),
    Logging(logger=Silent()),
    Metrics(),
    Retries(attempts=1),
    Tracing(),
]
# They look at each response, and so have a coroutine of their own.
LOOKING: list[Layer] = [CookiePersistence(), Redirects(), Retries()]


def get() -> Request:
    limits = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0}
    return Request("GET", "http://example.org/", extensions={"timeout": limits})


# What a first look into them costs is no layer's doing.
HEADERS = Headers({"Content-Length": "0"})


async def transport(request: Request) -> Response:
    return Response(200, headers=HEADERS, stream=ByteStream(b""), extensions={})


def calls_of(work: Callable[[], object]) -> int:
    """How many functions of Python are called."""
    count = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    work()
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def added_by(*layers: Any) -> int:
    """How many calls of functions these layers add to a request that they have nothing to do with."""
    request = get()
    through = compose(layers, transport, BlockingRuntime())
    straight = compose((), transport, BlockingRuntime())
    return calls_of(lambda: run(through(request))) - calls_of(lambda: run(straight(request)))


@pytest.mark.parametrize("layer", PASSED_BY, ids=lambda layer: type(layer).__name__)
def test_what_lies_further_in_is_returned_as_it_is(layer: Layer) -> None:
    """
    The layer costs no coroutine of its own, whether it is bound or called.
    """
    request, answer = get(), object()

    def send(sent: Request) -> Any:
        return answer if sent is request else None

    assert answer is layer.bind(send, Next(send, BlockingRuntime()))(request)  # type: ignore[arg-type,comparison-overlap]
    assert answer is layer(request, Next(send, BlockingRuntime()))  # type: ignore[arg-type,comparison-overlap]


@pytest.mark.parametrize("layer", [*PASSED_BY, *LOOKING], ids=repr)
def test_an_idle_layer_makes_few_calls(layer: Layer) -> None:
    """
    Its own, and a few that ask.
    """
    assert added_by(layer) <= 4


def test_the_built_in_onions_make_few_calls() -> None:
    """
    The default one, and that for services without its limits in time and what keeps books, which are no idle layers.
    """
    busy = dict.fromkeys(("breaker", "budget", "bulkhead", "request_id"), False)

    assert added_by(*compatible()) <= 10
    # One more, once somebody in this process has set a provider of meters or of spans.
    assert added_by(*service_stack(busy, total=None, attempt=None)) <= 28


def test_a_subclass_with_a_call_of_its_own_is_called() -> None:
    """
    What it overrides takes effect, and may go on to what it overrode.
    """
    seen: list[str] = []

    class Watched(EventHooks):
        def __call__(self, request: Request, call_next: Next) -> Any:
            seen.append(request.method)
            return super().__call__(request, call_next)

    class Awaiting(CookiePersistence):
        async def __call__(self, request: Request, call_next: Next) -> Response:
            seen.append("before")
            response = await super().__call__(request, call_next)
            seen.append("after")
            return response

    onion = compose([Watched(), Awaiting()], transport, BlockingRuntime())

    assert 200 == run(onion(get())).status_code
    assert ["GET", "before", "after"] == seen


def test_a_layer_is_bound_once() -> None:
    """
    Per client, not per request; so is that of a subclass elsewhere.
    """
    bound: list[object] = []

    class Mine(EventHooks):
        def bind(self, send: Any, call_next: Next) -> Any:
            bound.append(self)
            return super().bind(send, call_next)

    onion = compose([Mine()], transport, BlockingRuntime())
    for _ in range(3):
        run(onion(get()))

    assert 1 == len(bound)


def test_a_layer_needs_a_bind_or_a_call() -> None:
    with pytest.raises(NotImplementedError):
        compose([Layer()], transport, BlockingRuntime())


class Locks:
    """Makes locks in the place of `threading.Lock`, and counts how often any is taken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken = 0
        real = threading.Lock

        class Counted:
            def __init__(self) -> None:
                self._lock = real()
                self.release = self._lock.release

            def acquire(counted, *args: Any, **kwargs: Any) -> bool:
                self.taken += 1
                return counted._lock.acquire(*args, **kwargs)

            def __enter__(counted) -> None:
                counted.acquire()

            def __exit__(self, *exc: object) -> None:
                self.release()

        monkeypatch.setattr(threading, "Lock", Counted)
        monkeypatch.setattr(threading, "RLock", Counted)


@pytest.mark.parametrize(
    "make",
    [
        Bulkhead,
        Coalescing,
        lambda: Retries(budget=RetryBudget()),
        lambda: Hedging(budget=RetryBudget()),
        CircuitBreaker,
        AdaptiveConcurrency,
        lambda: AdaptiveConcurrency(algorithm="aimd"),
        lambda: RateLimit("1000/second"),
    ],
    ids=[
        "Bulkhead",
        "Coalescing",
        "Retries",
        "Hedging",
        "CircuitBreaker",
        "Gradient",
        "AIMD",
        "RateLimit",
    ],
)
def test_an_idle_layer_takes_no_lock(
    make: Callable[[], Layer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    One costs as much as everything else that the layer does then. What it knows of an origin is made under one.
    """
    locks = Locks(monkeypatch)
    runtime = VirtualRuntime()
    send = compose([make()], transport, runtime)
    for _ in range(2):
        run(send(get()))
    with threading.Lock():
        made = locks.taken

    for _ in range(20):
        runtime.now += 0.001
        run(send(get()))

    assert made > 0
    assert 0 == locks.taken - made
