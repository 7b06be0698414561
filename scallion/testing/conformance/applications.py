"""The reference in this process: as an ASGI application, as a WSGI application, and as a handler."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, TypeAlias

import anyio

from scallion.pipeline.errors import ReadError, RemoteProtocolError
from scallion.pipeline.headers import Headers
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.streams import AsyncByteStream, SyncByteStream

from .gates import Gate, Gates
from .protocol import Fault, Fields, Plan, Wait, gate_of, plan

__all__ = ["asgi_application", "handler_of", "wsgi_application"]

Application: TypeAlias = Callable[..., Any]

TICK = 0.002


def asgi_application(gates: Gates) -> Application:
    """The reference as an ASGI application, version 3."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"The reference knows no {scope['type']}")
        query: bytes = scope["query_string"]
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        target = path + (b"?" + query if query else b"")
        gate = gates.get(gate_of(target))
        gate.arrive()
        parts = []
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            piece = message.get("body", b"")
            gate.received += len(piece)
            parts.append(piece)
            more = message.get("more_body", False)
        headers: Fields = tuple((bytes(name), bytes(value)) for name, value in scope["headers"])
        await _answer(send, gate, plan(scope["method"], target, headers, b"".join(parts)))

    return app


async def _answer(send: Any, gate: Gate, answer: Plan) -> None:
    if answer.before is not None:
        await _wait(gate, answer.before)
    if answer.fault is not None and answer.fault is not Fault.HALF_A_BODY:
        return
    headers = [(name.lower(), value) for name, value in _headers(answer)]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    for step in () if answer.bodiless else answer.steps:
        if isinstance(step, Wait):
            await _wait(gate, step)
        else:
            await send({"type": "http.response.body", "body": step, "more_body": True})
    if answer.fault is None:
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _wait(gate: Gate, step: Wait) -> None:
    # A gate is opened from any thread, so it is looked at again and again.
    with anyio.move_on_after(gate.patience if step is Wait.GATE else None):
        while not gate.is_open:  # noqa: ASYNC110  # anyio's events belong to one loop
            await anyio.sleep(TICK)
        return
    gate.late = True


def wsgi_application(gates: Gates) -> Application:
    """The reference as a WSGI application (PEP 3333)."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        target = environ["PATH_INFO"].encode("latin-1")
        if environ.get("QUERY_STRING"):
            target += b"?" + environ["QUERY_STRING"].encode("latin-1")
        gate = gates.get(gate_of(target))
        gate.arrive()
        parts = []
        # `read1` would not be there in every server; a byte at a time shows each piece as it comes.
        size = 1 if gate.name else 65_536
        while piece := environ["wsgi.input"].read(size):
            gate.received += len(piece)
            parts.append(piece)
        headers = tuple(
            (
                name.removeprefix("HTTP_").replace("_", "-").encode("latin-1"),
                value.encode("latin-1"),
            )
            for name, value in environ.items()
            if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
        )
        answer = plan(environ["REQUEST_METHOD"], target, headers, b"".join(parts))
        if answer.before is not None:
            gate.wait()
        if answer.fault is not None and answer.fault is not Fault.HALF_A_BODY:
            return []
        texts = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in _headers(answer)
        ]
        start_response(f"{answer.status} {answer.reason.decode() or 'X'}", texts)
        without = answer.bodiless or environ["REQUEST_METHOD"] == "HEAD"
        return [] if without else _pieces(answer, gate)

    return app


def _pieces(answer: Plan, gate: Gate) -> Iterator[bytes]:
    for step in answer.steps:
        if isinstance(step, Wait):
            gate.wait()
        else:
            yield step
    if answer.fault is not None:
        # What an application raises comes out as it is, or becomes an error of the transport's.
        raise RemoteProtocolError("the reference breaks off")


def handler_of(gates: Gates, *, blocking: bool) -> Callable[[Request], Response]:
    """The reference as a handler: takes a `Request` whose body was read, returns a `Response` of both colours.

    One that is not `blocking` answers at once where others wait before the head: it would hold up its loop.
    """

    def handler(request: Request) -> Response:
        target = request.url.raw_path
        gate = gates.get(gate_of(target))
        gate.arrive()
        gate.received += len(request.content)
        answer = plan(request.method, target, tuple(request.headers.raw), request.content)
        if answer.before is not None and blocking:
            gate.wait()
        if answer.fault is not None and answer.fault is not Fault.HALF_A_BODY:
            raise RemoteProtocolError(answer.fault.value, request=request)
        without = answer.bodiless or request.method == "HEAD"
        steps = () if without else answer.steps
        fault = None if without else answer.fault
        extensions = {"reason_phrase": answer.reason} if answer.reason else {}
        return Response(
            answer.status,
            headers=Headers(list(_headers(answer))),
            stream=_Steps(steps, fault, gate),
            extensions=extensions,
        )

    return handler


class _Steps(SyncByteStream, AsyncByteStream):
    """A plan's body, in both colours."""

    def __init__(self, steps: tuple[Any, ...], fault: Fault | None, gate: Gate) -> None:
        self._steps = iter(steps)
        self._fault = fault
        self._gate = gate

    def __iter__(self) -> Iterator[bytes]:
        for step in self._steps:
            if isinstance(step, Wait):
                self._gate.wait()
            else:
                yield step
        if self._fault is not None:
            raise ReadError(self._fault.value)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for step in self._steps:
            if not isinstance(step, Wait):
                piece: bytes = step
                return piece
            await _wait(self._gate, step)
        if self._fault is not None:
            raise ReadError(self._fault.value)
        raise StopAsyncIteration


def _headers(answer: Plan) -> Fields:
    if answer.length is None:
        return answer.headers
    return (*answer.headers, (b"Content-Length", b"%d" % answer.length))
