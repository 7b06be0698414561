"""The request: its headers, its body, and what it carries for the layers."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.pipeline.bodies import UnattachedStream
from scallion.pipeline.errors import (
    InvalidURL,
    LocalProtocolError,
    RequestNotRead,
    StreamClosed,
    StreamConsumed,
)
from scallion.pipeline.headers import Headers
from scallion.pipeline.request import Request
from scallion.pipeline.runtime import run
from scallion.pipeline.streams import AsyncByteStream, ByteStream, SyncByteStream
from scallion.pipeline.urls import URL

MULTIPART = {"Content-Type": "multipart/form-data; boundary=+++"}


def generator() -> Iterator[bytes]:
    yield b"one, "
    yield b"two"


class Chunks:
    """An async iterable of bytes."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"one, "
            yield b"two"

        return chunks()


async def read(request: Any) -> bytes:
    content: bytes = await request.aread()
    return content


def described(request: Any) -> tuple[Any, ...]:
    """Everything of a request that goes over the wire."""
    asynchronous = not hasattr(request.stream, "__iter__")
    body = run(read(request)) if asynchronous else request.read()
    return request.method, str(request.url), request.headers.raw, body


# Deliberately different, and tested below or in test_bodies and test_multipart:
# - `Content-Length` is not added beside the caller's `Transfer-Encoding`;
# - a method that is no token is refused;
# - files are sent from where they stand, with the length of what is left;
# - what is used up raises `StreamConsumed`, iterators and pipes as well as generators;
# - a request that was read before it was pickled can be sent again;
# - the repr masks the URL's password;
# - `read()` of an asynchronous body raises `RuntimeError`, not `AssertionError`.
SAME: dict[str, Callable[[], tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "get": lambda: (("GET", "https://example.org/path?a=b"), {}),
    "lower case": lambda: (("get", "https://example.org"), {}),
    "own method": lambda: (("purge", "https://example.org"), {}),
    "port": lambda: (("GET", "https://example.org:8443"), {}),
    "default port": lambda: (("GET", "https://example.org:443"), {}),
    "userinfo": lambda: (("GET", "https://user:pass@example.org"), {}),
    "international": lambda: (("GET", "https://bücher.example/ü"), {}),
    "IPv6": lambda: (("GET", "http://[::1]:8000/"), {}),
    "relative": lambda: (("GET", "/path"), {}),
    "relative with a body": lambda: (("POST", "/path"), {"content": b"x"}),
    "params": lambda: (("GET", "https://example.org/?a=b"), {"params": {"c": ["d", 1, True, None]}}),
    "no params": lambda: (("GET", "https://example.org/?a=b"), {"params": {}}),
    "params of text": lambda: (("GET", "https://example.org/?a=b"), {"params": "c=d e"}),
    "headers": lambda: (("GET", "https://example.org"), {"headers": {"X-A": "1", "x-b": "2"}}),
    "headers in pairs": lambda: (("GET", "https://example.org"), {"headers": [("A", "1"), ("b", "2"), ("a", "3")]}),
    "headers of bytes": lambda: (("GET", "https://example.org"), {"headers": [(b"A", b"\xff")]}),
    "own host": lambda: (("GET", "https://example.org"), {"headers": {"A": "1", "host": "other"}}),
    "cookies": lambda: (("GET", "https://example.org"), {"cookies": {"a": "b", "c": "d"}, "headers": {"X": "1"}}),
    "cookies and a body": lambda: (("POST", "https://example.org"), {"cookies": {"a": "b"}, "json": {}}),
    "own cookie header": lambda: (
        ("GET", "https://example.org"),
        {"cookies": {"a": "b"}, "headers": {"cookie": "x=y"}},
    ),
    **{f"empty {method}": lambda method=method: ((method, "https://example.org"), {}) for method in
       ("POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY", "TRACE", "CONNECT")},
    "empty content": lambda: (("POST", "https://example.org"), {"content": b""}),
    "content": lambda: (("POST", "https://example.org"), {"content": b"x", "headers": {"X-A": "1"}}),
    "content of text": lambda: (("PUT", "https://example.org"), {"content": "\N{SNOWMAN}"}),
    "content of a get": lambda: (("GET", "https://example.org"), {"content": b"x"}),
    "content in pieces": lambda: (("POST", "https://example.org"), {"content": [b"a", b"b"]}),
    "content of a generator": lambda: (("POST", "https://example.org"), {"content": generator()}),
    "asynchronous content": lambda: (("POST", "https://example.org"), {"content": Chunks()}),
    "content of a file": lambda: (("POST", "https://example.org"), {"content": io.BytesIO(b"file")}),
    "own length of a generator": lambda: (
        ("POST", "https://example.org"),
        {"content": generator(), "headers": {"content-length": "8"}},
    ),
    "own length": lambda: (("POST", "https://example.org"), {"content": b"x", "headers": {"content-length": "1"}}),
    "own coding of a generator": lambda: (
        ("POST", "https://example.org"),
        {"content": generator(), "headers": {"transfer-encoding": "gzip, chunked"}},
    ),
    "own length without content": lambda: (("POST", "https://example.org"), {"headers": {"Content-Length": "5"}}),
    "own coding without content": lambda: (("POST", "https://example.org"), {"headers": {"Transfer-Encoding": "chunked"}}),
    "form": lambda: (("POST", "https://example.org"), {"data": {"a": ["b", 1]}, "headers": {"X-A": "1"}}),
    "json": lambda: (("POST", "https://example.org"), {"json": {"a": [1, None]}, "headers": {"X-A": "1"}}),
    "json of own type": lambda: (("POST", "https://example.org"), {"json": 1, "headers": {"content-type": "a/b"}}),
    "multipart": lambda: (
        ("POST", "https://example.org"),
        {"files": {"f": ("x.txt", io.BytesIO(b"x"))}, "data": {"a": "b"}, "headers": MULTIPART},
    ),
    "multipart of a quoted boundary": lambda: (
        ("POST", "https://example.org"),
        {"files": {"f": b"x"}, "headers": {"Content-Type": 'multipart/form-data; charset=utf-8; boundary="+ +"'}},
    ),
    "stream": lambda: (("POST", "https://example.org"), {"stream": httpx.ByteStream(b"x")}),
    "stream and headers": lambda: (
        ("POST", "https://example.org"),
        {"stream": httpx.ByteStream(b"x"), "headers": {"A": "b"}, "json": 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("build", SAME.values(), ids=SAME)
def test_same_as_httpx(build: Callable[[], tuple[tuple[Any, ...], dict[str, Any]]]) -> None:
    """
    Method, URL, headers in their order and body are what httpx sends.
    """
    arguments, named = build()
    expected = described(httpx.Request(*arguments, **named))
    arguments, named = build()

    assert expected == described(Request(*arguments, **named))


NAMES = st.sampled_from(
    ["Host", "content-length", "Content-Type", "X-A", "x-a", "Accept", "Cookie", "authorization"]
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "content": st.binary() | st.text() | st.lists(st.binary()),
        "data": st.dictionaries(
            st.text(), st.text() | st.lists(st.integers() | st.none() | st.booleans())
        ),
        "json": st.none() | st.booleans() | st.dictionaries(st.text(), st.integers() | st.text()),
        "cookies": st.dictionaries(st.sampled_from("abc"), st.sampled_from(["", "1", "x y"])),
        "params": st.dictionaries(st.text("a &=é"), st.text("a &=é") | st.integers()),
    },
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["GET", "post", "Put", "PATCH", "DELETE", "x-own"]),
    st.sampled_from(["http://a/", "https://b:8443/?x=y", "https://u:p@c"]),
    st.lists(st.tuples(NAMES, st.text(alphabet="ab1 ,;=", max_size=5))),
    BODIES,
)
def test_any_request_is_the_same_as_httpx(
    method: str, url: str, headers: list[tuple[str, str]], body: dict[str, Any]
) -> None:
    """
    So is any combination of arguments.
    """
    expected = described(httpx.Request(method, url, headers=headers, **body))

    assert expected == described(Request(method, url, headers=headers, **body))


class TestMethod:
    @pytest.mark.parametrize(
        "method",
        [
            "",
            "GET ",
            "G ET",
            "GET\r\nX: 1",
            "GÉT",
            "\N{LATIN SMALL LETTER DOTLESS I}",
            "GET/",
            "G\0",
        ],
    )
    def test_no_token_is_refused(self, method: str) -> None:
        """
        RFC 9110 section 9.1; nothing of it reaches the wire.
        """
        with pytest.raises(LocalProtocolError, match="expected a token"):
            Request(method, "https://example.org")

    def test_any_token_is_taken(self) -> None:
        assert "M-SEARCH" == Request("m-search", "https://example.org").method


class TestHeaders:
    def test_own_transfer_encoding_stands_alone(self) -> None:
        """
        httpx adds a Content-Length beside it, which RFC 9112 section 6.2 forbids: it smuggles requests.
        """
        request = Request(
            "POST", "https://a", content=b"x", headers={"Transfer-Encoding": "chunked"}
        )

        assert [(b"Host", b"a"), (b"Transfer-Encoding", b"chunked")] == request.headers.raw

    def test_callers_headers_stay_as_they_are(self) -> None:
        headers = Headers({"A": "b"})

        request = Request("POST", "https://a", headers=headers, json=1)
        request.headers["A"] = "c"

        assert Headers({"A": "b"}) == headers

    def test_boundary_of_own_content_type_is_checked(self) -> None:
        with pytest.raises(ValueError, match="Invalid multipart boundary"):
            Request(
                "POST",
                "https://a",
                files={"f": b"x"},
                headers={"Content-Type": "multipart/form-data; boundary=a*b"},
            )

    def test_boundary_does_not_matter_without_files(self) -> None:
        content_type = "multipart/form-data; boundary=a*b"

        request = Request("POST", "https://a", content=b"x", headers={"Content-Type": content_type})

        assert content_type == request.headers["Content-Type"]


class TestParts:
    def test_url_is_parsed(self) -> None:
        assert URL("https://example.org/?a=b") == Request("GET", "https://example.org/?a=b").url
        with pytest.raises(InvalidURL):
            Request("GET", "https://example.org:port")

    def test_url_of_another_request_is_taken(self) -> None:
        url = URL("https://example.org/")

        assert url == Request("GET", url).url

    def test_extensions_are_copied(self) -> None:
        extensions = {"timeout": {"read": 1.0}}

        request = Request("GET", "https://a", extensions=extensions)

        assert extensions == request.extensions
        assert extensions is not request.extensions
        assert {} == Request("GET", "https://a").extensions

    def test_own_attributes_are_allowed(self) -> None:
        """
        Hooks in the wild keep their notes on the request.
        """
        request: Any = Request("GET", "https://a")
        request.started = 1.0

        assert 1.0 == request.started


class TestContent:
    def test_plain_content_is_there_at_once(self) -> None:
        assert b"x" == Request("POST", "https://a", content="x").content
        assert b"" == Request("GET", "https://a").content

    @pytest.mark.parametrize("content", [generator(), [b"a"], io.BytesIO(b"a"), Chunks()])
    def test_streamed_content_must_be_read_first(self, content: Any) -> None:
        with pytest.raises(RequestNotRead):
            _ = Request("POST", "https://a", content=content).content

    def test_given_stream_must_be_read_first(self) -> None:
        request = Request("POST", "https://a", stream=ByteStream(b"x"))

        with pytest.raises(RequestNotRead):
            _ = request.content
        assert b"x" == request.read()
        assert b"x" == request.content

    def test_reading_makes_replayable(self) -> None:
        request = Request("POST", "https://a", content=generator())

        assert not request.replayable
        assert b"one, two" == request.read() == request.content == request.read()
        assert isinstance(request.stream, ByteStream)
        assert request.replayable

    def test_asynchronous_reading_makes_replayable(self) -> None:
        async def once() -> AsyncIterator[bytes]:
            yield b"one"

        request = Request("POST", "https://a", content=once())

        assert not request.replayable
        assert b"one" == run(read(request)) == request.content == run(read(request))
        assert request.replayable

    def test_what_was_sent_cannot_be_read(self) -> None:
        request = Request("POST", "https://a", content=generator())
        list(request.stream)  # type: ignore[arg-type]

        with pytest.raises(StreamConsumed):
            request.read()

    def test_colours_do_not_mix(self) -> None:
        with pytest.raises(RuntimeError, match=r"await request\.aread"):
            Request("POST", "https://a", content=Chunks()).read()
        with pytest.raises(RuntimeError, match=r"request\.read\(\)"):
            run(read(Request("POST", "https://a", content=generator())))

    @pytest.mark.parametrize(
        ("named", "replayable"),
        [
            ({}, True),
            ({"content": b"x"}, True),
            ({"json": {}}, True),
            ({"content": [b"x"]}, True),
            ({"content": io.BytesIO(b"x")}, True),
            ({"content": Chunks()}, True),
            ({"files": {"f": io.BytesIO(b"x")}}, True),
            ({"content": iter([b"x"])}, False),
            ({"stream": SyncByteStream()}, False),
            ({"stream": AsyncByteStream()}, False),
            ({"stream": object()}, False),
        ],
    )
    def test_replayable_is_what_the_stream_says(
        self, named: dict[str, Any], replayable: bool
    ) -> None:
        assert replayable is Request("POST", "https://a", **named).replayable

    def test_path_in_a_form(self, tmp_path: Path) -> None:
        (tmp_path / "x.txt").write_bytes(b"path")

        request = Request("POST", "https://a", files={"f": tmp_path / "x.txt"})

        assert request.headers["Content-Length"] == str(len(request.read()))


class TestForLayers:
    def test_nothing_to_keep_or_tell_by_default(self) -> None:
        request = Request("GET", "https://a")

        assert request.deadline is None
        assert () == request.observers
        request.note("event")

    def test_every_observer_is_told(self) -> None:
        told: list[Any] = []
        request = Request("GET", "https://a")
        request.observers = (
            lambda event, fields: told.append((1, event, fields)),
            lambda event, fields: told.append((2, event, fields)),
        )

        request.note("retry", attempt=2)

        assert [(1, "retry", {"attempt": 2}), (2, "retry", {"attempt": 2})] == told

    def test_progress_is_told_without_observers_too(self) -> None:
        told: list[Any] = []
        request = Request("GET", "https://a")
        request.progress = lambda event, fields: told.append((event, fields))

        request.note("retry", attempt=2)

        assert [("retry", {"attempt": 2})] == told

    def test_an_observer_that_fails_harms_nobody(self) -> None:
        """
        The others are told, the layer goes on, and a warning says whose mistake it is.
        """
        told = []

        def broken(event: str, fields: dict[str, Any]) -> None:
            raise KeyError(event)

        request = Request("GET", "https://a")
        request.observers = (broken, lambda event, fields: told.append(event))

        with pytest.warns(RuntimeWarning, match=r"observer .*broken failed at 'retry': KeyError"):
            request.note("retry", attempt=2)

        assert ["retry"] == told

    def test_inheriting_continues_the_call(self) -> None:
        """
        A redirect's request has the same deadline and observers, and the very same extensions.
        """
        first = Request("GET", "https://a", extensions={"a": 1})
        first.deadline = 12.5
        first.observers = (lambda event, fields: None,)
        first.progress = lambda event, fields: None
        second = Request("GET", "https://b", extensions={"b": 2})

        second.inherit(first)

        assert 12.5 == second.deadline
        assert first.observers is second.observers
        assert first.progress is second.progress
        assert first.extensions is second.extensions

    def test_memory_is_made_when_it_is_asked_for(self) -> None:
        """
        A request that nobody asks for it has none; what is noted there stays.
        """
        request = Request("GET", "https://a")
        assert "_memory" not in vars(request)

        request.memory["mine"] = 7

        assert {"mine": 7} == request.memory

    def test_a_copy_can_share_its_memory(self) -> None:
        """
        Before and after something was noted.
        """
        request, copy = Request("GET", "https://a"), Request("GET", "https://a")
        copy.memory = request.memory
        request.memory["mine"] = 7

        assert {"mine": 7} == copy.memory

    def test_memory_is_not_inherited(self) -> None:
        """
        The next request of a redirect begins with none, and nor does one that was pickled.
        """
        request, following = Request("GET", "https://a"), Request("GET", "https://b")
        request.memory["mine"] = 7

        following.inherit(request)

        assert {} == following.memory
        assert {} == pickle.loads(pickle.dumps(request)).memory


class TestRepr:
    def test_method_and_url(self) -> None:
        assert "<Request('GET', 'https://example.org/?a=b')>" == repr(
            Request("GET", "https://example.org/?a=b")
        )

    def test_password_is_masked(self) -> None:
        text = repr(Request("GET", "https://user:hunter2@example.org/"))

        assert "<Request('GET', 'https://user:[secure]@example.org/')>" == text

    def test_subclass_bears_its_name(self) -> None:
        class Own(Request):
            pass

        assert "<Own('GET', 'https://a')>" == repr(Own("GET", "https://a"))


class TestPickling:
    def test_read_request_can_be_sent_again(self) -> None:
        request = Request("POST", "https://a/b", json={"a": 1}, extensions={"a": lambda: None})
        request.deadline = 1.0
        request.observers = (lambda event, fields: None,)
        request.progress = lambda event, fields: None

        loaded = pickle.loads(pickle.dumps(request))

        assert described(request) == described(loaded)
        assert loaded.replayable
        assert {} == loaded.extensions
        assert loaded.deadline is None
        assert () == loaded.observers
        assert loaded.progress is None

    def test_unread_body_stays_behind(self) -> None:
        loaded = pickle.loads(pickle.dumps(Request("POST", "https://a", content=generator())))

        assert isinstance(loaded.stream, UnattachedStream)
        assert not loaded.replayable
        with pytest.raises(RequestNotRead):
            _ = loaded.content
        with pytest.raises(StreamClosed):
            loaded.read()
        with pytest.raises(StreamClosed):
            run(read(loaded))

    def test_copy_is_independent_of_extensions(self) -> None:
        request = Request("POST", "https://a", content=b"x", extensions={"a": 1})

        copied = copy.copy(request)

        assert b"x" == copied.content
        assert {} == copied.extensions


def test_a_request_that_is_sent_anew_begins_anew() -> None:
    """
    What layers remember, or have noted in its extensions, belonged to the call before; others may share these.
    """
    shared = {"timeout": {"read": 5.0}, "_scallion.hedge": 1, "mine": 7}
    request = Request("GET", "http://x/")
    request.extensions = shared
    request.memory["layer"] = 1
    request.renew()

    assert {} == request.memory
    assert {"timeout": {"read": 5.0}, "mine": 7} == request.extensions
    assert "_scallion.hedge" in shared
    kept = request.extensions
    request.renew()
    assert kept is request.extensions
