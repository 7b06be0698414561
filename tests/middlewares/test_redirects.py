"""Redirects: held against httpx, and the rules that are our own."""

from __future__ import annotations

import io
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

import scallion
from scallion.middlewares.redirects import Redirects, next_request
from scallion.pipeline.cookies import Cookies
from scallion.pipeline.errors import RemoteProtocolError, StreamConsumed, TooManyRedirects
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from support.colours import Drive
from support.worlds import World, open_response, play

START = "http://example.org/start"


# The same story told to httpx and to scallion.


class Story:
    """Requests and answers of one call, in one of the libraries."""

    def __init__(self, library: Any, answers: dict[str, tuple[int, dict[str, str]]]) -> None:
        self.library = library
        self.answers = answers
        self.seen: list[Any] = []

    def handler(self, request: Any) -> Any:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name not in ("user-agent", "accept-encoding")
        }
        self.seen.append((request.method, str(request.url), headers, request.content))
        bare = str(request.url.copy_with(fragment=None))
        status, fields = self.answers.get(bare, (200, {}))
        return self.library.Response(status, headers=fields, content=b"answer")

    def tell(self, method: str, url: str, settings: dict[str, Any], call: dict[str, Any]) -> Any:
        follow = call.pop("follow_redirects", True)
        transport = self.library.MockTransport(self.handler)
        with self.library.Client(transport=transport, **settings) as client:
            try:
                response = client.request(method, url, follow_redirects=follow, **call)
            except Exception as error:
                return self.seen, type(error).__name__
            kept = sorted((cookie.name, cookie.value, cookie.path) for cookie in client.cookies.jar)
            return self.seen, self.described(response), kept

    @staticmethod
    def described(response: Any) -> Any:
        following = response.next_request
        return (
            response.status_code,
            str(response.url),
            [(past.status_code, str(past.url), past.content) for past in response.history],
            [len(past.history) for past in response.history],
            None
            if following is None
            else (following.method, str(following.url), dict(following.headers)),
        )


def both(
    answers: dict[str, tuple[int, dict[str, str]]],
    method: str = "GET",
    url: str = START,
    settings: Callable[[], dict[str, Any]] = dict,
    call: Callable[[], dict[str, Any]] = dict,
) -> tuple[Any, Any]:
    """What httpx and scallion make of it."""
    return (
        Story(httpx, answers).tell(method, url, settings() | {"headers": _plain(settings)}, call()),
        Story(scallion, answers).tell(
            method, url, settings() | {"headers": _plain(settings)}, call()
        ),
    )


def _plain(settings: Callable[[], dict[str, Any]]) -> dict[str, str]:
    headers: dict[str, str] = settings().get("headers", {})
    return {"User-Agent": "test", "Accept-Encoding": "identity"} | headers


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"]
STATUSES = [300, 301, 302, 303, 304, 305, 307, 308, 399]


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("method", METHODS)
def test_methods_and_bodies_are_httpx_s(method: str, status: int, follow: bool) -> None:
    """
    Which method, body and headers the next request has, for each method and status.
    """
    theirs, ours = both(
        {START: (status, {"Location": "/end"})},
        method,
        call=lambda: {
            "content": None if method in ("GET", "HEAD") else b"body",
            "headers": {"Content-Type": "text/plain", "X-Mine": "1"},
            "follow_redirects": follow,
        },
    )

    assert theirs == ours


