"""What `scallion` exports: pinned, resolvable, named after the package, and all that httpx has."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import httpx
import pytest

import scallion
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

EXPORTED = [
    "__description__",
    "__title__",
    "__version__",
    "AdaptiveConcurrency",
    "AttemptMetrics",
    "Bulkhead",
    "CircuitBreaker",
    "Coalescing",
    "DeadlinePropagation",
    "Endpoints",
    "Fault",
    "FaultInjection",
    "Hedging",
    "IdempotencyKeys",
    "Metrics",
    "RateLimit",
    "RequestId",
    "RetryBudget",
    "ServiceSettings",
    "Transient",
    "ASGITransport",
    "AsyncBaseTransport",
    "AsyncByteStream",
    "AsyncClient",
    "AsyncHTTPTransport",
    "AttemptTimeout",
    "AttemptTimeouts",
    "AttemptTracing",
    "Auth",
    "Authentication",
    "BaseTransport",
    "BasicAuth",
    "BearerAuth",
    "BulkheadFull",
    "ByteStream",
    "CachedResolver",
    "CircuitOpen",
    "Client",
    "CloseError",
    "codes",
    "compatible",
    "ConnectError",
    "ConnectionInfo",
    "ConnectTimeout",
    "CookieConflict",
    "CookiePersistence",
    "Cookies",
    "create_ssl_context",
    "Deadlines",
    "DecodingError",
    "delete",
    "DigestAuth",
    "EventHooks",
    "EventSource",
    "FunctionAuth",
    "get",
    "head",
    "Headers",
    "HTTPError",
    "HTTPStatusError",
    "HTTPTransport",
    "InvalidURL",
    "Layer",
    "Limits",
    "LocalProtocolError",
    "Logging",
    "main",
    "Middleware",
    "MiddlewareError",
    "MockTransport",
    "NetRCAuth",
    "NetworkError",
    "Next",
    "NoEndpoint",
    "options",
    "Origin",
    "patch",
    "PER_ATTEMPT",
    "PER_CALL",
    "Pipeline",
    "PoolState",
    "PoolTimeout",
    "post",
    "ProtocolError",
    "Proxy",
    "ProxyError",
    "put",
    "query",
    "QueryParams",
    "RateLimited",
    "ReadError",
    "ReadTimeout",
    "Reconnect",
    "Redirects",
    "Rejected",
    "RemoteProtocolError",
    "Request",
    "request",
    "RequestError",
    "RequestNotRead",
    "Resolver",
    "Response",
    "ResponseNotRead",
    "Retries",
    "ServerSentEvent",
    "service_stack",
    "SSEError",
    "stream",
    "StreamClosed",
    "StreamConsumed",
    "StreamError",
    "SyncByteStream",
    "SyncMiddleware",
    "SyncNext",
    "Timeout",
    "TimeoutException",
    "Timings",
    "TLS",
    "Token",
    "TooManyRedirects",
    "TotalTimeout",
    "Tracing",
    "TransportError",
    "UnknownOption",
    "UnsupportedProtocol",
    "URL",
    "USE_CLIENT_DEFAULT",
    "WriteError",
    "WriteTimeout",
    "WSGITransport",
]


def test_the_exported_names_are_these() -> None:
    """
    A name that comes or goes is noticed, here.
    """
    assert set(EXPORTED) == set(scallion.__all__)
    assert sorted(scallion.__all__, key=str.casefold) == scallion.__all__
    assert sorted(scallion.__all__) == dir(scallion)


@pytest.mark.parametrize("name", EXPORTED)
def test_every_name_resolves(name: str) -> None:
    """
    To something that says it comes from the package itself.
    """
    value = getattr(scallion, name)

    if not isinstance(value, str):
        assert "scallion" == value.__module__


def test_every_name_of_httpx_is_there() -> None:
    """
    All 69.
    """
    assert 69 == len(httpx.__all__)
    assert set() == set(httpx.__all__) - set(scallion.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """
    As of any module.
    """
    with pytest.raises(AttributeError, match="module 'scallion' has no attribute 'Cleint'"):
        _ = scallion.Cleint  # type: ignore[attr-defined]
    assert not hasattr(scallion, "_mian")


def test_a_star_import_works() -> None:
    """
    In a fresh process, where no name was resolved before.
    """
    code = "from scallion import *; print(Client.__module__, PER_CALL, get.__module__, codes.OK)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "" == done.stderr
    assert "scallion <slot: per call> scallion 200" == done.stdout.strip()


@pytest.mark.parametrize("name", ["USE_CLIENT_DEFAULT", "PER_CALL", "PER_ATTEMPT"])
def test_markers_stay_themselves(name: str) -> None:
    """
    Copied or pickled, they are compared by identity.
    """
    marker = getattr(scallion, name)

    assert marker is pickle.loads(pickle.dumps(marker))
    assert marker is copy.copy(marker)
    assert marker is copy.deepcopy([marker])[0]


ERRORS = [
    name
    for name in EXPORTED
    if isinstance(getattr(scallion, name), type) and issubclass(getattr(scallion, name), Exception)
]


@pytest.mark.parametrize("name", ERRORS)
def test_errors_cross_processes(name: str) -> None:
    """
    With request, response and notes, into a process that has imported nothing yet.
    """
    cls: Any = getattr(scallion, name)
    request = Request("GET", "http://example.org/")
    if cls is scallion.HTTPStatusError:
        error = cls("told", request=request, response=Response(500, request=request))
    else:
        error = cls("told")
        if isinstance(error, scallion.HTTPError):
            error.request = request
    error.add_note("Attempt 1")

    copied = pickle.loads(pickle.dumps(error))

    assert (type(error), "told", ["Attempt 1"]) == (type(copied), str(copied), copied.__notes__)
    if isinstance(copied, scallion.HTTPError):
        assert "http://example.org/" == str(copied.request.url)
    if isinstance(copied, scallion.HTTPStatusError):
        assert 500 == copied.response.status_code


def test_an_error_is_read_in_a_fresh_process() -> None:
    """
    The pickle names public places only.
    """
    data = pickle.dumps(scallion.ReadTimeout("told", request=Request("GET", "http://example.org/")))
    code = f"import pickle; e = pickle.loads({data!r}); print(repr(e), e.request.method)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "" == done.stderr
    assert "ReadTimeout('told') GET" == done.stdout.strip()
