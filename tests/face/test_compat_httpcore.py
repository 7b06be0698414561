"""Transports in httpcore's shape: what tools see and patch there while scallion stands in for httpx."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self
from unittest import mock

import httpcore
import pytest

import scallion
from scallion import AsyncClient, AsyncHTTPTransport, Client, HTTPTransport, Response
from scallion.compat import install_as_httpx
from scallion.compat.httpcore_errors import map_httpcore_exceptions
from scallion.compat.httpcore_streams import AsyncResponseStream, ResponseStream
from support.colours import Drive
from support.servers import Answer, HTTPServer

Patched = Callable[[Any, Any], Any]


@pytest.fixture
def _standing_in(aliased: None) -> None:
    install_as_httpx()
    import httpx

    assert httpx.Client is scallion.Client


pytestmark = pytest.mark.usefixtures("_standing_in")


class Tool:
    """Patches httpcore as respx does: some requests are answered, others reach the original."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.answer: Callable[[Any], Any] = lambda request: None
        self._patches = [
            self._patch(httpcore.ConnectionPool, "handle_request", blocking=True),
            self._patch(httpcore.AsyncConnectionPool, "handle_async_request", blocking=False),
        ]

    def _patch(self, kind: Any, name: str, *, blocking: bool) -> Any:
        original = getattr(kind, name)

        def handle(pool: Any, request: Any) -> Any:
            self.seen.append(request)
            return self.answer(request) or original(pool, request)

        async def handle_async(pool: Any, request: Any) -> Any:
            self.seen.append(request)
            return self.answer(request) or await original(pool, request)

        return mock.patch.object(kind, name, handle if blocking else handle_async)

    def __enter__(self) -> Self:
        for patch in self._patches:
            patch.start()
        return self

    def __exit__(self, *exc: object) -> None:
        for patch in self._patches:
            patch.stop()


async def fetch(drive: Drive, url: str, **options: Any) -> Response:
    """One request with a client of the colour; it is closed afterwards."""
    settings = {name: options.pop(name) for name in ("proxy",) if name in options}
    if drive.blocking:
        with Client(**settings) as client:
            return client.post(url, **options)
    async with AsyncClient(**settings) as client:
        return await client.post(url, **options)


def test_patches_of_httpcore_answer(drive: Drive) -> None:
    """
    A patch of the pools' classes sees the request as httpcore's, and its answer is the client's.
    """

    def answer(request: Any) -> Any:
        return httpcore.Response(
            202,
            headers=[(b"X-A", b"1")],
            content=b"patched",
            extensions={"http_version": b"HTTP/9"},
        )

    with Tool() as tool:
        tool.answer = answer
        response = drive(lambda: fetch(drive, "http://x.example:81/a?b=1", content=b"abc"))
    (request,) = tool.seen

    assert (b"POST", b"/a?b=1") == (request.method, request.url.target)
    assert (b"http", b"x.example", 81) == (request.url.scheme, request.url.host, request.url.port)
    assert (b"Host", b"x.example:81") in request.headers
    assert 5.0 == request.extensions["timeout"]["read"]
    assert (202, b"patched", "1", "HTTP/9") == (
        response.status_code,
        response.content,
        response.headers["x-a"],
        response.http_version,
    )


def test_what_a_patch_lets_pass_reaches_the_network(drive: Drive) -> None:
    """
    The original is called with the request, and scallion's own core sends it.
    """

    def echo(request: Any) -> Answer:
        return Answer(200, request.body[::-1], [("X-Server", "yes")])

    with HTTPServer(echo) as server, Tool() as tool:
        response = drive(lambda: fetch(drive, server.url, content=b"abc"))

    assert 1 == len(tool.seen)
    assert (b"cba", "yes") == (response.content, response.headers["x-server"])
    assert server.url == str(response.request.url).rstrip("/")


def test_a_body_that_a_patch_read_is_sent(drive: Drive) -> None:
    """
    Tools read a body that can be read once, and put what they read in its place.
    """
    with HTTPServer(lambda request: Answer(200, request.body)) as server, Tool() as tool:

        def replace(request: Any) -> None:
            request.stream = scallion.ByteStream(b"read before")

        tool.answer = replace
        response = drive(
            lambda: fetch(
                drive, server.url, content=b"xxxxxxxxxxx", headers={"Content-Length": "11"}
            )
        )

    assert b"read before" == response.content


