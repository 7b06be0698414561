"""What the layers decide, as events of the log: of which level each is, and who writes them down.

A layer says `request.note("breaker.opened", origin=...)`, and `Logging` writes an event of that name. What is not in the
table is routine, and written at debug.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, Protocol

from scallion.pipeline.redaction import redact_url, redact_value
from scallion.pipeline.request import Request

__all__ = ["DEBUG", "INFO", "LEVELS", "WARNING", "Decisions", "Sink"]

# The levels of the standard library, and of structlog.
DEBUG = 10
INFO = 20
WARNING = 30

# A warning is about the other side, and the same for all calls; what happens to one call alone is information.
LEVELS: dict[str, int] = {
    "attempt_timeout": INFO,
    "auth.refresh_failed": WARNING,
    "breaker.closed": INFO,
    "breaker.forced_closed": INFO,
    "breaker.forced_open": INFO,
    "breaker.half_open": INFO,
    "breaker.opened": WARNING,
    "breaker.refused": INFO,
    "breaker.released": INFO,
    "bulkhead.refused": INFO,
    "concurrency.refused": INFO,
    "deadline.passed": INFO,
    "endpoint.ejected": WARNING,
    "endpoint.paused": INFO,
    "endpoint.refused": INFO,
    "endpoint.resolve_failed": WARNING,
    "endpoint.resolved": INFO,
    "endpoint.returned": INFO,
    "fault.injected": INFO,
    "hedge.sent": INFO,
    "hedge.won": INFO,
    "rate_limit.refused": INFO,
    "rate_limit.storage_failed": WARNING,
    "retry": INFO,
    "retry.budget_exhausted": WARNING,
    "retry.end": INFO,
    "total_timeout": INFO,
}

# The transport logs its steps itself, by loggers of its own.
_TRANSPORT = "connection."


class Sink(Protocol):
    """Where events go; to be asked first whether anybody listens.

    Attributes:
        listens: Whether events of a level are wanted. True of a logger that cannot tell.
    """

    listens: Callable[[int], bool]

    def write(self, level: int, event: str, fields: dict[str, Any]) -> None: ...


class Decisions:
    """An observer that writes down what is decided for one call, and counts what it needed besides its first request.

    Attributes:
        attempts: Over all hops.
        redirects: Hops after the first.
        request_id: The call's, once it has one.
    """

    __slots__ = ("_method", "_secrets", "_sink", "_url", "attempts", "redirects", "request_id")

    def __init__(self, request: Request, secrets: Container[str], sink: Sink | None) -> None:
        """`sink`: None to count only."""
        self._method = request.method
        # While an endpoint is tried, the request bears the endpoint's URL.
        self._url = request.url
        self._secrets = secrets
        self._sink = sink
        self.attempts = 1
        self.redirects = 0
        self.request_id: str | None = None

    def __call__(self, event: str, fields: dict[str, Any]) -> None:
        match event:
            case "retry":
                self.attempts += 1
            case "redirect":
                self.redirects += 1
            case "request_id":
                self.request_id = fields["id"]
        sink, level = self._sink, LEVELS.get(event, DEBUG)
        if sink is not None and not event.startswith(_TRANSPORT) and sink.listens(level):
            told = {name: redact_value(value, self._secrets) for name, value in fields.items()}
            sink.write(level, event, self.call() | told)

    def call(self) -> dict[str, Any]:
        """Which call it is."""
        known = {"method": self._method, "url": redact_url(self._url, self._secrets)}
        return known if self.request_id is None else {**known, "request_id": self.request_id}
