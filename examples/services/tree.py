"""A trace as a tree of text: a line for each call, each attempt, each wait and each decision, beside a chart of time.

A call that was answered at its first attempt is one line with it. In the chart `░` is what the caller waited, `█` what
of that the other process was at work, and `·` a wait between two attempts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from .spans import Event, Span, Trace

__all__ = ["WIDTH", "draw"]

WIDTH = 100

_TEXT = 38
_OUTCOME = 18
_CHART = 32
_LEFT = _TEXT + 1 + _OUTCOME + 1
_MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class _Line:
    """One line, its times in nanoseconds since the epoch.

    Attributes:
        worked: When the other process began and ended its work, if it did any.
        failed: Whether it is about something that went wrong.
    """

    text: str
    outcome: str
    start: int
    end: int
    fill: str = "░"
    worked: tuple[int, int] | None = None
    failed: bool = False


def draw(
    trace: Trace,
    names: Mapping[str, str],
    paint: Callable[[str, str], str] = lambda text, colour: text,  # noqa: ARG005
) -> str:
    """The tree; no line is longer than `WIDTH`.

    Args:
        trace: Of one root.
        names: What stands behind an origin, "stock-1" behind "http://127.0.0.1:20301".
        paint: Makes a text bold, dim or red, where that can be seen.
    """
    lines = [line for root in trace.roots for line in _Tree(trace, names).of(root, "", "")]
    first = min(line.start for line in lines)
    span = max(line.end for line in lines) - first or 1
    told = [" " * _LEFT + "0 ms" + f"{_ms(span)} ms".rjust(_CHART + 6)]
    for line in lines:
        label = f"{_fit(line.text, _TEXT)} {_fit(line.outcome, _OUTCOME)} "
        chart = _chart(line, first, span)
        took = f"{_ms(line.end - line.start):>9}" if line.end > line.start else ""
        shown = paint(label, "red") if line.failed else label
        told.append(f"{shown}{paint(chart, 'dim' if line.fill == '·' else '')}{took}".rstrip())
    return "\n".join(told)


class _Tree:
    def __init__(self, trace: Trace, names: Mapping[str, str]) -> None:
        self._trace = trace
        self._names = names

    def of(self, span: Span, lead: str, below: str) -> Iterator[_Line]:
        """The lines of a span and of all that is under it, `lead` before the first and `below` before the others."""
        # Cases: a call; an attempt without one; the work of a process, or something else that has a name.
        if span.kind == "INTERNAL" and "http.request.method" in span.attributes:
            yield from self._call(span, lead, below)
        elif span.is_attempt:
            yield from self._attempt(span, lead, below, f"{span.service}  {span.name} ")
        else:
            yield _Line(f"{lead}{span.name}", "", span.start, span.end)
            yield from self._branches([(one.start, one) for one in self._trace.under(span)], below)

    def _call(self, call: Span, lead: str, below: str) -> Iterator[_Line]:
        attempts = [span for span in self._trace.under(call) if span.is_attempt]
        path = _path(call.attributes["url.full"])
        told = [event for event in call.events if event.name in _TOLD]
        what = f"{call.service} → {{}}  {call.attributes['http.request.method']} {path}"
        if len(attempts) == 1 and not told:
            yield from self._attempt(attempts[0], lead, below, what)
            return
        service = call.attributes["server.address"]
        text = lead + what.format(service)
        yield _Line(text, call.outcome, call.start, call.end, failed=_failed(call.outcome))
        parts: list[tuple[int, Span | Event]] = [(span.start, span) for span in attempts]
        yield from self._branches(parts + [(event.at, event) for event in told], below)

    def _branches(
        self, parts: list[tuple[int, Span | Event]] | list[tuple[int, Span]], below: str
    ) -> Iterator[_Line]:
        ordered = sorted(parts, key=lambda part: part[0])
        tries = 0
        for number, (_, part) in enumerate(ordered, 1):
            last = number == len(ordered)
            lead, further = ("└ ", "  ") if last else ("├ ", "│ ")
            if isinstance(part, Event):
                yield self._decision(part, below + lead)
            elif part.is_attempt:
                tries += 1
                kind = "hedge, " if part.hedge else ""
                what = f"{kind}try {tries} at {{}}"
                yield from self._attempt(part, below + lead, below + further, what)
            else:
                yield from self.of(part, below + lead, below + further)

    def _attempt(self, attempt: Span, lead: str, below: str, what: str) -> Iterator[_Line]:
        """An attempt, and what the process that it reached did for it."""
        served = [span for span in self._trace.under(attempt) if span.kind == "SERVER"]
        worked = (served[0].start, served[0].end) if served else None
        where = self._names.get(attempt.origin, attempt.origin)
        yield _Line(
            f"{lead}{what.format(where)}",
            attempt.outcome,
            attempt.start,
            attempt.end,
            worked=worked,
            failed=_failed(attempt.outcome),
        )
        for span in served:
            yield from self._branches([(one.start, one) for one in self._trace.under(span)], below)

    def _decision(self, event: Event, lead: str) -> _Line:
        fields = dict(event.fields)
        for name in ("origin", "endpoint"):
            if name in fields:
                fields["at"] = self._names.get(_origin(fields[name]), fields[name])
        text, outcome = _TOLD[event.name]
        end = event.at + int(float(fields.get("wait", 0)) * 1000 * _MILLISECOND)
        text, outcome = (lead + text.format_map(fields)), outcome.format_map(fields)
        return _Line(text, outcome, event.at, end, fill="·")


_TOLD = {
    "retry": ("waits, then tries again", "after {reason}"),
    "retry.end": ("no other try:", "{reason}"),
    "retry.budget_exhausted": ("the retry budget is exhausted", ""),
    "hedge.refused": ("no hedge:", "{reason}"),
    "endpoint.ejected": ("{at} left out for {seconds:g} s:", "{failures} failures"),
    "endpoint.returned": ("{at} is taken in again", ""),
    "breaker.opened": ("{at}: circuit opens", "{failures}/{requests} failed"),
    "breaker.half_open": ("{at}: circuit is probed", ""),
    "breaker.closed": ("{at}: circuit closes", ""),
    "breaker.refused": ("{at}: not sent", "circuit is {phase}"),
    "deadline.passed": ("the deadline has passed", ""),
    "total_timeout": ("the deadline has passed", ""),
}


def _chart(line: _Line, first: int, span: int) -> str:
    """`_CHART` columns, in which all of the trace has its time."""

    def column(at: int) -> int:
        return min(_CHART - 1, (at - first) * _CHART // span)

    cells = [" "] * _CHART
    # What has no length still has a place.
    start, end = column(line.start), max(column(line.end), column(line.start))
    if line.end == line.start:
        cells[start] = "┆"
        return "".join(cells)
    cells[start : end + 1] = line.fill * (end + 1 - start)
    if line.worked is not None:
        begun, done = column(line.worked[0]), column(line.worked[1])
        cells[begun : done + 1] = "█" * (done + 1 - begun)
    return "".join(cells)


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else f"{text[: width - 1]}…"


def _failed(outcome: str) -> bool:
    return outcome != "called off" and not (outcome.isdecimal() and int(outcome) < 400)


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / _MILLISECOND:,.1f}"


def _origin(text: str) -> str:
    return text if "://" in text else f"http://{text}"


def _path(url: str) -> str:
    return "/" + url.split("://", 1)[-1].partition("/")[2]
