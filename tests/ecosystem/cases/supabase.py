"""supabase's functions client: it overrides `Client._redirect_headers`; and the clients of its other services."""

from __future__ import annotations

import json
import warnings
from typing import Any

import httpx
from scripted import Answer, Received, Server, serve
from supabase import ClientOptions, create_async_client, create_client
from supabase_functions import (
    AsyncFunctionsClient,
    FunctionRegion,
    SyncFunctionsClient,
)
from supabase_functions import (
    create_client as create_functions_client,
)
from supabase_functions.errors import FunctionsHttpError, FunctionsRelayError

KEY = {"apiKey": "the-key", "Authorization": "Bearer token"}


def service(request: Received) -> Answer:
    name = request.path.rpartition("/")[2]
    if name == "bytes":
        return Answer(200, {}, b"\x00\x01")
    if name == "fails":
        return _json({"error": "broken on purpose"}, 500)
    if name == "fails-plainly":
        return Answer(500, {}, b"plain text")
    if name == "fails-silently":
        return Answer(404)
    if name == "relay":
        return Answer(200, {"x-relay-error": "true"}, b"the relay is down")
    if name == "leave":
        (target,) = request.query["to"]
        return Answer(int(request.query.get("status", ["307"])[0]), {"Location": target})
    headers = {name.lower(): value for name, value in request.headers.items()}
    asked = {
        "method": request.method,
        "query": request.query,
        "headers": headers,
        "body": request.body.decode(),
    }
    return _json(asked)


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def _client(server: Server) -> SyncFunctionsClient:
    return SyncFunctionsClient(server.url, dict(KEY))


def check_identity() -> None:
    from supabase_functions._async import functions_client as async_part
    from supabase_functions._sync import functions_client as sync_part

    import scallion

    assert issubclass(sync_part._RedirectGuardClient, scallion.Client)
    assert issubclass(async_part._RedirectGuardClient, scallion.AsyncClient)
    assert isinstance(SyncFunctionsClient("http://x", {})._client, scallion.Client)


def check_bodies() -> None:
    as_json = {"responseType": "json"}
    with serve(service) as server:
        client = _client(server)
        answer = client.invoke("hello", {"body": {"a": 1}, **as_json})
        assert ("POST", '{"a":1}') == (answer["method"], answer["body"])
        headers = answer["headers"]
        assert ("the-key", "Bearer token") == (headers["apikey"], headers["authorization"])
        assert "application/json" == headers["content-type"]
        assert headers["x-client-info"].startswith("supabase-py/")
        text = client.invoke("hello", {"body": "text ä", **as_json})
        assert ("text/plain", "text ä") == (text["headers"]["content-type"], text["body"])
        raw = client.invoke("hello", {"body": b"raw", **as_json})
        assert ("application/octet-stream", "raw") == (raw["headers"]["content-type"], raw["body"])
        assert b"\x00\x01" == client.invoke("bytes")


def check_methods_queries_and_regions() -> None:
    as_json = {"responseType": "json"}
    with serve(service) as server:
        client = _client(server)
        for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS"):
            assert method == client.invoke("hello", {"method": method, **as_json})["method"]
        assert {"name": ["bob"]} == client.invoke("hello?name=bob#part", as_json)["query"]
        region = client.invoke("hello", {"region": FunctionRegion.EuWest1, **as_json})
        assert {"forceFunctionRegion": ["eu-west-1"]} == region["query"]
        assert "eu-west-1" == region["headers"]["x-region"]
        client.set_auth("other")
        own = client.invoke("hello", {"headers": {"X-Own": "1"}, **as_json})
        assert ("Bearer other", "1") == (own["headers"]["authorization"], own["headers"]["x-own"])


def check_errors() -> None:
    with serve(service) as server:
        client = _client(server)
        for name, status, message in (
            ("fails", 500, "broken on purpose"),
            ("fails-plainly", 500, "plain text"),
            (
                "fails-silently",
                404,
                f"An error occurred while requesting your edge function at URL('{server.url}",
            ),
        ):
            error = _raises(FunctionsHttpError, lambda name=name: client.invoke(name))
            assert status == error.status
            assert error.message.startswith(message)
            assert type(error.__cause__) is httpx.HTTPStatusError
        error = _raises(FunctionsRelayError, lambda: client.invoke("relay"))
        assert "the relay is down" == error.message
    _raises(httpx.ConnectError, lambda: _client(server).invoke("hello"))


