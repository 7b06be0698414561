"""`response.extensions["network_stream"]`: the connection's bytes, for WebSockets and other upgraded protocols."""

from __future__ import annotations

from typing import Any

from scallion.pipeline.runtime import run

from .network.base import ByteChannel

__all__ = ["AsyncNetworkStream", "NetworkStream"]


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
        return await self._channel.read(max_bytes, timeout)

    async def _write(self, buffer: bytes, timeout: float | None) -> None:
        await self._channel.write(buffer, timeout)


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
