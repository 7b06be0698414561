"""One circuit: a state machine against a plain model, and its rules one by one."""

from __future__ import annotations

import itertools
import sys
import threading
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from scallion.middlewares.circuit_state import BUCKETS, Circuit, CircuitRules

RULES = CircuitRules(
    ratio=0.5,
    minimum=4,
    window=30.0,
    break_for=5.0,
    growth=2.0,
    longest=12.0,
    jitter=0.2,
    probes=1,
    random=lambda: 0.5,
)
# Half of the jitter is taken from each break.
BREAKS = [4.5, 9.0, 10.8, 10.8]


class Told:
    """What observers hear."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))

    @property
    def names(self) -> list[str]:
        return [event.removeprefix("breaker.") for event, _ in self.events]


def circuit_of(**changes: Any) -> Circuit:
    values = {name: getattr(RULES, name) for name in RULES.__slots__}
    return Circuit("http://a:80", CircuitRules(**{**values, **changes}))


def send(circuit: Circuit, now: float, ok: bool | None, told: Told | None = None) -> bool:
    """One request that takes no time; whether it was let through."""
    told = told or Told()
    number = entered(circuit, now, told)
    if number is not None:
        left(circuit, number, now, ok, told)
    return number is not None


def entered(circuit: Circuit, now: float, told: Told) -> int | None:
    """As the layer does it, which does not ask a circuit that is closed."""
    passing = circuit.passing
    number = circuit.enter(now, told)
    assert passing is None or passing == number
    return number


def left(circuit: Circuit, number: int, now: float, ok: bool | None, told: Told) -> None:
    """As the layer does it, which does not tell all of a success."""
    if not ok or not circuit.succeeded(number, now):
        circuit.leave(number, now, ok, told)


def opened(circuit: Circuit, now: float = 1000.0, told: Told | None = None) -> Circuit:
    for _ in range(4):
        assert send(circuit, now, False, told)
    return circuit


class Machine(RuleBasedStateMachine):
    """Requests begin and end in any order; the model keeps every result and counts anew each time."""

    under_way = Bundle("under_way")
    succeeded = Bundle("succeeded")
    PROBES = 2

    def __init__(self) -> None:
        super().__init__()
        self.circuit = circuit_of(probes=self.PROBES)
        self.now = 1000.0
        self.told = Told()
        self.expected: list[str] = []
        # The model.
        self.phase = "closed"
        self.forced = False
        self.era = 0
        self.results: list[list[Any]] = []
        self.breaks = 0
        self.until = 0.0
        self.probing = self.passed = 0

    def turn(self, phase: str, event: str | None) -> None:
        self.phase = phase
        self.era += 1
        self.probing = self.passed = 0
        if event is not None:
            self.expected.append(event)
        if phase == "closed":
            self.breaks = 0
            self.results = []

    def counted(self) -> list[bool]:
        width = RULES.window / BUCKETS
        return [
            failed for when, failed in self.results if self.now // width - when // width < BUCKETS
        ]

    def fail(self) -> None:
        self.until = self.now + BREAKS[min(self.breaks, 3)]
        breaks = self.breaks
        self.turn("open", "opened")
        self.breaks = breaks + 1

    @rule(seconds=st.sampled_from([0.0, 0.5, 2.9, 3.0, 4.5, 10.0, 27.0, 30.0, 90.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=under_way)
    def begin(self) -> tuple[int, int] | None:
        if self.phase == "open" and not self.forced and self.now >= self.until:
            self.turn("half-open", "half_open")
        passes = self.phase == "closed" or (
            self.phase == "half-open" and self.probing + self.passed < self.PROBES
        )
        self.probing += passes and self.phase == "half-open"

        number = entered(self.circuit, self.now, self.told)

        assert passes == (number is not None)
        return None if number is None else (number, self.era)

    def count(self, *, ok: bool) -> None:
        counted = self.counted()
        bad = len(counted) >= RULES.minimum and sum(counted) * 2 >= len(counted)
        if not ok and bad and not self.forced:
            self.fail()

    @rule(
        target=succeeded,
        request=consumes(under_way),
        ok=st.sampled_from([True, True, False, False, None]),
    )
    def end(self, request: tuple[int, int] | None, ok: bool | None) -> tuple[Any, ...] | None:
        if request is None:
            return None
        number, era = request
        result = [self.now, not ok]
        if era == self.era:
            if self.phase == "half-open":
                self.probing -= 1
                if ok:
                    self.passed += 1
                    if self.passed == self.PROBES:
                        self.turn("closed", "closed")
                elif ok is False:
                    self.fail()
                else:
                    self.expected.append("probe_given_back")
            elif ok is not None:
                self.results.append(result)
                self.count(ok=ok)

        then = self.now
        left(self.circuit, number, then, ok, self.told)
        return (number, era, then, result) if ok else None

    @rule(success=consumes(succeeded))
    def fail_later(self, success: tuple[int, int, float, list[Any]] | None) -> None:
        if success is None:
            return
        number, era, then, result = success
        if era == self.era:
            if self.phase == "half-open":
                self.fail()
            else:
                width = RULES.window / BUCKETS
                if self.now // width - then // width < BUCKETS:
                    result[1] = True
                else:
                    self.results.append([self.now, True])
                self.count(ok=False)

        self.circuit.spoil(number, then, self.now, self.told)

    @rule(phase=st.sampled_from(["open", "closed"]))
    def force(self, phase: Any) -> None:
        self.circuit.force(phase)
        self.turn("closed", None)
        self.phase = phase
        self.forced = True

    @rule()
    def release(self) -> None:
        self.circuit.release()
        if self.forced:
            self.turn("closed", None)
            self.forced = False

    @invariant()
    def state_is_the_models(self) -> None:
        state = self.circuit.state(self.now)
        phase = self.phase
        if phase == "open" and not self.forced and self.now >= self.until:
            phase = "half-open"
        assert (phase, self.forced, self.breaks, self.probing) == (
            state.phase,
            state.forced,
            state.breaks,
            state.probing,
        )
        assert state.probing <= self.PROBES
        if phase == "closed":
            counted = self.counted()
            assert (len(counted), sum(counted)) == (state.requests, state.failures)
        if phase == "open" and not self.forced:
            assert self.until - self.now == state.retry_after
        else:
            assert state.retry_after is None

    @invariant()
    def events_are_the_models(self) -> None:
        assert self.expected == self.told.names


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_few_failures_do_not_open_it() -> None:
    """
    Below the minimum nothing is known, whatever the ratio.
    """
    circuit = circuit_of()
    for _ in range(3):
        send(circuit, 1000.0, False)

    assert "closed" == circuit.state(1000.0).phase
    send(circuit, 1000.0, False)
    assert "open" == circuit.state(1000.0).phase


def test_a_low_share_does_not_open_it() -> None:
    """
    More successes than failures keep it closed, and a success never opens it.
    """
    circuit = circuit_of()
    for ok in (True, True, False, True, False):
        send(circuit, 1000.0, ok)
    assert "closed" == circuit.state(1000.0).phase

    send(circuit, 1000.0, False)
    assert "open" == circuit.state(1000.0).phase


def test_old_failures_are_forgotten() -> None:
    """
    What lies further back than the window does not count.
    """
    circuit = circuit_of()
    for _ in range(3):
        send(circuit, 1000.0, False)
    send(circuit, 1030.0, False)

    assert "closed" == circuit.state(1030.0).phase
    assert 1 == circuit.state(1030.0).requests


def test_each_break_is_longer() -> None:
    """
    They grow up to the longest, and begin anew once the circuit was closed.
    """
    told = Told()
    circuit = opened(circuit_of(), told=told)
    now = 1000.0
    for seconds in BREAKS:
        assert not send(circuit, now + seconds - 0.01, True)
        now += seconds
        assert send(circuit, now, False, told)
    now += BREAKS[-1]
    send(circuit, now, True, told)
    opened(circuit, now, told)

    assert [*BREAKS, BREAKS[-1], BREAKS[0]] == [
        fields["seconds"] for event, fields in told.events if event == "breaker.opened"
    ]
    assert ("breaker.closed", {"origin": "http://a:80", "after": now - 1000.0}) in told.events


def test_many_breaks_do_not_overflow() -> None:
    """
    The longest is the longest, after whatever number of breaks.
    """
    assert 60.0 == circuit_of(longest=60.0, jitter=0.0)._rules.break_after(5000)


def test_jitter_makes_a_break_shorter() -> None:
    """
    By the share that is drawn, and never longer than it should be.
    """
    for drawn, seconds in ((0.0, 5.0), (0.5, 4.0), (0.999, 3.002)):
        rules = circuit_of(jitter=0.4, random=lambda drawn=drawn: drawn)._rules
        assert round(rules.break_after(0), 9) == seconds


def test_late_answers_do_not_count() -> None:
    """
    What began before it opened neither closes it nor opens it for longer.
    """
    told = Told()
    circuit = circuit_of()
    early = circuit.enter(1000.0, told)
    assert early is not None
    opened(circuit)
    probe = circuit.enter(1010.0, told)
    circuit.leave(early, 1010.0, False, told)
    circuit.leave(early, 1010.0, True, told)

    assert ["half_open"] == told.names
    assert probe is not None
    circuit.leave(probe, 1011.0, True, told)
    assert ["half_open", "closed"] == told.names


def test_a_lost_probe_is_given_back() -> None:
    """
    The next request takes its place, at once.
    """
    told = Told()
    circuit = opened(circuit_of())
    assert send(circuit, 1010.0, None, told)
    assert "half-open" == circuit.state(1010.0).phase

    assert send(circuit, 1010.0, True, told)
    assert ["half_open", "probe_given_back", "closed"] == told.names


def test_what_was_done_by_hand_is_told_once() -> None:
    """
    In its order; to release what was not forced is nothing.
    """
    told, circuit = Told(), circuit_of()
    circuit.release()
    circuit.force("open")
    circuit.force("closed")
    circuit.release()
    circuit.tell_news(told)
    circuit.tell_news(told)

    assert ["forced_open", "forced_closed", "released"] == told.names
    assert all({"origin": "http://a:80"} == fields for _, fields in told.events)


def test_states_show_as_a_status_line() -> None:
    circuit = circuit_of()
    assert "<Circuit closed, 0 of 0 failed>" == repr(circuit.state(1000.0))
    opened(circuit)
    assert "<Circuit open for 4.5 s, 4 of 4 failed>" == repr(circuit.state(1000.0))
    circuit.enter(1010.0, Told())
    assert "<Circuit half-open, 1 probing, 4 of 4 failed>" == repr(circuit.state(1010.0))
    circuit.force("open")
    assert "<Circuit forced open, 0 of 0 failed>" == repr(circuit.state(1010.0))


def test_a_moment_that_is_older_than_the_last_is_counted_with_it() -> None:
    """
    Threads read the clock before they hold the lock.
    """
    circuit = circuit_of()
    send(circuit, 1004.0, True)
    send(circuit, 1002.0, False)

    assert (2, 1) == (circuit.state(1004.0).requests, circuit.state(1004.0).failures)


def test_threads_share_one_probe() -> None:
    """
    However many come at the same time, one of them passes.
    """
    circuit = opened(circuit_of())
    passed: list[int | None] = []
    barrier = threading.Barrier(8)

    def come() -> None:
        barrier.wait(10)
        passed.append(circuit.enter(1010.0, Told()))

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert 1 == sum(number is not None for number in passed)
    assert 8 == len(passed)


def test_threads_lose_no_result() -> None:
    """
    Every result of every thread is counted, once.
    """
    circuit = circuit_of(minimum=10_000)

    def work() -> None:
        for index in range(500):
            send(circuit, 1000.0, index % 2 == 0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    state = circuit.state(1000.0)
    assert (2000, 1000) == (state.requests, state.failures)


def test_a_success_that_fails_later_opens_the_circuit() -> None:
    """
    It is counted once, as what it turned out to be.
    """
    circuit, told = circuit_of(), Told()
    numbers = [circuit.enter(1000.0, told) for _ in range(4)]
    for number in numbers:
        assert number is not None
        circuit.leave(number, 1000.0, True, told)

    for number in numbers[:2]:
        assert number is not None
        circuit.spoil(number, 1000.0, 1010.0, told)

    assert ["opened"] == told.names
    assert (2, 4) == (told.events[0][1]["failures"], told.events[0][1]["requests"])


def test_a_success_that_has_left_the_window_fails_anew() -> None:
    """
    There are never more failures than requests.
    """
    circuit, told = circuit_of(), Told()
    number = circuit.enter(1000.0, told)
    assert number is not None
    circuit.leave(number, 1000.0, True, told)

    circuit.spoil(number, 1000.0, 1100.0, told)

    state = circuit.state(1100.0)
    assert (1, 1) == (state.requests, state.failures)
    assert (0, 0) == (circuit.state(1200.0).requests, circuit.state(1200.0).failures)


def test_what_fails_later_leaves_the_window_with_its_request() -> None:
    """
    Not a window after the failure.
    """
    circuit, told = circuit_of(), Told()
    number = circuit.enter(1000.0, told)
    assert number is not None
    circuit.leave(number, 1000.0, True, told)
    circuit.spoil(number, 1000.0, 1020.0, told)

    assert (1, 1) == (circuit.state(1020.0).requests, circuit.state(1020.0).failures)
    assert (0, 0) == (circuit.state(1031.0).requests, circuit.state(1031.0).failures)


def test_one_probe_of_several_that_fails_later_opens_again() -> None:
    """
    As long as the circuit has not closed.
    """
    circuit, told = circuit_of(probes=2), Told()
    opened(circuit, told=told)
    number = circuit.enter(1006.0, told)
    assert number is not None
    circuit.leave(number, 1006.0, True, told)

    circuit.spoil(number, 1006.0, 1007.0, told)
    circuit.spoil(number, 1006.0, 1007.0, told)

    assert ["opened", "half_open", "opened"] == told.names


def test_a_forced_circuit_is_not_opened_by_what_fails_later() -> None:
    circuit, told = circuit_of(minimum=1), Told()
    circuit.force("closed")
    number = circuit.enter(1000.0, told)
    assert number is not None
    circuit.leave(number, 1000.0, True, told)

    circuit.spoil(number, 1000.0, 1001.0, told)

    assert "closed" == circuit.state(1001.0).phase
    assert [] == told.names


def test_successes_of_many_threads_are_all_counted() -> None:
    """
    Without a lock, and over the ends of the window's steps.
    """
    circuit = circuit_of(minimum=100_000)
    clock = itertools.count()
    told = Told()

    def work() -> None:
        for _ in range(500):
            number = entered(circuit, 1000.0, told)
            assert number is not None
            # Eight tenths of the window pass meanwhile, so all are still in it.
            left(
                circuit,
                number,
                1000.0 + next(clock) / 4000 * 8 * RULES.window / BUCKETS,
                True,
                told,
            )

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    finally:
        sys.setswitchinterval(before)

    assert 4000 == circuit.state(1000.0).requests


def test_a_success_of_an_earlier_state_is_not_counted() -> None:
    """
    It was sent before the circuit was forced closed, and says nothing since then.
    """
    circuit, told = circuit_of(), Told()
    number = entered(circuit, 1000.0, told)
    assert number is not None
    circuit.force("closed")
    assert send(circuit, 1000.0, True)

    left(circuit, number, 1000.0, True, told)

    assert 1 == circuit.state(1000.0).requests


def test_nobody_passes_while_it_is_forced_open() -> None:
    """
    Not at any moment in between: a success would close it again.
    """
    passing: list[int | None] = []

    class Watched(Circuit):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if name == "passing":
                passing.append(value)

    circuit = Watched("http://a:80", RULES)
    passing.clear()

    circuit.force("open")

    assert {None} == set(passing)
