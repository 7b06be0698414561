"""Why a TLS handshake failed, in words: what is wrong with which certificate, who speaks what else than TLS.

Each message has OpenSSL's own words at its end, `[SSL: CERTIFICATE_VERIFY_FAILED] ...`, for those who look for them.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from scallion.pipeline.errors import ConnectError

from .alerts import openssl_words, reason_words

__all__ = ["handshake_failed"]

Certificate: TypeAlias = dict[str, Any]
"""As `SSLObject.getpeercert` has it."""

_MOST_NAMES = 5
_LONGEST_TEXT = 100
# The first byte of what a TLS server may say first: an alert, a handshake.
_TLS_RECORDS = (0x15, 0x16)
_OF_VERSIONS = frozenset(
    {
        "NO_PROTOCOLS_AVAILABLE",
        "PROTOCOL_VERSION",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "UNSUPPORTED_PROTOCOL",
        "VERSION_TOO_LOW",
        "WRONG_SSL_VERSION",
    }
)


def handshake_failed(
    name: str | None,
    error: BaseException,
    *,
    context: ssl.SSLContext,
    tls: ssl.SSLObject | None = None,
    first: bytes = b"",
) -> ConnectError:
    """The error that says so.

    Args:
        name: Whom the handshake was with.
        error: OpenSSL's, or the system's.
        context: Whose settings held.
        tls: The connection, for what the server has shown of itself.
        first: The first bytes that the server sent.
    """
    return ConnectError(
        f"TLS with {name or 'the server'} failed: {_reason(name, error, context, tls, first)}"
    )


def _reason(
    name: str | None,
    error: BaseException,
    context: ssl.SSLContext,
    tls: ssl.SSLObject | None,
    first: bytes,
) -> str:
    # Cases: no error of OpenSSL's; a certificate that it refuses; a server that speaks no TLS, or another; the rest.
    if not isinstance(error, ssl.SSLError):
        number, text = getattr(error, "errno", None), getattr(error, "strerror", None)
        return f"[Errno {number}] {text}" if number and text else str(error) or type(error).__name__
    words: str | None
    if isinstance(error, ssl.SSLCertVerificationError):
        words = _certificate_words(name, error, _chain_of(tls))
    elif first and (first[0] not in _TLS_RECORDS or first[1:2] not in (b"\x03", b"")):
        words = _no_tls(first)
    elif error.reason in _OF_VERSIONS:
        words = (
            f"the server speaks no TLS version of those that are allowed here: {_versions(context)}"
        )
    elif isinstance(error, ssl.SSLEOFError) and not first:
        words = "the server closed the connection and said nothing; it may speak no TLS"
    else:
        words = reason_words(error.reason or "")
    return f"{words} {openssl_words(error)}" if words else openssl_words(error)


def _no_tls(first: bytes) -> str:
    if first.startswith(b"HTTP/"):
        return "the server speaks plain HTTP on this port, not TLS: is its URL http://, or the port another?"
    return f"the server speaks no TLS on this port; it said {first[:20]!r}"


def _versions(context: ssl.SSLContext) -> str:
    lowest, highest = context.minimum_version, context.maximum_version
    least = "" if lowest < 0 else lowest.name.replace("_", ".")
    most = "" if highest < 0 else highest.name.replace("_", ".")
    if least == most:
        return least or "any"
    if not most:
        return f"{least} and later"
    return f"{least or 'any'} to {most}"


# Certificates


def _chain_of(tls: ssl.SSLObject | None) -> list[Certificate]:
    """The certificates as far as OpenSSL put them together, the server's own first; none if it does not tell."""
    chain: list[Certificate] = []
    # Python 3.13 made this public for DER alone; certificates that say what is in them are still to be had so only.
    with contextlib.suppress(Exception):
        for found in tls._sslobj.get_verified_chain():  # type: ignore[union-attr]
            chain.append(found.get_info())  # noqa: PERF401
    return chain


