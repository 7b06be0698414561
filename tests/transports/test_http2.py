"""HTTP/2: one exchange and many on one connection, against a server on loopback, in three colours."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest
from h2.errors import ErrorCodes
from h2.events import SettingsAcknowledged, StreamEnded
from h2.settings import SettingCodes
from hyperframe.frame import DataFrame, HeadersFrame, WindowUpdateFrame

from scallion.pipeline.errors import (
    LocalProtocolError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    TotalTimeout,
    WriteTimeout,
)
from scallion.pipeline.response import Response
from scallion.pipeline.settings import Limits
from scallion.pipeline.streams import AsyncByteStream, SyncByteStream
from scallion.transports.http2_streams import Stream
from support.colours import Drive
from support.http2_server import Call, HTTP2Server, Session
from support.together import together
from support.wire import Wire, request

MEGA = 1024 * 1024
STREAMS = SettingCodes.MAX_CONCURRENT_STREAMS
WINDOW = SettingCodes.INITIAL_WINDOW_SIZE


def knowing(drive: Drive, **settings: Any) -> Wire:
    """A transport that speaks HTTP/2 over cleartext."""
    return Wire(drive, http1=False, http2=True, **settings)


class Pieces(SyncByteStream, AsyncByteStream):
    """A body in pieces, sent once."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = iter(pieces)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


class Body:
    """Iterates a response in either colour, one piece at a time."""

    def __init__(self, drive: Drive, response: Response) -> None:
        self._blocking = drive.blocking
        self._iterator: Any = response.iter_raw() if drive.blocking else response.aiter_raw()

    async def piece(self) -> bytes:
        piece: bytes
        if self._blocking:
            piece = next(self._iterator, b"")
        else:
            piece = await anext(self._iterator, b"")
        return piece


def open_ended(session: Session, call: Call) -> None:
    """Answers whose bodies do not end by themselves, and others."""
    if call.path == "/hold":
        session.respond(call, b"some", end=False)
    else:
        session.respond(call, b"ok")


# One exchange.


def test_a_request_and_its_response(drive: Drive) -> None:
    """
    Pseudo-header fields come from the request, the status and the fields from the response.
    """

    def answer(session: Session, call: Call) -> None:
        session.respond(
            call, b"body", 404, [("x-one", "1"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
        )

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                response = await wire.open("PUT", server.url + "/p?q=1", content=b"hello")
                assert b"body" == await wire.read(response)
                assert (404, "HTTP/2", "Not Found") == (
                    response.status_code,
                    response.http_version,
                    response.reason_phrase,
                )
                assert 1 == response.extensions["stream_id"]
                assert response.extensions["network_stream"].get_extra_info("server_addr") == (
                    server.address
                )
                assert ["a=1", "b=2"] == response.headers.get_list("set-cookie")
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
    call = server.calls[0]
    assert b"hello" == call.body
    assert [
        (":method", "PUT"),
        (":authority", f"127.0.0.1:{server.port}"),
        (":scheme", "http"),
        (":path", "/p?q=1"),
        ("content-length", "5"),
    ] == call.headers


def test_what_belongs_to_http11_is_not_sent(drive: Drive) -> None:
    """
    Fields about HTTP/1.1's connections are dropped, names become lower case, Host becomes :authority.
    """
    headers = {
        "Host": "other.test",
        "Connection": "keep-alive, X-Gone",
        "Keep-Alive": "5",
        "Proxy-Connection": "close",
        "Transfer-Encoding": "chunked",
        "Upgrade": "h2c",
        "TE": "trailers",
        "X-Gone": "1",
        "X-Kept": "Kept",
        "Authorization": "Bearer x",
    }
    with HTTP2Server() as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                await wire.get(server.url, headers=headers)

        drive(scenario)
    assert "other.test" == server.calls[0].get(":authority")
    assert [
        ("te", "trailers"),
        ("x-kept", "Kept"),
        ("authorization", "Bearer x"),
    ] == server.calls[0].headers[4:]


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-Bad", "a\r\nsecret"), ("X-Bad", "secret "), ("Content-Length", "secret")],
)
def test_a_header_that_http_does_not_allow(drive: Drive, name: str, value: str) -> None:
    """
    It is refused by name, its value is not repeated, and the connection is not harmed.
    """
    with HTTP2Server() as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                await wire.get(server.url)
                with pytest.raises(LocalProtocolError, match=name.lower()) as caught:
                    await wire.get(server.url, headers=[(name.encode(), value.encode())])
                assert "secret" not in str(caught.value)
                assert b"ok" == await wire.get(server.url)
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
    assert 1 == len(server.connections)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_responses_without_a_body(drive: Drive, method: str, status: int) -> None:
    """
    Their Content-Length announces nothing that would come.
    """

    def answer(session: Session, call: Call) -> None:
        session.respond(call, b"", status, [("content-length", "5")])

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                response = await wire.open(method, server.url)
                assert b"" == await wire.read(response)
                assert status == response.status_code

        drive(scenario)


def test_interim_responses_are_skipped_and_trailers_kept(drive: Drive) -> None:
    """
    103 is not the answer; the fields after the body lie in an extension of their own.
    """

    def answer(session: Session, call: Call) -> None:
        session.codec.send_headers(call.stream, [(":status", "103"), ("link", "</x>")])
        session.respond(call, b"body", trailers=[("x-sum", "9")])

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                response = await wire.open("GET", server.url)
                assert (200, b"body") == (response.status_code, await wire.read(response))
                assert [("x-sum", "9")] == response.extensions["trailers"].multi_items()
                assert "link" not in response.headers

        drive(scenario)


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "8"}])
def test_a_body_in_pieces(drive: Drive, headers: dict[str, str]) -> None:
    """
    A stream is sent as it comes, announced or not; an empty one ends the request.
    """
    with HTTP2Server() as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                body = Pieces(b"two ", b"", b"bits")
                sent = request("POST", server.url, headers=headers, stream=body)
                assert b"ok" == await wire.read(await wire.send(sent))
                await wire.read(await wire.send(request("POST", server.url, stream=Pieces())))

        drive(scenario)
    assert [b"two bits", b""] == [bytes(call.body) for call in server.calls]


