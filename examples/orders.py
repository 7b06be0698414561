"""The service "orders": it takes orders, and calls "inventory" for each.

Run it: `python examples/orders.py http://127.0.0.1:PORT` with inventory's URL prints the port it listens on.

`place_order` is the part worth unit tests; `test_orders.py` beside this file shows them.
"""

from __future__ import annotations

import json
import sys
import time
import uuid

from service import Answer, Service
from timeline import Timeline, watched

import scallion


class OutOfStock(Exception):
    """There is less in stock than was ordered."""


def make_client(inventory: str, transport: scallion.BaseTransport | None = None) -> scallion.Client:
    """The client by which orders calls inventory: deadline, retries and login for every call."""
    return scallion.Client(
        base_url=inventory,
        transport=transport,
        pipeline=watched(
            scallion.service_stack(total=5.0, auth=scallion.DigestAuth("orders", "correct horse"))
        ),
    )


def place_order(client: scallion.Client, item: str, quantity: int) -> dict[str, object]:
    """Reserve `quantity` of `item`, once, however often it must be tried.

    Raises:
        OutOfStock: there is not enough.
        scallion.HTTPError: inventory did not answer, or with an error.
    """
    left = client.get(f"flaky/{item}").raise_for_status().json()["left"]
    if left < quantity:
        raise OutOfStock(f"{quantity} of {item} ordered, {left} left")
    reserved = client.post(
        "reservations",
        json={"item": item, "quantity": quantity},
        headers={"Idempotency-Key": str(uuid.uuid4())},
    )
    return {
        "order": reserved.raise_for_status().json()["reservation"],
        "item": item,
        "quantity": quantity,
    }


class Orders(Service):
    def __init__(self, inventory: str) -> None:
        super().__init__()
        self.client = make_client(inventory)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:  # noqa: ARG002
        if (method, path) != ("POST", "/orders"):
            return Answer(404, {"error": f"no {path} here"})
        wanted = json.loads(body)
        try:
            with Timeline.recording() as timeline:
                order = place_order(self.client, wanted["item"], wanted["quantity"])
        except OutOfStock as error:
            return Answer(409, {"error": str(error)})
        except scallion.HTTPError as error:
            return Answer(502, {"error": f"inventory: {error}"})
        return Answer(201, {**order, "timeline": timeline.lines()})


if __name__ == "__main__":
    orders = Orders(sys.argv[1])
    print(orders.start(), flush=True)
    while True:
        time.sleep(60)
