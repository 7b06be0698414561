"""The clients: requests built and sent, settings merged, life and death. One body for both, next to httpx."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Self

import anyio
import httpx
import pytest

import scallion
import scallion._api
from face.conftest import Driven, Face
from scallion import Pipeline, Request, Response
from scallion._base import ClientState
from support.worlds import OpenStream, open_response

URL = "http://example.org/"
Scenario = Callable[[Driven], Awaitable[Any]]


def ok(request: Request) -> Response:
    return Response(200, text="ok")


def echo(request: Request) -> Response:
    return Response(
        200,
        json={
            "method": request.method,
            "url": str(request.url),
            "headers": dict(request.headers),
            "content": request.content.decode(),
        },
    )


# Verbs


@pytest.mark.parametrize("verb", ["get", "options", "head", "delete"])
def test_verbs_without_a_body(face: Face, verb: str) -> None:
    """
    Each sends its method.
    """

    async def scenario(client: Driven) -> Any:
        return (await getattr(client, verb)(URL, params={"a": "1"}, headers={"X-A": "1"})).json()

    seen = face(scenario, echo)
    assert (verb.upper(), f"{URL}?a=1", "1") == (
        seen["method"],
        seen["url"],
        seen["headers"]["x-a"],
    )


@pytest.mark.parametrize("verb", ["post", "put", "patch"])
@pytest.mark.parametrize(
    ("body", "content", "content_type"),
    [
        ({"content": b"raw"}, "raw", None),
        ({"data": {"a": "1"}}, "a=1", "application/x-www-form-urlencoded"),
        ({"json": {"a": 1}}, '{"a":1}', "application/json"),
    ],
)
def test_verbs_with_a_body(
    face: Face, verb: str, body: Any, content: str, content_type: str | None
) -> None:
    """
    Each sends its method and what it is given.
    """

    async def scenario(client: Driven) -> Any:
        return (await getattr(client, verb)(URL, **body)).json()

    seen = face(scenario, echo)
    assert (verb.upper(), content) == (seen["method"], seen["content"])
    assert content_type == seen["headers"].get("content-type")


def test_request_sends_any_method(face: Face) -> None:
    """
    In capitals, as httpx does.
    """

    async def scenario(client: Driven) -> Any:
        return (await client.request("purge", URL)).json()["method"]

    assert "PURGE" == face(scenario, echo)


@pytest.mark.parametrize("verb", ["get", "options", "head", "delete"])
def test_verbs_without_a_body_take_none(face: Face, verb: str) -> None:
    """
    As in httpx: `request` sends a body with any method.
    """
    with pytest.raises(TypeError, match="content"):
        face(lambda client: getattr(client, verb)(URL, content=b""), ok)


# Building, next to httpx

CLIENTS: dict[str, dict[str, Any]] = {
    "bare": {},
    "base": {"base_url": "http://example.org/api"},
    "base with a slash": {"base_url": "http://example.org/api/"},
    "base with a query": {"base_url": "http://example.org/api?a=1"},
    "base host": {"base_url": "https://example.org"},
    "params": {"params": {"a": "1", "b": ["2", "3"]}},
    "headers": {"headers": {"X-Client": "1", "accept": "text/plain", "User-Agent": "mine"}},
    "header pairs": {"headers": [("X-Client", "1"), ("X-Client", "2")]},
    "cookies": {"base_url": URL, "cookies": {"a": "1", "b": "2"}},
    "cookie header": {"headers": {"Cookie": "header=1"}},
    "all": {
        "base_url": "http://user:pass@example.org:8080/api/v1",
        "params": {"a": "1"},
        "headers": {"X-Client": "1"},
        "cookies": {"a": "1"},
        "timeout": 1.0,
    },
    "no timeout": {"timeout": None},
}
REQUESTS: dict[str, tuple[tuple[str, str], dict[str, Any]]] = {
    "absolute": (("GET", "http://example.org/path?x=1"), {}),
    "relative": (("GET", "users"), {}),
    "rooted": (("GET", "/users"), {}),
    "query only": (("GET", "?page=2"), {}),
    "empty": (("GET", ""), {}),
    "dots": (("GET", "../users"), {}),
    "fragment": (("GET", "/users#part"), {}),
    "params": (("GET", "/users"), {"params": {"a": "9", "c": "4"}}),
    "params over a query": (("GET", "/users?x=1"), {"params": {"c": "4"}}),
    "empty params": (("GET", "/users?x=1"), {"params": {}}),
    "params as text": (("GET", "/users"), {"params": "c=4&c=5"}),
    "params as pairs": (("GET", "/users"), {"params": [("c", 4), ("c", None), ("d", True)]}),
    "headers": (("GET", "/users"), {"headers": {"x-client": "2", "X-Request": "3"}}),
    "headers with accept": (("GET", "/users"), {"headers": {"Accept": "a/b", "Host": "other"}}),
    "header pairs": (("GET", "/users"), {"headers": [("X-A", "1"), ("X-A", "2")]}),
    "cookies": (("GET", f"{URL}users"), {"cookies": {"a": "9", "c": "3"}}),
    "content": (("POST", "/users"), {"content": b"raw"}),
    "text": (("POST", "/users"), {"content": "text"}),
    "form": (("POST", "/users"), {"data": {"a": ["1", "2"], "b": "ü"}}),
    "json": (("PUT", "/users"), {"json": {"a": [1, None, "ü"]}}),
    "empty post": (("POST", "/users"), {}),
    "timeout": (("GET", "/users"), {"timeout": 3.0}),
    "no timeout": (("GET", "/users"), {"timeout": None}),
    "timeout tuple": (("GET", "/users"), {"timeout": (1.0, 2.0)}),
    "extensions": (("GET", "/users"), {"extensions": {"sni_hostname": "x"}}),
    "timeout by extension": (("GET", "/users"), {"extensions": {"timeout": {"read": 1}}}),
    "lower case": (("get", "/users"), {}),
}


@pytest.mark.parametrize("call", REQUESTS)
@pytest.mark.parametrize("client", CLIENTS)
def test_requests_are_built_as_httpx_does(client: str, call: str) -> None:
    """
    Method, URL, headers in their order, body and extensions, for each pair of settings.
    """
    args, kwargs = REQUESTS[call]
    built = []
    for library in (httpx, scallion):
        made = library.Client(**CLIENTS[client])
        if "User-Agent" not in CLIENTS[client].get("headers", {}):
            made.headers["User-Agent"] = "test"
        request = made.build_request(*args, **kwargs)
        built.append(
            (
                request.method,
                str(request.url),
                request.headers.raw,
                request.read(),
                request.extensions,
            )
        )

    assert built[0] == built[1]


def test_cookies_do_not_need_an_absolute_url() -> None:
    """
    A request is built before it is known where it goes.
    differences: "relative URLs with cookies".
    """
    with pytest.raises(ValueError, match="unknown url type"):
        httpx.Client(cookies={"a": "1"}).build_request("GET", "/users")

    request = scallion.Client(cookies={"a": "1"}).build_request("GET", "/users")
    assert "a=1" == request.headers["cookie"]


@pytest.mark.parametrize("call", REQUESTS)
def test_sending_is_building_and_sending(face: Face, call: str) -> None:
    """
    `request()` sends what `build_request()` and `send()` do.
    """
    args, kwargs = REQUESTS[call]
    seen: list[Any] = []

    def note(request: Request) -> Response:
        seen.append(
            (
                request.method,
                str(request.url),
                request.headers.raw,
                request.content,
                dict(request.extensions),
            )
        )
        return Response(200)

    async def scenario(client: Driven) -> None:
        await client.request(*args, **kwargs)
        await client.send(client.build_request(*args, **kwargs))

    face(scenario, note, **CLIENTS["all"])

    assert seen[0] == seen[1]


def test_default_headers_are_httpx_s() -> None:
    """
    Names, order and values, but for the name in the User-Agent.
    differences: "user agent".
    """
    theirs, ours = httpx.Client().headers, scallion.Client().headers

    assert [name for name, _ in theirs.raw] == [name for name, _ in ours.raw]
    assert {k: v for k, v in theirs.items() if k != "user-agent"} == {
        k: v for k, v in ours.items() if k != "user-agent"
    }
    assert f"python-scallion/{scallion.__version__}" == ours["user-agent"]


# Settings


SETTINGS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "headers": (
        {"X-A": "1"},
        lambda headers: [pair for pair in headers.raw if pair[0] != b"User-Agent"],
    ),
    "params": ({"a": "1"}, str),
    "cookies": ({"a": "1"}, dict),
    "base_url": ("http://example.org/api", str),
    "timeout": (3.0, repr),
    "auth": (("user", "pass"), lambda auth: type(auth).__name__),
    "event_hooks": ({"request": [print]}, dict),
    "follow_redirects": (True, bool),
    "max_redirects": (3, int),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_httpx_s(name: str) -> None:
    """
    What is given, and what is assigned later, reads the same.
    """
    value, shown = SETTINGS[name]
    for colour in ("Client", "AsyncClient"):
        read = []
        for library in (httpx, scallion):
            client = getattr(library, colour)
            late = client()
            initial = shown(getattr(late, name)) if name != "auth" else getattr(late, name)
            setattr(late, name, value)
            read.append(
                (shown(getattr(client(**{name: value}), name)), shown(getattr(late, name)), initial)
            )
        assert read[0] == read[1]


def test_settings_count_from_then_on(face: Face) -> None:
    """
    What is assigned holds for the next request.
    """

    async def scenario(client: Driven) -> Any:
        client.base_url = "http://example.org/api"
        client.headers = {"X-A": "1"}
        client.params = {"p": "1"}
        client.cookies = {"c": "1"}
        client.auth = ("user", "pass")
        client.timeout = 3.0
        response = await client.get("/users")
        client.auth = None
        after = await client.get("/users")
        return response.json(), response.request.extensions, after.json()

    seen, extensions, after = face(scenario, echo)

    assert "http://example.org/api/users?p=1" == seen["url"]
    assert ("1", "c=1", "Basic dXNlcjpwYXNz") == tuple(
        seen["headers"][name] for name in ("x-a", "cookie", "authorization")
    )
    assert "authorization" not in after["headers"]
    assert {"timeout": {"connect": 3.0, "read": 3.0, "write": 3.0, "pool": 3.0}} == extensions


def test_timeouts_stand_in_the_extensions(face: Face) -> None:
    """
    The call's, else the client's; `total` where it is set.
    """

    async def scenario(client: Driven) -> Any:
        return [
            (await client.get(URL, **call)).request.extensions["timeout"]
            for call in (
                {},
                {"timeout": 1},
                {"timeout": None},
                {"timeout": scallion.Timeout(2, total=9)},
            )
        ]

    parts = ("connect", "read", "write", "pool")
    assert [
        dict.fromkeys(parts, 5.0),
        dict.fromkeys(parts, 1),
        dict.fromkeys(parts),
        dict.fromkeys(parts, 2) | {"total": 9},
    ] == face(scenario, ok)


def test_default_encoding(face: Face) -> None:
    """
    Where Content-Type names none, the client's counts: a name, or a function of the content.
    """

    def latin(request: Request) -> Response:
        return Response(200, headers={"Content-Type": "text/plain"}, content="ü".encode("latin-1"))

    async def scenario(client: Driven) -> str:
        text: str = (await client.get(URL)).text
        return text

    assert "ü" == face(scenario, latin, default_encoding="latin-1")
    assert "ü" == face(scenario, latin, default_encoding=lambda content: "latin-1")
    assert "\ufffd" == face(scenario, latin)


def test_read_only_settings(face: Face) -> None:
    """
    What cannot change says so.
    """
    client = face.client(ok, trust_env=False)

    assert client.trust_env is False
    assert client.is_closed is False
    for name in ("trust_env", "is_closed", "pipeline"):
        with pytest.raises(AttributeError):
            setattr(client, name, True)


# Life and death


class Recorder(scallion.BaseTransport, scallion.AsyncBaseTransport):
    """A transport that tells what becomes of it."""

    def __init__(self, *, fails: bool = False, fails_to_open: bool = False) -> None:
        self.told: list[str] = []
        self.fails = fails
        self.fails_to_open = fails_to_open

    def handle_request(self, request: Request) -> Response:
        return Response(200)

    async def handle_async_request(self, request: Request) -> Response:
        return Response(200)

    def _opened(self) -> None:
        if self.fails_to_open:
            raise OSError("cannot open")
        self.told.append("opened")

    def __enter__(self) -> Self:
        self._opened()
        return self

    async def __aenter__(self) -> Self:
        self._opened()
        return self

    def close(self) -> None:
        self.told.append("closed")
        if self.fails:
            raise OSError("cannot close")

    async def aclose(self) -> None:
        self.close()


def test_with_opens_and_closes_transports_and_mounts(face: Face) -> None:
    """
    Each once, also one that is mounted twice.
    differences: "one close per transport".
    """
    own, mounted = Recorder(), Recorder()

    async def scenario() -> bool:
        client = face.client(
            transport=own,
            mounts={"http://a": mounted, "http://b": mounted, "http://c": None, "http://d": own},
        )
        async with client:
            assert ["opened"] == own.told == mounted.told
        return bool(client.is_closed)

    assert face.drive(scenario)
    assert ["opened", "closed"] == own.told == mounted.told


def test_closing_closes_all(face: Face) -> None:
    """
    Once, however often it is asked; within `with` too.
    """
    own, mounted = Recorder(), Recorder()

    async def scenario() -> None:
        async with face.client(transport=own, mounts={"http://a": mounted}) as client:
            await client.close()
            await client.close()

    face.drive(scenario)
    assert ["opened", "closed"] == own.told == mounted.told


def test_a_client_that_is_closed_sends_nothing_again(face: Face) -> None:
    """
    What breaks because the client is closed looks like a failure to `Retries`, and is none.
    """
    asked = []

    async def scenario(client: Driven) -> None:
        def broken(request: Request) -> Response:
            asked.append(request)
            client.client._state = ClientState.CLOSED
            raise scallion.ReadError("closed under its request")

        handler.append(broken)
        with pytest.raises(RuntimeError, match="closed while this request was under way"):
            await client.get(URL)

    handler: list[Callable[[Request], Response]] = []
    face(scenario, lambda request: handler[0](request), middlewares=[scallion.Retries()])

    assert 1 == len(asked)


@pytest.mark.parametrize("how", ["close", "with"])
def test_a_transport_that_cannot_close_does_not_keep_the_others_open(face: Face, how: str) -> None:
    """
    Each is closed all the same, and the error passes.
    differences: "every transport is closed".
    """
    first, last = Recorder(fails=True), Recorder()
    middle = Recorder(fails=True)

    async def scenario() -> None:
        client = face.client(transport=first, mounts={"http://a": middle, "http://b": last})
        if how == "close":
            await client.close()
        else:
            async with client:
                pass

    with pytest.raises(OSError, match="cannot close"):
        face.drive(scenario)
    assert ["closed"] * 3 == [transport.told[-1] for transport in (first, middle, last)]


def test_a_transport_that_cannot_open_closes_the_others(face: Face) -> None:
    """
    What was opened before is closed again, and the client is closed.
    differences: "every transport is closed".
    """
    first, last = Recorder(), Recorder(fails_to_open=True)

    async def scenario() -> Driven:
        client = face.client(transport=first, mounts={"http://a": last})
        with pytest.raises(OSError, match="cannot open"):
            await client.__aenter__()
        return client

    assert face.drive(scenario).is_closed
    assert ["opened", "closed"] == first.told
    assert [] == last.told


def test_a_closed_client_sends_nothing(face: Face) -> None:
    """
    Neither by request, nor by send, nor by stream.
    """
    seen: list[Request] = []

    def note(request: Request) -> Response:
        seen.append(request)
        return Response(200)

    async def scenario() -> None:
        client = face.client(note)
        request = client.build_request("GET", URL)
        await client.close()
        for send in (client.get(URL), client.send(request), client.stream("GET", URL).__aenter__()):
            with pytest.raises(
                RuntimeError, match=r"^Cannot send a request, as the client has been closed"
            ):
                await send

    face.drive(scenario)
    assert [] == seen


def test_reopening_is_refused_as_in_httpx(face: Face) -> None:
    """
    A client is opened once: not twice, not after use, not after closing.
    """

    async def scenario() -> None:
        opened, used, closed = face.client(ok), face.client(ok), face.client(ok)
        async with opened:
            with pytest.raises(
                RuntimeError, match=r"^Cannot open a client instance more than once\.$"
            ):
                await opened.__aenter__()
        await used.get(URL)
        with pytest.raises(RuntimeError, match=r"^Cannot open a client instance more than once\.$"):
            await used.__aenter__()
        await closed.close()
        with pytest.raises(
            RuntimeError, match=r"^Cannot reopen a client instance, once it has been closed\.$"
        ):
            await closed.__aenter__()
        assert not used.is_closed

    face.drive(scenario)


def test_usable_without_with(face: Face) -> None:
    """
    A client is ready when it is made.
    """

    async def scenario() -> list[int]:
        client = face.client(ok)
        statuses = [(await client.get(URL)).status_code for _ in range(2)]
        await client.close()
        return statuses

    assert [200, 200] == face.drive(scenario)


def test_repr_tells_the_state(face: Face) -> None:
    """
    Its state, its layers, its transport.
    """

    async def scenario() -> list[str]:
        client = face.client(ok)
        shown = [repr(client.client)]
        await client.get(URL)
        shown.append(repr(client.client))
        await client.close()
        return [*shown, repr(client.client)]

    name = "Client" if face.blocking else "AsyncClient"
    assert [
        f"<{name} {state}, 5 layers over MockTransport(ok)>"
        for state in ("unopened", "opened", "closed")
    ] == face.drive(scenario)


# Responses


def test_a_response_is_read_and_knows_its_request(face: Face) -> None:
    """
    Content, request, URL, history and time.
    """
    stream = OpenStream(b"a", b"b")

    async def scenario(client: Driven) -> Response:
        response: Response = await client.get(URL)
        return response

    response = face(scenario, lambda request: Response(200, stream=stream))

    assert b"ab" == response.content
    assert response.is_closed
    assert stream.closed
    assert ("GET", URL) == (response.request.method, str(response.url))
    assert [] == response.history
    assert response.elapsed >= timedelta(0)


def test_a_streamed_response_is_closed_on_leaving(face: Face) -> None:
    """
    Read or not, and whatever happens inside.
    """
    streams = [OpenStream(b"body") for _ in range(3)]
    waiting = iter(streams)

    async def scenario(client: Driven) -> None:
        async with client.stream("GET", URL) as response:
            assert not response.is_closed
            with pytest.raises(scallion.ResponseNotRead):
                _ = response.content
            with pytest.raises(RuntimeError, match="elapsed"):
                _ = response.elapsed
        assert response.is_closed
        assert response.elapsed >= timedelta(0)
        async with client.stream("GET", URL) as response:
            assert b"body" == await client.read(response)
        with pytest.raises(KeyError):
            async with client.stream("GET", URL) as response:
                raise KeyError
        assert response.is_closed

    face(scenario, lambda request: Response(200, stream=next(waiting)))

    assert [True] * 3 == [stream.closed for stream in streams]


def test_send_can_stream(face: Face) -> None:
    """
    The caller reads and closes it.
    """
    stream = OpenStream(b"body")

    async def scenario(client: Driven) -> bytes:
        response = await client.send(client.build_request("GET", URL), stream=True)
        assert not stream.closed
        content: bytes = await client.read(response)
        await client.release(response)
        return content

    assert b"body" == face(scenario, lambda request: Response(200, stream=stream))
    assert stream.closed


def test_streaming_takes_what_request_takes(face: Face) -> None:
    """
    Redirects, auth, middlewares, params and bodies.
    """

    async def scenario(client: Driven) -> Any:
        async with client.stream(
            "POST", "start", params={"a": "1"}, content=b"x", auth=("u", "p"), follow_redirects=True
        ) as response:
            await client.read(response)
            return response.json(), [past.status_code for past in response.history]

    def handler(request: Request) -> Response:
        if request.url.path == "/start":
            return Response(307, headers={"Location": "/end"})
        return echo(request)

    seen, history = face(scenario, handler, base_url=URL)

    assert [307] == history
    assert ("POST", "http://example.org/end", "x") == (seen["method"], seen["url"], seen["content"])
    assert "authorization" in seen["headers"]


class Breaking(OpenStream):
    """A body that ends in an error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(b"some")
        self.error = error

    def __iter__(self) -> Any:
        yield b"some"
        raise self.error

    async def __anext__(self) -> bytes:
        for chunk in self.chunks:
            return chunk
        raise self.error


