"""The modules that stand where httpx's would: empty at first, each name fetched from scallion when it is asked for."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from .names import ABSENT, HOMES, META, PUBLIC

if TYPE_CHECKING:
    from importlib.abc import Loader

__all__ = ["Facade", "absent", "create", "spec_of"]


class Facade(ModuleType):
    """One module of httpx's or httpx2's. What is set on it, a test's patch for one, is set here alone."""

    def __getattr__(self, name: str) -> Any:
        home = _names(self.__name__).get(name)
        if home is None:
            why = ABSENT.get(name, "scallion stands in for it, and has no such name")
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}: {why}")
        module, _, there = home.partition(":")
        value = getattr(import_module(module), there)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *_names(self.__name__)})


def create(package: str, loader: Loader) -> Facade:
    """The facade of a whole package. Its submodules are imported and its attributes at once, as httpx's are."""
    made = {package: _module(package, loader)}
    for inside in filter(None, HOMES[package]):
        name = f"{package}.{inside}"
        made[name] = sys.modules[name] = _module(name, loader)
        parent, _, last = name.rpartition(".")
        setattr(made[parent], last, made[name])
    top = made[package]
    # The attribute __version__ is the version, not the submodule of that name: as in httpx.
    for module in (top, made[f"{package}.__version__"]):
        module.__dict__.update(META[package])
    top.__all__ = PUBLIC[package]  # type: ignore[attr-defined]
    return top


def spec_of(name: str, loader: Loader) -> ModuleSpec | None:
    """The spec of a module, or None if there is no such module."""
    package, _, inside = name.partition(".")
    if inside not in HOMES[package]:
        return None
    return ModuleSpec(name, loader, origin=__file__, is_package=inside in {"", "_transports"})


def absent(name: str) -> NoReturn:
    """Say that a submodule does not exist.

    Raises:
        ModuleNotFoundError: always.
    """
    why = ABSENT.get(name.split(".")[1], "scallion stands in for it, and has no such module")
    raise ModuleNotFoundError(f"No module named {name!r}: {why}", name=name)


def _module(name: str, loader: Loader) -> Facade:
    spec = spec_of(name, loader)
    assert spec is not None
    module = Facade(name, f"What scallion offers in the place of {name}.")
    module.__spec__ = spec
    module.__loader__ = loader
    module.__package__ = spec.parent
    # It stands in the messages of failed imports, and says whose module this is.
    module.__file__ = __file__
    if spec.submodule_search_locations is not None:
        module.__path__ = []
    return module


def _names(module: str) -> dict[str, str]:
    package, _, inside = module.partition(".")
    return HOMES[package][inside]
