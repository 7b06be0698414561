"""What layers have at the moment at which metrics are collected: under way, in line, left, out of use."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import scallion
from scallion.middlewares.adaptive_concurrency import AdaptiveConcurrency
from scallion.middlewares.bulkhead import Bulkhead
from scallion.middlewares.circuit_breaker import CircuitBreaker
from scallion.middlewares.endpoints import Ejection, Endpoints
from scallion.middlewares.hedging import Hedging
from scallion.middlewares.metric_events import INSTRUMENTS
from scallion.middlewares.metric_figures import FIGURES
from scallion.middlewares.metrics import Metrics
from scallion.middlewares.retries import Retries
from scallion.middlewares.retry_budget import RetryBudget

URL = "http://example.org/"
SERVER = {"server.address": "example.org", "server.port": 80}


class Collector:
    """A meter provider, and what it has collected."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def client(self, *layers: Any, transport: Any = None) -> scallion.Client:
        return scallion.Client(
            pipeline=scallion.Pipeline(Metrics(self.provider), *layers),
            transport=transport or scallion.MockTransport(lambda request: scallion.Response(200)),
        )

    def values(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        data = self.reader.get_metrics_data()
        return [
            (dict(point.attributes), point.value)
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.provider.shutdown()


def streaming(request: scallion.Request) -> scallion.Response:
    """Its body is still to come."""
    return scallion.Response(200, content=iter([b"one", b"two"]))


def failing(request: scallion.Request) -> scallion.Response:
    return scallion.Response(503)


@pytest.mark.parametrize(
    ("name", "layer"),
    [("bulkhead", Bulkhead(limit=5)), ("concurrency", AdaptiveConcurrency(initial=5))],
)
def test_who_is_under_way_and_who_waits(collector: Collector, name: str, layer: Any) -> None:
    """
    Of each origin, at this very moment.
    """
    other = {**SERVER, "server.address": "other.example"}
    with collector.client(layer, transport=scallion.MockTransport(streaming)) as client:
        with client.stream("GET", URL), client.stream("GET", URL):
            client.get("http://other.example/")
            assert [(SERVER, 2), (other, 0)] == collector.values(f"scallion.{name}.active")
            assert [(SERVER, 0), (other, 0)] == collector.values(f"scallion.{name}.waiting")
        assert [(SERVER, 0), (other, 0)] == collector.values(f"scallion.{name}.active")


def test_what_is_left_of_the_budget(collector: Collector) -> None:
    """
    Once, though two layers draw on it.
    """
    budget = RetryBudget(share=0.5, floor=0.3, window=10.0)
    layers = [Retries(budget=budget, wait=lambda state: 0.0), Hedging(budget=budget, delay=60.0)]
    with collector.client(*layers, transport=scallion.MockTransport(failing)) as client:
        client.get(URL)

        ((about, balance),) = collector.values("scallion.budget.balance")
        assert SERVER == about
        # Three of the window, a half for the call, and two retries.
        assert 1.0 <= balance <= 1.5


def test_breakers_show_their_state_and_who_put_them_there(collector: Collector) -> None:
    """
    Without any request, if that was done by hand.
    """
    breaker = CircuitBreaker(minimum=1, break_for=60.0)
    with collector.client(breaker, transport=scallion.MockTransport(failing)) as client:
        client.get(URL)
        assert [(SERVER, 2)] == collector.values("scallion.breaker.state")
        assert [(SERVER, 0)] == collector.values("scallion.breaker.forced")

        breaker.force_closed(URL)
        assert [(SERVER, 0)] == collector.values("scallion.breaker.state")
        assert [(SERVER, 1)] == collector.values("scallion.breaker.forced")
        breaker.force_open(URL)
        assert [(SERVER, 2)] == collector.values("scallion.breaker.state")
        breaker.release(URL)
        assert [(SERVER, 0)] == collector.values("scallion.breaker.state")
        assert [(SERVER, 0)] == collector.values("scallion.breaker.forced")

        # Changes are counted with the next request.
        client.get(URL)
    counted = {
        about["scallion.state"]: value
        for about, value in collector.values("scallion.breaker.transitions")
    }
    assert {"open": 2, "forced_closed": 1, "forced_open": 1, "released": 1} == counted


def test_endpoints_are_counted_by_their_condition(collector: Collector) -> None:
    endpoints = Endpoints(
        {"orders": ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]}, ejection=Ejection(failures=1)
    )
    with collector.client(endpoints, transport=scallion.MockTransport(failing)) as client:
        client.get("http://orders/")

    about = {"scallion.service": "orders"}
    assert [
        ({**about, "scallion.state": "in_use"}, 2),
        ({**about, "scallion.state": "paused"}, 0),
        ({**about, "scallion.state": "ejected"}, 1),
    ] == collector.values("scallion.endpoint.count")


def test_layers_of_several_clients_are_added_up(collector: Collector) -> None:
    """
    One that two have counts once; breakers show the worst; a client that is gone counts no more.
    """
    shared, own = Bulkhead(), Bulkhead()
    well, ill = CircuitBreaker(), CircuitBreaker()
    ill.force_open(URL)
    streams = scallion.MockTransport(streaming)
    first = collector.client(shared, well, transport=streams)
    second = collector.client(shared, transport=streams)
    third = collector.client(own, transport=streams)
    idle = collector.client(ill)
    with first, second, third, idle:
        with first.stream("GET", URL), second.stream("GET", URL), third.stream("GET", URL):
            with pytest.raises(scallion.CircuitOpen):
                idle.get(URL)
            assert [(SERVER, 3)] == collector.values("scallion.bulkhead.active")
            assert [(SERVER, 2)] == collector.values("scallion.breaker.state")

    del first, second, third, idle
    gc.collect()
    assert [] == collector.values("scallion.breaker.state")


def test_figures_have_names_of_their_own() -> None:
    """
    An instrument that is made twice is reported as a mistake.
    """
    assert not set(FIGURES) & set(INSTRUMENTS)
