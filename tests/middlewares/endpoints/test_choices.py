"""Choices: their distributions, seeded, and what they do with weights, keys and slow starts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.middlewares.endpoints.choices import (
    Choice,
    ConsistentHash,
    Draw,
    LeastPending,
    PowerOfTwo,
    RoundRobin,
    choice_of,
)
from scallion.middlewares.endpoints.endpoint import Endpoint
from scallion.middlewares.endpoints.members import Member
from scallion.pipeline.request import Request


def members(many: int, weights: list[float] | None = None) -> list[Member]:
    return [
        Member(Endpoint(f"10.0.0.{number}", 80, weight=weights[number] if weights else 1.0), 0.0, 0)
        for number in range(many)
    ]


def draw(
    choice: Choice,
    among: list[Member],
    every: list[Member] | None = None,
    *,
    now: float = 0.0,
    seed: Callable[[], float] | None = None,
    key: str | None = None,
    ramp: float = 1.0,
    **headers: str,
) -> Draw:
    weights: list[float] | None = [member.endpoint.weight for member in among]
    if weights is not None and len(set(weights)) == 1:
        weights = None
    return Draw(
        among,
        weights,
        now,
        seed or random.Random(1).random,
        Request("GET", "http://orders/", headers=headers),
        key,
        choice.laid_out(every or among),
        lambda member: ramp,
    )


def fullest(pick: Callable[[list[Member]], Member], many: int = 200) -> int:
    """Throw as many balls as there are bins; the fullest one's."""
    every = members(many)
    for _ in range(many):
        pick(every).pending += 1
    return max(member.pending for member in every)


def test_two_choices_keep_the_fullest_server_emptier_than_one() -> None:
    """
    Log log n instead of log n / log log n: 3 or 4 of 200 instead of 5 to 8.
    """
    source = random.Random(7)
    choice = PowerOfTwo()

    def two(every: list[Member]) -> Member:
        return choice.pick(draw(choice, every, seed=source.random))

    by_two = [fullest(two) for _ in range(10)]
    by_one = [fullest(source.choice) for _ in range(10)]

    assert max(by_two) <= 4
    assert max(by_two) < min(by_one)


def test_the_slow_one_of_a_pair_is_left_alone() -> None:
    """
    A slow endpoint among fast ones is chosen only until it has shown it.
    """
    every = members(10)
    choice = PowerOfTwo()
    source = random.Random(3)
    seen: Counter[int] = Counter()
    for step in range(2000):
        now = step * 0.001
        chosen = choice.pick(draw(choice, every, now=now, seed=source.random))
        number = every.index(chosen)
        seen[number] += 1
        chosen.observe(1.0 if number == 0 else 0.01, now, 10.0)

    assert seen[0] <= 3
    assert sum(seen.values()) - seen[0] >= 1997


def test_a_worse_latency_counts_at_once_and_a_better_one_by_and_by() -> None:
    member = members(1)[0]

    member.observe(0.1, 0.0, 10.0)
    member.observe(1.0, 0.0, 10.0)
    assert 1.0 == member.latency
    member.observe(0.1, 10.0, 10.0)
    assert pytest.approx(0.1 + 0.9 / 2.71828, rel=1e-4) == member.latency
    assert pytest.approx(member.latency / 2.71828, rel=1e-4) == member.faded(20.0, 10.0)


def test_an_endpoint_that_has_not_answered_yet_is_asked_once() -> None:
    """
    Nothing pending and nothing known: first choice. One pending and nothing known: last choice.
    """
    new, known = members(2)
    known.observe(0.5, 0.0, 10.0)

    assert new.load(0.0, 10.0) < known.load(0.0, 10.0)
    new.pending = 1
    assert new.load(0.0, 10.0) > known.load(0.0, 10.0)


def test_without_any_memory_the_pending_ones_decide() -> None:
    """
    A latency that has faded to nothing is unknown again, and not the best of all.
    """
    idle, busy = members(2)
    for member, pending in ((idle, 1), (busy, 3)):
        member.observe(0.1, 0.0, 1e-9)
        member.pending = pending

    assert 0.0 == idle.faded(1.0, 1e-9)
    assert idle.load(1.0, 1e-9) < busy.load(1.0, 1e-9)


@pytest.mark.parametrize("choice", [RoundRobin(), PowerOfTwo()], ids=repr)
def test_weights_set_the_shares(choice: Choice) -> None:
    """
    With nothing under way, a weight of 3 is chosen some three times as often, or more.
    """
    every = members(4, [1.0, 1.0, 1.0, 3.0])
    source = random.Random(5)
    seen = Counter(
        every.index(choice.pick(draw(choice, every, seed=source.random))) for _ in range(6000)
    )

    assert 6000 == sum(seen.values())
    assert 2900 <= seen[3] <= 4000
    assert all(seen[number] > 500 for number in range(3))


def test_a_round_robin_goes_round() -> None:
    """
    Heavier ones come more often, and evenly spread.
    """
    choice = RoundRobin()
    every = members(3, [1.0, 1.0, 2.0])
    order = [every.index(choice.pick(draw(choice, every))) for _ in range(8)]

    assert [2, 0, 1, 2, 2, 0, 1, 2] == order
    equal = members(3)
    assert [0, 1, 2, 0, 1, 2] == [equal.index(choice.pick(draw(choice, equal))) for _ in range(6)]


