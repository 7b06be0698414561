"""Rules on what passes through a middleware: responses, errors, cancellation, and who owns what."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scallion.pipeline.errors import (
    HTTPError,
    InvalidURL,
    MiddlewareError,
    RequestError,
    StreamError,
)
from scallion.pipeline.response import Response

from .cancelling import cancelled_everywhere
from .colours import tasks
from .onion_bench import MiddlewareBench, Rest, naming
from .rules import Rules, holds, same
from .scenarios import ERRORS, GOOD, RESENT, SCENARIOS, Answer, Scenario

__all__ = ["rules"]

rules = Rules()

BUSY = Answer(503, (("Retry-After", "1"),))
ASYNC = ("asyncio", "trio")

# What is worth being cancelled at each of its steps.
_CANCELLED = tuple(
    scenario
    for scenario in SCENARIOS
    if scenario.outcomes[0] in (GOOD, BUSY, Answer(503))
    or (isinstance(scenario.outcomes[0], Answer) and scenario.outcomes[0].status in (302, 307, 401))
    or scenario.outcomes[0] in ERRORS[-4:]
)


class Foreign(Exception):
    """An error that is nobody's business."""


class Stop(BaseException):
    """What is no Exception: KeyboardInterrupt and its like."""


@rules("scallion: Middleware, async (request, call_next) -> Response")
async def response_or_error_comes_out(bench: MiddlewareBench) -> None:
    """Whatever the rest answers, a Response comes out, or an error of scallion's, and no mistake of the layer's own."""
    for scenario in SCENARIOS:
        with naming(scenario):
            outcome, _ = await bench.play(scenario)
            await bench.finish(outcome)
            if outcome.error is None:
                holds(
                    isinstance(outcome.response, Response),
                    f"a {type(outcome.response).__name__} came out instead of a Response",
                )
            else:
                holds(
                    isinstance(outcome.error, (HTTPError, InvalidURL, StreamError))
                    and not isinstance(outcome.error, MiddlewareError),
                    f"what came out is no answer and no error of scallion's: {outcome.error!r}",
                )


@rules("scallion: Next; who receives a response returns it or closes it")
async def no_response_is_lost(bench: MiddlewareBench) -> None:
    """Every response that the layer received and does not return is closed when it ends, by an error too."""
    for scenario in SCENARIOS:
        with naming(scenario):
            outcome, rest = await bench.play(scenario)
            lost = rest.open(outcome.response)
            await bench.finish(outcome)
            holds(not lost, f"{lost} was neither returned nor closed")


@rules("scallion: Next; it closes a response before sleeping or sending again")
async def responses_are_closed_in_time(bench: MiddlewareBench) -> None:
    """A response is closed before the layer sleeps, and before it sends again: its connection may be the only one."""
    for scenario in SCENARIOS:
        with naming(scenario):
            outcome, _ = await bench.play(scenario, strict=True)
            await bench.finish(outcome)
            if isinstance(outcome.error, MiddlewareError):
                raise AssertionError(str(outcome.error)) from outcome.error


@rules("scallion: Next; a returned response is the caller's")
async def returned_responses_can_be_read(bench: MiddlewareBench) -> None:
    """What comes out can be read, and what the rest answered has the body that the rest gave it."""
    for scenario in SCENARIOS:
        with naming(scenario):
            outcome, rest = await bench.play(scenario)
            if not isinstance(outcome.response, Response):
                continue
            try:
                content = await bench.read(outcome.response)
            except Exception as error:
                raise AssertionError(
                    f"the response that came out cannot be read: {error!r}"
                ) from error
            for response, body in rest.made:
                if response is outcome.response:
                    same(body, content, "the content")


@rules("scallion: errors pass; they keep their class and their history")
async def errors_pass(bench: MiddlewareBench) -> None:
    """An error of the rest's comes out, as it is or as another one of scallion's, or is answered with a Response."""
    for kind in ERRORS:
        scenario = Scenario(f"a GET, always failing with {kind.__name__}", (kind,))
        with naming(scenario):
            outcome, _ = await bench.play(scenario)
            await bench.finish(outcome)
            holds(
                isinstance(outcome.response, Response) or isinstance(outcome.error, RequestError),
                f"{kind.__name__} became {outcome.error or outcome.response!r}",
            )


@rules("scallion: a layer handles what it knows")
async def foreign_errors_pass(bench: MiddlewareBench) -> None:
    """What is no error of scallion's comes out as the very same, and nothing is sent again after it."""
    scenario = Scenario("a GET that fails with a stranger's error", (Foreign,))
    outcome, rest = await bench.play(scenario)
    await bench.finish(outcome)
    holds(isinstance(outcome.error, Foreign), f"it became {outcome.error or outcome.response!r}")
    same(1, len(rest.asked), "sendings of a request that failed with a stranger's error")