def test_errors_name_their_request(face: Face) -> None:
    """
    Whether sending or reading failed; the response is closed.
    """
    streams: list[Breaking] = []

    def handler(request: Request) -> Response:
        if request.url.path == "/body":
            streams.append(Breaking(scallion.ReadError("gone")))
            return Response(200, stream=streams[-1])
        raise scallion.ConnectError("refused")

    async def scenario(client: Driven) -> None:
        with pytest.raises(scallion.ConnectError, match="refused") as info:
            await client.post(URL)
        assert ("POST", URL) == (info.value.request.method, str(info.value.request.url))
        with pytest.raises(scallion.ReadError, match="gone") as info:
            await client.get(f"{URL}body")
        assert f"{URL}body" == str(info.value.request.url)
        async with client.stream("GET", f"{URL}body") as response:
            with pytest.raises(scallion.ReadError, match="gone") as info:
                await client.read(response)
        assert f"{URL}body" == str(info.value.request.url)

    face(scenario, handler)
    assert [True, True] == [stream.closed for stream in streams]


def test_an_error_keeps_the_request_it_names(face: Face) -> None:
    """
    A transport's own word counts.
    """
    inner = Request("GET", "http://inner.example/")

    def handler(request: Request) -> Response:
        raise scallion.ReadError("gone", request=inner)

    async def scenario(client: Driven) -> Any:
        with pytest.raises(scallion.ReadError) as info:
            await client.get(URL)
        return info.value.request

    assert inner is face(scenario, handler)


