"""The service stack made of its settings: which layers, in which order, over which transport."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple

from scallion.middlewares.auth import Authentication
from scallion.middlewares.per_origin import origin_name
from scallion.middlewares.redirects import Redirects
from scallion.middlewares.timeouts import AttemptTimeouts, Deadlines
from scallion.pipeline.pipeline import PER_ATTEMPT, PER_CALL, AnyMiddleware, Pipeline, Slot
from scallion.pipeline.settings import Limits, Timeout
from scallion.pipeline.urls import URL

from ._settings_reading import nearest, quoted
from ._settings_sections import SECTIONS, RedirectSettings
from ._settings_sources import ARGUMENT

if TYPE_CHECKING:
    from scallion.middlewares.retry_budget import RetryBudget
    from scallion.pipeline.types import AuthTypes, URLTypes

    from ._service_settings import ServiceSettings

__all__ = [
    "LIMITS",
    "Service",
    "arguments_of",
    "check_arguments",
    "check_network",
    "limits_of",
    "pipeline_of",
    "timeout_of",
]


class Service(NamedTuple):
    """What a client was made of by `for_service`.

    Attributes:
        name: The service's.
        settings: All of them.
        pipeline: The layers that were made of them.
        has_transport: Whether the transport was made of them, too.
    """

    name: str
    settings: ServiceSettings
    pipeline: Pipeline
    has_transport: bool


class _Stack(NamedTuple):
    """What the layers are made of."""

    settings: ServiceSettings
    auth: AuthTypes | None
    budget: RetryBudget | None


def pipeline_of(settings: ServiceSettings, auth: AuthTypes | None = None) -> Pipeline:
    """The layers of these settings, outermost first; those that are off are left out.

    Raises:
        ValueError: the settings lack something.
    """
    settings.check_whole()
    budget = None if settings.budget is None else settings.budget.make()
    stack = _Stack(settings, auth, budget)
    layers = [make(stack) for make in _ORDER]
    return Pipeline(*(layer for layer in layers if layer is not None))


def check_arguments(client: type, overrides: Mapping[str, Any]) -> None:
    """That each is a setting, or an argument of the client's constructor.

    Raises:
        TypeError: one is neither; the message has the nearest there is.
    """
    taken = signature(client).parameters
    if any(each.kind is each.VAR_KEYWORD for each in taken.values()):
        return
    for key in overrides:
        if key not in SECTIONS and key not in taken and key not in _NOT_HERE:
            raise TypeError(
                f"{key}= is neither a setting of a service nor an argument of {client.__name__}"
                f"{nearest(key, [*SECTIONS, *taken])}"
            )


def check_network(client: type, settings: ServiceSettings, arguments: Mapping[str, Any]) -> None:
    """That the connections will heed what was said of them.

    Raises:
        ValueError: it is about HTTP/2, and that is off.
    """
    taken = signature(client).parameters
    if any(each.kind is each.VAR_KEYWORD for each in taken.values()):
        # A constructor of somebody's own may switch it on.
        return
    usual = taken["http2"].default if "http2" in taken else False
    has_own = arguments.get("transport") is not None or arguments.get("app") is not None
    if has_own or arguments.get("http2", usual) or settings.connections.ping_after is None:
        return
    origin = settings.origin_of(_PINGS)
    # Who says both in two places may have switched it off in the second.
    if origin == ARGUMENT or "http2" not in arguments:
        raise ValueError(f"{_PINGS} ({origin}) is for http2=True, and that is off")


def arguments_of(
    name: str,
    base_url: URLTypes | None,
    settings: ServiceSettings | Mapping[str, Any] | None,
    overrides: Mapping[str, Any],
) -> tuple[ServiceSettings, dict[str, Any]]:
    """What `Client.for_service` makes a client of: all settings, and the arguments of its constructor.

    Raises:
        TypeError, ValueError: see `Client.for_service`.
    """
    from ._service_settings import DEFAULT, ServiceSettings

    _check_name(name)
    for argument, instead in _NOT_HERE.items():
        if argument in overrides:
            raise TypeError(f"for_service takes no {argument}=: {instead}")
    if settings is None:
        settings = ServiceSettings()
    elif not isinstance(settings, ServiceSettings):
        settings = ServiceSettings.from_mapping(settings, "settings")
    given = {key: value for key, value in overrides.items() if key in SECTIONS}
    if base_url is not None:
        given["base_url"] = str(base_url)
    settings = settings.updated(given)
    if settings.base_url is None:
        settings = settings.updated({"base_url": f"http://{name}"}, DEFAULT)
    arguments = {key: value for key, value in overrides.items() if key not in SECTIONS}
    return settings, {
        "base_url": settings.base_url,
        "pipeline": pipeline_of(settings),
        "timeout": timeout_of(settings),
        "limits": limits_of(settings),
        **arguments,
    }


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(
            f"for_service needs the name of a service, such as 'orders', not {type(name).__name__}"
        )
    if not name.strip():
        raise ValueError(f"for_service needs the name of a service, such as 'orders': {name!r}")
    if any(sign in "/\\?#@" or sign.isspace() for sign in name):
        raise ValueError(
            f"for_service takes the name of a service, such as 'orders', not {quoted(name)}: "
            "where it is, say by base_url='http://orders.internal/v1'"
        )


_PINGS = "connections.ping_after"
_NOT_HERE = {
    "timeout": "say timeouts={'read': 5.0}",
    "limits": "say connections={'max': 50}",
    "pipeline": "say which layers by their settings, breaker=False for example, or use Client(pipeline=...)",
    "follow_redirects": "say redirects=True",
    "allow_redirects": "say redirects=True",
    "max_redirects": "say redirects={'limit': 5}",
}


def timeout_of(settings: ServiceSettings) -> Timeout:
    """What the client is given as its `timeout`; the rest are layers."""
    own = settings.timeouts
    each = {"connect": own.connect, "read": own.read, "write": own.write, "pool": own.pool}
    # A `Timeout` without any limit would lift the total's, which holds where it was not said.
    total = own.total if set(each.values()) == {None} else None
    return Timeout(**each, total=total)


def limits_of(settings: ServiceSettings) -> Limits:
    """What the client is given as its `limits`."""
    own = settings.connections.values()
    return Limits(**{name: own[key] for key, name in LIMITS.items()})


LIMITS = {
    "max": "max_connections",
    "idle": "max_keepalive_connections",
    "per_origin": "max_connections_per_host",
    "idle_for": "keepalive_expiry",
    "age": "max_connection_age",
    "ping_after": "ping_after",
}
"""What the settings of `connections` are called in `Limits`."""


_Maker = Callable[[_Stack], AnyMiddleware | Slot | None]


def _section(key: str, which: int = 0) -> _Maker:
    """The layer of one section; or a further one that it is about, which takes no values."""

    def make(stack: _Stack) -> Any:
        section = getattr(stack.settings, key)
        if section is None:
            return None
        return section.kind(which)(**section.arguments()) if which else section.make()

    return make


def _budgeted(key: str) -> _Maker:
    """A layer that sends again, from the budget that all of these share."""

    def make(stack: _Stack) -> Any:
        section = getattr(stack.settings, key)
        return None if section is None else section.make(budget=stack.budget)

    return make


def _endpoints(stack: _Stack) -> Any:
    section = stack.settings.endpoints
    # The service is called as URLs call it.
    url = stack.settings.base_url
    if section is None:
        return None
    if url is None:
        raise ValueError("endpoints need a base_url: they stand for its host")
    return section.make(service=URL(url).host)


def _coalescing(stack: _Stack) -> Any:
    section, ids = stack.settings.coalescing, stack.settings.request_id
    return None if section is None else section.make(request_id=None if ids is None else ids.header)


def _rate_limit(stack: _Stack) -> Any:
    section, url = stack.settings.rate_limit, stack.settings.base_url
    if section is None:
        return None
    has_endpoints = stack.settings.endpoints is not None and url is not None
    return section.make(service=origin_name(URL(url or "").origin_key) if has_endpoints else None)


def _total(stack: _Stack) -> Deadlines:
    return Deadlines(stack.settings.timeouts.total)


def _attempt(stack: _Stack) -> AttemptTimeouts | None:
    seconds = stack.settings.attempt_limit
    return None if seconds is None else AttemptTimeouts(seconds)


def _redirects(stack: _Stack) -> Redirects:
    # Without it no call could ask for redirects.
    section = stack.settings.redirects
    made: Redirects = RedirectSettings().make(follow=False) if section is None else section.make()
    return made


def _auth(stack: _Stack) -> Authentication:
    return Authentication(stack.auth)


def _slot(slot: Slot) -> _Maker:
    return lambda stack: slot  # noqa: ARG005


# Outermost first.
_ORDER: tuple[_Maker, ...] = (
    _section("tracing"),
    _section("metrics"),
    _section("logging"),
    _section("request_id"),
    _total,
    _section("bulkhead"),
    _slot(PER_CALL),
    _coalescing,
    _redirects,
    _section("idempotency_keys"),
    _budgeted("retries"),
    _budgeted("hedging"),
    _auth,
    _endpoints,
    _section("breaker"),
    _rate_limit,
    _section("concurrency"),
    _attempt,
    _section("deadline_propagation"),
    _section("tracing", 1),
    _section("metrics", 1),
    _slot(PER_ATTEMPT),
    _section("faults"),
)
