"""The gate: a state machine against a plain model, threads, several loops, finalisers, and what holds a place."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import pytest
import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scallion.middlewares.gate import Gate, GateStats, Waiter, hold, wait_in_line
from scallion.pipeline.errors import BulkheadFull
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import AsyncRuntime, BlockingRuntime, run
from scallion.pipeline.streams import AsyncByteStream, SyncByteStream
from support.colours import Drive
from support.worlds import OpenStream, RecordingRuntime, open_response

QUEUE = 3


class Machine(RuleBasedStateMachine):
    """Callers come, wait, give up and leave in any order; the model is a number and a list."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(2, QUEUE)
        self.runtime = RecordingRuntime()
        self.limit = 2
        self.active = 0
        self.line: list[Waiter] = []
        # Who waited and was let through, without having looked.
        self.granted: list[Waiter] = []

    def serve(self) -> None:
        while self.line and self.active < self.limit:
            self.granted.append(self.line.pop(0))
            self.active += 1

    @rule()
    def come(self) -> None:
        passes = self.active < self.limit and not self.line
        assert passes == self.gate.enter()
        if passes:
            self.active += 1
            return
        waiter = Waiter(self.runtime)
        joined = len(self.line) < QUEUE
        assert joined == self.gate.join(waiter)
        if joined:
            self.line.append(waiter)

    @rule()
    def come_to_wait_at_once(self) -> None:
        waiter = Waiter(self.runtime)
        passes = self.active < self.limit and not self.line
        joined = passes or len(self.line) < QUEUE
        assert joined == self.gate.join(waiter)
        assert passes == waiter.granted
        if passes:
            self.active += 1
        elif joined:
            self.line.append(waiter)

    @precondition(lambda self: self.active > len(self.granted))
    @rule()
    def leave(self) -> None:
        self.active -= 1
        self.gate.release()
        self.serve()

    @precondition(lambda self: self.line)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        waiter = self.line.pop(data.draw(st.integers(0, len(self.line) - 1)))
        if data.draw(st.booleans()):
            self.gate.quit(waiter)
        else:
            assert not self.gate.end(waiter)
        assert not waiter.granted

    @precondition(lambda self: self.granted)
    @rule(cancelled=st.booleans())
    def look(self, cancelled: bool) -> None:
        waiter = self.granted.pop(0)
        assert waiter.event.is_set()
        if cancelled:
            self.active -= 1
            self.gate.quit(waiter)
            self.serve()
        else:
            assert self.gate.end(waiter)

    @rule(limit=st.integers(1, 5))
    def resize(self, limit: int) -> None:
        self.limit = limit
        self.gate.resize(limit)
        self.serve()

    @invariant()
    def numbers_are_the_models(self) -> None:
        expected = GateStats(self.active, self.limit, len(self.line), QUEUE)
        assert expected == self.gate.stats()

    @invariant()
    def nobody_waits_beside_a_free_place(self) -> None:
        assert not self.line or self.active >= self.limit

    @invariant()
    def who_was_let_through_knows(self) -> None:
        assert all(waiter.granted and waiter.event.is_set() for waiter in self.granted)
        assert not any(waiter.granted or waiter.event.is_set() for waiter in self.line)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_threads_never_exceed_the_limit() -> None:
    """
    Many threads, few places: all are served, and no more at a time than may be.
    """
    gate = Gate(3, 100)
    runtime = BlockingRuntime()
    lock = threading.Lock()
    inside = most = served = 0

    def work() -> None:
        nonlocal inside, most, served
        for _ in range(50):
            if not gate.enter():
                run(wait_in_line(gate, Request("GET", "http://a/"), runtime, 20.0, "gate"))
            with lock:
                inside += 1
                most = max(most, inside)
            with lock:
                inside -= 1
                served += 1
            gate.release()

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert 600 == served
    assert most <= 3
    assert GateStats(0, 3, 0, 100) == gate.stats()


def test_threads_give_up_without_losing_a_place() -> None:
    """
    Patience that ends just as a place comes free neither loses nor doubles it.
    """
    gate = Gate(2, 100)
    runtime = BlockingRuntime()
    refused: list[None] = []

    def work() -> None:
        for _ in range(100):
            try:
                if not gate.enter():
                    run(wait_in_line(gate, Request("GET", "http://a/"), runtime, 0.0002, "gate"))
            except BulkheadFull:
                refused.append(None)
                continue
            gate.release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert GateStats(0, 2, 0, 100) == gate.stats()


