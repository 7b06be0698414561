"""The part of the pytest plugin that records: the fixture `scallion_recording` and the option `--scallion-record`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .recording import Recorder

__all__ = [
    "pytest_addoption",
    "register",
    "scallion_recording",
    "scallion_recording_options",
]

_MARKER = "scallion_recording"
_LONGEST = 100
"""Characters of a file's name, for file systems that allow for 255 octets."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("scallion").addoption(
        "--scallion-record",
        choices=("once", "none", "all", "new"),
        help="the mode of all recordings of the fixture scallion_recording, whatever their markers say",
    )


def register(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(**options): what scallion.testing.Recorder() takes, for the fixture {_MARKER}; "
        "path is by default recordings/<module>/<test>.har beside the test.",
    )


@pytest.fixture
def scallion_recording_options() -> dict[str, Any]:
    """What `scallion_recording` is made with, unless a marker says otherwise. Override it where defaults are to differ."""
    return {}


@pytest.fixture
def scallion_recording(
    request: pytest.FixtureRequest, scallion_recording_options: dict[str, Any]
) -> Iterator[Recorder]:
    """A transport that records what this test asks for, and replays it; written when the test has ended.

    Markers `scallion_recording(...)` give options; those nearer to the test win.
    """
    from .plugin import _passed
    from .recording import Recorder

    options = {"path": _path_for(request.node), **scallion_recording_options}
    for marker in reversed(list(request.node.iter_markers(_MARKER))):
        if marker.args:
            pytest.fail(f"The marker {_MARKER} takes keyword arguments only", pytrace=False)
        options.update(marker.kwargs)
    mode = request.config.getoption("--scallion-record", None)
    if mode is not None:
        options["mode"] = mode
    try:
        recorder = Recorder(**options)
    except (TypeError, ValueError) as error:
        pytest.fail(f"The options of {_MARKER}: {error}", pytrace=False)
    recorder.__enter__()
    try:
        yield recorder
    finally:
        failed = None if request.node.stash.get(_passed, False) else pytest.fail.Exception
        recorder.__exit__(failed, None, None)


def _path_for(node: Any) -> Path:
    """Beside the test's module, in a folder of the module's name."""
    _, _, name = node.nodeid.partition("::")
    short = re.sub(r"[^\w.=-]+", "-", name).strip("-")
    if short != name:
        # Parameters that differ in punctuation alone are still two tests; so are those that are cut.
        short = f"{short[:_LONGEST]}-{sha256(name.encode()).hexdigest()[:6]}"
    module = Path(node.path)
    return module.parent / "recordings" / module.stem / f"{short}.har"
