"""The proxies that the environment names: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, and `NO_PROXY` for those without.

Rules:

- A name in lower case wins over the same in upper case, and an empty value there unsets it.
- Where `REQUEST_METHOD` is set the program is a CGI script, whose `HTTP_PROXY` is a header of the request that it
  answers; only `http_proxy` counts then.
- A proxy without a scheme is an http one.
- NO_PROXY lists, between commas or blanks: `*` for everything; a name, for itself and its subdomains; `.name` or
  `*.name`, for the subdomains alone; `localhost`; addresses, IPv6 in brackets or not; networks in CIDR notation;
  each but the networks with or without a port; and patterns of mounts, such as `http://name`. What is none of them
  is ignored, as curl and Go do.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from scallion.pipeline.errors import InvalidURL, UnsupportedProtocol
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.settings import Proxy
from scallion.transports.base import AsyncBaseTransport, BaseTransport

from ._mounts import URLPattern

__all__ = ["EnvironmentProxy", "Named", "RefusingTransport", "environment_proxies"]

_EXPECTED = "expected for example 'http://localhost:3128'"
_SCHEMES = ("http", "https", "all")
_VARIABLES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})


class Named(NamedTuple):
    """A proxy's URL, and the variable that names it."""

    variable: str
    address: str


class EnvironmentProxy(Proxy):
    """A proxy of the environment, which knows the variable that names it.

    Raises:
        InvalidURL: the variable holds no URL with a host.
        ValueError: its scheme is none of a proxy's.
    """

    def __init__(self, named: Named) -> None:
        self.variable = named.variable
        # The messages show nothing of the value, which may hold a password.
        try:
            super().__init__(named.address)
        except InvalidURL:
            raise InvalidURL(self._says("its value is no valid URL, " + _EXPECTED)) from None
        except ValueError as error:
            raise ValueError(self._says(str(error))) from None
        if not self.url.host:
            raise InvalidURL(self._says("its value is a URL without a host, " + _EXPECTED))

    def _says(self, what: str) -> str:
        return f"The environment's {self.variable}: {what}. (trust_env=False ignores it.)"


class RefusingTransport(BaseTransport, AsyncBaseTransport):
    """Stands for a proxy of the environment that cannot be used: only who needs it learns that."""

    def __init__(self, proxy: EnvironmentProxy, reason: str) -> None:
        self._message = proxy._says(reason)

    def handle_request(self, request: Request) -> Response:
        raise UnsupportedProtocol(self._message, request=request)

    async def handle_async_request(self, request: Request) -> Response:
        raise UnsupportedProtocol(self._message, request=request)

    def __repr__(self) -> str:
        return f"<RefusingTransport: {self._message}>"


def environment_proxies() -> dict[str, Named | None]:
    """Patterns of mounts, each with its proxy; None goes without.

    macOS and Windows have system settings besides, which count where the environment says nothing.
    """
    found = _variables()
    if not found and sys.platform in ("darwin", "win32"):
        found = _system()
    mounts: dict[str, Named | None] = {}
    for scheme in _SCHEMES:
        if named := found.get(scheme):
            address = named.address if "://" in named.address else f"http://{named.address}"
            mounts[f"{scheme}://"] = named._replace(address=address)
    if bypassed := found.get("no"):
        for entry in bypassed.address.replace(",", " ").split():
            if entry == "*":
                return {}
            if pattern := _bypass(entry):
                mounts[pattern] = None
    return mounts


def _variables() -> dict[str, Named]:
    """What is set, under the names without `_proxy`, as `urllib.request.getproxies_environment` reads it."""
    set_ = [
        (name, name.lower()[:-6], value)
        for name, value in os.environ.items()
        if name.lower() in _VARIABLES
    ]
    found = {short: Named(name, value) for name, short, value in set_ if value}
    if "REQUEST_METHOD" in os.environ:
        found.pop("http", None)
    for name, short, value in set_:
        if name.endswith("_proxy"):
            if value:
                found[short] = Named(name, value)
            else:
                found.pop(short, None)
    return found


def _system() -> dict[str, Named]:
    from urllib.request import getproxies

    return {
        short: Named(f"{short}_proxy (of the system)", value)
        for short, value in getproxies().items()
        if f"{short}_proxy" in _VARIABLES and value
    }


def _bypass(entry: str) -> str | None:
    """The pattern for one entry of NO_PROXY, or None for one that is none."""
    # Cases: a pattern; a network or an address; localhost; a name. The latter two may end in a port.
    pattern: str | None
    if "://" in entry:
        pattern = entry
    elif (pattern := _numeric(entry)) is None:
        host, colon, port = entry.partition(":")
        host = host.rstrip(".")
        # Cases: subdomains alone, the host alone, both; no host but a port.
        alone = host.lower() == "localhost" and not colon
        wild = "*." if host.startswith((".", "*.")) else "" if alone else "*"
        name = host.removeprefix("*.").removeprefix(".")
        if not (name or port) or "*" in name or "/" in entry:
            return None
        pattern = f"all://{wild}{name}{colon}{port}"
    try:
        URLPattern(pattern)
    except (InvalidURL, ValueError):
        return None
    return pattern


def _numeric(entry: str) -> str | None:
    """The pattern for an address or a network; None for what is no address."""
    from ipaddress import ip_address

    # Cases: `::1`, `fd00::/8`, `10.0.0.1:80`, `10.0.0.0/8`, `[::1]`, `[::1]:80`, `[fd00::]/8`.
    if entry.startswith("["):
        return f"all://{entry}"
    address, slash, length = entry.partition("/")
    bare = address if address.count(":") > 1 else address.partition(":")[0]
    try:
        ip_address(bare)
    except ValueError:
        return None
    return f"all://[{address}]{slash}{length}" if ":" in bare else f"all://{entry}"
