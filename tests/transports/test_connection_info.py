"""`response.extensions["connection"]`: protocol, addresses, TLS, reuse; over real connections, also when they are closed."""

from __future__ import annotations

import gc
import hashlib
import ssl
import weakref
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from scallion import TLS
from scallion.pipeline.settings import Limits, Proxy
from scallion.transports.connection_info import ConnectionInfo, named_address
from support import peers
from support.colours import Drive
from support.http2_server import Call, HTTP2Server, Session
from support.servers import HTTPServer, ProxyServer, ScriptedServer, close, expect, respond
from support.together import together
from support.wire import Wire


def server_tls(authority: trustme.CA, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1", organization_name="Tests").configure_cert(
        context
    )
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


async def fetched(wire: Wire, url: str, **settings: Any) -> ConnectionInfo:
    """What the response of a GET says of its connection, once it was read."""
    response = await wire.open("GET", url, **settings)
    await wire.read(response)
    info: ConnectionInfo = response.extensions["connection"]
    return info


def test_a_plain_connection(drive: Drive) -> None:
    """
    Its protocol and both its ends, as the server sees them; the second request finds it used.
    """
    with HTTPServer() as server:

        async def scenario() -> tuple[ConnectionInfo, ConnectionInfo]:
            async with Wire(drive) as wire:
                first, second = await fetched(wire, server.url), await fetched(wire, server.url)
                assert server.connections[0].sock.getpeername() == first.local
                return first, second

        first, second = drive(scenario)
        assert ["HTTP/1.1", "HTTP/1.1"] == [first.protocol, second.protocol]
        assert ("127.0.0.1", server.port) == first.peer == second.peer
        assert [(1, False), (2, True)] == [(each.exchange, each.reused) for each in (first, second)]
        assert (None, None, None) == (first.tls, first.proxy, first.stream_id)
        assert f"<Connection HTTP/1.1 to 127.0.0.1:{server.port}, exchange 2>" == repr(second)


def test_age_and_time_of_opening(drive: Drive) -> None:
    """
    Both tell of the connection, not of the request.
    """
    with HTTPServer() as server:

        async def scenario() -> None:
            before = datetime.now(UTC) - timedelta(seconds=1)
            async with Wire(drive) as wire:
                first, second = await fetched(wire, server.url), await fetched(wire, server.url)
            assert first.opened_at == second.opened_at
            assert before < first.opened_at < datetime.now(UTC) + timedelta(seconds=1)
            ages = [first.age, second.age, first.age]
            assert ages == sorted(ages)
            assert 0 < ages[0]

        drive(scenario)


