"""`for_service`: one line for the whole stack."""

from __future__ import annotations

from typing import Any

import pytest

import scallion
from scallion import AsyncClient, Client, MockTransport, Request, Response, service_stack
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
        ({"retrys": {}}, TypeError, r"retrys= is neither .*: did you mean 'retries'?"),
        ({"circuit_breaker": False}, TypeError, r"circuit_breaker= is neither a setting"),
        ({"retries": {"atempts": 1}}, ValueError, r"retries\.atempts is no setting"),
        ({"settings": {"retrys": {}}}, ValueError, r"settings: retrys is no setting"),
        ({"name": ""}, ValueError, r"needs the name of a service"),
        ({"name": " "}, ValueError, r"needs the name of a service"),
        ({"name": 5}, TypeError, r"needs the name of a service, such as 'orders', not int"),
        ({"name": "a/b"}, ValueError, r"not 'a/b': where it is, say by base_url="),
        ({"name": "a b"}, ValueError, r"not 'a b': where it is, say by base_url="),
        (
            {"name": "http://u:hunter2@orders"},
            ValueError,
            r"not 'http://REDACTED:REDACTED@orders': where it is",
        ),
        ({"base_url": ""}, ValueError, r"base_url must be an absolute URL with http or https"),
        ({"base_url": "orders:80"}, ValueError, r"base_url must be an absolute URL"),
        (
            {"base_url": "http://h/v1?x=1"},
            ValueError,
            r"base_url can have no query and no fragment",
        ),
        ({"retries": {"attempts": 0}}, ValueError, r"^retries: Retries attempts counts"),
        ({"rate_limit": True}, ValueError, r"rate_limit \(argument\) needs a rate"),
        (
            {"faults": True},
            ValueError,
            r"faults \(argument\) needs a latency, a status or an error",
        ),
        (
            {"endpoints": {"addresses": ["a:1"], "hash_by": "X-User"}},
            ValueError,
            r"endpoints\.hash_by \(argument\) is for choice = \"consistent_hash\"",
        ),
        (
            {"timeouts": {"attempt": 50}},
            ValueError,
            r"timeouts\.attempt = 50\.0 \(argument\) must be at most timeouts\.total = 30\.0 \(default\)",
        ),
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


@CLIENTS
@pytest.mark.parametrize("name", ["orders", "orders.internal", "orders:8080", "bücher"])
def test_a_name_is_a_host(kind: Any, name: str) -> None:
    """
    A port and letters of any alphabet may be in it.
    """
    assert scallion.URL(f"http://{name}") == kind.for_service(name).base_url


@pytest.mark.parametrize(
    ("key", "passed"),
    [(None, 2), ("service", 2), ("origin", 6), ("header:X-Tenant", 4)],
)
def test_a_rate_is_the_services_or_each_endpoints(key: str | None, passed: int) -> None:
    """
    The service's by default: a further endpoint does not raise what was agreed on.
    """
    rate = {"rate": "2/minute", "wait": False} | ({} if key is None else {"key": key})
    client = Client.for_service(
        "orders",
        endpoints={"addresses": ["a:1", "b:1", "c:1"], "choice": "round_robin"},
        rate_limit=rate,
        retries=False,
        transport=MockTransport(lambda request: Response(200)),
    )
    counted = 0
    for number in range(24):
        try:
            client.get("/", headers={"X-Tenant": str(number % 2)})
        except scallion.RateLimited:
            continue
        counted += 1
    # Another host has a rate of its own.
    client.get("http://elsewhere/")

    assert passed == counted


def test_a_key_stays_with_the_service(drive: Drive) -> None:
    """
    A redirect to another origin takes it along no more than the login.
    """
    heard: list[scallion.Headers] = []

    def answer(request: Request) -> Response:
        heard.append(request.headers.copy())
        where = {"Location": "http://elsewhere/"}
        return Response(307, headers=where) if request.url.host == "orders" else Response(200)

    options: dict[str, Any] = {
        "transport": MockTransport(answer),
        "redirects": True,
        "headers": {"X-Api-Key": "k", "Authorization": "a", "X-Team": "cart"},
    }

    async def scenario() -> Response:
        if drive.blocking:
            with Client.for_service("orders", **options) as client:
                return client.get("/")
        async with AsyncClient.for_service("orders", **options) as client:
            return await client.get("/")

    assert 200 == drive(scenario).status_code
    names = ("X-Api-Key", "Authorization", "X-Team")
    assert [["k", "a", "cart"], [None, None, "cart"]] == [
        [headers.get(name) for name in names] for headers in heard
    ]


@pytest.mark.parametrize("layer", service_stack().layers, ids=lambda layer: type(layer).__name__)
def test_the_stack_is_frozen(layer: Any) -> None:
    """
    Every layer, and the slots.
    """
    for name in [*vars(layer), "more"]:
        with pytest.raises((AttributeError, TypeError)):
            setattr(layer, name, 5)
