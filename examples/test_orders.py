"""Unit tests of the service "orders", without a network: `MockTransport` stands in for inventory.

Run them: `pytest examples/test_orders.py`.
"""

from __future__ import annotations

import json

import pytest
from orders import OutOfStock, make_client, place_order

import scallion


class Inventory:
    """What the tests' inventory answers, and what it was asked."""

    def __init__(self, left: int = 5, failures: int = 0) -> None:
        self.left = left
        self.failures = failures
        self.asked: list[scallion.Request] = []

    def __call__(self, request: scallion.Request) -> scallion.Response:
        self.asked.append(request)
        if self.failures:
            self.failures -= 1
            return scallion.Response(503, headers={"Retry-After": "0"})
        if request.method == "GET":
            return scallion.Response(200, json={"left": self.left})
        return scallion.Response(201, json={"reservation": 7})


def client_of(inventory: Inventory) -> scallion.Client:
    return make_client("http://inventory", scallion.MockTransport(inventory))


def test_an_order_reserves_what_was_ordered() -> None:
    inventory = Inventory()

    with client_of(inventory) as client:
        order = place_order(client, "apple", 2)

    assert order == {"order": 7, "item": "apple", "quantity": 2}
    reservation = inventory.asked[-1]
    assert reservation.url.path == "/reservations"
    assert json.loads(reservation.content) == {"item": "apple", "quantity": 2}


def test_a_reservation_is_tried_again_under_the_same_key() -> None:
    inventory = Inventory(failures=0)

    with client_of(inventory) as client:
        inventory.failures = 0
        place_order(client, "apple", 2)
        inventory.failures = 1
        place_order(client, "apple", 2)

    assert [request.method for request in inventory.asked] == ["GET", "POST", "GET", "GET", "POST"]
    assert all("Idempotency-Key" in r.headers for r in inventory.asked if r.method == "POST")


def test_what_is_not_there_is_not_reserved() -> None:
    inventory = Inventory(left=1)

    with (
        client_of(inventory) as client,
        pytest.raises(OutOfStock, match="2 of apple ordered, 1 left"),
    ):
        place_order(client, "apple", 2)

    assert [request.method for request in inventory.asked] == ["GET"]


def test_an_inventory_that_is_down_is_an_error_after_three_attempts() -> None:
    inventory = Inventory(failures=100)

    with client_of(inventory) as client, pytest.raises(scallion.HTTPStatusError, match="503"):
        place_order(client, "apple", 2)

    assert len(inventory.asked) == 3
