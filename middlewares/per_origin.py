"""What a layer knows of each origin: made when one is first asked for, forgotten when there are too many."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

from scallion.pipeline.request import Request

__all__ = ["MOST_ORIGINS", "OriginKey", "PerOrigin", "origin_name"]

MOST_ORIGINS = 1024
"""Origins that are remembered; beyond it who has not been asked for the longest is forgotten."""

OriginKey: TypeAlias = tuple[str, str, int]
"""Scheme, host and port (RFC 6454 section 4): `URL.origin_key`."""

S = TypeVar("S")


class PerOrigin(Generic[S]):
    """One state for each origin. Safe to share between threads and tasks; what it gives is its users' to guard.

    Args:
        make: Makes the state of an origin that is met for the first time, or again after it was forgotten.
        most: How many are remembered.
    """

    def __init__(self, make: Callable[[OriginKey], S], most: int = MOST_ORIGINS) -> None:
        self._make = make
        self._most = most
        self._lock = threading.Lock()
        self._states: OrderedDict[OriginKey, S] = OrderedDict()

    def of(self, request: Request) -> S:
        """The state of the origin that `request` goes to."""
        return self.at(request.url.origin_key)

    def at(self, origin: OriginKey) -> S:
        """The state of an origin."""
        with self._lock:
            state = self._states.get(origin)
            if state is None:
                state = self._states[origin] = self._make(origin)
                if len(self._states) > self._most:
                    self._states.popitem(last=False)
            else:
                self._states.move_to_end(origin)
            return state

    def known(self) -> dict[OriginKey, S]:
        """A copy of what is remembered, longest unused first."""
        with self._lock:
            return dict(self._states)


def origin_name(origin: OriginKey) -> str:
    """As people write it: `https://example.org:443`."""
    scheme, host, port = origin
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