LOCATIONS = [
    "/end",
    "end",
    "../end",
    "./",
    "?page=2",
    "#part",
    "",
    "//other.org/end",
    "http://example.org/end",
    "http://example.org:80/end",
    "http://example.org:8080/end",
    "HTTP://EXAMPLE.ORG/End",
    "https://example.org/end",
    "https://example.org:443/end",
    "https://example.org:8443/end",
    "http://other.org/end",
    "https://other.org/end",
    "http://user:pass@example.org/end",
    "http://user:pass@other.org/end",
    "http:///end",
    "https:///end",
    "http:end",
    "/end#part",
    "/end?a=1&b=%20",
    "/a b",
    "/%20%2F",
    "/ü",
    "http://bücher.example/",
    "http://[::1]:8000/end",
    "http://example.org",
    "http://example.org:port/",
    "/\x07",
    "ftp://example.org/end",
]


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize(
    "url", [START, "http://example.org/a/b/c?x=1#fragment", "https://example.org/"]
)
@pytest.mark.parametrize("location", LOCATIONS)
def test_locations_are_httpx_s(location: str, url: str, follow: bool) -> None:
    """
    Absolute, relative, odd and malformed ones lead to the same place, with the same headers.
    differences: "a location that is no URL".
    """
    raw = {
        "Location": location.encode("utf-8").decode("latin-1") if location.isascii() else location
    }
    start = str(httpx.URL(url).copy_with(fragment=None))
    theirs, ours = both(
        {start: (302, raw)},
        "POST",
        url,
        call=lambda: {
            "content": b"body",
            "headers": {"Authorization": "secret", "Cookie": "mine=1", "X-Mine": "1"},
            "follow_redirects": follow,
        },
    )

    if theirs[1] in ("InvalidURL", "RemoteProtocolError"):
        assert ("RemoteProtocolError" if follow else (302, url, [], [], None)) == ours[1]
        assert theirs[0] == ours[0]
    else:
        assert theirs == ours


ORIGINS = [
    ("http://example.org/", "http://example.org/end"),
    ("http://example.org/", "http://example.org:80/end"),
    ("http://example.org/", "http://EXAMPLE.org/end"),
    ("http://example.org/", "https://example.org/end"),
    ("http://example.org/", "https://example.org:443/end"),
    ("http://example.org:80/", "https://example.org/end"),
    ("http://example.org/", "https://example.org:8443/end"),
    ("http://example.org:8080/", "https://example.org/end"),
    ("http://example.org:8080/", "https://example.org:8080/end"),
    ("https://example.org/", "http://example.org/end"),
    ("https://example.org:80/", "https://example.org/end"),
    ("http://example.org:443/", "https://example.org/end"),
    ("http://example.org/", "http://sub.example.org/end"),
    ("http://example.org/", "http://example.org:8080/end"),
    ("http://example.org/", "http://example.org./end"),
    ("http://[::1]/", "https://[::1]/end"),
    ("http://bücher.example/", "https://xn--bcher-kva.example/end"),
]


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize(("start", "end"), ORIGINS)
def test_credentials_leave_as_in_httpx(start: str, end: str, status: int) -> None:
    """
    Authorization goes where the origin stays, or only TLS is added; Host follows the URL.
    """
    first = str(httpx.URL(start))
    for call in (
        lambda: {"headers": {"Authorization": "secret", "X-Api-Key": "kept"}},
        lambda: {"auth": ("user", "pass")},
        lambda: {"headers": {"Host": "virtual.example"}},
        lambda: {"content": b"body", "headers": {"authorization": "secret"}},
    ):
        theirs, ours = both({first: (status, {"Location": end})}, "POST", start, call=call)
        assert theirs == ours


