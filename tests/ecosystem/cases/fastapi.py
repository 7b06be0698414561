"""FastAPI's TestClient, and its advice for async tests: an AsyncClient over ASGITransport."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

import fastapi.testclient
import httpx
import httpx2
from fastapi import (
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    HTTPException,
    Response,
    UploadFile,
    WebSocket,
)
from fastapi.responses import RedirectResponse, StreamingResponse
from fastapi.security import (
    HTTPBasic,
    HTTPBasicCredentials,
    OAuth2PasswordBearer,
    OAuth2PasswordRequestForm,
)
from fastapi.testclient import TestClient
from pydantic import BaseModel

notes: list[str] = []


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    notes.append("began")
    yield {"greeting": "hello"}
    notes.append("ended")


app = FastAPI(lifespan=lifespan)
basic = HTTPBasic()
bearer = OAuth2PasswordBearer(tokenUrl="token")


class Item(BaseModel):
    name: str
    price: float = 1.0


def store() -> str:
    return "the real store"


@app.post("/items", status_code=201)
def create(item: Item, store: Annotated[str, Depends(store)]) -> dict[str, Any]:
    return {"item": item.model_dump(), "store": store}


@app.get("/items/{number}")
def read(number: int, tag: str | None = None) -> dict[str, Any]:
    if number == 404:
        raise HTTPException(404, "no such item", headers={"X-Reason": "none"})
    return {"number": number, "tag": tag}


@app.put("/items/{number}")
@app.patch("/items/{number}", operation_id="patch")
@app.delete("/items/{number}", operation_id="delete")
def change(number: int, value: Annotated[Any, Body()] = None) -> dict[str, Any]:
    return {"number": number, "value": value}


@app.post("/upload")
async def upload(
    file: UploadFile, raw: Annotated[bytes, File()], note: Annotated[str, Form()]
) -> dict[str, Any]:
    return {
        "name": file.filename,
        "type": file.content_type,
        "content": (await file.read()).decode(),
        "raw": len(raw),
        "note": note,
    }


@app.get("/session")
def session(response: Response, user: Annotated[str | None, Cookie()] = None) -> str | None:
    response.set_cookie("user", "ann", httponly=True)
    return user


@app.get("/agent")
def agent(
    user_agent: Annotated[str, Header()], x_list: Annotated[list[str] | None, Header()] = None
) -> Any:
    return [user_agent, x_list]


@app.get("/basic")
def who(credentials: Annotated[HTTPBasicCredentials, Depends(basic)]) -> str:
    return f"{credentials.username}:{credentials.password}"


@app.post("/token")
def token(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, str]:
    return {"access_token": f"t-{form.username}", "token_type": "bearer"}


@app.get("/me")
def me(token: Annotated[str, Depends(bearer)]) -> str:
    return token


@app.get("/old")
def old() -> RedirectResponse:
    return RedirectResponse("/items/1")


@app.get("/count")
def count() -> StreamingResponse:
    return StreamingResponse((f"{number}\n" for number in range(4)), media_type="text/plain")


@app.post("/later", status_code=202)
def later(tasks: BackgroundTasks) -> None:
    tasks.add_task(notes.append, "done in the background")


@app.get("/fail")
def fail() -> None:
    raise ZeroDivisionError("broken on purpose")


@app.websocket("/socket/{room}")
async def socket(socket: WebSocket, room: str) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_json({"room": room, "text": text})


def check_identity() -> None:
    import scallion

    assert issubclass(TestClient, scallion.Client)
    assert fastapi.testclient.TestClient.__mro__[1] is scallion.Client
    assert httpx.AsyncClient is httpx2.AsyncClient is scallion.AsyncClient


def check_json_and_models() -> None:
    client = TestClient(app)
    response = client.post("/items", json={"name": "pen"})
    assert 201 == response.status_code
    assert {"item": {"name": "pen", "price": 1.0}, "store": "the real store"} == response.json()
    assert {"number": 7, "tag": "a b"} == client.get("/items/7", params={"tag": "a b"}).json()
    for verb in ("put", "patch"):
        assert {"number": 1, "value": [2]} == getattr(client, verb)("/items/1", json=[2]).json()
    assert {"number": 1, "value": None} == client.delete("/items/1").json()


def check_errors() -> None:
    client = TestClient(app)
    missing = client.get("/items/404")
    assert (404, {"detail": "no such item"}) == (missing.status_code, missing.json())
    assert "none" == missing.headers["x-reason"]
    invalid = client.get("/items/seven")
    assert (422, ["path", "number"]) == (invalid.status_code, invalid.json()["detail"][0]["loc"])
    assert 405 == client.post("/items/1").status_code
    with contextlib.suppress(ZeroDivisionError):
        client.get("/fail")
        raise AssertionError("the server's exception was not raised")
    assert 500 == TestClient(app, raise_server_exceptions=False).get("/fail").status_code


def check_dependency_overrides() -> None:
    app.dependency_overrides[store] = lambda: "a fake"
    try:
        assert "a fake" == TestClient(app).post("/items", json={"name": "x"}).json()["store"]
    finally:
        app.dependency_overrides.clear()


def check_uploads() -> None:
    response = TestClient(app).post(
        "/upload",
        files={"file": ("a.csv", b"1,2", "text/csv"), "raw": b"abc"},
        data={"note": "ä"},
    )
    assert {
        "name": "a.csv",
        "type": "text/csv",
        "content": "1,2",
        "raw": 3,
        "note": "ä",
    } == response.json()


def check_cookies_and_headers() -> None:
    client = TestClient(app)
    assert client.get("/session").json() is None
    assert "ann" == client.get("/session").json()
    client.cookies.set("user", "bob")
    with contextlib.suppress(httpx2.CookieConflict):
        client.cookies.get("user")
    assert ["testclient", None] == client.get("/agent").json()
    headers = [("User-Agent", "mine"), ("X-List", "1"), ("X-List", "2")]
    assert ["mine", ["1", "2"]] == client.get("/agent", headers=headers).json()


def check_security() -> None:
    client = TestClient(app)
    refused = client.get("/basic")
    assert (401, "Basic") == (refused.status_code, refused.headers["www-authenticate"])
    assert "ann:pass" == client.get("/basic", auth=("ann", "pass")).json()
    token = client.post("/token", data={"username": "ann", "password": "x"}).json()["access_token"]
    assert "t-ann" == client.get("/me", headers={"Authorization": f"Bearer {token}"}).json()


def check_redirects_streams_and_tasks() -> None:
    client = TestClient(app)
    assert {"number": 1, "tag": None} == client.get("/old").json()
    assert 307 == client.get("/old", follow_redirects=False).status_code
    with client.stream("GET", "/count") as response:
        assert ["0", "1", "2", "3"] == list(response.iter_lines())
    notes.clear()
    assert 202 == client.post("/later").status_code
    assert ["done in the background"] == notes


def check_lifespan() -> None:
    notes.clear()
    with TestClient(app) as client:
        assert ["began"] == notes
        assert {"greeting": "hello"} == client.app_state
    assert ["began", "ended"] == notes


def check_websockets() -> None:
    with TestClient(app).websocket_connect("/socket/red") as socket:
        socket.send_text("hi")
        assert {"room": "red", "text": "hi"} == socket.receive_json()


def check_openapi() -> None:
    schema = TestClient(app).get("/openapi.json").json()
    assert {"/items", "/me"} <= schema["paths"].keys()
    assert "text/html" in TestClient(app).get("/docs").headers["content-type"]


async def check_async_tests() -> None:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.post("/items", json={"name": "pen"})
        assert (201, "pen") == (response.status_code, response.json()["item"]["name"])
        assert "ann:pass" == (await client.get("/basic", auth=("ann", "pass"))).json()
        async with client.stream("GET", "/count") as streamed:
            assert ["0", "1", "2", "3"] == [line async for line in streamed.aiter_lines()]
        files = {"file": ("a", b"x"), "raw": b"abc"}
        assert 3 == (await client.post("/upload", files=files, data={"note": "n"})).json()["raw"]
        with contextlib.suppress(ZeroDivisionError):
            await client.get("/fail")
            raise AssertionError("the server's exception was not raised")
    quiet = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=quiet, base_url="http://test") as client:
        assert 500 == (await client.get("/fail")).status_code
