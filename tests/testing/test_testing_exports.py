"""What `scallion.testing` exports: resolvable, documented, and cheap to import."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import scallion.testing

ROOT = Path(__file__).parent.parent.parent
MOCKING = [
    "ABSENT",
    "ANY",
    "Call",
    "Calls",
    "Delayed",
    "Pause",
    "Reply",
    "Route",
    "Router",
    "UnforeseenRequest",
    "bypassing",
    "containing",
    "exactly",
    "intercepting",
    "mock",
]


def test_every_name_resolves() -> None:
    assert set() == set(MOCKING) - set(scallion.testing.__all__)
    assert [] == [name for name in scallion.testing.__all__ if not hasattr(scallion.testing, name)]


def test_every_name_of_the_mock_is_documented() -> None:
    """
    The page on mocking mentions each, as code.
    """
    text = (ROOT / "docs" / "mocking.md").read_text("utf-8")
    code = "\n".join(re.findall(r"```python.*?```|`[^`\n]+`", text, re.DOTALL))

    assert [] == [name for name in MOCKING if not re.search(rf"\b{name}\b", code)]


def test_the_plugin_imports_nothing_that_is_not_used() -> None:
    """
    pytest loads it in every run, of people who use none of it as well.
    """
    code = (
        "import pytest, sys; before = set(sys.modules); import scallion.testing.plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "" == ran.stderr
    ours = {
        "scallion",
        "scallion._version",
        "scallion.pipeline",
        "scallion.pipeline.lazy",
        "scallion.testing",
        "scallion.testing.plugin",
        "scallion.testing.recording_plugin",
    }
    assert ours == set(ran.stdout.split())
