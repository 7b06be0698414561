"""Hedging: when another copy is sent, which answer is returned, and what becomes of the others."""

from __future__ import annotations

import io
import threading
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.middlewares.hedging import BURST, Hedging, _Origin, hedge_of
from scallion.middlewares.retries import Retries
from scallion.middlewares.retry_budget import RetryBudget
from scallion.pipeline import runtime_threads
from scallion.pipeline.errors import ConnectError, TotalTimeout
from scallion.pipeline.onion import Next, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import run
from scallion.testing import check_middleware
from support.cancelling import cancelled_everywhere
from support.colours import Drive
from support.worlds import OpenStream, World, noted, open_response, play

URL = "http://example.org/"
OK = 200


def get(method: str = "GET", **settings: Any) -> Request:
    return Request(method, URL, **settings)


class Copies:
    """A transport whose answers are given when they are asked for, by the number of the copy.

    Attributes:
        asked: The requests, as they came.
        ended: The numbers of the copies whose sending has ended, one way or another.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers = answers
        self.asked: list[Request] = []
        self.ended: list[int] = []
        self._given: dict[int, threading.Event] = {}
        self._lock = threading.Lock()

    async def __call__(self, request: Request) -> Any:
        number = hedge_of(request)
        self.asked.append(request)
        try:
            answer = self.answers[number]
            if answer is HANGS:
                await self._hang(number)
            if isinstance(answer, After):
                await self._hang(number, answer.number)
                answer = answer.then
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            self.ended.append(number)
            self._flag(number).set()

    async def _hang(self, number: int, until: int | None = None) -> None:
        """Until copy `until` has been answered, or for ever; in a thread until the test's end."""
        flag = self._flag(-1 if until is None else until)
        if self.blocking:
            assert flag.wait(10)
            return
        while not flag.is_set():
            await anyio.sleep(0)

    def _flag(self, number: int) -> threading.Event:
        with self._lock:
            return self._given.setdefault(number, threading.Event())

    blocking = False

    def release(self) -> None:
        self._flag(-1).set()


class After:
    """An answer that comes once copy `number` has got its own."""

    def __init__(self, number: int, then: Any) -> None:
        self.number = number
        self.then = then


HANGS: Any = object()


def send(copies: Copies, hedging: Any, request: Request, drive: Drive, *outer: Any) -> Response:
    """Through `hedging`, in the real runtime: nothing waits for longer than the copies do."""
    copies.blocking = drive.blocking
    # The strict onion counts threads' sendings as well, and would report what is closed a moment later there.
    onion = compose([*outer, hedging], copies, drive.runtime(), strict=not drive.blocking)
    try:
        return drive(lambda: onion(request))
    finally:
        copies.release()


def at_once(**settings: Any) -> Hedging:
    return Hedging(delay=0.0, **{"most_load": 4.0, **settings})


# When a hedge is sent


def test_a_slow_answer_is_not_waited_for(drive: Drive) -> None:
    """
    Another copy is sent after the delay, and its answer is the answer.
    """
    request = get()
    events = noted(request)
    answer = Response(OK)
    copies = Copies(HANGS, answer)

    assert answer is send(copies, at_once(), request, drive)
    assert 1 == answer.extensions["hedges"]
    assert ["hedge.sent", "hedge.won"] == [event for event, _ in events]
    assert [1, 1] == [fields["number"] for _, fields in events]
    assert [0, 1] == sorted(map(hedge_of, copies.asked))


def test_a_quick_answer_is_the_answer(drive: Drive) -> None:
    """
    Nothing else is sent, and nothing told.
    """
    request = get()
    events = noted(request)
    answer = Response(OK)
    copies = Copies(answer)

    assert answer is send(copies, Hedging(delay=60.0), request, drive)
    assert "hedges" not in answer.extensions
    assert 1 == len(copies.asked)
    assert [] == events


def test_the_first_copys_answer_may_still_win(drive: Drive) -> None:
    """
    It comes while the hedge is under way, which then is ended.
    """
    request = get()
    events = noted(request)
    answer = Response(OK)
    hedged = threading.Event()

    class Sent(Copies):
        async def __call__(self, request: Request) -> Any:
            if hedge_of(request):
                self._flag(7).set()
                hedged.set()
            return await super().__call__(request)

    copies = Sent(After(7, answer), HANGS)

    assert answer is send(copies, at_once(), request, drive)
    assert hedged.is_set()
    assert ["hedge.sent"] == [event for event, _ in events]
    assert 1 == answer.extensions["hedges"]


