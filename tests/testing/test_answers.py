"""What routes answer: replies, responses, functions, errors, sequences, delays."""

from __future__ import annotations

import gzip
import typing
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

import scallion
from face.conftest import Driven, Face
from scallion import Request, Response
from scallion.testing import Delayed, Reply, Router, handlers
from scallion.testing.faults import FAULTS, FaultName
from support.colours import Drive
from support.worlds import RecordingRuntime
from testing.conftest import Send

URL = "http://host/stock/apple"


@pytest.fixture
def router() -> Router:
    return Router(base_url="http://host")


def test_a_route_without_an_answer(router: Router, send: Send) -> None:
    """
    It answers 200, with nothing.
    """
    router.get("/stock/apple")

    response = send(router, "GET", URL)

    assert (200, b"") == (response.status_code, response.content)


@pytest.mark.parametrize(
    ("arguments", "content", "kind"),
    [
        ({"json": {"left": 12}}, b'{"left":12}', "application/json"),
        ({"text": "ä"}, "ä".encode(), "text/plain; charset=utf-8"),
        ({"html": "<p>"}, b"<p>", "text/html; charset=utf-8"),
        ({"content": b"\x00"}, b"\x00", None),
        ({"content": "a", "headers": {"Content-Type": "text/x"}}, b"a", "text/x"),
    ],
)
def test_replies(
    router: Router, send: Send, arguments: Any, content: bytes, kind: str | None
) -> None:
    """
    Status, headers and body as they were described.
    """
    router.get("/stock/apple").respond(201, **arguments)

    response = send(router, "GET", URL)

    assert (201, content) == (response.status_code, response.content)
    assert kind == response.headers.get("content-type")
    assert str(len(content)) == response.headers["content-length"]
    assert response.request.url == URL


def test_replies_are_fresh(router: Router, face: Face) -> None:
    """
    What one caller does to a response no other sees.
    """
    described = {"left": [1]}
    router.get("/stock/apple").respond(json=described, headers={"X-A": "1"}, extensions={"e": 1})
    described["left"].append(2)

    async def scenario(client: Driven) -> None:
        first = await client.get(URL)
        first.headers["X-A"] = "2"
        first.extensions["e"] = 2
        second = await client.get(URL)
        assert first is not second
        assert ({"left": [1]}, "1", 1) == (
            second.json(),
            second.headers["X-A"],
            second.extensions["e"],
        )

    face(scenario, transport=router)


def test_responses_are_fresh(router: Router, face: Face) -> None:
    """
    One response answers any number of calls, streamed ones too.
    """
    router.get("/stock/apple").answer(Response(200, text="hello"))

    async def scenario(client: Driven) -> None:
        for _ in range(2):
            assert "hello" == (await client.get(URL)).text
            async with client.stream("GET", URL) as response:
                assert b"hello" == await face_raw(client, response)

    face(scenario, transport=router)


async def face_raw(client: Driven, response: Any) -> bytes:
    if client.blocking:
        return b"".join(response.iter_raw())
    return b"".join([piece async for piece in response.aiter_raw()])


def test_encoded_content_is_decoded(router: Router, send: Send) -> None:
    """
    As on the network.
    """
    router.get("/stock/apple").respond(
        content=gzip.compress(b"plain"), headers={"Content-Encoding": "gzip"}
    )

    assert b"plain" == send(router, "GET", URL).content


def test_a_response_whose_body_is_an_iterator(router: Router, face: Face) -> None:
    """
    It can be given once; the second call is told what to write.
    """
    pieces: Any = [b"a", b"b"]

    async def later() -> Any:
        for piece in pieces:
            yield piece

    body = iter(pieces) if face.blocking else later()
    router.get("/stock/apple").answer(Response(200, content=body))

    async def scenario(client: Driven) -> None:
        assert b"ab" == (await client.get(URL)).content
        with pytest.raises(TypeError, match=r"use Reply\(chunks=\.\.\.\) or a function"):
            await client.get(URL)

    face(scenario, transport=router)


