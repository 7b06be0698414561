"""`client.sse()` and `EventSource`, in both clients: the request, the events, the end."""

from __future__ import annotations

import gzip
import inspect
import pickle
import threading
from typing import Any

import anyio
import anyio.to_thread
import pytest

import scallion
from scallion import EventSource, SSEError
from scallion import ServerSentEvent as E
from support.event_sources import (
    TYPE,
    URL,
    Script,
    Sourced,
    awaited,
    chunk,
    events_of,
    head,
    stream,
)
from support.servers import (
    Answer,
    HTTPServer,
    ScriptedServer,
    expect,
    pause,
    send,
)
from support.worlds import open_response

from .conftest import Driven, Face

# The request


def test_the_request_asks_for_an_event_stream_that_is_not_stored(face: Face) -> None:
    """
    Accept and Cache-Control are set, and all that `stream` takes is passed on.
    """
    script = Script(stream(b"data: a\n\n"))

    async def scenario(client: Driven) -> None:
        async with Sourced(
            client,
            URL,
            method="POST",
            json={"q": 1},
            params={"p": "2"},
            headers={"X-Own": "3"},
            cookies={"c": "4"},
            auth=("u", "p"),
            timeout=7.0,
            extensions={"sni_hostname": "5"},
            middlewares=[face.middleware(lambda request: request.headers.update({"X-Layer": "6"}))],
        ) as source:
            assert [E(data="a")] == await events_of(source)

    face(scenario, script)
    (request,) = script.asked
    assert ("POST", f"{URL}?p=2", b'{"q":1}') == (request.method, str(request.url), request.content)
    expected = {
        "accept": "text/event-stream",
        "cache-control": "no-store",
        "x-own": "3",
        "cookie": "c=4",
        "x-layer": "6",
    }
    assert expected.items() <= dict(request.headers).items()
    assert request.headers["authorization"].startswith("Basic ")
    assert 7.0 == request.extensions["timeout"]["read"]
    assert "5" == request.extensions["sni_hostname"]


def test_the_caller_may_ask_for_something_else(face: Face) -> None:
    """
    Headers of the call replace those that `sse` would set.
    """
    script = Script(stream())

    async def scenario(client: Driven) -> None:
        async with Sourced(client, URL, headers={"accept": "text/event-stream, */*"}):
            pass

    face(scenario, script)
    assert ["text/event-stream, */*"] == script.asked[0].headers.get_list("accept")
    assert "no-store" == script.asked[0].headers["cache-control"]


def test_redirects_are_followed_when_asked_for(face: Face) -> None:
    """
    `follow_redirects` is the call's or the client's, as everywhere.
    """

    def handler(request: scallion.Request) -> scallion.Response:
        if request.url.path == "/events":
            return scallion.Response(307, headers={"Location": "/moved"})
        return stream(b"data: a\n\n")

    async def scenario(client: Driven) -> None:
        async with Sourced(client, URL, follow_redirects=True) as source:
            assert [E(data="a")] == await events_of(source)
            assert "/moved" == source.source.response.url.path

    face(scenario, handler)


def test_nothing_is_sent_before_the_context_is_entered(face: Face) -> None:
    """
    Making the context manager builds the request, and tells what is wrong with it.
    """
    script = Script()

    async def scenario(client: Driven) -> None:
        Sourced(client, URL)
        for settings, error in (
            ({"reconnect": 3}, TypeError),
            ({"max_event_size": 0}, ValueError),
            ({"json": {1j}}, TypeError),
        ):
            with pytest.raises(error):
                Sourced(client, URL, **settings)

    face(scenario, script)
    assert [] == script.asked


# The events


def test_events_come_as_they_arrive(face: Face) -> None:
    """
    Pieces may split anything; the source tells the response and the last id.
    """
    response = stream(b"id: 1\nda", b"ta: a\r", b"\n\r\nevent: x\nid: 2\ndata: b\n\ndata: lost")

    async def scenario(client: Driven) -> None:
        async with Sourced(client, URL) as source:
            assert source.source.response.is_stream_consumed is False
            seen = [(event, source.source.last_event_id) async for event in source]
            assert [(E(data="a", id="1"), "1"), (E("x", "b", "2"), "2")] == seen
            assert "<EventSource of <Response [200 OK]>, last event id '2'>" == repr(source.source)

    face(scenario, Script(response))


def test_a_compressed_stream_is_decoded(face: Face) -> None:
    """
    Content codings are undone as for any response.
    """
    response = stream(gzip.compress(b"data: packed\n\n"), **{"Content-Encoding": "gzip"})

    async def scenario(client: Driven) -> None:
        async with Sourced(client, URL) as source:
            assert [E(data="packed")] == await events_of(source)

    face(scenario, Script(response))


