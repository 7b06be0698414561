"""Choices: which endpoint an attempt goes to. Each is a setting; what it has to remember stands on the members."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from math import ceil
from typing import Any, NamedTuple, TypeAlias

from scallion.pipeline.request import Request

from ..validation import check_count, check_number  # noqa: TID252  (relative within a room)
from .members import Member

__all__ = [
    "Choice",
    "ChoiceTypes",
    "ConsistentHash",
    "Draw",
    "LeastPending",
    "PowerOfTwo",
    "RoundRobin",
    "choice_of",
]

DECAY = 10.0
"""Seconds in which an old latency loses most of its weight (Finagle's default)."""

Key: TypeAlias = str | bytes | None


class Draw(NamedTuple):
    """What a choice is made from.

    Attributes:
        among: Who may be chosen; at least one.
        weights: Theirs, slow start included; None if all are the same.
        now: The clock.
        random: Gives a number in [0, 1).
        request: What is to be sent.
        key: What the request's option says it belongs to.
        layout: What `Choice.laid_out` made of all members.
        ramp: How far a member's slow start has come.
    """

    among: Sequence[Member]
    weights: Sequence[float] | None
    now: float
    random: Callable[[], float]
    request: Request
    key: Key
    layout: Any
    ramp: Callable[[Member], float]


class Choice:
    """How endpoints are chosen. A choice of your own derives from it, and is called under a lock: it must not wait."""

    @property
    def averaged_over(self) -> float:
        """Seconds in which an old latency, or failure, loses most of its weight."""
        return DECAY

    def laid_out(self, members: Sequence[Member]) -> Any:
        """What is worked out once, when the endpoints have changed."""

    def pick(self, draw: Draw) -> Member:
        """One of `draw.among`."""
        raise NotImplementedError


@dataclass(frozen=True)
class RoundRobin(Choice):
    """Each in its turn, heavier ones more often, and evenly spread (nginx's smooth weighted round robin).

    Every client begins somewhere else, so that many of them do not walk in step.
    """

    def pick(self, draw: Draw) -> Member:
        weights = draw.weights or (1.0,) * len(draw.among)
        best: Member | None = None
        for member, weight in zip(draw.among, weights, strict=True):
            member.turn += weight
            if best is None or member.turn > best.turn:
                best = member
        assert best is not None
        best.turn -= sum(weights)
        return best


@dataclass(frozen=True)
class _Fading(Choice):
    """What it remembers of an endpoint fades over `decay` seconds."""

    decay: float = DECAY

    def __post_init__(self) -> None:
        check_number(f"{type(self).__name__} decay", self.decay, 0, above=True)

    @property
    def averaged_over(self) -> float:
        return self.decay


@dataclass(frozen=True)
class LeastPending(_Fading):
    """The one with the fewest attempts under way, for its weight; among equals, any.

    Who fails has nothing under way for long: each failure doubles what is counted there, and fades over `decay` seconds.

    Attributes:
        decay: In seconds, more than 0.
    """

    def pick(self, draw: Draw) -> Member:
        among, weights, now = draw.among, draw.weights, draw.now
        loads = [
            (member.pending + 1) * member.penalty(now, self.decay)
            if member.blame
            else member.pending + 1
            for member in among
        ]
        if weights is not None:
            loads = [load / weight for load, weight in zip(loads, weights, strict=True)]
        least = min(loads) * 1.0001
        best = [member for member, load in zip(among, loads, strict=True) if load <= least]
        return best[int(draw.random() * len(best))]


@dataclass(frozen=True)
class PowerOfTwo(_Fading):
    """Of two at random the less loaded one; load is the peak-sensitive average of latency, times the pending ones.

    Two choices keep the fullest server at log log n instead of log n / log log n (Mitzenmacher, 2001), without
    the herd that follows a common view of who is least loaded. The measure is Finagle's peak EWMA: a latency above
    the average replaces it at once, one below draws it down over `decay` seconds. A failure counts as at least the
    latency that is usual at the others, and doubles the load for a while, so that who fails at once does not draw all
    requests; an attempt that was cancelled shows at least how long it had waited. All of it fades with time alone: an
    endpoint that nobody asks is tried again after `decay` times the logarithm of how much dearer it was.

    Attributes:
        decay: In seconds, more than 0.
    """

    def pick(self, draw: Draw) -> Member:
        among, weights, now, random, _, _, _, _ = draw
        size = len(among)
        if size == 1:
            return among[0]
        decay = self.decay
        if weights is not None:
            first, second = _two(weights, random)
            one, other = among[first], among[second]
            load = one.load(now, decay) / weights[first]
            return other if other.load(now, decay) / weights[second] < load else one
        # Two different ones, each as likely as any.
        first, second = int(random() * size), int(random() * (size - 1))
        one, other = among[first], among[second + (second >= first)]
        return other if other.load(now, decay) < one.load(now, decay) else one


@dataclass(frozen=True)
class ConsistentHash(Choice):
    """The same key goes to the same endpoint; when endpoints come or go, only their share of the keys moves.

    A ring (Karger et al., 1997) rather than Maglev's table: who may not be used is passed over by walking on, which
    gives each key an order of preference, the same in every process; and a change moves no other keys at all.
    With `bound` no endpoint has more than so many times its fair share of what is under way (Mirrokni, Thorup and
    Zadimoghaddam, 2016); what is too much walks on. In its slow start an endpoint gets its keys one after the other.

    Attributes:
        by: What a request belongs to: a header's name, or a function of the request; None for the option
            `Endpoints.option_for(key=...)` alone, which always wins. Requests without a key go anywhere.
        bound: At least 1, 1.25 say; None for no bound.
        points: On the ring for each endpoint of average weight. 160 (ketama's) leave shares some 8 % uneven.
    """

    by: str | Callable[[Request], Key] | None = None
    bound: float | None = None
    points: int = 160

    def __post_init__(self) -> None:
        if self.by is not None and not isinstance(self.by, str) and not callable(self.by):
            raise TypeError(
                f"ConsistentHash by must be a header's name or a function of a request: {self.by!r}"
            )
        if self.bound is not None:
            check_number("ConsistentHash bound", self.bound, 1)
        check_count("ConsistentHash points", self.points, 1)

    def laid_out(self, members: Sequence[Member]) -> tuple[list[int], list[Member]]:
        mean = sum(member.endpoint.weight for member in members) / len(members)
        ring = sorted(
            (point, index)
            for index, member in enumerate(members)
            for point in _points(
                str(member.endpoint), max(1, round(self.points * member.endpoint.weight / mean))
            )
        )
        return [point for point, _ in ring], [members[index] for _, index in ring]

    def pick(self, draw: Draw) -> Member:
        key = self._key(draw)
        if key is None:
            return _weighted(draw)
        digest = _hash(key)
        points, owners = draw.layout
        start = bisect(points, digest)
        room = self._room(draw)
        usable = set(draw.among)
        # Cases, in the order of preference: the key's own; one with room; one that is warm; whoever is left.
        fallback: Member | None = None
        seen: set[Member] = set()
        for step in range(len(owners)):
            member: Member = owners[(start + step) % len(owners)]
            if member in seen or member not in usable:
                continue
            seen.add(member)
            fallback = fallback or member
            if room is not None and member.pending >= room[member]:
                continue
            if member.warm_from is None or _share(key, member) < draw.ramp(member):
                return member
            if len(seen) == len(usable):
                break
        return fallback or draw.among[0]

    def _key(self, draw: Draw) -> bytes | None:
        key = draw.key
        if key is None and self.by is not None:
            by = self.by
            key = draw.request.headers.get(by) if isinstance(by, str) else by(draw.request)
        return key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key

    def _room(self, draw: Draw) -> dict[Member, int] | None:
        if self.bound is None:
            return None
        weights = draw.weights or _ones(draw.among)
        each = self.bound * (sum(member.pending for member in draw.among) + 1) / sum(weights)
        return {
            member: ceil(each * weight) for member, weight in zip(draw.among, weights, strict=True)
        }


ChoiceTypes: TypeAlias = Choice | str
"""A choice, or the name of one: "power_of_two", "least_pending", "round_robin"."""

_NAMED: dict[str, type[Choice]] = {
    "least_pending": LeastPending,
    "power_of_two": PowerOfTwo,
    "round_robin": RoundRobin,
}


def choice_of(given: object) -> Choice:
    """`given` as a choice.

    Raises:
        TypeError, ValueError: it is none; the message says what is.
    """
    if isinstance(given, Choice):
        return given
    if isinstance(given, str):
        if given not in _NAMED:
            raise ValueError(
                f"Endpoints choice must be one of {', '.join(map(repr, sorted(_NAMED)))}, "
                f"or a ConsistentHash(...): {given!r}"
            )
        return _NAMED[given]()
    raise TypeError(f"Endpoints choice must be a name or a Choice: {given!r}")


def _ones(among: Sequence[Member]) -> Sequence[float]:
    return (1.0,) * len(among)


def _two(weights: Sequence[float], random: Callable[[], float]) -> tuple[int, int]:
    """Two different ones, each as likely as its weight."""
    first = _one(weights, random)
    rest = [*weights]
    rest[first] = 0.0
    return first, _one(rest, random)


def _one(weights: Sequence[float], random: Callable[[], float]) -> int:
    sums = list(accumulate(weights))
    index = bisect(sums, random() * sums[-1])
    if index == len(sums):
        # Rounding: the last one that has a weight at all.
        index = max(place for place, weight in enumerate(weights) if weight)
    return index


def _weighted(draw: Draw) -> Member:
    if draw.weights is None:
        return draw.among[int(draw.random() * len(draw.among))]
    return draw.among[_one(draw.weights, draw.random)]


def _hash(key: bytes) -> int:
    return int.from_bytes(blake2b(key, digest_size=8).digest())


def _points(name: str, many: int) -> list[int]:
    """Where an endpoint stands on the ring; eight places of each digest."""
    found: list[int] = []
    for part in range(ceil(many / 8)):
        digest = blake2b(f"{name} {part}".encode()).digest()
        found += [int.from_bytes(digest[at : at + 8]) for at in range(0, 64, 8)]
    return found[:many]


def _share(key: bytes, member: Member) -> float:
    """How late in a slow start the key comes to its endpoint, in [0, 1)."""
    digest = blake2b(key, digest_size=8, key=str(member.endpoint).encode()[:64]).digest()
    return float(int.from_bytes(digest[:6])) / float(1 << 48)
