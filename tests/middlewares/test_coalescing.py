"""Coalescing: who shares an exchange, what each gets of it, and what happens when its leader goes."""

from __future__ import annotations

import asyncio
import copy
import gzip
import pickle
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import anyio
import pytest

from scallion._async_client import AsyncClient
from scallion._client import Client
from scallion._stacks import compatible
from scallion.middlewares.auth import Authentication
from scallion.middlewares.coalescing import Coalescing
from scallion.middlewares.redirects import Redirects
from scallion.middlewares.shared_response import read_ahead
from scallion.middlewares.timeouts import Deadlines
from scallion.pipeline.errors import ConnectError, ReadError, StreamClosed, TotalTimeout
from scallion.pipeline.onion import Next, Send, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import AsyncRuntime, BlockingRuntime, Event
from scallion.pipeline.streams import AsyncByteStream, ByteStream, SyncByteStream
from scallion.transports.mock import MockTransport
from support.cancelling import cancelled_at
from support.colours import Drive
from support.together import together
from support.worlds import OpenStream, World, play

URL = "http://example.org/"


def get(url: str = URL, method: str = "GET", **settings: Any) -> Request:
    return Request(method, url, **settings)


class Server:
    """A transport that answers the first request when all others have come or follow: they are under way together.

    Attributes:
        asked: The requests that came.
        told: What observers were told of requests that are observed.
        following: How many have begun to follow another.
        holds_all: Whether all that are asked wait with the first.
    """

    holds_all = False

    def __init__(
        self, drive: Drive, answer: Callable[[Request], Any], layer: Coalescing | None = None
    ) -> None:
        self.drive = drive
        self.asked: list[Request] = []
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.runtime: Any = drive.runtime()
        self.following = 0
        self._event = self.runtime.event
        self.runtime.event = self._counted
        self._answer = answer
        self.gate: Event | None = None
        self.send: Send = compose([layer or Coalescing()], self.transport, self.runtime)

    def _counted(self) -> Event:
        # Who begins to follow takes an event to wait for.
        self.following += 1
        event: Event = self._event()
        return event

    async def transport(self, request: Request) -> Response:
        self.asked.append(request)
        assert self.gate is not None
        if self.holds_all or len(self.asked) == 1:
            assert await self.gate.wait(20)
        answer = self._answer(request)
        if isinstance(answer, BaseException):
            raise answer
        answer.request = request
        return answer  # type: ignore[no-any-return]

    def observe(self, request: Request) -> Request:
        request.observers = (lambda event, fields: self.told.append((event, fields)),)
        return request

    def play(self, *requests: Request) -> list[Any]:
        """Send all of them, the first one first; what each read, or its error."""

        async def scenario() -> list[Any]:
            self.gate = self._event()

            async def ask(index: int) -> Any:
                while index and not self.asked:
                    await self.runtime.sleep(0.001)
                response = await self.send(requests[index])
                if self.drive.blocking:
                    response.read()
                else:
                    await response.aread()
                return response

            async def release() -> None:
                while len(self.asked) + self.following < len(requests):
                    await self.runtime.sleep(0.001)
                # So that a deadline that is over can pass.
                await self.runtime.sleep(0.02)
                assert self.gate is not None
                self.gate.set()

            works: list[Callable[[], Coroutine[Any, Any, Any]]] = [
                lambda index=index: ask(index) for index in range(len(requests))
            ]
            return (await together(self.drive, *works, release))[:-1]

        return self.drive(scenario)


def body(*chunks: bytes, **settings: Any) -> Callable[[Request], Response]:
    return lambda request: Response(200, stream=OpenStream(*chunks), **settings)


def events(server: Server) -> set[str]:
    return {event for event, _ in server.told}


# What is shared


