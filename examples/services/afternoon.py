"""The afternoon: starts the services, lets customers come and the script go its way; then tells how it was."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from scallion import RequestError

from .customers import Customers
from .processes import DidNotStart
from .report import Page, claims, heading, most_telling, paint, row, title_of
from .script import AFTERNOON, OUTAGE, PATIENCE, RATE, TOGETHER, Chapter, hurry
from .spans import Trace, Written, arrivals
from .telemetry import provide
from .town import Town
from .tree import draw

__all__ = ["main"]

CHAPTER = 4.5
"""Seconds that a chapter lasts at pace 1."""

_HERE = Path(__file__).parent


class Afternoon:
    """One run of the script.

    Attributes:
        pages: What has happened so far, a page for each chapter.
    """

    def __init__(self, town: Town, customers: Customers, pace: float) -> None:
        self.pages: list[Page] = []
        self.written = Written(town.folder)
        self._town = town
        self._customers = customers
        self._seconds = CHAPTER * pace

    async def pass_by(self) -> None:
        async with self._customers.coming():
            # What was before the doors opened is in no row.
            self.written.more()
            for chapter in AFTERNOON:
                await self._play(chapter)
        self._turn()
        # Those who came last are in nobody's row so far.
        print(row(self.pages[-1]), flush=True)

    async def _play(self, chapter: Chapter) -> None:
        if self.pages:
            self._turn()
            print(row(self.pages[-1]), flush=True)
        page = Page(chapter, time.time())
        self.pages.append(page)
        async with self._watching(page):
            until = time.monotonic() + self._seconds
            await chapter.act(self._town, self._seconds)
            await asyncio.sleep(until - time.monotonic())

    @asynccontextmanager
    async def _watching(self, page: Page) -> AsyncIterator[None]:
        async def watch() -> None:
            while True:
                # A look that was missed is no part of the story.
                with suppress(RequestError):
                    page.look(await self._town.onion(), self._town.names)
                await asyncio.sleep(0.1)

        watcher = asyncio.create_task(watch())
        try:
            yield
        finally:
            watcher.cancel()
            await asyncio.wait([watcher])

    def _turn(self) -> None:
        """Complete the page that is open: visits and tries belong to the chapter that they ended in."""
        page = self.pages[-1]
        page.tries = [
            span for span in self.written.more() if span.is_attempt and span.service == "orders"
        ]
        told = sum(len(each.visits) for each in self.pages)
        page.visits = self._customers.visits[told:]


async def afternoon(folder: Path, pace: float) -> bool:
    """Play it, print all, and say whether the services have survived it."""
    provide(folder / "customers.spans")
    async with Town(folder, hurry(pace)) as town:
        customers = Customers(town.shop.url, RATE, TOGETHER, PATIENCE)
        story = Afternoon(town, customers, pace)
        print(_opening(pace))
        print(paint(heading(), "bold"))
        await story.pass_by()
    # All processes have ended, and so all spans are written.
    traces = story.written.traces()
    mine = {visit.trace: traces[visit.trace] for visit in customers.visits}
    _print_traces(mine, story.pages, town.names)
    began = {page.chapter.clock: page for page in story.pages}
    clocks = list(began)
    outage = began[OUTAGE]
    well_again = began[clocks[clocks.index(OUTAGE) + 2]].began
    results = claims(
        customers.visits,
        (outage.began, well_again),
        traces,
        list(arrivals(folder)),
        (len(outage.tries), len(outage.visits)),
        PATIENCE,
    )
    print(paint("\nWhat the afternoon had to show", "bold"))
    for holds, claim in results:
        print(f"  {paint('ok', 'green') if holds else paint('FAILED', 'red')}  {claim}")
    return all(holds for holds, _ in results)


def _opening(pace: float) -> str:
    source = (_HERE / "orders.py").read_text().splitlines()
    line = next(line for line in source if line.startswith("stock = "))
    lasts = f"{RATE} customers a second, {CHAPTER * pace * len(AFTERNOON):.0f} seconds"
    return f"""\
{paint("An afternoon of three services", "bold")}: {lasts}

customers → shop → orders → stock-1, stock-2, stock-3     each of them a process of its own

What orders says about calling stock; its environment says where the three replicas are:

{paint(line, "bold")}

full: with what stock says. later: taken all the same, to be confirmed. lost: an error.
"""


def _print_traces(traces: dict[str, Trace], pages: list[Page], names: dict[str, str]) -> None:
    for kind, trace in most_telling(traces.values()).items():
        start = trace.roots[0].start / 1e9
        page = [page for page in pages if page.began <= start or page is pages[0]][-1]
        print(f"\n{page.chapter.clock}  {paint(title_of(kind), 'bold')}")
        print(f"trace {trace.id}   ░ waits  █ at work  · between two tries\n")
        print(draw(trace, names, paint))


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0, it was survived; 1, it was not, or a service did not start; 130, Ctrl-C."""
    parser = argparse.ArgumentParser("services", description=__doc__)
    parser.add_argument("--pace", type=float, default=1.0, help="0.5 takes half as long")
    parser.add_argument("--keep", type=Path, help="an empty folder for spans, ledgers and outputs")
    given = parser.parse_args(arguments)
    if os.name != "posix":
        parser.error("services are stopped by signals that this system does not have")
    os.environ["OTEL_SERVICE_NAME"] = "customers"
    # Asked to end, it ends as by Ctrl-C: with all its processes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            parser.error(f"{folder} is not empty: what is in it would be taken for a part of this")
        try:
            survived = asyncio.run(afternoon(folder, given.pace))
        except DidNotStart as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nexample services: ended by hand", file=sys.stderr)
            return 130
    print(f"\nexample services: {'success, the afternoon was survived' if survived else 'FAILED'}")
    return 0 if survived else 1
