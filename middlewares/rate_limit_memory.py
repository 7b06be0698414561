"""A storage of `limits` in this process's memory that counts on a clock of one's choice.

The package's own counts on the wall clock, which may jump and which no test can move, and starts a thread each time
that it is asked. This one is exact, and clears up after itself while it is asked.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from scallion.pipeline.forking import renewed_in_children

if TYPE_CHECKING:
    from limits.storage import Storage

__all__ = ["memory_on"]

# Keys that are held without looking for those whose time is over.
_FEW = 1024
# Requests that are remembered without looking for those whose time is over.
_LOOK_AT = 64


class _Moving:
    """When each request of the last `expiry` seconds was, oldest first, and perhaps some from before.

    Attributes:
        look_at: How many there may be before those are forgotten whose time is over.
        is_gone: Whether nobody looks here any more. Who has noted a request must look whether it is.
    """

    __slots__ = ("expiry", "is_gone", "look_at", "times")

    def __init__(self, expiry: float) -> None:
        self.expiry = expiry
        self.times: deque[float] = deque()
        self.look_at = _LOOK_AT
        self.is_gone = False

    def goes_on(self, now: float) -> bool:
        """Forget what is over. It goes on whatever is left, as others may be about to note a request here."""
        times, expiry = self.times, self.expiry
        while times and times[0] + expiry <= now:
            times.popleft()
        self.look_at = max(_LOOK_AT, 2 * len(times))
        return True

    def is_over(self, now: float) -> bool:
        """Whether nothing is left; then it is gone."""
        self.goes_on(now)
        # In this order, as who notes a request looks afterwards: one of the two sees the other.
        self.is_gone = True
        self.is_gone = not self.times
        return self.is_gone

    def take(self, now: float, limit: int, amount: int) -> bool:
        """Note that many requests, or none if they are more than the limit."""
        times = self.times
        if len(times) + amount > limit:
            return False
        # Taken first, and then looked at whether it was too many: so they are never more, whichever threads take at once.
        times.extend([now] * amount)
        if len(times) <= limit:
            return True
        for _ in range(amount):
            times.pop()
        return False


class _Fixed:
    """How many there were in the window that ends at `ends`."""

    __slots__ = ("count", "ends")

    def __init__(self, ends: float) -> None:
        self.count = 0
        self.ends = ends

    def goes_on(self, now: float) -> bool:
        return now < self.ends

    def is_over(self, now: float) -> bool:
        return not self.goes_on(now)


class _Sliding:
    """How many there were in the window of number `index`, and in the one before."""

    __slots__ = ("current", "expiry", "index", "previous")

    def __init__(self, expiry: float, index: int) -> None:
        self.expiry = expiry
        self.index = index
        self.previous = self.current = 0

    def goes_on(self, now: float) -> bool:
        index = int(now // self.expiry)
        if index != self.index:
            self.previous = self.current if index == self.index + 1 else 0
            self.current = 0
            self.index = index
        return bool(self.previous or self.current)

    def is_over(self, now: float) -> bool:
        return not self.goes_on(now)


W = TypeVar("W", _Moving, _Fixed, _Sliding)


def memory_on(clock: Callable[[], float]) -> Storage:
    """A storage for all three strategies. Safe to share between threads and tasks.

    Args:
        clock: Seconds, on a clock that never goes back.
    """
    made: Storage = _storage_class()(clock)
    return made


class _Counts:
    """What such a storage does; `limits` need not be there for it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self.clock = clock
        self._lock = threading.RLock()
        self._held: dict[str, Any] = {}
        self._many = _FEW
        renewed_in_children(self)

    def renew(self) -> None:
        """After a fork, in the child, which goes on from its parent's counts; see `pipeline/forking.py`."""
        self._lock = threading.RLock()

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        return ()

    def _window(self, key: str, kind: type[W], make: Callable[[float], W], now: float) -> W:
        """The window of `key` as it is `now`."""
        held = self._held.get(key)
        if type(held) is kind and held.goes_on(now):
            known: W = held
            return known
        if held is None and len(self._held) >= self._many:
            self._held = {name: one for name, one in self._held.items() if not one.is_over(now)}
            self._many = max(_FEW, 2 * len(self._held))
        window = self._held[key] = make(now)
        return window

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        with self._lock:
            now = self.clock()
            window = self._window(key, _Moving, lambda _: _Moving(expiry), now)
            return window.take(now, limit, amount)

    def take(self, key: str, limit: int, expiry: int) -> bool:
        """`acquire_entry` of one, without the lock as long as there is room: that would cost as much as all the rest."""
        window = self._held.get(key)
        if type(window) is _Moving:
            times = window.times
            if len(times) < limit and len(times) < window.look_at:
                times.append(self.clock())
                if len(times) <= limit and not window.is_gone:
                    return True
                # Other threads have taken the last places meanwhile, or cleared up.
                times.pop()
        return self.acquire_entry(key, limit, expiry)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002
        with self._lock:
            now = self.clock()
            times = self._window(key, _Moving, lambda _: _Moving(expiry), now).times
            return (times[0], len(times)) if times else (now, 0)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        with self._lock:
            window = self._window(key, _Fixed, lambda now: _Fixed(now + expiry), self.clock())
            window.count += amount
            return window.count

    def get(self, key: str) -> int:
        with self._lock:
            return self._window(key, _Fixed, _Fixed, self.clock()).count

    def get_expiry(self, key: str) -> float:
        with self._lock:
            return self._window(key, _Fixed, _Fixed, self.clock()).ends

    def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool:
        with self._lock:
            previous, left, current, _ = self.get_sliding_window(key, expiry)
            if int(previous * left / expiry) + current + amount > limit:
                return False
            self._held[key].current += amount
            return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        with self._lock:
            now = self.clock()
            window = self._window(
                key, _Sliding, lambda now: _Sliding(expiry, int(now // expiry)), now
            )
            left = (window.index + 1) * expiry - now
            return window.previous, left, window.current, left + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:  # noqa: ARG002
        self.clear(key)

    def clear(self, key: str) -> None:
        with self._lock:
            _let_go(self._held.pop(key, None))

    def reset(self) -> int | None:
        with self._lock:
            held, self._held = self._held, {}
            for window in held.values():
                _let_go(window)
            return len(held)

    def check(self) -> bool:
        return True


def _let_go(window: object) -> None:
    if isinstance(window, _Moving):
        window.is_gone = True


@cache
def _storage_class() -> Any:
    from limits.storage.base import MovingWindowSupport, SlidingWindowCounterSupport, Storage

    class ClockedMemory(_Counts, Storage, MovingWindowSupport, SlidingWindowCounterSupport):
        # None, so that no URL leads here.
        STORAGE_SCHEME = None

    return ClockedMemory
