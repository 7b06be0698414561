"""Resolvers: tables, functions, objects, and the cache; and what they do not change."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import pytest
import trustme

from scallion import AsyncClient, Client
from scallion.pipeline.errors import ConnectError, ConnectTimeout
from scallion.transports.resolving import Address, CachedResolver, Lookup, as_resolver, find
from support.colours import Drive
from support.servers import HTTPServer, ProxyServer, ScriptedServer, close, expect, respond
from support.together import together
from support.wire import Wire
from support.worlds import RecordingRuntime

LONG = 5.0


class System:
    """An operating system that knows a few names, and counts the questions."""

    def __init__(self, **names: list[str]) -> None:
        self.names = names
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int, timeout: float | None) -> list[str]:
        self.asked.append(host)
        if host not in self.names:
            raise ConnectError(f"cannot connect to {host}:{port}: the name does not resolve")
        return self.names[host]


def lookup(system: Any, runtime: Any = None, left: float | None = LONG) -> Lookup:
    return Lookup(system, runtime or RecordingRuntime(), lambda: left)


# What resolver= takes.


@pytest.mark.parametrize(
    ("table", "host", "expected"),
    [
        ({"db.internal": "10.0.0.7"}, "db.internal", [("10.0.0.7", 80)]),
        ({"DB.Internal": ["10.0.0.7", "::1"]}, "db.internal", [("10.0.0.7", 80), ("::1", 80)]),
        ({"db.internal": ("10.0.0.7", 8080)}, "db.internal", [("10.0.0.7", 8080)]),
        ({"db.internal": [("10.0.0.7", 1), "::1"]}, "db.internal", [("10.0.0.7", 1), ("::1", 80)]),
        ({"a:80": "10.0.0.1", "a": "10.0.0.2"}, "a", [("10.0.0.1", 80)]),
        ({"a:443": "10.0.0.1", "a": "10.0.0.2"}, "a", [("10.0.0.2", 80)]),
        ({"a": "known"}, "a", [("10.1.1.1", 80)]),
        ({"a": ("known", 8080)}, "a", [("10.1.1.1", 8080)]),
        ({"bücher.example": "10.0.0.3"}, "xn--bcher-kva.example", [("10.0.0.3", 80)]),
        ({"a": "10.0.0.1"}, "known", [("10.1.1.1", 80)]),
    ],
)
def test_a_table(drive: Drive, table: dict[str, Any], host: str, expected: Any) -> None:
    """
    Names, with or without a port; addresses, with or without one, or other names. The system knows the rest.
    """
    system = System(known=["10.1.1.1"])
    resolver = as_resolver(table)

    async def scenario() -> Any:
        return await find(resolver, host, 80, lookup(system, drive.runtime()))

    assert expected == drive(scenario)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"127.0.0.1": "10.0.0.1"}, "has an address for the address '127.0.0.1'"),
        ({"127.0.0.1:80": "10.0.0.1"}, "has an address for the address '127.0.0.1:80'"),
        ({"::1": "10.0.0.1"}, "has an address for the address '::1'"),
        ({"[::1]:80": "10.0.0.1"}, "has an address for the address"),
        ({"a:http": "10.0.0.1"}, "takes names, or names with a port, not 'a:http'"),
        ({":80": "10.0.0.1"}, "takes names, or names with a port, not ':80'"),
    ],
)
def test_a_table_that_makes_no_sense(table: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match="resolver= ") as caught:
        as_resolver(table)
    assert message in str(caught.value)


def test_nothing_of_the_kind() -> None:
    with pytest.raises(TypeError, match="resolver= takes an object with `async def resolve"):
        as_resolver(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"max_age": -1}, ValueError),
        ({"max_age": "5"}, TypeError),
        ({"max_age": None}, TypeError),
        ({"max_entries": 0}, ValueError),
        ({"max_entries": 1.5}, TypeError),
        ({"resolver": 5}, TypeError),
    ],
)
def test_a_cache_that_makes_no_sense(settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        CachedResolver(**settings)


def plain(host: str, port: int) -> list[str] | None:
    return ["10.0.0.1"] if host == "a" else None


async def asynchronous(host: str, port: int) -> list[str] | None:
    return plain(host, port)


@pytest.mark.parametrize("function", [plain, asynchronous])
def test_a_function(drive: Drive, function: Callable[[str, int], Any]) -> None:
    """
    Plain or async; what it does not know, the system does.
    """
    resolver = as_resolver(function)

    async def scenario() -> None:
        system = lookup(System(b=["10.0.0.2"]), drive.runtime())
        assert [("10.0.0.1", 80)] == await find(resolver, "a", 80, system)
        assert [("10.0.0.2", 80)] == await find(resolver, "b", 80, system)

    drive(scenario)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ([], ConnectError, r"to a:80: the name does not resolve: its resolver gave no address"),
        (OSError("no idea"), ConnectError, r"to a:80: the name does not resolve: no idea"),
        (TimeoutError(), ConnectTimeout, r"to a:80: no connection within 5 s"),
        ([5], TypeError, r"gave 5: expected '192.0.2.1' or"),
        (KeyError("a"), KeyError, "a"),
    ],
)
def test_a_resolver_that_does_not_know(
    drive: Drive, answer: Any, error: type[Exception], message: str
) -> None:
    """
    Errors of the system's kind mean that a name does not resolve; others are bugs, and pass.
    """

    def tell(host: str, port: int) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def scenario() -> None:
        with pytest.raises(error, match=message):
            await find(as_resolver(tell), "a", 80, lookup(System(), drive.runtime()))

    drive(scenario)


def test_a_resolver_that_takes_too_long() -> None:
    """
    Under an event loop it is cancelled when the time for connecting is over.
    """

    async def hangs(host: str, port: int) -> None:
        await anyio.sleep_forever()

    async def scenario() -> None:
        runtime = Drive("asyncio").runtime()
        with pytest.raises(ConnectTimeout, match=r"to a:80: no connection within 0\.01 s"):
            await find(as_resolver(hangs), "a", 80, lookup(System(), runtime, 0.01))

    anyio.run(scenario)


# What it changes, and what not.


def test_the_name_stays_the_name(drive: Drive) -> None:
    """
    The connection leads elsewhere; the Host header and the URL are those of the name.
    """
    with HTTPServer() as server:

        async def scenario() -> None:
            table = {"service.internal": ("127.0.0.1", server.port)}
            async with Wire(drive, resolver=table) as wire:
                assert b"ok" == await wire.get("http://service.internal/x")

        drive(scenario)
    assert ["service.internal"] == [received.get("host") for received in server.requests]


def test_a_certificate_is_checked_for_the_name(drive: Drive, authority: trustme.CA) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("service.internal").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with HTTPServer(tls=context) as server:

        async def scenario() -> None:
            address = ("127.0.0.1", server.port)
            table = {"service.internal": address, "other.internal": address}
            async with Wire(drive, resolver=table, verify=trusting) as wire:
                assert b"ok" == await wire.get("https://service.internal/")
                with pytest.raises(ConnectError):
                    await wire.get("https://other.internal/")

        drive(scenario)
        server.errors.clear()


def test_an_address_is_not_resolved(drive: Drive) -> None:
    def refuses(host: str, port: int) -> None:
        raise AssertionError(host)

    with HTTPServer() as server:

        async def scenario() -> None:
            async with Wire(drive, resolver=refuses) as wire:
                assert b"ok" == await wire.get(server.url)

        drive(scenario)


def test_something_that_is_no_address(drive: Drive) -> None:
    async def scenario() -> None:
        async with Wire(drive, resolver=lambda host, port: ["nowhere"]) as wire:
            with pytest.raises(ConnectError, match="its resolver gave 'nowhere', which is no IP"):
                await wire.get("http://service.internal/")
            assert "<Pool 0 active, 0 idle, 0 waiting of 100>" == wire.pool

    drive(scenario)


def test_the_way_to_a_proxy_is_resolved_and_the_target_is_not(drive: Drive) -> None:
    """
    Where a request goes from there, the proxy knows.
    """
    with HTTPServer() as server, ProxyServer() as proxy:

        async def scenario() -> None:
            table = {"proxy.internal": ("127.0.0.1", proxy.port)}
            async with Wire(drive, resolver=table, proxy="http://proxy.internal:1") as wire:
                assert b"ok" == await wire.get(server.url)

        drive(scenario)


@pytest.mark.parametrize("proxied", [False, True])
def test_clients_pass_it_on(proxied: bool) -> None:
    """
    To the transport that they make, and to those for proxies; in both colours.
    """
    with ScriptedServer(*[[expect(), respond(), close]] * 2) as server, ProxyServer() as proxy:
        table = {
            "service.internal": ("127.0.0.1", server.port),
            "proxy.internal": ("127.0.0.1", proxy.port),
        }
        settings: dict[str, Any] = {
            "resolver": table,
            "trust_env": False,
            "headers": {"Connection": "close"},
        }
        url = "http://service.internal/"
        if proxied:
            settings["proxy"], url = "http://proxy.internal:1", server.url
        with Client(**settings) as client:
            assert 200 == client.get(url).status_code

        async def scenario() -> None:
            async with AsyncClient(**settings) as client:
                assert 200 == (await client.get(url)).status_code

        anyio.run(scenario)


# The cache.


def test_an_answer_is_used_until_it_is_too_old(drive: Drive) -> None:
    system, runtime = System(a=["10.0.0.1"]), RecordingRuntime(blocking=drive.blocking)
    cache = CachedResolver(max_age=5.0)

    async def scenario() -> None:
        for elapsed, questions in ((0.0, 1), (4.9, 1), (0.2, 2)):
            runtime.now += elapsed
            assert ["10.0.0.1"] == await cache.resolve("a", 80, lookup(system, runtime))
            assert questions == len(system.asked)

    drive(scenario)
    assert "<CachedResolver 1 names, for 5 s>" == repr(cache)


def test_nothing_is_remembered_for_no_time(drive: Drive) -> None:
    system = System(a=["10.0.0.1"])
    cache = CachedResolver(max_age=0)

    async def scenario() -> None:
        for _ in range(2):
            await cache.resolve("a", 80, lookup(system, drive.runtime()))

    drive(scenario)
    assert ["a", "a"] == system.asked


def test_connections_take_turns_with_the_addresses(drive: Drive) -> None:
    """
    Those of each family; the families keep their places.
    """
    system = System(a=["2001:db8::1", "10.0.0.1", "10.0.0.2", "2001:db8::2", "10.0.0.3"])
    cache = CachedResolver()

    async def scenario() -> Any:
        asking = lookup(system, drive.runtime())
        return [list(await cache.resolve("a", 80, asking)) for _ in range(4)]

    first, second, third, fourth = drive(scenario)
    assert system.names["a"] == first
    assert ["2001:db8::2", "10.0.0.2", "10.0.0.3", "2001:db8::1", "10.0.0.1"] == second
    assert ["2001:db8::1", "10.0.0.3", "10.0.0.1", "2001:db8::2", "10.0.0.2"] == third
    assert ["2001:db8::2", "10.0.0.1", "10.0.0.2", "2001:db8::1", "10.0.0.3"] == fourth


def test_failures_are_not_remembered(drive: Drive) -> None:
    system = System()
    cache = CachedResolver()

    async def scenario() -> None:
        with pytest.raises(ConnectError):
            await cache.resolve("a", 80, lookup(system, drive.runtime()))
        system.names["a"] = ["10.0.0.1"]
        assert ["10.0.0.1"] == await cache.resolve("a", 80, lookup(system, drive.runtime()))

    drive(scenario)


def test_there_are_never_too_many_names(drive: Drive) -> None:
    system = System(**{f"name{number}": ["10.0.0.1"] for number in range(100)})
    cache = CachedResolver(max_entries=10)

    async def scenario() -> None:
        for name in system.names:
            await cache.resolve(name, 80, lookup(system, drive.runtime()))
            assert len(cache._answers) <= 10

    drive(scenario)


def test_a_name_is_forgotten_when_its_addresses_do_not_serve(drive: Drive) -> None:
    """
    The next attempt asks again, and finds where the service has moved to.
    """
    with HTTPServer() as server, socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        answers = [unheard.getsockname(), ("127.0.0.1", server.port)]
        cache = CachedResolver(lambda host, port: [answers.pop(0)], max_age=1000.0)

        async def scenario() -> None:
            async with Wire(drive, resolver=cache) as wire:
                with pytest.raises(ConnectError, match="refused"):
                    await wire.get("http://service.internal/")
                assert b"ok" == await wire.get("http://service.internal/")

        drive(scenario)
    assert [] == answers


def test_the_system_is_asked_by_default(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Once for several connections.
    """
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    with HTTPServer() as server:
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

        async def scenario() -> None:
            async with Wire(drive) as wire:
                for _ in range(2):
                    response = await wire.open("GET", f"http://service.test:{server.port}/")
                    await wire.close(response)

        drive(scenario)
    # Trio asks first whether it is an address.
    assert set(asked) == {"service.test"}
    assert len(asked) <= 2