def test_least_pending_counts_by_weight() -> None:
    choice = LeastPending()
    every = members(3, [1.0, 1.0, 4.0])
    every[0].pending, every[1].pending, every[2].pending = 1, 2, 4

    assert every[2] is choice.pick(draw(choice, every))
    every[2].pending = 8
    assert every[0] is choice.pick(draw(choice, every))


def test_equals_share_what_is_pending_least() -> None:
    choice = LeastPending()
    every = members(5)
    source = random.Random(2)

    seen = Counter(
        every.index(choice.pick(draw(choice, every, seed=source.random))) for _ in range(1000)
    )

    assert all(150 <= seen[number] <= 250 for number in range(5))


# Consistent hashing

KEYS = [f"user-{number}" for number in range(3000)]


def owners(choice: ConsistentHash, every: list[Member]) -> dict[str, str]:
    base = draw(choice, every, key="x")
    return {key: str(choice.pick(base._replace(key=key)).endpoint) for key in KEYS}


def test_one_key_goes_to_one_endpoint_in_every_process() -> None:
    """
    The ring depends on nothing but the endpoints' names, not on their order.
    """
    choice = ConsistentHash()
    every = members(10)

    assert owners(choice, every) == owners(choice, every[::-1])


@pytest.mark.parametrize("many", [5, 10, 20])
def test_a_new_endpoint_takes_its_share_of_the_keys_and_no_other_moves(many: int) -> None:
    choice = ConsistentHash()
    every = members(many + 1)
    before, after = owners(choice, every[:-1]), owners(choice, every)
    moved = {key for key in KEYS if before[key] != after[key]}

    assert {str(every[-1].endpoint)} == {after[key] for key in moved}
    assert 0.6 / (many + 1) <= len(moved) / len(KEYS) <= 1.5 / (many + 1)


def test_who_may_not_be_used_is_passed_over() -> None:
    """
    Only the keys of the endpoint that is out go elsewhere, and to several others.
    """
    choice = ConsistentHash()
    every = members(10)
    base = draw(choice, every, key="x")
    before = {key: choice.pick(base._replace(key=key)) for key in KEYS}
    without = base._replace(among=every[1:])
    after = {key: choice.pick(without._replace(key=key)) for key in KEYS}

    assert all(before[key] is after[key] for key in KEYS if before[key] is not every[0])
    assert 9 == len({after[key] for key in KEYS if before[key] is every[0]})


def test_keys_are_spread_by_weight() -> None:
    choice = ConsistentHash()
    every = members(4, [1.0, 1.0, 1.0, 3.0])
    shares = Counter(owners(choice, every).values())

    assert 0.4 <= shares[str(every[3].endpoint)] / len(KEYS) <= 0.6


@given(st.lists(st.integers(0, 50), min_size=1, max_size=200))
@settings(max_examples=50, deadline=None)
def test_a_bound_holds_whatever_the_keys_are(keys: list[int]) -> None:
    """
    No endpoint has more than 1.25 times its fair share, even if all keys are the same.
    """
    choice = ConsistentHash(bound=1.25)
    every = members(5)
    base = draw(choice, every, key="x")
    for number, key in enumerate(keys, 1):
        choice.pick(base._replace(key=str(key))).pending += 1
        assert max(member.pending for member in every) <= -(-1.25 * number // 5)


def test_the_key_is_a_header_or_what_a_function_says() -> None:
    """
    The option wins over both; without a key the request goes anywhere.
    """
    every = members(10)

    def chosen(choice: ConsistentHash, seed: int = 1, **settings: Any) -> Member:
        return choice.pick(draw(choice, every, seed=random.Random(seed).random, **settings))

    by_header, by_function = ConsistentHash("user"), ConsistentHash(lambda request: b"user-9")
    assert chosen(by_header, user="user-9") is chosen(by_function)
    assert chosen(ConsistentHash(), key="user-9") is chosen(by_function)
    assert chosen(by_function, key="user-1") is chosen(ConsistentHash(), key="user-1")
    assert 1 < len({chosen(ConsistentHash("user"), seed) for seed in range(20)})


def test_an_endpoint_that_warms_up_gets_its_keys_one_after_the_other() -> None:
    """
    Those that it has at one time it still has later.
    """
    choice = ConsistentHash()
    every = members(5)
    every[0].warm_from = 0.0
    base = draw(choice, every, key="x")

    def own(share: float) -> set[str]:
        at = base._replace(ramp=lambda member: share)
        return {key for key in KEYS if choice.pick(at._replace(key=key)) is every[0]}

    some, more, all_of_them = own(0.2), own(0.6), own(1.0)
    assert some < more < all_of_them
    assert 0.1 <= len(some) / len(all_of_them) <= 0.3


# Settings


@pytest.mark.parametrize(
    ("name", "kind"),
    [("power_of_two", PowerOfTwo), ("least_pending", LeastPending), ("round_robin", RoundRobin)],
)
def test_choices_have_names(name: str, kind: type[Choice]) -> None:
    assert kind() == choice_of(name)
    assert choice_of(kind()) == kind()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: choice_of("best"), ValueError),
        (lambda: choice_of(None), TypeError),
        (lambda: choice_of(PowerOfTwo), TypeError),
        (lambda: PowerOfTwo(decay=0), ValueError),
        (lambda: LeastPending(decay=0), ValueError),
        (lambda: ConsistentHash(by=7), TypeError),  # type: ignore[arg-type]
        (lambda: ConsistentHash(bound=0.5), ValueError),
        (lambda: ConsistentHash(points=0), ValueError),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        make()
