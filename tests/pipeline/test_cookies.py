"""Cookies: httpx's mapping over a jar, and what may go from where to where."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Iterable, MutableMapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import SimpleNamespace
from typing import Any
from unittest import mock

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.pipeline.cookies import Cookies
from scallion.pipeline.errors import CookieConflict
from scallion.pipeline.headers import Headers
from scallion.pipeline.urls import URL

PAST = "Sun, 06 Nov 1994 08:49:37 GMT"
FUTURE = "Wed, 09 Jun 2100 10:18:14 GMT"


def receive(cookies: Cookies, url: str, *lines: str) -> None:
    """Let `cookies` see an answer from `url` with these `Set-Cookie` lines."""
    request = SimpleNamespace(url=URL(url), headers=Headers())
    headers = Headers([("Set-Cookie", line) for line in lines])
    response: Any = SimpleNamespace(headers=headers, request=request)
    cookies.extract_cookies(response)


def sent(cookies: Cookies, url: str, **headers: str) -> str | None:
    """The `Cookie` field of a request to `url`."""
    request: Any = SimpleNamespace(url=URL(url), headers=Headers(headers))
    cookies.set_cookie_header(request)
    return request.headers.get("cookie")


def httpx_receive(cookies: httpx.Cookies, url: str, *lines: str) -> None:
    cookies.extract_cookies(
        httpx.Response(
            200,
            headers=[("Set-Cookie", line) for line in lines],
            request=httpx.Request("GET", url),
        )
    )


def httpx_sent(cookies: httpx.Cookies, url: str) -> str | None:
    request = httpx.Request("GET", url)
    cookies.set_cookie_header(request)
    return request.headers.get("cookie")


def after(url: str, *lines: str) -> Cookies:
    cookies = Cookies()
    receive(cookies, url, *lines)
    return cookies


# The mapping.


def both(given: Any = None) -> Iterable[Any]:
    return httpx.Cookies(given), Cookies(given)


@pytest.mark.parametrize("given", [None, {}, {"a": "1", "b": "2"}, [("a", "1"), ("a", "2")], []])
def test_construction_agrees_with_httpx(given: Any) -> None:
    """
    From nothing, a dict or a list of pairs.
    """
    theirs, ours = both(given)

    assert dict(theirs) == dict(ours)
    assert (len(theirs), bool(theirs), list(theirs)) == (len(ours), bool(ours), list(ours))
    assert httpx_sent(theirs, "https://h.test/x") == sent(ours, "https://h.test/x")


def test_the_mapping_agrees_with_httpx() -> None:
    """
    Setting, reading, deleting and updating, step by step.
    """
    for cookies in both():
        cookies["a"] = "1"
        cookies.set("a", "2", domain="example.org")
        cookies.set("a", "3", domain="example.org", path="/x")
        cookies.set("b", "4", domain="example.net")
        assert ["a", "a", "a", "b"] == list(cookies)
        assert "1" == cookies.get("a", domain="")
        assert "3" == cookies.get("a", path="/x")
        assert "2" == cookies.get("a", domain="example.org", path="/")
        assert cookies.get("zzz") is None
        assert "d" == cookies.get("a", "d", domain="example.com")
        assert "4" == cookies["b"]
        cookies.delete("a", domain="example.org", path="/x")
        assert 3 == len(cookies)
        cookies.delete("a", domain="example.org")
        assert "1" == cookies["a"]
        cookies.update({"c": "5"})
        cookies.update(None)
        del cookies["a"]
        del cookies["a"]
        assert {"b": "4", "c": "5"} == dict(cookies)
        cookies.clear("example.net")
        cookies.clear("", "/")
        assert not cookies
        assert 0 == len(cookies)


def test_several_of_one_name_conflict() -> None:
    """
    Without a domain or path, a name that several cookies bear is ambiguous.
    """
    cookies = Cookies()
    cookies.set("a", "1", domain="example.org")
    cookies.set("a", "2", domain="example.net")

    with pytest.raises(CookieConflict, match="Multiple cookies exist with name=a"):
        cookies["a"]
    with pytest.raises(CookieConflict):
        cookies.get("a", path="/")
    assert "2" == cookies.get("a", domain="example.net")


def test_what_is_missing_is_an_error() -> None:
    """
    `[]`, deleting one exact cookie and clearing a domain say that there is nothing.
    """
    for cookies in both():
        with pytest.raises(KeyError, match="a"):
            cookies["a"]
        with pytest.raises(KeyError):
            cookies.delete("a", domain="example.org", path="/")
        with pytest.raises(KeyError):
            cookies.clear("example.org")
        cookies.clear()
        cookies.delete("a")


def test_clearing_a_path_needs_its_domain() -> None:
    """
    A path alone is refused, with what to do.
    """
    with pytest.raises(ValueError, match="needs the domain as well"):
        Cookies().clear(path="/")


def test_copies_are_independent() -> None:
    """
    Cookies made from cookies, or updated from them, share no jar.
    """
    original = after("https://example.org/", "a=1; Path=/")
    copied = Cookies(original)
    updated = Cookies({"b": "2"})
    updated.update(original)

    copied.clear()

    assert "a=1" == sent(original, "https://example.org/")
    assert copied.jar is not original.jar
    assert {"a": "1", "b": "2"} == dict(updated)


def test_a_jar_is_used_as_it_is() -> None:
    """
    A jar of the program's, even an empty one, is the one that is filled and asked.
    """
    jar = CookieJar()
    cookies = Cookies(jar)

    receive(cookies, "https://example.org/", "a=1")

    assert jar is cookies.jar
    assert ["a"] == [cookie.name for cookie in jar]
    # Its policy is its own: the standard library's sends this below the host as well.
    assert "a=1" == sent(cookies, "https://www.example.org/")


def test_the_jar_can_be_replaced() -> None:
    """
    `jar` is an attribute as in httpx.
    """
    cookies = Cookies({"a": "1"})
    cookies.jar = CookieJar()

    assert not cookies


def test_a_jar_of_another_kind_is_always_asked() -> None:
    """
    A jar that keeps its cookies elsewhere still gets to write the header.
    """

    class Elsewhere:
        def extract_cookies(self, response: Any, request: Any) -> None: ...

        def add_cookie_header(self, request: Any) -> None:
            request.add_unredirected_header("Cookie", "from=elsewhere")

    jar: Any = Elsewhere()
    assert "from=elsewhere" == sent(Cookies(jar), "https://example.org/")


def test_cookies_are_a_mutable_mapping() -> None:
    """
    They pass for a mapping.
    """
    assert isinstance(Cookies(), MutableMapping)
    assert {"a": "1"} == Cookies({"a": "1"})


def test_repr_shows_no_values() -> None:
    """
    Names, domains and paths only.
    """
    cookies = after("https://example.org/x/", "a=hunter2", "b=hunter2; Domain=example.org; Path=/")

    assert "<Cookies[<Cookie a for example.org/x />, <Cookie b for .example.org/ />]>" == repr(
        cookies
    )
    assert "<Cookies[]>" == repr(Cookies())


def test_cookies_pickle() -> None:
    """
    With all that is known about them, and without the jar's lock.
    """
    cookies = after(
        "http://localhost/", "a=1", "b=2; Max-Age=9999; Path=/x", "c=3; HttpOnly; Secure"
    )

    restored = pickle.loads(pickle.dumps(cookies))

    assert [vars(cookie) for cookie in cookies.jar] == [vars(cookie) for cookie in restored.jar]
    assert "b=2; a=1" == sent(restored, "http://localhost/x")


# What costs nothing.


def test_nothing_is_imported_before_the_first_cookie() -> None:
    """
    Empty cookies, asked and answered, do not import the standard library's jar.
    """
    program = """
