"""Pinned certificates: which certificate or public key a server must have, told by its SHA-256.

Two forms are known. The certificate's own: 64 hexadecimal digits, as browsers and `openssl x509 -fingerprint -sha256`
show it. The public key's, which outlives a renewed certificate: `sha256//` and base64, as curl and RFC 7469 have it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence

from scallion.pipeline.errors import ConnectError

from .der import public_key_of

__all__ = ["as_pin", "check_pins"]

_HEX = re.compile(r"(?:[0-9a-f]{2}:?)*[0-9a-f]{2}")
_WEAK = {16: "MD5", 20: "SHA-1"}
_KEY = "sha256//"
_CERTIFICATE = "sha256:"


def as_pin(given: object) -> str:
    """A fingerprint in the one form in which it is kept.

    Args:
        given: Hexadecimal digits, with or without colons and a leading `sha256:`; the 32 bytes themselves; or
            `sha256//` and the base64 of a public key's hash.

    Raises:
        ValueError: it is none of these, or of another hash.
        TypeError: it is no text and no bytes.
    """
    if isinstance(given, bytes):
        return _certificate_pin(given, f"{len(given)} bytes")
    if not isinstance(given, str):
        raise TypeError(f"A fingerprint is a str or bytes, not {type(given).__name__}")
    text = given.strip()
    if text.startswith(_KEY):
        try:
            digest = base64.b64decode(text.removeprefix(_KEY), validate=True)
        except binascii.Error:
            digest = b""
        if len(digest) != 32:
            raise ValueError(
                f"{given!r} is no fingerprint of a public key: expected 'sha256//' and the base64 of 32 bytes"
            )
        return _KEY + base64.b64encode(digest).decode("ascii")
    digits = text.lower().removeprefix(_CERTIFICATE)
    if not _HEX.fullmatch(digits):
        raise ValueError(
            f"{given!r} is no fingerprint: expected 64 hexadecimal digits (with or without colons), or 'sha256//' and base64"
        )
    return _certificate_pin(bytes.fromhex(digits.replace(":", "")), repr(given))


def _certificate_pin(digest: bytes, shown: str) -> str:
    if len(digest) != 32:
        of = f" of {_WEAK[len(digest)]}" if len(digest) in _WEAK else ""
        raise ValueError(
            f"{shown} is a fingerprint{of} with {len(digest)} bytes: expected SHA-256, with 32"
        )
    return _CERTIFICATE + digest.hex()


def check_pins(name: str | None, certificate: bytes | None, pins: Sequence[str]) -> None:
    """Compare what the server showed with what it should have.

    Args:
        name: Whom the certificate is for, for the error.
        certificate: The server's own, in DER.
        pins: Forms made by `as_pin`; one of them has to fit.

    Raises:
        ConnectError: none does.
    """
    actual = [] if certificate is None else _pins_of(certificate)
    if not set(pins).isdisjoint(actual):
        return
    import ssl

    shown = " and ".join(actual) if actual else "none"
    raise ConnectError(
        f"TLS with {name or 'the server'} failed: its certificate is not the one that is pinned: "
        f"expected {' or '.join(pins)}, and it has {shown}"
        # What retries and others know for a refused certificate.
    ) from ssl.SSLCertVerificationError(1, "the certificate is not the one that is pinned")


def _pins_of(certificate: bytes) -> list[str]:
    pins = [_CERTIFICATE + hashlib.sha256(certificate).hexdigest()]
    try:
        key = public_key_of(certificate)
    except ValueError:
        return pins
    return [*pins, _KEY + base64.b64encode(hashlib.sha256(key).digest()).decode("ascii")]
