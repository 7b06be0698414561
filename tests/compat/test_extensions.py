"""Extensions of requests and responses, timing, encodings and the log, next to httpx: the same call, the same to see."""

from __future__ import annotations

import asyncio
import logging
import ssl
import types
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpcore
import httpx
import pytest
import trustme

import scallion
from compat.comparing import Either
from support.http2_server import Call, HTTP2Server, Session
from support.servers import (
    Answer,
    HTTPServer,
    Peer,
    ProxyServer,
    Received,
    ScriptedServer,
    close,
    expect,
    respond,
    send,
)

Told = list[Any]
Act = Callable[[Either], Awaitable[Any]]


@dataclass(frozen=True)
class Certified:
    """TLS on either side, of one authority."""

    server: ssl.SSLContext
    http2: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="module")
def certified() -> Certified:
    authority = trustme.CA()
    servers = []
    for protocols in (["http/1.1"], ["h2", "http/1.1"]):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        context.set_alpn_protocols(protocols)
        servers.append(context)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return Certified(*servers, client)


@pytest.fixture(params=["sync", "asyncio"])
def colour(request: pytest.FixtureRequest) -> str:
    return cast("str", request.param)


def perform(
    lib: types.ModuleType, colour: str, server: Any, act: Act, settings: dict[str, Any]
) -> Any:
    """What `act` makes of a client, or the error."""
    arguments = {"trust_env": False, **{k: _made(v, lib, server) for k, v in settings.items()}}
    name = {"sync": "Client", "asyncio": "AsyncClient"}[colour]
    # httpx shares a context between clients, and sets its protocols anew for each.
    arguments.setdefault("verify", ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    async def run() -> Any:
        client = getattr(lib, name)(**arguments)
        either = Either(
            client, lib, getattr(server, "url", "") if isinstance(server.address, tuple) else ""
        )
        try:
            return await act(either)
        except (lib.HTTPError, TypeError, RuntimeError) as error:
            return public(error)
        finally:
            await (either.close() if colour == "sync" else either.aclose())

    if colour == "asyncio":
        return asyncio.run(run())
    try:
        run().send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("a blocking client suspended")


def _made(setting: Any, lib: types.ModuleType, server: Any) -> Any:
    return setting(lib, server) if isinstance(setting, types.FunctionType) else setting


def public(error: BaseException) -> str:
    return next(
        kind.__name__
        for kind in type(error).__mro__
        if hasattr(httpx, kind.__name__) or kind.__module__ == "builtins"
    )


def both(
    colour: str, make: Callable[[], AbstractContextManager[Any]], act: Act, **settings: Any
) -> tuple[Any, Any]:
    """The same with httpx and with scallion, each with a server of its own."""
    results = []
    for lib in (httpx, scallion):
        with make() as server:
            results.append(perform(lib, colour, server, act, settings))
    return results[0], results[1]


# Traces.


def told(either: Either, told: Told) -> Any:
    """A callback of the client's colour: names, and what the details are called and of which kind."""

    def kind(value: Any) -> str:
        if isinstance(value, BaseException):
            return public(value) if not isinstance(value, OSError) else "OSError"
        if hasattr(value, "get_extra_info"):
            return "stream" if value.get_extra_info("server_addr") else "unconnected"
        return type(value).__name__

    def trace(name: str, info: dict[str, Any]) -> None:
        told.append((name, {key: kind(value) for key, value in sorted(info.items())}))

    async def async_trace(name: str, info: dict[str, Any]) -> None:
        trace(name, info)

    return trace if either.blocking else async_trace


def calling(*calls: dict[str, Any]) -> Act:
    """Makes the calls, and returns the steps and the status or the error of each."""

    async def act(either: Either) -> Told:
        steps: Told = []
        for call in calls:
            settings = {"method": "GET", "url": "{base}/", **call}
            settings["url"] = settings["url"].format(base=either.base)
            settings["extensions"] = {"trace": told(either, steps)}
            if callable(settings.get("content")):
                settings["content"] = settings["content"](either)
            try:
                steps.append((await either.request(**settings)).status_code)
            except either.lib.HTTPError as error:
                steps.append(public(error))
        return steps

    return act


def pieces(either: Either) -> Any:
    if either.blocking:
        return iter([b"a", b"b"])

    async def generate() -> Any:
        yield b"a"
        yield b"b"

    return generate()


def redirecting(request: Received) -> Answer:
    return Answer(302, b"x", [("Location", "/b")]) if request.target == "/" else Answer()


CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"
PLAIN: dict[str, tuple[Callable[[], Any], Act]] = {
    "twice": (HTTPServer, calling({}, {})),
    "a body": (HTTPServer, calling({"method": "POST", "content": b"x"})),
    "a body in pieces": (HTTPServer, calling({"method": "POST", "content": pieces})),
    "HEAD": (HTTPServer, calling({"method": "HEAD"})),
    "no content": (
        lambda: ScriptedServer([expect(), send(b"HTTP/1.1 204 X\r\n\r\n")]),
        calling({}),
    ),
    "a redirect": (lambda: HTTPServer(redirecting), calling({"follow_redirects": True})),
    "a connection for each": (
        lambda: ScriptedServer(*[[expect(), respond(headers=b"Connection: close\r\n"), close]] * 2),
        calling({}, {}),
    ),
    "a body to the end": (
        lambda: ScriptedServer([expect(), send(b"HTTP/1.1 200 OK\r\n\r\nab"), close]),
        calling({}),
    ),
    "nobody listens": (HTTPServer, calling({"url": "http://127.0.0.1:1/"})),
    "hung up": (lambda: ScriptedServer([expect(), close]), calling({})),
    "no HTTP": (lambda: ScriptedServer([expect(), send(b"hello\r\n\r\n")]), calling({})),
    "no answer": (lambda: ScriptedServer([expect()]), calling({"timeout": 0.05})),
    "half a body": (lambda: ScriptedServer([expect(), send(CUT)]), calling({"timeout": 0.05})),
    "half a body and the end": (lambda: ScriptedServer([expect(), send(CUT), close]), calling({})),
    "a bad header": (HTTPServer, calling({"headers": {"a": "b\n"}})),
}


@pytest.mark.parametrize("case", PLAIN)
def test_steps_are_told_as_httpx_tells_them(case: str, colour: str) -> None:
    """
    Names, order, details and their kinds, for what goes well and what does not.
    """
    theirs, ours = both(colour, *PLAIN[case])

    assert theirs == ours


def test_steps_of_unix_sockets(colour: str, tmp_path: Path) -> None:
    """
    The path in the place of host and port.
    """
    paths = iter([str(tmp_path / "a"), str(tmp_path / "b")])

    def transport(lib: types.ModuleType, server: Any) -> Any:
        kind = lib.HTTPTransport if colour == "sync" else lib.AsyncHTTPTransport
        return kind(uds=server.address)

    theirs, ours = both(
        colour,
        lambda: HTTPServer(path=next(paths)),
        calling({"url": "http://x/"}),
        transport=transport,
    )

    assert theirs == ours


def test_steps_of_further_tries(colour: str) -> None:
    """
    `retries=` tells each wait.
    """

    def transport(lib: types.ModuleType, server: Any) -> Any:
        kind = lib.HTTPTransport if colour == "sync" else lib.AsyncHTTPTransport
        return kind(retries=1)

    nowhere = calling({"url": "http://127.0.0.1:1/"})
    theirs, ours = both(colour, HTTPServer, nowhere, transport=transport)

    assert theirs == ours
    assert "connection.retry.started" in [step[0] for step in ours]


def test_steps_of_tls(colour: str, certified: Certified) -> None:
    """
    The handshake, and one that fails.
    """

    def server() -> Any:
        return HTTPServer(tls=certified.server)

    for verify in (certified.client, ssl.create_default_context()):
        theirs, ours = both(colour, server, calling({}, {}), verify=verify)
        assert theirs == ours


@contextmanager
def tunnelled(origin: Any) -> Iterator[Any]:
    with origin as server, ProxyServer() as proxy:
        proxy.__dict__["url"] = server.url
        proxy.__class__ = type("Proxy", (ProxyServer,), {"url": server.url})
        yield proxy


def through(lib: types.ModuleType, server: Any) -> str:
    return f"http://127.0.0.1:{server.port}"


def test_steps_through_proxies(colour: str, certified: Certified) -> None:
    """
    Forwarded, in a tunnel, and where the proxy refuses one.
    """
    scripted = [expect(), respond(), expect(), respond()]
    cases: list[tuple[Any, Act, Any]] = [
        (lambda: ScriptedServer(scripted), calling(*[{"url": "http://a.example/"}] * 2), through),
        (lambda: tunnelled(HTTPServer(tls=certified.server)), calling({}, {}), through),
        (lambda: ProxyServer(refuse=403), calling({"url": "https://a.example/"}), through),
        (
            lambda: ScriptedServer(scripted[:2], tls=certified.server),
            calling({"url": "http://a.example/"}),
            lambda lib, server: lib.Proxy(server.url, ssl_context=certified.client),
        ),
    ]
    for make, act, proxy in cases:
        theirs, ours = both(colour, make, act, proxy=proxy, verify=certified.client)
        assert theirs == ours


@pytest.mark.parametrize("tunnel", [False, True])
def test_steps_over_http2(colour: str, certified: Certified, tunnel: bool) -> None:
    """
    In the list of differences: "settings in traces". All but the server's settings, which any request may meet, and the last of which
    comes while no request is waiting.
    """

    def make() -> Any:
        server = HTTP2Server(tls=certified.http2)
        return tunnelled(server) if tunnel else server

    settings: dict[str, Any] = {"proxy": through} if tunnel else {}
    theirs, ours = both(
        colour, make, calling({}, {}), verify=certified.client, http2=True, **settings
    )

    assert [step for step in theirs if "remote_settings" not in str(step)] == ours


def test_what_a_trace_is_given(colour: str) -> None:
    """
    In the list of differences: "network streams". `info["request"]` is a Request of the library itself, and the streams are those
    of `network_stream`.
    """
    seen: dict[types.ModuleType, Any] = {}

    async def act(either: Either) -> None:
        found: dict[str, Any] = {}

        def trace(name: str, info: dict[str, Any]) -> None:
            found[name] = info.get("request", info.get("return_value"))

        async def async_trace(name: str, info: dict[str, Any]) -> None:
            trace(name, info)

        callback = trace if either.blocking else async_trace
        await either.get(either.base, extensions={"trace": callback})
        seen[either.lib] = found

    both(colour, HTTPServer, act)
    theirs, ours = seen[httpx], seen[scallion]
    request = "http11.send_request_headers.started"
    head = "http11.receive_response_headers.complete"

    assert isinstance(theirs[request], httpcore.Request)
    assert isinstance(ours[request], scallion.Request)
    assert theirs[head] == ours[head]
    peer = ours["connection.connect_tcp.complete"]
    assert ("NetworkStream" if colour == "sync" else "AsyncNetworkStream") == type(peer).__name__


def resets(session: Session, call: Call) -> None:
    session.codec.reset_stream(call.stream)


def resets_its_body(session: Session, call: Call) -> None:
    session.respond(call, b"ab", end=False)
    session.codec.reset_stream(call.stream)


def answers_half(session: Session, call: Call) -> None:
    session.respond(call, b"ab", end=False)


def says_nothing(session: Session, call: Call) -> None:
    """Until the client has had enough."""


@pytest.mark.parametrize("handler", [resets, resets_its_body, answers_half, says_nothing])
def test_failing_steps_over_http2(colour: str, handler: Any) -> None:
    """
    A stream that is reset, or ends in silence, before its response's head and after it.
    """
    act = calling({"timeout": 0.1})
    theirs, ours = both(colour, lambda: HTTP2Server(handler), act, http1=False, http2=True)

    assert [step for step in theirs if "remote_settings" not in str(step)] == ours


# Request extensions.


@pytest.mark.parametrize(
    "target",
    [b"*", "*", b"/abs?x=1", b"http://a/b", b"", b"/a b", b"/\r\nX: y", "/%41", b"no-slash", 5],
)
def test_target_is_sent_as_it_is(target: Any, colour: str) -> None:
    """
    In the place of the URL's path; what would break the request is refused.
    """

    async def act(either: Either) -> Any:
        extensions = {"target": target}
        return (await either.request("OPTIONS", f"{either.base}/x", extensions=extensions)).text

    def echo() -> Any:
        return HTTPServer(lambda request: Answer(200, request.target.encode()))

    theirs, ours = both(colour, echo, act)

    assert theirs == ours


@pytest.mark.parametrize(
    "name", ["localhost", "other.example", "", None, "127.0.0.1", "bücher.example"]
)
def test_sni_hostname_is_the_name_that_is_checked(
    name: Any, colour: str, certified: Certified
) -> None:
    """
    Asked for and verified in the place of the URL's host.
    """

    async def act(either: Either) -> Any:
        url = either.base.replace("localhost", "127.0.0.1")
        return (await either.get(url, extensions={"sni_hostname": name})).status_code

    def make() -> Any:
        return HTTPServer(tls=certified.server)

    theirs, ours = both(colour, make, act, verify=certified.client)

    assert theirs == ours


@pytest.mark.parametrize("timeout", [{}, {"read": 0.05}, {"read": 0.05, "pool": None}])
def test_timeouts_given_by_hand_replace_the_client_s(timeout: Any, colour: str) -> None:
    """
    All of them: what is not named is not limited.
    """

    async def act(either: Either) -> Any:
        extensions = {"timeout": timeout}
        request = either.client.build_request("GET", either.base, extensions=extensions)
        assert timeout == request.extensions["timeout"]
        return (await either.send(request)).status_code

    make: Any = HTTPServer if not timeout else lambda: ScriptedServer([expect()])
    theirs, ours = both(colour, make, act, timeout=7)

    assert theirs == ours
    assert (200 if not timeout else "ReadTimeout") == ours


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [
        (5, TypeError),
        (scallion.Timeout(5), TypeError),
        ({"read": "x"}, TypeError),
        ({"read": -1}, ValueError),
        ({"connect": float("nan")}, ValueError),
        ({"red": 1}, scallion.UnknownOption),
    ],
)
def test_wrong_timeouts_are_refused(timeout: Any, expected: type[Exception]) -> None:
    """
    In the list of differences: "settings are validated", and in the list of differences: "unknown options". httpx fails
    deep inside, or ignores them.
    """
    with scallion.Client() as client, pytest.raises(expected, match=r"read|connect|timeout="):
        client.build_request("GET", "http://x/", extensions={"timeout": timeout})


