"""What a fuzzer of the HTTP/1.1 codecs compares: a conversation, and all that a codec says of it.

Rules:

- A codec is used as a connection uses it: a head, or all of a request; after a piece of the body perhaps an answer; then
  one arrival at a time, and after each the head, or what there is of the body.
- A conversation ends with the first exchange that leaves its connection unfit for another.
- Pieces of a body may be cut differently; the bytes are the same. The words for a request's body that does not fit its head may
  differ; that it does not fit is the same.
- After an answer that came before its request's end, the lane may give up a connection that h11 would keep.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from scallion.pipeline.errors import LocalProtocolError, RemoteProtocolError
from scallion.transports.codec import H11Codec
from scallion.transports.fast_lane import FastLane
from scallion.transports.keep_alive import idle_limit
from scallion.transports.messages import END, Head

__all__ = ["Answer", "Case", "Difference", "Exchange", "Outcome", "compare", "converse"]

Codec: TypeAlias = FastLane | H11Codec
# Names to look up: of fields that are there, that are not, and that look like a part of others.
_PROBES = (b"content-length", b"set-cookie", b"keep-alive", b"x-a", b"ontent-type", b"x-bare", b"a")
_MISFIT = "The request's body does not fit its head"


class Exchange(NamedTuple):
    """A request, and what its connection gives.

    Attributes:
        body: All of it, for one write; or its pieces, sent one by one.
        answers: After how many of these pieces (counted from 1) something has arrived. With 0 among them the head is
            asked for once before anything has.
        arrivals: What the network gives, in this order; END, if at all, comes last.
        at_once: Whether the body is asked for as a whole first.
        past: Whether what is known to be missing of a body is received past the codec, and a request's body is given
            as views, where the lane says that it may be.
    """

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes | tuple[bytes, ...]
    answers: frozenset[int]
    arrivals: tuple[bytes, ...]
    at_once: bool = True
    past: bool = False


Case: TypeAlias = tuple[Exchange, ...]


class Answer(NamedTuple):
    """A response's head, and what it says when it is asked for single fields, first for their presence."""

    status: int
    reason: bytes
    version: bytes
    present: tuple[bool, ...]
    values: tuple[bytes | None, ...]
    fields: tuple[tuple[bytes, bytes], ...]


class Outcome(NamedTuple):
    """What came of one exchange.

    Attributes:
        end: "refused" by this side, "waiting" for more, "broken" by the server, "switched" to another protocol, or "whole".
        sent: The request's bytes.
        early: Whether the head came before the request's end.
        left: What was known to be missing when the body first had to wait; 0 if it never had to.
        fed: How many arrivals were asked for.
        said: The error's message.
    """

    end: str
    sent: bytes
    head: Answer | None
    early: bool = False
    body: bytes = b""
    left: int = 0
    trailers: Any = None
    leftover: bytes = b""
    received: bool = False
    reusable: bool = False
    fed: int = 0
    said: str = ""


class Difference(NamedTuple):
    """The first exchange of a conversation of which two codecs say different things."""

    number: int
    h11: Outcome
    lane: Outcome


def compare(case: Case) -> Difference | None:
    """What the lane, with its replay into h11, says otherwise than h11 alone; None if they agree."""
    expected = converse(H11Codec(), case)
    actual = converse(FastLane(), case)
    for number, (h11, lane) in enumerate(zip(expected, actual, strict=False)):
        if h11 != lane and not (
            h11.early and h11.reusable and h11._replace(reusable=False) == lane
        ):
            return Difference(number, h11, lane)
    return None


def converse(codec: Codec, case: Case) -> list[Outcome]:
    """All outcomes, up to the last exchange or the first after which the connection is not reusable."""
    outcomes: list[Outcome] = []
    for exchange in case:
        outcome = _exchange(codec, exchange)
        if isinstance(codec, FastLane) and outcome.head is not None:
            _check_keep_alive(codec, outcome.head, outcomes)
        outcomes.append(outcome)
        if not outcome.reusable:
            break
    return outcomes


def _check_keep_alive(lane: FastLane, head: Answer, before: Sequence[Outcome]) -> None:
    """The server's word on the connection's life is that of the last head that has one, however it is spelt."""
    earlier = [outcome.head for outcome in reversed(before) if outcome.head is not None]
    for each in (head, *earlier):
        said = [value for name, value in each.fields if name.lower() == b"keep-alive"]
        if any(said):
            # Of several in one head any will do.
            wanted = {idle_limit(value) for value in (*said, b", ".join(said))}
            assert lane.keep_alive is not None
            assert idle_limit(lane.keep_alive) in wanted, (lane.keep_alive, said)
            return
    assert not lane.keep_alive, lane.keep_alive


