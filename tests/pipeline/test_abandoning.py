"""Giving up what another thread does: what is held is ended once, and what was let go of never."""

from __future__ import annotations

import threading

import pytest

from scallion.pipeline.abandoning import Abandoned, Handle, check, handle_of, hold
from scallion.pipeline.request import Request


class Connection:
    """Something to close."""

    handle: Handle | None = None
    closed = 0

    def close(self) -> None:
        self.closed += 1


def observed(*observers: Handle) -> Request:
    request = Request("GET", "http://x/")
    request.observers = (*observers, lambda event, fields: None)
    return request


def test_what_is_held_is_ended_once() -> None:
    handle, connection = Handle(), Connection()
    hold(connection, observed(handle))
    assert handle is connection.handle

    handle.abandon()
    handle.abandon()

    assert 1 == connection.closed


def test_what_was_let_go_of_is_somebody_elses() -> None:
    handle, connection = Handle(), Connection()
    hold(connection, observed(handle))
    handle.let_go()

    handle.abandon()

    assert 0 == connection.closed


def test_what_was_given_up_begins_nothing() -> None:
    """
    It may have been about to.
    """
    handle, connection = Handle(), Connection()
    handle.abandon()

    with pytest.raises(Abandoned):
        hold(connection, observed(handle))
    with pytest.raises(Abandoned):
        check(observed(handle))
    assert connection.handle is None


def test_without_a_handle_nothing_is_held() -> None:
    connection = Connection()

    hold(connection, observed())
    check(observed())

    assert handle_of(observed()) is None
    assert connection.handle is None


def test_the_innermost_handle_counts() -> None:
    outer, inner = Handle(), Handle()

    assert inner is handle_of(observed(outer, inner))


def test_a_handle_listens_to_nothing() -> None:
    observed(Handle()).note("event", field=1)


def test_letting_go_and_giving_up_at_once() -> None:
    """
    Either it is ended before it was let go of, or not at all.
    """
    for _ in range(300):
        handle, connection = Handle(), Connection()
        hold(connection, observed(handle))
        order: list[int] = []

        def release(handle: Handle = handle, connection: Connection = connection) -> None:
            handle.let_go()
            order.append(connection.closed)  # noqa: B023  # it ends within the round

        thread = threading.Thread(target=release)
        thread.start()
        handle.abandon()
        thread.join()
        assert [connection.closed] == order
