"""Text for terminals: harmless, JSON indented as it was written, binary data told from text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion._cli.formatting import is_binary, kind_of, neutral, tidy


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("a\r\nb", "a\nb"),
        ("over\rwritten", "over\u240dwritten"),
        ("\x1b[31mred\x1b]0;title\x07", "\u241b[31mred\u241b]0;title\u2407"),
        ("\x9b31m \x85", "\\x9b31m \\x85"),
        ("\x7f\x00\x08", "\u2421\u2400\u2408"),
        ("a\u202eb\u2066c\u200f", "a\\u202eb\\u2066c\\u200f"),
        ("é\u2028\U0001f9c5", "é\u2028\U0001f9c5"),
    ],
)
def test_what_commands_a_terminal_is_only_shown(text: str, shown: str) -> None:
    """
    Control characters and what turns the writing around become pictures of themselves.
    """
    assert shown == neutral(text)


def test_json_is_indented_and_stays_what_it_is() -> None:
    """
    Numbers, escapes and repeated names are not touched, empty brackets stay together.
    """
    text = '{"a":1.10,"a":[ ],"b":{},"c":[{"x":"[,\\"\\u00e9"},-1e400,null]}'
    assert """{
    "a": 1.10,
    "a": [],
    "b": {},
    "c": [
        {
            "x": "[,\\"\\u00e9"
        },
        -1e400,
        null
    ]
}
""" == tidy(text, "json")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
@settings(max_examples=50)
def test_json_is_indented_as_python_does(value: object) -> None:
    """
    For what Python itself writes there is no difference to its own indentation.
    """
    expected = json.dumps(value, indent=4, ensure_ascii=False) + "\n"
    assert expected == tidy(json.dumps(value, ensure_ascii=False, separators=(",", ":")), "json")
    assert expected == tidy(expected, "json")


@pytest.mark.parametrize("text", ["{", "[1,]", "[" * 100_000, "", '{"a"}', "1" * 10_000 + "x"])
def test_what_is_no_json_stays_as_it_is(text: str) -> None:
    """
    Whatever the media type says.
    """
    assert text == tidy(text, "json")


def test_deep_json_does_not_explode() -> None:
    """
    Indentation stops at some depth, so that a small document cannot ask for a huge one.
    """
    deep = "[" * 500 + "1," * 10_000 + "1" + "]" * 500
    assert len(tidy(deep, "json")) < 3_000_000


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/json", "json"),
        ("Application/JSON; charset=utf-8", "json"),
        ("application/problem+json", "json"),
        ("application/atom+xml", "xml"),
        ("text/html", "html"),
        ("text/plain", ""),
        ("text/event-stream", ""),
        ("application/x-ndjson", ""),
        ("application/x-nobody-knows", ""),
        ("", ""),
    ],
)
def test_a_media_type_tells_the_language(content_type: str, kind: str) -> None:
    """
    By pygments' names; empty where there is nothing to colour.
    """
    assert kind == kind_of(content_type)


@pytest.mark.parametrize(
    ("start", "content_type", "encoding", "binary"),
    [
        (b"text", "", "utf-8", False),
        (b"\x89PNG\r\n\x1a\n\x00", "image/png", "utf-8", True),
        (b"readable", "application/octet-stream", "utf-8", False),
        (b"\xff\xfe", "application/octet-stream", "utf-8", True),
        ("é".encode()[:1], "application/octet-stream", "utf-8", False),
        (b"caf\xe9", "text/plain; charset=latin-1", "latin-1", False),
        (b"a\x00b", "text/plain", "utf-8", True),
        (b"a\x00b\x00", "text/plain; charset=utf-16", "utf-16", False),
        (b"\x1b[0m", "", "utf-8", False),
    ],
)
def test_binary_data_is_told_from_text(
    start: bytes, content_type: str, encoding: str, binary: bool
) -> None:
    """
    By its beginning, and by what the media type says.
    """
    assert binary == is_binary(start, content_type, encoding)
