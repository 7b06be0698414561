"""The conversation that the suite expects: a small application, as a pure function from a request to a plan.

Every form of the reference (the loopback server, the ASGI and WSGI applications, the handler) carries out the same
plans, so a rule is written once for all transports. The paths:

- `/told` tells as JSON what arrived; `/echo` sends the body back;
- `/status/N` answers with that status; `/size/N` and `/chunks/N` with N bytes, of announced length or not;
- `/steps` waits between two pieces until the gate is opened, `/late` before the head;
- `/never` answers never, `/stall` stops half way;
- `/deaf` reads no body, `/early` answers before; `/drop/...` and `/garbage` break off, or break the rules;
- `/fields`, `/cookies`, `/coded`, `/reason`, `/interim` and `/trailers` have what their names say.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias
from urllib.parse import parse_qs

__all__ = [
    "CODED",
    "FIELDS",
    "Fault",
    "Fields",
    "Plan",
    "Step",
    "Wait",
    "gate_of",
    "pattern",
    "plan",
]

Fields: TypeAlias = tuple[tuple[bytes, bytes], ...]

PIECE = 64 * 1024
TEXT = ((b"Content-Type", b"text/plain"),)

CODED = gzip.compress(b"what a decoder makes of it", mtime=0)

FIELDS: Fields = (
    (b"X-First", b"1"),
    (b"X-Many", b"one"),
    (b"x-lower", b"2"),
    (b"X-Many", b"two, three"),
    (b"X-Empty", b""),
    (b"X-Latin", b"caf\xe9"),
    (b"X-LAST", b'"; a = b'),
)
"""What `/fields` answers with: repeated, empty, beyond ASCII, in several cases."""

COOKIES: Fields = (
    (b"Set-Cookie", b"one=1; Path=/; Expires=Wed, 21 Oct 2065 07:28:00 GMT"),
    (b"Set-Cookie", b"two=2; HttpOnly"),
)
TRAILERS: Fields = ((b"X-Checksum", b"abc"), (b"X-Rows", b"7"))
INTERIM: Fields = ((b"Link", b"</style.css>; rel=preload"),)


class Wait(Enum):
    """A step of a plan that is no bytes."""

    GATE = "until the gate is opened"
    FOR_EVER = "until the client has gone, or the gate is opened"
    DEAF = "until the gate is opened, without listening"


class Fault(Enum):
    """What goes wrong, after the steps or in their place."""

    NO_HEAD = "the connection ends before the head"
    HALF_A_HEAD = "it ends within the head"
    GARBAGE = "what comes is not HTTP"
    HALF_A_BODY = "it ends within the body"


Step: TypeAlias = bytes | Wait


@dataclass(frozen=True)
class Plan:
    """How to answer.

    Attributes:
        length: Of the body, where it is announced.
        steps: The body's pieces, and what happens between them.
        before: What happens before the head is sent.
    """

    status: int = 200
    reason: bytes = b""
    headers: Fields = ()
    length: int | None = None
    steps: tuple[Step, ...] = ()
    trailers: Fields = ()
    interim: Fields | None = None
    before: Wait | None = None
    fault: Fault | None = None

    @property
    def bodiless(self) -> bool:
        """Whether the status excludes a body (RFC 9110 section 6.4.1)."""
        return self.status in (204, 304)


def pattern(size: int, seed: int = 0) -> bytes:
    """So many bytes that are the same each time, and in which a lost or exchanged piece shows."""
    block = b"".join(
        hashlib.sha256(b"%d/%d" % (seed, number)).digest()
        for number in range(min(size // 32 + 1, 500))
    )
    return (block * (size // len(block) + 1))[:size]


def gate_of(target: bytes) -> str | None:
    """The gate that a request names in its query."""
    query = target.partition(b"?")[2].decode("latin-1")
    return parse_qs(query).get("gate", [None])[0]


def is_deaf(target: bytes) -> bool:
    """Whether the body of this request is left unread."""
    return _path(target) == "/deaf"


def is_early(target: bytes) -> bool:
    """Whether this request is answered before its body is read."""
    return _path(target) == "/early"


def plan(method: str, target: bytes, headers: Fields, body: bytes) -> Plan:
    """What to answer to a request whose target is a path and a query."""
    match _path(target).split("/")[1:]:
        case ["told", *_]:
            return _whole(
                _told(method, target, headers, body), ((b"Content-Type", b"application/json"),)
            )
        case ["echo"]:
            return Plan(headers=TEXT, length=len(body), steps=tuple(pieces(body)))
        case ["status", number]:
            return _status(int(number))
        case ["size", number]:
            return _whole(pattern(int(number)))
        case ["chunks", number]:
            return Plan(headers=TEXT, steps=tuple(pieces(pattern(int(number)))))
        case ["steps"]:
            return Plan(headers=TEXT, steps=(b"one", Wait.GATE, b"two"))
        case ["late"]:
            return Plan(headers=TEXT, length=4, steps=(b"late",), before=Wait.GATE)
        case ["never"]:
            return Plan(before=Wait.FOR_EVER)
        case ["stall"]:
            return Plan(headers=TEXT, steps=(b"one", Wait.FOR_EVER))
        case ["deaf"]:
            return Plan(headers=((b"Connection", b"close"),), length=0, before=Wait.DEAF)
        case ["early"]:
            return Plan(413, headers=((b"Connection", b"close"),), length=8, steps=(b"too much",))
        case ["drop", where]:
            return _dropped(where)
        case ["garbage"]:
            return Plan(fault=Fault.GARBAGE)
        case [special]:
            return _special(special)
    return Plan(404, length=0)


def _special(name: str) -> Plan:
    match name:
        case "fields":
            return _whole(b"fields", FIELDS)
        case "cookies":
            return _whole(b"cookies", COOKIES)
        case "coded":
            return _whole(CODED, ((b"Content-Encoding", b"gzip"),))
        case "reason":
            return Plan(reason=b"Quite All Right", length=0)
        case "interim":
            return Plan(interim=INTERIM, length=2, steps=(b"ok",))
        case "trailers":
            return Plan(
                headers=((b"Trailer", b"X-Checksum, X-Rows"),), steps=(b"rows",), trailers=TRAILERS
            )
    return Plan(404, length=0)


def _dropped(where: str) -> Plan:
    match where:
        case "head":
            return Plan(fault=Fault.HALF_A_HEAD)
        case "body":
            return Plan(length=10, steps=(b"four",), fault=Fault.HALF_A_BODY)
        case "chunks":
            return Plan(steps=(b"four",), fault=Fault.HALF_A_BODY)
    return Plan(fault=Fault.NO_HEAD)


def _status(status: int) -> Plan:
    if status in (204, 304):
        return Plan(status, headers=((b"ETag", b'"1"'),))
    return Plan(status, headers=TEXT, length=6, steps=(b"status",))


def _whole(body: bytes, headers: Fields = TEXT) -> Plan:
    return Plan(headers=headers, length=len(body), steps=tuple(pieces(body)))


def pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), PIECE):
        yield body[start : start + PIECE]


def _told(method: str, target: bytes, headers: Fields, body: bytes) -> bytes:
    told = {
        "method": method,
        "target": target.decode("latin-1"),
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers],
        "size": len(body),
        "digest": hashlib.sha256(body).hexdigest(),
    }
    return json.dumps(told).encode()


def _path(target: bytes) -> str:
    return target.partition(b"?")[0].decode("latin-1")
