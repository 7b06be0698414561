"""The connection's bytes as a user gets them: `response.extensions["network_stream"]`."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
import trustme

from scallion.pipeline.errors import ConnectError, ReadError, WriteError
from support.colours import Drive
from support.servers import Peer, ScriptedServer, close, expect, send
from support.wire import Wire

SWITCHED = b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
ASKING = {"Connection": "upgrade", "Upgrade": "x"}


async def done(result: Any) -> Any:
    """What a method of either colour returns."""
    return await result if hasattr(result, "__await__") else result


async def switched(wire: Wire, url: str) -> Any:
    response = await wire.open("GET", url, headers=ASKING)
    assert 101 == response.status_code
    return response


def test_what_came_early_is_read_first(drive: Drive) -> None:
    """
    Bytes behind the head are not lost, and count as readable.
    """
    with ScriptedServer([expect(), send(SWITCHED + b"early"), close]) as server:

        async def scenario() -> list[Any]:
            async with Wire(drive) as wire:
                # The response owns the connection, and closes it when it is forgotten.
                response = await switched(wire, server.url)
                stream = response.extensions["network_stream"]
                found = [stream.get_extra_info("is_readable")]
                found += [await done(stream.read(size)) for size in (3, 9)]
                return [*found, await done(stream.read(9))]

        assert [True, b"ear", b"ly", b""] == drive(scenario)


def test_a_closed_stream_says_so(drive: Drive) -> None:
    """
    Reading and writing fail; asking about it does not.
    """
    with ScriptedServer([expect(), send(SWITCHED)]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                # The response owns the connection, and closes it when it is forgotten.
                response = await switched(wire, server.url)
                stream = response.extensions["network_stream"]
                assert server.address == stream.get_extra_info("server_addr")
                assert str(server.port) in repr(stream)
                await done(stream.close() if drive.blocking else stream.aclose())
                with pytest.raises(ReadError):
                    await done(stream.read(1))
                with pytest.raises(WriteError):
                    await done(stream.write(b"x"))
                stream.get_extra_info("server_addr")

        drive(scenario)


def test_tls_is_laid_over_it(
    drive: Drive, authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    """
    As after STARTTLS: what `start_tls` returns is encrypted, and checked for the name.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)

    def encrypted(peer: Peer) -> None:
        peer.sock = context.wrap_socket(peer.sock, server_side=True)

    with ScriptedServer(
        [expect(), send(SWITCHED), encrypted, expect(b"ping"), send(b"pong")]
    ) as server:

        async def scenario() -> bytes:
            async with Wire(drive) as wire:
                # The response owns the connection, and closes it when it is forgotten.
                response = await switched(wire, server.url)
                stream = response.extensions["network_stream"]
                stream = await done(stream.start_tls(client_context, "localhost", 5.0))
                assert stream.get_extra_info("ssl_object").version().startswith("TLS")
                await done(stream.write(b"ping"))
                answer: bytes = await done(stream.read(9))
                await done(stream.close() if drive.blocking else stream.aclose())
                return answer

        assert b"pong" == drive(scenario)


def test_words_before_the_handshake_are_refused(
    drive: Drive, client_context: ssl.SSLContext
) -> None:
    """
    Sent in the clear by anybody on the way, they would pass for the server's.
    """
    with ScriptedServer([expect(), send(SWITCHED + b"injected")]) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                # The response owns the connection, and closes it when it is forgotten.
                response = await switched(wire, server.url)
                stream = response.extensions["network_stream"]
                with pytest.raises(ConnectError, match="spoke before the TLS handshake"):
                    await done(stream.start_tls(client_context, "localhost"))

        drive(scenario)
