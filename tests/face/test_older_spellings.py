"""What httpx once took: `app=`, `send(timeout=)`, `cert=` for functions. The others are shown with the clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import scallion
import scallion._api
from face.conftest import Driven, Face
from scallion import Request, Response

URL = "http://example.org/"


# app=


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


class Application:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await asgi(scope, receive, send)


def test_an_application_answers(face: Face) -> None:
    """
    Of WSGI in a Client, of ASGI in an AsyncClient; no environment variable leads past it.
    """

    async def scenario(client: Driven) -> str:
        text: str = (await client.get("http://testserver/path")).text
        return text

    app: Any = wsgi if face.blocking else asgi
    assert "/path" == face(scenario, app=app)


def test_the_application_has_a_transport(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    `transport=` with the application is the same; the environment's proxies are not asked.
    """
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    client = face.client(app=wsgi if face.blocking else asgi)
    expected = scallion.WSGITransport if face.blocking else scallion.ASGITransport

    assert expected is type(client._transport)
    assert {} == client._mounts


@pytest.mark.parametrize("cls", [scallion.Client, scallion.AsyncClient])
def test_an_application_and_a_transport_are_too_much(cls: Any) -> None:
    """
    The error names both.
    """
    with pytest.raises(TypeError, match="app= is the older spelling of transport=: give one"):
        cls(app=wsgi, transport=scallion.MockTransport(lambda request: Response(200)))


@pytest.mark.parametrize("app", [asgi, Application()])
def test_an_asgi_application_needs_an_async_client(app: Any) -> None:
    """
    Told before it is called in vain.
    """
    with pytest.raises(TypeError, match=r"is a WSGI application, and \w+ is an ASGI one"):
        scallion.Client(app=app)


@pytest.mark.parametrize("cls", [scallion.Client, scallion.AsyncClient])
def test_what_cannot_be_called_is_no_application(cls: Any) -> None:
    """
    A name, say.
    """
    with pytest.raises(TypeError, match="SGI application"):
        cls(app="module:app")


# send(timeout=)


def limits(request: Request) -> Response:
    return Response(200, json=request.extensions["timeout"])


def test_sending_takes_a_timeout(face: Face) -> None:
    """
    For that sending; the request keeps its own.
    """

    async def scenario(client: Driven) -> list[Any]:
        request = client.build_request("GET", URL, timeout=3.0)
        kept = request.extensions
        responses = [
            await client.send(request, timeout=1.0),
            await client.send(request, timeout=scallion.Timeout(2.0, connect=4.0)),
            await client.send(request, timeout=None),
            await client.send(request),
        ]
        assert kept is request.extensions
        assert {"timeout"} == set(kept)
        assert all(response.request is request for response in responses)
        return [response.json()["connect"] for response in responses]

    assert [1.0, 4.0, None, 3.0] == face(scenario, limits)


def test_a_total_is_a_limit_too(face: Face) -> None:
    """
    It holds for that sending, as in `build_request`.
    """

    async def scenario(client: Driven) -> Any:
        request = client.build_request("GET", URL)
        response = await client.send(request, timeout=scallion.Timeout(5.0, total=9.0))
        return response.json()

    assert 9.0 == face(scenario, limits)["total"]


def test_a_timeout_holds_for_redirects(face: Face) -> None:
    """
    And for whatever else is sent on the way.
    """

    def handler(request: Request) -> Response:
        if "/" == request.url.path:
            return Response(302, headers={"Location": "/next"})
        return limits(request)

    async def scenario(client: Driven) -> Any:
        request = client.build_request("GET", URL)
        return (await client.send(request, timeout=1.0, follow_redirects=True)).json()

    assert 1.0 == face(scenario, handler)["read"]


def test_after_an_error_the_request_has_its_own_limits(face: Face) -> None:
    """
    Whether it was sent, or refused.
    """

    def handler(request: Request) -> Response:
        raise scallion.ReadTimeout("slow")

    async def scenario(client: Driven) -> None:
        request = client.build_request("GET", URL, timeout=3.0)
        with pytest.raises(scallion.ReadTimeout):
            await client.send(request, timeout=1.0)
        with pytest.raises(TypeError, match="Timeout connect"):
            await client.send(request, timeout="soon")
        assert 3.0 == request.extensions["timeout"]["read"]
        request.extensions["misspelt"] = 1
        request.extensions["tiemout"] = 1
        with pytest.raises(scallion.UnknownOption):
            await client.send(request, timeout=1.0)
        assert 3.0 == request.extensions["timeout"]["read"]

    face(scenario, handler)


def test_sending_something_else_is_refused(face: Face) -> None:
    """
    With a timeout as without.
    """

    async def scenario(client: Driven) -> None:
        with pytest.raises(TypeError, match=r"send\(\) takes a Request, not str"):
            await client.send(URL, timeout=1.0)

    face(scenario, limits)


# cert=


@pytest.mark.parametrize(
    "name",
    ["delete", "get", "head", "options", "patch", "post", "put", "query", "request", "stream"],
)
def test_functions_take_a_certificate(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """
    As clients do.
    """
    seen: list[Any] = []

    def client(**settings: Any) -> scallion.Client:
        seen.append(settings["cert"])
        return scallion.Client(transport=scallion.MockTransport(lambda request: Response(200)))

    monkeypatch.setattr(scallion._api, "Client", client)
    method = ["GET"] if name in ("request", "stream") else []
    made = getattr(scallion, name)(*method, URL, cert=("cert.pem", "key.pem"))
    if name == "stream":
        with made:
            pass

    assert [("cert.pem", "key.pem")] == seen


# QUERY


def test_query_has_a_body(face: Face) -> None:
    """
    A safe method (RFC 9110 section 9.2.1) with content, in httpx2 as here.
    """

    async def scenario(client: Driven) -> Any:
        response = await client.query(URL, json={"find": "apples"}, params={"page": 1})
        return response.request.method, response.request.content, str(response.url)

    assert ("QUERY", b'{"find":"apples"}', f"{URL}?page=1") == face(
        scenario, lambda request: Response(200)
    )
