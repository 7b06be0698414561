"""WSGI in process: the environ, compared with httpx, streaming, closing, `start_response` in all its ways, errors."""

from __future__ import annotations

import gc
import io
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias
from wsgiref.validate import validator

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scallion
from scallion.pipeline.errors import (
    RemoteProtocolError,
    StreamConsumed,
    UnsupportedProtocol,
)
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.streams import SyncByteStream
from scallion.transports.wsgi import WSGITransport

App: TypeAlias = Callable[[Any, Any], Iterable[bytes]]

URL = "http://testserver/"


def ask(transport: WSGITransport, request: Request | None = None) -> Response:
    """One request and its response, read."""
    response = transport.handle_request(request or Request("GET", URL))
    response.read()
    return response


class Result:
    """An app's iterable that counts how often it is closed. Exceptions among its pieces are raised."""

    def __init__(self, *pieces: Any) -> None:
        self._pieces = iter(pieces)
        self.closed = 0
        self.made = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        piece = next(self._pieces)
        self.made += 1
        if isinstance(piece, BaseException):
            raise piece
        return piece

    def close(self) -> None:
        self.closed += 1


def answers(*pieces: Any, status: str = "200 OK") -> App:
    """An app that makes these pieces; a `Result` is taken as it is."""

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response(status, [("X-Tag", "a"), ("x-tag", "b")])
        return pieces[0] if len(pieces) == 1 and isinstance(pieces[0], Result) else list(pieces)

    return app


def echo(environ: Any, start_response: Any) -> Iterable[bytes]:
    content = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [content]


# As httpx does it.


class Recorder:
    """An app that keeps its environ and the body."""

    def __init__(self) -> None:
        self.environ: dict[str, Any] = {}
        self.content = b""

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        self.environ = dict(environ)
        self.content = self.environ.pop("wsgi.input").read()
        start_response("201 Created", [("X-Tag", "a"), ("x-tag", "b"), ("Set-Cookie", "a=b")])
        return [b"", b"one ", b"", b"two"]


REQUESTS: dict[str, dict[str, Any]] = {
    "plain": {"method": "GET", "url": "http://testserver"},
    "path and query": {"method": "GET", "url": "https://testserver/a/b;c?d=e&d=%C3%A9#f"},
    "escapes": {"method": "GET", "url": "http://testserver/a%20b%2Fc?x=é y"},
    "port": {"method": "GET", "url": "http://testserver:8080/"},
    "default port": {"method": "GET", "url": "https://testserver:443/"},
    "another scheme": {"method": "GET", "url": "ftp://testserver:2121/"},
    "ipv6": {"method": "GET", "url": "http://[::1]:81/"},
    "method": {"method": "purge", "url": "http://testserver/"},
    "headers": {
        "method": "GET",
        "url": "http://testserver/",
        "headers": {"X-One": "1", "Accept": "*/*", "Content-Type": "a/b"},
    },
    "bytes": {"method": "POST", "url": "http://testserver/", "content": b"some bytes"},
    "no bytes": {"method": "POST", "url": "http://testserver/", "content": b""},
    "json": {"method": "PUT", "url": "http://testserver/", "json": {"a": [1, "é"]}},
    "form": {"method": "POST", "url": "http://testserver/", "data": {"a": "b c"}},
    "stream": {"method": "POST", "url": "http://testserver/", "content": (b"a", b"", b"bc")},
}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize(
    "options",
    [{}, {"script_name": "/mounted", "remote_addr": "1.2.3.4", "wsgi_errors": io.StringIO()}],
    ids=["plain", "mounted"],
)
def test_apps_see_what_httpx_shows_them(name: str, options: dict[str, Any]) -> None:
    """
    The environ, the body, and the response are equal.
    """
    ours, theirs = Recorder(), Recorder()
    sent = REQUESTS[name]
    got = ask(WSGITransport(ours, **options), Request(**sent))
    expected = httpx.WSGITransport(theirs, **options).handle_request(httpx.Request(**sent))
    expected.read()
    # Of a body of unknown length frameworks want to know that it has an end.
    assert ("stream" == name) is ours.environ.pop("wsgi.input_terminated", False)
    assert theirs.environ == ours.environ
    assert theirs.content == ours.content
    assert expected.status_code == got.status_code
    assert expected.headers.raw == got.headers.raw
    assert expected.content == got.content
    assert expected.extensions == got.extensions
    assert expected.reason_phrase == got.reason_phrase


