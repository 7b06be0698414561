"""Tasks beside their starter: how they end, what they raise, and who may end them, on asyncio and trio."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import anyio
import pytest

from scallion.pipeline.runtime_tasks import Task, start
from support.colours import Drive


@pytest.fixture(params=["asyncio", "trio"])
def go(request: pytest.FixtureRequest) -> Drive:
    """Runs a coroutine function in one of the loops."""
    return Drive(request.param)


def test_work_runs_beside_its_starter(go: Drive) -> None:
    """
    The starter goes on; `join` waits for the end, and `ended` is called at it.
    """
    order: list[str] = []

    async def scenario() -> None:
        async def work() -> None:
            order.append("work")

        ended = anyio.Event()
        task = start(work, ended.set)
        order.append("starter")
        assert not task.done
        await task.join()
        await ended.wait()
        assert task.done
        assert task.error is None
        await task.join()

    go(scenario)

    assert ["starter", "work"] == order


@pytest.mark.parametrize("error", [KeyError("mine"), KeyboardInterrupt(), SystemExit(3)])
def test_errors_are_the_starters(go: Drive, error: BaseException) -> None:
    """
    Whatever is raised is kept; no loop logs it or breaks down.
    """

    async def scenario() -> BaseException | None:
        async def work() -> None:
            raise error

        task = start(work)
        await task.join()
        return task.error

    assert error is go(scenario)


def test_cancelled_work_cleans_up(go: Drive) -> None:
    """
    `join` returns when the clean-up is over too, and being cancelled is no error.
    """
    cleaned: list[str] = []

    async def scenario() -> None:
        began = anyio.Event()

        async def work() -> None:
            try:
                began.set()
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.lowlevel.checkpoint()
                cleaned.append("work")

        task = start(work)
        await began.wait()
        task.cancel()
        task.cancel()
        await task.join()
        assert ["work"] == cleaned
        assert task.error is None

    go(scenario)


def test_cancelled_before_it_began(go: Drive) -> None:
    """
    It ends all the same, and that is told.
    """

    async def scenario() -> None:
        ended = anyio.Event()
        task = start(anyio.sleep_forever, ended.set)
        task.cancel()
        await task.join()
        await ended.wait()
        assert task.done

    go(scenario)


def test_errors_of_the_clean_up(go: Drive) -> None:
    """
    What goes wrong while it is cancelled is kept as well.
    """

    async def scenario() -> str:
        began = anyio.Event()

        async def work() -> None:
            try:
                began.set()
                await anyio.sleep_forever()
            finally:
                raise KeyError("clean-up")

        task = start(work)
        await began.wait()
        task.cancel()
        await task.join()
        return repr(task.error)

    assert "KeyError('clean-up')" == go(scenario)


def test_another_thread_may_cancel(go: Drive) -> None:
    """
    As a finaliser does.
    """

    async def scenario() -> bool:
        task = start(anyio.sleep_forever)
        await anyio.to_thread.run_sync(task.cancel)
        await task.join()
        return task.done

    assert go(scenario)


def test_cancelled_waiters_wait_on(go: Drive) -> None:
    """
    A cancelled scope does not keep a starter from waiting for the end.
    """
    ended: list[str] = []

    async def scenario() -> None:
        async def work() -> None:
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            ended.append("work")

        with anyio.CancelScope() as scope:
            task = start(work)
            scope.cancel()
            await task.join()
            assert ["work"] == ended

    go(scenario)


def test_waiters_may_be_cancelled_again_and_again() -> None:
    """
    asyncio's own cancellation too is raised only when the work has ended.
    """
    ended: list[str] = []

    async def scenario() -> None:
        go_on = asyncio.Event()

        async def work() -> None:
            await go_on.wait()
            ended.append("work")

        waiter = asyncio.create_task(start(work).join())
        for _ in range(3):
            await asyncio.sleep(0)
            waiter.cancel()
        await asyncio.sleep(0)
        assert not waiter.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert ["work"] == ended

    asyncio.run(scenario())


def test_context_variables_are_copied(go: Drive) -> None:
    """
    The work sees those of its starter, and what it sets in them stays with it.
    """
    variable = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    async def scenario() -> None:
        async def work() -> None:
            seen.append(variable.get())
            variable.set("work's")

        variable.set("starter's")
        await start(work).join()
        seen.append(variable.get())

    go(scenario)

    assert ["starter's", "starter's"] == seen


def test_the_loops_end_ends_the_work(go: Drive) -> None:
    """
    A task that nobody ended is cancelled with its loop; cancelling it afterwards does nothing, from any thread.
    """
    cleaned: list[str] = []

    async def scenario() -> Task:
        began = anyio.Event()

        async def work() -> None:
            try:
                began.set()
                await anyio.sleep_forever()
            finally:
                cleaned.append("work")

        task = start(work)
        await began.wait()
        return task

    task = go(scenario)
    assert ["work"] == cleaned
    assert task.done
    task.cancel()
    thread = threading.Thread(target=task.cancel)
    thread.start()
    thread.join()


def test_there_are_none_without_a_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        start(lambda: asyncio.sleep(0))