class Slow:
    """A resolver that answers when it is told to."""

    def __init__(self, drive: Drive, answer: Any = ("10.0.0.1",)) -> None:
        self.asked = 0
        self.answer = answer
        self.blocking = drive.blocking
        self.go: Any = threading.Event()
        self.arrived: Any = threading.Event()

    async def resolve(self, host: str, port: int, system: Lookup) -> Sequence[Address]:
        self.asked += 1
        self.arrived.set()
        if self.blocking:
            assert self.go.wait(LONG)
        else:
            while not self.go.is_set():
                await anyio.sleep(0.001)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


@pytest.mark.parametrize("answer", [("10.0.0.1",), OSError("no idea")], ids=["known", "unknown"])
def test_who_asks_at_the_same_time_shares_the_question(drive: Drive, answer: Any) -> None:
    """
    And its answer, or its failure.
    """
    slow = Slow(drive, answer)
    cache = CachedResolver(slow, max_age=0)
    questions = iter(range(100))

    async def ask() -> Any:
        if next(questions) == 4:
            slow.go.set()
        try:
            return list(await cache.resolve("a", 80, lookup(System(), drive.runtime())))
        except OSError as error:
            return str(error)

    async def scenario() -> Any:
        return await together(drive, *[ask] * 5)

    results = drive(scenario)
    expected = "no idea" if isinstance(answer, OSError) else ["10.0.0.1"]
    assert [expected] * 5 == results
    # Threads that come when the first is done already ask again.
    assert 1 == slow.asked or drive.blocking
    assert {} == cache._questions