CHAINS: dict[str, dict[str, Any]] = {
    "two hops": {
        "answers": {
            START: (301, {"Location": "/a"}),
            "http://example.org/a": (302, {"Location": "/b"}),
        }
    },
    "cookies on the way": {
        "answers": {
            START: (302, {"Location": "/a", "Set-Cookie": "hop=1"}),
            "http://example.org/a": (
                302,
                {"Location": "http://other.org/b", "Set-Cookie": "a=2; Path=/a"},
            ),
            "http://other.org/b": (302, {"Location": START.replace("start", "a/c")}),
        }
    },
    "a cookie that is deleted": {
        "answers": {
            START: (302, {"Location": "/a", "Set-Cookie": "hop=1"}),
            "http://example.org/a": (302, {"Location": "/b", "Set-Cookie": "hop=; Max-Age=0"}),
        }
    },
    "cookies of the client": {
        "answers": {START: (302, {"Location": "http://other.org/"})},
        "settings": lambda: {"cookies": {"everywhere": "1"}},
    },
    "cookies of the request": {
        "answers": {START: (302, {"Location": "/a"})},
        "settings": lambda: {"cookies": {"everywhere": "1"}},
        "call": lambda: {"cookies": {"once": "2"}},
    },
    "auth of the client": {
        "answers": {
            START: (302, {"Location": "/a"}),
            "http://example.org/a": (302, {"Location": "http://other.org/"}),
        },
        "settings": lambda: {"auth": ("user", "pass")},
    },
    "auth in the URL": {
        "url": "http://user:pass@example.org/start",
        "answers": {"http://user:pass@example.org/start": (302, {"Location": "/a"})},
    },
    "a form": {
        "method": "POST",
        "answers": {
            START: (307, {"Location": "/a"}),
            "http://example.org/a": (303, {"Location": "/b"}),
        },
        "call": lambda: {"data": {"a": "1"}},
    },
    "a file": {
        "method": "POST",
        "answers": {START: (308, {"Location": "http://other.org/a"})},
        "call": lambda: {"content": io.BytesIO(b"file")},
    },
    "multipart": {
        "method": "POST",
        "answers": {START: (307, {"Location": "/a"})},
        "call": lambda: {
            "files": {"f": io.BytesIO(b"file")},
            "headers": {"Content-Type": "multipart/form-data; boundary=+++"},
        },
    },
    "a loop": {"answers": {START: (302, {"Location": START})}},
    "a loop of two": {
        "answers": {
            START: (302, {"Location": "/a"}),
            "http://example.org/a": (302, {"Location": START}),
        }
    },
    "none allowed": {
        "answers": {START: (302, {"Location": "/a"})},
        "settings": lambda: {"max_redirects": 0},
    },
    "one allowed": {
        "answers": {START: (302, {"Location": "/a"})},
        "settings": lambda: {"max_redirects": 1},
    },
    "one allowed, two needed": {
        "answers": {
            START: (302, {"Location": "/a"}),
            "http://example.org/a": (302, {"Location": "/b"}),
        },
        "settings": lambda: {"max_redirects": 1},
    },
    "no location": {"answers": {START: (302, {})}},
    "base URL": {
        "url": "start",
        "answers": {"http://example.org/base/start": (302, {"Location": "/end"})},
        "settings": lambda: {"base_url": "http://example.org/base", "params": None},
    },
    "params stay behind": {
        "answers": {START + "?a=1": (302, {"Location": "/end"})},
        "call": lambda: {"params": {"a": "1"}},
    },
    "broken on the second hop": {
        "answers": {
            START: (302, {"Location": "/a"}),
            "http://example.org/a": (302, {"Location": "/\x07"}),
        },
    },
}


# httpx's, about cookies given to a request.
@pytest.mark.filterwarnings("ignore:Setting per-request cookies:DeprecationWarning")
@pytest.mark.parametrize("case", CHAINS)
def test_chains_are_httpx_s(case: str) -> None:
    """
    Requests, history and errors of whole chains.
    """
    theirs, ours = both(**CHAINS[case])

    assert theirs == ours


@pytest.mark.parametrize("call", [True, False, None])
@pytest.mark.parametrize("client", [True, False, None])
def test_the_call_wins_over_the_client(client: bool | None, call: bool | None) -> None:
    """
    `follow_redirects` of a call counts, else the client's, which may be changed.
    """
    seen = []
    for library in (httpx, scallion):
        transport = library.MockTransport(
            lambda request, library=library: (
                library.Response(302, headers={"Location": "/end"})
                if request.url.path == "/start"
                else library.Response(200)
            )
        )
        made = library.Client(
            transport=transport, **({} if client is None else {"follow_redirects": client})
        )
        call_kwargs = {} if call is None else {"follow_redirects": call}
        statuses = [made.follow_redirects, made.get(START, **call_kwargs).status_code]
        made.follow_redirects = not made.follow_redirects
        seen.append([*statuses, made.follow_redirects, made.get(START, **call_kwargs).status_code])

    assert seen[0] == seen[1]


