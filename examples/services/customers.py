"""Customers: some at a time, at a steady rate, whatever became of those before them. Each waits for so long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from opentelemetry import trace

import scallion
from scallion import AsyncClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Customers", "Visit", "percentile"]

Outcome = Literal["full", "back", "lost"]

_ITEMS = ("apple", "pear", "plum")
_OUTCOMES: dict[int, Outcome] = {201: "full", 202: "back"}


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of one customer's order.

    Attributes:
        began, ended: Seconds since the epoch.
        outcome: Answered in full; with the fallback, "to be confirmed"; or not at all.
        why: What was missing, if anything.
        trace: The id of its trace.
    """

    began: float
    ended: float
    outcome: Outcome
    why: str
    trace: str

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Customers:
    """Orders placed with the shop, `rate` a second, always `together` at once.

    Attributes:
        visits: Those that are over.
    """

    def __init__(self, shop: str, rate: float, together: int, patience: float) -> None:
        self.visits: list[Visit] = []
        self._rate = rate
        self._together = together
        self._shop = AsyncClient.for_service(
            "shop", base_url=shop, timeouts={"total": patience}, trust_env=False
        )

    @asynccontextmanager
    async def coming(self) -> AsyncIterator[None]:
        """They come for as long as the block lasts, and all have had their answers when it has ended."""
        async with self._shop, asyncio.TaskGroup() as group:
            # Before the doors open: each process does for the first time what it will do all day.
            for _ in range(4):
                await asyncio.gather(*(self._order(_ITEMS[0]) for _ in range(self._together)))
            self.visits.clear()
            door = asyncio.create_task(self._come(group))
            try:
                yield
            finally:
                door.cancel()

    async def _come(self, group: asyncio.TaskGroup) -> None:
        started, number = time.monotonic(), 0
        while True:
            for _ in range(self._together):
                group.create_task(self._order(_ITEMS[number % len(_ITEMS)]))
                number += 1
            await asyncio.sleep(max(0.0, started + number / self._rate - time.monotonic()))

    async def _order(self, item: str) -> None:
        tracer = trace.get_tracer("services")
        with tracer.start_as_current_span("a customer") as span:
            began = time.time()
            outcome: Outcome
            try:
                response = await self._shop.post("/checkout", json={"item": item})
                told = response.json()
            except scallion.RequestError as error:
                outcome, why = "lost", type(error).__name__
            else:
                outcome = _OUTCOMES.get(response.status_code, "lost")
                why = told.get("because") or told.get("error") or ""
            made = trace.format_trace_id(span.get_span_context().trace_id)
            self.visits.append(Visit(began, time.time(), outcome, why, made))


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that `share` of the values do not exceed; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