def test_other_errors_pass_as_they_are(face: Face) -> None:
    """
    What is no failure of the network is not dressed up.
    """

    def handler(request: Request) -> Response:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        face(lambda client: client.get(URL), handler)


# Options of one call


def test_middlewares_of_a_call_extend_the_client_s(face: Face) -> None:
    """
    They lie inside the client's per-call ones and outside the built-in layers, also by extension.
    """
    seen: list[str] = []

    def layer(name: str) -> Any:
        return face.middleware(lambda request: seen.append(name))

    pipeline = scallion.compatible().per_attempt(layer("attempt"))

    def handler(request: Request) -> Response:
        seen.append(request.url.path)
        return (
            Response(302, headers={"Location": "/end"})
            if request.url.path == "/"
            else Response(200)
        )

    async def scenario(client: Driven) -> None:
        await client.get(URL, middlewares=[layer("call 1"), layer("call 2")], follow_redirects=True)
        seen.append("--")
        request = client.build_request("GET", URL, extensions={"middlewares": [layer("extension")]})
        await client.send(request, middlewares=[layer("argument")])
        seen.append("--")
        async with client.stream("GET", URL, middlewares=[layer("stream")]):
            pass
        seen.append("--")
        await client.get(URL)

    face(scenario, handler, pipeline=pipeline, middlewares=[layer("client")])

    assert [
        "client call 1 call 2 attempt / attempt /end",
        "client argument extension attempt /",
        "client stream attempt /",
        "client attempt /",
    ] == [part.strip() for part in " ".join(seen).split("--")]


