"""What is wrong with a server's TLS is named: each kind of certificate and of server, in each colour, and for a proxy."""

from __future__ import annotations

import datetime as dt
import errno
import pickle
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from scallion import TLS, Proxy
from scallion.pipeline.errors import ConnectError, ReadError, TransportError, WriteError
from scallion.transports.network.alerts import openssl_words, reason_words
from scallion.transports.network.handshakes import handshake_failed
from support.certificates import DAY, NOW, Authority, Issued, self_signed, serving, weak_key
from support.colours import Drive
from support.servers import HTTPServer, Peer, ProxyServer, ScriptedServer, close, expect_bytes, send
from support.wire import Wire

ROOT = Authority("Root")
MIDDLE = ROOT.below("Middle")
TRUSTING = TLS(ca=ROOT.pem)
REVOKED = ROOT.issue("localhost")
LONG_AGO = {"start": NOW - 3 * DAY, "end": NOW - 2 * DAY}
SOON = {"start": NOW + 2 * DAY, "end": NOW + 3 * DAY}


def date(moment: dt.datetime) -> str:
    """As OpenSSL writes it."""
    return f"{moment:%b} {moment.day:2} {moment:%H:%M:%S %Y} GMT"


@dataclass(frozen=True)
class Bad:
    """A certificate that is refused, and why."""

    issued: Issued
    words: str
    verify: TLS = TRUSTING
    serving: dict[str, Any] = field(default_factory=dict)


BAD = {
    "expired": Bad(
        ROOT.issue("localhost", **LONG_AGO),
        f"its certificate has expired (notAfter {date(NOW - 2 * DAY)})",
    ),
    "not yet valid": Bad(
        ROOT.issue("localhost", **SOON),
        f"its certificate is not yet valid (notBefore {date(NOW + 2 * DAY)}); is this machine's clock right?",
    ),
    "an expired authority": Bad(
        ROOT.below("Old", **LONG_AGO).issue("localhost"),
        'the certificate of its authority "O=Tests, CN=Old" has expired '
        f"(notAfter {date(NOW - 2 * DAY)})",
    ),
    "another host": Bad(
        ROOT.issue("other.example", "127.0.0.9"),
        'its certificate is valid for "other.example", "127.0.0.9", not "localhost"',
    ),
    "many other hosts": Bad(
        ROOT.issue(*(f"{number}.example" for number in range(7))),
        '"3.example", "4.example" and 2 more, not "localhost"',
    ),
    "no host": Bad(
        ROOT.issue(),
        'its certificate names no host (it has no subjectAltName), and so not "localhost"',
    ),
    "an unknown issuer": Bad(
        Authority("Stranger").below("Strange").issue("localhost"),
        'an authority that is not trusted (issuer "O=Tests, CN=Stranger")',
    ),
    "a missing link": Bad(
        MIDDLE.issue("localhost"),
        'an authority that is not trusted (issuer "O=Tests, CN=Middle"); trust it with verify=TLS(ca=...) '
        "if it is yours, unless the server should send its certificate too",
        serving={"whole": False},
    ),
    "self-signed": Bad(
        self_signed("localhost"),
        'its certificate is self-signed (subject "O=Tests, CN=server"); trust it with verify=TLS(ca=...)',
    ),
    "revoked": Bad(
        REVOKED,
        "its certificate is revoked",
        verify=TLS(ca=ROOT.pem, crl=ROOT.revoke(REVOKED)),
    ),
    "no list of the issuer's": Bad(
        MIDDLE.issue("localhost"),
        "could not be looked up in a revocation list (CRL): there is none of its issuer",
        verify=TLS(ca=ROOT.pem, crl=ROOT.revoke(REVOKED)),
    ),
    "a weak key": Bad(
        ROOT.issue("localhost", key=weak_key()),
        "its certificate's key is too weak",
        serving={"weak": True},
    ),
    "a client's": Bad(
        ROOT.issue("localhost", usage=ExtendedKeyUsageOID.CLIENT_AUTH),
        "its certificate is not meant for servers",
    ),
}


async def refused(wire: Wire, url: str, kind: type[TransportError] = ConnectError) -> Any:
    """The error, which closed the connection."""
    with pytest.raises(kind) as info:
        await wire.open("GET", url)
    return info.value


@pytest.mark.parametrize("case", BAD)
def test_a_bad_certificate_is_refused_for_its_fault(drive: Drive, case: str) -> None:
    """
    In words, with dates and names; with OpenSSL's token for those who match on it; the cause is OpenSSL's.
    """
    bad = BAD[case]
    with HTTPServer(tls=serving(bad.issued, **bad.serving)) as server:

        async def scenario() -> Any:
            async with Wire(drive, verify=bad.verify) as wire:
                return await refused(wire, server.url)

        error = drive(scenario)
    text = str(error)
    assert text.startswith("TLS with localhost failed: ")
    assert bad.words in text
    assert "[SSL: CERTIFICATE_VERIFY_FAILED]" in text
    assert "_ssl.c" not in text
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
    assert [] == server.requests
    assert text == str(pickle.loads(pickle.dumps(error)))


