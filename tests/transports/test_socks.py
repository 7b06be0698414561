"""SOCKS5 proxies: a real one, with and without a login, and scripted ones that misbehave."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import pytest
import trustme

from scallion.pipeline.errors import (
    ConnectTimeout,
    ProxyError,
    TotalTimeout,
    UnsupportedProtocol,
)
from scallion.pipeline.runtime import Runtime
from scallion.pipeline.settings import Proxy
from support import peers
from support.cancelling import cancelled_everywhere
from support.colours import Drive
from support.http2_server import HTTP2Server
from support.servers import HTTPServer, ScriptedServer, close, expect_bytes, reset, send
from support.wire import Wire

LOGIN = ("us er", "pässword")


def server_tls(authority: trustme.CA, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("login", [None, LOGIN], ids=["open", "login"])
def test_a_real_proxy(
    drive: Drive, tmp_path: Path, scheme: str, login: tuple[str, str] | None
) -> None:
    """Requests pass through microsocks; a connection is kept and used again."""
    with HTTPServer() as origin, peers.microsocks(tmp_path, login=login) as running:
        proxy = Proxy(f"{scheme}://127.0.0.1:{running.port}", auth=login)

        async def scenario() -> None:
            async with Wire(drive, proxy=proxy) as wire:
                for _ in range(2):
                    assert b"ok" == await wire.get(f"http://localhost:{origin.port}/a")
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
        assert 1 == len(origin.connections)
        # In origin form: the proxy carries bytes and knows nothing of HTTP.
        assert ["/a", "/a"] == [received.target for received in origin.requests]


def test_tls_and_http2_through_it(
    drive: Drive, tmp_path: Path, authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    """TLS is the origin's, and so is the protocol that it chooses."""
    with (
        HTTP2Server(tls=server_tls(authority, "h2")) as origin,
        peers.microsocks(tmp_path) as running,
    ):
        proxy = Proxy(f"socks5://127.0.0.1:{running.port}")

        async def scenario() -> None:
            async with Wire(drive, proxy=proxy, http2=True, verify=client_context) as wire:
                response = await wire.open("GET", f"{origin.url}/")
                assert b"HTTP/2" == response.extensions["http_version"]
                await wire.read(response)

        drive(scenario)


def test_http2_in_cleartext_through_it(drive: Drive, tmp_path: Path) -> None:
    """Prior knowledge holds through SOCKS, as nobody in between reads along."""
    with HTTP2Server() as origin, peers.microsocks(tmp_path) as running:
        proxy = Proxy(f"socks5://127.0.0.1:{running.port}")

        async def scenario() -> None:
            async with Wire(drive, proxy=proxy, http1=False, http2=True) as wire:
                response = await wire.open("GET", f"{origin.url}/")
                assert b"HTTP/2" == response.extensions["http_version"]
                await wire.read(response)

        drive(scenario)


@pytest.mark.parametrize(
    ("auth", "says"),
    [
        (None, r"wants a login: give it as Proxy\(url, auth=\(user, password\)\)"),
        (("user", "wrong"), "refused the login"),
    ],
)
def test_a_login_that_fails(
    drive: Drive, tmp_path: Path, auth: tuple[str, str] | None, says: str
) -> None:
    """A missing login, and a wrong one, are ProxyErrors that say so and show no password."""
    with peers.microsocks(tmp_path, login=("user", "right")) as running:
        proxy = Proxy(f"socks5://127.0.0.1:{running.port}", auth=auth)

        async def scenario() -> None:
            async with Wire(drive, proxy=proxy) as wire:
                with pytest.raises(ProxyError, match=says) as caught:
                    await wire.get("http://localhost:1/")
                assert "wrong" not in str(caught.value)
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


def test_an_origin_that_refuses(drive: Drive, tmp_path: Path) -> None:
    """What the proxy says about the origin is told."""
    with peers.microsocks(tmp_path) as running:
        closed = peers.free_port()

        async def scenario() -> None:
            async with Wire(drive, proxy=Proxy(f"socks5://127.0.0.1:{running.port}")) as wire:
                with pytest.raises(ProxyError, match=f"127.0.0.1:{closed}: connection refused"):
                    await wire.get(f"http://127.0.0.1:{closed}/")

        drive(scenario)


GREETING, WELCOME = expect_bytes(3), send(b"\x05\x00")
BY_ADDRESS = expect_bytes(10)
BOUND = b"\x00\x01\x00\x00\x00\x00\x00\x00"


