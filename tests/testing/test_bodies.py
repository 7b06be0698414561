"""Answers whose bodies come in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

import scallion
from face.conftest import Driven, Face
from scallion.testing import Pause, Router
from support.colours import Drive
from support.worlds import RecordingRuntime

URL = "http://host/events"


def routed(drive: Drive, chunks: Any, **options: Any) -> tuple[RecordingRuntime, Router]:
    runtime = RecordingRuntime(blocking=drive.blocking)
    router = Router(runtime=runtime)
    router.get(URL).respond(chunks=chunks, **options)
    return runtime, router


async def pieces_of(client: Driven, into: list[bytes] | None = None, **options: Any) -> list[bytes]:
    found = [] if into is None else into
    async with client.stream("GET", URL, **options) as response:
        if client.blocking:
            found.extend(response.iter_bytes())
        else:
            async for piece in response.aiter_bytes():
                found.append(piece)
    return found


def test_pieces_arrive_as_they_are_given(drive: Drive, face: Face) -> None:
    """
    Text as UTF-8, empty ones not at all; again for each call.
    """
    _, router = routed(drive, [b"a", "", "ä", b"", b"c"])

    async def scenario(client: Driven) -> None:
        for _ in range(2):
            assert [b"a", "ä".encode(), b"c"] == await pieces_of(client)
        response = await client.get(URL)
        assert b"a\xc3\xa4c" == response.content
        assert "content-length" not in response.headers

    face(scenario, transport=router)


def test_pauses_pass_on_the_runtime(drive: Drive, face: Face) -> None:
    runtime, router = routed(drive, [b"a", Pause(1), b"b", Pause(2.5)])

    async def scenario(client: Driven) -> None:
        assert [b"a", b"b"] == await pieces_of(client)

    face(scenario, transport=router)
    assert [1, 2.5] == runtime.slept


def test_a_pause_longer_than_the_read_timeout(drive: Drive, face: Face) -> None:
    """
    What came before was received.
    """
    runtime, router = routed(drive, [b"a", Pause(10), b"b"])

    async def scenario(client: Driven) -> None:
        found: list[bytes] = []
        with pytest.raises(scallion.ReadTimeout, match="the mock lets 10 s pass") as raised:
            await pieces_of(client, found, timeout=5)
        assert URL == raised.value.request.url
        if not client.blocking:
            assert [b"a"] == found

    face(scenario, transport=router)
    assert [5] == runtime.slept
    router.verify()


@pytest.mark.parametrize("error", [scallion.ReadError("reset"), scallion.ReadError])
def test_errors_in_the_midst(drive: Drive, face: Face, error: Any) -> None:
    _, router = routed(drive, [b"a", error, b"b"])

    async def scenario(client: Driven) -> None:
        for _ in range(2):
            with pytest.raises(scallion.ReadError) as raised:
                await client.get(URL)
            assert URL == raised.value.request.url

    face(scenario, transport=router)
    router.verify()


def test_functions_make_pieces(drive: Drive, face: Face) -> None:
    """
    A generator function makes new ones for each call; it is closed with the response.
    """
    ended = []

    def chunks() -> Iterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            ended.append(True)

    _, router = routed(drive, chunks)

    async def scenario(client: Driven) -> None:
        assert [b"a", b"b"] == await pieces_of(client)
        async with client.stream("GET", URL) as response:
            if client.blocking:
                assert b"a" == next(response.iter_bytes())
            else:
                assert b"a" == await anext(response.aiter_bytes())
        assert [True, True] == ended

    face(scenario, transport=router)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_async_pieces(backend: str) -> None:
    """
    They may wait for what they like, and are closed with the response.
    """
    ended = []

    async def chunks() -> AsyncIterator[bytes | Pause]:
        try:
            yield b"a"
            await anyio.lowlevel.checkpoint()
            yield Pause(0)
            yield b"b"
        finally:
            ended.append(True)

    router = Router()
    router.get(URL).respond(chunks=chunks)

    async def scenario() -> None:
        async with scallion.AsyncClient(transport=router) as client:
            assert b"ab" == (await client.get(URL)).content
            async with client.stream("GET", URL) as response:
                assert b"a" == await anext(response.aiter_bytes())
            assert [True, True] == ended

    anyio.run(scenario, backend=backend)


def test_async_pieces_in_a_sync_client() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"

    router = Router()
    router.get(URL).respond(chunks=chunks)

    with (
        scallion.Client(transport=router) as client,
        pytest.raises(TypeError, match="These chunks are asynchronous, and the client is not"),
    ):
        client.get(URL)


def test_pieces_that_are_none(drive: Drive, face: Face) -> None:
    _, router = routed(drive, [b"a", 3])

    async def scenario(client: Driven) -> None:
        with pytest.raises(
            TypeError, match="A chunk is bytes, text, a Pause or an exception, not int"
        ):
            await client.get(URL)

    face(scenario, transport=router)


def test_server_sent_events(drive: Drive, face: Face) -> None:
    """
    The pieces of a mock are what a stream of events is made of.
    """
    chunks = ["data: 1\n\n", Pause(1), "data:", " 2\n\n"]
    _, router = routed(drive, chunks, headers={"Content-Type": "text/event-stream"})
    found = []

    async def scenario(client: Driven) -> None:
        if client.blocking:
            with client.client.sse(URL) as source:
                found.extend(event.data for event in source)
        else:
            async with client.client.sse(URL) as source:
                found.extend([event.data async for event in source])

    face(scenario, transport=router)
    assert ["1", "2"] == found


def test_a_pause_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="at least 0 seconds: -1"):
        Pause(-1)
