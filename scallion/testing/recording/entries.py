"""Requests and responses as the entries of a HAR file, and back.

HAR 1.2 has no place for some of what a program can see; fields of our own begin with `_`, as it demands:

- `postData._encoding`: "base64" where a request's body is no text; responses have `content.encoding` for that.
- `_truncated` beside a body that was sent or read no further; `_omitted` in place of one that was too long to keep;
  `_coded` where content codings could not be undone.
- `content._pieces`: the lengths of the pieces in which a body came.
- `response._trailers`; `entry._error` with the name and the message of the exception that the program got.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeAlias

from scallion.pipeline.errors import DecodingError, InvalidURL, LocalProtocolError, RequestError
from scallion.pipeline.headers import Headers
from scallion.pipeline.queryparams import QueryParams
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.streams import ByteStream

from .contents import bytes_of, coded, cut, decoded, pieces_of, stored
from .tees import Playback, Taken

__all__ = [
    "OMITTED",
    "Har",
    "comparable",
    "error_entry",
    "request_entry",
    "response_entry",
    "response_of",
]

Har: TypeAlias = dict[str, Any]
"""An object of a HAR file."""

OMITTED = "scallion.recording.omitted"
"""The extension of a `comparable` request whose body was too long to keep."""

_VERSIONS = {"H2": "HTTP/2", "H3": "HTTP/3", "HTTP/2.0": "HTTP/2", "HTTP/3.0": "HTTP/3"}
_BODILESS = frozenset({204, 304})


# From messages to entries.


def request_entry(request: Request, body: Taken) -> Har:
    """HAR's `request`. What is sent over HTTP/1.1 and HTTP/2 looks the same; `httpVersion` is the response's, later."""
    url = request.url.copy_with(fragment=None) if request.url.fragment else request.url
    headers = request.headers.raw
    entry: Har = {
        "method": request.method,
        "url": str(url),
        "httpVersion": "HTTP/1.1",
        "cookies": [
            {"name": name, "value": value}
            for field in _values(headers, b"cookie")
            for name, value in _pairs(field)
        ],
        "headers": _fields(headers),
        "queryString": _parameters(url.query.decode("ascii")),
    }
    if body.size or not body.whole:
        entry["postData"] = _post_data(headers, body)
    return {**entry, "headersSize": -1, "bodySize": body.size}


def _post_data(headers: Iterable[tuple[bytes, bytes]], body: Taken) -> Har:
    content_type = _value(headers, b"content-type")
    data: Har = {"mimeType": content_type}
    held = _held(headers, body)
    if "encoding" in held:
        held["_encoding"] = held.pop("encoding")
    return {**data, **held}


def response_entry(response: Response, body: Taken) -> Har:
    """HAR's `response`; `body` is what the program has read of it."""
    headers = response.headers.raw
    known = response.extensions.get("reason_phrase")
    version = response.http_version
    reason = (
        known.decode("latin-1")
        if isinstance(known, bytes)
        else ("" if version == "HTTP/2" else response.reason_phrase)
    )
    content_type = _value(headers, b"content-type")
    held = _held(headers, body)
    entry: Har = {
        "status": response.status_code,
        "statusText": reason,
        "httpVersion": version,
        "cookies": [_cookie(field) for field in _values(headers, b"set-cookie")],
        "headers": _fields(headers),
        "content": {
            "size": _size(held, content_type, body),
            "mimeType": content_type or "x-unknown",
            **held,
        },
        "redirectURL": _value(headers, b"location"),
        "headersSize": -1,
        "bodySize": body.size,
    }
    pieces = pieces_of([len(piece) for piece in body.pieces])
    if pieces is not None and not _value(headers, b"content-encoding"):
        entry["content"]["_pieces"] = pieces
    trailers = response.extensions.get("trailers")
    if isinstance(trailers, Headers):
        entry["_trailers"] = _fields(trailers.raw)
    return entry


def error_entry() -> Har:
    """HAR's `response` where there was none, as browsers write it."""
    return {
        "status": 0,
        "statusText": "",
        "httpVersion": "",
        "cookies": [],
        "headers": [],
        "content": {"size": 0, "mimeType": "x-unknown"},
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": -1,
    }


def _held(headers: Iterable[tuple[bytes, bytes]], body: Taken) -> Har:
    """A body's text and what is to be said of it."""
    marks: Har = {} if body.whole else {"_truncated": True}
    limit = body.limit
    if body.over:
        return {**marks, "_omitted": f"longer than {limit} bytes"}
    raw = b"".join(body.pieces)
    content_type = _value(headers, b"content-type")
    try:
        plain = decoded(raw, _value(headers, b"content-encoding"), limit, whole=body.whole)
    except DecodingError:
        return {**stored(raw, content_type), **marks, "_coded": True}
    if plain is None:
        return {**marks, "_omitted": f"longer than {limit} bytes when decoded"}
    return {**stored(plain, content_type), **marks}


def _size(held: Har, content_type: str, body: Taken) -> int:
    return len(bytes_of(held, content_type)) if "text" in held else body.size


