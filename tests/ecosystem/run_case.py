"""Runs one case in this process, with scallion in httpx's place: `python run_case.py starlette`. See README.md."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import os
import re
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from support import loopback  # noqa: E402

REAL = os.environ.get("SCALLION_ECOSYSTEM") == "httpx"


def main(name: str) -> int:
    path = HERE / "cases" / f"{name}.py"
    loopback.guard(pytest.MonkeyPatch())
    # Cases: a file of tests, which pytest runs; a file of checks.
    if re.search(r"^(async )?def test_", path.read_text(), re.MULTILINE):
        return _run_tests(path)
    if not REAL:
        from scallion.compat import install_as_httpx

        install_as_httpx(httpx2=True)
    module = _load(path)
    checks = {
        check: value
        for check, value in vars(module).items()
        if check.startswith("check_") and inspect.isfunction(value)
    }
    if not checks:
        print(f"{path} has no functions check_...() and no test_...()")
        return 2
    if REAL:
        checks.pop("check_identity", None)
    failed = [check for check, value in checks.items() if not _passes(check, value)]
    print(f"{len(checks) - len(failed)} of {len(checks)} checks passed")
    return 1 if failed else 0


def _run_tests(path: Path) -> int:
    alias = [] if REAL else ["-p", "scallion.compat.as_httpx2"]
    options = [
        "-q",
        "-c",
        os.devnull,
        "--rootdir",
        str(HERE),
        "--import-mode=importlib",
        "--noconftest",
    ]
    return int(pytest.main([*alias, *options, "-p", "no:cacheprovider", str(path)]))


def _load(path: Path) -> ModuleType:
    """The case, under a name that is not the package's own."""
    spec = importlib.util.spec_from_file_location(f"case_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _passes(name: str, check: Callable[[], Any]) -> bool:
    started = time.perf_counter()
    try:
        if inspect.iscoroutinefunction(check):
            asyncio.run(check())
        else:
            check()
    except BaseException:
        print(f"FAILED {name}")
        traceback.print_exc()
        return False
    print(f"ok     {name} ({time.perf_counter() - started:.2f} s)")
    return True


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.exit(main(sys.argv[1]))
