"""Tables of what was found, in Markdown."""

from __future__ import annotations

from collections.abc import Container

from cases import CASES
from clients import facts_of
from goals import GOALS, Goal
from measures.idle_layers import LAYERS
from results import Results

__all__ = ["case_table", "goals_table", "layers_table", "number", "table"]

TIMED = ("min-max", "a second")


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table whose first column is left-aligned, and the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: list[str]) -> str:
        first, *others = (
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join([first, *others]) + " |"

    ruler = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(map(line, [header, ruler, *rows]))


def number(value: float) -> str:
    """`value` with three digits or so."""
    if value == 0:
        return "0"
    if abs(value) < 0.1:
        return f"{value:.3f}"
    if value < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 30 else f"{value:,.0f}"


def case_table(results: Results, case: str) -> str:
    """The clients in one case, the cheapest first."""
    httpx = results.cost(case, "httpx")
    extras = extras_of(results, case)
    columns = extras if len(extras) <= 3 else []
    timed = [] if CASES[case].counted else TIMED
    rows = []
    for client, cost in results.ranking(case):
        ratio = f"{cost / httpx:.3f}" if httpx else "-"
        measured = _timed(results, case, client) if timed else []
        further = [_extra(results, case, client, name) for name in columns]
        rows.append([named(results, client), number(cost), ratio, *measured, *further])
    header = [CASES[case].title, CASES[case].unit, "x httpx", *timed, *columns]
    parts = [table(header, rows)]
    if len(extras) > len(columns):
        parts += [_listed(results, case, client, extras) for client, _ in results.ranking(case)]
    absent = results.cases[case].absent
    if absent:
        reasons = "; ".join(f"{client}, which {reason}" for client, reason in absent.items())
        parts.append(f"Without {reasons}.")
    return "\n\n".join(parts)


def _timed(results: Results, case: str, client: str) -> list[str]:
    costs = results.costs(case, client)
    rate = number(results.per_second(case, client))
    return [f"{number(min(costs))}-{number(max(costs))}", rate]


def _listed(results: Results, case: str, client: str, extras: list[str]) -> str:
    figures = (f"{name} {_extra(results, case, client, name)}" for name in extras)
    return f"{CASES[case].further or named(results, client)}: {', '.join(figures)}."


def extras_of(results: Results, case: str) -> list[str]:
    """The names of further figures."""
    samples = [sample for each in results.cases[case].samples.values() for sample in each]
    return sorted({name for sample in samples for name in sample["extra"]})


def _extra(results: Results, case: str, client: str, name: str) -> str:
    value = results.extra(case, client, name)
    return "" if value is None else number(value)


def named(results: Results, client: str) -> str:
    """A client and its version; what a floor is in words."""
    if facts_of(client).floor:
        return f"*bare {client}*"
    version = results.run.versions.get(client, "")
    return f"{client} {version}".rstrip()


def goals_table(results: Results, cases: Container[str]) -> str:
    """Each goal for one of `cases`, what was reached, whether it is met, and the cheapest others."""
    rows = []
    for goal in GOALS:
        if goal.case not in cases or goal.figure:
            continue
        reached = goal.reached(results)
        if reached is None:
            rows.append([_title(goal), _wanted(goal), "not measured", "", ""])
            continue
        met = "met" if reached <= goal.bound else "**missed**"
        # To three digits, so that a near miss looks like one.
        exact = f"{reached:.3g}" if reached < 100 else number(reached)
        rows.append([_title(goal), _wanted(goal), exact, met, _peers(results, goal)])
    return table(["case", "goal", "scallion", "", "the cheapest others"], rows)


def layers_table(results: Results) -> str:
    """What each layer costs in both colours, and whether that meets the goal, if there is one; empty if none was measured."""
    bounds = {(goal.case, goal.figure): goal.bound for goal in GOALS if goal.figure}
    cases = [case for case in dict.fromkeys(case for case, _ in bounds) if results.cases.get(case)]
    if not cases:
        return ""
    rows = []
    for name in LAYERS:
        bound = bounds.get((cases[0], name))
        cells = []
        for case in cases:
            cost = results.extra(case, "scallion", name)
            if cost is None:
                cells += ["not measured", ""]
            else:
                met = "" if bound is None else "met" if cost <= bound else "**missed**"
                cells += [number(cost), met]
        rows.append([name, "at work" if bound is None else f"{bound:g} µs", *cells])
    colours = [cell for case in cases for cell in (f"{CASES[case].colour}, µs", "")]
    return table(["layer", "goal", *colours], rows)


def _title(goal: Goal) -> str:
    title = CASES[goal.case].title
    if goal.subject != "scallion":
        title += ", with the extra"
    return f"{title}: {goal.figures[0].split()[0]}" if goal.figures else title


def _wanted(goal: Goal) -> str:
    bound = f"{goal.bound:g}"
    if goal.figures:
        return f"{bound} of the {goal.figures[1].split()[0]}"
    if not goal.of:
        return f"{bound} {CASES[goal.case].unit}"
    if goal.of.startswith("<"):
        return f"{bound} of our own {CASES[goal.of.strip('<>')].title}"
    return f"{bound} of {'a bare ' if facts_of(goal.of).floor else ''}{goal.of}"


def _peers(results: Results, goal: Goal) -> str:
    """The three cheapest clients that are not scallion, and httpx2."""
    if goal.figures:
        return ""
    measured = {
        client: Goal(goal.case, goal.bound, goal.of, client).reached(results)
        for client, _ in results.ranking(goal.case)
        if not client.startswith("scallion") and not facts_of(client).floor
    }
    known = {client: value for client, value in measured.items() if value is not None}
    shown = [*list(known)[:3], *(["httpx2"] if "httpx2" in list(known)[3:] else [])]
    return ", ".join(f"{client} {number(known[client])}" for client in shown)
