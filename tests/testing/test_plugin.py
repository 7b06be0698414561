"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent.parent
URL = "https://shop.example/stock/apple"


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """`pytester` whose pytest finds the package, and nothing of this suite."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return pytester


def ran(pytester: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(f"import pytest\nimport scallion\nURL = {URL!r}\n\n{source}")
    return pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "-W", "error", "--strict-markers", *options
    )


def test_the_fixture(run: pytest.Pytester) -> None:
    """
    It answers what clients ask, wherever they were made; in async tests as well.
    """
    result = ran(
        run,
        """
client = scallion.Client()

def test_sync(scallion_mock):
    scallion_mock.get(URL).respond(json={"left": 12})
    assert {"left": 12} == client.get(URL).json()
    scallion_mock.calls.last

@pytest.mark.anyio
async def test_async(scallion_mock):
    scallion_mock.get(URL).respond(json={"left": 3})
    async with scallion.AsyncClient() as client:
        assert {"left": 3} == (await client.get(URL)).json()

def test_without():
    assert "intercepting" not in scallion.HTTPTransport.handle_request.__qualname__
""",
    )

    result.assert_outcomes(passed=4)  # asyncio and trio


def test_what_was_not_called(run: pytest.Pytester) -> None:
    """
    Is an error after a test that passed, and not told after one that failed.
    """
    result = ran(
        run,
        """
def test_passes(scallion_mock):
    scallion_mock.get(URL)

def test_fails(scallion_mock):
    scallion_mock.get(URL)
    assert 1 == 2

def test_skips(scallion_mock):
    scallion_mock.get(URL)
    pytest.skip("not now")

@pytest.mark.xfail
def test_is_known_to_fail(scallion_mock):
    scallion_mock.get(URL)
    assert 1 == 2
""",
    )

    result.assert_outcomes(passed=1, failed=1, skipped=1, xfailed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_passes*",
            "1 route was not called as expected:",
            f"    GET {URL}: never called",
            "There were no calls.",
        ]
    )


def test_what_was_refused(run: pytest.Pytester) -> None:
    """
    A refusal fails the test; one that the program swallowed does so afterwards, or is told beside the failure.
    """
    result = ran(
        run,
        """
def swallowing():
    try:
        return scallion.get(URL).text
    except Exception:
        return "fallback"

def test_refused(scallion_mock):
    scallion.get(URL)

def test_swallowed(scallion_mock):
    assert "fallback" == swallowing()

def test_led_astray(scallion_mock):
    assert "apple" == swallowing()
""",
    )

    result.assert_outcomes(failed=2, passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*UnforeseenRequest: No route takes this request:", f"E * GET {URL}"]
    )
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_swallowed*", "1 request was refused:"])
    result.stdout.fnmatch_lines(["-* scallion_mock -*", "No route takes this request:"])
    assert 1 == len(re.findall(r"-+ scallion_mock -+", result.stdout.str()))


def test_markers(run: pytest.Pytester) -> None:
    """
    They set options; the nearest to the test wins.
    """
    result = ran(
        run,
        """
pytestmark = pytest.mark.scallion_mock(base_url="https://shop.example", assert_all_called=False)

def test_module(scallion_mock):
    scallion_mock.get("/stock/{item}").respond(text="apples")
    scallion_mock.get("/never")
    assert "apples" == scallion.get(URL).text

@pytest.mark.scallion_mock(assert_all_called=True)
def test_nearer(scallion_mock):
    scallion_mock.get("/never")

@pytest.mark.scallion_mock(intercept=False)
def test_as_a_transport(scallion_mock):
    scallion_mock.get("/stock/{item}").respond(text="pears")
    with scallion.Client(transport=scallion_mock) as client:
        assert "pears" == client.get(URL).text

@pytest.mark.scallion_mock(strict=True)
def test_strict(scallion_mock):
    async def careless(request, call_next):
        await call_next(request)
        return await call_next(request)
    scallion_mock.get("/stock/{item}").respond(chunks=[b"a"])
    with scallion.Client(middlewares=[careless]) as client:
        with pytest.raises(scallion.MiddlewareError):
            client.get(URL)
    scallion_mock.expects_closed = False
""",
    )

    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_nearer*"])


def test_options_for_many_tests(run: pytest.Pytester) -> None:
    """
    A conftest sets defaults by a fixture; markers go before them.
    """
    run.makeconftest(
        """
import pytest

@pytest.fixture
def scallion_mock_options():
    return {"base_url": "https://shop.example", "assert_all_called": False}
"""
    )
    result = ran(
        run,
        """
def test_default(scallion_mock):
    scallion_mock.get("/stock/{item}").respond(204)
    scallion_mock.get("/never")
    assert 204 == scallion.get(URL).status_code

@pytest.mark.scallion_mock(base_url="https://other.example")
def test_marked(scallion_mock):
    assert "https://other.example" == scallion_mock.base_url
    assert not scallion_mock.expects_called
""",
    )

    result.assert_outcomes(passed=2)


def test_options_that_do_not_exist(run: pytest.Pytester) -> None:
    result = ran(
        run,
        """
@pytest.mark.scallion_mock(assert_all_caled=False)
def test_misspelt(scallion_mock):
    pass

@pytest.mark.scallion_mock("https://shop.example")
def test_positional(scallion_mock):
    pass
""",
    )

    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        [
            "The options of scallion_mock: *'assert_all_caled'*",
            "The marker scallion_mock takes keyword arguments only",
        ]
    )


def test_open_responses(run: pytest.Pytester) -> None:
    """
    What would hold a connection is found.
    """
    result = ran(
        run,
        """
def test_leaks(scallion_mock):
    scallion_mock.get(URL).respond(text="a")
    client = scallion.Client()
    client.send(client.build_request("GET", URL), stream=True)
    client.close()
""",
    )

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["1 response was neither read nor closed;*"])


def test_fixtures_that_end_with_requests(run: pytest.Pytester) -> None:
    """
    What a fixture asks on its way out was foreseen by the test.
    """
    result = ran(
        run,
        """
@pytest.fixture
def session(scallion_mock):
    yield
    scallion.post("https://shop.example/logout")

def test_logs_out(scallion_mock, session):
    scallion_mock.post("https://shop.example/logout")
""",
    )

    result.assert_outcomes(passed=1)


def test_it_can_be_switched_off(run: pytest.Pytester) -> None:
    result = ran(run, "def test_none(scallion_mock): pass\n", "-p", "no:scallion")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'scallion_mock' not found"])


def test_the_marker_is_registered(run: pytest.Pytester) -> None:
    result = run.runpytest_subprocess("--markers", "-p", "no:cacheprovider")

    result.stdout.fnmatch_lines(["@pytest.mark.scallion_mock(*options): *"])


def test_the_example_of_the_documentation(run: pytest.Pytester) -> None:
    """
    The page's test file passes.
    """
    text = (ROOT / "docs" / "mocking.md").read_text("utf-8")
    (source,) = re.findall(
        r"^```python no-run: [^\n]*pytest[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    run.makepyfile(source)

    result = run.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error", "--strict-markers")

    assert 0 == result.ret
    assert result.parseoutcomes()["passed"] >= 2
