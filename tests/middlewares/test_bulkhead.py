"""Bulkhead: who passes, who waits, who is refused, and that every place is given back."""

from __future__ import annotations

import copy
import pickle
from math import inf
from typing import Any

import anyio
import pytest

from scallion.middlewares.bulkhead import Bulkhead
from scallion.middlewares.gate import GateStats
from scallion.middlewares.timeouts import Deadlines
from scallion.pipeline.errors import BulkheadFull, ConnectError, TotalTimeout
from scallion.pipeline.onion import Send, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Event
from support.cancelling import cancelled_everywhere
from support.colours import Colour, Drive
from support.together import together
from support.worlds import OpenStream, World, noted, open_response, play

URL = "http://example.org/"
ORIGIN = "http://example.org:80"


def get(url: str = URL, **extensions: Any) -> Request:
    return Request("GET", url, extensions=extensions)


def full(bulkhead: Bulkhead, drive: Drive) -> list[Response]:
    """Open responses on all places: whoever lets go of them gives the places back."""
    responses = [open_response(200, b"body") for _ in range(bulkhead.limit)]
    for response in responses:
        assert response is play([bulkhead], get(), World([response]), drive)
    assert bulkhead.limit == bulkhead.stats(URL).active
    return responses


def through(bulkhead: Bulkhead, world: World, drive: Drive) -> Send:
    world.blocking = drive.blocking
    return compose([bulkhead], world.transport, world, strict=True)


async def close(response: Response, drive: Drive) -> None:
    if drive.blocking:
        response.close()
    else:
        await response.aclose()


# Places


def test_a_response_that_is_all_here_gives_its_place_back(drive: Drive) -> None:
    bulkhead = Bulkhead(limit=1, queue=0)
    for _ in range(3):
        assert 200 == play([bulkhead], get(), World([Response(200)]), drive).status_code

    assert GateStats(0, 1, 0, 0) == bulkhead.stats(URL)


def test_an_open_body_keeps_the_place(drive: Drive) -> None:
    """
    Until it is closed, or was read to its end.
    """
    bulkhead = Bulkhead(limit=1, queue=0)
    for read in (True, False):
        response = full(bulkhead, drive)[0]
        with pytest.raises(BulkheadFull):
            play([bulkhead], get(), World(), drive)

        async def end(response: Response = response, read: bool = read) -> None:
            if not read:
                await close(response, drive)
            elif drive.blocking:
                assert b"body" == response.read()
            else:
                assert b"body" == await response.aread()

        drive(end)
        assert 0 == bulkhead.stats(URL).active


@pytest.mark.parametrize("error", [ConnectError("refused"), ValueError("a bug")])
def test_a_failure_gives_the_place_back(drive: Drive, error: Exception) -> None:
    bulkhead = Bulkhead(limit=1, queue=0)
    with pytest.raises(type(error)):
        play([bulkhead], get(), World([error]), drive)

    assert 0 == bulkhead.stats(URL).active


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit])
def test_an_interruption_gives_the_place_back(error: type[BaseException]) -> None:
    bulkhead = Bulkhead(limit=1, queue=0)

    def interrupt(request: Request) -> Response:
        raise error

    with pytest.raises(error):
        play([bulkhead], get(), World([interrupt]), Drive("sync"))

    assert 0 == bulkhead.stats(URL).active


def test_origins_do_not_take_each_others_places(drive: Drive) -> None:
    """
    That is what a bulkhead is for.
    """
    bulkhead = Bulkhead(limit=1, queue=0)
    _open = full(bulkhead, drive)
    _other = play([bulkhead], get("http://other.example/"), World([open_response(200)]), drive)

    assert {
        ORIGIN: GateStats(1, 1, 0, 0),
        "http://other.example:80": GateStats(1, 1, 0, 0),
    } == bulkhead.known()


# Refusals


