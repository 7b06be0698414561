"""`Origin`: which server a URL leads to, as a value to compare, to keep state by, and to show."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

from .hosts import bracketed, decode_host
from .urlparse import DEFAULT_PORTS
from .urls import URL

__all__ = ["Origin"]


class Origin:
    """Scheme, host and port of a URL (RFC 9110 section 4.3.1).

    Immutable, hashable, and equal to the origins of all URLs that lead to the same server: `Origin("http://h")` is
    `Origin("http://user:pass@H:80/path")`. Nothing secret is in it. `str` is its ASCII form (RFC 6454 section 6.2),
    as an `Origin` header has it.

    Attributes:
        scheme: In lower case.
        host: As `URL.host`: IDNA decoded, IPv6 without brackets.
        port: The scheme's own where the URL has none; None where the scheme has none either.

    Raises:
        InvalidURL: the text is no URL.
        TypeError: it is no text and no URL.
        ValueError: the URL is relative, and leads to no server by itself.
    """

    __slots__ = ("_text", "host", "port", "scheme")

    scheme: str
    host: str
    port: int | None
    _text: str

    def __init__(self, url: URL | str) -> None:
        url = URL(url)
        if url.is_relative_url:
            raise ValueError(f"Only an absolute URL has an origin: {url!r}")
        scheme, host, port = url.origin_key
        text = f"{scheme}://{bracketed(host)}"
        values = {
            "scheme": scheme,
            "host": decode_host(host) if host.startswith("xn--") else host,
            "port": port if url.port is not None or scheme in DEFAULT_PORTS else None,
            "_text": text if url.port is None else f"{text}:{url.port}",
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Origin(scheme={self.scheme!r}, host={self.host!r}, port={self.port!r})"

    def __setattr__(self, name: str, value: Any) -> None:
        raise FrozenInstanceError(f"An Origin cannot be changed: cannot set {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"An Origin cannot be changed: cannot delete {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return Origin, (self._text,)
