"""Redirects: follow them where asked to, or say where they lead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from scallion.pipeline.errors import (
    InvalidURL,
    RemoteProtocolError,
    StreamConsumed,
    TooManyRedirects,
)
from scallion.pipeline.headers import Headers
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.settings import DEFAULT_MAX_REDIRECTS
from scallion.pipeline.urls import URL

if TYPE_CHECKING:
    from scallion.pipeline.cookies import Cookies

__all__ = ["RedirectOption", "Redirects", "next_request", "redirect_headers"]

_OPTION = "scallion.Redirects"

SENSITIVE = frozenset({"authorization", "proxy-authorization"})
"""Headers that another origin must not see. `Cookie` is always made anew."""


HeadersFor: TypeAlias = Callable[[Request, URL, str], Headers]
"""Makes the headers of the next request from the last one, the URL that it goes to, and its method."""


@dataclass(frozen=True)
class RedirectOption:
    """What one request says to `Redirects`; None leaves the layer's setting."""

    follow: bool | None = None
    limit: int | None = None
    headers: HeadersFor | None = None


_NOTHING = RedirectOption()


@dataclass(frozen=True, init=False, repr=False)
class Redirects(Layer):
    """Follow redirects (RFC 9110 section 15.4), or set `response.next_request` and leave it to the caller.

    The responses on the way are read and stand in `response.history`. Across origins the sensitive headers are
    dropped, but for a step from http to https on the same host and default ports. 303, 302, and 301 after
    POST become GET without a body.

    Attributes:
        follow: Whether to follow.
        limit: Redirects in a row, at least 0.
        sensitive: Names of headers to drop across origins, in whatever case; by default httpx's. The service stack adds
            `X-Api-Key`.
        cookies: The jar from which the next request gets its `Cookie` header; None for none.

    Request extension: `Redirects.option_for(follow=..., limit=...)`.

    Order: inside authentication, as httpx has it, so that one login covers the whole chain; outside cookies
    and hooks, which see each hop. Outside authentication each hop would be logged in anew, with
    credentials for an origin that may not deserve them.

    Raises:
        TooManyRedirects: more than `limit`.
        RemoteProtocolError: the Location is no URL (only when following).
        StreamConsumed: the body must be sent again (307, 308) and cannot be.
    """

    option: ClassVar[str | None] = _OPTION

    follow: bool
    limit: int
    sensitive: Collection[str]
    # A jar is no setting to be shown, and has no hash.
    cookies: Cookies | None = field(repr=False, hash=False)

    def __init__(
        self,
        follow: bool = False,
        limit: int = DEFAULT_MAX_REDIRECTS,
        *,
        sensitive: Iterable[str] = SENSITIVE,
        cookies: Cookies | None = None,
    ) -> None:
        if limit < 0:
            raise ValueError(f"Redirects limit must be at least 0: {limit}")
        if isinstance(sensitive, (str, bytes)):
            raise TypeError(f"Redirects sensitive must be a collection of names: {sensitive!r}")
        object.__setattr__(self, "follow", follow)
        object.__setattr__(self, "limit", limit)
        object.__setattr__(self, "sensitive", frozenset(name.lower() for name in sensitive))
        object.__setattr__(self, "cookies", cookies)

    @staticmethod
    def option_for(*, follow: bool | None = None, limit: int | None = None) -> dict[str, Any]:
        """The entry for `extensions=` that speaks to this layer for one request."""
        return {_OPTION: RedirectOption(follow, limit)}

    def bind(self, send: Bound, call_next: Next) -> Bound:
        async def through(request: Request) -> Response:
            option = request.extensions.get(_OPTION) or _NOTHING
            if type(option) is not RedirectOption:
                raise TypeError(f"Expected Redirects.option_for(...), not {option!r}")
            response = await send(request)
            if 300 <= response.status_code < 400 and response.has_redirect_location:
                return await self._redirect(request, response, call_next, option)
            return response

        return through

    async def _redirect(
        self, request: Request, response: Response, call_next: Next, option: RedirectOption
    ) -> Response:
        follow = self.follow if option.follow is None else option.follow
        if not follow:
            try:
                response.next_request = next_request(
                    request, response, self.sensitive, self.cookies, option.headers
                )
            except RemoteProtocolError:
                response.next_request = None
            return response
        limit = self.limit if option.limit is None else option.limit
        return await self._follow(request, response, call_next, limit, option.headers)

    async def _follow(
        self,
        request: Request,
        response: Response,
        call_next: Next,
        limit: int,
        headers: HeadersFor | None,
    ) -> Response:
        history: list[Response] = []
        while response.has_redirect_location:
            try:
                if len(history) >= limit:
                    raise TooManyRedirects("Exceeded maximum allowed redirects.", request=request)
                following = next_request(request, response, self.sensitive, self.cookies, headers)
                if _leaves(request.url, following.url):
                    following.credentials_allowed = False
                if following.stream is request.stream and not request.replayable:
                    raise StreamConsumed(
                        f"The server redirected with {response.status_code}, which sends the body again, and this "
                        "body can be sent once only: give bytes, or a file that can seek"
                    )
                await response.aread()
            except BaseException:
                await response.aclose()
                raise
            history = [*history, response]
            request.note("redirect", status=response.status_code, location=str(following.url))
            request = following
            response = await call_next(request)
            response.history = list(history)
        return response

    def __repr__(self) -> str:
        names = ", ".join(map(repr, sorted(self.sensitive)))
        told = "" if self.sensitive == SENSITIVE else f", sensitive={{{names}}}"
        return f"Redirects(follow={self.follow}, limit={self.limit}{told})"


