"""Compare scallion with other clients: CPU time per request and requests per second.

Each client runs each case in a process of its own, in turn, over several rounds; the table holds
medians, and their ratio to httpx's in the same run. README.md beside this file says more.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from cases import CASES, CLIENTS, Sample
from machine import cores, description

HERE = Path(__file__).parent
REFERENCE = "httpx"
COLUMNS = ("client", "µs/request", f"x {REFERENCE}", "min-max", "requests/s")


@dataclass
class Results:
    """The samples of each case and client, and the clients that did not take part."""

    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def add(self, case: str, client: str, sample: Sample) -> None:
        self.samples.setdefault(case, {}).setdefault(client, []).append(sample)

    def rows(self, case: str) -> list[tuple[str, ...]]:
        """The table of one case, the cheapest client first."""
        costs = {
            client: median(sample.cpu_us for sample in samples)
            for client, samples in self.samples.get(case, {}).items()
        }
        return [
            self._row(client, case, cost, costs.get(REFERENCE))
            for client, cost in sorted(costs.items(), key=lambda item: item[1])
        ]

    def _row(self, client: str, case: str, cost: float, reference: float | None) -> tuple[str, ...]:
        samples = self.samples[case][client]
        lowest = min(sample.cpu_us for sample in samples)
        highest = max(sample.cpu_us for sample in samples)
        return (
            f"{client} {_version(client)}",
            f"{cost:.0f}",
            f"{cost / reference:.2f}" if reference else "-",
            f"{lowest:.0f}-{highest:.0f}",
            f"{median(sample.per_second for sample in samples):.0f}",
        )


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    results = measure_all(options)
    show = markdown if options.markdown else plain
    print(description())
    for case in options.cases:
        rows = results.rows(case)
        if rows:
            print("", *show(case, rows), sep="\n")
    for client, reason in results.absent.items():
        print(f"\n{client} did not take part: {reason}")
    if options.json:
        options.json.write_text(json.dumps(report(results), indent=2) + "\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="benchmarks/run.py")
    parser.add_argument(
        "--cases", type=_names(CASES), default=list(CASES), help=f"of {','.join(CASES)}"
    )
    parser.add_argument(
        "--clients", type=_names(CLIENTS), default=list(CLIENTS), help=f"of {','.join(CLIENTS)}"
    )
    parser.add_argument("--requests", type=int, default=2000, help="measured in each process")
    parser.add_argument("--rounds", type=int, default=5, help="processes for each case and client")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample here too")
    return parser.parse_args(arguments)


def _names(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        chosen = text.split(",")
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"no such thing as {', '.join(unknown)}; there are {', '.join(known)}"
            )
        return chosen

    return names


def measure_all(options: argparse.Namespace) -> Results:
    """Every case and client, round by round, so that all of them see the same weather."""
    results = Results()
    with server() as url:
        for case in options.cases:
            clients = [name for name in options.clients if CASES[case].colour in CLIENTS[name]]
            for number in range(options.rounds):
                # Whoever goes first has an advantage, or the opposite: all take turns at it.
                start = number % max(1, len(clients))
                for client in clients[start:] + clients[:start]:
                    if client not in results.absent:
                        progress(f"{case}, round {number + 1} of {options.rounds}: {client}")
                        measure_one(results, client, case, url, options.requests)
    progress("")
    return results


def measure_one(results: Results, client: str, case: str, url: str, requests: int) -> None:
    core = str(cores()[0])
    warm_up = str(max(requests // 10, 4 * CASES[case].at_once))
    ran = subprocess.run(
        [sys.executable, str(HERE / "one.py"), core, client, case, url, str(requests), warm_up],
        capture_output=True,
        text=True,
        env=without_proxies(),
        check=False,
    )
    if ran.returncode:
        results.absent[client] = f"it failed in {case}:\n{ran.stderr.strip()}"
        return
    measured = json.loads(ran.stdout)
    if "unavailable" in measured:
        results.absent[client] = f"it {measured['unavailable']}"
    else:
        results.add(case, client, Sample(**measured))


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server on a core of its own."""
    command = [sys.executable, str(HERE / "server.py"), str(cores()[1])]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/items/4711"
        finally:
            process.stdin.close()


def without_proxies() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")
    }


def progress(text: str) -> None:
    """One line that replaces itself, where somebody is watching."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def plain(case: str, rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (COLUMNS, *rows)
    ]
    return [case, *lines]


def markdown(case: str, rows: list[tuple[str, ...]]) -> list[str]:
    header = (case, *COLUMNS[1:])
    ruler = ("---", *("---:" for _ in COLUMNS[1:]))
    return ["| " + " | ".join(row) + " |" for row in (header, ruler, *rows)]


def report(results: Results) -> dict[str, object]:
    return {
        "machine": description(),
        "samples": {
            case: {client: [s._asdict() for s in samples] for client, samples in clients.items()}
            for case, clients in results.samples.items()
        },
        "versions": {client: _version(client) for client in CLIENTS},
        "absent": results.absent,
    }


def _version(client: str) -> str:
    try:
        return version(client)
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    main()
