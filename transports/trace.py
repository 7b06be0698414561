"""The request extension `trace`: httpx's callback, told of each step that a transport takes.

A step is told as `name.started`, and then as `name.complete` with what it returned, or as `name.failed` with the
exception. The names are httpcore's, `connection.connect_tcp` for example.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from scallion.pipeline.request import Request
from scallion.pipeline.runtime import Runtime

__all__ = ["Step", "Trace", "step_of"]


class Trace:
    """One request's callback: a function under a `Client`, an `async def` under an `AsyncClient`.

    Raises:
        TypeError: it is of the other colour.
    """

    __slots__ = ("_blocking", "_callback")

    def __init__(self, callback: Callable[[str, dict[str, Any]], Any], runtime: Runtime) -> None:
        self._callback = callback
        self._blocking = runtime.blocking

    async def __call__(self, name: str, info: dict[str, Any]) -> None:
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
    def of(request: Request, runtime: Runtime) -> Trace | None:
        """The request's callback, if it has one."""
        callback = request.extensions.get("trace")
        return None if callback is None else Trace(callback, runtime)


class Step:
    """`async with Step(trace, name, details) as step:` around one step; set `step.returned` to tell what came of it."""

    __slots__ = ("_info", "_name", "_trace", "returned")

    def __init__(self, trace: Trace | None, name: str, info: dict[str, Any]) -> None:
        self._trace = trace
        self._name = name
        self._info = info
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
    """A step of a request that may have no callback."""
    return Step(Trace.of(request, runtime), name, info)