def test_identical_requests_share_one_exchange(drive: Drive) -> None:
    """
    Each gets a response of its own, with its own request.
    """
    server = Server(drive, body(b"an", b"swer", headers={"ETag": "1"}))
    requests = [server.observe(get()) for _ in range(5)]

    responses = server.play(*requests)

    assert 1 == len(server.asked)
    assert [b"answer"] * 5 == [response.content for response in responses]
    assert all(
        request is response.request for request, response in zip(requests, responses, strict=True)
    )
    assert 5 == len({id(response) for response in responses})
    assert 5 == len({id(response.headers) for response in responses})
    assert ["1"] * 5 == [response.headers["etag"] for response in responses]
    assert [None, True, True, True, True] == [
        response.extensions.get("coalesced") for response in responses
    ]
    assert all(response.elapsed.total_seconds() > 0 for response in responses[1:])
    assert ["coalesced"] * 4 == [event for event, _ in server.told]
    assert {"200"} == {fields["outcome"] for _, fields in server.told}
    assert all(0 <= fields["waited"] < 20 for _, fields in server.told)


@pytest.mark.parametrize("settings", [{"content": b"answer"}, {"stream": ByteStream(b"answer")}])
def test_what_has_arrived_as_a_whole_is_shared(drive: Drive, settings: Any) -> None:
    """
    Whether it was read already or not.
    """
    server = Server(drive, lambda request: Response(200, **settings))

    responses = server.play(get(), get())

    assert [b"answer"] * 2 == [response.content for response in responses]
    assert 1 == len(server.asked)


def test_what_is_coded_is_decoded_by_each(drive: Drive) -> None:
    """
    The body is shared as it came over the wire.
    """
    server = Server(drive, body(gzip.compress(b"answer"), headers={"Content-Encoding": "gzip"}))

    responses = server.play(get(), get(), get())

    assert [b"answer"] * 3 == [response.content for response in responses]
    assert 1 == len(server.asked)


def test_head_is_shared_whatever_length_it_tells(drive: Drive) -> None:
    """
    No body comes.
    """
    server = Server(drive, body(headers={"Content-Length": "99999999"}))

    responses = server.play(*[get(method="HEAD") for _ in range(3)])

    assert [200] * 3 == [response.status_code for response in responses]
    assert 1 == len(server.asked)


def test_one_after_the_other_share_nothing(drive: Drive) -> None:
    """
    It is no cache.
    """
    world = World([Response(200), Response(201)])
    layer = Coalescing()

    assert [200, 201] == [play([layer], get(), world, drive).status_code for _ in range(2)]


def test_a_request_without_company_is_not_read(drive: Drive) -> None:
    """
    Its response comes as it would without the layer.
    """
    stream = OpenStream(b"endless")
    world = World([Response(200, stream=stream)])

    response = play([Coalescing()], get(), world, drive)

    assert stream is response.stream
    assert not response.is_stream_consumed


