"""The examples run as their users run them: as programs of their own, and under pytest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"

pytestmark = pytest.mark.timeout(120)


def run(*arguments: str, environment: dict[str, str], cwd: Path) -> str:
    """What a program prints; a failing or hanging one fails the test with all it said."""
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        said = expired.stdout or b""
        pytest.fail(f"{arguments} hangs after:\n{said!r}")
    assert 0 == done.returncode, done.stdout
    return done.stdout


@pytest.fixture
def environment(machine_environment: dict[str, str]) -> dict[str, str]:
    """The machine's, without the proxies that would stand between an example and its own servers."""
    return {
        name: value
        for name, value in machine_environment.items()
        if not name.upper().endswith("_PROXY")
    }


@pytest.mark.parametrize(
    ("program", "success"),
    [
        ("tour.py", "tour: success, "),
        ("demo.py", "demo: success, "),
        ("custom_middleware.py", "custom middlewares: success"),
        ("events.py", "events: success"),
    ],
)
def test_example_ends_with_success(
    program: str, success: str, environment: dict[str, str], tmp_path: Path
) -> None:
    """
    Each program says in its last line that all went well, from whatever folder it is started.
    """
    printed = run(str(EXAMPLES / program), environment=environment, cwd=tmp_path)

    assert printed.splitlines()[-1].startswith(success), printed


def test_the_unit_tests_of_the_example_pass(environment: dict[str, str]) -> None:
    """
    The service's own tests pass by the command that their file names.
    """
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "examples/test_orders.py"]
    printed = run(*command, environment=environment, cwd=ROOT)

    assert " passed" in printed
