"""Metrics: durations by the HTTP semantic conventions, and what the layers tell, counted."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from opentelemetry import metrics as api
from opentelemetry.metrics import _internal
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import scallion
from scallion.middlewares import metric_instruments
from scallion.middlewares.metric_events import EVENTS, INSTRUMENTS, MOST_VALUES
from scallion.middlewares.metrics import AttemptMetrics, Metrics
from scallion.middlewares.retries import FullJitter, Retries
from scallion.middlewares.tracing import Tracing
from scallion.pipeline.errors import ConnectError, PoolTimeout
from scallion.pipeline.onion import Next, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from support.cancelling import cancelled_everywhere
from support.colours import Drive
from support.worlds import After, World, play

URL = "http://example.org/users/7?page=2&sig=hunter2"
SERVER = {"server.address": "example.org", "server.port": 80}
ASKED = {"http.request.method": "GET", "url.scheme": "http", **SERVER}
ANSWERED = {**ASKED, "http.response.status_code": 200, "network.protocol.version": "1.1"}


class Collector:
    """A meter provider, and what it has collected."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def layers(self, *between: Any) -> list[Any]:
        return [
            Metrics(self.provider),
            *between,
            AttemptMetrics(self.provider),
        ]

    def points(self, name: str) -> list[Any]:
        """The data points of one instrument; none if nothing was measured."""
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def values(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """Attributes and value of each: a histogram's count and sum."""
        return [
            (
                dict(point.attributes),
                (point.count, point.sum) if hasattr(point, "sum") else point.value,
            )
            for point in self.points(name)
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.provider.shutdown()


def retries() -> Retries:
    return Retries(wait=FullJitter(0.2, 2.0, random=lambda: 0.5))


def get(url: str = URL, **settings: Any) -> Request:
    return Request("GET", url, **settings)


def telling(*events: tuple[str, dict[str, Any]]) -> Any:
    """A layer that tells events."""

    async def layer(request: Request, call_next: Next) -> Response:
        for event, fields in events:
            request.note(event, **fields)
        return await call_next(request)

    return layer


# Attempts


def test_an_attempt_is_measured_by_the_conventions(drive: Drive, collector: Collector) -> None:
    """
    Its duration has the stable attributes, and the buckets that are advised.
    """
    layer = AttemptMetrics(collector.provider)

    play([layer], get(), World([After(0.3, Response(200))]), drive)

    (point,) = collector.points("http.client.request.duration")
    assert ANSWERED == dict(point.attributes)
    assert (1, pytest.approx(0.3)) == (point.count, point.sum)
    assert (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10) == (
        point.explicit_bounds
    )


def test_each_attempt_is_measured_alone(drive: Drive, collector: Collector) -> None:
    """
    The waits between attempts are in the call's duration only.
    """
    world = World([After(1.0, Response(503)), After(2.0, Response(200))])

    play(collector.layers(retries()), get(), world, drive)

    failed = {**ANSWERED, "http.response.status_code": 503, "error.type": "503"}
    assert [(failed, (1, pytest.approx(1.0))), (ANSWERED, (1, pytest.approx(2.0)))] == (
        collector.values("http.client.request.duration")
    )
    assert [(ANSWERED, (1, pytest.approx(3.1)))] == collector.values("scallion.call.duration")
    assert [({**SERVER, "scallion.reason": "503"}, 1)] == collector.values("scallion.retry.count")
    assert [(SERVER, (1, pytest.approx(0.1)))] == collector.values("scallion.retry.wait")


def test_errors_are_named_by_their_class(drive: Drive, collector: Collector) -> None:
    """
    There is no status then.
    """
    with pytest.raises(ConnectError):
        play(collector.layers(), get(), World([ConnectError("refused")]), drive)

    failed = {**ASKED, "error.type": "ConnectError"}
    for name in ("http.client.request.duration", "scallion.call.duration"):
        assert [(failed, (1, 0.0))] == collector.values(name)


def test_a_cancellation_is_called_so(collector: Collector) -> None:
    """
    Whatever its class is in the event loop at hand.
    """

    async def cancelled(request: Request, call_next: Next) -> Response:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play([*collector.layers(), cancelled], get(), World([]), Drive("sync"))

    failed = {**ASKED, "error.type": "cancelled"}
    assert [(failed, (1, 0.0))] == collector.values("http.client.request.duration")
    assert [(ASKED, 0)] == collector.values("http.client.active_requests")


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancellation_anywhere_leaves_nothing_active(drive: Drive, collector: Collector) -> None:
    """
    Whenever the caller gives up, the request is no longer counted as active.
    """

    async def work() -> None:
        world = World([After(1.0, Response(503)), After(1.0, Response(200))], blocking=False)
        await compose(collector.layers(retries()), world.transport, world)(get())

    async def check() -> None:
        assert [(ASKED, 0)] == collector.values("http.client.active_requests")

    async def scenario() -> int:
        return await cancelled_everywhere(work, check)

    assert drive(scenario) >= 2
    kinds = {about.get("error.type") for about, _ in collector.values("scallion.call.duration")}
    assert {None, "cancelled"} == kinds


def test_active_requests_are_counted_while_they_are(drive: Drive, collector: Collector) -> None:
    """
    Up before the request is sent, down with its headers.
    """
    during: list[Any] = []

    def answer(request: Request) -> Response:
        during.extend(collector.values("http.client.active_requests"))
        return Response(200)

    play(collector.layers(), get(), World([answer]), drive)

    assert [(ASKED, 1)] == during
    assert [(ASKED, 0)] == collector.values("http.client.active_requests")


def test_bodies_are_measured_by_their_length(drive: Drive, collector: Collector) -> None:
    """
    As the headers tell it; what has no length is left out, and so is nonsense.
    """
    answers = [Response(200, headers={"Content-Length": length}) for length in ("700", "many")]

    for answer in answers:
        play(collector.layers(), Request("PUT", URL, content=b"12345"), World([answer]), drive)
    play(
        collector.layers(), Request("PUT", URL, content=iter([b"1"])), World([Response(200)]), drive
    )

    about = {**ANSWERED, "http.request.method": "PUT"}
    assert [(about, (2, 10))] == collector.values("http.client.request.body.size")
    assert [(about, (1, 700))] == [
        value for value in collector.values("http.client.response.body.size") if value[1][1]
    ]


def test_attributes_have_few_values(drive: Drive, collector: Collector) -> None:
    """
    No path, no query, and no method that somebody made up.
    """
    play(collector.layers(), Request("PURGE", URL), World([Response(200)]), drive)

    ((about, _),) = collector.values("http.client.request.duration")
    assert {**ANSWERED, "http.request.method": "_OTHER"} == about
    data = collector.reader.get_metrics_data()
    assert "hunter2" not in str(data)
    assert "users" not in str(data)


@pytest.mark.parametrize("helper", [Metrics.option_for, Tracing.option_for])
def test_a_template_tells_the_kinds_of_requests_apart(
    drive: Drive, collector: Collector, helper: Any
) -> None:
    """
    What tracing is told is enough.
    """
    request = get(extensions=helper(template="/users/{id}"))

    play(collector.layers(), request, World([Response(200)]), drive)

    ((about, _),) = collector.values("http.client.request.duration")
    assert {**ANSWERED, "url.template": "/users/{id}"} == about


def test_one_request_may_go_unmeasured(drive: Drive, collector: Collector) -> None:
    """
    By its option.
    """
    request = get(extensions=Metrics.option_for(enabled=False))

    play(collector.layers(), request, World([Response(200)]), drive)

    assert [] == collector.values("http.client.request.duration")


def test_waiting_for_a_connection_is_measured(drive: Drive, collector: Collector) -> None:
    """
    As the transport noted it, or for as long as it was in vain.
    """

    class Steps:
        queued = 0.25

    class Connection:
        steps = Steps()
        peer = None

    answer = Response(200, extensions={"connection": Connection()})
    play(collector.layers(), get(), World([answer]), drive)
    with pytest.raises(PoolTimeout):
        play(collector.layers(), get(), World([After(2.0, PoolTimeout("full"))]), drive)

    assert [(SERVER, (2, pytest.approx(2.25)))] == collector.values("scallion.pool.wait")


# Events


@pytest.mark.parametrize("event", EVENTS)
def test_each_event_of_the_table_is_measured(
    drive: Drive, collector: Collector, event: str
) -> None:
    """
    By instruments that there are, with the server that the event names.
    """
    fields = {rule.value: 2 for rule in EVENTS[event] if rule.value is not None}
    origin = "https://[::1]:8443"
    layers = collector.layers(telling((event, {"origin": origin, **fields})))

    play(layers, get(), World([Response(200)]), drive)

    for rule in EVENTS[event]:
        assert rule.instrument in INSTRUMENTS
        ((about, value),) = collector.values(rule.instrument)
        assert {"server.address": "::1", "server.port": 8443, **dict(rule.attributes)} == about
        histogram = "histogram" == INSTRUMENTS[rule.instrument].kind
        expected = 1 if rule.value is None else 2
        assert ((1, 2) if histogram else expected) == value


def test_every_instrument_has_an_event() -> None:
    """
    None is made in vain.
    """
    assert set(INSTRUMENTS) == {rule.instrument for rules in EVENTS.values() for rule in rules}


def test_unknown_events_and_odd_fields_do_no_harm(drive: Drive, collector: Collector) -> None:
    """
    Nothing is counted, or without what could not be read.
    """
    odd = telling(
        ("cache.hit", {"key": "k"}),
        ("rate_limit.admitted", {"waited": "long"}),
        ("breaker.opened", {"origin": "http://h:x/", "reason": object()}),
        ("breaker.opened", {"origin": 7}),
    )

    play(collector.layers(odd), get(), World([Response(200)]), drive)

    assert [] == collector.values("scallion.rate_limit.wait")
    opened = {**SERVER, "scallion.state": "open"}
    assert [(opened, 2)] == collector.values("scallion.breaker.transitions")


def test_the_wait_for_a_rate_limit_is_the_real_one(drive: Drive, collector: Collector) -> None:
    """
    Not what was expected beforehand; of a request that gave up there is none.
    """
    pytest.importorskip("limits", reason="limits is missing: install it (pip install limits)")
    from scallion.middlewares.rate_limit import RateLimit

    world = World([Response(200), Response(200)], blocking=drive.blocking)
    layers = collector.layers(RateLimit("1 per 10 seconds", patience=10.0))
    send = compose(layers, world.transport, world)

    async def scenario() -> None:
        await send(get())
        world.now += 4.0
        await send(get())
        with pytest.raises(scallion.RateLimited):
            await send(get(extensions=RateLimit.option_for(patience=1.0)))

    drive(scenario)

    assert [(SERVER, (1, 6.0))] == collector.values("scallion.rate_limit.wait")
    assert [(SERVER, 1)] == collector.values("scallion.rate_limit.waits")


def test_fields_with_many_values_are_cut_off(drive: Drive, collector: Collector) -> None:
    """
    What comes late is "_OTHER", and long ones are shortened.
    """
    reasons = ["x" * 1000, *(f"reason {number}" for number in range(MOST_VALUES + 10))]
    layer = telling(*(("retry.end", {"reason": reason}) for reason in reasons))

    play(collector.layers(layer), get(), World([Response(200)]), drive)

    counted = {
        about["scallion.reason"]: value for about, value in collector.values("scallion.retry.end")
    }
    assert MOST_VALUES + 1 == len(counted)
    assert 11 == counted["_OTHER"]
    assert 1 == counted["x" * 64]


def test_an_event_is_counted_once(drive: Drive, collector: Collector) -> None:
    """
    With both layers, and with either of them alone.
    """
    both, inner = collector.layers()
    event = telling(("connection.opened", {"origin": "http://example.org:80"}))

    for layers in ([both, inner, event], [both, event], [inner, event]):
        play(layers, get(), World([Response(200)]), drive)

    ((about, value),) = collector.values("scallion.connections")
    assert {**SERVER, "scallion.event": "opened"} == about
    assert 3 == value


def test_observers_are_as_before(drive: Drive, collector: Collector) -> None:
    """
    A request that is used again is not counted by what is left of the first time.
    """
    request = get()
    request.observers = before = (lambda event, fields: None,)

    play(collector.layers(), request, World([Response(200)]), drive)

    assert before == request.observers


def test_threads_lose_no_measurement(collector: Collector) -> None:
    """
    Many at once count to the right sum.
    """
    layers = collector.layers(telling(("coalesced", {})))

    def work() -> None:
        for _ in range(100):
            play(layers, get(), World([Response(200)]), Drive("sync"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [(SERVER, 800)] == collector.values("scallion.coalesced")
    assert [(ASKED, 0)] == collector.values("http.client.active_requests")


# Connections


def test_open_connections_are_those_of_the_pool(collector: Collector) -> None:
    """
    Of every client that has the layer, for as long as it is there.
    """

    class Connection:
        def __init__(self, state: str) -> None:
            self.state = state
            self.protocol = "HTTP/1.1"

    class Origin:
        origin = "https://example.org:443"
        connections = (Connection("active"), Connection("draining"), Connection("idle"))

    class Pool:
        active, idle, waiting, limit = 2, 1, 3, 100
        parts: ClassVar[dict[str, Any]] = {}
        origins = (Origin(),)

    class Whole(Pool):
        parts: ClassVar[dict[str, Any]] = {"default": Pool(), "loop": Pool()}

    class Pooled:
        pool = Whole()

    layer, unused = AttemptMetrics(collector.provider), Metrics(collector.provider)
    pooled: Any = Pooled()
    layer.watch(pooled)
    play([layer, unused], get(), World([Response(200)]), Drive("sync"))
    unused.watch(pooled)

    about = {
        "server.address": "example.org",
        "server.port": 443,
        "url.scheme": "https",
        "network.protocol.version": "1.1",
    }
    assert [
        ({**about, "http.connection.state": "active"}, 4),
        ({**about, "http.connection.state": "idle"}, 2),
    ] == collector.values("http.client.open_connections")
    assert [({}, 3)] == collector.values("scallion.pool.waiting")
    assert [({}, 100)] == collector.values("scallion.pool.limit")

    del pooled
    gc.collect()
    assert [] == collector.values("http.client.open_connections")


def test_clients_are_watched(collector: Collector) -> None:
    """
    Whoever has the layer in its pipeline.
    """
    pipeline = scallion.Pipeline(AttemptMetrics(collector.provider))
    transport = scallion.HTTPTransport(limits=scallion.Limits(max_connections=7))
    with scallion.Client(pipeline=pipeline, transport=transport) as client:
        with pytest.raises(ConnectError):
            client.get("http://127.0.0.1:1/")

        assert [({}, 7)] == collector.values("scallion.pool.limit")


def test_a_pool_without_limit_has_none(collector: Collector) -> None:
    """
    There is no figure for it.
    """
    pipeline = scallion.Pipeline(AttemptMetrics(collector.provider))
    transport = scallion.HTTPTransport(limits=scallion.Limits())
    with scallion.Client(pipeline=pipeline, transport=transport) as client:
        with pytest.raises(ConnectError):
            client.get("http://127.0.0.1:1/")

        assert [] == collector.values("scallion.pool.limit")


# Without a provider


def test_without_a_provider_nothing_happens() -> None:
    """
    The layers hand the request on without a coroutine of their own.
    """
    nothing: Any = object()

    for layer in (Metrics(), AttemptMetrics()):
        assert nothing is layer(get(), lambda request: nothing)  # type: ignore[arg-type]


def test_a_provider_that_measures_nothing_is_none() -> None:
    """
    OpenTelemetry's own for that.
    """
    nothing: Any = object()

    assert nothing is Metrics(api.NoOpMeterProvider())(get(), lambda request: nothing)  # type: ignore[arg-type]


def test_a_global_provider_counts_from_when_it_is_set(
    drive: Drive, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Layers made, and used, before it was set use it from then on.
    """
    layers: list[Any] = [Metrics(), AttemptMetrics()]
    play(layers, get(), World([Response(200)]), drive)
    monkeypatch.setattr(_internal, "_METER_PROVIDER", collector.provider)

    play(layers, get(), World([Response(200)]), drive)

    assert [(ANSWERED, (1, 0.0))] == collector.values("http.client.request.duration")


def test_a_provider_that_the_environment_names_counts(
    drive: Drive, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    OpenTelemetry makes it when it is first asked, and so it is asked.
    """
    metric_instruments._provider_is_named.cache_clear()
    monkeypatch.setenv("OTEL_PYTHON_METER_PROVIDER", "mine")
    monkeypatch.setattr(_internal, "get_meter_provider", lambda: collector.provider)

    play([AttemptMetrics()], get(), World([Response(200)]), drive)
    metric_instruments._provider_is_named.cache_clear()

    assert [(ANSWERED, (1, 0.0))] == collector.values("http.client.request.duration")


def test_an_api_that_takes_no_advice_will_do(collector: Collector) -> None:
    """
    Older ones do not know bucket boundaries.
    """
    meter = collector.provider.get_meter("old")

    class Old:
        def create_histogram(self, name: str, unit: str, description: str) -> Any:
            return meter.create_histogram(name, unit, description)

    write = metric_instruments._writer(Old(), "old.duration", INSTRUMENTS["scallion.retry.wait"])  # type: ignore[arg-type]
    write(1.0, {})

    assert [({}, (1, 1.0))] == collector.values("old.duration")


# Construction


def test_the_wrong_option_is_refused(drive: Drive, collector: Collector) -> None:
    """
    The message says how one is made.
    """
    request = get(extensions={"scallion.Metrics": True})

    with pytest.raises(TypeError, match=r"Expected Metrics\.option_for\(\.\.\.\), not True"):
        play(collector.layers(), request, World([]), drive)


def test_reprs_are_short() -> None:
    """
    What is not the default shows; copies are equal.
    """
    provider = api.NoOpMeterProvider()

    assert "Metrics()" == repr(Metrics())
    assert "AttemptMetrics(meter_provider=<NoOpMeterProvider>)" == repr(AttemptMetrics(provider))
    assert (
        Metrics() == Metrics() == copy.deepcopy(Metrics()) == pickle.loads(pickle.dumps(Metrics()))
    )
    assert hash(Metrics()) == hash(Metrics())
    assert Metrics(provider) != Metrics()
