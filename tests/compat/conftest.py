"""One server for all comparisons, and one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

import scallion
from compat.comparing import Case, perform
from compat.plain import differences
from compat.stage import Stage
from face.differences import DIFFERENCES


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def compare(stage: Stage, runner: asyncio.Runner) -> Callable[[Case, str], Any]:
    """Performs a case with both libraries; they must agree, or differ for the reason that is named."""

    def compare(case: Case, colour: str) -> None:
        theirs = perform(case, httpx, colour, stage, runner)
        ours = perform(case, scallion, colour, stage, runner)
        assert case.differs is None or case.differs in DIFFERENCES
        if case.differs is None:
            assert [] == differences(theirs, ours)
        else:
            assert differences(theirs, ours), f"they agree: the difference {case.differs!r} is gone"

    return compare
