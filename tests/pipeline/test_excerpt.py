"""What an error shows of a body: text, bounded and escaped; nothing of what is binary."""

from __future__ import annotations

import copy
import pickle
import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.pipeline.errors import HTTPStatusError
from scallion.pipeline.excerpt import MAX_SHOWN, excerpt
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.streams import SyncByteStream

REQUEST = Request("GET", "http://example.org/")


def shown(content: bytes, content_type: str | None = None) -> str:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return excerpt(Response(500, headers=headers, content=content), content)


def raised(response: Response) -> HTTPStatusError:
    response.request = REQUEST
    with pytest.raises(HTTPStatusError) as caught:
        response.raise_for_status()
    return caught.value


@pytest.mark.parametrize(
    ("content", "content_type", "expected"),
    [
        (b'{"detail":"no"}', "application/json", '{"detail":"no"}'),
        (b'{"title":"no"}', "application/problem+json; charset=utf-8", '{"title":"no"}'),
        (b"<p>no</p>", "text/html", "<p>no</p>"),
        (b"<a/>", "application/atom+xml", "<a/>"),
        (b"a=1", "application/x-www-form-urlencoded", "a=1"),
        (b"no", None, "no"),
        ("nö".encode(), None, "nö"),
        ("nö".encode("latin-1"), "text/plain; charset=iso-8859-1", "nö"),
        ("nö".encode("utf-16"), "text/plain; charset=utf-16", "nö"),
        (b"no", "text/plain; charset=nonsense", "no"),
        (b"\xffno, this is not possible", "text/plain", "\ufffdno, this is not possible"),
    ],
)
def test_text_is_shown(content: bytes, content_type: str | None, expected: str) -> None:
    """
    In its charset; a wrong byte in it does not hide the rest.
    """
    assert f"The response's body: {expected}" == shown(content, content_type)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"", "text/plain"),
        (b" \r\n", "text/plain"),
        (b"\x89PNG\r\n", None),
        (b"text", "application/octet-stream"),
        (b"text", "image/png"),
        (b"te\0xt", "text/plain"),
        (b"te\0xt", None),
        (b"\xff" * 20, "text/plain"),
    ],
)
def test_what_is_binary_or_empty_is_not_shown(content: bytes, content_type: str | None) -> None:
    """
    By its type, or by its looks.
    """
    assert "" == shown(content, content_type)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\u202eb", r"a\u202eb"),
        ("a\u2028b", r"a\u2028b"),
    ],
)
def test_what_is_not_printable_is_escaped(text: str, expected: str) -> None:
    """
    No server writes into a terminal, or a line into a log.
    """
    assert expected == shown(text.encode()).removeprefix("The response's body: ")


def test_what_is_shown_is_bounded() -> None:
    """
    The note says how much there is; a character cut in two is left out.
    """
    begun = "The response's body, 10001 bytes, begins: "

    assert begun + "x" * MAX_SHOWN == shown(b"x" * 10_001)
    assert begun + "x" + "ü" * (MAX_SHOWN - 1) == shown(b"x" + "ü".encode() * 5_000)
    assert "The response's body: " + "x" * MAX_SHOWN == shown(b"x" * MAX_SHOWN)
    assert "The response's body, 501 bytes, begins: " + "x" * 500 == shown(b"x" * 501)


@given(
    st.binary(max_size=3_000),
    st.sampled_from(
        [None, "text/plain", "application/json; charset=utf-16", "text/x; charset=big5"]
    ),
)
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_harmless(content: bytes, content_type: str | None) -> None:
    """
    One printable line, of a length that is known.
    """
    text = shown(content, content_type)

    assert text.isprintable()
    assert len(text) < MAX_SHOWN + 60


# In the error


def test_the_error_has_the_beginning_of_the_body() -> None:
    """
    Some KiB of it; the response has all. The message is httpx's.
    """
    error = raised(Response(500, content=b"x" * 20_000))

    assert b"x" * 8_192 == error.body
    assert 20_000 == len(error.response.content)
    assert str(error).startswith("Server error '500 Internal Server Error' for url")
    assert "xxx" not in str(error)


def test_a_traceback_shows_it() -> None:
    """
    By a note.
    """
    error = raised(Response(422, json={"detail": "no apples"}))

    assert 'The response\'s body: {"detail":"no apples"}\n' == traceback.format_exception(error)[-1]


class Stream(SyncByteStream):
    def __iter__(self) -> Any:
        yield b"later"


def test_an_unread_body_is_empty() -> None:
    """
    Nothing is read for it; once it has been read it is there.
    """
    error = raised(Response(500, stream=Stream()))
    assert b"" == error.body
    assert not hasattr(error, "__notes__")

    error.response.read()
    assert b"later" == error.body


def test_a_binary_body_has_no_note() -> None:
    """
    It is there all the same.
    """
    error = raised(Response(500, content=b"\x89PNG\0"))

    assert b"\x89PNG\0" == error.body
    assert not hasattr(error, "__notes__")


@pytest.mark.parametrize(
    "travel", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy]
)
def test_body_and_note_travel(travel: Any) -> None:
    """
    With the response, which travels whole.
    """
    error = raised(Response(500, text="x" * 20_000))

    copied = travel(error)

    assert (error.body, error.__notes__, str(error)) == (
        copied.body,
        copied.__notes__,
        str(copied),
    )
    assert 20_000 == len(copied.response.content)


@pytest.mark.parametrize("response", [None, object()])
def test_a_stand_in_for_a_response_has_no_body(response: Any) -> None:
    """
    Tests make errors of whatever is at hand.
    """
    assert b"" == HTTPStatusError("no", request=REQUEST, response=response).body
