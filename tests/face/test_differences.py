"""The list of differences from httpx: each is shown by a test, and no test shows another."""

from __future__ import annotations

import re
from pathlib import Path

from face.differences import DIFFERENCES

TESTS = Path(__file__).parent.parent


def test_every_difference_is_shown_by_a_test() -> None:
    """
    The docstrings of tests name them, or the cases of tables.
    """
    named = {
        key
        for path in TESTS.rglob("*.py")
        for key in re.findall(
            r'''(?:differences: |differs=)"([\w' -]+)"''',
            path.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    }

    assert set(DIFFERENCES) == named


def test_every_difference_says_why() -> None:
    """
    In a sentence, at least, that ends.
    """
    for key, reason in DIFFERENCES.items():
        assert reason.endswith("."), key
        assert len(reason.split()) > 5, key
