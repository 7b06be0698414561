"""Redaction: what of a URL may be shown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.pipeline.redaction import (
    SECRET_NAMES,
    redact_jwts,
    redact_login,
    redact_url,
    redact_value,
    secret_names,
)
from scallion.pipeline.urls import URL

ORDINARY = [
    "http://example.org/",
    "https://example.org:8443/a/b;c=d?page=2&sort=name#part",
    "http://example.org/user@host?mail=a@b.org",
    "/relative//x@y?q",
    "http://example.org/?",
    "http://example.org/?token",
    "http://example.org/?token=",
    "http://example.org/token=5",
    "http://example.org/?a=1;b=2;c",
    "http://example.org/?pinned=1&spin=2&author=x",
    "http://example.org/?cursor=eyJpZCI6MX0",
    "http://example.org/eyJpZCI6MX0.json",
    "http://example.org/apiKeyJournal.entries.Reader",
    "",
]


@pytest.mark.parametrize("url", ORDINARY)
def test_ordinary_urls_stay_as_they_are(url: str) -> None:
    """
    What holds no secret is shown byte for byte.
    """
    assert url == redact_url(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://u:p@example.org/", "http://REDACTED:REDACTED@example.org/"),
        ("http://token@example.org/x?y=1", "http://REDACTED:REDACTED@example.org/x?y=1"),
        ("http://u:p%40x@example.org", "http://REDACTED:REDACTED@example.org"),
        ("http://u:p@q@example.org", "http://REDACTED:REDACTED@example.org"),
        ("//u:p@example.org/", "//REDACTED:REDACTED@example.org/"),
        ("socks5h://u:p@[::1]:1080", "socks5h://REDACTED:REDACTED@[::1]:1080"),
    ],
)
def test_userinfo_is_replaced(url: str, shown: str) -> None:
    """
    Name and password become what OpenTelemetry's conventions say.
    """
    assert shown == redact_url(url)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("?sig=abc", "?sig=REDACTED"),
        ("?a=1&Signature=x%2Fy==&b=2", "?a=1&Signature=REDACTED&b=2"),
        (
            "?AWSAccessKeyId=A&X-Goog-Signature=B",
            "?AWSAccessKeyId=REDACTED&X-Goog-Signature=REDACTED",
        ),
        ("?x-amz-signature=A", "?x-amz-signature=REDACTED"),
        ("?apikey=A&api_key=B&API-Key=C", "?apikey=REDACTED&api_key=REDACTED&API-Key=REDACTED"),
        ("?access%5Ftoken=A", "?access%5Ftoken=REDACTED"),
        ("?%74oken=A", "?%74oken=REDACTED"),
        ("?user[password]=A", "?user[password]=REDACTED"),
        ("?user%5Bpassword%5D=A", "?user%5Bpassword%5D=REDACTED"),
        ("?token=a;b;c&d=1", "?token=REDACTED&d=1"),
        ("?a=1;token=b;c=d", "?a=1;token=REDACTED"),
        ("?a=1;b;token=c", "?a=1;b;token=REDACTED"),
        ("?a;token=c", "?a;token=REDACTED"),
        ("#access_token=A&state=1", "#access_token=REDACTED&state=1"),
        ("?next=/x?token=A", "?next=/x?token=REDACTED"),
        ("?otp=1&pin=2&Passwort=3", "?otp=REDACTED&pin=REDACTED&Passwort=REDACTED"),
        ("?csrf_token=1&_csrf=2", "?csrf_token=REDACTED&_csrf=REDACTED"),
        ("?contrase%C3%B1a=1", "?contrase%C3%B1a=REDACTED"),
        ("?tokens=5&monkey=1", "?tokens=5&monkey=1"),
    ],
)
def test_secret_parameters_lose_their_values(query: str, shown: str) -> None:
    """
    Whatever way a secret's name is written, its value is not shown.
    """
    assert f"http://h/p{shown}" == redact_url(f"http://h/p{query}")


def test_a_url_object_is_redacted_like_its_text() -> None:
    """
    Both kinds of URL are taken.
    """
    assert "http://REDACTED:REDACTED@h/?key=REDACTED" == redact_url(URL("http://u:p@h/?key=1"))


def test_other_names_can_be_secret() -> None:
    """
    A program adds names of its own to the list.
    """
    secrets = SECRET_NAMES | secret_names({"Shop-Session"})

    assert "/?shop_session=REDACTED&sig=REDACTED" == redact_url("/?shop_session=1&sig=2", secrets)
    assert "/?sig=2" == redact_url("/?sig=2", secret_names([]))


def test_names_are_a_collection_of_names() -> None:
    """
    One string would be taken for its letters, an empty name for everything.
    """
    with pytest.raises(TypeError, match="collection of parameter names"):
        secret_names("token")
    with pytest.raises(ValueError, match="letter or a digit"):
        secret_names(["-"])


def test_values_that_are_no_urls_stay() -> None:
    """
    Fields of events are redacted only where they are URLs.
    """
    assert 5 == redact_value(5)
    assert "token=1" == redact_value("token=1")
    assert "http://h/?token=REDACTED" == redact_value("http://h/?token=1")
    assert "http://h/?token=REDACTED" == redact_value(URL("http://h/?token=1"))


@given(
    before=st.text("ab=&;?#/%[]", max_size=12),
    separator=st.sampled_from("?&;#"),
    secret=st.text("SXYZ=;%", min_size=1, max_size=8).map(lambda value: f"SECRET{value}"),
    after=st.text("ab=&;#", max_size=12),
)
@settings(max_examples=200, deadline=None)
def test_no_secret_survives_whatever_stands_around_it(
    before: str, separator: str, secret: str, after: str
) -> None:
    """
    Arbitrary text before and after a secret parameter does not uncover it.
    """
    assert "SECRET" not in redact_url(f"http://h/?{before}{separator}token={secret}&{after}")


def test_brackets_hide_no_name() -> None:
    """
    Lists and maps in a query, escaped or not: any part of the name may be the telling one.
    """
    for name in ("token[]", "token%5B%5D", "password[0]", "user[password]", "user[password][]"):
        assert f"http://h/?{name}=REDACTED" == redact_url(f"http://h/?{name}=s3cr3t")
    assert "http://h/?code=REDACTED&state=1" == redact_url("http://h/?code=s3cr3t&state=1")


def test_any_number_of_semicolons_is_taken() -> None:
    """
    A server's Location may have thousands, and logging it must not fail.
    """
    assert redact_url(f"http://h/?{'a=1;' * 5000}token=s").endswith("a=1;token=REDACTED")


HEADER = "eyJhbGciOiJIUzI1NiJ9"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"http://h/?t={HEADER}.eyJhIjoxfQ.c-_3&b=1", "http://h/?t=REDACTED&b=1"),
        (f"http://h/{HEADER}.eyJhIjoxfQ.c-_3/x", "http://h/REDACTED/x"),
        (f"http://h/?t=Bearer%20{HEADER}%2EeyJhIjoxfQ%2ec3", "http://h/?t=Bearer%20REDACTED"),
        (f"http://h/?t=id_{HEADER}.eyJhIjoxfQ.c3", "http://h/?t=id_REDACTED"),
        (f"http://h/?t={HEADER}.eyJhIjoxfQ.", "http://h/?t=REDACTED"),
        (f"http://h/?t={HEADER}..c3", "http://h/?t=REDACTED"),
        (f"http://h/?t={HEADER}..aXY.Y3Q.dGFn#x", "http://h/?t=REDACTED#x"),
        ("http://h/?t=eyJ1IjoxfQ.b.c", "http://h/?t=REDACTED"),
        (f"http://h/?t={HEADER}...", f"http://h/?t={HEADER}..."),
    ],
)
def test_json_web_tokens_are_known_by_their_form(text: str, shown: str) -> None:
    """
    Wherever they stand: signed, unsigned, with a detached payload, encrypted.
    """
    assert shown == redact_url(text)


def test_json_web_tokens_are_found_in_values_that_are_no_urls() -> None:
    """
    An event's field may be one.
    """
    assert "Bearer REDACTED, x" == redact_value(f"Bearer {HEADER}.e30.c3, x")


def test_what_only_begins_like_many_tokens_takes_no_time() -> None:
    """
    Each character is looked at a few times, however many beginnings there are.
    """
    text = "eyJhbGci" * 100_000

    assert text == redact_jwts(text)
    assert f"{text}.x" == redact_jwts(f"{text}.x")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:hunter2@host/0", "redis://REDACTED:REDACTED@host/0"),
        ("redis:/:hunter2@host/0", "REDACTED:REDACTED@host/0"),
        ("redis//:hunter2@host", "REDACTED:REDACTED@host"),
        ("redis://:hunt/er2@host", "redis://REDACTED:REDACTED@host"),
        ("redis://:hunt@er2@host", "redis://REDACTED:REDACTED@host"),
        ("redis+unix://:hunter2@/run/redis", "redis+unix://REDACTED:REDACTED@/run/redis"),
        ("hunter2@host", "REDACTED:REDACTED@host"),
        ("http://host:80/users/@me?token=x", "http://host:80/users/@me?token=REDACTED"),
        ("http://[::1]/@me", "http://[::1]/@me"),
        ("plain", "plain"),
    ],
)
def test_a_login_is_not_shown_wherever_it_stands(text: str, shown: str) -> None:
    """
    Neither of a URL nor of what should have been one.
    """
    assert shown == redact_login(text)
