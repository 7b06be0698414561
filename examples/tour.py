"""The tour: the calls of a user's first day with the library, each run against a local server and checked.

Run it: `python examples/tour.py`.
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import anyio
from echo import Echo, ForwardProxy, HTTP2Echo

import scallion
from scallion import URL, AsyncClient, Client, Limits, Timeout, codes

TOUR: list[Callable[[Echo], None]] = []


def stop(step: Callable[[Echo], None]) -> Callable[[Echo], None]:
    TOUR.append(step)
    return step


@stop
def verbs(echo: Echo) -> None:
    """One function for each verb."""
    url = echo.url
    assert scallion.get(f"{url}/get").json()["method"] == "GET"
    assert scallion.post(f"{url}/post", data={"key": "value"}).json()["body"] == "key=value"
    assert scallion.put(f"{url}/put", data={"key": "value"}).json()["method"] == "PUT"
    assert scallion.patch(f"{url}/patch", data={"key": "value"}).json()["method"] == "PATCH"
    assert scallion.delete(f"{url}/delete").json()["method"] == "DELETE"
    assert scallion.head(f"{url}/get").content == b""
    assert scallion.options(f"{url}/get").json()["method"] == "OPTIONS"
    assert scallion.request("GET", f"{url}/get").status_code == 200


@stop
def params(echo: Echo) -> None:
    """Parameters make the query; a list repeats its key."""
    params = {"key1": "value1", "key2": ["value2", "value3"]}
    r = scallion.get(f"{echo.url}/get", params=params)
    assert r.url == URL(f"{echo.url}/get?key1=value1&key2=value2&key2=value3")
    assert parse_qsl(urlsplit(r.json()["path"]).query) == [
        ("key1", "value1"),
        ("key2", "value2"),
        ("key2", "value3"),
    ]


@stop
def headers_cookies_and_auth(echo: Echo) -> None:
    """Headers, cookies and a login with a single request."""
    r = scallion.get(f"{echo.url}/headers", headers={"user-agent": "my-app/0.0.1"})
    assert r.json()["headers"]["user-agent"] == "my-app/0.0.1"
    r = scallion.get(f"{echo.url}/cookies", cookies={"peanut": "butter"})
    assert r.json()["headers"]["cookie"] == "peanut=butter"
    r = scallion.get(echo.url, auth=("my_user", "password123"))
    given = r.json()["headers"]["authorization"].removeprefix("Basic ")
    assert base64.b64decode(given) == b"my_user:password123"


@stop
def redirects(echo: Echo) -> None:
    """Redirects are followed when asked for, in the older spelling too."""
    r = scallion.get(f"{echo.url}/redirect", allow_redirects=False)
    assert (r.status_code, r.history) == (302, [])
    r = scallion.get(f"{echo.url}/redirect", allow_redirects=True)
    assert (r.status_code, [old.status_code for old in r.history]) == (200, [302])
    r = scallion.get(f"{echo.url}/redirect", follow_redirects=True)
    assert r.url == f"{echo.url}/get"


@stop
def timeouts(echo: Echo) -> None:
    """Each request has a time limit; None switches it off."""
    try:
        scallion.get(f"{echo.url}/slow", timeout=0.001)
    except scallion.TimeoutException as error:
        assert str(error.request.url).endswith("/slow")
    else:
        raise AssertionError("nothing timed out")
    assert Client().timeout == Timeout(5.0)
    assert len(scallion.get(f"{echo.url}/large", timeout=None).content) == echo.large


@stop
def responses(echo: Echo) -> None:
    """What a response can be asked for."""
    r = scallion.get(f"{echo.url}/text")
    assert r.text == "Grüße"
    assert r.status_code == codes.OK
    assert r.content == "Grüße".encode()
    assert r.request.url == r.url == f"{echo.url}/text"
    r = scallion.get(f"{echo.url}/latin")
    r.encoding = "ISO-8859-1"
    assert r.text == "Grüße"
    assert scallion.get(f"{echo.url}/get").json()["method"] == "GET"


@stop
def uploads(echo: Echo) -> None:
    """Files, forms, JSON and bytes."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xls"
        report.write_bytes(b"numbers")
        with report.open("rb") as file:
            r = scallion.post(f"{echo.url}/post", files={"upload-file": file})
        assert 'name="upload-file"; filename="report.xls"' in r.json()["body"]
        with report.open("rb") as file:
            files = {"upload-file": ("report.xls", file, "application/vnd.ms-excel")}
            r = scallion.post(f"{echo.url}/post", files=files)
        assert "Content-Type: application/vnd.ms-excel" in r.json()["body"]
        with report.open("rb") as file:
            r = scallion.post(
                f"{echo.url}/post", data={"message": "Hello, world!"}, files={"file": file}
            )
        assert "Hello, world!" in r.json()["body"]
        assert "numbers" in r.json()["body"]
    data = {"integer": 123, "boolean": True, "list": ["a", "b", "c"]}
    r = scallion.post(f"{echo.url}/post", json=data)
    assert json.loads(r.json()["body"]) == data
    assert r.json()["headers"]["content-type"] == "application/json"
    r = scallion.post(f"{echo.url}/post", content=b"Hello, world")
    assert r.json()["body"] == "Hello, world"


