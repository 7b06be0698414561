"""anthropic: a client subclass with mounts and socket options of its own, middleware, and bodies that it wraps."""

from __future__ import annotations

import gc
import io
import json
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import anthropic
import anthropic._base_client
import httpx2
from anthropic import (
    Anthropic,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncAnthropic,
    AuthenticationError,
    BadRequestError,
    DefaultAsyncHttpxClient,
    DefaultHttpxClient,
    InternalServerError,
    RateLimitError,
)
from scripted import HANG_UP, Answer, Received, Server, multipart, serve

WORDS = ["Hel", "lo ", "wörld"]
ASKED: Any = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
failures: list[Any] = []
"""What is answered, one after the other, before the service works."""


def service(request: Received) -> Any:
    if failures:
        failure = failures.pop(0)
        return failure if failure is HANG_UP else _error(failure)
    if request.path == "/v1/messages":
        asked = json.loads(request.body)
        if asked.get("stream"):
            return Answer(
                200, {"Content-Type": "text/event-stream", "request-id": "req-1"}, events()
            )
        return _json(message(f"{asked['model']} {asked['messages'][0]['content']}"))
    if request.path == "/v1/messages/count_tokens":
        return _json({"input_tokens": 7})
    if request.path == "/v1/files":
        name, content = multipart(request)["file"]
        return _json(
            {
                "id": "f1",
                "type": "file",
                "filename": name,
                "size_bytes": len(content),
                "mime_type": "x",
            }
        )
    if request.path == "/v1/files/f1/content":
        return Answer(200, {"Content-Type": "application/octet-stream"}, iter([b"one ", b"two"]))
    if request.path == "/v1/models":
        last = bool(request.query.get("after_id"))
        names = ["m3"] if last else ["m1", "m2"]
        models = [{"id": name, "type": "model", "display_name": name} for name in names]
        return _json(
            {"data": models, "has_more": not last, "first_id": names[0], "last_id": names[-1]}
        )
    if request.path == "/slow":
        time.sleep(0.5)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return _json({"method": request.method, "target": request.target, "headers": headers})


def message(text: str) -> dict[str, Any]:
    return {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": "end_turn" if text else None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }


def events() -> Iterator[bytes]:
    def event(kind: str, **fields: Any) -> bytes:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}\n\n".encode()

    yield event("message_start", message=message(""))
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield event("ping")
    for word in WORDS:
        chunk = event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        # A chunk that ends within an event.
        yield chunk[:-8]
        yield chunk[-8:]
    yield event("content_block_stop", index=0)
    yield event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})
    yield event("message_stop")


def _json(value: Any, status: int = 200) -> Answer:
    headers = {"Content-Type": "application/json", "request-id": "req-1"}
    return Answer(status, headers, json.dumps(value).encode())


def _error(status: int) -> Answer:
    answer = _json(
        {"type": "error", "error": {"type": "t", "message": f"broken: {status}"}}, status
    )
    answer.headers["retry-after-ms"] = "1"
    return answer


def _client(server: Server, **settings: Any) -> Anthropic:
    failures.clear()
    return Anthropic(api_key="secret", base_url=server.url, **settings)


def _raises(kind: type[Exception], call: Any) -> Any:
    try:
        call()
    except kind as error:
        assert type(error) is kind, error
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def check_identity() -> None:
    import scallion

    assert anthropic._base_client.httpx2.Client is scallion.Client
    assert issubclass(DefaultHttpxClient, scallion.Client)
    assert issubclass(DefaultAsyncHttpxClient, scallion.AsyncClient)
    client = Anthropic(api_key="x")
    assert isinstance(client._client, scallion.Client)
    assert type(client._client._transport) is scallion.HTTPTransport
    assert isinstance(AsyncAnthropic(api_key="x")._client, scallion.AsyncClient)
    assert scallion.Timeout(5.0) == anthropic._base_client.HTTPX_DEFAULT_TIMEOUT


