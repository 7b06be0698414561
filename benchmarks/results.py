"""What a run found: every sample, and the figures made of them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from calibration import REFERENCE
from cases import CASES, Case

__all__ = ["Found", "Results", "Run"]

_SCALE = {"µs": 1e6, "ms": 1e3}


@dataclass
class Run:
    """Where, when and how it was measured."""

    machine: str = ""
    date: str = ""
    rounds: int = 0
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def with_part(self, part: Run) -> Run:
        """This run, of which a part was measured anew: what is said of the whole stays, the versions are the new ones."""
        found = {client: version for client, version in part.versions.items() if version}
        return replace(self, versions=self.versions | found)


@dataclass
class Found:
    """The samples of a case by client, and why clients did not take part."""

    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


@dataclass
class Results:
    run: Run = field(default_factory=Run)
    cases: dict[str, Found] = field(default_factory=dict)

    def add(self, case: str, client: str, sample: dict[str, Any]) -> None:
        found = self.cases.setdefault(case, Found())
        if "unavailable" in sample:
            found.absent[client] = sample["unavailable"]
        else:
            found.samples.setdefault(client, []).append(_rounded(sample))

    def costs(self, case: str, client: str) -> list[float]:
        """What an operation cost in each round, in the unit of the case, normalised."""
        samples = self.cases[case].samples.get(client, []) if case in self.cases else []
        return [_cost(CASES[case], sample) for sample in samples]

    def cost(self, case: str, client: str) -> float | None:
        """The median of `costs`."""
        costs = self.costs(case, client)
        return median(costs) if costs else None

    def extra(self, case: str, client: str, name: str) -> float | None:
        """The median of a further figure."""
        samples = self.cases[case].samples.get(client, []) if case in self.cases else []
        figures = [
            sample["extra"][name] * (_normalising(sample) if CASES[case].timed else 1)
            for sample in samples
            if name in sample["extra"]
        ]
        return median(figures) if figures else None

    def ranking(self, case: str) -> list[tuple[str, float]]:
        """Clients and their costs, the cheapest first."""
        costs = {client: self.cost(case, client) for client in self.cases[case].samples}
        return sorted(
            ((client, cost) for client, cost in costs.items() if cost is not None),
            key=lambda item: item[1],
        )

    def per_second(self, case: str, client: str) -> float:
        """Operations a second on the wall; they are bounded by the server too."""
        rates = [
            sample["operations"] / sample["wall"] for sample in self.cases[case].samples[client]
        ]
        return float(median(rates))

    def save(self, path: Path) -> None:
        stored = asdict(self)
        cases = stored.pop("cases")
        # A line for each case and client, so that two runs can be compared.
        lines = [json.dumps(stored, ensure_ascii=False)[:-1] + ', "cases": {']
        for case, found in cases.items():
            samples = [
                f" {json.dumps(client)}: {json.dumps(each)}"
                for client, each in found["samples"].items()
            ]
            absent = json.dumps(found["absent"], ensure_ascii=False)
            lines += [f'{json.dumps(case)}: {{"absent": {absent}, "samples": {{']
            lines += [",\n".join(samples), "}}" + ("" if case == list(cases)[-1] else ",")]
        path.write_text("\n".join([*lines, "}}"]) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        stored = json.loads(path.read_text())
        cases = {name: Found(**found) for name, found in stored["cases"].items() if name in CASES}
        return cls(Run(**stored["run"]), cases)


def _rounded(value: Any) -> Any:
    """`value` with its numbers as precise as they are measured."""
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return round(value, 7) if isinstance(value, float) else value


def _cost(case: Case, sample: dict[str, Any]) -> float:
    if sample["value"] is not None:
        value: float = sample["value"]
        return value
    raw: float = sample["cpu"] / sample["operations"] * _SCALE[case.unit]
    return raw * _normalising(sample)


def _normalising(sample: dict[str, Any]) -> float:
    """By what times are multiplied, for the machine as it was then."""
    before, after = sample["calibration"]
    took: float = (before + after) / 2
    return REFERENCE / took if before else 1.0