def test_head_has_no_body(router: Router, send: Send) -> None:
    """
    But the headers of one.
    """
    router.head("/stock/apple").respond(json={"left": 12})

    response = send(router, "HEAD", URL)

    assert (b"", "11") == (response.content, response.headers["content-length"])


def test_statuses_and_sequences(router: Router, face: Face) -> None:
    """
    One after the other; then the last again.
    """
    router.get("/stock/apple").answer(503, Reply(200, text="b"), Response(404))

    async def scenario(client: Driven) -> None:
        assert [503, 200, 404, 404] == [(await client.get(URL)).status_code for _ in range(4)]

    face(scenario, transport=router)


def test_sequences_that_begin_again(router: Router, face: Face) -> None:
    router.get("/stock/apple").answer(503, 200, then="cycle")

    async def scenario(client: Driven) -> None:
        assert [503, 200, 503, 200] == [(await client.get(URL)).status_code for _ in range(4)]

    face(scenario, transport=router)


def test_sequences_that_end(router: Router, face: Face) -> None:
    """
    Further calls are another route's, or refused.
    """
    router.get("/stock/apple").answer(503, then="refuse")
    router.get("/stock/{item}").answer(404, then="refuse")

    async def scenario(client: Driven) -> None:
        assert [503, 404] == [(await client.get(URL)).status_code for _ in range(2)]
        with pytest.raises(scallion.testing.UnforeseenRequest, match="used up"):
            await client.get(URL)

    face(scenario, transport=router)


def test_functions(router: Router, send: Send) -> None:
    """
    They get the request, its body read, and what the holes stand for.
    """

    def stock(request: Request, item: str, count: int) -> Reply:
        return Reply(json=[item, count, request.content.decode()])

    router.post("/stock/{item}/{count:int}").answer(stock)

    assert ["apple", 3, "body"] == send(
        router, "POST", "http://host/stock/apple/3", content=b"body"
    ).json()


@pytest.mark.parametrize(
    "function",
    [
        lambda: Response(201),
        lambda request: 201,
        lambda request, /: Reply(201),
        lambda request, *, item: Response(201) if item == "apple" else 404,
        lambda request, item="pear": 201 if item == "apple" else 404,
        lambda request, **values: 201 if values == {"item": "apple"} else 404,
        lambda request, other="": 201,
        lambda *anything: 201,
    ],
)
def test_functions_take_what_they_like(router: Router, send: Send, function: Any) -> None:
    """
    The request if they take anything, and values by name.
    """
    router.get("/stock/{item}").answer(function)

    assert 201 == send(router, "GET", URL).status_code


