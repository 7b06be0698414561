"""What clients would send over the network, taken where it would go there; and `mock()`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import scallion
from face.conftest import Driven, Face
from scallion.testing import Router, UnforeseenRequest, bypassing, intercepting, mock
from support.colours import Drive
from support.worlds import OpenStream

URL = "http://host.example/a"
HTTP = scallion.HTTPTransport, scallion.AsyncHTTPTransport


def methods() -> tuple[Any, Any]:
    return HTTP[0].handle_request, HTTP[1].handle_async_request


@pytest.fixture(autouse=True)
def _left_as_it_was() -> Iterator[None]:
    before = methods()
    yield
    assert before == methods()


@pytest.fixture
def network() -> Iterator[None]:
    """Instead of the network, an answer that says so."""

    def handle_request(self: Any, request: scallion.Request) -> scallion.Response:
        return scallion.Response(200, text="network")

    async def handle_async_request(self: Any, request: scallion.Request) -> scallion.Response:
        return scallion.Response(200, text="network")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(HTTP[0], "handle_request", handle_request)
        patched.setattr(HTTP[1], "handle_async_request", handle_async_request)
        yield


def test_clients_made_before_and_within(face: Face, network: None) -> None:
    """
    All of them, for as long as it lasts.
    """

    async def scenario(client: Driven) -> None:
        with mock() as router:
            router.get(URL).respond(text="mocked")
            assert "mocked" == (await client.get(URL)).text
            made_within = face.client()
            assert "mocked" == (await made_within.get(URL)).text
        assert "network" == (await client.get(URL)).text
        assert "network" == (await made_within.get(URL)).text
        await made_within.close()

    face(scenario)


def test_transports_and_proxies_of_ones_own(face: Face) -> None:
    """
    A transport that was given, a proxy's and a mount's are intercepted as well.
    """
    made = HTTP[0] if face.blocking else HTTP[1]

    async def scenario(client: Driven) -> None:
        with mock() as router:
            router.get("/{name}").respond(text="mocked")
            for name in ("given", "proxied", "mounted"):
                assert "mocked" == (await client.get(f"http://{name}/a")).text
            assert ["given", "proxied", "mounted"] == [
                request.url.host for request in router.calls.requests
            ]

    mounts = {"all://proxied": made(proxy="http://127.0.0.1:9"), "all://mounted": made()}
    face(scenario, transport=made(retries=1), mounts=mounts)


def test_functions(network: None) -> None:
    """
    `scallion.get` makes a client nobody else has.
    """
    with mock() as router:
        router.get(URL).respond(text="mocked")
        assert "mocked" == scallion.get(URL).text


def test_other_transports_are_left_alone(face: Face) -> None:
    """
    What never reaches the network needs no mock.
    """

    async def scenario(client: Driven) -> None:
        with mock() as router:
            assert "own" == (await client.get(URL)).text
            router.assert_not_called()

    face(scenario, lambda request: scallion.Response(200, text="own"))


def test_threads_are_intercepted(network: None) -> None:
    """
    A program's threads, too.
    """
    found = []
    with mock() as router:
        router.get(URL).respond(text="mocked")
        thread = threading.Thread(target=lambda: found.append(scallion.get(URL).text))
        thread.start()
        thread.join()

    assert ["mocked"] == found


def test_the_innermost_intercepts(network: None) -> None:
    with mock(assert_all_called=False) as outer:
        outer.get(URL).respond(text="outer")
        with mock() as inner:
            inner.get(URL).respond(text="inner")
            assert "inner" == scallion.get(URL).text
        assert "outer" == scallion.get(URL).text


def test_ending_in_another_order(network: None) -> None:
    """
    The one that is left goes on.
    """
    one, other = Router(), Router()
    one.get(URL).respond(text="one")
    other.get(URL).respond(text="other")
    first, second = intercepting(one), intercepting(other)

    assert one is first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert "other" == scallion.get(URL).text
    second.__exit__(None, None, None)
    assert "network" == scallion.get(URL).text


def test_passing_through(face: Face, network: None) -> None:
    """
    To the very transport that the client has, or to one that was given.
    """

    async def scenario(client: Driven) -> None:
        with mock(pass_through=["host.example"]) as router:
            router.get("/b").pass_through(
                scallion.MockTransport(lambda request: scallion.Response(201))
            )
            assert "network" == (await client.get(URL)).text
            assert 201 == (await client.get("http://other/b")).status_code
            assert 2 == router.call_count

    face(scenario)


def test_passing_through_to_a_transport_that_would_be_intercepted(
    drive: Drive, face: Face, network: None
) -> None:
    """
    It is not taken again.
    """
    made = HTTP[0] if face.blocking else HTTP[1]

    async def scenario(client: Driven) -> None:
        with mock(transport=made(), pass_through=True) as router:
            assert "network" == (await client.get(URL)).text
            router.assert_called_once()

    face(scenario)


def test_an_answer_that_uses_clients(network: None) -> None:
    """
    Its requests are mocked too, and do not reach the network by accident.
    """
    with mock() as router:
        router.get("/outer").answer(lambda request: scallion.get("http://host.example/inner"))
        router.get("/inner").respond(text="inner")

        assert "inner" == scallion.get("http://host.example/outer").text
        assert 2 == router.call_count


def test_bypassing(network: None) -> None:
    with mock() as router:
        with bypassing():
            assert "network" == scallion.get(URL).text
        router.assert_not_called()
        with pytest.raises(UnforeseenRequest):
            scallion.get(URL)
        router.unforeseen.clear()


def test_any_transport_may_intercept(face: Face) -> None:
    """
    Not only routers.
    """

    async def scenario(client: Driven) -> None:
        transport = scallion.MockTransport(lambda request: scallion.Response(204))
        with intercepting(transport) as same:
            assert transport is same
            assert 204 == (await client.get(URL)).status_code

    face(scenario)


def test_somebody_else_who_replaces_the_methods(
    monkeypatch: pytest.MonkeyPatch, network: None
) -> None:
    """
    What they put there stays, and ours lets everything pass once nothing intercepts.
    """
    plain = HTTP[0].handle_request
    with monkeypatch.context() as patched, mock() as router:
        router.get(URL).respond(text="mocked")
        replaced = HTTP[0].handle_request

        def noted(self: Any, request: scallion.Request) -> scallion.Response:
            request.headers["X-Noted"] = "1"
            return replaced(self, request)

        patched.setattr(HTTP[0], "handle_request", noted)
        scallion.get(URL)
        assert "1" == router.calls.last.request.headers["X-Noted"]
    assert replaced is not plain
    assert "network" == scallion.get(URL).text


def test_mock_verifies_at_the_end() -> None:
    with (
        pytest.raises(AssertionError, match="1 route was not called as expected"),
        mock() as router,
    ):
        router.get(URL)
    with mock(assert_all_called=False) as router:
        router.get(URL)


def test_mock_tells_a_swallowed_request() -> None:
    """
    A program that catches everything is found out: at the end, or on the error that followed.
    """

    def program() -> None:
        try:
            scallion.get(URL)
        except Exception:
            pass

    with pytest.raises(AssertionError, match="1 request was refused"), mock():
        program()

    @mock()
    def fails() -> None:
        program()
        raise LookupError

    with pytest.raises(LookupError) as raised:
        fails()
    (note,) = raised.value.__notes__
    assert note.startswith("While this was mocked, a request was refused. No route takes")


def test_mock_does_not_verify_after_an_error() -> None:
    """
    What was raised says more; a refusal says it all itself.
    """

    def test() -> None:
        with mock() as router:
            router.get("/never")
            scallion.get(URL)

    with pytest.raises(UnforeseenRequest) as raised:
        test()
    assert not hasattr(raised.value, "__notes__")


def test_mock_without_interception(network: None) -> None:
    with mock(intercept=False, base_url="http://api") as router:
        router.get("/a").respond(text="mocked")
        assert "network" == scallion.get("http://api/a").text
        with scallion.Client(transport=router) as client:
            assert "mocked" == client.get("http://api/a").text


def test_mock_is_a_decorator(network: None) -> None:
    """
    Of functions that need no routes of their own.
    """

    @mock(pass_through=True)
    def ask() -> str:
        return scallion.get(URL).text

    assert "network" == ask() == ask()


def test_strict_pipelines(face: Face) -> None:
    """
    A middleware that loses a response is named.
    """

    async def careless(request: scallion.Request, call_next: scallion.Next) -> scallion.Response:
        await call_next(request)
        return await call_next(request)

    async def scenario(strict: bool) -> None:
        with mock(strict=strict, assert_all_closed=False) as router:
            router.get(URL).respond(chunks=[b"a"])
            client = face.client(middlewares=[careless])
            try:
                await client.get(URL)
            finally:
                await client.close()

    face.drive(lambda: scenario(False))
    with pytest.raises(scallion.MiddlewareError, match="careless neither returned nor closed"):
        face.drive(lambda: scenario(True))


def test_bodies_of_the_real_transport_pass(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Unread, as they come.
    """
    stream = OpenStream(b"a", b"b")
    answer = scallion.Response(200, stream=stream)

    def handle_request(self: Any, request: scallion.Request) -> scallion.Response:
        return answer

    async def handle_async_request(self: Any, request: scallion.Request) -> scallion.Response:
        return answer

    async def scenario(client: Driven) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(HTTP[0], "handle_request", handle_request)
            patched.setattr(HTTP[1], "handle_async_request", handle_async_request)
            with mock(pass_through=True):
                async with client.stream("GET", URL) as response:
                    assert not response.is_closed
                    assert b"ab" == await client.read(response)

    face(scenario)
    assert stream.closed
