"""Cookies: the jar that requests and responses share, seen as a mapping of names to values."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, cast

from .errors import CookieConflict

if TYPE_CHECKING:
    from http.cookiejar import Cookie, CookieJar

    from .request import Request
    from .response import Response
    from .types import CookieTypes

__all__ = ["Cookies"]

# Two threads that meet their first cookies at once must end up with one jar.
_creation = threading.Lock()


class Cookies(MutableMapping[str, str]):
    """Cookies by name, over a jar of `http.cookiejar` that knows their domains and paths.

    Without a jar of yours there is one that keeps RFC 6265 where the standard library's does not: exact
    hosts without `Domain`, no cookies for `com`, `co.uk` or IP suffixes, its date formats, `__Host-` and
    `__Secure-` names, bounded sizes. It is made when it is first needed. A jar of yours keeps its policy.

    Cookies that a program sets without a domain go to every host; mind that where a client talks to
    several. Safe to share between threads.

    Args:
        cookies: Names and values, as a mapping or as pairs; other `Cookies`, which are copied; or a
            `CookieJar`, which is used as it is.
    """

    __slots__ = ("__weakref__", "_jar")

    _jar: CookieJar | None

    def __init__(self, cookies: CookieTypes | None = None) -> None:
        self._jar = None
        # Cases: nothing; ours, copied; a jar, which has this method and may be empty; names and values.
        if cookies is None:
            return
        if isinstance(cookies, Cookies):
            self._add(cookies._all())
        elif hasattr(cookies, "extract_cookies"):
            self._jar = cast("CookieJar", cookies)
        else:
            pairs: Any = cookies.items() if isinstance(cookies, Mapping) else cookies
            for name, value in pairs:
                self.set(name, value)

    @property
    def jar(self) -> CookieJar:
        """The jar that holds the cookies, with all that is known about them."""
        if self._jar is None:
            from .cookiejar import Jar

            with _creation:
                if self._jar is None:
                    self._jar = Jar()
        return self._jar

    @jar.setter
    def jar(self, jar: CookieJar) -> None:
        self._jar = jar

    def _all(self) -> list[Cookie]:
        if self._jar is None:
            return []
        from .cookiejar import snapshot

        return snapshot(self._jar)

    def _add(self, cookies: list[Cookie]) -> None:
        for cookie in cookies:
            self.jar.set_cookie(cookie)

    # Between the jar and the messages.

    def extract_cookies(self, response: Response) -> None:
        """Store what the response's `Set-Cookie` fields set, and delete what they delete."""
        if not response.headers.has(b"set-cookie"):
            return
        from .cookiejar import RequestView, ResponseView

        self.jar.extract_cookies(
            ResponseView(response),  # type: ignore[arg-type]
            RequestView(response.request),  # type: ignore[arg-type]
        )

    def set_cookie_header(self, request: Request) -> None:
        """Give the request a `Cookie` field with the cookies for its URL; one that it has stays."""
        # The standard library's jars keep their cookies here; other kinds of jars are always asked.
        if self._jar is None or not getattr(self._jar, "_cookies", True):
            return
        from .cookiejar import RequestView

        self._jar.add_cookie_header(RequestView(request))  # type: ignore[arg-type]

    # By name, domain and path.

    def set(self, name: str, value: str, domain: str = "", path: str = "/") -> None:
        """Set a session cookie. Without `domain` it goes to all hosts, with it also to hosts below."""
        from .cookiejar import plain_cookie

        self.jar.set_cookie(plain_cookie(name, value, domain, path))

    def _matching(self, name: str, domain: str | None, path: str | None) -> list[Cookie]:
        return [
            cookie
            for cookie in self._all()
            if cookie.name == name
            and (domain is None or cookie.domain == domain)
            and (path is None or cookie.path == path)
        ]

    def get(  # type: ignore[override]
        self,
        name: str,
        default: str | None = None,
        domain: str | None = None,
        path: str | None = None,
    ) -> str | None:
        """The value of the one cookie of this name, or `default`.

        Raises:
            CookieConflict: several match; give `domain` or `path` as well.
        """
        values = [cookie.value for cookie in self._matching(name, domain, path)]
        values = [value for value in values if value is not None]
        if len(values) > 1:
            raise CookieConflict(f"Multiple cookies exist with name={name}")
        return values[0] if values else default

    def delete(self, name: str, domain: str | None = None, path: str | None = None) -> None:
        """Delete all cookies of this name, or those of a domain or path only.

        Raises:
            KeyError: domain and path were given, and there is no such cookie.
        """
        if domain is not None and path is not None:
            self.jar.clear(domain, path, name)
            return
        for cookie in self._matching(name, domain, path):
            self.jar.clear(cookie.domain, cookie.path, cookie.name)

    def clear(self, domain: str | None = None, path: str | None = None) -> None:
        """Delete all cookies, or those of a domain, or those of a path within it.

        Raises:
            KeyError: there are none.
            ValueError: a path without a domain.
        """
        # Cases: a path, which needs its domain; a domain; all.
        if path is not None:
            if domain is None:
                raise ValueError("clear(path=…) needs the domain as well")
            self.jar.clear(domain, path)
        elif domain is not None:
            self.jar.clear(domain)
        elif self._jar is not None:
            self._jar.clear()

    def update(self, cookies: CookieTypes | None = None) -> None:  # type: ignore[override]
        """Add cookies; those of the same name, domain and path are replaced."""
        self._add((cookies if isinstance(cookies, Cookies) else Cookies(cookies))._all())

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __delitem__(self, name: str) -> None:
        self.delete(name)

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[str]:
        return iter([cookie.name for cookie in self._all()])

    def __bool__(self) -> bool:
        return self._jar is not None and bool(self._all())

    def __repr__(self) -> str:
        # Values are secrets as a rule, so none is shown.
        cookies = [f"<Cookie {c.name} for {c.domain}{c.path} />" for c in self._all()]
        return f"<Cookies[{', '.join(cookies)}]>"

    def __reduce__(self) -> tuple[Any, ...]:
        # Locks do not pickle, cookies do. A jar of the program's becomes one of ours.
        return _restore, (type(self), self._all())


def _restore(cls: type[Cookies], cookies: list[Cookie]) -> Cookies:
    restored = cls()
    restored._add(cookies)
    return restored
