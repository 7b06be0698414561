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

    __slots__ = ("followers", "key")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.followers: list[Follower[R]] = []


class Flights(Generic[R]):
    """Those of one client, by what is asked for. Safe to share between threads.

    Who leads a flight ends it by `land` or `hand_over`, whatever happens.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, Flight[R]] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def board(
        self, key: Hashable, event: Callable[[], Event]
    ) -> tuple[Flight[R], Follower[R] | None]:
        """Join the flight of `key`, or begin it: then there is no follower, and the caller leads."""
        with self._lock:
            flight = self._under_way.get(key)
            if flight is None:
                flight = self._under_way[key] = Flight(key)
                return flight, None
            follower: Follower[R] = Follower(event())
            flight.followers.append(follower)
            return flight, follower

    def land_alone(self, flight: Flight[R]) -> bool:
        """End the flight if nobody follows; whether that is so."""
        with self._lock:
            if flight.followers:
                return False
            del self._under_way[flight.key]
            return True

    def land(self, flight: Flight[R], result: R | None) -> int:
        """End the flight and give all followers the result, None to go alone; how many they were."""
        with self._lock:
            del self._under_way[flight.key]
            # A list of its own: who gives up waiting takes itself off the other.
            followers, flight.followers = flight.followers, []
        for follower in followers:
            follower.result = result
            follower.event.set()
        return len(followers)

    def hand_over(self, flight: Flight[R]) -> None:
        """Let the first of the followers lead; end the flight if there is none."""
        with self._lock:
            if not flight.followers:
                del self._under_way[flight.key]
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
