"""`TLS`: what it takes in which form, what it refuses, what it shows, and the contexts it makes."""

from __future__ import annotations

import builtins
import dataclasses
import os
import pickle
import ssl
import sys
from pathlib import Path
from typing import Any

import certifi
import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

import scallion
from scallion import TLS, AsyncHTTPTransport, HTTPTransport, Proxy
from scallion.transports import tls, tls_material
from scallion.transports.tls import create_ssl_context, default_ssl_context
from support.certificates import Authority, Issued, serving
from support.colours import Drive
from support.servers import HTTPServer, ProxyServer
from support.wire import Wire

ROOT = Authority("Root")
OTHER = Authority("Other")
OWN = ROOT.below("Middle").issue("client", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
RSA = ROOT.issue(
    "client", key=rsa.generate_private_key(65537, 2048), usage=ExtendedKeyUsageOID.CLIENT_AUTH
)
SEALED = OWN.key_as(password=b"right")
PIN = "ab" * 32


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "_contexts", tls.OrderedDict())


def trusted(context: ssl.SSLContext) -> int:
    return context.cert_store_stats()["x509_ca"]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The certificate, its key, and the authority, in every form."""
    made = {
        "cert.pem": OWN.cert_pem,
        "cert.der": OWN.cert_der,
        "key.pem": OWN.key_pem,
        "key.der": OWN.key_as(form.Encoding.DER),
        "both.pem": OWN.cert_pem + OWN.key_pem,
        "ca.pem": ROOT.pem,
        "ca.der": ROOT.der,
        "crl.pem": ROOT.revoke(),
    }
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    return {name: tmp_path / name for name in made}


# The client's certificate.


def presented(drive: Drive, **settings: Any) -> str:
    """The name of the certificate that a server sees."""
    context = serving(ROOT.issue("localhost"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=ROOT.pem.decode())
    with HTTPServer(tls=context) as server:

        async def scenario() -> str:
            async with Wire(drive, verify=TLS(ca=ROOT.pem, **settings)) as wire:
                assert b"ok" == await wire.get(server.url)
                shown: Any = server.connections[0].sock
                return str(shown.getpeercert()["subjectAltName"][0][1])

        return drive(scenario)


def test_a_certificate_in_memory_is_presented(drive: Drive) -> None:
    """
    Certificate, those between it and the authority, and an encrypted key, none of which is on a disk.
    """
    assert "client" == presented(drive, cert=OWN.cert_pem, key=SEALED, password="right")


@pytest.mark.parametrize(
    ("cert", "key"),
    [
        ("cert.pem", "key.pem"),
        ("cert.der", "key.der"),
        ("cert.pem", "key.der"),
        ("both.pem", None),
    ],
)
def test_a_certificate_in_files(files: dict[str, Path], cert: str, key: str | None) -> None:
    """
    As text or as a Path, in PEM or DER.
    """
    TLS(cert=files[cert], key=key and files[key])
    TLS(cert=str(files[cert]), key=key and str(files[key]))


@pytest.mark.parametrize(
    ("issued", "kind"), [(OWN, "PKCS8"), (OWN, "TraditionalOpenSSL"), (RSA, "TraditionalOpenSSL")]
)
@pytest.mark.parametrize("encoding", ["PEM", "DER"])
def test_each_kind_of_key(issued: Issued, kind: str, encoding: str) -> None:
    """
    PKCS #8, and the older ones of RSA and of elliptic curves.
    """
    key = issued.key_as(getattr(form.Encoding, encoding), getattr(form.PrivateFormat, kind))

    TLS(cert=issued.cert_pem, key=key)
    TLS(cert=issued.cert_der, key=key)


@pytest.mark.parametrize("password", ["right", b"right", lambda: "right", lambda: b"right"])
@pytest.mark.parametrize("encoding", ["PEM", "DER"])
def test_a_password_opens_the_key(password: Any, encoding: str) -> None:
    """
    Text, bytes, or a function that is called when the key is needed.
    """
    key = OWN.key_as(getattr(form.Encoding, encoding), password=b"right")

    create_ssl_context(TLS(cert=OWN.cert_pem, key=key, password=password))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"key": RSA.key_pem}, "the key does not belong to the certificate"),
        (
            {"key": ROOT.own.key_pem},
            "the key does not belong to the certificate",
        ),
        ({"key": SEALED, "password": "wrong"}, "the password does not open the key"),
        ({"key": SEALED}, "the key is encrypted: give its password="),
        ({}, "there is no certificate, or no private key, that can be read"),
        ({"key": OWN.cert_pem}, "there is no certificate, or no private key"),
        ({"key": "-----BEGIN PRIVATE KEY-----\nnonsense"}, "there is no certificate, or no"),
    ],
)
def test_a_key_that_does_not_fit_is_refused_at_once(settings: dict[str, Any], words: str) -> None:
    """
    When the settings are made, with what is wrong; nothing of keys and passwords is shown, and no terminal is asked.
    """
    with pytest.raises(ssl.SSLError, match=words) as info:
        TLS(cert=OWN.cert_pem, **settings)

    assert "BEGIN" not in str(info.value)
    assert "wrong" not in str(info.value)


def test_a_wrong_password_that_is_called_for_is_found_when_the_client_is_made() -> None:
    """
    Making the settings asks nobody; making a client does.
    """
    settings = TLS(cert=OWN.cert_pem, key=SEALED, password=lambda: "wrong")

    for make in (HTTPTransport, AsyncHTTPTransport, scallion.Client):
        with pytest.raises(ssl.SSLError, match="the password does not open the key"):
            make(verify=settings)


def test_files_that_are_missing_are_named() -> None:
    """
    The path, and the argument that gave it.
    """
    with pytest.raises(FileNotFoundError, match=r"given by TLS\(cert.*missing\.pem"):
        TLS(cert="missing.pem")
    for argument in ("ca", "crl"):
        with pytest.raises(FileNotFoundError, match=rf"given by {argument}=.*missing\.pem"):
            HTTPTransport(verify=TLS(**{argument: "missing.pem"}))


def test_files_that_hold_something_else_are_named(tmp_path: Path) -> None:
    """
    The path stands in the error.
    """
    path = tmp_path / "nothing.pem"
    path.write_text("nothing")

    for argument in ("ca", "crl"):
        with pytest.raises(ssl.SSLError, match=rf"given by {argument}= .*nothing\.pem"):
            HTTPTransport(verify=TLS(**{argument: path}))
    with pytest.raises(ssl.SSLError, match=r"cert=.*nothing\.pem'"):
        TLS(cert=path, key=OWN.key_pem)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="the system has no files in memory")
def test_what_is_in_memory_touches_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where the system has files without a name.
    """
    monkeypatch.setattr(tls_material.tempfile, "mkstemp", None)

    TLS(cert=OWN.cert_pem, key=OWN.key_pem)


