"""Event hooks: their order, what they see, and what happens when one fails."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator
from typing import Any

import httpx
import pytest

import scallion
from scallion.middlewares.hooks import EventHooks
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from support.colours import Drive
from support.worlds import World, open_response, play

URL = "http://example.org/"
Hook = Callable[[Any], Any]


@pytest.fixture
def coloured(drive: Drive) -> Callable[[Hook], Hook]:
    """Makes of a plain function the hook that the colour asks for."""

    def colour(function: Hook) -> Hook:
        if drive.blocking:
            return function

        async def hook(message: Any) -> None:
            function(message)

        return hook

    return colour


def get(**kwargs: Any) -> Request:
    return Request("GET", URL, **kwargs)


def test_hooks_run_in_order(drive: Drive, coloured: Any) -> None:
    """
    All request hooks, then the request is sent, then all response hooks.
    """
    seen: list[str] = []

    def answer(request: Request) -> Response:
        seen.append("sent")
        return Response(200)

    hooks = EventHooks(
        {
            "request": [
                coloured(lambda m: seen.append(f"1 {m.method}")),
                coloured(lambda m: seen.append("2")),
            ],
            "response": [
                coloured(lambda m: seen.append(f"3 {m.status_code}")),
                coloured(lambda m: seen.append("4")),
            ],
        }
    )

    play([hooks], get(), World([answer]), drive)

    assert ["1 GET", "2", "sent", "3 200", "4"] == seen


def test_a_request_hook_may_change_the_request(drive: Drive, coloured: Any) -> None:
    """
    What it changes is what is sent.
    """
    world = World([Response(200)])
    hook = coloured(lambda request: request.headers.update({"X-Hook": "1"}))

    play([EventHooks({"request": [hook]})], get(), world, drive)

    assert "1" == world.asked[0].headers["x-hook"]


def test_a_response_hook_sees_an_open_response(drive: Drive) -> None:
    """
    The body is unread; a hook may read it.
    """
    response = open_response(200, b"body")
    seen: list[Any] = []

    def plain(message: Response) -> None:
        seen.append((message.is_closed, message.read()))

    async def asynchronous(message: Response) -> None:
        seen.append((message.is_closed, await message.aread()))

    hook: Any = plain if drive.blocking else asynchronous
    assert response is play([EventHooks({"response": [hook]})], get(), World([response]), drive)

    assert [(False, b"body")] == seen


def test_a_response_hook_that_raises_closes_the_response(drive: Drive, coloured: Any) -> None:
    """
    Its error passes; the hooks after it do not run.
    """
    response = open_response(200, b"body")
    seen: list[str] = []

    def fails(message: Response) -> None:
        raise KeyError("hook")

    hooks = EventHooks({"response": [coloured(fails), coloured(lambda m: seen.append("late"))]})

    with pytest.raises(KeyError, match="hook"):
        play([hooks], get(), World([response]), drive)

    assert response.is_closed
    assert [] == seen


def test_a_request_hook_that_raises_sends_nothing(drive: Drive, coloured: Any) -> None:
    """
    The transport is not asked.
    """

    def fails(message: Request) -> None:
        raise KeyError("hook")

    world = World([Response(200)])

    with pytest.raises(KeyError, match="hook"):
        play([EventHooks({"request": [coloured(fails)]})], get(), world, drive)

    assert [] == world.asked


@pytest.mark.parametrize("event", ["request", "response"])
def test_a_hook_of_the_other_colour_is_named(drive: Drive, event: str) -> None:
    """
    An async hook in a Client is not dropped, a plain one in an AsyncClient not awaited; the response is closed.
    differences: "hooks of the other colour".
    """
    response = open_response(200, b"body")

    def plain_hook(message: Any) -> None:
        pass

    async def async_hook(message: Any) -> None:
        pass

    hook: Any = async_hook if drive.blocking else plain_hook
    expected = (
        "The hook async_hook is asynchronous: make it `def`, or use an AsyncClient"
        if drive.blocking
        else "The hook plain_hook is a plain function: make it `async def` for an AsyncClient"
    )

    with pytest.raises(TypeError) as info:
        play([EventHooks({event: [hook]})], get(), World([response]), drive)

    assert expected == str(info.value)
    assert response.is_closed or "request" == event
    gc.collect()


def test_hooks_may_be_changed_in_place(drive: Drive, coloured: Any) -> None:
    """
    The lists are the layer's own: what is appended runs from then on, what the caller gave is not touched.
    """
    seen: list[str] = []
    given: dict[str, list[Any]] = {"request": []}
    layer = EventHooks(given)
    world = World([Response(200), Response(200)])

    play([layer], get(), world, drive)
    layer.hooks["request"].append(coloured(lambda m: seen.append("now")))
    play([layer], get(), world, drive)
    layer.set({})

    assert ["now"] == seen
    assert {"request": []} == given
    assert {"request": [], "response": []} == layer.hooks


@pytest.mark.parametrize(
    ("hooks", "error", "message"),
    [
        (
            {"requests": []},
            ValueError,
            "There is no event 'requests': hooks are for 'request' and 'response'",
        ),
        (
            {"request": print},
            TypeError,
            r"The request hooks are a list of functions: write \[print\]",
        ),
    ],
)
def test_wrong_hooks_are_refused(hooks: Any, error: type[Exception], message: str) -> None:
    """
    A misspelt event would never be called.
    differences: "unknown events".
    """
    with pytest.raises(error, match=message):
        EventHooks(hooks)
    with pytest.raises(error, match=message):
        scallion.Client(event_hooks=hooks)
    with pytest.raises(error, match=message):
        scallion.AsyncClient().event_hooks = hooks


def test_repr_counts() -> None:
    """
    How many hooks there are.
    """
    assert "EventHooks(request=1, response=2)" == repr(
        EventHooks({"request": [print], "response": [print, print]})
    )


# In a client, next to httpx


class Legs(httpx.Auth):
    """Two requests for one call; both libraries drive it."""

    def auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        yield request
        request.headers["X-Leg"] = "2"
        yield request


def test_hooks_see_each_hop_and_each_leg_as_in_httpx() -> None:
    """
    Redirects and logins call hooks for every request on the wire, with the headers it has.
    """
    stories = []
    for library in (httpx, scallion):
        seen: list[Any] = []

        def handler(request: Any, library: Any = library) -> Any:
            if request.url.path == "/":
                return library.Response(302, headers={"Location": "/end", "Set-Cookie": "hop=1"})
            return library.Response(200)

        def on_request(request: Any, seen: list[Any] = seen) -> None:
            seen.append(
                (request.url.path, request.headers.get("x-leg"), request.headers.get("cookie"))
            )

        def on_response(response: Any, seen: list[Any] = seen) -> None:
            following = response.next_request
            seen.append(
                (response.status_code, response.request.url.path, response.is_closed, following)
            )

        client = library.Client(
            transport=library.MockTransport(handler),
            auth=Legs(),
            follow_redirects=True,
            event_hooks={"request": [on_request], "response": [on_response]},
        )
        response = client.get(URL)
        seen.append([past.status_code for past in response.history])
        stories.append(seen)

    assert stories[0] == stories[1]


def test_clients_have_settable_hooks_as_in_httpx() -> None:
    """
    Reading, assigning and appending.
    """
    for library in (httpx, scallion):
        seen: list[str] = []
        client = library.Client(
            transport=library.MockTransport(lambda request, library=library: library.Response(200)),
            event_hooks={"request": [lambda request, seen=seen: seen.append("first")]},
        )
        assert {"request", "response"} == set(client.event_hooks)
        client.get(URL)
        client.event_hooks = {"response": [lambda response, seen=seen: seen.append("second")]}
        client.get(URL)
        client.event_hooks["request"].append(lambda request, seen=seen: seen.append("third"))
        client.get(URL)
        client.event_hooks = {}
        client.get(URL)

        assert ["first", "second", "third", "second"] == seen


def test_hooks_need_their_layer() -> None:
    """
    A pipeline without it does not drop them silently.
    """
    with pytest.raises(scallion.UnknownOption, match="event_hooks= needs the layer EventHooks"):
        scallion.Client(pipeline=scallion.Pipeline(), event_hooks={"request": [print]})
    client = scallion.Client(pipeline=scallion.Pipeline(), event_hooks={"request": []})
    with pytest.raises(scallion.UnknownOption, match="event_hooks= needs the layer EventHooks"):
        client.event_hooks = {"request": [print]}
