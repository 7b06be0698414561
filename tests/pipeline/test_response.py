"""Response: what httpx's does, streams in both colours, and closing."""

from __future__ import annotations

import copy
import gzip
import pickle
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from datetime import timedelta
from itertools import pairwise
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.pipeline.errors import (
    CloseError,
    DecodingError,
    HTTPStatusError,
    ReadError,
    ResponseNotRead,
    StreamClosed,
    StreamConsumed,
)
from scallion.pipeline.headers import Headers
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import run
from scallion.pipeline.streams import AsyncByteStream, ByteStream, SyncByteStream
from support.colours import Drive

BODY = "héllo\r\nwörld\nend".encode()


class Pieces(SyncByteStream, AsyncByteStream):
    """A transport's stream in both colours that counts, and fails where told."""

    def __init__(self, *pieces: bytes | BaseException) -> None:
        self.pieces = iter(pieces)
        self.closed = 0
        self.failing: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = next(self.pieces)
        if isinstance(piece, BaseException):
            raise piece
        return piece

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            return piece
        raise StopAsyncIteration

    def close(self) -> None:
        self.closed += 1
        if self.failing is not None:
            raise self.failing

    async def aclose(self) -> None:
        self.close()


class SyncOnly(SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield BODY


class AsyncOnly(AsyncByteStream):
    def __aiter__(self) -> AsyncIterator[bytes]:
        return ByteStream(BODY).__aiter__()


Collect = Callable[..., list[Any]]


@pytest.fixture(params=["sync", "async"])
def collect(request: pytest.FixtureRequest) -> Collect:
    """All that `iter_<form>` or `aiter_<form>` gives."""

    def collect(response: Any, form: str, *args: Any) -> list[Any]:
        if request.param == "sync":
            return list(getattr(response, f"iter_{form}")(*args))

        async def scenario() -> list[Any]:
            return [item async for item in getattr(response, f"aiter_{form}")(*args)]

        return run(scenario())

    return collect


# The same as httpx.

HTML = {"content-type": "text/html; charset=latin-1"}

MADE: list[dict[str, Any]] = [
    {"status_code": 200},
    {"status_code": 200, "content": b"abc"},
    {"status_code": 200, "content": ""},
    {"status_code": 201, "text": "grüß"},
    {"status_code": 200, "html": "<p>é"},
    {"status_code": 200, "json": {"a": [1, "é", None]}},
    {"status_code": 200, "content": "é".encode("latin-1"), "headers": HTML},
    {
        "status_code": 200,
        "content": b"\xff\xfea\x00",
        "headers": {"content-type": "text/plain; charset=utf-16"},
    },
    {
        "status_code": 200,
        "content": b"\xff",
        "headers": {"content-type": "text/plain; charset=nonsense"},
    },
    {"status_code": 200, "content": b"\xe9", "default_encoding": "latin-1"},
    {
        "status_code": 200,
        "content": b"\xe9",
        "default_encoding": lambda content: f"cp{1250 + len(content)}",
    },
    {"status_code": 200, "content": b"\xe9", "default_encoding": lambda content: None},
    {"status_code": 200, "content": gzip.compress(BODY), "headers": {"content-encoding": "gzip"}},
    {
        "status_code": 200,
        "content": zlib.compress(gzip.compress(BODY)),
        "headers": {"content-encoding": "gzip, deflate"},
    },
    {
        "status_code": 200,
        "content": b"plain",
        "headers": [("Content-Encoding", "identity"), ("Content-Encoding", "x")],
    },
    {"status_code": 200, "content": b"abc", "headers": {"Content-Length": "7", "X": "y"}},
    {"status_code": 200, "content": iter([b"a", b"b"])},
    {"status_code": 200, "content": iter([b"a", b"b"]), "headers": {"content-length": "2"}},
    {"status_code": 101},
    {
        "status_code": 204,
        "extensions": {"http_version": b"HTTP/2", "reason_phrase": b"Nothing \xff"},
    },
    {"status_code": 301, "headers": {"Location": "/there"}},
    {"status_code": 304, "headers": {"Location": "/there"}},
    {"status_code": 307},
    {"status_code": 404, "text": "no"},
    {"status_code": 503},
    {"status_code": 599, "extensions": {"reason_phrase": b""}},
    {"status_code": 99},
    {"status_code": 200, "headers": {"Link": '<https://a/?p=2>; rel="next", <b>; title=x'}},
]

SEEN = [
    "status_code",
    "reason_phrase",
    "http_version",
    "is_informational",
    "is_success",
    "is_redirect",
    "is_client_error",
    "is_server_error",
    "is_error",
    "has_redirect_location",
    "content",
    "text",
    "encoding",
    "charset_encoding",
    "links",
    "is_closed",
    "is_stream_consumed",
    "num_bytes_downloaded",
    "history",
    "next_request",
    "extensions",
    "url",
    "elapsed",
]


def outcome(action: Callable[[], Any]) -> Any:
    """What it returns, or how it fails, in words that hold for both libraries."""
    try:
        result = action()
    except Exception as exc:
        # One of httpx's messages lacks a blank.
        return type(exc).__name__, str(exc).replace("flow.For", "flow. For")
    return result if isinstance(result, (int, str, bytes, dict, list, type(None))) else str(result)


@pytest.mark.parametrize("index", range(len(MADE)))
def test_a_response_is_what_it_is_in_httpx(index: int) -> None:
    """
    Attributes, properties, headers, repr, raise_for_status() and json() agree, errors included.
    """
    copied = dict(MADE[index])
    if isinstance(copied.get("content"), Iterator):
        MADE[index]["content"], copied["content"] = iter([b"a", b"b"]), iter([b"a", b"b"])
    theirs = httpx.Response(**MADE[index], request=httpx.Request("GET", "https://h/x?y=1"))
    ours = Response(**copied, request=Request("GET", "https://h/x?y=1"))

    for name in SEEN:
        expected = outcome(lambda name=name: getattr(theirs, name))
        assert (name, expected) == (name, outcome(lambda name=name: getattr(ours, name)))
    assert [(k.lower(), v) for k, v in theirs.headers.multi_items()] == [
        (k.lower(), v) for k, v in ours.headers.multi_items()
    ]
    assert repr(theirs) == repr(ours)
    assert outcome(theirs.raise_for_status) == outcome(ours.raise_for_status)
    if index == 5:
        assert theirs.json() == ours.json()
    assert outcome(theirs.read) == outcome(ours.read)
    assert outcome(lambda: theirs.text) == outcome(lambda: ours.text)


PAYLOADS = [
    [b""],
    [BODY],
    [BODY[:2], BODY[2:8], b"", BODY[8:]],
    [b"a\r", b"\nb\r", b"c\n\n"],
]


@pytest.mark.parametrize("form", ["raw", "bytes", "text", "lines"])
@pytest.mark.parametrize("payload", range(len(PAYLOADS)))
@pytest.mark.parametrize("size", [None, 1, 4, 1000])
@pytest.mark.parametrize("read", [False, True])
def test_iteration_gives_what_it_gives_in_httpx(
    collect: Collect, form: str, payload: int, size: int | None, read: bool
) -> None:
    """
    Every iterator with every chunk size, on streams and on what was read before.
    """
    args = () if form == "lines" else (size,)

    class Theirs(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from PAYLOADS[payload]

    theirs = httpx.Response(200, stream=Theirs())
    ours = Response(200, stream=Pieces(*PAYLOADS[payload]))
    if read:
        theirs.read()
        ours.read()

    assert outcome(lambda: list(getattr(theirs, f"iter_{form}")(*args))) == outcome(
        lambda: collect(ours, form, *args)
    )
    assert (theirs.is_closed, theirs.is_stream_consumed, theirs.num_bytes_downloaded) == (
        ours.is_closed,
        ours.is_stream_consumed,
        ours.num_bytes_downloaded,
    )


@given(
    st.text("aé\r\n\u2028", max_size=30),
    st.lists(st.integers(0, 60), max_size=4),
    st.booleans(),
    st.integers(1, 9),
)
@settings(max_examples=100)
def test_any_split_streams_the_same(text: str, cuts: list[int], coded: bool, size: int) -> None:
    """
    However the body is cut on the wire, content, text, lines and chunks are those of the whole.
    """
    body = text.encode()
    wire = gzip.compress(body) if coded else body
    edges = [0, *sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
    headers = {"content-encoding": "gzip"} if coded else {}

    def response() -> Response:
        pieces = (wire[a:b] for a, b in pairwise(edges))
        return Response(200, headers=headers, stream=Pieces(*pieces))

    assert body == response().read()
    assert wire == b"".join(response().iter_raw())
    assert text == "".join(response().iter_text())
    assert text.splitlines() == list(response().iter_lines())
    assert [body[i : i + size] for i in range(0, len(body), size)] == list(
        response().iter_bytes(size)
    )


# Reading.


def test_bytes_that_are_all_here_are_handed_over(drive: Drive) -> None:
    """
    A plain ByteStream's bytes become the content, the very same object.
    """

    async def scenario() -> tuple[Response, bytes]:
        response = Response(200, stream=ByteStream(BODY))
        return response, await response.aread()

    response, content = drive(scenario)
    assert BODY is content is response.content is response.read()
    assert response.is_closed
    assert response.is_stream_consumed
    assert len(BODY) == response.num_bytes_downloaded


def test_a_single_piece_is_handed_over() -> None:
    """
    Nor is the one piece of another stream copied.
    """
    assert BODY is Response(200, stream=Pieces(BODY)).read()


def test_aread_decodes_in_every_colour(drive: Drive) -> None:
    """
    A stream in both colours is read, decoded and closed with and without a loop.
    """
    wire = gzip.compress(BODY)
    stream = Pieces(wire[:5], wire[5:])

    async def scenario() -> Response:
        response = Response(200, headers={"content-encoding": "gzip"}, stream=stream)
        await response.aread()
        return response

    response = drive(scenario)
    assert BODY == response.content
    assert len(wire) == response.num_bytes_downloaded
    assert 1 == stream.closed


def test_content_needs_reading() -> None:
    """
    Before read() there is no content, no text and no JSON.
    """
    response = Response(200, stream=Pieces(b"1"))

    for access in (lambda: response.content, lambda: response.text, response.json):
        with pytest.raises(ResponseNotRead):
            access()
    response.read()
    assert 1 == response.json()


def test_json_takes_what_loads_takes() -> None:
    """
    Encodings are detected, and arguments go to json.loads.
    """
    assert [1.5] == Response(200, content="[1.5]".encode("utf-16")).json()
    assert ["1.5"] == Response(200, content=b"\xef\xbb\xbf[1.5]").json(parse_float=str)
    with pytest.raises(ValueError, match="Expecting value"):
        Response(200, content=b"").json()


def test_the_encoding_can_be_set_until_the_text_was_read() -> None:
    """
    Later it could not take effect, so it is refused.
    """
    response = Response(200, content=b"\xe9")
    response.encoding = "latin-1"

    assert "é" == response.text
    with pytest.raises(ValueError, match="after `text` has been accessed"):
        response.encoding = "utf-8"


def test_a_streamed_body_is_decoded_by_the_default_encoding() -> None:
    """
    A name is used as it is; a function has no content to judge by, so UTF-8 it is.
    """
    assert ["é"] == list(
        Response(200, stream=Pieces(b"\xe9"), default_encoding="latin-1").iter_text()
    )
    guessed = Response(200, stream=Pieces("é".encode()), default_encoding=lambda _: "latin-1")
    assert ["é"] == list(guessed.iter_text())


# Streaming rules.


def test_a_body_streams_once(collect: Collect) -> None:
    """
    The second time is an error that says so; a read response can be iterated again, except raw.
    """
    response = Response(200, stream=Pieces(BODY))
    assert [BODY] == collect(response, "bytes")
    with pytest.raises(StreamConsumed):
        collect(response, "bytes")
    with pytest.raises(StreamConsumed):
        response.read()

    read = Response(200, content=BODY)
    assert [BODY] == collect(read, "bytes") == collect(read, "bytes")
    with pytest.raises(StreamConsumed):
        collect(read, "raw")


def test_a_closed_body_does_not_stream(collect: Collect) -> None:
    """
    After close() nothing comes any more.
    """
    response = Response(200, stream=Pieces(BODY))
    response.close()

    with pytest.raises(StreamClosed):
        collect(response, "raw")


def test_the_wrong_colour_says_what_to_do() -> None:
    """
    Sync methods on an async stream, and the other way round, name their counterpart.
    """
    theirs, mine = Response(200, stream=AsyncOnly()), Response(200, stream=SyncOnly())

    with pytest.raises(RuntimeError, match=r"sync iterator on an async stream.*aread\(\)"):
        theirs.read()
    with pytest.raises(
        RuntimeError, match=r"sync close on an async stream.*await response.aclose\(\)"
    ):
        theirs.close()
    with pytest.raises(RuntimeError, match=r"async iterator on an sync stream.*read\(\)"):
        run(mine.aread())
    with pytest.raises(RuntimeError, match=r"async close on an sync stream.*response.close\(\)"):
        run(mine.aclose())
    assert BODY == mine.read() == run(theirs.aread())


def test_a_response_is_closed_once(drive: Drive) -> None:
    """
    At the end of its body, and not again by close() or aclose().
    """
    stream = Pieces(b"a", b"b")

    async def scenario() -> None:
        response = Response(200, stream=stream)
        assert [b"a", b"b"] == [piece async for piece in response.aiter_bytes()]
        await response.aclose()
        await response.aclose()

    drive(scenario)
    assert 1 == stream.closed


def test_an_error_of_the_stream_closes_it_first(drive: Drive) -> None:
    """
    When the caller sees the error, the connection is released, and the error knows its request.
    """
    request = Request("GET", "https://h/")
    broken, abroken = Pieces(b"a", ReadError("reset")), Pieces(b"a", ReadError("reset"))

    with pytest.raises(ReadError) as caught:
        Response(200, stream=broken, request=request).read()
    assert request is caught.value.request
    assert 1 == broken.closed

    async def scenario() -> None:
        response = Response(200, stream=abroken, request=request)
        pieces = response.aiter_bytes()
        assert b"a" == await anext(pieces)
        with pytest.raises(ReadError) as caught:
            await anext(pieces)
        assert request is caught.value.request
        assert 1 == abroken.closed
        assert [] == [piece async for piece in pieces]

    drive(scenario)


@pytest.mark.parametrize("codings", ["gzip", "gzip" + ", gzip" * 5])
def test_an_error_of_decoding_closes_the_stream_first(drive: Drive, codings: str) -> None:
    """
    A malformed body, or one encoded too many times over, is not received any further.
    """
    request = Request("GET", "https://h/")
    streams = Pieces(b"junk!!", b"more"), Pieces(b"junk!!", b"more")
    first, second = (
        Response(200, headers={"content-encoding": codings}, stream=stream, request=request)
        for stream in streams
    )

    async def scenario() -> None:
        await second.aread()

    for read in (first.read, lambda: drive(scenario)):
        with pytest.raises(DecodingError) as caught:
            read()
        assert request is caught.value.request
    assert [1, 1] == [stream.closed for stream in streams]


def test_a_body_cut_off_in_its_coding_is_an_error(collect: Collect) -> None:
    """
    What could be decoded was delivered, the end is missed, the stream is closed.
    """
    stream = Pieces(gzip.compress(BODY)[:-3])
    response = Response(200, headers={"content-encoding": "gzip"}, stream=stream)

    with pytest.raises(DecodingError, match="Truncated gzip"):
        collect(response, "bytes")
    assert 1 == stream.closed


def test_a_failing_close_does_not_hide_the_error(drive: Drive) -> None:
    """
    The first error reaches the caller, with a note on the second.
    """
    streams = Pieces(ReadError("reset")), Pieces(ReadError("reset"))
    for stream in streams:
        stream.failing = CloseError("stuck")

    async def scenario() -> None:
        await Response(200, stream=streams[1]).aread()

    for read in (Response(200, stream=streams[0]).read, lambda: drive(scenario)):
        with pytest.raises(ReadError) as caught:
            read()
        assert ["Closing the response failed too: CloseError('stuck')"] == caught.value.__notes__


def test_a_failing_close_is_an_error(drive: Drive) -> None:
    """
    By itself it reaches the caller, with its request, whoever closes; the stream counts as closed.
    """
    request = Request("GET", "https://h/")

    def response() -> Response:
        stream = Pieces(b"a")
        stream.failing = CloseError("stuck")
        return Response(200, stream=stream, request=request)

    closed, aclosed, read, aread = (response() for _ in range(4))
    for action in (
        closed.close,
        lambda: drive(aclosed.aclose),
        read.read,
        lambda: drive(aread.aread),
    ):
        with pytest.raises(CloseError) as caught:
            action()
        assert request is caught.value.request
    for each in (closed, aclosed, read, aread):
        assert each.is_closed
        each.close()


def test_a_consumer_that_stops_closes(drive: Drive) -> None:
    """
    Leaving the loop over an iterator releases the connection; an async one wants aclose().
    """
    stream, astream = Pieces(b"a\n", b"b\n"), Pieces(b"a\n", b"b\n")

    for line in Response(200, stream=stream).iter_lines():
        assert "a" == line
        break
    assert 1 == stream.closed

    async def scenario() -> None:
        lines: Any = Response(200, stream=astream).aiter_lines()
        async with aclosing(lines):
            async for line in lines:
                assert "a" == line
                break
        assert [] == [line async for line in lines]

    drive(scenario)
    assert 1 == astream.closed


def test_an_iterator_that_never_began_leaves_the_response_alone() -> None:
    """
    Stopping it is no reason to close; nor is stopping one over content that was read.
    """
    response = Response(200, stream=Pieces(BODY))
    untouched: Any = response.aiter_bytes()
    run(untouched.aclose())
    assert not response.is_closed
    assert BODY == response.read()

    again: Any = Response(200, content=BODY).aiter_text()
    assert BODY.decode() == run(anext(again))
    run(again.aclose())


def test_the_generator_of_an_async_stream_ends_with_the_loop() -> None:
    """
    A foreign stream that is an async generator is finished at once, not when it is collected.
    """
    ended = []

    class Foreign(AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                yield b"junk!!"
                yield b"more"
            finally:
                ended.append("generator")

        async def aclose(self) -> None:
            ended.append("stream")

    response = Response(200, headers={"content-encoding": "gzip"}, stream=Foreign())
    with pytest.raises(DecodingError):
        anyio.run(response.aread)
    assert ["generator", "stream"] == ended


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancellation_passes_through_and_leaves_the_closing_to_its_owner(backend: str) -> None:
    """
    A cancelled read ends as cancelled; aclose() then closes the stream, once.
    """

    class Stuck(Pieces):
        async def __anext__(self) -> bytes:
            await anyio.sleep_forever()
            raise AssertionError

    async def scenario() -> None:
        stream = Stuck()
        response = Response(200, stream=stream)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await response.aread()
        assert scope.cancelled_caught
        assert 0 == stream.closed
        await response.aclose()
        assert 1 == stream.closed

    anyio.run(scenario, backend=backend)


def test_an_interrupt_closes_a_sync_stream() -> None:
    """
    Ctrl-C while reading leaves no connection behind.
    """
    stream = Pieces(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        Response(200, stream=stream).read()
    assert 1 == stream.closed


def test_a_chunk_size_must_be_positive(collect: Collect) -> None:
    """
    Zero is refused; None means pieces as they come.
    """
    with pytest.raises(ValueError, match="chunk_size must be at least 1"):
        collect(Response(200, content=BODY), "bytes", 0)


# The rest.


def test_a_transports_headers_and_extensions_are_taken_over() -> None:
    """
    With a stream nothing is copied, so that trailers can still arrive; with content all is.
    """
    headers, extensions = Headers({"a": "b"}), {"http_version": b"HTTP/2"}
    given = Response(200, headers=headers, extensions=extensions, stream=ByteStream(b""))
    made = Response(200, headers=headers, extensions=extensions, content=b"x")

    assert headers is given.headers
    assert given.trailers is None
    extensions["trailers"] = Headers({"grpc-status": "0"})  # type: ignore[assignment]
    assert given.trailers == {"grpc-status": "0"}
    assert Headers({"a": "b"}) == headers
    assert made.trailers is None


@pytest.mark.parametrize(
    "location", [None, "https://user:s3cret@there/", "//user:s3cret@there/", "/a:b@c"]
)
def test_a_status_error_tells_no_password(location: str | None) -> None:
    """
    Neither that of the URL nor that of the redirect's target.
    """
    headers = {} if location is None else {"location": location}
    response = Response(302, headers=headers, request=Request("GET", "https://user:s3cret@h/a:b@c"))

    with pytest.raises(
        HTTPStatusError, match=r"'302 Found' for url 'https://user:\[secure\]@h/a:b@c'"
    ) as caught:
        response.raise_for_status()
    assert "s3cret" not in str(caught.value)
    assert (location == "/a:b@c") == ("'/a:b@c'" in str(caught.value))
    assert response is caught.value.response


def test_a_good_status_returns_the_response() -> None:
    """
    Calls can be chained; without a request there is no verdict.
    """
    response = Response(200, request=Request("GET", "https://h/"))

    assert response is response.raise_for_status()
    with pytest.raises(RuntimeError, match="Cannot call `raise_for_status`"):
        Response(200).raise_for_status()


def test_the_request_and_the_time_can_be_set() -> None:
    """
    Clients set both; before that, asking is an error.
    """
    response = Response(200)
    for name in ("request", "url", "elapsed"):
        with pytest.raises(RuntimeError):
            getattr(response, name)

    response.request = Request("GET", "https://h/")
    response.elapsed = timedelta(seconds=1)
    assert "https://h/" == response.url
    assert timedelta(seconds=1) == response.elapsed


def test_cookies_are_those_that_the_response_sets() -> None:
    """
    They are parsed once; without Set-Cookie there are none, request or not.
    """
    response = Response(
        200, headers={"set-cookie": "a=b; Path=/"}, request=Request("GET", "https://example.org/")
    )

    assert {"a": "b"} == dict(response.cookies)
    assert response.cookies is response.cookies
    assert {} == dict(Response(200).cookies)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, lambda response: pickle.loads(pickle.dumps(response))]
)
def test_a_read_response_pickles(duplicate: Callable[[Response], Response]) -> None:
    """
    Content and request travel; the stream and the extensions stay behind.
    """
    earlier = Response(302, headers={"location": "/"})
    response = Response(
        404,
        json=[1],
        request=Request("GET", "https://h/"),
        extensions={"network_stream": object()},
        history=[earlier],
    )
    response.elapsed = timedelta(seconds=2)
    again = duplicate(response)

    assert [1] == again.json()
    assert response.headers == again.headers
    assert "https://h/" == str(again.url)
    assert timedelta(seconds=2) == again.elapsed
    assert [302] == [each.status_code for each in again.history]
    assert {} == again.extensions
    assert again.is_closed
    again.close()
    with pytest.raises(HTTPStatusError) as caught:
        again.raise_for_status()
    assert [1] == pickle.loads(pickle.dumps(caught.value)).response.json()


def test_an_unread_response_pickles_without_its_body() -> None:
    """
    As in httpx, the body is lost, and reading says that the stream is closed.
    """
    again = pickle.loads(pickle.dumps(Response(200, stream=Pieces(BODY))))

    with pytest.raises(ResponseNotRead):
        again.content  # noqa: B018
    with pytest.raises(StreamClosed):
        again.read()


def test_a_mock_can_be_replayed_as_packages_do_it() -> None:
    """
    Packages that mock reset a response by these names, to send it several times.
    """
    response = Response(200, headers={"content-encoding": "gzip"}, content=gzip.compress(BODY))
    for _ in range(2):
        del response._content
        response.is_closed = response.is_stream_consumed = False
        assert not hasattr(response, "_content")
        assert BODY == response.read()

    response._content = b"other"
    assert b"other" == response.read() == response.content
