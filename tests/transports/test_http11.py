"""HTTP/1.1 exchanges against servers that play by a script, in each colour."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from scallion.pipeline.errors import (
    LocalProtocolError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    StreamClosed,
    TotalTimeout,
    TransportError,
    WriteError,
    WriteTimeout,
)
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime
from scallion.pipeline.streams import AsyncByteStream, SyncByteStream
from scallion.transports.http11 import HTTP11Connection
from support.colours import Drive
from support.servers import (
    Peer,
    ScriptedServer,
    Step,
    close,
    drip,
    expect,
    expect_bytes,
    half_close,
    pause,
    reset,
    respond,
    send,
)
from support.wire import Wire, request

BIG = 8 * 1024 * 1024
SHORT = 0.02


class Pieces(SyncByteStream, AsyncByteStream):
    """A body in pieces, for each colour; counts how many were asked for."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self.asked = 0
        self._error = error
        self._pieces = iter(pieces)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.asked += 1
            yield piece
        if self._error is not None:
            raise self._error

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._iterator = iter(self)
        return self

    async def __anext__(self) -> bytes:
        for piece in self._iterator:
            return piece
        raise StopAsyncIteration


CHUNKED = {"Host": "x", "Transfer-Encoding": "chunked"}


def counted(size: int) -> dict[str, str]:
    return {"Host": "x", "Content-Length": str(size)}


async def is_whole(wire: Wire) -> None:
    """No slot is lost."""
    assert wire.pool.startswith("<Pool 0 active,"), wire.pool
    assert " 0 waiting" in wire.pool


# Keep-alive.


def test_connections_are_used_again(drive: Drive) -> None:
    """
    Bodies that come with the head, after it, in chunks, or not at all leave the connection usable.
    """
    served = [
        [expect(), respond()],
        [expect(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"o", b"k")],
        [
            expect(),
            send(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2",
                b"\r\nok\r\n0\r\n",
                b"\r\n",
            ),
        ],
        [expect(), respond(b"")],
        [expect(), send(b"HTTP/1.1 204 No Content\r\n\r\n")],
    ]
    with ScriptedServer([step for steps in served for step in steps]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                bodies = [await wire.get(server.url) for _ in served]
                assert [b"ok", b"ok", b"ok", b"", b""] == bodies
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
        assert 1 == len(server.connections)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
)
def test_connections_that_are_not_used_again(drive: Drive, answer: bytes) -> None:
    """
    The server wants to close, speaks HTTP/1.0, says too much, or frames in two ways: the client closes.
    """
    with ScriptedServer([expect(), send(answer)], repeat=True) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                assert b"ok" == await wire.get(server.url)
                await wire.gone(server, 0)
                assert b"ok" == await wire.get(server.url)
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
        assert 2 == len(server.connections)


def test_a_body_until_the_end_of_the_stream(drive: Drive) -> None:
    with ScriptedServer(
        [expect(), send(b"HTTP/1.1 200 OK\r\n\r\n", b"to the", b" end"), close]
    ) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                assert b"to the end" == await wire.get(server.url)
                await is_whole(wire)

        drive(scenario)


