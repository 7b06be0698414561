"""Rules on what goes wrong: broken connections, broken answers, timeouts, deadlines. All errors are scallion's."""

from __future__ import annotations

import pickle
import socket
from contextlib import closing

from scallion.pipeline.errors import (
    ConnectError,
    ConnectTimeout,
    HTTPError,
    NetworkError,
    PoolTimeout,
    ProtocolError,
    ReadTimeout,
    RemoteProtocolError,
    RequestError,
    TimeoutException,
    TotalTimeout,
    TransportError,
    UnsupportedProtocol,
    WriteError,
    WriteTimeout,
)
from scallion.pipeline.request import Request
from scallion.pipeline.settings import Limits

from .bench import Bench
from .protocol import pattern
from .rules import Rules, holds, same

__all__ = ["rules"]

rules = Rules()

SHORT = 0.05
"""A timeout that is meant to pass, in seconds."""


def _is(error: HTTPError, kinds: tuple[type[HTTPError], ...], doing: str) -> None:
    names = " or ".join(kind.__name__ for kind in kinds)
    holds(isinstance(error, kinds), f"{doing} raised {error!r}, which is no {names}")


def _names_the_request(error: HTTPError, request: Request, doing: str) -> None:
    """The error's request is this one, or none, and then a client sets it."""
    mine = getattr(error, "_request", None)
    holds(mine is None or mine is request, f"after {doing} error.request is another request")
    error.request = request
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # it is what was just pickled
    holds(
        type(copy) is type(error) and str(copy) == str(error),
        f"{error!r} pickles into {copy!r}",
    )


