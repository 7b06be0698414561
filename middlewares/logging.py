"""Logging: one structured event for each call, and one for each decision that the layers take for it.

Nothing is formatted unless somebody listens. structlog is imported when the first event is written,
unless the program has imported it itself.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from scallion.pipeline.headers import Headers
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.redaction import SECRET_NAMES, secret_names
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime

from .log_events import DEBUG, INFO, WARNING, Decisions

if TYPE_CHECKING:
    from logging import Handler, Logger

__all__ = ["Logging"]

EVENT = "http.call"

# Their values are credentials, and no setting shows them.
_NEVER = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})


_METHODS = {DEBUG: "debug", INFO: "info", WARNING: "warning"}


class _Sink:
    """A `log_events.Sink` that is a logger of structlog's."""

    __slots__ = ("_logger", "listens")

    listens: Callable[[int], bool]

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        # Asked of the class: structlog's generic logger makes up a method for any name.
        kind = type(logger)
        tells = getattr(kind, "is_enabled_for", None) or getattr(kind, "isEnabledFor", None)
        self.listens = _always if tells is None else tells.__get__(logger)

    def write(self, level: int, event: str, fields: dict[str, Any]) -> None:
        getattr(self._logger, _METHODS[level])(event, **fields)


class _StandardSink(_Sink):
    """The standard library's logger "scallion", through structlog's rendering.

    Nobody listens to a logger without a handler that does something, whatever its level is.
    """

    __slots__ = ()

    def __init__(self, logger: Logger) -> None:
        from logging import NullHandler, root

        enabled = logger.isEnabledFor
        # A program that configured no logging would see warnings on its standard error.
        silence: list[Handler] = [NullHandler()]
        logger.addHandler(silence[0])

        def listens(level: int) -> bool:
            nobody = logger.handlers == silence and not (logger.propagate and root.handlers)
            return not nobody and enabled(level)

        self._logger = logger
        self.listens = listens

    def write(self, level: int, event: str, fields: dict[str, Any]) -> None:
        getattr(_rendered(), _METHODS[level])(event, **fields)


