"""RFC 6265 on top of `http.cookiejar`: what a server may set, and to whom it goes back.

Imported when the first cookie appears. The standard library's jar stores cookies, finds those for a
request and writes the `Cookie` header. Where its rules are those of Netscape's or RFC 2965's day, these
take their place:

- `Set-Cookie` is read as RFC 6265 section 5.2 says: the last attribute of a name counts, an unknown or
  malformed one is ignored and the cookie kept, a cookie without "=" or with a control character is
  dropped. Dates are read as in section 5.1.1. Name and value may have 64 KiB together, an attribute 1 KiB.
- A cookie without `Domain` goes back to the very host that set it, not to hosts below that one.
- `Domain` must be the host or end it at a dot. It is refused where it names an IP address, a bare
  top-level domain, or one like `co.uk` (there is no list of public suffixes here, so longer ones pass),
  unless it is the host itself: then the cookie is one without `Domain`.
- A response deletes only cookies that it might have set.
- The names `__Secure-…` and `__Host-…` are held to their promises (RFC 6265bis section 4.1.3).

As in the standard library, a `Secure` cookie is accepted over http (and never sent there), and `SameSite`
is kept but means nothing, as there is no site that a request comes from.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from http.cookiejar import (  # type: ignore[attr-defined]
    Cookie,
    CookieJar,
    CookiePolicy,
    DefaultCookiePolicy,
    escape_path,
    request_path,
)
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from .headers import Headers
    from .request import Request
    from .response import Response

__all__ = [
    "Jar",
    "Policy",
    "RequestView",
    "ResponseView",
    "parse_date",
    "parse_set_cookie",
    "plain_cookie",
    "snapshot",
]

C = TypeVar("C", bound=Cookie)

# RFC 6265 section 6.1 asks for at least 4096 octets; servers with signed sessions use more.
MAX_COOKIE = 65536
# RFC 6265bis section 5.6.
MAX_ATTRIBUTE = 1024
# Some thousand years: no sum with it overflows a date or a float.
MAX_SECONDS = 10**11
SECURE_SCHEMES = ("https", "wss")
# Labels that many two-letter domains keep for registrations below them.
SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "gov", "mil", "net", "org"})

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_PORT = re.compile(r":[0-9]*\Z")
_SECONDS = re.compile(r"-?[0-9]+")


class RequestView:
    """A request as `http.cookiejar` wants to see it. The URL's userinfo stays out of its sight."""

    unverifiable = False

    def __init__(self, request: Request) -> None:
        url = request.url
        self.type = url.scheme
        self.host = url.netloc.decode("ascii")
        self.origin_req_host = self.host
        self._url = f"{self.type}://{self.host}{url.raw_path.decode('ascii')}"
        self._headers = request.headers
        self.hostname = _without_port(self.host)

    def get_full_url(self) -> str:
        return self._url

    def has_header(self, name: str) -> bool:
        return name in self._headers

    def get_header(self, name: str, default: str | None = None) -> str | None:
        return self._headers.get(name, default)

    def header_items(self) -> list[tuple[str, str]]:
        return self._headers.multi_items()

    def add_unredirected_header(self, name: str, value: str) -> None:
        self._headers[name] = value


class ResponseView:
    """A response as `http.cookiejar` wants to see it."""

    def __init__(self, response: Response) -> None:
        self._headers: Headers = response.headers

    def info(self) -> ResponseView:
        return self

    def get_all(self, name: str, default: list[str] | None = None) -> list[str] | None:
        return self._headers.get_list(name) or default


class HostCookie(Cookie):
    """A cookie for the very host that set it.

    The standard library files it under "localhost.local" if that host was "localhost"; `host` tells the
    two apart.
    """

    host: str


class Policy(DefaultCookiePolicy):
    """Which cookies are accepted from a host and returned to one; the rules head this module."""

    def set_ok(self, cookie: Cookie, request: Any) -> bool:
        return _keeps_promise(cookie, request) and super().set_ok(cookie, request)

    def set_ok_domain(self, cookie: Cookie, request: Any) -> bool:
        if cookie.domain_specified and not _may_set(request_host(request), cookie.domain):
            return False
        return super().set_ok_domain(cookie, request)

    def return_ok_domain(self, cookie: Cookie, request: Any) -> bool:
        # Cases: set by the program for all hosts; received for one host; the same, from another jar;
        # for a domain, where an IP address has nothing above it.
        host = request_host(request)
        if not cookie.domain:
            return True
        if isinstance(cookie, HostCookie):
            return cookie.host == host
        if not cookie.domain_specified:
            return cookie.domain == _filed_under(host)
        if cookie.domain.removeprefix(".") == host:
            return True
        return not _is_address(host) and super().return_ok_domain(cookie, request)


