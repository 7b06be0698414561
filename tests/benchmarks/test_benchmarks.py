"""The benchmarks can be run: the smallest part of them is, and the page is made of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scallion import service_stack
from scallion._settings_sections import SECTIONS
from scallion.pipeline.pipeline import Slot

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def program(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The figures of one case, and of one that counts, of as little as there can be."""
    stored = tmp_path_factory.mktemp("benchmarks") / "results.json"
    options = ("--rounds", 1, "--seconds", 0.01, "--json", stored)
    ran = program(
        "run.py", "--cases", "sync,calls-sync", "--clients", "scallion,socket,httpx", *options
    )
    assert 0 == ran.returncode, ran.stderr
    assert "| sync, one at a time" in ran.stdout
    return stored


def test_each_client_is_measured(measured: Path) -> None:
    """
    A run stores a sample for each client that takes part, with what its calibrations took.
    """
    found = json.loads(measured.read_text())["cases"]["sync"]

    assert ({}, {"scallion", "socket", "httpx"}) == (found["absent"], set(found["samples"]))
    for (sample,) in found["samples"].values():
        assert sample["operations"] >= 20
        assert 0 < sample["cpu"] / sample["operations"] < 1
        assert all(took > 0 for took in sample["calibration"])


def test_what_is_counted_is_not_timed(measured: Path) -> None:
    """
    Calls per request are a number of their own; a request of httpx's takes hundreds, ours a part of that.
    """
    found = json.loads(measured.read_text())["cases"]["calls-sync"]["samples"]

    assert found["scallion"][0]["value"] < found["httpx"][0]["value"] / 2


def test_the_page_holds_the_figures_against_the_goals(measured: Path, tmp_path: Path) -> None:
    """
    The page is made of stored figures alone, and says of each goal that was measured whether it is met.
    """
    ran = program("page.py", measured, tmp_path)
    assert 0 == ran.returncode, ran.stderr

    page = (tmp_path / "benchmarks.md").read_text()
    _, *goals = re.findall(r"^\| [^-].*", page.partition("## Every case")[0], re.MULTILINE)
    assert 2 == len(goals)
    assert all(re.search(r"\| +met \|", line) or "**missed**" in line for line in goals)
    assert "<!--" not in page


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The figures of idle layers and of the stack, of as little as there can be."""
    stored = tmp_path_factory.mktemp("benchmarks") / "results.json"
    options = ("--rounds", 1, "--seconds", 0.001, "--json", stored)
    ran = program("run.py", "--cases", "layers-sync,stack-sync", "--clients", "scallion", *options)
    assert 0 == ran.returncode, ran.stderr
    return stored


def test_every_layer_of_the_stack_is_measured(idle: Path) -> None:
    """
    Those that are off by default too.
    """
    (sample,) = json.loads(idle.read_text())["cases"]["layers-sync"]["samples"]["scallion"]
    measured = {name.partition(",")[0].partition(" with")[0] for name in sample["extra"]}
    layers = {
        layer.rpartition(".")[2]
        for key, section in SECTIONS.items()
        for layer in section.layers
        if key != "budget"
    }
    built_in = {
        type(layer).__name__ for layer in service_stack().layers if not isinstance(layer, Slot)
    }

    assert set() == (layers | built_in) - measured


def test_the_page_says_what_each_idle_layer_costs(idle: Path, tmp_path: Path) -> None:
    """
    Whether the goal is met, for each of them.
    """
    ran = program("page.py", idle, tmp_path)
    assert 0 == ran.returncode, ran.stderr
    page = (tmp_path / "benchmarks.md").read_text()
    table = page.partition("| layer ")[2].partition("\n\n")[0]

    for name in (
        "Bulkhead",
        "Hedging, nothing known yet",
        "Retries with a budget",
        "AdaptiveConcurrency, AIMD",
    ):
        assert re.search(
            rf"^\| {name} +\| +2 µs \| +-?[0-9.]+ \| +(met|\*\*missed\*\*) \|", table, re.MULTILINE
        )
    assert "all of the idle `service_stack()`" in page


def test_a_part_measured_anew_leaves_the_rest(measured: Path, tmp_path: Path) -> None:
    """
    The other cases, and what is said of the whole run.
    """
    stored = tmp_path / "results.json"
    stored.write_text(measured.read_text())
    ran = program(
        "run.py",
        "--cases",
        "calls-sync",
        "--clients",
        "scallion",
        "--rounds",
        3,
        "--update",
        stored,
    )
    assert 0 == ran.returncode, ran.stderr
    before, after = (json.loads(path.read_text()) for path in (measured, stored))

    assert before["cases"]["sync"] == after["cases"]["sync"]
    assert ["scallion"] == list(after["cases"]["calls-sync"]["samples"])
    assert before["run"] == after["run"]


def test_an_unknown_case_is_named() -> None:
    """
    A name that is none ends the run before anything is measured, and the message has those that there are.
    """
    ran = program("run.py", "--cases", "sync,nonsense")

    assert 2 == ran.returncode
    assert "no case 'nonsense'; there are sync, sync-tls" in ran.stderr
