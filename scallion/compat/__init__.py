"""Packages that expect httpx, run on scallion: `install_as_httpx()` makes `import httpx` mean scallion."""

from __future__ import annotations

from .aliases import install_as_httpx, uninstall

__all__ = ["install_as_httpx", "uninstall"]
