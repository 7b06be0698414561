"""The onion: an ordered tuple of middlewares around one transport, written once for both clients.

A middleware is `async (request, call_next) -> response`; the first is the outermost. `AsyncClient`
awaits the outermost one, `Client` drives the very same coroutine with `run`, over a runtime whose
operations block instead of suspending. Nothing in here imports an event loop.

A client composes its onion once; sending a request builds nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from types import CoroutineType
from typing import Any, Protocol, TypeAlias, TypeVar

from .errors import MiddlewareError
from .layer import Layer
from .request import Request
from .response import Response
from .runtime import Event, Runtime, run
from .streams import AsyncByteStream, SyncByteStream, Unsuspended

__all__ = [
    "Middleware",
    "Next",
    "Send",
    "SyncMiddleware",
    "SyncNext",
    "SyncRuntime",
    "check_middleware",
    "compose",
    "name_of",
]

T = TypeVar("T")
Send: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]


class Next:
    """The rest of the onion, seen from one layer.

    Call it with the request to send; call it again to send again; do not call it to answer yourself.
    Who receives a response returns it or closes it, and closes it before sleeping or sending again.

    Attributes:
        runtime: Time and waiting, in the colour of the client.
    """

    __slots__ = ("_send", "runtime")

    def __init__(self, send: Send, runtime: Runtime) -> None:
        self._send = send
        self.runtime = runtime

    def __call__(self, request: Request) -> Awaitable[Response]:
        return self._send(request)


class SyncRuntime:
    """Time and waiting for a plain `def` middleware."""

    __slots__ = ("_runtime", "clock")

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.clock = runtime.clock

    def sleep(self, seconds: float) -> None:
        run(_await(self._runtime.sleep(seconds)))


class SyncNext:
    """The rest of the onion for a plain `def` middleware: call it, get the response.

    Attributes:
        runtime: `clock()` and `sleep(seconds)`; tests replace them together with the client's.
    """

    __slots__ = ("_send", "runtime")

    def __init__(self, send: Send, runtime: Runtime) -> None:
        self._send = send
        self.runtime = SyncRuntime(runtime)

    def __call__(self, request: Request) -> Response:
        work: Any = self._send(request)
        if type(work) is not CoroutineType:
            work = _await(work)
        response: Response = run(work)
        return response


class Middleware(Protocol):
    """One layer. See `Next` for the rules of ownership.

    A layer that has nothing to do for a request may be a plain method that returns
    `call_next(request)` itself: it then costs no coroutine of its own. Such a class sets
    `colourless = True`, to tell it from a sync middleware.
    """

    def __call__(self, request: Request, call_next: Next, /) -> Awaitable[Response]: ...


class SyncMiddleware(Protocol):
    """A plain function as a layer, for `Client` only."""

    def __call__(self, request: Request, call_next: SyncNext, /) -> Response: ...


def compose(
    middlewares: Iterable[Middleware | SyncMiddleware],
    transport: Send,
    runtime: Runtime,
    *,
    strict: bool = False,
) -> Send:
    """Wrap `transport` so that the first middleware is the outermost.

    Args:
        strict: Report, by the layer's name, every response that a layer neither returned nor closed,
            or had not closed before sleeping or sending again. For tests; it costs some microseconds
            a layer.

    Raises:
        TypeError: a layer is not callable, is a class instead of an instance, or is a plain function
            under an asynchronous runtime.
    """
    send = transport
    for middleware in reversed(tuple(middlewares)):
        send = _layer(middleware, send, runtime, strict=strict)
    return send


def name_of(middleware: object) -> str:
    """What errors and pictures call a layer: its class's name, or the function's own."""
    while isinstance(middleware, partial):
        middleware = middleware.func
    name = getattr(middleware, "__name__", None)
    return name if isinstance(name, str) else type(middleware).__name__


def check_middleware(middleware: object) -> None:
    """Refuse what cannot be a layer.

    Raises:
        TypeError: it is a class, or not callable; the message says what to write.
    """
    if inspect.isclass(middleware):
        raise TypeError(
            f"{middleware.__name__} is a class: a pipeline holds instances, so write {middleware.__name__}()"
        )
    if not callable(middleware):
        raise TypeError(
            f"{middleware!r} is no middleware: it must be callable as (request, call_next)"
        )


def _layer(middleware: Any, send: Send, runtime: Runtime, *, strict: bool) -> Send:
    # Cases: one of ours, trusted to return a response; a coroutine function; a stranger's layer without
    # colour, which may be a subclass of one of ours; a plain function.
    check_middleware(middleware)
    colourless = getattr(type(middleware), "colourless", False)
    call_next = Next(send, runtime)
    if colourless and not strict and type(middleware).__module__.partition(".")[0] == "scallion":
        return _bound(middleware, call_next)
    asynchronous = _is_async(middleware)
    if strict:
        return _strict(middleware, send, runtime, plain=not colourless and not asynchronous)
    if asynchronous:
        return _checked(middleware, call_next)
    if colourless:
        return _passed_on(middleware, _bound(middleware, call_next))
    return _plain(middleware, send, runtime)


def _bound(middleware: Any, call_next: Next) -> Callable[[Request], Any]:
    """What sends through a layer without colour: made by itself, unless it has a `__call__` of its own."""
    if type(middleware).__call__ is Layer.__call__:
        bound: Callable[[Request], Any] = middleware.bind(call_next._send, call_next)
        return bound
    return lambda request: middleware(request, call_next)


def _is_async(middleware: Any) -> bool:
    while isinstance(middleware, partial):
        middleware = middleware.func
    return inspect.iscoroutinefunction(middleware) or inspect.iscoroutinefunction(
        getattr(middleware, "__call__", None)  # noqa: B004
    )


def _check_colour(middleware: object, runtime: Runtime) -> None:
    if not runtime.blocking:
        raise TypeError(
            f"{name_of(middleware)} is a plain function, which would block the event loop: "
            "write `async def` for an AsyncClient (it then serves a Client too)"
        )


def _plain(middleware: Any, send: Send, runtime: Runtime) -> Send:
    _check_colour(middleware, runtime)
    call_next = SyncNext(send, runtime)

    async def plain_send(request: Request) -> Response:
        response = middleware(request, call_next)
        if not isinstance(response, Response):
            raise _no_response(middleware, response)
        if not isinstance(response.stream, AsyncByteStream):
            _let_await(response)
        return response

    return plain_send


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _checked(middleware: Middleware, call_next: Next) -> Send:
    blocking = call_next.runtime.blocking

    async def send(request: Request) -> Response:
        response = await middleware(request, call_next)
        if not isinstance(response, Response):
            raise _no_response(middleware, response)
        if blocking and not isinstance(response.stream, AsyncByteStream):
            _let_await(response)
        return response

    return send


def _let_await(response: Response) -> None:
    """A layer under a `Client` made this response itself; those outside of it await its body."""
    stream = response.stream
    if not isinstance(stream, AsyncByteStream) and isinstance(stream, SyncByteStream):
        response.stream = Unsuspended(stream)


def _passed_on(middleware: object, through: Callable[[Request], Any]) -> Send:
    def send(request: Request) -> Any:
        awaitable = through(request)
        if not hasattr(awaitable, "__await__"):
            raise MiddlewareError(
                f"{name_of(middleware)} is colourless, and returned {awaitable!r} instead of something to await: "
                "such a layer returns what `call_next(request)` gave it, or a coroutine of its own"
            )
        return awaitable

    return send


def _no_response(middleware: object, returned: object) -> MiddlewareError:
    if inspect.iscoroutine(returned):
        returned.close()
        return MiddlewareError(
            f"{name_of(middleware)} returned the coroutine {returned.__qualname__} instead of a Response: "
            "make it `async def`, and await"
        )
    return MiddlewareError(
        f"{name_of(middleware)} returned {returned!r} instead of a Response: a middleware returns what "
        "`await call_next(request)` gave it, or a Response of its own"
    )


# Strict mode: who receives a response returns it or closes it.


class _Ledger:
    """The responses that one call of one layer has received."""

    __slots__ = ("name", "received")

    def __init__(self, name: str) -> None:
        self.name = name
        self.received: list[Response] = []

    def must_be_closed(self, before: str, returned: Response | None = None) -> None:
        for response in self.received:
            if response is not returned and not response.is_closed:
                raise MiddlewareError(
                    f"{self.name} neither returned nor closed {response!r} before {before}: "
                    "call `await response.aclose()` first, or its connection is lost to the pool"
                )


class _StrictRuntime:
    """The runtime as one layer sees it: sleeping on an open response is refused."""

    def __init__(self, runtime: Runtime, ledger: _Ledger) -> None:
        self._runtime = runtime
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runtime, name)

    async def sleep(self, seconds: float) -> None:
        self._ledger.must_be_closed("sleeping")
        await self._runtime.sleep(seconds)

    def event(self) -> Event:
        return self._runtime.event()


def _strict(middleware: Any, send: Send, runtime: Runtime, *, plain: bool) -> Send:
    if plain:
        _check_colour(middleware, runtime)

    async def strict_send(request: Request) -> Response:
        ledger = _Ledger(name_of(middleware))

        async def recording(request: Request) -> Response:
            ledger.must_be_closed("sending again")
            response = await send(request)
            ledger.received.append(response)
            return response

        watched = _StrictRuntime(runtime, ledger)
        try:
            if plain:
                response = middleware(request, SyncNext(recording, watched))
            else:
                response = await middleware(request, Next(recording, watched))
        except MiddlewareError:
            raise
        except Exception as error:
            try:
                ledger.must_be_closed(f"raising {type(error).__name__}")
            except MiddlewareError as leak:
                raise leak from error
            raise
        if not isinstance(response, Response):
            raise _no_response(middleware, response)
        if runtime.blocking:
            _let_await(response)
        ledger.must_be_closed("returning another", response)
        return response

    return strict_send
