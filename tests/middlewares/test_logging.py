"""Logging: one event a call, where it goes, and that nothing secret is in it."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger, LogCapture

from scallion.middlewares.logging import Logging
from scallion.middlewares.redirects import Redirects
from scallion.middlewares.retries import FullJitter, Retries
from scallion.pipeline.errors import ConnectError
from scallion.pipeline.onion import Next
from scallion.pipeline.redaction import SECRET_NAMES
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from support.colours import Drive
from support.worlds import After, World, play

URL = "http://example.org/users/7?page=2"


def get(url: str = URL, **settings: Any) -> Request:
    return Request("GET", url, **settings)


@pytest.fixture
def events() -> Iterator[list[Any]]:
    """What a program that has configured structlog receives."""
    capture = LogCapture()
    structlog.configure(processors=[capture])
    yield capture.entries
    structlog.reset_defaults()


# What an event says


def test_a_call_is_one_event(drive: Drive, events: list[Any]) -> None:
    """
    It tells what was asked, what came of it, and how long that took.
    """
    answer = Response(204)

    assert answer is play([Logging()], get(), World([After(0.25, answer)]), drive)

    assert [
        {
            "event": "http.call",
            "log_level": "info",
            "method": "GET",
            "url": URL,
            "status": 204,
            "duration": 0.25,
            "attempts": 1,
            "redirects": 0,
        }
    ] == events


@pytest.mark.parametrize(
    ("status", "level"),
    [(200, "info"), (404, "info"), (499, "info"), (500, "warning"), (503, "warning")],
)
def test_a_server_that_failed_is_a_warning(
    drive: Drive, events: list[Any], status: int, level: str
) -> None:
    """
    A client's mistake is not: it is for the program to judge.
    """
    play([Logging()], get(), World([Response(status)]), drive)

    assert [(level, status)] == [(event["log_level"], event["status"]) for event in events]


def test_an_error_is_a_warning(drive: Drive, events: list[Any]) -> None:
    """
    It is told by its class, and passes on.
    """
    with pytest.raises(ConnectError):
        play([Logging()], get(), World([After(0.5, ConnectError("refused"))]), drive)

    (event,) = events
    assert ("warning", "ConnectError", 0.5) == (
        event["log_level"],
        event["error"],
        event["duration"],
    )
    assert "status" not in event


def test_a_cancellation_is_no_warning(events: list[Any]) -> None:
    """
    It is the caller's doing.
    """

    async def cancelled(request: Request, call_next: Next) -> Response:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play([Logging(), cancelled], get(), World([]), Drive("sync"))

    assert [("info", "KeyboardInterrupt")] == [(e["log_level"], e["error"]) for e in events]


def test_attempts_and_redirects_are_counted(drive: Drive, events: list[Any]) -> None:
    """
    Attempts over all hops; the time includes their waits.
    """
    redirect = Response(302, headers={"Location": "/a"})
    world = World([Response(503), redirect, Response(503), Response(200)])
    layers = [
        Logging(),
        Redirects(follow=True),
        Retries(wait=FullJitter(0.2, 0.2, random=lambda: 0.5)),
    ]
    request = get()

    play(layers, request, world, drive)

    event = events[-1]
    assert (3, 1, 0.2) == (event["attempts"], event["redirects"], event["duration"])
    assert URL == event["url"]
    assert () == request.observers


def test_decisions_alone_can_be_left_out(drive: Drive, events: list[Any]) -> None:
    """
    Then there is one event for a call, which counts its attempts all the same.
    """
    layers = [Logging(decisions=False), Retries()]

    play(layers, get(), World([Response(503), Response(200)]), drive)

    assert [("http.call", 2)] == [(event["event"], event["attempts"]) for event in events]


def test_secrets_do_not_show(drive: Drive, events: list[Any]) -> None:
    """
    Neither userinfo nor signatures nor headers.
    """
    request = get(
        "http://u:hunter2@h/?sig=hunter2&page=2", headers={"Authorization": "Bearer hunter2"}
    )

    play([Logging()], request, World([Response(200, headers={"Set-Cookie": "hunter2"})]), drive)

    assert "http://REDACTED:REDACTED@h/?sig=REDACTED&page=2" == events[0]["url"]
    assert "hunter2" not in str(events)


def test_a_program_has_secrets_of_its_own(drive: Drive, events: list[Any]) -> None:
    """
    Names are added to the list.
    """
    layer = Logging(secrets=SECRET_NAMES | {"Shop-Id"})

    play([layer], get("http://h/?shop_id=1&sig=2"), World([Response(200)]), drive)

    assert "http://h/?shop_id=REDACTED&sig=REDACTED" == events[0]["url"]


def test_headers_are_logged_by_name(drive: Drive, events: list[Any]) -> None:
    """
    Those that are present, of both messages; none but them.
    """
    request = get(headers={"X-Request-Id": "7", "X-Other": "8"})
    world = World([Response(200, headers={"X-Served-By": "a"}), Response(200)])
    layer = Logging(headers=["X-Request-ID", "X-Served-By"])

    play([layer], request, world, drive)
    play([layer], get(), world, drive)

    assert {"x-request-id": "7"} == events[0]["request_headers"]
    assert {"x-served-by": "a"} == events[0]["response_headers"]
    assert not {"request_headers", "response_headers"} & set(events[1])


# Where it goes


def test_without_configuration_it_goes_to_the_standard_library(
    drive: Drive, caplog: pytest.LogCaptureFixture
) -> None:
    """
    As text, to the logger "scallion", at the same levels.
    """
    with caplog.at_level(logging.INFO, logger="scallion"):
        play([Logging()], get(), World([After(0.25, Response(200))]), drive)
        play([Logging()], get("http://h/100%25"), World([Response(503)]), drive)

    call = "event='http.call' method='GET' url="
    rest = "attempts=1 redirects=0"
    assert [
        ("scallion", logging.INFO, f"{call}'{URL}' status=200 duration=0.25 {rest}"),
        ("scallion", logging.WARNING, f"{call}'http://h/100%25' status=503 duration=0.0 {rest}"),
    ] == caplog.record_tuples


def test_a_level_is_asked_before_anything_is_made(
    drive: Drive, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Warnings alone leave successes out.
    """
    with caplog.at_level(logging.WARNING, logger="scallion"):
        play([Logging()], get(), World([Response(200)]), drive)
        play([Logging()], get(), World([Response(503)]), drive)

    assert [logging.WARNING] == [record.levelno for record in caplog.records]


