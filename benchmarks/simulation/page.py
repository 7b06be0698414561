"""Makes docs/simulation.md of what was found. The words are in page.md beside this file, the tables are made here.

In page.md, `<!-- name -->` on a line of its own stands for a table, and `{{storm/naive retries/good|%}}` for one figure:
a path into the results, and how it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["page", "shown"]

TEXT = Path(__file__).with_name("page.md")
Found = dict[str, Any]


def page(results: dict[str, Any]) -> str:
    """The document.

    Raises:
        KeyError: page.md asks for what was not found; the message has the path.
    """
    figures = {name: each["figures"] for name, each in results.items()}
    text = TEXT.read_text("utf-8")
    for name, make in _TABLES.items():
        text = text.replace(f"<!-- {name} -->", make(figures))
    text = text.replace("<!-- seeds -->", _seeds(results))
    return re.sub(
        r"\{\{([^|}]+)\|([^}]+)\}\}", lambda match: _figure(figures, *match.groups()), text
    )


def shown(value: Any, how: str) -> str:
    """`value` as text.

    Args:
        value: A number; None for what did not happen; a list of these, of which the least and the most are told.
        how: "%" and ".1%" for shares, "ms" for seconds, "s" for seconds that may be none, "," for counts, "hedged"
            for attempts beyond the first; else a
            format's specification.
    """
    if isinstance(value, list):
        texts = [shown(each, how) for each in sorted(value, key=lambda each: (each is None, each))]
        return (
            texts[0] if texts[0] == texts[-1] else f"{texts[0].removesuffix(' s')} to {texts[-1]}"
        )
    if value is None:
        return "never"
    if how == "%":
        return f"{value * 100:.0f} %"
    if how == ".1%":
        return f"{value * 100:.1f} %"
    if how == "ms":
        return f"{value * 1000:,.0f} ms"
    if how == "s":
        return f"{value:.0f} s"
    if how == "hedged":
        return f"{(value - 1) * 100:.1f} %"
    if how == ",":
        return f"{round(value):,}"
    return format(value, how)


def _figure(figures: Found, path: str, how: str) -> str:
    found: Any = figures
    for step in path.split("/"):
        if isinstance(found, list):
            found = found[int(step)]
        elif step in found:
            found = found[step]
        else:
            raise KeyError(f"page.md: {path}: no {step!r} among {', '.join(found)}")
    return shown(found, how)


def _seeds(results: dict[str, Any]) -> str:
    seeds = {each["seed"] for each in results.values()}
    if len(seeds) == 1:
        return f"seed {seeds.pop()}"
    return "seeds " + ", ".join(f"{each['seed']} ({name})" for name, each in results.items())


def _table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table whose first column is left-aligned, and the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: list[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(padded)} |"

    ruler = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(header), line(ruler), *map(line, rows)])


def _rows(found: Found, columns: dict[str, str], names: list[str] | None = None) -> list[list[str]]:
    """A row for each of `names`, with the figures that `columns` names, each shown in its way."""
    return [
        [name, *(shown(found[name][column], how) for column, how in columns.items())]
        for name in names or found
    ]


def _storm(chosen: Callable[[str], bool]) -> Callable[[Found], str]:
    columns = {
        "amplification": ".2f",
        "amplification after": ".2f",
        "recovered after": "s",
        "good": "%",
        "wasted": "%",
    }
    header = ["", "attempts a call, meanwhile", "20 s after", "well again after", "good", "wasted"]

    def make(figures: Found) -> str:
        found = figures["storm"]
        return _table(header, _rows(found, columns, [name for name in found if chosen(name)]))

    return make


def _is_small(name: str) -> bool:
    return name.endswith("processes")


def _is_refused(name: str) -> bool:
    return name.endswith("refused")


def _slow_replica(figures: Found) -> str:
    columns = {
        "p50": "ms",
        "p99": "ms",
        "p99.9": "ms",
        "load": ".3f",
        "share of the slow one": ".1%",
    }
    header = ["", "p50", "p99", "p99.9", "attempts a call", "sent to the slow one"]
    return _table(header, _rows(figures["slow-replica"], columns))


def _fan_out(figures: Found) -> str:
    columns = {
        "one p99": "ms",
        "page p50": "ms",
        "page p99": "ms",
        "page p99.9": "ms",
        "pages over 1 s": ".1%",
        "load": ".3f",
    }
    header = [
        "",
        "one request's p99",
        "page's p50",
        "p99",
        "p99.9",
        "pages over 1 s",
        "attempts a request",
    ]
    return _table(header, _rows(figures["fan-out"], columns))


def _two_choices(figures: Found) -> str:
    found = figures["two-choices"]["loads"]
    names = [*next(iter(found.values()))]
    rows = [[load, *(f"{_mean(each[name]):.2f}" for name in names)] for load, each in found.items()]
    return _table(["load", *names], rows)


def _processes(figures: Found) -> str:
    found = figures["two-choices"]
    one = found["loads"][f"{found['at']:g}"]
    names = [*next(iter(found["processes"].values()))]
    rows = [
        [many, *(f"{_mean(each[name]):.2f}" for name in names)]
        for many, each in {"1": one, **found["processes"]}.items()
    ]
    return _table(["processes", *names], rows)


def _mean(found: Any) -> float:
    return float(found["mean"] if isinstance(found, dict) else found)


def _dead_dependency(figures: Found) -> str:
    found = figures["dead-dependency"]
    columns = {
        "held": ",",
        "little": ",",
        "most held": ",",
        "p50": "ms",
        "p99": "ms",
        "recovered after": "s",
    }
    header = ["", "under way", "by Little's law", "at most", "p50", "p99", "well again after"]
    rows = _rows(found, columns)
    for row in rows:
        # What has no mean has not ended: nothing is known of how long it takes.
        row[2] = "no end" if row[2] == "never" else row[2]
    return _table(header, rows)


def _overload(figures: Found) -> str:
    found = figures["overload"]["loads"]
    loads = [*next(iter(found.values()))]
    rows = [
        [name, *(shown(each[load]["goodput"], "%") for load in loads)]
        for name, each in found.items()
    ]
    return _table(["load", *(f"{load}x" for load in loads)], rows)


def _saturated(figures: Found) -> str:
    found = figures["overload"]["saturated"]
    minutes = [*range(len(next(iter(found.values()))["by minute"]))]
    shown_of = [minute for minute in minutes if minute in {0, 1, 2, 5, minutes[-1]}]
    header = ["", *(f"minute {minute + 1}" for minute in shown_of)]
    rows = []
    for name, each in found.items():
        rows.append(
            [
                f"{name}: limit",
                *(f"{each['limit by second'][minute * 60 + 59]:.1f}" for minute in shown_of),
            ]
        )
        by_minute = each["by minute"]
        rows.append(
            [
                f"{name}: in time",
                *(shown(by_minute[minute]["goodput"], "%") for minute in shown_of),
            ]
        )
    return _table(header, rows)


_TABLES: dict[str, Callable[[Found], str]] = {
    "storm": _storm(lambda name: not _is_small(name) and not _is_refused(name)),
    "storm-processes": _storm(_is_small),
    "storm-refused": _storm(_is_refused),
    "slow-replica": _slow_replica,
    "fan-out": _fan_out,
    "two-choices": _two_choices,
    "processes": _processes,
    "dead-dependency": _dead_dependency,
    "overload": _overload,
    "saturated": _saturated,
}
