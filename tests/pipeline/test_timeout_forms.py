"""The time that is left, in header fields: three forms, written and read."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.pipeline.timeout_forms import (
    TimeoutForm,
    check_form,
    check_header,
    read_timeout,
    writer_of,
)

FORMS: tuple[TimeoutForm, ...] = ("seconds", "milliseconds", "grpc")


@pytest.mark.parametrize(
    ("form", "left", "expected"),
    [
        ("seconds", 30.0, "30"),
        ("seconds", 12.5, "12.5"),
        ("seconds", 0.0629, "0.062"),
        ("seconds", 0.0001, "0.001"),
        ("seconds", 1e10, "9999999999"),
        ("seconds", 1e306, "9999999999"),
        ("milliseconds", 12.5, "12500"),
        ("milliseconds", 1e306, "9999999999000"),
        ("milliseconds", 0.0001, "1"),
        ("grpc", 0.125, "125m"),
        ("grpc", 12.5, "12500m"),
        ("grpc", 0.0625, "62500u"),
        ("grpc", 1e-9, "1u"),
        ("grpc", 99_999.999, "99999999m"),
        ("grpc", 100_000.0, "100000S"),
        ("grpc", 1e8, "1666666M"),
        ("grpc", 1e10, "2777777H"),
        ("grpc", 1e300, "99999999H"),
    ],
)
def test_what_is_left_is_written(form: TimeoutForm, left: float, expected: str) -> None:
    """
    Rounded down, but never to nothing.
    """
    assert expected == writer_of(form)(left)


@pytest.mark.parametrize(
    ("form", "value", "expected"),
    [
        ("seconds", "30", 30.0),
        ("seconds", " 12.5\t", 12.5),
        ("seconds", "0", 0.0),
        ("seconds", "0.30000000000000004", 0.3),
        ("seconds", "99999999999", 9_999_999_999),
        ("seconds", "9" * 5000, 9_999_999_999),
        ("milliseconds", "9" * 5000, 9_999_999_999),
        ("milliseconds", "12500", 12.5),
        ("grpc", "100m", 0.1),
        ("grpc", "2H", 7200.0),
        ("grpc", "3M", 180.0),
        ("grpc", "4S", 4.0),
        ("grpc", "5u", 5e-6),
        ("grpc", "99999999n", 0.099999999),
    ],
)
def test_what_was_written_is_read(form: TimeoutForm, value: str, expected: float) -> None:
    assert expected == pytest.approx(read_timeout(value, form))


@pytest.mark.parametrize(
    ("form", "value"),
    [
        *[
            ("seconds", value)
            for value in ("", "-1", "1e3", "inf", "nan", ".5", "5.", "5s", "1, 2")
        ],
        *[("seconds", value) for value in ("١٢", "+5", "1_0", "5\n")],
        *[("milliseconds", value) for value in ("", "-1", "1.5", "5m", "²")],
        *[("grpc", value) for value in ("", "100", "m", "123456789m", "-1m", "1.5S", "5h", "5 m")],
    ],
)
def test_what_has_not_the_form_is_no_number(form: TimeoutForm, value: str) -> None:
    """
    Nothing is guessed.
    """
    assert read_timeout(value, form) is None


@settings(max_examples=200)
@given(st.sampled_from(FORMS), st.floats(min_value=0.002, max_value=1e9))
def test_a_round_trip_loses_little_and_adds_nothing(form: TimeoutForm, left: float) -> None:
    """
    Who is asked is not told more than there is, and hardly less.
    """
    read = read_timeout(writer_of(form)(left), form)

    assert read is not None
    assert left - max(0.001, left / 1e4) - 1e-9 <= read <= left * (1 + 1e-12)


@settings(max_examples=200)
@given(st.sampled_from(FORMS), st.floats(min_value=1e-12, max_value=1e306))
def test_whatever_is_written_is_read(form: TimeoutForm, left: float) -> None:
    """
    A reader that ignored it would have no deadline at all.
    """
    read = read_timeout(writer_of(form)(left), form)

    assert read is not None
    assert 0 < read <= max(left * (1 + 1e-12), 0.001)


@settings(max_examples=200)
@given(st.sampled_from(FORMS), st.text())
def test_any_text_is_a_number_or_none(form: TimeoutForm, value: str) -> None:
    """
    Reading raises nothing.
    """
    read = read_timeout(value, form)

    assert read is None or (read >= 0 and math.isfinite(read))


@pytest.mark.parametrize("form", ["minutes", None, 5])
def test_there_are_three_forms(form: Any) -> None:
    with pytest.raises(ValueError, match=r"Layer form must be one of 'seconds', .*: "):
        check_form("Layer", form)


@pytest.mark.parametrize("header", ["", "X Timeout", "X-Timeout:", "é", None])
def test_a_header_has_a_name(header: Any) -> None:
    with pytest.raises(ValueError, match="Layer header must be a header's name"):
        check_header("Layer", "header", header)
