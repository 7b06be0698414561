"""Copies of one request that are under way at once: started, waited for, and ended, in either colour.

Rules:

- Each copy runs in a task of its own under an event loop, in a thread of its own under a `Client`. In asyncio the first
  runs in the caller's own task (`Here`), and there is a race, in a task beside it, only when it has taken too long.
- A task that is not needed any more is cancelled, and has ended before the race is over. The caller's own task is
  cancelled likewise, and that is taken back. A thread is told through its
  request's `Handle` what it may not wait for any longer; what it still gets is closed there.
- Who ends a copy closes what it got.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from scallion.pipeline.abandoning import Handle
from scallion.pipeline.layer import Bound
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime, run
from scallion.pipeline.runtime_tasks import Beside, Task, start
from scallion.pipeline.runtime_threads import start_in_thread

__all__ = ["HEDGE_KEY", "Copy", "Here", "Race", "close", "hedge_of"]

HEDGE_KEY = "_scallion.hedge"
"""Stands in the extensions of each copy of a request: its number, 0 for the first."""


def hedge_of(request: Request) -> int:
    """Which copy of its attempt `request` is, seen from inside `Hedging`; 0 for the first."""
    number: int = request.extensions.get(HEDGE_KEY, 0)
    return number


class Copy:
    """One of them.

    Attributes:
        number: 0 for the first.
        request: Its own.
        started: On the runtime's clock.
        response: What it got, or None.
        error: What it raised instead, or None.
    """

    def __init__(self, number: int, request: Request, started: float) -> None:
        self.number = number
        self.request = _copied(request, number)
        self.started = started
        self.response: Response | None = None
        self.error: BaseException | None = None

    def begin(self, send: Bound, race: Race) -> bool:
        """Send it; False if that is impossible now."""
        raise NotImplementedError

    def settle(self) -> None:
        """It has ended, and what it got is its race's."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ask it to end."""
        raise NotImplementedError

    async def gone(self) -> None:
        """Wait until it has ended, if it is a task, and close what it got."""
        raise NotImplementedError


class Race:
    """What one call has under way.

    Attributes:
        number: How many were sent.
        running: The copies that have not ended, or whose end nobody has looked at yet.
    """

    def __init__(self, request: Request, send: Bound, runtime: Runtime) -> None:
        self.running: list[Copy] = []
        self._request = request
        self._send = send
        self._runtime = runtime
        self._ended: deque[Copy] = deque()
        self._event = runtime.event()
        self.number = 0

    def begin(self) -> bool:
        """Send another copy; False if that is impossible now."""
        kind: type[Copy] = _Threaded if self._runtime.blocking else _Tasked
        copy = kind(self.number, self._request, self._runtime.clock())
        if not copy.begin(self._send, self):
            return False
        self.running.append(copy)
        self.number += 1
        return True

    def ended(self, copy: Copy) -> None:
        """A copy says so itself, from wherever it runs."""
        self._ended.append(copy)
        self._event.set()

    async def next(self, timeout: float | None) -> Copy | None:
        """The next copy that has ended, or None if none does within `timeout` seconds."""
        if not self._ended:
            await self._event.wait(timeout)
        # Before it is looked whether there is one: who ends from now on raises the new flag.
        self._event = self._runtime.event()
        if not self._ended:
            return None
        copy = self._ended.popleft()
        self.running.remove(copy)
        copy.settle()
        return copy

    def admit(self, first: Here) -> None:
        """Take in a copy that was sent already."""
        self.running.append(first)
        self.number += 1
        if first.is_over:
            self.ended(first)

    async def over(self) -> None:
        """End whatever is still running, and close what it got.

        Raises:
            BaseException: the caller was cancelled meanwhile; all have ended nevertheless.
        """
        cancelled: BaseException | None = None
        for copy in self.running:
            copy.stop()
        for copy in self.running:
            try:
                await copy.gone()
            except BaseException as error:  # noqa: BLE001  # raised below, when all have ended
                cancelled = error
        if cancelled is not None:
            raise cancelled


async def close(copy: Copy, *, blocking: bool = False) -> None:
    """Close what a copy got, if it got anything; a cancelled caller closes it too."""
    if copy.response is None:
        return
    if blocking:
        await copy.response.aclose()
    else:
        closing = start(copy.response.aclose)
        await closing.join()


