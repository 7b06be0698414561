"""What of a service's settings nothing would heed: refused, unless a later source decided so."""

from __future__ import annotations

import pickle
import re
from typing import Any

import pytest

from scallion import AsyncClient, Client, MockTransport, Response
from scallion._service_layers import pipeline_of
from scallion._service_settings import ServiceSettings
from scallion._settings_rules import RULES

UNHEEDED = [
    ("bulkhead", "patience", 9, {"queue": 0}, "a queue of 1 or more, and that is 0"),
    ("concurrency", "patience", 9, {"queue": 0}, "a queue of 1 or more, and that is 0"),
    *(
        (
            "concurrency",
            name,
            value,
            {"algorithm": "aimd"},
            'algorithm = "gradient", and that is "aimd"',
        )
        for name, value in (
            ("tolerance", 2.0),
            ("headroom", 5.0),
            ("smoothing", 0.1),
            ("window", 2),
            ("memory", 50),
        )
    ),
    ("concurrency", "too_slow", 9, {}, 'algorithm = "aimd", and that is "gradient"'),
    (
        "endpoints",
        "decay",
        9,
        {"dns": "a", "choice": "round_robin"},
        'choice = "power_of_two", and that is "round_robin"',
    ),
    *(
        ("endpoints", name, value, {"dns": "a"}, 'choice = "consistent_hash", and that is')
        for name, value in (("hash_by", "X-User"), ("hash_bound", 1.5), ("hash_points", 40))
    ),
    *(
        ("endpoints", name, value, {"dns": "a", "eject": False}, "eject = on, and that is off")
        for name, value in (
            ("failures", 2),
            ("ejected_for", 9),
            ("longest", 90),
            ("share", 0.5),
            ("forgiven_after", 9),
        )
    ),
    ("hedging", "percentile", 0.9, {"delay": 0.1}, "delay = none, and that is 0.1"),
    ("hedging", "least", 0.01, {"delay": 0.1}, "delay = none, and that is 0.1"),
    ("rate_limit", "patience", 9, {"rate": "1/second", "wait": False}, "wait = on, and that is"),
    *(
        (
            "rate_limit",
            name,
            value,
            {"rate": "1/second"},
            'a storage that is shared, and that is "memory://"',
        )
        for name, value in (
            ("on_failure", "closed"),
            ("storage_timeout", 1),
            ("storage_pause", 2),
        )
    ),
]


@pytest.mark.parametrize(
    ("key", "name", "value", "beside", "told"), UNHEEDED, ids=lambda each: str(each)[:20]
)
def test_what_nothing_would_heed_is_refused(
    key: str, name: str, value: Any, beside: dict[str, Any], told: str
) -> None:
    """
    When layers are made; whoever says nothing of it is not asked.
    """
    base = {"base_url": "http://orders"}

    pipeline_of(ServiceSettings.from_mapping(base | {key: beside or True}, "a.toml"))

    chosen = ServiceSettings.from_mapping(base | {key: beside | {name: value}}, "a.toml")
    with pytest.raises(ValueError, match=re.escape(f"{key}.{name} (a.toml) is for {told}")):
        pipeline_of(chosen)


def test_every_rule_is_held_to_something() -> None:
    """
    All settings that the table names were refused above, or below.
    """
    refused = {(key, name) for key, name, *_ in UNHEEDED}
    refused |= {("budget", name) for name in ("share", "window", "floor")}

    assert refused == {(rule.section, name) for rule in RULES for name in rule.names}


@pytest.mark.parametrize("name", ["share", "window", "floor"])
def test_a_budget_of_nobody_is_refused(name: str) -> None:
    """
    Retries and hedging take from it; either of them is enough.
    """
    chosen = ServiceSettings.from_mapping({"budget": {name: 1}, "retries": False}, "a.toml")

    message = f"budget.{name} (a.toml) is for retries and hedging, and both are off"
    with pytest.raises(ValueError, match=re.escape(message)):
        pipeline_of(chosen)
    pipeline_of(chosen.updated({"hedging": True}))
    pipeline_of(ServiceSettings.from_mapping({"retries": False}))


