"""Where a request becomes bytes. Names are imported when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scallion.pipeline.lazy import exports

if TYPE_CHECKING:
    from .asgi import ASGITransport as ASGITransport
    from .base import AsyncBaseTransport as AsyncBaseTransport
    from .base import BaseTransport as BaseTransport
    from .http import AsyncHTTPTransport as AsyncHTTPTransport
    from .http import HTTPTransport as HTTPTransport
    from .mock import MockTransport as MockTransport
    from .pool import PoolStats as PoolStats
    from .tls import create_ssl_context as create_ssl_context
    from .wsgi import WSGITransport as WSGITransport

__all__, __getattr__ = exports(
    __name__,
    {
        "asgi": "ASGITransport",
        "base": "AsyncBaseTransport BaseTransport",
        "http": "AsyncHTTPTransport HTTPTransport",
        "mock": "MockTransport",
        "pool": "PoolStats",
        "tls": "create_ssl_context",
        "wsgi": "WSGITransport",
    },
)
