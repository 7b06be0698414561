"""FaultInjection: what goes wrong, how often, for whom; and that all other layers take it for the network's doing."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.middlewares.fault_injection import Fault, FaultInjection
from scallion.middlewares.retries import FullJitter, Retries
from scallion.middlewares.timeouts import AttemptTimeouts, Deadlines
from scallion.pipeline.errors import (
    AttemptTimeout,
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    TotalTimeout,
)
from scallion.pipeline.onion import Next, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import BlockingRuntime, run
from scallion.pipeline.settings import Timeout
from support.cancelling import cancelled_everywhere
from support.colours import Drive
from support.together import together
from support.worlds import OpenStream, World, play

URL = "http://shop.example/stock/apple"


def get(url: str = URL, **extensions: Any) -> Request:
    return Request("GET", url, extensions=extensions)


def always() -> Any:
    return iter(lambda: Response(200), None)


def faulty(*rules: Fault, seed: int | None = 1) -> FaultInjection:
    return FaultInjection(rules, seed)


def statuses(layer: FaultInjection, number: int, **extensions: Any) -> list[int]:
    world = World(always())
    send = compose([layer], world.transport, world)
    return [run(send(get(**extensions))).status_code for _ in range(number)]


# What goes wrong


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("refused", ConnectError),
        ("connect_timeout", ConnectTimeout),
        ("reset", ReadError),
        ("timeout", ReadTimeout),
        ("disconnected", RemoteProtocolError),
    ],
)
def test_errors_are_those_of_the_network(drive: Drive, name: Any, error: Any) -> None:
    """
    Nothing is sent; the error bears the request, and says that somebody asked for it.
    """
    world = World()
    request = get()

    with pytest.raises(error, match="an injected fault") as raised:
        play([faulty(Fault(error=name))], request, world, drive)

    assert request is raised.value.request
    assert [] == world.asked


def test_a_status_comes_from_nobody(drive: Drive) -> None:
    """
    The response is like any other, read and closed in either client.
    """
    world = World()
    request = get()
    layer = faulty(Fault(status=503, headers={"Retry-After": "2"}))

    response = play([layer], request, world, drive)

    assert (503, "2", b"") == (
        response.status_code,
        response.headers["retry-after"],
        response.read(),
    )
    assert request is response.request


def test_latency_comes_before_all_else(drive: Drive) -> None:
    """
    Alone it delays the request.
    """
    world = World(always())

    assert 200 == play([faulty(Fault(latency=0.3))], get(), world, drive).status_code
    assert 500 == play([faulty(Fault(latency=0.2, status=500))], get(), world, drive).status_code
    assert [0.3, 0.2] == world.slept


def test_latency_may_vary() -> None:
    """
    Between the two that were given.
    """
    world = World(always())
    send = compose([faulty(Fault(latency=(1.0, 3.0)))], world.transport, world)
    for _ in range(50):
        run(send(get()))

    assert all(1.0 <= slept < 3.0 for slept in world.slept)
    assert len(set(world.slept)) > 40


@pytest.mark.parametrize(("name", "seconds"), [("timeout", 7.0), ("connect_timeout", 2.0)])
def test_timeouts_take_as_long_as_the_requests_own(drive: Drive, name: Any, seconds: float) -> None:
    """
    Unless a latency is given.
    """
    world = World()
    timeout = Timeout(7.0, connect=2.0).as_dict()

    for fault in (Fault(error=name), Fault(error=name, latency=0.5)):
        with pytest.raises((ReadTimeout, ConnectTimeout)):
            play([faulty(fault)], get(timeout=timeout), world, drive)

    assert [seconds, 0.5] == world.slept


@pytest.mark.parametrize("fault", [Fault(error="reset", after=True), Fault(status=500, after=True)])
def test_the_server_may_have_done_its_work(drive: Drive, fault: Fault) -> None:
    """
    The request was sent, and its response closed unread.
    """
    body = OpenStream(b"done")
    world = World([Response(201, stream=body)])

    try:
        assert 500 == play([faulty(fault)], get(), world, drive).status_code
    except ReadError:
        assert "reset" == fault.error

    assert 1 == len(world.asked)
    assert body.closed


# How often, and for whom


def test_a_rate_is_a_share() -> None:
    """
    Of many requests about so many go wrong; with 0 none, with 1 all.
    """
    assert 70 < statuses(faulty(Fault(0.1, status=503)), 1000).count(503) < 130
    assert 0 == statuses(faulty(Fault(0.0, status=503)), 100).count(503)
    assert 100 == statuses(faulty(Fault(1.0, status=503)), 100).count(503)


@given(seed=st.integers(), rate=st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_a_seed_says_it_all(seed: int, rate: float) -> None:
    """
    The same seed, the same faults; a further rule, or a copy, changes nothing about them.
    """
    rule = Fault(rate, status=503)
    expected = statuses(FaultInjection([rule], seed), 20)

    assert expected == statuses(FaultInjection([rule], seed), 20)
    assert expected == statuses(pickle.loads(pickle.dumps(FaultInjection([rule], seed))), 20)
    other = Fault(status=500, path="/elsewhere")
    assert expected == statuses(FaultInjection([rule, other], seed), 20)


def test_without_a_seed_the_dice_are_others_each_time() -> None:
    rule = Fault(0.5, status=503)

    assert statuses(FaultInjection([rule]), 100) != statuses(FaultInjection([rule]), 100)


def test_the_first_rule_that_applies_is_what_happens() -> None:
    """
    A later one has its chance where an earlier one's die fell the other way.
    """
    layer = faulty(Fault(0.5, status=503), Fault(status=500))
    seen = statuses(layer, 100)

    assert {500, 503} == set(seen)


@pytest.mark.parametrize(
    ("fault", "method", "url", "applies"),
    [
        (Fault(status=500, methods=["get"]), "GET", URL, True),
        (Fault(status=500, methods=["POST"]), "GET", URL, False),
        (Fault(status=500, host="*.EXAMPLE"), "GET", URL, True),
        (Fault(status=500, host="shop"), "GET", URL, False),
        (Fault(status=500, path="/stock/*"), "GET", URL, True),
        (Fault(status=500, path="/orders*"), "GET", URL, False),
        (Fault(status=500, match=lambda request: request.url.query == b"x"), "GET", URL, False),
        (Fault(status=500, match=lambda request: True, host="other"), "GET", URL, False),
        (Fault(status=500, match=lambda request: True, methods={"PUT"}), "PUT", URL, True),
    ],
)
def test_rules_apply_to_some_requests(
    drive: Drive, fault: Fault, method: str, url: str, applies: bool
) -> None:
    """
    All that a rule says must hold.
    """
    response = play([faulty(fault)], Request(method, url), World(always()), drive)

    assert (500 if applies else 200) == response.status_code


def test_one_request_may_have_its_own_fault(drive: Drive) -> None:
    """
    In the place of the rules, or none at all.
    """
    layer = faulty(Fault(status=500))

    def status(**extensions: Any) -> int:
        return play([layer], get(**extensions), World(always()), drive).status_code

    assert 503 == status(**FaultInjection.option_for(Fault(status=503)))
    assert 200 == status(**FaultInjection.option_for(Fault(status=503, path="/elsewhere")))
    assert 200 == status(**FaultInjection.option_for())
    assert 500 == status()


# Among other layers


def test_retries_take_it_for_the_networks_doing(drive: Drive) -> None:
    """
    Each attempt throws the die anew.
    """
    world = World(always())
    layers = [Retries(99, wait=FullJitter(0, 0)), faulty(Fault(0.9, error="reset"), seed=2)]

    response = play(layers, get(), world, drive)

    assert 200 == response.status_code
    assert {"ReadError: connection reset by peer (an injected fault)", None} == {
        attempt.error for attempt in response.extensions["attempts"]
    }


@pytest.mark.parametrize(
    ("layer", "error"), [(AttemptTimeouts(2.0), AttemptTimeout), (Deadlines(2.0), TotalTimeout)]
)
def test_latency_keeps_deadlines(drive: Drive, layer: Any, error: Any) -> None:
    """
    In both clients it ends when the attempt's time, or the call's, is up.
    """
    world = World()

    with pytest.raises(error):
        play([layer, faulty(Fault(latency=60))], get(), world, drive)

    assert 1002.0 == world.now


def test_observers_hear_of_it(drive: Drive) -> None:
    """
    What it was, how long it took, and whether the request was sent.
    """
    events: list[Any] = []
    layer = faulty(Fault(latency=0.5, path="/a"), Fault(status=503, after=True, path="/b"))
    world = World(always())
    for path in ("/a", "/b", "/c"):
        request = get(f"http://x{path}")
        request.observers = (lambda event, fields: events.append((event, fields)),)
        play([layer], request, world, drive)

    assert [
        ("fault.injected", {"kind": "latency", "latency": 0.5, "after": False}),
        ("fault.injected", {"kind": "503", "latency": 0.0, "after": True}),
    ] == events


def test_what_no_rule_concerns_is_passed_on_as_it_is() -> None:
    """
    Without a coroutine of its own; so is everything where there are no rules.
    """
    answer: Any = object()

    def send(request: Request) -> Any:
        return answer

    for layer in (FaultInjection(), faulty(Fault(status=500, methods=["POST"]))):
        assert answer is layer.bind(send, Next(send, BlockingRuntime()))(get())


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_cancellation_passes(colour: Any) -> None:
    """
    Wherever it comes, nothing is left open.
    """
    bodies: list[OpenStream] = []

    def answer(request: Request) -> Response:
        bodies.append(OpenStream(b""))
        return Response(200, stream=bodies[-1])

    world = World(iter(lambda: answer, None), blocking=False)
    layer = faulty(Fault(latency=1, status=500, after=True))
    send = compose([layer], world.transport, world)

    async def work() -> None:
        await send(get())

    async def check() -> None:
        assert all(body.closed for body in bodies)

    async def scenario() -> None:
        assert await cancelled_everywhere(work, check) > 0

    Drive(colour)(scenario)


def test_threads_share_the_dice() -> None:
    """
    However they take turns, as many faults come up as the seed says.
    """
    drive = Drive("sync")
    layer = faulty(Fault(0.3, status=503))
    world = World([])

    async def answer(request: Request) -> Response:
        return Response(200)

    send = compose([layer], answer, world)
    seen: list[int] = []

    async def hammer() -> None:
        for _ in range(100):
            response = await send(get())
            seen.append(response.status_code)

    async def scenario() -> None:
        await together(drive, *[hammer] * 4)

    drive(scenario)

    assert statuses(faulty(Fault(0.3, status=503)), 400).count(503) == seen.count(503)


# Construction


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Fault(), ValueError, "needs a latency, a status or an error"),
        (lambda: Fault(1.5, status=500), ValueError, "at most 1: 1.5"),
        (lambda: Fault(latency=-1), ValueError, "at least 0: -1"),
        (lambda: Fault(latency=(2, 1)), ValueError, "at least 2: 1"),
        (lambda: Fault(latency=(1, 2, 3)), ValueError, "the least and the most"),  # type: ignore[arg-type]
        (lambda: Fault(status=100), ValueError, "at least 200: 100"),
        (lambda: Fault(status=600), ValueError, "at most 599: 600"),
        (lambda: Fault(status="500"), TypeError, "whole number: '500'"),  # type: ignore[arg-type]
        (lambda: Fault(error="boom"), ValueError, "one of connect_timeout.*'boom'"),  # type: ignore[arg-type]
        (lambda: Fault(error="reset", status=500), ValueError, "not both"),
        (lambda: Fault(error="refused", after=True), ValueError, "comes after sending"),
        (lambda: Fault(latency=1, after=True), ValueError, "needs a status, or an error"),
        (lambda: Fault(error="reset", headers={"A": "b"}), ValueError, "belong to a status"),
        (lambda: Fault(status=500, methods="GET"), TypeError, "collection of names: 'GET'"),
        (lambda: Fault(status=500, host=3), TypeError, "host must be a pattern"),  # type: ignore[arg-type]
        (lambda: Fault(status=500, match=3), TypeError, "callable: 3"),  # type: ignore[arg-type]
        (lambda: FaultInjection([3]), TypeError, "expected a Fault, not 3"),  # type: ignore[list-item]
        (lambda: FaultInjection(seed="x"), TypeError, "whole number or None: 'x'"),  # type: ignore[arg-type]
        (lambda: FaultInjection.option_for(503), TypeError, "expected a Fault, not 503"),  # type: ignore[arg-type]
    ],
)
def test_settings_are_validated(make: Callable[[], object], error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        make()


def test_stray_options_are_refused(drive: Drive) -> None:
    with pytest.raises(TypeError, match=r"FaultInjection\.option_for"):
        play([FaultInjection()], get(**{"scallion.FaultInjection": 503}), World(), drive)


def test_repr_shows_the_rules() -> None:
    def weekend(request: Request) -> bool:
        return True

    assert "FaultInjection(rules=[], seed=None)" == repr(FaultInjection())
    assert (
        "FaultInjection(rules=[Fault(rate=0.1, latency=(0.1, 2), status=503, path='/a*', after=True, "
        "methods={'GET', 'PUT'}, match=weekend)], seed=7)"
    ) == repr(
        FaultInjection(
            [
                Fault(
                    0.1,
                    latency=(0.1, 2),
                    status=503,
                    path="/a*",
                    after=True,
                    methods=["put", "get"],
                    match=weekend,
                )
            ],
            seed=7,
        )
    )


def test_equal_settings_are_equal() -> None:
    layer = FaultInjection([Fault(status=500)])

    assert FaultInjection((Fault(status=500),)) == layer == copy.copy(layer)
