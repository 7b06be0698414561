"""What a connection asks of the operating system: connect, start TLS, read, write, close, is it still good.

Every network implements these two protocols: blocking sockets, asyncio, and trio. Timeouts are
seconds, None waits for ever; each operation names the errors it raises, and raises no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import ssl

__all__ = ["ByteChannel", "Carrier", "Network", "SocketOption"]

SocketOption: TypeAlias = tuple[int, int, int | bytes]
"""Level, name and value, as `socket.setsockopt` takes them."""


class ByteChannel(Protocol):
    """The bytes of one connection.

    One task (or thread) may read while another writes; two may not read, nor two write, at once. An
    operation that failed, timed out or was cancelled leaves the channel fit to be closed; a read that
    timed out or was cancelled has lost no bytes.
    """

    async def read(self, max_bytes: int, timeout: float | None) -> bytes:
        """Between 1 and `max_bytes` bytes as soon as there are any; `b""` at the end of the stream.

        Raises:
            ReadTimeout: nothing arrived within `timeout`.
            ReadError: the connection broke, or is closed.
        """

    async def read_into(self, buffer: memoryview, timeout: float | None, least: int = 1) -> int:
        """The same into the caller's memory: `least` to `len(buffer)` bytes, less only at the end of the stream.

        Nothing is written to `buffer` after this has returned or raised. Where it raises, what had arrived may be lost.

        Returns:
            How many bytes; 0 at the end of the stream.

        Raises:
            ReadTimeout: nothing more arrived for `timeout` seconds.
            ReadError: the connection broke, or is closed.
        """

    async def write(self, data: bytes, timeout: float | None) -> None:
        """Send all of `data`, or hand what remains to a bounded buffer.

        Raises:
            WriteTimeout: nothing could be sent for `timeout` seconds.
            WriteError: the connection broke, or is closed.
        """

    async def write_or_answer(self, data: bytes, timeout: float | None) -> int:
        """Send `data`, but stop as soon as the peer says something or closes.

        A server may answer an upload before its end (RFC 9112 section 9.5). What it sent is not lost: the
        next `read` returns it, and then sending may go on.

        Returns:
            How many bytes of `data` were accepted: all of them, or less if the peer spoke first; the caller
            goes on with `data[n:]`. -1 if the peer spoke first and how much was sent is unknown: then the
            channel is good for reading only.

        Raises:
            WriteTimeout: nothing could be sent for `timeout` seconds.
            WriteError: the connection broke, or is closed, and there is nothing to read.
        """

    def answered(self) -> bool:
        """Whether the next `read` returns at once: bytes, the end of the stream or an error wait for it."""

    async def start_tls(
        self, context: ssl.SSLContext, server_hostname: str | None, timeout: float | None
    ) -> ByteChannel:
        """Shake hands over this channel and return the encrypted one, which owns the socket from now on.

        Over a channel that is encrypted already, this is TLS within TLS. On failure the socket is closed.

        Raises:
            ConnectTimeout: the handshake took longer than `timeout`.
            ConnectError: it failed; the message carries OpenSSL's reason.
        """

    def close(self) -> None:
        """Release the socket at once: never blocks, may be called in any state, any number of times."""

    async def aclose(self) -> None:
        """Close in good order and in bounded time: TLS says goodbye but does not wait for the peer's."""

    def stale(self) -> bool:
        """Whether an *idle* connection must not be used again: the peer closed it, or spoke unasked."""

    def info(self, name: str) -> Any:
        """`"ssl_object"`, `"client_addr"`, `"server_addr"`, `"socket"` or `"is_readable"`; else None."""


class Carrier(ByteChannel, Protocol):
    """A channel that encryption can be laid over; every channel of this room is one."""

    def read_nowait(self, max_bytes: int) -> bytes | None:
        """What has arrived already, `b""` at the end of the stream, None if there is nothing yet.

        Raises:
            ReadError: as `read`.
        """

    async def write_some(self, data: memoryview, timeout: float | None) -> int:
        """Send the beginning of `data`: how many bytes, or 0 if the peer spoke or closed first.

        A call that raises or is cancelled has accepted none of `data`. Encryption may hold back what it accepted
        until the next call, with or without data, or the next `read`.

        Raises:
            WriteTimeout, WriteError: as `write_or_answer`.
        """


class Network(Protocol):
    """Resolves names and makes connections."""

    async def resolve(self, host: str, port: int, timeout: float | None) -> list[str]:
        """The IP addresses of a name, best first (RFC 6724), as the operating system knows them.

        Raises:
            ConnectTimeout: not within `timeout`.
            ConnectError: the name does not resolve.
        """

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None,
        local_address: str | None = None,
        socket_options: Sequence[SocketOption] = (),
        *,
        addresses: Sequence[tuple[str, int]] | None = None,
        keepalive: float | None = None,
    ) -> ByteChannel:
        """Connect to a name or an address; each of a name's addresses is tried (RFC 8305).

        Args:
            host: A name, or an IPv4 or IPv6 address without brackets.
            port: The port.
            timeout: For all of it: resolving the name and trying each address.
            local_address: The address to connect from.
            socket_options: Set before connecting, after `TCP_NODELAY`.
            addresses: The name's IP addresses and ports, best first, if they are known: nobody is asked for them.
            keepalive: Seconds of silence after which TCP asks whether the peer still lives; None for never.

        Raises:
            ConnectTimeout: not within `timeout`.
            ConnectError: the name does not resolve, or nobody listens.
        """

    async def connect_unix(
        self, path: str | bytes, timeout: float | None, socket_options: Sequence[SocketOption] = ()
    ) -> ByteChannel:
        """Connect to a Unix domain socket; one whose path begins with a null is an abstract one of Linux.

        Raises:
            ConnectTimeout: not within `timeout`.
            ConnectError: there is no such socket, or nobody listens.
        """
