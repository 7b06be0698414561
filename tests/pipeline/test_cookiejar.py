"""The cookie jar: RFC 6265 where the standard library's rules are looser or older."""

from __future__ import annotations

import threading
import time
from calendar import timegm
from http.cookiejar import Cookie, DefaultCookiePolicy
from types import SimpleNamespace
from typing import Any
from urllib.request import Request as UrllibRequest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.pipeline.cookiejar import Jar, RequestView, parse_date, parse_set_cookie, snapshot
from scallion.pipeline.headers import Headers
from scallion.pipeline.urls import URL

NOW = 1_000_000_000
PIECES = ["a", "=", ";", " ", "\t", "é", "Domain", "Path", "Max-Age", "Expires", "1", "-", ".", "/"]


def view(url: str) -> RequestView:
    request: Any = SimpleNamespace(url=URL(url), headers=Headers())
    return RequestView(request)


def parsed(line: str, url: str = "https://example.org/dir/page") -> Cookie | None:
    return parse_set_cookie(line, view(url), NOW)


def cookie(line: str, url: str = "https://example.org/dir/page") -> Cookie:
    found = parsed(line, url)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "06 nov 1994 8:49:37",
        "1994 6 November 08:49:37",
        '"Sun, 06 Nov 1994 08:49:37 GMT"',
        "08:49:37, 06/Nov/94",
        "Sun, 06 Nov 1994 08:49:37GMT",
        "Sun, 6th Nov 1994 08:49:37 +0200",
    ],
)
def test_dates_are_read_in_any_form(text: str) -> None:
    """
    The three forms of HTTP, and what else the algorithm of RFC 6265 section 5.1.1 allows; zones are ignored.
    """
    assert timegm((1994, 11, 6, 8, 49, 37)) == parse_date(text)


@pytest.mark.parametrize(
    ("year", "full"),
    [("00", 2000), ("69", 2069), ("70", 1970), ("99", 1999), ("1601", 1601), ("9999", 9999)],
)
def test_two_digit_years_are_near(year: str, full: int) -> None:
    """
    70 to 99 are of the twentieth century, 0 to 69 of this one.
    """
    assert timegm((full, 1, 2, 3, 4, 5)) == parse_date(f"02 Jan {year} 03:04:05")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "tomorrow",
        "06 Nov 1994",
        "Nov 1994 08:49:37",
        "06 1994 08:49:37",
        "06 Nov 08:49:37",
        "06 Nov 1600 08:49:37",
        "06 Nov 19945 08:49:37",
        "31 Feb 1994 08:49:37",
        "0 Nov 1994 08:49:37",
        "06 Nov 1994 24:00:00",
        "06 Nov 1994 08:60:37",
        "06 Nov 1994 08:49:60",
        "06 Nov 1994 08:49",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    """
    A missing part, or a day or time that does not exist.
    """
    assert parse_date(text) is None


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_a_date_or_none(text: str) -> None:
    """
    Reading a date never fails.
    """
    assert isinstance(parse_date(text), int | None)


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES)))
def test_any_line_is_a_cookie_or_none(parts: list[str]) -> None:
    """
    Reading a `Set-Cookie` line never fails.
    """
    assert isinstance(parsed("".join(parts)), Cookie | None)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("a=b", "a", "b"),
        (" a \t=\t b ; Secure", "a", "b"),
        ('a="b c"', "a", '"b c"'),
        ("a=", "a", ""),
        ("a=b=c", "a", "b=c"),
        ("a=b\tc", "a", "b\tc"),
        ("a=é", "a", "é"),
    ],
)
def test_names_and_values_are_taken_as_they_are(line: str, name: str, value: str) -> None:
    """
    Blanks around them go; quotes, "=" and blanks within stay.
    """
    found = cookie(line)

    assert (name, value) == (found.name, found.value)


