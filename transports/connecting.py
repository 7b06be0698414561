"""Routes: how a connection to an origin comes to be, directly, by Unix socket, through a proxy; and with TLS.

A route is decided once per origin; opening it is a chain of few waits under one connect timeout and
the call's deadline.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

from scallion.pipeline.errors import (
    ConnectError,
    ConnectTimeout,
    LocalProtocolError,
    UnsupportedProtocol,
)
from scallion.pipeline.request import Request
from scallion.pipeline.runtime import Runtime
from scallion.pipeline.settings import Proxy

from .connect_clock import ConnectClock
from .deadlines import overdue
from .http11 import HTTP11Connection, Owner
from .network.base import ByteChannel, Network, SocketOption
from .proxy import open_tunnel, proxy_headers
from .socks import ask_socks, check_socks
from .trace import Trace, step_of

if TYPE_CHECKING:
    import ssl

    from scallion.pipeline.types import VerifyTypes

    from .resolving import Resolver

__all__ = ["Connector", "Origin"]

Origin: TypeAlias = tuple[str, str, int] | tuple[str, str, int, str]
"""Scheme, host as it is connected to, port; and the TLS server name, if the request gives another."""

TLS_SCHEMES = frozenset({"https", "wss"})
SCHEMES = frozenset({"http", "https", "ws", "wss"})
SOCKS_PORT = 1080
BACKOFF = 0.5
"""Seconds before the second further try to connect; it doubles with each (the first comes at once)."""


class Connector:
    """Opens connections as one transport is set up.

    Args:
        verify, cert, trust_env: The TLS settings: a context, or what one is made of at the first https connection.
        retries: Further tries when connecting fails; they wait 0, 0.5, 1, 2, ... seconds.
        resolver: Who knows the addresses of names; the operating system by default.
        tcp_keepalive: Seconds of silence after which TCP asks whether the peer lives; None for never.
    """

    def __init__(
        self,
        *,
        verify: VerifyTypes = True,
        cert: Any = None,
        trust_env: bool = True,
        proxy: Proxy | None = None,
        uds: str | bytes | None = None,
        local_address: str | None = None,
        retries: int = 0,
        socket_options: Sequence[SocketOption] = (),
        resolver: Resolver | None = None,
        tcp_keepalive: float | None = None,
        http1: bool = True,
        http2: bool = False,
    ) -> None:
        if uds is not None and proxy is not None:
            raise ValueError(
                "uds= and proxy= exclude each other: a Unix socket leads to one server"
            )
        self._socks = proxy is not None and proxy.url.scheme in ("socks5", "socks5h")
        if proxy is not None and self._socks:
            check_socks(proxy)
        self._verify = verify
        self._cert = cert
        self._trust_env = trust_env
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}
        self._proxy_context: ssl.SSLContext | None = None
        self._proxy = proxy
        self._uds = uds
        self._local_address = local_address
        self._retries = retries
        self._socket_options = socket_options
        self._resolver = resolver
        self._tcp_keepalive = tcp_keepalive
        self._http1 = http1
        self._http2 = http2
        # A plain transport loads its authorities when it first needs them; what can be wrong is wrong at once.
        named = trust_env and (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSLKEYLOGFILE"))
        if verify is not True or cert or named:
            from .tls import check_files

            check_files(verify, cert, trust_env, self._alpn(http2=http2))
        if proxy is not None and proxy.ssl_context is not None:
            from .tls import check_files

            check_files(proxy.ssl_context, None, trust_env, ("http/1.1",), "ssl_context")

    def may_speak_http2(self, origin: Origin) -> bool:
        """Whether a connection to `origin` may turn out to be one."""
        # Cases: asked for by ALPN, which WebSockets (RFC 6455) are not; known beforehand, which no forward proxy is.
        scheme = origin[0]
        return self._http2 and (
            scheme == "https"
            or (scheme == "http" and not self._http1 and (self._proxy is None or self._socks))
        )

    def origin(self, request: Request) -> Origin:
        """Where `request` goes.

        Raises:
            UnsupportedProtocol: the URL's scheme is missing or unknown.
            LocalProtocolError: the URL has no host.
        """
        origin = request.url.origin_key
        scheme, host, _ = origin
        if scheme not in SCHEMES:
            raise UnsupportedProtocol(_no_scheme(scheme), request=request)
        if not host:
            raise LocalProtocolError(f"The URL {request.url!r} has no host", request=request)
        # A connection whose certificate was checked for one name is none for another.
        name = request.extensions.get("sni_hostname")
        if not name:
            return origin
        if not isinstance(name, (str, bytes)):
            raise TypeError(
                f"The request extension 'sni_hostname' is a str or bytes, not {type(name).__name__}"
            )
        from .tls import server_name

        return (*origin, server_name(name if isinstance(name, str) else name.decode("ascii")))

    async def open(
        self, request: Request, origin: Origin, network: Network, runtime: Runtime, owner: Owner
    ) -> Any:
        """Open a connection to `origin` for `request`, whose connect timeout and deadline hold.

        It is an `HTTP11Connection`, or where `may_speak_http2` an `HTTP2Connection`.

        Raises:
            ConnectTimeout, ConnectError, ProxyError, TotalTimeout: it could not be opened; nothing is left behind.
        """
        tries = 0
        since = perf_counter()
        while True:
            try:
                return await self._open(request, origin, network, runtime, owner, since)
            except (ConnectError, ConnectTimeout) as error:
                if tries >= self._retries:
                    raise
                tries += 1
                wait = 0.0 if tries == 1 else BACKOFF * 2 ** (tries - 2)
                if request.deadline is not None and runtime.clock() + wait >= request.deadline:
                    raise
                request.note("connection.retry", wait=wait, reason=str(error))
                limit = (request.extensions.get("timeout") or {}).get("connect")
                details = self._target(origin[1], origin[2], limit)
                async with step_of(request, runtime, "connection.retry", details):
                    await runtime.sleep(wait)

    async def _open(
        self,
        request: Request,
        origin: Origin,
        network: Network,
        runtime: Runtime,
        owner: Owner,
        since: float,
    ) -> Any:
        scheme, host, port = origin[:3]
        proxy = self._proxy
        clock = ConnectClock(request, runtime)
        try:
            if proxy is None:
                channel = await self._reach(network, host, port, clock, runtime)
            else:
                channel = await self._reach_proxy(network, proxy, clock, runtime)
            try:
                # Cases: SOCKS, which leads anywhere; a forward proxy, asked for a tunnel where TLS follows; none.
                by_proxy = False
                if proxy is not None and self._socks:
                    await self._ask_socks(channel, proxy, host, port, clock, runtime)
                elif proxy is not None:
                    by_proxy = scheme not in TLS_SCHEMES
                    if not by_proxy:
                        trace = Trace.of(request, runtime, "http11")
                        await open_tunnel(channel, proxy, host, port, clock.left, trace)
                if scheme in TLS_SCHEMES:
                    name = origin[3] if len(origin) == 4 else _name_for(host, self._verify)
                    began = perf_counter()
                    context = await self._context(origin, runtime)
                    part = "connection" if proxy is None else "socks" if self._socks else "proxy"
                    channel = await _encrypted(channel, context, name, clock, runtime, part)
                    clock.encrypted(began)
            except BaseException:
                channel.close()
                raise
        except ConnectTimeout as error:
            meant = overdue(error, request, runtime, "connecting")
            if meant is not error:
                raise meant from error
            raise
        request.note(
            "connection.opened", origin=f"{scheme}://{host}:{port}", proxied=proxy is not None
        )
        if self.may_speak_http2(origin) and (not self._http1 or _chose_http2(channel)):
            from .http2 import HTTP2Connection

            carrier: Any = channel
            sharer: Any = owner
            connection: Any = HTTP2Connection(carrier, runtime, origin, sharer)
        else:
            extra = proxy_headers(proxy) if by_proxy and proxy is not None else None
            connection = HTTP11Connection(
                channel, runtime, origin, owner, by_proxy=by_proxy, extra_headers=extra
            )
        link = connection.link
        link.opening = clock.opening(since)
        if proxy is not None:
            link.proxy = str(proxy.url)
        if scheme not in TLS_SCHEMES:
            # A forward proxy may be spoken to in TLS; that hides nothing from the proxy.
            link.ssl = None
        return connection

    async def _reach(
        self, network: Network, host: str, port: int, clock: ConnectClock, runtime: Runtime
    ) -> ByteChannel:
        if self._uds is None:
            return await self._connect_tcp(network, host, port, clock, runtime)
        limit = clock.left()
        options = self._socket_options
        details = {"path": self._uds, "timeout": limit, "socket_options": options or None}
        async with step_of(
            clock.request, runtime, "connection.connect_unix_socket", details
        ) as step:
            channel = await network.connect_unix(self._uds, limit, options)
            if step.told:
                step.returned = _stream_over(channel, runtime)
        return channel

    async def _connect_tcp(
        self, network: Network, host: str, port: int, clock: ConnectClock, runtime: Runtime
    ) -> ByteChannel:
        limit = clock.left()
        details = self._target(host, port, limit)
        async with step_of(clock.request, runtime, "connection.connect_tcp", details) as step:
            clock.resolving()
            addresses = await self._addresses(network, host, port, clock, runtime)
            if addresses is not None:
                clock.resolved()
                limit = clock.left()
            try:
                channel = await network.connect_tcp(
                    host,
                    port,
                    limit,
                    self._local_address,
                    self._socket_options,
                    addresses=addresses,
                    keepalive=self._tcp_keepalive,
                )
            except (ConnectError, ConnectTimeout):
                if addresses is not None:
                    from .resolving import forget

                    forget(self._resolver, host, port)
                raise
            if step.told:
                step.returned = _stream_over(channel, runtime)
        return channel

    async def _addresses(
        self, network: Network, host: str, port: int, clock: ConnectClock, runtime: Runtime
    ) -> list[tuple[str, int]] | None:
        """Where a name leads; None for an address, which no resolver is asked for."""
        from .network.connecting import is_address

        if is_address(host):
            return None
        from .resolving import Lookup, as_resolver, find

        if self._resolver is None:
            self._resolver = as_resolver(None)
        return await find(self._resolver, host, port, Lookup(network, runtime, clock.left))

    def _target(self, host: str, port: int, limit: float | None) -> dict[str, Any]:
        """What a trace is told of a connection to be."""
        return {
            "host": host,
            "port": port,
            "local_address": self._local_address,
            "timeout": limit,
            "socket_options": self._socket_options or None,
        }

    async def _ask_socks(
        self,
        channel: ByteChannel,
        proxy: Proxy,
        host: str,
        port: int,
        clock: ConnectClock,
        runtime: Runtime,
    ) -> None:
        details = {"host": host, "port": port}
        async with step_of(
            clock.request, runtime, "socks.setup_socks5_connection", details
        ) as step:
            await ask_socks(channel, proxy, host, port, clock.left)
            if step.told:
                step.returned = _stream_over(channel, runtime)

    async def _reach_proxy(
        self, network: Network, proxy: Proxy, clock: ConnectClock, runtime: Runtime
    ) -> ByteChannel:
        scheme, host, port = proxy.url.origin_key
        context = None
        if scheme == "https":
            context = await self._context_for_proxy(proxy, runtime)
        channel = await self._connect_tcp(network, host, port or SOCKS_PORT, clock, runtime)
        if context is None:
            return channel
        began = perf_counter()
        try:
            name = _name_for(host, proxy.ssl_context)
            channel = await _encrypted(channel, context, name, clock, runtime)
        except ConnectError as error:
            channel.close()
            raise ConnectError(f"The proxy {proxy.url}: {error}") from error.__cause__
        except BaseException:
            channel.close()
            raise
        clock.encrypted(began)
        return channel

    async def _context(self, origin: Origin, runtime: Runtime) -> ssl.SSLContext:
        """The TLS settings: made once, off the event loop, as reading the authorities takes 20 ms."""
        alpn = self._alpn(http2=self.may_speak_http2(origin))
        context = self._contexts.get(alpn)
        if context is None:
            context = await self._made(self._verify, self._cert, alpn, runtime)
            self._contexts[alpn] = context
        return context

    async def _context_for_proxy(self, proxy: Proxy, runtime: Runtime) -> ssl.SSLContext:
        """Likewise. A context that the user gave is left as it is."""
        given: Any = proxy.ssl_context
        if given is not None and hasattr(given, "wrap_bio"):
            context: ssl.SSLContext = given
            return context
        if self._proxy_context is None:
            verify: Any = True if given is None else given
            self._proxy_context = await self._made(verify, None, ("http/1.1",), runtime)
        return self._proxy_context

    async def _made(
        self, verify: Any, cert: Any, alpn: tuple[str, ...], runtime: Runtime
    ) -> ssl.SSLContext:
        """The process's context: as it is where somebody had it made before, and otherwise made in a thread."""
        from .tls import default_ssl_context, known_ssl_context

        known = known_ssl_context(verify, cert, self._trust_env, alpn)
        if known is not None:
            return known
        return await runtime.offload(
            lambda: default_ssl_context(verify, cert, self._trust_env, alpn)
        )

    def _alpn(self, *, http2: bool) -> tuple[str, ...]:
        """The protocols to offer, best first."""
        if not http2:
            return ("http/1.1",)
        return ("h2", "http/1.1") if self._http1 else ("h2",)


