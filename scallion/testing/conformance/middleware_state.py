"""Rules on what a middleware is: shared by many calls, by event loops, shown, copied, asked by options."""

from __future__ import annotations

import copy
import dataclasses
import logging
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.to_thread

from scallion._async_client import AsyncClient
from scallion._client import Client
from scallion._stacks import compatible
from scallion.pipeline.errors import HTTPError, UnknownOption
from scallion.pipeline.onion import compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.transports.mock import MockTransport

from .colours import COLOURS, together
from .onion_bench import URL, MiddlewareBench, naming
from .rules import Rules, holds, same
from .scenarios import GOOD, SCENARIOS, Scenario

__all__ = ["rules"]

rules = Rules()

AT_ONCE = 100
SECRET = "hunter2-is-no-password"  # noqa: S105  # it is there to be looked for
ASYNC = ("asyncio", "trio")


@rules("scallion: an instance serves many requests at once")
async def calls_at_once_are_not_mixed(bench: MiddlewareBench) -> None:
    """A hundred calls at once through one instance each get their own answer."""
    await _at_once(bench.factory(), bench)


async def _at_once(middleware: Any, bench: MiddlewareBench, number: int = AT_ONCE) -> None:
    runtime = bench.runtime(patient=True)

    async def answer(request: Request) -> Response:
        if not bench.blocking:
            await anyio.lowlevel.checkpoint()
        return Response(200, content=request.headers["x-number"].encode(), request=request)

    send = compose([middleware], answer, runtime)

    async def ask(number: int) -> None:
        request = Request("GET", URL, headers={"X-Number": f"{number}"})
        response = await send(request)
        same(f"{number}".encode(), await bench.read(response), f"the answer to request {number}")

    works = [lambda number=number: ask(number) for number in range(number)]
    await together(bench.colour, works, bench.patience)


@rules("scallion: no state belongs to one event loop", colours=ASYNC)
async def event_loops_do_not_matter(bench: MiddlewareBench) -> None:
    """One instance serves in one event loop after the other, of either kind, in other threads."""
    middleware = bench.factory()
    await _at_once(middleware, bench, 10)

    def elsewhere(colour: Any) -> None:
        there = MiddlewareBench(bench.factory, colour, bench.secrets, bench.patience)
        anyio.run(_at_once, middleware, there, 10, backend=colour)

    for colour in COLOURS:
        if colour != "sync":
            await anyio.to_thread.run_sync(elsewhere, colour)
    await _at_once(middleware, bench, 10)


@rules("scallion: what a layer adds to a request for itself it takes away")
async def requests_are_left_clean(bench: MiddlewareBench) -> None:
    """After a call the request's extensions and observers are what they were."""
    for scenario in SCENARIOS:
        with naming(scenario):
            request = bench.request(scenario)
            request.extensions = {"timeout": {"read": 5.0}, "mine": 1}
            given = request.extensions
            observers = request.observers
            outcome, _ = await bench.play(scenario, request=request)
            await bench.finish(outcome)
            before = {"timeout": {"read": 5.0}, "mine": 1}
            same(before, request.extensions, "the request's extensions afterwards")
            same(before, given, "the caller's own dict of extensions afterwards")
            same(observers, request.observers, "the request's observers afterwards")


@rules("scallion: Client(middlewares=[...]), Pipeline")
async def clients_can_have_it(bench: MiddlewareBench) -> None:
    """It works in a client per call and per attempt, in strict mode, read or streamed."""

    def handler(request: Request) -> Response:
        return Response(200, content=request.content or b"answer")

    for pipeline in (
        compatible().per_call(bench.factory()),
        compatible().per_attempt(bench.factory()),
    ):
        settings: Any = {"pipeline": pipeline.strict(), "transport": MockTransport(handler)}
        holds(repr(pipeline), "the pipeline shows nothing")
        if bench.blocking:
            with Client(**settings) as client:
                got, sent = client.get(URL), client.post(URL, content=b"body")
                with client.stream("GET", URL) as response:
                    streamed = b"".join(response.iter_bytes())
        else:
            async with AsyncClient(**settings) as waiting:
                got, sent = await waiting.get(URL), await waiting.post(URL, content=b"body")
                async with waiting.stream("GET", URL) as response:
                    streamed = b"".join([piece async for piece in response.aiter_bytes()])
        same(b"answer", got.content, "the answer to a GET")
        same(b"body", sent.content, "the answer to a POST")
        same(b"answer", streamed, "the streamed answer")