def test_paths_headers_and_hosts_as_the_standard_has_them() -> None:
    """
    A path's octets, as PEP 3333 wants them; fields that come twice are one (RFC 3875 section 4.1.18).
    differences: "WSGI's environ".
    """
    app = Recorder()
    fields = [("X-A", "1"), ("x-a", "2"), ("Cookie", "a=1"), ("Cookie", "b=2"), ("X-B", b"\xe9")]
    ask(WSGITransport(app), Request("GET", "http://bücher.example/é/日%FF", headers=fields))
    assert "/é/日".encode() + b"\xff" == app.environ["PATH_INFO"].encode("latin-1")
    assert "xn--bcher-kva.example" == app.environ["SERVER_NAME"]
    assert "1, 2" == app.environ["HTTP_X_A"]
    assert "a=1; b=2" == app.environ["HTTP_COOKIE"]
    assert "\xe9" == app.environ["HTTP_X_B"]


def test_the_reference_checker_finds_nothing() -> None:
    """
    The standard library's validator holds both sides to PEP 3333.
    """

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        content = environ["wsgi.input"].read(100)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([content, b"!"])

    request = Request("POST", "http://testserver/é?a=b", content=b"x")
    assert b"x!" == ask(WSGITransport(validator(app)), request).content


def test_errors_are_written_to_stderr_as_it_is_then(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Recorder()
    transport = WSGITransport(app)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    ask(transport)
    assert sys.stderr is app.environ["wsgi.errors"]


# The request's body.


def test_a_request_is_pulled_as_the_app_reads_it() -> None:
    """
    By `read`, `readline` and iteration; what is not read is not made, and its generator ends with the response.
    """
    log: list[Any] = []

    def upload() -> Iterator[bytes]:
        try:
            for piece in (b"one\nt", b"wo\nthree\n", b"four", b"five"):
                log.append(piece)
                yield piece
        finally:
            log.append("closed")

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        file = environ["wsgi.input"]
        log.append(file.read(2))
        log.append(file.readline())
        log.append(next(file))
        log.append(file.read(0))
        start_response("200 OK", [])
        yield b"x"

    response = WSGITransport(app).handle_request(Request("POST", URL, content=upload()))
    assert [b"one\nt", b"on", b"e\n", b"wo\nthree\n", b"two\n", b""] == log
    response.close()
    assert "closed" == log[-1]
    assert b"four" not in log


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=50)), st.lists(st.integers(0, 60)))
def test_a_request_reads_as_a_file(pieces: list[bytes], sizes: list[int]) -> None:
    content = b"".join(pieces)
    expected = io.BytesIO(content)

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        file = environ["wsgi.input"]
        for size in sizes:
            assert expected.read(size) == file.read(size)
        assert expected.readline() == file.readline()
        assert expected.readlines() == file.readlines()
        assert b"" == file.read()
        start_response("200 OK", [])
        return pieces

    response = ask(WSGITransport(app), Request("POST", URL, content=iter(pieces)))
    assert content == response.content


def test_bodies_that_were_sent_before() -> None:
    request = Request("POST", URL, content=iter([b"a"]))
    assert b"a" == ask(WSGITransport(echo), request).content
    with pytest.raises(StreamConsumed):
        ask(WSGITransport(echo), request)


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("handled", [True, False])
@pytest.mark.parametrize("late", [True, False])
def test_errors_of_the_requests_body_are_the_callers(
    raises: bool, handled: bool, late: bool
) -> None:
    """
    They are not the app's, whatever it makes of them.
    """

    def upload() -> Iterator[bytes]:
        yield b"x"
        raise KeyError("upload")

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        if late:
            yield b"first"
        try:
            environ["wsgi.input"].read()
        except KeyError:
            if not handled:
                raise
        yield b"last"

    with pytest.raises(KeyError, match="upload"):
        ask(
            WSGITransport(app, raise_app_exceptions=raises),
            Request("POST", URL, content=upload()),
        )


