"""TLS over channels of every colour, TLS within TLS included; real servers, real handshakes."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from typing import Any

import pytest
import trio
import trustme

from scallion.pipeline.errors import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    WriteError,
)
from scallion.pipeline.runtime import run
from scallion.transports.network import blocking_network
from scallion.transports.network.base import Network
from support.channels import (
    BIG,
    LONG,
    SHORT,
    Handler,
    Loop,
    Servers,
    cancelled,
    echo,
    read_exactly,
    reset_when_spoken_to,
    until_closed,
)


@pytest.fixture(scope="session")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1", "inner.test").configure_cert(context)
    context.set_alpn_protocols(["http/1.1"])
    return context


@pytest.fixture(scope="session")
def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_alpn_protocols(["http/1.1"])
    return context


def wrapped(context: ssl.SSLContext, handler: Handler) -> Handler:
    """A handler over TLS; the client may break off the handshake."""

    def handle(connection: socket.socket) -> None:
        try:
            secure = context.wrap_socket(connection, server_side=True)
        except OSError:
            return
        with secure:
            handler(secure)

    return handle


def test_tls_carries_bytes(
    play: Loop, serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    16 MB there and back through TLS; the negotiated protocol is known; the goodbye is sent.
    """
    ends = []

    def handle(connection: socket.socket) -> None:
        left = BIG
        parts = []
        while left:
            parts.append(connection.recv(min(left, 262_144)))
            left -= len(parts[-1])
        connection.sendall(b"".join(parts))
        ends.append(connection.recv(1))

    address = serve(wrapped(server_context, handle))
    payload = bytes(range(256)) * (BIG // 256)

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client_context, "localhost", LONG)
        assert "http/1.1" == channel.info("ssl_object").selected_alpn_protocol()
        assert address == channel.info("server_addr")
        await channel.write(payload, LONG)
        assert payload == await read_exactly(channel, BIG)
        await play.settle()
        assert channel.stale() is False
        assert channel.info("is_readable") is False
        with pytest.raises(ReadTimeout):
            await channel.read(1, SHORT)
        await channel.aclose()
        await channel.aclose()

    play(scenario)
    serve.close()
    # Not a ragged end, which would be an SSLEOFError in the handler.
    assert [b""] == ends


def test_session_tickets_do_not_make_a_connection_stale(
    play: Loop, serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    A TLS 1.3 server sends tickets after the handshake; they are nobody's answer.
    """
    shaken = threading.Event()

    def handle(connection: socket.socket) -> None:
        shaken.set()
        echo(connection)

    address = serve(wrapped(server_context, handle))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client_context, "localhost", LONG)
        assert "TLSv1.3" == channel.info("ssl_object").version()
        assert shaken.wait(LONG)
        await play.settle()
        assert plain.stale() is True
        assert channel.stale() is False
        assert 5 == await channel.write_or_answer(b"hello", LONG)
        assert b"hello" == await read_exactly(channel, 5)
        channel.close()

    play(scenario)


def test_tls_tells_of_an_early_answer(
    play: Loop, serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    An encrypted answer stops an encrypted upload, session tickets do not.
    """
    done = threading.Event()

    def refuse(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"413 too large")
        done.wait(LONG)

    address = serve(wrapped(server_context, refuse))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client_context, "localhost", LONG)
        assert 0 <= await channel.write_or_answer(bytes(BIG), LONG) < BIG
        assert channel.answered() is True
        assert b"413" == await channel.read(3, LONG)
        assert b" too large" == await read_exactly(channel, 10)
        channel.close()
        done.set()

    play(scenario)


