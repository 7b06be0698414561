"""A second of the fuzzer that compares the fast lane with h11, and the fuzzer itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fuzz import conversing, fast_lane
from fuzz.conversing import Case, Exchange, compare, converse
from fuzz.generating import Generator
from fuzz.shrinking import shrink
from scallion.transports.codec import H11Codec
from scallion.transports.fast_lane import FastLane
from scallion.transports.messages import Head

ROOT = Path(__file__).parent.parent.parent
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"


def exchange(*arrivals: bytes, target: bytes = b"/") -> Exchange:
    return Exchange(b"GET", target, ((b"Host", b"a"),), b"", frozenset(), arrivals)


class Forgetful(FastLane):
    """A lane that loses the reason."""

    __slots__ = ()

    def head(self) -> Head | None:
        head = super().head()
        if head is not None:
            head.reason = b""
        return head


def test_lane_and_h11_agree_on_made_up_conversations() -> None:
    """
    A few thousand of them, always the same.
    """
    report = fast_lane.run(1, most=4000)

    assert report.found is None, fast_lane.told(report.found)
    assert 4000 == report.cases


def test_a_seed_gives_the_same_conversations() -> None:
    """
    What was found once is found again.
    """
    first, second, other = Generator(5), Generator(5), Generator(6)
    cases = [first.case() for _ in range(50)]

    assert cases == [second.case() for _ in range(50)]
    assert cases != [other.case() for _ in range(50)]


def test_conversations_reach_every_end() -> None:
    """
    Some are whole, some refused, some broken, some wait for more, some switch to another protocol.
    """
    generator = Generator(1)
    ends = {outcome.end for _ in range(2000) for outcome in converse(FastLane(), generator.case())}

    assert {"whole", "refused", "broken", "waiting", "switched"} == ends


def test_a_difference_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is left shows the difference and nothing else, and is told in words.
    """
    monkeypatch.setattr(conversing, "FastLane", Forgetful)
    report = fast_lane.run(1, most=100)

    assert report.found is not None
    (one,) = report.found
    assert (b"GET", b"/", b"") == (*one[:2], one.body)
    assert [b"Host"] == [name for name, _ in one.headers]
    assert len(b"".join(one.arrivals)) < 60
    said = fast_lane.told(report.found)
    assert "    head: h11  Answer(" in said
    assert "lane Answer(" in said


def test_a_lane_that_fails_counts_as_different(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An error that is none of ours is what the fuzzer looks for, too.
    """

    class Failing(FastLane):
        __slots__ = ()

        def feed(self, data: bytes) -> None:
            raise ZeroDivisionError

    monkeypatch.setattr(conversing, "FastLane", Failing)
    case = (exchange(OK, b"abc"),)

    assert fast_lane.differs(case)
    assert "One of them failed: ZeroDivisionError" in fast_lane.told(case)


def test_outcomes_of_a_conversation() -> None:
    """
    Two exchanges, and no third one after bytes that nobody asked for.
    """
    case = (exchange(OK, b"abc"), exchange(OK + b"abcd"), exchange(OK + b"abc"))
    first, second = converse(H11Codec(), case)

    assert ("whole", b"abc", 3, True) == (first.end, first.body, first.left, first.reusable)
    assert ("whole", b"abc", 0, False) == (second.end, second.body, second.left, second.reusable)
    assert compare(case) is None


def test_shrinking_keeps_what_shows() -> None:
    """
    The smallest conversation in which the second exchange's answer still holds an "x".
    """

    def shows(case: Case) -> bool:
        return len(case) > 1 and any(b"x" in arrival for arrival in case[1].arrivals)

    big = (
        exchange(OK, b"abc"),
        exchange(OK, b"axc", target=b"/long"),
        exchange(OK),
    )
    small = shrink(big, shows)

    assert 2 == len(small)
    assert (b"/", (b"x",)) == (small[1].target, small[1].arrivals)


def test_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    """
    It tells its rate, and fails only for a difference.
    """
    command = [sys.executable, "-m", "tests.fuzz.fast_lane", "--seconds", "0.05", "--seed", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith("seed 3: ")
    assert done.stdout.endswith("a second) no difference\n")


def test_the_program_fails_for_a_difference(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(conversing, "FastLane", Forgetful)

    assert 1 == fast_lane.main(["--seconds", "60", "--seed", "1"])
    assert "DIFFERENT\nThe fast lane and h11 differ" in capsys.readouterr().out
