"""Work that runs beside its starter and may outlive the call that started it, on asyncio and trio.

There is nothing of the kind for blocking clients. Whoever starts a task keeps it, and ends it by `cancel` and `join`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from .runtime import Ending, _asyncio_loop, _running_loop

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from contextvars import Context

__all__ = ["Beside", "Task", "start"]

Work: TypeAlias = Callable[[], Awaitable[object]]


class Task(Protocol):
    """Work that was started.

    Attributes:
        error: What the work raised, whatever it was; None while it runs, and if it returned or was cancelled. It
            is the starter's to raise: nobody else sees it, and no event loop logs it.
    """

    error: BaseException | None

    @property
    def done(self) -> bool:
        """Whether the work has ended, its clean-up included."""

    def cancel(self) -> None:
        """Ask the work to end, soon. From any thread, and from finalisers."""

    async def join(self) -> None:
        """Wait until the work has ended, even if the waiter is cancelled meanwhile; that is raised then."""


def start(work: Work, ended: Callable[[], object] = lambda: None) -> Task:
    """Start `work()` in the running loop, with a copy of the caller's context variables.

    Args:
        work: Makes what is awaited.
        ended: Called in the loop once it has ended, however that was.
    """
    loop = _asyncio_loop()
    return _TrioTask(work, ended) if loop is None else _AsyncioTask(loop, work, ended)


class _AsyncioTask:
    def __init__(
        self,
        loop: AbstractEventLoop,
        work: Work,
        ended: Callable[[], object],
        context: Context | None = None,
    ) -> None:
        self.error: BaseException | None = None
        self._loop = loop
        self._task = loop.create_task(self._run(work), context=context)
        # Not the end of `_run`: a task that is cancelled before its first step never enters it.
        self._task.add_done_callback(lambda _: ended())

    async def _run(self, work: Work) -> None:
        from asyncio import CancelledError

        try:
            await work()
        except CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001  # the starter raises it
            self.error = error

    @property
    def done(self) -> bool:
        return self._task.done()

    def cancel(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._task.cancel)
        except RuntimeError:
            # The loop is closed, and nothing runs in it any more.
            pass

    async def join(self) -> None:
        from asyncio import CancelledError, wait

        from anyio import CancelScope

        cancelled: CancelledError | None = None
        # anyio's scopes would cancel again and again; asyncio's own cancellation comes once each time.
        with CancelScope(shield=True):
            while not self._task.done():
                try:
                    await wait([self._task])
                except CancelledError as error:
                    cancelled = error
        if cancelled is not None:
            raise cancelled


class Beside(Ending):
    """What begins beside the caller's own work when that has taken a while, and may end it. In asyncio alone.

    Until then it costs nothing but an entry at the alarm:

        alarm, own_task = runtime.alarm()
        beside = Beside(own_task)
        alarm.set(beside, deadline)
        try:
            result = await own_work()
        except BaseException as error:
            ...  # as below, with the error
        finally:
            alarm.waiting.pop(beside, None)
        if beside.task is not None:
            ended = beside.has_ended(None)  # always, so that the cancellation is taken back
            await beside.wait()

    Args:
        task: The caller's.

    Attributes:
        task: What has begun; None as long as nothing has.
    """

    __slots__ = ("_context", "task")

    def __init__(self, task: Any) -> None:
        # No further call: there is one of these for each request.
        self._task = task
        self._cancelling = task.cancelling()
        self.rung = False
        self.task: _AsyncioTask | None = None
        self._context = copy_context()

    async def work(self) -> None:
        """What is to be done."""
        raise NotImplementedError

    def ring(self) -> None:
        # The alarm's context is anybody's.
        self.task = _AsyncioTask(_running_loop(), self.work, _nothing, self._context)

    def end(self) -> None:
        """End the caller's own work, by a cancellation that `has_ended` takes back.

        Nothing is done to work that somebody else is ending already.
        """
        if not self.rung and self._task.cancelling() <= self._cancelling:
            super().ring()

    def has_ended(self, error: BaseException | None) -> bool:
        """Whether `end` brought about how the caller's own work ended, by `error` or without one.

        It did not if the task was cancelled by somebody else too: that cancellation is the caller's to raise.
        """
        from asyncio import CancelledError

        # First of all: the cancellation is to be taken back whatever came of it.
        return self.over() and (error is None or isinstance(error, (CancelledError, Exception)))

    def call_soon(self, call: Callable[[], object]) -> None:
        """Call it in the loop's next turn, as those are called that wait for the end of a task."""
        _running_loop().call_soon(call)

    async def wait(self) -> None:
        """Wait until `task` has ended. If the caller is cancelled meanwhile so is `task`, and it has ended when that is raised.

        Raises:
            BaseException: what the task raised.
        """
        from asyncio import wait

        assert self.task is not None
        try:
            await wait([self.task._task])
        except BaseException:
            await self.abandon()
            raise
        error, self.task.error = self.task.error, None
        try:
            if error is not None:
                raise error
        finally:
            # No circle of the error, its traceback and this frame.
            error = None

    async def abandon(self) -> None:
        """Cancel `task`, and wait until it has ended."""
        assert self.task is not None
        self.task.cancel()
        await self.task.join()


def _nothing() -> None:
    pass


class _TrioTask:
    def __init__(self, work: Work, ended: Callable[[], object]) -> None:
        import trio

        self.error: BaseException | None = None
        self.done = False
        self._work = work
        self._ended = ended
        self._gone = trio.Event()
        self._scope = trio.CancelScope()
        self._token = trio.lowlevel.current_trio_token()
        trio.lowlevel.spawn_system_task(self._run, context=copy_context())

    async def _run(self) -> None:
        import trio

        try:
            with self._scope:
                await self._work()
        except trio.Cancelled:
            # trio itself is ending.
            raise
        except BaseException as error:  # noqa: BLE001  # the starter raises it; here trio would break down
            self.error = error
        finally:
            self.done = True
            self._gone.set()
            self._ended()

    def cancel(self) -> None:
        import trio

        try:
            self._token.run_sync_soon(self._scope.cancel)
        except trio.RunFinishedError:
            pass

    async def join(self) -> None:
        import trio

        with trio.CancelScope(shield=True):
            await self._gone.wait()
