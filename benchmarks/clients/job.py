"""What a client is asked to do, and how an adapter offers it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

__all__ = [
    "Action",
    "Adapter",
    "AsyncOnce",
    "Colour",
    "Job",
    "Once",
    "Unavailable",
]

Colour = Literal["sync", "asyncio", "trio"]
Action = Literal["get", "download", "upload", "stream"]

# Does the action once; the number of bytes of the answer's body, all of them read.
Once = Callable[[], int]
AsyncOnce = Callable[[], Awaitable[int]]


class Unavailable(Exception):
    """The client is not installed, or lacks what the case needs."""


@dataclass(frozen=True)
class Job:
    """One thing to be done again and again.

    Attributes:
        url: Where to.
        action: `get` keeps the body, `download` counts it as it comes, `upload` posts `body`,
            `stream` posts `size` bytes in pieces that are made on the way.
        ca: A file with the certificate to trust, for https.
        http2: Whether HTTP/2 is to be spoken.
        connections: How many may be open, and be kept.
        queueing: Whether more requests than that are under way at once.
        body: What is uploaded.
        size: How much is streamed.
        patient: Without any time limit.
    """

    url: str
    action: Action = "get"
    ca: str | None = None
    http2: bool = False
    connections: int = 1
    queueing: bool = False
    body: bytes = b""
    size: int = 0
    patient: bool = False

    def context(self) -> ssl.SSLContext:
        """A context that trusts `ca`."""
        return ssl.create_default_context(cafile=self.ca)

    def pieces(self) -> Iterator[bytes]:
        """`size` bytes, bit by bit."""
        piece = bytes(65536)
        for _ in range(self.size // len(piece)):
            yield piece

    async def async_pieces(self) -> AsyncIterator[bytes]:
        for piece in self.pieces():
            yield piece

    @property
    def host(self) -> tuple[str, int]:
        host, _, port = self.url.split("/")[2].partition(":")
        return host, int(port)

    @property
    def target(self) -> str:
        return "/" + self.url.split("/", 3)[3]


class Adapter:
    """A client, ready to be asked. What it does not offer raises `Unavailable`."""

    def sync(self, job: Job) -> AbstractContextManager[Once]:  # noqa: ARG002
        """A function that does `job` once, with one client for all calls."""
        self._lacks("sync requests")

    def asyncio(self, job: Job) -> AbstractAsyncContextManager[AsyncOnce]:  # noqa: ARG002
        """The same under asyncio."""
        self._lacks("asyncio")

    def trio(self, job: Job) -> AbstractAsyncContextManager[AsyncOnce]:  # noqa: ARG002
        """The same under trio."""
        self._lacks("trio")

    def made(self) -> None:
        """Make a client with default settings, and close it."""
        self._lacks("client to be made without a request")

    def one_shot(self, url: str) -> int:  # noqa: ARG002
        """Get `url` without a client."""
        self._lacks("one-shot get()")

    def _lacks(self, what: str) -> NoReturn:
        raise Unavailable(f"has no {what}")


def attribute(module: Any, name: str) -> Any:
    """`module.name`.

    Raises:
        Unavailable: there is none.
    """
    try:
        return getattr(module, name)
    except AttributeError:
        raise Unavailable(f"has no {name}") from None
