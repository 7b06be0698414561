"""Threads for what blocking clients do at the same time: reused, bounded, ended."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from scallion.pipeline import runtime_threads
from scallion.pipeline.runtime_threads import start_in_thread

variable: ContextVar[str] = ContextVar("variable", default="nobody's")


@pytest.fixture(autouse=True)
def crew(monkeypatch: pytest.MonkeyPatch) -> runtime_threads._Crew:
    monkeypatch.setattr(runtime_threads, "_IDLE", 0.2)
    crew = runtime_threads._Crew()
    monkeypatch.setattr(runtime_threads, "_crew", crew)
    return crew


def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")


def test_work_is_done_elsewhere_in_the_callers_context() -> None:
    done = threading.Event()
    seen: list[tuple[str, bool]] = []

    def job() -> None:
        seen.append((variable.get(), threading.current_thread().daemon))
        variable.set("the job's")
        done.set()

    token = variable.set("the caller's")
    try:
        assert start_in_thread(job)
        assert done.wait(5)
        assert "the caller's" == variable.get()
    finally:
        variable.reset(token)
    assert [("the caller's", True)] == seen


def test_threads_are_used_again_and_end(crew: runtime_threads._Crew) -> None:
    """
    One after the other need one; and after a while none.
    """
    for _ in range(5):
        done = threading.Event()
        assert start_in_thread(done.set)
        assert done.wait(5)
        until(lambda: len(crew.idle) == 1)

    assert 1 == crew.count
    until(lambda: crew.count == 0)
    assert [] == crew.idle


def test_there_are_not_any_number_of_them(
    crew: runtime_threads._Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_threads, "MOST_THREADS", 2)
    let = threading.Event()

    assert [True, True, False] == [start_in_thread(let.wait) for _ in range(3)]

    let.set()
    until(lambda: len(crew.idle) == 2)
    assert start_in_thread(let.wait)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_has_threads_of_its_own() -> None:
    """
    Those of its parent do not exist in it.
    """
    before = runtime_threads._crew
    runtime_threads._renew()

    assert before is not runtime_threads._crew
