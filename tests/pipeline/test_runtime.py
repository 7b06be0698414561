"""Runtimes: sleeping, events and deadlines in each colour, and `run`, which refuses to suspend."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Generator
from types import ModuleType
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio

from scallion.pipeline.runtime import AsyncRuntime, BlockingRuntime, Runtime, run
from support.colours import Drive

ADVICE = "it belongs in an AsyncClient; in a Client, wait through call_next.runtime"


class Suspend:
    def __await__(self) -> Generator[str, None, None]:
        yield "a loop"


# run


def test_run_returns_what_the_coroutine_does() -> None:
    """
    A coroutine that never suspends ends in one step.
    """

    async def inner() -> int:
        return 1

    async def outer() -> int:
        return await inner() + 1

    assert 2 == run(outer())


def test_run_raises_what_the_coroutine_does() -> None:
    """
    Errors are the coroutine's own, the very object.
    """
    error = RuntimeError("mine")

    async def fails() -> None:
        raise error

    with pytest.raises(RuntimeError) as info:
        run(fails())

    assert error is info.value


def test_run_names_who_suspends() -> None:
    """
    The innermost coroutine is named, with what it awaits and what to do.
    """

    async def culprit() -> None:
        await Suspend()

    async def innocent() -> None:
        await culprit()

    with pytest.raises(RuntimeError) as info:
        run(innocent())

    assert (
        f"{culprit.__qualname__} suspended (it awaits 'a loop'), for which it needs an event loop: {ADVICE}"
        == str(info.value)
    )


@pytest.mark.parametrize(
    "wait",
    [
        lambda: asyncio.sleep(0),
        lambda: asyncio.sleep(1),
        lambda: anyio.sleep(1),
        lambda: trio.sleep(1),
        lambda: anyio.lowlevel.checkpoint(),
        lambda: anyio.Event().wait(),
    ],
)
def test_run_names_who_called_an_event_loop(wait: Any) -> None:
    """
    Not the library's `sleep` is named but who called it, whether it suspended or found no loop.
    """

    async def culprit() -> None:
        await wait()

    with pytest.raises(RuntimeError) as info:
        run(culprit())

    assert str(info.value).startswith(culprit.__qualname__)
    assert str(info.value).endswith(ADVICE)


def test_run_works_inside_an_event_loop() -> None:
    """
    In Jupyter a loop runs around the blocking client, and nobody looks at it.
    """

    async def cell() -> int:
        async def inner() -> int:
            await BlockingRuntime().sleep(0)
            return 1

        return run(inner())

    assert 1 == asyncio.run(cell())
    assert 1 == trio.run(cell)


def test_run_names_who_suspends_inside_an_event_loop() -> None:
    """
    There asyncio's sleep finds a loop, and would wait for ever.
    """

    async def cell() -> str:
        async def culprit() -> None:
            await asyncio.sleep(1)

        with pytest.raises(RuntimeError) as info:
            run(culprit())
        return str(info.value)

    assert ".culprit suspended (it awaits <Future" in asyncio.run(cell())


def test_what_suspended_is_cleaned_up() -> None:
    """
    Every `finally` runs, also behind one that suspends again or fails; that is told in notes.
    """
    cleaned: list[str] = []

    async def suspends_again() -> None:
        try:
            await Suspend()
        finally:
            cleaned.append("first")
            await Suspend()

    async def fails() -> None:
        try:
            await suspends_again()
        finally:
            cleaned.append("second")
            raise KeyError("clean-up")

    async def outer() -> None:
        try:
            await fails()
        finally:
            cleaned.append("third")

    with pytest.raises(RuntimeError, match="suspends_again suspended") as info:
        run(outer())

    assert ["first", "second", "third"] == cleaned
    assert ["Cleaning up failed too: KeyError('clean-up')"] == info.value.__notes__


# What all runtimes do


def test_blocking_tells_the_colour(drive: Drive, runtime: Runtime) -> None:
    """
    A layer may ask whether it blocks.
    """
    assert drive.blocking is runtime.blocking


def test_the_clock_is_monotonic(runtime: Runtime) -> None:
    """
    Deadlines are seconds of `time.monotonic` in every colour.
    """
    before = time.monotonic()
    assert before <= runtime.clock() <= time.monotonic()


def test_an_event_is_raised_once(drive: Drive, runtime: Runtime) -> None:
    """
    Waiting for a raised flag returns at once; for a lowered one, when the timeout is over.
    """

    async def scenario() -> list[Any]:
        event = runtime.event()
        seen: list[Any] = [event.is_set(), await event.wait(0)]
        event.set()
        event.set()
        return [
            *seen,
            event.is_set(),
            await event.wait(),
            await event.wait(0),
            await event.wait(60),
        ]

    assert [False, False, True, True, True, True] == drive(scenario)


def test_bounded_work_that_is_in_time(drive: Drive, runtime: Runtime) -> None:
    """
    Its result is the work's, its errors too.
    """

    async def answer() -> int:
        return 42

    async def fails() -> int:
        raise KeyError("mine")

    async def scenario() -> int:
        with pytest.raises(KeyError, match="mine"):
            await runtime.bounded(fails(), runtime.clock() + 60)
        return await runtime.bounded(answer(), runtime.clock() + 60)

    assert 42 == drive(scenario)


def test_keys_tell_who_may_share(drive: Drive, runtime: Runtime) -> None:
    """
    Runtimes within one loop share events; blocking ones always.
    """

    async def scenario() -> bool:
        return runtime.key == drive.runtime().key

    assert drive(scenario)
    hash(drive(lambda: _key(runtime)))


async def _key(runtime: Runtime) -> Any:
    return runtime.key


# Asynchronous ones alone


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_events_wake_tasks(backend: str) -> None:
    """
    All who wait go on, in the same loop.
    """
    runtime = AsyncRuntime()
    woken: list[bool] = []

    async def scenario() -> None:
        event = runtime.event()

        async def waiter() -> None:
            woken.append(await event.wait(60))

        async with anyio.create_task_group() as group:
            group.start_soon(waiter)
            group.start_soon(waiter)
            await anyio.wait_all_tasks_blocked()
            event.set()

    anyio.run(scenario, backend=backend)

    assert [True, True] == woken


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_sleeping_lets_others_run(backend: str) -> None:
    """
    `sleep` suspends the task.
    """
    order: list[str] = []

    async def scenario() -> None:
        async def sleeper() -> None:
            await AsyncRuntime().sleep(0)
            order.append("sleeper")

        async with anyio.create_task_group() as group:
            group.start_soon(sleeper)
            order.append("starter")

    anyio.run(scenario, backend=backend)

    assert ["starter", "sleeper"] == order


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_bounded_work_is_cancelled_at_its_deadline(backend: str) -> None:
    """
    The work has ended, its clean-up done, when TimeoutError is raised.
    """
    runtime = AsyncRuntime()
    ended: list[str] = []

    async def endless() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("work")

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await runtime.bounded(endless(), runtime.clock() - 1)
        assert ["work"] == ended

    anyio.run(scenario, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_from_outside_is_no_timeout(backend: str) -> None:
    """
    Only the deadline becomes TimeoutError.
    """
    runtime = AsyncRuntime()

    async def scenario() -> bool:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await runtime.bounded(anyio.sleep_forever(), runtime.clock() + 60)
        return scope.cancelled_caught

    assert anyio.run(scenario, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_bounded_work_within_bounded_work(backend: str) -> None:
    """
    The inner deadline ends the inner work alone, the outer one everything.
    """
    runtime = AsyncRuntime()

    async def inner() -> str:
        with pytest.raises(TimeoutError):
            await runtime.bounded(anyio.sleep_forever(), runtime.clock())
        return "went on"

    async def hopeless() -> None:
        await runtime.bounded(anyio.sleep_forever(), runtime.clock() + 60)

    async def scenario() -> str:
        with pytest.raises(TimeoutError):
            await runtime.bounded(hopeless(), runtime.clock())
        return await runtime.bounded(inner(), runtime.clock() + 60)

    assert "went on" == anyio.run(scenario, backend=backend)


@pytest.mark.parametrize("swallow", [True, False])
def test_a_deadline_leaves_no_cancellation_behind(swallow: bool) -> None:
    """
    On asyncio a task counts who asked for its end; whoever encloses it must not take a deadline's for his own.
    """
    runtime = AsyncRuntime()

    async def stubborn() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            if not swallow:
                raise
        return "ended in its own way"

    async def scenario() -> int:
        task = asyncio.current_task()
        assert task is not None
        if swallow:
            assert "ended in its own way" == await runtime.bounded(stubborn(), runtime.clock())
        else:
            with pytest.raises(TimeoutError):
                await runtime.bounded(stubborn(), runtime.clock())
        return task.cancelling()

    assert 0 == asyncio.run(scenario())


def test_a_task_that_is_cancelled_as_its_deadline_passes_is_cancelled() -> None:
    """
    Who cancelled it meant it, and finds no TimeoutError in its stead.
    """
    runtime = AsyncRuntime()
    cleaned = asyncio.Event()

    async def slow_to_end() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cleaned.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def scenario() -> bool:
        task = asyncio.create_task(
            runtime.bounded(slow_to_end(), runtime.clock())  # type: ignore[arg-type]
        )
        await cleaned.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert asyncio.run(scenario())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_who_is_cancelled_while_waiting_for_an_event(backend: str) -> None:
    """
    The others are woken all the same, and the event still says how it stands.
    """
    runtime = AsyncRuntime()
    woken: list[bool] = []

    async def scenario() -> bool:
        event = runtime.event()

        async def waiter() -> None:
            woken.append(await event.wait())

        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                group.start_soon(waiter)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
                await event.wait(60)
            assert scope.cancelled_caught
            event.set()
        return event.is_set()

    assert anyio.run(scenario, backend=backend)
    assert [True] == woken


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_event_made_before_the_loop_runs(backend: str) -> None:
    """
    It belongs to the loop that it is waited for in.
    """
    event = AsyncRuntime().event()

    async def scenario() -> list[bool]:
        seen = [await event.wait(0)]
        event.set()
        return [*seen, await event.wait()]

    assert [False, True] == anyio.run(scenario, backend=backend)


def test_one_runtime_in_two_loops_one_after_the_other() -> None:
    """
    Deadlines are kept by the loop that runs.
    """
    runtime = AsyncRuntime()

    async def scenario() -> bool:
        with pytest.raises(TimeoutError):
            await runtime.bounded(anyio.sleep_forever(), runtime.clock())
        return await runtime.event().wait(0)

    assert [False, False] == [asyncio.run(scenario()) for _ in range(2)]


def test_loops_have_different_keys() -> None:
    """
    What waits in one loop must not be woken from another.
    """
    keys = [
        anyio.run(_key, AsyncRuntime(), backend=name) for name in ("asyncio", "asyncio", "trio")
    ]

    assert 3 == len(set(keys))


# The blocking one alone


def test_a_deadline_is_on_the_runtimes_own_clock() -> None:
    """
    Whoever gives it another clock counts deadlines on that one.
    """

    class Late(AsyncRuntime):
        clock = staticmethod(lambda: 5.0)

    async def done() -> str:
        await anyio.sleep(0)
        return "done"

    async def scenario() -> str:
        return await Late().bounded(done(), 6.0)

    assert "done" == anyio.run(scenario, backend="asyncio")
    assert "done" == anyio.run(scenario, backend="trio")


def test_an_alarm_is_there_in_asyncio() -> None:
    """
    With the task that asks for it; under trio there is none.
    """
    runtime = AsyncRuntime()

    async def scenario() -> bool:
        here = runtime.alarm()
        if here is not None:
            alarm, task = here
            assert (asyncio.get_running_loop(), asyncio.current_task()) == (alarm.loop, task)
            assert here == runtime.alarm()
        return here is not None

    # A loop of its own each time.
    assert [True, True, False] == [
        anyio.run(scenario, backend=backend) for backend in ("asyncio", "asyncio", "trio")
    ]


def test_events_wake_threads() -> None:
    """
    A blocking event may be raised from any thread.
    """
    event = BlockingRuntime().event()
    woken: list[bool] = []
    threads = [threading.Thread(target=lambda: woken.append(run(_wait(event)))) for _ in range(4)]
    for thread in threads:
        thread.start()

    event.set()
    for thread in threads:
        thread.join()

    assert [True] * 4 == woken


async def _wait(event: Any) -> bool:
    woken: bool = await event.wait(30)
    return woken


def test_blocking_sleep_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It is `time.sleep`.
    """
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)

    run(BlockingRuntime().sleep(1.5))

    assert [1.5] == slept


