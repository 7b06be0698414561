"""scallion: an HTTP client for calls between services. httpx's API around an onion of middlewares.

Names are imported when they are first used, so that `import scallion` stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__ as __version__

__title__ = "scallion"
__description__ = (
    "An HTTP client for service-to-service calls: httpx's API around an onion of middlewares."
)

if TYPE_CHECKING:
    from scallion._service_settings import ServiceSettings as ServiceSettings
    from scallion.middlewares.adaptive_concurrency import AdaptiveConcurrency as AdaptiveConcurrency
    from scallion.middlewares.auth import Authentication as Authentication
    from scallion.middlewares.auth import BasicAuth as BasicAuth
    from scallion.middlewares.auth import FunctionAuth as FunctionAuth
    from scallion.middlewares.bearer import BearerAuth as BearerAuth
    from scallion.middlewares.bearer import Token as Token
    from scallion.middlewares.bulkhead import Bulkhead as Bulkhead
    from scallion.middlewares.circuit_breaker import CircuitBreaker as CircuitBreaker
    from scallion.middlewares.coalescing import Coalescing as Coalescing
    from scallion.middlewares.cookies import CookiePersistence as CookiePersistence
    from scallion.middlewares.deadline_propagation import DeadlinePropagation as DeadlinePropagation
    from scallion.middlewares.digest import DigestAuth as DigestAuth
    from scallion.middlewares.endpoints import Endpoints as Endpoints
    from scallion.middlewares.fault_injection import Fault as Fault
    from scallion.middlewares.fault_injection import FaultInjection as FaultInjection
    from scallion.middlewares.hedging import Hedging as Hedging
    from scallion.middlewares.hooks import EventHooks as EventHooks
    from scallion.middlewares.idempotency_keys import IdempotencyKeys as IdempotencyKeys
    from scallion.middlewares.logging import Logging as Logging
    from scallion.middlewares.metrics import AttemptMetrics as AttemptMetrics
    from scallion.middlewares.metrics import Metrics as Metrics
    from scallion.middlewares.netrc import NetRCAuth as NetRCAuth
    from scallion.middlewares.rate_limit import RateLimit as RateLimit
    from scallion.middlewares.redirects import Redirects as Redirects
    from scallion.middlewares.request_id import RequestId as RequestId
    from scallion.middlewares.retries import Retries as Retries
    from scallion.middlewares.retry_budget import RetryBudget as RetryBudget
    from scallion.middlewares.timeouts import AttemptTimeouts as AttemptTimeouts
    from scallion.middlewares.timeouts import Deadlines as Deadlines
    from scallion.middlewares.tracing import AttemptTracing as AttemptTracing
    from scallion.middlewares.tracing import Tracing as Tracing
    from scallion.middlewares.transient import Transient as Transient
    from scallion.pipeline.auth import Auth as Auth
    from scallion.pipeline.codes import codes as codes
    from scallion.pipeline.cookies import Cookies as Cookies
    from scallion.pipeline.errors import AttemptTimeout as AttemptTimeout
    from scallion.pipeline.errors import BulkheadFull as BulkheadFull
    from scallion.pipeline.errors import CircuitOpen as CircuitOpen
    from scallion.pipeline.errors import CloseError as CloseError
    from scallion.pipeline.errors import ConnectError as ConnectError
    from scallion.pipeline.errors import ConnectTimeout as ConnectTimeout
    from scallion.pipeline.errors import CookieConflict as CookieConflict
    from scallion.pipeline.errors import DecodingError as DecodingError
    from scallion.pipeline.errors import HTTPError as HTTPError
    from scallion.pipeline.errors import HTTPStatusError as HTTPStatusError
    from scallion.pipeline.errors import InvalidURL as InvalidURL
    from scallion.pipeline.errors import LocalProtocolError as LocalProtocolError
    from scallion.pipeline.errors import MiddlewareError as MiddlewareError
    from scallion.pipeline.errors import NetworkError as NetworkError
    from scallion.pipeline.errors import NoEndpoint as NoEndpoint
    from scallion.pipeline.errors import PoolTimeout as PoolTimeout
    from scallion.pipeline.errors import ProtocolError as ProtocolError
    from scallion.pipeline.errors import ProxyError as ProxyError
    from scallion.pipeline.errors import RateLimited as RateLimited
    from scallion.pipeline.errors import ReadError as ReadError
    from scallion.pipeline.errors import ReadTimeout as ReadTimeout
    from scallion.pipeline.errors import Rejected as Rejected
    from scallion.pipeline.errors import RemoteProtocolError as RemoteProtocolError
    from scallion.pipeline.errors import RequestError as RequestError
    from scallion.pipeline.errors import RequestNotRead as RequestNotRead
    from scallion.pipeline.errors import ResponseNotRead as ResponseNotRead
    from scallion.pipeline.errors import SSEError as SSEError
    from scallion.pipeline.errors import StreamClosed as StreamClosed
    from scallion.pipeline.errors import StreamConsumed as StreamConsumed
    from scallion.pipeline.errors import StreamError as StreamError
    from scallion.pipeline.errors import TimeoutException as TimeoutException
    from scallion.pipeline.errors import TooManyRedirects as TooManyRedirects
    from scallion.pipeline.errors import TotalTimeout as TotalTimeout
    from scallion.pipeline.errors import TransportError as TransportError
    from scallion.pipeline.errors import UnknownOption as UnknownOption
    from scallion.pipeline.errors import UnsupportedProtocol as UnsupportedProtocol
    from scallion.pipeline.errors import WriteError as WriteError
    from scallion.pipeline.errors import WriteTimeout as WriteTimeout
    from scallion.pipeline.headers import Headers as Headers
    from scallion.pipeline.layer import Layer as Layer
    from scallion.pipeline.onion import Middleware as Middleware
    from scallion.pipeline.onion import Next as Next
    from scallion.pipeline.onion import SyncMiddleware as SyncMiddleware
    from scallion.pipeline.onion import SyncNext as SyncNext
    from scallion.pipeline.origin import Origin as Origin
    from scallion.pipeline.pipeline import PER_ATTEMPT as PER_ATTEMPT
    from scallion.pipeline.pipeline import PER_CALL as PER_CALL
    from scallion.pipeline.pipeline import Pipeline as Pipeline
    from scallion.pipeline.queryparams import QueryParams as QueryParams
    from scallion.pipeline.request import Request as Request
    from scallion.pipeline.response import Response as Response
    from scallion.pipeline.settings import Limits as Limits
    from scallion.pipeline.settings import Proxy as Proxy
    from scallion.pipeline.settings import Timeout as Timeout
    from scallion.pipeline.sse import Reconnect as Reconnect
    from scallion.pipeline.sse import ServerSentEvent as ServerSentEvent
    from scallion.pipeline.streams import AsyncByteStream as AsyncByteStream
    from scallion.pipeline.streams import ByteStream as ByteStream
    from scallion.pipeline.streams import SyncByteStream as SyncByteStream
    from scallion.pipeline.timings import Timings as Timings
    from scallion.pipeline.urls import URL as URL
    from scallion.transports.asgi import ASGITransport as ASGITransport
    from scallion.transports.base import AsyncBaseTransport as AsyncBaseTransport
    from scallion.transports.base import BaseTransport as BaseTransport
    from scallion.transports.connection_info import ConnectionInfo as ConnectionInfo
    from scallion.transports.http import AsyncHTTPTransport as AsyncHTTPTransport
    from scallion.transports.http import HTTPTransport as HTTPTransport
    from scallion.transports.mock import MockTransport as MockTransport
    from scallion.transports.pool_state import PoolState as PoolState
    from scallion.transports.resolving import CachedResolver as CachedResolver
    from scallion.transports.resolving import Resolver as Resolver
    from scallion.transports.tls import create_ssl_context as create_ssl_context
    from scallion.transports.tls_settings import TLS as TLS
    from scallion.transports.wsgi import WSGITransport as WSGITransport

    from ._api import delete as delete
    from ._api import get as get
    from ._api import head as head
    from ._api import options as options
    from ._api import patch as patch
    from ._api import post as post
    from ._api import put as put
    from ._api import query as query
    from ._api import request as request
    from ._api import stream as stream
    from ._arguments import USE_CLIENT_DEFAULT as USE_CLIENT_DEFAULT
    from ._async_client import AsyncClient as AsyncClient
    from ._cli import main as main
    from ._client import Client as Client
    from ._sse import EventSource as EventSource
    from ._stacks import compatible as compatible
    from ._stacks import service_stack as service_stack

_HOMES = {
    "scallion._api": "delete get head options patch post put query request stream",
    "scallion._async_client": "AsyncClient",
    "scallion._arguments": "USE_CLIENT_DEFAULT",
    "scallion._cli": "main",
    "scallion._client": "Client",
    "scallion._sse": "EventSource",
    "scallion._stacks": "compatible service_stack",
    "scallion._service_settings": "ServiceSettings",
    "scallion.middlewares.adaptive_concurrency": "AdaptiveConcurrency",
    "scallion.middlewares.bulkhead": "Bulkhead",
    "scallion.middlewares.circuit_breaker": "CircuitBreaker",
    "scallion.middlewares.coalescing": "Coalescing",
    "scallion.middlewares.deadline_propagation": "DeadlinePropagation",
    "scallion.middlewares.endpoints": "Endpoints",
    "scallion.middlewares.fault_injection": "Fault FaultInjection",
    "scallion.middlewares.hedging": "Hedging",
    "scallion.middlewares.idempotency_keys": "IdempotencyKeys",
    "scallion.middlewares.metrics": "AttemptMetrics Metrics",
    "scallion.middlewares.rate_limit": "RateLimit",
    "scallion.middlewares.request_id": "RequestId",
    "scallion.middlewares.retry_budget": "RetryBudget",
    "scallion.middlewares.transient": "Transient",
    "scallion.middlewares.auth": "Authentication BasicAuth FunctionAuth",
    "scallion.middlewares.bearer": "BearerAuth Token",
    "scallion.middlewares.cookies": "CookiePersistence",
    "scallion.middlewares.digest": "DigestAuth",
    "scallion.middlewares.hooks": "EventHooks",
    "scallion.middlewares.logging": "Logging",
    "scallion.middlewares.netrc": "NetRCAuth",
    "scallion.middlewares.redirects": "Redirects",
    "scallion.middlewares.retries": "Retries",
    "scallion.middlewares.timeouts": "AttemptTimeouts Deadlines",
    "scallion.middlewares.tracing": "AttemptTracing Tracing",
    "scallion.pipeline.auth": "Auth",
    "scallion.pipeline.codes": "codes",
    "scallion.pipeline.cookies": "Cookies",
    "scallion.pipeline.errors": (
        "AttemptTimeout BulkheadFull CircuitOpen CloseError ConnectError ConnectTimeout CookieConflict DecodingError "
        "HTTPError HTTPStatusError InvalidURL LocalProtocolError MiddlewareError NetworkError NoEndpoint PoolTimeout "
        "ProtocolError ProxyError RateLimited ReadError ReadTimeout Rejected RemoteProtocolError RequestError RequestNotRead ResponseNotRead "
        "SSEError StreamClosed StreamConsumed StreamError TimeoutException TooManyRedirects TotalTimeout TransportError "
        "UnknownOption UnsupportedProtocol WriteError WriteTimeout"
    ),
    "scallion.pipeline.headers": "Headers",
    "scallion.pipeline.layer": "Layer",
    "scallion.pipeline.onion": "Middleware Next SyncMiddleware SyncNext",
    "scallion.pipeline.origin": "Origin",
    "scallion.pipeline.pipeline": "PER_ATTEMPT PER_CALL Pipeline",
    "scallion.pipeline.queryparams": "QueryParams",
    "scallion.pipeline.request": "Request",
    "scallion.pipeline.response": "Response",
    "scallion.pipeline.settings": "Limits Proxy Timeout",
    "scallion.pipeline.sse": "Reconnect ServerSentEvent",
    "scallion.pipeline.streams": "AsyncByteStream ByteStream SyncByteStream",
    "scallion.pipeline.timings": "Timings",
    "scallion.pipeline.urls": "URL",
    "scallion.transports.asgi": "ASGITransport",
    "scallion.transports.base": "AsyncBaseTransport BaseTransport",
    "scallion.transports.connection_info": "ConnectionInfo",
    "scallion.transports.http": "AsyncHTTPTransport HTTPTransport",
    "scallion.transports.mock": "MockTransport",
    "scallion.transports.pool_state": "PoolState",
    "scallion.transports.resolving": "CachedResolver Resolver",
    "scallion.transports.tls": "create_ssl_context",
    "scallion.transports.tls_settings": "TLS",
    "scallion.transports.wsgi": "WSGITransport",
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = sorted([*_HOME_OF, "__description__", "__title__", "__version__"], key=str.casefold)  # noqa: PLE0605


def _publish() -> None:
    """Let what is public here say so in reprs, tracebacks and pickles, wherever it was defined."""
    from sys import modules

    for home in [home for home in _HOMES if home in modules]:
        found = [getattr(modules[home], name, None) for name in _HOMES[home].split()]
        if None in found:
            # It is being imported at this moment.
            continue
        del _HOMES[home]
        for value in found:
            if getattr(value, "__module__", "").startswith("scallion."):
                # Slots are frozen.
                assign = setattr if isinstance(value, type) else object.__setattr__
                assign(value, "__module__", "scallion")


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'scallion' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    _publish()
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
