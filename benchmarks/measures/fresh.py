"""What a fresh process pays before it has its first answer, and what memory it then has."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import NamedTuple

from cases import Case
from clients import Adapter, Unavailable
from endpoint import Endpoint
from machine import last_line
from measures.sample import Budget, Sample

__all__ = ["fresh"]

PROCESSES = 3

# A program without anything but what its author would write.
SYNC = """
import resource, sys
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
url = sys.argv[1]
began = cpu()
{imports}
imported = cpu()
{client}
{get}
first = cpu()
for _ in range(10):
    {get}
"""
ASYNCIO = """
import resource, sys
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
url = sys.argv[1]
began = cpu()
import asyncio
{imports}
imported = cpu()
async def main():
    global first
    {client}
    {get}
    first = cpu()
    for _ in range(10):
        {get}
    {close}
asyncio.run(main())
"""
SAY = """
resident = next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]
print([imported - began, first - began, int(resident) / 1e3])
"""


class Program(NamedTuple):
    imports: str
    client: str
    get: str
    close: str = "pass"


_GET = "client.get(url).content"
_ASYNC_GET = "(await client.get(url)).content"

PROGRAMS: dict[tuple[str, str], Program] = {
    **{
        (name, "sync"): Program(f"from {name} import Client", "client = Client()", _GET)
        for name in ("scallion", "httpx", "httpx2", "httpr", "primp")
    },
    **{
        (name, "asyncio"): Program(
            f"from {name} import AsyncClient",
            "client = AsyncClient()",
            _ASYNC_GET,
            "await client.aclose()",
        )
        for name in ("scallion", "httpx", "httpx2")
    },
    ("primp", "asyncio"): Program(
        "from primp import AsyncClient", "client = AsyncClient()", _ASYNC_GET
    ),
    ("zapros", "sync"): Program(
        "from zapros import Client", "client = Client()", "client.get(url).read()"
    ),
    ("zapros", "asyncio"): Program(
        "from zapros import AsyncClient",
        "client = AsyncClient()",
        "await (await client.get(url)).aread()",
        "await client.aclose()",
    ),
    ("requests", "sync"): Program("from requests import Session", "client = Session()", _GET),
    ("niquests", "sync"): Program("from niquests import Session", "client = Session()", _GET),
    ("niquests", "asyncio"): Program(
        "from niquests import AsyncSession",
        "client = AsyncSession()",
        _ASYNC_GET,
        "await client.close()",
    ),
    ("urllib3", "sync"): Program(
        "from urllib3 import PoolManager",
        "client = PoolManager()",
        'client.request("GET", url).data',
    ),
    ("http.client", "sync"): Program(
        "from http.client import HTTPConnection",
        'client = HTTPConnection(url.split("/")[2])',
        'client.request("GET", "/json"); client.getresponse().read()',
    ),
    ("aiohttp", "asyncio"): Program(
        "from aiohttp import ClientSession",
        "client = ClientSession()",
        "await (await client.get(url)).read()",
        "await client.close()",
    ),
    ("pycurl", "sync"): Program(
        "from io import BytesIO; from pycurl import Curl",
        "client = Curl(); client.setopt(client.URL, url)",
        "client.setopt(client.WRITEDATA, BytesIO()); client.perform()",
    ),
    ("pyreqwest", "sync"): Program(
        "from pyreqwest.client import SyncClientBuilder",
        "client = SyncClientBuilder().build()",
        "client.get(url).build().send().bytes()",
    ),
    ("pyreqwest", "asyncio"): Program(
        "from pyreqwest.client import ClientBuilder",
        "client = ClientBuilder().build()",
        "await (await client.get(url).build().send()).bytes()",
    ),
}


def fresh(adapter: Adapter, case: Case, endpoint: Endpoint | None, budget: Budget) -> Sample:  # noqa: ARG001
    """CPU time to import a client, or to have its first answer; or megabytes after ten more, as the case says."""
    assert endpoint is not None
    client = sys.argv[2].partition("@")[0]
    if (client, case.colour) not in PROGRAMS:
        raise Unavailable("has no program of its own here")
    program = PROGRAMS[client, case.colour]
    template = SYNC if case.colour == "sync" else ASYNCIO
    source = template.format(**program._asdict()) + SAY
    # The first one may have to compile what the others find compiled.
    _, *figures = [_figures(source, endpoint.url) for _ in range(1 + PROCESSES)]
    imported, first, resident = (sum(each) for each in zip(*figures, strict=True))
    if case.unit == "MB":
        return Sample(PROCESSES, value=resident / PROCESSES)
    cpu = imported if case.name.startswith("import") else first
    return Sample(PROCESSES, cpu, cpu)


def _figures(source: str, url: str) -> list[float]:
    ran = subprocess.run(
        [sys.executable, "-c", source, url], capture_output=True, text=True, check=False
    )
    if not ran.stdout:
        raise Unavailable(f"failed ({last_line(ran.stderr)})")
    # How it ends does not matter: a client in Rust may abort when the interpreter does.
    figures: list[float] = json.loads(ran.stdout)
    return figures
