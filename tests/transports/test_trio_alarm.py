"""Time limits on trio: one task for all of them, on trio's own clock."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import trio
import trio.testing

from scallion.transports.network.trio_alarm import Alarm, alarm_of_this_run
from scallion.transports.network.trio_native import TrioWaits


class Sleeper:
    """Notes when it was rung for, in seconds since the beginning."""

    def __init__(self) -> None:
        self.began = trio.current_time()
        self.rung: list[float] = []

    def ring(self) -> None:
        self.rung.append(round(trio.current_time() - self.began, 3))


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


def play(scenario: Callable[[], Awaitable[Any]]) -> Any:
    """Run it on a clock that jumps to the next deadline whenever all tasks wait."""
    return trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))


def test_each_is_rung_for_at_its_deadline() -> None:
    """
    In whichever order they were set; who has left, not at all.
    """

    async def scenario() -> list[list[float]]:
        alarm = Alarm()
        sleepers = [Sleeper() for _ in range(4)]
        for sleeper, seconds in zip(sleepers, (2, 3, 1, 2.5), strict=True):
            alarm.set(sleeper, seconds)
        del alarm.waiting[sleepers[3]]
        await trio.sleep(10)
        return [sleeper.rung for sleeper in sleepers]

    assert [[2], [3], [1], []] == play(scenario)


def test_its_task_ends_when_nobody_waits() -> None:
    """
    And another begins when somebody waits again.
    """

    async def scenario() -> None:
        alarm = Alarm()
        tasks = trio.lowlevel.current_statistics().tasks_living
        for _ in range(2):
            sleeper = Sleeper()
            alarm.set(sleeper, 1)
            alarm.set(Sleeper(), 1)
            await trio.sleep(0.5)
            assert tasks + 1 == trio.lowlevel.current_statistics().tasks_living
            await trio.sleep(5)
            assert tasks == trio.lowlevel.current_statistics().tasks_living
            assert [1] == sleeper.rung

    play(scenario)


def test_there_is_one_for_each_run() -> None:
    """
    Two runs have different clocks.
    """

    async def scenario() -> Alarm:
        assert alarm_of_this_run() is alarm_of_this_run()
        return alarm_of_this_run()

    assert play(scenario) is not play(scenario)


def test_trio_ends_while_somebody_waits(pair: tuple[socket.socket, socket.socket]) -> None:
    """
    Nothing is left behind, and nothing is said of it.
    """

    async def scenario() -> None:
        waits = TrioWaits(pair[0])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waits.readable, 60)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        alarm_of_this_run().set(Sleeper(), 60)

    trio.run(scenario)


def test_a_readers_timeout_leaves_the_writer_alone(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """
    Both wait for the same socket, and only the reader has waited long enough.
    """
    ours, theirs = pair
    theirs.setblocking(False)

    async def scenario() -> list[object]:
        waits = TrioWaits(ours)
        seen: list[object] = []

        async def write() -> None:
            while True:
                try:
                    while True:
                        ours.send(bytes(65536))
                except BlockingIOError:
                    seen.append(await waits.writable(60))
                    if "freed" in seen:
                        return

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            await trio.testing.wait_all_tasks_blocked()
            seen.append(await waits.readable(1))
            await trio.testing.wait_all_tasks_blocked()
            seen.append("freed")
            while True:
                try:
                    theirs.recv(65536)
                except BlockingIOError:
                    break
        return seen

    seen = trio.run(scenario)
    # Woken once to no purpose, the writer tried again and waited again.
    assert False in seen
    assert "freed" in seen
    assert True is seen[-1]


def test_what_arrives_at_the_last_moment_counts(pair: tuple[socket.socket, socket.socket]) -> None:
    """
    The alarm rings when the reader has been woken already, and does not spoil the next wait.
    """
    ours, theirs = pair

    async def scenario() -> None:
        waits = TrioWaits(ours)
        theirs.send(b"x")
        assert await waits.readable(0) is True
        waits.ring()
        assert await waits.readable(60) is True
        ours.recv(1)
        assert await waits.readable(0) is False

    trio.run(scenario)


def test_a_socket_that_is_closed_is_not_rung_for(pair: tuple[socket.socket, socket.socket]) -> None:
    """
    Who waits is told that it is closed, not that he waited too long.
    """
    ours, _ = pair

    async def scenario() -> None:
        waits = TrioWaits(ours)

        async def read() -> None:
            with pytest.raises(OSError, match="Bad file descriptor"):
                await waits.readable(60)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            assert waits.closing() is True
            ours.close()
            waits.ring()

    trio.run(scenario)
