"""The client's side of the ledger: the calls, what each asks for, and what its layers said of it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from scallion import BulkheadFull, CircuitOpen, Request, Response, TotalTimeout
from scallion.middlewares.idempotency_keys import IdempotencyKeys
from scallion.middlewares.retry_state import Attempt
from scallion.pipeline.onion import Next

__all__ = ["KINDS", "Call", "Kind", "Watch", "reason_of"]

PIECES = 4
BEGUN = "the answer had begun"


@dataclass(frozen=True)
class Kind:
    """A kind of call.

    Attributes:
        body: "none", "bytes", "form" (a file in a multipart form), or "pieces" (a generator: it cannot be sent twice).
        keyed: Whether it has an idempotency key.
        padding: Bytes by which the answer is longer.
        leaves: Whether the caller closes the answer in its midst.
        patience: Seconds after which the caller cancels it, in colours that can; None for never.
    """

    method: str
    body: str = "none"
    keyed: bool = False
    padding: int = 0
    leaves: bool = False
    patience: float | None = None

    @property
    def once(self) -> bool:
        """Whether it must not be sent twice."""
        return self.body == "pieces" or (self.method == "POST" and not self.keyed)

    @property
    def promised(self) -> bool:
        """Whether the policy promises to repeat it."""
        return not self.once and self.patience is None


KINDS: dict[str, Kind] = {
    "get": Kind("GET"),
    "long get": Kind("GET", padding=150_000),
    "left get": Kind("GET", padding=150_000, leaves=True),
    "cancelled get": Kind("GET", patience=0.004),
    "put": Kind("PUT", "bytes"),
    "post": Kind("POST", "bytes"),
    "keyed post": Kind("POST", "bytes", keyed=True),
    "keyed form": Kind("POST", "form", keyed=True),
    "upload": Kind("POST", "pieces"),
    "keyed upload": Kind("POST", "pieces", keyed=True),
    "put upload": Kind("PUT", "pieces"),
}


@dataclass(slots=True)
class Call:
    """One call, and all that its caller knows of it. Times are in seconds on the machine's monotonic clock.

    Attributes:
        id: Sent with each attempt, and echoed.
        load: Who made it.
        kind: A name in `KINDS`.
        ended: When the caller had the answer or the error; None if he still waits.
        status: The answer's, or None if none had begun.
        outcome: "answered", "left", "cancelled", or the name of the error's class.
        told: What the answer's body says.
        attempts: The history, as the caller is given it; empty if there was one attempt.
        hedges: As the caller is told.
        events: What the layers told the call's observer.
    """

    id: str
    load: str
    kind: str
    began: float = 0.0
    ended: float | None = None
    status: int | None = None
    outcome: str = ""
    told: dict[str, Any] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    hedges: int = 0
    error: str = ""
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        return self.outcome in ("answered", "left") and self.status == 200

    def arguments(self, *, blocking: bool) -> dict[str, Any]:
        """What `client.stream` is given."""
        kind = KINDS[self.kind]
        given: dict[str, Any] = {"method": kind.method, "url": f"/things/{self.id}"}
        given["headers"] = {"X-Call-Id": self.id}
        if kind.padding:
            given["params"] = {"padding": kind.padding}
        if kind.method == "POST":
            given["extensions"] = IdempotencyKeys.option_for(enabled=kind.keyed)
        if kind.body == "bytes":
            given["content"] = self.body
        elif kind.body == "form":
            given["files"] = {"file": (self.id, self.body)}
        elif kind.body == "pieces":
            given["content"] = self._pieces() if blocking else self._async_pieces()
        return given

    @property
    def body(self) -> bytes:
        return (self.id * 100).encode()

    @property
    def digest(self) -> str | None:
        """Of the body, if it is known here."""
        kind = KINDS[self.kind].body
        if kind == "form":
            return None
        return hashlib.sha256(b"" if kind == "none" else self.body).hexdigest()

    def _pieces(self) -> Iterator[bytes]:
        size = -(-len(self.body) // PIECES)
        for at in range(0, len(self.body), size):
            yield self.body[at : at + size]

    async def _async_pieces(self) -> AsyncIterator[bytes]:
        for piece in self._pieces():
            yield piece

    def answered(self, response: Response, content: bytes | None) -> None:
        """Note the answer; `content` is None if it was left in its midst."""
        self.status = response.status_code
        self.outcome = "left" if content is None else "answered"
        self.hedges = response.extensions.get("hedges", 0)
        if content is not None:
            self.told = json.loads(content)
            self.told.pop("padding", None)

    def failed(self, error: Exception) -> None:
        self.outcome = type(error).__name__
        self.error = str(error)
        if self.status is None:
            # Else the response has said it already.
            self.attempts = getattr(error, "attempts", ())

    def count(self, event: str) -> int:
        return sum(name == event for name, _ in self.events)

    @property
    def resent(self) -> int:
        """How often the transport sent it again by itself."""
        return self.count("connection.stale") + self.count("connection.refused")

    @property
    def sent(self) -> int:
        """How often it was sent to an endpoint, at most."""
        return self.count("endpoint.chosen") - self.count("endpoint.refused") + self.resent


class Watch:
    """A layer per call that tells each `Call` what becomes of it."""

    def __init__(self) -> None:
        self._calls: dict[str, Call] = {}

    def begin(self, call: Call) -> None:
        self._calls[call.id] = call
        call.began = time.monotonic()

    def end(self, call: Call) -> None:
        call.ended = time.monotonic()
        del self._calls[call.id]

    async def __call__(self, request: Request, call_next: Next) -> Response:
        call = self._calls[request.headers["X-Call-Id"]]

        def observe(event: str, fields: dict[str, Any]) -> None:
            call.events.append((event, fields))

        request.observers = (*request.observers, observe)
        response = await call_next(request)
        call.status = response.status_code
        call.attempts = response.extensions.get("attempts", ())
        return response


def reason_of(call: Call) -> str | None:
    """Why a call failed, as the policy names it; None if it did not, or for no reason that it names."""
    if call.succeeded or call.outcome == "cancelled":
        return None
    ends = [fields["reason"] for event, fields in call.events if event == "retry.end"]
    # Cases: the call's deadline; the answer's body broke, and nothing is sent again once it has begun; who retries has
    # said why not; refusals of this side.
    if call.outcome == TotalTimeout.__name__:
        return "the deadline passed"
    if call.status is not None and call.outcome != "answered":
        return BEGUN
    if ends:
        return str(ends[-1])
    if call.outcome in (CircuitOpen.__name__, BulkheadFull.__name__):
        return call.outcome
    return None
