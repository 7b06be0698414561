"""The guard around the network: sockets reach loopback and Unix sockets, and nothing else.

It wraps what Python's own sockets call, which asyncio and trio use too. An attempt to leave raises
`LeftLoopback`, which no client mistakes for a network failure, so a test cannot pass because of it.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["LeftLoopback", "guard"]


class LeftLoopback(RuntimeError):
    """A test tried to reach something beyond this machine."""

    def __init__(self, doing: str, host: object) -> None:
        super().__init__(
            f"{doing} {host!r} leaves loopback: use 127.0.0.1, ::1, localhost or a name below "
            ".localhost, or replace socket.getaddrinfo in the test"
        )


def guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Confine this process's sockets to loopback until `monkeypatch` is undone."""
    for name, at in (("connect", 0), ("connect_ex", 0), ("sendto", -1), ("sendmsg", 3)):
        monkeypatch.setattr(socket.socket, name, _confined(getattr(socket.socket, name), at))
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        monkeypatch.setattr(socket, name, _resolving(getattr(socket, name)))


def _confined(method: Callable[..., Any], at: int) -> Callable[..., Any]:
    """`method` of a socket, refusing addresses beyond loopback; `at` is the address's position."""

    def confined(self: socket.socket, *args: Any) -> Any:
        # sendto and sendmsg on a connected socket carry no address.
        address = args[at] if -len(args) <= at < len(args) else None
        if (
            self.family in (socket.AF_INET, socket.AF_INET6)
            and isinstance(address, tuple)
            and not _is_local(str(address[0]))
        ):
            raise LeftLoopback(f"{method.__name__} to", address[0])
        return method(self, *args)

    return confined


def _resolving(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """`resolve`, asked only about names that need no name server."""

    def resolving(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode("ascii") if isinstance(host, bytes) else host
        numeric = (
            kwargs.get("flags", 0) or (args[4] if len(args) > 4 else 0)
        ) & socket.AI_NUMERICHOST
        # Cases: no name or an address, where nobody is asked; this machine's; one that exists nowhere
        # (RFC 6761 section 6.4); any other.
        if name is None or numeric or _address(name) is not None or name == "localhost":
            return resolve(host, *args, **kwargs)
        lowered = name.lower().rstrip(".")
        if lowered == "localhost" or lowered.endswith(".localhost"):
            return resolve("localhost", *args, **kwargs)
        if lowered.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        raise LeftLoopback("resolving", name)

    return resolving


def _is_local(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    address = _address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address is not None and address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
