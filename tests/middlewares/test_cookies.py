"""Cookies of a client: kept across requests, sent where they belong, not kept where there is no layer."""

from __future__ import annotations

import threading
from http.cookiejar import CookieJar
from typing import Any

import httpx
import pytest

import scallion
from scallion.middlewares.cookies import CookiePersistence
from scallion.pipeline.cookies import Cookies
from scallion.pipeline.pipeline import Pipeline
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from support.colours import Drive
from support.worlds import World, play

URL = "http://example.org/"


def setting(*cookies: str, status: int = 200, **headers: str) -> Response:
    fields = [("Set-Cookie", cookie) for cookie in cookies]
    return Response(status, headers=[*fields, *headers.items()])


def sent(world: World) -> list[str | None]:
    return [request.headers.get("cookie") for request in world.asked]


# The layer


def test_what_a_response_sets_the_next_request_carries(drive: Drive) -> None:
    """
    The dialogue: set, sent, changed, deleted.
    """
    layer = CookiePersistence()
    world = World(
        [setting("a=1"), setting("b=2"), setting("a=3"), setting("a=; Max-Age=0"), Response(200)]
    )
    for _ in range(5):
        play([layer], Request("GET", URL), world, drive)

    assert [None, "a=1", "a=1; b=2", "a=3; b=2", "b=2"] == [
        cookies and "; ".join(sorted(cookies.split("; "))) for cookies in sent(world)
    ]


def test_cookies_go_where_they_belong(drive: Drive) -> None:
    """
    Host, path and scheme decide.
    """
    layer = CookiePersistence()
    urls = [URL, "http://other.org/", "http://example.org/deep/er", "https://example.org/deep", URL]
    world = World([setting("all=1", "deep=2; Path=/deep", "safe=3; Secure"), *[Response(200)] * 4])
    for url in urls:
        play([layer], Request("GET", url), world, drive)

    parts = [set(cookies.split("; ")) if cookies else set() for cookies in sent(world)]
    assert [set(), set(), {"all=1", "deep=2"}, {"all=1", "deep=2"}, {"all=1"}] == [
        part - {"safe=3"} for part in parts
    ]
    assert all("safe=3" not in parts[n] for n in (0, 1, 2, 4))


def test_a_request_with_cookies_keeps_its_own(drive: Drive) -> None:
    """
    What a request brings goes out as it is, and is not kept.
    """
    layer = CookiePersistence()
    layer.cookies.set("jar", "1")
    world = World([Response(200), Response(200)])

    play([layer], Request("GET", URL, headers={"Cookie": "own=2"}), world, drive)
    play([layer], Request("GET", URL), world, drive)

    assert ["own=2", "jar=1"] == sent(world)


def test_a_jar_may_be_given() -> None:
    """
    An empty one too: the layer keeps the very object.
    """
    jar = Cookies()

    assert jar is CookiePersistence(jar).cookies
    assert CookiePersistence().cookies is not CookiePersistence().cookies


def test_repr_tells_no_cookie() -> None:
    """
    Cookies are secrets.
    """
    layer = CookiePersistence(Cookies({"session": "secret"}))

    assert "CookiePersistence()" == repr(layer)


# In a client, next to httpx


def told(library: Any, story: Any) -> Any:
    """What `story` makes of a client of `library`: the cookies of each request, and what it returns."""
    seen: list[Any] = []

    def handler(request: Any) -> Any:
        cookies = request.headers.get("cookie")
        seen.append(cookies and sorted(cookies.split("; ")))
        answers = {
            "/set": (200, [("Set-Cookie", "set=1"), ("Set-Cookie", "other=2; Path=/")]),
            "/deep/set": (200, [("Set-Cookie", "deep=1; Path=/deep")]),
            "/delete": (200, [("Set-Cookie", "set=; Max-Age=0")]),
            "/hop": (302, [("Location", "/"), ("Set-Cookie", "hop=1")]),
            "/away": (302, [("Location", "http://other.org/"), ("Set-Cookie", "away=1")]),
        }
        status, headers = answers.get(request.url.path, (200, []))
        return library.Response(status, headers=headers)

    def client(**settings: Any) -> Any:
        return library.Client(
            transport=library.MockTransport(handler), base_url="http://example.org", **settings
        )

    returned = story(library, client)
    return seen, returned


def persists(library: Any, client: Any) -> Any:
    made = client()
    for path in ("/", "/set", "/", "/deep/set", "/deep/er", "/", "/delete", "/"):
        made.get(path)
    return dict(made.cookies)


def of_the_client(library: Any, client: Any) -> Any:
    made = client(cookies={"mine": "1"})
    made.get("/")
    made.get("http://other.org/")
    made.get("/set")
    made.get("/")
    return dict(made.cookies)


