"""openai: its clients wrap ours, retry by themselves, map our errors to theirs, and read our streams."""

from __future__ import annotations

import gc
import io
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx2
import openai
import openai._base_client
from openai import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncOpenAI,
    AuthenticationError,
    BadRequestError,
    DefaultAsyncHttpxClient,
    DefaultHttpxClient,
    InternalServerError,
    NotFoundError,
    OpenAI,
    RateLimitError,
)
from scripted import HANG_UP, Answer, Received, Server, multipart, serve

WORDS = ["Hel", "lo ", "wörld"]
MESSAGES: Any = [{"role": "user", "content": "hi"}]
failures: list[Any] = []
"""What is answered, one after the other, before the service works."""


def service(request: Received) -> Any:
    if failures:
        failure = failures.pop(0)
        if failure is HANG_UP or isinstance(failure, Answer):
            return failure
        return _error(failure)
    headers = {"x-request-id": "req-1"}
    if request.path.endswith("/chat/completions"):
        asked = json.loads(request.body)
        if asked.get("stream"):
            return Answer(200, {"Content-Type": "text/event-stream", **headers}, chunks())
        answer = completion(f"{asked['model']} {asked['messages'][0]['content']}")
        return Answer(
            200, {"Content-Type": "application/json", **headers}, json.dumps(answer).encode()
        )
    if request.path.endswith("/files"):
        parts = multipart(request)
        name, content = parts["file"]
        made = {"id": "f1", "object": "file", "filename": name, "bytes": len(content)}
        return _json(
            {
                **made,
                "purpose": parts["purpose"][1].decode(),
                "created_at": 1,
                "status": "processed",
            }
        )
    if request.path.endswith("/files/f1/content"):
        return Answer(200, {"Content-Type": "application/octet-stream"}, iter([b"one ", b"two"]))
    if request.path.endswith("/models"):
        after = request.query.get("after")
        names = ["m3"] if after else ["m1", "m2"]
        return _json(
            {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}
        )
    if request.path.endswith("/moved"):
        return Answer(307, {"Location": "/v1/echo"})
    if request.path.endswith("/slow"):
        time.sleep(0.5)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return _json({"method": request.method, "target": request.target, "headers": headers})


def completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }


def chunks() -> Iterator[bytes]:
    for word in WORDS:
        choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
        chunk = {
            "id": "c1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
        }
        line = f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()
        # A chunk that ends within a character.
        yield line[:-12]
        yield line[-12:]
    yield b"data: [DONE]\n\n"


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def _error(status: int) -> Answer:
    body = {"error": {"message": f"broken: {status}", "type": "t", "param": None, "code": "c"}}
    headers = {"Content-Type": "application/json", "retry-after-ms": "1", "x-request-id": "req-e"}
    return Answer(status, headers, json.dumps(body).encode())


def _client(server: Server, **settings: Any) -> OpenAI:
    failures.clear()
    return OpenAI(api_key="sk-secret", base_url=f"{server.url}/v1", **settings)


