"""The suite for transports has teeth: each of these broken ones is caught by the rule that is meant for it."""

from __future__ import annotations

import asyncio
import gc
import http.client
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from scallion import (
    ASGITransport,
    AsyncBaseTransport,
    AsyncByteStream,
    AsyncHTTPTransport,
    BaseTransport,
    ByteStream,
    ConnectError,
    HTTPTransport,
    MockTransport,
    ReadError,
    ReadTimeout,
    Request,
    Response,
    SyncByteStream,
    TransportError,
    WriteError,
    WSGITransport,
)
from scallion.pipeline.headers import Headers
from scallion.testing.conformance import HTTP1, IN_PROCESS, ConformanceError, transport_checks


class Sync(BaseTransport):
    """Wraps a sound transport; each mutant breaks one thing."""

    def __init__(self, reference: Any) -> None:
        self.reference = reference
        self.inner: Any = HTTPTransport(limits=reference.limits)

    @property
    def pool(self) -> Any:
        return self.inner.pool

    def handle_request(self, request: Request) -> Response:
        return self.inner.handle_request(request)

    def close(self) -> None:
        self.inner.close()


class Async(AsyncBaseTransport):
    """The same for tasks."""

    def __init__(self, reference: Any) -> None:
        self.inner: Any = AsyncHTTPTransport(limits=reference.limits)

    @property
    def pool(self) -> Any:
        return self.inner.pool

    async def handle_async_request(self, request: Request) -> Response:
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


def copied(request: Request, **changes: Any) -> Request:
    settings = {
        "method": request.method,
        "url": request.url,
        "headers": request.headers,
        "stream": request.stream,
        "extensions": request.extensions,
        **changes,
    }
    made = Request(settings.pop("method"), settings.pop("url"), **settings)
    made.deadline = request.deadline
    return made


# What is said.


class LosesTheMethod(Sync):
    def handle_request(self, request: Request) -> Response:
        return self.inner.handle_request(copied(request, method="GET"))


class LosesTheQuery(Sync):
    def handle_request(self, request: Request) -> Response:
        return self.inner.handle_request(copied(request, url=request.url.copy_with(query=None)))


class DropsDuplicates(Sync):
    def handle_request(self, request: Request) -> Response:
        return self.inner.handle_request(copied(request, headers=dict(request.headers.raw)))


class LowersNames(Sync):
    def handle_request(self, request: Request) -> Response:
        lowered = [(name.lower(), value) for name, value in request.headers.raw]
        return self.inner.handle_request(copied(request, headers=lowered))


class ChangesTheHost(Sync):
    def handle_request(self, request: Request) -> Response:
        headers = [*request.headers.raw[1:], (b"Host", b"other.example")]
        return self.inner.handle_request(copied(request, headers=headers))


class EscapesTwice(Sync):
    def handle_request(self, request: Request) -> Response:
        raw_path = request.url.raw_path.replace(b"%", b"%25")
        return self.inner.handle_request(
            copied(request, url=request.url.copy_with(raw_path=raw_path))
        )


class SpeaksASCII(Sync):
    def handle_request(self, request: Request) -> Response:
        plain = [
            (name, value.decode("ascii", "replace").encode("ascii", "replace"))
            for name, value in request.headers.raw
        ]
        return self.inner.handle_request(copied(request, headers=plain))


class EatsCookies(Sync):
    def handle_request(self, request: Request) -> Response:
        headers = [field for field in request.headers.raw if field[0].lower() != b"cookie"]
        return self.inner.handle_request(copied(request, headers=headers))


class AnnouncesBodies(Sync):
    def handle_request(self, request: Request) -> Response:
        headers = [*request.headers.raw, (b"Transfer-Encoding", b"chunked")]
        return self.inner.handle_request(copied(request, headers=headers))


class MeetsNoExpectations(Sync):
    def handle_request(self, request: Request) -> Response:
        if "expect" in request.headers:
            return Response(417)
        return self.inner.handle_request(request)


class BreaksLines(Sync):
    def handle_request(self, request: Request) -> Response:
        headers = []
        for name, value in request.headers.raw:
            first, _, rest = value.partition(b"\r\n")
            headers.append((name, first))
            if rest:
                headers.append(tuple(rest.split(b": ")))
        return self.inner.handle_request(copied(request, headers=headers))


class ChangesTheRequest(Sync):
    def handle_request(self, request: Request) -> Response:
        request.headers["X-Seen"] = "yes"
        return self.inner.handle_request(request)


