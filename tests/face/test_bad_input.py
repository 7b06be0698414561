"""Mistakes: each error says what was given, what was expected and what to do, and leaks no secret."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

import scallion
from face.conftest import Driven, Face
from scallion import Request, Response
from support.servers import HTTPServer, ScriptedServer, close, expect, send

URL = "http://example.org/"


def ok(request: Request) -> Response:
    return Response(200)


def failing(face: Face, call: Callable[[Driven], Any], **settings: Any) -> Exception:
    """What `call` raises, in a client of the colour, before anything is sent."""
    sent: list[Request] = []

    def handler(request: Request) -> Response:
        sent.append(request)
        return Response(200)

    with pytest.raises(Exception) as info:
        face(call, handler, **settings)
    assert [] == sent
    assert "s3cret" not in str(info.value)
    assert "s3cret" not in repr(info.value)
    error: Exception = info.value
    return error


CALLS: dict[str, tuple[Callable[[Driven], Any], type[Exception], str]] = {
    "port": (lambda c: c.get("http://example.org:port/"), scallion.InvalidURL, "Invalid port"),
    "control character": (
        lambda c: c.get("http://example.org/\n"),
        scallion.InvalidURL,
        "non-printable",
    ),
    "a URL's password": (
        lambda c: c.get("http://u:s3cret@example.org:x/"),
        scallion.InvalidURL,
        "Invalid port",
    ),
    "no URL": (
        lambda c: c.get(None),
        TypeError,
        "Invalid type for url: expected str or scallion.URL, got NoneType",
    ),
    "bytes as URL": (lambda c: c.get(b"http://x"), TypeError, "Invalid type for url: expected str"),
    "method": (
        lambda c: c.request("GET /", URL),
        scallion.LocalProtocolError,
        "expected a token such as 'GET'",
    ),
    "timeout text": (
        lambda c: c.get(URL, timeout="5"),
        TypeError,
        "must be seconds or None, not '5'",
    ),
    "timeout negative": (
        lambda c: c.get(URL, timeout=-1),
        ValueError,
        "at least 0 seconds, or None for no limit",
    ),
    "auth text": (
        lambda c: c.get(URL, auth="s3cret"),
        TypeError,
        'Invalid "auth" argument: str; expected a (username, password) pair',
    ),
    "auth triple": (
        lambda c: c.get(URL, auth=("a", "s3cret", "c")),
        TypeError,
        'Invalid "auth" argument: tuple',
    ),
    "auth class": (
        lambda c: c.get(URL, auth=scallion.DigestAuth),
        TypeError,
        "the class DigestAuth; give an instance",
    ),
    "auth colon": (
        lambda c: c.get(URL, auth=("a:b", "s3cret")),
        ValueError,
        "no colon in the username",
    ),
    "header value": (
        lambda c: c.get(URL, headers={"X-A": 1}),
        TypeError,
        "Header value must be str or bytes",
    ),
    "header name": (
        lambda c: c.get(URL, headers={1: "a"}),
        TypeError,
        "Header name must be str or bytes",
    ),
    "middlewares, one": (
        lambda c: c.get(URL, middlewares=a_middleware),
        TypeError,
        "middlewares= is a sequence: write [a_middleware]",
    ),
    "middlewares, one by extension": (
        lambda c: c.get(URL, extensions={"middlewares": a_middleware}),
        TypeError,
        "middlewares= is a sequence: write [a_middleware]",
    ),
    "middlewares, a class": (
        lambda c: c.get(URL, middlewares=[scallion.Retries]),
        TypeError,
        "Retries is a class: a pipeline holds instances, so write Retries()",
    ),
    "middlewares, no layer": (
        lambda c: c.get(URL, middlewares=[1]),
        TypeError,
        "1 is no middleware",
    ),
    "content": (lambda c: c.post(URL, content=1), TypeError, "Unexpected type for 'content'"),
    "JSON": (lambda c: c.post(URL, json={1, 2}), TypeError, "not JSON serializable"),
    "an option": (
        lambda c: c.get(URL, timeouts=1),
        TypeError,
        "unexpected keyword argument 'timeouts'",
    ),
    "no request": (
        lambda c: c.send(URL),
        TypeError,
        "send() takes a Request, not str: make one with build_request",
    ),
}


async def a_middleware(request: Request, call_next: scallion.Next) -> Response:
    return await call_next(request)


@pytest.mark.parametrize("case", CALLS)
def test_mistakes_in_a_call(face: Face, case: str) -> None:
    """
    Nothing is sent.
    """
    call, kind, message = CALLS[case]
    error = failing(face, call)

    assert isinstance(error, kind), repr(error)
    assert message in str(error)


SETTINGS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "auth": ({"auth": "s3cret"}, TypeError, 'Invalid "auth" argument: str'),
    "timeout": ({"timeout": "5"}, TypeError, "Timeout connect must be seconds or None, not '5'"),
    "timeout list": ({"timeout": [1]}, TypeError, "Timeout connect must be seconds or None"),
    "limits": ({"limits": 10}, TypeError, "limits= takes Limits(max_connections=...), not 10"),
    "base URL": (
        {"base_url": 1},
        TypeError,
        "Invalid type for url: expected str or scallion.URL, got int",
    ),
    "headers": ({"headers": {"X": None}}, TypeError, "Header value must be str or bytes"),
    "max redirects": ({"max_redirects": -1}, ValueError, "at least 0: -1"),
    "events": ({"event_hooks": {"requests": []}}, ValueError, "There is no event 'requests'"),
    "middlewares": (
        {"middlewares": a_middleware},
        TypeError,
        "middlewares= is a sequence: write [a_middleware]",
    ),
    "a class": ({"middlewares": [scallion.Retries]}, TypeError, "so write Retries()"),
    "pipeline": ({"pipeline": [a_middleware]}, TypeError, "pipeline= takes a Pipeline, not a list"),
    "pipeline function": ({"pipeline": scallion.compatible}, TypeError, "write compatible()"),
    "mounts": ({"mounts": {"example.org": None}}, ValueError, "use 'example.org://'"),
    "proxy": (
        {"proxy": "ftp://u:s3cret@proxy"},
        ValueError,
        "expected http, https, socks5 or socks5h",
    ),
    "an argument": ({"retries": 3}, TypeError, "unexpected keyword argument 'retries'"),
}


@pytest.mark.parametrize("client", [scallion.Client, scallion.AsyncClient])
@pytest.mark.parametrize("case", SETTINGS)
def test_mistakes_in_a_setting(case: str, client: Any) -> None:
    """
    Refused when the client is made.
    differences: "settings are validated".
    """
    settings, kind, message = SETTINGS[case]
    with pytest.raises(kind) as info:
        client(**settings)

    assert message in str(info.value)
    assert "s3cret" not in str(info.value)


def test_a_plain_middleware_in_an_async_client() -> None:
    """
    Refused when the client is made; as a hint, what to write.
    """

    def plain(request: Request, call_next: scallion.SyncNext) -> Response:
        return call_next(request)

    with pytest.raises(
        TypeError, match=r"plain is a plain function.*write `async def` for an AsyncClient"
    ):
        scallion.AsyncClient(middlewares=[plain])  # type: ignore[list-item]


def test_a_middleware_that_returns_nothing(face: Face) -> None:
    """
    Named, whether it is the client's or the call's.
    """

    async def forgetful(request: Request, call_next: scallion.Next) -> Any:
        await (await call_next(request)).aclose()

    async def scenario(client: Driven) -> None:
        with pytest.raises(
            scallion.MiddlewareError, match="forgetful returned None instead of a Response"
        ):
            await client.get(URL, middlewares=[forgetful])

    face(scenario, ok)


def test_a_mock_that_returns_nothing(face: Face) -> None:
    """
    The handler's mistake is told as such.
    """
    with pytest.raises(
        TypeError, match="The mock's handler returned None: it must return a Response"
    ):
        face(lambda client: client.get(URL), lambda request: None)


# Over the network


def over_the_wire(face: Face, call: Callable[[Driven], Any], *script: Any) -> Exception:
    """What `call` raises, in a client that is given a server playing `script`."""
    with ScriptedServer(*([script] if script else [])) as server:
        with pytest.raises(scallion.RequestError) as info:
            face(call, base_url=server.url, timeout=5.0)
    error: Exception = info.value
    return error


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Token": "s3cret\r\nX-Injected: 1"},
        {"X-Token": "s3cret\nmore"},
        {"X-Token": "s3cret\x00"},
        {"X Token": "s3cret"},
        {"X-Token:": "s3cret"},
        {"": "s3cret"},
        {"Authorization": "Bearer s3cret\n"},
    ],
)
def test_a_header_that_breaks_the_framing_is_not_sent(face: Face, headers: Any) -> None:
    """
    LocalProtocolError names the header, not its value; no byte leaves.
    """
    with ScriptedServer([], repeat=True) as server:
        with pytest.raises(scallion.LocalProtocolError) as info:
            face(lambda client: client.get("/", headers=headers), base_url=server.url, timeout=5.0)
        assert all(not peer.received for peer in server.connections)

    assert "s3cret" not in str(info.value)
    assert "header" in str(info.value).lower()
    assert "GET" == info.value.request.method


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n", b"HTTP/9 ok\r\n\r\n"],
)
def test_an_answer_that_is_not_http(face: Face, answer: bytes) -> None:
    """
    RemoteProtocolError, and the connection is closed.
    """
    for content in (None, b"x"):
        call = lambda client, content=content: client.post("/", content=content)  # noqa: E731
        error = over_the_wire(face, call, expect(), send(answer))
        assert isinstance(error, scallion.RemoteProtocolError)
        assert "/" == error.request.url.path


def test_no_answer_at_all(face: Face) -> None:
    """
    A server that hangs up is a RemoteProtocolError or ReadError that names the request.
    """
    error = over_the_wire(face, lambda client: client.post("/", content=b"x"), expect(), close)

    assert isinstance(error, (scallion.RemoteProtocolError, scallion.ReadError))
    assert "POST" == error.request.method


@pytest.mark.parametrize("content", [None, b"x"])
def test_what_h11_must_read_does_not_depend_on_the_body_sent(
    face: Face, content: bytes | None
) -> None:
    """
    An unusual answer to a request with a body is read as to one without.
    """
    answer = b"HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\nok"

    async def scenario(client: Driven) -> tuple[str, str]:
        response = await client.post("/", content=content)
        return response.text, response.headers["x-folded"]

    with ScriptedServer([expect(), send(answer)]) as server:
        assert ("ok", "a b") == face(scenario, base_url=server.url)


@pytest.mark.parametrize(
    "url", ["/relative", "example.org/path", "ftp://example.org/", "://x", "http:///x"]
)
def test_a_url_without_a_transport(face: Face, url: str) -> None:
    """
    No scheme, a foreign one, or no host: UnsupportedProtocol says what is needed.
    """
    with pytest.raises(
        scallion.UnsupportedProtocol, match=r"http://|https://|host|unsupported protocol 'ftp://'"
    ) as info:
        face(lambda client: client.get(url))

    assert "GET" == info.value.request.method


def test_nobody_listens(face: Face) -> None:
    """
    ConnectError names host and port.
    """
    with ScriptedServer() as server:
        port = server.port
    with pytest.raises(scallion.ConnectError, match=str(port)) as info:
        face(lambda client: client.get(f"http://user:s3cret@127.0.0.1:{port}/"))

    assert "s3cret" not in str(info.value)


def test_connections_come_back_when_a_middleware_needs_a_loop() -> None:
    """
    Whoever suspends is named, and the response that it held does not keep its connection.
    """

    async def culprit(request: Request, call_next: scallion.Next) -> Response:
        response = await call_next(request)
        await asyncio.sleep(0)
        return response

    with HTTPServer() as server:
        with scallion.Client(base_url=server.url) as client:
            with pytest.raises(RuntimeError, match="culprit suspended"):
                client.get("/", middlewares=[culprit])
            gc.collect()
            assert 200 == client.get("/").status_code
            transport: Any = client._transport
            assert 0 == transport.pool.active


def test_what_is_refused_leaves_the_client_usable(face: Face) -> None:
    """
    After each mistake the next call goes through.
    """

    async def scenario(client: Driven) -> list[int]:
        statuses = []
        for call, _, _ in CALLS.values():
            try:
                await call(client)
            except Exception:
                statuses.append((await client.get(URL)).status_code)
        return statuses

    assert [200] * len(CALLS) == face(scenario, ok)


def test_a_total_without_its_layer_is_refused(face: Face) -> None:
    """
    A limit that nobody would keep is not taken.
    """

    async def scenario(client: Driven) -> None:
        with pytest.raises(scallion.UnknownOption, match="needs the layer Deadlines"):
            await client.get("http://a/", timeout=scallion.Timeout(5, total=1))
        assert 200 == (await client.get("http://a/")).status_code

    face(scenario, lambda request: Response(200), pipeline=scallion.Pipeline())


def test_max_redirects_without_its_layer_is_refused() -> None:
    """
    Like `follow_redirects=` and `auth=`.
    """
    with pytest.raises(scallion.UnknownOption, match="needs the layer Redirects"):
        scallion.Client(pipeline=scallion.Pipeline(), max_redirects=3)


def test_a_proxy_without_a_scheme_keeps_its_password() -> None:
    """
    What stands before the colon is a user's name then, and not a scheme.
    """
    with pytest.raises(ValueError, match="Unknown scheme for proxy URL") as caught:
        scallion.Client(proxy="user:hunter2@proxy:3128")

    assert "hunter2" not in str(caught.value)


def test_a_status_error_shows_no_secret_parameter() -> None:
    """
    Neither of the request's URL nor of the Location.
    """
    request = Request("GET", "http://h/?access_token=hunter2&page=2")
    response = Response(302, headers={"Location": "/x?token=hunter2"}, request=request)
    with pytest.raises(scallion.HTTPStatusError) as caught:
        response.raise_for_status()

    assert "hunter2" not in str(caught.value)
    assert "page=2" in str(caught.value)
