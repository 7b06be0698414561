"""The layers of the service stack together: what one does to the others, in the order in which they lie."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import sniffio
import trio
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import scallion
from scallion import Request, Response
from scallion._stacks import service_stack
from scallion.middlewares.adaptive_concurrency import AdaptiveConcurrency
from scallion.middlewares.digest import DigestAuth, parse_challenges
from scallion.middlewares.endpoints import Endpoints
from scallion.middlewares.gate import Gate, wait_in_line
from scallion.middlewares.netrc import NetRCAuth
from scallion.middlewares.outcomes import ended_in_line
from scallion.middlewares.rate_limit import RateLimit
from scallion.middlewares.tracing import AttemptTracing, Tracing
from scallion.pipeline.auth import Auth
from scallion.pipeline.onion import compose
from support.cancelling import cancelled_everywhere
from support.colours import Drive
from support.together import together
from support.worlds import After, World, noted, open_response

SERVICE = "http://orders/items"
THREE = [f"10.0.0.{number}:8080" for number in (1, 2, 3)]
HOSTS = {"10.0.0.1", "10.0.0.2", "10.0.0.3"}
QUICK = {"base": 0, "cap": 0}
"""Retries that do not wait."""


def layers(**sections: Any) -> list[Any]:
    """The service stack over three endpoints, with these settings."""
    given = {"base_url": "http://orders", "endpoints": {"addresses": THREE}, "retries": QUICK}
    auth = sections.pop("auth", None)
    return list(service_stack({**given, **sections}, auth=auth))


def the(kind: type[Any], stack: list[Any]) -> Any:
    """The stack's layer of a kind."""
    (found,) = [layer for layer in stack if type(layer) is kind]
    return found


def get(url: str = SERVICE, **settings: Any) -> Request:
    return Request("GET", url, **settings)


class Servers:
    """A transport whose answers depend on the host, given in whatever order they are asked for.

    Attributes:
        went: The hosts, in the order in which they were asked.
        heard: The headers, likewise.
    """

    def __init__(self, answer: Callable[[Request], Any] = lambda request: 200) -> None:
        self.answer = answer
        self.went: list[str] = []
        self.heard: list[scallion.Headers] = []
        self.blocking = False
        self._over = threading.Event()

    async def __call__(self, request: Request) -> Response:
        self.went.append(request.url.host)
        self.heard.append(request.headers.copy())
        answer = self.answer(request)
        if isinstance(answer, threading.Event):
            await self._hang(answer)
            answer = self.answer(request)
        if answer is HANGS:
            await self._hang(self._over)
            answer = 504
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Response) else Response(answer, request=request)

    async def _hang(self, flag: threading.Event) -> None:
        if self.blocking:
            assert flag.wait(10)
            return
        while not flag.is_set():
            await anyio.sleep(0.001)

    def send(self, stack: list[Any], drive: Drive, *requests: Request) -> list[Response]:
        """Send `requests` one after the other through `stack`, in the real runtime."""
        self.blocking = drive.blocking

        async def scenario() -> list[Response]:
            onion = compose(stack, self, drive.runtime(), strict=not drive.blocking)
            return [await onion(request) for request in requests]

        try:
            return drive(scenario)
        finally:
            self._over.set()


HANGS: Any = object()


# Whose credentials they are


def authorization(headers: scallion.Headers) -> str | None:
    return headers.get("Authorization")


def test_credentials_are_found_by_the_services_name(drive: Drive, tmp_path: Path) -> None:
    """
    A netrc file names the service, and no addresses that come and go.
    """
    file = tmp_path / "netrc"
    file.write_text("machine orders login user password secret\n")
    servers = Servers()

    servers.send(layers(auth=NetRCAuth(file)), drive, get())

    assert [scallion.BasicAuth("user", "secret")._credentials] == [
        *map(authorization, servers.heard)
    ]


def test_a_user_in_the_url_is_sent_to_the_endpoint(drive: Drive) -> None:
    """
    As to any other host; and with each attempt.
    """
    servers = Servers(lambda request: 503 if len(servers.went) == 1 else 200)

    servers.send(layers(), drive, get("http://user:secret@orders/items"))

    expected = scallion.BasicAuth("user", "secret")._credentials
    assert [expected, expected] == [*map(authorization, servers.heard)]


