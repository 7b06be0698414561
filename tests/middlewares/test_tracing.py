"""Tracing: the spans of a call and of its attempts, by the HTTP semantic conventions."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from scallion import AsyncClient, MockTransport
from scallion.middlewares import tracing
from scallion.middlewares.hedging import Hedging, hedge_of
from scallion.middlewares.redirects import Redirects
from scallion.middlewares.retries import FullJitter, Retries
from scallion.middlewares.tracing import AttemptTracing, Tracing
from scallion.pipeline.errors import ConnectError, ReadError
from scallion.pipeline.onion import Next
from scallion.pipeline.pipeline import Pipeline
from scallion.pipeline.redaction import SECRET_NAMES
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from support.colours import Drive
from support.worlds import World, play

URL = "http://example.org/users/7?page=2"
REMOTE = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


class Recorder:
    """A tracer provider that keeps what it is told."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def spans(self) -> list[ReadableSpan]:
        """The ended spans, first started first."""
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def layers(self, *between: Any) -> list[Any]:
        provider = self.provider
        return [
            Tracing(tracer_provider=provider),
            *between,
            AttemptTracing(tracer_provider=provider),
        ]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.provider.shutdown()


def retries() -> Retries:
    return Retries(wait=FullJitter(0.2, 2.0, random=lambda: 0.5))


def get(url: str = URL, **settings: Any) -> Request:
    return Request("GET", url, **settings)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


@contextmanager
def entered(current: context.Context) -> Iterator[None]:
    """Be called in this context."""
    token = context.attach(current)
    try:
        yield
    finally:
        context.detach(token)


