"""The router: a transport of both colours that answers by its routes, remembers what was asked, and is verified.

The first route that takes a request answers it, in the order in which they were made; one that is used up (`times=`,
or a sequence that refuses further calls) is passed over. Nothing else is answered, unless it may pass through.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterable
from typing import Any, TypeAlias, Unpack

from scallion.pipeline.headers import Headers
from scallion.pipeline.redaction import redact_url
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import AsyncRuntime, BlockingRuntime, run
from scallion.pipeline.urls import URL
from scallion.transports.base import AsyncBaseTransport, BaseTransport
from scallion.transports.mock import aread_body, read_body

from .answers import perform
from .bodies import Time, Timekeeper
from .calls import Call, Calls
from .conditions import Conditions
from .interception import bypassing, intercepted
from .patterns import AnyURL
from .refusal import UnforeseenRequest, refusal
from .routes import Pass, Route
from .seen import Seen
from .showing import number
from .verifying import Verified

__all__ = ["PassThrough", "Router"]

PassThrough: TypeAlias = bool | str | Iterable[str]


class _RouteOptions(Conditions, total=False):
    """Attributes: as `Route` has them."""

    times: int | None
    optional: bool
    name: str | None


class Router(Verified, BaseTransport, AsyncBaseTransport):
    """Answers requests by routes: `Client(transport=router)`, a mount, or `mock()` for clients made elsewhere.

    Safe to use from several threads and tasks at once.

    Args:
        base_url: What routes without a host are appended to.
        transport: Where requests go that may pass through; it is closed with the router. None for none, or, where
            clients are intercepted, for each client's own.
        pass_through: Whether requests that no route takes may pass: none, all (True), or those to these hosts or URL
            patterns ("localhost", "http://localhost:*/metrics/*").
        runtime: Lets time pass where answers are delayed: an object with `clock()`, on which deadlines are counted,
            and `async def sleep(seconds)`, whatever the client's colour. None for real time.
        assert_all_called: Whether `verify` expects each route to have been called, but for optional ones.
        assert_all_foreseen: Whether it expects that no request was refused.
        assert_all_closed: Whether it expects that all responses were read or closed.

    Attributes:
        calls: All requests that arrived, refused ones included.
        unforeseen: The errors for those that were refused.
        expects_called, expects_foreseen, expects_closed: What `verify` checks, as the arguments said.
    """

    def __init__(
        self,
        *,
        base_url: URL | str = "",
        transport: Any = None,
        pass_through: PassThrough = False,
        runtime: Timekeeper | None = None,
        assert_all_called: bool = True,
        assert_all_foreseen: bool = True,
        assert_all_closed: bool = True,
    ) -> None:
        self.base_url = str(base_url)
        self.transport = transport
        self.expects_called = assert_all_called
        self.expects_foreseen = assert_all_foreseen
        self.expects_closed = assert_all_closed
        self.calls = Calls()
        self.unforeseen: list[UnforeseenRequest] = []
        self._routes: list[Route] = []
        self._lock = threading.RLock()
        self._runtime = runtime
        self._passing = self._passing_routes(pass_through)

    # Routes.

    @property
    def routes(self) -> tuple[Route, ...]:
        """In the order in which they are asked."""
        return tuple(self._routes)

    def __getitem__(self, name: str) -> Route:
        """The route of this name.

        Raises:
            KeyError: there is none.
        """
        for route in self._routes:
            if route.name == name:
                return route
        raise KeyError(name)

    def route(
        self,
        method: str | Collection[str] | None = None,
        url: AnyURL = None,
        **options: Unpack[_RouteOptions],
    ) -> Route:
        """A new route, after those that there are.

        Args:
            method: One or several; None for all.
            url: See `scallion.testing.patterns`; None for all, or all below the base URL.
            options: Further conditions, see `scallion.testing.conditions.Conditions`; and `times`, how many calls it
                is to take; `optional`, that it need not be called; `name`, for messages and `router[name]`.

        Raises:
            TypeError, ValueError: one of them cannot be.
        """
        route = self._make(method, url, dict(options))
        with self._lock:
            self._routes.append(route)
        return route

    def get(self, url: AnyURL = None, **options: Unpack[_RouteOptions]) -> Route:
        """`route("GET", ...)`"""
        return self.route("GET", url, **options)

    def post(self, url: AnyURL = None, **options: Unpack[_RouteOptions]) -> Route:
        """`route("POST", ...)`"""
        return self.route("POST", url, **options)

    def put(self, url: AnyURL = None, **options: Unpack[_RouteOptions]) -> Route:
        """`route("PUT", ...)`"""
        return self.route("PUT", url, **options)

    def patch(self, url: AnyURL = None, **options: Unpack[_RouteOptions]) -> Route:
        """`route("PATCH", ...)`"""
        return self.route("PATCH", url, **options)

    def delete(self, url: AnyURL = None, **options: Unpack[_RouteOptions]) -> Route:
        """`route("DELETE", ...)`"""
        return self.route("DELETE", url, **options)

    def head(self, url: AnyURL = None, **options: Unpack[_RouteOptions]) -> Route:
        """`route("HEAD", ...)`"""
        return self.route("HEAD", url, **options)

    def options(self, url: AnyURL = None, **options: Unpack[_RouteOptions]) -> Route:
        """`route("OPTIONS", ...)`"""
        return self.route("OPTIONS", url, **options)

    def query(self, url: AnyURL = None, **options: Unpack[_RouteOptions]) -> Route:
        """`route("QUERY", ...)`"""
        return self.route("QUERY", url, **options)

    def reset(self) -> None:
        """Forget all calls, and begin with each route's first answer again."""
        with self._lock:
            self.calls.clear()
            self.unforeseen.clear()
            for route in (*self._routes, *self._passing):
                route.reset()

    def clear(self) -> None:
        """Forget the routes as well."""
        with self._lock:
            self.reset()
            self._routes.clear()

    def _make(self, method: Any, url: AnyURL, options: dict[str, Any]) -> Route:
        return Route(
            self,
            method,
            url,
            {
                key: value
                for key, value in options.items()
                if key not in ("times", "optional", "name")
            },
            base=self.base_url,
            times=options.get("times"),
            optional=options.get("optional", False),
            name=options.get("name"),
        )

    def _passing_routes(self, given: PassThrough) -> list[Route]:
        patterns: list[AnyURL] = []
        if given is True:
            patterns = ["all://*:*/*"]
        elif given is not False:
            patterns = [_pattern(each) for each in ((given,) if isinstance(given, str) else given)]
        return [self._make(None, pattern, {}).pass_through() for pattern in patterns]

    def _to_front(self, route: Route) -> None:
        with self._lock:
            self._routes.remove(route)
            self._routes.insert(0, route)

    # As a transport.

    def handle_request(self, request: Request) -> Response:
        """Answer by the first route that takes the request.

        Raises:
            UnforeseenRequest: there is none.
            Exception: what its answer says.
        """
        read_body(request)
        keeper = self._runtime or BlockingRuntime()
        return run(self._handle(request, Time(True, keeper.clock, keeper.sleep)))

    async def handle_async_request(self, request: Request) -> Response:
        """The same. Other tasks get their turn first, as they would with a network."""
        from anyio.lowlevel import checkpoint

        await aread_body(request)
        await checkpoint()
        keeper = self._runtime or AsyncRuntime()
        return await self._handle(request, Time(False, keeper.clock, keeper.sleep))

    async def _handle(self, request: Request, time: Time) -> Response:
        call, answer = self._take(Call(_as_it_is(request)))
        try:
            if isinstance(answer, Pass):
                response = await self._pass(request, answer.transport, time)
            else:
                response = await perform(answer, request, call.values, time)
        except BaseException as error:
            call.error = error
            raise
        call.response = response
        return response

    def _take(self, call: Call) -> tuple[Call, Any]:
        """The call with its route, recorded; and the answer."""
        seen = Seen(call.request)
        with self._lock:
            self.calls.add(call)
            for route in (*self._routes, *self._passing):
                values = None if route.used_up else route.take(seen)
                if values is not None:
                    call.route, call.values = route, values
                    route.calls.add(call)
                    return call, route.next_answer()
            error = call.error = refusal(seen, self._routes)
            self.unforeseen.append(error)
        raise error

    async def _pass(self, request: Request, transport: Any, time: Time) -> Response:
        for candidate in (transport, self.transport, intercepted()):
            if candidate is not None:
                transport = candidate
                break
        method = "handle_request" if time.blocking else "handle_async_request"
        if not hasattr(transport, method):
            raise TypeError(
                f"The request may pass through, but there is no transport with {method}() to pass it to: "
                "give the router or the route one, such as HTTPTransport() or AsyncHTTPTransport()"
            )
        with bypassing():
            if time.blocking:
                response: Response = transport.handle_request(request)
            else:
                response = await transport.handle_async_request(request)
        return response

    def close(self) -> None:
        """Close the transports that requests pass through to."""
        for transport in self._others("close"):
            transport.close()

    async def aclose(self) -> None:
        """The same, for async clients."""
        for transport in self._others("aclose"):
            await transport.aclose()

    def _others(self, method: str) -> Iterable[Any]:
        found = [self.transport]
        for route in self._routes:
            found += [answer.transport for answer in route._answers if isinstance(answer, Pass)]
        return {id(each): each for each in found if hasattr(each, method)}.values()

    def __repr__(self) -> str:
        base = f" at {redact_url(self.base_url)}" if self.base_url else ""
        routes = number(len(self._routes), "route", "routes")
        return f"<Router{base}, {routes}, {number(len(self.calls), 'call', 'calls')}>"


def _pattern(host: str) -> str:
    """What of `pass_through=` names a host alone, with or without a port, as a URL's pattern."""
    if "/" in host:
        return host
    port = "" if re.search(r":\d+$", host) else ":*"
    return f"all://{host}{port}/*"


def _as_it_is(request: Request) -> Request:
    """A copy for the record: layers send the same request again, changed."""
    kept = object.__new__(type(request))
    kept.__dict__.update(request.__dict__)
    kept.headers = Headers(request.headers)
    kept.extensions = dict(request.extensions)
    return kept
