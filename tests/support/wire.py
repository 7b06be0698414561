"""A transport and what is done with it, in words that are the same in each colour."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol, Self

import anyio.to_thread

from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.transports.http import AsyncHTTPTransport, HTTPTransport

from .colours import Drive

__all__ = ["LIMITS", "Wire", "request"]

# No test waits so long; one that hangs ends with an error that names the wait.
LIMITS = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0}


def request(
    method: str,
    url: str,
    *,
    timeout: dict[str, float | None] | None = None,
    deadline: float | None = None,
    extensions: dict[str, Any] | None = None,
    **settings: Any,
) -> Request:
    """A request as a client would hand it to its transport. `timeout` changes single limits."""
    made = Request(
        method,
        url,
        extensions={"timeout": {**LIMITS, **(timeout or {})}, **(extensions or {})},
        **settings,
    )
    made.deadline = deadline
    return made


class Closable(Protocol):
    def wait_until_gone(self, *numbers: int) -> None: ...


class Wire:
    """A transport of `drive`'s colour: `async with Wire(drive) as wire`."""

    def __init__(self, drive: Drive, **settings: Any) -> None:
        self.blocking = drive.blocking
        self.transport: Any = (
            HTTPTransport(**settings) if self.blocking else AsyncHTTPTransport(**settings)
        )

    @property
    def pool(self) -> str:
        """The pool's state, as it is shown."""
        return repr(self.transport.pool)

    async def send(self, sent: Request) -> Response:
        """The response, its body unread."""
        response: Response
        if self.blocking:
            response = self.transport.handle_request(sent)
        else:
            response = await self.transport.handle_async_request(sent)
        return response

    async def open(self, method: str, url: str, **settings: Any) -> Response:
        return await self.send(request(method, url, **settings))

    async def get(self, url: str, **settings: Any) -> bytes:
        """A GET's whole body."""
        return await self.read(await self.open("GET", url, **settings))

    async def read(self, response: Response) -> bytes:
        return response.read() if self.blocking else await response.aread()

    async def close(self, response: Response) -> None:
        if self.blocking:
            response.close()
        else:
            await response.aclose()

    async def gone(self, server: Closable, *numbers: int) -> None:
        """Wait until the server has seen that these connections, or all, are closed."""
        if self.blocking:
            server.wait_until_gone(*numbers)
        else:
            await anyio.to_thread.run_sync(server.wait_until_gone, *numbers)

    async def aclose(self) -> None:
        if self.blocking:
            self.transport.close()
        else:
            await self.transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
