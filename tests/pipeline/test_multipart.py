"""Multipart forms: the bytes on the wire, and how files become them."""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.pipeline.errors import StreamConsumed
from scallion.pipeline.multipart import MultipartStream, boundary_of
from scallion.pipeline.runtime import run

BOUNDARY = b"+++"


class Named(io.BytesIO):
    """A file with a name."""

    def __init__(self, content: bytes, name: Any) -> None:
        super().__init__(content)
        self.name = name


class Pipe:
    """A file that can only be read on."""

    def __init__(self, content: bytes) -> None:
        self.read = io.BytesIO(content).read


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[io.BufferedReader]:
    """The files that multipart bodies open, as they open them."""
    files: list[io.BufferedReader] = []

    def recording(path: Any, mode: Any) -> Any:
        files.append(open(path, mode))  # noqa: PTH123, SIM115 - the name is what is replaced.
        return files[-1]

    monkeypatch.setattr("scallion.pipeline.multipart.open", recording, raising=False)
    return files


async def gather(stream: Any) -> bytes:
    return b"".join([chunk async for chunk in stream])


def ours(files: Any, data: Any = None) -> tuple[list[tuple[str, str]], bytes]:
    stream = MultipartStream(data or {}, files, BOUNDARY)
    return list(stream.get_headers().items()), b"".join(stream)


def theirs(files: Any, data: Any = None) -> tuple[list[tuple[str, str]], bytes]:
    stream = httpx._multipart.MultipartStream(data or {}, files, BOUNDARY)
    return list(stream.get_headers().items()), b"".join(stream)


FILES: dict[str, Callable[[], Any]] = {
    "nothing": dict,
    "file": lambda: {"f": io.BytesIO(b"content")},
    "file of a name": lambda: {"f": Named(b"content", "/some/where/x.json")},
    "file of a descriptor": lambda: {"f": Named(b"content", 3)},
    "file named as a folder": lambda: {"f": Named(b"content", "folder/")},
    "file of two suffixes": lambda: {"f": Named(b"content", "x.tar.gz")},
    "file of an unknown suffix": lambda: {"f": Named(b"content", "x.unknown")},
    "bytes": lambda: {"f": b"content"},
    "no bytes": lambda: {"f": b""},
    "text": lambda: {"f": "content \N{SNOWMAN}"},
    "pair": lambda: {"f": ("x.txt", io.BytesIO(b"content"))},
    "pair of bytes": lambda: {"f": ("x.png", b"content")},
    "pair of text": lambda: {"f": ("x.html", "content")},
    "pair without a name": lambda: {"f": (None, b"content")},
    "pair of an empty name": lambda: {"f": ("", b"content")},
    "type": lambda: {"f": ("x.txt", b"content", "text/csv")},
    "no type": lambda: {"f": ("x.txt", b"content", None)},
    "empty type": lambda: {"f": ("x.txt", b"content", "")},
    "type without a name": lambda: {"f": (None, b"{}", "application/json")},
    "headers": lambda: {"f": ("x.txt", b"content", "text/csv", {"Expires": "0", "X-Y": "z"})},
    "no headers": lambda: {"f": ("x.txt", b"content", "text/csv", {})},
    "type in headers": lambda: {"f": ("x.txt", b"content", "text/csv", {"content-TYPE": "a/b"})},
    "list": lambda: [("f", ("a.txt", b"1")), ("g", b"2"), ("f", io.BytesIO(b"3"))],
    "tuple of pairs": lambda: (("f", b"1"), ("f", b"2")),
    "odd names": lambda: {'a"b\\c\r\nd\x1b\x00\x7f': ('x"\\\r\n\t\x1b\N{SNOWMAN}.txt', b"content")},
    "file that stands at its end": lambda: {"f": standing_at_its_end()},
    "unseekable": lambda: {"f": Pipe(b"content")},
    "big": lambda: {"f": io.BytesIO(b"x" * 200_000), "g": b"y" * 100_000},
}


