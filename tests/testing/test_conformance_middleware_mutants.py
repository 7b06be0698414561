"""The suite for middlewares has teeth: each of these broken ones is caught by the rule that is meant for it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from scallion import HTTPError, ReadError, Request, RequestError, Response, StreamConsumed
from scallion.testing.conformance import ConformanceError, middleware_checks

SECRET = "open-sesame"
KEPT: list[Any] = []


async def sound(request: Request, call_next: Any) -> Any:
    """Retries once, by the rules."""
    response = await call_next(request)
    if response.status_code != 503 or not request.replayable:
        return response
    await response.aclose()
    deadline = request.deadline
    if deadline is None or call_next.runtime.clock() + 1 < deadline:
        await call_next.runtime.sleep(1)
    return await call_next(request)


async def returns_nothing(request: Request, call_next: Any) -> Any:
    await (await call_next(request)).aclose()


async def has_a_mistake(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    if response.status_code == 404:
        response.headers["no-such-header"]
    return response


async def waits_by_asyncio(request: Request, call_next: Any) -> Any:
    await asyncio.sleep(0)
    return await call_next(request)


async def leaks_when_sending_again(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    if response.status_code == 503 and request.replayable:
        return await call_next(request)
    return response


async def leaks_when_failing(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    if response.status_code == 500:
        raise ReadError("a 500 is no answer", request=request)
    return response


async def sleeps_on_a_response(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    if response.status_code == 503:
        await call_next.runtime.sleep(0.1)
    return response


async def closes_late(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    if response.status_code == 503 and request.replayable:
        again = await call_next(request)
        await response.aclose()
        return again
    return response


async def closes_what_it_returns(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    await response.aclose()
    return response


async def changes_the_body(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    response._content = b"other"
    return response


async def translates_errors(request: Request, call_next: Any) -> Any:
    try:
        return await call_next(request)
    except RequestError as error:
        raise OSError("it did not work") from error


async def retries_anything(request: Request, call_next: Any) -> Any:
    try:
        return await call_next(request)
    except Exception:
        return await call_next(request)


async def swallows_interruptions(request: Request, call_next: Any) -> Any:
    try:
        return await call_next(request)
    except BaseException:
        return Response(500)


async def swallows_cancellation(request: Request, call_next: Any) -> Any:
    try:
        return await call_next(request)
    except asyncio.CancelledError:
        return Response(500)


async def goes_on_when_cancelled(request: Request, call_next: Any) -> Any:
    with anyio.CancelScope(shield=True):
        return await call_next(request)


async def leaks_when_cancelled(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    await response.aread()
    return response


async def leaves_a_task(request: Request, call_next: Any) -> Any:
    KEPT.append(asyncio.ensure_future(asyncio.sleep(60)))
    return await call_next(request)


async def leaves_a_thread(request: Request, call_next: Any) -> Any:
    thread = threading.Thread(target=DONE.wait, args=(30,), daemon=True)
    thread.start()
    KEPT.append(thread)
    return await call_next(request)


DONE = threading.Event()


async def sends_anything_again(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    if response.status_code == 503:
        await response.aclose()
        try:
            return await call_next(request)
        except StreamConsumed as error:
            raise ReadError("the body is gone", request=request) from error
    return response


async def never_stops(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    while response.status_code == 503 and request.replayable:
        await response.aclose()
        response = await call_next(request)
    return response


async def sleeps_beyond_the_deadline(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    if response.status_code == 429 and request.replayable:
        await response.aclose()
        await call_next.runtime.sleep(60)
        return await call_next(request)
    return response


async def blocks(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    if response.status_code == 503:
        time.sleep(0.001)
    return response


class MixesCalls:
    async def __call__(self, request: Request, call_next: Any) -> Any:
        self.request = request
        if call_next.runtime.blocking:
            time.sleep(0.001)
        else:
            await anyio.lowlevel.checkpoint()
        return await call_next(self.request)


class HoldsALoopsLock:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def __call__(self, request: Request, call_next: Any) -> Any:
        async with self.lock:
            return await call_next(request)


async def leaves_its_mark(request: Request, call_next: Any) -> Any:
    request.extensions["mine.attempt"] = 1
    return await call_next(request)


async def leaves_an_observer(request: Request, call_next: Any) -> Any:
    request.observers = (*request.observers, print)
    return await call_next(request)


async def answers_wrongly(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    await response.aclose()
    return Response(200)


class ShowsItsPassword:
    def __repr__(self) -> str:
        return f"ShowsItsPassword({SECRET!r})"

    async def __call__(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)


async def logs_credentials(request: Request, call_next: Any) -> Any:
    logging.getLogger("mine").debug("sending %s", dict(request.headers))
    return await call_next(request)


async def tells_credentials(request: Request, call_next: Any) -> Any:
    try:
        return await call_next(request)
    except HTTPError as error:
        error.add_note(f"the URL was {request.url}")
        raise


@dataclass(frozen=True)
class HoldsALock:
    attempts: int = 3
    lock: Any = field(default_factory=threading.Lock, init=False, compare=False)

    async def __call__(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)


@dataclass(frozen=True)
class EqualsNothing:
    marker: Any = field(default_factory=object, init=False)

    async def __call__(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)


class IgnoresItsOption:
    option = "mine"

    async def __call__(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)


async def names_another_request(request: Request, call_next: Any) -> Any:
    try:
        return await call_next(request)
    except RequestError as error:
        error.request = Request("GET", "http://other.example/")
        raise


class DoesNotPickle(ReadError):
    def __init__(self, message: str, *, request: Request | None = None) -> None:
        super().__init__(message, request=request)
        self.lock = threading.Lock()


async def raises_what_does_not_pickle(request: Request, call_next: Any) -> Any:
    try:
        return await call_next(request)
    except RequestError as error:
        raise DoesNotPickle("it did not work") from error


def plain_and_leaking(request: Request, call_next: Any) -> Any:
    response = call_next(request)
    if response.status_code == 503 and request.replayable:
        return call_next(request)
    return response


MUTANTS = [
    (returns_nothing, "response_or_error_comes_out", "sync"),
    (has_a_mistake, "response_or_error_comes_out", "trio"),
    (waits_by_asyncio, "response_or_error_comes_out", "sync"),
    (waits_by_asyncio, "response_or_error_comes_out", "trio"),
    (leaks_when_sending_again, "no_response_is_lost", "asyncio"),
    (leaks_when_failing, "no_response_is_lost", "sync"),
    (plain_and_leaking, "no_response_is_lost", "sync"),
    (sleeps_on_a_response, "responses_are_closed_in_time", "sync"),
    (closes_late, "responses_are_closed_in_time", "trio"),
    (closes_what_it_returns, "returned_responses_can_be_read", "sync"),
    (changes_the_body, "returned_responses_can_be_read", "asyncio"),
    (translates_errors, "errors_pass", "sync"),
    (retries_anything, "foreign_errors_pass", "trio"),
    (swallows_interruptions, "interruptions_pass", "sync"),
    (swallows_cancellation, "cancellation_passes", "asyncio"),
    (goes_on_when_cancelled, "cancellation_passes", "trio"),
    (leaks_when_cancelled, "cancellation_passes", "asyncio"),
    (leaks_when_cancelled, "cancellation_passes", "trio"),
    (leaves_a_task, "nothing_is_left_running", "asyncio"),
    (leaves_a_thread, "nothing_is_left_running", "sync"),
    (sends_anything_again, "bodies_are_sent_once", "sync"),
    (sends_anything_again, "bodies_are_sent_once", "asyncio"),
    (never_stops, "sending_ends", "sync"),
    (sleeps_beyond_the_deadline, "deadlines_are_kept", "sync"),
    (blocks, "waiting_goes_through_the_runtime", "asyncio"),
    (MixesCalls, "calls_at_once_are_not_mixed", "sync"),
    (MixesCalls, "calls_at_once_are_not_mixed", "trio"),
    (HoldsALoopsLock, "event_loops_do_not_matter", "asyncio"),
    (leaves_its_mark, "requests_are_left_clean", "sync"),
    (leaves_an_observer, "requests_are_left_clean", "asyncio"),
    (answers_wrongly, "clients_can_have_it", "sync"),
    (answers_wrongly, "clients_can_have_it", "trio"),
    (ShowsItsPassword, "secrets_are_not_shown", "sync"),
    (logs_credentials, "secrets_are_not_shown", "sync"),
    (tells_credentials, "secrets_are_not_shown", "asyncio"),
    (HoldsALock, "frozen_settings_are_values", "sync"),
    (EqualsNothing, "frozen_settings_are_values", "sync"),
    (IgnoresItsOption, "wrong_options_are_refused", "sync"),
    (names_another_request, "errors_name_their_request", "sync"),
    (raises_what_does_not_pickle, "errors_name_their_request", "sync"),
]


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    DONE.clear()
    yield
    DONE.set()
    for kept in KEPT:
        if isinstance(kept, threading.Thread):
            kept.join()
    KEPT.clear()


@pytest.mark.parametrize(
    ("mutant", "rule", "colour"),
    MUTANTS,
    ids=[f"{made.__name__}-{rule}-{colour}" for made, rule, colour in MUTANTS],
)
def test_each_mutant_is_caught_by_its_rule(mutant: Any, rule: str, colour: Any) -> None:
    """
    A middleware with one thing broken breaks the rule about that.
    """
    (check,) = [
        check
        for check in middleware_checks(colours=[colour], secrets=[SECRET], patience=1)
        if rule == str(check)
    ]
    make = mutant if isinstance(mutant, type) else lambda: mutant

    with pytest.raises(ConformanceError, match=rf"{rule} \[{colour}\]"):
        check(make)


def test_every_rule_has_a_mutant() -> None:
    """
    No rule is without teeth.
    """
    assert {rule for _, rule, _ in MUTANTS} == {str(check) for check in middleware_checks()}


def test_what_the_mutants_are_made_of_is_sound() -> None:
    """
    A layer of the same kind that keeps the rules passes.
    """
    for check in middleware_checks():
        check(lambda: sound)
