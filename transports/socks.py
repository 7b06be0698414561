"""SOCKS5 proxies (RFC 1928, with the login of RFC 1929): how one is asked to connect to the origin.

Names go to the proxy as they are, for `socks5` and `socks5h` alike, as in httpx: it may know names that nobody knows
here, and what is asked for does not leak to a name server.

The messages are socksio's; how many bytes belong to each reply is known here, so that nothing beyond it is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from scallion.pipeline.errors import (
    ConnectTimeout,
    ProxyError,
    ReadError,
    ReadTimeout,
    UnsupportedProtocol,
    WriteError,
    WriteTimeout,
)
from scallion.pipeline.settings import Proxy

from .network.base import ByteChannel

if TYPE_CHECKING:
    from socksio.socks5 import SOCKS5Connection

__all__ = ["ask_socks", "check_socks"]

MOST = 255
"""A name, a user and a password are at most so many bytes long: one byte tells their length."""


def check_socks(proxy: Proxy) -> None:
    """Refuse at once what could never be sent.

    Raises:
        UnsupportedProtocol: socksio is not installed.
        ValueError: user or password is empty or too long for RFC 1929; or there are headers, which SOCKS has not.
    """
    try:
        import socksio  # noqa: F401
    except ImportError:
        raise UnsupportedProtocol(
            f"Proxies of scheme {proxy.url.scheme!r} need the package socksio: "
            "pip install 'scallion[socks]'"
        ) from None
    if proxy.headers:
        raise ValueError(
            "SOCKS5 knows no headers: Proxy(headers=...) is for http and https proxies"
        )
    if proxy.raw_auth is not None and not all(0 < len(part) <= MOST for part in proxy.raw_auth):
        raise ValueError(
            f"SOCKS5 wants a user and a password of 1 to {MOST} bytes each (RFC 1929 section 2)"
        )


async def ask_socks(
    channel: ByteChannel, proxy: Proxy, host: str, port: int, left: Callable[[], float | None]
) -> None:
    """Log in if need be, and have the proxy connect to `host` and `port`; the channel then leads there.

    Args:
        left: Tells how many seconds a step may take; None for any.

    Raises:
        ConnectTimeout: the proxy did not answer in time.
        ProxyError: it refused, wants a login, does not speak SOCKS5, or hung up.
    """
    from socksio.exceptions import ProtocolError
    from socksio.socks5 import SOCKS5Connection

    if len(host.encode("ascii", "replace")) > MOST:
        raise ProxyError(f"SOCKS5 takes host names of at most {MOST} bytes: {host[:40]!r}...")
    talk = _Talk(channel, SOCKS5Connection(), left)
    try:
        await _log_in(talk, proxy)
        await _connect(talk, proxy, host, port)
    except (ReadTimeout, WriteTimeout) as error:
        raise ConnectTimeout(
            f"The proxy {proxy.url} did not connect to {host}:{port} in time: {error}"
        ) from error
    except (ReadError, WriteError) as error:
        raise ProxyError(
            f"The proxy {proxy.url} broke off connecting to {host}:{port}: {error}"
        ) from error
    except ProtocolError as error:
        raise ProxyError(f"The proxy {proxy.url} does not speak SOCKS5: {error}") from error


class _Talk:
    def __init__(
        self, channel: ByteChannel, protocol: SOCKS5Connection, left: Callable[[], float | None]
    ) -> None:
        self._channel = channel
        self._left = left
        self.protocol: Any = protocol

    async def send(self) -> None:
        await self._channel.write(self.protocol.data_to_send(), self._left())

    async def receive(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            data = await self._channel.read(size - len(received), self._left())
            if not data:
                raise ReadError("it closed the connection")
            received += data
        return received


async def _log_in(talk: _Talk, proxy: Proxy) -> None:
    from socksio.socks5 import (
        SOCKS5AuthMethod,
        SOCKS5AuthMethodsRequest,
        SOCKS5UsernamePasswordRequest,
    )

    login = proxy.raw_auth
    methods = [SOCKS5AuthMethod.NO_AUTH_REQUIRED]
    if login is not None:
        methods.append(SOCKS5AuthMethod.USERNAME_PASSWORD)
    talk.protocol.send(SOCKS5AuthMethodsRequest(methods))
    await talk.send()
    chosen = talk.protocol.receive_data(await _versioned(talk, 2)).method
    # Cases: no login needed; the one we offered; anything else.
    if chosen == SOCKS5AuthMethod.NO_AUTH_REQUIRED:
        return
    if login is None or chosen != SOCKS5AuthMethod.USERNAME_PASSWORD:
        raise ProxyError(
            f"The proxy {proxy.url} wants a login: give it as Proxy(url, auth=(user, password))"
            if login is None
            else f"The proxy {proxy.url} takes no login by user and password"
        )
    talk.protocol.send(SOCKS5UsernamePasswordRequest(*login))
    await talk.send()
    if not talk.protocol.receive_data(await talk.receive(2)).success:
        raise ProxyError(f"The proxy {proxy.url} refused the login")


async def _connect(talk: _Talk, proxy: Proxy, host: str, port: int) -> None:
    from socksio.socks5 import SOCKS5Command, SOCKS5CommandRequest, SOCKS5ReplyCode

    talk.protocol.send(SOCKS5CommandRequest.from_address(SOCKS5Command.CONNECT, (host, port)))
    await talk.send()
    begun = await _versioned(talk, 4)
    # RFC 1928 section 6: what follows is as long as the address's kind says, and a port.
    kind = begun[3]
    if kind == 3:
        begun += await talk.receive(1)
        rest = begun[4] + 2
    else:
        rest = {1: 4, 4: 16}.get(kind, 0) + 2
    reply = talk.protocol.receive_data(begun + await talk.receive(rest))
    if reply.reply_code != SOCKS5ReplyCode.SUCCEEDED:
        reason = reply.reply_code.name.replace("_", " ").lower()
        raise ProxyError(f"The proxy {proxy.url} could not connect to {host}:{port}: {reason}")


async def _versioned(talk: _Talk, size: int) -> bytes:
    """A reply that begins with SOCKS's version; who says another one says nothing that could be awaited."""
    from socksio.exceptions import ProtocolError

    first = await talk.receive(1)
    if first != b"\x05":
        raise ProtocolError("its reply is of another version")
    return first + await talk.receive(size - 1)
