"""The simulated transport: what stands innermost in each onion, and carries its attempts to the simulated servers."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Protocol

from scallion.pipeline.errors import ConnectError, ConnectTimeout, ReadTimeout
from scallion.pipeline.onion import Send
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.timeout_forms import read_timeout

from .clockwork import VirtualLoop, VirtualTime
from .servers import Balancer, Health, Job, Server

__all__ = ["Network"]

DEADLINE_HEADER = "x-request-timeout"


class AttemptCounter(Protocol):
    def attempt(self, request: Request) -> None: ...


class Network:
    """Names, and the servers that answer for them. It takes no time itself.

    Connections are not limited, and making one to a server that is up costs nothing: what these scenarios are about takes
    milliseconds to seconds.

    Args:
        loop: Its time.
        places: Hosts as they stand in URLs.
        counter: Is told each attempt.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        places: Mapping[str, Server | Balancer],
        counter: AttemptCounter,
    ) -> None:
        self._loop = loop
        self._places = places
        self._counter = counter

    def transport(self, runtime: VirtualTime) -> Send:
        """What sends for one process; it keeps `connect` and `read` of a request's timeout, as the real one."""

        async def send(request: Request) -> Response:
            self._counter.attempt(request)
            place = self._places[request.url.host]
            server = place.next() if isinstance(place, Balancer) else place
            timeout = request.extensions.get("timeout") or {}
            if server.health is Health.REFUSING:
                raise ConnectError("Connection refused", request=request)
            if server.health is Health.UNREACHABLE:
                await self._in_vain(runtime, request, timeout.get("connect"))
            answer = self._loop.create_future()
            server.submit(Job(answer, self._expires(request)))
            read = timeout.get("read")
            if read is None:
                return Response(await answer)
            try:
                return Response(await runtime.bounded(answer, self._loop.now + read))
            except TimeoutError as error:
                raise ReadTimeout(f"No byte within {read} s", request=request) from error

        return send

    async def _in_vain(self, runtime: VirtualTime, request: Request, connect: float | None) -> None:
        if connect is None:
            await self._loop.create_future()
        await runtime.sleep(connect or 0.0)
        raise ConnectTimeout(f"No connection within {connect} s", request=request)

    def _expires(self, request: Request) -> float:
        told = request.headers.get(DEADLINE_HEADER)
        left = None if told is None else read_timeout(told, "seconds")
        return inf if left is None else self._loop.now + left
