"""Tracing: OpenTelemetry spans by the stable HTTP semantic conventions.

Names of attributes, spans and status follow "Semantic conventions for HTTP spans", HTTP client.
opentelemetry is imported at the first request; until a tracer provider is set, nothing is recorded.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection, Container
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.redaction import SECRET_NAMES, redact_url, redact_value, secret_names
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

from .remade import remade
from .retry_state import attempt_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer, TracerProvider

__all__ = ["AttemptTracing", "Tracing", "TracingOption"]

_OPTION = "scallion.Tracing"
_SCHEMA = "https://opentelemetry.io/schemas/1.23.1"
_PORTS = {"http": 80, "https": 443}

# Others become "_OTHER": an attribute with arbitrarily many values is of no use.
_KNOWN_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)


@dataclass(frozen=True, slots=True)
class TracingOption:
    """What one request tells `Tracing` and `AttemptTracing`; see `Tracing.option_for`."""

    template: str | None = None
    enabled: bool = True


class _Events:
    """An observer that writes events onto a span, and counts the attempts within it.

    Attributes:
        sends: Attempts begun.
        is_over: Whether the span has ended; a request that inherited this observer may live on.
    """

    __slots__ = ("is_over", "secrets", "sends", "span")

    def __init__(self, span: Span, secrets: Container[str]) -> None:
        self.span = span
        self.secrets = secrets
        self.sends = 0
        self.is_over = False

    def __call__(self, event: str, fields: dict[str, Any]) -> None:
        # A span that has ended records no longer.
        if self.span.is_recording():
            redacted = {name: _attribute(value, self.secrets) for name, value in fields.items()}
            self.span.add_event(event, redacted)


@dataclass(frozen=True, repr=False)
class _Tracing(Layer):
    option: ClassVar[str | None] = _OPTION
    _per_attempt: ClassVar[bool]

    secrets: Collection[str] = SECRET_NAMES
    tracer_provider: TracerProvider | None = None
    _tracer: list[Tracer] = field(default_factory=list, init=False, compare=False)

    def __post_init__(self) -> None:
        if self.secrets is not SECRET_NAMES:
            object.__setattr__(self, "secrets", secret_names(self.secrets))

    @staticmethod
    def option_for(*, template: str | None = None, enabled: bool = True) -> dict[str, Any]:
        """The request extension for one request, read by `Tracing` and `AttemptTracing`.

        Args:
            template: The URL's path with names in the place of values, "/users/{id}"; the spans are
                named by it, and bear it as `url.template`.
            enabled: False to make no span and inject nothing.
        """
        return {_OPTION: TracingOption(template, enabled)}

    def bind(self, send: Bound, call_next: Next) -> Bound:
        known, per_attempt = self._tracer, self._per_attempt

        def through(request: Request) -> Awaitable[Response]:
            # Cases: not this request; spans are recorded; they are not, and the context is passed on.
            option = request.extensions.get(_OPTION)
            if option is not None:
                if not isinstance(option, TracingOption):
                    raise TypeError(f"Expected Tracing.option_for(...), not {option!r}")
                if not option.enabled:
                    return send(request)
            tracer = known[0] if known else self._look_for_tracer()
            if tracer is not None:
                return self._observe(tracer, request, call_next)
            if per_attempt and _context()():
                # The caller's trace, if there is one, and its baggage, which needs none.
                _inject()(request.headers)
            return send(request)

        return through

    def _look_for_tracer(self) -> Tracer | None:
        """What makes spans, or None as long as nothing would record them."""
        trace = _trace()
        if (
            self.tracer_provider is None
            and getattr(trace, "_TRACER_PROVIDER", trace) is None
            and not _provider_is_named()
        ):
            # None has been set. The function below needs a microsecond to say that: it asks the environment each time.
            return None
        provider = self.tracer_provider or trace.get_tracer_provider()
        # Cases: none has been set so far; one that will never record; a real one, which stays.
        if isinstance(provider, (trace.ProxyTracerProvider, trace.NoOpTracerProvider)):
            return None
        tracer: Tracer = provider.get_tracer("scallion", _version(), schema_url=_SCHEMA)
        self._tracer.append(tracer)
        return tracer

    def _start(self, tracer: Tracer, request: Request) -> Span:
        """The span, its first attributes being what samplers decide by."""
        method = request.method
        url = request.url
        attributes: dict[str, str | int] = {
            "http.request.method": method,
            "server.address": url.host,
            "url.full": redact_url(url, self.secrets),
        }
        name = method if self._per_attempt else f"HTTP {method}"
        if method not in _KNOWN_METHODS:
            attributes["http.request.method"] = "_OTHER"
            attributes["http.request.method_original"] = method
            name = "HTTP"
        port = url.port or _PORTS.get(url.scheme)
        if port is not None:
            attributes["server.port"] = port
        option = request.extensions.get(_OPTION)
        if option is not None and option.template is not None:
            attributes["url.template"] = option.template
            name = f"{name} {option.template}"
        kinds = _trace().SpanKind
        if not self._per_attempt:
            return tracer.start_span(name, kind=kinds.INTERNAL, attributes=attributes)
        from .hedging_race import hedge_of

        if resent := _resent(request):
            attributes["http.request.resend_count"] = resent
        if hedge := hedge_of(request):
            attributes["scallion.hedge"] = hedge
        return tracer.start_span(name, kind=kinds.CLIENT, attributes=attributes)

    async def _observe(self, tracer: Tracer, request: Request, call_next: Next) -> Response:
        """Send `request` while a span is the current one; end it with the headers."""
        from opentelemetry import context

        span = self._start(tracer, request)
        events = _Events(span, self.secrets)
        observers = request.observers
        token = context.attach(_trace().set_span_in_context(span))
        try:
            if self._per_attempt:
                # What happens within an attempt does not show on the call's span as well.
                others = (other for other in observers if not isinstance(other, _Events))
                request.observers = (*others, events)
                _inject()(request.headers)
            else:
                request.observers = (*observers, events)
            response = await call_next(request)
        except Exception as error:
            _fail(span, type(error).__qualname__, str(error))
            raise
        else:
            _finish(span, response)
            return response
        finally:
            events.is_over = True
            request.observers = observers
            context.detach(token)
            span.end()

    def __reduce__(self) -> tuple[Any, ...]:
        # The tracer that was found stays in this process.
        return remade(self)

    def __repr__(self) -> str:
        parts = []
        if self.secrets != SECRET_NAMES:
            parts.append(f"secrets={{{', '.join(map(repr, sorted(self.secrets)))}}}")
        if self.tracer_provider is not None:
            parts.append(f"tracer_provider=<{type(self.tracer_provider).__name__}>")
        return f"{type(self).__name__}({', '.join(parts)})"


@dataclass(frozen=True, repr=False)
class Tracing(_Tracing):
    """One span for the whole call: an internal one, "HTTP GET", parent of its attempts' spans.

    It has the attributes of an attempt's span, the status and the error being the final ones, and
    what the other layers tell of the call (retries, redirects) as events.

    Attributes:
        secrets: Names of query parameters whose values are not shown, in the place of the default
            `SECRET_NAMES`; add to those.
        tracer_provider: Where spans go; None for OpenTelemetry's global one.

    Request extension `"scallion.Tracing"`: a `TracingOption`, made by `option_for`.

    Raises:
        TypeError, ValueError: `secrets` is no collection of names.

    Order: outermost, so that the span lasts as long as the caller waits; only logging may lie
    further out. Inside retries there would be no one span that holds the attempts together.
    """

    _per_attempt: ClassVar[bool] = False


@dataclass(frozen=True, repr=False)
class AttemptTracing(_Tracing):
    """One span for each request that goes on the wire: a client span, "GET" or "GET /users/{id}".

    The trace's context is injected into the request's headers by OpenTelemetry's global propagator,
    that of the attempt's span, or without a tracer provider the context that the program was
    called in: `traceparent`, `tracestate`, and `baggage`, which needs no span. The span ends when
    the response's headers have arrived: a body that is never read cannot keep it open.

    An attempt after a retry or a redirect has `http.request.resend_count`, counted over the call where
    `Tracing` is installed, and since the last redirect where it is not. A hedge has `scallion.hedge`, its number from 1. Statuses from 400 on, and
    errors, set the span's status and `error.type`: the status, or the name of the error's class. A
    cancellation does neither.

    Attributes:
        secrets: As in `Tracing`.
        tracer_provider: As in `Tracing`.

    Request extension `"scallion.Tracing"`: a `TracingOption`, made by `option_for`.

    Raises:
        TypeError, ValueError: `secrets` is no collection of names.

    Order: inside retries, redirects and authentication, next to the transport, so that it measures
    what the server took, and the server's span becomes the child of the right attempt.
    """

    _per_attempt: ClassVar[bool] = True


@cache
def _trace() -> Any:
    """opentelemetry.trace, without the cost of an import statement."""
    from opentelemetry import trace

    return trace


@cache
def _context() -> Callable[[], Any]:
    """What gives the current context, which is empty as long as nobody traces."""
    from opentelemetry.context import get_current

    return get_current


@cache
def _provider_is_named() -> bool:
    """Whether OpenTelemetry finds its provider by itself, when it is first asked for it."""
    return "OTEL_PYTHON_TRACER_PROVIDER" in os.environ


@cache
def _inject() -> Callable[[Any], None]:
    """What puts the current context into headers, as the global propagator does it."""
    from opentelemetry.propagate import inject

    return inject


def _resent(request: Request) -> int:
    """How many attempts of the call came before this one."""
    # The last one: a `response.next_request` may have inherited those of an earlier call.
    for observer in reversed(request.observers):
        if isinstance(observer, _Events) and not observer.is_over:
            observer.sends += 1
            return observer.sends - 1
    return attempt_of(request) - 1


def _finish(span: Span, response: Response) -> None:
    if not span.is_recording():
        return
    status = response.status_code
    span.set_attribute("http.response.status_code", status)
    span.set_attribute("network.protocol.version", response.http_version.removeprefix("HTTP/"))
    # Where the bytes went, a proxy's address included; transports without connections do not say.
    peer = getattr(response.extensions.get("connection"), "peer", None)
    if isinstance(peer, tuple):
        span.set_attribute("network.peer.address", peer[0])
        span.set_attribute("network.peer.port", peer[1])
    elif isinstance(peer, str):
        span.set_attribute("network.peer.address", peer)
    if status >= 400:
        # Without a description: the status says it all.
        _fail(span, str(status), None)


def _fail(span: Span, kind: str, description: str | None) -> None:
    if span.is_recording():
        trace = _trace()
        span.set_attribute("error.type", kind)
        span.set_status(trace.Status(trace.StatusCode.ERROR, description))


def _attribute(value: object, secrets: Container[str]) -> str | bool | int | float:
    """`value` as OpenTelemetry allows it."""
    value = redact_value(value, secrets)
    return value if isinstance(value, (str, bool, int, float)) else str(value)


def _version() -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("scallion")
    except PackageNotFoundError:
        return None
