"""URLs as immutable values: parts, edited copies, references resolved, and what a transport asks of them.

Requests ask for the same few URLs again and again, so `URL(text)` answers from a bounded cache, and the
same text gives the very same object. Whatever is derived from the parts is computed once, when asked for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from .errors import InvalidURL
from .hosts import decode_host, without_zone
from .percent import unescape
from .queryparams import QueryParams
from .urlparse import (
    DEFAULT_PORTS,
    Parts,
    compose,
    edit,
    encode_params,
    ordinary,
    parse,
    plain_reference,
)

if TYPE_CHECKING:
    from .origin import Origin
    from .types import QueryParamTypes
    from .uri_reference import URIReference

__all__ = ["URL", "RawURL", "at_origin", "merge_base", "with_trailing_slash"]

# Longer texts are rare, seldom repeated, and would make the caches' size in bytes a matter of luck.
_MAX_CACHED_LENGTH = 2_048

_U = TypeVar("_U", bound="URL")


class RawURL(NamedTuple):
    """What `URL.raw` gives."""

    raw_scheme: bytes
    raw_host: bytes
    port: int | None
    raw_path: bytes


class URL:
    """A URL, normalised: scheme and name in lower case, no default port, no dot segments, escaped.

    `URL("https://example.org/x")`, or a URL with parts given by keyword, which replace those of `url`;
    None removes a part: `URL(url, scheme="http", params={"page": 2})`.

    Immutable, hashable, equal to the same URL as text; `repr` hides the password. Escapes already there
    are kept as they are. Relative references are URLs too: see `is_absolute_url` and `join`.

    An IPv6 host may bear a zone (RFC 6874). In the text it is `[fe80::1%25eth0]`; `host`, the argument
    `host` and `origin_key` have the form to connect to, `fe80::1%eth0`; `netloc` and `host_header` go to
    servers, to which a zone means nothing, and leave it out.

    Args:
        url: Text of at most 65,536 characters, or a URL.
        scheme: str.
        username: str, unescaped. Replaces the whole userinfo together with `password`.
        password: str, unescaped.
        userinfo: bytes, escaped, `user:password`.
        host: str; IPv6 with or without brackets.
        port: int from 0 to 65535.
        netloc: bytes, `host:port`. Wins over both.
        path: str, without query.
        query: bytes. An empty one leaves the `?`; None does not.
        raw_path: bytes, path and query. Wins over both and over `params`.
        fragment: str.
        params: Anything that `QueryParams` takes. Replaces the query; empty or None removes it.

    Raises:
        InvalidURL: the result is no URL.
        TypeError: `url` or a keyword is of the wrong type, or a keyword is unknown.
    """

    __slots__ = (
        "__weakref__",
        "_fragment",
        "_host",
        "_netloc",
        "_origin",
        "_params",
        "_path",
        "_port",
        "_query",
        "_raw_path",
        "_scheme",
        "_text",
        "_userinfo",
    )

    _scheme: str
    _userinfo: str
    _host: str
    _port: int | None
    _path: str
    _query: str | None
    _fragment: str | None
    _text: str | None
    _origin: tuple[str, str, int] | None
    _raw_path: bytes | None
    _netloc: bytes | None
    _params: QueryParams | None

    def __new__(cls, url: URL | str = "", **kwargs: Any) -> Self:
        if type(url) is str and not kwargs and cls is URL and len(url) <= _MAX_CACHED_LENGTH:
            return _cached(url)  # type: ignore[return-value]
        # Cases: text or a URL, with or without keywords, of which `params` leave the rest as it is.
        if len(kwargs) == 1 and "params" in kwargs:
            scheme, userinfo, host, port, path, _, fragment = _parts(URL(url))
            query = encode_params(kwargs["params"])
            return _make(cls, (scheme, userinfo, host, port, path, query, fragment))
        if isinstance(url, str):
            text = str.__str__(url)  # of a subclass, the text alone
            return _make(cls, edit(text, kwargs)) if kwargs else _parse(cls, text)
        if not isinstance(url, URL):
            raise TypeError(
                f"Invalid type for url: expected str or scallion.URL, got {type(url).__name__}"
            )
        if kwargs:
            return _make(cls, edit(_parts(url), kwargs))
        return url if type(url) is cls else _make(cls, _parts(url))

    @property
    def scheme(self) -> str:
        """In lower case; empty for a relative URL."""
        return self._scheme

    @property
    def raw_scheme(self) -> bytes:
        """`scheme` in bytes."""
        return self._scheme.encode("ascii")

    @property
    def userinfo(self) -> bytes:
        """Escaped user name and password, as in the text. A secret."""
        return self._userinfo.encode("ascii")

    @property
    def username(self) -> str:
        """Unescaped; empty if absent."""
        return unescape(self._userinfo.partition(":")[0])

    @property
    def password(self) -> str:
        """Unescaped; empty if absent. A secret."""
        return unescape(self._userinfo.partition(":")[2])

    @property
    def host(self) -> str:
        """For people: IDNA decoded, IPv6 without brackets but with its zone. Empty if absent."""
        host = self._host
        return decode_host(host) if host.startswith("xn--") else host

    @property
    def raw_host(self) -> bytes:
        """For name resolution: IDNA encoded, IPv6 without brackets but with its zone."""
        return self._host.encode("ascii")

    @property
    def port(self) -> int | None:
        """None if absent or the scheme's default."""
        return self._port

    @property
    def netloc(self) -> bytes:
        """Host and port as servers know them: no userinfo, no zone, no default port."""
        netloc = self._netloc
        if netloc is None:
            host = without_zone(self._host)
            if self._port is not None:
                host = f"{host}:{self._port}"
            netloc = self._netloc = host.encode("ascii")
        return netloc

    @property
    def path(self) -> str:
        """Unescaped; at least `/`."""
        return unescape(self._path) or "/"

    @property
    def query(self) -> bytes:
        """Escaped, without its `?`; empty if absent."""
        return (self._query or "").encode("ascii")

    @property
    def params(self) -> QueryParams:
        """The query as parameters."""
        params = self._params
        if params is None:
            params = self._params = QueryParams(self._query)
        return params

    @property
    def raw_path(self) -> bytes:
        """Path and query, escaped; the path is at least `/`."""
        raw_path = self._raw_path
        if raw_path is None:
            path = self._path or "/"
            if self._query is not None:
                path = f"{path}?{self._query}"
            raw_path = self._raw_path = path.encode("ascii")
        return raw_path

    @property
    def fragment(self) -> str:
        """Unescaped, without its `#`; empty if absent."""
        return unescape(self._fragment or "")

    @property
    def raw(self) -> RawURL:
        """Scheme, host, port and target in bytes. Deprecated: ask for each by name."""
        import warnings

        # Not a DeprecationWarning: httpx says it to everybody.
        warnings.warn("URL.raw is deprecated.", stacklevel=2)
        return RawURL(self.raw_scheme, self.raw_host, self._port, self.raw_path)

    @property
    def is_absolute_url(self) -> bool:
        """Whether there are a scheme and a host, so that a request can be sent."""
        return bool(self._scheme and self._host)

    @property
    def is_relative_url(self) -> bool:
        """The opposite of `is_absolute_url`."""
        return not self.is_absolute_url

    @property
    def origin(self) -> Origin:
        """Scheme, host and port, as a value to compare and to show.

        Raises:
            ValueError: the URL is relative.
        """
        from .origin import Origin

        return Origin(self)

    @property
    def origin_key(self) -> tuple[str, str, int]:
        """What identifies the server (RFC 6454 section 4): scheme, host to connect to, port.

        The host is in ASCII without brackets, its zone kept. The port is the scheme's default where the
        URL has none, and 0 where the scheme has none either.
        """
        origin = self._origin
        if origin is None:
            scheme, host, port = self._scheme, self._host, self._port
            if ":" in host:
                # Digits of an address are the same in both cases; the name of an interface is not.
                address, percent, zone = host.partition("%")
                host = f"{address.lower()}{percent}{zone}"
            if port is None:
                port = DEFAULT_PORTS.get(scheme, 0)
            origin = self._origin = (scheme, host, port)
        return origin

    @property
    def _uri_reference(self) -> URIReference:
        from .uri_reference import URIReference

        return URIReference(*_parts(self))

    @property
    def target(self) -> bytes:
        """The request target in origin form (RFC 9112 section 3.2.1): `raw_path`."""
        return self._raw_path or self.raw_path

    @property
    def host_header(self) -> bytes:
        """The value of the Host field (RFC 9110 section 7.2): `netloc`."""
        return self._netloc or self.netloc

    def copy_with(self, **kwargs: Any) -> URL:
        """A copy in which the parts named as in `URL()` are replaced."""
        return URL(self, **kwargs)

    def copy_set_param(self, key: str, value: Any = None) -> URL:
        """A copy whose query has `value` as the only one of its name."""
        return self._with_params(self.params.set(key, value))

    def copy_add_param(self, key: str, value: Any = None) -> URL:
        """A copy whose query has `value` as well."""
        return self._with_params(self.params.add(key, value))

    def copy_remove_param(self, key: str) -> URL:
        """A copy whose query lacks the name."""
        return self._with_params(self.params.remove(key))

    def copy_merge_params(self, params: QueryParamTypes) -> URL:
        """A copy whose query has, for the names in `params`, the values there and only those."""
        return self._with_params(self.params.merge(params))

    def join(self, url: URL | str) -> URL:
        """The URL that the reference `url` means when it is found at this one (RFC 3986 section 5).

        As in web browsers, `http:x` found at an http URL is the path `x` (section 5.2.2 allows it).

        Raises:
            InvalidURL: either the reference or the result is none.
        """
        from urllib.parse import urljoin

        try:
            joined = urljoin(str(self), str(URL(url)))
        except ValueError as exc:
            raise InvalidURL(f"Cannot resolve the reference: {exc}") from None
        return URL(joined)

    def _with_params(self, params: QueryParams) -> URL:
        return URL(self, params=params)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, (URL, str)) and str(self) == str(URL(other))

    def __hash__(self) -> int:
        text = self._text
        return hash(str(self) if text is None else text)

    def __str__(self) -> str:
        text = self._text
        if text is None:
            text = self._text = compose(_parts(self))
        return text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({compose(_parts(self), masked=True)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (type(self), _parts(self))


def _make(cls: type[_U], parts: Parts, text: str | None = None) -> _U:
    url = object.__new__(cls)
    (
        url._scheme,
        url._userinfo,
        url._host,
        url._port,
        url._path,
        url._query,
        url._fragment,
    ) = parts
    url._text = text
    url._origin = url._raw_path = url._netloc = url._params = None
    return url


def _parts(url: URL) -> Parts:
    return (
        url._scheme,
        url._userinfo,
        url._host,
        url._port,
        url._path,
        url._query,
        url._fragment,
    )


def _parse(cls: type[_U], text: str) -> _U:
    parts = ordinary(text)
    return _make(cls, parse(text)) if parts is None else _make(cls, parts, text)


@lru_cache(maxsize=1_024)
def _cached(text: str) -> URL:
    return _parse(URL, text)


def at_origin(url: URL, place: URL) -> URL:
    """The URL with the scheme, the host and the port of `place`, which are known to be good: nothing is parsed."""
    # One by one: this is done for each request to a service.
    moved = object.__new__(URL)
    moved._scheme = place._scheme
    moved._userinfo = url._userinfo
    moved._host = place._host
    moved._port = place._port
    moved._path = url._path
    moved._query = url._query
    moved._fragment = url._fragment
    moved._text = moved._params = None
    moved._origin = place.origin_key
    moved._netloc = place._netloc
    moved._raw_path = url._raw_path
    return moved


def with_trailing_slash(url: URL) -> URL:
    """The URL with a `/` at the end of its `raw_path`: what a base URL must have."""
    if url.raw_path.endswith(b"/"):
        return url
    return url.copy_with(raw_path=url.raw_path + b"/")


def merge_base(base: URL, url: URL | str) -> URL:
    """`url` if it is absolute; else `base` with the path and query of `url` appended to its own.

    Unlike with `join`, a leading slash does not lead to the root: at `https://example.org/api/`, both
    `users` and `/users` are `https://example.org/api/users`.

    Args:
        base: Ends in a slash: see `with_trailing_slash`.
        url: What was asked for.

    Raises:
        InvalidURL: `url`, or the result, is none.
    """
    if type(url) is str and len(url) <= _MAX_CACHED_LENGTH:
        return _merge_text(base, url)
    return _merge(base, URL(url))


def _merge(base: URL, url: URL) -> URL:
    if url.is_absolute_url:
        return url
    return base.copy_with(raw_path=base.raw_path + url.raw_path.lstrip(b"/"))


@lru_cache(maxsize=1_024)
def _merge_text(base: URL, text: str) -> URL:
    # Cases: one plain path onto another, which is concatenation; anything else.
    scheme, userinfo, host, port, path, query, fragment = _parts(base)
    path = path or "/"
    open_ended = bool(host) and path[-1] == "/" and query is None and fragment is None
    reference = plain_reference(text) if open_ended else None
    if reference is None:
        return _merge(base, URL(text))
    return _make(URL, (scheme, userinfo, host, port, path + reference[0], reference[1], None))
