"""Sources: what they say, for how long it is good, and what is no answer."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scallion.middlewares.endpoints.endpoint import Endpoint
from scallion.middlewares.endpoints.sources import (
    DNS,
    SRV,
    Asked,
    Found,
    Source,
    Static,
    WatchedFile,
    source_of,
)
from scallion.pipeline.runtime import Runtime
from support.colours import Drive


def ask(source: Source, drive: Drive, runtime: Runtime, service: str = "orders") -> Found:
    async def scenario() -> Found:
        return await source.find(service, runtime)

    return drive(scenario)


# DNS


def test_a_name_has_addresses_of_both_families(drive: Drive, runtime: Runtime) -> None:
    """
    Each counts once; the port is the source's.
    """
    asked: list[Any] = []

    def lookup(*args: Any, **settings: Any) -> list[Any]:
        asked.append((args, threading.current_thread() is threading.main_thread()))
        kind = socket.SOCK_STREAM
        return [
            (socket.AF_INET, kind, 6, "", ("10.0.0.1", 8080)),
            (socket.AF_INET, kind, 6, "", ("10.0.0.1", 8080)),
            (socket.AF_INET6, kind, 6, "", ("2001:db8::1", 8080, 0, 0)),
        ]

    found = ask(DNS(port=8080, lookup=lookup), drive, runtime)

    assert Found((Endpoint("10.0.0.1", 8080), Endpoint("2001:db8::1", 8080)), 30.0) == found
    # Off the event loop.
    assert [(("orders", 8080), drive.blocking)] == asked


def test_a_name_may_be_another_than_the_services(drive: Drive, runtime: Runtime) -> None:
    found = ask(DNS("localhost", interval=5.0), drive, runtime)

    assert {"127.0.0.1", "::1"} & {endpoint.host for endpoint in found.endpoints}
    assert 5.0 == found.good_for


def test_no_addresses_are_a_failure(drive: Drive, runtime: Runtime) -> None:
    with pytest.raises(ValueError, match="'orders' gave no endpoints"):
        ask(DNS(lookup=lambda *args, **settings: []), drive, runtime)


# SRV


@contextmanager
def name_server(records: list[str], ttl: int = 60) -> Iterator[Any]:
    """A resolver that asks a name server on loopback."""
    import dns.flags
    import dns.message
    import dns.resolver
    import dns.rrset

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.05)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    data, peer = sock.recvfrom(4096)
                except TimeoutError:
                    continue
                query = dns.message.from_wire(data)
                answer = dns.message.make_response(query)
                if records:
                    name = query.question[0].name
                    answer.answer.append(dns.rrset.from_text(name, ttl, "IN", "SRV", *records))
                sock.sendto(answer.to_wire(), peer)

        thread = threading.Thread(target=serve)
        thread.start()
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = sock.getsockname()[1]
        try:
            yield resolver
        finally:
            done.set()
            thread.join()


def test_srv_records_give_ports_weights_and_a_time_to_live(drive: Drive, runtime: Runtime) -> None:
    """
    And priorities; of a server that is named twice the better one.
    """
    records = [
        "10 3 8080 a.internal.",
        "10 0 8081 b.internal.",
        "20 9 8082 c.internal.",
        "30 9 8080 a.internal.",
    ]
    with name_server(records, ttl=77) as resolver:
        found = ask(SRV("_http._tcp.{service}.internal", resolver=resolver), drive, runtime)

    expected = {
        Endpoint("a.internal", 8080, weight=3, priority=10),
        Endpoint("b.internal", 8081, weight=0.1, priority=10),
        Endpoint("c.internal", 8082, weight=9, priority=20),
    }
    assert expected == set(found.endpoints)
    assert 77.0 == found.good_for


@pytest.mark.parametrize(
    ("ttl", "interval", "good_for"), [(0, None, 1), (9999, None, 300), (60, 5.0, 5)]
)
def test_a_time_to_live_is_bounded(
    drive: Drive, runtime: Runtime, ttl: int, interval: float | None, good_for: float
) -> None:
    with name_server(["1 1 80 a."], ttl) as resolver:
        assert good_for == ask(SRV(interval=interval, resolver=resolver), drive, runtime).good_for


def test_a_service_that_is_not_offered_has_no_endpoints(drive: Drive, runtime: Runtime) -> None:
    """
    A target of "." says so (RFC 2782).
    """
    with name_server(["1 1 0 ."]) as resolver:
        with pytest.raises(ValueError, match="no endpoints"):
            ask(SRV(resolver=resolver), drive, runtime)


def test_names_without_records_are_a_failure(drive: Drive, runtime: Runtime) -> None:
    import dns.resolver

    with name_server([]) as resolver:
        with pytest.raises(dns.resolver.NoAnswer):
            ask(SRV(resolver=resolver), drive, runtime)


def test_srv_says_what_to_install(
    drive: Drive, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "dns.resolver", None)

    with pytest.raises(ImportError, match=r"scallion\[dns\]"):
        ask(SRV(), drive, runtime)


# Files


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1:80\n\n# a comment\n10.0.0.2:80  # another\n", ["10.0.0.1:80", "10.0.0.2:80"]),
        ("[2001:db8::1]:80\n10.0.0.1:80\n", ["[2001:db8::1]:80", "10.0.0.1:80"]),
        (json.dumps(["10.0.0.1:80"]), ["10.0.0.1:80"]),
        (json.dumps({"orders": ["10.0.0.1:80"], "users": []}), ["10.0.0.1:80"]),
        (json.dumps([{"endpoint": "https://a", "weight": 3}]), ["https://a:443"]),
    ],
)
def test_files_are_json_or_lines(
    drive: Drive, runtime: Runtime, tmp_path: Path, text: str, expected: list[str]
) -> None:
    path = tmp_path / "endpoints"
    path.write_text(text)
    found = ask(WatchedFile(path), drive, runtime)

    assert expected == [str(endpoint) for endpoint in found.endpoints]
    assert 1.0 == found.good_for
    assert [3.0 if "weight" in text else 1.0] == [found.endpoints[0].weight]


def test_a_file_gives_weights_and_priorities(
    drive: Drive, runtime: Runtime, tmp_path: Path
) -> None:
    """
    Of endpoints that are objects; else they are all alike.
    """
    path = tmp_path / "endpoints"
    path.write_text(json.dumps(["a:80", {"endpoint": "b:80", "weight": 2, "priority": 1}]))

    found = ask(WatchedFile(path), drive, runtime)

    assert (Endpoint("a", 80), Endpoint("b", 80, weight=2, priority=1)) == found.endpoints


@pytest.mark.parametrize(
    "text", ["", "# nobody\n", "[]", "[1", '{"users": ["a"]}', '{"orders": 7}', "[7]", "http://a/b"]
)
def test_broken_files_are_told_once_and_what_was_good_remains(
    drive: Drive, runtime: Runtime, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "endpoints"
    path.write_text("10.0.0.1:80")
    source = WatchedFile(path)
    good = ask(source, drive, runtime)
    path.write_text(text)
    os.utime(path, (1, 1))

    with pytest.raises((ValueError, TypeError, Exception)):
        ask(source, drive, runtime)
    assert good == ask(source, drive, runtime)


def test_a_file_is_read_when_it_has_changed(
    drive: Drive, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "endpoints"
    path.write_text("10.0.0.1:80")
    source = WatchedFile(path)
    reads: list[Path] = []
    read_text = Path.read_text

    def reading(self: Path, *args: Any) -> str:
        reads.append(self)
        return read_text(self, *args)

    monkeypatch.setattr(Path, "read_text", reading)

    assert ask(source, drive, runtime) == ask(source, drive, runtime)
    assert 1 == len(reads)
    path.write_text("10.0.0.2:81")
    os.utime(path, (5, 5))
    assert "10.0.0.2:81" == str(ask(source, drive, runtime).endpoints[0])


def test_a_missing_file_is_a_failure(drive: Drive, runtime: Runtime, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ask(WatchedFile(tmp_path / "none"), drive, runtime)


# Functions


async def told(service: str) -> list[str]:
    return [f"{service}-1:80"]


class Callable_:
    async def __call__(self, service: str) -> list[str]:
        return await told(service)


@pytest.mark.parametrize(
    "function",
    [told, Callable_(), lambda service: [f"{service}-1:80"], lambda service: told(service)],
)
def test_functions_are_async_or_not(
    drive: Drive, runtime: Runtime, function: Callable[[str], Any]
) -> None:
    assert Found((Endpoint("orders-1", 80),), 7.0) == ask(Asked(function, 7.0), drive, runtime)


# What is taken for a source


def test_sources_are_given_in_short(tmp_path: Path) -> None:
    assert Static(["a:1", "b:2"]) == source_of(["a:1", "b:2"])
    assert Static(["a:1"]) == source_of("a:1")
    assert WatchedFile(tmp_path) == source_of(tmp_path)
    assert Asked(told) == source_of(told)
    assert DNS() == source_of(DNS())


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: source_of([]), ValueError),
        (lambda: source_of(7), TypeError),
        (lambda: source_of(DNS), TypeError),
        (lambda: DNS(interval=0), ValueError),
        (lambda: SRV(interval=0), ValueError),
        (lambda: SRV(timeout=0), ValueError),
        (lambda: WatchedFile("x", interval=0), ValueError),
        (lambda: Asked(told, 0), ValueError),
        (lambda: Asked(7), TypeError),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_source_is_refused(make: Callable[[], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        make()