def test_what_is_decrypted_and_unread_is_an_answer(
    play: Loop, serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    Half of a record was read; the other half stops an upload, and is read next.
    """
    address = serve(wrapped(server_context, lambda secure: secure.sendall(secure.recv(10))))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client_context, "localhost", LONG)
        await channel.write(b"abcdef", LONG)
        assert b"abc" == await channel.read(3, LONG)
        assert channel.stale() is True
        assert channel.answered() is True
        assert 0 == await channel.write_or_answer(b"x", LONG)
        assert b"def" == await channel.read(3, LONG)
        assert b"" == await channel.read(3, LONG)
        channel.close()

    play(scenario)


@pytest.mark.parametrize("end", ["close", "ragged", "speak"])
def test_tls_stale(
    play: Loop,
    serve: Servers,
    server_context: ssl.SSLContext,
    client_context: ssl.SSLContext,
    end: str,
) -> None:
    """
    An idle encrypted connection is stale after a goodbye, a mere end, or bytes unasked for.
    """
    go, gone, done = threading.Event(), threading.Event(), threading.Event()

    def handle(connection: socket.socket) -> None:
        connection.sendall(connection.recv(10))
        assert go.wait(LONG)
        if end == "close":
            connection.setblocking(False)
            with pytest.raises(ssl.SSLWantReadError):
                connection.unwrap()  # type: ignore[attr-defined]
        elif end == "ragged":
            connection.close()
        else:
            connection.sendall(b"unasked")
        gone.set()
        done.wait(LONG)

    address = serve(wrapped(server_context, handle))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client_context, "localhost", LONG)
        await channel.write(b"hello", LONG)
        assert b"hello" == await read_exactly(channel, 5)
        await play.settle()
        assert channel.stale() is False
        go.set()
        assert gone.wait(LONG)
        await play.settle()
        assert channel.stale() is True
        assert channel.stale() is True
        if end == "speak":
            assert b"unasked" == await read_exactly(channel, 7)
        else:
            assert b"" == await channel.read(1, LONG)
            assert b"" == await channel.read(1, LONG)
        channel.close()
        done.set()

    play(scenario)


def test_an_unknown_authority_is_refused(
    play: Loop, serve: Servers, server_context: ssl.SSLContext
) -> None:
    """
    The error carries OpenSSL's reason, and the socket is closed.
    """
    address = serve(wrapped(server_context, until_closed))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        with pytest.raises(ConnectError, match=r"localhost .*certificate verify failed: .*issuer"):
            await plain.start_tls(ssl.create_default_context(), "localhost", LONG)
        assert plain.stale() is True

    play(scenario)


def test_the_wrong_host_is_refused(
    play: Loop, serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    A certificate for another name is no certificate.
    """
    address = serve(wrapped(server_context, until_closed))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        with pytest.raises(ConnectError, match=r"not valid for 'other\.test'"):
            await plain.start_tls(client_context, "other.test", LONG)

    play(scenario)


def test_a_context_that_checks_names_needs_one(
    play: Loop, serve: Servers, client_context: ssl.SSLContext
) -> None:
    """
    Without a server name the handshake is refused before it starts, and the socket is closed.
    """
    address = serve(until_closed)

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        with pytest.raises(ConnectError, match="server_hostname"):
            await plain.start_tls(client_context, None, LONG)
        assert plain.stale() is True

    play(scenario)


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ConnectError, "wrong version number"),
        (b"", ConnectError, "EOF"),
        (None, ConnectTimeout, "longer than 0.02 s"),
    ],
)
def test_a_server_that_speaks_no_tls(
    play: Loop,
    serve: Servers,
    client_context: ssl.SSLContext,
    answer: bytes | None,
    error: type[Exception],
    reason: str,
) -> None:
    """
    Plain text, an end, or silence instead of a handshake.
    """

    def handle(connection: socket.socket) -> None:
        if answer is None:
            until_closed(connection)
        else:
            connection.recv(1000)
            connection.sendall(answer)

    address = serve(handle)

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        timeout = SHORT if answer is None else LONG
        with pytest.raises(error, match=reason):
            await plain.start_tls(client_context, "localhost", timeout)

    play(scenario)


def test_the_peer_resets_in_the_handshake(
    play: Loop, serve: Servers, client_context: ssl.SSLContext
) -> None:
    """
    The error is one of connecting, and tells the system's reason.
    """
    address = serve(reset_when_spoken_to)

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        with pytest.raises(ConnectError, match=r"TLS with localhost failed: .*Connection reset"):
            await plain.start_tls(client_context, "localhost", LONG)

    play(scenario)