def test_tls_over_http1(
    drive: Drive, authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    """
    Version, cipher and certificate; answered when the connection was closed, too.
    """
    with HTTPServer(tls=server_tls(authority)) as server:

        async def scenario() -> ConnectionInfo:
            async with Wire(drive, verify=client_context) as wire:
                return await fetched(wire, server.url)

        info = drive(scenario)
        gc.collect()
        tls = info.tls
        assert tls is not None
        assert ("TLSv1.3", None, "localhost") == (tls.version, tls.alpn, tls.server_name)
        assert str(tls.cipher).startswith("TLS_")
        assert ("127.0.0.1", server.port) == info.peer
        certificate = tls.certificate
        assert certificate is not None
        assert "O=Tests" in str(certificate.subject)
        assert "O=trustme" in str(certificate.issuer)
        assert ("localhost", "127.0.0.1") == certificate.names
        assert certificate.not_before is not None
        assert certificate.expires is not None
        assert certificate.not_before < datetime.now(UTC) < certificate.expires
        assert hashlib.sha256(certificate.der).hexdigest() == certificate.fingerprint
        assert "TLSv1.3" in repr(info)
        assert repr(certificate.der) not in repr(certificate)


def test_a_session_that_is_resumed(drive: Drive, authority: trustme.CA) -> None:
    """
    The second connection says so; it has the certificate all the same.
    """
    with HTTPServer(tls=server_tls(authority)) as server:

        async def scenario() -> list[Any]:
            # Sessions are kept with contexts that are the transport's own.
            async with Wire(drive, verify=TLS(ca=authority.cert_pem.bytes())) as wire:
                last = {"Connection": "close"}
                return [await fetched(wire, server.url, headers=last) for _ in range(2)]

        first, second = drive(scenario)
        assert first.local != second.local
        assert [False, True] == [first.tls.resumed, second.tls.resumed]
        assert first.tls.certificate == second.tls.certificate


def test_a_certificate_that_was_not_verified(drive: Drive, authority: trustme.CA) -> None:
    """
    What it says is not repeated; which one it is can be told.
    """
    with HTTPServer(tls=server_tls(authority)) as server:

        async def scenario() -> ConnectionInfo:
            async with Wire(drive, verify=False) as wire:
                return await fetched(wire, server.url)

        tls = drive(scenario).tls
        certificate = None if tls is None else tls.certificate
        assert certificate is not None
        assert (None, None, (), None) == (
            certificate.subject,
            certificate.issuer,
            certificate.names,
            certificate.expires,
        )
        assert 64 == len(certificate.fingerprint)


def test_http2_shares_a_connection(
    drive: Drive, authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    """
    Streams have their own numbers, the connection is the same one.
    """
    with HTTP2Server(tls=server_tls(authority, "h2")) as server:

        async def scenario() -> list[Any]:
            async with Wire(drive, http2=True, verify=client_context) as wire:
                found = [await fetched(wire, server.url)]
                found += await together(  # type: ignore[arg-type]
                    drive, *[lambda: fetched(wire, server.url)] * 4
                )
                return found

        found = drive(scenario)
        assert 1 == len(server.connections)
        assert {"HTTP/2"} == {info.protocol for info in found}
        assert {"h2"} == {info.tls.alpn for info in found}
        assert [1, 2, 3, 4, 5] == sorted(info.exchange for info in found)
        assert [1, 3, 5, 7, 9] == sorted(info.stream_id for info in found)
        assert [2 * info.exchange - 1 for info in found] == [info.stream_id for info in found]
        assert [False, True, True, True, True] == [info.reused for info in found]
        assert len({info.local for info in found}) == 1
        assert "exchange 1, stream 1>" in repr(found[0])


def test_a_streamed_response_tells_at_once(drive: Drive) -> None:
    """
    Before its body is read, and after it was closed early.
    """

    def answer(session: Session, call: Call) -> None:
        session.respond(call, b"begun", end=False)

    with HTTP2Server(answer) as server:

        async def scenario() -> None:
            async with Wire(drive, http1=False, http2=True) as wire:
                response = await wire.open("GET", server.url)
                info = response.extensions["connection"]
                assert (1, 1, False) == (info.exchange, info.stream_id, info.reused)
                assert info.tls is None
                await wire.close(response)
                assert ("127.0.0.1", server.port) == info.peer

        drive(scenario)


def test_a_unix_socket(drive: Drive, tmp_path: Path) -> None:
    """
    Its peer is a path.
    """
    path = str(tmp_path / "socket")
    with HTTPServer(path=path) as server:

        async def scenario() -> ConnectionInfo:
            async with Wire(drive, uds=path) as wire:
                return await fetched(wire, "http://service/")

        info = drive(scenario)
        assert path == info.peer
        assert f"<Connection HTTP/1.1 to {path}, exchange 1>" == repr(info)
        assert 1 == len(server.connections)


def test_ipv6(drive: Drive) -> None:
    """
    An address and a port, like the others.
    """
    with HTTPServer(host="::1") as server:

        async def scenario() -> ConnectionInfo:
            async with Wire(drive) as wire:
                return await fetched(wire, f"http://[::1]:{server.port}/")

        info = drive(scenario)
        assert ("::1", server.port) == info.peer
        assert f"to [::1]:{server.port}," in repr(info)


def test_a_connection_of_ones_own_again(drive: Drive) -> None:
    """
    A request that a stale connection made to be sent again tells of the one that answered.
    """
    scripts = [expect(), respond(), expect(), close], [expect(), respond(b"again")]
    with ScriptedServer(*scripts) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                first, second = await fetched(wire, server.url), await fetched(wire, server.url)
                assert (1, False) == (second.exchange, second.reused)
                assert first.local != second.local

        drive(scenario)


# Proxies.


def test_squid(
    drive: Drive, tmp_path: Path, authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    """
    Forwarded and tunnelled, the peer is the proxy; the login does not show; TLS is the server's.
    """
    certificate = peers.Certificate.issue(authority, tmp_path)
    with (
        HTTPServer() as plain,
        peers.nginx(tmp_path, 'location / { return 200 "ok"; }', certificate=certificate) as secure,
        peers.squid(login=("user", "s3cret")) as squid,
    ):
        proxy = Proxy(f"http://user:s3cret@127.0.0.1:{squid.port}")

        async def scenario() -> None:
            async with Wire(drive, proxy=proxy, verify=client_context, http2=True) as wire:
                forwarded = await fetched(wire, plain.url)
                tunnelled = await fetched(wire, f"https://localhost:{secure.port}/")
            for info in (forwarded, tunnelled):
                assert ("127.0.0.1", squid.port) == info.peer
                assert f"http://127.0.0.1:{squid.port}" == info.proxy
                assert "s3cret" not in repr(info)
                assert "user" not in repr(info)
            assert forwarded.tls is None
            assert tunnelled.tls is not None
            assert ("HTTP/2", "h2") == (tunnelled.protocol, tunnelled.tls.alpn)

        drive(scenario)


def test_tls_to_the_proxy_alone_is_none(
    drive: Drive, authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    """
    A forward proxy sees what it forwards, however it is spoken to.
    """
    with HTTPServer() as origin, ProxyServer(tls=server_tls(authority)) as server:
        proxy = Proxy(server.url, ssl_context=client_context)

        async def scenario() -> ConnectionInfo:
            async with Wire(drive, proxy=proxy) as wire:
                return await fetched(wire, origin.url)

        assert drive(scenario).tls is None


def test_socks(drive: Drive, tmp_path: Path) -> None:
    """
    Likewise through SOCKS.
    """
    with HTTPServer() as origin, peers.microsocks(tmp_path, login=("user", "s3cret")) as socks:
        proxy = Proxy(f"socks5://user:s3cret@127.0.0.1:{socks.port}")

        async def scenario() -> ConnectionInfo:
            async with Wire(drive, proxy=proxy) as wire:
                return await fetched(wire, origin.url)

        info = drive(scenario)
        assert (("127.0.0.1", socks.port), str(proxy.url)) == (info.peer, info.proxy)
        assert "s3cret" not in repr(info)


# What it does not hold.


def test_it_keeps_no_transport_alive(drive: Drive) -> None:
    """
    Who keeps what a response says of its connection does not keep the pool.
    """
    with HTTPServer() as server:

        async def scenario() -> tuple[ConnectionInfo, weakref.ref[Any]]:
            async with Wire(drive, limits=Limits(max_connections=1)) as wire:
                info = await fetched(wire, server.url)
                return info, weakref.ref(wire.transport._core)

        info, core = drive(scenario)
        gc.collect()
        assert core() is None
        assert "HTTP/1.1" == info.protocol


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (("192.0.2.1", 80), "192.0.2.1:80"),
        (("2001:db8::1", 80), "[2001:db8::1]:80"),
        ("/run/a", "/run/a"),
        ("\0name", "@name"),
        (b"\0name", "@name"),
        (None, "an unknown address"),
    ],
)
def test_addresses_are_shown_as_people_write_them(address: Any, shown: str) -> None:
    """
    Abstract sockets by an @ in the place of their null byte.
    """
    assert shown == named_address(address)
