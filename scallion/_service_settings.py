"""Every number of the service stack in one value, which knows where each of them came from.

The sections are in `_settings_sections`, what a value may be in `_settings_reading`. They are read from a mapping, and so
from TOML, YAML or JSON, or from the environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from scallion.pipeline.errors import InvalidURL

from ._settings_reading import (
    brief,
    check_methods,
    check_url,
    kind_of,
    nearest,
    quoted,
    shown,
    switch,
)
from ._settings_rules import check_heeded
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
from ._settings_sources import ARGUMENT, DEFAULT, Named, Source, Variables

__all__ = ["ARGUMENT", "DEFAULT", "ServiceSettings", "Setting"]

_URL = "base_url"
_ATTEMPT = "timeouts.attempt"
_TOTAL = "timeouts.total"


class Setting(NamedTuple):
    """One effective value.

    Attributes:
        path: "retries.attempts"; of a layer as a whole "retries".
        value: What holds: None for none, False for a layer that is off, True for one without settings of its own.
        origin: Where it came from: "default", "argument", the name of a mapping, "environment ORDERS_BREAKER", or the path
            of the setting that it follows.
    """

    path: str
    value: Any
    origin: str

    def __str__(self) -> str:
        return f"{self.path} = {shown(self.value)} ({self.origin})"

    def __repr__(self) -> str:
        """The same: the value may have a login."""
        return f"<Setting {self}>"


@dataclass(frozen=True, kw_only=True, repr=False)
class ServiceSettings:
    """All settings of a client for one service: `Client.for_service(name, settings=...)`.

    What is not said is the preset of `service_stack()`. A section may be given as such, as a mapping that is laid over
    its defaults, as True for its defaults, or as False or None to leave its layer out. Durations are seconds, or texts
    such as "250ms" and "2s".

    Each value is checked when it is read; whether a section has all that it needs, an attempt's time fits into the
    total, and each value is heeded, when layers are made, as another source may complete it.

    Attributes:
        base_url: What relative URLs are appended to, with http or https; by default `http://<name>`.
        origins: Where values came from, by their paths, if not from here; what was said last stands last.

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
            old = None if key == _URL or key in _OFF else SECTIONS[key]()
            section, told = _read(key, getattr(self, key), old, Named(ARGUMENT))
            if section is None and key in SECTIONS:
                told = _differing(key, None, ARGUMENT)
            object.__setattr__(self, key, section)
            origins |= {path: origin for path, origin in told.items() if path not in origins}
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
        return cls._over(base, mapping, Named(source))

    @classmethod
    def from_env(
        cls,
        prefix: str,
        environ: Mapping[str, str] | None = None,
        *,
        base: ServiceSettings | None = None,
    ) -> Self:
        """Settings out of environment variables, `ORDERS_RETRIES_ATTEMPTS=5` or `ORDERS_BREAKER=off`.

        Lists are separated by commas; "none" is for none, and an empty text for a mistake. What Kubernetes and Docker set
        for services that are called so, or whose names begin so (`ORDERS_SERVICE_HOST`, `ORDERS_DB_PORT`), is passed over;
        all else that begins with the prefix has to be a setting.

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
        names = Variables(prefix, _paths())
        nested: dict[str, Any] = {}
        switches: dict[str, Any] = {}
        for path, text in names.said(environ):
            key, _, name = path.partition(".")
            if name:
                nested.setdefault(key, {})[name] = text
            elif not text.strip():
                raise ValueError(f"{names.told(key)} is empty: leave it out for the default")
            elif key == _URL:
                switches[key] = text
            else:
                switches[key] = switch(text)
                if switches[key] is None:
                    raise ValueError(f"{names.told(key)} must be on or off, not {quoted(text)}")
        # What is off has no settings; what is on has them laid over it.
        settings = {key: one for key, one in nested.items() if switches.get(key) is not False}
        return cls._over(cls._over(base, switches, names), settings, names)

    def updated(self, mapping: Mapping[str, Any], source: str = ARGUMENT) -> Self:
        """These settings with those of `mapping` over them."""
        return self._over(self, mapping, Named(source))

    @classmethod
    def _over(
        cls, base: ServiceSettings | None, mapping: Mapping[str, Any], source: Source
    ) -> Self:
        if not isinstance(mapping, Mapping):
            raise TypeError(
                f"{source.told('')} must be a mapping of settings, not {quoted(mapping)}"
            )
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
            if changed[key] is None or isinstance(given, Section):
                origins = {p: o for p, o in origins.items() if not p.startswith(f"{key}.")}
            # What was said last stands last.
            origins = {p: o for p, o in origins.items() if p not in told} | told
        values = {one.name: getattr(start, one.name) for one in fields(start)} | changed
        try:
            return cls(**values | {"origins": origins})
        except TypeError as error:
            raise TypeError(source.blamed(error)) from error
        except ValueError as error:
            raise ValueError(source.blamed(error)) from error

    # Asking

    def section(self, key: str) -> Iterator[Setting]:
        """The effective values of one section; before them, that it is on, where somebody said so."""
        section = getattr(self, key)
        values = {} if section is None else section.values()
        if not values or key in self.origins:
            yield Setting(key, section is not None, self.origin_of(key))
        for name, value in values.items():
            path = f"{key}.{name}"
            if path == _ATTEMPT and self.attempt_limit != value:
                yield Setting(path, self.attempt_limit, _TOTAL)
            else:
                yield Setting(path, value, self.origin_of(path))

    def origin_of(self, path: str) -> str:
        """Where the value at `path` came from."""
        return self.origins.get(path, DEFAULT)

    @property
    def attempt_limit(self) -> float | None:
        """Seconds that one attempt may take: `timeouts.attempt`; where nobody said that, no more than the total."""
        own = self.timeouts
        if own.attempt is None or own.total is None or self.origin_of(_ATTEMPT) != DEFAULT:
            return own.attempt
        return min(own.attempt, own.total)

    def check_whole(self) -> None:
        """Refuse what another source might have completed, and none has.

        Raises:
            ValueError: a section lacks something, an attempt may take longer than the call, or nothing would heed what
                somebody said. The message has the paths, and where their values came from.
        """
        self._check_attempt(whole=True)
        for key in SECTIONS:
            section: Section | None = getattr(self, key)
            lack = None if section is None else section.lack()
            if lack is not None:
                raise ValueError(f"{key} ({self.origin_of(key)}) {lack}")
        check_heeded(self)

    def __iter__(self) -> Iterator[Setting]:
        """All effective values."""
        yield Setting(_URL, self.base_url, self.origin_of(_URL))
        for key in SECTIONS:
            yield from self.section(key)

    def __repr__(self) -> str:
        told = [f"{s.path}={brief(s.value)}" for s in self if s.origin != DEFAULT]
        return f"ServiceSettings({', '.join(told)})"

    def __reduce__(self) -> tuple[Any, ...]:
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return _remade, (type(self), values | {"origins": dict(self.origins)})

    def _check_attempt(self, *, whole: bool) -> None:
        """Refuse an attempt's limit beyond the total, if both were said or nothing more will be."""
        attempt, total = self.attempt_limit, self.timeouts.total
        if attempt is None or total is None or attempt <= total:
            return
        origin = self.origin_of(_TOTAL)
        if whole or origin != DEFAULT:
            raise ValueError(
                f"{_ATTEMPT} = {shown(attempt)} ({self.origin_of(_ATTEMPT)}) must be at most "
                f"{_TOTAL} = {shown(total)} ({origin}), or none"
            )

    def _check_ranges(self) -> None:
        """Let the layers look at their values."""
        from ._service_layers import limits_of, timeout_of

        timeout_of(self)
        limits_of(self)
        self._check_attempt(whole=False)
        for key in SECTIONS:
            section = getattr(self, key)
            if section is not None and section.layers:
                try:
                    section.check()
                    check_methods(getattr(section, "methods", None) or ())
                except TypeError as error:
                    raise TypeError(f"{key}: {error}") from error
                except (InvalidURL, ValueError) as error:
                    raise ValueError(f"{key}: {error}") from error