def test_a_forged_record_is_an_error(
    play: Loop, serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    What came before it is good; it is an error, again and again.
    """

    def forge(secure: socket.socket) -> None:
        secure.sendall(b"good")
        socket.socket.send(secure, b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(ssl.SSLError, match="bad record mac"):
            secure.recv(1)

    address = serve(wrapped(server_context, forge))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client_context, "localhost", LONG)
        assert b"good" == await read_exactly(channel, 4)
        for _ in range(2):
            with pytest.raises(ReadError, match="decryption failed"):
                await channel.read(100, LONG)
        assert channel.stale() is True
        await channel.aclose()

    play(scenario)


def test_a_closed_tls_channel_refuses_everything(
    play: Loop, serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    Our errors, and none of OpenSSL's.
    """
    address = serve(wrapped(server_context, until_closed))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client_context, "localhost", LONG)
        channel.close()
        channel.close()
        await channel.aclose()
        with pytest.raises(ReadError):
            await channel.read(1, LONG)
        with pytest.raises(WriteError):
            await channel.write(b"x", LONG)
        with pytest.raises(WriteError):
            await channel.write_or_answer(b"x", LONG)
        assert channel.stale() is True

    play(scenario)


def test_reading_answers_what_openssl_is_asked(
    play: Loop, serve: Servers, authority: trustme.CA
) -> None:
    """
    A server asks for the client's certificate long after the handshake: reading sends it.
    """
    server, client = (
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        ssl.create_default_context(),
    )
    authority.issue_cert("localhost").configure_cert(server)
    authority.issue_cert("client").configure_cert(client)
    authority.configure_trust(server)
    authority.configure_trust(client)
    client.post_handshake_auth = True
    server.verify_mode = ssl.CERT_REQUIRED
    server.post_handshake_auth = True

    def ask(secure: Any) -> None:
        secure.verify_client_post_handshake()
        secure.sendall(b"who?")
        secure.recv(2)
        secure.sendall(secure.getpeercert()["subjectAltName"][0][1].encode())

    address = serve(wrapped(server, ask))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client, "localhost", LONG)
        assert b"who?" == await read_exactly(channel, 4)
        await channel.write(b"me", LONG)
        assert b"client" == await read_exactly(channel, 6)
        await channel.aclose()

    play(scenario)


def test_a_cancelled_handshake_closes_the_socket(
    play_async: Loop, serve: Servers, client_context: ssl.SSLContext
) -> None:
    """
    Cancelled in the middle, the handshake leaves no socket behind.
    """
    address = serve(until_closed)

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        await cancelled(play_async, lambda: plain.start_tls(client_context, "localhost", LONG))
        assert plain.stale() is True

    play_async(scenario)


