"""Litestar's TestClient, AsyncTestClient and RequestFactory, which set properties of the client before it is made."""

from __future__ import annotations

import contextlib
import warnings
from typing import Annotated, Any

import httpx
import litestar.testing
from litestar import (
    Litestar,
    Request,
    Response,
    WebSocket,
    delete,
    get,
    patch,
    post,
    put,
    websocket,
)
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException, WebSocketDisconnect
from litestar.middleware.session.server_side import ServerSideSessionConfig
from litestar.params import Body
from litestar.response import Redirect, Stream
from litestar.testing import (
    AsyncTestClient,
    RequestFactory,
    TestClient,
    create_async_test_client,
    create_test_client,
)

notes: list[str] = []


@get("/echo")
async def echo(request: Request[Any, Any, Any]) -> dict[str, Any]:
    return {
        "url": str(request.url),
        "query": dict(request.query_params),
        "headers": dict(request.headers),
        "cookies": dict(request.cookies),
    }


@post("/body")
async def body(request: Request[Any, Any, Any]) -> dict[str, str]:
    return {
        "body": (await request.body()).decode(),
        "type": request.headers.get("content-type", ""),
    }


@put("/body")
async def put_body(data: dict[str, Any]) -> dict[str, Any]:
    return data


@patch("/body")
async def patch_body(data: list[int]) -> list[int]:
    return data


@delete("/body", status_code=200)
async def delete_body() -> str:
    return "deleted"