class JoinsCookies(Sync):
    def handle_request(self, request: Request) -> Response:
        response = self.inner.handle_request(request)
        response.headers = Headers(dict(response.headers))
        return response


class ErrorsAreExceptions(Sync):
    def handle_request(self, request: Request) -> Response:
        response = self.inner.handle_request(request)
        if response.status_code >= 500:
            response.close()
            raise RuntimeError("the server failed")
        return response


class TakesHintsForAnswers(Sync):
    def handle_request(self, request: Request) -> Response:
        response = self.inner.handle_request(request)
        if request.url.path == "/interim":
            response.close()
            return Response(103, stream=response.stream)
        return response


class LosesTrailers(Sync):
    def handle_request(self, request: Request) -> Response:
        response = self.inner.handle_request(request)
        response.extensions = {}
        return response


class OtherColour(Sync):
    def handle_request(self, request: Request) -> Response:
        class Stream(AsyncByteStream):
            def __aiter__(self) -> AsyncIterator[bytes]:
                raise NotImplementedError

        self.inner.handle_request(request).close()
        return Response(200, stream=Stream())


# Bodies.


class Wrapped(SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.stream)

    def close(self) -> None:
        self.stream.close()


def wrapping(kind: type[Wrapped]) -> type[Sync]:
    class Wrapping(Sync):
        def handle_request(self, request: Request) -> Response:
            response = self.inner.handle_request(request)
            response.stream = kind(response.stream)
            return response

    return Wrapping


class NeverCloses(Wrapped):
    def close(self) -> None:
        # The one that is kept, so that nobody takes it for forgotten.
        KEPT.append(self.stream)


KEPT: list[Any] = []


class Drains(Wrapped):
    def close(self) -> None:
        for _ in self.stream:
            pass
        super().close()


class FailsStrangely(Wrapped):
    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self.stream
        except Exception as error:
            raise OSError(9, "bad file descriptor") from error