def test_a_full_bulkhead_refuses_with_its_numbers(drive: Drive) -> None:
    """
    At once where there is no queue; nothing is sent.
    """
    bulkhead = Bulkhead(limit=2, queue=0)
    _open = full(bulkhead, drive)
    request = get()
    events = noted(request)
    world = World()

    with pytest.raises(BulkheadFull) as raised:
        play([bulkhead], request, world, drive)

    assert [] == world.asked
    assert [] == world.waited
    assert request is raised.value.request
    assert (f"No place for another request to {ORIGIN}: 2 of 2 under way, 0 of 0 waiting") == str(
        raised.value
    )
    numbers = {"active": 2, "limit": 2, "waiting": 0, "queue": 0}
    assert [("bulkhead.refused", {"origin": ORIGIN, **numbers, "waited": 0.0})] == events


def test_patience_comes_to_an_end(drive: Drive) -> None:
    """
    Who waited in vain is out of the line, and told for how long.
    """
    bulkhead = Bulkhead(limit=1, queue=1, patience=1.5)
    _open = full(bulkhead, drive)
    request = get()
    events = noted(request)
    world = World()

    with pytest.raises(BulkheadFull, match=r"within 1\.5 s: 1 of 1 under way, 0 of 1 waiting"):
        play([bulkhead], request, world, drive)

    assert [1.5] == world.waited
    numbers = {"origin": ORIGIN, "active": 1, "limit": 1, "queue": 1}
    assert [
        ("bulkhead.queued", {**numbers, "waiting": 1}),
        ("bulkhead.refused", {**numbers, "waiting": 0, "waited": 1.5}),
    ] == events
    assert GateStats(1, 1, 0, 1) == bulkhead.stats(URL)


def test_a_full_line_refuses_at_once(drive: Drive) -> None:
    """
    Those who wait already go on waiting.
    """
    bulkhead = Bulkhead(limit=1, queue=1)
    (response,) = full(bulkhead, drive)
    world = World([Response(200)], patient=True)

    async def scenario() -> list[Response | Exception]:
        send = through(bulkhead, world, drive)
        refused = world.event()

        async def come() -> Response:
            try:
                return await send(get())
            except BulkheadFull:
                refused.set()
                raise

        async def leave() -> None:
            await refused.wait(20)
            await close(response, drive)

        return await together(drive, come, come, leave)  # type: ignore[arg-type]

    *results, _ = drive(scenario)

    kinds = sorted(type(result).__name__ for result in results)
    assert ["BulkheadFull", "Response"] == kinds
    assert 1 == len(world.asked)


@pytest.mark.parametrize("patience", [0, 0.0])
def test_no_patience_is_no_waiting(drive: Drive, patience: float) -> None:
    bulkhead = Bulkhead(limit=1, queue=5, patience=patience)
    _open = full(bulkhead, drive)
    world = World()

    with pytest.raises(BulkheadFull):
        play([bulkhead], get(), world, drive)
    assert [] == world.waited


# The deadline


def test_the_deadline_bounds_the_wait(drive: Drive) -> None:
    """
    What it ends is a `TotalTimeout`, in each colour.
    """
    bulkhead = Bulkhead(limit=1, patience=2.0)
    _open = full(bulkhead, drive)
    request = get()
    request.deadline = 1000.5
    world = World()

    with pytest.raises(TotalTimeout, match="waiting for a place"):
        play([bulkhead], request, world, drive)

    assert [0.5] == world.waited
    assert 0 == bulkhead.stats(URL).waiting


def test_inside_the_total_the_call_is_ended_by_it(drive: Drive) -> None:
    bulkhead = Bulkhead(limit=1, patience=2.0)
    _open = full(bulkhead, drive)

    with pytest.raises(TotalTimeout) as raised:
        play([Deadlines(0.5), bulkhead], get(), World(), drive)

    told = "\n".join([str(raised.value), *getattr(raised.value, "__notes__", [])])
    assert "its total timeout of 0.5 seconds; the last event was: bulkhead.queued" in told
    assert GateStats(1, 1, 0, 100) == bulkhead.stats(URL)


def test_a_wait_beyond_the_deadline_is_not_begun(drive: Drive) -> None:
    bulkhead = Bulkhead(limit=1)
    _open = full(bulkhead, drive)
    request = get()
    request.deadline = 1000.0
    world = World()

    with pytest.raises(TotalTimeout):
        play([bulkhead], request, world, drive)
    assert [] == world.waited


# The line


