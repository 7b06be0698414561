"""SSL contexts: what they trust, what they present, and when they are shared."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import certifi
import pytest
import trustme

from scallion import TLS, AsyncHTTPTransport, HTTPTransport
from scallion.transports import tls
from scallion.transports.tls import create_ssl_context, default_ssl_context, known_ssl_context

HTTP1 = ("http/1.1",)
HTTP2 = ("h2", "http/1.1")


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """A file that trusts one authority."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def own(authority: trustme.CA, tmp_path: Path) -> str:
    """The client's certificate, its key in the same file."""
    path = tmp_path / "client.pem"
    authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(path)
    return str(path)


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "_contexts", tls.OrderedDict())


def trusted(context: ssl.SSLContext) -> int:
    return context.cert_store_stats()["x509_ca"]


def handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[Any, Any]:
    """Both ends of a handshake in memory."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(down, up, server_hostname="localhost")
    theirs = server.wrap_bio(up, down, server_side=True)
    for end in (ours, theirs) * 3:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return ours, theirs


@pytest.fixture
def server(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.configure_trust(context)
    authority.issue_cert("localhost").configure_cert(context)
    context.set_alpn_protocols(list(HTTP2))
    return context


# What is trusted.


def test_certifi_is_trusted_by_default() -> None:
    """
    Certificates and names are checked against certifi's bundle, with TLS 1.2 at least.
    """
    context = create_ssl_context()

    expected = ssl.create_default_context(cafile=certifi.where())
    assert trusted(expected) == trusted(context)
    assert ssl.CERT_REQUIRED == context.verify_mode
    assert context.check_hostname
    assert ssl.TLSVersion.TLSv1_2 == context.minimum_version


def test_nothing_is_checked_when_told_so() -> None:
    """
    verify=False accepts any certificate for any name.
    """
    context = create_ssl_context(verify=False)

    assert ssl.CERT_NONE == context.verify_mode
    assert not context.check_hostname
    assert ssl.TLSVersion.TLSv1_2 == context.minimum_version


def test_a_file_is_trusted_instead(bundle: str) -> None:
    """
    The path of a file, as text or as a Path, replaces the default.
    """
    assert 1 == trusted(create_ssl_context(bundle))
    assert 1 == trusted(create_ssl_context(Path(bundle)))


def test_a_directory_is_trusted_instead(tmp_path: Path) -> None:
    """
    Certificates in a directory are loaded when they are needed, so none are there yet.
    """
    assert 0 == trusted(create_ssl_context(str(tmp_path)))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """
    A path that leads nowhere fails when the context is made, not at the first handshake.
    """
    with pytest.raises(FileNotFoundError):
        create_ssl_context(str(tmp_path / "missing.pem"))


def test_the_environment_has_a_say(
    bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    SSL_CERT_FILE goes before SSL_CERT_DIR, and both before certifi, unless trust_env is off.
    """
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert 0 == trusted(create_ssl_context())
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    assert 1 == trusted(create_ssl_context())
    assert 1 < trusted(create_ssl_context(trust_env=False))


def test_a_context_is_used_as_it_is() -> None:
    """
    A context passes through unchanged.
    """
    given = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    assert given is create_ssl_context(given)


# What is presented.


@pytest.mark.parametrize("verify_by", ["file", "context"])
def test_the_clients_certificate_is_presented(
    bundle: str, own: str, server: ssl.SSLContext, verify_by: str
) -> None:
    """
    The server sees the client's certificate, whatever the trust comes from.
    """
    server.verify_mode = ssl.CERT_REQUIRED
    verify = bundle if verify_by == "file" else ssl.create_default_context(cafile=bundle)

    _, theirs = handshake(create_ssl_context(verify, own), server)

    assert (("DNS", "client"),) == theirs.getpeercert()["subjectAltName"]


def test_the_key_may_lie_apart_and_have_a_password(authority: trustme.CA, tmp_path: Path) -> None:
    """
    Certificate, key and password as a tuple; a wrong password is an error.
    """
    from cryptography.hazmat.primitives import serialization as form

    issued = authority.issue_cert("client")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(cert)
    loaded = form.load_pem_private_key(issued.private_key_pem.bytes(), None)
    locked = form.BestAvailableEncryption(b"right")
    key.write_bytes(
        loaded.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, locked),
    )

    create_ssl_context(False, (str(cert), str(key), "right"))
    with pytest.raises(ssl.SSLError):
        create_ssl_context(False, (str(cert), str(key), "wrong"))


