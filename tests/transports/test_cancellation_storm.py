"""Ten thousand requests cancelled at random moments: no connection is lost, none leaks, and the pool stays usable."""

from __future__ import annotations

import gc
import math
import os
import random
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
import trustme

from scallion.pipeline.request import Request
from scallion.pipeline.settings import Limits
from scallion.transports.http import AsyncHTTPTransport
from support import peers

REQUESTS = 10_000
AT_ONCE = 100
# Half of what a request takes here, and more: cancelled before, within and after.
LONGEST = 0.1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[str]:
    """The URL of an nginx that speaks both protocols, and does not mind how often streams are reset."""
    folder = tmp_path_factory.mktemp("storm")
    (folder / "www").mkdir()
    (folder / "www" / "small").write_bytes(b"small")
    (folder / "www" / "large").write_bytes(bytes(300_000))
    certificate = peers.Certificate.issue(authority, folder)
    directives = "keepalive_requests 1000000; client_max_body_size 0; error_page 405 =200 /small;"
    with peers.nginx(folder, directives, certificate=certificate) as running:
        yield f"https://localhost:{running.port}"


def sockets() -> int:
    """How many sockets this process has open."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("sockets are counted on Linux only")
    count = 0
    for entry in os.listdir(folder):  # noqa: PTH208  # its own descriptor is gone meanwhile
        try:
            count += os.readlink(folder / entry).startswith("socket:")  # noqa: PTH115
        except OSError:
            pass
    return count


async def storm(
    transport: AsyncHTTPTransport, url: str, requests: int, longest: float, dice: random.Random
) -> dict[str, int]:
    """Send requests, a hundred at once, each cancelled after up to `longest` seconds; what became of them."""
    outcomes = {"answered": 0, "cancelled": 0}
    left = requests

    async def one() -> None:
        path = dice.choice(["/small", "/small", "/large"])
        body = b"x" * 100_000 if dice.random() < 0.1 else None
        timeout = {"connect": 20.0, "read": 20.0, "write": 20.0, "pool": 20.0}
        request = Request(
            "POST" if body else "GET", url + path, content=body, extensions={"timeout": timeout}
        )
        with anyio.move_on_after(dice.random() * longest):
            response = await transport.handle_async_request(request)
            try:
                # A tenth leaves the rest unread.
                if dice.random() < 0.9:
                    await response.aread()
            finally:
                await response.aclose()
            outcomes["answered"] += 1
            return
        outcomes["cancelled"] += 1

    async def several() -> None:
        nonlocal left
        while left:
            left -= 1
            await one()

    async with anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(several)
    return outcomes


@pytest.mark.timeout(120)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
def test_ten_thousand_cancellations(
    server: str, client_context: ssl.SSLContext, protocol: str, backend: str
) -> None:
    """
    The pool is empty when all have gone, serves further requests, and closes without a socket left or a warning.
    """
    before = sockets()

    async def scenario() -> None:
        transport = AsyncHTTPTransport(
            verify=client_context,
            http2=protocol == "HTTP/2",
            limits=Limits(max_connections=20),
        )
        # How long a request takes here, among so many: cancelled before, within and after.
        dice = random.Random(20)
        began = anyio.current_time()
        await storm(transport, server, 5 * AT_ONCE, math.inf, dice)
        longest = 2 * (anyio.current_time() - began) / 5
        outcomes = await storm(transport, server, REQUESTS, longest, dice)
        assert REQUESTS == sum(outcomes.values())
        # Both happen often, or this tests nothing.
        assert min(outcomes.values()) > REQUESTS // 100, outcomes
        assert "0 active" in repr(transport.pool)
        assert "0 waiting" in repr(transport.pool)
        # All of its places can be taken at once.
        async with anyio.create_task_group() as group:
            for _ in range(60):
                group.start_soon(get, transport, f"{server}/small")
        await transport.aclose()
        assert "0 active, 0 idle, 0 waiting" in repr(transport.pool)

    async def get(transport: AsyncHTTPTransport, target: str) -> None:
        response = await transport.handle_async_request(Request("GET", target))
        assert b"small" == await response.aread()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        anyio.run(scenario, backend=backend)
        gc.collect()
    assert [] == [str(warning.message) for warning in caught]
    assert before == sockets()
