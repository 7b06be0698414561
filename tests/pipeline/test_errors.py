"""Errors: httpx's tree and few of our own, all of which pickle."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import scallion
from scallion.pipeline import errors
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

REFUSALS = {"BulkheadFull", "CircuitOpen", "NoEndpoint", "RateLimited", "Rejected"}
OURS = REFUSALS | {
    *("AttemptTimeout", "MiddlewareError", "SSEError", "TotalTimeout", "UnknownOption")
}
NEED_NO_MESSAGE = {"RequestNotRead", "ResponseNotRead", "StreamClosed", "StreamConsumed"}


def subclasses(cls: type) -> Iterator[type]:
    for sub in cls.__subclasses__():
        yield sub
        yield from subclasses(sub)


def made(name: str) -> Any:
    """An error of the class `name`, as our own code makes it."""
    cls = getattr(errors, name)
    request = Request("POST", "http://example.org/", content=b"body")
    if name == "HTTPStatusError":
        return cls("message", request=request, response=Response(503, text="busy", request=request))
    if issubclass(cls, errors.RequestError):
        return cls("message", request=request)
    return cls() if name in NEED_NO_MESSAGE else cls("message")


@pytest.mark.parametrize("name", sorted(errors.__all__))
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_pickles(name: str, protocol: int) -> None:
    """
    Class, message, request, response and notes survive the way to another process.
    differences: "errors pickle".
    """
    error = made(name)
    error.add_note("Attempt 1: refused")

    copied = pickle.loads(pickle.dumps(error, protocol))

    assert type(error) is type(copied)
    assert str(error) == str(copied)
    assert error.args == copied.args
    assert error.__notes__ == copied.__notes__
    assert "Attempt 1: refused" == copied.__notes__[-1]
    if isinstance(error, errors.HTTPError):
        request = getattr(copied, "_request", None)
        if error._request is None:
            assert request is None
        else:
            assert request.method == "POST"
            assert request.url == "http://example.org/"
            assert request.content == b"body"
    if isinstance(error, errors.HTTPStatusError):
        assert 503 == copied.response.status_code
        assert "busy" == copied.response.text
        assert copied.request is copied.response.request
        assert b"busy" == copied.body


@pytest.mark.parametrize("name", sorted(errors.__all__))
def test_every_error_copies(name: str) -> None:
    """
    `copy` takes the same way.
    """
    error = made(name)

    assert str(error) == str(copy.copy(error))
    assert type(error) is type(copy.copy(error))


def test_a_subclass_pickles() -> None:
    """
    A program's own subclass with a constructor of its own needs to write nothing.
    """
    error = Mine(418)

    copied = pickle.loads(pickle.dumps(error))

    assert (418, "Status 418") == (copied.code, str(copied))


class Mine(errors.TransportError):
    def __init__(self, code: int) -> None:
        super().__init__(f"Status {code}")
        self.code = code


@pytest.mark.parametrize("name", sorted(set(errors.__all__) - OURS))
def test_the_tree_is_httpx_s(name: str) -> None:
    """
    Each class of httpx has the same bases here.
    """

    def bases(cls: type) -> list[str]:
        return [base.__name__ for base in cls.__mro__ if not base.__name__.startswith("_")]

    assert bases(getattr(httpx, name)) == bases(getattr(errors, name))


def test_every_httpx_error_is_here() -> None:
    """
    Nothing of httpx's is missing.
    """
    theirs = {
        name
        for name in httpx.__all__
        if isinstance(getattr(httpx, name), type) and issubclass(getattr(httpx, name), Exception)
    }

    assert theirs | OURS == set(errors.__all__)


def test_all_tells_every_error() -> None:
    """
    No public class of the module is left out.
    """
    public = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and not name.startswith("_")
    }

    assert public == set(errors.__all__)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("AttemptTimeout", "TimeoutException"),
        ("TotalTimeout", "TimeoutException"),
        ("MiddlewareError", "RuntimeError"),
        ("UnknownOption", "TypeError"),
    ],
)
def test_our_own_have_their_place(name: str, base: str) -> None:
    """
    Code that catches httpx's kinds catches ours.
    """
    assert base in [cls.__name__ for cls in getattr(errors, name).__mro__]


@pytest.mark.parametrize("name", sorted(NEED_NO_MESSAGE))
def test_stream_errors_say_the_same(name: str) -> None:
    """
    Their messages are httpx's, but for a blank that is missing there.
    """
    theirs = str(getattr(httpx, name)()).replace("flow.For", "flow. For")

    assert theirs == str(getattr(errors, name)())


def test_request_is_set_by_clients_only() -> None:
    """
    `.request` of an error that nobody sent says so, as in httpx.
    """
    error = errors.ReadError("message")
    theirs = httpx.ReadError("message")

    with pytest.raises(RuntimeError) as info:
        _ = error.request
    with pytest.raises(RuntimeError) as theirs_info:
        _ = theirs.request
    assert str(theirs_info.value) == str(info.value)

    request = Request("GET", "http://example.org/")
    error.request = request
    assert request is error.request


@pytest.mark.parametrize(
    "name", ["HTTPError", "RequestError", "InvalidURL", "CookieConflict", "StreamError"]
)
def test_a_message_is_needed(name: str) -> None:
    """
    An error without a message tells nobody anything.
    """
    with pytest.raises(TypeError):
        getattr(errors, name)()


def test_errors_are_exported() -> None:
    """
    Each stands in the package itself.
    """
    assert all(getattr(scallion, name) is getattr(errors, name) for name in errors.__all__)
