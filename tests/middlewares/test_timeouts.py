"""Deadlines and AttemptTimeouts: what ends a call, what ends an attempt, and what is left on the request."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from scallion.middlewares.coalescing import Coalescing
from scallion.middlewares.idempotency_keys import IdempotencyKeys
from scallion.middlewares.redirects import Redirects
from scallion.middlewares.retries import Attempt, FullJitter, Retries
from scallion.middlewares.timeouts import AttemptTimeouts, Deadlines
from scallion.pipeline.errors import AttemptTimeout, ConnectError, TotalTimeout
from scallion.pipeline.layer import Layer
from scallion.pipeline.onion import Next, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import AsyncRuntime, BlockingRuntime
from scallion.pipeline.settings import Timeout
from support.colours import Drive
from support.worlds import After, Step, World, noted, play

URL = "http://example.org/"
OK = 200


def get(**extensions: Any) -> Request:
    return Request("GET", URL, extensions=extensions)


def punctual(world: World, seconds: float, then: Step) -> Step:
    """A transport's step that takes `seconds`, and keeps the request's deadline as ours do."""

    def step(request: Request) -> Any:
        deadline = request.deadline
        if not world.blocking or deadline is None or world.now + seconds < deadline:
            return _later(world, seconds, then)
        world.now = deadline
        return TotalTimeout("The call's deadline passed while reading", request=request)

    return step


async def _later(world: World, seconds: float, then: Step) -> Any:
    await world.pass_time(seconds)
    return then


def slow(*steps: tuple[float, Step]) -> World:
    """A world whose answers each take their seconds."""
    script: list[Step] = []
    world = World(script)
    script += [punctual(world, seconds, then) for seconds, then in steps]
    return world


def seen(deadlines: list[float | None]) -> Step:
    """A step that remembers the deadline it was given."""

    def step(request: Request) -> Response:
        deadlines.append(request.deadline)
        return Response(OK)

    return step


# Deadlines: which total counts


@pytest.mark.parametrize(
    ("layer", "extensions", "total"),
    [
        (Deadlines(30.0), {}, 30.0),
        (Deadlines(30.0), {"timeout": Timeout(5.0).as_dict()}, 30.0),
        (Deadlines(30.0), {"timeout": Timeout(5.0, total=7.0).as_dict()}, 7.0),
        (Deadlines(30.0), {"timeout": Timeout(None, total=7.0).as_dict()}, 7.0),
        (Deadlines(30.0), {"timeout": Timeout(None).as_dict()}, None),
        (Deadlines(30.0), {"timeout": {}}, 30.0),
        (Deadlines(30.0), Deadlines.option_for(total=3.0), 3.0),
        (Deadlines(30.0), Deadlines.option_for(total=None), None),
        (
            Deadlines(),
            {**Deadlines.option_for(total=3.0), "timeout": Timeout(5.0, total=7.0).as_dict()},
            3.0,
        ),
        (Deadlines(), {"timeout": Timeout(5.0, total=7.0).as_dict()}, 7.0),
        (Deadlines(), {"timeout": Timeout(5.0).as_dict()}, None),
        (Deadlines(), {}, None),
    ],
)
def test_which_total_counts(
    drive: Drive, layer: Deadlines, extensions: dict[str, Any], total: float | None
) -> None:
    """
    The option, then the timeout's own, then the layer's; `timeout=None` lifts the latter.
    """
    deadlines: list[float | None] = []

    play([layer], get(**extensions), World([seen(deadlines)]), drive)

    assert [None if total is None else 1000.0 + total] == deadlines


def test_without_a_total_there_is_no_layer() -> None:
    """
    It hands the request on without a coroutine of its own.
    """
    nothing: Any = object()

    assert nothing is Deadlines()(get(), Next(lambda request: nothing, BlockingRuntime()))


@pytest.mark.parametrize(("outer", "expected"), [(1005.0, 1005.0), (1060.0, 1030.0)])
def test_a_deadline_that_the_request_brings_counts_too(
    drive: Drive, outer: float, expected: float
) -> None:
    """
    The earlier one wins.
    """
    deadlines: list[float | None] = []
    request = get()
    request.deadline = outer

    play([Deadlines(30.0)], request, World([seen(deadlines)]), drive)

    assert [expected] == deadlines


def test_a_deadline_of_its_own_is_kept_without_a_total(drive: Drive) -> None:
    """
    The call is ended by it, though the layer has no total.
    """
    request = get()
    request.deadline = 1002.0

    with pytest.raises(TotalTimeout) as raised:
        play([Deadlines()], request, slow((5.0, Response(OK))), drive)

    assert "the request's deadline" in "\n".join([str(raised.value), *_notes(raised.value)])


# Deadlines: when it passes


def test_a_call_is_ended_with_the_seconds_and_what_was_under_way(drive: Drive) -> None:
    """
    The error names both, in its text or a note; it bears the request, and pickles.
    """
    request = get()
    events = noted(request)
    world = slow(*[(0.9, Response(503))] * 2)
    retries = Retries(wait=FullJitter(0.4, 0.4, random=lambda: 0.5))

    with pytest.raises(TotalTimeout) as raised:
        play([Deadlines(1.5), retries], request, world, drive)

    told = (
        "The call outlasted its total timeout of 1.5 seconds; the last event was: "
        "retry (attempt=2, wait=0.2, reason=503)"
    )
    assert told in [str(raised.value), *_notes(raised.value)]
    assert request is raised.value.request
    assert 1001.5 == world.now
    assert [0.2] == world.slept
    assert ("total_timeout", {"total": 1.5}) == events[-1]
    assert str(raised.value) == str(pickle.loads(pickle.dumps(raised.value)))


def test_what_hangs_is_ended_under_an_event_loop() -> None:
    """
    Layers that keep no deadline are ended from outside.
    """

    async def hanging(request: Request, call_next: Next) -> Response:
        await call_next.runtime.sleep(3600)
        return await call_next(request)

    for colour in ("asyncio", "trio"):
        world = World([])
        with pytest.raises(TotalTimeout, match=r"of 2 seconds\Z"):
            play([Deadlines(2.0), hanging], get(), world, Drive(colour))
        assert 1002.0 == world.now


@pytest.mark.parametrize("error", [TimeoutError("somebody else's"), TotalTimeout("another call's")])
def test_other_timeouts_pass(drive: Drive, error: Exception) -> None:
    """
    One that comes before the deadline is not the deadline's.
    """
    with pytest.raises(type(error)) as raised:
        play([Deadlines(2.0)], get(), World([error]), drive)

    assert error is raised.value
    assert [] == _notes(error)


def test_secrets_do_not_show_in_what_was_under_way(drive: Drive) -> None:
    """
    A redirect's target is redacted like any other URL.
    """

    async def redirecting(request: Request, call_next: Next) -> Response:
        request.note("redirect", location="http://u:hunter2@example.org/?token=hunter2")
        return await call_next(request)

    with pytest.raises(TotalTimeout) as raised:
        play([Deadlines(2.0), redirecting], get(), slow((5.0, Response(OK))), drive)

    told = "".join([str(raised.value), *_notes(raised.value)])
    assert "redirect" in told
    assert "hunter2" not in told


def test_observers_are_left_as_they_were(drive: Drive) -> None:
    """
    The layer's own does not stay.
    """
    request = get()
    events = noted(request)
    before = request.observers

    play([Deadlines(2.0)], request, World([Response(OK)]), drive)

    assert before == request.observers
    assert [] == events


# After the call


def test_the_deadline_stays_for_the_body(drive: Drive) -> None:
    """
    The response has been returned, its body has not been read yet.
    """
    request = get()

    play([Deadlines(2.0)], request, World([Response(OK)]), drive)

    assert 1002.0 == request.deadline


def test_the_next_call_has_a_deadline_of_its_own(drive: Drive) -> None:
    """
    One left over from an earlier send of the request, or of one it inherited from, does not count.
    """
    deadlines: list[float | None] = []
    request, following = get(), get()

    def first(request: Request) -> Response:
        following.inherit(request)
        return Response(OK)

    play([Deadlines(2.0)], request, World([first]), drive)
    for again in (request, following):
        play([Deadlines(3.0)], again, World([seen(deadlines)], now=1100.0), drive)

    assert [1103.0, 1103.0] == deadlines


def test_a_deadline_that_the_request_brought_outlives_its_calls(drive: Drive) -> None:
    """
    Sending the request again does not lift it, with or without a total.
    """
    deadlines: list[float | None] = []
    request = get()
    request.deadline = 1010.0

    for layer in (Deadlines(2.0), Deadlines(30.0), Deadlines(), Deadlines(4.0)):
        play([layer], request, World([seen(deadlines)], now=1001.0), drive)

    assert [1003.0, 1010.0, 1010.0, 1005.0] == deadlines


def test_a_left_over_deadline_is_lifted_without_a_total(drive: Drive) -> None:
    """
    The earlier call's limit is not the next one's.
    """
    deadlines: list[float | None] = []
    request = get()

    play([Deadlines(2.0)], request, World([Response(OK)]), drive)
    play([Deadlines()], request, World([seen(deadlines)], now=1100.0), drive)

    assert [None] == deadlines


def test_a_call_inside_a_call_keeps_the_outer_deadline(drive: Drive) -> None:
    """
    What inherits a deadline of a call that is under way is bound by it.
    """
    deadlines: list[float | None] = []

    play([Deadlines(2.0), Deadlines(30.0)], get(), World([seen(deadlines)]), drive)

    assert [1002.0] == deadlines


# AttemptTimeouts


def test_an_attempt_has_a_deadline_and_the_body_has_not(drive: Drive) -> None:
    """
    It holds until the headers are here; then the request has its own again.
    """
    deadlines: list[float | None] = []
    request = get()
    request.deadline = 1060.0

    play([AttemptTimeouts(10.0)], request, World([seen(deadlines)]), drive)

    assert [1010.0] == deadlines
    assert 1060.0 == request.deadline


def test_each_attempt_has_its_own_time(drive: Drive) -> None:
    """
    An attempt that takes too long is tried again, and the observers hear of it.
    """
    request = get()
    events = noted(request)
    world = slow((5.0, Response(OK)), (0.5, Response(OK)))
    retries = Retries(wait=FullJitter(0.4, 0.4, random=lambda: 0.5))

    assert OK == play([retries, AttemptTimeouts(2.0)], request, world, drive).status_code
    assert 1002.7 == pytest.approx(world.now)
    assert [
        ("attempt_timeout", {"seconds": 2.0}),
        ("retry", {"attempt": 2, "wait": 0.2, "reason": "AttemptTimeout"}),
    ] == events


def test_an_attempt_that_takes_too_long_is_named(drive: Drive) -> None:
    """
    The error tells the seconds, and bears the request.
    """
    request = get()

    with pytest.raises(AttemptTimeout, match="its 2 seconds") as raised:
        play([AttemptTimeouts(2.0)], request, slow((5.0, Response(OK))), drive)

    assert request is raised.value.request
    assert request.deadline is None


def test_the_calls_own_deadline_is_final(drive: Drive) -> None:
    """
    What it ends is a `TotalTimeout`, which nobody tries again.
    """
    world = slow(*[(2.0, Response(503))] * 9)
    layers = [Deadlines(5.0), Retries(9, wait=FullJitter(0, 0)), AttemptTimeouts(3.0)]

    with pytest.raises(TotalTimeout) as raised:
        play(layers, get(), world, drive)

    assert 3 == len(world.asked)
    assert 1005.0 == world.now
    tries = raised.value.attempts  # type: ignore[attr-defined]
    assert [(1, 503), (2, 503), (3, None)] == [(each.number, each.status) for each in tries]
    assert ["Attempt 1: status 503; waited 0 s", "Attempt 2: status 503; waited 0 s"] == [
        note for note in raised.value.__notes__ if note.startswith("Attempt")
    ]


def test_an_attempt_that_the_call_cuts_short_costs_nothing() -> None:
    """
    Where the call's deadline comes first, or no limit is set, the layer is not there.
    """
    nothing: Any = object()

    class World:
        class runtime:
            clock = staticmethod(lambda: 1000.0)

        def __new__(cls, request: Request) -> Any:
            return nothing

    request = get()
    request.deadline = 1002.0
    assert nothing is AttemptTimeouts(2.0)(request, World)  # type: ignore[arg-type]
    assert nothing is AttemptTimeouts(None)(get(), World)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [TimeoutError("somebody else's"), TotalTimeout("another call's")])
def test_other_timeouts_pass_the_attempt(drive: Drive, error: Exception) -> None:
    """
    One that comes before its deadline is not its own.
    """
    with pytest.raises(type(error)) as raised:
        play([AttemptTimeouts(2.0)], get(), World([After(1.0, error)]), drive)

    assert error is raised.value


@pytest.mark.parametrize(("seconds", "expected"), [(2.0, 1002.0), (None, None)])
def test_one_request_may_have_its_own_limit(
    drive: Drive, seconds: float | None, expected: float | None
) -> None:
    """
    The option wins over the layer's own setting.
    """
    deadlines: list[float | None] = []
    option = AttemptTimeouts.option_for(seconds=seconds)

    play([AttemptTimeouts()], get(**option), World([seen(deadlines)]), drive)

    assert [expected] == deadlines


# Construction


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "2", True])
def test_limits_are_validated(seconds: Any) -> None:
    """
    The error says what was given and what was expected.
    """
    for make in (
        lambda: Deadlines(seconds),
        lambda: Deadlines.option_for(total=seconds),
        lambda: AttemptTimeouts(seconds),
        lambda: AttemptTimeouts.option_for(seconds=seconds),
    ):
        with pytest.raises(
            ValueError, match=f"more than 0 seconds, or None for no limit: {seconds!r}"
        ):
            make()


def test_stray_options_are_refused(drive: Drive) -> None:
    """
    A number in the place of the option is a mistake that is named.
    """
    for layer in (Deadlines(), AttemptTimeouts()):
        name = type(layer).__name__
        with pytest.raises(TypeError, match=rf"{name}\.option_for"):
            play([layer], get(**{f"scallion.{name}": 3}), World([]), drive)


def test_reprs_show_the_limits() -> None:
    """
    They read as the calls that made the layers.
    """
    assert "Deadlines(total=None)" == repr(Deadlines())
    assert "Deadlines(total=30.0)" == repr(Deadlines(30.0))
    assert "AttemptTimeouts(seconds=10.0)" == repr(AttemptTimeouts())


def _notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])


# What was tried


def test_the_error_tells_what_was_tried(drive: Drive) -> None:
    """
    Though it is not `Retries` that raises it, under an event loop: the history, and a note on each earlier try.
    """
    wait = FullJitter(0.2, 0.2, random=lambda: 0.5)
    world = slow((0.5, Response(503)), (60.0, Response(OK)))

    with pytest.raises(TotalTimeout) as raised:
        play([Deadlines(2.0), Retries(wait=wait)], get(), world, drive)

    first, second = vars(raised.value)["attempts"]
    assert Attempt(1, 503, None, 0.1) == first
    assert (2, None, 0.0) == (second.number, second.status, second.waited)
    assert "Attempt 1: status 503; waited 0.1 s" in raised.value.__notes__
    assert (first, second) == vars(pickle.loads(pickle.dumps(raised.value)))["attempts"]


def test_a_call_that_ends_in_the_wait_tells_the_try_before_it(drive: Drive) -> None:
    """
    Where the wait is longer than anybody thought.
    """

    class Slow(World):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds + 60.0)

    world = Slow([Response(503), Response(OK)])
    layers = [Deadlines(2.0), Retries(wait=lambda state: 0.1)]
    if drive.blocking:
        # Nothing ends it there.
        assert OK == play(layers, get(), world, drive).status_code
        return
    with pytest.raises(TotalTimeout) as raised:
        play(layers, get(), world, drive)

    assert [503, None] == [each.status for each in vars(raised.value)["attempts"]]


def test_the_only_try_is_no_history(drive: Drive) -> None:
    """
    The error is about it.
    """
    with pytest.raises(TotalTimeout) as raised:
        play([Deadlines(2.0), Retries()], get(), slow((60.0, Response(OK))), drive)

    assert "attempts" not in vars(raised.value)


def test_the_history_survives_the_layers_of_the_service_stack(drive: Drive) -> None:
    """
    Those between the two, and attempts that run in tasks of their own.
    """
    wait = FullJitter(0.2, 0.2, random=lambda: 0.5)
    layers = [
        Deadlines(2.0),
        Coalescing(),
        Redirects(follow=True),
        IdempotencyKeys(),
        Retries(wait=wait),
        AttemptTimeouts(10.0),
    ]
    world = slow((0.5, Response(503)), (60.0, Response(OK)))

    with pytest.raises(TotalTimeout) as raised:
        play(layers, get(), world, drive)

    assert [503, None] == [each.status for each in vars(raised.value)["attempts"]]


# Under asyncio's own clock: there both layers end the caller's task themselves.

BOUNDING: list[tuple[Callable[[float], Layer], type[Exception]]] = [
    (Deadlines, TotalTimeout),
    (AttemptTimeouts, AttemptTimeout),
]


class Asyncio:
    """A layer before a transport, for real."""

    def __init__(self, *layers: Layer, transport: Callable[[Request], Any]) -> None:
        self.runtime = AsyncRuntime()
        self._send = compose(layers, transport, self.runtime)

    async def send(self) -> Response:
        """Send one, and look whether nobody waits for an alarm any more."""
        try:
            return await self._send(get())
        finally:
            here = self.runtime.alarm()
            assert here is not None
            assert {} == here[0].waiting


@pytest.mark.parametrize(("layer", "error"), BOUNDING)
def test_asyncio_ends_what_waits(layer: Callable[[float], Layer], error: type[Exception]) -> None:
    """
    Its clean-up is done when the error comes, and no cancellation is left behind.
    """
    ended: list[str] = []

    async def hangs(request: Request) -> Response:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("work")
        raise AssertionError

    async def scenario() -> int:
        with pytest.raises(error):
            await Asyncio(layer(0.01), transport=hangs).send()
        assert ["work"] == ended
        task = asyncio.current_task()
        assert task is not None
        # The next wait is not ended by it.
        await asyncio.sleep(0)
        return task.cancelling()

    assert 0 == asyncio.run(scenario())


@pytest.mark.parametrize("layer", [Deadlines, AttemptTimeouts])
def test_asyncio_leaves_no_alarm_behind(layer: Callable[[float], Layer]) -> None:
    """
    After an answer as after an error, and the error is the transport's.
    """
    failure = ConnectError("refused")

    async def answers(request: Request) -> Response:
        await asyncio.sleep(0)
        return Response(OK)

    async def fails(request: Request) -> Response:
        await asyncio.sleep(0)
        raise failure

    async def scenario() -> None:
        assert OK == (await Asyncio(layer(60.0), transport=answers).send()).status_code
        with pytest.raises(ConnectError) as raised:
            await Asyncio(layer(60.0), transport=fails).send()
        assert failure is raised.value

    asyncio.run(scenario())


@pytest.mark.parametrize("layer", [Deadlines, AttemptTimeouts])
def test_asyncio_tells_the_callers_cancellation_from_a_timeout(
    layer: Callable[[float], Layer],
) -> None:
    """
    Long before the deadline, and in the clean-up that the deadline has begun.
    """

    async def cancelled(seconds: float, when: asyncio.Event, transport: Any) -> bool:
        task = asyncio.create_task(Asyncio(layer(seconds), transport=transport).send())
        await when.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled()

    async def scenario() -> list[bool]:
        begun, ending = asyncio.Event(), asyncio.Event()

        async def hangs(request: Request) -> Response:
            begun.set()
            await asyncio.get_running_loop().create_future()
            raise AssertionError

        async def slow_to_end(request: Request) -> Response:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ending.set()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            raise AssertionError

        return [await cancelled(60.0, begun, hangs), await cancelled(0.001, ending, slow_to_end)]

    assert [True, True] == asyncio.run(scenario())


def test_asyncio_ends_an_attempt_and_the_call_goes_on() -> None:
    """
    The inner alarm rings for the attempt alone; the call's own is still there.
    """
    asked: list[Request] = []

    async def hangs_once(request: Request) -> Response:
        asked.append(request)
        if len(asked) == 1:
            await asyncio.get_running_loop().create_future()
        return Response(OK)

    layers = [Deadlines(60.0), Retries(wait=lambda _: 0.0), AttemptTimeouts(0.01)]
    response = asyncio.run(Asyncio(*layers, transport=hangs_once).send())

    assert OK == response.status_code
    assert 2 == len(asked)


def test_asyncio_lets_work_end_in_its_own_way() -> None:
    """
    What takes the cancellation for its own affair has an answer, and the task is not cancelled later on.
    """

    async def stubborn(request: Request) -> Response:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            pass
        return Response(OK)

    async def scenario() -> int:
        response = await Asyncio(Deadlines(0.01), transport=stubborn).send()
        assert OK == response.status_code
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert 0 == asyncio.run(scenario())


def test_what_was_under_way_is_told_of_all_that_belongs_to_the_call(drive: Drive) -> None:
    """
    Another request that a redirect, a login or a hedge sends in the call's place is the call's.
    """

    async def noting(request: Request, call_next: Next) -> Response:
        if "/next" in str(request.url):
            request.note("mine", number=2)
        return await call_next(request)

    moved = Response(302, headers={"Location": "/next"})

    with pytest.raises(TotalTimeout) as raised:
        play(
            [Deadlines(2.0), Redirects(follow=True), noting],
            get(),
            slow((0.5, moved), (5.0, Response(OK))),
            drive,
        )

    assert "the last event was: mine (number=2)" in "".join(
        [str(raised.value), *_notes(raised.value)]
    )


def test_progress_is_left_as_it_was(drive: Drive) -> None:
    """
    And was told meanwhile, as it may be another such layer's, whose total comes first.
    """
    request = get()
    told: list[str] = []
    before = request.progress = lambda event, fields: told.append(event)

    async def noting(request: Request, call_next: Next) -> Response:
        request.note("inside")
        return await call_next(request)

    play([Deadlines(2.0), noting], request, World([Response(OK)]), drive)

    assert before is request.progress
    assert ["inside"] == told


def test_a_call_that_never_began_leaves_no_deadline(drive: Drive) -> None:
    """
    A layer may have asked for it, and never awaited it.
    """
    request = get()

    async def scenario() -> None:
        runtime = World([], blocking=drive.blocking)
        send = compose([Deadlines(2.0)], runtime.transport, runtime)
        call: Any = send(request)
        call.close()

    drive(scenario)

    assert request.deadline is None
    assert request.progress is None


def test_what_calls_leave_behind_does_not_pile_up(drive: Drive) -> None:
    """
    A redirect's request remembers the call that it was part of, and begins another one when it is sent anew.
    """
    request = get()
    for _ in range(5):
        world = World([Response(302, headers={"Location": "/next"}), Response(OK)])
        response = play([Deadlines(2.0), Redirects(follow=True)], request, world, drive)
        request = world.asked[-1]
        progress: Any = request.progress
        assert OK == response.status_code
        assert progress.is_over
        assert progress.above is None
        # It keeps nothing of the call alive.
        request.note("afterwards", request=request)
        assert ("", {}) == progress.last
