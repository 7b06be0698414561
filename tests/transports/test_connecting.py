"""Connecting: names, addresses, deadlines, and which of several addresses wins; in each colour."""

from __future__ import annotations

import errno
import gc
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from scallion.pipeline.errors import (
    ConnectError,
    ConnectTimeout,
)
from scallion.pipeline.runtime import run
from scallion.transports.network.base import Network
from scallion.transports.network.connecting import Address, _interleaved, dial_tcp
from support.channels import (
    LONG,
    SHORT,
    Loop,
    Servers,
    cancelled,
    echo,
    read_exactly,
)


def test_what_is_written_can_be_read_back(play: Loop, serve: Servers) -> None:
    """
    Bytes go out and come in, and the end of the stream is an empty read, again and again.
    """
    address = serve(lambda connection: connection.sendall(connection.recv(100)))

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG)
        await channel.write(b"hello", LONG)
        assert b"hello" == await read_exactly(channel, 5)
        assert b"" == await channel.read(100, LONG)
        assert b"" == await channel.read(100, LONG)
        await channel.aclose()

    play(scenario)


def test_a_name_is_resolved(play: Loop, serve: Servers) -> None:
    """
    Each address of a name is tried: the server listens on one of localhost's.
    """
    host, port = serve(echo)
    assert "127.0.0.1" == host

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp("localhost", port, LONG)
        await channel.write(b"x", None)
        assert b"x" == await channel.read(1, None)
        channel.close()

    play(scenario)


def test_nobody_listens(play: Loop) -> None:
    """
    The error names host, port and the system's reason.
    """
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]

        async def scenario(network: Network) -> None:
            with pytest.raises(
                ConnectError, match=rf"127.0.0.1:{port}: \[Errno \d+\] Connection refused"
            ):
                await network.connect_tcp("127.0.0.1", port, LONG)

        play(scenario)


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        UnicodeError("label empty or too long"),
        OverflowError("port must be 0-65535"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_name_that_does_not_resolve(
    play: Loop, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Names that the resolver does not know, or that are no names, say so.
    """
    monkeypatch.setattr(socket, "getaddrinfo", _raiser(error))

    async def scenario(network: Network) -> None:
        with pytest.raises(
            ConnectError, match=f"nothing.test:80: the name does not resolve: .*{_text(error)}"
        ):
            await network.connect_tcp("nothing.test", 80, LONG)

    if play.name != "uvloop":  # whose resolver is its own
        play(scenario)


def _text(error: Exception) -> str:
    return str(error.args[-1])


def _raiser(error: Exception) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    return fail


def test_resolving_takes_too_long(play: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The deadline covers the resolver, which itself knows none.
    """
    go = threading.Event()

    def slow(*args: Any, flags: int = 0, **kwargs: Any) -> list[Any]:
        # Trio asks first whether it is an address, and does not expect to wait for that.
        if not (args[-1] | flags) & socket.AI_NUMERICHOST:
            go.wait(LONG)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", slow)

    async def scenario(network: Network) -> None:
        try:
            with pytest.raises(ConnectTimeout, match=r"slow\.test:80"):
                await network.connect_tcp("slow.test", 80, SHORT)
        finally:
            go.set()

    if play.name != "uvloop":  # whose resolver is its own
        play(scenario)


def test_of_several_sockets_the_first_is_reported(play: Loop) -> None:
    """
    One address is silent, the other answers: the wait ends with the other; and without any, with its timeout.
    """
    with socket.socket() as full, socket.socket() as listener, ExitStack() as clients:
        for server in (full, listener):
            server.bind(("127.0.0.1", 0))
            server.listen(0)
        sockets = [clients.enter_context(socket.socket()) for _ in range(4)]
        for client in sockets:
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        answered = clients.enter_context(socket.socket())
        answered.setblocking(False)
        answered.connect_ex(listener.getsockname())
        silent = sockets[-2:]

        async def scenario(network: Network) -> None:
            dialer = network._dialer  # type: ignore[attr-defined]
            assert [answered] == list(await dialer.finished([silent[0], answered], LONG))
            assert [] == list(await dialer.finished(silent, 0))

        play(scenario)


def test_connecting_takes_too_long(play: Loop) -> None:
    """
    A listener whose queue is full does not answer; the deadline ends the wait.
    """
    with socket.socket() as listener, ExitStack() as clients:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())

        async def scenario(network: Network) -> None:
            with pytest.raises(ConnectTimeout, match=r"no connection within 0\.02 s"):
                await network.connect_tcp(*listener.getsockname(), SHORT)

        play(scenario)


def test_an_ipv6_address(play: Loop, serve: Servers) -> None:
    """
    IPv6 addresses come without brackets, and stand in brackets in messages.
    """
    with socket.socket(socket.AF_INET6) as unheard:
        unheard.bind(("::1", 0))
        port = unheard.getsockname()[1]
        address = serve(echo, socket.AF_INET6, ("::1", 0))

        async def scenario(network: Network) -> None:
            channel = await network.connect_tcp("::1", address[1], LONG)
            await channel.write(b"x", LONG)
            assert b"x" == await channel.read(1, LONG)
            channel.close()
            with pytest.raises(
                ConnectError, match=rf"to \[::1\]:{port}: \[Errno \d+\] Connection refused"
            ):
                await network.connect_tcp("::1", port, LONG)

        play(scenario)


def test_local_address_and_socket_options(play: Loop, serve: Servers) -> None:
    """
    The connection comes from the address asked for, and the socket has the options.
    """
    address = serve(echo)
    option = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp(*address, LONG, "127.0.0.2", [option])
        assert "127.0.0.2" == channel.info("client_addr")[0]
        assert address == channel.info("server_addr")
        sock = channel.info("socket")
        assert sock.getsockopt(*option[:2])
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert channel.info("is_readable") is False
        assert channel.info("ssl_object") is None
        channel.close()
        assert channel.info("client_addr") is None or play.name in ("asyncio", "uvloop")

    play(scenario)


def test_unix_socket(play: Loop, serve: Servers, tmp_path: Path) -> None:
    """
    A Unix socket is a channel like any other; a missing one is refused by name.
    """
    path = serve(echo, socket.AF_UNIX, str(tmp_path / "s"))

    async def scenario(network: Network) -> None:
        channel = await network.connect_unix(path, LONG)
        await channel.write(b"hello", LONG)
        assert b"hello" == await read_exactly(channel, 5)
        channel.close()
        with pytest.raises(ConnectError, match=r"missing: .*No such file"):
            await network.connect_unix(str(tmp_path / "missing"), LONG)

    play(scenario)


def test_a_cancelled_connect_leaks_nothing(play_async: Loop) -> None:
    """
    The sockets of an unfinished connect are closed.
    """
    with socket.socket() as listener, ExitStack() as clients:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())

        async def scenario(network: Network) -> None:
            address = listener.getsockname()
            await cancelled(play_async, lambda: network.connect_tcp(*address, LONG))

        play_async(scenario)
        gc.collect()