def _fields(headers: Iterable[tuple[bytes, bytes]]) -> list[Har]:
    return [{"name": _text(name), "value": _text(value)} for name, value in headers]


def _text(octets: bytes) -> str:
    # Octets that are no UTF-8 survive as lone surrogates, which JSON can escape.
    return octets.decode("utf-8", "surrogateescape")


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _values(headers: Iterable[tuple[bytes, bytes]], lower_name: bytes) -> list[str]:
    return [_text(value) for name, value in headers if name.lower() == lower_name]


def _value(headers: Iterable[tuple[bytes, bytes]], lower_name: bytes) -> str:
    return ", ".join(_values(headers, lower_name))


def _parameters(query: str) -> list[Har]:
    return [{"name": name, "value": value} for name, value in QueryParams(query).multi_items()]


def _pairs(cookies: str) -> list[tuple[str, str]]:
    found = [pair.strip().partition("=") for pair in cookies.split(";")]
    return [(name, value) for name, equals, value in found if equals]


def _cookie(field: str) -> Har:
    first, *attributes = field.split(";")
    name, _, value = first.partition("=")
    cookie: Har = {"name": name.strip(), "value": value.strip()}
    for attribute in attributes:
        key, _, text = attribute.strip().partition("=")
        match key.lower():
            case "path" | "domain" as known:
                cookie[known] = text
            case "httponly":
                cookie["httpOnly"] = True
            case "secure":
                cookie["secure"] = True
    return cookie


# From entries to messages.


def comparable(entry: Har) -> Request:
    """HAR's `request` as a `Request` that matchers compare; its body is read.

    Raises:
        ValueError: it is no request that HTTP could carry.
    """
    post: Har = entry.get("postData") or {}
    headers = _raw(entry.get("headers") or ())
    content_type = post.get("mimeType") or _value(headers, b"content-type")
    body = bytes_of(post, content_type)
    if not body and post.get("params"):
        body = str(
            QueryParams([(item["name"], item.get("value", "")) for item in post["params"]])
        ).encode("ascii")
    try:
        request = Request(entry["method"], entry["url"], headers=headers, stream=ByteStream(body))
    except (InvalidURL, LocalProtocolError) as error:
        raise ValueError(str(error)) from error
    request.read()
    if "_omitted" in post:
        request.extensions[OMITTED] = True
    return request


def response_of(entry: Har, method: str, incomplete: RequestError | Exception) -> Response:
    """The response of an entry, as the program got it.

    Args:
        method: The request's; an answer to HEAD keeps its length without a body.
        incomplete: Raised where a body ends that was not recorded to its end.

    Raises:
        ValueError: the entry is malformed.
    """
    recorded: Har = entry["response"]
    content: Har = recorded.get("content") or {}
    headers = _raw(recorded.get("headers") or ())
    content_type = _value(headers, b"content-type") or content.get("mimeType", "")
    plain = bytes_of(content, content_type)
    body = plain
    codings = _value(headers, b"content-encoding")
    if codings and not content.get("_coded"):
        applied = coded(plain, codings)
        if applied is None:
            headers = [field for field in headers if field[0].lower() != b"content-encoding"]
        else:
            body = applied
    status = int(recorded["status"])
    if not (method == "HEAD" or status in _BODILESS or "_omitted" in content):
        length = b"%d" % len(body)
        if not content.get("_truncated"):
            headers = [
                (name, length if name.lower() == b"content-length" else value)
                for name, value in headers
            ]
    extensions = _extensions(recorded)
    trailers = recorded.get("_trailers")
    failure = incomplete if "_truncated" in content or "_omitted" in content else None
    if failure is None and trailers is None and "_pieces" not in content:
        return Response(
            status,
            headers=Headers.from_raw(headers),
            stream=ByteStream(body),
            extensions=extensions,
        )

    def ended() -> None:
        if failure is not None:
            raise failure
        if trailers is not None:
            extensions["trailers"] = Headers.from_raw(_raw(trailers))

    pieces = cut(body, content.get("_pieces"))
    return Response(
        status,
        headers=Headers.from_raw(headers),
        stream=Playback(pieces, ended),
        extensions=extensions,
    )


def _extensions(recorded: Har) -> dict[str, Any]:
    named = str(recorded.get("httpVersion") or "").upper()
    version = _VERSIONS.get(named, named)
    if not re.fullmatch(r"HTTP/[0-9](\.[0-9])?", version):
        version = "HTTP/1.1"
    extensions: dict[str, Any] = {"http_version": version.encode("ascii")}
    if version < "HTTP/2":
        extensions["reason_phrase"] = str(recorded.get("statusText") or "").encode(
            "latin-1", "replace"
        )
    return extensions


def _raw(fields: Iterable[Har]) -> list[tuple[bytes, bytes]]:
    """Header fields; browsers write pseudo fields of HTTP/2 among them, and several of one name with line breaks."""
    return [
        (_octets(field["name"]), _octets(value))
        for field in fields
        if not field["name"].startswith(":")
        for value in str(field.get("value", "")).split("\n")
    ]
