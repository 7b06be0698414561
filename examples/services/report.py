"""What is printed: the table of the afternoon, the traces, and what the afternoon had to show."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .customers import Visit, percentile
from .script import Chapter
from .spans import Span, Trace

__all__ = ["Page", "claims", "heading", "most_telling", "paint", "row"]

_COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32"}


def paint(text: str, colour: str) -> str:
    """Colours are for terminals; see no-color.org."""
    code = _COLOURS.get(colour)
    if code is None or not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


# The table


@dataclass
class Page:
    """What happened in one chapter.

    Attributes:
        began: Seconds since the epoch.
        visits: Those that ended in it.
        tries: Attempts at stock that ended in it.
        ejected: Replicas that were left out for a while.
        circuits: The most circuits that were open at once.
        budget: The least that the retry budget had left.
    """

    chapter: Chapter
    began: float
    visits: list[Visit] = field(default_factory=list)
    tries: list[Span] = field(default_factory=list)
    ejected: set[str] = field(default_factory=set)
    circuits: int = 0
    budget: float | None = None

    def look(self, onion: dict[str, Any], names: dict[str, str]) -> None:
        """Take down what orders' layers know."""
        self.ejected |= {_name(endpoint, names) for endpoint in onion["ejected"]}
        self.circuits = max(
            self.circuits, sum(phase != "closed" for phase in onion["circuits"].values())
        )
        if onion["budget"] is not None:
            self.budget = min(onion["budget"], self.budget or onion["budget"])


_COLUMNS = (6, 5, 6, 5, 6, 7, 7, 7, 9, 9, 7)
_TITLE = 26


def heading() -> str:
    words = (
        "calls", "full", "later", "lost", "tries", "hedges", "p50 ms", "p99 ms", "circuits", "ejected", "budget",
    )  # fmt: skip
    return f"{'what happens':<{_TITLE}}" + "".join(
        word.rjust(width) for word, width in zip(words, _COLUMNS, strict=True)
    )


def row(page: Page) -> str:
    seconds = [visit.seconds * 1000 for visit in page.visits]
    outcomes = Counter(visit.outcome for visit in page.visits)
    cells = (
        len(page.visits),
        outcomes["full"],
        outcomes["back"] or "",
        outcomes["lost"] or "",
        len(page.tries),
        sum(span.hedge > 0 for span in page.tries) or "",
        f"{percentile(seconds, 0.5):.0f}",
        f"{percentile(seconds, 0.99):.0f}",
        f"{page.circuits} open" if page.circuits else "closed",
        _together(page.ejected),
        "" if page.budget is None else f"{page.budget:.0f}",
    )
    title = f"{page.chapter.clock}  {page.chapter.title}"
    return f"{title:<{_TITLE}}" + "".join(
        str(cell).rjust(width) for cell, width in zip(cells, _COLUMNS, strict=True)
    )


def _together(names: set[str]) -> str:
    """ "stock-1", or "1 and 3"."""
    if len(names) < 2:
        return "".join(names)
    *most, last = sorted(name.rpartition("-")[2] for name in names)
    return f"{', '.join(most)} and {last}"


def _name(endpoint: str, names: dict[str, str]) -> str:
    return names.get(endpoint if "://" in endpoint else f"http://{endpoint}", endpoint)


# The traces


def most_telling(traces: Iterable[Trace]) -> dict[str, Trace]:
    """By what they show: the best one of each kind that there is."""
    found: dict[str, tuple[int, Trace]] = {}
    for trace in traces:
        kind, worth = _worth(trace)
        if kind and worth > found.get(kind, (0,))[0]:
            found[kind] = (worth, trace)
    return {kind: found[kind][1] for kind in _KINDS if kind in found}


_KINDS = {
    "retried": "Refused by one, and tried again elsewhere; the one that refused has its pause",
    "hedged": "Unanswered, and asked again elsewhere before anybody noticed",
    "broken": "Not there any more, and tried again elsewhere",
    "refused": "The circuits are open: nothing is sent, and the fallback is there at once",
}