class Challenging(Servers):
    """Servers that want Digest, each with a nonce of its own that the others do not know."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.statuses: list[int] = []

    def _answer(self, request: Request) -> Response:
        nonce = hashlib.sha256(request.url.host.encode()).hexdigest()
        proof = request.headers.get("Authorization")
        # A nonce of another server is no stale one of its own.
        known = proof is not None and parse_challenges(proof)[0][1]["nonce"] == nonce
        self.statuses.append(200 if known else 401)
        if known:
            return Response(200)
        challenge = f'Digest realm="orders", nonce="{nonce}", qop="auth"'
        return Response(401, headers={"WWW-Authenticate": challenge})


def test_a_challenge_is_answered_to_whom_has_made_it(drive: Drive) -> None:
    """
    Its nonce may be unknown elsewhere. Each call logs in in two steps at most, wherever it goes.
    """
    servers = Challenging()

    responses = servers.send(
        layers(auth=DigestAuth("user", "secret")), drive, *(get() for _ in range(20))
    )

    assert {200} == {response.status_code for response in responses}
    for at, status in enumerate(servers.statuses):
        if status == 401:
            assert servers.went[at] == servers.went[at + 1]
            assert 200 == servers.statuses[at + 1]


def test_each_copy_of_a_hedged_request_has_a_login_of_its_own(drive: Drive) -> None:
    """
    Copies do not answer each other's challenges.
    """
    servers = Challenging()
    stack = layers(auth=DigestAuth("user", "secret"), hedging={"delay": 0, "most_load": 4})

    responses = servers.send(stack, drive, *(get() for _ in range(10)))

    assert {200} == {response.status_code for response in responses}


class Login(Auth):
    """Fetches a token from another service, each time."""

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        response = yield Request("POST", "http://tokens/new")
        request.headers["Authorization"] = f"Bearer {response.status_code}"
        yield request


def test_a_tokens_request_goes_where_it_is_addressed(drive: Drive) -> None:
    """
    It is none of the service's: no endpoint of it is chosen, and its origin has a circuit of its own.
    """
    stack = layers(auth=Login())
    servers = Servers()

    (response,) = servers.send(stack, drive, get())

    breaker, endpoints = the(scallion.CircuitBreaker, stack), the(Endpoints, stack)
    assert ["tokens", "10.0.0"] == [host.rpartition(".")[0] or host for host in servers.went]
    assert "Bearer 200" == servers.heard[-1]["Authorization"]
    assert SERVICE == str(response.request.url)
    assert 1 == sum(each.sent for each in endpoints.state("orders").endpoints)
    assert 1 == breaker.state("http://tokens/").requests


def test_each_attempt_has_fresh_credentials(drive: Drive) -> None:
    """
    A retry logs in anew; an endpoint that refuses, and so is sent nothing, costs no other login.
    """
    stack = layers(auth=Login())
    the(scallion.CircuitBreaker, stack).force_open("http://10.0.0.1:8080")
    servers = Servers(lambda request: 503 if servers.went == ["tokens", servers.went[-1]] else 200)

    servers.send(stack, drive, get())

    assert ["tokens", "tokens"] == servers.went[::2]
    assert {"10.0.0.2", "10.0.0.3"} == set(servers.went[1::2])


@pytest.mark.parametrize(
    ("location", "host", "credentials"),
    [
        ("/other", None, True),
        ("http://orders/other", None, True),
        ("http://orders:81/other", None, False),
        ("http://elsewhere/other", "elsewhere", False),
        # Who sits there may be somebody else tomorrow.
        ("http://10.0.0.1:8080/other", "10.0.0.1", False),
    ],
)
def test_redirects_are_of_the_service(
    drive: Drive, location: str, host: str | None, credentials: bool
) -> None:
    """
    A relative one stays there, at any endpoint; one that leaves it takes no credentials along.
    """
    servers = Servers(
        lambda request: (
            Response(307, headers={"Location": location}) if request.url.path == "/items" else 200
        )
    )
    stack = layers(auth=("user", "secret"), redirects=True)

    (response,) = servers.send(stack, drive, get())

    assert 200 == response.status_code
    assert credentials == ("Authorization" in servers.heard[-1])
    assert servers.went[-1] == host if host else servers.went[-1] in HOSTS
    expected = scallion.URL(SERVICE).join(location)
    assert expected == response.request.url
    assert expected.host_header.decode() == servers.heard[-1]["Host"]


# Elsewhere


class Once:
    """Gives its values one after the other, then the last for ever. Safe to share between threads."""

    def __init__(self, *values: Any) -> None:
        self._values = list(values)
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Any:
        with self._lock:
            return self._values.pop(0) if len(self._values) > 1 else self._values[0]


class TwoBroken(Servers):
    """The first two that are asked fail, when both are; the third is well."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self._both = threading.Event()

    def _answer(self, request: Request) -> Any:
        broken = list(dict.fromkeys(self.went))[:2]
        if len(broken) == 2:
            self._both.set()
        if not self._both.is_set():
            return self._both
        return 503 if request.url.host in broken else 200


