"""vcrpy: cassettes, recorded and played by patching the transports' classes of httpx and httpx2."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import vcr
import yaml
from scripted import Answer, Received, Server, serve
from vcr.errors import CannotOverwriteExistingCassetteException


def service(request: Received) -> Answer:
    if request.path == "/moved":
        return Answer(302, {"Location": "/end", "Set-Cookie": "seen=yes"})
    if request.path == "/coded":
        import gzip

        return Answer(200, {"Content-Encoding": "gzip"}, gzip.compress(b"inflated"))
    if request.path == "/missing":
        return Answer(404, {}, b"no")
    seen = {
        "target": request.target,
        "body": request.body.decode(),
        "key": request.headers.get("X-Key"),
    }
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(seen).encode())


@contextmanager
def recording() -> Iterator[tuple[Server, Path]]:
    with serve(service) as server, tempfile.TemporaryDirectory() as folder:
        yield server, Path(folder) / "cassette.yaml"


def check_identity() -> None:
    import scallion

    assert httpx.HTTPTransport is httpx2.HTTPTransport is scallion.HTTPTransport
    before = scallion.HTTPTransport.handle_request
    with recording() as (_, cassette):
        with vcr.use_cassette(cassette):
            assert scallion.HTTPTransport.handle_request is not before
        assert scallion.HTTPTransport.handle_request is before


def check_record_and_play() -> None:
    with recording() as (server, cassette):
        answers = []
        for _ in range(2):
            with vcr.use_cassette(cassette) as tape, httpx.Client() as client:
                response = client.post(
                    f"{server.url}/echo?a=1", json={"b": [2]}, headers={"X-Key": "k"}
                )
                answers.append((response.status_code, response.reason_phrase, response.json()))
                assert 404 == client.get(f"{server.url}/missing").status_code
        assert (200, "OK", {"target": "/echo?a=1", "body": '{"b":[2]}', "key": "k"}) == answers[0]
        assert answers[0] == answers[1]
        # The second time nothing reached the server, and each exchange stands on the cassette once.
        assert 2 == len(server.received)
        assert (2, True) == (tape.play_count, tape.all_played)
        recorded = yaml.safe_load(cassette.read_text())["interactions"]
        assert ["POST", "GET"] == [each["request"]["method"] for each in recorded]
        assert '{"b":[2]}' == recorded[0]["request"]["body"]


def check_streams() -> None:
    with recording() as (server, cassette):
        for _ in range(2):
            with vcr.use_cassette(cassette), httpx.Client() as client:
                with client.stream(
                    "POST", f"{server.url}/echo", content=iter([b"x", b"y"])
                ) as response:
                    assert "xy" == json.loads(b"".join(response.iter_bytes()))["body"]
                    assert response.is_stream_consumed
        assert 1 == len(server.received)


def check_content_codings() -> None:
    with recording() as (server, cassette):
        for _ in range(2):
            with vcr.use_cassette(cassette), httpx.Client() as client:
                assert "inflated" == client.get(f"{server.url}/coded").text
        assert 1 == len(server.received)


def check_redirects_and_cookies() -> None:
    with recording() as (server, cassette):
        for _ in range(2):
            with vcr.use_cassette(cassette), httpx.Client(follow_redirects=True) as client:
                response = client.get(f"{server.url}/moved")
                assert ("/end", 1) == (response.json()["target"], len(response.history))
                assert {"seen": "yes"} == dict(client.cookies)
        assert 2 == len(server.received)


def check_modes_and_matchers() -> None:
    with recording() as (server, cassette):
        with vcr.use_cassette(cassette, record_mode="none"), httpx.Client() as client:
            try:
                client.get(server.url)
            except CannotOverwriteExistingCassetteException:
                pass
            else:
                raise AssertionError("an unknown request passed")
        for mode, matchers, arrived in (
            ("once", ["method", "path"], 1),
            ("new_episodes", ["method", "uri"], 2),
            ("all", ["method"], 3),
        ):
            with (
                vcr.use_cassette(cassette, record_mode=mode, match_on=matchers),
                httpx.Client() as client,
            ):
                client.get(f"{server.url}/x", params={"mode": mode})
            assert arrived == len(server.received), mode


def check_matching_on_the_body() -> None:
    with recording() as (server, cassette):
        for _ in range(2):
            with (
                vcr.use_cassette(cassette, match_on=["method", "uri", "body"]),
                httpx.Client() as client,
            ):
                assert "a=1" == client.post(f"{server.url}/f", data={"a": "1"}).json()["body"]
                assert "a=2" == client.post(f"{server.url}/f", data={"a": "2"}).json()["body"]
        assert 2 == len(server.received)


def check_filters() -> None:
    def hide(response: dict[str, Any]) -> dict[str, Any]:
        response["headers"].pop("server", None)
        return response

    with recording() as (server, cassette):
        with vcr.use_cassette(
            cassette,
            filter_headers=["authorization", ("X-Key", "hidden")],
            filter_query_parameters=["token"],
            before_record_response=hide,
        ):
            httpx.get(f"{server.url}/?token=t&a=1", headers={"X-Key": "k"}, auth=("user", "pass"))
        text = cassette.read_text()
        assert "dXNlc" not in text
        assert "token" not in text.split("response:")[0]
        assert "hidden" in text
        assert server.received[0].headers["Authorization"].startswith("Basic ")


def check_errors_pass() -> None:
    with recording() as (_, cassette), vcr.use_cassette(cassette):
        try:
            httpx.get("http://127.0.0.1:1/")
        except httpx.ConnectError as error:
            assert "http://127.0.0.1:1/" == str(error.request.url)
        else:
            raise AssertionError("nothing was raised")
        assert not cassette.exists()


def check_apps_and_mocks() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"from the app"]

    called: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        called.append(1)
        return httpx.Response(200, text="from the mock")

    with recording() as (_, cassette):
        for _ in range(2):
            with vcr.use_cassette(cassette):
                with httpx.Client(transport=httpx.WSGITransport(app)) as client:
                    assert "from the app" == client.get("http://app.example/").text
                with httpx.Client(transport=httpx.MockTransport(handler)) as client:
                    assert "from the mock" == client.get("http://mock.example/").text
        assert [1] == called


async def check_async() -> None:
    with recording() as (server, cassette):
        for _ in range(2):
            with vcr.use_cassette(cassette):
                async with httpx.AsyncClient(follow_redirects=True) as client:
                    assert "/end" == (await client.get(f"{server.url}/moved")).json()["target"]
                    async with client.stream("GET", f"{server.url}/echo") as response:
                        assert b"/echo" in await response.aread()
        assert 3 == len(server.received)


async def check_httpx2() -> None:
    with recording() as (server, cassette):
        for _ in range(2):
            with vcr.use_cassette(cassette):
                assert "/one" == httpx2.get(f"{server.url}/one").json()["target"]
                async with httpx2.AsyncClient() as client:
                    assert "/two" == (await client.get(f"{server.url}/two")).json()["target"]
        assert 2 == len(server.received)


@vcr.use_cassette(
    "/nonexistent/never-written.yaml", record_mode="none", allow_playback_repeats=True
)
def check_as_a_decorator() -> None:
    try:
        httpx.get("http://127.0.0.1:1/")
    except CannotOverwriteExistingCassetteException:
        pass
    else:
        raise AssertionError("an unknown request passed")
