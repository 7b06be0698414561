"""Metrics: OpenTelemetry instruments by the stable HTTP semantic conventions, and figures of the layers.

Names of instruments and attributes follow "Semantic conventions for HTTP metrics", HTTP client. The instruments are in
`metric_instruments`; what layers and the transport tell is counted by the table in `metric_events`. opentelemetry is imported at
the first request; until a meter provider is set, nothing is measured.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakSet

from scallion.pipeline.errors import PoolTimeout
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime

from .metric_events import OTHER
from .metric_instruments import (
    ACTIVE,
    CALL,
    DURATION,
    POOL_WAIT,
    RECEIVED,
    SENT,
    Attributes,
    EventCounter,
    Instruments,
    Pooled,
    instruments_of,
    server_attributes,
)
from .tracing import _KNOWN_METHODS, TracingOption

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

__all__ = ["AttemptMetrics", "Metrics", "MetricsOption", "Pooled"]

_OPTION = "scallion.Metrics"
_TRACING = "scallion.Tracing"


@dataclass(frozen=True, slots=True)
class MetricsOption:
    """What one request tells `Metrics` and `AttemptMetrics`; see `Metrics.option_for`."""

    template: str | None = None
    enabled: bool = True


@dataclass(frozen=True, repr=False)
class _Metrics(Layer):
    option: ClassVar[str | None] = _OPTION

    meter_provider: MeterProvider | None = None
    _made: list[Instruments] = field(default_factory=list, init=False, compare=False)
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
        made, measure, provider = self._made, self._measure, self.meter_provider

        def through(request: Request) -> Awaitable[Response]:
            # Cases: nobody measures; not this request; this one.
            instruments = made[0] if made else instruments_of(provider)
            if instruments is None:
                return send(request)
            if not made:
                self._adopt(instruments)
            option = request.extensions.get(_OPTION)
            if option is not None:
                if not isinstance(option, MetricsOption):
                    raise TypeError(f"Expected Metrics.option_for(...), not {option!r}")
                if not option.enabled:
                    return send(request)
            return measure(instruments, request, send, call_next.runtime)

        return through

    def _adopt(self, instruments: Instruments) -> None:
        """Measure by these from now on."""
        self._made.append(instruments)
        for pooled in list(self._clients):
            instruments.watch(pooled)

    def _measure(
        self, instruments: Instruments, request: Request, send: Bound, runtime: Runtime
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
        self, instruments: Instruments, request: Request, send: Bound, runtime: Runtime
    ) -> Response:
        observers = request.observers
        about = _about(request)
        request.observers = (*observers, EventCounter(instruments, server_attributes(request.url)))
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
            instruments.write(CALL, runtime.clock() - started, about)


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
        self, instruments: Instruments, request: Request, send: Bound, runtime: Runtime
    ) -> Response:
        observers = request.observers
        about = _about(request)
        active = about.copy()
        heard = any(type(observer) is EventCounter for observer in observers)
        if not heard:
            request.observers = (
                *observers,
                EventCounter(instruments, server_attributes(request.url)),
            )
        write, clock = instruments.write, runtime.clock
        write(ACTIVE, 1, active)
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
                write(RECEIVED, received, about)
            # Unset if the request did not wait.
            steps = getattr(response.extensions.get("connection"), "steps", None)
            queued = getattr(steps, "queued", None)
            return response
        finally:
            write(DURATION, clock() - started, about)
            write(ACTIVE, -1, active)
            sent = _length(request)
            if sent is not None:
                write(SENT, sent, about)
            if queued is not None:
                write(POOL_WAIT, queued, server_attributes(request.url))
            if not heard:
                request.observers = observers


# What is known of a request


def _about(request: Request) -> Attributes:
    """The attributes that are known beforehand."""
    method = request.method
    url = request.url
    about: Attributes = {
        "http.request.method": method if method in _KNOWN_METHODS else OTHER,
        "url.scheme": url.scheme,
        **server_attributes(url),
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