# Happy Eyeballs.


class Scripted:
    """Resolves as told, and reports as finished what is told; remembers how long it was asked to wait."""

    def __init__(self, addresses: list[Address], answers: list[Any]) -> None:
        self.addresses = addresses
        self.answers = answers
        self.waits: list[float | None] = []

    async def resolve(self, host: str, port: int, timeout: float | None) -> list[Address]:
        return self.addresses

    async def finished(self, sockets: Any, timeout: float | None) -> Any:
        self.waits.append(timeout)
        return [sockets[i] for i in self.answers.pop(0)]


def test_the_next_address_starts_when_one_is_silent() -> None:
    """
    A quarter of a second for each address but the last; the first that connects wins.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = Address(socket.AF_INET, listener.getsockname())
        dialer = Scripted([address] * 3, [[], [], [2]])

        winner = run(dial_tcp(dialer, "several", 80, None))

        assert [0.25, 0.25, None] == dialer.waits
        with winner:
            assert listener.getsockname() == winner.getpeername()


def test_families_take_turns_and_each_reason_is_told() -> None:
    """
    Addresses that fail at once give way at once; the error tells each different reason once, and for which addresses.
    """
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        refused = Address(socket.AF_INET, unheard.getsockname())
        wrong = Address(socket.AF_INET, ("127.0.0.1", 70000))
        dialer = Scripted([refused, refused, wrong], [[0], [0]])

        with pytest.raises(ConnectError) as caught:
            run(dial_tcp(dialer, "several", 80, LONG))

    message = str(caught.value)
    where = f"127.0.0.1:{refused.target[1]}"
    known = f"cannot connect to several:80: [Errno {errno.ECONNREFUSED}] Connection refused"
    assert message.startswith(f"{known} ({where}); ")
    assert "port must be" in message


def test_two_addresses_race(play: Loop, serve: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    In each colour the second address is tried when the first is refused.
    """
    address = serve(echo)
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", unheard.getsockname()),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", address),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found)

        async def scenario(network: Network) -> None:
            host = "localhost" if play.name == "uvloop" else "two.test"  # its resolver is its own
            channel = await network.connect_tcp(host, address[1], LONG)
            assert address == channel.info("server_addr")
            channel.close()

        play(scenario)


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ([], []),
        (["4a", "4b"], ["4a", "4b"]),
        (["6a", "6b", "6c", "4a", "4b"], ["6a", "4a", "6b", "4b", "6c"]),
        (["4a", "6a", "6b"], ["4a", "6a", "6b"]),
    ],
)
def test_families_take_turns(given: list[str], order: list[str]) -> None:
    """
    The first one's first, the other's first, and so on (RFC 8305 section 4).
    """
    families = {"4": socket.AF_INET, "6": socket.AF_INET6}
    addresses = [Address(families[each[0]], each) for each in given]
    assert order == [address.target for address in _interleaved(addresses)]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([("10.0.0.1", 80), ("10.0.0.1", 80), ("10.0.0.2", 80)], ["10.0.0.1", "10.0.0.2"]),
        ([("fe80::1", 80, 0, 7), ("fe80::2%eth0", 80, 0, 7)], ["fe80::1%7", "fe80::2%eth0"]),
        ([("2001:db8::1", 80, 0, 0)], ["2001:db8::1"]),
    ],
)
def test_the_systems_addresses(
    play: Loop, found: list[Any], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    As text, each once, with their zones.
    """
    answers = [
        (
            socket.AF_INET6 if ":" in target[0] else socket.AF_INET,
            socket.SOCK_STREAM,
            6,
            "",
            target,
        )
        for target in found
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: answers)

    async def scenario(network: Network) -> None:
        assert expected == await network.resolve("several.test", 80, LONG)

    if play.name != "uvloop":  # whose resolver is its own
        play(scenario)


def test_an_address_with_a_zone(play: Loop, serve: Servers) -> None:
    """
    A resolver may give one; the zone of loopback is 1.
    """
    address = serve(echo, socket.AF_INET6, ("::1", 0))

    async def scenario(network: Network) -> None:
        channel = await network.connect_tcp("zoned", 80, LONG, addresses=[("::1%1", address[1])])
        channel.close()

    play(scenario)
