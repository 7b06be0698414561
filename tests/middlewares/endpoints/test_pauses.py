"""`Retry-After` of one endpoint of several: it is left alone, and the next attempt, which goes elsewhere, does not wait."""

from __future__ import annotations

from typing import Any

import pytest

from scallion.middlewares.endpoints import Endpoint, Endpoints
from scallion.middlewares.hedging import Hedging
from scallion.middlewares.pauses import PAUSE_KEY, pause_after, set_pause
from scallion.middlewares.retries import FullJitter, Retries
from scallion.pipeline.errors import CircuitOpen
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from support.colours import Drive
from support.worlds import World, play

NOW = FullJitter(0.0, 0.0)
TWO = ["10.0.0.1", "10.0.0.2"]


def get(url: str = "http://orders/") -> Request:
    return Request("GET", url)


def turns(endpoints: Any = TWO, **settings: Any) -> Endpoints:
    """Round robin, beginning with the first."""
    return Endpoints({"orders": endpoints}, choice="round_robin", random=lambda: 0.0, **settings)


class Busy:
    """A transport: who is in `asks` answers so, with that `Retry-After`; all others answer 200."""

    def __init__(self, *asks: str | None, status: int = 503) -> None:
        self.asks = {f"10.0.0.{number}": ask for number, ask in enumerate(asks, 1) if ask}
        self.status = status
        self.went: list[str] = []

    def __call__(self, request: Request) -> Response:
        host = request.url.host
        self.went.append(host[-1])
        if host in self.asks:
            return Response(self.status, headers={"Retry-After": self.asks[host]})
        return Response(200)


def world(busy: Busy) -> World:
    return World([busy] * 100)


def test_the_retry_goes_elsewhere_and_does_not_wait(drive: Drive) -> None:
    """
    Nor is the call given up, if the pause is longer than any that would be waited for.
    """
    for asked in ("1", "3600"):
        busy = Busy(asked)
        script = world(busy)
        response = play([Retries(wait=lambda state: 0.05), turns()], get(), script, drive)

        assert 200 == response.status_code
        assert ["1", "2"] == busy.went
        assert [0.05] == script.slept


def test_who_asked_for_a_pause_is_left_alone_until_it_is_over(drive: Drive) -> None:
    """
    By all calls, not by the one alone that was told.
    """
    busy, layer = Busy("5"), turns()
    script = world(busy)
    play([layer], get(), script, drive)
    busy.asks.clear()
    for _ in range(4):
        play([layer], get(), script, drive)
    assert ["1", "2", "2", "2", "2"] == busy.went

    script.now += 5.0
    for _ in range(2):
        play([layer], get(), script, drive)
    assert "1" in busy.went[5:]


def test_a_pause_has_a_cap(drive: Drive) -> None:
    """
    Thirty seconds, unless said otherwise.
    """
    for settings, cap in (({}, 30.0), ({"retry_after_cap": 2.0}, 2.0)):
        busy, layer = Busy("86400"), turns(**settings)
        script = world(busy)
        play([layer], get(), script, drive)

        assert cap == layer.state("orders").endpoints[0].paused_for
        script.now += cap
        assert None is layer.state("orders").endpoints[0].paused_for


def test_a_date_is_a_pause_too(drive: Drive) -> None:
    layer = turns(wall_clock=lambda: 784111777.0 - 8.0)
    play([layer], get(), world(Busy("Sun, 06 Nov 1994 08:49:37 GMT")), drive)

    assert 8.0 == layer.state("orders").endpoints[0].paused_for


def test_if_all_asked_the_smallest_remaining_pause_counts(drive: Drive) -> None:
    """
    And then the one whose pause is over is asked.
    """
    busy = Busy("9", "4")
    script = world(busy)
    response = play([Retries(attempts=3, wait=NOW), turns()], get(), script, drive)

    assert 503 == response.status_code
    assert ["1", "2", "2"] == busy.went
    assert [0.0, 4.0] == script.slept


def test_if_all_ask_for_too_long_the_call_ends(drive: Drive) -> None:
    """
    As it does where there is one server: the cap of `Retries` is about what was asked for.
    """
    busy = Busy("3600", "1800")
    script = world(busy)
    response = play([Retries(attempts=5, wait=NOW), turns()], get(), script, drive)

    assert 503 == response.status_code
    assert ["1", "2"] == busy.went


def test_if_all_are_to_be_left_alone_a_new_call_is_sent_all_the_same(drive: Drive) -> None:
    busy, layer = Busy("9", "9"), turns()
    script = world(busy)
    for _ in range(4):
        play([layer], get(), script, drive)

    assert ["1", "1", "2", "2"] == sorted(busy.went)


