"""System calls per request, counted by strace."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from support.peers import found

from .conftest import HERE, run
from .limits import SYSTEM_CALLS

# "1234  recvfrom(...", or the end of one that another thread's interrupted, which is not counted again.
CALL = re.compile(r"^\d+ +([a-z]\w*)\(")


@pytest.fixture(scope="module")
def strace() -> str:
    """The program; skips where it is missing, or the system lets nobody trace."""
    program = found("strace", "strace")
    tried = subprocess.run([program, "true"], check=False, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"strace may not trace here (ptrace is forbidden): {tried.stderr.strip()}")
    return program


def between_marks(trace: str) -> Counter[str]:
    """The calls between the two files that were asked for and do not exist."""
    _, _, rest = trace.partition("/first mark")
    inside, last, _ = rest.partition("/last mark")
    assert last, f"the marks are missing: {trace[-500:]}"
    calls = Counter(match[1] for line in inside.splitlines() if (match := CALL.match(line)))
    # The one that the second mark is in.
    (mark,) = CALL.findall(inside.splitlines()[-1] + last)
    calls[mark] -= 1
    return +calls


@pytest.mark.parametrize("colour", SYSTEM_CALLS)
def test_a_request_makes_few_system_calls(
    colour: str, server: str, strace: str, tmp_path: Path
) -> None:
    """
    Send, receive, and what the deadlines and the event loop need between.
    """
    output = tmp_path / "trace"
    program = [sys.executable, HERE / "measure.py", "requests", colour, server]

    done = json.loads(run(strace, "-f", "-o", output, *program))

    per = {
        name: round(count / done["requests"], 2)
        for name, count in between_marks(output.read_text()).most_common()
    }
    what = f"System calls per request, {colour}"
    SYSTEM_CALLS[colour].check(what, round(sum(per.values()), 1), f"Which: {per}")
