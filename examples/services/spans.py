"""The spans and the ledgers that the processes have written, put together by their traces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Event", "Span", "Trace", "Written", "arrivals"]


class Event(NamedTuple):
    """What a layer told: `at` in nanoseconds since the epoch."""

    name: str
    at: int
    fields: dict[str, Any]


@dataclass(frozen=True)
class Span:
    """`start` and `end` are nanoseconds since the epoch."""

    trace: str
    id: str
    parent: str | None
    service: str
    pid: int
    name: str
    kind: str
    start: int
    end: int
    attributes: dict[str, Any]
    events: tuple[Event, ...]

    @property
    def is_attempt(self) -> bool:
        """Whether it is a request that went on the wire."""
        return self.kind == "CLIENT"

    @property
    def origin(self) -> str:
        return f"http://{self.attributes['server.address']}:{self.attributes['server.port']}"

    @property
    def outcome(self) -> str:
        """The status, the error, or "called off" if whoever wanted it did not want it any more."""
        told = self.attributes.get("http.response.status_code") or self.attributes.get("error.type")
        return str(told or "called off")

    @property
    def hedge(self) -> int:
        """Which copy of its attempt it is; 0 for the first."""
        return int(self.attributes.get("scallion.hedge", 0))


class Trace:
    """The spans of one trace, whichever process they come from."""

    def __init__(self, spans: list[Span]) -> None:
        self.spans = sorted(spans, key=lambda span: span.start)
        known = {span.id for span in spans}
        self.roots = [span for span in self.spans if span.parent not in known]
        self._children: dict[str | None, list[Span]] = {}
        for span in self.spans:
            self._children.setdefault(span.parent, []).append(span)

    @property
    def id(self) -> str:
        return self.spans[0].trace

    def under(self, span: Span) -> list[Span]:
        return self._children.get(span.id, [])

    def attempts_by(self, service: str) -> list[Span]:
        return [span for span in self.spans if span.is_attempt and span.service == service]

    def events(self, name: str) -> list[Event]:
        return [event for span in self.spans for event in span.events if event.name == name]


class Written:
    """What is in the files of spans by now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}
        self.spans: list[Span] = []

    def more(self) -> list[Span]:
        """Those that have been added since the last time."""
        new = []
        for path in sorted(self._folder.glob("*.spans")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                data = file.read()
            # A line that is being written is read the next time.
            whole = data[: data.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            new += [_span(json.loads(line)) for line in whole.splitlines() if line.strip()]
        self.spans += new
        return new

    def traces(self) -> dict[str, Trace]:
        self.more()
        spans: dict[str, list[Span]] = {}
        for span in self.spans:
            spans.setdefault(span.trace, []).append(span)
        return {name: Trace(those) for name, those in spans.items()}


def arrivals(folder: Path) -> Iterator[dict[str, Any]]:
    """What the replicas' ledgers say: a request each, with the ids of its trace and of its attempt's span."""
    for path in sorted(folder.glob("*.ledger")):
        for line in path.read_text().splitlines():
            yield {"replica": path.stem, **json.loads(line)}


def _span(told: dict[str, Any]) -> Span:
    events = tuple(Event(one["name"], one["at"], one["fields"]) for one in told.pop("events"))
    return Span(**told, events=events)
