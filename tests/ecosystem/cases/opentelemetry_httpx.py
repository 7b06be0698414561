"""opentelemetry-instrumentation-httpx: wraps the transports' methods, of the classes or of one client's."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import httpx2
from opentelemetry.instrumentation.httpx import (
    AsyncOpenTelemetryTransport,
    HTTPX2ClientInstrumentor,
    HTTPXClientInstrumentor,
    SyncOpenTelemetryTransport,
)
from opentelemetry.instrumentation.utils import suppress_http_instrumentation
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from scripted import Answer, Received, Server, serve

METHOD, STATUS, URL = "http.method", "http.status_code", "http.url"


def service(request: Received) -> Answer:
    if request.path == "/moved":
        return Answer(302, {"Location": "/end"})
    if request.path == "/missing":
        return Answer(404)
    return Answer(200, {"X-Answer": "yes"}, request.headers.get("traceparent", "").encode())


class World:
    def __init__(self, server: Server) -> None:
        self.url = server.url
        self.received = server.received
        self.provider = TracerProvider()
        self._exporter = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def spans(self) -> list[ReadableSpan]:
        """Those finished since the last time."""
        spans = list(self._exporter.get_finished_spans())
        self._exporter.clear()
        return spans


@contextlib.contextmanager
def instrumented(**settings: Any) -> Iterator[World]:
    with serve(service) as server:
        world = World(server)
        HTTPXClientInstrumentor().instrument(tracer_provider=world.provider, **settings)
        try:
            yield world
        finally:
            HTTPXClientInstrumentor().uninstrument()


@contextlib.contextmanager
def plain() -> Iterator[World]:
    with serve(service) as server:
        yield World(server)


def check_identity() -> None:
    import scallion

    before = scallion.HTTPTransport.handle_request
    with instrumented():
        assert scallion.HTTPTransport.handle_request is not before
    assert scallion.HTTPTransport.handle_request is before


def check_the_instrumentor() -> None:
    before = httpx.Client()
    with instrumented() as world:
        with httpx.Client() as after:
            for client in (before, after):
                response = client.get(f"{world.url}/x?a=1")
                (span,) = world.spans()
                assert ("GET", SpanKind.CLIENT) == (span.name, span.kind)
                assert span.attributes is not None
                assert ("GET", 200) == (span.attributes[METHOD], span.attributes[STATUS])
                assert str(span.attributes[URL]).endswith("/x?a=1")
                # The server was told which span it is.
                assert f"{span.context.span_id:016x}" in response.text
    before.close()


def check_uninstrumenting() -> None:
    with instrumented() as world:
        pass
    with plain() as other, httpx.Client() as client:
        assert "" == client.get(other.url).text
    assert [] == world.spans()


def check_errors() -> None:
    with instrumented() as world, httpx.Client() as client:
        client.get(f"{world.url}/missing")
        (span,) = world.spans()
        assert StatusCode.ERROR is span.status.status_code
        try:
            client.get("http://127.0.0.1:1/")
        except httpx.ConnectError as error:
            assert "http://127.0.0.1:1/" == str(error.request.url)
        else:
            raise AssertionError("nothing was raised")
        (span,) = world.spans()
        assert StatusCode.ERROR is span.status.status_code
        assert "ConnectError" in str(span.status.description) + str(span.events)


def check_redirects() -> None:
    with instrumented() as world, httpx.Client(follow_redirects=True) as client:
        client.get(f"{world.url}/moved")
        assert [302, 200] == [span.attributes[STATUS] for span in world.spans() if span.attributes]


def check_hooks() -> None:
    def asked(span: Any, request: Any) -> None:
        span.set_attribute("asked", f"{request.method.decode()} {httpx.URL(request.url).path}")

    def answered(span: Any, request: Any, response: Any) -> None:
        span.set_attribute(
            "answered", f"{response.status_code} {httpx.Headers(response.headers)['x-answer']}"
        )

    with instrumented(request_hook=asked, response_hook=answered) as world:
        assert 200 == httpx.get(f"{world.url}/x").status_code
        (span,) = world.spans()
        assert span.attributes is not None
        assert ("GET /x", "200 yes") == (span.attributes["asked"], span.attributes["answered"])


def check_suppression() -> None:
    with instrumented() as world, suppress_http_instrumentation():
        httpx.get(world.url)
        assert [] == world.spans()


def check_one_client() -> None:
    with (
        plain() as world,
        httpx.Client(mounts={"all://localhost": httpx.HTTPTransport()}) as client,
    ):
        HTTPXClientInstrumentor.instrument_client(client, tracer_provider=world.provider)
        client.get(world.url)
        assert 1 == len(world.spans())
        with contextlib.suppress(httpx.TransportError):
            client.get("http://localhost:1/")
        assert 1 == len(world.spans())
        httpx.get(world.url)
        assert [] == world.spans()
        HTTPXClientInstrumentor.uninstrument_client(client)
        client.get(world.url)
        assert [] == world.spans()


def check_the_transport() -> None:
    with plain() as world:
        transport = SyncOpenTelemetryTransport(
            httpx.HTTPTransport(), tracer_provider=world.provider
        )
        with httpx.Client(transport=transport) as client:
            response = client.post(world.url, content=b"x")
            (span,) = world.spans()
            assert f"{span.context.span_id:016x}" in response.text
            with client.stream("GET", world.url) as streamed:
                assert b"" != streamed.read()


def check_httpx2() -> None:
    with plain() as world:
        HTTPX2ClientInstrumentor().instrument(tracer_provider=world.provider)
        try:
            httpx2.get(world.url)
        finally:
            HTTPX2ClientInstrumentor().uninstrument()
        assert 1 == len(world.spans())


async def check_async() -> None:
    async def asked(span: Any, request: Any) -> None:
        span.set_attribute("asked", request.method.decode())

    async def body() -> AsyncIterator[bytes]:
        yield b"x"

    with instrumented(async_request_hook=asked) as world:
        async with httpx.AsyncClient(follow_redirects=True) as client:
            await client.get(f"{world.url}/moved")
            assert [302, 200] == [
                span.attributes[STATUS] for span in world.spans() if span.attributes
            ]
            response = await client.post(world.url, content=body())
            (span,) = world.spans()
            assert span.attributes is not None
            assert "POST" == span.attributes["asked"]
            assert f"{span.context.span_id:016x}" in response.text


async def check_async_client_and_transport() -> None:
    with plain() as world:
        async with httpx.AsyncClient() as client:
            HTTPXClientInstrumentor.instrument_client(client, tracer_provider=world.provider)
            await client.get(world.url)
            assert 1 == len(world.spans())
        inner = httpx.AsyncHTTPTransport()
        transport = AsyncOpenTelemetryTransport(inner, tracer_provider=world.provider)
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get(world.url)
            assert 1 == len(world.spans())