class Jar(CookieJar):
    """A cookie jar that reads `Set-Cookie` by RFC 6265. Safe to share between threads."""

    _policy: CookiePolicy
    _cookies_lock: Any

    def __init__(self, policy: CookiePolicy | None = None) -> None:
        super().__init__(Policy() if policy is None else policy)

    def make_cookies(self, response: Any, request: Any) -> list[Cookie]:
        """The cookies in a response, those included that ask for deletion by an expiry in the past."""
        now = int(time.time())
        lines: Iterable[str] = response.info().get_all("Set-Cookie", [])
        cookies = [parse_set_cookie(line, request, now) for line in lines]
        return [cookie for cookie in cookies if cookie is not None]

    def extract_cookies(self, response: Any, request: Any) -> None:
        with self._cookies_lock:
            for cookie in self.make_cookies(response, request):
                # The policy speaks first: nobody deletes a cookie that he may not set.
                if not self._policy.set_ok(cookie, request):
                    continue
                if not cookie.is_expired():
                    self.set_cookie(cookie)
                    continue
                # Not kept for a moment either: it would take a place before those that are set later.
                with suppress(KeyError):
                    self.clear(cookie.domain, cookie.path, cookie.name)

    def clear(
        self, domain: str | None = None, path: str | None = None, name: str | None = None
    ) -> None:
        with self._cookies_lock:
            super().clear(domain, path, name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(snapshot(self))} cookies>"

    __str__ = __repr__


def snapshot(jar: CookieJar) -> list[Cookie]:
    """The cookies of a jar, safe from other threads that change it meanwhile."""
    with jar._cookies_lock:  # type: ignore[attr-defined]
        return list(jar)


def plain_cookie(name: str, value: str, domain: str, path: str) -> Cookie:
    """A session cookie that the program sets itself; with the domain "" it goes to all hosts."""
    return _cookie(
        Cookie,
        name,
        value,
        domain=domain,
        domain_specified=bool(domain),
        domain_initial_dot=domain.startswith("."),
        path=path,
        path_specified=bool(path),
        rest={"HttpOnly": None},
    )


def _cookie(kind: type[C], name: str, value: str, **given: Any) -> C:
    fields: dict[str, Any] = {"secure": False, "expires": None, **given}
    return kind(
        version=0,
        name=name,
        value=value,
        port=None,
        port_specified=False,
        discard=fields["expires"] is None,
        comment=None,
        comment_url=None,
        **fields,
    )


# Reading `Set-Cookie`.


def parse_set_cookie(line: str, request: Any, now: int) -> Cookie | None:
    """The cookie in one `Set-Cookie` line, or None if it has to be ignored (RFC 6265 section 5.2).

    Whether the host may set it is the policy's question.

    Args:
        request: A view of the request that was answered.
        now: The time that `Max-Age` counts from, in seconds since the epoch.
    """
    if _CONTROL.search(line):
        return None
    first, *attributes = line.split(";")
    name, equals, value = _halves(first)
    if not name or not equals or len(name) + len(value) > MAX_COOKIE:
        return None
    known, rest = _attributes(attributes, now)
    path = known.get("path")
    # Escaped as the request's path will be when the jar compares the two.
    fields = {
        "path": _default_path(request) if path is None else escape_path(path),
        "path_specified": path is not None,
        "secure": "secure" in known,
        "expires": known.get("max-age", known.get("expires")),
        "rest": rest,
    }
    host = request_host(request)
    domain = known.get("domain", "").removeprefix(".")
    if domain and not (domain == host and _stands_alone(host)):
        fields |= {"domain": "." + domain, "domain_specified": True}
        return _cookie(
            Cookie, name, value, domain_initial_dot=known["domain"].startswith("."), **fields
        )
    fields |= {"domain": _filed_under(host), "domain_specified": False}
    cookie = _cookie(HostCookie, name, value, domain_initial_dot=False, **fields)
    cookie.host = host
    return cookie


