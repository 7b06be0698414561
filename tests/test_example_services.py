"""The example of three services: what it draws, and one whole afternoon of real processes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from services.processes import DidNotStart, Service, free_ports
from services.report import most_telling
from services.spans import Event, Span, Trace, Written
from services.tree import WIDTH, draw

from scallion import AsyncClient

EXAMPLE = Path(__file__).parent.parent / "examples" / "services"
NAMES = {"http://127.0.0.1:1": "stock-1", "http://127.0.0.1:2": "stock-2"}

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.name != "posix", reason="services are stopped by POSIX signals"),
]


# Traces


def span(
    key: str,
    start: int,
    end: int,
    *,
    parent: str | None = None,
    kind: str = "CLIENT",
    service: str = "orders",
    port: int = 1,
    events: tuple[Event, ...] = (),
    **attributes: Any,
) -> Span:
    """One of the trace "t", its times in milliseconds."""
    named = {
        "http.request.method": "GET",
        "url.full": "http://stock/stock/apple",
        "server.address": "127.0.0.1" if kind == "CLIENT" else "stock",
        "server.port": port,
        **{name.replace("__", "."): value for name, value in attributes.items()},
    }
    if kind == "SERVER":
        named = {"scallion.request_id": "7"}
    name = "a name"
    times = (start * 1_000_000, end * 1_000_000)
    return Span("t", key, parent, service, 1, name, kind, *times, named, events)


def event(name: str, at: int, **fields: Any) -> Event:
    return Event(name, at * 1_000_000, fields)


def status(code: int) -> dict[str, int]:
    return {"http__response__status_code": code}


def test_a_call_with_several_attempts_shows_all_that_became_of_it() -> None:
    """
    Each attempt, wait and decision has a line, in the order of time; what the server worked is within what was waited.
    """
    call = span(
        "call",
        0,
        320,
        kind="INTERNAL",
        events=(
            event("endpoint.ejected", 20, endpoint="127.0.0.1:1", seconds=3.0, failures=5),
            event("retry", 20, wait=0.1, reason="503"),
            event("request_id", 0, id="7"),
        ),
        **status(200),
    )
    trace = Trace(
        [
            call,
            span("try", 0, 20, parent="call", **status(503)),
            span("silent", 120, 320, parent="call", port=2),
            span("hedge", 170, 320, parent="call", scallion__hedge=1, **status(200)),
            span("work", 220, 270, parent="hedge", kind="SERVER", service="stock-1"),
        ]
    )

    lines = draw(trace, NAMES).splitlines()

    shown = [line[:57].split() for line in lines[1:]]
    assert [
        ["orders", "→", "stock", "GET", "/stock/apple", "200"],
        ["├", "try", "1", "at", "stock-1", "503"],
        ["├", "stock-1", "left", "out", "for", "3", "s:", "5", "failures"],
        ["├", "waits,", "then", "tries", "again", "after", "503"],
        ["├", "try", "2", "at", "stock-2", "called", "off"],
        ["└", "hedge,", "try", "3", "at", "stock-1", "200"],
    ] == shown
    charts = [line[58:90].strip() for line in lines[1:]]
    assert ["░" * 32, "░░░", "┆", "·" * 11, "░" * 20, "░" * 5 + "█" * 6 + "░" * 4] == charts
    assert "320.0" == lines[1][90:].strip()


def test_a_call_with_one_attempt_is_one_line_and_what_it_led_to_is_below() -> None:
    """
    The chain of processes reads as a tree, one line for each.
    """
    trace = Trace(
        [
            span("root", 0, 100, kind="INTERNAL", service="shop", **status(200)),
            span("one", 0, 100, parent="root", service="shop", **status(200)),
            span("work", 10, 90, parent="one", kind="SERVER"),
            span("call", 20, 80, parent="work", kind="INTERNAL", error__type="ConnectError"),
            span("two", 20, 80, parent="call", port=2, error__type="ConnectError"),
        ]
    )

    lines = draw(trace, NAMES).splitlines()

    assert [
        ["shop", "→", "stock-1", "GET", "/stock/apple", "200"],
        ["└", "orders", "→", "stock-2", "GET", "/stock/apple", "ConnectError"],
    ] == [line[:57].split() for line in lines[1:]]
    assert all(len(line) <= WIDTH for line in lines)


def test_a_refused_call_shows_why_nothing_was_sent() -> None:
    """
    It has no attempt, and a line for each circuit that was open.
    """
    refusals = tuple(
        event("breaker.refused", 1, origin=origin, phase="open", retry_after=1.0)
        for origin in NAMES
    )
    trace = Trace([span("call", 0, 2, kind="INTERNAL", events=refusals, error__type="CircuitOpen")])

    assert [
        ["orders", "→", "stock", "GET", "/stock/apple", "CircuitOpen"],
        ["├", "stock-1:", "not", "sent", "circuit", "is", "open"],
        ["└", "stock-2:", "not", "sent", "circuit", "is", "open"],
    ] == [line[:57].split() for line in draw(trace, NAMES).splitlines()[1:]]


def test_the_most_telling_trace_of_each_kind_is_chosen() -> None:
    """
    Of two calls that were retried that with more attempts; none of those that went well.
    """

    def trace(*codes: int) -> Trace:
        attempts = [
            span(str(number), number, number + 1, **status(code))
            for number, code in enumerate(codes)
        ]
        return Trace(attempts)

    well, better, best = trace(200), trace(503, 200), trace(503, 503, 200)

    assert {"retried": best} == most_telling([well, better, best])


def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    """
    Nothing is read twice, and no half of a span.
    """
    told = {
        **dict.fromkeys(("trace", "id", "parent", "service", "name", "kind"), ""),
        **dict.fromkeys(("pid", "start", "end"), 1),
        "attributes": {},
        "events": [],
    }
    line = f"{json.dumps(told)}\n"
    path = tmp_path / "orders.spans"
    written = Written(tmp_path)

    path.write_text(line + line[:20])
    first = written.more()
    path.write_text(line * 3)

    assert [1, 2, 0] == [len(first), len(written.more()), len(written.more())]


# Processes


@contextmanager
def afternoon(folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """One in a hurry; it is ended if it does not end by itself."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE), "--pace", "0.4", "--keep", str(folder)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    try:
        with process:
            yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def lines_of(folder: Path, pattern: str) -> list[dict[str, Any]]:
    """What the files of a kind say."""
    files = sorted(folder.glob(pattern))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def those_that_run(folder: Path) -> list[int]:
    """The processes that have written spans, and are still there."""
    pids = {told["pid"] for told in lines_of(folder, "*.spans")}
    assert len(pids) > 5
    return [pid for pid in pids if Path(f"/proc/{pid}").exists() or _answers(pid)]


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_afternoon_is_survived_and_every_attempt_is_seen(
    machine_environment: dict[str, str], tmp_path: Path
) -> None:
    """
    It ends with success, its traces show each attempt that a process made or a ledger knows of, and nobody is left.
    """
    environment = {**machine_environment, "PYTHONIOENCODING": "utf-8"}
    with afternoon(tmp_path, environment) as process:
        printed, _ = process.communicate(timeout=100)

    assert 0 == process.returncode, printed
    assert printed.splitlines()[-1].startswith("example services: success"), printed
    assert "\x1b" not in printed
    assert max(map(len, printed.splitlines())) <= WIDTH

    made = [told for told in lines_of(tmp_path, "orders.spans") if told["kind"] == "CLIENT"]
    ledger = lines_of(tmp_path, "*.ledger")
    assert ledger
    assert {entry["span"] for entry in ledger} <= {told["id"] for told in made}
    kinds = dict.fromkeys(re.findall(r"^trace ([0-9a-f]{32})", printed, re.MULTILINE))
    assert len(kinds) >= 2
    for trace, text in zip(
        kinds, re.split(r"^trace ", printed, flags=re.MULTILINE)[1:], strict=True
    ):
        shown = re.findall(r"try \d+ at stock-\d +(\d+|\w+)", text)
        assert len(shown) == sum(told["trace"] == trace for told in made), text
        arrived = [entry for entry in ledger if entry["trace"] == trace]
        assert sum(outcome.isdecimal() for outcome in shown) <= len(arrived) <= len(shown), text
    assert "circuit is open" in printed
    assert [] == those_that_run(tmp_path)


def test_ctrl_c_ends_all_processes(machine_environment: dict[str, str], tmp_path: Path) -> None:
    """
    Whoever has seen enough leaves nothing running.
    """
    environment = {**machine_environment, "PYTHONIOENCODING": "utf-8"}
    with afternoon(tmp_path, environment) as process:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if line.startswith("13:00"):
                break
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)

    assert 130 == process.returncode, "".join(seen) + rest
    assert rest.splitlines()[-1] == "example services: ended by hand"
    assert "Traceback" not in rest
    assert [] == those_that_run(tmp_path)


def test_a_service_that_dies_at_its_start_tells_why(tmp_path: Path) -> None:
    """
    The error has all that it said.
    """
    (port,) = free_ports(1)
    service = Service("stock-1", "nowhere", port, tmp_path, {})

    async def start() -> None:
        async with AsyncClient() as client:
            service.start()
            await service.ready(client)

    with pytest.raises(DidNotStart, match=r"(?s)^stock-1 ended with code \d.*services\.nowhere"):
        asyncio.run(start())
