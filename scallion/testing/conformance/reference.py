"""The other side of a transport under test: what its factory is given."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.settings import Limits

from .applications import asgi_application, handler_of, wsgi_application
from .gates import Gate, Gates
from .serving import Server

if TYPE_CHECKING:
    import ssl

    from .colours import Colour

__all__ = ["Reference"]


class Reference:
    """The server that a transport is checked against, in each form that a transport may want.

    A factory picks the form that suits its transport, and returns the transport, or a pair of it and the
    base URL. Without a URL that is `reference.url`. Servers are started when their form is first asked for.

    Attributes:
        colour: What the transport is wanted for: "sync", "asyncio" or "trio".
        limits: Limits that a transport with a pool is to be made with; rules on pools change them.
        secret: A password for whatever the factory has to log in with; it must be in no repr and no error.
        asgi: The same as an ASGI application.
        wsgi: The same as a WSGI application.
        handler: The same as a function from a `Request`, its body read, to a `Response` of both colours.
    """

    colour: Colour

    def __init__(self, colour: Colour = "sync", patience: float = 5.0) -> None:
        self.colour = colour
        self.limits = Limits(max_connections=100, max_keepalive_connections=20)
        self.secret = f"secret{secrets.token_hex(8)}"
        self.gates = Gates(patience)
        self.asgi: Callable[..., Any] = asgi_application(self.gates)
        self.wsgi: Callable[..., Any] = wsgi_application(self.gates)
        self.handler: Callable[[Request], Response] = handler_of(
            self.gates, blocking=colour == "sync"
        )
        self._servers: dict[str, Server] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def url(self) -> str:
        """The root of a server on loopback: HTTP/1.1, and HTTP/2 with prior knowledge."""
        return f"http://127.0.0.1:{self._server('tcp').address[1]}"

    @property
    def tls_url(self) -> str:
        """The same over TLS, with HTTP/2 by ALPN; `ssl_context` trusts it.

        Raises:
            ImportError: trustme is missing.
        """
        return f"https://localhost:{self._server('tls').address[1]}"

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """A client's context that trusts the server at `tls_url`."""
        from .certificates import contexts

        return contexts()[1]

    @property
    def unix_socket(self) -> str:
        """The path of a Unix socket with the same server behind it."""
        return str(self._server("unix").address)

    @property
    def connections(self) -> int:
        """How many connections to the servers are open."""
        return sum(server.connections for server in self._servers.values())

    @property
    def accepted(self) -> int:
        """How many connections there were."""
        return sum(server.accepted for server in self._servers.values())

    def hang_up(self) -> None:
        """Close the connections that are idle, as servers do after a while, and wait until that is done."""
        for server in self._servers.values():
            server.hang_up()

    def gate(self) -> Gate:
        """A new gate; see `Gate`."""
        return self.gates.new()

    def close(self) -> None:
        """Stop the servers."""
        self.gates.open_all()
        servers, self._servers = self._servers, {}
        for server in servers.values():
            server.close()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _server(self, kind: str) -> Server:
        server = self._servers.get(kind)
        if server is None:
            server = self._servers[kind] = self._start(kind)
        return server

    def _start(self, kind: str) -> Server:
        if kind == "tls":
            from .certificates import contexts

            return Server(self.gates, tls=contexts()[0])
        if kind == "unix":
            self._folder = tempfile.TemporaryDirectory()
            return Server(self.gates, path=str(Path(self._folder.name) / "socket"))
        return Server(self.gates)
