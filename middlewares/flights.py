"""Exchanges that several requests wait for: one leads, the others follow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from scallion.pipeline.runtime import Event

__all__ = ["Flight", "Flights", "Follower"]

R = TypeVar("R")


class Follower(Generic[R]):
    """Who waits for another's exchange.

    Attributes:
        event: Is set when it is known what comes of it.
        leads: Whether it is this one's turn to lead.
        result: What is shared, if that is what came of it; None to go alone.
    """

    __slots__ = ("event", "leads", "result")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.leads = False
        self.result: R | None = None


class Flight(Generic[R]):
    """One exchange under way. Its followers are told by whoever leads it."""

    __slots__ = ("followers", "key", "number", "over")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        # Keys are long, and take long to hash: it is done once.
        self.number = hash(key)
        self.followers: list[Follower[R]] = []
        self.over = False


class Flights(Generic[R]):
    """Those of one client, by what is asked for. Safe to share between threads.

    Who leads a flight ends it by `land` or `hand_over`, whatever happens.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By the hashes of their keys. Of two with the same hash the later one is not in the table, and has no followers.
        self._under_way: dict[int, Flight[R]] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def board(
        self, key: Hashable, event: Callable[[], Event]
    ) -> tuple[Flight[R], Follower[R] | None]:
        """Join the flight of `key`, or begin it: then there is no follower, and the caller leads."""
        mine: Flight[R] = Flight(key)
        while True:
            # One step, which needs no lock: most lead.
            flight = self._under_way.setdefault(mine.number, mine)
            if flight is mine or flight.key != key:
                return mine, None
            with self._lock:
                if not flight.over:
                    follower: Follower[R] = Follower(event())
                    flight.followers.append(follower)
                    return flight, follower

    def land_alone(self, flight: Flight[R]) -> bool:
        """End the flight if nobody follows; whether that is so."""
        with self._lock:
            if flight.followers:
                return False
            self._end(flight)
            return True

    def land(self, flight: Flight[R], result: R | None) -> int:
        """End the flight and give all followers the result, None to go alone; how many they were."""
        with self._lock:
            self._end(flight)
            # A list of its own: who gives up waiting takes itself off the other.
            followers, flight.followers = flight.followers, []
        for follower in followers:
            follower.result = result
            follower.event.set()
        return len(followers)

    def _end(self, flight: Flight[R]) -> None:
        flight.over = True
        if self._under_way.get(flight.number) is flight:
            del self._under_way[flight.number]

    def hand_over(self, flight: Flight[R]) -> None:
        """Let the first of the followers lead; end the flight if there is none."""
        with self._lock:
            if not flight.followers:
                self._end(flight)
                return
            upcoming = flight.followers.pop(0)
            upcoming.leads = True
        upcoming.event.set()

    def leave(self, flight: Flight[R], follower: Follower[R]) -> None:
        """Follow no longer. Who has been asked to lead meanwhile hands over."""
        with self._lock:
            if follower in flight.followers:
                flight.followers.remove(follower)
            leads, follower.leads = follower.leads, False
        if leads:
            self.hand_over(flight)
