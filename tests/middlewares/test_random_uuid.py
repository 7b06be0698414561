"""Random UUIDs: what they look like."""

from __future__ import annotations

from uuid import RFC_4122, UUID

from scallion.middlewares.random_uuid import random_uuid


def test_each_is_a_uuid_of_version_4() -> None:
    """
    32 hexadecimal digits in lower case, version and variant included.
    """
    made = [random_uuid() for _ in range(200)]

    assert made == [UUID(each).hex for each in made]
    assert {(4, RFC_4122)} == {(UUID(each).version, UUID(each).variant) for each in made}


def test_no_two_are_alike() -> None:
    """
    And each of the 122 other bits is now 0, now 1.
    """
    made = [int(random_uuid(), 16) for _ in range(200)]
    ones, zeros = 0, 0
    for each in made:
        ones |= each
        zeros |= ~each

    assert 200 == len(set(made))
    assert 122 == (ones & zeros & (2**128 - 1)).bit_count()
