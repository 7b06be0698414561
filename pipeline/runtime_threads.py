"""Threads that do one piece of work after the other, for what blocking clients do at the same time, or may leave.

They are daemons: one that hangs keeps no program alive. One that has had nothing to do for a while ends.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import TypeAlias, TypeVar

__all__ = ["MOST_THREADS", "done_in_thread", "start_in_thread"]

T = TypeVar("T")

MOST_THREADS = 64
"""How many there are at most, in the process."""

_IDLE = 10.0
"""Seconds without work after which a thread ends."""

Job: TypeAlias = Callable[[], object]


class _Crew:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.idle: list[_Worker] = []
        self.count = 0

    def start(self, job: Job) -> bool:
        with self.lock:
            worker = self.idle.pop() if self.idle else None
            if worker is None:
                if self.count >= MOST_THREADS:
                    return False
                self.count += 1
        if worker is None:
            worker = _Worker(self)
            try:
                worker.start()
            except BaseException:
                with self.lock:
                    self.count -= 1
                raise
        worker.inbox.put(job)
        return True


class _Worker(threading.Thread):
    def __init__(self, crew: _Crew) -> None:
        super().__init__(name="scallion sends", daemon=True)
        self.inbox: SimpleQueue[Job] = SimpleQueue()
        self._crew = crew

    def run(self) -> None:
        crew = self._crew
        while True:
            try:
                job = self.inbox.get(timeout=_IDLE)
            except Empty:
                with crew.lock:
                    if self in crew.idle:
                        crew.idle.remove(self)
                        crew.count -= 1
                        return
                # It has just been given something.
                continue
            try:
                job()
            finally:
                # Not until the next job: it holds a request and a response.
                del job
                with crew.lock:
                    crew.idle.append(self)


_crew = _Crew()


def _renew() -> None:
    """After a fork, in the child: the threads stayed with the parent."""
    global _crew
    _crew = _Crew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def start_in_thread(job: Job) -> bool:
    """Do `job` in another thread, with a copy of the caller's context variables; False if too many are busy.

    Args:
        job: It must not raise; whoever starts it has to learn by itself what became of it.
    """
    context = copy_context()
    return _crew.start(lambda: context.run(job))


def done_in_thread(work: Callable[[], T], seconds: float) -> T:
    """What `work` returns or raises, done in another thread; in this one if too many are busy.

    Raises:
        TimeoutError: it took longer. It goes on, and what comes of it is dropped.
    """
    outcomes: SimpleQueue[tuple[T] | BaseException] = SimpleQueue()

    def job() -> None:
        try:
            outcomes.put((work(),))
        except BaseException as error:  # noqa: BLE001  # it is raised below
            outcomes.put(error)

    if not start_in_thread(job):
        return work()
    try:
        outcome = outcomes.get(timeout=max(0.0, min(seconds, threading.TIMEOUT_MAX)))
    except Empty:
        raise TimeoutError from None
    if isinstance(outcome, BaseException):
        try:
            raise outcome
        finally:
            # No circle of an error and the frame that it is in.
            del outcome, outcomes
    return outcome[0]
