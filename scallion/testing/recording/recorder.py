"""A transport that records what another one does, and replays it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from scallion.pipeline import errors as _errors
from scallion.pipeline.errors import RequestError, TransportError
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import run
from scallion.pipeline.streams import ByteStream
from scallion.transports.base import AsyncBaseTransport, BaseTransport

from .entries import Har, response_of
from .inner import Blocking, Raised, Suspending, Way
from .matching import Matcher
from .redaction import Redaction
from .tape import Exchange, Mode, NotRecorded, Tape
from .tees import Taken, taken

if TYPE_CHECKING:
    import os

__all__ = ["Recorder"]


class Recorder(BaseTransport, AsyncBaseTransport):
    """Records exchanges in a HAR 1.2 file, and answers from it without a network.

    Pass it to a client as its transport. Secrets are taken out before anything is written or shown. The file is
    written when the client is closed, or this is, whichever is last entered by `with`; nothing is written
    if nothing was recorded. It replaces the old file at once, and keeps what others have added to it meanwhile.

    Any number of threads and tasks may send at once. Each entry answers once, in the order of the file.

    Args:
        path: The file. Recordings that browsers saved are replayed as well.
        mode: "once" records if there is no such file, else it replays and refuses what is new. "none" only
            replays. "all" sends and records everything, in place of the old file. "new" replays what is there, and records
            the rest.
        transport: What sends; None for an `HTTPTransport` or `AsyncHTTPTransport`, made when it is first needed. It is closed
            with this.
        match: What a request must have in common with an entry: names ("method", "url" for scheme, host, port and
            path, each of these, "query" in any order, "body" by its meaning, "raw_body", "header:NAME"), and functions
            of a request and a recorded one, both redacted, which return False or assert.
        redact: What is secret besides what usually is; None to write everything as it is.
        repeat: Whether the last entry that matches answers again when all of its kind have answered.
        errors: Whether failures to get an answer are recorded, and raised again on replay.
        timing: Whether an answer takes as long as it took when it was recorded.
        max_body: Bytes of a body, decoded, that are stored at most; None for no bound. Longer ones are passed
            on, left out of the file and warned of.
        on_error: Whether what was recorded is written ("save") or dropped ("discard") if the `with` of the client or the
            recorder is left by an exception.

    Raises:
        ValueError: the file is no HAR file, or an argument is out of its range.
        TypeError: an argument is of the wrong type.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: Mode = "once",
        transport: BaseTransport | AsyncBaseTransport | None = None,
        *,
        match: Sequence[Matcher] = ("method", "url", "query"),
        redact: Redaction | None = Redaction(),  # noqa: B008  # immutable
        repeat: bool = False,
        errors: bool = False,
        timing: bool = False,
        max_body: int | None = 10 * 1024 * 1024,
        on_error: Literal["save", "discard"] = "save",
    ) -> None:
        self._tape: Tape | None = None
        if redact is not None and not isinstance(redact, Redaction):
            raise TypeError(f"redact is a Redaction or None, not {redact!r}")
        if on_error not in ("save", "discard"):
            raise ValueError(f"on_error is 'save' or 'discard', not {on_error!r}")
        if max_body is not None and max_body < 0:
            raise ValueError(f"max_body is a number of bytes or None, not {max_body!r}")
        if transport is not None and not isinstance(transport, BaseTransport | AsyncBaseTransport):
            raise TypeError(f"Recorder needs a transport to record, not {transport!r}")
        self._blocking = Blocking(transport)
        self._suspending = Suspending(transport)
        self._timing = timing
        self._max_body = max_body
        self._discards = on_error == "discard"
        self._tape = Tape(Path(path), mode, match, redact, repeat=repeat, errors=errors)

    # What was done.

    @property
    def path(self) -> Path:
        """The file."""
        return self._open.path

    @property
    def unused(self) -> list[str]:
        """The method and URL of each entry of the file that has not answered yet."""
        return self._open.unused

    def save(self) -> None:
        """Write what has been recorded now, but for responses that are still being read.

        Raises:
            OSError: the file cannot be written.
        """
        self._open.save(everything=False)

    @property
    def _open(self) -> Tape:
        assert self._tape is not None
        return self._tape

    # Sending.

    def handle_request(self, request: Request) -> Response:
        """The recorded response, or the one that is being recorded. See `BaseTransport.handle_request`.

        Raises:
            NotRecorded: there is none, and the mode does not record any.
        """
        return run(self._handle(request, self._blocking))

    async def handle_async_request(self, request: Request) -> Response:
        """The same for an `AsyncClient`."""
        return await self._handle(request, self._suspending)

    async def _handle(self, request: Request, way: Way) -> Response:
        tape = self._open
        if not isinstance(request.stream, way.stream):
            raise RuntimeError(way.wrong)
        if not tape.replays:
            return await self._record(request, way)
        body: Taken | None = None
        if tape.needs_body or not tape.records:
            # It is compared, or sent nowhere; if it is to be sent after all, it must be kept.
            body = Taken(None if tape.records else self._max_body)
            await way.consume(request.stream, body)
        entry = tape.play(request, body)
        if entry is not None:
            if body is None:
                await way.consume(request.stream, Taken(0))
            return await self._replay(entry, request, way)
        if not tape.records:
            raise tape.refusal(request, body)
        return await self._record(request, way, body)

    async def _replay(self, entry: Har, request: Request, way: Way) -> Response:
        if self._timing:
            timings = entry.get("timings") or {}
            wait = sum(max(0, timings.get(part) or 0) for part in ("send", "wait"))
            await way.runtime.sleep(wait / 1000)
        error = _error_of(entry, request)
        if error is not None and not entry["response"]["status"]:
            raise error
        asked = f"{entry['request']['method']} {entry['request']['url']}"
        why = "is missing: it was too long to be stored, max_body says how long a body may be"
        if "_omitted" not in (entry["response"].get("content") or {}):
            why = "ends here: it was read no further when it was recorded"
        incomplete = error or NotRecorded(
            f"The recorded body of {asked} in {self._open.path} {why}."
        )
        return response_of(entry, request.method, incomplete)

    async def _record(self, request: Request, way: Way, body: Taken | None = None) -> Response:
        tape = self._open
        sent = _copy(request)
        transported = request
        # Cases: read already; at hand; on its way.
        if body is not None and not isinstance(request.stream, ByteStream):
            sent.stream = ByteStream(b"".join(body.pieces))
            transported = sent
        if isinstance(sent.stream, ByteStream):
            request_body = taken(b"".join(sent.stream), self._max_body)
        else:
            request_body = Taken(self._max_body)
            sent.stream = way.tee(request.stream, request_body)
            transported = sent
        exchange = tape.begin(sent, request_body, Taken(self._max_body))
        try:
            response = await way.send(transported)
        except RequestError as error:
            if error._request is sent:
                error.request = request
            if tape.errors:
                exchange.error = error
                exchange.end()
            else:
                tape.drop(exchange)
            raise
        except BaseException:
            tape.drop(exchange)
            raise
        return self._recorded(response, exchange, way)

    def _recorded(self, response: Response, exchange: Exchange, way: Way) -> Response:
        tape = self._open
        # What follows a 101 is no response, and a stream of the wrong colour is refused further up.
        if response.status_code == 101 or not isinstance(response.stream, way.stream):
            tape.drop(exchange)
            return response
        exchange.respond(response)
        if isinstance(response.stream, ByteStream):
            exchange.body = taken(b"".join(response.stream), self._max_body)
            exchange.end()
        else:
            response.stream = way.tee(response.stream, exchange.body, exchange.end)
        return response

    # Opening and closing.

    async def _enter(self, way: Way) -> None:
        if not way.entered and self._open.records:
            await way.enter()
        way.entered += 1

    async def _leave(self, way: Way, raised: Raised) -> None:
        way.entered -= 1
        if self._discards and raised[0] is not None:
            self._open.discard()
        await self._settle(way, raised)

    async def _settle(self, way: Way, raised: Raised | None) -> None:
        """Close, and write, once nobody is inside any more."""
        try:
            if not way.entered and self._open.records:
                await way.close(raised)
        finally:
            if not self._blocking.entered and not self._suspending.entered:
                self._open.save(everything=True)

    def __enter__(self) -> Self:
        run(self._enter(self._blocking))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        run(self._leave(self._blocking, (exc_type, exc_value, traceback)))

    def close(self) -> None:
        """Write what was recorded and close the transport, unless a `with` will do so."""
        run(self._settle(self._blocking, None))

    async def __aenter__(self) -> Self:
        await self._enter(self._suspending)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._leave(self._suspending, (exc_type, exc_value, traceback))

    async def aclose(self) -> None:
        """The same for an `AsyncClient`."""
        await self._settle(self._suspending, None)

    def __del__(self) -> None:
        if self._tape is not None and self._tape.unwritten:
            warnings.warn(
                f"{self._tape.unwritten} exchanges were recorded and never written to {self._tape.path}: close the "
                "client, or the Recorder",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )

    def __repr__(self) -> str:
        return f"<Recorder {self._open!r}>"


def _copy(request: Request) -> Request:
    """The request as it is now, with the body of the original."""
    copied: Request = object.__new__(type(request))
    copied.__dict__.update(request.__dict__)
    copied.headers = request.headers.copy()
    return copied


def _error_of(entry: Har, request: Request) -> RequestError | None:
    """The error that was recorded, as a new one."""
    recorded = entry.get("_error")
    if not isinstance(recorded, dict):
        return None
    kind = getattr(_errors, str(recorded.get("type")), None)
    if not (isinstance(kind, type) and issubclass(kind, RequestError)):
        kind = TransportError
    return kind(str(recorded.get("message", "")), request=request)
