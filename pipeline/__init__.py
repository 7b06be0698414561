"""What flows and how: messages, the onion, the runtime, settings and errors. Names are imported when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import exports

if TYPE_CHECKING:
    from .auth import Auth as Auth
    from .cookies import Cookies as Cookies
    from .errors import AttemptTimeout as AttemptTimeout
    from .errors import CloseError as CloseError
    from .errors import ConnectError as ConnectError
    from .errors import ConnectTimeout as ConnectTimeout
    from .errors import CookieConflict as CookieConflict
    from .errors import DecodingError as DecodingError
    from .errors import HTTPError as HTTPError
    from .errors import HTTPStatusError as HTTPStatusError
    from .errors import InvalidURL as InvalidURL
    from .errors import LocalProtocolError as LocalProtocolError
    from .errors import MiddlewareError as MiddlewareError
    from .errors import NetworkError as NetworkError
    from .errors import PoolTimeout as PoolTimeout
    from .errors import ProtocolError as ProtocolError
    from .errors import ProxyError as ProxyError
    from .errors import ReadError as ReadError
    from .errors import ReadTimeout as ReadTimeout
    from .errors import RemoteProtocolError as RemoteProtocolError
    from .errors import RequestError as RequestError
    from .errors import RequestNotRead as RequestNotRead
    from .errors import ResponseNotRead as ResponseNotRead
    from .errors import SSEError as SSEError
    from .errors import StreamClosed as StreamClosed
    from .errors import StreamConsumed as StreamConsumed
    from .errors import StreamError as StreamError
    from .errors import TimeoutException as TimeoutException
    from .errors import TooManyRedirects as TooManyRedirects
    from .errors import TotalTimeout as TotalTimeout
    from .errors import TransportError as TransportError
    from .errors import UnknownOption as UnknownOption
    from .errors import UnsupportedProtocol as UnsupportedProtocol
    from .errors import WriteError as WriteError
    from .errors import WriteTimeout as WriteTimeout
    from .headers import Headers as Headers
    from .layer import Layer as Layer
    from .layer import check_options as check_options
    from .onion import Middleware as Middleware
    from .onion import Next as Next
    from .onion import Send as Send
    from .onion import SyncMiddleware as SyncMiddleware
    from .onion import SyncNext as SyncNext
    from .onion import compose as compose
    from .origin import Origin as Origin
    from .pipeline import PER_ATTEMPT as PER_ATTEMPT
    from .pipeline import PER_CALL as PER_CALL
    from .pipeline import Pipeline as Pipeline
    from .pipeline import Slot as Slot
    from .queryparams import QueryParams as QueryParams
    from .request import Request as Request
    from .response import Response as Response
    from .runtime import AsyncRuntime as AsyncRuntime
    from .runtime import BlockingRuntime as BlockingRuntime
    from .runtime import Event as Event
    from .runtime import Runtime as Runtime
    from .runtime import run as run
    from .settings import Limits as Limits
    from .settings import Proxy as Proxy
    from .settings import Timeout as Timeout
    from .streams import AsyncByteStream as AsyncByteStream
    from .streams import ByteStream as ByteStream
    from .streams import SyncByteStream as SyncByteStream
    from .urls import URL as URL

__all__, __getattr__ = exports(
    __name__,
    {
        "auth": "Auth",
        "cookies": "Cookies",
        "errors": (
            "AttemptTimeout CloseError ConnectError ConnectTimeout CookieConflict "
            "DecodingError HTTPError HTTPStatusError InvalidURL LocalProtocolError "
            "MiddlewareError NetworkError PoolTimeout ProtocolError ProxyError "
            "ReadError ReadTimeout RemoteProtocolError RequestError RequestNotRead "
            "ResponseNotRead SSEError StreamClosed StreamConsumed StreamError "
            "TimeoutException TooManyRedirects TotalTimeout TransportError "
            "UnknownOption UnsupportedProtocol WriteError WriteTimeout"
        ),
        "headers": "Headers",
        "layer": "Layer check_options",
        "onion": "Middleware Next Send SyncMiddleware SyncNext compose",
        "origin": "Origin",
        "pipeline": "PER_ATTEMPT PER_CALL Pipeline Slot",
        "queryparams": "QueryParams",
        "request": "Request",
        "response": "Response",
        "runtime": "AsyncRuntime BlockingRuntime Event Runtime run",
        "settings": "Limits Proxy Timeout",
        "streams": "AsyncByteStream ByteStream SyncByteStream",
        "urls": "URL",
    },
)
