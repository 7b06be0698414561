"""What holds for every test: no network beyond loopback, a clean environment, three colours."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from typing import TypeVar, cast

import pytest

from scallion.pipeline.runtime import Runtime
from support import loopback
from support.colours import COLOURS, Colour, Drive

STRICT = bool(os.environ.get("CI"))
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    """Sockets beyond loopback are refused, in tests and in what they start in this process."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        loopback.guard(monkeypatch)
        yield


@pytest.fixture(scope="session")
def machine_environment() -> dict[str, str]:
    """The environment as it was, proxies and all: for the few tests that start an installer."""
    return dict(os.environ)


@pytest.fixture(autouse=True)
def _plain_environment(
    monkeypatch: pytest.MonkeyPatch, machine_environment: dict[str, str]
) -> None:
    """Proxies, certificates and passwords set on this machine do not reach a test."""
    for name in machine_environment:
        if name.upper().endswith("_PROXY") or name.startswith("SSL_") or name == "NETRC":
            monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=COLOURS)
def colour(request: pytest.FixtureRequest) -> Colour:
    """One of "sync", "asyncio" and "trio"; the test runs once in each."""
    return cast("Colour", request.param)


@pytest.fixture
def drive(colour: Colour) -> Drive:
    """Runs a zero-argument coroutine function in `colour` and returns its result."""
    return Drive(colour)


@pytest.fixture
def runtime(drive: Drive) -> Runtime:
    """The real runtime of `colour`."""
    return drive.runtime()


@pytest.fixture(scope="module", autouse=True)
def _settled_heap() -> None:
    """Many tests ask the garbage collector for what they left; it need not look at all tests' things each time."""
    # Hypothesis asks the collector about what it finds when it is imported.
    import hypothesis  # noqa: F401

    gc.collect()
    gc.freeze()


# In CI a server that is not installed is a mistake in the machine's set-up, not a reason to skip.


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _refuse_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _refuse_skip(report)


def _refuse_skip(report: Report) -> Report:
    if STRICT and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if "install" in reason:
            report.outcome = "failed"
            report.longrepr = (
                f"{reason}\n(With CI set, a skip that asks for an installation is an error.)"
            )
    return report
