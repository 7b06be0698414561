"""Percent-encoding: what is escaped, what is kept, and that both directions fit together."""

from __future__ import annotations

from urllib.parse import quote_plus, unquote, unquote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.pipeline import percent

PARTS = (
    percent.USERINFO,
    percent.PASSWORD,
    percent.HOST,
    percent.ZONE,
    percent.PATH,
    percent.QUERY,
    percent.FRAGMENT,
)
PIECES = [*"aZ09 -._~%+&=/?#[]{}é☃\x00\U0001f9c5", "%41", "%e9", "%C3%A9"]
TEXT = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("part", "kept"),
    [
        (percent.USERINFO, "!$%&'()*+,-.:_~"),
        (percent.PASSWORD, "!$%&'()*+,-._~"),
        (percent.HOST, "!\"$%&'()*+,-.;=\\_`{|}~"),
        (percent.ZONE, "-._~"),
        (percent.PATH, "!$%&'()*+,-./:;=@[\\]^_|~"),
        (percent.QUERY, "!$%&'()*+,-./:;=?@[\\]^_`{|}~"),
        (percent.FRAGMENT, "!#$%&'()*+,-./:;=?@[\\]^_{|}~"),
    ],
)
def test_each_part_keeps_its_punctuation(part: object, kept: str) -> None:
    """
    Letters, digits and the listed characters stay; every other one is escaped.
    """
    for code in range(128):
        character = chr(code)
        expected = (
            character if character.isalnum() or character in kept else f"%{ord(character):02X}"
        )
        assert expected == percent.escape(part, character)  # type: ignore[arg-type]


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(TEXT)
def test_escaping_twice_is_escaping_once(text: str) -> None:
    """
    Whatever was escaped holds only characters that are kept.
    """
    for part in PARTS[:3] + PARTS[4:]:
        once = percent.escape(part, text)
        assert once == percent.escape(part, once)
        assert once.isascii()


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(TEXT)
def test_forms_are_those_of_the_standard_library(text: str) -> None:
    """
    Names and values of forms are escaped, and all escapes undone, as urllib.parse does it.
    """
    assert quote_plus(text) == percent.escape_form(text)
    assert text == percent.unescape_form(percent.escape_form(text))
    assert unquote(text) == percent.unescape(text)
    assert unquote_plus(text) == percent.unescape_form(text)
