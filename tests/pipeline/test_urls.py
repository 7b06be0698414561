"""URLs by example: parts, copies, references, errors, caching, and what transports ask for."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from scallion.pipeline.errors import InvalidURL
from scallion.pipeline.queryparams import QueryParams
from scallion.pipeline.urls import URL, RawURL, at_origin, merge_base, with_trailing_slash

FULL = "https://jane:s%3Acret@www.example.org:8443/a%20b/c?x=1&y=%20#top%20"


def test_parts_come_readable_and_raw() -> None:
    """
    Text is unescaped, bytes are as sent.
    """
    url = URL(FULL)

    assert FULL == str(url)
    assert "https" == url.scheme
    assert b"https" == url.raw_scheme
    assert b"jane:s%3Acret" == url.userinfo
    assert "jane" == url.username
    assert "s:cret" == url.password
    assert "www.example.org" == url.host
    assert b"www.example.org" == url.raw_host
    assert 8443 == url.port
    assert b"www.example.org:8443" == url.netloc
    assert "/a b/c" == url.path
    assert b"x=1&y=%20" == url.query
    assert QueryParams({"x": "1", "y": " "}) == url.params
    assert b"/a%20b/c?x=1&y=%20" == url.raw_path
    assert "top " == url.fragment
    assert url.is_absolute_url
    assert not url.is_relative_url


def test_raw_is_deprecated() -> None:
    """
    It still gives the four parts.
    """
    with pytest.warns(UserWarning, match="deprecated"):
        raw = URL(FULL).raw

    assert RawURL(b"https", b"www.example.org", 8443, b"/a%20b/c?x=1&y=%20") == raw


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("HTTP://EXAMPLE.org/", "http://example.org/"),
        ("http://example.org:80/", "http://example.org/"),
        ("https://example.org:443", "https://example.org"),
        ("ws://example.org:80", "ws://example.org"),
        ("wss://example.org:443", "wss://example.org"),
        ("ftp://example.org:21", "ftp://example.org"),
        ("http://example.org:443", "http://example.org:443"),
        ("http://example.org/a/./b/../c", "http://example.org/a/c"),
        ("http://example.org/../../a", "http://example.org/a"),
        ("/a/../b", "/a/../b"),
        ("http://example.org/a b?c d#e f", "http://example.org/a%20b?c%20d#e%20f"),
        ("http://example.org/é?é#é", "http://example.org/%C3%A9?%C3%A9#%C3%A9"),
        ("http://example.org/%7e%zz%", "http://example.org/%7e%zz%"),
        ("http://é:a@b@example.org", "http://%C3%A9:a%40b@example.org"),
        ("http://[::1]:80/", "http://[::1]/"),
    ],
)
def test_urls_are_normalised(given: str, normal: str) -> None:
    """
    Case, default ports, dot segments and escapes; what is escaped is not escaped again.
    """
    assert normal == str(URL(given)) == str(URL(normal))
    assert URL(given) == normal
    assert hash(URL(given)) == hash(URL(normal))


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ({"scheme": "http"}, "http://jane:s%3Acret@www.example.org:8443/a%20b/c?x=1&y=%20#top%20"),
        ({"username": "a@b", "password": ":"}, "https://a%40b:%3A@www.example.org:8443/a%20b/c?x=1&y=%20#top%20"),
        ({"username": None, "password": None}, "https://www.example.org:8443/a%20b/c?x=1&y=%20#top%20"),
        ({"userinfo": b"x"}, "https://x@www.example.org:8443/a%20b/c?x=1&y=%20#top%20"),
        ({"host": "::1"}, "https://jane:s%3Acret@[::1]:8443/a%20b/c?x=1&y=%20#top%20"),
        ({"port": None}, "https://jane:s%3Acret@www.example.org/a%20b/c?x=1&y=%20#top%20"),
        ({"netloc": b"a:1"}, "https://jane:s%3Acret@a:1/a%20b/c?x=1&y=%20#top%20"),
        ({"path": "/é"}, "https://jane:s%3Acret@www.example.org:8443/%C3%A9?x=1&y=%20#top%20"),
        ({"query": None, "fragment": None}, "https://jane:s%3Acret@www.example.org:8443/a%20b/c"),
        ({"raw_path": b"/d?z"}, "https://jane:s%3Acret@www.example.org:8443/d?z#top%20"),
        ({"params": {"q": [1, 2]}}, "https://jane:s%3Acret@www.example.org:8443/a%20b/c?q=1&q=2#top%20"),
        ({"params": {}}, "https://jane:s%3Acret@www.example.org:8443/a%20b/c#top%20"),
    ],
)  # fmt: skip
def test_keywords_replace_parts(edit: dict[str, Any], expected: str) -> None:
    """
    In a copy and at construction alike; None removes.
    """
    assert expected == str(URL(FULL).copy_with(**edit))
    assert expected == str(URL(FULL, **edit))
    assert FULL == str(URL(FULL))


def test_parameters_are_edited_in_copies() -> None:
    """
    One by one or several at once.
    """
    url = URL("http://example.org/?a=1")

    assert "http://example.org/?a=2" == str(url.copy_set_param("a", 2))
    assert "http://example.org/?a=1&a=2" == str(url.copy_add_param("a", 2))
    assert "http://example.org/" == str(url.copy_remove_param("a"))
    assert "http://example.org/?a=1&b=" == str(url.copy_merge_params({"b": None}))


@pytest.mark.parametrize(
    ("reference", "resolved"),
    [
        # RFC 3986 section 5.4.1
        ("g:h", "g:h"),
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q#s"),
        ("g#s", "http://a/b/c/g#s"),
        ("g?y#s", "http://a/b/c/g?y#s"),
        (";x", "http://a/b/c/;x"),
        ("g;x", "http://a/b/c/g;x"),
        ("g;x?y#s", "http://a/b/c/g;x?y#s"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../", "http://a/"),
        ("../../g", "http://a/g"),
        # RFC 3986 section 5.4.2
        ("../../../g", "http://a/g"),
        ("../../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        (".g", "http://a/b/c/.g"),
        ("g..", "http://a/b/c/g.."),
        ("..g", "http://a/b/c/..g"),
        ("./../g", "http://a/b/g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g/./h", "http://a/b/c/g/h"),
        ("g/../h", "http://a/b/c/h"),
        ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/./x", "http://a/b/c/g?y/./x"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("g#s/./x", "http://a/b/c/g#s/./x"),
        ("g#s/../x", "http://a/b/c/g#s/../x"),
        ("http:g", "http://a/b/c/g"),  # the answer for backward compatibility
    ],
)
def test_references_are_resolved_as_the_rfc_shows(reference: str, resolved: str) -> None:
    """
    The table of RFC 3986 section 5.4, normal and abnormal examples.
    """
    base = URL("http://a/b/c/d;p?q")

    assert resolved == str(base.join(reference))
    assert resolved == str(base.join(URL(reference)))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (
            "http://example.org/\n",
            r"non-printable ASCII character in URL, '\\n' at position 19; strip",
        ),
        ("http://example.org/\ud800", "lone surrogate"),
        ("x" * 65_537, "URL too long: 65537 characters, of 65536 allowed"),
        ("http://example.org:http/", "Invalid port: 'http'; expected a number"),
        ("http://::1/", "Invalid port: ':1'"),
        ("::", "Relative URLs cannot have a path starting with ':'"),
        ("////x", "Relative URLs cannot have a path starting with '//'"),
    ],
)
def test_errors_say_what_is_wrong(url: str, says: str) -> None:
    """
    And where, and what was expected.
    """
    with pytest.raises(InvalidURL, match=says):
        URL(url)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"scheme": "1x"}, "Invalid URL component 'scheme': expected a letter"),
        ({"userinfo": b"a@b"}, "Invalid URL component 'userinfo': expected '@' escaped"),
        ({"path": "/a?b"}, "Invalid URL component 'path': .* give raw_path"),
        ({"path": "a"}, "For absolute URLs, path must be empty or begin with '/': 'a'"),
        ({"query": b"a#b"}, "Invalid URL component 'query'"),
        ({"query": b"\xff"}, "Invalid URL component 'query': bytes beyond ASCII"),
        ({"path": "/\x00"}, r"in URL path component, '\\x00' at position 1; .* %00"),
        ({"host": "a:b"}, "Invalid IPv6 address"),
        ({"port": True}, "Invalid port: 'True'"),
        ({"params": {"a": "\ud800"}}, "Invalid character in query parameters"),
        ({"params": {"a": "b" * 65_536}}, "URL component 'query' too long"),
        ({"fragment": "a" * 65_537}, "URL component 'fragment' too long"),
        ({"host": "::1%\ud800"}, "lone surrogate"),
        ({"username": "\ud800"}, "lone surrogate"),
    ],
)
def test_parts_must_stay_within_their_bounds(edit: dict[str, Any], says: str) -> None:
    """
    A part given by keyword cannot spill over into the next.
    """
    with pytest.raises(InvalidURL, match=says):
        URL("http://example.org/", **edit)


@pytest.mark.parametrize(
    ("arguments", "keywords", "says"),
    [
        ((5,), {}, "expected str or scallion.URL, got int"),
        ((b"http://u:hunter2@h",), {}, "expected str or scallion.URL, got bytes"),
        ((None,), {"params": {}}, "expected str or scallion.URL, got NoneType"),
        (("",), {"hots": "x"}, "'hots' is an invalid keyword argument .* host, port"),
        (("",), {"scheme": b"http"}, "Argument 'scheme' must be str but got bytes"),
        (("",), {"query": "a=1"}, "Argument 'query' must be bytes but got str"),
        (("",), {"port": "80"}, "Argument 'port' must be int but got str"),
        (("",), {"params": 5}, "Query parameters must be a mapping"),
    ],
)
def test_wrong_types_are_refused(
    arguments: tuple[Any, ...], keywords: dict[str, Any], says: str
) -> None:
    """
    The error names the argument and both types, never the value.
    """
    with pytest.raises(TypeError, match=says) as caught:
        URL(*arguments, **keywords)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@example.org:port/",
        "http://user:hunter2@example.org/\n",
        "http://user:hunter2@[::zz]/",
        "http://user:hunter2@1.2.3.999/",
        "http://user:hunter2@☃.example/",
        "http://user:hunter2/x@example.org/",
        "http://user:hunter2?x@example.org/",
        "http://user:hunter2#x@example.org/",
        "http://[user:hunter2]/x@example.org/",
        "http://[hunter2]/x@example.org/",
        "http://☃hunter2/x@example.org/",
        "http://1.2.3.999:hunter2/x@example.org/",
        "http://user:hunter2@example.org/\ud800",
    ],
)
def test_errors_do_not_tell_passwords(url: str) -> None:
    """
    Neither does the message, nor an error behind it; not even where a password ends the host early.
    """
    with pytest.raises(InvalidURL) as caught:
        URL(url)
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in str(error)
        error = error.__cause__
    assert "Invalid" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (FULL, "URL('https://jane:[secure]@www.example.org:8443/a%20b/c?x=1&y=%20#top%20')"),
        ("http://:p@example.org", "URL('http://:[secure]@example.org')"),
        ("http://jane@example.org", "URL('http://jane@example.org')"),
        ("http://u:p@[::1]:81", "URL('http://u:[secure]@[::1]:81')"),
        ("", "URL('')"),
    ],
)
def test_repr_hides_the_password(url: str, shown: str) -> None:
    """
    And nothing else.
    """
    assert shown == repr(URL(url))


def test_urls_equal_their_text() -> None:
    """
    Another spelling of the same URL is equal; other things never are.
    """
    url = URL("http://example.org/")

    assert url == url.copy_with()
    assert url == URL("http://example.org/x", path="/") == "HTTP://EXAMPLE.ORG/"
    assert url != "http://example.org"
    assert url != b"http://example.org/"
    assert 1 == len({URL("http://example.org/"), URL("http://EXAMPLE.org/")})


def test_the_same_text_gives_the_same_object() -> None:
    """
    Parsed once, shared ever after; and URLs of URLs are no copies.
    """
    url = URL("http://example.org/shared")

    assert url is URL("http://example.org/shared")
    assert url is URL(url)


def test_long_texts_are_not_kept() -> None:
    """
    The cache's size is bounded in bytes, too.
    """
    text = "http://example.org/" + "x" * 4_000

    assert URL(text) is not URL(text)
    assert URL(text) == URL(text)


def test_shared_urls_cannot_be_changed() -> None:
    """
    Nobody can alter a URL for somebody else.
    """
    url: Any = URL("http://example.org/")

    for name in ("scheme", "host", "path", "params", "raw_path", "origin_key", "extra"):
        with pytest.raises(AttributeError):
            setattr(url, name, "x")


@pytest.mark.parametrize("text", [FULL, "", "/a/../b?c", "http:////b", "http://xn--zz-/"])
def test_urls_survive_copying_and_pickling(text: str) -> None:
    """
    With all their parts, also those that their text would not give back.
    """
    url = URL(text)

    for twin in (copy.copy(url), copy.deepcopy(url), pickle.loads(pickle.dumps(url))):
        assert url == twin
        assert (url.host, url.raw_path, url.userinfo) == (twin.host, twin.raw_path, twin.userinfo)


def test_subclasses_stay_themselves() -> None:
    """
    A subclass, with attributes of its own, is neither cached nor lost in a pickle's way.
    """

    class Tagged(URL):
        tag = ""

    made = Tagged("http://example.org/", path="/x")
    made.tag = "mine"

    assert Tagged is type(made) is type(Tagged("http://example.org/x"))
    assert Tagged is type(Tagged(URL("http://example.org/x")))
    assert "" == Tagged("http://example.org/x").tag
    assert made == URL("http://example.org/x")


@pytest.mark.parametrize(
    ("text", "origin", "target", "host"),
    [
        ("http://example.org", ("http", "example.org", 80), b"/", b"example.org"),
        ("https://u:p@Bücher.example:443/é?q", ("https", "xn--bcher-kva.example", 443), b"/%C3%A9?q", b"xn--bcher-kva.example"),
        ("http://[::1]:8080?q#f", ("http", "::1", 8080), b"/?q", b"[::1]:8080"),
        ("https://example.org:80/", ("https", "example.org", 80), b"/", b"example.org:80"),
        ("foo://example.org/", ("foo", "example.org", 0), b"/", b"example.org"),
        ("", ("", "", 0), b"/", b""),
    ],
)  # fmt: skip
def test_transports_find_what_they_need(
    text: str, origin: tuple[str, str, int], target: bytes, host: bytes
) -> None:
    """
    Where to connect, what to ask for, and whom the server shall think it is.
    """
    url = URL(text)

    for _ in range(2):
        assert origin == url.origin_key
        assert target == url.target
        assert host == url.host_header


@pytest.mark.parametrize(
    ("url", "slashed"),
    [
        ("http://b/api", "http://b/api/"),
        ("http://b/api/", "http://b/api/"),
        ("http://b", "http://b"),
        ("", ""),
        ("http://b/api?k=1", "http://b/api?k=1/"),
    ],
)
def test_base_urls_end_in_a_slash(url: str, slashed: str) -> None:
    """
    The end of the target counts, query included; a URL without path has its slash implied.
    """
    assert slashed == str(with_trailing_slash(URL(url)))


@pytest.mark.parametrize(
    ("base", "url", "merged"),
    [
        ("http://b/api/", "users/7?full=1", "http://b/api/users/7?full=1"),
        ("http://b/api/", "/users", "http://b/api/users"),
        ("http://b/api/", "", "http://b/api/"),
        ("http://b/api/", "../users", "http://b/users"),
        ("http://b/api/", "/v1/x:run", "http://b/api/v1/x:run"),
        ("http://b/api/", "http://c/x", "http://c/x"),
        ("http://u:p@b:81", "x", "http://u:p@b:81/x"),
        ("http://b/?k=1/", "x", "http://b/?k=1/x"),
        ("", "http://c/x", "http://c/x"),
        ("", "x", "/x"),
    ],
)
def test_relative_urls_extend_the_base(base: str, url: str, merged: str) -> None:
    """
    As text or URL, for the first time or again; absolute ones stand for themselves.
    """
    for _ in range(2):
        assert merged == str(merge_base(URL(base), url))
        assert merged == str(merge_base(URL(base), URL(url)))


def test_merging_what_is_no_url_fails() -> None:
    """
    With the error that URL gives.
    """
    with pytest.raises(InvalidURL, match="non-printable"):
        merge_base(URL("http://b/"), "x\n")
    with pytest.raises(TypeError, match="expected str"):
        merge_base(URL("http://b/"), 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "place", ["http://10.0.0.7:8080", "https://[2001:db8::1]", "wss://h:1/x?y"]
)
@pytest.mark.parametrize("url", ["http://u:p@orders/a%20b/?q=1#f", "https://orders:81", "ws://o/x"])
def test_a_url_moves_to_another_origin_as_by_copying(url: str, place: str) -> None:
    """
    All that is derived from the parts is as in a URL that was parsed.
    """
    there = URL(place)
    expected = URL(url).copy_with(scheme=there.scheme, host=there.host, port=there.port)
    for _ in range(2):
        moved = at_origin(URL(url), there)
        assert expected == moved
        assert expected.origin_key == moved.origin_key
        assert expected.raw_path == moved.raw_path
        assert expected.netloc == moved.netloc
        assert expected.params == moved.params
        assert hash(expected) == hash(moved)
        # What was asked for once is kept, and must not be that of the other one.
        assert URL(url).raw_path
        assert there.netloc
