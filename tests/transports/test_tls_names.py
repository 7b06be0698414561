"""Whose certificate it has to be, and who is asked for: hosts, addresses, internationalised names, and overrides."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from scallion import TLS
from scallion.pipeline.errors import ConnectError
from scallion.transports.tls import server_name
from support.certificates import Authority, serving
from support.colours import Drive
from support.servers import HTTPServer, ProxyServer
from support.wire import Wire

ROOT = Authority("Root")
TRUSTING = TLS(ca=ROOT.pem)


def told(context: ssl.SSLContext) -> list[str | None]:
    """Collects the names that clients ask for; None where they name none."""
    names: list[str | None] = []
    context.sni_callback = lambda sock, name, _: names.append(name)  # type: ignore[assignment]
    return names


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("a.example", "a.example"),
        ("a.example.", "a.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
    ],
)
def test_a_host_as_tls_takes_it(host: str, name: str) -> None:
    """
    In ASCII (IDNA 2008), without brackets, zone, or a dot at the end.
    """
    assert name == server_name(host)


@pytest.mark.parametrize(("listen", "url"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_addresses_are_found_in_certificates_and_not_asked_for(
    drive: Drive, listen: str, url: str
) -> None:
    """
    RFC 6066 section 3: an address is no server name. It is checked all the same.
    """
    context = serving(ROOT.issue(listen))
    names = told(context)
    with HTTPServer(tls=context, host=listen) as server:

        async def scenario() -> None:
            async with Wire(drive, verify=TRUSTING) as wire:
                assert b"ok" == await wire.get(f"https://{url}:{server.port}/")

        drive(scenario)
    assert [None] == names


def test_an_address_is_no_name(drive: Drive) -> None:
    """
    A certificate for localhost is none for its address.
    """
    with HTTPServer(tls=serving(ROOT.issue("localhost"))) as server:

        async def scenario() -> None:
            async with Wire(drive, verify=TRUSTING) as wire:
                with pytest.raises(
                    ConnectError, match=r'valid for "localhost", not "127\.0\.0\.1"'
                ):
                    await wire.get(f"https://127.0.0.1:{server.port}/")

        drive(scenario)


NAMES = [
    ("inner.example", "inner.example"),
    ("inner.example.", "inner.example"),
    ("bücher.example", "xn--bcher-kva.example"),
    ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ("127.0.0.7", None),
]


@pytest.mark.parametrize(
    ("by", "given", "asked"),
    [
        ("extension", b"inner.example", "inner.example"),
        *(("extension", *name) for name in NAMES),
        *(("settings", *name) for name in NAMES),
    ],
)
def test_another_name_is_asked_for_and_checked(
    drive: Drive, given: Any, asked: str | None, by: str
) -> None:
    """
    By the request's extension, or by the transport's settings.
    """
    context = serving(ROOT.issue(asked or given))
    names = told(context)
    settings = TLS(ca=ROOT.pem, server_hostname=given) if by == "settings" else TRUSTING
    extensions = {"sni_hostname": given} if by == "extension" else {}
    with HTTPServer(tls=context) as server:

        async def scenario() -> None:
            async with Wire(drive, verify=settings) as wire:
                assert b"ok" == await wire.get(server.url, extensions=extensions)
                other = {"sni_hostname": "wrong.example"}
                with pytest.raises(ConnectError, match=r'not "wrong\.example"'):
                    await wire.get(server.url, extensions=other)

        drive(scenario)
    assert [asked, "wrong.example"] == names


def test_an_internationalised_host_is_asked_for_in_ascii(drive: Drive) -> None:
    """
    The certificate has the A-label; the URL has what people read. Through a proxy, which resolves the name.
    """
    context = serving(ROOT.issue("xn--fa-hia.example"))
    names = told(context)

    class Leading(ProxyServer):
        """Every tunnel leads to the server."""

        def _tunnel(self, peer: Any, target: str) -> None:
            super()._tunnel(peer, f"127.0.0.1:{server.port}")

    with HTTPServer(tls=context) as server, Leading() as proxy:

        async def scenario() -> None:
            async with Wire(drive, verify=TRUSTING, proxy=proxy.url) as wire:
                assert b"ok" == await wire.get("https://faß.example/")

        drive(scenario)
        assert "xn--fa-hia.example:443" == proxy.requests[0].target
    assert ["xn--fa-hia.example"] == names


def test_connections_for_one_name_are_not_used_for_another(drive: Drive) -> None:
    """
    The same name in two spellings is one.
    """
    context = serving(ROOT.issue("xn--bcher-kva.example", "other.example"))
    with HTTPServer(tls=context) as server:

        async def scenario() -> None:
            async with Wire(drive, verify=TRUSTING) as wire:
                for name in ("bücher.example", "xn--bcher-kva.example", "other.example"):
                    await wire.get(server.url, extensions={"sni_hostname": name})

        drive(scenario)
        assert [0, 0, 1] == [request.connection for request in server.requests]
