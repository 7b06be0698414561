"""Which ends of an attempt speak against the origin."""

from __future__ import annotations

import ssl
from asyncio import CancelledError
from typing import Any

import pytest

from scallion.middlewares.outcomes import (
    ended_in_line,
    mark_ended_in_line,
    speaks_against_origin,
)
from scallion.middlewares.transient import Transient
from scallion.pipeline.errors import (
    AttemptTimeout,
    CircuitOpen,
    ConnectError,
    DecodingError,
    InvalidURL,
    LocalProtocolError,
    PoolTimeout,
    ReadTimeout,
    RemoteProtocolError,
    TotalTimeout,
    UnsupportedProtocol,
)
from scallion.pipeline.request import Request


def judged(error: BaseException, *, deadline: float | None = None, **settings: Any) -> bool:
    """An attempt from 1000 on that ended at 1002 with `error`."""
    request = Request("GET", "http://a/")
    request.deadline = deadline
    settings = {"classify": Transient(), "deadline_after": 1.0, **settings}
    return speaks_against_origin(error, request, since=1000.0, now=1002.0, **settings)


@pytest.mark.parametrize(
    "error",
    [
        AttemptTimeout("late"),
        ConnectError("refused"),
        ReadTimeout("late"),
        RemoteProtocolError("no HTTP"),
    ],
    ids=repr,
)
def test_failures_of_the_origin(error: Exception) -> None:
    """
    Those that are retried.
    """
    assert judged(error)


@pytest.mark.parametrize(
    "error",
    [
        CancelledError(),
        KeyboardInterrupt(),
        GeneratorExit(),
        CircuitOpen("open"),
        DecodingError("bad gzip"),
        InvalidURL("no host"),
        LocalProtocolError("a line break"),
        PoolTimeout("no connection"),
        RuntimeError("a bug"),
        TotalTimeout("another call's"),
        UnsupportedProtocol("ftp"),
    ],
    ids=repr,
)
def test_what_says_nothing_of_the_origin(error: BaseException) -> None:
    """
    Cancellations, our own doing, and errors of other kinds.
    """
    assert not judged(error)


def test_our_own_doing_is_not_the_origins_whatever_is_counted() -> None:
    """
    Not even where every exception is.
    """
    assert judged(RuntimeError(), classify=Transient(on=(Exception,)))
    assert not judged(PoolTimeout("no connection"), classify=Transient(on=(Exception,)))


def test_a_refused_certificate_is_not_counted() -> None:
    """
    A rest does not heal it.
    """
    error = ConnectError("TLS")
    error.__cause__ = ssl.SSLCertVerificationError("expired")

    assert not judged(error)


@pytest.mark.parametrize("error", [TotalTimeout("over"), CancelledError()], ids=repr)
def test_the_calls_deadline_is_the_origins_failure_after_a_while(error: BaseException) -> None:
    """
    Under an event loop it shows as a cancellation; an attempt that had little time says nothing.
    """
    assert judged(error, deadline=1002.0)
    assert judged(error, deadline=1002.04)
    assert not judged(error, deadline=1003.0)
    assert not judged(error, deadline=1002.0, deadline_after=2.5)
    assert not judged(error, deadline=1002.0, deadline_after=None)


@pytest.mark.parametrize(
    "error", [TotalTimeout("the call's"), CancelledError(), ReadTimeout("the origin's")]
)
def test_what_ended_while_it_waited_in_line_says_nothing(error: BaseException) -> None:
    """
    Nothing was sent, however long it took.
    """
    assert not ended_in_line(error)
    assert judged(error, deadline=1002.0)

    mark_ended_in_line(error)

    assert ended_in_line(error)
    assert not judged(error, deadline=1002.0)
