"""Compare the fast lane with h11 for as long as you like: `python -m tests.fuzz.fast_lane --seconds 3600 --seed 1`.

It makes conversations, ordinary, odd, damaged and random, holds each with the lane and with h11 alone, and stops at the first
of which the two say different things, with the smallest one that it finds.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import NamedTuple

from .conversing import Case, compare
from .generating import Generator
from .shrinking import shrink

__all__ = ["Report", "main", "run", "told"]


class Report(NamedTuple):
    """What a run came to.

    Attributes:
        exchanges: Requests, answered or not, over all cases.
        found: The smallest conversation of which lane and h11 say different things; None for none.
    """

    seed: int
    cases: int
    exchanges: int
    seconds: float
    found: Case | None


def differs(case: Case) -> bool:
    """Whether lane and h11 say different things of `case`, or one of them fails as it should not."""
    try:
        return compare(case) is not None
    except Exception:
        return True


def run(seed: int, *, seconds: float = 0.0, most: int = sys.maxsize) -> Report:
    """Compare for `seconds`, or `most` conversations, whichever is over first; 0 seconds for no such limit."""
    generator = Generator(seed)
    began = time.perf_counter()
    cases = exchanges = 0
    found: Case | None = None
    while cases < most and found is None:
        if seconds and cases % 64 == 0 and time.perf_counter() - began >= seconds:
            break
        case = generator.case()
        cases += 1
        exchanges += len(case)
        if differs(case):
            found = shrink(case, differs)
    return Report(seed, cases, exchanges, time.perf_counter() - began, found)


def told(case: Case) -> str:
    """A difference in words: the conversation, to be pasted into a test, and what the two say of it."""
    lines = ["The fast lane and h11 differ on this conversation:", ""]
    lines += [f"    {exchange!r}," for exchange in case]
    try:
        difference = compare(case)
    except Exception as error:
        return "\n".join([*lines, "", f"One of them failed: {type(error).__name__}: {error}"])
    if difference is not None:
        lines += ["", f"in exchange {difference.number + 1}:"]
        for name in difference.h11._fields:
            h11, lane = getattr(difference.h11, name), getattr(difference.lane, name)
            if h11 != lane:
                lines += [f"    {name}: h11  {h11!r}", f"    {' ' * len(name)}  lane {lane!r}"]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """The program; 1 if a difference was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.fast_lane", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to compare")
    parser.add_argument("--seed", type=int, help="of the first process; the time if left out")
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes, each with a seed of its own"
    )
    given = parser.parse_args(arguments)
    first = int(time.time()) if given.seed is None else given.seed
    if given.jobs == 1:
        return _print([run(first, seconds=given.seconds)])
    with ProcessPoolExecutor(given.jobs) as pool:
        runs = [pool.submit(run, first + n, seconds=given.seconds) for n in range(given.jobs)]
        return _print([each.result() for each in as_completed(runs)])


def _print(reports: list[Report]) -> int:
    failed = 0
    for report in reports:
        rate = report.cases / report.seconds
        print(
            f"seed {report.seed}: {report.cases:,} conversations, {report.exchanges:,} exchanges "
            f"in {report.seconds:.0f} s ({rate:,.0f} a second)",
            "no difference" if report.found is None else "DIFFERENT",
        )
        if report.found is not None:
            failed = 1
            print(told(report.found))
    return failed


if __name__ == "__main__":
    sys.exit(main())
