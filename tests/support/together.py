"""Several calls at once, in each colour: threads where waiting blocks, tasks elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import anyio

from scallion.pipeline.runtime import run

from .colours import Drive

__all__ = ["together"]

T = TypeVar("T")
PATIENCE = 30.0


async def together(
    drive: Drive, *works: Callable[[], Coroutine[Any, Any, T]]
) -> list[T | Exception]:
    """The results of all `works`, in their order; an exception is the result of a work that raised it."""
    results: list[Any] = [None] * len(works)

    async def play(index: int) -> None:
        try:
            results[index] = await works[index]()
        except Exception as error:
            results[index] = error

    if drive.blocking:
        threads = [
            threading.Thread(target=lambda index=index: run(play(index)), daemon=True)
            for index in range(len(works))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a thread hangs"
    else:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                for index in range(len(works)):
                    group.start_soon(play, index)
    return results