def test_next_request_can_be_sent() -> None:
    """
    What was not followed leads on, hop by hop, as in httpx.
    """
    paths = []
    for library in (httpx, scallion):
        seen: list[str] = []

        def handler(request: Any, seen: list[str] = seen, library: Any = library) -> Any:
            seen.append(request.url.path)
            left = 3 - len(seen)
            return (
                library.Response(302, headers={"Location": f"/{left}"})
                if left
                else library.Response(200)
            )

        with library.Client(transport=library.MockTransport(handler)) as client:
            response = client.get(START)
            while response.next_request is not None:
                response = client.send(response.next_request)
        paths.append(seen)

    assert [["/start", "/2", "/1"]] * 2 == paths


# Our own


def redirect(location: str = "/end", status: int = 302, **headers: str) -> Response:
    return open_response(status, b"on the way", headers={"Location": location, **headers})


def follow(world: World, drive: Drive, request: Request, **settings: Any) -> Response:
    return play([Redirects(True, **settings)], request, world, drive)


def test_responses_on_the_way_are_read_and_closed(drive: Drive) -> None:
    """
    They stand in the history with their content, their connections free; the last is left open.
    """
    hop, last = redirect(), open_response(200, b"end")

    response = follow(World([hop, last]), drive, Request("GET", START))

    assert last is response
    assert [hop] == response.history
    assert hop.is_closed
    assert b"on the way" == hop.content
    assert not response.is_closed


def test_too_many_redirects_close_the_last(drive: Drive) -> None:
    """
    The error names the request that was sent last; its response is closed.
    differences: "too many redirects".
    """
    hops = [redirect(f"/{number}") for number in range(3)]
    world = World(hops)

    with pytest.raises(TooManyRedirects) as info:
        follow(world, drive, Request("GET", START), limit=2)

    assert "http://example.org/1" == str(info.value.request.url)
    assert 3 == len(world.asked)
    assert all(hop.is_closed for hop in hops)


def once() -> Iterator[bytes]:
    yield b"body"


async def asynchronously_once() -> AsyncIterator[bytes]:
    yield b"body"


@pytest.mark.parametrize("status", [307, 308])
def test_a_body_that_cannot_be_sent_again(drive: Drive, status: int) -> None:
    """
    StreamConsumed names the status and what to do; nothing more is sent, the redirect is closed.
    differences: "a body that cannot be sent again".
    """
    hop = redirect(status=status)
    world = World([hop])
    content: Any = once() if drive.blocking else asynchronously_once()

    with pytest.raises(
        StreamConsumed, match=f"redirected with {status}, which sends the body again.*give bytes"
    ):
        follow(world, drive, Request("POST", START, content=content))

    assert 1 == len(world.asked)
    assert hop.is_closed


def test_a_body_that_is_left_behind_need_not_be_replayable(drive: Drive) -> None:
    """
    After 303 a GET follows, whatever was posted.
    """
    world = World([redirect(status=303), Response(200)])
    content: Any = once() if drive.blocking else asynchronously_once()

    follow(world, drive, Request("POST", START, content=content))

    assert ["POST", "GET"] == [request.method for request in world.asked]
    assert "transfer-encoding" not in world.asked[1].headers


def test_a_malformed_location_closes_the_response(drive: Drive) -> None:
    """
    Following raises; the response is closed.
    """
    hop = redirect("http://example.org:port/")

    with pytest.raises(RemoteProtocolError, match="Invalid URL in location header") as info:
        follow(World([hop]), drive, Request("GET", START))

    assert hop.is_closed
    assert START == str(info.value.request.url)


def test_what_is_not_followed_stays_open(drive: Drive) -> None:
    """
    The caller reads it, and sends `next_request` or not.
    """
    hop = redirect()

    response = play([Redirects()], Request("GET", START), World([hop]), drive)

    assert hop is response
    assert not hop.is_closed
    assert "http://example.org/end" == str(response.next_request.url)  # type: ignore[union-attr]


def test_an_option_speaks_for_one_request(drive: Drive) -> None:
    """
    `option_for` wins over the layer, either way; None leaves the layer's setting.
    """
    for layer, option, expected in (
        (Redirects(), Redirects.option_for(follow=True), 200),
        (Redirects(True), Redirects.option_for(follow=False), 302),
        (Redirects(True), Redirects.option_for(limit=1), 200),
        (Redirects(True, 0), Redirects.option_for(limit=1), 200),
    ):
        request = Request("GET", START, extensions=option)
        world = World([redirect(), Response(200)])
        assert expected == play([layer], request, world, drive).status_code


