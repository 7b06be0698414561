"""`Timings`: the arithmetic, and how they are shown; without a transport."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from scallion.pipeline.response import Response
from scallion.pipeline.streams import ByteStream
from scallion.pipeline.timings import Timings, timings_of

OPENING = SimpleNamespace(dns=0.001, connect=0.002, tls=0.003)
ALL = {"began": 10.0, "sent": 10.25, "answered": 11.0}


def steps(**moments: Any) -> SimpleNamespace:
    return SimpleNamespace(**moments)


def test_the_phases_of_a_finished_exchange() -> None:
    """
    Each from the end of the one before.
    """
    assert Timings(
        queue=0.5,
        dns=0.001,
        connect=0.002,
        tls=0.003,
        sent=0.25,
        first_byte=0.75,
        body=1.0,
        total=2.5,
    ) == timings_of(steps(queued=0.5, opening=OPENING, **ALL), 9.5, 2.5)


def test_a_reused_connection() -> None:
    """
    There was nothing to open, and nothing to wait for.
    """
    assert Timings(queue=0.0, sent=0.25, first_byte=0.75, body=1.0, total=2.5) == timings_of(
        steps(**ALL), 9.5, 2.5
    )


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ({}, Timings(queue=0.0)),
        ({"began": 10.0}, Timings(queue=0.0)),
        ({"began": 10.0, "sent": 10.5}, Timings(queue=0.0, sent=0.5)),
        (ALL, Timings(queue=0.0, sent=0.25, first_byte=0.75)),
    ],
)
def test_what_has_not_happened_yet_is_none(moments: Any, expected: Timings) -> None:
    """
    While the body arrives there is no total.
    """
    assert expected == timings_of(steps(**moments), 9.5, None)


def test_without_a_client_there_is_no_total() -> None:
    """
    Nobody knows when it was asked for.
    """
    assert Timings(queue=0.0, sent=0.25, first_byte=0.75) == timings_of(steps(**ALL), None, None)


def test_no_phase_is_negative() -> None:
    """
    An answer may be there before the request has been sent.
    """
    early = timings_of(steps(began=10.0, sent=10.5, answered=10.25), 9.0, 1.0)

    assert (0.0, 0.0) == (early.first_byte, early.body)


def test_they_are_shown_in_milliseconds() -> None:
    """
    Without what there was not.
    """
    timings = Timings(queue=0.0, first_byte=0.0123, total=1.5)

    assert "queue 0.0 ms, first byte 12.3 ms, total 1500.0 ms" == str(timings)
    assert f"<Timings {timings}>" == repr(timings)
    assert "nothing measured" == str(Timings())


def test_they_are_a_value() -> None:
    """
    By name, frozen, comparable, and fit for a pickle.
    """
    timings = Timings(queue=0.0, total=1.0)

    assert ["queue", "dns", "connect", "tls", "sent", "first_byte", "body", "total"] == list(
        timings.as_dict()
    )
    assert 1.0 == timings.as_dict()["total"]
    assert timings == pickle.loads(pickle.dumps(timings))
    with pytest.raises(AttributeError):
        timings.total = 2.0  # type: ignore[misc]


def test_a_response_that_nobody_sent_for() -> None:
    """
    All are None, and nothing fails.
    """
    assert Timings() == Response(200).timings


def test_an_elapsed_that_was_set_is_the_total() -> None:
    """
    As test doubles do.
    """
    from datetime import timedelta

    response = Response(200)
    response.elapsed = timedelta(seconds=2)

    assert Timings(total=2.0) == response.timings


def test_a_pickled_response_keeps_its_total() -> None:
    """
    Its extensions, and the phases in them, stay behind.
    """
    response = Response(
        200,
        stream=ByteStream(b""),
        extensions={"connection": SimpleNamespace(steps=steps(**ALL))},
    )
    response._started, response._whole_after = 9.5, 2.5

    assert 1.0 == response.timings.body
    assert Timings(total=2.5) == pickle.loads(pickle.dumps(response)).timings


@pytest.mark.parametrize("foreign", [None, object(), "h2", {"steps": 1}])
def test_what_others_put_into_the_extensions_does_no_harm(foreign: Any) -> None:
    """
    A transport may have a "connection" of its own kind.
    """
    assert Timings() == Response(200, extensions={"connection": foreign}).timings