def test_blocking_work_is_not_interrupted() -> None:
    """
    A deadline that passed does not stop it: only the operations inside keep it.
    """

    async def answer() -> int:
        return 42

    runtime = BlockingRuntime()

    assert 42 == run(runtime.bounded(answer(), runtime.clock() - 1))


def test_importing_costs_no_event_loop() -> None:
    """
    An asynchronous runtime asks for anyio when it is used, not when it is made.
    """
    import subprocess
    import sys

    code = "import sys, scallion.pipeline.runtime as r; r.AsyncRuntime(); print('anyio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "False" == done.stdout.strip()


# What only blocks


def test_offloaded_work_returns_and_raises(drive: Drive, runtime: Runtime) -> None:
    """
    A plain function's result, or its error, in every colour.
    """

    def fails() -> None:
        raise KeyError("mine")

    async def scenario() -> int:
        with pytest.raises(KeyError, match="mine"):
            await runtime.offload(fails)
        return await runtime.offload(lambda: 42)

    assert 42 == drive(scenario)


def test_offloaded_work_does_not_block_the_loop(drive: Drive, runtime: Runtime) -> None:
    """
    Under an event loop it runs in another thread, under a `Client` in the caller's.
    """

    async def scenario() -> bool:
        return await runtime.offload(threading.get_ident) == threading.get_ident()

    assert drive.blocking is drive(scenario)


