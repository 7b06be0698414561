"""respx: by default it patches httpcore below the client, on request a private method of the client itself."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import respx
import trio
from respx.patterns import M
from scripted import Answer, Received, serve

BASE = "https://api.example.org"


def check_identity() -> None:
    import scallion

    assert httpx.Client is scallion.Client
    assert respx.mocks.httpx.Response is scallion.Response
    with respx.mock() as mocked:
        mocked.get(BASE)
        assert type(httpx.get(BASE)) is scallion.Response


@respx.mock
def check_the_plain_decorator() -> None:
    route = respx.get(f"{BASE}/users").mock(return_value=httpx.Response(200, json=[1, 2]))
    response = httpx.get(f"{BASE}/users")
    assert [1, 2] == response.json()
    assert route.called
    assert 1 == route.call_count
    assert f"{BASE}/users" == str(route.calls.last.request.url)
    assert f"{BASE}/users" == str(response.request.url)
    assert response.elapsed.total_seconds() >= 0


def check_patterns() -> None:
    with respx.mock(base_url=f"{BASE}/v1") as mocked:
        mocked.get("/exact", params={"page": "2"}).respond(201)
        mocked.post("/json", json={"a": 1}).respond(202)
        mocked.post("/form", data={"a": "1", "b": ["2", "3"]}).respond(203)
        mocked.get("/header", headers={"X-Key": "k"}).respond(204)
        mocked.get(url__regex=r"/by/(?P<slug>\w+)$").mock(
            side_effect=lambda request, slug: httpx.Response(200, text=slug)
        )
        mocked.get("/cookies", cookies={"session": "s1"}).respond(206)
        mocked.post("/upload", files={"file": ("a.txt", b"content")}).respond(207)
        with httpx.Client(base_url=f"{BASE}/v1", cookies={"session": "s1"}) as client:
            assert 201 == client.get("/exact", params={"page": 2}).status_code
            assert 202 == client.post("/json", json={"a": 1}).status_code
            assert 203 == client.post("/form", data={"a": "1", "b": ["2", "3"]}).status_code
            assert 204 == client.get("/header", headers={"X-Key": "k"}).status_code
            assert "thing" == client.get("/by/thing").text
            assert 206 == client.get("/cookies").status_code
            files = {"file": ("a.txt", b"content")}
            assert 207 == client.post("/upload", files=files).status_code


def check_patterns_combined() -> None:
    with respx.mock(assert_all_called=False) as mocked:
        mocked.route(M(scheme="http", host__in=("a.example", "b.example")) & M(path="/x")).respond(
            200
        )
        mocked.route(host="a.example").respond(418)
        assert 200 == httpx.get("http://b.example/x").status_code
        assert 418 == httpx.get("http://a.example/y").status_code
        # A bare host: the URL's path is empty inside, and "/" outside.
        mocked.get("http://bare.example").respond(299)
        assert 299 == httpx.get("http://bare.example/").status_code


def check_answers() -> None:
    with respx.mock() as mocked:
        mocked.get(f"{BASE}/1").respond(json={"ok": True}, headers={"X-A": "1"})
        mocked.get(f"{BASE}/2").mock(
            side_effect=[httpx.Response(500), httpx.Response(200, text="fine")]
        )
        mocked.get(f"{BASE}/3").respond(content=b"bytes", content_type="image/png")
        mocked.get(f"{BASE}/4").respond(stream=httpx.ByteStream(b"streamed"))
        mocked.get(f"{BASE}/5").respond(200, cookies=[respx.SetCookie("a", "b", path="/")])
        with httpx.Client() as client:
            first = client.get(f"{BASE}/1")
            assert ({"ok": True}, "1") == (first.json(), first.headers["x-a"])
            assert [500, 200] == [client.get(f"{BASE}/2").status_code for _ in range(2)]
            third = client.get(f"{BASE}/3")
            assert ("image/png", b"bytes") == (third.headers["content-type"], third.content)
            with client.stream("GET", f"{BASE}/4") as fourth:
                assert b"streamed" == b"".join(fourth.iter_bytes())
            client.get(f"{BASE}/5")
            assert {"a": "b"} == dict(client.cookies)


def check_errors() -> None:
    with respx.mock(assert_all_called=False) as mocked:
        mocked.get(f"{BASE}/class").mock(side_effect=httpx.ConnectError)
        mocked.get(f"{BASE}/instance").mock(side_effect=httpx.ReadTimeout("too slow"))
        mocked.get(f"{BASE}/never").respond(200)
        for path, kind in (("class", httpx.ConnectError), ("instance", httpx.ReadTimeout)):
            try:
                httpx.get(f"{BASE}/{path}")
            except httpx.TransportError as error:
                assert type(error) is kind
                assert f"{BASE}/{path}" == str(error.request.url)
            else:
                raise AssertionError("nothing was raised")
        try:
            httpx.get(f"{BASE}/unknown")
        except respx.models.AllMockedAssertionError as error:
            assert "not mocked" in str(error)
        else:
            raise AssertionError("an unknown URL passed")
    try:
        with respx.mock() as mocked:
            mocked.get(f"{BASE}/never").respond(200)
    except AssertionError as error:
        assert "not called" in str(error)
    else:
        raise AssertionError("a route that was never called passed")


def check_errors_of_httpcore() -> None:
    import httpcore

    with respx.mock() as mocked:
        mocked.get(BASE).mock(side_effect=httpcore.WriteError("broken"))
        try:
            httpx.get(BASE)
        except httpx.WriteError as error:
            assert "broken" == str(error)
        else:
            raise AssertionError("nothing was raised")


def check_redirects_and_auth() -> None:
    with respx.mock() as mocked:
        mocked.get(f"{BASE}/old").respond(302, headers={"Location": "/new"})
        new = mocked.get(f"{BASE}/new").respond(200)
        response = httpx.get(f"{BASE}/old", follow_redirects=True, auth=("user", "pass"))
        assert [302] == [hop.status_code for hop in response.history]
        assert "Basic dXNlcjpwYXNz" == new.calls.last.request.headers["authorization"]
        assert 2 == mocked.calls.call_count


def check_clients_made_before() -> None:
    client = httpx.Client()
    for using in ("httpcore", "httpx"):
        with respx.mock(using=using) as mocked:
            mocked.get(BASE).respond(203)
            assert 203 == client.get(BASE).status_code
    client.close()


def check_pass_through() -> None:
    def echo(request: Received) -> Answer:
        return Answer(200, {"X-From": "the server"}, request.body[::-1])

    with serve(echo) as server, httpx.Client() as client:
        for using in ("httpcore", "httpx"):
            with respx.mock(using=using, assert_all_mocked=False) as mocked:
                mocked.route(host="127.0.0.1").pass_through()
                mocked.get(BASE).respond(203)
                response = client.post(server.url, content=b"abc")
                assert (b"cba", "the server") == (response.content, response.headers["x-from"])
                assert "HTTP/1.1" == response.http_version
                assert 203 == client.get(BASE).status_code
                response = client.post(server.url, content=iter([b"de", b"f"]))
                assert b"fed" == response.content
                with client.stream("POST", server.url, content=b"x" * 100_000) as streamed:
                    assert 100_000 == sum(map(len, streamed.iter_raw()))
        # And nothing is left behind.
        assert b"cba" == client.post(server.url, content=b"abc").content


def check_pass_through_errors() -> None:
    with respx.mock(assert_all_mocked=False) as mocked:
        mocked.route(host="127.0.0.1").pass_through()
        try:
            httpx.get("http://127.0.0.1:1/")
        except httpx.ConnectError as error:
            assert "http://127.0.0.1:1/" == str(error.request.url)
        else:
            raise AssertionError("nothing was raised")


def check_the_mock_transport() -> None:
    router = respx.Router()
    router.get(BASE).mock(return_value=httpx.Response(204))
    with httpx.Client(transport=httpx.MockTransport(router.handler)) as client:
        assert 204 == client.get(BASE).status_code
    assert 1 == router.calls.call_count


def check_proxies() -> None:
    with respx.mock() as mocked, httpx.Client(proxy="http://127.0.0.1:9") as client:
        mocked.get(BASE).respond(200, text="through no proxy")
        assert "through no proxy" == client.get(BASE).text


async def _in_async_client(using: str) -> None:
    async with httpx.AsyncClient() as client:
        async with respx.mock(using=using) as mocked:
            mocked.get(f"{BASE}/a").mock(side_effect=[httpx.ConnectTimeout, httpx.Response(200)])
            mocked.post(f"{BASE}/b").mock(side_effect=_answer)
            try:
                await client.get(f"{BASE}/a")
            except httpx.ConnectTimeout:
                pass
            else:
                raise AssertionError("nothing was raised")
            assert 200 == (await client.get(f"{BASE}/a")).status_code
            assert b"654" == (await client.post(f"{BASE}/b", content=_pieces())).content


async def _answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=(await request.aread())[::-1])


async def _pieces() -> Any:
    yield b"45"
    yield b"6"


def check_async() -> None:
    for using in ("httpcore", "httpx"):
        asyncio.run(_in_async_client(using))
        trio.run(_in_async_client, using)


async def check_async_pass_through() -> None:
    def echo(request: Received) -> Answer:
        return Answer(200, {}, request.body[::-1])

    with serve(echo) as server:
        async with httpx.AsyncClient() as client:
            for using in ("httpcore", "httpx"):
                async with respx.mock(using=using, assert_all_mocked=False) as mocked:
                    mocked.route(host="127.0.0.1").pass_through()
                    responses = await asyncio.gather(
                        *(client.post(server.url, content=b"%d!" % n) for n in range(8))
                    )
                    assert [b"!%d" % n for n in range(8)] == [each.content for each in responses]
                    async with client.stream("POST", server.url, content=_pieces()) as streamed:
                        assert b"654" == await streamed.aread()
