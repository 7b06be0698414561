"""OpenSSL's reasons, in words: what the peer's alerts (RFC 8446 section 6.2) and its own refusals mean to a client."""

from __future__ import annotations

__all__ = ["openssl_words", "reason_words"]

_NOTHING_FITS = (
    "the server accepts nothing of what was offered: TLS version, ciphers and curves; "
    "or it wants a client certificate"
)
_REFUSES = "the server refuses the client's certificate"

_WORDS = {
    "CERTIFICATE_REQUIRED": "the server wants a client certificate, and was shown none",
    "UNKNOWN_CA": f"{_REFUSES}: it does not trust who issued it",
    "BAD_CERTIFICATE": f"{_REFUSES}: it is not valid",
    "UNSUPPORTED_CERTIFICATE": f"{_REFUSES}: it is of an unsupported kind",
    "CERTIFICATE_REVOKED": f"{_REFUSES}: it is revoked",
    "CERTIFICATE_EXPIRED": f"{_REFUSES}: it has expired, or is not valid yet",
    "CERTIFICATE_UNKNOWN": _REFUSES,
    "ACCESS_DENIED": f"{_REFUSES}: it gives no access",
    "UNRECOGNIZED_NAME": "the server does not know the name that it was asked for",
    "NO_APPLICATION_PROTOCOL": "the server speaks none of the protocols offered by ALPN",
    "INSUFFICIENT_SECURITY": "the server wants stronger ciphers than were offered",
    "HANDSHAKE_FAILURE": _NOTHING_FITS,
    "NO_SHARED_CIPHER": "no cipher is known to both sides",
    "NO_CIPHERS_AVAILABLE": "no cipher is left to offer: loosen the ciphers, or the TLS versions",
    "DH_KEY_TOO_SMALL": "the server's Diffie-Hellman key is too weak",
    "EE_KEY_TOO_SMALL": "the certificate's key is too weak",
    "CA_KEY_TOO_SMALL": "the key of an authority is too weak",
    "CA_MD_TOO_WEAK": "a certificate is signed with a digest that is too weak",
    "UNEXPECTED_EOF_WHILE_READING": "the connection was closed, without a goodbye",
}


def reason_words(reason: str) -> str | None:
    """What `SSLError.reason` means; None where OpenSSL's own words are as good."""
    # An alert's reason begins with the version of TLS that brought it: SSLV3_ALERT_BAD_CERTIFICATE.
    name = reason.partition("_ALERT_")[2] or reason.removeprefix("TLSV1_")
    return _WORDS.get(name)


def openssl_words(error: BaseException) -> str:
    """OpenSSL's own, as Python shows them: `[SSL: UNKNOWN_CA] unknown ca`."""
    reason = getattr(error, "reason", None) or "UNKNOWN"
    library = getattr(error, "library", None) or "SSL"
    # The strerror ends in the place in Python's source, which is of no use to anybody.
    text = str(getattr(error, "strerror", None) or error).partition(" (_ssl.c:")[0]
    return text if text.startswith("[") else f"[{library}: {reason}] {text}"
