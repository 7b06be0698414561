"""Which URLs a route is for: a URL with holes, one without, or a regular expression.

- `https://host/path` is that URL, whatever its query. Scheme and host are compared without regard to case, the
  path with it; a port that is not given is the scheme's own; escapes that mean the same are the same.
- `{name}` stands for one segment of the path or a part of it, `{name:int}` for digits, and `{name:path}` for anything,
  slashes included. In a host, `{name}` stands for one label. What they stood for goes to the answer, unescaped.
- `*` stands for anything, in host and path alike; `:*` for any port.
- `all://host/path` and `//host/path` are for every scheme; `/path` for every origin, unless there is a base URL,
  to which it is appended.
- A query in the pattern is a condition of its own: see `params`.
- A regular expression is found anywhere in the whole URL, query included; its named groups go to the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from scallion.pipeline.percent import escape, unescape
from scallion.pipeline.redaction import redact_url
from scallion.pipeline.urls import URL

from .comparing import Difference

__all__ = ["AnyURL", "URLPattern"]

AnyURL = str | URL | re.Pattern[str] | None

_ABSOLUTE = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.\-]*):)?//([^/?#]*)")
_PORT = re.compile(r":(\d+|\*)$")
_HOLE = re.compile(r"(\{[^{}]*\}|\*)")
_NAMED = re.compile(r"\{([A-Za-z_]\w*)(?::(int|path))?\}")
_SEGMENT = {None: "[^/]+", "int": "[0-9]+", "path": ".*"}
# RFC 3986 section 6.2.2.2: what never needs an escape is compared unescaped, all else escaped.
_UNRESERVED = re.compile(r"[^0-9A-Za-z._~-]+")


class URLPattern:
    """See the module's docstring.

    Args:
        url: What to match; None for every URL, or every one below the base.
        base: What a pattern without a host is appended to; "" for nothing.

    Attributes:
        text: For people.
        query: As it stands in the pattern, without its `?`.
        names: What is handed to the answer.

    Raises:
        TypeError: `url` is none of these.
        ValueError: a hole is not one of those above, or is named twice; or there is a user name or password.
    """

    def __init__(self, url: AnyURL, base: str = "") -> None:
        self.query = ""
        self.names: tuple[str, ...] = ()
        self._regex: re.Pattern[str] | None = None
        self._scheme: str | None = None
        self._host: re.Pattern[str] | None = None
        self._port: str | None = "*"
        self._path: re.Pattern[str] | None = None
        # Cases: a regular expression, text with holes, a URL, which has none, nothing.
        if isinstance(url, re.Pattern):
            self._regex = url
            self.names = tuple(url.groupindex)
            self.text = f"/{url.pattern}/"
        elif url is None:
            self.text = f"{base.rstrip('/')}/*" if base else "*"
            self._read(self.text, below=True)
        elif isinstance(url, (str, URL)):
            self.text = _joined(base, str(url))
            self._read(self.text, literal=isinstance(url, URL))
        else:
            raise TypeError(
                f"A route's URL is a string, a scallion.URL or a compiled regular expression, not {url!r}"
            )

    def match(self, url: URL) -> dict[str, Any] | None:
        """What the holes stand for; None if the URL is another one."""
        if self._regex is not None:
            found = self._regex.search(_plain(url))
            return None if found is None else found.groupdict()
        return None if next(self.differences(url), None) else self._values(url)

    def differences(self, url: URL) -> Iterator[Difference]:
        """Scheme, host, port and path, those that differ."""
        if self._regex is not None:
            if self._regex.search(_plain(url)) is None:
                yield Difference((), self._regex, redact_url(_plain(url)))
            return
        scheme, host, _ = url.origin_key
        if self._scheme is not None and self._scheme != scheme:
            yield Difference(("scheme",), self._scheme, scheme)
        if self._host is not None and self._host.fullmatch(host) is None:
            yield Difference(("host",), self._shown_host, host)
        port = "" if url.port is None else str(url.port)
        if self._port != "*" and (self._port or "") != port:
            yield Difference(("port",), self._port or "the default", port or "the default")
        if self._path is not None and self._path.fullmatch(_path_of(url)) is None:
            yield Difference(("path",), self._shown_path, url.path)

    def nearness(self, url: URL) -> float:
        """How much of host and path is as it should be, from 0 to 1."""
        if self._regex is not None:
            return _likeness(self._regex.pattern, _plain(url)) / 2
        host = url.origin_key[1]
        right = self._host is None or self._host.fullmatch(host) is not None
        segments = list(
            zip_longest(self._shown_path.split("/"), url.path.split("/"), fillvalue="")
        )[1:]
        path = sum(_likeness(expected, actual) for expected, actual in segments) / len(segments)
        return (1.0 if right else _likeness(self._shown_host, host)) / 2 + path / 2

    def _values(self, url: URL) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for regex, text in ((self._host, url.origin_key[1]), (self._path, _path_of(url))):
            found = None if regex is None else regex.fullmatch(text)
            if found is not None:
                for name, value in found.groupdict().items():
                    values[name] = int(value) if self._kinds.get(name) == "int" else unescape(value)
        return values

    def _read(self, text: str, *, literal: bool = False, below: bool = False) -> None:
        text = text.partition("#")[0]
        text, _, self.query = text.partition("?")
        self._kinds: dict[str, str | None] = {}
        absolute = _ABSOLUTE.match(text)
        if absolute is not None:
            self._read_origin(absolute[1], absolute[2], literal=literal)
            text = text[absolute.end() :]
        if below:
            text = text.removesuffix("/*").removesuffix("*")
            self._shown_path = f"{text}/*"
            self._path = re.compile(re.escape(_escaped(text)) + "(?:/.*)?")
        else:
            text = text if text.startswith(("/", "*")) else f"/{text}"
            self._shown_path = text
            self._path = re.compile(
                re.escape(_escaped(text)) if literal else self._holes(text, _SEGMENT, _escaped)
            )
        self.names = tuple(self._kinds)

    def _read_origin(self, scheme: str | None, netloc: str, *, literal: bool) -> None:
        if "@" in netloc:
            raise ValueError(
                "A route's URL has no user name or password: match what they become, "
                "headers={'Authorization': ...}"
            )
        scheme = (scheme or "all").lower()
        self._scheme = None if scheme == "all" else scheme
        port = _PORT.search(netloc)
        host = netloc[: port.start()] if port is not None else netloc
        # Cases: any port; the scheme's own, told or not; another one.
        self._port = None if port is None else port[1]
        if port is not None and port[1] != "*" and self._scheme is not None:
            number = URL(f"{self._scheme}://host:{port[1]}").port
            self._port = None if number is None else str(number)
        self._shown_host = host
        if not host:
            return
        if literal or _HOLE.search(host) is None:
            self._host = re.compile(re.escape(URL(f"http://{host}").origin_key[1]))
        else:
            labels = {None: "[^.]+", "int": "[0-9]+", "path": ".*"}
            self._host = re.compile(self._holes(host, labels, str.lower))

    def _holes(self, text: str, kinds: dict[str | None, str], normal: Any) -> str:
        """The regular expression for a text with holes."""
        regex = ""
        for position, piece in enumerate(_HOLE.split(text)):
            if position % 2 == 0:
                if "{" in piece or "}" in piece:
                    raise ValueError(f"A brace that is no hole in {text!r}: escape it, %7B and %7D")
                regex += re.escape(normal(piece))
            elif piece == "*":
                regex += ".*"
            else:
                regex += self._hole(piece, text, kinds)
        return regex

    def _hole(self, piece: str, text: str, kinds: dict[str | None, str]) -> str:
        named = _NAMED.fullmatch(piece)
        if named is None:
            raise ValueError(
                f"No hole of a route's URL: {piece!r} in {text!r}; write {{name}}, {{name:int}} or {{name:path}}"
            )
        name, kind = named.groups()
        if name in self._kinds:
            raise ValueError(f"Two holes of one name: {name!r} in {text!r}")
        self._kinds[name] = kind
        return f"(?P<{name}>{kinds[kind]})"

    def __repr__(self) -> str:
        return f"URLPattern({redact_url(self.text)!r})"


def _likeness(expected: str, actual: str) -> float:
    """1 for what is equal, or for a hole that something stands in; less for what is alike."""
    if expected == actual or (actual and _HOLE.search(expected) is not None):
        return 1.0
    from difflib import SequenceMatcher

    return 0.8 * SequenceMatcher(None, expected, actual).ratio()


def _joined(base: str, url: str) -> str:
    if not base or _ABSOLUTE.match(url) is not None:
        return url
    if url.startswith("?") or not url:
        return f"{base}{url}"
    return f"{base.rstrip('/')}/{url.lstrip('/')}"


def _plain(url: URL) -> str:
    """The URL as it is looked for: what a server could know of it."""
    return str(url.copy_with(userinfo=b"", fragment=None) if url.userinfo or url.fragment else url)


def _path_of(url: URL) -> str:
    return _escaped(url.raw_path.partition(b"?")[0].decode("ascii"))


def _escaped(path: str) -> str:
    """A path in the one form in which it is compared."""
    return "/".join(escape(_UNRESERVED, unescape(segment)) for segment in path.split("/"))