def test_a_stream_is_utf8_whatever_its_charset(face: Face) -> None:
    """
    The standard has one encoding.
    """
    response = open_response(
        200, "data: é\n\n".encode(), headers={"Content-Type": "Text/Event-Stream ; charset=latin-1"}
    )

    async def scenario(client: Driven) -> None:
        async with Sourced(client, URL) as source:
            assert [E(data="é")] == await events_of(source)

    face(scenario, Script(response))


@pytest.mark.parametrize(
    ("status", "media_type", "shown"),
    [
        (200, "text/html; charset=utf-8", "got 'text/html' with status 200 OK"),
        (200, "", "got '' with status 200 OK"),
        (200, "text/event-streams", "got 'text/event-streams'"),
        (404, "application/json", "got 'application/json' with status 404 Not Found"),
        (204, "", "got '' with status 204 No Content"),
    ],
)
def test_an_answer_of_another_media_type_is_an_error(
    face: Face, status: int, media_type: str, shown: str
) -> None:
    """
    SSEError comes with the first step of the loop, so that the status can be looked at; the response is then closed.
    """
    script = Script(open_response(status, b"data: a\n\n", headers={"Content-Type": media_type}))

    async def scenario(client: Driven) -> None:
        async with Sourced(client, URL) as source:
            assert status == source.source.response.status_code
            assert not script.all_closed()
            with pytest.raises(SSEError, match="text/event-stream") as caught:
                await events_of(source)
            assert script.all_closed()
            assert shown in str(caught.value)
            assert URL == str(caught.value.request.url)
            cause = caught.value.__cause__
            assert (status == 404) == isinstance(cause, scallion.HTTPStatusError)

    face(scenario, script)


def test_a_status_is_not_looked_at_unless_asked_to(face: Face) -> None:
    """
    As everywhere: an event stream with an error's status is given out, and `raise_for_status()` is the caller's.
    """
    response = stream(b"event: error\ndata: overloaded\n\n", status=529)

    async def scenario(client: Driven) -> None:
        async with Sourced(client, URL) as source:
            assert [E("error", "overloaded")] == await events_of(source)
            with pytest.raises(scallion.HTTPStatusError):
                source.source.response.raise_for_status()

    face(scenario, Script(response))


def test_an_event_beyond_the_bound_is_an_error(face: Face) -> None:
    """
    Events before it are given out; the response is closed.
    """
    script = Script(stream(b"data: a\n\ndata: ", b"x" * 20, b"x" * 20, b"\n\n"))

    async def scenario(client: Driven) -> None:
        async with Sourced(client, URL, max_event_size=30) as source:
            iterator = aiter(source)
            assert E(data="a") == await anext(iterator)
            with pytest.raises(SSEError, match="max_event_size, 30 bytes") as caught:
                await anext(iterator)
            assert script.all_closed()
            assert URL == str(caught.value.request.url)
            assert "max_event_size" in str(pickle.loads(pickle.dumps(caught.value)))

    face(scenario, script)


def test_the_bound_can_be_lifted(face: Face) -> None:
    """
    With `max_event_size=None` an event may be of any size; by default of 1 MiB.
    """
    large = b"data: " + b"x" * (1024 * 1024) + b"\n\n"

    async def scenario(client: Driven) -> None:
        async with Sourced(client, URL, max_event_size=None) as source:
            assert 1 == len(await events_of(source))
        async with Sourced(client, URL) as source:
            with pytest.raises(SSEError):
                await events_of(source)

    face(scenario, Script(stream(large), stream(large)))


# Leaving


def test_a_source_is_iterated_once(face: Face) -> None:
    """
    A second loop is an error, whether the first one was left early or not; the `with` closes the response.
    """
    script = Script(stream(b"data: a\n\ndata: b\n\n"))

    async def scenario(client: Driven) -> None:
        async with Sourced(client, URL) as source:
            async for _ in source:
                break
            for _ in range(2):
                with pytest.raises(scallion.StreamConsumed):
                    await events_of(source)
        assert script.all_closed()

    face(scenario, script)


def test_one_iteration_may_pause(face: Face) -> None:
    """
    The iterator itself goes on where it was, and past its end it stays at the end.
    """

    async def scenario(client: Driven) -> None:
        async with Sourced(client, URL) as source:
            iterator = aiter(source)
            assert E(data="a") == await anext(iterator)
            assert [E(data="b")] == await events_of(iterator)
            assert [] == await events_of(iterator)

    face(scenario, Script(stream(b"data: a\n\ndata: b\n\n")))


