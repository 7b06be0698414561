"""`for_service`: one line for the whole stack."""

from __future__ import annotations

from typing import Any

import pytest

import scallion
from scallion import AsyncClient, Client, MockTransport, Request, Response
from scallion._service_settings import ServiceSettings
from support.colours import Drive

CLIENTS = pytest.mark.parametrize("kind", [Client, AsyncClient])


def test_a_call_goes_through_the_whole_stack(drive: Drive) -> None:
    """
    A failure is tried again; the server hears of the attempt, the time that is left, and the call's id.
    """
    asked: list[tuple[str, scallion.Headers]] = []

    def answer(request: Request) -> Response:
        asked.append((str(request.url), request.headers.copy()))
        return Response(503 if len(asked) < 2 else 200, headers={"Retry-After": "0"})

    options: dict[str, Any] = {"transport": MockTransport(answer), "retries": {"base": 0, "cap": 0}}

    async def scenario() -> Response:
        if drive.blocking:
            with Client.for_service("orders", **options) as client:
                return client.get("/items")
        async with AsyncClient.for_service("orders", **options) as client:
            return await client.get("/items")

    assert 200 == drive(scenario).status_code
    assert ["http://orders/items"] * 2 == [url for url, _ in asked]
    heard = [headers for _, headers in asked]
    assert [None, "2"] == [headers.get("X-Request-Attempt") for headers in heard]
    assert 1 == len({headers["X-Request-Id"] for headers in heard})
    assert all(0 < float(headers["X-Request-Timeout"]) <= 10 for headers in heard)


@CLIENTS
@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://orders"),
        ({"settings": {"base_url": "http://a.internal/v1"}}, "http://a.internal/v1/"),
        (
            {"settings": {"base_url": "http://a.internal/v1"}, "base_url": "https://b.internal"},
            "https://b.internal",
        ),
        ({"base_url": scallion.URL("https://b.internal")}, "https://b.internal"),
    ],
)
def test_the_service_has_an_address(kind: Any, given: dict[str, Any], url: str) -> None:
    """
    The argument, the settings, its name.
    """
    assert url == str(kind.for_service("orders", **given).base_url)


@CLIENTS
def test_settings_and_arguments_are_told_apart(kind: Any) -> None:
    """
    Sections go to the layers, the rest to the client.
    """
    client = kind.for_service(
        "orders",
        settings=ServiceSettings.from_mapping({"timeouts": {"connect": 1, "read": 4}}, "a.toml"),
        timeouts={"read": "7s"},
        headers={"X-Team": "cart"},
        trust_env=False,
    )

    assert scallion.Timeout(connect=1.0, read=7.0, write=10.0, pool=2.0) == client.timeout
    assert "cart" == client.headers["X-Team"]
    assert not client.trust_env
    assert not client.follow_redirects


@CLIENTS
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"timeout": 5}, TypeError, r"takes no timeout=: say timeouts="),
        ({"limits": None}, TypeError, r"takes no limits=: say connections="),
        ({"pipeline": None}, TypeError, r"takes no pipeline=: say which layers"),
        ({"follow_redirects": True}, TypeError, r"takes no follow_redirects=: say redirects=True"),
        ({"retrys": {}}, TypeError, r"unexpected keyword argument 'retrys'"),
        ({"retries": {"atempts": 1}}, ValueError, r"retries\.atempts is no setting"),
        ({"settings": {"retrys": {}}}, ValueError, r"settings: retrys is no setting"),
        ({"name": ""}, ValueError, r"needs the name of a service"),
    ],
)
def test_mistakes_are_refused(
    kind: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """
    With what to say instead.
    """
    with pytest.raises(error, match=message):
        kind.for_service(**{"name": "orders", **arguments})


def test_a_subclass_makes_its_own() -> None:
    """
    It is a constructor like any other.
    """

    class Mine(Client):
        pass

    assert isinstance(Mine.for_service("orders"), Mine)


@CLIENTS
def test_layers_of_ones_own_are_added(kind: Any) -> None:
    """
    Per call, as in any client.
    """

    async def mine(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    client = kind.for_service("orders", middlewares=[mine])

    assert mine in client.pipeline
    assert "mine" in client.explain()
