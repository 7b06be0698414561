"""Importing this module is `install_as_httpx(httpx2=True)`: for `pytest -p scallion.compat.as_httpx2`."""

from __future__ import annotations

from . import install_as_httpx

__all__: list[str] = []

install_as_httpx(httpx2=True)
