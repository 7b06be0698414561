"""AdaptiveConcurrency: what it learns from, who passes and who waits, and that every place is given back."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import anyio
import pytest

from scallion.middlewares.adaptive_concurrency import AdaptiveConcurrency
from scallion.middlewares.gate import GateStats
from scallion.middlewares.timeouts import AttemptTimeouts, Deadlines
from scallion.middlewares.transient import Transient
from scallion.pipeline.errors import (
    AttemptTimeout,
    BulkheadFull,
    CircuitOpen,
    ConnectError,
    PoolTimeout,
    ReadTimeout,
    TotalTimeout,
)
from scallion.pipeline.onion import Next, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from support.cancelling import cancelled_everywhere
from support.colours import Colour, Drive
from support.together import together
from support.worlds import After, Step, World, noted, open_response, play

URL = "http://example.org/"
ORIGIN = "http://example.org:80"


def get(url: str = URL, **extensions: Any) -> Request:
    return Request("GET", url, extensions=extensions)


def adaptive(**settings: Any) -> AdaptiveConcurrency:
    return AdaptiveConcurrency(**{"algorithm": "aimd", "initial": 2, **settings})


def limit_after(layer: AdaptiveConcurrency, drive: Drive, *steps: Step) -> int:
    """One request for each step, one after the other; each finds the clock a second later."""
    world = World(steps)
    for _ in steps:
        world.now += 1.0
        try:
            play([layer], get(), world, drive)
        except Exception:
            pass
    return layer.stats(URL).limit


# What it learns from


@pytest.mark.parametrize(
    ("step", "limit"),
    [
        (Response(200), 10),
        (Response(404), 10),
        (Response(500), 10),
        (Response(429), 9),
        (Response(503), 9),
        (ReadTimeout("late"), 9),
        (After(5.5, Response(200)), 9),
        (After(5.5, Response(500)), 10),
        (PoolTimeout("no connection"), 10),
        (ConnectError("refused"), 10),
        (CircuitOpen("further in"), 10),
        (ValueError("a bug"), 10),
    ],
    ids=repr,
)
def test_signs_of_overload(drive: Drive, step: Step, limit: int) -> None:
    """
    Timeouts, 429 and 503, and under "aimd" slow answers; other failures say nothing.
    """
    assert limit == limit_after(adaptive(initial=10), drive, step)


def test_the_signs_are_a_setting(drive: Drive) -> None:
    overloaded = Transient(statuses=[500], on=(ConnectError,))

    for signs in (overloaded, lambda outcome: overloaded(outcome)):
        layer = adaptive(initial=10, overloaded=signs)
        assert 10 == limit_after(layer, drive, Response(503))
        assert 9 == limit_after(layer, drive, Response(500))
        assert 8 == limit_after(layer, drive, Response(200), ConnectError("refused"))


def test_a_classifier_that_fails_loses_nothing(drive: Drive) -> None:
    """
    Its error is raised, the response closed, the place given back.
    """

    def classify(outcome: object) -> bool:
        raise KeyError("a bug")

    layer = adaptive(overloaded=classify)
    response = open_response(200)
    with pytest.raises(KeyError):
        play([layer], get(), World([response]), drive)

    assert response.is_closed
    assert 0 == layer.stats(URL).active


def test_attempts_that_time_out_are_signs(drive: Drive) -> None:
    layer = adaptive(initial=10)

    async def hang(request: Request, call_next: Next) -> Response:
        await call_next.runtime.sleep(60)
        raise TotalTimeout("kept by the transport")

    with pytest.raises(AttemptTimeout):
        play([layer, AttemptTimeouts(2.0), hang], get(), World(), drive)

    assert 9 == layer.stats(URL).limit


@pytest.mark.parametrize(("total", "limit"), [(2.0, 9), (0.5, 10)])
def test_the_calls_deadline_is_a_sign_if_the_attempt_had_time(
    drive: Drive, total: float, limit: int
) -> None:
    layer = adaptive(initial=10)
    world = World()

    async def hang(request: Request, call_next: Next) -> Response:
        assert request.deadline is not None
        await call_next.runtime.sleep(request.deadline - world.now if drive.blocking else 60)
        raise TotalTimeout("kept by the transport")

    with pytest.raises(TotalTimeout):
        play([Deadlines(total), layer, hang], get(), world, drive)

    assert limit == layer.stats(URL).limit
    assert 0 == layer.stats(URL).active


def test_success_makes_room_for_more(drive: Drive) -> None:
    """
    Observers hear of each whole step.
    """
    layer = adaptive()
    request = get()
    events = noted(request)
    world = World([Response(200) for _ in range(4)])
    for _ in range(4):
        play([layer], request, world, drive)

    assert [("concurrency.limit", {"origin": ORIGIN, "old": 2, "new": 3})] == events
    assert GateStats(0, 3, 0, 100) == layer.stats(URL)


def test_the_gradient_follows_how_long_answers_take(drive: Drive) -> None:
    """
    More while they take as long as usual, less when they take longer.
    """
    layer = adaptive(algorithm="gradient", smoothing=1.0, window=2.0, wall_clock=lambda: 1.0)
    usual = limit_after(layer, drive, *[After(0.1, Response(200)) for _ in range(11)])
    assert usual == 3

    layer = adaptive(
        algorithm="gradient",
        window=6.0,
        memory=1000,
        smoothing=1.0,
        headroom=0.5,
        maximum=2,
        wall_clock=lambda: 1.0,
    )
    limit_after(layer, drive, *[After(0.1, Response(200)) for _ in range(20)])
    assert 1 == limit_after(layer, drive, *[After(9.0, Response(200)) for _ in range(10)])


def test_origins_have_their_own_limits(drive: Drive) -> None:
    layer = adaptive(initial=10)
    limit_after(layer, drive, Response(503))
    play([layer], get("http://other.example/"), World([Response(200)]), drive)

    assert {ORIGIN: 9, "http://other.example:80": 10} == {
        origin: stats.limit for origin, stats in layer.known().items()
    }


# Places


def test_above_the_limit_is_waited_and_refused(drive: Drive) -> None:
    """
    As by a bulkhead, with the numbers; waiting is not measured.
    """
    layer = adaptive(initial=1, maximum=1, queue=1, patience=6.0)
    response = play([layer], get(), World([open_response(200)]), drive)
    request = get()
    events = noted(request)
    world = World()

    with pytest.raises(BulkheadFull, match="within 6 s: 1 of 1 under way, 0 of 1 waiting"):
        play([layer], request, world, drive)

    assert not response.is_closed
    assert [6.0] == world.waited
    assert ["concurrency.queued", "concurrency.refused"] == [event for event, _ in events]
    assert 1 == layer.stats(URL).limit


def test_who_waits_is_let_through_when_the_limit_grows(drive: Drive) -> None:
    """
    Without any place having been given back.
    """
    layer = adaptive(initial=1, patience=20.0)
    world = World(patient=True, blocking=drive.blocking)
    kept: list[Response] = []

    async def scenario() -> list[Response | Exception]:
        queued = world.event()

        async def transport(request: Request) -> Response:
            if not kept:
                kept.append(open_response(200))
                await queued.wait(20)
                return kept[0]
            return Response(200)

        send = compose([layer], transport, world, strict=True)
        request = get()
        request.observers = (lambda event, fields: queued.set(),)

        async def second() -> Response:
            while not kept:
                await drive.runtime().sleep(0.001)
            return await send(request)

        return await together(drive, lambda: send(get()), second)

    results = drive(scenario)

    assert [200, 200] == [getattr(result, "status_code", result) for result in results]
    assert GateStats(1, 2, 0, 100) == layer.stats(URL)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_call_that_is_cancelled_anywhere_gives_its_place_back(colour: Colour) -> None:
    """
    And teaches nothing.
    """
    drive = Drive(colour)

    async def scenario() -> int:
        layer = adaptive(initial=1, queue=1, patience=20.0, maximum=1)
        world = World(blocking=False, patient=True)

        async def transport(request: Request) -> Response:
            await anyio.lowlevel.checkpoint()
            return open_response(200, b"body")

        send = compose([layer], transport, world, strict=True)

        async def call() -> None:
            response = await send(get())
            try:
                await anyio.lowlevel.checkpoint()
            finally:
                await response.aclose()

        async def work() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(call)
                group.start_soon(call)

        async def check() -> None:
            assert GateStats(0, 1, 0, 1) == layer.stats(URL)

        return await cancelled_everywhere(work, check)

    assert drive(scenario) >= 1


def test_threads_and_tasks_give_every_place_back(drive: Drive) -> None:
    """
    Many callers, a limit that moves: in the end nobody is under way.
    """
    layer = adaptive(initial=3, maximum=6, queue=100, patience=20.0)

    async def scenario() -> list[Response | Exception]:
        runtime = drive.runtime()
        statuses = iter([200, 200, 503, 200, 429] * 20)

        async def transport(request: Request) -> Response:
            assert layer.stats(URL).active <= 6
            await runtime.sleep(0)
            return Response(next(statuses))

        send = compose([layer], transport, runtime)
        return await together(drive, *[lambda: send(get())] * 40)

    results = drive(scenario)

    assert [] == [result for result in results if isinstance(result, Exception)]
    stats = layer.stats(URL)
    assert (0, 0) == (stats.active, stats.waiting)


# Options and construction


def test_one_request_may_have_its_own_patience_or_pass_by(drive: Drive) -> None:
    layer = adaptive(initial=1, maximum=1)
    _open = play([layer], get(), World([open_response(200)]), drive)
    world = World([Response(503)])

    with pytest.raises(BulkheadFull):
        play([layer], get(**AdaptiveConcurrency.option_for(patience=0.25)), world, drive)
    assert [0.25] == world.waited

    option = AdaptiveConcurrency.option_for(enabled=False)
    assert 503 == play([layer], get(**option), world, drive).status_code
    assert GateStats(1, 1, 0, 100) == layer.stats(URL)


def test_stray_options_are_refused(drive: Drive) -> None:
    with pytest.raises(TypeError, match=r"AdaptiveConcurrency\.option_for"):
        play([adaptive()], get(**{"scallion.AdaptiveConcurrency": 1.0}), World(), drive)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"algorithm": "vegas"}, "algorithm must be 'gradient' or 'aimd': 'vegas'"),
        ({"minimum": 0}, "minimum must be at least 1"),
        ({"maximum": 0}, "maximum must be at least 1"),
        ({"initial": 300}, "initial must be at least 1, and at most 200"),
        ({"initial": 4, "minimum": 5}, "initial must be at least 5"),
        ({"queue": -1}, "queue must be at least 0"),
        ({"patience": -1}, "patience must be at least 0"),
        ({"backoff": 0}, "backoff must be more than 0"),
        ({"backoff": 1}, "backoff must be less than 1"),
        ({"too_slow": 0}, "too_slow must be more than 0"),
        ({"tolerance": 0.5}, "tolerance must be at least 1"),
        ({"headroom": 0}, "headroom must be more than 0"),
        ({"smoothing": 2}, "smoothing must be more than 0, and at most 1"),
        ({"window": -1}, "window must be at least 0"),
        ({"memory": 0}, "memory must be at least 1"),
        ({"deadline_counts_after": -1}, "deadline_counts_after must be at least 0"),
    ],
)
def test_settings_are_validated(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"AdaptiveConcurrency {message}"):
        AdaptiveConcurrency(**settings)


def test_the_deadline_may_never_count(drive: Drive) -> None:
    """
    And an option that asks for nothing changes nothing.
    """
    layer = adaptive(deadline_counts_after=None)
    request = get(**AdaptiveConcurrency.option_for())
    request.deadline = 1005.0

    with pytest.raises(TotalTimeout):
        play([layer], request, World([After(5.0, TotalTimeout("over"))]), drive)

    assert "deadline_counts_after=None" in repr(layer)
    assert GateStats(0, 2, 0, 100) == layer.stats(URL)


def test_settings_of_wrong_kinds_are_refused() -> None:
    for settings in ({"initial": 2.5}, {"overloaded": 503}, {"window": "1"}):
        with pytest.raises(TypeError, match="AdaptiveConcurrency"):
            AdaptiveConcurrency(**settings)  # type: ignore[arg-type]


def test_an_unknown_origin_has_its_places_free() -> None:
    layer = AdaptiveConcurrency()

    assert GateStats(0, 20, 0, 100) == layer.stats("http://never.example/")
    assert {} == layer.known()


def test_the_repr_shows_the_numbers_that_are_in_effect() -> None:
    assert (
        "AdaptiveConcurrency(algorithm='gradient', initial=20, minimum=1, maximum=200, queue=100, patience=2.0, "
        "backoff=0.9, tolerance=1.5, headroom=4.0, smoothing=0.2, window=1.0, memory=60, "
        "overloaded=Transient(statuses={429, 503}, on=(TimeoutException,)), deadline_counts_after=1.0)"
    ) == repr(AdaptiveConcurrency())
    assert "backoff=0.9, too_slow=5.0, overloaded=" in repr(AdaptiveConcurrency(algorithm="aimd"))


@pytest.mark.parametrize("how", ["pickle", "copy", "deepcopy"])
def test_copies_have_the_settings_and_a_state_of_their_own(drive: Drive, how: str) -> None:
    layer = adaptive(maximum=7)
    limit_after(layer, drive, Response(503))

    if how == "pickle":
        copied = pickle.loads(pickle.dumps(layer))
    else:
        copied = getattr(copy, how)(layer)

    assert layer == copied
    assert repr(layer) == repr(copied)
    assert {} == copied.known()