def test_the_delay_is_waited_for() -> None:
    """
    On the runtime's clock; before it has passed there is one copy.
    """
    for colour in ("asyncio", "trio"):
        world = World([], blocking=False)
        copies = Copies(HANGS, Response(OK))
        request = get()
        events = noted(request)

        Drive(colour)(
            lambda copies=copies, world=world, request=request: compose(
                [Hedging(delay=0.25)], copies, world
            )(request)
        )

        assert [0.25] == world.waited[:1]
        assert ("hedge.sent", {"number": 1, "after": 0.25}) == events[0]


def test_several_hedges_are_sent_one_after_the_other(drive: Drive) -> None:
    """
    Each after the delay, as many as are allowed.
    """
    answer = Response(OK)
    copies = Copies(HANGS, HANGS, HANGS, answer)

    assert answer is send(copies, at_once(hedges=3), get(), drive)
    assert [0, 1, 2, 3] == sorted(map(hedge_of, copies.asked))
    assert 3 == answer.extensions["hedges"]


@pytest.mark.parametrize(
    ("request_", "times"),
    [
        (get("POST"), 1),
        (get("POST", headers={"Idempotency-Key": "7"}), 2),
        (get("POST", extensions=Hedging.option_for(idempotent=True)), 2),
        (get("GET", extensions=Hedging.option_for(idempotent=False)), 1),
        (get("GET", extensions=Hedging.option_for(enabled=False)), 1),
        (get("PUT", content=b"whole"), 2),
        (get("PUT", content=iter([b"piece"])), 1),
        (get("PUT", files={"file": io.BytesIO(b"file")}), 1),
    ],
)
def test_only_what_may_be_sent_twice_at_once_is(request_: Request, times: int) -> None:
    """
    By its method, its key or its option; and only with a body in memory.
    """
    copies = Copies(After(1, Response(OK)) if times == 2 else Response(OK), Response(OK))

    send(copies, at_once(), request_, Drive("asyncio"))

    assert times == len(copies.asked)


def test_one_request_may_have_a_delay_of_its_own(drive: Drive) -> None:
    answer = Response(OK)
    request = get(extensions=Hedging.option_for(delay=0.0))

    assert answer is send(Copies(HANGS, answer), Hedging(), request, drive)


def test_no_hedge_is_begun_that_the_deadline_forbids() -> None:
    """
    The request is then sent as without the layer.
    """
    world = World([Response(OK)])
    request = get()
    request.deadline = 1001.0

    play([Hedging(delay=1.0)], request, world, Drive("asyncio"))

    assert [] == world.waited


# What an answer is


@pytest.mark.parametrize("failure", [503, ConnectError("refused"), RuntimeError("a bug")])
def test_a_failure_waits_for_the_other(drive: Drive, failure: Any) -> None:
    """
    Whatever kind it is; a response is closed at once.
    """
    failed = open_response(503) if failure == 503 else failure
    answer = Response(OK)

    class Sent(Copies):
        async def __call__(self, request: Request) -> Any:
            if hedge_of(request):
                self._flag(9).set()
            return await super().__call__(request)

    # The failure comes after the hedge was sent, and before the hedge's answer.
    copies = Sent(After(9, failed), After(0, answer))

    assert answer is send(copies, at_once(), get(), drive)
    if isinstance(failed, Response):
        assert failed.is_closed


def test_a_failure_alone_is_the_answer(drive: Drive) -> None:
    """
    To send again is up to retries; no hedge is sent for it.
    """
    answer = Response(503)
    copies = Copies(answer)

    assert answer is send(copies, Hedging(delay=60.0), get(), drive)
    assert 1 == len(copies.asked)


def test_if_all_fail_the_last_failure_is_the_answer(drive: Drive) -> None:
    first = open_response(503)
    copies = Copies(After(1, first), ConnectError("hedge"))

    assert first is send(copies, at_once(), get(), drive)
    assert not first.is_closed


def test_an_error_bears_the_callers_request(drive: Drive) -> None:
    """
    Not the copy that nobody else knows.
    """
    request = get()

    class Failing(Copies):
        async def __call__(self, request: Request) -> Any:
            raise ConnectError("refused", request=request)

    with pytest.raises(ConnectError) as raised:
        send(Failing(), Hedging(delay=60.0), request, drive)

    assert request is raised.value.request


