"""`response.extensions["network_stream"]`: the connection's bytes, for WebSockets and other upgraded protocols."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from scallion.pipeline.errors import ConnectError, TransportError
from scallion.pipeline.runtime import Runtime, run

from .network.base import ByteChannel

if TYPE_CHECKING:
    import ssl

__all__ = ["AsyncNetworkStream", "NetworkStream", "stream_over"]

# Called with an error of a stream before it is raised, while scallion stands in for httpx: `scallion.compat`.
on_error: Callable[[TransportError], None] | None = None


class _Stream:
    def __init__(self, channel: ByteChannel) -> None:
        self._channel = channel
        self._unread = b""

    def unread(self, data: bytes) -> None:
        """Put back what was read beyond the response's head."""
        self._unread = data + self._unread

    def get_extra_info(self, info: str) -> Any:
        """`"ssl_object"`, `"client_addr"`, `"server_addr"`, `"socket"` or `"is_readable"`; else None."""
        if info == "is_readable" and self._unread:
            return True
        return self._channel.info(info)

    async def _read(self, max_bytes: int, timeout: float | None) -> bytes:
        if self._unread:
            data, self._unread = self._unread[:max_bytes], self._unread[max_bytes:]
            return data
        try:
            return await self._channel.read(max_bytes, timeout)
        except TransportError as error:
            if on_error is not None:
                on_error(error)
            raise

    async def _write(self, buffer: bytes, timeout: float | None) -> None:
        # A channel may take an empty write for a question.
        if buffer:
            try:
                await self._channel.write(buffer, timeout)
            except TransportError as error:
                if on_error is not None:
                    on_error(error)
                raise

    async def _encrypted(
        self, context: ssl.SSLContext, server_hostname: str | None, timeout: float | None
    ) -> ByteChannel:
        if self._unread:
            # Somebody on the way could have put it there, and it would count as if it had come encrypted.
            self._channel.close()
            raise ConnectError("The server spoke before the TLS handshake")
        return await self._channel.start_tls(context, server_hostname, timeout)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self._channel.info('server_addr')}>"


class NetworkStream(_Stream):
    """Blocking reads and writes; timeouts are seconds, None waits for ever."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Up to `max_bytes` bytes, `b""` at the end. Raises ReadTimeout, ReadError."""
        return run(self._read(max_bytes, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of `buffer`. Raises WriteTimeout, WriteError."""
        run(self._write(buffer, timeout))

    def close(self) -> None:
        self._channel.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> NetworkStream:
        """Shake hands, and return the encrypted stream, which owns the connection. Raises ConnectTimeout, ConnectError."""
        return NetworkStream(run(self._encrypted(ssl_context, server_hostname, timeout)))


class AsyncNetworkStream(_Stream):
    """The same, suspending the task."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Up to `max_bytes` bytes, `b""` at the end. Raises ReadTimeout, ReadError."""
        return await self._read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of `buffer`. Raises WriteTimeout, WriteError."""
        await self._write(buffer, timeout)

    async def aclose(self) -> None:
        await self._channel.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> AsyncNetworkStream:
        """Shake hands, and return the encrypted stream, which owns the connection. Raises ConnectTimeout, ConnectError."""
        return AsyncNetworkStream(await self._encrypted(ssl_context, server_hostname, timeout))


def stream_over(channel: ByteChannel, runtime: Runtime) -> NetworkStream | AsyncNetworkStream:
    """The stream of the runtime's colour."""
    return NetworkStream(channel) if runtime.blocking else AsyncNetworkStream(channel)