def standing_at_its_end() -> io.BytesIO:
    file = io.BytesIO()
    file.write(b"just written")
    return file


class TestAgainstHttpx:
    """The same bytes and the same headers."""

    @pytest.mark.parametrize("build", FILES.values(), ids=FILES)
    def test_files(self, build: Callable[[], Any]) -> None:
        assert theirs(build()) == ours(build())

    @pytest.mark.parametrize(
        "data",
        [
            {"a": "b"},
            {"a": b"\xff\r\n"},
            {"a": 1, "b": 1.5, "c": None, "d": True, "e": False, "f": ""},
            {"a": ["1", b"2", 3, None], "b": ("x", "y"), "c": []},
            {'odd "name"\r\n': "\N{SNOWMAN}"},
        ],
        ids=repr,
    )
    def test_fields(self, data: dict[str, Any]) -> None:
        assert theirs({"f": b"x"}, data) == ours({"f": b"x"}, data)

    @settings(max_examples=150, deadline=None)
    @given(
        st.dictionaries(
            st.text(),
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats()
            | st.text()
            | st.binary()
            | st.lists(st.text()),
        ),
        st.lists(
            st.tuples(
                st.text(),
                st.text()
                | st.binary()
                | st.tuples(st.none() | st.text(), st.binary())
                | st.tuples(
                    st.text(), st.binary(), st.sampled_from(["text/plain", "a/b; charset=x"])
                ),
            )
        ),
    )
    def test_any_form(self, data: dict[str, Any], files: list[tuple[str, Any]]) -> None:
        assert theirs(files, data) == ours(files, data)


class TestBetterThanHttpx:
    """What httpx refuses, garbles or lets pass."""

    def test_lists_in_a_mapping_repeat_the_file(self) -> None:
        listed = ours({"f": [("a.txt", b"1"), b"2"], "g": b"3"})

        assert theirs([("f", ("a.txt", b"1")), ("f", b"2"), ("g", b"3")]) == listed

    def test_path_is_sent_as_the_file_that_it_names(self, tmp_path: Path) -> None:
        path = tmp_path / "x.json"
        path.write_bytes(b"{}")
        with path.open("rb") as file:
            expected = theirs({"f": file, "g": ("y.txt", b"{}")})

        assert expected == ours({"f": path, "g": ("y.txt", path)})

    def test_callers_headers_stay_as_they_are(self) -> None:
        """
        httpx adds the content type to the caller's own dict.
        """
        headers = {"X-Y": "z"}

        assert b"Content-Type: text/plain" in ours({"f": ("x.txt", b"", None, headers)})[1]
        assert {"X-Y": "z"} == headers

    def test_headers_that_resemble_the_content_type_do_not_replace_it(self) -> None:
        """
        httpx takes any name that contains it for it.
        """
        part = ours({"f": ("x.txt", b"", None, {"X-Content-Type-Options": "nosniff"})})[1]

        assert b"X-Content-Type-Options: nosniff\r\nContent-Type: text/plain\r\n\r\n" in part

    def test_temporary_file_in_memory_has_no_name(self) -> None:
        """
        httpx calls it "None".
        """
        with tempfile.SpooledTemporaryFile(100) as file:
            file.write(b"content")

            assert theirs({"f": b"content"}) == ours({"f": file})

    def test_pipe_has_no_length(self) -> None:
        """
        httpx announces that it is empty.
        """
        reader, writer = os.pipe()
        os.write(writer, b"through the pipe")
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            headers, body = ours({"f": file})

        assert ("Transfer-Encoding", "chunked") == headers[0]
        assert b"\r\n\r\nthrough the pipe\r\n" in body

    def test_file_that_grows_keeps_its_promise(self) -> None:
        file = io.BytesIO(b"one")
        stream = MultipartStream({}, {"f": file}, BOUNDARY)
        file.seek(3)
        file.write(b"two")

        body = b"".join(stream)

        assert stream.get_content_length() == len(body)
        assert b"\r\n\r\none\r\n--+++--\r\n" in body


