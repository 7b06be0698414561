"""Bodies: what is handed over, as a stream and its headers."""

from __future__ import annotations

import gzip
import io
import math
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.pipeline.bodies import (
    AsyncIteratorByteStream,
    IteratorByteStream,
    UnattachedStream,
    encode_content,
    encode_request,
    encode_response,
    extent,
)
from scallion.pipeline.errors import StreamClosed, StreamConsumed
from scallion.pipeline.runtime import run
from scallion.pipeline.streams import AsyncByteStream, ByteStream, SyncByteStream


async def gather(stream: Any) -> list[bytes]:
    return [chunk async for chunk in stream]


class Async:
    """An async iterable that starts anew each time."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return AsyncOnce([b"one, ", b"two"])


class AsyncOnce:
    """An async iterator: once only."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = iter(chunks)

    def __aiter__(self) -> AsyncOnce:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self.chunks:
            return chunk
        raise StopAsyncIteration


class AsyncFile:
    """A file that is read by `aread`."""

    def __init__(self, content: bytes) -> None:
        self.file = io.BytesIO(content)
        self.sizes: list[int] = []

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise AssertionError("read by lines")

    async def aread(self, size: int) -> bytes:
        self.sizes.append(size)
        return self.file.read(size)


class Pipe:
    """A file that can only be read on."""

    def __init__(self, content: bytes) -> None:
        self.file = io.BytesIO(content)
        self.read = self.file.read

    def __iter__(self) -> Iterator[bytes]:
        raise AssertionError("read by lines")


def generator() -> Iterator[bytes]:
    yield b"one, "
    yield b"two"


class TestAgainstHttpx:
    """The same bytes and the same headers in the same order."""

    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"content": b""},
            {"content": ""},
            {"content": b"bytes"},
            {"content": "text \N{SNOWMAN}"},
            {"content": [b"one, ", b"two"]},
            {"content": (b"one",)},
            {"data": {}},
            {"data": {"a": "b"}},
            {"data": {"a": ["1", 2, None, True], "b": (False, 1.5)}},
            {"data": {"a": []}},
            {"data": {"a b&c": "d=e \N{SNOWMAN}+/~*"}},
            {"data": {1: 2, None: None}},
            {"data": {"a": {"b": "c"}}},
            {"json": {"a": [1, 2.5, None, True, "\N{SNOWMAN}"]}},
            {"json": []},
            {"json": {}},
            {"json": ""},
            {"json": 0},
            {"json": False},
            {"json": None},
            {"content": b"", "json": {"a": 1}},
            {"content": b"x", "data": {"a": 1}, "json": {"a": 1}},
            {"data": {"a": 1}, "json": {"a": 1}},
            {"data": {}, "json": {"a": 1}},
            {"files": {}, "data": {"a": 1}},
        ],
        ids=repr,
    )
    def test_request_bodies(self, arguments: dict[str, Any]) -> None:
        theirs = httpx._content.encode_request(**arguments)
        headers, stream = encode_request(**arguments)

        assert list(theirs[0].items()) == list(headers.items())
        assert b"".join(theirs[1]) == b"".join(stream)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "build", [generator, lambda: io.BytesIO(b"file"), lambda: iter([b"x"])]
    )
    def test_streamed_bodies(self, build: Callable[[], Any]) -> None:
        theirs = httpx._content.encode_request(content=build())
        headers, stream = encode_request(content=build())

        assert theirs[0] == headers
        assert list(theirs[1]) == list(stream)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"content": b""},
            {"content": b"bytes"},
            {"content": "text \N{SNOWMAN}"},
            {"content": [b"one, ", b"two"]},
            {"text": ""},
            {"text": "text \N{SNOWMAN}"},
            {"html": "<p>\N{SNOWMAN}</p>"},
            {"json": {"a": 1}},
            {"json": None},
            {"content": b"x", "text": "y", "html": "z", "json": 1},
            {"html": "z", "json": 1},
        ],
        ids=repr,
    )
    def test_response_bodies(self, arguments: dict[str, Any]) -> None:
        theirs = httpx._content.encode_response(**arguments)
        headers, stream = encode_response(**arguments)

        assert list(theirs[0].items()) == list(headers.items())
        assert b"".join(theirs[1]) == b"".join(stream)  # type: ignore[arg-type]

    @settings(max_examples=150, deadline=None)
    @given(
        st.dictionaries(
            st.text(),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                st.lists,
                max_leaves=5,
            ),
        )
    )
    def test_any_form(self, data: dict[str, Any]) -> None:
        theirs = httpx._content.encode_request(data=data)
        headers, stream = encode_request(data=data)

        assert list(theirs[0].items()) == list(headers.items())
        assert b"".join(theirs[1]) == b"".join(stream)  # type: ignore[arg-type]

    @settings(max_examples=100, deadline=None)
    @given(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(),
            lambda values: st.lists(values) | st.dictionaries(st.text(), values),
            max_leaves=10,
        )
    )
    def test_any_json(self, value: Any) -> None:
        theirs = httpx._content.encode_request(json=value)
        headers, stream = encode_request(json=value)

        assert theirs[0] == headers
        assert b"".join(theirs[1]) == b"".join(stream)  # type: ignore[arg-type]


