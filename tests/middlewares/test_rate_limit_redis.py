"""RateLimit with a real Redis: shared by clients and processes, gone, hanging, and back again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("redis", reason="redis is missing: install it (pip install redis)")

from scallion._async_client import AsyncClient
from scallion._client import Client
from scallion.middlewares.rate_limit import RateLimit
from scallion.middlewares.timeouts import Deadlines
from scallion.pipeline.errors import RateLimited, TotalTimeout
from scallion.pipeline.onion import compose
from scallion.pipeline.pipeline import Pipeline
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.transports.mock import MockTransport
from support.colours import Drive
from support.redis_server import PASSWORD, RedisServer, redis_server
from support.together import together
from support.worlds import World, noted

ROOT = Path(__file__).parents[2]
URL = "http://example.org/"
# A machine that does much else at the same time answers late.
PATIENCE = 5.0


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


def always() -> Any:
    return iter(lambda: Response(200), None)


def get(**extensions: Any) -> Request:
    return Request("GET", URL, extensions=extensions)


def limit(server: RedisServer, key: str, rate: str = "5/hour", **settings: Any) -> RateLimit:
    settings = {"wait": False, "storage_timeout": PATIENCE, **settings}
    return RateLimit(rate, key=f"{key} {time.time_ns()}", storage=server.url, **settings)


@pytest.mark.parametrize("strategy", ["moving", "sliding", "fixed"])
def test_two_layers_share_the_limit(drive: Drive, server: RedisServer, strategy: Any) -> None:
    """
    As two processes do: what one takes the other has not.
    """
    first = limit(server, "two", strategy=strategy)
    second = RateLimit(
        "5/hour",
        key=first.key,
        storage=server.url,
        wait=False,
        strategy=strategy,
        storage_timeout=PATIENCE,
    )
    world = World(always(), blocking=drive.blocking)
    sends = [compose([layer], world.transport, drive.runtime()) for layer in (first, second)]

    async def scenario() -> None:
        for number in range(5):
            await sends[number % 2](get())
        for send in sends:
            with pytest.raises(RateLimited) as raised:
                await send(get())
            after = raised.value.retry_after
            assert after is not None
            assert 0 < after <= 3600

    drive(scenario)

    assert 5 == len(world.asked)


@pytest.mark.parametrize("strategy", ["moving", "sliding", "fixed"])
def test_many_at_once_get_no_more_than_the_limit(
    drive: Drive, server: RedisServer, strategy: Any
) -> None:
    """
    Redis counts one after the other.
    """
    layer = limit(server, "many", strategy=strategy)
    world = World(always(), blocking=drive.blocking)
    send = compose([layer], world.transport, drive.runtime())

    async def ask() -> None:
        await send(get())

    async def scenario() -> list[Any]:
        return await together(drive, *[ask] * 20)

    outcomes = drive(scenario)

    assert 5 == outcomes.count(None)
    assert 15 == sum(isinstance(one, RateLimited) for one in outcomes)


PROGRAM = """
import sys
import scallion
from scallion.middlewares.rate_limit import RateLimit
from scallion.middlewares.timeouts import Deadlines
layer = RateLimit("20/hour", key=sys.argv[2], storage=sys.argv[1], wait=False, storage_timeout=10)
answer = scallion.MockTransport(lambda request: scallion.Response(200))
passed = 0
print("ready", flush=True)
sys.stdin.readline()
with scallion.Client(pipeline=scallion.Pipeline(layer), transport=answer) as client:
    for _ in range(15):
        try:
            client.get("http://example.org/")
            passed += 1
        except scallion.RateLimited:
            pass
