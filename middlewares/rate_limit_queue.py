"""Who waits for a rate limit: in order, and only the first of them asks.

If all asked at the same moment, the first to come might be the last to go, and a server would be asked by each for
every single request that passes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable

from scallion.pipeline.forking import renewed_in_children
from scallion.pipeline.runtime import Event, Runtime

__all__ = ["Place", "Queues"]


class _Queue:
    __slots__ = ("key", "places", "ready_at")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.places: deque[Place] = deque()
        # When the first may go, as far as it knows, on the runtime's clock.
        self.ready_at = 0.0


class Place:
    """A place in a queue.

    Attributes:
        queue: Its `ready_at` is when the first of it may go.
        ahead: How many there were before this one when it came.
        event: Is set when it has become the first; None if it was from the beginning.
    """

    __slots__ = ("ahead", "event", "queue")

    def __init__(self, queue: _Queue, ahead: int, event: Event | None) -> None:
        self.queue = queue
        self.ahead = ahead
        self.event = event


class Queues:
    """The queues of one layer, by key. Safe to share between threads; a key says who may share events."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[Hashable, _Queue] = {}
        renewed_in_children(self)

    def renew(self) -> None:
        """After a fork, in the child; see `pipeline/forking.py`."""
        self._lock = threading.Lock()
        self._queues = {}

    def __bool__(self) -> bool:
        """Whether anybody waits at all."""
        return bool(self._queues)

    def waits(self, key: Hashable) -> bool:
        """Whether anybody waits in this one."""
        return key in self._queues

    def join(self, key: Hashable, runtime: Runtime) -> Place:
        """Come last. Who joins must leave, whatever happens."""
        with self._lock:
            queue = self._queues.get(key)
            if queue is None:
                queue = self._queues[key] = _Queue(key)
            ahead = len(queue.places)
            place = Place(queue, ahead, runtime.event() if ahead else None)
            queue.places.append(place)
            return place

    def leave(self, place: Place) -> None:
        """Go, through or not. If it was the first, the next one is."""
        queue = place.queue
        with self._lock:
            places = queue.places
            was_first = places[0] is place
            places.remove(place)
            if not places:
                # In a forked child another one may stand there.
                if self._queues.get(queue.key) is queue:
                    del self._queues[queue.key]
                return
            upcoming = places[0].event if was_first else None
        if upcoming is not None:
            upcoming.set()