def _raises(kind: type[Exception], call: Any) -> Any:
    try:
        call()
    except kind as error:
        assert type(error) is kind, error
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def _ask(client: OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(model="m", messages=MESSAGES, **options)


def check_identity() -> None:
    import scallion

    assert openai._base_client.httpx2.Client is scallion.Client
    assert issubclass(DefaultHttpxClient, scallion.Client)
    assert issubclass(DefaultAsyncHttpxClient, scallion.AsyncClient)
    assert isinstance(OpenAI(api_key="x")._client, scallion.Client)
    assert isinstance(AsyncOpenAI(api_key="x")._client, scallion.AsyncClient)
    assert openai.Timeout is scallion.Timeout
    assert scallion.Timeout(5.0) == openai._base_client.HTTPX_DEFAULT_TIMEOUT


def check_completions() -> None:
    with (
        serve(service) as server,
        _client(server, organization="org", default_query={"v": "1"}) as client,
    ):
        answer = _ask(
            client, extra_headers={"X-Own": "1"}, extra_query={"q": ["a", "b"]}, temperature=0.5
        )
        assert ("m hi", 3) == (answer.choices[0].message.content, answer.usage.total_tokens)
        assert "req-1" == answer._request_id
        (sent,) = server.received
        assert "Bearer sk-secret" == sent.headers["Authorization"]
        assert ("org", "1") == (sent.headers["OpenAI-Organization"], sent.headers["X-Own"])
        assert {"v": ["1"], "q[]": ["a", "b"]} == sent.query or {
            "v": ["1"],
            "q": ["a", "b"],
        } == sent.query
        assert "application/json" == sent.headers["Content-Type"]
        assert 0.5 == json.loads(sent.body)["temperature"]
        assert sent.headers["User-Agent"].startswith("OpenAI/Python")
        assert "600" == sent.headers["x-stainless-read-timeout"]
    assert client.is_closed()


def check_streams() -> None:
    with serve(service) as server, _client(server) as client:
        with _ask(client, stream=True) as stream:
            assert WORDS == [chunk.choices[0].delta.content for chunk in stream]
        assert stream.response.is_closed
        stream = _ask(client, stream=True)
        assert "Hel" == next(stream).choices[0].delta.content
        stream.close()
        assert stream.response.is_closed
        with client.chat.completions.stream(model="m", messages=MESSAGES) as events:
            text = [event.delta for event in events if event.type == "content.delta"]
        assert WORDS == text


def check_retries() -> None:
    with serve(service) as server, _client(server) as client:
        failures[:] = [429, 500]
        assert "m hi" == _ask(client).choices[0].message.content
        assert ["0", "1", "2"] == [
            one.headers["x-stainless-retry-count"] for one in server.received
        ]
        assert 1 == len({one.headers.get("Idempotency-Key") for one in server.received})
        failures[:] = [HANG_UP]
        assert "m hi" == _ask(client).choices[0].message.content
        failures[:] = [503, 503, 503, 503]
        error = _raises(InternalServerError, lambda: _ask(client))
        assert (503, "req-e") == (error.status_code, error.request_id)
        assert 1 == len(failures)
        failures[:] = [429]
        error = _raises(RateLimitError, lambda: _ask(client.with_options(max_retries=0)))
        assert "broken: 429" in error.message


def check_errors() -> None:
    with serve(service) as server, _client(server, max_retries=0) as client:
        for status, kind in (
            (400, BadRequestError),
            (401, AuthenticationError),
            (404, NotFoundError),
        ):
            failures[:] = [status]
            error = _raises(kind, lambda: _ask(client))
            assert (status, "c") == (error.status_code, error.code)
            assert isinstance(error.response, httpx2.Response)
            assert isinstance(error.request, httpx2.Request)
        failures[:] = [418]
        _raises(APIStatusError, lambda: _ask(client))
        failures[:] = [400]
        error = _raises(BadRequestError, lambda: _ask(client, stream=True))
        assert "broken: 400" in str(error)
        failures[:] = [HANG_UP]
        error = _raises(APIConnectionError, lambda: _ask(client))
        assert isinstance(error.__cause__, httpx2.RemoteProtocolError)
        error = _raises(
            APITimeoutError, lambda: client.get("/slow", cast_to=object, options={"timeout": 0.02})
        )
        assert isinstance(error.__cause__, httpx2.ReadTimeout)
    error = _raises(APIConnectionError, lambda: _ask(_client(server, max_retries=0)))
    assert isinstance(error.__cause__, httpx2.ConnectError)


def check_timeouts() -> None:
    client = OpenAI(api_key="x")
    assert httpx2.Timeout(600, connect=5.0) == client.timeout
    assert 600.0 == client._client.timeout.read
    assert 20.0 == OpenAI(api_key="x", timeout=20.0).timeout
    fine = httpx2.Timeout(60.0, read=5.0, write=10.0, connect=2.0)
    assert fine == OpenAI(api_key="x", timeout=fine).timeout
    own = OpenAI(api_key="x", http_client=httpx2.Client(timeout=httpx2.Timeout(7.0)))
    assert httpx2.Timeout(7.0) == own.timeout
    # A client with the default timeout gets the SDK's.
    assert 600 == OpenAI(api_key="x", http_client=httpx2.Client()).timeout.read
    assert 3 == OpenAI(api_key="x").with_options(timeout=3).timeout


def check_own_clients() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=completion(request.headers["x-always"]))

    own = httpx2.Client(transport=httpx2.MockTransport(answer), headers={"X-Always": "yes"})
    with OpenAI(api_key="x", http_client=own) as client:
        assert "yes" == _ask(client).choices[0].message.content
        copied = client.copy(api_key="y")
        assert copied._client is own
    defaults = DefaultHttpxClient(headers={"X-Always": "yes"})
    assert (True, 1000) == (
        defaults.follow_redirects,
        openai.DEFAULT_CONNECTION_LIMITS.max_connections,
    )
    assert 600 == defaults.timeout.read
    with serve(service) as server:
        with _client(server, http_client=defaults) as client:
            assert "/v1/echo" == client.post("/moved", cast_to=object, body={"a": 1})["target"]
        other = httpx2.Client(mounts={"http://": httpx2.HTTPTransport(local_address="127.0.0.1")})
        with _client(server, http_client=other) as client:
            assert "m hi" == _ask(client).choices[0].message.content


