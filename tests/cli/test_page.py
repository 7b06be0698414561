"""The page on the command line: its commands work, and its table of exit statuses is the real one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scallion._cli.options import command
from scallion._cli.outcome import EXIT_STATUS
from scallion.pipeline.runtime import BlockingRuntime
from support.docs_service import DocsService

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text("utf-8")
COMMANDS = re.findall(r"^scallion (.+)$", PAGE, re.MULTILINE)


async def no_sleep(runtime: object, seconds: float) -> None:
    pass


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(BlockingRuntime, "sleep", no_sleep)
    with DocsService().running(monkeypatch):
        yield


@pytest.mark.usefixtures("service")
def test_commands_of_the_page_work(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Each as it stands there, against the documents' server.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "order.json").write_text('{"item": "pear"}')
    (tmp_path / "report.pdf").write_bytes(b"%PDF")

    assert len(COMMANDS) > 10
    for line in COMMANDS:
        result = run(*shlex.split(line))
        assert 0 == result.exit_code, line
    assert "one\ntwo\nthree\n" == (tmp_path / "lines.txt").read_text()
    assert "one\ntwo\nthree\n" == (tmp_path / "lines").read_text()


def test_the_help_is_on_the_page(run: Any) -> None:
    """
    Word for word.
    """
    assert f"```text\n{run('--help').stdout}```\n" in PAGE


def test_the_help_has_every_option_and_every_exit_status(run: Any) -> None:
    """
    None is hidden.
    """
    text = run("--help").stdout
    names = {name for param in command.params if param.name != "url" for name in param.opts}

    assert set() == {name for name in names if not re.search(rf"(?<!\S){re.escape(name)}\b", text)}
    assert list(map(str, EXIT_STATUS)) == re.findall(r"^  (\d+) ", text, re.MULTILINE)


def test_httpx_has_no_option_that_is_missing_here() -> None:
    """
    Every spelling of httpx's command is one of this one's.
    """
    import httpx

    theirs = {name for param in httpx.main.params for name in param.opts}
    assert set() == theirs - {name for param in command.params for name in param.opts}
