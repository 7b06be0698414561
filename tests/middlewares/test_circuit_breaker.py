"""CircuitBreaker: what it counts, when it refuses, what it tells, and that a probe is never lost."""

from __future__ import annotations

import copy
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from scallion.middlewares.circuit_breaker import CircuitBreaker
from scallion.middlewares.retries import Retries
from scallion.middlewares.timeouts import AttemptTimeouts, Deadlines
from scallion.middlewares.transient import Transient
from scallion.pipeline.errors import (
    AttemptTimeout,
    BulkheadFull,
    CircuitOpen,
    ConnectError,
    LocalProtocolError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    TotalTimeout,
)
from scallion.pipeline.onion import Middleware, Next, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from support.cancelling import cancelled_everywhere
from support.colours import Colour, Drive
from support.together import together
from support.worlds import After, OpenStream, Step, World, noted, open_response, play

URL = "http://example.org/"
ORIGIN = "http://example.org:80"


def get(url: str = URL, **extensions: Any) -> Request:
    return Request("GET", url, extensions=extensions)


def breaker_of(**settings: Any) -> CircuitBreaker:
    return CircuitBreaker(**{"minimum": 4, "jitter": 0.0, **settings})


def feed(breaker: Middleware, drive: Drive, *steps: Step, now: float = 1000.0) -> World:
    """Send one request for each step, whatever comes of it."""
    world = World(steps, now=now)
    for _ in steps:
        try:
            play([breaker], get(), world, drive)
        except Exception:
            pass
    return world


def trip(breaker: CircuitBreaker, drive: Drive) -> CircuitBreaker:
    feed(breaker, drive, *[Response(503) for _ in range(4)])
    assert "open" == breaker.state(URL).phase
    return breaker


def at(breaker: CircuitBreaker, drive: Drive, now: float, request: Request, step: Step) -> Response:
    """Send `request` at a moment; `step` is how it would be answered."""
    return play([breaker], request, World([step], now=now), drive)


# What is counted


def test_responses_pass_as_they_are(drive: Drive) -> None:
    """
    Open bodies and failures included.
    """
    breaker = breaker_of()
    response = open_response(503, b"body")

    assert response is play([breaker], get(), World([response]), drive)
    assert not response.is_closed
    assert (1, 1) == (breaker.state(URL).requests, breaker.state(URL).failures)


@pytest.mark.parametrize(
    ("step", "counted"),
    [
        (Response(200), (1, 0)),
        (Response(404), (1, 0)),
        (Response(500), (1, 0)),
        (Response(429), (1, 1)),
        (Response(503), (1, 1)),
        (ConnectError("refused"), (1, 1)),
        (AttemptTimeout("late"), (1, 1)),
        (LocalProtocolError("ours"), (0, 0)),
        (BulkheadFull("further in"), (0, 0)),
        (ValueError("a bug"), (0, 0)),
    ],
    ids=repr,
)
def test_what_is_counted(drive: Drive, step: Step, counted: tuple[int, int]) -> None:
    """
    The failures are those of retries; what says nothing of the origin counts neither way.
    """
    breaker = breaker_of()
    feed(breaker, drive, step)
    state = breaker.state(URL)

    assert counted == (state.requests, state.failures)


def test_the_classifier_is_a_setting(drive: Drive) -> None:
    """
    Other statuses and other errors are failures where they are said to be.
    """
    breaker = breaker_of(statuses=[500], on=(ValueError,))
    feed(breaker, drive, Response(500), Response(503), ValueError(), ConnectError("refused"))

    assert (3, 2) == (breaker.state(URL).requests, breaker.state(URL).failures)


def test_the_classifier_may_be_shared_with_retries(drive: Drive) -> None:
    """
    One value says what is transient, to both.
    """
    transient = Transient(also=lambda outcome: getattr(outcome, "status_code", 0) == 500)
    breaker = breaker_of(transient=transient)
    feed(breaker, drive, Response(500), Response(501), Response(503), ConnectError("refused"))
    assert (4, 3) == (breaker.state(URL).requests, breaker.state(URL).failures)
    assert f"transient={transient!r}" in repr(breaker)

    plain = breaker_of(transient=Transient([501]))
    feed(plain, drive, Response(500), Response(501))
    assert (2, 1) == (plain.state(URL).requests, plain.state(URL).failures)

    with pytest.raises(ValueError, match="give one of them"):
        CircuitBreaker(transient=Transient(), statuses=[500])


