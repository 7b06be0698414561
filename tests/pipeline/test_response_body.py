"""Responses whose stream knows how to receive all of itself: who asks it, and what becomes of its failures."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Iterator

import pytest

from scallion.pipeline.errors import DecodingError, ReadError, StreamClosed, StreamConsumed
from scallion.pipeline.keeping import Kept
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import run
from scallion.pipeline.streams import AsyncByteStream, SyncByteStream


class Gathering(SyncByteStream, AsyncByteStream):
    """A body of both colours that notes how it was asked for."""

    def __init__(
        self, body: bytes, error: BaseException | None = None, closing: Exception | None = None
    ) -> None:
        self.asked: list[str] = []
        self._body = body
        self._error = error
        self._closing = closing

    def __iter__(self) -> Iterator[bytes]:
        self.asked.append("pieces")
        yield self._body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.asked.append("pieces")
        yield self._body

    def gather(self, kept: Kept) -> None:
        self.asked.append("all")
        kept.add(self._body)
        if self._error is not None:
            raise self._error

    async def agather(self, kept: Kept) -> None:
        self.gather(kept)

    def close(self) -> None:
        self.asked.append("close")
        if self._closing is not None:
            raise self._closing

    async def aclose(self) -> None:
        self.close()


@pytest.fixture(params=["sync", "async"])
def blocking(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "sync")


def read(response: Response, blocking: bool) -> bytes:
    return response.read() if blocking else run(response.aread())


def answer(stream: Gathering, **headers: str) -> Response:
    return Response(
        200, headers=headers, stream=stream, request=Request("GET", "http://example.org/")
    )


def test_all_at_once(blocking: bool) -> None:
    """
    A plain body is asked for as a whole, then closed; it stays the response's.
    """
    stream = Gathering(b"body")
    response = answer(stream)

    assert b"body" == read(response, blocking) == read(response, blocking) == response.content
    assert ["all", "close"] == stream.asked
    assert (4, True, True) == (
        response.num_bytes_downloaded,
        response.is_closed,
        response.is_stream_consumed,
    )


def test_coded_bodies_come_in_pieces(blocking: bool) -> None:
    """
    What must be decoded is.
    """
    stream = Gathering(gzip.compress(b"body"))
    response = answer(stream, **{"Content-Encoding": "gzip"})

    assert b"body" == read(response, blocking)
    assert ["pieces", "close"] == stream.asked


def test_a_failure_names_the_request_and_closes(blocking: bool) -> None:
    """
    An error says which request it was; what had come is counted, and cannot be asked for again.
    """
    stream = Gathering(b"half", ReadError("broken"), closing=OSError("stuck"))
    response = answer(stream)

    with pytest.raises(ReadError, match="broken") as raised:
        read(response, blocking)
    assert raised.value.request is response.request
    assert ["Closing the response failed too: OSError('stuck')"] == raised.value.__notes__
    assert ["all", "close"] == stream.asked
    assert 4 == response.num_bytes_downloaded
    with pytest.raises(StreamConsumed):
        read(response, blocking)


def test_cancellation_leaves_the_closing_to_the_owner() -> None:
    """
    What is no error passes through an async response untouched.
    """

    class Cancelled(BaseException):
        """As event loops have it."""

    stream = Gathering(b"half", Cancelled())
    response = answer(stream)

    with pytest.raises(Cancelled):
        run(response.aread())
    assert ["all"] == stream.asked
    assert not response.is_closed


def test_what_is_closed_is_not_asked(blocking: bool) -> None:
    """
    A response that was closed cannot be read.
    """
    stream = Gathering(b"body")
    response = answer(stream)
    response.close()

    with pytest.raises(StreamClosed):
        read(response, blocking)
    assert ["close"] == stream.asked


def test_malformed_content_is_told(blocking: bool) -> None:
    """
    Decoding errors leave `read` as before.
    """
    response = answer(Gathering(b"no gzip"), **{"Content-Encoding": "gzip"})

    with pytest.raises(DecodingError):
        read(response, blocking)
    assert response.is_closed