def test_what_is_asked_for(drive: Drive) -> None:
    """RFC 1928: a name is sent as a name, an address as an address; a reply may come in any pieces."""
    asked = b"\x05\x01\x00\x03\x0fname.unknown.xy\x00\x50"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    replies = [
        [b"\x05\x00" + BOUND],
        [bytes([byte]) for byte in b"\x05\x00" + BOUND],
        [b"\x05\x00\x00\x03\x04name\x00\x50"],
        [b"\x05\x00\x00\x04" + bytes(16) + b"\x00\x50"],
    ]
    for reply in replies:
        with ScriptedServer(
            [
                GREETING,
                WELCOME,
                expect_bytes(len(asked)),
                send(*reply),
                expect_bytes(1),
                send(answer),
            ]
        ) as server:

            async def scenario(server: ScriptedServer = server) -> None:
                async with Wire(drive, proxy=Proxy(f"socks5://127.0.0.1:{server.port}")) as wire:
                    assert b"ok" == await wire.get("http://name.unknown.xy/")

            drive(scenario)
            assert server.connections[0].received.startswith(b"\x05\x01\x00" + asked)


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([GREETING, close], "broke off"),
        ([GREETING, reset], "broke off"),
        ([GREETING, send(b"\x04\x00")], "does not speak SOCKS5"),
        ([GREETING, send(b"HTTP/1.1 400 Bad\r\n\r\n")], "does not speak SOCKS5"),
        ([GREETING, send(b"\x05\x63")], "does not speak SOCKS5"),
        ([GREETING, send(b"\x05\x01")], "wants a login"),
        ([GREETING, send(b"\x05\xff")], "wants a login"),
        ([GREETING, WELCOME, BY_ADDRESS, send(b"\x05\x01" + BOUND)], "general server failure"),
        ([GREETING, WELCOME, BY_ADDRESS, send(b"\x05\x02" + BOUND)], "not allowed by ruleset"),
        ([GREETING, WELCOME, BY_ADDRESS, send(b"\x05\x63" + BOUND)], "does not speak SOCKS5"),
        ([GREETING, WELCOME, BY_ADDRESS, send(b"\x05\x00\x00\x07\x00\x00")], "SOCKS5"),
        ([GREETING, WELCOME, BY_ADDRESS, send(b"\x05\x00\x00"), close], "broke off"),
    ],
)
def test_a_proxy_that_misbehaves(drive: Drive, steps: list[object], says: str) -> None:
    """Every answer that is none ends in a ProxyError, and leaves no connection behind."""
    with ScriptedServer(steps) as server:  # type: ignore[arg-type]

        async def scenario() -> None:
            async with Wire(drive, proxy=Proxy(f"socks5://127.0.0.1:{server.port}")) as wire:
                with pytest.raises(ProxyError, match=says):
                    await wire.get("http://127.0.0.1:9/")
                assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)


def test_a_proxy_that_says_nothing(drive: Drive, runtime: Runtime) -> None:
    """The connect timeout holds for the proxy's answers, and so does the call's deadline."""
    with ScriptedServer([GREETING], [GREETING]) as server:

        async def scenario() -> None:
            async with Wire(drive, proxy=Proxy(f"socks5://127.0.0.1:{server.port}")) as wire:
                with pytest.raises(ConnectTimeout, match="did not connect"):
                    await wire.get("http://127.0.0.1:9/", timeout={"connect": 0.02})
                with pytest.raises(TotalTimeout):
                    await wire.get("http://127.0.0.1:9/", deadline=runtime.clock() + 0.02)

        drive(scenario)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_cancelled_anywhere(drive: Drive, tmp_path: Path) -> None:
    """Whenever it is cancelled, no connection is left."""
    with HTTPServer() as origin, peers.microsocks(tmp_path, login=LOGIN) as running:
        proxy = Proxy(f"socks5://127.0.0.1:{running.port}", auth=LOGIN)

        async def scenario() -> None:
            async with Wire(drive, proxy=proxy) as wire:

                async def check() -> None:
                    assert "0 active" in wire.pool

                async def work() -> None:
                    async with Wire(drive, proxy=proxy) as other:
                        await other.get(f"http://localhost:{origin.port}/")

                assert await cancelled_everywhere(work, check) > 5

        drive(scenario)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"auth": ("u" * 256, "p")}, "1 to 255 bytes"),
        ({"auth": ("u", "")}, "1 to 255 bytes"),
        ({"headers": {"X-Note": "hello"}}, "knows no headers"),
    ],
)
def test_settings_that_socks_has_not(drive: Drive, settings: dict[str, object], says: str) -> None:
    """What could not be sent is refused when the transport is made."""
    proxy = Proxy("socks5://localhost", **settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=says):
        Wire(drive, proxy=proxy)


def test_a_name_too_long(drive: Drive) -> None:
    """A name of more than 255 bytes does not fit the message."""

    with ScriptedServer([]) as server:

        async def scenario() -> None:
            async with Wire(drive, proxy=Proxy(f"socks5://127.0.0.1:{server.port}")) as wire:
                with pytest.raises(ProxyError, match="at most 255 bytes"):
                    await wire.get(f"http://{'a.' * 150}xy/")

        drive(scenario)


def test_a_missing_package_is_named(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without socksio the transport says what to install."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(UnsupportedProtocol, match=r"pip install 'scallion\[socks\]'"):
        Wire(drive, proxy=Proxy("socks5://127.0.0.1:1"))
