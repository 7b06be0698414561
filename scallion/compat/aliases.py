"""The import hook: what `import httpx` and `import httpx2` find once they were aliased."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["install_as_httpx", "uninstall"]

_lock = threading.Lock()


class _Facades(MetaPathFinder, Loader):
    """Finds and makes the facade of one package, all its submodules with it."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname == self.package:
            return ModuleSpec(fullname, self, origin=__file__, is_package=True)
        if not fullname.startswith(f"{self.package}."):
            return None
        from .facade import absent, spec_of

        spec = spec_of(fullname, self)
        if spec is None:
            absent(fullname)
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        from .facade import create

        return create(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:  # noqa: ARG002
        """Nothing to execute, as names are found when they are asked for."""
        from .httpcore_shapes import enable

        enable()


def install_as_httpx(*, httpx2: bool = False) -> None:
    """Make `import httpx` resolve to scallion, for this process and all packages in it.

    Call it first thing in a program, before anything imports httpx. A library never calls it: whose httpx it is, is
    for programs to decide. Doing it again is fine; threads may do it at once.

    `httpx.Client is scallion.Client`, and so with every public name; the private names that packages around httpx
    are known to import are there as well. What scallion does not have is an AttributeError or ImportError that
    says so.

    Args:
        httpx2: `import httpx2` likewise.

    Raises:
        RuntimeError: httpx (or httpx2) was imported already. Nothing is installed then.
    """
    packages = ("httpx", "httpx2") if httpx2 else ("httpx",)
    with _lock:
        missing = [package for package in packages if _installed(package) is None]
        for package in missing:
            _refuse_if_imported(package)
        sys.meta_path[:0] = [_Facades(package) for package in missing]


def uninstall() -> None:
    """Undo `install_as_httpx()`: for tests. What was imported from the aliases stays scallion's."""
    with _lock:
        for package in ("httpx", "httpx2"):
            finder = _installed(package)
            if finder is None:
                continue
            sys.meta_path.remove(finder)
            for name, module in list(sys.modules.items()):
                if (name == package or name.startswith(f"{package}.")) and _is_ours(module):
                    del sys.modules[name]
        if f"{__package__}.httpcore_shapes" in sys.modules:
            from .httpcore_shapes import disable

            disable()


def _installed(package: str) -> _Facades | None:
    for finder in sys.meta_path:
        if isinstance(finder, _Facades) and finder.package == package:
            return finder
    return None


def _is_ours(module: ModuleType) -> bool:
    return isinstance(getattr(getattr(module, "__spec__", None), "loader", None), _Facades)


def _refuse_if_imported(package: str) -> None:
    module = sys.modules.get(package)
    if module is not None:
        raise RuntimeError(
            f"{package} was imported already, from {getattr(module, '__file__', None) or 'somewhere unknown'}: call "
            "scallion.compat.install_as_httpx() first thing in the program, before anything imports "
            f"{package}; for pytest, run it with -p scallion.compat.as_{package}"
        )
