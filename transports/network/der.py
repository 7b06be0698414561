"""As much of DER (ITU-T X.690) as finding a public key in a certificate, and telling kinds of keys apart, takes."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["is_der", "key_label", "public_key_of"]

INTEGER, OCTETS, SEQUENCE, VERSION = 0x02, 0x04, 0x30, 0xA0


class Element(NamedTuple):
    """One element: its tag, where it and its content begin, and where both end."""

    tag: int
    start: int
    content: int
    end: int


def is_der(data: bytes) -> bool:
    """Whether `data` is one sequence, as certificates and keys are."""
    try:
        found = _element(data, 0)
    except ValueError:
        return False
    return found.tag == SEQUENCE and found.end == len(data)


def public_key_of(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate (RFC 5280 section 4.1), whole.

    Raises:
        ValueError: that is no certificate.
    """
    to_be_signed = _element(certificate, _element(certificate, 0).content)
    fields = _inside(certificate, to_be_signed)
    # The version may be left out; then come serial number, signature, issuer, validity, subject, and the key.
    at = 6 if fields and fields[0].tag == VERSION else 5
    if len(fields) <= at or fields[at].tag != SEQUENCE:
        raise ValueError("no certificate")
    return certificate[fields[at].start : fields[at].end]


def key_label(key: bytes) -> str:
    """What a PEM file calls such a key: PKCS #8, sealed or not, PKCS #1, or SEC 1.

    Raises:
        ValueError: it is none of these.
    """
    tags = [element.tag for element in _inside(key, _element(key, 0))[:2]]
    labels = {
        (SEQUENCE, OCTETS): "ENCRYPTED PRIVATE KEY",
        (INTEGER, SEQUENCE): "PRIVATE KEY",
        (INTEGER, INTEGER): "RSA PRIVATE KEY",
        (INTEGER, OCTETS): "EC PRIVATE KEY",
    }
    try:
        return labels[tuple(tags)]  # type: ignore[index]
    except KeyError:
        raise ValueError("no private key") from None


def _inside(data: bytes, outer: Element) -> list[Element]:
    found = []
    at = outer.content
    while at < outer.end:
        found.append(_element(data, at))
        at = found[-1].end
    return found


def _element(data: bytes, at: int) -> Element:
    try:
        tag, size = data[at], data[at + 1]
        content = at + 2
        if size >= 0x80:
            # The long form: so many bytes hold the length.
            content += size & 0x7F
            size = int.from_bytes(data[at + 2 : content], "big")
    except IndexError:
        raise ValueError("cut off") from None
    if content + size > len(data):
        raise ValueError("cut off")
    return Element(tag, at, content, content + size)
