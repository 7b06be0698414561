"""Text: charsets, incremental decoding, lines, chunks, links."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.pipeline.stages import Chain
from scallion.pipeline.text import (
    Chunker,
    LineDecoder,
    TextDecoder,
    charset,
    is_known_encoding,
    parse_links,
)

# Every line end of str.splitlines, and what could be mistaken for one.
ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\x1f|a "


def fed(stage: Any, pieces: Any) -> list[Any]:
    """What a stage gives for all pieces and at the end."""
    given = [item for piece in pieces for item in stage.feed(piece)]
    return [*given, *stage.finish()]


@given(st.lists(st.text(ENDS, max_size=6), max_size=8))
@settings(max_examples=200)
def test_lines_are_those_of_splitlines_however_the_text_is_cut(pieces: list[str]) -> None:
    """
    Pieces, put together, have the lines that str.splitlines finds in the whole.
    """
    assert "".join(pieces).splitlines() == fed(LineDecoder(), pieces)


def test_a_line_end_may_be_cut_in_two() -> None:
    """
    A carriage return and a newline are one end, also when a piece ends between them.
    """
    decoder = LineDecoder()

    assert [] == decoder.feed("one\r")
    assert ["one"] == decoder.feed("\ntwo")
    assert ["two"] == decoder.finish()


def test_a_line_decoder_can_be_used_again() -> None:
    """
    `finish` leaves nothing behind.
    """
    decoder = LineDecoder()

    assert ["a", ""] == fed(decoder, ["a\n\r"])
    assert [] == decoder.finish()


@given(
    st.binary(max_size=40),
    st.data(),
    st.sampled_from(["utf-8", "utf-16", "utf-32", "gb18030", "latin-1"]),
)
@settings(max_examples=150)
def test_text_is_the_same_however_the_bytes_are_cut(body: bytes, data: Any, encoding: str) -> None:
    """
    Characters that are cut in two, and bytes that are none, decode as in the whole.
    """
    cut = data.draw(st.integers(0, len(body)))

    assert body.decode(encoding, "replace") == "".join(
        fed(TextDecoder(encoding), [body[:cut], body[cut:]])
    )


def test_a_codec_that_fails_on_bytes_says_so() -> None:
    """
    Some codecs replace nothing; who sets one gets its error.
    """
    with pytest.raises(UnicodeError):
        TextDecoder("idna").feed(b"\xff.")


@given(st.lists(st.binary(max_size=9), max_size=8), st.integers(1, 12))
@settings(max_examples=150)
def test_chunks_have_the_size_that_was_asked_for(pieces: list[bytes], size: int) -> None:
    """
    All chunks but the last have `size` bytes; the last has what remains, and is not empty.
    """
    whole = b"".join(pieces)

    expected = [whole[i : i + size] for i in range(0, len(whole), size)]
    assert expected == fed(Chunker(size), [piece for piece in pieces if piece])


def test_text_is_chunked_by_characters() -> None:
    """
    A chunker of text counts characters.
    """
    assert ["äö", "ü"] == fed(Chunker(2), ["ä", "öü"])


@pytest.mark.parametrize("size", [0, -1])
def test_a_chunk_holds_something(size: int) -> None:
    """
    Sizes below one are refused, with the way out.
    """
    with pytest.raises(ValueError, match=r"chunk_size must be at least 1, or None"):
        Chunker(size)


def test_stages_compose() -> None:
    """
    In a chain each stage is fed what the one before gives, also at the end.
    """
    chain = Chain([TextDecoder(), LineDecoder(), Chunker(2)])

    assert ["ab"] == list(chain.feed(b"abc\nd"))
    assert ["cd"] == list(chain.finish())
    assert [] == list(chain.feed(b""))


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/html",
        "text/html; charset=UTF-8",
        'text/html; charset="utf-8"',
        "text/html; charset='utf-8'",
        "text/html;charset=",
        'text/html; charset=""',
        "text/html; CHARSET = latin-1 ; x=y",
        "text/html; charset",
        "text/html; Charset ; x=y",
        "text/html; xcharset",
        'text/html; x="a; charset"',
        'text/html; x="a;charset=foo"; charset=bar',
        "charset=utf-8",
        ";charset=utf-8",
        "text/html; charset=utf-8; charset=latin-1",
        "text/html; charset=utf 8",
        "text/html; charset=utf-8;",
        "text/html, text/plain; charset=x",
        'text/html; charset="utf-8',
        "text/html;;charset=a",
        "text/html; xcharset=b",
        'text/html; charset="a;b"',
        r'text/html; x="\"; charset=no"; charset=yes',
    ],
)
def test_the_charset_is_the_one_that_httpx_finds(content_type: str) -> None:
    """
    Ordinary and odd Content-Types name the same charset as in httpx.
    """
    theirs = httpx.Response(200, headers={"content-type": content_type}).charset_encoding

    assert theirs == charset(content_type)


def test_a_quoted_charset_may_escape() -> None:
    """
    A backslash in a quoted string stands for what follows it (RFC 9110 section 5.6.4).
    """
    assert "utf-8" == charset(r'text/html; charset="ut\f-8"')


@given(st.text(max_size=60))
@settings(max_examples=100)
def test_any_content_type_is_survived(content_type: str) -> None:
    """
    Whatever the header holds, there is a charset or none.
    """
    found = charset(content_type)
    assert found is None or isinstance(is_known_encoding(found), bool)


@pytest.mark.parametrize("name", ["utf-8", "UTF8", "latin-1", "iso-8859-15", "shift_jis", "utf-16"])
def test_encodings_that_python_has_are_known(name: str) -> None:
    """
    A codec's name, in any spelling.
    """
    assert is_known_encoding(name)


@pytest.mark.parametrize("name", ["", "nope", "zlib", "hex", "base64", "undefined", "\0"])
def test_what_makes_no_text_is_unknown(name: str) -> None:
    """
    Neither unknown names, nor codecs between bytes and bytes, nor those that fail on some bytes.
    """
    assert not is_known_encoding(name)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "<http://a>; rel=next",
        "<a>; rel=\"next\", <b>; rel=prev; x='y'",
        "<a>",
        "<a,b>; rel=x",
        "<a>; rel",
        "  <a> ; rel = next ",
        "<>",
        '<https://h/?page=2>; rel="next", <https://h/?page=9>; rel="last"',
        "<a>;rel=next,<b>;rel=prev",
    ],
)
def test_links_are_those_that_httpx_finds(header: str) -> None:
    """
    Well-formed Link headers, and some that are not, have the same links as in httpx.
    """
    links = {link.get("rel") or link["url"]: link for link in parse_links(header)}

    assert httpx.Response(200, headers={"link": header}).links == links


def test_quotes_protect_the_separators_of_links() -> None:
    """
    Commas, semicolons and equals signs in quotes belong to a value (RFC 8288 section 3).
    """
    [link] = parse_links(r'<a;b>; title="x=y; z, \"<b>\""; rel=next')

    assert {"url": "a;b", "title": 'x=y; z, "<b>"', "rel": "next"} == link
