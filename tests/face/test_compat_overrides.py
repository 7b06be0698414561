"""What packages around httpx override or patch in its clients, and that it takes effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import httpx
import pytest

import scallion
from scallion import AsyncClient, Client, Headers, MockTransport, Request, Response
from scallion.transports.http import AsyncHTTPTransport, HTTPTransport
from support.colours import Drive

URL = "http://example.org/"


def ok(request: Request) -> Response:
    return Response(200, text="ok")


def handled_by(name: str) -> MockTransport:
    return MockTransport(lambda request: Response(200, text=name))


@pytest.mark.parametrize("name", ["_init_transport", "_init_proxy_transport", "_redirect_headers"])
@pytest.mark.parametrize("client", ["Client", "AsyncClient"])
def test_private_methods_have_httpxs_parameters(client: str, name: str) -> None:
    """
    Overrides call them by keyword, and by position.
    """
    import inspect

    ours = inspect.signature(getattr(getattr(scallion, client), name)).parameters
    theirs = inspect.signature(getattr(getattr(httpx, client), name)).parameters

    assert list(theirs) == list(ours)
    assert [each.kind for each in theirs.values()] == [each.kind for each in ours.values()]


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_subclasses_make_the_transport(kind: type[Any]) -> None:
    """
    An override of `_init_transport` is asked for the transport, with all that concerns one.
    """
    asked: list[dict[str, Any]] = []

    class Mine(kind):  # type: ignore[misc]
        def _init_transport(self, **settings: Any) -> Any:
            asked.append(settings)
            return handled_by("mine")

    client = Mine(http2=True, verify=False, trust_env=False)

    assert isinstance(client._transport, MockTransport)
    assert [
        {
            "verify": False,
            "cert": None,
            "trust_env": False,
            "http1": True,
            "http2": True,
            "limits": scallion.Limits(max_connections=100, max_keepalive_connections=20),
            "transport": None,
        }
    ] == asked


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_subclasses_are_told_of_a_given_transport(kind: type[Any]) -> None:
    """
    What it does with it is its own affair.
    """
    wrapped: list[Any] = []

    class Mine(kind):  # type: ignore[misc]
        def _init_transport(self, **settings: Any) -> Any:
            wrapped.append(super()._init_transport(**settings))
            return handled_by("mine")

    given = handled_by("given")
    Mine(transport=given)

    assert [given] == wrapped


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_subclasses_make_the_transports_of_proxies(kind: type[Any]) -> None:
    """
    An override of `_init_proxy_transport` gets the proxy first; without one the transport goes through it.
    """
    asked: list[Any] = []

    class Mine(kind):  # type: ignore[misc]
        def _init_proxy_transport(self, proxy: scallion.Proxy, **settings: Any) -> Any:
            asked.append(proxy.url)
            assert isinstance(
                super()._init_proxy_transport(proxy, **settings),
                (HTTPTransport, AsyncHTTPTransport),
            )
            return handled_by("proxy")

    client = Mine(proxy="http://proxy.example:3128")

    assert ["http://proxy.example:3128"] == asked
    assert [MockTransport] == [type(transport) for transport in client._mounts.values()]


def test_subclasses_choose_the_headers_of_redirects(drive: Drive) -> None:
    """
    An override of `_redirect_headers` is asked for each step, whether followed or not.
    """
    asked: list[tuple[str, str, str]] = []

    def redirect(request: Request) -> Response:
        if request.url.path == "/end":
            return Response(200, json=dict(request.headers))
        return Response(303, headers={"Location": "http://other.example/end"})

    kind: type[Any] = Client if drive.blocking else AsyncClient

    class Mine(kind):  # type: ignore[misc]
        def _redirect_headers(self, request: Request, url: scallion.URL, method: str) -> Headers:
            asked.append((request.method, str(url), method))
            headers: Headers = super()._redirect_headers(request, url, method)
            del headers["X-Secret"]
            headers["X-Added"] = "yes"
            return headers

    async def scenario() -> None:
        client = Mine(transport=MockTransport(redirect))
        headers = {"X-Secret": "s", "Authorization": "a"}
        for follow in (True, False):
            sent = client.post(URL, headers=headers, json={}, follow_redirects=follow)
            response = sent if drive.blocking else await sent
            if not follow:
                response = client.send(response.next_request)
                response = response if drive.blocking else await response
            seen = response.json()
            assert {"x-secret", "authorization", "content-length"}.isdisjoint(seen)
            assert ("yes", "other.example") == (seen["x-added"], seen["host"])

    drive(scenario)
    assert [("POST", "http://other.example/end", "GET")] * 2 == asked


def test_subclasses_merge_urls() -> None:
    """
    `_merge_url` is asked for what a client sends to, as Starlette's TestClient relies on.
    """

    class Mine(Client):
        def _merge_url(self, url: Any) -> scallion.URL:
            return scallion.URL("http://merged.example/").join(url)

    assert "http://merged.example/x" == str(Mine().build_request("GET", "/x").url)


class Narrow(Client):
    """Overrides with httpx's arguments, which are fewer than scallion's."""

    def __init__(self, **settings: Any) -> None:
        self.passed: list[str] = []
        super().__init__(**settings)

    def request(  # type: ignore[override]
        self,
        method: str,
        url: Any,
        *,
        content: Any = None,
        data: Any = None,
        files: Any = None,
        json: Any = None,
        params: Any = None,
        headers: Any = None,
        cookies: Any = None,
        auth: Any = None,
        follow_redirects: Any = None,
        timeout: Any = None,
        extensions: Any = None,
    ) -> Response:
        self.passed.append("request")
        return super().request(
            method,
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def send(  # type: ignore[override]
        self, request: Request, *, stream: bool = False, auth: Any = None, follow_redirects: Any
    ) -> Response:
        self.passed.append("send")
        return super().send(request, stream=stream, auth=auth, follow_redirects=follow_redirects)

    def build_request(  # type: ignore[override]
        self,
        method: str,
        url: Any,
        *,
        content: Any = None,
        data: Any = None,
        files: Any = None,
        json: Any = None,
        params: Any = None,
        headers: Any = None,
        cookies: Any = None,
        timeout: Any = None,
        extensions: Any = None,
    ) -> Request:
        self.passed.append("build_request")
        return super().build_request(
            method, url, params=params, content=content, timeout=timeout, extensions=extensions
        )


@pytest.mark.parametrize(
    "call",
    [
        lambda client, **options: client.get(URL, **options),
        lambda client, **options: client.post(URL, content=b"x", **options),
        lambda client, **options: Client.request(client, "GET", URL, **options),
    ],
)
def test_subclasses_are_passed_httpxs_arguments_only(call: Callable[..., Any]) -> None:
    """
    An override that has httpx's signature works, and options of scallion's own pass it by.
    """
    seen: list[str] = []

    def layer(request: Request, call_next: Any) -> Response:
        seen.append(str(request.url))
        return call_next(request)

    client = Narrow(transport=MockTransport(ok))

    assert 200 == call(client).status_code
    assert ["build_request", "send"] == client.passed[-2:]
    call(client, middlewares=[layer], allow_redirects=True, params={"b": 1}, params_mode="merge")
    assert [f"{URL}?b=1"] == seen


def test_streams_pass_overrides_too() -> None:
    """
    As `request`, so `stream`.
    """
    client = Narrow(transport=MockTransport(ok))

    with client.stream("GET", f"{URL}?a=1", params={"b": 2}, params_mode="merge") as response:
        assert b"ok" == response.read()
    assert ["build_request", "send"] == client.passed
    assert f"{URL}?a=1&b=2" == str(response.request.url)


def test_both_spellings_are_refused_through_overrides() -> None:
    """
    The error is the same wherever the two meet.
    """
    with pytest.raises(TypeError, match="older spelling of follow_redirects"):
        Narrow(transport=MockTransport(ok)).get(URL, follow_redirects=True, allow_redirects=True)


def test_subclasses_may_set_cookies_first() -> None:
    """
    litestar's clients do, before they call the constructor.
    """

    class Mine(Client):
        def __init__(self) -> None:
            self.cookies = {"early": "1"}  # type: ignore[assignment]
            super().__init__(cookies={"late": "2"})

    assert {"late": "2"} == dict(Mine().cookies)


@pytest.mark.parametrize("patched", ["class", "instance"])
def test_patching_the_choice_of_transport_takes_effect(patched: str, drive: Drive) -> None:
    """
    Also for clients that were made before, and only as long as the patch lasts.
    """
    client: Any = (
        Client(transport=handled_by("own"))
        if drive.blocking
        else AsyncClient(transport=handled_by("own"))
    )
    target = type(client) if patched == "class" else client

    async def get() -> str:
        response = client.get(URL)
        return str((response if drive.blocking else await response).text)

    with mock.patch.object(target, "_transport_for_url", return_value=handled_by("patch")):
        assert "patch" == drive(get)
    assert "own" == drive(get)


def test_replacing_transports_takes_effect() -> None:
    """
    Tools put their own in the place of `_transport`, or among `_mounts`.
    """
    client = Client(
        transport=handled_by("first"), mounts={"all://mounted.example": handled_by("mount")}
    )
    client._transport = handled_by("second")
    client._mounts = {pattern: handled_by("other") for pattern in client._mounts}

    assert ["second", "other"] == [client.get(url).text for url in (URL, "http://mounted.example/")]


def test_patching_the_classes_of_transports_takes_effect(drive: Drive) -> None:
    """
    Clients go through `handle_request` and `handle_async_request` of the class.
    """
    client: Any = Client() if drive.blocking else AsyncClient()

    async def async_patch(transport: AsyncHTTPTransport, request: Request) -> Response:
        return ok(request)

    async def scenario() -> int:
        response = client.get(URL)
        status: int = (response if drive.blocking else await response).status_code
        return status

    with (
        mock.patch.object(HTTPTransport, "handle_request", lambda transport, request: ok(request)),
        mock.patch.object(AsyncHTTPTransport, "handle_async_request", async_patch),
    ):
        assert 200 == drive(scenario)


def test_transports_of_ones_own_have_no_pool_to_show() -> None:
    """
    Without anything standing in for httpx, `_pool` is what the transport says of its connections.
    """
    transport = HTTPTransport()

    assert transport.pool == transport._pool


def test_urls_show_their_parts_as_httpxs_do() -> None:
    """
    respx tells `http://x` from `http://x/` by them.
    """
    for text in (URL, "http://x", "http://u:p@[::1]:8080/a%20b?q#f", "/a?b", ""):
        ours, theirs = scallion.URL(text)._uri_reference, httpx.URL(text)._uri_reference
        assert tuple(theirs) == tuple(ours)
        assert (theirs.authority, theirs.netloc, str(theirs)) == (
            ours.authority,
            ours.netloc,
            str(ours),
        )
