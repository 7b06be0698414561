"""The seam below the onion: httpx's transport interface, so that transports written for httpx plug in."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

__all__ = ["AsyncBaseTransport", "BaseTransport"]


class BaseTransport:
    """Turns a request into a response, blocking the thread. Subclass it and write `handle_request`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def handle_request(self, request: Request) -> Response:
        """Send one request and return its response, the body unread.

        The caller reads or closes the response. `request.extensions["timeout"]` holds the limits in
        seconds (`Timeout.as_dict`), `request.deadline` the moment by which the whole call must end.

        Raises:
            TransportError: one of its kinds, whatever went wrong.
        """
        raise NotImplementedError("The 'handle_request' method must be implemented.")

    def close(self) -> None:
        """Release all connections. Does nothing by default."""


class AsyncBaseTransport:
    """The same, suspending the task: write `handle_async_request`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def handle_async_request(self, request: Request) -> Response:
        """Send one request and return its response, the body unread. See `BaseTransport`."""
        raise NotImplementedError("The 'handle_async_request' method must be implemented.")

    async def aclose(self) -> None:
        """Release all connections. Does nothing by default."""
