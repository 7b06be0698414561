"""The script of the afternoon: what stock goes through, chapter by chapter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .town import Town

__all__ = ["AFTERNOON", "OUTAGE", "PATIENCE", "RATE", "TOGETHER", "Chapter", "hurry"]

RATE = 25
"""Customers a second."""

TOGETHER = 5
"""So many of them at once."""

PATIENCE = 5.0
"""Seconds that a customer waits: the deadline that travels through all services."""

OUTAGE = "14:40"
"""The chapter in which nothing of stock is left."""


def hurry(pace: float) -> dict[str, str]:
    """The environment of orders, for an afternoon that passes in half a minute: times of the preset, divided by ten.

    Args:
        pace: Breaks and ejections, of which each chapter has to see some, are as long in proportion.
    """
    return {
        "STOCK_TIMEOUTS_TOTAL": "3s",
        "STOCK_TIMEOUTS_ATTEMPT": "1s",
        "STOCK_BREAKER_WINDOW": f"{3000 * pace:.0f}ms",
        "STOCK_BREAKER_BREAK_FOR": f"{500 * pace:.0f}ms",
        "STOCK_BREAKER_LONGEST": f"{6000 * pace:.0f}ms",
        "STOCK_ENDPOINTS_EJECTED_FOR": f"{3000 * pace:.0f}ms",
        "STOCK_ENDPOINTS_LONGEST": f"{30000 * pace:.0f}ms",
    }


Act = Callable[[Town, float], Awaitable[None]]


async def nothing(_: Town, __: float) -> None:
    """All is as it should be."""


async def refuses(town: Town, _: float) -> None:
    await town.trouble(town.stock[0], status=503, retry_after=1)


async def slow(town: Town, _: float) -> None:
    await town.trouble(town.stock[0])
    await town.trouble(town.stock[1], delay=0.4)


async def hangs(town: Town, _: float) -> None:
    await town.trouble(town.stock[1])
    town.stock[2].hang()


async def killed(town: Town, seconds: float) -> None:
    town.stock[2].go_on()
    town.stock[0].kill()
    await asyncio.sleep(seconds / 2)
    town.stock[0].start()
    await town.ready(town.stock[0])


async def down(town: Town, _: float) -> None:
    for replica in town.stock:
        replica.kill()


async def back(town: Town, _: float) -> None:
    """Until the circuits have noticed."""
    for replica in town.stock:
        replica.start()
    await town.ready(*town.stock)
    await town.closed()


@dataclass(frozen=True)
class Chapter:
    """Lasts as long as the others, and at least until its act is over.

    Attributes:
        clock: When it begins, on that afternoon.
        title: What happens to stock.
        act: Makes it happen; is told how long a chapter lasts.
    """

    clock: str
    title: str
    act: Act


AFTERNOON = (
    Chapter("13:00", "all is well", nothing),
    Chapter("13:20", "stock-1 answers 503", refuses),
    Chapter("13:40", "stock-2 is slow", slow),
    Chapter("14:00", "stock-3 hangs", hangs),
    Chapter("14:20", "stock-1 is killed", killed),
    Chapter(OUTAGE, "stock is down", down),
    Chapter("15:00", "stock comes back", back),
    Chapter("15:20", "all is well again", nothing),
)