def test_offloaded_work_is_left_at_the_deadline(drive: Drive, runtime: Runtime) -> None:
    """
    It goes on to its end, in its thread, and nobody hears what it raises.
    """
    let, ended = threading.Event(), threading.Event()

    def work() -> None:
        try:
            assert let.wait(30)
            raise KeyError("late")
        finally:
            ended.set()

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await runtime.offload(work, runtime.clock() + 0.05)
        assert not ended.is_set()
        let.set()
        assert ended.wait(30)

    drive(scenario)


def test_offloaded_work_that_is_done_in_time_counts(drive: Drive, runtime: Runtime) -> None:
    """
    Its result, and its error.
    """

    def fails() -> None:
        raise KeyError("mine")

    async def scenario() -> int:
        with pytest.raises(KeyError, match="mine"):
            await runtime.offload(fails, runtime.clock() + 30)
        return await runtime.offload(lambda: 42, runtime.clock() + 30)

    assert 42 == drive(scenario)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_caller_leaves_offloaded_work(colour: Any) -> None:
    let = threading.Event()

    async def scenario() -> bool:
        with anyio.move_on_after(0.05) as scope:
            await AsyncRuntime().offload(lambda: let.wait(30))
        left = not let.is_set()
        let.set()
        return scope.cancelled_caught and left

    assert Drive(colour)(scenario)


