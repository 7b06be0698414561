"""Metrics: OpenTelemetry instruments by the stable HTTP semantic conventions, and figures of the layers.

Names of instruments and attributes follow "Semantic conventions for HTTP metrics", HTTP client. What layers and the
transport tell is counted by the table in `metric_events`. opentelemetry is imported at the first request; until a meter
provider is set, nothing is measured.
"""

from __future__ import annotations

import os
import threading
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from weakref import WeakKeyDictionary, WeakSet

from scallion.pipeline.errors import PoolTimeout
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime
from scallion.pipeline.urls import URL

from .metric_events import EVENTS, INSTRUMENTS, MOST_VALUES, OTHER, SECONDS, Instrument
from .tracing import _KNOWN_METHODS, _PORTS, TracingOption, _version

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation

__all__ = ["AttemptMetrics", "Metrics", "MetricsOption", "Pooled"]

_OPTION = "scallion.Metrics"
_TRACING = "scallion.Tracing"
_SCHEMA = "https://opentelemetry.io/schemas/1.23.1"
_LONGEST = 64

_DURATION = "http.client.request.duration"
_ACTIVE = "http.client.active_requests"
_SENT = "http.client.request.body.size"
_RECEIVED = "http.client.response.body.size"
_CALL = "scallion.call.duration"
_POOL_WAIT = "scallion.pool.wait"
_OPEN = "http.client.open_connections"
_WAITING = "scallion.pool.waiting"
_LIMIT = "scallion.pool.limit"

_OWN: dict[str, Instrument] = {
    _DURATION: Instrument("histogram", "s", "Duration of HTTP client requests.", SECONDS),
    _ACTIVE: Instrument("up_down_counter", "{request}", "Number of active HTTP requests."),
    _SENT: Instrument("histogram", "By", "Size of HTTP client request bodies."),
    _RECEIVED: Instrument("histogram", "By", "Size of HTTP client response bodies."),
    _CALL: Instrument("histogram", "s", "Duration of calls, retries and waits included.", SECONDS),
    _POOL_WAIT: Instrument("histogram", "s", "Waits for a connection.", SECONDS),
}

Attributes = dict[str, str | int]


