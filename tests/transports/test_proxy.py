"""Requests through proxies: forwarded, tunnelled, over TLS to the proxy itself; who gets which headers."""

from __future__ import annotations

import ssl
import threading

import pytest
import trustme

from scallion.pipeline.errors import (
    ConnectError,
    ConnectTimeout,
    ProxyError,
    TotalTimeout,
)
from scallion.pipeline.runtime import Runtime
from scallion.pipeline.settings import Limits, Proxy
from support.cancelling import cancelled_everywhere
from support.colours import Drive
from support.servers import (
    Answer,
    HTTPServer,
    ProxyServer,
    Received,
    ScriptedServer,
    close,
    expect,
    reset,
    send,
)
from support.wire import Wire

SHORT = 0.02
LOGIN = ("user", "pässword")


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


def echo(received: Received) -> Answer:
    return Answer(body=received.body or received.target.encode())


def test_plain_requests_are_forwarded(drive: Drive) -> None:
    """
    The proxy gets the whole URL, its own headers and the login; the origin gets none of these.
    """
    with HTTPServer(echo) as origin, ProxyServer(login=LOGIN) as server:
        proxy = Proxy(server.url, auth=LOGIN, headers={"Proxy-Note": "hello"})

        async def scenario() -> None:
            async with Wire(drive, proxy=proxy) as wire:
                assert b"/a?b=c" == await wire.get(f"{origin.url}/a?b=c")
                response = await wire.open("POST", origin.url, content=b"body")
                assert b"body" == await wire.read(response)

        drive(scenario)
        first = server.requests[0]
        assert f"{origin.url}/a?b=c" == first.target
        assert f"127.0.0.1:{origin.port}" == first.get("host")
        assert "hello" == first.get("proxy-note")
        assert "Basic dXNlcjpww6Rzc3dvcmQ=" == first.get("proxy-authorization")
        assert [None, None] == [received.get("proxy-note") for received in origin.requests]


def test_a_forwarding_connection_is_kept_for_its_origin(drive: Drive) -> None:
    with HTTPServer() as origin, ProxyServer() as server:
        # The origin's answers leave the connection to the proxy open, as the proxy does.
        server._handler = origin._handler

        async def scenario() -> None:
            async with Wire(drive, proxy=Proxy(server.url)) as wire:
                await wire.get(origin.url)
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool
                await wire.get(origin.url)

        drive(scenario)
        assert 1 == len(server.connections)


