"""What the transport notes for `response.timings`: which phases there were, in each case; their order and no more."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trustme
from h2.settings import SettingCodes

from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime
from scallion.pipeline.settings import Limits, Proxy
from scallion.pipeline.timings import Timings
from support.colours import Drive
from support.http2_server import Call, HTTP2Server, Session
from support.servers import (
    Answer,
    HTTPServer,
    ProxyServer,
    Received,
    ScriptedServer,
    close,
    expect,
    expect_bytes,
    respond,
    send,
)
from support.together import together
from support.wire import Wire, request

OPENING = ("dns", "connect", "tls")
EXCHANGE = ("queue", "sent", "first_byte")


def measured(timings: Timings) -> set[str]:
    """The names of the phases that there were; none took less than no time."""
    found = {name: value for name, value in timings.as_dict().items() if value is not None}
    assert all(value >= 0 for value in found.values()), timings
    return set(found)


async def fetched(wire: Wire, url: str, **settings: Any) -> Timings:
    response = await wire.open("GET", url, **settings)
    await wire.read(response)
    return response.timings


def named(server: Any) -> str:
    """The server's URL by a name that has to be resolved."""
    return f"{server.scheme}://localhost:{server.port}"


def test_the_first_exchange_and_the_second(drive: Drive) -> None:
    """
    The one that opened the connection tells how; who reuses it waited for nothing.
    """
    with HTTPServer() as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                first = await fetched(wire, named(server))
                assert {"dns", "connect", *EXCHANGE} == measured(first)
                assert 0.0 == first.queue
                assert 0 < (first.connect or 0)
                second = await fetched(wire, named(server))
                assert set(EXCHANGE) == measured(second)
                assert 0.0 == second.queue

        drive(scenario)


def test_an_address_needs_no_resolving(drive: Drive) -> None:
    """
    There is no DNS then.
    """
    with HTTPServer() as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                assert {"connect", *EXCHANGE} == measured(await fetched(wire, server.url))

        drive(scenario)


def test_a_unix_socket(drive: Drive, tmp_path: Any) -> None:
    """
    Neither does a path.
    """
    path = str(tmp_path / "socket")
    with HTTPServer(path=path):

        async def scenario() -> None:
            async with Wire(drive, uds=path) as wire:
                assert {"connect", *EXCHANGE} == measured(await fetched(wire, "http://service/"))

        drive(scenario)


@pytest.mark.parametrize("http2", [False, True])
def test_tls(
    drive: Drive, authority: trustme.CA, client_context: ssl.SSLContext, http2: bool
) -> None:
    """
    The handshake has its own phase, in HTTP/2 as in HTTP/1.1.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with HTTP2Server(tls=context) as server:

        async def scenario() -> None:
            async with Wire(drive, http2=http2, verify=client_context) as wire:
                first = await fetched(wire, server.url)
                assert {*OPENING, *EXCHANGE} == measured(first)
                assert 0 < (first.tls or 0)
                assert set(EXCHANGE) == measured(await fetched(wire, server.url))

        drive(scenario)


def test_through_proxies(
    drive: Drive, authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    """
    A name is the proxy's; TLS to it counts, and so does that of the server behind it.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    with (
        HTTPServer(tls=context) as secure,
        HTTPServer() as plain,
        ProxyServer() as proxy,
        ProxyServer(tls=context) as encrypted,
    ):

        async def scenario() -> None:
            for url, through, expected in (
                (plain.url, proxy.url, {"connect"}),
                (plain.url, encrypted.url, {"dns", "connect", "tls"}),
                (secure.url, proxy.url, {"connect", "tls"}),
                (secure.url, encrypted.url, {"dns", "connect", "tls"}),
            ):
                to = Proxy(through, ssl_context=client_context if through[4] == "s" else None)
                async with Wire(drive, proxy=to, verify=client_context) as wire:
                    assert {*expected, *EXCHANGE} == measured(await fetched(wire, url))

        drive(scenario)


