"""Which transport serves which URL: mounts and their patterns."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from scallion.pipeline.errors import InvalidURL, UnsupportedProtocol
from scallion.pipeline.settings import Proxy
from scallion.pipeline.urls import URL

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    from scallion.pipeline.types import ProxyTypes

__all__ = ["Routing", "URLPattern", "mounted", "patterns", "routes"]

_MOST_ORIGINS = 1024
"""Of so many origins a client remembers which mount serves them."""


class URLPattern:
    """A URL with holes: `all://`, `http://`, `all://host`, `all://*.host`, `https://host:port`, `all://10.0.0.0/8`.

    `*.host` matches subdomains only, `*host` the host itself as well. A network matches the addresses in it; names are
    not resolved. Hosts are compared as they are connected to: internationalised names in ASCII, addresses by
    value, a final dot aside; and ports with the scheme's default filled in.

    Sorting puts the most specific first: a port before none; hosts, the longer first, before networks, the smaller
    first, before neither; a scheme before all.

    Raises:
        TypeError: the pattern is no string.
        ValueError: it is no URL but a bare scheme or host.
        InvalidURL: it cannot be parsed, its network included.
    """

    __slots__ = ("_address", "_exact", "_suffix", "host", "network", "pattern", "port", "scheme")

    def __init__(self, pattern: str) -> None:
        if not isinstance(pattern, str):
            raise TypeError(
                f"A mount's pattern is a string such as 'all://example.org', not {type(pattern).__name__}"
            )
        if pattern and ":" not in pattern:
            raise ValueError(
                f"Proxy keys should use proper URL forms rather than plain scheme strings. Instead of {pattern!r}, "
                f"use '{pattern}://'"
            )
        url, wild = _parse(pattern)
        self.pattern = pattern
        self.scheme = "" if url.scheme == "all" else url.scheme
        self.host = wild + url.host if url.host else ""
        self.port = url.port
        self.network = _network(pattern, url)
        # Cases: a network, any host, an address, a name with or without its subdomains, subdomains alone.
        host = url.origin_key[1].removesuffix(".")
        self._exact: str | None = None
        self._suffix: str | None = None
        self._address: IPv4Address | IPv6Address | None = None
        if self.network is not None or not host:
            return
        if wild:
            self._suffix = f".{host}"
        if wild != "*.":
            self._exact = host
        if not wild and ":" in host:
            self._address = _address(host)

    def matches(self, other: URL) -> bool:
        """Whether a request for `other` is one for this mount."""
        scheme, host, port = other.origin_key
        if self.scheme and self.scheme != scheme:
            return False
        if self.port is not None and self.port != port:
            return False
        # Cases: a network, an IPv6 address, any host, a name.
        if self.network is not None:
            address = _address(host)
            return address is not None and (
                address in self.network or _unmapped(address) in self.network
            )
        if self._address is not None:
            return _address(host) == self._address
        if self._exact is None and self._suffix is None:
            return True
        host = host.removesuffix(".")
        return host == self._exact or (self._suffix is not None and host.endswith(self._suffix))

    @property
    def priority(self) -> tuple[int, int, int, int, int]:
        """Sorts patterns; the least is the most specific."""
        network = self.network
        return (
            0 if self.port is not None else 1,
            1 if network is not None else 0 if self.host else 2,
            0 if network is None else network.num_addresses,
            0 if network is not None else -len(self.host),
            -len(self.scheme),
        )

    def __lt__(self, other: URLPattern) -> bool:
        return self.priority < other.priority

    def __eq__(self, other: object) -> bool:
        return isinstance(other, URLPattern) and self.pattern == other.pattern

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __repr__(self) -> str:
        return f"URLPattern({self.pattern!r})"


def _parse(pattern: str) -> tuple[URL, str]:
    """The pattern as a URL without its wildcard, and that: `*.`, `*` or nothing."""
    scheme, separator, rest = pattern.partition("://")
    wild = "*." if rest.startswith("*.") else "*" if rest.startswith("*") else ""
    return URL(f"{scheme}{separator}{rest[len(wild) :]}"), wild


def _network(pattern: str, url: URL) -> IPv4Network | IPv6Network | None:
    """The network that the pattern names in CIDR notation: an address, a slash, and how many of its bits count."""
    length = url.path.removeprefix("/")
    if not length or _address(url.host) is None:
        return None
    from ipaddress import ip_network

    try:
        # The end of the text, lest a query, a fragment or an escape be overlooked.
        if not (length.isascii() and length.isdigit() and pattern.endswith(f"/{length}")):
            raise ValueError("the length is no number")
        return ip_network(f"{url.host}/{length}", strict=False)
    except ValueError as error:
        raise InvalidURL(
            f"Invalid network in {pattern!r}: expected for example 'all://10.0.0.0/8' or 'all://[fd00::]/8'"
        ) from error


@lru_cache(maxsize=256)
def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is, its zone aside; None for a name."""
    if ":" not in host and not host[:1].isdigit():
        return None
    from ipaddress import ip_address

    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """RFC 4291 section 2.5.5.2: `::ffff:10.0.0.1` is another form of 10.0.0.1."""
    mapped = address.ipv4_mapped if address.version == 6 else None
    return address if mapped is None else mapped


