"""What of the settings is heeded only where another setting says so: one table, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ._settings_reading import shown

if TYPE_CHECKING:
    from ._service_settings import ServiceSettings

__all__ = ["RULES", "Rule", "check_heeded"]


class Rule(NamedTuple):
    """Settings that one or two others decide about.

    Attributes:
        section: Of the settings.
        names: Theirs, within it.
        of: The paths of those that decide.
        heeded: Whether the settings are, by the values of those.
        needs: What they are for, to be read after "is for".
        otherwise: What is the case instead; the value of what decides is laid into it.
    """

    section: str
    names: tuple[str, ...]
    of: tuple[str, ...]
    heeded: Callable[..., bool]
    needs: str
    otherwise: str = "and that is {}"


def _one(key: str, deciding: str, value: str, *names: str) -> Rule:
    """Settings for one value of another one, a text."""
    path = f"{key}.{deciding}"
    return Rule(key, names, (path,), lambda now: bool(now == value), f'{deciding} = "{value}"')


def _on(key: str, deciding: str, *names: str) -> Rule:
    return Rule(key, names, (f"{key}.{deciding}",), bool, f"{deciding} = on")


def _in_line(key: str) -> Rule:
    return Rule(key, ("patience",), (f"{key}.queue",), bool, "a queue of 1 or more")


RULES = (
    _in_line("bulkhead"),
    _in_line("concurrency"),
    _one(
        "concurrency",
        "algorithm",
        "gradient",
        *("tolerance", "headroom", "smoothing", "window", "memory"),
    ),
    _one("concurrency", "algorithm", "aimd", "too_slow"),
    _one("endpoints", "choice", "power_of_two", "decay"),
    _one("endpoints", "choice", "consistent_hash", "hash_by", "hash_bound", "hash_points"),
    _on("endpoints", "eject", "failures", "ejected_for", "longest", "share", "forgiven_after"),
    Rule(
        "hedging",
        ("percentile", "least"),
        ("hedging.delay",),
        lambda delay: delay is None,
        "delay = none",
    ),
    _on("rate_limit", "wait", "patience"),
    Rule(
        "rate_limit",
        ("on_failure", "storage_timeout", "storage_pause"),
        ("rate_limit.storage",),
        lambda storage: bool(storage != "memory://"),
        "a storage that is shared",
    ),
    Rule(
        "budget",
        ("share", "window", "floor"),
        ("retries", "hedging"),
        lambda *on: any(on),
        "retries and hedging",
        "and both are off",
    ),
)
"""All of them."""


def check_heeded(settings: ServiceSettings) -> None:
    """Refuse what somebody said and nothing would heed.

    What a later source decides about an earlier one's is no mistake: an environment may switch off what a file has
    numbers for.

    Raises:
        ValueError: there is such a setting. The message has its path, and where it came from.
    """
    for rule in RULES:
        if getattr(settings, rule.section) is None:
            continue
        deciding = [_value(settings, path) for path in rule.of]
        if rule.heeded(*deciding):
            continue
        for name in rule.names:
            path = f"{rule.section}.{name}"
            # None is said to lift what another source said.
            if path not in settings.origins or _value(settings, path) is None:
                continue
            if not any(_is_later(settings, other, path) for other in rule.of):
                raise ValueError(
                    f"{path} ({settings.origin_of(path)}) is for {rule.needs}, "
                    f"{rule.otherwise.format(_told(deciding[0]))}"
                )


def _value(settings: ServiceSettings, path: str) -> Any:
    """A setting's value; of a section, whether it is on."""
    key, _, name = path.partition(".")
    section = getattr(settings, key)
    return getattr(section, name) if name else section is not None


def _is_later(settings: ServiceSettings, path: str, other: str) -> bool:
    """Whether `path` was said by another source than `other`, and after it."""
    said = list(settings.origins)
    if path not in said or _source(settings, path) == _source(settings, other):
        return False
    return said.index(path) > said.index(other)


def _source(settings: ServiceSettings, path: str) -> str:
    # The environment is one source, and each variable an origin.
    return settings.origin_of(path).removesuffix(path.replace(".", "_").upper())


def _told(value: object) -> str:
    return f'"{shown(value)}"' if isinstance(value, str) else shown(value)