class TestBetterThanHttpx:
    """Where httpx sends something else than what was meant."""

    def test_file_is_sent_from_where_it_stands(self) -> None:
        """
        httpx announces the whole file, and sends the rest of it.
        """
        file = io.BytesIO(b"0123456789")
        file.seek(4)

        headers, stream = encode_content(file)

        assert {"Content-Length": "6"} == headers
        assert b"456789" == b"".join(stream)  # type: ignore[arg-type]

    def test_position_beyond_the_end_leaves_nothing(self) -> None:
        file = io.BytesIO(b"0123")
        file.seek(10)

        headers, stream = encode_content(file)

        assert {"Content-Length": "0"} == headers
        assert [] == list(stream)  # type: ignore[arg-type]

    @pytest.mark.parametrize("kind", [bytearray, memoryview])
    def test_other_buffers_are_bytes(self, kind: Callable[[bytes], Any]) -> None:
        """
        httpx takes them for iterables and fails over the numbers in them.
        """
        headers, stream = encode_content(kind(b"abc"))

        assert {"Content-Length": "3"} == headers
        assert [b"abc"] == list(stream)  # type: ignore[arg-type]

    def test_bytes_in_a_form_are_sent_as_they_are(self) -> None:
        """
        httpx sends their Python literal.
        """
        _, stream = encode_request(data={"a": b"\xff b", "b": [b"x", "y"]})

        assert b"a=%FF+b&b=x&b=y" == b"".join(stream)  # type: ignore[arg-type]

    def test_pipe_has_no_length(self) -> None:
        """
        httpx announces 0 bytes, which is what a pipe's descriptor says.
        """
        reader, writer = os.pipe()
        os.write(writer, b"through the pipe")
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            headers, stream = encode_content(file)

            assert {"Transfer-Encoding": "chunked"} == headers
            assert not stream.replayable
            assert b"through the pipe" == b"".join(stream)  # type: ignore[arg-type]

    def test_compressed_file_counts_what_it_yields(self, tmp_path: Path) -> None:
        """
        httpx announces the compressed size.
        """
        path = tmp_path / "x.gz"
        path.write_bytes(gzip.compress(b"x" * 1000))
        with gzip.open(path) as file:
            headers, stream = encode_content(file)

            assert {"Content-Length": "1000"} == headers
            assert 1000 == len(b"".join(stream))  # type: ignore[arg-type]

    def test_file_that_grows_keeps_its_promise(self, tmp_path: Path) -> None:
        """
        No more bytes are sent than were announced.
        """
        path = tmp_path / "log"
        path.write_bytes(b"one\n")
        with path.open("rb") as file, path.open("ab") as log:
            headers, stream = encode_content(file)
            log.write(b"two\n")
            log.flush()

            assert {"Content-Length": "4"} == headers
            assert b"one\n" == b"".join(stream)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "build", [lambda: iter([b"a"]), lambda: Pipe(b"a"), lambda: map(bytes, [b"a"])]
    )
    def test_whatever_is_used_up_is_reported(self, build: Callable[[], Any]) -> None:
        """
        httpx reports generators only, and sends empty bodies for other iterators.
        """
        stream = IteratorByteStream(build())

        assert [b"a"] == list(stream)
        with pytest.raises(StreamConsumed):
            list(stream)

    def test_text_file_is_refused_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("text")
        with (tmp_path / "x").open() as file, pytest.raises(TypeError, match="text mode"):
            encode_content(file)  # type: ignore[arg-type]

    def test_list_of_pairs_is_refused_at_once(self) -> None:
        """
        httpx takes it for content, and fails when sending it.
        """
        with pytest.raises(TypeError, match="takes a mapping"):
            encode_request(data=[("a", "1")])  # type: ignore[arg-type]


