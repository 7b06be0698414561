"""Generated values: URLs, references, params, headers, bodies, cookies, by httpx and by scallion.

Where the two differ on purpose, a rule says so and what holds then.
"""

from __future__ import annotations

import gzip
import types
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from compat.comparing import LIBRARIES, outcome
from compat.plain import differences
from compat.strategies import (
    ALPHABET,
    bodies,
    header_pairs,
    lines,
    params,
    plain_texts,
    texts,
    urls,
)
from compat.usual import usual

FAST = settings(max_examples=200, deadline=None, derandomize=True)


def agree(act: Callable[[types.ModuleType], Any]) -> None:
    theirs, ours = (outcome(partial(act, lib)) for lib in LIBRARIES)
    assert [] == differences(theirs, ours)


@FAST
@given(urls())
@example("http://[::1]:80/")
@example("//a:b@c/d")
def test_urls_are_parsed_alike(url: str) -> None:
    """
    All parts of structured URLs.
    """
    assume(usual(url))
    agree(lambda lib: lib.URL(url))


@FAST
@given(st.text(ALPHABET, max_size=20))
def test_texts_are_parsed_alike(url: str) -> None:
    """
    Whatever is given: a value or an error, and the same.
    """
    assume(usual(url))
    agree(lambda lib: lib.URL(url))


@FAST
@given(urls(), urls() | texts)
def test_references_are_resolved_alike(base: str, reference: str) -> None:
    """
    `join`, of any URL with any reference.
    """
    assume(usual(base) and usual(reference))
    agree(lambda lib: lib.URL(base).join(reference))


@FAST
@given(
    urls(),
    st.fixed_dictionaries(
        {},
        optional={
            "scheme": st.sampled_from(["http", "https", "x"]),
            "host": st.sampled_from(["a.example", "::1", "b\xfccher.example", ""]),
            "port": st.sampled_from([None, 80, 443, 99]),
            "path": st.sampled_from(["/", "/x y", "", "/a/../b"]),
            "query": st.sampled_from([None, b"", b"a=b", b"%41 "]),
            "fragment": st.sampled_from([None, "", "f g"]),
            "username": st.sampled_from(["", "us@er"]),
            "password": st.sampled_from(["", "p:w"]),
        },
    ),
)
def test_urls_are_edited_alike(url: str, parts: dict[str, Any]) -> None:
    """
    `copy_with` of any parts.
    """
    assume(usual(url))
    agree(lambda lib: lib.URL(url).copy_with(**parts))


@FAST
@given(params, params)
def test_params_are_the_same(first: Any, second: Any) -> None:
    """
    As text, as items, merged, and equal or not.
    """
    agree(lambda lib: lib.QueryParams(first))
    agree(lambda lib: lib.QueryParams(first).merge(second))
    agree(lambda lib: lib.QueryParams(first) == lib.QueryParams(second))
    # differences: "answers where httpx fails": a name without values cannot be asked for its first.
    if not (isinstance(first, dict) and [] in first.values()):
        agree(lambda lib: dict(lib.QueryParams(first)))
    agree(lambda lib: lib.URL("http://a/b?c=d", params=first))


@FAST
@given(header_pairs, header_pairs, st.sampled_from([None, "utf-8", "latin-1"]))
def test_headers_are_the_same(
    first: list[tuple[str, str]], second: list[tuple[str, str]], encoding: str | None
) -> None:
    """
    Made, updated, changed and asked.

    differences: "answers where httpx fails": there, having been read fixes the encoding.
    """
    assume(encoding or all((name + value).isascii() for name, value in [*first, *second]))

    def act(lib: types.ModuleType) -> Any:
        headers = lib.Headers([(n.encode(), v.encode()) for n, v in first], encoding=encoding)
        seen = [
            headers.copy(),
            dict(headers),
            headers.get_list("a", split_commas=True),
            len(headers),
        ]
        headers.update(dict(second[:2]))
        for name, value in second[2:]:
            headers[name] = value
        seen += [headers.copy(), headers == lib.Headers(first[:0])]
        headers.pop("A", None)
        return [*seen, headers, list(headers.keys()), "b" in headers]

    agree(act)
    agree(lambda lib: lib.Headers(first, encoding=encoding))


@FAST
@given(st.sampled_from(["GET", "POST", "put", "Patch", "DELETE"]), bodies, header_pairs)
def test_requests_are_built_alike(method: str, body: dict[str, Any], headers: Any) -> None:
    """
    Head and body of a request, for each kind of body.
    """

    def act(lib: types.ModuleType) -> Any:
        given = [(n.encode(), v.encode()) for n, v in headers]
        request = lib.Request(method, "http://a/b", headers=given, **body)
        return request, request.read(), request

    agree(act)


