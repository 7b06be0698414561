"""What a program writes with scallion, for the type checker alone: nothing in here is run.

`mypy --strict` must find nothing to say, and each `assert_type` must hold.
"""

from __future__ import annotations

import io
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, assert_type

import scallion
from scallion import (
    PER_ATTEMPT,
    PER_CALL,
    URL,
    AsyncClient,
    Auth,
    Client,
    Cookies,
    Headers,
    HTTPStatusError,
    Limits,
    MockTransport,
    Next,
    Pipeline,
    Proxy,
    QueryParams,
    Redirects,
    Request,
    Response,
    Retries,
    SyncNext,
    Timeout,
    codes,
    compatible,
    service_stack,
)
from scallion.pipeline.errors import ReadError
from scallion.pipeline.runtime import BlockingRuntime
from scallion.testing import (
    ABSENT,
    ANY,
    Call,
    Delayed,
    Pause,
    Reply,
    Route,
    Router,
    UnforeseenRequest,
    containing,
    exactly,
    intercepting,
    mock,
)

# Functions


def functions() -> None:
    response = scallion.get("https://example.org/", params={"a": 1, "b": ["x", 2.5, None, True]})
    assert_type(response, Response)
    assert_type(scallion.post("https://example.org/", data={"a": "1"}, files={"f": b"x"}), Response)
    assert_type(scallion.put("https://example.org/", json={"a": [1, None]}), Response)
    assert_type(scallion.request("PURGE", URL("https://example.org/"), content="text"), Response)
    scallion.head("https://example.org/", headers={"X-A": "1"}, cookies={"a": "1"}, timeout=None)
    scallion.options("https://example.org/", allow_redirects=False, proxies="http://localhost:3128")
    scallion.delete("https://example.org/", auth=("user", "pass"), verify=False)
    scallion.get(
        "https://example.org/?a=1", params={"b": 2}, params_mode="merge", cert="client.pem"
    )
    scallion.get("https://example.org/", params_mode="mix")  # type: ignore[arg-type]
    assert_type(scallion.query("https://example.org/", json={"find": "apples"}), Response)
    with scallion.stream("GET", "https://example.org/") as streamed:
        assert_type(streamed, Response)


# Responses


def responses(response: Response) -> None:
    assert_type(response.status_code, int)
    assert_type(response.status_code == codes.OK, bool)
    assert_type(response.text, str)
    assert_type(response.content, bytes)
    assert_type(response.json(), Any)
    assert_type(response.headers, Headers)
    assert_type(response.headers["content-type"], str)
    assert_type(response.headers.get("x"), str | None)
    assert_type(response.headers.get("x", ""), str)
    assert_type(response.cookies, Cookies)
    assert_type(response.url, URL)
    assert_type(response.url.params, QueryParams)
    assert_type(response.request, Request)
    assert_type(response.next_request, Request | None)
    assert_type(response.history, list[Response])
    assert_type(response.elapsed, timedelta)
    assert_type(response.raise_for_status(), Response)
    assert_type(response.raise_for_status().json(), Any)
    assert_type(response.encoding, str | None)
    response.encoding = "iso-8859-1"
    for chunk in response.iter_bytes():
        assert_type(chunk, bytes)
    for line in response.iter_lines():
        assert_type(line, str)


# Errors


def errors() -> str:
    try:
        scallion.get("https://example.org/").raise_for_status()
    except HTTPStatusError as error:
        assert_type(error.response, Response)
        assert_type(error.body, bytes)
        return f"{error.response.status_code} {error.request.url}"
    except scallion.TimeoutException as error:
        assert_type(error.request, Request)
        return "timeout"
    except (scallion.ConnectError, scallion.HTTPError) as error:
        return str(error)
    return "ok"


# Clients


def log(request: Request) -> None:
    print(request.method)


def check(response: Response) -> None:
    response.raise_for_status()


async def alog(request: Request) -> None:
    print(request.method)


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    return [b"x"]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