@post("/form")
async def form(
    data: Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> dict[str, str]:
    return data


@post("/upload")
async def upload(
    data: Annotated[UploadFile, Body(media_type=RequestEncodingType.MULTI_PART)],
) -> list[str]:
    return [data.filename, data.content_type, (await data.read()).decode()]


@get("/log-in")
async def log_in() -> Response[str]:
    response = Response("welcome")
    response.set_cookie("session-id", "s1")
    return response


@get("/moved")
async def moved() -> Redirect:
    return Redirect("/echo", query_params={"from": "moved"})


@get("/count")
async def count() -> Stream:
    return Stream(iter([b"0\n", b"1\n", b"2\n"]))


@get("/missing")
async def missing() -> None:
    raise NotFoundException("nothing here")


@get("/fail", sync_to_thread=False)
def fail() -> None:
    raise ZeroDivisionError("broken on purpose")


@get("/later")
async def later() -> Response[str]:
    async def note() -> None:
        notes.append("done in the background")

    return Response("soon", background=BackgroundTask(note))


@post("/session")
async def remember(request: Request[Any, Any, Any]) -> None:
    request.session["user"] = "ann"


@get("/session")
async def remembered(request: Request[Any, Any, Any]) -> Any:
    return request.session


@websocket("/chat")
async def chat(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept(headers={"x-extra": "1"})
    await socket.send_json(
        {"token": socket.headers.get("x-token"), "query": dict(socket.query_params)}
    )
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.send_text((await socket.receive_text()).upper())


sessions = ServerSideSessionConfig()
HANDLERS: Any = [
    echo,
    body,
    put_body,
    patch_body,
    delete_body,
    form,
    upload,
    log_in,
    moved,
    count,
    missing,
    fail,
    later,
    remember,
    remembered,
    chat,
]
app = Litestar(
    HANDLERS,
    middleware=[sessions.middleware],
    on_startup=[lambda: notes.append("began")],
    on_shutdown=[lambda: notes.append("ended")],
)


def check_identity() -> None:
    import scallion

    assert issubclass(TestClient, scallion.Client)
    assert issubclass(AsyncTestClient, scallion.AsyncClient)
    assert litestar.testing.client.base.httpx.Client is scallion.Client
    with TestClient(app) as client:
        assert type(client.get("/echo")) is scallion.Response


def check_verbs_and_bodies() -> None:
    with TestClient(app) as client:
        assert {"body": '{"a":1}', "type": "application/json"} == client.post(
            "/body", json={"a": 1}
        ).json()
        assert "raw" == client.post("/body", content=b"raw").json()["body"]
        assert {"a": 1} == client.put("/body", json={"a": 1}).json()
        assert [1, 2] == client.patch("/body", json=[1, 2]).json()
        assert "deleted" == client.delete("/body").text
        assert b"" == client.head("/echo").content
        assert "GET" in client.options("/echo").headers["allow"]
        assert 405 == client.request("PUT", "/echo").status_code
        assert {"a": "1", "b": "x y"} == client.post("/form", data={"a": "1", "b": "x y"}).json()
        files = {"data": ("a.txt", b"content", "text/plain")}
        assert ["a.txt", "text/plain", "content"] == client.post("/upload", files=files).json()


def check_queries_headers_and_auth() -> None:
    with TestClient(app) as client:
        answer = client.get(
            "/echo", params={"q": "x y"}, headers={"X-Once": "1"}, auth=("u", "p")
        ).json()
    assert {"q": "x y"} == answer["query"]
    headers = answer["headers"]
    assert ("1", "testclient") == (headers["x-once"], headers["user-agent"])
    assert ("testserver.local", "Basic dTpw") == (headers["host"], headers["authorization"])
    with TestClient(app, base_url="http://example.org:8080/", root_path="") as client:
        assert "http://example.org:8080/echo" == client.get("echo").json()["url"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        TestClient(app, base_url="http://testserver")
    assert ["might cause issues" in str(warning.message) for warning in caught]


def check_cookies() -> None:
    with TestClient(app, cookies={"given": "1"}) as client:
        client.get("/log-in")
        expected = {"given": "1", "session-id": "s1"}.items()
        assert expected <= client.get("/echo").json()["cookies"].items()
        assert expected <= dict(client.cookies).items()


def check_redirects_and_streams() -> None:
    with TestClient(app) as client:
        response = client.get("/moved")
        assert {"from": "moved"} == response.json()["query"]
        assert [302] == [earlier.status_code for earlier in response.history]
        assert 302 == client.get("/moved", follow_redirects=False).status_code
        with client.stream("GET", "/count") as streamed:
            assert ["0", "1", "2"] == list(streamed.iter_lines())


def check_errors() -> None:
    with TestClient(app) as client:
        response = client.get("/missing")
        assert (404, "nothing here") == (response.status_code, response.json()["detail"])
        try:
            response.raise_for_status()
        except httpx.HTTPStatusError as error:
            assert "404 Not Found" in str(error)
        else:
            raise AssertionError("a status of 404 was no error")
        assert 500 == client.get("/fail").status_code

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        raise ZeroDivisionError("broken on purpose")

    with TestClient(broken) as client:
        with contextlib.suppress(ZeroDivisionError):
            client.get("/")
            raise AssertionError("the server's exception was not raised")
    with TestClient(broken, raise_server_exceptions=False) as client:
        assert 500 == client.get("/").status_code


def check_lifespan_and_tasks() -> None:
    notes.clear()
    with TestClient(app) as client:
        assert ["began"] == notes
        assert "soon" == client.get("/later").text
        assert "done in the background" == notes[-1]
    assert "ended" == notes[-1]
    with create_test_client([echo]) as client:
        assert 200 == client.get("/echo").status_code


def check_sessions() -> None:
    with TestClient(app, session_config=sessions) as client:
        client.post("/session")
        assert {"user": "ann"} == client.get_session_data() == client.get("/session").json()
        client.set_session_data({"user": "bob"})
        assert {"user": "bob"} == client.get("/session").json()


def check_websockets() -> None:
    with TestClient(app) as client:
        headers, params = {"X-Token": "t"}, {"a": "1"}
        with client.websocket_connect("/chat", headers=headers, params=params) as socket:
            assert {"token": "t", "query": {"a": "1"}} == socket.receive_json()
            socket.send_text("hello")
            assert "HELLO" == socket.receive_text()


def check_request_factory() -> None:
    factory = RequestFactory()
    request = factory.post("/x", data={"a": 1}, headers={"X-A": "1"})
    assert "application/json" == request.headers["content-type"]
    form = factory.post("/x", data={"a": "x y"}, request_media_type=RequestEncodingType.URL_ENCODED)
    assert "application/x-www-form-urlencoded" == form.headers["content-type"]
    multi = factory.post("/x", data={"a": "1"}, request_media_type=RequestEncodingType.MULTI_PART)
    assert multi.headers["content-type"].startswith("multipart/form-data; boundary=")


async def check_request_factory_bodies() -> None:
    factory = RequestFactory()
    assert {"a": 1} == await factory.post("/x", data={"a": 1}).json()
    form = factory.post("/x", data={"a": "x y"}, request_media_type=RequestEncodingType.URL_ENCODED)
    assert {"a": "x y"} == dict(await form.form())
    multi = factory.post("/x", data={"a": "1"}, request_media_type=RequestEncodingType.MULTI_PART)
    assert {"a": "1"} == dict(await multi.form())


async def check_async_client() -> None:
    notes.clear()
    async with AsyncTestClient(app, cookies={"given": "1"}) as client:
        assert ["began"] == notes
        assert {"body": '{"a":1}', "type": "application/json"} == (
            await client.post("/body", json={"a": 1})
        ).json()
        await client.get("/log-in")
        cookies = (await client.get("/echo")).json()["cookies"]
        assert {"given": "1", "session-id": "s1"}.items() <= cookies.items()
        assert {"from": "moved"} == (await client.get("/moved")).json()["query"]
        files = {"data": ("a.txt", b"content", "text/plain")}
        assert "a.txt" == (await client.post("/upload", files=files)).json()[0]
        async with client.stream("GET", "/count") as streamed:
            assert ["0", "1", "2"] == [line async for line in streamed.aiter_lines()]
        with await client.websocket_connect("/chat") as socket:
            socket.receive_json()
            socket.send_text("x")
            assert "X" == socket.receive_text()
        assert 500 == (await client.get("/fail")).status_code
    assert "ended" == notes[-1]
    async with AsyncTestClient(app, session_config=sessions) as client:
        await client.post("/session")
        assert {"user": "ann"} == await client.get_session_data()
    async with create_async_test_client([echo]) as client:
        assert 200 == (await client.get("/echo")).status_code