def test_wrong_extensions_are_refused(certified: Certified) -> None:
    """
    A server name and a target that are no text.
    """
    with HTTPServer() as server, scallion.Client(verify=certified.client) as client:
        for extensions in ({"sni_hostname": 5}, {"target": 5}):
            (name,) = extensions
            with pytest.raises(TypeError, match=f"'{name}' is a str or bytes, not int"):
                client.get(server.url, extensions=extensions)


# Response extensions.

INFO = ("ssl_object", "client_addr", "server_addr", "socket", "is_readable", "something")


def described(response: Any) -> Any:
    extensions = dict(response.extensions)
    stream = extensions.pop("network_stream")
    extensions.pop("connection", None)  # httpx has none
    info = {name: stream.get_extra_info(name) for name in INFO}
    shown = {
        "tls": info["ssl_object"] and info["ssl_object"].version(),
        "protocol": info["ssl_object"] and info["ssl_object"].selected_alpn_protocol(),
        "fileno": info["socket"].fileno() >= 0,
        "ends": [info[name][0] for name in ("client_addr", "server_addr")],
        "readable": info["is_readable"],
        "something": info["something"],
    }
    methods = [
        name for name in ("read", "write", "close", "aclose", "start_tls") if hasattr(stream, name)
    ]
    return extensions, shown, methods, response.http_version, response.reason_phrase