@pytest.mark.parametrize(
    "line", ["", ";", "a", "a; Path=/", "=b", " =b", "a=b\x00c", "a=b\x7f", "a=b; Path=/\r\nx: y"]
)
def test_bad_cookies_are_dropped(line: str) -> None:
    """
    Nothing without a name and a "=", and nothing with a control character.
    """
    assert parsed(line) is None


def test_size_is_bounded() -> None:
    """
    Name and value have 64 KiB together; an attribute beyond 1 KiB is ignored.
    """
    assert "v" * 65535 == cookie("a=" + "v" * 65535).value
    assert parsed("a=" + "v" * 65536) is None
    assert "/dir" == cookie("a=b; Path=/" + "p" * 1024).path


@pytest.mark.parametrize(
    ("attributes", "expires"),
    [
        ("", None),
        ("Max-Age=60", NOW + 60),
        ("max-age=60; Expires=Sun, 06 Nov 1994 08:49:37 GMT", NOW + 60),
        ("Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=60", NOW + 60),
        ("Max-Age=0", 0),
        ("Max-Age=-5", 0),
        ("Max-Age=5; Max-Age=7", NOW + 7),
        ("Max-Age=7; Max-Age=soon", NOW + 7),
        ("Max-Age", None),
        ("Max-Age=", None),
        ("Max-Age=+5", None),
        ("Max-Age=1.5", None),
        ("Max-Age=" + "9" * 1000, NOW + 10**11),
        ("Expires=never", None),
        ("Expires=Sun, 06 Nov 1994 08:49:37 GMT", timegm((1994, 11, 6, 8, 49, 37))),
    ],
)
def test_expiry(attributes: str, expires: int | None) -> None:
    """
    `Max-Age` goes before `Expires`; what cannot be read is ignored, not the cookie.
    """
    found = cookie("a=b; " + attributes)

    assert (expires, expires is None) == (found.expires, found.discard)


@pytest.mark.parametrize(
    ("attribute", "path"),
    [
        ("", "/dir"),
        ("Path", "/dir"),
        ("Path=", "/dir"),
        ("Path=relative", "/dir"),
        ("Path=/", "/"),
        ("path = /x ", "/x"),
        ("Path=/x; Path=/y", "/y"),
        ("Path=/x; Path=relative", "/dir"),
        ("Path=/a b", "/a%20b"),
    ],
)
def test_path(attribute: str, path: str) -> None:
    """
    The last `Path` counts; one that is not absolute means the directory of the request.
    """
    assert path == cookie("a=b; " + attribute).path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://h.test", "/"),
        ("https://h.test/", "/"),
        ("https://h.test/page", "/"),
        ("https://h.test/dir/", "/dir"),
        ("https://h.test/dir/page?a=/b/c", "/dir"),
    ],
)
def test_default_path(url: str, path: str) -> None:
    """
    Up to the last slash of the request's path, the query left out.
    """
    assert path == cookie("a=b", url).path


def test_attributes_without_a_meaning_are_kept() -> None:
    """
    `HttpOnly` and `SameSite` can be asked for; `Version` and `Port` mean nothing.
    """
    found = cookie("a=b; HttpOnly; SameSite=Lax; Version=1; Port=80; Secure=no;; =x")

    assert found.has_nonstandard_attr("HttpOnly")
    assert "Lax" == found.get_nonstandard_attr("SameSite")
    assert (0, None, True) == (found.version, found.port, found.secure)


def test_domains_are_filed_as_the_standard_library_does() -> None:
    """
    With a leading dot, under the host, or under "host.local".
    """
    assert (".example.org", True) == _domain(cookie("a=b; Domain=Example.ORG"))
    assert (".example.org", True) == _domain(cookie("a=b; Domain=.example.org"))
    assert ("example.org", False) == _domain(cookie("a=b; Domain="))
    assert ("example.org", False) == _domain(cookie("a=b; Domain=."))
    assert ("localhost.local", False) == _domain(cookie("a=b", "http://localhost:8000/"))
    assert ("127.0.0.1", False) == _domain(cookie("a=b; Domain=127.0.0.1", "http://127.0.0.1:80/"))
    assert ("[::1].local", False) == _domain(cookie("a=b", "http://[::1]:8000/"))


