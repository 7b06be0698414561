"""What the ledger server does with a request, whatever protocol it came by."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from .ledger import Ledger, Line

__all__ = ["Answer", "Behaviour", "Deal", "House", "Link"]

CONTROL = "/control"


@dataclass(frozen=True)
class Behaviour:
    """How the server behaves until it is told otherwise.

    Attributes:
        rate: The share of the requests that it concerns.
        slow: Seconds before a request is carried out.
        status: Of the answer that is given in the place of carrying it out.
        retry_after: Said with it, in seconds.
        cut: Where the connection is reset, or in half of the cases closed: "head" (the head is here), "body" (a part of
            the body is), "applied" (before the answer), "answer" (in its midst). "refuse" is HTTP/2's: the stream is
            refused unprocessed.
        die: Whether the process kills itself there instead.
        keep_alive: Seconds after which an idle connection of HTTP/1.1 is closed, without a word.
    """

    rate: float = 1.0
    slow: float = 0.0
    status: int | None = None
    retry_after: str | None = None
    cut: str | None = None
    die: bool = False
    keep_alive: float | None = None


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Link(Protocol):
    """A connection, of either protocol."""

    def leave(self) -> None:
        """End when what was begun is answered."""


class House:
    """What all connections share.

    Attributes:
        links: The connections.
        draining: Whether it is to end.
        busy: How many requests are being carried out.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.behaviour = Behaviour()
        self.links: set[Link] = set()
        self.draining = False
        self.busy = 0
        self.keys = folder / "keys"
        self.keys.mkdir(exist_ok=True)
        self.ledger = Ledger(folder / f"{name}.ledger", name)
        self._answers = 0

    def next_answer(self) -> str:
        self._answers += 1
        return f"{self.name}.{os.getpid()}.{self._answers}"

    def control(self, body: bytes) -> Answer:
        """Behave as `body` says, if it says something; how busy it is."""
        if body:
            self.behaviour = Behaviour(**json.loads(body))
        told = json.dumps(self.busy).encode()
        return Answer(200, [("content-length", str(len(told)))], told)


class Deal:
    """One request, from its head to its answer.

    Attributes:
        cut: As `Behaviour` has it; None if this request is spared.
        gently: Whether it is cut by closing, and not by a reset.
        is_control: Whether it is no request of a client's.

    Args:
        refusable: Whether the protocol can say that a request was not processed.
    """

    def __init__(
        self,
        house: House,
        method: str,
        target: str,
        headers: Mapping[str, str],
        *,
        refusable: bool = False,
    ) -> None:
        self._house = house
        self._behaviour = behaviour = house.behaviour
        self._method = method
        self._target = target
        self._call = headers.get("x-call-id", "")
        self._attempt = int(headers.get("x-request-attempt", "1"))
        self._key = headers.get("idempotency-key")
        self.is_control = target == CONTROL
        self._struck = random.random() < behaviour.rate and not self.is_control
        self.cut = behaviour.cut if self._struck else None
        self.gently = random.random() < 0.5
        if self.cut == "refuse" and not refusable:
            self.cut = None
        if not self.is_control:
            self.note("refused" if self.cut == "refuse" else "head")

    def note(self, event: str, answer: str | None = None, status: int | None = None) -> None:
        self._house.ledger.note(
            Line(event, self._call, self._method, self._attempt, self._key, answer, status)
        )

    async def carry_out(self, body: bytes) -> tuple[str, Answer] | None:
        """The answer and its name; None if the connection is to be cut before it."""
        if self.is_control:
            return "", self._house.control(body)
        self.note("arrived")
        self._house.busy += 1
        try:
            return await self._carry_out(body)
        finally:
            self._house.busy -= 1

    async def _carry_out(self, body: bytes) -> tuple[str, Answer] | None:
        behaviour = self._behaviour
        if self._struck and behaviour.slow:
            await asyncio.sleep(behaviour.slow)
        name = self._house.next_answer()
        if self._struck and behaviour.status is not None:
            more = [] if behaviour.retry_after is None else [("retry-after", behaviour.retry_after)]
            return name, self._answer(name, behaviour.status, {"call": self._call}, more)
        call = self._apply()
        if self.cut == "applied":
            return None
        told: dict[str, Any] = {"call": call, "size": len(body)}
        told["digest"] = hashlib.sha256(body).hexdigest()
        padding = parse_qs(urlsplit(self._target).query).get("padding")
        if padding:
            told["padding"] = "x" * int(padding[0])
        return name, self._answer(name, 200, told, [])

    def _answer(
        self, name: str, status: int, told: dict[str, Any], more: list[tuple[str, str]]
    ) -> Answer:
        told |= {"answer": name, "attempt": self._attempt}
        body = json.dumps(told).encode()
        self.note("answering", name, status)
        fields = [("content-type", "application/json"), ("content-length", str(len(body)))]
        return Answer(status, [*fields, *more], body)

    def _apply(self) -> str:
        """Do what is asked for, once for each key; the name of the call that it was done for."""
        if self._method == "GET":
            return self._call
        if self._key is not None:
            # Made whole or not at all, by whichever server is first; and no kill leaves a lock behind.
            known = self._house.keys / self._key
            try:
                known.symlink_to(self._call)
            except FileExistsError:
                self.note("replayed")
                return str(known.readlink())
        self.note("applied")
        return self._call

    def strike(self, writer: asyncio.StreamWriter) -> None:
        """End the connection, or the process, as somebody's bad day would."""
        if self._behaviour.die:
            os.kill(os.getpid(), signal.SIGKILL)
        _abort(writer, reset=not self.gently)


def _abort(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if reset:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
