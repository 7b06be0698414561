"""Compare scallion with other clients: what it costs each of them to do the same.

Each client runs each case in a process of its own, in turn, over several rounds; tables hold medians.
README.md beside this file says more.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cases import CASES
from clients import CLIENTS, facts_of
from endpoint import Endpoint
from goals import GOALS
from machine import cores, description, last_line
from report import case_table, goals_table, layers_table
from results import Found, Results, Run
from servers import Servers, servers

HERE = Path(__file__).parent
# niquests cannot live beside urllib3; make gives it an environment of its own.
APART = {"niquests": HERE.parent / ".venv/bench/niquests/bin/python"}
LEFT_OUT = {"SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONDONTWRITEBYTECODE"}
PATIENCE = 600.0
# What a quick run does without.
SLOW_CLIENTS = {"requests", "niquests", "zapros", "primp", "httpr", "pycurl", "http.client"}


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    results = (
        Results.load(options.update) if options.update and options.update.exists() else Results()
    )
    with servers() as running:
        described_now = described(options, running)
        # A part that is measured anew does not speak for the others.
        results.run = results.run.with_part(described_now) if results.cases else described_now
        for case in options.cases:
            results.cases[case] = Found()
        measure_all(options, running, results)
    for path in {options.json, options.update} - {None}:
        results.save(path)
    for case in options.cases:
        if results.cases[case].samples or results.cases[case].absent:
            print("", case_table(results, case), sep="\n")
    if any(goal.case in options.cases and not goal.figure for goal in GOALS):
        print("", goals_table(results, options.cases), sep="\n")
    if any(goal.case in options.cases and goal.figure for goal in GOALS):
        print("", layers_table(results), sep="\n")
    print("", described_now.machine, *running.missing, sep="\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="benchmarks/run.py")
    parser.add_argument("--cases", type=_cases, default=list(CASES), help=f"of {','.join(CASES)}")
    parser.add_argument(
        "--clients",
        type=_clients,
        default=list(CLIENTS),
        help=f"of {','.join(CLIENTS)}; client@PATH is a client as it is in another source tree",
    )
    parser.add_argument("--rounds", type=int, default=5, help="processes for each case and client")
    parser.add_argument("--seconds", type=float, default=0.3, help="measured in each process")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one short round of the cases with goals, but not of all clients, nor of what takes long",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument(
        "--update", type=Path, metavar="FILE", help="likewise, and keep its other cases"
    )
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds = 1, 0.1
        options.clients = [client for client in options.clients if client not in SLOW_CLIENTS]
        with_goals = {goal.case for goal in GOALS if not goal.case.startswith("memory-")}
        options.cases = [case for case in options.cases if case in with_goals]
    return options


def _cases(text: str) -> list[str]:
    """Cases by name; a name that ends in `*` stands for all that begin so."""
    chosen = []
    for name in text.split(","):
        matching = [case for case in CASES if fnmatch(case, name)]
        if not matching:
            raise argparse.ArgumentTypeError(f"no case {name!r}; there are {', '.join(CASES)}")
        chosen += matching
    return chosen


def _clients(text: str) -> list[str]:
    chosen = text.split(",")
    unknown = [name for name in chosen if name.partition("@")[0] not in CLIENTS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no such client: {', '.join(unknown)}; there are {', '.join(CLIENTS)}"
        )
    return chosen


def described(options: argparse.Namespace, running: Servers) -> Run:
    return Run(
        machine=description(),
        date=datetime.now(UTC).strftime("%-d %B %Y"),
        rounds=options.rounds,
        seconds=options.seconds,
        versions={**{client: _version(client) for client in options.clients}, **running.versions},
        missing=running.missing,
    )


def measure_all(options: argparse.Namespace, running: Servers, results: Results) -> None:
    """Every case and client, round by round, so that all of them see the same weather."""
    for case in options.cases:
        endpoint = running.endpoints.get(CASES[case].endpoint)
        if CASES[case].endpoint and endpoint is None:
            continue
        clients = [client for client in options.clients if CASES[case].takes(client)]
        rounds = rounds_of(case, options.rounds)
        for number in range(rounds):
            # Whoever goes first has an advantage, or the opposite: all take turns at it.
            start = number % max(1, len(clients))
            for client in clients[start:] + clients[:start]:
                if client not in results.cases[case].absent:
                    progress(f"{case}, round {number + 1} of {rounds}: {client}")
                    results.add(case, client, measure_one(client, case, endpoint, options.seconds))
    progress("")


def rounds_of(case: str, rounds: int) -> int:
    """What is counted is the same each time; what no goal bounds may be less exact."""
    if CASES[case].counted:
        return 1
    return rounds if any(goal.case == case for goal in GOALS) else (rounds + 1) // 2


def measure_one(
    client: str, case: str, endpoint: Endpoint | None, seconds: float
) -> dict[str, object]:
    """A sample, or the reason why there is none."""
    where: Iterable[str] = ()
    if endpoint is not None:
        where = [endpoint.url, str(endpoint.size), *([endpoint.ca] if endpoint.ca else [])]
    command = [python_of(client), str(HERE / "one.py"), str(cores()[0]), client, case]
    try:
        ran = subprocess.run(
            [*command, str(seconds), *where],
            capture_output=True,
            text=True,
            env=environment(client),
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"unavailable": f"was not done after {PATIENCE:g} seconds"}
    if ran.returncode:
        return {"unavailable": f"failed ({last_line(ran.stderr)})"}
    sample: dict[str, object] = json.loads(ran.stdout)
    return sample


def python_of(client: str) -> str:
    apart = APART.get(client)
    return str(apart) if apart is not None and apart.exists() else sys.executable


def environment(client: str) -> dict[str, str]:
    """Without proxies, other certificates and what makes Python slow; another source tree first, if one is named."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().endswith(("_PROXY", "_CA_BUNDLE")) and name not in LEFT_OUT
    }
    tree = client.partition("@")[2]
    return {**kept, "PYTHONPATH": tree} if tree else kept


def progress(text: str) -> None:
    """One line that replaces itself, where somebody is watching."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _version(client: str) -> str:
    """The version of what is measured, as the environment knows it."""
    package = facts_of(client).package
    apart = APART.get(client)
    if apart is not None and apart.exists():
        code = f"from importlib.metadata import version; print(version({package!r}))"
        asked = subprocess.run([apart, "-c", code], capture_output=True, text=True, check=False)
        return asked.stdout.strip()
    try:
        return version(package) if package else ""
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    main()
