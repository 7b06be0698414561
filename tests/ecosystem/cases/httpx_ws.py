"""httpx-ws: WebSockets over a 101 response's network stream, in both colours, and over an ASGI application."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from socket import SHUT_RDWR
from typing import Any

import anyio
import httpx
import httpx_ws
import wsproto
from httpx_ws import (
    AsyncWebSocketClient,
    WebSocketClient,
    WebSocketDisconnect,
    WebSocketInvalidTypeReceived,
    WebSocketNetworkError,
    WebSocketUpgradeError,
    aconnect_ws,
    connect_ws,
)
from httpx_ws.transport import ASGIWebSocketTransport
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_sockets


def talk(socket: ServerConnection) -> None:
    """Greets at once, echoes what it is told in capitals or backwards, and closes when asked to."""
    assert socket.request is not None
    if socket.request.path == "/vanish":
        socket.recv()
        # Without a closing handshake.
        socket.socket.shutdown(SHUT_RDWR)
        return
    # Sent right behind the 101, so that both may arrive together.
    socket.send(f"hello {socket.request.path} {socket.request.headers.get('X-Token')}")
    with contextlib.suppress(ConnectionClosed):
        for message in socket:
            if message == "close":
                socket.close(4001, "told to")
            elif message == "ping":
                assert socket.ping().wait(10)
                socket.send("ponged")
            elif message == "fragments":
                socket.send(iter(["one ", "two ", "three"]))
            elif message == "big":
                socket.send(b"x" * 200_000)
            elif isinstance(message, str):
                socket.send(message.upper())
            else:
                socket.send(message[::-1])


def refuse(socket: ServerConnection, request: Any) -> Any:
    return socket.respond(403, "not you\n") if request.path == "/refused" else None


@contextlib.contextmanager
def sockets() -> Iterator[str]:
    with serve_sockets(
        talk,
        "127.0.0.1",
        0,
        process_request=refuse,
        select_subprotocol=lambda socket, offered: offered[0] if offered else None,
        compression=None,
    ) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def check_identity() -> None:
    import scallion

    assert httpx_ws._api.httpx.Client is scallion.Client
    assert issubclass(ASGIWebSocketTransport, scallion.ASGITransport)
    with sockets() as url, httpx.Client() as client, connect_ws(f"{url}/", client) as ws:
        assert type(client) is scallion.Client
        assert type(ws.response) is scallion.Response
        assert type(ws.stream).__module__.startswith("scallion.")


def check_messages() -> None:
    with sockets() as url, httpx.Client(headers={"X-Token": "t"}) as client:
        with connect_ws(f"{url}/room?a=1", client) as ws:
            assert "hello /room?a=1 t" == ws.receive_text(timeout=10)
            ws.send_text("text ä")
            assert "TEXT Ä" == ws.receive_text(timeout=10)
            ws.send_bytes(b"abc")
            assert b"cba" == ws.receive_bytes(timeout=10)
            ws.send_json({"a": 1})
            assert {"A": 1} == ws.receive_json(timeout=10)
            ws.send_text("fragments")
            assert "one two three" == ws.receive_text(timeout=10)
            ws.send_text("big")
            assert b"x" * 200_000 == ws.receive_bytes(timeout=10)
        assert ws.response is not None
        assert (101, "websocket") == (ws.response.status_code, ws.response.headers["upgrade"])
        with connect_ws(url.replace("http", "ws") + "/", client) as ws:
            assert ws.receive_text(timeout=10).startswith("hello /")
    with sockets() as url, connect_ws(f"{url}/without-a-client") as ws:
        assert "hello /without-a-client None" == ws.receive_text(timeout=10)


def check_pings() -> None:
    with sockets() as url, connect_ws(f"{url}/", keepalive_ping_interval_seconds=None) as ws:
        ws.receive_text(timeout=10)
        assert ws.ping(b"payload").wait(10)
        ws.send_text("ping")
        assert "ponged" == ws.receive_text(timeout=10)


def check_keepalive() -> None:
    with sockets() as url:
        with connect_ws(
            f"{url}/", keepalive_ping_interval_seconds=0.01, keepalive_ping_timeout_seconds=10
        ) as ws:
            ws.receive_text(timeout=10)
            ws.send_text("still there")
            assert "STILL THERE" == ws.receive_text(timeout=10)


def check_closing() -> None:
    with sockets() as url, httpx.Client() as client:
        with connect_ws(f"{url}/", client) as ws:
            ws.receive_text(timeout=10)
            ws.send_text("close")
            error: Any = _raises(WebSocketDisconnect, lambda: ws.receive_text(timeout=10))
            assert (4001, "told to") == (error.code, error.reason)
        with connect_ws(f"{url}/vanish", client) as ws:
            ws.send_text("now")
            _raises(WebSocketNetworkError, lambda: ws.receive_text(timeout=10))
        with connect_ws(f"{url}/", client) as ws:
            ws.close(1001, "leaving")
        with connect_ws(f"{url}/", client) as ws:
            assert ws.receive_text(timeout=10).startswith("hello")


def check_refusals_and_types() -> None:
    with sockets() as url, httpx.Client() as client:

        def refused() -> None:
            with connect_ws(f"{url}/refused", client):
                raise AssertionError("a refused socket was open")

        error: Any = _raises(WebSocketUpgradeError, refused)
        assert 403 == error.response.status_code
        with connect_ws(f"{url}/", client) as ws:
            _raises(WebSocketInvalidTypeReceived, lambda: ws.receive_bytes(timeout=10))


def check_subprotocols_and_client_objects() -> None:
    with sockets() as url, httpx.Client() as client:
        with connect_ws(f"{url}/", client, subprotocols=["v2"]) as ws:
            assert "v2" == ws.subprotocol
        reusable = WebSocketClient(client)
        for _ in range(2):
            with reusable.connect(f"{url}/", headers={"X-Token": "own"}) as ws:
                assert "hello / own" == ws.receive_text(timeout=10)


def check_timeouts() -> None:
    import queue

    with sockets() as url, connect_ws(f"{url}/") as ws:
        ws.receive_text(timeout=10)
        _raises(queue.Empty, lambda: ws.receive_text(timeout=0.01))


def _raises(kind: type[Exception], call: Any) -> Exception:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


async def check_async_messages() -> None:
    with sockets() as url:
        async with httpx.AsyncClient(headers={"X-Token": "t"}) as client:
            async with aconnect_ws(f"{url}/room", client, subprotocols=["v1"]) as ws:
                assert "v1" == ws.subprotocol
                assert "hello /room t" == await ws.receive_text(timeout=10)
                await ws.send_text("text")
                assert "TEXT" == await ws.receive_text(timeout=10)
                await ws.send_bytes(b"abc")
                assert b"cba" == await ws.receive_bytes(timeout=10)
                await ws.send_json({"a": 1})
                assert {"A": 1} == await ws.receive_json(timeout=10)
                await ws.send_text("big")
                assert b"x" * 200_000 == await ws.receive_bytes(timeout=10)
                with anyio.fail_after(10):
                    await (await ws.ping()).wait()
                await ws.send_text("ping")
                assert "ponged" == await ws.receive_text(timeout=10)
                await ws.send_text("close")
                try:
                    await ws.receive_text(timeout=10)
                except WebSocketDisconnect as error:
                    assert 4001 == error.code
                else:
                    raise AssertionError("the close was not seen")
            async with AsyncWebSocketClient(client).connect(f"{url}/") as ws:
                await ws.receive_text(timeout=10)
                await ws.close()
            try:
                async with aconnect_ws(f"{url}/refused", client):
                    raise AssertionError("a refused socket was open")
            except WebSocketUpgradeError as error:
                assert 403 == error.response.status_code


async def check_async_network_errors() -> None:
    with sockets() as url:
        async with aconnect_ws(f"{url}/vanish") as ws:
            await ws.send_text("now")
            try:
                await ws.receive_text(timeout=10)
            except WebSocketNetworkError:
                pass
            else:
                raise AssertionError("the loss was not seen")


def check_trio() -> None:
    anyio.run(check_async_messages, backend="trio")


async def chat(socket: WebSocket) -> None:
    await socket.accept(subprotocol=(socket.scope["subprotocols"] or [None])[0])
    async for text in socket.iter_text():
        if text == "close":
            await socket.close(4002)
            break
        await socket.send_text(text.upper())


async def refusing(socket: WebSocket) -> None:
    await socket.close(1008)


async def plain(request: Any) -> PlainTextResponse:
    return PlainTextResponse("plain")


app = Starlette(
    routes=[
        Route("/plain", plain),
        WebSocketRoute("/chat", chat),
        WebSocketRoute("/refuse", refusing),
    ]
)


async def check_asgi_transport() -> None:
    async with httpx.AsyncClient(transport=ASGIWebSocketTransport(app=app)) as client:
        assert "plain" == (await client.get("http://server/plain")).text
        async with aconnect_ws("http://server/chat", client, subprotocols=["v9"]) as ws:
            assert "v9" == ws.subprotocol
            await ws.send_text("hello")
            assert "HELLO" == await ws.receive_text(timeout=10)
            await ws.send_text("close")
            try:
                await ws.receive_text(timeout=10)
            except WebSocketDisconnect as error:
                assert 4002 == error.code
            else:
                raise AssertionError("the close was not seen")
    try:
        async with httpx.AsyncClient(transport=ASGIWebSocketTransport(app=app)) as client:
            async with aconnect_ws("ws://server/refuse", client):
                raise AssertionError("a refused socket was open")
    except* WebSocketDisconnect as errors:
        assert 1008 == _only(errors).code


def _only(group: BaseException) -> Any:
    while isinstance(group, BaseExceptionGroup):
        (group,) = group.exceptions
    return group


def check_events_of_wsproto() -> None:
    with sockets() as url, connect_ws(f"{url}/") as ws:
        assert isinstance(ws.receive(timeout=10), wsproto.events.TextMessage)
        ws.send(wsproto.events.BytesMessage(b"12"))
        assert b"21" == ws.receive(timeout=10).data