@pytest.mark.parametrize("fails", ["nowhere", "in the transport", "in the body", "before sending"])
def test_options_of_a_call_leave_no_trace(face: Face, fails: str) -> None:
    """
    What the arguments lay into the extensions is taken out again, whatever happens.
    """

    def handler(request: Request) -> Response:
        assert {"scallion.Authentication", "scallion.Redirects"} < set(request.extensions)
        if fails == "in the transport":
            raise scallion.ConnectError("refused")
        if fails == "in the body":
            return Response(200, stream=Breaking(scallion.ReadError("gone")))
        return Response(200)

    async def scenario(client: Driven) -> set[str]:
        request = client.build_request("GET", URL)
        kwargs: dict[str, Any] = {"auth": ("u", "p"), "follow_redirects": True}
        if fails == "before sending":
            request.extensions["timeuot"] = 1
        try:
            response = await client.send(request, **kwargs)
        except (scallion.RequestError, scallion.UnknownOption):
            assert "nowhere" != fails
        else:
            assert response.request is request
        return set(request.extensions) - {"timeuot"}

    assert {"timeout"} == face(scenario, handler)


def test_a_call_that_is_refused_leaves_no_trace(face: Face) -> None:
    """
    With one layer there and the other not, nothing is laid.
    """

    async def scenario(client: Driven) -> dict[str, Any]:
        request = client.build_request("GET", URL, extensions={})
        with pytest.raises(
            scallion.UnknownOption, match=r"^follow_redirects= needs the layer Redirects"
        ):
            await client.send(request, auth=("u", "p"), follow_redirects=True)
        extensions: dict[str, Any] = request.extensions
        return extensions

    extensions = face(scenario, ok, pipeline=scallion.compatible().without(scallion.Redirects))
    assert ["timeout"] == list(extensions)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"auth": ("u", "secret")}, "auth= needs the layer Authentication"),
        ({"follow_redirects": True}, "follow_redirects= needs the layer Redirects"),
        ({"allow_redirects": True}, "follow_redirects= needs the layer Redirects"),
        (
            {"extensions": {"scallion.Retries": 1}},
            "option for Retries, and this client's pipeline has no such layer",
        ),
        ({"extensions": scallion.Redirects.option_for(limit=1)}, "option for Redirects"),
        ({"extensions": {"timeouts": 1}}, "'timeouts': did you mean 'timeout'?"),
    ],
)
def test_options_without_their_layer_are_refused(face: Face, kwargs: Any, message: str) -> None:
    """
    An option that nobody reads is never ignored; the message names how it was spelt.
    """
    with pytest.raises(scallion.UnknownOption) as info:
        face(lambda client: client.get(URL, **kwargs), ok, pipeline=Pipeline())

    assert message in str(info.value)
    assert "secret" not in str(info.value)