def _answer(head: Head) -> Answer:
    fields = head.fields
    present = tuple(map(fields.has, _PROBES))
    values = tuple(map(fields.get_raw, _PROBES))
    return Answer(head.status, head.reason, head.version, present, values, tuple(fields.raw))


def _exchange(codec: Codec, exchange: Exchange) -> Outcome:
    arrivals = iter(exchange.arrivals)
    sent: list[bytes] = []
    try:
        head = _send(codec, exchange, sent, arrivals)
    except LocalProtocolError as error:
        said = str(error)
        return Outcome("refused", b"".join(sent), None, said=_MISFIT if _MISFIT in said else said)
    except RemoteProtocolError as error:
        return Outcome("broken", b"".join(sent), None, early=True, said=str(error))
    return _receive(codec, exchange, b"".join(sent), head, arrivals)


def _send(
    codec: Codec, exchange: Exchange, sent: list[bytes], arrivals: Iterator[bytes]
) -> Head | None:
    """Send the request; the response's head, if it came before the request's end."""
    method, target, headers, body, answers = exchange[:5]
    if isinstance(body, bytes):
        sent.append(codec.start(method, target, list(headers), body))
        return None
    sent.append(codec.start(method, target, list(headers), None))
    in_views = exchange.past and isinstance(codec, FastLane) and codec.plain
    for number, piece in enumerate(body, 1):
        given: Any = memoryview(piece) if in_views else piece
        sent.append(bytes(codec.data(given)))
        arrival = next(arrivals, None) if number in answers else None
        if arrival is not None:
            codec.feed(arrival)
            head = codec.head()
            if head is not None:
                _settle(codec, exchange, sum(map(len, body[:number])))
                return head
    sent.append(codec.finish())
    return None


def _settle(codec: Codec, exchange: Exchange, sent: int) -> None:
    if isinstance(codec, FastLane):
        codec.settle()
        return
    announced: int | None = 0
    for name, value in exchange.headers:
        if name.lower() == b"content-length" and announced is not None:
            announced = int(value.partition(b",")[0])
        elif name.lower() == b"transfer-encoding":
            announced = None
    if announced == sent:
        codec.finish()


def _receive(
    codec: Codec, exchange: Exchange, sent: bytes, head: Head | None, arrivals: Iterator[bytes]
) -> Outcome:
    early = head is not None
    pieces: list[bytes] = []
    left = 0

    def came(end: str, said: str = "") -> Outcome:
        # What has not been asked for belongs to nobody: the lane has read no more than h11.
        fed = len(exchange.arrivals) - sum(1 for _ in arrivals)
        whole, switched = end == "whole", end == "switched"
        return Outcome(
            end,
            sent,
            None if head is None else _answer(head),
            early=early,
            body=b"".join(pieces),
            left=0 if early else left,
            trailers=codec.trailers if whole else None,
            leftover=bytes(codec.leftover()) if switched else b"",
            received=codec.received,
            reusable=(whole or switched) and codec.reusable(),
            fed=fed,
            said=said,
        )

    try:
        if head is None and 0 in exchange.answers:
            head = codec.head()
        while head is None:
            arrival = next(arrivals, None)
            if arrival is None:
                return came("waiting")
            codec.feed(arrival)
            head = codec.head()
        if head.status == 101 or (exchange.method == b"CONNECT" and 200 <= head.status < 300):
            return came("switched")
        if exchange.at_once and isinstance(codec, FastLane) and codec.content is not None:
            # A connection does not ask any further then.
            pieces.append(codec.content)
            return came("whole")
        while (piece := codec.body()) != END:
            if piece is not None:
                pieces.append(piece)
                continue
            missing = codec.left
            left = left or missing
            arrival = next(arrivals, None)
            if arrival is None:
                return came("waiting")
            if arrival and missing > 0 and exchange.past and not early:
                pieces.append(arrival[:missing])
                codec.took(len(pieces[-1]))
            else:
                codec.feed(arrival)
    except RemoteProtocolError as error:
        return came("broken", str(error))
    return came("whole")
