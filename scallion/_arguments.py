"""What callers say in more than one way, or by mistake: defaults, spellings, refusals."""

from __future__ import annotations

from typing import Any

from scallion.pipeline.auth import Auth
from scallion.pipeline.errors import UnknownOption
from scallion.pipeline.onion import name_of
from scallion.pipeline.pipeline import AnyMiddleware, Pipeline
from scallion.pipeline.request import Request

__all__ = [
    "USE_CLIENT_DEFAULT",
    "UseClientDefault",
    "check_kinds",
    "lay",
    "one_of",
    "refuse_for_lack",
    "several",
]


class UseClientDefault:
    """The client's own setting, where None would mean "off"."""

    def __repr__(self) -> str:
        return "USE_CLIENT_DEFAULT"

    def __reduce__(self) -> str:
        # There is one, and copies and pickles are it.
        return "USE_CLIENT_DEFAULT"


USE_CLIENT_DEFAULT = UseClientDefault()


def one_of(name: str, value: Any, older: str, older_value: Any) -> Any:
    """The value of a setting that has two spellings.

    Raises:
        TypeError: both are given.
    """
    if older_value is USE_CLIENT_DEFAULT:
        return value
    if value is not USE_CLIENT_DEFAULT:
        raise TypeError(f"{older}= is the older spelling of {name}=: give one of them, not both")
    return older_value


def check_kinds(limits: object, pipeline: object) -> None:
    """Refuse what would fail later, and less clearly."""
    if not hasattr(limits, "max_connections"):
        raise TypeError(f"limits= takes Limits(max_connections=...), not {limits!r}")
    if pipeline is not None and not isinstance(pipeline, Pipeline):
        hint = f": write {name_of(pipeline)}()" if callable(pipeline) else ""
        raise TypeError(f"pipeline= takes a Pipeline, not a {type(pipeline).__name__}{hint}")


def refuse_for_lack(
    installed: frozenset[str], auth: Auth | None, request: Request, *, follow: bool
) -> None:
    """Raise UnknownOption if a layer is missing that an argument, or the URL, speaks to."""
    # Cases: no Authentication, by argument or by URL; no Redirects; no Deadlines.
    layer = spelling = ""
    if "scallion.Authentication" not in installed:
        layer = "Authentication"
        if auth is not None:
            spelling = "auth="
        elif request.url.userinfo:
            spelling = "A user or password in the URL"
    if not spelling and follow and "scallion.Redirects" not in installed:
        layer, spelling = "Redirects", "follow_redirects="
    timeout = request.extensions.get("timeout") or {}
    if not spelling and timeout.get("total") is not None and "scallion.Deadlines" not in installed:
        layer, spelling = "Deadlines", "Timeout(total=...)"
    if spelling:
        raise UnknownOption(
            f"{spelling} needs the layer {layer}, which this client's pipeline does not have: install {layer}()"
        )


def lay(
    extensions: dict[str, Any], installed: frozenset[str], key: str, value: Any
) -> tuple[str, ...]:
    """Put an option among the extensions, unless the caller has, or nobody reads it. Returns what to take out."""
    if key in extensions or key not in installed:
        return ()
    extensions[key] = value
    return (key,)


def several(middlewares: Any) -> tuple[AnyMiddleware, ...]:
    if callable(middlewares):
        raise TypeError(f"middlewares= is a sequence: write [{name_of(middlewares)}]")
    return tuple(middlewares)
