"""What a layer knows of each origin: made when one is first asked for, forgotten when there are too many.

A state that is in use is not forgotten: its origin would be given another one beside it, and both together would let
more pass than either may.

In a forked child all of them are forgotten, with what is under way in them, if nothing is known that renews them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

from scallion.pipeline.forking import renewed_in_children
from scallion.pipeline.request import Request

__all__ = ["MOST_ORIGINS", "OriginKey", "PerOrigin", "origin_name"]

MOST_ORIGINS = 1024
"""Origins that are remembered; beyond it who has not been asked for the longest is forgotten."""

LOOKS = 8
"""States that are looked at for one that may be forgotten, so that each request costs the same."""

OriginKey: TypeAlias = tuple[str, str, int]
"""Scheme, host and port (RFC 6454 section 4): `URL.origin_key`."""

S = TypeVar("S")


class PerOrigin(Generic[S]):
    """One state for each origin. Safe to share between threads and tasks; what it gives is its users' to guard.

    Args:
        make: Makes the state of an origin that is met for the first time, or again after it was forgotten.
        most: How many are remembered, beside those that are in use.
        in_use: Whether a state is: somebody will come back to it, to give back what he took. It is asked under a lock
            and must not wait.
        renewed: Has a state begin anew in a forked child, with locks of its own and nobody in it; None to have it forgotten.
    """

    def __init__(
        self,
        make: Callable[[OriginKey], S],
        most: int = MOST_ORIGINS,
        *,
        in_use: Callable[[S], bool] | None = None,
        renewed: Callable[[S], None] | None = None,
    ) -> None:
        self._make = make
        self._most = most
        self._in_use = in_use
        self._renewed = renewed
        self._lock = threading.Lock()
        self._states: OrderedDict[OriginKey, S] = OrderedDict()
        # Who was asked for last, and so is the last one among the states: nothing has to be locked or moved when it is
        # asked for again. One tuple, as threads read it without the lock.
        self._last: tuple[OriginKey, S] | None = None
        renewed_in_children(self)

    def of(self, request: Request) -> S:
        """The state of the origin that `request` goes to."""
        url = request.url
        # The property is asked for what is not known yet: it costs more than all the rest of this.
        origin = url._origin or url.origin_key
        last = self._last
        if last is not None and (last[0] is origin or last[0] == origin):
            return last[1]
        return self._look_up(origin)

    def at(self, origin: OriginKey) -> S:
        """The state of an origin."""
        last = self._last
        if last is not None and last[0] == origin:
            return last[1]
        return self._look_up(origin)

    def _look_up(self, origin: OriginKey) -> S:
        with self._lock:
            state = self._states.get(origin)
            if state is None:
                state = self._states[origin] = self._make(origin)
                # Before another one is forgotten, for that may be who was the last.
                self._last = origin, state
                if len(self._states) > self._most:
                    self._forget()
            else:
                self._last = origin, state
            self._states.move_to_end(origin)
            return state

    def _forget(self) -> None:
        # What is in use counts as asked for now, and the next look begins behind it. The state that was just made is
        # the last one, and none of the looks gets there; it becomes the last one again afterwards.
        for _ in range(min(LOOKS, len(self._states) - 1)):
            if len(self._states) <= self._most:
                return
            origin, state = next(iter(self._states.items()))
            if self._in_use is None or not self._in_use(state):
                del self._states[origin]
            else:
                self._states.move_to_end(origin)

    def known(self) -> dict[OriginKey, S]:
        """A copy of what is remembered, longest unused first."""
        with self._lock:
            return dict(self._states)

    def renew(self) -> None:
        """After a fork, in the child; see `pipeline/forking.py`."""
        self._lock = threading.Lock()
        self._last = None
        if self._renewed is None:
            self._states = OrderedDict()
            return
        for state in self._states.values():
            self._renewed(state)


def origin_name(origin: OriginKey) -> str:
    """As people write it: `https://example.org:443`."""
    scheme, host, port = origin
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