def test_where_nobody_listens_there_is_no_layer(caplog: pytest.LogCaptureFixture) -> None:
    """
    It hands the request on without a coroutine of its own.
    """
    nothing: Any = object()

    with caplog.at_level(logging.ERROR, logger="scallion"):
        assert nothing is Logging()(get(), lambda request: nothing)  # type: ignore[arg-type]


def test_a_logger_without_handlers_is_not_listened_to(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A program that configured no logging pays for none, until it gives the logger, or the root, a handler.
    """
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", records.append)
    monkeypatch.setattr(logging.root, "handlers", [])
    logger, nothing = logging.getLogger("scallion"), object()
    layer: Any = Logging()

    assert nothing is layer(get(), lambda request: nothing)

    for listening in (logger, logging.root):
        listening.addHandler(handler)
        play([layer], get(), World([Response(503)]), drive)
        listening.removeHandler(handler)
    monkeypatch.setattr(logger, "propagate", False)
    logging.root.addHandler(handler)

    assert nothing is layer(get(), lambda request: nothing)
    assert 2 == len(records)


def test_structlogs_level_counts(drive: Drive) -> None:
    """
    So does a later change of it.
    """
    capture = LogCapture()
    layer = Logging()
    try:
        for level in (logging.ERROR, logging.WARNING, logging.INFO):
            structlog.configure(
                processors=[capture], wrapper_class=structlog.make_filtering_bound_logger(level)
            )
            play([layer], get(), World([Response(200)]), drive)
            play([layer], get(), World([Response(503)]), drive)
    finally:
        structlog.reset_defaults()

    assert [503, 200, 503] == [event["status"] for event in capture.entries]


def test_structlog_over_the_standard_library_counts(
    drive: Drive, caplog: pytest.LogCaptureFixture
) -> None:
    """
    There the logger stands below "scallion" and its level decides.
    """
    structlog.configure(
        processors=[structlog.processors.KeyValueRenderer()],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    try:
        with caplog.at_level(logging.WARNING, logger="scallion"):
            play([Logging()], get(), World([Response(200)]), drive)
            play([Logging()], get(), World([Response(503)]), drive)
    finally:
        structlog.reset_defaults()

    (record,) = caplog.records
    assert ("scallion.middlewares.logging", logging.WARNING) == (record.name, record.levelno)


def test_a_logger_of_ones_own(drive: Drive, events: list[Any]) -> None:
    """
    It is used in any case, and its context comes along.
    """
    logger = CapturingLogger()
    bound = structlog.wrap_logger(logger, processors=[], wrapper_class=structlog.BoundLogger).bind(
        service="billing"
    )

    play([Logging(logger=bound)], get(), World([Response(503)]), drive)

    (call,) = logger.calls
    assert "warning" == call.method_name
    assert ("http.call", "billing", 503) == tuple(
        call.kwargs[name] for name in ("event", "service", "status")
    )
    assert [] == events


def test_an_unconfigured_program_prints_nothing() -> None:
    """
    Neither successes nor warnings show; structlog is not even imported for a success.
    """
    program = """
import sys
from scallion.middlewares.logging import Logging
from scallion.pipeline.onion import compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import BlockingRuntime, run

for status in (200, 503):
    async def transport(request):
        return Response(status)

    assert run(compose([Logging()], transport, BlockingRuntime())(Request("GET", "http://h/")))
    if status == 200:
        assert "structlog" not in sys.modules
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ("", "") == (ran.stdout, ran.stderr)


# Construction


def test_structlog_that_another_thread_is_importing_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    It is among the modules before it has its functions; the call is logged, and answered.
    """
    monkeypatch.setitem(sys.modules, "structlog", ModuleType("structlog"))
    answer = Response(200)
    assert answer is play([Logging()], get(), World([answer]), Drive("sync"))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"headers": ["X-Id", "Authorization", "Cookie"]}, ValueError, "authorization, cookie"),
        ({"headers": ["proxy-authorization"]}, ValueError, "never shows"),
        ({"headers": ["SET-COOKIE"]}, ValueError, "never shows"),
        ({"headers": "X-Id"}, TypeError, "collection of names"),
        ({"secrets": "token"}, TypeError, "collection of parameter names"),
    ],
)
def test_settings_are_validated(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    """
    No setting shows credentials.
    """
    with pytest.raises(error, match=message):
        Logging(**settings)


def test_repr_shows_what_is_not_the_default() -> None:
    """
    It reads as the call that made the layer.
    """
    assert "Logging()" == repr(Logging())
    assert "Logging(headers={'x-id'}, secrets={'shopid'}, logger=CapturingLogger())" == repr(
        Logging(headers=["X-Id"], secrets=["Shop-Id"], logger=CapturingLogger())
    )
    assert Logging() == Logging()