def test_a_question_survives_who_asked_it() -> None:
    """
    The first one is cancelled while it asks; those who waited for its answer get one of their own.
    """

    async def scenario() -> None:
        drive = Drive("asyncio")
        slow = Slow(drive)
        cache = CachedResolver(slow)
        found: list[Any] = []

        async def ask() -> None:
            found.append(await cache.resolve("a", 80, lookup(System(), drive.runtime())))

        async with anyio.create_task_group() as others:
            async with anyio.create_task_group() as first:
                first.start_soon(ask)
                while not slow.asked:
                    await anyio.sleep(0)
                for _ in range(3):
                    others.start_soon(ask)
                await anyio.sleep(0.005)
                first.cancel_scope.cancel()
            assert [] == found
            slow.go.set()
        assert [["10.0.0.1"]] * 3 == found
        assert 2 == slow.asked
        assert {} == cache._questions

    anyio.run(scenario)


def test_who_waits_for_anothers_question_has_his_own_patience() -> None:
    async def scenario() -> None:
        drive = Drive("trio")
        slow = Slow(drive)
        cache = CachedResolver(slow)

        async with anyio.create_task_group() as group:
            group.start_soon(cache.resolve, "a", 80, lookup(System(), drive.runtime()))
            while not slow.asked:
                await anyio.sleep(0)
            with pytest.raises(ConnectTimeout, match="a:80"):
                await cache.resolve("a", 80, lookup(System(), drive.runtime(), 0.01))
            slow.go.set()

    anyio.run(scenario, backend="trio")