AT_ONCE = {"delay": 0, "most_load": 4}


@pytest.mark.parametrize("choice", ["power_of_two", "round_robin", "consistent_hash"])
def test_a_hedge_always_goes_elsewhere(drive: Drive, choice: str) -> None:
    """
    Whatever the choice would say: whoever is asked first hangs.
    """
    endpoints = {"addresses": THREE, "choice": choice, "hash_by": "x-key"}
    if choice != "consistent_hash":
        del endpoints["hash_by"]
    for _ in range(10):
        servers = Servers(Once(HANGS, 200))
        stack = layers(hedging=AT_ONCE, endpoints=endpoints)
        (response,) = servers.send(stack, drive, get(headers={"x-key": "one"}))

        assert 200 == response.status_code
        assert 1 == response.extensions["hedges"]
        assert 2 == len(servers.went) == len(set(servers.went))


def test_a_retry_goes_where_neither_copy_was(drive: Drive) -> None:
    """
    Both failed, so it asks the third.
    """
    servers = TwoBroken()
    endpoints = {"addresses": THREE, "choice": "consistent_hash", "hash_by": "x-key"}
    stack = layers(hedging=AT_ONCE, endpoints=endpoints)
    (response,) = servers.send(stack, drive, get(headers={"x-key": "one"}))

    assert 200 == response.status_code
    assert [503, 200] == [attempt.status for attempt in response.extensions["attempts"]]
    (third,) = HOSTS - set(servers.went[:2])
    assert f"http://{third}:8080" == response.extensions["endpoint"]


def test_an_open_circuit_costs_no_attempt(drive: Drive) -> None:
    """
    Another endpoint is asked at once; the call has one attempt, and the server hears of no other.
    """
    stack = layers(endpoints={"addresses": THREE[:2]})
    breaker = the(scallion.CircuitBreaker, stack)
    breaker.force_open("http://10.0.0.1:8080")
    servers = Servers()

    responses = servers.send(stack, drive, *(get() for _ in range(10)))

    assert {"10.0.0.2"} == set(servers.went)
    assert not any("X-Request-Attempt" in headers for headers in servers.heard)
    assert not any("attempts" in response.extensions for response in responses)
    assert 0 == breaker.state("http://10.0.0.1:8080").requests


def test_when_all_circuits_are_open_nothing_is_sent_or_waited_for(drive: Drive) -> None:
    """
    Not even by retries and hedges.
    """
    stack = layers(hedging=AT_ONCE, retries={"base": 60, "cap": 60})
    for address in THREE:
        the(scallion.CircuitBreaker, stack).force_open(f"http://{address}")
    servers = Servers()

    with pytest.raises(scallion.CircuitOpen):
        servers.send(stack, drive, get())
    assert [] == servers.went


# The budget


def test_hedges_and_retries_share_a_budget(drive: Drive) -> None:
    """
    What a hedge took is missing for the retry.
    """
    budget = {"share": 0, "floor": 0.1, "window": 10}
    servers = TwoBroken()
    request = get()
    events = noted(request)
    (response,) = servers.send(layers(hedging=AT_ONCE, budget=budget), drive, request)

    assert 503 == response.status_code
    assert 2 == len(servers.went)
    assert ["the retry budget is exhausted"] == [
        fields["reason"] for event, fields in events if event == "retry.end"
    ]


def test_a_hedge_that_the_budget_refuses_fails_nothing(drive: Drive) -> None:
    """
    The first copy goes on, and its answer is the answer.
    """
    refused = threading.Event()
    request = get()
    events: list[str] = []

    def observe(event: str, fields: dict[str, Any]) -> None:
        events.append(event)
        if event == "hedge.refused":
            assert "budget" == fields["reason"]
            refused.set()

    request.observers = (observe,)
    servers = Servers(lambda request: 200 if refused.is_set() else refused)
    budget = {"share": 0, "floor": 0}

    (response,) = servers.send(layers(hedging=AT_ONCE, budget=budget), drive, request)

    assert 200 == response.status_code
    assert 1 == len(servers.went)
    assert ("hedge.refused" in events, "hedge.sent" in events) == (True, False)


