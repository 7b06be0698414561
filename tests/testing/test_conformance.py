"""What both suites are made of: rules that are documented, colours that may hang, gates, and a world of virtual time."""

from __future__ import annotations

import asyncio
import pickle
import re
import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from scallion import ConnectError, Request, Response, Retries
from scallion.pipeline.onion import compose
from scallion.testing import After, ConformanceError, Report, VirtualRuntime, World, open_response
from scallion.testing.conformance import colours, middleware_suite, transport_suite
from scallion.testing.conformance.cancelling import cancelled_everywhere
from scallion.testing.conformance.gates import Gates
from scallion.testing.conformance.protocol import Fault, Wait, pattern, plan
from scallion.testing.conformance.rules import Broken, Rules, holds, same
from support.colours import Drive

RULES = (*transport_suite.RULES, *middleware_suite.RULES)
PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_each_rule_says_what_it_is(rule: Any) -> None:
    """
    A rule is a sentence with a source, needs known features, and stands in the document as it is.
    """
    line = f"| `{rule.name}` | {rule.text} | {rule.source} |"

    assert rule.text.endswith(".")
    assert re.match(r"RFC \d+ section|scallion: ", rule.source)
    assert rule.needs <= transport_suite.FEATURES
    assert line in PAGE.read_text("utf-8")


def test_names_of_rules_are_unique() -> None:
    """
    `skip` means one rule by one name.
    """
    for suite in (transport_suite, middleware_suite):
        names = [rule.name for rule in suite.RULES]
        assert sorted(set(names)) == sorted(names)


def test_each_feature_is_documented() -> None:
    """
    The table of features has all of them.
    """
    text = PAGE.read_text("utf-8")

    assert [] == [name for name in transport_suite.FEATURES if f"| `{name}` | " not in text]


# Reports.


def broken(error: BaseException) -> Report:
    rules = Rules()

    @rules("RFC 9110 section 1", needs=["network"])
    async def told(bench: object) -> None:
        """It is told."""

    (rule,) = rules
    return Report(broken=[Broken(rule, "trio", error)])


def test_a_report_without_broken_rules_raises_nothing() -> None:
    """
    Nothing broken is nothing to raise.
    """
    Report().raise_if_broken()


def test_an_error_pickles_into_what_it_says() -> None:
    """
    Test runners that send errors between processes show the same message.
    """
    with pytest.raises(ConformanceError) as caught:
        broken(AssertionError("seen")).raise_if_broken()

    copy = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(copy, AssertionError)
    assert str(caught.value) == str(copy)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (AssertionError("seen"), "told [trio]: seen\n"),
        (ValueError("bad"), "told [trio]: ValueError: bad\n"),
        (AssertionError(), "told [trio]: it failed somewhere\n"),
    ],
)
def test_what_was_seen_is_told(error: Exception, told: str) -> None:
    """
    The report has the error's words, its class if it is no assertion, its notes, and the rule.
    """
    error.add_note("It was at night.")

    text = str(broken(error))
    assert told in text
    assert "    It was at night.\n" in text
    assert "The rule: It is told. (RFC 9110 section 1; features network)" in text


def test_assertions_show_values_in_short() -> None:
    """
    A body of megabytes does not fill the screen.
    """
    with pytest.raises(AssertionError, match=r"size: expected 1, got b'xxx.*\.\.\. \(1003 charac"):
        same(1, b"x" * 1000, "size")
    with pytest.raises(AssertionError, match="no luck"):
        holds([], "no luck")
    same(1, 1, "size")
    holds([1], "no luck")


# Colours.


def test_what_hangs_is_given_up(drive: Drive) -> None:
    """
    A work that does not end is an AssertionError after the patience, in each colour.
    """
    release = threading.Event()

    async def hang() -> None:
        if drive.blocking:
            release.wait(10)
        else:
            await anyio.sleep_forever()

    with pytest.raises(AssertionError, match=r"has not ended after 0\.05 seconds"):
        colours.drive(drive.colour, hang, 0.05)
    release.set()


def test_results_and_errors_come_out(drive: Drive) -> None:
    """
    What a work returns is returned, and what it raises is raised.
    """

    async def give() -> int:
        return 1

    async def fail() -> None:
        raise LookupError("nothing")

    assert 1 == colours.drive(drive.colour, give, 5)
    with pytest.raises(LookupError, match="nothing"):
        colours.drive(drive.colour, fail, 5)


