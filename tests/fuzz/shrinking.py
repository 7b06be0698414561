"""A conversation made small: whatever can be left out, while it still shows what it is to show."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .conversing import Case, Exchange

__all__ = ["shrink"]


def shrink(case: Case, shows: Callable[[Case], bool], *, most: int = 20_000) -> Case:
    """The smallest conversation found by leaving out, simplifying and joining, in at most `most` trials."""
    trials = 0
    improved = True
    while improved:
        improved = False
        for smaller in _smaller(case):
            trials += 1
            if trials > most:
                return case
            if smaller != case and shows(smaller):
                case = smaller
                improved = True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    """Conversations simpler than `case`, the boldest first."""
    if len(case) > 1:
        for index in range(len(case)):
            yield case[:index] + case[index + 1 :]
    for index, exchange in enumerate(case):
        for simpler in _simpler(exchange):
            yield (*case[:index], simpler, *case[index + 1 :])


def _simpler(exchange: Exchange) -> Iterator[Exchange]:
    arrivals, headers, body = exchange.arrivals, exchange.headers, exchange.body
    if exchange.method != b"GET":
        yield exchange._replace(method=b"GET")
    if exchange.target != b"/":
        yield exchange._replace(target=b"/")
    if isinstance(body, tuple):
        yield exchange._replace(body=b"".join(body), answers=frozenset())
        for index in range(len(body)):
            yield exchange._replace(body=body[:index] + body[index + 1 :])
    elif body:
        yield exchange._replace(body=b"")
    if exchange.past:
        yield exchange._replace(past=False)
    if exchange.answers:
        yield exchange._replace(answers=frozenset(sorted(exchange.answers)[1:]))
    for index in range(len(headers)):
        yield exchange._replace(headers=headers[:index] + headers[index + 1 :])
    for index in range(len(arrivals)):
        yield exchange._replace(arrivals=arrivals[:index] + arrivals[index + 1 :])
    for index in range(len(arrivals) - 1):
        if arrivals[index + 1]:
            joined = arrivals[index] + arrivals[index + 1]
            yield exchange._replace(arrivals=(*arrivals[:index], joined, *arrivals[index + 2 :]))
    for index, piece in enumerate(arrivals):
        for shorter in _shorter(piece):
            yield exchange._replace(arrivals=(*arrivals[:index], shorter, *arrivals[index + 1 :]))
    for index, (name, value) in enumerate(headers):
        for field in (
            *((shorter, value) for shorter in _shorter(name)),
            *((name, shorter) for shorter in _shorter(value)),
        ):
            yield exchange._replace(headers=(*headers[:index], field, *headers[index + 1 :]))


def _shorter(data: bytes) -> Iterator[bytes]:
    """`data` without a part of it, halves first, then quarters, and single bytes last; never empty."""
    size = len(data) // 2
    while size:
        for start in range(0, len(data), size):
            shorter = data[:start] + data[start + size :]
            if shorter:
                yield shorter
        size //= 2
