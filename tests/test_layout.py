"""The house's plan: three linked rooms, arrows that point one way, a cheap import, exported names."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("pipeline", "middlewares", "transports")

# Who may import whom; everybody may import itself.
ARROWS = {
    "pipeline": frozenset[str](),
    "middlewares": frozenset({"pipeline"}),
    "transports": frozenset({"pipeline"}),
}
EVENT_LOOPS = frozenset({"anyio", "asyncio", "trio", "sniffio", "uvloop"})

# What a program pays for only when it asks for it.
HEAVY = (
    "anyio",
    "asyncio",
    "certifi",
    "email",
    "h11",
    "h2",
    "http.cookiejar",
    "idna",
    "opentelemetry",
    "ssl",
    "structlog",
    "tenacity",
    "trio",
)


def modules_of(room: str) -> dict[str, Path]:
    """Import names and files of a room's modules."""
    found: dict[str, Path] = {}
    for path in sorted((ROOT / room).rglob("*.py")):
        parts = ("scallion", *path.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


ROOM_MODULES = {name: path for room in ROOMS for name, path in modules_of(room).items()}
FACE_MODULES = {
    f"scallion.{path.stem}".removesuffix(".__init__"): path
    for path in sorted((ROOT / "scallion").glob("*.py"))
    if path.stem != "__main__"  # running it is what importing it does
}
EVERY_MODULE = sorted(ROOM_MODULES | FACE_MODULES)


class Import(NamedTuple):
    """One imported name, made absolute, and the line it stands on."""

    name: str
    line: int
    relative: bool


def imports_of(module: str, path: Path) -> Iterator[Import]:
    """Everything that a module imports, wherever in it the statement stands."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, relative=False)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(f"{source}.{alias.name}", node.lineno, relative=bool(node.level))


def room_of(name: str) -> str | None:
    """The room that an absolute name lies in; "scallion" for the face, None for others' modules."""
    parts = name.split(".")
    if parts[0] != "scallion":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else "scallion"


def python(code: str) -> str:
    """What a fresh interpreter prints, one that has only the installed package to find."""
    ran = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
    )
    assert 0 == ran.returncode, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_are_linked_into_the_package(room: str) -> None:
    """
    Each room lies at the root, and a relative link puts it into the package.
    """
    link = ROOT / "scallion" / room

    assert link.is_symlink()
    assert f"../{room}" == os.readlink(link)  # noqa: PTH115
    assert (ROOT / room).is_dir()
    assert not (ROOT / room).is_symlink()


@pytest.mark.parametrize("module", ROOM_MODULES)
def test_arrows_point_one_way(module: str) -> None:
    """
    Middlewares and transports import the pipeline, the pipeline imports no room, and no room the face.
    """
    path = ROOM_MODULES[module]
    room = path.relative_to(ROOT).parts[0]
    wrong = [
        f"{path.relative_to(ROOT)}:{found.line} imports {found.name}"
        for found in imports_of(module, path)
        if room_of(found.name) not in {None, room, *ARROWS[room]}
    ]

    assert [] == wrong


@pytest.mark.parametrize("module", ROOM_MODULES)
def test_rooms_are_imported_absolutely_from_outside_and_relatively_within(module: str) -> None:
    """
    An import tells by its form whether it leaves the room; no room goes by its bare name.
    """
    path = ROOM_MODULES[module]
    room = path.relative_to(ROOT).parts[0]
    wrong = [
        f"{path.relative_to(ROOT)}:{found.line} imports {found.name}"
        for found in imports_of(module, path)
        if found.name.split(".")[0] in ROOMS
        or (room_of(found.name) is not None and found.relative != (room_of(found.name) == room))
    ]

    assert [] == wrong