def test_connections_are_kept_when_patches_let_pass(drive: Drive) -> None:
    """
    The pool is the core's own: a second request uses the first one's connection.
    """

    async def twice(url: str) -> None:
        if drive.blocking:
            with Client() as client:
                client.get(url)
                client.get(url)
        else:
            async with AsyncClient() as client:
                await client.get(url)
                await client.get(url)

    with HTTPServer() as server, Tool() as tool:
        drive(lambda: twice(server.url))

    assert 2 == len(tool.seen)
    assert [0, 0] == [request.connection for request in server.requests]


def test_errors_on_the_network_pass(drive: Drive) -> None:
    """
    They are scallion's, name the request, and have not become httpcore's on the way.
    """
    with Tool(), pytest.raises(scallion.ConnectError) as caught:
        drive(lambda: fetch(drive, "http://127.0.0.1:1/"))

    assert "http://127.0.0.1:1/" == str(caught.value.request.url)


def test_errors_of_httpcore_become_ours(drive: Drive) -> None:
    """
    A patch may raise what httpcore would.
    """

    def fail(request: Any) -> None:
        raise httpcore.ReadTimeout("too slow")

    with Tool() as tool:
        tool.answer = fail
        with pytest.raises(scallion.ReadTimeout, match="too slow") as caught:
            drive(lambda: fetch(drive, "http://x.example/"))

    assert isinstance(caught.value.__cause__, httpcore.ReadTimeout)


def test_requests_that_a_patch_made_are_sent(drive: Drive) -> None:
    """
    One may call the original with a request of its own instead.
    """
    with HTTPServer(lambda request: Answer(200, request.target.encode())) as server:
        original = httpcore.ConnectionPool.handle_request
        async_original = httpcore.AsyncConnectionPool.handle_async_request

        def other() -> Any:
            extensions = {"timeout": {}}
            return httpcore.Request("POST", f"{server.url}/other?x", extensions=extensions)

        async def handle_async(pool: Any, request: Any) -> Any:
            return await async_original(pool, other())

        with (
            mock.patch.object(
                httpcore.ConnectionPool, "handle_request", lambda pool, _: original(pool, other())
            ),
            mock.patch.object(httpcore.AsyncConnectionPool, "handle_async_request", handle_async),
        ):
            response = drive(lambda: fetch(drive, "http://x.example/"))

    assert b"/other?x" == response.content


