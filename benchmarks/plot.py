"""The plot of docs/benchmarks.md: bars of what clients cost relative to httpx, a panel for each of some cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from cases import CASES
from clients import facts_of
from report import number
from results import Results

__all__ = ["plot"]

PANELS = {
    "sync": "sync, one at a time",
    "sync-tls": "sync, TLS",
    "asyncio-1": "asyncio, one at a time",
    "asyncio-10": "asyncio, 10 at once",
    "asyncio-1000": "asyncio, 1,000 at once",
    "h2-asyncio-100": "HTTP/2, 100 streams",
    "body-1mb-asyncio": "1 MB body kept, asyncio",
    "download-100mb-sync": "download of 100 MB, sync",
    "tls-connect-sync": "new TLS connection, sync",
}
COLUMNS = 3
OURS, THEIRS, FLOOR = "#b5338a", "#8a9bb0", "#d8dde4"
STYLE = {
    "font.family": "sans-serif",
    "font.size": 8,
    # Text stays text, and the same figures give the same file.
    "svg.fonttype": "none",
    "svg.hashsalt": "benchmarks",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.bottom": False,
}


def plot(results: Results, to: Path) -> None:
    """Write the plot to `to`, in the format that its name says."""
    panels = [case for case in PANELS if case in results.cases and results.cases[case].samples]
    rows = -(-len(panels) // COLUMNS)
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, COLUMNS, figsize=(11, 2.9 * rows), layout="constrained", squeeze=False
        )
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        for axis, case in zip(axes.flat, panels, strict=False):
            _panel(axis, results, case)
        figure.suptitle("CPU time of the client, httpx = 1; shorter is better", fontsize=10)
        figure.savefig(to, metadata={"Date": None} if to.suffix == ".svg" else None, dpi=110)
        plt.close(figure)


def _panel(axis: Any, results: Results, case: str) -> None:
    ranking = results.ranking(case)[::-1]
    # Without httpx in the run, the dearest is the measure.
    measure = results.cost(case, "httpx") or ranking[0][1]
    names = [f"bare {name}" if facts_of(name).floor else name for name, _ in ranking]
    shares = [cost / measure for _, cost in ranking]
    colours = [_colour(name) for name, _ in ranking]
    axis.barh(names, shares, color=colours, height=0.75)
    for at, (share, (_, cost)) in enumerate(zip(shares, ranking, strict=True)):
        axis.text(
            share + 0.015 * max(shares),
            at,
            f"{share:.2f}  ({number(cost)} {CASES[case].unit})",
            va="center",
            fontsize=7,
        )
    axis.set_title(PANELS[case], fontsize=9, loc="left")
    axis.set_xlim(0, max(shares) * 1.38)
    axis.set_xticks([])
    axis.tick_params(axis="y", length=0)
    for label, (name, _) in zip(axis.get_yticklabels(), ranking, strict=True):
        if name.startswith("scallion"):
            label.set_fontweight("bold")


def _colour(client: str) -> str:
    if client.startswith("scallion"):
        return OURS
    return FLOOR if facts_of(client).floor else THEIRS