def test_options_that_ask_for_nothing_need_no_layer(face: Face) -> None:
    """
    No auth, no redirects and foreign extensions suit any pipeline.
    """

    async def scenario(client: Driven) -> list[str]:
        response = await client.get(
            URL, auth=None, follow_redirects=False, extensions={"foreign": 1}
        )
        return sorted(response.request.extensions)

    assert ["foreign", "timeout"] == face(scenario, ok, pipeline=Pipeline())


def test_credentials_in_the_url_need_their_layer(face: Face) -> None:
    """
    They are not dropped silently, and not shown.
    """
    with pytest.raises(
        scallion.UnknownOption, match="A user or password in the URL needs the layer"
    ) as info:
        face(lambda client: client.get("http://user:secret@example.org/"), ok, pipeline=Pipeline())

    assert "secret" not in str(info.value)


def test_the_pipeline_s_auth_goes_before_the_url_s(face: Face) -> None:
    """
    As the client's does in httpx; a call's `auth=None` switches it off.
    """
    pipeline = scallion.service_stack(auth=("layer", "p"))

    async def scenario(client: Driven) -> list[Any]:
        calls: list[tuple[str, dict[str, Any]]] = [
            ("http://url:p@example.org/", {}),
            (URL, {}),
            (URL, {"auth": None}),
            ("http://url:p@example.org/", {"auth": None}),
            (URL, {"auth": ("call", "p")}),
        ]
        return [
            (await client.get(url, **kwargs)).json()["headers"].get("authorization")
            for url, kwargs in calls
        ]

    basic = {name: scallion.BasicAuth(name, "p")._credentials for name in ("layer", "url", "call")}
    assert [basic["layer"], basic["layer"], None, basic["url"], basic["call"]] == face(
        scenario, echo, pipeline=pipeline
    )


