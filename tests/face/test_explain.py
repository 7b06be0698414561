"""`client.explain()`: the onion, its numbers, and where they came from."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

import pytest

import scallion
from scallion import (
    AsyncClient,
    Authentication,
    BasicAuth,
    Bulkhead,
    Client,
    Limits,
    MockTransport,
    Pipeline,
    Retries,
    Timeout,
    compatible,
)
from scallion._service_settings import ServiceSettings
from scallion._settings_sections import SECTIONS
from scallion.middlewares.rate_limit import RateLimit
from scallion.pipeline.pipeline import Slot

CLIENTS = pytest.mark.parametrize("kind", [Client, AsyncClient])
# Sections with a source that has to be given.
ON = {"rate_limit": {"rate": "10/second"}, "endpoints": {"addresses": ["http://127.0.0.1:1"]}}


def lines(client: Any) -> list[str]:
    return [line.strip() for line in client.explain().splitlines()]


@CLIENTS
def test_each_number_has_its_origin(kind: Any) -> None:
    """
    The default, a file, a variable, an argument.
    """
    base = ServiceSettings.from_mapping({"timeouts": {"connect": 2}}, "config.toml")
    settings = ServiceSettings.from_env("O_", {"O_RETRIES_CAP": "1s"}, base=base)
    client = kind.for_service("orders", settings=settings, breaker={"ratio": 0.3}, hedging=True)

    told = lines(client)

    assert f"{kind.__name__} for orders, outermost first" == told[0]
    for line in (
        "base_url = http://orders (default)",
        "retries.attempts = 3 (default)",
        "timeouts.connect = 2.0 (config.toml)",
        "retries.cap = 1.0 (environment O_RETRIES_CAP)",
        "breaker.ratio = 0.3 (argument)",
        "hedging = on (argument)",
        "hedging.percentile = 0.95 (default)",
        "connections.max = 100 (default)",
        "rate_limit = off (default)",
    ):
        assert 1 == told.count(line), line


@CLIENTS
def test_every_effective_setting_is_told_once(kind: Any) -> None:
    """
    Under its layer, whichever layers are on.
    """
    on: dict[str, Any] = {key: ON.get(key, True) for key in SECTIONS if key != "faults"}
    on["faults"] = {"status": 503}
    for chosen in ({}, on):
        settings = ServiceSettings.from_mapping(chosen, "all.toml")
        told = lines(kind.for_service("orders", settings=settings))

        for setting in settings:
            if setting.path != "base_url":
                assert 1 == told.count(str(setting)), setting


def test_layers_are_in_their_order() -> None:
    """
    As in the pipeline, with the slots and the transport.
    """
    client = Client.for_service("orders", metrics=False)

    names = [line for line in client.explain().splitlines()[1:] if not line.startswith(" ")]

    layers = [
        f"-- {layer.name} --" if isinstance(layer, Slot) else type(layer).__name__
        for layer in client.pipeline.layers
    ]
    assert [*layers, "transport: HTTPTransport", "off"] == names


def test_a_client_without_settings_is_explained_too() -> None:
    """
    By its layers' own fields, and what it was given.
    """
    client = Client(
        pipeline=compatible().per_call(Retries(attempts=5)),
        timeout=Timeout(5.0, connect=1.0, total=9.0),
        limits=Limits(max_connections=7, max_keepalive_connections=20),
        base_url="http://api.example/v1",
        mounts={"all://*.internal": MockTransport(lambda request: None)},  # type: ignore[arg-type,return-value]
        max_redirects=3,
    )

    told = lines(client)

    assert "Client, outermost first" == told[0]
    for line in (
        "base_url = http://api.example/v1/ (argument)",
        "total = none (default)",
        "attempts = 5 (argument)",
        "wait = FullJitter(base=0.1, cap=2.0) (default)",
        "statuses = 429, 502, 503, 504 (default)",
        "timeout.connect = 1.0 (argument)",
        "timeout.read = 5.0 (default)",
        "timeout.total = 9.0 (argument)",
        "limits.max_connections = 7 (argument)",
        "limits.max_keepalive_connections = 20 (default)",
        "follow_redirects = off (pipeline)",
        "max_redirects = 3 (argument)",
        "trust_env = on (default)",
        "verify = on (default)",
        "http2 = off (default)",
        "transport for all://*.internal: MockTransport",
    ):
        assert line in told


def test_a_layer_without_defaults_is_explained() -> None:
    """
    What it was given was given, but for the fields that have a default.
    """
    told = lines(Client(pipeline=Pipeline(RateLimit("10/second"), scallion.Redirects())))

    assert "rate = 10/second (argument)" in told
    assert "patience = 30.0 (default)" in told


def test_a_plain_client_has_nothing_but_defaults() -> None:
    """
    Nothing was given.
    """
    text = Client().explain()

    assert "(argument)" not in text
    assert "base_url" not in text


def test_no_secret_is_told() -> None:
    """
    Neither logins nor what a layer of somebody else's holds.
    """

    @dataclass
    class Signing:
        api_key: str = "hunter2"
        endpoint: str = "http://u:hunter2@h/?sig=hunter2"
        tokens: Any = ("hunter2",)
        auth: Any = ("user", "hunter2")
        table: Any = None
        store: Any = None
        level: int = 3

        def __call__(self, request: Any, call_next: Any) -> Any:
            return call_next(request)

    def plain(request: Any, call_next: Any) -> Any:
        return call_next(request)

    client = Client(
        auth=("user", "hunter2"),
        base_url="http://u:hunter2@h/",
        headers={"X-Api-Key": "hunter2"},
        pipeline=Pipeline(
            Signing(table={"password": "hunter2"}, store=BasicAuth("u", "hunter2")),
            Authentication(BasicAuth("u", "hunter2")),
            scallion.Redirects(),
            plain,  # type: ignore[arg-type]
        ),
    )
    text = client.explain()

    assert "hunter2" not in text
    told = lines(client)
    for line in (
        "Signing",
        "api_key = REDACTED (default)",
        "endpoint = http://REDACTED:REDACTED@h/?sig=REDACTED (default)",
        "tokens = tuple of 1 (default)",
        "auth = REDACTED (default)",
        "table = dict of 1 (argument)",
        "store = BasicAuth (argument)",
        "level = 3 (default)",
        "auth = BasicAuth (argument)",
        "plain",
    ):
        assert line in told, line


def test_a_service_has_no_secrets_either() -> None:
    """
    In its URL, its storage, its auth.
    """
    client = Client.for_service(
        "orders",
        base_url="http://u:hunter2@h/",
        auth=("u", "hunter2"),
        rate_limit={"rate": "1/second", "storage": "redis://u:hunter2@127.0.0.1:1"},
    )

    assert "hunter2" not in client.explain()
    assert "auth = BasicAuth (argument)" in lines(client)


def test_a_transport_of_ones_own_is_not_told_limits() -> None:
    """
    They would not hold.
    """
    transport = MockTransport(lambda request: scallion.Response(200))
    client = Client.for_service("orders", transport=transport)

    assert "transport: MockTransport" in lines(client)
    assert "connections." not in client.explain()


def test_it_shows_itself() -> None:
    """
    An interactive session has no need of print.
    """
    explained = Client().explain()

    assert str(explained) == repr(explained)


# What holds, whoever said it


def own_layers(client: Any) -> list[str]:
    """The lines of the layers that were added: between those of the bulkhead, which lies outside the slot, and the slot."""
    told = client.explain().splitlines()
    slot = told.index("-- per call --")
    return [line.strip() for line in told[told.index("Bulkhead") + 4 : slot]]


@CLIENTS
def test_a_layer_that_was_added_tells_its_own_numbers(kind: Any) -> None:
    """
    Though there is a section for its class, which may be on or off.
    """
    retrying = kind.for_service("o", retries=False, middlewares=[Retries(attempts=7)])
    bounded = kind.for_service("o", middlewares=[Bulkhead(limit=3)])

    own = own_layers(retrying)
    assert "Retries" == own[0]
    assert "attempts = 7 (argument)" in own
    assert "budget = none (default)" in own
    told = lines(retrying)
    off = told[told.index("off") :]
    assert "retries = off (argument)" in off
    assert "budget = off (retries and hedging are off)" in off
    assert not [line for line in told if line.startswith("budget.")]

    own = own_layers(bounded)
    assert ["Bulkhead", "limit = 3 (argument)", "queue = 100 (default)"] == own[:3]
    assert 1 == lines(bounded).count("bulkhead.limit = 100 (default)")


@CLIENTS
def test_a_transport_of_ones_own_tells_its_limits(kind: Any) -> None:
    """
    The settings' do not hold.
    """
    transport = scallion.HTTPTransport if kind is Client else scallion.AsyncHTTPTransport

    told = lines(
        kind.for_service("o", transport=transport(limits=Limits(max_connections=7), http2=True))
    )

    for line in (
        "connections.max = 7 (transport)",
        "connections.idle = none (transport)",
        "http2 = on (transport)",
        "verify = on (default)",
    ):
        assert line in told, line


@CLIENTS
def test_what_a_client_is_told_later_holds(kind: Any) -> None:
    """
    Its timeout, its address, its redirects.
    """
    client = kind.for_service("o", base_url="http://o/v1")
    assert "base_url = http://o/v1/ (argument)" in lines(client)

    client.timeout = Timeout(9, pool=2.0)
    client.base_url = "http://u:hunter2@other"
    client.follow_redirects = True

    told = lines(client)
    for line in (
        "base_url = http://REDACTED:REDACTED@other (client.base_url)",
        "redirects = on (client.follow_redirects)",
        "redirects.limit = 20 (default)",
        "timeouts.total = 30.0 (default)",
        "timeouts.read = 9 (client.timeout)",
        "timeouts.pool = 2.0 (default)",
    ):
        assert line in told, line
    client.timeout = Timeout(9, total=4.0)
    assert "timeouts.total = 4.0 (client.timeout)" in lines(client)
    client.timeout = None
    assert "timeouts.total = none (client.timeout)" in lines(client)


@CLIENTS
def test_redirects_are_told_once(kind: Any) -> None:
    """
    As the section says, or as the client was told later.
    """

    def redirects() -> list[str]:
        return [line for line in lines(client) if "redirects" in line and "sensitive" not in line]

    client = kind.for_service("o")
    assert ["redirects = off (default)"] == redirects()
    client.follow_redirects, client.max_redirects = True, 3
    assert [
        "redirects = on (client.follow_redirects)",
        "redirects.limit = 3 (client.max_redirects)",
    ] == redirects()
    client = kind.for_service("o", redirects={"limit": 5})
    assert ["redirects = on (argument)", "redirects.limit = 5 (argument)"] == redirects()
    client.follow_redirects = False
    assert [
        "redirects = off (client.follow_redirects)",
        "redirects.limit = 5 (argument)",
    ] == redirects()


@CLIENTS
def test_a_login_that_was_set_later_says_so(kind: Any) -> None:
    """
    And so does one that was taken away.
    """
    client = kind.for_service("o", auth=("u", "hunter2"))
    assert "auth = BasicAuth (argument)" in lines(client)

    client.auth = ("v", "hunter3")
    assert "auth = BasicAuth (client.auth)" in lines(client)
    client.auth = None
    assert "auth = none (client.auth)" in lines(client)
    client.auth = ("u", "hunter2")
    assert ["auth = BasicAuth (client.auth)"] == [
        line for line in lines(client) if line.startswith("auth")
    ]


def test_a_layer_that_follows_for_itself_says_so() -> None:
    """
    The client has no say in it as long as it says what its pipeline does.
    """
    client = Client(pipeline=Pipeline(), middlewares=[scallion.Redirects(follow=True)])

    assert "follow = on (argument)" in lines(client)
    client.max_redirects = 4
    assert "limit = 4 (client.max_redirects)" in lines(client)
    assert not any(line.startswith("follow = on") for line in lines(client))


@CLIENTS
def test_a_plain_client_tells_what_was_set_later(kind: Any) -> None:
    """
    Its arguments and its attributes are two origins.
    """
    client = kind(
        base_url="http://a", timeout=Timeout(3.0, total=9.0), follow_redirects=True, max_redirects=4
    )
    for line in (
        "base_url = http://a (argument)",
        "timeout.read = 3.0 (argument)",
        "follow = on (argument)",
        "limit = 4 (argument)",
    ):
        assert line in lines(client), line

    client.base_url = "http://b"
    client.timeout = Timeout(3.0, read=5.0)
    client.follow_redirects = False
    client.max_redirects = 6

    told = lines(client)
    for line in (
        "base_url = http://b (client.base_url)",
        "timeout.connect = 3.0 (argument)",
        "timeout.read = 5.0 (client.timeout)",
        "timeout.total = none (client.timeout)",
        "follow = off (client.follow_redirects)",
        "limit = 6 (client.max_redirects)",
        "follow_redirects = off (client.follow_redirects)",
        "max_redirects = 6 (client.max_redirects)",
    ):
        assert line in told, line


def test_what_is_lifted_is_told() -> None:
    """
    The layer is not there, and the line is.
    """
    told = lines(Client.for_service("o", timeouts={"attempt": None}))

    assert "AttemptTimeouts" not in told
    assert "timeouts.attempt = none (argument)" in told


def test_what_follows_another_setting_says_so() -> None:
    """
    An attempt takes no longer than the call.
    """
    told = lines(Client.for_service("o", timeouts={"total": 5}))

    assert "timeouts.attempt = 5.0 (timeouts.total)" in told


@CLIENTS
@pytest.mark.parametrize("how", ["argument", "all.toml", "environment O_HEDGING"])
def test_a_layer_that_was_switched_on_says_by_whom(kind: Any, how: str) -> None:
    """
    All its numbers are defaults, and it is not.
    """
    settings = {
        "argument": ServiceSettings(hedging=True),  # type: ignore[arg-type]
        "all.toml": ServiceSettings.from_mapping({"hedging": True}, "all.toml"),
        "environment O_HEDGING": ServiceSettings.from_env("O_", {"O_HEDGING": "on"}),
    }[how]

    told = lines(kind.for_service("o", settings=settings))

    assert f"hedging = on ({how})" == told[told.index("Hedging") + 1]


@CLIENTS
def test_the_network_is_told(kind: Any) -> None:
    """
    What TLS trusts, which protocols, which proxy; no key's password.
    """
    client = kind.for_service(
        "o", http2=True, http1=False, trust_env=False, verify=False, proxy="http://u:hunter2@p:3128"
    )
    told = lines(client)

    for line in (
        "trust_env = off (argument)",
        "verify = off (argument)",
        "http1 = off (argument)",
        "http2 = on (argument)",
    ):
        assert line in told, line
    assert any(line.endswith(" through http://p:3128") for line in told)
    assert "hunter2" not in client.explain()
    secure = lines(kind(verify=ssl.create_default_context()))
    assert "verify = SSLContext (argument)" in secure


def test_a_login_of_a_layer_is_told_by_its_kind() -> None:
    """
    Unless the client's own goes over it.
    """
    layer = Pipeline(Authentication(BasicAuth("u", "hunter2")), scallion.Redirects())

    assert "auth = BasicAuth (argument)" in lines(Client(pipeline=layer))
    assert "auth = none (default)" in lines(Client())
    assert ["auth = BasicAuth (argument)"] == [
        line for line in lines(Client(auth=("u", "hunter2"))) if line.startswith("auth")
    ]