DIFFERENT: dict[str, Callable[[], Request]] = {
    "method": lambda: get(method="HEAD"),
    "url": lambda: get(URL + "?page=2"),
    "header": lambda: get(headers={"Accept": "text/html"}),
    "credentials": lambda: get(headers={"Authorization": "Bearer other"}),
    "cookies": lambda: get(headers={"Cookie": "session=other"}),
    "auth": lambda: get(extensions=Authentication.option_for(("user", "other"))),
    "timeout": lambda: get(extensions={"timeout": {"read": 1.0}}),
    "layers": lambda: get(extensions={"middlewares": []}),
    "body": lambda: get(content=b"query"),
    "no-store": lambda: get(headers={"Cache-Control": "max-age=0, no-store"}),
    "events": lambda: get(headers={"Accept": "text/event-stream"}),
    "upgrade": lambda: get(headers={"Upgrade": "websocket"}),
    "post": lambda: get(method="POST"),
    "option": lambda: get(extensions=Coalescing.option_for(enabled=False)),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_differs_goes_by_itself(drive: Drive, what: str) -> None:
    """
    Whoever asks for something else, or as somebody else, gets an answer of its own.
    """
    server = Server(drive, body(b"answer"))
    first = get(headers={"Authorization": "Bearer mine"}) if what == "credentials" else get()

    server.play(first, DIFFERENT[what]())

    assert 2 == len(server.asked)


@pytest.mark.parametrize(
    "what", ["body", "no-store", "events", "upgrade", "post", "option", "layers"]
)
def test_what_goes_alone_is_not_shared_with_its_like(drive: Drive, what: str) -> None:
    server = Server(drive, body(b"answer"))

    server.play(DIFFERENT[what](), DIFFERENT[what]())

    assert 2 == len(server.asked)


def test_what_differs_at_one_url_is_shared_with_its_like(drive: Drive) -> None:
    """
    Each user's requests share one exchange of his own, though all of them ask for one URL.
    """
    server = Server(drive, lambda request: Response(200, text=request.headers["Authorization"]))
    server.holds_all = True
    users = [1, 2, 2, 1, 3, 2, 1]

    responses = server.play(*[get(headers={"Authorization": f"{user}"}) for user in users])

    assert [f"{user}" for user in users] == [response.text for response in responses]
    assert 3 == len(server.asked)


CHANGES: dict[str, Callable[[Request], Any]] = {
    "a header is added": lambda request: request.headers.__setitem__("X-Attempt", "1"),
    "a header is changed": lambda request: request.headers.__setitem__("Accept", "text/html"),
    "a header is removed": lambda request: request.headers.pop("Accept", None),
    "credentials are added": lambda request: request.headers.update({"Authorization": "mine"}),
    "the method": lambda request: setattr(request, "method", "HEAD"),
    "the URL": lambda request: setattr(request, "url", request.url.copy_with(host="10.0.0.1")),
    "the limits": lambda request: request.extensions["timeout"].update(read=0.1),
    "an option": lambda request: request.extensions.update(note=1),
    "an option that cannot be compared": lambda request: request.extensions.update(note=[]),
    "credentials are forbidden": lambda request: setattr(request, "credentials_allowed", False),
}


@pytest.mark.parametrize("what", CHANGES)
def test_layers_further_in_may_change_the_leaders_request(drive: Drive, what: str) -> None:
    """
    What was asked for counts: who asks for the same follows, and who asks for what was made of it does not.
    """
    server = Server(drive, body(b"answer"))

    def changed(request: Request) -> Request:
        CHANGES[what](request)
        return request

    async def changing(request: Request, call_next: Next) -> Response:
        return await call_next(changed(request))

    server.send = compose([Coalescing(), changing], server.transport, server.runtime)

    def settings() -> dict[str, Any]:
        return {"headers": {"Accept": "*/*"}, "extensions": {"timeout": {"read": 5.0}}}

    server.play(get(**settings()), get(**settings()), get(**settings()))
    assert 1 == len(server.asked)

    server.asked, server.following = [], 0
    server.play(get(**settings()), changed(get(**settings())), get(**settings()))
    assert 2 == len(server.asked)


def test_limits_that_cannot_be_compared_are_shared_with_nobody(drive: Drive) -> None:
    """
    A transport of one's own may understand them.
    """
    server = Server(drive, body(b"answer"))

    responses = server.play(*[get(extensions={"timeout": {"read": [1]}}) for _ in range(3)])

    assert [b"answer"] * 3 == [response.content for response in responses]
    assert 3 == len(server.asked)


def test_loops_share_nothing() -> None:
    """
    What goes on in one loop nobody can wait for in another, or in the same thread's next one.
    """
    gates: list[asyncio.Event] = []

    async def answer(request: Request) -> Response:
        if not gates:
            gates.append(asyncio.Event())
            await gates[0].wait()
        return Response(200, stream=OpenStream(b"answer"), request=request)

    send = compose([Coalescing()], answer, AsyncRuntime())

    async def ask() -> bool:
        response = await send(get())
        await response.aread()
        return "coalesced" in response.extensions

    async def settled() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        leader = first.create_task(ask())
        first.run_until_complete(settled())
        assert 1 == len(gates)

        assert not second.run_until_complete(asyncio.wait_for(ask(), 20))

        follower = first.create_task(ask())
        first.run_until_complete(settled())
        gates[0].set()
        told = first.run_until_complete(asyncio.wait_for(asyncio.gather(leader, follower), 20))
    finally:
        first.close()
        second.close()
    assert [False, True] == told


def test_ids_and_traces_may_differ(drive: Drive) -> None:
    """
    They tell calls apart, and not what is asked for. Which these are can be said.
    """
    server = Server(drive, body(b"answer"))
    server.play(*[get(headers={"X-Request-Id": f"{n}", "traceparent": f"{n}"}) for n in range(3)])
    assert 1 == len(server.asked)

    server = Server(drive, body(b"answer"), Coalescing(ignore=["X-Number"]))
    server.play(*[get(headers={"x-number": f"{n}"}) for n in range(3)])
    assert 1 == len(server.asked)


def test_the_same_credentials_may_be_shared(drive: Drive) -> None:
    """
    Equal headers, equal login: it is the same user.
    """
    server = Server(drive, body(b"answer"))
    option = Authentication.option_for(("user", "password"))

    server.play(
        *[get(headers={"Authorization": "Bearer mine"}, extensions={**option}) for _ in range(3)]
    )

    assert 1 == len(server.asked)


def test_the_option_that_allows_it_changes_nothing(drive: Drive) -> None:
    """
    It is not compared either.
    """
    server = Server(drive, body(b"answer"))

    server.play(get(), get(extensions=Coalescing.option_for()))

    assert 1 == len(server.asked)


def test_clients_share_nothing(drive: Drive) -> None:
    """
    One layer in two clients coalesces in each of them: the other may be somebody else.
    """
    layer = Coalescing()
    server = Server(drive, body(b"answer"), layer)
    other = compose([layer], server.transport, server.runtime)
    own = server.send

    def by_number(request: Request) -> Any:
        return (other if "x-other" in request.extensions else own)(request)

    server.send = by_number
    second = get()
    second.extensions["x-other"] = True

    server.play(get(), second)

    assert 2 == len(server.asked)


# What is not


@pytest.mark.parametrize(
    "answer",
    [
        body(b"x" * 6, b"y" * 6),
        body(b"x" * 12, headers={"Content-Length": "12"}),
        lambda request: Response(200, content=b"x" * 12),
        body(b"x", headers={"Content-Type": "text/event-stream; charset=utf-8"}),
        body(b"x", headers={"Cache-Control": "private, no-store"}),
        lambda request: Response(101, stream=OpenStream()),
    ],
    ids=["long", "announced", "whole", "events", "no-store", "upgraded"],
)
def test_what_cannot_be_shared_is_asked_for_by_each(drive: Drive, answer: Any) -> None:
    """
    The followers are sent together, and each reads its own; the leader's is whole.
    """
    server = Server(drive, answer, Coalescing(most_bytes=10))
    expected = b"".join(answer(get()).stream)

    responses = server.play(*[server.observe(get()) for _ in range(3)])

    assert [expected] * 3 == [response.content for response in responses]
    assert 3 == len(server.asked)
    assert ["coalesced.alone"] * 2 == [event for event, _ in server.told]


def test_a_long_body_is_streamed_on_and_closed(drive: Drive) -> None:
    """
    What was read ahead comes first; closing early closes the connection's stream.
    """
    streams: list[OpenStream] = []

    def answer(request: Request) -> Response:
        streams.append(OpenStream(b"a" * 8, b"b" * 8, b"c" * 8))
        return Response(200, stream=streams[-1])

    server = Server(drive, answer, Coalescing(most_bytes=10))
    seen: list[bytes] = []
    send = server.send

    async def peeking(request: Request) -> Response:
        response = await send(request)
        if request is first:
            if drive.blocking:
                pieces = response.iter_raw()
                seen.append(next(pieces))
                response.close()
            else:
                later = response.aiter_raw()
                seen.append(await anext(later))
                await response.aclose()
            return Response(204, request=request)
        return response

    first = get()
    server.send = peeking
    server.play(first, get())

    assert [b"a" * 8] == seen
    assert streams[0].closed


def test_a_layer_further_in_may_have_read_it(drive: Drive) -> None:
    """
    What it read is shared, unless it was coded.
    """

    async def reading(request: Request, call_next: Next) -> Response:
        response = await call_next(request)
        await response.aread()
        return response

    for headers, coded in (
        ({}, b"answer"),
        ({"Content-Encoding": "gzip"}, gzip.compress(b"answer")),
    ):
        server = Server(drive, body(coded, headers=headers))
        server.send = compose([Coalescing(), reading], server.transport, server.runtime)

        responses = server.play(get(), get())

        assert [b"answer"] * 2 == [response.content for response in responses]
        assert (2 if headers else 1) == len(server.asked)


def test_a_layer_further_in_may_have_closed_it(drive: Drive) -> None:
    """
    There is nothing to share then.
    """

    async def closing(request: Request, call_next: Next) -> Response:
        response = await call_next(request)
        await response.aclose()
        return response

    server = Server(drive, body(b"answer"))
    server.send = compose([Coalescing(), closing], server.transport, server.runtime)

    outcomes = server.play(get(), get())

    assert [StreamClosed] * 2 == [type(outcome) for outcome in outcomes]
    assert 2 == len(server.asked)


# Errors, and leaders that go


def test_an_error_of_the_exchange_is_shared(drive: Drive) -> None:
    """
    Each has an error of its own, about its own request, with the leader's as its cause.
    """
    failed = ConnectError("nobody listens")
    failed.add_note("Attempt 1")
    server = Server(drive, lambda request: failed)
    requests = [server.observe(get()) for _ in range(3)]

    errors = server.play(*requests)

    assert 1 == len(server.asked)
    assert failed is errors[0]
    for request, error in zip(requests[1:], errors[1:], strict=True):
        assert (ConnectError, "nobody listens") == (type(error), str(error))
        assert request is error.request
        assert failed is error.__cause__
        assert ["Attempt 1"] == error.__notes__
        assert error.__notes__ is not failed.__notes__
    assert [("coalesced", "ConnectError")] * 2 == [
        (event, fields["outcome"]) for event, fields in server.told
    ]


class Breaking(SyncByteStream, AsyncByteStream):
    """A body that breaks off."""

    def __init__(self) -> None:
        self.closed = False
        self._left = [b"half"]

    def __iter__(self) -> Iterator[bytes]:
        yield from self._left
        raise ReadError("reset")

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._left:
            return self._left.pop()
        raise ReadError("reset")

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


def test_a_body_that_breaks_off_is_an_error_for_all(drive: Drive) -> None:
    """
    And the connection is closed.
    """
    stream = Breaking()
    server = Server(drive, lambda request: Response(200, stream=stream))

    errors = server.play(get(), get())

    assert [ReadError] * 2 == [type(error) for error in errors]
    assert stream.closed


@pytest.mark.parametrize("error", [TotalTimeout("late"), ValueError("a bug")])
def test_the_leaders_own_trouble_is_its_own(drive: Drive, error: Exception) -> None:
    """
    One of the followers leads in its place, and the others follow that one.
    """
    answers = iter([error])
    server = Server(drive, lambda request: next(answers, None) or Response(200, content=b"answer"))

    outcomes = server.play(*[server.observe(get()) for _ in range(4)])

    assert error is outcomes[0]
    assert [b"answer"] * 3 == [response.content for response in outcomes[1:]]
    assert 2 <= len(server.asked) <= 4
    assert "coalesced.leads" in events(server)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_leader_is_succeeded(colour: Any) -> None:
    """
    Wherever it is cancelled, before its response or while that is read, the followers get theirs.
    """
    drive = Drive(colour)
    streams: list[Slow] = []

    async def answer(request: Request) -> Response:
        await anyio.lowlevel.checkpoint()
        streams.append(Slow(b"an", b"swer"))
        return Response(200, stream=streams[-1], request=request)

    async def scenario() -> None:
        number = 0
        while True:
            del streams[:]
            send = compose([Coalescing()], answer, drive.runtime())
            answers: list[bytes] = []

            async def follow(send: Send = send, answers: list[bytes] = answers) -> None:
                response = await send(get())
                answers.append(await response.aread())

            async def lead(send: Send = send) -> None:
                response = await send(get())
                try:
                    await response.aread()
                finally:
                    await response.aclose()

            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(lambda follow=follow: later(follow))
                going_on = await cancelled_at(number, lead)
            assert [b"answer"] * 3 == answers
            assert all(stream.closed for stream in streams)
            if not going_on:
                break
            number += 1
        assert number > 2

    drive(scenario)


def test_the_streams_own_iterator_is_closed_with_it(drive: Drive) -> None:
    """
    Where a stream's iterator has something to close, that comes first, as far as it was read.
    """
    closed: list[str] = []

    class Pieces:
        def __aiter__(self) -> Pieces:
            return self

        async def __anext__(self) -> bytes:
            return b"piece"

        async def aclose(self) -> None:
            closed.append("iterator")

    class Endless(SyncByteStream, AsyncByteStream):
        def __aiter__(self) -> Any:
            return Pieces()

        def close(self) -> None:
            closed.append("stream")

        async def aclose(self) -> None:
            closed.append("stream")

    async def scenario() -> None:
        response = Response(200, stream=Endless())
        assert await read_ahead(response, 10, blocking=drive.blocking) is None
        if drive.blocking:
            response.close()
        else:
            await response.aclose()

    drive(scenario)

    assert ["iterator", "stream"] == closed


async def later(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    await anyio.lowlevel.checkpoint()
    await work()


class Slow(AsyncByteStream):
    """A body that comes by and by."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)
        self.closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop(0)

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_whoever_is_cancelled_whenever_the_others_get_theirs(colour: Any) -> None:
    """
    Leaders, followers and those who were just asked to lead come and go at random; nobody hangs, nothing stays.
    """
    drive = Drive(colour)

    async def scenario(seed: int) -> None:
        dice = random.Random(seed)
        runtime = drive.runtime()

        async def answer(request: Request) -> Response:
            for _ in range(dice.randrange(4)):
                await anyio.lowlevel.checkpoint()
            return Response(200, stream=Slow(b"an", b"swer"), request=request)

        send = compose([Coalescing()], answer, runtime)
        answered: list[bytes] = []

        async def ask(scope: anyio.CancelScope) -> None:
            for _ in range(dice.randrange(6)):
                await anyio.lowlevel.checkpoint()
            with scope:
                answered.append(await (await send(get())).aread())

        spared = [anyio.CancelScope() for _ in range(4)]
        doomed = [anyio.CancelScope() for _ in range(6)]
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                everybody = [*spared, *doomed]
                dice.shuffle(everybody)
                for scope in everybody:
                    group.start_soon(ask, scope)
                for scope in doomed:
                    for _ in range(dice.randrange(4)):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
        assert len(answered) >= 4
        assert {b"answer"} == set(answered)

    for seed in range(150):
        drive(lambda seed=seed: scenario(seed))


def test_a_follower_waits_no_longer_than_its_deadline(drive: Drive) -> None:
    """
    The leader goes on.
    """
    server = Server(drive, body(b"answer"))
    hurried = get()
    hurried.deadline = server.runtime.clock()

    first, second, third = server.play(get(), hurried, get())

    assert isinstance(second, TotalTimeout)
    assert hurried is second.request
    assert [b"answer"] * 2 == [first.content, third.content]
    assert 1 == len(server.asked)


def test_deadlines_bound_each_by_itself(drive: Drive) -> None:
    """
    A leader whose own time is up hands over to those who have more.
    """
    server = Server(drive, body(b"answer"))
    send = compose([Deadlines(), Coalescing()], server.transport, server.runtime)
    server.send = send
    hurried = get(extensions=Deadlines.option_for(total=0.02))
    if drive.blocking:
        # What the transport does in a client, where nothing is ended from outside.
        answers = iter([TotalTimeout("late")])
        server._answer = lambda request: next(answers, None) or Response(200, content=b"answer")

    first, second = server.play(hurried, get())

    assert isinstance(first, TotalTimeout)
    assert b"answer" == second.content


# Among other layers


def test_redirects_further_in_lead_all_to_the_same_place(drive: Drive) -> None:
    """
    Each response tells where it came from, and each has the history.
    """

    def answer(request: Request) -> Response:
        if request.url.path == "/":
            return Response(302, headers={"Location": "/there"})
        return Response(200, content=b"there")

    for follow in (True, False):
        server = Server(drive, answer)
        layers = [Coalescing(), Redirects(follow=follow)]
        server.send = compose(layers, server.transport, server.runtime)

        responses = server.play(get(), get())

        place = "there" if follow else ""
        assert [URL + place] * 2 == [str(response.url) for response in responses]
        assert [int(follow)] * 2 == [len(response.history) for response in responses]
        leads = [response.next_request and str(response.next_request.url) for response in responses]
        assert [None if follow else URL + "there"] * 2 == leads
        assert (2 if follow else 1) == len(server.asked)


def test_real_clients_of_many_threads_and_tasks() -> None:
    """
    Whoever comes while an exchange is under way shares it; everybody gets the right answer.
    """
    asked: list[str] = []

    def answer(request: Request) -> Response:
        asked.append(request.url.path)
        return Response(200, text=request.url.path)

    pipeline = compatible().per_call(Coalescing())
    paths = [f"/{number % 5}" for number in range(60)]
    with Client(pipeline=pipeline, transport=MockTransport(answer)) as client:

        async def ask(path: str) -> str:
            return client.get(f"http://x{path}").text

        async def threads() -> list[Any]:
            return await together(Drive("sync"), *[lambda path=path: ask(path) for path in paths])

        assert paths == Drive("sync")(threads)

    async def waiting_answer(request: Request) -> Response:
        await anyio.lowlevel.checkpoint()
        return answer(request)

    for colour in ("asyncio", "trio"):
        del asked[:]

        async def tasks(colour: Any = colour) -> list[Any]:
            transport = MockTransport(waiting_answer)
            async with AsyncClient(pipeline=pipeline, transport=transport) as client:

                async def ask(path: str) -> str:
                    return (await client.get(f"http://x{path}")).text

                return await together(
                    Drive(colour), *[lambda path=path: ask(path) for path in paths]
                )

        assert paths == Drive(colour)(tasks)  # type: ignore[arg-type]
        assert len(asked) < len(paths)


def test_what_does_not_concern_it_is_passed_on_as_it_is() -> None:
    answer: Any = object()

    def send(request: Request) -> Any:
        return answer

    bound = Coalescing().bind(send, Next(send, BlockingRuntime()))
    for what in ("post", "option", "body", "no-store", "layers"):
        assert answer is bound(DIFFERENT[what]())


# Construction


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Coalescing(-1), ValueError, "at least 0: -1"),
        (lambda: Coalescing(1.5), TypeError, "whole number: 1.5"),  # type: ignore[arg-type]
        (lambda: Coalescing(ignore="x-id"), TypeError, "collection of names: 'x-id'"),
        (lambda: Coalescing(ignore=[b"x-id"]), TypeError, "collection of names"),  # type: ignore[list-item]
    ],
)
def test_settings_are_validated(make: Callable[[], object], error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        make()


def test_stray_options_are_refused(drive: Drive) -> None:
    with pytest.raises(TypeError, match=r"Coalescing\.option_for"):
        play([Coalescing()], get(extensions={"scallion.Coalescing": True}), World(), drive)


def test_it_is_a_value() -> None:
    layer = Coalescing(10, ignore=["B", "a"])

    assert "Coalescing(most_bytes=10, ignore={'a', 'b'})" == repr(layer)
    assert layer == copy.copy(layer) == pickle.loads(pickle.dumps(layer))
