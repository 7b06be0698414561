"""Endpoints as values: how they are written, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from scallion.middlewares.endpoints.endpoint import Endpoint, endpoint_of, endpoints_of
from scallion.pipeline.errors import InvalidURL
from scallion.pipeline.urls import URL


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("10.0.0.7:8080", Endpoint("10.0.0.7", 8080)),
        ("10.0.0.7", Endpoint("10.0.0.7")),
        ("Orders-1.internal:80", Endpoint("orders-1.internal", 80)),
        (" orders-1:443 ", Endpoint("orders-1", 443)),
        ("[2001:db8::1]:8080", Endpoint("2001:db8::1", 8080)),
        ("2001:db8::1", Endpoint("2001:db8::1")),
        ("https://orders-1", Endpoint("orders-1", 443, "https")),
        ("http://orders-1:8080/", Endpoint("orders-1", 8080, "http")),
        (("10.0.0.7", 8080), Endpoint("10.0.0.7", 8080)),
        (URL("https://orders-1:8443"), Endpoint("orders-1", 8443, "https")),
        (Endpoint("a", weight=3), Endpoint("a", weight=3)),
    ],
)
def test_endpoints_are_written_in_several_ways(given: Any, expected: Endpoint) -> None:
    assert expected == endpoint_of(given)


@pytest.mark.parametrize(
    "given",
    [
        "http://orders/base",
        "http://user:secret@orders",
        "orders?x",
        "",
        "ftp://orders",
        ("orders", 99999),
        "10.0.0.999",
    ],
)
def test_what_is_more_or_less_than_an_endpoint_is_refused(given: Any) -> None:
    """
    The message shows no password.
    """
    with pytest.raises((InvalidURL, ValueError)) as caught:
        endpoint_of(given)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("given", [None, 8080, ("orders", "80"), b"orders"])
def test_other_types_are_refused(given: Any) -> None:
    with pytest.raises(TypeError):
        endpoint_of(given)


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf")])
def test_a_weight_is_positive_and_finite(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        Endpoint("a", weight=weight)


@pytest.mark.parametrize(
    ("priority", "error"),
    [(-1, ValueError), (65_536, ValueError), (1.5, TypeError), (True, TypeError)],
)
def test_a_priority_is_a_whole_number(priority: Any, error: type[Exception]) -> None:
    """
    As in SRV records.
    """
    with pytest.raises(error, match="priority"):
        Endpoint("a", priority=priority)


@pytest.mark.parametrize(
    "text", ["10.0.0.7:8080", "https://orders-1:8443", "[2001:db8::1]:80", "orders-1"]
)
def test_text_reads_back(text: str) -> None:
    assert text == str(endpoint_of(text))


def test_an_endpoint_counts_once() -> None:
    """
    The last one of the same server gives the weight.
    """
    assert (Endpoint("a", 1, weight=2),) == endpoints_of(["a:1", Endpoint("a", 1, weight=2)])
    assert (Endpoint("a", 1),) == endpoints_of("a:1")


def test_a_list_is_what_several_are_given_in() -> None:
    with pytest.raises(TypeError, match="collection"):
        endpoints_of(17)
    with pytest.raises(TypeError, match="host:port"):
        endpoints_of([17])


def test_an_endpoint_has_a_host() -> None:
    with pytest.raises((InvalidURL, ValueError)):
        Endpoint("")
