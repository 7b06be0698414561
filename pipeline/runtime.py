"""What a layer may ask of the world besides sending a request: time, waiting, and being waited for.

`run` drives a coroutine over the blocking runtime: its operations block instead of suspending, so the
coroutine finishes in one step. Under asyncio and trio the very same coroutine is awaited.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future, Task

    from .runtime_alarm import Alarm

__all__ = ["AsyncRuntime", "BlockingRuntime", "Ending", "Event", "Runtime", "loop_ended", "run"]

T = TypeVar("T")

# How asyncio, anyio, trio and sniffio say that no event loop runs.
_NO_LOOP = (
    "no running event loop",
    "Not currently running on any asynchronous event loop",
    "must be called from async context",
    "unknown async library",
)
# Where what suspends is not the culprit itself, but was called by it.
_LIBRARIES = frozenset({"anyio", "asyncio", "sniffio", "trio"})


class Event(Protocol):
    """A flag that is raised once and can be waited for."""

    def set(self) -> None:
        """Raise the flag and wake who waits. From any thread under the blocking runtime; else from the same loop."""

    def is_set(self) -> bool: ...

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait at most `timeout` seconds, None for ever; whether the flag is up."""


class Runtime(Protocol):
    """Time and waiting, in one of the two colours."""

    @property
    def blocking(self) -> bool:
        """True where operations block the thread; False where they suspend the task."""

    @property
    def key(self) -> Hashable:
        """Who may share events: equal for callers that do, different for another event loop."""

    def clock(self) -> float:
        """Seconds on a monotonic clock, the one that deadlines are counted on."""

    async def sleep(self, seconds: float) -> None: ...

    def event(self) -> Event: ...

    async def bounded(self, work: Awaitable[T], deadline: float) -> T:
        """Await `work` until `deadline` on `clock`.

        Blocking work cannot be interrupted: there only the operations inside keep the deadline.

        Raises:
            TimeoutError: the deadline passed first; `work` was cancelled and has ended.
        """

    async def offload(self, work: Callable[[], T], deadline: float | None = None) -> T:
        """Do what blocks without holding up other tasks: in a thread, if there is a loop.

        A caller who is cancelled leaves at once. The thread goes on to its end, and what it returns or raises
        is dropped: what must not get lost `work` has to keep by itself.

        Args:
            deadline: On `clock`; then it is left likewise, a `Client`'s too, for which it is done in another thread.

        Raises:
            TimeoutError: the deadline passed first.
        """


class _BlockingEvent:
    """Made of a bare lock: a finaliser may set it in the midst of this thread's own wait.

    `threading.Event` holds a lock in there, and the two would wait for each other for ever.
    """

    __slots__ = ("_gate", "_up")

    def __init__(self) -> None:
        self._up = False
        # Open once the flag is up: who passes leaves it open.
        self._gate = threading.Lock()
        self._gate.acquire()

    def set(self) -> None:
        self._up = True
        self._open()

    def is_set(self) -> bool:
        return self._up

    async def wait(self, timeout: float | None = None) -> bool:
        limit = -1 if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX)
        if not self._up and self._gate.acquire(timeout=limit):
            self._open()
        return self._up

    def _open(self) -> None:
        try:
            self._gate.release()
        except RuntimeError:
            # Somebody else opened it.
            pass


class BlockingRuntime:
    """For `Client`: everything blocks the calling thread. Safe to share between threads."""

    blocking = True
    key: Hashable = "blocking"
    clock = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def event(self) -> Event:
        return _BlockingEvent()

    async def bounded(self, work: Awaitable[T], deadline: float) -> T:  # noqa: ARG002
        return await work

    async def offload(self, work: Callable[[], T], deadline: float | None = None) -> T:
        if deadline is None:
            return work()
        from .runtime_threads import done_in_thread

        return done_in_thread(work, deadline - time.monotonic())


class _AsyncioEvent:
    """Made of bare futures, for one loop: an event of anyio and a scope around it cost three times as much."""

    __slots__ = ("_alarm", "_up", "_waiting")

    def __init__(self, alarm: Alarm) -> None:
        self._alarm = alarm
        self._up = False
        self._waiting: list[_Waiting] = []

    def set(self) -> None:
        self._up = True
        for waiting in self._waiting:
            waiting.ring()

    def is_set(self) -> bool:
        return self._up

    async def wait(self, timeout: float | None = None) -> bool:
        if self._up:
            return True
        alarm = self._alarm
        waiting = _Waiting(alarm.loop.create_future())
        self._waiting.append(waiting)
        if timeout is not None:
            alarm.set(waiting, alarm.clock() + max(0.0, timeout))
        try:
            await waiting.future
        finally:
            self._waiting.remove(waiting)
            alarm.waiting.pop(waiting, None)
        return self._up


