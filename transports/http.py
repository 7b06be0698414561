"""The transports of plain clients: a pool of connections in either colour, over one colourless core."""

from __future__ import annotations

import threading
from collections.abc import Coroutine, Hashable, Iterable
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from scallion.pipeline.abandoning import check, handle_of, hold
from scallion.pipeline.errors import (
    PoolTimeout,
    ReadError,
    RemoteProtocolError,
    TransportError,
    WriteError,
)
from scallion.pipeline.forking import renewed_in_children
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import AsyncRuntime, BlockingRuntime, Runtime, loop_ended, run
from scallion.pipeline.settings import DEFAULT_LIMITS, Limits, Proxy
from scallion.pipeline.streams import AsyncByteStream, SyncByteStream

from .base import AsyncBaseTransport, BaseTransport
from .connecting import Connector, Origin
from .connection_info import Steps
from .deadlines import overdue, remaining
from .http11 import HTTP11Connection
from .network import async_network, blocking_network
from .pool import Pool, Waiter
from .reaching import TCP_KEEPALIVE, known_resolver, seconds_of_silence, socket_path

if TYPE_CHECKING:
    import os

    from scallion.pipeline.types import CertTypes, ProxyTypes, VerifyTypes

    from .network.base import SocketOption
    from .pool_state import PoolState
    from .resolving import ResolverTypes

__all__ = ["AsyncHTTPTransport", "HTTPTransport"]

# RFC 9110 section 9.2.2, and QUERY (RFC 10008).
IDEMPOTENT = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "QUERY", "TRACE"})