# The response.


def test_a_response_is_made_as_it_is_read() -> None:
    """
    Up to its first piece, which may still replace the head, when it is returned; then piece by piece.
    """
    result = Result(b"", b"one", b"", b"two", b"three")
    response = WSGITransport(answers(result)).handle_request(Request("GET", URL))
    assert 2 == result.made
    pieces = response.iter_raw()
    assert b"one" == next(pieces)
    assert 2 == result.made
    assert b"two" == next(pieces)
    assert 4 == result.made
    assert [b"three"] == list(pieces)
    assert 1 == result.closed
    response.close()
    assert 1 == result.closed


def test_what_is_written_comes_first() -> None:
    """
    By the older way, `write`; also in the midst of iterating.
    """

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", [])
        write(b"1")
        write(b"2")

        def pieces() -> Iterator[bytes]:
            yield b"3"
            write(b"4")
            yield bytearray(b"5")  # type: ignore[misc]
            write(b"")
            yield b""
            write(b"6")

        return pieces()

    response = WSGITransport(app).handle_request(Request("GET", URL))
    assert [b"12", b"3", b"45", b"6"] == list(response.iter_raw())


def test_the_response_may_start_late() -> None:
    """
    A generator calls `start_response` when it is first asked.
    """

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        yield b""
        start_response("202 Accepted", [("a", "b")])
        yield b"x"

    response = ask(WSGITransport(app))
    assert (202, "b", b"x") == (response.status_code, response.headers["a"], response.content)


def test_a_response_to_head_has_no_body() -> None:
    """
    The app makes it all the same, and is closed.
    """
    result = Result(b"a", b"b")
    response = ask(WSGITransport(answers(result)), Request("HEAD", URL))
    assert b"" == response.content
    assert (2, 1) == (result.made, result.closed)


def test_a_response_without_a_body() -> None:
    assert b"" == ask(WSGITransport(answers(status="204 No Content"))).content


# Closing.


def test_closing_early_closes_the_app() -> None:
    """
    Once, whether the body was begun or not; nothing more is made.
    """
    for begun in (False, True):
        result = Result(b"a", b"b")
        response = WSGITransport(answers(result)).handle_request(Request("GET", URL))
        if begun:
            assert b"a" == next(response.iter_raw())
        response.close()
        response.close()
        assert (1, 1) == (result.made, result.closed)


def test_a_response_that_is_forgotten_closes_the_app() -> None:
    result = Result(b"a", b"b")
    response = WSGITransport(answers(result)).handle_request(Request("GET", URL))
    assert isinstance(response.stream, SyncByteStream)
    pieces = iter(response.stream)
    del response
    gc.collect()
    assert b"a" == next(pieces)
    del pieces
    gc.collect()
    assert (1, 1) == (result.made, result.closed)


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize(
    "pieces",
    [
        (KeyError("boom"),),
        (b"", KeyError("boom")),
        (b"a", KeyError("boom")),
        (b"a", "text"),
        ("text",),
        (b"a", KeyboardInterrupt()),
    ],
)
def test_failing_closes_the_app(pieces: Any, raises: bool) -> None:
    result = Result(*pieces)
    try:
        ask(WSGITransport(answers(result), raise_app_exceptions=raises))
    except (KeyError, TypeError, RemoteProtocolError, KeyboardInterrupt):
        pass
    assert 1 == result.closed