@rules("scallion: ConnectError", needs=["direct"])
async def refused_connections_are_connect_errors(bench: Bench) -> None:
    """Where nobody listens the error is a ConnectError."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        # Bound, and not listening: nobody else can take it meanwhile.
        port = probe.getsockname()[1]
        scheme = bench.base.partition(":")[0]
        request = bench.request()
        request.url = request.url.copy_with(scheme=scheme, host="127.0.0.1", port=port)
        request.headers["Host"] = f"127.0.0.1:{port}"
        error = await bench.raised(request, "connecting to a closed port")
    _is(error, (ConnectError,), "connecting to a closed port")
    _names_the_request(error, request, "connecting to a closed port")
    await bench.serves("a refused connection")


@rules("scallion: UnsupportedProtocol", needs=["network"])
async def unknown_schemes_are_refused(bench: Bench) -> None:
    """A URL whose scheme no transport serves is an UnsupportedProtocol."""
    request = Request("GET", "gopher://127.0.0.1/", extensions=bench.request().extensions)
    _is(await bench.raised(request, "a gopher:// URL"), (UnsupportedProtocol,), "a gopher:// URL")


@rules("RFC 9110 section 9.2.2, RFC 9112 section 8, RFC 9113 section 5.4", needs=["faults"])
async def lost_heads_are_errors(bench: Bench) -> None:
    """A connection that ends before or within the head is a NetworkError or a ProtocolError; a POST is not resent."""
    # The first connection is a new one, and the last one is one that was in use before.
    for path in ("/drop/before", "/drop/head", "/drop/before"):
        gate = bench.reference.gate()
        request = bench.request("POST", path, gate=gate, content=b"once")
        error = await bench.raised(request, f"an answer cut short ({path})")
        _is(error, (NetworkError, ProtocolError), f"an answer cut short ({path})")
        _names_the_request(error, request, path)
        await bench.serves(f"an answer cut short ({path})")
        bench.arrived_once(gate, f"a POST whose answer was lost ({path})")


@rules("RFC 9110 section 9.2.2, RFC 9112 section 8, RFC 9113 section 8.1", needs=["truncation"])
async def truncated_bodies_are_errors(bench: Bench) -> None:
    """A body that ends too early is a NetworkError or a ProtocolError, never a whole one; a POST is not resent."""
    for path in ("/drop/body", "/drop/chunks"):
        gate = bench.reference.gate()
        request = bench.request("POST", path, gate=gate, content=b"once")
        error = await bench.raised(request, f"a body cut short ({path})")
        _is(error, (NetworkError, ProtocolError), f"a body cut short ({path})")
        _names_the_request(error, request, path)
        await bench.serves(f"a body cut short ({path})")
        bench.arrived_once(gate, f"a POST whose answer was cut short ({path})")


@rules("RFC 9110 section 9.2.2, RFC 9112 section 2.2, RFC 9113 section 5.4", needs=["faults"])
async def malformed_answers_are_protocol_errors(bench: Bench) -> None:
    """An answer that is not HTTP is a RemoteProtocolError; a POST is not resent."""
    gate = bench.reference.gate()
    request = bench.request("POST", "/garbage", gate=gate, content=b"once")
    error = await bench.raised(request, "an answer that is not HTTP")
    _is(error, (RemoteProtocolError,), "an answer that is not HTTP")
    _names_the_request(error, request, "an answer that is not HTTP")
    await bench.serves("an answer that is not HTTP")
    bench.arrived_once(gate, "a POST whose answer was not HTTP")


@rules("RFC 9110 section 5.5", needs=["network"])
async def headers_cannot_break_out(bench: Bench) -> None:
    """A header value with a line break is refused, or does not become a header of its own."""
    request = bench.request(headers=[("X-One", "1\r\nX-Injected: yes")])
    try:
        body = await bench.read(await bench.send(request))
    except (TransportError, ValueError):
        pass
    else:
        holds(
            b"X-Injected" not in body and b"x-injected" not in body,
            "a header broke out of its line",
        )
    await bench.serves("a header with a line break")


# Timeouts


@rules('scallion: extensions["timeout"]["read"]', needs=["timeouts"])
async def read_timeout_is_kept(bench: Bench) -> None:
    """A server that does not answer, or stops half way, is a ReadTimeout after the limit; a POST is not resent."""
    for path in ("/never", "/stall"):
        gate = bench.reference.gate()
        request = bench.request("POST", path, gate=gate, content=b"once", timeout={"read": SHORT})
        started = bench.runtime.clock()
        error = await bench.raised(request, f"a server that is silent ({path})")
        took = bench.runtime.clock() - started
        _is(error, (ReadTimeout,), f"a server that is silent ({path})")
        _names_the_request(error, request, path)
        holds(took >= SHORT / 2, f"the timeout of {SHORT} seconds passed after {took:.3f}")
        gate.open()
        await bench.serves(f"a read timeout ({path})")
        bench.arrived_once(gate, f"a POST whose answer was waited for in vain ({path})")


@rules('scallion: extensions["timeout"]["write"]', needs=["timeouts"])
async def write_timeout_is_kept(bench: Bench) -> None:
    """A server that takes nothing more is a WriteTimeout after the limit."""
    gate = bench.reference.gate()
    request = bench.request(
        "POST",
        "/deaf",
        gate=gate,
        content=pattern(30_000_000),
        timeout={"write": SHORT},
    )
    error = await bench.raised(request, "a server that does not read")
    _is(error, (WriteTimeout, WriteError), "a server that does not read")
    _is(error, (WriteTimeout,), "a server that does not read")
    gate.open()
    await bench.serves("a write timeout")


@rules("RFC 9112 section 9.3.1", needs=["reuse"])
async def stale_connections_are_replaced(bench: Bench) -> None:
    """A connection that the server has closed while it was idle is replaced, and no GET fails for it."""
    for _ in range(2):
        same(100, len(await bench.fetch(path="/size/100")), "bytes of an answer")
        bench.reference.hang_up()


@rules('scallion: extensions["timeout"]["connect"]', needs=["timeouts", "direct"])
async def connect_timeout_is_kept(bench: Bench) -> None:
    """A connection that is not made within the limit, the TLS handshake included, is a ConnectTimeout."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        # A queue of nobody's; a plain connection is one that the kernel makes, so it is filled first.
        listener.listen(0)
        fillers = _fill(listener.getsockname()) if bench.base.startswith("http:") else []
        try:
            request = bench.request(timeout={"connect": SHORT})
            request.url = request.url.copy_with(host="127.0.0.1", port=listener.getsockname()[1])
            error = await bench.raised(request, "a server that does not accept")
        finally:
            for filler in fillers:
                filler.close()
    _is(error, (ConnectTimeout,), "a server that does not accept")
    _names_the_request(error, request, "a connect timeout")


