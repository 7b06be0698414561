"""What the HTTP/1.1 codecs have in common: a response's head, and a few bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from scallion.pipeline.headers import Headers

__all__ = ["END", "MAX_HEAD", "MAX_INTERIM", "Head", "RawHeaders", "cut_short", "given_target"]

END = b""
MAX_HEAD = 100 * 1024
"""Bytes of a response's head (or a chunk's, or trailers) that are kept while its end has not come."""
MAX_INTERIM = 100
"""Interim responses before the final one."""

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]


class Head:
    """A response's start line and fields, spelt and ordered as received."""

    __slots__ = ("fields", "reason", "status", "version")

    def __init__(self, status: int, reason: bytes, version: bytes, fields: Headers) -> None:
        self.status = status
        self.reason = reason
        self.version = version
        self.fields = fields

    @property
    def headers(self) -> RawHeaders:
        """The fields as pairs, in a list of their own."""
        return self.fields.raw

    def __iter__(self) -> Iterator[Any]:
        return iter((self.status, self.reason, self.version, self.headers))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Head) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Head({self.status}, {self.reason!r}, {self.version!r}, {self.fields!r})"


def given_target(target: object) -> bytes:
    """The value of the request extension `target`, which stands in the request line as it is.

    Raises:
        TypeError: it is neither str nor bytes.
    """
    if isinstance(target, bytes):
        return target
    if isinstance(target, str):
        # What is not ASCII is refused by the codec, with an explanation.
        return target.encode("utf-8")
    raise TypeError(
        f"The request extension 'target' is a str or bytes, not {type(target).__name__}"
    )


def cut_short(got: int, expected: int) -> str:
    """What to say of a body that ended before its announced length; h11's words, which programs look for, included."""
    return (
        "The server closed the connection before the body was complete: "
        "peer closed connection without sending complete message body "
        f"(received {got} bytes, expected {expected})"
    )
