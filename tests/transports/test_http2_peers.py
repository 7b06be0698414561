"""HTTP/2 with the servers that people run: nghttpd, nginx and hypercorn, over TLS and in cleartext."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from scallion.pipeline.errors import RemoteProtocolError
from scallion.pipeline.settings import Limits
from support import peers
from support.colours import Drive
from support.goaway import GoawayRelay
from support.together import together
from support.wire import Wire

MANY = 200
LARGE = 4_000_000
PEERS = ["nghttpd", "nghttpd-tls", "nginx-tls", "hypercorn", "hypercorn-tls"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("peers")


@pytest.fixture(scope="module")
def certificate(authority: trustme.CA, folder: Path) -> peers.Certificate:
    return peers.Certificate.issue(authority, folder)


@pytest.fixture(scope="module")
def starting(folder: Path, certificate: peers.Certificate) -> Iterator[Callable[[str], str]]:
    """Starts the peer of a name, once, and tells its URL; `/size/0`, `/size/2` and `/size/4000000` are there."""
    with ExitStack() as stack:
        urls: dict[str, str] = {}

        def url(name: str) -> str:
            if name not in urls:
                server, _, tls = name.partition("-")
                mine = folder / name
                sizes = mine / "www" / "size"
                sizes.mkdir(parents=True)
                for size in (0, 2, LARGE):
                    (sizes / str(size)).write_bytes(bytes(size))
                given = {"certificate": certificate if tls else None}
                begin: dict[str, Callable[..., Any]] = {
                    "nghttpd": lambda: peers.nghttpd(mine, "--echo-upload", **given),
                    "nginx": lambda: peers.nginx(
                        mine,
                        "keepalive_requests 100000; client_max_body_size 0; http2_max_concurrent_streams 128;"
                        "location = /count { proxy_pass http://127.0.0.1:9; }",
                        **given,
                    ),
                    "hypercorn": lambda: peers.hypercorn(mine, "support.echo_app:app", **given),
                }
                port = stack.enter_context(begin[server]()).port
                urls[name] = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
            return urls[name]

        yield url


@pytest.fixture(params=PEERS)
def peer(request: pytest.FixtureRequest, starting: Callable[[str], str]) -> str:
    """The URL of each peer in turn."""
    return starting(request.param)


@pytest.fixture
def trusting(client_context: ssl.SSLContext) -> dict[str, Any]:
    """Settings of a transport that speaks HTTP/2 alone, and knows who signed."""
    return {"verify": client_context, "http1": False, "http2": True}


def get(wire: Wire, url: str) -> Callable[[], Coroutine[Any, Any, bytes]]:
    async def work() -> bytes:
        return await wire.get(url)

    return work


def test_one_request_after_the_other(drive: Drive, peer: str, trusting: dict[str, Any]) -> None:
    """They share a connection, whose streams are numbered 1, 3, 5."""

    async def scenario() -> None:
        async with Wire(drive, **trusting) as wire:
            numbers = []
            for _ in range(3):
                response = await wire.open("GET", peer + "/size/2")
                assert bytes(2) == await wire.read(response)
                assert b"HTTP/2" == response.extensions["http_version"]
                numbers.append(response.extensions["stream_id"])
            assert [1, 3, 5] == numbers
            assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == wire.pool

    drive(scenario)


def test_many_at_once(drive: Drive, peer: str, trusting: dict[str, Any]) -> None:
    """Two hundred requests, more than a connection has room for; each gets its answer."""
    number = 50 if drive.blocking else MANY

    async def scenario() -> None:
        async with Wire(drive, **trusting) as wire:
            works = [get(wire, peer + "/size/2") for _ in range(number)]
            assert [bytes(2)] * number == await together(drive, *works)

    drive(scenario)


def test_large_answers_and_small_ones(drive: Drive, peer: str, trusting: dict[str, Any]) -> None:
    """Four downloads of 4 MB on one connection, small answers between them."""

    async def scenario() -> None:
        async with Wire(drive, **trusting) as wire:
            paths = ["/size/4000000", "/size/2"] * 4
            answers = await together(drive, *[get(wire, peer + path) for path in paths])
            assert [LARGE, 2] * 4 == [
                len(answer) if isinstance(answer, bytes) else answer for answer in answers
            ]

    drive(scenario)


@pytest.mark.parametrize(
    ("name", "path"), [("nghttpd", "/echo"), ("hypercorn", "/echo"), ("hypercorn-tls", "/echo")]
)
def test_uploads_and_downloads_at_once(
    drive: Drive,
    starting: Callable[[str], str],
    trusting: dict[str, Any],
    name: str,
    path: str,
) -> None:
    """Large bodies go both ways at the same time, on one connection, and come back whole."""
    url = starting(name) + path
    body = bytes(range(256)) * (LARGE // 256)

    async def scenario() -> None:
        async with Wire(drive, **trusting) as wire:

            async def upload() -> bytes:
                return await wire.read(await wire.open("POST", url, content=body))

            answers = await together(drive, upload, upload, upload)
            assert [body] * 3 == answers

    drive(scenario)


@pytest.mark.parametrize("name", ["nghttpd", "nginx-tls", "hypercorn"])
def test_a_slow_reader_stops_nobody(
    drive: Drive, starting: Callable[[str], str], trusting: dict[str, Any], name: str
) -> None:
    """While one response lies unread, others pass on the same connection; then it is read to its end."""
    url = starting(name)

    async def scenario() -> None:
        async with Wire(drive, **trusting, limits=Limits(max_connections=1)) as wire:
            slow = await wire.open("GET", url + "/size/4000000")
            for _ in range(10):
                assert bytes(2) == await wire.get(url + "/size/2")
            assert LARGE == len(await wire.get(url + "/size/4000000"))
            assert LARGE == len(await wire.read(slow))

    drive(scenario)


@pytest.mark.parametrize("name", ["nghttpd", "nginx-tls", "hypercorn"])
def test_a_response_half_read_and_closed_returns_its_window(
    drive: Drive, starting: Callable[[str], str], trusting: dict[str, Any], name: str
) -> None:
    """Closing resets the stream: after fifty of them, more than the connection's window, the same connection serves."""
    url = starting(name)

    async def scenario() -> None:
        async with Wire(drive, **trusting, limits=Limits(max_connections=1)) as wire:
            last = 0
            for _ in range(50):
                response = await wire.open("GET", url + "/size/4000000")
                last = response.extensions["stream_id"]
                await wire.close(response)
            assert LARGE == len(await wire.get(url + "/size/4000000"))
            assert last == 99

    drive(scenario)


