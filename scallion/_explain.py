"""`client.explain()`: the onion with every effective number, and where each came from. No secrets."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from scallion.middlewares.auth import Authentication
from scallion.middlewares.redirects import Redirects
from scallion.pipeline.auth import Auth
from scallion.pipeline.onion import name_of
from scallion.pipeline.pipeline import Slot
from scallion.pipeline.redaction import SECRET_NAMES, redact_url, secret_names
from scallion.pipeline.settings import DEFAULT_LIMITS, DEFAULT_TIMEOUT, Limits
from scallion.pipeline.urls import URL, with_trailing_slash

from ._service_layers import LIMITS, timeout_of
from ._settings_reading import shown
from ._settings_sections import SECTIONS, RedirectSettings

if TYPE_CHECKING:
    from ._base import BaseClient
    from ._service_layers import Service
    from ._service_settings import Setting

__all__ = ["Explanation", "explain"]

_TIMEOUTS = {"Deadlines": "timeouts.total", "AttemptTimeouts": "timeouts.attempt"}
# Who shares the retry budget.
_BUDGETED = frozenset({"Hedging", "Retries"})
# What of `Redirects` an attribute of the client says, too: the field, the setting and the attribute.
_REDIRECTS = (
    ("follow", "redirects", "follow_redirects"),
    ("limit", "redirects.limit", "max_redirects"),
)
# What a transport was told, and what it does otherwise.
_NETWORK = {"verify": True, "cert": None, "http1": True, "http2": False}


class Explanation(str):
    """A text that an interactive session shows as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def explain(client: BaseClient) -> Explanation:
    """What each layer of a client does, outermost first, and then what its transport is told."""
    service = client._service
    lines = [_title(client)]
    lines += [f"  {line}" for line in _client(client)]
    told: set[str] = set()
    for layer in client.pipeline.layers:
        if isinstance(layer, Slot):
            lines.append(f"-- {layer.name} --")
            continue
        lines.append(_name(layer))
        # Layers that were added later have nothing of the service's settings, whatever their class.
        if service is not None and any(layer is made for made in service.pipeline.layers):
            lines += [f"  {line}" for line in _made(layer, client, service, told)]
        else:
            lines += [f"  {line}" for line in _fields(layer, client)]
    lines.append(f"transport: {_name(client._transport)}")
    timeouts = _timeouts(client) if service is None else _service_timeouts(client, service)
    lines += [f"  {line}" for line in (*timeouts, *_transport(client))]
    for pattern, transport in client._mounts.items():
        lines.append(f"transport for {pattern.pattern}: {_name(transport)}{_proxy(transport)}")
    if service is not None:
        lines += _rest(service, told)
    return Explanation("\n".join(lines))


def _title(client: BaseClient) -> str:
    kind, service = type(client).__name__, client._service
    return f"{kind}{'' if service is None else f' for {service.name}'}, outermost first"


def _client(client: BaseClient) -> Iterator[str]:
    url, service = client.base_url, client._service
    if service is None:
        origin = "argument" if url == client._given[0] else "client.base_url"
        yield from [_line("base_url", redact_url(url), origin)] if str(url) else []
    else:
        is_same = url == with_trailing_slash(URL(service.settings.base_url or ""))
        origin = service.settings.origin_of("base_url") if is_same else "client.base_url"
        yield _line("base_url", redact_url(url), origin)
    if client.auth is not None:
        origin = "argument" if client.auth is client._given[1] else "client.auth"
        yield _line("auth", type(client.auth).__name__, origin)


def _made(layer: Any, client: BaseClient, service: Service, told: set[str]) -> Iterator[str]:
    """The settings that a layer was made of."""
    if isinstance(layer, Redirects):
        told.update(setting.path for setting in service.settings.section("redirects"))
        yield from map(str, _redirects(layer, client, service))
        return
    paths = _paths_of(layer)
    if not paths:
        yield from _fields(layer, client)
    for path in paths:
        key, _, name = path.partition(".")
        for setting in service.settings.section(key):
            if setting.path not in told and (not name or setting.path == path):
                told.add(setting.path)
                yield str(setting if path != _TIMEOUTS["Deadlines"] else _total(setting, client))