@pytest.mark.parametrize("reconnect", [False, True])
def test_an_exception_closes_the_response(face: Face, reconnect: bool) -> None:
    """
    What passes through the `with` passes on, and the connection is free.
    """
    script = Script(stream(b"data: a\n\n", b"data: b\n\n"))

    async def scenario(client: Driven) -> None:
        async def broken() -> None:
            async with Sourced(client, URL, reconnect=reconnect) as source:
                async for _ in source:
                    raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await broken()
        assert script.all_closed()

    face(scenario, script)


@pytest.mark.parametrize("reconnect", [False, True])
def test_after_leaving_nothing_more_comes(face: Face, reconnect: bool) -> None:
    """
    A source outside its `with` is closed, and does not connect again.
    """
    script = Script(stream(b"data: a\n\n", b"data: b\n\n"))

    async def scenario(client: Driven) -> None:
        async with Sourced(client, URL, reconnect=reconnect) as source:
            iterator = aiter(source)
            await anext(iterator)
        with pytest.raises(scallion.StreamClosed):
            await anext(iterator)
        with pytest.raises((scallion.StreamClosed, scallion.StreamConsumed)):
            await events_of(source)

    face(scenario, script)
    assert 1 == len(script.asked)


def test_an_iteration_can_be_closed(face: Face) -> None:
    """
    As the generators of other libraries, an iterator has `close()` or `aclose()`.
    """
    script = Script(stream(b"data: a\n\n", b"data: b\n\n"))

    async def scenario(client: Driven) -> None:
        async with Sourced(client, URL) as source:
            if client.blocking:
                iterator: Any = source.source.iter_sse()
                assert E(data="a") == next(iterator)
                iterator.close()
                assert [] == list(iterator)
            else:
                iterator = source.source.aiter_sse()
                assert E(data="a") == await anext(iterator)
                await iterator.aclose()
                assert [] == await events_of(iterator)
            assert script.all_closed()

    face(scenario, script)


def test_a_failing_request_leaves_nothing_to_close(face: Face) -> None:
    """
    An error of the first request comes from entering.
    """

    async def scenario(client: Driven) -> None:
        with pytest.raises(scallion.ConnectError):
            async with Sourced(client, URL):
                raise AssertionError("it was entered")

    face(scenario, Script(scallion.ConnectError("refused")))


def test_a_source_can_be_made_of_any_response(face: Face) -> None:
    """
    `EventSource(response)` is what httpx-sse and httpx2 have; a response that was read can be iterated again.
    """

    async def scenario(client: Driven) -> None:
        async with client.stream("GET", URL) as response:
            source = EventSource(response, max_event_size=100)
            assert response is source.response
            assert [E(data="a", id="1")] == await events_of(awaited(source, blocking=face.blocking))
            assert "1" == source.last_event_id
        source = EventSource(await client.get(URL))
        for _ in range(2):
            found = await events_of(awaited(source, blocking=face.blocking))
            assert [E(data="b"), E(data="c", id="2")] == found

    face(scenario, Script(stream(b"id: 1\ndata: a\n\n"), stream(b"data: b\n\nid: 2\ndata: c\n\n")))


def test_a_response_needs_no_request() -> None:
    """
    A response made by hand will do, and its errors name no request.
    """
    source = EventSource(scallion.Response(200, headers=TYPE, content=b"data: a\n\n"))
    assert [E(data="a")] == list(source.iter_sse())

    with pytest.raises(SSEError) as caught:
        list(EventSource(scallion.Response(404, text="none")))
    with pytest.raises(RuntimeError):
        _ = caught.value.request


# On the wire


def test_events_are_given_out_before_the_stream_goes_on(face: Face) -> None:
    """
    Over a real connection each event comes when its blank line has come, not when a buffer is full.
    """
    seen = threading.Event()
    script = [
        expect(),
        send(head(b"Transfer-Encoding: chunked"), chunk(b"data: a\n\n")),
        pause(seen),
        send(chunk(b"data: b\n\n"), b"0\r\n\r\n"),
    ]
    with ScriptedServer(script) as server:

        async def scenario(client: Driven) -> None:
            async with Sourced(client, server.url) as source:
                iterator = aiter(source)
                assert E(data="a") == await anext(iterator)
                seen.set()
                assert [E(data="b")] == await events_of(iterator)

        face(scenario)