@pytest.mark.parametrize("kind", ["http", "https", "http2"])
def test_response_extensions(kind: str, colour: str, certified: Certified) -> None:
    """
    `http_version`, `reason_phrase`, `stream_id`, and what `network_stream` knows.
    """

    async def act(either: Either) -> Any:
        return [described(await either.get(either.base)) for _ in range(2)]

    def make() -> Any:
        # Cases: TLS with HTTP/2, TLS, neither.
        if kind == "http2":
            return HTTP2Server(tls=certified.http2)
        return HTTPServer(tls=certified.server if kind == "https" else None)

    theirs, ours = both(colour, make, act, verify=certified.client, http2=kind == "http2")

    assert theirs == ours


SWITCHED = b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello"


def test_the_stream_after_an_upgrade(colour: str) -> None:
    """
    What came with the head is read first; then it is a connection to read from and write to. In the
    list of differences: "network streams"; its errors are the library's own.
    """

    async def act(either: Either) -> Any:
        async def on(stream: Any, method: str, *arguments: Any, **named: Any) -> Any:
            found = getattr(stream, method)(*arguments, **named)
            return found if either.blocking else await found

        async def read(response: Any) -> Any:
            stream = response.extensions["network_stream"]
            got = [response.status_code, await on(stream, "read", 3), await on(stream, "read", 9)]
            try:
                await on(stream, "read", 9, timeout=0.02)
            except Exception as error:
                got.append(type(error).__name__)
            await on(stream, "write", b"")
            await on(stream, "write", b"ping")
            got += [await on(stream, "read", max_bytes=9), await on(stream, "read", 9)]
            await on(stream, "close" if either.blocking else "aclose")
            return got

        return await _streamed(either, "GET", {"Connection": "upgrade", "Upgrade": "x"}, read)

    def make() -> Any:
        return ScriptedServer([expect(), send(SWITCHED), expect(b"ping"), send(b"pong"), close])

    theirs, ours = both(colour, make, act)

    assert theirs == ours
    assert [101, b"hel", b"lo", "ReadTimeout", b"pong", b""] == ours


