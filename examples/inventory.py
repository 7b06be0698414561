"""The service "inventory": it knows what is in stock. Its faults are scripted, so that a caller can be watched.

Run it: `python examples/inventory.py` prints the port it listens on.

- `GET /stock/{item}` answers at once.
- `GET /flaky/{item}` answers 503 twice, then 200, and so on; the 503 asks to wait by `Retry-After`.
- `GET /v1/stock/{item}` moved to `/stock/{item}`.
- `GET /levels` and `POST /reservations` want a login (RFC 7616, Digest).
- `GET /slow` takes longer than anybody wants to wait.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import secrets
import threading
import time

from service import Answer, Service

STOCK = {"apple": 12, "pear": 3}
USER, PASSWORD = "orders", "correct horse"
REALM = "inventory"


class Inventory(Service):
    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()
        self._flaky = itertools.cycle([False, False, True])
        self._nonces: set[str] = set()
        self._reservations: dict[str, dict[str, object]] = {}

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        place, _, item = path.strip("/").rpartition("/")
        match method, place:
            case "GET", "stock":
                return self.stock(item)
            case "GET", "flaky":
                if next(self._flaky):
                    return self.stock(item)
                return Answer(503, {"error": "busy, ask again"}, {"Retry-After": "0"})
            case "GET", "v1/stock":
                return Answer(308, {"moved": True}, {"Location": f"/stock/{item}"})
        match method, path:
            case "GET", "/slow":
                self.released.wait(10)
                return Answer(200, {"slow": True})
            case "GET", "/levels":
                return self.challenge(method, headers) or Answer(200, STOCK)
            case "POST", "/reservations":
                return self.challenge(method, headers) or self.reserve(headers, json.loads(body))
        return Answer(404, {"error": f"no {path} here"})

    def stock(self, item: str) -> Answer:
        if item not in STOCK:
            return Answer(404, {"error": f"no {item} in stock"})
        return Answer(200, {"item": item, "left": STOCK[item]})

    def reserve(self, headers: dict[str, str], wanted: dict[str, object]) -> Answer:
        """One reservation per Idempotency-Key, however often it is asked for."""
        key = headers.get("idempotency-key", secrets.token_hex(8))
        made = self._reservations.setdefault(
            key, {"reservation": len(self._reservations) + 1, **wanted}
        )
        return Answer(201, made)

    def challenge(self, method: str, headers: dict[str, str]) -> Answer | None:
        """None for who is logged in; else the 401 that says how."""
        given = dict(re.findall(r'(\w+)="?([^",]*)"?', headers.get("authorization", "")))
        if given.get("nonce") in self._nonces and given.get("response") == _digest(method, given):
            return None
        nonce = secrets.token_hex(16)
        self._nonces.add(nonce)
        offer = f'Digest realm="{REALM}", nonce="{nonce}", algorithm=SHA-256, qop="auth"'
        return Answer(401, {"error": "log in"}, {"WWW-Authenticate": offer})


def _digest(method: str, given: dict[str, str]) -> str:
    """RFC 7616 section 3.4.1."""

    def digest(*parts: str) -> str:
        return hashlib.sha256(":".join(parts).encode()).hexdigest()

    return digest(
        digest(USER, REALM, PASSWORD),
        given["nonce"],
        given["nc"],
        given["cnonce"],
        given["qop"],
        digest(method, given["uri"]),
    )


if __name__ == "__main__":
    inventory = Inventory()
    print(inventory.start(), flush=True)
    while True:
        time.sleep(60)