def test_closing_in_a_cancelled_scope(
    serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    An orderly close that may not wait still releases the socket.
    """
    address = serve(wrapped(server_context, until_closed))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client_context, "localhost", LONG)
        with trio.CancelScope() as scope:
            scope.cancel()
            await channel.aclose()
        assert plain.stale() is True
        assert -1 == plain.info("socket").fileno()

    Loop("trio")(scenario)


def test_one_thread_reads_tls_while_another_writes(
    serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    Two threads may share an encrypted connection, one for each direction.
    """
    address = serve(wrapped(server_context, echo))
    plain = run(blocking_network().connect_tcp(*address, LONG))
    channel = run(plain.start_tls(client_context, "localhost", LONG))
    payload = bytes(range(256)) * 16_384
    writer = threading.Thread(target=lambda: run(channel.write(payload, LONG)))
    writer.start()

    assert payload == run(read_exactly(channel, len(payload)))
    writer.join(LONG)
    run(channel.aclose())


def relayed(outer: ssl.SSLContext, inner: Handler) -> Handler:
    """A proxy: TLS to it, and what comes through it is handled by `inner`."""

    def handle(connection: socket.socket) -> None:
        with outer.wrap_socket(connection, server_side=True) as secure:
            secure.settimeout(LONG)
            near, far = socket.socketpair()
            far.settimeout(LONG)
            thread = threading.Thread(target=lambda: inner(far))
            thread.start()
            secure.setblocking(False)
            near.setblocking(False)
            _pump(secure, near)
            near.close()
            thread.join(LONG)
            far.close()

    return handle


def _pump(secure: ssl.SSLSocket, near: socket.socket) -> None:
    """Carry bytes both ways in one thread, since one TLS connection bears no two."""
    waiting: dict[Any, bytes] = {secure: b"", near: b""}
    while True:
        # Backlogs wait for room; a small nap of the kernel's is enough for a test.
        select.select([s for s in (secure, near) if not waiting[s]], [], [], 0.001)
        for source, target in ((secure, near), (near, secure)):
            if not waiting[target]:
                try:
                    waiting[target] = source.recv(65536)
                except (ssl.SSLWantReadError, BlockingIOError):
                    continue
                except OSError:
                    return
                if not waiting[target]:
                    return
            try:
                waiting[target] = waiting[target][target.send(waiting[target]) :]
            except (ssl.SSLWantWriteError, BlockingIOError):
                continue
            except OSError:
                return


def test_tls_within_tls(
    play: Loop, serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    Through an HTTPS proxy: TLS to it, and TLS through it; closing ends both.
    """
    address = serve(relayed(server_context, wrapped(server_context, echo)))
    payload = bytes(range(256)) * 1024

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        outer = await plain.start_tls(client_context, "localhost", LONG)
        channel = await outer.start_tls(client_context, "inner.test", LONG)
        assert "inner.test" == channel.info("ssl_object").server_hostname
        await channel.write(payload, LONG)
        assert payload == await read_exactly(channel, len(payload))
        assert 5 == await channel.write_or_answer(b"hello", LONG)
        assert b"hello" == await read_exactly(channel, 5)
        await play.settle()
        assert channel.stale() is False
        await channel.aclose()
        assert plain.stale() is True

    play(scenario)


def test_tls_reads_into_the_readers_memory(
    play: Loop, serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    Many records, and a part of one; what one way of reading leaves is the other's.
    """
    payload = bytes(range(256)) * 1200

    def handle(connection: socket.socket) -> None:
        connection.sendall(payload)
        connection.recv(1)

    address = serve(wrapped(server_context, handle))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client_context, "localhost", LONG)
        room = bytearray(len(payload))
        with memoryview(room) as view:
            assert 10 == await channel.read_into(view[:10], LONG)
            assert channel.answered() is True
            assert 90_000 == await channel.read_into(view[10:90_010], LONG, 90_000)
            part = await channel.read(20, LONG)
            begun = 90_010 + len(part)
            room[90_010:begun] = part
            rest = view[begun:]
            assert len(rest) == await channel.read_into(rest, LONG, len(rest))
            assert payload == room
            await channel.write(b".", LONG)
            assert 0 == await channel.read_into(view, LONG, 5)
            assert b"" == await channel.read(5, LONG)
            channel.close()
            with pytest.raises(ReadError):
                await channel.read_into(view, LONG)

    play(scenario)


def test_a_goodbye_that_comes_with_the_last_bytes(
    play: Loop, serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    It is the end, though the server leaves the socket open.
    """
    done = threading.Event()

    def handle(connection: Any) -> None:
        connection.recv(10)
        connection.sendall(b"bye")
        connection.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            connection.unwrap()
        done.wait(LONG)

    address = serve(wrapped(server_context, handle))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client_context, "localhost", LONG)
        await channel.write(b"hello", LONG)
        await play.settle()
        assert b"bye" == await read_exactly(channel, 3)
        assert b"" == await channel.read(1, LONG)
        assert b"" == await channel.read(1, LONG)
        assert channel.stale() is True
        channel.close()
        done.set()

    play(scenario)


def test_a_forged_record_after_a_good_one(
    play: Loop, serve: Servers, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    Read into memory, the good one arrives, and then there is an error.
    """

    def forge(secure: socket.socket) -> None:
        secure.sendall(b"good")
        socket.socket.send(secure, b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(ssl.SSLError, match="bad record mac"):
            secure.recv(1)

    address = serve(wrapped(server_context, forge))

    async def scenario(network: Network) -> None:
        plain = await network.connect_tcp(*address, LONG)
        channel = await plain.start_tls(client_context, "localhost", LONG)
        room = bytearray(100)
        assert 4 == await channel.read_into(memoryview(room), LONG, 4)
        assert b"good" == room[:4]
        for _ in range(2):
            with pytest.raises(ReadError, match="decryption failed"):
                await channel.read_into(memoryview(room), LONG, 4)
        assert channel.answered() is True
        await channel.aclose()

    play(scenario)
