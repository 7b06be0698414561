"""Every number of the service stack in one value, which knows where each of them came from.

The sections are in `_settings_sections`, what a value may be in `_settings_reading`. They are read from a mapping, and so
from TOML, YAML or JSON, or from the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from scallion.pipeline.errors import InvalidURL
from scallion.pipeline.urls import URL

from ._settings_reading import brief, kind_of, nearest, shown, switch
from ._settings_sections import (
    SECTIONS,
    BreakerSettings,
    BudgetSettings,
    BulkheadSettings,
    CoalescingSettings,
    ConcurrencySettings,
    ConnectionSettings,
    DeadlinePropagationSettings,
    EndpointSettings,
    FaultSettings,
    HedgingSettings,
    IdempotencyKeySettings,
    LoggingSettings,
    MetricsSettings,
    RateLimitSettings,
    RedirectSettings,
    RequestIdSettings,
    RetrySettings,
    Section,
    TimeoutSettings,
    TracingSettings,
)

__all__ = ["ARGUMENT", "DEFAULT", "ServiceSettings", "Setting"]

DEFAULT = "default"
ARGUMENT = "argument"

# What Kubernetes sets for a service in its namespace, which may bear the name of ours.
_KUBERNETES = re.compile(
    r"SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?"
)

_URL = "base_url"


class Setting(NamedTuple):
    """One effective value.

    Attributes:
        path: "retries.attempts"; of a layer as a whole "retries".
        value: What holds: None for none, False for a layer that is off, True for one without settings of its own.
        origin: Where it came from: "default", "argument", the name of a mapping, "environment ORDERS_BREAKER".
    """

    path: str
    value: Any
    origin: str

    def __str__(self) -> str:
        return f"{self.path} = {shown(self.value)} ({self.origin})"


@dataclass(frozen=True, kw_only=True, repr=False)
class ServiceSettings:
    """All settings of a client for one service: `Client.for_service(name, settings=...)`.

    What is not said is the preset of `service_stack()`. A section may be given as such, as a mapping that is laid over
    its defaults, as True for its defaults, or as False or None to leave its layer out. Durations are seconds, or texts
    such as "250ms" and "2s".

    Attributes:
        base_url: What relative URLs are appended to; by default `http://<name>`.
        origins: Where values came from, by their paths, if not from here.

    Raises:
        TypeError: a value is of the wrong kind, or a section of none.
        ValueError: there is no such setting, or a layer does not accept its value.
    """

    base_url: str | None = None
    timeouts: TimeoutSettings = field(default_factory=TimeoutSettings)
    connections: ConnectionSettings = field(default_factory=ConnectionSettings)
    tracing: TracingSettings | None = field(default_factory=TracingSettings)
    metrics: MetricsSettings | None = field(default_factory=MetricsSettings)
    logging: LoggingSettings | None = field(default_factory=LoggingSettings)
    request_id: RequestIdSettings | None = field(default_factory=RequestIdSettings)
    coalescing: CoalescingSettings | None = None
    redirects: RedirectSettings | None = None
    idempotency_keys: IdempotencyKeySettings | None = None
    retries: RetrySettings | None = field(default_factory=RetrySettings)
    budget: BudgetSettings | None = field(default_factory=BudgetSettings)
    hedging: HedgingSettings | None = None
    endpoints: EndpointSettings | None = None
    bulkhead: BulkheadSettings | None = field(default_factory=BulkheadSettings)
    concurrency: ConcurrencySettings | None = None
    rate_limit: RateLimitSettings | None = None
    faults: FaultSettings | None = None
    breaker: BreakerSettings | None = field(default_factory=BreakerSettings)
    deadline_propagation: DeadlinePropagationSettings | None = field(
        default_factory=DeadlinePropagationSettings
    )
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        origins = dict(self.origins)
        for key in (_URL, *SECTIONS):
            given = getattr(self, key)
            section, told = _read(key, given, None, _Named(ARGUMENT))
            if key in SECTIONS and (section is None or section is given):
                told = _differing(key, section, ARGUMENT)
            object.__setattr__(self, key, section)
            origins = told | origins
        object.__setattr__(self, "origins", MappingProxyType(origins))
        self._check_ranges()

    # Reading

    @classmethod
    def from_mapping(
        cls,
        mapping: Mapping[str, Any],
        source: str = "mapping",
        *,
        base: ServiceSettings | None = None,
    ) -> Self:
        """Settings out of what a file says: `tomllib.load(file)`, say.

        Args:
            mapping: Sections by their keys: `{"retries": {"attempts": 5}, "breaker": False}`.
            source: What it is called in errors and by `explain`.
            base: What holds where the mapping says nothing; by default the preset.

        Raises:
            TypeError, ValueError: as the class; the message has the source and the path.
        """
        return cls._over(base, mapping, _Named(source))

    @classmethod
    def from_env(
        cls,
        prefix: str,
        environ: Mapping[str, str] | None = None,
        *,
        base: ServiceSettings | None = None,
    ) -> Self:
        """Settings out of environment variables, `ORDERS_RETRIES_ATTEMPTS=5` or `ORDERS_BREAKER=off`.

        Lists are separated by commas. What Kubernetes sets for services (`ORDERS_SERVICE_HOST`, `ORDERS_PORT`) is passed
        over; all else that begins with the prefix has to be a setting.

        Args:
            prefix: What the names of variables begin with: "ORDERS_".
            environ: In the place of `os.environ`.
            base: What holds where no variable does, such as what a file says; by default the preset.

        Raises:
            TypeError, ValueError: as the class; the message has the variable.
        """
        if not prefix:
            raise ValueError(
                "from_env needs a prefix such as 'ORDERS_', to tell settings from all else"
            )
        environ = os.environ if environ is None else environ
        names = _Variables(prefix)
        nested: dict[str, Any] = {}
        switches: dict[str, Any] = {}
        for variable, text in sorted(environ.items()):
            if not variable.startswith(prefix) or _KUBERNETES.fullmatch(variable[len(prefix) :]):
                continue
            path = names.path(variable)
            key, _, name = path.partition(".")
            if name:
                nested.setdefault(key, {})[name] = text
            else:
                switches[key] = text
        for key, text in switches.items():
            if key == _URL:
                nested[key] = text
                continue
            on = switch(text)
            if on is None:
                raise ValueError(f"{names.told(key)} must be on or off, not {text!r}")
            if not on or key not in nested:
                nested[key] = on
        return cls._over(base, nested, names)

    def updated(self, mapping: Mapping[str, Any], source: str = ARGUMENT) -> Self:
        """These settings with those of `mapping` over them."""
        return self._over(self, mapping, _Named(source))

    @classmethod
    def _over(
        cls, base: ServiceSettings | None, mapping: Mapping[str, Any], source: _Source
    ) -> Self:
        if not isinstance(mapping, Mapping):
            raise TypeError(f"{source.told('')} must be a mapping of settings, not {mapping!r}")
        start = cls() if base is None else base
        changed: dict[str, Any] = {}
        origins = dict(start.origins)
        for key, given in mapping.items():
            if key != _URL and key not in SECTIONS:
                raise ValueError(
                    f"{source.told(str(key))} is no setting{nearest(str(key), [_URL, *SECTIONS])}; "
                    f"there are {', '.join(sorted([_URL, *SECTIONS]))}"
                )
            changed[key], told = _read(key, given, getattr(start, key), source)
            if changed[key] is None and key in SECTIONS:
                origins = {p: o for p, o in origins.items() if not p.startswith(f"{key}.")}
            origins |= told
        values = {one.name: getattr(start, one.name) for one in fields(start)} | changed
        try:
            return cls(**values | {"origins": origins})
        except (TypeError, ValueError) as error:
            raise type(error)(f"{source.told('')}: {error}") from error

    # Asking

    def section(self, key: str) -> Iterator[Setting]:
        """The effective values of one section."""
        section = getattr(self, key)
        origin = self.origins.get(key, DEFAULT)
        values = {} if section is None else section.values()
        if not values:
            yield Setting(key, section is not None, origin)
        for name, value in values.items():
            path = f"{key}.{name}"
            yield Setting(path, value, self.origins.get(path, DEFAULT))

    def __iter__(self) -> Iterator[Setting]:
        """All effective values."""
        yield Setting(_URL, self.base_url, self.origins.get(_URL, DEFAULT))
        for key in SECTIONS:
            yield from self.section(key)

    def __repr__(self) -> str:
        told = [f"{s.path}={brief(s.value)}" for s in self if s.origin != DEFAULT]
        return f"ServiceSettings({', '.join(told)})"

    def _check_ranges(self) -> None:
        """Let the layers look at their values."""
        from ._service_layers import limits_of, timeout_of

        timeout_of(self)
        limits_of(self)
        try:
            URL(self.base_url or "")
        except InvalidURL as error:
            raise ValueError(f"base_url: {error}") from error
        for key in SECTIONS:
            section = getattr(self, key)
            if section is not None and section.layers:
                try:
                    section.make()
                except TypeError as error:
                    raise TypeError(f"{key}: {error}") from error
                except (InvalidURL, ValueError) as error:
                    raise ValueError(f"{key}: {error}") from error


# Where values come from


class _Named:
    """A mapping with a name."""

    text = False

    def __init__(self, name: str) -> None:
        self._name = name

    def told(self, path: str) -> str:
        """A path as errors name it; that of nothing is the whole."""
        if self._name == ARGUMENT:
            return path or "settings"
        return f"{self._name}: {path}" if path else self._name

    def origin(self, path: str) -> str:  # noqa: ARG002
        return self._name


class _Variables:
    """The environment, its variables beginning with a prefix."""

    text = True

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._paths = {self._variable(path): path for path in _paths()}

    def path(self, variable: str) -> str:
        """What a variable sets.

        Raises:
            ValueError: nothing.
        """
        path = self._paths.get(variable)
        if path is None:
            raise ValueError(
                f"environment variable {variable} is no setting{nearest(variable, self._paths)} "
                f"(all that begins with {self._prefix} has to be one)"
            )
        return path

    def told(self, path: str) -> str:
        return f"environment variable {self._variable(path)}" if path else "environment"

    def origin(self, path: str) -> str:
        return f"environment {self._variable(path)}"

    def _variable(self, path: str) -> str:
        return self._prefix + path.replace(".", "_").upper()


_Source = _Named | _Variables


def _paths() -> Iterator[str]:
    yield _URL
    for key, kind in SECTIONS.items():
        yield key
        yield from (f"{key}.{one.name}" for one in fields(kind))


def _read(
    key: str, given: object, old: Section | None, source: _Source
) -> tuple[Any, dict[str, str]]:
    """What `given` makes of the section `old`, and where its values came from."""
    # Cases: no section at all; off; on, as it was; a section; settings of one.
    if key == _URL:
        return _read_url(given, source)
    kind = SECTIONS[key]
    if given is None or given is False:
        if kind.required:
            raise ValueError(f"{source.told(key)} cannot be off: set to none what shall not hold")
        return None, {key: source.origin(key)}
    if given is True:
        return old or kind(), {key: source.origin(key)}
    if isinstance(given, kind):
        return given, {key: source.origin(key)} | _differing(key, given, source.origin(key))
    if not isinstance(given, Mapping):
        raise TypeError(
            f"{source.told(key)} must be a table of settings{'' if kind.required else ', true or false'}, "
            f"not {given!r}"
        )
    known = {one.name: one for one in fields(kind)}
    values: dict[str, Any] = {}
    origins = {} if old is not None else {key: source.origin(key)}
    for name, value in given.items():
        path = f"{key}.{name}"
        if name not in known:
            raise ValueError(
                f"{source.told(path)} is no setting{nearest(str(name), known)}; "
                f"{key} has {', '.join(known) or 'none: it is on or off'}"
            )
        where = source.told(path)
        values[name] = kind_of(known[name]).of(value, text=source.text, where=where)
        origins[path] = source.origin(path)
    return replace(old or kind(), **values), origins


def _read_url(given: object, source: _Source) -> tuple[str | None, dict[str, str]]:
    if given is None:
        return None, {}
    if not isinstance(given, str):
        raise TypeError(f"{source.told(_URL)} must be a text, not {given!r}")
    return given, {_URL: source.origin(_URL)}


def _differing(key: str, section: Section | None, origin: str) -> dict[str, str]:
    """What of a section is not as it is by default, as `origin`'s."""
    switched = (section is None) != (key in _OFF)
    told = {key: origin} if switched else {}
    if section is None:
        return told
    usual = SECTIONS[key]().values()
    return told | {
        f"{key}.{name}": origin for name, value in section.values().items() if value != usual[name]
    }


_OFF = frozenset(one.name for one in fields(ServiceSettings) if one.default is None)
