"""What was found, as it is kept: results.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

__all__ = ["read", "write"]

# Libraries for mathematics differ in the last digits, and nobody reads these.
_DIGITS = 5


def read(path: Path) -> dict[str, Any]:
    """All scenarios that were kept, by their names: each has "seed" and "figures"; none if there is no file."""
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def write(path: Path, results: dict[str, Any]) -> None:
    text = json.dumps(_rounded(results), indent=1, ensure_ascii=False)
    # A series of numbers is one line, not a hundred.
    text = re.sub(r"\[[^\[\]{}]*\]", _on_one_line, text)
    path.write_text(text + "\n", "utf-8")


def _on_one_line(series: re.Match[str]) -> str:
    return "[" + " ".join(series[0].strip("[]").split()) + "]"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
