"""What was asked, and the assertions about it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import scallion
from face.conftest import Driven, Face
from scallion.testing import Call, Router
from testing.conftest import Send

URL = "http://host/a"


@pytest.fixture
def router() -> Router:
    return Router(base_url="http://host")


def test_calls_are_recorded(router: Router, face: Face) -> None:
    """
    By route and by router, in order, with what came of them.
    """
    stock = router.get("/stock/{item}").answer(200, "connect_error")
    orders = router.post("/orders").respond(201)

    async def scenario(client: Driven) -> None:
        await client.get("http://host/stock/apple")
        await client.post("http://host/orders", json={"item": "apple"})
        with pytest.raises(scallion.ConnectError):
            await client.get("http://host/stock/pear?token=abc")

    face(scenario, transport=router)

    assert [stock, orders, stock] == [call.route for call in router.calls]
    assert [{"item": "apple"}, {"item": "pear"}] == [call.values for call in stock.calls]
    assert [router.calls[0], router.calls[2]] == list(stock.calls)
    assert router.calls.last is stock.calls.last is stock.calls[1]
    assert router.calls.first is stock.calls.first
    assert orders.calls.last.json == {"item": "apple"}
    assert ["GET", "POST", "GET"] == [request.method for request in router.calls.requests]
    response = orders.calls.last.response
    assert response is not None
    assert 201 == response.status_code
    assert isinstance(stock.calls.last.error, scallion.ConnectError)
    assert (3, 2, 1) == (router.call_count, stock.call_count, orders.call_count)
    assert [
        "<Call GET http://host/stock/apple -> 200>",
        "<Call POST http://host/orders -> 201>",
        "<Call GET http://host/stock/pear?token=REDACTED -> ConnectError>",
    ] == [repr(call) for call in router.calls]
    assert "<1 call: POST http://host/orders -> 201>" == repr(orders.calls)
    assert "<3 calls>" == repr(router.calls)
    assert "no answer yet" == Call(orders.calls.last.request).outcome()


def test_streamed_bodies_are_read(router: Router, send: Send, face: Face) -> None:
    """
    What was uploaded in pieces is there as a whole; and a network's rule stays, that it is sent once.
    """

    def pieces() -> Iterator[bytes]:
        yield b"a=1"
        yield b"&a=2"

    async def later() -> AsyncIterator[bytes]:
        for piece in pieces():
            yield piece

    route = router.post("/a")
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    send(router, "POST", URL, content=pieces() if face.blocking else later(), headers=kind)

    call = route.calls.last
    assert b"a=1&a=2" == call.content == call.request.content
    assert {"a": ["1", "2"]} == call.form
    assert not call.request.replayable


def test_a_request_is_recorded_as_it_was(router: Router, face: Face) -> None:
    """
    Layers send the same request again, changed; the first call does not see that.
    """
    router.get("/a").answer(503, 200)

    async def numbering(request: scallion.Request, call_next: scallion.Next) -> scallion.Response:
        for number in ("1", "2"):
            request.headers["X-Attempt"] = number
            response = await call_next(request)
            if number == "1":
                await response.aclose()
        return response

    async def scenario(client: Driven) -> None:
        assert 200 == (await client.get(URL)).status_code

    face(scenario, transport=router, middlewares=[numbering])
    assert ["1", "2"] == [call.request.headers["X-Attempt"] for call in router.calls]


def test_what_is_no_json(router: Router, send: Send) -> None:
    route = router.post("/a")
    send(router, "POST", URL, content=b"{")

    with pytest.raises(ValueError):
        _ = route.calls.last.json
    assert {} == route.calls.last.form


def test_assertions_that_hold(router: Router, send: Send) -> None:
    route, other = router.get("/a"), router.get("/b")
    assert not route.called
    route.assert_not_called()
    send(router, "GET", URL)

    assert route.called
    route.assert_called()
    route.assert_called_once()
    route.assert_call_count(1)
    router.assert_called_once()
    other.assert_not_called()


def test_assertions_that_do_not_hold(router: Router, send: Send) -> None:
    """
    They tell what was called instead.
    """
    route = router.get("/a")

    def refused(assertion: Any, *args: Any) -> str:
        with pytest.raises(AssertionError) as raised:
            assertion(*args)
        return str(raised.value)

    named = "<Route GET http://host/a, 0 calls>"
    assert f"{named} was not called" == refused(route.assert_called)
    assert f"{named} was called 0 times, expected once" == refused(route.assert_called_once)
    send(router, "GET", f"{URL}?b=1")
    send(router, "GET", URL)
    assert (
        "<Route GET http://host/a, 2 calls> was called 2 times, expected 0 times:\n"
        "    1. GET http://host/a?b=1 -> 200\n"
        "    2. GET http://host/a -> 200"
    ) == refused(route.assert_not_called)


def test_calls_that_are_not_there(router: Router) -> None:
    with pytest.raises(IndexError, match="There is no call -1: there were 0"):
        _ = router.calls.last
    assert [] == router.calls[:2]
