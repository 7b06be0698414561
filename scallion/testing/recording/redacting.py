"""A `Redactor` led through the entries of a HAR file: ours, and those that a browser wrote."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any

from .entries import Har
from .redaction import Redactor

__all__ = ["redacted_entries", "redacted_request"]


def redacted_request(request: Har, redactor: Redactor) -> Har:
    """HAR's `request` without secrets, those included that were met before."""
    return _everywhere(_request(request, redactor), redactor)


def redacted_entries(entries: Iterable[Har], redactor: Redactor) -> list[Har]:
    """Entries without secrets. Each secret is taken out of all of them, whichever it was met in."""
    structured = [_entry(entry, redactor) for entry in entries]
    return [_everywhere(entry, redactor) for entry in structured]


def _entry(entry: Har, redactor: Redactor) -> Har:
    entry = dict(entry)
    entry["request"] = _request(entry["request"], redactor)
    if "response" in entry:
        entry["response"] = _response(entry["response"], redactor)
    if isinstance(entry.get("_error"), dict):
        message = redactor.message(str(entry["_error"].get("message", "")))
        entry["_error"] = {**entry["_error"], "message": message}
    return entry


def _request(request: Har, redactor: Redactor) -> Har:
    request = dict(request)
    request["url"] = redactor.url(request["url"])
    request["headers"] = _headers(request.get("headers"), redactor)
    request["cookies"] = _cookies(request.get("cookies"), redactor)
    request["queryString"] = _parameters(request.get("queryString"), redactor)
    if request.get("postData"):
        post = _body(request["postData"], "_encoding", redactor)
        if "params" in post:
            post["params"] = _parameters(post["params"], redactor)
        request["postData"] = post
    return request


def _response(response: Har, redactor: Redactor) -> Har:
    response = dict(response)
    response["headers"] = _headers(response.get("headers"), redactor)
    response["cookies"] = _cookies(response.get("cookies"), redactor)
    response["content"] = _body(response.get("content") or {}, "encoding", redactor)
    if response.get("redirectURL"):
        response["redirectURL"] = redactor.header("Location", response["redirectURL"])
    if "_trailers" in response:
        response["_trailers"] = _headers(response["_trailers"], redactor)
    return response


def _headers(fields: Any, redactor: Redactor) -> list[Har]:
    # A browser joins several fields of one name with line breaks.
    return [
        {
            **field,
            "value": "\n".join(
                redactor.header(field["name"], value)
                for value in str(field.get("value", "")).split("\n")
            ),
        }
        for field in fields or ()
    ]


def _cookies(cookies: Any, redactor: Redactor) -> list[Har]:
    return [
        {**cookie, "value": redactor.cookie(cookie["name"], str(cookie.get("value", "")))}
        for cookie in cookies or ()
    ]


def _parameters(parameters: Any, redactor: Redactor) -> list[Har]:
    return [
        {**item, "value": redactor.parameter(item["name"], str(item.get("value", "")))}
        for item in parameters or ()
    ]


def _body(body: Har, encoding: str, redactor: Redactor) -> Har:
    """`postData` or `content`. Of what is in base64, only multipart forms have a structure to look at."""
    body = dict(body)
    text = body.get("text")
    if not text:
        return body
    content_type = body.get("mimeType") or ""
    if body.get(encoding) == "base64":
        if content_type.lower().startswith("multipart/"):
            octets = b64decode(text).decode("utf-8", "surrogateescape")
            changed = redactor.multipart(octets).encode("utf-8", "surrogateescape")
            body["text"] = b64encode(changed).decode("ascii")
    else:
        body["text"] = redactor.body(text, content_type)
    return _without_lengths(body, text)


def _without_lengths(body: Har, before: str) -> Har:
    """What was said of the body's length stands no longer if the text is another."""
    if body["text"] != before:
        body.pop("_pieces", None)
    return body


def _everywhere(entry: Har, redactor: Redactor) -> Har:
    """The secrets that are known by now, in every text but the names of things and base64."""
    changed: Har = {}
    for key, value in entry.items():
        if isinstance(value, dict):
            changed[key] = _everywhere(value, redactor)
        elif key == "text" and "base64" in (entry.get("encoding"), entry.get("_encoding")):
            changed[key] = _base64(value, redactor)
        else:
            changed[key] = redactor.everywhere(value)
    return _without_lengths(changed, entry["text"]) if "text" in entry else changed


def _base64(text: str, redactor: Redactor) -> str:
    # Secrets are searched as the octets of UTF-8; what is none survives as it is.
    octets = redactor.jwts(b64decode(text).decode("utf-8", "surrogateescape"))
    return b64encode(redactor.remembered(octets).encode("utf-8", "surrogateescape")).decode("ascii")
