"""A middleware's world without I/O, in each colour: `scallion.testing`'s own, and a way to play in it.

world = World([Response(503), Response(200)])
response = play([Retries(attempts=3)], Request("GET", "http://x/"), world, drive)
assert [0.1] == world.slept
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scallion.pipeline.onion import Middleware, SyncMiddleware, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.testing.conformance.worlds import (
    After,
    OpenStream,
    Step,
    VirtualRuntime,
    World,
    open_response,
)

from .colours import Drive

__all__ = [
    "After",
    "OpenStream",
    "RecordingRuntime",
    "Step",
    "World",
    "noted",
    "open_response",
    "play",
]

RecordingRuntime = VirtualRuntime


def play(
    middlewares: Sequence[Middleware | SyncMiddleware],
    request: Request,
    world: World,
    drive: Drive,
    *,
    strict: bool = True,
) -> Response:
    """Send `request` through `middlewares`, the first outermost, into `world` and return the answer.

    Args:
        middlewares: The layers.
        request: What the outermost one is given.
        world: The transport and the runtime; its colour becomes `drive`'s.
        drive: The colour.
        strict: Whether a layer that loses a response is an error.
    """
    world.blocking = drive.blocking

    async def scenario() -> Response:
        return await compose(middlewares, world.transport, world, strict=strict)(request)

    return drive(scenario)


def noted(request: Request) -> list[tuple[str, dict[str, Any]]]:
    """What the observers of `request` will be told, beside those that it has."""
    events: list[tuple[str, dict[str, Any]]] = []
    request.observers = (*request.observers, lambda event, fields: events.append((event, fields)))
    return events