def test_a_later_source_may_switch_off_what_an_earlier_one_has_numbers_for() -> None:
    """
    A number after the switch is refused, from whichever source.
    """
    numbers = {
        "budget": {"share": 0.5},
        "bulkhead": {"patience": 9},
        "concurrency": {"tolerance": 2.0},
        "endpoints": {"dns": "a", "failures": 2, "hash_by": "X-User", "choice": "consistent_hash"},
        "hedging": {"percentile": 0.9},
        "rate_limit": {"rate": "1/second", "patience": 9},
        "base_url": "http://orders",
    }
    environ = {
        "X_RETRIES": "off",
        "X_HEDGING": "off",
        "X_BULKHEAD_QUEUE": "0",
        "X_CONCURRENCY_ALGORITHM": "aimd",
        "X_ENDPOINTS_EJECT": "off",
        "X_ENDPOINTS_CHOICE": "round_robin",
        "X_RATE_LIMIT_WAIT": "off",
    }
    first = ServiceSettings.from_mapping(numbers, "a.toml")
    chosen = ServiceSettings.from_env("X_", environ, base=first)

    pipeline_of(chosen)
    pipeline_of(pickle.loads(pickle.dumps(chosen)))
    pipeline_of(ServiceSettings.from_env("Y_", {"Y_HEDGING_DELAY": "1s"}, base=first))
    for key, name, value in (
        ("budget", "share", 0.5),
        ("bulkhead", "patience", 9),
        ("concurrency", "tolerance", 2.0),
        ("endpoints", "failures", 2),
        ("endpoints", "hash_by", "X-User"),
        ("rate_limit", "patience", 9),
    ):
        with pytest.raises(ValueError, match=rf"^{key}\.{name} \(argument\) is for"):
            pipeline_of(chosen.updated({key: {name: value}}))
    with pytest.raises(ValueError, match=r"bulkhead\.patience \(environment X_BULKHEAD_PATIENCE\)"):
        pipeline_of(
            ServiceSettings.from_env("X_", {"X_BULKHEAD_PATIENCE": "1", "X_BULKHEAD_QUEUE": "0"})
        )


def test_none_takes_back_what_nothing_would_heed() -> None:
    """
    It lifts what an earlier source said.
    """
    hashed = {"dns": "a", "hash_by": "X-User"}
    first = ServiceSettings.from_mapping(
        {"base_url": "http://orders", "endpoints": hashed}, "a.toml"
    )

    pipeline_of(first.updated({"endpoints": {"hash_by": None}}))


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_pings_need_http2(kind: Any) -> None:
    """
    It is an argument of the client, which comes after all settings; a transport of one's own has its own limits.
    """
    first = ServiceSettings.from_mapping({"connections": {"ping_after": 30}}, "a.toml")

    message = r"^connections\.ping_after \({}\) is for http2=True, and that is off$"
    with pytest.raises(ValueError, match=message.format("argument")):
        kind.for_service("orders", connections={"ping_after": 30})
    with pytest.raises(ValueError, match=message.format("argument")):
        kind.for_service("orders", connections={"ping_after": 30}, http2=False)
    with pytest.raises(ValueError, match=message.format(re.escape("a.toml"))):
        kind.for_service("orders", settings=first)
    kind.for_service("orders", settings=first, http2=True)
    kind.for_service("orders", settings=first, http2=False)
    kind.for_service("orders", settings=first, connections={"ping_after": None})
    own = MockTransport(lambda request: Response(200))
    kind.for_service("orders", settings=first, transport=own)


def test_a_constructor_of_ones_own_may_switch_http2_on() -> None:
    """
    Nobody knows what it does with its arguments.
    """

    class Mine(Client):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(http2=True, **arguments)

    assert isinstance(Mine.for_service("orders", connections={"ping_after": 30}), Mine)