@pytest.mark.parametrize("outcome", [ReadError("gone"), Response(200)], ids=["error", "response"])
def test_a_classifier_that_fails_gives_its_probe_back(drive: Drive, outcome: Any) -> None:
    """
    Else it would be the last one, and the circuit half-open for ever.
    """
    broken = [False]

    def classify(outcome: Response | Exception) -> bool:
        if broken[0]:
            raise ValueError("a mistake")
        return isinstance(outcome, Exception)

    breaker = breaker_of(minimum=1, break_for=5.0, transient=classify)
    world = World([ReadError("gone"), outcome, Response(200)])
    with pytest.raises(ReadError):
        play([breaker], get(), world, drive)
    world.now += 5.0
    broken[0] = True
    with pytest.raises(ValueError, match="a mistake"):
        play([breaker], get(), world, drive)
    broken[0] = False

    assert 0 == breaker.state(URL).probing
    assert 200 == play([breaker], get(), world, drive).status_code
    assert "closed" == breaker.state(URL).phase


def test_a_classifier_that_fails_loses_nothing(drive: Drive) -> None:
    """
    Its error is raised; the response is closed, and a probe given back.
    """

    def classify(outcome: object) -> bool:
        raise ValueError("a bug")

    breaker = breaker_of(transient=classify)
    response = open_response(200)
    circuit = breaker._circuits.at(get().url.origin_key)
    for _ in range(4):
        number = circuit.enter(1000.0, get().note)
        assert number is not None
        circuit.leave(number, 1000.0, False, get().note)

    with pytest.raises(ValueError, match="a bug"):
        at(breaker, drive, 1005.0, get(), response)

    assert response.is_closed
    assert ("half-open", 0) == (breaker.state(URL).phase, breaker.state(URL).probing)


def test_attempts_are_counted_not_calls(drive: Drive) -> None:
    """
    Inside retries each try counts; the try that the open circuit refuses is the call's answer.
    """
    breaker = breaker_of(minimum=2)
    request = get()
    retries = Retries(attempts=5, wait=lambda state: 0.1)

    with pytest.raises(CircuitOpen):
        play([retries, breaker], request, World([Response(503), Response(503)]), drive)

    assert (2, 2) == (breaker.state(URL).requests, breaker.state(URL).failures)


def test_attempts_that_time_out_count(drive: Drive) -> None:
    """
    The attempt's timeout lies inside.
    """
    breaker = breaker_of(minimum=1)

    async def hang(request: Request, call_next: Next) -> Response:
        await call_next.runtime.sleep(60)
        raise TotalTimeout("kept by the transport")

    with pytest.raises(AttemptTimeout):
        play([breaker, AttemptTimeouts(2.0), hang], get(), World(), drive)

    assert "open" == breaker.state(URL).phase


@pytest.mark.parametrize(("total", "counted"), [(2.0, 1), (0.5, 0)])
def test_the_calls_deadline_counts_if_the_attempt_had_time(
    drive: Drive, total: float, counted: int
) -> None:
    """
    In every colour: a dead origin opens its circuit though no attempt has a timeout of its own.
    """
    breaker = breaker_of()
    world = World()

    async def hang(request: Request, call_next: Next) -> Response:
        assert request.deadline is not None
        await call_next.runtime.sleep(request.deadline - world.now if drive.blocking else 60)
        raise TotalTimeout("kept by the transport")

    with pytest.raises(TotalTimeout):
        play([Deadlines(total), breaker, hang], get(), world, drive)

    assert counted == breaker.state(URL).failures


# Bodies


class Breaking(OpenStream):
    """A body that breaks off."""

    def __init__(self, error: Exception) -> None:
        super().__init__(b"half")
        self.error = error

    def __iter__(self) -> Iterator[bytes]:
        yield b"half"
        raise self.error

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


def broken(error: Exception | None = None, status: int = 200) -> Response:
    return Response(status, stream=Breaking(error or ReadError("cut off")))


