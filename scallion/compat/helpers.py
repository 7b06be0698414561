"""Small private functions of httpx's that others import, in terms of scallion's own."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scallion.pipeline.bodies import extent, form_value
from scallion.pipeline.decoding import accept_encoding
from scallion.pipeline.errors import InvalidURL, RequestError
from scallion.pipeline.request import Request
from scallion.pipeline.uri_reference import URIReference
from scallion.pipeline.urls import URL

__all__ = [
    "ACCEPT_ENCODING",
    "HTTPXDeprecationWarning",
    "alias_httpx",
    "is_ipv4_hostname",
    "is_ipv6_hostname",
    "peek_filelike_length",
    "primitive_value_to_str",
    "request_context",
    "to_bytes",
    "to_bytes_or_str",
    "to_str",
    "unquote",
    "urlparse",
]

ACCEPT_ENCODING = accept_encoding()


class HTTPXDeprecationWarning(UserWarning):
    """httpx2's own; scallion issues none."""


def alias_httpx() -> None:
    """What httpx2 offers for the same purpose: `install_as_httpx()`."""
    from . import install_as_httpx

    install_as_httpx()


@contextmanager
def request_context(request: Request | None = None) -> Iterator[None]:
    """Errors that pass learn which request they belong to."""
    try:
        yield
    except (RequestError, InvalidURL) as error:
        if request is not None:
            error.request = request  # type: ignore[union-attr]
        raise


def urlparse(url: str = "", **kwargs: Any) -> URIReference:
    """The parts of a URL.

    Raises:
        InvalidURL: it is none.
    """
    return URL(url, **kwargs)._uri_reference


def _same_origin(url: URL, other: URL) -> bool:
    return (url.scheme, url.host, _port_or_default(url)) == (
        other.scheme,
        other.host,
        _port_or_default(other),
    )


def _is_https_redirect(url: URL, location: URL) -> bool:
    """Whether a step adds TLS on the default ports of one host, and does nothing else."""
    return (
        url.host == location.host
        and (url.scheme, _port_or_default(url)) == ("http", 80)
        and (location.scheme, _port_or_default(location)) == ("https", 443)
    )


def _port_or_default(url: URL) -> int | None:
    return {"http": 80, "https": 443}.get(url.scheme) if url.port is None else url.port


def is_ipv4_hostname(hostname: str) -> bool:
    return _is_address(hostname, ipaddress.IPv4Address)


def is_ipv6_hostname(hostname: str) -> bool:
    return _is_address(hostname, ipaddress.IPv6Address)


def _is_address(hostname: str, kind: type) -> bool:
    """A network ("10.0.0.0/8") counts by its address."""
    try:
        kind(hostname.partition("/")[0])
    except ValueError:
        return False
    return True


def peek_filelike_length(stream: Any) -> int | None:
    """A file's size in bytes, or None if it cannot be told."""
    return extent(stream)[1]


def primitive_value_to_str(value: str | float | bool | None) -> str:
    return form_value(value)


def to_bytes(value: str | bytes, encoding: str = "utf-8") -> bytes:
    return value.encode(encoding) if isinstance(value, str) else value


def to_str(value: str | bytes, encoding: str = "utf-8") -> str:
    return value if isinstance(value, str) else value.decode(encoding)


def to_bytes_or_str(value: str, match_type_of: str | bytes) -> str | bytes:
    return value if isinstance(match_type_of, str) else value.encode()


def unquote(value: str) -> str:
    """Without the quotation marks around it."""
    return value[1:-1] if value[:1] == value[-1:] == '"' else value
