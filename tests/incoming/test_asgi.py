"""DeadlineMiddleware: what an ASGI application's outgoing calls learn of the request that it serves."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest

import scallion
from scallion import incoming
from scallion.incoming import DeadlineMiddleware, current_deadline
from scallion.middlewares.deadline_propagation import DeadlinePropagation
from scallion.middlewares.request_id import current_request_id
from scallion.pipeline.incoming import live_deadline, within
from support.asgi_apps import App, Receive, Send, body, start
from support.colours import Drive

URL = "http://service.example/"
HEADER = "X-Request-Timeout"


def clock() -> float:
    return 1000.0


@pytest.fixture(params=["asyncio", "trio"])
def drive(request: pytest.FixtureRequest) -> Drive:
    return Drive(request.param)


def answering(work: Callable[[], Awaitable[object]]) -> App:
    """An app that does `work` and then answers."""

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await work()
        await send(start())
        await send(body(b"done"))

    return app


async def ask(app: Any, *headers: tuple[str, str]) -> scallion.Response:
    async with scallion.AsyncClient(transport=scallion.ASGITransport(app)) as client:
        return await client.get(URL, headers=list(headers))


def looking(found: list[Any], variable: Any = current_deadline) -> App:
    async def look() -> None:
        found.append(variable.get())

    return answering(look)


def observer() -> tuple[list[tuple[str, dict[str, Any]]], Callable[[str, dict[str, Any]], None]]:
    events: list[tuple[str, dict[str, Any]]] = []
    return events, lambda event, fields: events.append((event, fields))


@pytest.mark.parametrize(
    ("settings", "header", "expected"),
    [
        ({}, (HEADER, "2.5"), 1002.5),
        ({}, (HEADER, "0"), 1000.0),
        ({"form": "milliseconds"}, (HEADER, "2500"), 1002.5),
        ({"header": "grpc-timeout", "form": "grpc"}, ("grpc-timeout", "2500m"), 1002.5),
        ({"most": 1.0}, (HEADER, "2.5"), 1001.0),
        ({"most": 300.0}, (HEADER, "99999999999"), 1300.0),
        ({"most": float("inf")}, (HEADER, "9999"), 10999.0),
        ({}, (HEADER, "soon"), None),
        ({}, ("X-Other", "2.5"), None),
    ],
)
def test_the_callers_patience_is_the_apps_deadline(
    drive: Drive, settings: dict[str, Any], header: tuple[str, str], expected: float | None
) -> None:
    """
    In the form that was chosen, up to what is believed; what has not the form is ignored.
    """
    found: list[float | None] = []
    app = DeadlineMiddleware(looking(found), clock=clock, observer=observer()[1], **settings)

    assert 200 == drive(lambda: ask(app, header)).status_code
    assert [expected] == found
    assert current_deadline.get() is None


def test_what_is_not_believed_is_told(drive: Drive) -> None:
    """
    With the value, or its beginning.
    """
    events, observe = observer()
    app = DeadlineMiddleware(looking([]), most=60.0, observer=observe)

    for value in ("soon", "x" * 100, "61"):
        drive(lambda value=value: ask(app, (HEADER, value)))  # type: ignore[misc]
    drive(lambda: ask(app, (HEADER, "1"), (HEADER, "2")))

    assert [
        ("deadline.ignored", {"header": HEADER, "value": "soon", "form": "seconds"}),
        ("deadline.ignored", {"header": HEADER, "value": "x" * 40, "form": "seconds"}),
        ("deadline.cut", {"header": HEADER, "asked": 61.0, "most": 60.0}),
        ("deadline.ignored", {"header": HEADER, "value": "1, 2", "form": "seconds"}),
    ] == events


def test_it_is_logged_unless_somebody_else_is_told(
    drive: Drive, caplog: pytest.LogCaptureFixture
) -> None:
    """
    One line, whatever the caller wrote.
    """
    drive(lambda: ask(DeadlineMiddleware(looking([])), (HEADER, "soon\tor later")))

    (record,) = caplog.records
    assert ("scallion.incoming", "WARNING") == (record.name, record.levelname)
    assert (
        "deadline.ignored header='X-Request-Timeout' value='soon\\tor later' form='seconds'"
        == record.getMessage()
    )


def test_calls_of_tasks_and_threads_are_bounded(drive: Drive) -> None:
    """
    They have a copy of the context.
    """
    found: list[tuple[str, float | None]] = []

    async def look() -> None:
        found.append(("task", live_deadline()))

    async def work() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look)
        await anyio.to_thread.run_sync(lambda: found.append(("thread", live_deadline())))

    drive(lambda: ask(DeadlineMiddleware(answering(work), clock=clock), (HEADER, "2.5")))

    assert [("task", 1002.5), ("thread", 1002.5)] == found


def test_requests_at_once_have_deadlines_of_their_own(drive: Drive) -> None:
    """
    None sees another's.
    """
    found: dict[str, float | None] = {}

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await anyio.sleep(0)
        found[scope["path"]] = live_deadline()
        await send(start())
        await send(body())

    async def main() -> None:
        transport = scallion.ASGITransport(DeadlineMiddleware(app, clock=clock))
        async with (
            scallion.AsyncClient(transport=transport) as client,
            anyio.create_task_group() as tasks,
        ):

            async def one(seconds: int) -> None:
                await client.get(f"{URL}{seconds}", headers={HEADER: str(seconds)})

            for seconds in range(1, 6):
                tasks.start_soon(one, seconds)

    drive(main)

    assert {f"/{seconds}": 1000.0 + seconds for seconds in range(1, 6)} == found


@pytest.mark.parametrize("trailers", [False, True])
def test_what_comes_after_the_answer_is_not_bounded(drive: Drive, trailers: bool) -> None:
    """
    Background work goes on when nobody waits any more; between the pieces, somebody does.
    """
    found: list[float | None] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({**start(), "trailers": trailers})
        await send(body(b"one", more=True))
        found.append(live_deadline())
        await send(body(b"two"))
        found.append(live_deadline())

    async def main() -> None:
        messages: list[Any] = []

        async def send(message: Any) -> None:
            messages.append(message)

        scope = {"type": "http", "headers": [(b"x-request-timeout", b"2.5")]}
        await DeadlineMiddleware(app, clock=clock)(scope, None, send)  # type: ignore[arg-type]
        assert 3 == len(messages)

    drive(main)

    assert [1002.5, 1002.5 if trailers else None] == found


def test_a_task_that_outlives_a_failed_request_is_not_bounded(drive: Drive) -> None:
    """
    The application raised, and its caller has an answer from somebody else.
    """
    kept: list[Any] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        kept.append(current_deadline.get())
        raise RuntimeError("no answer")

    with pytest.raises(RuntimeError, match="no answer"):
        drive(lambda: ask(DeadlineMiddleware(app), (HEADER, "2.5")))

    assert kept[0].is_over
    assert current_deadline.get() is None


def test_other_scopes_pass(drive: Drive) -> None:
    """
    A websocket may last as long as it likes, and an app's lifespan has no headers.
    """
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, receive, send, current_deadline.get()))

    async def main() -> None:
        for scope in (
            {"type": "lifespan"},
            {"type": "websocket", "headers": [(b"x-request-timeout", b"2")]},
        ):
            await DeadlineMiddleware(app)(scope, 1, 2)  # type: ignore[arg-type]

    drive(main)

    assert [(1, 2, None)] * 2 == [entry[1:] for entry in seen]


def test_an_app_in_this_process_is_bound_by_its_callers_callers_too(drive: Drive) -> None:
    """
    It is called in their context; the earlier deadline counts.
    """
    found: list[float | None] = []
    app = DeadlineMiddleware(looking(found), clock=clock)

    async def main() -> None:
        transport = scallion.ASGITransport(app)
        async with scallion.AsyncClient(
            transport=transport, pipeline=scallion.Pipeline()
        ) as client:
            with within(2.0, clock):
                await client.get(URL, headers={HEADER: "5"})
                await client.get(URL, headers={HEADER: "1"})
                await client.get(URL)

    drive(main)

    assert [1002.0, 1001.0, 1002.0] == found


# The request id


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a1-b2", "a1-b2"), ("x" * 200, "x" * 200), ("x" * 201, None), ("two words", None)],
)
def test_the_requests_id_is_known_while_it_is_served(
    drive: Drive, value: str, expected: str | None
) -> None:
    """
    One that could not be logged and passed on as it is, is ignored and told.
    """
    found: list[str | None] = []
    events, observe = observer()
    app = DeadlineMiddleware(looking(found, current_request_id), observer=observe)

    drive(lambda: ask(app, ("X-Request-Id", value)))

    assert [expected] == found
    assert current_request_id.get() is None
    told = {"header": "X-Request-Id", "value": value[:40]}
    assert ([] if expected else [("request_id.ignored", told)]) == events


def test_the_id_may_be_elsewhere_or_nowhere(drive: Drive) -> None:
    found: list[str | None] = []
    inner = looking(found, current_request_id)

    for name in ("X-Correlation-Id", None):
        app = DeadlineMiddleware(inner, request_id=name)
        drive(lambda app=app: ask(app, ("X-Correlation-Id", "7"), ("X-Request-Id", "8")))  # type: ignore[misc]

    assert ["7", None] == found


# The whole way


def test_a_deadline_travels_through_services(drive: Drive) -> None:
    """
    Each asks the next one; what is left shrinks, and who comes too late sends nothing.
    """
    last: list[str | None] = []

    async def bottom(scope: Any, receive: Receive, send: Send) -> None:
        last.append(dict(scope["headers"]).get(b"x-request-timeout", b"").decode())
        await send(start())
        await send(body(b"deep"))

    def service(further: Any) -> Any:
        client = scallion.AsyncClient(
            transport=scallion.ASGITransport(further),
            pipeline=scallion.compatible().per_attempt(DeadlinePropagation()),
        )

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            async with client:
                response = await client.get(URL)
            await send(start(response.status_code))
            await send(body(response.content))

        return DeadlineMiddleware(app)

    response = drive(lambda: ask(service(service(bottom)), (HEADER, "30")))
    assert b"deep" == response.content
    assert 25 < float(last[0] or 0) < 30

    with pytest.raises(scallion.TotalTimeout, match="The incoming request's deadline had passed"):
        drive(lambda: ask(service(service(bottom)), (HEADER, "0")))
    assert 1 == len(last)


def test_a_blocking_client_in_the_apps_thread_is_bounded(drive: Drive) -> None:
    """
    Frameworks run plain functions in threads, with the request's context.
    """
    sent: list[float | None] = []

    def asked(request: scallion.Request) -> scallion.Response:
        sent.append(request.deadline)
        return scallion.Response(200)

    def plain() -> None:
        assert threading.current_thread() is not threading.main_thread()
        with scallion.Client(transport=scallion.MockTransport(asked)) as client:
            client.get(URL)

    async def work() -> None:
        await anyio.to_thread.run_sync(plain)

    drive(lambda: ask(DeadlineMiddleware(answering(work), clock=lambda: 1e9), (HEADER, "2.5")))

    assert [1e9 + 2.5] == sent


# Construction


@pytest.mark.parametrize(
    ("error", "settings", "message"),
    [
        (ValueError, {"header": "X Timeout"}, "DeadlineMiddleware header must be a header's name"),
        (ValueError, {"form": "hours"}, "DeadlineMiddleware form must be one of"),
        (ValueError, {"most": 0}, "DeadlineMiddleware most must be more than 0"),
        (TypeError, {"most": "5"}, "DeadlineMiddleware most must be a number"),
        (ValueError, {"request_id": ""}, "DeadlineMiddleware request_id must be a header's name"),
        (TypeError, {"app": None}, "DeadlineMiddleware wraps an application"),
    ],
)
def test_arguments_are_validated(
    error: type[Exception], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(error, match=message):
        DeadlineMiddleware(**{"app": looking([]), **settings})


def test_it_shows_its_settings() -> None:
    assert (
        "DeadlineMiddleware(app, header='X-Request-Timeout', form='seconds', most=300.0, request_id='X-Request-Id')"
        == repr(DeadlineMiddleware(looking([])))
    )


def test_both_variables_are_there_to_be_read() -> None:
    """
    The id's is that of the layer which sends it on.
    """
    assert current_request_id is incoming.current_request_id
    assert set(incoming.__all__) <= {*vars(incoming), "current_request_id"}
    with pytest.raises(AttributeError, match=r"scallion\.incoming.* 'current_id'"):
        incoming.current_id  # noqa: B018
