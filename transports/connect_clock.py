"""The time that opening a connection may take, and what it was spent on."""

from __future__ import annotations

from time import perf_counter

from scallion.pipeline.request import Request
from scallion.pipeline.runtime import Runtime

from .connection_info import Opening
from .deadlines import remaining

__all__ = ["ConnectClock"]


class ConnectClock:
    """What is left of one request's connect timeout and of its call's deadline; and how long each part took."""

    __slots__ = ("_dns", "_end", "_runtime", "_since", "_tls", "request")

    def __init__(self, request: Request, runtime: Runtime) -> None:
        self.request = request
        self._runtime = runtime
        limit = (request.extensions.get("timeout") or {}).get("connect")
        self._end = None if limit is None else runtime.clock() + limit
        self._since = 0.0
        self._dns: float | None = None
        self._tls: float | None = None

    def left(self) -> float | None:
        """Seconds; None for any number.

        Raises:
            TotalTimeout: the deadline has passed.
        """
        limit = None if self._end is None else max(0.0, self._end - self._runtime.clock())
        return remaining(limit, self.request, self._runtime, "connecting")

    def resolving(self) -> None:
        """A name is being resolved from now on, if it is one."""
        self._since = perf_counter()

    def resolved(self) -> None:
        """It has been."""
        self._dns = perf_counter() - self._since

    def encrypted(self, began: float) -> None:
        """A handshake that began then has ended."""
        self._tls = (self._tls or 0.0) + perf_counter() - began

    def opening(self, since: float) -> Opening:
        """How long each part took of what began at `since`; what is no other part's is connecting's."""
        others = (self._dns or 0.0) + (self._tls or 0.0)
        return Opening(self._dns, perf_counter() - since - others, self._tls)
