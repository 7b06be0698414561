"""What is built and shipped: the wheel, the sdist, and every module in an empty environment."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("pipeline", "middlewares", "transports")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory, machine_environment: dict[str, str]) -> Path:
    """A folder with the sdist, and the wheel that was built from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    run(build, machine_environment)
    return folder


def run(command: list[str], environment: dict[str, str]) -> str:
    """What a command prints; a failing one fails the test with all it said."""
    done = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout
    return done.stdout


def wheel_in(dist: Path) -> Path:
    (wheel,) = dist.glob("*.whl")
    return wheel


def modules_at_root() -> list[str]:
    """The package's files as the repository has them, the rooms in their linked places."""
    face = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "scallion").rglob("*.py")
        if path.relative_to(ROOT).parts[1] not in ROOMS
    ]
    rooms = [
        f"scallion/{path.relative_to(ROOT).as_posix()}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
    ]
    return sorted([*face, *rooms])


def test_wheel_holds_the_whole_package_and_nothing_else(dist: Path) -> None:
    """
    The rooms are real folders in the wheel, complete and typed, without tests beside them.
    """
    with zipfile.ZipFile(wheel_in(dist)) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]

    assert [*modules_at_root(), "scallion/py.typed"] == sorted(
        names, key=lambda name: (name.endswith("py.typed"), name)
    )


def test_sdist_holds_the_package_as_real_folders(dist: Path) -> None:
    """
    The sdist has no links, which some unpackers refuse, and has what a wheel is built from.
    """
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        members = {member.name.partition("/")[2]: member for member in sdist.getmembers()}

    assert [] == [name for name, member in members.items() if not member.isfile()]
    assert set() == {*modules_at_root(), "scallion/py.typed", "README.md", "LICENSE"} - set(members)
    assert [] == [name for name in members if name.startswith(("tests/", *ROOMS))]


def test_wheel_imports_everywhere_with_nothing_but_its_dependencies(
    dist: Path, tmp_path: Path, machine_environment: dict[str, str]
) -> None:
    """
    Installed into an empty environment, each module imports; what needs an extra waits until it is used.
    """
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", str(wheel_in(dist))], machine_environment)

    names = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in modules_at_root()
        # Only a program that runs trio imports these, and only the command line its parts.
        if not re.search(r"network/trio_\w+\.py$", name)
        # pytest imports its plugin itself.
        and not (name.startswith("scallion/testing/") and name.endswith("plugin.py"))
        and (not name.startswith("scallion/_cli/") or name.endswith("__init__.py"))
    ]
    code = f"import importlib, scallion\nfor name in {names!r}: importlib.import_module(name)\nprint(scallion.__file__)"
    imported = run([str(python), "-I", "-c", code], machine_environment)

    assert Path(imported.strip()).is_relative_to(tmp_path)
