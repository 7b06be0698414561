"""JSON changed in its text: values are replaced where they stand, and every other character stays."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Step", "rewritten"]

Step: TypeAlias = str | None
"""One step from the root to a value: a member's name, or None for an item of an array."""

_TOKEN = re.compile(
    r'\s+|"(?:[^"\\]|\\.)*"|[{}\[\]:,]|-?[0-9][-+.0-9eE]*|true|false|null', re.DOTALL
)


@dataclass
class _Level:
    """An object or array that is open.

    Attributes:
        name: Of the member that is being read; None in arrays.
        expects_name: Whether a string would be the next member's name.
    """

    is_object: bool
    name: str | None = None
    expects_name: bool = False


def rewritten(text: str, change: Callable[[tuple[Step, ...], str | float], str | None]) -> str:
    """`text` with the values that `change` replaces.

    `change` gets the path to a value and the value, a text or a number, and returns the JSON to put in
    its place, or None.

    Raises:
        ValueError: the text is no JSON.
    """
    json.loads(text, parse_constant=_refuse)
    return "".join(_pieces(text, change))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON, though Python reads it")


def _pieces(
    text: str, change: Callable[[tuple[Step, ...], str | float], str | None]
) -> Iterator[str]:
    open_levels: list[_Level] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        level = open_levels[-1] if open_levels else None
        # Cases: opens or closes something; separates; a member's name; a text or a number; anything else.
        if token in ("{", "["):
            open_levels.append(_Level(token == "{", expects_name=token == "{"))  # noqa: S105
        elif token in ("}", "]"):
            open_levels.pop()
        elif match[0] == "," and level is not None:
            level.expects_name = level.is_object
        elif token[0] == '"' and level is not None and level.expects_name:
            level.name = json.loads(token, strict=False)
            level.expects_name = False
        elif token[0] == '"' or token[0] in "-0123456789":
            path = tuple(level.name for level in open_levels)
            changed = change(path, json.loads(token, strict=False))
            token = token if changed is None else changed
        yield token