import sys
from types import SimpleNamespace
from scallion.pipeline.cookies import Cookies
from scallion.pipeline.headers import Headers
cookies = Cookies(); Cookies({}); Cookies(cookies); cookies.update(Cookies())
cookies.extract_cookies(SimpleNamespace(headers=Headers({"a": "b"})))
cookies.set_cookie_header(None)
assert not cookies and len(cookies) == 0 and list(cookies) == [] and cookies.get("a") is None
cookies.clear(); cookies.delete("a"); repr(cookies)
print("http.cookiejar" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "False\n" == done.stdout


def test_an_emptied_jar_is_not_asked() -> None:
    """
    After clearing, a request is left alone without being looked at.
    """
    cookies = Cookies({"a": "1"})
    cookies.clear()
    nothing: Any = None

    cookies.set_cookie_header(nothing)


def test_threads_get_one_jar() -> None:
    """
    Threads that ask for the jar at once get the same.
    """
    cookies = Cookies()
    begin = threading.Barrier(8)
    jars: list[CookieJar] = []

    def ask() -> None:
        begin.wait()
        jars.append(cookies.jar)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == len({id(jar) for jar in jars})


# From where to where.


def test_a_cookie_goes_back_to_its_host_only() -> None:
    """
    Without `Domain`: the same host on any port, and none above, below or beside it.
    """
    cookies = after("https://example.org/", "a=1")

    assert "a=1" == sent(cookies, "https://example.org/")
    assert "a=1" == sent(cookies, "https://EXAMPLE.org:8443/")
    for host in ["www.example.org", "org", "notexample.org", "example.org.evil.test", "evil.test"]:
        assert sent(cookies, f"https://{host}/") is None


def test_a_domain_cookie_goes_to_hosts_below() -> None:
    """
    With `Domain`: the domain and what ends in it at a dot.
    """
    cookies = after("https://www.example.org/", "a=1; Domain=example.org")

    for host in ["example.org", "www.example.org", "a.b.example.org"]:
        assert "a=1" == sent(cookies, f"https://{host}/")
    for host in ["notexample.org", "example.org.evil.test", "org"]:
        assert sent(cookies, f"https://{host}/") is None


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("evil.test", "example.org"),
        ("example.org", "www.example.org"),
        ("notexample.org", "example.org"),
        ("example.org", "xample.org"),
        ("example.com", "com"),
        ("example.com", ".com"),
        ("example.com", "com."),
        ("example.com", "..com"),
        ("shop.co.uk", "co.uk"),
        ("a.shop.com.au", ".com.au"),
        ("machine.local", "local"),
        ("localhost", "local"),
        ("a.localhost", "localhost"),
        ("127.0.0.1", "0.0.1"),
        ("127.0.0.1", ".0.0.1"),
        ("127.0.0.1", "1"),
        ("[::1]", "1]"),
    ],
)
def test_foreign_and_public_domains_are_refused(host: str, domain: str) -> None:
    """
    A host sets no cookies for others, for top-level domains, or for a piece of an address.
    """
    assert not after(f"https://{host}/", f"a=1; Domain={domain}")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "co.uk", "intranet"])