def _paths() -> Iterator[str]:
    yield _URL
    for key, kind in SECTIONS.items():
        yield key
        yield from (f"{key}.{one.name}" for one in fields(kind))


def _read(
    key: str, given: object, old: Section | None, source: Source
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
        return old or kind(), {} if kind.required else {key: source.origin(key)}
    if isinstance(given, kind):
        return given, _differing(key, given, source.origin(key))
    if not isinstance(given, Mapping):
        raise TypeError(
            f"{source.told(key)} must be a table of settings{'' if kind.required else ', true or false'}, "
            f"not {quoted(given)}"
        )
    known = {one.name: one for one in fields(kind)}
    values: dict[str, Any] = {}
    # Who says a number of a section that is off switches it on.
    said = f"{key}.{next(iter(given))}" if given else key
    origins = {} if old is not None else {key: source.origin(said)}
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


def _read_url(given: object, source: Source) -> tuple[str | None, dict[str, str]]:
    if given is None:
        return None, {}
    if not isinstance(given, str):
        raise TypeError(f"{source.told(_URL)} must be a text, not {quoted(given)}")
    check_url(source.told(_URL), given)
    return given, {_URL: source.origin(_URL)}


def _remade(kind: type[ServiceSettings], values: dict[str, Any]) -> ServiceSettings:
    return kind(**values)


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
