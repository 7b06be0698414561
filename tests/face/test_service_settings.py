"""ServiceSettings: one value for the whole stack, from files, the environment and arguments."""

from __future__ import annotations

import copy
import pickle
import re
import tomllib
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion._client import Client
from scallion._service_layers import limits_of, pipeline_of, timeout_of
from scallion._service_settings import ServiceSettings
from scallion._settings_reading import duration, kind_of
from scallion._settings_sections import (
    SECTIONS,
    BreakerSettings,
    EndpointSettings,
    RedirectSettings,
    RetrySettings,
)
from scallion.middlewares.circuit_breaker import CircuitBreaker
from scallion.middlewares.coalescing import Coalescing
from scallion.middlewares.endpoints import ConsistentHash, Endpoints, PowerOfTwo
from scallion.middlewares.fault_injection import Fault, FaultInjection
from scallion.middlewares.hedging import Hedging
from scallion.middlewares.logging import Logging
from scallion.middlewares.redirects import Redirects
from scallion.middlewares.retries import Retries
from scallion.middlewares.timeouts import AttemptTimeouts, Deadlines
from scallion.middlewares.tracing import AttemptTracing, Tracing
from scallion.pipeline.errors import ConnectError
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.settings import Limits, Timeout
from scallion.transports.mock import MockTransport

# What a section that is off by default needs to be made.
NEEDED: dict[str, dict[str, Any]] = {
    "rate_limit": {"rate": "10/second"},
    "endpoints": {"addresses": ["http://127.0.0.1:8080"]},
    "faults": {"status": 503},
}


def told(settings: ServiceSettings) -> dict[str, tuple[Any, str]]:
    """Values and origins by their paths."""
    return {setting.path: (setting.value, setting.origin) for setting in settings}


# Values


def test_the_preset_is_the_default() -> None:
    """
    Each number, and that nobody said it.
    """
    known = told(ServiceSettings())

    assert {"default"} == {origin for _, origin in known.values()}
    expected = {
        "timeouts.connect": 2.0,
        "timeouts.read": 10.0,
        "timeouts.pool": 2.0,
        "timeouts.attempt": 10.0,
        "timeouts.total": 30.0,
        "retries.attempts": 3,
        "retries.base": 0.1,
        "retries.cap": 2.0,
        "retries.statuses": (429, 502, 503, 504),
        "retries.retry_after_cap": 30.0,
        "budget.share": 0.2,
        "budget.window": 10.0,
        "budget.floor": 10.0,
        "breaker.ratio": 0.5,
        "breaker.minimum": 20,
        "breaker.window": 30.0,
        "breaker.break_for": 5.0,
        "breaker.longest": 60.0,
        "bulkhead.limit": 100,
        "bulkhead.queue": 100,
        "connections.max": 100,
        "connections.age": 300.0,
        "hedging": False,
        "endpoints": False,
        "rate_limit": False,
        "redirects": False,
    }
    assert expected == {path: known[path][0] for path in expected}


@pytest.mark.parametrize("key", SECTIONS)
def test_sections_say_what_their_layers_do_by_default(key: str) -> None:
    """
    Two places have the numbers, and they are the same; those of the service preset aside.
    """
    section = SECTIONS[key](**NEEDED.get(key, {}))
    if not section.layers or key in ("timeouts", "redirects", "endpoints", "rate_limit", "faults"):
        return
    usual = section.kind()()
    made = section.make()

    preset = {"retries": {"attempt_header", "transient"}}.get(key, set())
    for one in fields(usual):
        if one.init and one.repr and one.name not in preset:
            assert getattr(usual, one.name) == getattr(made, one.name), one.name


@pytest.mark.parametrize("key", SECTIONS)
def test_every_field_has_a_kind(key: str) -> None:
    """
    Its default is of that kind, and survives being read.
    """
    for one in fields(SECTIONS[key]):
        kind = kind_of(one)
        value = getattr(SECTIONS[key](), one.name)
        assert value == kind.of(value, text=False, where="here")


def test_settings_are_frozen_and_comparable() -> None:
    """
    Two that say the same are equal, wherever it came from.
    """
    read = ServiceSettings.from_mapping({"retries": {"attempts": 5}}, "a")

    assert ServiceSettings(retries=RetrySettings(attempts=5)) == read
    assert ServiceSettings() != read
    with pytest.raises(AttributeError):
        read.retries = None  # type: ignore[misc]
    with pytest.raises(TypeError):
        read.origins["retries"] = "me"  # type: ignore[index]


