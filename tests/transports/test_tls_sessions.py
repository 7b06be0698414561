"""TLS sessions: resumed by the next connection, and never where the first was made under other conditions."""

from __future__ import annotations

import gc
import ssl
import weakref
from typing import Any

import pytest

from scallion import TLS, Proxy
from scallion.pipeline.errors import ConnectError
from scallion.transports import tls
from scallion.transports.network import sessions as module
from scallion.transports.network.sessions import (
    LONGEST,
    MOST_EACH,
    MOST_SERVERS,
    Resumption,
    Sessions,
    agree,
    terms_of,
)
from scallion.transports.tls import default_ssl_context
from support.certificates import Authority, serving
from support.colours import Drive
from support.servers import HTTPServer, ProxyServer
from support.wire import Wire

ROOT = Authority("Root")
SERVER = ROOT.issue("localhost", "other.example")
TRUSTING = TLS(ca=ROOT.pem)
VERSIONS = ["TLSv1.2", "TLSv1.3"]


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "_contexts", tls.OrderedDict())


async def resumed(wire: Wire, url: str, **extensions: Any) -> bool:
    """Whether a connection of its own, for one request, resumed a session."""
    response = await wire.open(
        "GET", url, headers={"connection": "close"}, extensions=extensions or None
    )
    secure = response.extensions["network_stream"].get_extra_info("ssl_object")
    found: bool = secure.session_reused
    assert b"ok" == await wire.read(response)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_the_next_connection_resumes(drive: Drive, version: str) -> None:
    """
    The second and the third, each with the session that the one before it brought; the certificate is still known.
    """
    with HTTPServer(tls=serving(SERVER)) as server:

        async def scenario() -> list[bool]:
            async with Wire(drive, verify=TLS(ca=ROOT.pem, maximum_version=version)) as wire:
                found = [await resumed(wire, server.url) for _ in range(3)]
                response = await wire.open("GET", server.url)
                secure = response.extensions["network_stream"].get_extra_info("ssl_object")
                assert version == secure.version()
                assert SERVER.cert_der == secure.getpeercert(binary_form=True)
                assert ("DNS", "localhost") in secure.getpeercert()["subjectAltName"]
                await wire.read(response)
                return found

        assert [False, True, True] == drive(scenario)


def test_clients_with_equal_settings_share_sessions(drive: Drive) -> None:
    """
    As they share the context.
    """
    with HTTPServer(tls=serving(SERVER)) as server:

        async def scenario() -> list[bool]:
            found = []
            for _ in range(2):
                async with Wire(drive, verify=TLS(ca=ROOT.pem)) as wire:
                    found.append(await resumed(wire, server.url))
            return found

        assert [False, True] == drive(scenario)


@pytest.mark.parametrize("version", VERSIONS)
def test_other_settings_do_not_resume(drive: Drive, version: str) -> None:
    """
    Not after a connection that checked less, or presented another certificate, or asked for another name.
    """
    own = ROOT.issue("client")
    common: dict[str, Any] = {"maximum_version": version}
    other = [
        TLS(trust="any", **common),
        TLS(ca=ROOT.pem, check_hostname=False, **common),
        TLS(ca=ROOT.pem, cert=own.cert_pem, key=own.key_pem, **common),
        TLS(ca=ROOT.pem + Authority().pem, **common),
        TLS(ca=ROOT.pem, server_hostname="other.example", **common),
        TLS(ca=ROOT.pem, **common),
    ]
    with HTTPServer(tls=serving(SERVER)) as server:

        async def scenario() -> list[bool]:
            found = []
            for verify in other:
                async with Wire(drive, verify=verify) as wire:
                    found.append(await resumed(wire, server.url))
            return found

        assert len(other) * [False] == drive(scenario)


def test_another_name_does_not_resume(drive: Drive) -> None:
    """
    What was checked for one name says nothing of another.
    """
    with HTTPServer(tls=serving(ROOT.issue("localhost"))) as server:

        async def scenario() -> None:
            async with Wire(drive, verify=TRUSTING) as wire:
                assert not await resumed(wire, server.url)
                with pytest.raises(ConnectError, match=r'not "other\.example"'):
                    await resumed(wire, server.url, sni_hostname="other.example")
                assert await resumed(wire, server.url)

        drive(scenario)


