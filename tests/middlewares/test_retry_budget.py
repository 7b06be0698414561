"""The retry budget: its arithmetic, and what it does to retries."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from scallion.middlewares.retries import FullJitter, Retries
from scallion.middlewares.retry_budget import BUDGET_KEY, RetryBudget
from scallion.pipeline.errors import (
    CircuitOpen,
    ConnectError,
    PoolTimeout,
    ReadError,
    TransportError,
)
from scallion.pipeline.onion import Next, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from support.colours import Drive
from support.servers import ScriptedServer, close, expect, respond
from support.together import together
from support.wire import Wire, request
from support.worlds import World, noted, play

URL = "http://example.org/"
NOTHING = RetryBudget(0.0, 10.0, 0.0)


def get(url: str = URL) -> Request:
    return Request("GET", url)


def granted(budget: RetryBudget, now: float, url: str = URL) -> int:
    """How many withdrawals there are to be had."""
    count = 0
    while budget.withdraw(get(url), now):
        count += 1
    return count


# Arithmetic


@pytest.mark.parametrize(
    ("share", "floor", "deposits", "expected"),
    [
        (0.2, 0.0, 4, 0),
        (0.2, 0.0, 5, 1),
        (0.2, 0.0, 100, 20),
        (0.29, 0.0, 100, 29),
        (0.1, 0.0, 30, 3),
        (1 / 3, 0.0, 3, 1),
        (0.0, 0.5, 1000, 5),
        (0.2, 10.0, 0, 100),
        (0.2, 10.0, 10, 102),
    ],
)
def test_a_share_of_the_first_attempts_and_the_floor(
    share: float, floor: float, deposits: int, expected: int
) -> None:
    """
    Fractions add up to wholes; the floor is there from the beginning.
    """
    budget = RetryBudget(share, 10.0, floor)
    for _ in range(deposits):
        budget.deposit(get(), 1000.0)

    assert expected == pytest.approx(budget.balance(get(), 1000.0), abs=1)
    assert expected == granted(budget, 1000.0)
    assert not budget.withdraw(get(), 1000.0)
    assert 1 > budget.balance(get(), 1000.0)


def test_first_attempts_are_forgotten_with_the_window() -> None:
    """
    After nine tenths at the earliest, after the whole at the latest.
    """
    budget = RetryBudget(1.0, 10.0, 0.0)
    budget.deposit(get(), 1000.5)

    assert 1.0 == budget.balance(get(), 1009.9)
    assert 0.0 == budget.balance(get(), 1010.0)


def test_retries_are_remembered_for_one_tenth_more() -> None:
    """
    So that no window, wherever it begins, has more than it may.
    """
    budget = RetryBudget(0.0, 10.0, 0.1)
    assert budget.withdraw(get(), 1000.5)

    assert not budget.withdraw(get(), 1010.9)
    assert budget.withdraw(get(), 1011.0)


def test_time_that_stood_still_for_long_leaves_nothing() -> None:
    budget = RetryBudget(1.0, 10.0, 0.0)
    for now in range(1000, 1010):
        budget.deposit(get(), float(now))
    budget.withdraw(get(), 1009.0)

    assert 0.0 == budget.balance(get(), 1e9)
    assert 0 == granted(budget, 1e9)


def test_a_clock_that_was_read_too_early_counts_as_now() -> None:
    """
    Threads come to the lock in another order than to the clock.
    """
    budget = RetryBudget(1.0, 10.0, 0.0)
    budget.deposit(get(), 1020.0)
    budget.deposit(get(), 1005.0)

    assert 2 == granted(budget, 1004.0)
    assert 0 == granted(budget, 1020.0)


def test_each_origin_has_its_own() -> None:
    """
    One that fails does not use up what another needs.
    """
    budget = RetryBudget(0.0, 10.0, 0.1)
    assert 1 == granted(budget, 1000.0, "http://a/")

    assert 1 == granted(budget, 1000.0, "http://b/")
    assert {("http", "a", 80): 0.0, ("http", "b", 80): 0.0} == budget.balances(1000.0)
    assert {("http", "a", 80): 1.0, ("http", "b", 80): 1.0} == budget.balances(2000.0)


class BudgetMachine(RuleBasedStateMachine):
    """Deposits and withdrawals at any times; the model counts them one by one in an exact window."""

    @initialize(
        share=st.sampled_from([0.0, 0.1, 0.2, 1 / 3, 1.0, 2.5]),
        window=st.sampled_from([1.0, 2.5, 10.0, 60.0]),
        floor=st.sampled_from([0.0, 0.1, 0.4, 1.0]),
    )
    def begin(self, share: float, window: float, floor: float) -> None:
        self.budget = RetryBudget(share, window, floor)
        # In halves of a tenth, so that nothing lies on the edge of one by rounding.
        self.halves = 2001
        self.deposits: list[int] = []
        self.withdrawals: list[int] = []

    @property
    def now(self) -> float:
        return self.halves * self.budget.window / 20

    def count(self, times: list[int], halves: int) -> int:
        """How many were less than so many halves of a tenth ago."""
        return sum(self.halves - time < halves for time in times)

    def allowed(self, deposits: int) -> float:
        return self.budget.share * deposits + self.budget.floor * self.budget.window + 1e-6

    @rule(tenths=st.sampled_from([1, 1, 2, 3, 8, 9, 10, 11, 12, 25]))
    def pass_time(self, tenths: int) -> None:
        self.halves += 2 * tenths

    @rule(number=st.integers(1, 12))
    def deposit(self, number: int) -> None:
        for _ in range(number):
            self.budget.deposit(get(), self.now)
            self.deposits.append(self.halves)

    @rule()
    def withdraw(self) -> None:
        # The most that may be granted, and the least that must be.
        most = self.allowed(self.count(self.deposits, 20))
        least = self.allowed(self.count(self.deposits, 18)) - 2e-6
        if self.budget.withdraw(get(), self.now):
            self.withdrawals.append(self.halves)
            assert self.count(self.withdrawals, 20) <= most
        else:
            assert self.count(self.withdrawals, 22) + 1 > least

    @invariant()
    def the_balance_is_what_is_granted(self) -> None:
        if not hasattr(self, "budget"):
            return
        balance = self.budget.balance(get(), self.now)
        assert 0 <= balance <= self.allowed(self.count(self.deposits, 20))

    @rule()
    def withdraw_all(self) -> None:
        balance = self.budget.balance(get(), self.now)
        number = granted(self.budget, self.now)
        self.withdrawals += [self.halves] * number
        assert int(balance + 1e-6) == number

    @invariant()
    def it_is_bounded(self) -> None:
        for account in getattr(self, "budget", NOTHING)._accounts.known().values():
            assert 11 == len(account.deposits) == len(account.withdrawals)


BudgetMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestBudgetMachine = BudgetMachine.TestCase


def test_threads_get_no_more_than_there_is() -> None:
    """
    Neither withdrawals nor deposits are lost between them.
    """
    budget = RetryBudget(0.5, 10.0, 0.0)
    got: list[int] = []
    barrier = threading.Barrier(8)

    def hammer() -> None:
        barrier.wait(10)
        mine = 0
        for _ in range(500):
            budget.deposit(get(), 1000.0)
            mine += budget.withdraw(get(), 1000.0)
            mine += budget.withdraw(get(), 1000.0)
        got.append(mine)

    threads = [threading.Thread(target=hammer, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert 2000 == sum(got) + granted(budget, 1000.0)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"share": -0.1}, ValueError, "share must be a finite number, at least 0: -0.1"),
        ({"share": "20 %"}, TypeError, "share must be a number: '20 %'"),
        ({"window": 0}, ValueError, "window must be more than 0 seconds"),
        ({"window": float("inf")}, ValueError, "window must be a finite number"),
        ({"floor": float("nan")}, ValueError, "floor must be a finite number"),
        ({"floor": True}, TypeError, "floor must be a number: True"),
    ],
)
def test_settings_are_validated(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    """
    The error says what was given and what was expected.
    """
    with pytest.raises(error, match=message):
        RetryBudget(**settings)


def test_it_is_a_value_that_shows_its_numbers() -> None:
    """
    What it has counted is no part of it.
    """
    spent = RetryBudget()
    spent.withdraw(get(), 0.0)

    assert RetryBudget() == spent
    assert hash(RetryBudget()) == hash(spent)
    assert "RetryBudget(share=0.2, window=10.0, floor=10.0)" == repr(spent)


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))]
)
def test_a_copy_counts_for_itself(again: Callable[[RetryBudget], RetryBudget]) -> None:
    """
    It has the same settings, and a past of its own.
    """
    budget = RetryBudget(0.0, 10.0, 0.1)
    budget.withdraw(get(), 1000.0)
    other = again(budget)

    assert budget == other
    assert 0.0 == budget.balance(get(), 1000.0)
    assert 1.0 == other.balance(get(), 1000.0)


# With retries


def retrying(budget: RetryBudget | None, **more: Any) -> Retries:
    return Retries(wait=FullJitter(0.2, 2.0, random=lambda: 0.5), budget=budget, **more)


def test_retries_end_with_the_budget(drive: Drive) -> None:
    """
    The last answer is returned, open and at once, and the observers learn why.
    """
    request = get()
    events = noted(request)
    last = Response(503)
    world = World([Response(502), last])

    assert last is play([retrying(RetryBudget(0.0, 10.0, 0.1))], request, world, drive)
    assert [0.1] == world.slept
    assert [
        ("retry", {"attempt": 2, "wait": 0.1, "reason": "502"}),
        ("retry.budget_exhausted", {"attempt": 2, "origin": "http://example.org:80"}),
        ("retry.end", {"attempt": 2, "reason": "the retry budget is exhausted"}),
    ] == events


def test_first_attempts_are_free(drive: Drive) -> None:
    """
    However exhausted the budget is, each call is sent once.
    """
    for error in (Response(503), ReadError("cut off")):
        world = World([error])
        try:
            play([retrying(NOTHING)], get(), world, drive)
        except ReadError:
            pass
        assert 1 == len(world.asked)


def test_an_outage_is_not_multiplied(drive: Drive) -> None:
    """
    A hundred calls make a hundred and twenty requests, and not three hundred.
    """
    budget = RetryBudget(0.2, 10.0, 0.0)
    world = World([Response(503)] * 300)

    async def scenario() -> None:
        send = compose([retrying(budget)], world.transport, world, strict=True)
        for _ in range(100):
            await send(get())

    world.blocking = drive.blocking
    world.sleep = _no_time  # type: ignore[method-assign]
    drive(scenario)

    assert 120 == len(world.asked)


async def _no_time(seconds: float) -> None:
    pass


def test_one_origins_outage_is_its_own(drive: Drive) -> None:
    """
    Requests elsewhere are tried again as ever.
    """
    retries = retrying(RetryBudget(0.0, 10.0, 0.1))
    play([retries], get("http://a/"), World([Response(503)] * 2), drive)

    world = World([Response(503), Response(200)])
    assert 200 == play([retries], get("http://b/"), world, drive).status_code


@pytest.mark.parametrize("error", [ConnectError, PoolTimeout, CircuitOpen])
def test_what_never_left_is_free_once(drive: Drive, error: type[TransportError]) -> None:
    """
    It loads no server. A second time it might: the next one needs the budget's leave.
    """
    request = Request("POST", URL)
    retries = retrying(NOTHING, on=(error,))
    world = World([error("no", request=request), Response(201)])
    assert 201 == play([retries], request, world, drive).status_code

    world = World([error("no", request=request)] * 2)
    with pytest.raises(error):
        play([retries], request, world, drive)


def test_what_is_free_still_counts_as_an_attempt(drive: Drive) -> None:
    """
    `attempts` bounds what a caller waits for, whoever pays.
    """
    world = World([ConnectError("no")])

    with pytest.raises(ConnectError):
        play([retrying(RetryBudget(), attempts=1)], get(), world, drive)


def test_what_is_refused_elsewhere_costs_nothing(drive: Drive) -> None:
    """
    The budget is asked last: a POST that must not be repeated does not use it up.
    """
    budget = RetryBudget(0.0, 10.0, 0.1)
    play([retrying(budget)], Request("POST", URL), World([Response(503)]), drive)

    assert 1.0 == budget.balance(get(), 1000.0)


def test_layers_that_share_a_budget_deposit_once(drive: Drive) -> None:
    """
    The outer one does, for all attempts of its call; another budget is another matter.
    """
    budget, other = RetryBudget(1.0, 10.0, 0.0), RetryBudget(1.0, 10.0, 0.0)

    async def hedging(request: Request, call_next: Next) -> Response:
        for each in (budget, other):
            each.deposit(request, call_next.runtime.clock())
        return await call_next(request)

    request = get()
    extensions = request.extensions
    play([retrying(budget), hedging], request, World([Response(503), Response(200)]), drive)

    assert 0.0 == budget.balance(get(), 1000.1)
    assert 2.0 == other.balance(get(), 1000.1)
    assert extensions is request.extensions
    assert BUDGET_KEY not in extensions


def test_calls_at_once_share_it(drive: Drive) -> None:
    """
    Tasks and threads together get what there is, and no more.
    """
    budget = RetryBudget(0.0, 10.0, 0.5)
    world = World([Response(503)] * 60, blocking=drive.blocking)
    send = compose([retrying(budget)], world.transport, world)

    async def call() -> int:
        return (await send(get())).status_code

    async def scenario() -> list[Any]:
        return await together(drive, *[call] * 20)

    world.sleep = _no_time  # type: ignore[method-assign]
    assert [503] * 20 == drive(scenario)
    assert 25 == len(world.asked)


# Over real connections


def test_what_the_transport_sends_again_is_no_retry(drive: Drive) -> None:
    """
    A stale connection is replaced outside of any budget, and is no attempt of its own.
    """
    with ScriptedServer(
        [expect(), respond(), expect(), close], [expect(), respond(b"again")]
    ) as server:
        sent = request("GET", server.url)
        events = noted(sent)

        async def scenario() -> Response:
            async with Wire(drive) as wire:
                await wire.get(server.url)
                onion = compose([retrying(NOTHING)], wire.send, drive.runtime())
                response = await onion(sent)
                assert b"again" == await wire.read(response)
                return response

        response = drive(scenario)

    assert "attempts" not in response.extensions
    assert "connection.stale" in [event for event, _ in events]


def test_a_refused_connection_is_tried_once_more(drive: Drive) -> None:
    """
    Whatever the method, and however exhausted the budget: nothing was sent.
    """
    with ScriptedServer() as server:
        url = server.url
    sent = request("POST", url)
    events = noted(sent)
    retries = Retries(wait=FullJitter(0.0, 0.0), budget=NOTHING)

    async def scenario() -> None:
        async with Wire(drive) as wire:
            await compose([retries], wire.send, drive.runtime())(sent)

    with pytest.raises(ConnectError) as raised:
        drive(scenario)

    assert [1, 2] == [attempt.number for attempt in vars(raised.value)["attempts"]]
    assert ["retry", "retry.budget_exhausted", "retry.end"] == [event for event, _ in events]