class Interrupted:
    """A lock in whose first keeping a finaliser runs."""

    def __init__(self, lock: Any, finaliser: Callable[[], object]) -> None:
        self._lock = lock
        self._finaliser: Callable[[], object] | None = finaliser
        self.acquire = lock.acquire
        self.release = lock.release

    def __enter__(self) -> None:
        self._lock.acquire()
        finaliser, self._finaliser = self._finaliser, None
        if finaliser is not None:
            finaliser()

    def __exit__(self, *args: object) -> None:
        self._lock.release()


@pytest.mark.parametrize(
    "step",
    [
        lambda gate: gate.join(Waiter(BlockingRuntime())),
        lambda gate: gate.end(Waiter(BlockingRuntime())),
        lambda gate: gate.resize(1),
        lambda gate: gate.stats(),
    ],
    ids=["join", "end", "resize", "stats"],
)
def test_giving_back_in_the_midst_of_a_step(step: Callable[[Gate], object]) -> None:
    """
    As a finaliser does: it does not wait for the lock, and the step's end does its work.
    """
    gate = Gate(1, 1)
    assert gate.enter()
    waiter = Waiter(BlockingRuntime())
    assert gate.join(waiter)
    gate._lock = Interrupted(gate._lock, gate.release)  # type: ignore[assignment]

    step(gate)

    assert waiter.granted
    assert waiter.event.is_set()
    assert GateStats(1, 1, 0, 1) == gate.stats()