class Spent(ByteStream):
    """Half of the body, the second time."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.pieces = iter([body])

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces


class ForgetsWhatItRead(Sync):
    def handle_request(self, request: Request) -> Response:
        response = self.inner.handle_request(request)
        return Response(response.status_code, stream=Spent(b"".join(response.iter_raw())))


class Hoards(Sync):
    def handle_request(self, request: Request) -> Response:
        response = self.inner.handle_request(request)
        KEPT.append(response.stream)
        return response


class AddsToBodies(Sync):
    def handle_request(self, request: Request) -> Response:
        framing = (b"content-length", b"transfer-encoding")
        headers = [field for field in request.headers.raw if field[0].lower() not in framing]
        body = request.read() + b"!"
        return self.inner.handle_request(
            copied(request, headers=headers, stream=None, content=body)
        )


class Impatient(Sync):
    def handle_request(self, request: Request) -> Response:
        response = self.inner.handle_request(request)
        if response.status_code == 413:
            response.close()
            raise WriteError("the server does not listen", request=request)
        return response


class TakesHalvesForWholes(Wrapped):
    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self.stream
        except TransportError:
            return


class Cuts(Wrapped):
    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for piece in self.stream:
            size += len(piece)
            if size < 1_000_000:
                yield piece


class Again(Wrapped):
    """Half of the body, the second time."""

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"half"])


class Buffers(Sync):
    def handle_request(self, request: Request) -> Response:
        response = self.inner.handle_request(request)
        body = b"".join(response.iter_raw())
        return Response(response.status_code, headers=response.headers.raw, content=body)


class BuffersUploads(Sync):
    def handle_request(self, request: Request) -> Response:
        request.read()
        return self.inner.handle_request(request)


class Decodes(Sync):
    def handle_request(self, request: Request) -> Response:
        response = self.inner.handle_request(request)
        content = response.read()
        return Response(response.status_code, headers=response.headers, content=content)


class IgnoresHead(MockTransport):
    def __init__(self, reference: Any) -> None:
        super().__init__(
            lambda request: reference.handler(
                copied(request, method="GET", content=request.content, stream=None)
            )
        )


class EmptiesGets(Sync):
    def handle_request(self, request: Request) -> Response:
        if request.method == "GET":
            headers = [field for field in request.headers.raw if b"length" not in field[0].lower()]
            return self.inner.handle_request(copied(request, headers=headers, stream=None))
        return self.inner.handle_request(request)


class SwallowsUploadErrors(Sync):
    def handle_request(self, request: Request) -> Response:
        try:
            return self.inner.handle_request(request)
        except TransportError:
            raise
        except Exception as error:
            raise ConnectError("it did not work") from error


# Faults.


class RaisesItsOwn(Sync):
    def handle_request(self, request: Request) -> Response:
        try:
            return self.inner.handle_request(request)
        except ConnectError as error:
            raise OSError(111, "refused") from error


class DoesNotPickle(Sync):
    def handle_request(self, request: Request) -> Response:
        try:
            return self.inner.handle_request(request)
        except ConnectError as error:
            error.lock = threading.Lock()  # type: ignore[attr-defined]
            raise


class NamesAnother(Sync):
    def handle_request(self, request: Request) -> Response:
        try:
            return self.inner.handle_request(request)
        except ConnectError as error:
            error.request = copied(request)
            raise


class Resends(Sync):
    """As a transport does that hides what went wrong."""

    def handle_request(self, request: Request) -> Response:
        try:
            return self.inner.handle_request(request)
        except TransportError:
            return Response(502, content=b"")


class ResendPost(Sync):
    """As a transport does that hopes for more luck; the second failure is told as it is."""

    kinds: tuple[type[Exception], ...] = (TransportError,)

    def handle_request(self, request: Request) -> Response:
        try:
            return self.inner.handle_request(request)
        except self.kinds:
            return self.inner.handle_request(request)


class ResendsOnKept(ResendPost):
    """The same where a connection has served before, which it takes for a stale one."""

    served = False

    def handle_request(self, request: Request) -> Response:
        if self.served:
            return super().handle_request(request)
        response = self.inner.handle_request(request)
        self.served = True
        return response


class ReadsAndResends(ResendPost):
    """The same for what goes wrong in the body."""

    def handle_request(self, request: Request) -> Response:
        for attempt in range(2):
            response = self.inner.handle_request(request)
            try:
                body = response.read()
            except TransportError:
                if attempt:
                    raise
            else:
                return Response(response.status_code, content=body)
        raise NotImplementedError


class TakesTheFirst(Sync):
    """One connection, and no second try: what http.client gives to whoever does no more."""

    connection: Any = None

    def handle_request(self, request: Request) -> Response:
        if self.connection is None:
            self.connection = http.client.HTTPConnection(request.url.host, request.url.port)
            self.connection.auto_open = 0
            self.connection.connect()
        try:
            self.connection.request(request.method, request.url.raw_path.decode())
            answer = self.connection.getresponse()
            return Response(answer.status, content=answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise ReadError(str(error), request=request) from error

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        super().close()


class SaysNothing(Sync):
    def handle_request(self, request: Request) -> Response:
        try:
            return self.inner.handle_request(request)
        except ReadTimeout as error:
            raise ReadTimeout("", request=request) from error


class IgnoresTimeouts(Sync):
    def handle_request(self, request: Request) -> Response:
        return self.inner.handle_request(copied(request, extensions={}))


class NeedsTimeouts(Sync):
    def handle_request(self, request: Request) -> Response:
        assert request.extensions["timeout"]["read"] > 0
        return self.inner.handle_request(request)


class IgnoresDeadlines(Sync):
    def handle_request(self, request: Request) -> Response:
        made = copied(request)
        made.deadline = None
        return self.inner.handle_request(made)


class IgnoresLimits(Sync):
    def __init__(self, reference: Any) -> None:
        super().__init__(reference)
        self.inner = HTTPTransport()


class NeverReuses(Sync):
    def handle_request(self, request: Request) -> Response:
        KEPT.append(HTTPTransport())
        return KEPT[-1].handle_request(request)


class ShowsSecrets(Sync):
    def __repr__(self) -> str:
        return f"ShowsSecrets(password={self.reference.secret!r})"


# Life.


class MixesThreads(Sync):
    request: Request

    def handle_request(self, request: Request) -> Response:
        self.request = request
        BARRIER.wait(0.05)
        return self.inner.handle_request(self.request)


BARRIER = threading.Event()


class MixesTasks(Async):
    request: Request

    async def handle_async_request(self, request: Request) -> Response:
        self.request = request
        await anyio.lowlevel.checkpoint()
        return await self.inner.handle_async_request(self.request)


class OneAtATime(Sync):
    def __init__(self, reference: Any) -> None:
        super().__init__(reference)
        self.lock = threading.Lock()

    def handle_request(self, request: Request) -> Response:
        if not self.lock.acquire(timeout=1):
            raise ConnectError("busy")
        response = self.inner.handle_request(request)
        lock = self.lock

        class Unlocking(Wrapped):
            def close(self) -> None:
                super().close()
                lock.release()

        response.stream = Unlocking(response.stream)
        return response


class OneHeadAtATime(Sync):
    """Holds a lock until the head is there, and not longer; one for all transports of the process."""

    def handle_request(self, request: Request) -> Response:
        with HEADS:
            return self.inner.handle_request(request)


HEADS = threading.Lock()


class ThreeHeadsAtATime(OneHeadAtATime):
    def __init__(self, reference: Any) -> None:
        super().__init__(reference)
        self.places = threading.Semaphore(3)

    def handle_request(self, request: Request) -> Response:
        with self.places:
            return self.inner.handle_request(request)


class OneCallAtATime(OneHeadAtATime):
    """The same around an application or a function in this process."""

    def __init__(self, reference: Any) -> None:
        super().__init__(reference)
        self.inner = MockTransport(reference.handler)


class OneApplicationAtATime(OneHeadAtATime):
    def __init__(self, reference: Any) -> None:
        super().__init__(reference)
        self.inner = WSGITransport(reference.wsgi)


class OneTaskAtATime(Async):
    def __init__(self, reference: Any) -> None:
        super().__init__(reference)
        self.lock = anyio.Lock()

    async def handle_async_request(self, request: Request) -> Response:
        async with self.lock:
            return await self.inner.handle_async_request(request)


class OneASGICallAtATime(OneTaskAtATime):
    def __init__(self, reference: Any) -> None:
        super().__init__(reference)
        self.inner = ASGITransport(reference.asgi)


class FirstOneFirst(Sync):
    """Lets nobody begin before the first request has been answered."""

    def __init__(self, reference: Any) -> None:
        super().__init__(reference)
        self.lock = threading.Lock()
        self.begun = False

    def handle_request(self, request: Request) -> Response:
        with self.lock:
            if not self.begun:
                response = self.inner.handle_request(request)
                self.begun = True
                return response
        return self.inner.handle_request(request)


class BlocksTheLoop(Async):
    """A blocking transport in a coroutine."""

    def __init__(self, reference: Any) -> None:
        super().__init__(reference)
        self.blocking = HTTPTransport(limits=reference.limits)

    async def handle_async_request(self, request: Request) -> Response:
        if request.method != "GET":
            return await self.inner.handle_async_request(request)
        response = self.blocking.handle_request(request)
        return Response(response.status_code, content=response.read())

    async def aclose(self) -> None:
        self.blocking.close()
        await self.inner.aclose()


class SwallowsCancellation(Async):
    async def handle_async_request(self, request: Request) -> Response:
        try:
            return await self.inner.handle_async_request(request)
        except asyncio.CancelledError:
            return Response(500)


class LeaksWhenCancelled(Async):
    """Counts who is inside, and forgets those who are cancelled."""

    active = 0
    waiting = 0

    @property
    def pool(self) -> Any:
        return self

    async def handle_async_request(self, request: Request) -> Response:
        self.active += 1
        response = await self.inner.handle_async_request(request)
        self.active -= 1
        return response


class ForgetsToClose(Sync):
    def close(self) -> None:
        KEPT.append(self.inner)


class ClosesOnce(Sync):
    closed = False

    def close(self) -> None:
        assert not self.closed
        self.closed = True
        super().close()


class EntersAnother(Sync):
    def __enter__(self) -> Any:
        return self.inner


class BreaksAfterClose(Sync):
    def close(self) -> None:
        super().close()
        self.handle_request = None  # type: ignore[assignment,method-assign]


class ForgetsToCloseTasks(Async):
    async def aclose(self) -> None:
        KEPT.append(self.inner)


class Deaf(AsyncByteStream):
    """Hears of no cancellation."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.pieces: Any = aiter(stream)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        with anyio.CancelScope(shield=True):
            return await anext(self.pieces)

    async def aclose(self) -> None:
        await self.stream.aclose()


