"""Rules on bodies: every kind, large ones, streamed ones, ones that are read twice or left half way."""

from __future__ import annotations

from scallion.pipeline.errors import StreamError

from .bench import Bench, digest
from .protocol import CODED, pattern
from .rules import Rules, holds, same

__all__ = ["rules"]

rules = Rules()

LARGE = 5_000_000


@rules("scallion: Request(content=...)")
async def bytes_are_sent(bench: Bench) -> None:
    """A body of bytes arrives, with its length announced."""
    for body in (b"x", b"0\r\n\r\n", bytes(range(256)) * 300):
        told = await bench.told("POST", content=body)
        same((len(body), digest(body)), (told.size, told.digest), "the body that arrived")


@rules("scallion: Request(content=iterator)")
async def iterators_are_sent(bench: Bench) -> None:
    """A body from an iterator of the colour arrives whole, empty pieces among it do no harm."""
    pieces = [b"one", b"", b"two", pattern(100_000), b""]
    told = await bench.told("POST", content=bench.iterator(*pieces))
    body = b"".join(pieces)
    same((len(body), digest(body)), (told.size, told.digest), "the body that arrived")


@rules("RFC 9112 section 6.2")
async def announced_length_is_kept(bench: Bench) -> None:
    """A stream whose length the request announces arrives under that length."""
    body = pattern(70_000)
    content = bench.iterator(body[:10], body[10:])
    told = await bench.told("POST", content=content, headers={"Content-Length": "70000"})
    same((70_000, digest(body)), (told.size, told.digest), "the body that arrived")


@rules("RFC 9110 section 9.3.1")
async def any_method_may_have_a_body(bench: Bench) -> None:
    """A body is sent whatever the method is: GET, DELETE and QUERY too."""
    for method in ("GET", "DELETE", "QUERY"):
        same(4, (await bench.told(method, content=b"body")).size, f"bytes that a {method} sent")


@rules("RFC 9112 section 6, RFC 9113 section 6.9")
async def large_bodies_pass(bench: Bench) -> None:
    """Five megabytes arrive unchanged in both directions, beyond any window or buffer."""
    body = pattern(LARGE)
    received = await bench.fetch("POST", "/echo", content=body)
    same((LARGE, digest(body)), (len(received), digest(received)), "the body that came back")


@rules("RFC 9112 section 6.3")
async def responses_are_framed(bench: Bench) -> None:
    """A response's body comes whole whether its length was announced or not, and an empty one is empty."""
    for path in ("/size/0", "/size/1", "/size/70000", "/chunks/0", "/chunks/70000"):
        size = int(path.rpartition("/")[2])
        received = await bench.fetch(path=path)
        same(
            (size, digest(pattern(size))), (len(received), digest(received)), f"the body of {path}"
        )


@rules("RFC 9110 sections 6.4.1, 9.3.2, 15.3.5 and 15.4.5")
async def bodiless_answers_are_empty(bench: Bench) -> None:
    """HEAD, 204 and 304 have no body, whatever length the head announces; the next answer is the next one's."""
    for method, path in (
        ("HEAD", "/size/10"),
        ("HEAD", "/chunks/10"),
        ("GET", "/status/204"),
        ("GET", "/status/304"),
    ):
        response = await bench.open(method, path)
        same(b"", await bench.read(response), f"the body of {method} {path}")
        same(b"status", await bench.fetch(path="/status/200"), f"the answer after {method} {path}")


@rules("RFC 9112 section 9.5, RFC 9113 section 8.1", needs=["faults"])
async def early_answers_are_delivered(bench: Bench) -> None:
    """An answer that comes before the request's body has been sent is delivered, and the transport serves on."""
    response = await bench.open("POST", "/early", content=pattern(LARGE))
    same((413, b"too much"), (response.status_code, await bench.read(response)), "the early answer")
    await bench.serves("an early answer")