def test_a_status_that_is_no_transient_failure_is_good(drive: Drive) -> None:
    """
    A 404 will be one from everybody.
    """
    answer = Response(404)

    assert answer is send(Copies(HANGS, answer), at_once(), get(), drive)


def test_what_is_good_can_be_chosen(drive: Drive) -> None:
    hedging = at_once(
        transient=lambda outcome: isinstance(outcome, Response) and outcome.status_code == 404
    )
    answer = Response(503)
    copies = Copies(After(1, answer), Response(404))

    assert answer is send(copies, hedging, get(), drive)


# The copies


def test_each_copy_is_a_request_of_its_own(drive: Drive) -> None:
    """
    What a layer further in does to one shows in no other, nor in the caller's; deadline, observers and memory are shared.
    """
    request = get(headers={"X-Mine": "1"}, extensions={"timeout": {"read": 5.0}})
    request.deadline = 1e12
    request.progress = lambda event, fields: None
    noted(request)
    copies = Copies(HANGS, Response(OK))

    send(copies, at_once(), request, drive)

    first, second = sorted(copies.asked, key=hedge_of)
    first.headers["X-Mine"] = "2"
    first.extensions["more"] = True
    assert ("1", "1") == (second.headers["X-Mine"], request.headers["X-Mine"])
    assert "more" not in {**second.extensions, **request.extensions}
    assert request.deadline == first.deadline == second.deadline
    assert request.observers[0] is first.observers[0] is second.observers[0]
    assert request.progress is first.progress is second.progress
    assert request.memory is first.memory is second.memory
    assert {"read": 5.0} == second.extensions["timeout"]
    assert 0 == hedge_of(request)


def test_copies_see_the_callers_context(drive: Drive) -> None:
    """
    In their tasks and threads.
    """
    variable: ContextVar[str] = ContextVar("variable", default="nobody's")
    seen: list[str] = []

    class Looking(Copies):
        async def __call__(self, request: Request) -> Any:
            seen.append(variable.get())
            return await super().__call__(request)

    token = variable.set("the caller's")
    try:
        send(Looking(HANGS, Response(OK)), at_once(), get(), drive)
    finally:
        variable.reset(token)

    assert ["the caller's"] * 2 == seen


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_the_loser_has_ended_when_the_call_returns(colour: Any) -> None:
    copies = Copies(HANGS, Response(OK))

    async def scenario() -> None:
        await compose([at_once()], copies, Drive(colour).runtime())(get())
        assert {0, 1} == set(copies.ended)

    Drive(colour)(scenario)


def test_what_a_loser_gets_is_closed(drive: Drive) -> None:
    """
    It answers although it was ended: a task just then, a thread some time later.
    """
    closed = threading.Event()

    class Stream(OpenStream):
        async def aclose(self) -> None:
            closed.set()

    answer = Response(OK)

    class Stubborn(Copies):
        async def __call__(self, request: Request) -> Any:
            try:
                return await super().__call__(request)
            except BaseException:  # a cancellation
                return Response(OK, stream=Stream())

    copies = Stubborn(After(-1, Response(OK, stream=Stream())), answer)

    assert answer is send(copies, at_once(), get(), drive)
    assert closed.wait(5 if drive.blocking else 0)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_cancellation_at_any_point_ends_all(colour: Any) -> None:
    """
    Nothing is left running, and what was received is closed.
    """
    kept: list[Copies] = []
    streams: list[Response] = []

    async def work() -> None:
        streams[:] = [open_response(503), open_response(OK)]
        copies = Copies(After(1, streams[0]), After(2, streams[1]), HANGS)
        copies._flag(2).set()
        kept.append(copies)
        response = await compose([at_once(hedges=2)], copies, Drive(colour).runtime())(get())
        await response.aclose()

    async def check() -> None:
        copies = kept[-1]
        assert len(copies.asked) == len(copies.ended)

    assert Drive(colour)(lambda: cancelled_everywhere(work, check)) > 2


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_deadline_ends_all(colour: Any) -> None:
    """
    It cancels the call from outside.
    """
    from scallion.middlewares.timeouts import Deadlines

    copies = Copies(HANGS, HANGS)

    with pytest.raises(TotalTimeout):
        send(copies, at_once(), get(), Drive(colour), Deadlines(0.02))

    assert {0, 1} == set(copies.ended)