async def waited_for(
    drive: Drive, runtime: Runtime, wire: Wire, url: str, held: Response
) -> Timings:
    """Those of a request that waits until `held` is closed."""
    waits = runtime.event()

    def note(name: str, fields: dict[str, Any]) -> None:
        if name == "pool.wait":
            waits.set()

    async def wait() -> Response:
        sent = request("GET", url)
        sent.observers = (note,)
        return await wire.send(sent)

    async def release() -> Any:
        assert await waits.wait(5.0)
        await wire.close(held)

    response, _ = await together(drive, wait, release)
    assert isinstance(response, Response), response
    await wire.read(response)
    return response.timings


def test_waiting_for_the_pool(drive: Drive, runtime: Runtime) -> None:
    """
    Who had to wait for the only connection says for how long.
    """

    def answer(received: Received) -> Answer:
        # More than arrives together with a head.
        return Answer(body=b"x" * (4_000_000 if received.target == "/held" else 2))

    with HTTPServer(answer) as server:

        async def scenario() -> None:
            async with Wire(drive, limits=Limits(max_connections=1)) as wire:
                held = await wire.open("GET", f"{server.url}/held")
                timings = await waited_for(drive, runtime, wire, server.url, held)
                assert {"connect", *EXCHANGE} == measured(timings)
                assert 0 < (timings.queue or 0)
                assert 0.0 == held.timings.queue

        drive(scenario)


def test_waiting_for_a_stream(drive: Drive, runtime: Runtime) -> None:
    """
    With HTTP/2 likewise, where the server allows one at a time.
    """

    def handle(session: Session, call: Call) -> None:
        session.respond(call, b"begun", end=call.path != "/held")

    one = {SettingCodes.MAX_CONCURRENT_STREAMS: 1}
    with HTTP2Server(handle, settings=one) as server:

        async def scenario() -> None:
            limits = Limits(max_connections=1)
            async with Wire(drive, http1=False, http2=True, limits=limits) as wire:
                await fetched(wire, server.url)
                held = await wire.open("GET", f"{server.url}/held")
                timings = await waited_for(drive, runtime, wire, server.url, held)
                assert set(EXCHANGE) == measured(timings)
                assert 0 < (timings.queue or 0)
                assert 0.0 == held.timings.queue

        drive(scenario)


def test_the_moments_are_in_order(drive: Drive) -> None:
    """
    A request with a body in pieces, answered in pieces: began, sent, answered.
    """
    steps = [
        expect(),
        expect_bytes(20),
        send(b"HTTP/1.1 200 OK\r\n"),
        send(b"Content-Length: 2\r\n\r\nok"),
    ]
    with ScriptedServer(steps) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                response = await wire.open("POST", server.url, content=b"x" * 20)
                noted = response.extensions["connection"].steps
                assert noted.began <= noted.sent <= noted.answered
                await wire.read(response)

        drive(scenario)


def test_an_exchange_that_is_sent_again_tells_of_the_one_that_was_answered(drive: Drive) -> None:
    """
    The stale connection's part is in the total alone.
    """
    scripts = [expect(), respond(), expect(), close], [expect(), respond(b"again")]
    with ScriptedServer(*scripts) as server:

        async def scenario() -> None:
            async with Wire(drive) as wire:
                await fetched(wire, server.url)
                assert {"connect", *EXCHANGE} == measured(await fetched(wire, server.url))

        drive(scenario)


def test_steps_that_are_told_are_timed_too(drive: Drive) -> None:
    """
    A trace callback changes nothing about it.
    """

    def told(name: str, info: dict[str, Any]) -> None:
        """Of a Client."""

    async def told_async(name: str, info: dict[str, Any]) -> None:
        """Of an AsyncClient."""

    callback: Callable[..., Any] = told if drive.blocking else told_async
    for kind, settings in (
        (HTTPServer, {}),
        (HTTP2Server, {"http1": False, "http2": True}),
    ):
        with kind() as server:

            async def scenario(server: Any = server, settings: Any = settings) -> None:
                async with Wire(drive, **settings) as wire:
                    timings = await fetched(wire, server.url, extensions={"trace": callback})
                    assert {"connect", *EXCHANGE} == measured(timings)

            drive(scenario)
