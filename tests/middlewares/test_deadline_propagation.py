"""DeadlinePropagation, and Deadlines inside an incoming request: what bounds a call, and what is told downstream."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from scallion.middlewares.deadline_propagation import DeadlinePropagation
from scallion.middlewares.redirects import Redirects
from scallion.middlewares.retries import Retries
from scallion.middlewares.timeouts import AttemptTimeouts, Deadlines
from scallion.pipeline.errors import AttemptTimeout, TotalTimeout
from scallion.pipeline.incoming import unbounded, within
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import BlockingRuntime
from scallion.testing import check_middleware
from support.colours import Drive
from support.worlds import After, Step, World, noted, play

URL = "http://example.org/"
OK = 200
HEADER = "X-Request-Timeout"


def get(**settings: Any) -> Request:
    return Request("GET", URL, **settings)


def due(at: float, request: Request | None = None) -> Request:
    request = request or get()
    request.deadline = at
    return request


def told(headers: list[str | None], then: Step = Response(OK), name: str = HEADER) -> Step:  # noqa: B008
    """A step that remembers what the header said."""

    def step(request: Request) -> Any:
        headers.append(request.headers.get(name))
        return then

    return step


def seen(deadlines: list[float | None]) -> Step:
    def step(request: Request) -> Response:
        deadlines.append(request.deadline)
        return Response(OK)

    return step


# The header


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (DeadlinePropagation(), "12.5"),
        (DeadlinePropagation(form="milliseconds"), "12500"),
        (DeadlinePropagation(form="grpc"), "12500m"),
    ],
)
def test_what_is_left_is_sent(drive: Drive, layer: DeadlinePropagation, expected: str) -> None:
    """
    In the form that was chosen.
    """
    headers: list[str | None] = []

    play([layer], due(1012.5), World([told(headers)]), drive)

    assert [expected] == headers


def test_the_header_has_the_name_that_was_chosen(drive: Drive) -> None:
    headers: list[str | None] = []
    layer = DeadlinePropagation("grpc-timeout", "grpc")

    play([layer], due(1000.25), World([told(headers, name="grpc-timeout")]), drive)

    assert ["250m"] == headers


@pytest.mark.parametrize("deadline", [None, float("inf")])
def test_without_a_deadline_nothing_is_sent(drive: Drive, deadline: float | None) -> None:
    headers: list[str | None] = []
    request = get()
    request.deadline = deadline

    play([DeadlinePropagation()], request, World([told(headers)]), drive)

    assert [None] == headers


def test_the_callers_own_header_stands(drive: Drive) -> None:
    """
    Whoever sets it knows why.
    """
    headers: list[str | None] = []
    request = due(1012.5, get(headers={HEADER.lower(): "3"}))

    play([DeadlinePropagation()], request, World([told(headers)]), drive)

    assert ["3"] == headers


def test_each_attempt_tells_what_is_left_then(drive: Drive) -> None:
    """
    What has been waited for is gone.
    """
    headers: list[str | None] = []
    layers = [Deadlines(30.0), Retries(wait=lambda state: 2.0), DeadlinePropagation()]
    steps = [After(1.0, told(headers, then)) for then in (Response(503), Response(OK))]

    play(layers, get(), World(steps), drive)

    assert ["30", "27"] == headers


def test_a_redirected_request_tells_what_is_left_then(drive: Drive) -> None:
    """
    The header that the first hop carried is no caller's, though it was copied.
    """
    headers: list[str | None] = []
    layers = [Deadlines(30.0), Redirects(follow=True), DeadlinePropagation()]
    moved = Response(302, headers={"Location": "/there"})

    play(layers, get(), World([After(1.0, told(headers, moved)), told(headers)]), drive)

    assert ["30", "29"] == headers


def test_what_an_earlier_call_told_is_replaced_or_removed(drive: Drive) -> None:
    """
    A request may be sent again, or be a copy of one that was sent.
    """
    headers: list[str | None] = []
    request = due(1012.5)
    play([DeadlinePropagation()], request, World([told(headers)]), drive)

    again = get(headers=request.headers)
    play([DeadlinePropagation()], due(1009.0, again), World([told(headers)]), drive)
    again = get(headers=pickle.loads(pickle.dumps(copy.copy(request.headers))))
    play([DeadlinePropagation()], again, World([told(headers)]), drive)

    assert ["12.5", "9", None] == headers


def test_the_attempts_own_limit_is_told_where_it_comes_first(drive: Drive) -> None:
    """
    Inside the attempt's timeout nobody is asked to work for longer than the attempt waits.
    """
    headers: list[str | None] = []
    layers = [Deadlines(30.0), AttemptTimeouts(10.0), DeadlinePropagation()]

    play(layers, get(), World([told(headers)]), drive)

    assert ["10"] == headers


def test_one_request_may_keep_it_to_itself(drive: Drive) -> None:
    headers: list[str | None] = []
    option = DeadlinePropagation.option_for(enabled=False)
    request = due(1012.5, get(extensions=option))

    play([DeadlinePropagation()], request, World([told(headers)]), drive)

    assert [None] == headers


def test_stray_options_are_refused(drive: Drive) -> None:
    request = due(1012.5, get(extensions={"scallion.DeadlinePropagation": False}))

    with pytest.raises(TypeError, match=r"DeadlinePropagation.option_for\(\.\.\.\), not False"):
        play([DeadlinePropagation()], request, World([]), drive)


def test_observers_are_told_what_was_sent(drive: Drive) -> None:
    request = due(1012.5)
    events = noted(request)

    play([DeadlinePropagation()], request, World([Response(OK)]), drive)

    assert [("deadline.sent", {"header": HEADER, "value": "12.5"})] == events


def test_an_attempt_whose_deadline_has_passed_is_not_sent(drive: Drive) -> None:
    """
    Something further out has taken all the time.
    """
    request = due(1000.0)
    events = noted(request)
    world = World([])

    with pytest.raises(TotalTimeout, match="had passed before this attempt") as raised:
        play([DeadlinePropagation()], request, world, drive)

    assert request is raised.value.request
    assert [] == world.asked
    assert [("deadline.passed", {"late": 0.0})] == events


def test_an_attempt_that_has_no_time_left_is_the_attempts_timeout(drive: Drive) -> None:
    """
    The call may have some.
    """

    async def slow(request: Request, call_next: Any) -> Response:
        # Under an event loop the attempt is ended from outside, meanwhile.
        await call_next.runtime.sleep(3.0)
        response: Response = await call_next(request)
        return response

    with pytest.raises(AttemptTimeout):
        play([AttemptTimeouts(2.0), slow, DeadlinePropagation()], get(), World([]), drive)


def test_the_rules_of_the_onion_are_kept() -> None:
    """
    Those of the conformance suite.
    """
    check_middleware(DeadlinePropagation)


def test_without_a_deadline_there_is_no_layer() -> None:
    """
    It hands the request on without a coroutine of its own.
    """
    nothing: Any = object()

    call_next = Next(lambda request: nothing, BlockingRuntime())
    assert nothing is DeadlinePropagation()(get(), call_next)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"header": "X Timeout"}, "DeadlinePropagation header must be a header's name"),
        ({"form": "hours"}, "DeadlinePropagation form must be one of"),
    ],
)
def test_settings_are_validated(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DeadlinePropagation(**settings)


def test_it_shows_its_settings() -> None:
    assert "DeadlinePropagation(header='X-Request-Timeout', form='seconds')" == repr(
        DeadlinePropagation()
    )


# Inside an incoming request


@pytest.mark.parametrize(
    ("total", "brought", "expected"),
    [
        (None, None, 1005.0),
        (30.0, None, 1005.0),
        (3.0, None, 1003.0),
        (None, 1002.0, 1002.0),
        (30.0, 1060.0, 1005.0),
    ],
)
def test_the_earliest_deadline_counts(
    drive: Drive, total: float | None, brought: float | None, expected: float
) -> None:
    """
    The call's total, what the request brings, the incoming request's.
    """
    deadlines: list[float | None] = []
    request = get()
    request.deadline = brought
    world = World([seen(deadlines)])

    with within(5.0, world.clock):
        play([Deadlines(total)], request, world, drive)

    assert [expected] == deadlines


def test_outside_an_incoming_request_nothing_is_left_of_it(drive: Drive) -> None:
    """
    The same request can be sent again later, and while one is served calls can be exempt.
    """
    deadlines: list[float | None] = []
    request = get()
    world = World([seen(deadlines)] * 3)

    with within(5.0, world.clock):
        play([Deadlines()], request, world, drive)
        with unbounded():
            play([Deadlines()], request, world, drive)
    play([Deadlines()], request, world, drive)

    assert [1005.0, None, None] == deadlines


def test_a_call_after_the_deadline_is_not_sent(drive: Drive) -> None:
    """
    Nobody waits for the answer any more.
    """
    request = get()
    events = noted(request)
    world = World([])

    with within(5.0, world.clock):
        world.now += 5.5
        with pytest.raises(
            TotalTimeout, match=r"^The incoming request's deadline had passed"
        ) as raised:
            play([Deadlines(30.0)], request, world, drive)

    assert request is raised.value.request
    assert [] == world.asked
    assert [("deadline.passed", {"late": 0.5})] == events


def test_a_call_of_its_own_deadline_is_not_the_incoming_requests(drive: Drive) -> None:
    world = World([])

    with within(5.0, world.clock):
        with pytest.raises(TotalTimeout, match=r"^The call's deadline had passed"):
            play([Deadlines(30.0)], due(999.0), world, drive)


def test_a_call_is_ended_in_the_incoming_requests_name(drive: Drive) -> None:
    """
    The message says whose deadline it was; the observers were told beforehand.
    """
    request = get()
    events = noted(request)
    world = World([])

    def late(request: Request) -> Any:
        if world.blocking:
            world.now = request.deadline or 0.0
            return TotalTimeout("The call's deadline passed while reading", request=request)
        return world.pass_time(60.0)

    world._script = iter([late])
    with within(5.0, world.clock), pytest.raises(TotalTimeout) as raised:
        play([Deadlines(30.0)], request, world, drive)

    texts = [str(raised.value), *getattr(raised.value, "__notes__", ())]
    assert any("outlasted the incoming request's deadline" in text for text in texts)
    assert ("deadline.incoming", {"left": 5.0}) == events[0]
    assert ("total_timeout", {"total": None}) == events[-1]


def test_retries_do_not_wait_beyond_it(drive: Drive) -> None:
    """
    The last answer is the answer, at once.
    """
    world = World([Response(503)])

    with within(5.0, world.clock):
        answer = play([Deadlines(), Retries(wait=lambda state: 6.0)], get(), world, drive)

    assert 503 == answer.status_code
    assert [] == world.slept