def settings(context: ssl.SSLContext, transport: scallion.HTTPTransport) -> None:
    Client()
    Client(
        auth=("user", "pass"),
        params={"key": "value"},
        headers={"User-Agent": "mine"},
        cookies={"a": "1"},
        verify=context,
        http2=True,
        timeout=Timeout(10.0, connect=60.0),
        limits=Limits(max_keepalive_connections=5, max_connections=10),
        follow_redirects=True,
        event_hooks={"request": [log], "response": [check]},
        base_url="https://example.org",
        transport=transport,
        mounts={"all://": MockTransport(lambda request: Response(200)), "http://plain": None},
        default_encoding="utf-8",
    )
    Client(timeout=5, headers=[("a", "b")], params="a=1", auth=scallion.BasicAuth("u", "p"))
    Client(timeout=(1.0, 2.0), headers=Headers({"a": "b"}), params=[("a", "1")])
    Client(timeout=None, proxy="http://localhost:3128", verify="ca.pem", cert=("cert", "key"))
    Client(proxies={"http://": "http://localhost:8030", "https://": None}, allow_redirects=True)
    Client(proxy=Proxy("http://localhost", auth=("u", "p")), base_url=URL("https://example.org"))
    AsyncClient(event_hooks={"request": [alog]}, transport=scallion.AsyncHTTPTransport(retries=1))
    AsyncClient(default_encoding=lambda content: "utf-8" if content else None)

    Client(app=wsgi, params_mode="merge")
    AsyncClient(app=asgi)

    headers: dict[str, str] = {"a": "b"}
    params: dict[str, str | int] = {"a": 1}
    frozen: Mapping[str, str] = headers
    Client(headers=headers, params=params)
    Client(headers=frozen, cookies=headers)
    Client().get("/", params=headers, headers=frozen)


def assigning(client: Client) -> None:
    client.headers = {"X-A": "1"}
    client.headers["X-B"] = "2"
    client.headers.update({"X-C": "3"})
    client.params = {"a": 1}
    client.cookies = {"a": "1"}
    client.cookies.set("b", "2", domain="example.org")
    client.auth = ("user", "pass")
    client.auth = None
    client.timeout = 5.0
    client.timeout = None
    client.timeout = Timeout(5.0, total=30.0)
    client.base_url = "https://example.org"
    client.event_hooks = {"request": [log]}
    client.event_hooks["response"].append(check)
    client.follow_redirects = True
    client.max_redirects = 5


def reading(client: Client) -> None:
    assert_type(client.headers, Headers)
    assert_type(client.params, QueryParams)
    assert_type(client.cookies, Cookies)
    assert_type(client.auth, Auth | None)
    assert_type(client.timeout, Timeout)
    assert_type(client.base_url, URL)
    assert_type(client.base_url.origin, scallion.Origin)
    assert_type(client.base_url.origin.port, int | None)
    assert_type(client.is_closed, bool)
    assert_type(client.pipeline, Pipeline)


def calls() -> None:
    with Client() as client:
        assert_type(client, Client)
        assert_type(client.get("/", params={"a": "1"}, timeout=None, auth=None), Response)
        assert_type(client.post("/", json={"a": 1}, follow_redirects=True), Response)
        client.post("/", content=generate())
        client.post("/", content=io.BytesIO(b"x"))
        with Path("report.xls").open("rb") as file:
            client.post("/", files={"upload-file": file}, data={"message": "hello"})
            client.post("/", files={"f": ("report.xls", file, "application/vnd.ms-excel")})
            client.put("/", content=file)
        client.patch("/", data={"a": ["1", "2"]}, headers={"a": "b"})
        request = client.build_request("GET", "/", extensions={"sni_hostname": "x"})
        assert_type(request, Request)
        assert_type(client.send(request, stream=True, auth=("u", "p")), Response)
        assert_type(client.send(request, timeout=1.0), Response)
        assert_type(client.query("/", content=b"find", params_mode="replace"), Response)
        with client.stream("GET", "/") as response:
            assert_type(response, Response)
            assert_type(response.read(), bytes)
        with client.sse("/events", reconnect=True) as source:
            assert_type(source, scallion.EventSource)
            for event in source:
                assert_type(event, scallion.ServerSentEvent)
        client.get(
            "/", extensions=Retries.option_for(attempts=1) | Redirects.option_for(follow=True)
        )


