"""The seam: transports of either colour under the onion, whatever they return."""

from __future__ import annotations

import gc
import sys
import time
import weakref
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

import scallion
from face.conftest import Driven, Face
from scallion import AsyncBaseTransport, BaseTransport, Next, Request, Response
from scallion.pipeline.streams import AsyncByteStream, ByteStream, SyncByteStream
from support.worlds import OpenStream

URL = "http://example.org/"


class Chunks(SyncByteStream):
    """A body of one colour only, as transports written for httpx return it."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks

    def close(self) -> None:
        self.closed += 1


class AsyncChunks(AsyncByteStream):
    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.closed = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk

    async def aclose(self) -> None:
        self.closed += 1


class Transport(BaseTransport, AsyncBaseTransport):
    """Answers in both colours with a stream that has one."""

    def __init__(self, *responses: Any) -> None:
        self.responses = iter(responses)

    def handle_request(self, request: Request) -> Response:
        response: Response = next(self.responses)(Chunks)
        return response

    async def handle_async_request(self, request: Request) -> Response:
        response: Response = next(self.responses)(AsyncChunks)
        return response


def answer(streams: list[Any], status: int = 200, **headers: str) -> Any:
    def respond(kind: Any) -> Response:
        streams.append(kind(b"on ", b"the wire"))
        return Response(status, headers=headers, stream=streams[-1])

    return respond


def test_streams_of_one_colour_do(face: Face) -> None:
    """
    A transport need not know the other colour: bodies are read, streamed and closed once.
    """
    streams: list[Any] = []

    async def scenario(client: Driven) -> list[bytes]:
        read = (await client.get(URL)).content
        async with client.stream("GET", URL) as response:
            if face.blocking:
                chunks = list(response.iter_raw())
            else:
                chunks = [chunk async for chunk in response.aiter_raw()]
        async with client.stream("GET", URL):
            pass
        return [read, *chunks]

    transport = Transport(*[answer(streams)] * 3)
    assert [b"on the wire", b"on ", b"the wire"] == face(scenario, transport=transport)
    assert [1, 1, 1] == [stream.closed for stream in streams]


def test_layers_close_streams_of_one_colour(face: Face) -> None:
    """
    A colourless layer awaits `aclose()` and `aread()`, under a Client too.
    """
    streams: list[Any] = []

    async def again(request: Request, call_next: Next) -> Response:
        await (await call_next(request)).aclose()
        response = await call_next(request)
        await response.aread()
        return response

    async def scenario(client: Driven) -> bytes:
        content: bytes = (await client.get(URL, follow_redirects=True)).content
        return content

    transport = Transport(answer(streams), answer(streams, 302, Location="/end"), answer(streams))
    assert b"on the wire" == face(
        scenario, transport=transport, pipeline=scallion.compatible().per_call(again).strict()
    )
    assert [1, 1, 1] == [stream.closed for stream in streams]


@pytest.mark.parametrize("status", [200, 302])
def test_a_layer_s_own_response_may_stream(face: Face, status: int) -> None:
    """
    What a middleware makes itself, from a stream of the client's colour, passes all other layers.
    """

    async def own(request: Request, call_next: Next) -> Response:
        if request.url.path == "/end":
            return Response(200, content=b"end")
        kind: Any = Chunks if face.blocking else AsyncChunks
        return Response(status, headers={"Location": "/end"}, stream=kind(b"own"))

    async def scenario(client: Driven) -> bytes:
        content: bytes = (await client.get(URL, follow_redirects=True)).content
        return content

    pipeline = scallion.compatible().per_attempt(own)
    assert (b"own" if status == 200 else b"end") == face(scenario, _unreachable, pipeline=pipeline)


def _unreachable(request: Request) -> Response:
    raise AssertionError("the middleware answers")


def test_a_stream_of_the_wrong_colour_is_refused(face: Face) -> None:
    """
    The error names what came and what is needed.
    """
    wrong: Any = AsyncChunks if face.blocking else Chunks
    needed = (
        "a Client needs a SyncByteStream"
        if face.blocking
        else "an AsyncClient needs an AsyncByteStream"
    )

    with pytest.raises(TypeError, match=f"a stream of type {wrong.__name__}: {needed}"):
        face(lambda client: client.get(URL), lambda request: Response(200, stream=wrong(b"x")))


def test_a_body_of_the_wrong_colour_is_refused(face: Face) -> None:
    """
    An async body in a Client, a sync one in an AsyncClient: the error says so, whatever the transport.
    """

    async def asynchronous() -> AsyncIterator[bytes]:
        yield b"x"

    content: Any = asynchronous() if face.blocking else iter([b"x"])

    with pytest.raises(RuntimeError, match="body"):
        face(lambda client: client.post(URL, content=content), lambda request: Response(200))


def test_the_response_knows_its_request(face: Face) -> None:
    """
    Each attempt's response has the request of that attempt.
    """
    sent: list[Request] = []

    def handler(request: Request) -> Response:
        sent.append(request)
        if len(sent) == 1:
            return Response(302, headers={"Location": "/end"})
        return Response(200)

    async def scenario(client: Driven) -> Response:
        response: Response = await client.get(URL, follow_redirects=True)
        return response

    response = face(scenario, handler)

    assert sent[0] is response.history[0].request
    assert sent[1] is response.request


def test_elapsed_ends_with_the_body(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    From sending to closing; for a body that is there at once, to its head.
    """
    ticks = iter(range(100))
    monkeypatch.setattr(sys.modules["scallion._seam"], "perf_counter", lambda: float(next(ticks)))
    streams: list[Any] = []

    async def scenario(client: Driven) -> list[timedelta]:
        at_once = (await client.get(URL)).elapsed
        streamed = (await client.get(URL)).elapsed
        return [at_once, streamed]

    transport = Transport(lambda kind: Response(200, stream=ByteStream(b"x")), answer(streams))
    assert [timedelta(seconds=1)] * 2 == face(scenario, transport=transport)


