"""What a rate limit asks `limits`: may one more request go, and if not, when it is worth asking again.

The package is imported when the first `RateLimit` is made.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from scallion.pipeline.redaction import redact_login

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.storage import Storage

__all__ = ["MEMORY", "Strategy", "Windows", "check_storage", "item_of", "storage_of"]

Strategy: TypeAlias = Literal["moving", "fixed", "sliding"]

MEMORY = "memory://"

_CLASSES = {
    "moving": "MovingWindowRateLimiter",
    "fixed": "FixedWindowRateLimiter",
    "sliding": "SlidingWindowCounterRateLimiter",
}
# Clients of these take the same options. By the scheme of the URL; the others are made by the user.
_SERVERS = {
    "redis": "redis",
    "rediss": "redis",
    "redis+unix": "redis",
    "valkey": "valkey",
    "valkeys": "valkey",
    "valkey+unix": "valkey",
}

# Seconds between two askings, at least: clocks are rounded, and Redis tells the end of a fixed window in whole seconds.
_LEAST_HERE = 0.001
_LEAST_THERE = 0.01


def _limits() -> Any:
    try:
        import limits
        import limits.storage
        import limits.strategies
    except ImportError:
        raise ImportError(
            "RateLimit needs the package limits: pip install 'scallion[limits]'"
        ) from None
    return limits


def item_of(rate: object) -> RateLimitItem:
    """The limit that `rate` says.

    Raises:
        ImportError: `limits` is not installed.
        TypeError, ValueError: it says none, or several, or one that lets nothing pass.
    """
    limits = _limits()
    if isinstance(rate, str):
        try:
            items = limits.parse_many(rate)
        except ValueError:
            raise ValueError(
                f"RateLimit rate reads like '10/second' or '100 per 5 minutes': {rate!r}"
            ) from None
        if len(items) > 1:
            raise ValueError(f"RateLimit sets one rate, give each a layer of its own: {rate!r}")
        rate = items[0]
    if not isinstance(rate, limits.RateLimitItem):
        raise TypeError(f"RateLimit rate must be a string or a limits.RateLimitItem: {rate!r}")
    item: RateLimitItem = rate
    if item.amount < 1:
        raise ValueError(f"RateLimit rate must let at least 1 request pass: {rate!r}")
    return item


def check_storage(storage: object) -> None:
    """Refuse what `storage_of` could not use. Nothing is opened, and no password shown.

    Raises:
        TypeError, ValueError: it is no storage that layers of all colours could ask.
        ImportError: the client for that kind of server is not installed.
    """
    limits = _limits()
    if not isinstance(storage, str):
        if not isinstance(storage, limits.storage.Storage):
            raise TypeError(
                "RateLimit storage must be 'memory://', the URL of a Redis, or a storage of `limits` that is not one "
                f"of its asynchronous ones: {type(storage).__name__}"
            )
        return
    if storage == MEMORY:
        return
    scheme = storage.partition("://")[0]
    package = _SERVERS.get(scheme)
    if package is None:
        raise ValueError(
            f"RateLimit storage must be 'memory://' or a URL whose scheme is one of {', '.join(_SERVERS)}; "
            f"for other servers make a storage of `limits` and give that: {redact_login(storage)!r}"
        )
    if find_spec(package) is None:
        raise ImportError(
            f"RateLimit storage {scheme}:// needs the package {package}: pip install {package}"
        )


def storage_of(url: str, timeout: float) -> Storage:
    """A storage in the server at `url`. It connects when it is first asked.

    Args:
        timeout: Seconds for connecting, and for each answer.

    Raises:
        ValueError: the URL cannot be read.
    """
    from importlib import import_module

    package = _SERVERS[url.partition("://")[0]]
    retry, backoff, errors = (
        import_module(f"{package}.{name}") for name in ("retry", "backoff", "exceptions")
    )
    # At once, for a connection that died while it was idle. What the client does by itself takes seconds.
    again = retry.Retry(backoff.NoBackoff(), 1, (errors.ConnectionError,))
    try:
        made: Storage = _limits().storage.storage_from_string(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=again
        )
    except ValueError as error:
        raise ValueError(
            f"RateLimit storage cannot be read: {redact_login(url)!r} ({type(error).__name__})"
        ) from None
    return made


class Windows:
    """One limit, counted in one storage by one strategy.

    Args:
        item: The limit.
        strategy: How it is counted.
        storage: Where.
        clock: The storage's clock, if it is one of this process; None for a server's, whose clients go by the wall.

    Attributes:
        failures: The errors by which the storage says that it cannot be asked.
    """

    def __init__(
        self,
        item: RateLimitItem,
        strategy: Strategy,
        storage: Storage,
        clock: Callable[[], float] | None,
    ) -> None:
        limits = _limits()
        self._item = item
        self._strategy = strategy
        self._storage: Any = storage
        self._hit = getattr(limits.strategies, _CLASSES[strategy])(storage).hit
        if strategy == "moving" and clock is not None:
            # What the strategy does, without a new key for every request.
            take, amount, expiry = storage.take, item.amount, item.get_expiry()  # type: ignore[attr-defined]
            key_for = lru_cache(maxsize=1024)(item.key_for)
            self._hit = lambda _item, key: take(key_for(key), amount, expiry)
        self._clock = time.time if clock is None else clock
        self._least = _LEAST_THERE if clock is None else _LEAST_HERE
        bases = storage.base_exceptions
        known = bases if isinstance(bases, tuple) else (bases,)
        self.failures = (limits.errors.StorageError, OSError, *known)

    def take(self, key: str) -> float | None:
        """Count one more request and return None; or do not, and return in how many seconds to ask again."""
        if self._hit(self._item, key):
            return None
        return max(self._least, self._wait(self._item.key_for(key)))

    def _wait(self, key: str) -> float:
        item, storage = self._item, self._storage
        expiry = item.get_expiry()
        match self._strategy:
            case "moving":
                oldest, _ = storage.get_moving_window(key, item.amount, expiry)
                return float(oldest) + expiry - self._clock()
            case "fixed":
                return float(storage.get_expiry(key)) - self._clock()
            case "sliding":
                return until_lower(item.amount, expiry, *storage.get_sliding_window(key, expiry))


def until_lower(
    amount: int, expiry: float, previous: int, left: float, current: int, current_left: float
) -> float:
    """Seconds until a sliding window has room for one more.

    The weighted count is `previous * left / expiry`, rounded down, and `current`.

    Args:
        amount: The most that it may be.
        expiry: Seconds of a window.
        previous: Requests in the window before.
        left: Seconds until that one counts no longer.
        current: Requests in this window.
        current_left: Seconds until this one counts no longer.
    """
    if current >= amount:
        # It must become the one before, and lose weight.
        return current_left - expiry
    if not previous:
        return 0.0
    return left - (amount - current) * expiry / previous
