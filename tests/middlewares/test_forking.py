"""Forks: a child has its parent's layers, with nobody under way in them and locks that nobody holds.

Each test forks while another thread of the parent is in the midst of something.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import pytest

from scallion.middlewares.adaptive_concurrency import AdaptiveConcurrency
from scallion.middlewares.auth import Authentication
from scallion.middlewares.bearer import BearerAuth
from scallion.middlewares.bulkhead import Bulkhead
from scallion.middlewares.circuit_breaker import CircuitBreaker
from scallion.middlewares.coalescing import Coalescing
from scallion.middlewares.endpoints import Endpoints
from scallion.middlewares.flights import Flight, Flights
from scallion.middlewares.gated import Gated
from scallion.middlewares.hedging import Hedging
from scallion.middlewares.rate_limit import RateLimit
from scallion.middlewares.rate_limit_counts import Counts
from scallion.middlewares.rate_limit_queue import Queues
from scallion.middlewares.retry_budget import RetryBudget
from scallion.pipeline import forking
from scallion.pipeline.errors import CircuitOpen, ConnectError
from scallion.pipeline.forking import renewed_in_children
from scallion.pipeline.layer import Layer
from scallion.pipeline.onion import Send, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import BlockingRuntime, run
from scallion.testing.conformance.worlds import VirtualRuntime, open_response

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

URL = "http://example.org/"
ORIGIN = ("http", "example.org", 80)
SERVICE = "http://stock/"

# Far more than anything here takes; a child that hangs is found out by it.
_PATIENCE = 20.0


def in_child(work: Callable[[], object]) -> str:
    """What `work` returns in a forked child, or the error that it raises there, as a text."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            try:
                told = str(work())
            except BaseException as error:  # the parent is told
                told = repr(error)
            os.write(writing, told.encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        if not select.select([reading], [], [], _PATIENCE)[0]:
            os.kill(child, signal.SIGKILL)
            return "it hangs"
        return os.read(reading, 10_000).decode()
    finally:
        os.close(reading)
        os.waitpid(child, 0)


@contextmanager
def elsewhere(work: Callable[[threading.Event, threading.Event], object]) -> Iterator[None]:
    """Another thread is in the midst of `work`: between what it tells by the first event, and the second one."""
    there, go_on = threading.Event(), threading.Event()
    thread = threading.Thread(target=work, args=(there, go_on))
    thread.start()
    assert there.wait(_PATIENCE)
    try:
        yield
    finally:
        go_on.set()
        thread.join(_PATIENCE)


@contextmanager
def held(lock: Any) -> Iterator[None]:
    """Another thread has the lock."""

    def hold(there: threading.Event, go_on: threading.Event) -> None:
        with lock:
            there.set()
            go_on.wait(_PATIENCE)

    with elsewhere(hold):
        yield


class Caller:
    """Calls through layers. The thread that `is_calling` begins stays in its call for as long as that lasts.

    Attributes:
        status: Of all answers; "down" for none.
        runtime: Time.
    """

    def __init__(self, *layers: Layer, url: str = URL, status: int | Literal["down"] = 200) -> None:
        self.status = status
        self.runtime = VirtualRuntime(patient=True)
        self._url = url
        self._stay: tuple[threading.Thread, threading.Event, threading.Event] | None = None
        self._send: Send = compose(layers, self._answer, self.runtime, strict=False)

    async def _answer(self, request: Request) -> Response:
        if self._stay is not None and self._stay[0] is threading.current_thread():
            self._stay[1].set()
            self._stay[2].wait(_PATIENCE)
        if self.status == "down":
            raise ConnectError("down")
        return Response(self.status)

    def call(self) -> int:
        """The status of the answer."""
        return run(self._send(Request("GET", self._url))).status_code

    @contextmanager
    def is_calling(self) -> Iterator[None]:
        def stay(there: threading.Event, go_on: threading.Event) -> None:
            self._stay = threading.current_thread(), there, go_on
            self.call()

        with elsewhere(stay):
            yield


# What is under way


@pytest.mark.parametrize(
    "layer",
    [
        Bulkhead(limit=1, queue=0),
        AdaptiveConcurrency(initial=1, maximum=1, queue=0),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_place_of_the_parents_is_free_in_the_child(layer: Gated) -> None:
    """
    What a thread of the parent has under way takes no place in the child, and keeps its own in the parent.
    """
    caller = Caller(layer)

    def child() -> str:
        return f"{layer.stats(URL).active} {caller.call()} {layer.stats(URL).active}"

    with caller.is_calling():
        assert "0 200 0" == in_child(child)
        assert 1 == layer.stats(URL).active
    assert 0 == layer.stats(URL).active


def test_a_response_that_was_open_at_the_fork_ends_where_it_began() -> None:
    """
    The forking thread's own response gives no place back that the child's requests hold.
    """
    bulkhead = Bulkhead(limit=1, queue=0)

    async def answer(request: Request) -> Response:
        return open_response(200, b"body")

    send = compose([bulkhead], answer, BlockingRuntime(), strict=False)
    before = run(send(Request("GET", URL)))

    def child() -> str:
        own = run(send(Request("GET", URL)))
        before.close()
        active = bulkhead.stats(URL).active
        own.close()
        return f"{active} {bulkhead.stats(URL).active}"

    assert "1 0" == in_child(child)
    assert 1 == bulkhead.stats(URL).active
    before.close()


def test_a_probe_of_the_parents_is_not_the_childs() -> None:
    """
    A half-open circuit whose probe is the parent's lets one of the child's requests through.
    """
    breaker = CircuitBreaker(minimum=1)
    caller = Caller(breaker, status=503)
    caller.call()
    caller.runtime.now += 60
    caller.status = 200

    def child() -> str:
        probing = breaker.state(URL).probing
        return f"{probing} {caller.call()} {breaker.state(URL).phase}"

    with caller.is_calling():
        assert "0 200 closed" == in_child(child)
        assert 1 == breaker.state(URL).probing
    assert "closed" == breaker.state(URL).phase


def test_a_probe_that_forked_says_nothing_in_the_child() -> None:
    """
    A probe in whose midst the process was forked is the parent's alone: it takes nothing from the child's own.
    """
    breaker = CircuitBreaker(minimum=1)
    caller = Caller(breaker, status=503)
    caller.call()
    circuit = breaker._circuits.at(ORIGIN)
    number = circuit.enter(caller.runtime.now + 60, lambda *_, **__: None)
    assert number is not None

    def child() -> str:
        own = circuit.enter(caller.runtime.now + 60, lambda *_, **__: None)
        circuit.leave(number, 0.0, None, lambda *_, **__: None)
        return f"{own is not None} {circuit.probing}"

    assert "True 1" == in_child(child)
    assert 1 == circuit.probing


def test_a_flight_of_the_parents_is_not_followed_in_the_child() -> None:
    """
    A child's request does not wait for the answer to an identical one of its parent's.
    """
    caller = Caller(Coalescing())
    with caller.is_calling():
        assert "200" == in_child(caller.call)


def test_a_flight_that_forked_lands_where_it_began() -> None:
    """
    Who forks in the midst of a flight takes none of the child's out of the table.
    """
    told: list[str] = []

    async def answer(request: Request) -> Response:
        if not told:
            told.append("")
            told[0] = in_child(lambda: run(send(Request("GET", URL))).status_code)
        return Response(200)

    send = compose([Coalescing()], answer, BlockingRuntime(), strict=False)
    run(send(Request("GET", URL)))
    assert ["200"] == told


def test_a_token_that_the_parent_fetches_is_not_waited_for_in_the_child() -> None:
    """
    A child asks for one of its own, and the parent's goes on.
    """
    parent = os.getpid()
    there, go_on = threading.Event(), threading.Event()

    def fetch() -> str:
        if os.getpid() == parent:
            there.set()
            go_on.wait(_PATIENCE)
        return "token"

    caller = Caller(Authentication(BearerAuth(fetch)))
    thread = threading.Thread(target=caller.call)
    thread.start()
    assert there.wait(_PATIENCE)
    try:
        assert "200" == in_child(caller.call)
    finally:
        go_on.set()
        thread.join(_PATIENCE)
    assert 200 == caller.call()


@pytest.mark.parametrize("choice", ["least_pending", "power_of_two", "round_robin"])
def test_an_attempt_of_the_parents_is_not_pending_in_the_child(choice: str) -> None:
    """
    A child sees no attempts under way, and its own choices are not led by its parent's.
    """
    endpoints = Endpoints({"stock": ["10.0.0.1:80", "10.0.0.2:80"]}, choice=choice)
    caller = Caller(endpoints, url=SERVICE)

    def pending() -> int:
        return sum(each.pending for each in endpoints.state("stock").endpoints)

    with caller.is_calling():
        assert "0 200 0" == in_child(lambda: f"{pending()} {caller.call()} {pending()}")
        assert 1 == pending()
    assert 0 == pending()


def test_an_attempt_that_was_open_at_the_fork_ends_where_it_began() -> None:
    """
    The forking thread's own attempt ends in the child without being taken off what is pending there.
    """
    endpoints = Endpoints({"stock": ["10.0.0.1:80"]})

    async def answer(request: Request) -> Response:
        return open_response(200, b"body")

    send = compose([endpoints], answer, BlockingRuntime(), strict=False)
    response = run(send(Request("GET", SERVICE)))

    def pending() -> int:
        return endpoints.state("stock").endpoints[0].pending

    def child() -> str:
        before = pending()
        response.close()
        return f"{before} {pending()}"

    assert "0 0" == in_child(child)
    assert 1 == pending()
    response.close()


def test_a_question_of_the_parents_is_asked_again_in_the_child() -> None:
    """
    A child does not wait for an answer that only its parent will get.
    """
    parent, events = os.getpid(), []

    def find(service: str) -> list[str]:
        if os.getpid() == parent:
            there, go_on = events
            there.set()
            go_on.wait(_PATIENCE)
        return ["10.0.0.1:80"]

    caller = Caller(Endpoints({"stock": find}), url=SERVICE)

    def ask(*given: threading.Event) -> None:
        events.extend(given)
        caller.call()

    with elsewhere(ask):
        assert "200" == in_child(caller.call)


def test_nobody_waits_for_a_rate_limit_in_the_child() -> None:
    """
    A queue of the parent's threads is none of the child's; who leaves it there does no harm.
    """
    queues = Queues()
    runtime = BlockingRuntime()
    before = queues.join("key", runtime)

    def child() -> str:
        waits = bool(queues)
        mine = queues.join("key", runtime)
        queues.leave(before)
        still = queues.waits("key")
        queues.leave(mine)
        return f"{waits} {mine.ahead} {still} {bool(queues)}"

    assert "False 0 True False" == in_child(child)
    assert queues.waits("key")


def test_questions_that_the_parent_left_do_not_count_in_the_child() -> None:
    """
    Threads that hang at a storage are the parent's.
    """
    counts: Counts = RateLimit("10/second")._counts
    counts._left = 5
    assert "0" == in_child(lambda: counts._left)


# Locks


Taken: TypeAlias = tuple[Any, Callable[[], object]]
"""A lock, and a call that takes it."""


def _origins() -> Taken:
    bulkhead = Bulkhead()
    return bulkhead._gates._lock, Caller(bulkhead).call


def _circuits() -> Taken:
    breaker = CircuitBreaker()
    return breaker._circuits._lock, breaker.states


def _circuit() -> Taken:
    breaker = CircuitBreaker()
    return breaker._circuits.at(ORIGIN)._lock, Caller(breaker, status=503).call


def _budget() -> Taken:
    budget, request = RetryBudget(), Request("GET", URL)
    return budget._accounts.of(request).lock, lambda: budget.withdraw(request, 0.0)


def _hedges() -> Taken:
    origins = Hedging()._origins
    return origins.at(ORIGIN)._lock, lambda: origins.at(ORIGIN).withdraw()


def _latencies() -> Taken:
    origins = Hedging()._origins
    lock = origins.at(ORIGIN).latencies._lock
    return lock, lambda: [origins.at(ORIGIN).latencies.add(1.0) for _ in range(100)]


def _endpoints() -> Taken:
    endpoints = Endpoints({"stock": ["10.0.0.1:80"]})
    return endpoints._services["stock"].lock, Caller(endpoints, url=SERVICE).call


def _counts() -> Taken:
    counts: Counts = RateLimit("10/second")._counts
    return counts._lock, lambda: counts.left_alone(0.0)


def _memory() -> Taken:
    limit = RateLimit("10/second", strategy="fixed")
    caller = Caller(limit)
    return limit._counts.windows(caller.runtime.clock)._storage._lock, caller.call


def _queues() -> Taken:
    queues = Queues()
    return queues._lock, lambda: queues.join("key", BlockingRuntime())


def _flights() -> Taken:
    flights: Flights[object] = Flights(lambda asked: asked)

    def follow() -> object:
        flights.begin(Flight("place", "asked"))
        return flights.board(Flight("place", "asked"), BlockingRuntime().event)

    return flights._lock, follow


@pytest.mark.parametrize(
    "taken",
    [
        _origins,
        _circuits,
        _circuit,
        _budget,
        _hedges,
        _latencies,
        _endpoints,
        _counts,
        _memory,
        _queues,
        _flights,
    ],
)
def test_a_lock_that_was_held_at_the_fork_is_free_in_the_child(taken: Callable[[], Taken]) -> None:
    """
    What a thread of the parent was in the midst of does not stop the child.
    """
    lock, work = taken()

    def child() -> str:
        work()
        return "done"

    with held(lock):
        assert "done" == in_child(child)


# What is kept


@pytest.mark.parametrize("phase", ["open", "closed"])
def test_a_forced_circuit_stays_forced_in_the_child(phase: Literal["open", "closed"]) -> None:
    """
    What was decided by hand is kept, and can be released there, whoever held its lock at the fork.
    """
    breaker = CircuitBreaker(minimum=1, ratio=0.1)
    caller = Caller(breaker)
    if phase == "open":
        breaker.force_open(URL)
    else:
        breaker.force_closed(URL)

    def child() -> str:
        try:
            told = str(caller.call())
        except CircuitOpen:
            told = "refused"
        state = breaker.state(URL)
        breaker.release(URL)
        return f"{told} {state.forced} {state.phase} {breaker.state(URL).forced} {caller.call()}"

    told = "refused" if phase == "open" else "200"
    with held(breaker._circuits.at(ORIGIN)._lock), held(breaker._circuits._lock):
        assert f"{told} True {phase} False 200" == in_child(child)
    assert breaker.state(URL).forced


def test_a_forced_circuit_that_was_forgotten_stays_forced_in_the_child() -> None:
    """
    It is remembered apart from the others, and has a lock of its own there all the same.
    """
    breaker = CircuitBreaker()
    breaker.force_open(URL)
    circuit = breaker._circuits.at(ORIGIN)
    with breaker._circuits._known._lock:
        breaker._circuits._known._states.clear()

    with held(circuit._lock):
        assert "True" == in_child(lambda: breaker.state(URL).forced)


def test_an_open_circuit_stays_open_in_the_child() -> None:
    """
    The child need not learn again that an origin is down.
    """
    breaker = CircuitBreaker(minimum=1)
    caller = Caller(breaker, status=503)
    caller.call()
    assert in_child(caller.call).startswith("CircuitOpen")


def test_what_is_known_of_endpoints_is_kept_in_the_child() -> None:
    """
    Failures, ejections and counts are those of the parent at the fork.
    """
    endpoints = Endpoints({"stock": ["10.0.0.1:80", "10.0.0.2:80"]}, choice="round_robin")
    caller = Caller(endpoints, url=SERVICE, status="down")
    for _ in range(10):
        with pytest.raises(ConnectError):
            caller.call()

    def known() -> str:
        return repr(endpoints.state("stock"))

    assert "out" in known() or "ejected" in known()
    assert known() == in_child(known)


def test_a_rate_limit_goes_on_in_the_child() -> None:
    """
    A child begins with its parent's counts: it may not send at once what the parent has just sent.
    """
    limit = RateLimit("1/hour", wait=False)
    caller = Caller(limit)
    caller.call()
    assert in_child(caller.call).startswith("RateLimited")


# Keeping


def test_what_nobody_uses_is_forgotten() -> None:
    """
    To be renewed keeps nothing alive.
    """

    class Thing:
        def renew(self) -> None:
            """Nothing to do."""

    thing = Thing()
    renewed_in_children(thing)
    left = weakref.ref(thing)
    assert thing in forking._known
    del thing
    gc.collect()
    assert left() is None
