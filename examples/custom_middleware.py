"""Middlewares of your own: a function, a class, a plain function for `Client` only, and one per attempt.

Run it: `python examples/custom_middleware.py`. No network is needed.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field

import scallion


async def request_id(request: scallion.Request, call_next: scallion.Next) -> scallion.Response:
    """Changes the request. As an `async def` it serves `Client` and `AsyncClient` alike."""
    request.headers.setdefault("X-Request-Id", "42")
    return await call_next(request)


@dataclass
class Cache:
    """Answers by itself what it knows. It keeps whole responses, so it reads them first."""

    known: dict[str, scallion.Response] = field(default_factory=dict)

    async def __call__(
        self, request: scallion.Request, call_next: scallion.Next
    ) -> scallion.Response:
        key = f"{request.method} {request.url}"
        if key not in self.known:
            response = await call_next(request)
            await response.aread()
            self.known[key] = response
        return self.known[key]


@dataclass(frozen=True)
class AskAgain:
    """Sends again what was answered with 202, after a pause, until it is done.

    The rules of ownership: a response is returned or closed, and closed before sleeping or sending again.
    """

    pause: float = 0.01

    async def __call__(
        self, request: scallion.Request, call_next: scallion.Next
    ) -> scallion.Response:
        response = await call_next(request)
        while response.status_code == 202:
            await response.aclose()
            # The runtime sleeps in the client's colour: it blocks the thread, or suspends the task.
            await call_next.runtime.sleep(self.pause)
            response = await call_next(request)
        return response


def print_status(request: scallion.Request, call_next: scallion.SyncNext) -> scallion.Response:
    """A plain function, for `Client` only."""
    response = call_next(request)
    print(f"{request.method} {request.url.path}: {response.status_code}")
    return response


def server() -> scallion.MockTransport:
    answers = itertools.cycle([202, 202, 200])

    def answer(request: scallion.Request) -> scallion.Response:
        return scallion.Response(next(answers), json={"id": request.headers.get("X-Request-Id")})

    return scallion.MockTransport(answer)


def main() -> None:
    # Per call: outside redirects and retries. Per attempt: once for each request on the wire.
    pipeline = scallion.compatible().per_call(AskAgain(), request_id).per_attempt(print_status)
    with scallion.Client(pipeline=pipeline, transport=server()) as client:
        assert client.get("http://service/job").json() == {"id": "42"}

    async def asynchronous() -> None:
        async with scallion.AsyncClient(
            middlewares=[Cache(), AskAgain(), request_id], transport=server()
        ) as client:
            first = await client.get("http://service/job")
            assert first is await client.get("http://service/job"), "the cache answered"

    asyncio.run(asynchronous())
    print("custom middlewares: success")


if __name__ == "__main__":
    main()
