"""`Endpoints`: a service's name in a URL stands for many servers, of which each attempt is sent to one."""

from __future__ import annotations

import random as _random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from string import Formatter
from typing import Any, ClassVar

from scallion.pipeline.errors import NoEndpoint, Rejected
from scallion.pipeline.headers import Headers
from scallion.pipeline.hosts import bracketed, encode_host
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime
from scallion.pipeline.streams import ByteStream
from scallion.pipeline.urls import URL

from ..remade import remade  # noqa: TID252  (relative within a room)
from ..validation import check_callable, check_number  # noqa: TID252  (relative within a room)
from .choices import ChoiceTypes, Key, choice_of
from .ejection import Ejection, speaks_against
from .endpoint import Endpoint
from .held import held
from .service import Service
from .sources import SourceTypes, source_of
from .state import ServiceState
from .uses import Tried, Use

__all__ = ["Endpoints", "EndpointsOption", "share_tried"]

_OPTION = "scallion.Endpoints"
# It stays in a request's extensions, shared by all attempts of its call.
_TRIED = "_tried_by_attempts"

# The schemes of an endpoint, where the request is for a WebSocket (RFC 6455 section 3).
_SOCKETS = {"http": "ws", "https": "wss"}
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

    An attempt is pending until its response's body has ended. An endpoint that fails `ejection.failures` times in a
    row is left out for a while; if all are left out, all are used.

    Observers are told, each time with `service`:
    `endpoint.chosen` (`endpoint`, `pending` there, this attempt included, and `panic`, whether all are ejected);
    `endpoint.refused` (`endpoint`, `reason`), before another one is chosen;
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
    _services: dict[str, Service] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.services, Mapping):
            raise TypeError(
                f"Endpoints services must be a mapping of names to their endpoints: {self.services!r}"
            )
        if self.ejection is not None and not isinstance(self.ejection, Ejection):
            raise TypeError(f"Endpoints ejection must be an Ejection or None: {self.ejection!r}")
        check_number("Endpoints slow_start", self.slow_start, 0)
        check_callable("Endpoints random", self.random)
        _check_template("tls_name", self.tls_name)
        _check_template("host", self.host)
        choice = choice_of(self.choice)
        object.__setattr__(self, "choice", choice)
        sources = {_name(name): source_of(given) for name, given in self.services.items()}
        object.__setattr__(self, "services", sources)
        services = {
            name: Service(name, source, choice, self.ejection, self.slow_start, self.random)
            for name, source in sources.items()
        }
        object.__setattr__(self, "_services", services)

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
            service = services.get(request.url.origin_key[1])
            if service is None:
                return send(request)
            return self._send(request, send, runtime, service)

        return through

    async def _send(
        self, request: Request, send: Bound, runtime: Runtime, service: Service
    ) -> Response:
        now = runtime.clock()
        service.begin(now)
        if service.is_stale(now):
            try:
                await service.refresh(request, runtime)
            except NoEndpoint:
                service.tell(request)
                raise
        tried = share_tried(request)
        key = _key_of(request)
        secure = request.url.scheme in _SECURE
        while True:
            use = service.choose(request, tried, runtime.clock(), key, secure=secure)
            if request.observers:
                service.tell(request)
                request.note(
                    "endpoint.chosen",
                    service=service.name,
                    endpoint=str(use.member.endpoint),
                    pending=use.member.pending,
                    panic=use.panic,
                )
            try:
                return await self._attempt(request, send, runtime, service, use)
            except Rejected as refusal:
                if isinstance(refusal, NoEndpoint) or not service.others(tried, secure=secure):
                    raise
                if request.observers:
                    request.note(
                        "endpoint.refused",
                        service=service.name,
                        endpoint=str(use.member.endpoint),
                        reason=type(refusal).__name__,
                    )

    async def _attempt(
        self, request: Request, send: Bound, runtime: Runtime, service: Service, use: Use
    ) -> Response:
        url, headers, extensions = request.url, request.headers, request.extensions
        place = _at(url, use.member.endpoint)
        clock = runtime.clock
        response: Response | None = None
        try:
            request.url = place
            self._name(request, place, url)
            response = await send(request)
            failed = speaks_against(response, self._failed)
            use.answered(clock(), failed=failed)
            response.extensions["endpoint"] = _origin_of(place)
            stream = response.stream
            if type(stream) is not ByteStream:
                holder = _Exchange(use, clock, self._failed)
                response.stream = held(stream, holder)
        except Rejected:
            use.refused()
            raise
        except Exception as error:
            failed = speaks_against(error, self._failed)
            use.answered(clock(), failed=failed)
            error.add_note(f"The endpoint was {_origin_of(place)}")
            raise
        except BaseException:
            use.waited(clock())
            raise
        finally:
            request.url, request.headers, request.extensions = url, headers, extensions
            if response is None:
                use.end(clock(), failed=None)
            elif type(response.stream) is ByteStream:
                use.end(clock())
            if request.observers and service.news:
                service.tell(request)
        return response

    def __reduce__(self) -> tuple[Any, ...]:
        return remade(self)

    @property
    def _failed(self) -> Callable[[Response | Exception], bool]:
        return (self.ejection or _EJECTION).failed

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
        failed = False if error is None else speaks_against(error, self._failed)
        self._use.end(self._clock(), failed=failed)


def share_tried(request: Request) -> Tried:
    """Where the attempts of this request's call have been: kept in its extensions, and made if it is not there yet.

    A layer that sends copies of a request, each with extensions of its own, calls it before it makes them.
    """
    tried = request.extensions.get(_TRIED)
    if not isinstance(tried, Tried):
        tried = request.extensions[_TRIED] = Tried()
    return tried


def _key_of(request: Request) -> Key:
    option = request.extensions.get(_OPTION)
    if option is None:
        return None
    if not isinstance(option, EndpointsOption):
        raise TypeError(f"Expected Endpoints.option_for(...), not {option!r}")
    return option.key


@lru_cache(maxsize=1_024)
def _at(url: URL, endpoint: Endpoint) -> URL:
    """`url`, leading to `endpoint`."""
    # Cases: the endpoint says nothing of its scheme; it does, for a WebSocket or not, and the port is then its own.
    if endpoint.scheme is None:
        port = url.port if endpoint.port is None else endpoint.port
        return url.copy_with(host=endpoint.host, port=port)
    scheme = endpoint.scheme
    if url.scheme in _SOCKETS.values():
        scheme = _SOCKETS[scheme]
    return url.copy_with(scheme=scheme, host=endpoint.host, port=endpoint.port)


def _origin_of(url: URL) -> str:
    scheme, host, port = url.origin_key
    return f"{scheme}://{bracketed(host)}:{port}"


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