def test_another_port_does_not_resume(drive: Drive) -> None:
    """
    It may be another server, which would not know the session; and the first one's is kept for it.
    """
    with HTTPServer(tls=serving(SERVER)) as one, HTTPServer(tls=serving(SERVER)) as two:

        async def scenario() -> list[bool]:
            async with Wire(drive, verify=TRUSTING) as wire:
                return [await resumed(wire, each.url) for each in (one, two, one, two)]

        assert [False, False, True, True] == drive(scenario)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_that_the_server_forgot_does_no_harm(drive: Drive, version: str) -> None:
    """
    There is a whole handshake then, with the certificate checked.
    """
    with HTTPServer(tls=serving(SERVER)) as server:

        async def scenario() -> list[bool]:
            found = []
            async with Wire(drive, verify=TLS(ca=ROOT.pem, maximum_version=version)) as wire:
                for _ in range(3):
                    found.append(await resumed(wire, server.url))
                    # As after a restart: other keys for tickets, another memory.
                    server._tls = serving(SERVER)
            return found

        assert [False, False, False] == drive(scenario)


def test_resuming_can_be_turned_off(drive: Drive) -> None:
    """
    TLS(resume=False); and a context of the user's own is never resumed, as it may change at any time.
    """
    own = ssl.create_default_context(cadata=ROOT.pem.decode())
    with HTTPServer(tls=serving(SERVER)) as server:

        async def scenario() -> list[bool]:
            found = []
            for verify in (TLS(ca=ROOT.pem, resume=False), own):
                async with Wire(drive, verify=verify) as wire:
                    found += [await resumed(wire, server.url) for _ in range(2)]
            return found

        assert 4 * [False] == drive(scenario)
    assert None is terms_of(own)


def test_both_ends_of_a_tunnel_resume(drive: Drive) -> None:
    """
    TLS to the proxy, and TLS through it.
    """
    outer, inner = serving(ROOT.issue("localhost")), serving(SERVER)
    with ProxyServer(tls=outer) as proxy, HTTPServer(tls=inner) as server:
        settings = Proxy(proxy.url, ssl_context=TLS(ca=ROOT.pem, check_hostname=False))

        async def scenario() -> list[bool]:
            async with Wire(drive, verify=TRUSTING, proxy=settings) as wire:
                return [await resumed(wire, server.url) for _ in range(2)]

        assert [False, True] == drive(scenario)
    assert [1, 1] == [context.session_stats()["hits"] for context in (outer, inner)]


def test_sessions_go_with_their_context() -> None:
    """
    A context that is not used any more is freed, though its sessions hold on to it.
    """
    client = default_ssl_context(TRUSTING, None, True, ())
    tls._contexts.clear()
    server = serving(SERVER)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(down, up, server_hostname="localhost")
    theirs = server.wrap_bio(up, down, server_side=True)
    for end in (ours, theirs) * 3:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    theirs.write(b"x")
    ours.read(1)
    kept = agree(client).sessions
    assert kept is not None
    assert Resumption(kept, "server").learn(ours)
    assert "<Sessions 1 with 1 servers>" == repr(kept)

    gone = weakref.ref(client)
    del client, ours, kept
    gc.collect()

    assert None is gone()


# The cache alone.


def test_the_latest_session_is_taken_first_and_once() -> None:
    """
    Of several that connections at the same time have brought, a bounded number is kept.
    """
    cache: Any = Sessions()
    for number in range(MOST_EACH + 2):
        cache.put("a", number, 0.0)

    cache._kept = {"a": [(number, module.time.monotonic()) for number, _ in cache._kept["a"]]}
    taken = [cache.take("a")[0] for _ in range(MOST_EACH + 1)]

    assert [*range(MOST_EACH + 1, 1, -1), None] == taken
    assert None is cache.take("b")[0]


def test_what_was_checked_long_ago_is_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A chain of resumptions does not prolong itself: the first handshake's time counts.
    """
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    cache = Sessions()

    class Secure:
        """A connection of TLS 1.3 with a ticket."""

        def __init__(self, reused: bool) -> None:
            self.session = type("Session", (), {"has_ticket": True, "id": b"x"})()
            self.session_reused = reused

        def version(self) -> str:
            return "TLSv1.3"

    first: Any = Secure(False)
    Resumption(cache, "a").learn(first)
    now[0] += LONGEST - 1
    second = Resumption(cache, "a")
    assert first.session is second.session
    again: Any = Secure(True)
    second.learn(again)
    now[0] += 2

    assert None is Resumption(cache, "a").session


def test_the_servers_are_bounded() -> None:
    """
    Those that were met least recently are forgotten.
    """
    cache: Any = Sessions()
    for number in range(MOST_SERVERS + 1):
        cache.put(number, "session", module.time.monotonic())

    assert None is cache.take(0)[0]
    assert "session" == cache.take(1)[0]
    assert MOST_SERVERS - 1 == len(cache)


def test_a_server_without_tickets_is_not_asked_for_ever() -> None:
    """
    Each question costs a copy of the certificate.
    """

    class Secure:
        session = None

    resumption = Resumption(Sessions(), "a")
    secure: Any = Secure()

    assert [False, False, True] == [resumption.learn(secure) for _ in range(3)]
