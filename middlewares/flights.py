"""Exchanges that several requests wait for: one leads, the others follow.

Nearly always nobody else asks for the same, so that must cost next to nothing: no lock, and nothing looked at but the
place that is asked, the URL's text. What else is asked for is compared when two are under way to one place.

The leader needs no lock for this reason: who leads takes the flight out of its table and then looks for followers; who
follows adds itself and then looks whether the flight is still in the table. Each of the four is one step, which no
other thread can divide. So at least one of the two sees the other, whatever their order: nobody waits for what is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from scallion.pipeline.forking import renewed_in_children
from scallion.pipeline.runtime import Event

__all__ = ["Flight", "Flights", "Follower"]

R = TypeVar("R")

# The table of flights that have not begun; it stays empty.
_NOWHERE: dict[Any, Any] = {}


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
    """One exchange, to begin or to board. Its followers are told by whoever leads it.

    Args:
        place: Where it goes: equal for all that ask for the same.
        asked: What it asks for there, and nothing that could change.
    """

    __slots__ = ("asked", "followers", "full", "key", "table")

    # Where others find it.
    table: dict[Any, Flight[R]]
    key: Hashable
    # Made of what is asked for, when it is compared.
    full: Hashable

    def __init__(self, place: str, asked: Any) -> None:
        self.key = place
        self.asked = asked
        self.followers: list[Follower[R]] = []
        self.table = _NOWHERE
        self.full = None


class Flights(Generic[R]):
    """Those of one client, by what is asked for. Safe to share between threads.

    Who leads a flight ends it by `land_alone`, `land` or `hand_over`, whatever happens.

    Args:
        full: All of what a flight asks for, equal where they ask for the same; never None.
    """

    def __init__(self, full: Callable[[Any], Hashable]) -> None:
        self._full = full
        # For the followers, and for leaders who have any.
        self._lock = threading.Lock()
        self._by_place: dict[Any, Flight[R]] = {}
        # Those whose place was taken by one that asks for something else, by the hashes of all they ask for: no code
        # but the table's own runs then. Of two with the same hash the later one is in no table, and has no followers.
        self._others: dict[Any, Flight[R]] = {}
        renewed_in_children(self)

    def __len__(self) -> int:
        return len(self._by_place) + len(self._others)

    def renew(self) -> None:
        """After a fork, in the child; see `pipeline/forking.py`."""
        self._lock = threading.Lock()
        # Other tables: who led a flight and goes on here takes it out of the one where it began.
        self._by_place, self._others = {}, {}

    def begin(self, mine: Flight[R]) -> bool:
        """Lead, if nothing that is under way can be the same; whether that is so. Otherwise `board`."""
        # As long as there are others, one that asks for the same may be among them.
        if self._others:
            return False
        mine.table = self._by_place
        # One step: of two who come at once one leads.
        return self._by_place.setdefault(mine.key, mine) is mine

    def board(
        self, mine: Flight[R], event: Callable[[], Event]
    ) -> tuple[Flight[R], Follower[R] | None]:
        """Join the flight that asks for the same as `mine`. Is there none, `mine` begins, and the caller leads."""
        full = self._full_of(mine)
        try:
            number = hash(full)
        except TypeError:
            # It cannot be compared, and goes unlisted.
            return mine, None
        place = mine.key
        follower: Follower[R] | None = None
        while True:
            flight = self._found(mine, place, number)
            if flight is mine:
                return mine, None
            if follower is None:
                follower = Follower(event())
            with self._lock:
                flight.followers.append(follower)
                if _is_listed(flight):
                    return flight, follower
                # It has landed, and nobody may have looked since.
                flight.followers.remove(follower)

    def _found(self, mine: Flight[R], place: Hashable, number: int) -> Flight[R]:
        """The flight to join; `mine`, which has begun, if there is none."""
        full = mine.full
        # Cases: one of the others; the one that has the place; none, and the place is free, or taken.
        flight = self._others.get(number)
        if flight is not None and self._full_of(flight) == full:
            return flight
        mine.table, mine.key = self._by_place, place
        flight = self._by_place.setdefault(place, mine)
        if flight is mine or self._full_of(flight) == full:
            return flight
        mine.table, mine.key = self._others, number
        flight = self._others.setdefault(number, mine)
        return flight if self._full_of(flight) == full else mine

    def _full_of(self, flight: Flight[R]) -> Hashable:
        full = flight.full
        if full is None:
            full = flight.full = self._full(flight.asked)
        return full

    def land_alone(self, flight: Flight[R]) -> bool:
        """End the flight if nobody follows; whether that is so."""
        _unlist(flight)
        # In this order: who boards from now on finds that it is not listed.
        if not flight.followers:
            return True
        with self._lock:
            # Who came too late has left.
            if not flight.followers:
                return True
            # More may follow, unless somebody else has begun there meanwhile.
            flight.table.setdefault(flight.key, flight)
            return False

    def land(self, flight: Flight[R], result: R | None) -> int:
        """End the flight and give all followers the result, None to go alone; how many they were."""
        none: list[Follower[R]] = []
        with self._lock:
            _unlist(flight)
            # A list of its own: who gives up waiting takes itself off the other.
            followers, flight.followers = flight.followers, none
        for follower in followers:
            follower.result = result
            follower.event.set()
        return len(followers)

    def hand_over(self, flight: Flight[R]) -> None:
        """Let the first of the followers lead; end the flight if there is none."""
        with self._lock:
            if not flight.followers:
                _unlist(flight)
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


def _is_listed(flight: Flight[Any]) -> bool:
    return flight.table.get(flight.key) is flight


def _unlist(flight: Flight[Any]) -> None:
    # Only who leads it takes it out, and nobody puts another in its place before: two steps are as good as one.
    if flight.table.get(flight.key) is flight:
        del flight.table[flight.key]