print(passed)
"""


def test_two_processes_share_the_limit(server: RedisServer) -> None:
    """
    Thirty requests of two programs, of which twenty may go.
    """
    key = f"processes {time.time_ns()}"
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, server.url, key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        for program in programs:
            assert program.stdout is not None
            assert "ready\n" == program.stdout.readline()
        passed = [int(program.communicate("go\n", timeout=30)[0]) for program in programs]
    finally:
        for program in programs:
            program.kill()
            program.wait()

    assert 20 == sum(passed)


def test_who_waits_gets_through(drive: Drive, server: RedisServer) -> None:
    """
    By Redis's clock, so this is one that takes its time: three requests at two in a second.
    """
    layer = limit(server, "waiting", "2/second", wait=True)
    world = World(always(), blocking=drive.blocking)
    send = compose([layer], world.transport, drive.runtime())
    request = get()
    events = noted(request)
    began = time.monotonic()

    async def scenario() -> None:
        await send(get())
        await send(get())
        await send(request)

    drive(scenario)

    assert time.monotonic() - began > 0.9
    assert "rate_limit.waiting" == events[0][0]
    assert 0.5 < events[0][1]["wait"] <= 1


def test_clients_of_all_colours_share_one_layer(server: RedisServer) -> None:
    """
    One instance, with one connection pool, serves threads and event loops.
    """
    layer = limit(server, "colours", "3/hour")
    settings: Any = {
        "pipeline": Pipeline(layer),
        "transport": MockTransport(lambda request: Response(200)),
    }
    with Client(**settings) as client:
        client.get(URL)
        for colour in ("asyncio", "trio"):

            async def scenario() -> None:
                async with AsyncClient(**settings) as waiting:
                    await waiting.get(URL)

            Drive(colour)(scenario)  # type: ignore[arg-type]

        with pytest.raises(RateLimited):
            client.get(URL)


@pytest.mark.parametrize("on_failure", ["open", "closed"])
def test_redis_goes_and_comes_back(drive: Drive, on_failure: Any) -> None:
    """
    While it is gone requests pass, or do not, as was chosen; when it is back they are counted again.
    """
    with redis_server() as server:
        layer = limit(server, "gone", "3/hour", on_failure=on_failure, storage_pause=0)
        world = World(always(), blocking=drive.blocking)
        send = compose([layer], world.transport, drive.runtime())
        request = get()
        events = noted(request)

        async def scenario() -> None:
            await send(request)
            server.kill()
            for _ in range(4):
                if on_failure == "open":
                    await send(request)
                else:
                    with pytest.raises(RateLimited, match="its storage failed") as raised:
                        await send(request)
                    assert PASSWORD not in f"{raised.value!r}{raised.value.__cause__}"
            server.start()
            # It has forgotten the first one.
            for _ in range(3):
                await send(request)
            with pytest.raises(RateLimited, match="is reached"):
                await send(request)

        drive(scenario)

        failed = [fields for name, fields in events if name == "rate_limit.storage_failed"]
        assert [{"error": "ConnectionError", "then": on_failure}] * 4 == failed
        assert PASSWORD not in f"{events}{layer!r}"


def test_a_redis_that_hangs_holds_nobody_up(drive: Drive) -> None:
    """
    One request finds out, within the time that its answers may take; the others pass meanwhile.
    """
    with redis_server() as server:
        layer = limit(server, "hangs", storage_timeout=0.2, storage_pause=60)
        world = World(always(), blocking=drive.blocking)
        send = compose([layer], world.transport, drive.runtime())

        async def scenario() -> None:
            with server.frozen():
                began = time.monotonic()
                for _ in range(20):
                    await send(get())
                assert 0.1 < time.monotonic() - began < 3

        drive(scenario)


def test_the_deadline_holds_before_a_redis_that_hangs(drive: Drive) -> None:
    """
    However long its answers may take; what was not answered in time is not sent.
    """
    with redis_server() as server:
        layer = limit(server, "hangs", storage_timeout=20)
        world = World(always(), blocking=drive.blocking)
        send = compose([Deadlines(0.2), layer], world.transport, drive.runtime())

        async def scenario() -> float:
            with server.frozen():
                began = time.monotonic()
                with pytest.raises(TotalTimeout):
                    await send(get())
                return time.monotonic() - began

        assert drive(scenario) < 10
        assert [] == world.asked


def test_a_wrong_password_is_a_failure(drive: Drive, server: RedisServer) -> None:
    """
    What Redis says to it is told by the name of the error.
    """
    layer = RateLimit(
        "1/hour",
        storage=server.url.replace(PASSWORD, "wrong"),
        on_failure="closed",
        storage_timeout=PATIENCE,
    )
    world = World(always(), blocking=drive.blocking)
    send = compose([layer], world.transport, drive.runtime())

    async def scenario() -> None:
        with pytest.raises(RateLimited, match=r"AuthenticationError") as raised:
            await send(get())
        assert "wrong" not in str(raised.value)

    drive(scenario)