class _Tasked(Copy):
    task: Task

    def begin(self, send: Bound, race: Race) -> bool:
        async def work() -> None:
            self.response = await send(self.request)

        self.task = start(work, lambda: race.ended(self))
        return True

    def settle(self) -> None:
        self.error = self.task.error

    def stop(self) -> None:
        self.task.cancel()

    async def gone(self) -> None:
        try:
            await self.task.join()
        finally:
            # It came just before the end.
            await close(self)


class Here(Beside, Copy):
    """The first copy, in the caller's own task: as long as it is quick enough nothing else is made. In asyncio alone.

    Args:
        task: The caller's.
        request: The caller's.
        started: On the runtime's clock.
        compete: Runs a race that has this copy in it, and gives the copy that won. Called when the alarm rings, with this,
            `request`, and `more`.

    Attributes:
        is_over: Whether it has ended.
        race: The one that has begun, until it has ended.
        hedges: How many copies were sent beside this one.
    """

    race: Race | None = None
    hedges = 0
    is_over = False
    _winner: Copy | None = None

    def __init__(
        self,
        task: object,
        request: Request,
        started: float,
        compete: Callable[..., Awaitable[Copy]],
        more: tuple[Any, ...],
    ) -> None:
        Beside.__init__(self, task)
        Copy.__init__(self, 0, request, started)
        self._compete = compete
        self._given = request, *more

    async def work(self) -> None:
        self._winner = await self._compete(self, *self._given)

    def settle(self) -> None:
        pass

    def stop(self) -> None:
        if not self.is_over:
            self.end()

    async def gone(self) -> None:
        """The caller sees to that himself, in `won`, as it is his own task."""

    async def won(self, error: BaseException | None) -> Copy:
        """Once it has ended, by `error` or with the `response`, and there is a race: the copy that won.

        Raises:
            BaseException: the caller was cancelled, or the race itself failed. All copies have ended, and are closed.
        """
        beaten = self.has_ended(error)
        self.is_over = True
        try:
            if not beaten:
                if error is not None and not isinstance(error, Exception):
                    raise error
                self.error = error
                if self.race is not None:
                    # After those who ended before: their tasks tell it a moment later.
                    self.call_soon(partial(self.race.ended, self))
            await self.wait()
            winner = self._winner
            assert winner is not None
        except BaseException:
            await self._all_closed()
            raise
        finally:
            # No circle of the error, its traceback and this frame.
            error = None
        if winner is not self:
            # No circle of the error, its traceback and this.
            self.error = None
            await close(self)
        return winner

    async def _all_closed(self) -> None:
        try:
            await self.abandon()
        finally:
            self.error = None
            for copy in (self, self._winner):
                if copy is not None:
                    await close(copy)


class _Threaded(Copy):
    def __init__(self, number: int, request: Request, started: float) -> None:
        super().__init__(number, request, started)
        self._handle = Handle()
        self.request.observers = (*self.request.observers, self._handle)
        self._lock = threading.Lock()
        self._stopped = False

    def begin(self, send: Bound, race: Race) -> bool:
        def job() -> None:
            try:
                late = self._keep(run(_awaited(send, self.request)))
                if late is not None:
                    run(late.aclose())
            except BaseException as error:  # noqa: BLE001  # it belongs to who began this
                self.error = error
            finally:
                race.ended(self)

        return start_in_thread(job)

    def _keep(self, response: Response) -> Response | None:
        """Leave `response` to who waits; give it back if nobody does."""
        with self._lock:
            if self._stopped:
                return response
            self.response = response
            return None

    def settle(self) -> None:
        # Its connection goes on to whoever reads the body.
        self._handle.let_go()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
        self._handle.abandon()

    async def gone(self) -> None:
        if self.response is not None:
            await self.response.aclose()


async def _awaited(send: Bound, request: Request) -> Response:
    return await send(request)


def _copied(request: Request, number: int) -> Request:
    """A request of its own, with the same body, deadline, observers and memory."""
    copy = Request.__new__(type(request))
    if type(request) is not Request:
        copy.__dict__.update(request.__dict__)
    # One by one: a look at an object's dict makes it slower from then on.
    copy.method = request.method
    copy.url = request.url
    copy.headers = request.headers.copy()
    extensions = copy.extensions = request.extensions.copy()
    extensions[HEDGE_KEY] = number
    copy.stream = request.stream
    content = getattr(request, "_content", None)
    if content is not None:
        copy._content = content
    copy.deadline = request.deadline
    copy.observers = request.observers
    copy.progress = request.progress
    copy.credentials_allowed = request.credentials_allowed
    copy._memory = request.memory
    return copy