def _redirects(layer: Redirects, client: BaseClient, service: Service) -> Iterator[Setting]:
    """Its section's settings, and what the client's attributes say; the layer is there even if the section is off."""
    from ._service_settings import DEFAULT, Setting

    known = {setting.path: setting for setting in service.settings.section("redirects")}
    now = {
        path: Setting(path, getattr(client, attribute), f"client.{attribute}")
        for field, path, attribute in _REDIRECTS
        if getattr(client, attribute) != getattr(layer, field)
    }
    if now and service.settings.redirects is None:
        for name, value in RedirectSettings().values().items():
            path = f"redirects.{name}"
            known[path] = Setting(path, value, DEFAULT)
    yield from (known | now).values()


def _total(setting: Setting, client: BaseClient) -> Setting:
    """The whole call's limit: what the client's own timeout says is laid over the layer's; see `Deadlines`."""
    service, limits = client._service, client.timeout.as_dict()
    if service is None or client.timeout == timeout_of(service.settings):
        return setting
    if limits.get("total") is None and any(limit is not None for limit in limits.values()):
        return setting
    return setting._replace(value=limits.get("total"), origin="client.timeout")


def _fields(layer: Any, client: BaseClient) -> Iterator[str]:
    """What a layer says of itself."""
    if isinstance(layer, Authentication) and client.auth is None:
        # The client's goes over it, with each call.
        taken = "default" if client._given[1] is None else "client.auth"
        origin = taken if layer.auth is None else "argument"
        yield _line("auth", None if layer.auth is None else _name(layer.auth), origin)
    if not is_dataclass(layer):
        return
    usual = _usual(layer)
    for one in fields(layer):
        if not (one.repr and one.init) or one.name.startswith("_"):
            continue
        value = getattr(layer, one.name)
        origin = "default" if getattr(usual, one.name, MISSING) == value else "argument"
        if isinstance(layer, Redirects) and (said := _said(layer, one.name, client)) is not None:
            value, origin = said
        yield _line(one.name, _shown(one.name, value, ours=_is_ours(layer)), origin)


def _said(layer: Redirects, field: str, client: BaseClient) -> tuple[object, str] | None:
    """What the client says in the place of a layer's field, and by what; None where it says the same."""
    if client._redirects == (client.follow_redirects, client.max_redirects):
        # Nothing is laid over what layers say themselves.
        return None
    for name, _, attribute in _REDIRECTS:
        if name == field and (value := getattr(client, attribute)) != getattr(layer, field):
            return value, _redirects_origin(attribute, client)
    return None


def _redirects_origin(attribute: str, client: BaseClient) -> str:
    """Who has said it in the layer's place: the client's constructor, or its attribute since then."""
    attributes = [attribute for _, _, attribute in _REDIRECTS]
    given = dict(zip(attributes, client._given_redirects, strict=True))
    return "argument" if getattr(client, attribute) == given[attribute] else f"client.{attribute}"


def _usual(layer: Any) -> Any:
    """The same layer with its defaults; of others' layers, what their class says."""
    kind = type(layer)
    try:
        return kind() if _is_ours(layer) else kind
    except TypeError:
        return kind


def _paths_of(layer: Any) -> tuple[str, ...]:
    """Which settings of a service are this layer's: whole sections, or single ones."""
    name = type(layer).__name__
    if name in _TIMEOUTS:
        return (_TIMEOUTS[name],)
    found = [
        key
        for key, section in SECTIONS.items()
        if name in {home.rpartition(".")[2] for home in section.layers}
    ]
    return (*found, "budget") if name in _BUDGETED else tuple(found)


def _service_timeouts(client: BaseClient, service: Service) -> Iterator[str]:
    """Those of the network, as the settings say or the client since then."""
    given = timeout_of(service.settings)
    for setting in service.settings.section("timeouts"):
        name = setting.path.removeprefix("timeouts.")
        if setting.path in _TIMEOUTS.values():
            continue
        now = getattr(client.timeout, name)
        same = now == getattr(given, name)
        yield str(setting) if same else _line(setting.path, now, "client.timeout")