def _fill(address: tuple[str, int]) -> list[socket.socket]:
    """Connections that take all places in a listener's queue."""
    fillers = []
    for _ in range(3):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(address)
        fillers.append(filler)
    return fillers


@rules('scallion: extensions["timeout"]["pool"], Limits(max_connections=...)', needs=["pool"])
async def pool_timeout_is_kept(bench: Bench) -> None:
    """With the only connection in use a second request is a PoolTimeout after the limit, and not lost later."""
    bench.reference.limits = Limits(max_connections=1)
    transport = bench.another()
    gate = bench.reference.gate()
    held = await bench.send(bench.request("GET", "/steps", gate=gate), transport)
    request = bench.request(timeout={"pool": SHORT})
    try:
        response = await bench.send(request, transport)
    except PoolTimeout as error:
        _names_the_request(error, request, "a pool timeout")
    except TransportError as error:
        raise AssertionError(f"a pool without a free connection raised {error!r}") from error
    else:
        await bench.close(response)
        raise AssertionError("a second connection was opened in spite of Limits(max_connections=1)")
    finally:
        gate.open()
        await bench.close(held)
    await bench.read(await bench.send(bench.request(), transport))


@rules("scallion: request.deadline", needs=["deadline"])
async def deadline_is_kept(bench: Bench) -> None:
    """When `request.deadline` passes, before the head or within the body, it is a TotalTimeout."""
    for path in ("/never", "/stall"):
        gate = bench.reference.gate()
        request = bench.request("GET", path, gate=gate)
        request.deadline = bench.runtime.clock() + SHORT
        error = await bench.raised(request, f"a deadline that passed ({path})")
        _is(error, (TotalTimeout,), f"a deadline that passed ({path})")
        gate.open()
        await bench.serves(f"a deadline that passed ({path})")


@rules("scallion: Timeout(None)")
async def no_timeouts_are_no_limits(bench: Bench) -> None:
    """A request without `extensions["timeout"]`, or with limits of None, is served."""
    for extensions in ({}, {"timeout": dict.fromkeys(("connect", "read", "write", "pool"))}):
        request = bench.request()
        request.extensions = dict(extensions)
        await bench.read(await bench.send(request))


# What errors tell


@rules("scallion: no secret in any repr, message or note")
async def secrets_are_not_shown(bench: Bench) -> None:
    """Neither the transport's repr nor an error shows passwords, tokens or cookies."""
    secret = bench.reference.secret
    headers = {"Authorization": f"Bearer {secret}", "Cookie": f"session={secret}"}
    shown = [repr(bench.transport)]
    path = "/drop/body" if "truncation" in bench.features else "/status/500"
    request = bench.request("GET", path, headers=headers)
    try:
        response = await bench.send(request)
        shown += [repr(response), repr(bench.transport)]
        await bench.read(response)
    except RequestError as error:
        shown += [str(error), repr(error), *getattr(error, "__notes__", ())]
    shown.append(repr(bench.transport))
    for text in shown:
        holds(secret not in text, f"a secret is shown: {text.replace(secret, '[the secret]')}")


@rules("scallion: TimeoutException and its kinds", needs=["timeouts"])
async def timeouts_name_their_kind(bench: Bench) -> None:
    """A timeout's message says something: not every reader sees the class's name."""
    gate = bench.reference.gate()
    request = bench.request("GET", "/never", gate=gate, timeout={"read": SHORT})
    error = await bench.raised(request, "a silent server")
    _is(error, (TimeoutException,), "a silent server")
    holds(str(error), "the timeout's message is empty")