@pytest.mark.parametrize(
    ("announced", "what"), [(3, "3 bytes, and 4 came"), (9, "9 bytes, and only 4 came")]
)
def test_a_body_that_does_not_fit_its_length(drive: Drive, announced: int, what: str) -> None:
    """
    The mistake is told, the stream reset, and the connection goes on.
    """
    with HTTP2Server() as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                await wire.get(server.url)
                headers = {"Content-Length": str(announced)}
                sent = request("POST", server.url, headers=headers, stream=Pieces(b"four"))
                with pytest.raises(LocalProtocolError, match=what):
                    await wire.send(sent)
                server.until("reset", 3, ErrorCodes.CANCEL)
                assert b"ok" == await wire.get(server.url)

        drive(scenario)
    assert 1 == len(server.connections)


# Flow control.


def test_five_megabytes_up_and_down_at_once(drive: Drive) -> None:
    """
    An echo while the upload lasts: the response begins before the request has ended, and neither side gets stuck.
    """
    sent = bytes(range(256)) * (5 * MEGA // 256)

    def answer(session: Session, call: Call) -> None:
        session.respond(call, end=False)
        session.echo.add(call.stream)

    with HTTP2Server(answer, early=True) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                response = await wire.open("POST", server.url, content=sent)
                assert sent == await wire.read(response)
                pieces = [sent[at : at + 100_000] for at in range(0, len(sent), 100_000)]
                again = request("POST", server.url, stream=Pieces(*pieces))
                assert sent == await wire.read(await wire.send(again))
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
    # Credit is given in large steps.
    assert server.count("window") < 40


def test_uploads_and_downloads_of_several_streams(drive: Drive) -> None:
    """
    Large bodies in both directions, at once, on one connection.
    """

    def answer(session: Session, call: Call) -> None:
        session.respond(call, b"d" * 5 * MEGA if call.path == "/down" else b"%d" % len(call.body))

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:

                async def down() -> int:
                    return len(await wire.get(server.url + "/down"))

                async def up() -> int:
                    response = await wire.open("POST", server.url + "/up", content=b"u" * 5 * MEGA)
                    return int(await wire.read(response))

                assert [5 * MEGA] * 4 == await together(drive, down, up, up, down)

        drive(scenario)
    assert 1 == len(server.connections)


def test_an_upload_waits_for_credit(drive: Drive) -> None:
    """
    Without it the upload runs into the write timeout, by itself; then its stream is reset.
    The server's settings, which came meanwhile, show that the connection lives.
    """

    def greet(session: Session) -> None:
        session.generous = False

    with HTTP2Server(greet=greet) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                sent = request("POST", server.url, content=b"x" * 70_000, timeout={"write": 0.25})
                with pytest.raises(WriteTimeout, match=r"within 0\.25 s"):
                    await wire.send(sent)
                server.until("reset", 1, ErrorCodes.CANCEL)
                assert b"ok" == await wire.get(server.url)

        drive(scenario)
    assert 65_535 == len(server.calls[0].body)
    assert 1 == len(server.connections)


def test_a_window_that_shrinks_and_grows(drive: Drive) -> None:
    """
    SETTINGS in the midst of an upload are acknowledged and honoured, below zero too.
    """

    def shrink(session: Session, call: Call) -> None:
        session.generous = False
        session.codec.update_settings({WINDOW: 10})

    def hear(session: Session, event: object) -> None:
        # The first acknowledgement is of what was said in the beginning.
        call = session.calls.get(1)
        if isinstance(event, SettingsAcknowledged) and server.count("acknowledged") == 2:
            session.generous = True
            session.codec.update_settings({WINDOW: 200_000})
            session.codec.increment_flow_control_window(65_535)
        elif isinstance(event, StreamEnded) and call is not None:
            session.respond(call, b"up")

    with HTTP2Server(shrink, early=True, hear=hear) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                response = await wire.open("POST", server.url, content=b"x" * 150_000)
                assert b"up" == await wire.read(response)

        drive(scenario)
    assert 150_000 == len(server.calls[0].body)
    assert 3 == server.count("acknowledged")


def test_a_slow_reader_holds_up_nobody_else(drive: Drive) -> None:
    """
    Who does not read gets no more than a stream's window, and the others their whole bodies.
    """

    def answer(session: Session, call: Call) -> None:
        session.respond(call, b"d" * (3 * MEGA if call.path == "/slow" else 4 * MEGA))

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                slow = await wire.open("GET", server.url + "/slow")
                for _ in range(5):
                    assert 4 * MEGA == len(await wire.get(server.url + "/fast"))
                held = sum(len(piece) for piece, _ in slow.stream.stream.pieces)  # type: ignore[union-attr]
                assert 0 < held <= MEGA
                await wire.close(slow)
                server.until("reset", 1, ErrorCodes.CANCEL)
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
    assert 1 == len(server.connections)


# The end of one stream.


def test_a_reset_stream_among_many(drive: Drive) -> None:
    """
    One exchange fails by the code's name; the others do not notice.
    """
    waiting: list[Call] = []

    def answer(session: Session, call: Call) -> None:
        waiting.append(call)
        if len(waiting) == 20:
            for each in waiting:
                if each.path == "/7":
                    session.codec.reset_stream(each.stream, ErrorCodes.ENHANCE_YOUR_CALM)
                else:
                    session.respond(each, each.path.encode())

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                results = await together(
                    drive, *[lambda path=f"/{n}": wire.get(server.url + path) for n in range(20)]
                )
                lost = results.pop(7)
                assert isinstance(lost, RemoteProtocolError)
                assert "ENHANCE_YOUR_CALM" in str(lost)
                assert [b"/%d" % n for n in range(20) if n != 7] == results
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
    assert 1 == len(server.connections)


def test_a_stream_reset_in_its_body(drive: Drive) -> None:
    """
    What came before is delivered, then comes the error.
    """

    def answer(session: Session, call: Call) -> None:
        session.respond(call, b"some", end=False)
        session.codec.reset_stream(call.stream, ErrorCodes.INTERNAL_ERROR)

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                body = Body(drive, await wire.open("GET", server.url))
                assert b"some" == await body.piece()
                with pytest.raises(RemoteProtocolError, match="INTERNAL_ERROR"):
                    await body.piece()
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


def test_a_response_closed_early(drive: Drive) -> None:
    """
    Its stream is reset, what still arrives for it is credited, and the connection is as good as before.
    """

    def answer(session: Session, call: Call) -> None:
        session.respond(call, b"d" * 2 * MEGA if call.path == "/large" else b"ok")

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                for number in range(20):
                    response = await wire.open("GET", server.url + "/large")
                    await wire.close(response)
                    server.until("reset", 2 * number + 1, ErrorCodes.CANCEL)
                assert b"ok" == await wire.get(server.url)

        drive(scenario)
    assert 1 == len(server.connections)


def test_a_stream_is_reset_once(drive: Drive) -> None:
    """
    What the server sends on it until it has read that is ignored (RFC 9113 section 5.1), whatever it is: servers close
    connections on which resets pour in.
    """
    late = b"".join(
        frame.serialize()
        for frame in (
            *[DataFrame(1, b"d" * 1000) for _ in range(50)],
            WindowUpdateFrame(1, window_increment=10),
            HeadersFrame(1, b"\x0f\x0d\x01\x31", flags=["END_HEADERS", "END_STREAM"]),
        )
    )

    def answer(session: Session, call: Call) -> None:
        if call.path == "/late":
            session.raw(late)
        open_ended(session, call)

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                await wire.close(await wire.open("GET", server.url + "/hold"))
                assert b"ok" == await wire.get(server.url + "/late")
                assert b"ok" == await wire.get(server.url)

        drive(scenario)
    assert 1 == server.count("reset")


def test_a_reset_stream_counts_until_the_server_has_seen_it(drive: Drive) -> None:
    """
    It takes a place until the PING after it is answered; while nobody reads there is room for one all the same.
    """
    with HTTP2Server(open_ended, settings={STREAMS: 3}) as server:

        async def scenario() -> None:
            async with knowing(drive, limits=Limits(max_connections=1)) as wire:
                held = [await wire.open("GET", server.url + "/hold") for _ in range(3)]
                (connection,) = wire.transport._core.pool._active
                for response in held[:2]:
                    await wire.close(response)
                assert (2, 2) == (connection._lingering, connection.room)
                assert b"ok" == await wire.get(server.url)
                # Its answer was read, and the PINGs' before it.
                while connection._lingering:
                    assert b"ok" == await wire.get(server.url)
                assert 3 == connection.room
                await wire.close(held[2])

        drive(scenario)
    assert 1 == len(server.connections)


def test_a_response_that_nobody_closes(drive: Drive) -> None:
    """
    The finaliser gives its place back; the next request resets its stream.
    """

    def answer(session: Session, call: Call) -> None:
        session.respond(
            call, b"d" * 100 if call.path == "/open" else b"ok", end=call.path != "/open"
        )

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                await wire.open("GET", server.url + "/open")
                assert b"ok" == await wire.get(server.url)
                server.until("reset", 1, ErrorCodes.CANCEL)
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
    assert 1 == len(server.connections)


@pytest.mark.parametrize(("status", "end"), [(413, True), (413, False), (200, True)])
def test_an_answer_before_the_upload_has_ended(drive: Drive, status: int, end: bool) -> None:
    """
    A complete answer, or one that is no success, ends the upload.
    """

    def answer(session: Session, call: Call) -> None:
        session.generous = False
        session.respond(call, b"enough", status, end=end)

    with HTTP2Server(answer, early=True) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                response = await wire.open("POST", server.url, content=b"x" * MEGA)
                assert status == response.status_code
                assert b"enough" == await Body(drive, response).piece()
                await wire.close(response)
                server.until("reset", 1, ErrorCodes.CANCEL)
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
    assert len(server.calls[0].body) <= 65_535


def test_a_generator_that_is_not_asked_to_its_end(drive: Drive) -> None:
    """
    It is ended when the answer makes the rest superfluous, and not by the garbage collector.
    """
    ended: list[str] = []

    def generator() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 10_000
        finally:
            ended.append("sync")

    async def async_generator() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 10_000
        finally:
            ended.append("async")

    def answer(session: Session, call: Call) -> None:
        session.generous = False
        session.respond(call, b"enough", 413)

    with HTTP2Server(answer, early=True) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                content: Any = generator() if drive.blocking else async_generator()
                response = await wire.open("POST", server.url, content=content)
                assert 1 == len(ended)
                assert b"enough" == await wire.read(response)

        drive(scenario)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ([(":status", "abc")], ":status"),
        ([(":status", "200"), ("X-Capital", "1")], "X-Capital"),
        ([(":status", "200"), ("connection", "close")], "connection"),
        ([(":status", "200"), ("x-bad", "a\r\nsecret")], "x-bad"),
        ([(":status", "200"), ("content-length", "9")], "0 bytes of 9"),
    ],
)
def test_a_malformed_response_costs_its_stream_only(
    drive: Drive, fields: list[tuple[str, str]], what: str
) -> None:
    """
    RFC 9113 section 8.1.1: it is a stream error.
    """

    def answer(session: Session, call: Call) -> None:
        if call.path == "/bad":
            session.codec.config.validate_outbound_headers = False
            session.codec.config.normalize_outbound_headers = False
            session.codec.send_headers(call.stream, fields, end_stream=True)
        else:
            session.respond(call, b"ok")

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                await wire.get(server.url)
                with pytest.raises(RemoteProtocolError, match=what) as caught:
                    await wire.get(server.url + "/bad")
                assert "secret" not in str(caught.value)
                assert b"ok" == await wire.get(server.url)

        drive(scenario)
    assert 1 == len(server.connections)