def test_functions_without_a_signature(
    router: Router, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Some built-in ones have none; they get the request.
    """

    def unknown(handler: Any) -> Any:
        raise ValueError("no signature found")

    monkeypatch.setattr(handlers, "inspect", SimpleNamespace(signature=unknown))
    router.get("/stock/{item}").answer(lambda request: 201)

    assert 201 == send(router, "GET", URL).status_code


def test_functions_raise(router: Router, send: Send) -> None:
    def down(request: Request) -> Response:
        raise scallion.ConnectError("down")

    router.get("/stock/apple").answer(down)

    with pytest.raises(scallion.ConnectError, match="down") as raised:
        send(router, "GET", URL)
    assert raised.value.request.url == URL


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_async_functions(router: Router, backend: str) -> None:
    async def stock(request: Request, item: str) -> Response:
        await anyio.lowlevel.checkpoint()
        return Response(200, text=item)

    router.get("/stock/{item}").answer(stock)

    async def scenario() -> str:
        async with scallion.AsyncClient(transport=router) as client:
            return (await client.get(URL)).text

    assert "apple" == anyio.run(scenario, backend=backend)


def test_async_functions_in_a_sync_client(router: Router) -> None:
    """
    They are refused with a hint, and no coroutine is left.
    """

    async def stock(request: Request) -> Response:
        return Response(200)

    router.get("/stock/apple").answer(stock)

    with (
        scallion.Client(transport=router) as client,
        pytest.raises(TypeError, match="stock is async, and the client is not"),
    ):
        client.get(URL)


@pytest.mark.parametrize("returned", [None, {"a": 1}, 99, "no such fault", lambda: 200])
def test_functions_that_return_no_answer(router: Router, send: Send, returned: Any) -> None:
    """
    Are named.
    """

    def forgetful(request: Request) -> Any:
        return returned

    router.get("/stock/apple").answer(forgetful)

    with pytest.raises(TypeError, match="forgetful returned"):
        send(router, "GET", URL)


@pytest.mark.parametrize("error", [scallion.ReadTimeout, scallion.ReadTimeout("slow"), ValueError])
def test_exceptions(router: Router, send: Send, error: Any) -> None:
    """
    Classes and instances; each raising is a fresh one.
    """
    router.get("/stock/apple").answer(error)
    kind = error if isinstance(error, type) else type(error)

    raised = []
    for _ in range(2):
        with pytest.raises(kind) as caught:
            send(router, "GET", URL)
        caught.value.add_note("seen")
        raised.append(caught.value)

    assert [["seen"], ["seen"]] == [each.__notes__ for each in raised]
    assert raised[0] is not raised[1]
    if isinstance(error, scallion.HTTPError):
        assert ["slow", "slow"] == [str(each) for each in raised]
        assert URL == raised[1].request.url


def test_an_exception_that_cannot_be_copied(router: Router, send: Send) -> None:
    """
    Is raised as it is.
    """

    class Odd(Exception):
        def __init__(self, one: str, other: str) -> None:
            super().__init__(f"{one}{other}")

    odd = Odd("a", "b")
    router.get("/stock/apple").answer(odd)

    with pytest.raises(Odd) as caught:
        send(router, "GET", URL)
    assert odd is caught.value


FAULT_ERRORS = {
    "connect_error": scallion.ConnectError,
    "connect_timeout": scallion.ConnectTimeout,
    "pool_timeout": scallion.PoolTimeout,
    "write_timeout": scallion.WriteTimeout,
    "write_error": scallion.WriteError,
    "read_timeout": scallion.ReadTimeout,
    "read_error": scallion.ReadError,
    "disconnected": scallion.RemoteProtocolError,
    "body_reset": scallion.ReadError,
    "body_timeout": scallion.ReadTimeout,
    "body_cut": scallion.RemoteProtocolError,
}


def test_every_fault_has_a_name() -> None:
    assert set(FAULT_ERRORS) == set(FAULTS) == set(typing.get_args(FaultName))


@pytest.mark.parametrize("name", FAULT_ERRORS)
def test_faults(router: Router, face: Face, name: Any) -> None:
    """
    What networks do, by name; twice the same, each with its request.
    """
    router.get("/stock/apple").answer(name)

    async def scenario(client: Driven) -> None:
        for _ in range(2):
            with pytest.raises(FAULT_ERRORS[name]) as raised:
                await client.get(URL)
            assert type(raised.value) is FAULT_ERRORS[name]
            assert raised.value.request.url == URL
            assert not hasattr(raised.value, "__notes__")

    face(scenario, transport=router)


@pytest.mark.parametrize("name", ["body_reset", "body_timeout", "body_cut"])
def test_faults_of_the_body_come_after_some_of_it(router: Router, face: Face, name: Any) -> None:
    router.get("/stock/apple").answer(name)

    async def scenario(client: Driven) -> None:
        async with client.stream("GET", URL) as response:
            assert 200 == response.status_code
            pieces = response.iter_bytes() if client.blocking else response.aiter_bytes()
            first = next(pieces) if client.blocking else await anext(pieces)
            assert b"The first half, and then" == first
            with pytest.raises(FAULT_ERRORS[name]):
                _ = next(pieces) if client.blocking else await anext(pieces)

    face(scenario, transport=router)


def timed(drive: Drive) -> tuple[RecordingRuntime, Router]:
    runtime = RecordingRuntime(blocking=drive.blocking)
    return runtime, Router(base_url="http://host", runtime=runtime)


def test_delays_pass_on_the_runtime(drive: Drive, send: Send) -> None:
    """
    So a clock that only tests move sees them.
    """
    runtime, router = timed(drive)
    router.get("/stock/apple").respond(201, delay=2)
    router.get("/stock/pear").answer(Delayed(3, 404))

    assert 201 == send(router, "GET", URL).status_code
    assert 404 == send(router, "GET", "http://host/stock/pear").status_code
    assert [2, 3] == runtime.slept


def test_a_delay_longer_than_the_read_timeout(drive: Drive, send: Send) -> None:
    """
    Is a ReadTimeout, when it has passed; a shorter one is none.
    """
    runtime, router = timed(drive)
    router.get("/stock/apple").respond(delay=2)

    with pytest.raises(scallion.ReadTimeout, match=r"within 1\.5 s: the mock lets 2 s pass"):
        send(router, "GET", URL, timeout=1.5)
    assert [1.5] == runtime.slept
    assert 200 == send(router, "GET", URL, timeout=2).status_code
    assert 200 == send(router, "GET", URL, timeout=None).status_code


def test_a_delay_longer_than_the_deadline(drive: Drive, face: Face) -> None:
    """
    Is a TotalTimeout, if that comes first.
    """
    runtime, router = timed(drive)
    router.get("/stock/apple").answer(Delayed(5, "connect_error"))

    async def ask(read: float, left: float) -> None:
        request = Request("GET", URL, extensions={"timeout": {"read": read}})
        request.deadline = runtime.clock() + left
        if drive.blocking:
            router.handle_request(request)
        else:
            await router.handle_async_request(request)

    with pytest.raises(scallion.TotalTimeout, match="waiting for the mock's answer"):
        drive(lambda: ask(3, 1))
    with pytest.raises(scallion.ReadTimeout):
        drive(lambda: ask(3, 4))
    with pytest.raises(scallion.TotalTimeout):
        drive(lambda: ask(3, 0))
    with pytest.raises(scallion.ConnectError):
        drive(lambda: ask(6, 6))
    assert [1, 3, 5] == runtime.slept


def test_retries_see_a_sequence(router: Router, face: Face) -> None:
    """
    Errors and statuses one after the other are what retries need.
    """
    router.get("/stock/apple").answer(
        "connect_error", Reply(503, headers={"Retry-After": "0"}), 200
    )
    retries = scallion.Retries(attempts=3, wait=lambda state: 0)

    async def scenario(client: Driven) -> None:
        assert 200 == (await client.get(URL)).status_code

    face(scenario, transport=router, middlewares=[retries])
    assert 3 == router.call_count


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (None, TypeError, "No answer: None; give a status"),
        ({"a": 1}, TypeError, "No answer"),
        (True, TypeError, "A status is a number"),
        (99, ValueError, "A status is from 100 to 999"),
        ("reset", ValueError, "There is no fault 'reset': there are connect_error"),
        (int, TypeError, "is an exception's, not int"),
        (KeyboardInterrupt, TypeError, "is an exception's"),
        (lambda request, price: 200, TypeError, "wants price, .* there are item"),
    ],
)
def test_what_is_refused(router: Router, answer: Any, error: type[Exception], message: str) -> None:
    """
    At once, not when a request comes.
    """
    with pytest.raises(error, match=message):
        router.get("/stock/{item}").answer(200, answer)
    if answer is not None and not callable(answer):
        with pytest.raises(error, match=message):
            Delayed(1, answer)


def test_replies_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="one body, and here are several: text, json"):
        Reply(text="a", json={})
    with pytest.raises(TypeError, match="give pieces as chunks="):
        Reply(content=[b"a"])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Reply(json=object())
    with pytest.raises(ValueError, match="at least 0 seconds"):
        Delayed(-1)
    with pytest.raises(ValueError, match="at least one answer"):
        Router().get("/").answer()
    with pytest.raises(ValueError, match="then= is 'repeat', 'cycle' or 'refuse', not 'stop'"):
        Router().get("/").answer(200, then="stop")  # type: ignore[arg-type]


def test_reprs() -> None:
    assert "<Reply 200, 2 bytes of application/json>" == repr(Reply(json={}))
    assert "<Reply 404 in chunks>" == repr(Reply(404, chunks=[]))
