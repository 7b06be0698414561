"""The pytest plugin: the fixture `scallion_mock`. pytest loads it in every run, so it imports nothing that is not used."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .recording_plugin import (
    pytest_addoption,
    register,
    scallion_recording,
    scallion_recording_options,
)

if TYPE_CHECKING:
    from .router import Router

__all__ = [
    "pytest_addoption",
    "scallion_mock",
    "scallion_mock_options",
    "scallion_recording",
    "scallion_recording_options",
]

_MARKER = "scallion_mock"
_passed = pytest.StashKey[bool]()
_router = pytest.StashKey["Router"]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(**options): what scallion.testing.mock() takes, for the fixture {_MARKER}: "
        "base_url, pass_through, transport, runtime, assert_all_called, assert_all_foreseen, "
        "assert_all_closed, intercept, strict.",
    )
    register(config)


@pytest.fixture
def scallion_mock_options() -> dict[str, Any]:
    """What `scallion_mock` is made with, unless a marker says otherwise. Override it where defaults are to differ."""
    return {}


@pytest.fixture
def scallion_mock(
    request: pytest.FixtureRequest, scallion_mock_options: dict[str, Any]
) -> Iterator[Router]:
    """A router for all clients of the process, verified after the test if that passed. See `scallion.testing.mock`.

    Markers `scallion_mock(...)` give options; those nearer to the test win.
    """
    from .mocking import standing_in
    from .router import Router

    options = dict(scallion_mock_options)
    for marker in reversed(list(request.node.iter_markers(_MARKER))):
        if marker.args:
            pytest.fail(f"The marker {_MARKER} takes keyword arguments only", pytrace=False)
        options.update(marker.kwargs)
    clients = {name: options.pop(name) for name in ("intercept", "strict") if name in options}
    try:
        router = Router(**options)
    except (TypeError, ValueError) as error:
        pytest.fail(f"The options of {_MARKER}: {error}", pytrace=False)
    request.node.stash[_router] = router
    with standing_in(router, **clients):
        yield router
    if request.node.stash.get(_passed, False):
        problems = "\n".join(router.problems())
        if problems:
            pytest.fail(problems, pytrace=False)


# The older kind of wrapper, which pytest 7 has too: a plugin that cannot be loaded stops every run.
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, None]:
    """Remember whether the test passed; tell a failed one what was refused, which may be why it failed."""
    report: pytest.TestReport = (yield).get_result()
    if call.when == "setup":
        # Of an earlier run of the same test.
        item.stash[_passed] = False
    elif call.when == "call":
        item.stash[_passed] = report.passed
        router = item.stash.get(_router, None)
        if router is not None and report.failed:
            refused = [error for error in router.unforeseen if error is not _raised(call)]
            if refused:
                report.sections.append((_MARKER, "\n\n".join(map(str, refused))))


def _raised(call: pytest.CallInfo[None]) -> BaseException | None:
    return None if call.excinfo is None else call.excinfo.value
