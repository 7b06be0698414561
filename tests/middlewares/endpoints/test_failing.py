"""Balancing where an endpoint fails, or was slow once: it is left alone for a while, and found again. In virtual time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import pytest

from scallion.middlewares.circuit_breaker import CircuitBreaker
from scallion.middlewares.endpoints import Ejection, Endpoints, LeastPending, PowerOfTwo
from scallion.middlewares.endpoints.choices import Choice
from scallion.middlewares.endpoints.endpoint import Endpoint
from scallion.middlewares.endpoints.members import Member
from scallion.middlewares.endpoints.service import Service
from scallion.middlewares.endpoints.sources import Static
from scallion.middlewares.endpoints.uses import Tried, Use
from scallion.pipeline.errors import CircuitOpen
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import run
from support.colours import Drive
from support.worlds import World, play

BOTH = pytest.mark.parametrize("choice", [PowerOfTwo(), LeastPending()], ids=["p2c", "least"])

# What a server does at a moment: how long it takes, and whether it fails.
Server = Callable[[float], tuple[float, bool]]


def good(now: float) -> tuple[float, bool]:
    return 0.05, False


def bad(now: float) -> tuple[float, bool]:
    return 0.0001, True


class Load:
    """So many callers, each of whom sends his next request as soon as the last one is answered.

    Attributes:
        sent: The moment and the server of each request.
    """

    def __init__(
        self,
        choice: Choice,
        servers: list[Server],
        seconds: float,
        *,
        at_once: int = 20,
        ejection: Ejection | None = None,
    ) -> None:
        self.sent: list[tuple[float, int]] = []
        names = [f"10.0.0.{number}" for number in range(len(servers))]
        source = random.Random(7)
        service = Service("s", Static(names), choice, ejection, 0.0, 30.0, source.random)
        request = Request("GET", "http://s/")
        run(service.refresh(request, World(now=0.0)))
        numbers = {member: number for number, member in enumerate(service.members)}
        # Who comes next: when, who he is, and what he has under way.
        due: list[tuple[float, int, Use | None, bool]] = [
            (0.0, who, None, False) for who in range(at_once)
        ]
        now = 0.0
        while now < seconds:
            now, who, use, failed = heappop(due)
            if use is not None:
                use.answered(now, failed=failed, ended=True)
            use = service.choose(request, Tried(), now, None, False)
            number = numbers[use.member]
            self.sent.append((now, number))
            takes, failed = servers[number](now)
            heappush(due, (now + takes, who, use, failed))

    def share(self, server: int, since: float = 0.0, until: float = 1e9) -> float:
        """Of the requests of that time, those that one server had."""
        seen = Counter(number for at, number in self.sent if since <= at < until)
        return seen[server] / sum(seen.values())


@BOTH
@pytest.mark.parametrize("at_once", [1, 20, 200])
def test_who_fails_at_once_does_not_draw_the_requests(choice: Choice, at_once: int) -> None:
    """
    However many are under way, and without any ejection: a failure is no answer, however quick.
    """
    load = Load(choice, [bad, good, good], 10.0, at_once=at_once)

    # At first nobody has answered yet, and nothing is known.
    assert load.share(0, since=1.0) <= 0.02
    assert load.share(0) <= 0.1
    assert 0.4 <= load.share(1) <= 0.6


@BOTH
def test_several_that_fail_at_once_do_not_either(choice: Choice) -> None:
    """
    More of them than the ejection's share allows to leave out.
    """
    load = Load(choice, [bad] * 3 + [good] * 7, 5.0, ejection=Ejection())

    assert sum(load.share(number, since=1.0) for number in range(3)) <= 0.05


@BOTH
def test_one_that_was_good_and_fails_from_now_on_is_left_alone(choice: Choice) -> None:
    def breaks(now: float) -> tuple[float, bool]:
        return good(now) if now < 5.0 else bad(now)

    load = Load(choice, [breaks, good, good], 10.0)

    assert 0.3 <= load.share(0, until=5.0) <= 0.37
    assert load.share(0, since=5.1) <= 0.005


@BOTH
@pytest.mark.parametrize("at_once", [1, 20])
def test_one_that_recovers_is_found_again(choice: Choice, at_once: int) -> None:
    """
    By the time that passes, as hardly any requests come to show it: within five `decay`, however long it had failed.
    """

    def heals(now: float) -> tuple[float, bool]:
        return bad(now) if now < 60.0 else good(now)

    load = Load(choice, [heals, good, good], 130.0, at_once=at_once)

    assert load.share(0, since=1.0, until=60.0) <= 0.02
    assert 0.25 <= load.share(0, since=110.0) <= 0.42


@BOTH
def test_a_failure_now_and_then_costs_little(choice: Choice) -> None:
    """
    One in a hundred: the endpoint still has most of what is its.
    """
    source = random.Random(3)

    def flaky(now: float) -> tuple[float, bool]:
        return 0.05, source.random() < 0.01

    load = Load(choice, [flaky, good, good], 30.0)

    assert 0.2 <= load.share(0) <= 0.34


@BOTH
def test_where_all_fail_all_are_asked(choice: Choice) -> None:
    """
    And when they recover, none of them has all the requests.
    """

    def heals(now: float) -> tuple[float, bool]:
        return (0.05, True) if now < 10.0 else good(now)

    load = Load(choice, [heals] * 3, 20.0)

    for number in range(3):
        assert 0.2 <= load.share(number, until=10.0) <= 0.47
        assert 0.2 <= load.share(number, since=10.5) <= 0.47


@BOTH
def test_decay_sets_how_long_a_failure_counts(choice: Choice) -> None:
    quick = type(choice)(decay=1.0)  # type: ignore[call-arg]

    def heals(now: float) -> tuple[float, bool]:
        return bad(now) if now < 10.0 else good(now)

    assert 0.3 <= Load(quick, [heals, good, good], 20.0).share(0, since=15.0) <= 0.37


def test_a_failure_counts_as_the_latency_that_is_usual_elsewhere() -> None:
    """
    The median of the others', so that one that hangs does not set it.
    """
    service = Service(
        "s", Static(["a", "b", "c", "d"]), PowerOfTwo(), None, 0.0, 30.0, random.Random(1).random
    )
    run(service.refresh(Request("GET", "http://s/"), World(now=0.0)))
    failing, *others = service.members
    for member, latency in zip(others, (0.01, 0.02, 30.0), strict=True):
        member.observe(latency, 0.0, 10.0)

    service.measure(failing, 0.0001, 0.0, failed=True)
    assert 0.02 == failing.latency
    service.measure(failing, 5.0, 0.0, failed=True)
    assert 5.0 == failing.latency


def test_blame_grows_fades_and_is_forgiven() -> None:
    member = Member(Endpoint("a"), 0.0, 0.0)
    for _ in range(3):
        member.blamed(0.0, 10.0)
    assert 8.0 == member.penalty(0.0, 10.0)
    assert pytest.approx(2.0 ** (3 / 2.71828), rel=1e-4) == member.penalty(10.0, 10.0)

    member.forgiven(0.0, 10.0)
    assert pytest.approx(2.0**2.4) == member.penalty(0.0, 10.0)
    assert 1.0 == member.penalty(50.0, 10.0)
    assert 1.0 == member.penalty(0.0, 10.0), "what is forgotten does not come back"
    for _ in range(2000):
        member.blamed(60.0, 10.0)
    assert 1024.0 == member.penalty(60.0, 10.0)


# Through the layer, one request after the other


class Hosts:
    """A transport whose answers take time, by the host."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.went: list[str] = []
        self.takes: dict[str, float] = {}
        self.status: dict[str, int] = {}

    def __call__(self, request: Request) -> Response:
        host = request.url.host
        self.went.append(host)
        self.world.now += self.takes.get(host, 0.01)
        return Response(self.status.get(host, 200))


