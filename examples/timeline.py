"""Two small middlewares that record what a call went through: one per call, one per attempt.

They serve `Client` and `AsyncClient` alike. Layers and transport tell their decisions to a request's observers;
`Timeline` is one.

    client = scallion.Client(pipeline=watched(scallion.service_stack()))
    with Timeline.recording() as timeline:
        client.get(url)
    print(*timeline.lines(), sep="\\n")
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import scallion

_current: ContextVar[Timeline | None] = ContextVar("timeline", default=None)


class Timeline:
    """Lines of text, each with the milliseconds since the recording began."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._entries: list[tuple[float, str]] = []

    @classmethod
    @contextmanager
    def recording(cls) -> Iterator[Timeline]:
        """Record the calls that this thread or task makes inside the `with`."""
        timeline = cls()
        token = _current.set(timeline)
        try:
            yield timeline
        finally:
            _current.reset(token)

    def add(self, text: str) -> None:
        self._entries.append((time.perf_counter() - self._began, text))

    def __call__(self, event: str, fields: dict[str, Any]) -> None:
        """As an observer of a request."""
        told = TELL.get(event)
        self.add("    " + (told.format(**fields) if told else f"{event} {fields}"))

    def lines(self) -> list[str]:
        return [f"{seconds * 1000:8.1f} ms  {text}" for seconds, text in self._entries]

    def count(self, word: str) -> int:
        """How many lines mention `word`."""
        return sum(word in text for _, text in self._entries)


TELL = {
    "connection.opened": "new connection to {origin}",
    "connection.reused": "reused connection, its request no. {number}",
    "connection.stale": "the server had closed the idle connection: sent again on a new one",
    "pool.wait": "waits for a free connection",
    "retry": "failed ({reason}): waits {wait:.3f} s, then attempt {attempt}",
    "redirect": "redirected with {status} to {location}",
    "total_timeout": "the total deadline of {total} s passed",
    "attempt_timeout": "this attempt's {seconds} s passed",
}


def watched(pipeline: scallion.Pipeline) -> scallion.Pipeline:
    """The same pipeline, with both middlewares in their slots."""
    return pipeline.per_call(per_call).per_attempt(per_attempt)


async def per_call(request: scallion.Request, call_next: scallion.Next) -> scallion.Response:
    timeline = _current.get()
    if timeline is None:
        return await call_next(request)
    timeline.add(f"{request.method} {request.url}")
    request.observers = (*request.observers, timeline)
    try:
        response = await call_next(request)
    except Exception as error:
        timeline.add(f"=> {type(error).__name__}: {error}")
        raise
    timeline.add(f"=> {response.status_code} {response.reason_phrase}")
    return response


async def per_attempt(request: scallion.Request, call_next: scallion.Next) -> scallion.Response:
    timeline = _current.get()
    if timeline is None:
        return await call_next(request)
    timeline.add(f"  {request.method} {request.url.path} goes on the wire")
    response = await call_next(request)
    timeline.add(f"  {response.status_code} {response.reason_phrase} came back")
    return response
