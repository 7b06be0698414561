"""RateLimit before a storage that keeps it waiting: who asks may leave, and nothing that comes late does harm."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest

pytest.importorskip("limits", reason="limits is missing: install it (pip install limits)")

from scallion.middlewares.rate_limit import RateLimit
from scallion.middlewares.rate_limit_counts import MOST_LEFT, Question
from scallion.middlewares.rate_limit_memory import memory_on
from scallion.middlewares.timeouts import Deadlines
from scallion.pipeline.errors import TotalTimeout
from scallion.pipeline.onion import compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from support.colours import Drive
from support.worlds import World

URL = "http://example.org/"


class Stuck(type(memory_on(time.monotonic))):  # type: ignore[misc]
    """A storage that says nothing until it is let go.

    Attributes:
        let: Lets it go.
        asked: How many questions have begun.
        fails: What it raises then.
    """

    def __init__(self) -> None:
        super().__init__(time.monotonic)
        self.let = threading.Event()
        self.asked = 0
        self.fails: Exception | None = None

    def acquire_entry(self, *args: Any, **kwargs: Any) -> bool:
        self.asked += 1
        assert self.let.wait(30)
        if self.fails is not None:
            raise self.fails
        taken: bool = super().acquire_entry(*args, **kwargs)
        return taken


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    storage = Stuck()
    yield storage
    storage.let.set()


def always() -> Any:
    return iter(lambda: Response(200), None)


def get() -> Request:
    return Request("GET", URL)


def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")


def test_the_deadline_ends_the_wait_for_an_answer(drive: Drive, stuck: Stuck) -> None:
    """
    The call fails then, with nothing sent, and what the storage says later is dropped.
    """
    layer = RateLimit("5/hour", storage=stuck)
    world = World(always(), blocking=drive.blocking)
    send = compose([Deadlines(0.1), layer], world.transport, drive.runtime())

    async def scenario() -> None:
        began = time.monotonic()
        with pytest.raises(TotalTimeout):
            await send(get())
        assert time.monotonic() - began < 10

    drive(scenario)
    assert [] == world.asked
    assert 1 == layer._counts._left

    stuck.let.set()
    until(lambda: layer._counts._left == 0)
    assert layer._counts.failure is None


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_caller_leaves_at_once(colour: Any, stuck: Stuck) -> None:
    layer = RateLimit("5/hour", storage=stuck)
    world = World(always(), blocking=False)
    drive = Drive(colour)
    send = compose([layer], world.transport, drive.runtime())

    async def scenario() -> bool:
        with anyio.move_on_after(0.1) as scope:
            await send(get())
        return scope.cancelled_caught

    began = time.monotonic()
    assert drive(scenario)
    assert time.monotonic() - began < 10


def test_an_answer_after_the_deadline_sends_nothing(drive: Drive) -> None:
    """
    Though it allows the request: what it took is not given back.
    """
    layer = RateLimit("5/hour", storage=memory_on(time.monotonic))
    world = World(always(), blocking=drive.blocking)
    send = compose([layer], world.transport, world)
    request = get()
    request.deadline = world.now

    async def scenario() -> None:
        with pytest.raises(TotalTimeout, match="while the rate limit's storage was asked"):
            await send(request)

    drive(scenario)
    assert [] == world.asked


def test_a_failure_that_nobody_waits_for_is_a_failure(drive: Drive, stuck: Stuck) -> None:
    """
    The next request finds that the storage is left alone.
    """
    stuck.fails = OSError("gone")
    layer = RateLimit("5/hour", storage=stuck, storage_pause=60)
    world = World(always(), blocking=drive.blocking)
    send = compose([Deadlines(0.1), layer], world.transport, drive.runtime())

    async def scenario() -> None:
        with pytest.raises(TotalTimeout):
            await send(get())
        stuck.let.set()
        until(lambda: layer._counts.failure == "OSError")
        await send(get())

    drive(scenario)
    assert (1, 1) == (stuck.asked, len(world.asked))


def test_a_storage_that_many_have_left_is_left_alone(drive: Drive, stuck: Stuck) -> None:
    """
    Each holds a thread until it answers.
    """
    layer = RateLimit("5/hour", storage=stuck, storage_pause=60)
    world = World(always(), blocking=drive.blocking)
    send = compose([Deadlines(0.02), layer], world.transport, drive.runtime())

    async def scenario() -> None:
        for _ in range(MOST_LEFT):
            # A thread may begin after the deadline, and then it does not ask.
            while True:
                before = layer._counts._left
                with pytest.raises(TotalTimeout):
                    await send(get())
                if layer._counts._left > before:
                    break
        assert "TimeoutError" == layer._counts.failure
        request = get()
        request.extensions = Deadlines.option_for(total=None)
        await send(request)

    drive(scenario)
    assert (MOST_LEFT, 1) == (stuck.asked, len(world.asked))

    stuck.let.set()
    until(lambda: layer._counts._left == 0)
    # It has answered after all.
    until(lambda: layer._counts.failure is None)


def test_a_question_whose_asker_has_left_is_not_put(stuck: Stuck) -> None:
    """
    It waited for a thread.
    """
    layer = RateLimit("5/hour", storage=stuck)
    counts = layer._counts
    question = Question(counts, counts.windows(time.monotonic), "key", time.monotonic)
    counts.left(question, 0.0)
    question()

    assert (0, 0) == (stuck.asked, counts._left)