# What is counted, and where


def test_a_bulkhead_counts_calls_and_a_breaker_counts_attempts(drive: Drive) -> None:
    """
    One place for two copies and a retry; each endpoint's circuit has its own.
    """
    stack = layers(hedging=AT_ONCE, bulkhead={"limit": 1, "queue": 0})
    bulkhead, breaker = the(scallion.Bulkhead, stack), the(scallion.CircuitBreaker, stack)
    active: list[int] = []

    class Watched(TwoBroken):
        def _answer(self, request: Request) -> Any:
            active.append(bulkhead.stats("http://orders/").active)
            return super()._answer(request)

    servers = Watched()
    (response,) = servers.send(stack, drive, get())

    assert 200 == response.status_code
    assert {1} == set(active)
    assert 0 == bulkhead.stats("http://orders/").active
    states = [breaker.state(f"http://{host}:8080") for host in servers.went[:2]]
    assert all(state.failures >= 1 for state in states)
    assert 0 == breaker.state("http://orders/").requests


def test_who_waited_in_line_in_vain_opens_no_circuit(drive: Drive) -> None:
    """
    The calls' deadline came first; the endpoint was asked for nothing, and looks no slower.
    """
    stack = layers(
        endpoints={"addresses": THREE[:1]},
        concurrency={"initial": 1, "minimum": 1, "maximum": 1, "queue": 10, "patience": 60},
        timeouts={"total": 5.0, "attempt": None},
        breaker={"minimum": 2, "ratio": 0.1},
        tracing=False,
    )
    breaker, endpoints = the(scallion.CircuitBreaker, stack), the(Endpoints, stack)
    world = World([lambda request: open_response(200)], blocking=drive.blocking)

    async def scenario() -> None:
        onion = compose(stack, world.transport, world, strict=not drive.blocking)
        held = await onion(get())
        for _ in range(3):
            with pytest.raises(scallion.TotalTimeout):
                await onion(get())
        await held.aclose()

    drive(scenario)

    state = breaker.state(f"http://{THREE[0]}")
    assert ("closed", 1, 0) == (state.phase, state.requests, state.failures)
    (endpoint,) = endpoints.state("orders").endpoints
    assert (0.0, 0, 0) == (endpoint.latency, endpoint.pending, endpoint.failed)


def test_waiting_for_a_rate_is_no_slowness_of_the_server(drive: Drive) -> None:
    """
    Adaptive concurrency measures the attempt alone; a second's wait would be too slow for it.
    """
    stack = layers(
        endpoints={"addresses": THREE[:1]},
        rate_limit={"rate": "1/second", "wait": True},
        concurrency={"algorithm": "aimd", "too_slow": 0.5, "initial": 10},
        tracing=False,
    )
    world = World([lambda request: Response(200)] * 5, blocking=drive.blocking)

    async def scenario() -> None:
        onion = compose(stack, world.transport, world, strict=not drive.blocking)
        for _ in range(5):
            await onion(get())

    drive(scenario)

    assert 4 == len(world.slept)
    concurrency = the(AdaptiveConcurrency, stack)
    assert concurrency.stats(f"http://{THREE[0]}").limit >= 10


# What the servers hear


def test_each_attempt_hears_of_less_time(drive: Drive) -> None:
    """
    What the earlier ones and the waits took is gone.
    """
    stack = layers(timeouts={"total": 5.0, "attempt": 5.0})
    script = [After(1.5, Response(503)), After(2.0, Response(503)), Response(200)]
    world = World(script, blocking=drive.blocking)
    heard: list[float] = []

    async def hearing(request: Request) -> Response:
        heard.append(float(request.headers["X-Request-Timeout"]))
        return await world.transport(request)

    async def scenario() -> Response:
        return await compose(stack, hearing, world, strict=not drive.blocking)(get())

    assert 200 == drive(scenario).status_code
    assert pytest.approx([5.0, 3.5, 1.5]) == heard


