"""Requests through squid: forwarded and tunnelled, with a login, HTTP/2 inside the tunnel."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from scallion.pipeline.errors import ProxyError
from scallion.pipeline.settings import Proxy
from support import peers
from support.colours import Drive
from support.servers import HTTPServer
from support.together import together
from support.wire import Wire

NOTE = {"X-Proxy-Note": "hello"}


@pytest.fixture(scope="module")
def open_squid() -> Iterator[str]:
    with peers.squid() as running:
        yield f"http://127.0.0.1:{running.port}"


@pytest.fixture(scope="module")
def closed_squid() -> Iterator[str]:
    with peers.squid(login=("user", "p w")) as running:
        yield f"http://127.0.0.1:{running.port}"


def test_forwarding(drive: Drive, open_squid: str) -> None:
    """Plain requests go through one connection to the proxy, and the proxy's headers stay with it."""

    with HTTPServer() as origin:

        async def scenario() -> None:
            async with Wire(drive, proxy=Proxy(open_squid)) as wire:
                for _ in range(3):
                    assert b"ok" == await wire.get(f"{origin.url}/a?b=c")
                assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

        drive(scenario)
        assert ["/a?b=c"] * 3 == [received.target for received in origin.requests]
        assert all("squid" in str(received.get("via")) for received in origin.requests)


def test_http2_in_a_tunnel(
    drive: Drive,
    tmp_path: Path,
    authority: trustme.CA,
    client_context: ssl.SSLContext,
    closed_squid: str,
) -> None:
    """With the login the tunnel opens, and the origin chooses HTTP/2 in it; twenty requests share it."""
    certificate = peers.Certificate.issue(authority, tmp_path)
    proxy = Proxy(closed_squid, auth=("user", "p w"), headers=NOTE)
    server = (
        'location / { return 200 "$server_protocol$http_x_proxy_note$http_proxy_authorization"; }'
    )
    with peers.nginx(tmp_path, server, certificate=certificate) as origin:
        url = f"https://localhost:{origin.port}/"

        async def scenario() -> None:
            async with Wire(drive, proxy=proxy, http2=True, verify=client_context) as wire:
                answers = await together(drive, *[lambda: wire.get(url)] * 20)
                assert [b"HTTP/2.0"] * 20 == answers

        drive(scenario)


def test_forwarding_with_a_login(drive: Drive, closed_squid: str) -> None:
    """The login goes to the proxy, and not to the origin."""
    with HTTPServer() as origin:
        url = closed_squid.replace("http://", "http://user:p%20w@")

        async def scenario() -> None:
            async with Wire(drive, proxy=Proxy(url)) as wire:
                assert b"ok" == await wire.get(origin.url)

        drive(scenario)
        assert [None] == [received.get("proxy-authorization") for received in origin.requests]


@pytest.mark.parametrize("target", ["http://localhost:9/", "https://localhost:9/"])
@pytest.mark.parametrize("auth", [None, ("user", "wr0ng")])
def test_without_the_login(
    drive: Drive, closed_squid: str, target: str, auth: tuple[str, str] | None
) -> None:
    """Forwarded or tunnelled, a 407 is a ProxyError that says what to do, and shows no password."""

    async def scenario() -> None:
        async with Wire(drive, proxy=Proxy(closed_squid, auth=auth)) as wire:
            with pytest.raises(ProxyError, match=r"^407 .*auth=\(user, password\)") as caught:
                await wire.get(target)
            assert "wr0ng" not in str(caught.value)
            assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

    drive(scenario)


def test_an_origin_that_is_not_there(drive: Drive, open_squid: str) -> None:
    """The proxy's refusal of a tunnel is told with its status."""
    port = peers.free_port()

    async def scenario() -> None:
        async with Wire(drive, proxy=Proxy(open_squid)) as wire:
            with pytest.raises(ProxyError, match=f"^503 .* refused the tunnel to localhost:{port}"):
                await wire.get(f"https://localhost:{port}/")

    drive(scenario)
