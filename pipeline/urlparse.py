"""URL texts to their parts and back (RFC 3986), and the rules that the parts must keep.

Three steps: *split* the text, *override* parts by keyword, *normalise* what results. Overriding comes before
normalising, as a port is dropped, and a path's dots are resolved, in view of the final scheme.

Parts that a caller gave are *raw*: strings, None where absent. Normalised parts are `Parts`.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from .errors import InvalidURL
from .hosts import bracketed, encode_host, is_bad_ipv4, quoted
from .percent import FRAGMENT, PASSWORD, PATH, QUERY, USERINFO, escape
from .queryparams import QueryParams

__all__ = [
    "DEFAULT_PORTS",
    "MAX_LENGTH",
    "Parts",
    "compose",
    "edit",
    "encode_params",
    "ordinary",
    "parse",
    "plain_reference",
]

MAX_LENGTH = 65_536
DEFAULT_PORTS = {"ftp": 21, "http": 80, "https": 443, "ws": 80, "wss": 443}

# scheme, userinfo, host (plain form), port, path, query, fragment
Parts: TypeAlias = tuple[str, str, str, int | None, str, str | None, str | None]
_Raw: TypeAlias = dict[str, str | None]

# RFC 3986 appendix B, but for the scheme: it must be one, or empty.
_SPLIT = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.-]*)?:)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?"
).fullmatch
# What normalising would leave as it is. Dot segments and bad IPv4 addresses pass: the caller looks.
_ORDINARY = re.compile(
    r"(https?)://([a-z0-9_.-]+)(?::([1-9][0-9]{0,4}))?"
    r"(/[!$-;=@-_a-z|~]*)?(?:\?([!$-;=?-~]*))?(?:#([!#-;=?-_a-~]*))?"
).fullmatch
# Likewise for a path and query to be appended to another path. Dot segments pass here, too.
_PLAIN_REFERENCE = re.compile(r"/?(?!/)([!$-;=@-_a-z|~]*)(?:\?([!$-;=?-~]*))?").fullmatch
_NON_PRINTABLE = re.compile(r"[\x00-\x1f\x7f]").search

_KEYWORDS: dict[str, type] = {
    "scheme": str,
    "username": str,
    "password": str,
    "userinfo": bytes,
    "host": str,
    "port": int,
    "netloc": bytes,
    "path": str,
    "query": bytes,
    "raw_path": bytes,
    "fragment": str,
    "params": object,
}
# What a part given by keyword must be, so that it cannot spill over into the next, and how to say so.
_SHAPES = {
    "scheme": (
        re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*)?").fullmatch,
        "a letter, then letters, digits, '+', '.' and '-'",
    ),
    "userinfo": (
        re.compile(r"[^@]*").fullmatch,
        "'@' escaped as %40; or give username and password",
    ),
    "path": (
        re.compile(r"[^?#]*").fullmatch,
        "'?' and '#' escaped as %3F and %23; or give raw_path",
    ),
    "query": (re.compile(r"[^#]*").fullmatch, "'#' escaped as %23"),
}


def ordinary(url: str) -> Parts | None:
    """The parts of an http or https URL that is in normal form already, as most are; else None."""
    match = _ORDINARY(url)
    if match is None or len(url) > MAX_LENGTH:
        return None
    scheme, host, digits, path, query, fragment = match.groups()
    port: int | None = None
    if digits is not None:
        port = int(digits)
        if port > 65_535 or port == DEFAULT_PORTS[scheme]:
            return None
    if path is None:
        path = ""
    elif "/." in path:
        return None
    if host[-1] < ":" and is_bad_ipv4(host):
        return None
    return scheme, "", host, port, path, query, fragment


def plain_reference(reference: str) -> tuple[str, str | None] | None:
    """The path, without its first slash, and the query of a reference like `/users/7?full=1`.

    None unless the reference is in normal form and has nothing else: no scheme, authority or fragment,
    no dot segments.
    """
    match = _PLAIN_REFERENCE(reference)
    if match is None:
        return None
    path, query = match.groups()
    # A first colon without a slash before it may end a scheme.
    if path.startswith(".") or "/." in path or (":" in path and reference[0] != "/"):
        return None
    return path, query


def parse(url: str) -> Parts:
    """The normalised parts of any URL text.

    Raises:
        InvalidURL: saying what is wrong.
    """
    return _normalise(*_split(url))


def edit(url: str | Parts, keywords: dict[str, Any]) -> Parts:
    """The normalised parts of a URL of which some are replaced.

    Args:
        url: A text, or normalised parts.
        keywords: What `URL()` takes by keyword. None removes a part.

    Raises:
        InvalidURL: the result would be none, or a part would not stay within its bounds.
        TypeError: a keyword is unknown, or its value is of the wrong type.
    """
    overrides = _overrides(keywords)
    raw, secret = _split(url) if isinstance(url, str) else (_raw(url), False)
    raw.update(overrides)
    return _normalise(raw, secret)


def compose(parts: Parts, *, masked: bool = False) -> str:
    """The text of normalised parts (RFC 3986 section 5.3), its password masked on demand."""
    scheme, userinfo, host, port, path, query, fragment = parts
    if masked and ":" in userinfo:
        userinfo = f"{userinfo.partition(':')[0]}:[secure]"
    text = f"{scheme}:" if scheme else ""
    if userinfo or host or port is not None:
        text += f"//{userinfo}@" if userinfo else "//"
        text += bracketed(host) if port is None else f"{bracketed(host)}:{port}"
    text += path
    if query is not None:
        text += f"?{query}"
    if fragment is not None:
        text += f"#{fragment}"
    return text


def _split(url: str) -> tuple[_Raw, bool]:
    """The raw parts, and whether host and port may be part of a password.

    An unescaped `/`, `?` or `#` in a password ends the authority early; then the `@` follows later.
    """
    _check_text(url)
    match = _SPLIT(url)
    assert match is not None, "every printable text has this shape"
    scheme, authority, path, query, fragment = match.groups()
    userinfo, _, netloc = (authority or "").rpartition("@")
    host, port = _split_netloc(netloc)
    raw: _Raw = {
        "scheme": scheme,
        "userinfo": userinfo,
        "host": host,
        "port": port,
        "path": path,
        "query": query,
        "fragment": fragment,
    }
    return raw, "@" in url[match.end(2) :] if authority else False


def _split_netloc(netloc: str) -> tuple[str, str]:
    if netloc.startswith("[") and "]" in netloc:
        end = netloc.rindex("]") + 1
        return netloc[:end], netloc[end:].removeprefix(":")
    host, _, port = netloc.partition(":")
    return host, port


def _raw(parts: Parts) -> _Raw:
    scheme, userinfo, host, port, path, query, fragment = parts
    return {
        "scheme": scheme,
        "userinfo": userinfo,
        "host": bracketed(host),
        "port": None if port is None else str(port),
        "path": path,
        "query": query,
        "fragment": fragment,
    }


def _check_length(text: str, name: str | None) -> None:
    if len(text) > MAX_LENGTH:
        what = "URL" if name is None else f"URL component {name!r}"
        raise InvalidURL(f"{what} too long: {len(text)} characters, of {MAX_LENGTH} allowed")


def _check_text(text: str, name: str | None = None) -> None:
    """Refuse what no URL, or no part called `name`, can hold."""
    _check_length(text, name)
    where = "URL" if name is None else f"URL {name} component"
    if match := _NON_PRINTABLE(text):
        raise InvalidURL(
            f"Invalid non-printable ASCII character in {where}, {match[0]!r} at position "
            f"{match.start()}; strip it, or escape it as %{ord(match[0]):02X}"
        )
    if not _is_encodable(text):
        raise InvalidURL(
            f"Invalid character in {where}: a lone surrogate cannot be encoded as UTF-8"
        )


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _overrides(keywords: dict[str, Any]) -> _Raw:
    """Raw parts from keywords. More specific ones win: raw_path, then params, then path and query."""
    given = {name: _typed(name, value) for name, value in keywords.items()}
    if "params" in given:
        given["query"] = encode_params(given.pop("params"))
    if "port" in given:
        given["port"] = None if given["port"] is None else str(given["port"])
    if "host" in given:
        given["host"] = _uri_host(given["host"] or "")
    if "netloc" in given:
        given["host"], given["port"] = _split_netloc(given.pop("netloc") or "")
    if "username" in given or "password" in given:
        user, password = (_escape_user(given.pop(name, None)) for name in ("username", "password"))
        given["userinfo"] = f"{user}:{password}" if password else user
    if "raw_path" in given:
        given["path"], mark, query = (given.pop("raw_path") or "").partition("?")
        given["query"] = query if mark else None
    for name, value in given.items():
        if value is not None:
            _check_part(name, value)
    return given


def _typed(name: str, value: Any) -> Any:
    """The value of a keyword, bytes as text."""
    expected = _KEYWORDS.get(name)
    if expected is None:
        known = ", ".join(_KEYWORDS)
        raise TypeError(f"{name!r} is an invalid keyword argument for URL(): expected {known}")
    if value is not None and not isinstance(value, expected):
        raise TypeError(
            f"Argument {name!r} must be {expected.__name__} but got {type(value).__name__}"
        )
    if not isinstance(value, bytes):
        return value
    if not value.isascii():
        raise InvalidURL(
            f"Invalid URL component {name!r}: bytes beyond ASCII must be percent-encoded"
        )
    return value.decode("ascii")


def encode_params(params: Any) -> str | None:
    """The query that `params` make, in normal form; None if there are none.

    Raises:
        InvalidURL: it would be too long, or one of them holds a lone surrogate.
        TypeError: they are nothing that `QueryParams` takes.
    """
    if not params:
        return None
    query = QueryParams(params)
    try:
        text = str(query)
    except UnicodeEncodeError:
        text = None
    if text is None:
        raise InvalidURL(
            "Invalid character in query parameters: a lone surrogate cannot be encoded as UTF-8"
        )
    _check_length(text, "query")
    return text


def _uri_host(host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        return host
    if not _is_encodable(host):
        return host  # refused with the other parts
    return bracketed(host)


def _escape_user(text: str | None) -> str:
    """A user name or password; control characters are escaped like everything else."""
    if text is None:
        return ""
    if not _is_encodable(text):
        raise InvalidURL(
            "Invalid character in username or password: a lone surrogate cannot be encoded as UTF-8"
        )
    return escape(PASSWORD, text)


def _check_part(name: str, value: str) -> None:
    _check_text(value, name)
    if name in _SHAPES:
        matches, expected = _SHAPES[name]
        if matches(value) is None:
            raise InvalidURL(f"Invalid URL component {name!r}: expected {expected}")


def _normalise(raw: _Raw, secret: bool) -> Parts:
    scheme = (raw["scheme"] or "").lower()
    userinfo = escape(USERINFO, raw["userinfo"] or "")
    host = encode_host(raw["host"] or "", secret=secret)
    port = _normalise_port(raw["port"], scheme, secret=secret)
    path, query, fragment = raw["path"] or "", raw["query"], raw["fragment"]
    # Cases: with an authority, with a scheme alone, relative.
    if userinfo or host or port is not None:
        if path and not path.startswith("/"):
            raise InvalidURL(
                f"For absolute URLs, path must be empty or begin with '/': {quoted(path, secret=secret)}"
            )
        path = _resolve_dots(path)
    elif scheme:
        path = _resolve_dots(path)
    elif path.startswith(("//", ":")):
        start = ":" if path[0] == ":" else "//"
        raise InvalidURL(
            f"Relative URLs cannot have a path starting with {start!r}: it would be read as something else; "
            "escape it, or prefix './'"
        )
    return (
        scheme,
        userinfo,
        host,
        port,
        escape(PATH, path),
        None if query is None else escape(QUERY, query),
        None if fragment is None else escape(FRAGMENT, fragment),
    )


def _normalise_port(text: str | None, scheme: str, *, secret: bool) -> int | None:
    """The port; None where it is absent or the scheme's own."""
    if not text:
        return None
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65_535:
        raise InvalidURL(
            f"Invalid port: {quoted(text, secret=secret)}; expected a number from 0 to 65535"
        )
    return None if port == DEFAULT_PORTS.get(scheme) else port


def _resolve_dots(path: str) -> str:
    """Drop `.` and `..` segments, and never climb above the root (RFC 3986 section 5.2.4).

    A last segment of dots takes its slash along: `/a/b/..` is `/a`.
    """
    if "." not in path:
        return path
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if kept and kept != [""]:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    return "/".join(kept)
