"""A request that is sent again: nothing of the first call is left on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import scallion
from scallion.middlewares.endpoints import ConsistentHash, Endpoints
from scallion.middlewares.hedging import Hedging, hedge_of
from scallion.middlewares.retries import Retries, attempt_of
from scallion.middlewares.retry_budget import RetryBudget
from support.colours import Drive


def sent(
    drive: Drive,
    pipeline: scallion.Pipeline,
    answer: Callable[[scallion.Request], scallion.Response],
    times: int,
    *,
    follow: bool = False,
) -> list[scallion.Response]:
    """The same request so many times; with `follow`, each time the one that was answered."""
    transport = scallion.MockTransport(answer)

    async def scenario() -> list[scallion.Response]:
        responses: list[scallion.Response] = []
        if drive.blocking:
            with scallion.Client(pipeline=pipeline, transport=transport) as client:
                request = client.build_request("GET", "http://orders/")
                for _ in range(times):
                    responses.append(client.send(request))
                    request = responses[-1].request if follow else request
            return responses
        async with scallion.AsyncClient(pipeline=pipeline, transport=transport) as client:
            request = client.build_request("GET", "http://orders/")
            for _ in range(times):
                responses.append(await client.send(request))
                request = responses[-1].request if follow else request
        return responses

    return drive(scenario)


def test_the_second_call_does_not_avoid_where_the_first_one_failed(drive: Drive) -> None:
    """
    It goes where its key belongs.
    """
    endpoints = Endpoints(
        {"orders": ["a", "b", "c"]}, choice=ConsistentHash(lambda request: "key"), ejection=None
    )
    went: list[str] = []

    def answer(request: scallion.Request) -> scallion.Response:
        went.append(request.url.host)
        return scallion.Response(503)

    sent(drive, scallion.Pipeline(endpoints), answer, 3)

    assert 1 == len(set(went))


def test_the_second_call_is_a_deposit_of_its_own(drive: Drive) -> None:
    """
    Also if what is sent again is a copy that a hedge has sent, from a second attempt.
    """
    budget = RetryBudget(share=1.0, window=1000.0, floor=0.0)
    lock, seen = threading.Lock(), list[tuple[int, int]]()
    pipeline = scallion.Pipeline(
        Retries(budget=budget, wait=lambda state: 0.0), Hedging(delay=30.0, most_load=4.0)
    )

    def answer(request: scallion.Request) -> scallion.Response:
        with lock:
            seen.append((attempt_of(request), hedge_of(request)))
            return scallion.Response(503 if len(seen) == 1 else 200)

    responses = sent(drive, pipeline, answer, 3, follow=True)

    assert [200] * 3 == [response.status_code for response in responses]
    assert [(1, 0), (2, 0), (1, 0), (1, 0)] == seen
    # Three deposits, of which one was spent on the retry.
    assert 2.0 == budget.balance(responses[0].request, time.monotonic())