@dataclass(frozen=True, repr=False)
class Logging(Layer):
    """Log each call once, when its response's headers have arrived or it has failed, as `http.call`.

    The fields: `method`; `url`, redacted; `request_id`, if `RequestId` gave one; `status`, or `error`, the name of the
    error's class; `duration` in seconds; `attempts` over all hops, and `redirects`. The level is info; for
    statuses from 500 on and for errors it is warning.

    What the layers decide for the call is logged when they do, under the name of their event, `retry` or `breaker.opened`, with
    its fields, and `method`, `url` and `request_id` of the call. What tells of the other side's state is a warning, what befalls one
    call is info, and routine is debug; `log_events.LEVELS` is the table.

    If the program has configured structlog, events go there. Otherwise they go to the standard
    library's logger "scallion", as `key=value` text, and so nowhere unless the program listens.

    Attributes:
        headers: Names of headers that are logged where they are present, as `request_headers` and
            `response_headers`. Those that carry credentials are refused.
        secrets: Names of query parameters whose values are not shown, in the place of the default
            `SECRET_NAMES`; add to those.
        decisions: False to log calls only.
        logger: A structlog logger to use in any case.

    Reads no request extension.

    Raises:
        TypeError, ValueError: a setting is no collection of names, or names what is never logged.

    Order: outermost, so that the duration is the caller's and attempts are counted. Inside retries it
    logs each attempt instead.
    """

    headers: Collection[str] = frozenset()
    secrets: Collection[str] = SECRET_NAMES
    logger: Any = None
    decisions: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.headers, str):
            raise TypeError(f"Logging headers must be a collection of names: {self.headers!r}")
        headers = frozenset(name.lower() for name in self.headers)
        if refused := headers & _NEVER:
            raise ValueError(
                f"Logging never shows {', '.join(sorted(refused))}: leave it out of `headers`"
            )
        object.__setattr__(self, "headers", headers)
        if self.secrets is not SECRET_NAMES:
            object.__setattr__(self, "secrets", secret_names(self.secrets))

    def bind(self, send: Bound, call_next: Next) -> Bound:
        given = None if self.logger is None else _Sink(self.logger)

        def through(request: Request) -> Awaitable[Response]:
            sink = given or _sink()
            if sink.listens(WARNING):
                return self._send(request, send, call_next.runtime, sink)
            return send(request)

        return through

    async def _send(self, request: Request, send: Bound, runtime: Runtime, sink: _Sink) -> Response:
        clock = runtime.clock
        started = clock()
        observers = request.observers
        told = Decisions(request, self.secrets, sink if self.decisions else None)
        request.observers = (*observers, told)
        try:
            response = await send(request)
        except BaseException as error:
            # A cancellation is the caller's doing and no cause for alarm.
            level = WARNING if isinstance(error, Exception) else INFO
            if sink.listens(level):
                known = self._known(request, told, clock() - started)
                sink.write(level, EVENT, {"error": type(error).__name__, **known})
            raise
        else:
            level = WARNING if response.status_code >= 500 else INFO
            if sink.listens(level):
                known = self._known(request, told, clock() - started)
                known |= self._shown("response_headers", response.headers)
                sink.write(level, EVENT, {"status": response.status_code, **known})
            return response
        finally:
            request.observers = observers

    def _known(self, request: Request, told: Decisions, duration: float) -> dict[str, Any]:
        """What can be told of any call, whatever came of it."""
        return {
            **told.call(),
            "duration": round(duration, 6),
            "attempts": told.attempts,
            "redirects": told.redirects,
            **self._shown("request_headers", request.headers),
        }

    def _shown(self, field: str, headers: Headers) -> dict[str, dict[str, str]]:
        shown = {name: headers[name] for name in sorted(self.headers) if name in headers}
        return {field: shown} if shown else {}

    def __repr__(self) -> str:
        parts = []
        if self.headers:
            parts.append(f"headers={{{', '.join(map(repr, sorted(self.headers)))}}}")
        if self.secrets != SECRET_NAMES:
            parts.append(f"secrets={{{', '.join(map(repr, sorted(self.secrets)))}}}")
        if not self.decisions:
            parts.append("decisions=False")
        if self.logger is not None:
            parts.append(f"logger={type(self.logger).__name__}()")
        return f"Logging({', '.join(parts)})"


def _always(level: int) -> bool:  # noqa: ARG001
    return True


class _Bound:
    """The logger bound by structlog's configuration, until that changes."""

    def __init__(self) -> None:
        self._known: tuple[Any, Any, Any, _Sink] | None = None

    def sink(self, structlog: Any) -> _Sink:
        config = structlog.get_config()
        processors = config["processors"]
        wrapper = config["wrapper_class"]
        factory = config["logger_factory"]
        known = self._known
        if (
            known is not None
            and known[0] is processors
            and known[1] is wrapper
            and known[2] is factory
        ):
            return known[3]
        sink = _Sink(structlog.get_logger().bind())
        self._known = (processors, wrapper, factory, sink)
        return sink


_bound = _Bound()


def _sink() -> _Sink:
    """The logger of structlog if the program has configured it, else the standard library's."""
    # Who has configured structlog has imported it.
    structlog = sys.modules.get("structlog")
    # While another thread is in the midst of importing it, the module is there and the function is not.
    configured = getattr(structlog, "is_configured", None)
    if configured is not None and configured():
        return _bound.sink(structlog)
    return _standard()


@cache
def _standard() -> _Sink:
    import logging

    return _StandardSink(logging.getLogger("scallion"))


@cache
def _rendered() -> Any:
    import logging

    import structlog

    return structlog.wrap_logger(
        logging.getLogger("scallion"),
        processors=[structlog.processors.KeyValueRenderer(key_order=["event", "method", "url"])],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
    ).bind()
