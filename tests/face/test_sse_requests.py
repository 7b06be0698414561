"""Event sources that connect again: when, with what, and when they give up."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest

import scallion
from scallion import Reconnect, SSEError
from scallion import ServerSentEvent as E
from support.cancelling import cancelled_everywhere
from support.event_sources import (
    EXACT,
    TYPE,
    URL,
    Script,
    Sourced,
    chunk,
    events_of,
    failing,
    head,
    patient,
    stream,
)
from support.servers import (
    Answer,
    HTTPServer,
    Received,
    ScriptedServer,
    close,
    expect,
    pause,
    reset,
    send,
)
from support.worlds import OpenStream, open_response

from .conftest import Driven, Face


def test_a_source_connects_again_with_the_last_id(face: Face) -> None:
    """
    After the end of a stream it waits as long as the server said, then asks for what came after the last event.
    """
    script = Script(
        stream(b"data: a\n\n"),
        stream(b"id: 1\nretry: 500\ndata: b\n\nid: 2\ndata: lost"),
        stream(b"data: c\n\nid: 7\xc3\xa9\ndata: d\n\n"),
        stream(b"id\ndata: e\n\n"),
        scallion.Response(204),
    )

    async def scenario(client: Driven) -> None:
        runtime = patient(client)
        runtime.before = lambda: seen_closed.append(script.all_closed())
        async with Sourced(client, URL, headers={"X-Own": "1"}, reconnect=EXACT) as source:
            expected = [
                E(data="a"),
                E(data="b", id="1", retry=500),
                E(data="c", id="1"),
                E(data="d", id="7é"),
                E(data="e"),
            ]
            assert expected == await events_of(source)
            assert 204 == source.source.response.status_code
        assert [3.0, 0.5, 0.5, 0.5] == runtime.slept

    seen_closed: list[bool] = []
    face(scenario, script)
    sent = [dict(request.headers.raw).get(b"Last-Event-ID") for request in script.asked]
    assert [None, None, b"1", b"7\xc3\xa9", None] == sent
    assert {"1"} == {request.headers["x-own"] for request in script.asked}
    assert {"no-store"} == {request.headers["cache-control"] for request in script.asked}
    assert [True] * 4 == seen_closed


def test_without_being_asked_to_it_does_not_connect_again(face: Face) -> None:
    """
    The end is the end, and an error is raised.
    """
    script = Script(stream(b"data: a\n\n"), failing(scallion.ReadError("reset"), b"data: b\n\n"))

    async def scenario(client: Driven) -> None:
        async with Sourced(client, URL) as source:
            assert [E(data="a")] == await events_of(source)
        async with Sourced(client, URL) as source:
            iterator = aiter(source)
            assert E(data="b") == await anext(iterator)
            with pytest.raises(scallion.ReadError) as caught:
                await anext(iterator)
            assert URL == str(caught.value.request.url)

    face(scenario, script)
    assert script.all_closed()


@pytest.mark.parametrize(
    "error",
    [
        scallion.ReadError("reset"),
        scallion.ReadTimeout("silent"),
        scallion.RemoteProtocolError("cut off"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failing_stream_is_connected_again(face: Face, error: Exception) -> None:
    """
    A transport's errors are as good as an end; events that came before them are kept.
    """
    script = Script(
        failing(error, b"id: 1\ndata: a\n\nid: 2\n"),
        scallion.ConnectError("restarting"),
        stream(b"id: 2\ndata: b\n\n"),
        scallion.Response(204),
    )

    async def scenario(client: Driven) -> None:
        runtime = patient(client)
        async with Sourced(client, URL, reconnect=EXACT) as source:
            assert [E(data="a", id="1"), E(data="b", id="2")] == await events_of(source)
        assert [3.0, 3.0, 3.0] == runtime.slept

    face(scenario, script)
    assert [None, "1", "1", "2"] == script.ids
    assert script.all_closed()


def test_the_first_connection_may_fail_too(face: Face) -> None:
    """
    Entering waits and tries again; the caller's own Last-Event-ID holds until an event brings another.
    """
    script = Script(
        scallion.ConnectError("starting"), stream(b"data: a\n\n"), scallion.Response(204)
    )

    async def scenario(client: Driven) -> None:
        runtime = patient(client)
        async with Sourced(client, URL, headers={"last-event-id": "41"}, reconnect=EXACT) as source:
            assert [3.0] == runtime.slept
            assert "41" == source.source.last_event_id
            assert [E(data="a", id="41")] == await events_of(source)

    face(scenario, script)
    assert ["41", "41", "41"] == script.ids


def test_it_gives_up_after_so_many_failures_in_a_row(face: Face) -> None:
    """
    The last error is raised, with notes on those before it; an event begins the count anew.
    """
    script = Script(
        scallion.ConnectError("no 1"),
        scallion.ConnectError("no 2"),
        stream(b"data: a\n\n"),
        stream(b": nothing\n\n"),
        failing(scallion.ReadError("no 4")),
        scallion.ConnectTimeout("no 5"),
    )

    async def scenario(client: Driven) -> None:
        runtime = patient(client)
        async with Sourced(client, URL, reconnect=EXACT) as source:
            iterator = aiter(source)
            assert E(data="a") == await anext(iterator)
            with pytest.raises(scallion.ConnectTimeout, match="no 5") as caught:
                await anext(iterator)
            assert [
                "Connection 1: it ended; waited 3 s",
                "Connection 2: ReadError: no 4; waited 3 s",
            ] == caught.value.__notes__
            assert [] == await events_of(iterator)
        assert [3.0] * 5 == runtime.slept

    face(scenario, script)
    assert script.all_closed()


def test_streams_without_an_event_are_an_error_in_the_end(face: Face) -> None:
    """
    A server that ends each stream at once is not asked for ever.
    """

    async def scenario(client: Driven) -> None:
        patient(client)
        async with Sourced(client, URL, reconnect=EXACT) as source:
            with pytest.raises(SSEError, match="without an event, 3 times in a row") as caught:
                await events_of(source)
        assert 2 == len(caught.value.__notes__)
        assert URL == str(caught.value.request.url)

    face(scenario, Script(*(stream(b"") for _ in range(3))))


def test_a_retry_alone_is_no_event_that_counts(face: Face) -> None:
    """
    Servers begin each connection by it; one that then ends is not asked for ever. A new id is news.
    """
    script = Script(
        stream(b"retry: 10\n\n"),
        stream(b"id: 1\nretry: 10\n\n"),
        *(stream(b"retry: 10\n\n") for _ in range(3)),
    )

    async def scenario(client: Driven) -> None:
        runtime = patient(client)
        async with Sourced(client, URL, reconnect=EXACT) as source:
            with pytest.raises(SSEError, match="3 times in a row"):
                await events_of(source)
        assert [0.01] * 4 == runtime.slept

    face(scenario, script)


def test_it_need_not_give_up(face: Face) -> None:
    """
    `attempts=None` sets no bound.
    """
    script = Script(
        *(scallion.ConnectError("no") for _ in range(50)),
        stream(b"data: a\n\n"),
        scallion.Response(204),
    )

    async def scenario(client: Driven) -> None:
        runtime = patient(client)
        async with Sourced(client, URL, reconnect=Reconnect(attempts=None)) as source:
            assert [E(data="a")] == await events_of(source)
        assert 51 == len(runtime.slept)
        assert all(3.0 <= wait <= 30.0 for wait in runtime.slept)

    face(scenario, script)


@pytest.mark.parametrize(
    "answer",
    [
        lambda: stream(b"data: no\n\n", status=503),
        lambda: stream(b"data: no\n\n", status=202),
        lambda: open_response(401, b"", headers={"Content-Type": "text/plain"}),
        lambda: open_response(200, b"", headers={"Content-Type": "text/html"}),
        lambda: open_response(302, b"", headers={"Location": "/login"}),
    ],
    ids=["503", "202", "401", "html", "302"],
)
def test_another_answer_ends_the_connecting(
    face: Face, answer: Callable[[], scallion.Response]
) -> None:
    """
    Where a source connects again, an answer other than 200 with an event stream, and 204, is an error (HTML standard).
    """
    script = Script(stream(b"data: a\n\n"), scallion.ConnectError("no"), answer())

    async def scenario(client: Driven) -> None:
        patient(client)
        async with Sourced(client, URL, reconnect=EXACT) as source:
            iterator = aiter(source)
            assert E(data="a") == await anext(iterator)
            with pytest.raises(SSEError, match="Expected an event stream") as caught:
                await anext(iterator)
            assert ["Connection 1: ConnectError: no; waited 3 s"] == caught.value.__notes__
            assert script.all_closed()

    face(scenario, script)


@pytest.mark.parametrize(
    "error",
    [
        scallion.LocalProtocolError("bad header"),
        scallion.UnsupportedProtocol("ftp"),
        scallion.TotalTimeout("late"),
        scallion.DecodingError("not gzip"),
        scallion.TooManyRedirects("round and round"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_that_would_come_again_are_raised(face: Face, error: Exception) -> None:
    """
    Mistakes of this side, a total that has passed and malformed content are not answered by another request.
    """
    script = Script(error, failing(error))

    async def scenario(client: Driven) -> None:
        runtime = patient(client)
        for _ in range(2):
            with pytest.raises(type(error)):
                async with Sourced(client, URL, reconnect=True) as source:
                    await events_of(source)
        assert [] == runtime.slept

    face(scenario, script)
    assert script.all_closed()


def test_a_large_event_is_not_asked_for_again(face: Face) -> None:
    """
    It would be as large the next time.
    """
    script = Script(stream(b"data: " + b"x" * 20))

    async def scenario(client: Driven) -> None:
        async with Sourced(client, URL, max_event_size=10, reconnect=True) as source:
            with pytest.raises(SSEError, match="max_event_size"):
                await events_of(source)

    face(scenario, script)
    assert script.all_closed()


def test_204_at_once_gives_no_events(face: Face) -> None:
    """
    A server that has nothing more to say ends a source that connects again, also at its first answer.
    """

    async def scenario(client: Driven) -> None:
        async with Sourced(client, URL, reconnect=True) as source:
            assert [] == await events_of(source)
            with pytest.raises(scallion.StreamConsumed):
                await events_of(source)

    face(scenario, Script(scallion.Response(204)))


@pytest.mark.parametrize(
    "body",
    [
        {"json": {"q": "é"}},
        {"content": b"raw", "headers": {"Content-Type": "text/x"}},
        {"data": {"a": "1"}},
        {"data": {"a": "1"}, "files": {"f": b"file"}},
        {"content": b""},
        {},
    ],
    ids=["json", "content", "form", "multipart", "empty", "none"],
)
def test_a_body_is_sent_again(face: Face, body: dict[str, Any]) -> None:
    """
    Connecting again sends the same method and body, framed and described as the first time.
    """
    bodies: list[tuple[str, bytes, dict[str, str]]] = []
    answers = iter([stream(b"data: a\n\n"), stream(b"data: b\n\n"), scallion.Response(204)])

    def keep(request: scallion.Request) -> scallion.Response:
        headers = {
            k: v for k, v in request.headers.items() if k.startswith(("content", "transfer"))
        }
        bodies.append((request.method, request.read(), headers))
        # A layer that changes the request changes this one only.
        request.headers["Content-Type"] = "changed"
        return next(answers)

    async def scenario(client: Driven) -> None:
        patient(client)
        async with Sourced(client, URL, method="POST", reconnect=EXACT, **body) as source:
            assert 2 == len(await events_of(source))

    face(scenario, keep)
    assert 3 == len(bodies)
    assert [bodies[0]] * 3 == bodies


def test_a_body_that_is_gone_is_not_sent_again(face: Face) -> None:
    """
    After the end of such a stream nothing more comes; an error is raised, and says why.
    """
    script = Script(stream(b"data: a\n\n"), failing(scallion.ReadError("reset"), b"data: b\n\n"))

    def sync_body() -> Iterator[bytes]:
        yield b"once"

    async def async_body() -> AsyncIterator[bytes]:
        yield b"once"

    body = sync_body if face.blocking else async_body

    async def scenario(client: Driven) -> None:
        runtime = patient(client)
        settings: dict[str, Any] = {"method": "POST", "reconnect": EXACT}
        async with Sourced(client, URL, content=body(), **settings) as source:
            assert [E(data="a")] == await events_of(source)
        async with Sourced(client, URL, content=body(), **settings) as source:
            with pytest.raises(scallion.ReadError) as caught:
                await events_of(source)
        assert [
            "Not connected again, as the request's body cannot be sent twice"
        ] == caught.value.__notes__
        assert [] == runtime.slept

    face(scenario, script)
    assert 2 == len(script.asked)


def test_cookies_and_headers_are_those_that_the_client_has_by_then(face: Face) -> None:
    """
    What a response set, a session at a load balancer for example, goes along with the next request.
    """
    script = Script(stream(b"data: a\n\n", **{"Set-Cookie": "session=7"}), scallion.Response(204))

    async def scenario(client: Driven) -> None:
        patient(client)
        async with Sourced(client, URL, cookies={"own": "1"}, reconnect=EXACT) as source:
            async for _ in source:
                client.client.headers["X-Token"] = "new"

    face(scenario, script)
    assert "own=1" == script.asked[0].headers["cookie"]
    assert {"own=1", "session=7"} == set(script.asked[1].headers["cookie"].split("; "))
    assert "new" == script.asked[1].headers["x-token"]


class _Suspending(OpenStream):
    """A body that waits before each piece, so that it can be cancelled there."""

    async def __anext__(self) -> bytes:
        await anyio.sleep(0)
        return await super().__anext__()


def test_cancelling_leaves_no_response_open(face: Face) -> None:
    """
    Wherever a task is cancelled, while connecting, reading, waiting or connecting again, all responses are closed.
    """
    if face.blocking:
        pytest.skip("threads are not cancelled")
    opened: list[_Suspending] = []

    async def handler(request: scallion.Request) -> scallion.Response:
        await anyio.sleep(0)
        opened.append(_Suspending(b"data: a\n\n", b"data: b\n\n"))
        return scallion.Response(200, headers=TYPE, stream=opened[-1])

    async def scenario(client: Driven) -> None:
        patient(client)

        async def work() -> None:
            seen = 0
            async with Sourced(client, URL, reconnect=EXACT) as source:
                async for _ in source:
                    seen += 1
                    if seen == 5:
                        break

        async def check() -> None:
            assert [] == [stream for stream in opened if not stream.closed]
            opened.clear()

        assert 8 < await cancelled_everywhere(work, check)

    face(scenario, handler)


def test_a_lost_connection_is_made_again(face: Face) -> None:
    """
    Over real connections: reset in the midst of a stream, cut off, ended; then the server says that it is all.
    """
    started = send(head(b"Transfer-Encoding: chunked"), chunk(b"id: 1\nretry: 0\ndata: a\n\n"))
    received = threading.Event()
    scripts = [
        [expect(), started, pause(received), reset],
        [expect(), send(head(), b"id: 2\ndata: b\n\nid: 3\n"), close],
        [expect(), send(b"HTTP/1.1 204 No Content\r\n\r\n")],
    ]
    with ScriptedServer(*scripts) as server:

        async def scenario(client: Driven) -> None:
            runtime = patient(client)
            seen = []
            async with Sourced(client, server.url, reconnect=EXACT) as source:
                async for event in source:
                    seen.append(event.data)
                    received.set()
            assert ["a", "b"] == seen
            assert [0.0, 0.0] == runtime.slept

        face(scenario)
        sent = [bytes(peer.received) for peer in server.connections]
    assert b"last-event-id" not in sent[0].lower()
    assert b"\r\nLast-Event-ID: 1\r\n" in sent[1]
    assert b"\r\nLast-Event-ID: 2\r\n" in sent[2]


def test_the_connection_of_a_stream_that_ended_is_used_again(face: Face) -> None:
    """
    Connecting again need not mean another connection.
    """

    def handler(request: Received) -> Answer:
        if request.get("last-event-id"):
            return Answer(204, b"")
        return Answer(200, b"id: 1\ndata: a\n\n", list(TYPE.items()))

    with HTTPServer(handler) as server:

        async def scenario(client: Driven) -> None:
            patient(client)
            async with Sourced(client, server.url, reconnect=True) as source:
                assert [E(data="a", id="1")] == await events_of(source)

        face(scenario)
        assert [0, 0] == [request.connection for request in server.requests]


def test_a_total_bounds_all_connections_and_waits(face: Face) -> None:
    """
    It does not begin anew with each connection: the wait that would pass it ends at it, and is the last.
    """
    script = Script(*[stream(b"retry: 500\ndata: a\n\n") for _ in range(3)])

    async def scenario(client: Driven) -> None:
        runtime = patient(client)
        runtime.now = began = time.monotonic()
        timeout = scallion.Timeout(5.0, total=1.2)
        async with Sourced(client, URL, timeout=timeout, reconnect=EXACT) as source:
            with pytest.raises(scallion.TotalTimeout, match="waiting to connect again"):
                await events_of(source)
        assert [0.5, 0.5] == runtime.slept[:2]
        assert 1.2 == pytest.approx(runtime.now - began)

    face(scenario, script)
    assert 3 == len(script.asked)
    assert script.all_closed()
