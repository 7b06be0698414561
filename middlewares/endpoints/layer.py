"""`Endpoints`: a service's name in a URL stands for many servers, of which each attempt is sent to one."""

from __future__ import annotations

import random as _random
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any, ClassVar

from scallion.pipeline.errors import NoEndpoint, Rejected
from scallion.pipeline.headers import Headers
from scallion.pipeline.hosts import encode_host
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime
from scallion.pipeline.streams import ByteStream
from scallion.pipeline.urls import URL

from ..held import held  # noqa: TID252  (relative within a room)
from ..outcomes import ended_in_line  # noqa: TID252  (relative within a room)
from ..pauses import set_pause  # noqa: TID252  (relative within a room)
from ..remade import remade  # noqa: TID252  (relative within a room)
from ..retry_after import retry_after  # noqa: TID252  (relative within a room)
from ..transient import Transient  # noqa: TID252  (relative within a room)
from ..validation import check_callable, check_number  # noqa: TID252  (relative within a room)
from .choices import ChoiceTypes, Key, choice_of
from .ejection import Ejection, speaks_against
from .members import Member
from .service import Service
from .sources import SourceTypes, source_of
from .state import ServiceState
from .uses import Tried, Use

__all__ = ["Endpoints", "EndpointsOption"]

_OPTION = "scallion.Endpoints"

_SECURE = frozenset({"https", "wss"})
_EJECTION = Ejection()


@dataclass(frozen=True, slots=True)
class EndpointsOption:
    """What one request asks of `Endpoints`; see `Endpoints.option_for`."""

    key: Key = None

    def __post_init__(self) -> None:
        if self.key is not None and not isinstance(self.key, (str, bytes)):
            raise TypeError(f"Endpoints key must be str or bytes: {self.key!r}")