class TestFiles:
    def test_real_file_is_read_in_pieces_of_64_kib(self, tmp_path: Path) -> None:
        path = tmp_path / "big"
        path.write_bytes(b"x" * 150_000)
        with path.open("rb") as file:
            headers, stream = encode_content(file)

            assert {"Content-Length": "150000"} == headers
            assert [65_536, 65_536, 18_928] == [len(chunk) for chunk in stream]  # type: ignore[union-attr]

    def test_seekable_file_goes_back_to_where_it_stood(self) -> None:
        """
        Sending again sends the same bytes, wherever the first sending was broken off.
        """
        file = io.BytesIO(b"x" * 100_000 + b"y" * 100_000)
        file.seek(50_000)
        stream = IteratorByteStream(file)

        next(iter(stream))

        assert stream.replayable
        assert b"x" * 50_000 + b"y" * 100_000 == b"".join(stream)
        assert 150_000 == len(b"".join(stream))

    def test_file_that_cannot_seek_is_sent_once(self) -> None:
        stream = IteratorByteStream(Pipe(b"x" * 70_000))

        assert not stream.replayable
        assert stream.length is None
        assert [65_536, 4_464] == [len(chunk) for chunk in stream]

    def test_measuring_moves_nothing(self) -> None:
        file = io.BytesIO(b"0123456789")
        file.seek(3)

        assert (3, 10) == extent(file)
        assert 3 == file.tell()

    def test_descriptor_of_a_regular_file_tells_the_size(self, tmp_path: Path) -> None:
        """
        A wrapper that only reads can still have a length.
        """

        class Progress(Pipe):
            def fileno(self) -> int:
                return file.fileno()

        (tmp_path / "x").write_bytes(b"12345")
        with (tmp_path / "x").open("rb") as file:
            wrapped = Progress(b"12345")

            assert (None, 5) == extent(wrapped)
            headers, stream = encode_content(wrapped)
            assert {"Content-Length": "5"} == headers
            assert not stream.replayable

    def test_closed_file_is_refused(self) -> None:
        file = io.BytesIO(b"x")
        file.close()

        with pytest.raises(ValueError, match="closed file"):
            encode_content(file)


class TestIterables:
    def test_container_is_replayable(self) -> None:
        stream = IteratorByteStream([b"a", b"b"])

        assert stream.replayable
        assert [b"a", b"b"] == list(stream)
        assert [b"a", b"b"] == list(stream)

    def test_generator_is_sent_once(self) -> None:
        stream = IteratorByteStream(generator())

        assert not stream.replayable
        assert [b"one, ", b"two"] == list(stream)
        with pytest.raises(StreamConsumed):
            list(stream)

    def test_streams_speak_for_themselves(self) -> None:
        """
        An object with an attribute `replayable` is believed.
        """

        class Once(SyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                return generator()

        assert not IteratorByteStream(Once()).replayable
        assert IteratorByteStream(ByteStream(b"x")).replayable

    def test_async_generator_is_sent_once(self) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"one"

        headers, stream = encode_content(chunks())

        assert {"Transfer-Encoding": "chunked"} == headers
        assert isinstance(stream, AsyncIteratorByteStream)
        assert not stream.replayable
        assert [b"one"] == run(gather(stream))
        with pytest.raises(StreamConsumed):
            run(gather(stream))

    def test_async_iterator_is_sent_once(self) -> None:
        stream = AsyncIteratorByteStream(AsyncOnce([b"one"]))

        assert not stream.replayable
        assert [b"one"] == run(gather(stream))
        with pytest.raises(StreamConsumed):
            run(gather(stream))

    def test_async_iterable_is_replayable(self) -> None:
        stream = AsyncIteratorByteStream(Async())

        assert stream.replayable
        assert [b"one, ", b"two"] == run(gather(stream)) == run(gather(stream))

    def test_async_streams_speak_for_themselves(self) -> None:
        class Once(AsyncByteStream):
            def __aiter__(self) -> AsyncIterator[bytes]:
                return AsyncOnce([b"x"])

        assert not AsyncIteratorByteStream(Once()).replayable

    def test_async_file_is_read_in_pieces_of_64_kib(self) -> None:
        file = AsyncFile(b"x" * 70_000)
        stream = AsyncIteratorByteStream(file)

        assert [65_536, 4_464] == [len(chunk) for chunk in run(gather(stream))]
        assert {65_536} == set(file.sizes)
        assert not stream.replayable


class TestRefusals:
    @pytest.mark.parametrize("content", [123, {"a": "b"}, object()])
    def test_content_of_another_type(self, content: Any) -> None:
        with pytest.raises(TypeError, match="Unexpected type for 'content'"):
            encode_request(content=content)

    def test_data_of_another_type(self) -> None:
        with (
            pytest.warns(DeprecationWarning, match="content="),
            pytest.raises(TypeError, match="Unexpected type for 'content', <class 'int'>"),
        ):
            encode_request(data=123)  # type: ignore[arg-type]

    @pytest.mark.parametrize("data", [b"raw", "raw", [b"raw"]])
    def test_raw_data_is_deprecated(self, data: Any) -> None:
        """
        It is sent as content, as in requests, with a warning.
        """
        with pytest.warns(
            DeprecationWarning, match="Use 'content=<...>' to upload raw bytes/text content."
        ):
            _, stream = encode_request(data=data)

        assert b"raw" == b"".join(stream)  # type: ignore[arg-type]

    @pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
    def test_json_has_no_such_numbers(self, number: float) -> None:
        with pytest.raises(ValueError, match="not JSON compliant"):
            encode_request(json={"a": number})

    def test_unattached_stream_is_closed(self) -> None:
        stream = UnattachedStream()

        assert not stream.replayable
        with pytest.raises(StreamClosed):
            list(stream)
        with pytest.raises(StreamClosed):
            run(gather(stream))