def test_a_body_longer_than_announced(drive: Drive) -> None:
    """
    It is a stream error, too.
    """

    def answer(session: Session, call: Call) -> None:
        session.respond(call, b"too long", headers=[("content-length", "3")], end=False)

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                with pytest.raises(RemoteProtocolError, match="Content-Length"):
                    await wire.get(server.url)
                server.until("reset", 1, ErrorCodes.PROTOCOL_ERROR)
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


def test_a_head_that_is_too_large(drive: Drive) -> None:
    """
    Beyond 100 KB of fields the connection is given up, as the compression's state is.
    """

    def answer(session: Session, call: Call) -> None:
        session.respond(call, headers=[(f"x-{n}", "v" * 1000) for n in range(110)])

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                with pytest.raises(RemoteProtocolError, match=r"[Oo]versized"):
                    await wire.get(server.url)
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


def test_endless_interim_responses(drive: Drive) -> None:
    """
    A hundred are enough.
    """

    def answer(session: Session, call: Call) -> None:
        for _ in range(101):
            session.codec.send_headers(call.stream, [(":status", "103")])

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                with pytest.raises(RemoteProtocolError, match="100 interim"):
                    await wire.get(server.url)
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


# Time.


def test_a_read_timeout_harms_its_own_stream_only(drive: Drive) -> None:
    """
    Leader or follower: who waits too long leaves, and the others get their answers. A ping shows that the connection lives.
    """

    def answer(session: Session, call: Call) -> None:
        if call.path == "/never":
            session.codec.ping(b"12345678")
        elif call.path == "/go":
            session.respond(call, b"go")
            for each in session.calls.values():
                if each.path == "/late":
                    session.respond(each, b"late")

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:

                async def never() -> bytes:
                    return await wire.get(server.url + "/never", timeout={"read": 0.25})

                async def late() -> bytes:
                    return await wire.get(server.url + "/late")

                async def go() -> bytes:
                    # Once both that wait in vain have left.
                    while server.count("reset") < 2:
                        await drive.runtime().sleep(0.005)
                    return await wire.get(server.url + "/go")

                results = await together(drive, never, late, never, late, go)
                assert [ReadTimeout, bytes, ReadTimeout, bytes, bytes] == [
                    type(result) for result in results
                ]
                assert [b"late", b"late", b"go"] == results[1::2] + results[4:]
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
    assert 1 == len(server.connections)