def test_elsewhere_a_private_file_holds_it_for_a_moment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    Readable for its owner alone, and gone afterwards, also when it was no good.
    """
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tls_material.tempfile, "tempdir", str(tmp_path))
    seen = []
    load = ssl.SSLContext.load_cert_chain

    def watch(context: ssl.SSLContext, *files: Any) -> None:
        seen.extend((Path(path).parent, Path(path).stat().st_mode & 0o777) for path in files[:2])
        load(context, *files)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watch)

    TLS(cert=OWN.cert_pem, key=OWN.key_pem)
    with pytest.raises(ssl.SSLError):
        TLS(cert=OWN.cert_pem, key=RSA.key_pem)

    assert 4 * [(tmp_path, 0o600)] == seen
    assert [] == list(tmp_path.iterdir())


# Whom to trust.


@pytest.mark.parametrize("given", ["ca.pem", "ca.der", "memory", "text", "der"])
def test_an_authority_of_ones_own(drive: Drive, files: dict[str, Path], given: str) -> None:
    """
    In a file or in memory, PEM or DER; it alone is trusted.
    """
    memory = {"memory": ROOT.pem, "text": ROOT.pem.decode(), "der": ROOT.der}
    settings = TLS(ca=files[given] if given in files else memory[given])
    with HTTPServer(tls=serving(ROOT.issue("localhost"))) as server:

        async def scenario() -> None:
            async with Wire(drive, verify=settings) as wire:
                assert b"ok" == await wire.get(server.url)

        drive(scenario)
    assert 1 == trusted(create_ssl_context(settings))


def test_authorities_in_a_directory(tmp_path: Path) -> None:
    """
    They are loaded when they are needed.
    """
    assert 0 == trusted(create_ssl_context(TLS(ca=tmp_path)))


def test_an_authority_beside_certifi() -> None:
    """
    With trust= both count, whatever the environment says.
    """
    theirs = trusted(ssl.create_default_context(cafile=certifi.where()))

    assert theirs == trusted(create_ssl_context(TLS()))
    assert theirs + 1 == trusted(create_ssl_context(TLS(ca=ROOT.pem, trust="certifi")))
    assert 1 == trusted(create_ssl_context(TLS(ca=ROOT.pem, trust="ca")))


def test_the_environment_counts_by_default_alone(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    SSL_CERT_FILE replaces certifi where nobody asked for it by name.
    """
    monkeypatch.setenv("SSL_CERT_FILE", str(files["ca.pem"]))

    assert 1 == trusted(create_ssl_context(TLS()))
    assert 1 < trusted(create_ssl_context(TLS(), trust_env=False))
    assert 1 < trusted(create_ssl_context(TLS(trust="certifi")))