def test_elapsed_is_not_known_before(face: Face) -> None:
    """
    An open response says so.
    """

    async def scenario(client: Driven) -> None:
        async with client.stream("GET", URL) as response:
            with pytest.raises(RuntimeError, match=r"'.elapsed' may only be accessed after"):
                _ = response.elapsed

    face(scenario, lambda request: Response(200, stream=OpenStream(b"x")))


def test_the_deadline_holds_while_reading(face: Face) -> None:
    """
    A body that outlasts the call's deadline ends in TotalTimeout that names the request; it is closed.
    """
    stream = OpenStream(b"a", b"b", b"c")

    async def expire(request: Request, call_next: Next) -> Response:
        response = await call_next(request)
        request.deadline = time.monotonic() - 1
        return response

    async def scenario(client: Driven) -> Any:
        with pytest.raises(
            scallion.TotalTimeout, match="while reading the response's body"
        ) as info:
            await client.get(URL)
        return info.value.request

    request = face(scenario, lambda request: Response(200, stream=stream), middlewares=[expire])

    assert URL == str(request.url)
    assert stream.closed


def test_an_httpx_style_transport_plugs_in(face: Face) -> None:
    """
    A transport is whatever has the one method; it may be wrapped by another.
    """

    class Inner:
        def handle_request(self, request: Request) -> Response:
            return Response(200, text="inner")

        async def handle_async_request(self, request: Request) -> Response:
            return Response(200, text="inner")

        def close(self) -> None:
            pass

        async def aclose(self) -> None:
            pass

    class Outer(BaseTransport, AsyncBaseTransport):
        def __init__(self) -> None:
            self.inner = Inner()

        def handle_request(self, request: Request) -> Response:
            return self.inner.handle_request(request)

        async def handle_async_request(self, request: Request) -> Response:
            return await self.inner.handle_async_request(request)

    async def scenario(client: Driven) -> str:
        text: str = (await client.get(URL)).text
        return text

    assert "inner" == face(scenario, transport=Outer())
    assert "inner" == face(scenario, transport=Inner())


def test_a_forgotten_response_is_no_circle() -> None:
    """
    Reference counting alone frees it, and its connection, without waiting for the garbage collector.
    """
    gc.collect()
    gc.disable()
    try:
        with scallion.Client(transport=scallion.MockTransport(_streamed)) as client:
            response = client.send(client.build_request("GET", URL), stream=True)
            gone = weakref.ref(response)
            del response
            assert gone() is None
    finally:
        gc.enable()


def _streamed(request: Request) -> Response:
    return Response(200, content=iter([b"a", b"b"]))


def test_wrappers_of_our_transports_methods_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Even one that passes for the method itself in every other way, as instrumentation's wrappers do.
    """
    from scallion.transports.http import HTTPTransport

    original = HTTPTransport.handle_request
    seen: list[str] = []

    class Wrapper:
        def __get__(self, transport: Any, kind: type) -> Any:
            if transport is None:
                return self

            def wrapped(request: Any) -> Response:
                seen.append(str(request.url))
                return Response(204)

            wrapped.__func__ = original  # type: ignore[attr-defined]
            return wrapped

        def __eq__(self, other: object) -> bool:
            return other is original

        def __hash__(self) -> int:
            return hash(original)

    monkeypatch.setattr(HTTPTransport, "handle_request", Wrapper())
    with scallion.Client() as client:
        assert 204 == client.get("http://example.test/").status_code

    assert ["http://example.test/"] == seen