def traceparent(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


# The attempt's span


def test_an_attempt_is_a_client_span(drive: Drive, recorder: Recorder) -> None:
    """
    It is named by the method and has the attributes of the conventions.
    """
    answer = Response(200, extensions={"http_version": b"HTTP/2"})
    layer = AttemptTracing(tracer_provider=recorder.provider)

    assert answer is play([layer], get(), World([answer]), drive)

    (span,) = recorder.spans
    assert ("GET", SpanKind.CLIENT) == (span.name, span.kind)
    assert {
        "http.request.method": "GET",
        "url.full": URL,
        "server.address": "example.org",
        "server.port": 80,
        "http.response.status_code": 200,
        "network.protocol.version": "2",
    } == attributes(span)
    assert StatusCode.UNSET == span.status.status_code
    assert span.instrumentation_scope is not None
    assert "scallion" == span.instrumentation_scope.name


@pytest.mark.parametrize(
    ("url", "address", "port"),
    [
        ("https://example.org/", "example.org", 443),
        ("https://example.org:8443/", "example.org", 8443),
        ("http://[::1]/", "::1", 80),
    ],
)
def test_the_server_is_named(
    drive: Drive, recorder: Recorder, url: str, address: str, port: int
) -> None:
    """
    By host and port, a scheme's default port included.
    """
    layer = AttemptTracing(tracer_provider=recorder.provider)

    play([layer], get(url), World([Response(200)]), drive)

    (span,) = recorder.spans
    assert address == attributes(span)["server.address"]
    assert port == attributes(span)["server.port"]


def test_an_unknown_method_is_other(drive: Drive, recorder: Recorder) -> None:
    """
    The span's name and method stay within few values; the original stands beside.
    """
    play(recorder.layers(), Request("PURGE", URL), World([Response(200)]), drive)

    call, attempt = recorder.spans
    assert ("HTTP", "HTTP") == (call.name, attempt.name)
    assert "_OTHER" == attributes(attempt)["http.request.method"]
    assert "PURGE" == attributes(attempt)["http.request.method_original"]


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_statuses_from_400_are_errors(drive: Drive, recorder: Recorder, status: int) -> None:
    """
    The error's type is the status, and there is no description beside it.
    """
    play(recorder.layers(), get(), World([Response(status)]), drive)

    for span in recorder.spans:
        assert (StatusCode.ERROR, None) == (span.status.status_code, span.status.description)
        assert str(status) == attributes(span)["error.type"]
        assert status == attributes(span)["http.response.status_code"]


def test_exceptions_are_errors(drive: Drive, recorder: Recorder) -> None:
    """
    The error's type is its class, the description its text; the spans end.
    """
    with pytest.raises(ConnectError):
        play(recorder.layers(), get(), World([ConnectError("refused")]), drive)

    assert 2 == len(recorder.spans)
    for span in recorder.spans:
        assert (StatusCode.ERROR, "refused") == (span.status.status_code, span.status.description)
        assert "ConnectError" == attributes(span)["error.type"]


def test_a_cancellation_is_no_error(recorder: Recorder) -> None:
    """
    The spans end without a status.
    """

    async def cancelled(request: Request, call_next: Next) -> Response:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play([*recorder.layers(), cancelled], get(), World([]), Drive("sync"))

    assert [StatusCode.UNSET] * 2 == [span.status.status_code for span in recorder.spans]
    assert not trace.get_current_span().is_recording()


def test_secrets_do_not_show(drive: Drive, recorder: Recorder) -> None:
    """
    Neither userinfo nor signatures reach a span, in attributes or events.
    """
    target = "http://u:hunter2@example.org/?sig=hunter2&page=2"

    async def telling(request: Request, call_next: Next) -> Response:
        request.note("redirect", location=target, status=302, hops=["a"])
        return await call_next(request)

    play(recorder.layers(telling), get(target), World([Response(200)]), drive)

    shown = "http://REDACTED:REDACTED@example.org/?sig=REDACTED&page=2"
    call, attempt = recorder.spans
    assert shown == attributes(call)["url.full"] == attributes(attempt)["url.full"]
    (event,) = call.events
    assert {"location": shown, "status": 302, "hops": "['a']"} == dict(event.attributes or {})


def test_a_program_has_secrets_of_its_own(drive: Drive, recorder: Recorder) -> None:
    """
    Names are added to the list.
    """
    layer = Tracing(secrets=SECRET_NAMES | {"Shop-Id"}, tracer_provider=recorder.provider)

    play([layer], get("http://h/?shop_id=1&sig=2"), World([Response(200)]), drive)

    assert "http://h/?shop_id=REDACTED&sig=REDACTED" == attributes(recorder.spans[0])["url.full"]


def test_a_template_names_the_span(drive: Drive, recorder: Recorder) -> None:
    """
    One of few values, so it may stand in the name.
    """
    option = Tracing.option_for(template="/users/{id}")

    play(recorder.layers(), get(extensions=option), World([Response(200)]), drive)

    call, attempt = recorder.spans
    assert ("HTTP GET /users/{id}", "GET /users/{id}") == (call.name, attempt.name)
    assert "/users/{id}" == attributes(attempt)["url.template"]


def test_one_request_may_go_untraced(drive: Drive, recorder: Recorder) -> None:
    """
    No span, no header.
    """
    request = get(extensions=Tracing.option_for(enabled=False))

    with trace.use_span(NonRecordingSpan(REMOTE)):
        play(recorder.layers(), request, World([Response(200)]), drive)

    assert [] == recorder.spans
    assert "traceparent" not in request.headers


# The call's span


def test_attempts_are_children_of_their_call(drive: Drive, recorder: Recorder) -> None:
    """
    One internal span holds a client span for each attempt, which count the ones before.
    """
    request = get()
    headers: list[str] = []
    answers: list[Response | Exception] = [Response(503), ReadError("cut off"), Response(200)]

    def answer(request: Request) -> Response | Exception:
        headers.append(request.headers["traceparent"])
        return answers[len(headers) - 1]

    play(recorder.layers(retries()), request, World([answer] * 3), drive)

    call, *attempts = recorder.spans
    assert ("HTTP GET", SpanKind.INTERNAL) == (call.name, call.kind)
    assert call.parent is None
    assert StatusCode.UNSET == call.status.status_code
    assert 200 == attributes(call)["http.response.status_code"]
    assert [call.context] * 3 == [attempt.parent for attempt in attempts]
    counts = [attributes(attempt).get("http.request.resend_count") for attempt in attempts]
    assert [None, 1, 2] == counts
    assert list(map(traceparent, attempts)) == headers


def test_redirects_count_as_resends(drive: Drive, recorder: Recorder) -> None:
    """
    They are attempts of the same call, each with its own URL and header.
    """
    world = World([Response(302, headers={"Location": "/a"}), Response(503), Response(200)])
    layers = recorder.layers(Redirects(follow=True), retries())

    play(layers, get(), world, drive)

    call, *attempts = recorder.spans
    assert [None, 1, 2] == [attributes(span).get("http.request.resend_count") for span in attempts]
    assert "http://example.org/a" == attributes(attempts[1])["url.full"]
    assert ["redirect", "retry"] == [event.name for event in call.events]
    assert [traceparent(attempts[0]), traceparent(attempts[2])] == [
        asked.headers["traceparent"] for asked in (world.asked[0], world.asked[2])
    ]


def test_attempts_are_counted_without_the_calls_span(drive: Drive, recorder: Recorder) -> None:
    """
    Then by the retries alone.
    """
    layers: list[Any] = [retries(), AttemptTracing(tracer_provider=recorder.provider)]

    play(layers, get(), World([Response(503), Response(200)]), drive)

    counts = [attributes(span).get("http.request.resend_count") for span in recorder.spans]
    assert [None, 1] == counts


def test_a_hedge_says_so(recorder: Recorder) -> None:
    """
    Its span has its number; the first copy's, which was called off, has neither number nor status.
    """

    async def answer(request: Request) -> Response:
        if hedge_of(request) == 0:
            await anyio.sleep_forever()
        return Response(200)

    async def main() -> None:
        pipeline = Pipeline(*recorder.layers(Hedging(delay=0)))
        async with AsyncClient(pipeline=pipeline, transport=MockTransport(answer)) as client:
            await client.get(URL)

    anyio.run(main)

    _, *attempts = recorder.spans
    told = [
        (attributes(span).get("scallion.hedge"), attributes(span).get("http.response.status_code"))
        for span in attempts
    ]
    assert [(None, None), (1, 200)] == told


def test_events_go_to_the_innermost_span(drive: Drive, recorder: Recorder) -> None:
    """
    Retries show on the call, what happens within an attempt on the attempt; others hear all.
    """
    heard: list[str] = []
    request = get()
    request.observers = before = (lambda event, fields: heard.append(event),)

    async def noting(request: Request, call_next: Next) -> Response:
        request.note("connected", reused=False)
        return await call_next(request)

    world = World([Response(503), Response(200)])
    play([*recorder.layers(retries()), noting], request, world, drive)

    call, first, second = recorder.spans
    assert ["retry"] == [event.name for event in call.events]
    assert ["connected"] == [event.name for event in first.events]
    assert ["connected"] == [event.name for event in second.events]
    assert {"reused": False} == dict(first.events[0].attributes or {})
    assert ["connected", "retry", "connected"] == heard
    assert before == request.observers


def test_what_is_left_of_a_call_does_not_count_in_the_next(
    drive: Drive, recorder: Recorder
) -> None:
    """
    A request that inherited the observers of an earlier call begins anew, and records nothing there.
    """
    left = get()

    def answer(request: Request) -> Response:
        left.inherit(request)
        return Response(200)

    play(recorder.layers(), get(), World([answer]), drive)
    left.note("late")
    play(recorder.layers(), left, World([Response(200)]), drive)
    play(recorder.layers()[1:], left, World([Response(200)]), drive)

    assert 5 == len(recorder.spans)
    assert all("http.request.resend_count" not in attributes(span) for span in recorder.spans)
    assert all(not span.events for span in recorder.spans)


def test_spans_are_current_while_they_last(drive: Drive, recorder: Recorder) -> None:
    """
    Inner layers find the attempt's span, outer ones their own again.
    """
    names: list[str] = []

    async def looking(request: Request, call_next: Next) -> Response:
        names.append(getattr(trace.get_current_span(), "name", "none"))
        return await call_next(request)

    first, last = recorder.layers()
    play([looking, first, looking, last, looking], get(), World([Response(200)]), drive)

    assert ["none", "HTTP GET", "GET"] == names


# Without recording


def test_without_a_provider_the_callers_context_is_passed_on(drive: Drive) -> None:
    """
    A program that only propagates is not cut off from its trace.
    """
    request = get()

    with trace.use_span(NonRecordingSpan(REMOTE)):
        play([Tracing(), AttemptTracing()], request, World([Response(200)]), drive)

    assert f"00-{0xABC:032x}-{0xDEF:016x}-01" == request.headers["traceparent"]


@pytest.mark.parametrize("flags", [0, 1])
def test_an_incoming_trace_is_passed_on_as_it_came(drive: Drive, flags: int) -> None:
    """
    Sampled or not, with what vendors say of it, by every attempt; no SDK is needed.
    """
    incoming = {
        "traceparent": f"00-{0xABC:032x}-{0xDEF:016x}-{flags:02x}",
        "tracestate": "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
        "baggage": "tenant=fruit,user=7",
    }
    world = World([Response(503), Response(200)])

    with entered(propagate.extract(incoming)):
        play([Tracing(), retries(), AttemptTracing()], get(), world, drive)

    for asked in world.asked:
        assert incoming == {name: asked.headers[name] for name in incoming}


@pytest.mark.parametrize("recording", [False, True])
def test_baggage_needs_no_trace(drive: Drive, recorder: Recorder, recording: bool) -> None:
    """
    It is passed on whether a span is recorded or there is none at all.
    """
    request = get()
    layers = recorder.layers() if recording else [Tracing(), AttemptTracing()]

    with entered(baggage.set_baggage("tenant", "fruit")):
        play(layers, request, World([Response(200)]), drive)

    assert "tenant=fruit" == request.headers["baggage"]
    assert recording == ("traceparent" in request.headers)


def test_a_recorded_span_keeps_what_vendors_say(drive: Drive, recorder: Recorder) -> None:
    """
    Its id is new, the trace and its state are the incoming ones.
    """
    incoming = {
        "traceparent": f"00-{0xABC:032x}-{0xDEF:016x}-01",
        "tracestate": "rojo=00f067aa0ba902b7",
    }
    request = get()

    with entered(propagate.extract(incoming)):
        play(recorder.layers(), request, World([Response(200)]), drive)

    assert traceparent(recorder.spans[-1]) == request.headers["traceparent"]
    assert f"{0xABC:032x}" == request.headers["traceparent"].split("-")[1]
    assert incoming["tracestate"] == request.headers["tracestate"]


def test_other_things_in_the_context_add_nothing(drive: Drive) -> None:
    """
    Neither a trace nor baggage.
    """
    request = get()

    with entered(context.set_value("mine", 7)):
        play([Tracing(), AttemptTracing()], request, World([Response(200)]), drive)

    assert set() == {"traceparent", "tracestate", "baggage"} & set(request.headers)


def test_without_provider_and_context_nothing_happens() -> None:
    """
    The layers hand the request on without a coroutine of their own, and inject nothing.
    """
    nothing: Any = object()
    request = get()

    for layer in (Tracing(), AttemptTracing()):
        assert nothing is layer(request, lambda request: nothing)  # type: ignore[arg-type]

    assert "traceparent" not in request.headers


def test_what_is_not_sampled_is_still_propagated(drive: Drive) -> None:
    """
    The server must learn that the trace is not sampled, and sees no attribute of it.
    """
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    request = get()
    layers: list[Any] = [
        Tracing(tracer_provider=provider),
        AttemptTracing(tracer_provider=provider),
    ]

    play(
        [*layers[:1], retries(), *layers[1:]], request, World([Response(503), Response(200)]), drive
    )

    flags = int(request.headers["traceparent"].rpartition("-")[2], 16)
    assert 0 == flags & TraceFlags.SAMPLED


@pytest.mark.parametrize("by", ["variable", "function"])
def test_a_global_provider_counts_from_when_it_is_set(
    drive: Drive, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """
    Layers made, and used, before it was set use it from then on, wherever OpenTelemetry keeps it.
    """
    layers: list[Any] = [Tracing(), AttemptTracing()]
    play(layers, get(), World([Response(200)]), drive)
    if by == "variable":
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", recorder.provider)
    else:
        monkeypatch.delattr(trace, "_TRACER_PROVIDER")
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: recorder.provider)

    play(layers, get(), World([Response(200)]), drive)
    monkeypatch.undo()
    play(layers, get(), World([Response(200)]), drive)

    assert ["HTTP GET", "GET"] * 2 == [span.name for span in recorder.spans]


def test_a_provider_that_the_environment_names_counts(
    drive: Drive, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    OpenTelemetry makes it when it is first asked, and so it is asked.
    """
    tracing._provider_is_named.cache_clear()
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "mine")
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: recorder.provider)

    play([AttemptTracing()], get(), World([Response(200)]), drive)
    tracing._provider_is_named.cache_clear()

    assert ["GET"] == [span.name for span in recorder.spans]


# Construction


def test_secrets_are_names() -> None:
    """
    One string is a mistake.
    """
    with pytest.raises(TypeError, match="collection of parameter names"):
        Tracing(secrets="token")


def test_reprs_are_short() -> None:
    """
    What is not the default shows.
    """
    provider = TracerProvider(shutdown_on_exit=False)

    assert "Tracing()" == repr(Tracing())
    assert "AttemptTracing(secrets={'shopid'}, tracer_provider=<TracerProvider>)" == repr(
        AttemptTracing(secrets=["Shop-Id"], tracer_provider=provider)
    )
    assert Tracing() == Tracing()
    assert Tracing(secrets=["a"]) != Tracing()
    assert hash(Tracing()) == hash(Tracing())


def test_a_layer_that_has_traced_can_be_copied(
    drive: Drive, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    With its settings; the tracer, which no copy can have, is looked for anew.
    """
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", recorder.provider)
    layers: list[Any] = [Tracing(secrets=["ticket"]), AttemptTracing()]
    play(layers, get(), World([Response(200)]), drive)
    assert 2 == len(recorder.spans)

    for copied in (pickle.loads(pickle.dumps(layers)), copy.deepcopy(layers)):
        assert layers == copied
        play(copied, get(), World([Response(200)]), drive)
    assert 6 == len(recorder.spans)
