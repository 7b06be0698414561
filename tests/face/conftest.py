"""One body for both clients: `face` gives a `Client` or an `AsyncClient`, driven in the colour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Self, TypeVar

import pytest

import scallion
from support.colours import Drive

T = TypeVar("T")

_SENDING = frozenset(
    {"delete", "get", "head", "options", "patch", "post", "put", "query", "request", "send"}
)


class Driven:
    """A client whose methods are awaited, whichever it is. What does not wait passes as it is."""

    def __init__(self, client: Any) -> None:
        object.__setattr__(self, "client", client)
        object.__setattr__(self, "blocking", isinstance(client, scallion.Client))

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.client, name)
        if not self.blocking or name not in _SENDING:
            return attribute

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return attribute(*args, **kwargs)

        return awaited

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.client, name, value)

    def stream(self, *args: Any, **kwargs: Any) -> Any:
        streaming = self.client.stream(*args, **kwargs)
        return _Entered(streaming) if self.blocking else streaming

    async def close(self) -> None:
        if self.blocking:
            self.client.close()
        else:
            await self.client.aclose()

    async def read(self, response: Any) -> bytes:
        content: bytes = response.read() if self.blocking else await response.aread()
        return content

    async def release(self, response: Any) -> None:
        if self.blocking:
            response.close()
        else:
            await response.aclose()

    async def __aenter__(self) -> Self:
        if self.blocking:
            self.client.__enter__()
        else:
            await self.client.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self.blocking:
            self.client.__exit__(*exc)
        else:
            await self.client.__aexit__(*exc)


class _Entered:
    def __init__(self, context: Any) -> None:
        self._context = context

    async def __aenter__(self) -> Any:
        return self._context.__enter__()

    async def __aexit__(self, *exc: object) -> Any:
        return self._context.__exit__(*exc)


class Face:
    """Makes clients of the colour, and drives what is done with them.

    `face(scenario, handler, **settings)` runs `scenario(client)` over a `MockTransport(handler)`.
    """

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.blocking = drive.blocking

    def client(self, handler: Any = None, **settings: Any) -> Driven:
        if "transport" not in settings and handler is not None:
            settings["transport"] = scallion.MockTransport(handler)
        return Driven(
            scallion.Client(**settings) if self.blocking else scallion.AsyncClient(**settings)
        )

    def __call__(
        self, scenario: Callable[[Driven], Awaitable[T]], handler: Any = None, **settings: Any
    ) -> T:
        async def run() -> T:
            client = self.client(handler, **settings)
            try:
                return await scenario(client)
            finally:
                await client.close()

        return self.drive(run)

    def middleware(self, function: Callable[[Any], Any]) -> Any:
        """A middleware that shows each request to `function` first."""

        async def middleware(
            request: scallion.Request, call_next: scallion.Next
        ) -> scallion.Response:
            function(request)
            return await call_next(request)

        return middleware


@pytest.fixture
def face(drive: Drive) -> Face:
    return Face(drive)


@pytest.fixture
def aliased() -> Iterator[None]:
    """httpx and httpx2 are not imported; what takes their place is gone afterwards."""
    from support.aliases import out_of_the_way

    with out_of_the_way():
        yield
