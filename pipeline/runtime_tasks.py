"""Work that runs beside its starter and may outlive the call that started it, on asyncio and trio.

There is nothing of the kind for blocking clients. Whoever starts a task keeps it, and ends it by `cancel` and `join`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from .runtime import _asyncio_loop

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = ["Task", "start"]

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
    def __init__(self, loop: AbstractEventLoop, work: Work, ended: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self._loop = loop
        self._task = loop.create_task(self._run(work))
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


class _TrioTask:
    def __init__(self, work: Work, ended: Callable[[], object]) -> None:
        from contextvars import copy_context

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