def hosts(layers: list[Any], drive: Drive) -> tuple[Hosts, Callable[[float], list[str]]]:
    """A world, and what sends ten requests a second through the layers for so long: where they went."""
    world = World()
    places = Hosts(world)
    world._script = iter(lambda: places, None)  # type: ignore[assignment]

    def send(seconds: float) -> list[str]:
        before, until = len(places.went), world.now + seconds
        while world.now < until:
            try:
                play(layers, Request("GET", "http://s/"), world, drive)
            except CircuitOpen:
                pass
            world.now += 0.1
        return places.went[before:]

    return places, send


def test_one_that_was_slow_once_is_tried_again(drive: Drive) -> None:
    """
    Nobody asks it meanwhile, and its average fades all the same: a hundredfold within some five `decay`.
    """
    layer = Endpoints({"s": ["a", "b"]}, random=random.Random(5).random)
    places, send = hosts([layer], drive)
    send(5.0)
    places.takes["b"] = 1.0
    while "b" not in send(0.1):
        pass
    places.takes.clear()

    assert "b" not in send(30.0)
    assert "b" in send(30.0)
    assert 0.3 <= send(20.0).count("b") / 180 <= 0.7


def test_one_whose_circuit_was_open_is_tried_again(drive: Drive) -> None:
    """
    The break is over before the failures are forgotten; then it has its share again.
    """
    layer = Endpoints({"s": ["a", "b"]}, random=random.Random(5).random, ejection=None)
    breaker = CircuitBreaker(minimum=3, break_for=5.0, jitter=0)
    places, send = hosts([layer, breaker], drive)
    places.status["b"] = 503
    seen = send(60.0)
    assert "open" == breaker.state("http://b/").phase or seen.count("b") < 60
    assert seen.count("b") / len(seen) <= 0.1
    places.status.clear()

    assert "b" in send(50.0)
    assert 0.3 <= send(20.0).count("b") / 180 <= 0.7


def test_the_penalty_is_seen(drive: Drive) -> None:
    layer = Endpoints({"s": ["a"]}, ejection=None)
    places, send = hosts([layer], drive)
    send(0.1)
    assert 1.0 == layer.state("s").endpoints[0].penalty
    places.status["a"] = 503
    send(0.1)

    assert 1.9 <= layer.state("s").endpoints[0].penalty <= 2.0
