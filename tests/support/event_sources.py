"""What tests of event sources share: scripted answers, waits that take no time, one body for both clients.

script = Script(stream(b"data: a\\n\\n"), scallion.Response(204))
async with Sourced(client, URL, reconnect=EXACT) as source:
    assert [E(data="a")] == await events_of(source)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self

import scallion
from scallion import EventSource, Reconnect, ServerSentEvent

from .worlds import OpenStream, RecordingRuntime, open_response

__all__ = [
    "EXACT",
    "TYPE",
    "URL",
    "Patient",
    "Script",
    "Sourced",
    "awaited",
    "chunk",
    "events_of",
    "failing",
    "head",
    "patient",
    "stream",
]

TYPE = {"Content-Type": "text/event-stream"}
URL = "http://service.example/events"


def stream(*pieces: bytes, status: int = 200, **headers: str) -> scallion.Response:
    return open_response(status, *pieces, headers={**TYPE, **headers})


class Failing(OpenStream):
    """A body that fails after its pieces."""

    def __init__(self, error: Exception, *pieces: bytes) -> None:
        super().__init__()
        self.chunks = self._play(error, pieces)

    @staticmethod
    def _play(error: Exception, pieces: tuple[bytes, ...]) -> Iterator[bytes]:
        yield from pieces
        raise error


def failing(error: Exception, *pieces: bytes) -> scallion.Response:
    return scallion.Response(200, headers=TYPE, stream=Failing(error, *pieces))


class Sourced:
    """`client.sse(...)`, entered by `async with` and iterated by `async for`, whichever colour the client has."""

    def __init__(self, client: Any, *args: Any, **settings: Any) -> None:
        self._blocking = client.blocking
        self._subscription = client.client.sse(*args, **settings)

    async def __aenter__(self) -> Self:
        entered = self._subscription
        self.source: EventSource = (
            entered.__enter__() if self._blocking else await entered.__aenter__()
        )
        return self

    async def __aexit__(self, *exc: object) -> Any:
        if self._blocking:
            return self._subscription.__exit__(*exc)
        return await self._subscription.__aexit__(*exc)

    def __aiter__(self) -> AsyncIterator[ServerSentEvent]:
        return awaited(self.source, blocking=self._blocking)


class _Awaited:
    def __init__(self, iterator: Iterator[ServerSentEvent]) -> None:
        self._iterator = iterator

    def __aiter__(self) -> _Awaited:
        return self

    async def __anext__(self) -> ServerSentEvent:
        for event in self._iterator:
            return event
        raise StopAsyncIteration


def awaited(source: EventSource, *, blocking: bool) -> AsyncIterator[ServerSentEvent]:
    return _Awaited(iter(source)) if blocking else aiter(source)


async def events_of(source: Any) -> list[ServerSentEvent]:
    return [event async for event in source]


class Script:
    """A handler that plays back answers, and keeps requests, what they sent, and the answers' streams."""

    def __init__(self, *answers: scallion.Response | Exception) -> None:
        self.answers = iter(answers)
        self.streams = [a.stream for a in answers if isinstance(a, scallion.Response)]
        self.asked: list[scallion.Request] = []

    def __call__(self, request: scallion.Request) -> scallion.Response:
        self.asked.append(request)
        for answer in self.answers:
            if isinstance(answer, Exception):
                raise answer
            return answer
        raise AssertionError(f"Nobody expected request {len(self.asked)}")

    @property
    def ids(self) -> list[str | None]:
        return [request.headers.get("last-event-id") for request in self.asked]

    def all_closed(self) -> bool:
        given = self.streams[: len(self.asked)]
        return all(getattr(stream, "closed", True) for stream in given)


class Patient(RecordingRuntime):
    """A runtime whose waits are recorded; `before` is called ahead of each."""

    before: Callable[[], object] | None = None

    async def sleep(self, seconds: float) -> None:
        if self.before is not None:
            self.before()
        await super().sleep(seconds)


def patient(client: Any) -> Patient:
    """Let the client wait in no time."""
    runtime = client.client._runtime = Patient(blocking=client.blocking)
    return runtime


EXACT = Reconnect(wait=3.0, cap=30.0, attempts=3, random=lambda: 0.0)


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Type: text/event-stream", *lines, b"", b""])


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