def test_sensitive_headers_can_be_named(drive: Drive) -> None:
    """
    Names in any case; the defaults are replaced.
    """
    headers = {"X-Api-Key": "secret", "Authorization": "kept"}
    world = World([redirect("http://other.org/"), Response(200)])

    follow(world, drive, Request("GET", START, headers=headers), sensitive={"X-API-Key"})

    assert "x-api-key" not in world.asked[1].headers
    assert "kept" == world.asked[1].headers["authorization"]


def test_proxy_authorization_is_dropped_across_origins() -> None:
    """
    It is meant for the proxy of the origin before.
    differences: "proxy-authorization across origins".
    """
    request = Request("GET", START, headers={"Proxy-Authorization": "secret"})

    assert "proxy-authorization" not in next_request(request, redirect("http://other.org/")).headers
    assert "proxy-authorization" in next_request(request, redirect("/end")).headers


def test_query_keeps_its_method(drive: Drive) -> None:
    """
    QUERY is safe and has a body: it stays what it is, but for 303.
    differences: "QUERY".
    """
    for status, method in (
        (301, "QUERY"),
        (302, "QUERY"),
        (303, "GET"),
        (307, "QUERY"),
        (308, "QUERY"),
    ):
        world = World([redirect(status=status), Response(200)])
        follow(world, drive, Request("QUERY", START, content=b"q"))
        assert method == world.asked[1].method


def test_a_jar_makes_the_cookie_header_anew(drive: Drive) -> None:
    """
    Each hop carries the jar's cookies for its URL, not what the request before carried.
    """
    jar = Cookies()
    jar.set("there", "1", domain="other.org")
    world = World([redirect("http://other.org/"), redirect("http://third.org/"), Response(200)])

    follow(world, drive, Request("GET", START, headers={"Cookie": "mine=1"}), cookies=jar)

    assert ["mine=1", "there=1", None] == [request.headers.get("cookie") for request in world.asked]


def test_a_hop_belongs_to_the_call(drive: Drive) -> None:
    """
    Deadline, observers and extensions go with it, and the observers are told.
    """
    told: list[tuple[str, dict[str, Any]]] = []
    request = Request("GET", START, extensions={"timeout": {"read": 1}})
    request.deadline = 2000.0
    request.observers = (lambda event, fields: told.append((event, fields)),)
    world = World([redirect(), Response(200)])

    follow(world, drive, request)

    assert 2000.0 == world.asked[1].deadline
    assert request.extensions is world.asked[1].extensions
    assert [("redirect", {"status": 302, "location": "http://example.org/end"})] == told


def test_limits_are_validated() -> None:
    """
    Below none there is nothing.
    """
    with pytest.raises(ValueError, match="Redirects limit must be at least 0: -1"):
        Redirects(limit=-1)


def test_repr() -> None:
    """
    Tells the effective settings.
    """
    assert "Redirects(follow=True, limit=5)" == repr(Redirects(True, 5))
    assert "Redirects(follow=False, limit=20, sensitive={'x-mine'})" == repr(
        Redirects(sensitive=["X-Mine"])
    )


def test_it_is_a_value() -> None:
    """
    Frozen; the same settings are equal, wherever they were made.
    """
    layer = Redirects(True, 5, sensitive=["X-Mine"], cookies=Cookies({"a": "1"}))

    for name in ("follow", "limit", "sensitive", "cookies", "more"):
        with pytest.raises(AttributeError):
            setattr(layer, name, 5)
    assert layer == pickle.loads(pickle.dumps(layer))
    assert layer == Redirects(True, 5, sensitive=("x-mine",), cookies=Cookies({"a": "1"}))
    assert layer != Redirects(True, 5, sensitive=["X-Mine"])
    assert hash(layer) == hash(Redirects(True, 5, sensitive={"x-mine"}))


def test_one_name_is_no_collection() -> None:
    """
    Its letters would be taken for names.
    """
    with pytest.raises(TypeError, match="sensitive must be a collection of names: 'x-api-key'"):
        Redirects(sensitive="x-api-key")