def check_messages() -> None:
    with serve(service) as server, _client(server) as client:
        answer = client.messages.create(
            **ASKED, extra_headers={"X-Own": "1"}, extra_query={"q": "x y"}
        )
        assert ("m hi", 2) == (answer.content[0].text, answer.usage.output_tokens)
        assert "req-1" == answer._request_id
        (sent,) = server.received
        assert ("Bearer secret", "1") == (sent.headers["Authorization"], sent.headers["X-Own"])
        assert {"q": ["x y"]} == sent.query
        assert sent.headers["anthropic-version"]
        assert 7 == client.messages.count_tokens(model="m", messages=ASKED["messages"]).input_tokens
    assert client.is_closed()


def check_streams() -> None:
    with serve(service) as server, _client(server) as client:
        with client.messages.stream(**ASKED) as stream:
            assert WORDS == list(stream.text_stream)
            final = stream.get_final_message()
        assert ("".join(WORDS), 5) == (final.content[0].text, final.usage.output_tokens)
        raw = client.messages.create(**ASKED, stream=True)
        kinds = [event.type for event in raw]
        assert ("message_start", "message_stop") == (kinds[0], kinds[-1])
        with client.messages.create(**ASKED, stream=True) as stream:
            next(iter(stream))
        assert stream.response.is_closed


def check_retries() -> None:
    with serve(service) as server, _client(server) as client:
        failures[:] = [529, 429]
        assert "m hi" == client.messages.create(**ASKED).content[0].text
        assert ["0", "1", "2"] == [
            one.headers["x-stainless-retry-count"] for one in server.received
        ]
        failures[:] = [HANG_UP]
        assert "m hi" == client.messages.create(**ASKED).content[0].text
        failures[:] = [500, 500, 500, 500]
        error = _raises(InternalServerError, lambda: client.messages.create(**ASKED))
        assert (500, "req-1", 1) == (error.status_code, error.request_id, len(failures))
        failures[:] = [429]
        _raises(RateLimitError, lambda: client.with_options(max_retries=0).messages.create(**ASKED))


def check_errors() -> None:
    with serve(service) as server, _client(server, max_retries=0) as client:
        for status, kind in (
            (400, BadRequestError),
            (401, AuthenticationError),
            (418, APIStatusError),
        ):
            failures[:] = [status]
            error = _raises(kind, lambda: client.messages.create(**ASKED))
            assert (status, f"broken: {status}") == (
                error.status_code,
                error.body["error"]["message"],
            )
            assert isinstance(error.response, httpx2.Response)
        failures[:] = [400]
        _raises(BadRequestError, lambda: client.messages.create(**ASKED, stream=True))
        failures[:] = [HANG_UP]
        error = _raises(APIConnectionError, lambda: client.messages.create(**ASKED))
        assert isinstance(error.__cause__, httpx2.RemoteProtocolError)
        slow: Any = {"timeout": 0.02}
        error = _raises(APITimeoutError, lambda: client.get("/slow", cast_to=object, options=slow))
        assert isinstance(error.__cause__, httpx2.ReadTimeout)
    client = _client(server, max_retries=0)
    error = _raises(APIConnectionError, lambda: client.messages.create(**ASKED))
    assert isinstance(error.__cause__, httpx2.ConnectError)


def check_timeouts() -> None:
    client = Anthropic(api_key="x")
    assert httpx2.Timeout(600, connect=5.0) == client.timeout
    assert 600.0 == client._client.timeout.read
    own = Anthropic(api_key="x", http_client=httpx2.Client(timeout=httpx2.Timeout(7.0)))
    assert httpx2.Timeout(7.0) == own.timeout
    # A client with the default timeout gets the SDK's.
    assert 600 == Anthropic(api_key="x", http_client=httpx2.Client()).timeout.read
    fine = httpx2.Timeout(60.0, read=5.0, write=10.0, connect=2.0)
    assert fine == client.with_options(timeout=fine).timeout


def check_own_clients() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=message(request.headers["x-always"]))

    own = httpx2.Client(transport=httpx2.MockTransport(answer), headers={"X-Always": "yes"})
    with Anthropic(api_key="x", http_client=own) as client:
        assert "yes" == client.messages.create(**ASKED).content[0].text
    own = DefaultHttpxClient(transport=httpx2.MockTransport(answer), headers={"X-Always": "too"})
    with Anthropic(api_key="x", http_client=own) as client:
        assert "too" == client.messages.create(**ASKED).content[0].text