def test_retries_begin_anew_when_all_have_failed(drive: Drive) -> None:
    """
    A hedge of the second attempt is sent like one of the first.
    """
    answer = Response(OK)
    calls: list[int] = []

    class Failing(Copies):
        async def __call__(self, request: Request) -> Any:
            calls.append(hedge_of(request))
            if len(calls) == 1:
                return Response(503)
            return answer

    request = get()
    retries = Retries(wait=lambda state: 0.0)

    assert answer is send(Failing(), Hedging(delay=60.0), request, drive, retries)
    assert [0, 0] == calls


# How many


def test_the_load_is_limited(drive: Drive) -> None:
    """
    After those in hand, one for as many calls as it takes.
    """
    hedging = Hedging(delay=0.0, most_load=0.25)
    told: list[str] = []

    for _ in range(int(BURST) + 8):
        request = get()
        events = noted(request)
        hedged = Copies(After(1, Response(OK)), Response(OK))
        if hedging._origins.of(request).hand + 0.25 < 1:
            hedged = Copies(After(5, Response(OK)))
            hedged_now = hedged

            def observer(event: str, fields: Any, copies: Copies = hedged_now) -> None:
                if event == "hedge.refused":
                    copies._flag(5).set()

            request.observers = (*request.observers, observer)
        send(hedged, hedging, request, drive)
        told += [fields.get("reason", event) for event, fields in events if event != "hedge.won"]

    assert BURST + 8 == len(told)
    assert 5 + 3 == told.count("hedge.sent")
    assert 5 == told.count("load")


@settings(max_examples=100)
@given(st.lists(st.booleans(), max_size=300), st.sampled_from([0.05, 0.25, 1.0]))
def test_no_order_of_calls_and_hedges_exceeds_the_load(steps: list[bool], share: float) -> None:
    """
    At any moment there are at most those in hand at first, and the share of the calls so far.
    """
    origin = _Origin(0.95)
    calls = hedges = 0
    for hedged in steps:
        if hedged:
            hedges += origin.withdraw()
        else:
            origin.deposit(share)
            calls += 1
        assert hedges <= BURST + share * calls + 1e-6


class Stingy:
    """A budget that grants nothing.

    Attributes:
        deposited, asked: How often.
    """

    deposited = asked = 0

    def deposit(self, request: Request, now: float) -> None:
        self.deposited += 1

    def withdraw(self, request: Request, now: float) -> bool:
        self.asked += 1
        return False


def test_the_budget_is_asked(drive: Drive) -> None:
    """
    Each call is deposited, each hedge withdrawn; a refusal is told, and costs no load.
    """
    budget = Stingy()
    request = get()
    events = noted(request)
    copies = Copies(After(5, Response(OK)))
    request.observers = (
        *request.observers,
        lambda event, fields: copies._flag(5).set(),
    )
    hedging = at_once(budget=budget)

    send(copies, hedging, request, drive)

    assert [("hedge.refused", {"reason": "budget"})] == events
    assert (1, 1) == (budget.deposited, budget.asked)
    assert BURST == hedging._origins.of(request).hand


def test_the_budget_is_shared_with_retries(drive: Drive) -> None:
    """
    A call is deposited once, whoever sends it again.
    """
    budget = RetryBudget(share=0.5, floor=0.1)
    request = get()
    layers = (Retries(budget=budget), at_once(budget=budget))

    send(Copies(HANGS, Response(OK)), layers[1], request, drive, layers[0])

    # The floor's one, and half for the call, less the hedge.
    assert 0.5 == pytest.approx(budget.balance(request, drive.runtime().clock()))


def test_without_a_thread_the_request_is_sent_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime_threads, "MOST_THREADS", 0)
    monkeypatch.setattr(runtime_threads, "_crew", runtime_threads._Crew())
    request = get()
    events = noted(request)
    answer = Response(OK)

    assert answer is send(Copies(answer), at_once(), request, Drive("sync"))
    assert [("hedge.refused", {"reason": "threads"})] == events


# The percentile


def test_hedges_begin_when_enough_is_known() -> None:
    """
    After that, when an answer takes longer than most did.
    """
    hedging = Hedging(percentile=0.9, least=0.01)
    world = World([], blocking=False)

    async def answered(request: Request) -> Any:
        await world.pass_time(0.2)
        return Response(OK)

    onion = compose([hedging], answered, world)
    drive = Drive("asyncio")
    for _ in range(50):
        drive(lambda: onion(get()))
    assert [] == world.waited

    copies = Copies(HANGS, Response(OK))
    drive(lambda: compose([hedging], copies, world)(get()))

    assert 2 == len(copies.asked)
    assert 0.2 <= (world.waited[0] or 0) <= 0.22


