"""What a client shows while it works: `client.pool`, `response.timings`, `response.extensions["connection"]`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import scallion
from face.conftest import Driven, Face
from scallion import PoolState, Request, Response, Timings
from scallion._pools import pools_of
from support.servers import Answer, HTTPServer, Received

EXCHANGE = ["queue", "connect", "sent", "first_byte", "body", "total"]


def measured(timings: Timings) -> list[str]:
    return [name for name, seconds in timings.as_dict().items() if seconds is not None]


def answer(received: Received) -> Answer:
    # Cases: a redirect; more than arrives together with a head; anything else.
    if received.target == "/moved":
        return Answer(302, b"", [("Location", "/")])
    return Answer(body=b"x" * (4_000_000 if received.target == "/large" else 2))


def transport(face: Face) -> Any:
    return scallion.HTTPTransport() if face.blocking else scallion.AsyncHTTPTransport()


# The pool.


def test_the_pool_of_a_client(face: Face) -> None:
    """
    As its transport's; in one line, and as a table.
    """
    with HTTPServer() as server:

        async def scenario(client: Driven) -> None:
            assert () == client.pool.origins
            await client.get(server.url)
            await client.get(server.url)
            state = client.pool
            assert isinstance(state, PoolState)
            assert "<Pool 0 active, 1 idle, 0 waiting of 100>" == repr(state)
            (origin,) = state.origins
            assert (server.url, 2) == (origin.origin, origin.connections[0].exchanges)
            assert 3 == len(str(state).splitlines())
            assert {} == state.parts

        face(scenario)


def test_mounts_are_parts_of_it(face: Face) -> None:
    """
    Totals of all, each by its pattern; one transport under two patterns counts once, a mock not at all.
    """
    mounts = {"all://localhost": transport(face), "all://mock": scallion.MockTransport(hello)}
    mounts["all://*.localhost"] = mounts["all://localhost"]
    mounts["all://none"] = None
    with HTTPServer() as server:

        async def scenario(client: Driven) -> None:
            await client.get(server.url)
            await client.get(f"http://localhost:{server.port}/")
            await client.get("http://mock/")
            state = client.pool
            assert "<Pool 0 active, 2 idle, 0 waiting of 200>" == repr(state)
            default, mounted = state.parts.items()
            assert ("default", 1) == (default[0], default[1].idle)
            assert {"all://localhost", "all://*.localhost"} == set(mounted[0].split(", "))
            assert [f"http://localhost:{server.port}"] == [
                each.origin for each in mounted[1].origins
            ]
            assert 2 == len(state.origins)

        face(scenario, mounts=mounts)


def hello(request: Request) -> Response:
    return Response(200, text="hello")


def test_a_client_that_makes_no_connections(face: Face) -> None:
    """
    It has an empty pool.
    """

    async def scenario(client: Driven) -> PoolState:
        await client.get("http://example.org/")
        state: PoolState = client.pool
        return state

    assert "<Pool 0 active, 0 idle, 0 waiting of 0>" == str(face(scenario, hello))


def test_what_others_call_pool_is_not_counted() -> None:
    """
    A transport of somebody else's may have a `pool` of another kind.
    """

    class Foreign:
        pool = "a swimming pool"

    assert () == pools_of([("default", Foreign())]).origins


# The timings.


def test_the_timings_of_a_whole_response(face: Face) -> None:
    """
    The total is what `elapsed` says, and no less than its parts.
    """
    with HTTPServer() as server:

        async def scenario(client: Driven) -> None:
            for expected in (EXCHANGE, [name for name in EXCHANGE if name != "connect"]):
                response = await client.get(server.url)
                timings = response.timings
                assert expected == measured(timings)
                assert timings == response.timings
                assert response.elapsed == timedelta(seconds=timings.total)
                parts = [value for name, value in timings.as_dict().items() if name != "total"]
                assert sum(value or 0 for value in parts) <= timings.total

        face(scenario)


def test_the_timings_of_a_stream(face: Face) -> None:
    """
    While the body arrives, how long it takes is not known; afterwards it is.
    """
    with HTTPServer(answer) as server:

        async def scenario(client: Driven) -> None:
            async with client.stream("GET", f"{server.url}/large") as response:
                assert EXCHANGE[:-2] == measured(response.timings)
                assert 4_000_000 == len(await client.read(response))
                assert EXCHANGE == measured(response.timings)
            async with client.stream("GET", f"{server.url}/large") as early:
                assert None is early.timings.total
            # Closed before its end.
            assert early.timings.total is not None
            assert early.timings.body is not None

        face(scenario)


def test_each_hop_has_its_own(face: Face) -> None:
    """
    A redirect's timings and connection are not those of where it led.
    """
    with HTTPServer(answer) as server:

        async def scenario(client: Driven) -> None:
            response = await client.get(f"{server.url}/moved", follow_redirects=True)
            (moved,) = response.history
            assert "connect" in measured(moved.timings)
            assert "connect" not in measured(response.timings)
            assert [1, 2] == [each.extensions["connection"].exchange for each in (moved, response)]

        face(scenario)


def test_transports_without_connections_tell_the_total(face: Face) -> None:
    """
    And have no connection to tell of.
    """

    async def scenario(client: Driven) -> None:
        response = await client.get("http://example.org/")
        assert ["total"] == measured(response.timings)
        assert "connection" not in response.extensions

    face(scenario, hello)


def test_applications_in_the_same_process_tell_the_total(face: Face) -> None:
    """
    ASGI and WSGI likewise.
    """

    def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"ok"]

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def scenario(client: Driven) -> None:
        response = await client.get("http://example.org/")
        assert ["total"] == measured(response.timings)
        assert "connection" not in response.extensions
        assert 0 == client.pool.limit

    face(scenario, app=wsgi if face.blocking else asgi)


# Spans.


def test_spans_name_the_peer(face: Face) -> None:
    """
    Address and port of the connection, as the semantic conventions want them.
    """
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with HTTPServer() as server:

        async def scenario(client: Driven) -> None:
            await client.get(f"http://localhost:{server.port}/")

        pipeline = scallion.compatible().per_attempt(
            scallion.AttemptTracing(tracer_provider=provider)
        )
        face(scenario, pipeline=pipeline)
        (span,) = exporter.get_finished_spans()
        attributes = dict(span.attributes or {})
        assert ("127.0.0.1", server.port, "1.1") == (
            attributes["network.peer.address"],
            attributes["network.peer.port"],
            attributes["network.protocol.version"],
        )
    provider.shutdown()


def test_a_unix_socket_is_a_peer_without_a_port(face: Face, tmp_path: Any) -> None:
    """
    Its path is the address.
    """
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    path = str(tmp_path / "socket")
    with HTTPServer(path=path):
        made = scallion.HTTPTransport if face.blocking else scallion.AsyncHTTPTransport

        async def scenario(client: Driven) -> None:
            await client.get("http://service/")

        pipeline = scallion.compatible().per_attempt(
            scallion.AttemptTracing(tracer_provider=provider)
        )
        face(scenario, pipeline=pipeline, transport=made(uds=path))
        (span,) = exporter.get_finished_spans()
        attributes = dict(span.attributes or {})
        assert path == attributes["network.peer.address"]
        assert "network.peer.port" not in attributes
    provider.shutdown()
