"""Where a request becomes bytes. Names are imported when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scallion.pipeline.lazy import exports

if TYPE_CHECKING:
    from .asgi import ASGITransport as ASGITransport
    from .base import AsyncBaseTransport as AsyncBaseTransport
    from .base import BaseTransport as BaseTransport
    from .connection_info import ConnectionInfo as ConnectionInfo
    from .http import AsyncHTTPTransport as AsyncHTTPTransport
    from .http import HTTPTransport as HTTPTransport
    from .mock import MockTransport as MockTransport
    from .pool import PoolStats as PoolStats
    from .pool_state import PoolState as PoolState
    from .resolving import CachedResolver as CachedResolver
    from .resolving import Resolver as Resolver
    from .tls import create_ssl_context as create_ssl_context
    from .tls_settings import TLS as TLS
    from .wsgi import WSGITransport as WSGITransport

__all__, __getattr__ = exports(
    __name__,
    {
        "asgi": "ASGITransport",
        "base": "AsyncBaseTransport BaseTransport",
        "connection_info": "ConnectionInfo",
        "http": "AsyncHTTPTransport HTTPTransport",
        "mock": "MockTransport",
        "pool": "PoolStats",
        "pool_state": "PoolState",
        "resolving": "CachedResolver Resolver",
        "tls": "create_ssl_context",
        "tls_settings": "TLS",
        "wsgi": "WSGITransport",
    },
)