def test_nobody_is_checked_if_asked_for() -> None:
    """
    trust="any" is verify=False, with what else is set.
    """
    context = create_ssl_context(TLS(trust="any", minimum_version="TLSv1.3"))

    assert ssl.CERT_NONE == context.verify_mode
    assert not context.check_hostname
    assert ssl.TLSVersion.TLSv1_3 == context.minimum_version


def test_the_systems_authorities(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    By truststore; on Linux it trusts what OpenSSL finds, and one's own authority besides.
    """
    truststore = pytest.importorskip("truststore", reason="install truststore")
    settings = TLS(trust="system", ca=ROOT.pem, minimum_version="TLSv1.3")
    with HTTPServer(tls=serving(ROOT.issue("localhost"))) as server:

        async def scenario() -> None:
            async with Wire(drive, verify=settings) as wire:
                for _ in range(2):
                    response = await wire.open("GET", server.url, headers={"connection": "close"})
                    assert b"ok" == await wire.read(response)
            async with Wire(drive, verify=TLS(trust="system")) as wire:
                with pytest.raises(scallion.ConnectError, match="authority that is not trusted"):
                    await wire.open("GET", server.url)

        drive(scenario)
    assert type(create_ssl_context(settings)) is truststore.SSLContext


def test_truststore_is_asked_for_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    As soon as the settings are made.
    """
    find = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "truststore":
            raise ImportError(name)
        return find(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "truststore", raising=False)

    with pytest.raises(ImportError, match=r"pip install 'scallion\[truststore\]'"):
        TLS(trust="system")


def test_a_name_need_not_fit(drive: Drive) -> None:
    """
    check_hostname=False takes a certificate of a trusted authority for whatever host.
    """
    with HTTPServer(tls=serving(ROOT.issue("other.example"))) as server:

        async def scenario() -> None:
            async with Wire(drive, verify=TLS(ca=ROOT.pem, check_hostname=False)) as wire:
                assert b"ok" == await wire.get(server.url)
            async with Wire(drive, verify=TLS(ca=OTHER.pem, check_hostname=False)) as wire:
                with pytest.raises(scallion.ConnectError, match="not trusted"):
                    await wire.get(server.url)

        drive(scenario)


# What is refused.


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"ca": 1}, TypeError, "ca= takes the path of a file, PEM"),
        ({"ca": ""}, ValueError, "ca= is empty"),
        ({"ca": b"ca.pem"}, ValueError, "The 6 bytes given as ca= are neither PEM nor DER"),
        ({"cert": OWN.cert_pem, "key": b"\x30\x00"}, ValueError, "given as key= are neither"),
        ({"key": OWN.key_pem}, ValueError, "give cert="),
        ({"password": "secret"}, ValueError, "give cert="),
        ({"trust": "nobody"}, ValueError, "trust= is one of any, ca, certifi, fingerprints"),
        ({"trust": "ca"}, ValueError, "give ca="),
        ({"trust": "any", "ca": ROOT.pem}, ValueError, "asks no authority"),
        ({"trust": "fingerprints"}, ValueError, "give fingerprints="),
        ({"trust": "any", "fingerprints": PIN}, ValueError, "say trust='fingerprints'"),
        ({"fingerprints": "ab" * 20}, ValueError, "of SHA-1 with 20 bytes: expected SHA-256"),
        ({"fingerprints": b"ab"}, ValueError, "2 bytes is a fingerprint with 2 bytes"),
        ({"fingerprints": "sha256//AAAA"}, ValueError, "the base64 of 32 bytes"),
        ({"fingerprints": "sha256//%"}, ValueError, "the base64 of 32 bytes"),
        ({"fingerprints": "nonsense"}, ValueError, "expected 64 hexadecimal digits"),
        ({"fingerprints": [1]}, TypeError, "is a str or bytes, not int"),
        ({"minimum_version": "1.2"}, ValueError, "minimum_version= is one of TLSv1, TLSv1.1"),
        ({"minimum_version": 1.2}, ValueError, "minimum_version= is one of"),
        (
            {"minimum_version": "TLSv1.3", "maximum_version": "TLSv1.2"},
            ValueError,
            "'TLSv1.2' is below minimum_version='TLSv1.3'",
        ),
        ({"server_hostname": b"a"}, TypeError, "name is a str, not bytes"),
    ],
)
def test_bad_settings_are_refused(
    settings: dict[str, Any], error: type[Exception], words: str
) -> None:
    """
    When they are made, with what would be right.
    """
    with pytest.raises(error) as info:
        TLS(**settings)

    assert words in str(info.value)
    assert "secret" not in str(info.value)


