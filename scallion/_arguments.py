"""What callers say in more than one way, or by mistake: defaults, spellings, refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from scallion.pipeline.auth import Auth
from scallion.pipeline.errors import UnknownOption
from scallion.pipeline.onion import name_of
from scallion.pipeline.pipeline import AnyMiddleware, Pipeline
from scallion.pipeline.request import Request
from scallion.pipeline.settings import Timeout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scallion.pipeline.types import RequestExtensions, TimeoutTypes

__all__ = [
    "NO_MORE",
    "PARAMS_MODE",
    "USE_CLIENT_DEFAULT",
    "ParamsMode",
    "UseClientDefault",
    "check_kinds",
    "check_params_mode",
    "check_timeout_option",
    "in_terms_of_httpx",
    "lay",
    "lend_timeout",
    "one_of",
    "refuse_for_lack",
    "several",
]

ParamsMode: TypeAlias = Literal["replace", "merge"]
"""What params do to the query that the URL has already."""


class UseClientDefault:
    """The client's own setting, where None would mean "off"."""

    def __repr__(self) -> str:
        return "USE_CLIENT_DEFAULT"

    def __reduce__(self) -> str:
        # There is one, and copies and pickles are it.
        return "USE_CLIENT_DEFAULT"


USE_CLIENT_DEFAULT = UseClientDefault()

PARAMS_MODE = "scallion.params_mode"

# allow_redirects, middlewares, params_mode: a call that says nothing httpx has no argument for.
NO_MORE = (USE_CLIENT_DEFAULT, (), USE_CLIENT_DEFAULT)


def in_terms_of_httpx(
    follow_redirects: bool | UseClientDefault,
    allow_redirects: bool | UseClientDefault,
    extensions: RequestExtensions | None,
    middlewares: Sequence[AnyMiddleware],
    params_mode: ParamsMode | UseClientDefault,
) -> tuple[Any, RequestExtensions]:
    """A call's arguments as `follow_redirects` and `extensions` alone.

    Subclasses override `request`, `send` and `build_request` with httpx's signatures, and are not passed others.
    """
    follow = one_of("follow_redirects", follow_redirects, "allow_redirects", allow_redirects)
    options = dict(extensions or ())
    if several(middlewares):
        options["middlewares"] = (*middlewares, *several(options.get("middlewares", ())))
    if not isinstance(params_mode, UseClientDefault):
        options[PARAMS_MODE] = check_params_mode(params_mode)
    return follow, options


def one_of(
    name: str, value: Any, older: str, older_value: Any, *, unset: object = USE_CLIENT_DEFAULT
) -> Any:
    """The value of a setting that has two spellings; `unset` is the default of both.

    Raises:
        TypeError: both are given.
    """
    if older_value is unset:
        return value
    if value is not unset:
        raise TypeError(f"{older}= is the older spelling of {name}=: give one of them, not both")
    return older_value


def check_kinds(limits: object, pipeline: object) -> None:
    """Refuse what would fail later, and less clearly."""
    if not hasattr(limits, "max_connections"):
        raise TypeError(f"limits= takes Limits(max_connections=...), not {limits!r}")
    if pipeline is not None and not isinstance(pipeline, Pipeline):
        hint = f": write {name_of(pipeline)}()" if callable(pipeline) else ""
        raise TypeError(f"pipeline= takes a Pipeline, not a {type(pipeline).__name__}{hint}")


def check_params_mode(mode: ParamsMode) -> ParamsMode:
    """The mode, if it is one.

    Raises:
        ValueError: it is none.
    """
    if mode not in ("replace", "merge"):
        raise ValueError(f"params_mode= is 'replace' or 'merge', not {mode!r}")
    return mode


def lend_timeout(
    request: Request, timeout: TimeoutTypes | UseClientDefault
) -> dict[str, Any] | None:
    """Give a request other limits, in extensions of its own, for one sending.

    Returns what it had, unchanged; None if this is no request, which is said elsewhere.
    """
    assert not isinstance(timeout, UseClientDefault)
    limits = Timeout(timeout).as_dict()
    kept: dict[str, Any] | None = getattr(request, "extensions", None)
    if kept is not None:
        request.extensions = {**kept, "timeout": limits}
    return kept


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


def check_timeout_option(given: Any) -> None:
    """Refuse a request extension `timeout` that is not what `Timeout.as_dict` makes; limits may be missing.

    Raises:
        TypeError: it is no mapping, or a limit is no number.
        UnknownOption: a limit of another name.
        ValueError: a limit is negative.
    """
    from collections.abc import Mapping

    if given is None:
        return
    if not isinstance(given, Mapping):
        raise TypeError(
            f"The request extension 'timeout' is a mapping such as Timeout(5.0).as_dict(), not {given!r}: "
            "give timeout= instead"
        )
    unknown = given.keys() - {"connect", "read", "write", "pool", "total"}
    if unknown:
        raise UnknownOption(
            f"The request extension 'timeout' has no {', '.join(sorted(map(repr, unknown)))}: "
            "it has connect, read, write, pool and total"
        )
    Timeout(None, **given)
