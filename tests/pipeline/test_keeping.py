"""Bodies that are kept as a whole: what went in comes out, and room is made only as bytes arrive."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scallion.pipeline.keeping import STEP, Kept


def put(kept: Kept, data: bytes, left: int) -> int:
    """Put as much of `data` as fits into the room for `left` bytes."""
    room = kept.room(left)
    count = min(len(room), len(data))
    room[:count] = data[:count]
    kept.took(count)
    return count


def test_nothing() -> None:
    """
    A body without bytes is empty.
    """
    kept = Kept()

    assert 0 == kept.size
    assert b"" == kept.content()


def test_one_piece_is_handed_on() -> None:
    """
    A body that came in one piece is that piece, uncopied.
    """
    piece = b"body" * 100
    kept = Kept()
    kept.add(piece)

    assert len(piece) == kept.size
    assert kept.content() is piece


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=50))), st.integers(0, 100))
def test_pieces_and_room_make_up_the_body(parts: list[tuple[bool, bytes]], beyond: int) -> None:
    """
    Whether bytes came by themselves or into the room, and however much room was left, the content is what came, in order.
    """
    whole = b"".join(data for _, data in parts)
    kept = Kept()
    for by_itself, data in parts:
        if by_itself:
            kept.add(data)
            continue
        rest = data
        while rest:
            rest = rest[put(kept, rest, len(whole) - kept.size + beyond) :]

    assert len(whole) == kept.size
    assert whole == kept.content()


def test_room_is_for_what_is_left() -> None:
    """
    There is no more room than bytes are to come, and never more than a step of it.
    """
    kept = Kept()

    assert 10 == len(kept.room(10))
    kept.took(4)
    assert 6 == len(kept.room(6))
    kept.took(6)
    assert STEP == len(kept.room(10**15))
    kept.took(1)
    assert STEP - 1 == len(kept.room(10**15))


def test_memory_follows_what_arrives() -> None:
    """
    An announced petabyte costs what has arrived, and a little more than a step.
    """
    tracemalloc.start()
    try:
        kept = Kept()
        kept.add(b"x" * 1000)
        for _ in range(8):
            kept.room(10**15)
            kept.took(STEP // 4)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 8 * STEP


@pytest.mark.parametrize("size", [100, STEP, 10 * STEP + 1])
def test_a_whole_body_is_kept_once(size: int) -> None:
    """
    A body of known length costs its length in memory, not twice of it.
    """
    tracemalloc.start()
    try:
        kept = Kept()
        while kept.size < size:
            kept.took(len(kept.room(size - kept.size)))
        content = kept.content()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert size == len(content)
    assert most < 1.2 * size + 4096


def test_lent_room_goes_back() -> None:
    """
    Room that was lent is no longer good when the body goes on.
    """
    kept = Kept()
    room = kept.room(10)
    kept.took(3)
    kept.add(b"piece")

    with pytest.raises(ValueError, match="released"):
        room[0] = 1
