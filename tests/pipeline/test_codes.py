"""codes: the same members, names and answers as httpx's, and RFC 9110's names beside them."""

from __future__ import annotations

import pickle

import httpx
import pytest

from scallion.pipeline.codes import codes

RENAMED = {
    "CONTENT_TOO_LARGE": 413,
    "URI_TOO_LONG": 414,
    "RANGE_NOT_SATISFIABLE": 416,
    "UNPROCESSABLE_CONTENT": 422,
}
QUESTIONS = [
    "get_reason_phrase",
    "is_client_error",
    "is_error",
    "is_informational",
    "is_redirect",
    "is_server_error",
    "is_success",
]


def test_members_are_those_of_httpx() -> None:
    """
    Names, values and phrases agree, in the same order.
    """
    expected = [
        (code.name, code.value, httpx.codes.get_reason_phrase(code)) for code in httpx.codes
    ]

    assert expected == [(code.name, code.value, code.phrase) for code in codes]
    assert 62 == len(codes)


def test_lower_case_names_are_plain_numbers() -> None:
    """
    Every name exists in lower case too, as an int.
    """
    for code in httpx.codes:
        lower = getattr(codes, code.name.lower())
        assert (int(code), int) == (lower, type(lower))


@pytest.mark.parametrize(("name", "value"), RENAMED.items())
def test_names_of_rfc_9110_are_aliases(name: str, value: int) -> None:
    """
    The newer name stands for the same member, without a warning.
    """
    assert codes(value) is codes[name]
    assert codes(value) is getattr(codes, name)
    assert value == getattr(codes, name.lower())


@pytest.mark.parametrize("question", QUESTIONS)
def test_classification_agrees_with_httpx(question: str) -> None:
    """
    The class methods give the same answers, for unknown numbers too.
    """
    for value in [0, 99, 299, 306, 399, 419, 499, 509, 599, 600, 1000, *httpx.codes]:
        assert getattr(httpx.codes, question)(value) == getattr(codes, question)(value)


def test_a_code_is_a_number() -> None:
    """
    It compares, prints, formats and pickles as one.
    """
    assert 200 == codes.OK == codes(200)
    assert "200" == str(codes.OK) == f"{codes.OK}"
    assert "<codes.OK: 200>" == repr(codes.OK)
    assert codes.OK is pickle.loads(pickle.dumps(codes.OK))


def test_an_unknown_code_is_refused() -> None:
    """
    There is no member for an unregistered number.
    """
    with pytest.raises(ValueError, match="299 is not a valid codes"):
        codes(299)