def _halves(part: str) -> tuple[str, str, str]:
    name, equals, value = part.partition("=")
    return name.strip(" \t"), equals, value.strip(" \t")


def _attributes(parts: list[str], now: int) -> tuple[dict[str, Any], dict[str, str | None]]:
    """The attributes with a meaning, in lower case, and the others as they are spelled."""
    known: dict[str, Any] = {}
    rest: dict[str, str | None] = {}
    for part in parts:
        name, equals, value = _halves(part)
        if len(value) > MAX_ATTRIBUTE:
            continue
        match name.lower():
            case "expires":
                if (expires := parse_date(value)) is not None:
                    known["expires"] = expires
            case "max-age":
                if _SECONDS.fullmatch(value):
                    seconds = int(value)
                    # 0 is long ago, whatever the clock says.
                    known["max-age"] = now + min(seconds, MAX_SECONDS) if seconds > 0 else 0
            case "domain":
                if value:
                    known["domain"] = value.lower()
            case "path":
                known["path"] = value if value.startswith("/") else None
            case "secure":
                known["secure"] = True
            case "":
                continue
            case _:
                rest[name] = value if equals else None
    return known, rest


def _default_path(request: Any) -> str:
    """The request's path, escaped, up to and without its last slash (RFC 6265 section 5.1.4)."""
    path: str = request_path(request)
    return path[: path.rfind("/")] or "/"


# RFC 6265 section 5.1.1. What separates the tokens of a date is nearly everything but letters, digits, ":".
_DATE_TOKEN = re.compile(r"[^\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[^0-9].*)?", re.DOTALL)
_DAY = re.compile(r"([0-9]{1,2})(?:[^0-9].*)?", re.DOTALL)
_YEAR = re.compile(r"([0-9]{2,4})(?:[^0-9].*)?", re.DOTALL)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def parse_date(text: str) -> int | None:
    """Seconds since the epoch, or None for what is no date by RFC 6265 section 5.1.1."""
    hour = minute = second = day = month = year = None
    # Each token is the first thing that it can be and that is still missing.
    for token in _DATE_TOKEN.findall(text):
        if hour is None and (found := _TIME.fullmatch(token)):
            hour, minute, second = (int(part) for part in found.groups())
        elif day is None and (found := _DAY.fullmatch(token)):
            day = int(found[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (found := _YEAR.fullmatch(token)):
            year = _full_year(int(found[1]))
    if year is None or month is None or day is None or hour is None or year < 1601:
        return None
    assert minute is not None
    assert second is not None
    try:
        return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
    except ValueError:  # There is no such day or time.
        return None


def _full_year(year: int) -> int:
    if year < 70:
        return year + 2000
    return year + 1900 if year < 100 else year


# Hosts and domains.


def request_host(request: Any) -> str:
    """The host of a request, in lower case, without the port; IPv6 in brackets."""
    if isinstance(request, RequestView):
        return request.hostname
    return _without_port(urlsplit(request.get_full_url()).netloc.rpartition("@")[2])


def _without_port(authority: str) -> str:
    return _PORT.sub("", authority).lower()


def _filed_under(host: str) -> str:
    """The domain that the standard library gives to a cookie of this host and no other."""
    return host if "." in host else host + ".local"


def _is_address(host: str) -> bool:
    # No top-level domain is a number, so this is IPv4, or meant to be; brackets are IPv6.
    return host.startswith("[") or host.rpartition(".")[2].isdigit()


def _stands_alone(domain: str) -> bool:
    """Whether nobody may set cookies for what is below: an address, or as good as a public suffix."""
    if _is_address(domain):
        return True
    first, dot, last = domain.partition(".")
    return not dot or (len(last) == 2 and first in SECOND_LEVEL)


def _may_set(host: str, domain: str) -> bool:
    """Whether `host` may set cookies for `domain`, which begins with a dot (RFC 6265 section 5.3)."""
    return ("." + host).endswith(domain) and not _is_address(host) and not _stands_alone(domain[1:])


def _keeps_promise(cookie: Cookie, request: Any) -> bool:
    """Whether a name that promises something does so rightly, in any case of letters."""
    name = cookie.name.lower()
    if not name.startswith(("__secure-", "__host-")):
        return True
    if not cookie.secure or request.type not in SECURE_SCHEMES:
        return False
    if name.startswith("__secure-"):
        return True
    return not cookie.domain_specified and cookie.path_specified and cookie.path == "/"
