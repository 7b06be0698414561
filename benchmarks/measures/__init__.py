"""The ways of measuring, a module for each kind."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from cases import Case
from clients import Adapter
from endpoint import Endpoint
from measures.sample import Budget, Sample

__all__ = ["Budget", "Measure", "Sample", "measure_of"]

Measure = Callable[[Adapter, Case, Endpoint | None, Budget], Sample]

# Where the function lies that a case names.
_MODULES = {
    "calls": "counting",
    "cycles": "counting",
    "fresh": "fresh",
    "gather": "requests",
    "idle": "memory",
    "layer": "layers",
    "layers": "layers",
    "made": "requests",
    "one_shot": "requests",
    "requests": "requests",
    "stack": "layers",
    "streamed": "memory",
    "syscalls": "counting",
    "threads": "requests",
}


def measure_of(case: Case) -> Measure:
    """The function that measures `case`; nothing else is imported."""
    module = importlib.import_module(f"measures.{_MODULES[case.measure]}")
    found: Measure = getattr(module, case.measure)
    return found
