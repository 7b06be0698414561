"""The mock transport: a function that answers, in both colours, and what it says to misuse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from scallion.pipeline.errors import ConnectError
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.transports.mock import MockTransport
from support.colours import Drive


async def ask(drive: Drive, transport: MockTransport, **settings: Any) -> Response:
    sent = Request("POST", "http://x/", **settings)
    if drive.blocking:
        return transport.handle_request(sent)
    return await transport.handle_async_request(sent)


def test_a_function_answers(drive: Drive) -> None:
    """
    The handler sees the request, its body read.
    """

    def handler(request: Request) -> Response:
        return Response(201, content=request.content.upper())

    response = drive(lambda: ask(drive, MockTransport(handler), content=b"body"))
    assert 201 == response.status_code
    assert b"BODY" == response.content


def test_an_async_function_answers() -> None:
    async def handler(request: Request) -> Response:
        return Response(200, json={"method": request.method})

    drive = Drive("asyncio")
    response = drive(lambda: ask(drive, MockTransport(handler)))
    assert {"method": "POST"} == response.json()


def test_streamed_bodies_are_read_first() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    drive = Drive("asyncio")
    transport = MockTransport(lambda request: Response(200, content=request.content))
    assert b"ab" == drive(lambda: ask(drive, transport, content=body())).content
    blocking = Drive("sync")
    answer = blocking(lambda: ask(blocking, transport, content=iter([b"a", b"b"])))
    assert b"ab" == answer.content


def test_errors_pass(drive: Drive) -> None:
    """
    What the handler raises comes out as it is.
    """

    def handler(request: Request) -> Response:
        raise ConnectError("down", request=request)

    with pytest.raises(ConnectError, match="down"):
        drive(lambda: ask(drive, MockTransport(handler)))


def test_an_async_function_in_a_sync_client() -> None:
    """
    It is refused with a hint, and no coroutine is left unawaited.
    """

    async def handler(request: Request) -> Response:
        raise AssertionError

    drive = Drive("sync")
    with pytest.raises(TypeError, match="make it `def`, or use an AsyncClient"):
        drive(lambda: ask(drive, MockTransport(handler)))


@pytest.mark.parametrize("answer", [None, "text", {"a": 1}])
def test_answers_that_are_none(drive: Drive, answer: Any) -> None:
    with pytest.raises(TypeError, match="must return a Response"):
        drive(lambda: ask(drive, MockTransport(lambda request: answer)))


def test_an_async_body_in_a_sync_client() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x"

    drive = Drive("sync")
    with pytest.raises(RuntimeError, match="aread"):
        drive(lambda: ask(drive, MockTransport(lambda request: Response(200)), content=body()))


@pytest.mark.parametrize("handler", [None, Response(200), "text"])
def test_what_cannot_be_called_is_refused_at_once(handler: Any) -> None:
    with pytest.raises(TypeError, match="needs a function that takes a Request"):
        MockTransport(handler)


def test_repr_names_the_handler() -> None:
    def handler(request: Request) -> Response:
        return Response(200)

    assert "MockTransport(handler)" == repr(MockTransport(handler))


def test_closing_does_nothing(drive: Drive) -> None:
    """
    A mock can be used as a context manager, and again afterwards.
    """
    transport = MockTransport(lambda request: Response(200))

    async def scenario() -> None:
        if drive.blocking:
            with transport:
                pass
        else:
            async with transport:
                pass
        assert 200 == (await ask(drive, transport)).status_code

    drive(scenario)


def test_answers_that_ran_out_are_named(drive: Drive) -> None:
    """
    `next` on an empty iterator, or a mock's spent side_effect, is told as such.
    """
    answers = iter([Response(200)])
    transport = MockTransport(lambda request: next(answers))

    async def scenario() -> None:
        assert 200 == (await ask(drive, transport)).status_code
        with pytest.raises(RuntimeError, match="has no more answers"):
            await ask(drive, transport)

    drive(scenario)