def test_a_section_may_be_given_in_any_form() -> None:
    """
    As such, as a mapping, as on or off.
    """
    given: Any = {
        "retries": RetrySettings(attempts=5),
        "breaker": {"ratio": 0.25},
        "hedging": True,
        "bulkhead": False,
        "budget": None,
    }

    known = told(ServiceSettings(**given))

    assert (5, "argument") == known["retries.attempts"]
    assert (0.1, "default") == known["retries.base"]
    assert (0.25, "argument") == known["breaker.ratio"]
    assert (0.95, "default") == known["hedging.percentile"]
    assert (False, "argument") == known["bulkhead"]
    assert (False, "argument") == known["budget"]


# Mappings


def test_a_file_is_laid_over_the_preset() -> None:
    """
    Durations as text or numbers; what the file does not say is the default.
    """
    config = tomllib.loads(
        """
        base_url = "http://orders.internal"
        breaker = false
        [timeouts]
        connect = "250ms"
        total = 5
        read = "2s"
        [retries]
        attempts = 5
        statuses = [503]
        [hedging]
        delay = "0.5 s"
        """
    )

    known = told(ServiceSettings.from_mapping(config, "config.toml"))

    said = {path: value for path, (value, origin) in known.items() if origin == "config.toml"}
    assert {
        "base_url": "http://orders.internal",
        "timeouts.connect": 0.25,
        "timeouts.read": 2.0,
        "timeouts.total": 5.0,
        "retries.attempts": 5,
        "retries.statuses": (503,),
        "breaker": False,
        "hedging": True,
        "hedging.delay": 0.5,
    } == said


def test_later_sources_win() -> None:
    """
    Each value knows the last one that said it; what is switched on again is as before.
    """
    first = ServiceSettings.from_mapping({"retries": {"attempts": 5, "cap": 1}}, "a.toml")
    second = ServiceSettings.from_mapping({"retries": {"attempts": 2}}, "b.toml", base=first)
    third = ServiceSettings.from_env("X_", {"X_RETRIES_BASE": "20ms"}, base=second)
    last = third.updated({"retries": {"methods": ["GET"]}})

    known = told(last)
    assert (2, "b.toml") == known["retries.attempts"]
    assert (1.0, "a.toml") == known["retries.cap"]
    assert (0.02, "environment X_RETRIES_BASE") == known["retries.base"]
    assert (("GET",), "argument") == known["retries.methods"]
    assert (True, "default") == known["retries.retry_unsent"]

    off = last.updated({"retries": False}, "c.toml")
    assert (False, "c.toml") == told(off)["retries"]
    again = told(off.updated({"retries": True}, "d.toml"))
    assert (3, "default") == again["retries.attempts"]


