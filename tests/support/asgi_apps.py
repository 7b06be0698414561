"""Hand-written ASGI apps and their messages, and a request to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.transports.asgi import ASGITransport

__all__ = [
    "URL",
    "App",
    "Message",
    "Receive",
    "Send",
    "answers",
    "ask",
    "body",
    "content_of",
    "start",
]

Message: TypeAlias = Any
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Any, Receive, Send], Awaitable[None]]

URL = "http://testserver/"


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(piece: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": piece, "more_body": more}


def answers(*messages: Message) -> App:
    """An app that sends `messages`, whatever it is asked; an exception among them is raised."""

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        for message in messages:
            if isinstance(message, BaseException):
                raise message
            await send(message)

    return app


async def content_of(receive: Receive) -> bytes:
    """The request's body, read to its end."""
    content = b""
    while True:
        message: dict[str, Any] = await receive()
        assert "http.request" == message["type"]
        content += bytes(message["body"])
        if not message["more_body"]:
            return content


async def ask(transport: ASGITransport, request: Request | None = None) -> Response:
    """One request and its response, read."""
    response = await transport.handle_async_request(request or Request("GET", URL))
    await response.aread()
    return response
