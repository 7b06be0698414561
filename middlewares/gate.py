"""A gate: so many requests under way at a time, so many more that wait in line, and a clear refusal beyond.

Rules:

- A *place* is held from when a request passes until its response's body has ended or was closed, or until it failed.
- Who comes while others wait does not overtake them. A place that comes free goes to who has waited longest.
- Who stops waiting, for whatever reason, is out of the line; a place that was handed to him meanwhile goes to the next.
- Giving back never waits: a finaliser may do it, even in the midst of this very thread's own step. It notes it down,
  and whoever has the lock does the work.
- Threads and several event loops may share one: each is woken in its own way.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Any

from scallion.pipeline.errors import BulkheadFull, TotalTimeout
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime
from scallion.pipeline.streams import AsyncByteStream, ByteStream, SyncByteStream

from .outcomes import mark_ended_in_line
from .per_origin import origin_name

__all__ = ["Gate", "GateStats", "Waiter", "hold", "wait_in_line"]


@dataclass(frozen=True, slots=True, repr=False)
class GateStats:
    """A gate at one moment.

    Attributes:
        active: Requests under way.
        limit: How many there may be.
        waiting: Requests in line.
        queue: How many there may be.
    """

    active: int
    limit: int
    waiting: int
    queue: int

    def __str__(self) -> str:
        return f"{self.active} of {self.limit} under way, {self.waiting} of {self.queue} waiting"

    def __repr__(self) -> str:
        return f"<Gate {self}>"


class Waiter:
    """One in line.

    Attributes:
        granted: Whether a place is his.
    """

    __slots__ = ("_call_soon", "_thread", "event", "granted")

    def __init__(self, runtime: Runtime) -> None:
        self.granted = False
        self.event = runtime.event()
        self._thread = None if runtime.blocking else threading.get_ident()
        self._call_soon = None if runtime.blocking else _from_elsewhere(runtime.key)

    def wake(self) -> bool:
        """Whether he can be: not if his event loop has ended."""
        try:
            if self._call_soon is None or self._thread == threading.get_ident():
                self.event.set()
            else:
                self._call_soon(self.event.set)
        except RuntimeError:
            return False
        return True


def _from_elsewhere(loop: Hashable) -> Callable[[Callable[[], object]], object]:
    """How another thread has something called in asyncio's loop, or trio's."""
    loop_: Any = loop
    found = getattr(loop_, "call_soon_threadsafe", None) or loop_.run_sync_soon
    call_soon: Callable[[Callable[[], object]], object] = found
    return call_soon


class Gate:
    """The places to one origin. Safe to share between threads and tasks; every step is O(1).

    Coming and going take no lock, which would cost more than all the rest. Who comes takes a place first and then looks
    whether it was one too many; so there are never more inside than may be, whoever else comes at that moment. Who goes
    gives the place back first and then looks whether anybody waits; so nobody waits beside a free place.

    Args:
        limit: Requests under way at a time.
        queue: Requests that wait.
    """

    def __init__(self, limit: int, queue: int) -> None:
        # Of the line and of who is let through from it.
        self._lock = threading.Lock()
        self._limit = limit
        self._queue = queue
        # One for each request under way. To append and to pop are single steps between threads, as adding to a number is not.
        self._inside: deque[None] = deque()
        self._line: OrderedDict[Waiter, None] = OrderedDict()
        # Who leaves the line, or the place that he was let through to.
        self._left: deque[Waiter] = deque()

    @property
    def active(self) -> int:
        """Requests under way."""
        return len(self._inside)

    def enter(self) -> bool:
        """Take a place, if one is free and nobody waits."""
        inside = self._inside
        if self._line or len(inside) >= self._limit:
            return False
        inside.append(None)
        if len(inside) <= self._limit:
            return True
        # Another thread came at the same moment. Both get in line, where they are told apart.
        self.release()
        return False

    def join(self, waiter: Waiter) -> bool:
        """Get in line, or through (`waiter.granted`) if a place has come free meanwhile; False if the line is full."""
        with self._lock:
            waiter.granted = not self._line and self._take()
            joined = waiter.granted or len(self._line) < self._queue
            if joined and not waiter.granted:
                self._line[waiter] = None
        self._settle()
        return joined

    def release(self) -> None:
        """Give a place back."""
        self._inside.pop()
        if self._line:
            self._settle()

    def quit(self, waiter: Waiter) -> None:
        """Leave the line, or give back the place that was granted meanwhile."""
        self._left.append(waiter)
        self._settle()

    def end(self, waiter: Waiter) -> bool:
        """Leave the line, unless a place was granted: whether one was, which the caller then has."""
        with self._lock:
            self._line.pop(waiter, None)
        self._settle()
        return waiter.granted

    def resize(self, limit: int) -> None:
        """From now on so many places; who has one beyond keeps it."""
        with self._lock:
            self._limit = limit
        self._settle()

    def stats(self) -> GateStats:
        with self._lock:
            stats = GateStats(len(self._inside), self._limit, len(self._line), self._queue)
        self._settle()
        return stats

    def _take(self) -> bool:
        self._inside.append(None)
        if len(self._inside) <= self._limit:
            return True
        self._inside.pop()
        return False

    def _settle(self) -> None:
        """Do what is to be done. Who finds the lock taken leaves it to him who has it, and settles afterwards."""
        while (
            self._left or (self._line and len(self._inside) < self._limit)
        ) and self._lock.acquire(False):  # by name it takes twice as long
            woken: list[Waiter] = []
            try:
                while self._left:
                    waiter = self._left.popleft()
                    if waiter.granted:
                        self._inside.pop()
                    else:
                        self._line.pop(waiter, None)
                while self._line and self._take():
                    waiter, _ = self._line.popitem(last=False)
                    waiter.granted = True
                    woken.append(waiter)
            finally:
                self._lock.release()
            for waiter in woken:
                if not waiter.wake():
                    waiter.granted = False
                    self._inside.pop()

    def __repr__(self) -> str:
        return repr(self.stats())


async def wait_in_line(
    gate: Gate, request: Request, runtime: Runtime, patience: float, layer: str
) -> None:
    """Wait for a place that `gate.enter()` did not give, for `patience` seconds and until the request's deadline.

    Args:
        gate: Its place is the caller's to give back, if this returns.
        request: Who waits; its observers are told `<layer>.queued` with `origin` and the numbers of `GateStats`,
            then `<layer>.admitted` with `origin` and `waited`, or `<layer>.refused` with `origin`, the numbers
            and `waited`, in seconds.
        runtime: Time.
        patience: Seconds; `inf` for as long as it takes.
        layer: What the events are called by.

    Raises:
        BulkheadFull: the line is full, or the patience came to its end.
        TotalTimeout: the deadline came first.
    """
    origin = origin_name(request.url.origin_key)
    clock = runtime.clock
    since = clock()
    deadline = inf if request.deadline is None else request.deadline
    left = min(patience, deadline - since)
    waiter = Waiter(runtime)
    if deadline <= since:
        raise _overdue(origin, request)
    if left <= 0 or not gate.join(waiter):
        raise _refusal(gate, origin, request, layer, 0.0)
    if waiter.granted:
        return
    try:
        _tell(gate, origin, request, f"{layer}.queued")
        await waiter.event.wait(None if left == inf else left)
    except BaseException as error:
        gate.quit(waiter)
        mark_ended_in_line(error)
        raise
    granted = gate.end(waiter)
    waited = clock() - since
    if granted:
        request.note(f"{layer}.admitted", origin=origin, waited=waited)
        return
    if deadline - since <= patience:
        raise _overdue(origin, request)
    raise _refusal(gate, origin, request, layer, waited)


def _tell(gate: Gate, origin: str, request: Request, event: str, **more: Any) -> None:
    stats = gate.stats()
    request.note(
        event,
        origin=origin,
        active=stats.active,
        limit=stats.limit,
        waiting=stats.waiting,
        queue=stats.queue,
        **more,
    )


def _refusal(gate: Gate, origin: str, request: Request, layer: str, waited: float) -> BulkheadFull:
    _tell(gate, origin, request, f"{layer}.refused", waited=waited)
    within = f" within {waited:.3g} s" if waited else ""
    message = f"No place for another request to {origin}{within}: {gate.stats()}"
    return BulkheadFull(message, request=request)


def _overdue(origin: str, request: Request) -> TotalTimeout:
    error = TotalTimeout(
        f"The call's deadline passed while waiting for a place among the requests to {origin}",
        request=request,
    )
    mark_ended_in_line(error)
    return error


# A place is held as long as the body lasts.


def hold(response: Response, gate: Gate, *, blocking: bool) -> None:
    """Give the place back when `response` is closed, which it is at its body's end; at once if that is all here.

    A response that is forgotten unread gives it back when it is collected.

    Args:
        response: Its stream is wrapped.
        gate: Where the place is given back.
        blocking: Whether it goes to a `Client`.
    """
    stream = response.stream
    if type(stream) is ByteStream or response.is_closed:
        gate.release()
    elif blocking:
        response.stream = _SyncHeld(stream, gate)
    else:
        response.stream = _AsyncHeld(stream, gate)


class _Held:
    """A response's stream, with a place that is given back once."""

    def __init__(self, stream: Any, gate: Gate) -> None:
        self._stream = stream
        self._gates = [gate]

    def _let_go(self) -> None:
        try:
            gate = self._gates.pop()
        except IndexError:
            return
        gate.release()

    # The stream's own ways to receive all of itself; None where it has none.

    @property
    def gather(self) -> Any:
        return getattr(self._stream, "gather", None)

    @property
    def agather(self) -> Any:
        return getattr(self._stream, "agather", None)

    def __aiter__(self) -> AsyncIterator[bytes]:
        iterator: AsyncIterator[bytes] = self._stream.__aiter__()
        return iterator

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._let_go()

    def __del__(self) -> None:
        self._let_go()


class _AsyncHeld(_Held, AsyncByteStream):
    pass


class _SyncHeld(_Held, SyncByteStream, AsyncByteStream):
    """Of both colours, as other layers await it; nothing suspends."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._let_go()
