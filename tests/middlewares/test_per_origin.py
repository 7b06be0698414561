"""What layers remember of each origin."""

from __future__ import annotations

from typing import Any

import pytest

from scallion.middlewares.adaptive_concurrency import AdaptiveConcurrency
from scallion.middlewares.bulkhead import Bulkhead
from scallion.middlewares.circuit_breaker import CircuitBreaker
from scallion.middlewares.per_origin import LOOKS, MOST_ORIGINS, PerOrigin, origin_name
from scallion.pipeline.errors import BulkheadFull
from scallion.pipeline.onion import Next, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from support.colours import Drive
from support.worlds import World, open_response


def test_each_origin_has_its_own_state() -> None:
    """
    Scheme, host and port tell origins apart; paths do not.
    """
    states: PerOrigin[list[str]] = PerOrigin(lambda origin: [origin_name(origin)])
    first = states.of(Request("GET", "http://a/x"))

    assert first is states.of(Request("GET", "http://a:80/y"))
    assert ["https://a:443"] == states.of(Request("GET", "https://a/"))
    assert ["http://[::1]:80"] == states.of(Request("GET", "http://[::1]/"))


def test_the_longest_unused_is_forgotten() -> None:
    """
    Their number is bounded, whatever hosts a program is told to ask.
    """
    states: PerOrigin[object] = PerOrigin(lambda origin: object(), most=2)
    a, b, c = (("http", name, 80) for name in "abc")
    kept = states.at(a)
    states.at(b)
    states.at(a)
    states.at(c)

    assert [a, c] == list(states.known())
    assert kept is states.at(a)


def origins(many: int) -> list[tuple[str, str, int]]:
    return [("http", f"h{number}", 80) for number in range(many)]


def test_what_is_in_use_is_not_forgotten() -> None:
    """
    It counts as asked for, and another one goes in its place.
    """
    used: set[object] = set()
    states: PerOrigin[object] = PerOrigin(lambda origin: object(), most=2, in_use=used.__contains__)
    a, b, c, d = origins(4)
    kept = states.at(a)
    used.add(kept)
    states.at(b)
    states.at(c)
    assert {a, c} == set(states.known())
    assert kept is states.at(a)
    used.clear()
    states.at(c)
    states.at(d)
    assert {c, d} == set(states.known())


def test_there_may_be_as_many_as_are_in_use() -> None:
    """
    Beyond the limit; when they have been given back their number falls again.
    """
    used = [True]
    states: PerOrigin[object] = PerOrigin(lambda origin: object(), most=4, in_use=lambda _: used[0])
    known = {origin: states.at(origin) for origin in origins(50)}
    assert known == states.known()

    used[0] = False
    for number in range(10):
        states.at(("http", f"new{number}", 80))
    assert 4 == len(states.known())


def test_few_are_looked_at() -> None:
    """
    However many are in use, a new origin costs the same.
    """
    looks: list[object] = []

    def in_use(state: object) -> bool:
        looks.append(state)
        return True

    states: PerOrigin[object] = PerOrigin(lambda origin: object(), most=100, in_use=in_use)
    for origin in origins(200):
        states.at(origin)

    assert LOOKS * 100 == len(looks)


def test_a_new_state_is_not_forgotten_at_once() -> None:
    states: PerOrigin[object] = PerOrigin(lambda origin: object(), most=1, in_use=lambda _: True)
    a, b = origins(2)
    first, second = states.at(a), states.at(b)

    assert [first, second] == [states.at(a), states.at(b)]


def test_asking_for_the_same_again_keeps_the_order() -> None:
    """
    Who was asked for last is forgotten last, however often, and whatever was in use when a state was made.
    """
    used: set[object] = set()
    states: PerOrigin[object] = PerOrigin(lambda origin: object(), most=2, in_use=used.__contains__)
    a, b, c, d = origins(4)
    used.add(states.at(a))
    states.at(b)
    kept = states.at(c)
    # Making it moved the one in use to the end.
    assert c == list(states.known())[-1]
    for _ in range(3):
        assert kept is states.at(c) is states.of(Request("GET", "http://h2/"))
    used.clear()
    states.at(d)
    assert [c, d] == list(states.known())


def test_who_was_last_may_be_forgotten() -> None:
    """
    It is made anew then, as any other.
    """
    states: PerOrigin[object] = PerOrigin(lambda origin: object(), most=1)
    a, b = origins(2)
    first = states.at(a)
    states.at(b)
    assert first is not states.at(a)
    assert [a] == list(states.known())


async def ask_many(onion: Next) -> None:
    """Other origins, more than are remembered."""
    for number in range(MOST_ORIGINS + LOOKS):
        await onion(Request("GET", f"http://h{number}/"))


def opened(request: Request) -> Response:
    return open_response(200) if request.url.host == "slow" else Response(200)


@pytest.mark.parametrize(
    "layer",
    [
        Bulkhead(limit=1, queue=0),
        AdaptiveConcurrency(initial=1, minimum=1, maximum=1, queue=0),
    ],
    ids=["Bulkhead", "AdaptiveConcurrency"],
)
def test_a_limit_holds_however_many_origins_are_asked(drive: Drive, layer: Any) -> None:
    """
    A place that is taken is remembered until it is given back, and then it is free.
    """
    world = World([opened] * 5000, blocking=drive.blocking)

    async def scenario() -> None:
        onion = compose([layer], world.transport, world)
        response = await onion(Request("GET", "http://slow/"))
        await ask_many(onion)
        with pytest.raises(BulkheadFull):
            await onion(Request("GET", "http://slow/"))
        await response.aclose()
        await (await onion(Request("GET", "http://slow/"))).aclose()

    drive(scenario)
    assert 0 == layer.stats("http://slow/").active


def test_a_circuit_is_probed_by_one_however_many_origins_are_asked(drive: Drive) -> None:
    """
    A second probe would go through if the first one's circuit were forgotten.
    """
    breaker = CircuitBreaker(minimum=1, jitter=0.0)
    world = World(blocking=drive.blocking)
    probing: list[str] = []

    async def transport(request: Request) -> Response:
        if request.url.host != "bad":
            return Response(200)
        if len(probing) == 1:
            # The probe is under way meanwhile.
            probing.append("asking others")
            await ask_many(onion)
            probing.append(breaker.state("http://bad/").phase)
        probing.append("sent")
        return Response(503)

    onion = compose([breaker], transport, world)

    async def scenario() -> None:
        await onion(Request("GET", "http://bad/"))
        world.now += 6
        await onion(Request("GET", "http://bad/"))

    drive(scenario)

    assert ["sent", "asking others", "half-open", "sent"] == probing
    assert ("open", 2) == (breaker.state("http://bad/").phase, breaker.state("http://bad/").breaks)