def test_the_deadline_of_the_call(drive: Drive) -> None:
    """
    It bounds the wait for the head and for the body.
    """

    def answer(session: Session, call: Call) -> None:
        if call.path == "/body":
            session.respond(call, b"some", end=False)

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            runtime = drive.runtime()
            async with knowing(drive) as wire:
                with pytest.raises(TotalTimeout):
                    await wire.get(server.url, deadline=runtime.clock() + 0.05)
                response = await wire.open(
                    "GET", server.url + "/body", deadline=runtime.clock() + 0.1
                )
                with pytest.raises(TotalTimeout):
                    await wire.read(response)
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


# The connection's end.


def test_a_lost_connection_fails_all_streams(drive: Drive) -> None:
    """
    Each gets an error of its own, and the pool forgets the connection.
    """

    def answer(session: Session, call: Call) -> None:
        if len(session.calls) == 5:
            session.hang_up()

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:

                async def post() -> bytes:
                    return await wire.read(await wire.open("POST", server.url))

                results = await together(drive, *[post] * 5)
                assert {RemoteProtocolError} == {type(result) for result in results}
                assert 5 == len({id(result) for result in results})
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


def test_rules_broken_by_the_server(drive: Drive) -> None:
    """
    Bytes that are no frames end the connection; the server is told why.
    """

    def answer(session: Session, call: Call) -> None:
        if call.path != "/bad":
            session.respond(call, b"ok")
            return
        session.raw(b"\x00\x00\x05\x00\x00\x00\x00\x00\x00hello")

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                # What is said in the beginning is over with the first answers.
                await wire.get(server.url)
                await wire.get(server.url)
                with pytest.raises(RemoteProtocolError, match="broke HTTP/2's rules"):
                    await wire.get(server.url + "/bad")
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
        server.until("goaway", ErrorCodes.PROTOCOL_ERROR)