class Core:
    """One pool and how to fill it, for one runtime."""

    def __init__(self, connector: Connector, limits: Limits, runtime: Runtime) -> None:
        self._connector = connector
        self._runtime = runtime
        self._get_network = blocking_network if runtime.blocking else async_network
        self._limits = limits
        self.pool = self._new_pool()
        renewed_in_children(self)

    def _new_pool(self) -> Pool[HTTP11Connection]:
        return Pool(self._limits, self._runtime)

    def renew(self) -> None:
        """After a fork, in the child: its parent goes on using the connections, so they are left to it.

        Only what is idle is closed, which closes this process's copy of the socket. An event loop's connections
        are not even touched: the loop's selector is shared with the parent.
        """
        old, self.pool = self.pool, self._new_pool()
        if self._runtime.blocking:
            for connection in old.inherited():
                connection.close()

    async def handle(self, request: Request) -> Response:
        origin = self._connector.origin(request)
        steps = Steps()
        connection = self.pool.reuse(origin)
        if connection is None:
            connection = await self._acquire(request, origin, steps)
        else:
            connection = await self._ready(request, origin, steps, connection)
        try:
            if request.observers:
                hold(connection, request)
            return await connection.exchange(request, steps)
        except (ReadError, WriteError, RemoteProtocolError) as error:
            self.release(connection, reusable=False)
            check(request)
            if not may_resend(connection, request, error):
                raise
        except BaseException:
            self.release(connection, reusable=False)
            raise
        # RFC 9112 section 9.3.1: the server may close an idle connection just as a request is sent on it.
        request.note("connection.stale", origin="{}://{}:{}".format(*origin))
        steps = Steps()
        connection = await self._acquire(request, origin, steps, fresh=True)
        try:
            if request.observers:
                hold(connection, request)
            return await connection.exchange(request, steps)
        except BaseException:
            self.release(connection, reusable=False)
            check(request)
            raise

    async def _acquire(
        self, request: Request, origin: Origin, steps: Steps, *, fresh: bool = False
    ) -> HTTP11Connection:
        """A connection to `origin` with its slot; with `fresh`, one that no request has used yet."""
        taken = self.pool.take(origin)
        if taken.close:
            close_all(taken.close)
        connection = taken.connection
        if taken.waiter is not None:
            connection = await self._wait(request, taken.waiter, steps)
        return await self._ready(request, origin, steps, connection, fresh=fresh)

    async def _ready(
        self,
        request: Request,
        origin: Origin,
        steps: Steps,
        connection: HTTP11Connection | None,
        *,
        fresh: bool = False,
    ) -> HTTP11Connection:
        """`connection`, if it is good, else another one in its slot, which is given back if there is none to be had."""
        # From here on the slot is this caller's: whatever is raised, a signal's handler included, gives it back.
        try:
            while connection is not None and (fresh or connection.stale()):
                connection.close()
                taken = self.pool.retake(connection)
                connection = taken.connection
                close_all(taken.close)
            if connection is not None:
                if request.observers or request.progress is not None:
                    request.note("connection.reused", number=connection.exchanges + 1)
                return connection
            opened: HTTP11Connection = await self._connector.open(
                request, origin, self._get_network(), self._runtime, self
            )
            steps.opening = opened.link.opening
            self.pool.opened(opened)
        except BaseException:
            if connection is None:
                close_all(self.pool.gave_up(origin, failed=True))
            else:
                self.release(connection, reusable=False)
            raise
        return opened

    async def _wait(
        self, request: Request, waiter: Waiter[HTTP11Connection], steps: Steps
    ) -> HTTP11Connection | None:
        """Wait for a slot. Returns the connection that came with it, or None to open one."""
        doing = "waiting for a free connection"
        limit = (request.extensions.get("timeout") or {}).get("pool")
        request.note("pool.wait")
        since = perf_counter()
        try:
            left = limit
            if request.deadline is not None:
                left = remaining(limit, request, self._runtime, doing)
            handle = handle_of(request)
            if handle is None:
                await waiter.event.wait(left)
            else:
                handle.hold(waiter.event.set)
                await waiter.event.wait(left)
                handle.let_go()
                handle.check()
        except BaseException:
            close_all(self.pool.leave(waiter))
            raise
        if waiter.closed:
            raise RuntimeError(
                "The client was closed while this request waited for a connection: make a new client"
            )
        if not waiter.granted:
            # Connections of responses that nobody closed may be all that is missing.
            close_all(self.pool.reclaim())
        if not waiter.granted:
            error = PoolTimeout(self._why(waiter, limit), request=request)
            close_all(self.pool.leave(waiter))
            raise overdue(error, request, self._runtime, doing)
        steps.queued = getattr(steps, "queued", 0.0) + perf_counter() - since
        return waiter.connection

    def _why(self, waiter: Waiter[HTTP11Connection], limit: float | None) -> str:
        """What to say of a wait for a connection that was too long."""
        held = self.pool.holding(waiter)
        # Cases: the limit of one origin; of all; none, as somebody else opens a connection for both.
        if held is None:
            return f"No connection came free within {limit} seconds, for one is still being opened: {self.pool!r}"
        where = ""
        if held == "max_connections_per_host":
            scheme, host, port = waiter.key[:3]  # type: ignore[index]  # an Origin
            where = f" to {scheme}://{host}:{port}"
        return (
            f"No connection{where} came free within {limit} seconds: {self.pool!r}. Are responses read or closed, "
            f"and is Limits({held}={getattr(self._limits, held)}) high enough?"
        )

    def release(self, connection: HTTP11Connection, *, reusable: bool) -> None:
        handle = connection.handle
        if handle is not None:
            # Before anybody else can have it.
            connection.handle = None
            handle.let_go()
        if not reusable:
            connection.close()
        surplus = self.pool.release(connection, reusable=reusable)
        if surplus:
            close_all(surplus)

    def abandon(self, connection: HTTP11Connection) -> None:
        self.pool.abandoned.append(connection)
        if self._runtime.blocking:
            close_all(self.pool.reclaim())

    async def aclose(self) -> None:
        connections = self.pool.drain()
        try:
            for connection in connections:
                await connection.aclose()
        finally:
            # Those that were left, if this was cancelled.
            close_all(connections)


def close_all(connections: Iterable[HTTP11Connection]) -> None:
    for connection in connections:
        connection.close()


