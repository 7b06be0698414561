"""Certificates with something wrong, or something in particular, made on the fly; and servers' contexts with them."""

from __future__ import annotations

import datetime as dt
import ssl
import tempfile
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["DAY", "NOW", "Authority", "Issued", "self_signed", "serving", "weak_key"]

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate, those that lead to its authority, and its key."""

    certificate: x509.Certificate
    key: Any
    above: tuple[x509.Certificate, ...] = ()

    @property
    def cert_pem(self) -> bytes:
        return b"".join(
            each.public_bytes(serialization.Encoding.PEM)
            for each in (self.certificate, *self.above)
        )

    @property
    def cert_der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        return self.key_as()

    def key_as(
        self,
        encoding: Any = serialization.Encoding.PEM,
        form: Any = serialization.PrivateFormat.PKCS8,
        password: bytes | None = None,
    ) -> bytes:
        sealed: Any = (
            serialization.NoEncryption()
            if password is None
            else serialization.BestAvailableEncryption(password)
        )
        data: bytes = self.key.private_bytes(encoding, form, sealed)
        return data

    @property
    def public_key_der(self) -> bytes:
        return self.certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )


class Authority:
    """Issues certificates; `name` is its own."""

    def __init__(self, name: str = "Authority", **settings: Any) -> None:
        self.own = _issue(name, None, authority=True, **settings)

    @property
    def pem(self) -> bytes:
        return self.own.cert_pem

    @property
    def der(self) -> bytes:
        return self.own.cert_der

    def below(self, name: str, **settings: Any) -> Authority:
        """An authority that this one vouches for."""
        found = object.__new__(Authority)
        found.own = _issue(name, self.own, authority=True, **settings)
        return found

    def issue(self, *hosts: str, **settings: Any) -> Issued:
        return _issue("server", self.own, *hosts, **settings)

    def revoke(self, *issued: Issued) -> bytes:
        """A list of what was revoked, in PEM."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.own.certificate.subject)
            .last_update(NOW - DAY)
            .next_update(NOW + DAY)
        )
        for each in issued:
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(each.certificate.serial_number)
                .revocation_date(NOW - DAY)
            )
            builder = builder.add_revoked_certificate(entry.build())
        signed = builder.sign(self.own.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)


def _issue(
    name: str,
    issuer: Issued | None,
    *hosts: str,
    authority: bool = False,
    start: dt.datetime = NOW - DAY,
    end: dt.datetime = NOW + DAY,
    key: Any = None,
    usage: Any = ExtendedKeyUsageOID.SERVER_AUTH,
) -> Issued:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    above = (issuer or Issued(None, key)).key  # type: ignore[arg-type]
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), critical=False
    )
    if authority:
        builder = builder.add_extension(_SIGNS, critical=True)
    else:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if hosts:
        names = x509.SubjectAlternativeName([_general(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    chain = () if issuer is None else (issuer.certificate, *issuer.above)
    return Issued(builder.sign(above, hashes.SHA256()), key, chain)


_SIGNS = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def self_signed(*hosts: str) -> Issued:
    """Nobody's certificate but its own."""
    return _issue("server", None, *hosts)


def weak_key() -> Any:
    return rsa.generate_private_key(65537, 1024)


def serving(issued: Issued, *, weak: bool = False, whole: bool = True) -> ssl.SSLContext:
    """A server's context.

    Args:
        issued: What it shows.
        weak: Whether OpenSSL lets it show what is weak.
        whole: Whether those that lead to its authority are sent too.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if weak:
        context.set_ciphers("DEFAULT@SECLEVEL=0")
    pem = issued.cert_pem if whole else Issued(issued.certificate, None).cert_pem
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "both.pem")
        path.write_bytes(pem + issued.key_pem)
        context.load_cert_chain(path)
    return context
