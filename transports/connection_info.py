"""`response.extensions["connection"]`: which connection carried an exchange, and when what happened on it.

It is called "connection" beside httpx's "network_stream", which is that connection's bytes: this one is for looking at.

Every response has one, so it is made of what is at hand: a connection's own part, `Link`, is made once when it is
opened and shared by all its exchanges; what costs anything is worked out when it is asked for. Neither holds the
connection itself, nor its pool: a response that is kept keeps no client alive, and goes on answering when the
connection was closed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from .network.base import ByteChannel
    from .tls_info import TLSInfo

__all__ = ["ConnectionInfo", "Link", "Opening", "Steps", "named_address"]


class Opening(NamedTuple):
    """How long the parts of making a connection took, in seconds; None for what there was not."""

    dns: float | None = None
    connect: float | None = None
    tls: float | None = None


class Steps:
    """The moments of one exchange, on `time.perf_counter`'s clock. Each is unset until it has come.

    Attributes:
        queued: How many seconds the request waited for a connection; unset if it did not.
        opening: How the connection came to be, if this request had it opened.
        began: When the connection was there.
        sent: When the request had been written.
        answered: When the response's head was here.
    """

    __slots__ = ("answered", "began", "opening", "queued", "sent")

    answered: float
    began: float
    opening: Opening
    queued: float
    sent: float


class Link:
    """What all exchanges on one connection have in common. Made when it is opened, of what costs next to nothing.

    Attributes:
        protocol: "HTTP/1.1" or "HTTP/2".
        peer: Where it leads to: (address, port), or a Unix socket's path; None if that cannot be told.
        local: Where it comes from.
        proxy: The URL of the proxy that it goes through, without the login.
        opening: How long it took to open it.
        opened: When that was done, on `time.perf_counter`'s clock.
        opened_at: The same in seconds since the epoch.
        ssl: The encryption towards the server, as the ssl module has it.
    """

    __slots__ = ("local", "opened", "opened_at", "opening", "peer", "protocol", "proxy", "ssl")

    def __init__(self, channel: ByteChannel, protocol: str) -> None:
        self.protocol = protocol
        self.peer = _address(channel.info("server_addr"))
        self.local = _address(channel.info("client_addr"))
        self.ssl: Any = channel.info("ssl_object")
        self.proxy: str | None = None
        self.opening = Opening()
        self.opened = time.perf_counter()
        self.opened_at = time.time()


class ConnectionInfo:
    """One exchange's connection. Fit to be kept: it goes on answering when the connection was closed.

    Attributes:
        exchange: Which one this is on its connection, counted from 1.
        stream_id: HTTP/2's number for it (RFC 9113 section 5.1.1); None in HTTP/1.1.
        steps: The moments that `response.timings` is made of.
    """

    __slots__ = ("_link", "exchange", "steps", "stream_id")

    def __init__(self, link: Link, exchange: int, stream_id: int | None, steps: Steps) -> None:
        self._link = link
        self.exchange = exchange
        self.stream_id = stream_id
        self.steps = steps

    @property
    def protocol(self) -> str:
        """Which one is spoken: "HTTP/1.1" or "HTTP/2"."""
        return self._link.protocol

    @property
    def reused(self) -> bool:
        """Whether another request went over this connection before."""
        return self.exchange > 1

    @property
    def peer(self) -> tuple[str, int] | str | bytes | None:
        """Where the connection leads to: (address, port), or a Unix socket's path. With a proxy that is the proxy."""
        return self._link.peer

    @property
    def local(self) -> tuple[str, int] | str | bytes | None:
        """Where it comes from, likewise."""
        return self._link.local

    @property
    def proxy(self) -> str | None:
        """The URL of the proxy that it goes through, without the login; None for none."""
        return self._link.proxy

    @property
    def tls(self) -> TLSInfo | None:
        """What TLS agreed on with the server; None if nothing is encrypted, or only the way to a proxy."""
        ssl = self._link.ssl
        if ssl is None:
            return None
        from .tls_info import TLSInfo

        return TLSInfo.of(ssl)

    @property
    def opened_at(self) -> datetime:
        """When it was opened, in UTC."""
        from datetime import UTC, datetime

        return datetime.fromtimestamp(self._link.opened_at, UTC)

    @property
    def age(self) -> float:
        """Seconds since it was opened, whether or not it still is."""
        return time.perf_counter() - self._link.opened

    def __repr__(self) -> str:
        parts = [f"{self.protocol} to {named_address(self.peer)}"]
        if self.proxy is not None:
            parts.append(f"proxy {self.proxy}")
        tls = self.tls
        if tls is not None:
            parts.append(f"{tls.version}")
        parts.append(f"exchange {self.exchange}")
        if self.stream_id is not None:
            parts.append(f"stream {self.stream_id}")
        return f"<Connection {', '.join(parts)}>"


def _address(address: Any) -> tuple[str, int] | str | bytes | None:
    """IPv6 adds a flow and a scope, which are left out."""
    return (address[0], address[1]) if isinstance(address, tuple) else address


def named_address(address: Any) -> str:
    """As people write it: `192.0.2.1:443`, `[2001:db8::1]:443`, `/run/socket`."""
    # Cases: unknown; host and port; a path, of which Linux knows abstract ones that begin with a null.
    if address is None:
        return "an unknown address"
    if isinstance(address, tuple):
        host, port = address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    path = address.decode("utf-8", "replace") if isinstance(address, bytes) else address
    return f"@{path[1:]}" if path.startswith("\0") else path