class Routing:
    """Which of a client's mounts serves a URL. Remembers it for each origin, so that many mounts cost as few do."""

    __slots__ = ("_known", "_mounts", "_size")

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, int], URLPattern | None] = {}
        self._mounts: Mapping[URLPattern, Any] | None = None
        self._size = 0

    def find(self, mounts: Mapping[URLPattern, Any], url: URL) -> Any:
        """The transport of the first pattern that matches; None for the client's own.

        Args:
            mounts: The most specific first. Others than before, or more, are noticed.
        """
        if mounts is not self._mounts or len(mounts) != self._size:
            self._known, self._mounts, self._size = {}, mounts, len(mounts)
        known, origin = self._known, url.origin_key
        # Cases: known, known to match nothing; not met yet, or taken away since.
        pattern = known.get(origin)
        if pattern is not None:
            found = mounts.get(pattern, self)
            if found is not self:
                return found
        elif origin in known:
            return None
        pattern = next((pattern for pattern in mounts if pattern.matches(url)), None)
        if len(known) >= _MOST_ORIGINS:
            known.clear()
        known[origin] = pattern
        return None if pattern is None else mounts[pattern]


def routes(
    proxy: ProxyTypes | None, proxies: Any, *, use_environment: bool
) -> dict[str, Proxy | None]:
    """Which URLs go through which proxy; None is none."""
    if proxy is not None and proxies is not None:
        raise TypeError("proxies= is the older spelling of proxy=: give one of them, not both")
    if proxies is not None:
        if isinstance(proxies, Mapping):
            return {pattern: _proxy(to) for pattern, to in proxies.items()}
        proxy = proxies
    if proxy is not None:
        return {"all://": _proxy(proxy)}
    if use_environment and (sys.platform in ("darwin", "win32") or _names_proxies()):
        from ._environment import EnvironmentProxy, environment_proxies

        return {
            pattern: None if named is None else EnvironmentProxy(named)
            for pattern, named in environment_proxies().items()
        }
    return {}


def _names_proxies() -> bool:
    """Whether the environment may name proxies.

    Asked for each client, in environments of some hundred variables: where CPython keeps them undecoded this is one
    search through their names, instead of a function call for each.
    """
    undecoded = getattr(os.environ, "_data", None)
    if isinstance(undecoded, dict) and os.name == "posix":
        return b"_proxy" in b" ".join(undecoded).lower()
    return "_proxy" in " ".join(os.environ).lower()


def _proxy(proxy: ProxyTypes | None) -> Proxy | None:
    return proxy if proxy is None or isinstance(proxy, Proxy) else Proxy(proxy)


def mounted(proxy: Proxy | None, make: Callable[[Proxy], Any]) -> Any:
    """The transport through a proxy. One of the environment that cannot be used says so when it is needed."""
    if proxy is None:
        return None
    try:
        return make(proxy)
    except (UnsupportedProtocol, ImportError) as error:
        from ._environment import EnvironmentProxy, RefusingTransport

        if not isinstance(proxy, EnvironmentProxy):
            raise
        return RefusingTransport(proxy, str(error))


def patterns(mounts: Any) -> dict[URLPattern, Any]:
    """What `mounts=` says.

    Raises:
        TypeError: it is no mapping of patterns to transports or None.
        InvalidURL, ValueError: as `URLPattern`.
    """
    if not isinstance(mounts, Mapping):
        raise TypeError(
            f"mounts= takes a mapping of patterns to transports, not {type(mounts).__name__}"
        )
    for pattern, transport in mounts.items():
        if transport is not None and not (
            hasattr(transport, "handle_request") or hasattr(transport, "handle_async_request")
        ):
            raise TypeError(
                f"mounts= has no transport for {pattern!r} but {type(transport).__name__}: "
                "give a transport or None; a proxy is HTTPTransport(proxy=...) or AsyncHTTPTransport(proxy=...)"
            )
    return {URLPattern(pattern): transport for pattern, transport in mounts.items()}