def test_works_at_once_are_in_order(drive: Drive) -> None:
    """
    Results come in the order of the works, and one that fails is raised after all have ended.
    """
    ended = []

    async def work(number: int) -> int:
        ended.append(number)
        if number == 2:
            raise LookupError("two")
        return number

    async def scenario(numbers: range) -> list[int]:
        works = [lambda number=number: work(number) for number in numbers]
        return await colours.together(drive.colour, works, 5)

    assert [0, 1] == drive(lambda: scenario(range(2)))
    with pytest.raises(LookupError, match="two"):
        drive(lambda: scenario(range(5)))
    assert {0, 1, 2, 3, 4} == set(ended)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_every_suspension_is_cancelled_once(backend: Any) -> None:
    """
    A work of three suspensions is cancelled three times, and then ends by itself.
    """
    reached: list[int] = []

    async def work() -> None:
        for number in range(3):
            reached.append(number)
            await anyio.lowlevel.checkpoint()

    seen: list[tuple[int, bool]] = []

    async def check(number: int, returned: bool) -> None:
        seen.append((number, returned))

    async def scenario() -> int:
        return await cancelled_everywhere(backend, work, check)

    count = anyio.run(scenario, backend=backend)

    assert list(range(count)) == [number for number, _ in seen]
    assert {False} == {returned for _, returned in seen}
    assert 3 <= count


def test_what_swallows_its_cancellation_is_seen() -> None:
    """
    A work that returns although it was cancelled is told as such.
    """

    async def work() -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            pass

    async def scenario() -> list[bool]:
        seen: list[bool] = []

        async def check(number: int, returned: bool) -> None:
            seen.append(returned)

        await cancelled_everywhere("asyncio", work, check)
        return seen

    assert [True] == asyncio.run(scenario())


# The conversation.


def test_plans_are_what_their_paths_say() -> None:
    """
    A few paths, and what is answered there.
    """
    assert (418, (b"status",)) == (
        plan("GET", b"/status/418", (), b"").status,
        plan("GET", b"/status/418", (), b"").steps,
    )
    assert (b"one", Wait.GATE, b"two") == plan("GET", b"/steps?gate=g1", (), b"").steps
    assert Fault.HALF_A_BODY is plan("GET", b"/drop/body", (), b"").fault
    assert [404, 404] == [plan("GET", path, (), b"").status for path in (b"/other", b"/other/way")]
    assert pattern(70_000)[:100] == pattern(100) != pattern(100, 1)


def test_gates_tell_who_came_too_late() -> None:
    """
    Whoever waits in vain goes on after the patience, and leaves word.
    """
    gates = Gates(0.01)
    gate, other = gates.new(), gates.new()
    gate.open()

    assert gate is gates.get(gate.name)
    assert gate.wait()
    assert not other.wait()
    assert (False, True) == (gate.late, other.late)
    gates.open_all()
    assert other.is_open
    assert not gates.get("unknown").is_open


# The world.


def test_a_dialogue_takes_no_time(drive: Drive) -> None:
    """
    What sleeps moves the world's clock; answers, errors and steps that take time come in their order.
    """
    unavailable = open_response(503)
    world = World(
        [
            unavailable,
            ConnectError("no"),
            After(2, lambda request: Response(200, text=request.method)),
        ],
        blocking=drive.blocking,
    )
    onion = compose(
        [Retries(attempts=3, wait=lambda state: 4)], world.transport, world, strict=True
    )

    async def scenario() -> Response:
        return await onion(Request("GET", "http://service.example/"))

    assert "GET" == drive(scenario).text
    assert [4.0, 4.0] == world.slept
    assert 1010.0 == world.clock()
    assert unavailable.is_closed
    assert 3 == len(world.asked)


def test_what_nobody_expected_is_told(drive: Drive) -> None:
    """
    A request after the script's end is an AssertionError.
    """
    world = World([], blocking=drive.blocking)

    with pytest.raises(AssertionError, match="Nobody expected request 1"):
        drive(lambda: world.transport(Request("GET", "http://service.example/")))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_deadline_ends_only_what_it_bounds(backend: Any) -> None:
    """
    Virtual deadlines of one task do not concern another.
    """
    runtime = VirtualRuntime(blocking=False)
    results: list[str] = []

    async def bounded() -> None:
        try:
            await runtime.bounded(runtime.sleep(5), runtime.clock() + 1)
        except TimeoutError:
            results.append("timeout")

    async def free() -> None:
        await runtime.sleep(5)
        results.append("slept")

    async def scenario() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(bounded)
            group.start_soon(free)

    anyio.run(scenario, backend=backend)

    assert {"timeout", "slept"} == set(results)
