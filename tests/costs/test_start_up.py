"""What a program pays before its first answer: certificates that are read, and modules that are loaded."""

from __future__ import annotations

import sys

import pytest

from support.colours import COLOURS

from .conftest import Measure, run
from .limits import START_UP_MODULES

PROGRAMS = {
    "sync": """
with scallion.Client() as client:
    assert client.get(url).status_code == 200
""",
    "asyncio": """
import asyncio
async def main():
    async with scallion.AsyncClient() as client:
        assert (await client.get(url)).status_code == 200
asyncio.run(main())
""",
}
# What a plain request over http has no use for.
UNWANTED = frozenset(
    {"anyio", "certifi", "click", "email", "h2", "httpx", "idna", "logging", "opentelemetry", "rich", "structlog", "tenacity", "trio"}
)  # fmt: skip


@pytest.mark.parametrize("colour", COLOURS)
def test_authorities_are_read_at_the_first_connection_that_needs_them(
    colour: str, server: str, secure_server: str, measure: Measure
) -> None:
    """
    Reading certifi's costs 20 ms: not for a client, nor for http, and once in a process.
    """
    loaded = measure("authorities", colour, server, secure_url=secure_server)

    assert 0 == loaded.pop("certifi imported")
    assert 1 == loaded.pop("the first client over https")
    assert 1 == loaded.pop("the second client over https")
    # Elsewhere than in the thread of an event loop, whose other tasks would wait.
    assert (1 if colour == "sync" else 0) == loaded.pop("on the main thread")
    assert 0 == sum(loaded.values()), loaded


@pytest.mark.parametrize("colour", PROGRAMS)
def test_one_request_loads_few_modules(colour: str, server: str) -> None:
    """
    Nothing is imported that a plain request does without.
    """
    program = f"import scallion, sys; url = {server!r}{PROGRAMS[colour]}print(*sys.modules)"

    loaded = run(sys.executable, "-c", program).split()

    roots = {name.partition(".")[0] for name in loaded}
    unwanted = UNWANTED - ({"logging"} if colour == "asyncio" else set())
    assert set() == roots & unwanted
    START_UP_MODULES[colour].check(f"Modules of a program with one request, {colour}", len(loaded))