@rules("scallion: no secret in any repr, message, note or log")
async def secrets_are_not_shown(bench: MiddlewareBench) -> None:
    """Neither its repr nor an error or a log line shows the request's credentials, or the layer's own."""
    secrets = (SECRET, *bench.secrets)
    middleware = bench.factory()
    shown = [repr(middleware), repr(compatible().per_call(middleware))]
    with _logged(shown):
        for scenario in SCENARIOS:
            request = bench.request(
                scenario,
                url=f"http://user:{SECRET}@service.example/?token={SECRET}",
                headers={"Authorization": f"Bearer {SECRET}", "Cookie": f"session={SECRET}"},
            )
            outcome, _ = await bench.play(scenario, request=request)
            await bench.finish(outcome)
            error = outcome.error
            if error is not None:
                shown += [str(error), repr(error), *getattr(error, "__notes__", ())]
    for text in shown:
        for secret in secrets:
            holds(secret not in text, f"a secret is shown: {text.replace(secret, '[the secret]')}")


@contextmanager
def _logged(lines: list[str]) -> Iterator[None]:
    """Collect what is logged meanwhile, at any level."""

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    root, ours, handler = logging.getLogger(), logging.getLogger("scallion"), Collector()
    levels = root.level, ours.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    ours.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(levels[0])
        ours.setLevel(levels[1])


@rules("scallion: settings are values")
async def frozen_settings_are_values(bench: MiddlewareBench) -> None:
    """A frozen dataclass equals its like, its copy and, if it pickles, its pickle; and it does pickle."""
    middleware: Any = bench.factory()
    parameters = getattr(type(middleware), "__dataclass_params__", None)
    if not dataclasses.is_dataclass(middleware) or parameters is None or not parameters.frozen:
        return
    for made in (copy.copy(middleware), _pickled(middleware)):
        same(middleware, made, "a copy")
        same(repr(middleware), repr(made), "a copy's repr")


def _pickled(middleware: Any) -> Any:
    given = [
        getattr(middleware, field.name) for field in dataclasses.fields(middleware) if field.init
    ]
    if not all(map(_pickles, given)):
        # A lambda, say, that was given to it; that is the giver's business.
        return middleware
    holds(_pickles(middleware), f"{middleware!r} does not pickle, although all its settings do")
    return pickle.loads(pickle.dumps(middleware))  # noqa: S301  # it is what was just pickled


def _pickles(value: object) -> bool:
    try:
        pickle.dumps(value)
    except Exception:  # noqa: BLE001  # whatever it is, the answer is no
        return False
    return True


@rules("scallion: an unknown option is refused, never ignored")
async def wrong_options_are_refused(bench: MiddlewareBench) -> None:
    """What stands in the request's extensions for this layer and is no option of its own is refused before sending."""
    option = getattr(bench.factory(), "option", None)
    if not isinstance(option, str):
        return
    request = bench.request()
    request.extensions = {option: object()}
    outcome, rest = await bench.play(Scenario("a wrong option", (GOOD,)), request=request)
    await bench.finish(outcome)
    holds(
        isinstance(outcome.error, (TypeError, ValueError, UnknownOption)),
        f"extensions[{option!r}] = object() came to {outcome.error or outcome.response!r}",
    )
    same(0, len(rest.asked), "sendings of a request with a wrong option")


@rules("scallion: HTTPError.request")
async def errors_name_their_request(bench: MiddlewareBench) -> None:
    """An error that comes out pickles, and its request, where it has one, is one that this call was about."""
    for scenario in SCENARIOS:
        with naming(scenario):
            request = bench.request(scenario)
            outcome, rest = await bench.play(scenario, request=request)
            await bench.finish(outcome)
            error = outcome.error
            if not isinstance(error, HTTPError):
                continue
            named = getattr(error, "_request", None)
            known = named is None or any(named is one for one in (request, *rest.asked))
            holds(known, f"the error is about {named!r}, which this call did not send")
            copied = pickle.loads(pickle.dumps(error))  # noqa: S301  # it is what was just pickled
            same((type(error), str(error)), (type(copied), str(copied)), "the pickled error")
