"""httpx-sse: connect_sse and aconnect_sse over the client's streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import httpx_sse
from httpx_sse import EventSource, ServerSentEvent, SSEError, aconnect_sse, connect_sse
from scripted import Answer, Received, serve

EVENTS = (
    ": a comment\n\n"
    "data: plain\n\n"
    'event: named\r\nid: 7\r\nretry: 10\r\ndata: {"a":\r\ndata: "ä"}\r\n\r\n'
    "data\n\n"
    "data: never ended"
).encode()


def service(request: Received) -> Answer:
    if request.path == "/json":
        return Answer(200, {"Content-Type": "application/json"}, b"{}")
    if request.path == "/refused":
        return Answer(401, {"Content-Type": "text/event-stream"}, b"")
    body: Any = EVENTS
    if request.path == "/bytes":
        body = bytewise()
    elif request.path == "/echo":
        accept, cache = request.headers["Accept"], request.headers["Cache-Control"]
        body = f"data: {request.method} {accept} {cache} {request.body.decode()}\n\n".encode()
    elif request.path == "/latin":
        return Answer(
            200,
            {"Content-Type": "text/event-stream; charset=latin-1"},
            "data: ä\n\n".encode("latin-1"),
        )
    return Answer(200, {"Content-Type": "text/event-stream; charset=utf-8"}, body)


def bytewise() -> Iterator[bytes]:
    for position in range(len(EVENTS)):
        yield EVENTS[position : position + 1]


def check_identity() -> None:
    import scallion

    assert issubclass(SSEError, scallion.TransportError)
    assert httpx_sse._api.httpx.Client is scallion.Client
    with serve(service) as server, httpx.Client() as client:
        assert type(client) is scallion.Client
        with connect_sse(client, "GET", f"{server.url}/") as source:
            assert type(source.response) is scallion.Response


def _check(events: list[ServerSentEvent]) -> None:
    assert ["plain", '{"a":\n"ä"}', ""] == [event.data for event in events]
    assert ["message", "named", "message"] == [event.event for event in events]
    assert {"a": "ä"} == events[1].json()
    assert ("7", 10) == (events[1].id, events[1].retry)
    assert "7" == events[2].id


def check_events() -> None:
    with serve(service) as server, httpx.Client() as client:
        for path in ("/", "/bytes"):
            with connect_sse(client, "GET", server.url + path) as source:
                _check(list(source.iter_sse()))
            assert source.response.is_closed
        with connect_sse(client, "GET", f"{server.url}/latin") as source:
            assert ["ä"] == [event.data for event in source.iter_sse()]


def check_requests() -> None:
    with serve(service) as server, httpx.Client(base_url=server.url) as client:
        with connect_sse(client, "POST", "/echo", content=b"body", headers={"X": "1"}) as source:
            (event,) = source.iter_sse()
        assert "POST text/event-stream no-store body" == event.data
        assert "1" == server.received[0].headers["X"]


def check_errors() -> None:
    with serve(service) as server, httpx.Client(base_url=server.url) as client:
        with connect_sse(client, "GET", "/json") as source:
            try:
                list(source.iter_sse())
            except SSEError as error:
                assert "application/json" in str(error)
                assert isinstance(error, httpx.TransportError)
            else:
                raise AssertionError("JSON was taken for events")
        with connect_sse(client, "GET", "/refused") as source:
            try:
                source.response.raise_for_status()
            except httpx.HTTPStatusError as error:
                assert 401 == error.response.status_code
            else:
                raise AssertionError("a status of 401 was no error")


def check_events_arrive_one_by_one() -> None:
    import threading

    read = threading.Event()

    def answer(request: Received) -> Answer:
        def body() -> Iterator[bytes]:
            yield b"data: first\n\n"
            assert read.wait(10)
            yield b"data: second\n\n"

        return Answer(200, {"Content-Type": "text/event-stream"}, body())

    with serve(answer) as server, httpx.Client() as client:
        with connect_sse(client, "GET", server.url) as source:
            events = source.iter_sse()
            assert "first" == next(events).data
            read.set()
            assert "second" == next(events).data


def check_leaving_early_and_mocks() -> None:
    with serve(service) as server, httpx.Client(limits=httpx.Limits(max_connections=1)) as client:
        for _ in range(3):
            with connect_sse(client, "GET", f"{server.url}/bytes") as source:
                assert "plain" == next(source.iter_sse()).data
    headers = {"Content-Type": "text/event-stream"}
    response = httpx.Response(200, headers=headers, content=EVENTS)
    _check(list(EventSource(response).iter_sse()))
    with httpx.Client(transport=httpx.MockTransport(lambda _: response)) as client:
        with connect_sse(client, "GET", "http://nowhere.example") as source:
            _check(list(source.iter_sse()))


async def check_async() -> None:
    with serve(service) as server:
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as client:
            for path in ("/", "/bytes"):
                async with aconnect_sse(client, "GET", server.url + path) as source:
                    _check([event async for event in source.aiter_sse()])
            async with aconnect_sse(client, "GET", f"{server.url}/bytes") as source:
                async for event in source.aiter_sse():
                    assert "plain" == event.data
                    break
            async with aconnect_sse(client, "GET", f"{server.url}/json") as source:
                try:
                    [event async for event in source.aiter_sse()]
                except SSEError:
                    pass
                else:
                    raise AssertionError("JSON was taken for events")