def may_resend(connection: HTTP11Connection, request: Request, error: TransportError) -> bool:
    """Whether the failure looks like a stale idle connection, and sending again does no harm."""
    if connection.exchanges <= 1 or not connection.untouched:
        return False
    if request.method in IDEMPOTENT and request.replayable:
        return True
    why = (
        "its body cannot be sent twice" if request.method in IDEMPOTENT else "it is not idempotent"
    )
    error.add_note(
        f"The connection had been idle, and the server may have closed it then; the {request.method} was not sent "
        f"again, as {why}."
    )
    return False


def _core(*, http2: bool) -> type[Core]:
    """What manages the connections: HTTP/2 brings its own, imported when it is first asked for."""
    if not http2:
        return Core
    from .sharing import SharingCore

    return SharingCore


class Sender(Protocol):
    """Sends in the core's stead."""

    def handle_request(self, request: Request) -> Response: ...

    def handle_async_request(self, request: Request) -> Coroutine[Any, Any, Response]: ...


class StandIn:
    """What makes transports look like httpx's from inside, while scallion stands in for it: `scallion.compat`."""

    def pool(self, transport: _Settings) -> object:
        """What `transport._pool` is; None for the transport's own."""
        raise NotImplementedError

    def patched_pool(self, transport: _Settings) -> Sender | None:
        """What sends instead of the core, as somebody patched it; None for nothing."""
        raise NotImplementedError


stand_in: StandIn | None = None


class _Settings:
    """What both colours are constructed with."""

    def __init__(
        self,
        verify: VerifyTypes = True,
        cert: CertTypes | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        proxy: ProxyTypes | None = None,
        uds: str | bytes | os.PathLike[str] | None = None,
        local_address: str | None = None,
        retries: int = 0,
        socket_options: Iterable[SocketOption] | None = None,
        resolver: ResolverTypes | None = None,
        tcp_keepalive: float | None = TCP_KEEPALIVE,
    ) -> None:
        if not http1 and not http2:
            raise ValueError("http1=False and http2=False leave no protocol to speak: enable one")
        self._connector = Connector(
            verify=verify,
            cert=cert,
            trust_env=trust_env,
            proxy=proxy if proxy is None or isinstance(proxy, Proxy) else Proxy(proxy),
            uds=socket_path(uds),
            local_address=local_address,
            retries=retries,
            socket_options=tuple(socket_options or ()),
            resolver=known_resolver(resolver),
            tcp_keepalive=seconds_of_silence(tcp_keepalive),
            http1=http1,
            http2=http2,
        )
        self._limits = limits
        self._kind = _core(http2=http2)
        self._begin()

    def _begin(self) -> None:
        raise NotImplementedError

    def _new_core(self, runtime: Runtime) -> Core:
        return self._kind(self._connector, self._limits, runtime)

    @property
    def pool(self) -> PoolState:
        """What the pool holds at this moment, connection by connection. It may be asked from any thread."""
        raise NotImplementedError

    @property
    def _pool(self) -> object:
        """For tools that look at what httpx has there."""
        return (None if stand_in is None else stand_in.pool(self)) or self.pool

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.pool!r}>"