async def _encrypted(
    channel: ByteChannel,
    context: ssl.SSLContext,
    name: str | None,
    clock: ConnectClock,
    runtime: Runtime,
    part: str = "connection",
) -> ByteChannel:
    limit = clock.left()
    details = {"ssl_context": context, "server_hostname": name, "timeout": limit}
    async with step_of(clock.request, runtime, f"{part}.start_tls", details) as step:
        channel = await channel.start_tls(context, name, limit)
        if step.told:
            step.returned = _stream_over(channel, runtime)
    return channel


def _name_for(host: str, verify: Any) -> str:
    """Whose certificate it has to be, and who is asked for."""
    from .tls import server_name

    return getattr(verify, "server_hostname", None) or server_name(host)


def _stream_over(channel: ByteChannel, runtime: Runtime) -> Any:
    from .network_stream import stream_over

    return stream_over(channel, runtime)


def _chose_http2(channel: ByteChannel) -> bool:
    """Whether the server chose HTTP/2 in the TLS handshake (RFC 7301)."""
    tls = channel.info("ssl_object")
    return tls is not None and tls.selected_alpn_protocol() == "h2"


def _no_scheme(scheme: str) -> str:
    if scheme:
        return f"Request URL has an unsupported protocol '{scheme}://'."
    return "Request URL is missing an 'http://' or 'https://' protocol."
