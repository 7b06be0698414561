"""Parsing side by side with httpx: the same URLs, or both refuse.

Deliberate differences, each with a test of its own or left out of the comparison here:

- IPv6 zones follow RFC 6874 (test_hosts); httpx keeps `%25` in the host;
- ports beyond 0 to 65535 are refused; httpx fails when it connects;
- lone surrogates, and bytes beyond ASCII, raise InvalidURL; httpx raises UnicodeError;
- a host that cannot be decoded from IDNA is shown as it is; httpx's `host` raises IDNAError;
- a default port is dropped whatever the case of the scheme; httpx keeps it in `HTTP://a:80`;
- escapes in a host are in lower case at once; httpx changes them when the URL is read again;
- `netloc=` takes IPv6 in brackets; httpx splits it at its first colon;
- an old part that grew beyond the limit by escaping does not keep others from being replaced.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from scallion.pipeline.errors import InvalidURL
from scallion.pipeline.urlparse import compose, ordinary, parse
from scallion.pipeline.urls import URL, merge_base, with_trailing_slash

ODD = " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~aZ09é☃"
PIECES = [*ODD, "%41", "%zz", "%C3%a9", "..", "/.", "/../", "//", "a/b", "x=1&y", "\u200b"]
RARE = ["\n", "\x7f", "\x00", "\ud800"]
TEXT = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
SPOILED = st.lists(st.sampled_from(PIECES + RARE), max_size=4).map("".join)
SCHEMES = ["http", "https", "Foo", "ws", "wss", "ftp", "foo", "mailto", "", "1x", "a+b"]
HOSTS = [
    "example.org",
    "EXAMPLE.org",
    "127.0.0.1",
    "1.2.3.999",
    "01.2.3.4",
    "1.2.3.4.5",
    "1.2.3",
    "[::1]",
    "[FE80::1]",
    "[::1",
    "[::zz]",
    "[1.2.3.4]",
    "[]",
    "bücher.example",
    "BÜCHER.Example",
    "☃.net",
    "xn--bcher-kva.example",
    "www.xn--bcher-kva.example",
    "xn--zz-",
    "a。b",
    "a_b",
    "a..b",
    "",
]
PORTS = ["", ":", ":80", ":443", ":21", ":8080", ":080", ":+8", ":0", ":99999", ":-1", ":x", ":٣"]
USERINFO = ["", "@", "u@", "u:p@", "u:@", ":p@", "u:p%40@", "é:☃@", "a@b@", "u:p:q@", "[x]@"]


@st.composite
def references(draw: st.DrawFn) -> str:
    """Texts in the shape of a URL, some parts missing, some spoiled."""
    text = draw(st.sampled_from(["", *(f"{scheme}:" for scheme in SCHEMES)]))
    if draw(st.integers(0, 4)):
        text += "//" + draw(st.sampled_from(USERINFO)) + draw(st.sampled_from(HOSTS) | TEXT)
        text += draw(st.sampled_from(PORTS))
    text += draw(st.sampled_from(["", "/", "/a/b", "/a/../b/.", "x", "//x"]) | TEXT)
    text += draw(st.just("") | TEXT.map("?{}".format) | TEXT.map("#{}".format))
    return text


URLS = references() | references() | TEXT | SPOILED | st.text(max_size=8)
ASCII = TEXT.map(lambda text: text.encode("ascii", "ignore"))
KEYWORDS: dict[str, st.SearchStrategy[Any]] = {
    "scheme": st.sampled_from(SCHEMES),
    "username": TEXT | SPOILED,
    "password": TEXT | SPOILED,
    "userinfo": ASCII | st.just(b"\xff"),
    "host": st.sampled_from([*HOSTS, "::1", "a:b", "a/b"]) | TEXT | SPOILED,
    "port": st.sampled_from([0, 80, 443, 8080, 65535, 65536, -1, True]),
    "netloc": st.sampled_from([b"a", b"A:80", b"a:443", b"a:x", b"", b"::1", b"a@b:1"]) | ASCII,
    "path": st.sampled_from(["", "/", "/a/../b", "x", "//x", ":x"]) | TEXT | SPOILED,
    "query": ASCII | st.just(b"\xff"),
    "raw_path": st.sampled_from([b"", b"/", b"/x?y", b"/x?", b"?y", b"x"]) | ASCII,
    "fragment": TEXT | SPOILED,
    "params": st.dictionaries(TEXT, TEXT, max_size=2) | TEXT | st.just({"a": [1, None, True]}),
}
EDITS = st.lists(
    st.sampled_from(sorted(KEYWORDS)).flatmap(
        lambda name: st.tuples(st.just(name), KEYWORDS[name] | st.none())
    ),
    min_size=1,
    max_size=3,
).map(dict)


def zoned(*values: object) -> bool:
    """Whether an IPv6 zone may be meant: a difference."""
    return any(
        re.search(r"\[[^\]]*%", str(value)) or ("%" in str(value) and ":" in str(value))
        for value in values
        if value
    )


def sane(url: httpx.URL) -> httpx.URL:
    if url.port is not None and not 0 <= url.port <= 65_535:
        raise httpx.InvalidURL("port")
    return url


def readable_host(url: Any) -> str:
    try:
        return str(url.host)
    except UnicodeError:
        return str(url.raw_host.decode("ascii"))


def facts(url: Any) -> dict[str, object]:
    return {
        "str": str(url),
        "repr": repr(url),
        "hash": hash(url),
        "scheme": url.scheme,
        "raw_scheme": url.raw_scheme,
        "userinfo": url.userinfo,
        "username": url.username,
        "password": url.password,
        "host": readable_host(url),
        "raw_host": url.raw_host,
        "port": url.port,
        "netloc": url.netloc,
        "path": url.path,
        "query": url.query,
        "params": url.params.multi_items(),
        "raw_path": url.raw_path,
        "fragment": url.fragment,
        "is_absolute_url": url.is_absolute_url,
        "is_relative_url": url.is_relative_url,
    }


def theirs(make: Callable[[], httpx.URL]) -> dict[str, object] | None:
    try:
        url = sane(make())
        return facts(httpx.URL(str(url)) if b"%" in url.raw_host else url)
    except (httpx.InvalidURL, ValueError):  # UnicodeError is one, and so are urljoin's complaints.
        return None


def ours(make: Callable[[], URL]) -> dict[str, object] | None:
    try:
        return facts(make())
    except InvalidURL:
        return None


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(URLS)
@example("http://user:pass@EXAMPLE.org:80/a/./b/../c%20d?x=y z#é")
@example("HTTP://Example.org:8080/")
@example("http:////b")
@example("http://[::1]@h/")
@example("http://a:" + "1" * 5_000)
@example("x" * 65_536)
@example("x" * 65_537)
def test_the_same_urls_are_accepted_with_the_same_parts(text: str) -> None:
    """
    Any text is a URL with httpx's parts, or InvalidURL where httpx refuses it.
    """
    assume(not zoned(*re.findall(r"\[.*\]", text)))
    assert theirs(lambda: httpx.URL(text)) == ours(lambda: URL(text))


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(URLS, EDITS)
@example("http://h:80/", {"scheme": "https"})
@example("http://h:443/", {"scheme": "https"})
@example("http://u:p@h/", {"username": "x"})
def test_keywords_replace_the_same_parts(text: str, edits: dict[str, Any]) -> None:
    """
    At construction and in a copy, with the same result, or both refuse.
    """
    assume(not zoned(*re.findall(r"\[.*\]", text), edits.get("host")))
    assume(not (edits.get("netloc") or b"").startswith(b"["))
    assert theirs(lambda: httpx.URL(text, **edits)) == ours(lambda: URL(text, **edits))
    assert theirs(lambda: sane(httpx.URL(text)).copy_with(**edits)) == ours(
        lambda: URL(text).copy_with(**edits)
    )


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(URLS, URLS)
@example("http://a/b", "http:////[x/")
def test_references_are_resolved_alike(base: str, reference: str) -> None:
    """
    join gives the same URL, or both refuse.
    """
    assume(not zoned(*re.findall(r"\[.*\]", f"{base}{reference}")))
    assert theirs(lambda: sane(httpx.URL(base)).join(sane(httpx.URL(reference)))) == ours(
        lambda: URL(base).join(reference)
    )


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(
    URLS,
    st.one_of(
        st.tuples(
            st.sampled_from(["copy_set_param", "copy_add_param"]), TEXT, TEXT | st.integers()
        ),
        st.tuples(st.just("copy_remove_param"), st.sampled_from(["a", "x", ""])),
        st.tuples(st.just("copy_merge_params"), KEYWORDS["params"]),
    ),
)
def test_parameters_are_edited_alike(text: str, edit: tuple[Any, ...]) -> None:
    """
    The four copies with other parameters are the same, or both refuse.
    """
    assume(not zoned(*re.findall(r"\[.*\]", text)))
    method, *args = edit
    assert theirs(lambda: getattr(sane(httpx.URL(text)), method)(*args)) == ours(
        lambda: getattr(URL(text), method)(*args)
    )


BASES = [
    "",
    "http://b",
    "http://u:p@b:81/api",
    "https://b/api/",
    "/api",
    "http://b?x",
    "http://[::1]/x#f",
]


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(st.sampled_from(BASES) | references(), URLS)
@example("http://b", "/x:y")
@example("http://b", "x:y")
@example("http://b", "///x")
@example("http://b/api", "../x")
def test_base_urls_are_extended_alike(base: str, text: str) -> None:
    """
    A client of httpx with this base_url asks for the same URL.
    """
    assume("xn--zz-" not in base + text)  # httpx decodes it, and fails, when it makes a request
    assume(not zoned(*re.findall(r"\[.*\]", f"{base}{text}")))
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200)))

    def asked() -> httpx.URL:
        client.base_url = sane(httpx.URL(base))
        return client.build_request("GET", sane(httpx.URL(text))).url

    expected = theirs(asked)
    assert expected == ours(lambda: merge_base(with_trailing_slash(URL(base)), text))
    assert expected == ours(lambda: merge_base(with_trailing_slash(URL(base)), URL(text)))


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(
    st.builds(
        "http{}://{}{}{}".format,
        st.sampled_from(["", "s"]),
        st.sampled_from(HOSTS),
        st.sampled_from(PORTS),
        st.sampled_from(["", "/"]).flatmap(lambda start: TEXT.map(lambda rest: start + rest)),
    )
)
@example("http://1.2.3.999")
@example("https://a:443/")
@example("http://a:65536/")
def test_the_shortcut_leaves_nothing_to_normalise(text: str) -> None:
    """
    What the fast path accepts, the full parser would give back unchanged.
    """
    parts = ordinary(text)
    if parts is not None:
        assert parse(text) == parts
        assert text == compose(parts)


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(st.text(max_size=20) | URLS)
def test_any_text_is_a_url_or_invalid(text: str) -> None:
    """
    Nothing but InvalidURL ever comes out, from no property either; what comes out is stable.
    """
    try:
        url = URL(text)
    except InvalidURL:
        return
    facts(url)
    assert url.origin_key[2] is not None
    assert url.target.isascii()
    assert url.host_header.isascii()
    if url.is_absolute_url:
        assert url == str(url)
        assert url == pickle.loads(pickle.dumps(url))


@pytest.mark.parametrize("port", ["65536", "99999", "-1"])
def test_ports_beyond_sixteen_bits_are_refused(port: str) -> None:
    """
    No connection could be made to them.
    """
    with pytest.raises(
        InvalidURL, match=f"Invalid port: '{port}'; expected a number from 0 to 65535"
    ):
        URL(f"http://example.org:{port}/")
    with pytest.raises(InvalidURL, match="Invalid port"):
        URL("http://example.org", port=int(port))


def test_a_default_port_is_dropped_in_any_case() -> None:
    """
    Schemes have no case, so these are one URL.
    """
    assert "http://example.org/" == str(URL("HTTP://example.org:80/"))


def test_netloc_takes_what_netloc_gives() -> None:
    """
    Also for IPv6.
    """
    url = URL("http://[::1]:8080/x")

    assert url == URL("http://example.org/x", netloc=url.netloc)


def test_a_part_that_grew_by_escaping_does_not_block_others() -> None:
    """
    Only what is given now is measured.
    """
    url = URL("http://example.org/" + "é" * 60_000)

    assert "x" == url.copy_with(fragment="x").fragment
    assert b"a=1" == url.copy_with(params={"a": 1}).query