def test_a_429_is_about_the_caller(drive: Drive) -> None:
    """
    Its pause stays with the call, whichever endpoint says it, and nobody is left alone.
    """
    busy, layer = Busy("3", status=429), turns(ejection=None)
    script = world(busy)
    play([Retries(attempts=2, wait=NOW), layer], get(), script, drive)

    assert [3.0] == script.slept
    assert [None, None] == [each.paused_for for each in layer.state("orders").endpoints]


def test_a_pause_of_nothing_ends_one(drive: Drive) -> None:
    """
    What a server said last holds.
    """
    busy, layer = Busy("9"), turns(TWO[:1])
    script = world(busy)
    response = play([layer], get(), script, drive)
    assert 9.0 == response.extensions[PAUSE_KEY]
    busy.asks["10.0.0.1"] = "0"
    response = play([layer], get(), script, drive)

    assert 0.0 == response.extensions[PAUSE_KEY]
    assert None is layer.state("orders").endpoints[0].paused_for
    busy.asks["10.0.0.1"] = "soon"
    assert PAUSE_KEY not in play([layer], get(), script, drive).extensions


def test_who_has_failed_this_call_is_asked_before_one_that_wants_none(drive: Drive) -> None:
    """
    Having failed once is no wish to be left alone.
    """
    seen: list[str] = []

    def answer(request: Request) -> Response:
        seen.append(request.url.host[-1])
        if seen[-1] == "1":
            return Response(503, headers={"Retry-After": "20"})
        return Response(503 if len(seen) < 4 else 200)

    layer = turns()
    response = play([Retries(attempts=4, wait=NOW), layer], get(), World([answer] * 9), drive)

    assert 200 == response.status_code
    assert ["1", "2", "2", "2"] == seen


def test_a_worse_priority_is_asked_while_the_best_wants_a_pause(drive: Drive) -> None:
    busy = Busy("9")
    layer = turns([Endpoint("10.0.0.1"), Endpoint("10.0.0.2", priority=1)])
    script = world(busy)
    for _ in range(3):
        play([layer], get(), script, drive)

    assert ["1", "2", "2"] == busy.went


def test_endpoints_that_cannot_be_asked_do_not_count(drive: Drive) -> None:
    """
    One without TLS, for an https request; and one that has refused this attempt.
    """
    plain = turns(["https://10.0.0.1", "http://10.0.0.2"])
    response = play([plain], get("https://orders/"), world(Busy("7")), drive)
    assert 7.0 == response.extensions[PAUSE_KEY]

    async def breaker(request: Request, call_next: Any) -> Response:
        if request.url.host == "10.0.0.1":
            raise CircuitOpen("open", request=request)
        answer: Response = await call_next(request)
        return answer

    response = play([turns(), breaker], get(), world(Busy(None, "7")), drive)
    assert 7.0 == response.extensions[PAUSE_KEY]


def test_a_hedged_call_knows_it_too(drive: Drive) -> None:
    """
    The answer that wins says it; the caller sees the response as it came.
    """
    if drive.blocking:
        pytest.skip("threads do not share a virtual clock")
    busy = Busy("1")
    script = world(busy)
    layers = [Retries(wait=lambda state: 0.05), Hedging(delay=5.0), turns()]
    response = play(layers, get(), script, drive)

    assert 200 == response.status_code
    assert [0.05] == script.slept


def test_it_is_told_and_shown(drive: Drive) -> None:
    request, layer = get(), turns()
    events: list[tuple[str, dict[str, Any]]] = []
    request.observers = (lambda event, fields: events.append((event, fields)),)
    play([layer], request, world(Busy("2.5", None)), drive)
    assert ["endpoint.chosen"] == [event for event, _ in events], "2.5 is no Retry-After"
    play([layer], request, world(Busy(None, "2")), drive)

    told = {"service": "orders", "endpoint": "10.0.0.2", "seconds": 2.0, "wait": 0.0}
    assert ("endpoint.paused", told) == events[-1]
    assert "paused for 2.0 s" == layer.state("orders").endpoints[1].condition
    assert "<Service orders 2 endpoints, 0 ejected, 1 paused, 0 pending>" == repr(
        layer.state("orders")
    )


def test_without_such_a_layer_the_header_counts() -> None:
    response = Response(503)
    assert 7.0 == pause_after(response, 7.0)
    set_pause(response, 0.5)
    assert 0.5 == pause_after(response, 7.0)


@pytest.mark.parametrize("cap", [-1, "x", None])
def test_caps_that_make_no_sense_are_refused(cap: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        turns(retry_after_cap=cap)
