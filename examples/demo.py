"""The demo: two services on loopback, and calls through the onion, sync and async. Ends with a line of success.

Run it: `make demo`, or `python examples/demo.py`.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from timeline import Timeline, watched

import scallion

HERE = Path(__file__).parent
LOGIN = scallion.DigestAuth("orders", "correct horse")


class Demo:
    """Prints each call's timeline, and counts what did not go as it should."""

    def __init__(self) -> None:
        self.calls = 0
        self.failures: list[str] = []

    def title(self, text: str) -> None:
        print(f"\n{text}\n{'-' * len(text)}")

    def show(self, timeline: Timeline, indent: str = "  ") -> None:
        for line in timeline.lines():
            print(indent + line)

    def expect(self, what: str, holds: bool) -> None:
        self.calls += 1
        print(f"  {'ok' if holds else 'FAILED'}: {what}")
        if not holds:
            self.failures.append(what)


def start(stack: ExitStack, script: str, *arguments: str) -> str:
    """Start a service as a process of its own; returns its URL. It ends with the demo."""
    process = subprocess.Popen(
        [sys.executable, HERE / script, *arguments], stdout=subprocess.PIPE, text=True
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    assert process.stdout is not None
    stack.callback(process.stdout.close)
    port = process.stdout.readline().strip()
    if not port:
        raise SystemExit(f"{script} did not start")
    return f"http://127.0.0.1:{port}"


def pipeline() -> scallion.Pipeline:
    return watched(scallion.service_stack(total=5.0, auth=LOGIN, follow_redirects=True))


def blocking(demo: Demo, inventory: str, orders: str) -> None:
    with scallion.Client(base_url=inventory, pipeline=pipeline()) as client:
        demo.title("The onion of this client")
        print(client.pipeline)

        def call(title: str, check: Callable[[Timeline], None]) -> None:
            demo.title(title)
            with Timeline.recording() as timeline:
                check(timeline)

        def plain(timeline: Timeline) -> None:
            first, second = client.get("stock/apple"), client.get("stock/pear")
            demo.show(timeline)
            demo.expect("both answers are 200", first.is_success and second.is_success)
            demo.expect("the second call reused the connection", timeline.count("reused") == 1)

        def flaky(timeline: Timeline) -> None:
            response = client.get("flaky/apple")
            demo.show(timeline)
            demo.expect("the third attempt got 200", response.status_code == 200)
            demo.expect("it waited twice", timeline.count("waits") == 2)

        def moved(timeline: Timeline) -> None:
            response = client.get("v1/stock/apple")
            demo.show(timeline)
            demo.expect("the redirect led to /stock/apple", response.url.path == "/stock/apple")
            demo.expect(
                "the history tells the 308", [r.status_code for r in response.history] == [308]
            )

        def login(timeline: Timeline) -> None:
            response = client.get("levels")
            demo.show(timeline)
            demo.expect("the challenge was answered", response.json()["apple"] == 12)
            demo.expect("401 came first", timeline.count("401") == 1)

        def slow(timeline: Timeline) -> None:
            timeout = scallion.Timeout(5.0, total=0.25)
            try:
                client.get("slow", timeout=timeout)
            except scallion.TotalTimeout:
                ended = True
            else:
                ended = False
            demo.show(timeline)
            demo.expect("the total deadline of 0.25 s ended it", ended)

        def order(timeline: Timeline) -> None:
            response = client.post(
                f"{orders}/orders", json={"item": "pear", "quantity": 2}, auth=None
            )
            demo.show(timeline)
            told = response.json()
            print("  and inside the service orders:")
            print(*(f"  | {line}" for line in told.pop("timeline", ["nothing"])), sep="\n")
            demo.expect(f"the order was placed: {told}", response.status_code == 201)

        call("Client: two plain calls", plain)
        call("Client: a service that fails twice", flaky)
        call("Client: a place that moved", moved)
        call("Client: a service behind a login", login)
        call("Client: a service that hangs", slow)
        call("Client: orders calls inventory, which is flaky and wants a login", order)


async def asynchronous(demo: Demo, inventory: str) -> None:
    async with scallion.AsyncClient(base_url=inventory, pipeline=pipeline()) as client:

        async def timed(path: str) -> tuple[scallion.Response, Timeline]:
            with Timeline.recording() as timeline:
                return await client.get(path), timeline

        demo.title("AsyncClient: a flaky service, a login and a redirect, all at once")
        results = await asyncio.gather(*map(timed, ["flaky/pear", "levels", "v1/stock/pear"]))
        for response, timeline in results:
            demo.show(timeline)
            demo.expect(f"{response.url.path}: 200", response.status_code == 200)

        demo.title("AsyncClient: thirty calls at once")
        responses = await asyncio.gather(*(client.get("stock/apple") for _ in range(30)))
        print(f"  {client!r}")
        demo.expect("thirty answers", [r.status_code for r in responses] == [200] * 30)

        demo.title("AsyncClient: a service that hangs")
        with Timeline.recording() as timeline:
            try:
                await client.get("slow", timeout=scallion.Timeout(5.0, total=0.25))
            except scallion.TotalTimeout:
                ended = True
            else:
                ended = False
        demo.show(timeline)
        demo.expect("the total deadline of 0.25 s ended it", ended)


def main() -> int:
    demo = Demo()
    with ExitStack() as stack:
        inventory = start(stack, "inventory.py")
        orders = start(stack, "orders.py", inventory)
        print(f"scallion {scallion.__version__}: inventory is at {inventory}, orders at {orders}")
        blocking(demo, inventory, orders)
        asyncio.run(asynchronous(demo, inventory))
    if demo.failures:
        print(
            f"\ndemo: FAILED, {len(demo.failures)} of {demo.calls} checks:",
            *demo.failures,
            sep="\n  ",
        )
        return 1
    print(f"\ndemo: success, {demo.calls} checks passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
