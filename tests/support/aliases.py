"""httpx and httpx2 out of the way, for tests in which scallion takes their place."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from scallion.compat import uninstall

__all__ = ["REAL", "out_of_the_way", "real_modules", "seeming_imported"]

REAL = {name: importlib.import_module(name) for name in ("httpx", "httpx2")}
importlib.import_module("httpx._main")
importlib.import_module("httpx2._main")


def _taken() -> dict[str, ModuleType]:
    """What is imported under the two names, taken out."""
    names = [name for name in sys.modules if name.partition(".")[0] in REAL]
    return {name: sys.modules.pop(name) for name in names}


_modules = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in REAL}


@contextmanager
def out_of_the_way() -> Iterator[None]:
    """As if they had never been imported; what is installed in their place is undone at the end."""
    before = _taken()
    try:
        yield
    finally:
        uninstall()
        _taken()
        sys.modules.update(before)


@contextmanager
def real_modules() -> Iterator[None]:
    """Within `out_of_the_way()`: the real ones again."""
    before = _taken()
    sys.modules.update(_modules)
    try:
        yield
    finally:
        _taken()
        sys.modules.update(before)


@contextmanager
def seeming_imported(name: str) -> Iterator[None]:
    """Within `out_of_the_way()`: one of them was imported."""
    sys.modules[name] = REAL[name]
    try:
        yield
    finally:
        del sys.modules[name]