@pytest.mark.parametrize(
    ("mapping", "error", "message"),
    [
        (
            {"retrys": {}},
            ValueError,
            "config.toml: retrys is no setting: did you mean 'retries'?; there are base_url, breaker,",
        ),
        (
            {"retries": {"atempts": 2}},
            ValueError,
            "config.toml: retries.atempts is no setting: did you mean 'attempts'?; retries has attempts, base,",
        ),
        (
            {"metrics": {"x": 1}},
            ValueError,
            "metrics.x is no setting; metrics has none: it is on or off",
        ),
        (
            {"retries": {"attempts": "three"}},
            TypeError,
            "config.toml: retries.attempts must be a whole number, not 'three'",
        ),
        ({"retries": {"attempts": True}}, TypeError, "must be a whole number, not True"),
        ({"retries": {"attempts": 2.5}}, TypeError, "must be a whole number, not 2.5"),
        ({"retries": {"attempts": 0}}, ValueError, "config.toml: retries: Retries attempts counts"),
        ({"retries": {"statuses": "503"}}, TypeError, "must be a list of whole numbers, not '503'"),
        ({"retries": {"retry_unsent": 1}}, TypeError, "must be true or false, not 1"),
        (
            {"retries": 3},
            TypeError,
            "config.toml: retries must be a table of settings, true or false, not 3",
        ),
        (
            {"timeouts": {"read": "2 weeks"}},
            ValueError,
            'timeouts.read must be seconds, or a text such as "250ms" or "2s", or none, not \'2 weeks\'',
        ),
        ({"timeouts": {"read": float("nan")}}, TypeError, "timeouts.read must be seconds"),
        (
            {"timeouts": {"total": 10**400}},
            TypeError,
            "config.toml: timeouts.total must be seconds",
        ),
        ({"timeouts": {"total": 10**9000}}, TypeError, "timeouts.total must be seconds"),
        ({"timeouts": {"total": "9" * 400}}, ValueError, "timeouts.total must be seconds"),
        ({"breaker": {"ratio": 10**400}}, TypeError, "breaker.ratio must be a number"),
        ({"timeouts": {"read": -1}}, ValueError, "config.toml: Timeout read must be at least 0"),
        ({"timeouts": {"total": 0}}, ValueError, "timeouts: Deadlines total must be more than 0"),
        ({"timeouts": False}, ValueError, "config.toml: timeouts cannot be off"),
        ({"connections": {"max": 0}}, ValueError, "Limits max_connections must be at least 1"),
        (
            {"base_url": "http://h:x"},
            ValueError,
            "such as 'http://orders.internal', not 'http://h:x' (Invalid port",
        ),
        ({"base_url": ""}, ValueError, "config.toml: base_url must be an absolute URL"),
        ({"base_url": "/v1"}, ValueError, "base_url must be an absolute URL"),
        ({"base_url": "ftp://orders"}, ValueError, "base_url must be an absolute URL"),
        ({"base_url": "orders.internal"}, ValueError, "base_url must be an absolute URL"),
        (
            {"base_url": "http://u:p@[/"},
            ValueError,
            "'http://orders.internal', not 'http://REDACTED:REDACTED@[/'",
        ),
        (
            {"base_url": "http://u:p@h/v1?x=1"},
            ValueError,
            "no fragment, as paths are appended to it: 'http://REDACTED:REDACTED@h/v1?x=1'",
        ),
        ({"base_url": "http://h/v1?"}, ValueError, "base_url can have no query and no fragment"),
        ({"base_url": "http://h/#a"}, ValueError, "base_url can have no query and no fragment"),
        ({"endpoints": {"addresses": ["http://h:x"]}}, ValueError, "config.toml: endpoints: "),
        ({"base_url": 7}, TypeError, "config.toml: base_url must be a text, not 7"),
        (
            {"endpoints": {"dns": "a", "file": "b"}},
            ValueError,
            "endpoints: it takes one of addresses, file, dns and srv, and has file and dns: set to none",
        ),
        (
            {"endpoints": {"addresses": ["a"], "refresh": 5}},
            ValueError,
            "endpoints: refresh is for file, dns and srv: addresses are never asked for again",
        ),
        ({"endpoints": {"failures": 0}}, ValueError, "endpoints: Ejection failures must be"),
        ({"rate_limit": {"patience": -1}}, ValueError, "rate_limit: RateLimit patience must be"),
        ({"rate_limit": {"key": "tenant"}}, ValueError, "key must be 'service', 'origin', or a"),
        ({"rate_limit": {"key": "header:"}}, ValueError, "such as 'header:X-Tenant': 'header:'"),
        ({"faults": {"rate": 2}}, ValueError, "faults: Fault rate must be"),
        (
            {"retries": {"on": ["ReadTimeout", "KeyError"]}},
            ValueError,
            "retries: on has names of errors, such as 'NetworkError', and 'KeyError' is none",
        ),
        (
            {"retries": {"on": ["ReadTimeout", "TotalTimeout"]}},
            ValueError,
            "config.toml: retries: on has errors after which another attempt may help, and TotalTimeout is none",
        ),
        (
            {"retries": {"methods": ["GE T"]}},
            ValueError,
            "config.toml: retries: methods has names of methods, such as 'GET', and 'GE T' is none",
        ),
        ({"hedging": {"methods": ["GET", ""]}}, ValueError, "hedging: methods has names of"),
        ({"idempotency_keys": {"methods": ["PO\nST"]}}, ValueError, "idempotency_keys: methods"),
        ({"faults": {"methods": ["*/*"]}}, ValueError, "faults: methods has names of methods"),
        (
            {"timeouts": {"attempt": 50, "total": 10}},
            ValueError,
            "timeouts.attempt = 50.0 (config.toml) must be at most timeouts.total = 10.0 (config.toml)",
        ),
        ({"redirects": {"sensitive": "x-api-key"}}, TypeError, "must be a list of texts"),
        ({"logging": {"secrets": [""]}}, ValueError, "logging: The name of a secret parameter"),
        ({"endpoints": {"dns": "a:b"}}, ValueError, "dns must be a name, or name:port, not 'a:b'"),
        ([], TypeError, "config.toml must be a mapping of settings, not []"),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(
    mapping: Any, error: type[Exception], message: str
) -> None:
    """
    The message has the source, the path, and what is allowed.
    """
    with pytest.raises(error) as raised:
        ServiceSettings.from_mapping(mapping, "config.toml")

    assert message in str(raised.value)
    assert error is type(raised.value)


def test_arguments_need_no_source() -> None:
    """
    The path is enough.
    """
    with pytest.raises(TypeError, match=r"^retries\.attempts must be a whole number, not 'x'$"):
        ServiceSettings(retries={"attempts": "x"})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^retries\.attempts must be a whole number, not 'x'$"):
        RetrySettings(attempts="x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^retries must be a table of settings"):
        ServiceSettings(retries=BreakerSettings())  # type: ignore[arg-type]


@given(
    st.dictionaries(
        st.sampled_from([*SECTIONS, "base_url", "x"]),
        st.one_of(
            st.none(),
            st.booleans(),
            st.text(max_size=5),
            st.dictionaries(
                st.sampled_from(["attempts", "ratio", "total", "read", "max", "rate", "headers"]),
                st.one_of(
                    st.none(), st.integers(), st.floats(), st.text(max_size=5), st.booleans()
                ),
            ),
        ),
    )
)
@settings(max_examples=150)
def test_whatever_is_given_is_read_or_refused(mapping: dict[str, Any]) -> None:
    """
    Settings, or an error that names the source.
    """
    try:
        read = ServiceSettings.from_mapping(mapping, "config.toml")
    except (TypeError, ValueError) as error:
        refusal = str(error)
    else:
        refusal = "config.toml"
        assert read == ServiceSettings.from_mapping(mapping, "again")

    assert refusal.startswith("config.toml")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("2s", 2.0),
        ("1.5 S", 1.5),
        (".5s", 0.5),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("7", 7.0),
    ],
)
def test_durations_have_units(text: str, seconds: float) -> None:
    """
    Without one they are seconds.
    """
    assert seconds == duration(text)