@pytest.mark.parametrize("tracked", ["wrapped", "gone"])
def test_any_other_function_is_a_patch(tracked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Not only functions count, and what is called is what stands there.
    """
    answer = mock.Mock(return_value=httpcore.Response(203, content=b""))
    with mock.patch.object(httpcore.ConnectionPool, "handle_request", answer):
        assert 203 == scallion.get("http://x.example/").status_code
        if tracked == "gone":
            monkeypatch.delitem(sys.modules, "httpcore._sync.connection_pool")
            assert 203 == scallion.get("http://x.example/").status_code


def test_nothing_is_rerouted_without_a_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The ordinary way stays the ordinary way, with httpcore imported and without.
    """
    with HTTPServer() as server:
        with Client() as client:
            assert 200 == client.get(server.url).status_code
            assert "_httpcore_pool" not in client._transport.__dict__
        monkeypatch.delitem(sys.modules, "httpcore")
        transport = HTTPTransport()
        with Client(transport=transport) as client:
            assert 200 == client.get(server.url).status_code
            assert transport.pool == transport._pool


@pytest.mark.parametrize(
    ("kind", "pool", "proxy"),
    [
        (HTTPTransport, httpcore.ConnectionPool, httpcore.HTTPProxy),
        (AsyncHTTPTransport, httpcore.AsyncConnectionPool, httpcore.AsyncHTTPProxy),
    ],
)
def test_the_pool_has_httpcores_shape(kind: Any, pool: type, proxy: type) -> None:
    """
    Tools look at its class, its settings, and the proxy that it has.
    """
    limits = scallion.Limits(max_connections=7, max_keepalive_connections=3, keepalive_expiry=2)
    plain = kind(limits=limits, http2=True, retries=2, uds="/tmp/x")._pool
    proxied = kind(proxy=scallion.Proxy("http://u:p@proxy.example:3128", headers={"X": "y"}))._pool

    assert (True, False) == (isinstance(plain, pool), isinstance(plain, proxy))
    assert (7, 3, 2, True, True, 2, "/tmp/x") == (
        plain._max_connections,
        plain._max_keepalive_connections,
        plain._keepalive_expiry,
        plain._http1,
        plain._http2,
        plain._retries,
        plain._uds,
    )
    assert isinstance(proxied, proxy)
    assert (b"proxy.example", 3128) == (proxied._proxy_url.host, proxied._proxy_url.port)  # type: ignore[attr-defined]
    assert dict(proxied._proxy_headers) == {b"X": b"y", b"Proxy-Authorization": b"Basic dTpw"}  # type: ignore[attr-defined]
    assert pool.__name__ == type(plain).__name__


def test_proxied_clients_are_patched_too(drive: Drive) -> None:
    """
    httpcore's proxies are pools as well.
    """
    with Tool() as tool:
        tool.answer = lambda request: httpcore.Response(200, content=b"patched")
        proxy = "http://127.0.0.1:1"
        response = drive(lambda: fetch(drive, "http://x.example/", proxy=proxy))

    assert b"patched" == response.content


def test_the_pool_tells_of_itself_and_closes(drive: Drive) -> None:
    """
    Its repr, its connections and its closing are harmless: the transport closes what it opened.
    """
    with HTTPServer() as server, Tool():
        client = Client() if drive.blocking else AsyncClient()

        async def scenario() -> None:
            for _ in range(2):
                sent: Any = client.get(server.url)
                assert 200 == (sent if drive.blocking else await sent).status_code
                pool: Any = client._transport._pool
                assert "Connections: 1 active, 0 idle" in repr(pool)
                assert ["scallion"] == [connection.info() for connection in pool.connections]
                assert False is pool.connections[0].is_closed()
                if drive.blocking:
                    pool.close()
                else:
                    await pool.aclose()
            if drive.blocking:
                client.close()  # type: ignore[union-attr]
            else:
                await client.aclose()  # type: ignore[union-attr]

        drive(scenario)


def test_errors_map_by_their_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The most special one that both have; others pass as they are.
    """

    class Special(httpcore.ReadError):
        pass

    with pytest.raises(scallion.ReadError, match="special"), map_httpcore_exceptions():
        raise Special("special")
    with pytest.raises(KeyError), map_httpcore_exceptions():
        raise KeyError("mine")
    monkeypatch.delitem(sys.modules, "httpcore")
    with pytest.raises(KeyError), map_httpcore_exceptions():
        raise KeyError("mine")


class Stream:
    """A stream of httpcore's that breaks after one piece."""

    closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield b"x"
        raise httpcore.ReadError("broken")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"x"
        raise httpcore.ReadError("broken")

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


def test_streams_map_errors_and_close(drive: Drive) -> None:
    """
    httpcore's streams as ours: chunks pass, errors change their class, closing reaches the stream.
    """
    stream = Stream()
    got: list[bytes] = []

    async def scenario() -> None:
        if drive.blocking:
            plain = ResponseStream(stream)
            with pytest.raises(scallion.ReadError, match="broken"):
                got.extend(plain)
            plain.close()
            ResponseStream([b""]).close()
        else:
            other = AsyncResponseStream(stream)
            with pytest.raises(scallion.ReadError, match="broken"):
                await collect(other)
            await other.aclose()
            without: Any = object()
            await AsyncResponseStream(without).aclose()

    async def collect(chunks: AsyncResponseStream) -> None:
        async for chunk in chunks:
            got.append(chunk)  # noqa: PERF401

    drive(scenario)
    assert stream.closed
    assert drive.blocking or [b"x"] == got
