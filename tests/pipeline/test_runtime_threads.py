"""Threads for what blocking clients do at the same time: reused, bounded, ended."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from scallion.pipeline import runtime_threads
from scallion.pipeline.runtime_threads import done_in_thread, start_in_thread

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


def test_what_takes_too_long_is_left(crew: runtime_threads._Crew) -> None:
    """
    The thread is used again when it has come to its end.
    """
    let = threading.Event()
    with pytest.raises(TimeoutError):
        done_in_thread(let.wait, 0.02)
    assert (1, 0) == (crew.count, len(crew.idle))

    let.set()
    until(lambda: len(crew.idle) == 1)
    assert variable.get() == done_in_thread(variable.get, 30)
    assert 1 == crew.count


def test_where_no_thread_is_free_the_callers_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_threads, "MOST_THREADS", 0)

    assert threading.get_ident() == done_in_thread(threading.get_ident, 0.02)


def test_an_error_is_raised_to_the_caller() -> None:
    """
    A deadline that was kept is not mistaken for one that was not.
    """

    def fails() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        done_in_thread(fails, 30)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_has_threads_of_its_own() -> None:
    """
    Those of its parent do not exist in it.
    """
    before = runtime_threads._crew
    runtime_threads._renew()

    assert before is not runtime_threads._crew
