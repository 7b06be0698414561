"""A middleware in one colour, the rest of the onion around it, and what rules do with them."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import anyio.lowlevel

from scallion.pipeline.errors import StreamConsumed
from scallion.pipeline.headers import Headers
from scallion.pipeline.onion import Send, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.streams import AsyncByteStream, SyncByteStream

from .colours import COLOURS, Colour
from .rules import holds
from .scenarios import Answer, Scenario
from .worlds import VirtualRuntime

__all__ = ["MiddlewareBench", "MiddlewareFactory", "Outcome", "Rest", "colours_of"]

MiddlewareFactory: TypeAlias = Callable[[], Any]

ENOUGH = 100
"""Sendings of one request after which a middleware is taken for one that never stops."""

URL = "http://service.example/path?q=1"


class _Pieces(SyncByteStream, AsyncByteStream):
    """A response's body: it suspends where one from a network would, and remembers its closing."""

    def __init__(self, body: bytes) -> None:
        self._pieces = iter([body[:3], body[3:]] if body else [])
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        # Released first: who is cancelled while it closes has closed.
        self.closed = True
        await anyio.lowlevel.checkpoint()


class _Unsuspending(_Pieces):
    """The same under a `Client`."""

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed = True


class Rest:
    """The rest of the onion, as a scenario has it.

    Attributes:
        asked: The requests that came through, in order.
        made: The responses that were given, and their bodies.
        spent: Requests that were sent again although their body could not be.
    """

    def __init__(self, scenario: Scenario, runtime: VirtualRuntime) -> None:
        self.asked: list[Request] = []
        self.made: list[tuple[Response, bytes]] = []
        self.spent: list[Request] = []
        self._scenario = scenario
        self._runtime = runtime

    async def send(self, request: Request) -> Response:
        self.asked.append(request)
        holds(len(self.asked) <= ENOUGH, f"it sends one request more than {ENOUGH} times")
        number = len(self.asked) - 1
        if not self._runtime.blocking:
            await anyio.lowlevel.checkpoint()
        await self._take(request)
        outcome = self._scenario.outcome(number)
        if not isinstance(outcome, Answer):
            raise outcome("the rest of the onion fails")
        return self.answer(request, outcome)

    def answer(self, request: Request, answer: Answer) -> Response:
        """A response as a transport returns it, its body unread."""
        kind = _Unsuspending if self._runtime.blocking else _Pieces
        body = b"" if request.method == "HEAD" else answer.body
        response = Response(
            answer.status,
            headers=Headers(list(answer.headers)),
            stream=kind(body),
            request=request,
            extensions={"http_version": b"HTTP/1.1"},
        )
        self.made.append((response, body))
        return response

    async def _take(self, request: Request) -> None:
        """Read the request's body, as sending it would."""
        stream: Any = request.stream
        try:
            if self._runtime.blocking:
                b"".join(stream)
            else:
                b"".join([piece async for piece in stream])
        except StreamConsumed:
            self.spent.append(request)
            raise

    def open(self, but: Response | None = None) -> list[Response]:
        """The responses that are not closed, without one."""
        return [
            response for response, _ in self.made if response is not but and not response.is_closed
        ]


class Outcome:
    """What came out of a call: a response, or an error."""

    def __init__(self, response: Any = None, error: BaseException | None = None) -> None:
        self.response = response
        self.error = error


class MiddlewareBench:
    """What rules play with.

    Attributes:
        secrets: Strings that nothing may show.
    """

    def __init__(
        self, factory: MiddlewareFactory, colour: Colour, secrets: tuple[str, ...], patience: float
    ) -> None:
        self.factory = factory
        self.colour: Colour = colour
        self.secrets = secrets
        self.patience = patience

    @property
    def blocking(self) -> bool:
        return self.colour == "sync"

    def runtime(self, *, patient: bool = False) -> VirtualRuntime:
        return VirtualRuntime(blocking=self.blocking, patient=patient)

    def request(self, scenario: Scenario | None = None, **settings: Any) -> Request:
        """The scenario's request, or a GET."""
        method = "GET" if scenario is None else scenario.method
        body = "none" if scenario is None else scenario.body
        if body == "bytes":
            settings["content"] = b"body"
        elif body == "once":
            settings["content"] = iter([b"bo", b"dy"]) if self.blocking else _Once()
        return Request(method, settings.pop("url", URL), **settings)

    def onion(
        self, rest: Rest, runtime: VirtualRuntime, middleware: Any = None, *, strict: bool = False
    ) -> Send:
        """The middleware, a fresh one if none is given, around the rest."""
        layer = self.factory() if middleware is None else middleware
        return compose([layer], rest.send, runtime, strict=strict)

    async def play(
        self,
        scenario: Scenario,
        *,
        request: Request | None = None,
        runtime: VirtualRuntime | None = None,
        strict: bool = False,
    ) -> tuple[Outcome, Rest]:
        """One call through a fresh middleware."""
        runtime = runtime or self.runtime()
        rest = Rest(scenario, runtime)
        send = self.onion(rest, runtime, strict=strict)
        try:
            response: Any = await send(request or self.request(scenario))
        except Exception as error:  # noqa: BLE001  # rules judge it
            return Outcome(error=error), rest
        return Outcome(response), rest

    async def read(self, response: Response) -> bytes:
        return response.read() if self.blocking else await response.aread()

    async def finish(self, outcome: Outcome) -> None:
        """Close what came out."""
        response = outcome.response
        if isinstance(response, Response):
            if self.blocking:
                response.close()
            else:
                await response.aclose()


class _Once:
    """An async body that can be sent once."""

    def __init__(self) -> None:
        self._pieces = iter([b"bo", b"dy"])

    def __aiter__(self) -> _Once:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


@contextmanager
def naming(scenario: Scenario) -> Iterator[None]:
    """Say of a failure in which scenario it was."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{scenario}: {error}") from error
    except Exception as error:
        error.add_note(f"It was {scenario}.")
        raise


def colours_of(middleware: Any) -> tuple[Colour, ...]:
    """All colours for what is asynchronous or has no colour; "sync" for a plain function."""
    inner = middleware
    while isinstance(inner, partial):
        inner = inner.func
    asynchronous = inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(
        getattr(type(inner), "__call__", None)  # noqa: B004
    )
    return COLOURS if asynchronous or getattr(type(inner), "colourless", False) else ("sync",)
