"""Where a client is sent."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Endpoint"]


@dataclass(frozen=True)
class Endpoint:
    """Where something is to be had.

    Attributes:
        url: Its address.
        size: Bytes of the answer's body.
        ca: The file with the certificate to trust, for https.
    """

    url: str
    size: int
    ca: str | None = None