@pytest.mark.parametrize("module", ROOM_MODULES)
def test_event_loops_stay_in_runtime_and_network(module: str) -> None:
    """
    Below the face only the runtimes and the networks know event loops or block a thread.
    """
    path = ROOM_MODULES[module]
    if module.startswith(("scallion.pipeline.runtime", "scallion.transports.network.")):
        return
    wrong = [
        f"{path.relative_to(ROOT)}:{found.line} imports {found.name}"
        for found in imports_of(module, path)
        if found.name.split(".")[0] in EVENT_LOOPS or found.name == "time.sleep"
    ]
    wrong += [
        f"{path.relative_to(ROOT)}:{node.lineno} calls time.sleep"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and "time.sleep" == ast.unparse(node)
    ]

    assert [] == wrong


@pytest.mark.parametrize("module", ROOM_MODULES)
def test_there_are_no_async_generators_below_the_face(module: str) -> None:
    """
    An async generator's clean-up runs whenever a loop pleases, so rooms use iterator classes.
    """
    path = ROOM_MODULES[module]
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.AsyncFunctionDef) and any(map(is_yield, own_nodes(node)))
    ]

    assert [] == wrong


def is_yield(node: ast.AST) -> bool:
    return isinstance(node, ast.Yield | ast.YieldFrom)


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions and classes inside it."""
    for node in ast.iter_child_nodes(function):
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield from own_nodes(node)


def test_the_plan_is_read_rightly(tmp_path: Path) -> None:
    """
    The reading of imports and generators that the tests above stand on finds what it should.
    """
    source = tmp_path / "module.py"
    source.write_text(
        "import asyncio.events\n"
        "from ..pipeline import urls\n"
        "from . import base\n"
        "async def numbers():\n"
        "    if True:\n"
        "        yield 1\n"
        "async def outer():\n"
        "    def inner():\n"
        "        yield 1\n"
    )
    numbers, outer = (
        node
        for node in ast.parse(source.read_text()).body
        if isinstance(node, ast.AsyncFunctionDef)
    )

    found = [(name, relative) for name, _, relative in imports_of("scallion.rooms.module", source)]
    assert [
        ("asyncio.events", False),
        ("scallion.pipeline.urls", True),
        ("scallion.rooms.base", True),
    ] == found
    assert any(map(is_yield, own_nodes(numbers)))
    assert not any(map(is_yield, own_nodes(outer)))
    assert ["pipeline", "scallion", None] == [
        room_of(name) for name in ("scallion.pipeline.urls", "scallion.client", "ssl")
    ]


def test_every_module_imports_under_one_name_only() -> None:
    """
    Although the rooms can be reached by two paths, one process never holds a module twice.
    """
    loaded = python(
        "import importlib, sys\n"
        f"for name in {EVERY_MODULE!r}: importlib.import_module(name)\n"
        "print(*sorted(name.split('.')[0] for name in sys.modules), sep='\\n')"
    ).split()

    assert "scallion" in loaded
    assert set() == set(ROOMS) & set(loaded)


@pytest.mark.parametrize(
    "module",
    [
        name
        for name, path in ROOM_MODULES.items()
        if path.parent.name not in ROOMS or path.name != "__init__.py"
        if not path.stem.startswith("_") or path.name == "__init__.py"
    ],
)
def test_public_names_are_declared_and_exist(module: str) -> None:
    """
    Each module of a room says in `__all__` what it offers, once, and offers it.
    """
    imported = importlib.import_module(module)

    assert hasattr(imported, "__all__"), f"{module} has no __all__"
    names = list(imported.__all__)
    assert sorted(set(names)) == sorted(names)
    assert [] == [name for name in names if not hasattr(imported, name)]


@pytest.mark.parametrize("package", ["scallion", *(f"scallion.{room}" for room in ROOMS)])
def test_packages_offer_what_they_declare(package: str) -> None:
    """
    The face and the rooms resolve every name in `__all__`, lazily loaded ones too.
    """
    imported = importlib.import_module(package)

    assert [] == [name for name in imported.__all__ if not hasattr(imported, name)]


def test_importing_scallion_is_cheap() -> None:
    """
    What a plain request does not need is not imported before somebody asks for it.
    """
    loaded = python(
        "import sys; before = set(sys.modules); import scallion\n"
        "print(*sorted(set(sys.modules) - before), sep='\\n')"
    ).split()

    assert "scallion" in loaded
    assert [] == [name for name in HEAVY if name in loaded]