def test_tls_in_a_tunnel_of_one_s_own(colour: str, certified: Certified) -> None:
    """
    CONNECT with a `target`, and `start_tls` on what it opens.
    """

    def encrypted(peer: Peer) -> None:
        peer.sock = certified.server.wrap_socket(peer.sock, server_side=True)

    async def act(either: Either) -> Any:
        async def read(response: Any) -> Any:
            stream = response.extensions["network_stream"]
            if either.blocking:
                stream = stream.start_tls(certified.client, "localhost", 5.0)
                stream.write(b"ping\r\n\r\n")
                got = stream.read(100)
                stream.close()
            else:
                stream = await stream.start_tls(certified.client, server_hostname="localhost")
                await stream.write(b"ping\r\n\r\n")
                got = await stream.read(100)
                await stream.aclose()
            return response.status_code, got

        return await _streamed(either, "CONNECT", {}, read, target=b"localhost:1")

    def make() -> Any:
        return ScriptedServer(
            [expect(), send(b"HTTP/1.1 200 OK\r\n\r\n"), encrypted, expect(), send(b"pong")]
        )

    theirs, ours = both(colour, make, act, verify=certified.client)

    assert theirs == ours
    assert (200, b"pong") == ours


async def _streamed(
    either: Either, method: str, headers: dict[str, str], read: Any, **extensions: Any
) -> Any:
    streaming = either.client.stream(
        method, either.base, headers=headers, extensions=extensions or None
    )
    if either.blocking:
        with streaming as response:
            return await read(response)
    async with streaming as response:
        return await read(response)


