"""HTTP/2 servers that never stop to speak: who has what he waited for is kept by none of it."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import (
    DataFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    WindowUpdateFrame,
)

from scallion.pipeline.errors import ReadTimeout, RemoteProtocolError, WriteError, WriteTimeout
from scallion.pipeline.request import Request
from scallion.pipeline.runtime import BlockingRuntime, run
from scallion.transports.http2 import HTTP2Connection
from scallion.transports.http2_streams import Parting, Patience, Stream
from support.colours import Drive
from support.http2_server import Call, HTTP2Server, Session
from support.together import together
from support.wire import Wire

# Who is kept by a flood, is kept so long.
LIMIT = 15.0
MEGA = 1024 * 1024
PONG = PingFrame(0, b"in-flood", flags=["ACK"]).serialize()
CREDIT = WindowUpdateFrame(1, window_increment=1).serialize() * 20_000
# Some megabytes each, and sent as one piece.
FLOODS = {
    "data": DataFrame(1, b"d" * 1000).serialize() * 30_000,
    "credit": CREDIT * 100,
    "pings": (PingFrame(0, b"another.").serialize() * 100 + CREDIT) * 100,
}


def knowing(drive: Drive) -> Wire:
    """A transport that speaks HTTP/2 over cleartext."""
    return Wire(drive, http1=False, http2=True)


class Flood:
    """Says of stream 1 only how it begins; answers to the second call, and goes on with `frames` until it is over.

    Attributes:
        answer: What is said to the second call; by default `ok`.
        hears: Whether it goes on reading meanwhile.
        over: Ends it.
    """

    def __init__(self, frames: bytes, *, hears: bool, answer: bytes = b"") -> None:
        self.frames = frames
        self.hears = hears
        self.answer = answer
        self.over = threading.Event()

    def __call__(self, session: Session, call: Call) -> None:
        if call.stream == 1:
            session.respond(call, b"some", end=False)
            return
        session.codec.ping(b"in-flood")
        if not self.answer:
            session.respond(call, b"ok")
        # All in one piece: the answer arrives together with something to answer to, and with the flood, and the kernel
        # sends it by itself, however busy this process is.
        beginning = session.codec.data_to_send() + self.answer + self.frames
        session.peer.sock.settimeout(None)
        hearer = threading.Thread(target=self._hear, args=[session], daemon=True)
        if self.hears:
            hearer.start()
        with contextlib.suppress(OSError):
            session.peer.sock.sendall(beginning)
            while not self.over.is_set():
                session.peer.sock.sendall(self.frames)
        if self.hears:
            hearer.join()

    def _hear(self, session: Session) -> None:
        while session.peer.receive():
            pass


async def reset_one(drive: Drive, wire: Wire, url: str) -> None:
    """What comes on stream 1 from now on is for nobody."""
    await wire.close(await wire.open("GET", url))


@pytest.mark.parametrize("hears", [True, False])
@pytest.mark.parametrize("kind", FLOODS)
def test_who_is_answered_is_not_kept_by_what_follows(drive: Drive, kind: str, hears: bool) -> None:
    """
    Frames for an exchange that is over follow the answer without a pause, and the one who reads has something to write.
    """
    flood = Flood(FLOODS[kind], hears=hears)
    with HTTP2Server(flood) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                await reset_one(drive, wire, server.url)
                try:
                    assert b"ok" == await wire.get(server.url, timeout={"read": LIMIT})
                finally:
                    flood.over.set()

        drive(scenario)
        if hears:
            server.wait_until_gone(0)
            assert PONG in server.connections[0].received


def test_what_is_left_is_written_before_he_goes(drive: Drive) -> None:
    """
    The first of a thousand malformed heads ends the exchange; the server is told so in the midst of its flood.
    """
    block = b"\x88\x00\x0aconnection\x01x"
    malformed = len(block).to_bytes(3, "big") + b"\x01\x04\x00\x00\x00\x03" + block
    flood = Flood(CREDIT * 100, hears=True, answer=malformed * 1000)
    with HTTP2Server(flood) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                await reset_one(drive, wire, server.url)
                try:
                    with pytest.raises(RemoteProtocolError, match="belongs to HTTP"):
                        await wire.get(server.url, timeout={"read": LIMIT})
                finally:
                    flood.over.set()

        drive(scenario)
        server.wait_until_gone(0)
        assert PONG in server.connections[0].received
        reset = RstStreamFrame(3, ErrorCodes.PROTOCOL_ERROR).serialize()
        assert 1 == server.connections[0].received.count(reset)


def test_another_one_reads_on(drive: Drive) -> None:
    """
    Who read for both has his answer and goes; the other one reads through the rest of the flood.
    """
    asked = threading.Event()
    early: list[Call] = []
    flood = Flood(CREDIT * 10, hears=False)

    def answer(session: Session, call: Call) -> None:
        if call.path == "/early":
            early.append(call)
            asked.set()
        elif call.path == "/late":
            flood(session, early[0])
            session.respond(call, b"late")
        else:
            flood(session, call)

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async def leader() -> bytes:
                try:
                    return await wire.get(server.url + "/early", timeout={"read": LIMIT})
                finally:
                    flood.over.set()

            async def follower() -> bytes:
                while not asked.is_set():
                    await drive.runtime().sleep(0.005)
                return await wire.get(server.url + "/late", timeout={"read": LIMIT})

            async with knowing(drive) as wire:
                await reset_one(drive, wire, server.url)
                assert [b"ok", b"late"] == await together(drive, leader, follower)

        drive(scenario)
    assert 1 == len(server.connections)


def test_an_idle_connection_in_a_flood(drive: Drive) -> None:
    """
    Whoever begins an exchange takes in what has arrived, as much of it as a system keeps, and begins.
    """
    flood = Flood(FLOODS["credit"], hears=True)
    with HTTP2Server(flood) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                await reset_one(drive, wire, server.url)
                try:
                    assert b"ok" == await wire.get(server.url, timeout={"read": LIMIT})
                    with pytest.raises(ReadTimeout):
                        await wire.get(server.url, timeout={"read": 0.5})
                finally:
                    flood.over.set()

        drive(scenario)
        server.wait_until_gone(0)


def test_an_upload_that_is_answered_in_a_flood(drive: Drive) -> None:
    """
    The server has stopped to read, answers that it wants no more, and goes on: the answer is what the caller gets.
    """
    flood = Flood(FLOODS["credit"], hears=False)

    def answer(session: Session, call: Call) -> None:
        if call.stream == 3:
            session.codec.increment_flow_control_window(2**30)
            session.codec.increment_flow_control_window(2**30, call.stream)
            session.flush()
            # So long that the client fills what lies between.
            time.sleep(0.3)
            flood.answer = HeadersFrame(3, b"\x08\x03413", flags=["END_HEADERS"]).serialize()
        flood(session, call)

    with HTTP2Server(answer, early=True) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                await reset_one(drive, wire, server.url)
                try:
                    response = await wire.open(
                        "POST", server.url, content=b"x" * 32 * MEGA, timeout={"write": LIMIT}
                    )
                    assert 413 == response.status_code
                    await wire.close(response)
                finally:
                    flood.over.set()

        drive(scenario)


def test_answers_that_nobody_takes_are_counted(drive: Drive) -> None:
    """
    A server that asks and asks, and reads no answer, is left: what is to be sent to it would fill the memory.
    """

    def ask(session: Session, call: Call) -> None:
        session.flush()
        session.peer.sock.settimeout(None)
        with contextlib.suppress(OSError):
            while True:
                session.peer.sock.sendall(PingFrame(0, b"another.").serialize() * 100_000)

    with HTTP2Server(ask) as server:

        async def scenario() -> None:
            async with knowing(drive) as wire:
                with pytest.raises(RemoteProtocolError, match="faster than answers can leave"):
                    await wire.get(server.url, timeout={"read": LIMIT})
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


class Deaf:
    """A channel whose peer reads nothing."""

    def info(self, name: str) -> None: ...

    async def write(self, data: bytes, timeout: float | None) -> None:
        raise WriteTimeout("full")

    async def write_some(self, data: memoryview, timeout: float | None) -> int:
        raise WriteTimeout("full")


@pytest.mark.parametrize("answered", [True, False])
def test_whose_head_could_not_leave_hears_of_it(answered: bool) -> None:
    """
    Who goes from a server that does not read gives up writing for all; who has not his answer leaves that to others.
    """
    channel: Any = Deaf()
    owner: Any = None
    runtime = BlockingRuntime()
    link = HTTP2Connection(channel, runtime, "origin", owner)
    other = Stream(3, 0, "GET")
    link._unwritten.append(other)
    patience = Patience(ReadTimeout, 1.0, Request("GET", "http://a.test"), runtime, "waiting")
    parting = Parting(patience, lambda: answered, runtime)
    writing = link._to_the_end(link._flush(parting, listening=True), lambda: answered)
    if answered:
        run(writing)
        assert (WriteError, False) == (type(other.error), other.refused)
        assert (0, []) == (link.room, link._unwritten)
    else:
        with pytest.raises(ReadTimeout):
            run(writing)
        assert (None, [other]) == (other.error, link._unwritten)