def test_silence_ends_with_the_read_timeout(face: Face) -> None:
    """
    The client's `read` bounds the wait for the next bytes, as for any response.
    """
    with ScriptedServer([expect(), send(head(), b"data: a\n\n")]) as server:

        async def scenario(client: Driven) -> None:
            async with Sourced(
                client, server.url, timeout=scallion.Timeout(10.0, read=0.05)
            ) as source:
                await events_of(source)

        with pytest.raises(scallion.ReadTimeout):
            face(scenario)
        server.wait_until_gone()


def test_leaving_early_gives_the_connection_up(face: Face) -> None:
    """
    The server sees that nobody listens any more.
    """
    with ScriptedServer([expect(), send(head(), b"data: a\n\n")]) as server:

        async def scenario(client: Driven) -> None:
            async with Sourced(client, server.url) as source:
                async for _ in source:
                    break
            if client.blocking:
                server.wait_until_gone(0)
            else:
                await anyio.to_thread.run_sync(server.wait_until_gone, 0)

        face(scenario)


# Beside httpx2


def test_the_surface_is_that_of_httpx2() -> None:
    """
    `sse` takes what httpx2's takes, in its order, with its defaults; values and sources are made alike.
    """
    httpx2 = pytest.importorskip("httpx2")

    def parameters(of: Any) -> list[tuple[str, Any, str]]:
        return [
            (p.name, type(p.default) if "Default" in type(p.default).__name__ else p.default, p.kind.name)
            for p in inspect.signature(of).parameters.values()
        ]  # fmt: skip

    def named(found: list[tuple[str, Any, str]]) -> list[tuple[str, Any, str]]:
        return [(name, getattr(d, "__name__", d), kind) for name, d, kind in found]

    for theirs, ours in (
        (httpx2.Client.sse, scallion.Client.sse),
        (httpx2.AsyncClient.sse, scallion.AsyncClient.sse),
        (httpx2.EventSource, scallion.EventSource),
        (httpx2.ServerSentEvent, scallion.ServerSentEvent),
    ):
        expected = named(parameters(theirs))
        assert expected == named(parameters(ours))[: len(expected)]
    assert repr(httpx2.ServerSentEvent("a", "b", "c", 4)) == repr(E("a", "b", "c", 4))
    assert [c.__name__ for c in httpx2.SSEError.__mro__[:4]] == [
        c.__name__ for c in SSEError.__mro__[:4]
    ]


@pytest.mark.parametrize(
    ("answer", "settings"),
    [
        (Answer(200, b"id: 1\nevent: x\ndata: a\n\ndata: b\n\n", list(TYPE.items())), {}),
        (Answer(200, b"data: a\n\n", [("Content-Type", "text/event-stream;charset=utf-8")]), {}),
        (Answer(500, b"data: a\n\n", list(TYPE.items())), {}),
        (Answer(200, b"data: a\n\n", [("Content-Type", "text/html")]), {}),
        (Answer(404, b"none", [("Content-Type", "text/html")]), {}),
        (Answer(204, b""), {}),
        (Answer(200, b"data: a\n\ndata: " + b"x" * 99, list(TYPE.items())), {"max_event_size": 50}),
        (Answer(200, b"event: bare\n\nretry: 7\n\n: c\n\n", list(TYPE.items())), {"method": "POST", "json": {}}),
        (Answer(200, gzip.compress(b"data: a\n\n"), [*TYPE.items(), ("Content-Encoding", "gzip")]), {}),
        (Answer(200, b"data: a\n\n", list(TYPE.items()), chunked=True), {"headers": {"Accept": "x/y"}}),
    ],
)  # fmt: skip
def test_httpx2_behaves_the_same(answer: Answer, settings: dict[str, Any]) -> None:
    """
    The same calls to the same server: headers sent, events, the classes of errors, a second iteration.
    """
    httpx2 = pytest.importorskip("httpx2")

    def observed(library: Any, url: str) -> list[Any]:
        seen: list[Any] = []
        with library.Client() as client, client.sse(url, **settings) as source:
            for _ in range(2):
                try:
                    seen += ((event.event, event.data, event.id, event.retry) for event in source)
                except library.SSEError as error:
                    seen.append(("SSEError", str(error.request.url)))
                    break
                except library.StreamError as error:
                    seen.append(type(error).__name__)
            seen.append(source.response.status_code)
        return seen

    with HTTPServer(lambda request: answer) as server:
        assert observed(httpx2, server.url) == observed(scallion, server.url)
        theirs, ours = (
            {
                name.lower(): value
                for name, value in request.headers
                if name.lower() not in ("accept-encoding", "user-agent")
            }
            for request in server.requests
        )
    assert theirs == ours