REDIRECT_SETTINGS: list[tuple[Any, dict[str, Any], dict[str, Any], int, int]] = [
    # layer, client, call, follow_redirects and status
    (scallion.Redirects(True), {}, {}, True, 200),
    (scallion.Redirects(True), {"follow_redirects": False}, {}, False, 302),
    (scallion.Redirects(True), {"follow_redirects": False}, {"follow_redirects": True}, False, 200),
    (scallion.Redirects(True), {}, {"follow_redirects": False}, True, 302),
    (scallion.Redirects(False), {}, {}, False, 302),
    (scallion.Redirects(False), {"follow_redirects": True}, {}, True, 200),
    (scallion.Redirects(False), {"allow_redirects": True}, {}, True, 200),
    (scallion.Redirects(False), {}, {"allow_redirects": True}, False, 200),
]


@pytest.mark.parametrize(("layer", "client", "call", "follow", "status"), REDIRECT_SETTINGS)
def test_who_says_whether_redirects_are_followed(
    face: Face, layer: Any, client: Any, call: Any, follow: bool, status: int
) -> None:
    """
    The call, else the client, else the pipeline's layer.
    """

    def handler(request: Request) -> Response:
        return (
            Response(302, headers={"Location": "/end"})
            if request.url.path == "/"
            else Response(200)
        )

    async def scenario(made: Driven) -> tuple[bool, int]:
        return made.follow_redirects, (await made.get(URL, **call)).status_code

    assert (follow, status) == face(scenario, handler, pipeline=Pipeline(layer), **client)


