"""`Transient`: which outcomes are failures that may be gone the next time, as a value that layers share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import TypeAlias

from scallion.pipeline.errors import (
    ConnectError,
    ConnectTimeout,
    InvalidURL,
    LocalProtocolError,
    NetworkError,
    PoolTimeout,
    Rejected,
    RemoteProtocolError,
    TimeoutException,
    TotalTimeout,
    UnsupportedProtocol,
)
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

from .validation import check_errors, check_statuses

__all__ = [
    "FAILURES",
    "TRANSIENT",
    "Classifier",
    "Outcome",
    "Transient",
    "check_classifier",
    "failing_statuses",
    "idle_timeout",
    "is_certificate_failure",
    "is_final",
    "is_unsent",
]

Outcome: TypeAlias = Response | Exception
"""How an attempt ended. A cancellation is no outcome."""

Classifier: TypeAlias = Callable[[Outcome], bool]
"""Says whether an outcome is a transient failure: a `Transient`, or a function."""

# Not 500: that is more often a bug than a moment's trouble.
TRANSIENT = frozenset({429, 502, 503, 504})
FAILURES: tuple[type[Exception], ...] = (NetworkError, TimeoutException, RemoteProtocolError)

# Sent again they would fail again, or there is no time left.
_FINAL = (TotalTimeout, LocalProtocolError, UnsupportedProtocol, InvalidURL)
# They come before the first byte is sent.
_UNSENT = (ConnectError, ConnectTimeout, PoolTimeout, Rejected)


@dataclass(frozen=True, repr=False)
class Transient:
    """Whether an outcome is a transient failure: call it with a response or an error.

    A refused certificate, a `TotalTimeout` and mistakes of this side never are: another attempt changes nothing.

    Attributes:
        statuses: Those of transient failures.
        on: The errors that are.
        also: Asked of all other outcomes, final errors excepted; it must not wait, nor read the response's body.

    Raises:
        TypeError, ValueError: a setting is of the wrong kind, or no status.
    """

    statuses: Collection[int] = TRANSIENT
    on: tuple[type[Exception], ...] = FAILURES
    also: Classifier | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "statuses", check_statuses("Transient statuses", self.statuses))
        object.__setattr__(self, "on", check_errors("Transient on", self.on))
        if self.also is not None:
            check_classifier("Transient also", self.also)

    def __call__(self, outcome: Outcome) -> bool:
        if isinstance(outcome, Exception):
            if is_final(outcome):
                return False
            known = isinstance(outcome, self.on)
        else:
            known = outcome.status_code in self.statuses
        return known or (self.also is not None and bool(self.also(outcome)))

    def __repr__(self) -> str:
        parts = [f"statuses={{{', '.join(map(str, sorted(self.statuses)))}}}"]
        if self.on != FAILURES:
            parts.append(f"on=({', '.join(error.__name__ for error in self.on)},)")
        if self.also is not None:
            parts.append(f"also={getattr(self.also, '__qualname__', None) or repr(self.also)}")
        return f"Transient({', '.join(parts)})"


def check_classifier(name: str, given: object) -> None:
    """Refuse what cannot be called with an outcome, or would have to be awaited.

    Raises:
        TypeError: it cannot be called, or is a class.
        ValueError: it is async.
    """
    if not callable(given) or isinstance(given, type):
        raise TypeError(f"{name} must be callable with a response or an error: {given!r}")
    if iscoroutinefunction(given) or iscoroutinefunction(type(given).__call__):
        raise ValueError(f"{name} decides and does not wait, so it cannot be async: {given!r}")


def failing_statuses(classify: Classifier) -> Collection[int] | None:
    """The statuses of responses that are failures, if that is all that the classifier looks at; None to ask it."""
    if type(classify) is Transient and classify.also is None:
        return classify.statuses
    return None


def idle_timeout(outcome: Outcome) -> bool:
    """Whether a server gave up waiting for a request on a connection that it closes: for `Transient(also=idle_timeout)`.

    A 408 says that the request did not arrive whole (RFC 9110 section 15.5.9); many servers send it to a connection
    that is merely idle. One without `Connection: close` is an application's, and means something else.
    """
    if isinstance(outcome, Exception) or outcome.status_code != 408:
        return False
    said = outcome.headers.get("connection", "")
    return "close" in [option.strip().lower() for option in said.split(",")]


def is_final(error: Exception) -> bool:
    """Whether the same request would fail in the same way again, or may not be sent again."""
    return isinstance(error, _FINAL) or is_certificate_failure(error)


def is_unsent(outcome: object, request: Request) -> bool:
    """Whether the request provably never reached a server."""
    if not isinstance(outcome, _UNSENT):
        return False
    # A redirect further in: what failed to connect is the next hop, and the first was served.
    failed = getattr(outcome, "_request", None)
    return failed is None or failed is request


def is_certificate_failure(error: BaseException) -> bool:
    """Whether the server's certificate was refused, which no repetition changes."""
    # Not there either while another thread is in the midst of importing the module.
    refused = getattr(sys.modules.get("ssl"), "SSLCertVerificationError", None)
    cause: BaseException | None = error
    while refused is not None and cause is not None:
        if isinstance(cause, refused):
            return True
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return False