class TestHeaderInjection:
    """Nothing that a caller passes on can end a header."""

    @pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\0"])
    def test_content_type(self, end: str) -> None:
        with pytest.raises(
            ValueError, match="Line break in the header 'Content-Type' of the file 'f'"
        ):
            ours({"f": ("x", b"", f"text/plain{end}X-Evil: 1")})

    @pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\0"])
    def test_header_value(self, end: str) -> None:
        with pytest.raises(ValueError, match="Line break in the header 'X-Y'"):
            ours({"f": ("x", b"", None, {"X-Y": f"z{end}X-Evil: 1"})})

    @pytest.mark.parametrize("name", ["X\r\nEvil", "X: 1\nEvil", "X Y", ""])
    def test_header_name(self, name: str) -> None:
        with pytest.raises(ValueError, match="Invalid header name"):
            ours({"f": ("x", b"", None, {name: "1"})})

    @settings(max_examples=100, deadline=None)
    @given(st.text(alphabet='\r\n":;a\\\0'), st.text(alphabet='\r\n":;a\\\0'))
    def test_names_never_leave_their_quotes(self, name: str, filename: str) -> None:
        body = ours({name: (filename, b"content")})[1]

        head, _, content = body.partition(b"\r\n\r\n")
        assert b"content\r\n--+++--\r\n" == content
        assert head.count(b"\r\n") == (2 if filename else 1)
        assert head.count(b'"') == (4 if filename else 2)