@pytest.mark.parametrize("case", ["expired", "another host", "self-signed"])
def test_a_proxy_s_bad_certificate_is_refused_likewise(drive: Drive, case: str) -> None:
    """
    The error says that it is the proxy's.
    """
    bad = BAD[case]
    with ProxyServer(tls=serving(bad.issued)) as proxy:
        settings = Proxy(proxy.url, ssl_context=TRUSTING)

        async def scenario() -> Any:
            async with Wire(drive, proxy=settings) as wire:
                return await refused(wire, "http://somewhere.example/")

        error = drive(scenario)
    assert str(error).startswith(f"The proxy {proxy.url}: TLS with localhost failed: ")
    assert bad.words in str(error)
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
    assert [] == proxy.requests


@pytest.mark.parametrize("case", ["expired", "another host", "self-signed"])
def test_an_origin_s_bad_certificate_is_refused_through_a_proxy(drive: Drive, case: str) -> None:
    """
    TLS within TLS: the proxy's certificate is good, the origin's is not.
    """
    bad = BAD[case]
    with (
        ProxyServer(tls=serving(ROOT.issue("localhost"))) as proxy,
        HTTPServer(tls=serving(bad.issued)) as server,
    ):
        settings = Proxy(proxy.url, ssl_context=TRUSTING)

        async def scenario() -> Any:
            async with Wire(drive, verify=TRUSTING, proxy=settings) as wire:
                return await refused(wire, server.url)

        error = drive(scenario)
    assert str(error).startswith("TLS with localhost failed: ")
    assert bad.words in str(error)
    assert [] == server.requests


# Servers that do not agree.


def only(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = serving(ROOT.issue("localhost"))
    context.minimum_version = context.maximum_version = version
    return context


def wanting(*authorities: bytes) -> Callable[[ssl.TLSVersion], ssl.SSLContext]:
    """A server that wants a client's certificate of these authorities."""

    def make(version: ssl.TLSVersion) -> ssl.SSLContext:
        context = only(version)
        context.verify_mode = ssl.CERT_REQUIRED
        for pem in authorities:
            context.load_verify_locations(cadata=pem.decode())
        return context

    return make


V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
STRANGER = Authority("Stranger").issue("client", usage=ExtendedKeyUsageOID.CLIENT_AUTH)


def weakly_ciphered() -> ssl.SSLContext:
    context = only(V12)
    context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    return context


@pytest.mark.parametrize(
    ("context", "verify", "words"),
    [
        (
            only(V12),
            TLS(ca=ROOT.pem, minimum_version="TLSv1.3"),
            "the server speaks no TLS version of those that are allowed here: TLSv1.3 and later [SSL: TLSV1_ALERT_PROTOCOL_VERSION]",
        ),
        (
            only(V13),
            TLS(ca=ROOT.pem, maximum_version="TLSv1.2"),
            "those that are allowed here: TLSv1.2 [SSL:",
        ),
        (
            weakly_ciphered(),
            TLS(ca=ROOT.pem, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"),
            "the server accepts nothing of what was offered: TLS version, ciphers and curves",
        ),
        (
            wanting(ROOT.pem)(V12),
            TRUSTING,
            "or it wants a client certificate [SSL: SSLV3_ALERT_HANDSHAKE_FAILURE]",
        ),
        (
            wanting(ROOT.pem)(V12),
            TLS(ca=ROOT.pem, cert=STRANGER.cert_pem, key=STRANGER.key_pem),
            "the server refuses the client's certificate: it does not trust who issued it [SSL: TLSV1_ALERT_UNKNOWN_CA]",
        ),
    ],
)
def test_a_handshake_that_fails_says_what_does_not_fit(
    drive: Drive, context: ssl.SSLContext, verify: TLS, words: str
) -> None:
    """
    Versions, ciphers, client certificates.
    """
    with HTTPServer(tls=context) as server:

        async def scenario() -> Any:
            async with Wire(drive, verify=verify) as wire:
                return await refused(wire, server.url)

        error = drive(scenario)
    assert words in str(error)
    assert isinstance(error.__cause__, ssl.SSLError)


@pytest.mark.parametrize(
    ("verify", "words"),
    [
        (
            TRUSTING,
            "the server wants a client certificate, and was shown none [SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED]",
        ),
        (
            TLS(ca=ROOT.pem, cert=STRANGER.cert_pem, key=STRANGER.key_pem),
            "the server refuses the client's certificate: it does not trust who issued it",
        ),
    ],
)
def test_a_later_refusal_is_named_too(drive: Drive, verify: TLS, words: str) -> None:
    """
    In TLS 1.3 the client has shaken hands before the server looks at its certificate.
    """
    with HTTPServer(tls=wanting(ROOT.pem)(V13)) as server:

        async def scenario() -> Any:
            async with Wire(drive, verify=verify) as wire:
                return await refused(wire, server.url, TransportError)

        error = drive(scenario)
    # The request may meet a connection that is closed already; mostly it meets the alert.
    assert isinstance(error, (ReadError, WriteError))
    if isinstance(error, ReadError) and "reset" not in str(error):
        assert words in str(error)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "the server speaks plain HTTP on this port, not TLS: is its URL http://, or the port another? [SSL:",
        ),
        (
            b"220 mail.example ESMTP ready\r\n",
            "the server speaks no TLS on this port; it said b'220 mail.example ESM' [SSL:",
        ),
        (b"", "the server closed the connection and said nothing; it may speak no TLS [SSL:"),
    ],
)
def test_a_server_without_tls_is_told_apart(drive: Drive, said: bytes, words: str) -> None:
    """
    By what it says first.
    """

    def hang_up(peer: Peer) -> None:
        peer.sock.shutdown(socket.SHUT_WR)

    with ScriptedServer([expect_bytes(1), send(said), hang_up]) as server:
        url = f"https://localhost:{server.port}"

        async def scenario() -> Any:
            async with Wire(drive, verify=TRUSTING) as wire:
                return await refused(wire, url)

        error = drive(scenario)
    assert words in str(error)


