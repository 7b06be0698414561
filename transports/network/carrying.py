"""What every channel does in the same way, given the few things that it does in its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import ByteChannel, Carrier

if TYPE_CHECKING:
    import ssl

__all__ = ["Carrying"]


class Carrying:
    """Reading into memory, uploads that end with an answer, and encryption, for any `Carrier`."""

    __slots__ = ()

    async def read_into(
        self: Carrier, buffer: memoryview, timeout: float | None, least: int = 1
    ) -> int:
        filled = 0
        while filled < least:
            data = await self.read(len(buffer) - filled, timeout)
            if not data:
                break
            buffer[filled : filled + len(data)] = data
            filled += len(data)
        return filled

    async def write_or_answer(self: Carrier, data: bytes, timeout: float | None) -> int:
        view = memoryview(data)
        accepted = 0
        while accepted < len(data):
            sent = await self.write_some(view[accepted:], timeout)
            if not sent:
                break
            accepted += sent
        return accepted

    async def start_tls(
        self: Carrier,
        context: ssl.SSLContext,
        server_hostname: str | None,
        timeout: float | None,
    ) -> ByteChannel:
        # Imported here: plain HTTP does without OpenSSL.
        from .starting_tls import encrypted

        return await encrypted(self, context, server_hostname, timeout)