def read(breaker: CircuitBreaker, drive: Drive, world: World, request: Request) -> None:
    """Send, and read the body as the client does; the world's clock goes on by a minute in between."""
    world.blocking = drive.blocking

    async def scenario() -> None:
        response = await compose([breaker], world.transport, world)(request)
        await response.aread()

    try:
        drive(scenario)
    except Exception:
        pass


@pytest.mark.parametrize(
    ("response", "counted"),
    [
        (lambda: broken(), (1, 1)),
        (lambda: broken(RemoteProtocolError("cut off")), (1, 1)),
        (lambda: broken(ReadTimeout("slow")), (1, 1)),
        (lambda: broken(status=503), (1, 1)),
        (lambda: broken(TotalTimeout("the caller's")), (1, 0)),
        (lambda: broken(ValueError("a bug")), (1, 0)),
        (lambda: open_response(200, b"whole"), (1, 0)),
    ],
)
def test_a_body_that_breaks_off_is_a_failure(
    drive: Drive, response: Any, counted: tuple[int, int]
) -> None:
    """
    Once, in the place of the success that its headers were.
    """
    breaker = breaker_of()
    read(breaker, drive, World([response()]), get())

    state = breaker.state(URL)
    assert counted == (state.requests, state.failures)


def test_broken_bodies_open_the_circuit(drive: Drive) -> None:
    """
    Who is told are the observers that the request had, though they have been taken off it meanwhile.
    """
    breaker = breaker_of()
    request = get()
    events = noted(request)
    for _ in range(3):
        read(breaker, drive, World([broken()]), get())

    async def taking_off(request: Request, call_next: Next) -> Response:
        response = await call_next(request)
        request.observers = ()
        return response

    world = World([broken()], blocking=drive.blocking)

    async def scenario() -> None:
        onion = compose([taking_off, breaker], world.transport, world)
        with pytest.raises(ReadError):
            await (await onion(request)).aread()

    drive(scenario)

    assert "open" == breaker.state(URL).phase
    assert ["breaker.opened"] == [event for event, _ in events]
    assert (4, 4) == (events[0][1]["failures"], events[0][1]["requests"])


def test_a_body_that_is_given_up_says_nothing(drive: Drive) -> None:
    """
    Closed or forgotten unread, the success stands.
    """
    breaker = breaker_of()
    response = play([breaker], get(), World([broken()]), drive)
    drive(response.aclose)
    play([breaker], get(), World([broken()]), drive)

    assert (2, 0) == (breaker.state(URL).requests, breaker.state(URL).failures)


def test_bodies_in_memory_are_left_as_they_are(drive: Drive) -> None:
    """
    They cannot break.
    """
    response = Response(200, content=b"whole")
    stream = response.stream

    assert stream is play([breaker_of()], get(), World([response]), drive).stream


def test_a_probes_headers_are_enough(drive: Drive) -> None:
    """
    The circuit closes before its body is read, and what becomes of that was begun in another state.
    """
    breaker = trip(breaker_of(), drive)
    response = at(breaker, drive, 1006.0, get(), broken())
    assert "closed" == breaker.state(URL).phase

    with pytest.raises(ReadError):
        drive(response.aread)

    assert (0, 0) == (breaker.state(URL).requests, breaker.state(URL).failures)


# When it is open


def test_an_open_circuit_refuses_with_its_numbers(drive: Drive) -> None:
    """
    Nothing is sent; the error bears the request, and says how long it will be so.
    """
    breaker = trip(breaker_of(), drive)
    request = get()
    events = noted(request)
    world = World([], now=1001.5)

    with pytest.raises(CircuitOpen) as raised:
        play([breaker], request, world, drive)

    assert [] == world.asked
    assert 3.5 == raised.value.retry_after
    assert request is raised.value.request
    assert (
        f"The circuit to {ORIGIN} is open: 4 of 4 requests within 30 s failed; "
        "it will be tried again in 3.5 s"
    ) == str(raised.value)
    refused = {"origin": ORIGIN, "phase": "open", "retry_after": 3.5}
    assert [("breaker.refused", refused)] == events


