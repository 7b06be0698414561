"""Idempotency keys: one for each call."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from scallion.middlewares.idempotency_keys import (
    IdempotencyKeys,
    IdempotencyKeysOption,
    has_idempotency_key,
)
from scallion.middlewares.redirects import Redirects
from scallion.middlewares.retries import FullJitter, Retries
from scallion.pipeline.errors import ReadError
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.testing import check_middleware
from support.colours import Drive
from support.worlds import World, play

URL = "http://example.org/orders"
NAME = "Idempotency-Key"
RETRIES = Retries(wait=FullJitter(0.0, 0.0))


def counting(**settings: Any) -> IdempotencyKeys:
    """Keys that are "key-1", "key-2" and so on."""
    numbers = itertools.count(1)
    return IdempotencyKeys(make=lambda: f"key-{next(numbers)}", **settings)


def seen_by(world: World, name: str = NAME) -> list[str | None]:
    """The keys that will reach `world`."""
    keys: list[str | None] = []
    transport = world.transport

    async def watching(request: Request) -> Response:
        keys.append(request.headers.get(name))
        return await transport(request)

    world.transport = watching  # type: ignore[method-assign]
    return keys


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_call_has_one_key_over_its_attempts(drive: Drive, method: str) -> None:
    """
    And so it has attempts: without a key it would be sent once.
    """
    request = Request(method, URL, content=b"one apple")
    world = World([Response(503), ReadError("cut off"), Response(201)])
    keys = seen_by(world)

    assert 201 == play([counting(), RETRIES], request, world, drive).status_code
    assert ["key-1"] * 3 == keys
    assert "key-1" == request.headers[NAME]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_methods_that_are_idempotent_need_none(drive: Drive, method: str) -> None:
    request = Request(method, URL)
    extensions = request.extensions

    play([counting()], request, World([Response(200)]), drive)

    assert NAME not in request.headers
    assert extensions is request.extensions


def test_methods_are_a_setting(drive: Drive) -> None:
    request = Request("PURGE", URL)

    play([counting(methods=["purge"])], request, World([Response(200)]), drive)

    assert "key-1" == request.headers[NAME]


def test_the_callers_own_key_stands(drive: Drive) -> None:
    """
    It says which call this is, over all processes and days; it is repeated as such.
    """
    layers = [counting(), RETRIES]
    request = Request("POST", URL, headers={NAME: "mine"})
    world = World([Response(503), Response(201), Response(201)])
    keys = seen_by(world)

    play(layers, request, world, drive)
    play(layers, request, world, drive)

    assert ["mine"] * 3 == keys


def test_the_same_request_sent_again_is_the_same_call(drive: Drive) -> None:
    """
    Be it by the program after an error, or by another layer.
    """
    layers = [counting(), RETRIES]
    request = Request("POST", URL)
    world = World([Response(503), ReadError("cut off"), Response(503), Response(201)])
    keys = seen_by(world)

    with pytest.raises(ReadError):
        play([counting(), Retries(2, wait=FullJitter(0.0, 0.0))], request, world, drive)
    play(layers, request, world, drive)

    assert ["key-1"] * 4 == keys


def test_another_call_has_another_key(drive: Drive) -> None:
    """
    Its request is another one, however much alike.
    """
    layers = [counting(), RETRIES]
    world = World([Response(201), Response(503), Response(201)])
    keys = seen_by(world)

    for _ in range(2):
        play(layers, Request("POST", URL, content=b"one apple"), world, drive)

    assert ["key-1", "key-2", "key-2"] == keys


def test_a_key_that_the_caller_changes_is_his_own(drive: Drive) -> None:
    request = Request("POST", URL)
    layer = counting()
    play([layer], request, World([Response(201)]), drive)
    request.headers[NAME] = "mine"

    play([layer], request, World([Response(201)]), drive)

    assert "mine" == request.headers[NAME]


@pytest.mark.parametrize("outside", [True, False])
def test_it_is_kept_over_redirects_within_the_origin(drive: Drive, outside: bool) -> None:
    """
    Wherever the layer lies: 307 and 308 repeat the request.
    """
    layers: list[Any] = [Redirects(follow=True), RETRIES]
    layers.insert(0 if outside else 1, counting())
    moved = Response(307, headers={"Location": "/elsewhere"})
    world = World([moved, Response(503), Response(201)])
    keys = seen_by(world)

    play(layers, Request("POST", URL, content=b"x"), world, drive)

    assert ["key-1"] * 3 == keys


def test_another_origin_gets_a_key_of_its_own(drive: Drive) -> None:
    """
    It has never heard of the first one's; nor has a GET that a redirect made, for which it needs none.
    """
    layers = [Redirects(follow=True), counting(), RETRIES]
    there = {"Location": "http://other.example.org/"}
    world = World([Response(307, headers=there), Response(503), Response(201)])
    keys = seen_by(world)
    play(layers, Request("POST", URL, content=b"x"), world, drive)
    assert ["key-1", "key-2", "key-2"] == keys

    world = World([Response(303, headers=there), Response(200)])
    keys = seen_by(world)
    play(layers, Request("POST", URL, content=b"x"), world, drive)
    assert ["key-3", None] == keys


def test_inside_retries_it_does_no_harm(drive: Drive) -> None:
    """
    There the first attempt's key is kept as well.
    """
    world = World([Response(503), Response(503), Response(201)])
    keys = seen_by(world)

    play([RETRIES, counting()], Request("POST", URL), world, drive)

    assert ["key-1"] * 3 == keys


@pytest.mark.parametrize("own", [None, "mine"])
def test_a_header_of_another_name_allows_retries_too(drive: Drive, own: str | None) -> None:
    """
    Whoever put the key there.
    """
    headers = {} if own is None else {"Request-Token": own}
    request = Request("POST", URL, headers=headers)
    world = World([Response(503), Response(201)])
    keys = seen_by(world, "Request-Token")

    play([counting(header="Request-Token"), RETRIES], request, world, drive)

    assert [own or "key-1"] * 2 == keys
    assert not has_idempotency_key(request)
    assert {} == request.extensions


def test_one_request_may_have_none_or_one_of_its_own(drive: Drive) -> None:
    """
    By its option, which wins over the methods.
    """
    none = Request("POST", URL, extensions=IdempotencyKeys.option_for(enabled=False))
    play([counting()], none, World([Response(201)]), drive)
    assert NAME not in none.headers

    own = Request("DELETE", URL, extensions=IdempotencyKeys.option_for(key="mine"))
    play([counting()], own, World([Response(201)]), drive)
    assert "mine" == own.headers[NAME]


def test_observers_hear_of_it_and_not_of_the_key(drive: Drive) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    request = Request("POST", URL)
    request.observers = (lambda event, fields: events.append((event, fields)),)

    play([counting()], request, World([Response(201)]), drive)

    assert [("idempotency_key.made", {})] == events


def test_shared_extensions_are_not_written_to(drive: Drive) -> None:
    shared = {"mine": 1}
    request = Request("POST", URL)
    request.extensions = shared

    play([counting()], request, World([Response(201)]), drive)

    assert {"mine": 1} == shared


def test_a_key_may_be_carried_over_to_another_request(drive: Drive) -> None:
    """
    By the program, after an error: it is the same call to the server then.
    """
    layers = [counting()]
    first = Request("POST", URL)
    with pytest.raises(ReadError):
        play(layers, first, World([ReadError("cut off")]), drive)
    again = Request("POST", URL, headers={NAME: first.headers[NAME]})

    play(layers, again, World([Response(201)]), drive)

    assert "key-1" == again.headers[NAME]


def test_the_layer_keeps_the_rules() -> None:
    """
    Those of the conformance suite, whatever the header is called.
    """
    check_middleware(IdempotencyKeys)
    check_middleware(lambda: IdempotencyKeys(header="Request-Token"))


def test_nothing_waits() -> None:
    """
    The layer has no coroutine of its own.
    """
    nothing: Any = object()

    assert nothing is IdempotencyKeys()(Request("POST", URL), lambda request: nothing)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"header": "Idempotency Key"}, ValueError, "header must be a header's name"),
        ({"header": None}, ValueError, "header must be a header's name"),
        ({"methods": "POST"}, TypeError, "methods must be a collection"),
        ({"methods": [1]}, TypeError, "methods must be a collection"),
        ({"make": "key"}, TypeError, "make must be a function"),
    ],
)
def test_settings_are_validated(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    """
    The error says what was given and what was expected.
    """
    with pytest.raises(error, match=message):
        IdempotencyKeys(**settings)


@pytest.mark.parametrize(("key", "error"), [("", ValueError), ("ü", ValueError), (7, TypeError)])
def test_keys_are_validated(key: Any, error: type[Exception]) -> None:
    """
    Those that are made, when they are made.
    """
    with pytest.raises(error, match="idempotency key is"):
        IdempotencyKeys.option_for(key=key)
    with pytest.raises(error, match="idempotency key is"):
        IdempotencyKeys(make=lambda: key)(Request("POST", URL), None)  # type: ignore[arg-type]


def test_a_stray_option_is_refused() -> None:
    request = Request("POST", URL, extensions={"scallion.IdempotencyKeys": "mine"})

    with pytest.raises(TypeError, match=r"IdempotencyKeys\.option_for"):
        IdempotencyKeys()(request, None)  # type: ignore[arg-type]


def test_it_is_a_value_that_shows_its_settings() -> None:
    assert IdempotencyKeys() == IdempotencyKeys(methods=["post", "patch"])
    assert "IdempotencyKeys(header='Idempotency-Key', methods={'PATCH', 'POST'})" == repr(
        IdempotencyKeys()
    )
    assert "make=" in repr(IdempotencyKeys(make=lambda: "1"))
    assert {"scallion.IdempotencyKeys": IdempotencyKeysOption("k", True)} == (
        IdempotencyKeys.option_for(key="k")
    )