@stop
def streaming(echo: Echo) -> None:
    """A body piece by piece: bytes, text, lines, and as it came."""
    with scallion.stream("GET", f"{echo.url}/large") as r:
        assert sum(len(data) for data in r.iter_bytes()) == echo.large
    with scallion.stream("GET", f"{echo.url}/text") as r:
        assert "".join(r.iter_text()) == "Grüße"
    with scallion.stream("GET", f"{echo.url}/lines") as r:
        assert list(r.iter_lines()) == ["one", "two", "three"]
    with scallion.stream("GET", f"{echo.url}/gzip") as r:
        assert b"".join(r.iter_raw())[:2] == b"\x1f\x8b"
    with scallion.stream("GET", f"{echo.url}/gzip") as r:
        assert b"".join(r.iter_bytes()) == b"packed"


@stop
def clients(echo: Echo) -> None:
    """A client keeps connections, cookies and settings."""
    with Client() as client:
        r = client.get(f"{echo.url}/get", headers={"X-Custom": "value"})
        assert r.json()["headers"]["x-custom"] == "value"
        again = client.get(f"{echo.url}/get")
        assert r.json()["peer"] == again.json()["peer"], "the connection was reused"
        client.get(f"{echo.url}/cookies/set")
        assert client.get(f"{echo.url}/cookies").json()["headers"]["cookie"] == "chocolate=chip"
    client = Client(headers={"user-agent": "my-app/0.0.1"}, params={"api": "1"})
    try:
        r = client.get(f"{echo.url}/headers", params={"page": "2"})
        assert r.json()["headers"]["user-agent"] == "my-app/0.0.1"
        assert r.url.query == b"api=1&page=2"
        r = client.get(f"{echo.url}/headers", headers={"user-agent": "other"})
        assert r.json()["headers"]["user-agent"] == "other", "what a request brings wins"
    finally:
        client.close()
    with Client(base_url=echo.url) as client:
        r = client.get("/headers")
        assert r.request.url == URL(f"{echo.url}/headers")


@stop
def proxies(echo: Echo) -> None:
    """All requests through a proxy, or each scheme through its own."""
    with ForwardProxy() as first, ForwardProxy() as second:
        with Client(proxies=first.url) as client:
            assert client.get(f"{echo.url}/get").status_code == 200
        with Client(proxies={"http://": first.url, "https://": second.url}) as client:
            assert client.get(f"{echo.url}/get").status_code == 200
        assert (first.requests, second.requests) == (2, 0)


@stop
def settings(echo: Echo) -> None:
    """Timeouts and limits, as numbers and as values."""
    with Client(timeout=10.0) as client:
        assert client.timeout == Timeout(connect=10.0, read=10.0, write=10.0, pool=10.0)
    with Client(timeout=Timeout(10.0, connect=60.0)) as client:
        assert client.get(f"{echo.url}/get").status_code == 200
    limits = Limits(max_keepalive_connections=5, max_connections=10)
    with Client(limits=limits) as client:
        threads = [
            threading.Thread(target=client.get, args=(f"{echo.url}/get",)) for _ in range(30)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert Limits(max_connections=None).max_connections is None


async def asynchronous(echo: Echo) -> None:
    async with AsyncClient() as client:
        r = await client.get(f"{echo.url}/get")
        assert r.status_code == 200
        async with client.stream("GET", f"{echo.url}/large") as response:
            size = 0
            async for chunk in response.aiter_bytes():
                size += len(chunk)
        assert size == echo.large
        await many(client, f"{echo.url}/get", "HTTP/1.1")
    client = AsyncClient()
    assert (await client.get(f"{echo.url}/get")).status_code == 200
    await client.aclose()
    with HTTP2Echo() as echo2:
        async with AsyncClient(http1=False, http2=True) as client:
            await many(client, f"{echo2.url}/get", "HTTP/2")


async def many(client: AsyncClient, url: str, version: str, count: int = 50) -> None:
    """Many requests at once."""
    answers: list[str] = []

    async def one() -> None:
        answers.append((await client.get(url)).http_version)

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(one)
    assert answers == [version] * count


@stop
def on_asyncio(echo: Echo) -> None:
    """The asynchronous client on asyncio."""
    anyio.run(asynchronous, echo, backend="asyncio")


@stop
def on_trio(echo: Echo) -> None:
    """The same on trio, where it is installed."""
    try:
        import trio  # noqa: F401
    except ImportError:
        return
    anyio.run(asynchronous, echo, backend="trio")


def main() -> int:
    with Echo() as echo:
        for step in TOUR:
            step(echo)
            print(f"ok  {step.__name__.replace('_', ' ')}: {step.__doc__}")
    print(f"tour: success, {len(TOUR)} stops")
    return 0


if __name__ == "__main__":
    sys.exit(main())
