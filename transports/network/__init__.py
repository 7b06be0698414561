"""Networks: blocking sockets, asyncio, and trio; which one, the caller's colour decides.

Each is imported when it is first asked for, so that a synchronous program never imports an event loop.
"""

from __future__ import annotations

import sys

from .base import ByteChannel, Network, SocketOption

__all__ = ["ByteChannel", "Network", "SocketOption", "async_network", "blocking_network"]

_blocking: Network | None = None
_asyncio: Network | None = None
_trio: Network | None = None


def blocking_network() -> Network:
    """The network whose operations block the calling thread; one per process."""
    global _blocking
    if _blocking is None:
        from .blocking import BlockingNetwork

        _blocking = BlockingNetwork()
    return _blocking


def async_network() -> Network:
    """The network for the event loop that runs the caller: asyncio's or trio's."""
    trio = sys.modules.get("trio")
    try:
        if trio is not None and trio.lowlevel.in_trio_task():
            return _trio_network()
    except AttributeError:
        """Another thread is in the midst of importing it, so nobody runs it yet."""
    return _asyncio_network()


def _asyncio_network() -> Network:
    global _asyncio
    if _asyncio is None:
        from .asyncio_native import AsyncioNetwork

        _asyncio = AsyncioNetwork()
    return _asyncio


def _trio_network() -> Network:
    global _trio
    if _trio is None:
        from .trio_native import TrioNetwork

        _trio = TrioNetwork()
    return _trio
