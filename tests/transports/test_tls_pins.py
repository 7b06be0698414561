"""Pinned certificates: by the certificate or its key, beside authorities or in their stead, and through proxies."""

from __future__ import annotations

import base64
import hashlib
import ssl
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion import TLS, Proxy
from scallion.pipeline.errors import ConnectError
from scallion.transports.network.der import is_der, key_label, public_key_of
from scallion.transports.network.pins import as_pin, check_pins
from support.certificates import Authority, Issued, self_signed, serving
from support.colours import Drive
from support.servers import HTTPServer, ProxyServer
from support.wire import Wire

ROOT = Authority("Root")
SERVER = ROOT.issue("localhost")
SELF_SIGNED = self_signed("elsewhere.example")
DIGEST = bytes(range(32))


def by_certificate(issued: Issued) -> str:
    return hashlib.sha256(issued.cert_der).hexdigest()


def by_key(issued: Issued) -> str:
    return "sha256//" + base64.b64encode(hashlib.sha256(issued.public_key_der).digest()).decode()


@pytest.mark.parametrize(
    "form",
    [
        DIGEST,
        DIGEST.hex(),
        DIGEST.hex().upper(),
        DIGEST.hex(":"),
        f"sha256:{DIGEST.hex()}",
        f"SHA256:{DIGEST.hex(':').upper()}",
        f" {DIGEST.hex()}\n",
    ],
)
def test_forms_of_a_fingerprint(form: Any) -> None:
    """
    Bytes, digits with or without colons, in either case, named or not.
    """
    assert f"sha256:{DIGEST.hex()}" == as_pin(form)


@pytest.mark.parametrize("make", [by_certificate, by_key])
@pytest.mark.parametrize("others", [(), ("00" * 32,)])
def test_the_pinned_certificate_is_accepted(drive: Drive, make: Any, others: Any) -> None:
    """
    One of several fits, on a new connection and on one that resumes a session.
    """
    verify = TLS(ca=ROOT.pem, fingerprints=[*others, make(SERVER)])
    with HTTPServer(tls=serving(SERVER)) as server:

        async def scenario() -> None:
            async with Wire(drive, verify=verify) as wire:
                for _ in range(2):
                    response = await wire.open("GET", server.url, headers={"connection": "close"})
                    assert b"ok" == await wire.read(response)

        drive(scenario)


@pytest.mark.parametrize("trust", ["ca", "fingerprints"])
@pytest.mark.parametrize("proxied", [False, True])
def test_another_certificate_is_refused_before_anything_is_sent(
    drive: Drive, trust: Any, proxied: bool
) -> None:
    """
    The error has what was expected and what there is; through a proxy it is the origin's certificate that counts.
    """
    ca = {"ca": ROOT.pem} if trust == "ca" else {}
    other = ROOT.issue("localhost")
    verify = TLS(**ca, trust=trust, fingerprints=[by_certificate(other), by_key(other)])
    with (
        HTTPServer(tls=serving(SERVER)) as server,
        ProxyServer(tls=serving(other)) as proxy,
    ):
        to_proxy = Proxy(proxy.url, ssl_context=TLS(ca=ROOT.pem))

        async def scenario() -> str:
            async with Wire(drive, verify=verify, proxy=to_proxy if proxied else None) as wire:
                with pytest.raises(ConnectError) as info:
                    await wire.get(server.url)
                await wire.gone(server)
                assert isinstance(info.value.__cause__, ssl.SSLCertVerificationError)
                return str(info.value)

        text = drive(scenario)
        assert (
            "TLS with localhost failed: its certificate is not the one that is pinned: "
            f"expected sha256:{by_certificate(other)} or {by_key(other)}, "
            f"and it has sha256:{by_certificate(SERVER)} and {by_key(SERVER)}"
        ) == text
        assert [] == server.requests
        assert b"" == bytes(server.connections[0].received)


@pytest.mark.parametrize("make", [by_certificate, by_key])
def test_a_pin_may_stand_for_an_authority(drive: Drive, make: Any) -> None:
    """
    trust="fingerprints": a self-signed certificate for another host is good, because it is the one.
    """
    verify = TLS(trust="fingerprints", fingerprints=make(SELF_SIGNED))
    with HTTPServer(tls=serving(SELF_SIGNED)) as server:

        async def scenario() -> None:
            async with Wire(drive, verify=verify) as wire:
                assert b"ok" == await wire.get(server.url)

        drive(scenario)


def test_a_pin_beside_authorities_does_not_replace_them(drive: Drive) -> None:
    """
    The certificate has to be valid as well.
    """
    verify = TLS(ca=ROOT.pem, fingerprints=by_certificate(SELF_SIGNED))
    with HTTPServer(tls=serving(SELF_SIGNED)) as server:

        async def scenario() -> None:
            async with Wire(drive, verify=verify) as wire:
                with pytest.raises(ConnectError, match="self-signed"):
                    await wire.get(server.url)

        drive(scenario)


def test_a_proxy_is_pinned_by_its_own_settings(drive: Drive) -> None:
    """
    Proxy(ssl_context=TLS(fingerprints=...)).
    """
    wrong = TLS(trust="fingerprints", fingerprints=by_certificate(SERVER))
    with ProxyServer(tls=serving(SELF_SIGNED)) as proxy:

        async def scenario() -> None:
            async with Wire(drive, proxy=Proxy(proxy.url, ssl_context=wrong)) as wire:
                with pytest.raises(ConnectError, match=r"^The proxy https.* is pinned"):
                    await wire.get("http://somewhere.example/")

        drive(scenario)
        assert [] == proxy.requests


# The certificate's bytes.


def test_the_key_is_found() -> None:
    """
    In a certificate as X.509 has it.
    """
    for issued in (SERVER, SELF_SIGNED, ROOT.own):
        assert issued.public_key_der == public_key_of(issued.cert_der)


def test_a_certificate_without_a_version_has_a_key_too() -> None:
    """
    Version 1 is left out (RFC 5280 section 4.1.2.1).
    """
    key = b"\x30\x03key"
    fields = b"\x02\x01\x07" + 4 * b"\x30\x00" + key
    body = b"\x30%c%s" % (len(fields), fields)

    assert key == public_key_of(b"\x30%c%s" % (len(body), body))


def test_no_certificate_is_none_of_the_pinned() -> None:
    """
    A server that shows none, or something that is none, is refused.
    """
    for shown in (None, b"nonsense", b"\x30\x02\x30\x00"):
        with pytest.raises(ConnectError, match=r"TLS with a failed: .*not the one that is pinned"):
            check_pins("a", shown, (as_pin(DIGEST),))


@settings(max_examples=200)
@given(
    st.one_of(
        st.binary(max_size=64),
        st.builds(
            lambda at, byte: SERVER.cert_der[:at] + byte + SERVER.cert_der[at + 1 :],
            st.integers(0, len(SERVER.cert_der)),
            st.binary(max_size=1),
        ),
    )
)
def test_bytes_of_any_kind_end_in_a_value_or_a_value_error(data: bytes) -> None:
    """
    A stranger's certificate breaks nothing.
    """
    is_der(data)
    for ask in (public_key_of, key_label):
        try:
            ask(data)
        except ValueError:
            pass
