"""One test body, three colours: driven without a loop, by asyncio, by trio."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import anyio

from scallion.pipeline.runtime import AsyncRuntime, BlockingRuntime, Runtime, run

__all__ = ["COLOURS", "Colour", "Drive"]

T = TypeVar("T")
Colour = Literal["sync", "asyncio", "trio"]
COLOURS: tuple[Colour, ...] = ("sync", "asyncio", "trio")


@dataclass(frozen=True)
class Drive:
    """Runs `async def` functions in one colour: `drive(scenario)` returns what `scenario()` does."""

    colour: Colour

    def __call__(self, scenario: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if self.colour == "sync":
            return run(scenario())
        return anyio.run(scenario, backend=self.colour)

    @property
    def blocking(self) -> bool:
        """Whether waiting blocks the thread, as in a `Client`."""
        return self.colour == "sync"

    def runtime(self) -> Runtime:
        """The runtime that a client of this colour would have."""
        return BlockingRuntime() if self.blocking else AsyncRuntime()
