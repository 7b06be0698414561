"""A held body: it is as it was, and tells when it has ended."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from scallion.middlewares.held import held
from scallion.pipeline.errors import ReadError
from scallion.pipeline.response import Response
from scallion.pipeline.streams import AsyncByteStream, SyncByteStream
from support.colours import Drive
from support.worlds import OpenStream


class Told:
    def __init__(self) -> None:
        self.seen: list[object] = []

    def ended(self, error: Exception | None) -> None:
        self.seen.append(error)

    def lost(self) -> None:
        self.seen.append("lost")


class Broken(OpenStream):
    def __iter__(self) -> Iterator[bytes]:
        yield b"some"
        raise ReadError("gone")

    def __aiter__(self) -> Any:
        self.chunks = iter([b"some"])
        return self

    async def __anext__(self) -> bytes:
        for chunk in self.chunks:
            return chunk
        raise ReadError("gone")


class Gathering(OpenStream):
    """Knows how to receive all of itself."""

    def gather(self, kept: Any) -> None:
        for chunk in self.chunks:
            kept.add(chunk)

    async def agather(self, kept: Any) -> None:
        self.gather(kept)


class AsyncOnly(AsyncByteStream):
    pass


async def read(drive: Drive, response: Response) -> bytes:
    return response.read() if drive.blocking else await response.aread()


async def stream(drive: Drive, response: Response) -> list[bytes]:
    if drive.blocking:
        return list(response.iter_bytes())
    return [chunk async for chunk in response.aiter_bytes()]


@pytest.mark.parametrize("kind", [OpenStream, Gathering])
def test_the_end_of_a_body_is_told(drive: Drive, kind: type[OpenStream]) -> None:
    """
    Whether it is read in one go or in pieces.
    """
    for reading in (read, stream):
        told, inner = Told(), kind(b"a", b"b")
        response = Response(200, stream=held(inner, told))

        async def scenario(reading: Any = reading, response: Response = response) -> Any:
            return await reading(drive, response)

        assert b"ab" == b"".join(drive(scenario)) if reading is stream else drive(scenario)
        assert inner.closed
        assert {None} == set(told.seen)


def test_an_early_close_is_told(drive: Drive) -> None:
    told, inner = Told(), OpenStream(b"a")
    response = Response(200, stream=held(inner, told))

    async def scenario() -> None:
        if drive.blocking:
            response.close()
        else:
            await response.aclose()

    drive(scenario)

    assert [None] == told.seen
    assert inner.closed


def test_a_broken_body_is_told_with_its_error(drive: Drive) -> None:
    for reading in (read, stream):
        told = Told()
        response = Response(200, stream=held(Broken(), told))

        async def scenario(reading: Any = reading, response: Response = response) -> Any:
            return await reading(drive, response)

        with pytest.raises(ReadError):
            drive(scenario)
        assert isinstance(told.seen[0], ReadError)


def test_a_broken_gathering_is_told_with_its_error(drive: Drive) -> None:
    class Failing(Gathering):
        def gather(self, kept: Any) -> None:
            raise ReadError("gone")

    told = Told()
    response = Response(200, stream=held(Failing(), told))

    async def scenario() -> Any:
        return await read(drive, response)

    with pytest.raises(ReadError):
        drive(scenario)
    assert isinstance(told.seen[0], ReadError)


def test_a_forgotten_body_is_told() -> None:
    told = Told()
    held(OpenStream(b"a"), told)
    gc.collect()

    assert ["lost"] == told.seen


def test_the_colour_is_kept() -> None:
    """
    An async body does not become one that a sync client could read.
    """
    told = Told()
    only: Any = held(AsyncOnly(), told)
    both: Any = held(OpenStream(), told)

    assert None is both.gather
    assert None is both.agather
    assert (False, True) == (isinstance(only, SyncByteStream), isinstance(only, AsyncByteStream))
    assert (True, True) == (isinstance(both, SyncByteStream), isinstance(both, AsyncByteStream))