@pytest.mark.parametrize("name", ["hypercorn", "hypercorn-tls"])
def test_a_cancelled_request_resets_its_stream(
    starting: Callable[[str], str], trusting: dict[str, Any], name: str
) -> None:
    """What hangs is cancelled, its neighbours go on, on the same connection."""
    url = starting(name)
    drive = Drive("asyncio")

    async def scenario() -> None:
        async with Wire(drive, **trusting, limits=Limits(max_connections=1)) as wire:
            for _ in range(20):
                with anyio.move_on_after(0.01):
                    await wire.get(url + "/hang")
                assert bytes(2) == await wire.get(url + "/size/2")
            response = await wire.open("GET", url + "/size/2")
            assert response.extensions["stream_id"] > 20
            assert bytes(2) == await wire.read(response)

    drive(scenario)


def test_a_server_that_says_farewell_every_hundred_requests_loses_none(
    drive: Drive,
    tmp_path: Path,
    certificate: peers.Certificate,
    client_context: ssl.SSLContext,
) -> None:
    """nginx sends GOAWAY after a hundred requests; of a thousand at once none is lost or sent twice."""
    each = 20 if drive.blocking else 1

    async def scenario(url: str) -> None:
        limits = Limits(max_connections=4)
        async with Wire(drive, verify=client_context, http2=True, limits=limits) as wire:

            async def several(number: int) -> list[bytes]:
                return [await wire.get(f"{url}/{number}/{turn}") for turn in range(each)]

            works = [lambda number=number: several(number) for number in range(1000 // each)]
            assert [[b"hi"] * each] * (1000 // each) == await together(drive, *works)

    (tmp_path / "www").mkdir()
    server = 'keepalive_requests 100; location / { return 200 "hi"; }'
    with peers.nginx(tmp_path, server, certificate=certificate) as running:
        drive(lambda: scenario(f"https://localhost:{running.port}"))
    seen = re.findall(r'"GET (\S+) HTTP/2.0" 200', running.said())
    assert 1000 == len(seen) == len(set(seen))


def test_a_thousand_at_once_while_the_server_says_farewell(drive: Drive, tmp_path: Path) -> None:
    """
    nghttpd allows a hundred streams at once, and a relay sends GOAWAY every ninety: of a thousand requests some are refused
    because they came too late, and each is answered.
    """
    each = 20 if drive.blocking else 1
    (tmp_path / "www").mkdir()
    for number in range(1000):
        (tmp_path / "www" / str(number)).write_text(f"answer {number}")

    async def scenario(url: str) -> None:
        async with Wire(drive, http1=False, http2=True, limits=Limits(max_connections=4)) as wire:

            async def several(first: int) -> list[bytes]:
                return [await wire.get(f"{url}/{number}") for number in range(first, first + each)]

            works = [lambda first=first: several(first) for first in range(0, 1000, each)]
            answers = await together(drive, *works)
            assert [
                [f"answer {number}".encode() for number in range(first, first + each)]
                for first in range(0, 1000, each)
            ] == answers

    with peers.nghttpd(tmp_path) as server, GoawayRelay(server.port, each=90) as relay:
        drive(lambda: scenario(relay.url))
    assert relay.refused > 0
    assert len(relay.connections) >= 10


def test_many_farewells_lose_nothing_either(drive: Drive, tmp_path: Path) -> None:
    """
    Whoever is refused more often than a connection may be lost goes on, as long as others are served meanwhile.
    """
    number = 60 if drive.blocking else 300
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "small").write_bytes(b"small")

    async def scenario(url: str) -> None:
        async with Wire(drive, http1=False, http2=True) as wire:
            assert [b"small"] * number == await together(drive, *[get(wire, url)] * number)

    with peers.nghttpd(tmp_path) as server, GoawayRelay(server.port, each=3) as relay:
        drive(lambda: scenario(relay.url + "/small"))
    assert relay.refused > 0


def test_a_server_of_http11_alone_is_no_http2_server(drive: Drive, tmp_path: Path) -> None:
    """Who insists on HTTP/2 in cleartext, and is answered in HTTP/1.1, is told so."""

    async def scenario(url: str) -> None:
        async with Wire(drive, http1=False, http2=True) as wire:
            with pytest.raises(RemoteProtocolError):
                await wire.get(url)

    with peers.nginx(tmp_path, "") as running:
        drive(lambda: scenario(f"http://127.0.0.1:{running.port}/"))
