"""One origin's circuit: closed while it answers, open for a while when it fails too often, then probed.

Rules:

- *Closed*: all requests pass, and what came of them is counted over a rolling window. A failure that finds enough
  requests there, and enough of them failed, opens the circuit.
- *Open*: none passes until the break is over. The next request begins the half-open state.
- *Half-open*: some requests, the probes, pass, and all others are refused. As soon as one fails the circuit opens
  for a longer break; when all have succeeded it closes, with nothing counted. A probe that came to no result, as its
  caller gave up, is given back: the next request takes its place.
- *Forced*, open or closed: it stays so until it is released, closed and with nothing counted.
- A success may turn out to be a failure later, when the response's body breaks off.
- What began in one state says nothing in the next: each has a number, and results that bear another are dropped.

Every step is O(1) under a lock that is held for no wait, but that of a success while the circuit is closed: it needs
none. Observers are called outside of the lock.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Literal, TypeAlias

__all__ = ["Circuit", "CircuitRules", "CircuitState", "Tell"]

Phase: TypeAlias = Literal["closed", "open", "half-open"]
Tell: TypeAlias = Callable[..., None]
"""Takes an event's name and its fields, as `Request.note`."""

_MOST_NEWS = 8

BUCKETS = 10
"""The window moves in steps of a tenth, so it looks back over nine tenths of itself at least."""


@dataclass(frozen=True, slots=True)
class CircuitRules:
    """A circuit's numbers; see `CircuitBreaker`."""

    ratio: float
    minimum: int
    window: float
    break_for: float
    growth: float
    longest: float
    jitter: float
    probes: int
    random: Callable[[], float]

    def break_after(self, breaks: int) -> float:
        """Seconds of a break that follows on so many others."""
        # What many processes saw fail together they do not probe together.
        shorter = 1.0 - self.jitter * self.random()
        try:
            longer = self.break_for * self.growth**breaks
        except OverflowError:
            longer = self.longest
        return min(self.longest, longer) * shorter


@dataclass(frozen=True, slots=True, repr=False)
class CircuitState:
    """A circuit at one moment.

    Attributes:
        phase: "closed", "open" or "half-open".
        forced: Whether it was put there, and stays.
        requests: Counted in the window; those of the window that opened it while it is not closed.
        failures: How many of these failed.
        breaks: Breaks since it was last closed.
        retry_after: Seconds until the break is over; None if there is none, or nobody knows.
        probing: Probes under way.
    """

    phase: Phase
    forced: bool
    requests: int
    failures: int
    breaks: int
    retry_after: float | None
    probing: int

    def __repr__(self) -> str:
        forced = "forced " if self.forced else ""
        counts = f"{self.failures} of {self.requests} failed"
        if self.phase == "open" and self.retry_after is not None:
            return f"<Circuit {forced}open for {self.retry_after:.3g} s, {counts}>"
        if self.phase == "half-open":
            return f"<Circuit half-open, {self.probing} probing, {counts}>"
        return f"<Circuit {forced}{self.phase}, {counts}>"


