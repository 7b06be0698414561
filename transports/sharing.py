"""The core of a transport that may speak HTTP/2: connections are shared, and what was not processed is sent again."""

from __future__ import annotations

from typing import Any

from scallion.pipeline.abandoning import check, hold
from scallion.pipeline.errors import ReadError, ReadTimeout, RemoteProtocolError, WriteError
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

from .connecting import Origin
from .connection_info import Steps
from .http import IDEMPOTENT, Core, close_all, may_resend
from .http2_streams import Patience, Unprocessed
from .shared_pool import SharedPool

__all__ = ["SharingCore"]

MOST_STARTS = 10
"""Connections that may be lost, or closed by the server, one after the other just as a request begins on them."""


PING_PATIENCE = 1.0
"""Seconds within which a silent connection must answer a PING, or another one is opened instead."""


class SharingCore(Core):
    """One pool of connections of either protocol, for one runtime."""

    pool: SharedPool

    def _new_pool(self) -> SharedPool:
        return SharedPool(self._limits, self._runtime, self._connector.may_speak_http2)

    async def handle(self, request: Request) -> Response:
        origin = self._connector.origin(request)
        starts = 0
        resent = False
        while True:
            steps = Steps()
            connection = await self._acquire(request, origin, steps, fresh=resent)
            reason = "stale"
            try:
                if request.observers and not _is_shared(connection):
                    hold(connection, request)
                response: Response = await connection.exchange(request, steps)
            except Unprocessed as failure:
                self.release(connection, reusable=True)
                check(request)
                # Where others were served it goes on, and so will this one in its turn.
                starts += not connection.progressed
                if failure.begun:
                    # Who closes the connection (GOAWAY) refuses what came too late, and the next connection takes
                    # it. Who keeps it open and refuses has too much to do: once more, and the caller is told.
                    too_late = failure.certain and not connection.room
                    if (
                        not _may_repeat(failure, request)
                        or (resent and not too_late)
                        or starts > MOST_STARTS
                    ):
                        raise failure.error from failure.error.__cause__
                    resent = resent or not too_late
                elif starts > MOST_STARTS:
                    raise failure.error from failure
                if failure.certain:
                    reason = "refused"
            except (ReadError, WriteError, RemoteProtocolError) as error:
                self.release(connection, reusable=False)
                check(request)
                if resent or _is_shared(connection) or not may_resend(connection, request, error):
                    raise
                resent = True
            except BaseException:
                self.release(connection, reusable=False)
                raise
            else:
                return response
            request.note(f"connection.{reason}", origin="{}://{}:{}".format(*origin))

    async def _acquire(
        self, request: Request, origin: Origin, steps: Steps, *, fresh: bool = False
    ) -> Any:
        """A share of a connection to `origin`, or one alone; with `fresh`, the latter unused by any request."""
        while True:
            taken = self.pool.take(origin)
            close_all(taken.close)
            connection: Any = taken.connection
            if taken.waiter is not None:
                connection = await self._wait(request, taken.waiter, steps)
            if connection is None:
                return await self._open(request, origin, steps)
            if await self._is_good(connection, request, fresh=fresh):
                if request.observers or request.progress is not None:
                    request.note("connection.reused", number=connection.exchanges + 1)
                return connection
            self.release(connection, reusable=False)

    async def _is_good(self, connection: Any, request: Request, *, fresh: bool) -> bool:
        """Whether an exchange may begin here. Asks the server, if it has been silent for long."""
        if fresh and not _is_shared(connection):
            return False
        patience = getattr(self._limits, "ping_after", None)
        # Before what arrived in the meantime is taken in, which may have been long ago.
        asks = patience is not None and _is_shared(connection) and connection.silence >= patience
        if connection.stale():
            return False
        if not asks:
            return True
        doing = "asking whether a connection lives"
        try:
            lives: bool = await connection.lives(
                Patience(ReadTimeout, PING_PATIENCE, request, self._runtime, doing)
            )
        except BaseException:
            self.release(connection, reusable=True)
            raise
        if not lives:
            request.note("connection.dead", origin="{}://{}:{}".format(*connection.key))
        return lives

    async def _open(self, request: Request, origin: Origin, steps: Steps) -> Any:
        try:
            connection = await self._connector.open(
                request, origin, self._get_network(), self._runtime, self
            )
        except BaseException as error:
            close_all(self.pool.gave_up(origin, failed=isinstance(error, Exception)))
            raise
        steps.opening = connection.link.opening
        close_all(self.pool.opened(connection))
        return connection

    def release(self, connection: Any, *, reusable: bool) -> None:
        handle = getattr(connection, "handle", None)
        if handle is not None:
            connection.handle = None
            handle.let_go()
        # A shared connection is closed when its last user has gone: what became of it, it knows itself.
        if not reusable and not _is_shared(connection):
            connection.close()
        close_all(self.pool.release(connection, reusable=reusable))

    def changed(self, connection: Any) -> None:
        close_all(self.pool.changed(connection))


def _is_shared(connection: Any) -> bool:
    return bool(connection.protocol == "HTTP/2")


def _may_repeat(failure: Unprocessed, request: Request) -> bool:
    """Whether the request can be sent again, and sending again does no harm."""
    if not request.replayable and failure.spent:
        return False
    return failure.certain or request.method in IDEMPOTENT