def test_a_host_that_stands_alone_may_name_itself(host: str) -> None:
    """
    `Domain` with the very host is as none at all.
    """
    cookies = after(f"http://{host}:8000/", f"a=1; Domain={host}")

    assert "a=1" == sent(cookies, f"http://{host}/")
    assert sent(cookies, f"http://sub.{host.strip('[]').replace(':', '')}/") is None


def test_addresses_match_entirely_or_not() -> None:
    """
    No suffix of an address is a domain, not even one that the program has set.
    """
    cookies = Cookies()
    cookies.set("a", "1", domain=".0.0.1")
    cookies.set("b", "2", domain="10.0.0.1")

    assert "b=2" == sent(cookies, "http://10.0.0.1/")
    assert sent(cookies, "http://127.0.0.1/") is None


def test_localhost_is_not_localhost_local() -> None:
    """
    A single name and the same name under `.local` are two hosts.
    """
    assert sent(after("http://printer/", "a=1"), "http://printer.local/") is None
    assert sent(after("http://printer.local/", "a=1"), "http://printer/") is None
    assert "a=1" == sent(after("http://printer/", "a=1"), "http://printer/")


def test_program_cookies_go_where_the_program_says() -> None:
    """
    Without a domain to every host; with one to it and below; "localhost" works under both names.
    """
    cookies = Cookies({"all": "0"})
    cookies.set("d", "1", domain="example.org")
    cookies.set("l", "2", domain="localhost")
    cookies.set("m", "3", domain="localhost.local")

    assert "all=0" == sent(cookies, "http://10.0.0.1/")
    assert "all=0; d=1" == sent(cookies, "https://www.example.org/")
    assert "all=0; l=2; m=3" == sent(cookies, "http://localhost:8000/")


def test_secure_cookies_need_https() -> None:
    """
    They are never sent over http, not even to localhost.
    """
    cookies = after("https://example.org/", "a=1; Secure", "b=2")
    local = after("http://localhost/", "a=1; Secure")

    assert "a=1; b=2" == sent(cookies, "https://example.org/")
    assert "b=2" == sent(cookies, "http://example.org/")
    assert sent(local, "http://localhost/") is None


@pytest.mark.parametrize(
    ("path", "matching", "others"),
    [
        ("/", ["/", "/x", "/x/y"], []),
        ("/x", ["/x", "/x/", "/x/y", "/x?q"], ["/", "/xy", "/X", "/y/x"]),
        ("/x/", ["/x/", "/x/y"], ["/x", "/xy"]),
        ("/a b", ["/a b", "/a%20b/c"], ["/a"]),
    ],
)
def test_paths_match_at_slashes(path: str, matching: list[str], others: list[str]) -> None:
    """
    A cookie goes to its path and to what lies below it.
    """
    cookies = after("https://example.org/", f"a=1; Path={path}")

    for target in matching:
        assert "a=1" == sent(cookies, f"https://example.org{target}")
    for target in others:
        assert sent(cookies, f"https://example.org{target}") is None