def _timeouts(client: BaseClient) -> Iterator[str]:
    usual, given = DEFAULT_TIMEOUT.as_dict(), client._given[2].as_dict()
    now = client.timeout.as_dict()
    # One that bounds the whole call is named only where there is one.
    for name in now | {name: None for name in given if name not in now}:
        value = now.get(name)
        said = "default" if value == usual.get(name) else "argument"
        yield _line(
            f"timeout.{name}", value, said if value == given.get(name) else "client.timeout"
        )
    if client._redirects is not None:
        for (_, _, name), usual_one in zip(_REDIRECTS, client._redirects, strict=True):
            value = getattr(client, name)
            origin = _redirects_origin(name, client)
            yield _line(
                name, value, "pipeline" if (value, origin) == (usual_one, "argument") else origin
            )


def _transport(client: BaseClient) -> Iterator[str]:
    service, transport = client._service, client._transport
    given = "argument" if service is None or service.has_transport else "transport"
    yield _line("trust_env", client.trust_env, "default" if client.trust_env else "argument")
    connector = getattr(transport, "_connector", None)
    for name, usual in _NETWORK.items():
        value = getattr(connector, f"_{name}", usual)
        if connector is not None and (name in ("verify", "http2") or value != usual):
            # With a certificate stands its key's password.
            told = "given" if name == "cert" else _shown(name, value, ours=True)
            yield _line(name, told, "default" if value == usual else given)
    limits = getattr(transport, "_limits", None)
    if not isinstance(limits, Limits):
        return
    if service is None:
        for name in Limits.__slots__:
            value = getattr(limits, name)
            same = value == getattr(DEFAULT_LIMITS, name)
            yield _line(f"limits.{name}", value, "default" if same else "argument")
        return
    for setting in service.settings.section("connections"):
        value = getattr(limits, LIMITS[setting.path.removeprefix("connections.")])
        yield str(setting) if service.has_transport else _line(setting.path, value, "transport")


def _proxy(transport: object) -> str:
    proxy = getattr(getattr(transport, "_connector", None), "_proxy", None)
    return "" if proxy is None else f" through {redact_url(proxy.url)}"


def _rest(service: Service, told: set[str]) -> Iterator[str]:
    """What is off, or would be heeded by layers that are."""
    left = [setting for setting in service.settings if setting.path not in told]
    off = [str(s) for s in left if s.path in SECTIONS and s.value is False]
    off += [str(s) for s in left if s.path == _TIMEOUTS["AttemptTimeouts"]]
    if service.settings.budget is not None and "budget.share" not in told:
        off.append(_line("budget", False, "retries and hedging are off"))
    if off:
        yield "off"
        yield from (f"  {line}" for line in off)


def _line(name: str, value: object, origin: str) -> str:
    return f"{name} = {shown(value)} ({origin})"


def _name(layer: object) -> str:
    return "none" if layer is None else name_of(layer)


def _shown(name: str, value: Any, *, ours: bool) -> Any:
    """`value`, if it can be shown in a line and is no secret; else what kind of value it is."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Auth):
        return name_of(value)
    if next(iter(secret_names([name]))) in SECRET_NAMES:
        return "REDACTED"
    if isinstance(value, str):
        return value
    if ours and isinstance(value, (tuple, list, set, frozenset)):
        return tuple(sorted(map(_word, value)))
    if isinstance(value, Collection):
        # Of others' layers nobody knows what it is.
        return f"{type(value).__name__} of {len(value)}"
    return _word(value)


def _word(value: Any) -> str:
    # Cases: of our own, a frozen setting such as `FullJitter`, which says what it is and no secret; a number or text;
    # else its name.
    if is_dataclass(value) and not isinstance(value, type) and _is_ours(value):
        return repr(value)
    return str(value) if isinstance(value, (int, float, str)) else name_of(value)


def _is_ours(value: object) -> bool:
    return type(value).__module__.partition(".")[0] == "scallion"