@pytest.mark.parametrize("path", ["/bad", "/last"])
def test_a_frame_that_is_too_large(drive: Drive, path: str) -> None:
    """
    Its header is enough: nobody waits for what it announces. What came before it is delivered.
    """

    def answer(session: Session, call: Call) -> None:
        if call.path == "/bad":
            session.raw(b"\xff" * 50)
            return
        session.respond(call, b"ok")
        if call.path == "/last":
            # In one write with the response.
            session.codec._data_to_send += b"\x00\x40\x01"

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                await wire.get(server.url)
                if path == "/bad":
                    with pytest.raises(RemoteProtocolError, match="16384 are allowed"):
                        await wire.get(server.url + path)
                else:
                    assert b"ok" == await wire.get(server.url + path)
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool
                assert b"ok" == await wire.get(server.url)

        drive(scenario)
        server.until("goaway", ErrorCodes.FRAME_SIZE_ERROR)
    assert 2 == len(server.connections)


def test_a_server_that_speaks_http11(drive: Drive) -> None:
    """
    Prior knowledge that was wrong is told as such, not waited out.
    """

    def greet(session: Session) -> None:
        session.peer.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        session.peer.receive()
        session.peer.sock.close()
        raise EOFError

    with HTTP2Server(greet=greet) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                with pytest.raises((RemoteProtocolError, ReadError)):
                    await wire.get(server.url)

        drive(scenario)
        while not server.errors:
            threading.Event().wait(0.005)
        server.errors.clear()