def test_an_event_may_be_raised_while_its_thread_waits() -> None:
    """
    By a finaliser, say, that runs in the midst of the wait.
    """
    event = BlockingRuntime().event()
    timer = threading.Timer(0.0, event.set)
    timer.start()

    assert run(_wait(event))
    timer.join()
    assert event.is_set()


def test_trio_that_another_thread_is_importing_runs_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    It is among the modules before it has its own.
    """
    monkeypatch.setitem(sys.modules, "trio", ModuleType("trio"))

    async def scenario() -> bool:
        return AsyncRuntime().key is asyncio.get_running_loop()

    assert asyncio.run(scenario())


def test_a_deadline_ends_the_task_of_its_own_loop() -> None:
    """
    Where two threads have loops and share a runtime, each at once with a task that waits.
    """
    runtime = AsyncRuntime()
    both_wait = threading.Barrier(2, timeout=20)

    async def scenario() -> str:
        async def waiting() -> None:
            both_wait.wait()
            await asyncio.get_running_loop().create_future()

        # The alarm of this loop is known, then that of the other thread's.
        await runtime.bounded(asyncio.sleep(0), runtime.clock() + 10.0)
        try:
            await runtime.bounded(waiting(), runtime.clock() + 0.2)
        except TimeoutError:
            return "ended"
        return "not ended"

    results: list[str] = []
    threads = [
        threading.Thread(target=lambda: results.append(asyncio.run(scenario()))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert ["ended", "ended"] == results
