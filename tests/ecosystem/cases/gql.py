"""gql's HTTPXTransport and HTTPXAsyncTransport: queries, errors, batches, uploads."""

from __future__ import annotations

import io
import json
from typing import Any

import gql.transport.httpx
import httpx2
from gql import Client, FileVar, GraphQLRequest
from gql import gql as parse
from gql.transport.exceptions import (
    TransportAlreadyConnected,
    TransportClosed,
    TransportConnectionFailed,
    TransportProtocolError,
    TransportQueryError,
    TransportServerError,
)
from gql.transport.httpx import HTTPXAsyncTransport, HTTPXTransport
from scripted import HANG_UP, Answer, Received, multipart, serve

HELLO = "query hello($name: String) { hello(name: $name) }"
UPLOAD = "mutation upload($file: Upload!) { upload(file: $file) { name } }"


def service(request: Received) -> Any:
    """Answers by path; a query is answered with what was asked."""
    if request.path == "/hang-up":
        return HANG_UP
    if request.path == "/html":
        return Answer(200, {"Content-Type": "text/html"}, b"<p>not GraphQL</p>")
    if request.path == "/unavailable":
        return Answer(503, {}, b"later")
    if request.path == "/moved":
        return Answer(308, {"Location": "/graphql"})
    if request.path == "/odd":
        return _json({"neither": 1})
    if request.headers["Content-Type"].startswith("multipart/"):
        parts = multipart(request)
        return _json(
            {"data": {name: [file, body.decode()] for name, (file, body) in parts.items()}}
        )
    asked = json.loads(request.body)
    if isinstance(asked, list):
        return _json([_answered(one, request) for one in asked])
    return _json(_answered(asked, request))


def _answered(asked: dict[str, Any], request: Received) -> dict[str, Any]:
    if "broken" in asked["query"]:
        return {"errors": [{"message": "broken on purpose"}], "data": None}
    name = asked.get("variables", {}).get("name", "nobody")
    return {"data": {"hello": name, "token": request.headers["X-Token"]}, "extensions": {"took": 1}}


def _json(value: Any) -> Answer:
    return Answer(
        200, {"Content-Type": "application/json", "X-Served": "yes"}, json.dumps(value).encode()
    )


def _raises(kind: type[Exception], call: Any) -> Exception:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def check_identity() -> None:
    import scallion

    assert gql.transport.httpx.httpx.Client is scallion.Client
    assert gql.transport.httpx.httpx.AsyncClient is scallion.AsyncClient
    with serve(service) as server:
        transport = HTTPXTransport(server.url)
        with Client(transport=transport):
            assert type(transport.client) is scallion.Client
            transport.execute(GraphQLRequest(HELLO))
            assert type(transport.response_headers) is scallion.Headers


def check_execute() -> None:
    with serve(service) as server:
        transport = HTTPXTransport(f"{server.url}/graphql", headers={"X-Token": "t"}, timeout=5)
        with Client(transport=transport) as session:
            result = session.execute(GraphQLRequest(HELLO, variable_values={"name": "Ann"}))
            assert {"hello": "Ann", "token": "t"} == result
            whole = session.execute(parse(HELLO), get_execution_result=True)
            assert {"took": 1} == whole.extensions
            assert transport.response_headers is not None
            assert "yes" == transport.response_headers["x-served"]
            result = session.execute(parse(HELLO), extra_args={"headers": {"X-Token": "once"}})
            assert "once" == result["token"]
        assert "application/json" == server.received[0].headers["Content-Type"]
        assert (
            httpx2.URL(f"{server.url}/graphql")
            == HTTPXTransport(httpx2.URL(f"{server.url}/graphql")).url
        )


def check_errors() -> None:
    with serve(service) as server:

        def execute(path: str, query: str = HELLO, **settings: Any) -> Any:
            with Client(transport=HTTPXTransport(f"{server.url}{path}", **settings)) as session:
                return session.execute(parse(query))

        error: Any = _raises(TransportQueryError, lambda: execute("/graphql", "{ broken }"))
        assert [{"message": "broken on purpose"}] == error.errors
        error = _raises(TransportServerError, lambda: execute("/unavailable"))
        assert 503 == error.code
        assert "Server error '503 Service Unavailable' for url" in str(error)
        assert type(error.__cause__) is httpx2.HTTPStatusError
        error = _raises(TransportProtocolError, lambda: execute("/html"))
        assert "Not a JSON answer: <p>not GraphQL</p>" in str(error)
        _raises(TransportProtocolError, lambda: execute("/odd"))
        error = _raises(TransportConnectionFailed, lambda: execute("/hang-up"))
        assert isinstance(error.__cause__, httpx2.RemoteProtocolError)
        _raises(TransportServerError, lambda: execute("/moved"))
        assert "nobody" == execute("/moved", follow_redirects=True)["hello"]
    error = _raises(TransportConnectionFailed, lambda: execute("/"))
    assert isinstance(error.__cause__, httpx2.ConnectError)


def check_connecting() -> None:
    transport = HTTPXTransport("http://127.0.0.1:1/")
    _raises(TransportClosed, lambda: transport.execute(GraphQLRequest(HELLO)))
    transport.connect()
    _raises(TransportAlreadyConnected, transport.connect)
    transport.close()
    assert transport.client is None


def check_batches() -> None:
    with serve(service) as server:
        with Client(transport=HTTPXTransport(f"{server.url}/graphql")) as session:
            requests = [GraphQLRequest(HELLO, variable_values={"name": name}) for name in "ab"]
            assert ["a", "b"] == [result["hello"] for result in session.execute_batch(requests)]
        with Client(transport=HTTPXTransport(f"{server.url}/unavailable")) as session:
            _raises(TransportServerError, lambda: session.execute_batch(requests))


def check_uploads() -> None:
    with serve(service) as server, Client(transport=HTTPXTransport(server.url)) as session:
        file = FileVar(io.BytesIO(b"content"), filename="a.txt", content_type="text/plain")
        request = GraphQLRequest(UPLOAD, variable_values={"file": file})
        parts = session.execute(request, upload_files=True)
        assert ["a.txt", "content"] == parts["0"]
        assert {"0": ["variables.file"]} == json.loads(parts["map"][1])
        assert {"file": None} == json.loads(parts["operations"][1])["variables"]
        assert b"Content-Type: text/plain" in server.received[0].body


async def check_async() -> None:
    with serve(service) as server:
        transport = HTTPXAsyncTransport(f"{server.url}/graphql", headers={"X-Token": "t"})
        async with Client(transport=transport) as session:
            request = GraphQLRequest(HELLO, variable_values={"name": "Ann"})
            assert {"hello": "Ann", "token": "t"} == await session.execute(request)
            results = await session.execute_batch([request, request])
            assert ["Ann", "Ann"] == [result["hello"] for result in results]
            file = FileVar(io.BytesIO(b"content"), filename="a.txt")
            upload = GraphQLRequest(UPLOAD, variable_values={"file": file})
            parts = await session.execute(upload, upload_files=True)
            assert ["a.txt", "content"] == parts["0"]
            try:
                await session.execute(parse("{ broken }"))
            except TransportQueryError as error:
                assert [{"message": "broken on purpose"}] == error.errors
            else:
                raise AssertionError("the error was not raised")
        assert transport.client is None
        async with Client(transport=HTTPXAsyncTransport(f"{server.url}/unavailable")) as session:
            try:
                await session.execute(parse(HELLO))
            except TransportServerError as error:
                assert 503 == error.code
            else:
                raise AssertionError("a status of 503 was no error")