def test_https_goes_through_a_tunnel(
    drive: Drive, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    The proxy hears of the host only; its headers and its login never reach the origin.
    """
    with HTTPServer(echo, tls=server_context) as origin, ProxyServer(login=LOGIN) as server:
        proxy = Proxy(server.url, auth=LOGIN, headers={"Proxy-Note": "hello"})

        async def scenario() -> None:
            async with Wire(drive, proxy=proxy, verify=client_context) as wire:
                for body in (b"one", b"x" * 500_000):
                    response = await wire.open("POST", f"{origin.url}/secret", content=body)
                    assert body == await wire.read(response)

        drive(scenario)
        (connect,) = server.requests
        assert ("CONNECT", f"localhost:{origin.port}") == (connect.method, connect.target)
        assert "hello" == connect.get("proxy-note")
        assert connect.get("proxy-authorization") is not None
        assert b"secret" not in server.connections[0].received
        for received in origin.requests:
            assert f"localhost:{origin.port}" == received.get("host")
            assert "/secret" == received.target
            assert received.get("proxy-note") is None
            assert received.get("proxy-authorization") is None


@pytest.mark.parametrize("encrypted", [True, False], ids=["https", "http"])
def test_tls_to_the_proxy(
    drive: Drive,
    encrypted: bool,
    server_context: ssl.SSLContext,
    client_context: ssl.SSLContext,
) -> None:
    """
    An encrypted way to the proxy, and TLS to the origin within it.
    """
    with (
        HTTPServer(echo, tls=server_context if encrypted else None) as origin,
        ProxyServer(tls=server_context) as server,
    ):
        proxy = Proxy(server.url, ssl_context=client_context)

        async def scenario() -> None:
            async with Wire(drive, proxy=proxy, verify=client_context) as wire:
                assert b"/x" == await wire.get(f"{origin.url}/x")

        drive(scenario)
        assert 1 == len(server.requests)


def test_a_proxy_with_an_unknown_certificate(drive: Drive, server_context: ssl.SSLContext) -> None:
    with ProxyServer(tls=server_context) as server:

        async def scenario() -> None:
            async with Wire(drive, proxy=Proxy(server.url)) as wire:
                with pytest.raises(ConnectError, match="certificate verify failed"):
                    await wire.get("http://127.0.0.1/")
                await wire.gone(server, 0)

        drive(scenario)


def test_a_tunnel_that_wants_a_login(drive: Drive) -> None:
    """
    The error says that it was the proxy, and how to log in; wrong passwords are not told.
    """
    with ProxyServer(login=LOGIN) as server:
        wrong = Proxy(server.url, auth=("user", "s3cret"))

        async def scenario() -> None:
            for proxy in (Proxy(server.url), wrong):
                async with Wire(drive, proxy=proxy) as wire:
                    with pytest.raises(
                        ProxyError, match=r"^407 X: .* wants a login, .*auth="
                    ) as caught:
                        await wire.get("https://localhost/")
                    assert "s3cret" not in str(caught.value)
                    assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


def test_a_forwarding_proxy_that_wants_a_login(drive: Drive) -> None:
    """
    Without a tunnel it is the same error. differences: "a proxy's 407"
    """
    with ProxyServer(login=LOGIN) as server:

        async def scenario() -> None:
            async with Wire(drive, proxy=Proxy(server.url)) as wire:
                with pytest.raises(ProxyError, match=r"^407 X: .* wants a login"):
                    await wire.get("http://127.0.0.1/")
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


def test_a_tunnel_that_is_refused(drive: Drive) -> None:
    with ProxyServer(refuse=403) as server:

        async def scenario() -> None:
            async with Wire(drive, proxy=Proxy(server.url)) as wire:
                with pytest.raises(
                    ProxyError, match=r"^403 X: .* refused the tunnel to localhost:443"
                ):
                    await wire.get("https://localhost/")
                await wire.gone(server, 0)
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([close], "broke off the tunnel"),
        ([reset], "broke off the tunnel"),
        ([send(b"220 smtp.test ESMTP\r\n"), close], r"broke off the tunnel.*not HTTP/1\.1"),
        ([send(b"HTTP/1.1 200 OK\r\n\r\nsurprise")], "spoke into the tunnel"),
    ],
)
def test_a_proxy_that_breaks_off(drive: Drive, steps: list, message: str) -> None:  # type: ignore[type-arg]
    with ScriptedServer([expect(), *steps]) as server:

        async def scenario() -> None:
            async with Wire(drive, proxy=Proxy(server.url)) as wire:
                with pytest.raises(ProxyError, match=message):
                    await wire.get("https://localhost/")
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


@pytest.mark.parametrize("total", [True, False])
def test_a_proxy_that_says_nothing(drive: Drive, runtime: Runtime, total: bool) -> None:
    """
    Waiting for the tunnel is a part of connecting.
    """
    with ScriptedServer([expect()]) as server:

        async def scenario() -> None:
            async with Wire(drive, proxy=Proxy(server.url)) as wire:
                deadline = runtime.clock() + SHORT if total else None
                limit = None if total else SHORT
                error = TotalTimeout if total else ConnectTimeout
                with pytest.raises(error, match=r"connecting|no tunnel to localhost:443 in time"):
                    await wire.get(
                        "https://localhost/", deadline=deadline, timeout={"connect": limit}
                    )
                await wire.gone(server, 0)

        drive(scenario)


def test_no_proxy_at_all(drive: Drive) -> None:
    with ProxyServer() as server:
        port = server.port

    async def scenario() -> None:
        async with Wire(drive, proxy=Proxy(f"http://127.0.0.1:{port}")) as wire:
            with pytest.raises(
                ConnectError, match=rf"127.0.0.1:{port}: \[Errno \d+\] Connection refused"
            ):
                await wire.get("https://localhost/")

    drive(scenario)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_cancellation_on_the_way(
    colour: str, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """
    TLS to the proxy, tunnel, TLS to the origin: cancelled anywhere, nothing is left.
    """
    drive = Drive(colour)  # type: ignore[arg-type]
    limits = Limits(max_connections=1, max_keepalive_connections=0)
    with HTTPServer(tls=server_context) as origin, ProxyServer(tls=server_context) as server:
        proxy = Proxy(server.url, ssl_context=client_context)

        async def scenario() -> None:
            async with Wire(drive, proxy=proxy, verify=client_context, limits=limits) as wire:

                async def check() -> None:
                    assert "<Pool 0 active, 0 idle, 0 waiting of 1>" == wire.pool

                await cancelled_everywhere(lambda: wire.get(origin.url), check)
                assert b"ok" == await wire.get(origin.url)
                await wire.gone(server)

        drive(scenario)


def test_threads_through_a_proxy() -> None:
    """
    Several threads share the tunnels to one origin.
    """
    wrong: list[BaseException] = []
    with HTTPServer(echo) as origin, ProxyServer() as server:
        wire = Wire(Drive("sync"), proxy=Proxy(server.url), limits=Limits(max_connections=2))

        def work(number: int) -> None:
            from scallion.pipeline.runtime import run

            try:
                for _ in range(5):
                    assert f"/{number}".encode() == run(wire.get(f"{origin.url}/{number}"))
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        wire.transport.close()
        assert [] == wrong


def test_a_request_s_own_word_to_the_proxy_wins(drive: Drive) -> None:
    """
    Proxy-Authorization goes out once, and the request's instead of the proxy's settings.
    """
    with HTTPServer() as origin, ProxyServer() as proxy:

        async def scenario() -> None:
            settings = Proxy(proxy.url, auth=("user", "password"))
            async with Wire(drive, proxy=settings) as wire:
                await wire.get(origin.url, headers={"Proxy-Authorization": "Mine"})

        drive(scenario)
        (seen,) = proxy.requests
        given = [value for name, value in seen.headers if name.lower() == "proxy-authorization"]
        assert ["Mine"] == given


def test_a_unix_socket_and_a_proxy(drive: Drive) -> None:
    """
    One of the two would be ignored.
    """
    with pytest.raises(ValueError, match="uds= and proxy= exclude each other"):
        Wire(drive, uds="/run/x.sock", proxy=Proxy("http://localhost:3128"))