@dataclass(frozen=True, repr=False)
class Endpoints(Layer):
    """Send each attempt to one of the endpoints of the service that its URL names.

    `http://orders/items` goes to one of the endpoints of "orders"; requests to hosts that are no service pass. While
    an attempt is under way its request's URL leads to the endpoint, for all that lies further in: breakers, limits,
    the pool. Before and after, for the caller, in errors and in `response.request`, it is the service's own.
    `response.extensions["endpoint"]` says which endpoint it was, a text such as "http://10.0.0.7:8080".

    What stays the service's: the path, the query and the user in the URL; the Host header, and over TLS the name that
    is asked for and that the certificate is checked for, unless `host` and `tls_name` say otherwise. An https request
    is never sent to an endpoint given as http.

    Attempts of one call, retries and hedges, avoid endpoints where one of them failed or still is, while there are
    others. If a layer further in refuses an endpoint (a `Rejected`: its circuit is open, say), another one is chosen
    at once, as nothing was sent; the last refusal is raised when all have refused.

    A `Retry-After` on a 503 is about the server that sent it (RFC 9110 section 15.6.4): that endpoint is left alone for so
    long, while there are others, and layers that send again are told that they need not wait for it; see
    `middlewares/pauses.py`. On a 429 it is about the caller, and stays with the call.

    An attempt is pending until its response's body has ended. An endpoint that fails `ejection.failures` times in a
    row is left out for a while; if all are left out, all are used.

    Observers are told, each time with `service`:
    `endpoint.chosen` (`endpoint`, `pending` there, this attempt included, and `panic`, whether all are ejected);
    `endpoint.refused` (`endpoint`, `reason`), before another one is chosen;
    `endpoint.paused` (`endpoint`, `seconds` that it asked for, `wait` for whoever sends again);
    `endpoint.ejected` (`endpoint`, `reason`, `failures`, `seconds`, `ejections`); `endpoint.returned` (`endpoint`);
    `endpoint.resolved` (`endpoints`, `added`, `removed`), when they have changed;
    `endpoint.resolve_failed` (`error`, `known`: how many endpoints remain in use).
    The last four concern no single request: the next one that is observed is told.

    Attributes:
        services: Names, and where their endpoints are known from: a list of them, a `DNS`, `SRV` or `WatchedFile`, a
            path, or a function.
        choice: "power_of_two", "least_pending", "round_robin", or a `Choice` such as `ConsistentHash(...)`.
        ejection: When endpoints are left out; None for never.
        slow_start: Seconds in which the share of an endpoint that is new or has returned grows to its own; 0 for none.
        tls_name: The name for TLS, with `{service}` for the service's and `{endpoint}` for the endpoint's host. A
            request's own `sni_hostname` wins.
        host: The Host header, likewise; as it stands in the request if it is "{service}". `{endpoint}` has the
            endpoint's port.
        retry_after_cap: Seconds for which an endpoint is left alone at most, however much it asks for.
        wall_clock: Seconds since 1970, for a `Retry-After` that is a date.
        random: Gives a number in [0, 1).

    Request extension `"scallion.Endpoints"`, made by `option_for`.

    Raises:
        TypeError, ValueError, InvalidURL: a setting is of the wrong kind, or out of its range.
        NoEndpoint: from a call: no endpoint is known, or none has TLS and the request demands it.

    Order: inside retries and hedging, so that each attempt may go elsewhere; outside breakers, bulkheads and rate
    limits, which then are each endpoint's own. Inside redirects, authentication and cookies, which belong to the
    service: further out they would see the endpoint's address, and a relative redirect would stick to it.
    """

    option: ClassVar[str | None] = _OPTION

    services: Mapping[str, SourceTypes]
    choice: ChoiceTypes = "power_of_two"
    ejection: Ejection | None = _EJECTION
    slow_start: float = 0.0
    tls_name: str = "{service}"
    host: str = "{service}"
    random: Callable[[], float] = _random.random
    retry_after_cap: float = 30.0
    wall_clock: Callable[[], float] = time.time
    _services: dict[str, Service] = field(init=False, repr=False, compare=False)
    _failed: Callable[[Response | Exception], bool] = field(init=False, repr=False, compare=False)
    # Statuses that are failures; None to ask the classifier.
    _failing: Collection[int] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.services, Mapping):
            raise TypeError(
                f"Endpoints services must be a mapping of names to their endpoints: {self.services!r}"
            )
        if self.ejection is not None and not isinstance(self.ejection, Ejection):
            raise TypeError(f"Endpoints ejection must be an Ejection or None: {self.ejection!r}")
        check_number("Endpoints slow_start", self.slow_start, 0)
        check_number("Endpoints retry_after_cap", self.retry_after_cap, 0)
        check_callable("Endpoints wall_clock", self.wall_clock)
        check_callable("Endpoints random", self.random)
        _check_template("tls_name", self.tls_name)
        _check_template("host", self.host)
        choice = choice_of(self.choice)
        object.__setattr__(self, "choice", choice)
        sources = {_name(name): source_of(given) for name, given in self.services.items()}
        object.__setattr__(self, "services", sources)
        rules = choice, self.ejection, self.slow_start, self.retry_after_cap, self.random
        services = {name: Service(name, source, *rules) for name, source in sources.items()}
        object.__setattr__(self, "_services", services)
        failed = (self.ejection or _EJECTION).failed
        plain = type(failed) is Transient and failed.also is None
        object.__setattr__(self, "_failed", failed)
        object.__setattr__(self, "_failing", failed.statuses if plain else None)  # type: ignore[attr-defined]

    @staticmethod
    def option_for(*, key: str | bytes | None) -> dict[str, Any]:
        """The request extension for one request: what it belongs to, for `ConsistentHash`.

        Raises:
            TypeError: `key` is neither str nor bytes.
        """
        return {_OPTION: EndpointsOption(key)}

    def state(self, service: str) -> ServiceState:
        """What is known of a service's endpoints now; from any thread.

        Raises:
            KeyError: there is no such service; the message lists those there are.
        """
        found = self._services.get(service.lower())
        if found is None:
            raise KeyError(f"No service {service!r}: there are {', '.join(self._services)}")
        return found.state()

    def bind(self, send: Bound, call_next: Next) -> Bound:
        services, runtime = self._services, call_next.runtime
        for service in services.values():
            service.clock = runtime.clock

        def through(request: Request) -> Awaitable[Response]:
            scheme, host, _ = request.url.origin_key
            service = services.get(host)
            if service is None:
                return send(request)
            return self._send(request, send, runtime, service, scheme in _SECURE)

        return through

    async def _send(
        self, request: Request, send: Bound, runtime: Runtime, service: Service, secure: bool
    ) -> Response:
        clock = runtime.clock
        now = clock()
        if now >= service.stale_at or not service.members:
            try:
                await service.refresh(request, runtime)
            except NoEndpoint:
                service.tell(request)
                raise
            now = clock()
        tried = _tried_by(request)
        key = _key_of(request) if _OPTION in request.extensions else None
        refused: tuple[Member, ...] = ()
        while True:
            use = service.choose(request, tried, now, key, secure, refused)
            try:
                return await self._attempt(
                    request, send, clock, service, tried, use, secure, refused
                )
            except Rejected as refusal:
                refused = (*refused, use.member)
                if isinstance(refusal, NoEndpoint) or not service.others(
                    tried, refused, secure=secure
                ):
                    raise
                request.note(
                    "endpoint.refused",
                    service=service.name,
                    endpoint=str(use.member.endpoint),
                    reason=type(refusal).__name__,
                )
            now = clock()

    async def _attempt(
        self,
        request: Request,
        send: Bound,
        clock: Callable[[], float],
        service: Service,
        tried: Tried,
        use: Use,
        secure: bool,
        refused: tuple[Member, ...],
    ) -> Response:
        url, headers, extensions = request.url, request.headers, request.extensions
        name = None
        is_open = False
        try:
            if request.observers or request.progress is not None:
                _tell_chosen(request, service, use)
            request.url, name, by_tls = use.member.at(url)
            if by_tls or self.host != "{service}":
                self._name(request, request.url, url)
            response = await send(request)
            status, stream = response.status_code, response.stream
            is_open = type(stream) is not ByteStream
            failing = self._failing
            failed = await self._judged(response) if failing is None else status in failing
            use.answered(clock(), failed=failed, ended=not is_open)
            if is_open:
                response.stream = held(stream, _Exchange(use, clock, self._failed))
            if status == 401:
                tried.challenged(request, use.member)
            elif status == 503:
                self._heed(request, response, service, use, clock(), secure, refused)
            response.extensions["endpoint"] = name
        except Rejected:
            is_open = False
            use.refused()
            raise
        except BaseException as error:
            is_open = False
            # Cases: it was never asked; it failed, or says nothing; it was cancelled.
            if not ended_in_line(error):
                if isinstance(error, Exception):
                    failed = speaks_against(error, self._failed)
                    use.answered(clock(), failed=failed)
                else:
                    use.waited(clock())
            if isinstance(error, Exception) and name is not None:
                error.add_note(f"The endpoint was {name}")
            raise
        finally:
            request.url, request.headers, request.extensions = url, headers, extensions
            if not is_open and use.is_open:
                use.end(clock(), failed=None)
            if service.news and request.observers:
                service.tell(request)
        return response

    async def _judged(self, response: Response) -> bool | None:
        try:
            return speaks_against(response, self._failed)
        except BaseException:
            # A classifier's mistake loses no connection.
            await response.aclose()
            raise

    def _heed(
        self,
        request: Request,
        response: Response,
        service: Service,
        use: Use,
        now: float,
        secure: bool,
        refused: tuple[Member, ...],
    ) -> None:
        """Leave the endpoint alone, if it asks for that, and say how long the next attempt has to wait."""
        seconds = retry_after(response.headers.get("retry-after"), self.wall_clock)
        if seconds is None:
            return
        wait = service.pause(use.member, seconds, now, secure=secure, refused=refused)
        set_pause(response, wait)
        if seconds:
            endpoint = str(use.member.endpoint)
            request.note(
                "endpoint.paused",
                service=service.name,
                endpoint=endpoint,
                seconds=seconds,
                wait=wait,
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return remade(self)

    def _name(self, request: Request, place: URL, url: URL) -> None:
        """Let the request be for the service, although it goes to `place`."""
        service, endpoint = url.origin_key[1], place.origin_key[1]
        if place.scheme in _SECURE and not request.extensions.get("sni_hostname"):
            name = _filled(self.tls_name, service, endpoint)
            if name != endpoint:
                # A dict of its own: requests may share theirs.
                request.extensions = {**request.extensions, "sni_hostname": name}
        if self.host != "{service}":
            request.headers = Headers(request.headers)
            at = place.host_header.decode("ascii")
            request.headers["Host"] = _filled(self.host, service, at)

    def __repr__(self) -> str:
        parts = [
            f"{{{', '.join(f'{name!r}: {source!r}' for name, source in self.services.items())}}}"
        ]
        parts += [f"choice={self.choice!r}", f"ejection={_shown(self.ejection)}"]
        parts.append(f"slow_start={self.slow_start:g}")
        for name in ("tls_name", "host"):
            if getattr(self, name) != "{service}":
                parts.append(f"{name}={getattr(self, name)!r}")
        parts.append(f"retry_after_cap={self.retry_after_cap:g}")
        return f"Endpoints({', '.join(parts)})"


class _Exchange:
    """What is told when a response's body has ended."""

    __slots__ = ("_clock", "_failed", "_use", "lost")

    def __init__(
        self,
        use: Use,
        clock: Callable[[], float],
        failed: Callable[[Response | Exception], bool],
    ) -> None:
        self._use = use
        self._clock = clock
        self._failed = failed
        self.lost = use.lost

    def ended(self, error: Exception | None) -> None:
        failed: bool | None = None
        try:
            failed = False if error is None else speaks_against(error, self._failed)
        finally:
            self._use.end(self._clock(), failed=failed)


def _tell_chosen(request: Request, service: Service, use: Use) -> None:
    service.tell(request)
    request.note(
        "endpoint.chosen",
        service=service.name,
        endpoint=str(use.member.endpoint),
        pending=use.member.pending,
        panic=use.panic,
    )


def _tried_by(request: Request) -> Tried:
    """Where the attempts and copies of this request have been."""
    memory = request.memory
    # The copies of a hedged request may come to this at once, in threads.
    tried: Tried = memory.get(_OPTION) or memory.setdefault(_OPTION, Tried())
    return tried


def _key_of(request: Request) -> Key:
    option = request.extensions.get(_OPTION)
    if option is None:
        return None
    if not isinstance(option, EndpointsOption):
        raise TypeError(f"Expected Endpoints.option_for(...), not {option!r}")
    return option.key


def _filled(template: str, service: str, endpoint: str) -> str:
    return template.replace("{service}", service).replace("{endpoint}", endpoint)


def _name(given: object) -> str:
    if not isinstance(given, str):
        raise TypeError(f"A service's name is a str, not {given!r}")
    if not given or any(letter in given for letter in "/:?#@[] "):
        raise ValueError(
            f"A service's name is a host as it stands in URLs, without scheme and port: {given!r}"
        )
    return encode_host(given)


def _check_template(name: str, given: object) -> None:
    if not isinstance(given, str) or not given:
        raise TypeError(f"Endpoints {name} must be a text such as '{{service}}': {given!r}")
    try:
        fields = {field for _, field, _, _ in Formatter().parse(given) if field is not None}
    except ValueError:
        fields = {given}
    if not fields <= {"service", "endpoint"}:
        raise ValueError(f"Endpoints {name} knows {{service}} and {{endpoint}} alone: {given!r}")


def _shown(ejection: Ejection | None) -> str:
    if ejection is None:
        return "None"
    return (
        f"Ejection(failures={ejection.failures}, base={ejection.base:g}, cap={ejection.cap:g}, "
        f"share={ejection.share:g})"
    )
