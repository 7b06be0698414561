"""Exchanges that several requests wait for."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import pytest

from scallion.middlewares.flights import Flight, Flights, Follower
from scallion.pipeline.runtime import BlockingRuntime, run

event = BlockingRuntime().event
PLACE = "http://example.org/"


class Alike:
    """What is asked for, with the hash of all others of its kind."""

    def __hash__(self) -> int:
        return 7


def made() -> Flights[Any]:
    return Flights(lambda asked: asked)


def fly(
    flights: Flights[Any], asked: Any = "this", place: str = PLACE
) -> tuple[Flight[Any], Follower[Any] | None]:
    """As the layer does it: begin, or else board."""
    mine: Flight[Any] = Flight(place, asked)
    return (mine, None) if flights.begin(mine) else flights.board(mine, event)


def end(flights: Flights[Any], flight: Flight[Any], result: Any = "result") -> int:
    """As the layer does it; how many followed."""
    return 0 if flights.land_alone(flight) else flights.land(flight, result)


def test_the_first_leads_and_the_others_follow() -> None:
    """
    Until it lands; who comes then leads again.
    """
    flights = made()
    flight, leader = fly(flights)
    same, follower = fly(flights)
    assert leader is None
    assert follower is not None
    assert flight is same
    assert not flights.land_alone(flight)
    assert 1 == flights.land(flight, "result")
    assert ("result", True) == (follower.result, follower.event.is_set())

    again, leader = fly(flights)
    assert leader is None
    assert again is not flight
    assert flights.land_alone(again)
    assert 0 == len(flights)


def test_who_has_followers_gets_more_until_it_has_landed() -> None:
    """
    To find that it cannot land alone ends nothing.
    """
    flights = made()
    flight, _ = fly(flights)
    fly(flights)
    assert not flights.land_alone(flight)

    same, follower = fly(flights)

    assert follower is not None
    assert flight is same
    assert 2 == flights.land(flight, "result")
    assert "result" == follower.result
    assert 0 == len(flights)


def test_places_have_nothing_to_do_with_each_other() -> None:
    flights = made()
    first, _ = fly(flights, place="http://example.org/1")
    second, follower = fly(flights, place="http://example.org/2")

    assert follower is None
    assert first is not second
    assert 2 == len(flights)
    assert flights.land_alone(first)
    assert flights.land_alone(second)
    assert 0 == len(flights)


# One place, different things


def test_what_differs_at_one_place_coalesces_with_its_like() -> None:
    """
    Each has a flight of its own, and those that ask for the same join it.
    """
    flights = made()
    leaders = {asked: fly(flights, asked) for asked in ("a", "b", "c")}
    assert [None] * 3 == [follower for _, follower in leaders.values()]

    for asked in ("c", "a", "b", "a"):
        flight, follower = fly(flights, asked)
        assert leaders[asked][0] is flight
        assert follower is not None

    assert [2, 1, 1] == [end(flights, flight) for flight, _ in leaders.values()]
    assert 0 == len(flights)


def test_those_beside_are_found_when_the_first_has_gone() -> None:
    """
    Whoever has the place by then.
    """
    flights = made()
    first, _ = fly(flights, "a")
    beside, _ = fly(flights, "b")
    assert flights.land_alone(first)
    # Cases: the place is free; it is taken by a third.
    joined, follower = fly(flights, "b")
    assert beside is joined
    assert follower is not None
    third, leader = fly(flights, "c")
    assert leader is None
    joined, follower = fly(flights, "b")
    assert beside is joined
    assert follower is not None

    joined, follower = fly(flights, "c")
    assert third is joined
    assert follower is not None
    assert 2 == end(flights, beside)
    assert 1 == end(flights, third)
    assert 0 == len(flights)


def test_as_long_as_nothing_is_beside_nothing_is_compared() -> None:
    """
    It costs more than all the rest; what a flight asks for is looked at once.
    """
    looked: list[str] = []

    def full(asked: str) -> str:
        looked.append(asked)
        return asked

    flights: Flights[Any] = Flights(full)
    for asked in ("a", "b"):
        assert flights.land_alone(fly(flights, asked)[0])
    assert [] == looked

    first, _ = fly(flights, "a")
    for _ in range(3):
        fly(flights, "a")
    assert ["a"] * 4 == looked
    assert 3 == end(flights, first)


def test_keys_with_the_same_hash_are_told_apart() -> None:
    """
    The later one goes alone, and ends nothing but itself.
    """
    flights = made()
    taken, _ = fly(flights, "first come")
    one, other = Alike(), Alike()
    first, _ = fly(flights, one)
    second, follower = fly(flights, other)
    assert follower is None
    assert first is not second
    assert 2 == len(flights)

    assert flights.land_alone(second)
    joined, follower = fly(flights, one)
    assert joined is first
    assert follower is not None
    assert 1 == end(flights, first)
    assert flights.land_alone(taken)
    assert 0 == len(flights)


def test_what_has_the_hash_of_one_beside_may_take_the_place() -> None:
    """
    And is followed there.
    """
    flights = made()
    taken, _ = fly(flights, "first come")
    beside, _ = fly(flights, Alike())
    assert flights.land_alone(taken)
    asked = Alike()

    flight, leader = fly(flights, asked)
    joined, follower = fly(flights, asked)

    assert leader is None
    assert flight is joined
    assert follower is not None
    assert 1 == end(flights, flight)
    assert flights.land_alone(beside)
    assert 0 == len(flights)


def test_what_cannot_be_compared_goes_alone() -> None:
    """
    Whether it comes first or not.
    """
    flights = made()
    first, leader = fly(flights, ["this"])
    assert leader is None
    second, leader = fly(flights, ["this"])
    assert leader is None
    assert first is not second
    comparable, leader = fly(flights, "this")
    assert leader is None

    assert [0, 0, 0] == [end(flights, flight) for flight in (second, first, comparable)]
    assert 0 == len(flights)


# Both at once


class Steps:
    """Lets another thread act before one of the steps that an operation takes on what both share.

    Attributes:
        left: How many steps come before that; below 0 it has acted.
    """

    def __init__(self, act: Callable[[], None], left: int) -> None:
        self._act = act
        self.left = left

    def step(self) -> None:
        self.left -= 1
        if self.left == -1:
            self._act()


class Stepping(dict[Any, Any]):
    steps: Steps | None = None

    def _step(self) -> None:
        if self.steps is not None:
            self.steps.step()

    def get(self, *key: Any) -> Any:
        self._step()
        return super().get(*key)

    def setdefault(self, *item: Any) -> Any:
        self._step()
        return super().setdefault(*item)

    def __delitem__(self, key: Any) -> None:
        self._step()
        super().__delitem__(key)


class SteppingList(list[Any]):
    steps: Steps | None = None

    def _step(self) -> None:
        if self.steps is not None:
            self.steps.step()

    def __len__(self) -> int:
        self._step()
        return super().__len__()

    def append(self, item: Any) -> None:
        self._step()
        super().append(item)

    def remove(self, item: Any) -> None:
        self._step()
        super().remove(item)


class Held(Exception):
    """The thread that acts in between has to wait for the lock."""


class Lock:
    """In the place of the lock: who acts in between learns that it is held."""

    steps: Steps | None = None

    def __init__(self) -> None:
        self.held = False

    def __enter__(self) -> None:
        if self.held:
            raise Held
        if self.steps is not None:
            self.steps.step()
        self.held = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.held = False


class Stage:
    """Flights whose every step can be preceded by another thread's acting, which goes as far as it can.

    Attributes:
        leading: A flight under way, with as many followers as was said.
        beside: Whether it is one whose place was taken.
    """

    def __init__(self, followers: int, *, beside: bool) -> None:
        self.flights = made()
        self.lock: Any = Lock()
        self.flights._lock = self.lock
        self.flights._by_place = Stepping()
        self.flights._others = Stepping()
        self.taken = fly(self.flights, "first come")[0] if beside else None
        self.leading, _ = fly(self.flights)
        self.followers = [fly(self.flights)[1] for _ in range(followers)]
        self.leading.followers = SteppingList(self.leading.followers)

    def play(self, work: Callable[[], Any], act: Callable[[], Any], left: int) -> tuple[Any, bool]:
        """What `work` returns, and whether it takes so many steps; `act`, if it has to wait, is begun anew after it."""
        waiting: list[bool] = []

        def acting() -> None:
            self._steps(None)
            try:
                act()
            except Held:
                waiting.append(True)

        steps = Steps(acting, left)
        self._steps(steps)
        result = work()
        self._steps(None)
        if waiting or steps.left >= 0:
            act()
        return result, steps.left < 0

    def _steps(self, steps: Steps | None) -> None:
        tables: Any = (self.flights._by_place, self.flights._others)
        for shared in (*tables, self.leading.followers, self.lock):
            if not isinstance(shared, list) or isinstance(shared, SteppingList):
                shared.steps = steps

    def check(self, flight: Flight[Any], follower: Follower[Any] | None) -> None:
        """Who came while the other landed has been told, or leads; and when that has ended too nothing is left."""
        everybody = [*self.followers, follower]
        if follower is None:
            assert flight is not self.leading
            joined, another = fly(self.flights)
            assert flight is joined
            everybody = [*self.followers, another]
            assert 1 == end(self.flights, flight)
        for each in everybody:
            assert each is not None
            assert ("result", True) == (each.result, each.event.is_set())
        if self.taken is not None:
            assert self.flights.land_alone(self.taken)
        assert 0 == len(self.flights)


@pytest.fixture(params=[False, True], ids=["at its place", "beside"])
def beside(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def stages(followers: int, *, beside: bool) -> Iterator[tuple[Stage, int]]:
    for left in range(100):
        yield Stage(followers, beside=beside), left


@pytest.mark.parametrize("followers", [0, 1])
def test_nobody_is_lost_who_boards_while_it_lands(followers: int, beside: bool) -> None:
    """
    Before whichever step of the landing.
    """
    played = 0
    for stage, left in stages(followers, beside=beside):
        boarded: list[Any] = []
        _, more = stage.play(
            lambda stage=stage: end(stage.flights, stage.leading),  # type: ignore[misc]
            lambda stage=stage, boarded=boarded: boarded.append(fly(stage.flights)),  # type: ignore[misc]
            left,
        )
        ((flight, follower),) = boarded
        stage.check(flight, follower)
        if not more:
            break
        played += 1
    assert played > 2


@pytest.mark.parametrize("followers", [0, 1])
def test_nobody_is_lost_whose_flight_lands_while_he_boards(followers: int, beside: bool) -> None:
    """
    Before whichever step of the boarding.
    """
    played = 0
    for stage, left in stages(followers, beside=beside):
        (flight, follower), more = stage.play(
            lambda stage=stage: fly(stage.flights),  # type: ignore[misc]
            lambda stage=stage: end(stage.flights, stage.leading),  # type: ignore[misc]
            left,
        )
        stage.check(flight, follower)
        if not more:
            break
        played += 1
    assert played > 2


class Meanwhile(Lock):
    """In the place of the lock: the other thread was faster, once."""

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__()
        self._act: Callable[[], Any] | None = act

    def __enter__(self) -> None:
        act, self._act = self._act, None
        if act is not None:
            act()
        super().__enter__()


def test_nobody_joins_what_has_just_landed() -> None:
    """
    He found it, and it landed before he was aboard.
    """
    flights = made()
    flight, _ = fly(flights)
    landed: list[bool] = []
    meanwhile: Any = Meanwhile(lambda: landed.append(flights.land_alone(flight)))
    flights._lock = meanwhile

    mine, follower = fly(flights)

    assert [True] == landed
    assert follower is None
    assert mine is not flight
    assert [] == flight.followers
    assert 1 == len(flights)


def test_who_came_too_late_joins_the_next() -> None:
    """
    With the very event that he had taken: it is waited for once.
    """
    flights = made()
    flight, _ = fly(flights)
    begun: list[Any] = []

    def next_one() -> None:
        assert flights.land_alone(flight)
        begun.append(fly(flights))

    meanwhile: Any = Meanwhile(next_one)
    flights._lock = meanwhile
    taken: list[Any] = []

    def counted() -> Any:
        taken.append(event())
        return taken[-1]

    joined, follower = flights.board(Flight(PLACE, "this"), counted)

    assert [(joined, None)] == begun
    assert joined is not flight
    assert follower is not None
    assert [follower.event] == taken
    assert [] == flight.followers
    assert 1 == end(flights, joined)
    assert 0 == len(flights)


def test_who_was_seen_coming_and_leaves_keeps_nobody() -> None:
    """
    He found that it was too late, and took himself off, when the leader had seen him: it lands alone.
    """
    flights = made()
    flight, _ = fly(flights)
    late: Follower[Any] = Follower(event())
    flight.followers.append(late)
    meanwhile: Any = Meanwhile(lambda: flight.followers.remove(late))
    flights._lock = meanwhile

    assert flights.land_alone(flight)
    assert 0 == len(flights)


def test_a_place_that_another_has_taken_meanwhile_stays_his() -> None:
    """
    One who cannot land alone still has its followers, and gets no more.
    """
    flights = made()
    flight, _ = fly(flights)
    _, follower = fly(flights)
    begun: list[Any] = []
    meanwhile: Any = Meanwhile(lambda: begun.append(fly(flights)))
    flights._lock = meanwhile

    assert not flights.land_alone(flight)
    ((other, leader),) = begun
    assert leader is None
    assert fly(flights)[0] is other

    assert 1 == flights.land(flight, "result")
    assert follower is not None
    assert "result" == follower.result
    assert 1 == end(flights, other)
    assert 0 == len(flights)


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads that take turns all the time."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("restless")
def test_many_threads_board_and_land() -> None:
    """
    Each follower is told what it asked for, once; and at the end nothing is left.
    """
    flights = made()
    told: list[tuple[Any, Any]] = []
    followed: list[int] = []

    def work(first: int) -> None:
        for number in range(300):
            place, asked = f"/{number % 2}", (first + number) % 3
            flight, follower = fly(flights, (place, asked), place)
            if follower is None:
                followed.append(end(flights, flight, (place, asked)))
            else:
                wait(follower, (place, asked))

    def wait(follower: Any, asked: Any) -> None:
        assert run(follower.event.wait(20))
        told.append((asked, follower.result))

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(asked == result for asked, result in told)
    assert sum(followed) == len(told)
    assert 4 * 300 == len(followed) + len(told)
    assert 0 == len(flights)


# Who leads after another


def test_who_leads_after_another(beside: bool) -> None:
    """
    The first of the followers; who has left is not asked. More may follow that one.
    """
    flights = made()
    taken = fly(flights, "first come")[0] if beside else None
    flight, _ = fly(flights)
    followers: list[Any] = [fly(flights)[1] for _ in range(3)]
    flights.leave(flight, followers[0])

    flights.hand_over(flight)

    assert [False, True, False] == [follower.leads for follower in followers]
    assert fly(flights)[0] is flight
    assert 2 == flights.land(flight, "result")
    if taken is not None:
        assert flights.land_alone(taken)
    assert 0 == len(flights)


def test_who_hands_over_to_nobody_has_ended(beside: bool) -> None:
    flights = made()
    taken = fly(flights, "first come")[0] if beside else None
    flight, _ = fly(flights)

    flights.hand_over(flight)

    assert 1 - (taken is None) == len(flights)
    assert fly(flights)[1] is None


def test_to_end_what_never_began_does_nothing() -> None:
    """
    Who fails before that, or follows another, ends it all the same.
    """
    flights = made()
    flight, _ = fly(flights)
    for ending in (flights.hand_over, lambda mine: flights.land(mine, None)):
        ending(Flight(PLACE, "this"))
        mine: Flight[Any] = Flight(PLACE, "this")
        assert not flights.begin(mine)
        assert flights.board(mine, event)[0] is flight
        ending(mine)

    assert 1 == len(flights)
    assert 2 == end(flights, flight)
    assert 0 == len(flights)