def test_other_origins_are_not_concerned(drive: Drive) -> None:
    """
    Each has a circuit of its own: scheme, host and port.
    """
    breaker = trip(breaker_of(), drive)

    for url in ("https://example.org/", "http://example.org:81/", "http://other.example/"):
        assert 200 == play([breaker], get(url), World([Response(200)]), drive).status_code
    with pytest.raises(CircuitOpen):
        play([breaker], get("http://EXAMPLE.org:80/elsewhere"), World(), drive)


def test_one_probe_closes_it(drive: Drive) -> None:
    """
    After the break a request passes; its success lets all pass, and the observers hear of it all.
    """
    breaker = breaker_of()
    failing, probing = get(), get()
    events = noted(failing)
    world = World([Response(503) for _ in range(4)])
    for _ in range(4):
        play([breaker], failing, world, drive)
    opened = {"origin": ORIGIN, "failures": 4, "requests": 4, "seconds": 5.0, "breaks": 1}
    assert [("breaker.opened", opened)] == events

    events = noted(probing)
    at(breaker, drive, 1006.0, probing, After(1.0, Response(200)))

    assert [
        ("breaker.half_open", {"origin": ORIGIN, "after": 6.0}),
        ("breaker.closed", {"origin": ORIGIN, "after": 7.0}),
    ] == events
    state = breaker.state(URL)
    assert ("closed", 0, 0) == (state.phase, state.requests, state.breaks)


def test_a_failed_probe_opens_it_for_longer(drive: Drive) -> None:
    """
    The second break is twice the first.
    """
    breaker = trip(breaker_of(), drive)
    at(breaker, drive, 1005.0, get(), Response(502))

    with pytest.raises(CircuitOpen) as raised:
        at(breaker, drive, 1005.0, get(), Response(200))

    assert 10.0 == raised.value.retry_after
    assert 2 == breaker.state(URL).breaks


def test_while_it_is_probed_others_are_refused(drive: Drive) -> None:
    """
    Nobody knows how long that takes, so there is no time to come back at.
    """
    breaker = trip(breaker_of(), drive)
    refused: list[CircuitOpen] = []

    async def meanwhile(request: Request) -> Response:
        with pytest.raises(CircuitOpen, match=r"is half-open.*being tried") as raised:
            await compose([breaker], world.transport, world, strict=True)(get())
        refused.append(raised.value)
        return Response(200)

    world = World([meanwhile], now=1005.0)
    assert 200 == play([breaker], get(), world, drive).status_code
    assert [None] == [error.retry_after for error in refused]
    assert "closed" == breaker.state(URL).phase


def test_several_probes_must_all_succeed(drive: Drive) -> None:
    """
    With `probes=2` the first success is not enough.
    """
    breaker = trip(breaker_of(probes=2), drive)
    at(breaker, drive, 1005.0, get(), Response(200))
    assert "half-open" == breaker.state(URL).phase

    at(breaker, drive, 1005.0, get(), Response(200))
    assert "closed" == breaker.state(URL).phase


@pytest.mark.parametrize("error", [LocalProtocolError("ours"), ValueError("a bug")])
def test_a_probe_that_says_nothing_is_given_back(drive: Drive, error: Exception) -> None:
    """
    The next request is the probe.
    """
    breaker = trip(breaker_of(), drive)
    with pytest.raises(type(error)):
        at(breaker, drive, 1005.0, get(), error)

    assert 200 == at(breaker, drive, 1005.0, get(), Response(200)).status_code
    assert "closed" == breaker.state(URL).phase


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit])
def test_an_interrupted_probe_is_given_back(error: type[BaseException]) -> None:
    """
    In a thread as well.
    """
    drive = Drive("sync")
    breaker = trip(breaker_of(), drive)

    def interrupt(request: Request) -> Response:
        raise error

    with pytest.raises(error):
        at(breaker, drive, 1005.0, get(), interrupt)

    assert ("half-open", 0) == (breaker.state(URL).phase, breaker.state(URL).probing)
    assert 200 == at(breaker, drive, 1005.0, get(), Response(200)).status_code


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_probe_is_given_back(colour: Colour) -> None:
    """
    Wherever its caller gives up, the next request is the probe; the cancellation counts neither way.
    """
    drive = Drive(colour)

    async def slow(request: Request) -> Response:
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        return Response(200)

    async def scenario() -> int:
        world = World(blocking=False, now=1000.0)
        breaker = breaker_of()

        async def transport(request: Request) -> Response:
            return await slow(request)

        through = compose([breaker], transport, world, strict=True)
        failing = compose([breaker], _unavailable, world, strict=True)

        async def probe() -> None:
            world.now += 100.0
            await through(get())

        async def check() -> None:
            state = breaker.state(URL)
            assert state.phase in {"half-open", "closed"}
            assert 0 == state.probing
            await through(get())
            assert "closed" == breaker.state(URL).phase
            while breaker.state(URL).phase != "open":
                await failing(get())

        for _ in range(4):
            await failing(get())
        return await cancelled_everywhere(probe, check)

    assert drive(scenario) >= 3


