"""The deadline of the request that is being served: set, inherited, lifted, over."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest

from scallion.pipeline.incoming import (
    IncomingDeadline,
    current_deadline,
    live_deadline,
    unbounded,
    within,
)


def clock() -> float:
    return 1000.0


def test_there_is_none_by_default() -> None:
    assert current_deadline.get() is None
    assert live_deadline() is None


def test_work_is_bounded_while_it_lasts() -> None:
    """
    Inside there is a deadline, afterwards none.
    """
    with within(5.0, clock) as deadline:
        assert 1005.0 == deadline == live_deadline()

    assert live_deadline() is None


def test_the_earlier_one_counts() -> None:
    """
    What is set within may be shorter, not longer.
    """
    with within(5.0, clock):
        with within(60.0, clock):
            assert 1005.0 == live_deadline()
        with within(2.0, clock):
            assert 1002.0 == live_deadline()
        assert 1005.0 == live_deadline()


def test_it_can_be_lifted() -> None:
    """
    For what must be done whoever waits.
    """
    with within(5.0, clock):
        with unbounded():
            assert live_deadline() is None
        assert 1005.0 == live_deadline()


def test_plain_numbers_count() -> None:
    token = current_deadline.set(1003.0)
    try:
        assert 1003.0 == live_deadline()
    finally:
        current_deadline.reset(token)


def test_tasks_inherit_it_until_it_is_over() -> None:
    """
    A task that goes on after the answer has been given is not bound any more.
    """
    seen: list[float | None] = []

    async def background(answered: asyncio.Event) -> None:
        seen.append(live_deadline())
        await answered.wait()
        seen.append(live_deadline())

    async def main() -> None:
        answered = asyncio.Event()
        with within(5.0, clock):
            task = asyncio.create_task(background(answered))
            await asyncio.sleep(0)
        answered.set()
        await task

    asyncio.run(main())

    assert [1005.0, None] == seen


def test_threads_inherit_it_with_their_context() -> None:
    """
    `copy_context` is how executors hand it on; a bare thread has a context of its own.
    """
    seen: list[float | None] = []

    def work() -> None:
        seen.append(live_deadline())

    with within(5.0, clock):
        context = contextvars.copy_context()
        for run in (lambda: context.run(work), work):
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()

    assert [1005.0, None] == seen


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_seconds_are_validated(seconds: Any) -> None:
    with pytest.raises(ValueError, match="0 seconds or more"), within(seconds):
        pass


def test_a_deadline_is_a_number() -> None:
    """
    It can be counted with, wherever the clock's can.
    """
    deadline = IncomingDeadline(12.5)

    assert (12.5, 2.5) == (deadline, deadline - 10)
    assert not deadline.is_over
