"""What `Retries` may be set to, and how one request speaks to it: checked when made, shown when asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any

__all__ = [
    "IDEMPOTENT",
    "RetriesOption",
    "check_attempts",
    "check_header",
    "check_strategy",
    "methods_of",
    "shown",
]

# RFC 9110 section 9.2.2: the intended effect of several identical requests is that of one. QUERY is
# safe as well (draft-ietf-httpbis-safe-method-w-body).
IDEMPOTENT = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "QUERY", "TRACE"})
# RFC 9110 section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class RetriesOption:
    """What one request asks of `Retries`; see `Retries.option_for`."""

    attempts: int | None = None
    idempotent: bool | None = None
    enabled: bool = True

    def __post_init__(self) -> None:
        check_attempts(self.attempts)


def check_attempts(attempts: object) -> None:
    if attempts is not None and (
        not isinstance(attempts, int) or isinstance(attempts, bool) or attempts < 1
    ):
        raise ValueError(
            f"Retries attempts counts the first try, so it must be 1 or more: {attempts!r}"
        )


def check_strategy(name: str, given: object) -> None:
    if given is None and name != "wait":
        return
    if not callable(given) or isinstance(given, type):
        raise TypeError(
            f"Retries {name} must be a callable such as tenacity's, taking the state: {given!r}"
        )
    if iscoroutinefunction(given) or iscoroutinefunction(type(given).__call__):
        raise ValueError(
            f"Retries {name} decides and does not wait, so it cannot be async: {given!r}"
        )


def methods_of(given: Any) -> frozenset[str]:
    if isinstance(given, str) or not all(isinstance(method, str) for method in given):
        raise TypeError(f"Retries methods must be a collection of method names: {given!r}")
    return frozenset(method.upper() for method in given)


def check_header(name: str, given: object) -> None:
    if given is not None and not (isinstance(given, str) and _TOKEN.fullmatch(given)):
        raise ValueError(f"Retries {name} must be a header's name, or None: {given!r}")


def shown(strategy: Any) -> str:
    """A strategy's repr, or for tenacity's, which have none, one like a constructor call."""
    if isinstance(strategy, tuple):
        return f"({', '.join(map(shown, strategy))},)"
    if getattr(type(strategy), "__repr__", None) is not object.__repr__:
        return getattr(strategy, "__qualname__", None) or repr(strategy)
    values = vars(strategy).items()
    settings = (f"{name}={shown(value)}" for name, value in values if not callable(value))
    return f"{type(strategy).__name__}({', '.join(settings)})"
