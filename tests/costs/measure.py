"""Measures what requests cost, in a process that does nothing else: `measure.py WHAT COLOUR URL [SETTINGS]`.

WHAT is the name of a function below, COLOUR is sync, asyncio or trio, SETTINGS are the client's, as JSON. Prints what
was measured, as JSON. Without a URL it starts a server itself; without any argument it measures most of what it can.
"""

from __future__ import annotations

import gc

# Nearly every program has imported it.
import logging  # noqa: F401
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from json import dumps, loads
from pathlib import Path
from threading import Thread, current_thread, main_thread
from types import FrameType
from typing import Any, Self

from driving import KINDS, Face, Results, at_once, close, ready, sequence
from processes import environment

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
WARM_UP = 20
REQUESTS = 200


class Calls:
    """Function calls of this thread within its block, as `sys.setprofile` sees them."""

    def __init__(self) -> None:
        self.python = 0
        self.c = 0

    def __enter__(self) -> Self:
        sys.setprofile(self._count)
        return self

    def __exit__(self, *exc: object) -> None:
        sys.setprofile(None)
        # What leaves the block is no part of it: this method and the function that it calls.
        self.python -= 1
        self.c -= 1

    def _count(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            self.python += 1
        elif event == "c_call":
            self.c += 1

    def per(self, requests: int) -> Results:
        return {"python": round(self.python / requests, 2), "c": round(self.c / requests, 2)}


def calls(face: Face, url: str, **settings: Any) -> Results:
    """Python and C calls per request, one at a time."""

    async def body() -> Results:
        client = face.client(**settings)
        await sequence(client, url, WARM_UP)
        with Calls() as counted:
            await sequence(client, url, REQUESTS)
        await close(client)
        return counted.per(REQUESTS)

    return face.run(body)


def layers(face: Face, url: str, **settings: Any) -> Results:
    """Python calls per request and further layer."""

    async def idle(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    without = calls(face, url, **settings)["python"]
    return {
        "python": (calls(face, url, middlewares=[idle] * 10, **settings)["python"] - without) / 10
    }


def idle_layers(face: Face, url: str, **settings: Any) -> Results:  # nothing is sent
    """Python calls per request that each layer makes, alone before a transport that answers by itself."""
    import scallion

    # In the place of this folder, whose `limits` is not the package of that name.
    sys.path[0] = str(BENCHMARKS)
    from measures.idle_layers import LAYERS, UNDER

    def answer(request: Any) -> Any:
        # Every transport asks where it goes and what it says.
        assert request.url.origin_key
        assert request.headers.raw
        return scallion.Response(200)

    async def answer_later(request: Any) -> Any:
        response = answer(request)
        await sleep(0)
        return response

    sleep = None if face.sync else import_module(face.colour).sleep
    transport = scallion.MockTransport(answer if face.sync else answer_later)

    def per_request(*layers: Any) -> float:
        pipeline = scallion.Pipeline(*layers)
        counted: Results = calls(
            face, "http://example.org/", pipeline=pipeline, transport=transport
        )
        return float(counted["python"])

    bare = per_request()
    found: Results = {}
    for name, make in LAYERS.items():
        outer = UNDER.get(name)
        if outer is None:
            found[name] = round(per_request(make()) - bare, 1)
        else:
            alone = per_request(LAYERS[outer]())
            found[name] = round(per_request(LAYERS[outer](), make()) - alone, 1)
    return found


def growth(face: Face, url: str, **settings: Any) -> Results:
    """Python calls per request with 10 and with 1,000 requests at once, over at most 100 connections."""
    import scallion

    limits = scallion.Limits(max_connections=100, max_keepalive_connections=100)

    async def body() -> Results:
        client = face.client(limits=limits, timeout=60, **settings)
        await at_once(face.colour, client, url, 100)
        with Calls() as few:
            for _ in range(100):
                await at_once(face.colour, client, url, 10)
        with Calls() as many:
            await at_once(face.colour, client, url, 1000)
        await close(client)
        return {"few": few.python / 1000, "many": many.python / 1000}

    return face.run(body)


def threads(face: Face, url: str, **settings: Any) -> Results:
    """Python calls per request, in one thread and in each of 16 on the same client."""
    client = face.client(**settings)
    per_thread: list[int] = []

    def work() -> None:
        for _ in range(WARM_UP):
            client.get(url)
        with Calls() as counted:
            for _ in range(REQUESTS):
                client.get(url)
        per_thread.append(counted.python)

    def together(count: int) -> float:
        per_thread.clear()
        workers = [Thread(target=work) for _ in range(count)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return sum(per_thread) / count / REQUESTS

    one, many = together(1), together(16)
    client.close()
    return {"few": one, "many": many}


def memory(face: Face, url: str, **settings: Any) -> Results:
    """What stays in memory: bytes per idle connection, and objects that the collector tracks per response kept."""
    import tracemalloc

    import scallion

    limits = scallion.Limits(max_connections=100, max_keepalive_connections=100)

    async def body() -> Results:
        client = face.client(limits=limits, timeout=60, **settings)
        await sequence(client, url, 3)
        found: Results = {}
        gc.collect()
        gc.disable()
        before = len(gc.get_objects())
        kept = [await ready(client.get(url)) for _ in range(REQUESTS)]
        found["objects per response"] = (len(gc.get_objects()) - before) / REQUESTS
        kept.clear()
        gc.enable()
        if not face.sync:
            tracemalloc.start()
            # What grows once, such as the event loop's tables, has grown.
            await at_once(face.colour, client, url, 50)
            few, some = client.pool.idle, _settled(tracemalloc)
            await at_once(face.colour, client, url, 100)
            many, more = client.pool.idle, _settled(tracemalloc)
            tracemalloc.stop()
            found["bytes per connection"] = round((more - some) / (many - few))
        await close(client)
        return found

    return face.run(body)


def _settled(tracemalloc: Any) -> int:
    gc.collect()
    size: int = tracemalloc.get_traced_memory()[0]
    return size


def requests(face: Face, url: str, **settings: Any) -> Results:
    """The requests alone, between two marks for who traces this process's system calls."""

    async def body() -> Results:
        client = face.client(**settings)
        await sequence(client, url, WARM_UP)
        gc.collect()
        Path("/first mark").exists()
        await sequence(client, url, REQUESTS)
        Path("/last mark").exists()
        await close(client)
        return {"requests": REQUESTS}

    return face.run(body)


def garbage(face: Face, url: str, kinds: Sequence[str] = ("get",), **settings: Any) -> Results:
    """For each kind of request: the objects per request that only the garbage collector frees, and what they are."""
    count = 20

    async def body() -> Results:
        client = face.client(**settings)
        found: Results = {}
        for kind in kinds:
            for _ in range(3):
                await KINDS[kind](client, url)
            gc.collect()
            gc.disable()
            for _ in range(count):
                await KINDS[kind](client, url)
            found[kind] = _circles(count)
            gc.enable()
        await close(client)
        return found

    return face.run(body)


def _circles(requests: int) -> Results:
    gc.set_debug(gc.DEBUG_SAVEALL)
    objects = gc.collect()
    kinds = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.garbage)
    gc.set_debug(0)
    gc.garbage.clear()
    return {"objects": objects / requests, "kinds": kinds}


def construction(face: Face, url: str, **settings: Any) -> Results:
    """Calls for a client made and closed."""

    async def body() -> Results:
        for _ in range(3):
            await close(face.client(**settings))
        with Calls() as counted:
            for _ in range(10):
                client = face.client(**settings)
                if face.sync:
                    client.close()
                else:
                    await client.aclose()
        return counted.per(10)

    return face.run(body)


def one_shot(face: Face, url: str, **settings: Any) -> Results:
    """Calls for `get()`, connection and all."""
    import scallion

    for _ in range(3):
        scallion.get(url, **settings)
    with Calls() as counted:
        for _ in range(10):
            scallion.get(url, **settings)
    return counted.per(10)


def authorities(face: Face, url: str, secure_url: str, **settings: Any) -> Results:
    """How often certificates of authorities are loaded, at each step."""
    import ssl

    loaded: list[str] = []
    on_main_thread: list[bool] = []

    def watch(name: str) -> None:
        load = getattr(ssl.SSLContext, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            loaded.append(name)
            on_main_thread.append(current_thread() is main_thread())
            return load(*args, **kwargs)

        setattr(ssl.SSLContext, name, watched)

    watch("load_verify_locations")
    watch("load_default_certs")

    async def body() -> Results:
        import scallion

        steps: Results = {}
        client = face.client()
        steps["a client made"] = len(loaded)
        await ready(client.get(url))
        steps["a request over http"] = len(loaded)
        if face.sync:
            scallion.get(url)
            steps["get() over http"] = len(loaded)
        await close(client)
        steps["certifi imported"] = int("certifi" in sys.modules)
        for number in ("first", "second"):
            client = face.client()
            try:
                await ready(client.get(secure_url))
            except scallion.ConnectError:
                # Nobody whom certifi knows has signed the server's certificate.
                pass
            steps[f"the {number} client over https"] = len(loaded)
            await close(client)
        steps["on the main thread"] = sum(on_main_thread)
        return steps

    return face.run(body)


MOST = {
    "calls": ("sync", "asyncio", "trio"),
    "layers": ("sync", "asyncio", "trio"),
    "growth": ("asyncio", "trio"),
    "threads": ("sync",),
    "memory": ("sync", "asyncio", "trio"),
    "construction": ("sync", "asyncio"),
    "one_shot": ("sync",),
}


def _served() -> subprocess.Popen[str]:
    command = [sys.executable, Path(__file__).parent / "server.py"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def main(what: str = "", colour: str = "", url: str = "", settings: str = "{}") -> None:
    if url:
        print(dumps(globals()[what](Face(colour), url, **loads(settings))))
        return
    with _served() as server:
        assert server.stdout is not None
        assert server.stdin is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}/"
        chosen = {what: (colour,)} if what else MOST
        for what, colours in chosen.items():
            for colour in colours:
                print(f"{what:12} {colour:7} ", end="", flush=True)
                # In a process of its own: what one leaves behind is no part of another.
                command = [sys.executable, __file__, what, colour, url, settings]
                subprocess.run(command, check=True, env=environment())
        server.stdin.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
