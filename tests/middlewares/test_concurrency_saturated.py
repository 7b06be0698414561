"""The gradient's limit before a server that is kept busy for many minutes: a queue in virtual time."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import NamedTuple

import pytest

from scallion.middlewares.adaptive_concurrency import AdaptiveConcurrency
from scallion.middlewares.concurrency_limits import Gradient, LimiterRules

MINUTE = 60.0
SECONDS = 0.1


def rules(**changes: float) -> LimiterRules:
    """The defaults of the layer."""
    layer = AdaptiveConcurrency()
    names = LimiterRules.__dataclass_fields__
    return LimiterRules(**{name: changes.get(name, getattr(layer, name)) for name in names})


class Seen(NamedTuple):
    """At the end of a request."""

    at: float
    limit: int
    latency: float


@dataclass
class Server:
    """It works on `width` requests at a time; the others wait in line. There are always more, from every program.

    Attributes:
        now: The time, for all.
    """

    width: int
    serving: Callable[[], float]
    now: float = 0.0

    def clock(self) -> float:
        return self.now

    def serve(self, limiters: Sequence[Gradient], until: float) -> Iterator[Seen]:
        """What the programs see that are limited by these; more may come meanwhile."""
        active, number = defaultdict[int, int](int), 0
        line: deque[tuple[float, int, int]] = deque()
        busy: list[tuple[float, int, float, int, int]] = []
        while self.now < until:
            # Programs take turns, or the first would come first each time.
            sending = {
                place
                for place, limiter in enumerate(limiters)
                if active[place] < int(limiter.limit)
            }
            while sending:
                for place in sorted(sending):
                    active[place] += 1
                    line.append((self.now, active[place], place))
                sending = {each for each in sending if active[each] < int(limiters[each].limit)}
            while line and len(busy) < self.width:
                number += 1
                heapq.heappush(busy, (self.now + self.serving(), number, *line.popleft()))
            self.now, _, began, at_once, place = heapq.heappop(busy)
            active[place] -= 1
            limiters[place].answered(began, self.now, at_once)
            yield Seen(self.now, int(limiters[place].limit), self.now - began)


def limiters(server: Server, programs: int = 1, **changes: float) -> list[Gradient]:
    """Those of so many programs, whose clocks agree."""
    return [Gradient(rules(**changes), server.clock) for _ in range(programs)]


def steady() -> float:
    return SECONDS


def by_chance() -> Callable[[], float]:
    dice = random.Random(1)
    return lambda: dice.expovariate(1 / SECONDS)


@pytest.mark.parametrize("width", [1, 5, 10, 50])
@pytest.mark.parametrize("varies", [False, True])
def test_the_limit_settles_near_what_the_server_works_on(width: int, varies: bool) -> None:
    """
    For twenty minutes: about as many as it works on, half as many more for its queue, and the headroom.
    """
    server = Server(width, by_chance() if varies else steady)
    seen = list(server.serve(limiters(server), 20 * MINUTE))

    for minute in range(2, 20):
        of_it = [each for each in seen if minute <= each.at / MINUTE < minute + 1]
        assert 0.8 * width <= median(each.limit for each in of_it) <= 2 * width + 8
        assert max(each.limit for each in of_it) <= 3 * width + 12
        assert mean(each.latency for each in of_it) <= SECONDS * (2 + 8 / width)
    # What measuring costs, and ups and downs by chance.
    later = [each for each in seen if each.at > 2 * MINUTE]
    assert len(later) >= 0.93 * width / SECONDS * 18 * MINUTE


def test_a_server_that_was_overloaded_from_the_beginning_is_found_out() -> None:
    """
    The first windows say that answers take eight times as long as they do; each measurement comes nearer.
    """
    server = Server(5, steady)
    seen = list(server.serve(limiters(server, initial=40), 10 * MINUTE))

    assert 40 <= max(each.limit for each in seen if each.at < 9.0)
    assert median(each.limit for each in seen if each.at > 5 * MINUTE) <= 2 * 5 + 8


def test_a_server_that_becomes_slow_by_nature_keeps_its_place() -> None:
    """
    It works on as many as before, each takes four times as long; that is usual by the next measurement.
    """
    took = [SECONDS]
    server = Server(10, lambda: took[0])
    limits = []
    for each in server.serve(limiters(server), 15 * MINUTE):
        if each.at > 5 * MINUTE:
            took[0] = 4 * SECONDS
        if each.at > 10 * MINUTE:
            limits.append(each.limit)

    assert 10 <= median(limits) <= 28


def test_a_server_that_loses_workers_is_sent_less() -> None:
    """
    Within a minute, and for good.
    """
    server = Server(50, steady)
    limits = []
    for each in server.serve(limiters(server), 15 * MINUTE):
        if each.at > 5.5 * MINUTE:
            server.width = 5
        if each.at > 6.5 * MINUTE:
            limits.append(each.limit)

    assert median(limits) <= 2 * 5 + 8
    assert max(limits) <= 40


# Several programs


def by_minute(seen: Iterator[Seen], minutes: int) -> list[float]:
    """The mean latency of each minute."""
    latencies: list[list[float]] = [[] for _ in range(minutes)]
    for each in seen:
        if each.at < minutes * MINUTE:
            latencies[int(each.at / MINUTE)].append(each.latency)
    return [mean(minute) for minute in latencies]


@pytest.mark.parametrize("programs", [2, 10, 50])
def test_programs_that_keep_a_server_busy_together_do_not_drag_each_other_along(
    programs: int,
) -> None:
    """
    After a quarter of an hour answers take no longer than after five minutes: each program adds its headroom at most,
    and small ones less.
    """
    server = Server(20, by_chance())
    latencies = by_minute(server.serve(limiters(server, programs), 15 * MINUTE), 15)

    bound = SECONDS * {2: 2.5, 10: 4.0, 50: 11.0}[programs]
    for minute, latency in enumerate(latencies[5:], 5):
        assert latency <= bound, f"minute {minute}: {latencies}"


def test_programs_whose_clocks_do_not_agree_take_their_queue_for_usual() -> None:
    """
    What measuring at the same moments is good for: without it ten programs make answers slower and slower.
    """
    server = Server(20, by_chance())
    apart = [
        Gradient(rules(), lambda late=number * 6.0: server.now + late)  # type: ignore[misc]
        for number in range(10)
    ]
    latencies = by_minute(server.serve(apart, 15 * MINUTE), 15)

    assert latencies[14] > 8 * SECONDS
    assert latencies[14] > 1.5 * latencies[2]


def test_programs_that_begin_at_different_times_agree_by_the_next_measurement() -> None:
    """
    Each begins when the queue of the others is there, and takes it for usual for a minute at most.
    """
    server = Server(20, by_chance())
    programs = limiters(server)

    def seen() -> Iterator[Seen]:
        for each in server.serve(programs, 12 * MINUTE):
            if len(programs) < 10 and each.at > 25.0 * len(programs):
                programs.extend(limiters(server))
            yield each

    latencies = by_minute(seen(), 12)
    assert max(latencies[6:]) <= SECONDS * 4.5


@pytest.mark.parametrize("programs", [1, 10])
@pytest.mark.parametrize("becomes", ["slower", "larger"])
def test_a_server_that_has_changed_is_known_again_within_minutes(
    programs: int, becomes: str
) -> None:
    """
    Slower by nature: what is usual is found anew. Larger: the limits grow until it is busy.
    """
    took = [SECONDS]
    server = Server(20, lambda: took[0])
    known = limiters(server, programs)
    began, answers = 4 * MINUTE, 0
    for each in server.serve(known, 8 * MINUTE):
        if each.at > began and becomes == "slower":
            took[0] = 3 * SECONDS
        elif each.at > began:
            server.width = 60
        answers += each.at > 7 * MINUTE

    # In the last minute it is as busy as it can be.
    able = 60 * MINUTE / SECONDS if becomes == "larger" else 20 * MINUTE / took[0]
    assert answers >= 0.9 * able
    if becomes == "slower":
        assert all(2.5 * SECONDS <= limiter._usual <= 5 * SECONDS for limiter in known)
