"""Errors that are scallion's and httpcore's at once, for what reads from network streams."""

from __future__ import annotations

import pickle

import httpcore
import pytest

import scallion
from scallion.compat.httpcore_errors import be_httpcores_too


def test_an_error_becomes_httpcores_and_stays_ours() -> None:
    """
    Both names catch it, and its message, its cause and its type's name are what they were.
    """
    error = scallion.ReadError("gone")
    error.__cause__ = OSError("below")

    be_httpcores_too(error)

    with pytest.raises(httpcore.ReadError):
        raise error
    with pytest.raises(httpcore.NetworkError):
        raise error
    with pytest.raises(scallion.ReadError, match="gone") as caught:
        raise error
    assert ("ReadError", "scallion") == (type(error).__name__, type(error).__module__)
    assert "below" == str(caught.value.__cause__)


def test_an_error_that_httpcore_has_not_is_its_ancestor_there() -> None:
    """
    A total timeout is a timeout to httpcore; doing it twice changes nothing more.
    """
    error = scallion.TotalTimeout("late")

    be_httpcores_too(error)
    kind = type(error)
    be_httpcores_too(error)

    assert isinstance(error, httpcore.TimeoutException)
    assert kind is type(error)


def test_it_pickles_as_ours() -> None:
    """
    Another process, which may have no httpcore, reads scallion's error.
    """
    error = scallion.WriteTimeout("slow")
    be_httpcores_too(error)

    again = pickle.loads(pickle.dumps(error))

    assert type(again) is scallion.WriteTimeout
    assert ("slow",) == again.args