def test_places_are_handed_over_in_order(drive: Drive) -> None:
    """
    First come, first served; and who comes later does not overtake those who wait.
    """
    bulkhead = Bulkhead(limit=1, queue=10, patience=20.0)
    (response,) = full(bulkhead, drive)
    order: list[str] = []
    world = World(patient=True)

    async def scenario() -> None:
        arrived: list[Event] = [world.event() for _ in range(5)]

        async def transport(request: Request) -> Response:
            order.append(request.url.path)
            return Response(200)

        send = compose([bulkhead], transport, world, strict=True)

        def caller(number: int) -> Any:
            async def come() -> Response:
                await arrived[number].wait(20)
                request = get(f"{URL}{number}")
                # In line for sure when the next one comes.
                request.observers = (lambda event, fields: arrived[number + 1].set(),)
                return await send(request)

            return come

        async def leave() -> None:
            arrived[0].set()
            await arrived[4].wait(20)
            await close(response, drive)

        results = await together(drive, leave, *[caller(number) for number in range(4)])
        assert not [result for result in results if isinstance(result, Exception)]

    world.blocking = drive.blocking
    drive(scenario)

    assert ["/0", "/1", "/2", "/3"] == order
    assert GateStats(0, 1, 0, 10) == bulkhead.stats(URL)


def test_who_waited_is_told_for_how_long(drive: Drive) -> None:
    bulkhead = Bulkhead(limit=1, patience=20.0)
    (response,) = full(bulkhead, drive)
    request = get()
    events = noted(request)
    world = World([Response(200)], patient=True)

    async def scenario() -> None:
        send = through(bulkhead, world, drive)
        queued = world.event()
        request.observers = (*request.observers, lambda event, fields: queued.set())

        async def leave() -> None:
            await queued.wait(20)
            world.now += 1.25
            await close(response, drive)

        await together(drive, lambda: send(request), leave)  # type: ignore[arg-type,return-value]

    drive(scenario)

    assert ["bulkhead.queued", "bulkhead.admitted"] == [event for event, _ in events]
    assert {"origin": ORIGIN, "waited": 1.25} == events[1][1]


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_call_that_is_cancelled_anywhere_gives_its_place_back(colour: Colour) -> None:
    """
    In line, as it is let through, while it is sent, and while its body is read.
    """
    drive = Drive(colour)

    async def scenario() -> int:
        bulkhead = Bulkhead(limit=1, queue=1, patience=20.0)
        world = World(blocking=False, patient=True)
        streams: list[OpenStream] = []

        async def transport(request: Request) -> Response:
            await anyio.lowlevel.checkpoint()
            response = open_response(200, b"one", b"two")
            assert isinstance(response.stream, OpenStream)
            streams.append(response.stream)
            return response

        send = compose([bulkhead], transport, world, strict=True)

        async def work() -> None:
            first = await send(get())
            try:
                async with anyio.create_task_group() as group:

                    async def second() -> None:
                        response = await send(get())
                        try:
                            await anyio.lowlevel.checkpoint()
                            await response.aread()
                        finally:
                            await response.aclose()

                    group.start_soon(second)
                    await anyio.lowlevel.checkpoint()
                    await anyio.lowlevel.checkpoint()
                    await first.aclose()
            finally:
                await first.aclose()

        async def check() -> None:
            assert GateStats(0, 1, 0, 1) == bulkhead.stats(URL)

        return await cancelled_everywhere(work, check)

    assert drive(scenario) >= 4


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_who_gives_up_in_line_is_out_of_it(colour: Colour) -> None:
    """
    A place that comes free later goes to the next, not to him.
    """
    drive = Drive(colour)

    async def scenario() -> int:
        bulkhead = Bulkhead(limit=1, queue=2, patience=20.0)
        world = World(blocking=False, patient=True)

        async def transport(request: Request) -> Response:
            return open_response(200)

        send = compose([bulkhead], transport, world, strict=True)
        first = await send(get())

        async def work() -> None:
            with anyio.move_on_after(0.001):
                await send(get())
            assert 0 == bulkhead.stats(URL).waiting

        async def check() -> None:
            assert GateStats(1, 1, 0, 2) == bulkhead.stats(URL)

        count = await cancelled_everywhere(work, check)
        await first.aclose()
        last = await send(get())
        await last.aclose()
        return count

    assert drive(scenario) >= 1