def _certificate_words(
    name: str | None, error: ssl.SSLCertVerificationError, chain: list[Certificate]
) -> str | None:
    """What is wrong, by OpenSSL's X509_V_ERR number; None for what it says well enough itself."""
    code = getattr(error, "verify_code", 0)
    write = _WRITERS.get(code)
    if write is not None:
        return write(chain)
    if code in (62, 64):
        return _for_others(name, chain)
    return _WRONG.get(code)


_WRONG = {
    3: "its certificate could not be looked up in a revocation list (CRL): there is none of its issuer",
    7: "its certificate's signature is wrong",
    12: "the revocation list (CRL) has expired",
    22: "its chain of certificates is too long",
    23: "its certificate is revoked",
    24: "its certificate was issued by one that is no authority",
    25: "its chain of certificates is longer than an authority in it permits",
    26: "its certificate is not meant for servers",
    66: "its certificate's key is too weak",
    67: "the key of an authority of its certificate is too weak",
    68: "its certificate, or an authority's, is signed with a digest that is too weak",
}


def _expired(chain: list[Certificate]) -> str:
    return _out_of_time(chain, "notAfter", "has expired", lambda end, now: end < now)


def _premature(chain: list[Certificate]) -> str:
    words = _out_of_time(chain, "notBefore", "is not yet valid", lambda start, now: start > now)
    return f"{words}; is this machine's clock right?"


def _out_of_time(
    chain: list[Certificate], field: str, words: str, wrong: Callable[[float, float], bool]
) -> str:
    """Which of the certificates it is that OpenSSL complains of, and its date."""
    now = time.time()
    for place, certificate in enumerate(chain):
        date = certificate[field]
        if wrong(ssl.cert_time_to_seconds(date), now):
            whose = (
                f"the certificate of its authority {_naming(certificate['subject'])}"
                if place
                else "its certificate"
            )
            return f"{whose} {words} ({field} {date})"
    return f"its certificate {words}"


def _self_signed(chain: list[Certificate]) -> str:
    of = f" (subject {_naming(chain[0]['subject'])})" if chain else ""
    return f"its certificate is self-signed{of}; trust it with verify=TLS(ca=...) if it is the right one"


def _unknown_root(chain: list[Certificate]) -> str:
    of = f" (issuer {_naming(chain[-1]['issuer'])})" if chain else ""
    return (
        f"its certificate was issued by an authority that is not trusted{of}, "
        "whose certificate is self-signed; trust it with verify=TLS(ca=...) if it is yours"
    )


def _unknown_issuer(chain: list[Certificate]) -> str:
    of = f" (issuer {_naming(chain[-1]['issuer'])})" if chain else ""
    return (
        f"its certificate was issued by an authority that is not trusted{of}; trust it with "
        "verify=TLS(ca=...) if it is yours, unless the server should send its certificate too"
    )


_WRITERS: dict[int, Callable[[list[Certificate]], str]] = {
    2: _unknown_issuer,
    9: _premature,
    10: _expired,
    18: _self_signed,
    19: _unknown_root,
    20: _unknown_issuer,
    21: _unknown_issuer,
}


def _for_others(name: str | None, chain: list[Certificate]) -> str:
    if not chain:
        return f'its certificate is not valid for "{name}"'
    names = [str(value) for _, value in chain[0].get("subjectAltName", ())]
    if not names:
        return f'its certificate names no host (it has no subjectAltName), and so not "{name}"'
    shown = ", ".join(f'"{_clean(value)}"' for value in names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f'its certificate is valid for {shown}{more}, not "{name}"'


_SHORT = {"commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU"}


def _naming(parts: Any) -> str:
    """A distinguished name, its most telling parts."""
    known = [
        f"{_SHORT[key]}={value}" for group in parts for key, value in group if key in _SHORT
    ] or [f"{key}={value}" for group in parts for key, value in group]
    return f'"{_clean(", ".join(known))}"'


def _clean(text: str) -> str:
    """What a stranger wrote, fit for one line of a log."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return shown if len(shown) <= _LONGEST_TEXT else f"{shown[:_LONGEST_TEXT]}…"
