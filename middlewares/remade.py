"""Copies and pickles of layers that own a state: they have the settings, and a state of their own."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

__all__ = ["remade"]


def remade(layer: Any) -> tuple[Any, ...]:
    """What such a layer's `__reduce__` returns: it is made again by its settings."""
    settings = {each.name: getattr(layer, each.name) for each in fields(layer) if each.init}
    return _make, (type(layer), settings)


def _make(kind: type[Any], settings: dict[str, Any]) -> Any:
    return kind(**settings)
