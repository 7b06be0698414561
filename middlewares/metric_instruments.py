"""What OpenTelemetry's meters have of us: the instruments, what events do to them, and the figures of pools and layers."""

from __future__ import annotations

import os
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary, WeakSet

from scallion.pipeline.urls import URL

from .metric_events import EVENTS, INSTRUMENTS, MOST_VALUES, OTHER, SECONDS, Instrument
from .metric_figures import FIGURES, Figure, figures_of
from .tracing import _PORTS, _version

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation

__all__ = [
    "ACTIVE",
    "CALL",
    "DURATION",
    "POOL_WAIT",
    "RECEIVED",
    "SENT",
    "Attributes",
    "EventCounter",
    "Instruments",
    "Pooled",
    "instruments_of",
    "server_attributes",
]

_SCHEMA = "https://opentelemetry.io/schemas/1.23.1"
_LONGEST = 64

DURATION = "http.client.request.duration"
ACTIVE = "http.client.active_requests"
SENT = "http.client.request.body.size"
RECEIVED = "http.client.response.body.size"
CALL = "scallion.call.duration"
POOL_WAIT = "scallion.pool.wait"
_OPEN = "http.client.open_connections"
_WAITING = "scallion.pool.waiting"
_LIMIT = "scallion.pool.limit"

_OWN: dict[str, Instrument] = {
    DURATION: Instrument("histogram", "s", "Duration of HTTP client requests.", SECONDS),
    ACTIVE: Instrument("up_down_counter", "{request}", "Number of active HTTP requests."),
    SENT: Instrument("histogram", "By", "Size of HTTP client request bodies."),
    RECEIVED: Instrument("histogram", "By", "Size of HTTP client response bodies."),
    CALL: Instrument("histogram", "s", "Duration of calls, retries and waits included.", SECONDS),
    POOL_WAIT: Instrument("histogram", "s", "Waits for a connection.", SECONDS),
}

Attributes = dict[str, str | int]


class Pooled(Protocol):
    """What has connections to count: a client, or a transport. `pool` is a `PoolState`."""

    @property
    def pool(self) -> Any: ...


class Instruments:
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
        for name, figure in FIGURES.items():
            create = getattr(meter, f"create_observable_{figure.kind}")
            create(name, [partial(self._figures, figure)], figure.unit, figure.description)

    def write(self, instrument: str, number: float, attributes: Attributes) -> None:
        self._write[instrument](number, attributes)

    def watch(self, pooled: Pooled) -> None:
        with self._lock:
            self.pools.add(pooled)

    def tell(self, event: str, fields: dict[str, Any], server: Attributes) -> None:
        """Do what the table says about `event`."""
        for rule in EVENTS.get(event, ()):
            number: Any = 1 if rule.value is None else fields.get(rule.value)
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

    def _figures(self, figure: Figure, options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG002
        with self._lock:
            watched = list(self.pools)
        # A transport has none.
        pipelines = [getattr(pooled, "pipeline", ()) for pooled in watched]
        return [
            _observation(number, {**((origin and _server_of(origin)) or {}), **attributes})
            for origin, attributes, number in figures_of(figure, pipelines)
        ]

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


class EventCounter:
    """Counts what is told of one request, once, however many layers here it passes."""

    __slots__ = ("_instruments", "_server")

    def __init__(self, instruments: Instruments, server: Attributes) -> None:
        self._instruments = instruments
        self._server = server

    def __call__(self, event: str, fields: dict[str, Any]) -> None:
        if event in EVENTS:
            self._instruments.tell(event, fields, self._server)


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


_known: WeakKeyDictionary[Any, Instruments] = WeakKeyDictionary()
_making = threading.Lock()


def _instruments_of(provider: MeterProvider) -> Instruments:
    """Made once for each provider: an instrument that is made twice is reported as a mistake."""
    with _making:
        instruments = _known.get(provider)
        if instruments is None:
            instruments = _known[provider] = Instruments(provider)
        return instruments


def instruments_of(given: MeterProvider | None) -> Instruments | None:
    """What measures for a provider, OpenTelemetry's global one if None; None as long as nothing would be collected."""
    metrics = _metrics()
    if (
        given is None
        and getattr(metrics, "_METER_PROVIDER", metrics) is None
        and not _provider_is_named()
    ):
        # None has been set. The function below takes a microsecond to say that.
        return None
    provider = given or metrics.get_meter_provider()
    # Cases: none has been set so far; one that never measures; a real one, which stays.
    if isinstance(provider, (metrics._ProxyMeterProvider, metrics.NoOpMeterProvider)):
        return None
    return _instruments_of(provider)


def server_attributes(url: URL) -> Attributes:
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
    return server_attributes(url) if url.host else None


def _connections_of(state: Any) -> Iterable[tuple[str, Any]]:
    for part in state.parts.values() if state.parts else (state,):
        # Several loops' pools may be parts of a part.
        if part.parts:
            yield from _connections_of(part)
            continue
        for origin in part.origins:
            for connection in origin.connections:
                yield origin.origin, connection


def _observation(number: float, attributes: Attributes) -> Observation:
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
