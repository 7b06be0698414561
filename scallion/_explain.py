"""`client.explain()`: the onion with every effective number, and where each came from. No secrets."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from scallion.pipeline.onion import name_of
from scallion.pipeline.pipeline import Slot
from scallion.pipeline.redaction import SECRET_NAMES, redact_url, secret_names
from scallion.pipeline.settings import DEFAULT_LIMITS, DEFAULT_TIMEOUT, Limits

if TYPE_CHECKING:
    from ._base import BaseClient
    from ._service_settings import ServiceSettings

__all__ = ["Explanation", "explain"]

_TIMEOUTS = {"Deadlines": "timeouts.total", "AttemptTimeouts": "timeouts.attempt"}
# Who shares the retry budget.
_BUDGETED = frozenset({"Hedging", "Retries"})


class Explanation(str):
    """A text that an interactive session shows as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def explain(client: BaseClient) -> Explanation:
    """What each layer of a client does, outermost first, and then what its transport is told."""
    service = client._service
    lines = [_title(client, None if service is None else service[0])]
    lines += [f"  {line}" for line in _client(client, service)]
    told: set[str] = set()
    for layer in client.pipeline.layers:
        if isinstance(layer, Slot):
            lines.append(f"-- {layer.name} --")
            continue
        lines.append(_name(layer))
        lines += [f"  {line}" for line in _layer(layer, service, told)]
    lines.append(f"transport: {_name(client._transport)}")
    lines += [f"  {line}" for line in _transport(client, service)]
    lines += [
        f"transport for {pattern.pattern}: {_name(t)}" for pattern, t in client._mounts.items()
    ]
    if service is not None:
        lines += _rest(service[1], told)
    return Explanation("\n".join(lines))


Service = tuple[str, "ServiceSettings"]


def _title(client: BaseClient, name: str | None) -> str:
    kind = type(client).__name__
    return f"{kind}, outermost first" if name is None else f"{kind} for {name}, outermost first"


def _client(client: BaseClient, service: Service | None) -> Iterator[str]:
    url = redact_url(client.base_url)
    if service is None:
        yield from [_line("base_url", url, "argument")] if url else []
    else:
        yield _line("base_url", url, service[1].origins.get("base_url", "default"))
    if client.auth is not None:
        yield _line("auth", type(client.auth).__name__, "argument")


def _layer(layer: Any, service: Service | None, told: set[str]) -> Iterator[str]:
    """The settings of one layer."""
    paths = () if service is None else _paths_of(layer)
    if service is not None and paths:
        for path in paths:
            key, _, name = path.partition(".")
            for setting in service[1].section(key):
                if setting.path not in told and (not name or setting.path == path):
                    told.add(setting.path)
                    yield str(setting)
        return
    if is_dataclass(layer):
        usual = _usual(layer)
        for one in fields(layer):
            if one.repr and one.init and not one.name.startswith("_"):
                value = getattr(layer, one.name)
                same = getattr(usual, one.name, MISSING) == value
                yield _line(
                    one.name,
                    _shown(one.name, value, ours=_is_ours(layer)),
                    "default" if same else "argument",
                )


def _usual(layer: Any) -> Any:
    """The same layer with its defaults; of others' layers, what their class says."""
    kind = type(layer)
    try:
        return kind() if _is_ours(layer) else kind
    except TypeError:
        return kind


def _paths_of(layer: Any) -> tuple[str, ...]:
    """Which settings of a service are this layer's: whole sections, or single ones."""
    from ._settings_sections import SECTIONS

    if not _is_ours(layer):
        return ()
    name = type(layer).__name__
    if name in _TIMEOUTS:
        return (_TIMEOUTS[name],)
    found = [
        key
        for key, section in SECTIONS.items()
        if name in {home.rpartition(".")[2] for home in section.layers}
    ]
    return (*found, "budget") if name in _BUDGETED else tuple(found)


def _transport(client: BaseClient, service: Service | None) -> Iterator[str]:
    if service is not None:
        for setting in service[1].section("timeouts"):
            if setting.path not in ("timeouts.total", "timeouts.attempt"):
                yield str(setting)
        if isinstance(_limits(client._transport), Limits):
            yield from map(str, service[1].section("connections"))
        return
    usual = DEFAULT_TIMEOUT.as_dict()
    for name, value in client.timeout.as_dict().items():
        yield _line(f"timeout.{name}", value, "default" if value == usual.get(name) else "argument")
    if client._redirects is not None:
        for name in ("follow_redirects", "max_redirects"):
            value = getattr(client, name)
            usual_one = client._redirects[name == "max_redirects"]
            yield _line(name, value, "pipeline" if value == usual_one else "argument")
    yield _line("trust_env", client.trust_env, "default" if client.trust_env else "argument")
    limits = _limits(client._transport)
    if isinstance(limits, Limits):
        for name in Limits.__slots__:
            value = getattr(limits, name)
            same = value == getattr(DEFAULT_LIMITS, name)
            yield _line(f"limits.{name}", value, "default" if same else "argument")


def _limits(transport: object) -> object:
    return getattr(transport, "_limits", None)


def _rest(settings: ServiceSettings, told: set[str]) -> Iterator[str]:
    from ._settings_sections import SECTIONS

    off = [
        s for key in SECTIONS for s in settings.section(key) if s.value is False and s.path == key
    ]
    if off := [setting for setting in off if setting.path not in told]:
        yield "off"
        yield from (f"  {setting}" for setting in off)


def _line(name: str, value: object, origin: str) -> str:
    from ._settings_reading import shown

    return f"{name} = {shown(value)} ({origin})"


def _name(layer: object) -> str:
    return "none" if layer is None else name_of(layer)


def _shown(name: str, value: Any, *, ours: bool) -> Any:
    """`value`, if it can be shown in a line and is no secret; else what kind of value it is."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
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