class _Waiting:
    __slots__ = ("future",)

    def __init__(self, future: Future[None]) -> None:
        self.future = future

    def ring(self) -> None:
        # It is done already if its task was cancelled, and has not run since.
        if not self.future.done():
            self.future.set_result(None)


class Ending:
    """Cancels a task when its time is up.

        ending = runtime.ending(deadline)
        try:
            result = await work()
        except BaseException as error:
            ending.judge(error)
            raise
        finally:
            ending.done()

    Attributes:
        rung: Whether it has, and the cancellation still counts.
    """

    # Whoever makes one sets them: a call of `__init__` would cost more than all of it, and there is one for each request.
    __slots__ = ("_alarm", "_cancelling", "_task", "rung")

    _alarm: Alarm
    _task: Task[Any]
    _cancelling: int
    rung: bool

    def ring(self) -> None:
        self.rung = True
        self._task.cancel()

    def over(self) -> bool:
        """Take the cancellation back, if there was one: whether nobody else has cancelled the task meanwhile."""
        rung, self.rung = self.rung, False
        return rung and self._task.uncancel() <= self._cancelling

    def judge(self, error: BaseException) -> None:
        """Look at what the work has raised.

        Raises:
            TimeoutError: it is the cancellation for which the time was up.
        """
        if isinstance(error, sys.modules["asyncio"].CancelledError) and self.over():
            raise TimeoutError from error

    def done(self) -> None:
        """Cancel nothing any more."""
        self._alarm.waiting.pop(self, None)
        if self.rung:
            self.over()


class _AnyioEvent:
    __slots__ = ("_event", "is_set", "set")

    def __init__(self) -> None:
        import anyio

        self._event = anyio.Event()
        self.set = self._event.set
        self.is_set = self._event.is_set

    async def wait(self, timeout: float | None = None) -> bool:
        import anyio

        if timeout is None:
            await self._event.wait()
        else:
            with anyio.move_on_after(timeout):
                await self._event.wait()
        return self._event.is_set()


class AsyncRuntime:
    """For `AsyncClient`: asyncio, trio, and what else anyio runs on."""

    blocking = False
    # asyncio and trio each have their own clock; a deadline must mean the same to all, so it is this one.
    clock = staticmethod(time.monotonic)

    _alarm: Alarm | None = None

    @property
    def key(self) -> Hashable:
        alarm = self._alarm
        if alarm is not None and alarm.task() is not None:
            return alarm.loop
        loop = _asyncio_loop()
        if loop is None:
            token: Hashable = sys.modules["trio"].lowlevel.current_trio_token()
            return token
        # The next one who asks need not look for it.
        return self._alarm_in(loop).loop

    async def sleep(self, seconds: float) -> None:
        import anyio

        await anyio.sleep(seconds)

    def event(self) -> Event:
        try:
            loop = _asyncio_loop()
        except RuntimeError:
            # It is made beforehand, and finds its loop when it is waited for.
            loop = None
        return _AnyioEvent() if loop is None else _AsyncioEvent(self._alarm_in(loop))

    async def bounded(self, work: Awaitable[T], deadline: float) -> T:
        # All in one coroutine: another would be resumed whenever `work` is.
        ending = self.ending(deadline)
        if ending is None:
            # Half the price of anyio's scope.
            trio = sys.modules["trio"]
            left = deadline - self.clock()
            with trio.CancelScope(deadline=trio.current_time() + left):
                return await work
            raise TimeoutError
        # As `asyncio.timeout` does it, at a fifth of its price.
        try:
            return await work
        except BaseException as error:
            ending.judge(error)
            raise
        finally:
            ending.done()

    def ending(self, deadline: float) -> Ending | None:
        """What ends the calling task of asyncio's at `deadline`, unless it is done before; None under trio."""
        alarm = self._alarm
        task = None if alarm is None else alarm.task()
        if alarm is None or task is None:
            if _in_trio():
                return None
            alarm = self._alarm_in(_running_loop())
            task = alarm.task()
            assert task is not None
        ending = Ending()
        ending._alarm = alarm
        ending._task = task
        ending._cancelling = task.cancelling()
        ending.rung = False
        # What `set` does, without a call more.
        alarm.waiting[ending] = deadline
        if deadline < alarm.looks_before:
            alarm.arm(deadline)
        return ending

    def alarm(self) -> tuple[Alarm, Task[Any]] | None:
        """The alarm of the asyncio loop that runs the caller, and his task; None under trio."""
        alarm = self._alarm
        task = None if alarm is None else alarm.task()
        if alarm is not None and task is not None:
            return alarm, task
        loop = _asyncio_loop()
        if loop is None:
            return None
        alarm = self._alarm_in(loop)
        task = alarm.task()
        assert task is not None
        return alarm, task

    def _alarm_in(self, loop: AbstractEventLoop) -> Alarm:
        """An alarm of that loop: the last one, as hardly any runtime sees two loops."""
        alarm = self._alarm
        if alarm is None or alarm.loop is not loop:
            from .runtime_alarm import Alarm

            alarm = self._alarm = Alarm(loop, self.clock)
        return alarm

    async def offload(self, work: Callable[[], T], deadline: float | None = None) -> T:
        from anyio.to_thread import run_sync

        working = run_sync(work, abandon_on_cancel=True)
        return await (working if deadline is None else self.bounded(working, deadline))


