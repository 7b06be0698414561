"""A request as routes look at it: its parts, each taken apart once however many routes ask."""

from __future__ import annotations

import re
from functools import cached_property
from json import loads
from typing import Any

from scallion.pipeline.headers import Headers
from scallion.pipeline.queryparams import QueryParams
from scallion.pipeline.request import Request
from scallion.pipeline.urls import URL

__all__ = ["Seen"]

_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)
_PARAMETER = re.compile(rb'[;\s](name|filename)="((?:[^"\\]|\\.)*)"', re.IGNORECASE)


class Seen:
    """Args: request: Its body has been read."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.url: URL = request.url
        self.headers: Headers = request.headers

    @cached_property
    def params(self) -> QueryParams:
        return self.url.params

    @cached_property
    def content_type(self) -> str:
        """In lower case, without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @cached_property
    def cookies(self) -> dict[str, list[str]]:
        """The values of each cookie that the Cookie header has (RFC 6265 section 4.2)."""
        found: dict[str, list[str]] = {}
        for pair in self.headers.get("cookie", "").split(";"):
            name, equals, value = pair.strip().partition("=")
            if equals:
                found.setdefault(name, []).append(value)
        return found

    @cached_property
    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is none.
        """
        return loads(self.request.content)

    @cached_property
    def form(self) -> dict[str, list[str | bytes]]:
        """The fields of a form, urlencoded or multipart; files are bytes. Empty if the body is no form."""
        found: dict[str, list[str | bytes]] = {}
        content = self.request.content
        if self.content_type == "application/x-www-form-urlencoded":
            for name, value in QueryParams(content.decode("latin-1")).multi_items():
                found.setdefault(name, []).append(value)
        elif self.content_type == "multipart/form-data":
            boundary = _BOUNDARY.search(self.headers.get("content-type", ""))
            if boundary is not None:
                self._add_parts(found, content, (boundary[1] or boundary[2]).encode())
        return found

    def _add_parts(
        self, found: dict[str, list[str | bytes]], content: bytes, boundary: bytes
    ) -> None:
        for part in (b"\r\n" + content).split(b"\r\n--" + boundary)[1:]:
            head, blank, body = part.partition(b"\r\n\r\n")
            if not blank:
                # The end, two hyphens.
                continue
            named = {name.lower(): value for name, value in _PARAMETER.findall(head)}
            field = named.get(b"name", b"").decode("utf-8", "replace")
            value = body if b"filename" in named else body.decode("utf-8", "replace")
            found.setdefault(field, []).append(value)
