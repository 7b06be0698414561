"""The long storm: `python -m tests.survival --minutes 10 --seed 7`. It prints a report, and fails if there are faults.

A session is a fleet and its clients, with settings of their own; in each of its rounds the events of `weather` happen, then
all is healed, the clients recover and rest, and the ledgers are compared.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from survival.fleet import running
from survival.reconcile import Report
from survival.storm import SETTINGS, Storm, no_files_left, no_threads_left, policy_of
from survival.weather import happen

__all__ = ["main"]

ROUNDS = 4
ROUND = 20.0


def settings_of(rng: random.Random) -> dict[str, Any]:
    """One session's: some numbers of the stack, drawn."""
    hedging = {"delay": rng.choice((0.05, 0.2)), "most_load": 0.3}
    timeouts = SETTINGS["timeouts"]
    return {
        **SETTINGS,
        "timeouts": {**timeouts, "total": rng.choice((1.0, timeouts["total"]))},
        "hedging": hedging if rng.random() < 0.7 else False,
        "budget": {"share": 0.2, "window": 2.0, "floor": rng.choice((1.0, 20.0))},
        "bulkhead": {"limit": rng.choice((2, 50)), "queue": rng.choice((1, 50)), "patience": 1.0},
        "breaker": SETTINGS["breaker"] if rng.random() < 0.7 else False,
    }


def session(rng: random.Random, until: float, events: Counter[str], load: dict[str, Any]) -> Report:
    report = Report()
    settings = settings_of(rng)
    choice = rng.choice(("power_of_two", "round_robin", "least_pending"))
    with no_threads_left(), no_files_left(), running(rng.choice((2, 3, 4))) as fleet:
        endpoints: dict[str, Any] = {"choice": choice}
        if rng.random() < 0.3:
            file = fleet.folder / "endpoints.json"
            file.write_text(json.dumps({"ledger": [server.url for server in fleet.servers]}))
            endpoints |= {"addresses": (), "file": str(file), "refresh": 0.5}
        storm = Storm(
            fleet, settings | {"endpoints": endpoints}, seed=rng.randrange(1 << 30), **load
        )
        storm.start()
        for number in range(ROUNDS):
            if number:
                storm.go_on()
            over = min(until, time.monotonic() + ROUND)
            while time.monotonic() < over:
                events[happen(fleet, rng).partition(": ")[2]] += 1
                time.sleep(rng.random())
            faults = storm.calm()
            found = storm.settle(policy_of(settings))
            found.faults += faults
            report.add(found)
            counts = found.counts
            print(
                f"{choice}, {len(fleet.servers)} servers, hedging {bool(settings['hedging'])}: "
                f"{counts['calls']} calls, {counts['succeeded']} succeeded, {len(found.faults)} faults",
                *found.faults,
                sep="\n  ",
                flush=True,
            )
            if time.monotonic() >= until:
                break
        report.faults += storm.end()
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.survival", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=4, help="callers of each of six clients")
    parser.add_argument("--pace", type=float, default=0.1, help="seconds between their calls")
    given = parser.parse_args()
    load = {"workers": given.workers, "pace": given.pace}
    rng = random.Random(given.seed)
    report = Report()
    events: Counter[str] = Counter()
    began = time.monotonic()
    until = began + 60 * given.minutes
    while time.monotonic() < until:
        report.add(session(rng, until, events, load))
    print(f"\n{time.monotonic() - began:.0f} seconds, seed {given.seed}, {events.total()} events")
    print(", ".join(f"{many} {name}" for name, many in sorted(events.items())))
    print(report)
    return bool(report.faults)


if __name__ == "__main__":
    sys.exit(main())