def _domain(found: Cookie) -> tuple[str, bool]:
    return found.domain, found.domain_specified


def test_userinfo_of_the_url_stays_unseen() -> None:
    """
    A password in the URL reaches neither the jar nor a cookie's domain.
    """
    request = view("https://user:hunter2@example.org/")

    assert "https://example.org/" == request.get_full_url()
    assert "example.org" == request.origin_req_host
    assert "example.org" == cookie("a=b", "https://user:hunter2@example.org/").domain


def test_a_jar_serves_urllib_too() -> None:
    """
    It is a cookie jar of the standard library, with its requests.
    """
    jar = Jar()
    jar.set_cookie(cookie("a=b"))
    jar.set_cookie(cookie("c=d; Domain=example.org; Path=/"))

    request = UrllibRequest("https://Example.org:443/dir/")
    jar.add_cookie_header(request)
    assert "a=b; c=d" == request.get_header("Cookie")
    below = UrllibRequest("https://www.example.org/dir/")
    jar.add_cookie_header(below)
    assert "c=d" == below.get_header("Cookie")


def test_the_view_of_a_request_reads_and_writes_its_headers() -> None:
    """
    What a foreign jar may ask of a request is answered from its headers.
    """
    request: Any = SimpleNamespace(url=URL("https://h.test/"), headers=Headers({"A": "1"}))
    seen = RequestView(request)

    assert seen.has_header("a")
    assert "1" == seen.get_header("A")
    assert "2" == seen.get_header("b", "2")
    assert [("a", "1")] == seen.header_items()
    seen.add_unredirected_header("Cookie", "c=d")
    assert "c=d" == request.headers["cookie"]


def test_another_policy_can_be_set() -> None:
    """
    The policy of a jar is its owner's choice.
    """
    jar = Jar(DefaultCookiePolicy(blocked_domains=["example.org"]))
    answer: Any = SimpleNamespace(info=lambda: SimpleNamespace(get_all=lambda *_: ["a=b"]))

    jar.extract_cookies(answer, view("https://example.org/"))
    jar.extract_cookies(answer, view("https://example.net/"))

    assert ["example.net"] == [found.domain for found in jar]


def test_the_jar_shows_no_values() -> None:
    """
    Its repr counts.
    """
    jar = Jar()
    jar.set_cookie(cookie("a=hunter2"))

    assert "<Jar 1 cookies>" == repr(jar) == str(jar)


def test_expired_cookies_are_not_kept() -> None:
    """
    One that has expired since is neither sent nor stored any longer.
    """
    jar = Jar()
    jar.set_cookie(cookie("old=x; Max-Age=1; Path=/"))
    jar.set_cookie(
        parse_set_cookie(
            "new=y; Max-Age=9999; Path=/", view("https://example.org/"), int(time.time())
        )
    )  # type: ignore[arg-type]

    request = UrllibRequest("https://example.org/")
    jar.add_cookie_header(request)

    assert "new=y" == request.get_header("Cookie")
    assert ["new"] == [found.name for found in snapshot(jar)]


def test_threads_may_share_a_jar() -> None:
    """
    Cookies set by several threads at once all arrive, while another thread reads.
    """
    jar = Jar()
    begin = threading.Barrier(5)

    def write(number: int) -> None:
        begin.wait()
        for index in range(200):
            jar.set_cookie(cookie(f"n{number}-{index}=v; Path=/{index}"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    begin.wait()
    while any(thread.is_alive() for thread in threads):
        snapshot(jar)
    for thread in threads:
        thread.join()

    assert 800 == len(snapshot(jar))