def test_an_app_that_does_not_answer_is_closed() -> None:
    """
    With nothing, or with a piece, before `start_response`, whatever was chosen.
    """
    for pieces in ((), (b"",), (b"a",)):
        for raises in (True, False):
            result = Result(*pieces)
            transport = WSGITransport(lambda environ, start: result, raises)  # noqa: B023
            request = Request("GET", URL)
            with pytest.raises(RemoteProtocolError, match="has to call start_response") as info:
                ask(transport, request)
            assert request is info.value.request
            assert 1 == result.closed


def test_closing_may_fail() -> None:
    """
    The error comes out at the body's end, or of `close`; beside another it is a note on that.
    """

    class Failing(Result):
        def close(self) -> None:
            super().close()
            raise KeyError("close")

    with pytest.raises(KeyError, match="close"):
        ask(WSGITransport(answers(Failing(b"a"))))
    assert b"a" == ask(WSGITransport(answers(Failing(b"a")), raise_app_exceptions=False)).content
    response = WSGITransport(answers(Failing(b"a"))).handle_request(Request("GET", URL))
    with pytest.raises(KeyError, match="close"):
        response.close()
    with pytest.raises(ValueError, match="boom") as info:
        ask(WSGITransport(answers(Failing(ValueError("boom")))))
    assert ["Closing the app's iterable failed too: KeyError('close')"] == info.value.__notes__


# Errors.


def test_errors_before_the_response_come_out_of_the_request() -> None:
    """
    Or become a 500; what is no Exception comes out whatever was chosen.
    """
    boom = KeyError("boom")

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise boom

    with pytest.raises(KeyError) as info:
        ask(WSGITransport(app))
    assert boom is info.value
    for failing in (app, answers(Result(boom))):
        response = ask(WSGITransport(failing, raise_app_exceptions=False))
        assert (500, b"", []) == (response.status_code, response.content, response.headers.raw)
    with pytest.raises(KeyboardInterrupt):
        ask(WSGITransport(answers(Result(KeyboardInterrupt())), raise_app_exceptions=False))


def test_errors_in_the_midst_come_out_of_the_body() -> None:
    """
    After what the app had made; or they cut the response short.
    differences: "an app that fails half way".
    """
    transport = WSGITransport(answers(Result(b"half", KeyError("boom"))))
    pieces = transport.handle_request(Request("GET", URL)).iter_raw()
    assert b"half" == next(pieces)
    with pytest.raises(KeyError, match="boom"):
        next(pieces)
    quiet = WSGITransport(answers(Result(b"half", KeyError("boom"))), raise_app_exceptions=False)
    with pytest.raises(RemoteProtocolError, match="received 4 bytes") as info:
        ask(quiet)
    assert isinstance(info.value.__cause__, KeyError)


