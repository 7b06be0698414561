"""What is measured: a line for each case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clients import CLIENTS, Action, Colour, facts_of

__all__ = ["CASES", "MEGABYTE", "Case"]

MEGABYTE = 10**6
Unit = Literal["µs", "ms", "calls", "objects", "MB", "KB"]


@dataclass(frozen=True)
class Case:
    """Something that costs something.

    Attributes:
        name: What it is called on the command line.
        title: What it is called in the tables.
        measure: The function of the package `measures` that measures it.
        colour: How clients are used.
        endpoint: What is asked for, of `servers.Servers`.
        unit: What the cost of one operation is given in.
        at_once: Requests under way at once.
        connections: How many there may be; as many as requests if 0.
        http2: Whether HTTP/2 is spoken.
        action: What is done with the body.
        upload: Bytes sent.
        uvloop: Whether uvloop runs it.
        only: The clients that are measured, if not all that can.
        counted: Whether it is a count, or bytes, and not CPU time: it needs one round only, no calibration.
        latencies: Whether each request is timed too, on the wall.
        further: What further figures are, where they are too many for columns.
        timed: Whether the further figures are times in the unit of the case, to be normalised as the cost is.
    """

    name: str
    title: str
    measure: str
    colour: Colour
    endpoint: str = ""
    unit: Unit = "µs"
    at_once: int = 1
    connections: int = 0
    http2: bool = False
    action: Action = "get"
    upload: int = 0
    uvloop: bool = False
    only: frozenset[str] = frozenset()
    counted: bool = False
    latencies: bool = False
    further: str = ""
    timed: bool = False

    def takes(self, client: str) -> bool:
        """Whether `client` can take part."""
        name = client.partition("@")[0]
        facts = facts_of(client)
        if self.only:
            return name in self.only
        return (
            self.colour in (facts.http2 if self.http2 else facts.colours)
            and (facts.multiplexes or not self.http2 or self.at_once == 1)
            and (facts.threads or self.measure != "threads")
            and (name != "scallion-speed" or self.http2)
            and (facts.python or self.measure not in {"calls", "cycles"})
            and not (facts.floor and self.measure in {"cycles", "fresh"})
        )


_MAKING = frozenset(name for name in CLIENTS if name not in {"scallion-speed", "socket", "asyncio"})

_OURS = frozenset({"scallion"})
_STREAMING = frozenset({"scallion", "httpx", "httpx2"})

_ALL = (
    Case("sync", "sync, one at a time", "requests", "sync", "json"),
    Case("sync-tls", "sync, TLS", "requests", "sync", "json-tls"),
    Case("threads-16", "sync, 16 threads on one client", "threads", "sync", "json", at_once=16),
    Case("asyncio-1", "asyncio, one at a time", "requests", "asyncio", "json"),
    Case("asyncio-tls", "asyncio, TLS", "requests", "asyncio", "json-tls"),
    Case("asyncio-10", "asyncio, 10 at once", "requests", "asyncio", "json", at_once=10),
    Case("asyncio-1-uvloop", "uvloop, one at a time", "requests", "asyncio", "json", uvloop=True),
    Case(
        "asyncio-10-uvloop",
        "uvloop, 10 at once",
        "requests",
        "asyncio",
        "json",
        at_once=10,
        uvloop=True,
    ),
    Case(
        "asyncio-1000",
        "asyncio, 1,000 at once over 100 connections",
        "requests",
        "asyncio",
        "json",
        at_once=1000,
        connections=100,
        latencies=True,
    ),
    Case(
        "gather-100",
        "gather of 100 on 100 warm connections",
        "gather",
        "asyncio",
        "json",
        "ms",
        connections=100,
    ),
    Case("trio-1", "trio, one at a time", "requests", "trio", "json"),
    Case("trio-16", "trio, 16 at once", "requests", "trio", "json", at_once=16),
    Case("h2-sync-1", "HTTP/2, one at a time, sync", "requests", "sync", "json-h2", http2=True),
    Case(
        "h2-asyncio-1",
        "HTTP/2, one at a time, asyncio",
        "requests",
        "asyncio",
        "json-h2",
        http2=True,
    ),
    Case(
        "h2-asyncio-100",
        "HTTP/2, 100 streams on one connection, asyncio",
        "requests",
        "asyncio",
        "json-h2",
        at_once=100,
        connections=1,
        http2=True,
    ),
    Case("tls-connect-sync", "new TLS connection, sync", "requests", "sync", "close-tls"),
    Case("tls-connect-asyncio", "new TLS connection, asyncio", "requests", "asyncio", "close-tls"),
    Case("client-made", "Client() made and closed", "made", "sync", only=_MAKING),
    Case("one-shot", "one-shot get() over http", "one_shot", "sync", "json"),
    Case("body-1mb-sync", "1 MB body kept, sync", "requests", "sync", "1mb"),
    Case("body-1mb-asyncio", "1 MB body kept, asyncio", "requests", "asyncio", "1mb"),
    *(
        Case(
            f"download-100mb-{colour}",
            f"download 100 MB, {colour}",
            "requests",
            colour,
            "100mb",
            "ms",
            action="download",
        )
        for colour in ("sync", "asyncio", "trio")
    ),
    *(
        Case(
            f"download-100mb-h2-{colour}",
            f"download 100 MB over HTTP/2, {colour}",
            "requests",
            colour,
            "100mb-h2",
            "ms",
            http2=True,
            action="download",
        )
        for colour in ("sync", "asyncio")
    ),
    *(
        Case(
            f"upload-10mb-h2-{colour}",
            f"upload 10 MB over HTTP/2, {colour}",
            "requests",
            colour,
            "upload-h2",
            "ms",
            http2=True,
            action="upload",
            upload=10 * MEGABYTE,
        )
        for colour in ("sync", "asyncio")
    ),
    *(
        Case(
            f"upload-10mb-{colour}",
            f"upload 10 MB, {colour}",
            "requests",
            colour,
            "upload",
            "ms",
            action="upload",
            upload=10 * MEGABYTE,
        )
        for colour in ("sync", "asyncio")
    ),
    *(
        Case(f"import-{colour}", f"import, for {colour} use", "fresh", colour, "json", "ms")
        for colour in ("sync", "asyncio")
    ),
    *(
        Case(
            f"first-request-{colour}",
            f"import, a client, a request over http, {colour}",
            "fresh",
            colour,
            "json",
            "ms",
        )
        for colour in ("sync", "asyncio")
    ),
    *(
        Case(
            f"layer-{colour}",
            f"one more layer that does nothing, {colour}",
            "layer",
            colour,
            only=_OURS,
        )
        for colour in ("sync", "asyncio")
    ),
    *(
        Case(
            f"layers-{colour}",
            f"the dearest layer of the stack for services, {colour}",
            "layers",
            colour,
            only=_OURS,
            further="Each of them, µs",
            timed=True,
        )
        for colour in ("sync", "asyncio")
    ),
    *(
        Case(
            f"stack-{colour}",
            f"all of the idle `service_stack()`, over no layers, {colour}",
            "stack",
            colour,
            only=_OURS,
            timed=True,
        )
        for colour in ("sync", "asyncio")
    ),
    *(
        Case(
            f"calls-{colour}",
            f"Python calls per request, {colour}",
            "calls",
            colour,
            "json",
            "calls",
            counted=True,
        )
        for colour in ("sync", "asyncio")
    ),
    *(
        Case(
            f"syscalls-{colour}",
            f"system calls per request, {colour}",
            "syscalls",
            colour,
            "json",
            "calls",
            counted=True,
        )
        for colour in ("sync", "asyncio")
    ),
    *(
        Case(
            f"cycles-{colour}",
            f"objects left in reference cycles per request, {colour}",
            "cycles",
            colour,
            "json",
            "objects",
            counted=True,
        )
        for colour in ("sync", "asyncio")
    ),
    *(
        Case(
            f"memory-{colour}",
            f"memory at rest, after ten requests, {colour}",
            "fresh",
            colour,
            "json",
            "MB",
            counted=True,
        )
        for colour in ("sync", "asyncio")
    ),
    *(
        Case(
            f"memory-download-1gb-{colour}",
            f"memory that a download of 1 GB takes, {colour}",
            "streamed",
            colour,
            "1gb",
            "MB",
            action="download",
            only=_STREAMING,
            counted=True,
        )
        for colour in ("sync", "asyncio")
    ),
    *(
        Case(
            f"memory-upload-1gb-{colour}",
            f"memory that a streamed upload of 1 GB takes, {colour}",
            "streamed",
            colour,
            "upload",
            "MB",
            action="stream",
            upload=1000 * MEGABYTE,
            only=_STREAMING,
            counted=True,
        )
        for colour in ("sync", "asyncio")
    ),
    Case(
        "memory-idle",
        "memory of an idle connection, of 10,000",
        "idle",
        "asyncio",
        "together",
        "KB",
        connections=10_000,
        only=frozenset({"scallion", "aiohttp", "pyreqwest"}),
        counted=True,
    ),
)

CASES = {case.name: case for case in _ALL}
