"""Replies: responses that are described once and made anew for each call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scallion.pipeline.headers import Headers
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.streams import AsyncByteStream, ByteStream, SyncByteStream

from .bodies import Chunks, Pieces, Time

if TYPE_CHECKING:
    from scallion.pipeline.types import HeaderTypes

__all__ = ["Reply", "check_status"]


class Reply:
    """A response to be made anew for each call.

    Args:
        status_code: From 100 to 999.
        headers: Such as `{"Retry-After": "1"}`. Content-Type and Content-Length follow from the content.
        content: The body; or one of `text`, `html` and `json`.
        chunks: The body in pieces, with a `Pause` between them or an exception among them: an iterable, which must
            be one that can be iterated again if there are several calls, or a function that makes one; asynchronous ones
            are for an `AsyncClient` only. Without Content-Length, unless it is among the headers.
        extensions: Of the response: `{"http_version": b"HTTP/2"}`.

    Raises:
        ValueError: the status is none; there is more than one body.
        TypeError: the body or the headers cannot be encoded.
    """

    __slots__ = ("_body", "_headers", "chunks", "extensions", "status_code")

    def __init__(
        self,
        status_code: int = 200,
        *,
        headers: HeaderTypes | None = None,
        content: bytes | str | None = None,
        text: str | None = None,
        html: str | None = None,
        json: Any = None,
        chunks: Chunks | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        check_status(status_code)
        given = {"content": content, "text": text, "html": html, "json": json, "chunks": chunks}
        several = [name for name, value in given.items() if value is not None]
        if len(several) > 1:
            raise ValueError(f"A reply has one body, and here are several: {', '.join(several)}")
        if content is not None and not isinstance(content, (bytes, str)):
            raise TypeError(
                f"A reply's content is bytes or text, not {type(content).__name__}: give pieces as chunks="
            )
        made = Response(
            status_code, headers=headers, content=content, text=text, html=html, json=json
        )
        assert isinstance(made.stream, ByteStream)
        self.status_code = status_code
        self.chunks = chunks
        self.extensions = dict(extensions or ())
        self._headers = made.headers
        self._body = b"".join(made.stream)

    def response(self, request: Request, time: Time) -> Response:
        """The response to one request. To HEAD it has no body (RFC 9110 section 9.3.2)."""
        stream: SyncByteStream | AsyncByteStream
        if request.method == "HEAD":
            stream = ByteStream(b"")
        elif self.chunks is not None:
            stream = Pieces(self.chunks, request, time)
        else:
            stream = ByteStream(self._body)
        return Response(
            self.status_code,
            headers=Headers(self._headers),
            stream=stream,
            extensions=dict(self.extensions),
        )

    def __repr__(self) -> str:
        kind = self._headers.get("content-type")
        body = " in chunks" if self.chunks is not None else f", {len(self._body)} bytes"
        return f"<Reply {self.status_code}{body}{f' of {kind}' if kind else ''}>"


def check_status(status: int) -> None:
    if isinstance(status, bool) or not isinstance(status, int):
        raise TypeError(f"A status is a number such as 200, not {status!r}")
    if not 100 <= status <= 999:
        raise ValueError(f"A status is from 100 to 999 (RFC 9110 section 15): {status}")