def raising(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Answers with an error page, the standard's way."""
    start_response("200 OK", [("a", "b")])
    try:
        raise KeyError("boom")
    except KeyError:
        start_response("503 Oops", [("c", "d")], sys.exc_info())
    return [b"page"]


def test_exc_info_replaces_the_head() -> None:
    """
    The error is raised, or the app's own page is the answer; as in httpx.
    """
    with pytest.raises(KeyError, match="boom"):
        ask(WSGITransport(raising))
    response = ask(WSGITransport(raising, raise_app_exceptions=False))
    assert (503, [(b"c", b"d")]) == (response.status_code, response.headers.raw)
    assert b"page" == response.content


@pytest.mark.parametrize("raises", [True, False])
def test_exc_info_after_the_head_is_raised(raises: bool) -> None:
    """
    In the app, as the head has been sent.
    """
    seen: list[BaseException] = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"half"
        try:
            raise KeyError("boom")
        except KeyError:
            try:
                start_response("500 Oops", [], sys.exc_info())
            except KeyError as error:
                seen.append(error)
                raise

    response = WSGITransport(app, raise_app_exceptions=raises).handle_request(Request("GET", URL))
    assert 200 == response.status_code
    with pytest.raises(KeyError if raises else RemoteProtocolError):
        response.read()
    assert ["KeyError('boom')"] == [repr(error) for error in seen]


def test_exc_info_of_no_error_replaces_the_head() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        start_response("204 No Content", [], (None, None, None))
        return []

    assert 204 == ask(WSGITransport(app)).status_code


@pytest.mark.parametrize(
    ("arguments", "kind", "error"),
    [
        ((b"200 OK", []), TypeError, "needs a str as status, '200 OK', not b'200 OK'"),
        ((200, []), TypeError, "needs a str as status"),
        (("OK", []), ValueError, "needs a status such as '200 OK', not 'OK'"),
        (("2000", []), ValueError, "needs a status such as"),
        (("200 OK", {"a": "b"}), TypeError, "needs a list of headers, not dict"),
        (("200 OK", ["ab"]), TypeError, "needs pairs of str as headers, not 'ab'"),
        (("200 OK", [("a", "b", "c")]), TypeError, "needs pairs"),
        (("200 OK", [("a", b"b")]), TypeError, "needs str as headers' names and values"),
        (("200 OK", [("a", "日")]), UnicodeEncodeError, "latin-1"),
    ],
)
def test_what_start_response_refuses(arguments: Any, kind: type[Exception], error: str) -> None:
    """
    In the app, so that its own traceback tells where.
    """

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response(*arguments)
        return []

    with pytest.raises(kind, match=error):
        ask(WSGITransport(app))


def test_start_response_is_called_once() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    with pytest.raises(RuntimeError, match="start_response twice"):
        ask(WSGITransport(app))


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (None, "returns an iterable of bytes, not None"),
        (b"bytes", "made of bytes, not int"),
        (["text"], "made of bytes, not str"),
    ],
)
def test_apps_that_return_something_else(result: Any, error: str) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return result

    with pytest.raises(TypeError, match=error):
        ask(WSGITransport(app))
    assert 500 == ask(WSGITransport(app, raise_app_exceptions=False)).status_code


def test_misuse() -> None:
    async def upload() -> Any:
        yield b""

    with pytest.raises(TypeError, match="needs a WSGI application"):
        WSGITransport(None)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="its body is an async iterator"):
        ask(WSGITransport(echo), Request("POST", URL, content=upload()))
    with pytest.raises(UnsupportedProtocol, match="not 'ftp'"):
        ask(WSGITransport(echo), Request("GET", "ftp://testserver/"))
    assert "WSGITransport(echo)" == repr(WSGITransport(echo))


# In a client.


def site(environ: Any, start_response: Any) -> Iterable[bytes]:
    """A small web site: cookies, redirects, and an echo."""
    match environ["PATH_INFO"]:
        case "/login":
            start_response("302 Found", [("Location", "/me"), ("Set-Cookie", "who=ann; Path=/")])
            return []
        case "/me":
            start_response("200 OK", [])
            return [environ.get("HTTP_COOKIE", "nobody").encode()]
    start_response("200 OK", [])
    return iter(lambda: environ["wsgi.input"].read(3), b"")


def client_of(app: App, **options: Any) -> scallion.Client:
    return scallion.Client(transport=WSGITransport(app), base_url="http://testserver", **options)


def test_cookies_and_redirects() -> None:
    with client_of(site, follow_redirects=True) as client:
        assert "nobody" == client.get("/me").text
        response = client.post("/login")
        assert "who=ann" == response.text
        assert "http://testserver/me" == str(response.url)


def test_streams_in_a_client() -> None:
    """
    Both ways, and left early.
    """
    with client_of(site) as client:
        with client.stream("POST", "/echo", content=iter([b"ab", b"cdef"])) as response:
            assert [b"abc", b"def"] == list(response.iter_bytes())
        result = Result(b"a", b"b", b"c")
    with client_of(answers(result)) as client:
        with client.stream("GET", "/") as response:
            assert b"a" == next(response.iter_bytes())
        assert (1, 1) == (result.made, result.closed)


def test_many_threads_at_once() -> None:
    got: dict[int, str] = {}
    with client_of(site) as client:

        def one(number: int) -> None:
            got[number] = client.post("/echo", content=f"number {number}".encode()).text

        threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {number: f"number {number}" for number in range(20)} == got
