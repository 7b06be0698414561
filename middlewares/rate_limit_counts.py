"""What one rate limit knows: its counts, who waits, and whether its storage can be asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from scallion.pipeline.forking import renewed_in_children

from .rate_limit_memory import memory_on
from .rate_limit_queue import Queues
from .rate_limit_storage import MEMORY, Windows, check_storage, item_of, storage_of

if TYPE_CHECKING:
    from .rate_limit import RateLimit

__all__ = ["MOST_LEFT", "Counts", "Question"]

MOST_LEFT = 8
"""Questions that nobody waits for, from which on a storage is taken to be failing."""


class Counts:
    """Of one layer. Safe to share between threads and tasks.

    Attributes:
        item: The limit.
        remote: Whether it is counted elsewhere, by what may take its time.
        queues: Who waits.
        failure: While the storage fails, the name of its error.
    """

    def __init__(self, layer: RateLimit) -> None:
        self.item = item_of(layer.rate)
        check_storage(layer.storage)
        self.remote = layer.storage != MEMORY
        self.queues = Queues()
        self._layer = layer
        self._lock = threading.Lock()
        self._here: dict[Callable[[], float], Windows] = {}
        self._there: Windows | None = None
        # Until when the storage is left alone. Of its error no more than the name: tracebacks know the password.
        self._down_until = -inf
        self.failure: str | None = None
        # Questions under way whose askers have left.
        self._left = 0
        renewed_in_children(self)

    def renew(self) -> None:
        """After a fork, in the child, which goes on from its parent's counts; see `pipeline/forking.py`."""
        self._lock = threading.Lock()
        self._left = 0

    def windows(self, clock: Callable[[], float]) -> Windows:
        """The counts for clients that live by `clock`; a server's are the same for all."""
        known = self._there if self.remote else self._here.get(clock)
        if known is not None:
            return known
        layer = self._layer
        with self._lock:
            if self.remote:
                given = layer.storage
                storage = (
                    storage_of(given, layer.storage_timeout) if isinstance(given, str) else given
                )
                self._there = self._there or Windows(self.item, layer.strategy, storage, None)
                return self._there
            made = Windows(self.item, layer.strategy, memory_on(clock), clock)
            return self._here.setdefault(clock, made)

    def left_alone(self, now: float) -> float:
        """For how many seconds the storage is not to be asked; 0 for who shall ask it."""
        with self._lock:
            if now < self._down_until:
                return self._down_until - now
            if self.failure is not None:
                # One tries whether it is back; the others need not wait for what comes of it.
                self._down_until = now + self._layer.storage_pause
            return 0.0

    def failed(self, error: Exception, now: float) -> None:
        with self._lock:
            self._fail(type(error).__name__, now)

    def _fail(self, failure: str, now: float) -> None:
        self.failure = failure
        self._down_until = now + self._layer.storage_pause

    def answered(self) -> None:
        if self.failure is not None:
            with self._lock:
                self.failure, self._down_until = None, -inf

    def left(self, question: Question, now: float) -> None:
        """Its asker does not wait for the answer. Each holds a thread, so many of them are a failure."""
        with self._lock:
            question.is_left = True
            if question.is_under_way:
                self._left += 1
                if self._left >= MOST_LEFT:
                    self._fail("TimeoutError", now)

    def begin(self, question: Question) -> bool:
        """Whether anybody wants to know. If so, it must be told when it is `over`."""
        with self._lock:
            question.is_under_way = not question.is_left
            return question.is_under_way

    def over(self, question: Question) -> None:
        with self._lock:
            question.is_under_way = False
            self._left -= question.is_left


class Question:
    """One put to a storage that may take its time; what comes of it is noted even if nobody waits any longer.

    Attributes:
        wait: What it answered, as `Windows.take`.
        has_failed: Whether it did not.
        is_under_way: Whether a thread waits for the answer.
        is_left: Whether its asker is gone.
    """

    def __init__(
        self, counts: Counts, windows: Windows, name: str, clock: Callable[[], float]
    ) -> None:
        self.wait: float | None = None
        self.has_failed = self.is_under_way = self.is_left = False
        self._counts = counts
        self._windows = windows
        self._name = name
        self._clock = clock

    def __call__(self) -> None:
        counts = self._counts
        if not counts.begin(self):
            return
        try:
            self.wait = self._windows.take(self._name)
        except self._windows.failures as error:
            self.has_failed = True
            counts.failed(error, self._clock())
        else:
            counts.answered()
        finally:
            counts.over(self)