# The environment


def test_the_environment_is_read_by_its_prefix() -> None:
    """
    Texts become what the settings take; lists are separated by commas.
    """
    environ = {
        "ORDERS_BASE_URL": "http://orders.internal",
        "ORDERS_RETRIES_ATTEMPTS": "5",
        "ORDERS_RETRIES_STATUSES": "503, 504",
        "ORDERS_RETRIES_RETRY_UNSENT": "no",
        "ORDERS_TIMEOUTS_READ": "none",
        "ORDERS_TIMEOUTS_TOTAL": "1500ms",
        "ORDERS_BREAKER": "off",
        "ORDERS_BREAKER_RATIO": "0.3",
        "ORDERS_HEDGING": "on",
        "ORDERS_RATE_LIMIT_RATE": "10/second",
        "PATH": "/bin",
    }

    known = told(ServiceSettings.from_env("ORDERS_", environ))

    said = {path: value for path, (value, origin) in known.items() if origin != "default"}
    assert {
        "base_url": "http://orders.internal",
        "retries.attempts": 5,
        "retries.statuses": (503, 504),
        "retries.retry_unsent": False,
        "timeouts.read": None,
        "timeouts.total": 1.5,
        "timeouts.attempt": 1.5,
        "breaker": False,
        "hedging": True,
        "rate_limit": True,
        "rate_limit.rate": "10/second",
    } == said
    assert "timeouts.total" == known["timeouts.attempt"][1]
    assert "environment ORDERS_HEDGING" == known["hedging"][1]
    assert "environment ORDERS_RATE_LIMIT_RATE" == known["rate_limit"][1]
    assert "hedging.percentile" in known
    assert "environment ORDERS_RETRIES_ATTEMPTS" == known["retries.attempts"][1]


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It is asked when none is given.
    """
    monkeypatch.setenv("ORDERS_RETRIES_ATTEMPTS", "7")

    retries = ServiceSettings.from_env("ORDERS_").retries

    assert retries is not None
    assert 7 == retries.attempts


def test_each_setting_has_a_variable_of_its_own() -> None:
    """
    No two have the same name, though sections and settings are parted by the sign that is also in them.
    """
    paths = [
        s
        for key, kind in SECTIONS.items()
        for s in (key, *(f"{key}_{f.name}" for f in fields(kind)))
    ]

    assert len(paths) == len(set(paths))


@pytest.mark.parametrize(
    ("variable", "text", "error", "message"),
    [
        ("O_RETRYS_ATTEMPTS", "1", ValueError, "did you mean 'O_RETRIES_ATTEMPTS'?"),
        ("O_UNHEARD_OF", "1", ValueError, "all that begins with O_ has to be one"),
        (
            "O_RETRIES_ATTEMPTS",
            "x",
            ValueError,
            "environment variable O_RETRIES_ATTEMPTS must be a whole number, not 'x'",
        ),
        (
            "O_BREAKER",
            "maybe",
            ValueError,
            "environment variable O_BREAKER must be on or off, not 'maybe'",
        ),
        ("O_RETRIES_RETRY_UNSENT", "perhaps", ValueError, "must be true or false, not 'perhaps'"),
        (
            "O_RETRIES_ATTEMPTS",
            "",
            ValueError,
            "environment variable O_RETRIES_ATTEMPTS is empty: leave it out for the default",
        ),
        (
            "O_TIMEOUTS_TOTAL",
            " ",
            ValueError,
            'O_TIMEOUTS_TOTAL is empty: leave it out for the default, and say "none" for none',
        ),
        ("O_BREAKER", "", ValueError, "O_BREAKER is empty: leave it out for the default"),
        ("O_BASE_URL", "", ValueError, "O_BASE_URL is empty: leave it out for the default"),
        ("O_BASE_URL", "orders", ValueError, "environment variable O_BASE_URL must be an absolute"),
        ("O_PORT", "8080", ValueError, "environment variable O_PORT is no setting"),
        ("O_ENDPOINTS_PORT", "8080", ValueError, "variable O_ENDPOINTS_PORT is no setting"),
        ("O_RETRIES_NAME", "x", ValueError, "variable O_RETRIES_NAME is no setting"),
        ("O_RETRIES_ENV_X", "x", ValueError, "variable O_RETRIES_ENV_X is no setting"),
        ("O_BREAKER_RATIO", "nan", ValueError, "must be a number, not 'nan'"),
        ("O_RETRIES_ATTEMPTS", "0", ValueError, "environment: retries: Retries attempts counts"),
        ("O_TIMEOUTS", "off", ValueError, "environment variable O_TIMEOUTS cannot be off"),
    ],
)
def test_variables_that_are_wrong_are_refused_by_name(
    variable: str, text: str, error: type[Exception], message: str
) -> None:
    """
    A misspelt one as well.
    """
    with pytest.raises(error) as raised:
        ServiceSettings.from_env("O_", {variable: text})

    assert message in str(raised.value)


@pytest.mark.parametrize(
    "name",
    [
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_HTTP",
        "PORT",
        "PORT_80_TCP",
        "PORT_80_TCP_ADDR",
        "PORT_80_TCP_PORT_END",
        "DB_SERVICE_HOST",
        "DB_SERVICE_PORT",
        "DB_SERVICE_PORT_HTTP",
        "DB_PORT",
        "DB_PORT_5432_TCP",
        "DB_PORT_5432_TCP_PROTO",
        "RETRIES_DB_PORT",
    ],
)
def test_what_kubernetes_sets_is_passed_over(name: str) -> None:
    """
    It does so for each service, whose name may be the prefix, or begin like it.
    """
    assert ServiceSettings() == ServiceSettings.from_env(
        "ORDERS_", {f"ORDERS_{name}": "tcp://10.0.0.1"}
    )


@pytest.mark.parametrize("link", ["", "DB_"])
def test_what_a_linked_container_sets_is_passed_over(link: str) -> None:
    """
    Its address, its name, and all variables of its own.
    """
    environ = {
        f"ORDERS_{link}NAME": "/shop/orders",
        f"ORDERS_{link}PORT": "udp://172.17.0.5:53",
        f"ORDERS_{link}ENV_PASSWORD": "hunter2",
        "ORDERS_RETRIES_ATTEMPTS": "5",
    }

    assert "ServiceSettings(retries.attempts=5)" == repr(
        ServiceSettings.from_env("ORDERS_", environ)
    )


def test_none_empties_a_list() -> None:
    """
    In the environment, where an empty text is a mistake.
    """
    chosen = ServiceSettings.from_env("O_", {"O_RETRIES_STATUSES": "none", "O_FAULTS": "off"})

    assert () == chosen.retries.statuses  # type: ignore[union-attr]


def test_what_is_off_has_no_settings() -> None:
    """
    A switch wins over the numbers beside it.
    """
    environ = {"O_HEDGING": "off", "O_HEDGING_DELAY": "1s"}

    assert ServiceSettings.from_env("O_", environ).hedging is None


def test_a_prefix_is_needed() -> None:
    """
    Without one all of the environment would be settings.
    """
    with pytest.raises(ValueError, match="needs a prefix"):
        ServiceSettings.from_env("", {})


# What becomes of them


def test_the_client_is_told_its_part() -> None:
    """
    Timeouts of the transport, and the pool's limits.
    """
    chosen = ServiceSettings.from_mapping(
        {"timeouts": {"read": None, "connect": 1}, "connections": {"max": 7, "ping_after": "1m"}}
    )

    assert Timeout(connect=1.0, read=None, write=10.0, pool=2.0) == timeout_of(chosen)
    assert Limits(
        max_connections=7, max_keepalive_connections=100, max_connection_age=300.0, ping_after=60.0
    ) == limits_of(chosen)


def test_layers_are_made_of_their_sections() -> None:
    """
    With their values, and without what is off.
    """
    chosen = ServiceSettings.from_mapping(
        {
            "timeouts": {"total": None, "attempt": None},
            "retries": {"attempts": 5, "cap": "1s"},
            "redirects": {"limit": 3},
            "hedging": True,
            "breaker": {"ratio": 0.9},
            "logging": False,
        }
    )
    pipeline = pipeline_of(chosen)

    retries, hedging = pipeline.find(Retries), pipeline.find(Hedging)
    assert retries is not None
    assert hedging is not None
    assert retries.budget is hedging.budget
    assert "attempts=5, wait=FullJitter(base=0.1, cap=1.0)" in repr(retries)
    assert repr(pipeline.find(Redirects)).startswith("Redirects(follow=True, limit=3, sensitive=")
    assert Deadlines(None) == pipeline.find(Deadlines)
    assert AttemptTimeouts not in pipeline
    breaker = pipeline.find(CircuitBreaker)
    assert breaker is not None
    assert 0.9 == breaker.ratio
    assert "Logging" not in repr(pipeline)


def test_two_stacks_share_no_state() -> None:
    """
    Each client has breakers and budgets of its own.
    """
    first, second = (pipeline_of(ServiceSettings()) for _ in range(2))

    assert first.find(CircuitBreaker) is not second.find(CircuitBreaker)
    assert first.find(Retries).budget is not second.find(Retries).budget  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"addresses": ["http://10.0.0.7:80"]}, "{'orders': [http://10.0.0.7:80]}"),
        ({"file": "/etc/orders"}, "WatchedFile"),
        ({"dns": "orders.internal:8080", "refresh": 5}, "port=8080, interval=5"),
        ({"srv": "_http._tcp.orders"}, "SRV"),
        (
            {"addresses": ["a:1"], "choice": "consistent_hash", "hash_by": "X-User"},
            "ConsistentHash",
        ),
        ({"addresses": ["a:1"], "eject": False}, "ejection=None"),
    ],
)
def test_endpoints_have_a_source(given: dict[str, Any], shown: str) -> None:
    """
    They stand for the host of the base URL.
    """
    chosen = ServiceSettings.from_mapping({"base_url": "http://Orders/v1", "endpoints": given})

    assert shown in repr(pipeline_of(chosen))


def test_sections_are_shown_without_logins() -> None:
    """
    A URL's user and password are nobody's business.
    """
    chosen = ServiceSettings.from_mapping(
        {
            "base_url": "http://u:hunter2@h/",
            "rate_limit": {"rate": "1/second", "storage": "redis://u:hunter2@127.0.0.1:1"},
        }
    )

    assert "hunter2" not in repr(chosen) + "".join(map(str, chosen))
    assert "hunter2" not in repr(chosen.rate_limit)
    assert "RetrySettings(attempts=5)" == repr(RetrySettings(attempts=5))
    assert "RedirectSettings()" == repr(RedirectSettings())
    assert "EndpointSettings(addresses=(a, b))" == repr(EndpointSettings(addresses=("a", "b")))


def test_nothing_with_a_login_is_shown() -> None:
    """
    Not by a value's repr, nor by errors, wherever in a text the login stands.
    """
    chosen = ServiceSettings.from_mapping(
        {
            "base_url": "http://u:hunter2@h/",
            "rate_limit": {"rate": "1/second", "storage": "redis://:hunt/er2@127.0.0.1:1"},
        }
    )
    shown = repr(list(chosen)) + repr(chosen) + repr(pipeline_of(chosen))
    assert "REDACTED" in shown

    mistakes: list[Any] = [
        {"base_url": "htp//u:hunter2@h"},
        {"base_url": "http://u:hunter2@h:x"},
        {"base_url": ["http://u:hunter2@h"]},
        {"rate_limit": "redis://:hunter2@h"},
        {"rate_limit": {"storage": ["redis://:hunter2@h"]}},
        {"endpoints": {"addresses": "http://u:hunter2@h"}},
        *(
            {"rate_limit": {"storage": storage}}
            for storage in (
                "redis:/:hunter2@h/0",
                "redis//:hunter2@h",
                "rediss:hunter2@h",
                "mongodb://u:hunter2@h",
            )
        ),
    ]
    for mistake in mistakes:
        with pytest.raises((TypeError, ValueError)) as raised:
            ServiceSettings.from_mapping(mistake, "config.toml")
        shown += str(raised.value)

    assert "hunt" not in shown


# Copies


@pytest.mark.parametrize(
    "copied", [lambda s: pickle.loads(pickle.dumps(s)), copy.deepcopy, copy.copy]
)
def test_settings_can_be_copied(copied: Any) -> None:
    """
    With where each value came from, to another process as well.
    """
    base = ServiceSettings.from_mapping({"retries": {"attempts": 5}, "hedging": True}, "a.toml")
    chosen = base.updated({"breaker": False, "timeouts": {"total": 3}})

    made = copied(chosen)

    assert chosen == made
    assert told(chosen) == told(made)
    assert hash(chosen) == hash(made)


# What comes from several sources


def test_incomplete_sections_can_be_completed() -> None:
    """
    A number from one source, and what it is a number of from another, in either order.
    """
    chosen = ServiceSettings.from_env(
        "X_",
        {"X_ENDPOINTS_EJECTED_FOR": "3s", "X_RATE_LIMIT_PATIENCE": "1s", "X_FAULTS_RATE": "0.5"},
    )
    later = {
        "endpoints": {"addresses": ["a:1"]},
        "rate_limit": {"rate": "1/second"},
        "faults": {"status": 503},
        "base_url": "http://orders",
    }

    shown = repr(pipeline_of(chosen.updated(later)))

    assert "base=3" in shown
    assert "patience=1.0" in shown
    assert "Fault(rate=0.5" in shown
    under = ServiceSettings.from_mapping(later, "config.toml")
    both = ServiceSettings.from_env("X_", {"X_ENDPOINTS_EJECTED_FOR": "3s"}, base=under)
    assert "base=3" in repr(pipeline_of(both))


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"X_ENDPOINTS_EJECTED_FOR": "3s"},
            "endpoints (environment X_ENDPOINTS_EJECTED_FOR) needs one of addresses, file, dns and srv, and has none",
        ),
        (
            {"X_RATE_LIMIT": "on"},
            'rate_limit (environment X_RATE_LIMIT) needs a rate, such as rate = "100/second"',
        ),
        ({"X_FAULTS_RATE": "1"}, "faults (environment X_FAULTS_RATE) needs a latency, a status"),
        (
            {"X_ENDPOINTS_DNS": "orders", "X_ENDPOINTS_HASH_BY": "X-User"},
            '(environment X_ENDPOINTS_HASH_BY) is for choice = "consistent_hash", and that is "power_of_two"',
        ),
        (
            {
                "X_ENDPOINTS_DNS": "orders",
                "X_ENDPOINTS_CHOICE": "round_robin",
                "X_ENDPOINTS_DECAY": "1",
            },
            'endpoints.decay (environment X_ENDPOINTS_DECAY) is for choice = "power_of_two"',
        ),
        (
            {"X_TIMEOUTS_ATTEMPT": "40s"},
            "timeouts.attempt = 40.0 (environment X_TIMEOUTS_ATTEMPT) must be at most timeouts.total = 30.0 (default)",
        ),
    ],
)
def test_what_nobody_completes_is_refused_with_its_origin(
    environ: dict[str, str], message: str
) -> None:
    """
    When layers are made, and not before.
    """
    chosen = ServiceSettings.from_env("X_", environ)

    with pytest.raises(ValueError, match=re.escape(message)):
        pipeline_of(chosen)


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_a_fault_that_was_asked_for_happens_to_all_requests(how: str) -> None:
    """
    Unless a rate says how many of them meet it.
    """
    chosen = {
        "argument": ServiceSettings(faults={"status": 503}),  # type: ignore[arg-type]
        "environment": ServiceSettings.from_env("X_", {"X_FAULTS_STATUS": "503"}),
    }[how]

    layer = pipeline_of(chosen).find(FaultInjection)

    assert (Fault(status=503),) == layer.rules  # type: ignore[union-attr]
    assert "faults.rate = 1.0 (default)" in [str(each) for each in chosen]
    none = pipeline_of(chosen.updated({"faults": {"rate": 0}})).find(FaultInjection)
    assert (Fault(0.0, status=503),) == none.rules  # type: ignore[union-attr]


def test_an_attempt_fits_into_the_total() -> None:
    """
    Two that were said have to; a default follows; none bounds nothing.
    """

    def limits(**timeouts: Any) -> tuple[Any, Any]:
        stack = pipeline_of(ServiceSettings(timeouts=timeouts))  # type: ignore[arg-type]
        return stack.find(Deadlines), stack.find(AttemptTimeouts)

    assert (Deadlines(30.0), AttemptTimeouts(10.0)) == limits()
    assert (Deadlines(5.0), AttemptTimeouts(5.0)) == limits(total=5)
    assert (Deadlines(5.0), AttemptTimeouts(5.0)) == limits(total=5, attempt=5)
    assert (Deadlines(None), AttemptTimeouts(40.0)) == limits(total=None, attempt=40)
    assert (Deadlines(5.0), None) == limits(total=5, attempt=None)
    said = ServiceSettings.from_mapping({"timeouts": {"attempt": 8}}, "config.toml")
    with pytest.raises(ValueError) as raised:
        said.updated({"timeouts": {"total": 5}})
    assert (
        "timeouts.attempt = 8.0 (config.toml) must be at most timeouts.total = 5.0 (argument), or none"
        == str(raised.value)
    )


def test_a_total_holds_without_any_other_timeout() -> None:
    """
    A timeout of none at all would lift it.
    """
    none = dict.fromkeys(("connect", "read", "write", "pool"))

    chosen = ServiceSettings.from_mapping({"timeouts": none})

    assert Timeout(None, total=30.0) == timeout_of(chosen)


def test_a_section_that_was_switched_on_says_so() -> None:
    """
    By whom; and what is replaced as a whole forgets who said its numbers.
    """
    assert "ServiceSettings(hedging=on)" == repr(ServiceSettings(hedging=True))  # type: ignore[arg-type]
    assert "ServiceSettings(retries.attempts=5)" == repr(
        ServiceSettings(retries={"attempts": 5})  # type: ignore[arg-type]
    )
    first = ServiceSettings.from_mapping({"retries": {"attempts": 5}}, "a.toml")
    assert "ServiceSettings()" == repr(first.updated({"retries": RetrySettings()}))


# Single settings


def test_hidden_names_are_added_to_the_known_ones() -> None:
    """
    In the log and in spans.
    """
    stack = pipeline_of(
        ServiceSettings.from_mapping(
            {"logging": {"secrets": ["ticket"]}, "tracing": {"secrets": ["ticket"]}}
        )
    )

    for kind in (Logging, Tracing, AttemptTracing):
        layer: Any = stack.find(kind)
        assert {"ticket", "password"} <= layer.secrets


def test_errors_have_names() -> None:
    """
    What is retried is said by them.
    """
    stack = pipeline_of(ServiceSettings.from_mapping({"retries": {"on": ["ConnectError"]}}))

    assert (ConnectError,) == stack.find(Retries).transient.on  # type: ignore[union-attr]


@pytest.mark.parametrize(("idle_408", "attempts"), [(True, 2), (False, 1)])
@pytest.mark.parametrize(("connection", "tells"), [("close", True), ("keep-alive", False)])
def test_a_server_that_waited_in_vain_is_asked_again(
    idle_408: bool, attempts: int, connection: str, tells: bool
) -> None:
    """
    By its 408 on a connection that it closes; another 408 is an application's. The setting says no.
    """
    asked: list[Request] = []

    def answer(request: Request) -> Response:
        asked.append(request)
        return Response(408 if len(asked) == 1 else 200, headers={"Connection": connection})

    retries = {"idle_408": idle_408, "base": 0.0, "cap": 0.0}
    with Client.for_service("orders", retries=retries, transport=MockTransport(answer)) as client:
        client.get("/")

    assert (attempts if tells else 1) == len(asked)


def test_every_number_of_endpoints_can_be_said() -> None:
    """
    Of the ring, and of forgiving.
    """
    base: dict[str, Any] = {"addresses": ["a:1"], "forgiven_after": "1m"}
    hashed = {
        "choice": "consistent_hash",
        "hash_by": "X-User",
        "hash_bound": 1.5,
        "hash_points": 40,
    }

    def endpoints(given: dict[str, Any]) -> Any:
        chosen = {"base_url": "http://orders", "endpoints": base | given}
        return pipeline_of(ServiceSettings.from_mapping(chosen)).find(Endpoints)

    assert ConsistentHash("X-User", 1.5, 40) == endpoints(hashed).choice
    assert PowerOfTwo(3.0) == endpoints({"decay": 3}).choice
    assert 60.0 == endpoints({}).ejection.forgiven_after


def test_the_id_does_not_keep_requests_apart() -> None:
    """
    Whatever its header is called.
    """
    chosen = {"coalescing": {"ignore": ["X-Trace"]}, "request_id": {"header": "X-Correlation-Id"}}

    coalescing = pipeline_of(ServiceSettings.from_mapping(chosen)).find(Coalescing)

    assert {"x-trace", "x-correlation-id"} == coalescing.ignore  # type: ignore[union-attr]


@pytest.mark.parametrize("followed", [True, False])
def test_a_key_does_not_go_to_another_origin(followed: bool) -> None:
    """
    Whether redirects are followed by default, or by one call.
    """
    chosen = ServiceSettings.from_mapping({"redirects": followed})

    redirects = pipeline_of(chosen).find(Redirects)

    assert redirects is not None
    assert {"authorization", "proxy-authorization", "x-api-key"} == redirects.sensitive
    mine = ServiceSettings.from_mapping({"redirects": {"sensitive": ["X-Mine"]}})
    assert {"x-mine"} == pipeline_of(mine).find(Redirects).sensitive  # type: ignore[union-attr]
