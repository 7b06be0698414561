"""Timeouts, connection limits and proxies: the settings that clients and transports share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .headers import Headers
from .urls import URL

if TYPE_CHECKING:
    import ssl

    from .types import HeaderTypes, SSLContextMaker, TimeoutTypes

__all__ = [
    "DEFAULT_LIMITS",
    "DEFAULT_MAX_REDIRECTS",
    "DEFAULT_TIMEOUT",
    "Limits",
    "Proxy",
    "Timeout",
]


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET = _Unset()


def _seconds(name: str, value: float | None) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"Timeout {name} must be seconds or None, not {value!r}")
    if math.isnan(value) or value < 0:
        raise ValueError(
            f"Timeout {name} must be at least 0 seconds, or None for no limit: {value!r}"
        )
    return value


def _check_limit(name: str, value: object, least: int, *, whole: bool) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        kind = "whole number" if whole else "number"
        raise TypeError(f"Limits {name} must be a {kind} or None, not {value!r}")
    if not value >= least:
        raise ValueError(f"Limits {name} must be at least {least}, or None for no limit: {value!r}")


class Timeout:
    """How long a call and its parts may take, in seconds; None lifts a limit.

    `Timeout(5.0)` sets connect, read, write and pool alike; single ones are then given by name.
    Without a default all four must be named. A tuple gives (connect, read, write, pool).

    Attributes:
        connect: Until the connection stands, TLS handshake included.
        read: Between two received pieces.
        write: Until a piece is handed to the network.
        pool: Waiting for a free connection.
        total: The whole call: pool wait, name resolution, redirects, retries and body included.
            httpx has no such limit; None by default.

    Raises:
        TypeError, ValueError: a limit is not a number, negative or NaN, or neither a default nor
            all four are given.
    """

    __slots__ = ("connect", "pool", "read", "total", "write")

    connect: float | None
    read: float | None
    write: float | None
    pool: float | None
    total: float | None

    def __init__(
        self,
        timeout: TimeoutTypes | _Unset = UNSET,
        *,
        connect: float | None | _Unset = UNSET,
        read: float | None | _Unset = UNSET,
        write: float | None | _Unset = UNSET,
        pool: float | None | _Unset = UNSET,
        total: float | None | _Unset = UNSET,
    ) -> None:
        named = {"connect": connect, "read": read, "write": write, "pool": pool}
        base: dict[str, float | None]
        inherited_total: float | None = None
        if isinstance(timeout, Timeout):
            base = {name: getattr(timeout, name) for name in named}
            inherited_total = timeout.total
        elif isinstance(timeout, tuple):
            if not 2 <= len(timeout) <= 4:
                raise ValueError(
                    f"A timeout tuple is (connect, read, write, pool), the last two optional: {timeout!r}"
                )
            base = dict.fromkeys(named)
            base.update(zip(named, timeout, strict=False))
        elif isinstance(timeout, _Unset):
            if any(isinstance(value, _Unset) for value in named.values()):
                raise ValueError(
                    "Timeout needs either a default, or all of connect, read, write and pool: "
                    "for example Timeout(5.0, connect=60.0)"
                )
            base = {}
        else:
            base = dict.fromkeys(named, timeout)
        for name, value in named.items():
            chosen = base[name] if isinstance(value, _Unset) else value
            setattr(self, name, _seconds(name, chosen))
        self.total = _seconds("total", inherited_total if isinstance(total, _Unset) else total)

    def as_dict(self) -> dict[str, float | None]:
        """The value of `request.extensions["timeout"]`; `total` is named only where it is set."""
        limits = {
            "connect": self.connect,
            "read": self.read,
            "write": self.write,
            "pool": self.pool,
        }
        if self.total is not None:
            limits["total"] = self.total
        return limits

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timeout) and self.as_dict() == other.as_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        parts = []
        if len({self.connect, self.read, self.write, self.pool}) == 1:
            parts.append(f"timeout={self.connect}")
        else:
            parts += [
                f"connect={self.connect}",
                f"read={self.read}",
                f"write={self.write}",
                f"pool={self.pool}",
            ]
        if self.total is not None:
            parts.append(f"total={self.total}")
        return f"{type(self).__name__}({', '.join(parts)})"


class Limits:
    """How many connections a transport may hold, and for how long; None lifts a limit.

    Attributes:
        max_connections: Connections at once, busy and idle.
        max_keepalive_connections: Idle connections kept for reuse.
        keepalive_expiry: Seconds that an idle connection is kept. Less where the server's `Keep-Alive: timeout=`
            says so.
        max_connections_per_host: Connections at once to one origin: scheme, host and port.
        max_connection_age: Seconds after which a connection takes no further request, however busy it is; so that
            changes of DNS and of load balancers are seen. Each connection draws its own, up to a tenth less, so that
            they are not renewed all at once. For calls between services 300 is a good value.
        ping_after: Seconds of silence after which an HTTP/2 connection must answer a PING before it is used again.

    The last three are not httpx's; without them nothing is limited or asked.

    Raises:
        TypeError: a limit is no number, or no whole one where connections are counted.
        ValueError: a limit is too small.
    """

    __slots__ = (
        "keepalive_expiry",
        "max_connection_age",
        "max_connections",
        "max_connections_per_host",
        "max_keepalive_connections",
        "ping_after",
    )

    def __init__(
        self,
        *,
        max_connections: int | None = None,
        max_keepalive_connections: int | None = None,
        keepalive_expiry: float | None = 5.0,
        max_connections_per_host: int | None = None,
        max_connection_age: float | None = None,
        ping_after: float | None = None,
    ) -> None:
        _check_limit("max_connections", max_connections, 1, whole=True)
        _check_limit("max_keepalive_connections", max_keepalive_connections, 0, whole=True)
        _check_limit("keepalive_expiry", keepalive_expiry, 0, whole=False)
        _check_limit("max_connections_per_host", max_connections_per_host, 1, whole=True)
        _check_limit("max_connection_age", max_connection_age, 0, whole=False)
        _check_limit("ping_after", ping_after, 0, whole=False)
        self.max_connections = max_connections
        self.max_keepalive_connections = max_keepalive_connections
        self.keepalive_expiry = keepalive_expiry
        self.max_connections_per_host = max_connections_per_host
        self.max_connection_age = max_connection_age
        self.ping_after = ping_after

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Limits) and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        parts = [
            f"max_connections={self.max_connections}",
            f"max_keepalive_connections={self.max_keepalive_connections}",
            f"keepalive_expiry={self.keepalive_expiry}",
        ]
        ours = ("max_connections_per_host", "max_connection_age", "ping_after")
        values = [(name, getattr(self, name)) for name in ours]
        parts += [f"{name}={value}" for name, value in values if value is not None]
        return f"Limits({', '.join(parts)})"


class Proxy:
    """A proxy and what it is told: `Proxy("http://user:pass@localhost:3128")`.

    Attributes:
        url: The proxy's URL, its userinfo moved to `auth`.
        auth: (user, password) or None.
        headers: Sent to the proxy only, never to the origin.
        ssl_context: For TLS to the proxy itself: a context, or a `scallion.TLS`; None for the default.

    Raises:
        ValueError: the scheme is none of http, https, socks5, socks5h.
    """

    def __init__(
        self,
        url: URL | str,
        *,
        ssl_context: ssl.SSLContext | SSLContextMaker | None = None,
        auth: tuple[str, str] | None = None,
        headers: HeaderTypes | None = None,
    ) -> None:
        url = URL(url)
        if url.scheme not in ("http", "https", "socks5", "socks5h"):
            raise ValueError(
                # Not quoted: what stands where the scheme should be may be a name and a password.
                "Unknown scheme for proxy URL: expected http, https, socks5 or socks5h, "
                "for example Proxy('http://localhost:3128')"
            )
        if url.username or url.password:
            # httpx's order: what the URL says wins.
            auth = url.username, url.password
            url = url.copy_with(username=None, password=None)
        self.url = url
        self.auth = auth
        self.headers = Headers(headers)
        self.ssl_context = ssl_context

    @property
    def raw_auth(self) -> tuple[bytes, bytes] | None:
        if self.auth is None:
            return None
        return self.auth[0].encode("utf-8"), self.auth[1].encode("utf-8")

    def __repr__(self) -> str:
        parts: list[Any] = [repr(str(self.url))]
        if self.auth is not None:
            parts.append(f"auth=({self.auth[0]!r}, '********')")
        if self.headers:
            parts.append(f"headers={repr(self.headers).removeprefix('Headers(').removesuffix(')')}")
        return f"Proxy({', '.join(parts)})"


DEFAULT_TIMEOUT = Timeout(5.0)
DEFAULT_LIMITS = Limits(max_connections=100, max_keepalive_connections=20)
DEFAULT_MAX_REDIRECTS = 20
