"""Exchanges that several requests wait for."""

from __future__ import annotations

import threading
from typing import Any

from scallion.middlewares.flights import Flight, Flights
from scallion.pipeline.runtime import BlockingRuntime, run

event = BlockingRuntime().event


class Alike:
    """A key whose hash is that of all others of its kind."""

    def __hash__(self) -> int:
        return 7


def test_the_first_leads_and_the_others_follow() -> None:
    """
    Until it lands; who comes then leads again.
    """
    flights: Flights[str] = Flights()
    flight, leader = flights.board("key", event)
    same, follower = flights.board("key", event)
    assert leader is None
    assert follower is not None
    assert flight is same
    assert not flights.land_alone(flight)
    assert 1 == flights.land(flight, "result")
    assert ("result", True) == (follower.result, follower.event.is_set())

    again, leader = flights.board("key", event)
    assert leader is None
    assert again is not flight
    assert flights.land_alone(again)
    assert 0 == len(flights)


def test_keys_with_the_same_hash_are_told_apart() -> None:
    """
    The later one goes alone, and ends nothing but itself.
    """
    flights: Flights[str] = Flights()
    one, other = Alike(), Alike()
    first, _ = flights.board(one, event)
    second, follower = flights.board(other, event)
    assert follower is None
    assert first is not second

    assert flights.land_alone(second)
    joined, follower = flights.board(one, event)
    assert joined is first
    assert follower is not None
    assert 1 == flights.land(first, None)
    assert 0 == len(flights)


def test_nobody_joins_what_has_just_landed() -> None:
    """
    He found it, and it landed before he was aboard.
    """
    flights: Flights[str] = Flights()
    flight, _ = flights.board("key", event)

    class Landing:
        """In the place of the lock: the other thread was faster."""

        lock = flights._lock

        def __enter__(self) -> None:
            flights._lock = self.lock
            assert flights.land_alone(flight)
            self.lock.acquire()

        def __exit__(self, *exc: object) -> None:
            self.lock.release()

    landing: Any = Landing()
    flights._lock = landing
    mine, follower = flights.board("key", event)

    assert follower is None
    assert mine is not flight
    assert 1 == len(flights)


def test_many_threads_board_and_land() -> None:
    """
    Each follower is told, and at the end nothing is left.
    """
    flights: Flights[int] = Flights()
    told: list[int | None] = []

    def fly() -> None:
        for number in range(200):
            flight, follower = flights.board("key", event)
            if follower is None:
                if not flights.land_alone(flight):
                    flights.land(flight, number)
            else:
                wait(follower)

    def wait(follower: Any) -> None:
        assert run(follower.event.wait(10))
        told.append(follower.result)

    threads = [threading.Thread(target=fly) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert None not in told
    assert 0 == len(flights)


def test_who_leads_after_another() -> None:
    """
    The first of the followers; who has left is not asked.
    """
    flights: Flights[str] = Flights()
    flight, _ = flights.board("key", event)
    followers: list[Any] = [flights.board("key", event)[1] for _ in range(3)]
    flights.leave(flight, followers[0])

    flights.hand_over(flight)

    assert [False, True, False] == [follower.leads for follower in followers]
    assert isinstance(flight, Flight)
    assert 1 == flights.land(flight, "result")