def title_of(kind: str) -> str:
    return _KINDS[kind]


def _worth(trace: Trace) -> tuple[str, int]:
    """What a trace shows, if anything, and how well."""
    tries = trace.attempts_by("orders")
    outcomes = [span.outcome for span in tries]
    # Cases: no try, as all were refused; no answer; the only try; a hedge that won; a failure before the answer.
    if not tries:
        return "refused", len(trace.events("breaker.refused"))
    if "200" not in outcomes or len(tries) == 1:
        return "", 0
    if trace.events("hedge.won"):
        return "hedged", 1 + 2 * (outcomes == ["called off", "200"])
    decisions = sum(bool(trace.events(name)) for name in _DECISIONS)
    if "503" in outcomes:
        return "retried", len(tries) + decisions
    broken = sum(what not in {"200", "called off"} for what in outcomes)
    return "broken" if broken else "", 2 * broken + decisions


_DECISIONS = ("endpoint.ejected", "endpoint.returned", "hedge.sent", "breaker.opened")


# What it had to show


def claims(
    visits: list[Visit],
    outage: tuple[float, float],
    traces: dict[str, Trace],
    ledger: list[dict[str, Any]],
    sent: tuple[int, int],
    patience: float,
) -> list[tuple[bool, str]]:
    """Each with whether it holds.

    Args:
        outage: From when to when nothing of stock was to be had, in seconds since the epoch.
        sent: Attempts at stock in the chapter of the outage, and calls.
    """
    within = [v for v in visits if v.began < outage[1] and v.ended > outage[0]]
    outside = [v for v in visits if v not in within]
    full = sum(visit.outcome == "full" for visit in outside)
    kept = sum(visit.outcome != "lost" for visit in within)
    fell = [visit.seconds for visit in within if visit.outcome == "back"]
    middle = percentile(fell, 0.5)
    attempts = {span.id: span for trace in traces.values() for span in trace.attempts_by("orders")}
    known = sum(entry["span"] in attempts for entry in ledger)
    twice = len(ledger) - len({entry["span"] for entry in ledger})
    never = Counter(attempts[one].outcome for one in set(attempts) - {e["span"] for e in ledger})
    one_id = sum(len(_ids(trace)) == 1 for trace in (traces[v.trace] for v in visits))
    timely = sum(0 < entry["left"] <= patience for entry in ledger)
    missing = ", ".join(f"{many} {what}" for what, many in never.most_common())
    return [
        (
            full == len(outside),
            f"{full} of {len(outside)} calls outside of the outage were answered in full",
        ),
        (
            kept == len(within),
            f"{kept} of {len(within)} calls within it were answered, {len(fell)} by the fallback",
        ),
        (
            0 < middle < 0.5,
            f"half of these in less than {middle * 1000:.0f} ms, as an open circuit asks nobody",
        ),
        (
            sent[0] < 2 * sent[1],
            f"{sent[0]} tries for the {sent[1]} calls of the outage: no storm of retries",
        ),
        (
            known == len(ledger) and not twice and bool(ledger),
            f"{known} of {len(ledger)} requests in stock's ledgers are tries in a trace, each once",
        ),
        (
            # No answer came to what no ledger knows of.
            not any(outcome.isdecimal() for outcome in never),
            f"{sum(never.values())} other tries never arrived: {missing or 'none'}",
        ),
        (one_id == len(visits), f"{one_id} of {len(visits)} traces have one request id everywhere"),
        (
            timely == len(ledger),
            f"{timely} of {len(ledger)} arrivals knew how long they were waited for",
        ),
    ]


def _ids(trace: Trace) -> set[str]:
    return {span.attributes["scallion.request_id"] for span in trace.spans if span.kind == "SERVER"}
