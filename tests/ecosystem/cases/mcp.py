"""mcp: its transports are built on `AsyncClient.send(stream=True)`, `EventSource` and `next_request`."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx2
import mcp.client.streamable_http
import uvicorn
from mcp import Client, ClientSession, MCPError
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver import Context, MCPServer
from mcp.shared._httpx_utils import create_mcp_http_client
from scripted import Answer, Received, serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route


def service() -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer("greeter", version="1.2", log_level="CRITICAL")

    @server.tool()
    def greet(name: str) -> str:
        """Greet somebody."""
        return f"hello {name}"

    @server.tool()
    def fail() -> str:
        raise ValueError("broken on purpose")

    @server.tool()
    async def count(to: int, context: Context[Any, Any]) -> int:
        for number in range(to):
            await context.report_progress(number + 1, to, f"at {number + 1}")
        return to

    @server.resource("text://{name}")
    def text(name: str) -> str:
        return f"the text of {name}"

    @server.prompt()
    def ask(topic: str) -> str:
        return f"tell me about {topic}"

    return server


async def moved(request: Request) -> RedirectResponse:
    return RedirectResponse("/mcp", 307)


async def left(request: Request) -> RedirectResponse:
    return RedirectResponse("http://elsewhere.invalid/mcp", 307)


@contextlib.contextmanager
def serving(**settings: Any) -> Iterator[str]:
    """The service behind streamable HTTP at /mcp and server-sent events at /sse."""
    server = service()
    streamable = server.streamable_http_app(**settings)
    events = server.sse_app()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with streamable.router.lifespan_context(app):
            yield

    verbs = ["GET", "POST", "DELETE"]
    routes = [Route("/moved", moved, methods=verbs), Route("/left", left, methods=verbs)]
    app = Starlette(routes=[*routes, *streamable.routes, *events.routes], lifespan=lifespan)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
    runner = uvicorn.Server(config)
    thread = threading.Thread(target=runner.run, args=([listening],), daemon=True)
    thread.start()
    while not runner.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        runner.should_exit = True
        thread.join()
        listening.close()


def check_identity() -> None:
    import scallion

    assert mcp.client.streamable_http.httpx2.AsyncClient is scallion.AsyncClient
    assert type(create_mcp_http_client()) is scallion.AsyncClient
    assert mcp.client.streamable_http.EventSource is scallion.EventSource


def check_default_client() -> None:
    client = create_mcp_http_client(headers={"X-Own": "1"})
    assert httpx2.Timeout(30.0, read=300.0) == client.timeout
    assert (False, "1") == (client.follow_redirects, client.headers["x-own"])


async def _use(client: Client) -> None:
    tools = (await client.list_tools()).tools
    assert ["greet", "fail", "count"] == [tool.name for tool in tools]
    result: Any = await client.call_tool("greet", {"name": "ännchen"})
    assert "hello ännchen" == result.content[0].text
    failed = await client.call_tool("fail", {})
    assert failed.is_error
    seen: list[Any] = []

    async def note(done: float, total: float | None, message: str | None) -> None:
        seen.append((done, total, message))

    counted: Any = await client.call_tool("count", {"to": 3}, progress_callback=note)
    assert "3" == counted.content[0].text
    assert [(1, 3, "at 1"), (2, 3, "at 2"), (3, 3, "at 3")] == seen
    read: Any = await client.read_resource("text://me")
    assert "the text of me" == read.contents[0].text
    prompt: Any = await client.get_prompt("ask", {"topic": "tea"})
    assert "tell me about tea" == prompt.messages[0].content.text


async def check_streamable_http() -> None:
    for settings in ({}, {"json_response": True}, {"stateless_http": True}):
        for mode in ("auto", "legacy"):
            with serving(**settings) as url:
                async with Client(f"{url}/mcp", mode=mode) as client:
                    if settings.get("json_response"):
                        result: Any = await client.call_tool("greet", {"name": "x"})
                        assert "hello x" == result.content[0].text
                    else:
                        await _use(client)


async def check_many_calls_at_once() -> None:
    with serving() as url:
        async with Client(f"{url}/mcp") as client, anyio.create_task_group() as group:
            answers: list[str] = []

            async def call(name: str) -> None:
                result: Any = await client.call_tool("greet", {"name": name})
                answers.append(result.content[0].text)

            for number in range(20):
                group.start_soon(call, str(number))
        assert {f"hello {number}" for number in range(20)} == set(answers)


async def check_own_client_and_session() -> None:
    seen: list[tuple[str, str | None]] = []

    async def note(request: httpx2.Request) -> None:
        seen.append((request.method, request.headers.get("mcp-session-id")))

    with serving() as url:
        async with (
            httpx2.AsyncClient(event_hooks={"request": [note]}, headers={"X-Own": "1"}) as http,
            streamable_http_client(f"{url}/mcp", http_client=http) as (read, write),
            ClientSession(read, write) as session,
        ):
            started = await session.initialize()
            assert ("greeter", "1.2") == (started.server_info.name, started.server_info.version)
            await session.send_ping()
        methods = [method for method, _ in seen]
        # The session is opened without an id, and ended at the close.
        assert (("POST", None), "DELETE") == (seen[0], methods[-1])
        assert seen[-1][1]


async def check_server_sent_events() -> None:
    with serving() as url:
        async with sse_client(f"{url}/sse", headers={"X-Own": "1"}) as (read, write):
            async with ClientSession(read, write) as session:
                await session.initialize()
                result: Any = await session.call_tool("greet", {"name": "sse"})
                assert "hello sse" == result.content[0].text
        async with Client(sse_client(f"{url}/sse"), mode="legacy") as client:
            await _use(client)


async def check_redirects_stay_within_the_origin() -> None:
    with serving() as url:
        async with Client(f"{url}/moved", mode="legacy") as client:
            result: Any = await client.call_tool("greet", {"name": "moved"})
            assert "hello moved" == result.content[0].text
        error = await _failure(Client(f"{url}/left", mode="legacy"))
        assert "http://elsewhere.invalid/mcp" in str(error)


async def check_failures() -> None:
    with serving() as url:
        assert isinstance(await _failure(Client(f"{url}/nowhere", mode="legacy")), MCPError)
    error = await _failure(Client("http://127.0.0.1:1/mcp", mode="legacy"))
    assert isinstance(error, MCPError | httpx2.ConnectError)
    error = await _failure(Client(sse_client("http://127.0.0.1:1/sse"), mode="legacy"))
    assert isinstance(error, httpx2.ConnectError)


async def _failure(client: Client) -> BaseException:
    try:
        async with client:
            raise AssertionError("it was connected")
    except BaseException as error:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, AssertionError):
            raise
        return error


class Storage:
    """Keeps an OAuth token for the client."""

    token: Any = None

    async def get_tokens(self) -> Any:
        return self.token

    async def set_tokens(self, tokens: Any) -> None:
        self.token = tokens

    async def get_client_info(self) -> Any:
        return None

    async def set_client_info(self, client_info: Any) -> None:
        pass


async def check_oauth() -> None:
    """An auth flow that discovers, asks for a token, and only then sends the request again."""

    def answer(request: Received) -> Answer:
        origin = f"http://{request.headers['Host']}"
        if request.path.startswith("/.well-known/oauth-protected-resource"):
            return _json({"resource": f"{origin}/mcp", "authorization_servers": [origin]})
        if request.path.startswith("/.well-known/oauth-authorization-server"):
            ends = {"authorization_endpoint": f"{origin}/a", "token_endpoint": f"{origin}/token"}
            return _json({"issuer": origin, **ends, "response_types_supported": ["code"]})
        if request.path == "/token":
            return _json({"access_token": "the-token", "token_type": "Bearer", "expires_in": 3600})
        if request.headers["Authorization"] == "Bearer the-token":
            return _json({"body": request.body.decode()})
        where = f'Bearer resource_metadata="{origin}/.well-known/oauth-protected-resource"'
        return Answer(401, {"WWW-Authenticate": where})

    with serve(answer) as server, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        storage: Any = Storage()
        auth = ClientCredentialsOAuthProvider(f"{server.url}/mcp", storage, "id", "secret")
        async with httpx2.AsyncClient(auth=auth) as client:
            response = await client.post(f"{server.url}/mcp", content=b"body")
        assert {"body": "body"} == response.json()
        assert "the-token" == storage.token.access_token
        assert ["/mcp", "/token", "/mcp"] == [
            one.path for one in server.received if not one.path.startswith("/.well-known")
        ]


def _json(value: Any) -> Answer:
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(value).encode())