class _Window:
    """Requests and failures of the last while, in `BUCKETS` steps.

    Attributes:
        until: When the newest step ends.
    """

    __slots__ = ("_failures", "_index", "_requests", "_step", "_width", "until")

    def __init__(self, seconds: float) -> None:
        self._width = seconds / BUCKETS
        self.clear()

    @property
    def requests(self) -> int:
        return sum(self._requests)

    @property
    def failures(self) -> int:
        return sum(self._failures)

    def clear(self) -> None:
        self._requests = [0] * BUCKETS
        self._failures = [0] * BUCKETS
        self._index = 0
        # Nothing was counted before.
        self._step: int | None = None
        self.until = -inf

    def move(self, now: float) -> None:
        """Forget what has left the window."""
        step = int(now // self._width)
        last = self._step
        if last is not None:
            # A thread may come with a moment that is a little older than the last one's.
            step = max(step, last)
            for gone in range(last + 1, min(step, last + BUCKETS) + 1):
                self._requests[gone % BUCKETS] = self._failures[gone % BUCKETS] = 0
        self._step = step
        self._index = step % BUCKETS
        self.until = (step + 1) * self._width

    def add(self, now: float, *, failed: bool) -> None:
        if now >= self.until:
            self.move(now)
        self.add_to_newest()
        if failed:
            self._failures[self._index] += 1

    def add_to_newest(self) -> None:
        """Count a request of the newest step. It needs no lock."""
        # CPython lets no other thread in between; where one gets in, one request in some thousands is not counted.
        self._requests[self._index] += 1

    def spoil(self, then: float, now: float) -> None:
        """What was counted at `then` as a success is a failure, as it turns out."""
        self.move(now)
        assert self._step is not None
        step = int(then // self._width)
        if step <= self._step - BUCKETS:
            # It has left the window: here is another.
            self.add(now, failed=True)
            return
        self._failures[step % BUCKETS] += 1


class Circuit:
    """One origin's. Safe to share between threads and tasks.

    Args:
        origin: Its name, for the events.
        rules: The numbers.

    Attributes:
        news: Names of events that came about without a request, to be told by the next one.
        passing: The number of the state while it is closed; None while it is not, and `enter` must be asked.
    """

    def __init__(self, origin: str, rules: CircuitRules) -> None:
        self.origin = origin
        self.news: deque[str] = deque(maxlen=_MOST_NEWS)
        self._rules = rules
        self._lock = threading.Lock()
        self._phase: Phase = "closed"
        self._forced = False
        self._number = 0
        self.passing: int | None = 0
        self._window = _Window(rules.window)
        self._breaks = 0
        # When the first break of the row began, and when the last one ends.
        self._broken_at = self._until = 0.0
        # Probes under way, and those that have succeeded.
        self._probing = self._passed = 0

    @property
    def probing(self) -> int:
        """Probes under way."""
        return self._probing

    def enter(self, now: float, tell: Tell) -> int | None:
        """Ask to send: the number of the state, which `leave` must be given whatever comes of it; None for no.

        Who finds a number in `passing` need not ask: it is the one that this would give.
        """
        with self._lock:
            if self._phase == "closed":
                return self._number
            begins = False
            if self._phase == "open":
                if self._forced or now < self._until:
                    return None
                begins = True
                self._become("half-open")
            if self._probing + self._passed >= self._rules.probes:
                return None
            self._probing += 1
            number, after = self._number, now - self._broken_at
        if begins:
            tell("breaker.half_open", origin=self.origin, after=after)
        return number

    def succeeded(self, number: int, now: float) -> bool:
        """Count a success if that is all that has to be done; if not, `leave` has to be told."""
        window = self._window
        if number == self.passing and now < window.until:
            # Without the lock, which would cost as much as all the rest.
            window.add_to_newest()
            return True
        return False

    def leave(self, number: int, now: float, ok: bool | None, tell: Tell) -> None:
        """Say what came of it: a success, a failure, or (None) nothing that counts."""
        with self._lock:
            if number != self._number:
                return
            probed = self._phase == "half-open"
            if probed:
                self._probing -= 1
            if ok is not None:
                told = self._judge(now, ok=ok)
            else:
                told = ("breaker.probe_given_back", {}) if probed else None
        if told is not None:
            event, fields = told
            tell(event, origin=self.origin, **fields)

    def _judge(self, now: float, *, ok: bool) -> tuple[str, dict[str, Any]] | None:
        """Count what came of a request; the event, if the state changes. Under the lock."""
        if self._phase == "closed":
            self._window.add(now, failed=not ok)
            if ok or self._forced or not self._is_bad():
                return None
            self._broken_at = now
        elif ok:
            self._passed += 1
            if self._passed < self._rules.probes:
                return None
        return self._close(now) if ok else self._open(now)

    def tell_news(self, tell: Tell) -> None:
        """Say what was done by hand since anybody was told."""
        while self.news:
            try:
                event = self.news.popleft()
            except IndexError:
                # Another thread was quicker.
                return
            tell(event, origin=self.origin)

    def spoil(self, number: int, then: float, now: float, tell: Tell) -> None:
        """Say that what was a success at `then` has failed after all; arguments as of `leave`."""
        with self._lock:
            if number != self._number:
                return
            if self._phase == "closed":
                self._window.spoil(then, now)
                if self._forced or not self._is_bad():
                    return
                self._broken_at = now
            event, fields = self._open(now)
        tell(event, origin=self.origin, **fields)

    def _is_bad(self) -> bool:
        window, rules = self._window, self._rules
        enough = window.requests >= rules.minimum
        return enough and window.failures >= rules.ratio * window.requests

    def _open(self, now: float) -> tuple[str, dict[str, Any]]:
        seconds = self._rules.break_after(self._breaks)
        self._become("open")
        self._breaks += 1
        self._until = now + seconds
        return "breaker.opened", {
            "failures": self._window.failures,
            "requests": self._window.requests,
            "seconds": seconds,
            "breaks": self._breaks,
        }

    def _close(self, now: float) -> tuple[str, dict[str, Any]]:
        after = now - self._broken_at
        self._reset()
        return "breaker.closed", {"after": after}

    def _reset(self, phase: Phase = "closed", *, forced: bool = False) -> None:
        # Nobody passes by what is counted no more.
        self.passing = None
        self._forced = forced
        self._breaks = 0
        self._window.clear()
        self._become(phase)

    def _become(self, phase: Phase) -> None:
        self._phase = phase
        self._number += 1
        self.passing = self._number if phase == "closed" else None
        self._probing = self._passed = 0

    def force(self, phase: Literal["open", "closed"]) -> None:
        """Put it there, to stay."""
        with self._lock:
            self._reset(phase, forced=True)
            self.news.append(f"breaker.forced_{phase}")

    def release(self) -> None:
        """Let it judge for itself again, from nothing; does nothing to one that was not forced."""
        with self._lock:
            if self._forced:
                self._reset()
                self.news.append("breaker.released")

    def renew(self) -> None:
        """After a fork, in the child: nobody probes. An open circuit stays open; see `pipeline/forking.py`."""
        self._lock = threading.Lock()
        # A state like the one before: what began in that one says nothing.
        self._become(self._phase)

    def state(self, now: float) -> CircuitState:
        """A break that is over shows as half-open, though no request has come since."""
        with self._lock:
            phase, left = self._phase, None
            if phase == "closed":
                self._window.move(now)
            elif phase == "open" and not self._forced:
                left = self._until - now
                if left <= 0:
                    phase, left = "half-open", None
            window = self._window
            return CircuitState(
                phase,
                self._forced,
                window.requests,
                window.failures,
                self._breaks,
                left,
                self._probing,
            )
