"""Packages that expect httpx run on scallion: each case in a process and an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PYTHON = Path(
    os.environ.get("SCALLION_ECOSYSTEM_PYTHON", ROOT / ".venv" / "ecosystem" / "bin" / "python")
)
CASES = sorted(path.stem for path in (HERE / "cases").glob("*.py"))

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not PYTHON.exists(), reason="the packages are not installed: `make ecosystem` does it"
    ),
]

Running = dict[str, "Future[subprocess.CompletedProcess[str]]"]


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """The cases that were asked for, two at a time."""
    asked = [
        item.callspec.params["case"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module
    ]
    with ThreadPoolExecutor(2) as pool:
        yield {case: pool.submit(run, case) for case in asked}


def run(case: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().endswith("_PROXY") and not name.startswith(("COV_", "COVERAGE_"))
    }
    return subprocess.run(
        [str(PYTHON), str(HERE / "run_case.py"), case],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("case", CASES)
def test_package_runs_on_scallion(case: str, running: Running) -> None:
    """
    The package's main features work, sync and async, and the httpx that it got is scallion.
    """
    done = running[case].result()
    # pytest shows it if the test fails.
    sys.stdout.write(done.stdout)

    assert 0 == done.returncode
