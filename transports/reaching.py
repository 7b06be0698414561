"""How a transport may reach a server: what is wrong with such a setting is said when the transport is made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .resolving import Resolver, ResolverTypes

__all__ = ["TCP_KEEPALIVE", "known_resolver", "seconds_of_silence", "socket_path"]

TCP_KEEPALIVE = 60.0
"""Seconds of silence before TCP asks. Shorter than the patience of the usual NAT and load balancer, 240 and more."""


def socket_path(uds: str | bytes | os.PathLike[str] | None) -> str | bytes | None:
    """The path of a Unix socket; None for TCP.

    Raises:
        TypeError, ValueError: it is no path.
    """
    if uds is None:
        return None
    try:
        path = os.fspath(uds)
    except TypeError:
        raise TypeError(f"uds= takes the path of a Unix socket, not {uds!r}") from None
    if not path:
        raise ValueError("uds='' names no Unix socket: give a path, or None for TCP")
    return path


def known_resolver(resolver: ResolverTypes | None) -> Resolver | None:
    """What `resolver=` means; None for the system's, which is made when there is a name to resolve.

    Raises:
        TypeError, ValueError: it is none.
    """
    if resolver is None:
        return None
    from .resolving import as_resolver

    return as_resolver(resolver)


def seconds_of_silence(tcp_keepalive: float | None) -> float | None:
    """What `tcp_keepalive=` means.

    Raises:
        TypeError, ValueError: it is neither None nor a positive number.
    """
    if tcp_keepalive is None:
        return None
    if isinstance(tcp_keepalive, bool) or not isinstance(tcp_keepalive, (int, float)):
        raise TypeError(f"tcp_keepalive must be seconds, or None for never, not {tcp_keepalive!r}")
    if not tcp_keepalive > 0:
        raise ValueError(
            f"tcp_keepalive must be more than 0 seconds, or None for never: {tcp_keepalive!r}"
        )
    return tcp_keepalive