def check_raw_and_streaming_responses() -> None:
    with serve(service) as server, _client(server) as client:
        raw = client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
        assert ("req-1", 200, "HTTP/1.1") == (
            raw.headers["x-request-id"],
            raw.status_code,
            raw.http_version,
        )
        assert timedelta() < raw.elapsed < timedelta(seconds=20)
        assert "m hi" == raw.parse().choices[0].message.content
        assert isinstance(raw.http_response, httpx2.Response)
        assert httpx2.URL(f"{server.url}/v1/chat/completions") == raw.url
        with client.chat.completions.with_streaming_response.create(
            model="m", messages=MESSAGES
        ) as response:
            assert not response.is_closed
            assert "m hi" in "".join(response.iter_text())
        with client.chat.completions.with_streaming_response.create(
            model="m", messages=MESSAGES, stream=True
        ) as response:
            lines = [line for line in response.iter_lines() if line]
        assert (4, "data: [DONE]") == (len(lines), lines[-1])


def check_files() -> None:
    with serve(service) as server, _client(server) as client:
        for file in (
            b"content",
            io.BytesIO(b"content"),
            ("a.jsonl", b"content", "application/json"),
        ):
            made = client.files.create(file=file, purpose="batch")
            assert ("batch", 7) == (made.purpose, made.bytes)
        assert "a.jsonl" == made.filename
        assert "multipart/form-data; boundary=" in server.received[0].headers["Content-Type"]
        assert b"one two" == client.files.content("f1").read()
        with client.files.with_streaming_response.content("f1") as response:
            assert b"one two" == b"".join(response.iter_bytes())
        # A retry sends the file again, whole.
        failures[:] = [500]
        assert 7 == client.files.create(file=io.BytesIO(b"content"), purpose="batch").bytes


def check_pages_and_verbs() -> None:
    with serve(service) as server, _client(server) as client:
        assert ["m1", "m2"] == [model.id for model in client.models.list()]
        for verb in ("get", "post", "put", "patch", "delete"):
            answer = getattr(client, verb)("/echo?a=1", cast_to=object)
            assert (verb.upper(), "/v1/echo?a=1") == (answer["method"], answer["target"])


def check_forgotten_clients_are_closed() -> None:
    kind = openai._base_client.SyncHttpxClientWrapper
    closed: list[int] = []
    original = kind.close
    kind.close = lambda self: (original(self), closed.append(id(self)))[0]  # type: ignore[method-assign]
    try:
        client = OpenAI(api_key="x")
        forgotten = id(client._client)
        assert not client.is_closed()
        del client
        gc.collect()
    finally:
        kind.close = original  # type: ignore[method-assign]
    assert forgotten in closed


async def check_async() -> None:
    with serve(service) as server:
        failures.clear()
        async with AsyncOpenAI(api_key="sk", base_url=f"{server.url}/v1") as client:
            failures[:] = [429]
            answer = await client.chat.completions.create(model="m", messages=MESSAGES)
            assert "m hi" == answer.choices[0].message.content
            assert 2 == len(server.received)
            stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
            assert WORDS == [chunk.choices[0].delta.content async for chunk in stream]
            async with await client.chat.completions.create(
                model="m", messages=MESSAGES, stream=True
            ) as stream:
                async for _ in stream:
                    break
            async with client.chat.completions.with_streaming_response.create(
                model="m", messages=MESSAGES
            ) as response:
                assert "m hi" in "".join([text async for text in response.iter_text()])
            raw = await client.chat.completions.with_raw_response.create(
                model="m", messages=MESSAGES
            )
            assert timedelta() < raw.elapsed
            assert 7 == (await client.files.create(file=b"content", purpose="batch")).bytes
            content = await client.files.content("f1")
            assert b"one two" == await content.aread()
            assert ["m1", "m2"] == [model.id async for model in client.models.list()]
            quick = client.with_options(max_retries=0, timeout=0.02)
            for call, kind in ((lambda: quick.get("/slow", cast_to=object), APITimeoutError),):
                try:
                    await call()
                except kind as error:
                    assert isinstance(error.__cause__, httpx2.ReadTimeout)
                else:
                    raise AssertionError("no timeout")
            failures[:] = [400]
            try:
                await client.chat.completions.create(model="m", messages=MESSAGES)
            except BadRequestError as error:
                assert "broken: 400" in error.message
            else:
                raise AssertionError("a status of 400 was no error")
        own = httpx2.AsyncClient(
            transport=httpx2.MockTransport(
                lambda _: httpx2.Response(200, json=completion("mocked"))
            )
        )
        async with AsyncOpenAI(api_key="sk", http_client=own) as client:
            answer = await client.chat.completions.create(model="m", messages=MESSAGES)
            assert "mocked" == answer.choices[0].message.content
        try:
            async with AsyncOpenAI(
                api_key="sk", base_url="http://127.0.0.1:1", max_retries=0
            ) as client:
                await client.models.list()
        except APIConnectionError as error:
            assert isinstance(error.__cause__, httpx2.ConnectError)
        else:
            raise AssertionError("nothing listens there")
