"""The first copy in the caller's own task: cancellations that are the layer's own, and those that are not. In asyncio."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from scallion.middlewares.hedging import Hedging, hedge_of
from scallion.middlewares.timeouts import AttemptTimeouts, Deadlines
from scallion.pipeline.errors import TotalTimeout
from scallion.pipeline.onion import Next, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import AsyncRuntime
from support.cancelling import cancelled_everywhere
from support.worlds import open_response

URL = "http://example.org/"
SLOW = 0.005
"""Seconds after which there is a hedge."""

Scene = Callable[[], Coroutine[Any, Any, object]]


def onion(transport: Any, *inner: Any, **settings: Any) -> Next:
    hedging = Hedging(**{"delay": SLOW, "most_load": 4.0, **settings})
    return compose([hedging, *inner], transport, AsyncRuntime(), strict=True)


async def forever() -> None:
    await asyncio.Event().wait()


async def first_hangs(request: Request) -> Response:
    if not hedge_of(request):
        await forever()
    return Response(200)


async def all_hang(request: Request) -> Response:
    await forever()
    raise AssertionError


def cancellations() -> int:
    """How many the running task knows of that nobody has taken back."""
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


def test_a_quick_answer_needs_no_task() -> None:
    """
    It is sent in the caller's, and no timer is left behind for it.
    """
    runtime = AsyncRuntime()
    tasks: list[object] = []

    async def transport(request: Request) -> Response:
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1
        tasks.append(asyncio.current_task())
        return Response(200)

    async def scene() -> None:
        await compose([Hedging(delay=60.0)], transport, runtime)(Request("GET", URL))
        assert [asyncio.current_task()] == tasks
        here = runtime.alarm()
        assert here is not None
        assert {} == here[0].waiting

    asyncio.run(scene())


def test_the_first_copys_cancellation_is_taken_back() -> None:
    """
    The caller's task goes on as if nothing had been.
    """

    async def scene() -> None:
        response = await onion(first_hangs)(Request("GET", URL))
        assert 1 == response.extensions["hedges"]
        assert 0 == cancellations()
        await asyncio.sleep(0)

    asyncio.run(scene())


@pytest.mark.parametrize("winner", [0, 1])
@pytest.mark.parametrize("inner", [[], [AttemptTimeouts(5.0)]], ids=["", "AttemptTimeouts"])
def test_a_cancellation_from_without_is_the_callers(inner: list[Any], winner: int) -> None:
    """
    At any point, and all that was sent has ended and was closed by then.
    """
    sent: list[int] = []
    over: list[int] = []
    got: list[Response] = []

    async def transport(request: Request) -> Response:
        number = hedge_of(request)
        sent.append(number)
        try:
            for _ in range(6):
                await asyncio.sleep(0)
            if number != winner:
                await asyncio.sleep(10 * SLOW)
        finally:
            try:
                # To end takes a while.
                await asyncio.sleep(0)
            finally:
                over.append(number)
        got.append(open_response(200))
        return got[-1]

    async def work() -> None:
        before = cancellations()
        sent.clear(), over.clear(), got.clear()
        response = await onion(transport, *inner, delay=0.0, hedges=2)(Request("GET", URL))
        assert before == cancellations()
        await response.aclose()

    async def check() -> None:
        assert sorted(sent) == sorted(over)
        assert [] == [response for response in got if not response.is_closed]
        assert {asyncio.current_task()} == asyncio.all_tasks()

    assert asyncio.run(cancelled_everywhere(work, check)) > 4


@pytest.mark.parametrize("turns", range(12))
def test_a_cancellation_just_as_the_hedge_wins_is_not_lost(turns: int) -> None:
    """
    Whichever of the two comes first, and what was received is closed.
    """
    got: list[Response] = []
    answered = asyncio.Event()

    async def transport(request: Request) -> Response:
        if not hedge_of(request):
            try:
                await forever()
            finally:
                await asyncio.sleep(0)
        got.append(open_response(200))
        answered.set()
        return got[-1]

    async def scene() -> bool:
        async def call() -> Response:
            return await onion(transport)(Request("GET", URL))

        task = asyncio.create_task(call())
        await answered.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        was_done = task.done()
        task.cancel()
        try:
            response = await task
        except asyncio.CancelledError:
            assert [True] == [response.is_closed for response in got]
            return True
        assert was_done
        await response.aclose()
        return False

    cancelled = asyncio.run(scene())
    # Early ones are cancellations, late ones come to nothing.
    assert cancelled or turns > 2


def test_who_is_cancelled_cleans_up_undisturbed() -> None:
    """
    The hedge's answer comes meanwhile, and does not cancel him once more.
    """
    cleaned: list[bool] = []

    async def transport(request: Request) -> Response:
        if hedge_of(request):
            await asyncio.sleep(SLOW)
            return Response(200)
        try:
            await forever()
        finally:
            await asyncio.sleep(6 * SLOW)
            cleaned.append(True)
        raise AssertionError

    async def scene() -> None:
        call = asyncio.ensure_future(onion(transport, delay=0.0)(Request("GET", URL)))
        await asyncio.sleep(SLOW / 2)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(scene())
    assert [True] == cleaned


def test_a_hedge_sees_its_callers_context() -> None:
    """
    Not that of who set the timer, which all callers share.
    """
    variable: ContextVar[str] = ContextVar("variable")
    seen: list[tuple[str, str]] = []

    async def transport(request: Request) -> Response:
        if not hedge_of(request):
            await forever()
        seen.append((request.url.path, variable.get()))
        return Response(200)

    async def scene() -> None:
        send = onion(transport)

        async def call(name: str) -> None:
            variable.set(name)
            await send(Request("GET", URL + name))

        await asyncio.gather(call("a"), call("b"))

    asyncio.run(scene())
    assert [("/a", "a"), ("/b", "b")] == sorted(seen)


async def bounded_by_asyncio(work: Awaitable[object]) -> None:
    async with asyncio.timeout(4 * SLOW):
        await work


async def bounded_by_anyio(work: Awaitable[object]) -> None:
    with anyio.fail_after(4 * SLOW):
        await work


@pytest.mark.parametrize("bounded", [bounded_by_asyncio, bounded_by_anyio])
def test_a_timeout_of_the_callers_is_his(bounded: Any) -> None:
    """
    It cancels his task, and knows its own cancellation again.
    """

    async def scene() -> None:
        with pytest.raises(TimeoutError):
            await bounded(onion(all_hang)(Request("GET", URL)))
        assert 0 == cancellations()
        assert 1 == len(asyncio.all_tasks())

    asyncio.run(scene())


def test_a_deadline_that_passes_as_the_hedge_wins_passes() -> None:
    """
    Both end the same work; or the answer came first.
    """
    closed: list[Response] = []

    async def transport(request: Request) -> Response:
        if not hedge_of(request):
            await forever()
        await asyncio.sleep(0.01)
        closed.append(open_response(200))
        return closed[-1]

    async def scene(total: float) -> None:
        send = compose(
            [Deadlines(total), Hedging(delay=0.0, most_load=4.0)], transport, AsyncRuntime()
        )
        try:
            response = await send(Request("GET", URL))
        except TotalTimeout:
            assert all(response.is_closed for response in closed)
        else:
            await response.aclose()
        assert 0 == cancellations()

    for total in (0.008, 0.009, 0.0095, 0.01, 0.0105, 0.011):
        asyncio.run(scene(total))


def test_what_comes_in_spite_of_it_is_closed() -> None:
    """
    A layer that does not mind being cancelled still loses.
    """
    stubborn = open_response(200)

    async def transport(request: Request) -> Response:
        if not hedge_of(request):
            try:
                await forever()
            except asyncio.CancelledError:
                return stubborn
        return Response(201)

    async def scene() -> None:
        response = await onion(transport)(Request("GET", URL))
        assert 201 == response.status_code
        assert stubborn.is_closed
        assert 0 == cancellations()

    asyncio.run(scene())


def test_an_error_of_the_classifier_ends_all() -> None:
    """
    It is the caller's to see; nothing goes on behind his back.
    """

    def broken(outcome: object) -> bool:
        raise RuntimeError("a bug")

    async def scene() -> None:
        with pytest.raises(RuntimeError, match="a bug"):
            await onion(first_hangs, transient=broken)(Request("GET", URL))
        assert 0 == cancellations()
        assert 1 == len(asyncio.all_tasks())

    asyncio.run(scene())


def test_what_ends_the_program_is_not_held_up() -> None:
    """
    A `SystemExit` is no failure that a hedge could make up for.
    """

    async def transport(request: Request) -> Response:
        if not hedge_of(request):
            await asyncio.sleep(3 * SLOW)
            raise SystemExit(3)
        await forever()
        raise AssertionError

    async def scene() -> None:
        await onion(transport)(Request("GET", URL))

    with pytest.raises(SystemExit):
        asyncio.run(scene())


def test_it_ends_as_the_alarm_rings() -> None:
    """
    The race that has just begun finds it over, and sends nothing.
    """
    sent: list[int] = []

    async def transport(request: Request) -> Response:
        sent.append(hedge_of(request))
        # The alarm rings after this, in the same turn of the loop as the answer comes.
        await asyncio.sleep(0)
        time.sleep(2 * SLOW)
        await asyncio.sleep(0)
        return Response(200)

    async def scene() -> None:
        response = await onion(transport)(Request("GET", URL))
        assert "hedges" not in response.extensions

    asyncio.run(scene())
    assert [0] == sent


@pytest.mark.parametrize("transport", [first_hangs, all_hang])
def test_no_circles_are_left(transport: Any) -> None:
    """
    All that a race made is gone with it.
    """

    async def scene() -> None:
        try:
            async with asyncio.timeout(10 * SLOW):
                await onion(transport)(Request("GET", URL))
        except TimeoutError:
            pass

    async def counted() -> list[str]:
        await scene()
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            await scene()
            gc.collect()
            return [
                f"{type(each).__module__}.{type(each).__qualname__}"
                for each in gc.garbage
                if type(each).__module__.startswith("scallion")
            ]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()

    assert [] == asyncio.run(counted())
