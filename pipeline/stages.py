"""What happens to a body on its way to the caller, without I/O: stages, and how they compose.

A stage is fed one item and answers with any number of them; `finish` gives what it still holds. All
answers are lazy: a stage produces the next item when the one before has been taken, so that memory
stays bounded however much an item inflates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar

__all__ = ["Chain", "Stage"]

In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)


class Stage(Protocol[In_contra, Out_co]):
    """One transformation. The answer to `feed` must be used up before the next `feed`."""

    def feed(self, data: In_contra, /) -> Iterable[Out_co]: ...

    def finish(self) -> Iterable[Out_co]: ...


class Chain:
    """Stages in a row, the first nearest to the wire; empty items go in nowhere."""

    __slots__ = ("_stages",)

    def __init__(self, stages: Iterable[Stage[Any, Any]]) -> None:
        self._stages = tuple(stages)

    def feed(self, data: Any) -> Iterator[Any]:
        items: Iterable[Any] = (data,) if data else ()
        for stage in self._stages:
            items = _feed(stage, items)
        return iter(items)

    def finish(self) -> Iterator[Any]:
        items: Iterable[Any] = ()
        for stage in self._stages:
            items = _finish(stage, items)
        return iter(items)

    def whole(self, data: Any) -> Iterator[Any]:
        """What a body consisting of `data` alone gives."""
        yield from self.feed(data)
        yield from self.finish()


def _feed(stage: Stage[Any, Any], items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        yield from stage.feed(item)


def _finish(stage: Stage[Any, Any], items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        yield from stage.feed(item)
    yield from stage.finish()