def test_copies_are_told_apart_by_nothing_but_their_attempt(drive: Drive) -> None:
    """
    A hedge has its attempt's number, as it is no attempt after a failure; id and key are the call's.
    """
    servers = TwoBroken()
    stack = layers(hedging=AT_ONCE, idempotency_keys=True)

    servers.send(stack, drive, Request("POST", SERVICE, content=b"one"))

    numbers = [headers.get("X-Request-Attempt") for headers in servers.heard]
    assert [None, None] == numbers[:2]
    assert {"2"} == set(numbers[2:])
    assert 1 == len({headers["Idempotency-Key"] for headers in servers.heard})
    assert 1 == len({headers["X-Request-Id"] for headers in servers.heard})


def test_the_spans_of_copies_are_siblings(drive: Drive) -> None:
    """
    Children of the call's span, as retries are; each server hears of its own.
    """
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    servers = TwoBroken()
    stack = [
        replace(layer, tracer_provider=provider)
        if isinstance(layer, (Tracing, AttemptTracing))
        else layer
        for layer in layers(hedging=AT_ONCE)
    ]
    servers.send(stack, drive, get())

    spans = exporter.get_finished_spans()
    (call,) = [span for span in spans if span.parent is None]
    attempts = [span for span in spans if span is not call]
    assert "HTTP GET" == call.name
    assert call.context is not None
    assert {call.context.span_id} == {span.parent.span_id for span in attempts if span.parent}
    heard = {headers["traceparent"].split("-")[2] for headers in servers.heard}
    assert len(servers.heard) == len(heard) >= 3
    assert {f"{span.context.span_id:016x}" for span in attempts if span.context} <= heard


# The call's time


def test_waiting_for_a_place_is_bounded_by_the_total(drive: Drive) -> None:
    """
    Whatever the bulkhead's patience is, who has little time does not stand in line for longer.
    """
    stack = list(service_stack({"bulkhead": {"limit": 1}, "timeouts": {"total": 0.3}}))
    bulkhead = the(scallion.Bulkhead, stack)

    async def scenario() -> float:
        world = World([open_response(200, b"one")], blocking=drive.blocking)
        onion = compose(stack, world.transport, world, strict=False)
        first = await onion(Request("GET", "http://orders/"))
        before = world.clock()
        with pytest.raises(scallion.TotalTimeout, match=r"0\.3 seconds|waiting for a place"):
            await onion(Request("GET", "http://orders/"))
        waited = world.clock() - before
        await first.aclose()
        return waited

    assert 0.3 == pytest.approx(drive(scenario))
    assert 0 == bulkhead.stats("http://orders/").active


# Calls together


def test_identical_calls_share_retries_and_hedges(drive: Drive) -> None:
    """
    All have the one answer; each has its place in the bulkhead, and gives it back.
    """
    all_here = threading.Event()

    class Waiting(TwoBroken):
        def _answer(self, request: Request) -> Any:
            return super()._answer(request) if all_here.is_set() else all_here

    servers = Waiting()
    servers.blocking = drive.blocking
    stack = layers(hedging=AT_ONCE, coalescing=True)
    bulkhead = the(scallion.Bulkhead, stack)
    requests = [get() for _ in range(5)]

    async def scenario() -> list[Any]:
        onion = compose(stack, servers, drive.runtime(), strict=False)

        async def call(request: Request) -> Response:
            response = await onion(request)
            await response.aread()
            return response

        async def watch() -> None:
            while bulkhead.stats("http://orders/").active < 5 or len(set(servers.went)) < 2:
                time.sleep(0.001) if drive.blocking else await anyio.sleep(0.001)
            all_here.set()

        return await together(drive, watch, *(partial(call, request) for request in requests))

    responses = drive(scenario)[1:]

    assert [200] * 5 == [response.status_code for response in responses]
    assert 3 <= len(servers.went) <= 4
    assert {SERVICE} == {str(response.request.url) for response in responses}
    assert 0 == bulkhead.stats("http://orders/").active


# Cancelled


@pytest.fixture(params=["asyncio", "trio"])
def async_drive(request: pytest.FixtureRequest) -> Drive:
    return Drive(request.param)


def test_a_cancellation_in_line_is_known_as_one(async_drive: Drive) -> None:
    """
    Under an event loop the deadline may come as a cancellation.
    """
    marked: list[bool] = []
    gate = Gate(1, 1)
    assert gate.enter()
    rate = RateLimit("1/hour", wait=True, patience=None)

    async def watched(work: Any) -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            try:
                await work
            except BaseException as error:
                marked.append(ended_in_line(error))
                raise

    async def scenario() -> None:
        runtime = async_drive.runtime()
        onion = compose([rate], Servers(), runtime)
        await onion(get())
        await watched(wait_in_line(gate, get(), runtime, 60.0, "bulkhead"))
        await watched(onion(get()))

    async_drive(scenario)

    assert [True, True] == marked
    assert (1, 0) == (gate.stats().active, gate.stats().waiting)


