"""`Endpoint`: one server that stands behind a service, as a value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

from scallion.pipeline.errors import InvalidURL
from scallion.pipeline.hosts import bracketed
from scallion.pipeline.urls import URL

from ..validation import check_count, check_number  # noqa: TID252  (relative within a room)

__all__ = ["Endpoint", "EndpointTypes", "endpoint_of", "endpoints_of"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BARE_IPV6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%\S+)?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
WORST_PRIORITY = 65_535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server that stands behind a service.

    Attributes:
        host: A name or an address, IPv6 without brackets.
        port: None for the one of the request's URL.
        scheme: "http" or "https"; None for the one of the request's URL.
        weight: Its share of the requests, compared with the others'; more than 0.
        priority: 0 for the best, at most 65,535 (RFC 2782). Who has a worse one is asked while nobody better can be.

    Raises:
        InvalidURL: no such host can be.
        TypeError, ValueError: an attribute is of the wrong kind, or out of its range.
    """

    host: str
    port: int | None = None
    scheme: str | None = None
    weight: float = 1.0
    priority: int = 0

    def __post_init__(self) -> None:
        if self.scheme not in (None, "http", "https"):
            raise ValueError(f"An endpoint's scheme must be http or https: {self.scheme!r}")
        check_number("An endpoint's weight", self.weight, 0, 1e6, above=True)
        check_count("An endpoint's priority", self.priority, 0)
        if self.priority > WORST_PRIORITY:
            raise ValueError(
                f"An endpoint's priority must be at most {WORST_PRIORITY}: {self.priority}"
            )
        url = URL(scheme="http", host=self.host, port=self.port)
        if not url.host:
            raise ValueError(f"An endpoint needs a host: {self!r}")
        object.__setattr__(self, "host", url.origin_key[1])
        object.__setattr__(self, "weight", float(self.weight))

    @property
    def key(self) -> tuple[str | None, str, int | None]:
        """What tells it from others: all but the weight and the priority."""
        return self.scheme, self.host, self.port

    def __str__(self) -> str:
        scheme = "" if self.scheme is None else f"{self.scheme}://"
        port = "" if self.port is None else f":{self.port}"
        return f"{scheme}{bracketed(self.host)}{port}"


EndpointTypes: TypeAlias = Endpoint | URL | str | tuple[str, int]
"""An endpoint, or "10.0.0.7:8080", "https://orders-1.internal", ("10.0.0.7", 8080)."""


def endpoint_of(given: Any) -> Endpoint:
    """`given` as an endpoint.

    Raises:
        InvalidURL, TypeError, ValueError: it is none; the message says what is.
    """
    match given:
        case Endpoint():
            return given
        case str():
            return _read(given.strip())
        case URL():
            return _read(str(given))
        case (str() as host, int() as port):
            return Endpoint(host, port)
    raise TypeError(
        "An endpoint is 'host:port', a URL without path, a (host, port) pair or an Endpoint, "
        f"not {given!r}"
    )


def endpoints_of(given: Any) -> tuple[Endpoint, ...]:
    """The endpoints of a collection, each once; of several of the same server the last one counts.

    Raises:
        InvalidURL, TypeError, ValueError: one of them is none.
    """
    if isinstance(given, (str, bytes, Endpoint, URL)):
        given = (given,)
    try:
        every = [endpoint_of(each) for each in given]
    except TypeError:
        if hasattr(given, "__iter__"):
            raise
        raise TypeError(f"Endpoints must be a collection of them, not {given!r}") from None
    return tuple({endpoint.key: endpoint for endpoint in every}.values())


def _read(text: str) -> Endpoint:
    # Cases: with a scheme; an IPv6 address without brackets, which no URL may have; host and port.
    scheme = _SCHEME.match(text)
    if scheme is None and _BARE_IPV6.fullmatch(text):
        return Endpoint(text)
    url = URL(text if scheme else f"http://{text}")
    if not url.host or url.userinfo or url.raw_path != b"/" or url.fragment:
        # What it has too much may be a password.
        raise InvalidURL(
            "An endpoint has a host, and may have a scheme and a port; no user, path, query or fragment: "
            f"expected for example 'https://10.0.0.7:8443', got one for the host {url.host!r}"
        )
    if scheme is None:
        # `http://host:80` loses its port, which was given here all the same.
        port = 80 if url.port is None and text.endswith(":80") else url.port
        return Endpoint(url.origin_key[1], port)
    port = url.port or _DEFAULT_PORTS.get(url.scheme)
    return Endpoint(url.origin_key[1], port, url.scheme)
