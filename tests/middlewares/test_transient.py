"""The classifier."""

from __future__ import annotations

import ssl
import sys
from types import ModuleType
from typing import Any

import pytest

from scallion.middlewares.retries import FAILURES, TRANSIENT
from scallion.middlewares.transient import Transient, idle_timeout, is_final, is_unsent
from scallion.pipeline.errors import (
    AttemptTimeout,
    CircuitOpen,
    ConnectError,
    ConnectTimeout,
    DecodingError,
    InvalidURL,
    LocalProtocolError,
    PoolTimeout,
    ReadError,
    RemoteProtocolError,
    TotalTimeout,
    UnsupportedProtocol,
)
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response


def certificate_failure() -> ConnectError:
    error = ConnectError("TLS failed")
    error.__cause__ = ssl.SSLCertVerificationError("self-signed")
    return error


@pytest.mark.parametrize(
    "outcome",
    [
        *(Response(status) for status in sorted(TRANSIENT)),
        *(ConnectError("no"), ReadError("no"), RemoteProtocolError("no"), AttemptTimeout("no")),
    ],
    ids=repr,
)
def test_passing_trouble_is_transient(outcome: Response | Exception) -> None:
    assert Transient()(outcome)


@pytest.mark.parametrize(
    "outcome",
    [
        *(Response(status) for status in (200, 404, 408, 500)),
        *(DecodingError("no"), CircuitOpen("no"), ValueError("no")),
    ],
    ids=repr,
)
def test_lasting_trouble_is_not(outcome: Response | Exception) -> None:
    """
    500 and a layer's refusal may be said to be, however.
    """
    assert not Transient()(outcome)
    assert Transient(also=lambda outcome: True)(outcome)


@pytest.mark.parametrize(
    "error",
    [
        *(TotalTimeout("late"), LocalProtocolError("ours"), UnsupportedProtocol("gopher")),
        *(InvalidURL("no"), certificate_failure()),
    ],
    ids=repr,
)
def test_what_is_final_stays_final(error: Exception) -> None:
    """
    No setting makes a transient failure of it.
    """
    assert is_final(error)
    assert not Transient(on=(Exception,), also=lambda outcome: True)(error)


def test_statuses_and_errors_are_settings() -> None:
    classify = Transient([500], DecodingError)  # type: ignore[arg-type]

    assert classify(Response(500))
    assert classify(DecodingError("no"))
    assert not classify(Response(503))
    assert not classify(ReadError("no"))


@pytest.mark.parametrize(
    ("status", "connection", "expected"),
    [
        (408, "close", True),
        (408, "Keep-Alive, CLOSE", True),
        (408, "keep-alive", False),
        (408, "closed", False),
        (503, "close", False),
    ],
)
def test_a_408_that_closes_the_connection_is_an_idle_timeout(
    status: int, connection: str, expected: bool
) -> None:
    """
    Others are an application's answers.
    """
    response = Response(status, headers={"Connection": connection})

    assert expected == idle_timeout(response)
    assert (expected or status == 503) == Transient(also=idle_timeout)(response)
    assert not idle_timeout(ReadError("no"))


@pytest.mark.parametrize("kind", [ConnectError, ConnectTimeout, PoolTimeout, CircuitOpen])
def test_what_never_left_is_unsent(kind: type[Any]) -> None:
    """
    Unless it was a later hop that could not be reached.
    """
    request = Request("POST", "http://a/")

    assert is_unsent(kind("no"), request)
    assert is_unsent(kind("no", request=request), request)
    assert not is_unsent(kind("no", request=Request("POST", "http://b/")), request)
    assert not is_unsent(ReadError("no", request=request), request)
    assert not is_unsent(Response(503), request)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"statuses": 503}, TypeError, "Transient statuses must be a collection .* 503"),
        ({"statuses": {42}}, ValueError, "100 to 599"),
        ({"on": ("ReadError",)}, TypeError, "Transient on must be a tuple of exception classes"),
        ({"also": 1}, TypeError, "Transient also must be callable with a response or an error: 1"),
        ({"also": bool}, TypeError, "also"),
    ],
)
def test_settings_are_validated(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    """
    The error says what was given and what was expected.
    """
    with pytest.raises(error, match=message):
        Transient(**settings)


def test_it_does_not_wait() -> None:
    async def also(outcome: object) -> bool:
        return True

    with pytest.raises(ValueError, match="cannot be async"):
        Transient(also=also)  # type: ignore[arg-type]


def test_it_is_a_value() -> None:
    """
    Equal settings make equal classifiers; its repr reads as the call that made it.
    """
    assert Transient([503, 502]) == Transient({502, 503})
    assert len({Transient(), Transient(TRANSIENT, FAILURES), Transient({503})}) == 2
    assert "Transient(statuses={429, 502, 503, 504})" == repr(Transient())
    assert "Transient(statuses={503}, on=(ReadError,), also=idle_timeout)" == repr(
        Transient({503}, (ReadError,), idle_timeout)
    )


def test_ssl_that_another_thread_is_importing_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    It is among the modules before it has its errors, and then nobody has one of them.
    """
    monkeypatch.setitem(sys.modules, "ssl", ModuleType("ssl"))
    assert Transient()(ReadError("reset"))