def generate() -> Iterator[bytes]:
    yield b"x"


async def agenerate() -> AsyncIterator[bytes]:
    yield b"x"


async def acalls() -> None:
    async with AsyncClient() as client:
        assert_type(client, AsyncClient)
        assert_type(await client.get("/"), Response)
        assert_type(await client.post("/", content=agenerate()), Response)
        async with client.stream("GET", "/") as response:
            assert_type(response, Response)
            assert_type(await response.aread(), bytes)
            async for chunk in response.aiter_bytes():
                assert_type(chunk, bytes)
            async for line in response.aiter_lines():
                assert_type(line, str)
        assert_type(await client.send(client.build_request("GET", "/")), Response)
        assert_type(await client.query("/", json={}), Response)
        async with client.sse("/events", reconnect=scallion.Reconnect(attempts=3)) as source:
            async for event in source:
                assert_type(event, scallion.ServerSentEvent)
        await client.aclose()


class Service:
    """A program's own client around ours."""

    def __init__(self, client: Client | None = None) -> None:
        self.client = client if client is not None else Client(pipeline=service_stack())

    def order(self, number: int) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.get(f"/orders/{number}").raise_for_status().json()
        return answer


# Middlewares


async def function(request: Request, call_next: Next) -> Response:
    request.headers["X-Request-Id"] = "42"
    started = call_next.runtime.clock()
    response = await call_next(request)
    assert_type(response, Response)
    if response.status_code == 202:
        await response.aclose()
        await call_next.runtime.sleep(1.0)
        return await call_next(request)
    response.extensions["took"] = call_next.runtime.clock() - started
    return response


async def renamed(req: Request, following: Next) -> Response:
    return await following(req)


async def configured(request: Request, call_next: Next, *, token: str) -> Response:
    request.headers["Authorization"] = f"Bearer {token}"
    return await call_next(request)


def plain(request: Request, call_next: SyncNext) -> Response:
    response = call_next(request)
    assert_type(response, Response)
    call_next.runtime.sleep(0.5)
    assert_type(call_next.runtime.clock(), float)
    return response


class Tag:
    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, request: Request, call_next: Next) -> Response:
        return await call_next(request)

    async def method(self, request: Request, call_next: Next) -> Response:
        return await call_next(request)


class Colourless:
    colourless = True

    def __call__(self, request: Request, call_next: Next) -> Awaitable[Response]:
        return call_next(request)


class Own(scallion.Layer):
    option = "mine"

    async def __call__(self, request: Request, call_next: Next) -> Response:
        return await call_next(request)


def factory(name: str) -> scallion.Middleware:
    async def middleware(request: Request, call_next: Next) -> Response:
        request.headers["X-Name"] = name
        return await call_next(request)

    return middleware


def middlewares() -> None:
    Client(middlewares=[function])
    Client(middlewares=[function, plain, Tag("a"), Colourless(), Own(), Retries()])
    Client(middlewares=(renamed, partial(configured, token="t"), Tag("a").method, factory("x")))
    Client(middlewares=[plain, lambda request, call_next: call_next(request)])
    AsyncClient(middlewares=[function, Tag("a"), Colourless(), Retries(attempts=5), factory("x")])
    Client().get("/", middlewares=[function, plain])
    AsyncClient(middlewares=[plain])  # type: ignore[list-item]

    listed = [function, renamed]
    Client(middlewares=listed)
    AsyncClient(middlewares=listed)
    typed: list[scallion.Middleware] = [function, Tag("a")]
    AsyncClient(middlewares=typed)
    wrapped: Callable[[Request, Next], Awaitable[Response]] = function
    AsyncClient(middlewares=[wrapped])


def pipelines() -> None:
    pipeline = compatible().per_call(function).per_attempt(Tag("wire"), plain)
    assert_type(pipeline, Pipeline)
    assert_type(pipeline.before(Redirects, Retries(), function), Pipeline)
    assert_type(pipeline.after(PER_CALL, Own()), Pipeline)
    assert_type(pipeline.replace(Retries, Retries(attempts=5)), Pipeline)
    assert_type(pipeline.without(scallion.EventHooks), Pipeline)
    assert_type(pipeline.find(Redirects), Redirects | None)
    assert_type(Redirects in pipeline, bool)
    pipeline.before(function, Own())
    pipeline.without(plain)
    Pipeline(function, PER_CALL, Redirects(True), PER_ATTEMPT, Own())
    Client(pipeline=pipeline.strict())
    AsyncClient(pipeline=service_stack(total=5.0, attempts=2, auth=("u", "p")))