@pytest.mark.parametrize(
    ("layer", "client", "limit"), [(5, {}, 5), (5, {"max_redirects": 3}, 3), (20, {}, 20)]
)
def test_who_says_how_many(face: Face, layer: int, client: Any, limit: int) -> None:
    """
    The client's `max_redirects`, else the layer's limit; it may be changed.
    """
    sent: list[Request] = []

    def handler(request: Request) -> Response:
        sent.append(request)
        return Response(302, headers={"Location": f"/{len(sent)}"})

    async def scenario(made: Driven) -> int:
        with pytest.raises(scallion.TooManyRedirects):
            await made.get(URL)
        first = len(sent)
        made.max_redirects = 1
        with pytest.raises(scallion.TooManyRedirects):
            await made.get(URL)
        assert 2 == len(sent) - first
        return first - 1

    assert limit == face(
        scenario, handler, pipeline=Pipeline(scallion.Redirects(True, layer)), **client
    )


# Older spellings


def test_both_spellings_of_redirects_are_refused(face: Face) -> None:
    """
    On the client, on its methods, and in the functions.
    differences: "older spellings".
    """
    both: dict[str, Any] = {"follow_redirects": True, "allow_redirects": True}
    message = (
        "allow_redirects= is the older spelling of follow_redirects=: give one of them, not both"
    )

    async def scenario(client: Driven) -> None:
        request = client.build_request("GET", URL)
        for call in (
            lambda: client.get(URL, **both),
            lambda: client.request("GET", URL, **both),
            lambda: client.post(URL, **both),
            lambda: client.send(request, **both),
            lambda: client.stream("GET", URL, **both).__aenter__(),
        ):
            with pytest.raises(TypeError) as info:
                await call()
            assert message == str(info.value)

    face(scenario, ok)
    for make in (scallion.Client, scallion.AsyncClient):
        with pytest.raises(TypeError, match="older spelling of follow_redirects="):
            make(**both)
    for name in ("get", "options", "head", "post", "put", "patch", "delete"):
        with pytest.raises(TypeError, match="older spelling of follow_redirects="):
            getattr(scallion, name)(URL, **both)
    with pytest.raises(TypeError, match="older spelling of follow_redirects="):
        scallion.request("GET", URL, **both)
    with pytest.raises(TypeError, match="older spelling of follow_redirects="):
        scallion.stream("GET", URL, **both).__enter__()


def test_both_spellings_of_proxies_are_refused() -> None:
    """
    On clients and functions; the values are not shown.
    differences: "older spellings".
    """
    both: dict[str, Any] = {"proxy": "http://u:secret@localhost:1", "proxies": "http://localhost:2"}
    for make in (
        lambda: scallion.Client(**both),
        lambda: scallion.AsyncClient(**both),
        lambda: scallion.get(URL, **both),
        lambda: scallion.stream("GET", URL, **both).__enter__(),
    ):
        with pytest.raises(TypeError) as info:
            make()
        assert "proxies= is the older spelling of proxy=: give one of them, not both" == str(
            info.value
        )


# Logging


