"""Steady load of mixed kinds, from one client of each colour: threads, asyncio, trio."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import anyio
import trio

from scallion import AsyncClient, Client
from scallion.middlewares.bulkhead import Bulkhead
from scallion.middlewares.circuit_breaker import CircuitBreaker
from scallion.middlewares.endpoints import Endpoints, PowerOfTwo
from support.colours import Colour

from .calls import KINDS, Call, Watch

__all__ = ["SERVICE", "Load"]

SERVICE = "ledger"
URL = f"http://{SERVICE}"
_BEAT = 0.02


class Load:
    """One client under load, in a thread of its own.

    Args:
        colour: Of the client.
        settings: Its sections, and `http2=True`, say, beside them.
        workers: How many callers it has.
        pace: Seconds that each rests between two calls, on average.
        seed: Of what they ask for, and when.
        kinds: Names of `KINDS`; all by default.

    Attributes:
        calls: All that were made since they were last taken.
        fault: What ended the load too soon; None, it is to be hoped.
    """

    def __init__(
        self,
        colour: Colour,
        settings: Mapping[str, Any],
        *,
        workers: int = 4,
        pace: float = 0.1,
        seed: int = 0,
        kinds: tuple[str, ...] = tuple(KINDS),
    ) -> None:
        protocol = "h2" if settings.get("http2") else "h1"
        self.label = f"{colour}-{protocol}"
        self.calls: list[Call] = []
        self.fault: BaseException | None = None
        self._colour = colour
        self._settings = dict(settings)
        self._workers = workers
        self._pace = pace
        self._random = random.Random(f"{seed} {self.label}")
        self._kinds = kinds
        self._number = 0
        self._lock = threading.Lock()
        self._wanted = True
        self._over = False
        self._resting = threading.Event()
        self._ready = threading.Event()
        self._watch = Watch()
        self._client: Client | AsyncClient | None = None
        self._tasks: list[str] = []
        self._thread = threading.Thread(target=self._run, name=self.label, daemon=True)

    def start(self) -> None:
        """Begin, and return when there is a client.

        Raises:
            RuntimeError: there is none; its cause says why.
        """
        self._thread.start()
        self._ready.wait()
        if self._client is None:
            raise RuntimeError(f"{self.label} has no client") from self.fault

    @property
    def begun(self) -> bool:
        return self._thread.ident is not None

    def rest(self, patience: float) -> bool:
        """Let callers end what they have begun, and begin nothing more; whether they did so in time."""
        self._wanted = False
        return self._resting.wait(patience)

    def go_on(self) -> None:
        self._resting.clear()
        self._wanted = True

    def end(self, patience: float) -> bool:
        """Close the client; whether all is over in time."""
        self._over = True
        self._wanted = False
        self._thread.join(patience)
        return not self._thread.is_alive()

    def take(self) -> list[Call]:
        """The calls so far; only while it rests."""
        calls, self.calls = self.calls, []
        return calls

    # What the layers hold.

    @property
    def client(self) -> Client | AsyncClient:
        assert self._client is not None
        return self._client

    def recovered(self) -> bool:
        """Whether all endpoints are in use again, and no circuit is open."""
        return not (self._ejected() or self._open())

    def leaks(self) -> list[str]:
        """What a client that rests should not hold."""
        pool = self.client.pool
        gate = self._layer(Bulkhead).stats(URL)
        service = self._layer(Endpoints).state(SERVICE)
        pending = sum(each.pending for each in service.endpoints)
        # Cases: places in the pool, in the bulkhead, at the endpoints; tasks that go on; what should have healed.
        found = [repr(pool)] if pool.active or pool.waiting else []
        found += [repr(gate)] if gate.active or gate.waiting else []
        found += [f"{pending} pending: {service!r}"] if pending else []
        found += [f"tasks: {self._tasks}"] if self._tasks else []
        found += [f"ejected: {self._ejected()}"] if self._ejected() else []
        found += [f"open: {self._open()}"] if self._open() else []
        return [f"{self.label}: {one}" for one in found]

    def _ejected(self) -> list[str]:
        if Endpoints not in self.client.pipeline:
            return []
        endpoints = self._layer(Endpoints).state(SERVICE).endpoints
        return [each.endpoint for each in endpoints if each.returns_in is not None]

    def _open(self) -> list[str]:
        if CircuitBreaker not in self.client.pipeline:
            return []
        states = self._layer(CircuitBreaker).states()
        # Of two the slower one is asked again as its latency is forgotten, which may take a minute; a probe may come.
        waits = isinstance(self._layer(Endpoints).choice, PowerOfTwo)
        return [
            f"{name} {circuit}"
            for name, circuit in states.items()
            if circuit.phase != "closed"
            and not (waits and circuit.phase == "half-open" and not circuit.probing)
        ]

    def _layer(self, kind: Any) -> Any:
        return self.client.pipeline.find(kind)

    # Calling.

    def _next(self) -> Call:
        with self._lock:
            self._number += 1
            kind = self._random.choice(self._kinds)
            call = Call(f"{self.label}.{self._number}", self.label, kind)
            self.calls.append(call)
        return call

    def _pause(self) -> float:
        return self._pace * 2 * self._random.random()

    def _run(self) -> None:
        try:
            if self._colour == "sync":
                self._run_threads()
            elif self._colour == "asyncio":
                asyncio.run(self._run_tasks())
            else:
                trio.run(self._run_tasks)
        except BaseException as error:
            self.fault = error
        finally:
            self._ready.set()
            self._resting.set()

    def _run_threads(self) -> None:
        with Client.for_service(SERVICE, middlewares=[self._watch], **self._settings) as client:
            self._client = client
            self._ready.set()
            while not self._over:
                while not (self._wanted or self._over):
                    time.sleep(_BEAT)
                threads = [
                    threading.Thread(target=self._work, args=[client], name=f"{self.label}.{n}")
                    for n in range(self._workers)
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                self._resting.set()

    def _work(self, client: Client) -> None:
        while self._wanted:
            call = self._next()
            self._watch.begin(call)
            try:
                with client.stream(**call.arguments(blocking=True)) as response:
                    if KINDS[call.kind].leaves and response.status_code == 200:
                        next(response.iter_bytes(1_000))
                        call.answered(response, None)
                    else:
                        call.answered(response, response.read())
            except Exception as error:
                call.failed(error)
            self._watch.end(call)
            time.sleep(self._pause())

    async def _run_tasks(self) -> None:
        async with AsyncClient.for_service(
            SERVICE, middlewares=[self._watch], **self._settings
        ) as client:
            self._client = client
            self._ready.set()
            while not self._over:
                while not (self._wanted or self._over):
                    await anyio.sleep(_BEAT)
                others = _tasks()
                async with anyio.create_task_group() as group:
                    for _ in range(self._workers):
                        group.start_soon(self._work_async, client)
                # A task of a watched file's, say, may be about to end.
                await anyio.sleep(_BEAT)
                self._tasks = [repr(task) for task in _tasks() - others]
                self._resting.set()

    async def _work_async(self, client: AsyncClient) -> None:
        while self._wanted:
            call = self._next()
            self._watch.begin(call)
            patience = KINDS[call.kind].patience
            try:
                with anyio.move_on_after(patience) as scope:
                    await self._perform(client, call)
                if scope.cancelled_caught:
                    call.outcome = "cancelled"
            except Exception as error:
                call.failed(error)
            self._watch.end(call)
            await anyio.sleep(self._pause())

    async def _perform(self, client: AsyncClient, call: Call) -> None:
        async with client.stream(**call.arguments(blocking=False)) as response:
            if KINDS[call.kind].leaves and response.status_code == 200:
                await anext(response.aiter_bytes(1_000))
                call.answered(response, None)
            else:
                call.answered(response, await response.aread())


def _tasks() -> set[object]:
    """What the running event loop has under way, but for the one task that keeps all time limits on trio."""
    try:
        return set(asyncio.all_tasks())
    except RuntimeError:
        root = trio.lowlevel.current_root_task()
        return {task for task in _below(root) if "Alarm._watch" not in task.name}


def _below(task: trio.lowlevel.Task | None) -> Iterator[trio.lowlevel.Task]:
    if task is not None:
        yield task
        for nursery in task.child_nurseries:
            for child in nursery.child_tasks:
                yield from _below(child)