# Elapsed, counted, decoded.


def elapsed(response: Any) -> str:
    try:
        assert timedelta(0) <= response.elapsed < timedelta(seconds=60)
    except RuntimeError as error:
        return str(error)
    return "some"


def state(response: Any) -> tuple[Any, ...]:
    return elapsed(response), response.num_bytes_downloaded, response.is_closed


async def read_in_pieces(either: Either) -> Any:
    """What is known before, while and after the body is read."""
    found = []

    async def read(response: Any) -> None:
        found.append(state(response))
        if either.blocking:
            found.extend(state(response) for _ in response.iter_raw())
        else:
            found.extend([state(response) async for _ in response.aiter_raw()])
        found.append(state(response))

    await _streamed(either, "GET", {}, read)
    return found


async def left_unread(either: Either) -> Any:
    kept = []

    async def read(response: Any) -> None:
        kept.append(response)

    await _streamed(either, "GET", {}, read)
    return state(kept[0])


async def each_hop(either: Either) -> Any:
    response = await either.get(f"{either.base}/", follow_redirects=True)
    return [state(each) for each in (*response.history, response)]


async def each_login(either: Either) -> Any:
    auth = either.lib.DigestAuth("user", "pass")
    response = await either.get(f"{either.base}/", auth=auth)
    return [(each.status_code, state(each)) for each in (*response.history, response)]


async def in_hooks(either: Either) -> Any:
    found: list[Any] = []

    def before(response: Any) -> None:
        found.append(state(response))

    async def async_before(response: Any) -> None:
        before(response)

    either.client.event_hooks = {"response": [before if either.blocking else async_before]}
    response = await either.get(f"{either.base}/", follow_redirects=True)
    return [*found, state(response)]


