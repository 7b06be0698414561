"""Which transport serves which URL: mounts, their patterns, and the proxies that the environment names."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scallion.pipeline.settings import Proxy
from scallion.pipeline.urls import URL

if TYPE_CHECKING:
    from scallion.pipeline.types import ProxyTypes

__all__ = ["URLPattern", "environment_proxies", "routes"]


class URLPattern:
    """A URL with holes: `all://`, `http://`, `all://host`, `all://*.host`, `https://host:port`.

    Sorting puts the most specific first: a port before none, a longer host before a shorter, a scheme
    before all.
    """

    __slots__ = ("_exact", "_suffix", "host", "pattern", "port", "scheme")

    def __init__(self, pattern: str) -> None:
        if pattern and ":" not in pattern:
            raise ValueError(
                f"Proxy keys should use proper URL forms rather than plain scheme strings. Instead of {pattern!r}, "
                f"use '{pattern}://'"
            )
        url = URL(pattern)
        self.pattern = pattern
        self.scheme = "" if url.scheme == "all" else url.scheme
        self.host = "" if url.host == "*" else url.host
        self.port = url.port
        # "*.host" matches subdomains only, "*host" the host itself as well.
        self._exact: str | None = self.host
        self._suffix: str | None = None
        if url.host in ("*", ""):
            self._exact = None
        elif url.host.startswith("*."):
            self._exact, self._suffix = None, url.host[1:]
        elif url.host.startswith("*"):
            self._exact, self._suffix = url.host[1:], "." + url.host[1:]

    def matches(self, other: URL) -> bool:
        if self.scheme and self.scheme != other.scheme:
            return False
        if self.port is not None and self.port != other.port:
            return False
        if self._exact is None and self._suffix is None:
            return True
        return other.host == self._exact or (
            self._suffix is not None and other.host.endswith(self._suffix)
        )

    @property
    def priority(self) -> tuple[int, int, int]:
        return (0 if self.port is not None else 1, -len(self.host), -len(self.scheme))

    def __lt__(self, other: URLPattern) -> bool:
        return self.priority < other.priority

    def __eq__(self, other: object) -> bool:
        return isinstance(other, URLPattern) and self.pattern == other.pattern

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __repr__(self) -> str:
        return f"URLPattern({self.pattern!r})"


def environment_proxies() -> dict[str, str | None]:
    """Patterns and proxy URLs from `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`; None bypasses.

    macOS and Windows have system settings besides, which `urllib.request` reads.
    """
    if sys.platform not in ("darwin", "win32") and not any(
        name.lower().endswith("_proxy") for name in os.environ
    ):
        return {}
    from urllib.request import getproxies

    proxies = getproxies()
    mounts: dict[str, str | None] = {}
    for scheme in ("http", "https", "all"):
        if address := proxies.get(scheme):
            mounts[f"{scheme}://"] = address if "://" in address else f"http://{address}"
    for name in proxies.get("no", "").split(","):
        name = name.strip()  # noqa: PLW2901
        if name == "*":
            return {}
        if name:
            mounts[_bypass(name)] = None
    return mounts


def _bypass(name: str) -> str:
    """The pattern for one NO_PROXY entry: a URL, an address, localhost, or a domain and its subdomains."""
    if "://" in name:
        return name
    if _is_address(name.split("/", maxsplit=1)[0]):
        return f"all://[{name}]" if ":" in name else f"all://{name}"
    if name.lower() == "localhost":
        return f"all://{name}"
    return f"all://*{name}"


def _is_address(name: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


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
    if use_environment:
        return {pattern: _proxy(to) for pattern, to in environment_proxies().items()}
    return {}


def _proxy(proxy: ProxyTypes | None) -> Proxy | None:
    return proxy if proxy is None or isinstance(proxy, Proxy) else Proxy(proxy)