class Crowded(deque[None]):
    """The places, one of which another thread takes in the midst of a step."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate._inside)
        self.comes = False

    def append(self, place: None) -> None:
        super().append(place)
        if self.comes:
            self.comes = False
            super().append(None)


def test_two_who_come_at_once_for_the_last_place() -> None:
    """
    There are never more inside than may be: both get in line, where the first of them is let through.
    """
    gate = Gate(1, 2)
    gate._inside = inside = Crowded(gate)
    inside.comes = True

    assert not gate.enter()
    # The other one finds the same, and gives its own back.
    gate.release()

    waiters = [Waiter(BlockingRuntime()) for _ in range(2)]
    assert [True, True] == [gate.join(waiter) for waiter in waiters]
    assert [True, False] == [waiter.granted for waiter in waiters]
    assert GateStats(1, 1, 1, 2) == gate.stats()


def test_a_place_that_comes_free_while_one_gets_in_line() -> None:
    """
    Who gave it back saw nobody in line; who gets in line looks once more.
    """
    gate = Gate(1, 1)
    assert gate.enter()

    class Line(OrderedDict[Waiter, None]):
        def __setitem__(self, waiter: Waiter, value: None) -> None:
            gate._inside.pop()
            super().__setitem__(waiter, value)

    gate._line = Line()
    waiter = Waiter(BlockingRuntime())

    assert gate.join(waiter)

    assert waiter.granted
    assert waiter.event.is_set()
    assert GateStats(1, 1, 0, 1) == gate.stats()


def test_nobody_is_let_through_to_a_place_that_was_just_taken() -> None:
    """
    Who was on the way in when the line formed may still take it; the first in line waits on.
    """
    gate = Gate(1, 1)
    assert gate.enter()
    gate._inside = inside = Crowded(gate)
    waiter = Waiter(BlockingRuntime())
    assert gate.join(waiter)
    inside.comes = True
    inside.pop()

    gate.stats()

    # It took one too many, and gave it back; the other's stays.
    assert not waiter.granted
    assert GateStats(1, 1, 1, 1) == gate.stats()
    gate.release()
    assert waiter.granted


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_place_is_handed_over_between_a_thread_and_a_loop(colour: Any) -> None:
    """
    Who waits in a loop is woken by a thread that gives its place back.
    """
    gate = Gate(1, 1)
    assert gate.enter()
    timer = threading.Timer(0.05, gate.release)

    async def scenario() -> None:
        timer.start()
        await wait_in_line(gate, Request("GET", "http://a/"), AsyncRuntime(), 20.0, "gate")

    Drive(colour)(scenario)
    timer.join(10)

    assert GateStats(1, 1, 0, 1) == gate.stats()


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_who_waits_in_a_loop_that_has_ended_is_passed_over(library: str) -> None:
    """
    The place goes to the next in line.
    """
    gate = Gate(1, 5)
    assert gate.enter()
    waiters: list[Waiter] = []

    async def make() -> None:
        waiters.append(Waiter(AsyncRuntime()))

    (asyncio.run(make()) if library == "asyncio" else trio.run(make))
    gone = waiters[0]
    # Woken as from another thread.
    gone._thread = None
    alive = Waiter(BlockingRuntime())
    assert gate.join(gone)
    assert gate.join(alive)

    gate.release()

    assert alive.granted
    assert alive.event.is_set()
    # Its coroutine may still be closed by the garbage collector, and must not give the place back twice.
    gate.quit(gone)
    assert GateStats(1, 1, 0, 5) == gate.stats()


def test_a_place_that_came_free_meanwhile_is_taken_at_once(drive: Drive) -> None:
    """
    Between being turned away and getting in line; there is no wait then, and nothing to tell.
    """
    gate = Gate(1, 0)
    runtime = RecordingRuntime(blocking=drive.blocking)
    request = Request("GET", "http://a/")
    events: list[str] = []
    request.observers = (lambda event, fields: events.append(event),)

    drive(lambda: wait_in_line(gate, request, runtime, 2.0, "gate"))

    assert ([], []) == (events, runtime.waited)
    assert GateStats(1, 1, 0, 0) == gate.stats()


# Holding a place


def held(stream: Any, *, blocking: bool) -> tuple[Response, Gate]:
    gate = Gate(1, 0)
    assert gate.enter()
    response = Response(200, stream=stream)
    hold(response, gate, blocking=blocking)
    return response, gate


def test_a_body_that_is_all_here_holds_nothing() -> None:
    gate = Gate(1, 0)
    assert gate.enter()
    response = Response(200, content=b"all of it")
    hold(response, gate, blocking=True)

    assert 0 == gate.stats().active
    assert b"all of it" == response.content


@pytest.mark.parametrize("end", ["read", "close", "iterate"])
def test_the_place_is_given_back_at_the_end_of_the_body(drive: Drive, end: str) -> None:
    """
    Once, however the body ends.
    """
    stream = OpenStream(b"one", b"two")
    response, gate = held(stream, blocking=drive.blocking)
    assert 1 == gate.stats().active

    async def scenario() -> None:
        if drive.blocking:
            if end == "read":
                assert b"onetwo" == response.read()
            elif end == "iterate":
                assert [b"one", b"two"] == list(response.iter_bytes())
            response.close()
        else:
            if end == "read":
                assert b"onetwo" == await response.aread()
            elif end == "iterate":
                assert [b"one", b"two"] == [piece async for piece in response.aiter_bytes()]
            await response.aclose()

    drive(scenario)

    assert stream.closed
    assert 0 == gate.stats().active


def test_a_layer_may_close_a_clients_response() -> None:
    """
    Under a `Client` it is awaited there, and nothing suspends.
    """
    stream = OpenStream(b"one")
    response, gate = held(stream, blocking=True)

    run(response.aclose())

    assert stream.closed
    assert 0 == gate.stats().active


def test_a_stream_that_fails_to_close_gives_the_place_back(drive: Drive) -> None:
    class Failing(OpenStream):
        def close(self) -> None:
            raise OSError("gone")

        async def aclose(self) -> None:
            raise OSError("gone")

    response, gate = held(Failing(), blocking=drive.blocking)

    async def scenario() -> None:
        if drive.blocking:
            response.close()
        else:
            await response.aclose()

    with pytest.raises(OSError, match="gone"):
        drive(scenario)

    assert 0 == gate.stats().active


def test_a_forgotten_response_gives_its_place_back() -> None:
    """
    When it is collected; and that once, though it was closed before.
    """
    for blocking in (True, False):
        response, gate = held(OpenStream(b"one"), blocking=blocking)
        del response
        gc.collect()
        assert 0 == gate.stats().active

        response, gate = held(OpenStream(b"one"), blocking=True)
        response.close()
        del response
        gc.collect()
        assert 0 == gate.stats().active


def test_a_held_stream_has_its_clients_colour() -> None:
    """
    That of an `AsyncClient` cannot be iterated synchronously.
    """
    response, _ = held(OpenStream(), blocking=False)
    assert not isinstance(response.stream, SyncByteStream)
    response, _ = held(OpenStream(), blocking=True)
    assert isinstance(response.stream, SyncByteStream)
    assert isinstance(response.stream, AsyncByteStream)


def test_a_stream_keeps_its_own_way_of_being_received(drive: Drive) -> None:
    """
    What receives itself as a whole still does so.
    """

    class Gathering(OpenStream):
        def gather(self, kept: Any) -> None:
            kept.add(b"gathered")

        async def agather(self, kept: Any) -> None:
            kept.add(b"gathered")

    response, gate = held(Gathering(), blocking=drive.blocking)

    async def scenario() -> bytes:
        return response.read() if drive.blocking else await response.aread()

    assert b"gathered" == drive(scenario)
    assert 0 == gate.stats().active


def test_a_closed_response_holds_nothing() -> None:
    gate = Gate(1, 0)
    assert gate.enter()
    response = open_response(200)
    response.close()
    hold(response, gate, blocking=True)

    assert 0 == gate.stats().active


def test_stats_show_as_a_status_line() -> None:
    assert "<Gate 0 of 2 under way, 0 of 1 waiting>" == repr(Gate(2, 1))