class CannotBeCancelled(Async):
    async def handle_async_request(self, request: Request) -> Response:
        response = await self.inner.handle_async_request(request)
        response.stream = Deaf(response.stream)
        return response


class LeavesATask(Async):
    async def handle_async_request(self, request: Request) -> Response:
        KEPT.append(asyncio.ensure_future(asyncio.sleep(60)))
        return await super().handle_async_request(request)


class BelongsToALoop(Async):
    loop: Any = None

    async def handle_async_request(self, request: Request) -> Response:
        loop = asyncio.get_running_loop()
        self.loop = self.loop or loop
        if self.loop is not loop:
            raise RuntimeError("attached to a different loop")
        return await super().handle_async_request(request)


class TakesAnyBody(Sync):
    def handle_request(self, request: Request) -> Response:
        if not isinstance(request.stream, SyncByteStream):
            request = copied(request, stream=None, headers={"Content-Length": "0"})
        return self.inner.handle_request(request)


MUTANTS = [
    (LosesTheMethod, "method_arrives", "sync"),
    (LosesTheQuery, "target_arrives", "sync"),
    (EscapesTwice, "escapes_in_the_path_arrive", "sync"),
    (ChangesTheHost, "host_arrives", "sync"),
    (SpeaksASCII, "header_octets_arrive", "sync"),
    (EatsCookies, "request_cookies_arrive", "sync"),
    (AnnouncesBodies, "no_body_means_none", "sync"),
    (MeetsNoExpectations, "expectations_are_met", "sync"),
    (BreaksLines, "headers_cannot_break_out", "sync"),
    (AddsToBodies, "bytes_are_sent", "sync"),
    (AddsToBodies, "iterators_are_sent", "sync"),
    (AddsToBodies, "announced_length_is_kept", "sync"),
    (Impatient, "early_answers_are_delivered", "sync"),
    (ForgetsWhatItRead, "body_is_read_once", "sync"),
    (wrapping(Drains), "closing_does_not_wait_for_the_body", "sync"),
    (wrapping(FailsStrangely), "responses_survive_closing_safely", "sync"),
    (Hoards, "forgotten_responses_are_no_leak", "sync"),
    (TakesTheFirst, "stale_connections_are_replaced", "sync"),
    (SaysNothing, "timeouts_name_their_kind", "sync"),
    (ForgetsToCloseTasks, "cancelled_first_requests_leave_nothing", "asyncio"),
    (CannotBeCancelled, "cancelled_readers_can_close", "trio"),
    (DropsDuplicates, "request_headers_arrive", "sync"),
    (LowersNames, "header_spelling_is_kept", "sync"),
    (ChangesTheRequest, "request_is_not_changed", "sync"),
    (JoinsCookies, "set_cookie_fields_stay_apart", "sync"),
    (JoinsCookies, "response_headers_arrive", "sync"),
    (ErrorsAreExceptions, "status_arrives", "sync"),
    (TakesHintsForAnswers, "interim_responses_are_passed_over", "sync"),
    (LosesTrailers, "trailers_arrive", "sync"),
    (LosesTrailers, "reason_arrives", "sync"),
    (OtherColour, "stream_has_the_colour", "sync"),
    (EmptiesGets, "any_method_may_have_a_body", "sync"),
    (wrapping(Cuts), "large_bodies_pass", "sync"),
    (wrapping(Again), "responses_are_framed", "sync"),
    (IgnoresHead, "bodiless_answers_are_empty", "sync"),
    (Decodes, "codings_are_untouched", "sync"),
    (Buffers, "head_comes_before_the_body", "sync"),
    (BuffersUploads, "upload_is_sent_as_it_is_made", "sync"),
    (wrapping(NeverCloses), "half_read_responses_can_be_closed", "sync"),
    (SwallowsUploadErrors, "failing_uploads_are_raised", "sync"),
    (RaisesItsOwn, "refused_connections_are_connect_errors", "sync"),
    (DoesNotPickle, "refused_connections_are_connect_errors", "sync"),
    (NamesAnother, "refused_connections_are_connect_errors", "sync"),
    (Resends, "lost_heads_are_errors", "sync"),
    (ResendPost, "lost_heads_are_errors", "sync"),
    (ResendsOnKept, "lost_heads_are_errors", "sync"),
    (ResendPost, "malformed_answers_are_protocol_errors", "sync"),
    (ResendPost, "read_timeout_is_kept", "sync"),
    (ReadsAndResends, "truncated_bodies_are_errors", "sync"),
    (Resends, "malformed_answers_are_protocol_errors", "sync"),
    (Resends, "unknown_schemes_are_refused", "sync"),
    (wrapping(TakesHalvesForWholes), "truncated_bodies_are_errors", "sync"),
    (IgnoresTimeouts, "read_timeout_is_kept", "sync"),
    (Resends, "write_timeout_is_kept", "sync"),
    (Resends, "connect_timeout_is_kept", "sync"),
    (NeedsTimeouts, "no_timeouts_are_no_limits", "sync"),
    (IgnoresDeadlines, "deadline_is_kept", "sync"),
    (IgnoresLimits, "pool_timeout_is_kept", "sync"),
    (NeverReuses, "connections_are_reused", "sync"),
    (ShowsSecrets, "secrets_are_not_shown", "sync"),
    (MixesThreads, "requests_at_once_are_not_mixed", "sync"),
    (MixesTasks, "requests_at_once_are_not_mixed", "trio"),
    (OneAtATime, "slow_answers_hold_up_nobody", "sync"),
    (OneHeadAtATime, "slow_heads_hold_up_nobody", "sync"),
    (ThreeHeadsAtATime, "slow_heads_hold_up_nobody", "sync"),
    (OneCallAtATime, "slow_heads_hold_up_nobody", "sync"),
    (OneApplicationAtATime, "slow_heads_hold_up_nobody", "sync"),
    (OneTaskAtATime, "slow_heads_hold_up_nobody", "asyncio"),
    (OneTaskAtATime, "slow_heads_hold_up_nobody", "trio"),
    (OneASGICallAtATime, "slow_heads_hold_up_nobody", "asyncio"),
    (BlocksTheLoop, "slow_heads_hold_up_nobody", "asyncio"),
    (OneHeadAtATime, "slow_uploads_hold_up_nobody", "sync"),
    (OneCallAtATime, "slow_uploads_hold_up_nobody", "sync"),
    (OneTaskAtATime, "slow_uploads_hold_up_nobody", "trio"),
    (OneASGICallAtATime, "slow_uploads_hold_up_nobody", "asyncio"),
    (FirstOneFirst, "slow_uploads_hold_up_nobody", "sync"),
    (SwallowsCancellation, "cancelled_requests_leave_nothing", "asyncio"),
    (LeaksWhenCancelled, "cancelled_requests_leave_nothing", "trio"),
    (LeaksWhenCancelled, "cancelled_uploads_leave_nothing", "asyncio"),
    (ForgetsToClose, "closing_releases_everything", "sync"),
    (ForgetsToClose, "with_closes", "sync"),
    (LeavesATask, "closing_releases_everything", "asyncio"),
    (ClosesOnce, "closing_twice_is_harmless", "sync"),
    (EntersAnother, "with_closes", "sync"),
    (BreaksAfterClose, "use_after_close_is_defined", "sync"),
    (BelongsToALoop, "another_loop_is_served", "asyncio"),
    (TakesAnyBody, "wrong_body_colour_is_refused", "sync"),
]


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    yield
    for kept in KEPT:
        if isinstance(kept, (HTTPTransport, SyncByteStream)):
            kept.close()
        elif isinstance(kept, AsyncHTTPTransport):
            anyio.run(kept.aclose)
    KEPT.clear()
    # What a mutant left is found now, where nobody minds, and not in whichever test comes next.
    gc.collect()


@pytest.mark.parametrize(
    ("mutant", "rule", "colour"),
    MUTANTS,
    ids=[f"{kind.__name__}-{rule}" for kind, rule, _ in MUTANTS],
)
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_each_mutant_is_caught_by_its_rule(mutant: Any, rule: str, colour: Any) -> None:
    """
    A transport with one thing broken breaks the rule about that.
    """
    (check,) = [
        check
        for check in transport_checks(colours=[colour], features=HTTP1 | IN_PROCESS, patience=0.4)
        if rule == str(check)
    ]

    with pytest.raises(ConformanceError, match=rf"{rule} \[{colour}\]"):
        check(mutant)


def test_every_rule_has_a_mutant() -> None:
    """
    No rule is without teeth.
    """
    assert {rule for _, rule, _ in MUTANTS} == {str(check) for check in transport_checks()}


@pytest.mark.parametrize(("sound", "colour"), [(Sync, "sync"), (Async, "asyncio"), (Async, "trio")])
def test_what_the_mutants_are_made_of_is_sound(sound: Any, colour: Any) -> None:
    """
    The rules that catch mutants pass what is not broken.
    """
    for check in transport_checks(colours=[colour]):
        check(sound)