def check_proxies_from_the_environment() -> None:
    with serve(service) as server, serve(service) as proxy:
        os.environ.update(HTTP_PROXY=proxy.url, NO_PROXY="direct.invalid,127.0.0.1")
        try:
            direct = _client(server)
            through = Anthropic(api_key="x", base_url="http://there.invalid")
        finally:
            del os.environ["HTTP_PROXY"], os.environ["NO_PROXY"]
        direct.messages.create(**ASKED)
        through.get("/echo", cast_to=object)
        assert ["/v1/messages"] == [one.target for one in server.received]
        assert ["http://there.invalid/echo"] == [one.target for one in proxy.received]


def check_raw_and_streaming_responses() -> None:
    with serve(service) as server, _client(server) as client:
        raw = client.messages.with_raw_response.create(**ASKED)
        assert ("req-1", 200, "HTTP/1.1") == (
            raw.headers["request-id"],
            raw.status_code,
            raw.http_version,
        )
        assert timedelta() < raw.elapsed < timedelta(seconds=20)
        assert "m hi" == raw.parse().content[0].text
        with client.messages.with_streaming_response.create(**ASKED) as response:
            assert "m hi" in "".join(response.iter_text())
        with client.messages.with_streaming_response.create(**ASKED, stream=True) as response:
            assert "event: message_start" == next(iter(response.iter_lines()))


def check_files_and_pages() -> None:
    with serve(service) as server, _client(server) as client:
        for file in (b"content", io.BytesIO(b"content"), ("a.txt", b"content", "text/plain")):
            assert 7 == client.beta.files.upload(file=file).size_bytes
        failures[:] = [500]
        assert 7 == client.beta.files.upload(file=io.BytesIO(b"content")).size_bytes
        assert b"one two" == client.beta.files.download("f1").read()
        assert ["m1", "m2", "m3"] == [model.id for model in client.models.list()]


def check_middleware() -> None:
    seen: list[Any] = []

    def note(request: Any, call_next: Any) -> Any:
        response = call_next(request)
        seen.append((request.method, response.status_code))
        return response

    with serve(service) as server, _client(server, middleware=[note]) as client:
        failures[:] = [500]
        client.messages.create(**ASKED)
        assert ("POST", 200) == (seen[-1][0].upper(), seen[-1][1])


def check_forgotten_clients_are_closed() -> None:
    kind = anthropic._base_client.SyncHttpxClientWrapper
    closed: list[int] = []
    original = kind.close
    kind.close = lambda self: (original(self), closed.append(id(self)))[0]  # type: ignore[method-assign]
    try:
        client = Anthropic(api_key="x")
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
        async with AsyncAnthropic(api_key="secret", base_url=server.url) as client:
            failures[:] = [429]
            assert "m hi" == (await client.messages.create(**ASKED)).content[0].text
            assert 2 == len(server.received)
            async with client.messages.stream(**ASKED) as stream:
                assert WORDS == [text async for text in stream.text_stream]
            raw = await client.messages.create(**ASKED, stream=True)
            assert "message_stop" == [event.type async for event in raw][-1]
            async with await client.messages.create(**ASKED, stream=True) as raw:
                async for _ in raw:
                    break
            async with client.messages.with_streaming_response.create(**ASKED) as response:
                assert "m hi" in "".join([text async for text in response.iter_text()])
            response = await client.messages.with_raw_response.create(**ASKED)
            assert timedelta() < response.elapsed
            assert 7 == (await client.beta.files.upload(file=b"content")).size_bytes
            assert ["m1", "m2", "m3"] == [model.id async for model in client.models.list()]
            try:
                await client.with_options(max_retries=0, timeout=0.02).get("/slow", cast_to=object)
            except APITimeoutError as error:
                assert isinstance(error.__cause__, httpx2.ReadTimeout)
            else:
                raise AssertionError("no timeout")
            failures[:] = [400]
            try:
                await client.messages.create(**ASKED, stream=True)
            except BadRequestError as error:
                assert 400 == error.status_code
            else:
                raise AssertionError("a status of 400 was no error")
        own = DefaultAsyncHttpxClient(
            transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=message("mocked")))
        )
        async with AsyncAnthropic(api_key="x", http_client=own) as client:
            assert "mocked" == (await client.messages.create(**ASKED)).content[0].text