# What is refused.


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"verify": "missing.pem"}, "given by verify="),
        ({"verify": Path("missing.pem")}, "given by verify="),
        ({"cert": "missing.pem"}, "given by cert="),
        ({"cert": ("missing.pem", "key.pem")}, "given by cert="),
        ({"verify": False, "cert": "missing.pem"}, "given by cert="),
    ],
)
def test_a_missing_file_is_named(settings: dict[str, Any], named: str) -> None:
    """
    As soon as the transport is made: what is missing, and who asked for it, both of which OpenSSL keeps to itself.
    """
    for make in (create_ssl_context, HTTPTransport, AsyncHTTPTransport):
        with pytest.raises(FileNotFoundError, match=named) as info:
            make(**settings)
        assert "missing.pem" == info.value.filename
        assert "missing.pem" in str(info.value)


def test_a_file_that_holds_no_certificate_is_named(tmp_path: Path) -> None:
    """
    The error stays OpenSSL's, with the path in it.
    """
    path = tmp_path / "nothing.pem"
    path.write_text("nothing")

    for settings in ({"verify": str(path)}, {"cert": str(path)}):
        with pytest.raises(ssl.SSLError, match=r"given by (verify|cert)= .*nothing\.pem"):
            HTTPTransport(**settings)  # type: ignore[arg-type]


def test_a_given_context_is_left_alone_until_it_is_needed(
    bundle: str, server: ssl.SSLContext
) -> None:
    """
    Making a transport changes nothing of what it offers.
    """
    given = ssl.create_default_context(cafile=bundle)
    HTTPTransport(verify=given, http2=True)

    assert None is handshake(given, server)[0].selected_alpn_protocol()


def test_a_missing_file_of_the_environment_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    SSL_CERT_FILE is looked at when the transport is made, unless it is of no matter there.
    """
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))

    with pytest.raises(FileNotFoundError, match="the environment's SSL_CERT_FILE"):
        HTTPTransport()
    HTTPTransport(trust_env=False)
    HTTPTransport(verify=False)
    HTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def test_the_environment_s_file_is_not_read_for_nothing(
    bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A transport that never speaks TLS builds no context.
    """
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    HTTPTransport()

    assert 0 == len(tls._contexts)


@pytest.mark.parametrize("verify", [1, 0, b"ca.pem", object(), ["ca.pem"]])
def test_verify_of_another_kind_is_refused(verify: Any) -> None:
    """
    In the list of differences: "settings are validated". Httpx fails at the first connection, if at all.
    """
    for make in (create_ssl_context, HTTPTransport):
        with pytest.raises(TypeError, match=r"verify= takes True, False, the path"):
            make(verify)


