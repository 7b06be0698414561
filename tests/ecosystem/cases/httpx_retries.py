"""httpx-retries: a transport around others, which sends the same request again and reads its extensions."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import httpx_retries
from httpx_retries import Retry, RetryTransport
from scripted import HANG_UP, Answer, Received, serve

QUICK = Retry(total=3, backoff_factor=0)


def failing(times: int, status: int = 503, **headers: str) -> Any:
    """Answers with an error so many times, then echoes the body."""
    left = [times]

    def answer(request: Received) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            return HANG_UP if status == 0 else Answer(status, headers)
        return Answer(200, {}, request.body)

    return answer


def check_identity() -> None:
    import scallion

    assert issubclass(RetryTransport, scallion.BaseTransport)
    assert issubclass(RetryTransport, scallion.AsyncBaseTransport)
    assert httpx_retries.transport.httpx.Response is scallion.Response
    assert isinstance(RetryTransport()._sync_transport, scallion.HTTPTransport)


def check_statuses() -> None:
    with serve(failing(2)) as server, httpx.Client(transport=RetryTransport(retry=QUICK)) as client:
        response = client.get(server.url)
        assert 200 == response.status_code
        assert 3 == len(server.received)
        assert 2 == response.extensions["retry"].attempts_made


def check_giving_up() -> None:
    with serve(failing(9)) as server, httpx.Client(transport=RetryTransport(retry=QUICK)) as client:
        assert 503 == client.get(server.url).status_code
        assert 4 == len(server.received)
        assert 500 == _statuses(client, failing(1, 500))[0]


def _statuses(client: httpx.Client, answer: Any) -> list[int]:
    with serve(answer) as server:
        return [client.get(server.url).status_code]


def check_methods() -> None:
    with serve(failing(1)) as server, httpx.Client(transport=RetryTransport(retry=QUICK)) as client:
        assert 503 == client.post(server.url, content=b"x").status_code
    retry = Retry(total=2, backoff_factor=0, allowed_methods=["POST"])
    with serve(failing(2)) as server, httpx.Client(transport=RetryTransport(retry=retry)) as client:
        assert b"again" == client.post(server.url, content=b"again").content
        assert [b"again"] * 3 == [request.body for request in server.received]


def check_network_errors() -> None:
    tried: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        tried.append(1)
        if len(tried) < 3:
            raise httpx.ConnectError("refused")
        return httpx.Response(200)

    with httpx.Client(
        transport=RetryTransport(httpx.MockTransport(handler), retry=QUICK)
    ) as client:
        assert 200 == client.get("http://x.example/").status_code
        assert 3 == len(tried)
    with httpx.Client(transport=RetryTransport(retry=QUICK)) as client:
        try:
            client.get("http://127.0.0.1:1/")
        except httpx.ConnectError as error:
            assert "http://127.0.0.1:1/" == str(error.request.url)
        else:
            raise AssertionError("nothing was raised")


def check_servers_that_hang_up() -> None:
    with (
        serve(failing(2, 0)) as server,
        httpx.Client(transport=RetryTransport(retry=QUICK)) as client,
    ):
        assert 200 == client.get(server.url).status_code


def check_retry_after() -> None:
    retry = Retry(total=1, backoff_factor=0)
    answer = failing(1, 429, **{"Retry-After": "0"})
    with serve(answer) as server, httpx.Client(transport=RetryTransport(retry=retry)) as client:
        assert 200 == client.get(server.url).status_code


def check_one_request() -> None:
    with serve(failing(1)) as server, httpx.Client(transport=RetryTransport(retry=QUICK)) as client:
        response = client.get(server.url, extensions={"retry": Retry(total=0)})
        assert 503 == response.status_code


def check_validation_and_own_backoff() -> None:
    asked: list[int] = []

    class Mine(Retry):
        def backoff_strategy(self) -> float:
            asked.append(self.attempts_made)
            return 0.0

    def validate(response: httpx.Response) -> None:
        response.read()
        if not response.content:
            raise httpx.ReadError("empty")

    with serve(failing(1, 200)) as server:
        retry = Mine(total=2, validate_response=validate)
        with httpx.Client(transport=RetryTransport(retry=retry)) as client:
            assert b"x" == client.put(server.url, content=b"x").content
    assert [1] == asked


def check_mounts_redirects_and_auth() -> None:
    def answer(request: Received) -> Answer:
        if request.path == "/old":
            return Answer(302, {"Location": "/new"})
        return again(request)

    again = failing(1)
    with serve(answer) as server:
        mounts = {"http://127.0.0.1": RetryTransport(retry=QUICK)}
        with httpx.Client(mounts=mounts, follow_redirects=True, auth=("user", "pass")) as client:
            assert 200 == client.get(f"{server.url}/old").status_code
        assert ["/old", "/new", "/new"] == [request.path for request in server.received]
        assert all("Authorization" in request.headers for request in server.received)


def check_streams() -> None:
    with serve(failing(1)) as server, httpx.Client(transport=RetryTransport(retry=QUICK)) as client:
        with client.stream("PUT", server.url, content=b"x" * 100_000) as response:
            assert 100_000 == sum(map(len, response.iter_bytes()))


def check_async() -> None:
    async def run() -> None:
        with serve(failing(2)) as server:
            async with httpx.AsyncClient(transport=RetryTransport(retry=QUICK)) as client:
                response = await client.put(server.url, content=b"x")
                assert (200, b"x") == (response.status_code, response.content)
            assert 3 == len(server.received)

    asyncio.run(run())


def check_async_errors() -> None:
    tried: list[int] = []

    async def handler(request: httpx.Request) -> httpx.Response:
        tried.append(1)
        raise httpx.ReadTimeout("too slow")

    async def run() -> None:
        transport = RetryTransport(httpx.MockTransport(handler), retry=QUICK)
        async with httpx.AsyncClient(transport=transport) as client:
            try:
                await client.get("http://x.example/")
            except httpx.ReadTimeout:
                return
        raise AssertionError("nothing was raised")

    asyncio.run(run())
    assert 4 == len(tried)