@rules("RFC 9110 section 8.4, scallion: BaseTransport; decoding is the Response's")
async def codings_are_untouched(bench: Bench) -> None:
    """What is compressed stays compressed in the stream, and Content-Encoding and Content-Length stay."""
    response = await bench.open(path="/coded")
    same(CODED, await bench.read(response), "the raw body")
    same("gzip", response.headers.get("content-encoding"), "Content-Encoding")
    response = await bench.open(path="/coded")
    content = response.read() if bench.blocking else await response.aread()
    same(b"what a decoder makes of it", content, "the content that the Response decodes")


@rules(
    "scallion: BaseTransport.handle_request, which returns 'the body unread'", needs=["streaming"]
)
async def head_comes_before_the_body(bench: Bench) -> None:
    """The response is returned, and its first piece read, while the server still makes the rest."""
    gate = bench.reference.gate()
    response = await bench.open(path="/steps", gate=gate)
    holds(not gate.late, "the response came only when its body had ended")
    pieces = bench.pieces(response)
    first = await anext(pieces)
    holds(not gate.late, "the first piece came only when the body had ended")
    gate.open()
    rest = [piece async for piece in pieces]
    same(b"onetwo", first + b"".join(rest), "the body")


@rules("RFC 9112 section 7.1, scallion: request streams are pulled", needs=["upload"])
async def upload_is_sent_as_it_is_made(bench: Bench) -> None:
    """What an iterator yields is sent before the next piece is asked for."""
    gate = bench.reference.gate()

    async def arrival() -> None:
        await bench.eventually(
            lambda: gate.received >= 3,
            "the body's first piece was held back until the next was made",
        )

    content = bench.iterator(b"one", arrival, b"two")
    same(6, (await bench.told("POST", content=content, gate=gate)).size, "bytes of the upload")


@rules("scallion: StreamConsumed")
async def body_is_read_once(bench: Bench) -> None:
    """Reading the raw body a second time raises StreamConsumed or StreamClosed, and never half an answer."""
    response = await bench.open(path="/chunks/100")
    first = await bench.read(response)
    try:
        second = b"".join([piece async for piece in bench.pieces(response)])
    except StreamError:
        return
    except StopAsyncIteration:
        second = b""
    same(first, second, "the body read a second time")


@rules("scallion: Response.close(); who receives a response reads or closes it")
async def half_read_responses_can_be_closed(bench: Bench) -> None:
    """A response may be closed unread or half way, and twice; what it held is free, and the transport serves."""
    for pieces in (0, 1):
        response = await bench.open(path="/size/1000000")
        if pieces:
            await anext(bench.pieces(response))
        await bench.close(response)
        await bench.close(response)
        await bench.serves(f"closing a response after {pieces} of its pieces")


@rules(
    "scallion: Response.close(); a body that is not sent on is not waited for", needs=["streaming"]
)
async def closing_does_not_wait_for_the_body(bench: Bench) -> None:
    """Closing half way does not wait until the server has made the rest."""
    gate = bench.reference.gate()
    response = await bench.open(path="/steps", gate=gate)
    await anext(bench.pieces(response))
    await bench.close(response)
    holds(not gate.late, "closing waited until the server had made the rest")
    gate.open()
    await bench.serves("closing a response that the server was still making")


@rules("scallion: request bodies; an error of the body's is the caller's")
async def failing_uploads_are_raised(bench: Bench) -> None:
    """What the request's own body raises comes out as it is, and the transport serves on."""

    class Mine(Exception):
        pass

    async def fail() -> None:
        raise Mine("the file is gone")

    try:
        response = await bench.open("POST", content=bench.iterator(b"one", fail))
        await bench.read(response)
    except Mine:
        pass
    except Exception as error:
        raise AssertionError(f"the body's own error became {error!r}") from error
    else:
        raise AssertionError("the body's own error was swallowed")
    await bench.serves("an upload that failed")
