"""The fixture scallion_recording: a file for each test, modes from the command line, options from markers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TESTS = """
    import pytest
    import scallion

    asked = []

    def handler(request):
        asked.append(request)
        return scallion.Response(200, text="live")

    @pytest.fixture
    def scallion_recording_options():
        return {"transport": scallion.MockTransport(handler)}

    @pytest.fixture
    def client(scallion_recording):
        with scallion.Client(transport=scallion_recording, base_url="http://shop.example") as client:
            yield client

    def test_plain(client):
        assert "live" == client.get("/plain").text

    class TestClass:
        @pytest.mark.parametrize("path", ["/a?b=1", "/a&b=1"])
        def test_method(self, client, path):
            assert "live" == client.get(path).text

    def test_without_requests(client):
        pass

    @pytest.mark.scallion_recording(path="named.har", mode="new")
    def test_marked(client):
        assert "live" == client.get("/marked").text

    @pytest.mark.scallion_recording(on_error="discard")
    def test_failing(client):
        client.get("/failing")
        raise KeyError
"""


def recorded(path: Path) -> list[str]:
    return [entry["request"]["url"] for entry in json.loads(path.read_bytes())["log"]["entries"]]


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    # In this process: what the fixture guards against, sockets beyond loopback, is guarded against there too.
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-q", *arguments)


def test_each_test_has_a_file_of_its_own(pytester: pytest.Pytester) -> None:
    """
    Beside its module, named after it; a second run replays it; a test that asks nothing has none.
    """
    pytester.makepyfile(test_shop=TESTS)

    run(pytester).assert_outcomes(passed=5, failed=1)
    folder = pytester.path / "recordings" / "test_shop"
    names = sorted(path.name for path in folder.iterdir())

    assert 3 == len(names)
    assert ["http://shop.example/plain"] == recorded(folder / "test_plain.har")
    assert all(name.startswith("TestClass-test_method-a-b=1-") for name in names[:2])
    assert ["http://shop.example/marked"] == recorded(pytester.path / "named.har")
    run(pytester, "--scallion-record=none").assert_outcomes(passed=5, failed=1)


def test_the_command_line_decides_on_the_mode(pytester: pytest.Pytester) -> None:
    """
    Where nothing may be asked, "none" refuses it; "all" renews everything.
    """
    pytester.makepyfile(test_shop=TESTS)

    result = run(pytester, "--scallion-record=none", "-k", "plain")
    result.assert_outcomes(failed=1, deselected=5)
    result.stdout.fnmatch_lines(["*NotRecorded: GET http://shop.example/plain is not recorded*"])
    run(pytester, "-k", "plain").assert_outcomes(passed=1, deselected=5)
    (path,) = (pytester.path / "recordings" / "test_shop").iterdir()
    path.write_text(path.read_text().replace("live", "dead"))
    run(pytester, "-k", "plain").assert_outcomes(failed=1, deselected=5)
    run(pytester, "--scallion-record=all", "-k", "plain").assert_outcomes(passed=1, deselected=5)


def test_bad_options_are_told_by_name(pytester: pytest.Pytester) -> None:
    """
    The test that has them fails before it begins.
    """
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.scallion_recording(mode="sometimes")
        def test_mode(scallion_recording):
            pass

        @pytest.mark.scallion_recording("named.har")
        def test_positional(scallion_recording):
            pass
        """
    )

    result = run(pytester)
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        [
            "*The options of scallion_recording: mode is one of*",
            "*The marker scallion_recording takes keyword arguments only*",
        ]
    )