def test_closing_ends_what_is_under_way(drive: Drive) -> None:
    """
    The transport's close says goodbye, and whoever still reads gets an error.
    """

    def answer(session: Session, call: Call) -> None:
        session.respond(call, b"some", end=False)

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            wire = knowing(drive)
            response = await wire.open("GET", server.url)
            await wire.aclose()
            with pytest.raises(ReadError):
                await wire.read(response)
            assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
        server.until("goaway", ErrorCodes.NO_ERROR)


def test_pings_are_answered(drive: Drive) -> None:
    """
    Also those that came while nobody was reading.
    """

    def answer(session: Session, call: Call) -> None:
        session.respond(call, b"ok")
        session.codec.ping(b"12345678")

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                await wire.get(server.url)
                await wire.get(server.url)
                server.until("pong", b"12345678")

        drive(scenario)
    assert 1 == len(server.connections)


# Many at once.


def test_a_hundred_requests_on_one_connection(drive: Drive) -> None:
    """
    All are under way at the same time; each gets its own answer.
    """
    number = 20 if drive.blocking else 100

    def answer(session: Session, call: Call) -> None:
        if sum(each.ended for each in session.calls.values()) == number:
            for each in reversed(session.calls.values()):
                session.respond(each, each.path.encode() * 1000, headers=[("x", each.path)])

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                results = await together(
                    drive,
                    *[lambda path=f"/{n}": wire.get(server.url + path) for n in range(number)],
                )
                assert [b"/%d" % n * 1000 for n in range(number)] == results
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
    assert 1 == len(server.connections)


# While a body is sent slowly.


class Slow(Pieces):
    """A body whose second piece waits for a signal; what is taken from it is counted."""

    def __init__(self, drive: Drive, wait: Callable[[], object], pieces: int = 2) -> None:
        super().__init__(*[b"piece"] * pieces)
        self.blocking = drive.blocking
        self.wait = wait
        self.taken = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if self.taken:
                self.wait()
            self.taken += 1
            yield piece

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            if self.taken:
                await anyio.to_thread.run_sync(self.wait)
            self.taken += 1
            return piece
        raise StopAsyncIteration


