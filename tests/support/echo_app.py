"""An ASGI application for servers that tests start: what is asked for by path."""

from __future__ import annotations

from typing import Any

__all__ = ["app"]

PIECE = 64 * 1024


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """`/echo` streams the request's body back, `/count` counts its bytes, `/size/N` sends N bytes, `/hang` never ends."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    path = scope["path"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if path == "/echo":
        async for piece in _body(receive):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    elif path == "/count":
        size = sum([len(piece) async for piece in _body(receive)])
        await send({"type": "http.response.body", "body": str(size).encode(), "more_body": True})
    elif path.startswith("/size/"):
        left = int(path.removeprefix("/size/"))
        while left:
            piece = bytes(min(left, PIECE))
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    elif path == "/hang":
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _body(receive: Any) -> Any:
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return