def digesting(request: Received) -> Answer:
    if request.get("authorization"):
        return Answer()
    return Answer(401, b"no", [("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"')])


@pytest.mark.parametrize(
    ("act", "handler"),
    [
        (read_in_pieces, None),
        (left_unread, None),
        (each_hop, redirecting),
        (each_login, digesting),
        (in_hooks, redirecting),
    ],
    ids=lambda each: getattr(each, "__name__", "ok"),
)
def test_time_and_bytes(act: Act, handler: Any, colour: str) -> None:
    """
    `elapsed` is known when a response is closed, each hop's by itself; `num_bytes_downloaded` counts along.
    """
    theirs, ours = both(colour, lambda: HTTPServer(handler or (lambda request: Answer())), act)

    assert theirs == ours


def test_elapsed_of_a_mock() -> None:
    """
    In the list of differences: "elapsed of complete responses". A response whose body a transport had complete has a time as well.
    """
    for lib, expected in ((httpx, "may only be accessed"), (scallion, "some")):
        answer = lib.Response(200, text="x")
        client = lib.Client(transport=lib.MockTransport(lambda request, answer=answer: answer))
        assert expected in elapsed(client.get("http://x/"))


def _latin(content: bytes) -> str:
    return "latin-1"


def _none(content: bytes) -> None:
    return None


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii", "", _latin, _none])
@pytest.mark.parametrize(
    "kind", [None, "text/plain", "text/plain; charset=utf-8", "text/plain; charset=nope"]
)
def test_default_encodings(encoding: Any, kind: str | None, colour: str) -> None:
    """
    A name or a function of the content, where the response names no charset, or an unknown one. In the list of
    differences: "answers where httpx fails".
    """

    async def act(either: Either) -> Any:
        whole = await either.get(either.base)

        async def read(response: Any) -> Any:
            if either.blocking:
                return "".join(response.iter_text()), response.encoding
            return "".join([text async for text in response.aiter_text()]), response.encoding

        try:
            streamed = await _streamed(either, "GET", {}, read)
        except LookupError:
            # httpx does not ask the function for a body in pieces, and fails for a charset that it does not know.
            assert (httpx, True, True) == (either.lib, callable(encoding), "nope" in str(kind))
            streamed = ("é", "utf-8")
        return whole.text, whole.encoding, whole.charset_encoding, streamed

    headers = [] if kind is None else [("Content-Type", kind)]
    theirs, ours = both(
        colour,
        lambda: HTTPServer(lambda request: Answer(200, "é".encode(), headers)),
        act,
        default_encoding=lambda lib, server: encoding,
    )

    assert theirs == ours


# The log.


@contextmanager
def listening(name: str, level: int) -> Iterator[list[logging.LogRecord]]:
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(level)
    try:
        yield records
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


def test_the_log_line_is_httpx_s(colour: str) -> None:
    """
    One for each exchange, redirects and logins included, none for what fails; the message's parts are `args` as there.
    """

    async def act(either: Either) -> Any:
        with listening(either.lib.__name__, logging.INFO) as records:
            for url, settings in [
                ("/a?b=c#f", {}),
                ("", {"method": "POST", "content": b"x"}),
                ("/", {"follow_redirects": True}),
                ("/ü x", {"method": "head"}),
                ("/d", {"auth": either.lib.DigestAuth("user", "pass")}),
            ]:
                await either.request(**{"method": "GET", "url": either.base + url, **settings})
            with pytest.raises(either.lib.ConnectError):
                await either.get("http://127.0.0.1:1/")
        port = either.base.rpartition(":")[2]
        return [
            (
                record.levelname,
                record.msg,
                record.getMessage().replace(port, "1"),
                len(record.args or ()),
            )
            for record in records
        ]

    def handler(request: Received) -> Answer:
        return digesting(request) if request.target == "/d" else redirecting(request)

    theirs, ours = both(colour, lambda: HTTPServer(handler), act)

    assert theirs == ours
    assert 7 == len(ours)


def test_the_log_line_without_a_reason() -> None:
    """
    A status that nobody knows ends in a blank.
    """
    lines = []
    for lib in (httpx, scallion):
        answer = lib.Response(299)
        transport = lib.MockTransport(lambda request, answer=answer: answer)
        with listening(lib.__name__, logging.INFO) as records:
            lib.Client(transport=transport).get("http://x")
        lines.append([record.getMessage() for record in records])

    assert [['HTTP Request: GET http://x "HTTP/1.1 299 "']] * 2 == lines


def test_debug_lines_are_httpcore_s(colour: str) -> None:
    """
    In the list of differences: "log". The loggers are scallion.connection and so on; the steps are httpcore's, in its order.
    """

    async def act(either: Either) -> Any:
        name = "httpcore" if either.lib is httpx else "scallion"
        with listening(name, logging.DEBUG) as records:
            await either.get(either.base)
        return [
            (record.name.partition(".")[2], record.getMessage().partition(" ")[0])
            for record in records
            if "." in record.name
        ]

    theirs, ours = both(colour, HTTPServer, act)

    assert theirs == ours
    assert ("http11", "receive_response_headers.complete") in ours
