"""What a transport does, step by step: told to the request extension `trace`, and to the loggers `scallion.*`.

A step is told as `name.started`, and then as `name.complete` with what it returned, or as `name.failed` with the
exception. The names are httpcore's, `connection.connect_tcp` for example: what stands before the dot is the logger's
name as well, `scallion.connection`, and each step is a line there at level DEBUG. The lines hold no secrets; what a
callback gets is unabridged.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from scallion.pipeline.request import Request
from scallion.pipeline.runtime import Runtime

if TYPE_CHECKING:
    import logging

__all__ = ["Step", "Trace", "debugging", "step_of", "tell_closed"]

_DEBUG = 10
_loggers: dict[str, logging.Logger] = {}


def debugging(part: str) -> bool:
    """Whether the logger `scallion.<part>` is listened to at level DEBUG."""
    # Nobody who has not imported logging can be listening.
    return "logging" in sys.modules and (_loggers.get(part) or _logger(part)).isEnabledFor(_DEBUG)


def _logger(part: str) -> logging.Logger:
    import logging

    logger = _loggers[part] = logging.getLogger(f"scallion.{part}")
    return logger


def tell_closed(origin: Any) -> None:
    """A connection was closed: a matter of no request, so only the log tells it."""
    if debugging("connection"):
        _loggers["connection"].debug("close.complete origin=%s://%s:%s", *origin[:3])


class Trace:
    """Who is told: one request's callback, a function under a `Client`, an `async def` under an `AsyncClient`; and
    the log.

    Raises:
        TypeError: the callback is of the other colour.
    """

    __slots__ = ("_blocking", "_callback")

    def __init__(
        self, callback: Callable[[str, dict[str, Any]], Any] | None, runtime: Runtime
    ) -> None:
        self._callback = callback
        self._blocking = runtime.blocking

    async def __call__(self, name: str, info: dict[str, Any]) -> None:
        if self._callback is not None:
            await self._call(name, info)
        part, _, step = name.partition(".")
        if debugging(part):
            from .trace_lines import line

            _loggers[part].debug("%s", line(step, info))

    async def _call(self, name: str, info: dict[str, Any]) -> None:
        assert self._callback is not None
        called = self._callback(name, info)
        if not self._blocking:
            if not hasattr(called, "__await__"):
                raise TypeError(
                    "The request extension 'trace' of an AsyncClient takes an `async def`"
                )
            await called
        elif hasattr(called, "__await__"):
            if hasattr(called, "close"):
                called.close()
            raise TypeError("The request extension 'trace' of a Client takes a plain function")

    @staticmethod
    def of(request: Request, runtime: Runtime, part: str) -> Trace | None:
        """Who is told of this request's steps in `part`; None for nobody."""
        callback = request.extensions.get("trace")
        return None if callback is None and not debugging(part) else Trace(callback, runtime)


class Step:
    """`async with Step(trace, name, details) as step:` around one step; set `step.returned` to tell what came of it.

    Attributes:
        told: Whether anybody is told of it.
    """

    __slots__ = ("_info", "_name", "_trace", "returned", "told")

    def __init__(self, trace: Trace | None, name: str, info: dict[str, Any]) -> None:
        self._trace = trace
        self._name = name
        self._info = info
        self.told = trace is not None
        self.returned: Any = None

    async def __aenter__(self) -> Self:
        if self._trace is not None:
            await self._trace(f"{self._name}.started", self._info)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if self._trace is None:
            return
        if error is None:
            await self._trace(f"{self._name}.complete", {"return_value": self.returned})
        else:
            await self._trace(f"{self._name}.failed", {"exception": error})


def step_of(request: Request, runtime: Runtime, name: str, info: dict[str, Any]) -> Step:
    """A step of a request of which perhaps nobody is told."""
    return Step(Trace.of(request, runtime, name.partition(".")[0]), name, info)
