"""The asyncio network, for the standard loops and uvloop."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Sequence
from functools import partial

from .asyncio_channel import AsyncioChannel
from .base import ByteChannel, SocketOption
from .connecting import Address, as_addresses, dial_tcp, dial_unix, look_up

__all__ = ["AsyncioNetwork"]


class AsyncioDialer:
    """Resolves in the loop's threads; waits for sockets through the loop."""

    async def resolve(self, host: str, port: int, timeout: float | None) -> list[Address]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(timeout):
            return as_addresses(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    async def finished(
        self, sockets: Sequence[socket.socket], timeout: float | None
    ) -> Sequence[socket.socket]:
        loop = asyncio.get_running_loop()
        done: list[socket.socket] = []
        woken = loop.create_future()

        def wake(sock: socket.socket | None = None) -> None:
            if sock is not None:
                done.append(sock)
            if not woken.done():
                woken.set_result(None)

        watched: list[socket.socket] = []
        timer = None
        try:
            for sock in sockets:
                loop.add_writer(sock, wake, sock)
                watched.append(sock)
            if timeout is not None:
                timer = loop.call_later(timeout, wake)
            await woken
        except NotImplementedError:  # pragma: no cover  (Windows: the proactor watches no sockets)
            select_them = partial(select.select, [], sockets, sockets, timeout)
            _, connected, failed = await loop.run_in_executor(None, select_them)
            return [*connected, *failed]
        finally:
            if timer is not None:
                timer.cancel()
            for sock in watched:
                loop.remove_writer(sock)
        # A socket may be reported twice before this task runs.
        return list(dict.fromkeys(done))


class AsyncioNetwork:
    """Connections on the running asyncio loop."""

    _dialer = AsyncioDialer()

    async def resolve(self, host: str, port: int, timeout: float | None) -> list[str]:
        return await look_up(self._dialer, host, port, timeout)

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
        sock = await dial_tcp(
            self._dialer,
            host,
            port,
            timeout,
            local_address,
            socket_options,
            addresses=addresses,
            keepalive=keepalive,
        )
        return await _channel(sock)

    async def connect_unix(
        self, path: str | bytes, timeout: float | None, socket_options: Sequence[SocketOption] = ()
    ) -> ByteChannel:
        return await _channel(await dial_unix(self._dialer, path, timeout, socket_options))


async def _channel(sock: socket.socket) -> AsyncioChannel:
    """Hand a connected socket to the loop."""
    loop = asyncio.get_running_loop()
    channel = AsyncioChannel(loop, sock)
    try:
        # The loop takes any stream socket here, a Unix one as well.
        await loop.create_connection(lambda: channel, sock=sock)
    except BaseException:
        channel.close()
        # Other loops may have taken the descriptor for their own, and close it.
        if isinstance(loop, asyncio.BaseEventLoop):
            sock.close()
        raise
    return channel