@FAST
@given(
    st.integers(100, 599),
    st.binary(max_size=30) | plain_texts.map(str.encode),
    st.sampled_from(
        [
            None,
            "text/plain",
            "text/plain; charset=latin-1",
            "application/json",
            "x; charset=utf-16-le",
            "x; charset=no",
        ]
    ),
    st.integers(1, 9),
)
def test_responses_are_read_alike(status: int, body: bytes, kind: str | None, size: int) -> None:
    """
    Text, lines and chunks of responses made by hand.
    """

    def act(lib: types.ModuleType) -> Any:
        headers = {} if kind is None else {"Content-Type": kind}
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        request = lib.Request("GET", "http://a/")

        def made(content: Any) -> Any:
            return lib.Response(status, headers=headers, content=content, request=request)

        streamed = [
            list(made(iter(pieces)).iter_bytes(3)),
            "".join(made(iter(pieces)).iter_text()),
            list(made(iter(pieces)).iter_lines()),
        ]
        whole = made(body)
        return whole, list(whole.iter_lines()), list(whole.iter_text(size)), streamed

    agree(act)


@FAST
@given(
    st.binary(max_size=300) | st.text("ab\n", max_size=300).map(str.encode),
    st.lists(st.sampled_from(["gzip", "deflate", "identity"]), max_size=3),
    st.integers(1, 50),
    st.integers(1, 50),
    st.booleans(),
)
def test_codings_are_undone_alike(
    body: bytes, codings: list[str], cut: int, size: int, broken: bool
) -> None:
    """
    In pieces, to pieces; and what is no such coding.
    """
    for coding in codings:
        body = {"gzip": gzip.compress, "deflate": zlib.compress, "identity": bytes}[coding](body)
    if broken:
        body = b"\xff" + body

    def act(lib: types.ModuleType) -> Any:
        pieces = [body[at : at + cut] for at in range(0, len(body), cut)]
        made = lib.Response(
            200, headers={"Content-Encoding": ",".join(codings)}, content=iter(pieces)
        )
        return list(made.iter_bytes(size)), made.num_bytes_downloaded, made.is_closed

    agree(act)


@FAST
@given(lines, lines)
def test_cookies_are_kept_and_sent_alike(first: list[str], second: list[str]) -> None:
    """
    Two answers that set and delete, then what goes to which path.
    """

    def act(lib: types.ModuleType) -> Any:
        cookies = lib.Cookies()
        for setting in (first, second):
            request = lib.Request("GET", "http://a.example/deep/page")
            headers = [("Set-Cookie", line) for line in setting]
            cookies.extract_cookies(lib.Response(200, headers=headers, request=request))
        sent = []
        for url in ("http://a.example/", "https://a.example/deep/er/x", "http://b.example/"):
            request = lib.Request("GET", url)
            cookies.set_cookie_header(request)
            sent.append(request)
        return cookies, sent

    agree(act)


def test_the_rule_about_usual_urls_is_needed() -> None:
    """
    What it sets aside does differ.
    """
    for url in ("http://a:99999/", "http://[::1%25x]/", "http://a<b/", "HTTP://a:80/"):
        assert not usual(url)
        theirs, ours = (outcome(partial(lib.URL, url)) for lib in LIBRARIES)
        assert differences(theirs, ours), url


@FAST
@given(st.sampled_from([301, 303, 307]), st.sampled_from(["GET", "POST"]), urls() | texts)
def test_next_requests_are_the_same(status: int, method: str, location: str) -> None:
    """
    Any Location, not followed.

    differences: "a location that is no URL".
    """
    assume(
        usual(location) and "\r" not in location and "\n" not in location and "\x00" not in location
    )

    def act(lib: types.ModuleType) -> Any:
        def handler(request: Any) -> Any:
            fields = [(b"Location", location.encode())]
            return lib.Response(status, headers=fields, stream=lib.ByteStream(b""))

        with lib.Client(transport=lib.MockTransport(handler), auth=("u", "p")) as client:
            response = client.request(method, "http://a.example/x/y?z", headers={"X": "y"})
            return response.next_request

    theirs, ours = (outcome(partial(act, lib)) for lib in LIBRARIES)
    if theirs.get("error") == ("RemoteProtocolError",) or theirs.get("error") == ("InvalidURL",):
        assert ours["value"] is None
    else:
        assert [] == differences(theirs, ours)
