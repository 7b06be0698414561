"""Proxies (RFC 9112 section 3.2.2, RFC 9110 section 9.3.6): what they are told, and how a tunnel is opened through one.

A request for http goes to the proxy as it is, naming its whole URL; one for https goes through a tunnel, of whose
contents the proxy sees nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from scallion.pipeline.errors import (
    ConnectTimeout,
    ProxyError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    WriteError,
    WriteTimeout,
)
from scallion.pipeline.request import Request
from scallion.pipeline.settings import Proxy

from .messages import RawHeaders
from .network.base import ByteChannel
from .trace import Step, Trace

__all__ = ["login_wanted", "open_tunnel", "proxy_headers"]


def proxy_headers(proxy: Proxy) -> RawHeaders:
    """What the proxy is told: the login, and headers of its own.

    Through a tunnel none of it reaches the origin. A proxy that forwards a request takes the login out (RFC 9110
    section 11.7.1) and may forward the rest.
    """
    headers: RawHeaders = []
    if proxy.raw_auth is not None:
        # RFC 7617: Basic.
        token = base64.b64encode(b":".join(proxy.raw_auth))
        headers.append((b"Proxy-Authorization", b"Basic " + token))
    headers += proxy.headers.raw
    return headers


def login_wanted(reason: bytes, proxy: object) -> ProxyError:
    """What a 407 means (RFC 9110 section 15.5.8); `proxy` is its URL."""
    return ProxyError(
        f"407 {_printable(reason)}: the proxy {proxy} wants a login, or another one: "
        "give it as Proxy(url, auth=(user, password))"
    )


def _printable(reason: bytes) -> str:
    """A reason phrase without what a terminal would obey."""
    text = reason.decode("latin-1")
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


async def open_tunnel(
    channel: ByteChannel,
    proxy: Proxy,
    host: str,
    port: int,
    left: Callable[[], float | None],
    trace: Trace | None = None,
) -> None:
    """Ask the proxy for a tunnel (RFC 9110 section 9.3.6).

    Args:
        left: Tells how many seconds a step may take; None for any.
        trace: Told of the exchange with the proxy.

    Raises:
        ConnectTimeout: the proxy did not answer in time.
        ProxyError: it refused, wants a login, or hung up.
    """
    authority = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode("ascii")
    from .codec import H11Codec

    codec = H11Codec()
    headers = [(b"Host", authority), (b"Accept", b"*/*"), *proxy_headers(proxy)]
    details = {} if trace is None else {"request": _told(proxy, authority, headers)}
    try:
        async with Step(trace, "http11.send_request_headers", details):
            await channel.write(codec.start(b"CONNECT", authority, headers, b""), left())
        async with Step(trace, "http11.send_request_body", details):
            """There is none."""
        async with Step(trace, "http11.receive_response_headers", details) as step:
            while (head := codec.head()) is None:
                codec.feed(await channel.read(16 * 1024, left()))
            step.returned = (head.version, head.status, head.reason, head.headers)
    except (ReadTimeout, WriteTimeout) as error:
        raise ConnectTimeout(
            f"The proxy {proxy.url} opened no tunnel to {host}:{port} in time: {error}"
        ) from error
    except (ReadError, RemoteProtocolError, WriteError) as error:
        raise ProxyError(
            f"The proxy {proxy.url} broke off the tunnel to {host}:{port}: {error}"
        ) from error
    if head.status == 407:
        raise login_wanted(head.reason, proxy.url)
    if not 200 <= head.status < 300:
        raise ProxyError(
            f"{head.status} {_printable(head.reason)}: the proxy {proxy.url} refused the tunnel to {host}:{port}"
        )
    if codec.leftover():
        # The server speaks second in TLS, so these are the proxy's own words.
        raise ProxyError(f"The proxy {proxy.url} spoke into the tunnel to {host}:{port}")


def _told(proxy: Proxy, authority: bytes, headers: RawHeaders) -> Request:
    """The request for a tunnel, as a trace is told of it."""
    extensions = {"target": authority}
    return Request("CONNECT", proxy.url, headers=list(headers), extensions=extensions)