async def _unavailable(request: Request) -> Response:
    return Response(503)


def test_many_at_once_send_one_probe(drive: Drive) -> None:
    """
    Of all the requests that come when the break is over, one goes out.
    """
    breaker = trip(breaker_of(), drive)
    world = World(blocking=drive.blocking, patient=True, now=1005.0)
    asked: list[Request] = []

    async def scenario() -> list[Response | Exception]:
        answered = world.event()

        async def transport(request: Request) -> Response:
            asked.append(request)
            await answered.wait(20)
            return Response(200)

        through = compose([breaker], transport, world, strict=True)
        refused: list[None] = []

        async def come() -> Response:
            try:
                return await through(get())
            except CircuitOpen:
                refused.append(None)
                if len(refused) == 7:
                    answered.set()
                raise

        return await together(drive, *[come] * 8)

    results = drive(scenario)

    assert 1 == len(asked)
    assert 7 == sum(isinstance(result, CircuitOpen) for result in results)
    assert "closed" == breaker.state(URL).phase


# Taking it in hand


def test_an_unknown_origin_is_closed() -> None:
    """
    Looking at it does not make it known.
    """
    breaker = CircuitBreaker()

    assert "closed" == breaker.state("http://never.example/").phase
    assert {} == breaker.states()


def test_states_are_told_by_origin(drive: Drive) -> None:
    """
    All that were asked, by name.
    """
    breaker = trip(breaker_of(), drive)
    breaker.force_closed("http://b.example/")

    shown = {name: (state.phase, state.forced) for name, state in breaker.states().items()}
    assert {ORIGIN: ("open", False), "http://b.example:80": ("closed", True)} == shown


def test_forced_open_until_released(drive: Drive) -> None:
    """
    However long it takes; then it judges for itself.
    """
    breaker = breaker_of()
    breaker.force_open(URL)

    with pytest.raises(CircuitOpen, match="forced open, until it is released") as raised:
        at(breaker, drive, 90_000.0, get(), Response(200))
    assert raised.value.retry_after is None

    breaker.release(URL)
    assert 200 == at(breaker, drive, 90_000.0, get(), Response(200)).status_code
    breaker.release(URL)
    assert 1 == breaker.state(URL).requests


def test_forced_closed_until_released(drive: Drive) -> None:
    """
    An open one lets requests pass again, and no failure opens it.
    """
    breaker = trip(breaker_of(), drive)
    breaker.force_closed(URL)
    feed(breaker, drive, *[Response(503) for _ in range(9)])
    state = breaker.state(URL)
    assert ("closed", True, 9) == (state.phase, state.forced, state.failures)

    breaker.release(URL)
    trip(breaker, drive)


def test_what_was_done_by_hand_is_told_with_the_next_request(drive: Drive) -> None:
    """
    That somebody observes; before what becomes of it.
    """
    breaker = breaker_of()
    breaker.force_open(URL)
    with pytest.raises(CircuitOpen):
        play([breaker], get(), World(), drive)
    request = get()
    events = noted(request)
    with pytest.raises(CircuitOpen):
        play([breaker], request, World(), drive)
    breaker.release(URL)
    for _ in range(2):
        play([breaker], request, World([Response(200)]), drive)

    assert ["breaker.forced_open", "breaker.refused", "breaker.released"] == [
        event for event, _ in events
    ]
    assert {"origin": ORIGIN} == events[0][1] == events[2][1]


