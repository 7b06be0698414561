"""The onion: order, `call_next`, every form of middleware, and the rules of ownership."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any

import anyio
import pytest
import trio

from scallion.pipeline.errors import ConnectError, MiddlewareError
from scallion.pipeline.layer import Layer
from scallion.pipeline.onion import Next, SyncNext, compose, name_of
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import AsyncRuntime, BlockingRuntime, run
from support.colours import Drive
from support.worlds import World, open_response, play

ADVICE = "it belongs in an AsyncClient; in a Client, wait through call_next.runtime"


def get() -> Request:
    return Request("GET", "http://example.org/")


def blocking(*middlewares: Any, strict: bool = False, script: Any = None) -> Response:
    """One request through `middlewares`, as a `Client` sends it."""
    world = World([Response(200)] if script is None else script)
    return run(compose(middlewares, world.transport, BlockingRuntime(), strict=strict)(get()))


# Order and call_next


def test_first_is_outermost(drive: Drive) -> None:
    """
    Each layer sees the request after those before it, and the response before them.
    """
    seen: list[str] = []

    def layer(name: str) -> Any:
        async def middleware(request: Request, call_next: Next) -> Response:
            seen.append(f"> {name}")
            response = await call_next(request)
            seen.append(f"< {name}")
            return response

        return middleware

    play([layer("a"), layer("b"), layer("c")], get(), World([Response(200)]), drive)

    assert ["> a", "> b", "> c", "< c", "< b", "< a"] == seen


def test_no_layers_is_the_transport(drive: Drive) -> None:
    """
    An onion without layers sends.
    """
    assert 204 == play([], get(), World([Response(204)]), drive).status_code


def test_call_next_again_sends_again(drive: Drive) -> None:
    """
    A layer may send as often as it likes, and what lies further in sees each request.
    """
    inner: list[Request] = []

    async def twice(request: Request, call_next: Next) -> Response:
        first = await call_next(request)
        await first.aclose()
        return await call_next(request)

    async def count(request: Request, call_next: Next) -> Response:
        inner.append(request)
        return await call_next(request)

    world = World([Response(503), Response(200)])

    assert 200 == play([twice, count], get(), world, drive).status_code
    assert 2 == len(world.asked) == len(inner)


def test_not_calling_next_answers_oneself(drive: Drive) -> None:
    """
    A layer that does not call `call_next` is the end of the onion.
    """

    async def cached(request: Request, call_next: Next) -> Response:
        return Response(203)

    world = World()

    assert 203 == play([cached], get(), world, drive).status_code
    assert [] == world.asked


def test_call_next_has_a_runtime_and_nothing_else(drive: Drive) -> None:
    """
    `call_next` is callable, and has `.runtime`.
    """
    seen: list[Next] = []

    async def look(request: Request, call_next: Next) -> Response:
        seen.append(call_next)
        return await call_next(request)

    world = World([Response(200)])
    play([look], get(), world, drive, strict=False)

    assert ["runtime"] == [name for name in dir(seen[0]) if not name.startswith("_")]
    assert seen[0].runtime is world
    assert callable(seen[0])


def test_errors_pass_through(drive: Drive) -> None:
    """
    What the transport raises reaches every layer as it is.
    """
    error = ConnectError("refused")
    caught: list[Exception] = []

    async def catch(request: Request, call_next: Next) -> Response:
        try:
            return await call_next(request)
        except ConnectError as raised:
            caught.append(raised)
            raise

    with pytest.raises(ConnectError) as info:
        play([catch], get(), World([error]), drive)

    assert error is info.value
    assert [error] == caught


# The forms of a middleware


async def a_function(request: Request, call_next: Next) -> Response:
    return await call_next(request)


async def configured(request: Request, call_next: Next, *, tries: int) -> Response:
    assert 2 == tries
    return await call_next(request)


class AnObject:
    async def __call__(self, request: Request, call_next: Next) -> Response:
        return await call_next(request)

    async def method(self, request: Request, call_next: Next) -> Response:
        return await call_next(request)

    @staticmethod
    async def static(request: Request, call_next: Next) -> Response:
        return await call_next(request)

    @classmethod
    async def of_class(cls, request: Request, call_next: Next) -> Response:
        return await call_next(request)


class Colourless:
    colourless = True

    def __call__(self, request: Request, call_next: Next) -> Awaitable[Response]:
        return call_next(request)


class ALayer(Layer):
    async def __call__(self, request: Request, call_next: Next) -> Response:
        return await call_next(request)


ASYNC_FORMS: dict[str, Any] = {
    "function": a_function,
    "partial": partial(configured, tries=2),
    "partial of partial": partial(partial(configured), tries=2),
    "partial of an object": partial(AnObject()),
    "object": AnObject(),
    "bound method": AnObject().method,
    "static method": AnObject.static,
    "class method": AnObject.of_class,
    "colourless": Colourless(),
    "layer": ALayer(),
}


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("form", ASYNC_FORMS)
def test_async_forms_serve_both_clients(drive: Drive, form: str, strict: bool) -> None:
    """
    Whatever is called as (request, call_next) and awaited is a middleware.
    """
    world = World([Response(200)])

    assert 200 == play([ASYNC_FORMS[form]], get(), world, drive, strict=strict).status_code


def a_plain_function(request: Request, call_next: SyncNext) -> Response:
    return call_next(request)


def plain_configured(request: Request, call_next: SyncNext, *, tries: int) -> Response:
    return call_next(request)


class APlainObject:
    def __call__(self, request: Request, call_next: SyncNext) -> Response:
        return call_next(request)

    def method(self, request: Request, call_next: SyncNext) -> Response:
        return call_next(request)


PLAIN_FORMS: dict[str, Any] = {
    "a_plain_function": a_plain_function,
    "<lambda>": lambda request, call_next: call_next(request),
    "plain_configured": partial(plain_configured, tries=2),
    "APlainObject": APlainObject(),
    "method": APlainObject().method,
}


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", PLAIN_FORMS)
def test_plain_forms_serve_a_client(name: str, strict: bool) -> None:
    """
    A plain `def` receives a `call_next` that returns the response itself.
    """
    assert 200 == blocking(PLAIN_FORMS[name], strict=strict).status_code


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", PLAIN_FORMS)
def test_plain_forms_are_refused_in_an_async_client(name: str, strict: bool) -> None:
    """
    It would block the loop, so composing refuses it, by name, and says what to write.
    """
    with pytest.raises(TypeError) as info:
        compose([PLAIN_FORMS[name]], World().transport, AsyncRuntime(), strict=strict)

    assert str(info.value).startswith(
        f"{name} is a plain function, which would block the event loop"
    )
    assert "write `async def`" in str(info.value)


def test_plain_and_async_layers_mix_in_a_client() -> None:
    """
    A plain layer may lie outside and inside of asynchronous ones, and send again.
    """

    def again(request: Request, call_next: SyncNext) -> Response:
        call_next(request).close()
        call_next.runtime.sleep(0)
        return call_next(request)

    script = [Response(503), Response(503), Response(200), Response(200)]

    assert 200 == blocking(again, a_function, again, strict=True, script=script).status_code


def test_a_plain_layer_sleeps_by_its_runtime() -> None:
    """
    `call_next.runtime` of a plain layer has plain functions, over the client's clock.
    """
    ticks: list[float] = []

    def pause(request: Request, call_next: SyncNext) -> Response:
        ticks.append(call_next.runtime.clock())
        call_next.runtime.sleep(1.5)
        ticks.append(call_next.runtime.clock())
        return call_next(request)

    world = World([Response(200)], now=10.0)
    run(compose([pause], world.transport, world)(get()))

    assert [1.5] == world.slept
    assert [10.0, 11.5] == ticks


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (AnObject, "AnObject is a class: a pipeline holds instances, so write AnObject()"),
        (ALayer, "ALayer is a class: a pipeline holds instances, so write ALayer()"),
        (None, "None is no middleware: it must be callable as (request, call_next)"),
        ("Retries", "'Retries' is no middleware: it must be callable as (request, call_next)"),
    ],
)
def test_what_is_no_middleware_is_refused(wrong: Any, message: str) -> None:
    """
    A class, and whatever cannot be called, is refused when the onion is composed.
    """
    with pytest.raises(TypeError) as info:
        compose([wrong], World().transport, BlockingRuntime())

    assert message == str(info.value)


@pytest.mark.parametrize(
    ("middleware", "name"),
    [
        (a_function, "a_function"),
        (partial(partial(configured), tries=2), "configured"),
        (AnObject(), "AnObject"),
        (AnObject().method, "method"),
        (partial(AnObject()), "AnObject"),
        (lambda request, call_next: None, "<lambda>"),
    ],
)
def test_names(middleware: Any, name: str) -> None:
    """
    Errors call a layer by its function's or class's name, through partials.
    """
    assert name == name_of(middleware)


# What a middleware returns


async def forgot(request: Request, call_next: Next) -> Any:
    await (await call_next(request)).aclose()


async def wrong(request: Request, call_next: Next) -> Any:
    await (await call_next(request)).aclose()
    return "text"


class Forgetful(Layer):
    async def __call__(self, request: Request, call_next: Next) -> Any:
        await (await call_next(request)).aclose()


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("middleware", "message"),
    [
        (forgot, "forgot returned None instead of a Response"),
        (wrong, "wrong returned 'text' instead of a Response"),
        (Forgetful(), "Forgetful returned None instead of a Response"),
        (partial(forgot), "forgot returned None instead of a Response"),
    ],
)
def test_no_response_is_an_error_that_names_the_layer(
    drive: Drive, middleware: Any, message: str, strict: bool
) -> None:
    """
    A layer that returns something else than a response is told so.
    """
    with pytest.raises(MiddlewareError) as info:
        play([a_function, middleware], get(), World([Response(200)]), drive, strict=strict)

    assert str(info.value).startswith(message)
    assert "a middleware returns what `await call_next(request)` gave it" in str(info.value)


def test_a_plain_layer_that_returns_none_is_named() -> None:
    """
    The same for plain functions.
    """

    def silent(request: Request, call_next: SyncNext) -> Any:
        call_next(request)

    with pytest.raises(MiddlewareError, match=r"^silent returned None instead of a Response"):
        blocking(silent)


@pytest.mark.parametrize("strict", [False, True])
def test_an_unawaited_coroutine_is_named_and_closed(strict: bool) -> None:
    """
    A plain wrapper that returns the coroutine of another layer is named; no "never awaited" is left over.
    """

    @wraps(a_function)
    def wrapper(request: Any, call_next: Any) -> Any:
        return a_function(request, call_next)

    with pytest.raises(MiddlewareError, match="returned the coroutine a_function instead of a Res"):
        blocking(wrapper, strict=strict)
    gc.collect()


def test_an_async_layer_that_does_not_await_is_named(drive: Drive) -> None:
    """
    `return call_next(request)` in an `async def` returns a coroutine.
    """

    async def hasty(request: Request, call_next: Next) -> Any:
        return call_next(request)

    with pytest.raises(MiddlewareError, match=r"^hasty returned the coroutine .* and await$"):
        play([hasty], get(), World(), drive, strict=False)
    gc.collect()


def test_a_colourless_layer_that_returns_nothing_is_named(drive: Drive) -> None:
    """
    Without a coroutine of its own it must return what can be awaited.
    """

    class Hollow:
        colourless = True

        def __call__(self, request: Request, call_next: Next) -> Any:
            return None

    with pytest.raises(MiddlewareError, match=r"^Hollow is colourless, and returned None"):
        play([Hollow()], get(), World(), drive, strict=False)


# What needs an event loop


async def by_asyncio(request: Request, call_next: Next) -> Response:
    await asyncio.sleep(1)
    return await call_next(request)


async def by_a_checkpoint(request: Request, call_next: Next) -> Response:
    await asyncio.sleep(0)
    return await call_next(request)


async def by_anyio(request: Request, call_next: Next) -> Response:
    await anyio.sleep(1)
    return await call_next(request)


async def by_trio(request: Request, call_next: Next) -> Response:
    await trio.sleep(1)
    return await call_next(request)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("culprit", [by_asyncio, by_a_checkpoint, by_anyio, by_trio])
def test_what_needs_a_loop_is_named(culprit: Any, strict: bool) -> None:
    """
    A layer that waits by an event loop's own means is named under a `Client`.
    """
    with pytest.raises(RuntimeError) as info:
        blocking(a_function, culprit, a_function, strict=strict)

    assert culprit.__name__ in str(info.value).split()[0]
    assert str(info.value).endswith(ADVICE)
    gc.collect()


def test_what_suspends_cleans_up() -> None:
    """
    Layers further out see the coroutine end: what they hold is released.
    """
    response = open_response(200, b"body")
    released: list[str] = []

    async def outer(request: Request, call_next: Next) -> Response:
        try:
            return await call_next(request)
        finally:
            released.append("outer")

    async def culprit(request: Request, call_next: Next) -> Response:
        response = await call_next(request)
        try:
            await asyncio.sleep(0)
        finally:
            await response.aclose()
        return response

    with pytest.raises(RuntimeError, match="culprit suspended"):
        blocking(outer, culprit, script=[response])

    assert response.is_closed
    assert ["outer"] == released


# Ownership


def strictly(middleware: Any, drive: Drive, *script: Any) -> MiddlewareError:
    with pytest.raises(MiddlewareError) as info:
        play([a_function, middleware, a_function], get(), World(script), drive, strict=True)
    return info.value


async def sleeps_on_it(request: Request, call_next: Next) -> Response:
    response = await call_next(request)
    await call_next.runtime.sleep(1)
    return response


async def sends_again(request: Request, call_next: Next) -> Response:
    await call_next(request)
    return await call_next(request)


async def raises(request: Request, call_next: Next) -> Response:
    await call_next(request)
    raise KeyError("lost")


async def returns_another(request: Request, call_next: Next) -> Response:
    await call_next(request)
    return Response(200)


@pytest.mark.parametrize(
    ("culprit", "before"),
    [
        (sleeps_on_it, "sleeping"),
        (sends_again, "sending again"),
        (raises, "raising KeyError"),
        (returns_another, "returning another"),
    ],
)
def test_strict_mode_names_who_loses_a_response(drive: Drive, culprit: Any, before: str) -> None:
    """
    A response neither returned nor closed is reported by the layer's name.
    """
    error = strictly(culprit, drive, open_response(503, b"x"), open_response(200, b"x"))

    assert str(error).startswith(
        f"{culprit.__name__} neither returned nor closed <Response [503 Service Unavailable]> before {before}"
    )
    assert "await response.aclose()" in str(error)


def test_strict_mode_keeps_the_error_that_was_raised(drive: Drive) -> None:
    """
    The leak is reported from the error that came with it.
    """
    error = strictly(raises, drive, open_response(200, b"x"))

    assert isinstance(error.__cause__, KeyError)


def test_strict_mode_watches_plain_layers() -> None:
    """
    A plain function loses responses just so.
    """

    def sleepy(request: Request, call_next: SyncNext) -> Response:
        response = call_next(request)
        call_next.runtime.sleep(1)
        return response

    with pytest.raises(MiddlewareError, match="sleepy neither returned nor closed"):
        blocking(sleepy, strict=True, script=[open_response(200, b"x")])


@pytest.mark.parametrize("body", [b"", b"body"])
def test_strict_mode_is_content_with_good_manners(drive: Drive, body: bytes) -> None:
    """
    Closing before sleeping, sending again and answering oneself is right; so is returning an open response.
    """

    async def polite(request: Request, call_next: Next) -> Response:
        await (await call_next(request)).aclose()
        await call_next.runtime.sleep(1)
        return await call_next(request)

    last = open_response(200, body)
    world = World([open_response(503, body), last])

    assert last is play([polite, a_function], get(), world, drive, strict=True)
    assert not last.is_closed
    assert [1] == world.slept


def test_without_strict_mode_nothing_is_reported(drive: Drive) -> None:
    """
    The check costs time, so clients go without it.
    """
    world = World([open_response(503), open_response(200)])

    assert 200 == play([sends_again], get(), world, drive, strict=False).status_code


def test_a_strict_runtime_passes_the_rest_on(drive: Drive) -> None:
    """
    Events, the clock and deadlines are the runtime's own.
    """
    seen: dict[str, Any] = {}

    async def curious(request: Request, call_next: Next) -> Response:
        runtime = call_next.runtime
        event = runtime.event()
        event.set()
        seen["event"] = await event.wait(1)
        seen["clock"] = runtime.clock()
        seen["blocking"] = runtime.blocking
        return await runtime.bounded(call_next(request), runtime.clock() + 1)

    world = World([Response(200)], now=5.0)
    play([curious], get(), world, drive, strict=True)

    assert {"event": True, "clock": 5.0, "blocking": drive.blocking} == seen


def test_composing_once_serves_many_requests(drive: Drive) -> None:
    """
    An onion holds no request: it serves one after the other.
    """
    world = World([Response(200), Response(404)])
    world.blocking = drive.blocking
    send: Callable[[Request], Any] = compose([a_function], world.transport, world)

    async def scenario() -> list[int]:
        return [(await send(get())).status_code, (await send(get())).status_code]

    assert [200, 404] == drive(scenario)
