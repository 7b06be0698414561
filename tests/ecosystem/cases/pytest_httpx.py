"""pytest-httpx: a fixture that patches the transports' classes, and builds its answers on httpx's private streams."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx
import pytest
from pytest_httpx import HTTPXMock, IteratorStream
from scripted import Answer, serve

URL = "https://api.example.org/users"

if os.environ.get("SCALLION_ECOSYSTEM") != "httpx":

    def test_identity(httpx_mock: HTTPXMock) -> None:
        import pytest_httpx

        import scallion

        httpx_mock.add_response()
        assert pytest_httpx.httpx.HTTPTransport is scallion.HTTPTransport
        assert isinstance(httpx.get(URL), scallion.Response)


def test_plain_answers(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(
        json={"id": 7}, headers={"X-A": "1"}, status_code=201, http_version="HTTP/2.0"
    )
    httpx_mock.add_response(text="text")
    httpx_mock.add_response(html="<p>")
    httpx_mock.add_response(content=b"bytes")
    with httpx.Client() as client:
        first = client.get(URL)
        assert (201, {"id": 7}, "1", "HTTP/2.0") == (
            first.status_code,
            first.json(),
            first.headers["x-a"],
            first.http_version,
        )
        assert ["text", "<p>", "bytes"] == [client.get(URL).text for _ in range(3)]
    assert 4 == len(httpx_mock.get_requests(url=URL))


@pytest.mark.httpx_mock(can_send_already_matched_responses=True)
def test_answers_sent_again(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(stream=IteratorStream([b"part 1, ", b"part 2"]))
    with httpx.Client() as client:
        for _ in range(2):
            with client.stream("GET", URL) as response:
                assert [b"part 1, ", b"part 2"] == list(response.iter_raw())
        assert b"part 1, part 2" == client.get(URL).content


def test_matching(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=re.compile(r".*/by-pattern\?.*"), text="pattern")
    httpx_mock.add_response(url=f"{URL}?a=1&b=2", text="order of params")
    httpx_mock.add_response(url=URL, match_params={"c": "3"}, text="params")
    httpx_mock.add_response(method="POST", match_json={"a": [1]}, text="json")
    httpx_mock.add_response(match_content=b"raw", text="content")
    httpx_mock.add_response(match_headers={"X-Key": "k"}, text="headers")
    httpx_mock.add_response(match_extensions={"sni_hostname": "other"}, text="extensions")
    with httpx.Client() as client:
        assert "pattern" == client.get("https://x.example/by-pattern?q").text
        assert "order of params" == client.get(URL, params={"b": 2, "a": 1}).text
        assert "params" == client.get(URL, params={"c": 3}).text
        assert "json" == client.post(URL, json={"a": [1]}).text
        assert "content" == client.put(URL, content=b"raw").text
        assert "headers" == client.get(URL, headers={"X-Key": "k"}).text
        assert "extensions" == client.get(URL, extensions={"sni_hostname": "other"}).text


def test_matching_forms(httpx_mock: HTTPXMock) -> None:
    files = {"file": ("a.txt", b"content", "text/plain")}
    httpx_mock.add_response(match_files=files, match_data={"name": "value"}, text="multipart")
    httpx_mock.add_response(match_content=b"a=1", text="form")
    with httpx.Client() as client:
        assert "multipart" == client.post(URL, files=files, data={"name": "value"}).text
        assert "form" == client.post(URL, data={"a": "1"}).text


def test_matching_proxies(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(proxy_url="http://user:pass@proxy.example:3128/", text="proxied")
    httpx_mock.add_response(text="direct")
    with httpx.Client(proxy="http://user:pass@proxy.example:3128/") as client:
        assert "proxied" == client.get(URL).text
    assert "direct" == httpx.get(URL).text
    assert 1 == len(httpx_mock.get_requests(proxy_url="http://user:pass@proxy.example:3128/"))


@pytest.mark.httpx_mock(assert_all_requests_were_expected=False)
def test_what_does_not_match(httpx_mock: HTTPXMock) -> None:
    with httpx.Client() as client:
        with pytest.raises(
            httpx.TimeoutException, match="No response can be found for GET request"
        ) as caught:
            client.get(URL)
    assert URL == str(caught.value.request.url)


def test_exceptions_and_callbacks(httpx_mock: HTTPXMock) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"url": str(request.url), "body": request.read().decode()})

    httpx_mock.add_exception(httpx.ReadTimeout("too slow"))
    httpx_mock.add_callback(answer)
    with httpx.Client() as client:
        with pytest.raises(httpx.ReadTimeout, match="too slow") as caught:
            client.get(URL)
        assert URL == str(caught.value.request.url)
        assert {"url": URL, "body": "abc"} == client.post(URL, content=b"abc").json()


def test_redirects_cookies_hooks_and_auth(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(
        url=f"{URL}/old", status_code=302, headers={"Location": "/new", "Set-Cookie": "a=b"}
    )
    httpx_mock.add_response(url="https://api.example.org/new")
    seen: list[str] = []
    hooks = {"request": [lambda request: seen.append(request.url.path)]}
    with httpx.Client(follow_redirects=True, auth=("user", "pass"), event_hooks=hooks) as client:
        response = client.get(f"{URL}/old")
        assert (1, {"a": "b"}) == (len(response.history), dict(client.cookies))
    assert ["/users/old", "/new"] == seen
    assert "Basic dXNlcjpwYXNz" == httpx_mock.get_requests()[-1].headers["authorization"]


@pytest.fixture
def server() -> Iterator[Any]:
    with serve(lambda request: Answer(200, {}, b"from the server: " + request.body)) as running:
        yield running


@pytest.mark.httpx_mock(should_mock=lambda request: request.url.host != "127.0.0.1")
def test_hosts_that_are_not_mocked(httpx_mock: HTTPXMock, server: Any) -> None:
    httpx_mock.add_response(text="mocked")
    with httpx.Client() as client:
        assert "mocked" == client.get(URL).text
        assert "from the server: x" == client.post(server.url, content=b"x").text


def test_the_requests_afterwards(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response()
    httpx.post(URL, json={"a": 1}, headers={"X-A": "1"})
    request = httpx_mock.get_request()
    assert request is not None
    assert ("POST", URL, b'{"a":1}', "1") == (
        request.method,
        str(request.url),
        request.content,
        request.headers["x-a"],
    )


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_async(httpx_mock: HTTPXMock, backend: str) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"given in "
        yield b"pieces"

    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=await request.aread())

    async def run() -> None:
        async with httpx.AsyncClient() as client:
            assert [1, 2] == (await client.get(URL)).json()
            assert b"given in pieces" == (await client.post(URL, content=body())).content
            async with client.stream("GET", URL) as response:
                assert [b"a", b"b"] == [chunk async for chunk in response.aiter_raw()]
            with pytest.raises(httpx.ConnectError):
                await client.get(URL)

    httpx_mock.add_response(json=[1, 2])
    httpx_mock.add_callback(answer, method="POST")
    httpx_mock.add_response(stream=IteratorStream([b"a", b"b"]))
    httpx_mock.add_exception(httpx.ConnectError("refused"))
    anyio.run(run, backend=backend)
