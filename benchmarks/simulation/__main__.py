"""Plays the scenarios and writes what they found: `python -m simulation [--scenario NAMES] [--seed N]`, in `benchmarks/`.

Figures go to results.json, where those of scenarios that were not played stay; docs/simulation.md and its plots are then
made of that.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import page, stored
from .scenarios import dead_dependency, fan_out, overload, slow_replica, storm, two_choices

__all__ = ["SCENARIOS", "main"]

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"

SCENARIOS: dict[str, Callable[[int], dict[str, Any]]] = {
    "storm": storm.run,
    "slow-replica": slow_replica.run,
    "fan-out": fan_out.run,
    "two-choices": two_choices.run,
    "dead-dependency": dead_dependency.run,
    "overload": overload.run,
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--scenario", default="", help=f"some of {', '.join(SCENARIOS)}")
    parser.add_argument("--seed", type=int, default=1, help="of all that is drawn; 1 by default")
    parser.add_argument("--page", action="store_true", help="play nothing, make the page anew")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the page is written")
    given = parser.parse_args(arguments)
    names = [name.strip() for name in given.scenario.split(",") if name.strip()] or [*SCENARIOS]
    for name in names:
        if name not in SCENARIOS:
            parser.error(f"no scenario {name!r}; there are {', '.join(SCENARIOS)}")
    results = stored.read(given.results)
    for name in [] if given.page else names:
        print(f"{name}, seed {given.seed} ...", end=" ", flush=True)
        began = time.perf_counter()
        results[name] = {"seed": given.seed, "figures": SCENARIOS[name](given.seed)}
        print(f"{time.perf_counter() - began:.0f} s")
        stored.write(given.results, {name: results[name] for name in SCENARIOS if name in results})
    # As it is read, so that the page is the same whether or not the scenarios were played just now.
    results = stored.read(given.results)
    missing = [name for name in SCENARIOS if name not in results]
    if missing:
        print(f"The page needs all scenarios, and {', '.join(missing)} was not played yet")
        return
    (given.docs / "simulation.md").write_text(page.page(results), "utf-8")
    try:
        from .plots import draw
    except ImportError as error:
        print(f"The plots stay as they were: {error}", file=sys.stderr)
    else:
        draw(results, given.docs / "simulation")


if __name__ == "__main__":
    main()
