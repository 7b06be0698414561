"""A transport in one colour, and what rules do with it, in words that are the same in each colour."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeAlias

from scallion.pipeline.errors import HTTPError, TransportError
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime, run
from scallion.pipeline.streams import ByteStream

from .colours import Colour, eventually, runtime_of, together
from .gates import Gate
from .reference import Reference
from .rules import holds

__all__ = ["Bench", "Factory", "Told"]

Factory: TypeAlias = Callable[[Reference], Any]

METHODS = {
    "sync": "handle_request",
    "asyncio": "handle_async_request",
    "trio": "handle_async_request",
}


class Told:
    """What the reference tells of a request that reached it."""

    def __init__(self, body: bytes) -> None:
        told = json.loads(body)
        self.method: str = told["method"]
        self.target: str = told["target"]
        self.size: int = told["size"]
        self.digest: str = told["digest"]
        self.headers: list[tuple[str, str]] = [(name, value) for name, value in told["headers"]]

    def get(self, name: str, separator: str = ", ") -> str | None:
        """The field's values, joined (RFC 9110 section 5.3); None if it did not arrive."""
        values = [value for key, value in self.headers if key.lower() == name]
        return separator.join(values) if values else None


class Bench:
    """One colour's transport, freshly made.

    Attributes:
        reference: The other side.
        transport: What the factory made.
        base: The URL that paths are appended to.
        features: What the transport promises.
        patience: Seconds after which what does not happen is taken for never.
        requests: Every request that was made, for the rule on secrets.
    """

    def __init__(
        self, reference: Reference, factory: Factory, features: frozenset[str], patience: float
    ) -> None:
        self.reference = reference
        self.colour: Colour = reference.colour
        self.features = features
        self.patience = patience
        self.runtime: Runtime = runtime_of(self.colour)
        self._factory = factory
        self._others: list[Any] = []
        self.transport, self.base = self._make()

    def _make(self) -> tuple[Any, str]:
        made = self._factory(self.reference)
        transport, base = made if isinstance(made, tuple) else (made, None)
        method = METHODS[self.colour]
        holds(
            hasattr(transport, method),
            f"the factory made a {type(transport).__name__} for {self.colour}, which has no {method}()",
        )
        return transport, (base or self.reference.url).rstrip("/")

    def another(self) -> Any:
        """One more transport, made anew; closed at the rule's end."""
        transport, self.base = self._make()
        self._others.append(transport)
        return transport

    @property
    def blocking(self) -> bool:
        return self.colour == "sync"

    # Requests

    def request(
        self,
        method: str = "GET",
        path: str = "/told",
        *,
        gate: Gate | None = None,
        timeout: dict[str, float | None] | None = None,
        extensions: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Request:
        """A request as a client would hand it to its transport. `timeout` changes single limits."""
        limits = dict.fromkeys(("connect", "read", "write", "pool"), self.patience)
        url = f"{self.base}{path}"
        if gate is not None:
            url += f"{'&' if '?' in path else '?'}gate={gate.name}"
        more = extensions or {}
        return Request(
            method, url, extensions={"timeout": {**limits, **(timeout or {})}, **more}, **settings
        )

    async def send(self, request: Request, transport: Any = None) -> Response:
        """What the transport answers, its body unread."""
        transport = self.transport if transport is None else transport
        if self.blocking:
            response = transport.handle_request(request)
        else:
            response = await transport.handle_async_request(request)
        holds(
            isinstance(response, Response),
            f"it returned a {type(response).__name__} instead of a scallion.Response",
        )
        checked: Response = response
        return checked

    async def open(self, method: str = "GET", path: str = "/told", **settings: Any) -> Response:
        return await self.send(self.request(method, path, **settings))

    async def fetch(self, method: str = "GET", path: str = "/told", **settings: Any) -> bytes:
        """The body of the answer to such a request."""
        return await self.read(await self.open(method, path, **settings))

    async def told(self, method: str = "GET", path: str = "/told", **settings: Any) -> Told:
        """What reached the reference."""
        response = await self.open(method, path, **settings)
        body = await self.read(response)
        holds(response.status_code == 200, f"a {method} of {path} was answered with {response!r}")
        return Told(body)

    async def raised(self, request: Request, doing: str) -> HTTPError:
        """The error of a request that must fail, in being sent or in its response's being read."""
        response = None
        try:
            response = await self.send(request)
            body = await self.read(response)
        except TransportError as error:
            return error
        except Exception as error:
            raise AssertionError(
                f"{doing} raised {type(error).__module__}.{type(error).__qualname__} ({error}), "
                "which is no scallion.TransportError"
            ) from error
        raise AssertionError(
            f"{doing} raised nothing: {response!r} with a body of {len(body)} bytes"
        )

    # Responses

    async def read(self, response: Response) -> bytes:
        """The raw body to its end; the response is closed then."""
        pieces = [piece async for piece in self.pieces(response)]
        await self.close(response)
        return b"".join(pieces)

    def pieces(self, response: Response) -> AsyncIterator[bytes]:
        """The raw body as it comes."""
        if isinstance(response.stream, ByteStream):
            # A response that was made of its content, which it regards as read.
            return _Awaited(iter(response.stream))
        if self.blocking:
            return _Awaited(response.iter_raw())
        return response.aiter_raw()

    async def close(self, response: Response) -> None:
        if self.blocking:
            response.close()
        else:
            await response.aclose()

    def iterator(self, *pieces: bytes | Callable[[], Any]) -> Any:
        """A body to be sent once, of the colour; a function among the pieces is awaited in its place."""
        stream = _Upload(pieces)
        return _stepped(stream) if self.blocking else stream

    # Afterwards

    async def serves(self, after: str) -> None:
        """Fail unless the transport still answers, and nothing is held."""
        try:
            told = await self.told("POST", content=b"again")
        except Exception as error:
            raise AssertionError(f"after {after} it serves no more: {error!r}") from error
        holds(
            told.digest == digest(b"again"), f"after {after} the next request's body is not its own"
        )
        await self.idle(after)

    async def idle(self, after: str) -> None:
        """Fail unless the transport's pool, where it shows one, ends up with nothing active."""
        if not hasattr(getattr(self.transport, "pool", None), "active"):
            return
        await eventually(
            lambda: self.transport.pool.active == 0 and self.transport.pool.waiting == 0,
            self.colour,
            self.patience,
            f"after {after} something is still held",
        )

    def arrived_once(self, gate: Gate, what: str) -> None:
        """Fail unless the reference has seen the gate's request once: it was neither lost nor sent again."""
        holds(gate.requests == 1, f"{what} has reached the server {gate.requests} times, not once")

    async def eventually(self, condition: Callable[[], bool], message: str) -> None:
        """Wait for what the reference's threads bring about."""
        await eventually(condition, self.colour, self.patience, message)

    async def together(self, *works: Callable[[], Any]) -> list[Any]:
        return await together(self.colour, works, self.patience * 4)

    async def close_transport(self, transport: Any = None) -> None:
        transport = self.transport if transport is None else transport
        if self.blocking:
            transport.close()
        else:
            await transport.aclose()

    async def aclose(self) -> None:
        """Close everything; what a rule has closed before is closed twice."""
        self.reference.gates.open_all()
        for transport in (self.transport, *self._others):
            await self.close_transport(transport)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


class _Awaited:
    """A plain iterator, to be awaited without suspending."""

    def __init__(self, iterator: Iterator[bytes]) -> None:
        self._iterator = iterator

    def __aiter__(self) -> _Awaited:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._iterator:
            return piece
        raise StopAsyncIteration


class _Upload:
    """A body in pieces; between them it may wait."""

    def __init__(self, pieces: tuple[Any, ...]) -> None:
        self._pieces = iter(pieces)

    def __aiter__(self) -> _Upload:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            if isinstance(piece, bytes):
                return piece
            await piece()
        raise StopAsyncIteration


def _stepped(upload: _Upload) -> Iterator[bytes]:
    """The same for a blocking transport."""
    while True:
        try:
            piece = run(upload.__anext__())
        except StopAsyncIteration:
            return
        yield piece
