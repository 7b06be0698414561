"""Basic authentication with what a netrc file says about the request's host."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from scallion.pipeline.auth import Auth
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

from .auth import basic_credentials

if TYPE_CHECKING:
    import os

__all__ = ["NetRCAuth"]


class NetRCAuth(Auth):
    """The user and password of a netrc file, each sent to its own host only.

    A host that the file neither names nor covers by a `default` entry gets none. Nothing reads a
    netrc file unless this class is used.

    Args:
        file: The file, read once, now; None for `~/.netrc`.

    Raises:
        OSError: the file cannot be read.
        netrc.NetrcParseError: it is malformed, or others than its owner could read a `~/.netrc`.
        ValueError (while sending): see `BasicAuth`.
    """

    def __init__(self, file: str | os.PathLike[str] | None = None) -> None:
        import netrc

        self._entries = netrc.netrc(None if file is None else str(file))

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        entry = self._entries.authenticators(request.url.host)
        # An entry without a password is no credentials.
        if entry is not None and entry[2]:
            request.headers["Authorization"] = basic_credentials(entry[0], entry[2])
        yield request

    def __repr__(self) -> str:
        return "NetRCAuth()"