def test_head_has_no_body(drive: Drive) -> None:
    """
    The length that a HEAD's answer announces is not waited for, and the connection is used again.
    """
    head = send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    with ScriptedServer([expect(), head, expect(), respond()]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.open("HEAD", server.url)
                assert b"" == await wire.read(response)
                assert "1000" == response.headers["content-length"]
                assert b"ok" == await wire.get(server.url)

        drive(scenario)


def test_what_a_response_tells(drive: Drive) -> None:
    """
    Version, reason, headers as they were spelt, and trailers once the body has been read.
    """
    answer = (
        b"HTTP/1.1 200 Fine\r\nX-One: 1\r\nx-one: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nok\r\n0\r\nX-Sum: 9\r\n\r\n"
    )
    with ScriptedServer([expect(), send(answer[:-4], answer[-4:])]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.open("GET", server.url)
                assert b"ok" == await wire.read(response)
                assert b"HTTP/1.1" == response.extensions["http_version"]
                assert b"Fine" == response.extensions["reason_phrase"]
                assert [(b"X-One", b"1"), (b"x-one", b"2")] == response.headers.raw[:2]
                assert "9" == response.extensions["trailers"]["x-sum"]
                stream = response.extensions["network_stream"]
                assert server.address == stream.get_extra_info("server_addr")

        drive(scenario)


def test_the_target_extension(drive: Drive) -> None:
    """
    The request target can be given as it is; what is none is refused by our error.
    """
    with ScriptedServer([expect(), respond()], [], []) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                await wire.get(server.url, extensions={"target": b"*"})
                for bad in (b"/a b", "/ü", b"/\r\n"):
                    with pytest.raises(LocalProtocolError, match="target"):
                        await wire.get(server.url, extensions={"target": bad})
                await is_whole(wire)

        drive(scenario)
        assert server.connections[0].received.startswith(b"GET * HTTP/1.1\r\n")
        assert all(not peer.received for peer in server.connections[1:])


def test_a_method_that_is_none(drive: Drive) -> None:
    """
    A layer may set anything; what is no token is our error.
    """
    with ScriptedServer([]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                sent = request("GET", server.url)
                sent.method = "GÉT"
                with pytest.raises(LocalProtocolError, match="method"):
                    await wire.send(sent)
                await is_whole(wire)

        drive(scenario)


# Stale connections.


@pytest.mark.parametrize("end", [close, reset, half_close, send(b"HTTP/1.1 408 Late\r\n\r\n")])
def test_a_connection_that_died_while_idle_is_not_used(drive: Drive, end: Step) -> None:
    """
    The server closed, reset, or spoke unasked: even a POST goes out on a new connection.
    """
    go, gone = threading.Event(), threading.Event()
    first = [expect(), respond(), pause(go), end, lambda peer: gone.set()]
    with ScriptedServer(first, [expect(), respond(b"again")]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                await wire.get(server.url)
                go.set()
                assert gone.wait(5)
                await notice(drive)
                assert b"again" == await wire.read(await wire.open("POST", server.url))
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


async def notice(drive: Drive) -> None:
    """Let the loop see what the kernel has."""
    if not drive.blocking:
        import anyio.lowlevel

        for _ in range(8):
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("told", ["observers", "progress"])
@pytest.mark.parametrize("end", [close, reset])
def test_a_get_is_sent_again_when_the_server_closed_meanwhile(
    drive: Drive, end: Step, told: str
) -> None:
    """
    The server closes as the request arrives: it goes out once more, on a new connection. Who listens hears of it.
    """
    with ScriptedServer(
        [expect(), respond(), expect(), end], [expect(), respond(b"again")]
    ) as server:
        noted: list[str] = []

        async def scenario() -> None:
            async with Wire(drive) as wire:
                await wire.get(server.url)
                sent = request("GET", server.url)
                listener = lambda name, fields: noted.append(name)  # noqa: E731
                setattr(sent, told, (listener,) if told == "observers" else listener)
                assert b"again" == await wire.read(await wire.send(sent))
                await is_whole(wire)

        drive(scenario)
        assert 2 == len(server.connections)
        assert ["connection.reused", "connection.stale", "connection.opened"] == noted


def test_it_is_sent_again_once_only(drive: Drive) -> None:
    """
    If the new connection fails too, that is the error.
    """
    with ScriptedServer([expect(), respond(), expect(), close], [expect(), close]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                await wire.get(server.url)
                with pytest.raises(RemoteProtocolError, match="Server disconnected"):
                    await wire.get(server.url)
                await is_whole(wire)

        drive(scenario)
        assert 2 == len(server.connections)


def test_the_second_try_uses_no_other_idle_connection(drive: Drive) -> None:
    """
    Others that were idle may have died the same death.
    """
    both = threading.Barrier(2)
    first = [expect(), lambda peer: both.wait(5), respond(), Peer.receive, close]
    with ScriptedServer(first, first, [expect(), respond(b"new")]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                one, two = await together(drive, wire, server.url)
                assert b"ok" == one == two
                assert b"new" == await wire.get(server.url)

        drive(scenario)


async def together(drive: Drive, wire: Wire, url: str) -> list[bytes]:
    """Two GETs at the same time."""
    results: list[bytes] = []
    if drive.blocking:
        from scallion.pipeline.runtime import run

        threads = [
            threading.Thread(target=lambda: results.append(run(wire.get(url)))) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    import anyio

    async def get() -> None:
        results.append(await wire.get(url))

    async with anyio.create_task_group() as group:
        group.start_soon(get)
        group.start_soon(get)
    return results


@pytest.mark.parametrize(
    ("method", "settings", "why"),
    [
        ("POST", {}, "not idempotent"),
        ("PUT", {"stream": True}, "cannot be sent twice"),
    ],
)
def test_what_must_not_be_sent_twice_is_not(
    drive: Drive, method: str, settings: dict[str, Any], why: str
) -> None:
    """
    The error says that it was not sent again, and why.
    """
    with ScriptedServer([expect(), respond(), expect(), close]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                await wire.get(server.url)
                sent = request(method, server.url)
                if settings:
                    sent = request(method, server.url, stream=Pieces(b"x"), headers=counted(1))
                with pytest.raises(TransportError) as caught:
                    await wire.send(sent)
                assert why in "".join(caught.value.__notes__)
                await is_whole(wire)

        drive(scenario)
        assert 1 == len(server.connections)


def test_an_answer_that_breaks_off_is_not_asked_for_again(drive: Drive) -> None:
    """
    Once a byte of the response has arrived, the server has seen the request.
    """
    broken = send(b"HTTP/1.1 200 OK\r\nConte")
    with ScriptedServer([expect(), respond(), expect(), broken, close]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                await wire.get(server.url)
                with pytest.raises(RemoteProtocolError):
                    await wire.get(server.url)

        drive(scenario)


# Uploads.


@pytest.mark.parametrize("headers", [CHUNKED, counted(BIG)], ids=["chunked", "counted"])
def test_uploads_in_pieces(drive: Drive, headers: dict[str, str]) -> None:
    """
    Large and small pieces arrive whole and in order.
    """
    whole = bytes(range(256)) * (BIG // 256)
    bodies: list[bytes] = []

    def store(peer: Peer) -> None:
        from support.servers import read_request

        received = read_request(peer, 0)
        assert received is not None
        bodies.append(received.body)

    with ScriptedServer([store, respond(), expect(), respond(b"next")]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                pieces = Pieces(whole[:10], b"", whole[10:70_000], whole[70_000:])
                sent = request("POST", server.url, stream=pieces, headers=headers)
                assert b"ok" == await wire.read(await wire.send(sent))
                assert b"next" == await wire.get(server.url)

        drive(scenario)
        assert [whole] == bodies


@pytest.mark.parametrize("size", [65_536, 65_537, BIG])
def test_uploads_of_bytes(drive: Drive, size: int) -> None:
    """
    Bytes that are all here arrive whole, in one write or in several.
    """
    with ScriptedServer([expect(), expect_bytes(size), respond()]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.open("POST", server.url, content=b"x" * size)
                assert b"ok" == await wire.read(response)

        drive(scenario)
        assert server.connections[0].received.endswith(b"\r\n\r\n" + b"x" * size)


@pytest.mark.parametrize("pieces", [[b"123"], [b"123456"]], ids=["short", "long"])
def test_a_stream_must_be_as_long_as_announced(drive: Drive, pieces: list[bytes]) -> None:
    with ScriptedServer([]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                sent = request("POST", server.url, stream=Pieces(*pieces), headers=counted(5))
                with pytest.raises(LocalProtocolError, match="Content-Length"):
                    await wire.send(sent)
                await is_whole(wire)
                await wire.gone(server, 0)

        drive(scenario)


class Mine(Exception):
    pass


@pytest.mark.parametrize("error", [Mine(), WriteError("of another client"), ReadTimeout("same")])
def test_an_error_of_the_stream_is_the_error(drive: Drive, error: Exception) -> None:
    """
    What the program's own stream raises comes out as it is, at once, and the connection is closed.
    """
    with ScriptedServer([]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                stream = Pieces(b"x", error=error)
                with pytest.raises(type(error)) as caught:
                    await wire.open("POST", server.url, stream=stream, headers=CHUNKED)
                assert error is caught.value
                await is_whole(wire)
                await wire.gone(server, 0)

        drive(scenario)


@pytest.mark.parametrize("small", [True, False])
def test_an_early_answer_ends_an_upload(drive: Drive, small: bool) -> None:
    """
    The server answers 413 and reads no more: the answer is returned, and the connection is not used again.
    """
    refuse = respond(b"too large", b"413 Content Too Large")
    with ScriptedServer([expect(), refuse], [expect(), respond()]) as server:
        stream = Pieces(*[bytes(8192 if small else 4 * BIG)] * 10_000)

        async def scenario() -> None:
            async with Wire(drive) as wire:
                sent = request("POST", server.url, stream=stream, headers=CHUNKED)
                response = await wire.send(sent)
                assert 413 == response.status_code
                assert b"too large" == await wire.read(response)
                await is_whole(wire)
                assert b"ok" == await wire.get(server.url)

        drive(scenario)
        assert stream.asked < 10_000


def test_an_early_answer_to_the_last_piece(drive: Drive) -> None:
    """
    The last piece was only partly sent: what follows on this connection would be taken for its rest.
    """
    refuse = respond(b"no", b"403 Forbidden")
    read_on = threading.Event()
    with ScriptedServer([expect(), refuse, pause(read_on)], [expect(), respond()]) as server:
        # More than the kernel's buffers hold, so the server's answer finds the last piece half sent.
        size = 64 * 1024 * 1024
        head = size - 65_536

        async def scenario() -> None:
            async with Wire(drive) as wire:
                stream = Pieces(bytes(head), bytes(65_536))
                sent = request("POST", server.url, stream=stream, headers=counted(size))
                response = await wire.send(sent)
                assert b"no" == await wire.read(response)
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool
                read_on.set()
                assert b"ok" == await wire.get(server.url)

        drive(scenario)


def test_half_a_piece_accepted_is_no_finished_request(drive: Drive, runtime: Runtime) -> None:
    """
    All bytes were framed, some were sent, the answer is final: the connection is spoilt.
    """
    released: list[bool] = []

    class Owner:
        def release(self, connection: Any, *, reusable: bool) -> None:
            released.append(reusable)

        def abandon(self, connection: Any) -> None:
            raise AssertionError

    class Channel:
        def __init__(self, accepts: int) -> None:
            self.accepts = accepts

        async def write(self, data: bytes, timeout: float | None) -> None:
            pass

        async def write_or_answer(self, data: bytes, timeout: float | None) -> int:
            return self.accepts

        def answered(self) -> bool:
            return True

        async def read(self, size: int, timeout: float | None) -> bytes:
            return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

        def info(self, name: str) -> Any:
            return None

    async def scenario(accepts: int) -> int:
        connection = HTTP11Connection(Channel(accepts), runtime, "key", Owner())  # type: ignore[arg-type]
        sent = request("POST", "http://x/", stream=Pieces(b"12345"), headers=counted(5))
        return (await connection.exchange(sent)).status_code

    for accepts in (5, 3, 0, -1):
        assert 200 == drive(lambda accepts=accepts: scenario(accepts))  # type: ignore[misc]
        # A server may be quick; if the last piece was sent whole, the request was.
        assert (accepts == 5) is released.pop()


def test_an_unknown_amount_sent_and_no_answer(drive: Drive, runtime: Runtime) -> None:
    """
    If nobody knows how much was sent, an interim response cannot save the upload.
    """

    said = [b"HTTP/1.1 100 Continue\r\n\r\n", b""]

    class Channel:
        async def write(self, data: bytes, timeout: float | None) -> None:
            pass

        async def write_or_answer(self, data: bytes, timeout: float | None) -> int:
            return -1

        def answered(self) -> bool:
            return True

        async def read(self, size: int, timeout: float | None) -> bytes:
            return said.pop(0)

        def info(self, name: str) -> Any:
            return None

    async def scenario() -> None:
        connection = HTTP11Connection(Channel(), runtime, "key", None)  # type: ignore[arg-type]
        sent = request("POST", "http://x/", stream=Pieces(b"12345"), headers=counted(5))
        with pytest.raises(WriteError, match="how much of it arrived is unknown"):
            await connection.exchange(sent)

    drive(scenario)


@pytest.mark.parametrize("headers", [CHUNKED, counted(BIG)], ids=["chunked", "counted"])
@pytest.mark.parametrize("whole", [True, False])
def test_an_upload_goes_on_after_interim_responses(
    drive: Drive, headers: dict[str, str], whole: bool
) -> None:
    """
    100 and 103 in the midst of an upload, at its beginning and at its end: the final answer is the answer.
    """
    from support.servers import read_request

    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    bodies: list[int] = []

    def store(peer: Peer) -> None:
        send(early)(peer)
        # Half of it, then another one: the upload is in full swing.
        while len(peer.received) < BIG // 2:
            peer.receive()
        send(early[:9], early[9:])(peer)
        received = read_request(peer, 0)
        assert received is not None
        bodies.append(len(received.body))
        send(early)(peer)

    with ScriptedServer(
        [send(b"HTTP/1.1 100 Continue\r\n\r\n"), store, respond(), expect(), respond(b"next")]
    ) as server:
        pieces = [bytes(BIG)] if whole else [bytes(BIG // 512)] * 512

        async def scenario() -> None:
            async with Wire(drive) as wire:
                sent = request("POST", server.url, stream=Pieces(*pieces), headers=headers)
                assert b"ok" == await wire.read(await wire.send(sent))
                assert b"next" == await wire.get(server.url)

        drive(scenario)
        assert [BIG] == bodies


def test_an_answer_before_a_reset_is_returned(drive: Drive) -> None:
    """
    The server refuses and closes with the upload unread: its refusal says more than the broken pipe.
    """
    refuse = respond(b"no", b"403 Forbidden", b"Connection: close\r\n")
    with ScriptedServer([expect(), refuse, close]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.open("POST", server.url, content=bytes(4 * BIG))
                assert 403 == response.status_code
                assert b"no" == await wire.read(response)
                await is_whole(wire)

        drive(scenario)


def test_a_server_that_hangs_up_on_an_upload(drive: Drive) -> None:
    """
    No answer, only the end: an error of the network or of the protocol, and no slot is lost.
    """
    for end in (close, reset):
        with ScriptedServer([expect(), end]) as server:

            async def scenario(server: ScriptedServer = server) -> None:
                async with Wire(drive) as wire:
                    with pytest.raises((ReadError, WriteError, RemoteProtocolError)):
                        await wire.open("POST", server.url, content=bytes(4 * BIG))
                    await is_whole(wire)

            drive(scenario)


# Broken responses.


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", r"not HTTP/1\.1.*right port"),
        (b"\x15\x03\x01\x00\x02\x02\x46", r"not HTTP/1\.1.*TLS"),
        (b"", "Server disconnected without sending a response"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "peer unexpectedly closed"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "conflicting Content-Length",
        ),
    ],
)
def test_answers_that_are_none(drive: Drive, answer: bytes, message: str) -> None:
    """
    The error says what came and what may be wrong.
    """
    with ScriptedServer([expect(), send(answer), close]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                with pytest.raises(RemoteProtocolError, match=message):
                    await wire.get(server.url)
                await is_whole(wire)

        drive(scenario)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n",
    ],
    ids=["counted", "chunked"],
)
@pytest.mark.parametrize("end", [close, reset])
def test_a_body_that_breaks_off(drive: Drive, head: bytes, end: Step) -> None:
    """
    What came is handed on, then comes the error; the slot is free and the transport works.
    """
    go = threading.Event()
    with ScriptedServer(
        [expect(), send(head, b"some"), pause(go), end], [expect(), respond()]
    ) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.open("GET", server.url)
                assert "<Pool 1 active, 0 idle, 0 waiting of 100>" == wire.pool
                go.set()
                with pytest.raises((ReadError, RemoteProtocolError)):
                    await wire.read(response)
                await is_whole(wire)
                assert b"ok" == await wire.get(server.url)

        drive(scenario)


def test_a_body_is_not_complete_because_it_failed(drive: Drive) -> None:
    """
    After an error or an early close, the stream is closed; it does not pretend to have ended.
    """
    half = send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"some")
    with ScriptedServer([expect(), half, close], [expect(), half]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                broken = await wire.open("GET", server.url)
                await drain(drive, broken, RemoteProtocolError)
                await drain(drive, broken, StreamClosed)
                unread = await wire.open("GET", server.url)
                await wire.close(unread)
                await drain(drive, unread, StreamClosed)

        drive(scenario)


async def drain(drive: Drive, response: Response, error: type[Exception]) -> None:
    async def read() -> None:
        if drive.blocking:
            for _ in response.stream:  # type: ignore[union-attr]
                pass
        else:
            async for _ in response.stream:  # type: ignore[union-attr]
                pass

    with pytest.raises(error):
        await read()


# Closing early.


def test_a_response_closed_early_closes_its_connection(drive: Drive) -> None:
    """
    A large rest is not read; the slot is free at once.
    """
    head = send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", b"some")
    with ScriptedServer([expect(), head], [expect(), respond()]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.open("GET", server.url)
                await wire.close(response)
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool
                await wire.gone(server, 0)
                await wire.close(response)
                assert b"ok" == await wire.get(server.url)

        drive(scenario)


def test_a_small_rest_is_read_to_save_the_connection(drive: Drive) -> None:
    """
    What is nearly here costs less than a new connection.
    """
    go = threading.Event()
    first = [
        expect(),
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
        pause(go),
        send(b"ok"),
    ]
    with ScriptedServer([*first, expect(), respond(b"next")]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.open("GET", server.url)
                go.set()
                await wire.close(response)
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool
                assert b"next" == await wire.get(server.url)

        drive(scenario)


def test_a_small_rest_that_does_not_come(drive: Drive) -> None:
    """
    Saving a connection has its limit, too.
    """
    with ScriptedServer(
        [expect(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")]
    ) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.open("GET", server.url)
                began = time.monotonic()
                await wire.close(response)
                assert time.monotonic() - began < 1
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


# Time.


def test_the_read_timeout(drive: Drive) -> None:
    """
    No head, or no body, within the limit.
    """
    half = send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", b"x")
    with ScriptedServer([expect()], [expect(), half]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                limit = {"read": SHORT}
                with pytest.raises(ReadTimeout, match=r"within 0\.02 s"):
                    await wire.get(server.url, timeout=limit)
                response = await wire.open("GET", server.url, timeout=limit)
                with pytest.raises(ReadTimeout):
                    await wire.read(response)
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool
                await wire.gone(server)

        drive(scenario)


def test_the_write_timeout(drive: Drive) -> None:
    """
    The server reads nothing, in one piece and in several.
    """
    done = threading.Event()
    with ScriptedServer([pause(done)], [pause(done)]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                for content in (bytes(8 * BIG), Pieces(*[bytes(60_000)] * 2000)):
                    how = (
                        {"content": content}
                        if isinstance(content, bytes)
                        else {"stream": content, "headers": CHUNKED}
                    )
                    with pytest.raises(WriteTimeout, match=r"within 0\.02 s"):
                        await wire.open("POST", server.url, timeout={"write": SHORT}, **how)
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool
            done.set()

        drive(scenario)


def test_a_dripping_body_ends_with_the_deadline(drive: Drive, runtime: Runtime) -> None:
    """
    Each byte comes in time, the body does not: the deadline of the call bounds it.
    """
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    with ScriptedServer([expect(), send(head), drip(b"x" * 100_000, 0.002)]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                began = runtime.clock()
                response = await wire.open("GET", server.url, deadline=began + 0.05)
                with pytest.raises(TotalTimeout, match="reading the response's body"):
                    await wire.read(response)
                assert runtime.clock() - began < 1
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


def test_a_dripping_head_ends_with_the_deadline(drive: Drive, runtime: Runtime) -> None:
    head = b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 10_000
    with ScriptedServer([expect(), drip(head, 0.002)]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                deadline = runtime.clock() + 0.05
                with pytest.raises(TotalTimeout, match="waiting for the response"):
                    await wire.get(server.url, deadline=deadline)

        drive(scenario)


@pytest.mark.parametrize("limit", [None, 60.0, 0.07])
def test_the_deadline_is_told_from_the_read_timeout(
    drive: Drive, runtime: Runtime, limit: float | None
) -> None:
    """
    Whichever ends the wait gives the error, again and again: loops that wake up early change nothing.
    """
    causes: list[BaseException | None] = []
    with ScriptedServer([expect()], repeat=True) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                for _ in range(5):
                    with pytest.raises(TotalTimeout) as caught:
                        await wire.get(
                            server.url,
                            timeout={"read": limit},
                            deadline=runtime.clock() + 0.0507,
                        )
                    causes.append(caught.value.__cause__)
                # A machine that is busy elsewhere may not always come to reading in that time.
                assert any(isinstance(cause, ReadTimeout) for cause in causes)

        drive(scenario)


def test_a_deadline_that_has_passed(drive: Drive, runtime: Runtime) -> None:
    """
    Nothing is sent any more.
    """
    with ScriptedServer([expect(), respond()]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                await wire.get(server.url)
                with pytest.raises(TotalTimeout, match="sending the request"):
                    await wire.get(server.url, deadline=runtime.clock() - 1)
                await is_whole(wire)

        drive(scenario)
        assert 1 == server.connections[0].received.count(b"GET")


def test_the_deadline_of_an_upload(drive: Drive, runtime: Runtime) -> None:
    done = threading.Event()
    with ScriptedServer([pause(done)]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                stream = Pieces(*[bytes(60_000)] * 2000)
                with pytest.raises(TotalTimeout, match="sending the body"):
                    await wire.open(
                        "POST",
                        server.url,
                        stream=stream,
                        headers=CHUNKED,
                        deadline=runtime.clock() + 0.05,
                    )
            done.set()

        drive(scenario)


# Other protocols.


@pytest.mark.parametrize("at_once", [True, False])
def test_switching_protocols(drive: Drive, at_once: bool) -> None:
    """
    After 101 the connection's bytes are the caller's, both ways; those that came with the head first.
    """
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: upgrade\r\n\r\n"
    hello = send(head + b"hel", b"lo") if at_once else send(head, b"hello")
    with ScriptedServer([expect(), hello, expect(b"bye"), send(b"BYE")]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                headers = {"Host": "x", "Connection": "upgrade", "Upgrade": "chat"}
                response = await wire.open("GET", server.url, headers=headers)
                assert 101 == response.status_code
                stream = response.extensions["network_stream"]
                if at_once:
                    assert stream.get_extra_info("is_readable") is True
                assert b"hello" == await receive(drive, stream, 5)
                if drive.blocking:
                    stream.write(b"bye")
                else:
                    await stream.write(b"bye")
                assert b"BYE" == await receive(drive, stream, 3)
                assert "<Pool 1 active, 0 idle, 0 waiting of 100>" == wire.pool
                await wire.close(response)
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool
                await wire.gone(server, 0)

        drive(scenario)


async def receive(drive: Drive, stream: Any, size: int) -> bytes:
    """So many bytes, at most two at a time."""
    data = b""
    while len(data) < size:
        data += stream.read(2, 5.0) if drive.blocking else await stream.read(2, 5.0)
    return data


def test_connect_by_hand(drive: Drive) -> None:
    """
    After 2xx to CONNECT the stream is the tunnel.
    """
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    with ScriptedServer([expect(), send(answer)]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.open("CONNECT", server.url, extensions={"target": "x:443"})
                stream = response.extensions["network_stream"]
                assert b"hello" == await receive(drive, stream, 5)
                if drive.blocking:
                    stream.close()
                else:
                    await stream.aclose()
                await wire.close(response)
                await is_whole(wire)

        drive(scenario)
        assert server.connections[0].received.startswith(b"CONNECT x:443 HTTP/1.1\r\n")
