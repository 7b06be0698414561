"""Writes docs/benchmarks.md and its plot from what a run has stored: `page.py [RESULTS [FOLDER]]`.

The words come from page.md beside this file; what is to be said about single goals from notes.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cases import CASES
from report import case_table, goals_table, layers_table
from results import Results

__all__ = ["page"]

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"


def page(results: Results) -> str:
    """The document."""
    tables = [
        case_table(results, case)
        for case in CASES
        if case in results.cases and results.cases[case].samples
    ]
    parts = {
        "run": _described(results),
        "goals": goals_table(results, results.cases),
        "layers": layers_table(results),
        "notes": (HERE / "notes.md").read_text().strip(),
        "cases": "\n\n".join(tables),
    }
    text = (HERE / "page.md").read_text()
    for name, part in parts.items():
        # An empty part leaves no gap.
        marker = f"<!-- {name} -->\n"
        text = text.replace(marker, f"{part}\n" if part else "").replace("\n\n\n", "\n\n")
    return text


def _described(results: Results) -> str:
    run = results.run
    servers = " and ".join(
        f"{server} {run.versions[server]}"
        for server in ("nginx", "nghttpd")
        if server in run.versions
    )
    return "\n".join(
        [
            f"Measured on {run.date} with {run.machine}; {servers or 'a Python server'} on one core, the client on the other;",
            f"medians of {run.rounds} rounds, or of half as many where there is no goal, of {run.seconds:g} seconds each.",
            *run.missing,
        ]
    )


def main(stored: str = str(HERE / "results.json"), folder: str = str(DOCS)) -> None:
    results = Results.load(Path(stored))
    (Path(folder) / "benchmarks.md").write_text(page(results))
    try:
        from plot import plot
    except ImportError as error:
        print(f"The plot stays as it was: {error}", file=sys.stderr)
    else:
        plot(results, Path(folder) / "benchmarks.svg")


if __name__ == "__main__":
    main(*sys.argv[1:])