def test_unknown_ciphers_are_refused_when_the_client_is_made() -> None:
    """
    OpenSSL knows which there are.
    """
    with pytest.raises(ValueError, match="OpenSSL knows none of ciphers='NONSENSE'"):
        HTTPTransport(verify=TLS(ciphers="NONSENSE"))


def test_two_certificates_are_one_too_many(files: dict[str, Path]) -> None:
    """
    cert= beside a TLS is its certificate, unless that has one.
    """
    both = str(files["both.pem"])
    HTTPTransport(verify=TLS(ca=ROOT.pem), cert=both)

    with pytest.raises(TypeError, match="two certificates: give one"):
        HTTPTransport(verify=TLS(cert=both), cert=both)


@pytest.mark.parametrize("given", [1, b"x", object()])
def test_a_proxy_s_context_of_another_kind_is_refused(given: Any) -> None:
    """
    When the transport is made.
    """
    with pytest.raises(TypeError, match="ssl_context= takes"):
        HTTPTransport(proxy=Proxy("https://proxy.example", ssl_context=given))


# The value.


def test_settings_are_equal_by_what_they_say() -> None:
    """
    They are hashable, and PEM is the same as text and as bytes, a fingerprint in each of its forms.
    """
    ours = TLS(ca=ROOT.pem, cert=OWN.cert_pem, key=OWN.key_pem, fingerprints=[PIN])
    theirs = TLS(
        ca=ROOT.pem.decode(),
        cert=OWN.cert_pem.decode(),
        key=OWN.key_pem,
        fingerprints=":".join(["AB"] * 32),
        minimum_version=ssl.TLSVersion.TLSv1_2,  # type: ignore[arg-type]
    )

    assert ours == theirs
    assert hash(ours) == hash(theirs)
    assert ours == pickle.loads(pickle.dumps(ours))
    assert ours != dataclasses.replace(ours, check_hostname=False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        ours.ca = None  # type: ignore[misc]


def test_secrets_are_not_shown(files: dict[str, Path]) -> None:
    """
    Paths are; what is in memory, and passwords, are not.
    """
    assert "TLS()" == repr(TLS())
    assert (
        "TLS(ca=<PEM>, cert=<PEM>, key=<PEM>, password='********', minimum_version='TLSv1.3')"
        == repr(
            TLS(
                ca=ROOT.der,
                cert=OWN.cert_pem,
                key=SEALED,
                password="right",
                minimum_version="TLSv1.3",
            )
        )
    )
    path = str(files["both.pem"])
    assert f"TLS(cert={path!r})" == repr(TLS(cert=path))
    assert f"TLS(trust='fingerprints', fingerprints=('sha256:{PIN}',))" == repr(
        TLS(trust="fingerprints", fingerprints=PIN)
    )


def test_equal_settings_share_a_context(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Within the process; a file that has changed makes for another, and so does the environment.
    """

    def context(path: Path, **settings: Any) -> ssl.SSLContext:
        return default_ssl_context(TLS(ca=path, **settings), None, True, ("http/1.1",))

    path = files["ca.pem"]
    first = context(path)

    assert first is context(path)
    assert first is not context(path, check_hostname=False)
    os.utime(path, ns=(1, 1))
    renewed = context(path)
    assert first is not renewed
    assert renewed is context(path)


def test_a_clients_files_are_read_when_it_is_made(files: dict[str, Path]) -> None:
    """
    TLS settings outlive a renewed certificate: they hold the path.
    """
    settings = TLS(ca=files["ca.pem"])
    files["ca.pem"].write_bytes(OTHER.pem + ROOT.pem)

    assert 2 == trusted(create_ssl_context(settings))


def test_a_proxy_takes_settings_too(drive: Drive) -> None:
    """
    With a name of its own to check, and a certificate of the client's for the proxy alone.
    """
    context = serving(ROOT.issue("proxy.example"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=ROOT.pem.decode())
    settings = TLS(ca=ROOT.pem, cert=OWN.cert_pem, key=OWN.key_pem, server_hostname="proxy.example")
    with ProxyServer(tls=context) as proxy, HTTPServer() as server:

        async def scenario() -> None:
            async with Wire(drive, proxy=Proxy(proxy.url, ssl_context=settings)) as wire:
                assert b"ok" == await wire.get(server.url)

        drive(scenario)
        assert 1 == len(proxy.requests)


def test_blank_contexts_are_as_python_makes_them() -> None:
    """
    But for the least version, and for what they trust.
    """
    theirs = ssl.create_default_context()
    ours = create_ssl_context()

    for name in ("check_hostname", "options", "security_level", "verify_flags", "verify_mode"):
        assert getattr(theirs, name) == getattr(ours, name)
    assert theirs.get_ciphers() == ours.get_ciphers()
