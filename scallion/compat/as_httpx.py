"""Importing this module is `install_as_httpx()`: for `pytest -p scallion.compat.as_httpx`, ahead of all plugins."""

from __future__ import annotations

from . import install_as_httpx

__all__: list[str] = []

install_as_httpx()
