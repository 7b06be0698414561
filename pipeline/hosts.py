"""Hosts: names, internationalised names, IPv4, and IPv6 with or without a zone.

A host has two forms. *In a URL* IPv6 stands in brackets and `%25` precedes its zone (RFC 6874):
`[fe80::1%25eth0]`. *Plain*, as name resolution takes it, is `fe80::1%eth0`. Names look the same in both.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .errors import InvalidURL
from .percent import HOST, ZONE, escape, unescape

__all__ = ["bracketed", "decode_host", "encode_host", "is_bad_ipv4", "quoted", "without_zone"]

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_DOTTED = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_ZONE_NAME = re.compile(r"[!$&'()*+,\-.0-9:;=A-Z_a-z~]+")


def quoted(value: str, *, secret: bool) -> str:
    """The value for an error message, shortened; nothing of it where it may be part of a password."""
    if secret or "@" in value:
        return "(not shown, as it may be part of a password; escape '/', '?', '#' and '@' in passwords)"
    return repr(value if len(value) <= 80 else f"{value[:80]}…")


def is_bad_ipv4(host: str) -> bool:
    """Four numbers, but not an address: one is beyond 255 or has a leading zero."""
    return _DOTTED.fullmatch(host) is not None and _IPV4.fullmatch(host) is None


def encode_host(host: str, *, secret: bool = False) -> str:
    """The plain form, in ASCII, of a host as it stands in a URL.

    Args:
        host: A name, an IPv4 address, or an IPv6 address in brackets.
        secret: Whether `host` may be part of a password, and so must not appear in an error.

    Raises:
        InvalidURL: no such host can be.
    """
    # Cases: IPv6, IPv4, a name in ASCII, an internationalised name.
    if host.startswith("[") and host.endswith("]"):
        return _encode_ipv6(host, secret=secret)
    if host.isascii():
        if is_bad_ipv4(host):
            raise InvalidURL(
                f"Invalid IPv4 address: {quoted(host, secret=secret)}; "
                "expected four numbers from 0 to 255 without leading zeros"
            )
        # Escapes in lower case, too, or the same host read again would be another one.
        return escape(HOST, host).lower()
    return _encode_name(host, secret=secret)


def _encode_ipv6(host: str, *, secret: bool) -> str:
    address, percent, zone = host[1:-1].partition("%")
    # A bare `%` is common, and RFC 6874 section 3 lets it pass.
    zone = unescape(zone.removeprefix("25"))
    if len(address) > 45 or not _is_ipv6(address):
        raise InvalidURL(
            f"Invalid IPv6 address: {quoted(host, secret=secret)}; expected for example '[2001:db8::1]'"
        )
    if not percent:
        return address
    if _ZONE_NAME.fullmatch(zone) is None:
        raise InvalidURL(
            f"Invalid IPv6 zone: {quoted(host, secret=secret)}; expected for example '[fe80::1%25eth0]'"
        )
    return f"{address}%{zone}"


@lru_cache(maxsize=256)
def _is_ipv6(address: str) -> bool:
    from ipaddress import IPv6Address

    try:
        IPv6Address(address)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=256)
def _encode_name(host: str, *, secret: bool) -> str:
    import idna

    try:
        return idna.encode(host.lower()).decode("ascii")
    except UnicodeError as exc:
        message = f"Invalid IDNA hostname: {quoted(host, secret=secret)}"
        if secret:
            raise InvalidURL(message) from None
        raise InvalidURL(f"{message}; {exc}") from exc


def decode_host(host: str) -> str:
    """The readable form of an IDNA name in ASCII; the name as it is where it cannot be decoded."""
    # RFC 1035 section 2.3.4: no longer name can be resolved, so none is worth keeping in memory.
    return _decode_name(host) if len(host) <= 255 else host


@lru_cache(maxsize=256)
def _decode_name(host: str) -> str:
    import idna

    try:
        return idna.decode(host)
    except UnicodeError:
        return host


def bracketed(host: str) -> str:
    """A plain host as it stands in a URL."""
    if ":" not in host:
        return host
    address, percent, zone = host.partition("%")
    return f"[{address}%25{escape(ZONE, zone)}]" if percent else f"[{address}]"


def without_zone(host: str) -> str:
    """A plain host as it stands in a Host header: a zone means something on this machine only.

    RFC 6874 section 4: an HTTP client removes it from what it sends.
    """
    if ":" not in host:
        return host
    return f"[{host.partition('%')[0]}]"