def test_the_percentile_is_taken_for_the_least_at_least() -> None:
    hedging = Hedging(least=0.05)
    world = World([Response(OK)] * 51)
    for _ in range(51):
        play([hedging], get(), world, Drive("asyncio"))

    assert [pytest.approx(0.05)] == world.waited


def test_origins_are_told_apart(drive: Drive) -> None:
    hedging = Hedging()
    a, b = (hedging._origins.of(Request("GET", f"http://{host}/")) for host in "ab")

    assert a is not b
    assert a is hedging._origins.of(Request("POST", "http://a/x"))


# Threads


def test_many_threads_may_share_a_layer() -> None:
    """
    None loses its answer, and the limit holds over them all.
    """
    hedging = Hedging(delay=0.0, most_load=0.1)
    answers: list[int] = []
    sent: list[str] = []

    async def transport(request: Request) -> Any:
        return Response(OK, content=request.url.path.encode())

    onion = compose([hedging], transport, Drive("sync").runtime())

    def caller(number: int) -> None:
        for at in range(25):
            request = Request("GET", f"{URL}{number}-{at}")
            request.observers = (lambda event, fields: sent.append(event),)
            response = run(onion(request))
            assert f"/{number}-{at}".encode() == response.content
            answers.append(response.status_code)

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 200 == len(answers)
    assert sent.count("hedge.sent") <= BURST + 200 * 0.1


# Construction


@pytest.mark.parametrize(
    ("error", "given", "message"),
    [
        (ValueError, {"delay": -1}, "delay must be at least 0"),
        (TypeError, {"delay": "1"}, "delay must be a number"),
        (ValueError, {"percentile": 0}, "percentile must be more than 0"),
        (ValueError, {"percentile": 1}, "percentile must be less than 1"),
        (ValueError, {"least": -0.1}, "least must be at least 0"),
        (ValueError, {"most_load": 0}, "most_load must be more than 0"),
        (ValueError, {"hedges": 0}, "hedges must be at least 1"),
        (ValueError, {"hedges": 5}, "hedges must be at most 4"),
        (TypeError, {"hedges": 1.5}, "hedges must be a whole number"),
        (TypeError, {"budget": 5}, "budget must be a RetryBudget"),
        (TypeError, {"methods": "GET"}, "methods must be a collection"),
        (TypeError, {"transient": 503}, "transient must be callable"),
    ],
)
def test_settings_are_validated(
    error: type[Exception], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(error, match=f"Hedging {message}"):
        Hedging(**given)


@pytest.mark.parametrize(
    ("layer", "colours"),
    [
        (Hedging(), None),
        # In virtual time a thread's answer comes when the delay has already passed.
        (Hedging(delay=60.0), ("asyncio", "trio")),
        (Hedging(delay=0.0, hedges=2, most_load=4.0), ("asyncio", "trio")),
    ],
    ids=repr,
)
def test_the_rules_of_the_onion_are_kept(layer: Hedging, colours: Any) -> None:
    """
    Those of the conformance suite.
    """
    check_middleware(lambda: replace(layer), colours=colours)


def test_stray_options_are_refused(drive: Drive) -> None:
    with pytest.raises(TypeError, match=r"Hedging.option_for\(\.\.\.\), not 3"):
        send(Copies(), Hedging(), get(extensions={"scallion.Hedging": 3}), drive)
    with pytest.raises(ValueError, match="delay must be at least 0"):
        Hedging.option_for(delay=-1)


def test_it_shows_the_numbers_that_count() -> None:
    assert "Hedging(percentile=0.95, least=0.05, most_load=0.05, hedges=1, budget=None)" == repr(
        Hedging()
    )
    assert repr(Hedging(delay=0.2, methods=["get"])) == (
        "Hedging(delay=0.2, most_load=0.05, hedges=1, budget=None, methods={'GET'})"
    )


def test_a_request_that_may_not_be_repeated_passes_by() -> None:
    """
    Without a coroutine of its own.
    """
    nothing: Any = object()
    call_next = Next(lambda request: nothing, World([]))

    assert nothing is Hedging()(get("POST"), call_next)
