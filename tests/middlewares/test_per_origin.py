"""What layers remember of each origin."""

from __future__ import annotations

from scallion.middlewares.per_origin import PerOrigin, origin_name
from scallion.pipeline.request import Request


def test_each_origin_has_its_own_state() -> None:
    """
    Scheme, host and port tell origins apart; paths do not.
    """
    states: PerOrigin[list[str]] = PerOrigin(lambda origin: [origin_name(origin)])
    first = states.of(Request("GET", "http://a/x"))

    assert first is states.of(Request("GET", "http://a:80/y"))
    assert ["https://a:443"] == states.of(Request("GET", "https://a/"))
    assert ["http://[::1]:80"] == states.of(Request("GET", "http://[::1]/"))


def test_the_longest_unused_is_forgotten() -> None:
    """
    Their number is bounded, whatever hosts a program is told to ask.
    """
    states: PerOrigin[object] = PerOrigin(lambda origin: object(), most=2)
    a, b, c = (("http", name, 80) for name in "abc")
    kept = states.at(a)
    states.at(b)
    states.at(a)
    states.at(c)

    assert [a, c] == list(states.known())
    assert kept is states.at(a)
