"""Starlette's TestClient: a subclass of the client over a transport of its own, with WebSockets and lifespan."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import AsyncIterator

from starlette import testclient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect


async def echo(request: Request) -> Response:
    body = await request.body()
    return JSONResponse(
        {
            "method": request.method,
            "url": str(request.url),
            "query": dict(request.query_params),
            "headers": dict(request.headers),
            "cookies": request.cookies,
            "body": body.decode("latin-1"),
            "client": list(request.client or ()),
        }
    )


async def form(request: Request) -> Response:
    async with request.form() as given:
        fields = {}
        for name, value in given.multi_items():
            if isinstance(value, str):
                fields[name] = value
            else:
                content = (await value.read()).decode()
                fields[name] = [value.filename, value.content_type, content]
    return JSONResponse(fields)


async def log_in(request: Request) -> Response:
    response = PlainTextResponse("welcome")
    response.set_cookie("session", "s1")
    return response


async def log_out(request: Request) -> Response:
    response = PlainTextResponse("bye")
    response.delete_cookie("session")
    return response


async def moved(request: Request) -> Response:
    return RedirectResponse("/echo?from=moved", status_code=int(request.path_params["status"]))


async def fail(request: Request) -> Response:
    raise ZeroDivisionError("broken on purpose")


async def count(request: Request) -> Response:
    async def numbers() -> AsyncIterator[bytes]:
        for number in range(5):
            yield b"%d\n" % number

    return StreamingResponse(numbers(), media_type="text/plain")


async def fail_late(request: Request) -> Response:
    async def numbers() -> AsyncIterator[bytes]:
        yield b"begun"
        raise ZeroDivisionError("broken half-way")

    return StreamingResponse(numbers())


async def state(request: Request) -> Response:
    return PlainTextResponse(request.state.name)


async def chat(socket: WebSocket) -> None:
    await socket.accept(subprotocol=(socket.scope["subprotocols"] or [None])[0])
    await socket.send_json({"url": str(socket.url), "token": socket.headers.get("x-token")})
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                break
            if message.get("bytes") is not None:
                await socket.send_bytes(message["bytes"][::-1])
            elif message["text"] == "leave":
                await socket.close(4001, "told to")
                break
            else:
                await socket.send_text(message["text"].upper())


async def refuse(socket: WebSocket) -> None:
    await socket.close(1008)


lives: list[str] = []


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
    lives.append("began")
    yield {"name": "of the lifespan"}
    lives.append("ended")


VERBS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]
app = Starlette(
    routes=[
        Route("/echo", echo, methods=VERBS),
        Route("/form", form, methods=["POST"]),
        Route("/log-in", log_in),
        Route("/log-out", log_out),
        Route("/moved/{status}", moved, methods=VERBS),
        Route("/fail", fail),
        Route("/fail-late", fail_late),
        Route("/count", count),
        Route("/state", state),
        WebSocketRoute("/chat", chat),
        WebSocketRoute("/refuse", refuse),
        Mount("/api", routes=[Route("/echo", echo)]),
    ],
    lifespan=lifespan,
)


def check_identity() -> None:
    import scallion

    assert issubclass(TestClient, scallion.Client)
    assert testclient.httpx.Client is scallion.Client
    assert testclient.httpx.__name__ in {"httpx2", "scallion"}
    response = TestClient(app).get("/echo")
    assert type(response) is scallion.Response
    assert type(response.request) is scallion.Request


def check_verbs() -> None:
    client = TestClient(app)
    for verb in ("GET", "DELETE", "OPTIONS"):
        assert verb == getattr(client, verb.lower())("/echo").json()["method"]
    for verb in ("POST", "PUT", "PATCH"):
        answer = getattr(client, verb.lower())("/echo", content=b"body").json()
        assert (verb, "body") == (answer["method"], answer["body"])
    head = client.head("/echo")
    assert (200, b"") == (head.status_code, head.content)
    assert "DELETE" == client.request("DELETE", "/echo").json()["method"]
    assert 405 == client.request("TRACE", "/echo").status_code


def check_json_params_and_headers() -> None:
    client = TestClient(app, headers={"X-Always": "yes"})
    response = client.post(
        "/echo", json={"a": [1, "ä"]}, params={"q": "x y"}, headers={"X-Once": "1"}
    )
    answer = response.json()
    assert '{"a":[1,"Ã¤"]}' == answer["body"]
    assert {"q": "x y"} == answer["query"]
    headers = answer["headers"]
    assert "application/json" == headers["content-type"]
    assert ("yes", "1", "testclient") == (
        headers["x-always"],
        headers["x-once"],
        headers["user-agent"],
    )
    assert "testserver" == headers["host"]
    assert ["testclient", 50000] == answer["client"]


def check_forms_and_files() -> None:
    client = TestClient(app)
    assert {"a": "1", "b": "x&y"} == client.post("/form", data={"a": "1", "b": "x&y"}).json()
    files = {"file": ("name.txt", b"content", "text/plain"), "other": b"raw"}
    assert {
        "a": "1",
        "file": ["name.txt", "text/plain", "content"],
        "other": ["upload", "application/octet-stream", "raw"],
    } == client.post("/form", data={"a": "1"}, files=files).json()


def check_cookies_are_kept() -> None:
    client = TestClient(app, cookies={"given": "1"})
    assert "s1" == client.get("/log-in").cookies["session"]
    assert {"given": "1", "session": "s1"} == client.get("/echo").json()["cookies"]
    client.get("/log-out")
    assert {"given": "1"} == client.get("/echo").json()["cookies"]
    client.cookies.clear()
    assert {} == client.get("/echo").json()["cookies"]
    client.cookies = {"anew": "2"}
    assert {"anew": "2"} == client.get("/echo").json()["cookies"]


def check_redirects() -> None:
    client = TestClient(app)
    followed = client.post("/moved/303", content=b"x")
    assert ("GET", {"from": "moved"}) == (followed.json()["method"], followed.json()["query"])
    assert [303] == [response.status_code for response in followed.history]
    kept = client.post("/moved/307", content=b"x").json()
    assert ("POST", "x") == (kept["method"], kept["body"])
    left = client.get("/moved/302", follow_redirects=False)
    assert (302, "/echo?from=moved") == (left.status_code, left.headers["location"])
    assert left.next_request is not None
    assert "http://testserver/echo?from=moved" == str(left.next_request.url)
    shy = TestClient(app, follow_redirects=False)
    assert 301 == shy.get("/moved/301").status_code
    assert 200 == shy.get("/moved/301", follow_redirects=True).status_code


def check_server_exceptions() -> None:
    try:
        TestClient(app).get("/fail")
    except ZeroDivisionError as error:
        assert "broken on purpose" == str(error)
    else:
        raise AssertionError("the server's exception was not raised")
    response = TestClient(app, raise_server_exceptions=False).get("/fail")
    assert (500, "Internal Server Error") == (response.status_code, response.text)
    try:
        response.raise_for_status()
    except testclient.httpx.HTTPStatusError as error:
        assert error.response is response
    else:
        raise AssertionError("a status of 500 was no error")
    try:
        TestClient(app).get("/fail-late")
    except ZeroDivisionError as error:
        assert "broken half-way" == str(error)
    else:
        raise AssertionError("the exception of the body was not raised")


def check_lifespan_and_state() -> None:
    lives.clear()
    with TestClient(app) as client:
        assert ["began"] == lives
        assert {"name": "of the lifespan"} == client.app_state
        assert "of the lifespan" == client.get("/state").text
        assert "of the lifespan" == client.get("/state").text
    assert ["began", "ended"] == lives
    # It can be entered again, as the test client keeps no connections.
    with client:
        assert 200 == client.get("/state").status_code
    assert ["began", "ended"] * 2 == lives


def check_base_url_and_root_path() -> None:
    client = TestClient(app, base_url="https://example.org/api/")
    answer = client.get("echo").json()
    assert "https://example.org/api/echo" == answer["url"]
    assert "example.org" == answer["headers"]["host"]
    assert "http://other.example/echo" == client.get("http://other.example/echo").json()["url"]
    odd = TestClient(app, base_url="http://[::1]:8000", root_path="/root").get("/echo").json()
    assert "[::1]:8000" == odd["headers"]["host"]


def check_streams() -> None:
    client = TestClient(app)
    with client.stream("GET", "/count") as response:
        assert ["0", "1", "2", "3", "4"] == list(response.iter_lines())
    with client.stream("GET", "/count") as response:
        assert b"0\n1\n2\n3\n4\n" == b"".join(response.iter_raw())
    assert response.is_closed
    with client.stream("POST", "/echo", content=iter([b"a", b"b"])) as response:
        response.read()
        assert "ab" == response.json()["body"]
        assert "chunked" == response.json()["headers"]["transfer-encoding"]


def check_auth() -> None:
    client = TestClient(app)
    basic = client.get("/echo", auth=("user", "pass")).json()["headers"]["authorization"]
    assert "Basic dXNlcjpwYXNz" == basic
    client.auth = ("a", "b")
    assert "Basic YTpi" == client.get("/echo").json()["headers"]["authorization"]
    assert "authorization" not in client.get("/echo", auth=None).json()["headers"]


def check_timeout_warns() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        TestClient(app).get("/echo", timeout=1)
    assert any("timeout" in str(warning.message) for warning in caught)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TestClient(app).get("/echo")


def check_websockets() -> None:
    client = TestClient(app)
    with client.websocket_connect(
        "/chat?a=1", headers={"X-Token": "t"}, subprotocols=["v2"]
    ) as socket:
        assert {"url": "ws://testserver/chat?a=1", "token": "t"} == socket.receive_json()
        assert "v2" == socket.accepted_subprotocol
        socket.send_text("hello")
        assert "HELLO" == socket.receive_text()
        socket.send_bytes(b"abc")
        assert b"cba" == socket.receive_bytes()
        socket.send_text("leave")
        try:
            socket.receive_text()
        except WebSocketDisconnect as closed:
            assert (4001, "told to") == (closed.code, closed.reason)
        else:
            raise AssertionError("the close was not seen")
    try:
        with client.websocket_connect("/refuse"):
            raise AssertionError("a refused socket was open")
    except WebSocketDisconnect as closed:
        assert 1008 == closed.code
    with TestClient(app) as living, living.websocket_connect("/chat") as socket:
        assert socket.receive_json()["token"] is None


def check_trio_backend() -> None:
    with TestClient(app, backend="trio") as client:
        assert "GET" == client.get("/echo").json()["method"]
        with client.websocket_connect("/chat") as socket:
            socket.receive_json()
            socket.send_text("x")
            assert "X" == socket.receive_text()


def check_event_hooks() -> None:
    seen: list[str] = []
    client = TestClient(app)
    client.event_hooks = {
        "request": [lambda request: seen.append(request.url.path)],
        "response": [lambda response: seen.append(str(response.status_code))],
    }
    client.get("/moved/302")
    assert ["/moved/302", "302", "/echo", "200"] == seen