def test_a_slow_upload_that_is_the_first_request_holds_up_nobody(drive: Drive) -> None:
    """
    The server's settings are read before the body is waited for: others share the connection meanwhile.
    """
    begun, answered = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert answered.wait(10)

    with HTTP2Server() as server:

        async def scenario() -> None:
            async with knowing(drive, limits=Limits(max_connections=1)) as wire:

                async def upload() -> bytes:
                    stream = Slow(drive, wait)
                    return await wire.read(await wire.open("POST", server.url, stream=stream))

                async def other() -> bytes:
                    if drive.blocking:
                        assert begun.wait(10)
                    else:
                        await anyio.to_thread.run_sync(begun.wait, 10)
                    try:
                        return await wire.get(server.url)
                    finally:
                        answered.set()

                assert [b"ok", b"ok"] == await together(drive, upload, other)

        drive(scenario)
    assert 1 == len(server.connections)


@pytest.mark.parametrize("ends", ["answer", "reset"])
def test_an_end_while_the_body_is_awaited_stops_it(drive: Drive, ends: str) -> None:
    """
    What the server says while the next piece is made is heard before that is sent, and no further one is asked for.
    """
    said = threading.Event()

    def end(session: Session, call: Call) -> None:
        if ends == "answer":
            session.respond(call, status=413)
        session.codec.reset_stream(call.stream, 0 if ends == "answer" else ErrorCodes.CANCEL)
        session.flush()
        said.set()

    with HTTP2Server(end, early=True) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                stream = Slow(drive, lambda: said.wait(10), pieces=100)
                if ends == "answer":
                    response = await wire.open("POST", server.url, stream=stream)
                    assert 413 == response.status_code
                    await wire.read(response)
                else:
                    with pytest.raises(RemoteProtocolError, match="CANCEL"):
                        await wire.open("POST", server.url, stream=stream)
                # The answer may have come with the server's settings.
                assert stream.taken <= 2
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


@pytest.mark.parametrize("fault", ["body before head", "trailers that do not end"])
def test_a_fault_of_one_stream_spares_the_others(drive: Drive, fault: str) -> None:
    """
    RFC 9113 section 8.1.1: a malformed response is its stream's error, while another one is waiting on the connection.
    """

    def answer(session: Session, call: Call) -> None:
        if call.path == "/bad":
            session.flush()
            head = HeadersFrame(call.stream, b"\x88", flags=["END_HEADERS"])
            frames = [DataFrame(call.stream, b"early")]
            if fault != "body before head":
                frames = [head, HeadersFrame(call.stream, b"\x88", flags=["END_HEADERS"])]
            session.raw(b"".join(frame.serialize() for frame in frames))
        else:
            session.respond(call, b"so", end=False)
            held.append((session, call))
        if len(session.calls) == 2:
            other = held[0]
            other[0].say(other[1].stream, b"me", end=True)

    held: list[tuple[Session, Call]] = []
    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive, limits=Limits(max_connections=1)) as wire:
                good = await wire.open("GET", server.url + "/good")
                with pytest.raises(RemoteProtocolError, match="broke HTTP/2's rules"):
                    await wire.get(server.url + "/bad")
                assert b"some" == await wire.read(good)
                assert "<Pool 0 active, 1 idle, 0 waiting of 1>" == wire.pool

        drive(scenario)
    assert 1 == len(server.connections)


def test_a_body_in_tiny_frames_takes_little_memory(drive: Drive) -> None:
    """
    What lies unread in frames of one byte is joined; it is read whole.
    """

    def answer(session: Session, call: Call) -> None:
        session.respond(call, end=False)
        session.flush()
        for start in range(0, 5000, 1000):
            session.raw(
                b"".join(DataFrame(call.stream, b"x").serialize() for _ in range(1000))
                if start < 4000
                else b"".join(DataFrame(call.stream, b"x").serialize() for _ in range(999))
                + DataFrame(call.stream, b"y", flags=["END_STREAM"]).serialize()
            )

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                response = await wire.open("GET", server.url)
                body = await wire.read(response)
                assert 5000 == len(body)
                assert body.endswith(b"xy")

        drive(scenario)


def test_tiny_pieces_are_joined() -> None:
    """
    A hundred bytes of bookkeeping for each byte would let a server fill the memory.
    """
    stream = Stream(1, 0, "GET")
    for _ in range(10_000):
        stream.keep(b"x", 1)
    assert 3 >= len(stream.pieces)
    assert (10_000, 10_000) == (
        sum(len(piece) for piece, _ in stream.pieces),
        sum(counts for _, counts in stream.pieces),
    )
