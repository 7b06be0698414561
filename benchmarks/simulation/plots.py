"""The plots of docs/simulation.md, one file for each scenario that has one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from simulation.scenarios import dead_dependency, storm, two_choices

__all__ = ["draw"]

# Okabe and Ito's, told apart by those who see fewer colours; and by dashes, on paper.
BLACK, ORANGE, SKY, GREEN, BLUE, RED, PINK, GREY = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
    "#999999",
)
STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    # Text stays text, and the same figures give the same file.
    "svg.fonttype": "none",
    "svg.hashsalt": "simulation",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


def draw(results: dict[str, Any], folder: Path) -> None:
    """Write all plots into `folder`."""
    folder.mkdir(exist_ok=True)
    for name, plot in _PLOTS.items():
        with mpl.rc_context(STYLE):
            figure = plot(results[name]["figures"])
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            plt.close(figure)


def _panels(many: int, height: float = 3.4, **more: Any) -> tuple[Any, Sequence[Any]]:
    figure, axes = plt.subplots(
        1, many, figsize=(10.0, height), layout="constrained", squeeze=False, **more
    )
    return figure, axes[0]


def _storm(found: dict[str, Any]) -> Any:
    figure, (load, good) = _panels(2, height=3.7)
    setting = storm.Setting()
    lines = {
        "no retries": (GREY, "-", "no retries"),
        "naive retries": (RED, "-", "naive retries"),
        "jitter, budget": (ORANGE, "--", "jitter, budget"),
        "service stack": (BLUE, "-", "service stack"),
        "service stack, servers heed deadlines": (GREEN, "-.", "the same, deadlines heeded"),
    }
    for name, (colour, dashes, label) in lines.items():
        series = found[name]
        times = range(len(series["good by second"]))
        sent = [many / setting.rate for many in _smooth(series["attempts by second"])]
        answered = [many / setting.rate for many in _smooth(series["good by second"])]
        load.plot(times, sent, color=colour, linestyle=dashes, label=label)
        good.plot(times, answered, color=colour, linestyle=dashes, label=label)
    for axis in (load, good):
        over = setting.stall_at + setting.stall
        axis.axvspan(setting.stall_at, over, color="#eeeeee", lw=0)
        axis.set_xlabel("seconds (grey: the servers stand still)")
        axis.set_xlim(0, setting.seconds - 1)
        axis.set_ylim(bottom=0)
    load.set_title("Attempts for each call")
    handles, labels = load.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(lines))
    good.set_title("Good answers, as a share of the calls offered")
    return figure


def _smooth(series: list[int], width: int = 3) -> list[float]:
    """Means of so many neighbours, fewer at the ends."""
    half = width // 2
    windows = (series[max(0, at - half) : at + half + 1] for at in range(len(series)))
    return [sum(window) / len(window) for window in windows]


def _slow_replica(found: dict[str, Any]) -> Any:
    names = sorted(found, key=lambda name: found[name]["p99.9"])
    figure, (axis,) = _panels(1, height=4.4)
    places = range(len(names))
    for share, colour, shape in (("p50", GREEN, "o"), ("p99", BLUE, "s"), ("p99.9", RED, "D")):
        values = [found[name][share] * 1000 for name in names]
        axis.scatter(values, places, color=colour, marker=shape, label=share, zorder=3)
    low = [found[name]["p50"] * 1000 for name in names]
    high = [found[name]["p99.9"] * 1000 for name in names]
    axis.hlines(places, low, high, color="#cccccc", zorder=1)
    axis.set_yticks(places, names)
    axis.invert_yaxis()
    axis.set_xscale("log")
    ticks = [10, 20, 50, 100, 200, 500]
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.grid(visible=False, axis="y")
    axis.grid(visible=True, axis="x")
    axis.set_xlabel("milliseconds")
    axis.set_title("How long calls take, with one of ten replicas ten times as slow")
    figure.legend(loc="outside upper right", ncols=3)
    return figure


def _two_choices(found: dict[str, Any]) -> Any:
    figure, (mean, queues) = _panels(2)
    lines = {
        "random": (GREY, "o"),
        "least of two": (ORANGE, "s"),
        "power of two, peak EWMA": (BLUE, "D"),
        "least pending": (GREEN, "^"),
    }
    loads = [*found["loads"]]
    xs = [float(load) for load in loads]
    between = [xs[0] + (xs[-1] - xs[0]) * step / 40 for step in range(41)]
    for one_or_two, label in ((1, "theory"), (2, None)):
        values = [two_choices.theory_time(load, one_or_two) for load in between]
        mean.plot(between, values, color=BLACK, lw=0.9, linestyle=":", label=label)
    for name, (colour, shape) in lines.items():
        values = [found["loads"][load][name]["mean"] for load in loads]
        mean.plot(xs, values, color=colour, marker=shape, ls="none", label=name)
        shares = found["loads"][f"{found['at']:g}"][name]["at least"]
        shown = [(i, share) for i, share in enumerate(shares, 1) if share >= 5e-4]
        queues.plot(*zip(*shown, strict=True), color=colour, marker=shape, ls="none", label=name)
    for choices in ("1", "2"):
        shares = [share for share in found["theory, queues"][choices] if share >= 5e-4]
        queues.plot(range(1, len(shares) + 1), shares, color=BLACK, lw=0.9, linestyle=":")
    mean.set_xticks(xs, loads)
    mean.set_ylim(bottom=0)
    mean.set_xlabel("load, as a share of what the servers can do")
    mean.set_title("Mean time at a server, in service times")
    mean.legend(loc="upper left")
    queues.set_yscale("log")
    queues.set_ylim(5e-4, 1.3)
    queues.set_xlabel(f"requests at the server, at a load of {found['at']:g}")
    queues.set_title("Share of servers that have at least so many")
    return figure


def _dead_dependency(found: dict[str, Any]) -> Any:
    figure, (axis,) = _panels(1)
    setting = dead_dependency.Setting()
    lines = {
        "nothing": (RED, "-"),
        "read timeout of 5 s": (ORANGE, "-"),
        "attempt timeout of 1 s": (SKY, "-"),
        "read timeout of 5 s, bulkhead of 10": (PINK, "--"),
        "service stack as it is": (BLUE, "-."),
        "service stack, attempt 1 s, total 2 s": (GREEN, "-"),
    }
    for name, (colour, dashes) in lines.items():
        series = found[name]["held by second"]
        times = range(1, len(series) + 1)
        held = [max(many, 1) for many in series]
        axis.plot(times, held, color=colour, linestyle=dashes, label=name)
    axis.axvspan(setting.dies, setting.revives, color="#eeeeee", lw=0)
    axis.set_yscale("log")
    axis.set_xlim(1, setting.seconds)
    axis.set_xlabel("seconds (grey: nothing comes back)")
    axis.set_title("Calls under way in all 20 processes")
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _overload(found: dict[str, Any]) -> Any:
    figure, (goodput, limits) = _panels(2, height=3.8)
    lines = {
        "no limits": (RED, "-", "o"),
        "bulkhead of 5": (GREY, "-", "s"),
        "AIMD": (ORANGE, "--", "D"),
        "gradient": (BLUE, "-", "^"),
        "deadlines heeded": (PINK, "--", "v"),
        "gradient, deadlines heeded": (GREEN, "-.", "P"),
    }
    for name, (colour, dashes, shape) in lines.items():
        loads = found["loads"][name]
        values = [loads[load]["goodput"] for load in loads]
        xs = [float(load) for load in loads]
        goodput.plot(xs, values, color=colour, linestyle=dashes, marker=shape, ms=4, label=name)
    goodput.set_ylim(0, 1.02)
    goodput.set_xlabel("calls offered, as a share of what the servers can do")
    goodput.set_title("Answers within 2 s, as a share of the same")
    goodput.legend(loc="center right", bbox_to_anchor=(1.0, 0.55), fontsize=8)
    shared = {
        "AIMD": (ORANGE, "--"),
        "gradient": (BLUE, "-"),
        "gradient, deadlines of 2 s": (SKY, "-."),
    }
    for name, (colour, dashes) in shared.items():
        series = found["saturated"][name]["limit by second"]
        minutes = [second / 60 for second in range(len(series))]
        limits.plot(minutes, series, color=colour, linestyle=dashes, label=name, lw=1.3)
    limits.set_ylim(bottom=0)
    limits.set_xlabel("minutes (the first at half load, then twice too much)")
    limits.set_title("Mean limit of ten processes, for 20 workers together")
    limits.legend(loc="upper left", fontsize=8)
    return figure


_PLOTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "storm": _storm,
    "slow-replica": _slow_replica,
    "two-choices": _two_choices,
    "dead-dependency": _dead_dependency,
    "overload": _overload,
}