class HTTPTransport(_Settings, BaseTransport):
    """HTTP over blocking sockets, with a keep-alive pool. Safe to share between threads.

    Args:
        verify: True for certifi's authorities (or `SSL_CERT_FILE`, `SSL_CERT_DIR`), False for no
            verification, an `ssl.SSLContext`, or a `scallion.TLS`.
        cert: A client certificate: a path, (certificate, key) or (certificate, key, password).
        trust_env: Whether environment variables are read.
        http1: Whether HTTP/1.1 is spoken. Without it HTTP/2 is, over http:// too, and unasked (RFC 9113 section 3.3).
        http2: Whether HTTP/2 is offered to https:// servers, which choose; over http:// HTTP/1.1 is spoken then.
        limits: How many connections at once, how many idle ones and for how long.
        proxy: Requests go through it: as they are for http, in a tunnel for https.
        uds: The path of a Unix socket to connect to, whatever the URL's host; a name that
            begins with a null is an abstract one of Linux.
        local_address: The address to connect from, IPv4 or IPv6; addresses of the other family are not tried then.
        retries: Further tries when connecting fails.
        socket_options: (level, name, value) triples, set before connecting.
        resolver: Who knows the addresses of names: a `Resolver`, a mapping such as `{"db.internal": "10.0.0.7"}`, or a
            function of host and port; by default the operating system, what it says being used for 5 seconds.
        tcp_keepalive: Seconds of silence after which TCP asks whether the peer is still there, again each so many
            seconds; after five unanswered ones the connection is broken. None for never.
    """

    def _begin(self) -> None:
        self._core = self._new_core(BlockingRuntime())

    @property
    def pool(self) -> PoolState:
        from .pool_state import state_of

        return state_of(self._core.pool)

    def handle_request(self, request: Request) -> Response:
        """Send one request. See `BaseTransport.handle_request`."""
        return run(self._handle(request))

    def _handle(self, request: Request) -> Coroutine[Any, Any, Response]:
        """The same as a coroutine that does not suspend, for a caller who runs one already."""
        if not isinstance(request.stream, SyncByteStream):
            raise RuntimeError(
                "Attempted to send an async request with a sync Client instance: its body is an async iterator; "
                "give bytes or a plain iterator"
            )
        if stand_in is not None and (pool := stand_in.patched_pool(self)) is not None:
            return _sent_by(pool, request)
        return self._core.handle(request)

    def close(self) -> None:
        run(self._core.aclose())

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()


async def _sent_by(pool: Sender, request: Request) -> Response:
    return pool.handle_request(request)


class AsyncHTTPTransport(_Settings, AsyncBaseTransport):
    """HTTP on asyncio and trio, with a keep-alive pool for each event loop. Arguments as of `HTTPTransport`.

    It may be used from several loops, one after the other or in threads; the limits hold for each. What a loop
    left behind is closed when the transport meets another, or is closed itself.
    """

    def _begin(self) -> None:
        self._runtime = AsyncRuntime()
        self._cores: dict[Hashable, Core] = {}
        self._lock = threading.Lock()

    @property
    def pool(self) -> PoolState:
        """What the pools hold at this moment, in all event loops together; `parts` tells the loops apart."""
        from .pool_state import combined, loops_named, state_of

        cores = dict(self._cores)
        pools = [state_of(core.pool) for core in cores.values()]
        parts = dict(zip(loops_named(cores), pools, strict=True))
        return combined(parts, self._limits.max_connections)

    async def handle_async_request(self, request: Request) -> Response:
        """Send one request. See `BaseTransport.handle_request`."""
        return await self._handle(request)

    def _handle(self, request: Request) -> Coroutine[Any, Any, Response]:
        """The same with one coroutine less, for a caller who is in one already."""
        if not isinstance(request.stream, AsyncByteStream):
            raise RuntimeError(
                "Attempted to send an sync request with an AsyncClient instance: its body is a plain iterator or "
                "file; give bytes or an async iterator"
            )
        if stand_in is not None and (pool := stand_in.patched_pool(self)) is not None:
            return pool.handle_async_request(request)
        return self._core.handle(request)

    @property
    def _core(self) -> Core:
        """The pool of the running loop."""
        loop = self._runtime.key
        return self._cores.get(loop) or self._enter(loop)

    def _enter(self, loop: Hashable) -> Core:
        """The pool of a loop that is met for the first time; those of ended loops are given up."""
        with self._lock:
            ended = [self._cores.pop(key) for key in tuple(self._cores) if loop_ended(key)]
            core = self._cores[loop] = self._new_core(self._runtime)
        for left in ended:
            close_all(left.pool.drain())
        return core

    async def aclose(self) -> None:
        with self._lock:
            cores, self._cores = self._cores, {}
        here = cores.pop(self._runtime.key, None)
        for core in cores.values():
            # Other loops' connections cannot be waited for here.
            close_all(core.pool.drain())
        if here is not None:
            await here.aclose()


OWN = {
    "handle_request": HTTPTransport.handle_request,
    "handle_async_request": AsyncHTTPTransport.handle_async_request,
}
"""These methods as they were before anybody patched them: then, `_handle` does the same."""
