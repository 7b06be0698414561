"""Python function calls: the measure of work that no other load on the machine changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.peers import Certificate

from .conftest import Measure
from .limits import (
    C_CALLS,
    COLOURS,
    CONSTRUCTION_CALLS,
    IDLE_LAYER_CALLS,
    LAYER_CALLS,
    ONE_SHOT_CALLS,
    PYTHON_CALLS,
    PYTHON_CALLS_HTTP2,
    PYTHON_CALLS_OF_MANY,
    PYTHON_CALLS_TLS,
    THREADS,
)


@pytest.mark.parametrize("colour", PYTHON_CALLS)
def test_a_request_makes_few_calls(colour: str, server: str, measure: Measure) -> None:
    """
    One small request after the other, over one connection, through the default stack.
    """
    calls = measure("calls", colour, server)

    PYTHON_CALLS[colour].check(f"Python calls per request, {colour}", calls["python"])
    C_CALLS[colour].check(f"C calls per request, {colour}", calls["c"])


@pytest.mark.parametrize("colour", PYTHON_CALLS_HTTP2)
def test_a_request_over_http2_makes_few_calls(colour: str, server: str, measure: Measure) -> None:
    """
    One small request after the other, each a stream of one connection.
    """
    calls = measure("calls", colour, server, http1=False, http2=True)["python"]

    PYTHON_CALLS_HTTP2[colour].check(f"Python calls per request over HTTP/2, {colour}", calls)


@pytest.mark.parametrize("colour", PYTHON_CALLS_TLS)
def test_a_request_over_tls_makes_few_calls(
    colour: str, secure_server: str, certificate: tuple[Certificate, Path], measure: Measure
) -> None:
    """
    One small request after the other, encrypted.
    """
    calls = measure("calls", colour, secure_server, verify=str(certificate[1]))["python"]

    PYTHON_CALLS_TLS[colour].check(f"Python calls per request over TLS, {colour}", calls)


@pytest.mark.parametrize("colour", LAYER_CALLS)
def test_a_layer_that_does_nothing_makes_few_calls(
    colour: str, server: str, measure: Measure
) -> None:
    """
    Each further layer costs its own call, and being resumed where the layers below wait.
    """
    calls = measure("layers", colour, server)["python"]

    LAYER_CALLS[colour].check(f"Python calls per request and layer, {colour}", calls)


@pytest.mark.parametrize("colour", COLOURS)
def test_idle_layers_of_the_stack_for_services_make_few_calls(
    colour: str, server: str, measure: Measure
) -> None:
    """
    Each alone: it works on every request, and has nothing special to do.
    """
    measured = measure("idle_layers", colour, server)

    assert set(IDLE_LAYER_CALLS) == set(measured)
    for name, calls in measured.items():
        IDLE_LAYER_CALLS[name][colour].check(f"Python calls of an idle {name}, {colour}", calls)


@pytest.mark.parametrize("colour", PYTHON_CALLS_OF_MANY)
def test_many_requests_at_once_cost_each_about_what_few_do(
    colour: str, server: str, measure: Measure
) -> None:
    """
    1,000 requests at once over 100 connections: waiting for one costs something, how many wait costs nothing.
    """
    calls = measure("growth", colour, server)

    details = f"({calls['many'] / calls['few']:.2f} times the {calls['few']:g} with 10 at once.)"
    what = f"Python calls per request with 1,000 at once, {colour}"
    PYTHON_CALLS_OF_MANY[colour].check(what, calls["many"], details)


@pytest.mark.parametrize("colour", CONSTRUCTION_CALLS)
def test_a_client_is_made_and_closed_with_few_calls(
    colour: str, server: str, measure: Measure
) -> None:
    """
    Programs make clients for one request, and should not pay for it.
    """
    calls = measure("construction", colour, server)["python"]

    CONSTRUCTION_CALLS[colour].check(f"Python calls for a client, {colour}", calls)


def test_get_without_a_client_makes_few_calls(server: str, measure: Measure) -> None:
    """
    A client, a connection, a request, and all of it closed.
    """
    calls = measure("one_shot", "sync", server)["python"]

    ONE_SHOT_CALLS.check("Python calls for get()", calls)


def test_threads_on_one_client_cost_each_what_one_does(server: str, measure: Measure) -> None:
    """
    What they share makes no further calls where many use it.
    """
    calls = measure("threads", "sync", server)

    details = f"({calls['few']:g} Python calls per request in one thread, {calls['many']:g} in each of 16.)"
    THREADS.check("Growth from 1 to 16 threads", calls["many"] / calls["few"], details)