@rules("scallion: KeyboardInterrupt, SystemExit and their like are nobody's to catch")
async def interruptions_pass(bench: MiddlewareBench) -> None:
    """A BaseException comes out as the very same, and nothing is sent again after it."""
    runtime = bench.runtime()
    rest = Rest(Scenario("an interruption", (Stop,)), runtime)
    try:
        await bench.onion(rest, runtime)(bench.request())
    except Stop:
        pass
    except BaseException as error:
        raise AssertionError(f"the interruption became {error!r}") from error
    else:
        raise AssertionError("the interruption was swallowed")
    same(1, len(rest.asked), "sendings of a request that was interrupted")


@rules("scallion: cancellation passes, at every suspension", colours=ASYNC)
async def cancellation_passes(bench: MiddlewareBench) -> None:
    """A call that is cancelled at any point where it waits ends there, and every response it had is closed."""
    for scenario in _CANCELLED:
        with naming(scenario):
            await _cancelled(bench, scenario)


async def _cancelled(bench: MiddlewareBench, scenario: Scenario) -> None:
    before = await tasks(bench.colour)
    rests: list[Rest] = []

    async def call() -> None:
        runtime = bench.runtime()
        rests.append(Rest(scenario, runtime))
        try:
            response = await bench.onion(rests[-1], runtime)(bench.request(scenario))
        except RequestError:
            return
        # From here on it is this caller's.
        response.is_closed = True

    async def check(number: int, returned: bool) -> None:
        when = f"it was cancelled at suspension {number}"
        holds(not returned, f"{when}, and went on all the same")
        left = rests[-1].open()
        holds(not left, f"{when}, and left {left} open")
        alive = await tasks(bench.colour)
        holds(alive <= before, f"{when}, and left {alive - before} tasks running")

    await cancelled_everywhere(bench.colour, call, check)


@rules("scallion: no task and no thread outlives its call")
async def nothing_is_left_running(bench: MiddlewareBench) -> None:
    """When a call has ended, no task and no thread that it started lives."""
    before = await tasks(bench.colour)
    for scenario in SCENARIOS:
        with naming(scenario):
            outcome, _ = await bench.play(scenario)
            await bench.finish(outcome)
            left = await tasks(bench.colour)
            holds(left <= before, f"{left - before} tasks or threads live on")


@rules("scallion: request.replayable is asked before a second sending")
async def bodies_are_sent_once(bench: MiddlewareBench) -> None:
    """A body that can be sent once is never sent twice, whatever the answer is."""
    for scenario in RESENT:
        with naming(scenario):
            outcome, rest = await bench.play(scenario)
            await bench.finish(outcome)
            holds(not rest.spent, f"{rest.spent} was sent again, after its body had been used up")


@rules("scallion: every loop has an end")
async def sending_ends(bench: MiddlewareBench) -> None:
    """One call sends a bounded number of times, whatever the answers are."""
    for scenario in SCENARIOS:
        if len(scenario.outcomes) > 1:
            continue
        with naming(scenario):
            outcome, _ = await bench.play(scenario)
            await bench.finish(outcome)
            if isinstance(outcome.error, AssertionError):
                raise outcome.error


@rules("scallion: request.deadline")
async def deadlines_are_kept(bench: MiddlewareBench) -> None:
    """A layer does not sleep beyond `request.deadline`."""
    for scenario in SCENARIOS:
        with naming(scenario):
            runtime = bench.runtime()
            request = bench.request(scenario)
            request.deadline = deadline = runtime.clock() + 5
            outcome, _ = await bench.play(scenario, request=request, runtime=runtime)
            await bench.finish(outcome)
            late = runtime.now - deadline
            holds(late <= 0, f"it slept {late:g} seconds beyond the deadline")


@rules("scallion: Runtime.sleep; whatever waits goes through the runtime")
async def waiting_goes_through_the_runtime(bench: MiddlewareBench) -> None:
    """A layer never calls time.sleep, which would block an event loop and cannot be replaced in tests."""
    for scenario in SCENARIOS:
        with naming(scenario), _no_blocking():
            outcome, _ = await bench.play(scenario)
            await bench.finish(outcome)
            if isinstance(outcome.error, AssertionError):
                raise outcome.error


@contextmanager
def _no_blocking() -> Iterator[None]:
    real, here = time.sleep, threading.get_ident()

    def refuse(seconds: Any, /) -> None:
        if threading.get_ident() == here:
            raise AssertionError(f"it calls time.sleep({seconds:g})")
        real(seconds)

    time.sleep = refuse
    try:
        yield
    finally:
        time.sleep = real
