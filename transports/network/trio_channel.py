"""A socket under trio: in the midst of a large body, what comes next is there mostly, and is not waited for."""

from __future__ import annotations

import trio

from .sockets import SocketChannel

__all__ = ["TrioChannel"]

# Who asks for more than this at a time has seen that the peer is fast.
_MUCH = 65_536


class TrioChannel(SocketChannel):
    """One connection. Every read and write is a checkpoint."""

    __slots__ = ()

    async def read(self, max_bytes: int, timeout: float | None) -> bytes:
        if max_bytes > _MUCH and not self._closed:
            # Before the bytes are taken: cancelled afterwards, they would be lost.
            await trio.lowlevel.checkpoint()
            data = self.read_nowait(max_bytes)
            if data is not None:
                return data
        return await super().read(max_bytes, timeout)
