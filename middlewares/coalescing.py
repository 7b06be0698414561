"""Coalescing: requests for the same thing at the same time share one exchange."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Collection, Hashable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar, TypeAlias

from scallion.pipeline.errors import RequestError, TotalTimeout
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime

from .flights import Flight, Flights, Follower
from .remade import remade
from .shared_response import SharedResponse, read_ahead
from .validation import check_count

__all__ = ["Coalescing", "CoalescingOption"]

_OPTION = "scallion.Coalescing"

_METHODS = frozenset({"GET", "HEAD"})
# They tell calls apart, and not what is asked for.
_IGNORED = frozenset({"baggage", "traceparent", "tracestate", "x-request-id"})
# Options that concern only who has them; all others must be equal.
_OWN = frozenset({"scallion.Deadlines", "scallion.Metrics", "scallion.Tracing", "timeout", _OPTION})
# Their ends are not to be waited for.
_ENDLESS = (
    b"application/grpc",
    b"application/x-ndjson",
    b"multipart/x-mixed-replace",
    b"text/event-stream",
)
# What clients accept who say nothing else.
_ANYTHING = b"*/*"

_Result: TypeAlias = SharedResponse | RequestError
# The URL, the event loop, the method, the headers, the timeouts, the other options, and whether credentials are allowed.
_Asked: TypeAlias = tuple[
    str, Hashable, str, Mapping[bytes, bytes], Any, tuple[tuple[str, Any], ...], bool
]


@dataclass(frozen=True, slots=True)
class CoalescingOption:
    """What one request asks of `Coalescing`; see `Coalescing.option_for`."""

    enabled: bool = True


@dataclass(frozen=True, repr=False)
class Coalescing(Layer):
    """Let a GET or HEAD wait for the answer to an identical one that is under way, in the place of being sent too.

    Identical are requests of one client with the same method, URL, headers (credentials and cookies included; all but
    `ignore`), timeouts and options. Those that have a body, say `Cache-Control: no-store`, or ask for a
    stream of events or another protocol, go alone.

    The first of them leads. When its response's headers have arrived and others follow, the body is read into memory,
    and each follower gets a response of its own, with its own request and `response.extensions["coalesced"]`. Without
    followers nothing is read. A response is not shared, and the followers are sent each by itself, if its body is
    longer than `most_bytes`, it is a stream of events or the like, or says `Cache-Control: no-store` (RFC 9111 section
    4).

    An error of the exchange (a `RequestError`) is shared as well: what the leader met the followers would meet, and a
    server in trouble is not asked by each of them once more. The leader's own affairs are not: when it is
    cancelled, its deadline passes, or it fails by an error of another kind, the first follower leads in its place.
    A follower waits no longer than its own deadline.

    Observers of a follower are told `coalesced`, with `waited` in seconds and `outcome`: the status, or the name of
    the error's class; or `coalesced.alone`, with `waited`, if the response was not shared; or `coalesced.leads`,
    with `waited`.

    Attributes:
        most_bytes: The longest body that is shared, as it comes over the wire.
        ignore: Names of headers that may differ.

    Request extension `"scallion.Coalescing"`: a `CoalescingOption`, made by `option_for`.

    Raises:
        TypeError, ValueError: a setting is of the wrong kind, or out of its range.
        TotalTimeout: from a call, when a follower's deadline passes.

    Order: inside the call's deadline, which bounds each waiting; outside retries, hedging and limits, so that one
    exchange is one for all of these. Inside retries, followers would share a failed attempt, and then all retry.
    """

    option: ClassVar[str | None] = _OPTION

    most_bytes: int = 1024 * 1024
    ignore: Collection[str] = _IGNORED

    def __post_init__(self) -> None:
        check_count("Coalescing most_bytes", self.most_bytes, 0)
        if isinstance(self.ignore, (str, bytes)) or not all(
            isinstance(name, str) for name in self.ignore
        ):
            raise TypeError(f"Coalescing ignore must be a collection of names: {self.ignore!r}")
        object.__setattr__(self, "ignore", frozenset(name.lower() for name in self.ignore))

    @staticmethod
    def option_for(*, enabled: bool = True) -> dict[str, Any]:
        """The request extension for one request.

        Args:
            enabled: False to send it whatever is under way: one whose response will be streamed, say.
        """
        return {_OPTION: CoalescingOption(enabled)}

    def bind(self, send: Bound, call_next: Next) -> Bound:
        ignored = frozenset(name.encode("latin-1", "replace") for name in self.ignore)
        # Of this client alone: another has other credentials.
        flights: Flights[_Result] = Flights(lambda asked: _compared(asked, ignored))
        runtime = call_next.runtime

        def through(request: Request) -> Awaitable[Response]:
            option = request.extensions.get(_OPTION)
            if option is not None:
                if not isinstance(option, CoalescingOption):
                    raise TypeError(f"Expected Coalescing.option_for(...), not {option!r}")
                if not option.enabled:
                    return send(request)
            if request.method not in _METHODS:
                return send(request)
            asked = _asked(request, runtime.key)
            if asked is None:
                return send(request)
            return self._send(request, send, runtime, flights, asked)

        return through

    async def _send(
        self,
        request: Request,
        send: Bound,
        runtime: Runtime,
        flights: Flights[_Result],
        asked: _Asked,
    ) -> Response:
        mine: Flight[_Result] = Flight(asked[0], asked)
        # While it follows another's, its own is in no table and has no followers: to end that one does nothing.
        flight = mine
        try:
            if not flights.begin(mine):
                joined, follower = flights.board(mine, runtime.event)
                if follower is not None:
                    followed = await self._follow(joined, follower, request, send, runtime, flights)
                    if followed is not None:
                        return followed
                flight = joined
            # It leads.
            response = await send(request)
            if flights.land_alone(flight):
                return response
            body = None
            if _may_be_shared(response, self.most_bytes):
                body = await read_ahead(response, self.most_bytes, blocking=runtime.blocking)
        except BaseException as error:
            if isinstance(error, RequestError) and not isinstance(error, TotalTimeout):
                flights.land(flight, error)
            else:
                flights.hand_over(flight)
            raise
        flights.land(flight, None if body is None else SharedResponse(response, request, body))
        return response

    async def _follow(
        self,
        flight: Flight[_Result],
        follower: Follower[_Result],
        request: Request,
        send: Bound,
        runtime: Runtime,
        flights: Flights[_Result],
    ) -> Response | None:
        """Wait for what comes of the flight: a response; or None, to lead it from now on."""
        began, started = runtime.clock(), perf_counter()
        await _waiting(follower, flight, flights, request, runtime)
        waited = runtime.clock() - began
        # Cases: a response is shared; an error is; nothing is; it leads now.
        result = follower.result
        if isinstance(result, SharedResponse):
            response = result.copy_for(request, started)
            request.note("coalesced", waited=waited, outcome=str(response.status_code))
            return response
        if result is not None:
            request.note("coalesced", waited=waited, outcome=type(result).__name__)
            raise _own(result, request) from result
        if not follower.leads:
            request.note("coalesced.alone", waited=waited)
            return await send(request)
        request.note("coalesced.leads", waited=waited)
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        return remade(self)

    def __repr__(self) -> str:
        ignored = ", ".join(map(repr, sorted(self.ignore)))
        return f"Coalescing(most_bytes={self.most_bytes}, ignore={{{ignored}}})"


def _asked(request: Request, loop: Hashable) -> _Asked | None:
    """What is asked for in `loop`, as it is now; None for one that goes alone.

    Most of it is compared only when another is under way to the same URL; layers further in may have changed the
    request by then.
    """
    if getattr(request, "_content", None) != b"":
        return None
    fields = request.headers.snapshot()
    accepted = fields.get(b"accept", _ANYTHING)
    if accepted != _ANYTHING and b"text/event-stream" in accepted.lower():
        return None
    if b"upgrade" in fields:
        return None
    if b"cache-control" in fields and b"no-store" in fields[b"cache-control"].lower():
        return None
    extensions = request.extensions
    timeout = extensions.get("timeout")
    if isinstance(timeout, dict):
        timeout = timeout.copy()
    others: tuple[Any, ...] = ()
    if not _OWN.issuperset(extensions):
        others = tuple([option for option in extensions.items() if option[0] not in _OWN])
        try:
            hash(others)
        except TypeError:
            # An option that cannot be compared, such as layers for this request.
            return None
    allowed = request.credentials_allowed
    return str(request.url), loop, request.method, fields, timeout, others, allowed


def _compared(asked: _Asked, ignored: frozenset[bytes]) -> tuple[Any, ...]:
    """All of it, equal for identical requests."""
    url, loop, method, fields, timeout, others, allowed = asked
    if not ignored.isdisjoint(fields):
        fields = {name: value for name, value in fields.items() if name not in ignored}
    # Flat tuples: one of pairs takes several times as long to make and to hash.
    headers = (*fields, *fields.values())
    limits = (*timeout, *timeout.values()) if isinstance(timeout, dict) else timeout
    return loop, method, url, headers, limits, others, allowed


async def _waiting(
    follower: Follower[_Result],
    flight: Flight[_Result],
    flights: Flights[_Result],
    request: Request,
    runtime: Runtime,
) -> None:
    deadline = request.deadline
    timeout = None if deadline is None else max(0.0, deadline - runtime.clock())
    try:
        if await follower.event.wait(timeout):
            return
    except BaseException:
        flights.leave(flight, follower)
        raise
    flights.leave(flight, follower)
    raise TotalTimeout(
        "The call's deadline passed while waiting for the answer to an identical request",
        request=request,
    )


def _may_be_shared(response: Response, most: int) -> bool:
    """What its headers say to that; the body may still turn out to be too long."""
    headers = response.headers
    if (
        response.status_code < 200
        or b"no-store" in (headers.get_raw(b"cache-control") or b"").lower()
    ):
        return False
    if (headers.get_raw(b"content-type") or b"").lower().startswith(_ENDLESS):
        return False
    length = headers.get("content-length", "")
    # HEAD's tells of a body that does not come.
    head = response._request is not None and response._request.method == "HEAD"
    return head or not length.isdecimal() or int(length) <= most


def _own(error: RequestError, request: Request) -> RequestError:
    """A copy of a leader's error, about this request."""
    mine: RequestError = copy.copy(error)
    mine.request = request
    notes = getattr(error, "__notes__", None)
    if notes is not None:
        mine.__notes__ = list(notes)
    return mine