# Authentication


class Signed(Auth):
    requires_request_body = True

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        request.headers["X-Signature"] = str(len(request.content))
        response = yield request
        if response.status_code == codes.UNAUTHORIZED:
            yield request


def sign(request: Request) -> Request:
    request.headers["Authorization"] = "signed"
    return request


def auth() -> None:
    Client(auth=Signed())
    Client(auth=sign)
    Client(auth=scallion.DigestAuth("u", "p"))
    AsyncClient(auth=scallion.NetRCAuth(None))
    Client().get("/", auth=("user", "pass"))


# Transports and mocks


class Transport(scallion.BaseTransport):
    def handle_request(self, request: Request) -> Response:
        return Response(200, json={"path": request.url.path})


class AsyncTransport(scallion.AsyncBaseTransport):
    async def handle_async_request(self, request: Request) -> Response:
        return Response(200, stream=scallion.ByteStream(b"x"))


class Stream(scallion.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield b"x"


async def ahandler(request: Request) -> Response:
    return Response(200, text="ok", headers={"a": "b"}, request=request)


def mocks() -> None:
    router = Router(
        base_url=URL("https://host"), pass_through=["localhost"], runtime=BlockingRuntime()
    )
    Client(transport=router)
    AsyncClient(transport=router, mounts={"all://host": router})
    route = router.get("/stock/{item}", params={"page": 1, "tag": ["a", ANY]}, times=2)
    assert_type(route, Route)
    assert_type(route.respond(201, json={"left": 1}, headers={"a": "b"}, delay=0.5), Route)
    assert_type(
        router.route(
            ["GET", "POST"], re.compile("x"), where=lambda request: request.method == "GET"
        ),
        Route,
    )
    router.post(json=containing({"a": int}), headers={"x": ABSENT}, data={"a": 1}, name="n")
    router.post("/", headers=exactly({}), jsn={})  # type: ignore[call-arg]
    router.get(times="2")  # type: ignore[arg-type]
    router.route().answer(503, "connect_error", Reply(204), Response(200), ValueError, ValueError())
    router.route().answer(Delayed(1, "read_timeout"), ahandler, lambda request, item: 200)
    router.route().answer("no_such_fault")  # type: ignore[arg-type]
    router.route().answer(200, then="stop")  # type: ignore[arg-type]
    router.route().respond(chunks=[b"a", "b", Pause(1), ReadError]).first().pass_through()
    router.route().respond(chunks=agenerate)
    call = router.calls.last
    assert_type(call, Call)
    assert_type(router.calls[1:], list[Call])
    assert_type(call.request, Request)
    assert_type(call.response, Response | None)
    assert_type(call.values, Mapping[str, Any])
    assert_type(router["n"], Route)
    with mock(assert_all_called=False, strict=True) as mocked:
        assert_type(mocked, Router)
    with intercepting(MockTransport(ahandler)) as transport:
        assert_type(transport, MockTransport)
    try:
        router.verify()
    except UnforeseenRequest as error:
        assert_type(error.request, Request)
        assert_type(error.nearest, Route | None)


def transports() -> None:
    Client(transport=Transport())
    AsyncClient(transport=AsyncTransport())
    AsyncClient(transport=MockTransport(ahandler))
    Client(transport=MockTransport(lambda request: Response(200, stream=Stream())))
    Client(transport=scallion.HTTPTransport(retries=1, limits=Limits(max_connections=1), uds="/x"))
    Client(mounts={"http://a": Transport(), "http://b": None})
    Client(transport=scallion.WSGITransport(wsgi))
    AsyncClient(transport=scallion.ASGITransport(app=asgi, root_path="/api"))
    mounts: dict[str, scallion.BaseTransport | None] = {"http://a": Transport()}
    Client(mounts=mounts)
