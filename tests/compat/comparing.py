"""The same call by httpx and by scallion, and what came of it in a form that can be compared.

A call is a text, an expression over `c` (a client whose methods are awaited, whichever it is), `at("/x")`
(a URL of the server), `lib` (the library) and the library's names; or an async function of `c`. What is
compared is what the server received, byte for byte, and the result or the error, field by field.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import ssl
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest import mock

import httpx
import pytest

import scallion
from compat.plain import neutral, neutral_pairs, plain, plain_error
from compat.stage import OK, Reply, Stage

__all__ = [
    "COLOURS",
    "LIBRARIES",
    "Case",
    "Either",
    "case",
    "each_of",
    "evaluate",
    "outcome",
    "perform",
]

LIBRARIES = (httpx, scallion)
COLOURS = ("sync", "asyncio")


@dataclass(frozen=True)
class Case:
    """A call, what the server answers, and the client's settings.

    Attributes:
        settings: Arguments of the client, as the text of a call to `dict`.
        differs: Why the two libraries differ: a key of `DIFFERENCES`. They must, then.
        colours: In which it is performed.
    """

    call: str | Callable[[Any], Any]
    answers: tuple[Reply, ...] = (OK,)
    settings: str = ""
    differs: str | None = None
    name: str = ""
    colours: tuple[str, ...] = COLOURS

    def __str__(self) -> str:
        text = self.name or (self.call if isinstance(self.call, str) else self.call.__name__)
        return f"{text} {self.settings}".strip()[:120]


def case(
    call: str | Callable[[Any], Any],
    *answers: Reply,
    settings: str = "",
    differs: str | None = None,
    name: str = "",
    colours: tuple[str, ...] = COLOURS,
) -> Case:
    return Case(call, answers or (OK,), settings, differs, name, colours)


def each_of(tables: dict[str, list[Case]]) -> pytest.MarkDecorator:
    """Runs a test with `case` and `colour` for each case of the tables."""
    return pytest.mark.parametrize(
        ("case", "colour"),
        [
            pytest.param(each, colour, id=f"{name}: {each} ({colour})")
            for name, table in tables.items()
            for each in table
            for colour in each.colours
        ],
    )


class Either:
    """A client whose methods are awaited, be it blocking or not. What does not wait passes as it is."""

    def __init__(self, client: Any, lib: types.ModuleType, base: str) -> None:
        self.client = client
        self.lib = lib
        self.base = base
        self.blocking = isinstance(client, lib.Client)

    def at(self, path: str) -> str:
        return self.base + path

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.client, name)
        if not callable(attribute) or name in ("build_request", "stream"):
            return attribute

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            result = attribute(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        return awaited

    async def streamed(self, method: str, url: str, read: Callable[..., Any], **kwargs: Any) -> Any:
        """What `read(response, a)` gives within `stream()`; `a` is the prefix of async methods."""
        streaming = self.client.stream(method, url, **kwargs)
        if self.blocking:
            with streaming as response:
                return await _collected(read(response, ""))
        async with streaming as response:
            return await _collected(read(response, "a"))

    async def sent(self, method: str, url: str, **kwargs: Any) -> Any:
        """`send(..., stream=True)`: a response that nobody has read."""
        return await self.send(self.client.build_request(method, url, **kwargs), stream=True)

    async def got(self, iterator: Any) -> Any:
        return await _collected(iterator)


async def _collected(result: Any) -> Any:
    """The items of an iterator of either colour, or what was awaited, or the thing itself."""
    if hasattr(result, "__aiter__"):
        return [item async for item in result]
    if hasattr(result, "__next__"):
        return list(result)
    return await result if inspect.isawaitable(result) else result


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def perform(
    case: Case, lib: types.ModuleType, colour: str, stage: Stage, runner: asyncio.Runner
) -> dict[str, Any]:
    """What came of a case: what arrived, and the outcome."""
    with stage.scene(case.answers) as scene:
        result = outcome(lambda: _run(case, lib, colour, stage.url, runner))
        arrived = [(place, neutral(request)) for place, request in scene.requests]
    return {"arrived": arrived, **result}


def _run(case: Case, lib: types.ModuleType, colour: str, base: str, runner: asyncio.Runner) -> Any:
    names = _names(lib, base)
    settings = eval(f"dict({case.settings})", names)
    settings.setdefault("verify", _tls())

    async def call(client: Any) -> Any:
        either = Either(client, lib, base)
        if callable(case.call):
            result = case.call(either)
        else:
            result = eval(case.call, {**names, "c": either})
        return plain(await result if inspect.isawaitable(result) else result)

    if colour == "sync":
        with lib.Client(**settings) as client:
            return _step(call(client))

    async def run() -> Any:
        async with lib.AsyncClient(**settings) as client:
            return await call(client)

    return runner.run(run())


def _step(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("a blocking client suspended")


def _names(lib: types.ModuleType, base: str = "") -> dict[str, Any]:
    names = {name: getattr(lib, name) for name in httpx.__all__ if hasattr(scallion, name)}
    return {
        **names,
        "lib": lib,
        "at": lambda path: base + path,
        "base": base,
        "io": io,
        "json": json,
        "served": lambda answers: lib.MockTransport(_served(lib, answers)),
        "gen": lambda *parts: (part for part in parts),
        "agen": _agen,
    }


def _served(lib: types.ModuleType, answers: dict[str, Any]) -> Callable[[Any], Any]:
    """A handler that answers by URL: (status, headers, content); else 200 with what it was asked."""

    def handler(request: Any) -> Any:
        found = answers.get(str(request.url))
        if found is None:
            asked = [request.method, str(request.url), neutral_pairs(request.headers.multi_items())]
            found = (200, {"Content-Type": "application/json"}, json.dumps(asked).encode())
        status, headers, content = (*found, {}, b"")[:3] if len(found) != 2 else (*found, b"")
        # As a stream: httpx does not time a response that is there already.
        return lib.Response(status, headers=headers, stream=lib.ByteStream(content))

    return handler


async def _agen(*parts: bytes) -> Any:
    for part in parts:
        yield part


def evaluate(lib: types.ModuleType, expression: str) -> dict[str, Any]:
    """The outcome of an expression without a client."""
    return outcome(lambda: eval(expression, _names(lib)))


def outcome(act: Callable[[], Any]) -> dict[str, Any]:
    """The value or the error, and the warnings, chance being replaced by one that is the same for all."""
    found: dict[str, Any] = {}
    with (
        warnings.catch_warnings(record=True) as caught,
        mock.patch("os.urandom", lambda size: b"\x07" * size),
    ):
        warnings.simplefilter("always")
        try:
            found["value"] = plain(act())
        except Exception as error:
            # What was warned of before counts for nothing then.
            return {"error": plain_error(error)}
    found["warnings"] = [
        (warning.category.__name__, str(warning.message))
        for warning in caught
        if "per-request cookies" not in str(warning.message)
    ]
    return found
