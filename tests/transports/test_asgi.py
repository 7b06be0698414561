"""ASGI in process: what the app sees, compared with httpx, streaming both ways, disconnects, errors, cancellation."""

from __future__ import annotations

import contextvars
import gc
import threading
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import anyio
import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import given, settings
from hypothesis import strategies as st

import scallion
from scallion.pipeline.errors import (
    ReadError,
    RemoteProtocolError,
    StreamConsumed,
    TotalTimeout,
)
from scallion.pipeline.request import Request
from scallion.pipeline.runtime import AsyncRuntime
from scallion.transports.asgi import ASGITransport
from scallion.transports.asgi_exchange import MAX_DROPPED
from support.asgi_apps import (
    URL,
    App,
    Message,
    Receive,
    Send,
    answers,
    ask,
    body,
    content_of,
    start,
)
from support.cancelling import cancelled_everywhere
from support.colours import Drive

FOR_EVER = 3600.0


@pytest.fixture(params=["asyncio", "trio"])
def go(request: pytest.FixtureRequest) -> Drive:
    """Runs a coroutine function in one of the loops."""
    return Drive(request.param)


async def echo(scope: Any, receive: Receive, send: Send) -> None:
    content = await content_of(receive)
    await send(start())
    await send(body(content))


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


# As httpx does it.


