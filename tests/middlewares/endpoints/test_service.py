"""`Service` under arbitrary histories: its books stay right, and it never runs out of endpoints to use."""

from __future__ import annotations

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scallion.middlewares.endpoints.choices import (
    Choice,
    ConsistentHash,
    LeastPending,
    PowerOfTwo,
    RoundRobin,
)
from scallion.middlewares.endpoints.ejection import Ejection
from scallion.middlewares.endpoints.endpoint import Endpoint
from scallion.middlewares.endpoints.members import Member
from scallion.middlewares.endpoints.service import Service
from scallion.middlewares.endpoints.sources import Found, Static
from scallion.middlewares.endpoints.uses import Tried, Use
from scallion.pipeline.request import Request
from scallion.pipeline.runtime import run
from support.worlds import World

CHOICES: list[Choice] = [
    ConsistentHash(),
    ConsistentHash(bound=1.25),
    LeastPending(),
    PowerOfTwo(),
    RoundRobin(),
]
ENDPOINTS = [
    Endpoint(f"10.0.0.{number}", weight=1 + number % 2, priority=number // 4)
    for number in range(12)
]
SOME = st.lists(st.sampled_from(ENDPOINTS), min_size=1, max_size=12, unique=True)


class Balancing(RuleBasedStateMachine):
    """Attempts begin, are answered, fail, are cancelled and forgotten; endpoints come and go; time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.open: list[Use] = []
        self.calls = [Tried() for _ in range(3)]
        self.seen: set[Member] = set()

    @initialize(
        choice=st.sampled_from(CHOICES),
        endpoints=SOME,
        slow_start=st.sampled_from([0.0, 20.0]),
        share=st.sampled_from([0.1, 0.5, 1.0]),
    )
    def begin(
        self, choice: Choice, endpoints: list[Endpoint], slow_start: float, share: float
    ) -> None:
        self.ejection = Ejection(failures=2, share=share)
        self.service = Service(
            "orders",
            Static(endpoints),
            choice,
            self.ejection,
            slow_start,
            30.0,
            random.Random(1).random,
        )
        run(self.service.refresh(Request("GET", "http://orders/"), World(now=self.now)))

    @rule(call=st.integers(0, 2), key=st.sampled_from([None, "a", "b", "c"]))
    def choose(self, call: int, key: str | None) -> None:
        tried = self.calls[call]
        request = Request("GET", "http://orders/")
        use = self.service.choose(request, tried, self.now, key, False)
        usable = [each for each in self.service.members if not each.out]
        untried = set(usable) - tried.failed - set(tried.pending[:-1])

        assert use.member in self.service.members
        assert use.panic == (not usable)
        assert use.panic or use.member in usable
        assert use.member in untried or not untried
        # Nobody better was to be had.
        among = untried or set(usable) - set(tried.pending[:-1]) or set(usable)
        among = among or set(self.service.members) - tried.failed - set(tried.pending[:-1])
        best = min((each.endpoint.priority for each in among), default=0)
        assert not among or best == use.member.endpoint.priority
        self.open.append(use)
        self.seen.add(use.member)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 50), failed=st.sampled_from([True, False, None]))
    def answer(self, which: int, failed: bool | None) -> None:
        use = self.open.pop(which % len(self.open))
        use.answered(self.now, failed=failed)
        use.end(self.now, failed=False if failed is False else None)
        # Bodies may be told to have ended more than once.
        use.end(self.now)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 50))
    def cancel(self, which: int) -> None:
        use = self.open.pop(which % len(self.open))
        before = use.member.failures
        use.waited(self.now)
        use.end(self.now, failed=None)
        assert before == use.member.failures

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 50))
    def forget(self, which: int) -> None:
        use = self.open.pop(which % len(self.open))
        use.lost()
        use.lost()
        with self.service.lock:
            while self.service.lost:
                self.service.lost.popleft().over(self.now, failed=False)

    @rule(endpoints=SOME)
    def resolve(self, endpoints: list[Endpoint]) -> None:
        with self.service.lock:
            self.service._take(Found(tuple(endpoints), 30.0), self.now)
        assert set(endpoints) == {member.endpoint for member in self.service.members}

    @rule(seconds=st.sampled_from([0.1, 5.0, 31.0, 400.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def pending_is_what_is_open(self) -> None:
        for member in self.seen:
            assert sum(use.member is member for use in self.open) == member.pending

    @invariant()
    def the_ejected_are_counted_and_stay_few(self) -> None:
        if not hasattr(self, "service"):
            return
        out = sum(member.out for member in self.service.members)
        assert out == self.service._out
        for member in self.service.members:
            assert member.ejected_until is None or member.ejected_until <= self.now + 300.0

    @invariant()
    def the_state_can_be_shown(self) -> None:
        if hasattr(self, "service"):
            assert "orders" in str(self.service.state())


Balancing.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBalancing = Balancing.TestCase