def next_request(
    request: Request,
    response: Response,
    sensitive: Collection[str] = SENSITIVE,
    cookies: Cookies | None = None,
    headers: HeadersFor | None = None,
) -> Request:
    """The request that `response`'s Location asks for, with headers that `headers` makes, if given.

    Raises:
        RemoteProtocolError: the Location is no URL.
    """
    method = _method(request.method, response.status_code)
    url = _location(request, response)
    if headers is None:
        made = redirect_headers(request, url, method, sensitive)
    else:
        made = headers(request, url, method)
    following = Request(
        method,
        url,
        headers=made,
        cookies=cookies or None,
        stream=None if _bodiless(request, method) else request.stream,
    )
    following.inherit(request)
    return following


def _method(method: str, status: int) -> str:
    """RFC 9110 sections 15.4.2 to 15.4.4, as browsers do it: the cases in which a redirect changes the method."""
    if method == "HEAD":
        return method
    if status in (302, 303) or (status == 301 and method == "POST"):
        return "GET" if method != "QUERY" or status == 303 else method
    return method


def _location(request: Request, response: Response) -> URL:
    try:
        return _resolved(request, URL(response.headers["Location"]))
    except InvalidURL as error:
        raise RemoteProtocolError(
            f"Invalid URL in location header: {error}.", request=request
        ) from error


def _resolved(request: Request, url: URL) -> URL:
    if url.scheme and not url.host:
        # "https:///path": the host is missing, and the one we spoke to is meant.
        url = url.copy_with(host=request.url.host)
    if url.is_relative_url:
        url = request.url.join(url)
    if request.url.fragment and not url.fragment:
        # RFC 9110 section 10.2.2: the fragment is inherited.
        url = url.copy_with(fragment=request.url.fragment)
    return url


def _bodiless(request: Request, method: str) -> bool:
    return method != request.method and method == "GET"


def redirect_headers(
    request: Request, url: URL, method: str, sensitive: Collection[str] = SENSITIVE
) -> Headers:
    """The headers of `request` as they are right for `url` and `method`; Cookie is left to the jar."""
    headers = Headers(request.headers)
    if url.origin_key != request.url.origin_key:
        if _leaves(request.url, url):
            for name in sensitive:
                headers.pop(name, None)
        headers["Host"] = url.host_header.decode("ascii")
    if _bodiless(request, method):
        headers.pop("Content-Length", None)
        headers.pop("Transfer-Encoding", None)
    headers.pop("Cookie", None)
    return headers


def _leaves(old: URL, new: URL) -> bool:
    """Whether a step leads to another origin, and does more than add TLS on the default ports."""
    if old.origin_key == new.origin_key:
        return False
    return (*old.origin_key, *new.origin_key) != (
        "http",
        old.origin_key[1],
        80,
        "https",
        old.origin_key[1],
        443,
    )
