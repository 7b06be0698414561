"""Rules on many requests at once: none is mixed with another one, and none waits for another one."""

from __future__ import annotations

from typing import Any

from .bench import Bench, digest
from .protocol import pattern
from .rules import Rules, holds, same

__all__ = ["rules"]

rules = Rules()

AT_ONCE = 50
SLOW = 5
"""How many requests wait for their heads beside those that are answered."""


@rules("scallion: transports serve many threads or tasks at once")
async def requests_at_once_are_not_mixed(bench: Bench) -> None:
    """Fifty requests at once, in threads or tasks, each get their own answer."""

    async def ask(number: int) -> None:
        body = pattern(1000 + 700 * number, number)
        response = await bench.open("POST", f"/echo?number={number}", content=body)
        received = await bench.read(response)
        same((len(body), digest(body)), (len(received), digest(received)), f"answer {number}")

    await bench.together(*[lambda number=number: ask(number) for number in range(AT_ONCE)])
    await bench.serves(f"{AT_ONCE} requests at once")


@rules("scallion: no answer waits for another one", needs=["streaming"])
async def slow_answers_hold_up_nobody(bench: Bench) -> None:
    """While one response is left half read, others are served."""
    gate = bench.reference.gate()
    response = await bench.open(path="/steps", gate=gate)
    pieces = bench.pieces(response)
    first = await anext(pieces)
    for _ in range(3):
        same(100, len(await bench.fetch(path="/size/100")), "an answer beside the half-read one")
    holds(not gate.late, "the others were served only when the first had ended")
    gate.open()
    rest = [piece async for piece in pieces]
    same(b"onetwo", first + b"".join(rest), "the body that was left half read")


@rules("scallion: no request waits for another one's answer")
async def slow_heads_hold_up_nobody(bench: Bench) -> None:
    """While requests wait for the heads of their answers, others on the same transport are answered."""
    gate = bench.reference.gate()
    # Who is held up shall show as such, and not as a timeout.
    unhurried = {"read": bench.patience * 3}

    async def wait() -> None:
        response = await bench.open(path="/late", gate=gate, timeout=unhurried)
        same(b"late", await bench.read(response), "the answer that was late")

    async def others() -> None:
        try:
            await bench.eventually(
                lambda: gate.requests == SLOW,
                f"{SLOW} requests at once do not all reach the server before one is answered",
            )
            await _beside(bench, "a request that waits for its head")
            holds(not gate.late, "the others were answered only when the late heads had come")
        finally:
            gate.open()

    await bench.together(others, *[wait] * SLOW)
    await bench.idle("requests whose heads were late")


@rules("scallion: no request waits for another one's body")
async def slow_uploads_hold_up_nobody(bench: Bench) -> None:
    """While a transport's first request pauses between the pieces of its body, others are answered."""
    paused = served = False

    async def pause() -> None:
        nonlocal paused
        paused = True
        await bench.eventually(
            lambda: served, "the others are answered only when the slow upload has ended"
        )

    async def upload() -> None:
        told = await bench.told("POST", content=bench.iterator(b"one", pause, b"two"))
        same((6, digest(b"onetwo")), (told.size, told.digest), "the slow upload")

    async def others() -> None:
        nonlocal served
        try:
            await bench.eventually(lambda: paused, "the body's second piece is never asked for")
            await _beside(bench, "a slow upload", timeout={"read": bench.patience * 3})
        finally:
            served = True

    await bench.together(upload, others)
    await bench.idle("a slow upload")


async def _beside(bench: Bench, what: str, **settings: Any) -> None:
    """Requests that are answered at once, with a body and without."""
    for _ in range(2):
        same(100, len(await bench.fetch(path="/size/100", **settings)), f"an answer beside {what}")
        received = await bench.fetch("POST", "/echo", content=b"beside", **settings)
        same(b"beside", received, f"an answer beside {what}")
