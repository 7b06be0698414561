"""RequestId: whose id is sent, and that it stays the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scallion.middlewares.redirects import Redirects
from scallion.middlewares.request_id import RequestId, current_request_id
from scallion.middlewares.retries import FullJitter, Retries
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import BlockingRuntime
from support.colours import Drive
from support.worlds import World, play

URL = "http://example.org/"


def get(headers: Any = None, **extensions: Any) -> Request:
    return Request("GET", URL, headers=headers, extensions=extensions)


def numbered() -> str:
    return "made-here"


def sent_by(layer: RequestId, request: Request, drive: Drive) -> str | None:
    world = World([Response(200)])
    play([layer], request, world, drive)
    return world.asked[0].headers.get(layer.header)


@pytest.fixture
def serving() -> Iterator[Callable[[str], None]]:
    """Sets the id of the request being served."""
    tokens: list[Any] = []
    yield lambda given: tokens.append(current_request_id.set(given))
    for token in reversed(tokens):
        current_request_id.reset(token)


def test_a_request_without_an_id_gets_one(drive: Drive) -> None:
    """
    A random one; another for each call.
    """
    first, second = (sent_by(RequestId(), get(), drive) for _ in range(2))

    assert first is not None
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second


def test_the_callers_own_stays(drive: Drive, serving: Callable[[str], None]) -> None:
    """
    What stands in the header goes out as it is, whatever else there would be.
    """
    serving("incoming")
    request = get({"x-request-id": "the caller's"}, **RequestId.option_for("other"))

    assert "the caller's" == sent_by(RequestId(make=numbered), request, drive)


def test_the_incoming_requests_is_passed_on(drive: Drive, serving: Callable[[str], None]) -> None:
    """
    So that one name runs through all services; an option may say otherwise.
    """
    serving("incoming")

    assert "incoming" == sent_by(RequestId(), get(), drive)
    assert "mine" == sent_by(RequestId(), get(**RequestId.option_for("mine")), drive)


@pytest.mark.parametrize("incoming", ["", "a b", "a\r\nX-Admin: 1", "é", "x" * 201])
def test_what_comes_from_outside_is_not_trusted(
    drive: Drive, serving: Callable[[str], None], incoming: str
) -> None:
    """
    An id that would not be one is replaced.
    """
    serving(incoming)

    assert "made-here" == sent_by(RequestId(make=numbered), get(), drive)


def test_all_attempts_and_hops_bear_the_same(drive: Drive) -> None:
    """
    Retries and redirects send the id again.
    """
    moved = Response(307, headers={"Location": "/elsewhere"})
    world = World([Response(503), moved, Response(503), Response(200)])
    layers = [RequestId(), Redirects(follow=True), Retries(wait=FullJitter(0, 0))]

    response = play(layers, get(), world, drive)

    ids = {request.headers.get("x-request-id") for request in world.asked}
    assert 4 == len(world.asked)
    assert {response.request.headers["X-Request-Id"]} == ids


def test_the_header_may_have_another_name(drive: Drive) -> None:
    assert "made-here" == sent_by(RequestId("X-Correlation-ID", numbered), get(), drive)


def test_one_request_may_go_without(drive: Drive) -> None:
    assert None is sent_by(RequestId(), get(**RequestId.option_for(enabled=False)), drive)


def test_observers_hear_of_it(drive: Drive, serving: Callable[[str], None]) -> None:
    """
    The id, and where it comes from.
    """
    events: list[Any] = []

    def observed(**extensions: Any) -> Request:
        request = get(**extensions)
        request.observers = (lambda event, fields: events.append((event, fields)),)
        return request

    layer = RequestId(make=numbered)
    sent_by(layer, observed(), drive)
    serving("incoming")
    sent_by(layer, observed(), drive)
    sent_by(layer, observed(**RequestId.option_for("mine")), drive)

    assert [
        ("request_id", {"id": "made-here", "source": "made"}),
        ("request_id", {"id": "incoming", "source": "incoming"}),
        ("request_id", {"id": "mine", "source": "option"}),
    ] == events


def test_it_costs_no_coroutine_of_its_own() -> None:
    """
    Whatever it does, what lies further in is returned as it is.
    """
    answer: Any = object()

    def send(request: Request) -> Any:
        return answer

    bound = RequestId().bind(send, Next(send, BlockingRuntime()))
    for request in (get(), get({"X-Request-Id": "1"}), get(**RequestId.option_for(enabled=False))):
        assert answer is bound(request)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: RequestId("X Request"), ValueError, "a header's name: 'X Request'"),
        (lambda: RequestId(3), TypeError, "a header's name: 3"),  # type: ignore[arg-type]
        (lambda: RequestId(make="x"), TypeError, "callable: 'x'"),  # type: ignore[arg-type]
        (lambda: RequestId.option_for("a b"), ValueError, "visible ASCII characters: 'a b'"),
    ],
)
def test_settings_are_validated(make: Callable[[], object], error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        make()


def test_a_maker_of_no_ids_is_named(drive: Drive) -> None:
    """
    Nothing is sent.
    """
    world = World()

    with pytest.raises(ValueError, match="RequestId make: expects an id"):
        play([RequestId(make=lambda: "a\nb")], get(), world, drive)

    assert [] == world.asked


def test_stray_options_are_refused(drive: Drive) -> None:
    with pytest.raises(TypeError, match=r"RequestId\.option_for"):
        play([RequestId()], get(**{"scallion.RequestId": "abc"}), World(), drive)


def test_repr_shows_the_settings() -> None:
    assert "RequestId(header='X-Request-Id')" == repr(RequestId())
    assert "RequestId(header='X-Id', make=numbered)" == repr(RequestId("X-Id", numbered))