def test_a_reset_is_named(drive: Drive) -> None:
    """
    The system's reason stands as it is.
    """
    with ScriptedServer([expect_bytes(1), Peer.reset]) as server:
        url = f"https://localhost:{server.port}"

        async def scenario() -> Any:
            async with Wire(drive, verify=TRUSTING) as wire:
                return await refused(wire, url)

        error = drive(scenario)
    assert f"TLS with localhost failed: [Errno {errno.ECONNRESET}] Connection reset by peer" == str(
        error
    )


# In words.


@pytest.mark.parametrize(
    ("lowest", "highest", "words"),
    [
        ("TLSv1_2", "MAXIMUM_SUPPORTED", "TLSv1.2 and later"),
        ("MINIMUM_SUPPORTED", "MAXIMUM_SUPPORTED", "any"),
        ("MINIMUM_SUPPORTED", "TLSv1_2", "any to TLSv1.2"),
        ("TLSv1_2", "TLSv1_3", "TLSv1.2 to TLSv1.3"),
        ("TLSv1_3", "TLSv1_3", "TLSv1.3"),
    ],
)
def test_versions_in_words(lowest: str, highest: str, words: str) -> None:
    """
    What a user's own context allows is told as well.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion[lowest]
    context.maximum_version = ssl.TLSVersion[highest]
    error = ssl.SSLError(1, "[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol (_ssl.c:1006)")
    error.reason = "UNSUPPORTED_PROTOCOL"

    assert (
        "TLS with the server failed: the server speaks no TLS version of those that are allowed here: "
        f"{words} [SSL: UNSUPPORTED_PROTOCOL] unsupported protocol"
    ) == str(handshake_failed(None, error, context=context))


@pytest.mark.parametrize("code", [2, 9, 10, 18, 19, 20, 21, 62, 64, 23])
def test_a_certificate_that_is_not_to_be_had_leaves_the_fault(code: int) -> None:
    """
    Should OpenSSL not tell what it looked at, what is wrong is said without names.
    """
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] failed")
    error.verify_code = code
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    assert "its certificate " in str(handshake_failed("a.example", error, context=context))


def test_what_strangers_wrote_is_fit_for_a_log(drive: Drive) -> None:
    """
    Names in certificates hold no line breaks when they are shown, and are cut.
    """
    issued = Authority("Evil\n" + "x" * 59).issue("localhost")
    with HTTPServer(tls=serving(issued)) as server:

        async def scenario() -> Any:
            async with Wire(drive, verify=TRUSTING) as wire:
                return await refused(wire, server.url)

        error = drive(scenario)
    assert "\n" not in str(error)
    assert "Evil\N{REPLACEMENT CHARACTER}x" in str(error)


def test_reasons_without_better_words() -> None:
    """
    OpenSSL's own stay alone.
    """
    error = ssl.SSLError(1, "odd")
    error.reason, error.library = "ODD", "SSL"

    assert None is reason_words("ODD")
    assert "[SSL: ODD] odd" == openssl_words(error)


def test_closing_does_not_hide_the_reason(drive: Drive) -> None:
    """
    A server that closes before the handshake ends, after it spoke TLS.
    """
    with ScriptedServer([expect_bytes(1), send(b"\x16\x03\x03"), close]) as server:
        url = f"https://localhost:{server.port}"

        async def scenario() -> Any:
            async with Wire(drive, verify=TRUSTING) as wire:
                return await refused(wire, url)

        error = drive(scenario)
    assert str(error).startswith("TLS with localhost failed: ")