def test_longer_paths_come_first() -> None:
    """
    The order of RFC 6265 section 5.4: longer paths first, then older cookies.
    """
    cookies = after("https://example.org/", "a=1; Path=/", "b=2; Path=/x", "c=3; Path=/")

    assert "b=2; a=1; c=3" == sent(cookies, "https://example.org/x")


@pytest.mark.parametrize("attribute", ["Max-Age=0", "Max-Age=-1", f"Expires={PAST}"])
def test_an_expiry_in_the_past_deletes(attribute: str) -> None:
    """
    The cookie of that name, domain and path goes; others stay.
    """
    cookies = after("https://example.org/", "a=1", "b=2", "a=3; Path=/x")

    receive(cookies, "https://example.org/", f"a=; {attribute}")

    assert "a=3; b=2" == sent(cookies, "https://example.org/x")


def test_nobody_deletes_a_foreign_cookie() -> None:
    """
    An answer from elsewhere that names the domain deletes nothing.
    """
    cookies = after("https://example.org/", "a=1; Domain=example.org; Path=/")

    receive(cookies, "https://evil.test/", "a=; Domain=example.org; Path=/; Max-Age=0")

    assert "a=1" == sent(cookies, "https://example.org/")


@pytest.mark.parametrize(
    ("url", "line", "accepted"),
    [
        ("https://example.org/", "__Secure-a=1; Secure", True),
        ("https://www.example.org/", "__Secure-a=1; Secure; Domain=example.org", True),
        ("https://example.org/", "__Secure-a=1", False),
        ("http://example.org/", "__Secure-a=1; Secure", False),
        ("https://example.org/", "__Host-a=1; Secure; Path=/", True),
        ("https://example.org/", "__Host-a=1; Secure", False),
        ("https://example.org/", "__Host-a=1; Secure; Path=/x", False),
        ("https://example.org/", "__Host-a=1; Path=/", False),
        ("https://example.org/", "__Host-a=1; Secure; Path=/; Domain=example.org", False),
        ("http://example.org/", "__Host-a=1; Secure; Path=/", False),
        ("https://example.org/", "__HOST-a=1", False),
        ("https://example.org/", "__secure-a=1", False),
    ],
)
def test_name_prefixes_keep_their_promise(url: str, line: str, accepted: bool) -> None:
    """
    `__Secure-` and `__Host-` in any case of letters (RFC 6265bis section 4.1.3).
    """
    assert accepted == bool(after(url, line))


def test_a_cookie_header_that_is_there_stays() -> None:
    """
    The jar does not add to a `Cookie` field of the request's own.
    """
    assert "mine=1" == sent(Cookies({"a": "1"}), "https://example.org/", cookie="mine=1")


def test_a_password_in_the_url_is_no_part_of_the_host() -> None:
    """
    A cookie set under a URL with userinfo goes back without it, and its repr shows none.
    """
    cookies = after("https://user:hunter2@example.org/", "a=1")

    assert "a=1" == sent(cookies, "https://example.org/")
    assert "hunter2" not in repr([*cookies.jar])


def test_values_beyond_ascii_go_back_in_utf_8() -> None:
    """
    As in httpx.
    """
    cookies = Cookies({"a": "é"})
    request: Any = SimpleNamespace(url=URL("https://example.org/"), headers=Headers())

    cookies.set_cookie_header(request)

    assert "a=é".encode() == request.headers.get_raw(b"cookie")


# Side by side with httpx.

HOSTS = ["example.org", "www.example.org", "a.www.example.org", "example.net", "127.0.0.1", "local"]
URLS = [
    f"{scheme}://{host}{path}"
    for host in HOSTS
    for scheme in ("http", "https")
    for path in ("/", "/x/y")
]
ATTRIBUTES = [
    "Path=/",
    "Path=/x",
    "Path=/x/",
    "Secure",
    "HttpOnly",
    "SameSite=Lax",
    "Max-Age=0",
    "Max-Age=9999",
    f"Expires={FUTURE}",
    f"Expires={PAST}",
    "Expires=rubbish",
    "Domain=example.org",
    "domain=.example.org",
    "Domain=www.example.org",
    "Domain=example.net",
    "Domain=org",
]
LINES = st.builds(
    lambda name, value, attributes: "; ".join([f"{name}={value}", *attributes]),
    st.sampled_from("ab"),
    st.sampled_from(["", "1", '"q"', "x=y", "a b"]),
    # Each attribute once: which of two counts is one of the differences.
    st.lists(st.sampled_from(ATTRIBUTES), max_size=4, unique_by=lambda a: a.split("=")[0].lower()),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(URLS), st.lists(LINES, max_size=3)), max_size=4))