def test_what_was_forced_is_not_forgotten(drive: Drive) -> None:
    """
    Though so many other origins are asked that the rest of them is.
    """
    breaker = breaker_of()
    breaker.force_open(URL)
    for number in range(1100):
        breaker._circuits.at(("http", f"h{number}", 80))

    with pytest.raises(CircuitOpen):
        play([breaker], get(), World(), drive)
    assert breaker.states()[ORIGIN].forced


def test_one_request_may_pass_by(drive: Drive) -> None:
    """
    With the option it is sent whatever the state, and not counted.
    """
    breaker = trip(breaker_of(), drive)
    option = CircuitBreaker.option_for(enabled=False)

    assert 503 == play([breaker], get(**option), World([Response(503)]), drive).status_code
    assert 4 == breaker.state(URL).requests


def test_stray_options_are_refused(drive: Drive) -> None:
    with pytest.raises(TypeError, match=r"CircuitBreaker\.option_for"):
        play([CircuitBreaker()], get(**{"scallion.CircuitBreaker": False}), World(), drive)


# Construction


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ratio": 0}, "ratio must be more than 0, and at most 1"),
        ({"ratio": 1.1}, "ratio must be more than 0, and at most 1"),
        ({"minimum": 0}, "minimum must be at least 1"),
        ({"window": 0}, "window must be more than 0"),
        ({"break_for": 0}, "break_for must be more than 0"),
        ({"growth": 0.5}, "growth must be at least 1"),
        ({"longest": 4}, "longest must be at least 5"),
        ({"jitter": 1.5}, "jitter must be at least 0, and at most 1"),
        ({"probes": 0}, "probes must be at least 1"),
        ({"deadline_counts_after": -1}, "deadline_counts_after must be at least 0"),
        ({"statuses": [99]}, "100 to 599"),
    ],
)
def test_settings_are_validated(settings: dict[str, Any], message: str) -> None:
    """
    The error says what was given and what is allowed.
    """
    with pytest.raises(ValueError, match=f"CircuitBreaker .*{message}"):
        CircuitBreaker(**settings)


def test_the_deadline_may_never_count(drive: Drive) -> None:
    """
    And an option that asks for nothing changes nothing.
    """
    layer = breaker_of(deadline_counts_after=None)
    request = get(**CircuitBreaker.option_for())
    request.deadline = 1005.0

    with pytest.raises(TotalTimeout):
        play([layer], request, World([After(5.0, TotalTimeout("over"))]), drive)

    assert "deadline_counts_after=None" in repr(layer)
    assert 0 == layer.state(URL).requests


def test_settings_of_wrong_kinds_are_refused() -> None:
    for settings in ({"minimum": 2.5}, {"ratio": "half"}, {"on": "errors"}, {"random": 4}):
        with pytest.raises(TypeError, match="CircuitBreaker"):
            CircuitBreaker(**settings)  # type: ignore[arg-type]


def test_the_repr_shows_the_effective_numbers() -> None:
    assert (
        "CircuitBreaker(ratio=0.5, minimum=20, window=30.0, break_for=5.0, growth=2.0, longest=60.0, jitter=0.1, "
        "probes=1, statuses={429, 502, 503, 504}, deadline_counts_after=1.0)"
    ) == repr(CircuitBreaker())
    assert "on=(OSError,)" in repr(CircuitBreaker(on=(OSError,)))


def test_equal_settings_are_equal_and_share_nothing(drive: Drive) -> None:
    """
    The state belongs to the instance.
    """
    tripped = trip(breaker_of(), drive)

    assert breaker_of() == tripped
    assert hash(breaker_of()) == hash(tripped)
    assert "closed" == breaker_of().state(URL).phase


@pytest.mark.parametrize("how", ["pickle", "copy", "deepcopy"])
def test_copies_have_the_settings_and_a_state_of_their_own(drive: Drive, how: str) -> None:
    layer = breaker_of(minimum=7, statuses=[500])
    feed(layer, drive, Response(503))

    if how == "pickle":
        copied = pickle.loads(pickle.dumps(layer))
    else:
        copied = getattr(copy, how)(layer)

    assert layer == copied
    assert repr(layer) == repr(copied)
    assert {} == copied.states()