def loop_ended(key: Hashable) -> bool:
    """Whether the event loop of this `Runtime.key` is closed for good."""
    closed = getattr(key, "is_closed", None)
    if closed is not None:
        return bool(closed())
    trio = sys.modules["trio"]
    try:
        key.run_sync_soon(int)  # type: ignore[attr-defined]
    except trio.RunFinishedError:
        return True
    return False


def _asyncio_loop() -> AbstractEventLoop | None:
    """The asyncio loop that runs the caller; None under trio."""
    return None if _in_trio() else _running_loop()


def _in_trio() -> bool:
    # What has not been imported runs nothing; and an import statement would cost more than all the rest.
    trio = sys.modules.get("trio")
    try:
        return trio is not None and trio.lowlevel.in_trio_task()
    except AttributeError:
        # Another thread is in the midst of importing it.
        return False


def _running_loop() -> AbstractEventLoop:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        raise RuntimeError("no running event loop")
    loop: AbstractEventLoop = asyncio.get_running_loop()
    return loop


def run(work: Awaitable[T]) -> T:
    """Run a coroutine that never suspends and return its result.

    Raises:
        RuntimeError: it suspended, or asked for the running event loop; it belongs in an `AsyncClient`.
            The message names the innermost function that did so.
    """
    coro: Coroutine[Any, Any, T] = work  # type: ignore[assignment]  # what else is awaited fails at once
    try:
        awaited = coro.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    except RuntimeError as error:
        if str(error).startswith(_NO_LOOP):
            culprit = _raiser(error.__traceback__)
            raise _needs_a_loop(f"{culprit} needs an event loop ({error})") from error
        raise
    culprit = _suspender(coro)
    failure = _needs_a_loop(
        f"{culprit} suspended (it awaits {awaited!r}), for which it needs an event loop"
    )
    _close(coro, failure)
    raise failure


def _needs_a_loop(what: str) -> RuntimeError:
    return RuntimeError(
        f"{what}: it belongs in an AsyncClient; in a Client, wait through call_next.runtime"
    )


def _close(coro: Coroutine[Any, Any, Any], failure: RuntimeError) -> None:
    """Let `coro` clean up. What goes wrong there is told on `failure`."""
    # Clean-up that suspends once more is pushed on, so that what lies further out cleans up too.
    for _ in range(10):
        try:
            coro.close()
        except Exception as error:  # noqa: BLE001  # the first failure is the one that matters
            failure.add_note(f"Cleaning up failed too: {error!r}")
        else:
            break


def _suspender(coro: Coroutine[Any, Any, Any]) -> str:
    """The name of the innermost coroutine that awaits, event loop libraries' own left out."""
    inner: Any = coro
    culprit: Any = coro
    while (inner := getattr(inner, "cr_await", None)) is not None and hasattr(inner, "cr_frame"):
        if inner.cr_frame is not None and not _is_library(inner.cr_frame.f_globals):
            culprit = inner
    return getattr(culprit, "__qualname__", repr(culprit))


def _raiser(traceback: TracebackType | None) -> str:
    """The same for an error's traceback."""
    culprit = "something"
    while traceback is not None:
        if not _is_library(traceback.tb_frame.f_globals):
            culprit = traceback.tb_frame.f_code.co_qualname
        traceback = traceback.tb_next
    return culprit


def _is_library(module: dict[str, Any]) -> bool:
    return str(module.get("__name__")).partition(".")[0] in _LIBRARIES