class Pooled(Protocol):
    """What has connections to count: a client, or a transport. `pool` is a `PoolState`."""

    @property
    def pool(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class MetricsOption:
    """What one request tells `Metrics` and `AttemptMetrics`; see `Metrics.option_for`."""

    template: str | None = None
    enabled: bool = True


class _Instruments:
    """What one meter provider has of us, whichever layers and clients use it.

    Attributes:
        pools: Whose connections are counted, as long as somebody else holds them.
    """

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter("scallion", _version(), schema_url=_SCHEMA)
        self.pools: WeakSet[Pooled] = WeakSet()
        self._lock = threading.Lock()
        self._values: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._write = {
            name: _writer(meter, name, instrument)
            for name, instrument in (_OWN | INSTRUMENTS).items()
        }
        for name, observe, unit, description in (
            (_OPEN, self._connections, "{connection}", "Open connections, by their state."),
            (_WAITING, self._waiting, "{request}", "Requests that wait for a connection."),
            (_LIMIT, self._limit, "{connection}", "Connections that there may be."),
        ):
            meter.create_observable_up_down_counter(name, [observe], unit, description)

    def write(self, instrument: str, number: float, attributes: Attributes) -> None:
        self._write[instrument](number, attributes)

    def watch(self, pooled: Pooled) -> None:
        with self._lock:
            self.pools.add(pooled)

    def tell(self, event: str, fields: dict[str, Any], server: Attributes) -> None:
        """Do what the table says about `event`."""
        for rule in EVENTS.get(event, ()):
            number: Any = rule.number if rule.value is None else fields.get(rule.value)
            if not isinstance(number, (int, float)):
                continue
            origin = fields.get("origin")
            known = _server_of(origin) if isinstance(origin, str) else None
            attributes: Attributes = {**(known or server), **dict(rule.attributes)}
            for name in rule.fields:
                if fields.get(name) is not None:
                    attributes[f"scallion.{name}"] = self._bounded(event, name, str(fields[name]))
            self.write(rule.instrument, number, attributes)

    def _bounded(self, event: str, name: str, value: str) -> str:
        value = value[:_LONGEST]
        seen = self._values[event, name]
        if value in seen:
            return value
        with self._lock:
            if len(seen) >= MOST_VALUES:
                return OTHER
            seen.add(value)
        return value

    # What is asked for when metrics are collected, by whatever thread does that

    def _states(self) -> list[Any]:
        with self._lock:
            watched = list(self.pools)
        return [pooled.pool for pooled in watched]

    def _connections(self, options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG002
        counts: Counter[tuple[str, str, str]] = Counter()
        for state in self._states():
            for origin, connection in _connections_of(state):
                # One that drains is still busy, or it would have been closed.
                kind = "idle" if connection.state == "idle" else "active"
                counts[origin, connection.protocol, kind] += 1
        return [
            _observation(
                number,
                {
                    **(_server_of(origin) or {}),
                    "url.scheme": origin.partition("://")[0],
                    "network.protocol.version": protocol.removeprefix("HTTP/"),
                    "http.connection.state": kind,
                },
            )
            for (origin, protocol, kind), number in counts.items()
        ]

    def _waiting(self, options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG002
        return [_observation(sum(state.waiting for state in self._states()), {})]

    def _limit(self, options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG002
        limits = [state.limit for state in self._states()]
        # An unlimited pool has no figure.
        return [] if None in limits else [_observation(sum(limits), {})]


class _Observer:
    """Counts what is told of one request, once, however many layers here it passes."""

    __slots__ = ("_instruments", "_server")

    def __init__(self, instruments: _Instruments, server: Attributes) -> None:
        self._instruments = instruments
        self._server = server

    def __call__(self, event: str, fields: dict[str, Any]) -> None:
        if event in EVENTS:
            self._instruments.tell(event, fields, self._server)


@dataclass(frozen=True, repr=False)
class _Metrics(Layer):
    option: ClassVar[str | None] = _OPTION

    meter_provider: MeterProvider | None = None
    _made: list[_Instruments] = field(default_factory=list, init=False, compare=False)
    _clients: WeakSet[Pooled] = field(default_factory=WeakSet, init=False, compare=False)

    @staticmethod
    def option_for(*, template: str | None = None, enabled: bool = True) -> dict[str, Any]:
        """The request extension for one request, read by `Metrics` and `AttemptMetrics`.

        Args:
            template: The URL's path with names in the place of values, "/users/{id}", which becomes the attribute
                `url.template`. Without it that of `Tracing.option_for` is.
            enabled: False to measure nothing of this request.
        """
        return {_OPTION: MetricsOption(template, enabled)}

    def watch(self, pooled: Pooled) -> None:
        """Count the connections of this client or transport from now on, as long as somebody else holds it.

        A client whose pipeline has the layer is watched without further ado.
        """
        self._clients.add(pooled)
        for instruments in self._made:
            instruments.watch(pooled)

    def bind(self, send: Bound, call_next: Next) -> Bound:
        made, measure = self._made, self._measure

        def through(request: Request) -> Awaitable[Response]:
            # Cases: nobody measures; not this request; this one.
            instruments = made[0] if made else self._look_for_instruments()
            if instruments is None:
                return send(request)
            option = request.extensions.get(_OPTION)
            if option is not None:
                if not isinstance(option, MetricsOption):
                    raise TypeError(f"Expected Metrics.option_for(...), not {option!r}")
                if not option.enabled:
                    return send(request)
            return measure(instruments, request, send, call_next.runtime)

        return through

    def _look_for_instruments(self) -> _Instruments | None:
        """What measures, or None as long as nothing would be collected."""
        metrics = _metrics()
        if (
            self.meter_provider is None
            and getattr(metrics, "_METER_PROVIDER", metrics) is None
            and not _provider_is_named()
        ):
            # None has been set. The function below takes a microsecond to say that.
            return None
        provider = self.meter_provider or metrics.get_meter_provider()
        # Cases: none has been set so far; one that never measures; a real one, which stays.
        if isinstance(provider, (metrics._ProxyMeterProvider, metrics.NoOpMeterProvider)):
            return None
        instruments = _instruments_of(provider)
        self._made.append(instruments)
        for pooled in list(self._clients):
            instruments.watch(pooled)
        return instruments

    def _measure(
        self, instruments: _Instruments, request: Request, send: Bound, runtime: Runtime
    ) -> Awaitable[Response]:
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        # Who is watched, and where measurements went, stays in this process.
        return type(self), (self.meter_provider,)

    def __repr__(self) -> str:
        provider = self.meter_provider
        told = "" if provider is None else f"meter_provider=<{type(provider).__name__}>"
        return f"{type(self).__name__}({told})"


@dataclass(frozen=True, repr=False)
class Metrics(_Metrics):
    """Measure calls, `scallion.call.duration`, and count what the other layers tell of them.

    The duration is the caller's: from here to the response's headers, retries and waits included. Retries, refusals,
    hedges, ejections and all else in `metric_events` are counted by instruments of their own, with the server that
    the event names, or else the request's.

    Attributes:
        meter_provider: Where measurements go; None for OpenTelemetry's global one.

    Request extension `"scallion.Metrics"`: a `MetricsOption`, made by `option_for`.

    Order: outermost, so that it hears of all waits and refusals. Inside retries it would hear of no retry, and
    measure attempts as calls.
    """

    async def _measure(
        self, instruments: _Instruments, request: Request, send: Bound, runtime: Runtime
    ) -> Response:
        observers = request.observers
        about = _about(request)
        request.observers = (*observers, _Observer(instruments, _server(request.url)))
        started = runtime.clock()
        try:
            response = await send(request)
        except BaseException as error:
            about["error.type"] = _kind(error)
            raise
        else:
            _add_outcome(about, response)
            return response
        finally:
            request.observers = observers
            instruments.write(_CALL, runtime.clock() - started, about)


@dataclass(frozen=True, repr=False)
class AttemptMetrics(_Metrics):
    """Measure each request that goes on the wire, as the conventions ask for.

    `http.client.request.duration` and `http.client.active_requests` go from here to the response's headers; a body that
    is never read cannot keep a request active. `http.client.request.body.size` and `http.client.response.body.size`
    are what `Content-Length` says, where there is one. `scallion.pool.wait` is how long a request waited for a
    connection, if it did. Without `Metrics` further out, what the transport tells is counted here.

    `error.type` is the status from 400 on, or the name of the error's class; that of a request which the caller gave up
    is "cancelled". A method that is not one of HTTP's is "_OTHER".

    Attributes:
        meter_provider: As in `Metrics`.

    Request extension `"scallion.Metrics"`: a `MetricsOption`, made by `option_for`.

    Order: inside retries, redirects and authentication, next to the transport, so that it measures what the server
    took. Outside, an attempt's duration would have the waits between attempts in it.
    """

    async def _measure(
        self, instruments: _Instruments, request: Request, send: Bound, runtime: Runtime
    ) -> Response:
        observers = request.observers
        about = _about(request)
        active = about.copy()
        heard = any(type(observer) is _Observer for observer in observers)
        if not heard:
            request.observers = (*observers, _Observer(instruments, _server(request.url)))
        write, clock = instruments.write, runtime.clock
        write(_ACTIVE, 1, active)
        queued = None
        started = clock()
        try:
            response = await send(request)
        except BaseException as error:
            about["error.type"] = _kind(error)
            if isinstance(error, PoolTimeout):
                queued = clock() - started
            raise
        else:
            _add_outcome(about, response)
            received = _length(response)
            if received is not None:
                write(_RECEIVED, received, about)
            # Unset if the request did not wait.
            steps = getattr(response.extensions.get("connection"), "steps", None)
            queued = getattr(steps, "queued", None)
            return response
        finally:
            write(_DURATION, clock() - started, about)
            write(_ACTIVE, -1, active)
            sent = _length(request)
            if sent is not None:
                write(_SENT, sent, about)
            if queued is not None:
                write(_POOL_WAIT, queued, _server(request.url))
            if not heard:
                request.observers = observers


def _writer(meter: Meter, name: str, instrument: Instrument) -> Callable[..., None]:
    """What takes a number and its attributes."""
    kind, unit, description, boundaries = instrument
    create = getattr(meter, f"create_{kind}")
    if kind != "histogram":
        made = create(name, unit, description)
        return made.set if kind == "gauge" else made.add  # type: ignore[no-any-return]
    if boundaries is not None:
        try:
            made = create(name, unit, description, explicit_bucket_boundaries_advisory=boundaries)
        except TypeError:
            # Older APIs take no advice.
            made = create(name, unit, description)
    else:
        made = create(name, unit, description)
    return made.record  # type: ignore[no-any-return]


_known: WeakKeyDictionary[Any, _Instruments] = WeakKeyDictionary()
_making = threading.Lock()


def _instruments_of(provider: MeterProvider) -> _Instruments:
    """Made once for each provider: an instrument that is made twice is reported as a mistake."""
    with _making:
        instruments = _known.get(provider)
        if instruments is None:
            instruments = _known[provider] = _Instruments(provider)
        return instruments


# What is known of a request


def _about(request: Request) -> Attributes:
    """The attributes that are known beforehand."""
    method = request.method
    url = request.url
    about: Attributes = {
        "http.request.method": method if method in _KNOWN_METHODS else OTHER,
        "url.scheme": url.scheme,
        **_server(url),
    }
    extensions = request.extensions
    option = extensions.get(_OPTION)
    template = None if option is None else option.template
    if template is None:
        traced = extensions.get(_TRACING)
        template = traced.template if isinstance(traced, TracingOption) else None
    if template is not None:
        about["url.template"] = template
    return about


def _server(url: URL) -> Attributes:
    port = url.port or _PORTS.get(url.scheme)
    if port is None:
        return {"server.address": url.host}
    return {"server.address": url.host, "server.port": port}


@lru_cache(maxsize=1024)
def _server_of(origin: str) -> Attributes | None:
    """The same of an origin as events name it: "https://example.org:443"."""
    try:
        url = URL(origin)
    except Exception:  # noqa: BLE001  # an observer does not raise, whatever it is told
        return None
    return _server(url) if url.host else None


def _add_outcome(about: Attributes, response: Response) -> None:
    status = response.status_code
    about["http.response.status_code"] = status
    about["network.protocol.version"] = response.http_version.removeprefix("HTTP/")
    if status >= 400:
        about["error.type"] = str(status)


def _kind(error: BaseException) -> str:
    # A cancellation has another class in each event loop.
    return type(error).__qualname__ if isinstance(error, Exception) else "cancelled"


def _length(message: Request | Response) -> int | None:
    value = message.headers.get("content-length")
    return int(value) if value is not None and value.isascii() and value.isdigit() else None


def _connections_of(state: Any) -> Iterable[tuple[str, Any]]:
    for part in state.parts.values() if state.parts else (state,):
        # Several loops' pools may be parts of a part.
        if part.parts:
            yield from _connections_of(part)
            continue
        for origin in part.origins:
            for connection in origin.connections:
                yield origin.origin, connection


def _observation(number: int, attributes: Attributes) -> Observation:
    from opentelemetry.metrics import Observation

    return Observation(number, attributes)


@cache
def _metrics() -> Any:
    """Where opentelemetry.metrics keeps the global provider, without the cost of an import statement."""
    from opentelemetry import metrics

    return getattr(metrics, "_internal", metrics)


@cache
def _provider_is_named() -> bool:
    """Whether OpenTelemetry finds its provider by itself, when it is first asked for it."""
    return "OTEL_PYTHON_METER_PROVIDER" in os.environ
