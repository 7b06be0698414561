"""Values of either library as plain data that compare equal if they mean the same, and where two such differ."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from itertools import zip_longest
from typing import Any

import httpx

import scallion

__all__ = ["differences", "neutral", "neutral_pairs", "plain", "plain_error"]

# Whose messages are part of the behaviour: programs and their tests read them.
_MESSAGES_COUNT = {
    "CookieConflict",
    "HTTPStatusError",
    "RequestNotRead",
    "ResponseNotRead",
    "StreamClosed",
    "StreamConsumed",
    "TooManyRedirects",
}
_FLAGS = (
    "is_informational",
    "is_success",
    "is_redirect",
    "is_client_error",
    "is_server_error",
    "is_error",
    "has_redirect_location",
    "is_closed",
    "is_stream_consumed",
)
_URL_PARTS = (
    "scheme",
    "raw_scheme",
    "userinfo",
    "username",
    "password",
    "host",
    "raw_host",
    "port",
    "netloc",
    "path",
    "query",
    "raw_path",
    "fragment",
    "is_absolute_url",
    "is_relative_url",
)
_MEMBERS = (
    "content",
    "text",
    "encoding",
    "charset_encoding",
    "links",
    "num_bytes_downloaded",
    "elapsed",
    "url",
)


def differences(theirs: Any, ours: Any, at: str = "") -> list[str]:
    """Where two outcomes differ, each place in a line."""
    if type(theirs) is type(ours) is dict:
        keys = [*theirs, *(key for key in ours if key not in theirs)]
        pairs = [(f"{at}.{key}", theirs.get(key, _ABSENT), ours.get(key, _ABSENT)) for key in keys]
    elif isinstance(theirs, (list, tuple)) and isinstance(ours, (list, tuple)):
        both = enumerate(zip_longest(theirs, ours, fillvalue=_ABSENT))
        pairs = [(f"{at}[{index}]", mine, yours) for index, (mine, yours) in both]
    elif theirs == ours or repr(theirs) == repr(ours) == "nan":
        return []
    else:
        return [f"{at}: httpx {theirs!r}, scallion {ours!r}"]
    return [line for place, mine, yours in pairs for line in differences(mine, yours, place)]


class _Absent:
    def __repr__(self) -> str:
        return "has none"


_ABSENT = _Absent()


def plain_error(error: Exception) -> tuple[Any, ...]:
    """Its public name, and its message where that counts; internal subclasses go by their base."""
    for kind in type(error).__mro__:
        if hasattr(httpx, kind.__name__) or kind.__module__ in ("builtins", "json.decoder"):
            name = kind.__name__
            break
    found: tuple[Any, ...] = (name,)
    if name in _MESSAGES_COUNT:
        # httpx's message of StreamConsumed lacks a blank.
        found += (_masked(str(error)).replace("flow.For", "flow. For"),)
    if isinstance(error, (httpx.TooManyRedirects, scallion.TooManyRedirects)):
        found += (error.request.method, str(error.request.url))
    return found


def _masked(text: str) -> str:
    """Without the password of a URL. differences: "secrets are masked"."""
    return re.sub(r"//([^/:@']*):[^/@']*@", r"//\1:[secure]@", text)


def neutral(request: bytes) -> bytes:
    return re.sub(rb"python-(httpx|scallion)/[0-9.a-z]+", b"python-x", request)


def plain(value: Any) -> Any:
    """A value of either library as plain data that compare equal if they mean the same."""
    name = type(value).__name__
    match value:
        case dict():
            return {plain(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case timedelta():
            return "timedelta"
        case httpx.Response() | scallion.Response():
            return _response(value)
        case httpx.Request() | scallion.Request():
            return _request(value)
        case httpx.URL() | scallion.URL():
            return (name, str(value), repr(value), *_url(value))
        case httpx.Headers() | scallion.Headers():
            return (
                name,
                neutral_pairs(value.raw),
                neutral_pairs(value.multi_items()),
                value.encoding,
            )
        case httpx.QueryParams() | scallion.QueryParams():
            return (name, str(value), value.multi_items())
        case httpx.Cookies() | scallion.Cookies():
            return (name, sorted(_cookie(cookie) for cookie in value.jar))
        case BaseException():
            return plain_error(value)  # type: ignore[arg-type]
        case types.GeneratorType() | types.AsyncGeneratorType():
            return "generator"
    if hasattr(value, "mapping") or name in ("dict_keys", "dict_values", "dict_items"):
        return plain(list(value))
    return value


def _url(url: Any) -> Iterable[Any]:
    for part in _URL_PARTS:
        yield _tried(partial(getattr, url, part))


def neutral_pairs(pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
    return [
        tuple(
            re.sub(r"python-(httpx|scallion)/[0-9.a-z]+", "python-x", part)
            if isinstance(part, str)
            else neutral(part)
            for part in pair
        )
        for pair in pairs
    ]


def _cookie(cookie: Any) -> tuple[Any, ...]:
    return (cookie.name, cookie.value, cookie.domain, cookie.path, cookie.secure)


def _request(request: Any) -> dict[str, Any]:
    return {
        "repr": _masked(repr(request)),
        "method": request.method,
        "url": plain(request.url),
        "headers": plain(request.headers),
        "content": _tried(lambda: request.content),
        "timeout": request.extensions.get("timeout", {}).get("read", "none"),
    }


def _response(response: Any) -> dict[str, Any]:
    found = {
        "repr": repr(response),
        "status": response.status_code,
        "reason": response.reason_phrase,
        "version": response.http_version,
        "headers": plain(response.headers),
        "history": [plain(each) for each in response.history],
        "next_request": plain(response.next_request),
        "request": _tried(lambda: response.request),
        "json": _tried(response.json),
        "raise_for_status": _tried(lambda: repr(response.raise_for_status())),
        "extensions": sorted(set(response.extensions) - {"connection", "trailers"}),
    }
    if response._request is not None:
        found["cookies"] = _tried(lambda: response.cookies)
    found |= {member: _tried(partial(getattr, response, member)) for member in _MEMBERS}
    found |= {flag: getattr(response, flag) for flag in _FLAGS}
    return found


def _tried(act: Callable[[], Any]) -> Any:
    try:
        return plain(act())
    except Exception as error:
        return plain_error(error)
