"""Ejection: when an endpoint is left out, for how long, and how many at once."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from scallion.middlewares.endpoints.ejection import Ejection, speaks_against
from scallion.middlewares.endpoints.endpoint import Endpoint
from scallion.middlewares.endpoints.members import Member
from scallion.pipeline.errors import (
    CircuitOpen,
    ConnectError,
    DecodingError,
    PoolTimeout,
    ReadTimeout,
    TotalTimeout,
)
from scallion.pipeline.response import Response


def members(many: int, out: int = 0) -> list[Member]:
    found = [Member(Endpoint(f"10.0.0.{number}"), 0.0, 0.0) for number in range(many)]
    for member in found[1 : 1 + out]:
        member.ejected_until = 1e9
    return found


def failing(many: int, out: int = 0, failures: int = 5) -> list[Member]:
    found = members(many, out)
    found[0].failures = failures
    return found


def test_five_failures_in_a_row_eject() -> None:
    assert None is Ejection().seconds_for(failing(10, failures=4)[0], members(10), 0.0)
    found = failing(10)
    assert 30.0 == Ejection().seconds_for(found[0], found, 0.0)


@pytest.mark.parametrize(
    ("many", "out", "ejects"),
    [
        (1, 0, False),  # the last one is never ejected
        (2, 0, True),  # one always may be
        (2, 1, False),
        (10, 0, True),
        (10, 1, False),  # a tenth is out
        (20, 1, True),
        (20, 2, False),
        (29, 2, False),
        (30, 2, True),
    ],
)
def test_at_most_a_tenth_is_out_and_one_is_left(many: int, out: int, ejects: bool) -> None:
    found = failing(many, out)

    assert ejects == (Ejection().seconds_for(found[0], found, 0.0) is not None)


def test_one_is_left_even_if_all_might_go() -> None:
    found = failing(3, 2)

    assert None is Ejection(share=1.0).seconds_for(found[0], found, 0.0)


def test_ejections_grow_up_to_a_cap() -> None:
    found = failing(10)
    seconds = [Ejection().seconds_for(found[0], found, 0.0) for _ in range(12)]

    assert [30.0, 60.0, 90.0] == seconds[:3]
    assert [300.0, 300.0, 300.0] == seconds[-3:]


def test_time_in_service_is_forgiving() -> None:
    """
    Every ten seconds without being ejected one earlier ejection is no longer counted.
    """
    found = failing(10)
    found[0].ejections = 5

    assert 120.0 == Ejection().seconds_for(found[0], found, 25.0)
    assert 30.0 == Ejection().seconds_for(found[0], found, 1000.0)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Response(200), False),
        (Response(404), False),
        (Response(500), False),
        (Response(503), True),
        (Response(429), True),
        (ConnectError("refused"), True),
        (ReadTimeout("slow"), True),
        (PoolTimeout("ours"), None),
        (CircuitOpen("ours"), None),
        (TotalTimeout("the caller's"), None),
        (DecodingError("what"), None),
        (ValueError("a bug"), None),
    ],
)
def test_what_speaks_against_an_endpoint(outcome: Any, expected: bool | None) -> None:
    """
    What retries would try again does; what this side did says nothing.
    """
    assert expected is speaks_against(outcome)


def test_a_refused_certificate_speaks_against_an_endpoint() -> None:
    """
    No repetition there would help, but another endpoint may be who it should be.
    """
    error = ConnectError("TLS")
    error.__cause__ = ssl.SSLCertVerificationError("wrong name")

    assert speaks_against(error)


@pytest.mark.parametrize(
    "settings",
    [
        {"failures": 0},
        {"base": 0},
        {"cap": 10},
        {"share": 0},
        {"share": 1.5},
        {"forgiven_after": 0},
        {"failed": 7},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match="Ejection"):
        Ejection(**settings)