class TestRefusals:
    @pytest.mark.parametrize("name", [1, b"a", None, ("a",)])
    def test_field_name(self, name: Any) -> None:
        with pytest.raises(TypeError, match="Invalid type for name"):
            ours({}, {name: "value"})

    @pytest.mark.parametrize("value", [object(), {"a": "b"}, [["a"]]])
    def test_field_value(self, value: Any) -> None:
        with pytest.raises(TypeError, match="Invalid type for value"):
            ours({}, {"a": value})

    def test_value_stays_out_of_the_message(self) -> None:
        with pytest.raises(TypeError) as caught:
            ours({}, {"password": {"old": "hunter2"}})

        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("name", [1, b"a", None])
    def test_file_name(self, name: Any) -> None:
        with pytest.raises(TypeError, match="Invalid type for name"):
            ours([(name, b"")])

    def test_filename(self) -> None:
        with pytest.raises(TypeError, match="Invalid type for filename"):
            ours({"f": (b"x", b"")})

    @pytest.mark.parametrize("value", [("x",), ("x", b"", "a/b", {}, "more")])
    def test_tuple_of_another_length(self, value: Any) -> None:
        with pytest.raises(ValueError, match="expected \\(filename, content\\)"):
            ours({"f": value})

    @pytest.mark.parametrize("content", [1, None, object(), {"a": "b"}])
    def test_content_of_another_type(self, content: Any) -> None:
        with pytest.raises(TypeError, match="Invalid type for the file 'f'"):
            ours({"f": ("x", content)})

    @pytest.mark.parametrize("headers", [{"X": 1}, {b"X": "y"}])
    def test_headers_of_another_type(self, headers: Any) -> None:
        with pytest.raises(TypeError, match="must be str"):
            ours({"f": ("x", b"", None, headers)})

    def test_text_in_memory(self) -> None:
        with pytest.raises(TypeError, match=r"io\.StringIO.*io\.BytesIO"):
            ours({"f": io.StringIO("text")})

    def test_file_in_text_mode(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("text")
        with (tmp_path / "x").open() as file, pytest.raises(TypeError, match="text mode"):
            ours({"f": file})

    def test_named_temporary_file_in_text_mode(self) -> None:
        with tempfile.NamedTemporaryFile("w+") as file, pytest.raises(TypeError, match="text mode"):
            ours({"f": file})

    def test_asynchronous_file(self) -> None:
        class Upload:
            async def read(self, size: int) -> bytes:
                raise AssertionError

        with pytest.raises(TypeError, match="reads asynchronously"):
            ours({"f": Upload()})

    def test_missing_path(self, tmp_path: Path) -> None:
        """
        It is missed when the request is made, not when it is half sent.
        """
        with pytest.raises(FileNotFoundError):
            ours({"f": tmp_path / "absent"})


class TestBoundary:
    def test_random_one_has_32_hexadecimal_digits(self) -> None:
        boundaries = {MultipartStream({}, {}).boundary for _ in range(10)}

        assert 10 == len(boundaries)
        assert all(re.fullmatch(rb"[0-9a-f]{32}", boundary) for boundary in boundaries)

    def test_content_type_names_it(self) -> None:
        assert "multipart/form-data; boundary=+++" == MultipartStream({}, {}, b"+++").content_type

    def test_content_type_quotes_what_is_no_token(self) -> None:
        assert (
            'multipart/form-data; boundary="a b:c"'
            == MultipartStream({}, {}, b"a b:c").content_type
        )

    @pytest.mark.parametrize(
        "boundary", [b"", b"x" * 71, b"ends ", b'"', b"a\r\nb", b"a\n", b"\xff", b"a;b"]
    )
    def test_invalid_one_is_refused(self, boundary: bytes) -> None:
        with pytest.raises(ValueError, match="Invalid multipart boundary"):
            MultipartStream({}, {}, boundary)

    @pytest.mark.parametrize(
        "boundary", [b"x" * 70, b"----WebKitFormBoundary7MA4", b"a b", b"'()+_,-./:=?"]
    )
    def test_valid_one_is_taken(self, boundary: bytes) -> None:
        assert b"--%b--\r\n" % boundary == b"".join(MultipartStream({}, {}, boundary))

    @pytest.mark.parametrize(
        ("content_type", "boundary"),
        [
            (None, None),
            ("", None),
            ("multipart/form-data", None),
            ("multipart/form-data;", None),
            ("multipart/form-data; charset=utf-8", None),
            ("multipart/form-data; boundary=+++", b"+++"),
            ("multipart/form-data; boundary=+++;", b"+++"),
            ('multipart/form-data; boundary="+++"', b"+++"),
            ('multipart/form-data; boundary="+++";', b"+++"),
            ("multipart/form-data; charset=utf-8; boundary=+++", b"+++"),
            ("multipart/form-data; boundary=+++; charset=utf-8", b"+++"),
            ("multipart/form-data;   Boundary=a=b", b"a=b"),
            ("Multipart/Form-Data; boundary=+++", b"+++"),
            ("multipart/form-data; boundary=", b""),
            ("multipart/form-data; boundary", None),
            ("multipart/mixed; boundary=+++", None),
            ("application/json; boundary=+++", None),
        ],
    )
    def test_it_is_read_from_a_content_type(
        self, content_type: str | None, boundary: bytes | None
    ) -> None:
        assert boundary == boundary_of(content_type)


class TestStreaming:
    def test_files_are_read_in_pieces_of_64_kib(self, tmp_path: Path) -> None:
        path = tmp_path / "big"
        path.write_bytes(b"x" * 150_000)
        sizes = [
            len(chunk) for chunk in MultipartStream({}, {"f": path, "g": io.BytesIO(b"y" * 70_000)})
        ]

        assert [65_536, 65_536, 18_928] == sizes[1:4]
        assert [65_536, 4_464] == sizes[5:7]

    def test_small_form_is_one_piece(self) -> None:
        assert 1 == len(list(MultipartStream({"a": "b"}, {"f": b"x", "g": "y"})))

    def test_long_content_is_not_copied(self) -> None:
        content = b"x" * 1_000_000

        assert any(chunk is content for chunk in MultipartStream({"a": "b"}, {"f": content}))

    def test_pieces_stay_in_order(self) -> None:
        files = [
            ("f", bytes([65 + n]) * size)
            for n, size in enumerate((1, 65_000, 1000, 70_000, 1, 65_536, 2))
        ]

        assert theirs(files) == ours(files)

    def test_both_colours_send_the_same(self) -> None:
        stream = MultipartStream({"a": "b"}, {"f": io.BytesIO(b"x" * 100_000)})

        assert b"".join(stream) == run(gather(stream))

    def test_path_is_opened_when_its_turn_comes_and_closed_after_it(
        self, tmp_path: Path, opened: list[io.BufferedReader]
    ) -> None:
        """
        What stands in the file when the request is sent is what counts.
        """
        path = tmp_path / "x"
        path.write_bytes(b"before")
        stream = MultipartStream({}, {"f": path, "g": b"y" * 70_000})
        path.write_bytes(b"later!")

        chunks = iter(stream)
        assert next(chunks).endswith(b"\r\n\r\n")
        assert [] == opened
        assert b"later!" == next(chunks)
        assert [False] == [file.closed for file in opened]
        next(chunks)
        assert [True] == [file.closed for file in opened]

    def test_closing_the_stream_closes_the_open_path(
        self, tmp_path: Path, opened: list[io.BufferedReader]
    ) -> None:
        """
        Sending may be broken off; the stream can be sent again all the same.
        """
        path = tmp_path / "x"
        path.write_bytes(b"x" * 100_000)
        stream = MultipartStream({}, {"f": path})
        chunks = iter(stream)
        next(chunks)
        next(chunks)
        assert [False] == [file.closed for file in opened]

        run(stream.aclose())

        assert [True] == [file.closed for file in opened]
        assert stream.get_content_length() == len(b"".join(stream))

    def test_path_may_be_sent_twice_at_once(self, tmp_path: Path) -> None:
        """
        Each sending opens it for itself.
        """
        (tmp_path / "x").write_bytes(b"x" * 200_000)
        stream = MultipartStream({}, {"f": tmp_path / "x"}, BOUNDARY)
        first, second = iter(stream), iter(stream)
        begun = [next(first), next(first)], [next(second), next(second)]

        assert b"".join([*begun[0], *first]) == b"".join([*begun[1], *second])


class TestReplay:
    def test_seekable_files_bytes_and_paths_are_sent_again(self, tmp_path: Path) -> None:
        path = tmp_path / "x"
        path.write_bytes(b"path")
        stream = MultipartStream(
            {"a": "b"}, {"f": io.BytesIO(b"file"), "g": path, "h": b"bytes", "i": "text"}
        )

        assert stream.replayable
        first = b"".join(stream)
        assert first == b"".join(stream)
        assert stream.get_content_length() == len(first)

    def test_one_file_may_be_sent_twice_in_one_form(self) -> None:
        file = io.BytesIO(b"content")

        assert 2 == b"".join(MultipartStream({}, {"f": file, "g": file})).count(b"content")

    def test_file_that_cannot_seek_is_sent_once(self) -> None:
        stream = MultipartStream({}, {"f": Pipe(b"file")})

        assert not stream.replayable
        assert stream.get_content_length() is None
        assert {
            "Transfer-Encoding": "chunked",
            "Content-Type": stream.content_type,
        } == stream.get_headers()
        b"".join(stream)
        with pytest.raises(StreamConsumed):
            iter(stream)

    def test_text_from_a_reader_is_utf8(self) -> None:
        class Reader:
            def __init__(self) -> None:
                self.chunks: Iterator[str] = iter(["\N{SNOWMAN}"])

            def read(self, size: int) -> str:
                return next(self.chunks, "")

        assert "\r\n\r\n\N{SNOWMAN}\r\n".encode() in b"".join(MultipartStream({}, {"f": Reader()}))

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_named_pipe_is_sent_once(self, tmp_path: Path) -> None:
        """
        A path that is no regular file has no length and no beginning to go back to.
        """
        os.mkfifo(tmp_path / "x")
        stream = MultipartStream({}, {"f": tmp_path / "x"})

        assert not stream.replayable
        assert stream.get_content_length() is None