def of_the_request(library: Any, client: Any) -> Any:
    made = client(cookies={"mine": "1"})
    made.get("/", cookies={"once": "2"})
    made.get("/", cookies={"mine": "3"})
    made.get("/")
    made.get("/", headers={"Cookie": "header=4"})
    made.get("/", headers={"Cookie": "header=4"}, cookies={"once": "2"})
    return dict(made.cookies)


def on_the_way(library: Any, client: Any) -> Any:
    made = client(follow_redirects=True)
    made.get("/hop")
    made.get("/away")
    made.get("/")
    return dict(made.cookies)


def assigned(library: Any, client: Any) -> Any:
    made = client(cookies={"old": "1"})
    made.cookies = {"new": "2"}
    made.get("/")
    made.cookies.set("more", "3")
    made.get("/")
    made.get("/set")
    made.cookies = made.cookies
    made.get("/")
    made.cookies = library.Cookies({"fresh": "1"})
    made.get("/")
    made.cookies.clear()
    made.get("/")
    made.cookies = None
    made.get("/set")
    made.get("/")
    return dict(made.cookies)


def in_the_response(library: Any, client: Any) -> Any:
    made = client()
    response = made.get("/set")
    return dict(response.cookies), response.cookies["set"]


def with_a_jar(library: Any, client: Any) -> Any:
    jar = CookieJar()
    made = client(cookies=jar)
    made.get("/set")
    made.get("/")
    return jar is made.cookies.jar, sorted(cookie.name for cookie in jar)


@pytest.mark.filterwarnings("ignore:Setting per-request cookies:DeprecationWarning")
@pytest.mark.parametrize(
    "story",
    [persists, of_the_client, of_the_request, on_the_way, assigned, in_the_response, with_a_jar],
)
def test_clients_keep_cookies_as_httpx_does(story: Any) -> None:
    """
    The same story, told to both.
    differences: "cookies of one request".
    """
    assert told(httpx, story) == told(scallion, story)


def test_a_request_that_the_client_did_not_build_gets_cookies() -> None:
    """
    The jar is asked when a request is sent.
    differences: "cookies for sent requests".
    """
    client = scallion.Client(
        transport=scallion.MockTransport(
            lambda r: Response(200, text=r.headers.get("cookie", "none"))
        ),
        cookies={"a": "1"},
    )

    assert "a=1" == client.send(Request("GET", URL)).text


@pytest.mark.parametrize("pipeline", [Pipeline, scallion.service_stack])
def test_without_the_layer_nothing_is_kept(pipeline: Any) -> None:
    """
    Services have no session; what the client was given is sent all the same.
    """

    def handler(request: Request) -> Response:
        return setting("session=1", seen=request.headers.get("cookie", "none"))

    transport = scallion.MockTransport(handler)
    client = scallion.Client(transport=transport, pipeline=pipeline())

    assert ["none", "none"] == [client.get(URL).headers["seen"] for _ in range(2)]
    assert {} == dict(client.cookies)
    assert "own=1" == client.get(URL, cookies={"own": "1"}).headers["seen"]

    given = scallion.Client(transport=transport, pipeline=pipeline(), cookies={"mine": "1"})
    assert ["mine=1", "mine=1"] == [given.get(URL).headers["seen"] for _ in range(2)]
    assert {"mine": "1"} == dict(given.cookies)
    given.cookies = {"new": "2"}
    assert "new=2" == given.get(URL).headers["seen"]


def test_clients_do_not_share_a_jar() -> None:
    """
    Each default pipeline has its own.
    """
    transport = scallion.MockTransport(lambda request: setting("a=1"))
    one, other = scallion.Client(transport=transport), scallion.Client(transport=transport)

    one.get(URL)

    assert {"a": "1"} == dict(one.cookies)
    assert {} == dict(other.cookies)


def test_a_given_jar_of_the_layer_is_the_client_s() -> None:
    """
    `client.cookies` is what the pipeline's layer keeps; cookies given as well are added to it.
    """
    jar = Cookies({"old": "1"})
    client = scallion.Client(pipeline=scallion.compatible(cookies=jar), cookies={"new": "2"})

    assert jar is client.cookies
    assert {"old": "1", "new": "2"} == dict(client.cookies)


def test_threads_share_a_jar() -> None:
    """
    Cookies set by many threads at once are all kept.
    """
    transport = scallion.MockTransport(lambda request: setting(f"{request.url.path[1:]}=1"))
    failures: list[BaseException] = []

    with scallion.Client(transport=transport) as client:

        def work(number: int) -> None:
            try:
                for turn in range(10):
                    client.get(f"{URL}c{number}x{turn}")
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [] == failures
        assert 80 == len(client.cookies)