def test_no_verify_at_all_is_the_default() -> None:
    """
    None checks certificates, as in httpx.
    """
    assert ssl.CERT_REQUIRED == create_ssl_context(None).verify_mode  # type: ignore[arg-type]
    HTTPTransport(verify=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("cert", [1, b"x", ("a", "b", "secret", "d"), {"a": "secret"}])
def test_cert_of_another_kind_is_refused(cert: Any) -> None:
    """
    Without showing it, since a password may be part of it.
    """
    for make in (create_ssl_context, HTTPTransport):
        with pytest.raises(TypeError, match="cert= takes a path") as info:
            make(cert=cert)
        assert "secret" not in str(info.value)


def test_cert_forms(own: str) -> None:
    """
    A path as text or as a Path, and a tuple or list of it.
    """
    for cert in (own, Path(own), (own,), (own, None), [own, own], (own, own, None), (), None):
        create_ssl_context(False, cert)  # type: ignore[arg-type]
        HTTPTransport(verify=False, cert=cert)  # type: ignore[arg-type]


# What is shared.


def test_one_context_per_setting(bundle: str) -> None:
    """
    The same settings share a context; others have their own.
    """
    context = default_ssl_context(bundle, None, True, HTTP1)

    assert context is default_ssl_context(bundle, None, True, HTTP1)
    assert context is not default_ssl_context(bundle, None, True, HTTP2)
    assert context is not default_ssl_context(bundle, None, False, HTTP1)
    assert context is not default_ssl_context(False, None, True, HTTP1)


def test_what_was_made_is_known(bundle: str) -> None:
    """
    Who must not wait learns first whether there is anything to build; a user's own context needs none.
    """
    assert known_ssl_context(bundle, None, True, HTTP1) is None

    made = default_ssl_context(bundle, None, True, HTTP1)

    assert made is known_ssl_context(bundle, None, True, HTTP1)
    assert made is known_ssl_context(made, None, True, HTTP1)
    assert known_ssl_context(bundle, None, True, HTTP2) is None
    assert known_ssl_context(made, "own.pem", True, HTTP1) is None


def test_another_environment_is_another_context(
    bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What SSL_CERT_FILE names is part of the setting.
    """
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    context = default_ssl_context(True, None, True, HTTP1)
    assert context is default_ssl_context(True, None, True, HTTP1)

    monkeypatch.delenv("SSL_CERT_FILE")
    assert context is not default_ssl_context(True, None, True, HTTP1)


def test_a_renewed_certificate_is_another_context(bundle: str, own: str) -> None:
    """
    A file that changed on disk is loaded again.
    """
    context = default_ssl_context(bundle, (own, None), True, HTTP1)
    assert context is default_ssl_context(bundle, (own, None), True, HTTP1)

    for path in (own, bundle):
        os.utime(path, ns=(1, 1))
        renewed = default_ssl_context(bundle, (own, None), True, HTTP1)
        assert context is not renewed
        context = renewed


def test_the_cache_is_bounded(bundle: str) -> None:
    """
    The setting that was not asked for the longest is forgotten.
    """
    kept = default_ssl_context(bundle, None, True, HTTP1)
    first = default_ssl_context(bundle, None, True, ("0",))
    for number in range(1, 31):
        default_ssl_context(bundle, None, True, (str(number),))
    assert kept is default_ssl_context(bundle, None, True, HTTP1)
    default_ssl_context(bundle, None, True, ("31",))

    assert kept is default_ssl_context(bundle, None, True, HTTP1)
    assert first is not default_ssl_context(bundle, None, True, ("0",))
    assert 32 == len(tls._contexts)


def test_threads_share_a_context(bundle: str) -> None:
    """
    Threads that ask at the same time get the same one.
    """
    barrier = threading.Barrier(4)
    found = []

    def ask() -> None:
        barrier.wait(5)
        found.append(default_ssl_context(bundle, None, True, HTTP1))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)

    assert 4 == len(found)
    assert 1 == len(set(found))


@pytest.mark.parametrize(("alpn", "expected"), [(HTTP1, "http/1.1"), (HTTP2, "h2"), ((), None)])
def test_the_protocols_are_offered(
    bundle: str, server: ssl.SSLContext, alpn: tuple[str, ...], expected: str | None
) -> None:
    """
    The server picks from what the context offers.
    """
    context = default_ssl_context(bundle, None, True, alpn)

    ours, _ = handshake(context, server)

    assert expected == ours.selected_alpn_protocol()


def test_a_users_context_offers_what_is_needed(bundle: str, server: ssl.SSLContext) -> None:
    """
    A user's context is neither kept nor touched for HTTP/1.1; for HTTP/2 it must offer that, and then take it back.
    """
    given = ssl.create_default_context(cafile=bundle)
    offered = []
    for alpn in (HTTP1, HTTP2, HTTP1):
        assert given is default_ssl_context(given, None, True, alpn)
        offered.append(handshake(given, server)[0].selected_alpn_protocol())

    assert [None, "h2", "http/1.1"] == offered
    assert 0 == len(tls._contexts)


def test_importing_loads_neither_ssl_nor_certifi() -> None:
    """
    A program that speaks no TLS does not pay for it.
    """
    program = (
        "import sys; import scallion.transports.tls;"
        "print([m for m in ('ssl', 'certifi', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert b"[]" == done.stdout.strip()


# Secrets for tools that decrypt.


@pytest.mark.parametrize("verify", ["file", False, "settings"])
def test_secrets_are_written_where_the_environment_says(
    bundle: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verify: Any,
    server: ssl.SSLContext,
) -> None:
    """
    SSLKEYLOGFILE, for each kind of setting but a context of the user's own, and only with trust_env.
    """
    path = tmp_path / "keys.log"
    given = {"file": bundle, "settings": TLS(ca=bundle)}.get(verify, verify)
    monkeypatch.setenv("SSLKEYLOGFILE", str(path))

    handshake(default_ssl_context(given, None, False, HTTP1), server)
    assert not path.exists()
    handshake(default_ssl_context(given, None, True, HTTP1), server)

    labels = {line.split()[0] for line in path.read_text().splitlines() if line[0] != "#"}
    assert {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"} <= labels


def test_a_file_for_secrets_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    When the transport is made, as whoever set the variable waits for lines in it.
    """
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "missing" / "keys.log"))

    for verify in (True, False):
        for make in (HTTPTransport, AsyncHTTPTransport, create_ssl_context):
            with pytest.raises(FileNotFoundError, match="given by the environment's SSLKEYLOGFILE"):
                make(verify)
    HTTPTransport(trust_env=False)
    HTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