def test_each_exchange_is_logged_once(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    """
    One line at INFO on the logger "scallion", in httpx's form, for each hop, without secrets.
    differences: "log".
    """

    def handler(request: Request) -> Response:
        if request.url.path == "/":
            return Response(302, headers={"Location": "/end?token=secret&a=1"})
        return Response(404, extensions={"reason_phrase": b"Nope", "http_version": b"HTTP/2"})

    with caplog.at_level(logging.INFO, logger="scallion"):
        face(
            lambda client: client.get("http://user:secret@example.org/", follow_redirects=True),
            handler,
        )

    records = [record for record in caplog.records if record.name == "scallion"]
    assert [
        'HTTP Request: GET http://REDACTED:REDACTED@example.org/ "HTTP/1.1 302 Found"',
        'HTTP Request: GET http://REDACTED:REDACTED@example.org/end?token=REDACTED&a=1 "HTTP/2 404 Nope"',
    ] == [record.getMessage() for record in records]
    assert {logging.INFO} == {record.levelno for record in records}


def test_nothing_is_logged_above_info(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    """
    By default programs are quiet.
    """
    with caplog.at_level(logging.WARNING, logger="scallion"):
        face(lambda client: client.get(URL), ok)

    assert [] == [record for record in caplog.records if record.name == "scallion"]


# Many at once


def test_threads_share_a_client() -> None:
    """
    Eight threads, each with its own answers, errors and options.
    """
    failures: list[BaseException] = []

    def handler(request: Request) -> Response:
        if "fail" in request.url.path:
            raise scallion.ConnectError(request.url.path)
        return Response(200, json=[str(request.url), request.headers.get("authorization")])

    with scallion.Client(transport=scallion.MockTransport(handler)) as client:

        def work(number: int) -> None:
            try:
                for turn in range(25):
                    url = f"{URL}{number}/{turn}"
                    auth = (str(number), str(turn)) if turn % 2 else None
                    answer = client.get(url, auth=auth).json()
                    assert url == answer[0]
                    assert (answer[1] is None) == (auth is None)
                    with pytest.raises(scallion.ConnectError, match=f"/fail/{number}/{turn}$"):
                        client.get(f"{URL}fail/{number}/{turn}")
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert [] == failures


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_tasks_share_a_client(backend: str) -> None:
    """
    Fifty tasks at once over one AsyncClient.
    """

    async def handler(request: Request) -> Response:
        await anyio.sleep(0)
        return Response(200, text=str(request.url))

    answers: list[bool] = []

    async def scenario() -> None:
        async with scallion.AsyncClient(transport=scallion.MockTransport(handler)) as client:

            async def work(number: int) -> None:
                response = await client.get(f"{URL}{number}", params={"n": str(number)})
                answers.append(response.text == f"{URL}{number}?n={number}")

            async with anyio.create_task_group() as group:
                for number in range(50):
                    group.start_soon(work, number)

    anyio.run(scenario, backend=backend)

    assert [True] * 50 == answers


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_call_closes_its_response(backend: str) -> None:
    """
    Cancelled while the body is read, it still releases the connection.
    """

    class Endless(scallion.AsyncByteStream):
        closed = False

        def __aiter__(self) -> Endless:
            return self

        async def __anext__(self) -> bytes:
            await anyio.sleep_forever()
            return b""

        async def aclose(self) -> None:
            self.closed = True

    stream = Endless()

    async def scenario() -> bool:
        transport = scallion.MockTransport(lambda request: Response(200, stream=stream))
        async with scallion.AsyncClient(transport=transport) as client:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(client.get, URL)
                    await anyio.wait_all_tasks_blocked()
                    scope.cancel()
        return scope.cancelled_caught

    assert anyio.run(scenario, backend=backend)
    assert stream.closed


# The functions


@pytest.mark.parametrize("name", ["get", "options", "head", "delete", "post", "put", "patch"])
def test_functions_make_a_client_for_one_call(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    They pass everything on, and close it.
    """
    made: list[scallion.Client] = []

    class Watched(scallion.Client):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(transport=scallion.MockTransport(echo), **kwargs)
            made.append(self)

    monkeypatch.setattr(sys.modules["scallion._api"], "Client", Watched)
    body = {"json": {"a": 1}} if name in ("post", "put", "patch") else {}
    seen = json.loads(
        getattr(scallion, name)(
            URL,
            params={"a": "1"},
            headers={"X-A": "1"},
            cookies={"c": "1"},
            auth=("u", "p"),
            timeout=1.0,
            follow_redirects=True,
            trust_env=False,
            **body,
        ).content
    )

    assert (name.upper(), f"{URL}?a=1", "1", "c=1") == (
        seen["method"],
        seen["url"],
        seen["headers"]["x-a"],
        seen["headers"]["cookie"],
    )
    assert "authorization" in seen["headers"]
    assert [True] == [client.is_closed for client in made]
    assert scallion.Timeout(1.0) == made[0].timeout


def test_the_stream_function_closes_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    When the context is left.
    """
    made: list[scallion.Client] = []
    response = open_response(200, b"body")

    class Watched(scallion.Client):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(transport=scallion.MockTransport(lambda request: response), **kwargs)
            made.append(self)

    monkeypatch.setattr(sys.modules["scallion._api"], "Client", Watched)
    with scallion.stream("GET", URL) as streamed:
        assert not streamed.is_closed
        assert not made[0].is_closed

    assert streamed.is_closed
    assert made[0].is_closed
