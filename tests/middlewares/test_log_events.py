"""What is logged of the layers' decisions: which of them, at which level, and for which call."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from scallion.middlewares.bulkhead import Bulkhead
from scallion.middlewares.circuit_breaker import CircuitBreaker
from scallion.middlewares.log_events import DEBUG, INFO, LEVELS, WARNING, Decisions
from scallion.middlewares.logging import Logging
from scallion.middlewares.metric_events import EVENTS
from scallion.middlewares.request_id import RequestId
from scallion.middlewares.retries import FullJitter, Retries
from scallion.pipeline.redaction import SECRET_NAMES
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.urls import URL
from support.colours import Drive
from support.worlds import World, play

ADDRESS = "http://example.org/users/7"
ROOM = Path(__file__).parents[2] / "middlewares"


class Logger:
    """A logger of structlog's kind, from a level on."""

    def __init__(self, level: int = DEBUG) -> None:
        self.level = level
        self.written: list[tuple[str, str, dict[str, Any]]] = []

    def is_enabled_for(self, level: int) -> bool:
        return level >= self.level

    def debug(self, event: str, **fields: Any) -> None:
        self.written.append(("debug", event, fields))

    def info(self, event: str, **fields: Any) -> None:
        self.written.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.written.append(("warning", event, fields))

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(level, event) for level, event, _ in self.written]


def test_a_decision_is_an_event_of_its_own(drive: Drive) -> None:
    """
    Under its name, with its fields and those of the call.
    """
    logger = Logger()
    wait = FullJitter(0.2, 0.2, random=lambda: 0.5)
    layers = [Logging(logger=logger), RequestId(make=lambda: "r-1"), Retries(wait=wait)]

    request = Request("GET", ADDRESS)

    play(layers, request, World([Response(503), Response(200)]), drive)

    assert [
        ("debug", "request_id"),
        ("info", "retry"),
        ("info", "http.call"),
    ] == logger.told
    call = {"method": "GET", "url": ADDRESS, "request_id": "r-1"}
    assert {"attempt": 2, "wait": 0.1, "reason": "503", **call} == logger.written[1][2]
    assert call == {name: logger.written[2][2][name] for name in call}


def test_the_other_side_s_state_is_a_warning(drive: Drive) -> None:
    """
    A circuit that opens concerns all calls; one that refuses, a single one.
    """
    logger = Logger(INFO)
    breaker = CircuitBreaker(minimum=1)
    layers = [Logging(logger=logger), Bulkhead(), breaker]
    world = World([Response(503)])

    play(layers, Request("GET", ADDRESS), world, drive)
    try:
        play(layers, Request("GET", ADDRESS), world, drive)
    except Exception as error:  # the log shows what it was
        name = type(error).__name__

    assert [
        ("warning", "breaker.opened"),
        ("warning", "http.call"),
        ("info", "breaker.refused"),
        ("warning", "http.call"),
    ] == logger.told
    assert "CircuitOpen" == name == logger.written[-1][2]["error"]


def test_a_level_that_nobody_wants_is_not_written(drive: Drive) -> None:
    """
    From warning on, a retry that helped is not worth a line.
    """
    logger = Logger(WARNING)

    play(
        [Logging(logger=logger), Retries()],
        Request("GET", ADDRESS),
        World([Response(503), Response(200)]),
        drive,
    )

    assert [] == logger.told


def test_no_secret_of_a_decision_shows() -> None:
    """
    The call's address and the decision's fields are redacted as everywhere.
    """
    logger = Logger()
    request = Request("GET", "http://ada:pw@example.org/?token=t0p&page=2")
    told = Decisions(request, SECRET_NAMES, Logging(logger=logger) and _Sink(logger))

    told("redirect", {"status": 302, "location": "http://example.org/a?token=t1p"})
    told("retry", {"reason": URL("http://b:pw@example.org/")})

    assert "t0p" not in repr(logger.written)
    assert "t1p" not in repr(logger.written)
    assert "pw" not in repr(logger.written)
    assert (2, 1) == (told.attempts, told.redirects)


class _Sink:
    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self.listens = logger.is_enabled_for

    def write(self, level: int, event: str, fields: dict[str, Any]) -> None:
        self._logger.written.append((str(level), event, fields))


def test_the_call_is_named_as_it_was_made() -> None:
    """
    While an endpoint is tried the request bears the endpoint's address; the log does not.
    """
    logger = Logger()
    request = Request("GET", "http://orders/7")
    told = Decisions(request, SECRET_NAMES, _Sink(logger))

    request.url = URL("http://127.0.0.1:8080/7")
    told("breaker.refused", {"origin": "http://127.0.0.1:8080"})

    ((level, _, fields),) = logger.written
    assert str(INFO) == level
    assert "http://orders/7" == fields["url"]


def test_the_transport_s_steps_are_not_written_twice() -> None:
    """
    They have loggers of their own.
    """
    logger = Logger()
    told = Decisions(Request("GET", ADDRESS), SECRET_NAMES, _Sink(logger))

    told("connection.opened", {"origin": "http://example.org:80"})
    told("cache.hit", {"key": "7"})

    assert ["cache.hit"] == [event for _, event, _ in logger.written]


def test_each_level_is_one_of_an_event_that_there_is() -> None:
    """
    A name that no layer tells any more would be a mistake in the table.
    """
    text = "\n".join(path.read_text("utf-8") for path in ROOM.rglob("*.py"))
    told = set(re.findall(r"note\(\s*\"([\w.]+)\"", text)) | set(EVENTS)

    assert set() == set(LEVELS) - told