EVERYTHING: dict[str, Any] = {
    "coalescing": True,
    "hedging": AT_ONCE,
    "idempotency_keys": True,
    "retries": {"base": 0.01, "cap": 0.01},
    "rate_limit": {"rate": "1000/second", "wait": True},
    "concurrency": {"initial": 2, "minimum": 2, "maximum": 2, "queue": 10},
    "breaker": {"minimum": 1, "break_for": 0.001, "longest": 0.001, "ratio": 0.01},
    "bulkhead": {"limit": 2, "queue": 2},
}


class Layers:
    """What of the stack may be left held."""

    def __init__(self, stack: list[Any]) -> None:
        self.bulkhead = the(scallion.Bulkhead, stack)
        self.concurrency = the(AdaptiveConcurrency, stack)
        self.breaker = the(scallion.CircuitBreaker, stack)
        self.endpoints = the(Endpoints, stack)

    def held(self) -> dict[str, int]:
        """By name; nothing that is 0."""
        gates = [*self.bulkhead.known().values(), *self.concurrency.known().values()]
        counts = {
            "active": sum(gate.active for gate in gates),
            "waiting": sum(gate.waiting for gate in gates),
            "probing": sum(state.probing for state in self.breaker.states().values()),
            "pending": sum(each.pending for each in self.endpoints.state("orders").endpoints),
        }
        return {name: count for name, count in counts.items() if count}


def tasks() -> int:
    """Under the running loop, this one included."""
    if sniffio.current_async_library() == "trio":
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())


@pytest.mark.parametrize("hedging", [AT_ONCE, False])
def test_a_cancelled_call_leaves_nothing_behind(async_drive: Drive, hedging: Any) -> None:
    """
    Wherever it was: no place, no probe, no pending attempt, no task; and the next call is served.
    """

    class Waiting(Servers):
        async def __call__(self, request: Request) -> Response:
            self.went.append(request.url.host)
            await anyio.sleep(0)
            await anyio.sleep(0)
            # Each third fails, which opens its circuit for a moment; the rest have bodies to be read.
            if len(self.went) % 3 == 1:
                return Response(503, request=request)
            response = open_response(200, b"a", b"b")
            response.request = request
            return response

    async def scenario() -> int:
        servers = Waiting()
        stack = layers(**{**EVERYTHING, "hedging": hedging})
        found = Layers(stack)
        onion = compose(stack, servers, async_drive.runtime(), strict=True)
        before = tasks()

        async def call() -> None:
            response = await onion(get())
            try:
                await anyio.sleep(0)
                await response.aread()
            finally:
                with anyio.CancelScope(shield=True):
                    await response.aclose()

        async def check() -> None:
            gc.collect()
            # A task that has ended leaves the loop's books a turn later.
            for _ in range(3):
                await anyio.sleep(0)
            assert {} == found.held()
            assert before == tasks()

        # Several times: circuits open, are probed and close meanwhile.
        return sum([await cancelled_everywhere(call, check) for _ in range(6)])

    assert async_drive(scenario) >= 18


def test_an_interrupted_call_leaves_nothing_behind() -> None:
    """
    In a thread that is Ctrl-C: at each request that goes out, one after the other.
    """
    drive = Drive("sync")
    for number in range(1, 4):
        servers = Servers(lambda request: 503)
        stack = layers(**{**EVERYTHING, "hedging": False})
        found = Layers(stack)

        def answer(request: Request, number: int = number, servers: Servers = servers) -> int:
            if len(servers.went) == number:
                raise KeyboardInterrupt
            return 503

        servers.answer = answer
        with pytest.raises(KeyboardInterrupt):
            servers.send(stack, drive, get())

        assert number == len(servers.went)
        assert {} == found.held()


def test_a_loser_in_a_thread_leaves_nothing_behind() -> None:
    """
    When its own sending has ended, later than the call.
    """
    servers = Servers(Once(HANGS, 200))
    stack = layers(**EVERYTHING)
    found = Layers(stack)

    (response,) = servers.send(stack, Drive("sync"), get())

    assert 200 == response.status_code
    for _ in range(1000):
        if not found.held():
            break
        time.sleep(0.01)
    assert {} == found.held()