def _raises(kind: type[Exception], call: Any) -> Any:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def check_redirects_lose_the_key() -> None:
    as_json = {"responseType": "json", "body": {"a": 1}}
    with serve(service) as server, serve(service) as other:
        client = _client(server)
        for status, method in (("307", "POST"), ("302", "GET")):
            left = client.invoke(f"leave?to={other.url}/hello&status={status}", as_json)
            assert method == left["method"]
            assert not {"apikey", "authorization"} & left["headers"].keys()
            assert "x-client-info" in left["headers"]
        stayed = client.invoke("leave?to=/hello", as_json)
        assert ("the-key", "Bearer token") == tuple(
            stayed["headers"][name] for name in ("apikey", "authorization")
        )
        # Without the override the key goes along.
        plain = SyncFunctionsClient(
            server.url, dict(KEY), http_client=httpx.Client(follow_redirects=True)
        )
        left = plain.invoke(f"leave?to={other.url}/hello", as_json)
        assert "the-key" == left["headers"]["apikey"]
        assert "authorization" not in left["headers"]


def check_settings() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client = SyncFunctionsClient(
            "http://x", {}, timeout=7, verify=False, proxy="http://127.0.0.1:1"
        )
    assert 3 == len(caught)
    assert 7 == client._client.timeout.read
    error = _raises(httpx.HTTPError, lambda: client.invoke("hello"))
    assert isinstance(error, httpx.ConnectError | httpx.ProxyError)
    mock = httpx.Client(
        transport=httpx.MockTransport(lambda request: httpx.Response(200, json={"m": 1}))
    )
    client = SyncFunctionsClient("http://x", {}, http_client=mock)
    assert {"m": 1} == client.invoke("hello", {"responseType": "json"})


async def check_async() -> None:
    as_json = {"responseType": "json", "body": {"a": 1}}
    with serve(service) as server, serve(service) as other:
        client = create_functions_client(server.url, dict(KEY), is_async=True)
        assert type(client) is AsyncFunctionsClient
        answer = await client.invoke("hello", as_json)
        assert '{"a":1}' == answer["body"]
        left = await client.invoke(f"leave?to={other.url}/hello", as_json)
        assert not {"apikey", "authorization"} & left["headers"].keys()
        stayed = await client.invoke("leave?to=/hello", as_json)
        assert "the-key" == stayed["headers"]["apikey"]
        try:
            await client.invoke("fails")
        except FunctionsHttpError as error:
            assert (500, "broken on purpose") == (error.status, error.message)
        else:
            raise AssertionError("a status of 500 was no error")
        await client._client.aclose()


def whole_service(request: Received) -> Answer:
    """One table, one bucket, one user, one function."""
    if request.path.startswith("/rest/v1/"):
        if request.method == "POST":
            return _json(json.loads(request.body), 201)
        return Answer(
            200,
            {"Content-Type": "application/json", "Content-Range": "0-0/1"},
            json.dumps([{"id": 1, "query": request.query}]).encode(),
        )
    if request.path.startswith("/storage/v1/"):
        if request.method == "POST":
            return _json({"Key": "bucket/a.txt", "Id": "1"})
        return Answer(200, {}, b"the file")
    if request.path.startswith("/auth/v1/"):
        return _json({"error_code": "invalid_credentials", "msg": "no such user"}, 400)
    return _json({"path": request.path})


def check_the_whole_client() -> None:
    with serve(whole_service) as server:
        client = create_client(server.url, "a.b.c", ClientOptions(httpx_client=httpx.Client()))
        rows: Any = client.table("fruits").select("*", count="exact").eq("name", "ä b").execute()
        assert ({"select": ["*"], "name": ["eq.ä b"]}, 1) == (rows.data[0]["query"], rows.count)
        assert [{"id": 2}] == client.table("fruits").insert([{"id": 2}]).execute().data
        assert b"the file" == client.storage.from_("bucket").download("a.txt")
        assert (
            "bucket/a.txt" == client.storage.from_("bucket").upload("a.txt", b"content").full_path
        )
        assert {"path": "/functions/v1/hello"} == client.functions.invoke(
            "hello", {"responseType": "json"}
        )
        error = _raises(
            Exception,
            lambda: client.auth.sign_in_with_password({"email": "a@b.c", "password": "x"}),
        )
        assert "no such user" in str(error)


async def check_the_whole_client_async() -> None:
    with serve(whole_service) as server:
        client = await create_async_client(server.url, "a.b.c")
        rows: Any = await client.table("fruits").select("*").execute()
        assert 1 == rows.data[0]["id"]
        assert b"the file" == await client.storage.from_("bucket").download("a.txt")
        assert {"path": "/functions/v1/hello"} == await client.functions.invoke(
            "hello", {"responseType": "json"}
        )
