"""hishel: a caching transport, and a client that puts it below itself by overriding private methods."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import hishel
import hishel.httpx
import hishel.httpx2
import httpx
import httpx2
from hishel import AsyncSqliteStorage, CacheOptions, SqliteStorage
from hishel.httpx import AsyncCacheClient, AsyncCacheTransport, CacheClient, CacheTransport
from scripted import Answer, Received, Server, serve


def service(request: Received) -> Answer:
    kind = request.path.rpartition("/")[2]
    if kind == "validated":
        headers = {"Cache-Control": "max-age=0", "ETag": '"v1"'}
        if request.headers.get("If-None-Match") == '"v1"':
            return Answer(304, headers)
        return Answer(200, headers, b"validated")
    headers = {
        "fresh": {"Cache-Control": "max-age=100"},
        "never": {"Cache-Control": "no-store"},
        "varying": {"Cache-Control": "max-age=100", "Vary": "Accept-Language"},
        "coded": {"Cache-Control": "max-age=100", "Content-Encoding": "gzip"},
    }.get(kind, {})
    body = json.dumps(
        {"target": request.target, "language": request.headers.get("Accept-Language")}
    ).encode()
    if kind == "coded":
        import gzip

        body = gzip.compress(body)
    return Answer(200, {"Content-Type": "application/json", **headers}, body)


@contextmanager
def cached(**settings: Any) -> Iterator[tuple[Server, httpx.Client]]:
    with serve(service) as server, tempfile.TemporaryDirectory() as folder:
        storage = SqliteStorage(database_path=Path(folder) / "cache.db")
        transport = CacheTransport(httpx.HTTPTransport(), storage=storage, **settings)
        with httpx.Client(transport=transport, base_url=server.url) as client:
            yield server, client


def check_identity() -> None:
    import scallion

    assert issubclass(CacheClient, scallion.Client)
    assert issubclass(AsyncCacheClient, scallion.AsyncClient)
    assert issubclass(CacheTransport, scallion.BaseTransport)
    assert issubclass(hishel.httpx2.CacheClient, scallion.Client)


def check_the_plain_cache() -> None:
    with cached() as (server, client):
        first, second = client.get("/x?a=1"), client.get("/x?a=1")
        assert first.json() == second.json() == {"target": "/x?a=1", "language": None}
        assert (False, True) == tuple(
            each.extensions["caching"]["from_cache"] for each in (first, second)
        )
        assert first.extensions["caching"]["stored"]
        client.get("/x?a=2")
        client.post("/x?a=1", json={})
        assert ["GET", "GET", "POST"] == [request.method for request in server.received]
        assert second.elapsed.total_seconds() >= 0
        assert "/x" == second.request.url.path


def check_streams() -> None:
    with cached() as (server, client):
        for _ in range(2):
            with client.stream("GET", "/x") as response:
                assert "/x" == json.loads(b"".join(response.iter_raw()))["target"]
        assert 1 == len(server.received)
        # Left in the middle: nothing is kept.
        with client.stream("GET", "/y"):
            pass
        assert not client.get("/y").extensions["caching"]["from_cache"]


def check_content_codings() -> None:
    with cached(rfc=True) as (server, client):
        assert ["/coded"] * 2 == [client.get("/coded").json()["target"] for _ in range(2)]
        assert 1 == len(server.received)


def check_options_of_one_request() -> None:
    with cached() as (server, client):
        client.get("/x", extensions={"caching": {"key": "mine"}})
        assert client.get("/y", extensions={"caching": {"key": "mine"}}).extensions["caching"][
            "from_cache"
        ]
        client.get("/never", extensions={"caching": {"rfc": True}})
        client.get("/never", extensions={"caching": {"rfc": True}})
        assert 3 == len(server.received)


def check_freshness() -> None:
    with cached(rfc=True) as (server, client):
        for path, arrived in (("/fresh", 1), ("/never", 2)):
            before = len(server.received)
            for _ in range(2):
                client.get(path)
            assert arrived == len(server.received) - before, path


def check_validation() -> None:
    with cached(rfc=CacheOptions()) as (server, client):
        assert [b"validated"] * 2 == [client.get("/validated").content for _ in range(2)]
        response = client.get("/validated")
        assert (200, True) == (response.status_code, response.extensions["caching"]["revalidated"])
        assert [None, '"v1"', '"v1"'] == [each.headers["If-None-Match"] for each in server.received]
        assert "if-none-match" not in response.request.headers


def check_vary() -> None:
    with cached(rfc=True) as (server, client):
        for language in ("de", "fr", "de"):
            headers = {"Accept-Language": language}
            assert language == client.get("/varying", headers=headers).json()["language"]
        assert 2 == len(server.received)


def check_the_client() -> None:
    with serve(service) as server, tempfile.TemporaryDirectory() as folder:
        storage = SqliteStorage(database_path=Path(folder) / "cache.db")
        with CacheClient(storage=storage, rfc=True, headers={"X": "y"}) as client:
            assert isinstance(client._transport, CacheTransport)
            for _ in range(2):
                response = client.get(f"{server.url}/fresh", follow_redirects=True)
            assert response.extensions["caching"]["from_cache"]
            assert 1 == len(server.received)


def check_the_client_with_transports() -> None:
    with tempfile.TemporaryDirectory() as folder:
        storage = SqliteStorage(database_path=Path(folder) / "cache.db")
        given = httpx.MockTransport(lambda request: httpx.Response(204))
        with CacheClient(storage=storage, transport=given) as client:
            assert given is client._transport
        with CacheClient(storage=storage, proxy="http://127.0.0.1:9") as client:
            assert [CacheTransport] == [type(each) for each in client._mounts.values()]
            try:
                client.get("http://x.example/")
            except httpx.ConnectError:
                pass
            else:
                raise AssertionError("the proxy was not used")


def check_httpx2() -> None:
    with serve(service) as server, tempfile.TemporaryDirectory() as folder:
        storage = SqliteStorage(database_path=Path(folder) / "cache.db")
        with hishel.httpx2.CacheClient(storage=storage) as client:
            assert isinstance(client, httpx2.Client)
            for _ in range(2):
                client.get(f"{server.url}/x")
        assert 1 == len(server.received)


@asynccontextmanager
async def async_cached() -> AsyncIterator[tuple[Server, Path]]:
    with serve(service) as server, tempfile.TemporaryDirectory() as folder:
        yield server, Path(folder) / "cache.db"


async def check_async_transport() -> None:
    async with async_cached() as (server, path):
        storage = AsyncSqliteStorage(database_path=path)
        transport = AsyncCacheTransport(httpx.AsyncHTTPTransport(), storage=storage, rfc=True)
        async with httpx.AsyncClient(transport=transport, base_url=server.url) as client:
            for _ in range(2):
                response = await client.get("/fresh")
            assert response.extensions["caching"]["from_cache"]
            for _ in range(2):
                assert b"validated" == (await client.get("/validated")).content
            async with client.stream("GET", "/fresh") as streamed:
                assert "/fresh" == json.loads(await streamed.aread())["target"]
        assert 3 == len(server.received)


async def check_async_client() -> None:
    async with async_cached() as (server, path):
        async with AsyncCacheClient(storage=AsyncSqliteStorage(database_path=path)) as client:
            for _ in range(2):
                response = await client.get(f"{server.url}/x")
            assert response.extensions["caching"]["from_cache"]
        assert 1 == len(server.received)
