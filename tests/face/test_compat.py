"""`install_as_httpx()`: what `import httpx` and `import httpx2` give while scallion stands in for them."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any, Union, get_args, get_origin
from unittest import mock

import pytest

import scallion
from scallion.compat import install_as_httpx, uninstall
from scallion.compat.aliases import _Facades
from scallion.compat.names import HOMES
from support.aliases import REAL, real_modules, seeming_imported

ROOT = Path(__file__).parent.parent.parent
MODULES = [(package, inside) for package, modules in HOMES.items() for inside in modules]
# Named in httpx2's own __all__, and missing here: it says so.
LACKING = {"websocket"}


@pytest.fixture(params=["httpx", "httpx2"])
def package(request: pytest.FixtureRequest, aliased: None) -> ModuleType:
    """What importing one of the two names gives."""
    install_as_httpx(httpx2=True)
    return importlib.import_module(request.param)


def test_public_names_are_scallions(package: ModuleType) -> None:
    """
    `httpx.X is scallion.X`, for all that httpx offers.
    """
    expected = set(REAL[package.__name__].__all__) - LACKING

    assert expected == set(package.__all__)
    own = {"__description__", "__title__", "__version__", "alias_httpx"}
    assert [] == [
        name for name in expected - own if getattr(package, name) is not getattr(scallion, name)
    ]


def test_versions_are_those_whose_api_it_is(package: ModuleType) -> None:
    """
    Packages that compare versions see httpx's; the submodule of that name has it too.
    """
    assert package.__name__ == package.__title__
    assert package.__version__.split(".")[:2] == REAL[package.__name__].__version__.split(".")[:2]
    assert (
        package.__version__
        == importlib.import_module(f"{package.__name__}.__version__").__version__
    )
    assert "scallion" in package.__description__


@pytest.mark.parametrize(("of", "inside"), MODULES)
def test_no_name_is_invented(of: str, inside: str, aliased: None) -> None:
    """
    Each module has names of the real one's and no others, and each can be had.
    """
    install_as_httpx(httpx2=True)
    name = f"{of}.{inside}".rstrip(".")
    facade = importlib.import_module(name)
    with real_modules():
        real = importlib.import_module(name)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert [] == [name for name in HOMES[of][inside] if not hasattr(real, name)]
    assert [] == [name for name in HOMES[of][inside] if not hasattr(facade, name)]
    assert HOMES[of][inside].keys() <= set(dir(facade))


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            "_client",
            "UseClientDefault USE_CLIENT_DEFAULT BaseClient ClientState Client AsyncClient",
        ),
        ("_config", "DEFAULT_TIMEOUT_CONFIG DEFAULT_LIMITS DEFAULT_MAX_REDIRECTS"),
        ("_content", "IteratorByteStream AsyncIteratorByteStream encode_json"),
        ("_content", "encode_multipart_data encode_urlencoded_data"),
        ("_exceptions", "request_context"),
        ("_multipart", "MultipartStream"),
        ("_transports.default", "ResponseStream HTTPTransport AsyncHTTPTransport"),
        ("_transports.default", "map_httpcore_exceptions"),
        ("_types", "AuthTypes CookieTypes FileTypes HeaderTypes QueryParamTypes RequestContent"),
    ],
)
def test_private_names_of_the_ecosystem_are_there(
    module: str, names: str, package: ModuleType
) -> None:
    """
    What packages around httpx import from its private modules.
    """
    inside = importlib.import_module(f"{package.__name__}.{module}")

    assert [] == [name for name in names.split() if not hasattr(inside, name)]


def test_types_are_real_unions(package: ModuleType) -> None:
    """
    Annotations made of them can be evaluated.
    """
    types = importlib.import_module(f"{package.__name__}._types")

    assert Union is get_origin(types.URLTypes)
    assert str in get_args(types.URLTypes)
    assert types.URLTypes | None


def test_submodules_are_attributes_without_being_imported(package: ModuleType) -> None:
    """
    As in httpx, importing the package is enough.
    """
    assert scallion.Client is package._client.Client
    assert scallion.MockTransport is package._transports.mock.MockTransport


def test_importing_everything(aliased: None) -> None:
    """
    `from httpx import *` gives all public names.
    """
    install_as_httpx()
    names: dict[str, Any] = {}
    exec("from httpx import *", names)

    assert set(REAL["httpx"].__all__) <= names.keys()


def test_the_package_can_be_found(package: ModuleType) -> None:
    """
    Packages ask whether httpx is installed before they import it.
    """
    spec = importlib.util.find_spec(package.__name__)

    assert spec is not None
    assert spec is package.__spec__
    assert importlib.util.find_spec(f"{package.__name__}._client") is not None


def test_what_is_missing_says_whose_module_it_is(package: ModuleType) -> None:
    """
    Names and modules that do not exist are errors which name scallion.
    """
    with pytest.raises(AttributeError, match="'Nonsense': scallion stands in for it"):
        _ = package.Nonsense
    with pytest.raises(ImportError, match=r"cannot import name 'Nonsense'.*scallion"):
        exec(f"from {package.__name__} import Nonsense")
    with pytest.raises(ModuleNotFoundError, match="scallion stands in for it") as caught:
        importlib.import_module(f"{package.__name__}._nonsense")
    assert f"{package.__name__}._nonsense" == caught.value.name


def test_websockets_are_missing_with_a_reason(aliased: None) -> None:
    """
    httpx2 has them, scallion does not, and says what to use.
    """
    install_as_httpx(httpx2=True)
    httpx2 = importlib.import_module("httpx2")

    assert not hasattr(httpx2, "websocket")
    with pytest.raises(AttributeError, match="httpx-ws"):
        _ = httpx2.websocket
    with pytest.raises(ModuleNotFoundError, match="httpx-ws"):
        importlib.import_module("httpx2.websockets")


def test_patches_stay_in_the_facade(package: ModuleType) -> None:
    """
    A test that patches `httpx.get` changes that, and not scallion.
    """
    with mock.patch(f"{package.__name__}.get", return_value=7):
        assert 7 == package.get("x")
        assert scallion.get is not package.get
    assert scallion.get is package.get


def test_it_refuses_when_httpx_is_imported(aliased: None) -> None:
    """
    Two kinds of httpx in one process would break where they meet: better not to begin.
    """
    with seeming_imported("httpx"):
        with pytest.raises(RuntimeError, match=r"httpx was imported already, from .*first thing"):
            install_as_httpx()
        assert sys.modules["httpx"] is REAL["httpx"]
    assert [] == finders()


def test_it_refuses_both_when_httpx2_is_imported(aliased: None) -> None:
    """
    Either both or none: httpx is left alone when httpx2 cannot be.
    """
    with seeming_imported("httpx2"):
        with pytest.raises(RuntimeError, match=r"httpx2 was imported already.*as_httpx2"):
            install_as_httpx(httpx2=True)
        assert [] == finders()
        install_as_httpx()
        assert ["httpx"] == finders()


def test_it_can_be_done_again(aliased: None) -> None:
    """
    Doing it twice, and adding httpx2 later, is fine.
    """
    install_as_httpx()
    first = importlib.import_module("httpx")
    install_as_httpx()
    install_as_httpx(httpx2=True)
    install_as_httpx(httpx2=True)

    assert importlib.import_module("httpx") is first
    assert ["httpx", "httpx2"] == sorted(finders())


def test_threads_may_do_it_at_once(aliased: None) -> None:
    """
    One of many wins, and nobody notices.
    """
    start = threading.Barrier(8)
    got: list[ModuleType] = []

    def install() -> None:
        start.wait()
        install_as_httpx()
        got.append(importlib.import_module("httpx"))

    threads = [threading.Thread(target=install) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 8 == len(got)
    assert 1 == len(set(map(id, got)))
    assert ["httpx"] == finders()


def test_it_can_be_undone(aliased: None) -> None:
    """
    Afterwards `import httpx` is httpx again; undoing nothing is fine.
    """
    install_as_httpx(httpx2=True)
    importlib.import_module("httpx._client")
    uninstall()
    uninstall()

    assert [] == finders()
    assert [] == [name for name in sys.modules if name.partition(".")[0] in REAL]
    with real_modules():
        assert importlib.import_module("httpx").Client is REAL["httpx"].Client


def test_httpx2s_own_alias_does_the_same(aliased: None) -> None:
    """
    Programs that call `httpx2.alias_httpx()` get scallion under both names.
    """
    install_as_httpx(httpx2=True)
    httpx2 = importlib.import_module("httpx2")
    uninstall()
    httpx2.alias_httpx()

    assert importlib.import_module("httpx").Client is scallion.Client


def test_installing_is_cheap_and_waits_for_the_import() -> None:
    """
    Until somebody imports httpx, a program has paid for nothing.
    """
    loaded = python(
        "import sys; from scallion.compat import install_as_httpx; install_as_httpx(httpx2=True)\n"
        "print(*[name for name in sys.modules if name in ('scallion._client', 'httpx', 'ssl', 'asyncio')])"
    )

    assert "" == loaded.strip()


def test_pytest_has_it_before_its_plugins(tmp_path: Path) -> None:
    """
    `-p scallion.compat.as_httpx` comes before plugins that import httpx, wherever those are named.
    """
    (tmp_path / "plugin.py").write_text("import httpx\n")
    (tmp_path / "test_it.py").write_text(
        "import httpx, httpx2, scallion\n"
        "def test_it():\n"
        "    assert httpx.Client is httpx2.Client is scallion.Client\n"
    )
    options = ["-p", "scallion.compat.as_httpx2", "-p", "plugin", "-p", "no:cacheprovider", "-q"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-c", "/dev/null", "--rootdir", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == ran.returncode, ran.stdout + ran.stderr


@pytest.mark.parametrize(("module", "packages"), [("as_httpx", 1), ("as_httpx2", 2)])
def test_modules_that_install_when_imported(module: str, packages: int) -> None:
    """
    For `pytest -p`, and wherever only a module's name can be given.
    """
    code = (
        f"import scallion.compat.{module}, sys, importlib.util, scallion\n"
        "names = [n for n in ('httpx', 'httpx2') if getattr(importlib.import_module(n), 'Client', 0) is scallion.Client]\n"
        "print(len(names))"
    )

    assert packages == int(python(code))


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert 0 == ran.returncode, ran.stderr
    return ran.stdout


def finders() -> list[str]:
    return [finder.package for finder in sys.meta_path if isinstance(finder, _Facades)]


def test_the_document_names_the_versions_that_are_tested() -> None:
    """
    Its table and the pins agree, and each package has a case.
    """
    table = re.findall(
        r"^\| ([\w-]+) \| ([\w.]+) \|",
        (ROOT / "docs" / "ecosystem.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    pins = dict(
        re.findall(
            r"^([\w-]+)(?:\[\w+\])?==(.+)$",
            (ROOT / "tests" / "ecosystem" / "requirements.txt").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )
    cases = list((ROOT / "tests" / "ecosystem" / "cases").glob("*.py"))

    assert {name: version for name, version in table if version != "version"} == {
        name: pins[name] for name, version in table if version != "version"
    }
    assert len(cases) == len(table) - 1
