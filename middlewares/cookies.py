"""Cookies: what a response sets, later requests carry."""

from __future__ import annotations

from scallion.pipeline.cookies import Cookies
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

__all__ = ["CookiePersistence"]


class CookiePersistence(Layer):
    """Keep the cookies that responses set, and send them back where they belong (RFC 6265).

    A request that has a `Cookie` header keeps it as it is: cookies given to one request go out with it and
    are not kept.

    Attributes:
        cookies: The jar. Shared by all requests of the client, and safe to share between threads.

    Order: inside redirects, since a hop may set the cookie that the next one needs, and each hop's
    cookies depend on its URL. Outside redirects the cookies of the last response alone would be kept.
    """

    def __init__(self, cookies: Cookies | None = None) -> None:
        self.cookies = Cookies() if cookies is None else cookies

    def bind(self, send: Bound, call_next: Next) -> Bound:  # noqa: ARG002  (it needs nothing else of it)
        async def through(request: Request) -> Response:
            cookies = self.cookies
            # Without a jar there has been no cookie so far, and there is nothing to look for.
            if cookies._jar is not None and not request.headers.has(b"cookie"):
                cookies.set_cookie_header(request)
            response = await send(request)
            if response.headers.has(b"set-cookie"):
                cookies.extract_cookies(response)
            return response

        return through

    def __repr__(self) -> str:
        return "CookiePersistence()"