class Recorder:
    """An app that keeps what it is given, and answers with a few headers."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.messages: list[Message] = []

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        while not self.messages or self.messages[-1].get("more_body", False):
            self.messages.append(await receive())
        await send(start(201, (b"X-Tag", b"a"), (b"x-tag", b"b"), (b"Set-Cookie", b"a=b")))
        await send(body(b"answer"))
        self.messages.append(await receive())


REQUESTS: dict[str, dict[str, Any]] = {
    "plain": {"method": "GET", "url": "http://testserver"},
    "path and query": {"method": "GET", "url": "https://testserver/a/b;c?d=e&d=%C3%A9#f"},
    "escapes": {"method": "GET", "url": "http://testserver/%C3%A9%20%2F/é?x=é y"},
    "empty query": {"method": "GET", "url": "http://testserver/?"},
    "port": {"method": "GET", "url": "http://testserver:8080/"},
    "default port": {"method": "GET", "url": "https://testserver:443/"},
    "ipv6": {"method": "GET", "url": "http://[::1]:81/"},
    "idna": {"method": "GET", "url": "http://bücher.example/"},
    "userinfo": {"method": "GET", "url": "http://user:pass@testserver/"},
    "other scheme": {"method": "GET", "url": "ftp://testserver/"},
    "method": {"method": "purge", "url": "http://testserver/"},
    "headers": {
        "method": "GET",
        "url": "http://testserver/",
        "headers": [("X-One", "1"), ("x-one", "2"), ("Accept", "*/*"), ("X-Ü".encode(), b"\xe9")],
    },
    "bytes": {"method": "POST", "url": "http://testserver/", "content": b"some bytes"},
    "no bytes": {"method": "POST", "url": "http://testserver/", "content": b""},
    "json": {"method": "PUT", "url": "http://testserver/", "json": {"a": [1, "é"]}},
    "form": {"method": "POST", "url": "http://testserver/", "data": {"a": "b c"}},
    "stream": {"method": "POST", "url": "http://testserver/", "content": (b"a", b"", b"bc")},
}


def settings_of(name: str) -> dict[str, Any]:
    found = dict(REQUESTS[name])
    if isinstance(found.get("content"), tuple):
        found["content"] = pieces_of(*found["content"])
    return found


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize(
    "options", [{}, {"root_path": "/mounted", "client": ("1.2.3.4", 5)}], ids=["plain", "mounted"]
)
def test_apps_see_what_httpx_shows_them(go: Drive, name: str, options: dict[str, Any]) -> None:
    """
    The scope, every message, and the response are equal.
    """
    ours, theirs = Recorder(), Recorder()

    async def scenario() -> None:
        got = await ask(ASGITransport(ours, **options), Request(**settings_of(name)))
        request = httpx.Request(**settings_of(name))
        expected = await httpx.ASGITransport(theirs, **options).handle_async_request(request)
        await expected.aread()
        assert theirs.scopes == ours.scopes
        assert list(theirs.scopes[0]) == list(ours.scopes[0])
        assert theirs.messages == ours.messages
        assert expected.status_code == got.status_code
        assert expected.headers.raw == got.headers.raw
        assert expected.content == got.content
        assert expected.extensions == got.extensions
        assert expected.http_version == got.http_version
        assert expected.reason_phrase == got.reason_phrase

    go(scenario)


@pytest.mark.parametrize(
    "messages",
    [
        [start(), body()],
        [start(204), body()],
        [start(), body(b"a", more=True), body(b"", more=True), body(b"b")],
        [{"type": "http.response.start", "status": 200}, {"type": "http.response.body"}],
        [start(), {"type": "http.response.body", "body": bytearray(b"x")}],
        [start(HTTPStatus.NOT_FOUND), body(b"x")],
        [start(299), body(b"x")],
        [start(), {"type": "http.response.unheard-of"}, body(b"x")],
        [start(500, (b"content-type", b"text/plain")), body(b"Oops"), KeyError("boom")],
        [KeyError("boom")],
    ],
)
@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_clients_get_what_httpx_gives_them(
    go: Drive, messages: list[Message], raises: bool, method: str
) -> None:
    """
    Status, headers, content and errors.
    """

    async def outcome(transport: Any, request: Any) -> Any:
        try:
            response = await transport.handle_async_request(request)
        except KeyError as error:
            return repr(error)
        content = await response.aread()
        return response.status_code, response.headers.raw, content

    async def scenario() -> None:
        expected = await outcome(
            httpx.ASGITransport(answers(*messages), raise_app_exceptions=raises),
            httpx.Request(method, URL),
        )
        got = await outcome(
            ASGITransport(answers(*messages), raise_app_exceptions=raises), Request(method, URL)
        )
        assert expected == got

    go(scenario)


# Streaming.


def test_a_response_is_returned_as_it_is_started(go: Drive) -> None:
    """
    Each piece arrives as the app sends it: nothing is collected first.
    """

    async def scenario() -> None:
        go_on = [anyio.Event(), anyio.Event()]

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await send(start())
            await go_on[0].wait()
            await send(body(b"one", more=True))
            await go_on[1].wait()
            await send(body(b"two"))

        response = await ASGITransport(app).handle_async_request(Request("GET", URL))
        assert 200 == response.status_code
        pieces = response.aiter_raw()
        go_on[0].set()
        assert b"one" == await anext(pieces)
        go_on[1].set()
        assert b"two" == await anext(pieces)
        assert [] == [piece async for piece in pieces]

    go(scenario)


def test_a_slow_reader_holds_the_app_back(go: Drive) -> None:
    """
    At most one piece waits to be taken.
    """

    async def scenario() -> None:
        sent: list[int] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await send(start())
            for number in range(10):
                await send(body(b"x", more=True))
                sent.append(number)
            await send(body())

        response = await ASGITransport(app).handle_async_request(Request("GET", URL))
        taken = 0
        async for _ in response.aiter_raw():
            await anyio.wait_all_tasks_blocked()
            taken += 1
            assert len(sent) <= taken + 1
        assert 10 == taken

    go(scenario)


def test_a_request_is_pulled_as_the_app_receives_it(go: Drive) -> None:
    async def scenario() -> None:
        log: list[str] = []

        async def upload() -> AsyncIterator[bytes]:
            for number in range(3):
                log.append(f"made {number}")
                yield b"x"

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            for number in range(2):
                await receive()
                log.append(f"received {number}")
            await send(start())
            await send(body())

        await ask(ASGITransport(app), Request("POST", URL, content=upload()))
        assert ["made 0", "received 0", "made 1", "received 1"] == log

    go(scenario)


def test_both_ways_at_once(go: Drive) -> None:
    """
    What the client sends may depend on what the app has answered to what it sent before.
    """

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(start())
        while (message := await receive())["more_body"]:
            await send(body(message["body"].upper(), more=True))
        await send(body())

    async def scenario() -> None:
        answered: dict[int, anyio.Event] = {number: anyio.Event() for number in range(4)}

        async def upload() -> AsyncIterator[bytes]:
            for number in range(4):
                yield f"n{number}".encode()
                await answered[number].wait()

        request = Request("POST", URL, content=upload())
        response = await ASGITransport(app).handle_async_request(request)
        got = []
        async for piece in response.aiter_raw():
            got.append(piece)
            answered[len(got) - 1].set()
        assert [b"N0", b"N1", b"N2", b"N3"] == got

    go(scenario)


def test_what_the_app_does_not_read_is_closed(go: Drive) -> None:
    """
    A generator ends with the app, not when it is collected.
    """

    async def scenario() -> None:
        log: list[str] = []

        async def upload() -> AsyncIterator[bytes]:
            try:
                yield b"1"
                yield b"2"
            finally:
                log.append("closed")

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            await send(start())
            await send(body())

        response = await ask(ASGITransport(app), Request("POST", URL, content=upload()))
        assert ["closed"] == log
        assert b"" == response.content

    go(scenario)


def test_an_app_may_listen_while_it_reads(go: Drive) -> None:
    """
    Two tasks in `receive` at once get different messages, and the disconnect reaches both.
    """

    async def scenario() -> None:
        seen: list[str] = []

        async def upload() -> AsyncIterator[bytes]:
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
                yield b"x"

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            async def listen() -> None:
                while True:
                    message = await receive()
                    seen.append(message["type"])
                    if "http.disconnect" == message["type"]:
                        return

            async with anyio.create_task_group() as group:
                group.start_soon(listen)
                group.start_soon(listen)
                await send(start())
                await send(body())

        await ask(ASGITransport(app), Request("POST", URL, content=upload()))
        assert ["http.disconnect"] * 2 == seen[-2:]
        assert 4 == seen.count("http.request")

    go(scenario)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=50)), st.lists(st.binary(max_size=50)))
def test_pieces_arrive_whole_and_in_order(up: list[bytes], down: list[bytes]) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        assert b"".join(up) == await content_of(receive)
        await send(start())
        for piece in down:
            await send(body(piece, more=True))
        await send(body())

    async def scenario() -> None:
        transport = ASGITransport(app)
        request = Request("POST", URL, content=pieces_of(*up))
        response = await transport.handle_async_request(request)
        assert [piece for piece in down if piece] == [piece async for piece in response.aiter_raw()]

    anyio.run(scenario)


# The end, and ends before it.


def test_a_response_ends_with_its_app(go: Drive) -> None:
    """
    What the app does in the background is done when the body has been read, or closed unread.
    """

    async def scenario() -> None:
        done: list[str] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await send(start())
            await send(body(b"all"))
            assert "http.request" == (await receive())["type"]
            assert not (await receive())["more_body"]
            assert "http.disconnect" == (await receive())["type"]
            await anyio.lowlevel.checkpoint()
            done.append("background")

        transport = ASGITransport(app)
        await ask(transport)
        assert ["background"] == done
        response = await transport.handle_async_request(Request("GET", URL))
        await response.aclose()
        assert ["background"] * 2 == done

    go(scenario)


def test_closing_early_is_a_disconnect(go: Drive) -> None:
    """
    The app hears of it, and ends by itself before closing returns.
    """

    async def scenario() -> None:
        log: list[str] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await content_of(receive)
            await send(start())
            await send(body(b"1", more=True))
            message = await receive()
            log.append(message["type"])
            await send(body(b"dropped", more=True))
            await anyio.lowlevel.checkpoint()
            log.append("ended")

        transport = ASGITransport(app, grace=FOR_EVER)
        response = await transport.handle_async_request(Request("GET", URL))
        async for piece in response.aiter_raw():
            assert b"1" == piece
            break
        await response.aclose()
        assert ["http.disconnect", "ended"] == log

    go(scenario)


def test_an_app_that_waits_for_room_goes_on(go: Drive) -> None:
    """
    After a disconnect what it sends is dropped, so that an app with an end comes to it.
    """

    async def scenario() -> None:
        log: list[str] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await send(start())
            for _ in range(MAX_DROPPED - 2):
                await send(body(b"x", more=True))
            await send(body(b"x"))
            log.append("ended")

        transport = ASGITransport(app, grace=FOR_EVER)
        response = await transport.handle_async_request(Request("GET", URL))
        await anyio.wait_all_tasks_blocked()
        await response.aclose()
        assert ["ended"] == log

    go(scenario)


def test_an_app_that_sends_for_ever_is_cancelled(go: Drive) -> None:
    """
    However long its grace: it does not notice that nobody listens.
    """

    async def scenario() -> None:
        log: list[str] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            try:
                await send(start())
                while True:
                    await send(body(b"x", more=True))
            finally:
                log.append("ended")

        transport = ASGITransport(app, grace=FOR_EVER)
        response = await transport.handle_async_request(Request("GET", URL))
        await response.aclose()
        assert ["ended"] == log

    go(scenario)


def test_an_app_that_does_not_end_is_cancelled(go: Drive) -> None:
    """
    When its grace is over; before closing returns, its clean-up included.
    """

    async def scenario() -> None:
        log: list[str] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            try:
                await send(start())
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.lowlevel.checkpoint()
                log.append("ended")

        transport = ASGITransport(app, grace=0)
        response = await transport.handle_async_request(Request("GET", URL))
        await response.aclose()
        assert ["ended"] == log
        await response.aclose()

    go(scenario)


def test_an_app_that_still_reads_hears_of_it(go: Drive) -> None:
    """
    A disconnect is told instead of what is left of the request, which is then closed.
    """

    async def scenario() -> None:
        log: list[str] = []

        async def upload() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x"
            finally:
                log.append("closed")

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await send(start())
            await send(body(b"1", more=True))
            while True:
                message = await receive()
                if "http.disconnect" == message["type"]:
                    log.append("http.disconnect")
                    return
                await anyio.lowlevel.checkpoint()

        transport = ASGITransport(app, grace=FOR_EVER)
        request = Request("POST", URL, content=upload())
        response = await transport.handle_async_request(request)
        await response.aclose()
        assert ["http.disconnect", "closed"] == log

    go(scenario)


def test_closing_may_be_cancelled(go: Drive) -> None:
    """
    Then the app has no grace.
    """

    async def scenario() -> None:
        log: list[str] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            try:
                await send(start())
                await anyio.sleep_forever()
            finally:
                log.append("ended")

        transport = ASGITransport(app, grace=FOR_EVER)
        response = await transport.handle_async_request(Request("GET", URL))
        with anyio.CancelScope() as scope:
            scope.cancel()
            await response.aclose()
        assert scope.cancelled_caught
        assert ["ended"] == log

    go(scenario)


def test_a_response_that_is_forgotten_ends_its_app(go: Drive) -> None:
    """
    Without a warning.
    """

    async def scenario() -> None:
        ended = anyio.Event()

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            try:
                await send(start())
                await anyio.sleep_forever()
            finally:
                ended.set()

        response = await ASGITransport(app).handle_async_request(Request("GET", URL))
        del response
        gc.collect()
        await ended.wait()

    go(scenario)


def test_closing_the_transport_ends_what_runs(go: Drive) -> None:
    """
    A response that is still read then fails; the transport can be used again.
    """

    async def scenario() -> None:
        log: list[str] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            if "/quick" == scope["path"]:
                await answers(start(), body(b"quick"))(scope, receive, send)
                return
            try:
                await send(start())
                await anyio.sleep_forever()
            finally:
                log.append("ended")

        async with ASGITransport(app) as transport:
            response = await transport.handle_async_request(Request("GET", URL))
        assert ["ended"] == log
        with pytest.raises(ReadError, match="closed while it was being read"):
            await response.aread()
        assert b"quick" == (await ask(transport, Request("GET", URL + "quick"))).content

    go(scenario)


def test_closing_the_transport_in_another_loop(go: Drive) -> None:
    """
    What runs in a loop of another thread is cancelled there, without being waited for.
    """
    ended = threading.Event()

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        try:
            if "http" == scope["type"]:
                await send(start())
            else:
                await send({"type": "lifespan.startup.complete"})
            await anyio.sleep_forever()
        finally:
            log.append(scope["type"])
            if 2 == len(log):
                ended.set()

    log: list[str] = []
    transport = ASGITransport(app, lifespan=True)
    with start_blocking_portal(go.colour) as portal:
        response = portal.call(transport.handle_async_request, Request("GET", URL))
        anyio.run(transport.aclose)
        assert ended.wait(20)
        with pytest.raises(RemoteProtocolError, match="before its response was complete"):
            portal.call(response.aread)
    assert ["http", "lifespan"] == sorted(log)


# Errors.


def test_errors_before_the_response_come_out_of_the_request(go: Drive) -> None:
    """
    The very object; what is no Exception too, whatever was chosen.
    """

    async def scenario() -> None:
        boom = KeyError("boom")
        with pytest.raises(KeyError) as info:
            await ask(ASGITransport(answers(boom)))
        assert boom is info.value
        with pytest.raises(KeyboardInterrupt):
            await ask(ASGITransport(answers(KeyboardInterrupt()), raise_app_exceptions=False))

    go(scenario)


def test_errors_in_the_midst_come_out_of_the_body(go: Drive) -> None:
    """
    After what the app had sent; once.
    """

    async def scenario() -> None:
        transport = ASGITransport(answers(start(), body(b"half", more=True), KeyError("boom")))
        response = await transport.handle_async_request(Request("GET", URL))
        pieces = response.aiter_raw()
        assert b"half" == await anext(pieces)
        with pytest.raises(KeyError, match="boom"):
            await anext(pieces)
        await response.aclose()

    go(scenario)


def test_errors_in_the_midst_may_cut_the_response_short(go: Drive) -> None:
    """
    Where they are not to be raised, the client sees what it would see of a server.
    differences: "an app that fails half way".
    """

    async def scenario() -> None:
        app = answers(start(), body(b"half", more=True), KeyError("boom"))
        transport = ASGITransport(app, raise_app_exceptions=False)
        response = await transport.handle_async_request(Request("GET", URL))
        with pytest.raises(RemoteProtocolError, match="received 4 bytes") as info:
            await response.aread()
        assert isinstance(info.value.__cause__, KeyError)

    go(scenario)


@pytest.mark.parametrize("read", [True, False])
def test_errors_after_the_response_are_not_lost(go: Drive, read: bool) -> None:
    """
    They come at the body's end, or when it is closed.
    """

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"all"))
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        raise KeyError("background")

    async def scenario() -> None:
        response = await ASGITransport(app).handle_async_request(Request("GET", URL))
        with pytest.raises(KeyError, match="background"):
            await (response.aread() if read else response.aclose())
        quiet = ASGITransport(app, raise_app_exceptions=False)
        response = await quiet.handle_async_request(Request("GET", URL))
        assert b"all" == await response.aread()

    go(scenario)


def test_errors_after_a_disconnect_are_not_lost(go: Drive) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await content_of(receive)
        await send(start())
        await receive()
        raise KeyError("disconnected")

    async def scenario() -> None:
        response = await ASGITransport(app).handle_async_request(Request("GET", URL))
        with pytest.raises(KeyError, match="disconnected"):
            await response.aclose()

    go(scenario)


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([], "ended without answering: it has to send http.response.start"),
        ([start()], "ended before its response was complete: received 0 bytes"),
        ([start(), body(b"abc", more=True)], "before its response was complete: received 3 bytes"),
    ],
)
def test_apps_that_end_too_early(
    go: Drive, messages: list[Message], error: str, raises: bool
) -> None:
    async def scenario() -> None:
        transport = ASGITransport(answers(*messages), raise_app_exceptions=raises)
        request = Request("GET", URL)
        with pytest.raises(RemoteProtocolError, match=error) as info:
            await ask(transport, request)
        assert request is info.value.request

    go(scenario)


@pytest.mark.parametrize(
    ("messages", "kind", "error"),
    [
        ([start(), start()], RuntimeError, "http.response.start twice"),
        ([body()], RuntimeError, "http.response.body before http.response.start"),
        ([start(), body(), body()], RuntimeError, "after the end of its response"),
        ([start("200")], TypeError, "needs an int as status, not '200'"),  # type: ignore[arg-type]
        ([start(200, ("a", 1))], TypeError, "Header value"),  # type: ignore[arg-type]
        ([start(), body("text")], TypeError, "needs bytes as body, not str"),  # type: ignore[arg-type]
        ([{}], KeyError, "type"),
    ],
)
def test_apps_that_break_the_protocol(
    go: Drive, messages: list[Message], kind: type[Exception], error: str
) -> None:
    """
    `send` refuses it, so that the app's own traceback tells where.
    """

    async def scenario() -> None:
        with pytest.raises(kind, match=error):
            await ask(ASGITransport(answers(*messages)))

    go(scenario)


def test_an_app_that_fails_while_it_is_cancelled(go: Drive) -> None:
    """
    The reason for the cancellation is raised, and says so.
    """

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise KeyError("clean-up")

    async def scenario() -> None:
        request = Request("GET", URL)
        request.deadline = AsyncRuntime().clock() + 0.01
        with pytest.raises(TotalTimeout) as info:
            await ask(ASGITransport(app), request)
        assert ["The app failed as it was stopped: KeyError('clean-up')"] == info.value.__notes__

    go(scenario)


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("handled", [True, False])
def test_errors_of_the_requests_body_are_the_callers(
    go: Drive, raises: bool, handled: bool
) -> None:
    """
    They are not the app's, whatever it makes of them.
    """

    async def upload() -> AsyncIterator[bytes]:
        yield b"x"
        raise KeyError("upload")

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        try:
            await content_of(receive)
        except KeyError:
            if not handled:
                raise
        await send(start())
        await send(body())

    async def scenario() -> None:
        transport = ASGITransport(app, raise_app_exceptions=raises)
        with pytest.raises(KeyError, match="upload"):
            await ask(transport, Request("POST", URL, content=upload()))

    go(scenario)


def test_bodies_that_were_sent_before(go: Drive) -> None:
    async def scenario() -> None:
        transport = ASGITransport(echo)
        request = Request("POST", URL, content=pieces_of(b"a"))
        assert b"a" == (await ask(transport, request)).content
        with pytest.raises(StreamConsumed):
            await ask(transport, request)
        with pytest.raises(RuntimeError, match="its body is a plain iterator"):
            await ask(transport, Request("POST", URL, content=iter([b"a"])))

    go(scenario)


@pytest.mark.parametrize(
    ("settings", "kind", "error"),
    [
        ({"app": None}, TypeError, "needs an ASGI application"),
        ({"app": echo, "grace": -1}, ValueError, "at least 0 seconds"),
        ({"app": echo, "grace": float("nan")}, ValueError, "at least 0 seconds"),
    ],
)
def test_settings_are_checked(settings: Any, kind: type[Exception], error: str) -> None:
    with pytest.raises(kind, match=error):
        ASGITransport(**settings)


# Time and cancellation.


@pytest.mark.parametrize("begun", [True, False])
def test_the_deadline_holds(go: Drive, begun: bool) -> None:
    """
    An app that does not answer in time, or stops half way, is cancelled.
    """

    async def scenario() -> None:
        log: list[str] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            try:
                if begun:
                    await send(start())
                await anyio.sleep_forever()
            finally:
                log.append("ended")

        request = Request("GET", URL)
        request.deadline = AsyncRuntime().clock() + 0.01
        with pytest.raises(TotalTimeout, match="waiting for the app"):
            await ask(ASGITransport(app), request)
        assert ["ended"] == log

    go(scenario)


def test_other_timeouts_have_no_meaning(go: Drive) -> None:
    """
    As in httpx: an app may take its time, or stop in a debugger.
    """

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await anyio.lowlevel.checkpoint()
        await answers(start(), body(b"late"))(scope, receive, send)

    async def scenario() -> None:
        none = dict.fromkeys(("connect", "read", "write", "pool"), 0.0)
        request = Request("GET", URL, extensions={"timeout": none})
        assert b"late" == (await ask(ASGITransport(app), request)).content

    go(scenario)


def test_cancelling_the_caller_cancels_the_app(go: Drive) -> None:
    """
    Wherever the caller waits; nothing runs on, and the transport remains usable.
    """

    async def scenario() -> None:
        running: list[object] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            running.append(scope)
            try:
                content = await content_of(receive)
                await anyio.lowlevel.checkpoint()
                await send(start())
                await anyio.lowlevel.checkpoint()
                await send(body(content, more=True))
                await send(body(content))
                await anyio.lowlevel.checkpoint()
            finally:
                running.pop()

        transport = ASGITransport(app)

        async def work() -> None:
            request = Request("POST", URL, content=pieces_of(b"a", b"b"))
            response = await transport.handle_async_request(request)
            try:
                await response.aread()
            finally:
                await response.aclose()

        async def check() -> None:
            assert [] == running
            await anyio.lowlevel.checkpoint()
            assert {} == transport._exchanges

        assert 3 <= await cancelled_everywhere(work, check)
        assert b"xx" == (await ask(transport, Request("POST", URL, content=b"x"))).content

    go(scenario)


def test_context_variables_flow_into_the_app(go: Drive) -> None:
    variable = contextvars.ContextVar("variable", default="none")

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(variable.get().encode()))

    async def scenario() -> None:
        variable.set("mine")
        assert "mine" == (await ask(ASGITransport(app))).text

    go(scenario)


# In a client.


async def site(scope: Any, receive: Receive, send: Send) -> None:
    """A small web site: cookies, redirects, and an echo."""
    headers = dict(scope["headers"])
    content = await content_of(receive)
    match scope["path"]:
        case "/login":
            await send(start(302, (b"location", b"/me"), (b"set-cookie", b"who=ann; Path=/")))
            await send(body())
        case "/me":
            await send(start())
            await send(body(headers.get(b"cookie", b"nobody")))
        case _:
            await send(start(200, (b"content-type", b"text/plain; charset=utf-8")))
            for index in range(0, len(content), 3):
                await send(body(content[index : index + 3], more=True))
            await send(body())


def client_of(app: App, **options: Any) -> scallion.AsyncClient:
    return scallion.AsyncClient(
        transport=ASGITransport(app), base_url="http://testserver", **options
    )


def test_cookies_and_redirects(go: Drive) -> None:
    async def scenario() -> None:
        async with client_of(site, follow_redirects=True) as client:
            assert "nobody" == (await client.get("/me")).text
            response = await client.post("/login")
            assert "who=ann" == response.text
            assert "http://testserver/me" == str(response.url)

    go(scenario)


def test_uploads_from_generators(go: Drive) -> None:
    async def scenario() -> None:
        async with client_of(site) as client:
            sent = pieces_of(b"ab", b"cdef")
            async with client.stream("POST", "/echo", content=sent) as response:
                assert [b"abc", b"def"] == [piece async for piece in response.aiter_bytes()]
            assert response.elapsed.total_seconds() >= 0

    go(scenario)


def test_many_at_once(go: Drive) -> None:
    async def scenario() -> None:
        async with client_of(site) as client:
            got: dict[int, str] = {}

            async def one(number: int) -> None:
                sent = pieces_of(b"number ", str(number).encode())
                got[number] = (await client.post("/echo", content=sent)).text

            async with anyio.create_task_group() as group:
                for number in range(100):
                    group.start_soon(one, number)
            assert {number: f"number {number}" for number in range(100)} == got

    go(scenario)


def test_a_total_timeout_of_the_client(go: Drive) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await anyio.sleep_forever()

    async def scenario() -> None:
        async with client_of(app, timeout=scallion.Timeout(5, total=0.01)) as client:
            with pytest.raises(TotalTimeout):
                await client.get("/")

    go(scenario)


def test_leaving_a_stream_early(go: Drive) -> None:
    async def scenario() -> None:
        log: list[str] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await send(start())
            try:
                while True:
                    await send(body(b"tick", more=True))
            finally:
                log.append("ended")

        async with client_of(app) as client, client.stream("GET", "/") as response:
            async for piece in response.aiter_bytes():
                assert b"tick" == piece
                break
        assert ["ended"] == log

    go(scenario)


def test_repr_names_the_app() -> None:
    assert "ASGITransport(echo)" == repr(ASGITransport(echo))