def test_cookies_agree_with_httpx(answers: list[tuple[str, list[str]]]) -> None:
    """
    The same answers lead to the same `Cookie` field for every URL.

    Differences that are kept out: hosts without `Domain` are exact on the other side too, by a policy
    of the standard library; and its deletions without permission are not among the answers.
    """
    policy = DefaultCookiePolicy(strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain)
    theirs, ours = httpx.Cookies(CookieJar(policy)), Cookies()
    # Time stands still, as ages count from it.
    with mock.patch("time.time", return_value=1_800_000_000.0):
        for url, lines in answers:
            allowed = [line for line in lines if not _deletes_elsewhere(url, line)]
            for line in allowed:
                # One by one: of those in one answer, the standard library obeys the deletions first.
                httpx_receive(theirs, url, line)
            receive(ours, url, *allowed)
        expected = {url: httpx_sent(theirs, url) for url in URLS}
        assert expected == {url: sent(ours, url) for url in URLS}

    assert sorted(vars_of(theirs)) == sorted(vars_of(ours))


def _deletes_elsewhere(url: str, line: str) -> bool:
    domain = next((part[7:] for part in line.split("; ") if part.lower().startswith("domain=")), "")
    deletes = "Max-Age=0" in line or PAST in line
    return deletes and not f".{httpx.URL(url).host}".endswith("." + domain.removeprefix("."))


def vars_of(cookies: Any) -> list[str]:
    return [
        repr([(name, value) for name, value in sorted(vars(cookie).items()) if name != "host"])
        for cookie in cookies.jar
    ]


@pytest.mark.parametrize(
    ("url", "line", "target", "theirs", "ours"),
    [
        ("https://example.org/", "a=1", "https://www.example.org/", "a=1", None),
        ("https://a.co.uk/", "a=1; Domain=co.uk", "https://b.co.uk/", "a=1", None),
        ("http://a.local/", "a=1; Domain=local", "http://b.local/", "a=1", None),
        ("http://localhost/", "a=1; Domain=localhost", "http://localhost/", None, "a=1"),
        ("http://127.0.0.1/", "a=1; Domain=0.0.1", "http://9.0.0.1/", "a=1", None),
        ("https://h.test/", "__Host-a=1", "https://h.test/", "__Host-a=1", None),
        ("https://h.test/", "a", "https://h.test/", "a", None),
        ("https://h.test/", "a=1; Max-Age=soon", "https://h.test/", None, "a=1"),
        ("https://h.test/", "a=1; Path=x", "https://h.test/", None, "a=1"),
        ("https://h.test/", "a=1; Path=/x; Path=/", "https://h.test/", None, "a=1"),
        ("https://h.test/", "a=1; Domain", "https://h.test/", None, "a=1"),
        ("https://h.test/", "a=1; Secure=", "http://h.test/", "a=1", None),
        ("https://h.test/", "a=1; Port=81", "https://h.test/", None, "a=1"),
        ("https://h.test/", "a=1; Expires=Nov 6 1994 08:49:37", "https://h.test/", "a=1", None),
        ("https://h.test/", "a=" + "v" * 65536, "https://h.test/", "a=" + "v" * 65536, None),
    ],
)
def test_differences_to_httpx_are_these(
    url: str, line: str, target: str, theirs: str | None, ours: str | None
) -> None:
    """
    Where RFC 6265 and the standard library part ways, the RFC is followed.
    """
    jar = httpx.Cookies()
    httpx_receive(jar, url, line)

    assert theirs == httpx_sent(jar, target)
    assert ours == sent(after(url, line), target)


def test_host_cookies_of_another_jar_stay_host_cookies() -> None:
    """
    What the standard library's jar has received for one host goes to that host only.
    """
    theirs = httpx.Cookies()
    httpx_receive(theirs, "http://localhost/", "a=1")
    httpx_receive(theirs, "https://example.org/", "b=2")
    cookies = Cookies()
    cookies.update(theirs.jar)

    assert "a=1" == sent(cookies, "http://localhost/")
    assert "b=2" == sent(cookies, "https://example.org/")
    assert sent(cookies, "https://www.example.org/") is None
