"""A transport that calls a WSGI application (PEP 3333) in the same process, with no network between them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from scallion.pipeline.errors import UnsupportedProtocol
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.streams import SyncByteStream

from .base import BaseTransport
from .wsgi_exchange import Exchange

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["WSGITransport"]

_PORTS = {"http": 80, "https": 443}


class WSGITransport(BaseTransport):
    """Sends requests to a WSGI application, in the caller's thread.

    The app reads the request's body from `wsgi.input` as it is made, and its response's pieces are made as they are
    read. A response is returned at its first piece that is not empty, as PEP 3333 lets the app replace the head until
    then. The app's iterable is closed with the response, once, and at its end or failure in any case.

    Any number of threads at once, if the app allows for it.

    Args:
        app: Called as `app(environ, start_response)`.
        raise_app_exceptions: Whether what the app raises, or hands to `start_response` as `exc_info`, comes out of the
            request, or of its response's body if that has begun. If not, the answer is a 500, or the app's own for
            `exc_info`, and a body that has begun ends in `RemoteProtocolError`.
        script_name: Where the app is mounted, for its environ.
        remote_addr: The client's address, for its environ.
        wsgi_errors: Where the app writes what its operator should read; None for `sys.stderr`.

    Raises:
        TypeError: `app` cannot be called.
    """

    def __init__(
        self,
        app: WSGIApplication,
        raise_app_exceptions: bool = True,
        script_name: str = "",
        remote_addr: str = "127.0.0.1",
        wsgi_errors: TextIO | None = None,
    ) -> None:
        if not callable(app):
            raise TypeError(f"WSGITransport needs a WSGI application, which is called, not {app!r}")
        self.app = app
        self.raise_app_exceptions = raise_app_exceptions
        self.script_name = script_name
        self.remote_addr = remote_addr
        self.wsgi_errors = wsgi_errors

    def handle_request(self, request: Request) -> Response:
        """Call the app and wait for the head of its response.

        Raises:
            RemoteProtocolError: the app ended without `start_response`.
            UnsupportedProtocol: the URL is neither http nor https, and names no port.
            BaseException: what the app raised.
        """
        if not isinstance(request.stream, SyncByteStream):
            raise RuntimeError(
                "Attempted to send an async request with a sync Client instance: its body is an async iterator; "
                "give bytes or a plain iterator"
            )
        exchange = Exchange(request, request.stream, raises=self.raise_app_exceptions)
        return exchange.begin(self.app, self._environ(request, exchange.input))

    def _environ(self, request: Request, body: BinaryIO) -> dict[str, Any]:
        url = request.url
        port = url.port or _PORTS.get(url.scheme)
        if port is None:
            raise UnsupportedProtocol(
                f"A WSGI application is asked by http:// or https://, not {url.scheme!r}",
                request=request,
            )
        environ: dict[str, Any] = {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": url.scheme,
            "wsgi.input": body,
            "wsgi.errors": self.wsgi_errors or sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": self.script_name,
            "PATH_INFO": _octets(url.raw_path.partition(b"?")[0]),
            "QUERY_STRING": url.query.decode("ascii"),
            "SERVER_NAME": url.raw_host.decode("ascii"),
            "SERVER_PORT": str(port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self.remote_addr,
        }
        for raw_name, raw_value in request.headers.raw:
            name = raw_name.decode("latin-1").upper().replace("-", "_")
            value = raw_value.decode("latin-1")
            if name not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                name = f"HTTP_{name}"
            if name in environ:
                # RFC 3875 section 4.1.18; cookies, RFC 6265 section 5.4.
                value = f"{environ[name]}{'; ' if name == 'HTTP_COOKIE' else ', '}{value}"
            environ[name] = value
        if "CONTENT_LENGTH" not in environ and "HTTP_TRANSFER_ENCODING" in environ:
            # Without it frameworks take a body of unknown length for none.
            environ["wsgi.input_terminated"] = True
        return environ

    def __repr__(self) -> str:
        return f"WSGITransport({getattr(self.app, '__name__', self.app)!s})"


def _octets(raw_path: bytes) -> str:
    """The path's octets, each as the character of its number, as PEP 3333 wants it."""
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(raw_path).decode("latin-1")