def test_threads_and_tasks_never_exceed_the_limit(drive: Drive) -> None:
    """
    Many callers, few places: all are answered.
    """
    bulkhead = Bulkhead(limit=3, queue=100, patience=20.0)
    inside = most = 0

    async def scenario() -> list[Response | Exception]:
        runtime = drive.runtime()

        async def transport(request: Request) -> Response:
            nonlocal inside, most
            inside += 1
            most = max(most, bulkhead.stats(URL).active)
            await runtime.sleep(0)
            inside -= 1
            return open_response(200, b"body")

        send = compose([bulkhead], transport, runtime)

        async def come() -> Response:
            response = await send(get())
            await runtime.sleep(0)
            await close(response, drive)
            return response

        return await together(drive, *[come] * 40)

    results = drive(scenario)

    assert [] == [result for result in results if isinstance(result, Exception)]
    assert most <= 3
    assert GateStats(0, 3, 0, 100) == bulkhead.stats(URL)


# Options and construction


def test_one_request_may_have_its_own_patience(drive: Drive) -> None:
    bulkhead = Bulkhead(limit=1, patience=2.0)
    _open = full(bulkhead, drive)
    world = World()

    with pytest.raises(BulkheadFull):
        play([bulkhead], get(**Bulkhead.option_for(patience=0.25)), world, drive)
    with pytest.raises(BulkheadFull):
        play([bulkhead], get(**Bulkhead.option_for(patience=0)), world, drive)
    assert [0.25] == world.waited


def test_one_request_may_pass_by(drive: Drive) -> None:
    """
    With the option it needs no place, and takes none.
    """
    bulkhead = Bulkhead(limit=1, queue=0)
    _open = full(bulkhead, drive)
    option = Bulkhead.option_for(enabled=False)

    assert 200 == play([bulkhead], get(**option), World([Response(200)]), drive).status_code
    assert 1 == bulkhead.stats(URL).active
    with pytest.raises(BulkheadFull):
        play([bulkhead], get(**Bulkhead.option_for()), World(), drive)


def test_stray_options_are_refused(drive: Drive) -> None:
    with pytest.raises(TypeError, match=r"Bulkhead\.option_for"):
        play([Bulkhead()], get(**{"scallion.Bulkhead": 1.0}), World(), drive)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"limit": 0}, "limit must be at least 1: 0"),
        ({"queue": -1}, "queue must be at least 0: -1"),
        ({"patience": -0.5}, "patience must be at least 0"),
    ],
)
def test_settings_are_validated(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"Bulkhead {message}"):
        Bulkhead(**settings)


def test_patience_is_validated_for_one_request() -> None:
    with pytest.raises(ValueError, match="Bulkhead patience must be at least 0: -1"):
        Bulkhead.option_for(patience=-1)


def test_patience_may_have_no_end(drive: Drive) -> None:
    """
    It then waits as long as the deadline allows.
    """
    bulkhead = Bulkhead(limit=1, patience=inf)
    _open = full(bulkhead, drive)
    request = get()
    request.deadline = 1003.0

    with pytest.raises(TotalTimeout):
        play([bulkhead], request, World(), drive)


def test_an_unknown_origin_has_its_places_free() -> None:
    bulkhead = Bulkhead(limit=4, queue=2)

    assert GateStats(0, 4, 0, 2) == bulkhead.stats("http://never.example/")
    assert {} == bulkhead.known()


def test_the_repr_shows_the_effective_numbers() -> None:
    assert "Bulkhead(limit=100, queue=100, patience=2.0)" == repr(Bulkhead())


@pytest.mark.parametrize("how", ["pickle", "copy", "deepcopy"])
def test_copies_have_the_settings_and_a_state_of_their_own(drive: Drive, how: str) -> None:
    layer = Bulkhead(limit=7)
    play([layer], get(), World([Response(200)]), drive)

    if how == "pickle":
        copied = pickle.loads(pickle.dumps(layer))
    else:
        copied = getattr(copy, how)(layer)

    assert layer == copied
    assert repr(layer) == repr(copied)
    assert {} == copied.known()
