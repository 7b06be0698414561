"""The router: which route answers, what passes through, what is verified."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

import scallion
from face.conftest import Driven, Face
from scallion.testing import Reply, Route, Router, UnforeseenRequest
from support.colours import Drive
from testing.conftest import Send

URL = "http://host/a"


class Network(scallion.BaseTransport, scallion.AsyncBaseTransport):
    """Stands for a real transport."""

    def __init__(self, body: str = "real") -> None:
        self.body = body
        self.closed = 0

    def handle_request(self, request: scallion.Request) -> scallion.Response:
        return scallion.Response(200, text=self.body + request.content.decode())

    async def handle_async_request(self, request: scallion.Request) -> scallion.Response:
        return self.handle_request(request)

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


def asserted(router: Router) -> str:
    with pytest.raises(AssertionError) as raised:
        router.verify()
    return str(raised.value)


def test_the_first_route_answers(send: Send) -> None:
    """
    Of those that take a request, the one that was made first, however special.
    """
    router = Router()
    router.get("/{name}").respond(text="first")
    router.get("/a", headers={"X": "1"}).respond(text="second")

    assert "first" == send(router, "GET", URL, headers={"X": "1"}).text


def test_a_route_goes_to_the_front(send: Send) -> None:
    """
    So a test overrides what its fixture has set up.
    """
    router = Router()
    general = router.get("/{name}").respond(200)
    special = router.get("/a").first().respond(503)

    assert 503 == send(router, "GET", URL).status_code
    assert 200 == send(router, "GET", "http://host/b").status_code
    assert (special, general) == router.routes


def test_used_up_routes_are_passed_over(face: Face) -> None:
    """
    One definition for each call, one after the other.
    """
    router = Router()
    router.get("/a", times=1).respond(201)
    router.get("/a", times=2).respond(202)

    async def scenario(client: Driven) -> None:
        assert [201, 202, 202] == [(await client.get(URL)).status_code for _ in range(3)]
        with pytest.raises(UnforeseenRequest):
            await client.get(URL)

    face(scenario, transport=router)
    assert "1 request was refused" in asserted(router)


@pytest.mark.parametrize(
    "method", ["get", "post", "put", "patch", "delete", "head", "options", "query"]
)
def test_each_method_has_a_name(send: Send, method: str) -> None:
    router = Router(base_url="http://host")
    route = getattr(router, method)("/a", name="it", optional=True)

    assert 200 == send(router, method.upper(), URL).status_code
    assert route is router["it"]
    with pytest.raises(UnforeseenRequest):
        send(router, "GET" if method != "get" else "POST", URL)
    with pytest.raises(KeyError):
        _ = router["else"]


def test_any_method_and_any_url(send: Send) -> None:
    router = Router()
    router.route().respond(text="all")

    assert "all" == send(router, "PURGE", "ftp://x/y").text


def test_a_mount(face: Face) -> None:
    """
    A router may serve a part of a client's URLs.
    """
    router = Router()
    router.get("/a").respond(text="mocked")

    async def scenario(client: Driven) -> None:
        assert "mocked" == (await client.get(URL)).text
        assert "real" == (await client.get("http://other/")).text

    face(scenario, transport=Network(), mounts={"all://host": router})


def test_verify_holds(send: Send) -> None:
    """
    All was called that had to be, nothing was refused, all was read.
    """
    router = Router()
    router.get("/a")
    router.get("/b", optional=True)
    router.get("/c", times=0)
    router.get("/d", times=3, optional=True)
    send(router, "GET", URL)

    router.verify()
    router.assert_all_called()


def test_verify_tells_what_was_not_called(send: Send) -> None:
    router = Router(base_url="http://host")
    router.get("/a", times=2)
    router.get("/b", params={"q": 1})
    router.get("/c", name="the third")
    router.get("/d", times=1)

    assert "There were no calls." in asserted(router)
    send(router, "GET", URL)
    message = (
        "4 routes were not called as expected:\n"
        "    GET http://host/a: called once, expected 2 times\n"
        "    GET http://host/b with params: never called\n"
        "    the third: GET http://host/c: never called\n"
        "    GET http://host/d: never called, expected once\n"
        "The calls were:\n"
        "    1. GET http://host/a -> 200"
    )
    assert message == asserted(router)
    with pytest.raises(AssertionError) as raised:
        router.assert_all_called()
    assert message == str(raised.value)


def test_verify_tells_what_was_refused(face: Face) -> None:
    """
    Although the program swallowed it; the first few in full.
    """
    router = Router()

    async def scenario(client: Driven) -> None:
        for number in range(5):
            try:
                await client.get(f"http://host/{number}")
            except Exception:
                pass

    face(scenario, transport=router)

    message = asserted(router)
    assert message.startswith("5 requests were refused:\n\nNo route takes this request:")
    assert "http://host/2" in message
    assert "http://host/3" not in message
    assert "And 2 more." in message


def test_verify_tells_what_was_left_open(face: Face) -> None:
    """
    A middleware that drops a response, or a program that does not close one.
    """

    async def twice(request: scallion.Request, call_next: scallion.Next) -> scallion.Response:
        await call_next(request)
        return await call_next(request)

    router = Router()
    router.get("/a").respond(chunks=[b"a"])

    async def scenario(client: Driven) -> None:
        await client.get(URL)

    face(scenario, transport=router, middlewares=[twice])

    message = asserted(router)
    assert message.startswith("1 response was neither read nor closed;")
    assert "    GET http://host/a -> 200" in message


def test_verify_may_be_lenient(face: Face) -> None:
    router = Router(assert_all_called=False, assert_all_foreseen=False, assert_all_closed=False)
    router.get("/a")
    router.get("/b")

    async def scenario(client: Driven) -> None:
        request = client.build_request("GET", URL)
        await client.send(request, stream=True)
        with pytest.raises(UnforeseenRequest):
            await client.get("http://host/c")

    face(scenario, transport=router)
    router.verify()


def test_order(face: Face) -> None:
    """
    Calls of these routes, one after the other; others may lie between.
    """
    router = Router(base_url="http://host")
    login, work, logout = router.post("/login"), router.get("/work"), router.post("/logout")

    async def scenario(client: Driven) -> None:
        await client.post("http://host/login")
        await client.get("http://host/work")
        await client.get("http://host/work")
        await client.post("http://host/logout")

    face(scenario, transport=router)

    router.assert_called_in_order(login, work, work, logout)
    router.assert_called_in_order(login, logout)
    router.assert_called_in_order()
    with pytest.raises(AssertionError) as raised:
        router.assert_called_in_order(work, login)
    assert str(raised.value).startswith(
        "POST http://host/login: not called after GET http://host/work\nThe calls were:\n    1. POST"
    )
    with pytest.raises(AssertionError, match="not called after"):
        router.assert_called_in_order(work, work, work)


def test_reset_and_clear(face: Face) -> None:
    """
    Calls are forgotten and sequences begin again; then the routes go too.
    """
    router = Router()
    route = router.get("/a").answer(503, 200)

    async def scenario(client: Driven) -> None:
        for _ in range(2):
            assert 503 == (await client.get(URL)).status_code
            with pytest.raises(UnforeseenRequest):
                await client.get("http://host/b")
            router.reset()
        assert ([], 0, 0) == (router.unforeseen, router.call_count, route.call_count)
        router.clear()
        assert () == router.routes

    face(scenario, transport=router)


def test_a_route_passes_through(send: Send) -> None:
    """
    To the router's transport, or to its own; recorded, with the request's body.
    """
    router = Router(transport=Network())
    one = router.post("/a").pass_through()
    other = router.post("/b").pass_through(Network("other "))

    assert "real body" == send(router, "POST", URL, content=b" body").text
    assert "other body" == send(router, "POST", "http://host/b", content=b"body").text
    assert b" body" == one.calls.last.content
    other.assert_called_once()


def test_what_no_route_takes_passes_through(send: Send) -> None:
    """
    All of it, or that to some hosts; after the routes were asked.
    """
    router = Router(base_url="http://api", transport=Network(), pass_through=True)
    router.get("/a").respond(text="mocked")
    assert "mocked" == send(router, "GET", "http://api/a").text
    assert "real" == send(router, "GET", "http://api/b").text
    assert 2 == router.call_count

    hosts = ["host", "other:81", "[::1]", "https://*.example/metrics/*"]
    router = Router(transport=Network(), pass_through=hosts)
    for url in (
        "http://host:8000/x",
        "https://host",
        "http://other:81/",
        "http://[::1]:80/a",
        "https://a.example/metrics/b",
    ):
        assert "real" == send(router, "GET", url).text
    for url in ("http://other/", "https://a.example/b"):
        with pytest.raises(UnforeseenRequest):
            send(router, "GET", url)
    assert "real" == send(Router(transport=Network(), pass_through="host"), "GET", URL).text


def test_no_transport_to_pass_to(send: Send) -> None:
    router = Router(pass_through=True)

    with pytest.raises(
        TypeError, match=r"no transport with handle_(async_)?request\(\) to pass it to"
    ):
        send(router, "GET", URL)


def test_closing_closes_what_is_passed_to(drive: Drive, face: Face) -> None:
    """
    With the client, each once.
    """
    one, other = Network(), Network()
    router = Router(transport=one)
    router.get("/a").pass_through(other)
    router.get("/b").pass_through(other)

    async def scenario(client: Driven) -> None:
        await client.get(URL)

    face(scenario, transport=router)
    assert (1, 1) == (one.closed, other.closed)


def test_threads(face: Face) -> None:
    """
    Many at once: each gets an answer of its own, and each is recorded.
    """
    router = Router()
    limited = router.get("/n/{n:int}", times=50).answer(lambda request, n: Reply(json=n))
    router.get("/n/{n:int}").respond(204)
    answers: list[Any] = []
    together = threading.Barrier(4)

    def ask(first: int) -> None:
        with scallion.Client(transport=router) as client:
            together.wait()
            answers.extend(client.get(f"http://host/n/{n}") for n in range(first, first + 25))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(0, 100, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    mocked = sorted(response.json() for response in answers if response.status_code == 200)
    assert 50 == len(mocked) == limited.call_count
    assert mocked == sorted(call.values["n"] for call in limited.calls)
    assert 100 == router.call_count
    router.verify()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_tasks(backend: str) -> None:
    """
    Requests run side by side, and an answer never comes before other tasks had their turn.
    """
    router = Router()
    order: list[str] = []

    async def meeting(request: scallion.Request) -> int:
        order.append(request.url.path)
        if len(order) == 2:
            met.set()
        await met.wait()
        return 200

    router.get("/{name}").answer(meeting)
    router.head("/a")

    async def scenario() -> None:
        nonlocal met
        met = anyio.Event()
        async with scallion.AsyncClient(transport=router) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(client.get, "http://host/a")
                group.start_soon(client.get, "http://host/b")
            with anyio.move_on_after(0) as scope:
                await client.head(URL)
            assert scope.cancelled_caught

    met: Any = None
    anyio.run(scenario, backend=backend)
    assert {"/a", "/b"} == set(order)
    assert 2 == len(router.calls)


@pytest.mark.parametrize("times", [-1, True, "2", 1.5])
def test_times_that_cannot_be(times: Any) -> None:
    with pytest.raises(ValueError, match="times= of a route is a number, at least 0, or None"):
        Router().get("/", times=times)


def test_reprs(send: Send) -> None:
    router = Router(base_url="https://host/v1?token=abc")
    assert "<Router at https://host/v1?token=REDACTED, 0 routes, 0 calls>" == repr(router)
    router = Router()
    route = router.route(["GET", "post"], "http://host/{name}", json=1, where=bool, name="n")
    assert "<Route n: GET|POST http://host/{name} with json, where, 0 calls>" == repr(route)
    assert "<Route any method *, 0 calls>" == repr(router.route())
    assert isinstance(route, Route)
    send(router, "GET", URL)
    assert "<Router, 2 routes, 1 call>" == repr(router)
