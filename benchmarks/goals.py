"""The goals, once: for each case what its cost is compared with, and how much of that it may be."""

from __future__ import annotations

from dataclasses import dataclass

from measures.idle_layers import AT_WORK, LAYERS
from results import Results

__all__ = ["GOALS", "IDLE_LAYER", "Goal"]

IDLE_LAYER = 2.0
"""Microseconds that any layer of the stack for services may cost a request with which it has nothing special to do."""


@dataclass(frozen=True)
class Goal:
    """A bound on what a case costs scallion.

    Attributes:
        case: The case it is about.
        bound: What is still good enough.
        of: The client whose cost is the measure; "" where the cost itself is bounded; or a case in
            angle brackets, where it is our own cost there.
        subject: scallion, or scallion with its extra.
        figures: Not the cost is meant, but the ratio of these two further figures.
        figure: Not the cost is meant, but this further figure.
    """

    case: str
    bound: float
    of: str = "httpx"
    subject: str = "scallion"
    figures: tuple[str, str] | None = None
    figure: str = ""

    def reached(self, results: Results) -> float | None:
        """The figure that the bound is for; None where it was not measured."""
        if self.figure:
            return results.extra(self.case, self.subject, self.figure)
        if self.figures is not None:
            above, below = (
                results.extra(self.case, self.subject, figure) for figure in self.figures
            )
        else:
            above, below = results.cost(self.case, self.subject), self._measure(results)
        return None if above is None or not below else above / below

    def _measure(self, results: Results) -> float | None:
        if not self.of:
            return 1.0
        if self.of.startswith("<"):
            return results.cost(self.of.strip("<>"), self.subject)
        return results.cost(self.case, self.of)


GOALS = (
    Goal("sync", 0.18),
    Goal("sync-tls", 0.22),
    Goal("threads-16", 1.2, of="<sync>"),
    Goal("asyncio-1", 0.14),
    Goal("asyncio-10", 0.08),
    Goal("asyncio-1-uvloop", 0.7, of="aiohttp"),
    Goal("asyncio-10-uvloop", 0.7, of="aiohttp"),
    Goal("asyncio-1000", 1.2, of="<asyncio-10>"),
    Goal("asyncio-1000", 3.0, figures=("p99 ms", "p50 ms")),
    Goal("gather-100", 6.0, of=""),
    Goal("trio-1", 0.25),
    Goal("h2-asyncio-100", 0.17),
    Goal("h2-asyncio-100", 0.10, subject="scallion-speed"),
    Goal("h2-asyncio-1", 0.28),
    Goal("h2-sync-1", 0.30),
    Goal("tls-connect-sync", 1.2, of="socket"),
    Goal("tls-connect-asyncio", 1.2, of="asyncio"),
    Goal("client-made", 100, of=""),
    Goal("one-shot", 450, of=""),
    Goal("download-100mb-sync", 1.4, of="socket"),
    Goal("download-100mb-asyncio", 0.22),
    Goal("download-100mb-h2-sync", 0.50),
    Goal("download-100mb-h2-asyncio", 0.40),
    Goal("upload-10mb-h2-sync", 0.30),
    Goal("upload-10mb-h2-asyncio", 0.30),
    Goal("body-1mb-sync", 0.18),
    Goal("body-1mb-asyncio", 0.15),
    Goal("import-sync", 40, of=""),
    Goal("import-asyncio", 75, of=""),
    Goal("layer-sync", 0.3, of=""),
    Goal("layer-asyncio", 1.0, of=""),
    *(
        Goal(f"layers-{colour}", IDLE_LAYER, of="", figure=name)
        for colour in ("sync", "asyncio")
        for name in LAYERS
        if name not in AT_WORK
    ),
    Goal("calls-sync", 150, of=""),
    Goal("calls-asyncio", 200, of=""),
    Goal("syscalls-sync", 5, of=""),
    Goal("syscalls-asyncio", 4, of=""),
    Goal("cycles-sync", 0, of=""),
    Goal("cycles-asyncio", 0, of=""),
    Goal("memory-sync", 1.0),
    Goal("memory-asyncio", 1.0),
    Goal("memory-download-1gb-sync", 5, of=""),
    Goal("memory-download-1gb-asyncio", 5, of=""),
    Goal("memory-upload-1gb-sync", 5, of=""),
    Goal("memory-upload-1gb-asyncio", 5, of=""),
)
