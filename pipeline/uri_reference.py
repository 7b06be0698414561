"""A URL's parts as httpx keeps them, for packages that look at them there."""

from __future__ import annotations

from typing import NamedTuple

from .urlparse import Parts, compose

__all__ = ["URIReference"]


class URIReference(NamedTuple):
    """The parts, normalised and escaped. Unlike `URL.path`, `path` is empty where the URL has none."""

    scheme: str
    userinfo: str
    host: str
    port: int | None
    path: str
    query: str | None
    fragment: str | None

    @property
    def netloc(self) -> str:
        """Host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def authority(self) -> str:
        """User, host and port. A secret."""
        return f"{self.userinfo}@{self.netloc}" if self.userinfo else self.netloc

    def __str__(self) -> str:
        parts: Parts = tuple(self)  # type: ignore[assignment]
        return compose(parts)
