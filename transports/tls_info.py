"""What TLS agreed on, and whom the server's certificate names. Imported when somebody asks."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

__all__ = ["Certificate", "TLSInfo"]

# The customary short names (RFC 4514 section 3).
_SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """The server's certificate. What it says is known only if it was verified; else only which one it is.

    Attributes:
        subject: Whom it was issued to: "CN=example.org, O=Example".
        issuer: Who issued it.
        names: The hosts and addresses it is for.
        not_before: When its time begins, in UTC.
        expires: When its time ends, in UTC.
        fingerprint: The SHA-256 digest of it, in lower-case hexadecimal digits.
        der: The certificate itself, in DER.
    """

    subject: str | None
    issuer: str | None
    names: tuple[str, ...]
    not_before: datetime | None
    expires: datetime | None
    fingerprint: str
    der: bytes = field(repr=False)

    @classmethod
    def of(cls, tls: Any) -> Self | None:
        """The one that the other side of an `ssl.SSLObject` or `SSLSocket` showed."""
        der = tls.getpeercert(binary_form=True)
        if not der:
            return None
        told = tls.getpeercert() or {}
        return cls(
            subject=_name(told.get("subject")),
            issuer=_name(told.get("issuer")),
            names=tuple(value for _, value in told.get("subjectAltName", ())),
            not_before=_moment(told.get("notBefore")),
            expires=_moment(told.get("notAfter")),
            fingerprint=hashlib.sha256(der).hexdigest(),
            der=der,
        )


@dataclass(frozen=True, slots=True)
class TLSInfo:
    """What a handshake agreed on.

    Attributes:
        version: "TLSv1.3", say.
        cipher: The cipher suite's name.
        alpn: The protocol that the server chose (RFC 7301), "h2" for example; None if it chose none.
        resumed: Whether an earlier session was resumed, and the server showed no certificate anew.
        server_name: The name that the server was asked for (RFC 6066 section 3).
    """

    version: str | None
    cipher: str | None
    alpn: str | None
    resumed: bool
    server_name: str | None
    _tls: Any = field(repr=False, compare=False)

    @classmethod
    def of(cls, tls: Any) -> Self:
        """Of an `ssl.SSLObject` or `SSLSocket` that has shaken hands."""
        cipher = tls.cipher()
        return cls(
            version=tls.version(),
            cipher=None if cipher is None else cipher[0],
            alpn=tls.selected_alpn_protocol(),
            resumed=bool(tls.session_reused),
            server_name=tls.server_hostname,
            _tls=tls,
        )

    @property
    def certificate(self) -> Certificate | None:
        """The server's certificate; parsed each time it is asked for."""
        return Certificate.of(self._tls)


def _name(parts: Iterable[Iterable[tuple[str, str]]] | None) -> str | None:
    if parts is None:
        return None
    return ", ".join(f"{_SHORT.get(key, key)}={value}" for part in parts for key, value in part)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
