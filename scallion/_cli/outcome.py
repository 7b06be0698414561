"""How a run ends: its exit status, and the one line that says why.

The numbers are httpx's where it has one (0, 1, 2), and else those of curl and of shells, which scripts know already.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from scallion.pipeline.errors import (
    ConnectError,
    DecodingError,
    HTTPError,
    InvalidURL,
    LocalProtocolError,
    NetworkError,
    ProtocolError,
    ProxyError,
    RequestError,
    StreamError,
    TimeoutException,
    TooManyRedirects,
    UnsupportedProtocol,
)
from scallion.pipeline.redaction import redact_url
from scallion.pipeline.response import Response

__all__ = [
    "BROKEN_PIPE",
    "EXIT_STATUS",
    "INTERRUPTED",
    "TERMINATED",
    "USAGE",
    "WRITING",
    "Failure",
    "failure_of",
    "status_of",
]

USAGE = 2
WRITING = 23
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143

EXIT_STATUS = {
    0: "the answer's status is 2xx",
    1: "it is another one, or the extra 'cli' is missing",
    USAGE: "bad usage: an option, a URL, a file to send",
    3: "with --check-status: 3xx; likewise 4 for 4xx, 5 for 5xx",
    6: "the host's name does not resolve",
    7: "no connection",
    8: "the server broke HTTP's rules, or off",
    22: "with --fail: 4xx or 5xx",
    WRITING: "the output cannot be written",
    28: "timed out",
    35: "the TLS handshake failed",
    47: "too many redirects",
    56: "the connection broke",
    60: "the server's certificate was refused",
    61: "the body's compression is damaged",
    65: "the body must be sent again, and cannot be",
    97: "the proxy refused or failed",
    INTERRUPTED: "Ctrl-C",
    BROKEN_PIPE: "the reader of the output went away",
    TERMINATED: "it was told to end (SIGTERM)",
}
"""Each exit status, and what it means."""


class Failure(Exception):
    """The run ends: the text is the line for the user, `code` the exit status."""

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(message)
        self.code = code


# The first class that fits says the exit status and what happened, where the error's own words do not.
_FAILURES: tuple[tuple[type[Exception], int, str], ...] = (
    (TimeoutException, 28, "timed out"),
    (TooManyRedirects, 47, "too many redirects"),
    (ProxyError, 97, "the proxy failed"),
    (DecodingError, 61, "cannot decompress the body"),
    (UnsupportedProtocol, USAGE, "cannot send"),
    (LocalProtocolError, USAGE, "cannot send"),
    (InvalidURL, USAGE, "invalid URL"),
    (ProtocolError, 8, "not a proper HTTP answer"),
    (ConnectError, 7, ""),
    (NetworkError, 56, "the connection broke"),
    (StreamError, 65, "cannot send the body again"),
    (HTTPError, 56, ""),
)


def failure_of(error: HTTPError | InvalidURL | StreamError) -> Failure:
    """What an error of the client means to the user."""
    code, what = next((code, what) for kind, code, what in _FAILURES if isinstance(error, kind))
    if isinstance(error, ConnectError):
        code = _connecting(error)
    request = error._request if isinstance(error, RequestError) else None
    message = ": ".join(filter(None, (what, str(error)))) or type(error).__name__
    where = "" if request is None else f" ({request.method} {redact_url(request.url)})"
    return Failure(f"{message}{where}", code)


def _connecting(error: ConnectError) -> int:
    # Cases: a certificate that is not trusted; TLS otherwise; no such name; nobody listens.
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return 60
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return 35
    return 6 if any(isinstance(cause, socket.gaierror) for cause in causes) else 7


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def status_of(response: Response, *, check_status: bool, fail: bool) -> int:
    """The exit status that an answer stands for."""
    # Cases: by its class, asked for by --check-status; an error, by --fail; httpx's rule.
    if check_status:
        return response.status_code // 100 if response.status_code >= 300 else 0
    if fail and response.status_code >= 400:
        return 22
    return 0 if response.is_success else 1
