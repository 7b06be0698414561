"""Functions that answer: they take the request, and by name what the holes in the route's URL stood for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from scallion.pipeline.onion import name_of
from scallion.pipeline.request import Request

__all__ = ["Handler", "call_handler", "check_handler"]

Handler: TypeAlias = Callable[..., Any]


def _parameters(handler: Handler) -> tuple[int, bool, frozenset[str], frozenset[str]]:
    """Of a handler: how many by position, whether any by name, which by name, which of them must be."""
    positional, names, required, any_name = 0, set[str](), set[str](), False
    for parameter in inspect.signature(handler).parameters.values():
        match parameter.kind:
            case inspect.Parameter.VAR_KEYWORD:
                any_name = True
            case inspect.Parameter.VAR_POSITIONAL:
                positional += 1
            case inspect.Parameter.KEYWORD_ONLY:
                names.add(parameter.name)
            case _ if positional == 0:
                # The first is the request, whatever its name.
                positional = 1
                continue
            case _:
                names.add(parameter.name)
        if parameter.name in names and parameter.default is inspect.Parameter.empty:
            required.add(parameter.name)
    return positional, any_name, frozenset(names), frozenset(required)


def check_handler(handler: Handler, names: Sequence[str]) -> None:
    try:
        *_, required = _parameters(handler)
    except ValueError:
        # Some built-in functions have no signature.
        return
    lacking = sorted(required - set(names))
    if lacking:
        there = f"there are {', '.join(names)}" if names else "it has no names"
        raise TypeError(
            f"{name_of(handler)} wants {', '.join(lacking)}, which the route's URL does not name: {there}"
        )


def call_handler(handler: Handler, request: Request, values: Mapping[str, Any]) -> Any:
    try:
        positional, any_name, names, _ = _parameters(handler)
    except ValueError:
        return handler(request)
    chosen = values if any_name else {key: value for key, value in values.items() if key in names}
    return handler(request, **chosen) if positional else handler(**chosen)
