"""Byte streams: what subclasses must write, and bytes that are all here."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from scallion.pipeline.runtime import run
from scallion.pipeline.streams import AsyncByteStream, ByteStream, SyncByteStream, Unsuspended


async def pieces(stream: AsyncByteStream) -> list[bytes]:
    return [piece async for piece in stream]


def test_bytes_serve_both_colours_again_and_again() -> None:
    """
    A ByteStream yields its bytes in one piece, as often as it is asked.
    """
    stream = ByteStream(b"body")

    assert [b"body"] == list(stream) == list(stream)
    assert [b"body"] == run(pieces(stream)) == run(pieces(stream))
    assert list(httpx.ByteStream(b"body")) == list(stream)


def test_no_bytes_are_one_empty_piece() -> None:
    """
    As in httpx.
    """
    assert [b""] == list(ByteStream(b"")) == list(httpx.ByteStream(b""))


def test_closing_does_nothing_by_default() -> None:
    """
    A stream without anything to release need not write `close`; what is all here can be read afterwards.
    """
    stream = ByteStream(b"body")
    stream.close()
    run(stream.aclose())

    assert [b"body"] == list(stream)


def test_replayable() -> None:
    """
    Bytes can be sent again; other streams must promise it.
    """
    assert ByteStream(b"").replayable
    assert not SyncByteStream().replayable
    assert not AsyncByteStream().replayable


def test_iterating_must_be_written() -> None:
    """
    The bases say what is missing, in httpx's words.
    """
    with pytest.raises(NotImplementedError) as sync:
        iter(SyncByteStream())
    with pytest.raises(NotImplementedError) as httpx_sync:
        list(httpx.SyncByteStream())
    with pytest.raises(NotImplementedError, match=r"The '__aiter__' method must be implemented."):
        aiter(AsyncByteStream())

    assert str(httpx_sync.value) == str(sync.value)


def test_bytes_are_both_kinds_of_stream() -> None:
    """
    So that a transport of either colour takes them.
    """
    assert isinstance(ByteStream(b""), SyncByteStream)
    assert isinstance(ByteStream(b""), AsyncByteStream)


def test_a_sync_stream_can_be_awaited_unsuspended() -> None:
    """
    Under a `Client` layers await what blocks; closing closes the stream itself, either way.
    """

    class Chunks(SyncByteStream):
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            yield b"a"
            yield b"b"

        def close(self) -> None:
            self.closed += 1

    inner = Chunks()
    stream = Unsuspended(inner)

    assert [b"a", b"b"] == list(stream) == run(pieces(stream))
    stream.close()
    run(stream.aclose())
    assert 2 == inner.closed
